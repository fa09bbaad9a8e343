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
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
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
    int64_t seed = 0;                           // Of each resource,
    std::map<pb::ResourceKind, int64_t> seeds;  // or of those, where it was asked for.
    bool is_requested = false;
    std::optional<pb::GuestTier> tier;
    std::map<pb::ResourceKind, pb::GuestOutcome> won;  // In the last round decided.

    int64_t SeedOf(pb::ResourceKind kind) const {
      if (!is_requested) return seed;
      const auto own = seeds.find(kind);
      return own == seeds.end() ? 0 : own->second;
    }
  };
  // What there is too little of; see pb::Shortage.
  struct Short {
    pb::ShortOf of = pb::SHORT_OF_UNSPECIFIED;
    pb::ResourceKind kind = pb::RESOURCE_KIND_UNSPECIFIED;
    int64_t asked = 0;
    int64_t free = 0;
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
  // What its tier wins a guest, floor and all.
  void DecideTier(uint64_t guest_id, Guest& guest);
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
  grpc::Status ListPrices(grpc::ServerContext* context, const pb::ListPricesRequest* request,
                          pb::ListPricesResponse* response) override;

  // --- fake_contracts.cc ---

  // What a write with a request id does, once; later tries get the first answer.
  template <typename Request, typename Response, typename Do>
  grpc::Status WriteOnce(const Request& request, Response* response, const Do& action);
  // The caller holds the mutex of the next five.
  int64_t ForwardPrice(pb::ResourceKind kind) const;
  // The most units of the market's own that contracts promise in a round of those.
  int64_t Promised(pb::ResourceKind kind, uint64_t from, uint64_t until) const;
  // Out of a contract, to others.
  int64_t PassedOn(uint64_t contract_id, pb::ResourceKind kind, uint64_t round_id) const;
  // Adds what contracts hold in the round to what was won in it.
  void HoldContracts();
  // Ends or renews those whose rounds are over.
  void EndContracts();
  grpc::Status GetQuote(grpc::ServerContext* context, const pb::GetQuoteRequest* request,
                        pb::GetQuoteResponse* response) override;
  grpc::Status OfferSublet(grpc::ServerContext* context, const pb::OfferSubletRequest* request,
                           pb::OfferSubletResponse* response) override;
  grpc::Status TakeOffer(grpc::ServerContext* context, const pb::TakeOfferRequest* request,
                         pb::TakeOfferResponse* response) override;
  grpc::Status WithdrawOffer(grpc::ServerContext* context, const pb::WithdrawOfferRequest* request,
                             pb::WithdrawOfferResponse* response) override;
  grpc::Status LeaveContract(grpc::ServerContext* context, const pb::LeaveContractRequest* request,
                             pb::LeaveContractResponse* response) override;
  grpc::Status SetRenewal(grpc::ServerContext* context, const pb::SetRenewalRequest* request,
                          pb::SetRenewalResponse* response) override;
  grpc::Status ListContracts(grpc::ServerContext* context, const pb::ListContractsRequest* request,
                             pb::ListContractsResponse* response) override;
  grpc::Status ListOffers(grpc::ServerContext* context, const pb::ListOffersRequest* request,
                          pb::ListOffersResponse* response) override;

  // --- fake_guests.cc ---

  grpc::Status SetTier(grpc::ServerContext* context, const pb::SetTierRequest* request,
                       pb::SetTierResponse* response) override;
  grpc::Status ClearTier(grpc::ServerContext* context, const pb::ClearTierRequest* request,
                         pb::ClearTierResponse* response) override;
  grpc::Status RequestGuest(grpc::ServerContext* context, const pb::RequestGuestRequest* request,
                            pb::RequestGuestResponse* response) override;
  grpc::Status GetQuota(grpc::ServerContext* context, const pb::GetQuotaRequest* request,
                        pb::GetQuotaResponse* response) override;
  // The caller holds the mutex of the next three.
  // Null: the table does not have it.
  const pb::Tier* FindTier(const std::string& name) const;
  // What guests have of the seeds that a tenant may have.
  int64_t SeedsOf(pb::ResourceKind kind) const;
  // The contract of a bundle, or why there is none.
  grpc::Status BuyBundle(const pb::Bundle& bundle, uint64_t guest_id, uint64_t* contract_id);
  static grpc::Status TooLittle(grpc::StatusCode code, const std::string& message,
                                const Short& shortage);

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
  std::vector<pb::Tier> tiers;  // The lowest first.
  int64_t quota_guests = 0;
  std::map<pb::ResourceKind, int64_t> quota_seeds;
  std::map<pb::ResourceKind, int64_t> forward_prices;  // Where they are not the posted ones.
  std::map<uint64_t, pb::Contract> contracts;          // Open.
  std::map<uint64_t, pb::Contract> ended;              // The latest of them.
  std::map<uint64_t, pb::Offer> open_offers;
  uint64_t last_contract_id = 0;
  uint64_t last_offer_id = 0;
  std::map<std::string, std::pair<std::string, std::string>> answers;  // Request, response.
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

template <typename Request, typename Response, typename Do>
grpc::Status FakeMarket::Impl::WriteOnce(const Request& request, Response* response,
                                         const Do& action) {
  Announce();
  std::lock_guard lock(mutex);
  ++writes;
  if (limited) return TooMany();
  const grpc::Status lost(grpc::StatusCode::UNAVAILABLE, "the line broke");
  if (lose_calls > 0) {
    --lose_calls;
    return lost;
  }
  if (request.request_id().empty()) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "request_id: must be given");
  }
  const std::string key = absl::StrCat(Request::descriptor()->name(), " ", request.request_id());
  const auto known = answers.find(key);
  if (known != answers.end()) {
    if (known->second.first != request.SerializeAsString()) {
      return grpc::Status(grpc::StatusCode::ALREADY_EXISTS,
                          "request_id: was used for another write");
    }
    response->ParseFromString(known->second.second);
  } else {
    const grpc::Status status = action();
    if (!status.ok()) return status;
    answers[key] = {request.SerializeAsString(), response->SerializeAsString()};
    Changed();
  }
  if (lose_answers > 0) {
    --lose_answers;
    return lost;
  }
  return grpc::Status::OK;
}

}  // namespace nom::testing

#endif  // CLIENT_TESTING_FAKE_MARKET_IMPL_H_
