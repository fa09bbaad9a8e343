// SPDX-License-Identifier: Apache-2.0
#include "client/cli/what_if_joint.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/json.h"
#include "client/cli/table.h"
#include "client/cli/what_if_parts.h"
#include "policies/cases/case_file.h"
#include "policies/cases/joint_case_file.h"
#include "policies/clearing/joint/joint_vcg.h"

namespace nom::cli {
namespace {

using policies::JointAuction;
using policies::JointAward;
using policies::JointBid;
using policies::JointCase;
using policies::JointClearing;
using policies::Microcredits;

absl::Status CheckWhatIf(const WhatIf& what_if) {
  for (const std::string& rule : what_if.rules) {
    if (rule != kJointRule && rule != kAllRules) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--rule: '", Printable(rule), "' is not for joint auctions; ", kJointRule, " is"));
    }
  }
  if (what_if.capacity_units || what_if.reserve_unit_price_microcredits) {
    return absl::InvalidArgumentError("--capacity and --reserve are for one resource");
  }
  return absl::OkStatus();
}

Verdict Compare(const JointCase& expected, const JointAnswer& answer) {
  bool same = false;
  if (!expected.error.empty()) {
    same = !answer.status.ok() && absl::StrContains(answer.status.message(), expected.error);
  } else if (answer.status.ok()) {
    const JointClearing& clearing = answer.clearing;
    same =
        clearing.charges_are_exact && clearing.awards == expected.awards &&
        clearing.clearing_unit_prices_microcredits == expected.clearing_unit_prices_microcredits &&
        clearing.welfare_microcredits == expected.welfare_microcredits;
  }
  return same ? Verdict::kAsExpected : Verdict::kNotAsExpected;
}

// The entries of the resources that there are.
template <typename Entry>
std::vector<Entry> Entries(const JointAuction& auction,
                           const std::array<Entry, policies::kJointResourcesMax>& entries) {
  return {entries.begin(),
          entries.begin() + std::clamp(auction.resource_count, 0, policies::kJointResourcesMax)};
}

template <typename Entry>
std::string List(const JointAuction& auction,
                 const std::array<Entry, policies::kJointResourcesMax>& entries) {
  return absl::StrJoin(Entries(auction, entries), " ");
}

template <typename Entry>
std::string JsonList(const JointAuction& auction,
                     const std::array<Entry, policies::kJointResourcesMax>& entries) {
  return absl::StrCat("[", absl::StrJoin(Entries(auction, entries), ", "), "]");
}

policies::UnitVector Sold(const JointClearing& clearing) {
  policies::UnitVector sold = {};
  for (const JointAward& award : clearing.awards) {
    for (size_t r = 0; r < sold.size(); ++r) sold[r] += award.units[r];
  }
  return sold;
}

Microcredits Charges(const JointClearing& clearing) {
  Microcredits sum = 0;
  for (const JointAward& award : clearing.awards) sum += award.charge_microcredits;
  return sum;
}

std::string ChargeText(const JointAward& award) {
  if (award.charge_bound_microcredits == award.charge_least_microcredits) {
    return absl::StrCat(award.charge_microcredits);
  }
  return absl::StrCat(award.charge_microcredits, " (", award.charge_least_microcredits, " to ",
                      award.charge_bound_microcredits, ")");
}

std::string AwardsText(const JointAuction& auction, const JointClearing& clearing) {
  // Owners only where there are any: their guests are charged together.
  const bool has_owners = std::any_of(auction.bids.begin(), auction.bids.end(),
                                      [](const JointBid& bid) { return bid.owner_id != 0; });
  std::vector<std::string> head = {">guest", ">held", ">units", ">value", ">charge"};
  if (has_owners) head.insert(head.begin() + 1, ">owner");
  Table table(head);
  std::vector<const JointBid*> bids;
  for (const JointBid& bid : auction.bids) bids.push_back(&bid);
  std::sort(bids.begin(), bids.end(),
            [](const JointBid* a, const JointBid* b) { return a->guest_id < b->guest_id; });
  auto award = clearing.awards.begin();
  for (const JointBid* bid : bids) {
    std::vector<std::string> row = {absl::StrCat(bid->guest_id)};
    if (has_owners) row.push_back(bid->owner_id == 0 ? "-" : absl::StrCat(bid->owner_id));
    row.push_back(List(auction, bid->held_units));
    if (award != clearing.awards.end() && award->guest_id == bid->guest_id) {
      row.insert(row.end(), {List(auction, award->units),
                             absl::StrCat(policies::ValueOf(*bid, award->units).value_or(0)),
                             ChargeText(*award)});
      ++award;
    } else {
      row.emplace_back("-");
    }
    table.AddRow(std::move(row));
  }
  return table.empty() ? "  nobody bids\n" : table.Format({.indent = 2});
}

std::string AnswerText(const JointAnswer& answer) {
  if (!answer.status.ok()) {
    return absl::StrCat("\n", kJointRule, ": refused", VerdictText(answer.verdict), "\n  ",
                        answer.status.message(), "\n");
  }
  const JointAuction& auction = answer.auction;
  const JointClearing& clearing = answer.clearing;
  std::string out = absl::StrFormat("\n%s: %s%s; %.3f ms, %d steps\n", kJointRule,
                                    clearing.charges_are_exact ? "exact" : "out of work",
                                    VerdictText(answer.verdict),
                                    absl::ToDoubleMilliseconds(answer.took), clearing.work);
  absl::StrAppend(&out, AwardsText(auction, clearing), "  sold ", List(auction, Sold(clearing)),
                  " of ", List(auction, auction.capacity_units), ", charges ", Charges(clearing),
                  clearing.charges_are_exact ? "" : " (not all exact)", "\n  prices");
  for (size_t r = 0; r < Entries(auction, clearing.bound_by).size(); ++r) {
    absl::StrAppend(&out, " ", clearing.clearing_unit_prices_microcredits[r], " (",
                    BoundByWord(clearing.bound_by[r]), ")");
  }
  return absl::StrCat(out, "\n  welfare ", clearing.welfare_microcredits, ", ",
                      GapText(clearing.welfare_microcredits, clearing.welfare_bound_microcredits),
                      "\n");
}

std::string AnswerJson(const JointAnswer& answer) {
  std::string out = JsonOfAnswer(kJointRule, answer.took, answer.verdict, answer.status);
  if (!answer.status.ok()) return out + "}";
  const JointAuction& auction = answer.auction;
  const JointClearing& clearing = answer.clearing;
  const auto bound_by = [](std::string* to, policies::BoundBy by) {
    absl::StrAppend(to, "\"", BoundByWord(by), "\"");
  };
  absl::StrAppend(&out, ", \"work\": ", clearing.work,
                  ", \"charges_are_exact\": ", clearing.charges_are_exact ? "true" : "false",
                  ", \"clearing_unit_prices_microcredits\": ",
                  JsonList(auction, clearing.clearing_unit_prices_microcredits));
  absl::StrAppend(&out, ", \"bound_by\": [",
                  absl::StrJoin(Entries(auction, clearing.bound_by), ", ", bound_by),
                  "], \"welfare_microcredits\": ", clearing.welfare_microcredits,
                  ", \"welfare_bound_microcredits\": ", clearing.welfare_bound_microcredits);
  absl::StrAppend(&out, ", \"sold_units\": ", JsonList(auction, Sold(clearing)),
                  ", \"charges_microcredits\": ", Charges(clearing));
  const auto award = [&auction](std::string* to, const JointAward& a) {
    absl::StrAppend(to, "{\"guest_id\": ", a.guest_id, ", \"units\": ", JsonList(auction, a.units),
                    ", \"charge_microcredits\": ", a.charge_microcredits,
                    ", \"charge_least_microcredits\": ", a.charge_least_microcredits,
                    ", \"charge_bound_microcredits\": ", a.charge_bound_microcredits);
    *to += '}';
  };
  return absl::StrCat(out, ", \"awards\": [", absl::StrJoin(clearing.awards, ", ", award), "]}");
}

}  // namespace

