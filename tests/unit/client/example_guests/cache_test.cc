// SPDX-License-Identifier: Apache-2.0
#include "client/examples/guests/cache/cache.h"

#include <list>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/client/guest/fake_nomhv.h"

namespace nom::examples {
namespace {

using guest::FakeNomhv;

// The referee: a list that is searched.
TEST(HitCurveTest, DistancesAreThoseOfAPlainList) {
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    auto curve = std::make_unique<HitCurve>();
    std::mt19937 random(seed);
    std::list<uint32_t> recent;
    // More requests than there are slots of time, so that time is compacted.
    for (int i = 0; i < 70'000; ++i) {
      const uint64_t range = 1 + random() % 300;
      const auto key = static_cast<uint32_t>(random() % range);
      uint64_t expected = HitCurve::kFirstTime;
      uint64_t depth = 0;
      for (auto at = recent.begin(); at != recent.end(); ++at, ++depth) {
        if (*at != key) continue;
        expected = depth;
        recent.erase(at);
        break;
      }
      recent.push_front(key);
      ASSERT_EQ(curve->Note(key), expected) << "request " << i;
    }
  }
}

TEST(HitCurveTest, ItsPredictionsAreWhatACacheOfThatSizeHits) {
  auto curve = std::make_unique<HitCurve>();
  auto load = std::make_unique<Load>(2000, 1000, 5);
  constexpr size_t kEntries = 512;  // A whole number of bins.
  std::list<uint32_t> cache;
  uint64_t hits = 0;
  for (int i = 0; i < 20'000; ++i) {
    const uint32_t key = load->Next();
    curve->Note(key);
    const auto at = std::find(cache.begin(), cache.end(), key);
    if (at != cache.end()) {
      ++hits;
      cache.erase(at);
    }
    cache.push_front(key);
    if (cache.size() > kEntries) cache.pop_back();
  }
  curve->EndRound();
  EXPECT_EQ(curve->HitsWith(kEntries), hits);
  EXPECT_EQ(curve->HitsWith(0), 0u);
  EXPECT_LT(curve->HitsWith(64), curve->HitsWith(128));
}

TEST(LoadTest, IsSkewedAndMovesWithThePhase) {
  auto load = std::make_unique<Load>(1000, 100, 3);
  std::vector<int> asked(1000);
  for (int i = 0; i < 100'000; ++i) ++asked[load->Next()];
  // 1 / rank: the first key has 1 / H(1000), about 13 %, of all requests.
  EXPECT_NEAR(asked[0], 13'400, 700);
  EXPECT_NEAR(asked[1], 6'700, 500);
  std::set<uint64_t> rates;
  std::set<uint32_t> sizes;
  for (int i = 0; i < 30; ++i) {
    load->NextPhase();
    rates.insert(load->rate());
    sizes.insert(load->active_keys());
    for (int j = 0; j < 100; ++j) ASSERT_LT(load->Next(), 1000u);
  }
  EXPECT_EQ(rates.size(), 3u);
  EXPECT_EQ(sizes.size(), 3u);
}

constexpr uint64_t kSeedFrames = 64;
constexpr uint64_t kWindow = 2048;

class StoreTest : public testing::Test {
 protected:
  void Fill(uint64_t keys) {
    Entry entry;
    for (uint64_t key = 0; key < keys; ++key) {
      ComputeEntry(key, 1, entry);
      ASSERT_TRUE(store_->Put(store_->NodeOf(key), entry));
    }
  }
  Store::Found Get(uint64_t key) {
    Entry entry;
    const Store::Found found = store_->Get(store_->NodeOf(key), entry);
    if (found == Store::Found::kHit) {
      Entry expected;
      ComputeEntry(key, 1, expected);
      EXPECT_EQ(entry, expected) << key;
    }
    return found;
  }
  uint64_t Hits(uint64_t first, uint64_t last) {
    uint64_t hits = 0;
    for (uint64_t key = first; key < last; ++key) hits += Get(key) == Store::Found::kHit ? 1 : 0;
    return hits;
  }
  FakeNomhv nomhv_{kSeedFrames, kWindow};
  std::unique_ptr<Store> store_ =
      std::make_unique<Store>(&nomhv_, guest::FramePool::Options{.seed_frames = kSeedFrames,
                                                                 .window_frames = kWindow,
                                                                 .base_address = nomhv_.base()});
};

TEST_F(StoreTest, KeepsTheMostRecentlyUsed) {
  Fill(100);  // Into 63 frames.
  EXPECT_EQ(store_->entries(), kSeedFrames - 1);
  EXPECT_EQ(Hits(0, 37), 0u);
  EXPECT_EQ(Hits(37, 100), 63u);
  ASSERT_EQ(Get(37), Store::Found::kHit);  // The oldest becomes the newest.
  Entry entry;
  ComputeEntry(500, 1, entry);
  ASSERT_TRUE(store_->Put(store_->NodeOf(500), entry));
  EXPECT_EQ(Get(37), Store::Found::kHit);
  EXPECT_EQ(Get(38), Store::Found::kMiss);
}

TEST_F(StoreTest, ANoticeCostsTheColdestEntriesOnly) {
  nomhv_.Grow(1000);
  (void)store_->Update(nomhv_.guest_board());
  Fill(999);
  ASSERT_EQ(store_->entries(), 999u);
  // The first and the last keys become the hottest, wherever their frames lie.
  ASSERT_EQ(Hits(0, 100), 100u);
  ASSERT_EQ(Hits(900, 999), 99u);
  nomhv_.Announce(300, 1'000'000);
  EXPECT_EQ(store_->Update(nomhv_.guest_board()).released_frames, 700u);
  EXPECT_EQ(nomhv_.Count(), 300u);
  EXPECT_EQ(nomhv_.release_calls, 1u);
  nomhv_.TakeByForce();
  EXPECT_EQ(store_->Update(nomhv_.guest_board()).lost_frames, 0u);
  EXPECT_EQ(Hits(0, 100), 100u);
  EXPECT_EQ(Hits(900, 999), 99u);
  EXPECT_EQ(store_->entries(), 299u);
}

TEST_F(StoreTest, FramesTakenByForceAreMissesNotFaults) {
  nomhv_.Grow(1000);
  (void)store_->Update(nomhv_.guest_board());
  Fill(999);
  nomhv_.Announce(200, 1);
  nomhv_.TakeByForce();  // Before the store has looked at the board again.
  EXPECT_EQ(Hits(0, 999), 199u);
  EXPECT_EQ(store_->entries(), 199u);
  Fill(999);
  EXPECT_EQ(Hits(800, 999), 199u);
}

TEST_F(StoreTest, DamageIsNoticed) {
  Fill(10);
  auto* words = static_cast<uint64_t*>(store_->pool().Address(1));
  words[17] ^= 4;
  uint64_t damaged = 0;
  for (uint64_t key = 0; key < 10; ++key) damaged += Get(key) == Store::Found::kDamaged ? 1 : 0;
  EXPECT_EQ(damaged, 1u);
  EXPECT_EQ(Hits(0, 10), 9u);
}

TEST_F(StoreTest, AnEntryOfAnotherKeyIsDamage) {
  Fill(2);
  std::memcpy(store_->pool().Address(1), store_->pool().Address(2), NOM_FRAME_BYTES);
  EXPECT_EQ(Get(0), Store::Found::kDamaged);
  EXPECT_EQ(Get(1), Store::Found::kHit);
}

TEST_F(StoreTest, TooManyKeysAreRefused) {
  for (uint64_t key = 0; key < Store::kNodesMax; ++key) ASSERT_EQ(store_->NodeOf(key), key);
  EXPECT_EQ(store_->NodeOf(1'000'000), Store::kNodesMax);
  EXPECT_EQ(store_->NodeOf(77), 77u);
}

constexpr uint64_t kPeriodUs = 1'000'000;
constexpr uint64_t kMiB = 256;  // In frames.

class CacheTest : public testing::Test {
 protected:
  static constexpr uint64_t kCacheSeed = 512;
  static constexpr uint64_t kCacheWindow = 16 * kMiB;

  void Make(std::string_view arguments) {
    Cache::Settings settings;
    ASSERT_EQ(settings.Parse(arguments).view(), "");
    nomhv_ = std::make_unique<FakeNomhv>(kCacheSeed, kCacheWindow);
    nomhv_->tsc_per_read = 5'000;
    nomhv_->HoldMillicores(100, 100);
    round_ = 0;
    cache_ = std::make_unique<Cache>(
        nomhv_.get(), nomhv_->pages(),
        guest::Start{
            .tsc_hz = FakeNomhv::kTscHz, .seed_frames = kCacheSeed, .window_frames = kCacheWindow},
        settings, nomhv_->base());
  }
  void Rounds(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      nomhv_->BeginRound(++round_, kPeriodUs, 10, 10);
      const uint64_t end = nomhv_->tsc + kPeriodUs * 1000;
      while (nomhv_->tsc < end) {
        const uint64_t idle = cache_->Turn();
        nomhv_->tsc = std::max(nomhv_->tsc, std::min(idle, end));
      }
    }
  }
  static int64_t ValueOf(const policies::RangeList& bid, int64_t units) {
    int64_t value = 0;
    EXPECT_TRUE(policies::ValueAt(bid, units, value)) << units;
    return value;
  }

  uint64_t round_ = 0;
  std::unique_ptr<FakeNomhv> nomhv_;
  std::unique_ptr<Cache> cache_;
};

// Phases longer than any test, so that the load stays as it is.
constexpr char kSteady[] = "hit_value=100 keys=4096 rate=2000 phase_rounds=1000";

TEST_F(CacheTest, ServesEveryRequestAndCountsOnlyHits) {
  Make(kSteady);
  Rounds(5);
  EXPECT_NEAR(static_cast<double>(cache_->hits() + cache_->misses()), 5 * 2000, 100);
  EXPECT_EQ(cache_->damaged(), 0u);
  EXPECT_EQ(cache_->dropped(), 0u);
  EXPECT_EQ(cache_->value_microcredits(), static_cast<int64_t>(cache_->hits()) * 100);
  EXPECT_EQ(nomhv_->bid_page().value_microcredits,
            static_cast<int64_t>(nomhv_->bid_page().work_done) * 100);
  EXPECT_STREQ(nomhv_->bid_page().work_unit, "hits");
  EXPECT_NE(std::string(nomhv_->bid_page().activity).find("% hits"), std::string::npos);
}

TEST_F(CacheTest, MoreMemoryBringsTheHitsThatItPaidFor) {
  Make(kSteady);
  Rounds(12);
  const policies::RangeList offer = cache_->MemoryOffer();
  uint64_t hits = cache_->hits();
  Rounds(4);
  const int64_t before = static_cast<int64_t>(cache_->hits() - hits) / 4;
  nomhv_->Grow(kCacheSeed + 4 * kMiB);
  Rounds(6);  // Fills.
  hits = cache_->hits();
  Rounds(4);
  const int64_t after = static_cast<int64_t>(cache_->hits() - hits) / 4;
  const int64_t promised = ValueOf(offer, 4) / 100;
  EXPECT_GT(promised, 100);
  EXPECT_NEAR(static_cast<double>(after - before), static_cast<double>(promised),
              0.25 * static_cast<double>(promised));
}

TEST_F(CacheTest, TheBidFallsWithEachMiBAndRisesWithTheHitsValue) {
  Make(kSteady);
  Rounds(6);
  const policies::RangeList low = cache_->MemoryOffer();
  int64_t last = std::numeric_limits<int64_t>::max();
  for (int64_t q = 1; q <= 5; ++q) {
    const int64_t marginal = ValueOf(low, q) - (q == 1 ? 0 : ValueOf(low, q - 1));
    EXPECT_LE(marginal, last);
    EXPECT_GT(marginal, 0);
    last = marginal;
  }
  // What it would take falls as the price rises.
  EXPECT_GT(policies::BestUnitsAt(low, ValueOf(low, 1) / 10),
            policies::BestUnitsAt(low, ValueOf(low, 1) / 2));
  EXPECT_EQ(policies::BestUnitsAt(low, ValueOf(low, 1) + 1), 0);
  Make("hit_value=1000 keys=4096 rate=2000 phase_rounds=1000");
  Rounds(6);
  EXPECT_NEAR(static_cast<double>(ValueOf(cache_->MemoryOffer(), 4)),
              10.0 * static_cast<double>(ValueOf(low, 4)), 5000.0);
}

TEST_F(CacheTest, ASmallerWorkingSetWantsLess) {
  Make("keys=4096 rate=2000 phase_rounds=1000");
  Rounds(8);
  const int64_t large = policies::BestUnitsAt(cache_->MemoryOffer(), 100);
  Make("keys=600 rate=2000 phase_rounds=1000");
  Rounds(8);
  EXPECT_LT(policies::BestUnitsAt(cache_->MemoryOffer(), 100), large);
}

TEST_F(CacheTest, DemandMovesWithThePhases) {
  Make("keys=4096 rate=2000 phase_rounds=3 seed=4");
  std::set<int64_t> wanted;
  for (int i = 0; i < 30; ++i) {
    Rounds(1);
    wanted.insert(policies::BestUnitsAt(cache_->MemoryOffer(), 3000));
  }
  EXPECT_GE(wanted.size(), 4u);
}

TEST_F(CacheTest, BidsStandOnThePageAndVanishWhenPricesGoStale) {
  Make(kSteady);
  Rounds(4);
  const NomBidPage& page = nomhv_->bid_page();
  ASSERT_GE(page.bid_count, 1u);
  EXPECT_EQ(page.bids[0].kind, static_cast<uint32_t>(NOM_RESOURCE_MEMORY));
  EXPECT_GT(page.bids[0].range_count, 0u);
  nomhv_->tsc += 10 * kPeriodUs * 1000;
  const uint64_t hits = cache_->hits();
  for (int i = 0; i < 300; ++i) {
    const uint64_t idle = cache_->Turn();
    nomhv_->tsc = std::max(nomhv_->tsc, idle);
  }
  for (uint32_t i = 0; i < page.bid_count; ++i) EXPECT_EQ(page.bids[i].range_count, 0u);
  EXPECT_GT(cache_->hits(), hits);  // It goes on with what it has.
  EXPECT_GT(page.work_done, 0u);
}

TEST_F(CacheTest, LivesThroughNoticesAndForce) {
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Make("keys=4096 rate=1000 phase_rounds=3");
    std::mt19937 random(seed);
    for (int i = 0; i < 15; ++i) {
      const uint64_t next = kCacheSeed + random() % (kCacheWindow - kCacheSeed);
      if (next > nomhv_->Count()) {
        nomhv_->Grow(next);
      } else {
        nomhv_->Announce(next, nomhv_->tsc + 1'000'000);
        if (random() % 2 == 0) (void)cache_->Turn();  // Else it is too late.
        nomhv_->TakeByForce();
      }
      Rounds(1);
      ASSERT_LE(nomhv_->Count(), next);
      ASSERT_EQ(cache_->damaged(), 0u);
    }
    EXPECT_NEAR(static_cast<double>(cache_->hits() + cache_->misses() + cache_->dropped()),
                static_cast<double>(cache_->hits() + cache_->misses()), 2000.0);
  }
}

TEST_F(CacheTest, DropsWhatItCannotServeAndBidsForTheProcessorThatItLacks) {
  Make("keys=4096 rate=2000 phase_rounds=1000");
  Rounds(4);
  const policies::RangeList light = cache_->CpuOffer();
  Make("keys=4096 rate=100000 phase_rounds=1000");
  nomhv_->tsc_per_read = 50'000;  // 20,000 requests a second at the most.
  Rounds(4);
  EXPECT_GT(cache_->dropped(), 100'000u);
  EXPECT_GT(policies::BestUnitsAt(cache_->CpuOffer(), 1), policies::BestUnitsAt(light, 1));
}

TEST_F(CacheTest, BidsForMemoryAndProcessorTimeTogether) {
  Make("hit_value=100 keys=4096 rate=20000 phase_rounds=1000 together=1 budget=900000");
  nomhv_->tsc_per_read = 50'000;  // Serving takes time: the seed's does not suffice.
  Rounds(6);
  const NomBidPage& page = nomhv_->bid_page();
  EXPECT_EQ(page.bid_form, static_cast<uint32_t>(NOM_BID_FORM_BUNDLES));
  EXPECT_EQ(page.bid_count, 0u);
  EXPECT_EQ(page.budget_microcredits, 900'000);
  ASSERT_GT(page.bundle_count, 10u);
  std::set<std::pair<int32_t, int32_t>> seen;
  bool any_both = false;
  for (uint32_t i = 0; i < page.bundle_count; ++i) {
    const NomBundle& bundle = page.bundles[i];
    const int32_t memory = bundle.units[NOM_RESOURCE_MEMORY - 1];
    const int32_t cpu = bundle.units[NOM_RESOURCE_CPU - 1];
    EXPECT_TRUE(seen.emplace(memory, cpu).second) << "a bundle is there twice";
    EXPECT_GT(memory + cpu, 0);
    EXPECT_GT(bundle.value_microcredits, 0);
    any_both = any_both || (memory > 0 && cpu > 0);
    // More of anything is worth no less.
    for (uint32_t j = 0; j < page.bundle_count; ++j) {
      const NomBundle& other = page.bundles[j];
      if (other.units[NOM_RESOURCE_MEMORY - 1] >= memory &&
          other.units[NOM_RESOURCE_CPU - 1] >= cpu) {
        EXPECT_GE(other.value_microcredits, bundle.value_microcredits);
      }
    }
  }
  EXPECT_TRUE(any_both);
  nomhv_->tsc += 10 * kPeriodUs * 1000;
  for (int i = 0; i < 300; ++i) nomhv_->tsc = std::max(nomhv_->tsc, cache_->Turn());
  EXPECT_EQ(page.bundle_count, 0u) << "prices are stale";
}

TEST_F(CacheTest, NeverBidsMoreThanItsBudget) {
  Make("hit_value=100000 keys=4096 rate=50000 budget=1000000");
  Rounds(5);
  int64_t most = 0;
  const NomBidPage& page = nomhv_->bid_page();
  for (uint32_t i = 0; i < page.bid_count; ++i) {
    if (page.bids[i].range_count == 0) continue;
    const NomRange& last = page.bids[i].ranges[page.bids[i].range_count - 1];
    most += last.value_at_min_microcredits +
            (last.max_units - last.min_units) * last.unit_price_microcredits;
  }
  EXPECT_GT(most, 500'000);
  EXPECT_LE(most, 1'000'000);
}

}  // namespace
}  // namespace nom::examples
