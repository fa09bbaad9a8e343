// SPDX-License-Identifier: Apache-2.0
// The example that bids for a guest from outside, as a process.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "tests/unit/client/cli/nomctl_fixture.h"
#include "tests/unit/client/process.h"

namespace nom::client_test {
namespace {

using ::testing::HasSubstr;

TEST_F(NomctlTest, TheHostedBidderBidsByWhatTheGuestHasReallyDone) {
  Process bidder({NOM_HOSTED_BIDDER, "--target", market_.target(), "--guest-name", "cache",
                  "--budget", "100000", "--seed", "3"},
                 environment_);
  market_.WaitForWatches(1);
  // The guest does 50 units of work a round with its seed of 10.
  uint64_t round_id = 7;
  for (; market_.bids().empty(); ++round_id) {
    pb::WatchResponse response;
    response.set_sequence(round_id);
    *response.mutable_state() = MakeState(round_id, 120, 20, absl::Now() + absl::Hours(1));
    *response.add_guests() = Guest();
    response.mutable_guests(0)->set_work_done(round_id * 50);
    market_.Publish(response);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ASSERT_LT(round_id, 1000u) << bidder.out();
  }
  const pb::Bid bid = market_.bids()[0].bid();
  EXPECT_EQ(bid.guest_id(), 3u);
  EXPECT_EQ(bid.kind(), pb::RESOURCE_KIND_CPU);
  EXPECT_EQ(bid.budget_microcredits(), 100'000);
  EXPECT_GT(bid.expires_after_rounds(), 0u) << "must lapse if the bidder dies";
  bidder.Signal(SIGTERM);
  const Ended ended = bidder.Wait();
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("bids for up to"));
  ASSERT_FALSE(market_.withdrawals().empty()) << "takes its bid along when it goes";
  EXPECT_EQ(market_.withdrawals().back().guest_id(), 3u);
}

TEST_F(NomctlTest, TheHostedBidderTakesDecimalNumbersOnly) {
  for (const char* budget : {"0x10", "-1", "99999999999999999999", ""}) {
    const Ended ended = Process({NOM_HOSTED_BIDDER, "--target", market_.target(), "--guest-name",
                                 "cache", "--budget", budget},
                                {})
                            .Wait();
    EXPECT_NE(ended.exit_code, 0) << budget;
    EXPECT_THAT(ended.err, HasSubstr("--budget")) << budget;
  }
}

TEST_F(NomctlTest, TheHostedBidderSaysWhyItCannotStart) {
  market_.RequireToken("secret");
  const Ended ended =
      Process({NOM_HOSTED_BIDDER, "--target", market_.target(), "--guest-name", "cache"}, {})
          .Wait();
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_EQ(ended.err, "hosted_bidder: not a token of this market\n");
}

}  // namespace
}  // namespace nom::client_test
