// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/policies_fuzz.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "policies/cases/case_file.h"
#include "policies/clearing/concave/concave_bids.h"
#include "policies/clearing/fallback.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/rules.h"
#include "tests/fuzz/byte_reader.h"
#include "tests/referee/exhaustive.h"

namespace nom::policies {
namespace {

void Require(bool holds, const char* what, const Auction& auction) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n%s", what, ToText(auction).c_str());
  std::abort();
}

class Reader : public ByteReader {
 public:
  using ByteReader::ByteReader;

  // Mostly small; now and then a whole word, so that every limit can be met.
  int64_t Number() {
    const uint8_t kind = Byte();
    if (kind < 200) return kind % 16;
    if (kind < 230) return static_cast<int8_t>(Byte());
    if (kind < 240) return kValueMaxMicrocredits - Byte() % 4;
    if (kind < 245) return kUnitsMax - Byte() % 4;
    return Word();
  }
};

bool Within(int64_t value, int64_t limit) { return -limit <= value && value <= limit; }

Bid ReadBid(Reader& reader, bool repair) {
  Bid bid;
  bid.guest_id = static_cast<GuestId>(reader.Number());
  bid.held_units = reader.Number();
  const int ranges = reader.Byte() % 4;
  for (int r = 0; r < ranges; ++r) {
    Range range{reader.Number(), reader.Number(), reader.Number(), reader.Number()};
    if (repair && r > 0) {
      const Range& last = bid.ranges.back();
      // Only where nothing can overflow: validation has to see the rest as it is.
      if (Within(last.min_units, 100) && Within(last.max_units, 100) &&
          Within(last.unit_price_microcredits, 1'000) &&
          Within(last.value_at_min_microcredits, kValueMaxMicrocredits)) {
        range.min_units = last.max_units;
        range.max_units = last.max_units + (range.max_units & 7);
        range.value_at_min_microcredits =
            last.value_at_min_microcredits +
            (last.max_units - last.min_units) * last.unit_price_microcredits;
      }
    }
    bid.ranges.push_back(range);
  }
  return bid;
}

Auction ReadAuction(Reader& reader) {
  Auction auction;
  auction.capacity_units = reader.Number();
  auction.reserve_unit_price_microcredits = reader.Number();
  auction.reclaim_penalty_microcredits = reader.Number();
  auction.seed = reader.Byte();
  // Half of the auctions are made to touch, which numbers drawn alone hardly ever do.
  const bool repair = reader.Byte() % 2 == 0;
  const int bids = reader.Byte() % 5;
  for (int b = 0; b < bids; ++b) auction.bids.push_back(ReadBid(reader, repair));
  return auction;
}

void CheckPromises(const Auction& auction, const Clearing& clearing) {
  std::vector<int64_t> units(auction.bids.size(), 0);
  for (const Award& award : clearing.awards) {
    const auto bid = std::find_if(auction.bids.begin(), auction.bids.end(),
                                  [&](const Bid& b) { return b.guest_id == award.guest_id; });
    Require(bid != auction.bids.end(), "an award is a bidder's", auction);
    Require(award.units > 0 && Allowed(*bid, award.units), "an award is allowed", auction);
    Require(award.charge_microcredits <= ValueOf(*bid, award.units), "charge <= value", auction);
    Require(award.charge_microcredits / award.units >= auction.reserve_unit_price_microcredits,
            "charge >= reserve", auction);
    units[static_cast<size_t>(bid - auction.bids.begin())] = award.units;
  }
  const auto welfare = Welfare(auction, units);
  Require(welfare.ok() && *welfare == clearing.welfare_microcredits, "W is W", auction);
  Require(clearing.welfare_bound_microcredits >= clearing.welfare_microcredits, "W <= bound",
          auction);
}

// The price of proportional_share is the lowest at which what the budgets buy fits.
void CheckSharesFit(const Auction& auction, const Clearing& clearing) {
  const auto bought = [&auction](Microcredits price) {
    __int128 units = 0;
    for (const Bid& bid : auction.bids) {
      Microcredits budget = 0;
      for (const Range& range : bid.ranges) {
        for (int64_t q : {range.min_units, range.max_units}) {
          budget = std::max(budget, ValueOf(bid, q));
        }
      }
      const int64_t most = bid.ranges.empty() ? 0 : bid.ranges.back().max_units;
      units += price == 0 ? most : std::min(most, budget / price);
    }
    return units;
  };
  const Microcredits price = clearing.clearing_unit_price_microcredits;
  Require(bought(price) <= auction.capacity_units, "what is bought fits", auction);
  Require(price == auction.reserve_unit_price_microcredits ||
              bought(price - 1) > auction.capacity_units,
          "no lower price fits", auction);
}

// At a posted price nobody would rather have another quantity that is there to be had.
void CheckNobodyRegrets(const Auction& auction, const Clearing& clearing) {
  int64_t left_units = auction.capacity_units;
  for (const Award& award : clearing.awards) left_units -= award.units;
  const Microcredits price = auction.reserve_unit_price_microcredits;
  for (const Bid& bid : auction.bids) {
    int64_t units = 0;
    for (const Award& award : clearing.awards) {
      if (award.guest_id == bid.guest_id) units = award.units;
    }
    const __int128 had = ValueOf(bid, units) - __int128{units} * price;
    const int64_t best = BestUnits(bid, units + left_units, price);
    Require(ValueOf(bid, best) - __int128{best} * price <= had, "nobody regrets", auction);
  }
}

bool IsSmall(const Auction& auction) {
  int64_t allocations = 1;
  for (const Bid& bid : auction.bids) {
    const int64_t most = bid.ranges.empty() ? 0 : bid.ranges.back().max_units;
    if (most > 20) return false;
    allocations *= most + 1;
  }
  return allocations <= 3'000;
}

}  // namespace

void FuzzAuction(const uint8_t* data, size_t size) {
  Reader reader(data, size);
  const Auction auction = ReadAuction(reader);
  const auto parsed = ParseAuction(ToText(auction));
  Require(parsed.ok() && *parsed == auction, "text survives the round trip", auction);
  if (!ValidateAuction(auction).ok()) {
    for (const RuleInfo& rule : Rules()) {
      Require(!Clear(rule.name, auction).ok(), "a rule refuses what validation does", auction);
    }
    return;
  }
  // A budget that keeps tables small enough for a fuzzer to be quick.
  constexpr int64_t kWork = 2'000'000;
  for (const RuleInfo& rule : Rules()) {
    const auto clearing = ClearWithin(rule.name, auction, kWork);
    if (clearing.ok()) {
      CheckPromises(auction, *clearing);
      const bool is_exact = clearing->method == Method::kExact;
      if (is_exact && rule.name == "proportional_share/1") CheckSharesFit(auction, *clearing);
      if (is_exact && rule.name == "posted_price/1") CheckNobodyRegrets(auction, *clearing);
    } else {
      const bool is_gap =
          !rule.takes_gaps && !std::all_of(auction.bids.begin(), auction.bids.end(), IsConcave);
      Require(is_gap || clearing.status().code() == absl::StatusCode::kOutOfRange,
              "a valid auction is cleared", auction);
    }
    const auto repeated = ClearWithin(rule.name, auction, 0);
    if (repeated.ok()) CheckPromises(auction, *repeated);
  }
  if (!IsSmall(auction)) return;
  const auto expected = ClearExhaustive(auction);
  const auto sorted = ClearMpsp(auction);
  MpspOptions options;
  options.always_tables = true;
  const auto by_tables = ClearMpsp(auction, options);
  Require(expected.ok() == sorted.ok() && expected.ok() == by_tables.ok(), "the same errors",
          auction);
  if (!expected.ok()) return;
  Require(*sorted == *expected, "mpsp equals exhaustive search", auction);
  Require(*by_tables == *expected, "tables equal exhaustive search", auction);
  options.portable = true;
  Require(*ClearMpsp(auction, options) == *expected, "so they do without vectors", auction);
  const auto uniform = Clear("uniform_price/1", auction);
  if (uniform.ok()) {
    Require(uniform->welfare_microcredits == expected->welfare_microcredits,
            "uniform_price is efficient", auction);
  }
}

void FuzzBid(const uint8_t* data, size_t size) {
  Reader reader(data, size);
  const bool repair = reader.Byte() % 2 == 0;
  const Bid bid = ReadBid(reader, repair);
  Auction alone;
  alone.bids = {bid};
  const absl::Status status = ValidateBid(bid);
  Require(status.ok() == ValidateAuction(alone).ok(), "a bid alone is as valid as it is", alone);

  const auto is_within = [](__int128 value, int64_t low, int64_t high) {
    return low <= value && value <= high;
  };
  bool is_valid = bid.guest_id != 0 && is_within(bid.held_units, 0, kUnitsMax);
  const Range* before = nullptr;
  __int128 end_value = 0;
  for (const Range& range : bid.ranges) {
    is_valid &=
        is_within(range.min_units, 0, kUnitsMax) &&
        is_within(range.max_units, range.min_units, kUnitsMax) &&
        is_within(range.value_at_min_microcredits, 0, kValueMaxMicrocredits) &&
        is_within(range.unit_price_microcredits, -kValueMaxMicrocredits, kValueMaxMicrocredits);
    if (!is_valid) break;
    if (range.min_units == 0) is_valid &= range.value_at_min_microcredits == 0;
    if (before != nullptr) {
      is_valid &=
          range.min_units > before->max_units ||
          (range.min_units == before->max_units && range.value_at_min_microcredits == end_value);
    }
    end_value = range.value_at_min_microcredits +
                __int128{range.max_units - range.min_units} * range.unit_price_microcredits;
    is_valid &= is_within(end_value, 0, kValueMaxMicrocredits);
    before = &range;
  }
  Require(status.ok() == is_valid, "validation is what range.h says", alone);
  if (!status.ok()) {
    Require(status.message().find(": ") != absl::string_view::npos, "a field is named", alone);
    return;
  }
  Require(IsConcave(bid) == CheckConcave(bid).ok(), "both checks for concavity agree", alone);
  for (const RuleInfo& rule : Rules()) {
    Require(CheckBidForRule(rule.name, bid).ok() == (rule.takes_gaps || IsConcave(bid)),
            "a rule takes what it says", alone);
  }
}

void FuzzText(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  auto parsed = ParseAuction(text);
  if (const auto whole = ParseCase(text); whole.ok()) parsed = whole->auction;
  if (!parsed.ok()) return;
  const auto again = ParseAuction(ToText(*parsed));
  Require(again.ok() && *again == *parsed, "text survives the round trip", *parsed);
}

}  // namespace nom::policies
