// SPDX-License-Identifier: Apache-2.0
#include "marketd/ledger/rows/packed_text.h"

#include <zlib.h>

#include <cstdint>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

constexpr absl::string_view kMark = "z1:";
constexpr size_t kPackedAtLeast = 256;
// Of a text: more is damage. An auction has at most some thousand bids of some kilobytes.
constexpr uint64_t kTextBytesMax = uint64_t{1} << 30;
// Above it packs a tenth better, and takes twice the time.
constexpr int kLevel = 1;

}  // namespace

std::string PackText(absl::string_view text) {
  if (text.size() < kPackedAtLeast && !absl::StartsWith(text, kMark)) return std::string(text);
  uLongf size = compressBound(text.size());
  std::string deflated(size, '\0');
  const int result = compress2(reinterpret_cast<Bytef*>(deflated.data()), &size,
                               reinterpret_cast<const Bytef*>(text.data()), text.size(), kLevel);
  NOM_CHECK(result == Z_OK, "zlib has no memory");
  return absl::StrCat(kMark, text.size(), ":",
                      absl::Base64Escape(absl::string_view(deflated).substr(0, size)));
}

absl::StatusOr<std::string> UnpackText(absl::string_view packed) {
  if (!absl::StartsWith(packed, kMark)) return std::string(packed);
  const auto damaged = [] { return absl::DataLossError("a packed text is damaged"); };
  const absl::string_view rest = packed.substr(kMark.size());
  const size_t colon = rest.find(':');
  uint64_t bytes = 0;
  std::string deflated;
  if (colon == absl::string_view::npos || !absl::SimpleAtoi(rest.substr(0, colon), &bytes) ||
      bytes > kTextBytesMax || !absl::Base64Unescape(rest.substr(colon + 1), &deflated)) {
    return damaged();
  }
  std::string text(bytes, '\0');
  uLongf size = bytes;
  const int result = uncompress(reinterpret_cast<Bytef*>(text.data()), &size,
                                reinterpret_cast<const Bytef*>(deflated.data()), deflated.size());
  if (result != Z_OK || size != bytes) return damaged();
  return text;
}

}  // namespace nom::market
