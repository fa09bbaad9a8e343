// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policies/cases/case_file.h"
#include "policies/clearing/rules.h"

namespace nom::market {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Account kAvailable{"t", AccountKind::kAvailable};
const Account kRevenue{kOperator, AccountKind::kRevenue};
const Account kIssued{kOperator, AccountKind::kIssued};

// A ledger that says what a test puts in it.
class FakeReader : public LedgerReader {
 public:
  absl::StatusOr<std::vector<Round>> ListRounds(const HostId&, RoundId, int) override {
    return std::vector<Round>{};
  }
  absl::StatusOr<std::vector<Round>> ListPrices(const PricesWanted&) override {
    return std::vector<Round>{};
  }
  absl::StatusOr<AuctionRecord> GetAuction(const HostId&, RoundId, ResourceKind) override {
    return absl::NotFoundError("");
  }
  absl::StatusOr<Guest> GetEvictedGuest(GuestId) override { return absl::NotFoundError(""); }
  absl::StatusOr<std::vector<BookId>> ListBooks() override {
    return std::vector<BookId>{kMarketBook};
  }
  absl::StatusOr<std::vector<Transfer>> OpenTransfers(const BookId&) override { return transfers; }
  absl::StatusOr<std::unique_ptr<LedgerSnapshot>> Look(const BookId&) override {
    ++looks;
    return std::make_unique<Snapshot>(*this);
  }

  // The transactions' digests as they would have been when they were written.
  void Chain() {
    std::string before;
    for (ChainedTransaction& t : transactions) t.digest = before = NextDigest(before, t);
  }

  std::vector<ChainedTransaction> transactions;
  Purses purses;
  std::map<TenantId, Microcredits> fees;
  std::vector<Transfer> transfers;
  std::map<RoundId, Round> rounds;
  int looks = 0;
  int visits = 0;

 private:
  class Snapshot : public LedgerSnapshot {
   public:
    explicit Snapshot(FakeReader& reader) : reader_(reader) {}
    absl::StatusOr<ChainHead> Head() override {
      const auto& all = reader_.transactions;
      return all.empty() ? ChainHead{} : ChainHead{all.back().transaction_id, all.back().digest};
    }
    absl::StatusOr<Purses> ReadPurses() override { return reader_.purses; }
    absl::StatusOr<std::map<TenantId, Microcredits>> ReadFees() override { return reader_.fees; }
    absl::Status ReadTransactions(
        uint64_t after, uint64_t limit,
        const std::function<absl::Status(const ChainedTransaction&)>& visit) override {
      for (const ChainedTransaction& t : reader_.transactions) {
        if (t.transaction_id <= after || limit-- == 0) continue;
        ++reader_.visits;
        if (absl::Status s = visit(t); !s.ok()) return s;
      }
      return absl::OkStatus();
    }
    absl::StatusOr<Round> ReadRound(const HostId&, RoundId round_id) override {
      return reader_.rounds.at(round_id);
    }
    absl::StatusOr<std::vector<LoggedEvent>> ReadEvents(const TenantId&,
                                                        const NewestBelow&) override {
      return absl::UnimplementedError("not asked for");
    }
    absl::StatusOr<AccountStatement> ReadStatement(const TenantId&, const NewestBelow&) override {
      return absl::UnimplementedError("not asked for");
    }
    absl::StatusOr<std::vector<Contract>> ReadEndedContracts(const TenantId&, GuestId, ContractId,
                                                             int) override {
      return absl::UnimplementedError("not asked for");
    }

