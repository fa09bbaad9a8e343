#include "client/cli/lookup.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace nom::cli {

absl::StatusOr<uint64_t> FindGuest(Connection& connection, const std::string& id_or_name) {
  uint64_t guest_id = 0;
  if (absl::SimpleAtoi(id_or_name, &guest_id)) return guest_id;
  market::v1::ListGuestsResponse guests;
  if (absl::Status status = connection.Call(&market::v1::MarketService::Stub::ListGuests,
                                            market::v1::ListGuestsRequest(), &guests);
      !status.ok()) {
    return status;
  }
  for (const market::v1::GuestInfo& guest : guests.guests()) {
    if (guest.name() != id_or_name) continue;
    if (guest_id != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("guest \"", id_or_name, "\": more than one has this name; give its id"));
    }
    guest_id = guest.guest_id();
  }
  if (guest_id == 0) return absl::NotFoundError(absl::StrCat("no guest \"", id_or_name, "\""));
  return guest_id;
}

absl::StatusOr<std::string> FindHost(Connection& connection, const std::string& host_id) {
  if (!host_id.empty()) return host_id;
  operators::v1::ListHostsResponse hosts;
  if (absl::Status status = connection.Call(&operators::v1::OperatorService::Stub::ListHosts,
                                            operators::v1::ListHostsRequest(), &hosts);
      !status.ok()) {
    return status;
  }
  if (hosts.hosts_size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--host must be given: the market has ", hosts.hosts_size(), " hosts"));
  }
  return hosts.hosts(0).host_id();
}

}  // namespace nom::cli
