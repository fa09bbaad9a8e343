// SPDX-License-Identifier: Apache-2.0
// Auctions cleared by nomctl itself.

#include "client/cli/what_if.h"

#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/cli/what_if_joint.h"
#include "policies/clearing/fallback.h"
#include "policies/clearing/rules.h"

namespace nom::cli {
namespace {

using ::testing::HasSubstr;

// Two want the four units; guest 2 wants them all or none.
constexpr char kAuction[] = R"(capacity_units: 4
reserve_unit_price_microcredits: 1
seed: 5
bids:
  - guest_id: 2
    ranges:
      - {min_units: 4, max_units: 4, value_at_min_microcredits: 20, unit_price_microcredits: 0}
  - guest_id: 1
    ranges:
      - {min_units: 1, max_units: 4, value_at_min_microcredits: 6, unit_price_microcredits: 6}
)";

AuctionSource Source(const std::string& text = kAuction) {
  absl::StatusOr<AuctionSource> source = ParseSource("a.yaml", text);
  EXPECT_TRUE(source.ok()) << source.status();
  return *std::move(source);
}

TEST(AskTest, TheRulesThatAreAskedFor) {
  const auto rules = [](const AuctionSource& source, const WhatIf& what_if) {
    std::vector<std::string> out;
    const Answers answers = *Ask(source, what_if);
    for (const Answer& answer : answers.answers) out.push_back(answer.rule);
    return out;
  };
  using Rules = std::vector<std::string>;
  EXPECT_EQ(rules(Source(), {}), Rules{"mpsp/1"});
  EXPECT_EQ(rules(Source(), {.rules = {"posted_price/1", "mpsp/1", "posted_price/1"}}),
            (Rules{"posted_price/1", "mpsp/1"}));
  EXPECT_EQ(rules(Source(), {.rules = {"all"}}).size(), policies::Rules().size());
  AuctionSource recorded = Source();
  recorded.rule = "proportional_share/1";
  EXPECT_EQ(rules(recorded, {}), Rules{"proportional_share/1"});
  AuctionSource expecting = Source();
  expecting.expect = {{.rule = "posted_price/1"}, {.rule = "mpsp/1"}};
  EXPECT_EQ(rules(expecting, {}), (Rules{"posted_price/1", "mpsp/1"}));
  EXPECT_TRUE(absl::IsInvalidArgument(Ask(Source(), {.rules = {"best/1"}}).status()));
}

TEST(AskTest, AnswersAreTheRulesOwn) {
  const Answers answers = *Ask(Source(), {});
  EXPECT_EQ(answers.answers[0].clearing, *policies::Clear("mpsp/1", Source().auction));
  int64_t work = 0;
  ASSERT_TRUE(
      policies::ClearWithin("mpsp/1", Source().auction, policies::kWorkMaxDefault, &work).ok());
  EXPECT_EQ(answers.answers[0].work, work);
  EXPECT_FALSE(ReportOf(answers).refused);
  EXPECT_FALSE(ReportOf(answers).unexpected);
}

TEST(AskTest, ARuleThatRefusesIsAnAnswerWithTheLine) {
  const Answers answers = *Ask(Source(), {.rules = {"uniform_price/1", "mpsp/1"}});
  EXPECT_TRUE(ReportOf(answers).refused);
  EXPECT_FALSE(ReportOf(answers).unexpected);
  EXPECT_THAT(std::string(answers.answers[0].status.message()),
              HasSubstr("a.yaml: line 7: bids[0].ranges"));
  EXPECT_TRUE(answers.answers[1].status.ok());
}

TEST(AskTest, WhatIf) {
  EXPECT_EQ(Ask(Source(), {.capacity_units = 3})->answers[0].clearing.awards,
            (std::vector<policies::Award>{{1, 3, 3}}));
  EXPECT_EQ(Ask(Source(), {.reserve_unit_price_microcredits = 6})->answers[0].clearing.awards,
            (std::vector<policies::Award>{{1, 4, 24}}));
  EXPECT_EQ(Ask(Source(), {.work_max = 1})->answers[0].clearing.method,
            policies::Method::kRepeatLast);
  AuctionSource limited = Source();
  limited.work_max = 1;
  EXPECT_EQ(Ask(limited, {})->answers[0].clearing.method, policies::Method::kRepeatLast);
  EXPECT_EQ(Ask(limited, {.work_max = 1'000'000})->answers[0].clearing.method,
            policies::Method::kExact);
}

TEST(AskTest, HoldsTheAnswersAgainstWhatIsExpected) {
  AuctionSource source = Source();
  source.expect = {{.rule = "mpsp/1", .clearing = *policies::Clear("mpsp/1", source.auction)},
                   {.rule = "uniform_price/1", .error = "ranges"}};
  EXPECT_FALSE(ReportOf(*Ask(source, {})).unexpected);
  EXPECT_FALSE(ReportOf(*Ask(source, {})).refused) << "as it should";
  source.expect[0].clearing.welfare_microcredits += 1;
  EXPECT_TRUE(ReportOf(*Ask(source, {})).unexpected);
  EXPECT_FALSE(ReportOf(*Ask(source, {.capacity_units = 4})).unexpected)
      << "it is another auction then";
  source.expect[1].error = "something else";
  EXPECT_TRUE(ReportOf(*Ask(source, {.rules = {"uniform_price/1"}})).unexpected);
}

TEST(AnswersJsonTest, IsJsonWithTheNamesOfTheCases) {
  AuctionSource source = Source();
  source.name = "a \"file\"\n.yaml";
  const std::string json = ReportOf(*Ask(source, {.rules = {"mpsp/1", "uniform_price/1"}})).json;
  google::protobuf::Struct parsed;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(json, &parsed).ok()) << json;
  EXPECT_EQ(parsed.fields().at("source").string_value(), source.name);
  EXPECT_EQ(parsed.fields().at("bids").number_value(), 2);
  const auto& clearings = parsed.fields().at("clearings").list_value();
  ASSERT_EQ(clearings.values_size(), 2);
  const auto& mpsp = clearings.values(0).struct_value().fields();
  EXPECT_EQ(mpsp.at("rule").string_value(), "mpsp/1");
  EXPECT_EQ(mpsp.at("method").string_value(), "exact");
  EXPECT_EQ(mpsp.at("welfare_microcredits").number_value(), 24);
  EXPECT_EQ(mpsp.at("charges_microcredits").number_value(), 20);
  EXPECT_EQ(mpsp.at("sold_units").number_value(), 4);
  EXPECT_GE(mpsp.at("seconds").number_value(), 0);
  EXPECT_EQ(mpsp.count("error"), 0u);
  const auto& award = mpsp.at("awards").list_value().values(0).struct_value().fields();
  EXPECT_EQ(award.at("guest_id").number_value(), 1);
  EXPECT_EQ(award.at("units").number_value(), 4);
  EXPECT_EQ(award.at("charge_microcredits").number_value(), 20);
  EXPECT_THAT(clearings.values(1).struct_value().fields().at("error").string_value(),
              HasSubstr("line 7: bids[0].ranges"));
}

