// SPDX-License-Identifier: Apache-2.0
// What tenants do: bid, withdraw, bids, end, start.

#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/bid_syntax.h"
#include "client/cli/bid_text.h"
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

constexpr char kBidFooter[] =
    R"(Examples
  nomctl bid cache memory 16@900 17-64@400 --budget 30000
  nomctl bid cache --bundle memory=16,cpu=20@40000 --bundle memory=32,cpu=20@55000
  nomctl bid cache --combine min --curve "memory: 64@900" --curve "cpu: 50@1200"
Bundles and curves of several resources are for hosts that clear all of them together (the rule in
nomctl status is joint_vcg/1 for each). Such a bid replaces all bids of the guest.)";

struct BidArguments {
  std::string guest;
  std::string resource;
  std::vector<std::string> ranges;
  std::vector<std::string> bundles;
  std::string combination;
  std::vector<std::string> curves;
  int64_t whole_value_microcredits = 0;
  int64_t budget_microcredits = 0;
  uint32_t expires_after_rounds = 0;
  std::string request_id;
};

// What was typed, without the guest.
absl::StatusOr<Bid> ParseBid(const BidArguments& arguments) {
  Bid bid;
  if (!arguments.resource.empty()) {
    if (!arguments.bundles.empty() || !arguments.curves.empty()) {
      return absl::InvalidArgumentError(
          "either a resource and its ranges, or --bundle, or --combine and --curve");
    }
    if (arguments.ranges.empty())
      return absl::InvalidArgumentError("range: at least one is needed");
    const absl::StatusOr<Resource> resource = ParseResourceArgument(arguments.resource);
    if (!resource.ok()) return resource.status();
    bid.resource = *resource;
    absl::StatusOr<std::vector<BidRange>> ranges = ParseRanges(arguments.ranges);
    if (!ranges.ok()) return ranges.status();
    bid.ranges = *std::move(ranges);
    return bid;
  }
  if (arguments.bundles.empty() == arguments.curves.empty()) {
    return absl::InvalidArgumentError(
        "expected a resource and its ranges, or --bundle, or --combine and --curve");
  }
  Valuation& valuation = bid.valuation.emplace();
  for (const std::string& text : arguments.bundles) {
    absl::StatusOr<Bundle> bundle = ParseBundle(text);
    if (!bundle.ok()) return bundle.status();
    valuation.bundles.push_back(*std::move(bundle));
  }
  if (arguments.curves.empty()) return bid;
  const absl::StatusOr<Combination> combination = ParseCombination(arguments.combination);
  if (!combination.ok()) return combination.status();
  valuation.combination = *combination;
  valuation.whole_value_microcredits = arguments.whole_value_microcredits;
  for (const std::string& text : arguments.curves) {
    absl::StatusOr<std::pair<Resource, std::vector<BidRange>>> curve = ParseCurve(text);
    if (!curve.ok()) return curve.status();
    if (!valuation.curves.insert(*std::move(curve)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("curve \"", text, "\": a second one for this resource"));
    }
  }
  return bid;
}

absl::StatusOr<int> PlaceBid(Connection& connection, const Output& out,
                             const BidArguments& arguments, bool has_budget) {
  absl::StatusOr<Bid> parsed = ParseBid(arguments);
  if (!parsed.ok()) return UsageError(parsed.status());
  const absl::StatusOr<uint64_t> guest_id = FindGuest(connection, arguments.guest);
  if (!guest_id.ok()) return guest_id.status();
  Bid bid = *std::move(parsed);
  bid.guest_id = *guest_id;
  if (has_budget) bid.budget_microcredits = arguments.budget_microcredits;
  pb::PlaceBidRequest request;
  *request.mutable_bid() = client::ToProto(bid);
  request.mutable_bid()->set_expires_after_rounds(arguments.expires_after_rounds);
  pb::PlaceBidResponse response;
  if (absl::Status status =
          connection.Write(&MarketStub::PlaceBid, request, &response, arguments.request_id);
      !status.ok()) {
    return status;
  }
  return out.Done(response, absl::StrCat("bid placed, takes part from round ", response.round_id(),
                                         "; what it wins and why: nomctl bids\n"));
}

