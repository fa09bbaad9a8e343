// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/uniform_price.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "policies/clearing/concave/concave_bids.h"
#include "policies/clearing/outcome.h"

namespace nom::policies {

absl::StatusOr<Clearing> ClearUniformPrice(const Auction& auction) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  const std::optional<ConcaveAwards> awards = ClearConcave(auction, /*with_charges=*/false);
  if (awards.has_value()) return AtOnePrice(auction, awards->units);
  // Which bid it was has not been asked before: most auctions have none.
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    const absl::Status status = CheckConcave(auction.bids[i]);
    if (status.ok()) continue;
    return absl::InvalidArgumentError(absl::StrCat("bids[", i, "].", status.message()));
  }
  return absl::InternalError("bids: a bid is both concave and not");
}

}  // namespace nom::policies
