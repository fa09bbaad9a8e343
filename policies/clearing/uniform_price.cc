#include "policies/clearing/uniform_price.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "policies/clearing/concave/concave_bids.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp/normal_form.h"
#include "policies/clearing/outcome.h"

namespace nom::policies {
namespace {

// A run of units of one bid that add the same to W.
struct Run {
  Int128 key = 0;      // What one unit adds (NormalAuction).
  uint32_t place = 0;  // Into NormalAuction::bids: the order of ties.
  int64_t units = 0;
};

// On a concave bid the pieces leave no gap and their marginal keys never rise.
void AppendRuns(const NormalBid& bid, uint32_t place, std::vector<Run>& runs) {
  Int128 key_so_far = 0;
  for (const Piece& piece : bid.pieces) {
    runs.push_back({piece.key_at_min - key_so_far, place, 1});
    if (piece.max_units > piece.min_units) {
      runs.push_back({piece.key_slope, place, piece.max_units - piece.min_units});
    }
    key_so_far = piece.key_at_min + (piece.max_units - piece.min_units) * piece.key_slope;
  }
}

}  // namespace

absl::StatusOr<Clearing> ClearUniformPrice(const Auction& auction) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  if (const auto awards = ClearConcave(auction, /*with_charges=*/false); awards.has_value()) {
    return AtOnePrice(auction, awards->units);
  }
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    if (IsConcave(auction.bids[i])) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("bids[", i, "].", CheckConcave(auction.bids[i]).message()));
  }
  // With a penalty a held unit counts for more than its value, and what can be sold is not the same
  // as what is worth the reserve unit by unit: the normal form knows.
  const NormalAuction normal = Normalise(auction);
  std::vector<Run> runs;
  for (size_t place = 0; place < normal.bids.size(); ++place) {
    AppendRuns(normal.bids[place], static_cast<uint32_t>(place), runs);
  }
  // Stable: runs of one bid with the same key stay in their order.
  std::stable_sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) {
    return a.key != b.key ? a.key > b.key : a.place < b.place;
  });
  std::vector<int64_t> units(auction.bids.size(), 0);
  int64_t left_units = normal.capacity_units;
  for (const Run& run : runs) {
    if (left_units == 0 || run.key < 0) break;
    const int64_t taken = std::min(left_units, run.units);
    units[normal.bids[run.place].index] += taken;
    left_units -= taken;
  }
  return AtOnePrice(auction, units);
}

}  // namespace nom::policies
