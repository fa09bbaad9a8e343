// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/shortlist.h"

namespace nom::policies::joint {

void Shortlist::AddOption(double option_gain, const Units& option_units, uint32_t cell) {
  gain.push_back(option_gain);
  for (size_t r = 0; r < units.size(); ++r) units[r].push_back(option_units[r]);
  cells.push_back(cell);
}

void Shortlist::CloseBidder(uint32_t bidder) {
  if (first.back() == option_count()) return;
  first.push_back(static_cast<uint32_t>(option_count()));
  bidders.push_back(bidder);
}

}  // namespace nom::policies::joint
