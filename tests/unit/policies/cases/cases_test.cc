// SPDX-License-Identifier: Apache-2.0
// Every file in policies/cases, and the worked example in policies/README.md.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "policies/cases/case_file.h"
#include "policies/clearing/rules.h"
#include "tests/referee/exhaustive.h"

namespace nom::policies {
namespace {

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void RunCase(const Case& c) {
  ASSERT_FALSE(c.expect.empty());
  for (const Expectation& expectation : c.expect) {
    SCOPED_TRACE(expectation.rule);
    ASSERT_NE(FindRule(expectation.rule), nullptr);
    const auto actual = Clear(expectation.rule, c.auction);
    if (!expectation.error.empty()) {
      ASSERT_FALSE(actual.ok());
      EXPECT_THAT(std::string(actual.status().message()), ::testing::HasSubstr(expectation.error));
      continue;
    }
    ASSERT_TRUE(actual.ok()) << actual.status();
    EXPECT_EQ(ToText(*actual), ToText(expectation.clearing));
    EXPECT_EQ(*actual, expectation.clearing);
    // What is written down as mpsp's answer must also be right, not only unchanged.
    const auto referee = ClearExhaustive(c.auction);
    if (expectation.rule == "mpsp/1" && referee.ok()) {
      EXPECT_EQ(ToText(*referee), ToText(expectation.clearing));
    }
  }
}

TEST(Cases, EveryFileAnswersAsWrittenDown) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(NOM_CASES_DIR)) {
    if (entry.path().extension() != ".yaml") continue;
    ++files;
    SCOPED_TRACE(entry.path());
    const auto c = ParseCase(ReadFile(entry.path()));
    ASSERT_TRUE(c.ok()) << c.status();
    RunCase(*c);
    // The form that the ledger keeps says the same.
    const auto again = ParseAuction(ToText(c->auction));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*again, c->auction);
  }
  EXPECT_GE(files, 60);
}

TEST(Cases, TheWorkedExampleOfTheReadmeIsTrue) {
  const std::string readme = ReadFile(NOM_POLICIES_README);
  const std::string fence = "```yaml\n";
  const size_t begin = readme.find(fence);
  ASSERT_NE(begin, std::string::npos);
  const size_t end = readme.find("\n```", begin + fence.size());
  ASSERT_NE(end, std::string::npos);
  const auto c = ParseCase(readme.substr(begin + fence.size(), end + 1 - begin - fence.size()));
  ASSERT_TRUE(c.ok()) << c.status();
  RunCase(*c);
  const auto file =
      ParseCase(ReadFile(std::filesystem::path(NOM_CASES_DIR) / "worked_example.yaml"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*c, *file);
}

}  // namespace
}  // namespace nom::policies
