// SPDX-License-Identifier: Apache-2.0
// Guests that do not bid, and guests that tenants ask for: tier, tiers, request, quota.

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/amounts.h"
#include "client/cli/bundle_options.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/lookup.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/pages.h"
#include "client/cli/table.h"

namespace nom::cli {
namespace {

namespace pb = market::v1;
using MarketStub = pb::MarketService::Stub;

struct TierArguments {
  std::string guest;
  std::string tier;
  std::string most;
  int64_t ceiling_microcredits = 0;
  bool none = false;
  std::string host;
  std::string request_id;
};

absl::StatusOr<int> ClearTier(Connection& connection, const Output& out, uint64_t guest_id,
                              const std::string& request_id) {
  pb::ClearTierRequest request;
  request.set_guest_id(guest_id);
  pb::ClearTierResponse response;
  const absl::Status status =
      connection.Write(&MarketStub::ClearTier, request, &response, request_id);
  if (!status.ok()) return status;
  return out.Done(response, response.removed() ? "it bids itself again\n" : "it had no tier\n");
}

absl::StatusOr<int> SetTier(Connection& connection, const Output& out,
                            const TierArguments& arguments) {
  if (!arguments.none &&
      (arguments.tier.empty() || arguments.most.empty() || arguments.ceiling_microcredits == 0)) {
    return UsageError(
        absl::InvalidArgumentError("give --tier, --most and --ceiling together, or --none"));
  }
  const absl::StatusOr<uint64_t> guest_id = FindGuest(connection, arguments.guest);
  if (!guest_id.ok()) return guest_id.status();
  if (arguments.none) return ClearTier(connection, out, *guest_id, arguments.request_id);
  pb::SetTierRequest request;
  request.set_guest_id(*guest_id);
  request.set_tier(arguments.tier);
  absl::Status status = ReadQuantities(
      arguments.most, [&] { return UnitSizesOfGuest(connection, *guest_id); },
      request.mutable_most());
  if (!status.ok()) return status;
  request.set_ceiling_microcredits(arguments.ceiling_microcredits);
  pb::SetTierResponse response;
  status = connection.Write(&MarketStub::SetTier, request, &response, arguments.request_id);
  if (!status.ok()) return status;
  return out.Done(response, absl::StrCat("the market bids for it from round ", response.round_id(),
                                         " on, for up to ", QuantitiesText(request.most()), "\n"));
}

// The operator's table, and which guest has which row.
absl::StatusOr<int> ListTiers(Connection& connection, const Output& out,
                              const TierArguments& arguments) {
  pb::WatchRequest watch;
  watch.set_host_id(arguments.host);
  absl::StatusOr<pb::WatchResponse> now = ReadWatchOnce(connection, watch);
  if (!now.ok()) return now.status();
  pb::ListGuestsRequest of_host;
  of_host.set_host_id(now->state().host_id());
  pb::ListGuestsResponse guests;
  if (absl::Status s = ListAllGuests(connection, of_host, &guests); !s.ok()) return s;
  Table rows({"tier", ">bids % of the price", "~floor", "?>in one of"});
  for (const pb::Tier& tier : now->state().tiers()) {
    rows.AddRow({Printable(tier.name()), absl::StrCat(tier.price_multiple_ppm() / 10'000),
                 tier.floor().empty() ? "-" : QuantitiesText(tier.floor()),
                 tier.floor_every_rounds() == 0
                     ? "-"
                     : absl::StrCat(tier.floor_every_rounds(), " rounds")});
  }
  Table of_guests({">id", "guest", "tier", "~most", ">ceiling a round"});
  for (const pb::GuestInfo& guest : guests.guests()) {
    if (!guest.has_tier()) continue;
    of_guests.AddRow({absl::StrCat(guest.guest_id()), Printable(guest.name()),
                      Printable(guest.tier().tier()), QuantitiesText(guest.tier().most()),
                      absl::StrCat(guest.tier().ceiling_microcredits())});
  }
  pb::WatchResponse both;
  both.mutable_state()->set_host_id(now->state().host_id());
  *both.mutable_state()->mutable_tiers() = now->state().tiers();
  for (const pb::GuestInfo& guest : guests.guests()) {
    if (guest.has_tier()) *both.add_guests() = guest;
  }
  return out.Done(both, absl::StrCat(rows.Format(out.look), "\n", of_guests.Format(out.look)));
}

struct RequestArguments {
  std::string host;
  std::string name;
  std::string image;
  std::string arguments;
  std::vector<std::string> seeds;
  int64_t memory_max_units = 0;
  BundleArguments bundle;
  std::string request_id;
};

absl::StatusOr<int> Request(Connection& connection, const Output& out,
                            const RequestArguments& arguments) {
  const auto sizes = [&] { return UnitSizesOfHost(connection, arguments.host); };
  pb::RequestGuestRequest request;
  for (const std::string& seed : arguments.seeds) {
    const absl::Status status = ReadQuantities(seed, sizes, request.mutable_seeds());
    if (!status.ok()) return status;
  }
  if (arguments.bundle.IsGiven()) {
    const absl::Status status = arguments.bundle.Read(sizes, request.mutable_bundle());
    if (!status.ok()) return status;
  }
  request.set_host_id(arguments.host);
  request.set_name(arguments.name);
  request.set_image(arguments.image);
  request.set_arguments(arguments.arguments);
  request.set_memory_max_units(arguments.memory_max_units);
  pb::RequestGuestResponse response;
  const absl::Status status =
      connection.Write(&MarketStub::RequestGuest, request, &response, arguments.request_id);
  if (!status.ok()) return status;
  return out.Done(response, absl::StrCat("guest ", response.guest_id(), " runs",
                                         ContractText(response.contract_id()), "\n"));
}

int64_t UnitsOf(const google::protobuf::RepeatedPtrField<pb::Quantity>& quantities,
                pb::ResourceKind kind) {
  for (const pb::Quantity& quantity : quantities) {
    if (quantity.kind() == kind) return quantity.units();
  }
  return 0;
}

absl::StatusOr<int> Quota(Connection& connection, const Output& out,
                          const RequestArguments& arguments) {
  pb::GetQuotaRequest request;
  request.set_host_id(arguments.host);
  pb::GetQuotaResponse response;
  const absl::Status status = connection.Call(&MarketStub::GetQuota, request, &response);
  if (!status.ok()) return status;
  Table table({"of", ">has", ">may have"});
  table.AddRow({"guests", absl::StrCat(response.guests()), absl::StrCat(response.guests_max())});
  std::map<pb::ResourceKind, bool> kinds;
  for (const auto* quantities : {&response.seeds_max(), &response.seeds()}) {
    for (const pb::Quantity& quantity : *quantities) kinds[quantity.kind()] = true;
  }
  for (const auto& [kind, is_there] : kinds) {
    table.AddRow({absl::StrCat("seed ", KindName(kind)),
                  absl::StrCat(UnitsOf(response.seeds(), kind)),
                  absl::StrCat(UnitsOf(response.seeds_max(), kind))});
  }
  return out.Done(response, table.Format(out.look));
}

template <typename Arguments>
CLI::App* Add(CLI::App& app, Run& run, const std::string& name, const std::string& help,
              const std::shared_ptr<Arguments>& arguments,
              absl::StatusOr<int> (*does)(Connection&, const Output&, const Arguments&)) {
  CLI::App* const command = app.add_subcommand(name, help);
  command->callback([&run, arguments, does] {
    run = [arguments, does](Connection& connection, const Output& out) {
      return does(connection, out, *arguments);
    };
  });
  return command;
}

}  // namespace

void AddGuestCommands(CLI::App& app, Run& run) {
  const auto tier = std::make_shared<TierArguments>();
  CLI::App* set = Add<TierArguments>(
      app, run, "tier",
      "Let the market bid for a guest, in the place of its own bids\n\n"
      "Examples:\n"
      "  nomctl tier cache --tier gold --most memory=512MiB,cpu=500m --ceiling 2cr\n"
      "  nomctl tier cache --none",
      tier, SetTier);
  set->add_option("guest", tier->guest, kGuestHelp)->required();
  CLI::Option* none =
      set->add_flag("--none", tier->none, "It has no tier: it may bid itself again");
  set->add_option("--tier", tier->tier, "As nomctl tiers shows them")->excludes(none);
  set->add_option("--most", tier->most,
                  "RESOURCE=UNITS,... that it can use beyond its seed: counts, or amounts as 10MiB")
      ->excludes(none);
  AddMoney(set, "--ceiling", tier->ceiling_microcredits,
           "No round costs more than that, all resources together", 1)
      ->excludes(none);
  AddRequestId(set, tier->request_id);

  CLI::App* list = Add<TierArguments>(
      app, run, "tiers", "The operator's tiers, and which guests have one", tier, ListTiers);
  AddHost(list, tier->host);

  const auto request = std::make_shared<RequestArguments>();
  CLI::App* ask = Add<RequestArguments>(
      app, run, "request",
      "Tenants: a guest for yourself, within the quota that the operator gives\n\n"
      "Example:\n"
      "  nomctl request --name worker --image batch --seed memory=16MiB,cpu=50m --bundle "
      "memory=64MiB --ceiling 3cr",
      request, Request);
  AddHost(ask, request->host);
  ask->add_option("--name", request->name, "[a-z0-9-]{1,31}, unique on the host")->required();
  ask->add_option("--image", request->image,
                  "A file in the operator's image directory, or a recipe")
      ->required();
  ask->add_option("--arguments", request->arguments, "Its command line");
  AddRepeated(ask, "--seed", request->seeds, "RESOURCE=UNITS,... that it owns to its end");
  AddWhole(ask, "--memory-max", request->memory_max_units,
           "The most memory units it may ever hold; by default all that the host has", 0,
           kWholeMax);
  AddBundle(ask, request->bundle);
  AddRequestId(ask, request->request_id);

  CLI::App* quota = Add<RequestArguments>(
      app, run, "quota", "Tenants: what you may ask for by yourself, and what you have", request,
      Quota);
  AddHost(quota, request->host);
}

}  // namespace nom::cli
