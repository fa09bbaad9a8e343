// SPDX-License-Identifier: Apache-2.0
#include "bench/economy/report.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/economy/attacks.h"
#include "bench/economy/budget_study.h"
#include "bench/economy/ginseng_study.h"
#include "bench/economy/joint_study.h"
#include "bench/economy/nom_study.h"
#include "bench/economy/report_parts.h"
#include "bench/economy/simulation.h"
#include "bench/economy/table.h"
#include "bench/plot/svg_plot.h"
#include "policies/clearing/rules.h"

namespace nom::economy {
namespace {

constexpr Microcredits kPenalty = 100'000;  // About half of what a unit costs.
constexpr int64_t kPlottedRounds = 240;

SimulationOptions RulesOptions(const ReportOptions& options) {
  SimulationOptions simulation;
  simulation.rounds = options.rounds;
  simulation.workload.seed = options.seed;
  simulation.workload.guests = options.guests;
  simulation.workload.capacity_units = 8 * options.guests;
  return simulation;
}

constexpr char kMpsp[] = "mpsp/1";
constexpr char kPenalised[] = "mpsp/1, penalty";
constexpr char kPosted[] = "posted_price/1";
constexpr char kPostedBest[] = "posted price, best";
constexpr char kPostedLow[] = "posted price, reserve";

// What the tables compare: every rule, mpsp first; the posted price at the one given and at the
// reserve; and hosts without a market.
std::vector<Mechanism> Mechanisms(Microcredits posted) {
  std::vector<Mechanism> all = {
      Rule(kMpsp), Rule(kMpsp, {.reclaim_penalty_microcredits = kPenalty}, kPenalised)};
  for (const policies::RuleInfo& info : policies::Rules()) {
    if (info.name != kMpsp && info.name != kPosted) all.push_back(Rule(std::string(info.name)));
  }
  all.push_back(Rule(kPosted, {.lowest_unit_price_microcredits = posted}, kPostedBest));
  all.push_back(Rule(kPosted, {}, kPostedLow));
  for (Mechanism& blind : std::vector<Mechanism>{MostHits(), StaticSplit(), Hinting()}) {
    all.push_back(std::move(blind));
  }
  return all;
}

std::vector<Microcredits> PostedPrices() {
  std::vector<Microcredits> prices;
  for (Microcredits price = 20'000; price < 2'000'000; price = price * 5 / 4) {
    prices.push_back(price);
  }
  return prices;
}

double Sum(const std::vector<RoundFigures>& rounds, Microcredits RoundFigures::*figure) {
  double sum = 0;
  for (const RoundFigures& r : rounds) sum += static_cast<double>(r.*figure);
  return sum;
}

absl::Status DrawPrices(const ReportOptions& options, const SimulationRun& run) {
  bench::Plot plot{"Price of a unit, round by round", {"round"}, {"price (credits a unit)"}, {}};
  for (const MechanismRun& mechanism : run.mechanisms) {
    if (!mechanism.market || mechanism.name == kPostedLow) continue;
    bench::Series series{mechanism.name, {}};
    const std::vector<RoundFigures>& rounds = mechanism.rounds;
    for (size_t r = 0; r < std::min<size_t>(rounds.size(), kPlottedRounds); ++r) {
      series.points.push_back({static_cast<double>(r),
                               static_cast<double>(rounds[r].unit_price_microcredits) / kCredit});
    }
    plot.series.push_back(std::move(series));
  }
  return Draw(options, "prices", plot);
}

// Welfare by how much more is wanted than there is.
absl::Status DrawScarcity(const ReportOptions& options, Microcredits posted, std::string& text) {
  SimulationOptions simulation = RulesOptions(options);
  simulation.rounds = std::max<int64_t>(1, options.rounds / 20);
  std::vector<Mechanism> mechanisms = Mechanisms(posted);
  std::erase_if(mechanisms, [](const Mechanism& m) {
    return m.name == kPenalised || m.name == kPostedLow;  // Crowded enough.
  });
  bench::Plot plot{"Welfare by scarcity",
                   {"wanted / there (working sets / capacity)", bench::Scale::kLog},
                   {"welfare (% of the clairvoyant optimum)", bench::Scale::kLinear, 0, 103},
                   {}};
  std::vector<std::string> header = {"wanted / there"};
  for (const Mechanism& mechanism : mechanisms) {
    plot.series.push_back({mechanism.name, {}});
    header.push_back(mechanism.name);
  }
  Table table(header);
  for (const int64_t percent : {50, 100, 150, 200, 300, 500, 800, 1'200}) {
    simulation.workload.pressure_ppm = percent * kPpm / 100;
    const auto run = Simulate(simulation, mechanisms);
    if (!run.ok()) return run.status();
    std::vector<std::string> row = {Fixed(static_cast<double>(percent) / 100, 1)};
    for (size_t m = 0; m < mechanisms.size(); ++m) {
      const double share = Summarise(simulation, *run, m).welfare_share;
      plot.series[m].points.push_back({static_cast<double>(percent) / 100, 100 * share});
      row.push_back(Percent(share));
    }
    table.Add(std::move(row));
  }
  absl::StrAppend(&text, "\nWelfare by scarcity, % of the clairvoyant optimum, ", simulation.rounds,
                  " rounds each; the posted price stays what was best at 3.0:\n\n", table.Text());
  return Draw(options, "scarcity", plot);
}

absl::StatusOr<std::string> ReportRules(const ReportOptions& options) {
  const SimulationOptions simulation = RulesOptions(options);
  SimulationOptions scan = simulation;
  scan.rounds = std::max<int64_t>(1, options.rounds / 20);
  const auto posted = BestPostedPrice(scan, PostedPrices());
  if (!posted.ok()) return posted.status();
  const auto run = Simulate(simulation, Mechanisms(*posted));
  if (!run.ok()) return run.status();
  Table money({"mechanism", "welfare", "of bids", "5th pct", "revenue", "rev. share", "price",
               "change", "deviation"});
  Table fairness({"mechanism", "satisfied", "Jain", "envy-free", "moved", "in use"});
  bench::BarChart chart{"Welfare by mechanism",
                        {"welfare (% of the clairvoyant optimum)", bench::Scale::kLinear, 0, 100},
                        {"welfare"},
                        {}};
  const double believed =
      Sum(run->mechanisms[0].rounds, &RoundFigures::believed_welfare_microcredits);
  for (size_t m = 0; m < run->mechanisms.size(); ++m) {
    const MechanismRun& one = run->mechanisms[m];
    const Summary s = Summarise(simulation, *run, m);
    const bool moves = s.price_deviation > 0;
    money.Add({one.name, Percent(s.welfare_share),
               Percent(Sum(one.rounds, &RoundFigures::believed_welfare_microcredits) / believed),
               Percent(s.worst_share), Fixed(s.revenue_a_round, 1), Percent(s.revenue_share),
               Fixed(s.mean_unit_price, 3), moves ? Percent(s.price_change) : "-",
               moves ? Percent(s.price_deviation) : "-"});
    fairness.Add({one.name, Fixed(s.satisfaction, 2), Fixed(s.jain, 2), Percent(s.envy_free),
                  Percent(s.moved_share), Percent(s.sold_share)});
    chart.groups.push_back({one.name, {100 * s.welfare_share}});
  }
  std::string text = absl::StrCat(
      options.guests, " guests, ", simulation.workload.capacity_units, " lots, ", options.rounds,
      " rounds, seed ", options.seed,
      "; working sets are 3.0 times what there is; wealth Lomax, index log4 5.\n\n", money.Text(),
      "\nwelfare: values as they turned out (and the reserve, ",
      Fixed(static_cast<double>(simulation.reserve_unit_price_microcredits) / kCredit, 2),
      " credits, for idle lots), of the optimum of a clairvoyant\nof bids: the same by what guests "
      "knew when they bid, of mpsp's, which is exact\n5th pct: welfare that 19 of 20 rounds "
      "surpass; revenue: credits a round; rev. share: of the optimum\nprice: credits a lot; "
      "change: mean step from round to round, deviation: standard deviation, both of the mean "
      "price\n\n",
      fairness.Text(),
      "\nsatisfied: what guests get out of their lots, of what they could with all they can use, "
      "mean; Jain: Jain's index of it\nenvy-free: ordered pairs of guests of which the first "
      "would not rather have the second's lots at its charge\nmoved: lots taken from guests a "
      "round, of all; in use: lots given out, of all\n");
  if (auto s = Draw(options, "welfare", chart); !s.ok()) return s;
  if (auto s = DrawPrices(options, *run); !s.ok()) return s;
  if (auto s = DrawScarcity(options, *posted, text); !s.ok()) return s;
  return text;
}

std::string ShortRule(const std::string& rule) { return rule.substr(0, rule.find('/')); }

// What the attack changed, as a share of the honest run's welfare.
double Share(const AttackResult& r, Microcredits Totals::*figure) {
  return static_cast<double>(r.attacked.*figure - r.honest.*figure) /
         static_cast<double>(r.honest.welfare_microcredits);
}

std::string AttackName(const AttackResult& r) {
  return r.defence.empty() ? r.attack : absl::StrCat(r.attack, ", ", r.defence);
}

// A table and a bar chart of one figure of all attacks, by rule.
class AttackMatrix {
 public:
  AttackMatrix(const std::vector<AttackResult>& results, std::string title)
      : chart_{std::move(title), {"% of the welfare of the honest run"}, {}, {}, 2},
        header_{"attack"} {
    for (const AttackResult& r : results) {
      const std::string rule = ShortRule(r.rule);
      if (std::find(chart_.series.begin(), chart_.series.end(), rule) != chart_.series.end()) break;
      chart_.series.push_back(rule);
      header_.push_back(rule);
    }
  }

  void Add(const AttackResult& r, Microcredits Totals::*figure, double sign, bool with_setting) {
    const double share = sign * Share(r, figure);
    const std::string name = AttackName(r);
    if (chart_.groups.empty() || chart_.groups.back().label != name) {
      chart_.groups.push_back({name, {}});
      rows_.push_back({name});
    }
    chart_.groups.back().values.push_back(100 * share);
    std::string cell = Percent(share, 2);
    if (cell == "-0.00 %") cell = "0.00 %";
    if (with_setting && r.setting > 1) cell = absl::StrCat("(at ", r.setting, ") ", cell);
    rows_.back().push_back(cell);
  }

  // Rows in which nothing happens under any rule are left out.
  std::string Text() const {
    Table table(header_);
    for (const auto& row : rows_) {
      const auto zeros = std::count(row.begin() + 1, row.end(), "0.00 %");
      if (zeros + 1 < static_cast<int64_t>(row.size())) table.Add(row);
    }
    return absl::StrCat("\n", chart_.title, ", ", chart_.values.label, ":\n\n", table.Text());
  }
  const bench::BarChart& chart() const { return chart_; }

 private:
  bench::BarChart chart_;
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

absl::Status DrawShading(const ReportOptions& options, const AttackOptions& attack) {
  if (options.out.empty()) return absl::OkStatus();
  const auto results = ShadingCurve(attack, {50, 60, 70, 80, 90, 100, 110, 125, 150});
  if (!results.ok()) return results.status();
  bench::Plot plot{"What a guest gains by not bidding the truth",
                   {"bid (% of the truth)", bench::Scale::kLinear, 40, 160},
                   {"mean gain of 8 guests, each alone (% of all welfare)"},
                   {}};
  for (const AttackResult& r : *results) {
    const std::string rule = ShortRule(r.rule);
    if (plot.series.empty() || plot.series.back().name != rule) plot.series.push_back({rule, {}});
    plot.series.back().points.push_back(
        {static_cast<double>(r.setting), 100 * Share(r, &Totals::attackers_surplus_microcredits)});
  }
  return Draw(options, "shading", plot);
}

absl::StatusOr<std::string> ReportAttacks(const ReportOptions& options) {
  AttackOptions attack;
  attack.workload.seed = options.seed;
  attack.rounds = std::max<int64_t>(1, options.rounds * 3 / 100);
  const auto results = AllAttacks(attack);
  if (!results.ok()) return results.status();
  AttackMatrix gain(*results, "What the attacker gains");
  AttackMatrix loss(*results, "What it costs the other guests");
  AttackMatrix earned(*results, "What the rule earns more");
  AttackMatrix welfare(*results, "What is lost altogether");
  AttackMatrix unpaid(*results, "What is charged and not paid");
  for (const AttackResult& r : *results) {
    gain.Add(r, &Totals::attackers_surplus_microcredits, 1, true);
    loss.Add(r, &Totals::others_surplus_microcredits, -1, false);
    earned.Add(r, &Totals::revenue_microcredits, 1, false);
    welfare.Add(r, &Totals::welfare_microcredits, -1, false);
    unpaid.Add(r, &Totals::unpaid_microcredits, 1, false);
  }
  if (auto s = Draw(options, "attack_gain", gain.chart()); !s.ok()) return s;
  if (auto s = Draw(options, "attack_cost", loss.chart()); !s.ok()) return s;
  if (auto s = DrawShading(options, attack); !s.ok()) return s;
  return absl::StrCat(attack.workload.guests, " guests, ", attack.workload.capacity_units,
                      " lots, ", attack.rounds, " rounds, ", attack.seeds, " runs from seed ",
                      options.seed,
                      ". Everybody else bids the truth. at: the setting that pays the attacker "
                      "most,\nin % of the truth or of what it could use. Rows in which nothing "
                      "happens under any rule are left out; what is\nheld back from a host that "
                      "takes by force is nothing by construction.\n",
                      gain.Text(), loss.Text(), earned.Text(), welfare.Text(), unpaid.Text());
}

std::string Wait(int64_t wait_ns) {
  return wait_ns < 0 ? "stops" : absl::StrCat(wait_ns / 1'000, " us");
}

absl::StatusOr<std::string> ReportNom(const ReportOptions& options) {
  Table table({"program", "utility", "adaptive, $/s", "W, light", "W, heavy", "best throughput",
               "published", "best latency", "published"});
  bench::BarChart chart{"Profit of programs that do not adapt",
                        {"share of the adaptive program's profit", bench::Scale::kLinear, 0, 1.05},
                        {"best throughput: ours", "published", "best latency: ours", "published"},
                        {},
                        2};
  auto published = [](double share) { return share == 0 ? "-" : Fixed(share, 2); };
  for (const NomResult& r : NomStudy()) {
    const auto adaptive = static_cast<double>(r.adaptive_microcredits);
    const double throughput = static_cast<double>(r.best_throughput_microcredits) / adaptive;
    const double latency = static_cast<double>(r.best_latency_microcredits) / adaptive;
    table.Add({r.program, r.utility, Fixed(adaptive / kCredit, 2), Wait(r.adaptive_wait_ns[0]),
               Wait(r.adaptive_wait_ns[1]), Fixed(throughput, 2), published(r.published_throughput),
               Fixed(latency, 2), published(r.published_latency)});
    if (r.published_throughput == 0 || r.program == "NetPIPE") continue;  // Nothing to compare.
    chart.groups.push_back({absl::StrCat(r.program, ", ", r.utility),
                            {throughput, r.published_throughput, latency, r.published_latency}});
  }
  if (auto s = Draw(options, "nom", chart); !s.ok()) return s;
  return absl::StrCat(
      "The price of a Gbit steps from $1 to $10 together with the load. Shares of the adaptive "
      "program's profit; W: for\nhow long requests are collected to a batch. The last three rows "
      "are the three published points of memcached\nalone, at one load; the other points and the "
      "loads were not published: they come from the model in nom_study.h,\nwhich says how it was "
      "chosen.\n\n",
      table.Text());
}

absl::StatusOr<std::string> ReportGinseng(const ReportOptions& options) {
  GinsengOptions study;
  study.seed = options.seed;
  study.rounds = std::max<int64_t>(1, options.rounds / 20);
  const auto memory = GinsengMemory(study);
  if (!memory.ok()) return memory.status();
  Table table({"worth of performance", "wanted / there", "market, % of optimum", "over hinting",
               "over static", "over most hits"});
  bench::Plot plot{"The market against hosts without one (memory)",
                   {"wanted / there (working sets / capacity)", bench::Scale::kLog},
                   {"welfare of the market / of the other", bench::Scale::kLog, 1},
                   {{"hinting, linear", {}},
                    {"static, linear", {}},
                    {"hinting, square", {}},
                    {"static, square", {}},
                    {"published, least", {{1, 6.2}, {12, 6.2}}, true},
                    {"published, most", {{1, 15.8}, {12, 15.8}}, true}}};
  for (const GinsengResult& r : *memory) {
    table.Add({r.square ? "its square" : "linear", Fixed(r.pressure, 1), Percent(r.market_share),
               Fixed(r.over_hinting, 2), Fixed(r.over_static, 2), Fixed(r.over_hits, 2)});
    const size_t first = r.square ? 2 : 0;
    plot.series[first].points.push_back({r.pressure, r.over_hinting});
    plot.series[first + 1].points.push_back({r.pressure, r.over_static});
  }
  study.seeds = 40;
  auto cache = GinsengCache(study);
  if (!cache.ok()) return cache.status();
  Table ways({"20 ways, 10 guests, 40 runs", "market, % of optimum", "over hinting", "over static",
              "over most hits"});
  auto row = [&](const char* name, size_t rank) {
    auto at = [&](double GinsengResult::*figure) {
      std::vector<double> values;
      for (const GinsengResult& r : *cache) values.push_back(r.*figure);
      std::sort(values.begin(), values.end());
      return values[rank];
    };
    ways.Add({name, Percent(at(&GinsengResult::market_share)),
              Fixed(at(&GinsengResult::over_hinting), 2), Fixed(at(&GinsengResult::over_static), 2),
              Fixed(at(&GinsengResult::over_hits), 2)});
  };
  row("least", 0);
  row("median", cache->size() / 2);
  row("most", cache->size() - 1);
  if (auto s = Draw(options, "ginseng", plot); !s.ok()) return s;
  return absl::StrCat(
      "Published: the market reaches 83-100 % of the optimum and 6.2-15.8 times the welfare of "
      "hinting and static\ndivision (memory); up to 42.8 times (cache ways). Ours: 16 guests on "
      "512 lots, ",
      study.rounds, " rounds, 5 runs from seed ", options.seed, ".\n\n", table.Text(), "\n",
      ways.Text());
}

const char* NeedName(Need need) {
  switch (need) {
    case Need::kIndependent:
      return "independent uses";
    case Need::kScarcest:
      return "the scarcest decides";
    case Need::kWhole:
      break;
  }
  return "all or nothing";
}

absl::StatusOr<std::string> ReportJoint(const ReportOptions& options) {
  JointOptions study;
  study.seed = options.seed;
  study.auctions = static_cast<int>(std::clamp<int64_t>(options.rounds / 50, 1, 1'000));
  const auto results = JointStudy(study);
  if (!results.ok()) return results.status();
  Table table({"need", "worth", "resources", "joint / at once", "joint / in turn",
               "joint / bundles", "pay too much"});
  bench::Plot plot{"One joint auction against one for each resource",
                   {"resources", bench::Scale::kLinear, 1, 4},
                   {"welfare of the joint auction / of the other", bench::Scale::kLog, 1},
                   {}};
  for (const JointResult& r : *results) {
    const char* worth = r.alike ? "alike" : "Lomax";
    if (r.resources > 1) {
      table.Add({NeedName(r.need), worth, absl::StrCat(r.resources), Fixed(1 / r.share, 2),
                 Fixed(1 / r.turn, 2), Fixed(1 / r.bundles, 2), Percent(r.losers, 0)});
    }
    if (r.need == Need::kIndependent) continue;
    if (r.resources == 1) {
      const std::string name = r.need == Need::kWhole ? "whole" : "scarcest";
      plot.series.push_back({absl::StrCat(name, ", ", worth), {}});
      if (r.alike) plot.series.push_back({absl::StrCat(name, ", alike, in turn"), {}});
    }
    const size_t last = plot.series.size() - 1;
    plot.series[r.alike ? last - 1 : last].points.push_back(
        {static_cast<double>(r.resources), 1 / r.share});
    if (r.alike) {
      plot.series[last].points.push_back({static_cast<double>(r.resources), 1 / r.turn});
    }
  }
  plot.series.push_back({"published, least", {{1, 2.5}, {4, 2.5}}, true});
  plot.series.push_back({"published, most", {{1, 50}, {4, 50}}, true});
  if (auto s = Draw(options, "joint", plot); !s.ok()) return s;
  return absl::StrCat(
      "Published: 2.5-50 times the welfare of separate auctions. Ours: ", study.guests, " guests, ",
      study.capacity_units, " units of each resource,\n", study.auctions,
      " auctions a row from seed ", options.seed,
      ". With one resource and with independent uses both ways come to the same.\nat once: an "
      "auction a resource, a guest bids its share of its worth in each; in turn: one after the "
      "other, knowing\nwhat it won; bundles: one auction of bundles of one unit of everything; pay "
      "too much: of the guests that pay, those\nthat pay more than they get if they bid their "
      "whole worth in each auction at once\n\n",
      table.Text());
}

absl::StatusOr<std::string> ReportBudgets(const ReportOptions& options) {
  BudgetOptions study;
  study.seed = options.seed;
  study.markets = static_cast<int>(std::clamp<int64_t>(options.rounds / 10, 1, 10'000));
  const auto results = BudgetStudy(study);
  if (!results.ok()) return results.status();
  Table table({"each tenant has", "welfare, scaled", "revenue", "welfare, cut in order", "revenue",
               "could gain by less", "gain of all"});
  for (const BudgetResult& r : *results) {
    table.Add({absl::StrCat(Percent(r.means, 0), " of its charge"), Percent(r.scaled_welfare),
               Percent(r.scaled_revenue), Percent(r.cut_welfare), Percent(r.cut_revenue),
               Percent(r.liars, 0), Percent(r.lying_gain)});
  }
  return absl::StrCat(
      "Of what is reached where nobody's money ends: ", study.tenants,
      " tenants with two guests and two kinds, ", study.markets, " markets a row from seed ",
      options.seed,
      ".\nscaled: as marketd does it, all bids of a tenant that cannot pay by one factor; cut in "
      "order: each bid to what is left if\nthose before were charged all they are worth; could "
      "gain by less: of one tenant a market, those that do better if they\nsay 30 to 90 % of the "
      "truth, and what all of them gain of their surplus\n\n",
      table.Text());
}

constexpr Section kSections[] = {
    {"rules", "every rule and what clouds do without one, on the same rounds", ReportRules},
    {"attacks", "what attackers gain and victims lose under every rule", ReportAttacks},
    {"nom", "adaptive against static programs, as in the nom paper", ReportNom},
    {"ginseng", "the market against hinting and static division, as in the Ginseng papers",
     ReportGinseng},
    {"joint", "one auction for several resources against one for each", ReportJoint},
    {"budgets", "tenants that cannot pay for all that they would like", ReportBudgets},
    {"contracts", "a share of the capacity sold forward, and who makes money of that",
     ReportContracts},
    {"choice", "programs that choose between spot, contract and waiting, against hindsight",
     ReportChoice},
};

}  // namespace

std::span<const Section> Sections() { return kSections; }

}  // namespace nom::economy
