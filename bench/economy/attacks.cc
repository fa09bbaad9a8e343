// SPDX-License-Identifier: Apache-2.0
#include "bench/economy/attacks.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "policies/clearing/rules.h"

namespace nom::economy {
namespace {

using policies::Bid;

constexpr char kMpsp[] = "mpsp/1";
constexpr char kPosted[] = "posted_price/1";
constexpr policies::GuestId kFalseNames = policies::GuestId{1} << 32;
constexpr size_t kCandidates = 8;
constexpr int64_t kProbeRounds = 8;
constexpr int64_t kPeriodRounds = 12;
constexpr int64_t kInvoiceRounds = 30;
constexpr int64_t kBalanceRounds = 10;

bool TakesGaps(const std::string& rule) { return policies::FindRule(rule)->takes_gaps; }

// The valuation at `percent` of its value.
Valuation Scaled(const Valuation& valuation, int percent) {
  std::vector<CurvePoint> points = valuation.points;
  for (CurvePoint& p : points) {
    p.value_microcredits = static_cast<Microcredits>(Int128{p.value_microcredits} * percent / 100);
  }
  return MakeValuation(points, valuation.steps);
}

// The valuation of somebody who already has `first` units and may get up to `most` in all.
Valuation Between(const Valuation& valuation, int64_t first, int64_t most) {
  std::vector<CurvePoint> points;
  const Microcredits base = ValueAt(valuation, first);
  for (const CurvePoint& p : valuation.points) {
    if (p.units > first && p.units < most) {
      points.push_back({p.units - first, ValueAt(valuation, p.units) - base});
    }
  }
  if (most > first) points.push_back({most - first, ValueAt(valuation, most) - base});
  return MakeValuation(points, valuation.steps);
}

std::vector<policies::Range> ToRanges(const policies::RangeList& list) {
  return {list.ranges, list.ranges + list.count};
}

int64_t Eighth(const Host& host) { return std::max<int64_t>(1, host.capacity_units / 8); }

// One guest, one place.
class ByOne : public Attack {
 public:
  ByOne(size_t place, bool takes_gaps) : place_(place), takes_gaps_(takes_gaps) {}

 protected:
  void Say(const Valuation& valuation, Bid& bid) const {
    bid.ranges = BidRanges(valuation, takes_gaps_);
  }

  size_t place_;
  bool takes_gaps_;
};

class Shading : public ByOne {
 public:
  Shading(size_t place, bool takes_gaps, int percent)
      : ByOne(place, takes_gaps), percent_(percent) {}
  void ChangeBids(const Seen& seen, std::vector<Bid>& bids) override {
    Say(Scaled(seen.guests[place_].believed, percent_), bids[place_]);
  }

 private:
  int percent_;
};

// True prices, but only for a part of what it could use.
class AskingForLess : public ByOne {
 public:
  AskingForLess(size_t place, bool takes_gaps, int percent)
      : ByOne(place, takes_gaps), percent_(percent) {}
  void ChangeBids(const Seen& seen, std::vector<Bid>& bids) override {
    const Valuation& truth = seen.guests[place_].believed;
    const int64_t most = std::max<int64_t>(1, truth.most_units() * percent_ / 100);
    Say(Between(truth, 0, most), bids[place_]);
  }

 private:
  int percent_;
};

// Two names for one guest: its curve cut in two, or said twice.
class FalseNames : public ByOne {
 public:
  FalseNames(size_t place, bool takes_gaps, bool twice) : ByOne(place, takes_gaps), twice_(twice) {}
  void ChangeBids(const Seen& seen, std::vector<Bid>& bids) override {
    const Valuation& truth = seen.guests[place_].believed;
    Bid second;
    second.guest_id = FalseName(0);
    const bool known = seen.last.units.size() > seen.guests.size();
    second.held_units = known ? seen.last.units[seen.guests.size()] : 0;
    if (twice_) {
      Say(truth, second);
    } else {
      const int64_t half = std::max<int64_t>(1, truth.most_units() / 2);
      Say(Between(truth, 0, half), bids[place_]);
      Say(Between(truth, half, truth.most_units()), second);
    }
    bids.push_back(std::move(second));
  }

