// What a session decides, with time and the market's words handed in.

#include "client/src/session_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <utility>

#include "tests/unit/client/fake_market.h"

namespace nom::client {
namespace {

using client_test::MakeGuest;
using client_test::MakeState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SessionCoreTest : public ::testing::Test {
 protected:
  static Backoff MakeBackoff() {
    // Half of the range: pauses are three quarters of the step.
    return Backoff(absl::Milliseconds(100), absl::Seconds(10), [] { return 0.5; });
  }
  Instant Now() const { return {.wall = wall_, .steady = steady_}; }
  void Advance(absl::Duration by) {
    wall_ += by;
    steady_ += by;
  }
  // A response of a round whose prices are good for `good_for`.
  market::v1::WatchResponse Response(uint64_t round_id, absl::Duration good_for) const {
    market::v1::WatchResponse response;
    response.set_sequence(round_id * 10);
    *response.mutable_state() = MakeState(round_id, 100, 30, wall_ + good_for);
    *response.add_guests() = MakeGuest(3, "cache");
    return response;
  }
  SessionCore Live(SessionCore::Limits limits = {}) {
    SessionCore core(std::move(limits), MakeBackoff());
    EXPECT_TRUE(core.OnTime(Now()).open_stream);
    core.OnResponse(Response(5, absl::Seconds(4)), Now());
    return core;
  }
  static Bid MemoryBid(int64_t units, int64_t price) {
    return {.guest_id = 3, .resource = Resource::kMemory, .ranges = {{1, units, price, price}}};
  }

  absl::Time wall_ = absl::FromUnixSeconds(1'700'000'000);
  absl::Duration steady_ = absl::Seconds(50);
};

TEST_F(SessionCoreTest, OpensAStreamAtOnceAndIsStaleUntilTheFirstWord) {
  SessionCore core({}, MakeBackoff());
  EXPECT_TRUE(core.prices().stale);
  EXPECT_TRUE(core.OnTime(Now()).open_stream);
  EXPECT_FALSE(core.OnTime(Now()).open_stream) << "one stream at a time";
  const SessionCore::Output output = core.OnResponse(Response(5, absl::Seconds(4)), Now());
  EXPECT_TRUE(output.priced);
  ASSERT_TRUE(output.staleness.has_value());
  EXPECT_FALSE(output.staleness->stale);
  EXPECT_FALSE(core.prices().stale);
  EXPECT_EQ(core.prices().round_id, 4u);
  EXPECT_EQ(core.prices()[Resource::kCpu].unit_price_microcredits, 100);
  EXPECT_EQ(core.prices()[Resource::kCpu].bound_by, BoundBy::kBids);
  EXPECT_FALSE(core.prices()[Resource::kDisk].offered);
  EXPECT_EQ(core.after_sequence(), 50u);
  EXPECT_EQ(core.state(), SessionState::kLive);
}

TEST_F(SessionCoreTest, TellsARoundOnce) {
  SessionCore core = Live();
  EXPECT_FALSE(core.OnResponse(Response(5, absl::Seconds(4)), Now()).priced);
  EXPECT_TRUE(core.OnResponse(Response(6, absl::Seconds(4)), Now()).priced);
}

TEST_F(SessionCoreTest, PricesGrowStaleWhenTheirTimeIsOverAndNotBefore) {
  SessionCore core = Live();
  EXPECT_EQ(core.next_wake(), steady_ + absl::Seconds(4));
  Advance(absl::Seconds(4) - absl::Nanoseconds(1));
  EXPECT_FALSE(core.OnTime(Now()).staleness.has_value());
  Advance(absl::Nanoseconds(1));
  const SessionCore::Output output = core.OnTime(Now());
  ASSERT_TRUE(output.staleness.has_value());
  EXPECT_TRUE(output.staleness->stale);
  EXPECT_TRUE(core.prices().stale);
  EXPECT_EQ(core.prices()[Resource::kCpu].unit_price_microcredits, 100) << "kept, but marked";
  EXPECT_FALSE(core.OnTime(Now()).staleness.has_value()) << "told once";
}

TEST_F(SessionCoreTest, AClockThatLagsCannotKeepPricesFreshForEver) {
  SessionCore core({}, MakeBackoff());
  core.OnTime(Now());
  core.OnResponse(Response(5, absl::Hours(1)), Now());  // As seen by a clock an hour behind.
  Advance(absl::Seconds(6));                            // Three periods.
  EXPECT_TRUE(core.OnTime(Now()).staleness.has_value());
  EXPECT_TRUE(core.prices().stale);
}

TEST_F(SessionCoreTest, PricesThatCameTooLateStayStale) {
  SessionCore core({}, MakeBackoff());
  core.OnTime(Now());
  EXPECT_FALSE(core.OnResponse(Response(5, absl::Seconds(-1)), Now()).staleness.has_value());
  EXPECT_TRUE(core.prices().stale);
}

TEST_F(SessionCoreTest, ALostStreamIsSafeModeAtOnceAndIsOpenedAgainLaterAndLater) {
  SessionCore core = Live();
  absl::Duration step = absl::Milliseconds(100);
  for (int lost = 0; lost < 9; ++lost) {
    const SessionCore::Output output =
        core.OnStreamEnded(absl::UnavailableError("connection refused"), Now());
    EXPECT_EQ(output.staleness.has_value(), lost == 0);
    EXPECT_TRUE(core.prices().stale);
    EXPECT_EQ(core.state(), SessionState::kLost);
    const absl::Duration pause = step * 3 / 4;
    EXPECT_EQ(core.next_wake(), steady_ + pause);
    Advance(pause - absl::Nanoseconds(1));
    EXPECT_FALSE(core.OnTime(Now()).open_stream);
    Advance(absl::Nanoseconds(1));
    EXPECT_TRUE(core.OnTime(Now()).open_stream);
    step = std::min(step * 2, absl::Seconds(10));
  }
  EXPECT_EQ(core.after_sequence(), 50u) << "asks for what came after the last thing it saw";
  // Fresh prices end it, and the next loss begins with a short pause again.
  EXPECT_TRUE(core.OnResponse(Response(7, absl::Seconds(4)), Now()).staleness.has_value());
  EXPECT_FALSE(core.prices().stale);
  core.OnStreamEnded(absl::UnavailableError("again"), Now());
  EXPECT_EQ(core.next_wake(), steady_ + absl::Milliseconds(75));
}

TEST_F(SessionCoreTest, StalePricesOnANewStreamDoNotShortenThePause) {
  SessionCore core = Live();
  for (int i = 0; i < 3; ++i) {
    core.OnStreamEnded(absl::UnavailableError("gone"), Now());
    Advance(absl::Seconds(10));
    core.OnTime(Now());
    core.OnResponse(Response(5, absl::Seconds(-1)), Now());
  }
  core.OnStreamEnded(absl::UnavailableError("gone"), Now());
  EXPECT_EQ(core.next_wake(), steady_ + absl::Milliseconds(600));
}

TEST_F(SessionCoreTest, ASilentStreamIsGivenUp) {
  SessionCore core = Live();
  Advance(absl::Seconds(9.9));
  EXPECT_FALSE(core.OnTime(Now()).cancel_stream);
  Advance(absl::Seconds(0.1));
  EXPECT_TRUE(core.OnTime(Now()).cancel_stream);
  EXPECT_FALSE(core.OnTime(Now()).cancel_stream) << "once";
  core.OnStreamEnded(absl::CancelledError("cancelled"), Now());
  Advance(absl::Milliseconds(75));
  EXPECT_TRUE(core.OnTime(Now()).open_stream);
}

TEST_F(SessionCoreTest, ANoticeIsToldOnceEvenIfTheMarketTellsItAgain) {
  SessionCore core = Live();
  market::v1::WatchResponse response;
  market::v1::Notice* notice = response.add_notices();
  notice->set_guest_id(3);
  notice->set_round_id(5);
  notice->set_kind(market::v1::RESOURCE_KIND_MEMORY);
  notice->set_units_now(40);
  notice->set_units_next(24);
  const SessionCore::Output output = core.OnResponse(response, Now());
  ASSERT_THAT(output.notices, SizeIs(1));
  EXPECT_EQ(output.notices[0].units_next, 24);
  EXPECT_THAT(core.OnResponse(response, Now()).notices, IsEmpty());
  notice->set_round_id(6);
  EXPECT_THAT(core.OnResponse(response, Now()).notices, SizeIs(1));
  notice->set_kind(market::v1::RESOURCE_KIND_CPU);
  EXPECT_THAT(core.OnResponse(response, Now()).notices, SizeIs(1)) << "another resource";
  notice->set_withdrawn(true);
  EXPECT_THAT(core.OnResponse(response, Now()).notices, SizeIs(1)) << "that it does not come";
  notice->set_withdrawn(false);
  notice->set_kind(static_cast<market::v1::ResourceKind>(99));
  EXPECT_THAT(core.OnResponse(response, Now()).notices, IsEmpty()) << "unknown to this version";
}

TEST_F(SessionCoreTest, AnotherLedgerTellsItsRoundsFromTheStart) {
  SessionCore core = Live();
  market::v1::WatchResponse notice;
  notice.add_notices()->set_guest_id(3);
  notice.mutable_notices(0)->set_kind(market::v1::RESOURCE_KIND_MEMORY);
  notice.mutable_notices(0)->set_round_id(5);
  EXPECT_THAT(core.OnResponse(notice, Now()).notices, SizeIs(1));
  core.OnPlaced(MemoryBid(4, 100), 5);
  core.OnResponse(Response(2, absl::Seconds(4)), Now());
  notice.mutable_notices(0)->set_round_id(2);
  EXPECT_THAT(core.OnResponse(notice, Now()).notices, SizeIs(1));
  EXPECT_THAT(core.Due(), SizeIs(1)) << "the new market does not know the bid";
}

TEST_F(SessionCoreTest, BidsAreRenewedBeforeTheyLapseAndNotInSafeMode) {
  SessionCore core = Live({.bid_lifetime_rounds = 4});
  core.OnPlaced(MemoryBid(4, 100), 5);  // Takes part in 5, 6, 7 and 8.
  EXPECT_THAT(core.Due(), IsEmpty());
  core.OnResponse(Response(6, absl::Seconds(4)), Now());
  EXPECT_THAT(core.Due(), IsEmpty());
  core.OnResponse(Response(7, absl::Seconds(4)), Now());
  EXPECT_THAT(core.Due(), ElementsAre(std::pair(uint64_t{3}, Resource::kMemory)));
  EXPECT_TRUE(core.AnyDue());
  EXPECT_EQ(core.DueBid(3, Resource::kMemory), MemoryBid(4, 100));
  EXPECT_EQ(core.DueBid(3, Resource::kCpu), std::nullopt);
  EXPECT_TRUE(core.OnRenewalFailed(MemoryBid(4, 100), absl::UnavailableError("gone")));
  EXPECT_THAT(core.Due(), IsEmpty()) << "not again in the same round";
  EXPECT_FALSE(core.AnyDue());
  EXPECT_EQ(core.DueBid(3, Resource::kMemory), std::nullopt);
  core.OnResponse(Response(8, absl::Seconds(4)), Now());
  EXPECT_THAT(core.Due(), SizeIs(1));
  EXPECT_FALSE(core.OnRenewalFailed(MemoryBid(4, 100), absl::UnavailableError("gone")))
      << "the same reason is no news";
  core.OnResponse(Response(9, absl::Seconds(4)), Now());
  core.OnStreamEnded(absl::UnavailableError("gone"), Now());
  EXPECT_THAT(core.Due(), IsEmpty()) << "safe mode lets bids lapse";
  core.OnResponse(Response(12, absl::Seconds(4)), Now());
  EXPECT_THAT(core.Due(), SizeIs(1)) << "and takes them up again";
  core.OnPlaced(MemoryBid(4, 100), 12);
  EXPECT_THAT(core.Due(), IsEmpty());
  EXPECT_TRUE(core.OnRenewalFailed(MemoryBid(4, 100), absl::UnavailableError("gone")))
      << "it was good in between";
  core.OnWithdrawing(3, Resource::kMemory);
  core.OnResponse(Response(20, absl::Seconds(4)), Now());
  EXPECT_THAT(core.Due(), IsEmpty());
}

TEST_F(SessionCoreTest, ABidForSomeRoundsIsNotRenewedAndHoldsItsBudgetUntilItLapses) {
  SessionCore core = Live({.budget_per_round_microcredits = 100});
  Bid memory = MemoryBid(4, 100);
  memory.rounds = 2;
  const absl::StatusOr<Bid> prepared = core.Prepare(memory);
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  core.OnPlaced(*prepared, 5);  // Takes part in 5 and 6.
  Bid cpu = MemoryBid(4, 100);
  cpu.resource = Resource::kCpu;
  core.OnResponse(Response(6, absl::Seconds(4)), Now());
  EXPECT_THAT(core.Due(), IsEmpty());
  EXPECT_EQ(core.Prepare(cpu).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(core.standing_bids(), SizeIs(1));
  core.OnResponse(Response(7, absl::Seconds(4)), Now());
  EXPECT_THAT(core.Due(), IsEmpty());
  EXPECT_THAT(core.standing_bids(), IsEmpty());
  EXPECT_TRUE(core.Prepare(cpu).ok());
}

TEST_F(SessionCoreTest, AnUnsureBidForManyRoundsHoldsItsBudgetForAsLong) {
  SessionCore core = Live({.bid_lifetime_rounds = 3, .budget_per_round_microcredits = 100});
  Bid memory = MemoryBid(4, 100);
  memory.rounds = 9;
  ASSERT_TRUE(core.Prepare(memory).ok());
  core.OnUnsure(memory);
  Bid cpu = MemoryBid(4, 100);
  cpu.resource = Resource::kCpu;
  core.OnResponse(Response(6, absl::Seconds(4)), Now());
  core.OnResponse(Response(16, absl::Seconds(4)), Now());
  EXPECT_EQ(core.Prepare(cpu).status().code(), absl::StatusCode::kResourceExhausted);
  core.OnResponse(Response(17, absl::Seconds(4)), Now());
  EXPECT_TRUE(core.Prepare(cpu).ok());
}

TEST_F(SessionCoreTest, AnAnswerFromThePastDoesNotMakeABidDueForEver) {
  SessionCore core = Live({.bid_lifetime_rounds = 2});
  core.OnPlaced(MemoryBid(4, 100), 0);
  EXPECT_THAT(core.Due(), IsEmpty());
}

TEST_F(SessionCoreTest, SafeModeRefusesBids) {
  SessionCore core = Live();
  EXPECT_TRUE(core.Prepare(MemoryBid(4, 100)).ok());
  Advance(absl::Seconds(4));
  core.OnTime(Now());
  const absl::Status status = core.Prepare(MemoryBid(4, 100)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("stale"));
}

TEST_F(SessionCoreTest, GuestZeroIsTheOnlyOne) {
  SessionCore core({}, MakeBackoff());
  EXPECT_EQ(core.ResolveGuest(0).status().code(), absl::StatusCode::kFailedPrecondition);
  core.OnTime(Now());
  core.OnResponse(Response(5, absl::Seconds(4)), Now());
  EXPECT_EQ(*core.ResolveGuest(0), 3u);
  EXPECT_EQ(*core.ResolveGuest(8), 8u) << "the market says whose it is";
  market::v1::WatchResponse two = Response(5, absl::Seconds(4));
  *two.add_guests() = MakeGuest(4, "batch");
  core.OnResponse(two, Now());
  EXPECT_EQ(core.ResolveGuest(0).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SessionCoreTest, CeilingCutsWhatABidSaysAUnitIsWorth) {
  SessionCore core = Live({.unit_price_ceilings_microcredits = {{Resource::kMemory, 60}}});
  const absl::StatusOr<Bid> bid = core.Prepare(MemoryBid(4, 100));
  ASSERT_TRUE(bid.ok()) << bid.status();
  ASSERT_THAT(bid->ranges, SizeIs(1));
  EXPECT_EQ(bid->ranges[0], (BidRange{1, 4, 60, 60}));
  Bid cpu = MemoryBid(4, 100);
  cpu.resource = Resource::kCpu;
  EXPECT_EQ(core.Prepare(cpu)->ranges, cpu.ranges) << "another resource has no ceiling";
}

TEST_F(SessionCoreTest, ACeilingOfNothingLeavesNoBid) {
  SessionCore core = Live({.unit_price_ceilings_microcredits = {{Resource::kMemory, 0}}});
  EXPECT_EQ(core.Prepare(MemoryBid(4, 100)).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(SessionCoreTest, BudgetHoldsOverAllBidsOfTheSession) {
  SessionCore core = Live({.bid_lifetime_rounds = 3, .budget_per_round_microcredits = 1000});
  absl::StatusOr<Bid> memory = core.Prepare(MemoryBid(4, 100));
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(memory->budget_microcredits, 400) << "what the curve can ever cost";
  core.OnPlaced(*memory, 5);

  Bid cpu = MemoryBid(50, 100);
  cpu.resource = Resource::kCpu;
  EXPECT_EQ(core.Prepare(cpu)->budget_microcredits, 600) << "the rest";
  core.OnRefused(cpu);
  cpu.budget_microcredits = 601;
  EXPECT_EQ(core.Prepare(cpu).status().code(), absl::StatusCode::kResourceExhausted);
  cpu.budget_microcredits = 600;
  ASSERT_TRUE(core.Prepare(cpu).ok());
  core.OnPlaced(cpu, 5);

  Bid other = MemoryBid(1, 1);
  other.guest_id = 9;
  EXPECT_EQ(core.Prepare(other).status().code(), absl::StatusCode::kResourceExhausted)
      << "nothing is left";
  // A bid may be replaced within its own share; and what nobody knows to be gone still counts.
  memory->rounds = 3;
  ASSERT_TRUE(core.Prepare(*memory).ok());
  core.OnUnsure(*memory);
  EXPECT_EQ(core.Prepare(other).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(core.standing_bids(), ElementsAre(cpu));
  core.OnResponse(Response(9, absl::Seconds(4)), Now());
  core.OnResponse(Response(13, absl::Seconds(4)), Now());
  EXPECT_EQ(core.Prepare(other).status().code(), absl::StatusCode::kResourceExhausted)
      << "it may have been placed up to round 10, for 3 rounds: nothing was seen before 9";
  core.OnResponse(Response(14, absl::Seconds(4)), Now());
  EXPECT_TRUE(core.Prepare(other).ok()) << "it has lapsed by now";
}

TEST_F(SessionCoreTest, ABidThatMayNotHaveComeIsTriedUntilItIsReplacedOrWithdrawn) {
  SessionCore core = Live({.bid_lifetime_rounds = 3});
  core.OnPlaced(MemoryBid(4, 100), 5);
  core.OnUnsure(*core.Prepare(MemoryBid(7, 100)));
  EXPECT_THAT(core.Due(), IsEmpty()) << "it was tried in this round";
  EXPECT_THAT(core.standing_bids(), ElementsAre(MemoryBid(7, 100)));
  core.OnResponse(Response(6, absl::Seconds(4)), Now());
  EXPECT_EQ(core.DueBid(3, Resource::kMemory), MemoryBid(7, 100));
  EXPECT_TRUE(core.OnRenewalFailed(MemoryBid(7, 100), absl::UnavailableError("gone"))) << "told";
  core.OnResponse(Response(7, absl::Seconds(4)), Now());
  EXPECT_THAT(core.Due(), SizeIs(1));
  core.OnPlaced(MemoryBid(7, 100), 7);
  EXPECT_THAT(core.Due(), IsEmpty());
  core.OnUnsure(*core.Prepare(MemoryBid(8, 100)));
  core.OnWithdrawing(3, Resource::kMemory);
  core.OnResponse(Response(8, absl::Seconds(4)), Now());
  EXPECT_THAT(core.Due(), IsEmpty());
}

// A market in which answers are lost, rounds go by unseen, and a bid takes part from its round or
// the next one on. What it holds of the session is never above the session's budget.
TEST_F(SessionCoreTest, TheBudgetHoldsWhateverIsLostOrUnseen) {
  constexpr int64_t kBudget = 1'000;
  constexpr uint64_t kLifetime = 3;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto between = [&](int64_t low, int64_t high) {
      return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
    };
    const auto one_in = [&](int64_t n) { return between(1, n) == 1; };
    SessionCore core =
        Live({.bid_lifetime_rounds = kLifetime, .budget_per_round_microcredits = kBudget});
    uint64_t round = 5;
    std::map<Resource, std::pair<int64_t, uint64_t>> held;  // Budget and last round.
    // Attempts of one call; true if the last one's answer came.
    const auto send = [&](const Bid& bid, uint64_t& first, bool& refused) {
      refused = false;
      for (int64_t tries = between(1, 3); tries > 0; --tries) {
        if (one_in(4)) round += static_cast<uint64_t>(between(1, 30));
        if (one_in(5)) {
          refused = true;  // For another reason than what it says: too many calls, a bad token.
          return false;
        }
        first = round + static_cast<uint64_t>(between(0, 1));
        if (one_in(4)) continue;  // It did not come.
        const uint64_t rounds = bid.rounds != 0 ? bid.rounds : kLifetime;
        held[bid.resource] = {*bid.budget_microcredits, first + rounds - 1};
        if (one_in(2)) return true;
      }
      return false;
    };
    for (int step = 0; step < 1'000; ++step) {
      uint64_t first = 0;
      bool refused = false;
      if (one_in(3)) {
        if (one_in(2)) round += one_in(5) ? static_cast<uint64_t>(between(1, 30)) : 1;
        core.OnResponse(Response(round, absl::Seconds(4)), Now());
      } else if (one_in(6)) {
        const auto resource = static_cast<Resource>(between(1, 3));
        core.OnWithdrawing(3, resource);
        const bool came = one_in(2);
        if (came) held.erase(resource);
        if (came && one_in(2)) core.OnWithdrawn(3, resource);
      } else if (one_in(3)) {
        for (const auto& [guest_id, resource] : core.Due()) {
          const Bid bid = *core.DueBid(guest_id, resource);
          if (send(bid, first, refused)) {
            core.OnPlaced(bid, first);
          } else {
            core.OnRenewalFailed(bid, absl::UnavailableError("lost"));
          }
        }
      } else {
        Bid bid = MemoryBid(4, 100);
        bid.resource = static_cast<Resource>(between(1, 3));
        bid.budget_microcredits = between(0, kBudget);
        if (one_in(3)) bid.rounds = static_cast<uint32_t>(between(1, 6));
        const absl::StatusOr<Bid> prepared = core.Prepare(bid);
        if (!prepared.ok()) continue;
        const auto before = held;
        if (send(*prepared, first, refused)) {
          core.OnPlaced(*prepared, first);
        } else if (refused && held == before && one_in(2)) {
          core.OnRefused(*prepared);  // The first attempt was refused.
        } else {
          core.OnUnsure(*prepared);
        }
      }
      int64_t sum = 0;
      for (const auto& [resource, bid] : held) sum += bid.second >= round ? bid.first : 0;
      ASSERT_LE(sum, kBudget) << "step " << step << ", round " << round;
    }
  }
}

TEST_F(SessionCoreTest, WithdrawnMoneyIsFreeOnlyWhenTheMarketHasSaidSo) {
  SessionCore core = Live({.budget_per_round_microcredits = 400});
  core.OnPlaced(*core.Prepare(MemoryBid(4, 100)), 5);
  Bid cpu = MemoryBid(4, 100);
  cpu.resource = Resource::kCpu;
  core.OnWithdrawing(3, Resource::kMemory);
  EXPECT_FALSE(core.Prepare(cpu).ok());
  core.OnWithdrawn(3, Resource::kMemory);
  EXPECT_TRUE(core.Prepare(cpu).ok());
}

TEST_F(SessionCoreTest, ARefusedBidLeavesWhatStoodBefore) {
  SessionCore core = Live();
  core.OnPlaced(MemoryBid(4, 100), 5);
  const absl::StatusOr<Bid> bigger = core.Prepare(MemoryBid(400, 100));
  ASSERT_TRUE(bigger.ok());
  core.OnRefused(*bigger);
  EXPECT_THAT(core.standing_bids(), ElementsAre(MemoryBid(4, 100)));
}

TEST_F(SessionCoreTest, NamesWhatIsWrongWithABid) {
  SessionCore core = Live();
  Bid bid = MemoryBid(4, 100);
  bid.budget_microcredits = -1;
  EXPECT_THAT(core.Prepare(bid).status().message(), HasSubstr("budget_microcredits"));
  bid = MemoryBid(4, 100);
  bid.ranges[0].max_units = 0;
  EXPECT_THAT(core.Prepare(bid).status().message(), HasSubstr("ranges[0].max_units"));
  bid = MemoryBid(4, 100);
  bid.resource = static_cast<Resource>(77);
  EXPECT_THAT(core.Prepare(bid).status().message(), HasSubstr("resource"));
}

}  // namespace
}  // namespace nom::client
