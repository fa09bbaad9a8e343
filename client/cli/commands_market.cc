// What tenants do: status, watch, bid, withdraw, account, rounds, guests.

#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/cli/bid_syntax.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/follow.h"
#include "client/cli/lookup.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/pages.h"
#include "client/cli/round_check.h"
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

std::string RangesText(const google::protobuf::RepeatedPtrField<pb::BidRange>& ranges) {
  std::vector<std::string> texts;
  for (const pb::BidRange& range : ranges) {
    texts.push_back(FormatRange({.min_units = range.min_units(),
                                 .max_units = range.max_units(),
                                 .value_at_min_microcredits = range.value_at_min_microcredits(),
                                 .unit_price_microcredits = range.unit_price_microcredits()}));
  }
  return absl::StrJoin(texts, " ");
}

// What a valuation says of one of its resources; "" if nothing.
std::string ValuationText(const pb::Valuation& valuation, pb::ResourceKind kind) {
  for (const pb::BidCurve& curve : valuation.curves()) {
    if (curve.kind() != kind) continue;
    return absl::StrCat(CombinationName(valuation.combination()), " of ", valuation.curves_size(),
                        ": ", RangesText(curve.ranges()));
  }
  for (int r = 0; r < valuation.bundle_kinds_size(); ++r) {
    if (valuation.bundle_kinds(r) != kind) continue;
    int64_t most = 0;
    for (const pb::BidBundle& bundle : valuation.bundles()) {
      if (r < bundle.units_size()) most = std::max(most, bundle.units(r));
    }
    return absl::StrCat("one of ", valuation.bundles_size(), " bundles, up to ", most);
  }
  return "";
}

std::string BidText(const pb::GuestInfo& guest, pb::ResourceKind kind) {
  for (const pb::Bid& bid : guest.bids()) {
    if (bid.has_valuation()) {
      if (std::string text = ValuationText(bid.valuation(), kind); !text.empty()) return text;
    } else if (bid.kind() == kind) {
      return RangesText(bid.ranges());
    }
  }
  return "-";
}

void PrintPrices(const pb::MarketState& state, const Output& out) {
  Table table({"resource", "?>unit", "?>capacity", ">price", "bound by", ">reserve", ">supply",
               ">demand", ">sold", "?~rule"});
  for (const pb::ResourceInfo& info : state.resources()) {
    std::vector<std::string> row = {KindName(info.kind()), absl::StrCat(info.unit_size()),
                                    absl::StrCat(info.capacity_units())};
    for (const pb::ResourcePrice& price : state.prices()) {
      if (price.kind() != info.kind()) continue;
      row.insert(row.end(),
                 {absl::StrCat(price.unit_price_microcredits()), BoundByName(price.bound_by()),
                  absl::StrCat(price.reserve_unit_price_microcredits()),
                  absl::StrCat(price.supply_units()), absl::StrCat(price.demand_units()),
                  absl::StrCat(price.sold_units())});
    }
    row.resize(9);
    row.push_back(Printable(info.policy()));
    table.AddRow(std::move(row));
  }
  out.data << table.Format(out.look);
}

void PrintGuests(const google::protobuf::RepeatedPtrField<pb::GuestInfo>& guests,
                 const Output& out) {
  Table table({">id", "guest", "?tenant", "?host", "~state", "resource", ">seed", ">award",
               ">charge", "~bid", ">spent", "?>work done", "?unit", "?~activity"});
  for (const pb::GuestInfo& guest : guests) {
    std::vector<std::string> row = {absl::StrCat(guest.guest_id()), Printable(guest.name()),
                                    Printable(guest.tenant_id()), Printable(guest.host_id()),
                                    GuestStateText(guest)};
    bool first = true;
    for (const pb::Grant& grant : guest.grants()) {
      row.resize(5);
      row.insert(row.end(),
                 {KindName(grant.kind()), absl::StrCat(grant.seed_units()),
                  absl::StrCat(grant.award_units()), absl::StrCat(grant.charge_microcredits()),
                  BidText(guest, grant.kind())});
      if (first) {
        row.insert(row.end(),
                   {absl::StrCat(guest.spent_microcredits()), absl::StrCat(guest.work_done()),
                    Printable(guest.work_unit()), Printable(guest.activity())});
      }
      table.AddRow(std::exchange(row, {}));
      first = false;
    }
    if (!first) continue;
    row.insert(row.end(), {"-", "", "", "", "", absl::StrCat(guest.spent_microcredits())});
    table.AddRow(std::move(row));
  }
  out.data << table.Format(out.look);
}

