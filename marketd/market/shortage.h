// SPDX-License-Identifier: Apache-2.0
// Why something could not be had, for programs: of what there is too little, how much there is, and
// from when on there is enough. It travels in the status that refuses, beside the words for people.

#ifndef MARKETD_MARKET_SHORTAGE_H_
#define MARKETD_MARKET_SHORTAGE_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "marketd/market/types.h"

namespace nom::market {

// Numbers equal nom.market.v1.ShortOf.
enum class ShortOf : uint8_t {
  kMachine = 1,      // Units that nobody was promised.
  kShare = 2,        // Units that may be sold forward.
  kQuotaGuests = 3,  // Guests that a tenant may have.
  kQuotaSeeds = 4,   // Units of seed that its guests may have.
  kGuests = 5,       // Places for guests on the host.
  kCeiling = 6,      // Micro-credits: what is asked for costs more than the ceiling.
  kMeans = 7,        // Micro-credits: the tenant has less available.
};

struct Shortage {
  ShortOf short_of = ShortOf::kMachine;
  std::optional<ResourceKind> kind;  // Of units.
  int64_t asked = 0;
  int64_t free = 0;            // The most that could be had now.
  RoundId until_round_id = 0;  // From this round on it could be, as things are; 0: nobody knows.
  friend bool operator==(const Shortage&, const Shortage&) = default;
};

// `refusal`, which is not OK, with the shortage beside its message.
absl::Status With(absl::Status refusal, const Shortage& shortage);
// That of a refusal; nothing if it has none.
std::optional<Shortage> ShortageOf(const absl::Status& refusal);

}  // namespace nom::market

#endif  // MARKETD_MARKET_SHORTAGE_H_
