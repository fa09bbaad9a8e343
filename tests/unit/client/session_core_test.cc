// SPDX-License-Identifier: Apache-2.0
// What a session decides, with time and the market's words handed in.

#include "client/src/session_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

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
  SessionCore Live() {
    SessionCore core({}, MakeBackoff());
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

TEST_F(SessionCoreTest, AnotherLedgerTellsItsRoundsFromTheStartAndGetsNoneOfTheBids) {
  SessionCore core = Live();
  market::v1::WatchResponse first = Response(5, absl::Seconds(4));
  first.mutable_state()->set_ledger_id("a");
  core.OnResponse(first, Now());
  market::v1::WatchResponse notice;
  notice.add_notices()->set_guest_id(3);
  notice.mutable_notices(0)->set_kind(market::v1::RESOURCE_KIND_MEMORY);
  notice.mutable_notices(0)->set_round_id(5);
  EXPECT_THAT(core.OnResponse(notice, Now()).notices, SizeIs(1));
  ASSERT_TRUE(core.bids().Want(MemoryBid(4, 100), /*fresh=*/true).ok());
  core.bids().OnLease(7, 10);
  // The same ids, and even later rounds.
  market::v1::WatchResponse other = Response(9, absl::Seconds(4));
  other.mutable_state()->set_ledger_id("b");
  const SessionCore::Output output = core.OnResponse(other, Now());
  ASSERT_THAT(output.events, SizeIs(1));
  EXPECT_EQ(output.events[0].change, SessionChange::kOtherLedger);
  EXPECT_THAT(output.rounds, IsEmpty());
  const std::vector<BidBook::Answer> answers = core.bids().TakeAnswers();
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(answers[0].round_id.status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(core.bids().standing_bids(), IsEmpty());
  EXPECT_EQ(core.bids().NextWrite(/*fresh=*/true), std::nullopt);
  notice.mutable_notices(0)->set_round_id(2);
  EXPECT_THAT(core.OnResponse(notice, Now()).notices, SizeIs(1));
}

TEST_F(SessionCoreTest, TheLastGuestGoneIsSeen) {
  SessionCore core = Live();
  ASSERT_TRUE(core.bids().Want(MemoryBid(4, 100), /*fresh=*/true).ok());
  market::v1::WatchResponse none = Response(6, absl::Seconds(4));
  none.clear_guests();
  core.OnResponse(none, Now());
  EXPECT_THAT(core.guests(), SizeIs(1)) << "nothing was said of guests";
  none.set_guests_told(true);
  core.OnResponse(none, Now());
  EXPECT_THAT(core.guests(), IsEmpty());
  const std::vector<BidBook::Answer> answers = core.bids().TakeAnswers();
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(answers[0].round_id.status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SessionCoreTest, AGuestBeingEvictedIsKnownAndBidsForNothing) {
  SessionCore core = Live();
  ASSERT_TRUE(core.bids().Want(MemoryBid(4, 100), /*fresh=*/true).ok());
  market::v1::WatchResponse response = Response(6, absl::Seconds(4));
  response.mutable_guests(0)->set_state(market::v1::GUEST_STATE_EVICTING);
  core.OnResponse(response, Now());
  EXPECT_EQ(core.guests()[0].state, GuestState::kEvicting);
  EXPECT_THAT(core.bids().standing_bids(), IsEmpty());
}

TEST_F(SessionCoreTest, AClockThatIsMinutesAheadOrBehindBelievesTheMarketAllTheSame) {
  for (const absl::Duration off : {-absl::Minutes(31), absl::Minutes(31)}) {
    SessionCore core({}, MakeBackoff());
    core.OnTime(Now());
    market::v1::WatchResponse response = Response(5, absl::Seconds(4));
    response.mutable_market_time()->set_seconds(absl::ToUnixSeconds(wall_));
    const Instant now{.wall = wall_ + off, .steady = steady_};
    core.OnResponse(response, now);
    EXPECT_FALSE(core.prices().stale) << off;
    EXPECT_EQ(core.FreshFor(now), absl::Seconds(4)) << off;
    EXPECT_EQ(core.market_clock_ahead(), -off);
    EXPECT_EQ(core.prices().valid_until, now.wall + absl::Seconds(4)) << "by our clock";
  }
}

TEST_F(SessionCoreTest, WhatWasUnderWayForLongIsOld) {
  SessionCore core({}, MakeBackoff());
  core.OnTime(Now());
  const auto told = [&](absl::Duration delay) {
    market::v1::WatchResponse response = Response(5, absl::Seconds(4));
    response.mutable_market_time()->set_seconds(absl::ToUnixSeconds(wall_));
    core.OnResponse(response, {.wall = wall_ + delay, .steady = steady_ + delay});
    return core.FreshFor({.wall = wall_ + delay, .steady = steady_ + delay});
  };
  EXPECT_EQ(told(absl::ZeroDuration()), absl::Seconds(4));
  EXPECT_EQ(told(absl::Seconds(3)), absl::Seconds(1));
  EXPECT_EQ(told(absl::Seconds(5)), absl::ZeroDuration());
}

TEST_F(SessionCoreTest, AMarketWhoseClockIsSetIsBelievedAgainSoon) {
  SessionCore core({}, MakeBackoff());
  core.OnTime(Now());
  absl::Duration market_is = absl::ZeroDuration();
  const auto told = [&] {
    market::v1::WatchResponse response = Response(5, absl::Seconds(4) + market_is);
    response.mutable_market_time()->set_seconds(absl::ToUnixSeconds(wall_ + market_is));
    core.OnResponse(response, Now());
    return core.FreshFor(Now());
  };
  EXPECT_EQ(told(), absl::Seconds(4));
  market_is = -absl::Hours(1);
  for (int second = 0; second < 21; ++second) {
    told();
    Advance(absl::Seconds(1));
  }
  EXPECT_EQ(told(), absl::Seconds(4));
}

TEST_F(SessionCoreTest, AStateInPartsIsTakenInWhenTheLastHasCome) {
  SessionCore core({}, MakeBackoff());
  core.OnTime(Now());
  market::v1::WatchResponse first = Response(5, absl::Seconds(4));
  first.set_more(true);
  first.set_guests_told(true);
  EXPECT_FALSE(core.OnResponse(first, Now()).priced);
  EXPECT_THAT(core.guests(), IsEmpty());
  market::v1::WatchResponse second;
  second.set_sequence(50);
  *second.add_guests() = MakeGuest(4, "batch");
  second.set_guests_told(true);
  EXPECT_TRUE(core.OnResponse(second, Now()).priced);
  EXPECT_THAT(core.guests(), SizeIs(2));
  // A stream that ends in between leaves nothing behind.
  core.OnResponse(first, Now());
  core.OnStreamEnded(absl::UnavailableError("gone"), Now());
  core.OnResponse(second, Now());
  EXPECT_THAT(core.guests(), SizeIs(1));
}

class RoundsTest : public SessionCoreTest {
 protected:
  market::v1::WatchResponse Decided(uint64_t round_id, int64_t award) const {
    market::v1::WatchResponse response = Response(round_id + 1, absl::Seconds(4));
    market::v1::GuestInfo& guest = *response.mutable_guests(0);
    guest.set_decided_round_id(round_id);
    market::v1::GuestOutcome* outcome = guest.add_decided();
    outcome->set_guest_id(3);
    outcome->set_kind(market::v1::RESOURCE_KIND_MEMORY);
    outcome->set_award_units(award);
    outcome->set_charge_microcredits(award * 10);
    outcome->set_reason(market::v1::AWARD_REASON_PARTLY_SERVED);
    return response;
  }
  static std::vector<uint64_t> Ids(const std::vector<Round>& rounds) {
    std::vector<uint64_t> ids;
    for (const Round& round : rounds) ids.push_back(round.round_id);
    return ids;
  }
};

TEST_F(RoundsTest, EachDecidedRoundIsToldOnceWithWhatWasWonAndWhy) {
  SessionCore core = Live();  // Round 4 was decided before.
  const SessionCore::Output output = core.OnResponse(Decided(5, 7), Now());
  ASSERT_THAT(output.rounds, SizeIs(1));
  const Round& round = output.rounds[0];
  EXPECT_EQ(round.round_id, 5u);
  ASSERT_THAT(round.awards, SizeIs(1));
  EXPECT_EQ(round.awards[0].reason, AwardReason::kPartlyServed);
  EXPECT_EQ(round.award_units(Resource::kMemory), 7);
  EXPECT_EQ(round.charge_microcredits(), 70);
  EXPECT_THAT(round.resources, SizeIs(2));
  EXPECT_THAT(core.OnResponse(Decided(5, 7), Now()).rounds, IsEmpty());
}

TEST_F(RoundsTest, RoundsThatWentByUnseenAreAskedForAndToldInOrder) {
  SessionCore core = Live();
  EXPECT_THAT(core.OnResponse(Decided(8, 1), Now()).rounds, IsEmpty());
  const std::optional<SessionCore::Listing> listing = core.NextListing();
  ASSERT_TRUE(listing.has_value());
  EXPECT_EQ(listing->before_round_id, 8u);
  EXPECT_EQ(listing->count, 3);
  EXPECT_EQ(core.NextListing(), std::nullopt) << "one at a time";
  EXPECT_THAT(core.OnResponse(Decided(9, 1), Now()).rounds, IsEmpty());
  const SessionCore::Output output = core.OnListed(
      *listing, {{.round_id = 7}, {.round_id = 6}, {.round_id = 5}}, absl::OkStatus());
  EXPECT_THAT(Ids(output.rounds), ElementsAre(5, 6, 7, 8, 9));
  EXPECT_THAT(Ids(core.OnResponse(Decided(10, 1), Now()).rounds), ElementsAre(10));
  EXPECT_EQ(core.rounds_missed(), 0u);
}

TEST_F(RoundsTest, RoundsThatCannotBeHadAreToldToBeMissing) {
  SessionCore core = Live();
  core.OnResponse(Decided(8, 1), Now());
  const SessionCore::Output output =
      core.OnListed(*core.NextListing(), {}, absl::UnavailableError("gone"));
  EXPECT_THAT(Ids(output.rounds), ElementsAre(8));
  ASSERT_THAT(output.events, SizeIs(1));
  EXPECT_EQ(output.events[0].change, SessionChange::kRoundsMissed);
  EXPECT_THAT(output.events[0].status.message(), HasSubstr("rounds 5 to 7"));
  EXPECT_EQ(core.rounds_missed(), 3u);
}

// As when a page ends early and the next one does not come.
TEST_F(RoundsTest, OfThoseThatCameInPartTheOthersAreToldToBeMissing) {
  SessionCore core = Live();
  core.OnResponse(Decided(12, 1), Now());
  const SessionCore::Output output = core.OnListed(*core.NextListing(),
                                                   {{.round_id = 13},
                                                    {.round_id = 12},
                                                    {.round_id = 11},
                                                    {.round_id = 8},
                                                    {.round_id = 7},
                                                    {.round_id = 4}},
                                                   absl::UnavailableError("gone"));
  EXPECT_THAT(Ids(output.rounds), ElementsAre(7, 8, 11, 12));
  ASSERT_THAT(output.events, SizeIs(2));
  EXPECT_THAT(output.events[0].status.message(), HasSubstr("rounds 5 to 6: gone"));
  EXPECT_THAT(output.events[1].status.message(), HasSubstr("rounds 9 to 10: gone"));
  EXPECT_EQ(core.rounds_missed(), 4u);
}

TEST_F(RoundsTest, WhatComesOfRoundsThatWereUndoneSinceIsNotTold) {
  for (const bool another_gap : {false, true}) {
    SCOPED_TRACE(another_gap);
    SessionCore core = Live();
    core.OnResponse(Decided(8, 1), Now());
    const SessionCore::Listing listing = *core.NextListing();
    core.OnResponse(Decided(3, 1), Now());
    if (another_gap) core.OnResponse(Decided(10, 1), Now());
    const SessionCore::Output output = core.OnListed(
        listing, {{.round_id = 5}, {.round_id = 6}, {.round_id = 7}}, absl::OkStatus());
    EXPECT_THAT(output.rounds, IsEmpty());
    EXPECT_THAT(output.events, IsEmpty());
    EXPECT_EQ(core.NextListing().has_value(), another_gap);
  }
}

// A ledger that is put back to an earlier state tells its rounds once more, with what was charged
// by then unknown to a pacer.
TEST_F(RoundsTest, ALedgerThatIsPutBackTellsItsRoundsAnewAndPacesFromTheNextPeriodOn) {
  SessionCore core(
      {.pacing = PacingOptions{.period_budget_microcredits = 1'000, .period_rounds = 10}},
      MakeBackoff());
  core.OnTime(Now());
  const auto at = [&](uint64_t round_id, const char* ledger_id = "this") {
    market::v1::WatchResponse response = Response(round_id, absl::Seconds(4));
    response.mutable_state()->set_ledger_id(ledger_id);
    return core.OnResponse(response, Now());
  };
  const Bid bid{.guest_id = 3, .ranges = {{1, 1, 50, 50}}, .budget_microcredits = 50};
  const auto wanted = [&] { return core.bids().Want(bid, true).status().code(); };
  at(95);
  EXPECT_EQ(wanted(), absl::StatusCode::kOk);
  at(42);
  EXPECT_EQ(wanted(), absl::StatusCode::kResourceExhausted)
      << "nobody knows what was charged in rounds 40 and 41";
  EXPECT_THAT(Ids(at(43).rounds), ElementsAre(42)) << "though 94 was decided before";
  at(50);
  EXPECT_EQ(wanted(), absl::StatusCode::kOk);
  at(42, "another");
  EXPECT_EQ(wanted(), absl::StatusCode::kOk) << "of which nothing was charged before";
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

TEST_F(SessionCoreTest, GuestZeroGoesOnMeaningTheGuestThatItStoodFor) {
  SessionCore core = Live();
  EXPECT_EQ(*core.ResolveGuestToBid(0), 3u);
  market::v1::WatchResponse two = Response(5, absl::Seconds(4));
  *two.add_guests() = MakeGuest(4, "batch");
  core.OnResponse(two, Now());
  EXPECT_EQ(*core.ResolveGuestToBid(0), 3u) << "one guest today and two tomorrow";
  two.mutable_guests()->DeleteSubrange(0, 1);
  *two.add_guests() = MakeGuest(5, "web");
  core.OnResponse(two, Now());
  EXPECT_EQ(core.ResolveGuestToBid(0).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace nom::client
