// SPDX-License-Identifier: Apache-2.0
// Every file in policies/cases/joint, and the text of joint auctions.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

#include "policies/cases/joint_case_file.h"
#include "policies/clearing/joint/joint_vcg.h"
#include "tests/referee/joint_promises.h"
#include "tests/referee/random_joint_auction.h"

namespace nom::policies {
namespace {

using ::testing::HasSubstr;

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void RunCase(const JointCase& c) {
  const auto actual = ClearJointVcg(c.auction);
  if (!c.error.empty()) {
    ASSERT_FALSE(actual.ok());
    EXPECT_EQ(actual.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(actual.status().message()), HasSubstr(c.error));
    return;
  }
  ASSERT_TRUE(actual.ok()) << actual.status();
  JointClearing expected;
  expected.awards = c.awards;
  expected.clearing_unit_prices_microcredits = c.clearing_unit_prices_microcredits;
  expected.welfare_microcredits = c.welfare_microcredits;
  EXPECT_EQ(ToText(*actual, c.auction.resource_count), ToText(expected, c.auction.resource_count));
  EXPECT_EQ(actual->awards, c.awards);  // The bounds of the charges too.
  EXPECT_EQ(actual->clearing_unit_prices_microcredits, c.clearing_unit_prices_microcredits);
  EXPECT_EQ(actual->welfare_microcredits, c.welfare_microcredits);
  EXPECT_EQ(actual->welfare_bound_microcredits, c.welfare_microcredits);
  EXPECT_TRUE(actual->charges_are_exact);
  EXPECT_EQ(BrokenPromise(c.auction, *actual), "");
  // What is written down must also be right, not only unchanged.
  EXPECT_EQ(DifferenceFromExhaustive(c.auction, *actual), "");
}

TEST(JointCases, EveryFileAnswersAsWrittenDown) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(NOM_JOINT_CASES_DIR)) {
    ASSERT_EQ(entry.path().extension(), ".yaml") << entry.path();
    ++files;
    SCOPED_TRACE(entry.path());
    const std::string text = ReadFile(entry.path());
    EXPECT_TRUE(IsJointText(text));
    const auto c = ParseJointCase(text);
    ASSERT_TRUE(c.ok()) << c.status();
    EXPECT_EQ(entry.path().filename().string().substr(0, 4) == "bad_", !c->error.empty());
    RunCase(*c);
  }
  EXPECT_GE(files, 26);
}

constexpr char kSampleText[] =
    "resource_count: 2\n"
    "capacity_units: [16, 4]\n"
    "reserve_unit_prices_microcredits: [2, 10]\n"
    "reclaim_penalties_microcredits: [0, 3]\n"
    "seed: 18446744073709551615\n"
    "bids:\n"
    "  - guest_id: 7\n"
    "    owner_id: 0\n"
    "    held_units: [1, 0]\n"
    "    bundles:\n"
    "      - {units: [4, 1], value_microcredits: 90}\n"
    "  - guest_id: 9\n"
    "    owner_id: 3\n"
    "    held_units: [0, 0]\n"
    "    bundles: []\n"
    "  - guest_id: 8\n"
    "    owner_id: 0\n"
    "    held_units: [0, 0]\n"
    "    curves:\n"
    "      combination: product\n"
    "      whole_value_microcredits: 500\n"
    "      of_resources:\n"
    "        -\n"
    "          - {min_units: 1, max_units: 8, value_at_min_microcredits: 131072, "
    "unit_price_microcredits: 131072}\n"
    "        - []\n";

JointAuction Sample() {
  JointAuction auction;
  auction.resource_count = 2;
  auction.capacity_units = {16, 4};
  auction.reserve_unit_prices_microcredits = {2, 10};
  auction.reclaim_penalties_microcredits = {0, 3};
  auction.seed = std::numeric_limits<uint64_t>::max();
  CurveFamily family;
  family.combination = Combination::kProduct;
  family.whole_value_microcredits = 500;
  family.curves[0] = {{1, 8, 131072, 131072}};
  auction.bids = {{7, {{{4, 1}, 90}}, {}, {1, 0}}, {9, {}, {}, {}, 3}, {8, {}, family, {}}};
  return auction;
}

