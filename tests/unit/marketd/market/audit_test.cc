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

// A ledger that says what a test puts in it.
class FakeReader : public LedgerReader {
 public:
  absl::StatusOr<std::vector<Round>> ListRounds(const HostId&, RoundId, int) override {
    return std::vector<Round>{};
  }
  absl::StatusOr<AuctionRecord> GetAuction(const HostId&, RoundId, ResourceKind) override {
    return absl::NotFoundError("");
  }
  absl::StatusOr<std::map<TenantId, Balances>> ReadBooks(
      const std::function<absl::Status(uint64_t, const Entry&)>& visit, Counts* counts) override {
    counts->entries = entries.size();
    for (const auto& [id, entry] : entries) {
      if (absl::Status s = visit(id, entry); !s.ok()) return s;
    }
    return balances;
  }
  absl::Status ReadAuctions(
      uint64_t,
      const std::function<absl::Status(const AuctionRecord&, const Round&)>& visit) override {
    return visit(record, round);
  }

  std::vector<std::pair<uint64_t, Entry>> entries;
  std::map<TenantId, Balances> balances;
  AuctionRecord record;
  Round round;
};

class AuditTest : public testing::Test {
 protected:
  AuditTest() {
    reader_.entries = {{1, {"t", Account::kDeposits, 0, -50}},
                       {1, {"t", Account::kAvailable, 0, 50}},
                       {2, {"t", Account::kAvailable, 7, -8}},
                       {2, {"t", Account::kRevenue, 7, 8}}};
    reader_.balances["t"] = {.available = 42, .revenue = 8, .deposits = -50};
    policies::Auction auction;
    auction.capacity_units = 5;
    auction.reserve_unit_price_microcredits = 2;
    auction.bids = {{.guest_id = 7, .ranges = {{0, 4, 0, 9}}}};
    reader_.record = {
        .host_id = "h", .round_id = 3, .rule = "mpsp/1", .auction = policies::ToText(auction)};
    const auto clearing = policies::Clear("mpsp/1", auction);
    reader_.round = {.host_id = "h", .round_id = 3};
    reader_.round.prices = {
        {.unit_price_microcredits = clearing->clearing_unit_price_microcredits}};
    reader_.round.outcomes = {{.guest_id = 7,
                               .award_units = clearing->awards[0].units,
                               .charge_microcredits = clearing->awards[0].charge_microcredits}};
  }
  AuditResult Run() { return *Audit(reader_, 0, ClearByRule); }

  FakeReader reader_;
};

TEST_F(AuditTest, GoodBooks) {
  const AuditResult result = Run();
  EXPECT_THAT(result.findings, IsEmpty());
  EXPECT_TRUE(result.balanced());
  EXPECT_EQ(result.entries, 4u);
  EXPECT_EQ(result.revenue_microcredits, 8);
  EXPECT_EQ(result.deposits_microcredits, 50);
  EXPECT_EQ(result.rounds_replayed, 1u);
  EXPECT_EQ(result.auctions_replayed, 1u);
}

TEST_F(AuditTest, FindsABalanceThatWasChanged) {
  reader_.balances["t"].available += 1;
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("tenant t, available: the balance is 43"),
                                          HasSubstr("the accounts sum to 1")));
}

TEST_F(AuditTest, FindsMoneyFromNowhere) {
  reader_.entries[1].second.amount_microcredits = 60;
  reader_.balances["t"].available = 52;
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("transaction 1"), HasSubstr("sum to 10")));
}

TEST_F(AuditTest, FindsABalanceWithoutEntries) {
  reader_.balances["u"] = {.available = 5, .deposits = -5};
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("tenant u"), HasSubstr("tenant u")));
}

TEST_F(AuditTest, FindsAnAwardThatTheBidsDoNotGive) {
  reader_.round.outcomes[0].award_units += 1;
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("host h, round 3, resource 2: guest 7")));
  reader_.round.outcomes.clear();
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("has no outcome")));
}

TEST_F(AuditTest, FindsAPriceThatTheBidsDoNotMake) {
  reader_.round.prices[0].unit_price_microcredits += 1;
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("the price was")));
}

TEST_F(AuditTest, FindsAnAuctionThatCannotBeRead) {
  reader_.record.auction = "garbage";
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("can't be read")));
}

TEST_F(AuditTest, ClearsAgainWithinTheRecordedLimit) {
  reader_.record.work_max = 1;  // Nothing but repeating what was held fits: nothing was.
  EXPECT_THAT(Run().findings, ElementsAre(HasSubstr("guest 7 was awarded 4")));
  reader_.record.method = policies::Method::kRepeatLast;
  reader_.round.outcomes[0].award_units = 0;
  reader_.round.outcomes[0].charge_microcredits = 0;
  const AuditResult result = Run();
  EXPECT_THAT(result.findings, IsEmpty());
  EXPECT_EQ(result.auctions_replayed, 1u);
}

TEST_F(AuditTest, RepeatedRoundsAreCountedNotCleared) {
  reader_.record.method = policies::Method::kRepeatLast;
  reader_.record.fault = "the rule failed";
  reader_.round.outcomes[0].award_units = 1;
  const AuditResult result = Run();
  EXPECT_TRUE(result.balanced());
  EXPECT_EQ(result.auctions_repeated, 1u);
}

}  // namespace
}  // namespace nom::market
