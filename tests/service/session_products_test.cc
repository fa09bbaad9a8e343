// SPDX-License-Identifier: Apache-2.0
// The SDK's calls about contracts, tiers and guests against a real marketd: the whole life of each,
// what is refused and how a program reads it, restarts, and calls that are given up and asked
// again.

#include <signal.h>

#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "nom/choice.h"
#include "nom/session.h"
#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

void Until(const std::function<bool()>& so) {
  while (!so()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

// Memory is sold forward up to half of its 64 units, at the reserve of 10: nobody bids here. The
// fee for leaving is a tenth of what is left. Alice may have two guests.
class SessionProductsTest : public MarketTest {
 protected:
  virtual std::string QuotesValidMs() { return "3600000"; }
  std::string Config() override {
    const std::string config = MarketTest::Config();
    // A socket that is the same after a restart.
    const std::string changed = absl::StrReplaceAll(
        config,
        {{"listen: 127.0.0.1:0\nplaintext", "listen: unix:" + dir_.File("socket") + "\nplaintext"},
         {"    period_ms: 1000\n",
          absl::StrCat("    period_ms: 1000\n    quotes_valid_ms: ", QuotesValidMs(), R"(
    tiers:
      - {name: economy, price_percent: 100, floor: {memory: 3, cpu: 2}, floor_every_rounds: 2}
      - {name: gold, price_percent: 300}
    guest_requests:
      tenants:
        - {id: alice, guests_max: 2, seeds: {memory: 12, cpu: 10}}
)")},
         {"reserve_unit_price_microcredits: 10",
          "reserve_unit_price_microcredits: 10\n        forward: {share_percent: 50, "
          "term_premium_ppm: 0, scarcity_premium_ppm: 0}"}});
    EXPECT_THAT(changed, HasSubstr("gold"));
    EXPECT_THAT(changed, HasSubstr("forward"));
    EXPECT_THAT(changed, HasSubstr("unix:"));
    return changed;
  }

  std::unique_ptr<Session> Connect(const Client& as) {
    SessionOptions options;
    options.target = marketd_->grpc_address();
    options.plaintext = true;
    options.token = as.token;
    options.connect_timeout = absl::Seconds(60);
    options.call_timeout = absl::Seconds(60);
    options.backoff_max = absl::Milliseconds(200);
    absl::StatusOr<std::unique_ptr<Session>> session = Session::Connect(std::move(options));
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? *std::move(session) : nullptr;
  }
  static QuoteOptions Memory(int64_t units, int64_t rounds = 1'000) {
    return {
        .guest_id = 0, .units = {{Resource::kMemory, units}}, .rounds = rounds, .from_round_id = 0};
  }
  // Of so much memory; its id.
  static uint64_t Buy(Session& session, int64_t memory) {
    const absl::StatusOr<Offer> offer = session.GetQuote(Memory(memory)).Wait();
    EXPECT_TRUE(offer.ok()) << offer.status();
    if (!offer.ok()) return 0;
    const absl::StatusOr<Taken> taken = session.TakeOffer({.offer_id = offer->offer_id}).Wait();
    EXPECT_TRUE(taken.ok()) << taken.status();
    return taken.ok() ? taken->contract_id : 0;
  }
  static SubletOptions Part(uint64_t contract_id, int64_t memory) {
    return {.contract_id = contract_id,
            .lots = {{Resource::kMemory, memory, 30}},
            .to_guest_id = 0,
            .from_round_id = 0,
            .rounds = 500,
            .valid_for = absl::Hours(1)};
  }
  static std::vector<Contract> Contracts(Session& session) {
    const absl::StatusOr<ContractsPage> page = session.ListContracts().Wait();
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? page->contracts : std::vector<Contract>();
  }
  static std::vector<Offer> Offers(Session& session) {
    const absl::StatusOr<OffersPage> page = session.ListOffers().Wait();
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? page->offers : std::vector<Offer>();
  }
  // What the session's only guest holds, seed included.
  static int64_t MemoryOf(Session& session, uint64_t guest_id = 0) {
    for (const Grant& grant : session.grants(guest_id)) {
      if (grant.resource == Resource::kMemory) return grant.units();
    }
    return -1;
  }
  void ExpectBalanced() {
    operators_pb::AuditResponse audit;
    ASSERT_THAT(Audit(*operator_, &audit), Succeeds());
    EXPECT_TRUE(audit.balanced()) << audit.ShortDebugString();
  }
};

TEST_F(SessionProductsTest, AContractIsQuotedBoughtHeldPassedOnAndLeft) {
  const auto alice = Connect(*alice_);
  const auto bob = Connect(*bob_);
  const absl::StatusOr<Offer> offer = alice->GetQuote(Memory(8)).Wait();
  ASSERT_TRUE(offer.ok()) << offer.status();
  EXPECT_THAT(offer->lots, ElementsAre(Lot{Resource::kMemory, 8, 80}));
  EXPECT_EQ(offer->rounds, 1'000);
  EXPECT_EQ(offer->policy, "forward/1");
  EXPECT_EQ(offer->end_fee_ppm, 100'000);
  EXPECT_TRUE(offer->own);
  EXPECT_THAT(Offers(*bob), IsEmpty()) << "a quote is its guest's alone";
  EXPECT_TRUE(absl::IsNotFound(bob->TakeOffer({.offer_id = offer->offer_id}).Wait().status()));
  const absl::StatusOr<Taken> taken =
      alice->TakeOffer({.offer_id = offer->offer_id, .renew_ceiling_microcredits = 90}).Wait();
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_TRUE(absl::IsNotFound(alice->TakeOffer({.offer_id = offer->offer_id}).Wait().status()))
      << "an offer is taken once";
  Until([&] { return Contracts(*alice).size() == 1; });
  const Contract contract = Contracts(*alice)[0];
  EXPECT_EQ(contract.contract_id, taken->contract_id);
  EXPECT_EQ(contract.kind, ContractKind::kForward);
  EXPECT_EQ(contract.from_round_id, taken->from_round_id);
  EXPECT_EQ(contract.until_round_id, taken->from_round_id + 1'000);
  EXPECT_EQ(contract.period, absl::Seconds(1));
  EXPECT_EQ(contract.renew_ceiling_microcredits, 90);
  EXPECT_EQ(ChargeOf(contract), 80);
  EXPECT_TRUE(alice->SetRenewal(contract.contract_id, 0).Wait().ok());
  EXPECT_TRUE(absl::IsNotFound(bob->SetRenewal(contract.contract_id, 0).Wait().status()));
  Until([&] { return MemoryOf(*alice) == 12; });
  Until([&] {
    const std::vector<ForwardState> forward = bob->market().forward;
    return forward.size() == 1 && forward[0].sold_units == 8 && forward[0].share_units == 32;
  });

  SubletOptions part = Part(contract.contract_id, 3);
  part.to_guest_id = bobs_guest_;
  const absl::StatusOr<Offer> first = alice->OfferSublet(part).Wait();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(absl::IsNotFound(bob->WithdrawOffer(first->offer_id).Wait().status()));
  EXPECT_TRUE(alice->WithdrawOffer(first->offer_id).Wait().ok());
  EXPECT_TRUE(absl::IsNotFound(bob->TakeOffer({.offer_id = first->offer_id}).Wait().status()));
  const absl::StatusOr<Offer> second = alice->OfferSublet(part).Wait();
  ASSERT_TRUE(second.ok()) << second.status();
  Until([&] { return Offers(*bob).size() == 1; });
  EXPECT_FALSE(Offers(*bob)[0].own);
  EXPECT_EQ(Offers(*bob)[0].part_of, contract.contract_id);
  const absl::StatusOr<Taken> rented = bob->TakeOffer({.offer_id = second->offer_id}).Wait();
  ASSERT_TRUE(rented.ok()) << rented.status();
  Until([&] { return MemoryOf(*bob) == 7 && MemoryOf(*alice) == 9; });
  ASSERT_THAT(Contracts(*bob), SizeIs(1));
  EXPECT_EQ(Contracts(*bob)[0].kind, ContractKind::kSublet);

  const absl::StatusOr<uint64_t> left = bob->LeaveContract(rented->contract_id).Wait();
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_TRUE(absl::IsNotFound(bob->LeaveContract(contract.contract_id).Wait().status()));
  Until([&] { return MemoryOf(*bob) == 4 && MemoryOf(*alice) == 12; });
  Until([&] { return bob->ListEndedContracts().Wait()->contracts.size() == 1; });
  const Contract ended = bob->ListEndedContracts().Wait()->contracts[0];
  EXPECT_EQ(ended.contract_id, rented->contract_id);
  EXPECT_EQ(ended.end, ContractEnd::kLeft);
  EXPECT_GT(ended.paid_microcredits, 0);
  EXPECT_THAT(bob->ListEndedContracts(ended.contract_id).Wait()->contracts, IsEmpty());
  ExpectBalanced();
}

TEST_F(SessionProductsTest, TheSameIdTwiceIsCarriedOutOnce) {
  const auto first = Connect(*alice_);
  const CallOptions quote_id{.request_id = "job-7-quote"};
  const CallOptions take_id{.request_id = "job-7-take"};
  const absl::StatusOr<Offer> offer = first->GetQuote(Memory(8), nullptr, quote_id).Wait();
  ASSERT_TRUE(offer.ok()) << offer.status();
  EXPECT_EQ(*first->GetQuote(Memory(8), nullptr, quote_id).Wait(), *offer);
  EXPECT_THAT(Offers(*first), SizeIs(1));
  EXPECT_TRUE(absl::IsAlreadyExists(first->GetQuote(Memory(9), nullptr, quote_id).Wait().status()))
      << "the id is another quote's";
  const TakeOptions take{.offer_id = offer->offer_id};
  const absl::StatusOr<Taken> taken = first->TakeOffer(take, nullptr, take_id).Wait();
  ASSERT_TRUE(taken.ok()) << taken.status();
  // By another process, say, which only knows what it is to do.
  const auto second = Connect(*alice_);
  EXPECT_EQ(second->TakeOffer(take, nullptr, take_id).Wait().value_or(Taken()), *taken);
  const absl::Status gone = second->GetQuote(Memory(8), nullptr, quote_id).Wait().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(gone)) << gone << ": it was taken since";
  const CallOptions sublet_id{.request_id = "job-7-sublet"};
  const SubletOptions part = Part(taken->contract_id, 2);
  const absl::StatusOr<Offer> sublet = first->OfferSublet(part, nullptr, sublet_id).Wait();
  ASSERT_TRUE(sublet.ok()) << sublet.status();
  EXPECT_EQ(second->OfferSublet(part, nullptr, sublet_id).Wait().value_or(Offer()).offer_id,
            sublet->offer_id);
  const CallOptions leave_id{.request_id = "job-7-leave"};
  const absl::StatusOr<uint64_t> left =
      first->LeaveContract(taken->contract_id, nullptr, leave_id).Wait();
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(second->LeaveContract(taken->contract_id, nullptr, leave_id).Wait().value_or(0), *left);
  EXPECT_FALSE(second->LeaveContract(taken->contract_id).Wait().ok()) << "under another id";
  const absl::Status bad =
      second->LeaveContract(1, nullptr, {.request_id = std::string(65, 'x')}).Wait().status();
  EXPECT_TRUE(absl::IsInvalidArgument(bad)) << bad;
  ExpectBalanced();
}

TEST_F(SessionProductsTest, WhatIsBeyondTheShareIsRefusedWithWhatIsLeft) {
  const auto alice = Connect(*alice_);
  const auto bob = Connect(*bob_);
  absl::Status refused = alice->GetQuote(Memory(33)).Wait().status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(
      ShortageOf(refused),
      (Shortage{
          .short_of = ShortOf::kShare, .resource = Resource::kMemory, .asked = 33, .free = 32}));
  // A quote binds no units: of two that together are too many the first has them.
  const absl::StatusOr<Offer> alices = alice->GetQuote(Memory(20)).Wait();
  const absl::StatusOr<Offer> bobs = bob->GetQuote(Memory(20, 5)).Wait();
  ASSERT_TRUE(alices.ok() && bobs.ok()) << alices.status() << bobs.status();
  const absl::StatusOr<Taken> taken = bob->TakeOffer({.offer_id = bobs->offer_id}).Wait();
  ASSERT_TRUE(taken.ok()) << taken.status();
  refused = alice->TakeOffer({.offer_id = alices->offer_id}).Wait().status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  const std::optional<Shortage> shortage = ShortageOf(refused);
  ASSERT_TRUE(shortage.has_value()) << refused;
  EXPECT_EQ(shortage->short_of, ShortOf::kShare);
  EXPECT_EQ(shortage->free, 12);
  EXPECT_EQ(shortage->until_round_id, taken->from_round_id + 5) << "once bob's is over";
  // Money is asked for, too.
  ASSERT_THAT(Deposit(*operator_, "alice", -1'000'000'000, "all"), Succeeds());
  const absl::StatusOr<Offer> less = alice->GetQuote(Memory(12)).Wait();
  ASSERT_TRUE(less.ok()) << less.status();
  refused = alice->TakeOffer({.offer_id = less->offer_id}).Wait().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  ASSERT_TRUE(ShortageOf(refused).has_value());
  EXPECT_EQ(ShortageOf(refused)->short_of, ShortOf::kMeans);
  EXPECT_EQ(ShortageOf(refused)->free, 0);
  // What is not sold by contract at all, or for so long, is another matter: no shortage.
  refused = alice->GetQuote({.units = {{Resource::kCpu, 1}}}).Wait().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_FALSE(ShortageOf(refused).has_value());
  EXPECT_TRUE(absl::IsInvalidArgument(alice->GetQuote(Memory(1, 1'441)).Wait().status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      alice->GetQuote(Memory(std::numeric_limits<int64_t>::max())).Wait().status()));
  ExpectBalanced();
}

TEST_F(SessionProductsTest, WhatIsNotHeldIsNotPassedOn) {
  const auto alice = Connect(*alice_);
  const auto bob = Connect(*bob_);
  const uint64_t whole = Buy(*alice, 8);
  ASSERT_NE(whole, 0u);
  EXPECT_TRUE(absl::IsResourceExhausted(alice->OfferSublet(Part(whole, 9)).Wait().status()));
  EXPECT_TRUE(absl::IsNotFound(bob->OfferSublet(Part(whole, 1)).Wait().status())) << "another's";
  EXPECT_TRUE(absl::IsNotFound(alice->OfferSublet(Part(777, 1)).Wait().status()));
  SubletOptions bad = Part(whole, 1);
  bad.lots[0].resource = Resource::kCpu;
  EXPECT_FALSE(alice->OfferSublet(bad).Wait().ok()) << "it holds no cpu by it";
  bad = Part(whole, 1);
  bad.rounds = 1'001;
  EXPECT_FALSE(alice->OfferSublet(bad).Wait().ok()) << "for longer than it is";
  bad = Part(whole, 1);
  bad.lots[0].charge_microcredits = std::numeric_limits<int64_t>::max();
  EXPECT_TRUE(absl::IsInvalidArgument(alice->OfferSublet(bad).Wait().status()));
  // Two offers of the same units: who takes first has them.
  const absl::StatusOr<Offer> one = alice->OfferSublet(Part(whole, 5)).Wait();
  const absl::StatusOr<Offer> other = alice->OfferSublet(Part(whole, 5)).Wait();
  ASSERT_TRUE(one.ok() && other.ok()) << one.status() << other.status();
  ASSERT_TRUE(bob->TakeOffer({.offer_id = one->offer_id}).Wait().ok());
  EXPECT_TRUE(
      absl::IsResourceExhausted(bob->TakeOffer({.offer_id = other->offer_id}).Wait().status()));
  EXPECT_TRUE(absl::IsResourceExhausted(alice->OfferSublet(Part(whole, 4)).Wait().status()));
  EXPECT_TRUE(alice->OfferSublet(Part(whole, 3)).Wait().ok());
  ExpectBalanced();
}

TEST_F(SessionProductsTest, AQuoteOutlivesMarketd) {
  const auto session = Connect(*alice_);
  const absl::StatusOr<Offer> offer = session->GetQuote(Memory(8)).Wait();
  ASSERT_TRUE(offer.ok()) << offer.status();
  marketd_->Kill();
  // It is asked for while nobody is there to answer, and goes on until somebody is.
  const AsyncCall<Taken> take = session->TakeOffer({.offer_id = offer->offer_id}, nullptr,
                                                   {.timeout = absl::InfiniteDuration()});
  EXPECT_FALSE(take.done());
  ASSERT_TRUE(marketd_->Start().ok());
  const absl::StatusOr<Taken> taken = take.Wait();
  ASSERT_TRUE(taken.ok()) << taken.status();
  Until([&] { return Contracts(*session).size() == 1; });
  EXPECT_EQ(Contracts(*session)[0].contract_id, taken->contract_id);
  EXPECT_EQ(ChargeOf(Contracts(*session)[0]), ChargeOf(*offer)) << "the price that was quoted";
  // And once more with the contract: it is held on.
  marketd_->Kill();
  ASSERT_TRUE(marketd_->Start().ok());
  Until([&] { return !session->stale() && MemoryOf(*session) == 12; });
  EXPECT_THAT(Contracts(*session), SizeIs(1));
  ExpectBalanced();
}

// Marketd does not answer in time, and does or does not carry out what it was asked: nobody knows.
// The same id again finds out, and there is one contract in the end.
TEST_F(SessionProductsTest, ACallWithoutAnAnswerIsAskedAgainUnderItsId) {
  const auto session = Connect(*alice_);
  const absl::StatusOr<Offer> offer = session->GetQuote(Memory(8)).Wait();
  ASSERT_TRUE(offer.ok()) << offer.status();
  const TakeOptions take{.offer_id = offer->offer_id};
  marketd_->Signal(SIGSTOP);
  const absl::Status late =
      session
          ->TakeOffer(take, nullptr,
                      {.timeout = absl::Milliseconds(300), .request_id = "job-8-take"})
          .Wait()
          .status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  const AsyncCall<Offer> cancelled = session->GetQuote(Memory(1));
  cancelled.Cancel();
  EXPECT_TRUE(absl::IsCancelled(cancelled.Wait().status()));
  marketd_->Signal(SIGCONT);
  const CallOptions again{.request_id = "job-8-take"};
  const absl::StatusOr<Taken> taken = session->TakeOffer(take, nullptr, again).Wait();
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(session->TakeOffer(take, nullptr, again).Wait().value_or(Taken()), *taken);
  Until([&] { return MemoryOf(*session) == 12; });
  EXPECT_THAT(Contracts(*session), SizeIs(1)) << "carried out once";
  ExpectBalanced();
}

TEST_F(SessionProductsTest, ATierBidsForItsGuestUntilItIsCleared) {
  const auto session = Connect(*alice_);
  ASSERT_THAT(session->market().tiers, SizeIs(2));
  EXPECT_EQ(session->market().tiers[0].name, "economy");
  EXPECT_EQ(session->market().tiers[1].price_multiple_ppm, 3'000'000);
  const Bid own{.resource = Resource::kMemory, .ranges = {{1, 9, 11, 11}}};
  ASSERT_TRUE(session->Bid(own).ok());
  const TierOptions gold{.guest_id = 0,
                         .wish = {.tier = "gold",
                                  .most_units = {{Resource::kMemory, 20}},
                                  .ceiling_microcredits = 1'000'000}};
  const CallOptions id{.request_id = "tier-1"};
  const absl::StatusOr<uint64_t> round_id = session->SetTier(gold, nullptr, id).Wait();
  ASSERT_TRUE(round_id.ok()) << round_id.status();
  EXPECT_EQ(session->SetTier(gold, nullptr, id).Wait().value_or(0), *round_id);
  Until([&] { return MemoryOf(*session) == 24; });
  EXPECT_EQ(session->guests()[0].tier, gold.wish);
  Until([&] { return session->standing_bids().empty(); });
  EXPECT_FALSE(session->Bid(own).ok()) << "its tier bids";
  TierOptions bad = gold;
  bad.wish.tier = "platinum";
  EXPECT_TRUE(absl::IsInvalidArgument(session->SetTier(bad).Wait().status()));
  bad = gold;
  bad.guest_id = bobs_guest_;
  EXPECT_TRUE(absl::IsNotFound(session->SetTier(bad).Wait().status())) << "another's guest";
  EXPECT_TRUE(absl::IsNotFound(session->ClearTier(bobs_guest_).Wait().status()));
  EXPECT_TRUE(session->ClearTier().Wait().value_or(false));
  EXPECT_FALSE(session->ClearTier().Wait().value_or(true)) << "it has none any more";
  session->TakeOver();
  EXPECT_TRUE(session->Bid(own).ok());
  Until([&] { return MemoryOf(*session) == 13; });
  ExpectBalanced();
}

TEST_F(SessionProductsTest, AGuestIsAskedForWithABundleAndWithinTheQuota) {
  const auto alice = Connect(*alice_);
  const absl::StatusOr<GuestQuota> quota = alice->GetQuota().Wait();
  ASSERT_TRUE(quota.ok()) << quota.status();
  EXPECT_EQ(quota->guests_max, 2);
  EXPECT_EQ(quota->guests, 1);
  EXPECT_THAT(quota->seeds_max, ElementsAre(Pair(Resource::kCpu, 10), Pair(Resource::kMemory, 12)));
  EXPECT_THAT(quota->seeds, ElementsAre(Pair(Resource::kCpu, 5), Pair(Resource::kMemory, 4)));
  EXPECT_TRUE(absl::IsPermissionDenied(
      Connect(*bob_)->RequestGuest({.name = "own", .image = "image"}).Wait().status()))
      << "who has no quota may not ask";

  GuestRequest request{
      .name = "own",
      .image = "image",
      .seeds = {{Resource::kMemory, 9}},
      .bundle =
          GuestBundle{.units = {{Resource::kMemory, 10}}, .rounds = 2, .ceiling_microcredits = 99}};
  absl::Status refused = alice->RequestGuest(request).Wait().status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(
      ShortageOf(refused),
      (Shortage{
          .short_of = ShortOf::kQuotaSeeds, .resource = Resource::kMemory, .asked = 9, .free = 8}));
  request.seeds[Resource::kMemory] = 8;
  refused = alice->RequestGuest(request).Wait().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_EQ(ShortageOf(refused),
            (Shortage{.short_of = ShortOf::kCeiling, .asked = 100, .free = 99}));
  EXPECT_THAT(Contracts(*alice), IsEmpty()) << "nothing is left of all that";
  request.bundle->ceiling_microcredits = 100;
  const CallOptions id{.request_id = "request-1"};
  const absl::StatusOr<RequestedGuest> guest = alice->RequestGuest(request, nullptr, id).Wait();
  ASSERT_TRUE(guest.ok()) << guest.status();
  EXPECT_NE(guest->contract_id, 0u);
  EXPECT_EQ(alice->RequestGuest(request, nullptr, id).Wait().value_or(RequestedGuest()), *guest);
  Until([&] { return MemoryOf(*alice, guest->guest_id) == 18; });
  refused = alice->RequestGuest({.name = "third", .image = "image"}).Wait().status();
  ASSERT_TRUE(ShortageOf(refused).has_value()) << refused;
  EXPECT_EQ(ShortageOf(refused)->short_of, ShortOf::kQuotaGuests);
  // It is renewed by itself, until its ceiling is below the price.
  Until([&] { return !alice->ListEndedContracts().Wait()->contracts.empty(); });
  EXPECT_EQ(alice->ListEndedContracts().Wait()->contracts.back().end, ContractEnd::kOver);
  Until([&] {
    for (const Contract& open : Contracts(*alice)) {
      (void)alice->SetRenewal(open.contract_id, 99).Wait();
    }
    const absl::StatusOr<EndedContractsPage> ended = alice->ListEndedContracts().Wait();
    return ended.ok() && ended->contracts.front().end == ContractEnd::kNotRenewed;
  });
  ExpectBalanced();
}

// What the market tells is what a choice is made of, and the choice is carried out.
TEST_F(SessionProductsTest, ANeedIsMetByTheWayThatWasChosen) {
  const auto session = Connect(*alice_);
  Until([&] { return session->market().priced_round_id >= 12; });
  Need need{.resource = Resource::kMemory,
            .units = 8,
            .rounds = 1,
            .within_rounds = 1,
            .worth_microcredits = 1'000};
  const absl::StatusOr<PricesPage> past = session->ListPrices({.resources = {need.resource}});
  ASSERT_TRUE(past.ok()) << past.status();
  const absl::StatusOr<Offer> offer = session->GetQuote(Memory(need.units, 1)).Wait();
  ASSERT_TRUE(offer.ok()) << offer.status();
  absl::StatusOr<Choice> choice = Choose(need, past->rounds, *offer);
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_GE(choice->blocks, 10);
  EXPECT_EQ(choice->spot.mean_charge_microcredits, 80) << "nobody bids: the reserve";
  EXPECT_EQ(choice->way, Way::kContract) << "at the same price what is certain";
  ASSERT_TRUE(session->TakeOffer({.offer_id = offer->offer_id}).Wait().ok());
  Until([&] { return MemoryOf(*session) == 12; });
  need.worth_microcredits = 79;
  choice = Choose(need, past->rounds, *offer);
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->way, Way::kNothing);
  ExpectBalanced();
}

class ShortQuotesTest : public SessionProductsTest {
 protected:
  std::string QuotesValidMs() override { return "1000"; }
};

TEST_F(ShortQuotesTest, AQuoteWhoseTimeIsOverIsNone) {
  const auto session = Connect(*alice_);
  const CallOptions id{.request_id = "q"};
  const absl::StatusOr<Offer> offer = session->GetQuote(Memory(8), nullptr, id).Wait();
  ASSERT_TRUE(offer.ok()) << offer.status();
  Until([&] { return Offers(*session).empty(); });
  EXPECT_TRUE(absl::IsNotFound(session->TakeOffer({.offer_id = offer->offer_id}).Wait().status()));
  // Asked for again under its id it is told to be open no more, once the market has put it away.
  Until([&] {
    return absl::IsFailedPrecondition(session->GetQuote(Memory(8), nullptr, id).Wait().status());
  });
  EXPECT_TRUE(session->GetQuote(Memory(8)).Wait().ok()) << "a new one";
  EXPECT_THAT(Contracts(*session), IsEmpty());
}

}  // namespace
}  // namespace nom::testing
