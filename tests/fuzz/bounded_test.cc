// SPDX-License-Identifier: Apache-2.0
// The fuzz targets without a fuzzer: a bounded run on bytes from a seed, in every test run.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "policies/cases/case_file.h"
#include "policies/clearing/auction.h"
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/policies_fuzz.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

void OnRandomBytes(void (*target)(const uint8_t*, size_t), uint64_t count) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(count); seed < end; ++seed) {
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    TestRandom random(seed);
    std::vector<uint8_t> bytes(static_cast<size_t>(random.Between(0, 90)));
    // Small numbers are what valid auctions are made of.
    const int64_t high = random.OneIn(3) ? 255 : 199;
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Between(0, high));
    target(bytes.data(), bytes.size());
  }
}

TEST(Fuzz, KeptInputsBreakNothing) {
  EXPECT_GT(ReplayCorpus("fuzz_auction", FuzzAuction), 20U);
  EXPECT_GT(ReplayCorpus("fuzz_bid", FuzzBid), 10U);
  EXPECT_GT(ReplayCorpus("fuzz_text", FuzzText), 20U);
}

TEST(Fuzz, KeptInputsAreFew) { EXPECT_LE(CorpusBytes(), kCorpusBytesMax); }

TEST(Fuzz, AuctionsFromRandomBytes) { OnRandomBytes(FuzzAuction, 20'000); }

TEST(Fuzz, BidsFromRandomBytes) { OnRandomBytes(FuzzBid, 50'000); }

TEST(Fuzz, TextsThatAreCasesWithBytesChanged) {
  std::vector<std::string> texts;
  for (const auto& entry : std::filesystem::directory_iterator(NOM_CASES_DIR)) {
    if (entry.path().extension() != ".yaml") continue;
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const auto c = ParseCase(text.str());
    ASSERT_TRUE(c.ok()) << entry.path() << c.status();
    texts.push_back(ToText(c->auction));
  }
  ASSERT_FALSE(texts.empty());
  std::sort(texts.begin(), texts.end());
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(10'000); seed < end; ++seed) {
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=1");
    TestRandom random(seed);
    std::string text = texts[seed % texts.size()];
    for (int64_t changes = random.Between(1, 4); changes > 0; --changes) {
      const auto at = static_cast<size_t>(random.Between(0, static_cast<int64_t>(text.size()) - 1));
      if (random.OneIn(2)) {
        text[at] = static_cast<char>(random.Between(0, 255));
      } else {
        text.erase(at, static_cast<size_t>(random.Between(1, 3)));
      }
      if (text.empty()) break;
    }
    FuzzText(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  }
}

}  // namespace
}  // namespace nom::policies
