// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/pages.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/services/convert.h"

namespace nom::marketd {
namespace {

// Rounds are read in pieces, so that no more of them are held than are sent.
constexpr int kRoundsAtOnce = 32;
constexpr int kGuestsInPageMax = 10'000;

}  // namespace

absl::Status AddRounds(const ReadRounds& read, market::RoundId before, int page_size,
                       const market::Caller& caller, bool border,
                       market_pb::ListRoundsResponse* response) {
  size_t bytes = 0;
  while (response->rounds_size() < page_size) {
    const int wanted = std::min(kRoundsAtOnce, page_size - response->rounds_size());
    // One more than is wanted, to know whether there are more.
    NOM_ASSIGN_OR_RETURN(const std::vector<market::Round> rounds, read(before, wanted + 1));
    const bool more = rounds.size() > static_cast<size_t>(wanted);
    for (size_t i = 0; i < std::min(rounds.size(), static_cast<size_t>(wanted)); ++i) {
      market_pb::Round round = ToProto(rounds[i], caller, border);
      bytes += round.ByteSizeLong();
      // The first goes whatever its size: who asks must get on.
      if (bytes > kPageBytesMax && response->rounds_size() > 0) {
        response->set_next_before_round_id(before);
        return absl::OkStatus();
      }
      before = round.round_id();
      *response->add_rounds() = std::move(round);
    }
    if (!more) return absl::OkStatus();
  }
  response->set_next_before_round_id(before);
  return absl::OkStatus();
}

bool Owns(const market::Caller& caller, const market::Guest& guest) {
  return caller.is_operator || guest.tenant_id == caller.tenant_id;
}

absl::Status AddGuests(const market::View& view, const market::Caller& caller,
                       const market::HostId& host_id, market::GuestId after, int page_size,
                       market_pb::ListGuestsResponse* response) {
  if (!host_id.empty() && view.FindHost(host_id) == nullptr) {
    return absl::NotFoundError("host_id: there is no such host");
  }
  if (page_size < 0 || page_size > kGuestsInPageMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size: must be from 0 to ", kGuestsInPageMax, ", is ", page_size));
  }
  if (page_size == 0) page_size = kGuestsInPageMax;
  size_t bytes = 0;
  for (const std::shared_ptr<const market::GuestView>& guest : view.guests) {  // By id.
    if (guest->guest.guest_id <= after || !Owns(caller, guest->guest)) continue;
    if (!host_id.empty() && guest->guest.host_id != host_id) continue;
    const market::HostView* const host = view.FindHost(guest->guest.host_id);
    market_pb::GuestInfo info = ToProto(*guest, host == nullptr ? 0 : host->round_id);
    bytes += info.ByteSizeLong();
    const int so_far = response->guests_size();
    if (so_far > 0 && (so_far >= page_size || bytes > kPageBytesMax)) {
      response->set_next_after_guest_id(response->guests(so_far - 1).guest_id());
      break;
    }
    *response->add_guests() = std::move(info);
  }
  return absl::OkStatus();
}

void AddTenants(const market::View& view, const market::TenantId& after,
                operators_pb::ListTenantsResponse* response) {
  size_t bytes = 0;
  for (const market::TenantView& tenant : view.tenants) {  // By id.
    if (tenant.tenant_id <= after) continue;
    operators_pb::Tenant to;
    to.set_tenant_id(tenant.tenant_id);
    to.set_display_name(tenant.display_name);
    market_pb::Account account = ToProto(tenant.tenant_id, market::Summarize(tenant.purse));
    bytes += to.ByteSizeLong() + account.ByteSizeLong();
    const int so_far = response->tenants_size();
    if (so_far > 0 && bytes > kPageBytesMax) {
      response->set_next_after_tenant_id(response->tenants(so_far - 1).tenant_id());
      break;
    }
    *response->add_tenants() = std::move(to);
    *response->add_accounts() = std::move(account);
  }
}

}  // namespace nom::marketd
