// SPDX-License-Identifier: Apache-2.0
// A market that says what a test tells it to, over real gRPC on the loopback.
//
// It clears nothing and keeps no books: what it holds against its callers is the protocol (tokens,
// request ids). Thread-safe.

#ifndef TESTS_UNIT_CLIENT_FAKE_MARKET_H_
#define TESTS_UNIT_CLIENT_FAKE_MARKET_H_

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "nom/market/v1/market.grpc.pb.h"
#include "nom/operators/v1/operators.grpc.pb.h"

namespace nom::client_test {

class FakeMarket {
 public:
  // Listens on a free port of the loopback.
  FakeMarket();
  ~FakeMarket();

  const std::string& target() const { return target_; }

  // Ends all streams and stops listening; Start() listens on the same port again.
  void Stop();
  void Start();

  // The snapshot that new watchers get; also told to all that watch now.
  void Publish(const market::v1::WatchResponse& snapshot);
  // Told once to those who watch now and to nobody else.
  void Tell(const market::v1::WatchResponse& response);
  // Ends all streams with this status.
  void EndStreams(const grpc::Status& status);

  // The next calls of PlaceBid or PlaceBids fail so, one status each; `after_applying` as if only
  // the answer was lost.
  void FailBids(std::vector<grpc::Status> statuses, bool after_applying = false);
  // The next calls of RenewLease fail, with nothing said of any bid.
  void FailRenewals(int count);
  // As if all bids had lapsed.
  void ForgetBids();
  // If not empty, calls need this bearer token.
  void RequireToken(const std::string& token);
  // The round that PlaceBid answers.
  void SetRound(uint64_t round_id);

  // Sets the answers below, between calls: `set(*this)`.
  template <typename Set>
  void Configure(const Set& set) {
    std::lock_guard lock(mutex_);
    set(*this);
  }
  market::v1::ListRoundsResponse rounds;
  std::map<std::string, market::v1::ListPricesResponse> prices;  // By page_token.
  market::v1::ListGuestsResponse guests;
  market::v1::GetAccountResponse account;
  market::v1::ListTokensResponse tokens;
  market::v1::GetQuoteResponse quote;
  market::v1::GetQuotaResponse quota;
  market::v1::ListContractsResponse contracts;
  market::v1::ListOffersResponse offers;
  // Pages by the transaction that they are asked for below.
  std::map<uint64_t, market::v1::ListEntriesResponse> entries;
  std::map<uint64_t, market::v1::ListEventsResponse> events;
  operators::v1::ListHostsResponse hosts;
  operators::v1::ListTenantsResponse tenants;
  operators::v1::AuditResponse audit;
  operators::v1::GetRoundRecordResponse record;
  // Told each request of any call but Watch: "method text-format". Of a call that only reads: when
  // its answer is fixed.
  std::function<void(const std::string&)> on_request;

  // All requests that were applied, each bid of a PlaceBids as if by itself, in order; a repeated
  // request_id is applied once.
  std::vector<market::v1::PlaceBidRequest> bids() const;
  std::vector<market::v1::WithdrawBidRequest> withdrawals() const;
  int64_t bid_calls() const;  // Also those that failed or were repeated.
  int64_t renewals() const;   // Calls of RenewLease.
  std::vector<market::v1::WatchRequest> watches() const;

  // Each waits until it is so; a test that never gets there ends by its time limit.
  void WaitForBids(size_t count);
  void WaitForBidCalls(int64_t count);
  void WaitForWatches(size_t count);
  void WaitForRenewals(int64_t count);

 private:
  class MarketImpl;
  class OperatorImpl;
  struct Watcher {
    std::deque<market::v1::WatchResponse> queue;
    bool ended = false;
    grpc::Status status;
  };

  // UNAUTHENTICATED if the token is not the one required.
  grpc::Status Authenticate(const grpc::ServerContext& context) const;
  void Note(const std::string& method, const google::protobuf::Message& request) const;
  // ALREADY_EXISTS if the id was used for another request; `again` if for the same.
  grpc::Status Remember(const std::string& request_id, const google::protobuf::Message& request,
                        bool& again);
  template <typename Request, typename Response>
  grpc::Status Answer(const char* method, const grpc::ServerContext& context,
                      const Request& request, const Response& answer, Response* response) {
    grpc::Status status;
    {
      std::lock_guard lock(mutex_);
      *response = answer;
      status = Authenticate(context);
    }
    // Only now: who has seen the request may change what the next one is answered.
    Note(method, request);
    return status;
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string target_;
  int port_ = 0;
  std::unique_ptr<MarketImpl> market_;
  std::unique_ptr<OperatorImpl> operator_;
  std::unique_ptr<grpc::Server> server_;

  market::v1::WatchResponse snapshot_;
  bool has_snapshot_ = false;
  std::set<std::shared_ptr<Watcher>> watchers_;
  std::deque<grpc::Status> bid_failures_;
  bool fail_after_applying_ = false;
  int renewals_to_fail_ = 0;
  std::string token_;
  uint64_t round_id_ = 1;
  std::map<std::string, std::string> requests_;  // Content by request id.
  std::vector<market::v1::PlaceBidRequest> bids_;
  std::vector<market::v1::WithdrawBidRequest> withdrawals_;
  std::vector<market::v1::WatchRequest> watches_;
  int64_t bid_calls_ = 0;
  int64_t renewals_ = 0;
  uint64_t fence_ = 0;
  // Of what stands: the sequence that placed it.
  std::map<std::pair<uint64_t, market::v1::ResourceKind>, uint64_t> leased_;
};

// A state in which cpu (unit of 10 millicores) and memory (unit of 1 MiB) are sold, with prices of
// round `round_id` - 1, good until `valid_until`.
market::v1::MarketState MakeState(uint64_t round_id, int64_t cpu_price, int64_t memory_price,
                                  absl::Time valid_until);
// A running guest that holds seeds of 10 cpu and 8 memory.
market::v1::GuestInfo MakeGuest(uint64_t guest_id, const std::string& name);

}  // namespace nom::client_test

#endif  // TESTS_UNIT_CLIENT_FAKE_MARKET_H_
