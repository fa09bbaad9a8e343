// SPDX-License-Identifier: Apache-2.0
#include "policies/cases/case_file.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "policies/cases/yaml_fields.h"

namespace nom::policies {
namespace {

constexpr absl::string_view kMethods[] = {"exact", "coarser", "greedy", "repeat_last"};

absl::Status ReadBid(const YAML::Node& node, const std::string& path, Bid& out) {
  return ReadMap(node, path,
                 {{"guest_id", true, Whole(out.guest_id)},
                  {"owner_id", false, Whole(out.owner_id)},
                  {"weight_ppm", false, Whole(out.weight_ppm)},
                  {"held_units", false, Whole(out.held_units)},
                  {"ranges", true, ListOf(&ReadRange, out.ranges)}});
}

absl::Status ReadAuction(const YAML::Node& node, const std::string& path, Auction& out) {
  return ReadMap(
      node, path,
      {{"capacity_units", true, Whole(out.capacity_units)},
       {"reserve_unit_price_microcredits", false, Whole(out.reserve_unit_price_microcredits)},
       {"reclaim_penalty_microcredits", false, Whole(out.reclaim_penalty_microcredits)},
       {"seed", true, Whole(out.seed)},
       {"bids", true, ListOf(&ReadBid, out.bids)}});
}

absl::Status ReadAward(const YAML::Node& node, const std::string& path, Award& out) {
  return ReadMap(node, path,
                 {{"guest_id", true, Whole(out.guest_id)},
                  {"units", true, Whole(out.units)},
                  {"charge_microcredits", true, Whole(out.charge_microcredits)}});
}

// `rule` and `error` are null where only a clearing may stand.
absl::Status ReadOutcome(const YAML::Node& node, const std::string& path, Clearing& out,
                         std::string* rule, std::string* error) {
  bool has_bound = false;
  const bool must = error == nullptr || !node.IsMap() || !node["error"];
  auto text = [](std::string* to) -> Reader {
    return [to](const YAML::Node& n, const std::string& p) -> absl::Status {
      return to == nullptr ? Wrong(n, p, "no such key") : ReadString(n, p, *to);
    };
  };
  auto only_without_error = [must](Reader read) -> Reader {
    return [must, read = std::move(read)](const YAML::Node& n, const std::string& p) {
      return must ? read(n, p) : Wrong(n, p, "does not go with error");
    };
  };
  auto s = ReadMap(
      node, path,
      {{"rule", rule != nullptr, text(rule)},
       {"error", false, text(error)},
       {"awards", must, only_without_error(ListOf(&ReadAward, out.awards))},
       {"clearing_unit_price_microcredits", must,
        only_without_error(Whole(out.clearing_unit_price_microcredits))},
       {"highest_rejected_unit_price_microcredits", must,
        only_without_error(Whole(out.highest_rejected_unit_price_microcredits))},
       {"bound_by", must, only_without_error([&](const YAML::Node& n, const std::string& p) {
          return ReadEnum(n, p, kBoundBys, out.bound_by);
        })},
       {"welfare_microcredits", must, only_without_error(Whole(out.welfare_microcredits))},
       {"welfare_bound_microcredits", false,
        only_without_error([&](const YAML::Node& n, const std::string& p) {
          has_bound = true;
          return ReadInteger(n, p, out.welfare_bound_microcredits);
        })},
       {"method", false, only_without_error([&](const YAML::Node& n, const std::string& p) {
          return ReadEnum(n, p, kMethods, out.method);
        })}});
  if (s.ok() && !has_bound) out.welfare_bound_microcredits = out.welfare_microcredits;
  return s;
}

absl::Status ReadClearing(const YAML::Node& node, const std::string& path, Clearing& out) {
  return ReadOutcome(node, path, out, nullptr, nullptr);
}

absl::Status ReadExpectation(const YAML::Node& node, const std::string& path, Expectation& out) {
  return ReadOutcome(node, path, out.clearing, &out.rule, &out.error);
}

absl::Status ReadCase(const YAML::Node& node, const std::string& path, Case& out) {
  return ReadMap(
      node, path,
      {{"shows", true,
        [&](const YAML::Node& n, const std::string& p) { return ReadString(n, p, out.shows); }},
       {"auction", true,
        [&](const YAML::Node& n, const std::string& p) { return ReadAuction(n, p, out.auction); }},
       {"expect", true, ListOf(&ReadExpectation, out.expect)}});
}

void AppendAuction(absl::string_view indent, const Auction& auction, std::string& out) {
  absl::StrAppend(&out, indent, "capacity_units: ", auction.capacity_units, "\n", indent,
                  "reserve_unit_price_microcredits: ", auction.reserve_unit_price_microcredits,
                  "\n", indent,
                  "reclaim_penalty_microcredits: ", auction.reclaim_penalty_microcredits, "\n");
  absl::StrAppend(&out, indent, "seed: ", auction.seed, "\n", indent,
                  auction.bids.empty() ? "bids: []\n" : "bids:\n");
  for (const Bid& bid : auction.bids) {
    absl::StrAppend(&out, indent, "  - guest_id: ", bid.guest_id, "\n");
    if (bid.owner_id != 0) absl::StrAppend(&out, indent, "    owner_id: ", bid.owner_id, "\n");
    if (bid.weight_ppm != kWholeWeightPpm) {
      absl::StrAppend(&out, indent, "    weight_ppm: ", bid.weight_ppm, "\n");
    }
    absl::StrAppend(&out, indent, "    held_units: ", bid.held_units, "\n");
    absl::StrAppend(&out, indent, bid.ranges.empty() ? "    ranges: []\n" : "    ranges:\n");
    for (const Range& r : bid.ranges) {
      absl::StrAppend(&out, indent, "      - ", ToText(r), "\n");
    }
  }
}

void AppendClearing(absl::string_view indent, const Clearing& clearing, std::string& out) {
  absl::StrAppend(&out, indent, clearing.awards.empty() ? "awards: []\n" : "awards:\n");
  for (const Award& a : clearing.awards) {
    absl::StrAppend(&out, indent, "  - {guest_id: ", a.guest_id, ", units: ", a.units);
    absl::StrAppend(&out, ", charge_microcredits: ", a.charge_microcredits, "}\n");
  }
  absl::StrAppend(&out, indent,
                  "clearing_unit_price_microcredits: ", clearing.clearing_unit_price_microcredits,
                  "\n");
  absl::StrAppend(&out, indent, "highest_rejected_unit_price_microcredits: ",
                  clearing.highest_rejected_unit_price_microcredits, "\n");
  absl::StrAppend(&out, indent, "bound_by: ", kBoundBys[static_cast<size_t>(clearing.bound_by)],
                  "\n", indent, "welfare_microcredits: ", clearing.welfare_microcredits, "\n");
  absl::StrAppend(&out, indent, "welfare_bound_microcredits: ", clearing.welfare_bound_microcredits,
                  "\n", indent, "method: ", kMethods[static_cast<size_t>(clearing.method)], "\n");
}

}  // namespace

std::string ToText(const Auction& auction) {
  std::string out;
  AppendAuction("", auction, out);
  return out;
}

std::string ToText(const Clearing& clearing) {
  std::string out;
  AppendClearing("", clearing, out);
  return out;
}

std::string ToText(const Case& c) {
  std::string out = absl::StrCat("shows: ", Quoted(c.shows), "\nauction:\n");
  AppendAuction("  ", c.auction, out);
  out += c.expect.empty() ? "expect: []\n" : "expect:\n";
  for (const Expectation& expectation : c.expect) {
    absl::StrAppend(&out, "  - rule: ", expectation.rule, "\n");
    if (!expectation.error.empty()) {
      absl::StrAppend(&out, "    error: ", Quoted(expectation.error), "\n");
    } else {
      AppendClearing("    ", expectation.clearing, out);
    }
  }
  return out;
}

absl::StatusOr<Auction> ParseAuction(const std::string& text) { return Parse(text, &ReadAuction); }

absl::StatusOr<Clearing> ParseClearing(const std::string& text) {
  return Parse(text, &ReadClearing);
}

absl::StatusOr<Case> ParseCase(const std::string& text) { return Parse(text, &ReadCase); }

int LineOf(const std::string& text, const std::string& path) {
  const absl::StatusOr<YAML::Node> root = LoadOne(text);
  if (!root.ok()) return 0;
  int line = 0;
  YAML::Node node = *root;
  for (absl::string_view step : absl::StrSplit(path, absl::ByAnyChar(".["))) {
    YAML::Node child;
    int child_line = 0;
    size_t index = 0;
    if (node.IsSequence() && absl::ConsumeSuffix(&step, "]") && absl::SimpleAtoi(step, &index) &&
        index < node.size()) {
      child = node[index];
      child_line = child.Mark().line + 1;
    } else if (node.IsMap()) {
      for (const auto& entry : node) {
        if (!entry.first.IsScalar() || entry.first.Scalar() != step) continue;
        child = entry.second;
        child_line = entry.first.Mark().line + 1;
      }
    }
    if (child_line == 0) break;
    line = child_line;
    node.reset(child);
  }
  return line;
}

}  // namespace nom::policies
