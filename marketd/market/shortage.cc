// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/shortage.h"

#include <array>
#include <string>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace nom::market {
namespace {

// Within this process alone: five numbers with blanks between them.
constexpr char kPayload[] = "nom.market/shortage";

}  // namespace

absl::Status With(absl::Status refusal, const Shortage& shortage) {
  const std::array<int64_t, 5> numbers = {static_cast<int64_t>(shortage.short_of),
                                          shortage.kind ? static_cast<int64_t>(*shortage.kind) : 0,
                                          shortage.asked, shortage.free,
                                          static_cast<int64_t>(shortage.until_round_id)};
  refusal.SetPayload(kPayload, absl::Cord(absl::StrJoin(numbers, " ")));
  return refusal;
}

std::optional<Shortage> ShortageOf(const absl::Status& refusal) {
  const absl::optional<absl::Cord> payload = refusal.GetPayload(kPayload);
  if (!payload) return std::nullopt;
  const std::string text(*payload);
  std::vector<int64_t> numbers;
  for (const absl::string_view piece : absl::StrSplit(text, ' ')) {
    if (!absl::SimpleAtoi(piece, &numbers.emplace_back())) return std::nullopt;
  }
  if (numbers.size() != 5) return std::nullopt;
  Shortage out{.short_of = static_cast<ShortOf>(numbers[0]),
               .kind = std::nullopt,
               .asked = numbers[2],
               .free = numbers[3],
               .until_round_id = static_cast<RoundId>(numbers[4])};
  if (numbers[1] != 0) out.kind = static_cast<ResourceKind>(numbers[1]);
  return out;
}

}  // namespace nom::market
