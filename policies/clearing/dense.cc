#include "policies/clearing/dense.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "policies/clearing/concave_columns.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/vcg_tables.h"

namespace nom::policies {
namespace {

absl::Status Wrong(const std::string& field, int64_t value, int64_t high) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", value, " is outside [0, ", high, "]"));
}

absl::Status Validate(const DenseAuction& auction) {
  if (auction.capacity_units < 0 || auction.capacity_units > kUnitsMax) {
    return Wrong("capacity_units", auction.capacity_units, kUnitsMax);
  }
  if (auction.reserve_unit_price_microcredits < 0 ||
      auction.reserve_unit_price_microcredits > kValueMaxMicrocredits) {
    return Wrong("reserve_unit_price_microcredits", auction.reserve_unit_price_microcredits,
                 kValueMaxMicrocredits);
  }
  if (auction.bids.size() > static_cast<size_t>(kBidsMax)) {
    return Wrong("bids", static_cast<int64_t>(auction.bids.size()), kBidsMax);
  }
  std::vector<GuestId> guest_ids;
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    const DenseBid& bid = auction.bids[i];
    const auto field = [i](absl::string_view name) { return absl::StrCat("bids[", i, "].", name); };
    if (bid.guest_id == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(field("guest_id"), ": 0 is the operator, who never bids"));
    }
    if (bid.values_microcredits.size() > static_cast<size_t>(kUnitsMax)) {
      return Wrong(field("values_microcredits"),
                   static_cast<int64_t>(bid.values_microcredits.size()), kUnitsMax);
    }
    for (size_t k = 0; k < bid.values_microcredits.size(); ++k) {
      const Microcredits value = bid.values_microcredits[k];
      if (value < 0 || value > kValueMaxMicrocredits) {
        return Wrong(field(absl::StrCat("values_microcredits[", k, "]")), value,
                     kValueMaxMicrocredits);
      }
    }
    guest_ids.push_back(bid.guest_id);
  }
  std::sort(guest_ids.begin(), guest_ids.end());
  const auto twice = std::adjacent_find(guest_ids.begin(), guest_ids.end());
  if (twice == guest_ids.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("bids: guest ", *twice, " bids twice"));
}

// What was found, in the order of the auction's bids.
struct Found {
  std::vector<int64_t> units;
  std::vector<Microcredits> charges;
  Microcredits price = 0;
};

// By selection. Nothing if a bid is not concave.
std::optional<Found> ClearIfConcave(const DenseAuction& auction, bool with_charges) {
  const Microcredits reserve = auction.reserve_unit_price_microcredits;
  std::vector<GuestId> guest_ids;
  std::vector<uint32_t> first_run = {0};
  std::vector<Microcredits> gain;
  std::vector<int32_t> units;
  for (const DenseBid& bid : auction.bids) {
    Microcredits last = 0;
    Microcredits last_price = kValueMaxMicrocredits;
    for (const Microcredits value : bid.values_microcredits) {
      const Microcredits price = value - last;
      if (price > last_price) return std::nullopt;
      if (price >= reserve) {
        // Units of one price are one run.
        if (price == last_price && gain.size() > first_run.back()) {
          ++units.back();
        } else {
          gain.push_back(price - reserve);
          units.push_back(1);
        }
      }
      last = value;
      last_price = price;
    }
    guest_ids.push_back(bid.guest_id);
    first_run.push_back(static_cast<uint32_t>(gain.size()));
  }
  const std::vector<int64_t> held_units(auction.bids.size(), 0);
  Found found;
  found.units.resize(auction.bids.size());
  found.charges.resize(with_charges ? auction.bids.size() : 0);
  found.price = ClearConcaveColumns({auction.capacity_units, reserve, auction.seed, guest_ids,
                                     held_units, first_run, gain, units},
                                    found.units, found.charges);
  found.charges.resize(auction.bids.size());
  return found;
}

