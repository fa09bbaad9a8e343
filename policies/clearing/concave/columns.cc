// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/concave/columns.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "policies/clearing/concave/ranked_units.h"
#include "policies/clearing/concave/selection.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/owners.h"

namespace nom::policies {
namespace {

constexpr Microcredits kGainMax = std::numeric_limits<Microcredits>::max();

// Steps of counted work (work.h), as measured by bench/policies/concave_goals.cc.
constexpr int64_t kStepsARun = 1;
constexpr int64_t kStepsABid = 3;
constexpr int64_t kStepsAnOffer = 5;  // Of the window: summed up.
constexpr int64_t kStepsATied = 4;    // Hashed and selected, mostly fewer than the runs.
constexpr int64_t kStepsAnOwnersBid = 16;
constexpr int64_t kStepsAnOwnersRun = 4;

int64_t Count(size_t n) { return static_cast<int64_t>(n); }

// What a bid offers at the gain of the margin.
struct AtMargin {
  uint32_t bid;
  uint32_t runs;
  int64_t held_units;  // Of `units`, so many are held now.
  int64_t units;
  int64_t awarded_units;
};

struct Tied {
  uint64_t tie_order;
  uint32_t place;  // Among all that are at the margin.
};

class Clearer {
 public:
  Clearer(const ConcaveColumns& columns, std::span<int64_t> units, std::span<Microcredits> charges,
          Work& work)
      : columns_(columns),
        has_charges_(!charges.empty()),
        has_penalty_(!columns.keepable_units.empty()),
        units_(units),
        charges_(charges),
        work_(work) {}

  std::optional<Microcredits> Clear() {
    if (!work_.Take(kStepsABid * Count(units_.size()) + kStepsARun * Count(columns_.gain.size()))) {
      return std::nullopt;
    }
    const Depths depths = FindDepths();
    served_units_ = std::min(columns_.capacity_units, depths.all_units);
    const bool is_margin = columns_.capacity_units <= depths.all_units && served_units_ > 0;
    // Everything is served, or nothing.
    margin_gain_ = served_units_ > 0 ? -1 : kGainMax;
    const int64_t above_units = std::min(has_charges_ ? depths.keepable_units : 0, served_units_);
    if (is_margin || above_units > 0) {
      const int64_t first_unit = served_units_ - std::max<int64_t>(1, above_units);
      const int64_t last_unit =
          std::min(depths.all_units, served_units_ + (has_charges_ ? depths.owner_units : 0));
      std::optional<Window> window = FindWindow({columns_.gain, columns_.units, columns_.seed},
                                                first_unit, last_unit, depths.all_units, work_);
      if (!window.has_value() || !work_.Take(kStepsAnOffer * Count(window->offers.size()))) {
        return std::nullopt;
      }
      if (!SplitAtMargin(*window, is_margin, above_units > 0)) return std::nullopt;
    }
    at_margin_.push_back({std::numeric_limits<uint32_t>::max(), 0, 0, 0, 0});
    rejected_.Finish();
    displaced_.Finish();
    FillIn();
    if (has_charges_) {
      for (const std::vector<size_t>& bids : columns_.shared_owners) {
        if (!ChargeTogether(bids)) return std::nullopt;
      }
    }
    return columns_.reserve_unit_price_microcredits + (is_margin ? margin_gain_ : 0);
  }

 private:
  struct Depths {
    int64_t all_units = 0;
    int64_t owner_units = 0;     // The most of one owner.
    int64_t keepable_units = 0;  // The most of one owner.
  };

  // What an owner has in the row, before and behind the margin.
  struct Owned {
    int64_t awarded_units = 0;
    int64_t kept_units = 0;      // Awarded, of those it holds.
    int64_t keepable_units = 0;  // Of those it holds, that could be sold to it.
    int64_t dear_units = 0;      // With a gain above the penalty.
  };

