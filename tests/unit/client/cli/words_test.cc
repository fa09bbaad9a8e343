// SPDX-License-Identifier: Apache-2.0
// What nomctl reads and writes, piece by piece: numbers, keys, tables on narrow terminals,
// messages.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/errors.h"
#include "client/cli/json.h"
#include "client/cli/keys.h"
#include "client/cli/numbers.h"
#include "client/cli/price_plot.h"
#include "client/cli/screen.h"
#include "client/cli/suggest.h"
#include "client/cli/table.h"
#include "nom/market/v1/market.pb.h"

namespace nom::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

TEST(NumbersTest, DecimalOnlyAndNeverAnotherNumberThanTyped) {
  EXPECT_EQ(*ParseWhole("0100000", 0, kMax), 100'000);
  EXPECT_EQ(*ParseWhole("9223372036854775807", 0, kMax), kMax);
  EXPECT_EQ(*ParseWhole("-9223372036854775808", kMin, kMax), kMin);
  for (const char* text : {"", "-", "+1", "0x10", "1e3", "1.0", " 1", "1 ", "1'000", "1_000", "--1",
                           "\xd9\xa1", "1cr"}) {
    EXPECT_EQ(ParseWhole(text, kMin, kMax).status().code(), absl::StatusCode::kInvalidArgument)
        << text;
  }
  for (const char* text : {"9223372036854775808", "-9223372036854775809", "99999999999999999999",
                           "340282366920938463463374607431768211456",
                           "1000000000000000000000000000000000000000000000000"}) {
    EXPECT_EQ(ParseWhole(text, kMin, kMax).status().code(), absl::StatusCode::kOutOfRange) << text;
  }
  EXPECT_THAT(ParseWhole("-1", 0, 9).status().message(), HasSubstr("0 to 9"));
}

TEST(NumbersTest, MoneyInMicrocreditsOrCredits) {
  EXPECT_EQ(*ParseMoney("1500000", 0, kMax), 1'500'000);
  EXPECT_EQ(*ParseMoney("1.5cr", 0, kMax), 1'500'000);
  EXPECT_EQ(*ParseMoney("2cr", 0, kMax), 2'000'000);
  EXPECT_EQ(*ParseMoney("-0.000001cr", kMin, kMax), -1);
  EXPECT_EQ(*ParseMoney("9223372036854.775807cr", 0, kMax), kMax);
  EXPECT_EQ(*ParseMoney("-9223372036854.775808cr", kMin, kMax), kMin);
  for (const char* text : {"cr", ".5cr", "1.cr", "1.5", "1.5 cr", "1.0000001cr", "1e3cr", "1.-5cr",
                           "0x1cr", "1.5CR"}) {
    EXPECT_EQ(ParseMoney(text, kMin, kMax).status().code(), absl::StatusCode::kInvalidArgument)
        << text;
  }
  for (const char* text : {"9223372036854.775808cr", "99999999999999999999cr"}) {
    EXPECT_EQ(ParseMoney(text, kMin, kMax).status().code(), absl::StatusCode::kOutOfRange) << text;
  }
  for (const int64_t value :
       {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{1'500'000}, kMax, kMin}) {
    EXPECT_EQ(*ParseMoney(FormatCredits(value), kMin, kMax), value) << FormatCredits(value);
  }
  EXPECT_EQ(FormatCredits(1'500'000), "1.5cr");
}

TEST(NumbersTest, Seconds) {
  EXPECT_EQ(*ParseSeconds("0.5", 0, 9), 0.5);
  for (const char* text : {"inf", "nan", "0x1", "1e1", ".5", "5.", "-1", "10"}) {
    EXPECT_FALSE(ParseSeconds(text, 0, 9).ok()) << text;
  }
}

TEST(SuggestTest, TheNearestWordOrNone) {
  EXPECT_EQ(EditDistance("stauts", "status"), 1) << "neighbours swapped";
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(Closest("depoist", {"deposit", "status"}), "deposit");
  EXPECT_EQ(Closest("frobnicate", {"deposit", "status"}), "");
  EXPECT_EQ(Closest("x", {"bid", "top"}), "") << "a guess is no help";
}

TEST(KeysTest, WholeKeysAreTakenAndBeginningsKept) {
  std::string bytes = "\033[A\033OB\033[5~\033[D\033[Cxq\033[";
  EXPECT_THAT(TakeKeys(bytes),
              ElementsAre(Key::kUp, Key::kDown, Key::kPageUp, Key::kLeft, Key::kRight, Key::kQuit));
  EXPECT_EQ(bytes, "\033[");
  bytes += "H";
  EXPECT_THAT(TakeKeys(bytes), ElementsAre(Key::kHome));
  bytes = "\033[999999999999999999;\033[A";
  TakeKeys(bytes);
  EXPECT_EQ(bytes, "") << "what never ends is dropped";
  bytes = "\033q";
  EXPECT_THAT(TakeKeys(bytes), ElementsAre(Key::kQuit));
}

TEST(TableTest, IsFittedToTheTerminal) {
  Table table({">id", "guest", "?tenant", ">charge", "~bid", "?~activity"});
  table.AddRow({"3", "cache", "shop", "1200", "16@900 17-64@400 65-128@100", "serving 81% hits"});
  const std::string whole = table.Format();
  EXPECT_THAT(whole, HasSubstr("16@900 17-64@400 65-128@100  serving 81% hits\n"));
  EXPECT_EQ(table.Format({.width = 130}), whole);
  for (int width = 1; width <= 130; ++width) {
    std::istringstream lines(table.Format({.width = width}));
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(line.size(), static_cast<size_t>(width)) << line;
    }
  }
  EXPECT_EQ(table.Format({.width = 60}),
            "id  guest  tenant  charge  bid                      activity\n"
            " 3  cache  shop      1200  16@900 17-64@400 65-1..  servin..\n");
  EXPECT_EQ(table.Format({.width = 40}),
            "id  guest  tenant  charge  bid\n"
            " 3  cache  shop      1200  16@900 17-6..\n"
            "not shown: activity\n");
}

