// SPDX-License-Identifier: Apache-2.0
// What tenants look at: status, watch, account, rounds, guests.

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
#include "client/cli/bid_text.h"
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

// "0.903456": parts per million as a fraction, exactly.
std::string PpmText(int64_t ppm) {
  return absl::StrCat(ppm / 1'000'000, ".", absl::Dec(ppm % 1'000'000, absl::kZeroPad6));
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

// What the rounds were for, and what they came to.
void PrintMeasures(const pb::ListRoundsResponse& rounds, const Output& out) {
  Table table({">round", "objective", "resource", ">revenue", ">moved", ">jain", "?>welfare",
               "?>proven at most", "?>maximised", "?>of at most"});
  bool any = false;
  for (const pb::Round& round : rounds.rounds()) {
    for (const pb::ResourcePrice& price : round.prices()) {
      if (!price.has_measures()) continue;
      any = true;
      const pb::RoundMeasures& measures = price.measures();
      const auto or_dash = [](bool is_there, int64_t number) {
        return is_there ? absl::StrCat(number) : std::string("-");
      };
      table.AddRow(
          {absl::StrCat(round.round_id()), Printable(round.objective()), KindName(price.kind()),
           absl::StrCat(measures.revenue_microcredits()), absl::StrCat(measures.moved_units()),
           measures.has_jain_index_ppm() ? PpmText(measures.jain_index_ppm()) : "-",
           or_dash(measures.has_welfare_microcredits(), measures.welfare_microcredits()),
           or_dash(measures.has_welfare_bound_microcredits(),
                   measures.welfare_bound_microcredits()),
           or_dash(measures.has_maximised_microcredits(), measures.maximised_microcredits()),
           or_dash(measures.has_maximised_bound_microcredits(),
                   measures.maximised_bound_microcredits())});
    }
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
  PrintMeasures(rounds, out);
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

void AddStatus(CLI::App& app, Run& run) {
  CLI::App* status = app.add_subcommand("status", "The market now: prices, guests, accounts");
  auto host = std::make_shared<std::string>();
  AddHost(status, *host);
  status->callback([&run, host] {
    run = [host](Connection& connection, const Output& out) {
      return Status(connection, out, *host);
    };
  });
}

void AddWatch(CLI::App& app, Run& run) {
  CLI::App* watch = app.add_subcommand("watch", "Every change as it is told, one a line");
  auto host = std::make_shared<std::string>();
  auto count = std::make_shared<int64_t>(0);
  auto watched = std::make_shared<std::vector<std::string>>();
  AddHost(watch, *host);
  AddWhole(watch, "--count", *count, "End after so many responses", 1, kWholeMax);
  watch->add_option("--guest", *watched, "Only these guests: names, or id:NUMBER");
  watch->callback([&run, host, count, watched] {
    run = [host, count, watched](Connection& connection, const Output& out) {
      return Watch(connection, out, *host, *watched, *count);
    };
  });
}

void AddAccount(CLI::App& app, Run& run) {
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
}

void AddRounds(CLI::App& app, Run& run) {
  CLI::App* rounds = app.add_subcommand("rounds", "Past rounds, newest first");
  auto host = std::make_shared<std::string>();
  AddHost(rounds, *host);
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
}

void AddGuests(CLI::App& app, Run& run) {
  CLI::App* guests = app.add_subcommand("guests", "Guests, what they hold, bid and do");
  auto host = std::make_shared<std::string>();
  AddHost(guests, *host);
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

}  // namespace

void AddMarketCommands(CLI::App& app, Run& run) {
  AddStatus(app, run);
  AddWatch(app, run);
  AddBidCommands(app, run);
  AddAccount(app, run);
  AddRounds(app, run);
  AddGuests(app, run);
}

}  // namespace nom::cli
