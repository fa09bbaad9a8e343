// SPDX-License-Identifier: Apache-2.0
#include "client/cli/lookup.h"

#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/cli/commands.h"
#include "client/cli/numbers.h"
#include "client/cli/pages.h"
#include "client/cli/table.h"

namespace nom::cli {

absl::StatusOr<uint64_t> FindGuest(Connection& connection, const std::string& name_or_id) {
  absl::string_view id = name_or_id;
  if (absl::ConsumePrefix(&id, "id:")) {
    const absl::StatusOr<int64_t> number = ParseWhole(id, 1, std::numeric_limits<int64_t>::max());
    if (!number.ok()) {
      return UsageError(absl::InvalidArgumentError(
          absl::StrCat("guest ", name_or_id, ": ", number.status().message())));
    }
    return static_cast<uint64_t>(*number);
  }
  market::v1::ListGuestsResponse guests;
  if (absl::Status status = ListAllGuests(connection, {}, &guests); !status.ok()) return status;
  std::vector<const market::v1::GuestInfo*> found;
  bool is_an_id = false;
  for (const market::v1::GuestInfo& guest : guests.guests()) {
    if (guest.name() == name_or_id) found.push_back(&guest);
    is_an_id = is_an_id || absl::StrCat(guest.guest_id()) == name_or_id;
  }
  if (found.empty()) {
    return absl::NotFoundError(absl::StrCat(
        "no guest of yours is named \"", name_or_id, "\"; nomctl guests lists them",
        is_an_id ? absl::StrCat("; for the guest with this id type id:", name_or_id) : ""));
  }
  if (found.size() > 1) {
    const auto one = [](std::string* out, const market::v1::GuestInfo* guest) {
      absl::StrAppend(out, "id:", guest->guest_id(), " (", Printable(guest->host_id()), ", ",
                      Printable(guest->tenant_id()), ")");
    };
    return absl::InvalidArgumentError(
        absl::StrCat("several guests are named \"", name_or_id,
                     "\"; say which: ", absl::StrJoin(found, ", ", one)));
  }
  return found[0]->guest_id();
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
        absl::StrCat("the market has ", hosts.hosts_size(), " hosts; say which with --host"));
  }
  return hosts.hosts(0).host_id();
}

}  // namespace nom::cli
