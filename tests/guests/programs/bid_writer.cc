// SPDX-License-Identifier: Apache-2.0
// Writes its bid page without rest. Arguments: manners = good (seqlocked, every number of a page
// the same: the driver checks that no copy is torn) or bad (garbage everywhere, the sequence
// included).

#include <atomic>

#include "client/guest/arguments.h"
#include "client/guest/bid_page.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;  // NOLINT(google-build-using-namespace)
  static constexpr std::string_view kManners[] = {"good", "bad"};
  int64_t manners = 0;
  const Argument known[] = {{"manners", &manners, 0, 0, kManners}};
  const auto error = ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());

  if (manners == 0) {
    BidPage page(BidPageOfGuest());
    for (int64_t number = 1;; ++number) {
      NomRange ranges[NOM_RANGES_MAX];
      for (NomRange& range : ranges) range = {number, number, number, number};
      NOM_CHECK(page.Bid(NOM_RESOURCE_MEMORY, ranges, number));
      // Reading takes longer than writing: without a breath there is never a whole page to see.
      for (int i = 0; i < 2000; ++i) asm volatile("pause");
    }
  }
  uint64_t random = 88172645463325252 + start.guest_id;
  auto* words = reinterpret_cast<volatile uint64_t*>(uint64_t{NOM_GPA_BID_PAGE});
  for (;;) {
    for (uint64_t i = 0; i < 512; ++i) {
      random ^= random << 13;  // Marsaglia, "Xorshift RNGs", 2003.
      random ^= random >> 7;
      random ^= random << 17;
      words[random % 4 == 0 ? 1 : i] = random;
    }
  }
}
