// SPDX-License-Identifier: Apache-2.0
// nomctl as a process, against a market that says what it is told to.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <regex>

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

TEST_F(NomctlTest, AGuestThatIsNoMoreSaysWhy) {
  market_.Configure([](FakeMarket& market) {
    const std::pair<pb::GuestState, const char*> kEnds[] = {
        {pb::GUEST_STATE_CRASHED, "exit code 3"}, {pb::GUEST_STATE_ENDED, "ended by its owner"}};
    for (const auto& [state, reason] : kEnds) {
      pb::GuestInfo& guest = *market.guests.add_guests();
      guest = MakeGuest(static_cast<uint64_t>(market.guests.guests_size()) + 20, "batch");
      guest.set_state(state);
      guest.set_exit_reason(reason);
      guest.clear_grants();
    }
  });
  const Ended ended = Run({"guests"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("crashed: exit code 3"));
  EXPECT_THAT(ended.out, HasSubstr("ended: ended by its owner"));
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

TEST_F(NomctlTest, RoundsSayWhatTheyWereForAndWhatTheyCameTo) {
  pb::Round open = Settled(6, 12'000);
  open.set_objective("least_satisfied/1");
  pb::RoundMeasures* const measures = open.mutable_prices(0)->mutable_measures();
  measures->set_revenue_microcredits(240);
  measures->set_moved_units(3);
  measures->set_jain_index_ppm(903'456);
  measures->set_welfare_microcredits(900);
  measures->set_welfare_bound_microcredits(1'000);
  measures->set_maximised_microcredits(700);
  measures->set_maximised_bound_microcredits(701);
  pb::Round shut = Settled(5, 12'000);  // To whom the sums of bids are not told, and nobody won.
  shut.set_objective("welfare/1");
  shut.mutable_prices(0)->mutable_measures()->set_moved_units(270);
  market_.Configure([&](FakeMarket& market) {
    *market.rounds.add_rounds() = open;
    *market.rounds.add_rounds() = shut;
    *market.rounds.add_rounds() = Settled(4, 12'000);  // Of before they were noted.
  });
  const Ended ended = Run({"rounds"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  const size_t begin = ended.out.find("\n\n");
  ASSERT_NE(begin, std::string::npos) << ended.out;
  EXPECT_EQ(
      ended.out.substr(begin + 2),
      "round  objective          resource  revenue  moved      jain  welfare  proven at most  "
      "maximised  of at most\n"
      "    6  least_satisfied/1  cpu           240      3  0.903456      900            1000  "
      "      700         701\n"
      "    5  welfare/1          cpu             0    270         -        -               -  "
      "        -           -\n");
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

// A shell may have closed what it would write to and read from: what it opens does not get those
// numbers, and what it says does not go there. Looked at once it has begun to call the market: how
// many files it has says little, as some may come from whoever started the test.
TEST_F(NomctlTest, WithoutStandardFilesNothingElseGetsTheirNumbers) {
  environment_["PATH"] = "/usr/bin:/bin";
  const auto shell = [&](const std::string& script) {
    return Process({"/bin/sh", "-c", script}, environment_).Wait();
  };
  const std::string nomctl = NOM_NOMCTL;
  const Ended links = shell(
      nomctl +
      " watch <&- >&- 2>&- & p=$!; while kill -0 $p && ! ls -l /proc/$p/fd | grep -q eventpoll; "
      "do :; done; kill -STOP $p; for n in 0 1 2; do readlink /proc/$p/fd/$n; done; "
      "kill -KILL $p");
  EXPECT_EQ(links.out, "/dev/null\n/dev/null\n/dev/null\n") << links.err;
  const Ended told = shell("exec " + nomctl + " status >&-");
  EXPECT_EQ(told.exit_code, 1);
  EXPECT_EQ(told.err, "nomctl: standard output cannot be written\n");
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

}  // namespace
}  // namespace nom::client_test