 private:
  bool twice_;
};

// Has no use for units: asks for an eighth of them at just less than they sell for, so that winners
// are charged for keeping it out.
class BorderPrice : public Attack {
 public:
  // `guess` is the price that it goes by where border prices are hidden.
  explicit BorderPrice(std::optional<Microcredits> guess) : guess_(guess) {}
  void ChangeBids(const Seen& seen, std::vector<Bid>& bids) override {
    const Microcredits border = guess_.value_or(seen.last.unit_price_microcredits);
    bids.push_back(
        {FalseName(0), ToRanges(policies::FlatOffer(1, Eighth(seen.host), border - 1)), 0});
  }

 private:
  std::optional<Microcredits> guess_;
};

// The same in two rounds: first outbids everybody for an eighth of the host, so that the offer it
// displaced is published as the highest rejected one; then bids just below that.
class Sandwich : public Attack {
 public:
  void ChangeBids(const Seen& seen, std::vector<Bid>& bids) override {
    const bool above = seen.round % 2 == 0;
    const Microcredits price =
        above ? 4 * std::max<Microcredits>(seen.last.unit_price_microcredits,
                                           seen.host.reserve_unit_price_microcredits)
              : seen.last.rejected_unit_price_microcredits - 1;
    bids.push_back({FalseName(0), ToRanges(policies::FlatOffer(1, Eighth(seen.host), price)), 0});
  }
};

// A period of twelve rounds is charged at its end, and one that is cut short by a change of price
// is free, as early spot markets had it. So: let yourself be outbid in the last round of each.
class BidAfterChange : public ByOne {
 public:
  BidAfterChange(size_t place, bool takes_gaps, bool exact_time)
      : ByOne(place, takes_gaps), exact_time_(exact_time) {}
  void ChangeBids(const Seen& seen, std::vector<Bid>& bids) override {
    if (seen.round % kPeriodRounds == kPeriodRounds - 1) bids[place_].ranges.clear();
  }
  void ChangeDelivery(const Seen& seen, const std::vector<int64_t>& held,
                      Delivery& delivery) override {
    Attack::ChangeDelivery(seen, held, delivery);
    if (!exact_time_) delivery.paid[place_] = 0;
  }

 private:
  bool exact_time_;
};

// Guests that agree not to drive up each other's charges: each asks for no more than it would buy
// at nine tenths of the price that they all saw when they last bid the truth, every eighth round.
class Ring : public Attack {
 public:
  Ring(std::vector<size_t> places, bool takes_gaps)
      : places_(std::move(places)), takes_gaps_(takes_gaps) {}
  void ChangeBids(const Seen& seen, std::vector<Bid>& bids) override {
    const int64_t since = seen.round % kProbeRounds;
    if (since == 0) return;
    if (since == 1) agreed_ = seen.last.unit_price_microcredits * 9 / 10;
    for (size_t place : places_) {
      const Valuation& truth = seen.guests[place].believed;
      const int64_t most = policies::BestUnits(bids[place], seen.host.capacity_units, agreed_);
      bids[place].ranges = BidRanges(Between(truth, 0, most), takes_gaps_);
    }
  }

