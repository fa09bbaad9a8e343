// SPDX-License-Identifier: Apache-2.0
#include "client/cli/what_if.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/json.h"
#include "client/cli/table.h"
#include "client/cli/what_if_parts.h"
#include "policies/clearing/fallback.h"
#include "policies/clearing/method_name.h"
#include "policies/clearing/rules.h"

namespace nom::cli {
namespace {

using policies::Auction;
using policies::Award;
using policies::Bid;
using policies::Clearing;
using policies::Expectation;

constexpr char kDefaultRule[] = "mpsp/1";

absl::StatusOr<std::vector<std::string>> RulesToAsk(const AuctionSource& source,
                                                    const WhatIf& what_if) {
  std::vector<std::string> rules;
  const auto add = [&rules](std::string_view rule) {
    if (std::find(rules.begin(), rules.end(), rule) == rules.end()) rules.emplace_back(rule);
  };
  for (const std::string& rule : what_if.rules) {
    if (rule == kAllRules) {
      for (const policies::RuleInfo& info : policies::Rules()) add(info.name);
    } else if (policies::FindRule(rule) == nullptr) {
      const auto names = [](std::string* out, const policies::RuleInfo& info) {
        *out += info.name;
      };
      return absl::InvalidArgumentError(
          absl::StrCat("--rule: '", Printable(rule), "' is not one of ", kAllRules, ", ",
                       absl::StrJoin(policies::Rules(), ", ", names)));
    } else {
      add(rule);
    }
  }
  if (rules.empty()) {
    for (const Expectation& expectation : source.expect) add(expectation.rule);
  }
  if (rules.empty()) add(source.rule.empty() ? kDefaultRule : source.rule);
  return rules;
}

Verdict Compare(const AuctionSource& source, const Answer& answer) {
  for (const Expectation& expectation : source.expect) {
    if (expectation.rule != answer.rule) continue;
    const bool same =
        expectation.error.empty()
            ? answer.status.ok() && answer.clearing == expectation.clearing
            : !answer.status.ok() && absl::StrContains(answer.status.message(), expectation.error);
    return same ? Verdict::kAsExpected : Verdict::kNotAsExpected;
  }
  return Verdict::kNone;
}

Answer Clear(const AuctionSource& source, const std::string& rule, const WhatIf& what_if) {
  Answer answer;
  answer.rule = rule;
  const std::optional<int64_t> work_max = what_if.work_max ? what_if.work_max : source.work_max;
  absl::StatusOr<Clearing> clearing;
  answer.took = MedianTime([&] {
    clearing = policies::ClearWithin(
        rule, source.auction, work_max.value_or(std::numeric_limits<int64_t>::max()), &answer.work);
    return clearing.ok();
  });
  if (clearing.ok()) {
    answer.clearing = *std::move(clearing);
  } else {
    answer.status =
        WithLine(source.name, source.text, source.is_case ? "auction." : "", clearing.status());
  }
  if (!what_if.changes()) answer.verdict = Compare(source, answer);
  return answer;
}

struct Sums {
  int64_t sold_units = 0;
  policies::Microcredits charges = 0;  // At most the values, whose sum a rule has checked.
};

Sums SumsOf(const Clearing& clearing) {
  Sums sums;
  for (const Award& award : clearing.awards) {
    sums.sold_units += award.units;
    sums.charges += award.charge_microcredits;
  }
  return sums;
}

int64_t WantedUnits(const Bid& bid) { return bid.ranges.empty() ? 0 : bid.ranges.back().max_units; }

// By rising guest_id, as awards are.
std::vector<const Bid*> BidsInOrder(const Auction& auction) {
  std::vector<const Bid*> bids;
  for (const Bid& bid : auction.bids) bids.push_back(&bid);
  std::sort(bids.begin(), bids.end(),
            [](const Bid* a, const Bid* b) { return a->guest_id < b->guest_id; });
  return bids;
}

std::string AwardsText(const Auction& auction, const Clearing& clearing) {
  Table table({">guest", ">wants", ">held", ">units", ">value", ">charge", ">a unit"});
  auto award = clearing.awards.begin();
  for (const Bid* bid : BidsInOrder(auction)) {
    std::vector<std::string> row = {absl::StrCat(bid->guest_id), absl::StrCat(WantedUnits(*bid)),
                                    absl::StrCat(bid->held_units)};
    if (award != clearing.awards.end() && award->guest_id == bid->guest_id) {
      row.insert(row.end(),
                 {absl::StrCat(award->units), absl::StrCat(policies::ValueOf(*bid, award->units)),
                  absl::StrCat(award->charge_microcredits),
                  absl::StrCat(award->charge_microcredits / award->units)});
      ++award;
    } else {
      row.emplace_back("0");
    }
    table.AddRow(std::move(row));
  }
  return table.empty() ? "  nobody bids\n" : table.Format({.indent = 2});
}

std::string AnswerText(const Auction& auction, const Answer& answer) {
  if (!answer.status.ok()) {
    return absl::StrCat("\n", answer.rule, ": refused", VerdictText(answer.verdict), "\n  ",
                        answer.status.message(), "\n");
  }
  const Clearing& clearing = answer.clearing;
  const Sums sums = SumsOf(clearing);
  return absl::StrCat(
      absl::StrFormat("\n%s: %s%s; %.3f ms, the rule itself takes at most %d steps\n", answer.rule,
                      policies::MethodName(clearing.method), VerdictText(answer.verdict),
                      absl::ToDoubleMilliseconds(answer.took), answer.work),
      AwardsText(auction, clearing), "  sold ", sums.sold_units, " of ", auction.capacity_units,
      ", charges ", sums.charges, "; price ", clearing.clearing_unit_price_microcredits, " (",
      BoundByWord(clearing.bound_by), "), highest rejected ",
      clearing.highest_rejected_unit_price_microcredits, "\n  welfare ",
      clearing.welfare_microcredits, ", ",
      GapText(clearing.welfare_microcredits, clearing.welfare_bound_microcredits), "\n");
}

std::string AnswerJson(const Answer& answer) {
  std::string out = JsonOfAnswer(answer.rule, answer.took, answer.verdict, answer.status);
  if (!answer.status.ok()) return out + "}";
  const Clearing& clearing = answer.clearing;
  const Sums sums = SumsOf(clearing);
  absl::StrAppend(
      &out, ", \"work\": ", answer.work, ", \"method\": \"", policies::MethodName(clearing.method),
      "\", \"clearing_unit_price_microcredits\": ", clearing.clearing_unit_price_microcredits);
  absl::StrAppend(&out, ", \"highest_rejected_unit_price_microcredits\": ",
                  clearing.highest_rejected_unit_price_microcredits, ", \"bound_by\": \"",
                  BoundByWord(clearing.bound_by),
                  "\", \"welfare_microcredits\": ", clearing.welfare_microcredits);
  absl::StrAppend(&out, ", \"welfare_bound_microcredits\": ", clearing.welfare_bound_microcredits,
                  ", \"sold_units\": ", sums.sold_units,
                  ", \"charges_microcredits\": ", sums.charges);
  const auto award = [](std::string* to, const Award& a) {
    absl::StrAppend(to, "{\"guest_id\": ", a.guest_id, ", \"units\": ", a.units,
                    ", \"charge_microcredits\": ", a.charge_microcredits, "}");
  };
  return absl::StrCat(out, ", \"awards\": [", absl::StrJoin(clearing.awards, ", ", award), "]}");
}

}  // namespace

absl::StatusOr<AuctionSource> ParseSource(const std::string& name, const std::string& text) {
  AuctionSource source;
  source.name = name;
  source.text = text;
  source.is_case = policies::LineOf(text, "auction") != 0;
  absl::Status status;
  if (source.is_case) {
    absl::StatusOr<policies::Case> c = policies::ParseCase(text);
    status = c.status();
    if (c.ok()) {
      source.auction = std::move(c->auction);
      source.expect = std::move(c->expect);
    }
  } else {
    absl::StatusOr<Auction> auction = policies::ParseAuction(text);
    status = auction.status();
    if (auction.ok()) source.auction = *std::move(auction);
  }
  if (status.ok()) return source;
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", status.message()));
}

absl::StatusOr<Answers> Ask(AuctionSource source, const WhatIf& what_if) {
  if (what_if.capacity_units) source.auction.capacity_units = *what_if.capacity_units;
  if (what_if.reserve_unit_price_microcredits) {
    source.auction.reserve_unit_price_microcredits = *what_if.reserve_unit_price_microcredits;
  }
  const absl::StatusOr<std::vector<std::string>> rules = RulesToAsk(source, what_if);
  if (!rules.ok()) return rules.status();
  Answers answers;
  for (const std::string& rule : *rules) answers.answers.push_back(Clear(source, rule, what_if));
  answers.source = std::move(source);
  answers.all_rules =
      std::find(what_if.rules.begin(), what_if.rules.end(), kAllRules) != what_if.rules.end();
  return answers;
}

Report ReportOf(const Answers& answers) {
  Report report;
  const Auction& auction = answers.source.auction;
  report.text = absl::StrCat(Printable(answers.source.name), ": ", auction.bids.size(), " bids, ",
                             auction.capacity_units, " units, reserve ",
                             auction.reserve_unit_price_microcredits);
  absl::StrAppend(&report.text, ", reclaim penalty ", auction.reclaim_penalty_microcredits,
                  ", seed ", auction.seed, "\n");
  report.json = absl::StrCat("{\"source\": ", JsonText(answers.source.name),
                             ", \"bids\": ", auction.bids.size(),
                             ", \"capacity_units\": ", auction.capacity_units);
  absl::StrAppend(&report.json, ", \"reserve_unit_price_microcredits\": ",
                  auction.reserve_unit_price_microcredits,
                  ", \"reclaim_penalty_microcredits\": ", auction.reclaim_penalty_microcredits,
                  ", \"seed\": ", auction.seed);
  std::vector<std::string> clearings;
  for (const Answer& answer : answers.answers) {
    report.text += AnswerText(auction, answer);
    clearings.push_back(AnswerJson(answer));
    // Asked for all rules, some do not take such an auction: that is an answer.
    const bool refused = !answer.status.ok() && answer.verdict != Verdict::kAsExpected;
    report.refused = answers.all_rules ? refused && (report.refused || clearings.size() == 1)
                                       : refused || report.refused;
    report.unexpected |= answer.verdict == Verdict::kNotAsExpected;
  }
  absl::StrAppend(&report.json, ",\n \"clearings\": [", absl::StrJoin(clearings, ",\n  "), "]}");
  return report;
}

}  // namespace nom::cli
