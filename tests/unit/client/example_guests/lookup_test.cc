// SPDX-License-Identifier: Apache-2.0
// The service reads from another guest's cache.

#include <algorithm>
#include <memory>

#include "client/examples/guests/cache/cache.h"
#include "client/examples/guests/service/service.h"
#include "gtest/gtest.h"
#include "tests/unit/client/guest/fake_nomhv.h"

namespace nom::examples {
namespace {

using guest::Channel;
using guest::FakeNomhv;
using guest::FakeRegions;
using guest::Message;

constexpr uint64_t kCacheId = 70;
constexpr uint64_t kServiceId = 71;

struct Pair {
  FakeRegions regions;
  FakeNomhv cache_nomhv{256, 512};
  FakeNomhv service_nomhv{64, 64};
  std::unique_ptr<Cache> cache;
  std::unique_ptr<Service> service;

  Pair() {
    cache_nomhv.id = kCacheId;
    service_nomhv.id = kServiceId;
    for (FakeNomhv* nomhv : {&cache_nomhv, &service_nomhv}) {
      nomhv->regions = &regions;
      nomhv->tsc_per_read = 100;
    }
    Cache::Settings cache_settings;
    cache_settings.keys = 1024;
    cache_settings.reader = kServiceId;
    cache = std::make_unique<Cache>(
        &cache_nomhv, cache_nomhv.pages(),
        guest::Start{.tsc_hz = FakeNomhv::kTscHz, .seed_frames = 256, .window_frames = 512},
        cache_settings, cache_nomhv.base());
    Service::Settings service_settings;
    service_settings.cache = kCacheId;
    service_settings.deadline_ms = 1000;
    service =
        std::make_unique<Service>(&service_nomhv, service_nomhv.pages(),
                                  guest::Start{.tsc_hz = FakeNomhv::kTscHz}, service_settings);
  }
  static void Sleep(FakeNomhv& nomhv, uint64_t until) { nomhv.tsc = std::max(nomhv.tsc, until); }
  void Turns(int count) {
    for (int i = 0; i < count; ++i) {
      Sleep(cache_nomhv, cache->Turn());
      Sleep(service_nomhv, service->Turn());
    }
  }
};

TEST(LookupTest, TheServiceAnswersWithWhatTheCacheHas) {
  Pair pair;
  pair.Turns(400);
  EXPECT_GT(pair.cache->lookups(), 100u);
  EXPECT_GT(pair.service->fetched(), 100u);
  EXPECT_LE(pair.service->fetched(), pair.cache->lookups());
  EXPECT_GT(pair.service->answered(), 100u);
  EXPECT_EQ(pair.cache->damaged(), 0u);
}

TEST(LookupTest, WithoutTheCacheNothingIsAnswered) {
  Pair pair;
  for (int i = 0; i < 200; ++i) Pair::Sleep(pair.service_nomhv, pair.service->Turn());
  EXPECT_GT(pair.service->arrived(), 0u);
  EXPECT_EQ(pair.service->answered(), 0u);
}

TEST(LookupTest, AnAnswerThatIsNoneIsPassedOver) {
  Pair pair;
  // A liar in the cache's place: right numbers, wrong checks.
  FakeNomhv liar{64, 64};
  liar.id = kCacheId;
  liar.regions = &pair.regions;
  LookupEnd end(&liar, kServiceId, Channel::Side::kOfferer);
  ASSERT_TRUE(end.Enter());
  int asked = 0;
  for (int i = 0; i < 200; ++i) {
    Pair::Sleep(pair.service_nomhv, pair.service->Turn());
    Message message;
    while (end.Receive(&message)) {
      ++asked;
      message.words[Lookup::kCheck] ^= 1;
      (void)end.Send(message);
    }
  }
  EXPECT_GT(asked, 10);
  EXPECT_EQ(pair.service->fetched(), 0u);
}

}  // namespace
}  // namespace nom::examples
