// SPDX-License-Identifier: Apache-2.0
// What enforces a market's decisions: one machine.
//
// The market owns this interface; marketd/host/nomhv (mailbox) and marketd/host/simulated implement
// it. All calls come from one thread, the host thread, and may block for as long as the machine
// needs, bounded by the implementation's own time-out (UNAVAILABLE then). A host never does more
// than it is told, and refuses what would break its own invariants: a sum of grants above its
// capacity, a guest below its seed.

#ifndef MARKETD_MARKET_HOST_H_
#define MARKETD_MARKET_HOST_H_

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "marketd/market/books.h"
#include "marketd/market/types.h"

namespace nom::market {

// A guest that the host runs, as the host says.
struct HostGuest {
  GuestId guest_id = 0;
  std::string name;
  bool ended = false;             // Crashed or done; holds nothing.
  std::string exit_reason;        // If ended.
  bool exited = false;            // Ended by itself, with code 0.
  std::vector<Holding> holdings;  // Seeds and present totals; charges are 0.
};

// Of one resource: sums over guests in units, now, and the highest ever in force together, as the
// machine counts.
struct HostSum {
  ResourceKind kind = ResourceKind::kMemory;
  int64_t granted_units = 0;
  int64_t granted_max_units = 0;
  int64_t capacity_units = 0;
};

// What a host is, read when attached.
struct HostFacts {
  std::string detail;    // Version and machine, for people.
  uint64_t boot_id = 0;  // Changes when the machine restarts: then it has forgotten its guests.
  std::vector<std::pair<ResourceKind, int64_t>> capacities;  // In base measure: bytes, millicores.
  std::vector<HostGuest> guests;
  // The last Apply that the machine carried out since it booted, whether or not anybody heard of
  // it, and the meters at that instant. 0: none, or one that was told no round.
  RoundId applied_round_id = 0;
  std::vector<GuestMeters> applied_meters;
  std::vector<HostSum> sums;
};

// What a guest is created from.
struct GuestSpec {
  GuestId guest_id = 0;
  std::string name;
  std::string image;  // A file name within the operator's image directory; never a path.
  std::string arguments;
  std::vector<Holding> seeds;    // award_units is 0.
  int64_t memory_max_units = 0;  // Size of its address space.
};

// One guest's grant as the host and the guest's board need it.
struct GuestGrant {
  GuestId guest_id = 0;
  std::vector<Holding> now;   // In force.
  std::vector<Holding> next;  // From the deadline on; equal to now if nothing is decided.
  Microcredits balance_microcredits = 0;
  Microcredits spent_microcredits = 0;
};

// All guests that the market knows to run on the host, each once. Guests of the host that are not
// named (unknown to the market, or about to be removed) keep what they hold; named ones that have
// ended meanwhile are passed over.
struct GrantSet {
  RoundId round_id = 0;
  std::vector<GuestGrant> grants;
};

// What an Apply did.
struct RoundReport {
  RoundId round_id = 0;
  std::vector<GuestMeters> meters;  // Of every guest, ended ones too, at the instant of the change.
  int64_t forced_units = 0;         // Taken by force, all resources; each guest's rounded up.
  std::vector<HostSum> sums;
};

// What all guests may read: prices and the clock of the round.
struct BoardPrice {
  ResourceKind kind = ResourceKind::kMemory;
  policies::BoundBy bound_by = policies::BoundBy::kReserve;
  int64_t unit_size = 1;
  Microcredits unit_price_microcredits = 0;
  Microcredits reserve_unit_price_microcredits = 0;
  Microcredits highest_rejected_unit_price_microcredits = -1;  // -1: not published.
  int64_t supply_units = 0;
  int64_t demand_units = 0;
  int64_t sold_units = 0;
};

struct BoardContents {
  RoundId round_id = 0;
  RoundId priced_round_id = 0;
  absl::Duration period;
  absl::Duration valid_for;  // From now.
  absl::Duration close_in;
  absl::Duration effective_in;
  std::vector<BoardPrice> prices;
  // Of the book, as it was when this was published: whoever notes it down can tell whether books
  // that are shown later go on from it. transaction_id 0: not known.
  ChainHead head;
  // Whose rounds these are. Empty: not told.
  std::string ledger_id;
  std::string host_id;
};

// A guest put new bids on its bid page. Each is checked by the market as a stranger's bid is.
struct GuestBids {
  GuestId guest_id = 0;
  struct Bid {
    ResourceKind kind = ResourceKind::kMemory;
    Microcredits budget_microcredits = 0;  // 0: no limit of its own.
    std::vector<policies::Range> ranges;   // Empty withdraws, unless there is a valuation.
    // Of a bid for several kinds, whose kind is kSeveralKinds; it is the page's only one then.
    std::shared_ptr<const Valuation> valuation = nullptr;
  };
  std::vector<Bid> bids;
  std::string error;  // Not empty: the page was unreadable, and why; bids is empty then.
};

// What a guest says of its own work; shown, never believed.
struct GuestReport {
  GuestId guest_id = 0;
  uint64_t work_done = 0;
  std::string work_unit;  // Printable ASCII.
  Microcredits value_microcredits = 0;
  std::string activity;  // Printable ASCII.

  friend bool operator==(const GuestReport&, const GuestReport&) = default;
};

struct GuestEnded {
  GuestId guest_id = 0;
  std::string reason;   // For people: "triple fault", "exit 0", ...
  bool exited = false;  // By itself, with code 0.
};

// The machine is gone or came back as another boot; the market attaches anew.
struct HostLost {
  std::string reason;
};

using HostNews = std::variant<GuestBids, GuestReport, GuestEnded, HostLost>;

class Host {
 public:
  virtual ~Host() = default;

  // Finds the machine and learns what it is and runs. May be called again after a loss.
  // Errors: UNAVAILABLE (not there yet; try again), FAILED_PRECONDITION (it is there, but speaks
  // another version or is no nomhv).
  virtual absl::StatusOr<HostFacts> Attach() = 0;

  // Tells the host the units in which the market counts. Called before each Attach: the facts that
  // it returns are counted in them.
  virtual void SetResources(absl::Span<const Resource> resources) = 0;

  // Errors: NOT_FOUND (image), FAILED_PRECONDITION (not an image, and why), RESOURCE_EXHAUSTED,
  // ALREADY_EXISTS, UNAVAILABLE.
  virtual absl::Status CreateGuest(const GuestSpec& spec) = 0;

  // Scrubs all that the guest held before it returns; its last meters. NOT_FOUND if there is none.
  virtual absl::StatusOr<GuestMeters> DestroyGuest(GuestId guest_id) = 0;

  // Tells guests what they will hold and when.
  virtual absl::Status Prepare(const GrantSet& grants, absl::Duration until_effective) = 0;

  // Puts `now` of every grant in force, all or nothing, and reads the meters at that instant.
  // Errors: FAILED_PRECONDITION names the guest and why nothing was changed; UNAVAILABLE.
  virtual absl::StatusOr<RoundReport> Apply(const GrantSet& grants) = 0;

  virtual absl::Status Publish(const BoardContents& board) = 0;

  // What happened since the last call; returns at once. Several bid pages of one guest are
  // conflated to the last.
  virtual std::vector<HostNews> Poll() = 0;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_HOST_H_
