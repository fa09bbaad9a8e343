#include "policies/clearing/uniform_price.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/normal_form.h"
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

absl::Status CheckConcave(const Bid& bid) {
  int64_t end_units = 0;
  Int128 end_value = 0;
  Int128 last_price = Int128{kValueMaxMicrocredits} + 1;
  for (size_t i = 0; i < bid.ranges.size(); ++i) {
    const Range& range = bid.ranges[i];
    if (range.min_units > end_units + 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("ranges[", i, "].min_units: refuses ", end_units + 1, " to ",
                       range.min_units - 1, " units; only a rule for gaps can take this bid"));
    }
    auto check_price = [&](Int128 price, absl::string_view field) -> absl::Status {
      if (price > last_price) {
        return absl::InvalidArgumentError(
            absl::StrCat("ranges[", i, "].", field,
                         ": a unit is worth more than the one before it; only a rule for gaps can "
                         "take this bid"));
      }
      last_price = price;
      return absl::OkStatus();
    };
    if (range.min_units == end_units + 1) {
      const Int128 step = range.value_at_min_microcredits - end_value;
      if (auto s = check_price(step, "value_at_min_microcredits"); !s.ok()) return s;
    }
    if (range.max_units > range.min_units) {
      if (auto s = check_price(range.unit_price_microcredits, "unit_price_microcredits"); !s.ok()) {
        return s;
      }
    }
    end_units = range.max_units;
    end_value = ValueOf(bid, end_units);
  }
  return absl::OkStatus();
}

absl::StatusOr<Clearing> ClearUniformPrice(const Auction& auction) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    if (auto s = CheckConcave(auction.bids[i]); !s.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("bids[", i, "].", s.message()));
    }
  }
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
