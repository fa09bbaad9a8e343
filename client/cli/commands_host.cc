// SPDX-License-Identifier: Apache-2.0
// Programs on an ordinary Linux machine: run, adopt.

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "client/cli/bid_syntax.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/lookup.h"
#include "client/cli/options.h"
#include "client/cli/run_exit.h"
#include "client/src/convert.h"

namespace nom::cli {
namespace {

namespace pb = operators::v1;
using OperatorStub = pb::OperatorService::Stub;
using MarketStub = market::v1::MarketService::Stub;

constexpr absl::Duration kLookInterval = absl::Milliseconds(500);

// --- run ---

struct RunArguments {
  std::string host;
  std::string tenant;
  std::string name;
  std::string recipe = "command";
  std::vector<std::string> seeds;
  std::vector<std::string> max_prices;
  std::vector<std::string> most;
  std::vector<std::string> words;
};

// What a host says of its resources, as far as quantities and bids need it.
struct HostUnits {
  std::map<Resource, int64_t> sizes;
  std::map<Resource, int64_t> capacities;
};

absl::StatusOr<HostUnits> UnitsOf(Connection& connection, const std::string& host_id) {
  pb::ListHostsResponse hosts;
  if (absl::Status status =
          connection.Call(&OperatorStub::ListHosts, pb::ListHostsRequest(), &hosts);
      !status.ok()) {
    return status;
  }
  HostUnits out;
  for (const pb::Host& host : hosts.hosts()) {
    if (host.host_id() != host_id) continue;
    for (const auto& info : host.resources()) {
      out.sizes[static_cast<Resource>(info.kind())] = info.unit_size();
      out.capacities[static_cast<Resource>(info.kind())] = info.capacity_units();
    }
  }
  return out;
}

void AddSeeds(const std::map<Resource, int64_t>& seeds, pb::AdmitGuestRequest& request) {
  for (const auto& [resource, units] : seeds) {
    pb::Seed* to = request.add_seeds();
    to->set_kind(client::ToProto(resource));
    to->set_units(units);
  }
}

// Quantities as "cpu=200m" and the like, each resource at most once.
absl::StatusOr<std::map<Resource, int64_t>> ParseQuantities(const std::vector<std::string>& texts,
                                                            const HostUnits& host) {
  std::map<Resource, int64_t> out;
  for (const std::string& text : texts) {
    const absl::StatusOr<std::pair<Resource, int64_t>> one = ParseSeed(text, host.sizes);
    if (!one.ok()) return UsageError(one.status());
    if (!out.insert(*one).second) {
      return UsageError(
          absl::InvalidArgumentError(absl::StrCat(text, ": a second one for this resource")));
    }
  }
  return out;
}

// A bid for each --max-price: whatever can be had at that price, up to what --most says or the host
// has beyond the seed.
absl::StatusOr<std::vector<Bid>> BidsUpTo(const RunArguments& arguments, const HostUnits& host,
                                          const std::map<Resource, int64_t>& seeds) {
  absl::StatusOr<std::map<Resource, int64_t>> most = ParseQuantities(arguments.most, host);
  if (!most.ok()) return most.status();
  std::vector<Bid> out;
  for (const std::string& text : arguments.max_prices) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
    const absl::StatusOr<Resource> resource = ParseResourceArgument(parts.first);
    if (!resource.ok()) return UsageError(resource.status());
    const absl::StatusOr<int64_t> price = ParseMoney(parts.second, 1, kWholeMax);
    if (!price.ok()) {
      return UsageError(absl::InvalidArgumentError(
          absl::StrCat("--max-price ", text, ": ", price.status().message())));
    }
    const auto capacity = host.capacities.find(*resource);
    if (capacity == host.capacities.end()) {
      return UsageError(absl::InvalidArgumentError(
          absl::StrCat("--max-price ", text, ": this host does not sell ", parts.first)));
    }
    const auto seed = seeds.find(*resource);
    int64_t units = capacity->second - (seed == seeds.end() ? 0 : seed->second);
    if (const auto limit = most->find(*resource); limit != most->end()) {
      units = std::min(units, limit->second);
      most->erase(limit);
    }
    if (units < 1) {
      return UsageError(absl::InvalidArgumentError(
          absl::StrCat("--max-price ", text, ": beyond the seed there is nothing to bid for")));
    }
    Bid& bid = out.emplace_back();
    bid.resource = *resource;
    absl::StatusOr<std::vector<BidRange>> ranges = ParseRanges({absl::StrCat(units, "@", *price)});
    if (!ranges.ok()) {
      return UsageError(absl::InvalidArgumentError(
          absl::StrCat("--max-price ", text, ": ", ranges.status().message())));
    }
    bid.ranges = *std::move(ranges);
    for (size_t i = 0; i + 1 < out.size(); ++i) {
      if (out[i].resource != bid.resource) continue;
      return UsageError(absl::InvalidArgumentError(
          absl::StrCat("--max-price ", text, ": a second one for this resource")));
    }
  }
  if (!most->empty()) {
    return UsageError(absl::InvalidArgumentError(
        "--most says how much to bid for: each wants a --max-price of its resource"));
  }
  return out;
}

absl::StatusOr<int> RunGuest(Connection& connection, const Output& out,
                             const RunArguments& arguments) {
  for (const std::string& word : arguments.words) {
    if (word.empty() || word.find(' ') != std::string::npos) {
      return UsageError(absl::InvalidArgumentError(
          absl::StrCat("\"", word,
                       "\": a recipe's arguments are split at blanks, so that none may "
                       "have one or be empty; put it into a script")));
    }
  }
  const absl::StatusOr<std::string> host_id = FindHost(connection, arguments.host);
  if (!host_id.ok()) return host_id.status();
  const absl::StatusOr<HostUnits> units = UnitsOf(connection, *host_id);
  if (!units.ok()) return units.status();
  const absl::StatusOr<std::map<Resource, int64_t>> seeds =
      ParseQuantities(arguments.seeds, *units);
  if (!seeds.ok()) return seeds.status();
  absl::StatusOr<std::vector<Bid>> bids = BidsUpTo(arguments, *units, *seeds);
  if (!bids.ok()) return bids.status();
  pb::AdmitGuestRequest request;
  request.set_host_id(*host_id);
  request.set_tenant_id(arguments.tenant);
  request.set_name(arguments.name);
  request.set_image(arguments.recipe);
  request.set_arguments(absl::StrJoin(arguments.words, " "));
  AddSeeds(*seeds, request);
  pb::AdmitGuestResponse admitted;
  if (absl::Status status = connection.Write(&OperatorStub::AdmitGuest, request, &admitted, "");
      !status.ok()) {
    return status;
  }
  out.talk << "guest " << admitted.guest_id() << " runs\n";
  const auto evict = [&] {
    pb::EvictGuestRequest of;
    of.set_guest_id(admitted.guest_id());
    pb::EvictGuestResponse evicted;
    return connection.Write(&OperatorStub::EvictGuest, of, &evicted, "");
  };
  for (Bid& bid : *bids) {
    bid.guest_id = admitted.guest_id();
    market::v1::PlaceBidRequest place;
    *place.mutable_bid() = client::ToProto(bid);
    market::v1::PlaceBidResponse placed;
    if (absl::Status status = connection.Write(&MarketStub::PlaceBid, place, &placed, "");
        !status.ok()) {
      // A program that runs on less than it was to bid for is not what was asked.
      if (const absl::Status also = evict(); !also.ok()) {
        out.talk << "guest " << admitted.guest_id() << " is still there: " << also.message()
                 << "\n";
      }
      return status;
    }
  }
  std::string reason;
  for (bool ended = false; !ended; absl::SleepFor(kLookInterval)) {
    market::v1::GetGuestRequest get;
    get.set_guest_id(admitted.guest_id());
    market::v1::GetGuestResponse guest;
    if (absl::Status status = connection.Call(&MarketStub::GetGuest, get, &guest); !status.ok()) {
      return status;
    }
    const auto state = guest.guest().state();
    ended = state == market::v1::GUEST_STATE_CRASHED || state == market::v1::GUEST_STATE_ENDED ||
            state == market::v1::GUEST_STATE_EVICTED;
    reason = guest.guest().exit_reason();
  }
  out.talk << "guest " << admitted.guest_id() << ": " << Printable(reason) << "\n";
  if (absl::Status status = evict(); !status.ok()) return status;
  return ExitCodeOf(reason);
}

// --- adopt ---

struct AdoptArguments {
  std::string host;
  std::string tenant;
  std::string name;
  std::string unit;
  std::vector<std::string> seeds;
};

// "postgresql@15-main.service" is called postgresql-15-main on the host, unless it is said.
std::string NameOfUnit(absl::string_view unit) {
  std::string out;
  for (const char c : unit.substr(0, unit.rfind('.'))) {
    const auto byte = static_cast<unsigned char>(c);
    out += absl::ascii_isalnum(byte) ? absl::ascii_tolower(byte) : '-';
  }
  return out.substr(0, 31);
}

absl::StatusOr<int> AdoptUnit(Connection& connection, const Output& out,
                              const AdoptArguments& arguments) {
  const absl::StatusOr<std::string> host_id = FindHost(connection, arguments.host);
  if (!host_id.ok()) return host_id.status();
  const absl::StatusOr<HostUnits> units = UnitsOf(connection, *host_id);
  if (!units.ok()) return units.status();
  const absl::StatusOr<std::map<Resource, int64_t>> seeds =
      ParseQuantities(arguments.seeds, *units);
  if (!seeds.ok()) return seeds.status();
  pb::AdmitGuestRequest request;
  request.set_host_id(*host_id);
  request.set_tenant_id(arguments.tenant);
  request.set_name(arguments.name.empty() ? NameOfUnit(arguments.unit) : arguments.name);
  request.set_image(arguments.unit);
  AddSeeds(*seeds, request);
  pb::AdmitGuestResponse response;
  if (absl::Status status = connection.Write(&OperatorStub::AdmitGuest, request, &response, "");
      !status.ok()) {
    return status;
  }
  return out.Done(response, absl::StrCat("unit ", arguments.unit, " is guest ", response.guest_id(),
                                         ", ", request.name(), "; nomctl evict ", request.name(),
                                         " gives it back\n"));
}

}  // namespace

