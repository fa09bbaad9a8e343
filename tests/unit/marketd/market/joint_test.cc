// SPDX-License-Identifier: Apache-2.0
// Hosts that clear all kinds in one auction: bids, rounds, records.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "marketd/base/random.h"
#include "marketd/market/audit.h"
#include "marketd/market/joint_bids.h"
#include "marketd/market/joint_round.h"
#include "policies/cases/joint_case_file.h"
#include "policies/clearing/joint/joint_vcg.h"
#include "tests/unit/marketd/market/market_fixture.h"

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

constexpr size_t kCpuEntry = static_cast<size_t>(ResourceKind::kCpu) - 1;
constexpr size_t kMemoryEntry = static_cast<size_t>(ResourceKind::kMemory) - 1;

policies::Bundle CpuAndMemory(int64_t cpu, int64_t memory, Microcredits value) {
  policies::Bundle bundle{.value_microcredits = value};
  bundle.units[kCpuEntry] = cpu;
  bundle.units[kMemoryEntry] = memory;
  return bundle;
}

Valuation Curves(Combination combination, std::vector<Range> cpu, std::vector<Range> memory,
                 Microcredits whole = 0) {
  Valuation valuation;
  policies::CurveFamily& family = valuation.curves.emplace();
  family.combination = combination;
  family.whole_value_microcredits = whole;
  family.curves[kCpuEntry] = std::move(cpu);
  family.curves[kMemoryEntry] = std::move(memory);
  return valuation;
}

HostConfig Joint(HostConfig host) {
  host.joint_rule = policies::kJointVcg;
  for (Resource& resource : host.resources) resource.rule = policies::kJointVcg;
  return host;
}

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

   private:
    const std::unique_ptr<LedgerSnapshot> snapshot_;
    const Forge& forge_;
    std::string digest_;
  };

  LedgerReader& reader_;
  const Forge forge_;
};

class JointTest : public MarketTest {
 protected:
  JointTest() { OpenJoint({}); }

