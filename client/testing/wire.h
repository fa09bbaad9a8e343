// SPDX-License-Identifier: Apache-2.0
// The fake market's messages as the SDK's values.

#ifndef CLIENT_TESTING_WIRE_H_
#define CLIENT_TESTING_WIRE_H_

#include <vector>

#include "absl/time/time.h"
#include "nom/market/v1/market.pb.h"
#include "nom/types.h"

namespace nom::testing {

google::protobuf::Timestamp ToProto(absl::Time time);
market::v1::ResourceKind KindOf(Resource resource);
std::vector<BidRange> FromProto(
    const google::protobuf::RepeatedPtrField<market::v1::BidRange>& ranges);
Valuation FromProto(const market::v1::Valuation& valuation);

}  // namespace nom::testing

#endif  // CLIENT_TESTING_WIRE_H_