   private:
    FakeReader& reader_;
  };
};

class AuditTest : public testing::Test {
 protected:
  AuditTest() {
    policies::Auction auction;
    auction.capacity_units = 5;
    auction.reserve_unit_price_microcredits = 2;
    auction.bids = {{.guest_id = 7, .ranges = {{0, 4, 0, 9}}}};
    PutRound put;
    put.auctions = {
        {.host_id = "h", .round_id = 3, .rule = "mpsp/1", .auction = policies::ToText(auction)}};
    const auto clearing = policies::Clear("mpsp/1", auction);
    put.round = {.host_id = "h", .round_id = 3, .phase = RoundPhase::kSettled};
    put.round.prices = {{.unit_price_microcredits = clearing->clearing_unit_price_microcredits}};
    put.round.outcomes = {{.guest_id = 7,
                           .tenant_id = "t",
                           .award_units = clearing->awards[0].units,
                           .charge_microcredits = clearing->awards[0].charge_microcredits,
                           .settled = true,
                           .settled_microcredits = 8}};
    reader_.transactions = {
        {.transaction_id = 1, .kind = "deposit", .entries = {{kIssued, kAvailable, 0, 50}}},
        {.transaction_id = 2,
         .kind = "round settled",
         .entries = {{kAvailable, kRevenue, 7, 8}},
         .decided = {put}}};
    reader_.purses["t"] = {.available = 42, .deposited = 50, .spent = 8};
    reader_.purses[kOperator] = {.revenue = 8, .issued = -50, .earned = 8};
    reader_.Chain();
  }
  AuditResult Run() { return *Audit(reader_, ClearByRule); }
  PutRound& put() { return reader_.transactions[1].decided[0]; }
  Outcome& outcome() { return put().round.outcomes[0]; }

  FakeReader reader_;
};

TEST_F(AuditTest, GoodBooks) {
  const AuditResult result = Run();
  EXPECT_THAT(result.findings, IsEmpty());
  EXPECT_TRUE(result.balanced());
  EXPECT_EQ(result.entries, 2u);
  EXPECT_EQ(result.revenue_microcredits, 8);
  EXPECT_EQ(result.deposits_microcredits, 50);
  EXPECT_EQ(result.rounds_replayed, 1u);
  EXPECT_EQ(result.auctions_replayed, 1u);
}

TEST_F(AuditTest, FindsABalanceThatWasChanged) {
  reader_.purses["t"].available += 1;
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("t, available: the balance is 43"),
                                          HasSubstr("what it holds is not what was put in")));
  reader_.purses["t"].deposited += 1;
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("t, available: the balance is 43"),
                                          HasSubstr("t: deposited is 51, its entries add up to 50"),
                                          HasSubstr("do not sum to zero")));
}

TEST_F(AuditTest, FindsMoneyThatIsOnItsWayNowhere) {
  const Account transit{"t", AccountKind::kTransit};
  reader_.transactions.push_back(
      {.transaction_id = 3, .kind = "x", .entries = {{kAvailable, transit, 0, 5}}});
  reader_.Chain();
  reader_.purses["t"].available -= 5;
  reader_.purses["t"].transit += 5;
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("t: over all books there is 5 more")));
  reader_.transfers = {{.owner = "t", .amount_microcredits = 5}};
  EXPECT_THAT(Run().findings, IsEmpty());
}

TEST_F(AuditTest, FindsAnEntryThatNobodyCouldHavePosted) {
  reader_.transactions[1].entries[0].amount_microcredits = 51;
  reader_.Chain();
  EXPECT_THAT(Run().findings[0], HasSubstr("transaction 2: t, available: -1 is on the wrong side"));
}

TEST_F(AuditTest, FindsABalanceWithoutEntries) {
  reader_.purses["u"] = {.available = 5, .deposited = 5};
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("u, available"), HasSubstr("u: deposited"),
                                          HasSubstr("do not sum to zero")));
}

TEST_F(AuditTest, FindsAnAwardThatTheBidsDoNotGive) {
  outcome().award_units += 1;
  reader_.Chain();
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("host h, round 3, resource 2: guest 7")));
  put().round.outcomes[0].guest_id = 8;
  reader_.Chain();
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("guest 8"), HasSubstr("has no outcome")));
}

TEST_F(AuditTest, FindsAPriceThatTheBidsDoNotMake) {
  put().round.prices[0].unit_price_microcredits += 1;
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("the price was")));
}

TEST_F(AuditTest, FindsAnAuctionThatCannotBeRead) {
  put().auctions[0].auction = "garbage";
  reader_.Chain();
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("can't be read")));
}

TEST_F(AuditTest, ClearsAgainWithinTheRecordedLimit) {
  put().auctions[0].work_max = 77;
  reader_.Chain();
  int64_t given = 0;
  const ClearFunction clear = [&given](const std::string& rule, const policies::Auction& auction,
                                       int64_t work_max) {
    given = work_max;
    return ClearByRule(rule, auction, 0);
  };
  EXPECT_THAT(Audit(reader_, clear)->findings, IsEmpty());
  EXPECT_EQ(given, 77);
}

