// SPDX-License-Identifier: Apache-2.0
// What there is to tell watchers, in wire form, and since when.
//
//   view --> Take --> which keys have news --> NewsOf(key) --> all who watch by that key
//
// Watchers of one host as one caller are told from the same bytes. A guest or an account is encoded
// when somebody follows it and it has changed, whoever else there is; what is encoded anew and has
// the same bytes has not changed. Each piece says by which view it last changed: so one number, the
// view that a watcher was last told of, says what is news to it, whether it watched all the time or
// comes back.

#ifndef MARKETD_SERVICES_WATCH_INDEX_H_
#define MARKETD_SERVICES_WATCH_INDEX_H_

#include <grpcpp/support/slice.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "marketd/market/view.h"

namespace nom::marketd {

// A piece of an encoded WatchResponse. Messages in wire form may be put together by putting their
// bytes one after the other; slices share their bytes by reference.
using WatchPiece = std::shared_ptr<const grpc::Slice>;

// Whose eyes: a tenant's on one host, or (tenant "") the operator's.
using WatchKey = std::pair<market::HostId, market::TenantId>;

// All that those of one key may be told beside the host's state. Never changes.
struct WatchPart {
  struct Guest {
    market::GuestId guest_id = 0;
    WatchPiece piece;
    uint64_t changed_at = 0;  // The view's sequence.
  };
  struct Notice {
    market::GuestId guest_id = 0;
    absl::Time effective_time;
    WatchPiece piece;
    uint64_t told_at = 0;  // The view that it came with.
  };
  std::vector<Guest> guests;  // By rising id.
  uint64_t guests_left_at = 0;
  std::vector<WatchPiece> accounts;
  uint64_t accounts_changed_at = 0;
  std::vector<Notice> notices;  // In the order in which they came.

  uint64_t guests_changed_at() const;
};

// Of one view, for one key.
struct WatchNews {
  uint64_t sequence = 0;
  absl::Time time;
  WatchPiece state;
  uint64_t state_changed_at = 0;
  std::shared_ptr<const WatchPart> part;
};

// One thread's.
class WatchIndex {
 public:
  // Who may have news by a view: everybody on `hosts`, and `keys`. Of keys that nobody has asked
  // about yet nothing is said.
  struct Touched {
    std::set<market::HostId> hosts;
    std::set<WatchKey> keys;
  };

  // `view` follows the one before. Costs what has changed, beside a comparison of pointers.
  Touched Take(std::shared_ptr<const market::View> view);

  // Of the view last taken. The host is in it.
  WatchNews NewsOf(const WatchKey& key);

  // Whether a watcher that was told all up to `sequence` is to be told only what came since: this
  // index has seen all views since that one.
  bool Knows(uint64_t sequence) const;

  const std::shared_ptr<const market::View>& view() const { return view_; }
  // Guests and accounts put into wire form, all time.
  uint64_t encoded() const { return encoded_; }

 private:
  struct Notice {
    std::shared_ptr<const market::Notice> notice;
    WatchPiece piece;
    uint64_t told_at = 0;
  };
  struct Guest {
    std::shared_ptr<const market::GuestView> view;
    market::RoundId round_id = 0;  // Of the host, when `piece` was made.
    bool is_stale = true;          // `piece` is not of `view`.
    WatchPiece piece;
    uint64_t changed_at = 0;
    std::map<market::ResourceKind, Notice> notices;
  };
  struct Account {
    std::shared_ptr<const market::TenantView> view;
    bool is_stale = true;
    WatchPiece piece;
    uint64_t changed_at = 0;
  };
  struct Host {
    market::RoundId round_id = 0;
    WatchPiece state;
    uint64_t changed_at = 0;
  };
  struct Members {
    std::set<market::GuestId> guests;
    uint64_t left_at = 0;
  };
  struct Kept {
    std::shared_ptr<const WatchPart> part;
    bool is_stale = true;
  };

  void TakeHosts(Touched& touched);
  void TakeGuests(const std::vector<std::shared_ptr<const market::GuestView>>& before,
                  Touched& touched);
  void TakeTenants(const std::vector<std::shared_ptr<const market::TenantView>>& before,
                   Touched& touched);
  void TakeNotices(const std::vector<std::shared_ptr<const market::Notice>>& before,
                   Touched& touched);
  void Touch(const market::HostId& host_id, const market::TenantId& tenant_id, Touched& touched);
  void Join(const std::shared_ptr<const market::GuestView>& guest, Touched& touched);
  void Leave(const market::GuestView& guest, Touched& touched);
  std::shared_ptr<const WatchPart> MakePart(const WatchKey& key);
  void AddGuest(const Host& host, Guest& guest, WatchPart& part);
  void AddAccount(Account& account, WatchPart& part);

  std::shared_ptr<const market::View> view_;
  uint64_t first_sequence_ = 0;
  uint64_t last_notice_ = 0;
  uint64_t encoded_ = 0;
  std::map<market::HostId, Host> hosts_;
  std::map<market::GuestId, Guest> guests_;
  std::map<WatchKey, Members> members_;  // The operator's has no guests of its own.
  std::map<market::TenantId, Account> accounts_;
  uint64_t accounts_left_at_ = 0;
  std::map<WatchKey, Kept> kept_;
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_WATCH_INDEX_H_