TEST(JointText, OfAnAuctionIsStable) {
  EXPECT_EQ(ToText(Sample()), kSampleText);
  const auto parsed = ParseJointAuction(kSampleText);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, Sample());
}

TEST(JointText, SurvivesTheRoundTrip) {
  JointShape shape;
  shape.bids_max = 8;
  shape.grid_max = 200;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(500); seed < end; ++seed) {
    const JointAuction auction = RandomJointAuction(shape, seed);
    const auto parsed = ParseJointAuction(ToText(auction));
    ASSERT_TRUE(parsed.ok()) << parsed.status() << Replay(seed, auction);
    ASSERT_EQ(*parsed, auction) << Replay(seed, auction);
    ASSERT_TRUE(IsJointText(ToText(auction)));
  }
  JointAuction extreme;
  extreme.resource_count = 4;
  extreme.capacity_units.fill(std::numeric_limits<int64_t>::min());
  extreme.reclaim_penalties_microcredits.fill(std::numeric_limits<int64_t>::max());
  extreme.bids = {{std::numeric_limits<GuestId>::max(), {}, {}, {}}};
  extreme.bids[0].bundles = {{{-1, 0, 0, std::numeric_limits<int64_t>::max()}, -7}};
  const auto parsed = ParseJointAuction(ToText(extreme));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, extreme);
}

// An auction that the rule must refuse can be written down, too.
TEST(JointText, WrongAuctionsSurviveTheRoundTrip) {
  JointAuction both = Sample();
  both.bids[2].bundles = {{{1, 2}, 3}};
  JointAuction beyond = Sample();
  beyond.capacity_units[3] = 7;
  beyond.bids[0].bundles[0].units[2] = 5;
  beyond.bids[2].curves->curves[3] = {{1, 2, 3, 4}};
  JointAuction none = Sample();
  none.resource_count = -1;
  JointAuction many = Sample();
  many.resource_count = 9;
  JointAuction empty;
  empty.resource_count = 0;
  empty.bids = {{1, {}, CurveFamily{}, {}}};
  for (const JointAuction& auction : {both, beyond, none, many, empty}) {
    const auto parsed = ParseJointAuction(ToText(auction));
    ASSERT_TRUE(parsed.ok()) << parsed.status() << ToText(auction);
    EXPECT_EQ(*parsed, auction) << ToText(auction);
  }
}

TEST(JointText, IsAsStrictAsThatOfOneResource) {
  const std::string good = "resource_count: 1\ncapacity_units: [1]\nseed: 1\nbids: []\n";
  ASSERT_TRUE(ParseJointAuction(good).ok());
  for (const std::string& bad :
       {good + "---\n" + good,
        std::string("resource_count: '1'\ncapacity_units: [1]\nseed: 1\nbids: []\n"),
        std::string("resource_count: 01\ncapacity_units: [1]\nseed: 1\nbids: []\n"),
        std::string("resource_count: 1\ncapacity_units: [&a 1]\nseed: 1\nbids: []\n")}) {
    EXPECT_FALSE(ParseJointAuction(bad).ok()) << bad;
  }
}

TEST(JointText, WhatIsLeftOutIsZero) {
  const auto parsed = ParseJointAuction(
      "resource_count: 2\ncapacity_units: [3, 1]\nseed: 1\nbids: [{guest_id: 2}]\n");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  JointAuction expected;
  expected.resource_count = 2;
  expected.capacity_units = {3, 1};
  expected.seed = 1;
  expected.bids = {{2, {}, {}, {}}};
  EXPECT_EQ(*parsed, expected);
}

struct Bad {
  const char* text;
  const char* message;
};

