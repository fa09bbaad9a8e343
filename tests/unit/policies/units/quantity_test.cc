// SPDX-License-Identifier: Apache-2.0
#include "policies/units/quantity.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace nom::policies {
namespace {

using ::testing::HasSubstr;

TEST(QuantityTest, WhatPeopleWrite) {
  struct Case {
    const char* text;
    Measure measure;
    int64_t amount;
  };
  for (const Case& c : {Case{"256MiB", Measure::kBytes, int64_t{256} << 20},
                        {"1.5 GiB", Measure::kBytes, int64_t{3} << 29},
                        {" 4096 B ", Measure::kBytes, 4096},
                        {"2TB", Measure::kBytes, 2'000'000'000'000},
                        {"0.001kB", Measure::kBytes, 1},
                        {"0B", Measure::kBytes, 0},
                        {"200m", Measure::kMillicores, 200},
                        {"2 cores", Measure::kMillicores, 2000},
                        {"0.5 cores", Measure::kMillicores, 500},
                        {"1 core", Measure::kMillicores, 1000},
                        {"1.5Gbit/s", Measure::kMegabitsPerSecond, 1500},
                        {"500 IOPS", Measure::kRequestsPerSecond, 500},
                        {"4194304TiB", Measure::kBytes, int64_t{1} << 62}}) {
    const auto amount = ParseQuantity(c.text, c.measure);
    ASSERT_TRUE(amount.ok()) << c.text << ": " << amount.status();
    EXPECT_EQ(*amount, c.amount) << c.text;
  }
}

TEST(QuantityTest, WhatIsWrongIsSaidInOneSentence) {
  struct Case {
    const char* text;
    Measure measure;
    const char* error;
  };
  for (const Case& c :
       {Case{"", Measure::kBytes, "must begin with a number"},
        {"MiB", Measure::kBytes, "must begin with a number"},
        {"-1MiB", Measure::kBytes, "must begin with a number"},
        {"12", Measure::kBytes, "\"12\": has no unit; give one of TiB, GiB, MiB"},
        {"12 bushels", Measure::kBytes, "unknown unit \"bushels\"; known are TiB"},
        {"12mib", Measure::kBytes, "unknown unit \"mib\""},
        {"2 cores", Measure::kBytes, "unknown unit \"cores\""},
        {"1.B", Measure::kBytes, "nothing follows the decimal point"},
        {"1.2.3B", Measure::kBytes, "unknown unit \".3B\""},
        {"0.5B", Measure::kBytes, "is not a whole number of bytes"},
        {"0.0001 cores", Measure::kMillicores, "is not a whole number of millicores"},
        {"4194305TiB", Measure::kBytes, "is more than 2^62"},
        {"99999999999999999999TiB", Measure::kBytes, "is more than 2^62"},
        {"999999999999999999999B", Measure::kBytes, "has more than 20 digits"}}) {
    const auto amount = ParseQuantity(c.text, c.measure);
    ASSERT_FALSE(amount.ok()) << c.text;
    EXPECT_THAT(std::string(amount.status().message()), HasSubstr(c.error));
  }
}

TEST(QuantityTest, WhatIsWrittenIsReadBack) {
  EXPECT_EQ(FormatQuantity(int64_t{3} << 29, Measure::kBytes), "1536MiB");
  EXPECT_EQ(FormatQuantity(0, Measure::kBytes), "0B");
  EXPECT_EQ(FormatQuantity(2000, Measure::kMillicores), "2 cores");
  EXPECT_EQ(FormatQuantity(200, Measure::kMillicores), "200m");
  EXPECT_EQ(FormatQuantity(7, Measure::kRequestsPerSecond), "7 IOPS");
  for (const Measure measure : {Measure::kBytes, Measure::kMillicores, Measure::kMegabitsPerSecond,
                                Measure::kRequestsPerSecond}) {
    for (int64_t amount = 0; amount < (int64_t{1} << 61); amount = amount * 3 + 1) {
      EXPECT_EQ(ParseQuantity(FormatQuantity(amount, measure), measure).value(), amount);
    }
  }
}

}  // namespace
}  // namespace nom::policies
