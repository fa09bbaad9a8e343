// SPDX-License-Identifier: Apache-2.0
#include "client/cli/bid_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/bid_syntax.h"
#include "client/cli/names.h"

namespace nom::cli {
namespace {

namespace pb = market::v1;

std::string RangesText(const google::protobuf::RepeatedPtrField<pb::BidRange>& ranges) {
  std::vector<std::string> texts;
  for (const pb::BidRange& range : ranges) {
    texts.push_back(FormatRange({.min_units = range.min_units(),
                                 .max_units = range.max_units(),
                                 .value_at_min_microcredits = range.value_at_min_microcredits(),
                                 .unit_price_microcredits = range.unit_price_microcredits()}));
  }
  return absl::StrJoin(texts, " ");
}

// What a valuation says of one of its resources; "" if nothing.
std::string ValuationText(const pb::Valuation& valuation, pb::ResourceKind kind) {
  for (const pb::BidCurve& curve : valuation.curves()) {
    if (curve.kind() != kind) continue;
    return absl::StrCat(CombinationName(valuation.combination()), " of ", valuation.curves_size(),
                        ": ", RangesText(curve.ranges()));
  }
  for (int r = 0; r < valuation.bundle_kinds_size(); ++r) {
    if (valuation.bundle_kinds(r) != kind) continue;
    int64_t most = 0;
    for (const pb::BidBundle& bundle : valuation.bundles()) {
      if (r < bundle.units_size()) most = std::max(most, bundle.units(r));
    }
    return absl::StrCat("one of ", valuation.bundles_size(), " bundles, up to ", most);
  }
  return "";
}

}  // namespace

std::string BidText(const pb::GuestInfo& guest, pb::ResourceKind kind) {
  for (const pb::Bid& bid : guest.bids()) {
    if (bid.has_valuation()) {
      if (std::string text = ValuationText(bid.valuation(), kind); !text.empty()) return text;
    } else if (bid.kind() == kind) {
      return RangesText(bid.ranges());
    }
  }
  return "-";
}

}  // namespace nom::cli
