#include "policies/clearing/mpsp.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "policies/clearing/concave/concave_bids.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp/branch_and_bound.h"
#include "policies/clearing/mpsp/in_money.h"
#include "policies/clearing/mpsp/normal_form.h"
#include "policies/clearing/mpsp/solver.h"
#include "policies/clearing/outcome.h"
#include "policies/clearing/owners.h"

namespace nom::policies {
namespace {

KeyBids<Int128> ToKeyBids(const NormalAuction& normal) {
  KeyBids<Int128> bids;
  for (size_t place = 0; place < normal.bids.size(); ++place) {
    const std::vector<Piece>& pieces = normal.bids[place].pieces;
    bids.pieces.insert(bids.pieces.end(), pieces.begin(), pieces.end());
    bids.EndBid(normal.bids[place].index);
  }
  return bids;
}

// The bids of each owner that has more than one that can win: places in `bids`, rising.
std::vector<std::vector<size_t>> SharedPlaces(const Auction& auction, const KeyBids<Int128>& bids) {
  std::vector<std::vector<size_t>> shared = SharedOwners(auction);
  if (shared.empty()) return shared;
  std::vector<size_t> place_of(auction.bids.size(), bids.size());
  for (size_t place = 0; place < bids.size(); ++place) place_of[bids.origin[place]] = place;
  for (std::vector<size_t>& owned : shared) {
    for (size_t& index : owned) index = place_of[index];
    owned.erase(std::remove(owned.begin(), owned.end(), bids.size()), owned.end());
    std::sort(owned.begin(), owned.end());
  }
  std::erase_if(shared, [](const std::vector<size_t>& owned) { return owned.size() < 2; });
  return shared;
}

class MpspClearing {
 public:
  MpspClearing(const Auction& auction, const MpspOptions& options, Work& work)
      : auction_(auction),
        options_(options),
        solver_options_{options.table_bytes_max, options.always_tables, options.always_branches,
                        options.portable ? Vectors::kPortable : Vectors::kBest},
        work_(work) {}

  // Nothing if the work is used up.
  std::optional<InMoney> Clear() {
    const NormalAuction normal = Normalise(auction_);
    const KeyBids<Int128> bids = ToKeyBids(normal);
    shared_ = SharedPlaces(auction_, bids);
    if (FitsIn64Bits(bids, normal.capacity_units)) return Solve64(normal, Narrow(bids), {});
    if (normal.key_scale > 1 && !options_.always_tables) {
      std::optional<InMoney> money = SolveGainsThenTies(normal, bids);
      if (money.has_value() || work_.is_used_up()) return money;
    }
    const auto solution =
        Solve(bids, normal.capacity_units, solver_options_, AbsencesOf(normal, bids, {}), work_);
    return InMoneyOf(normal, bids, solution);
  }

 private:
  template <typename Key>
  Absences<Key> AbsencesOf(const NormalAuction& normal, const KeyBids<Key>& bids,
                           std::vector<int64_t> known_units) const {
    return {options_.with_charges,
            [this, scale = normal.key_scale, &bids](size_t place) {
              return PiecesWithoutValue(auction_, auction_.bids[bids.origin[place]],
                                        bids.PiecesOf(place), scale);
            },
            shared_, std::move(known_units)};
  }

  template <typename Key>
  std::optional<InMoney> InMoneyOf(const NormalAuction& normal, const KeyBids<Key>& bids,
                                   const std::optional<Solution<Key>>& solution) const {
    if (!solution.has_value()) return std::nullopt;
    return ToMoney(auction_, bids.origin, normal.key_scale, normal.capacity_units, shared_,
                   *solution);
  }

  std::optional<InMoney> Solve64(const NormalAuction& normal, const KeyBids<int64_t>& bids,
                                 std::vector<int64_t> known_units) {
    const auto solution = Solve(bids, normal.capacity_units, solver_options_,
                                AbsencesOf(normal, bids, std::move(known_units)), work_);
    return InMoneyOf(normal, bids, solution);
  }

  // Charges ask for gains only, and those mostly fit in 64 bits where gains and ties together do
  // not. The awards, among which ties decide, are found before by branch and bound, for which wide
  // keys are no great matter. Nothing if that is not to be.
  std::optional<InMoney> SolveGainsThenTies(const NormalAuction& normal,
                                            const KeyBids<Int128>& bids) {
    const NormalAuction gains = Normalise(auction_, Ties::kLeftToOrder);
    const KeyBids<Int128> gain_bids = ToKeyBids(gains);
    if (!FitsIn64Bits(gain_bids, gains.capacity_units)) return std::nullopt;
    const std::optional<std::vector<int64_t>> units =
        AwardsByBranchAndBound(bids, normal.capacity_units, work_);
    if (!units.has_value()) return std::nullopt;
    return Solve64(gains, Narrow(gain_bids), *units);
  }

  const Auction& auction_;
  const MpspOptions& options_;
  const SolverOptions solver_options_;
  Work& work_;
  std::vector<std::vector<size_t>> shared_;
};

}  // namespace

absl::StatusOr<Clearing> ClearMpsp(const Auction& auction, const MpspOptions& options) {
  Work work = Work::Unlimited();
  absl::StatusOr<std::optional<Clearing>> clearing = ClearMpspWithin(auction, options, work);
  if (!clearing.ok()) return clearing.status();
  return *std::move(*clearing);
}

absl::StatusOr<std::optional<Clearing>> ClearMpspWithin(const Auction& auction,
                                                        const MpspOptions& options, Work& work) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  std::optional<InMoney> money;
  if (!options.always_tables && !options.always_branches && SharedOwners(auction).empty()) {
    if (auto awards = ClearConcave(auction, options.with_charges); awards.has_value()) {
      money = {std::move(awards->units), std::move(awards->charges),
               awards->next_unit_price_microcredits};
      money->charges.resize(auction.bids.size(), 0);
    }
  }
  if (!money.has_value()) money = MpspClearing(auction, options, work).Clear();
  if (!money.has_value()) return std::optional<Clearing>();
  Microcredits price = money->next_unit_price_microcredits;
  if (auction.capacity_units == 0) {
    price = std::max(price, HighestRejectedUnitPrice(auction, money->units));
  }
  absl::StatusOr<Clearing> clearing = MakeClearing(auction, money->units, money->charges, price);
  if (!clearing.ok()) return clearing.status();
  return *std::move(clearing);
}

}  // namespace nom::policies
