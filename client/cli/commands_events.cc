// SPDX-License-Identifier: Apache-2.0
// events: who did what.

#include <algorithm>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/options.h"
#include "client/cli/table.h"

namespace nom::cli {
namespace {

namespace pb = market::v1;
using MarketStub = pb::MarketService::Stub;

constexpr int64_t kPageTransactionsMax = 1000;

struct EventsArguments {
  std::string tenant;
  int64_t limit = 50;
  uint64_t before = 0;
};

// "shop, token 2", "operator".
std::string WhoText(const pb::Event& event) {
  std::string who = Printable(event.by());
  if (who == "@operator") return "operator";
  if (who == "@market") return "market";
  if (event.by_token_id() != 0) absl::StrAppend(&who, ", token ", event.by_token_id());
  return who;
}

// To what it was done: "guest id:7 on m1", "token 2"; empty if to nothing but the tenant.
std::string WhatText(const pb::Event& event) {
  if (event.guest_id() != 0) {
    return absl::StrCat("guest id:", event.guest_id(), " on ", Printable(event.host_id()));
  }
  if (event.token_id() != 0) return absl::StrCat("token ", event.token_id());
  return "";
}

std::string EventsText(const pb::ListEventsResponse& response, const Look& look) {
  Table table(
      {"time", "event", "by", "tenant", "?to", ">micro-credits", "~detail", "?>transaction"});
  for (const pb::Event& event : response.events()) {
    table.AddRow({absl::FormatTime("%Y-%m-%d %H:%M:%SZ", client::FromProto(event.time()),
                                   absl::UTCTimeZone()),
                  Printable(event.kind()), WhoText(event), Printable(event.tenant_id()),
                  WhatText(event),
                  event.amount_microcredits() == 0 ? "" : absl::StrCat(event.amount_microcredits()),
                  Printable(event.detail()), absl::StrCat(event.transaction_id())});
  }
  return table.Format(look);
}

absl::StatusOr<int> Events(Connection& connection, const Output& out,
                           const EventsArguments& arguments) {
  pb::ListEventsResponse all;
  pb::ListEventsRequest request;
  request.set_tenant_id(arguments.tenant);
  request.set_before_transaction_id(arguments.before);
  for (int64_t left = arguments.limit; left > 0; left = arguments.limit - all.events_size()) {
    request.set_page_size(static_cast<int32_t>(std::min(left, kPageTransactionsMax)));
    pb::ListEventsResponse page;
    if (absl::Status status = connection.Call(&MarketStub::ListEvents, request, &page);
        !status.ok()) {
      return status;
    }
    all.mutable_events()->MergeFrom(page.events());
    all.set_next_before_transaction_id(page.next_before_transaction_id());
    if (page.next_before_transaction_id() == 0) break;
    request.set_before_transaction_id(page.next_before_transaction_id());
  }
  if (absl::StatusOr<int> done = out.Done(all, EventsText(all, out.look)); !done.ok()) return done;
  if (!out.json && all.next_before_transaction_id() != 0) {
    out.talk << "there are more: nomctl events --before " << all.next_before_transaction_id()
             << '\n';
  }
  return kExitOk;
}

}  // namespace

void AddEventsCommand(CLI::App& app, Run& run) {
  CLI::App* events =
      app.add_subcommand("events",
                         "Who did what, newest first: tenants, tokens, deposits, guests\n\n"
                         "Examples:\n"
                         "  nomctl events --limit 20\n"
                         "  nomctl events --tenant shop --json");
  auto arguments = std::make_shared<EventsArguments>();
  events->add_option("--tenant", arguments->tenant, "For operators: of one tenant alone");
  AddWhole(events, "--limit", arguments->limit, "How many", 1, 1'000'000);
  AddWhole(events, "--before", arguments->before, "Only those of transactions below this", 1,
           kWholeMax);
  events->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return Events(connection, out, *arguments);
    };
  });
}

}  // namespace nom::cli
