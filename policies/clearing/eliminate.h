// Which quantities can be part of a best allocation at all. Inside policies/clearing only.
//
// For any price u >= 0 of a unit of key, no allocation's keys add up to more than
//
//   L = u * capacity + sum_i s_i,   s_i = max(0, max over a of key_i(a) - u * a)
//
// and one that gives quantity a to bid i to no more than L - (s_i - (key_i(a) - u * a)). If that is
// below what some allocation reaches, a is in no best allocation, and ties are no exception: below
// means below. What remains of an auction with many bids is often a small part of it, and gives the
// same answer. (Reduced-cost fixing; u is the slope at which the concave relaxation is full.)
//
// The charges of all winners need what can be in a best allocation without any one of them. The
// largest are looked at one by one; of the others one price serves many. What is reached without a
// winner is found from the best allocation: its units go to those whose next units are worth most.

#ifndef NOM_POLICIES_CLEARING_ELIMINATE_H_
#define NOM_POLICIES_CLEARING_ELIMINATE_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "policies/clearing/max_plus.h"

namespace nom::policies {

class Elimination {
 public:
  // The pieces that bid k counts for in "W without k"; empty for nothing.
  using PiecesWithout = std::function<std::vector<KeyPiece<int64_t>>(size_t k)>;

  // `bids` must outlive this. Keys as for SolveByTables.
  Elimination(const KeyBids<int64_t>& bids, int64_t capacity_units);

  // Keeps what can be in a best allocation of so many units, in addition to what was kept before.
  void Keep(int64_t capacity_units);
  // The same for a best allocation without each single winner. `units` is the best allocation of
  // the whole capacity, by bid, and `best_key` its sum of keys.
  void KeepWithoutEach(const std::vector<int64_t>& units, int64_t best_key,
                       const PiecesWithout& pieces_without);

  // What was kept, of the bids of which anything was; `origin` is their place in the bids here. May
  // hold a little more than what must be kept, never less.
  KeyBids<int64_t> Kept() const;
  size_t piece_count() const;

 private:
  static constexpr size_t kNobody = ~size_t{0};

  struct Corner {
    int64_t units = 0;
    int64_t key = 0;
  };
  struct Part {
    size_t bid;
    int64_t from_units;
    int64_t to_units;
    int64_t key;  // What the part adds.
  };
  struct Interval {
    int64_t low = 1;
    int64_t high = 0;
  };

  void AppendParts(size_t bid, int64_t from_units, std::vector<Part>& parts);
  static void SortSteepestFirst(std::vector<Part>& parts);
  int64_t PriceAt(int64_t capacity_units, size_t without) const;
  int64_t BoundAt(int64_t price, int64_t capacity_units);
  int64_t Fill(const std::vector<Part>& parts, const std::vector<int64_t>& units,
               int64_t left_units, size_t without, int misses_max);
  void KeepWithin(int64_t price, int64_t gap);

  const KeyBids<int64_t>& bids_;
  const int64_t capacity_units_;
  std::vector<Part> parts_;       // Of all bids' concave curves, steepest first.
  std::vector<Interval> kept_;    // One for each piece.
  std::vector<int64_t> surplus_;  // By bid, at the price of the last bound.
  std::vector<Corner> hull_;
  std::vector<int64_t> filled_;  // By bid: units had in a Fill; only those touched are not
  std::vector<char> is_done_;    // as at its beginning.
  std::vector<size_t> touched_;
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_ELIMINATE_H_