void AddRunCommands(CLI::App& app, Run& run) {
  CLI::App* start = app.add_subcommand(
      "run",
      "Operators: run a command as a guest of a Linux host until it ends, and end as it did\n\n"
      "Examples:\n"
      "  nomctl run --tenant lab --name build --seed cpu=200m --seed memory=256MiB -- make -j8\n"
      "  nomctl run --tenant lab --name render --seed memory=1GiB --max-price cpu=20 -- render.sh");
  auto arguments = std::make_shared<RunArguments>();
  start->add_option("--host", arguments->host, "The host; by default the only one");
  start->add_option("--tenant", arguments->tenant, "Who pays")->required();
  start->add_option("--name", arguments->name, "[a-z0-9-]{1,31}, unique on the host")->required();
  start->add_option("--recipe", arguments->recipe,
                    "Of the operator's; by default \"command\", as host init writes it");
  AddRepeated(start, "--seed", arguments->seeds,
              "RESOURCE=QUANTITY that it owns to its end, as cpu=200m or memory=256MiB; or "
              "RESOURCE=UNITS");
  AddRepeated(start, "--max-price", arguments->max_prices,
              "RESOURCE=MONEY: bids for all of it that can be had, for up to so much a unit "
              "and round, until the command ends");
  AddRepeated(start, "--most", arguments->most,
              "RESOURCE=QUANTITY: but no more than this, beyond the seed");
  start->add_option("words", arguments->words, "The command, after --");
  start->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return RunGuest(connection, out, *arguments);
    };
  });

  CLI::App* adopt = app.add_subcommand(
      "adopt",
      "Operators: make a unit of systemd that runs already a guest of a Linux host, where it is. A "
      "recipe of the host must name it (unit:)\n\n"
      "Example:\n"
      "  nomctl adopt postgresql.service --tenant lab --seed cpu=500m --seed memory=1GiB");
  auto adopted = std::make_shared<AdoptArguments>();
  adopt->add_option("unit", adopted->unit, "The unit, or the name of its recipe")->required();
  AddHost(adopt, adopted->host);
  adopt->add_option("--tenant", adopted->tenant, "Who pays")->required();
  adopt->add_option("--name", adopted->name,
                    "[a-z0-9-]{1,31}, unique on the host; by default after the unit");
  AddRepeated(adopt, "--seed", adopted->seeds,
              "RESOURCE=QUANTITY that it owns to its end, as cpu=500m or memory=1GiB: no less "
              "memory than it keeps now");
  adopt->callback([&run, adopted] {
    run = [adopted](Connection& connection, const Output& out) {
      return AdoptUnit(connection, out, *adopted);
    };
  });
}

}  // namespace nom::cli