// Guest 1 wants both resources or nothing, guest 2 and guest 3 one of them each.
constexpr char kJointAuction[] = R"(resource_count: 2
capacity_units: [4, 2]
reserve_unit_prices_microcredits: [1, 1]
seed: 1
bids:
  - guest_id: 1
    bundles:
      - {units: [4, 2], value_microcredits: 60}
  - guest_id: 3
    bundles:
      - {units: [0, 2], value_microcredits: 25}
  - guest_id: 2
    bundles:
      - {units: [4, 0], value_microcredits: 30}
)";

TEST(AskJointTest, SeveralResourcesAtOnce) {
  const absl::StatusOr<JointAnswer> answer = AskJoint("j.yaml", kJointAuction, {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_TRUE(answer->status.ok()) << answer->status;
  const Report report = ReportOf(*answer);
  EXPECT_FALSE(report.refused);
  EXPECT_FALSE(report.unexpected);
  // 60 against 30 and 25; guest 1 pays what the others would have had.
  EXPECT_THAT(report.text,
              HasSubstr("j.yaml: 3 bids, 4 2 units, reserves 1 1, reclaim penalties 0 0, seed 1\n"
                        "\njoint_vcg/1: exact; "));
  EXPECT_THAT(report.text, HasSubstr("  guest  held  units  value  charge\n"
                                     "      1   0 0    4 2     60      55\n"
                                     "      2   0 0      -\n"
                                     "      3   0 0      -\n"
                                     "  sold 4 2 of 4 2, charges 55\n"));
  EXPECT_THAT(report.text, HasSubstr("  welfare 60, the best there is\n"));
  google::protobuf::Struct parsed;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(report.json, &parsed).ok())
      << report.json;
  EXPECT_EQ(parsed.fields().at("capacity_units").list_value().values(1).number_value(), 2);
  const auto& clearing =
      parsed.fields().at("clearings").list_value().values(0).struct_value().fields();
  EXPECT_TRUE(clearing.at("charges_are_exact").bool_value());
  EXPECT_EQ(clearing.at("welfare_bound_microcredits").number_value(), 60);
  const auto& award = clearing.at("awards").list_value().values(0).struct_value().fields();
  EXPECT_EQ(award.at("units").list_value().values(0).number_value(), 4);
  EXPECT_EQ(award.at("charge_microcredits").number_value(), 55);
}

TEST(AskJointTest, WithoutWorkItTellsWhereTheTruthLies) {
  const absl::StatusOr<JointAnswer> answer = AskJoint("j.yaml", kJointAuction, {.work_max = 0});
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_TRUE(answer->status.ok()) << answer->status;
  EXPECT_GE(answer->clearing.welfare_bound_microcredits, 60);
  ASSERT_FALSE(answer->clearing.charges_are_exact);
  EXPECT_THAT(ReportOf(*answer).text, HasSubstr("out of work"));
  EXPECT_THAT(ReportOf(*answer).text, HasSubstr(" (not all exact)"));
  EXPECT_THAT(ReportOf(*answer).json, HasSubstr("\"charges_are_exact\": false"));
}

TEST(AskJointTest, AChargeThatIsNotProvenComesWithItsInterval) {
  // Prices are 5.45 each, so no winner's charge is known without a search, and there is no work.
  constexpr char kGap[] = R"(
resource_count: 1
capacity_units: [5]
seed: 1
bids:
  - {guest_id: 1, bundles: [{units: [3], value_microcredits: 20}]}
  - {guest_id: 2, bundles: [{units: [3], value_microcredits: 19}]}
  - {guest_id: 3, bundles: [{units: [2], value_microcredits: 12}]}
)";
  int told = 0;
  for (int64_t work_max = 0; work_max < 20'000; work_max += 200) {
    const absl::StatusOr<JointAnswer> answer = AskJoint("j.yaml", kGap, {.work_max = work_max});
    ASSERT_TRUE(answer.ok()) << answer.status();
    ASSERT_TRUE(answer->status.ok()) << answer->status;
    for (const policies::JointAward& award : answer->clearing.awards) {
      if (award.charge_least_microcredits == award.charge_bound_microcredits) continue;
      ++told;
      EXPECT_THAT(
          ReportOf(*answer).text,
          HasSubstr(absl::StrCat(award.charge_microcredits, " (", award.charge_least_microcredits,
                                 " to ", award.charge_bound_microcredits, ")")));
      EXPECT_THAT(ReportOf(*answer).json, HasSubstr(absl::StrCat("\"charge_least_microcredits\": ",
                                                                 award.charge_least_microcredits)));
    }
  }
  EXPECT_GT(told, 0);
}