// Every bid that stands, what it won in the last round decided, and why no more.
void PrintBids(const pb::ListGuestsResponse& guests, const pb::ListRoundsResponse& rounds,
               const Output& out) {
  Table table({"guest", "resource", "~bid", ">round", ">won", ">charge", "~why"});
  for (const pb::GuestInfo& guest : guests.guests()) {
    std::string name = Printable(guest.name());
    const google::protobuf::RepeatedPtrField<pb::ResourcePrice> none;
    const auto* prices = &none;
    for (const pb::Round& round : rounds.rounds()) {
      if (round.round_id() == guest.decided_round_id() && round.host_id() == guest.host_id()) {
        prices = &round.prices();
      }
    }
    for (const pb::Grant& grant : guest.grants()) {
      const std::string bid = BidText(guest, grant.kind());
      const auto won = std::find_if(guest.decided().begin(), guest.decided().end(),
                                    [&](const auto& d) { return d.kind() == grant.kind(); });
      const bool has_result = won != guest.decided().end();
      if (bid == "-" && (!has_result || won->award_units() == 0)) continue;
      std::vector<std::string> row = {std::exchange(name, ""), KindName(grant.kind()), bid};
      if (has_result) {
        row.insert(row.end(),
                   {absl::StrCat(guest.decided_round_id()), absl::StrCat(won->award_units()),
                    absl::StrCat(won->charge_microcredits()),
                    AwardReasonText(won->reason(), FindPrice(*prices, grant.kind()))});
      } else {
        row.insert(row.end(), {"-", "", "", "no round was decided yet"});
      }
      table.AddRow(std::move(row));
    }
  }
  out.data << table.Format(out.look);
}

absl::StatusOr<int> Bids(Connection& connection, const Output& out, const std::string& host_id) {
  pb::ListGuestsRequest request;
  request.set_host_id(host_id);
  pb::ListGuestsResponse guests;
  if (absl::Status status = ListAllGuests(connection, request, &guests); !status.ok()) {
    return status;
  }
  if (out.json) {
    if (absl::Status status = out.Json(guests); !status.ok()) return status;
    return kExitOk;
  }
  // Prices are of rounds: those in which what is shown was decided, host by host.
  pb::ListRoundsResponse rounds;
  std::set<std::pair<std::string, uint64_t>> wanted;
  for (const pb::GuestInfo& guest : guests.guests()) {
    if (guest.decided_round_id() != 0) wanted.insert({guest.host_id(), guest.decided_round_id()});
  }
  for (const auto& [of_host, round_id] : wanted) {
    pb::ListRoundsRequest of_round;
    of_round.set_host_id(of_host);
    of_round.set_page_size(1);
    of_round.set_before_round_id(round_id + 1);
    pb::ListRoundsResponse page;
    if (absl::Status status = connection.Call(&MarketStub::ListRounds, of_round, &page);
        !status.ok()) {
      return status;
    }
    for (const pb::Round& round : page.rounds()) *rounds.add_rounds() = round;
  }
  PrintBids(guests, rounds, out);
  return kExitOk;
}

// EndGuest and StartGuest: the same shape, and each its words.
template <typename Response, typename Request, typename Method>
absl::StatusOr<int> ChangeGuest(Connection& connection, const Output& out, Method method,
                                Request request, const BidArguments& arguments, const char* done) {
  const absl::StatusOr<uint64_t> guest_id = FindGuest(connection, arguments.guest);
  if (!guest_id.ok()) return guest_id.status();
  request.set_guest_id(*guest_id);
  Response response;
  if (absl::Status status = connection.Write(method, request, &response, arguments.request_id);
      !status.ok()) {
    return status;
  }
  return out.Done(response, absl::StrCat("guest ", *guest_id, " ", done, "\n"));
}

absl::StatusOr<int> WithdrawBid(Connection& connection, const Output& out,
                                const BidArguments& arguments) {
  pb::WithdrawBidRequest request;
  if (!arguments.resource.empty()) {
    const absl::StatusOr<Resource> resource = ParseResourceArgument(arguments.resource);
    if (!resource.ok()) return UsageError(resource.status());
    request.set_kind(client::ToProto(*resource));
  }
  const absl::StatusOr<uint64_t> guest_id = FindGuest(connection, arguments.guest);
  if (!guest_id.ok()) return guest_id.status();
  request.set_guest_id(*guest_id);
  pb::WithdrawBidResponse response;
  if (absl::Status status =
          connection.Write(&MarketStub::WithdrawBid, request, &response, arguments.request_id);
      !status.ok()) {
    return status;
  }
  return out.Done(response, response.removed() ? "bid withdrawn\n" : "there was no bid\n");
}

