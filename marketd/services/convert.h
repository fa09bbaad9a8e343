// SPDX-License-Identifier: Apache-2.0
// Between the messages of proto/ and the market's values. No rules: what a number may be is for the
// market to say; what a message may look like is said here.

#ifndef MARKETD_SERVICES_CONVERT_H_
#define MARKETD_SERVICES_CONVERT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "marketd/market/audit.h"
#include "marketd/market/event.h"
#include "marketd/market/view.h"
#include "nom/market/v1/market.pb.h"
#include "nom/operators/v1/operators.pb.h"

namespace nom::marketd {

namespace market_pb = ::nom::market::v1;
namespace operators_pb = ::nom::operators::v1;

// --- In. Errors: INVALID_ARGUMENT naming the field. ---

absl::StatusOr<market::ResourceKind> KindFromProto(market_pb::ResourceKind kind,
                                                   absl::string_view field);
absl::StatusOr<market::PlaceBid> FromProto(const market_pb::PlaceBidRequest& request);
absl::StatusOr<market::WithdrawBid> FromProto(const market_pb::WithdrawBidRequest& request);
// `field` is the bid's own name in the request.
absl::StatusOr<market::PlaceBid> FromProto(const market_pb::Bid& bid, absl::string_view field);
absl::StatusOr<market::PlaceBids> FromProto(const market_pb::PlaceBidsRequest& request);
absl::StatusOr<market::RenewLease> FromProto(const market_pb::RenewLeaseRequest& request);
absl::StatusOr<market::AdmitGuest> FromProto(const operators_pb::AdmitGuestRequest& request);

// --- Out. ---

google::protobuf::Timestamp ToProto(absl::Time time);
// Of a time that is still to come, or of now: by the wall clock as it is now.
google::protobuf::Timestamp ToShown(absl::Time time);
market_pb::ResourceKind ToProto(market::ResourceKind kind);
market_pb::ClearingMethod ToProto(policies::Method method);
market_pb::ResourceInfo ToProto(const market::Resource& resource);
// `border` tells what others' bids were worth, too: the highest rejected price, and welfare.
market_pb::ResourcePrice ToProto(const market::ResourcePrice& price, bool border);
market_pb::Notice ToProto(const market::Notice& notice);
market_pb::MarketState StateToProto(const market::HostView& host);
// `round_id` is the one that the guest's host collects, to say for how many rounds bids stand.
market_pb::GuestInfo ToProto(const market::GuestView& guest, market::RoundId round_id);
market_pb::PlacedBid ToProto(const market::PlacedBid& placed);
market_pb::LeasedBid ToProto(const market::LeasedBid& leased);
market_pb::Account ToProto(const market::TenantId& tenant_id,
                           const market::AccountSummary& account);
// Outcomes of `caller`'s guests only, unless it is an operator.
market_pb::GuestOutcome ToProto(const market::Outcome& outcome);
market_pb::Round ToProto(const market::Round& round, const market::Caller& caller, bool border);
operators_pb::Host ToProto(const market::HostView& host);
operators_pb::AuditResponse ToProto(const market::AuditResult& audit);

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_CONVERT_H_
