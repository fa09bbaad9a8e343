// nom.market.v1.MarketService: what tenants call. The contract is in proto/.

#ifndef MARKETD_SERVICES_MARKET_SERVICE_H_
#define MARKETD_SERVICES_MARKET_SERVICE_H_

#include "marketd/services/context.h"
#include "nom/market/v1/market.grpc.pb.h"

namespace nom::marketd {

// Watch is raw: its responses are put together from pieces that streams share (see WatchHub).
using MarketServiceBase = nom::market::v1::MarketService::WithRawCallbackMethod_Watch<
    nom::market::v1::MarketService::WithCallbackMethod_PlaceBid<
        nom::market::v1::MarketService::WithCallbackMethod_WithdrawBid<
            nom::market::v1::MarketService::WithCallbackMethod_OpenLease<
                nom::market::v1::MarketService::WithCallbackMethod_PlaceBids<
                    nom::market::v1::MarketService::WithCallbackMethod_RenewLease<
                        nom::market::v1::MarketService::WithCallbackMethod_GetGuest<
                            nom::market::v1::MarketService::WithCallbackMethod_ListGuests<
                                nom::market::v1::MarketService::WithCallbackMethod_ListRounds<
                                    nom::market::v1::MarketService::WithCallbackMethod_GetAccount<
                                        nom::market::v1::MarketService::Service>>>>>>>>>>;

class MarketService final : public MarketServiceBase {
 public:
  explicit MarketService(ServiceContext* services) : services_(services) {}

  grpc::ServerWriteReactor<grpc::ByteBuffer>* Watch(grpc::CallbackServerContext* context,
                                                    const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* PlaceBid(grpc::CallbackServerContext* context,
                                     const nom::market::v1::PlaceBidRequest* request,
                                     nom::market::v1::PlaceBidResponse* response) override;
  grpc::ServerUnaryReactor* WithdrawBid(grpc::CallbackServerContext* context,
                                        const nom::market::v1::WithdrawBidRequest* request,
                                        nom::market::v1::WithdrawBidResponse* response) override;
  grpc::ServerUnaryReactor* OpenLease(grpc::CallbackServerContext* context,
                                      const nom::market::v1::OpenLeaseRequest* request,
                                      nom::market::v1::OpenLeaseResponse* response) override;
  grpc::ServerUnaryReactor* PlaceBids(grpc::CallbackServerContext* context,
                                      const nom::market::v1::PlaceBidsRequest* request,
                                      nom::market::v1::PlaceBidsResponse* response) override;
  grpc::ServerUnaryReactor* RenewLease(grpc::CallbackServerContext* context,
                                       const nom::market::v1::RenewLeaseRequest* request,
                                       nom::market::v1::RenewLeaseResponse* response) override;
  grpc::ServerUnaryReactor* GetGuest(grpc::CallbackServerContext* context,
                                     const nom::market::v1::GetGuestRequest* request,
                                     nom::market::v1::GetGuestResponse* response) override;
  grpc::ServerUnaryReactor* ListGuests(grpc::CallbackServerContext* context,
                                       const nom::market::v1::ListGuestsRequest* request,
                                       nom::market::v1::ListGuestsResponse* response) override;
  grpc::ServerUnaryReactor* ListRounds(grpc::CallbackServerContext* context,
                                       const nom::market::v1::ListRoundsRequest* request,
                                       nom::market::v1::ListRoundsResponse* response) override;
  grpc::ServerUnaryReactor* GetAccount(grpc::CallbackServerContext* context,
                                       const nom::market::v1::GetAccountRequest* request,
                                       nom::market::v1::GetAccountResponse* response) override;

 private:
  // RESOURCE_EXHAUSTED if this tenant bids too fast.
  absl::Status TakeBidToken(const market::Caller& caller);

  ServiceContext* const services_;
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_MARKET_SERVICE_H_
