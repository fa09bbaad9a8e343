// SPDX-License-Identifier: Apache-2.0
// What watchers are told, and since when: pure, view by view.

#include "marketd/services/watch_index.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "marketd/services/convert.h"

namespace nom::marketd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const WatchKey kAlice{"h", "alice"};
const WatchKey kBob{"h", "bob"};
const WatchKey kOperator{"h", ""};

// Views, each made from the one before as the engine does: what does not change is shared.
class Market {
 public:
  Market() {
    view_.sequence = 100;
    view_.hosts.push_back(std::make_shared<market::HostView>(
        market::HostView{.host_id = "h", .kind = "simulated", .round_id = 1}));
  }

  market::GuestView Guest(market::GuestId guest_id, const std::string& tenant_id) {
    market::GuestView guest;
    guest.guest.guest_id = guest_id;
    guest.guest.host_id = "h";
    guest.guest.tenant_id = tenant_id;
    guest.guest.state = market::GuestState::kRunning;
    return guest;
  }
  void Put(market::GuestView guest) {
    const market::GuestId guest_id = guest.guest.guest_id;
    auto fresh = std::make_shared<const market::GuestView>(std::move(guest));
    for (auto& known : view_.guests) {
      if (known->guest.guest_id == guest_id) {
        known = fresh;
        return;
      }
    }
    view_.guests.push_back(fresh);  // By rising id, in these tests.
  }
  void Remove(market::GuestId guest_id) {
    std::erase_if(view_.guests, [&](const auto& g) { return g->guest.guest_id == guest_id; });
  }
  void PutTenant(const std::string& tenant_id, int64_t available) {
    auto tenants = view_.tenants.pointers();
    std::erase_if(tenants, [&](const auto& t) { return t->tenant_id == tenant_id; });
    market::TenantView tenant;
    tenant.tenant_id = tenant_id;
    tenant.purse.available = available;
    tenants.push_back(std::make_shared<const market::TenantView>(std::move(tenant)));
    std::sort(tenants.begin(), tenants.end(),
              [](const auto& a, const auto& b) { return a->tenant_id < b->tenant_id; });
    view_.tenants = market::SharedList<market::TenantView>(std::move(tenants));
  }
  void Notify(market::GuestId guest_id, uint64_t sequence) {
    auto notices = view_.notices.pointers();
    std::erase_if(notices, [&](const auto& n) { return n->guest_id == guest_id; });
    notices.push_back(std::make_shared<const market::Notice>(
        market::Notice{.sequence = sequence, .guest_id = guest_id, .host_id = "h"}));
    view_.notices = market::SharedList<market::Notice>(std::move(notices));
  }
  void DropNotices() { view_.notices = {}; }
  void NextRound() {
    auto host = std::make_shared<market::HostView>(*view_.hosts[0]);
    ++host->round_id;
    view_.hosts[0] = std::move(host);
  }
  std::shared_ptr<const market::View> Take() {
    ++view_.sequence;
    return std::make_shared<const market::View>(view_);
  }

 private:
  market::View view_;
};

market_pb::WatchResponse Decode(const WatchPiece& piece) {
  market_pb::WatchResponse out;
  EXPECT_TRUE(out.ParseFromString(
      std::string(reinterpret_cast<const char*>(piece->begin()), piece->size())));
  return out;
}

TEST(WatchIndex, AWatcherCostsItsOwnGuestsWhoeverElseThereIs) {
  Market market;
  constexpr market::GuestId kOthers = 2'000;
  for (market::GuestId id = 1; id <= kOthers; ++id) market.Put(market.Guest(id, "bob"));
  market.Put(market.Guest(kOthers + 1, "alice"));
  market.PutTenant("alice", 1);
  market.PutTenant("bob", 1);
  WatchIndex index;
  index.Take(market.Take());
  const WatchNews news = index.NewsOf(kAlice);
  ASSERT_THAT(news.part->guests, SizeIs(1));
  ASSERT_THAT(news.part->accounts, SizeIs(1));
  EXPECT_EQ(index.encoded(), 2u) << "a guest and an account";
  // A round changes all of bob's guests.
  for (market::GuestId id = 1; id <= kOthers; ++id) {
    market::GuestView guest = market.Guest(id, "bob");
    guest.decided_round_id = 1;
    market.Put(guest);
  }
  const WatchIndex::Touched touched = index.Take(market.Take());
  EXPECT_THAT(touched.hosts, IsEmpty());
  EXPECT_THAT(touched.keys, IsEmpty()) << "nobody follows them";
  EXPECT_EQ(index.NewsOf(kAlice).part, news.part);
  EXPECT_EQ(index.encoded(), 2u);
}

