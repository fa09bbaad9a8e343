// SPDX-License-Identifier: Apache-2.0
// Hosts that clear all kinds in one auction: rounds and records.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "marketd/market/audit.h"
#include "marketd/market/joint_bids.h"
#include "marketd/market/joint_round.h"
#include "policies/cases/joint_case_file.h"
#include "tests/unit/marketd/market/joint_fixture.h"

namespace nom::market {
namespace {

using policies::Combination;
using policies::PriceVector;
using policies::Range;
using policies::UnitVector;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

// A ledger that somebody changed who could also make all digests follow from each other.
class ForgedReader : public LedgerReader {
 public:
  using Forge = std::function<void(PutRound&)>;
  ForgedReader(LedgerReader& reader, Forge forge) : reader_(reader), forge_(std::move(forge)) {}

  absl::StatusOr<std::vector<Round>> ListRounds(const HostId& host_id, RoundId before_round_id,
                                                int limit) override {
    return reader_.ListRounds(host_id, before_round_id, limit);
  }
  absl::StatusOr<std::vector<Round>> ListPrices(const PricesWanted& wanted) override {
    return reader_.ListPrices(wanted);
  }
  absl::StatusOr<AuctionRecord> GetAuction(const HostId& host_id, RoundId round_id,
                                           ResourceKind kind) override {
    return reader_.GetAuction(host_id, round_id, kind);
  }
  absl::StatusOr<Guest> GetEvictedGuest(GuestId guest_id) override {
    return reader_.GetEvictedGuest(guest_id);
  }
  absl::StatusOr<std::unique_ptr<LedgerSnapshot>> Look(const BookId& book_id) override {
    auto look = reader_.Look(book_id);
    if (!look.ok()) return look;
    return std::make_unique<Snapshot>(*std::move(look), forge_);
  }

  absl::StatusOr<std::vector<BookId>> ListBooks() override { return reader_.ListBooks(); }
  absl::StatusOr<std::vector<Transfer>> OpenTransfers(const BookId& to_book) override {
    return reader_.OpenTransfers(to_book);
  }

 private:
  class Snapshot : public LedgerSnapshot {
   public:
    Snapshot(std::unique_ptr<LedgerSnapshot> snapshot, const Forge& forge)
        : snapshot_(std::move(snapshot)), forge_(forge) {}
    absl::StatusOr<ChainHead> Head() override { return snapshot_->Head(); }
    absl::StatusOr<Purses> ReadPurses() override { return snapshot_->ReadPurses(); }
    absl::StatusOr<std::map<TenantId, Microcredits>> ReadFees() override {
      return snapshot_->ReadFees();
    }
    absl::Status ReadTransactions(
        uint64_t after, uint64_t limit,
        const std::function<absl::Status(const ChainedTransaction&)>& visit) override {
      return snapshot_->ReadTransactions(after, limit, [&](const ChainedTransaction& t) {
        ChainedTransaction forged = t;
        for (PutRound& put : forged.decided) {
          if (put.round.host_id == "h") forge_(put);
        }
        forged.digest = digest_ = NextDigest(digest_, forged);
        return visit(forged);
      });
    }
    absl::StatusOr<Round> ReadRound(const HostId& host_id, RoundId round_id) override {
      return snapshot_->ReadRound(host_id, round_id);
    }
    absl::StatusOr<std::vector<LoggedEvent>> ReadEvents(const TenantId& tenant_id,
                                                        const NewestBelow& which) override {
      return snapshot_->ReadEvents(tenant_id, which);
    }
    absl::StatusOr<AccountStatement> ReadStatement(const TenantId& tenant_id,
                                                   const NewestBelow& which) override {
      return snapshot_->ReadStatement(tenant_id, which);
    }
    absl::StatusOr<std::vector<Contract>> ReadEndedContracts(const TenantId& tenant_id,
                                                             GuestId guest_id, ContractId before,
                                                             int limit) override {
      return snapshot_->ReadEndedContracts(tenant_id, guest_id, before, limit);
    }

