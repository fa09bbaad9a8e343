#include "policies/clearing/greedy.h"

#include <algorithm>

#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp/normal_form.h"
#include "policies/clearing/outcome.h"

namespace nom::policies {
namespace {

struct Corner {
  int64_t units = 0;
  Int128 gain = 0;
};

// A straight part of a bid's concave curve.
struct Part {
  uint32_t place = 0;     // Into NormalAuction::bids.
  uint32_t position = 0;  // Within the bid.
  Corner from;
  Corner to;

  int64_t width() const { return to.units - from.units; }
};

// Gains are below 2^80 and widths at most 2^24, so products stay far from 2^127.
bool IsSteeper(const Part& a, const Part& b) {
  const Int128 left = (a.to.gain - a.from.gain) * b.width();
  const Int128 right = (b.to.gain - b.from.gain) * a.width();
  if (left != right) return left > right;
  return a.place != b.place ? a.place < b.place : a.position < b.position;
}

Int128 GainAt(const Piece& piece, int64_t units, Int128 key_scale) {
  return FloorDivide(piece.key_at_min + (units - piece.min_units) * piece.key_slope, key_scale);
}

bool IsAboveChord(const Corner& a, const Corner& b, const Corner& c) {
  return (b.gain - a.gain) * (c.units - a.units) > (c.gain - a.gain) * (b.units - a.units);
}

// The rising parts of the curve; its corners are quantities that the bid accepts.
void AppendParts(const NormalBid& bid, uint32_t place, Int128 key_scale, std::vector<Part>& parts) {
  std::vector<Corner> hull = {{0, 0}};
  for (const Piece& piece : bid.pieces) {
    for (int64_t units : {piece.min_units, piece.max_units}) {
      const Corner corner{units, GainAt(piece, units, key_scale)};
      if (corner.units == hull.back().units) continue;
      while (hull.size() >= 2 && !IsAboveChord(hull[hull.size() - 2], hull.back(), corner)) {
        hull.pop_back();
      }
      hull.push_back(corner);
    }
  }
  for (uint32_t i = 1; i < hull.size() && hull[i].gain >= hull[i - 1].gain; ++i) {
    parts.push_back({place, i, hull[i - 1], hull[i]});
  }
}

std::vector<Part> SteepestFirst(const NormalAuction& normal) {
  std::vector<Part> parts;
  for (size_t place = 0; place < normal.bids.size(); ++place) {
    AppendParts(normal.bids[place], static_cast<uint32_t>(place), normal.key_scale, parts);
  }
  std::sort(parts.begin(), parts.end(), IsSteeper);
  return parts;
}

Int128 BoundOf(const NormalAuction& normal, const std::vector<Part>& parts) {
  Int128 bound = normal.base;
  int64_t left_units = normal.capacity_units;
  for (const Part& part : parts) {
    const Int128 gain = part.to.gain - part.from.gain;
    if (part.width() > left_units) {
      // Rounded up: minus the floor of minus.
      return bound - FloorDivide(-gain * left_units, part.width());
    }
    bound += gain;
    left_units -= part.width();
  }
  return bound;
}

// The best quantity of at most `units_max`, the smallest of equals.
int64_t BestWithin(const NormalBid& bid, int64_t units_max, Int128 key_scale) {
  int64_t best_units = 0;
  Int128 best = 0;
  for (const Piece& piece : bid.pieces) {
    if (piece.min_units > units_max) break;
    for (int64_t units : {piece.min_units, std::min(units_max, piece.max_units)}) {
      const Int128 gain = GainAt(piece, units, key_scale);
      if (gain > best) {
        best = gain;
        best_units = units;
      }
    }
  }
  return best_units;
}

}  // namespace

absl::StatusOr<Microcredits> WelfareBound(const Auction& auction) {
  const NormalAuction normal = Normalise(auction);
  return ToMicrocredits(BoundOf(normal, SteepestFirst(normal)), "welfare bound");
}

absl::StatusOr<Clearing> ClearGreedy(const Auction& auction) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  const NormalAuction normal = Normalise(auction);
  const std::vector<Part> parts = SteepestFirst(normal);
  const auto bound = ToMicrocredits(BoundOf(normal, parts), "welfare bound");
  if (!bound.ok()) return bound.status();

  std::vector<int64_t> units(auction.bids.size(), 0);
  std::vector<bool> is_done(normal.bids.size(), false);
  int64_t left_units = normal.capacity_units;
  for (const Part& part : parts) {
    if (is_done[part.place]) continue;
    const NormalBid& bid = normal.bids[part.place];
    int64_t& awarded = units[bid.index];
    const int64_t before = awarded;
    if (part.width() <= left_units) {
      awarded = part.to.units;
    } else {
      awarded = std::max(awarded, BestWithin(bid, awarded + left_units, normal.key_scale));
      is_done[part.place] = true;
    }
    left_units -= awarded - before;
  }
  absl::StatusOr<Clearing> clearing = AtOnePrice(auction, units);
  if (!clearing.ok()) return clearing;
  clearing->welfare_bound_microcredits = *bound;
  clearing->method = Method::kGreedy;
  return clearing;
}

}  // namespace nom::policies
