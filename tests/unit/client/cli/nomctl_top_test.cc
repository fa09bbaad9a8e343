// SPDX-License-Identifier: Apache-2.0
// nomctl top as a process: rounds compared with the meters, and how it ends.

#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/client/cli/nomctl_fixture.h"
#include "tests/unit/client/process.h"

namespace nom::client_test {
namespace {

using ::testing::HasSubstr;

class TopTest : public NomctlTest {
 protected:
  // Runs top over rounds 6 and 7; the second has `cpu_milliunits` measured, of 12000.
  Ended RunTop(int64_t cpu_milliunits, bool balanced = true, std::vector<std::string> extra = {}) {
    Begin(balanced);
    std::vector<std::string> arguments = {"top", "--rounds", "2", "--check"};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    Process top(Command(arguments), environment_);
    // It must have looked once before the rounds settle that it is to report.
    WaitForLooks(1);
    SetRounds({Settled(7, cpu_milliunits), Settled(6, 12'000), Settled(5, 0)});
    Publish(8);
    return top.Wait();
  }
  void WaitForLooks(size_t count) {
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        size_t looks = 0;
        for (const std::string& request : requests_) looks += request.rfind("ListRounds", 0) == 0;
        if (looks >= count) return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  void SetRounds(const std::vector<pb::Round>& newest_first) {
    pb::ListRoundsResponse rounds;
    for (const pb::Round& round : newest_first) *rounds.add_rounds() = round;
    market_.Configure([&](FakeMarket& market) { market.rounds = rounds; });
  }
  // One round has settled before top looks.
  void Begin(bool balanced) {
    SetRounds({Settled(5, 0)});
    market_.Configure([&](FakeMarket& market) { market.audit.set_balanced(balanced); });
  }
};

TEST_F(TopTest, ShowsEachSettledRoundAndPasses) {
  const Ended ended = RunTop(11'900);
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("round 6 of m1\n"));
  EXPECT_THAT(ended.out, HasSubstr("round 7 of m1\n"));
  EXPECT_THAT(ended.out,
              HasSubstr("12    11.900     240  others offered more for the rest, at 120  "
                        "     1234  hits    900     5000"));
  EXPECT_THAT(ended.out, HasSubstr("summary: 2 rounds settled, 2 grants compared"));
  EXPECT_THAT(ended.out, HasSubstr("check passed\n"));
  EXPECT_EQ(ended.out.find('\033'), std::string::npos) << "no escapes off a terminal";
}

TEST_F(TopTest, AMeasureThatDiffersIsNamedAndEndsWithThree) {
  const Ended ended = RunTop(9'000);
  EXPECT_EQ(ended.exit_code, 3);
  EXPECT_THAT(ended.out, HasSubstr("VIOLATION: round 7: guest cache cpu: decided 12.000 units, "
                                   "measured 9.000"));
}

TEST_F(TopTest, BooksThatDoNotBalanceEndWithThree) {
  EXPECT_EQ(RunTop(12'000, /*balanced=*/false).exit_code, 3);
}

TEST_F(TopTest, JsonIsOneRoundALine) {
  const Ended ended = RunTop(12'000, true, {"--json"});
  EXPECT_EQ(ended.exit_code, 0);
  std::istringstream lines(ended.out);
  std::string line;
  for (const uint64_t round_id : {6u, 7u}) {
    ASSERT_TRUE(std::getline(lines, line));
    google::protobuf::Struct round;
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(line, &round).ok()) << line;
    EXPECT_EQ(round.fields().at("round_id").number_value(), static_cast<double>(round_id));
  }
  EXPECT_FALSE(std::getline(lines, line));
  EXPECT_THAT(ended.err, HasSubstr("check passed"));
}

TEST_F(TopTest, SurvivesARestartOfTheMarket) {
  Begin(/*balanced=*/true);
  Process top(Command({"top", "--rounds", "1", "--check"}), environment_);
  WaitForLooks(1);
  market_.Stop();
  SetRounds({Settled(6, 12'000), Settled(5, 0)});
  market_.Start();
  const Ended ended = top.Wait();
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("the market is away"));
}

TEST_F(TopTest, ASignalEndsItWithASummary) {
  Process top(Command({"top"}), environment_);
  WaitForLooks(1);
  top.Signal(SIGTERM);
  const Ended ended = top.Wait();
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out, "summary: 0 rounds settled\n");
}

}  // namespace
}  // namespace nom::client_test
