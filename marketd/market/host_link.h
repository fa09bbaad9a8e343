// SPDX-License-Identifier: Apache-2.0
// The tie to one host: it is found, told what to do, and lost; and it is known here what its guests
// hold and which of its commands have not been answered.
//
// A machine goes on while nobody drives it: its guests keep what they hold, and its meters count.
// So losing a host forgets the commands that are out, and nothing else; when it is attached again
// it says what it holds, and that replaces all that was believed. Capacities in use are those of
// the config, or what the machine has, whichever is less.
//
// Knows the machine's words, not the books: which guests are the ledger's is said by whoever asks.
// All of it is lost at a restart. Not thread-safe: the engine's thread owns it.

#ifndef MARKETD_MARKET_HOST_LINK_H_
#define MARKETD_MARKET_HOST_LINK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "marketd/market/config.h"
#include "marketd/market/effect.h"
#include "marketd/market/event.h"
#include "marketd/market/holdings.h"
#include "marketd/market/host.h"

namespace nom::market {

// What a command that is out was for.
struct PendingCommand {
  enum class Kind { kAttach, kCreate, kDestroy, kPrepare, kApply, kPublish };
  Kind kind = Kind::kPublish;
  GuestId guest_id = 0;
};

class HostLink {
 public:
  using Send = std::function<void(HostCommand)>;
  enum class Phase {
    kDetached,   // Tries again when its time comes.
    kAttaching,  // Attach is out.
    kRunning,    // It does what it is told.
  };

  // `config` outlives it.
  HostLink(const HostConfig& config, Send send);

  // --- Found and lost. ---

  // Sends Attach if it is time; whether it did.
  bool Advance(absl::Time now);
  // When Advance will do something next, unless something else happens before.
  absl::Time next() const;
  // The machine was found: it runs from here on, and holds what it says. `is_ours` says which of
  // its guests the ledger knows. FAILED_PRECONDITION if it does not have what is to be sold: then
  // nothing changes.
  absl::Status Attached(const HostFacts& facts, const std::function<bool(GuestId)>& is_ours);
  // Commands that are out are forgotten, and their answers passed over.
  void Detach(absl::Time now, const std::string& why, absl::Duration retry_after);
  // The same, with longer and longer waits from one failure to the next.
  void Fail(absl::Time now, const std::string& why);
  void Worked() { failures_ = 0; }
  // The clock was set by so much.
  void Shift(absl::Duration by);

  Phase phase() const { return phase_; }
  bool is_running() const { return phase_ == Phase::kRunning; }
  // Why it is not connected, or version and machine, or what went wrong last: for people.
  const std::string& detail() const { return detail_; }
  void set_detail(std::string detail) { detail_ = std::move(detail); }

  // --- Told. ---

  void Create(GuestSpec spec);
  // Once, however often it is asked for before the answer.
  void Destroy(GuestId guest_id);
  void Prepare(GrantSet grants, absl::Time effective);
  void Apply(GrantSet grants);
  void Publish(PublishCommand board);
  // What the answer is to; none if that was forgotten. It is answered once.
  std::optional<PendingCommand> Answered(const HostCommandDone& done);

  // A guest whose creation is under way, or which is not to be created until its rest is gone.
  bool IsCreating(GuestId guest_id) const { return creating_.contains(guest_id); }
  const std::set<GuestId>& creating() const { return creating_; }
  void HoldPlace(GuestId guest_id) { creating_.insert(guest_id); }
  void GiveUpPlace(GuestId guest_id) { creating_.erase(guest_id); }

  // --- What it has. ---

  // By rising kind, with the capacities in use; 0 before the first attach.
  absl::Span<const Resource> resources() const { return resources_; }
  const HostHoldings& holdings() const { return holdings_; }  // Of the ledger's guests.
  HostHoldings& holdings() { return holdings_; }
  // Guests that the ledger does not know.
  const std::vector<HostGuest>& unmanaged() const { return unmanaged_; }
  void UnmanagedEnded(const GuestEnded& ended);
  const std::vector<HostSum>& sums() const { return sums_; }
  void set_sums(std::vector<HostSum> sums) { sums_ = std::move(sums); }

 private:
  absl::Status UseCapacities(const HostFacts& facts);
  void SendCommand(PendingCommand pending, decltype(HostCommand::command) command);

  const HostConfig& config_;
  const Send send_;
  Phase phase_ = Phase::kDetached;
  absl::Time next_attach_ = absl::InfinitePast();
  int failures_ = 0;
  std::string detail_ = "not attached yet";
  uint64_t next_command_id_ = 1;
  std::map<uint64_t, PendingCommand> pending_;
  std::set<GuestId> creating_;

  std::vector<Resource> resources_;
  HostHoldings holdings_;
  std::vector<HostGuest> unmanaged_;
  std::vector<HostSum> sums_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_HOST_LINK_H_
