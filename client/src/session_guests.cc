// SPDX-License-Identifier: Apache-2.0
// Calls about guests that do not bid and guests that are asked for: each an errand of its own
// (errands.h).

#include <cstdint>

#include "client/src/guests.h"
#include "client/src/session_impl.h"
#include "client/src/session_send.h"

namespace nom {
namespace {

namespace pb = market::v1;
using client::Async;
using client::Method;
using client::RequestIdOf;

}  // namespace

AsyncCall<uint64_t> Session::Impl::SetTier(const TierOptions& tier, Told<uint64_t> done,
                                           const CallOptions& options) {
  return Send<uint64_t>(
      static_cast<Method<pb::SetTierRequest, pb::SetTierResponse>>(&Async::SetTier),
      ForGuest(client::ToProto(tier), tier.guest_id, options), pb::SetTierResponse(),
      [](const pb::SetTierResponse& response) -> absl::StatusOr<uint64_t> {
        return response.round_id();
      },
      std::move(done), options);
}

AsyncCall<bool> Session::Impl::ClearTier(uint64_t guest_id, Told<bool> done,
                                         const CallOptions& options) {
  return Send<bool>(
      static_cast<Method<pb::ClearTierRequest, pb::ClearTierResponse>>(&Async::ClearTier),
      ForGuest(pb::ClearTierRequest(), guest_id, options), pb::ClearTierResponse(),
      [](const pb::ClearTierResponse& response) -> absl::StatusOr<bool> {
        return response.removed();
      },
      std::move(done), options);
}

AsyncCall<RequestedGuest> Session::Impl::RequestGuest(const GuestRequest& guest,
                                                      Told<RequestedGuest> done,
                                                      const CallOptions& options) {
  pb::RequestGuestRequest request = client::ToProto(guest);
  request.set_host_id(options_.host_id);
  request.set_request_id(RequestIdOf(options));
  return Send<RequestedGuest>(
      static_cast<Method<pb::RequestGuestRequest, pb::RequestGuestResponse>>(&Async::RequestGuest),
      absl::StatusOr<pb::RequestGuestRequest>(std::move(request)), pb::RequestGuestResponse(),
      [](const pb::RequestGuestResponse& response) -> absl::StatusOr<RequestedGuest> {
        return RequestedGuest{response.guest_id(), response.contract_id()};
      },
      std::move(done), options);
}

AsyncCall<GuestQuota> Session::Impl::GetQuota(Told<GuestQuota> done, const CallOptions& options) {
  pb::GetQuotaRequest request;
  request.set_host_id(options_.host_id);
  return Send<GuestQuota>(
      static_cast<Method<pb::GetQuotaRequest, pb::GetQuotaResponse>>(&Async::GetQuota),
      absl::StatusOr<pb::GetQuotaRequest>(std::move(request)), pb::GetQuotaResponse(),
      [](const pb::GetQuotaResponse& response) -> absl::StatusOr<GuestQuota> {
        return client::FromProto(response);
      },
      std::move(done), options);
}

}  // namespace nom