  // What happens to the others' units if the owner's are worth nothing.
  struct Shift {
    Int128 saved = 0;   // Penalties, beside those that are saved now.
    int64_t units = 0;  // So many more are served. If below 0, so many less.
  };

  Depths FindDepths() {
    Depths depths;
    for (size_t bid = 0; bid < units_.size(); ++bid) {
      const int64_t bid_units = UnitsOf(bid);
      depths.all_units += bid_units;
      depths.owner_units = std::max(depths.owner_units, bid_units);
    }
    if (has_penalty_) {
      for (size_t run = 0; run < columns_.gain.size(); ++run) {
        const bool is_dear = columns_.gain[run] > columns_.penalty_microcredits;
        dear_units_ += columns_.units[run] & -static_cast<int64_t>(is_dear);
      }
      depths.keepable_units =
          *std::max_element(columns_.keepable_units.begin(), columns_.keepable_units.end());
    }
    if (!has_charges_ || columns_.shared_owners.empty()) return depths;
    is_shared_.resize(units_.size(), false);
    for (const std::vector<size_t>& bids : columns_.shared_owners) {
      int64_t owner_units = 0;
      int64_t keepable_units = 0;
      for (size_t bid : bids) {
        is_shared_[bid] = true;
        owner_units += UnitsOf(bid);
        keepable_units += has_penalty_ ? columns_.keepable_units[bid] : 0;
      }
      depths.owner_units = std::max(depths.owner_units, owner_units);
      depths.keepable_units = std::max(depths.keepable_units, keepable_units);
    }
    return depths;
  }

  int64_t UnitsOf(size_t bid) const {
    int64_t units = 0;
    for (uint32_t run = columns_.first_run[bid]; run < columns_.first_run[bid + 1]; ++run) {
      units += columns_.units[run];
    }
    return units;
  }

  // Finds the margin, shares what is left there, and sums up what lies on both sides of it.
  bool SplitAtMargin(Window& window, bool is_margin, bool with_displaced) {
    const std::span<Offer> offers = window.offers;
    size_t begin = 0;
    size_t end = offers.size();
    int64_t left_units = 0;
    int64_t group_units = 0;
    if (is_margin) {
      left_units = columns_.capacity_units - window.units_above;
      while (true) {
        group_units = 0;
        for (end = begin; end < offers.size() && offers[end].gain == offers[begin].gain; ++end) {
          group_units += offers[end].units;
        }
        if (group_units >= left_units) break;
        left_units -= group_units;
        begin = end;
      }
      margin_gain_ = offers[begin].gain;
      if (!Share(offers.subspan(begin, end - begin), left_units)) return false;
    } else {
      begin = offers.size();
    }
    if (with_displaced) {
      // The cheapest goes first; what leaves costs its gain.
      displaced_.Add(-margin_gain_, left_units);
      for (size_t i = begin; i-- > 0;) displaced_.Add(-offers[i].gain, offers[i].units);
    }
    if (!has_charges_) return true;
    rejected_.Add(margin_gain_, group_units - left_units);
    for (size_t i = end; i < offers.size(); ++i) rejected_.Add(offers[i].gain, offers[i].units);
    return true;
  }

