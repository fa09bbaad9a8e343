// SPDX-License-Identifier: Apache-2.0
// nomhv's fuzz target without a fuzzer: a bounded run on bytes from a seed, in every test run.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/fuzz/corpus.h"
#include "tests/fuzz/nomhv_fuzz.h"
#include "tests/referee/random_auction.h"

namespace nomhv {
namespace {

using nom::policies::Corpus;
using nom::policies::CountOr;
using nom::policies::FirstSeed;
using nom::policies::TestRandom;

TEST(NomhvFuzz, KeptInputsBreakNothing) {
  EXPECT_GE(nom::policies::ReplayCorpus(
                "fuzz_nomhv", [](const uint8_t* data, size_t size) { FuzzNomhv(data, size); }),
            5u);
}

TEST(NomhvFuzz, RandomBytes) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(20'000); seed < end; ++seed) {
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    TestRandom random(seed);
    std::vector<uint8_t> bytes(static_cast<size_t>(random.Between(0, 200)));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Between(0, 255));
    FuzzNomhv(bytes.data(), bytes.size());
  }
}

// Bytes that mean something, with a few of them changed, cut off or doubled.
TEST(NomhvFuzz, KeptInputsWithBytesChanged) {
  uint64_t understood = 0;
  const auto kept = Corpus("fuzz_nomhv");
  ASSERT_FALSE(kept.empty());
  constexpr uint64_t kInputs = 20'000;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kInputs); seed < end; ++seed) {
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    TestRandom random(seed);
    std::vector<uint8_t> bytes = kept[seed % kept.size()].bytes;
    for (int64_t changes = random.Between(0, 4); changes > 0 && bytes.size() > 1; --changes) {
      const auto at = random.Between(1, static_cast<int64_t>(bytes.size()) - 1);
      if (random.OneIn(8)) {
        bytes.resize(static_cast<size_t>(at));
      } else {
        bytes[static_cast<size_t>(at)] = static_cast<uint8_t>(random.Between(0, 255));
      }
    }
    understood += FuzzNomhv(bytes.data(), bytes.size()) > 0 ? 1 : 0;
  }
  if (CountOr(kInputs) < kInputs) return;
  EXPECT_GT(understood, kInputs / 10) << "nothing is reached but refusals";
}

}  // namespace
}  // namespace nomhv
