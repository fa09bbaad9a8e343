// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/watch_index.h"

#include <algorithm>
#include <string>
#include <utility>

#include "marketd/base/status.h"
#include "marketd/services/convert.h"

namespace nom::marketd {
namespace {

using market_pb::WatchResponse;

bool SameBytes(const grpc::Slice& slice, const std::string& bytes) {
  return slice.size() == bytes.size() &&
         std::equal(slice.begin(), slice.end(), bytes.begin(),
                    [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); });
}

// Into `piece`, unless it has these bytes. True: it had others.
bool Encode(const WatchResponse& part, WatchPiece& piece) {
  const std::string bytes = part.SerializeAsString();
  if (piece != nullptr && SameBytes(*piece, bytes)) return false;
  piece = std::make_shared<const grpc::Slice>(bytes.data(), bytes.size());
  return true;
}

// Walks two lists of shared values, each by rising key: calls `came(value)` of those in `after`
// that `before` has not, or has otherwise, and `went(value)` of keys that are only in `before`.
template <typename T, typename KeyOf, typename Came, typename Went>
void Compare(const std::vector<std::shared_ptr<const T>>& before,
             const std::vector<std::shared_ptr<const T>>& after, const KeyOf& key_of,
             const Came& came, const Went& went) {
  size_t b = 0;
  size_t a = 0;
  while (b < before.size() || a < after.size()) {
    if (b < before.size() && a < after.size() && before[b] == after[a]) {
      ++b;
      ++a;
    } else if (a == after.size() || (b < before.size() && key_of(*before[b]) < key_of(*after[a]))) {
      went(before[b++]);
    } else {
      if (b < before.size() && key_of(*before[b]) == key_of(*after[a])) ++b;
      came(after[a++]);
    }
  }
}

}  // namespace

uint64_t WatchPart::guests_changed_at() const {
  uint64_t at = guests_left_at;
  for (const Guest& guest : guests) at = std::max(at, guest.changed_at);
  return at;
}

bool WatchIndex::Knows(uint64_t sequence) const {
  return view_ != nullptr && sequence >= first_sequence_ && sequence <= view_->sequence;
}

WatchIndex::Touched WatchIndex::Take(std::shared_ptr<const market::View> view) {
  Touched touched;
  if (view == view_) return touched;
  const std::shared_ptr<const market::View> before = std::exchange(view_, std::move(view));
  if (before == nullptr) first_sequence_ = view_->sequence;
  TakeHosts(touched);
  static const market::View kNothing;
  const market::View& old = before == nullptr ? kNothing : *before;
  TakeGuests(old.guests, touched);
  TakeTenants(old.tenants.pointers(), touched);
  TakeNotices(old.notices.pointers(), touched);
  return touched;
}

void WatchIndex::TakeHosts(Touched& touched) {
  for (const std::shared_ptr<const market::HostView>& view : view_->hosts) {
    Host& host = hosts_[view->host_id];
    WatchResponse part;
    *part.mutable_state() = StateToProto(*view);
    if (Encode(part, host.state)) {
      host.changed_at = view_->sequence;
      touched.hosts.insert(view->host_id);
    }
    if (host.round_id == view->round_id) continue;
    host.round_id = view->round_id;  // Which guests' own lines rest on, too.
    for (auto it = kept_.lower_bound({view->host_id, ""});
         it != kept_.end() && it->first.first == view->host_id; ++it) {
      it->second.is_stale = true;
    }
  }
}

void WatchIndex::Touch(const market::HostId& host_id, const market::TenantId& tenant_id,
                       Touched& touched) {
  for (const market::TenantId& who : {tenant_id, market::TenantId()}) {
    const auto kept = kept_.find({host_id, who});
    if (kept == kept_.end()) continue;
    kept->second.is_stale = true;
    touched.keys.insert(kept->first);
  }
}

void WatchIndex::Join(const std::shared_ptr<const market::GuestView>& view, Touched& touched) {
  Guest& guest = guests_[view->guest.guest_id];
  guest.view = view;
  guest.is_stale = true;
  members_[{view->guest.host_id, view->guest.tenant_id}].guests.insert(view->guest.guest_id);
  Touch(view->guest.host_id, view->guest.tenant_id, touched);
}

void WatchIndex::Leave(const market::GuestView& view, Touched& touched) {
  const market::GuestId guest_id = view.guest.guest_id;
  guests_.erase(guest_id);
  for (const market::TenantId& who : {view.guest.tenant_id, market::TenantId()}) {
    Members& members = members_[{view.guest.host_id, who}];
    members.guests.erase(guest_id);
    members.left_at = view_->sequence;
  }
  Touch(view.guest.host_id, view.guest.tenant_id, touched);
}

void WatchIndex::TakeGuests(const std::vector<std::shared_ptr<const market::GuestView>>& before,
                            Touched& touched) {
  Compare(
      before, view_->guests, [](const market::GuestView& guest) { return guest.guest.guest_id; },
      [&](const std::shared_ptr<const market::GuestView>& guest) { Join(guest, touched); },
      [&](const std::shared_ptr<const market::GuestView>& guest) { Leave(*guest, touched); });
}