 private:
  std::vector<size_t> places_;
  bool takes_gaps_;
  Microcredits agreed_ = 0;
};

// Pays for what it is awarded, but gives nothing back. If the host can't take it by force, those
// who should have grown get less, and pay for what they get.
class NeverReleasing : public ByOne {
 public:
  NeverReleasing(size_t place, bool by_force) : ByOne(place, true), by_force_(by_force) {}
  void ChangeDelivery(const Seen& seen, const std::vector<int64_t>& held,
                      Delivery& delivery) override {
    Attack::ChangeDelivery(seen, held, delivery);
    if (by_force_ || held[place_] <= delivery.units[place_]) return;
    delivery.units[place_] = held[place_];
    int64_t missing = std::accumulate(delivery.units.begin(), delivery.units.end(), int64_t{0}) -
                      seen.host.capacity_units;
    std::vector<size_t> order(delivery.units.size());
    std::iota(order.begin(), order.end(), size_t{0});
    auto growth = [&](size_t i) { return delivery.units[i] - held[i]; };
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return growth(a) > growth(b); });
    for (size_t i : order) {
      const int64_t less = std::min(missing, growth(i));
      if (less <= 0) break;
      delivery.paid[i] = static_cast<Microcredits>(Int128{delivery.paid[i]} *
                                                   (delivery.units[i] - less) / delivery.units[i]);
      delivery.units[i] -= less;
      missing -= less;
    }
  }

 private:
  bool by_force_;
};

// Has a balance and bids `percent` of what units are worth to it. With escrow a bid counts up to
// the balance. Without, the host finds out when its invoice comes back, and bars it.
class GoingBroke : public ByOne {
 public:
  GoingBroke(size_t place, bool takes_gaps, int percent, bool escrow, Microcredits balance)
      : ByOne(place, takes_gaps), percent_(percent), escrow_(escrow), balance_(balance) {}
  void ChangeBids(const Seen& seen, std::vector<Bid>& bids) override {
    Bid& bid = bids[place_];
    Say(Scaled(seen.guests[place_].believed, percent_), bid);
    if (!escrow_) {
      if (seen.round >= kInvoiceRounds) bid.ranges.clear();
      return;
    }
    policies::RangeList list;
    for (const policies::Range& range : bid.ranges) list.ranges[list.count++] = range;
    bid.ranges = ToRanges(Cap(list, {.budget_microcredits = balance_}));
  }
  void ChangeDelivery(const Seen& seen, const std::vector<int64_t>& held,
                      Delivery& delivery) override {
    Attack::ChangeDelivery(seen, held, delivery);
    delivery.paid[place_] = std::min(delivery.paid[place_], balance_);
    balance_ -= delivery.paid[place_];
  }

 private:
  int percent_;
  bool escrow_;
  Microcredits balance_;
};

Totals& operator+=(Totals& a, const Totals& b) {
  a.attackers_surplus_microcredits += b.attackers_surplus_microcredits;
  a.others_surplus_microcredits += b.others_surplus_microcredits;
  a.revenue_microcredits += b.revenue_microcredits;
  a.idle_microcredits += b.idle_microcredits;
  a.welfare_microcredits += b.welfare_microcredits;
  a.attackers_paid_microcredits += b.attackers_paid_microcredits;
  a.attackers_units += b.attackers_units;
  a.unpaid_microcredits += b.unpaid_microcredits;
  a.unit_price_sum_microcredits += b.unit_price_sum_microcredits;
  a.rounds += b.rounds;
  return a;
}

