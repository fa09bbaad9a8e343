// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/clearing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policies/clearing/fallback.h"
#include "policies/clearing/rules.h"

namespace nom::market {
namespace {

using policies::Auction;
using policies::Award;
using policies::Clearing;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Auction TwoHolders() {
  Auction auction;
  auction.capacity_units = 10;
  auction.reserve_unit_price_microcredits = 2;
  auction.bids = {{.guest_id = 9, .ranges = {{0, 12, 0, 5}}, .held_units = 6},
                  {.guest_id = 4, .ranges = {{4, 4, 9, 0}, {5, 12, 30, 1}}, .held_units = 3}};
  return auction;
}

TEST(RepeatLast, KeepsWhatIsHeldAtTheReserve) {
  const Clearing out = *policies::RepeatLast(TwoHolders());
  // Guest 4 holds 3, which its present bid does not accept.
  EXPECT_THAT(out.awards, ElementsAre(Award{9, 6, 12}));
  EXPECT_EQ(out.method, policies::Method::kRepeatLast);
  EXPECT_TRUE(CheckClearing(TwoHolders(), out).ok());
}

TEST(RepeatLast, ScalesDownToWhatThereIs) {
  Auction auction = TwoHolders();
  auction.bids[1].held_units = 12;  // 18 held, 10 to sell: 3 and 6.
  const Clearing out = *policies::RepeatLast(auction);
  EXPECT_THAT(out.awards, ElementsAre(Award{4, 6, 12}, Award{9, 3, 6}));
  EXPECT_TRUE(CheckClearing(auction, out).ok()) << CheckClearing(auction, out);
}

TEST(RepeatLast, NobodyPaysMoreThanItsValue) {
  Auction auction = TwoHolders();
  auction.bids[0].ranges = {{1, 4, 12, -1}};  // Worth 12, 11, 10, 9: at 4 a unit up to two pay.
  auction.reserve_unit_price_microcredits = 4;
  const Clearing out = *policies::RepeatLast(auction);
  EXPECT_THAT(out.awards, ElementsAre(Award{9, 2, 8}));
  EXPECT_TRUE(CheckClearing(auction, out).ok());
}

TEST(CheckClearing, FindsEveryBrokenPromise) {
  const Auction auction = TwoHolders();
  const auto said = [&auction](std::vector<Award> awards) {
    Clearing clearing;
    clearing.awards = std::move(awards);
    return std::string(CheckClearing(auction, clearing).message());
  };
  EXPECT_EQ(said({{4, 5, 30}, {9, 5, 25}}), "");
  EXPECT_THAT(said({{9, 5, 25}, {4, 5, 30}}), HasSubstr("rising"));
  EXPECT_THAT(said({{4, 5, 30}, {4, 5, 30}}), HasSubstr("rising"));
  EXPECT_THAT(said({{5, 5, 1}}), HasSubstr("did not bid"));
  EXPECT_THAT(said({{4, 2, 1}}), HasSubstr("not a quantity"));
  EXPECT_THAT(said({{4, 5, 31}}), HasSubstr("above the value"));
  EXPECT_THAT(said({{4, 5, -1}}), HasSubstr("negative"));
  EXPECT_THAT(said({{4, 5, 1}, {9, 6, 1}}), HasSubstr("sold 11 units of 10"));
}

TEST(ClearOrRepeat, FallsBackAndSaysWhy) {
  std::string fault;
  const auto exact = ClearOrRepeat(ClearByRule, "mpsp/1", TwoHolders(), 0, &fault);
  EXPECT_EQ(fault, "");
  EXPECT_EQ(exact.method, policies::Method::kExact);
  const auto broken = [](const std::string&, const Auction&, int64_t) -> absl::StatusOr<Clearing> {
    Clearing clearing;
    clearing.awards = {{9, 11, 0}};
    return clearing;
  };
  EXPECT_EQ(ClearOrRepeat(broken, "mpsp/1", TwoHolders(), 0, &fault),
            *policies::RepeatLast(TwoHolders()));
  EXPECT_THAT(fault, HasSubstr("sold 11 units of 10"));
  Auction invalid = TwoHolders();
  invalid.bids[0].held_units = -1;
  EXPECT_THAT(ClearOrRepeat(ClearByRule, "mpsp/1", invalid, 0, &fault).awards, IsEmpty());
  EXPECT_THAT(fault, HasSubstr("held_units"));
}

TEST(ClearByRule, KeepsToTheLimitIfThereIsOne) {
  const Auction auction = TwoHolders();
  const Clearing exact = *policies::Clear("mpsp/1", auction);
  EXPECT_EQ(*ClearByRule("mpsp/1", auction, 0), exact);
  EXPECT_EQ(*ClearByRule("mpsp/1", auction, policies::kWorkMaxDefault), exact);
  EXPECT_NE(ClearByRule("mpsp/1", auction, 100)->method, policies::Method::kExact);
  EXPECT_EQ(ClearByRule("mpsp/1", auction, 1)->method, policies::Method::kRepeatLast);
  EXPECT_FALSE(ClearByRule("no/1", auction, 1).ok());
}

TEST(AuctionSeed, DiffersByAllThatItIsFor) {
  const uint64_t seed = AuctionSeed(1, "h", 2, ResourceKind::kCpu);
  EXPECT_EQ(seed, AuctionSeed(1, "h", 2, ResourceKind::kCpu));
  EXPECT_NE(seed, AuctionSeed(2, "h", 2, ResourceKind::kCpu));
  EXPECT_NE(seed, AuctionSeed(1, "g", 2, ResourceKind::kCpu));
  EXPECT_NE(seed, AuctionSeed(1, "h", 3, ResourceKind::kCpu));
  EXPECT_NE(seed, AuctionSeed(1, "h", 2, ResourceKind::kMemory));
}

}  // namespace
}  // namespace nom::market