void PrintAccounts(const google::protobuf::RepeatedPtrField<pb::Account>& accounts,
                   const Output& out) {
  Table table({"tenant", ">available", ">escrow", ">arrears", ">spent"});
  for (const pb::Account& account : accounts) {
    table.AddRow({Printable(account.tenant_id()), absl::StrCat(account.available_microcredits()),
                  absl::StrCat(account.escrow_microcredits()),
                  absl::StrCat(account.arrears_microcredits()),
                  absl::StrCat(account.spent_microcredits())});
  }
  out.data << table.Format(out.look);
}

// Of rounds whose resources were cleared together.
void PrintCertificates(const pb::ListRoundsResponse& rounds, const Output& out) {
  Table table({">round", "all resources together", ">welfare", ">proven at most", "charges"});
  bool any = false;
  for (const pb::Round& round : rounds.rounds()) {
    if (!round.has_certificate()) continue;
    any = true;
    const pb::Certificate& certificate = round.certificate();
    table.AddRow({absl::StrCat(round.round_id()), MethodName(certificate.method()),
                  absl::StrCat(certificate.welfare_microcredits()),
                  absl::StrCat(certificate.welfare_bound_microcredits()),
                  certificate.charges_are_exact() ? "exact" : "within bounds"});
  }
  if (any) out.data << '\n' << table.Format(out.look);
}

// When the round takes effect, or was to: "2026-11-29 23:27:32Z".
std::string TimeText(const pb::Round& round) {
  if (!round.has_effective_time()) return "";
  return absl::FormatTime("%Y-%m-%d %H:%M:%SZ", client::FromProto(round.effective_time()),
                          absl::UTCTimeZone());
}

// A sum that stays at the largest number instead of passing it: it is only shown.
int64_t Plus(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::numeric_limits<int64_t>::max();
  return sum;
}

void PrintRounds(const pb::ListRoundsResponse& rounds, const Output& out) {
  Table table({">round", "effective", "phase", "resource", ">price", "?bound by", "?>supply",
               ">demand", ">sold", ">charge", "?cleared", "~awards (guest:units)"});
  for (const pb::Round& round : rounds.rounds()) {
    std::vector<std::string> head = {absl::StrCat(round.round_id()), TimeText(round),
                                     PhaseName(round.phase())};
    for (const pb::ResourcePrice& price : round.prices()) {
      std::vector<std::string> awards;
      int64_t charge = 0;
      for (const pb::GuestOutcome& outcome : round.outcomes()) {
        if (outcome.kind() != price.kind()) continue;
        charge = Plus(charge, outcome.settled() ? outcome.settled_microcredits()
                                                : outcome.charge_microcredits());
        const bool has_lost = outcome.reason() == pb::AWARD_REASON_OUTBID ||
                              outcome.reason() == pb::AWARD_REASON_BELOW_RESERVE ||
                              outcome.reason() == pb::AWARD_REASON_LARGER_THAN_SUPPLY ||
                              outcome.reason() == pb::AWARD_REASON_NO_MEANS;
        if (outcome.award_units() == 0 && !has_lost) continue;
        awards.push_back(absl::StrCat(outcome.guest_id(), ":", outcome.award_units()));
        if (has_lost) {
          absl::StrAppend(&awards.back(), " (", AwardReasonText(outcome.reason(), nullptr), ")");
        }
      }
      std::vector<std::string> row = std::exchange(head, std::vector<std::string>(3));
      row.insert(row.end(),
                 {KindName(price.kind()), absl::StrCat(price.unit_price_microcredits()),
                  BoundByName(price.bound_by()), absl::StrCat(price.supply_units()),
                  absl::StrCat(price.demand_units()), absl::StrCat(price.sold_units()),
                  absl::StrCat(charge), MethodName(price.method()), absl::StrJoin(awards, " ")});
      table.AddRow(std::move(row));
    }
    if (round.prices().empty()) {
      head.emplace_back("-");
      table.AddRow(std::move(head));
    }
  }
  out.data << table.Format(out.look);
  PrintCertificates(rounds, out);
}

