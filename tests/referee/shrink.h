// SPDX-License-Identifier: Apache-2.0
// Small cases out of large ones: what a random test prints when it fails.

#ifndef NOM_TESTS_REFEREE_SHRINK_H_
#define NOM_TESTS_REFEREE_SHRINK_H_

#include <functional>
#include <string>

#include "policies/clearing/auction.h"
#include "policies/clearing/joint/joint_auction.h"

namespace nom::policies {

// A smaller auction for which `fails` still holds: bids, ranges, bundles and resources are taken
// out and numbers lowered for as long as it does. Stays valid if it was. Calls `fails` at most some
// thousand times.
Auction Shrink(Auction auction, const std::function<bool(const Auction&)>& fails);
JointAuction Shrink(JointAuction auction, const std::function<bool(const JointAuction&)>& fails);

// The shrunk auction in the format of policies/cases, to be kept there or replayed by hand.
std::string DescribeShrunk(const Auction& auction,
                           const std::function<bool(const Auction&)>& fails);
std::string DescribeShrunk(const JointAuction& auction,
                           const std::function<bool(const JointAuction&)>& fails);

}  // namespace nom::policies

#endif  // NOM_TESTS_REFEREE_SHRINK_H_
