// SPDX-License-Identifier: Apache-2.0
// Text, arguments, clock, console, names.

#include <array>
#include <cstdint>
#include <limits>
#include <string>

#include "client/guest/arguments.h"
#include "client/guest/clock.h"
#include "client/guest/console.h"
#include "client/guest/text.h"
#include "gtest/gtest.h"
#include "tests/unit/client/guest/fake_nomhv.h"

namespace nom::guest {
namespace {

TEST(TextTest, JoinsPieces) {
  EXPECT_EQ(Text<64>("a", 1, " ", Hex{255}, std::string_view("z")).view(), "a1 0xffz");
  EXPECT_EQ(Text<64>(std::numeric_limits<int64_t>::min()).view(), "-9223372036854775808");
  EXPECT_EQ(Text<64>(std::numeric_limits<uint64_t>::max()).view(), "18446744073709551615");
  EXPECT_EQ(Text<64>(0, " ", -1).view(), "0 -1");
  EXPECT_EQ(Text<4>("abcdef").view(), "abcd");
}

TEST(ConsoleTest, WritesWholeLines) {
  FakeNomhv nomhv(1, 1);
  Console console(&nomhv);
  console.Line("hits ", 61, "%");
  EXPECT_EQ(nomhv.log, "hits 61%\n");
  nomhv.log.clear();
  console.Line(std::string(300, 'x'));
  EXPECT_EQ(nomhv.log, std::string(255, 'x') + "\n");
}

TEST(CallsTest, StatusNames) {
  EXPECT_EQ(StatusName(NOM_STATUS_OVER_GRANT), "OVER_GRANT");
  EXPECT_EQ(StatusName(static_cast<NomStatus>(31)), "UNKNOWN");
}

TEST(ClockTest, ConvertsWithoutOverflow) {
  FakeNomhv nomhv(1, 1);
  const Clock clock(&nomhv, 3'000'000'000);
  EXPECT_EQ(clock.ToUs(3'000'000'000), 1'000'000u);
  EXPECT_EQ(clock.ToUs(2999), 0u);
  EXPECT_EQ(clock.ToUs(uint64_t{3'000'000'000} * 1'000'000'000), 1'000'000'000'000'000u);
  EXPECT_EQ(clock.ToTicks(60'000'000), 180'000'000'000u);
  EXPECT_EQ(clock.ToTicks(1), 3000u);
}

TEST(ClockTest, SleepsUntilTheTickThatItWasTold) {
  FakeNomhv nomhv(1, 1);
  nomhv.tsc = 1000;
  const Clock clock(&nomhv, FakeNomhv::kTscHz);
  EXPECT_EQ(clock.SleepUs(5), NOM_WAKE_DEADLINE);
  EXPECT_EQ(nomhv.tsc, 6000u);
  (void)clock.SleepUntil(0);  // Zero means for ever to nomhv; here it means no sleep.
  EXPECT_EQ(nomhv.tsc, 6000u);
}

class ArgumentsTest : public testing::Test {
 protected:
  std::string Parse(std::string_view line) {
    const std::array<std::string_view, 2> words = {"auto", "none"};
    const std::array<Argument, 2> known = {
        Argument{.key = "hit_value", .value = &hit_value_, .min = 0, .max = 1000},
        Argument{.key = "bids", .value = &bids_, .words = words}};
    return std::string(ParseArguments(line, known).view());
  }
  int64_t hit_value_ = 7;
  int64_t bids_ = 0;
};

TEST_F(ArgumentsTest, Good) {
  EXPECT_EQ(Parse(""), "");
  EXPECT_EQ(hit_value_, 7);
  EXPECT_EQ(Parse("  hit_value=1000  bids=none "), "");
  EXPECT_EQ(hit_value_, 1000);
  EXPECT_EQ(bids_, 1);
}

TEST_F(ArgumentsTest, BadOnesSayWhat) {
  EXPECT_EQ(Parse("hit_vale=3"), "hit_vale: unknown; known are hit_value bids");
  EXPECT_EQ(Parse("hit_value"), "hit_value: must be key=value");
  EXPECT_EQ(Parse("hit_value="), "hit_value=: not a whole number");
  EXPECT_EQ(Parse("hit_value=1e3"), "hit_value=1e3: not a whole number");
  EXPECT_EQ(Parse("hit_value=1001"), "hit_value=1001: must lie in 0..1000");
  EXPECT_EQ(Parse("hit_value=-1"), "hit_value=-1: must lie in 0..1000");
  EXPECT_EQ(Parse("hit_value=99999999999999999999"),
            "hit_value=99999999999999999999: not a whole number");
  EXPECT_EQ(Parse("hit_value=1 hit_value=2"), "hit_value: said twice");
  EXPECT_EQ(Parse("bids=maybe"), "bids=maybe: must be one of auto none");
  EXPECT_EQ(Parse("=3"), ": unknown; known are hit_value bids");
}

}  // namespace
}  // namespace nom::guest
