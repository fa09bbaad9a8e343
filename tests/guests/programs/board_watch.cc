// SPDX-License-Identifier: Apache-2.0
// Claim: a board is never seen half written. The driver publishes boards whose every number is the
// round's; this reads them as fast as it can. Ends with 0 when it has seen round `last`.
// Arguments: last.

#include "client/guest/arguments.h"
#include "client/guest/bid_page.h"
#include "client/guest/board.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;  // NOLINT(google-build-using-namespace)
  int64_t last = 0;
  const Argument known[] = {{"last", &last, 1, 1'000'000'000}};
  const auto error = ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());
  BidPage page(BidPageOfGuest());
  static NomMachineBoard board;
  uint64_t rounds_seen = 0;
  uint64_t round = 0;
  while (round < static_cast<uint64_t>(last)) {
    if (!CopyBoard(MachineBoardPage(), &board)) continue;
    if (board.round_id == 0) continue;  // Nothing published yet.
    NOM_CHECK(board.magic == NOM_MACHINE_BOARD_MAGIC);
    NOM_CHECK(board.round_id >= round, "went back from ", round, " to ", board.round_id);
    if (board.round_id != round) ++rounds_seen;
    round = board.round_id;
    NOM_CHECK(board.priced_round_id == round, "torn: ", board.priced_round_id, " in ", round);
    NOM_CHECK(board.resource_count == NOM_RESOURCES_MAX);
    NOM_CHECK(board.head.transaction_id == round, "torn: ", board.head.transaction_id);
    for (const uint8_t byte : board.head.digest) NOM_CHECK(byte == (round & 0xff));
    for (const NomPrice& price : board.prices) {
      for (const int64_t number :
           {price.unit_size, price.unit_price_microcredits, price.reserve_unit_price_microcredits,
            price.highest_rejected_unit_price_microcredits, price.supply_units, price.demand_units,
            price.sold_units}) {
        NOM_CHECK(static_cast<uint64_t>(number) == round, "torn: ", number, " in ", round);
      }
    }
  }
  page.Say(
      {.work_done = rounds_seen, .work_unit = "rounds", .value_microcredits = 0, .activity = ""});
  Console(&Hypervisor()).Line("saw ", rounds_seen, " boards of ", last);
  // Waits to be destroyed, so that the driver can read the page.
  for (;;) (void)Hypervisor().Yield(0);
}