  // Among offers of one gain: holders first, then in the order of ties.
  bool Share(std::span<const Offer> group, int64_t left_units) {
    if (!work_.Take(kStepsATied * Count(group.size()))) return false;
    // Equals stand in the order of their runs, so of their bids: the next one is searched from the
    // last one on, or met on the way where most bids are here.
    const std::span<const uint32_t> first_run = columns_.first_run;
    const bool are_many = group.size() > units_.size() / 16;
    size_t bid = 0;
    for (const Offer& offer : group) {
      if (are_many) {
        while (first_run[bid + 1] <= offer.run) ++bid;
      } else {
        bid = static_cast<size_t>(std::upper_bound(first_run.begin() + static_cast<ptrdiff_t>(bid),
                                                   first_run.end(), offer.run) -
                                  first_run.begin() - 1);
      }
      if (at_margin_.empty() || at_margin_.back().bid != bid) {
        // How many units the bid holds of those at the margin or behind it.
        int64_t held_units = columns_.held_units[bid];
        for (uint32_t run = first_run[bid]; run < offer.run; ++run)
          held_units -= columns_.units[run];
        at_margin_.push_back(
            {static_cast<uint32_t>(bid), 0, std::max<int64_t>(0, held_units), 0, 0});
      }
      ++at_margin_.back().runs;
      at_margin_.back().units += offer.units;
    }
    std::vector<Tied> tied;
    tied.reserve(at_margin_.size());
    for (AtMargin& at_margin : at_margin_) {
      at_margin.held_units = std::min(at_margin.held_units, at_margin.units);
      tied.push_back({TieOrder(columns_.seed, columns_.guest_ids[at_margin.bid]),
                      static_cast<uint32_t>(tied.size())});
    }
    Award(tied, left_units, [](const AtMargin& a) { return a.held_units; });
    Award(tied, left_units, [](const AtMargin& a) { return a.units - a.held_units; });
    return true;
  }

  // Each gets what it wants in the order of ties, as long as there is some left.
  template <typename Wanted>
  void Award(std::span<Tied> tied, int64_t& left_units, const Wanted& wanted) {
    int64_t wanted_units = 0;
    for (const AtMargin& at_margin : at_margin_) wanted_units += wanted(at_margin);
    // Where there is enough for all, or nobody asks, no order is needed.
    size_t wholly = tied.size();
    if (wanted_units > left_units) {
      wholly = PartitionAtUnits(
          tied, left_units, [](const Tied& a, const Tied& b) { return a.tie_order < b.tie_order; },
          [&](const Tied& t) { return wanted(at_margin_[t.place]); });
    } else {
      left_units -= wanted_units;
    }
    for (size_t i = 0; i < wholly; ++i) {
      AtMargin& at_margin = at_margin_[tied[i].place];
      at_margin.awarded_units += wanted(at_margin);
    }
    if (wholly < tied.size()) {
      at_margin_[tied[wholly].place].awarded_units += std::exchange(left_units, 0);
    }
  }

  void FillIn() {
    const AtMargin* margin = at_margin_.data();
    for (size_t bid = 0; bid < units_.size(); ++bid) {
      const uint32_t begin = columns_.first_run[bid];
      const uint32_t end = columns_.first_run[bid + 1];
      uint32_t next = begin;
      int64_t units = 0;
      for (uint32_t run = begin; run < end; ++run) {
        const auto is_served = static_cast<uint32_t>(columns_.gain[run] > margin_gain_);
        units += columns_.units[run] & -static_cast<int64_t>(is_served);
        next += is_served;
      }
      const uint32_t margin_begin = next;
      int64_t awarded_units = 0;  // At the gain of the margin.
      int64_t rest_units = 0;
      if (margin->bid == bid) {
        awarded_units = margin->awarded_units;
        rest_units = margin->units - awarded_units;
        next += margin->runs;
        ++margin;
      }
      units += awarded_units;
      units_[bid] = units;
      if (!has_charges_) continue;
      if (units == 0) {
        charges_[bid] = 0;
      } else if (is_shared_.empty() || !is_shared_[bid]) {
        const auto next_rejected = [&](Microcredits& own_gain, int64_t& own_units) {
          if (rest_units > 0) {
            own_gain = margin_gain_;
            own_units = std::exchange(rest_units, 0);
            return true;
          }
          if (next == end) return false;
          own_gain = columns_.gain[next];
          own_units = columns_.units[next++];
          return true;
        };
        uint32_t last = margin_begin;
        const auto next_displaced = [&](Microcredits& own_gain, int64_t& own_units) {
          if (awarded_units > 0) {
            own_gain = -margin_gain_;
            own_units = std::exchange(awarded_units, 0);
            return true;
          }
          if (last == begin) return false;
          own_gain = -columns_.gain[--last];
          own_units = columns_.units[last];
          return true;
        };
        Owned owned;
        owned.awarded_units = units;
        if (has_penalty_) AddHeld(bid, units, owned);
        const Shift shift = ShiftWithout(owned);
        const Int128 gain_of_others = shift.units >= 0
                                          ? rejected_.GainOfOthers(shift.units, next_rejected)
                                          : displaced_.GainOfOthers(-shift.units, next_displaced);
        charges_[bid] = units * columns_.reserve_unit_price_microcredits +
                        static_cast<Microcredits>(shift.saved + gain_of_others);
      }
    }
  }

