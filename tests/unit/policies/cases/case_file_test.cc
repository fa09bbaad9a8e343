// SPDX-License-Identifier: Apache-2.0
#include "policies/cases/case_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "absl/strings/str_cat.h"

namespace nom::policies {
namespace {

using ::testing::HasSubstr;

Auction Sample() {
  Auction auction;
  auction.capacity_units = 10;
  auction.reserve_unit_price_microcredits = 2;
  auction.reclaim_penalty_microcredits = 3;
  auction.seed = std::numeric_limits<uint64_t>::max();
  auction.bids = {
      {7, {{0, 4, 0, 5}, {4, 8, 20, -1}}, 3}, {9, {}, 0}, {1, {{6, 6, 1'000'000, 0}}, 0}};
  return auction;
}

constexpr char kSampleText[] =
    "capacity_units: 10\n"
    "reserve_unit_price_microcredits: 2\n"
    "reclaim_penalty_microcredits: 3\n"
    "seed: 18446744073709551615\n"
    "bids:\n"
    "  - guest_id: 7\n"
    "    held_units: 3\n"
    "    ranges:\n"
    "      - {min_units: 0, max_units: 4, value_at_min_microcredits: 0, unit_price_microcredits: "
    "5}\n"
    "      - {min_units: 4, max_units: 8, value_at_min_microcredits: 20, unit_price_microcredits: "
    "-1}\n"
    "  - guest_id: 9\n"
    "    held_units: 0\n"
    "    ranges: []\n"
    "  - guest_id: 1\n"
    "    held_units: 0\n"
    "    ranges:\n"
    "      - {min_units: 6, max_units: 6, value_at_min_microcredits: 1000000, "
    "unit_price_microcredits: 0}\n";

TEST(CaseFile, TextOfAnAuctionIsStable) { EXPECT_EQ(ToText(Sample()), kSampleText); }

TEST(CaseFile, AuctionSurvivesTheRoundTrip) {
  const auto parsed = ParseAuction(ToText(Sample()));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, Sample());
  const auto empty = ParseAuction(ToText(Auction{}));
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_EQ(*empty, Auction{});
}

TEST(CaseFile, ExtremeNumbersSurviveTheRoundTrip) {
  Auction auction;
  auction.capacity_units = std::numeric_limits<int64_t>::min();
  auction.seed = 0;
  auction.bids = {{std::numeric_limits<uint64_t>::max(),
                   {{std::numeric_limits<int64_t>::max(), 0, std::numeric_limits<int64_t>::min(),
                     std::numeric_limits<int64_t>::max()}},
                   -1}};
  const auto parsed = ParseAuction(ToText(auction));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, auction);
}

TEST(CaseFile, ClearingAndCaseSurviveTheRoundTrip) {
  Clearing clearing;
  clearing.awards = {{3, 4, 50}, {5, 1, 0}};
  clearing.clearing_unit_price_microcredits = 12;
  clearing.highest_rejected_unit_price_microcredits = 11;
  clearing.bound_by = BoundBy::kBids;
  clearing.welfare_microcredits = -5;
  clearing.welfare_bound_microcredits = 9;
  clearing.method = Method::kRepeatLast;
  const auto parsed = ParseClearing(ToText(clearing));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, clearing);

  const Case c{"it's what it shows: 'quotes', # and all",
               Sample(),
               {{"mpsp/1", "", clearing}, {"uniform_price/1", "can't: 'take' it", {}}}};
  const auto parsed_case = ParseCase(ToText(c));
  ASSERT_TRUE(parsed_case.ok()) << parsed_case.status();
  EXPECT_EQ(*parsed_case, c);
}

TEST(CaseFile, ReserveAndPenaltyAndHoldingsAreZeroIfLeftOut) {
  const auto parsed =
      ParseAuction("capacity_units: 4\nseed: 1\nbids: [{guest_id: 2, ranges: []}]\n");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  Auction expected;
  expected.capacity_units = 4;
  expected.seed = 1;
  expected.bids = {{2, {}, 0}};
  EXPECT_EQ(*parsed, expected);
}

struct Bad {
  const char* text;
  const char* message;
};