// What one round added.
Totals Settle(const Host& host, const std::vector<Guest>& guests, const std::vector<bool>& attacks,
              const std::vector<size_t>& places, const Allocation& awarded,
              const Delivery& delivery) {
  Totals out;
  out.unit_price_sum_microcredits = awarded.unit_price_microcredits;
  for (size_t i = 0; i < delivery.paid.size(); ++i) {
    out.unpaid_microcredits += awarded.charges[i] - delivery.paid[i];
  }
  int64_t extra = 0;
  Microcredits extra_paid = 0;
  for (size_t i = guests.size(); i < delivery.units.size(); ++i) {
    extra += delivery.units[i];
    extra_paid += delivery.paid[i];
  }
  int64_t delivered = extra;
  out.attackers_units = extra;
  out.attackers_paid_microcredits = extra_paid;
  out.attackers_surplus_microcredits = -extra_paid;
  out.revenue_microcredits = extra_paid;
  Microcredits values = 0;
  for (size_t i = 0; i < guests.size(); ++i) {
    const bool first = !places.empty() && i == places.front();
    const Microcredits value = ValueAt(guests[i].now, delivery.units[i] + (first ? extra : 0));
    values += value;
    delivered += delivery.units[i];
    out.revenue_microcredits += delivery.paid[i];
    (attacks[i] ? out.attackers_surplus_microcredits : out.others_surplus_microcredits) +=
        value - delivery.paid[i];
    if (!attacks[i]) continue;
    out.attackers_paid_microcredits += delivery.paid[i];
    out.attackers_units += delivery.units[i];
  }
  out.idle_microcredits = (host.capacity_units - delivered) * host.reserve_unit_price_microcredits;
  out.welfare_microcredits = values + out.idle_microcredits;
  out.rounds = 1;
  return out;
}

absl::StatusOr<Totals> PlayOnce(const AttackOptions& options, uint64_t seed,
                                const std::string& rule, const RuleOptions& rule_options,
                                const std::vector<size_t>& places, Attack* attack) {
  WorkloadOptions workload_options = options.workload;
  workload_options.seed = seed;
  Workload workload(workload_options);
  std::vector<bool> attacks(workload.guests().size());
  for (size_t place : places) attacks[place] = true;
  Host host{workload_options.capacity_units, options.reserve_unit_price_microcredits, 0};
  Allocation last;
  last.units.resize(attacks.size());
  last.charges.resize(attacks.size());
  Totals totals;
  for (int64_t round = 0; round < options.rounds; ++round) {
    workload.Next();
    const std::vector<Guest>& guests = workload.guests();
    host.seed = policies::Mix(seed ^ static_cast<uint64_t>(round));
    const Seen seen{round, guests, host, last};
    std::vector<Bid> bids = TruthfulBids(rule, guests, last.units);
    if (attack != nullptr) attack->ChangeBids(seen, bids);
    auto allocation = ClearBids(rule, host, rule_options, bids);
    if (!allocation.ok()) return allocation.status();
    Delivery delivery{allocation->units, allocation->charges};
    if (attack != nullptr) {
      std::vector<int64_t> held = last.units;
      held.resize(bids.size());
      attack->ChangeDelivery(seen, held, delivery);
    }
    totals += Settle(host, guests, attacks, places, *allocation, delivery);
    allocation->units = std::move(delivery.units);
    allocation->charges = std::move(delivery.paid);
    last = *std::move(allocation);
  }
  return totals;
}

// The rules, an honest run of each, and who attacks.
struct Stage {
  struct OfRule {
    std::string rule;
    RuleOptions options;
  };
  std::vector<OfRule> rules;
  std::vector<size_t> rich;     // The guests worth most, the richest first.
  std::vector<size_t> various;  // From the richer half, evenly: some win anyway, some just so.
};

absl::StatusOr<Stage> MakeStage(const AttackOptions& options) {
  Stage stage;
  // The choice is made once, on the first seed, and its place then attacks in all.
  Workload workload(options.workload);
  std::vector<std::pair<Microcredits, size_t>> by_worth;
  for (size_t i = 0; i < workload.guests().size(); ++i) {
    by_worth.emplace_back(-workload.guests()[i].now.most_value(), i);
  }
  std::sort(by_worth.begin(), by_worth.end());
  for (size_t i = 0; i < std::min(kCandidates, by_worth.size()); ++i) {
    stage.rich.push_back(by_worth[i].second);
    stage.various.push_back(by_worth[i * by_worth.size() / (2 * kCandidates)].second);
  }
  const auto honest = Play(options, kMpsp, {}, {}, nullptr);
  if (!honest.ok()) return honest.status();
  for (const policies::RuleInfo& info : policies::Rules()) {
    Stage::OfRule of{std::string(info.name), {}};
    if (info.name == kPosted) {
      of.options.lowest_unit_price_microcredits =
          honest->unit_price_sum_microcredits / honest->rounds;
    }
    stage.rules.push_back(std::move(of));
  }
  return stage;
}

}  // namespace