std::string Now(const pb::MarketState& state) {
  return absl::StrCat("host ", Printable(state.host_id()), ", round ", state.round_id(), " ",
                      PhaseName(state.phase()), ", period ", state.period_ms(),
                      " ms, prices of round ", state.priced_round_id());
}

// What an operator is told of hosts and a tenant is not. Empty for tenants.
absl::StatusOr<operators::v1::ListHostsResponse> HostsIfAllowed(Connection& connection) {
  operators::v1::ListHostsResponse hosts;
  const absl::Status status = connection.Call(&operators::v1::OperatorService::Stub::ListHosts,
                                              operators::v1::ListHostsRequest(), &hosts);
  if (absl::IsPermissionDenied(status)) return operators::v1::ListHostsResponse();
  if (!status.ok()) return status;
  return hosts;
}

// One line for each thing that keeps the market from working; empty if there is none.
std::vector<std::string> Faults(const pb::MarketState& state,
                                const operators::v1::ListHostsResponse& hosts, absl::Time now) {
  std::vector<std::string> faults;
  for (const operators::v1::Host& host : hosts.hosts()) {
    if (host.host_id() != state.host_id() || host.connected()) continue;
    faults.push_back(absl::StrCat("host ", Printable(host.host_id()), " is NOT CONNECTED",
                                  host.detail().empty() ? "" : ": ", Printable(host.detail()),
                                  "; its guests keep what they hold, and nothing can change"));
  }
  if (!state.has_valid_until()) {
    faults.push_back(
        absl::StrCat("host ", Printable(state.host_id()),
                     " has no prices yet: it has not been connected since marketd began"));
  } else if (client::FromProto(state.valid_until()) < now) {
    faults.push_back(
        absl::StrCat("prices are OUT OF DATE since ",
                     absl::FormatTime("%Y-%m-%d %H:%M:%SZ", client::FromProto(state.valid_until()),
                                      absl::UTCTimeZone()),
                     ": no round was decided in time"));
  }
  return faults;
}

absl::StatusOr<int> Status(Connection& connection, const Output& out, const std::string& host_id) {
  grpc::ClientContext context;
  connection.Prepare(context);
  connection.SetDeadline(context);
  pb::WatchRequest request;
  request.set_host_id(host_id);
  const auto stream = connection.market().Watch(&context, request);
  pb::WatchResponse response;
  if (!stream->Read(&response)) {
    absl::Status status = client::ToAbsl(stream->Finish());
    if (status.ok()) status = absl::UnavailableError("the market ended the stream");
    return status;
  }
  context.TryCancel();
  static_cast<void>(stream->Finish());  // Cancelled, by us.
  const auto hosts = HostsIfAllowed(connection);
  if (!hosts.ok()) return hosts.status();
  const std::vector<std::string> faults = Faults(response.state(), *hosts, absl::Now());
  const int code = faults.empty() ? kExitOk : kExitCheckFailed;
  if (out.json) {
    if (absl::Status status = out.Json(response); !status.ok()) return status;
    for (const std::string& fault : faults) out.talk << "nomctl: " << fault << '\n';
    return code;
  }
  out.data << Now(response.state()) << "\n";
  for (const std::string& fault : faults) out.data << Red(fault, out.look.colour) << '\n';
  out.data << "\n";
  PrintPrices(response.state(), out);
  out.data << '\n';
  PrintGuests(response.guests(), out);
  out.data << '\n';
  PrintAccounts(response.accounts(), out);
  return code;
}