TEST(WatchIndex, SaysWhoseNewsItIsAndSinceWhen) {
  Market market;
  market.Put(market.Guest(1, "alice"));
  market.Put(market.Guest(2, "bob"));
  market.PutTenant("alice", 1);
  WatchIndex index;
  index.Take(market.Take());
  for (const WatchKey& key : {kAlice, kBob, kOperator}) index.NewsOf(key);
  const uint64_t first = index.view()->sequence;

  market::GuestView guest = market.Guest(2, "bob");
  guest.decided_round_id = 7;
  market.Put(guest);
  EXPECT_THAT(index.Take(market.Take()).keys, ElementsAre(kOperator, kBob));
  const uint64_t second = index.view()->sequence;
  EXPECT_EQ(index.NewsOf(kAlice).part->guests_changed_at(), first);
  EXPECT_EQ(index.NewsOf(kBob).part->guests_changed_at(), second);
  EXPECT_EQ(index.NewsOf(kOperator).part->guests[0].changed_at, first);
  EXPECT_EQ(index.NewsOf(kOperator).part->guests[1].changed_at, second);
  EXPECT_EQ(Decode(index.NewsOf(kBob).part->guests[0].piece).guests(0).decided_round_id(), 7u);

  market.PutTenant("alice", 2);
  EXPECT_THAT(index.Take(market.Take()).keys, ElementsAre(kOperator, kAlice));
  EXPECT_EQ(index.NewsOf(kAlice).part->accounts_changed_at, index.view()->sequence);
  EXPECT_EQ(index.NewsOf(kAlice).part->guests_changed_at(), first);
}

TEST(WatchIndex, WhatIsMadeAnewAndSaysTheSameHasNotChanged) {
  Market market;
  market.Put(market.Guest(1, "alice"));
  WatchIndex index;
  index.Take(market.Take());
  const uint64_t changed_at = index.NewsOf(kAlice).part->guests_changed_at();
  market.Put(market.Guest(1, "alice"));
  market.NextRound();
  index.Take(market.Take());
  EXPECT_EQ(index.NewsOf(kAlice).part->guests_changed_at(), changed_at);
}

TEST(WatchIndex, WhatChangedWhileNobodyLookedIsNewsToWhoComesBack) {
  Market market;
  market.Put(market.Guest(1, "alice"));
  WatchIndex index;
  index.Take(market.Take());
  index.NewsOf(kAlice);
  const uint64_t told = index.view()->sequence;
  market::GuestView guest = market.Guest(1, "alice");
  guest.decided_round_id = 3;
  market.Put(guest);
  index.Take(market.Take());  // Nobody asks.
  market.NextRound();
  index.Take(market.Take());
  EXPECT_TRUE(index.Knows(told));
  EXPECT_GT(index.NewsOf(kAlice).part->guests_changed_at(), told);
}

TEST(WatchIndex, AGuestThatLeftIsNewsToo) {
  Market market;
  market.Put(market.Guest(1, "alice"));
  market.Put(market.Guest(2, "alice"));
  WatchIndex index;
  index.Take(market.Take());
  index.NewsOf(kAlice);
  index.NewsOf(kBob);
  const uint64_t told = index.view()->sequence;
  market.Remove(1);
  EXPECT_THAT(index.Take(market.Take()).keys, ElementsAre(kAlice));
  EXPECT_GT(index.NewsOf(kAlice).part->guests_left_at, told);
  EXPECT_THAT(index.NewsOf(kAlice).part->guests, SizeIs(1));
  EXPECT_LE(index.NewsOf(kBob).part->guests_left_at, told);
}

TEST(WatchIndex, ANoticeIsToldOnceAndGoesWhenItStandsNoMore) {
  Market market;
  market.Put(market.Guest(1, "alice"));
  WatchIndex index;
  index.Take(market.Take());
  index.NewsOf(kAlice);
  market.Notify(1, 5);
  EXPECT_THAT(index.Take(market.Take()).keys, ElementsAre(kAlice));
  const WatchNews news = index.NewsOf(kAlice);
  ASSERT_THAT(news.part->notices, SizeIs(1));
  EXPECT_EQ(news.part->notices[0].told_at, index.view()->sequence);
  // It stands in later views, too, and is older than they are.
  market.PutTenant("alice", 1);
  index.Take(market.Take());
  ASSERT_THAT(index.NewsOf(kAlice).part->notices, SizeIs(1));
  EXPECT_LT(index.NewsOf(kAlice).part->notices[0].told_at, index.view()->sequence);
  market.Notify(1, 6);
  index.Take(market.Take());
  ASSERT_THAT(index.NewsOf(kAlice).part->notices, SizeIs(1));
  EXPECT_EQ(index.NewsOf(kAlice).part->notices[0].told_at, index.view()->sequence);
  market.DropNotices();
  index.Take(market.Take());
  EXPECT_THAT(index.NewsOf(kAlice).part->notices, IsEmpty());
}

TEST(WatchIndex, KnowsWhatItHasSeen) {
  Market market;
  WatchIndex index;
  EXPECT_FALSE(index.Knows(0));
  index.Take(market.Take());
  const uint64_t first = index.view()->sequence;
  index.Take(market.Take());
  EXPECT_FALSE(index.Knows(0));
  EXPECT_FALSE(index.Knows(first - 1)) << "of before it began";
  EXPECT_TRUE(index.Knows(first));
  EXPECT_TRUE(index.Knows(first + 1));
  EXPECT_FALSE(index.Knows(first + 2)) << "never given out";
}

}  // namespace
}  // namespace nom::marketd
