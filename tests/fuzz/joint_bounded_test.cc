// SPDX-License-Identifier: Apache-2.0
// The joint fuzz targets without a fuzzer: a bounded run on bytes from a seed, in every test run.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "policies/cases/joint_case_file.h"
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/joint_fuzz.h"
#include "tests/referee/random_joint_auction.h"

namespace nom::policies {
namespace {

constexpr uint64_t kAuctions = 12'000;

TEST(JointFuzz, KeptInputsBreakNothing) {
  EXPECT_GT(ReplayCorpus("fuzz_joint_auction",
                         [](const uint8_t* data, size_t size) { FuzzJointAuction(data, size); }),
            20U);
  EXPECT_GT(ReplayCorpus("fuzz_joint_text", FuzzJointText), 20U);
}

TEST(JointFuzz, AuctionsFromRandomBytes) {
  int64_t compared = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    TestRandom random(seed);
    std::vector<uint8_t> bytes(static_cast<size_t>(random.Between(0, 160)));
    // Small numbers are what valid auctions are made of.
    const int64_t high = random.OneIn(5) ? 255 : 239;
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Between(0, high));
    compared += FuzzJointAuction(bytes.data(), bytes.size());
  }
  if (CountOr(kAuctions) < kAuctions) return;
  EXPECT_GT(compared, static_cast<int64_t>(kAuctions / 10));
}

TEST(JointFuzz, TextsOfAuctionsWithBytesChanged) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(3'000); seed < end; ++seed) {
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    TestRandom random(seed);
    std::string text = ToText(RandomJointAuction({}, seed));
    for (int64_t changes = random.Between(1, 4); changes > 0 && !text.empty(); --changes) {
      const auto at = static_cast<size_t>(random.Between(0, static_cast<int64_t>(text.size()) - 1));
      if (random.OneIn(2)) {
        text[at] = static_cast<char>(random.Between(0, 255));
      } else {
        text.erase(at, static_cast<size_t>(random.Between(1, 3)));
      }
    }
    FuzzJointText(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  }
}

}  // namespace
}  // namespace nom::policies
