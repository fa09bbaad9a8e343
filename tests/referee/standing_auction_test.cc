// An auction that is cleared again after a few changes, against clearing it from the beginning.

#include "policies/clearing/standing_auction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "policies/clearing/mpsp.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kAuctions = 2'000;
constexpr int kChanges = 12;

// What the standing auction must be: kept in the plainest way.
class Model {
 public:
  explicit Model(Auction auction) : auction_(std::move(auction)) {
    for (Bid& bid : auction_.bids) bids_.emplace(bid.guest_id, std::move(bid));
  }

  void Place(const Bid& bid) { bids_[bid.guest_id] = bid; }
  bool Withdraw(GuestId guest_id) { return bids_.erase(guest_id) == 1; }
  GuestId AnyGuest(TestRandom& random) const {
    auto at = bids_.begin();
    std::advance(at, random.Between(0, static_cast<int64_t>(bids_.size()) - 1));
    return at->first;
  }
  bool empty() const { return bids_.empty(); }
  Auction auction() const {
    Auction auction = auction_;
    auction.bids.clear();
    for (const auto& [guest_id, bid] : bids_) auction.bids.push_back(bid);
    return auction;
  }

 private:
  Auction auction_;
  std::map<GuestId, Bid> bids_;
};

void Change(TestRandom& random, const Auction& others, Model& model, StandingAuction& standing) {
  if (others.bids.empty()) return;
  Bid bid = others.bids[static_cast<size_t>(
      random.Between(0, static_cast<int64_t>(others.bids.size()) - 1))];
  switch (random.Between(0, 7)) {
    case 0: {
      const GuestId guest_id = model.empty() ? 1 : model.AnyGuest(random);
      ASSERT_EQ(standing.WithdrawBid(guest_id), model.Withdraw(guest_id));
      break;
    }
    case 1:  // A newcomer, or by chance somebody who is there.
      bid.guest_id = static_cast<GuestId>(random.Between(1, 1'000'000));
      model.Place(bid);
      ASSERT_TRUE(standing.PlaceBid(bid).ok());
      break;
    default:
      if (model.empty()) break;
      bid.guest_id = model.AnyGuest(random);
      model.Place(bid);
      ASSERT_TRUE(standing.PlaceBid(bid).ok());
  }
}

void ChangeAndCompare(Shape shape, uint64_t seed, int64_t bids_max, int64_t units_max,
                      int64_t capacity_times) {
  TestRandom random(seed);
  Auction auction = RandomAuction(shape, seed, bids_max, units_max);
  auction.capacity_units *= capacity_times;
  auto standing = StandingAuction::Create(auction);
  ASSERT_TRUE(standing.ok()) << standing.status();
  Model model(auction);
  for (int change = 0; change < kChanges; ++change) {
    // Several at once now and then, and none.
    for (int64_t n = random.Between(0, 3); n > 0; --n) {
      const Auction others = RandomAuction(shape, random.Next(), bids_max, units_max);
      Change(random, others, model, *standing);
    }
    const Auction now = model.auction();
    ASSERT_EQ(standing->auction(), now) << Describe(seed, auction);
    const auto expected = ClearMpsp(now);
    const auto actual = standing->Clear();
    ASSERT_EQ(actual.status(), expected.status()) << Describe(seed, now);
    if (!expected.ok()) continue;
    ASSERT_EQ(*actual, *expected) << Describe(seed, now);
  }
}

TEST(StandingAuction, ClearsAsFromTheBeginning) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    ChangeAndCompare(Shape::kGeneral, seed, 60, 60, 1);
    if (HasFatalFailure()) return;
  }
}

TEST(StandingAuction, ClearsAsFromTheBeginningWithManyWinners) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 8); seed < end; ++seed) {
    ChangeAndCompare(Shape::kGeneral, seed, 300, 8, 20);
    if (HasFatalFailure()) return;
  }
}