TEST_F(AuditTest, RepeatedRoundsAreCountedNotCleared) {
  put().auctions[0].method = policies::Method::kRepeatLast;
  put().auctions[0].fault = "the rule failed";
  outcome().award_units = 1;
  reader_.Chain();
  const AuditResult result = Run();
  EXPECT_TRUE(result.balanced());
  EXPECT_EQ(result.auctions_repeated, 1u);
}

TEST_F(AuditTest, FindsAnyLineThatWasChangedTakenOutOrPutIn) {
  const std::vector<ChainedTransaction> good = reader_.transactions;
  const auto found = [&](auto spoil) {
    reader_.transactions = good;
    spoil(reader_.transactions);
    return Run().findings;
  };
  // Each keeps the sums right: only the chain can tell.
  EXPECT_THAT(found([](auto& t) { t[0].entries[0].guest_id = 9; }),
              ElementsAre(HasSubstr("transaction 1: its digest")));
  EXPECT_THAT(found([](auto& t) { t[1].time += absl::Seconds(1); }),
              ElementsAre(HasSubstr("transaction 2: its digest")));
  EXPECT_THAT(found([](auto& t) { t[1].kind = "gift"; }), ElementsAre(HasSubstr("its digest")));
  EXPECT_THAT(found([](auto& t) { t[1].decided[0].auctions[0].rule = "mpsp/1 "; }),
              testing::Contains(HasSubstr("its digest")));
  EXPECT_THAT(found([](auto& t) {
                t.push_back({.transaction_id = 4, .kind = "x", .digest = t.back().digest});
              }),
              ElementsAre(HasSubstr("transaction 4: does not follow 2"), HasSubstr("its digest")));
  EXPECT_THAT(found([](auto&) {}), IsEmpty());
}

TEST_F(AuditTest, FindsAStatementThatDoesNotAddUp) {
  outcome().rent_microcredits = 1;
  EXPECT_THAT(
      Run().findings,
      ElementsAre(HasSubstr("tenant t: its outcomes charged 9, its purse says that it spent 8")));
}

TEST_F(AuditTest, GoesOnFromWhereItWas) {
  AuditMark mark;
  put().round.phase = RoundPhase::kEffective;  // Still open, and settled in part.
  reader_.rounds[3] = put().round;
  EXPECT_THAT(Audit(reader_, ClearByRule, mark)->findings, IsEmpty());
  EXPECT_EQ(reader_.visits, 2);
  EXPECT_EQ(mark.books[kMarketBook].open_rounds.size(), 1u);
  // It closes, and one more transaction comes.
  reader_.rounds[3].phase = RoundPhase::kSettled;
  reader_.rounds[3].outcomes[0].rent_microcredits = 5;
  ChainedTransaction next{
      .transaction_id = 3, .kind = "round settled", .entries = {{kAvailable, kRevenue, 7, 5}}};
  next.digest = NextDigest(reader_.transactions[1].digest, next);
  reader_.transactions.push_back(next);
  reader_.purses["t"] = {.available = 37, .deposited = 50, .spent = 13};
  reader_.purses[kOperator] = {.revenue = 13, .issued = -50, .earned = 13};
  const auto again = Audit(reader_, ClearByRule, mark);
  EXPECT_THAT(again->findings, IsEmpty());
  EXPECT_EQ(reader_.visits, 3) << "what was found good is not read again";
  EXPECT_EQ(again->transactions, 3u);
  EXPECT_EQ(again->heads.at(kMarketBook), (ChainHead{3, next.digest}));
  EXPECT_EQ(again->revenue_microcredits, 13);
  EXPECT_TRUE(mark.books[kMarketBook].open_rounds.empty());
  // What was found good and is not any more is found, and then all is looked at anew.
  reader_.purses["t"].available = 38;
  EXPECT_FALSE(Audit(reader_, ClearByRule, mark)->balanced());
  EXPECT_TRUE(mark.books.empty());
}

TEST_F(AuditTest, IsCancelledBetweenTransactions) {
  AuditMark mark;
  int asked = 0;
  const auto cancelled = Audit(reader_, ClearByRule, mark, [&asked] { return ++asked == 2; });
  EXPECT_TRUE(absl::IsCancelled(cancelled.status()));
  EXPECT_TRUE(mark.books.empty());
}

}  // namespace
}  // namespace nom::market
