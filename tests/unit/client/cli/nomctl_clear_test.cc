// SPDX-License-Identifier: Apache-2.0
// nomctl clear as a process: auctions out of files, and rounds out of the ledger.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

#include "tests/unit/client/cli/nomctl_fixture.h"
#include "tests/unit/client/process.h"

namespace nom::client_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ClearTest : public NomctlTest {
 protected:
  static std::string CaseFile(const std::string& name) {
    return std::string(NOM_CASES_DIR) + "/" + name;
  }
  // A file of the test's own, with this in it.
  std::string Write(const std::string& text) {
    file_ = ::testing::TempDir() + "/nomctl_clear_" + std::to_string(getpid()) + ".yaml";
    std::ofstream(file_) << text;
    return file_;
  }
  ~ClearTest() override { unlink(file_.c_str()); }

  std::string file_;
};

// All that the lines say but how long it took, and how much work a rule may be.
std::string Untimed(const std::string& text) {
  return std::regex_replace(text, std::regex("[0-9.]+ ms(.*) [0-9]+ steps"), "T ms$1 N steps");
}

TEST_F(ClearTest, AFileAsATable) {
  environment_ = {};  // No market is needed.
  const Ended ended = Run({"clear", CaseFile("worked_example.yaml")});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.err, "");
  EXPECT_EQ(Untimed(ended.out),
            CaseFile("worked_example.yaml") +
                ": 3 bids, 10 units, reserve 2, reclaim penalty 0, seed 1\n"
                "\n"
                "mpsp/1: exact, as expected; T ms, the rule itself takes at most N steps\n"
                "  guest  wants  held  units  value  charge  a unit\n"
                "      1      8     0      4     80      35       8\n"
                "      2      6     0      6     60      51       8\n"
                "      3      5     0      0\n"
                "  sold 10 of 10, charges 86; price 10 (bids), highest rejected 9\n"
                "  welfare 140, the best there is\n");
}

TEST_F(ClearTest, AllRulesOnTheWorkedExampleIsNoFailure) {
  environment_ = {};
  const Ended ended = Run({"clear", CaseFile("worked_example.yaml"), "--rule", "all"});
  EXPECT_EQ(ended.exit_code, 0) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("uniform_price/1: refused"));
  EXPECT_EQ(Run({"clear", CaseFile("worked_example.yaml"), "--rule", "uniform_price/1"}).exit_code,
            1)
      << "asked for by its name";
}

TEST_F(ClearTest, EveryCaseIsWhatItExpects) {
  environment_ = {};
  int cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(NOM_CASES_DIR)) {
    if (entry.path().extension() != ".yaml") continue;
    const Ended ended = Run({"clear", entry.path().string()});
    EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
    ++cases;
  }
  EXPECT_GE(cases, 60);
}

TEST_F(ClearTest, SaysWhatAndWhere) {
  const std::string bid = "bids:\n  - guest_id: 3\n    ranges:\n";
  const std::string head = "capacity_units: 10\nseed: 1\n" + bid;
  const std::string range =
      "      - {min_units: 1, max_units: 4, value_at_min_microcredits: 9, unit_price_microcredits: "
      "3}\n";
  Write(head + range + range);
  Ended ended = Run({"clear", file_});
  EXPECT_EQ(ended.exit_code, 1) << "a rule refuses it";
  EXPECT_THAT(ended.out, HasSubstr(file_ + ": line 7: bids[0].ranges[1].min_units: 1 lies before"));
  ended = Run({"clear", file_, "--json"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.out, HasSubstr("\"error\": \"" + file_ + ": line 7: bids[0]"));

  Write(head + "      - {min: 1}\n");
  ended = Run({"clear", file_});
  EXPECT_EQ(ended.exit_code, 2) << "it is no auction";
  EXPECT_EQ(ended.err, "nomctl: " + file_ + ": line 6: bids[0].ranges[0].min: no such key\n");
  EXPECT_EQ(ended.out, "");
  Write("shows: x\nauction: 5\nexpect: []\n");
  EXPECT_THAT(Run({"clear", file_}).err, HasSubstr(file_ + ": line 2: auction: must be a mapping"));
  EXPECT_THAT(Run({"clear", "/nowhere/a.yaml"}).err, HasSubstr("/nowhere/a.yaml: cannot be read"));
  EXPECT_THAT(Run({"clear", "/"}).err, HasSubstr("/: is a directory"));

  Write(head + range);
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{"clear"}, "--round"},
      {{"clear", file_, "--round", "3"}, "--round"},
      {{"clear", file_, "--resource", "memory"}, "--round"},
      {{"clear", file_, "--rule", "best/1"}, "'best/1' is not one of all, uniform_price/1, mpsp/1"},
      {{"clear", file_, "--capacity", "-1"}, "--capacity: \"-1\" is out of range"},
      {{"clear", file_, "--reserve", "much"}, "--reserve"},
      {{"clear", "--round", "3", "--resource", "ram"}, "unknown resource \"ram\""},
  };
  for (const auto& [arguments, message] : wrong) {
    ended = Run(arguments);
    EXPECT_EQ(ended.exit_code, 2) << message;
    EXPECT_THAT(ended.err, HasSubstr(message));
    EXPECT_EQ(ended.out, "");
  }
}