  void AddHeld(size_t bid, int64_t units, Owned& owned) const {
    owned.kept_units += std::min(units, columns_.held_units[bid]);
    owned.keepable_units += columns_.keepable_units[bid];
    for (uint32_t run = columns_.first_run[bid]; run < columns_.first_run[bid + 1]; ++run) {
      if (columns_.gain[run] <= columns_.penalty_microcredits) break;
      owned.dear_units += columns_.units[run];
    }
  }

  // How the others' units change without the owner's value, as columns.h derives it.
  Shift ShiftWithout(const Owned& owned) const {
    if (!has_penalty_) return {0, owned.awarded_units};
    const int64_t dear_units_of_others = dear_units_ - owned.dear_units;
    const int64_t kept_units = std::min(
        owned.keepable_units, std::max<int64_t>(0, columns_.capacity_units - dear_units_of_others));
    // Where everything is served, `served_units_` may be below the capacity: then the others get
    // nothing more before what is kept takes the rest of it.
    return {Int128{kept_units - owned.kept_units} * columns_.penalty_microcredits,
            (columns_.capacity_units - kept_units) - (served_units_ - owned.awarded_units)};
  }

  // The bids of one owner: their own units in one row.
  bool ChargeTogether(std::span<const size_t> bids) {
    Owned owned;
    size_t runs = 0;
    for (size_t bid : bids) {
      owned.awarded_units += units_[bid];
      if (has_penalty_) AddHeld(bid, units_[bid], owned);
      runs += columns_.first_run[bid + 1] - columns_.first_run[bid];
    }
    if (owned.awarded_units == 0) return true;
    if (!work_.Take(kStepsAnOwnersBid * Count(bids.size()) + kStepsAnOwnersRun * Count(runs))) {
      return false;
    }
    const Shift shift = ShiftWithout(owned);
    if (!CollectOwn(bids, shift.units)) return false;
    size_t next = 0;
    const auto next_own = [&](Microcredits& own_gain, int64_t& own_units) {
      if (next == own_.size()) return false;
      own_gain = own_[next].gain;
      own_units = own_[next++].units;
      return true;
    };
    const Int128 gain_of_others = shift.units >= 0
                                      ? rejected_.GainOfOthers(shift.units, next_own)
                                      : displaced_.GainOfOthers(-shift.units, next_own);
    std::vector<Microcredits> surpluses;
    surpluses.reserve(bids.size());
    for (size_t bid : bids) surpluses.push_back(SurplusOf(bid));
    const std::vector<Microcredits> shares = SplitExcess(shift.saved + gain_of_others, surpluses);
    for (size_t k = 0; k < bids.size(); ++k) {
      charges_[bids[k]] = units_[bids[k]] * columns_.reserve_unit_price_microcredits + shares[k];
    }
    return true;
  }

