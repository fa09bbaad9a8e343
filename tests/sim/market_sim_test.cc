// SPDX-License-Identifier: Apache-2.0
// The market under everything that goes wrong at once: hosts that refuse, vanish, reboot and
// deliver short, guests that crash and write nonsense, commits that fail, a process that dies, a
// clock that jumps, a disk that is full, machines that lie. After everything that happens the books
// balance and nobody pays more than it bid.
//
// Rounds are played in drills of some thousands, each from a seed of its own and on a ledger of its
// own. NOM_ROUNDS says how many, NOM_SEED the first drill's seed; what fails says how to replay it.

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/sanitized.h"
#include "tests/sim/drill.h"

namespace nom::market {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}
uint64_t SeedFromEnvironment(uint64_t otherwise) { return FromEnvironment("NOM_SEED", otherwise); }

// Under sanitizers fewer drills, and shorter ones.
constexpr uint64_t kRounds = kIsSanitized ? 1'000 : 20'000;
constexpr int kShorter = kIsSanitized ? 2 : 1;

// Of several drills.
struct Sum {
  uint64_t drills = 0;
  uint64_t decided = 0;
  uint64_t sold = 0;
  uint64_t contracts = 0;
  uint64_t sublets = 0;
  uint64_t floors = 0;
  int restarts = 0;
  int compared = 0;
  int disk_failures = 0;
  int lies = 0;
  std::map<policies::Method, int> methods;
  std::map<std::string, int> kinds;

  void Add(Drill& drill) {
    ++drills;
    decided += drill.decided();
    sold += drill.sold();
    contracts += drill.contracts();
    sublets += drill.sublets();
    floors += drill.floors();
    restarts += drill.world().restarts;
    compared += drill.compared_;
    disk_failures += drill.world().disk_failures;
    lies += drill.world().lies;
    for (const auto& [method, n] : drill.methods()) methods[method] += n;
    for (const auto& [kind, n] : drill.kinds()) kinds[kind] += n;
  }
};

// Drills from rising seeds, until so many rounds were decided, or one fails.
Sum PlayRounds(uint64_t seed, uint64_t rounds, Weather weather, int steps = 4'000) {
  Sum sum;
  while (sum.decided < rounds && !testing::Test::HasFailure()) {
    const uint64_t one = seed + sum.drills;
    const std::string replay =
        absl::StrCat("NOM_SEED=", one, " NOM_ROUNDS=1 --gtest_filter=MarketSim.",
                     testing::UnitTest::GetInstance()->current_test_info()->name());
    SCOPED_TRACE(absl::StrCat("replay with ", replay));
    // Said before, for what aborts.
    std::printf("%s\n", replay.c_str());
    std::fflush(stdout);
    Drill drill(one, weather);
    drill.Play(steps / kShorter);
    drill.End();
    sum.Add(drill);
    if (testing::Test::HasFailure()) std::printf("FAILED: replay with %s\n", replay.c_str());
  }
  std::printf(
      "%llu drills, %llu rounds decided, %llu awards, %d restarts, %d commits that the disk "
      "did not take, %d lies\n",
      static_cast<unsigned long long>(sum.drills), static_cast<unsigned long long>(sum.decided),
      static_cast<unsigned long long>(sum.sold), sum.restarts, sum.disk_failures, sum.lies);
  return sum;
}

TEST(MarketSim, GoesOnUnderFaults) {
  Sum sum = PlayRounds(SeedFromEnvironment(20261124), FromEnvironment("NOM_ROUNDS", kRounds),
                       Weather::kFaults);
  // The drills are worth something only if these happened.
  EXPECT_GT(sum.decided, 500 / kShorter * sum.drills);
  EXPECT_GT(sum.sold, 500 / kShorter * sum.drills);
  EXPECT_GT(sum.restarts, 10);
  EXPECT_GT(sum.compared, 10);
  EXPECT_GT(sum.contracts, 10u);
  EXPECT_GT(sum.sublets, 0u);
  EXPECT_GT(sum.floors, 20u);
  EXPECT_GT(sum.disk_failures, 0);
  EXPECT_GT(sum.methods[policies::Method::kExact], 0);
  EXPECT_GT(sum.methods[policies::Method::kCoarser] + sum.methods[policies::Method::kGreedy], 0);
  if (sum.drills < 4) return;
  for (const char* kind : kDeaths) {
    EXPECT_GT(sum.kinds[kind], 0) << "a death before it is no death: " << kind;
  }
}

TEST(MarketSim, GoesOnWithMachinesThatLie) {
  const Sum sum = PlayRounds(SeedFromEnvironment(4711), FromEnvironment("NOM_ROUNDS", kRounds) / 10,
                             Weather::kLies, 2'000);
  EXPECT_GT(sum.decided, 200 / kShorter * sum.drills);
  EXPECT_GT(sum.lies, 100);
}

TEST(MarketSim, GoesOnInPeace) {
  const Sum sum = PlayRounds(SeedFromEnvironment(7), FromEnvironment("NOM_ROUNDS", 500 / kShorter),
                             Weather::kPeace, 1'500);
  EXPECT_GT(sum.decided, 500 / kShorter * sum.drills);
  EXPECT_GT(sum.sold, 1'000 / kShorter * sum.drills);
}

TEST(MarketSim, SameSeedSameHistory) {
  const uint64_t seed = SeedFromEnvironment(99);
  SCOPED_TRACE(absl::StrCat("replay with NOM_SEED=", seed));
  uint64_t traces[3];
  for (int i = 0; i < 3; ++i) {
    Drill drill(i < 2 ? seed : seed + 1, Weather::kFaults);
    drill.Play(300);
    traces[i] = drill.world().trace;
  }
  EXPECT_EQ(traces[0], traces[1]);
  EXPECT_NE(traces[0], traces[2]);
}

}  // namespace
}  // namespace nom::market