TEST_F(ClearTest, AnAnswerThatIsNotAsExpectedEndsWithThree) {
  std::ifstream file(CaseFile("second_price.yaml"));
  std::string text(std::istreambuf_iterator<char>(file), {});
  const size_t at = text.find("seed: ");
  ASSERT_NE(at, std::string::npos);
  const size_t units = text.find("charge_microcredits: ");
  ASSERT_NE(units, std::string::npos);
  text.insert(units + 21, "9");
  const Ended ended = Run({"clear", Write(text)});
  EXPECT_EQ(ended.exit_code, 3) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("NOT AS EXPECTED"));
  EXPECT_EQ(Run({"clear", file_, "--reserve", "0"}).exit_code, 0) << "something was changed";
}

TEST_F(ClearTest, AnAuctionOnStandardInput) {
  const Ended ended = Process({"/bin/sh", "-c", "exec \"$0\" clear - --rule posted_price/1 <\"$1\"",
                               NOM_NOMCTL, CaseFile("worked_example.yaml")},
                              {})
                          .Wait();
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("standard input: 3 bids"));
  EXPECT_THAT(ended.out, HasSubstr("posted_price/1: exact; "));
}

TEST_F(ClearTest, ARoundOutOfTheLedgerByItsOwnRuleAndLimit) {
  market_.Configure([](FakeMarket& market) {
    market.hosts.add_hosts()->set_host_id("m1");
    *market.rounds.add_rounds() = Settled(7, 12'000);
    market.record.set_policy("mpsp/1");
    market.record.set_work_max(1);
    market.record.set_auction(
        "capacity_units: 4\nseed: 1\nbids:\n  - guest_id: 3\n    held_units: 2\n    ranges:\n"
        "      - {min_units: 1, max_units: 4, value_at_min_microcredits: 9, "
        "unit_price_microcredits: 9}\n");
  });
  Ended ended = Run({"clear", "--round", "7"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("round 7 of m1, cpu: 1 bids, 4 units"));
  EXPECT_THAT(ended.out, HasSubstr("mpsp/1: repeat_last; "));
  EXPECT_THAT(ended.out, HasSubstr("no allocation is above 36: at most 100 % more"));
  EXPECT_THAT(Writes(), ElementsAre("GetRoundRecord host_id: \"m1\" round_id: 7 kind: "
                                    "RESOURCE_KIND_CPU"));
  ended = Run({"clear", "--round", "7", "--work-max", "1000000", "--reserve", "10"});
  EXPECT_THAT(ended.out, HasSubstr("mpsp/1: exact; "));
  EXPECT_THAT(ended.out, HasSubstr("sold 0 of 4, charges 0; price 10 (reserve)"));
  ended = Run({"clear", "--round", "7", "--resource", "memory"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, HasSubstr("round 7 of host m1 sold no memory (not found)"));
  ended = Run({"clear", "--round", "6"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, HasSubstr("host m1 has no round 6 on record (not found)"));
}

}  // namespace
}  // namespace nom::client_test
