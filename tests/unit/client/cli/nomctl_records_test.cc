// SPDX-License-Identifier: Apache-2.0
// What nomctl tells of the past, of tokens, and of a guest's life.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>

#include "tests/unit/client/cli/nomctl_fixture.h"

namespace nom::client_test {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(NomctlTest, AStatementAddsUpWhatWasPaid) {
  pb::Round second = Settled(6, 12'000);
  second.mutable_outcomes(0)->set_rent_microcredits(30);
  pb::GuestOutcome* gone = second.add_outcomes();  // A guest that is not listed any more.
  gone->set_guest_id(8);
  gone->set_kind(pb::RESOURCE_KIND_MEMORY);
  gone->set_settled(true);
  gone->set_settled_microcredits(7);
  pb::Round open = Settled(7, 0);
  open.set_phase(pb::ROUND_PHASE_EFFECTIVE);
  market_.Configure([&](FakeMarket& market) {
    *market.rounds.add_rounds() = open;
    *market.rounds.add_rounds() = second;
    *market.rounds.add_rounds() = Settled(5, 12'000);
    market.account.mutable_account()->set_tenant_id("shop");
    market.account.mutable_account()->set_spent_microcredits(1'500'000);
  });
  Ended ended = Run({"statement", "--by-resource"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out,
            "round  effective             guest  resource  held  charge  rent\n"
            "    6  2026-11-29 10:00:06Z  cache  cpu         12     240    30\n"
            "                             id:8   memory       0       7     0\n"
            "    5  2026-11-29 10:00:05Z  cache  cpu         12     240     0\n"
            "                             sum                       487    30\n"
            "\n"
            "account shop: spent 1.5cr in all, 0cr available, 0cr in escrow, 0cr in arrears\n");
  ended = Run({"statement", "--by-resource", "--tenant", "shop", "--limit", "1", "--json"});
  EXPECT_EQ(Json(ended).fields().at("lines").list_value().values_size(), 1)
      << "one round, and of an operator's view the tenant's guests alone";
}

// Two pages of prices, newest first: rounds 9 to 6 of memory and cpu, and that of 8 was released.
void HasPrices(FakeMarket& market) {
  for (const uint64_t newest : {9u, 7u}) {
    pb::ListPricesResponse& page = market.prices[newest == 9 ? "" : "r8"];
    for (uint64_t id = newest; id > newest - 2; --id) {
      pb::PricedRound& round = *page.add_rounds();
      round.set_round_id(id);
      round.mutable_close_time()->set_seconds(1'795'946'400 + static_cast<int64_t>(id));
      round.mutable_effective_time()->set_seconds(1'795'946'402 + static_cast<int64_t>(id));
      round.set_released(id == 8);
      for (const pb::ResourceKind kind : {pb::RESOURCE_KIND_CPU, pb::RESOURCE_KIND_MEMORY}) {
        pb::PastPrice& price = *round.add_prices();
        price.set_kind(kind);
        price.set_unit_price_microcredits(static_cast<int64_t>(id) * 10);
        price.set_reserve_unit_price_microcredits(60);
        price.set_bound_by(id == 6 ? pb::BOUND_BY_RESERVE : pb::BOUND_BY_BIDS);
        price.set_supply_units(280);
        price.set_demand_units(300);
        price.set_sold_units(270);
        price.set_policy(id == 9 ? "a \"rule\", named so/1" : "mpsp/1");
        price.set_reserve_policy("fixed/1");
      }
    }
    if (newest == 9) page.set_next_page_token("r8");
  }
}

TEST_F(NomctlTest, PricesAsLinesForOtherPrograms) {
  market_.Configure(HasPrices);
  Ended ended = Run({"prices", "--csv"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.err, "");
  const std::string head =
      "round_id,close_time,effective_time,kind,unit_price_microcredits,"
      "reserve_unit_price_microcredits,bound_by,supply_units,demand_units,sold_units,policy,"
      "reserve_policy,released\n";
  ASSERT_EQ(ended.out.substr(0, head.size()), head);
  EXPECT_THAT(ended.out,
              HasSubstr("6,2026-11-29T10:00:06Z,2026-11-29T10:00:08Z,cpu,60,60,reserve,280,300,270,"
                        "mpsp/1,fixed/1,false\n"));
  EXPECT_THAT(ended.out, HasSubstr(",mpsp/1,fixed/1,true\n")) << "of the round that was released";
  EXPECT_THAT(ended.out, HasSubstr(",\"a \"\"rule\"\", named so/1\",fixed/1,false\n"));
  EXPECT_LT(ended.out.find("\n6,"), ended.out.find("\n9,")) << "oldest first";
  EXPECT_EQ(std::count(ended.out.begin(), ended.out.end(), '\n'), 9) << "both pages, both kinds";

  ended = Run({"prices", "--limit", "2", "--json"});
  EXPECT_EQ(Json(ended).fields().at("rounds").list_value().values_size(), 2);
  EXPECT_EQ(Json(ended).fields().at("next_page_token").string_value(), "r8");
  EXPECT_EQ(Run({"prices", "--json"}).exit_code, 0);
}

TEST_F(NomctlTest, PricesAsAPlotAlsoOnPaper) {
  market_.Configure(HasPrices);
  const Ended ended = Run({"prices", "--since", "1h", "--kind", "memory", "--kind", "cpu"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out.find('\x1b'), std::string::npos) << "no terminal, no colours";
  EXPECT_THAT(ended.out, HasSubstr("memory\n90 |   *\n"));
  EXPECT_THAT(ended.out,
              HasSubstr("\n60 |*---\n"
                        "rounds 6 to 9, 2026-11-29 10:00:06Z to 2026-11-29 10:00:09Z\n"));
  EXPECT_THAT(ended.out,
              HasSubstr("\nresource  now  least  median  most  reserve  set by bids  rule"));
  EXPECT_THAT(ended.out, HasSubstr("\nmemory     90     60      70    90       60       3 of 4"));
  {
    std::lock_guard lock(mutex_);
    EXPECT_THAT(requests_, Contains(AllOf(HasSubstr("ListPrices"), HasSubstr("since_time"),
                                          HasSubstr("RESOURCE_KIND_MEMORY"))));
  }
  for (const auto& [arguments, piece] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"prices", "--csv", "--json"}, "--csv and --json"},
           {{"prices", "--kind", "time"}, "time"},
           {{"prices", "--since", "an hour"}, "--since"},
           {{"prices", "--limit", "0"}, "--limit"}}) {
    const Ended refused = Run(arguments);
    EXPECT_EQ(refused.exit_code, 2) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(piece));
  }
  market_.Configure([](FakeMarket& market) { market.prices.clear(); });
  EXPECT_EQ(Run({"prices"}).out, "no round has been decided in that time\n");
}

TEST_F(NomctlTest, AStatementHasDepositsAndAddsUpToTheBalance) {
  const auto entry = [](uint64_t transaction_id, pb::EntryKind kind, int64_t amount,
                        uint64_t guest_id) {
    pb::Entry out;
    out.set_transaction_id(transaction_id);
    // 2026-11-29 10:00:00Z, and a second for each transaction.
    out.mutable_time()->set_seconds(1'795'946'400 + static_cast<int64_t>(transaction_id));
    out.set_kind(kind);
    out.set_amount_microcredits(amount);
    out.set_guest_id(guest_id);
    return out;
  };
  market_.Configure([&](FakeMarket& market) {
    pb::ListEntriesResponse& newest = market.entries[0];
    newest.set_balance_microcredits(60);
    *newest.add_entries() = entry(9, pb::ENTRY_KIND_OWED, -5, 3);
    // Of one transaction, in its own order.
    *newest.add_entries() = entry(7, pb::ENTRY_KIND_PAYMENT, -20, 3);
    *newest.add_entries() = entry(7, pb::ENTRY_KIND_PAYMENT, -10, 8);
    newest.set_next_before_transaction_id(7);
    pb::ListEntriesResponse& older = market.entries[7];
    older.set_balance_microcredits(4'000);  // More came meanwhile: not of this statement.
    *older.add_entries() = entry(5, pb::ENTRY_KIND_WITHDRAWAL, -5, 0);
    *older.add_entries() = entry(2, pb::ENTRY_KIND_DEPOSIT, 100, 0);
    market.account.mutable_account()->set_tenant_id("shop");
  });
  Ended ended = Run({"statement", "--all"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out,
            "time                  what              guest  micro-credits  held after it\n"
            "2026-11-29 10:00:09Z  rent, owed        cache             -5             60\n"
            "2026-11-29 10:00:07Z  charges and rent  id:8             -10             65\n"
            "2026-11-29 10:00:07Z  charges and rent  cache            -20             75\n"
            "2026-11-29 10:00:05Z  withdrawal                          -5             95\n"
            "2026-11-29 10:00:02Z  deposit                            100            100\n"
            "                      before                                              0\n"
            "\n"
            "account shop: spent 0cr in all, 0cr available, 0cr in escrow, 0cr in arrears\n");
  ended = Run({"statement", "--limit", "1", "--json"});
  const google::protobuf::Struct json = Json(ended);
  EXPECT_EQ(json.fields().at("entries").list_value().values_size(), 1);
  EXPECT_EQ(json.fields().at("before_microcredits").number_value(), 65);
  EXPECT_THAT(ended.out, HasSubstr("\"kind\": \"owed\""));
}

TEST_F(NomctlTest, EventsSayWhoDidWhatPageByPage) {
  const auto event = [](uint64_t transaction_id, const std::string& kind, const std::string& by) {
    pb::Event out;
    out.set_transaction_id(transaction_id);
    out.mutable_time()->set_seconds(1'795'946'400 + static_cast<int64_t>(transaction_id));
    out.set_kind(kind);
    out.set_by(by);
    out.set_tenant_id("shop");
    return out;
  };
  market_.Configure([&](FakeMarket& market) {
    pb::Event evicted = event(30, "guest_evicted_for_arrears", "@market");
    evicted.set_guest_id(7);
    evicted.set_host_id("m1");
    evicted.set_detail("owed \033rent");
    *market.events[0].add_events() = evicted;
    pb::Event revoked = event(20, "token_revoked", "shop");
    revoked.set_by_token_id(2);
    revoked.set_token_id(1);
    *market.events[0].add_events() = revoked;
    market.events[0].set_next_before_transaction_id(20);
    pb::Event deposit = event(10, "deposit", "@operator");
    deposit.set_amount_microcredits(-5);
    *market.events[20].add_events() = deposit;
    market.events[20].set_next_before_transaction_id(10);
  });
  Ended ended = Run({"events", "--limit", "3"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out,
            "time                  event                      by             tenant  to            "
            "    micro-credits  detail      transaction\n"
            "2026-11-29 10:00:30Z  guest_evicted_for_arrears  market         shop    guest id:7 on "
            "m1                 owed ?rent           30\n"
            "2026-11-29 10:00:20Z  token_revoked              shop, token 2  shop    token 1       "
            "                                        20\n"
            "2026-11-29 10:00:10Z  deposit                    operator       shop                  "
            "               -5                       10\n");
  EXPECT_EQ(ended.err, "there are more: nomctl events --before 10\n");
  EXPECT_EQ(Json(Run({"events", "--tenant", "shop", "--before", "20", "--json"}))
                .fields()
                .at("events")
                .list_value()
                .values_size(),
            1);
  std::lock_guard lock(mutex_);
  EXPECT_THAT(requests_, Contains("ListEvents page_size: 1 before_transaction_id: 20"))
      << "no more than was asked for";
}

TEST_F(NomctlTest, AGuestOfOnesOwnIsEndedAndStarted) {
  EXPECT_EQ(Run({"end", "cache"}).out, "guest 3 has ended\n");
  EXPECT_EQ(Run({"start", "id:3"}).out, "guest 3 runs\n");
  EXPECT_EQ(Json(Run({"end", "cache", "--json"})).fields().size(), 0u);
  EXPECT_EQ(Run({"end", "cache", "--for-good"}).out, "guest 3 is given back\n");
  EXPECT_THAT(Writes(), ElementsAre("EndGuest guest_id: 3", "StartGuest guest_id: 3",
                                    "EndGuest guest_id: 3", "EndGuest guest_id: 3 for_good: true"));
  for (const char* command : {"end", "start"}) {
    EXPECT_EQ(Run({command}).exit_code, 2) << command;
    EXPECT_EQ(Run({command, "nobody"}).exit_code, 1) << command;
    EXPECT_EQ(Run({command, "cache", "--request-id", "mine"}).exit_code, 0) << command;
  }
  std::lock_guard lock(mutex_);
  EXPECT_THAT(requests_, Contains("EndGuest guest_id: 3 request_id: \"mine\""));
}

TEST_F(NomctlTest, BidsSayWhatEachWonAndWhy) {
  market_.Configure([](FakeMarket& market) {
    pb::Round round = Settled(5, 12'000);
    *round.add_prices() = MakeState(5, 120, 20, absl::UnixEpoch()).prices(1);
    *market.rounds.add_rounds() = round;
    market.guests.Clear();
    pb::GuestInfo guest = Guest();
    guest.set_decided_round_id(5);
    pb::GuestOutcome* won = guest.add_decided();
    won->set_kind(pb::RESOURCE_KIND_CPU);
    won->set_reason(pb::AWARD_REASON_NO_BID);
    won = guest.add_decided();
    won->set_kind(pb::RESOURCE_KIND_MEMORY);
    won->set_award_units(0);
    won->set_reason(pb::AWARD_REASON_OUTBID);
    *market.guests.add_guests() = guest;
    const pb::Bid bid = guest.bids(0);
    guest = MakeGuest(4, "fresh");
    *guest.add_bids() = bid;
    *market.guests.add_guests() = guest;
  });
  const Ended ended = Run({"bids"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out,
            "guest  resource  bid    round  won  charge  why\n"
            "cache  memory    32@90      5    0       0  outbid at 20\n"
            "fresh  memory    32@90      -               no round was decided yet\n");
  std::lock_guard lock(mutex_);
  EXPECT_THAT(requests_, Contains("ListRounds host_id: \"m1\" page_size: 1 before_round_id: 6"));
}

TEST_F(NomctlTest, TokensAreWrittenForTheirOwnerAlone) {
  const std::string file = testing::TempDir() + "/nomctl_token-" + std::to_string(getpid());
  std::filesystem::remove(file);
  const mode_t before = umask(0);  // The worst that a shell can do.
  const Ended made = Run(
      {"token", "create", "--label", "laptop", "--read-only", "--expires", "90d", "--write", file});
  umask(before);
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.out, "token in " + file + "\n") << "and never on a screen";
  struct stat info {};
  ASSERT_EQ(stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  std::ifstream in(file);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "token-for-laptop\n");
  const Ended again = Run({"token", "create", "--write", file});
  EXPECT_EQ(again.exit_code, 2) << "nothing is written over";
  EXPECT_THAT(again.err, HasSubstr(file));
  std::filesystem::remove(file);
  EXPECT_EQ(Run({"tenant", "create", "front", "--write", file, "--json"}).out,
            "{\n \"token\": \"\"\n}\n");
  EXPECT_EQ(stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  std::filesystem::remove(file);
  // Refused by the market: no file is left that would look like a token.
  market_.RequireToken("another");
  EXPECT_EQ(Run({"token", "create", "--write", file}).exit_code, 1);
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_THAT(Writes(), ElementsAre("CreateToken label: \"laptop\" scope: TOKEN_SCOPE_READ_ONLY "
                                    "lifetime_seconds: 7776000",
                                    "CreateTenant tenant { tenant_id: \"front\" }",
                                    "CreateToken scope: TOKEN_SCOPE_FULL"));
}

TEST_F(NomctlTest, ATokenIsNotPrintedIntoAFileThatOthersRead) {
  const std::string file = testing::TempDir() + "/nomctl_out-" + std::to_string(getpid());
  const auto shell = [&](const std::string& command) {
    return Process({"/bin/sh", "-c",
                    "umask 022; rm -f " + file + "; " + NOM_NOMCTL + " " + command + " >" + file},
                   environment_)
        .Wait();
  };
  for (const std::string command : {"tenant create front --token-only", "token create"}) {
    const Ended refused = shell(command);
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.err, HasSubstr("--write FILE"));
    EXPECT_EQ(std::filesystem::file_size(file), 0u);
  }
  EXPECT_THAT(Writes(), IsEmpty()) << "and none was made";
  const Ended private_file = Process({"/bin/sh", "-c",
                                      "umask 077; rm -f " + file + "; " + NOM_NOMCTL +
                                          " token create --token-only >" + file},
                                     environment_)
                                 .Wait();
  EXPECT_EQ(private_file.exit_code, 0) << private_file.err;
  std::filesystem::remove(file);
}

TEST_F(NomctlTest, TokensListedAndRevoked) {
  market_.Configure([](FakeMarket& market) {
    pb::TokenInfo* token = market.tokens.add_tokens();
    token->set_token_id(1);
    token->set_label("first");
    token->set_scope(pb::TOKEN_SCOPE_FULL);
    token->set_shown(true);
    token = market.tokens.add_tokens();
    token->set_token_id(12);
    token->set_label("dash\033board");
    token->set_scope(pb::TOKEN_SCOPE_READ_ONLY);
    token->mutable_created_time()->set_seconds(1'795'946'400);
    token->mutable_expire_time()->set_seconds(1'795'946'401);
    token->set_expired(true);
  });
  EXPECT_EQ(Run({"token", "list", "--tenant", "shop"}).out,
            "id  label       may   created               good until                      shown\n"
            " 1  first       all   -                     it is revoked                   now\n"
            "12  dash?board  look  2026-11-29 10:00:00Z  2026-11-29 10:00:01Z (expired)\n");
  EXPECT_EQ(Run({"token", "revoke", "12", "--tenant", "shop"}).out, "token 12 is good no longer\n");
  EXPECT_THAT(Writes(), ElementsAre("RevokeToken tenant_id: \"shop\" token_id: 12"));
  for (const char* id : {"0", "-1", "first", "0x1"}) {
    EXPECT_EQ(Run({"token", "revoke", id}).exit_code, 2) << id;
  }
  for (const char* time : {"90", "0d", "1w", "-1d", "d", "1.5h", "99999999999d"}) {
    EXPECT_EQ(Run({"token", "create", "--expires", time}).exit_code, 2) << time;
  }
}

}  // namespace
}  // namespace nom::client_test
