// SPDX-License-Identifier: Apache-2.0
#include "client/src/wire.h"

#include <optional>

#include "client/src/convert.h"

namespace nom::client {
namespace {

std::optional<BidBook::LeasedState> FromProto(market::v1::LeasedBidState state) {
  switch (state) {
    case market::v1::LEASED_BID_STATE_HELD:
      return BidBook::LeasedState::kHeld;
    case market::v1::LEASED_BID_STATE_NONE:
      return BidBook::LeasedState::kNone;
    case market::v1::LEASED_BID_STATE_TAKEN_OVER:
      return BidBook::LeasedState::kTakenOver;
    case market::v1::LEASED_BID_STATE_WITHDRAWN:
      return BidBook::LeasedState::kWithdrawn;
    case market::v1::LEASED_BID_STATE_GUEST_GONE:
      return BidBook::LeasedState::kGuestGone;
    default:
      return std::nullopt;
  }
}

}  // namespace

market::v1::PlaceBidsRequest ToProto(const BidBook::Write& write, uint32_t lifetime_rounds) {
  market::v1::PlaceBidsRequest request;
  request.set_fence(write.fence);
  request.set_sequence(write.sequence);
  request.set_ledger_id(write.ledger_id);
  for (const BidBook::Item& item : write.items) {
    market::v1::Bid* const to = request.add_bids();
    if (!item.bid) {
      to->set_guest_id(item.key.first);
      to->set_kind(ToProto(item.key.second));
      continue;
    }
    *to = ToProto(*item.bid);
    to->set_renewed(item.bid->rounds == 0);
    to->set_expires_after_rounds(item.bid->rounds != 0 ? item.bid->rounds : lifetime_rounds);
  }
  return request;
}

std::vector<BidBook::Placed> FromProto(const market::v1::PlaceBidsResponse& response) {
  std::vector<BidBook::Placed> placed;
  for (const market::v1::PlacedBid& bid : response.bids()) {
    BidBook::Placed& to = placed.emplace_back();
    to.status = absl::Status(static_cast<absl::StatusCode>(bid.code()), bid.message());
    to.round_id = bid.round_id();
    to.removed = bid.removed();
    to.lost_to = FromProto(bid.lost_to());
  }
  return placed;
}

market::v1::RenewLeaseRequest ToProto(const BidBook::Renewal& renewal) {
  market::v1::RenewLeaseRequest request;
  request.set_fence(renewal.fence);
  request.set_sequence(renewal.sequence);
  request.set_ledger_id(renewal.ledger_id);
  for (const BidKey& key : renewal.keys) {
    market::v1::BidKey* const to = request.add_bids();
    to->set_guest_id(key.first);
    to->set_kind(ToProto(key.second));
  }
  return request;
}

std::vector<BidBook::Leased> FromProto(const market::v1::RenewLeaseResponse& response) {
  std::vector<BidBook::Leased> leased;
  for (const market::v1::LeasedBid& bid : response.bids()) {
    // What this version does not know is no longer ours.
    leased.push_back({.state = FromProto(bid.state()).value_or(BidBook::LeasedState::kTakenOver),
                      .last_round_id = bid.last_round_id(),
                      .sequence = bid.sequence()});
  }
  return leased;
}

}  // namespace nom::client
