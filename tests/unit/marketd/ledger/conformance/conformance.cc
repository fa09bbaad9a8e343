// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/marketd/ledger/conformance/conformance.h"

#include <gmock/gmock.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "marketd/base/random.h"
#include "marketd/market/audit.h"
#include "marketd/market/money.h"
#include "policies/cases/case_file.h"

namespace nom::market {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A book as its leader has it: what it believes, and what it has committed.
class Leader {
 public:
  Leader(Ledger& ledger, Lead lead) : ledger_(ledger), lead_(std::move(lead)) {
    absl::StatusOr<State> loaded = ledger_.Load(lead_);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    if (loaded.ok()) state = *std::move(loaded);
  }
  // One transaction; several are committed together by Commit().
  Transaction Write(const std::string& kind, const std::function<void(Scribe&)>& write) {
    now_ += absl::Seconds(1);
    Scribe scribe(state, now_, kind);
    write(scribe);
    return std::move(scribe).Finish();
  }
  absl::Status Commit(const std::vector<Transaction>& group) {
    return ledger_.Commit(lead_, group);
  }
  void WriteNow(const std::string& kind, const std::function<void(Scribe&)>& write) {
    const absl::Status status = Commit({Write(kind, write)});
    EXPECT_TRUE(status.ok()) << kind << ": " << status;
  }
  void Tenant(const TenantId& id, Microcredits money) {
    WriteNow("tenant created", [&](Scribe& s) {
      s.Write(PutTenant{{.tenant_id = id,
                         .display_name = "a name",
                         .tokens = {{.token_id = 1, .hash = "a hash", .label = "first"},
                                    {.token_id = 3,
                                     .hash = "another",
                                     .scope = TokenScope::kReadOnly,
                                     .created_time = absl::FromUnixMicros(1'234'567),
                                     .expire_time = absl::FromUnixMicros(2'345'678)}},
                         .last_token_id = 4}});
      s.Write(LogEvent{{.kind = "tenant_created", .by = kOperator, .tenant_id = id}});
      if (money > 0) PostDeposit(s, id, money);
    });
  }
  void ExpectLoads() {
    const absl::StatusOr<State> again = ledger_.Load(lead_);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*again, state);
  }

  State state;

 private:
  Ledger& ledger_;
  const Lead lead_;
  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
};

const Lead kAlpha{.book_id = "alpha"};
const Lead kBeta{.book_id = "beta"};

