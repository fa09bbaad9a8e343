// SPDX-License-Identifier: Apache-2.0
// What the fake market keeps, and its service. Inside client/testing only.

#ifndef CLIENT_TESTING_FAKE_MARKET_IMPL_H_
#define CLIENT_TESTING_FAKE_MARKET_IMPL_H_

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/testing/wire.h"
#include "nom/market/v1/market.grpc.pb.h"
#include "nom/testing/fake_market.h"

namespace nom::testing {

namespace pb = market::v1;

using Key = std::pair<uint64_t, pb::ResourceKind>;

class FakeMarket::Impl final : public pb::MarketService::Service {
 public:
  explicit Impl(absl::Duration length) : period(length) {
    for (Resource resource : kAllResources) sold[KindOf(resource)] = {};
    Start();
  }
  ~Impl() override { Stop(); }

  struct Sold {
    int64_t price = 1;
    int64_t supply = 1'000;
    int64_t demand = 0;
    int64_t sold = 0;
  };
  struct Standing {
    pb::Bid bid;
    uint64_t last_round_id = 0;  // 0: until replaced.
  };
  struct Fence {
    uint64_t fence = 0;
    uint64_t sequence = 0;
    friend auto operator<=>(const Fence&, const Fence&) = default;
  };
  struct Guest {
    std::string name;
    int64_t seed = 0;
    std::map<pb::ResourceKind, pb::GuestOutcome> won;  // In the last round decided.
  };

  void Start();
  void Stop();

  // --- Rounds. The caller holds the mutex. ---

  void Changed();
  pb::WatchResponse Snapshot() const;
  void DescribeGuest(uint64_t guest_id, const Guest& guest, pb::GuestInfo& info) const;
  static pb::ResourcePrice PriceOf(pb::ResourceKind kind, const Sold& of);
  void Award(uint64_t guest_id, Guest& guest, pb::ResourceKind kind, Sold& of, int64_t units,
             pb::AwardReason reason);
  void DecideSingle(uint64_t guest_id, Guest& guest, pb::ResourceKind kind, Sold& of);
  // What a bid for several resources wins: at most one bundle, whole.
  void DecideSeveral(uint64_t guest_id, Guest& guest);
  void DecideLocked();

  // --- The service. ---

  grpc::Status Watch(grpc::ServerContext* context, const pb::WatchRequest* request,
                     grpc::ServerWriter<pb::WatchResponse>* writer) override;
  grpc::Status OpenLease(grpc::ServerContext* context, const pb::OpenLeaseRequest* request,
                         pb::OpenLeaseResponse* response) override;
  grpc::Status PlaceBids(grpc::ServerContext* context, const pb::PlaceBidsRequest* request,
                         pb::PlaceBidsResponse* response) override;

  // A guest's bid for several resources and those for single ones replace each other.
  static bool Exclude(const Key& a, const Key& b);
  // The caller holds the mutex.
  void Place(const pb::Bid& bid, Fence fence, bool refuse, pb::PlacedBid& placed);
  grpc::Status RenewLease(grpc::ServerContext* context, const pb::RenewLeaseRequest* request,
                          pb::RenewLeaseResponse* response) override;
  grpc::Status ListRounds(grpc::ServerContext* context, const pb::ListRoundsRequest* request,
                          pb::ListRoundsResponse* response) override;
  void Announce();
  static grpc::Status TooMany();
  static grpc::Status OtherLedger();

  const absl::Duration period;
  std::mutex start_mutex;  // Taken before `mutex`.
  int port = 0;
  std::unique_ptr<grpc::Server> server;

  mutable std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;
  uint64_t version = 1;
  std::string ledger_id = "ledger-1";
  uint64_t round = 1;
  absl::Time begun = absl::Now();
  absl::Time valid_until = absl::Now() + 2 * period;
  bool joint = false;
  std::map<pb::ResourceKind, Sold> sold;
  std::map<uint64_t, Guest> guests;
  uint64_t last_guest_id = 0;
  std::map<Key, Standing> standing_bids;
  std::map<Key, Fence> fences;
  std::map<Key, Fence> closed;
  std::map<uint64_t, pb::Round> records;
  uint64_t last_fence = 0;
  int64_t writes = 0;
  int64_t renewals = 0;
  int lose_answers = 0;
  int lose_calls = 0;
  int refuse_bids = 0;
  absl::Status refusal;
  bool limited = false;
  std::function<void()> on_call;
};

}  // namespace nom::testing

#endif  // CLIENT_TESTING_FAKE_MARKET_IMPL_H_
