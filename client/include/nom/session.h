// A program's line to the market: the latest prices at the cost of a memory read, bids, and notices
// before anything is taken away.
//
//   nom::SessionOptions options;
//   options.target = "market.example:7070";
//   options.token_file = "/run/credentials/nom.token";
//   auto session = nom::Session::Connect(std::move(options));
//   if (!session.ok()) ...
//   (*session)->OnNotice([&](const nom::Notice& n) { cache.ShrinkTo(n.units_next); });
//   nom::Prices prices = (*session)->prices();
//   (*session)->Bid({.resource = nom::Resource::kMemory, .ranges = {{1, 64, 900, 900}}});
//
// A session follows one host. It reconnects by itself, for ever, with growing and random pauses,
// and asks for what came after the last thing it saw. When prices grow stale or the line is lost it
// goes to safe mode: stale() is true, Bid() refuses, and the bids that stand are no longer renewed,
// so that they lapse at the market after SessionOptions::bid_lifetime_rounds rounds. When prices
// are fresh again, so is everything else: the bids that the program last placed are placed again.

#ifndef NOM_SESSION_H_
#define NOM_SESSION_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "nom/clock.h"
#include "nom/types.h"

namespace nom {

struct SessionOptions {
  // "host:port", "dns:///name:port" or "unix:/path".
  std::string target;

  // Who the caller is: a bearer token, or a file that holds one on one line. The file is read again
  // at each reconnect, so that a token can be changed under a running program.
  std::string token;
  std::string token_file;

  // The certificates that the server's is checked against, PEM; empty: the system's. The name in
  // the server's certificate is checked against the target's.
  std::string tls_roots_file;
  // For a market that asks its callers for a certificate: ours (with those between it and the
  // authority, if any) and its key, PEM; both or none. Its common name is the tenant, and a token
  // is not needed then. Like the roots, they are read again whenever the session connects anew.
  std::string tls_cert_file;
  std::string tls_key_file;
  // No TLS. Only for a target on this machine: localhost, 127.0.0.0/8, [::1] or unix:.
  bool plaintext = false;

  std::string host_id;              // Empty: the only host.
  std::vector<uint64_t> guest_ids;  // Empty: all of the caller's.

  // How long Connect() waits for the first word from the market. Zero: not at all; the session
  // connects behind the caller's back and prices are stale until it has.
  absl::Duration connect_timeout = absl::Seconds(10);
  // How long Bid() and Withdraw() try in all, and each of their attempts.
  absl::Duration call_timeout = absl::Seconds(10);
  absl::Duration attempt_timeout = absl::Seconds(3);
  // The pause before the first new attempt; it doubles up to the most. Each pause is drawn between
  // half of that and the whole.
  absl::Duration backoff_min = absl::Milliseconds(100);
  absl::Duration backoff_max = absl::Seconds(10);

  // A bid takes part in this many rounds unless it is renewed, which the session does while prices
  // are fresh. At least 2.
  uint32_t bid_lifetime_rounds = 3;

  // Limits that hold in this process as well as at the market, whatever the program asks for.
  // The most that all bids of this session together may be charged in a round.
  std::optional<int64_t> budget_per_round_microcredits;
  // The most that a unit is ever said to be worth: bids above are cut down to it.
  std::map<Resource, int64_t> unit_price_ceilings_microcredits;

