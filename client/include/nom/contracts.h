// SPDX-License-Identifier: Apache-2.0
// The nouns of what is sold beside the auction: contracts, quotes, sublets. Plain values.
//
//   const absl::StatusOr<nom::Offer> offer =
//       session->GetQuote({.units = {{nom::Resource::kMemory, 10}}, .rounds = 60}).Wait();
//   if (offer.ok() && nom::ChargeOf(*offer) <= most) {
//     const auto bought = session->TakeOffer({.offer_id = offer->offer_id}).Wait();
//   }
//
// A contract is units for several rounds at a price that is fixed when it is bought, beside the
// auction and untouched by it. One that begins in a later round is a future; one whose units are
// out of another guest's is a sublet.

#ifndef NOM_CONTRACTS_H_
#define NOM_CONTRACTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "nom/types.h"

namespace nom {

// The numbers are those of nom.market.v1.ContractKind.
enum class ContractKind : uint8_t {
  kUnknown = 0,
  kAward = 1,    // Won in an auction, for its round.
  kForward = 2,  // Bought from the host at a quoted price.
  kSublet = 3,   // Out of another guest's contract.
  kFloor = 4,    // Of its guest's tier, for a round.
};

// Why a contract ends before its rounds are over, or has ended. The numbers are those of
// nom.market.v1.ContractEnd.
enum class ContractEnd : uint8_t {
  kNone = 0,  // It does not, as things are.
  kOver = 1,
  kLeft = 2,    // Its holder left it.
  kUnpaid = 3,  // It could not be paid.
  kGuestStopped = 4,
  kGuestEnded = 5,
  kGuestEvicted = 6,
  kReleased = 7,  // Its round never took effect.
  kMachine = 8,   // The machine restarted.
  kLost = 9,      // The machine lost the guest.
  kHostClosed = 10,
  kNotRenewed = 11,  // Its rounds are over, and it was to be renewed: end_reason says why not.
};

// Units of one resource, and what all of them cost in a round.
struct Lot {
  Resource resource = Resource::kMemory;
  int64_t units = 0;
  int64_t charge_microcredits = 0;

  friend bool operator==(const Lot&, const Lot&) = default;
};

struct Contract {
  uint64_t contract_id = 0;
  uint64_t guest_id = 0;  // Who holds the units; its tenant pays.
  ContractKind kind = ContractKind::kUnknown;
  uint64_t part_of = 0;         // kSublet: the contract that its units are out of.
  std::vector<Lot> lots;        // By rising resource.
  uint64_t from_round_id = 0;   // The first round in which it is alive,
  uint64_t until_round_id = 0;  // and the first in which, by its terms, it no longer is.
  absl::Duration period;        // That the charges are for; what was held for less costs less.
  std::string policy;           // kForward: what priced it, "forward/1".
  int64_t end_fee_ppm = 0;      // kForward: of what the rounds left would cost, for leaving early.
  uint64_t left_from_round_id = 0;  // It is no longer alive from this round on; 0: up to its end.
  ContractEnd end = ContractEnd::kNone;
  std::string end_reason;  // The same for people.
  int64_t fees_microcredits = 0;
  int64_t renew_ceiling_microcredits = 0;  // 0: not renewed.
  int64_t escrow_microcredits = 0;
  int64_t paid_microcredits = 0;  // For what was held of it so far; fees apart.

  friend bool operator==(const Contract&, const Contract&) = default;
};

struct Offer {
  uint64_t offer_id = 0;
  uint64_t guest_id = 0;  // Who may take it; 0: any guest of the host.
  uint64_t part_of = 0;   // Of a sublet: the contract that it is out of; 0: a quote.
  std::vector<Lot> lots;
  uint64_t from_round_id = 0;  // 0: the first that is possible when it is taken.
  int64_t rounds = 0;
  std::string policy;       // Of a quote: what priced it.
  int64_t end_fee_ppm = 0;  // See Contract.
  absl::Time valid_until;
  bool own = false;  // The caller asked for it, or offers it.

  friend bool operator==(const Offer&, const Offer&) = default;
};

// Of all lots, in a round. Stays at the largest number instead of passing it.
int64_t ChargeOf(const Offer& offer);
int64_t ChargeOf(const Contract& contract);

struct QuoteOptions {
  uint64_t guest_id = 0;  // 0: the only guest of the session.
  std::map<Resource, int64_t> units = {};
  int64_t rounds = 1;
  uint64_t from_round_id = 0;  // 0: the first that it can be taken for.
};

struct SubletOptions {
  uint64_t contract_id = 0;
  std::vector<Lot> lots = {};  // With what is asked for them.
  uint64_t to_guest_id = 0;    // 0: any guest of the host.
  uint64_t from_round_id = 0;  // 0: the first that it can be taken for.
  int64_t rounds = 1;
  absl::Duration valid_for = absl::ZeroDuration();  // Whole seconds; zero: as long as a quote.
};

struct TakeOptions {
  uint64_t offer_id = 0;
  uint64_t guest_id = 0;  // 0: the only guest of the session.
  // If above 0, the contract is renewed at its end, before others can buy, while a round of it
  // costs no more.
  int64_t renew_ceiling_microcredits = 0;
};

struct Taken {
  uint64_t contract_id = 0;
  uint64_t from_round_id = 0;  // The first round in which it is alive.

  friend bool operator==(const Taken&, const Taken&) = default;
};

// Of what there is too little. The numbers are those of nom.market.v1.ShortOf.
enum class ShortOf : uint8_t {
  kUnknown = 0,
  kMachine = 1,      // Units that nobody was promised.
  kShare = 2,        // Units that the operator sells by contract.
  kQuotaGuests = 3,  // Guests that the tenant may have.
  kQuotaSeeds = 4,   // Units of seed that its guests may have.
  kGuests = 5,       // Places for guests on the host.
  kCeiling = 6,      // Micro-credits a round: the price is above the ceiling.
  kMeans = 7,        // Micro-credits: less is available than is to be set aside.
};

// Why the market refused a call about contracts or guests, for programs; the status has the words
// for people.
struct Shortage {
  ShortOf short_of = ShortOf::kUnknown;
  std::optional<Resource> resource;  // Of kMachine, kShare and kQuotaSeeds.
  int64_t asked = 0;                 // Units, guests or micro-credits.
  int64_t free = 0;                  // The most that could be had now.
  // kMachine, kShare: from this round on it could be had, as things are; 0: nobody knows.
  uint64_t until_round_id = 0;

  friend bool operator==(const Shortage&, const Shortage&) = default;
};

// That of a status that a session returned; nullopt if it has none.
std::optional<Shortage> ShortageOf(const absl::Status& status);

}  // namespace nom

#endif  // NOM_CONTRACTS_H_