TEST(CaseFile, ErrorsNameTheLineAndTheKey) {
  const Bad bads[] = {
      {"", "line 1: must be a mapping"},
      {"capacity_units: 4\nseed: 1\n", "line 1: bids: is missing"},
      {"capacity_units: 4\nseed: 1\ncapacity: 3\nbids: []\n", "line 3: capacity: no such key"},
      {"capacity_units: 4\nseed: 1\nseed: 1\nbids: []\n", "line 3: seed: is here twice"},
      {"capacity_units: 4.5\nseed: 1\nbids: []\n",
       "line 1: capacity_units: '4.5' is not a whole number"},
      {"capacity_units: 4\nseed: -1\nbids: []\n", "line 2: seed: '-1' is not a whole number"},
      {"capacity_units: 0x4\nseed: 1\nbids: []\n", "'0x4' is not a whole number"},
      {"capacity_units: 9223372036854775808\nseed: 1\nbids: []\n",
       "line 1: capacity_units: 9223372036854775808 does not fit in 64 bits"},
      {"capacity_units: [1]\nseed: 1\nbids: []\n", "capacity_units: must be a whole number"},
      {"capacity_units: 4\nseed: 1\nbids: 7\n", "line 3: bids: must be a list"},
      {"capacity_units: 4\nseed: 1\nbids:\n  - guest_id: 1\n    ranges:\n      - {min_units: 1, "
       "max_units: 2, value_at_min_microcredits: 3}\n",
       "line 6: bids[0].ranges[0].unit_price_microcredits: is missing"},
      {"capacity_units: 4\nseed: 1\nbids:\n  - guest_id: 1\n    ranges: []\n    budget: 3\n",
       "line 6: bids[0].budget: no such key"},
      {"? [capacity_units]\n: 4\n", "line 1: a key must be a word"},
      {"capacity_units: {4\n", "line "},
  };
  for (const Bad& bad : bads) {
    const auto parsed = ParseAuction(bad.text);
    ASSERT_FALSE(parsed.ok()) << bad.text;
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(bad.message)) << bad.text;
  }
}

TEST(CaseFile, ACaseSaysWhatItShowsAndWhatToExpect) {
  const std::string auction = "auction: {capacity_units: 0, seed: 0, bids: []}\n";
  EXPECT_THAT(std::string(ParseCase(auction + "expect: []\n").status().message()),
              HasSubstr("shows: is missing"));
  EXPECT_THAT(std::string(ParseCase("shows: ''\n" + auction + "expect: []\n").status().message()),
              HasSubstr("line 1: shows: must be some text"));
  EXPECT_THAT(
      std::string(
          ParseCase("shows: x\n" + auction + "expect: [{rule: mpsp/1}]\n").status().message()),
      HasSubstr("line 3: expect[0].awards: is missing"));
  EXPECT_THAT(std::string(ParseCase("shows: x\n" + auction +
                                    "expect: [{rule: mpsp/1, error: y, awards: []}]\n")
                              .status()
                              .message()),
              HasSubstr("expect[0].awards: does not go with error"));
  EXPECT_THAT(std::string(ParseClearing("{rule: mpsp/1}").status().message()),
              HasSubstr("rule: no such key"));
}

std::string Utf16(const std::string& text, bool with_mark) {
  std::string wide = with_mark ? "\xff\xfe" : "";
  for (char c : text) wide += std::string{c, '\0'};
  return wide;
}

TEST(CaseFile, OnlyOneDocumentOfPlainTextIsTaken) {
  const std::string good = "capacity_units: 4\nseed: 1\nbids: []\n";
  auto message = [](const std::string& text) {
    return std::string(ParseAuction(text).status().message());
  };
  EXPECT_THAT(message(good + "---\ncapacity_units: 5\n"),
              HasSubstr("line 4: a second document is not taken"));
  EXPECT_THAT(message(good + "...\n" + good), HasSubstr("a second document is not taken"));
  EXPECT_TRUE(ParseAuction("# The only one.\n---\n" + good + "...\n").ok());
  EXPECT_TRUE(ParseAuction("---\n" + good).ok());
  for (const char* between : {"\r---\r", "\r...\r", "\r\n---\r\n", "\n--- # the other\n"}) {
    EXPECT_FALSE(ParseAuction("capacity_units: 4\nseed: 1\nbids: []" + (between + good)).ok());
  }
  EXPECT_FALSE(ParseAuction("...\n" + good).ok());
  EXPECT_TRUE(ParseAuction("{\"capacity_units\": 4, \"seed\": 1, \"bids\": []}").ok()) << "JSON";
  for (const bool with_mark : {false, true}) {
    EXPECT_EQ(message(Utf16(good, with_mark)), "line 1: is not UTF-8 text");
  }
  for (const char* bad : {"\xff", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                          "\xe2\x82", "\xf0\x80\x80\x80", "\xf5\x80\x80\x80"}) {
    EXPECT_EQ(message(good + "# " + bad + "\n"), "line 4: is not UTF-8 text");
    EXPECT_EQ(message(good + "# " + bad), "line 4: is not UTF-8 text") << "at the very end";
  }
  EXPECT_TRUE(ParseAuction(good + "# \u00e9 \u20ac \U0001f600\n").ok());
}

