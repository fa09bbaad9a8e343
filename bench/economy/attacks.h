// SPDX-License-Identifier: Apache-2.0
// Guests that play the market instead of using it: what they gain, what it costs the others, and
// what each rule earns meanwhile.
//
// Every attack is run beside the same rounds without it: same guests, same loads, same seeds. All
// figures are sums over the whole run, so that attacked less honest is what the attack did. Nobody
// moves: the population is fixed, so that a gain is not a newcomer's luck. An attacker knows its
// own values (as of the round before), its own awards, and what is published; nothing else.

#ifndef NOM_BENCH_ECONOMY_ATTACKS_H_
#define NOM_BENCH_ECONOMY_ATTACKS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/economy/mechanism.h"
#include "bench/economy/workload.h"

namespace nom::economy {

struct AttackOptions {
  AttackOptions();  // A market small enough for one guest to matter: 24 guests, 256 units.
  WorkloadOptions workload;
  int64_t rounds = 200;
  int seeds = 3;  // Runs with workload.seed, + 1, + 2, ... added up.
  Microcredits reserve_unit_price_microcredits = 10'000;
};

// What an attacker sees when it bids in `round`.
struct Seen {
  int64_t round = 0;
  const std::vector<Guest>& guests;  // It may look at its own places only.
  const Host& host;
  // Of the round before, as delivered to its places and as published; empty before the first.
  const Allocation& last;
};

// Units that each bid gets in the end, and what is paid for them. Parallel to the bids.
struct Delivery {
  std::vector<int64_t> units;
  std::vector<Microcredits> paid;
};

class Attack {
 public:
  virtual ~Attack() = default;
  // `bids[i]` is the truthful bid of guests[i]; an attacker changes its own and may append others
  // under false names (FalseName), which all belong to its first place.
  virtual void ChangeBids(const Seen& seen, std::vector<policies::Bid>& bids);
  // Before the round takes effect: `delivery` is what was awarded, `held` what guests had.
  virtual void ChangeDelivery(const Seen& seen, const std::vector<int64_t>& held,
                              Delivery& delivery);
};

// The name of the attacker's k-th extra bid; above every guest's.
policies::GuestId FalseName(int k);

// Sums over all rounds and seeds. Exactly: attackers_surplus + others_surplus + revenue + idle =
// welfare.
struct Totals {
  Microcredits attackers_surplus_microcredits = 0;  // Value of what it got less what it paid.
  Microcredits others_surplus_microcredits = 0;
  Microcredits revenue_microcredits = 0;  // What was paid.
  Microcredits idle_microcredits = 0;     // Units not delivered, at the reserve.
  Microcredits welfare_microcredits = 0;
  Microcredits attackers_paid_microcredits = 0;
  int64_t attackers_units = 0;
  // Charged and not paid: bad debts, free periods, and refunds for units that were not delivered.
  Microcredits unpaid_microcredits = 0;
  Microcredits unit_price_sum_microcredits = 0;  // Clearing prices, for their mean.
  int64_t rounds = 0;
};

// The attack on one run. `places` belong to the attackers; empty: an outsider with no use for
// units. A null attack leaves every bid truthful.
absl::StatusOr<Totals> Play(const AttackOptions& options, const std::string& rule,
                            const RuleOptions& rule_options, const std::vector<size_t>& places,
                            const std::function<std::unique_ptr<Attack>()>& attack);

// One line of the report.
struct AttackResult {
  std::string attack;   // "shading"
  std::string defence;  // What the host does about it, or nothing: "" where it has no choice.
  std::string rule;
  int setting = 0;  // The attacker's choice that was best for it, where it has one; else 0.
  std::vector<size_t> places;  // Who attacked.
  Totals honest;
  Totals attacked;
};

// All attacks on all of policies::Rules(). A posted price is set to the mean price that mpsp finds
// in the same rounds, so that rules are compared at one price level.
absl::StatusOr<std::vector<AttackResult>> AllAttacks(const AttackOptions& options);

// Shading alone, and its opposite: each attacker in turn, alone, bids `percents` of the truth;
// their totals added up. By rule, then by percent.
absl::StatusOr<std::vector<AttackResult>> ShadingCurve(const AttackOptions& options,
                                                       const std::vector<int>& percents);

}  // namespace nom::economy

#endif  // NOM_BENCH_ECONOMY_ATTACKS_H_
