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

#ifndef NOM_POLICIES_CLEARING_ELIMINATE_H_
#define NOM_POLICIES_CLEARING_ELIMINATE_H_

#include <cstdint>
#include <vector>

#include "policies/clearing/normal_form.h"

namespace nom::policies {

class Elimination {
 public:
  static constexpr size_t kNobody = ~size_t{0};

  // `normal` must outlive this. All keys together must be below 2^62.
  explicit Elimination(const NormalAuction& normal);

  // Keeps what can be in a best allocation of `capacity_units` without the value of one bid (or
  // with everybody), in addition to what was kept before. `pieces_without`: what that bid counts
  // for then; its own quantities are not looked at.
  void Keep(int64_t capacity_units, size_t without = kNobody,
            const std::vector<Piece>& pieces_without = {});

  // The pieces of each bid, parallel to normal.bids, cut down to what was kept. May hold a little
  // more than what must be kept, never less.
  std::vector<std::vector<Piece>> Kept() const;
  size_t piece_count() const;

 private:
  struct Part {
    uint32_t place;
    int64_t from_units;
    int64_t to_units;
    int64_t key;  // What the part adds.
  };
  struct Interval {
    int64_t low = 1;
    int64_t high = 0;
  };

  int64_t PriceAt(int64_t capacity_units, size_t without) const;
  int64_t ReachedWithin(int64_t capacity_units, size_t without) const;

  const NormalAuction& normal_;
  std::vector<Part> parts_;     // Of all bids' concave curves, steepest first.
  std::vector<size_t> first_;   // By bid, into kept_.
  std::vector<Interval> kept_;  // One for each piece.
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_ELIMINATE_H_