void PrintWatched(const pb::WatchResponse& response, std::ostream& out) {
  out << response.sequence() << ' ' << Now(response.state());
  for (const pb::ResourcePrice& price : response.state().prices()) {
    out << "; " << KindName(price.kind()) << ' ' << price.unit_price_microcredits() << " ("
        << BoundByName(price.bound_by()) << ')';
  }
  out << '\n';
  for (const pb::Notice& notice : response.notices()) {
    out << "  notice: guest " << notice.guest_id() << ' ' << KindName(notice.kind()) << ' '
        << notice.units_now() << " -> " << notice.units_next() << " units, round "
        << notice.round_id() << '\n';
  }
  out.flush();
}

absl::StatusOr<int> Watch(Connection& connection, const Output& out, const std::string& host_id,
                          const std::vector<std::string>& guests, int64_t count) {
  Following following;
  following.request.set_host_id(host_id);
  for (const std::string& guest : guests) {
    const absl::StatusOr<uint64_t> guest_id = FindGuest(connection, guest);
    if (!guest_id.ok()) return guest_id.status();
    following.request.add_guest_ids(*guest_id);
  }
  int64_t seen = 0;
  following.on_response = [&](const pb::WatchResponse& response) -> absl::Status {
    ++seen;
    if (out.json) return out.Json(response, /*one_line=*/true);
    PrintWatched(response, out.data);
    return absl::OkStatus();
  };
  // A pipe that nobody reads any more is an end, too.
  following.finished = [&] { return (count > 0 && seen >= count) || !out.data.good(); };
  Stopper stopper;
  if (absl::Status status = Follow(connection, out, stopper, following); !status.ok()) {
    return status;
  }
  return kExitOk;
}

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
template <typename Request, typename Response, typename Method>
absl::StatusOr<int> ChangeGuest(Connection& connection, const Output& out, Method method,
                                const BidArguments& arguments, const char* done) {
  const absl::StatusOr<uint64_t> guest_id = FindGuest(connection, arguments.guest);
  if (!guest_id.ok()) return guest_id.status();
  Request request;
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

// Calls, then prints the response as JSON or by `print`.
template <typename Method, typename Request, typename Response, typename Print>
absl::StatusOr<int> Show(Connection& connection, const Output& out, Method method,
                         const Request& request, Response response, Print print) {
  if (absl::Status status = connection.Call(method, request, &response); !status.ok()) {
    return status;
  }
  if (out.json) {
    if (absl::Status status = out.Json(response); !status.ok()) return status;
  } else {
    print(response);
  }
  return kExitOk;
}

}  // namespace

