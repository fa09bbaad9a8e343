// SPDX-License-Identifier: Apache-2.0
// What tenants and operators ask for: who may, whether it was asked before, and the answer. What
// each call promises is in event.h; bids are bid_desk.h's, guests' lives guest_lives.h's.
//
// Not thread-safe: the engine's thread owns it.

#ifndef MARKETD_MARKET_CALLS_H_
#define MARKETD_MARKET_CALLS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "marketd/market/bid_desk.h"
#include "marketd/market/bid_leases.h"
#include "marketd/market/event.h"
#include "marketd/market/guest_lives.h"
#include "marketd/market/host_market.h"
#include "marketd/market/live_book.h"
#include "marketd/market/product_desk.h"
#include "marketd/market/tier_desk.h"
#include "marketd/market/tokens.h"
#include "marketd/market/waiting_calls.h"

namespace nom::market {

class Calls {
 public:
  // All outlive it.
  Calls(LiveBook& book, HostMarkets& hosts, BidLeases& leases, BidDesk& desk, ProductDesk& products,
        TierDesk& tiers, GuestLives& lives, Tokens& tokens, WaitingCalls& waiting);

  // Answers it through the book, at once or when what it asked for has come to pass.
  void On(const CallEvent& event);

 private:
  // Calls that leave a trace under their request id. `later`: the answer comes later.
  void OnRequest(const CallEvent& event, const std::string& request_id);
  Reply AnswerAgain(const CallEvent& event, const Request& known, bool* later);
  Reply Do(const CallEvent& event, const Request& request, bool* later);

  Reply DoCreateTenant(const CreateTenant& call, const Request& request);
  Reply DoDeposit(const Deposit& call, const Request& request);
  Reply DoAdmitGuest(const AdmitGuest& call, const CallEvent& event, const Request& request,
                     bool* later);
  Reply DoEvictGuest(const EvictGuest& call, const CallEvent& event, const Request& request,
                     bool* later);
  // For the operator, or for its owner, who gives it back.
  Reply Evict(const Guest& guest, const CallEvent& event, const Request& request, bool* later);
  Reply DoEndGuest(const EndGuest& call, const CallEvent& event, const Request& request,
                   bool* later);
  Reply DoStartGuest(const StartGuest& call, const CallEvent& event, const Request& request,
                     bool* later);

  absl::Status CheckAdmit(const AdmitGuest& call, std::vector<Holding>* seeds) const;
  // The guest as it will be.
  Guest GuestOf(const AdmitGuest& call, const HostMarket& host, std::vector<Holding> seeds) const;
  // What a tenant asks for, beside what its guests have.
  absl::Status CheckQuota(const AdmitGuest& call, const HostMarket& host) const;
  absl::Status CheckSeeds(const AdmitGuest& call, const HostMarket& host,
                          std::vector<Holding>* seeds) const;
  absl::Status CheckStart(const Guest& guest, const HostMarket& host) const;
  // Whether what a call that was answered OK began is still being done.
  bool IsUnderWay(const Call& call, GuestId guest_id) const;

  LiveBook& book_;
  HostMarkets& hosts_;
  BidLeases& leases_;
  BidDesk& desk_;
  ProductDesk& products_;
  TierDesk& tiers_;
  GuestLives& lives_;
  Tokens& tokens_;
  WaitingCalls& waiting_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_CALLS_H_
