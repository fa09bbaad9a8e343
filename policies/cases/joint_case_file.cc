// SPDX-License-Identifier: Apache-2.0
#include "policies/cases/joint_case_file.h"

#include <algorithm>

#include "policies/cases/yaml_fields.h"

namespace nom::policies {
namespace {

constexpr absl::string_view kCombinations[] = {"sum", "min", "max", "product"};

absl::Status ReadEntry(const YAML::Node& node, const std::string& path, int64_t& out) {
  return ReadInteger(node, path, out);
}

// A list with an entry for each of the auction's resources, or for at most kJointResourcesMax while
// their number is not known yet.
Reader EntriesOf(std::array<int64_t, kJointResourcesMax>& out) {
  return [&out](const YAML::Node& node, const std::string& path) -> absl::Status {
    std::vector<int64_t> entries;
    if (auto s = ListOf(&ReadEntry, entries)(node, path); !s.ok()) return s;
    if (entries.size() > out.size()) {
      return Wrong(node, path, absl::StrCat("has more than ", kJointResourcesMax, " entries"));
    }
    out = {};
    std::copy(entries.begin(), entries.end(), out.begin());
    return absl::OkStatus();
  };
}

absl::Status ReadBundle(const YAML::Node& node, const std::string& path, Bundle& out) {
  return ReadMap(node, path,
                 {{"units", true, EntriesOf(out.units)},
                  {"value_microcredits", true, Whole(out.value_microcredits)}});
}

absl::Status ReadRanges(const YAML::Node& node, const std::string& path, std::vector<Range>& out) {
  return ListOf(&ReadRange, out)(node, path);
}

absl::Status ReadCurves(const YAML::Node& node, const std::string& path, CurveFamily& out) {
  std::vector<std::vector<Range>> curves;
  auto s = ReadMap(node, path,
                   {{"combination", true,
                     [&](const YAML::Node& n, const std::string& p) {
                       return ReadEnum(n, p, kCombinations, out.combination);
                     }},
                    {"whole_value_microcredits", false, Whole(out.whole_value_microcredits)},
                    {"of_resources", true, ListOf(&ReadRanges, curves)}});
  if (!s.ok()) return s;
  if (curves.size() > out.curves.size()) {
    return Wrong(node, path + ".of_resources",
                 absl::StrCat("has more than ", kJointResourcesMax, " entries"));
  }
  std::move(curves.begin(), curves.end(), out.curves.begin());
  return absl::OkStatus();
}

absl::Status ReadBid(const YAML::Node& node, const std::string& path, JointBid& out) {
  return ReadMap(node, path,
                 {{"guest_id", true, Whole(out.guest_id)},
                  {"owner_id", false, Whole(out.owner_id)},
                  {"held_units", false, EntriesOf(out.held_units)},
                  {"bundles", false, ListOf(&ReadBundle, out.bundles)},
                  {"curves", false, [&](const YAML::Node& n, const std::string& p) {
                     return ReadCurves(n, p, out.curves.emplace());
                   }}});
}

absl::Status ReadAuction(const YAML::Node& node, const std::string& path, JointAuction& out) {
  return ReadMap(
      node, path,
      {{"resource_count", true, Whole(out.resource_count)},
       {"capacity_units", true, EntriesOf(out.capacity_units)},
       {"reserve_unit_prices_microcredits", false, EntriesOf(out.reserve_unit_prices_microcredits)},
       {"reclaim_penalties_microcredits", false, EntriesOf(out.reclaim_penalties_microcredits)},
       {"seed", true, Whole(out.seed)},
       {"bids", true, ListOf(&ReadBid, out.bids)}});
}

absl::Status ReadAward(const YAML::Node& node, const std::string& path, JointAward& out) {
  auto s = ReadMap(node, path,
                   {{"guest_id", true, Whole(out.guest_id)},
                    {"units", true, EntriesOf(out.units)},
                    {"charge_microcredits", true, Whole(out.charge_microcredits)}});
  out.charge_bound_microcredits = out.charge_microcredits;
  out.charge_least_microcredits = out.charge_microcredits;
  return s;
}

absl::Status ReadExpectation(const YAML::Node& node, const std::string& path, JointCase& out) {
  const bool must = !node.IsMap() || !node["error"];
  if (!must) {
    return ReadMap(node, path, {{"error", true, [&](const YAML::Node& n, const std::string& p) {
                                   return ReadString(n, p, out.error);
                                 }}});
  }
  return ReadMap(node, path,
                 {{"awards", true, ListOf(&ReadAward, out.awards)},
                  {"clearing_unit_prices_microcredits", true,
                   EntriesOf(out.clearing_unit_prices_microcredits)},
                  {"welfare_microcredits", true, Whole(out.welfare_microcredits)}});
}

absl::Status ReadCase(const YAML::Node& node, const std::string& path, JointCase& out) {
  return ReadMap(
      node, path,
      {{"shows", true,
        [&](const YAML::Node& n, const std::string& p) { return ReadString(n, p, out.shows); }},
       {"joint_auction", true,
        [&](const YAML::Node& n, const std::string& p) { return ReadAuction(n, p, out.auction); }},
       {"expect", true,
        [&](const YAML::Node& n, const std::string& p) { return ReadExpectation(n, p, out); }}});
}

// So many, or more if there is anything beyond them: then the auction is wrong, and its text says
// so.
std::string EntriesText(const std::array<int64_t, kJointResourcesMax>& entries, int count) {
  std::string out = "[";
  int last = kJointResourcesMax;
  while (last > count && entries[static_cast<size_t>(last - 1)] == 0) --last;
  for (int r = 0; r < last; ++r) {
    absl::StrAppend(&out, r == 0 ? "" : ", ", entries[static_cast<size_t>(r)]);
  }
  return out + "]";
}

void AppendBid(const JointBid& bid, int count, std::string& out) {
  absl::StrAppend(&out, "  - guest_id: ", bid.guest_id, "\n    owner_id: ", bid.owner_id,
                  "\n    held_units: ", EntriesText(bid.held_units, count), "\n");
  // A bid with both is wrong, and is written down all the same.
  if (!bid.curves.has_value() || !bid.bundles.empty()) {
    out += bid.bundles.empty() ? "    bundles: []\n" : "    bundles:\n";
    for (const Bundle& bundle : bid.bundles) {
      absl::StrAppend(&out, "      - {units: ", EntriesText(bundle.units, count),
                      ", value_microcredits: ", bundle.value_microcredits, "}\n");
    }
  }
  if (!bid.curves.has_value()) return;
  const CurveFamily& family = *bid.curves;
  absl::StrAppend(&out, "    curves:\n      combination: ",
                  kCombinations[static_cast<size_t>(family.combination)],
                  "\n      whole_value_microcredits: ", family.whole_value_microcredits,
                  "\n      of_resources:");
  int last = kJointResourcesMax;
  while (last > count && family.curves[static_cast<size_t>(last - 1)].empty()) --last;
  out += last == 0 ? " []\n" : "\n";
  for (int r = 0; r < last; ++r) {
    const std::vector<Range>& ranges = family.curves[static_cast<size_t>(r)];
    out += ranges.empty() ? "        - []\n" : "        -\n";
    for (const Range& range : ranges) absl::StrAppend(&out, "          - ", ToText(range), "\n");
  }
}

}  // namespace

std::string ToText(const JointAuction& auction) {
  const int count = std::max(auction.resource_count, 0);
  std::string out = absl::StrCat("resource_count: ", auction.resource_count,
                                 "\ncapacity_units: ", EntriesText(auction.capacity_units, count),
                                 "\nreserve_unit_prices_microcredits: ",
                                 EntriesText(auction.reserve_unit_prices_microcredits, count),
                                 "\nreclaim_penalties_microcredits: ",
                                 EntriesText(auction.reclaim_penalties_microcredits, count),
                                 "\nseed: ", auction.seed, "\n");
  out += auction.bids.empty() ? "bids: []\n" : "bids:\n";
  for (const JointBid& bid : auction.bids) AppendBid(bid, count, out);
  return out;
}

std::string ToText(const JointClearing& clearing, int resource_count) {
  std::string out = clearing.awards.empty() ? "awards: []\n" : "awards:\n";
  for (const JointAward& award : clearing.awards) {
    absl::StrAppend(&out, "  - {guest_id: ", award.guest_id,
                    ", units: ", EntriesText(award.units, resource_count),
                    ", charge_microcredits: ", award.charge_microcredits, "}\n");
  }
  absl::StrAppend(&out, "clearing_unit_prices_microcredits: ",
                  EntriesText(clearing.clearing_unit_prices_microcredits, resource_count),
                  "\nwelfare_microcredits: ", clearing.welfare_microcredits, "\n");
  return out;
}

absl::StatusOr<JointAuction> ParseJointAuction(const std::string& text) {
  return Parse(text, &ReadAuction);
}

absl::StatusOr<JointCase> ParseJointCase(const std::string& text) { return Parse(text, &ReadCase); }

bool IsJointText(const std::string& text) {
  const absl::StatusOr<YAML::Node> root = LoadOne(text);
  return root.ok() && root->IsMap() && ((*root)["joint_auction"] || (*root)["resource_count"]);
}

}  // namespace nom::policies