void AddBid(CLI::App& app, Run& run) {
  CLI::App* bid =
      app.add_subcommand("bid", "Replace a guest's bid for a resource, or for several together");
  bid->footer(kBidFooter);
  auto arguments = std::make_shared<BidArguments>();
  bid->add_option("guest", arguments->guest, kGuestHelp)->required();
  bid->add_option("resource", arguments->resource, "cpu, memory, ...");
  bid->add_option("range", arguments->ranges,
                  "MAX@PRICE, MIN-MAX@PRICE or MIN-MAX@PRICE=VALUE: so many units beyond the seed, "
                  "each worth so many micro-credits a round; =VALUE: what MIN units are worth");
  AddRepeated(bid, "--bundle", arguments->bundles,
              "RESOURCE=UNITS,...@VALUE: so much of several resources, all or nothing, is worth "
              "so many micro-credits a round; at most one of all bundles is won");
  CLI::Option* combine =
      bid->add_option("--combine", arguments->combination,
                      "How --curve of several resources make one value: sum, min, max or product");
  CLI::Option* curve =
      AddRepeated(bid, "--curve", arguments->curves,
                  "\"RESOURCE: RANGE ...\": the ranges of one resource; in a product they are "
                  "levels, parts of 1048576");
  combine->needs(curve);
  curve->needs(combine);
  AddMoney(bid, "--whole-value", arguments->whole_value_microcredits,
           "What a product is worth where all levels are at the top", 0)
      ->needs(combine);
  CLI::Option* budget = AddMoney(bid, "--budget", arguments->budget_microcredits,
                                 "The most that it may be charged in a round", 0);
  AddWhole(bid, "--expires-after", arguments->expires_after_rounds,
           "Rounds in which it takes part; by default until it is replaced", 1,
           std::numeric_limits<uint32_t>::max());
  AddRequestId(bid, arguments->request_id);
  bid->callback([&run, arguments, budget] {
    const bool has_budget = budget->count() > 0;
    run = [arguments, has_budget](Connection& connection, const Output& out) {
      return PlaceBid(connection, out, *arguments, has_budget);
    };
  });
}

void AddWithdraw(CLI::App& app, Run& run) {
  auto arguments = std::make_shared<BidArguments>();
  CLI::App* withdraw =
      app.add_subcommand("withdraw", "Remove a guest's bid for a resource, or for several");
  withdraw->add_option("guest", arguments->guest, kGuestHelp)->required();
  withdraw->add_option("resource", arguments->resource,
                       "cpu, memory, ...; without it, the bid for several resources");
  AddRequestId(withdraw, arguments->request_id);
  withdraw->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return WithdrawBid(connection, out, *arguments);
    };
  });
}

void AddBids(CLI::App& app, Run& run) {
  CLI::App* bids = app.add_subcommand("bids", "Bids that stand, what each won, and why no more");
  auto host = std::make_shared<std::string>();
  AddHost(bids, *host);
  bids->callback([&run, host] {
    run = [host](Connection& connection, const Output& out) {
      return Bids(connection, out, *host);
    };
  });
}

void AddEnd(CLI::App& app, Run& run) {
  auto arguments = std::make_shared<BidArguments>();
  auto for_good = std::make_shared<bool>(false);
  CLI::App* end = app.add_subcommand(
      "end", "End a guest of yours: it holds nothing and pays nothing from then on");
  end->add_option("guest", arguments->guest, kGuestHelp)->required();
  end->add_flag(
      "--for-good", *for_good,
      "Give it back, whether it runs or not: it cannot be started again, its name and its "
      "place in your quota are free, and its contracts are left for their fees");
  AddRequestId(end, arguments->request_id);
  end->callback([&run, arguments, for_good] {
    run = [arguments, for_good](Connection& connection, const Output& out) {
      pb::EndGuestRequest request;
      request.set_for_good(*for_good);
      return ChangeGuest<pb::EndGuestResponse>(connection, out, &MarketStub::EndGuest,
                                               std::move(request), *arguments,
                                               *for_good ? "is given back" : "has ended");
    };
  });
}

void AddStart(CLI::App& app, Run& run) {
  auto arguments = std::make_shared<BidArguments>();
  CLI::App* start = app.add_subcommand(
      "start", "Start a guest of yours that has ended, with the seed that it had");
  start->add_option("guest", arguments->guest, kGuestHelp)->required();
  AddRequestId(start, arguments->request_id);
  start->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return ChangeGuest<pb::StartGuestResponse>(connection, out, &MarketStub::StartGuest,
                                                 pb::StartGuestRequest(), *arguments, "runs");
    };
  });
}

}  // namespace

void AddBidCommands(CLI::App& app, Run& run) {
  AddBid(app, run);
  AddWithdraw(app, run);
  AddBids(app, run);
  AddEnd(app, run);
  AddStart(app, run);
}

}  // namespace nom::cli
