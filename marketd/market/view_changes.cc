// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/view_changes.h"

#include <variant>

namespace nom::market {
namespace {

struct Toucher {
  ViewChanges& changes;
  KeptList<TenantId, TenantView>& tenants;
  KeptList<OfferId, Offer>& offers;
  const State& state;

  void operator()(const PutTenant& put) { tenants.Touch(put.tenant.tenant_id); }
  void operator()(const PutGuest& put) { changes.TouchGuest(put.guest.guest_id); }
  void operator()(const PutBid& put) { changes.TouchGuest(put.bid.guest_id); }
  void operator()(const DropBid& drop) { changes.TouchGuest(drop.key.first); }
  void operator()(const PutTier& put) { changes.TouchGuest(put.tier.guest_id); }
  void operator()(const DropTier& drop) { changes.TouchGuest(drop.guest_id); }
  // What all guests of a host hold is by its rounds.
  void operator()(const PutRound& put) { changes.TouchGuestsOf(put.round.host_id, state); }
  void operator()(const UpdateRound& update) { changes.TouchGuestsOf(update.round.host_id, state); }
  void operator()(const PutHost& put) { changes.TouchGuestsOf(put.host_id, state); }
  void operator()(const OpenContract& open) { TouchHolders(open.contract); }
  void operator()(const UpdateContract& update) { TouchHolders(update.contract); }
  void operator()(const OpenOffer& open) { offers.Touch(open.offer.offer_id); }
  void operator()(const UpdateOffer& update) { offers.Touch(update.offer.offer_id); }
  void operator()(const SendTransfer&) {}
  void operator()(const AcceptTransfer&) {}
  void operator()(const LogEvent&) {}
  void operator()(const PutRequest&) {}

  // A contract that begins or ends changes what is left to the one that it is part of.
  void TouchHolders(const Contract& contract) {
    changes.TouchGuest(contract.guest_id);
    const Contract* const whole = state.contracts.Find(contract.part_of);
    if (whole != nullptr) changes.TouchGuest(whole->guest_id);
  }
};

}  // namespace

void ViewChanges::TouchGuest(GuestId guest_id) {
  any_ = true;
  guests_.Touch(guest_id);
}

void ViewChanges::TouchGuestsOf(const HostId& host_id, const State& state) {
  for (const GuestId guest_id : state.GuestsOf(host_id)) TouchGuest(guest_id);
}

void ViewChanges::TouchAll(const State& state) {
  for (const auto& [guest_id, guest] : state.guests) TouchGuest(guest_id);
  for (const auto& [tenant_id, tenant] : state.tenants) tenants_.Touch(tenant_id);
  for (const auto& [offer_id, offer] : state.offers) offers_.Touch(offer_id);
  any_ = true;
}

void ViewChanges::Touch(const Transaction& transaction, const State& state) {
  any_ = true;
  for (const Entry& entry : transaction.entries) {
    for (const Owner& owner : {entry.from.owner, entry.to.owner}) {
      if (owner != kOperator) tenants_.Touch(owner);
    }
    if (entry.guest_id != 0) guests_.Touch(entry.guest_id);
  }
  for (const Change& change : transaction.changes) {
    std::visit(Toucher{*this, tenants_, offers_, state}, change);
  }
}

}  // namespace nom::market
