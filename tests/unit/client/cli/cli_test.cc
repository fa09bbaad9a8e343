// SPDX-License-Identifier: Apache-2.0
// The inside of nomctl: what people type, what is checked, what is shown.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "client/cli/bid_syntax.h"
#include "client/cli/round_check.h"
#include "client/cli/settings.h"
#include "client/cli/table.h"
#include "client/cli/top_model.h"
#include "client/examples/job_queue.h"
#include "tests/unit/client/fake_market.h"

namespace nom::cli {
namespace {

namespace pb = market::v1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(BidSyntaxTest, CurvesAreWrittenAsTheyAreRead) {
  EXPECT_THAT(*ParseRanges({"10@50"}), ElementsAre(BidRange{1, 10, 50, 50}));
  EXPECT_THAT(*ParseRanges({"10@50", "11-20@40"}),
              ElementsAre(BidRange{1, 10, 50, 50}, BidRange{11, 20, 540, 40}));
  EXPECT_THAT(*ParseRanges({"10@50", "10-20@40"}),
              ElementsAre(BidRange{1, 10, 50, 50}, BidRange{10, 20, 500, 40}));
  EXPECT_THAT(*ParseRanges({"4-4@0=900", "8-8@0=1000"}),
              ElementsAre(BidRange{4, 4, 900, 0}, BidRange{8, 8, 1000, 0}));
  EXPECT_THAT(*ParseRanges({"1-3@-50=100"}), ElementsAre(BidRange{1, 3, 100, -50}));
}

TEST(BidSyntaxTest, SaysWhatIsWrong) {
  const auto error = [](std::vector<std::string> texts) {
    const absl::Status status = ParseRanges(texts).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(error({"10"}), HasSubstr("\"10\""));
  EXPECT_THAT(error({"ten@50"}), HasSubstr("whole numbers"));
  EXPECT_THAT(error({"-5@50"}), HasSubstr("whole numbers"));
  EXPECT_THAT(error({"1-2-3@50"}), HasSubstr("whole numbers"));
  EXPECT_THAT(error({"10@fifty"}), HasSubstr("price"));
  EXPECT_THAT(error({"10@-5"}), HasSubstr("negative"));
  EXPECT_THAT(error({"10@5=x"}), HasSubstr("value"));
  EXPECT_THAT(error({"10@99999999999999999999"}), HasSubstr("price"));
  EXPECT_THAT(error({"10@9223372036854775807"}), HasSubstr("worth more"));
  EXPECT_THAT(error({"10@50", "5-20@40"}), HasSubstr("overlaps"));
  EXPECT_THAT(error({"10@50", "5-20@40=600"}), HasSubstr("overlaps"));
  EXPECT_THAT(error({"99999999@1"}), HasSubstr("max_units"));
  EXPECT_THAT(error({"8-4@1"}), HasSubstr("max_units"));
}

TEST(BidSyntaxTest, BundlesAndCurvesOfSeveralResources) {
  const Bundle bundle = *ParseBundle("memory=8,cpu=20@90000");
  EXPECT_EQ(bundle, (Bundle{.units = {{Resource::kMemory, 8}, {Resource::kCpu, 20}},
                            .value_microcredits = 90'000}));
  const auto curve = *ParseCurve("memory: 16@900  17-64@400");
  EXPECT_EQ(curve.first, Resource::kMemory);
  EXPECT_EQ(curve.second, *ParseRanges({"16@900", "17-64@400"}));
  EXPECT_EQ(*ParseCombination("product"), Combination::kProduct);
  const auto bundle_error = [](const std::string& text) {
    const absl::Status status = ParseBundle(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(bundle_error("memory=8"), HasSubstr("\"memory=8\": expected RESOURCE=UNITS"));
  EXPECT_THAT(bundle_error("memory=8@-1"), HasSubstr("the value is a whole number"));
  EXPECT_THAT(bundle_error("memory=8@1@2"), HasSubstr("expected RESOURCE=UNITS"));
  EXPECT_THAT(bundle_error("memory=0@1"), HasSubstr("units are from 1 to"));
  EXPECT_THAT(bundle_error("memory=8,memory=9@1"), HasSubstr("memory is there twice"));
  EXPECT_THAT(bundle_error("ram=8@1"), HasSubstr("unknown resource \"ram\""));
  EXPECT_THAT(bundle_error("memory=99999999999@1"), HasSubstr("units are from 1 to"));
  EXPECT_THAT(std::string(ParseCurve("memory 16@900").status().message()),
              HasSubstr("expected RESOURCE: RANGE"));
  EXPECT_THAT(std::string(ParseCurve("memory:").status().message()), HasSubstr("no ranges"));
  EXPECT_THAT(std::string(ParseCombination("mean").status().message()),
              HasSubstr("sum, min, max or product"));
}

TEST(BidSyntaxTest, WritesWhatItReads) {
  for (const char* text : {"10@50", "4-8@50", "4-8@50=1000", "4-4@0=900"}) {
    EXPECT_EQ(FormatRange(ParseRanges({text})->front()), text);
  }
}

TEST(BidSyntaxTest, Quantities) {
  EXPECT_EQ(*ParseQuantity("memory=8"), std::pair(Resource::kMemory, int64_t{8}));
  EXPECT_THAT(ParseQuantity("ram=8").status().message(), HasSubstr("cpu, memory"));
  for (const char* text : {"memory", "memory=", "memory=-1", "memory=8=9", "memory=8x"}) {
    EXPECT_FALSE(ParseQuantity(text).ok()) << text;
  }
}

TEST(SettingsTest, FlagBeforeEnvironmentBeforeFile) {
  const Settings file{.target = "file:1", .token_file = "file", .tls_roots = "file"};
  const Environment env = [](const std::string& name) -> std::optional<std::string> {
    if (name == "NOM_TARGET") return "env:1";
    if (name == "NOM_TOKEN_FILE") return "env";
    return std::nullopt;
  };
  const Settings settings = Resolve({.target = "flag:1"}, env, file);
  EXPECT_EQ(settings.target, "flag:1");
  EXPECT_EQ(settings.token_file, "env");
  EXPECT_EQ(settings.tls_roots, "file");
  const Environment none = [](const std::string&) { return std::nullopt; };
  EXPECT_EQ(ToEndpoint(Resolve({}, none, {})).target, kDefaultTarget);
}

TEST(SettingsTest, TlsExceptToThisMachine) {
  EXPECT_TRUE(ToEndpoint({.target = "localhost:1"}).plaintext);
  EXPECT_FALSE(ToEndpoint({.target = "localhost:1", .tls_roots = "ca.pem"}).plaintext);
  EXPECT_FALSE(ToEndpoint({.target = "example.com:1"}).plaintext);
}

TEST(SettingsTest, TheFileIsStrict) {
  const absl::StatusOr<Settings> good =
      ParseSettings("# mine\n\ntarget = example.com:7070\n token_file=/t \n", "f");
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(good->target, "example.com:7070");
  EXPECT_EQ(good->token_file, "/t");
  EXPECT_FALSE(good->tls_roots.has_value());
  EXPECT_THAT(ParseSettings("\ntoken = x\n", "f").status().message(), HasSubstr("f:2: \"token\""));
  EXPECT_THAT(ParseSettings("target\n", "f").status().message(), HasSubstr("f:1:"));
  EXPECT_THAT(ParseSettings("target=a\ntarget=b", "f").status().message(),
              HasSubstr("f:2: target is given twice"));
}

TEST(SettingsTest, AFileThatWasAskedForMustBeThere) {
  const Environment none = [](const std::string&) { return std::nullopt; };
  EXPECT_TRUE(LoadSettings("", none).ok());
  EXPECT_EQ(LoadSettings("/nowhere/conf", none).status().code(), absl::StatusCode::kNotFound);
  const Environment empty_home = [](const std::string& name) -> std::optional<std::string> {
    if (name == "HOME") return "/nowhere";
    return std::nullopt;
  };
  EXPECT_TRUE(LoadSettings("", empty_home).ok());
}

TEST(TableTest, ColumnsAndHarmlessText) {
  Table table({"name", ">units"});
  table.AddRow({"a", "100"});
  table.AddRow({"longer"});
  EXPECT_EQ(table.Format({.indent = 1}),
            " name    units\n"
            " a         100\n"
            " longer\n");
  EXPECT_EQ(Printable("ok\033[2J\n\xff"), "ok?[2J??");
}

// A settled round in which guest 3 was decided and delivered so much, in units and milliunits.
pb::Round MakeRound(uint64_t round_id, int64_t cpu, int64_t cpu_milli, int64_t memory,
                    int64_t memory_milli) {
  pb::Round round;
  round.set_round_id(round_id);
  round.set_host_id("m1");
  round.set_phase(pb::ROUND_PHASE_SETTLED);
  const auto add = [&](pb::ResourceKind kind, int64_t units, int64_t milli) {
    pb::GuestOutcome* outcome = round.add_outcomes();
    outcome->set_guest_id(3);
    outcome->set_kind(kind);
    outcome->set_seed_units(2);
    outcome->set_award_units(units - 2);
    outcome->set_settled(true);
    outcome->set_settled_microcredits(units * 100);
    outcome->set_delivered_milliunits(milli);
  };
  add(pb::RESOURCE_KIND_CPU, cpu, cpu_milli);
  add(pb::RESOURCE_KIND_MEMORY, memory, memory_milli);
  return round;
}

class RoundCheckTest : public ::testing::Test {
 protected:
  RoundReport Check(const pb::Round& round) const {
    const pb::MarketState state = client_test::MakeState(9, 1, 1, absl::UnixEpoch());
    return CheckRound(round, lives_, {state.resources().begin(), state.resources().end()});
  }
  std::map<uint64_t, GuestLife> lives_ = {{3, {.name = "cache", .first_round_id = 5}}};
};

TEST_F(RoundCheckTest, WithinTolerance) {
  // A unit of cpu is 10 millicores: 20 millicores are two units.
  RoundReport report = Check(MakeRound(5, 12, 14'000, 40, 41'000));
  EXPECT_EQ(report.compared, 2);
  EXPECT_THAT(report.violations, IsEmpty());
  EXPECT_THAT(report.not_compared, IsEmpty());
  EXPECT_EQ(report.cpu_worst_microcores, 20'000);
  EXPECT_EQ(report.memory_worst_milliunits, 1000);
  EXPECT_THAT(Check(MakeRound(5, 12, 10'000, 40, 39'000)).violations, IsEmpty());
}

TEST_F(RoundCheckTest, WhatIsHeldByContractCounts) {
  pb::Round round = MakeRound(5, 12, 20'000, 40, 47'000);
  for (pb::GuestOutcome& outcome : *round.mutable_outcomes()) {
    outcome.set_contracted_units(outcome.kind() == pb::RESOURCE_KIND_CPU ? 8 : 7);
  }
  EXPECT_THAT(Check(round).violations, IsEmpty());
}

TEST_F(RoundCheckTest, NamesEachViolation) {
  EXPECT_THAT(Check(MakeRound(5, 12, 14'001, 40, 41'001)).violations,
              ElementsAre("round 5: guest cache cpu: decided 12.000 units, measured 14.001 (more "
                          "than 20 millicores apart)",
                          "round 5: guest cache memory: decided 40.000 units, measured 41.001 "
                          "(more than 1.000 units apart)"));
  EXPECT_THAT(Check(MakeRound(5, 12, 9'999, 40, 38'999)).violations, SizeIs(2)) << "too little";
}

TEST_F(RoundCheckTest, NumbersThatMakeNoSenseAreViolationsNotOverflows) {
  const int64_t most = std::numeric_limits<int64_t>::max();
  pb::Round round = MakeRound(5, 12, -most, 40, most);
  round.mutable_outcomes(0)->set_award_units(most);
  EXPECT_THAT(Check(round).violations, SizeIs(2));
}

TEST_F(RoundCheckTest, SaysWhatCannotBeCompared) {
  const auto why = [&](const pb::Round& round) {
    const RoundReport report = Check(round);
    EXPECT_EQ(report.compared, 0);
    EXPECT_THAT(report.violations, IsEmpty());
    return report.not_compared.empty() ? "" : report.not_compared[0];
  };
  const pb::Round wild = MakeRound(4, 12, 0, 40, 0);
  EXPECT_THAT(why(wild), HasSubstr("round 4: guest cache cpu: not compared, it may not have run"));
  lives_[3].ended = true;
  lives_[3].end_reason = "triple fault";
  EXPECT_THAT(why(MakeRound(5, 12, 0, 40, 0)), HasSubstr("ended (triple fault)"));
  lives_.clear();
  EXPECT_THAT(why(MakeRound(5, 12, 0, 40, 0)), HasSubstr("never seen running"));
  lives_ = {{3, {.name = "cache", .first_round_id = 5}}};
  pb::Round unsettled = MakeRound(5, 12, 0, 40, 0);
  unsettled.mutable_outcomes(0)->set_settled(false);
  unsettled.mutable_outcomes(1)->set_settled(false);
  EXPECT_THAT(why(unsettled), HasSubstr("not settled"));
  pb::Round empty = MakeRound(5, 12, 0, 40, 0);
  empty.clear_outcomes();
  EXPECT_THAT(why(empty), HasSubstr("says nothing of it"));
}

TEST(HostCheckTest, MoreGrantedThanThereIs) {
  operators::v1::Host host;
  host.set_host_id("m1");
  operators::v1::HostUse* use = host.add_uses();
  use->set_kind(pb::RESOURCE_KIND_MEMORY);
  use->set_granted_max_units(256);
  use->set_capacity_units(256);
  EXPECT_THAT(CheckHost(host), IsEmpty());
  use->set_granted_max_units(257);
  EXPECT_THAT(CheckHost(host),
              ElementsAre("host m1: memory: 257 units were granted at once, of 256"));
}

TEST(AuditCheckTest, EachFindingIsAViolation) {
  operators::v1::AuditResponse audit;
  EXPECT_THAT(CheckAudit(audit), SizeIs(1)) << "not balanced, without a reason";
  audit.set_balanced(true);
  EXPECT_THAT(CheckAudit(audit), IsEmpty());
  audit.add_findings("tenant shop: 5 of 7");
  EXPECT_THAT(CheckAudit(audit), ElementsAre("audit: tenant shop: 5 of 7"));
}

class TopModelTest : public ::testing::Test {
 protected:
  void Watch(uint64_t round_id, pb::GuestState state = pb::GUEST_STATE_RUNNING) {
    pb::WatchResponse response;
    *response.mutable_state() = client_test::MakeState(round_id, 120, 20, absl::UnixEpoch());
    pb::GuestInfo* guest = response.add_guests();
    *guest = client_test::MakeGuest(3, "cache");
    guest->set_state(state);
    guest->set_work_done(1234);
    guest->set_work_unit("hits");
    guest->set_spent_microcredits(900);
    guest->set_activity("serving");
    pb::Bid* bid = guest->add_bids();
    bid->set_kind(pb::RESOURCE_KIND_MEMORY);
    pb::BidRange* range = bid->add_ranges();
    range->set_min_units(1);
    range->set_max_units(32);
    range->set_value_at_min_microcredits(90);
    range->set_unit_price_microcredits(90);
    pb::Account* account = response.add_accounts();
    account->set_tenant_id("shop");
    account->set_available_microcredits(5000);
    model_.OnWatch(response);
  }
  static pb::ListRoundsResponse Rounds(std::vector<pb::Round> newest_first) {
    pb::ListRoundsResponse response;
    for (pb::Round& round : newest_first) *response.add_rounds() = round;
    return response;
  }
  TopModel model_;
};

TEST_F(TopModelTest, RoundsAreReportedOnceInOrderFromTheStartOn) {
  Watch(6);
  EXPECT_THAT(model_.OnRounds(Rounds({MakeRound(4, 12, 0, 40, 0)})), IsEmpty());
  pb::Round open = MakeRound(7, 12, 0, 40, 0);
  open.set_phase(pb::ROUND_PHASE_EFFECTIVE);
  const pb::ListRoundsResponse rounds = Rounds(
      {open, MakeRound(6, 12, 0, 40, 0), MakeRound(5, 12, 0, 40, 0), MakeRound(4, 12, 0, 40, 0)});
  const std::vector<pb::Round> settled = model_.OnRounds(rounds);
  ASSERT_THAT(settled, SizeIs(2));
  EXPECT_EQ(settled[0].round_id(), 5u);
  EXPECT_EQ(settled[1].round_id(), 6u);
  EXPECT_THAT(model_.OnRounds(rounds), IsEmpty());
  EXPECT_EQ(model_.rounds_settled(), 2);
}

TEST_F(TopModelTest, AsksForOlderRoundsUntilItKnowsThem) {
  Watch(6);
  model_.OnRounds(Rounds({MakeRound(4, 12, 0, 40, 0)}));
  pb::ListRoundsResponse page = Rounds({MakeRound(9, 1, 0, 1, 0), MakeRound(8, 1, 0, 1, 0)});
  page.set_next_before_round_id(8);
  EXPECT_TRUE(model_.NeedsOlder(page));
  *page.add_rounds() = MakeRound(5, 1, 0, 1, 0);
  EXPECT_FALSE(model_.NeedsOlder(page));
}

TEST_F(TopModelTest, ShowsARoundAsATable) {
  Watch(6);
  pb::Round round = MakeRound(5, 12, 11'990, 40, 40'000);
  *round.add_prices() = client_test::MakeState(6, 120, 20, absl::UnixEpoch()).prices(0);
  round.mutable_outcomes(0)->set_reason(pb::AWARD_REASON_SERVED);
  EXPECT_EQ(
      model_.FormatRound(round),
      "round 5 of m1\n"
      "  resource  price  bound by  reserve  supply  demand  sold\n"
      "  cpu         120  bids           50     280     300   270\n"
      "  guest  state    resource      bid  decided  measured  charge  why                    "
      "work done  unit  spent  balance  activity\n"
      "  cache  running  cpu             -       12    11.990    1200  all that it asked for  "
      "     1234  hits    900     5000  serving\n"
      "                  memory    32 @ 90       40    40.000    4000\n");
}

TEST_F(TopModelTest, ASummaryThatPasses) {
  Watch(5);
  model_.OnRounds(Rounds({MakeRound(4, 12, 0, 40, 0)}));
  for (const pb::Round& round : model_.OnRounds(Rounds({MakeRound(5, 12, 12'010, 40, 39'990)}))) {
    model_.Check(round);
  }
  operators::v1::AuditResponse audit;
  audit.set_balanced(true);
  audit.set_transactions(7);
  audit.set_entries(21);
  audit.set_rounds_replayed(5);
  audit.set_operator_revenue_microcredits(900);
  audit.set_deposits_microcredits(6000);
  model_.Check(audit);
  EXPECT_TRUE(model_.good());
  EXPECT_EQ(model_.FormatSummary(true),
            "summary: 1 rounds settled, 2 grants compared with the meters\n"
            "  largest difference: memory 0.010 units (1.000 allowed), cpu 0.100 millicores (20 "
            "allowed)\n"
            "  books: balance; 7 transactions, 21 entries, 5 rounds replayed, operator earned 900 "
            "of 6000 deposited\n"
            "check passed\n");
}

TEST_F(TopModelTest, NothingComparedIsAFailure) {
  Watch(5);
  model_.Check(MakeRound(4, 12, 12'000, 40, 40'000));  // Before it was seen running.
  EXPECT_FALSE(model_.good());
  EXPECT_THAT(model_.FormatSummary(true), HasSubstr("VIOLATION: nothing could be compared"));
  EXPECT_THAT(model_.FormatSummary(true), HasSubstr("check FAILED"));
}

TEST_F(TopModelTest, AGuestThatEndedIsNotComparedAndSaidSo) {
  Watch(5);
  Watch(6, pb::GUEST_STATE_CRASHED);
  model_.Check(MakeRound(5, 12, 1, 40, 1));
  EXPECT_THAT(model_.FormatSummary(true), HasSubstr("ended (crashed)"));
}

TEST_F(TopModelTest, OverCommitIsAViolation) {
  Watch(5);
  model_.Check(MakeRound(5, 12, 12'000, 40, 40'000));
  EXPECT_TRUE(model_.good());
  operators::v1::ListHostsResponse hosts;
  operators::v1::Host* host = hosts.add_hosts();
  host->set_host_id("m1");
  host->add_uses()->set_kind(pb::RESOURCE_KIND_CPU);
  host->mutable_uses(0)->set_granted_max_units(301);
  host->mutable_uses(0)->set_capacity_units(300);
  model_.Check(hosts);
  EXPECT_FALSE(model_.good());
}

TEST(JobQueueTest, EarliestDeadlineFirstAndLateIsWorthNothing) {
  examples::JobQueue queue;
  queue.Add({.work_left = 100, .value_microcredits = 50, .deadline_round_id = 9});
  queue.Add({.work_left = 60, .value_microcredits = 70, .deadline_round_id = 7});
  queue.Advance(60, 6);
  EXPECT_EQ(queue.done(), 1);
  EXPECT_EQ(queue.earned_microcredits(), 70);
  queue.Advance(99, 9);
  EXPECT_EQ(queue.missed(), 1);
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(queue.earned_microcredits(), 70);
}

TEST(JobQueueTest, ProcessorIsWorthTheJobsItKeepsOnTime) {
  examples::JobQueue queue;
  queue.Add({.work_left = 120, .value_microcredits = 300, .deadline_round_id = 8});    // 3 rounds.
  queue.Add({.work_left = 180, .value_microcredits = 400, .deadline_round_id = 9});    // 4 rounds.
  queue.Add({.work_left = 9000, .value_microcredits = 9999, .deadline_round_id = 9});  // Too much.
  // A unit does 2 a round. The first job needs 20 units, both need 37.5, and the seed is 5.
  const std::vector<ValuePoint> worth = queue.Valuation(5, 5, 100, 2.0);
  ASSERT_THAT(worth, SizeIs(2));
  EXPECT_EQ(worth[0].units, 15);
  EXPECT_EQ(worth[0].value_microcredits, 100);
  EXPECT_EQ(worth[1].units, 33);
  EXPECT_EQ(worth[1].value_microcredits, 200);
  EXPECT_THAT(queue.Valuation(5, 38, 100, 2.0), IsEmpty()) << "the seed will do";
}

}  // namespace
}  // namespace nom::cli
