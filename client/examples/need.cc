// SPDX-License-Identifier: Apache-2.0
// A program that says what it needs and how it dislikes loss, and no prices: twenty units of
// processor for six rounds, within twelve. It looks at what such units cost before, asks for a
// quote, and goes the way that nom::Choose finds best: it buys the contract, or bids round by
// round. Runs against a market of its own (nom::testing), so it needs no daemon, and ends with an
// error if it does not get what it needs. Two markets are shown: one whose prices hold still, and
// one that is dear now and then, where the contract is worth its premium.
//
//   need

#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "nom/choice.h"
#include "nom/session.h"
#include "nom/testing/fake_market.h"

namespace nom::examples {
namespace {

const Need kNeed{.resource = Resource::kCpu,
                 .units = 20,
                 .rounds = 6,
                 .within_rounds = 12,
                 .worth_microcredits = 12'000};

template <typename Value>
Value OrThrow(absl::StatusOr<Value> value, const char* what) {
  if (!value.ok()) throw std::runtime_error(what + (": " + value.status().ToString()));
  return *std::move(value);
}

// All that is remembered of what units cost, page by page.
std::vector<PricedRound> PastPrices(Session& session) {
  std::vector<PricedRound> past;
  PriceQuery query{.resources = {kNeed.resource}};
  do {
    PricesPage page = OrThrow(session.ListPrices(query), "prices");
    past.insert(past.end(), page.rounds.begin(), page.rounds.end());
    query.page_token = page.next_page_token;
  } while (!query.page_token.empty() && past.size() < static_cast<size_t>(kNeedRoundsMax));
  return past;
}

// Nothing on offer is an answer, too: then the auction is left.
std::optional<Offer> Quote(Session& session) {
  const absl::StatusOr<Offer> offer =
      session.GetQuote({.units = {{kNeed.resource, kNeed.units}}, .rounds = kNeed.rounds}).Wait();
  if (offer.ok()) return *offer;
  if (const std::optional<Shortage> shortage = ShortageOf(offer.status())) {
    std::cout << "no contract: " << shortage->free << " units are left\n";
  } else {
    std::cout << "no contract: " << offer.status() << "\n";
  }
  return std::nullopt;
}

// How prices of the market go: at first for the rounds of before, then for those of now.
using PriceOf = int64_t (*)(uint64_t round_id);

// Bids for one round at a time, as the prospect says, until the need is met or its time is over.
int64_t BidRoundByRound(testing::FakeMarket& market, Session& session, const Prospect& prospect,
                        uint64_t guest_id, PriceOf price_of) {
  int64_t held = 0;
  for (int64_t left = kNeed.within_rounds; left > 0 && held < kNeed.rounds; --left) {
    const int64_t limit = UnitLimitNow(prospect, kNeed, held, left);
    if (limit > 0) {
      // All of the units or none, for this round only.
      const Bid bid{.resource = kNeed.resource,
                    .ranges = {{kNeed.units, kNeed.units, limit * kNeed.units, 0}},
                    .rounds = 1};
      OrThrow(session.Bid(bid), "bid");
    }
    market.SetPrice(kNeed.resource, price_of(market.round_id()));
    market.Decide();
    if (market.award_units(guest_id, kNeed.resource) == kNeed.units) ++held;
  }
  return held;
}

void MeetTheNeed(const char* name, PriceOf price_of, int64_t forward_price, Way expected) {
  testing::FakeMarket market;
  const uint64_t guest_id = market.AddGuest("worker");
  while (market.round_id() <= 200) {
    market.SetPrice(kNeed.resource, price_of(market.round_id()));
    market.Decide();
  }
  market.SetForwardPrice(kNeed.resource, forward_price);
  const std::unique_ptr<Session> session = OrThrow(Session::Connect(market.Options()), "connect");

  const std::vector<PricedRound> past = PastPrices(*session);
  const std::optional<Offer> quote = Quote(*session);
  const Choice choice = OrThrow(Choose(kNeed, past, quote, {.dislike_percent = 50}), "choose");
  const Prospect& chosen = choice.chosen();
  std::cout << name << ": " << WayName(choice.way) << ", which costs about "
            << chosen.mean_charge_microcredits << " and is met in " << chosen.met_ppm / 10'000
            << " % of " << choice.blocks << " pasts\n";
  if (choice.way != expected) throw std::runtime_error("another way was chosen");

  int64_t held = 0;
  if (choice.way == Way::kContract) {
    const Taken taken = OrThrow(session->TakeOffer({.offer_id = quote->offer_id}).Wait(), "take");
    while (market.round_id() < taken.from_round_id + static_cast<uint64_t>(kNeed.rounds)) {
      market.SetPrice(kNeed.resource, price_of(market.round_id()));
      market.Decide();
      if (market.award_units(guest_id, kNeed.resource) == kNeed.units) ++held;
    }
  } else {
    held = BidRoundByRound(market, *session, chosen, guest_id, price_of);
  }
  if (held != kNeed.rounds) throw std::runtime_error("the need was not met");
}

int Main() {
  MeetTheNeed(
      "steady", [](uint64_t) { return int64_t{30}; }, 34, Way::kSpot);
  // Seven rounds in seventeen are dear, on end: who begins just before them is too late.
  MeetTheNeed(
      "bursty", [](uint64_t round_id) { return round_id % 17 < 7 ? int64_t{400} : int64_t{30}; },
      34, Way::kContract);
  // Cheap by night: who can wait takes the nights.
  MeetTheNeed(
      "daily", [](uint64_t round_id) { return round_id % 12 < 6 ? int64_t{60} : int64_t{10}; }, 34,
      Way::kWait);
  return 0;
}

}  // namespace
}  // namespace nom::examples

int main() {
  try {
    return nom::examples::Main();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "need: %s\n", error.what());
    return 1;
  }
}