TEST(JointText, ErrorsNameTheLineAndTheKey) {
  const Bad bads[] = {
      {"", "line 1: must be a mapping"},
      {"resource_count: 1\ncapacity_units: [1]\nseed: 1\n", "line 1: bids: is missing"},
      {"resource_count: 1\nseed: 1\nbids: []\n", "line 1: capacity_units: is missing"},
      {"capacity_units: [1]\nseed: 1\nbids: []\n", "line 1: resource_count: is missing"},
      {"resource_count: 1\ncapacity_units: [1]\nseed: 1\nbids: []\nreserve: [1]\n",
       "line 5: reserve: no such key"},
      {"resource_count: 1\nresource_count: 1\n", "line 2: resource_count: is here twice"},
      {"resource_count: two\n", "line 1: resource_count: 'two' is not a whole number"},
      {"resource_count: 1\ncapacity_units: 4\n", "line 2: capacity_units: must be a list"},
      {"resource_count: 1\ncapacity_units: [1, 1, 1, 1, 1, 1, 1]\n",
       "line 2: capacity_units: has more than 6 entries"},
      {"resource_count: 1\ncapacity_units: [1.5]\n",
       "line 2: capacity_units[0]: '1.5' is not a whole number"},
      {"resource_count: 1\ncapacity_units: [0x4]\n", "'0x4' is not a whole number"},
      {"resource_count: 1\ncapacity_units: [1]\nseed: 1\nbids:\n  - guest_id: 1\n    bundles:\n"
       "      - {units: [1]}\n",
       "line 7: bids[0].bundles[0].value_microcredits: is missing"},
      {"bids:\n  - guest_id: 1\n    bundles:\n      - {units: 1, value_microcredits: 2}\n",
       "line 4: bids[0].bundles[0].units: must be a list"},
      {"bids:\n  - guest_id: 1\n    ranges: []\n", "line 3: bids[0].ranges: no such key"},
      {"bids:\n  - guest_id: 1\n    curves:\n      combination: mean\n",
       "line 4: bids[0].curves.combination: must be one of sum, min, max, product"},
      {"bids:\n  - guest_id: 1\n    curves:\n      combination: sum\n",
       "line 4: bids[0].curves.of_resources: is missing"},
      {"bids:\n  - guest_id: 1\n    curves: {combination: sum, of_resources: [[], [], [], [], "
       "[], [], []]}\n",
       "line 3: bids[0].curves.of_resources: has more than 6 entries"},
      {"bids:\n  - guest_id: 1\n    curves:\n      combination: sum\n      of_resources:\n"
       "        - - {min_units: 1, max_units: 2, value_at_min_microcredits: 3}\n",
       "line 6: bids[0].curves.of_resources[0][0].unit_price_microcredits: is missing"},
      {"resource_count: {4\n", "line "},
  };
  for (const Bad& bad : bads) {
    const auto parsed = ParseJointAuction(bad.text);
    ASSERT_FALSE(parsed.ok()) << bad.text;
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(bad.message)) << bad.text;
  }
}

TEST(JointText, ACaseSaysWhatItShowsAndWhatToExpect) {
  const std::string auction =
      "joint_auction: {resource_count: 1, capacity_units: [0], seed: 0, bids: []}\n";
  auto message = [](const std::string& text) {
    return std::string(ParseJointCase(text).status().message());
  };
  EXPECT_THAT(message(auction + "expect: {error: x}\n"), HasSubstr("shows: is missing"));
  EXPECT_THAT(message("shows: x\n" + auction), HasSubstr("expect: is missing"));
  EXPECT_THAT(message("shows: x\nexpect: {error: x}\n"), HasSubstr("joint_auction: is missing"));
  EXPECT_THAT(message("shows: x\n" + auction + "expect: []\n"),
              HasSubstr("line 3: expect: must be a mapping"));
  EXPECT_THAT(message("shows: x\n" + auction + "expect: {awards: []}\n"),
              HasSubstr("line 3: expect.clearing_unit_prices_microcredits: is missing"));
  EXPECT_THAT(message("shows: x\n" + auction + "expect: {error: x, awards: []}\n"),
              HasSubstr("line 3: expect.awards: no such key"));
}

TEST(JointText, IsToldFromTheOtherKinds) {
  EXPECT_TRUE(IsJointText("resource_count: 1\n"));
  EXPECT_TRUE(IsJointText("joint_auction: {}\n"));
  for (const char* text : {"", "capacity_units: 4\n", "auction: {}\n", "[resource_count]\n",
                           "resource_count\n", "resource_count: {4\n", "\x01\xff"}) {
    EXPECT_FALSE(IsJointText(text)) << text;
  }
}

}  // namespace
}  // namespace nom::policies
