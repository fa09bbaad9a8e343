// SPDX-License-Identifier: Apache-2.0
#include "client/examples/guests/batch/batch.h"

#include <memory>
#include <string>
#include <vector>

#include "client/examples/guests/batch/sha256.h"
#include "gtest/gtest.h"
#include "tests/unit/client/guest/fake_nomhv.h"

namespace nom::examples {
namespace {

using guest::FakeNomhv;

std::string HexOf(const Digest& digest) {
  std::string out;
  for (const uint8_t byte : digest) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

std::string HashOf(const std::string& text, size_t piece) {
  Sha256 hash;
  const std::vector<uint8_t> bytes(text.begin(), text.end());
  for (size_t at = 0; at < bytes.size(); at += piece) {
    hash.Add(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
  }
  return HexOf(hash.Finish());
}

// NIST's examples for FIPS 180-4 (SHA256.pdf), and the empty message.
TEST(Sha256Test, KnownAnswers) {
  EXPECT_EQ(HashOf("", 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(HashOf("abc", 64), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(HashOf("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 64),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(HashOf(std::string(1'000'000, 'a'), 1000),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Test, HowItIsCutIntoPiecesDoesNotMatter) {
  for (size_t length = 0; length <= 200; ++length) {
    const std::string text(length, 'x');
    for (const size_t piece : {1u, 7u, 55u, 56u, 63u, 64u, 65u}) {
      ASSERT_EQ(HashOf(text, piece), HashOf(text, 1000)) << length << " by " << piece;
    }
  }
}

constexpr uint64_t kPeriodUs = 1'000'000;
constexpr uint64_t kBlockCycles = 100'000;  // Each block reads the clock once.

class BatchTest : public testing::Test {
 protected:
  BatchTest() {
    nomhv_.tsc_per_read = kBlockCycles;
    nomhv_.HoldMillicores(/*seed=*/100, /*now=*/100);
    nomhv_.BeginRound(1, kPeriodUs, 10, 10);
  }
  void Make(std::string_view arguments) {
    Batch::Settings settings;
    ASSERT_EQ(settings.Parse(arguments).view(), "");
    batch_ = std::make_unique<Batch>(&nomhv_, nomhv_.pages(),
                                     guest::Start{.tsc_hz = FakeNomhv::kTscHz}, settings);
  }
  void Rounds(int rounds, int64_t cpu_price = 10) {
    for (int i = 0; i < rounds; ++i) {
      nomhv_.BeginRound(++round_, kPeriodUs, cpu_price, 10);
      const uint64_t end = nomhv_.tsc + kPeriodUs * 1000;
      while (nomhv_.tsc < end) {
        const uint64_t idle = batch_->Turn();
        nomhv_.tsc = std::max(nomhv_.tsc, std::min(idle, end));
      }
    }
  }
  const NomBid& bid() { return nomhv_.bid_page().bids[0]; }
  bool bidding() { return nomhv_.bid_page().bid_count > 0 && bid().range_count > 0; }

  uint64_t round_ = 1;
  FakeNomhv nomhv_{512, 512};
  std::unique_ptr<Batch> batch_;
};

TEST_F(BatchTest, BidsWhatTheBlocksOfAUnitAreWorth) {
  Make("block_value=50");
  Rounds(3);
  // 10 millicores of 1 s at 1 GHz are 10^7 cycles. A slice reads the clock a few times besides.
  EXPECT_GT(batch_->UnitValue(), 50 * 10'000'000 / static_cast<int64_t>(kBlockCycles) * 9 / 10);
  EXPECT_LE(batch_->UnitValue(), 50 * 10'000'000 / static_cast<int64_t>(kBlockCycles));
  ASSERT_TRUE(bidding());
  EXPECT_EQ(bid().ranges[0].unit_price_microcredits, batch_->UnitValue());
  EXPECT_EQ(bid().ranges[bid().range_count - 1].max_units, 90);  // The rest of a processor.
}

TEST_F(BatchTest, BidsRiseWithTheBlocksValue) {
  Make("block_value=50");
  Rounds(3);
  const int64_t low = bid().ranges[0].unit_price_microcredits;
  Make("block_value=500");
  Rounds(3);
  EXPECT_NEAR(static_cast<double>(bid().ranges[0].unit_price_microcredits),
              static_cast<double>(10 * low), 10.0);
}

TEST_F(BatchTest, ValueIsWorkTimesItsPrice) {
  Make("block_value=77");
  Rounds(3);
  EXPECT_GT(batch_->blocks_done(), 100u);
  EXPECT_EQ(batch_->value_microcredits(), static_cast<int64_t>(batch_->blocks_done()) * 77);
  EXPECT_LE(nomhv_.bid_page().work_done, batch_->blocks_done());
  EXPECT_EQ(nomhv_.bid_page().value_microcredits,
            static_cast<int64_t>(nomhv_.bid_page().work_done) * 77);
  EXPECT_STREQ(nomhv_.bid_page().work_unit, "blocks");
}

TEST_F(BatchTest, KeepsToTheSeedsPaceAndRunsFlatOutOnWhatItBought) {
  Make("");
  Rounds(2);
  const uint64_t before = batch_->blocks_done();
  const uint64_t cycles_before = nomhv_.cycles_used;
  Rounds(4);
  const uint64_t on_seed = batch_->blocks_done() - before;
  // 100 millicores of 4 s.
  EXPECT_NEAR(static_cast<double>(nomhv_.cycles_used - cycles_before), 0.1 * 4e9, 0.05 * 4e9);
  nomhv_.HoldMillicores(100, 600);
  const uint64_t middle = batch_->blocks_done();
  Rounds(4);
  EXPECT_GT(batch_->blocks_done() - middle, 5 * on_seed);
}

TEST_F(BatchTest, SaysSoWhenTheProcessorIsTooDear) {
  Make("block_value=50");
  Rounds(3, /*cpu_price=*/100);
  EXPECT_EQ(std::string(nomhv_.bid_page().activity).find("hashing"), 0u);
  Rounds(1, batch_->UnitValue() * 2);
  EXPECT_EQ(std::string(nomhv_.bid_page().activity).find("cpu too dear"), 0u);
}

TEST_F(BatchTest, AListThatEnds) {
  Make("blocks=2500");
  Rounds(1);
  Rounds(1);
  ASSERT_TRUE(bidding());
  EXPECT_LT(bid().ranges[bid().range_count - 1].max_units, 20);  // Little is left to hash.
  Rounds(10);
  EXPECT_EQ(batch_->blocks_done(), 2500u);
  EXPECT_FALSE(bidding());
  const uint64_t cycles = nomhv_.cycles_used;
  Rounds(1);
  EXPECT_LT(nomhv_.cycles_used - cycles, 50'000'000u);  // It sleeps.
}

TEST_F(BatchTest, TheResultDependsOnTheSeedAndTheListAlone) {
  const auto result = [this](std::string_view arguments) {
    Make(arguments);
    Rounds(10);
    EXPECT_EQ(batch_->blocks_done(), 100u);
    return HexOf(batch_->result());
  };
  const std::string first = result("blocks=100 seed=1");
  nomhv_.HoldMillicores(100, 1000);
  EXPECT_EQ(result("blocks=100 seed=1"), first);
  EXPECT_NE(result("blocks=100 seed=2"), first);
}

TEST_F(BatchTest, WithBidsNoneItNeverBidsButReports) {
  Make("bids=none");
  Rounds(5);
  EXPECT_EQ(nomhv_.bid_page().bid_count, 0u);
  EXPECT_GT(nomhv_.bid_page().work_done, 0u);
}

TEST_F(BatchTest, NeverBidsMoreThanItsBudget) {
  Make("block_value=1000000 budget=12345");
  Rounds(3);
  ASSERT_TRUE(bidding());
  EXPECT_EQ(bid().budget_microcredits, 12345);
  for (uint32_t i = 0; i < bid().range_count; ++i) {
    const NomRange& r = bid().ranges[i];
    EXPECT_LE(r.value_at_min_microcredits + (r.max_units - r.min_units) * r.unit_price_microcredits,
              12345);
  }
}

TEST_F(BatchTest, BadArgumentsAreNamed) {
  Batch::Settings settings;
  EXPECT_EQ(settings.Parse("block_value=x").view(), "block_value=x: not a whole number");
  EXPECT_NE(settings.Parse("hit_value=1").view().find("hit_value: unknown"), std::string::npos);
}

}  // namespace
}  // namespace nom::examples
