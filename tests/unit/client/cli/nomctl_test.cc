// SPDX-License-Identifier: Apache-2.0
// nomctl and the hosted bidder as processes, against a market that says what it is told to.

#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <regex>
#include <sstream>
#include <thread>

#include "absl/time/clock.h"
#include "tests/unit/client/cli/nomctl_fixture.h"
#include "tests/unit/client/fake_market.h"
#include "tests/unit/client/process.h"

namespace nom::client_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(NomctlTest, StatusAsATable) {
  const Ended ended = Run({"status"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.err, "");
  EXPECT_EQ(
      ended.out,
      "host m1, round 6 collect, period 2000 ms, prices of round 5\n"
      "\n"
      "resource     unit  capacity  price  bound by  reserve  supply  demand  sold  rule\n"
      "cpu            10       300    120  bids           50     280     300   270  "
      "uniform_price/1\n"
      "memory    1048576       256     20  reserve        20     236     256   226  "
      "uniform_price/1\n"
      "\n"
      "id  guest  tenant  host  state    resource  seed  award  charge  bid    spent  work done  "
      "unit  activity\n"
      " 3  cache  shop    m1    running  cpu         10      0       0  -        900       1234  "
      "hits  ser?ving\n"
      "                                  memory       8      0       0  32@90\n"
      "\n"
      "tenant  available  escrow  arrears  spent\n"
      "shop         5000       0        0      0\n");
}

TEST_F(NomctlTest, JsonIsTheMessageItself) {
  const Ended ended = Run({"status", "--json"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(Json(ended).fields().at("state").struct_value().fields().at("round_id").number_value(),
            6);
  // Numbers are numbers, enums are the words of the tables, names are those of the .proto.
  for (const char* const piece :
       {"\"round_id\": 6,", "\"phase\": \"collect\"", "\"bound_by\": \"bids\"",
        "\"activity\": \"ser\\u001bving\"", "\"valid_until\": \"20", "\"exit_reason\": \"\""}) {
    EXPECT_THAT(ended.out, HasSubstr(piece));
  }

  market_.Configure([](FakeMarket& market) {
    operators::v1::Host* host = market.hosts.add_hosts();
    host->set_host_id("m1");
    host->set_connected(true);
  });
  EXPECT_THAT(Run({"host", "list", "--json"}).out, HasSubstr("\"connected\": true"));
}

TEST_F(NomctlTest, EveryCommandSpeaksJson) {
  market_.Configure([](FakeMarket& market) {
    market.account.mutable_account()->set_tenant_id("shop");
    *market.rounds.add_rounds() = Settled(5, 12'000);
  });
  const Ended watched = Run({"watch", "--count", "1", "--json"});
  EXPECT_EQ(watched.out.find('\n'), watched.out.size() - 1) << "one response a line";
  EXPECT_EQ(Json(watched).fields().at("sequence").number_value(), 60);
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"bid", "cache", "memory", "4@5"}, "\"round_id\": 6"},
      {{"withdraw", "cache", "memory"}, "\"removed\": true"},
      {{"account"}, "\"tenant_id\": \"shop\""},
      {{"rounds"}, "\"delivered_milliunits\": 12000"},
      {{"guests"}, "\"name\": \"cache\""},
      {{"version"}, "\"commit\": \""},
  };
  for (const auto& [arguments, piece] : cases) {
    std::vector<std::string> command = arguments;
    command.emplace_back("--json");
    const Ended ended = Run(command);
    Json(ended);
    EXPECT_THAT(ended.out, HasSubstr(piece));
  }
}

TEST_F(NomctlTest, RoundsAsATable) {
  pb::Round coarser = Settled(5, 12'000);
  coarser.mutable_prices(0)->set_method(pb::CLEARING_METHOD_COARSER);
  market_.Configure([&](FakeMarket& market) {
    *market.rounds.add_rounds() = Settled(6, 12'000);
    *market.rounds.add_rounds() = coarser;
  });
  const Ended ended = Run({"rounds"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(
      ended.out,
      "round  effective             phase    resource  price  bound by  supply  demand  sold  "
      "charge  cleared  awards (guest:units)\n"
      "    6  2026-11-29 10:00:06Z  settled  cpu         120  bids         280     300   270  "
      "   240  exact    3:2\n"
      "    5  2026-11-29 10:00:05Z  settled  cpu         120  bids         280     300   270  "
      "   240  coarser  3:2\n");
}

TEST_F(NomctlTest, BidWithdrawAndTheOperatorsCommandsSayWhatTheyDid) {
  market_.Configure([](FakeMarket& market) { market.hosts.add_hosts()->set_host_id("m1"); });
  EXPECT_EQ(Run({"bid", "cache", "memory", "16@900", "17-64@400", "--budget", "30000",
                 "--expires-after", "5"})
                .out,
            "bid placed, takes part from round 6; what it wins and why: nomctl bids\n");
  EXPECT_EQ(Run({"withdraw", "cache", "memory"}).out, "bid withdrawn\n");
  EXPECT_EQ(Run({"tenant", "create", "front", "--token-only"}).out, "token-of-front\n");
  EXPECT_EQ(Run({"deposit", "front", "5000"}).out, "tenant front has 5000 micro-credits\n");
  EXPECT_EQ(Run({"deposit", "front", "-7"}).exit_code, 0);
  EXPECT_EQ(Run({"admit", "--tenant", "front", "--name", "web", "--image", "web.elf", "--seed",
                 "memory=4", "--seed", "cpu=10", "--memory-max", "16", "--arguments", "a=1 b=2"})
                .out,
            "guest 7 runs\n");
  EXPECT_EQ(Run({"evict", "cache"}).out, "guest 3 is gone\n");
  EXPECT_THAT(
      Writes(),
      ElementsAre("PlaceBid bid { guest_id: 3 kind: RESOURCE_KIND_MEMORY ranges { min_units: 1 "
                  "max_units: 16 value_at_min_microcredits: 900 unit_price_microcredits: 900 } "
                  "ranges { min_units: 17 max_units: 64 value_at_min_microcredits: 14800 "
                  "unit_price_microcredits: 400 } budget_microcredits: 30000 "
                  "expires_after_rounds: 5 }",
                  "WithdrawBid guest_id: 3 kind: RESOURCE_KIND_MEMORY",
                  "CreateTenant tenant { tenant_id: \"front\" }",
                  "Deposit tenant_id: \"front\" amount_microcredits: 5000",
                  "Deposit tenant_id: \"front\" amount_microcredits: -7",
                  "AdmitGuest host_id: \"m1\" tenant_id: \"front\" name: \"web\" image: "
                  "\"web.elf\" arguments: \"a=1 b=2\" seeds { kind: RESOURCE_KIND_MEMORY units: 4 "
                  "} seeds { kind: RESOURCE_KIND_CPU units: 10 } memory_max_units: 16",
                  "EvictGuest guest_id: 3"));
}

TEST_F(NomctlTest, BidsForSeveralResourcesTogether) {
  EXPECT_EQ(Run({"bid", "cache", "--bundle", "memory=16,cpu=20@40000", "--bundle",
                 "memory=32@55000", "--budget", "9"})
                .out,
            "bid placed, takes part from round 6; what it wins and why: nomctl bids\n");
  EXPECT_EQ(Run({"bid", "cache", "--combine", "min", "--curve", "memory: 64@900", "--curve",
                 "cpu: 50@1200"})
                .exit_code,
            0);
  EXPECT_EQ(Run({"withdraw", "cache"}).out, "bid withdrawn\n");
  EXPECT_THAT(
      Writes(),
      ElementsAre(
          "PlaceBid bid { guest_id: 3 budget_microcredits: 9 valuation { bundle_kinds: "
          "RESOURCE_KIND_CPU bundle_kinds: RESOURCE_KIND_MEMORY bundles { units: 20 units: 16 "
          "value_microcredits: 40000 } bundles { units: 0 units: 32 value_microcredits: 55000 } } "
          "}",
          "PlaceBid bid { guest_id: 3 valuation { combination: COMBINATION_MIN curves { kind: "
          "RESOURCE_KIND_CPU ranges { min_units: 1 max_units: 50 value_at_min_microcredits: 1200 "
          "unit_price_microcredits: 1200 } } curves { kind: RESOURCE_KIND_MEMORY ranges { "
          "min_units: 1 max_units: 64 value_at_min_microcredits: 900 unit_price_microcredits: 900 "
          "} } } }",
          "WithdrawBid guest_id: 3"));
}

TEST_F(NomctlTest, WrongCommandLinesAreUsageErrorsAndSendNothing) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "Usage: nomctl"},
      {{"frobnicate"}, "unknown command \"frobnicate\""},
      {{"stauts"}, "did you mean \"status\"?"},
      {{"tenant", "creat", "x"}, "did you mean \"create\"?"},
      {{"status", "--jsn"}, "did you mean \"--json\"?"},
      {{"deposit", "shop", "0x10"}, "amount: \"0x10\" is not a sum of money"},
      {{"deposit", "shop", "9223372036854775808"}, "out of range"},
      {{"bid", "cache", "memory", "4@5", "--budget", "99999999999999999999"}, "out of range"},
      {{"bid", "cache", "memory", "4@5", "--expires-after", "4294967296"}, "out of range"},
      {{"evict", "id:0x7"}, "guest id:0x7"},
      {{"status", "--timeout", "0x10"}, "--timeout"},
      {{"completion", "csh"}, "bash, zsh and fish"},
      {{"bid", "cache", "ram", "4@5"}, "unknown resource \"ram\""},
      {{"bid", "cache", "memory", "10@5", "5-20@4"}, "overlaps"},
      {{"bid", "cache", "memory", "10@-5"}, "negative"},
      {{"bid", "cache", "memory", "4@5", "--budget", "-1"}, "--budget"},
      {{"bid", "cache", "memory"}, "range"},
      {{"bid", "cache"}, "expected a resource and its ranges, or --bundle"},
      {{"bid", "cache", "memory", "4@5", "--bundle", "memory=4@5"}, "either a resource"},
      {{"bid", "cache", "--bundle", "memory=4"}, "expected RESOURCE=UNITS"},
      {{"bid", "cache", "--curve", "memory: 4@5"}, "--combine"},
      {{"admit", "--tenant", "a", "--name", "b", "--image", "c", "--seed", "memory=-4"}, "memory"},
      {{"top", "--rounds", "0"}, "--rounds"},
      {{"rounds", "--limit", "1001"}, "--limit"},
      {{"deposit", "shop", "much"}, "amount"},
      {{"status", "--token-file", "/nowhere/token"}, "/nowhere/token"},
      {{"status", "--config", "/nowhere/conf"}, "/nowhere/conf"},
      {{"status", "--target", "example.com:1", "--tls-roots", "/nowhere/ca"}, "/nowhere/ca"},
  };
  for (const auto& [arguments, message] : cases) {
    const Ended ended = Run(arguments);
    EXPECT_EQ(ended.exit_code, 2) << message;
    EXPECT_THAT(ended.err, HasSubstr(message));
    EXPECT_EQ(ended.out, "") << "talk goes to standard error";
  }
  EXPECT_THAT(Writes(), IsEmpty());
}

TEST_F(NomctlTest, FailedCallsSayWhatAndWhere) {
  market_.FailBids({grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "no money")});
  Ended ended = Run({"bid", "cache", "memory", "4@5"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_EQ(ended.err, "nomctl: " + market_.target() + ": no money (failed precondition)\n");
  ended = Run({"withdraw", "nobody", "memory"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, HasSubstr("no guest of yours is named \"nobody\""));
  market_.RequireToken("secret");
  ended = Run({"status"});
  EXPECT_THAT(ended.err,
              HasSubstr("(unauthenticated)\n  What to do: say who you are with --token-file"));
  market_.Stop();
  for (const char* command : {"status", "top", "watch", "guests"}) {
    ended = Run({command});
    EXPECT_EQ(ended.exit_code, 1) << command;
    EXPECT_THAT(ended.err, HasSubstr(market_.target() + ": nobody answers there (unavailable)"))
        << command;
    EXPECT_THAT(ended.err, HasSubstr("What to do: see that marketd runs")) << command;
  }
  ended = Run({"status", "--target", "no-such-machine.invalid:7070"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, HasSubstr("no machine of this name is known (unavailable)"));
}

TEST_F(NomctlTest, ANameIsNeverReadAsAnId) {
  market_.Configure([](FakeMarket& market) {
    // Somebody else's guest has the id 1; ours has the name "1" and another id.
    *market.guests.add_guests() = MakeGuest(1, "victim");
    *market.guests.add_guests() = MakeGuest(9, "1");
    *market.guests.add_guests() = MakeGuest(10, "twin");
    *market.guests.add_guests() = MakeGuest(11, "twin");
  });
  EXPECT_EQ(Run({"evict", "1"}).out, "guest 9 is gone\n");
  EXPECT_EQ(Run({"evict", "id:1"}).out, "guest 1 is gone\n");
  EXPECT_EQ(Run({"withdraw", "1", "memory"}).exit_code, 0);
  EXPECT_EQ(Run({"bid", "1", "memory", "4@5"}).exit_code, 0);
  Ended ended = Run({"evict", "3"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, HasSubstr("no guest of yours is named \"3\""));
  EXPECT_THAT(ended.err, HasSubstr("type id:3"));
  ended = Run({"evict", "twin"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, HasSubstr("say which: id:10 (m1, shop), id:11 (m1, shop)"));
  EXPECT_THAT(Writes(), ElementsAre("EvictGuest guest_id: 9", "EvictGuest guest_id: 1",
                                    "WithdrawBid guest_id: 9 kind: RESOURCE_KIND_MEMORY",
                                    ::testing::StartsWith("PlaceBid bid { guest_id: 9 ")));
}

TEST_F(NomctlTest, NumbersAreDecimalAndMoneyMayBeCredits) {
  EXPECT_EQ(Run({"deposit", "shop", "0100000"}).exit_code, 0);
  EXPECT_EQ(Run({"deposit", "shop", "1.5cr"}).exit_code, 0);
  EXPECT_EQ(Run({"deposit", "shop", "-0.000001cr"}).exit_code, 0);
  EXPECT_THAT(Writes(), ElementsAre("Deposit tenant_id: \"shop\" amount_microcredits: 100000",
                                    "Deposit tenant_id: \"shop\" amount_microcredits: 1500000",
                                    "Deposit tenant_id: \"shop\" amount_microcredits: -1"));
}

TEST_F(NomctlTest, StatusSaysThatTheHostIsNotConnectedAndEndsWithThree) {
  market_.Configure([](FakeMarket& market) {
    operators::v1::Host* host = market.hosts.add_hosts();
    host->set_host_id("m1");
    host->set_connected(false);
    host->set_detail("mailbox: No such file or directory");
  });
  Ended ended = Run({"status"});
  EXPECT_EQ(ended.exit_code, 3) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("host m1 is NOT CONNECTED: mailbox: No such file or directory"));
  ended = Run({"status", "--json"});
  EXPECT_EQ(ended.exit_code, 3);
  EXPECT_THAT(ended.err, HasSubstr("host m1 is NOT CONNECTED"));
  market_.Configure([](FakeMarket& market) { market.hosts.mutable_hosts(0)->set_connected(true); });
  EXPECT_EQ(Run({"status"}).exit_code, 0);
  // What a tenant sees of it: prices that nobody renews.
  pb::WatchResponse response;
  *response.mutable_state() = MakeState(7, 120, 20, absl::Now() - absl::Seconds(1));
  market_.Publish(response);
  ended = Run({"status"});
  EXPECT_EQ(ended.exit_code, 3);
  EXPECT_THAT(ended.out, HasSubstr("prices are OUT OF DATE since "));
  EXPECT_THAT(Run({"--help"}).out, HasSubstr("for status, a host"));
}

TEST_F(NomctlTest, WatchGoesOnWhenTheMarketRestarts) {
  Process watch(Command({"watch", "--count", "2"}), environment_);
  while (watch.out().empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  market_.Stop();
  market_.Start();
  const Ended ended = watch.Wait();
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("the market is away"));
  EXPECT_THAT(ended.err, HasSubstr("the market is back"));
  EXPECT_EQ(std::count(ended.out.begin(), ended.out.end(), '\n'), 2) << ended.out;
}

TEST_F(NomctlTest, ADepositThatMayHaveBeenMadeSaysWhatToType) {
  market_.Stop();
  Ended ended = Run({"deposit", "shop", "1.5cr"});
  EXPECT_EQ(ended.exit_code, 1);
  std::smatch typed;
  const std::regex again("\n  nomctl deposit shop 1\\.5cr --request-id ([0-9a-f]{32})\n");
  ASSERT_TRUE(std::regex_search(ended.err, typed, again)) << ended.err;
  market_.Start();
  // Typed twice, it is asked for under one id, which the market takes once.
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Run({"deposit", "shop", "1.5cr", "--request-id", typed[1]}).exit_code, 0);
  }
  std::lock_guard lock(mutex_);
  EXPECT_EQ(requests_[0], requests_[1]);
  EXPECT_THAT(requests_[0], HasSubstr("request_id: \"" + typed[1].str() + "\""));
}

TEST_F(NomctlTest, VersionHelpAndCompletion) {
  environment_ = {};  // No market is needed.
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--version"}, {"version"}}) {
    const Ended ended = Run(words);
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_TRUE(std::regex_match(
        ended.out,
        std::regex("nomctl [0-9]+\\.[0-9]+\\.[0-9]+ \\(commit ([0-9a-f]{12}\\+?|unknown), "
                   ".+, (GNU|Clang) .+\\)\n")))
        << ended.out;
  }
  EXPECT_THAT(Run({"help"}).out, HasSubstr("Examples:"));
  EXPECT_THAT(Run({"help", "tenant", "create"}).out, HasSubstr("nomctl tenant create"));
  EXPECT_THAT(Run({"help", "depsit"}).err, HasSubstr("did you mean \"deposit\"?"));
  EXPECT_EQ(Run({"__complete", "wi"}).out, "withdraw\nwithdraw-offer\n");
  EXPECT_EQ(Run({"__complete", "tenant", "cr"}).out, "create\n");
  EXPECT_EQ(Run({"__complete", "bid", "cache", "me"}).out, "memory\n");
  EXPECT_EQ(Run({"__complete", "--json", "bid", "cache", "memory", "4@5", "--bud"}).out,
            "--budget\n");
  EXPECT_EQ(Run({"__complete", "clear", "--rule", "uni"}).out, "uniform_price/1\n");
  EXPECT_EQ(Run({"__complete", "clear", ""}).out, "") << "a file is wanted";
  EXPECT_EQ(Run({"__complete", "help", "tenant", "li"}).out, "list\n");
  for (const char* shell : {"bash", "zsh", "fish"}) {
    EXPECT_THAT(Run({"completion", shell}).out, HasSubstr("__complete")) << shell;
  }
}

// What the script makes of "nomctl tenant cr" and Tab, in the shell itself.
TEST_F(NomctlTest, ShellsCompleteByTheirScripts) {
  const std::string bin = std::filesystem::path(NOM_NOMCTL).parent_path();
  environment_ = {{"PATH", bin + ":/usr/bin:/bin"}, {"HOME", ::testing::TempDir()}};
  const std::vector<std::pair<std::string, std::string>> shells = {
      {"/usr/bin/bash",
       "source <(nomctl completion bash); COMP_WORDS=(nomctl tenant cr); COMP_CWORD=2; _nomctl; "
       "echo \"${COMPREPLY[@]}\""},
      {"/usr/bin/fish", "nomctl completion fish | source; complete -C 'nomctl tenant cr'"},
      // zsh's own completion needs a terminal: its functions are stood in for.
      {"/usr/bin/zsh",
       "compdef() { : }; compadd() { shift; echo $@ }; source <(nomctl completion zsh); "
       "words=(nomctl tenant cr); CURRENT=3; _nomctl"},
  };
  for (const auto& [shell, script] : shells) {
    if (access(shell.c_str(), X_OK) != 0) continue;
    const Ended ended = Process({shell, "-c", script}, environment_).Wait();
    EXPECT_EQ(ended.out, "create\n") << shell << ": " << ended.err;
  }
}

TEST_F(NomctlTest, TheTokenComesFromAFileByFlagEnvironmentOrConfig) {
  market_.RequireToken("secret");
  const std::string base = ::testing::TempDir() + "/nomctl_" + std::to_string(getpid());
  std::ofstream(base + ".good") << "secret\n";
  std::ofstream(base + ".bad") << "wrong\n";
  EXPECT_EQ(Run({"status", "--token-file", base + ".good"}).exit_code, 0);
  environment_["NOM_TOKEN_FILE"] = base + ".good";
  EXPECT_EQ(Run({"status"}).exit_code, 0);
  EXPECT_EQ(Run({"status", "--token-file", base + ".bad"}).exit_code, 1) << "the flag is first";
  environment_ = {};
  std::ofstream(base + ".conf") << "target = " << market_.target() << "\ntoken_file = " << base
                                << ".good\n";
  EXPECT_EQ(Run({"status", "--config", base + ".conf"}).exit_code, 0);
  std::ofstream(base + ".conf") << "tokenfile = x\n";
  const Ended ended = Run({"status", "--config", base + ".conf"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr(base + ".conf:1: \"tokenfile\""));
  for (const char* end : {".good", ".bad", ".conf"}) unlink((base + end).c_str());
}

TEST_F(NomctlTest, WatchPrintsOneLineForEachResponse) {
  const Ended ended = Run({"watch", "--count", "1"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out,
            "60 host m1, round 6 collect, period 2000 ms, prices of round 5; cpu 120 (bids); "
            "memory 20 (reserve)\n");
}

class TopTest : public NomctlTest {
 protected:
  // Runs top over rounds 6 and 7; the second has `cpu_milliunits` measured, of 12000.
  Ended RunTop(int64_t cpu_milliunits, bool balanced = true, std::vector<std::string> extra = {}) {
    Begin(balanced);
    std::vector<std::string> arguments = {"top", "--rounds", "2", "--check"};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    Process top(Command(arguments), environment_);
    // It must have looked once before the rounds settle that it is to report.
    WaitForLooks(1);
    SetRounds({Settled(7, cpu_milliunits), Settled(6, 12'000), Settled(5, 0)});
    Publish(8);
    return top.Wait();
  }
  void WaitForLooks(size_t count) {
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        size_t looks = 0;
        for (const std::string& request : requests_) looks += request.rfind("ListRounds", 0) == 0;
        if (looks >= count) return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  void SetRounds(const std::vector<pb::Round>& newest_first) {
    pb::ListRoundsResponse rounds;
    for (const pb::Round& round : newest_first) *rounds.add_rounds() = round;
    market_.Configure([&](FakeMarket& market) { market.rounds = rounds; });
  }
  // One round has settled before top looks.
  void Begin(bool balanced) {
    SetRounds({Settled(5, 0)});
    market_.Configure([&](FakeMarket& market) { market.audit.set_balanced(balanced); });
  }
};

TEST_F(TopTest, ShowsEachSettledRoundAndPasses) {
  const Ended ended = RunTop(11'900);
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("round 6 of m1\n"));
  EXPECT_THAT(ended.out, HasSubstr("round 7 of m1\n"));
  EXPECT_THAT(ended.out,
              HasSubstr("12    11.900     240  others offered more for the rest, at 120  "
                        "     1234  hits    900     5000"));
  EXPECT_THAT(ended.out, HasSubstr("summary: 2 rounds settled, 2 grants compared"));
  EXPECT_THAT(ended.out, HasSubstr("check passed\n"));
  EXPECT_EQ(ended.out.find('\033'), std::string::npos) << "no escapes off a terminal";
}

TEST_F(TopTest, AMeasureThatDiffersIsNamedAndEndsWithThree) {
  const Ended ended = RunTop(9'000);
  EXPECT_EQ(ended.exit_code, 3);
  EXPECT_THAT(ended.out, HasSubstr("VIOLATION: round 7: guest cache cpu: decided 12.000 units, "
                                   "measured 9.000"));
}

TEST_F(TopTest, BooksThatDoNotBalanceEndWithThree) {
  EXPECT_EQ(RunTop(12'000, /*balanced=*/false).exit_code, 3);
}

TEST_F(TopTest, JsonIsOneRoundALine) {
  const Ended ended = RunTop(12'000, true, {"--json"});
  EXPECT_EQ(ended.exit_code, 0);
  std::istringstream lines(ended.out);
  std::string line;
  for (const uint64_t round_id : {6u, 7u}) {
    ASSERT_TRUE(std::getline(lines, line));
    google::protobuf::Struct round;
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(line, &round).ok()) << line;
    EXPECT_EQ(round.fields().at("round_id").number_value(), static_cast<double>(round_id));
  }
  EXPECT_FALSE(std::getline(lines, line));
  EXPECT_THAT(ended.err, HasSubstr("check passed"));
}

TEST_F(TopTest, SurvivesARestartOfTheMarket) {
  Begin(/*balanced=*/true);
  Process top(Command({"top", "--rounds", "1", "--check"}), environment_);
  WaitForLooks(1);
  market_.Stop();
  SetRounds({Settled(6, 12'000), Settled(5, 0)});
  market_.Start();
  const Ended ended = top.Wait();
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("the market is away"));
}

TEST_F(TopTest, ASignalEndsItWithASummary) {
  Process top(Command({"top"}), environment_);
  WaitForLooks(1);
  top.Signal(SIGTERM);
  const Ended ended = top.Wait();
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out, "summary: 0 rounds settled\n");
}

class ClearTest : public NomctlTest {
 protected:
  static std::string CaseFile(const std::string& name) {
    return std::string(NOM_CASES_DIR) + "/" + name;
  }
  // A file of the test's own, with this in it.
  std::string Write(const std::string& text) {
    file_ = ::testing::TempDir() + "/nomctl_clear_" + std::to_string(getpid()) + ".yaml";
    std::ofstream(file_) << text;
    return file_;
  }
  ~ClearTest() override { unlink(file_.c_str()); }

  std::string file_;
};

// All that the lines say but how long it took, and how much work a rule may be.
std::string Untimed(const std::string& text) {
  return std::regex_replace(text, std::regex("[0-9.]+ ms(.*) [0-9]+ steps"), "T ms$1 N steps");
}

TEST_F(ClearTest, AFileAsATable) {
  environment_ = {};  // No market is needed.
  const Ended ended = Run({"clear", CaseFile("worked_example.yaml")});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.err, "");
  EXPECT_EQ(Untimed(ended.out),
            CaseFile("worked_example.yaml") +
                ": 3 bids, 10 units, reserve 2, reclaim penalty 0, seed 1\n"
                "\n"
                "mpsp/1: exact, as expected; T ms, the rule itself takes at most N steps\n"
                "  guest  wants  held  units  value  charge  a unit\n"
                "      1      8     0      4     80      35       8\n"
                "      2      6     0      6     60      51       8\n"
                "      3      5     0      0\n"
                "  sold 10 of 10, charges 86; price 10 (bids), highest rejected 9\n"
                "  welfare 140, the best there is\n");
}

TEST_F(ClearTest, AllRulesOnTheWorkedExampleIsNoFailure) {
  environment_ = {};
  const Ended ended = Run({"clear", CaseFile("worked_example.yaml"), "--rule", "all"});
  EXPECT_EQ(ended.exit_code, 0) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("uniform_price/1: refused"));
  EXPECT_EQ(Run({"clear", CaseFile("worked_example.yaml"), "--rule", "uniform_price/1"}).exit_code,
            1)
      << "asked for by its name";
}

TEST_F(ClearTest, EveryCaseIsWhatItExpects) {
  environment_ = {};
  int cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(NOM_CASES_DIR)) {
    if (entry.path().extension() != ".yaml") continue;
    const Ended ended = Run({"clear", entry.path().string()});
    EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
    ++cases;
  }
  EXPECT_GE(cases, 60);
}

TEST_F(ClearTest, SaysWhatAndWhere) {
  const std::string bid = "bids:\n  - guest_id: 3\n    ranges:\n";
  const std::string head = "capacity_units: 10\nseed: 1\n" + bid;
  const std::string range =
      "      - {min_units: 1, max_units: 4, value_at_min_microcredits: 9, unit_price_microcredits: "
      "3}\n";
  Write(head + range + range);
  Ended ended = Run({"clear", file_});
  EXPECT_EQ(ended.exit_code, 1) << "a rule refuses it";
  EXPECT_THAT(ended.out, HasSubstr(file_ + ": line 7: bids[0].ranges[1].min_units: 1 lies before"));
  ended = Run({"clear", file_, "--json"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.out, HasSubstr("\"error\": \"" + file_ + ": line 7: bids[0]"));

  Write(head + "      - {min: 1}\n");
  ended = Run({"clear", file_});
  EXPECT_EQ(ended.exit_code, 2) << "it is no auction";
  EXPECT_EQ(ended.err, "nomctl: " + file_ + ": line 6: bids[0].ranges[0].min: no such key\n");
  EXPECT_EQ(ended.out, "");
  Write("shows: x\nauction: 5\nexpect: []\n");
  EXPECT_THAT(Run({"clear", file_}).err, HasSubstr(file_ + ": line 2: auction: must be a mapping"));
  EXPECT_THAT(Run({"clear", "/nowhere/a.yaml"}).err, HasSubstr("/nowhere/a.yaml: cannot be read"));
  EXPECT_THAT(Run({"clear", "/"}).err, HasSubstr("/: is a directory"));

  Write(head + range);
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{"clear"}, "--round"},
      {{"clear", file_, "--round", "3"}, "--round"},
      {{"clear", file_, "--resource", "memory"}, "--round"},
      {{"clear", file_, "--rule", "best/1"}, "'best/1' is not one of all, uniform_price/1, mpsp/1"},
      {{"clear", file_, "--capacity", "-1"}, "--capacity: \"-1\" is out of range"},
      {{"clear", file_, "--reserve", "much"}, "--reserve"},
      {{"clear", "--round", "3", "--resource", "ram"}, "unknown resource \"ram\""},
  };
  for (const auto& [arguments, message] : wrong) {
    ended = Run(arguments);
    EXPECT_EQ(ended.exit_code, 2) << message;
    EXPECT_THAT(ended.err, HasSubstr(message));
    EXPECT_EQ(ended.out, "");
  }
}

TEST_F(ClearTest, AnAnswerThatIsNotAsExpectedEndsWithThree) {
  std::ifstream file(CaseFile("second_price.yaml"));
  std::string text(std::istreambuf_iterator<char>(file), {});
  const size_t at = text.find("seed: ");
  ASSERT_NE(at, std::string::npos);
  const size_t units = text.find("charge_microcredits: ");
  ASSERT_NE(units, std::string::npos);
  text.insert(units + 21, "9");
  const Ended ended = Run({"clear", Write(text)});
  EXPECT_EQ(ended.exit_code, 3) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("NOT AS EXPECTED"));
  EXPECT_EQ(Run({"clear", file_, "--reserve", "0"}).exit_code, 0) << "something was changed";
}

TEST_F(ClearTest, AnAuctionOnStandardInput) {
  const Ended ended = Process({"/bin/sh", "-c", "exec \"$0\" clear - --rule posted_price/1 <\"$1\"",
                               NOM_NOMCTL, CaseFile("worked_example.yaml")},
                              {})
                          .Wait();
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("standard input: 3 bids"));
  EXPECT_THAT(ended.out, HasSubstr("posted_price/1: exact; "));
}

TEST_F(ClearTest, ARoundOutOfTheLedgerByItsOwnRuleAndLimit) {
  market_.Configure([](FakeMarket& market) {
    market.hosts.add_hosts()->set_host_id("m1");
    *market.rounds.add_rounds() = Settled(7, 12'000);
    market.record.set_policy("mpsp/1");
    market.record.set_work_max(1);
    market.record.set_auction(
        "capacity_units: 4\nseed: 1\nbids:\n  - guest_id: 3\n    held_units: 2\n    ranges:\n"
        "      - {min_units: 1, max_units: 4, value_at_min_microcredits: 9, "
        "unit_price_microcredits: 9}\n");
  });
  Ended ended = Run({"clear", "--round", "7"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("round 7 of m1, cpu: 1 bids, 4 units"));
  EXPECT_THAT(ended.out, HasSubstr("mpsp/1: repeat_last; "));
  EXPECT_THAT(ended.out, HasSubstr("no allocation is above 36: at most 100 % more"));
  EXPECT_THAT(Writes(), ElementsAre("GetRoundRecord host_id: \"m1\" round_id: 7 kind: "
                                    "RESOURCE_KIND_CPU"));
  ended = Run({"clear", "--round", "7", "--work-max", "1000000", "--reserve", "10"});
  EXPECT_THAT(ended.out, HasSubstr("mpsp/1: exact; "));
  EXPECT_THAT(ended.out, HasSubstr("sold 0 of 4, charges 0; price 10 (reserve)"));
  ended = Run({"clear", "--round", "7", "--resource", "memory"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, HasSubstr("round 7 of host m1 sold no memory (not found)"));
  ended = Run({"clear", "--round", "6"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, HasSubstr("host m1 has no round 6 on record (not found)"));
}

TEST_F(NomctlTest, TheHostedBidderBidsByWhatTheGuestHasReallyDone) {
  Process bidder({NOM_HOSTED_BIDDER, "--target", market_.target(), "--guest-name", "cache",
                  "--budget", "100000", "--seed", "3"},
                 environment_);
  market_.WaitForWatches(1);
  // The guest does 50 units of work a round with its seed of 10.
  uint64_t round_id = 7;
  for (; market_.bids().empty(); ++round_id) {
    pb::WatchResponse response;
    response.set_sequence(round_id);
    *response.mutable_state() = MakeState(round_id, 120, 20, absl::Now() + absl::Hours(1));
    *response.add_guests() = Guest();
    response.mutable_guests(0)->set_work_done(round_id * 50);
    market_.Publish(response);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ASSERT_LT(round_id, 1000u) << bidder.out();
  }
  const pb::Bid bid = market_.bids()[0].bid();
  EXPECT_EQ(bid.guest_id(), 3u);
  EXPECT_EQ(bid.kind(), pb::RESOURCE_KIND_CPU);
  EXPECT_EQ(bid.budget_microcredits(), 100'000);
  EXPECT_GT(bid.expires_after_rounds(), 0u) << "must lapse if the bidder dies";
  bidder.Signal(SIGTERM);
  const Ended ended = bidder.Wait();
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("bids for up to"));
  ASSERT_FALSE(market_.withdrawals().empty()) << "takes its bid along when it goes";
  EXPECT_EQ(market_.withdrawals().back().guest_id(), 3u);
}

TEST_F(NomctlTest, TheHostedBidderTakesDecimalNumbersOnly) {
  for (const char* budget : {"0x10", "-1", "99999999999999999999", ""}) {
    const Ended ended = Process({NOM_HOSTED_BIDDER, "--target", market_.target(), "--guest-name",
                                 "cache", "--budget", budget},
                                {})
                            .Wait();
    EXPECT_NE(ended.exit_code, 0) << budget;
    EXPECT_THAT(ended.err, HasSubstr("--budget")) << budget;
  }
}

TEST_F(NomctlTest, TheHostedBidderSaysWhyItCannotStart) {
  market_.RequireToken("secret");
  const Ended ended =
      Process({NOM_HOSTED_BIDDER, "--target", market_.target(), "--guest-name", "cache"}, {})
          .Wait();
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_EQ(ended.err, "hosted_bidder: not a token of this market\n");
}

}  // namespace
}  // namespace nom::client_test