// So many that the price leaves where the last solution was: each time, all who won want no more.
TEST(StandingAuction, ClearsAsFromTheBeginningWherePricesMoveFar) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 8); seed < end; ++seed) {
    Auction auction = RandomAuction(Shape::kGeneral, seed, 300, 20);
    auction.capacity_units *= 8;
    auto standing = StandingAuction::Create(auction);
    ASSERT_TRUE(standing.ok()) << standing.status();
    for (int i = 0; i < kChanges; ++i) {
      const auto actual = standing->Clear();
      const auto expected = ClearMpsp(standing->auction());
      ASSERT_EQ(actual.status(), expected.status()) << Describe(seed, standing->auction());
      if (!expected.ok()) break;
      ASSERT_EQ(*actual, *expected) << Describe(seed, standing->auction());
      for (const Award& award : actual->awards) {
        ASSERT_TRUE(standing->PlaceBid({award.guest_id, {}, 0}).ok());
      }
    }
  }
}

TEST(StandingAuction, ClearsAsFromTheBeginningWhileBidsAreConcave) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 4); seed < end; ++seed) {
    ChangeAndCompare(Shape::kConcave, seed, 20, 20, 2);
    if (HasFatalFailure()) return;
  }
}

// Keys that need more than 64 bits while one bid is there, and no longer when it is gone.
TEST(StandingAuction, TakesBidsWhoseSumsNeedMoreBits) {
  Auction auction;
  auction.capacity_units = 20'000;
  auction.reclaim_penalty_microcredits = 3;
  for (GuestId guest_id = 1; guest_id <= 40; ++guest_id) {
    const auto units = static_cast<int64_t>(guest_id) * 100;
    auction.bids.push_back(
        {guest_id,
         {{units, units + 50, 70 * units, 90}, {units + 60, units + 60, 80 * units + 5'000, 0}},
         units / 2});
  }
  auto standing = StandingAuction::Create(auction);
  ASSERT_TRUE(standing.ok()) << standing.status();
  const Clearing before = *ClearMpsp(auction);
  EXPECT_EQ(*standing->Clear(), before);
  const Bid large{41, {{5, 5, kValueMaxMicrocredits, 0}}, 0};
  ASSERT_TRUE(standing->PlaceBid(large).ok());
  auction.bids.push_back(large);
  EXPECT_EQ(*standing->Clear(), *ClearMpsp(auction));
  EXPECT_TRUE(standing->WithdrawBid(41));
  EXPECT_EQ(*standing->Clear(), before);
}

TEST(StandingAuction, ABidThatIsNotValidChangesNothing) {
  const Auction auction = RandomAuction(Shape::kGeneral, 5, 30, 30);
  auto standing = StandingAuction::Create(auction);
  ASSERT_TRUE(standing.ok()) << standing.status();
  const Clearing before = *standing->Clear();
  const Auction stood = standing->auction();
  const absl::Status status = standing->PlaceBid({stood.bids[0].guest_id, {{4, 3, 1, 1}}, 0});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("ranges[0].max_units"));
  EXPECT_FALSE(standing->PlaceBid({0, {}, 0}).ok());
  EXPECT_FALSE(standing->WithdrawBid(999'999'999));
  EXPECT_EQ(standing->auction(), stood);
  EXPECT_EQ(*standing->Clear(), before);
  Auction twice = auction;
  twice.bids.push_back(twice.bids.front());
  EXPECT_EQ(StandingAuction::Create(twice).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(StandingAuction, RefusesOneBidTooMany) {
  Auction auction;
  auction.capacity_units = 10;
  for (int i = 1; i <= kBidsMax; ++i) auction.bids.push_back({static_cast<GuestId>(i), {}, 0});
  auto standing = StandingAuction::Create(auction);
  ASSERT_TRUE(standing.ok()) << standing.status();
  const absl::Status status = standing->PlaceBid({1'000'000, {}, 0});
  EXPECT_THAT(std::string(status.message()), HasSubstr("guest 1000000"));
  EXPECT_TRUE(standing->PlaceBid({5, {{1, 1, 9, 0}}, 0}).ok());
  EXPECT_EQ(standing->Clear()->awards.size(), 1u);
}

}  // namespace
}  // namespace nom::policies