void Attack::ChangeBids(const Seen& /*seen*/, std::vector<Bid>& /*bids*/) {}

void Attack::ChangeDelivery(const Seen& /*seen*/, const std::vector<int64_t>& /*held*/,
                            Delivery& /*delivery*/) {}

policies::GuestId FalseName(int k) { return kFalseNames + static_cast<policies::GuestId>(k); }

absl::StatusOr<Totals> Play(const AttackOptions& options, const std::string& rule,
                            const RuleOptions& rule_options, const std::vector<size_t>& places,
                            const std::function<std::unique_ptr<Attack>()>& attack) {
  Totals totals;
  for (int i = 0; i < options.seeds; ++i) {
    const std::unique_ptr<Attack> one = attack ? attack() : nullptr;
    const auto played = PlayOnce(options, options.workload.seed + static_cast<uint64_t>(i), rule,
                                 rule_options, places, one.get());
    if (!played.ok()) return played.status();
    totals += *played;
  }
  return totals;
}

namespace {

// One attack, ready to be played by whoever is in `places`, with a setting of its own choice.
struct Case {
  std::string attack;
  std::string defence;
  std::vector<std::vector<size_t>> attackers;  // One of these; all are tried.
  std::vector<int> settings;
  // `usual` is the run in which everybody is honest.
  std::function<std::unique_ptr<Attack>(const std::string& rule, const std::vector<size_t>& places,
                                        const Totals& usual, int setting)>
      make;
  // What the attackers do instead of attacking; empty: they bid the truth.
  decltype(make) instead = {};
};

Microcredits Balance(const Totals& usual) {
  return kBalanceRounds * usual.attackers_paid_microcredits / usual.rounds;
}

template <typename A, typename... Arguments>
std::unique_ptr<Attack> Make(const std::string& rule, const std::vector<size_t>& places,
                             Arguments... arguments) {
  return std::make_unique<A>(places.front(), TakesGaps(rule), arguments...);
}

std::vector<Case> Cases(const Stage& stage) {
  using Places = std::vector<size_t>;
  std::vector<Places> each;
  for (size_t place : stage.various) each.push_back({place});
  const std::vector<Places> outsider = {{}};
  auto broke = [](int percent, bool escrow) {
    return [=](const std::string& rule, const Places& places, const Totals& usual, int) {
      return Make<GoingBroke>(rule, places, percent, escrow, Balance(usual));
    };
  };
  auto after_change = [](bool exact_time) {
    return [=](const std::string& rule, const Places& places, const Totals&, int) {
      return Make<BidAfterChange>(rule, places, exact_time);
    };
  };
  auto keep = [](bool by_force) {
    return [=](const std::string&, const Places& places, const Totals&, int) {
      return std::make_unique<NeverReleasing>(places.front(), by_force);
    };
  };
  return {
      {"shading",
       "",
       each,
       {50, 70, 80, 90, 95},
       [](const std::string& rule, const Places& places, const Totals&, int percent) {
         return Make<Shading>(rule, places, percent);
       }},
      {"asking for less",
       "",
       each,
       {30, 50, 70, 80, 90},
       [](const std::string& rule, const Places& places, const Totals&, int percent) {
         return Make<AskingForLess>(rule, places, percent);
       }},
      {"false names",
       "",
       each,
       {0, 1},
       [](const std::string& rule, const Places& places, const Totals&, int twice) {
         return Make<FalseNames>(rule, places, twice == 1);
       }},
      {"border price",
       "shown",
       outsider,
       {0},
       [](const std::string&, const Places&, const Totals&, int) {
         return std::make_unique<BorderPrice>(std::nullopt);
       }},
      {"border price",
       "hidden",
       outsider,
       {0},
       [](const std::string&, const Places&, const Totals& usual, int) {
         return std::make_unique<BorderPrice>(usual.unit_price_sum_microcredits / usual.rounds);
       }},
      {"sandwich",
       "",
       outsider,
       {0},
       [](const std::string&, const Places&, const Totals&, int) {
         return std::make_unique<Sandwich>();
       }},
      {"bid after change", "free start", each, {0}, after_change(false)},
      {"bid after change", "exact time", each, {0}, after_change(true)},
      {"ring of " + std::to_string(stage.rich.size()),
       "",
       {stage.rich},
       {0},
       [](const std::string& rule, const Places& places, const Totals&, int) {
         return std::make_unique<Ring>(places, TakesGaps(rule));
       }},
      {"never releases", "on trust", each, {0}, keep(false)},
      {"never releases", "by force", each, {0}, keep(true)},
      {"goes broke", "invoice", each, {0}, broke(400, false), broke(100, true)},
      {"goes broke", "escrow", each, {0}, broke(400, true), broke(100, true)},
  };
}

// The case under one rule, by the attackers and with the setting that leave them most.
absl::StatusOr<AttackResult> PlayCase(const AttackOptions& options, const Stage::OfRule& of,
                                      const Case& c) {
  AttackResult best;
  bool found = false;
  auto gain = [](const AttackResult& r) {
    return r.attacked.attackers_surplus_microcredits - r.honest.attackers_surplus_microcredits;
  };
  for (const std::vector<size_t>& places : c.attackers) {
    const auto usual = Play(options, of.rule, of.options, places, nullptr);
    if (!usual.ok()) return usual.status();
    auto play = [&](const auto& make, int setting) {
      return Play(options, of.rule, of.options, places,
                  [&] { return make(of.rule, places, *usual, setting); });
    };
    const auto honest = c.instead ? play(c.instead, 0) : usual;
    if (!honest.ok()) return honest.status();
    for (int setting : c.settings) {
      const auto attacked = play(c.make, setting);
      if (!attacked.ok()) return attacked.status();
      AttackResult result{c.attack, c.defence, of.rule, setting, places, *honest, *attacked};
      if (found && gain(result) <= gain(best)) continue;
      best = std::move(result);
      found = true;
    }
  }
  return best;
}

}  // namespace

