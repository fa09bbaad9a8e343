// SPDX-License-Identifier: Apache-2.0
// Contracts over real gRPC: quotes, sublets, renewals, and what each call refuses and how.

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "policies/forward/forward.h"
#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

using ::grpc::StatusCode;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kMemory = market_pb::RESOURCE_KIND_MEMORY;
constexpr auto kCpu = market_pb::RESOURCE_KIND_CPU;
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// Memory is sold forward up to half of its 64 units, at the reserve of 10: nobody bids here. The
// fee for leaving is a tenth of what is left.
class ContractsTest : public MarketTest {
 protected:
  virtual std::string QuotesValidMs() { return "3600000"; }
  std::string Config() override {
    const std::string config = MarketTest::Config();
    const std::string changed = absl::StrReplaceAll(
        config, {{"period_ms: 1000",
                  absl::StrCat("period_ms: 1000\n    quotes_valid_ms: ", QuotesValidMs())},
                 {"reserve_unit_price_microcredits: 10",
                  "reserve_unit_price_microcredits: 10\n        forward: {share_percent: 50, "
                  "term_premium_ppm: 0, scarcity_premium_ppm: 0}"}});
    EXPECT_THAT(changed, HasSubstr("forward"));
    return changed;
  }

  struct Quoted {
    grpc::Status status;
    market_pb::GetQuoteResponse response;
  };
  static market_pb::GetQuoteRequest QuoteRequest(uint64_t guest_id, int64_t memory,
                                                 const std::string& request_id) {
    market_pb::GetQuoteRequest request;
    request.set_guest_id(guest_id);
    market_pb::Quantity* const lot = request.add_lots();
    lot->set_kind(kMemory);
    lot->set_units(memory);
    request.set_rounds(1'000);
    request.set_request_id(request_id);
    return request;
  }
  static Quoted Quote(const Client& client, const market_pb::GetQuoteRequest& request) {
    Quoted out;
    out.status = client.market->GetQuote(client.Context().get(), request, &out.response);
    return out;
  }
  static grpc::Status Take(const Client& client, uint64_t offer_id, uint64_t guest_id,
                           const std::string& request_id,
                           market_pb::TakeOfferResponse* response = nullptr, int64_t ceiling = 0) {
    market_pb::TakeOfferRequest request;
    request.set_offer_id(offer_id);
    request.set_guest_id(guest_id);
    request.set_renew_ceiling_microcredits(ceiling);
    request.set_request_id(request_id);
    market_pb::TakeOfferResponse ignored;
    return client.market->TakeOffer(client.Context().get(), request,
                                    response == nullptr ? &ignored : response);
  }
  // Of so many units of memory; its id.
  uint64_t Buy(const Client& client, uint64_t guest_id, int64_t memory,
               const std::string& request_id) {
    const Quoted quoted = Quote(client, QuoteRequest(guest_id, memory, "q-" + request_id));
    EXPECT_THAT(quoted.status, Succeeds());
    market_pb::TakeOfferResponse taken;
    EXPECT_THAT(Take(client, quoted.response.offer_id(), guest_id, request_id, &taken), Succeeds());
    return taken.contract_id();
  }
  static market_pb::OfferSubletRequest SubletRequest(uint64_t contract_id, int64_t memory,
                                                     const std::string& request_id) {
    market_pb::OfferSubletRequest request;
    request.set_contract_id(contract_id);
    market_pb::Lot* const lot = request.add_lots();
    lot->set_kind(kMemory);
    lot->set_units(memory);
    lot->set_charge_microcredits(30);
    request.set_rounds(500);
    request.set_request_id(request_id);
    return request;
  }
  static grpc::Status Sublet(const Client& client, const market_pb::OfferSubletRequest& request,
                             market_pb::OfferSubletResponse* response = nullptr) {
    market_pb::OfferSubletResponse ignored;
    return client.market->OfferSublet(client.Context().get(), request,
                                      response == nullptr ? &ignored : response);
  }
  static grpc::Status Withdraw(const Client& client, uint64_t offer_id,
                               const std::string& request_id) {
    market_pb::WithdrawOfferRequest request;
    request.set_offer_id(offer_id);
    request.set_request_id(request_id);
    market_pb::WithdrawOfferResponse response;
    return client.market->WithdrawOffer(client.Context().get(), request, &response);
  }
  static grpc::Status Leave(const Client& client, uint64_t contract_id,
                            const std::string& request_id, uint64_t* round_id = nullptr) {
    market_pb::LeaveContractRequest request;
    request.set_contract_id(contract_id);
    request.set_request_id(request_id);
    market_pb::LeaveContractResponse response;
    const grpc::Status status =
        client.market->LeaveContract(client.Context().get(), request, &response);
    if (round_id != nullptr) *round_id = response.round_id();
    return status;
  }
  static grpc::Status SetRenewal(const Client& client, uint64_t contract_id, int64_t ceiling,
                                 const std::string& request_id) {
    market_pb::SetRenewalRequest request;
    request.set_contract_id(contract_id);
    request.set_renew_ceiling_microcredits(ceiling);
    request.set_request_id(request_id);
    market_pb::SetRenewalResponse response;
    return client.market->SetRenewal(client.Context().get(), request, &response);
  }
  static std::vector<market_pb::Contract> Contracts(const Client& client, uint64_t guest_id = 0) {
    market_pb::ListContractsRequest request;
    request.set_guest_id(guest_id);
    market_pb::ListContractsResponse response;
    EXPECT_THAT(client.market->ListContracts(client.Context().get(), request, &response),
                Succeeds());
    return {response.contracts().begin(), response.contracts().end()};
  }
  static std::vector<market_pb::Offer> Offers(const Client& client, uint64_t guest_id = 0) {
    market_pb::ListOffersRequest request;
    request.set_guest_id(guest_id);
    market_pb::ListOffersResponse response;
    EXPECT_THAT(client.market->ListOffers(client.Context().get(), request, &response), Succeeds());
    return {response.offers().begin(), response.offers().end()};
  }
  // Each change of the market is a moment at which to look.
  template <typename Wanted>
  bool WaitFor(const Client& client, const Wanted& wanted) {
    const auto context = client.Context();
    const auto reader = client.market->Watch(context.get(), market_pb::WatchRequest());
    market_pb::WatchResponse response;
    const bool came = ReadUntil(*reader, &response, wanted);
    context->TryCancel();
    return came;
  }
  // What the guest holds of memory, by a response that tells it; -1: it does not.
  static int64_t MemoryOf(const market_pb::WatchResponse& response, uint64_t guest_id) {
    for (const market_pb::GuestInfo& guest : response.guests()) {
      if (guest.guest_id() != guest_id) continue;
      for (const market_pb::Grant& grant : guest.grants()) {
        if (grant.kind() == kMemory) return grant.seed_units() + grant.award_units();
      }
    }
    return -1;
  }
  void ExpectBalanced() {
    operators_pb::AuditResponse audit;
    ASSERT_THAT(Audit(*operator_, &audit), Succeeds());
    EXPECT_TRUE(audit.balanced()) << audit.ShortDebugString();
  }
};

TEST_F(ContractsTest, AQuoteIsBoughtHeldAndLeft) {
  const Quoted quoted = Quote(*alice_, QuoteRequest(alices_guest_, 8, "q1"));
  ASSERT_THAT(quoted.status, Succeeds());
  const market_pb::Offer& offer = quoted.response.offer();
  EXPECT_EQ(offer.offer_id(), quoted.response.offer_id());
  EXPECT_EQ(offer.host_id(), "sim");
  EXPECT_EQ(offer.guest_id(), alices_guest_);
  EXPECT_EQ(offer.part_of(), 0u);
  ASSERT_THAT(offer.lots(), SizeIs(1));
  EXPECT_EQ(offer.lots(0).units(), 8);
  EXPECT_EQ(offer.lots(0).charge_microcredits(), 80);
  EXPECT_EQ(offer.rounds(), 1'000);
  EXPECT_EQ(offer.policy(), "forward/1");
  EXPECT_EQ(offer.end_fee_ppm(), 100'000);
  EXPECT_TRUE(offer.has_valid_until());
  EXPECT_TRUE(offer.own());
  // The same again is the same; the id with another content is not.
  EXPECT_EQ(Quote(*alice_, QuoteRequest(alices_guest_, 8, "q1")).response.ShortDebugString(),
            quoted.response.ShortDebugString());
  EXPECT_THAT(Quote(*alice_, QuoteRequest(alices_guest_, 9, "q1")).status,
              Fails(StatusCode::ALREADY_EXISTS, "request_id"));
  EXPECT_THAT(Offers(*alice_), SizeIs(1));
  EXPECT_THAT(Offers(*bob_), IsEmpty()) << "a quote is its guest's alone";
  EXPECT_THAT(Offers(*operator_), SizeIs(1));
  EXPECT_THAT(Take(*bob_, offer.offer_id(), bobs_guest_, "t"),
              Fails(StatusCode::NOT_FOUND, "offer_id"));

  market_pb::TakeOfferResponse taken;
  ASSERT_THAT(Take(*alice_, offer.offer_id(), alices_guest_, "t1", &taken, 90), Succeeds());
  EXPECT_NE(taken.contract_id(), 0u);
  market_pb::TakeOfferResponse again;
  ASSERT_THAT(Take(*alice_, offer.offer_id(), alices_guest_, "t1", &again, 90), Succeeds());
  EXPECT_EQ(again.ShortDebugString(), taken.ShortDebugString());
  EXPECT_THAT(Take(*alice_, offer.offer_id(), alices_guest_, "t2"),
              Fails(StatusCode::NOT_FOUND, "offer_id"))
      << "an offer is taken once";
  ASSERT_TRUE(WaitFor(
      *alice_, [&](const market_pb::WatchResponse&) { return Contracts(*alice_).size() == 1; }));
  const market_pb::Contract contract = Contracts(*alice_)[0];
  EXPECT_EQ(contract.contract_id(), taken.contract_id());
  EXPECT_EQ(contract.guest_id(), alices_guest_);
  EXPECT_EQ(contract.kind(), market_pb::CONTRACT_KIND_FORWARD);
  EXPECT_EQ(contract.from_round_id(), taken.from_round_id());
  EXPECT_EQ(contract.until_round_id(), taken.from_round_id() + 1'000);
  EXPECT_EQ(contract.period_ms(), 1'000);
  EXPECT_EQ(contract.renew_ceiling_microcredits(), 90);
  EXPECT_GT(contract.escrow_microcredits(), 80) << "a round, and the fee for leaving";
  EXPECT_EQ(contract.end(), market_pb::CONTRACT_END_UNSPECIFIED);
  EXPECT_THAT(Contracts(*bob_), IsEmpty());
  EXPECT_THAT(Offers(*alice_), IsEmpty());

  // It is held, nobody bids, and what is sold is published.
  ASSERT_TRUE(WaitFor(*alice_, [&](const market_pb::WatchResponse& response) {
    return MemoryOf(response, alices_guest_) == 12;
  }));
  ASSERT_TRUE(WaitFor(*bob_, [&](const market_pb::WatchResponse& response) {
    if (response.state().forward_size() != 1) return false;
    const market_pb::ForwardOnSale& forward = response.state().forward(0);
    EXPECT_EQ(forward.kind(), kMemory);
    EXPECT_EQ(forward.share_units(), 32);
    EXPECT_EQ(forward.sold_units(), 8);
    EXPECT_EQ(forward.unit_price_microcredits(), 10);
    EXPECT_EQ(forward.forecast_unit_price_microcredits(), 10) << "what the rounds cleared at";
    return true;
  }));

  EXPECT_THAT(SetRenewal(*bob_, contract.contract_id(), 0, "r"),
              Fails(StatusCode::NOT_FOUND, "contract_id"));
  EXPECT_THAT(SetRenewal(*alice_, contract.contract_id(), -1, "r"),
              Fails(StatusCode::INVALID_ARGUMENT, "renew_ceiling_microcredits"));
  ASSERT_THAT(SetRenewal(*alice_, contract.contract_id(), 0, "r1"), Succeeds());

  EXPECT_THAT(Leave(*bob_, contract.contract_id(), "l"),
              Fails(StatusCode::NOT_FOUND, "contract_id"));
  uint64_t left_from = 0;
  ASSERT_THAT(Leave(*alice_, contract.contract_id(), "l1", &left_from), Succeeds());
  EXPECT_THAT(Leave(*alice_, contract.contract_id(), "l1"), Succeeds()) << "a retry";
  EXPECT_GT(left_from, taken.from_round_id());
  ASSERT_TRUE(WaitFor(*alice_, [&](const market_pb::WatchResponse&) {
    const std::vector<market_pb::Contract> open = Contracts(*alice_);
    if (open.empty()) return true;
    if (open[0].left_from_round_id() == 0) return false;  // An older view.
    EXPECT_EQ(open[0].left_from_round_id(), left_from);
    EXPECT_EQ(open[0].end(), market_pb::CONTRACT_END_LEFT);
    EXPECT_GT(open[0].fees_microcredits(), 0);
    return false;
  }));
  ASSERT_TRUE(WaitFor(*alice_, [&](const market_pb::WatchResponse& response) {
    return MemoryOf(response, alices_guest_) == 4;
  }));
  ExpectBalanced();
}

// Nobody is sold a secret: what is published as the forecast is what a quote begins with, and
// anybody can work it out of the prices that anybody may ask for.
TEST_F(ContractsTest, TheForecastIsThePercentileOfThePricesThatAreTold) {
  // A price other than the reserve, in some of the rounds: both want more than is left for them.
  ASSERT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 40, 900, "a1")), Succeeds());
  ASSERT_THAT(PlaceBid(*bob_, BidRequest(bobs_guest_, kMemory, 40, 700, "b1")), Succeeds());
  market_pb::ForwardOnSale forward;
  uint64_t priced = 0;
  uint64_t withdrawn_in = 0;
  ASSERT_TRUE(WaitFor(*alice_, [&](const market_pb::WatchResponse& response) {
    const market_pb::MarketState& state = response.state();
    if (state.forward_size() != 1 || state.prices_size() == 0) return false;
    forward = state.forward(0);
    priced = state.priced_round_id();
    // So many rounds that bids priced that the percentile is theirs; then cheap ones follow.
    if (withdrawn_in == 0 && forward.forecast_unit_price_microcredits() > 10) {
      market_pb::WithdrawBidRequest withdrawal;
      withdrawal.set_guest_id(bobs_guest_);
      withdrawal.set_kind(kMemory);
      withdrawal.set_request_id("w1");
      market_pb::WithdrawBidResponse ignored;
      EXPECT_THAT(bob_->market->WithdrawBid(bob_->Context().get(), withdrawal, &ignored),
                  Succeeds());
      withdrawn_in = priced;
    }
    return withdrawn_in != 0 && priced >= withdrawn_in + 2;
  }));
  market_pb::ListPricesRequest request;
  request.add_kinds(kMemory);
  request.set_last_round_id(priced);
  std::vector<policies::Microcredits> prices;
  market_pb::ListPricesResponse page;
  request.set_page_size(2);  // More than one page.
  do {
    request.set_page_token(page.next_page_token());
    page.Clear();
    ASSERT_THAT(bob_->market->ListPrices(bob_->Context().get(), request, &page), Succeeds());
    for (const market_pb::PricedRound& round : page.rounds()) {
      ASSERT_THAT(round.prices(), SizeIs(1)) << round.ShortDebugString();
      const market_pb::PastPrice& price = round.prices(0);
      EXPECT_EQ(price.policy(), "uniform_price/1");
      EXPECT_EQ(price.reserve_policy(), "fixed/1");
      EXPECT_EQ(price.reserve_unit_price_microcredits(), 10);
      EXPECT_EQ(price.bound_by(), price.unit_price_microcredits() > 10
                                      ? market_pb::BOUND_BY_BIDS
                                      : market_pb::BOUND_BY_RESERVE);
      prices.push_back(price.unit_price_microcredits());
    }
  } while (!page.next_page_token().empty());
  ASSERT_EQ(prices.size(), priced) << "every round, from the first on";
  EXPECT_NE(*std::min_element(prices.begin(), prices.end()),
            *std::max_element(prices.begin(), prices.end()))
      << "one price would agree with any percentile";
  const policies::ForwardPolicy policy;
  EXPECT_EQ(forward.forecast_unit_price_microcredits(),
            policies::PricePercentile(prices, policy.percentile_ppm));
  // By times, of what the last page told: that round and those after it.
  const market_pb::PricedRound oldest = page.rounds(page.rounds_size() - 1);
  request.clear_page_token();
  *request.mutable_since_time() = oldest.close_time();
  request.set_page_size(0);
  page.Clear();
  ASSERT_THAT(bob_->market->ListPrices(bob_->Context().get(), request, &page), Succeeds());
  EXPECT_EQ(static_cast<uint64_t>(page.rounds_size()), priced);
  *request.mutable_until_time() = page.rounds(0).close_time();
  request.clear_since_time();
  page.Clear();
  ASSERT_THAT(bob_->market->ListPrices(bob_->Context().get(), request, &page), Succeeds());
  EXPECT_EQ(static_cast<uint64_t>(page.rounds_size()), priced - 1) << "before, and not at, a time";
}

TEST_F(ContractsTest, PricesThatCannotBeAskedFor) {
  market_pb::ListPricesResponse page;
  const auto ask = [&](const Client& client, const market_pb::ListPricesRequest& request) {
    return client.market->ListPrices(client.Context().get(), request, &page);
  };
  EXPECT_THAT(ask(Client(marketd_->grpc_address(), "nobody"), {}),
              Fails(StatusCode::UNAUTHENTICATED, ""));
  EXPECT_THAT(ask(*operator_, {}), Succeeds());
  market_pb::ListPricesRequest bad;
  bad.set_host_id("elsewhere");
  EXPECT_THAT(ask(*alice_, bad), Fails(StatusCode::NOT_FOUND, "host_id"));
  bad.Clear();
  bad.set_page_size(1'001);
  EXPECT_THAT(ask(*alice_, bad), Fails(StatusCode::INVALID_ARGUMENT, "page_size"));
  bad.Clear();
  bad.set_page_token("next");
  EXPECT_THAT(ask(*alice_, bad), Fails(StatusCode::INVALID_ARGUMENT, "page_token"));
  bad.Clear();
  bad.add_kinds(market_pb::RESOURCE_KIND_UNSPECIFIED);
  EXPECT_THAT(ask(*alice_, bad), Fails(StatusCode::INVALID_ARGUMENT, "kinds[0]"));
  bad.Clear();
  bad.set_first_round_id(1'000'000);
  ASSERT_THAT(ask(*alice_, bad), Succeeds()) << "none has come so far";
  EXPECT_THAT(page.rounds(), IsEmpty());
}

TEST_F(ContractsTest, QuotesThatCannotBeGiven) {
  const auto refused = [&](const market_pb::GetQuoteRequest& request) {
    return Quote(*alice_, request).status;
  };
  market_pb::GetQuoteRequest good = QuoteRequest(alices_guest_, 8, "q");
  market_pb::GetQuoteRequest bad = good;
  EXPECT_THAT(Quote(Client(marketd_->grpc_address(), "nobody"), good).status,
              Fails(StatusCode::UNAUTHENTICATED, ""));
  bad.set_request_id("");
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "request_id"));
  for (const uint64_t guest_id : {uint64_t{0}, uint64_t{777}, bobs_guest_}) {
    bad = good;
    bad.set_guest_id(guest_id);
    EXPECT_THAT(refused(bad), Fails(StatusCode::NOT_FOUND, "guest_id")) << guest_id;
  }
  for (const int64_t units : {int64_t{0}, int64_t{-1}, kMax}) {
    bad = good;
    bad.mutable_lots(0)->set_units(units);
    EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "lots[0].units")) << units;
  }
  for (const int64_t rounds : {int64_t{0}, int64_t{-1}, kMax}) {
    bad = good;
    bad.set_rounds(rounds);
    EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "rounds")) << rounds;
  }
  bad = good;
  bad.set_rounds(1'441);
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "1440")) << "the longest";
  bad = good;
  bad.set_from_round_id(std::numeric_limits<uint64_t>::max());
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "from_round_id"));
  bad = good;
  bad.clear_lots();
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "lots: are none"));
  bad = good;
  *bad.add_lots() = good.lots(0);
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "memory is there twice"));
  bad = good;
  for (int i = 0; i < 20; ++i) *bad.add_lots() = good.lots(0);
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "lots: 21 are too many"));
  bad = good;
  bad.mutable_lots(0)->set_kind(static_cast<market_pb::ResourceKind>(99));
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "lots[0].kind"));
  bad = good;
  bad.mutable_lots(0)->set_kind(market_pb::RESOURCE_KIND_DISK);
  EXPECT_THAT(refused(bad), Fails(StatusCode::INVALID_ARGUMENT, "disk is not sold"));
  bad = good;
  bad.mutable_lots(0)->set_kind(kCpu);
  EXPECT_THAT(refused(bad), Fails(StatusCode::FAILED_PRECONDITION, "no cpu forward"));
  // The share is 32 units.
  bad = good;
  bad.mutable_lots(0)->set_units(33);
  EXPECT_THAT(refused(bad), Fails(StatusCode::RESOURCE_EXHAUSTED, "memory"));
  Buy(*bob_, bobs_guest_, 30, "b1");
  bad.mutable_lots(0)->set_units(3);
  EXPECT_THAT(refused(bad), Fails(StatusCode::RESOURCE_EXHAUSTED, "memory"));
  bad.mutable_lots(0)->set_units(2);
  EXPECT_THAT(refused(bad), Succeeds()) << "what is left, under an id that was refused before";
  EXPECT_THAT(Take(*alice_, 777, alices_guest_, "t"), Fails(StatusCode::NOT_FOUND, "offer_id"));
  EXPECT_THAT(Take(*alice_, 1, bobs_guest_, "t"), Fails(StatusCode::NOT_FOUND, "guest_id"));
  EXPECT_THAT(Leave(*alice_, 777, "l"), Fails(StatusCode::NOT_FOUND, "contract_id"));
  EXPECT_THAT(SetRenewal(*alice_, 777, 0, "r"), Fails(StatusCode::NOT_FOUND, "contract_id"));
  EXPECT_THAT(Withdraw(*alice_, 777, "w"), Fails(StatusCode::NOT_FOUND, "offer_id"));
  ExpectBalanced();
}