// What an auction of no bids says.
AuctionRecord NoBids(const HostId& host_id, RoundId round_id) {
  policies::Auction auction;
  auction.capacity_units = 5;
  auction.reserve_unit_price_microcredits = 2;
  return {.host_id = host_id,
          .round_id = round_id,
          .rule = "mpsp/1",
          .auction = policies::ToText(auction),
          .work_max = 1'000};
}

// A guest of a host with everything that a book knows of it.
GuestId AddGuest(Leader& leader, const HostId& host_id, const TenantId& tenant_id) {
  const GuestId id = leader.state.last_guest_id + 1;
  leader.WriteNow("guest", [&](Scribe& s) {
    Guest guest{.guest_id = id,
                .host_id = host_id,
                .tenant_id = tenant_id,
                .name = "one",
                .image = "image",
                .arguments = "a=b",
                .seeds = {{.kind = ResourceKind::kMemory, .seed_units = 3}},
                .memory_max_units = 99,
                .state = GuestState::kRunning,
                .has_run = true,
                .metered = {.guest_id = id, .age_us = 5, .alive_us = 4}};
    guest.metered.amounts = {{ResourceKind::kMemory, ~uint64_t{0}, 7}};
    s.Write(PutGuest{guest});
    s.Write(PutBid{{.guest_id = id,
                    .kind = ResourceKind::kMemory,
                    .ranges = {{0, 4, 0, 9}, {6, 8, 40, 1}},
                    .budget_microcredits = 77,
                    .first_round_id = 1,
                    .last_round_id = 9}});
    s.Write(PutBid{{.guest_id = id, .kind = ResourceKind::kCpu, .ranges = {{0, 1, 0, 1}}}});
    s.Write(PutTier{{.guest_id = id,
                     .tier = "gold",
                     .most = {{ResourceKind::kCpu, 5}, {ResourceKind::kMemory, 7}},
                     .ceiling_microcredits = 11,
                     .slot = 3}});
    s.Write(PutRequest{{.key = {tenant_id, absl::StrCat("bid-", id)},
                        .bid_guest_id = id,
                        .fingerprint = ~uint64_t{0},
                        .reply = {.round_id = 4},
                        .transaction_id = s.transaction_id()}});
  });
  return id;
}

// A round with a contract of the guest, decided; returns its contract.
Contract Decide(Leader& leader, const HostId& host_id, RoundId round_id, GuestId guest_id,
                const TenantId& tenant_id) {
  Contract contract{.contract_id = leader.state.last_contract_id + 1,
                    .guest_id = guest_id,
                    .tenant_id = tenant_id,
                    .lots = {{ResourceKind::kMemory, 4, 30}},
                    .from_round_id = round_id,
                    .until_round_id = round_id + 1,
                    .period = absl::Seconds(10)};
  leader.WriteNow("round decided", [&](Scribe& s) {
    PostEscrow(s, contract, 30);
    s.Write(OpenContract{contract});
    PutRound put;
    put.round = {.host_id = host_id,
                 .round_id = round_id,
                 .start_time = s.now(),
                 .close_time = s.now() + absl::Seconds(7),
                 .decided_time = s.now() + absl::Seconds(8),
                 .effective_time = s.now() + absl::Seconds(10),
                 .applied_time = absl::UnixEpoch(),
                 .period = absl::Seconds(10)};
    put.round.prices = {{.kind = ResourceKind::kMemory,
                         .unit_price_microcredits = 2,
                         .reserve_unit_price_microcredits = 2,
                         .reserve_policy = "fixed/1",
                         .supply_units = 5,
                         .contracted_units = 2,
                         .rule = "mpsp/1",
                         .measures = RoundMeasures{.welfare_microcredits = 10,
                                                   .welfare_bound_microcredits = 10,
                                                   .maximised_microcredits = 10,
                                                   .maximised_bound_microcredits = 10,
                                                   .moved_units = 16,
                                                   .best_unit_price_microcredits = 0}}};
    put.round.objective = "least_satisfied/1";
    put.round.outcomes = {{.guest_id = guest_id,
                           .kind = ResourceKind::kMemory,
                           .tenant_id = tenant_id,
                           .seed_units = 3,
                           .contracted_units = 4}};
    put.auctions = {NoBids(host_id, round_id)};
    s.Write(std::move(put));
  });
  return contract;
}

void Settle(Leader& leader, const HostId& host_id, RoundId round_id, Contract contract) {
  leader.WriteNow("round settled", [&](Scribe& s) {
    const Microcredits paid = PostDue(s, contract, 25, /*keep=*/0);
    PostRelease(s, contract, /*keep=*/0);
    contract.settled_through = s.now();
    contract.ended = "its rounds are over";
    s.Write(UpdateContract{contract});
    Round round = s.state().hosts.at(host_id).open_rounds.at(round_id);
    round.phase = RoundPhase::kSettled;
    round.applied_time = s.now();
    round.outcomes[0].settled = true;
    round.outcomes[0].settled_microcredits = paid;
    round.outcomes[0].held = absl::Seconds(9);
    s.Write(UpdateRound{round});
    s.Write(PutHost{host_id, ~uint64_t{0}, round_id});
  });
}

}  // namespace

TEST_P(LedgerConformance, ABookThatThereIsNotIsEmptyAndBegins) {
  const auto look = ledger_->reader().Look("alpha");
  ASSERT_TRUE(look.ok()) << look.status();
  EXPECT_EQ(*(*look)->Head(), ChainHead{});
  EXPECT_THAT(*(*look)->ReadPurses(), IsEmpty());
  EXPECT_THAT(*ledger_->reader().ListBooks(), IsEmpty());
  Leader alpha(*ledger_, kAlpha);
  EXPECT_EQ(alpha.state, State{});
  EXPECT_THAT(*ledger_->reader().ListBooks(), ElementsAre("alpha"));
}