AttackOptions::AttackOptions() {
  workload.guests = 24;
  workload.capacity_units = 256;
  workload.stay_rounds = 0;
  workload.foresight = true;
}

absl::StatusOr<std::vector<AttackResult>> AllAttacks(const AttackOptions& options) {
  const auto stage = MakeStage(options);
  if (!stage.ok()) return stage.status();
  std::vector<AttackResult> results;
  for (const Case& c : Cases(*stage)) {
    for (const Stage::OfRule& of : stage->rules) {
      auto result = PlayCase(options, of, c);
      if (!result.ok()) return result.status();
      results.push_back(*std::move(result));
    }
  }
  return results;
}

absl::StatusOr<std::vector<AttackResult>> ShadingCurve(const AttackOptions& options,
                                                       const std::vector<int>& percents) {
  const auto stage = MakeStage(options);
  if (!stage.ok()) return stage.status();
  std::vector<AttackResult> results;
  const Case shading = Cases(*stage).front();
  for (const Stage::OfRule& of : stage->rules) {
    for (int percent : percents) {
      AttackResult all{shading.attack, "", of.rule, percent, stage->various, {}, {}};
      for (const std::vector<size_t>& places : shading.attackers) {
        Case one = shading;
        one.attackers = {places};
        one.settings = {percent};
        const auto result = PlayCase(options, of, one);
        if (!result.ok()) return result.status();
        all.honest += result->honest;
        all.attacked += result->attacked;
      }
      results.push_back(std::move(all));
    }
  }
  return results;
}

}  // namespace nom::economy
