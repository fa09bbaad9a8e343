// SPDX-License-Identifier: Apache-2.0
// nom.market.v1.MarketService: what tenants call. The contract is in proto/.

#ifndef MARKETD_SERVICES_MARKET_SERVICE_H_
#define MARKETD_SERVICES_MARKET_SERVICE_H_

#include "marketd/services/context.h"
#include "nom/market/v1/market.grpc.pb.h"

namespace nom::marketd {

using MarketPb = nom::market::v1::MarketService;

// What is about guests that do not bid, or that tenants ask for (guest_calls.cc).
using GuestCalls = MarketPb::WithCallbackMethod_SetTier<
    MarketPb::WithCallbackMethod_ClearTier<MarketPb::WithCallbackMethod_RequestGuest<
        MarketPb::WithCallbackMethod_GetQuota<MarketPb::Service>>>>;

// What is about contracts (contract_calls.cc).
using ContractCalls = MarketPb::WithCallbackMethod_GetQuote<
    MarketPb::WithCallbackMethod_OfferSublet<MarketPb::WithCallbackMethod_TakeOffer<
        MarketPb::WithCallbackMethod_WithdrawOffer<MarketPb::WithCallbackMethod_LeaveContract<
            MarketPb::WithCallbackMethod_SetRenewal<MarketPb::WithCallbackMethod_ListContracts<
                MarketPb::WithCallbackMethod_ListOffers<GuestCalls>>>>>>>>;

// What rounds cost (price_calls.cc).
using PriceCalls = MarketPb::WithCallbackMethod_ListPrices<ContractCalls>;

// Watch is raw: its responses are put together from pieces that streams share (see WatchHub).
using MarketServiceBase = MarketPb::WithRawCallbackMethod_Watch<
    MarketPb::WithCallbackMethod_PlaceBid<MarketPb::WithCallbackMethod_WithdrawBid<
        MarketPb::WithCallbackMethod_OpenLease<MarketPb::WithCallbackMethod_PlaceBids<
            MarketPb::WithCallbackMethod_RenewLease<MarketPb::WithCallbackMethod_GetGuest<
                MarketPb::WithCallbackMethod_EndGuest<MarketPb::WithCallbackMethod_StartGuest<
                    MarketPb::WithCallbackMethod_ListGuests<MarketPb::WithCallbackMethod_ListRounds<
                        MarketPb::WithCallbackMethod_GetAccount<
                            MarketPb::WithCallbackMethod_CreateToken<
                                MarketPb::WithCallbackMethod_ListTokens<
                                    MarketPb::WithCallbackMethod_RevokeToken<
                                        MarketPb::WithCallbackMethod_ListEntries<
                                            MarketPb::WithCallbackMethod_ListEvents<
                                                PriceCalls>>>>>>>>>>>>>>>>>;

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
  grpc::ServerUnaryReactor* EndGuest(grpc::CallbackServerContext* context,
                                     const nom::market::v1::EndGuestRequest* request,
                                     nom::market::v1::EndGuestResponse* response) override;
  grpc::ServerUnaryReactor* StartGuest(grpc::CallbackServerContext* context,
                                       const nom::market::v1::StartGuestRequest* request,
                                       nom::market::v1::StartGuestResponse* response) override;
  grpc::ServerUnaryReactor* ListGuests(grpc::CallbackServerContext* context,
                                       const nom::market::v1::ListGuestsRequest* request,
                                       nom::market::v1::ListGuestsResponse* response) override;
  grpc::ServerUnaryReactor* ListRounds(grpc::CallbackServerContext* context,
                                       const nom::market::v1::ListRoundsRequest* request,
                                       nom::market::v1::ListRoundsResponse* response) override;
  grpc::ServerUnaryReactor* ListPrices(grpc::CallbackServerContext* context,
                                       const nom::market::v1::ListPricesRequest* request,
                                       nom::market::v1::ListPricesResponse* response) override;
  grpc::ServerUnaryReactor* GetAccount(grpc::CallbackServerContext* context,
                                       const nom::market::v1::GetAccountRequest* request,
                                       nom::market::v1::GetAccountResponse* response) override;
  grpc::ServerUnaryReactor* CreateToken(grpc::CallbackServerContext* context,
                                        const nom::market::v1::CreateTokenRequest* request,
                                        nom::market::v1::CreateTokenResponse* response) override;
  grpc::ServerUnaryReactor* ListTokens(grpc::CallbackServerContext* context,
                                       const nom::market::v1::ListTokensRequest* request,
                                       nom::market::v1::ListTokensResponse* response) override;
  grpc::ServerUnaryReactor* RevokeToken(grpc::CallbackServerContext* context,
                                        const nom::market::v1::RevokeTokenRequest* request,
                                        nom::market::v1::RevokeTokenResponse* response) override;
  grpc::ServerUnaryReactor* GetQuote(grpc::CallbackServerContext* context,
                                     const nom::market::v1::GetQuoteRequest* request,
                                     nom::market::v1::GetQuoteResponse* response) override;
  grpc::ServerUnaryReactor* OfferSublet(grpc::CallbackServerContext* context,
                                        const nom::market::v1::OfferSubletRequest* request,
                                        nom::market::v1::OfferSubletResponse* response) override;
  grpc::ServerUnaryReactor* TakeOffer(grpc::CallbackServerContext* context,
                                      const nom::market::v1::TakeOfferRequest* request,
                                      nom::market::v1::TakeOfferResponse* response) override;
  grpc::ServerUnaryReactor* WithdrawOffer(
      grpc::CallbackServerContext* context, const nom::market::v1::WithdrawOfferRequest* request,
      nom::market::v1::WithdrawOfferResponse* response) override;
  grpc::ServerUnaryReactor* LeaveContract(
      grpc::CallbackServerContext* context, const nom::market::v1::LeaveContractRequest* request,
      nom::market::v1::LeaveContractResponse* response) override;
  grpc::ServerUnaryReactor* SetRenewal(grpc::CallbackServerContext* context,
                                       const nom::market::v1::SetRenewalRequest* request,
                                       nom::market::v1::SetRenewalResponse* response) override;
  grpc::ServerUnaryReactor* ListContracts(
      grpc::CallbackServerContext* context, const nom::market::v1::ListContractsRequest* request,
      nom::market::v1::ListContractsResponse* response) override;
  grpc::ServerUnaryReactor* ListOffers(grpc::CallbackServerContext* context,
                                       const nom::market::v1::ListOffersRequest* request,
                                       nom::market::v1::ListOffersResponse* response) override;
  grpc::ServerUnaryReactor* SetTier(grpc::CallbackServerContext* context,
                                    const nom::market::v1::SetTierRequest* request,
                                    nom::market::v1::SetTierResponse* response) override;
  grpc::ServerUnaryReactor* ClearTier(grpc::CallbackServerContext* context,
                                      const nom::market::v1::ClearTierRequest* request,
                                      nom::market::v1::ClearTierResponse* response) override;
  grpc::ServerUnaryReactor* RequestGuest(grpc::CallbackServerContext* context,
                                         const nom::market::v1::RequestGuestRequest* request,
                                         nom::market::v1::RequestGuestResponse* response) override;
  grpc::ServerUnaryReactor* GetQuota(grpc::CallbackServerContext* context,
                                     const nom::market::v1::GetQuotaRequest* request,
                                     nom::market::v1::GetQuotaResponse* response) override;
  grpc::ServerUnaryReactor* ListEntries(grpc::CallbackServerContext* context,
                                        const nom::market::v1::ListEntriesRequest* request,
                                        nom::market::v1::ListEntriesResponse* response) override;
  grpc::ServerUnaryReactor* ListEvents(grpc::CallbackServerContext* context,
                                       const nom::market::v1::ListEventsRequest* request,
                                       nom::market::v1::ListEventsResponse* response) override;

 private:
  // A write about contracts: `call` as the market takes it, and what the answer says of the reply.
  template <typename Call, typename Answer>
  grpc::ServerUnaryReactor* WriteContract(grpc::CallbackServerContext* context,
                                          absl::StatusOr<Call> call, const char* event,
                                          Answer answer);

  // The same about a guest's tier.
  template <typename Call, typename Answer>
  grpc::ServerUnaryReactor* WriteTier(grpc::CallbackServerContext* context,
                                      absl::StatusOr<Call> call, const char* event, Answer answer);

  // RESOURCE_EXHAUSTED if this tenant bids too fast.
  absl::Status TakeBidToken(const market::Caller& caller);

  // What a tenant asks of a guest's life, and what of it is logged.
  template <typename Call>
  grpc::ServerUnaryReactor* ChangeGuest(grpc::CallbackServerContext* context, Call change,
                                        const char* event);

  // A page of what the ledger recorded of a tenant, or (operators, where they may) of all.
  template <typename Request, typename Response, typename Add>
  grpc::ServerUnaryReactor* ListRecords(grpc::CallbackServerContext* context,
                                        const Request* request, Response* response,
                                        bool all_for_operators, Add add);

  ServiceContext* const services_;
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_MARKET_SERVICE_H_
