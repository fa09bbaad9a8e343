// statement: where an account's money went, round by round.

#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/json.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/pages.h"
#include "client/cli/table.h"

namespace nom::cli {
namespace {

namespace pb = market::v1;
using MarketStub = pb::MarketService::Stub;

constexpr int kPageRounds = 100;

struct StatementArguments {
  std::string host;
  std::string tenant;
  int64_t rounds = 20;
};

// What one guest paid for one resource in one round.
struct Line {
  uint64_t round_id = 0;
  std::string time;
  std::string guest;
  std::string kind;
  int64_t units = 0;
  int64_t charge_microcredits = 0;
  int64_t rent_microcredits = 0;
};

// Sums that are only shown stay at the largest number instead of passing it.
int64_t Plus(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<int64_t>::max() : sum;
}

// Of the newest settled rounds, newest first. `names` has the account's guests; an operator is told
// others' outcomes as well, which are left out where `only_named`.
absl::StatusOr<std::vector<Line>> Lines(Connection& connection, const StatementArguments& arguments,
                                        const std::map<uint64_t, std::string>& names,
                                        bool only_named) {
  std::vector<Line> lines;
  int64_t rounds_left = arguments.rounds;
  pb::ListRoundsRequest request;
  request.set_host_id(arguments.host);
  request.set_page_size(kPageRounds);
  while (rounds_left > 0) {
    pb::ListRoundsResponse page;
    if (absl::Status status = connection.Call(&MarketStub::ListRounds, request, &page);
        !status.ok()) {
      return status;
    }
    for (const pb::Round& round : page.rounds()) {
      if (round.phase() != pb::ROUND_PHASE_SETTLED) continue;
      if (rounds_left-- == 0) return lines;
      for (const pb::GuestOutcome& outcome : round.outcomes()) {
        const auto name = names.find(outcome.guest_id());
        if (only_named && name == names.end()) continue;
        if (outcome.settled_microcredits() == 0 && outcome.rent_microcredits() == 0) continue;
        lines.push_back({.round_id = round.round_id(),
                         .time = absl::FormatTime("%Y-%m-%d %H:%M:%SZ",
                                                  client::FromProto(round.effective_time()),
                                                  absl::UTCTimeZone()),
                         .guest = name == names.end() ? absl::StrCat("id:", outcome.guest_id())
                                                      : Printable(name->second),
                         .kind = KindName(outcome.kind()),
                         .units = Plus(outcome.seed_units(), outcome.award_units()),
                         .charge_microcredits = outcome.settled_microcredits(),
                         .rent_microcredits = outcome.rent_microcredits()});
      }
    }
    if (page.next_before_round_id() == 0) break;
    request.set_before_round_id(page.next_before_round_id());
  }
  return lines;
}

std::string LinesJson(const std::vector<Line>& lines) {
  const auto one = [](std::string* out, const Line& line) {
    absl::StrAppend(
        out, "\n  {\"round_id\": ", line.round_id, ", \"effective_time\": ", JsonText(line.time),
        ", \"guest\": ", JsonText(line.guest), ", \"kind\": ", JsonText(line.kind),
        ", \"units\": ", line.units, ", \"charge_microcredits\": ", line.charge_microcredits);
    absl::StrAppend(out, ", \"rent_microcredits\": ", line.rent_microcredits, "}");
  };
  return absl::StrJoin(lines, ",", one);
}

absl::StatusOr<int> Statement(Connection& connection, const Output& out,
                              const StatementArguments& arguments) {
  pb::GetAccountRequest get_account;
  get_account.set_tenant_id(arguments.tenant);
  pb::GetAccountResponse account;
  if (absl::Status status = connection.Call(&MarketStub::GetAccount, get_account, &account);
      !status.ok()) {
    return status;
  }
  pb::ListGuestsResponse guests;
  if (absl::Status status = ListAllGuests(connection, {}, &guests); !status.ok()) return status;
  std::map<uint64_t, std::string> names;
  for (const pb::GuestInfo& guest : guests.guests()) {
    if (guest.tenant_id() == account.account().tenant_id()) names[guest.guest_id()] = guest.name();
  }
  const absl::StatusOr<std::vector<Line>> lines =
      Lines(connection, arguments, names, /*only_named=*/!arguments.tenant.empty());
  if (!lines.ok()) return lines.status();
  if (out.json) {
    out.data << "{\"account\": " << ToJson(account.account(), /*one_line=*/true)
             << ",\n \"lines\": [" << LinesJson(*lines) << "]}\n";
    return kExitOk;
  }
  Table table({">round", "?effective", "guest", "resource", ">held", ">charge", ">rent"});
  int64_t charges = 0;
  int64_t rents = 0;
  uint64_t last_round_id = 0;
  for (const Line& line : *lines) {
    const bool again = line.round_id == last_round_id;
    last_round_id = line.round_id;
    table.AddRow({again ? "" : absl::StrCat(line.round_id), again ? "" : line.time, line.guest,
                  line.kind, absl::StrCat(line.units), absl::StrCat(line.charge_microcredits),
                  absl::StrCat(line.rent_microcredits)});
    charges = Plus(charges, line.charge_microcredits);
    rents = Plus(rents, line.rent_microcredits);
  }
  table.AddRow({"", "", "sum", "", "", absl::StrCat(charges), absl::StrCat(rents)});
  const pb::Account& now = account.account();
  out.data << table.Format(out.look) << "\naccount " << Printable(now.tenant_id()) << ": spent "
           << FormatCredits(now.spent_microcredits()) << " in all, "
           << FormatCredits(now.available_microcredits()) << " available, "
           << FormatCredits(now.escrow_microcredits()) << " in escrow, "
           << FormatCredits(now.arrears_microcredits()) << " in arrears\n";
  return kExitOk;
}

}  // namespace

void AddStatementCommand(CLI::App& app, Run& run) {
  CLI::App* statement = app.add_subcommand(
      "statement", "Where the money went: each guest's charges and rent, round by round");
  auto arguments = std::make_shared<StatementArguments>();
  statement->add_option("--host", arguments->host, "The host; by default the only one");
  statement->add_option("--tenant", arguments->tenant,
                        "For operators: whose; guests that are there");
  AddWhole(statement, "--limit", arguments->rounds, "How many settled rounds", 1, 1'000'000);
  statement->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return Statement(connection, out, *arguments);
    };
  });
}

}  // namespace nom::cli