TEST(CaseFile, NumbersAreWrittenAsUsual) {
  for (const char* number :
       {"010", "00", "-0", "-010", "+4", "0x4", "4.0", "4e0", "1_000", "\"4\"", "'4'", "|\n  4"}) {
    const auto parsed =
        ParseAuction(absl::StrCat("capacity_units: ", number, "\nseed: 1\nbids: []\n"));
    ASSERT_FALSE(parsed.ok()) << number;
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr("line 1: capacity_units: "))
        << number;
  }
}

// With them a text of 64 KB stood for one of 100 MB.
TEST(CaseFile, WhatMakesAShortTextLongIsRefusedBeforeAnythingIsMadeOfIt) {
  std::string text = "capacity_units: 4\nseed: 1\nbids:\n  - &bid {guest_id: 1, ranges: [";
  for (int i = 0; i < 300; ++i) {
    text +=
        "{min_units: 1, max_units: 2, value_at_min_microcredits: 3, unit_price_microcredits: 4},";
  }
  text += "]}\n";
  for (int i = 0; i < 5'000; ++i) text += "  - *bid\n";
  EXPECT_THAT(std::string(ParseAuction(text).status().message()),
              HasSubstr("line 4: an anchor is not taken"));
  EXPECT_THAT(std::string(ParseAuction("capacity_units: *a\n").status().message()),
              HasSubstr("line 1: "));
  for (const char* anchored : {"&a 4", "&a", "&a [4]", "&a {b: 4}"}) {
    EXPECT_THAT(
        std::string(
            ParseAuction(absl::StrCat("capacity_units: ", anchored, "\n")).status().message()),
        HasSubstr("line 1: an anchor is not taken"))
        << anchored;
  }
  for (const char* tagged : {"!!int 4", "!!seq [4]", "!!map {b: 4}", "!own 4"}) {
    EXPECT_THAT(
        std::string(
            ParseAuction(absl::StrCat("capacity_units: ", tagged, "\n")).status().message()),
        HasSubstr("line 1: a tag is not taken"))
        << tagged;
  }
  for (const char* open : {"[", "{", "- ", "? "}) {
    std::string deep;
    for (int i = 0; i < 20'000; ++i) deep += open;
    EXPECT_THAT(std::string(ParseAuction(deep).status().message()),
                HasSubstr("line 1: is nested too deeply"));
    EXPECT_EQ(LineOf(deep, "bids"), 0);
  }
  EXPECT_TRUE(ParseCase("shows: R&D, 2 * 3 = 6!\nauction: {capacity_units: 0, seed: 0, bids: []}\n"
                        "expect: []\n")
                  .ok())
      << "not where they mean nothing";
}

TEST(CaseFile, ATextLargerThanAnyAuctionIsRefused) {
  EXPECT_THAT(std::string(ParseAuction(std::string((192 << 20) + 1, ' ')).status().message()),
              HasSubstr("a text of 201326593 bytes, more than 201326592"));
}

TEST(CaseFile, ASentenceWithLinesAndQuotesSurvivesTheRoundTrip) {
  for (const char* shows : {"two\nlines", "a \"tab\"\t\\ and 'more'", "\x7f\x01", "# no comment"}) {
    Case c;
    c.shows = shows;
    c.auction.seed = 1;
    const auto parsed = ParseCase(ToText(c));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->shows, shows);
  }
}

TEST(LineOf, FindsWhatAnErrorNames) {
  const std::string text =
      "shows: x\n"
      "auction:\n"
      "  seed: 1\n"
      "  bids:\n"
      "    - guest_id: 7\n"
      "      ranges:\n"
      "        - {min_units: 1, max_units: 2}\n"
      "        - min_units: 3\n"
      "          max_units: 4\n";
  EXPECT_EQ(LineOf(text, "auction"), 2);
  EXPECT_EQ(LineOf(text, "auction.bids"), 4);
  EXPECT_EQ(LineOf(text, "auction.bids[0].guest_id"), 5);
  EXPECT_EQ(LineOf(text, "auction.bids[0].ranges[0].max_units"), 7);
  EXPECT_EQ(LineOf(text, "auction.bids[0].ranges[1].max_units"), 9);
  EXPECT_EQ(LineOf(text, "auction.bids[0].held_units"), 5) << "left out: the bid that lacks it";
  EXPECT_EQ(LineOf(text, "auction.bids[9].held_units"), 4);
  EXPECT_EQ(LineOf(text, "bids[0]"), 0);
  EXPECT_EQ(LineOf("", "bids"), 0);
  EXPECT_EQ(LineOf("{", "bids"), 0);
  EXPECT_EQ(LineOf("- a", "[x]"), 0);
}

}  // namespace
}  // namespace nom::policies
