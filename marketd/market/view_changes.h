// SPDX-License-Identifier: Apache-2.0
// What has changed since the last view, so that the next one is made of it alone: which guests,
// tenants and offers are to be shown anew, and whether anything is.

#ifndef MARKETD_MARKET_VIEW_CHANGES_H_
#define MARKETD_MARKET_VIEW_CHANGES_H_

#include <utility>

#include "marketd/market/shared_list.h"
#include "marketd/market/state.h"
#include "marketd/market/transaction.h"
#include "marketd/market/view.h"

namespace nom::market {

class ViewChanges {
 public:
  // What is shown of hosts, which every view has anew.
  void TouchAny() { any_ = true; }
  void TouchGuest(GuestId guest_id);
  void TouchGuestsOf(const HostId& host_id, const State& state);
  void TouchAll(const State& state);
  // All that `transaction`, which `state` has in it, changes of what is shown.
  void Touch(const Transaction& transaction, const State& state);

  bool any() const { return any_; }
  // The values of the view before, without what is gone, and those that were touched anew. `any` is
  // false from here on.
  template <typename MakeGuest, typename MakeTenant, typename MakeOffer>
  void Refresh(const MakeGuest& make_guest, const MakeTenant& make_tenant,
               const MakeOffer& make_offer, View& view) {
    view.guests =
        guests_.Refresh(make_guest, [](const GuestView& guest) { return guest.guest.guest_id; });
    view.tenants = tenants_.RefreshList(make_tenant,
                                        [](const TenantView& tenant) { return tenant.tenant_id; });
    view.offers =
        offers_.RefreshList(make_offer, [](const Offer& offer) { return offer.offer_id; });
    any_ = false;
  }

 private:
  bool any_ = true;
  KeptList<GuestId, GuestView> guests_;
  KeptList<TenantId, TenantView> tenants_;
  KeptList<OfferId, Offer> offers_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_VIEW_CHANGES_H_
