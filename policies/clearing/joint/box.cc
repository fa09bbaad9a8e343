// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/box.h"

#include <algorithm>
#include <limits>

#include "policies/clearing/joint/kernels.h"

namespace nom::policies::joint {
namespace {

constexpr double kImpossible = -std::numeric_limits<double>::infinity();

}  // namespace

Box::Box(const Shortlist& shortlist) : shortlist_(shortlist), least_(shortlist.bidder_count()) {
  UnitVector open = shortlist.capacity_units;
  UnitVector wanted = {};
  for (size_t i = 0; i < shortlist.bidder_count(); ++i) {
    for (size_t r = 0; r < open.size(); ++r) {
      const auto begin = shortlist.units[r].begin() + shortlist.first[i];
      const auto end = shortlist.units[r].begin() + shortlist.first[i + 1];
      const auto [least, most] = std::minmax_element(begin, end);
      least_[i][r] = *least;
      open[r] -= *least;
      wanted[r] += *most - *least;
    }
  }
  // The innermost axis is the last one in which something is open.
  for (size_t r = open.size(); r-- > 0;) {
    if (open[r] < 0) is_feasible_ = false;
    size_[r] = static_cast<int32_t>(std::max<int64_t>(0, std::min(open[r], wanted[r])));
    strides_[r] = static_cast<size_t>(states_);
    states_ = states_ > kStatesMax / (size_[r] + 1) ? kStatesMax + 1 : states_ * (size_[r] + 1);
  }
  work_ = states_ * static_cast<int64_t>(shortlist.option_count());
}

bool Box::can_choose() const {
  return states_ * static_cast<int64_t>((shortlist_.bidder_count() + 1) * sizeof(double)) <=
         kTableBytesMax;
}

Units Box::Shifted(size_t bidder, uint32_t option) const {
  Units units = shortlist_.UnitsOf(option);
  for (size_t r = 0; r < units.size(); ++r) units[r] -= least_[bidder][r];
  return units;
}

// out[u] = max over options a <= u of in[u - a] + gain(a), in runs along the innermost axis.
void Box::Extend(const Table& in, size_t bidder, Table& out) const {
  std::fill(out.begin(), out.end(), kImpossible);
  size_t inner = size_.size() - 1;
  while (inner > 0 && size_[inner] == 0) --inner;
  for (uint32_t option = shortlist_.first[bidder]; option < shortlist_.first[bidder + 1];
       ++option) {
    const Units a = Shifted(bidder, option);
    bool fits = true;
    for (size_t r = 0; r < a.size(); ++r) fits = fits && a[r] <= size_[r];
    if (!fits) continue;
    const auto count = static_cast<size_t>(size_[inner] - a[inner]) + 1;
    Units at = a;  // The first entry that it can reach.
    at[inner] = 0;
    for (;;) {
      size_t to = 0;
      size_t from = 0;
      for (size_t r = 0; r < inner; ++r) {
        to += static_cast<size_t>(at[r]) * strides_[r];
        from += static_cast<size_t>(at[r] - a[r]) * strides_[r];
      }
      MaxPlus(out.data() + to + static_cast<size_t>(a[inner]), in.data() + from,
              shortlist_.gain[option], count);
      bool is_done = true;
      for (size_t r = inner; r-- > 0 && is_done;) {
        is_done = ++at[r] > size_[r];
        if (is_done) at[r] = a[r];
      }
      if (is_done) break;
    }
  }
}

double Box::Solve(std::vector<uint32_t>* choices) const {
  const auto states = static_cast<size_t>(states_);
  const size_t bidders = shortlist_.bidder_count();
  if (choices == nullptr) {  // Two tables are enough.
    Table now(states, 0);
    Table next(states);
    for (size_t i = 0; i < bidders; ++i) {
      Extend(now, i, next);
      std::swap(now, next);
    }
    return now.back();
  }
  std::vector<Table> tables(bidders + 1, Table(states, 0));
  for (size_t i = 0; i < bidders; ++i) Extend(tables[i], i, tables[i + 1]);
  const double best = tables[bidders].back();
  choices->assign(bidders, 0);
  if (best == kImpossible) return best;
  // Backwards from the entry with all open units: an option that explains an entry is one that was
  // taken. Sums are exact, so equality finds it.
  size_t entry = states - 1;
  Units left = size_;
  for (size_t i = bidders; i-- > 0;) {
    for (uint32_t option = shortlist_.first[i]; option < shortlist_.first[i + 1]; ++option) {
      const Units a = Shifted(i, option);
      size_t before = entry;
      bool fits = true;
      for (size_t r = 0; r < a.size(); ++r) {
        fits = fits && a[r] <= left[r];
        before -= static_cast<size_t>(a[r]) * strides_[r];
      }
      if (!fits || tables[i][before] + shortlist_.gain[option] != tables[i + 1][entry]) continue;
      (*choices)[i] = option;
      entry = before;
      for (size_t r = 0; r < a.size(); ++r) left[r] -= a[r];
      break;
    }
  }
  return best;
}

}  // namespace nom::policies::joint
