#include "client/src/bid_limits.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/src/range_list.h"
#include "policies/bidding/curve.h"

namespace nom::client {
namespace {

// Wide enough for any product of a quantity and a price that CheckRanges lets pass.
__extension__ using Wide = __int128;

Wide ValueAt(const BidRange& range, int64_t units) {
  return Wide{range.value_at_min_microcredits} +
         Wide{units - range.min_units} * Wide{range.unit_price_microcredits};
}

absl::Status Wrong(size_t index, absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("ranges[", index, "].", field, ": ", what));
}

bool ValueInBounds(Wide value) { return value >= 0 && value <= Wide{kBidValueMaxMicrocredits}; }

}  // namespace

absl::Status CheckRanges(const std::vector<BidRange>& ranges) {
  if (ranges.empty()) return absl::InvalidArgumentError("ranges: at least one is needed");
  if (ranges.size() > kBidRangesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("ranges: ", ranges.size(), " are too many, at most ", kBidRangesMax));
  }
  for (size_t i = 0; i < ranges.size(); ++i) {
    const BidRange& range = ranges[i];
    if (range.min_units < 0) {
      return Wrong(i, "min_units", absl::StrCat(range.min_units, " is negative"));
    }
    if (range.max_units < range.min_units) {
      return Wrong(i, "max_units",
                   absl::StrCat(range.max_units, " is less than min_units ", range.min_units));
    }
    if (range.max_units > kBidUnitsMax) {
      return Wrong(i, "max_units", absl::StrCat(range.max_units, " is more than ", kBidUnitsMax));
    }
    if (!ValueInBounds(range.value_at_min_microcredits)) {
      return Wrong(i, "value_at_min_microcredits",
                   absl::StrCat(range.value_at_min_microcredits, " is not within 0 and ",
                                kBidValueMaxMicrocredits));
    }
    if (range.min_units == 0 && range.value_at_min_microcredits != 0) {
      return Wrong(i, "value_at_min_microcredits", "must be 0 at 0 units");
    }
    if (range.unit_price_microcredits < -kBidValueMaxMicrocredits ||
        range.unit_price_microcredits > kBidValueMaxMicrocredits) {
      return Wrong(i, "unit_price_microcredits",
                   absl::StrCat(range.unit_price_microcredits, " is not within +-",
                                kBidValueMaxMicrocredits));
    }
    if (!ValueInBounds(ValueAt(range, range.max_units))) {
      return Wrong(
          i, "unit_price_microcredits",
          absl::StrCat("the value at max_units is not within 0 and ", kBidValueMaxMicrocredits));
    }
    if (i == 0) continue;
    const BidRange& before = ranges[i - 1];
    if (range.min_units < before.max_units) {
      return Wrong(i, "min_units",
                   absl::StrCat(range.min_units, " overlaps the range before, which ends at ",
                                before.max_units));
    }
    if (range.min_units == before.max_units &&
        ValueAt(before, before.max_units) != Wide{range.value_at_min_microcredits}) {
      return Wrong(i, "value_at_min_microcredits",
                   absl::StrCat("touches the range before at ", range.min_units,
                                " units with another value"));
    }
  }
  return absl::OkStatus();
}

std::vector<BidRange> CutToUnitPrice(const std::vector<BidRange>& ranges,
                                     int64_t ceiling_microcredits) {
  return FromRangeList(policies::Cap(ToRangeList(ranges),
                                     {.ceiling_unit_price_microcredits = ceiling_microcredits}));
}

int64_t HighestValue(const std::vector<BidRange>& ranges) {
  Wide highest = 0;
  for (const BidRange& range : ranges) {
    highest =
        std::max({highest, Wide{range.value_at_min_microcredits}, ValueAt(range, range.max_units)});
  }
  return static_cast<int64_t>(highest);
}

}  // namespace nom::client
