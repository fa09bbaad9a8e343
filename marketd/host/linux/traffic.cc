// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/traffic.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

constexpr char kGuestEnd[] = "eth0";
// The address of this machine's end of every pair; link-local (RFC 3927), so it is nobody's.
constexpr uint32_t kGateway = 169U << 24 | 254U << 16 | 1U << 8 | 1U;

}  // namespace

absl::Status Traffic::Connect(GuestId guest_id, int64_t mbits, const NetworkNamespace& made) {
  const std::string pair = PairName(guest_id);
  const std::string ifb = IfbName(guest_id);
  const std::string alias = absl::StrCat("guest ", guest_id);
  const uint32_t address = AddressOf(options_, guest_id);
  NOM_RETURN_IF_ERROR(netlink_.AddVeth(pair, alias, kGuestEnd, made.fd));
  NOM_RETURN_IF_ERROR(netlink_.AddIfb(ifb, alias));
  // Limits first: nothing passes before them.
  NOM_RETURN_IF_ERROR(netlink_.AddShaper(pair, mbits));
  NOM_RETURN_IF_ERROR(netlink_.AddShaper(ifb, mbits));
  NOM_RETURN_IF_ERROR(netlink_.RedirectIngress(pair, ifb));
  NOM_RETURN_IF_ERROR(netlink_.SetUp(ifb));
  NOM_RETURN_IF_ERROR(netlink_.SetUp(pair));
  NOM_RETURN_IF_ERROR(netlink_.AddAddress(pair, kGateway));
  NOM_RETURN_IF_ERROR(netlink_.AddRoute({address, 32}, pair, 0));

  NOM_RETURN_IF_ERROR(made.inside->SetUp("lo"));
  NOM_RETURN_IF_ERROR(made.inside->SetUp(kGuestEnd));
  NOM_RETURN_IF_ERROR(made.inside->AddAddress(kGuestEnd, address));
  NOM_RETURN_IF_ERROR(made.inside->AddRoute({kGateway, 32}, kGuestEnd, 0));
  return made.inside->AddRoute({0, 0}, kGuestEnd, kGateway);
}

absl::StatusOr<NetworkNamespace> Traffic::Add(GuestId guest_id, int64_t mbits) {
  RemoveLeftBehind();
  NOM_ASSIGN_OR_RETURN(NetworkNamespace made, netlink_.AddNamespace());
  const absl::Status status = Connect(guest_id, mbits, made);
  if (status.ok()) return made;
  if (!absl::IsAlreadyExists(status)) {
    netlink_.Remove(PairName(guest_id)).IgnoreError();
    netlink_.Remove(IfbName(guest_id)).IgnoreError();
  }
  return status;
}

absl::Status Traffic::SetRate(GuestId guest_id, int64_t mbits) {
  for (const std::string& name : {PairName(guest_id), IfbName(guest_id)}) {
    const absl::Status status = netlink_.SetShaper(name, mbits);
    if (absl::IsNotFound(status)) return absl::OkStatus();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

void Traffic::RemoveLeftBehind() {
  const absl::StatusOr<std::vector<std::string>> names = netlink_.Interfaces();
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const std::string pair = PairOfIfb(name);
    if (!pair.empty() && std::find(names->begin(), names->end(), pair) == names->end()) {
      netlink_.Remove(name).IgnoreError();
    }
  }
}

}  // namespace nom::market
