// SPDX-License-Identifier: Apache-2.0
// Whole sessions against nom::testing::FakeMarket: tiers, guests that are asked for, refusals that
// programs read, ids that programs choose, contracts that have ended.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "tests/unit/client/session_life_fixture.h"

namespace nom {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class SessionGuestsTest : public SessionLifeTest {
 protected:
  SessionGuestsTest() {
    market_.AddTier({.name = "economy",
                     .price_multiple_ppm = 500'000,
                     .floor_units = {{Resource::kCpu, 2}},
                     .floor_every_rounds = 3});
    market_.AddTier({.name = "gold", .price_multiple_ppm = 3'000'000});
  }
  static TierOptions Gold(int64_t memory) {
    return {.guest_id = 0,
            .wish = {.tier = "gold",
                     .most_units = {{Resource::kMemory, memory}},
                     .ceiling_microcredits = 1'000}};
  }
};

TEST_F(SessionGuestsTest, ATierBidsInTheGuestsPlace) {
  market_.SetPrice(Resource::kMemory, 30);
  Shared shared;
  std::vector<BidChange> changes;
  const auto session = Connect();
  session->OnBidEvent(
      [&](const BidEvent& event) { shared.Do([&] { changes.push_back(event.change); }); });
  const std::vector<Tier> tiers = session->market().tiers;
  ASSERT_THAT(tiers, SizeIs(2));
  EXPECT_EQ(tiers[0].name, "economy");
  EXPECT_EQ(tiers[0].floor_every_rounds, 3);
  EXPECT_THAT(tiers[0].floor_units, ElementsAre(Pair(Resource::kCpu, 2)));
  EXPECT_EQ(tiers[1].price_multiple_ppm, 3'000'000);
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());

  std::vector<uint64_t> told;
  const AsyncCall<uint64_t> set =
      session->SetTier(Gold(20), [&](const absl::StatusOr<uint64_t>& round_id) {
        shared.Do([&] { told.push_back(round_id.value_or(0)); });
      });
  ASSERT_TRUE(set.Wait().ok()) << set.Wait().status();
  shared.WaitUntil([&] { return told.size() == 1; });
  EXPECT_EQ(told[0], *set.Wait());
  EXPECT_THAT(market_.bids(), IsEmpty()) << "its bids went";
  market_.Decide();
  shared.WaitUntil([&] { return !changes.empty(); });
  EXPECT_THAT(changes, ElementsAre(BidChange::kWithdrawn)) << "and the program is told";
  EXPECT_EQ(market_.award_units(guest_, Resource::kMemory), 20);
  Until([&] { return session->guests().size() == 1 && session->guests()[0].tier.has_value(); });
  EXPECT_EQ(session->guests()[0].tier, Gold(20).wish);
  session->TakeOver();
  EXPECT_TRUE(absl::IsFailedPrecondition(session->Bid(MemoryBid(5)).status()));

  // Again for another wish: the ceiling holds.
  ASSERT_TRUE(session->SetTier(Gold(50)).Wait().ok());
  market_.Decide();
  EXPECT_EQ(market_.award_units(guest_, Resource::kMemory), 33) << "of a thousand, at 30";
  const absl::StatusOr<bool> cleared = session->ClearTier().Wait();
  ASSERT_TRUE(cleared.ok()) << cleared.status();
  EXPECT_TRUE(*cleared);
  EXPECT_EQ(session->ClearTier().Wait().value_or(true), false) << "it has none any more";
  EXPECT_TRUE(session->Bid(MemoryBid(6)).ok());
  market_.Decide();
  EXPECT_EQ(market_.award_units(guest_, Resource::kMemory), 6);
  Until([&] { return !session->guests()[0].tier.has_value(); });
}

TEST_F(SessionGuestsTest, TheLowestTierHasItsFloorInOneOfSoManyRounds) {
  const auto session = Connect();
  const TierOptions economy{
      .guest_id = guest_,
      .wish = {
          .tier = "economy", .most_units = {{Resource::kCpu, 10}}, .ceiling_microcredits = 1'000}};
  ASSERT_TRUE(session->SetTier(economy).Wait().ok());
  std::vector<int64_t> won;
  for (int round = 1; round <= 6; ++round) {
    market_.Decide();
    won.push_back(market_.award_units(guest_, Resource::kCpu));
  }
  EXPECT_THAT(won, ElementsAre(0, 0, 2, 0, 0, 2));
}

TEST_F(SessionGuestsTest, TiersThatCannotBeSet) {
  const auto session = Connect();
  TierOptions bad = Gold(20);
  bad.wish.tier = "platinum";
  EXPECT_TRUE(absl::IsInvalidArgument(session->SetTier(bad).Wait().status()));
  bad = Gold(20);
  bad.wish.most_units.clear();
  EXPECT_TRUE(absl::IsInvalidArgument(session->SetTier(bad).Wait().status()));
  bad = Gold(20);
  bad.wish.ceiling_microcredits = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(session->SetTier(bad).Wait().status()));
  bad = Gold(20);
  bad.guest_id = 777;
  EXPECT_TRUE(absl::IsNotFound(session->SetTier(bad).Wait().status()));
  EXPECT_TRUE(absl::IsNotFound(session->ClearTier(777).Wait().status()));
  market_.AddGuest("other");
  Until([&] { return session->guests().size() == 2; });
  EXPECT_FALSE(session->SetTier(Gold(20)).Wait().ok()) << "which of the two?";
  EXPECT_FALSE(session->ClearTier().Wait().ok());
}

TEST_F(SessionGuestsTest, AGuestIsAskedForWithinTheQuota) {
  const auto session = Connect();
  GuestRequest request{.name = "worker", .image = "batch", .seeds = {{Resource::kMemory, 8}}};
  EXPECT_TRUE(absl::IsPermissionDenied(session->RequestGuest(request).Wait().status()));
  market_.SetQuota(3, {{Resource::kMemory, 12}});
  const absl::StatusOr<GuestQuota> quota = session->GetQuota().Wait();
  ASSERT_TRUE(quota.ok()) << quota.status();
  EXPECT_EQ(quota->guests_max, 3);
  EXPECT_EQ(quota->guests, 1);
  EXPECT_THAT(quota->seeds_max, ElementsAre(Pair(Resource::kMemory, 12)));
  EXPECT_THAT(quota->seeds, ElementsAre(Pair(Resource::kMemory, 1)));

  request.seeds[Resource::kMemory] = 12;
  absl::Status refused = session->RequestGuest(request).Wait().status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(ShortageOf(refused), (Shortage{.short_of = ShortOf::kQuotaSeeds,
                                           .resource = Resource::kMemory,
                                           .asked = 12,
                                           .free = 11}))
      << "a program reads why";
  request.seeds[Resource::kMemory] = 8;
  market_.LoseAnswers(2);
  const int64_t writes = market_.write_calls();
  const absl::StatusOr<RequestedGuest> guest = session->RequestGuest(request).Wait();
  ASSERT_TRUE(guest.ok()) << guest.status();
  EXPECT_EQ(market_.write_calls(), writes + 3) << "tried again, and there is one of it";
  EXPECT_EQ(guest->contract_id, 0u);
  Until([&] { return session->guests().size() == 2; });
  EXPECT_THAT(
      session->grants(guest->guest_id),
      ::testing::Contains(::testing::AllOf(::testing::Field(&Grant::resource, Resource::kMemory),
                                           ::testing::Field(&Grant::seed_units, 8))));
  EXPECT_TRUE(absl::IsAlreadyExists(session->RequestGuest(request).Wait().status()));
}

TEST_F(SessionGuestsTest, ABundleComesWithItsGuestOrNeither) {
  market_.SetQuota(9, {});
  market_.SetForwardPrice(Resource::kCpu, 40);
  const auto session = Connect();
  GuestRequest request{
      .name = "legacy",
      .image = "batch",
      .bundle =
          GuestBundle{.units = {{Resource::kCpu, 10}}, .rounds = 2, .ceiling_microcredits = 399}};
  absl::Status refused = session->RequestGuest(request).Wait().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_EQ(ShortageOf(refused),
            (Shortage{.short_of = ShortOf::kCeiling, .asked = 400, .free = 399}));
  request.bundle->units[Resource::kCpu] = 1'001;
  refused = session->RequestGuest(request).Wait().status();
  EXPECT_EQ(
      ShortageOf(refused),
      (Shortage{
          .short_of = ShortOf::kShare, .resource = Resource::kCpu, .asked = 1'001, .free = 1'000}));
  EXPECT_THAT(market_.contracts(), IsEmpty());
  EXPECT_THAT(session->GetQuota().Wait()->guests, 1) << "nobody was admitted";
  request.bundle =
      GuestBundle{.units = {{Resource::kCpu, 10}}, .rounds = 2, .ceiling_microcredits = 400};
  const absl::StatusOr<RequestedGuest> guest = session->RequestGuest(request).Wait();
  ASSERT_TRUE(guest.ok()) << guest.status();
  ASSERT_THAT(market_.contracts(), SizeIs(1));
  EXPECT_EQ(market_.contracts()[0].contract_id, guest->contract_id);
  EXPECT_EQ(market_.contracts()[0].renew_ceiling_microcredits, 400);
  market_.Decide();
  EXPECT_EQ(market_.award_units(guest->guest_id, Resource::kCpu), 10);
  market_.Decide();
  EXPECT_THAT(market_.contracts(), SizeIs(1)) << "renewed";
  market_.SetForwardPrice(Resource::kCpu, 41);
  market_.Decide();
  market_.Decide();
  const absl::StatusOr<EndedContractsPage> ended = session->ListEndedContracts().Wait();
  ASSERT_TRUE(ended.ok()) << ended.status();
  ASSERT_THAT(ended->contracts, SizeIs(1));
  EXPECT_EQ(ended->contracts[0].contract_id, guest->contract_id);
  EXPECT_EQ(ended->contracts[0].end, ContractEnd::kNotRenewed);
  EXPECT_EQ(ended->next_before_contract_id, 0u);
  EXPECT_THAT(session->ListEndedContracts(guest->contract_id).Wait()->contracts, IsEmpty());
}

TEST_F(SessionGuestsTest, ARefusalOfAQuoteSaysWhatIsLeft) {
  const auto session = Connect();
  const absl::Status refused =
      session->GetQuote({.units = {{Resource::kMemory, 1'001}}}).Wait().status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(ShortageOf(refused), (Shortage{.short_of = ShortOf::kShare,
                                           .resource = Resource::kMemory,
                                           .asked = 1'001,
                                           .free = 1'000}));
  EXPECT_EQ(ShortageOf(session->GetQuote({}).Wait().status()), std::nullopt)
      << "another refusal has none";
  EXPECT_EQ(ShortageOf(absl::OkStatus()), std::nullopt);
}

// An id of the program's own outlives the call, and the program.
TEST_F(SessionGuestsTest, ACallThatWasGivenUpIsAskedAgainUnderItsId) {
  absl::StatusOr<Offer> offer = absl::UnknownError("");
  {
    const auto session = Connect();
    market_.LoseAnswers(1'000'000);
    const QuoteOptions wanted{.units = {{Resource::kMemory, 10}}, .rounds = 5};
    const CallOptions quick{.timeout = absl::Milliseconds(100), .request_id = "job-7-quote"};
    // Given up before or after it was carried out: whichever it is, there is one offer in the end.
    EXPECT_TRUE(
        absl::IsDeadlineExceeded(session->GetQuote(wanted, nullptr, quick).Wait().status()));
    market_.LoseAnswers(0);
    const CallOptions patient{.timeout = absl::InfiniteDuration(), .request_id = "job-7-quote"};
    offer = session->GetQuote(wanted, nullptr, patient).Wait();
    ASSERT_TRUE(offer.ok()) << offer.status();
    EXPECT_THAT(session->ListOffers().Wait()->offers, SizeIs(1));
    EXPECT_TRUE(absl::IsAlreadyExists(
        session->GetQuote({.units = {{Resource::kMemory, 11}}}, nullptr, patient).Wait().status()))
        << "the id is that of another quote";
  }
  const CallOptions mine{.request_id = "job-7-take"};
  absl::StatusOr<Taken> first = absl::UnknownError("");
  {
    const auto session = Connect();
    first = session->TakeOffer({.offer_id = offer->offer_id}, nullptr, mine).Wait();
    ASSERT_TRUE(first.ok()) << first.status();
  }
  const auto session = Connect();
  const absl::StatusOr<Taken> again =
      session->TakeOffer({.offer_id = offer->offer_id}, nullptr, mine).Wait();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, *first);
  EXPECT_THAT(market_.contracts(), SizeIs(1));
}

TEST_F(SessionGuestsTest, WhatIsSoldByContractIsTold) {
  market_.SetForwardPrice(Resource::kMemory, 44);
  market_.Decide();
  const auto session = Connect();
  std::vector<std::pair<Resource, int64_t>> prices;
  for (const ForwardState& forward : session->market().forward) {
    if (forward.resource != Resource::kMemory) continue;
    EXPECT_EQ(forward.share_units, 1'000);
    EXPECT_EQ(forward.sold_units, 0);
    EXPECT_EQ(forward.forecast_unit_price_microcredits, 1);
    EXPECT_EQ(forward.rounds_max, 100'000);
    EXPECT_EQ(forward.round_id, 2u);
    prices.emplace_back(forward.resource, forward.unit_price_microcredits.value_or(-1));
  }
  EXPECT_THAT(prices, UnorderedElementsAre(Pair(Resource::kMemory, 44)));
}

}  // namespace
}  // namespace nom