void AddMarketCommands(CLI::App& app, Run& run) {
  auto host = std::make_shared<std::string>();
  const auto add_host = [host](CLI::App* command) {
    command->add_option("--host", *host, "The host; by default the only one");
  };

  CLI::App* status = app.add_subcommand("status", "The market now: prices, guests, accounts");
  add_host(status);
  status->callback([&run, host] {
    run = [host](Connection& connection, const Output& out) {
      return Status(connection, out, *host);
    };
  });

  CLI::App* watch = app.add_subcommand("watch", "Every change as it is told, one a line");
  add_host(watch);
  auto count = std::make_shared<int64_t>(0);
  auto watched = std::make_shared<std::vector<std::string>>();
  AddWhole(watch, "--count", *count, "End after so many responses", 1, kWholeMax);
  watch->add_option("--guest", *watched, "Only these guests: names, or id:NUMBER");
  watch->callback([&run, host, count, watched] {
    run = [host, count, watched](Connection& connection, const Output& out) {
      return Watch(connection, out, *host, *watched, *count);
    };
  });

  CLI::App* bid =
      app.add_subcommand("bid", "Replace a guest's bid for a resource, or for several together");
  bid->footer(kBidFooter);
  auto arguments = std::make_shared<BidArguments>();
  bid->add_option("guest", arguments->guest, kGuestHelp)->required();
  bid->add_option("resource", arguments->resource, "cpu, memory, ...");
  bid->add_option("range", arguments->ranges,
                  "MAX@PRICE, MIN-MAX@PRICE or MIN-MAX@PRICE=VALUE: so many units beyond the seed, "
                  "each worth so many micro-credits a round; =VALUE: what MIN units are worth");
  bid->add_option(
         "--bundle", arguments->bundles,
         "RESOURCE=UNITS,...@VALUE: so much of several resources, all or nothing, is worth "
         "so many micro-credits a round; at most one of all bundles is won")
      ->take_all();
  CLI::Option* combine =
      bid->add_option("--combine", arguments->combination,
                      "How --curve of several resources make one value: sum, min, max or product");
  CLI::Option* curve =
      bid->add_option("--curve", arguments->curves,
                      "\"RESOURCE: RANGE ...\": the ranges of one resource; in a product they are "
                      "levels, parts of 1048576")
          ->take_all();
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

  CLI::App* bids = app.add_subcommand("bids", "Bids that stand, what each won, and why no more");
  add_host(bids);
  bids->callback([&run, host] {
    run = [host](Connection& connection, const Output& out) {
      return Bids(connection, out, *host);
    };
  });

  CLI::App* end = app.add_subcommand(
      "end", "End a guest of yours: it holds nothing and pays nothing from then on");
  end->add_option("guest", arguments->guest, kGuestHelp)->required();
  AddRequestId(end, arguments->request_id);
  end->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return ChangeGuest<pb::EndGuestRequest, pb::EndGuestResponse>(
          connection, out, &MarketStub::EndGuest, *arguments, "has ended");
    };
  });

  CLI::App* start = app.add_subcommand(
      "start", "Start a guest of yours that has ended, with the seed that it had");
  start->add_option("guest", arguments->guest, kGuestHelp)->required();
  AddRequestId(start, arguments->request_id);
  start->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return ChangeGuest<pb::StartGuestRequest, pb::StartGuestResponse>(
          connection, out, &MarketStub::StartGuest, *arguments, "runs");
    };
  });

  CLI::App* account = app.add_subcommand("account", "Money: available, in escrow, spent");
  auto tenant = std::make_shared<std::string>();
  account->add_option("--tenant", *tenant, "For operators: whose");
  account->callback([&run, tenant] {
    run = [tenant](Connection& connection, const Output& out) {
      pb::GetAccountRequest request;
      request.set_tenant_id(*tenant);
      return Show(connection, out, &MarketStub::GetAccount, request, pb::GetAccountResponse(),
                  [&](const pb::GetAccountResponse& response) {
                    google::protobuf::RepeatedPtrField<pb::Account> accounts;
                    *accounts.Add() = response.account();
                    PrintAccounts(accounts, out);
                  });
    };
  });

  CLI::App* rounds = app.add_subcommand("rounds", "Past rounds, newest first");
  add_host(rounds);
  auto limit = std::make_shared<int32_t>(20);
  auto before = std::make_shared<uint64_t>(0);
  AddWhole(rounds, "--limit", *limit, "How many", 1, 1000);
  AddWhole(rounds, "--before", *before, "Only rounds below this id", 1, kWholeMax);
  rounds->callback([&run, host, limit, before] {
    run = [host, limit, before](Connection& connection, const Output& out) {
      pb::ListRoundsRequest request;
      request.set_host_id(*host);
      request.set_page_size(*limit);
      request.set_before_round_id(*before);
      return Show(connection, out, &MarketStub::ListRounds, request, pb::ListRoundsResponse(),
                  [&](const pb::ListRoundsResponse& response) { PrintRounds(response, out); });
    };
  });

  CLI::App* guests = app.add_subcommand("guests", "Guests, what they hold, bid and do");
  add_host(guests);
  guests->callback([&run, host] {
    run = [host](Connection& connection, const Output& out) {
      pb::ListGuestsRequest request;
      request.set_host_id(*host);
      pb::ListGuestsResponse response;
      absl::Status listed = ListAllGuests(connection, request, &response);
      if (listed.ok() && out.json) listed = out.Json(response);
      if (!listed.ok()) return absl::StatusOr<int>(listed);
      if (!out.json) PrintGuests(response.guests(), out);
      return absl::StatusOr<int>(kExitOk);
    };
  });
}

}  // namespace nom::cli
