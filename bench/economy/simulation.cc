// SPDX-License-Identifier: Apache-2.0
#include "bench/economy/simulation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace nom::economy {
namespace {

constexpr double kCredit = 1e6;  // Micro-credits.

// Units of each place, given to whoever is there now.
struct Holdings {
  std::vector<policies::GuestId> ids;
  std::vector<int64_t> units;

  // Forgets what guests that have left held.
  void Match(const std::vector<Guest>& guests) {
    ids.resize(guests.size(), 0);
    units.resize(guests.size(), 0);
    for (size_t i = 0; i < guests.size(); ++i) {
      if (ids[i] != guests[i].id) units[i] = 0;
      ids[i] = guests[i].id;
    }
  }
};

Microcredits TotalValue(const std::vector<Guest>& guests, const std::vector<int64_t>& units,
                        Valuation Guest::*which) {
  Microcredits value = 0;
  for (size_t i = 0; i < guests.size(); ++i) value += ValueAt(guests[i].*which, units[i]);
  return value;
}

int64_t Sum(const std::vector<int64_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), int64_t{0});
}

absl::Status Check(const Mechanism& mechanism, const Host& host, const Allocation& allocation) {
  auto wrong = [&](auto... what) {
    return absl::InternalError(absl::StrCat(mechanism.name, ": ", what...));
  };
  for (size_t i = 0; i < allocation.units.size(); ++i) {
    if (allocation.units[i] < 0 || allocation.charges[i] < 0) {
      return wrong("units or charge below 0 at place ", i);
    }
  }
  const int64_t sold = Sum(allocation.units);
  if (sold > host.capacity_units) return wrong(sold, " units of ", host.capacity_units);
  return absl::OkStatus();
}

void MeasureFairness(const std::vector<Guest>& guests, const Allocation& allocation,
                     RoundFigures& figures) {
  Int128 sum = 0;
  Int128 squares = 0;
  int64_t n = 0;
  for (size_t i = 0; i < guests.size(); ++i) {
    const Microcredits most = guests[i].now.most_value();
    if (most == 0) continue;
    const auto share =
        static_cast<int64_t>(Int128{ValueAt(guests[i].now, allocation.units[i])} * kPpm / most);
    sum += share;
    squares += Int128{share} * share;
    ++n;
  }
  if (n == 0) return;
  figures.satisfaction_ppm = static_cast<int64_t>(sum / n);
  // If nobody has anything all are alike.
  figures.jain_ppm = squares == 0 ? kPpm : static_cast<int64_t>(sum * sum * kPpm / (squares * n));
}

void MeasureEnvy(const std::vector<Guest>& guests, const Allocation& allocation,
                 RoundFigures& figures) {
  for (size_t i = 0; i < guests.size(); ++i) {
    const Microcredits own =
        ValueAt(guests[i].believed, allocation.units[i]) - allocation.charges[i];
    for (size_t j = 0; j < guests.size(); ++j) {
      if (i == j) continue;
      ++figures.envy_pairs_checked;
      const Microcredits other =
          ValueAt(guests[i].believed, allocation.units[j]) - allocation.charges[j];
      if (other > own) ++figures.envy_pairs;
    }
  }
}

}  // namespace

absl::StatusOr<SimulationRun> Simulate(const SimulationOptions& options,
                                       const std::vector<Mechanism>& mechanisms) {
  Workload workload(options.workload);
  SimulationRun run;
  std::vector<Holdings> holdings(mechanisms.size());
  for (const Mechanism& m : mechanisms) run.mechanisms.push_back({m.name, m.market, {}});
  Host host{options.workload.capacity_units, options.reserve_unit_price_microcredits, 0};
  for (int64_t round = 0; round < options.rounds; ++round) {
    workload.Next();
    const std::vector<Guest>& guests = workload.guests();
    host.seed = policies::Mix(options.workload.seed ^ static_cast<uint64_t>(round));
    auto welfare = [&](const std::vector<int64_t>& units, Valuation Guest::*which) {
      return TotalValue(guests, units, which) +
             (host.capacity_units - Sum(units)) * host.reserve_unit_price_microcredits;
    };
    const auto best = Optimum(host, guests);
    if (!best.ok()) return best.status();
    run.optimum_microcredits.push_back(welfare(*best, &Guest::now));
    for (size_t m = 0; m < mechanisms.size(); ++m) {
      Holdings& held = holdings[m];
      held.Match(guests);
      const auto allocation = mechanisms[m].allocate(host, guests, held.units);
      if (!allocation.ok()) return allocation.status();
      if (auto s = Check(mechanisms[m], host, *allocation); !s.ok()) return s;
      RoundFigures figures;
      figures.welfare_microcredits = welfare(allocation->units, &Guest::now);
      figures.believed_welfare_microcredits = welfare(allocation->units, &Guest::believed);
      figures.revenue_microcredits = Sum(allocation->charges);
      figures.surplus_microcredits =
          TotalValue(guests, allocation->units, &Guest::now) - figures.revenue_microcredits;
      figures.unit_price_microcredits = allocation->unit_price_microcredits;
      figures.sold_units = Sum(allocation->units);
      for (size_t i = 0; i < guests.size(); ++i) {
        figures.moved_units += std::max<int64_t>(0, held.units[i] - allocation->units[i]);
      }
      MeasureFairness(guests, *allocation, figures);
      if (round % options.envy_every_rounds == 0) MeasureEnvy(guests, *allocation, figures);
      run.mechanisms[m].rounds.push_back(figures);
      held.units = allocation->units;
    }
  }
  return run;
}

