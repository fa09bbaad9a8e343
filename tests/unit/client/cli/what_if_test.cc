// Auctions cleared by nomctl itself.

#include "client/cli/what_if.h"

#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
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
  EXPECT_EQ(answers.answers[0].work, policies::WorkOf("mpsp/1", Source().auction));
  EXPECT_FALSE(Refused(answers));
  EXPECT_FALSE(Unexpected(answers));
}

TEST(AskTest, ARuleThatRefusesIsAnAnswerWithTheLine) {
  const Answers answers = *Ask(Source(), {.rules = {"uniform_price/1", "mpsp/1"}});
  EXPECT_TRUE(Refused(answers));
  EXPECT_FALSE(Unexpected(answers));
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
  EXPECT_FALSE(Unexpected(*Ask(source, {})));
  EXPECT_FALSE(Refused(*Ask(source, {}))) << "as it should";
  source.expect[0].clearing.welfare_microcredits += 1;
  EXPECT_TRUE(Unexpected(*Ask(source, {})));
  EXPECT_FALSE(Unexpected(*Ask(source, {.capacity_units = 4}))) << "it is another auction then";
  source.expect[1].error = "something else";
  EXPECT_TRUE(Unexpected(*Ask(source, {.rules = {"uniform_price/1"}})));
}

TEST(AnswersJsonTest, IsJsonWithTheNamesOfTheCases) {
  AuctionSource source = Source();
  source.name = "a \"file\"\n.yaml";
  const std::string json = AnswersJson(*Ask(source, {.rules = {"mpsp/1", "uniform_price/1"}}));
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

}  // namespace
}  // namespace nom::cli