// A price that was quoted binds no units: who takes it first has them. And money must be there.
TEST_F(ContractsTest, WhoTakesFirstHasTheUnits) {
  const Quoted of_alice = Quote(*alice_, QuoteRequest(alices_guest_, 20, "q1"));
  const Quoted of_bob = Quote(*bob_, QuoteRequest(bobs_guest_, 20, "q1"));
  ASSERT_THAT(of_alice.status, Succeeds());
  ASSERT_THAT(of_bob.status, Succeeds()) << "ids belong to who chose them";
  ASSERT_THAT(Take(*bob_, of_bob.response.offer_id(), bobs_guest_, "t"), Succeeds());
  EXPECT_THAT(Take(*alice_, of_alice.response.offer_id(), alices_guest_, "t"),
              Fails(StatusCode::RESOURCE_EXHAUSTED, "memory"));
  const Quoted less = Quote(*alice_, QuoteRequest(alices_guest_, 12, "q2"));
  ASSERT_THAT(less.status, Succeeds());
  EXPECT_THAT(Take(*alice_, less.response.offer_id(), alices_guest_, "t", nullptr, -1),
              Fails(StatusCode::INVALID_ARGUMENT, "renew_ceiling_microcredits"));
  ASSERT_THAT(Deposit(*operator_, "alice", -1'000'000'000, "d-all"), Succeeds());
  EXPECT_THAT(Take(*alice_, less.response.offer_id(), alices_guest_, "t"),
              Fails(StatusCode::FAILED_PRECONDITION, "0 microcredits available"));
  ExpectBalanced();
}

TEST_F(ContractsTest, AHolderSubletsWhatItHoldsAndNoMore) {
  const uint64_t whole = Buy(*alice_, alices_guest_, 8, "b1");
  ASSERT_NE(whole, 0u);
  market_pb::OfferSubletResponse offered;
  market_pb::OfferSubletRequest request = SubletRequest(whole, 3, "s1");
  request.set_to_guest_id(bobs_guest_);
  request.set_valid_for_seconds(3'600);
  ASSERT_THAT(Sublet(*alice_, request, &offered), Succeeds());
  EXPECT_EQ(offered.offer().part_of(), whole);
  EXPECT_EQ(offered.offer().lots(0).charge_microcredits(), 30);
  market_pb::OfferSubletResponse again;
  ASSERT_THAT(Sublet(*alice_, request, &again), Succeeds());
  EXPECT_EQ(again.ShortDebugString(), offered.ShortDebugString());

  // What is not held, not the caller's, or not to be had.
  request = SubletRequest(whole, 9, "s");
  EXPECT_THAT(Sublet(*alice_, request), Fails(StatusCode::RESOURCE_EXHAUSTED, "memory"));
  EXPECT_THAT(Sublet(*bob_, SubletRequest(whole, 1, "s")),
              Fails(StatusCode::NOT_FOUND, "contract_id"));
  EXPECT_THAT(Sublet(*alice_, SubletRequest(777, 1, "s")),
              Fails(StatusCode::NOT_FOUND, "contract_id"));
  request = SubletRequest(whole, 1, "s");
  request.mutable_lots(0)->set_kind(kCpu);
  EXPECT_FALSE(Sublet(*alice_, request).ok()) << "it holds no cpu by it";
  request = SubletRequest(whole, 1, "s");
  request.mutable_lots(0)->set_charge_microcredits(kMax);
  EXPECT_THAT(Sublet(*alice_, request),
              Fails(StatusCode::INVALID_ARGUMENT, "lots[0].charge_microcredits"));
  request = SubletRequest(whole, 1, "s");
  request.set_rounds(1'001);
  EXPECT_FALSE(Sublet(*alice_, request).ok()) << "for longer than it is";
  request = SubletRequest(whole, 1, "s");
  request.set_to_guest_id(alices_guest_);
  EXPECT_THAT(Sublet(*alice_, request), Fails(StatusCode::INVALID_ARGUMENT, "to_guest_id"));
  request.set_to_guest_id(777);
  EXPECT_THAT(Sublet(*alice_, request), Fails(StatusCode::NOT_FOUND, "to_guest_id"));
  for (const int64_t seconds : {int64_t{-1}, int64_t{86'401}, kMax}) {
    request = SubletRequest(whole, 1, "s");
    request.set_valid_for_seconds(seconds);
    EXPECT_THAT(Sublet(*alice_, request), Fails(StatusCode::INVALID_ARGUMENT, "valid_for"));
  }

  // Who may take it sees it, and nobody else does anything with it.
  ASSERT_TRUE(WaitFor(*bob_, [&](const market_pb::WatchResponse&) {
    return Offers(*bob_, bobs_guest_).size() == 1;
  }));
  EXPECT_FALSE(Offers(*bob_)[0].own());
  EXPECT_THAT(Offers(*alice_, alices_guest_), IsEmpty()) << "it is for another";
  EXPECT_THAT(Withdraw(*bob_, offered.offer_id(), "w"), Fails(StatusCode::NOT_FOUND, "offer_id"));
  EXPECT_THAT(Take(*alice_, offered.offer_id(), alices_guest_, "t"),
              Fails(StatusCode::NOT_FOUND, "offer_id"));
  EXPECT_THAT(Take(*bob_, offered.offer_id(), bobs_guest_, "t", nullptr, 5),
              Fails(StatusCode::INVALID_ARGUMENT, "renew_ceiling_microcredits"));
  market_pb::TakeOfferResponse taken;
  ASSERT_THAT(Take(*bob_, offered.offer_id(), bobs_guest_, "t1", &taken), Succeeds());
  ASSERT_TRUE(WaitFor(*bob_, [&](const market_pb::WatchResponse& response) {
    return MemoryOf(response, bobs_guest_) == 7;
  }));
  const std::vector<market_pb::Contract> contracts = Contracts(*bob_);
  ASSERT_THAT(contracts, SizeIs(1));
  EXPECT_EQ(contracts[0].contract_id(), taken.contract_id());
  EXPECT_EQ(contracts[0].kind(), market_pb::CONTRACT_KIND_SUBLET);
  EXPECT_EQ(contracts[0].part_of(), whole);
  ASSERT_TRUE(WaitFor(*alice_, [&](const market_pb::WatchResponse& response) {
    return MemoryOf(response, alices_guest_) == 9;
  })) << "four of seed, eight, and less three";

  // Of the five that are left no six can be offered; a part has no parts.
  EXPECT_THAT(Sublet(*alice_, SubletRequest(whole, 6, "s2")),
              Fails(StatusCode::RESOURCE_EXHAUSTED, "memory"));
  request = SubletRequest(taken.contract_id(), 1, "s2");
  request.set_rounds(10);
  EXPECT_FALSE(Sublet(*bob_, request).ok());
  ASSERT_THAT(Sublet(*alice_, SubletRequest(whole, 5, "s3"), &offered), Succeeds());
  ASSERT_THAT(Withdraw(*alice_, offered.offer_id(), "w1"), Succeeds());
  EXPECT_THAT(Withdraw(*alice_, offered.offer_id(), "w1"), Succeeds()) << "a retry";
  EXPECT_THAT(Take(*bob_, offered.offer_id(), bobs_guest_, "t2"),
              Fails(StatusCode::NOT_FOUND, "offer_id"));
  ExpectBalanced();
}

TEST_F(ContractsTest, ListsComeInPagesAndRefuseWhatIsNotTheirs) {
  for (int i = 0; i < 5; ++i) {
    Buy(*alice_, alices_guest_, 1, absl::StrCat("b", i));
    ASSERT_THAT(Quote(*alice_, QuoteRequest(alices_guest_, 1, absl::StrCat("q", i))).status,
                Succeeds());
  }
  ASSERT_TRUE(WaitFor(*alice_, [&](const market_pb::WatchResponse&) {
    return Contracts(*alice_).size() == 5 && Offers(*alice_).size() == 5;
  }));
  market_pb::ListContractsRequest contracts;
  contracts.set_page_size(2);
  std::vector<uint64_t> ids;
  std::vector<int> sizes;
  do {
    market_pb::ListContractsResponse page;
    ASSERT_THAT(alice_->market->ListContracts(alice_->Context().get(), contracts, &page),
                Succeeds());
    sizes.push_back(page.contracts_size());
    for (const market_pb::Contract& contract : page.contracts()) {
      ids.push_back(contract.contract_id());
    }
    contracts.set_after_contract_id(page.next_after_contract_id());
  } while (contracts.after_contract_id() != 0);
  EXPECT_THAT(sizes, ::testing::ElementsAre(2, 2, 1));
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
  EXPECT_THAT(ids, SizeIs(5));

  market_pb::ListOffersRequest offers;
  offers.set_page_size(3);
  market_pb::ListOffersResponse page;
  ASSERT_THAT(alice_->market->ListOffers(alice_->Context().get(), offers, &page), Succeeds());
  EXPECT_THAT(page.offers(), SizeIs(3));
  EXPECT_EQ(page.next_after_offer_id(), page.offers(2).offer_id());
  offers.set_after_offer_id(page.next_after_offer_id());
  ASSERT_THAT(alice_->market->ListOffers(alice_->Context().get(), offers, &page), Succeeds());
  EXPECT_THAT(page.offers(), SizeIs(2));
  EXPECT_EQ(page.next_after_offer_id(), 0u);

  market_pb::ListContractsResponse ignored;
  for (const int size : {-1, 1'001}) {
    contracts.set_page_size(size);
    EXPECT_THAT(alice_->market->ListContracts(alice_->Context().get(), contracts, &ignored),
                Fails(StatusCode::INVALID_ARGUMENT, "page_size"));
    offers.set_page_size(size);
    EXPECT_THAT(alice_->market->ListOffers(alice_->Context().get(), offers, &page),
                Fails(StatusCode::INVALID_ARGUMENT, "page_size"));
  }
  contracts.Clear();
  contracts.set_guest_id(bobs_guest_);
  EXPECT_THAT(alice_->market->ListContracts(alice_->Context().get(), contracts, &ignored),
              Fails(StatusCode::NOT_FOUND, "guest_id"));
  offers.Clear();
  offers.set_guest_id(bobs_guest_);
  EXPECT_THAT(alice_->market->ListOffers(alice_->Context().get(), offers, &page),
              Fails(StatusCode::NOT_FOUND, "guest_id"));
}

class ShortQuotesTest : public ContractsTest {
 protected:
  std::string QuotesValidMs() override { return "1000"; }
};

TEST_F(ShortQuotesTest, AQuoteWhoseTimeIsOverIsNone) {
  const Quoted quoted = Quote(*alice_, QuoteRequest(alices_guest_, 8, "q1"));
  ASSERT_THAT(quoted.status, Succeeds());
  ASSERT_TRUE(WaitFor(*alice_, [&](const market_pb::WatchResponse& response) {
    const auto& until = quoted.response.offer().valid_until();
    const auto& now = response.market_time();
    return now.seconds() > until.seconds() + 1 && Offers(*alice_).empty();
  }));
  EXPECT_THAT(Take(*alice_, quoted.response.offer_id(), alices_guest_, "t1"),
              Fails(StatusCode::NOT_FOUND, "offer_id"));
  const Quoted again = Quote(*alice_, QuoteRequest(alices_guest_, 8, "q1"));
  ASSERT_THAT(again.status, Succeeds()) << "what was answered is answered again";
  EXPECT_EQ(again.response.offer_id(), quoted.response.offer_id());
  EXPECT_THAT(Contracts(*alice_), IsEmpty());
}

}  // namespace
}  // namespace nom::testing