void WatchIndex::TakeTenants(const std::vector<std::shared_ptr<const market::TenantView>>& before,
                             Touched& touched) {
  const auto touch_everywhere = [&](const market::TenantId& tenant_id) {
    for (const auto& [host_id, host] : hosts_) Touch(host_id, tenant_id, touched);
  };
  Compare(
      before, view_->tenants.pointers(),
      [](const market::TenantView& tenant) { return tenant.tenant_id; },
      [&](const std::shared_ptr<const market::TenantView>& tenant) {
        Account& account = accounts_[tenant->tenant_id];
        account.view = tenant;
        account.is_stale = true;
        touch_everywhere(tenant->tenant_id);
      },
      [&](const std::shared_ptr<const market::TenantView>& tenant) {
        accounts_.erase(tenant->tenant_id);
        accounts_left_at_ = view_->sequence;
        touch_everywhere(tenant->tenant_id);
      });
}

void WatchIndex::TakeNotices(const std::vector<std::shared_ptr<const market::Notice>>& before,
                             Touched& touched) {
  const auto& notices = view_->notices.pointers();
  if (notices == before) return;
  const auto at = [&notices](uint64_t sequence) {
    return std::lower_bound(notices.begin(), notices.end(), sequence,
                            [](const auto& notice, uint64_t s) { return notice->sequence < s; });
  };
  // Those that stand no more: another came in their place, or the guest's life has ended.
  for (auto& [guest_id, guest] : guests_) {
    const size_t gone = std::erase_if(guest.notices, [&](const auto& known) {
      const auto now = at(known.second.notice->sequence);
      return now == notices.end() || *now != known.second.notice;
    });
    if (gone != 0) Touch(guest.view->guest.host_id, guest.view->guest.tenant_id, touched);
  }
  for (auto it = at(last_notice_ + 1); it != notices.end(); ++it) {
    last_notice_ = (*it)->sequence;
    const auto guest = guests_.find((*it)->guest_id);
    if (guest == guests_.end()) continue;
    guest->second.notices[(*it)->kind] = {*it, nullptr, view_->sequence};
    Touch((*it)->host_id, guest->second.view->guest.tenant_id, touched);
  }
}

WatchNews WatchIndex::NewsOf(const WatchKey& key) {
  const auto host = hosts_.find(key.first);
  NOM_CHECK(host != hosts_.end(), "a watched host left the market");
  Kept& kept = kept_[key];
  if (std::exchange(kept.is_stale, false)) kept.part = MakePart(key);
  return {.sequence = view_->sequence,
          .time = view_->time,
          .state = host->second.state,
          .state_changed_at = host->second.changed_at,
          .part = kept.part};
}

std::shared_ptr<const WatchPart> WatchIndex::MakePart(const WatchKey& key) {
  auto part = std::make_shared<WatchPart>();
  const auto& [host_id, tenant_id] = key;
  const Host& host = hosts_.at(host_id);
  const bool is_operators = tenant_id.empty();
  if (const auto members = members_.find(key); members != members_.end()) {
    part->guests_left_at = members->second.left_at;
    for (const market::GuestId guest_id : members->second.guests) {
      AddGuest(host, guests_.at(guest_id), *part);
    }
  }
  if (is_operators) {
    for (auto& [guest_id, guest] : guests_) {
      if (guest.view->guest.host_id == host_id) AddGuest(host, guest, *part);
    }
    part->accounts_changed_at = accounts_left_at_;
    for (auto& [owner, account] : accounts_) AddAccount(account, *part);
  } else if (const auto own = accounts_.find(tenant_id); own != accounts_.end()) {
    AddAccount(own->second, *part);
  }
  std::stable_sort(part->notices.begin(), part->notices.end(),
                   [](const auto& a, const auto& b) { return a.told_at < b.told_at; });
  return part;
}

void WatchIndex::AddGuest(const Host& host, Guest& guest, WatchPart& part) {
  const market::GuestId guest_id = guest.view->guest.guest_id;
  if (std::exchange(guest.is_stale, false) || guest.round_id != host.round_id) {
    guest.round_id = host.round_id;
    WatchResponse response;
    *response.add_guests() = ToProto(*guest.view, host.round_id);
    if (Encode(response, guest.piece)) guest.changed_at = view_->sequence;
    ++encoded_;
  }
  part.guests.push_back({guest_id, guest.piece, guest.changed_at});
  for (auto& [kind, notice] : guest.notices) {
    if (notice.piece == nullptr) {
      WatchResponse response;
      *response.add_notices() = ToProto(*notice.notice);
      Encode(response, notice.piece);
    }
    part.notices.push_back({guest_id, notice.notice->effective_time, notice.piece, notice.told_at});
  }
}

void WatchIndex::AddAccount(Account& account, WatchPart& part) {
  if (std::exchange(account.is_stale, false)) {
    WatchResponse response;
    *response.add_accounts() =
        ToProto(account.view->tenant_id, market::Summarize(account.view->purse));
    if (Encode(response, account.piece)) account.changed_at = view_->sequence;
    ++encoded_;
  }
  part.accounts.push_back(account.piece);
  part.accounts_changed_at = std::max(part.accounts_changed_at, account.changed_at);
}

}  // namespace nom::marketd