   private:
    const std::unique_ptr<LedgerSnapshot> snapshot_;
    const Forge& forge_;
    std::string digest_;
  };

  LedgerReader& reader_;
  const Forge forge_;
};

TEST_F(JointTest, AGuestWinsABundleWholeOrNotAtAll) {
  const GuestId one = Admit("ann", "one");
  const GuestId two = Admit("bob", "two");
  // 280 of cpu and 224 of memory are free. Each wants more than half of both.
  ASSERT_TRUE(Bid("ann", ValuationBid(one, {.bundles = {CpuAndMemory(200, 150, 900'000),
                                                        CpuAndMemory(80, 60, 300'000)}}))
                  .status.ok());
  ASSERT_TRUE(
      Bid("bob", ValuationBid(two, {.bundles = {CpuAndMemory(200, 150, 800'000)}})).status.ok());
  ASSERT_TRUE(RunUntilDecided(1));
  const Round round = Last();
  ASSERT_TRUE(round.certificate.has_value());
  EXPECT_EQ(round.certificate->method, policies::Method::kExact);
  EXPECT_TRUE(round.certificate->charges_are_exact);
  EXPECT_EQ(round.certificate->welfare_microcredits, round.certificate->welfare_bound_microcredits);
  // Those of 900,000 and 800,000 do not fit together; those of 300,000 and 800,000 do, and are
  // worth more, what more of them costs at the reserves included.
  EXPECT_EQ(OutcomeOf(round, one, ResourceKind::kCpu).award_units, 80);
  EXPECT_EQ(OutcomeOf(round, one, ResourceKind::kMemory).award_units, 60);
  EXPECT_EQ(OutcomeOf(round, two, ResourceKind::kCpu).award_units, 200);
  EXPECT_EQ(OutcomeOf(round, two, ResourceKind::kMemory).award_units, 150);
  for (const ResourcePrice& price : round.prices) EXPECT_EQ(price.rule, policies::kJointVcg);
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(Held(two), 16 + 150);
  EXPECT_EQ(Held(two, ResourceKind::kCpu), 10 + 200);
  const auto audit = Audit(world_->ledger().reader(), {});
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_THAT(audit->findings, IsEmpty());
  EXPECT_EQ(CheckBooks(world_->state()), "");
}

// What policies say of the recorded auction is what was decided: award by award, charge by charge.
TEST_F(JointTest, ARoundIsWhatPoliciesSay) {
  const GuestId one = Admit("ann", "one");
  const GuestId two = Admit("ann", "two");
  const GuestId three = Admit("bob", "three");
  Random random(5);
  for (RoundId round_id = 1; round_id <= 12; ++round_id) {
    for (const GuestId guest : {one, two, three}) {
      Valuation valuation;
      const int64_t price = random.Uniform(1'000, 9'000);
      switch (random.Uniform(0, 3)) {
        case 0:
          for (int64_t i = 1; i <= 12; ++i) {
            valuation.bundles.push_back(
                CpuAndMemory(i * random.Uniform(3, 9), i * 7, i * price * random.Uniform(6, 15)));
          }
          break;
        case 1:
          valuation =
              Curves(Combination::kMin, {{0, 150, 0, price}}, {{20, 120, 20 * price, price}});
          break;
        case 2:
          valuation = Curves(Combination::kProduct, {{1, 32, 32'768, 32'768}},
                             {{1, 16, 65'536, 65'536}}, 60 * price);
          break;
        default:
          valuation = Curves(Combination::kSum, {{0, 100, 0, price}}, {{0, 90, 0, price / 2}});
      }
      const Reply reply =
          Bid(guest == three ? "bob" : "ann", ValuationBid(guest, std::move(valuation)));
      ASSERT_TRUE(reply.status.ok()) << reply.status;
    }
    ASSERT_TRUE(RunUntilDecided(round_id));
    const Round round = Last();
    const AuctionRecord record = Record(round_id);
    EXPECT_EQ(record.kind, kSeveralKinds);
    EXPECT_EQ(record.chain, policies::kFallbackChain);
    const auto auction = policies::ParseJointAuction(record.auction);
    ASSERT_TRUE(auction.ok()) << auction.status();
    const auto clearing = policies::ClearJointVcg(*auction);
    ASSERT_TRUE(clearing.ok()) << clearing.status();
    ASSERT_TRUE(clearing->charges_are_exact);
    EXPECT_EQ(round.certificate->welfare_microcredits, clearing->welfare_microcredits);
    Microcredits decided = 0;
    for (const Outcome& outcome : round.outcomes) decided += outcome.charge_microcredits;
    Microcredits said = 0;
    for (const policies::JointAward& award : clearing->awards) {
      said += award.charge_microcredits;
      const auto [guest, kind] = OfItem(award.guest_id);
      for (const size_t r : {0u, 1u}) {
        EXPECT_EQ(OutcomeOf(round, guest, round.prices[r].kind).award_units,
                  award.units[r] > 0 || kind == kSeveralKinds
                      ? award.units[r]
                      : OutcomeOf(round, guest, round.prices[r].kind).award_units);
      }
    }
    EXPECT_EQ(decided, said);
    EXPECT_EQ(
        purse("ann").escrow + purse("bob").escrow,
        world_->state().contracts.EscrowOf("ann") + world_->state().contracts.EscrowOf("bob"));
  }
  const auto audit = Audit(world_->ledger().reader(), {});
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_THAT(audit->findings, IsEmpty());
  EXPECT_GE(audit->auctions_replayed, 12u);
}

TEST_F(JointTest, TheAuditFindsAForgedRound) {
  const GuestId one = Admit("ann", "one");
  const GuestId two = Admit("bob", "two");
  ASSERT_TRUE(
      Bid("ann", ValuationBid(one, {.bundles = {CpuAndMemory(200, 150, 900'000)}})).status.ok());
  ASSERT_TRUE(
      Bid("bob", ValuationBid(two, {.bundles = {CpuAndMemory(190, 140, 800'000)}})).status.ok());
  ASSERT_TRUE(RunUntilDecided(1));
  const auto findings = [&](ForgedReader::Forge forge) {
    ForgedReader forged(world_->ledger().reader(), std::move(forge));
    const auto audit = Audit(forged, {});
    EXPECT_TRUE(audit.ok()) << audit.status();
    return audit->findings;
  };
  EXPECT_THAT(findings([](PutRound&) {}), IsEmpty());
  // A micro-credit is moved from one kind to the other: all sums are what they were.
  EXPECT_THAT(findings([](PutRound& put) {
                for (Outcome& outcome : put.round.outcomes) {
                  if (outcome.award_units == 0) continue;
                  outcome.charge_microcredits += outcome.kind == ResourceKind::kCpu ? 1 : -1;
                }
              }),
              AllOf(Contains(HasSubstr("of cpu; cleared again")),
                    Contains(HasSubstr("of memory; cleared again"))));
  EXPECT_THAT(findings([](PutRound& put) { ++put.round.prices[1].unit_price_microcredits; }),
              Contains(HasSubstr("all resources: the price was")));
  EXPECT_THAT(findings([](PutRound& put) { --put.round.certificate->welfare_bound_microcredits; }),
              Contains(HasSubstr("its certificate was welfare")));
  EXPECT_THAT(findings([](PutRound& put) { put.round.certificate.reset(); }),
              Contains(HasSubstr("its certificate was none")));
  EXPECT_THAT(findings([](PutRound& put) {
                std::string& text = put.auctions[0].auction;
                text.replace(text.find("800000"), 6, "950000");
              }),
              Contains(HasSubstr("guest 2 was awarded 0 for 0")));
  EXPECT_THAT(findings([](PutRound& put) { put.auctions[0].auction = "bids: nonsense"; }),
              Contains(HasSubstr("its auction can't be read")));
  EXPECT_THAT(findings([](PutRound& put) { put.auctions[0].rule = "joint_vcg/2"; }),
              Contains(HasSubstr("no rule for several kinds is called joint_vcg/2")));
  EXPECT_THAT(findings([](PutRound& put) { ++put.auctions[0].chain; }),
              Contains(HasSubstr("was cleared by version 2 of the fallbacks")));
}

TEST_F(JointTest, BidsForSingleKindsAreASum) {
  const std::vector<Range> cpu = {{0, 100, 0, 4'000}, {120, 150, 500'000, 2'000}};
  const std::vector<Range> memory = {{8, 90, 24'000, 3'000}};
  std::vector<std::vector<Outcome>> outcomes;
  std::vector<std::string> auctions;
  for (const bool as_sum : {false, true}) {
    OpenJoint({});
    const GuestId one = Admit("ann", "one");
    const GuestId two = Admit("bob", "two");
    ASSERT_TRUE(Bid("bob", ValuationBid(two, {.bundles = {CpuAndMemory(190, 170, 1'400'000)}}))
                    .status.ok());
    if (as_sum) {
      ASSERT_TRUE(
          Bid("ann", ValuationBid(one, Curves(Combination::kSum, cpu, memory))).status.ok());
    } else {
      PlaceBid bid{
          .request_id = NewId(), .guest_id = one, .kind = ResourceKind::kCpu, .ranges = cpu};
      ASSERT_TRUE(Bid("ann", bid).status.ok());
      bid = {
          .request_id = NewId(), .guest_id = one, .kind = ResourceKind::kMemory, .ranges = memory};
      ASSERT_TRUE(Bid("ann", bid).status.ok());
    }
    ASSERT_TRUE(RunUntilDecided(1));
    outcomes.push_back(Last().outcomes);
    auctions.push_back(Record(1).auction);
  }
  EXPECT_EQ(outcomes[0], outcomes[1]);
  EXPECT_EQ(auctions[0], auctions[1]);
  EXPECT_GT(outcomes[0][0].award_units, 0);
}

TEST_F(JointTest, WhoCannotPayForAllOfItsBundlesIsScaled) {
  const GuestId one = Admit("ann", "one");
  const GuestId two = Admit("bob", "two");
  const Reply taken = world_->AskAsOperator(Deposit{NewId(), "ann", -999'000'000});
  ASSERT_TRUE(taken.status.ok()) << taken.status;
  const Microcredits means = purse("ann").available;
  for (const GuestId guest : {one, two}) {
    // The whole machine costs 280 * 1,000 + 224 * 500 at the reserves, and each displaces the
    // other.
    ASSERT_TRUE(Bid(guest == one ? "ann" : "bob",
                    ValuationBid(guest, Curves(Combination::kMin, {{0, 200, 0, 20'000}},
                                               {{0, 200, 0, 20'000}})))
                    .status.ok());
  }
  ASSERT_TRUE(RunUntilDecided(1));
  EXPECT_LE(purse("ann").escrow, means);
  EXPECT_EQ(purse("ann").available, means - purse("ann").escrow);
  EXPECT_GT(OutcomeOf(Last(), two, ResourceKind::kCpu).award_units, 0);
  const auto audit = Audit(world_->ledger().reader(), {});
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_THAT(audit->findings, IsEmpty());
}

TEST_F(JointTest, ARuleThatFailsRepeatsTheLastAwards) {
  int calls = 0;
  OpenJoint([&calls](const policies::JointAuction& auction,
                     int64_t work_max) -> absl::StatusOr<policies::JointCleared> {
    if (++calls == 2) return absl::InternalError("injected");
    absl::StatusOr<policies::JointCleared> cleared = policies::ClearJointWithin(auction, work_max);
    // More than the bid is worth: a promise that the market looks after.
    if (calls == 3 && cleared.ok()) cleared->clearing.awards[0].charge_microcredits = INT64_MAX;
    return cleared;
  });
  const GuestId one = Admit("ann", "one");
  ASSERT_TRUE(
      Bid("ann", ValuationBid(one, {.bundles = {CpuAndMemory(50, 40, 900'000)}})).status.ok());
  for (const RoundId round_id : {1U, 2U, 3U}) {
    ASSERT_TRUE(RunUntilDecided(round_id));
    const Round round = Last();
    EXPECT_EQ(OutcomeOf(round, one, ResourceKind::kMemory).award_units, 40);
    EXPECT_EQ(OutcomeOf(round, one, ResourceKind::kCpu).charge_microcredits, 50'000);
    EXPECT_EQ(OutcomeOf(round, one, ResourceKind::kMemory).charge_microcredits, 20'000);
    EXPECT_EQ(round.certificate->method,
              round_id == 1 ? policies::Method::kExact : policies::Method::kRepeatLast);
    EXPECT_EQ(Record(round_id).fault.empty(), round_id == 1);
    ASSERT_TRUE(RunUntilInForce(round_id));
  }
  const auto audit = Audit(world_->ledger().reader(), {});
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_THAT(audit->findings, IsEmpty());
  EXPECT_GE(audit->auctions_repeated, 2u);
}

// --- Cleared beside the engine. ---

class BesideTest : public JointTest {
 protected:
  BesideTest() { OpenJoint({}, /*beside=*/true); }
  // Until the round is closed and being cleared.
  bool RunUntilClosed() {
    return world_->RunUntil(
        [&] { return world_->clock.Now() > host_view().close_time && host_view().round_id == 1; },
        2 * kPeriod);
  }
};

TEST_F(BesideTest, CloseIsCloseWhileARoundIsCleared) {
  const GuestId one = Admit("ann", "one");
  const GuestId two = Admit("bob", "two");
  ASSERT_TRUE(
      Bid("ann", ValuationBid(one, {.bundles = {CpuAndMemory(50, 40, 900'000)}})).status.ok());
  ASSERT_TRUE(RunUntilClosed());
  ASSERT_EQ(book().last_decided_round_id, 0u) << "it is being cleared";
  const Reply late = Bid("bob", ValuationBid(two, {.bundles = {CpuAndMemory(5, 4, 900'000)}}));
  ASSERT_TRUE(late.status.ok()) << late.status;
  EXPECT_EQ(late.round_id, 2u);
  ASSERT_TRUE(RunUntilDecided(1));
  EXPECT_EQ(OutcomeOf(Last(), one, ResourceKind::kCpu).award_units, 50);
  EXPECT_EQ(OutcomeOf(Last(), two, ResourceKind::kCpu).award_units, 0);
  ASSERT_TRUE(RunUntilDecided(2));
  EXPECT_EQ(OutcomeOf(Last(), two, ResourceKind::kCpu).award_units, 5);
  EXPECT_EQ(host_view().counters.clearings_again, 0u);
  EXPECT_EQ(host_view().counters.rounds_skipped, 0u);
}

TEST_F(BesideTest, WhatCanNotBeDoneAnyMoreIsDecidedAgain) {
  const GuestId one = Admit("ann", "one");
  const GuestId two = Admit("bob", "two");
  for (const GuestId guest : {one, two}) {
    ASSERT_TRUE(
        Bid(guest == one ? "ann" : "bob",
            ValuationBid(guest, {.bundles = {CpuAndMemory(
                                     200, 150, 900'000 + 9 * static_cast<Microcredits>(guest))}}))
            .status.ok());
  }
  ASSERT_TRUE(RunUntilClosed());
  ASSERT_EQ(book().last_decided_round_id, 0u) << "it is being cleared";
  // The winner's money goes away.
  ASSERT_TRUE(world_->AskAsOperator(Deposit{NewId(), "bob", -1'000'000'000}).status.ok());
  ASSERT_TRUE(RunUntilDecided(1));
  EXPECT_EQ(host_view().counters.clearings_again, 1u);
  EXPECT_EQ(OutcomeOf(Last(), one, ResourceKind::kCpu).award_units, 200);
  EXPECT_EQ(OutcomeOf(Last(), two, ResourceKind::kCpu).award_units, 0);
  const auto audit = Audit(world_->ledger().reader(), {});
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_THAT(audit->findings, IsEmpty());
  EXPECT_EQ(CheckBooks(world_->state()), "");
}

}  // namespace
}  // namespace nom::market
