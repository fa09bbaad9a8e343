// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "bench/economy/contract_study.h"
#include "bench/economy/report_parts.h"
#include "bench/economy/table.h"
#include "bench/economy/workload.h"

namespace nom::economy {
namespace {

ContractOptions ContractsOf(const ReportOptions& options) {
  ContractOptions study;
  study.seed = options.seed;
  study.rounds = std::clamp<int64_t>(options.rounds, 3 * kRoundsADay, 10'000);
  return study;
}

int Worlds(const ContractOptions& study) {
  return static_cast<int>(std::clamp<int64_t>(study.rounds / 200, 1, 10));
}

// Means of several worlds: one world's wealth says little.
absl::StatusOr<ContractResult> MeanOfWorlds(ContractOptions study) {
  const int worlds = Worlds(study);
  ContractResult mean;
  for (int world = 0; world < worlds; ++world) {
    const auto result = RunContracts(study);
    if (!result.ok()) return result.status();
    for (double ContractResult::*figure :
         {&ContractResult::welfare, &ContractResult::revenue, &ContractResult::spot_price,
          &ContractResult::spot_deviation, &ContractResult::contracted_share,
          &ContractResult::lost_units, &ContractResult::evicted, &ContractResult::steady_surplus,
          &ContractResult::other_surplus, &ContractResult::trader_gain}) {
      mean.*figure += *result.*figure / worlds;
    }
    ++study.seed;
  }
  return mean;
}

absl::StatusOr<std::string> ReportShares(const ReportOptions& options) {
  ContractOptions study = ContractsOf(options);
  study.share_ppm = 0;
  const auto none = MeanOfWorlds(study);
  if (!none.ok()) return none.status();
  Table table({"may be sold forward", "is", "welfare", "revenue", "spot price", "deviation",
               "lost units", "evicted", "steady guests", "others"});
  bench::Plot plot{"Welfare, revenue and losses by the share that may be sold forward",
                   {"share of the capacity (%)", bench::Scale::kLinear, 0, 80},
                   {"% of what it is without contracts", bench::Scale::kLinear, 0},
                   {{"welfare", {}}, {"revenue", {}}, {"lost units", {}}, {"spot price", {}}}};
  for (int64_t percent = 0; percent <= 80; percent += 10) {
    study.share_ppm = percent * kPpm / 100;
    const auto r = MeanOfWorlds(study);
    if (!r.ok()) return r.status();
    table.Add({Percent(static_cast<double>(percent) / 100, 0), Percent(r->contracted_share),
               Percent(r->welfare / none->welfare), Percent(r->revenue / none->revenue),
               Fixed(r->spot_price / kCredit, 3), Percent(r->spot_deviation, 0),
               Fixed(r->lost_units, 2), Percent(r->evicted),
               Percent(r->steady_surplus / none->steady_surplus),
               Percent(r->other_surplus / none->other_surplus)});
    const auto x = static_cast<double>(percent);
    plot.series[0].points.push_back({x, 100 * r->welfare / none->welfare});
    plot.series[1].points.push_back({x, 100 * r->revenue / none->revenue});
    plot.series[2].points.push_back({x, 100 * r->lost_units / none->lost_units});
    plot.series[3].points.push_back({x, 100 * r->spot_price / none->spot_price});
  }
  if (auto s = Draw(options, "contracts", plot); !s.ok()) return s;
  return table.Text();
}

// What the price of a contract is made of: what its buyers and its abusers make of each choice.
absl::StatusOr<std::string> ReportPolicies(const ReportOptions& options) {
  Table table({"percentile, scarcity premium", "sold forward", "welfare", "revenue", "lost units",
               "corner gains", "valley gains", "ending gains"});
  ContractOptions study = ContractsOf(options);
  study.share_ppm = 0;
  const auto none = MeanOfWorlds(study);
  if (!none.ok()) return none.status();
  study.share_ppm = ContractOptions().share_ppm;
  for (const int64_t percentile : {50, 60, 70, 80}) {
    for (const int64_t premium : {0, 20, 50, 100}) {
      study.policy.percentile_ppm = percentile * kPpm / 100;
      study.policy.scarcity_premium_ppm = premium * kPpm / 100;
      study.trader = Trader::kNone;
      const auto r = MeanOfWorlds(study);
      if (!r.ok()) return r.status();
      std::vector<std::string> row = {absl::StrCat(percentile, " %, ", premium, " %"),
                                      Percent(r->contracted_share),
                                      Percent(r->welfare / none->welfare),
                                      Percent(r->revenue / none->revenue), Fixed(r->lost_units, 2)};
      for (const Trader trader : {Trader::kCorner, Trader::kValley, Trader::kEnder}) {
        study.trader = trader == Trader::kEnder ? Trader::kSpotOnly : Trader::kNone;
        const auto without = MeanOfWorlds(study);
        study.trader = trader;
        const auto with = MeanOfWorlds(study);
        if (!with.ok()) return with.status();
        row.push_back(Percent((with->trader_gain - without->trader_gain) / without->welfare, 2));
      }
      table.Add(std::move(row));
    }
  }
  return table.Text();
}

struct Trade {
  const char* name;
  void (*prepare)(ContractOptions& study);
};

// Each attack with what the host does about it and without, the default first.
constexpr Trade kTrades[] = {
    {"corner the share, premium 20 %", [](ContractOptions& s) { s.trader = Trader::kCorner; }},
    {"the same, no premium",
     [](ContractOptions& s) {
       s.trader = Trader::kCorner;
       s.policy.scarcity_premium_ppm = 0;
     }},
    {"the same, premium 100 %",
     [](ContractOptions& s) {
       s.trader = Trader::kCorner;
       s.policy.scarcity_premium_ppm = 1'000'000;
     }},
    {"the same under two names, premium 20 %",
     [](ContractOptions& s) {
       s.trader = Trader::kCorner;
       s.trader_names = 2;
     }},
    {"under two names, quoted side by side",
     [](ContractOptions& s) {
       s.trader = Trader::kCorner;
       s.trader_names = 2;
       s.quoted_side_by_side = true;
     }},
    {"under sixteen names, quoted side by side",
     [](ContractOptions& s) {
       s.trader = Trader::kCorner;
       s.trader_names = 16;
       s.quoted_side_by_side = true;
     }},
    {"snipe a quote that holds for 1 round",
     [](ContractOptions& s) { s.trader = Trader::kSniper; }},
    {"that holds for 4 rounds",
     [](ContractOptions& s) {
       s.trader = Trader::kSniper;
       s.quote_rounds = 4;
     }},
    {"that holds for 24 rounds",
     [](ContractOptions& s) {
       s.trader = Trader::kSniper;
       s.quote_rounds = 24;
     }},
    {"the same under two names",
     [](ContractOptions& s) {
       s.trader = Trader::kSniper;
       s.quote_rounds = 24;
       s.trader_names = 2;
     }},
    {"buy in valleys, quotes of a day's prices",
     [](ContractOptions& s) { s.trader = Trader::kValley; }},
    {"the same under two names",
     [](ContractOptions& s) {
       s.trader = Trader::kValley;
       s.trader_names = 2;
     }},
    {"buy in valleys, of two hours' prices",
     [](ContractOptions& s) {
       s.trader = Trader::kValley;
       s.history_rounds = 8;
     }},
    {"end when spot is cheaper, fee 10 %", [](ContractOptions& s) { s.trader = Trader::kEnder; }},
    {"the same, no fee",
     [](ContractOptions& s) {
       s.trader = Trader::kEnder;
       s.policy.end_fee_ppm = 0;
     }},
    {"the same, fee 50 %",
     [](ContractOptions& s) {
       s.trader = Trader::kEnder;
       s.policy.end_fee_ppm = 500'000;
     }},
};

absl::StatusOr<std::string> ReportTrades(const ReportOptions& options) {
  Table table({"attack", "its gain", "steady guests", "others", "operator", "welfare"});
  for (const Trade& trade : kTrades) {
    ContractOptions study = ContractsOf(options);
    trade.prepare(study);
    const auto with = MeanOfWorlds(study);
    if (!with.ok()) return with.status();
    study.trader = study.trader == Trader::kEnder ? Trader::kSpotOnly : Trader::kNone;
    const auto without = MeanOfWorlds(study);
    if (!without.ok()) return without.status();
    const auto change = [&](double ContractResult::*figure) {
      return Percent((*with.*figure - *without.*figure) / without->welfare, 2);
    };
    table.Add({trade.name, change(&ContractResult::trader_gain),
               change(&ContractResult::steady_surplus), change(&ContractResult::other_surplus),
               change(&ContractResult::revenue), change(&ContractResult::welfare)});
  }
  return table.Text();
}

}  // namespace

absl::StatusOr<std::string> ReportContracts(const ReportOptions& options) {
  const ContractOptions study = ContractsOf(options);
  const auto shares = ReportShares(options);
  if (!shares.ok()) return shares.status();
  const auto policies = ReportPolicies(options);
  if (!policies.ok()) return policies.status();
  const auto trades = ReportTrades(options);
  if (!trades.ok()) return trades.status();
  return absl::StrCat(
      study.guests, " guests (a third steady, a third by day, a third in bursts), ",
      study.capacity_units, " units, ", study.rounds, " rounds of which ", kRoundsADay,
      " are a day, means of ", Worlds(study), " worlds from seed ", options.seed,
      ".\nA unit is worth half in its first round. lost units: taken from guests that needed them, "
      "a round. evicted: the chance that\na guest loses such units in a round. steady guests, "
      "others: their surplus, of what it is without contracts\n\n",
      *shares, "\nWhat the price is made of, half of the capacity may be sold forward\n\n",
      *policies,
      "\nAttacks, half of the capacity may be sold forward. Changes against the same world "
      "without the attacker, in % of its\nwelfare (\"end\": against the same guest that only bids "
      "in auctions)\n\n",
      *trades);
}

}  // namespace nom::economy
