// An auction that stands while its bids change a few at a time, and can be cleared after each
// change for a fraction of what a clearing from the beginning costs: for asking "what if", for
// showing bidders where they are, for trying many bids against the same others.
//
// What is kept between two clearings is everything that depends on one bid alone: its pieces, their
// concave curve and where that lies among all others. The core and its tables are made again each
// time (core.h): they are small. Awards, charges and prices are those of ClearMpsp, to the last
// bit.

#ifndef NOM_POLICIES_CLEARING_STANDING_AUCTION_H_
#define NOM_POLICIES_CLEARING_STANDING_AUCTION_H_

#include <memory>

#include "policies/clearing/auction.h"

namespace nom::policies {

// Not thread-safe.
class StandingAuction {
 public:
  // INVALID_ARGUMENT for an auction that is not valid.
  static absl::StatusOr<StandingAuction> Create(Auction auction);

  StandingAuction(StandingAuction&&) noexcept;
  StandingAuction& operator=(StandingAuction&&) noexcept;
  ~StandingAuction();

  // The auction as it stands, its bids by rising guest_id. Valid until the next change.
  const Auction& auction() const;

  // Places a guest's bid, in place of the one that it has. INVALID_ARGUMENT for a bid that is not
  // valid or is one too many; the auction is then as it was.
  absl::Status PlaceBid(Bid bid);
  // False if the guest has none.
  bool WithdrawBid(GuestId guest_id);

  // What ClearMpsp(auction()) returns. Concave auctions without a penalty that counts are cleared
  // from the beginning: that is as fast as writing the answer.
  absl::StatusOr<Clearing> Clear();

 private:
  class State;
  explicit StandingAuction(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_STANDING_AUCTION_H_