TEST(AskJointTest, OwnersAreShownWhereThereAreAny) {
  constexpr char kOwners[] = R"(
resource_count: 1
capacity_units: [2]
seed: 1
bids:
  - {guest_id: 1, bundles: [{units: [2], value_microcredits: 10}]}
  - {guest_id: 2, owner_id: 7, bundles: [{units: [1], value_microcredits: 10}]}
  - {guest_id: 3, owner_id: 7, bundles: [{units: [1], value_microcredits: 10}]}
)";
  const absl::StatusOr<JointAnswer> answer = AskJoint("j.yaml", kOwners, {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(ReportOf(*answer).text, HasSubstr("  guest  owner  held  units  value  charge\n"
                                                "      1      -     0      -\n"
                                                "      2      7     0      1     10       5\n"
                                                "      3      7     0      1     10       5\n"));
}

TEST(AskJointTest, ACaseIsHeldAgainstWhatItExpects) {
  std::string text = "shows: x\njoint_auction:\n";
  for (const absl::string_view line : absl::StrSplit(kJointAuction, '\n')) {
    if (!line.empty()) absl::StrAppend(&text, "  ", line, "\n");
  }
  const std::string wrong = text + "expect:\n  error: no such thing\n";
  EXPECT_TRUE(ReportOf(*AskJoint("j.yaml", wrong, {})).unexpected);
  EXPECT_FALSE(ReportOf(*AskJoint("j.yaml", wrong, {.work_max = 1'000'000})).unexpected);
}

TEST(AskJointTest, SaysWhatIsWrongAndWhere) {
  const std::string text = absl::StrReplaceAll(kJointAuction, {{"[4, 0]", "[4, -1]"}});
  const absl::StatusOr<JointAnswer> refused = AskJoint("j.yaml", text, {});
  ASSERT_TRUE(refused.ok());
  EXPECT_TRUE(ReportOf(*refused).refused);
  EXPECT_THAT(std::string(refused->status.message()),
              HasSubstr("j.yaml: line 14: bids[2].bundles[0].units"));
  const auto error = [](const std::string& t, const WhatIf& what_if) {
    return std::string(AskJoint("j.yaml", t, what_if).status().message());
  };
  EXPECT_THAT(error("resource_count: 2\nseed: x\n", {}), HasSubstr("j.yaml: line 2: seed"));
  EXPECT_THAT(error(kJointAuction, {.rules = {"mpsp/1"}}), HasSubstr("'mpsp/1' is not for joint"));
  EXPECT_THAT(error(kJointAuction, {.capacity_units = 3}), HasSubstr("--capacity"));
}

}  // namespace
}  // namespace nom::cli
