// SPDX-License-Identifier: Apache-2.0
// What is asked of the methods that solve an auction in normal form, and what they answer: the
// same, to the last digit, whichever is taken. Inside policies/clearing/mpsp only.

#ifndef NOM_POLICIES_CLEARING_MPSP_SOLUTION_H_
#define NOM_POLICIES_CLEARING_MPSP_SOLUTION_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "policies/clearing/mpsp/key_bids.h"

namespace nom::policies {

// Whose absence has to be known for the charges.
template <typename Key>
struct Absences {
  bool are_wanted = true;  // False: awards only.
  // The pieces that bid k counts for in "W without its owner": its values gone, its reclaim penalty
  // still there. Their quantities are among those of its own pieces. Empty for nothing.
  std::function<std::vector<KeyPiece<Key>>(size_t k)> pieces_without;
  // The bids of each owner that has more than one, in rising order. Every other bid is alone.
  std::vector<std::vector<size_t>> shared;
  // By bid, where the awards are known from elsewhere: one of the best allocations, whose winners'
  // absences are asked for. Empty if the awards are to be found.
  std::vector<int64_t> known_units;
};

template <typename Key>
struct Solution {
  std::vector<int64_t> units;  // By bid: of the best allocations the lexicographically greatest.
  Key best = 0;                // The best sum of keys.
  Key best_of_one_less = 0;    // With one unit less to sell. 0 if there is none.
  // The best sum of keys without a bid: of winners that are alone, 0 for all others. Empty if
  // absences are not wanted.
  std::vector<Key> without;
  // Without all bids of an owner: like Absences::shared, 0 if it won nothing.
  std::vector<Key> without_shared;
};

inline bool HasUnits(const std::vector<size_t>& bids, const std::vector<int64_t>& units) {
  return std::any_of(bids.begin(), bids.end(), [&](size_t bid) { return units[bid] > 0; });
}

// The units by bid, 0 for those that share an owner.
template <typename Key>
std::vector<int64_t> UnitsOfAlone(const Absences<Key>& absences, std::vector<int64_t> units) {
  for (const std::vector<size_t>& owned : absences.shared) {
    for (size_t bid : owned) units[bid] = 0;
  }
  return units;
}

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_SOLUTION_H_