TEST_P(LedgerConformance, WhatWasCommittedComesBack) {
  Leader alpha(*ledger_, kAlpha);
  alpha.Tenant("ann", 1'000);
  const GuestId guest = AddGuest(alpha, "h", "ann");
  alpha.ExpectLoads();
  for (RoundId round = 1; round <= 3; ++round) {
    const Contract contract = Decide(alpha, "h", round, guest, "ann");
    alpha.ExpectLoads();
    Settle(alpha, "h", round, contract);
    alpha.ExpectLoads();
  }
  EXPECT_EQ(alpha.state.PurseOf("ann").spent, 75);
  alpha.WriteNow("bid withdrawn", [&](Scribe& s) {
    s.Write(DropBid{{guest, ResourceKind::kCpu}});
  });
  alpha.ExpectLoads();
  alpha.WriteNow("token revoked", [&](Scribe& s) {
    Tenant tenant = s.state().tenants.at("ann");
    tenant.tokens.erase(tenant.tokens.begin());
    s.Write(PutTenant{tenant});
    s.Write(LogEvent{{.kind = "token_revoked", .by = "ann", .by_token_id = 3, .token_id = 1}});
    s.Write(LogEvent{{.kind = "another", .by = kTheMarket, .amount_microcredits = -7}});
  });
  alpha.ExpectLoads();
  // More ids of one guest's bids than are kept, and one for ever.
  for (size_t i = 0; i < kBidRequestsKept + 5; ++i) {
    alpha.WriteNow("bid placed", [&](Scribe& s) {
      s.Write(PutRequest{{.key = {"ann", absl::StrCat("more-", i)},
                          .bid_guest_id = guest,
                          .reply = {.status = absl::AbortedError("a message")},
                          .transaction_id = s.transaction_id()}});
    });
  }
  alpha.WriteNow("deposit", [&](Scribe& s) {
    PostDeposit(s, "ann", 1);
    s.Write(
        PutRequest{{.key = {kOperator, "id"},
                    .reply = {.account = {.available = 1, .escrow = 2, .arrears = -3, .spent = 4}},
                    .transaction_id = s.transaction_id()}});
  });
  alpha.ExpectLoads();
  alpha.WriteNow("guest evicted", [&](Scribe& s) {
    s.Write(DropBid{{guest, ResourceKind::kMemory}});
    Guest gone = s.state().guests.at(guest);
    gone.state = GuestState::kEvicted;
    s.Write(PutGuest{gone});
  });
  alpha.ExpectLoads();
  Reopen();
  Leader again(*ledger_, kAlpha);
  EXPECT_EQ(again.state, alpha.state);
}

TEST_P(LedgerConformance, TiersComeBackAndGoWithTheirGuests) {
  Leader alpha(*ledger_, kAlpha);
  alpha.Tenant("ann", 1'000);
  const GuestId guest = AddGuest(alpha, "h", "ann");
  const GuestId other = AddGuest(alpha, "h", "ann");
  ASSERT_EQ(alpha.state.tiers.size(), 2u);
  alpha.WriteNow("tier set", [&](Scribe& s) {
    s.Write(PutTier{{.guest_id = guest,
                     .tier = "economy",
                     .most = {{ResourceKind::kMemory, 1}},
                     .ceiling_microcredits = 12}});
  });
  alpha.ExpectLoads();
  alpha.WriteNow("tier cleared", [&](Scribe& s) { s.Write(DropTier{guest}); });
  EXPECT_EQ(alpha.state.tiers.size(), 1u);
  alpha.ExpectLoads();
  alpha.WriteNow("guest evicted", [&](Scribe& s) {
    Guest gone = s.state().guests.at(other);
    gone.state = GuestState::kEvicted;
    for (const BidKey& key : s.state().BidsOf(other)) s.Write(DropBid{key});
    s.Write(PutGuest{gone});
  });
  EXPECT_TRUE(alpha.state.tiers.empty());
  alpha.ExpectLoads();
  Reopen();
  Leader again(*ledger_, kAlpha);
  EXPECT_TRUE(again.state.tiers.empty());
}

TEST_P(LedgerConformance, OffersAndWhatBecameOfThemComeBack) {
  Leader alpha(*ledger_, kAlpha);
  alpha.Tenant("ann", 1'000);
  const GuestId guest = AddGuest(alpha, "h", "ann");
  Offer offer{.host_id = "h",
              .tenant_id = "ann",
              .guest_id = guest,
              .contract = {.lots = {{ResourceKind::kCpu, 2, 10}, {ResourceKind::kMemory, 4, 30}},
                           .from_round_id = 5,
                           .until_round_id = 9,
                           .period = absl::Seconds(10),
                           .policy = "forward/1",
                           .end_fee_ppm = 100'000}};
  for (OfferId id = 1; id <= 3; ++id) {
    offer.offer_id = id;
    alpha.WriteNow("quote given", [&](Scribe& s) {
      offer.valid_until = s.now() + absl::Seconds(60);
      s.Write(OpenOffer{offer});
      s.Write(PutRequest{{.key = {"ann", absl::StrCat("quote-", id)},
                          .reply = {.offer_id = id},
                          .transaction_id = s.transaction_id()}});
    });
    alpha.ExpectLoads();
  }
  Contract contract = alpha.state.offers.at(2).contract;
  contract.contract_id = 1;
  contract.guest_id = guest;
  contract.tenant_id = "ann";
  contract.renew_ceiling_microcredits = 55;
  alpha.WriteNow("contract bought", [&](Scribe& s) {
    PostEscrow(s, contract, 60);
    s.Write(OpenContract{contract});
    Offer taken = s.state().offers.at(2);
    taken.taken_as = contract.contract_id;
    taken.closed = kOfferTaken;
    s.Write(UpdateOffer{taken});
    s.Write(PutRequest{{.key = {"ann", "take"},
                        .reply = {.contract_id = contract.contract_id},
                        .transaction_id = s.transaction_id()}});
  });
  EXPECT_EQ(alpha.state.offers.size(), 2u);
  alpha.ExpectLoads();
  alpha.WriteNow("contract left", [&](Scribe& s) {
    Contract left = *s.state().contracts.Find(1);
    left.left_from_round_id = 7;
    left.left_because = kEndedLeft;
    left.renew_ceiling_microcredits = 0;
    left.fees_microcredits = PostDue(s, left, 4, /*keep=*/0);
    left.paid_microcredits = 2;
    s.Write(UpdateContract{left});
  });
  alpha.ExpectLoads();
  Reopen();
  ++alpha.state.ledger.openings;
  Leader again(*ledger_, kAlpha);
  EXPECT_EQ(again.state, alpha.state);
  EXPECT_EQ(again.state.last_offer_id, 3u) << "ids of offers that are closed are not given again";
}

TEST_P(LedgerConformance, PricesOfRoundsByIdAndByTimeAreThoseOfTheRounds) {
  Leader alpha(*ledger_, kAlpha);
  alpha.Tenant("ann", 1'000'000);
  alpha.WriteNow("hosts", [](Scribe& s) {
    s.Write(PutHost{"h1", 1, 0});
    s.Write(PutHost{"h2", 1, 0});
  });
  const GuestId one = AddGuest(alpha, "h1", "ann");
  const GuestId other = AddGuest(alpha, "h2", "ann");
  LedgerReader& reader = ledger_->reader();
  EXPECT_THAT(*reader.ListPrices({.host_id = "h1", .rounds_max = 9}), IsEmpty());
  EXPECT_THAT(
      *reader.ListPrices(
          {.host_id = "h1", .since = absl::UnixEpoch(), .until = absl::Now(), .rounds_max = 9}),
      IsEmpty());
  // Ids with gaps: nobody promises that each period has a round. Two of them were released.
  for (const RoundId round_id : {2u, 3u, 4u, 9u, 10u, 17u, 18u, 40u}) {
    Settle(alpha, "h1", round_id, Decide(alpha, "h1", round_id, one, "ann"));
  }
  Decide(alpha, "h2", 7, other, "ann");
  const absl::StatusOr<std::vector<Round>> rounds = reader.ListRounds("h1", 0, 100);
  ASSERT_TRUE(rounds.ok()) << rounds.status();
  ASSERT_EQ(rounds->size(), 8u);

  // Whatever is asked for is what a look at each round would find.
  const auto expect = [&](const PricesWanted& wanted) {
    std::vector<Round> expected;
    for (Round round : *rounds) {
      if (round.round_id < wanted.first_round_id) continue;
      if (wanted.before_round_id != 0 && round.round_id >= wanted.before_round_id) continue;
      if (round.close_time < wanted.since || round.close_time >= wanted.until) continue;
      if (expected.size() == static_cast<size_t>(wanted.rounds_max)) continue;
      round.outcomes.clear();
      round.certificate.reset();
      for (ResourcePrice& price : round.prices) price.measures.reset();
      expected.push_back(std::move(round));
    }
    const auto found = reader.ListPrices(wanted);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(*found, expected) << wanted.first_round_id << " " << wanted.before_round_id << " "
                                << wanted.since << " " << wanted.until << " " << wanted.rounds_max;
  };
  std::vector<absl::Time> times = {absl::InfinitePast(), absl::UnixEpoch(), absl::InfiniteFuture()};
  for (const Round& round : *rounds) {
    times.push_back(round.close_time);
    times.push_back(round.close_time + absl::Microseconds(1));
  }
  for (const absl::Time since : times) {
    for (const absl::Time until : times) {
      expect({.host_id = "h1", .since = since, .until = until, .rounds_max = 100});
      expect({.host_id = "h1", .since = since, .until = until, .rounds_max = 2});
      expect({.host_id = "h1",
              .first_round_id = 4,
              .before_round_id = 18,
              .since = since,
              .until = until,
              .rounds_max = 100});
    }
  }
  for (RoundId first = 0; first < 42; ++first) {
    for (const RoundId before : {RoundId{0}, RoundId{1}, first, first + 8, ~RoundId{0}}) {
      expect(
          {.host_id = "h1", .first_round_id = first, .before_round_id = before, .rounds_max = 3});
    }
  }
  const auto of_other = reader.ListPrices({.host_id = "h2", .rounds_max = 9});
  ASSERT_TRUE(of_other.ok()) << of_other.status();
  ASSERT_EQ(of_other->size(), 1u);
  EXPECT_EQ(of_other->front().round_id, 7u);
  std::vector<ResourcePrice> prices = reader.ListRounds("h2", 0, 1)->front().prices;
  for (ResourcePrice& price : prices) price.measures.reset();
  EXPECT_EQ(of_other->front().prices, prices);
}

TEST_P(LedgerConformance, EventsAndStatementsComeNewestFirstAndNoTransactionIsCut) {
  Leader alpha(*ledger_, kAlpha);
  Leader beta(*ledger_, kBeta);
  beta.Tenant("ann", 3);  // Another book's.
  alpha.Tenant("ann", 1'000);
  alpha.Tenant("bob", 50);
  for (int i = 0; i < 3; ++i) {
    alpha.WriteNow("several", [&](Scribe& s) {
      PostDeposit(s, "ann", 10 + i);
      s.Move({"ann", AccountKind::kAvailable}, {"ann", AccountKind::kEscrow}, 0, 7);
      s.Move({"ann", AccountKind::kEscrow}, {kOperator, AccountKind::kRevenue}, 0, 2);
      s.Move({"ann", AccountKind::kEscrow}, {"bob", AccountKind::kAvailable}, 0, 1);
      s.Move({"ann", AccountKind::kEscrow}, {"ann", AccountKind::kAvailable}, 0, 4);
      s.Write(LogEvent{{.kind = absl::StrCat("first-", i), .by = "ann", .tenant_id = "ann"}});
      s.Write(LogEvent{{.kind = absl::StrCat("second-", i), .by = "bob", .tenant_id = "bob"}});
    });
  }
  Reopen();
  const auto look = ledger_->reader().Look("alpha");
  ASSERT_TRUE(look.ok()) << look.status();
  const auto kinds = [&look](const TenantId& tenant_id, const NewestBelow& which) {
    std::vector<std::string> out;
    const auto events = (*look)->ReadEvents(tenant_id, which);
    EXPECT_TRUE(events.ok()) << events.status();
    for (const LoggedEvent& event : *events) {
      out.push_back(absl::StrCat(event.transaction_id, " ", event.event.kind));
    }
    return out;
  };
  EXPECT_THAT(kinds("", {0, 2}), ElementsAre("5 first-2", "5 second-2", "4 first-1", "4 second-1"));
  EXPECT_THAT(kinds("", {4, 2}), ElementsAre("3 first-0", "3 second-0", "2 tenant_created"));
  EXPECT_THAT(kinds("bob", {0, 2}), ElementsAre("5 second-2", "4 second-1"));
  EXPECT_THAT(kinds("bob", {3, 9}), ElementsAre("2 tenant_created"));
  EXPECT_THAT(kinds("nobody", {0, 9}), IsEmpty());
  EXPECT_EQ((*(*look)->ReadEvents("", {0, 1}))[0].time, absl::FromUnixSeconds(1'800'000'005));

  // What came and went adds up to what is there, whichever the pages.
  for (const TenantId tenant : {"ann", "bob"}) {
    for (const int at_once : {1, 2, 100}) {
      Microcredits sum = 0;
      uint64_t before = 0;
      Purse purse;
      for (;;) {
        const auto statement = (*look)->ReadStatement(tenant, {before, at_once});
        ASSERT_TRUE(statement.ok()) << statement.status();
        purse = statement->purse;
        if (statement->entries.empty()) break;
        for (const LoggedEntry& logged : statement->entries) {
          EXPECT_TRUE(before == 0 || logged.transaction_id < before);
          EXPECT_NE(logged.entry.from.owner, logged.entry.to.owner) << "within a purse";
          sum += (logged.entry.to.owner == tenant ? 1 : -1) * logged.entry.amount_microcredits;
        }
        before = statement->entries.back().transaction_id;
      }
      EXPECT_EQ(purse, alpha.state.PurseOf(tenant));
      EXPECT_EQ(sum, purse.available + purse.escrow + purse.arrears) << tenant << at_once;
    }
  }
}

TEST_P(LedgerConformance, BooksHaveIdsAndPursesOfTheirOwn) {
  Leader alpha(*ledger_, kAlpha);
  Leader beta(*ledger_, kBeta);
  for (int i = 0; i < 3; ++i) {
    alpha.Tenant(absl::StrCat("ann-", i), 100);
    beta.Tenant(absl::StrCat("ann-", i), 7);
  }
  const GuestId of_alpha = AddGuest(alpha, "h", "ann-0");
  const GuestId of_beta = AddGuest(beta, "i", "ann-0");
  EXPECT_NE(of_alpha, of_beta);
  EXPECT_NE(BookOrdinalOf(of_alpha), BookOrdinalOf(of_beta));
  Settle(alpha, "h", 1, Decide(alpha, "h", 1, of_alpha, "ann-0"));
  EXPECT_EQ(alpha.state.last_transaction_id, 6u);
  EXPECT_EQ(beta.state.last_transaction_id, 4u);
  alpha.ExpectLoads();
  beta.ExpectLoads();
  const auto purses = (*ledger_->reader().Look("beta"))->ReadPurses();
  EXPECT_EQ(purses->at("ann-0").available, 7);
  const auto audit = Audit(ledger_->reader(), ClearByRule);
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_THAT(audit->findings, IsEmpty());
  EXPECT_EQ(audit->heads.at("alpha").transaction_id, 6u);
  EXPECT_EQ(audit->heads.at("beta").transaction_id, 4u);
  EXPECT_EQ(audit->deposits_microcredits, 321);
  Reopen();
  ++alpha.state.ledger.openings;
  ++beta.state.ledger.openings;
  EXPECT_EQ(Leader(*ledger_, kBeta).state, beta.state);
  EXPECT_EQ(Leader(*ledger_, kAlpha).state, alpha.state);
}

TEST_P(LedgerConformance, AnOldFenceIsAbortedAndNothingIsWritten) {
  Leader alpha(*ledger_, kAlpha);
  Leader beta(*ledger_, kBeta);
  alpha.Tenant("ann", 100);
  const State before = alpha.state;
  EXPECT_TRUE(absl::IsAborted(ledger_->Load({.book_id = "alpha", .fence = 0}).status()));
  EXPECT_TRUE(absl::IsAborted(ledger_->Load({.book_id = "new", .fence = 0}).status()));
  factory_->RaiseFence("alpha");
  const Transaction late = alpha.Write("deposit", [](Scribe& s) { PostDeposit(s, "ann", 1); });
  const absl::Status status = alpha.Commit({late});
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("alpha"));
  EXPECT_TRUE(absl::IsAborted(ledger_->Load(kAlpha).status()));
  const auto look = ledger_->reader().Look("alpha");
  EXPECT_EQ((*look)->Head()->transaction_id, before.last_transaction_id);
  EXPECT_EQ(*(*look)->ReadPurses(), before.purses);
  beta.Tenant("bob", 5);  // Its leader goes on.
  beta.ExpectLoads();
}

TEST_P(LedgerConformance, TransactionsFollowEachOtherAndAGroupIsWholeOrNothing) {
  {
    const Transaction first{.transaction_id = 1, .kind = "x"};
    EXPECT_TRUE(absl::IsFailedPrecondition(ledger_->Commit(kAlpha, {first}))) << "not loaded";
  }
  Leader alpha(*ledger_, kAlpha);
  alpha.Tenant("ann", 100);
  const State before = alpha.state;
  for (const uint64_t id : {0u, 1u, 3u}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(alpha.Commit({Transaction{.transaction_id = id}})));
  }
  Transaction good{.transaction_id = 2, .kind = "good"};
  good.entries = {{{"ann", AccountKind::kAvailable}, {kOperator, AccountKind::kRevenue}, 0, 100}};
  Transaction bad = good;
  bad.transaction_id = 3;
  EXPECT_FALSE(alpha.Commit({good, bad}).ok()) << "a balance would be below zero";
  EXPECT_EQ(*ledger_->Load(kAlpha), before);
  EXPECT_TRUE(alpha.Commit({}).ok());
  EXPECT_TRUE(alpha.Commit({good}).ok()) << "and it goes on";
}

TEST_P(LedgerConformance, ATransferIsAcceptedOnce) {
  Leader alpha(*ledger_, kAlpha);
  Leader beta(*ledger_, kBeta);
  alpha.Tenant("ann", 100);
  beta.Tenant("ann", 0);
  LedgerReader& reader = ledger_->reader();
  alpha.WriteNow("sent", [](Scribe& s) { PostSend(s, "beta", "ann", 60); });
  alpha.WriteNow("sent", [](Scribe& s) { PostSend(s, "gamma", "ann", 5); });
  const Transfer sent{.from_book = "alpha",
                      .transfer_id = 2,
                      .to_book = "beta",
                      .owner = "ann",
                      .amount_microcredits = 60};
  EXPECT_THAT(*reader.OpenTransfers("beta"), ElementsAre(sent));
  EXPECT_EQ(reader.OpenTransfers("")->size(), 2u);
  EXPECT_THAT(Audit(reader, ClearByRule)->findings, IsEmpty()) << "on its way";
  Reopen();
  Leader here(*ledger_, kAlpha);
  Leader there(*ledger_, kBeta);
  EXPECT_EQ(here.state.PurseOf("ann").transit, 65);
  const Transaction accepted = there.Write("accepted", [&](Scribe& s) { PostAccept(s, sent); });
  ASSERT_TRUE(there.Commit({accepted}).ok());
  EXPECT_EQ(there.state.PurseOf("ann").available, 60);
  EXPECT_THAT(*ledger_->reader().OpenTransfers("beta"), IsEmpty());
  EXPECT_THAT(Audit(ledger_->reader(), ClearByRule)->findings, IsEmpty());
  there.ExpectLoads();
  // Again; of another amount; for another book. Each time nothing is written.
  Transfer wrong = sent;
  wrong.amount_microcredits = 61;
  Transfer others = sent;
  others.transfer_id = 3;
  others.amount_microcredits = 5;
  const State before = *ledger_->Load(kBeta);
  for (const Transfer& transfer : {sent, wrong, others}) {
    Leader tries(*ledger_, kBeta);
    const Transaction again = tries.Write("accepted", [&](Scribe& s) { PostAccept(s, transfer); });
    EXPECT_TRUE(absl::IsFailedPrecondition(tries.Commit({again})));
    EXPECT_EQ(*ledger_->Load(kBeta), before);
  }
}

TEST_P(LedgerConformance, RoundsAreReadInPages) {
  Leader alpha(*ledger_, kAlpha);
  alpha.Tenant("ann", 10'000);
  const GuestId guest = AddGuest(alpha, "h", "ann");
  for (RoundId round = 1; round <= 12; ++round) {
    Settle(alpha, "h", round, Decide(alpha, "h", round, guest, "ann"));
  }
  LedgerReader& reader = ledger_->reader();
  const auto newest = reader.ListRounds("h", 0, 5);
  ASSERT_TRUE(newest.ok()) << newest.status();
  ASSERT_EQ(newest->size(), 5u);
  EXPECT_EQ(newest->front().round_id, 12u);
  EXPECT_EQ(newest->front().outcomes[0].settled_microcredits, 25);
  const auto older = reader.ListRounds("h", newest->back().round_id, 100);
  EXPECT_EQ(older->front().round_id, 7u);
  EXPECT_EQ(older->size(), 7u);
  EXPECT_THAT(*reader.ListRounds("nowhere", 0, 5), IsEmpty());
  const auto record = reader.GetAuction("h", 3, ResourceKind::kMemory);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(*record, NoBids("h", 3));
  EXPECT_TRUE(absl::IsNotFound(reader.GetAuction("h", 3, ResourceKind::kDisk).status()));
  EXPECT_TRUE(absl::IsNotFound(reader.GetAuction("h", 99, ResourceKind::kMemory).status()));
}

// Money that goes back and forth between books, at random, with deaths in between.
TEST_P(LedgerConformance, MoneyBetweenBooksIsNeitherMadeNorLost) {
  const uint64_t seed = 20261130;
  Random random(seed);
  SCOPED_TRACE(seed);
  const std::vector<Lead> leads = {kAlpha, kBeta, {.book_id = "gamma"}};
  for (const Lead& lead : leads) {
    Leader leader(*ledger_, lead);
    for (const char* tenant : {"ann", "bob"}) leader.Tenant(tenant, 1'000);
  }
  int accepted = 0;
  for (int i = 0; i < 150; ++i) {
    if (random.OneIn(10)) Reopen();
    const auto at = static_cast<size_t>(random.Uniform(0, 2));
    Leader leader(*ledger_, leads[at]);
    const auto open = ledger_->reader().OpenTransfers(leads[at].book_id);
    for (const Transfer& transfer : *open) {
      const Transaction taken =
          leader.Write("accepted", [&](Scribe& s) { PostAccept(s, transfer); });
      if (random.OneIn(4)) break;  // It dies before it is committed.
      ASSERT_TRUE(leader.Commit({taken}).ok());
      ++accepted;
    }
    Leader sender(*ledger_, leads[at]);
    const TenantId tenant = random.OneIn(2) ? "ann" : "bob";
    const Microcredits amount = random.Uniform(1, 400);
    if (sender.state.PurseOf(tenant).available < amount) continue;
    sender.WriteNow("sent", [&](Scribe& s) {
      PostSend(s, leads[static_cast<size_t>(random.Uniform(0, 2))].book_id, tenant, amount);
    });
  }
  EXPECT_GT(accepted, 50);
  std::map<Owner, Microcredits> money;
  for (const Lead& lead : leads) {
    const auto purses = (*ledger_->reader().Look(lead.book_id))->ReadPurses();
    for (const auto& [owner, purse] : *purses) {
      money[owner] += purse.available;
    }
  }
  const auto open = ledger_->reader().OpenTransfers("");
  for (const Transfer& transfer : *open) {
    money[transfer.owner] += transfer.amount_microcredits;
  }
  EXPECT_EQ(money["ann"], 3'000);
  EXPECT_EQ(money["bob"], 3'000);
  EXPECT_THAT(Audit(ledger_->reader(), ClearByRule)->findings, IsEmpty());
}

}  // namespace nom::market
