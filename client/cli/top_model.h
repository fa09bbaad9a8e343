// SPDX-License-Identifier: Apache-2.0
// What `nomctl top` knows and shows: a pure function of what the market told it. No I/O, no clock.

#ifndef CLIENT_CLI_TOP_MODEL_H_
#define CLIENT_CLI_TOP_MODEL_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/round_check.h"
#include "client/cli/table.h"
#include "nom/market/v1/market.pb.h"
#include "nom/operators/v1/operators.pb.h"

namespace nom::cli {

class TopModel {
 public:
  void OnWatch(const market::v1::WatchResponse& response);

  // Takes one answer of ListRounds, newest first. The first one only tells where to begin. Returns
  // the rounds that have settled since, oldest first; each is returned once.
  std::vector<market::v1::Round> OnRounds(const market::v1::ListRoundsResponse& rounds);
  // True if `rounds` did not reach back to what is already known: ask for those before it too.
  bool NeedsOlder(const market::v1::ListRoundsResponse& rounds) const;

  // Checks a settled round against what is known of the guests, and remembers the result.
  void Check(const market::v1::Round& round);
  void Check(const operators::v1::ListHostsResponse& hosts);
  void Check(const operators::v1::AuditResponse& audit);

  // The table of one settled round.
  std::string FormatRound(const market::v1::Round& round, const Look& look = {}) const;
  // One line: what the market is doing now.
  std::string FormatNow(const Look& look = {}) const;
  // What was seen, the worst differences, all violations and all that was not compared.
  std::string FormatSummary(bool checked) const;

  const market::v1::MarketState& state() const { return state_; }
  int64_t rounds_settled() const { return rounds_settled_; }
  // Nothing violated, and something compared.
  bool good() const { return totals_.violations.empty() && totals_.compared > 0; }

 private:
  market::v1::MarketState state_;
  std::map<uint64_t, market::v1::GuestInfo> guests_;  // Also those that are gone.
  std::map<std::string, market::v1::Account> accounts_;
  std::map<uint64_t, GuestLife> lives_;
  // The bids that stood when a round was first seen decided, by round and guest.
  std::map<uint64_t, std::map<uint64_t, std::vector<market::v1::Bid>>> bids_;
  std::optional<uint64_t> reported_round_id_;
  int64_t rounds_settled_ = 0;
  RoundReport totals_;
  std::optional<operators::v1::AuditResponse> audit_;
};

}  // namespace nom::cli

#endif  // CLIENT_CLI_TOP_MODEL_H_
