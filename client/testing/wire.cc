// SPDX-License-Identifier: Apache-2.0
#include "client/testing/wire.h"

namespace nom::testing {

namespace pb = market::v1;

google::protobuf::Timestamp ToProto(absl::Time time) {
  google::protobuf::Timestamp out;
  out.set_seconds(absl::ToUnixSeconds(time));
  out.set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(absl::ToUnixSeconds(time)))));
  return out;
}

pb::ResourceKind KindOf(Resource resource) { return static_cast<pb::ResourceKind>(resource); }

std::vector<BidRange> FromProto(const google::protobuf::RepeatedPtrField<pb::BidRange>& ranges) {
  std::vector<BidRange> out;
  for (const pb::BidRange& range : ranges) {
    out.push_back({range.min_units(), range.max_units(), range.value_at_min_microcredits(),
                   range.unit_price_microcredits()});
  }
  return out;
}

Valuation FromProto(const pb::Valuation& valuation) {
  Valuation out{.whole_value_microcredits = valuation.whole_value_microcredits()};
  if (valuation.curves_size() > 0) {
    out.combination = static_cast<Combination>(valuation.combination());
  }
  for (const pb::BidCurve& curve : valuation.curves()) {
    out.curves[static_cast<Resource>(curve.kind())] = FromProto(curve.ranges());
  }
  for (const pb::BidBundle& from : valuation.bundles()) {
    Bundle& bundle = out.bundles.emplace_back();
    bundle.value_microcredits = from.value_microcredits();
    for (int i = 0; i < from.units_size(); ++i) {
      if (from.units(i) == 0) continue;
      bundle.units[static_cast<Resource>(valuation.bundle_kinds(i))] = from.units(i);
    }
  }
  return out;
}

}  // namespace nom::testing
