// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/joint_fuzz.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "policies/cases/joint_case_file.h"
#include "policies/clearing/joint/joint_vcg.h"
#include "tests/fuzz/byte_reader.h"
#include "tests/referee/joint_exhaustive.h"
#include "tests/referee/joint_promises.h"

namespace nom::policies {
namespace {

void Require(bool holds, const std::string& what, const JointAuction& auction) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n%s", what.c_str(), ToText(auction).c_str());
  std::abort();
}

class Reader : public ByteReader {
 public:
  using ByteReader::ByteReader;

  // Mostly small; now and then a limit or a whole word.
  int64_t Number(int64_t small, int64_t limit) {
    const uint8_t kind = Byte();
    if (kind < 240) return kind % (small + 1);
    if (kind < 250) return limit - Byte() % 4;
    if (kind < 252) return static_cast<int8_t>(Byte());
    return Word();
  }
  int64_t Units() { return Number(4, kUnitsMax); }
  Microcredits Money() { return Number(30, kValueMaxMicrocredits); }
};

std::vector<Range> ReadCurve(Reader& reader, bool is_product) {
  std::vector<Range> ranges;
  int64_t at_units = 0;
  for (int i = reader.Byte() % 4; i > 0; --i) {
    Range range;
    range.min_units = AddClamped(at_units, reader.Units());
    // Ranges are made to touch only within the limits: validation has to see the rest as it is.
    const bool is_small = range.min_units >= 0 && range.min_units <= kUnitsMax;
    range.max_units = is_small ? range.min_units + reader.Byte() % 3 : reader.Units();
    range.value_at_min_microcredits =
        is_product ? kLevelOne / 16 * (reader.Byte() % 18) : reader.Money();
    range.unit_price_microcredits = is_product ? kLevelOne / 32 * (reader.Byte() % 5)
                                               : AddClamped(reader.Money(), -(reader.Byte() % 8));
    ranges.push_back(range);
    at_units = is_small ? range.max_units + reader.Byte() % 2 : 0;
  }
  return ranges;
}

JointBid ReadBid(Reader& reader, int resource_count) {
  JointBid bid;
  bid.guest_id = reader.Byte();
  // Half of them have no owner, the others mostly one of two.
  const uint8_t owner = reader.Byte();
  bid.owner_id = owner < 128   ? 0
                 : owner < 250 ? 1 + owner % 2
                               : static_cast<uint64_t>(reader.Word());
  const auto resources = static_cast<size_t>(std::clamp(resource_count, 1, kJointResourcesMax));
  for (size_t r = 0; r < resources; ++r) bid.held_units[r] = reader.Units();
  const uint8_t form = reader.Byte();
  if (form % 2 == 0 || form == 255) {
    for (int i = reader.Byte() % 5; i > 0; --i) {
      Bundle bundle;
      for (size_t r = 0; r < resources; ++r) bundle.units[r] = reader.Units();
      bundle.value_microcredits = reader.Money();
      bid.bundles.push_back(bundle);
    }
  }
  if (form % 2 == 1) {
    CurveFamily& family = bid.curves.emplace();
    family.combination = static_cast<Combination>(reader.Byte() % 4);
    const bool is_product = family.combination == Combination::kProduct;
    if (is_product) family.whole_value_microcredits = reader.Money();
    for (size_t r = 0; r < resources; ++r) family.curves[r] = ReadCurve(reader, is_product);
  }
  return bid;
}

JointAuction ReadAuction(Reader& reader) {
  JointAuction auction;
  const uint8_t resources = reader.Byte();
  auction.resource_count = resources < 250 ? 1 + resources % kJointResourcesMax : resources - 250;
  const auto count = static_cast<size_t>(std::clamp(auction.resource_count, 1, kJointResourcesMax));
  auction.seed = reader.Byte();
  const bool has_penalty = reader.Byte() % 2 == 0;
  for (size_t r = 0; r < count; ++r) {
    auction.capacity_units[r] = reader.Units();
    auction.reserve_unit_prices_microcredits[r] = reader.Number(3, kValueMaxMicrocredits);
    if (has_penalty) {
      auction.reclaim_penalties_microcredits[r] = reader.Number(9, kValueMaxMicrocredits);
    }
  }
  for (int i = reader.Byte() % 6; i > 0; --i) {
    auction.bids.push_back(ReadBid(reader, auction.resource_count));
  }
  return auction;
}

bool IsSmall(const JointAuction& auction) {
  double bundles = 1;
  for (const int64_t capacity : auction.capacity_units) {
    bundles *= static_cast<double>(capacity) + 1;
  }
  double allocations = 1;
  for (size_t i = 0; i < auction.bids.size(); ++i) allocations *= bundles;
  // The referee looks at each bundle first; it refuses by itself where too many can be sold.
  return bundles <= 200 && allocations <= 1e7;
}

}  // namespace

bool FuzzJointAuction(const uint8_t* data, size_t size) {
  Reader reader(data, size);
  const JointAuction auction = ReadAuction(reader);
  // Only entries of resources that there are have a place in the text, and curves or bundles.
  const bool has_both = std::any_of(
      auction.bids.begin(), auction.bids.end(),
      [](const JointBid& bid) { return bid.curves.has_value() && !bid.bundles.empty(); });
  if (!has_both && auction.resource_count >= 1 && auction.resource_count <= kJointResourcesMax) {
    const auto parsed = ParseJointAuction(ToText(auction));
    Require(parsed.ok() && *parsed == auction, "text survives the round trip", auction);
  }
  JointVcgOptions options;
  options.work_max = int64_t{1} << reader.Byte() % 21;  // So a fuzzer is quick too.
  options.shortlist_cells = reader.Byte() % 20;
  options.box_work = reader.Byte() * 8;
  const auto hasty = ClearJointVcg(auction, options);
  if (!ValidateJointAuction(auction).ok()) {
    Require(!hasty.ok(), "the rule refuses what validation does", auction);
    return false;
  }
  if (!hasty.ok()) {
    Require(absl::IsOutOfRange(hasty.status()), "a valid auction is cleared", auction);
    return false;
  }
  const std::string broken = BrokenPromise(auction, *hasty);
  Require(broken.empty(), broken, auction);
  if (!IsSmall(auction)) return false;
  const auto largest = LargestJointWelfare(auction);
  if (!largest.ok()) return false;
  Require(hasty->welfare_bound_microcredits >= *largest, "the bound is one", auction);
  options.work_max = kJointWorkMaxDefault;
  const auto exact = ClearJointVcg(auction, options);
  Require(exact.ok(), "what was cleared in haste is cleared with time", auction);
  const std::string difference = DifferenceFromExhaustive(auction, *exact);
  Require(difference.empty(), difference, auction);
  return true;
}

void FuzzJointText(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  IsJointText(text);
  auto parsed = ParseJointAuction(text);
  if (const auto whole = ParseJointCase(text); whole.ok()) parsed = whole->auction;
  if (!parsed.ok()) return;
  // Entries of resources that there are not can be read, for validation to refuse them by name,
  // but are not written.
  if (!ValidateJointAuction(*parsed).ok()) {
    Require(!ClearJointVcg(*parsed).ok(), "the rule refuses what validation does", *parsed);
    return;
  }
  const auto again = ParseJointAuction(ToText(*parsed));
  Require(again.ok() && *again == *parsed, "text survives the round trip", *parsed);
}

}  // namespace nom::policies
