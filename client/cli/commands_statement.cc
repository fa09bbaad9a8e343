// SPDX-License-Identifier: Apache-2.0
// statement: what went into an account and out of it; or its charges, round by round.

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

constexpr int kPageTransactions = 200;

struct StatementArguments {
  std::string host;
  std::string tenant;
  bool by_resource = false;
  bool all = false;
  int64_t limit = 20;  // Entries, or settled rounds by resource.
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
  int64_t rounds_left = arguments.all ? kWholeMax : arguments.limit;
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
                         .units = Plus(Plus(outcome.seed_units(), outcome.award_units()),
                                       outcome.contracted_units()),
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

// The guests of an account by id, for their names. `account` is asked for as well.
absl::StatusOr<std::map<uint64_t, std::string>> Names(Connection& connection,
                                                      const StatementArguments& arguments,
                                                      pb::GetAccountResponse* account) {
  pb::GetAccountRequest get_account;
  get_account.set_tenant_id(arguments.tenant);
  if (absl::Status status = connection.Call(&MarketStub::GetAccount, get_account, account);
      !status.ok()) {
    return status;
  }
  pb::ListGuestsResponse guests;
  if (absl::Status status = ListAllGuests(connection, {}, &guests); !status.ok()) return status;
  std::map<uint64_t, std::string> names;
  for (const pb::GuestInfo& guest : guests.guests()) {
    if (guest.tenant_id() == account->account().tenant_id()) names[guest.guest_id()] = guest.name();
  }
  return names;
}

std::string NameIn(const std::map<uint64_t, std::string>& names, uint64_t guest_id) {
  if (guest_id == 0) return "";
  const auto name = names.find(guest_id);
  return name == names.end() ? absl::StrCat("id:", guest_id) : Printable(name->second);
}

std::string AccountText(const pb::Account& account) {
  return absl::StrCat("\naccount ", Printable(account.tenant_id()), ": spent ",
                      FormatCredits(account.spent_microcredits()), " in all, ",
                      FormatCredits(account.available_microcredits()), " available, ",
                      FormatCredits(account.escrow_microcredits()), " in escrow, ",
                      FormatCredits(account.arrears_microcredits()), " in arrears\n");
}

absl::StatusOr<int> ByResource(Connection& connection, const Output& out,
                               const StatementArguments& arguments) {
  pb::GetAccountResponse account;
  const auto guests = Names(connection, arguments, &account);
  if (!guests.ok()) return guests.status();
  const std::map<uint64_t, std::string>& names = *guests;
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
  out.data << table.Format(out.look) << AccountText(account.account());
  return kExitOk;
}

// An entry, and what the account held after it.
struct Posting {
  pb::Entry entry;
  int64_t balance_microcredits = 0;
};

std::string WhatText(const pb::Entry& entry) {
  const std::string other = Printable(entry.other());
  switch (entry.kind()) {
    case pb::ENTRY_KIND_DEPOSIT:
      return "deposit";
    case pb::ENTRY_KIND_WITHDRAWAL:
      return "withdrawal";
    case pb::ENTRY_KIND_PAYMENT:
      return other.empty() ? "charges and rent" : absl::StrCat("paid to ", other);
    case pb::ENTRY_KIND_OWED:
      return "rent, owed";
    case pb::ENTRY_KIND_RECEIVED:
      return absl::StrCat("from ", other);
    default:
      return "unknown";
  }
}

// The newest entries, newest first; `before` is what the account held before the oldest of them.
absl::StatusOr<std::vector<Posting>> Postings(Connection& connection,
                                              const StatementArguments& arguments,
                                              int64_t* before) {
  std::vector<Posting> postings;
  pb::ListEntriesRequest request;
  request.set_tenant_id(arguments.tenant);
  request.set_page_size(kPageTransactions);
  const auto is_full = [&] {
    return !arguments.all && static_cast<int64_t>(postings.size()) >= arguments.limit;
  };
  do {
    pb::ListEntriesResponse page;
    if (absl::Status status = connection.Call(&MarketStub::ListEntries, request, &page);
        !status.ok()) {
      return status;
    }
    // Later pages go on from the first, whatever came to the account since that was read.
    if (request.before_transaction_id() == 0) *before = page.balance_microcredits();
    // Of a transaction the newest is the last; it was told in its own order.
    for (int i = 0; i < page.entries_size() && !is_full();) {
      int end = i + 1;
      while (end < page.entries_size() &&
             page.entries(end).transaction_id() == page.entries(i).transaction_id()) {
        ++end;
      }
      for (int j = end; j-- > i;) {
        postings.push_back({page.entries(j), *before});
        *before -= page.entries(j).amount_microcredits();
      }
      i = end;
    }
    request.set_before_transaction_id(page.next_before_transaction_id());
  } while (request.before_transaction_id() != 0 && !is_full());
  return postings;
}

std::string PostingsJson(const std::vector<Posting>& postings) {
  return absl::StrJoin(postings, ",", [](std::string* out, const Posting& posting) {
    absl::StrAppend(out, "\n  {\"entry\": ", ToJson(posting.entry, /*one_line=*/true),
                    ", \"balance_microcredits\": ", posting.balance_microcredits, "}");
  });
}

absl::StatusOr<int> ByEntries(Connection& connection, const Output& out,
                              const StatementArguments& arguments) {
  pb::GetAccountResponse account;
  const auto names = Names(connection, arguments, &account);
  if (!names.ok()) return names.status();
  int64_t before = 0;
  const auto postings = Postings(connection, arguments, &before);
  if (!postings.ok()) return postings.status();
  if (out.json) {
    out.data << "{\"account\": " << ToJson(account.account(), /*one_line=*/true)
             << ",\n \"entries\": [" << PostingsJson(*postings)
             << "],\n \"before_microcredits\": " << before << "}\n";
    return kExitOk;
  }
  Table table({"time", "what", "guest", ">micro-credits", ">held after it"});
  for (const Posting& posting : *postings) {
    const pb::Entry& entry = posting.entry;
    table.AddRow({absl::FormatTime("%Y-%m-%d %H:%M:%SZ", client::FromProto(entry.time()),
                                   absl::UTCTimeZone()),
                  WhatText(entry), NameIn(*names, entry.guest_id()),
                  absl::StrCat(entry.amount_microcredits()),
                  absl::StrCat(posting.balance_microcredits)});
  }
  table.AddRow({"", "before", "", "", absl::StrCat(before)});
  out.data << table.Format(out.look) << AccountText(account.account());
  return kExitOk;
}

}  // namespace

void AddStatementCommand(CLI::App& app, Run& run) {
  CLI::App* statement = app.add_subcommand(
      "statement", "What went into an account and out of it, and what it held after each entry");
  auto arguments = std::make_shared<StatementArguments>();
  statement->add_option("--tenant", arguments->tenant, "For operators: whose");
  AddWhole(statement, "--limit", arguments->limit, "How many entries, or settled rounds", 1,
           1'000'000);
  statement->add_flag("--all", arguments->all, "All that there are: then nothing is before them");
  statement->add_flag("--by-resource", arguments->by_resource,
                      "Instead each guest's charges and rent for each resource, round by round");
  statement->add_option("--host", arguments->host,
                        "By resource: the host; by default the only one");
  statement->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return arguments->by_resource ? ByResource(connection, out, *arguments)
                                    : ByEntries(connection, out, *arguments);
    };
  });
}

}  // namespace nom::cli