Summary Summarise(const SimulationOptions& options, const SimulationRun& run, size_t mechanism) {
  const std::vector<RoundFigures>& rounds = run.mechanisms[mechanism].rounds;
  Summary out;
  if (rounds.empty()) return out;
  const auto n = static_cast<double>(rounds.size());
  const auto capacity = static_cast<double>(options.workload.capacity_units);
  double optimum = 0;
  double welfare = 0;
  double revenue = 0;
  double price = 0;
  double price_squares = 0;
  double change = 0;
  double envied = 0;
  double pairs = 0;
  std::vector<double> shares;
  for (size_t i = 0; i < rounds.size(); ++i) {
    const RoundFigures& r = rounds[i];
    const auto best = static_cast<double>(run.optimum_microcredits[i]);
    const auto p = static_cast<double>(r.unit_price_microcredits);
    optimum += best;
    welfare += static_cast<double>(r.welfare_microcredits);
    revenue += static_cast<double>(r.revenue_microcredits);
    shares.push_back(best == 0 ? 1 : static_cast<double>(r.welfare_microcredits) / best);
    price += p;
    price_squares += p * p;
    if (i > 0) {
      change += std::fabs(p - static_cast<double>(rounds[i - 1].unit_price_microcredits));
    }
    out.satisfaction += static_cast<double>(r.satisfaction_ppm) / kPpm / n;
    out.jain += static_cast<double>(r.jain_ppm) / kPpm / n;
    envied += static_cast<double>(r.envy_pairs);
    pairs += static_cast<double>(r.envy_pairs_checked);
    out.moved_share += static_cast<double>(r.moved_units) / capacity / n;
    out.sold_share += static_cast<double>(r.sold_units) / capacity / n;
  }
  std::sort(shares.begin(), shares.end());
  const double mean_price = price / n;
  out.worst_share = shares[shares.size() / 20];
  out.welfare_share = optimum == 0 ? 1 : welfare / optimum;
  out.revenue_a_round = revenue / n / kCredit;
  out.revenue_share = optimum == 0 ? 0 : revenue / optimum;
  out.mean_unit_price = mean_price / kCredit;
  if (mean_price > 0) {
    out.price_change = rounds.size() < 2 ? 0 : change / (n - 1) / mean_price;
    out.price_deviation =
        std::sqrt(std::max(0.0, price_squares / n - mean_price * mean_price)) / mean_price;
  }
  out.envy_free = pairs == 0 ? 1 : 1 - envied / pairs;
  return out;
}

absl::StatusOr<Microcredits> BestPostedPrice(const SimulationOptions& options,
                                             const std::vector<Microcredits>& candidates) {
  std::vector<Mechanism> mechanisms;
  for (Microcredits price : candidates) {
    RuleOptions rule;
    rule.lowest_unit_price_microcredits = price;
    mechanisms.push_back(Rule("posted_price/1", rule));
  }
  const auto run = Simulate(options, mechanisms);
  if (!run.ok()) return run.status();
  Microcredits best = 0;
  Int128 most = -1;
  for (size_t m = 0; m < candidates.size(); ++m) {
    Int128 welfare = 0;
    for (const RoundFigures& r : run->mechanisms[m].rounds) welfare += r.welfare_microcredits;
    if (welfare > most) {
      most = welfare;
      best = candidates[m];
    }
  }
  return best;
}

}  // namespace nom::economy