TEST(TableTest, ColoursOnlyWhereTheyAreWanted) {
  Table table({"name"});
  table.AddRow({"a"});
  EXPECT_EQ(table.Format({.colour = true}), "\033[1mname\033[0m\na\n");
  EXPECT_EQ(table.Format(), "name\na\n");
}

TEST(ScreenTest, APictureNeverScrolls) {
  int top = 99;
  const std::string picture =
      Picture("a\nb\nc\nd\n", top, {.columns = 10, .rows = 3}, "a footer that is long");
  EXPECT_EQ(top, 2);
  EXPECT_EQ(picture, "\033[Hc\033[K\r\nd\033[K\r\na footer \033[K\033[J");
  top = -1;
  EXPECT_THAT(Picture("a\n", top, {.columns = 80, .rows = 3}, "q"), HasSubstr("a\033[K\r\n\033[K"));
  EXPECT_EQ(top, 0);
}

std::vector<std::string> LinesOf(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

TEST(PricePlotTest, EachPriceHasItsPlaceAndTheReserveShowsBelow) {
  EXPECT_EQ(PlotPrices({}, {}), "");
  // Ten prices on ten lines; the reserve is the lowest of them.
  std::vector<PlotPoint> rising;
  for (int64_t price = 10; price < 20; ++price) rising.push_back({price, 10});
  EXPECT_EQ(PlotPrices(rising, {}),
            "19 |         *\n"
            "   |        *\n"
            "   |       *\n"
            "16 |      *\n"
            "   |     *\n"
            "   |    *\n"
            "13 |   *\n"
            "   |  *\n"
            "   | *\n"
            "10 |*---------\n");
  // All the same: one line, and one label.
  const std::vector<std::string> flat = LinesOf(PlotPrices({{7, 7}, {7, 7}}, {}));
  ASSERT_EQ(flat.size(), 10u);
  EXPECT_EQ(flat.back(), "7 |**");
  EXPECT_EQ(flat.front(), "  |");
  // The ends of what a number can be.
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const std::vector<std::string> ends = LinesOf(PlotPrices({{kMost, 0}, {0, 0}}, {}));
  EXPECT_EQ(ends.front(), "9223372036854775807 |*");
  EXPECT_EQ(ends.back(), "                  0 |-*");
}

TEST(PricePlotTest, IsFittedToTheTerminalAndLosesNoPeak) {
  std::vector<PlotPoint> points(10'000, {100, 50});
  points[7'003].unit_price_microcredits = 900;
  for (const int width : {0, 20, 40, 80, 200}) {
    const std::vector<std::string> lines = LinesOf(PlotPrices(points, {.width = width}));
    ASSERT_EQ(lines.size(), 10u);
    EXPECT_THAT(lines.front(), ::testing::StartsWith("900 |")) << width;
    EXPECT_THAT(lines.front(), HasSubstr("*")) << width;
    for (const std::string& line : lines) {
      EXPECT_LE(line.size(), static_cast<size_t>(width == 0 ? 80 : width)) << line;
    }
    // The peak is seven tenths along.
    const double place =
        static_cast<double>(lines.front().find('*') - 5) / ((width == 0 ? 80 : width) - 5);
    EXPECT_NEAR(place, 0.7, 0.08) << width;
  }
  for (const int width : {1, 2, 5, 6}) {
    for (const std::string& line : LinesOf(PlotPrices(points, {.width = width}))) {
      EXPECT_LE(line.size(), static_cast<size_t>(width)) << line;
    }
  }
  EXPECT_THAT(PlotPrices(points, {.width = 80, .colour = true}), HasSubstr("\x1b["));
  EXPECT_EQ(PlotPrices(points, {.width = 80}).find('\x1b'), std::string::npos);
}

TEST(ErrorsTest, WhatWhereAndWhatToDo) {
  EXPECT_EQ(
      Explain({.status = absl::UnavailableError("DNS resolution failed for x: C-ares status "
                                                "is not ARES_SUCCESS"),
               .target = "x:1"}),
      "x:1: no machine of this name is known (unavailable)\n"
      "  What to do: see that the market's name is right: --target, NOM_TARGET, or \"target = "
      "...\" in the config file.\n");
  // What gRPC 1.51 says of others that listen there: a web server, one with TLS, TLS that was not
  // expected, nobody.
  for (const auto& [message, words] : std::vector<std::pair<std::string, std::string>>{
           {"UNAVAILABLE: ipv4:127.0.0.1:1: Failed parsing HTTP/2", "something else than a market"},
           {"UNKNOWN: ipv4:127.0.0.1:1: Cannot check peer: missing selected ALPN property.",
            "something else than a market"},
           {"UNAVAILABLE: ipv4:127.0.0.1:1: Socket closed", "with --tls-roots FILE"},
           {"UNKNOWN: ipv4:127.0.0.1:1: Failed to connect to remote host: Connection refused",
            "nobody answers there"}}) {
    EXPECT_THAT(Explain({.status = absl::UnavailableError(absl::StrCat(
                             "failed to connect to all addresses; last error: ", message)),
                         .target = "x:1"}),
                HasSubstr(words));
  }
  EXPECT_EQ(Explain({.status = absl::FailedPreconditionError("no money"), .target = "x:1"}),
            "x:1: no money (failed precondition)\n");
  const std::string open =
      Explain({.status = WithRequestId(absl::DeadlineExceededError("Deadline Exceeded"), "abc"),
               .target = "x:1",
               .arguments = {"admit", "--arguments", "a=1 b='2'"}});
  EXPECT_THAT(open, HasSubstr("x:1: no answer in time (deadline exceeded)\n"));
  EXPECT_THAT(open, HasSubstr("nomctl admit --arguments 'a=1 b='\\''2'\\''' --request-id abc\n"));
  EXPECT_EQ(Explain({.status = WithRequestId(absl::NotFoundError("no"), "abc"), .target = "x:1"}),
            "x:1: no (not found)\n")
      << "an answer leaves nothing open";
  EXPECT_EQ(ShellQuoted(""), "''");
}

TEST(JsonTest, OneStyle) {
  market::v1::Round round;
  round.set_round_id(7);
  round.set_phase(market::v1::ROUND_PHASE_SETTLED);
  round.mutable_start_time()->set_seconds(1);
  round.mutable_start_time()->set_nanos(500'000'000);
  round.add_prices()->set_kind(static_cast<market::v1::ResourceKind>(77));
  round.set_reason("a \"quote\"\n");
  EXPECT_EQ(ToJson(round, /*one_line=*/true),
            "{\"round_id\": 7, \"host_id\": \"\", \"phase\": \"settled\", \"start_time\": "
            "\"1970-01-01T00:00:01.5Z\", \"prices\": [{\"kind\": \"77\", "
            "\"unit_price_microcredits\": 0, \"reserve_unit_price_microcredits\": 0, "
            "\"supply_units\": 0, \"demand_units\": 0, \"sold_units\": 0, \"bound_by\": "
            "\"unspecified\", \"policy\": \"\", \"method\": \"unspecified\", \"reserve_policy\": "
            "\"\", \"contracted_units\": 0}], \"outcomes\": [], \"reason\": \"a "
            "\\\"quote\\\"\\u000a\", \"objective\": \"\"}");
  EXPECT_EQ(ToJson(market::v1::WithdrawBidResponse(), /*one_line=*/false),
            "{\n \"removed\": false\n}");
}

}  // namespace
}  // namespace nom::cli