  // Null: the system's clock. Must outlive the session.
  SessionClock* clock = nullptr;
  // Uniform in [0, 1), called from any thread, one at a time. Null: seeded by the system.
  std::function<double()> random;
};

// True if `target` can only be this machine, by its spelling: SessionOptions::plaintext is allowed.
bool PlaintextAllowed(const std::string& target);

enum class SessionState {
  kConnecting,  // No word yet.
  kLive,        // The stream is up.
  kLost,        // It was up; connecting again.
};

// Why stale() is true, or that it is not any more.
struct Staleness {
  bool stale = true;
  std::string reason;  // For people.
};

// Thread-safe. Callbacks run one at a time, all in one thread of the session's own, which holds no
// lock meanwhile: a callback may call anything here but the destructor. While a callback runs,
// later callbacks wait; prices() does not wait, and other threads see each new price at once. Once
// the destructor has returned no callback runs or will run: what a callback refers to outlives the
// session.
class Session {
 public:
  // Errors: INVALID_ARGUMENT (options, names the one), NOT_FOUND or PERMISSION_DENIED (files),
  // FAILED_PRECONDITION (plaintext to another machine); UNAUTHENTICATED, PERMISSION_DENIED,
  // NOT_FOUND or INVALID_ARGUMENT as the market says; DEADLINE_EXCEEDED if it said nothing in
  // connect_timeout, with the last thing that went wrong.
  static absl::StatusOr<std::unique_ptr<Session>> Connect(SessionOptions options);

  // Withdraws nothing: bids lapse. Waits for the callback that runs, if one does. Must not be
  // called from a callback; aborts if it is.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // The latest prices. Lock-free and without a system call: some nanoseconds, from any thread.
  Prices prices() const;
  // The price of one resource, a single load; nullopt: it is not on sale (Price::offered).
  std::optional<int64_t> UnitPrice(Resource resource) const;
  // True in safe mode. As cheap as UnitPrice().
  bool stale() const;

  SessionState state() const;
  // What went wrong last, or OK while kLive.
  absl::Status last_error() const;

  // Copies of what was last told. They take a lock.
  MarketStatus market() const;
  std::vector<GuestStatus> guests() const;
  // Of one guest; 0: the only one. Empty if it is not known.
  std::vector<Grant> grants(uint64_t guest_id = 0) const;
  std::optional<AccountStatus> account() const;

  // Each sets the callback of its kind; an empty one takes it away. Notices that came while there
  // was none are kept, the latest for each guest and resource, and told to the first one set.
  void OnNotice(std::function<void(const Notice&)> callback);
  // After each round decided.
  void OnPrices(std::function<void(const Prices&)> callback);
  // On going to safe mode and on coming back.
  void OnStale(std::function<void(const Staleness&)> callback);
  // A bid could not be renewed, or placed after all; it is tried again, and told again only if the
  // reason changes or it was good in between.
  void OnBidRefused(std::function<void(const nom::Bid&, const absl::Status&)> callback);

  // Replaces the guest's bid for a resource as a whole; without ranges, withdraws it, also in safe
  // mode. The session renews it until it is replaced or withdrawn, unless it says itself for how
  // many rounds it stands (Bid::rounds). Blocks until the market has made it durable, trying again
  // under the same request id where that can help. Returns the first round in which it takes part
  // (of one without ranges: from which on, as far as is known here, none does). Calls of a session
  // are carried out one at a time. Errors: FAILED_PRECONDITION in safe mode, in which nothing is
  // sent, or as the market says (money); INVALID_ARGUMENT names the field; RESOURCE_EXHAUSTED if
  // the session's budget is spoken for by its other bids. Refused so, what stood before still does.
  // UNAVAILABLE or DEADLINE_EXCEEDED if the market could not be reached, or any error after that:
  // the bid may or may not stand. The session then goes on trying to place it, as it does to renew
  // one, and tells OnBidRefused what is in the way; a bid with rounds of its own it leaves at that.
  absl::StatusOr<uint64_t> Bid(nom::Bid bid);

  // Removes the bid. True if there was one. Works in safe mode too. Whatever comes of the call, the
  // session no longer renews the bid.
  absl::StatusOr<bool> Withdraw(Resource resource, uint64_t guest_id = 0);

  // What the session keeps standing, or tries to, after its limits.
  std::vector<nom::Bid> standing_bids() const;

 private:
  class Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace nom

#endif  // NOM_SESSION_H_
