#include "tests/fuzz/policies_fuzz.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "policies/cases/case_file.h"
#include "policies/clearing/concave.h"
#include "policies/clearing/exhaustive.h"
#include "policies/clearing/fallback.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/rules.h"

namespace nom::policies {
namespace {

void Require(bool holds, const char* what, const Auction& auction) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n%s", what, ToText(auction).c_str());
  std::abort();
}

class Reader {
 public:
  Reader(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  uint8_t Byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }

  // Mostly small; now and then a whole word, so that every limit can be met.
  int64_t Number() {
    const uint8_t kind = Byte();
    if (kind < 200) return kind % 16;
    if (kind < 230) return static_cast<int8_t>(Byte());
    if (kind < 240) return kValueMaxMicrocredits - Byte() % 4;
    if (kind < 245) return kUnitsMax - Byte() % 4;
    uint64_t word = 0;
    for (int i = 0; i < 8; ++i) word = word << 8 | Byte();
    return static_cast<int64_t>(word);
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

Auction ReadAuction(Reader& reader) {
  Auction auction;
  auction.capacity_units = reader.Number();
  auction.reserve_unit_price_microcredits = reader.Number();
  auction.reclaim_penalty_microcredits = reader.Number();
  auction.seed = reader.Byte();
  // Half of the auctions are made to touch, which numbers drawn alone hardly ever do.
  const bool repair = reader.Byte() % 2 == 0;
  const int bids = reader.Byte() % 5;
  for (int b = 0; b < bids; ++b) {
    Bid bid;
    bid.guest_id = static_cast<GuestId>(reader.Number());
    bid.held_units = reader.Number();
    const int ranges = reader.Byte() % 4;
    for (int r = 0; r < ranges; ++r) {
      Range range{reader.Number(), reader.Number(), reader.Number(), reader.Number()};
      if (repair && r > 0) {
        const Range& last = bid.ranges.back();
        // Only where nothing can overflow: validation has to see the rest as it is.
        if (std::max(std::abs(last.min_units % 100), std::abs(last.max_units)) < 100 &&
            last.min_units >= 0 && std::abs(last.unit_price_microcredits) < 1'000 &&
            std::abs(last.value_at_min_microcredits) <= kValueMaxMicrocredits) {
          range.min_units = last.max_units;
          range.max_units = last.max_units + (range.max_units & 7);
          range.value_at_min_microcredits =
              last.value_at_min_microcredits +
              (last.max_units - last.min_units) * last.unit_price_microcredits;
        }
      }
      bid.ranges.push_back(range);
    }
    auction.bids.push_back(std::move(bid));
  }
  return auction;
}

void CheckPromises(const Auction& auction, const Clearing& clearing) {
  std::vector<int64_t> units(auction.bids.size(), 0);
  for (const Award& award : clearing.awards) {
    const auto bid = std::find_if(auction.bids.begin(), auction.bids.end(),
                                  [&](const Bid& b) { return b.guest_id == award.guest_id; });
    Require(bid != auction.bids.end(), "an award is a bidder's", auction);
    Require(award.units > 0 && Allowed(*bid, award.units), "an award is allowed", auction);
    Require(award.charge_microcredits <= ValueOf(*bid, award.units), "charge <= value", auction);
    Require(award.charge_microcredits / award.units >= auction.reserve_unit_price_microcredits,
            "charge >= reserve", auction);
    units[static_cast<size_t>(bid - auction.bids.begin())] = award.units;
  }
  const auto welfare = Welfare(auction, units);
  Require(welfare.ok() && *welfare == clearing.welfare_microcredits, "W is W", auction);
  Require(clearing.welfare_bound_microcredits >= clearing.welfare_microcredits, "W <= bound",
          auction);
}

bool IsSmall(const Auction& auction) {
  int64_t allocations = 1;
  for (const Bid& bid : auction.bids) {
    const int64_t most = bid.ranges.empty() ? 0 : bid.ranges.back().max_units;
    if (most > 20) return false;
    allocations *= most + 1;
  }
  return allocations <= 3'000;
}

}  // namespace

void FuzzAuction(const uint8_t* data, size_t size) {
  Reader reader(data, size);
  const Auction auction = ReadAuction(reader);
  const auto parsed = ParseAuction(ToText(auction));
  Require(parsed.ok() && *parsed == auction, "text survives the round trip", auction);
  if (!ValidateAuction(auction).ok()) {
    for (const RuleInfo& rule : Rules()) {
      Require(!Clear(rule.name, auction).ok(), "a rule refuses what validation does", auction);
    }
    return;
  }
  // A budget that keeps tables small enough for a fuzzer to be quick.
  constexpr int64_t kWork = 2'000'000;
  for (const RuleInfo& rule : Rules()) {
    const auto clearing = ClearWithin(rule.name, auction, kWork);
    if (clearing.ok()) {
      CheckPromises(auction, *clearing);
    } else {
      const bool is_gap =
          !rule.takes_gaps && !std::all_of(auction.bids.begin(), auction.bids.end(), IsConcave);
      Require(is_gap || clearing.status().code() == absl::StatusCode::kOutOfRange,
              "a valid auction is cleared", auction);
    }
    const auto repeated = ClearWithin(rule.name, auction, 0);
    if (repeated.ok()) CheckPromises(auction, *repeated);
  }
  if (!IsSmall(auction)) return;
  const auto expected = ClearExhaustive(auction);
  const auto sorted = ClearMpsp(auction);
  MpspOptions options;
  options.always_tables = true;
  if (WorkOf("mpsp/1", auction) > kWork) return;
  const auto by_tables = ClearMpsp(auction, options);
  Require(expected.ok() == sorted.ok() && expected.ok() == by_tables.ok(), "the same errors",
          auction);
  if (!expected.ok()) return;
  Require(*sorted == *expected, "mpsp equals exhaustive search", auction);
  Require(*by_tables == *expected, "tables equal exhaustive search", auction);
  const auto uniform = Clear("uniform_price/1", auction);
  if (uniform.ok()) {
    Require(uniform->welfare_microcredits == expected->welfare_microcredits,
            "uniform_price is efficient", auction);
  }
}

void FuzzText(const uint8_t* data, size_t size) {
  const auto parsed = ParseAuction(std::string(reinterpret_cast<const char*>(data), size));
  if (!parsed.ok()) return;
  const auto again = ParseAuction(ToText(*parsed));
  Require(again.ok() && *again == *parsed, "text survives the round trip", *parsed);
}

}  // namespace nom::policies
