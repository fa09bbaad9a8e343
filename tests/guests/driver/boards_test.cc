// SPDX-License-Identifier: Apache-2.0
// Boards and bid pages: never torn, whoever writes and however.

#include <algorithm>
#include <iterator>
#include <string>

#include "tests/guests/driver/scenario.h"

namespace nom::tests {
namespace {

using Boards = Scenario;

NomEvent Publish(Machine& machine, uint64_t number) {
  NomPublish publish{};
  const auto value = static_cast<int64_t>(number);
  publish.round_id = number;
  publish.priced_round_id = number;
  publish.valid_for_us = 10'000'000;
  publish.close_in_us = 1000;
  publish.effective_in_us = 2000;
  publish.period_us = 2000;
  publish.resource_count = NOM_RESOURCES_MAX;
  publish.head.transaction_id = number;
  std::fill(std::begin(publish.head.digest), std::end(publish.head.digest),
            static_cast<uint8_t>(number));
  for (NomPrice& price : publish.prices) {
    price = {
        NOM_RESOURCE_MEMORY, NOM_BOUND_BY_BIDS, value, value, value, value, value, value, value};
  }
  return machine.Call(NOM_COMMAND_PUBLISH, &publish, sizeof(publish));
}

TEST_F(Boards, AreNeverTorn) {
  constexpr uint64_t kLast = 5000;
  const uint64_t capacity = machine.Header().capacity_millicores;
  const uint64_t share = capacity > 1000 ? 900 : 400;
  const uint64_t a = Create({.program = "board_watch",
                             .arguments = "last=" + std::to_string(kLast),
                             .millicores = share});
  for (uint64_t number = 1; number <= kLast; ++number) {
    ASSERT_EQ(Publish(machine, number).status, NOM_STATUS_OK);
    ASSERT_FALSE(machine.End(a).has_value()) << "saw a torn board";
  }
  machine.WaitFor("the last board to be seen",
                  [&] { return machine.WorkDone(a) > 0 || machine.End(a).has_value(); });
  EXPECT_FALSE(machine.End(a).has_value()) << "saw a torn board";
  EXPECT_GT(machine.WorkDone(a), 20u) << "too few boards were seen to say anything";
}

TEST_F(Boards, CopiesOfBidPagesAreNeverTorn) {
  const uint64_t id =
      Create({.program = "bid_writer", .arguments = "manners=good", .millicores = 500});
  uint64_t copies = 0;
  int64_t last = 0;
  machine.WaitFor("hundred copies", [&] {
    NomBidPage page;
    if (!machine.BidPage(id, page) || page.bid_count == 0) return false;
    const NomBid& bid = page.bids[0];
    const int64_t number = bid.budget_microcredits;
    if (number == last) return false;
    EXPECT_GT(number, last);
    last = number;
    EXPECT_EQ(page.magic, NOM_BID_PAGE_MAGIC);
    EXPECT_EQ(bid.range_count, NOM_RANGES_MAX);
    for (const NomRange& range : bid.ranges) {
      EXPECT_EQ(range.min_units, number);
      EXPECT_EQ(range.max_units, number);
      EXPECT_EQ(range.value_at_min_microcredits, number);
      EXPECT_EQ(range.unit_price_microcredits, number);
    }
    return ++copies >= 100 || HasFailure();
  });
}

TEST_F(Boards, GarbageOnABidPageHarmsNobody) {
  const uint64_t neighbour = Create({.program = "worker"});
  std::vector<uint64_t> vandals;
  vandals.reserve(3);
  for (int i = 0; i < 3; ++i) {
    vandals.push_back(
        Create({.program = "bid_writer", .arguments = "manners=bad", .millicores = 200}));
  }
  for (int i = 0; i < 30; ++i) {
    ExpectProgress(neighbour);
    for (const uint64_t id : vandals) EXPECT_FALSE(machine.End(id).has_value());
  }
  NomBidPage page;
  EXPECT_TRUE(machine.BidPage(neighbour, page)) << "its neighbour's page is in the way";
  EXPECT_EQ(page.magic, NOM_BID_PAGE_MAGIC);
}

}  // namespace
}  // namespace nom::tests