absl::StatusOr<JointAnswer> AskJoint(const std::string& name, const std::string& text,
                                     const WhatIf& what_if) {
  if (absl::Status status = CheckWhatIf(what_if); !status.ok()) return status;
  JointAnswer answer;
  answer.name = name;
  const bool is_case = policies::LineOf(text, "joint_auction") != 0;
  absl::StatusOr<JointCase> expected = JointCase{};
  if (is_case) {
    expected = policies::ParseJointCase(text);
    if (expected.ok()) answer.auction = std::move(expected->auction);
  } else {
    absl::StatusOr<JointAuction> auction = policies::ParseJointAuction(text);
    if (!auction.ok()) {
      expected = auction.status();
    } else {
      answer.auction = *std::move(auction);
    }
  }
  if (!expected.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", expected.status().message()));
  }
  policies::JointVcgOptions options;
  if (what_if.work_max) options.work_max = *what_if.work_max;
  absl::StatusOr<JointClearing> clearing;
  answer.took = MedianTime([&] {
    clearing = policies::ClearJointVcg(answer.auction, options);
    return clearing.ok();
  });
  if (clearing.ok()) {
    answer.clearing = *std::move(clearing);
  } else {
    answer.status = WithLine(name, text, is_case ? "joint_auction." : "", clearing.status());
  }
  if (is_case && !what_if.changes()) answer.verdict = Compare(*expected, answer);
  return answer;
}

Report ReportOf(const JointAnswer& answer) {
  const JointAuction& auction = answer.auction;
  Report report;
  report.text = absl::StrCat(Printable(answer.name), ": ", auction.bids.size(), " bids, ",
                             List(auction, auction.capacity_units), " units, reserves ",
                             List(auction, auction.reserve_unit_prices_microcredits));
  absl::StrAppend(&report.text, ", reclaim penalties ",
                  List(auction, auction.reclaim_penalties_microcredits), ", seed ", auction.seed,
                  "\n", AnswerText(answer));
  report.json =
      absl::StrCat("{\"source\": ", JsonText(answer.name), ", \"bids\": ", auction.bids.size(),
                   ", \"capacity_units\": ", JsonList(auction, auction.capacity_units));
  absl::StrAppend(&report.json, ", \"reserve_unit_prices_microcredits\": ",
                  JsonList(auction, auction.reserve_unit_prices_microcredits),
                  ", \"reclaim_penalties_microcredits\": ",
                  JsonList(auction, auction.reclaim_penalties_microcredits),
                  ", \"seed\": ", auction.seed);
  absl::StrAppend(&report.json, ",\n \"clearings\": [", AnswerJson(answer), "]}");
  report.refused = !answer.status.ok() && answer.verdict != Verdict::kAsExpected;
  report.unexpected = answer.verdict == Verdict::kNotAsExpected;
  return report;
}

}  // namespace nom::cli
