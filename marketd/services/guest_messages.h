// SPDX-License-Identifier: Apache-2.0
// Between the messages about tiers, bundles and guests that tenants ask for, and the market's
// values; see convert.h.

#ifndef MARKETD_SERVICES_GUEST_MESSAGES_H_
#define MARKETD_SERVICES_GUEST_MESSAGES_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/support/status.h"
#include "marketd/market/event.h"
#include "marketd/market/view.h"
#include "nom/market/v1/contracts.pb.h"

namespace nom::marketd {

// In. Errors: INVALID_ARGUMENT naming the field.
absl::StatusOr<market::SetTier> FromProto(const nom::market::v1::SetTierRequest& request);
// Without host and tenant, which the caller and the view say.
absl::StatusOr<market::AdmitGuest> FromProto(const nom::market::v1::RequestGuestRequest& request);
// Nothing of a message that is not there.
absl::StatusOr<std::optional<market::Bundle>> BundleFromProto(
    bool is_there, const nom::market::v1::Bundle& bundle);

// Out.
nom::market::v1::Tier ToProto(const market::Tier& tier);
nom::market::v1::GuestTier ToProto(const market::GuestTier& tier);
// What the tenant may have on the host, and has.
nom::market::v1::GetQuotaResponse QuotaToProto(const market::View& view,
                                               const market::HostView& host,
                                               const market::TenantId& tenant_id);

// A refusal as it is answered: with what there is too little of in its details, if that is known.
grpc::Status ToAnswer(const absl::Status& status);

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_GUEST_MESSAGES_H_