  void OpenJoint(JointClearFunction clear, bool beside = false) {
    World::Options options;
    options.config.hosts = {Joint(TestHostConfig("h", kPeriod)), TestHostConfig("kinds", kPeriod)};
    for (HostConfig& host : options.config.hosts) {
      host.guests_max = 4;
      options.hosts[host.host_id] = TestHostOptions(1);
      options.hosts[host.host_id].guests_bid = false;
    }
    options.clears_beside = beside;
    options.clearing_takes = absl::Seconds(2);
    if (clear) options.clear.joint = std::move(clear);
    world_ = std::make_unique<World>(std::move(options));
    world_->Settle();
    for (const char* tenant : {"ann", "bob"}) {
      EXPECT_TRUE(world_->AskAsOperator(CreateTenant{NewId(), tenant, tenant, "hash"}).status.ok());
      EXPECT_TRUE(world_->AskAsOperator(Deposit{NewId(), tenant, 1'000'000'000}).status.ok());
    }
  }

  PlaceBid ValuationBid(GuestId guest_id, Valuation valuation) {
    return {.request_id = NewId(),
            .guest_id = guest_id,
            .kind = kSeveralKinds,
            .valuation = std::make_shared<const Valuation>(std::move(valuation))};
  }
  absl::Status Refusal(GuestId guest_id, Valuation valuation) {
    return Bid("ann", ValuationBid(guest_id, std::move(valuation))).status;
  }
  Round Last() {
    const auto rounds = world_->ledger().reader().ListRounds("h", 0, 1);
    EXPECT_TRUE(rounds.ok() && rounds->size() == 1) << rounds.status();
    return rounds->front();
  }
  AuctionRecord Record(RoundId round_id) {
    const auto record = world_->ledger().reader().GetAuction("h", round_id, ResourceKind::kMemory);
    EXPECT_TRUE(record.ok()) << record.status();
    return *record;
  }
  static const Outcome& OutcomeOf(const Round& round, GuestId guest_id, ResourceKind kind) {
    return *std::find_if(round.outcomes.begin(), round.outcomes.end(), [&](const Outcome& outcome) {
      return outcome.guest_id == guest_id && outcome.kind == kind;
    });
  }
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

TEST_F(JointTest, ABidForSeveralKindsAndBidsForSingleOnesReplaceEachOther) {
  const GuestId guest = Admit("ann", "one");
  const Reply memory = Bid("ann", MemoryBid(guest, 40, 5'000));
  ASSERT_TRUE(memory.status.ok()) << memory.status;
  PlaceBid several = ValuationBid(guest, {.bundles = {CpuAndMemory(10, 10, 100'000)}});
  const Reply first = Bid("ann", several);
  ASSERT_TRUE(first.status.ok()) << first.status;
  ASSERT_EQ(world_->state().bids.size(), 1u);
  EXPECT_EQ(world_->state().bids.begin()->first, BidKey(guest, kSeveralKinds));
  // The same again is answered the same; another content under the id is refused.
  const uint64_t transactions = world_->state().last_transaction_id;
  EXPECT_EQ(Bid("ann", several), first);
  EXPECT_EQ(world_->state().last_transaction_id, transactions);
  several.valuation =
      std::make_shared<const Valuation>(Valuation{.bundles = {CpuAndMemory(10, 10, 100'001)}});
  EXPECT_TRUE(absl::IsAlreadyExists(Bid("ann", several).status));
  // It survives the process.
  const State before = world_->state();
  world_->Restart();
  EXPECT_EQ(world_->state().bids, before.bids);
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 40, 5'000)).status.ok());
  ASSERT_EQ(world_->state().bids.size(), 1u);
  EXPECT_EQ(world_->state().bids.begin()->first, BidKey(guest, ResourceKind::kMemory));
  const Reply gone =
      world_->Ask(Caller{.tenant_id = "ann"}, WithdrawBid{NewId(), guest, kSeveralKinds});
  EXPECT_TRUE(gone.status.ok()) << gone.status;
  EXPECT_FALSE(gone.removed);
}

TEST_F(JointTest, ABidForSeveralKindsLapses) {
  const GuestId guest = Admit("ann", "one");
  PlaceBid bid = ValuationBid(guest, {.bundles = {CpuAndMemory(10, 10, 100'000)}});
  bid.expires_after_rounds = 2;
  ASSERT_TRUE(Bid("ann", bid).status.ok());
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_THAT(world_->state().bids, IsEmpty());
  EXPECT_EQ(Held(guest), 26);
  ASSERT_TRUE(RunUntilInForce(3));
  EXPECT_EQ(Held(guest), 16);
}

TEST_F(JointTest, HostileBidsAreRefusedByTheNameOfTheirField) {
  const GuestId guest = Admit("ann", "one");
  const auto refusal = [&](Valuation valuation) {
    const absl::Status status = Refusal(guest, std::move(valuation));
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(refusal({}), HasSubstr("valuation: there is nothing in it"));
  EXPECT_THAT(refusal({.bundles = {{}}}),
              HasSubstr("valuation.bundles[0].units: the empty bundle"));
  EXPECT_THAT(refusal({.bundles = {CpuAndMemory(1, 1, 5), CpuAndMemory(1, 1, 7)}}),
              HasSubstr("valuation.bundles[1].units: the same as in"));
  EXPECT_THAT(refusal({.bundles = {CpuAndMemory(-1, 1, 5)}}),
              HasSubstr("valuation.bundles[0].units[cpu]: -1"));
  EXPECT_THAT(refusal({.bundles = {CpuAndMemory(1, INT64_MAX, 5)}}),
              HasSubstr("valuation.bundles[0].units[memory]"));
  EXPECT_THAT(refusal({.bundles = {CpuAndMemory(1, 1, -5)}}),
              HasSubstr("valuation.bundles[0].value_microcredits: -5"));
  EXPECT_THAT(refusal({.bundles = {CpuAndMemory(1, 1, INT64_MAX)}}),
              HasSubstr("valuation.bundles[0].value_microcredits"));
  policies::Bundle disk = CpuAndMemory(1, 1, 5);
  disk.units[4] = 1;
  EXPECT_THAT(refusal({.bundles = {disk}}),
              HasSubstr("valuation.bundles[0].units[disk]: is not sold on this host"));
  EXPECT_THAT(refusal(Curves(Combination::kMin, {{5, 4, 0, 1}}, {})),
              HasSubstr("valuation.curves[cpu].ranges[0]"));
  EXPECT_THAT(refusal(Curves(Combination::kMin, {}, std::vector<Range>(17, Range{1, 1, 1, 0}))),
              HasSubstr("valuation.curves[memory].ranges"));
  EXPECT_THAT(refusal(Curves(Combination::kSum, {{0, 4, 0, 1}}, {}, 7)),
              HasSubstr("valuation.whole_value_microcredits"));
  EXPECT_THAT(refusal(Curves(Combination::kProduct, {{0, 2, 0, 1 << 20}}, {{0, 1, 0, 1}}, 7)),
              HasSubstr("valuation.curves[cpu].ranges[0]"));
  Valuation both = Curves(Combination::kSum, {{0, 4, 0, 1}}, {});
  both.bundles = {CpuAndMemory(1, 1, 5)};
  EXPECT_THAT(refusal(both), HasSubstr("do not go together"));
  // More than a guest's share of the reading: the others' bids are read as well.
  Valuation large;
  for (int64_t i = 1; i <= 5'000; ++i) large.bundles.push_back(CpuAndMemory(i, 1, i));
  EXPECT_THAT(refusal(large), HasSubstr("valuation.bundles: 5000 are more than 4096"));

  PlaceBid torn = ValuationBid(guest, {.bundles = {CpuAndMemory(1, 1, 5'000)}});
  torn.ranges = {{0, 1, 0, 5'000}};
  EXPECT_TRUE(absl::IsInvalidArgument(Bid("ann", torn).status));
  PlaceBid empty = ValuationBid(guest, {});
  empty.valuation = nullptr;
  EXPECT_TRUE(absl::IsInvalidArgument(Bid("ann", empty).status));
  PlaceBid poor = ValuationBid(guest, {.bundles = {CpuAndMemory(2, 2, 50'000)}});
  poor.budget_microcredits = 2'999;  // The reserves of 2 of each are 3,000.
  EXPECT_TRUE(absl::IsFailedPrecondition(Bid("ann", poor).status));
  poor.budget_microcredits = -1;
  EXPECT_TRUE(absl::IsInvalidArgument(Bid("ann", poor).status));
  EXPECT_TRUE(absl::IsNotFound(
      Bid("bob", ValuationBid(guest, {.bundles = {CpuAndMemory(1, 1, 5'000)}})).status));
  EXPECT_THAT(world_->state().bids, IsEmpty());
  ASSERT_TRUE(RunUntilDecided(1));
  EXPECT_GT(host_view().counters.bids_refused, 10u);
}

TEST_F(JointTest, AHostThatClearsByKindTakesBidsForOneKindOnly) {
  AdmitGuest admission = Admission("ann", "one");
  admission.host_id = "kinds";
  const Reply admitted = world_->AskAsOperator(admission);
  ASSERT_TRUE(admitted.status.ok()) << admitted.status;
  const absl::Status status = Refusal(admitted.guest_id, {.bundles = {CpuAndMemory(1, 1, 5'000)}});
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("clears each resource by itself"));
}

TEST_F(JointTest, ABidForSeveralKindsTakesOverThoseOfAnOlderLease) {
  const GuestId guest = Admit("ann", "one");
  const auto ask = [&](Call call) {
    return world_->Ask(Caller{.tenant_id = "ann"}, std::move(call));
  };
  const auto place = [&](uint64_t fence, uint64_t sequence, PlaceBid bid) {
    bid.request_id.clear();
    const Reply reply =
        ask(PlaceBids{.ledger_id = "", .fence = {fence, sequence}, .bids = {std::move(bid)}});
    EXPECT_TRUE(reply.status.ok()) << reply.status;
    return reply.placed_bids.at(0);
  };
  const uint64_t older = ask(OpenLease{}).fence;
  const uint64_t newer = ask(OpenLease{}).fence;
  ASSERT_TRUE(place(older, 1, MemoryBid(guest, 5, 1'000)).status.ok());
  ASSERT_TRUE(place(newer, 1, ValuationBid(guest, {.bundles = {CpuAndMemory(20, 15, 90'000)}}))
                  .status.ok());
  EXPECT_THAT(world_->state().BidsOf(guest), testing::ElementsAre(BidKey(guest, kSeveralKinds)));
  // What it had placed, and what it had not.
  PlaceBid cpu = MemoryBid(guest, 5, 1'000);
  cpu.kind = ResourceKind::kCpu;
  EXPECT_EQ(place(older, 2, MemoryBid(guest, 5, 1'000)).status.code(), absl::StatusCode::kAborted);
  const PlacedBid refused = place(older, 3, cpu);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(refused.lost_to, LeasedBidState::kTakenOver);
  // The newer one may change its mind.
  EXPECT_TRUE(place(newer, 2, cpu).status.ok());
  EXPECT_THAT(world_->state().BidsOf(guest),
              testing::ElementsAre(BidKey(guest, ResourceKind::kCpu)));
}

TEST_F(JointTest, AWriteThatIsLateDoesNotReplaceWhatTheSameLeaseBidSince) {
  const GuestId guest = Admit("ann", "one");
  const auto ask = [&](Call call) {
    return world_->Ask(Caller{.tenant_id = "ann"}, std::move(call));
  };
  const uint64_t lease = ask(OpenLease{}).fence;
  const auto place = [&](uint64_t sequence, PlaceBid bid) {
    bid.request_id.clear();
    const Reply reply =
        ask(PlaceBids{.ledger_id = "", .fence = {lease, sequence}, .bids = {std::move(bid)}});
    EXPECT_TRUE(reply.status.ok()) << reply.status;
    return reply.placed_bids.at(0);
  };
  const PlaceBid several = ValuationBid(guest, {.bundles = {CpuAndMemory(20, 15, 90'000)}});
  ASSERT_TRUE(place(2, several).status.ok());
  // Sent before, and given up by its sender.
  const PlacedBid late = place(1, MemoryBid(guest, 5, 1'000));
  EXPECT_EQ(late.status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(late.lost_to, std::nullopt) << "it is still the lease's own";
  EXPECT_THAT(world_->state().BidsOf(guest), testing::ElementsAre(BidKey(guest, kSeveralKinds)));
  // And the other way round.
  ASSERT_TRUE(place(4, MemoryBid(guest, 5, 1'000)).status.ok());
  EXPECT_EQ(place(3, several).status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(world_->state().BidsOf(guest),
              testing::ElementsAre(BidKey(guest, ResourceKind::kMemory)));
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

TEST_F(JointTest, BidPagesBidForSeveralKinds) {
  const GuestId guest = Admit("ann", "one");
  GuestBids page{.guest_id = guest};
  page.bids.push_back({.kind = kSeveralKinds,
                       .valuation = std::make_shared<const Valuation>(
                           Valuation{.bundles = {CpuAndMemory(10, 10, 100'000)}})});
  page.bids.push_back({.kind = ResourceKind::kMemory});  // Withdrawn.
  world_->Tell("h", page);
  world_->Settle();
  ASSERT_EQ(world_->state().bids.size(), 1u);
  EXPECT_EQ(world_->state().bids.begin()->first.second, kSeveralKinds);
  page.bids[1].ranges = {{0, 5, 0, 1'000}};
  world_->Tell("h", page);
  world_->Settle();
  EXPECT_THAT(world_->view().FindGuest(guest)->bid_page_error,
              HasSubstr("does not go together with a bid for several kinds"));
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

// --- Functions. ---

TEST(SplitCharge, IsWholeAndConsistentWithPrices) {
  Random random(3);
  for (int i = 0; i < 20'000; ++i) {
    SCOPED_TRACE(i);
    UnitVector units = {};
    PriceVector reserves = {};
    PriceVector prices = {};
    Microcredits at_reserve = 0;
    Microcredits at_prices = 0;
    const int64_t high = int64_t{1} << random.Uniform(0, 30);
    for (size_t r = 0; r < units.size(); ++r) {
      if (!random.OneIn(3)) units[r] = random.Uniform(0, 4'096);
      reserves[r] = random.OneIn(4) ? 0 : random.Uniform(0, high);
      prices[r] = reserves[r] + (random.OneIn(3) ? 0 : random.Uniform(0, high));
    }
    if (units == UnitVector{}) units[0] = 1;
    for (size_t r = 0; r < units.size(); ++r) {
      at_reserve += units[r] * reserves[r];
      at_prices += units[r] * prices[r];
    }
    const Microcredits charge =
        random.OneIn(3) ? at_prices
                        : at_reserve + random.Uniform(0, 2 * (at_prices - at_reserve) + 3);
    const PriceVector parts = SplitCharge(charge, units, prices, reserves);
    EXPECT_EQ(std::accumulate(parts.begin(), parts.end(), Microcredits{0}), charge);
    for (size_t r = 0; r < units.size(); ++r) {
      EXPECT_GE(parts[r], units[r] * reserves[r]);
      if (units[r] == 0) {
        EXPECT_EQ(parts[r], 0);
      }
      if (charge == at_prices) {
        EXPECT_EQ(parts[r], units[r] * prices[r]) << "each kind's own price";
      }
      if (at_prices > at_reserve && charge <= at_prices) {
        EXPECT_LE(parts[r], units[r] * prices[r] + 1);
      }
    }
  }
}

TEST(SplitCharge, TakesAnyNumbers) {
  UnitVector units = {INT64_MAX, 1, 0, INT64_MAX, 3, 0};
  PriceVector prices = {INT64_MAX, INT64_MAX, 5, 0, INT64_MAX, 9};
  for (const PriceVector& reserves : {PriceVector{}, prices}) {
    const PriceVector parts = SplitCharge(INT64_MAX, units, prices, reserves);
    EXPECT_EQ(std::accumulate(parts.begin(), parts.end(), Microcredits{0}), INT64_MAX);
  }
}

TEST(ItemId, GoesThereAndBack) {
  for (const GuestId guest : {GuestId{1}, GuestId{77}, kGuestIdMax}) {
    for (int kind = 0; kind <= 6; ++kind) {
      const auto of = std::pair(guest, static_cast<ResourceKind>(kind));
      EXPECT_EQ(OfItem(ItemId(of.first, of.second)), of);
    }
  }
}

TEST(ValuationText, ComesBack) {
  Valuation bundles{.bundles = {CpuAndMemory(3, 5, 77), CpuAndMemory(4, 0, 99)}};
  bundles.bundles[1].units[5] = 1;
  const Valuation curves = Curves(Combination::kProduct, {{0, 7, 0, 3}, {9, 9, 80, 0}}, {}, 1'234);
  for (const Valuation& valuation : {bundles, curves, Valuation{}}) {
    const auto again = ParseValuation(ToText(valuation));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*again, valuation);
  }
  EXPECT_FALSE(ParseValuation("bids: []").ok());
}

TEST(CapValues, NothingIsWorthMoreThanTheMeans) {
  Random random(9);
  for (int i = 0; i < 2'000; ++i) {
    policies::JointBid bid{.guest_id = 1};
    const int64_t price = random.Uniform(1, 5'000);
    if (random.OneIn(3)) {
      for (int64_t u = 1; u < 9; ++u) {
        bid.bundles.push_back(
            {.units = {u, 9 - u}, .value_microcredits = random.Uniform(0, 99'999)});
      }
    } else {
      policies::CurveFamily& family = bid.curves.emplace();
      family.combination = random.OneIn(2)   ? Combination::kMin
                           : random.OneIn(2) ? Combination::kMax
                                             : Combination::kProduct;
      const bool is_product = family.combination == Combination::kProduct;
      if (is_product) family.whole_value_microcredits = random.Uniform(0, 99'999);
      for (const size_t r : {0u, 1u}) {
        family.curves[r] = {{2, 20, is_product ? 1'000 : 2 * price, is_product ? 50'000 : price}};
      }
    }
    const Microcredits means = random.Uniform(0, 60'000);
    policies::JointBid cut = bid;
    CapValues(cut, means);
    EXPECT_LE(policies::ValueMax(cut), means);
    policies::JointBid scaled = bid;
    ScaleValues(scaled, 3, 7);
    EXPECT_LE(policies::ValueMax(scaled), policies::ValueMax(bid) * 3 / 7 + 1);
  }
}

}  // namespace
}  // namespace nom::market
