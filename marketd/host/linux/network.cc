// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/network.h"

#include <algorithm>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "marketd/base/money.h"

namespace nom::market {
namespace {

constexpr absl::string_view kPair = "nom-";
constexpr absl::string_view kIfb = "nomi";
constexpr absl::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";

std::string Base36(uint64_t value) {
  std::string digits;
  do {
    digits.insert(digits.begin(), kDigits[value % 36]);
    value /= 36;
  } while (value > 0);
  return digits;
}

uint64_t ReadCount(const std::string& path) {
  uint64_t count = 0;
  std::ifstream(path) >> count;
  return count;
}

}  // namespace

absl::Status ParseAddresses(absl::string_view text, NetworkOptions* options) {
  const auto bad = [text](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\": ", why));
  };
  const std::pair<absl::string_view, absl::string_view> halves =
      absl::StrSplit(text, absl::MaxSplits('/', 1));
  const std::vector<absl::string_view> bytes = absl::StrSplit(halves.first, '.');
  int prefix = 0;
  uint32_t address = 0;
  bool good = bytes.size() == 4 && absl::SimpleAtoi(halves.second, &prefix);
  for (const absl::string_view byte : bytes) {
    uint32_t value = 256;
    good = good && absl::SimpleAtoi(byte, &value) && value < 256;
    address = address << 8 | (value & 255);
  }
  if (!good) return bad("must be an IPv4 network such as 10.77.0.0/16");
  if (prefix < 8 || prefix > 30) return bad("the prefix must be from 8 to 30");
  if ((address & ((uint32_t{1} << (32 - prefix)) - 1)) != 0) {
    return bad("has bits behind its prefix");
  }
  options->addresses = address;
  options->prefix = prefix;
  return absl::OkStatus();
}

std::string AddressText(uint32_t address) {
  return absl::StrCat(address >> 24, ".", address >> 16 & 255, ".", address >> 8 & 255, ".",
                      address & 255);
}

uint32_t AddressOf(const NetworkOptions& options, GuestId guest_id) {
  // Neither the network's own address nor the broadcast.
  const uint64_t count = (uint64_t{1} << (32 - options.prefix)) - 2;
  return options.addresses + 1 + static_cast<uint32_t>((guest_id - 1) % count);
}

std::string PairName(GuestId guest_id) { return absl::StrCat(kPair, Base36(guest_id)); }
std::string IfbName(GuestId guest_id) { return absl::StrCat(kIfb, Base36(guest_id)); }

std::string PairOfIfb(const std::string& name) {
  absl::string_view digits = name;
  if (!absl::ConsumePrefix(&digits, kIfb) || digits.empty() ||
      digits.find_first_not_of(kDigits) != absl::string_view::npos) {
    return "";
  }
  return absl::StrCat(kPair, digits);
}

NetworkStat ReadNetworkStat(const std::string& sys, GuestId guest_id) {
  const auto sent_by = [&sys](const std::string& name) {
    return ReadCount(absl::StrCat(sys, "/class/net/", name, "/statistics/tx_bytes"));
  };
  return {.received_bytes = sent_by(PairName(guest_id)), .sent_bytes = sent_by(IfbName(guest_id))};
}

int64_t BitsBetween(const NetworkStat& before, const NetworkStat& after) {
  const auto grown = [](uint64_t a, uint64_t b) {
    return b > a ? static_cast<int64_t>(std::min<uint64_t>(b - a, INT64_MAX)) : int64_t{0};
  };
  return SaturatingMultiply(std::max(grown(before.received_bytes, after.received_bytes),
                                     grown(before.sent_bytes, after.sent_bytes)),
                            8);
}

}  // namespace nom::market