// Each quantity that is worth the reserve is a step of its own, unless fewer units are worth more:
// then it is in no best allocation.
KeyBids<int64_t> ToSteps(const DenseAuction& auction) {
  std::vector<std::pair<uint64_t, size_t>> order;
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    order.emplace_back(TieOrder(auction.seed, auction.bids[i].guest_id), i);
  }
  std::sort(order.begin(), order.end());
  KeyBids<int64_t> bids;
  for (const auto& [rank, index] : order) {
    const std::vector<Microcredits>& values = auction.bids[index].values_microcredits;
    const int64_t most = std::min(static_cast<int64_t>(values.size()), auction.capacity_units);
    const size_t before = bids.pieces.size();
    Int128 best = 0;
    for (int64_t a = 1; a <= most; ++a) {
      const Int128 gain =
          values[static_cast<size_t>(a - 1)] - Int128{a} * auction.reserve_unit_price_microcredits;
      if (gain < best) continue;
      best = gain;
      bids.pieces.push_back({a, a, static_cast<int64_t>(gain), 0});
    }
    if (bids.pieces.size() > before) bids.EndBid(index);
  }
  return bids;
}

absl::StatusOr<Found> ClearBySteps(const DenseAuction& auction, const MpspOptions& options) {
  const Microcredits reserve = auction.reserve_unit_price_microcredits;
  const KeyBids<int64_t> bids = ToSteps(auction);
  Int128 sum = 0;
  for (size_t k = 0; k < bids.size(); ++k) {
    sum += bids.PiecesOf(k).back().key_at_min;  // They never fall.
  }
  if (sum > kKeySumMax) return absl::OutOfRangeError("bids: the values together are too large");
  const TableResult<int64_t> result =
      SolveByTables(bids, auction.capacity_units,
                    {options.table_bytes_max, options.always_tables, options.with_charges,
                     options.portable ? Vectors::kPortable : Vectors::kBest},
                    [](size_t) { return std::vector<KeyPiece<int64_t>>(); });
  Found found;
  found.units.resize(auction.bids.size());
  found.charges.resize(auction.bids.size());
  for (size_t k = 0; k < bids.size(); ++k) {
    const size_t index = bids.origin[k];
    const int64_t units = result.units[k];
    found.units[index] = units;
    if (units == 0 || !options.with_charges) continue;
    const Microcredits value =
        auction.bids[index].values_microcredits[static_cast<size_t>(units - 1)];
    found.charges[index] =
        units * reserve + result.without[k] - (result.best - (value - units * reserve));
  }
  found.price = reserve + (auction.capacity_units > 0 ? result.best - result.best_of_one_less : 0);
  return found;
}

}  // namespace

absl::StatusOr<DenseClearing> ClearDense(const DenseAuction& auction, const MpspOptions& options) {
  if (auto s = Validate(auction); !s.ok()) return s;
  std::optional<Found> found;
  if (!options.always_tables) found = ClearIfConcave(auction, options.with_charges);
  if (!found.has_value()) {
    absl::StatusOr<Found> by_steps = ClearBySteps(auction, options);
    if (!by_steps.ok()) return by_steps.status();
    found = *std::move(by_steps);
  }
  DenseClearing clearing;
  clearing.clearing_unit_price_microcredits = found->price;
  Int128 welfare = Int128{auction.capacity_units} * auction.reserve_unit_price_microcredits;
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    const int64_t units = found->units[i];
    if (units == 0) continue;
    welfare += auction.bids[i].values_microcredits[static_cast<size_t>(units - 1)] -
               Int128{units} * auction.reserve_unit_price_microcredits;
    clearing.awards.push_back({auction.bids[i].guest_id, units, found->charges[i]});
  }
  std::sort(clearing.awards.begin(), clearing.awards.end(),
            [](const Award& a, const Award& b) { return a.guest_id < b.guest_id; });
  const auto in_64_bits = ToMicrocredits(welfare, "welfare");
  if (!in_64_bits.ok()) return in_64_bits.status();
  clearing.welfare_microcredits = *in_64_bits;
  return clearing;
}

}  // namespace nom::policies
