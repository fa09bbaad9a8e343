// SPDX-License-Identifier: Apache-2.0
// Products: quotes, contracts, futures, sublets, renewals and leaving, through the engine.

#include "marketd/market/products.h"

#include <gmock/gmock.h>

#include "marketd/base/random.h"
#include "tests/unit/marketd/market/products_fixture.h"

namespace nom::market {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr auto kMemory = ResourceKind::kMemory;
constexpr auto kCpu = ResourceKind::kCpu;
constexpr int64_t kCapacity = 256;
constexpr int64_t kShare = kCapacity / 2;

TEST_F(ProductsTest, AQuoteBindsThePriceAndTheContractIsHeldAndPaidByRound) {
  // Nobody has bought yet: the reserve of 500 is the price of each round, and the premiums go on
  // top: 20 of 100 rounds of a tenth, and the first 40 of 128 units of a fifth.
  const Reply quote = Quote("ann", ann_, 40, 20);
  ASSERT_TRUE(quote.status.ok()) << quote.status;
  const Offer offer = world_->state().offers.at(quote.offer_id);
  const Microcredits charge = 40 * 500 + 40 * 500 / 50 + 500 * 40 * 40 / 5 / 256;
  EXPECT_EQ(ChargeOf(offer.contract), charge);
  EXPECT_EQ(offer.contract.policy, "forward/1");
  // What others buy meanwhile makes it no dearer.
  Buy("bob", bob_, 60, 10);
  const Microcredits before = purse("ann").available;
  const RoundId from = Next();
  const Reply taken = Take("ann", ann_, quote.offer_id);
  ASSERT_TRUE(taken.status.ok()) << taken.status;
  EXPECT_EQ(taken.round_id, from);
  const Contract contract = Open(taken.contract_id);
  EXPECT_EQ(ChargeOf(contract), charge);
  EXPECT_EQ(contract.until_round_id, from + 20);
  // A round, and a tenth of what twenty cost.
  EXPECT_EQ(contract.escrow_microcredits, charge + 2 * charge);
  EXPECT_EQ(purse("ann").available, before - 3 * charge);
  EXPECT_TRUE(Bid("bob", MemoryBid(bob_, 250, 50'000)).status.ok());
  for (RoundId round = from; round < from + 20; ++round) {
    ASSERT_TRUE(RunUntilInForce(round));
    EXPECT_EQ(Held(ann_), 16 + 40);
    // What is set aside covers the round, and leaving it before the next, at all times.
    EXPECT_GE(Open(taken.contract_id).escrow_microcredits, charge + FeeFrom(contract, round + 1));
    EXPECT_LE(Open(taken.contract_id).escrow_microcredits, charge + FeeFrom(contract, round));
  }
  ASSERT_TRUE(RunUntilInForce(from + 20));
  EXPECT_EQ(Held(ann_), 16);
  EXPECT_FALSE(IsOpen(taken.contract_id));
  EXPECT_EQ(purse("ann").escrow, 0);
  ExpectGoodBooks();
}

TEST_F(ProductsTest, TheSameRequestIsAnsweredTheSameAndAnotherUnderItsIdRefused) {
  const GetQuote ask{"q", ann_, {{kMemory, 10}}, 0, 5};
  const Reply quote = Ask("ann", ask);
  ASSERT_TRUE(quote.status.ok());
  const Reply again = Ask("ann", ask);
  EXPECT_EQ(again.offer_id, quote.offer_id);
  EXPECT_TRUE(*again.offer == *quote.offer);
  const TakeOffer take{"t", quote.offer_id, ann_, 0};
  const Reply taken = Ask("ann", take);
  ASSERT_TRUE(taken.status.ok()) << taken.status;
  world_->Restart();
  ASSERT_TRUE(world_->RunUntil([&] { return host_view().connected; }, kPeriod));
  EXPECT_EQ(Ask("ann", take), taken) << "bought once, over restarts too";
  GetQuote other = ask;
  other.rounds = 6;
  EXPECT_TRUE(absl::IsAlreadyExists(Ask("ann", other).status));
  // The ids of others are theirs.
  EXPECT_TRUE(Ask("bob", GetQuote{"q", bob_, {{kMemory, 1}}, 0, 1}).status.ok());
  EXPECT_TRUE(absl::IsNotFound(Take("ann", ann_, quote.offer_id).status)) << "it was taken";
  ExpectGoodBooks();
}

TEST_F(ProductsTest, NobodyBuysWhatIsNotThereOrNotTheirs) {
  const auto refused = [&](const Reply& reply, absl::StatusCode code, const char* what) {
    EXPECT_EQ(reply.status.code(), code) << reply.status;
    EXPECT_THAT(std::string(reply.status.message()), HasSubstr(what));
  };
  using absl::StatusCode;
  refused(Quote("ann", bob_, 1, 1), StatusCode::kNotFound, "guest_id");
  refused(Quote("ann", 999, 1, 1), StatusCode::kNotFound, "guest_id");
  refused(Quote("ann", ann_, 0, 1), StatusCode::kInvalidArgument, "lots[0].units");
  refused(Quote("ann", ann_, INT64_MAX, 1), StatusCode::kInvalidArgument, "lots[0].units");
  refused(Quote("ann", ann_, 1, 0), StatusCode::kInvalidArgument, "rounds");
  refused(Quote("ann", ann_, 1, INT64_MAX), StatusCode::kInvalidArgument, "rounds");
  refused(Quote("ann", ann_, 1, 101), StatusCode::kInvalidArgument, "rounds");
  refused(Quote("ann", ann_, 1, 1, Next() - 1), StatusCode::kInvalidArgument, "from_round_id");
  refused(Quote("ann", ann_, 1, 1, ~RoundId{0}), StatusCode::kInvalidArgument, "from_round_id");
  refused(Quote("ann", ann_, kShare + 1, 1), StatusCode::kResourceExhausted, "forward");
  refused(Ask("ann", GetQuote{NewId(), ann_, {{kCpu, 1}}, 0, 1}), StatusCode::kFailedPrecondition,
          "no cpu forward");
  refused(Ask("ann", GetQuote{NewId(), ann_, {{ResourceKind::kDisk, 1}}, 0, 1}),
          StatusCode::kInvalidArgument, "lots[0].kind");
  refused(Ask("ann", GetQuote{NewId(), ann_, {{kMemory, 1}, {kMemory, 1}}, 0, 1}),
          StatusCode::kInvalidArgument, "twice");
  refused(Ask("ann", GetQuote{NewId(), ann_, {}, 0, 1}), StatusCode::kInvalidArgument, "lots");
  // A quote is for the guest that asked, and its tenant.
  const OfferId quote = Quote("ann", ann_, 10, 1).offer_id;
  refused(Take("bob", bob_, quote), StatusCode::kNotFound, "offer_id");
  refused(Take("bob", ann_, quote), StatusCode::kNotFound, "guest_id");
  refused(Take("ann", ann_, quote + 1), StatusCode::kNotFound, "offer_id");
  refused(Take("ann", ann_, quote, -1), StatusCode::kInvalidArgument, "renew_ceiling");
  refused(Ask("bob", WithdrawOffer{NewId(), quote}), StatusCode::kNotFound, "offer_id");
  // And holds for its time.
  ASSERT_TRUE(RunUntilInForce(Next() + 8));
  refused(Take("ann", ann_, quote), StatusCode::kNotFound, "offer_id");
  // Who can't pay a round and the fee buys nothing.
  ASSERT_TRUE(
      world_->AskAsOperator(Deposit{NewId(), "ann", -purse("ann").available + 10}).status.ok());
  refused(Take("ann", ann_, Quote("ann", ann_, 10, 5).offer_id), StatusCode::kFailedPrecondition,
          "available");
  EXPECT_THAT(world_->state().offers, testing::SizeIs(1)) << "the lapsed one is gone";
  ExpectGoodBooks();
}

TEST_F(ProductsTest, UnitsOfAFutureAreKeptFreeForIt) {
  const RoundId from = Next() + 5;
  Buy("ann", ann_, 100, 4, from);
  // The share is of each round by itself.
  EXPECT_TRUE(absl::IsResourceExhausted(Quote("bob", bob_, 29, 10).status));
  EXPECT_TRUE(Quote("bob", bob_, 28, 10).status.ok());
  EXPECT_TRUE(Quote("bob", bob_, 128, 4).status.ok());
  // No seed may take them either: 256 - 2 x 16 - 100 are free in those rounds.
  AdmitGuest third = Admission("bob", "three");
  third.seeds[1].second = 125;
  const Reply refused = world_->AskAsOperator(third);
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status)) << refused.status;
  ASSERT_TRUE(Bid("bob", MemoryBid(bob_, 250, 50'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(from - 1));
  EXPECT_EQ(Held(bob_), 256 - 16);
  EXPECT_EQ(Held(ann_), 16);
  ASSERT_TRUE(RunUntilInForce(from));
  EXPECT_EQ(Held(ann_), 116);
  EXPECT_EQ(Held(bob_), 256 - 116);
  ExpectGoodBooks();
}

TEST_F(ProductsTest, OfTwoQuotesForTheLastUnitsTheFirstTakenHasThem) {
  const OfferId first = Quote("ann", ann_, kShare, 3).offer_id;
  const OfferId second = Quote("bob", bob_, kShare, 3).offer_id;
  EXPECT_TRUE(Take("bob", bob_, second).status.ok());
  const Reply late = Take("ann", ann_, first);
  EXPECT_TRUE(absl::IsResourceExhausted(late.status)) << late.status;
  EXPECT_EQ(purse("ann").escrow, 0);
  ExpectGoodBooks();
}

TEST_F(ProductsTest, LeavingCostsTheFeeAndGivesTheRestBackToTheAuction) {
  const RoundId from = Next();
  const ContractId id = Buy("ann", ann_, 40, 20);
  const Contract contract = Open(id);
  ASSERT_TRUE(RunUntilInForce(from + 2));
  const Microcredits spent = purse("ann").spent;
  const RoundId next = Next();
  const Microcredits fee = FeeFrom(contract, next);
  EXPECT_GT(fee, 0);
  const Reply left = Ask("ann", LeaveContract{NewId(), id});
  ASSERT_TRUE(left.status.ok()) << left.status;
  EXPECT_EQ(left.round_id, next);
  EXPECT_EQ(purse("ann").spent, spent + fee);
  EXPECT_EQ(Held(ann_), 56) << "the round in force is paid for";
  EXPECT_TRUE(absl::IsFailedPrecondition(Ask("ann", LeaveContract{NewId(), id}).status));
  EXPECT_TRUE(absl::IsNotFound(Ask("bob", LeaveContract{NewId(), id}).status));
  ASSERT_TRUE(Bid("bob", MemoryBid(bob_, 250, 50'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(next));
  EXPECT_EQ(Held(ann_), 16);
  EXPECT_EQ(Held(bob_), 240) << "what was left is auctioned";
  EXPECT_FALSE(IsOpen(id));
  EXPECT_EQ(purse("ann").escrow, 0);
  // One that has not begun is over at once.
  const ContractId later = Buy("ann", ann_, 10, 10, Next() + 5);
  ASSERT_TRUE(Ask("ann", LeaveContract{NewId(), later}).status.ok());
  EXPECT_FALSE(IsOpen(later));
  EXPECT_EQ(purse("ann").escrow, 0);
  ExpectGoodBooks();
}

TEST_F(ProductsTest, OneThatCannotBePaidPaysItsFeeAndWhatItHeld) {
  const RoundId from = Next();
  const ContractId id = Buy("ann", ann_, 100, 20);
  const Contract contract = Open(id);
  ASSERT_TRUE(RunUntilInForce(from));
  const Microcredits spent = purse("ann").spent;
  ASSERT_TRUE(world_->AskAsOperator(Deposit{NewId(), "ann", -purse("ann").available}).status.ok());
  ASSERT_TRUE(RunUntilDecided(from + 1));
  EXPECT_EQ(Held(ann_), 116);
  ASSERT_TRUE(RunUntilInForce(from + 1));
  EXPECT_EQ(Held(ann_), 16);
  EXPECT_FALSE(IsOpen(id));
  const Microcredits rent = 10 * 100 + 16 * 40;
  EXPECT_NEAR(static_cast<double>(purse("ann").spent - spent),
              static_cast<double>(ChargeOf(contract) + FeeFrom(contract, from + 1) + rent), 2)
      << "the round that it held, and the fee that was set aside";
  ExpectGoodBooks();
}

// Whether it may be started again or not.
class EndedByItsOwnerTest : public ProductsTest, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(ForGood, EndedByItsOwnerTest, testing::Bool());

TEST_P(EndedByItsOwnerTest, BreaksItsContractsAndOneThatIsEvictedDoesNot) {
  const ContractId broken = Buy("ann", ann_, 40, 20);
  const ContractId evicted = Buy("bob", bob_, 40, 20);
  ASSERT_TRUE(RunUntilInForce(Next()));
  const Microcredits fee = FeeFrom(Open(broken), book().in_force_round_id + 1);
  const Microcredits ann = purse("ann").spent;
  const Microcredits bob = purse("bob").spent;
  ASSERT_TRUE(Ask("ann", EndGuest{NewId(), ann_, /*for_good=*/GetParam()}).status.ok());
  ASSERT_TRUE(world_->AskAsOperator(EvictGuest{NewId(), bob_}).status.ok());
  EXPECT_FALSE(IsOpen(broken));
  EXPECT_FALSE(IsOpen(evicted));
  EXPECT_GE(purse("ann").spent - ann, fee);
  EXPECT_LT(purse("bob").spent - bob, fee);
  EXPECT_EQ(purse("ann").escrow + purse("bob").escrow, 0);
  ExpectGoodBooks();
}

TEST_F(ProductsTest, ASubletPassesUnitsOneWayAndMoneyTheOther) {
  const RoundId from = Next();
  const ContractId whole = Buy("ann", ann_, 40, 20);
  ASSERT_TRUE(RunUntilInForce(from));
  const Reply offered = Sublet("ann", whole, 10, 9'000, 3);
  ASSERT_TRUE(offered.status.ok()) << offered.status;
  EXPECT_TRUE(absl::IsInvalidArgument(Take("ann", ann_, offered.offer_id).status));
  const RoundId first = Next();
  const Reply taken = Take("bob", bob_, offered.offer_id);
  ASSERT_TRUE(taken.status.ok()) << taken.status;
  EXPECT_EQ(taken.round_id, first);
  for (RoundId round = first; round < first + 4; ++round) {
    ASSERT_TRUE(RunUntilInForce(round));
    EXPECT_EQ(Held(ann_), round < first + 3 ? 46 : 56);
    EXPECT_EQ(Held(bob_), round < first + 3 ? 26 : 16);
  }
  EXPECT_EQ(purse("ann").earned, 3 * 9'000);
  EXPECT_EQ(Open(whole).paid_microcredits,
            static_cast<int64_t>(first + 3 - from) * ChargeOf(Open(whole)))
      << "what was passed on as well";
  // Not what is not held, nor out of what is out of another's, nor what others hold.
  const ContractId part = Take("bob", bob_, Sublet("ann", whole, 10, 1, 3).offer_id).contract_id;
  EXPECT_TRUE(absl::IsResourceExhausted(Sublet("ann", whole, 31, 1, 2).status));
  EXPECT_TRUE(absl::IsInvalidArgument(Sublet("ann", whole, 1, 1, 50).status));
  EXPECT_TRUE(absl::IsInvalidArgument(Sublet("bob", part, 1, 1, 1).status));
  EXPECT_TRUE(absl::IsNotFound(Sublet("bob", whole, 1, 1, 1).status));
  ExpectGoodBooks();
}

TEST_F(ProductsTest, AnAwardMayBePassedOnUntilItsRoundTakesEffect) {
  PlaceBid bid = MemoryBid(ann_, 50, 900);
  bid.expires_after_rounds = 1;
  ASSERT_TRUE(Bid("ann", bid).status.ok());
  const RoundId round = Next();
  ASSERT_TRUE(RunUntilDecided(round));
  const std::vector<const Contract*> awards = world_->state().contracts.Of(ann_);
  ASSERT_THAT(awards, testing::SizeIs(1));
  const Reply offered = Sublet("ann", awards[0]->contract_id, 20, 30'000, 1, bob_);
  ASSERT_TRUE(offered.status.ok()) << offered.status;
  const Reply taken = Take("bob", bob_, offered.offer_id);
  ASSERT_TRUE(taken.status.ok()) << taken.status;
  EXPECT_EQ(taken.round_id, round);
  EXPECT_EQ(Held(bob_), 16) << "grants change at the effective time alone";
  ASSERT_TRUE(RunUntilInForce(round));
  EXPECT_EQ(Held(ann_), 46);
  EXPECT_EQ(Held(bob_), 36);
  ASSERT_TRUE(RunUntilInForce(round + 1));
  EXPECT_EQ(Held(bob_), 16);
  EXPECT_EQ(purse("ann").earned, 30'000);
  ExpectGoodBooks();
}

TEST_F(ProductsTest, WhenTheLesseeCannotPayItsUnitsGoBackToTheLessor) {
  const RoundId from = Next();
  const ContractId whole = Buy("ann", ann_, 40, 20);
  ASSERT_TRUE(RunUntilInForce(from));
  Take("bob", bob_, Sublet("ann", whole, 10, 9'000, 10).offer_id);
  const RoundId first = Next();
  ASSERT_TRUE(RunUntilInForce(first));
  EXPECT_EQ(Held(bob_), 26);
  ASSERT_TRUE(world_->AskAsOperator(Deposit{NewId(), "bob", -purse("bob").available}).status.ok());
  ASSERT_TRUE(RunUntilInForce(first + 1));
  EXPECT_EQ(Held(bob_), 16);
  EXPECT_EQ(Held(ann_), 56);
  ExpectGoodBooks();
}

TEST_F(ProductsTest, WhenTheLessorLeavesTheOperatorHonoursTheSubletToItsEnd) {
  const RoundId from = Next();
  const ContractId whole = Buy("ann", ann_, 40, 20);
  ASSERT_TRUE(RunUntilInForce(from));
  const ContractId part =
      Take("bob", bob_, Sublet("ann", whole, 10, 9'000, 6).offer_id).contract_id;
  const RoundId first = Next();
  ASSERT_TRUE(RunUntilInForce(first));
  ASSERT_TRUE(Ask("ann", LeaveContract{NewId(), whole}).status.ok());
  // All others' units are sold; the ten stay bob's.
  ASSERT_TRUE(Bid("ann", MemoryBid(ann_, 250, 50'000)).status.ok());
  for (RoundId round = first + 1; round < first + 6; ++round) {
    ASSERT_TRUE(RunUntilInForce(round));
    EXPECT_EQ(Held(bob_), 26) << round - first;
    EXPECT_EQ(Held(ann_), 256 - 26);
  }
  ASSERT_TRUE(RunUntilInForce(first + 6));
  EXPECT_FALSE(IsOpen(part));
  EXPECT_EQ(Held(bob_), 16);
  EXPECT_EQ(purse("ann").earned, 9'000) << "for the round in which the units were still its own";
  ExpectGoodBooks();
}

TEST_F(ProductsTest, ARenewalIsAtThePriceOfTheDayWithinItsCeilingAndBeforeOthers) {
  const RoundId from = Next();
  const ContractId id = Buy("ann", ann_, kShare, 4, 0, /*ceiling=*/200'000);
  // Ann is asked first: others may buy what comes after her second term alone.
  EXPECT_TRUE(absl::IsResourceExhausted(Quote("bob", bob_, 1, 2, from + 4).status));
  EXPECT_TRUE(Quote("bob", bob_, 1, 2, from + 8).status.ok());
  ASSERT_TRUE(RunUntilInForce(from + 4));
  EXPECT_FALSE(IsOpen(id));
  EXPECT_EQ(Held(ann_), 16 + kShare);
  const Contract renewed = *world_->state().contracts.Of(ann_).front();
  EXPECT_EQ(renewed.from_round_id, from + 4);
  EXPECT_EQ(renewed.until_round_id, from + 8);
  EXPECT_EQ(renewed.renew_ceiling_microcredits, 200'000);
  ASSERT_TRUE(Ask("ann", SetRenewal{NewId(), renewed.contract_id, 1}).status.ok());
  ASSERT_TRUE(RunUntilInForce(from + 8));
  EXPECT_EQ(Held(ann_), 16) << "the price of the day is above the ceiling";
  ExpectGoodBooks();
}

TEST_F(ProductsTest, WhatMayBeRenewedIsKeptAlsoWhereTheMachineIsTheLimit) {
  AdmitGuest third = Admission("bob", "three");
  third.seeds[1].second = 120;
  ASSERT_TRUE(world_->AskAsOperator(third).status.ok());
  // 256 less 152 of seeds: the machine has 104, and the share 128.
  const RoundId from = Next();
  Buy("ann", ann_, 100, 4, 0, /*ceiling=*/200'000);
  EXPECT_TRUE(absl::IsResourceExhausted(Quote("bob", bob_, 10, 2, from + 4).status));
  EXPECT_TRUE(Quote("bob", bob_, 10, 2, from + 8).status.ok());
}

TEST_F(ProductsTest, TheFeeStaysSetAsideWhenTheMachineRestarts) {
  const ContractId id = Buy("ann", ann_, 40, 20);
  ASSERT_TRUE(RunUntilInForce(Next()));
  host().Reboot();
  ASSERT_TRUE(world_->RunUntil([&] { return book().boot_id == host().boot_id(); }, 5 * kPeriod));
  EXPECT_GE(Open(id).escrow_microcredits, FeeFrom(Open(id), book().in_force_round_id + 1));
  ExpectGoodBooks();
}

TEST_F(ProductsTest, ATenantHasSoManyOpenOffersAndNoMore) {
  for (size_t i = 0; i < kOpenOffersMax; ++i) ASSERT_TRUE(Quote("ann", ann_, 1, 1).status.ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Quote("ann", ann_, 1, 1).status));
  EXPECT_TRUE(Quote("bob", bob_, 1, 1).status.ok());
  const OfferId one = world_->state().offers.begin()->first;
  ASSERT_TRUE(Ask("ann", WithdrawOffer{NewId(), one}).status.ok());
  EXPECT_TRUE(Quote("ann", ann_, 1, 1).status.ok());
  ASSERT_TRUE(RunUntilInForce(Next() + 8));
  EXPECT_THAT(world_->state().offers, IsEmpty()) << "quotes lapse";
  ExpectGoodBooks();
}

TEST_F(ProductsTest, AQuoteIsOverWithItsTimeAlsoBeforeItIsClosed) {
  world_->config().hosts[0].quotes_valid = absl::Seconds(1);
  world_->Restart();
  ASSERT_TRUE(RunUntilDecided(Next()));
  const GetQuote ask{"over", ann_, {{kMemory, 10}}, 0, 2};
  const OfferId quote = Ask("ann", ask).offer_id;
  world_->Run(absl::Seconds(2));
  ASSERT_TRUE(world_->state().offers.contains(quote)) << "no round was decided meanwhile";
  EXPECT_TRUE(absl::IsNotFound(Take("ann", ann_, quote).status));
  const Reply again = Ask("ann", ask);
  EXPECT_EQ(again.offer_id, quote);
  EXPECT_EQ(again.offer, nullptr) << "asked again, it is no offer any more";
}

// Capacity is promised once, money is never made or lost, what is set aside covers what is due:
// the engine looks after each transaction (promises.h), and the books must agree at the end.
TEST_F(ProductsTest, RandomHistoriesKeepEveryPromise) {
  const uint64_t seed = 20'261'130;
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  Random random(seed);
  int bought = 0;
  int left = 0;
  int sublet = 0;
  for (int step = 0; step < 400; ++step) {
    const bool is_ann = random.Uniform(0, 1) == 0;
    const TenantId tenant = is_ann ? "ann" : "bob";
    const GuestId guest = is_ann ? ann_ : bob_;
    const auto open = world_->state().contracts.Of(guest);
    switch (random.Uniform(0, 7)) {
      case 0:
      case 1: {
        const RoundId from =
            random.Uniform(0, 1) == 0 ? 0 : Next() + static_cast<RoundId>(random.Uniform(1, 6));
        const Reply quote =
            Quote(tenant, guest, random.Uniform(1, 60), random.Uniform(1, 12), from);
        if (!quote.status.ok()) break;
        bought += Take(tenant, guest, quote.offer_id, random.Uniform(0, 1) * 50'000).status.ok();
        break;
      }
      case 2:
        if (!open.empty()) {
          left += Ask(tenant, LeaveContract{NewId(), open.back()->contract_id}).status.ok();
        }
        break;
      case 3: {
        if (open.empty()) break;
        const Reply offer = Sublet(tenant, open.front()->contract_id, random.Uniform(1, 20),
                                   random.Uniform(0, 20'000), random.Uniform(1, 5));
        if (!offer.status.ok()) break;
        sublet += Take(is_ann ? "bob" : "ann", is_ann ? bob_ : ann_, offer.offer_id).status.ok();
        break;
      }
      case 4:
        (void)Bid(tenant, MemoryBid(guest, random.Uniform(1, 200), random.Uniform(400, 2'000)));
        break;
      case 5:
        if (random.Uniform(0, 9) == 0) world_->Restart();
        break;
      default:
        world_->Run(absl::Milliseconds(random.Uniform(1, 15'000)));
    }
    for (const auto& [contract_id, contract] : world_->state().contracts.all()) {
      const RoundId in_force = book().in_force_round_id;
      if (contract.from_round_id > in_force || EndOf(contract) <= in_force + 1) continue;
      ASSERT_GE(contract.escrow_microcredits, FeeFrom(contract, in_force + 1)) << "step " << step;
    }
  }
  EXPECT_GT(bought, 20);
  EXPECT_GT(left, 5);
  EXPECT_GT(sublet, 5);
  State state = world_->state();
  state.RebuildIndexes();
  EXPECT_TRUE(state.host_index == world_->state().host_index);
  ExpectGoodBooks();
}

}  // namespace
}  // namespace nom::market