  // Puts into own_ the owner's units that a shift might pass over, in the order of that row.
  bool CollectOwn(std::span<const size_t> bids, int64_t shift_units) {
    const bool is_down = shift_units >= 0;
    const RankedUnits& row = is_down ? rejected_ : displaced_;
    const int64_t units_of_others = is_down ? shift_units : -shift_units;
    int64_t own_units = 0;
    VisitOwn(bids, is_down, [&](Microcredits, uint32_t, int32_t units) { own_units += units; });
    // No further than to here if all own units were passed over; so only those that are dearer can
    // be, which is less far. Twice brings that close to the end.
    Microcredits reach = 0;
    for (int i = 0; i < 2; ++i) {
      reach = row.GainAt(units_of_others + own_units);
      own_units = 0;
      VisitOwn(bids, is_down, [&](Microcredits gain, uint32_t, int32_t units) {
        own_units += gain >= reach ? units : 0;
      });
    }
    own_.clear();
    VisitOwn(bids, is_down, [&](Microcredits gain, uint32_t run, int32_t units) {
      if (gain >= reach) own_.push_back({gain, run, units});
    });
    return SortDearestFirst(own_, work_);
  }

  // Calls visit(gain, run, units) for each run of the owner, or the part of it, that was not
  // served; or was, and then with minus its gain.
  template <typename Visit>
  void VisitOwn(std::span<const size_t> bids, bool is_rejected, const Visit& visit) const {
    for (size_t bid : bids) {
      // Runs never rise within a bid, so its award is its first units.
      int64_t left_units = units_[bid];
      for (uint32_t run = columns_.first_run[bid]; run < columns_.first_run[bid + 1]; ++run) {
        const auto served_units =
            static_cast<int32_t>(std::min<int64_t>(left_units, columns_.units[run]));
        left_units -= served_units;
        const int32_t units = is_rejected ? columns_.units[run] - served_units : served_units;
        const Microcredits gain = columns_.gain[run];
        if (units > 0) visit(is_rejected ? gain : -gain, run, units);
      }
    }
  }

  // What a bid's award is worth to it above the reserve.
  Microcredits SurplusOf(size_t bid) const {
    Int128 surplus = 0;
    int64_t left_units = units_[bid];
    for (uint32_t run = columns_.first_run[bid]; left_units > 0; ++run) {
      const int64_t served_units = std::min<int64_t>(left_units, columns_.units[run]);
      left_units -= served_units;
      surplus += Int128{columns_.gain[run]} * served_units;
    }
    if (has_penalty_) {
      surplus -=
          Int128{columns_.penalty_microcredits} * std::min(units_[bid], columns_.held_units[bid]);
    }
    return static_cast<Microcredits>(surplus);
  }

  const ConcaveColumns& columns_;
  const bool has_charges_;
  const bool has_penalty_;
  const std::span<int64_t> units_;
  const std::span<Microcredits> charges_;
  Work& work_;
  Microcredits margin_gain_ = 0;     // Dearer runs are served, cheaper ones are not.
  int64_t served_units_ = 0;         // To all.
  int64_t dear_units_ = 0;           // Of all, with a gain above the penalty.
  std::vector<AtMargin> at_margin_;  // By rising bid; the last one is nobody's.
  RankedUnits rejected_;             // From the margin down.
  // From the margin up, each worth minus its gain. Nobody asks for what lies behind its end: with
  // all own units passed over that is what the owner would keep, which is at most the window's.
  RankedUnits displaced_;
  std::vector<Offer> own_;       // Of the owner who is charged.
  std::vector<bool> is_shared_;  // By bid: its owner has others. Empty if none has.
};

}  // namespace

std::optional<Microcredits> ClearConcaveColumns(const ConcaveColumns& columns,
                                                std::span<int64_t> units,
                                                std::span<Microcredits> charges, Work& work) {
  return Clearer(columns, units, charges, work).Clear();
}

Microcredits ClearConcaveColumns(const ConcaveColumns& columns, std::span<int64_t> units,
                                 std::span<Microcredits> charges) {
  Work work = Work::Unlimited();
  return *ClearConcaveColumns(columns, units, charges, work);
}

}  // namespace nom::policies
