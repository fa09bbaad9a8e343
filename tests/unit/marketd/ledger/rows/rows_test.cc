// SPDX-License-Identifier: Apache-2.0
// Nouns to columns and back, without any database.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "marketd/ledger/rows/from_rows.h"
#include "marketd/ledger/rows/packed_text.h"
#include "marketd/ledger/rows/row_changes.h"
#include "marketd/market/joint_bids.h"

namespace nom::market {
namespace {

using testing::HasSubstr;

// A row as a database would keep it: values of its own, by name.
using Kept = std::map<std::string, std::variant<std::monostate, int64_t, std::string>>;

Kept Keep(const RowChange& change) {
  Kept kept;
  for (const Column& column : change.columns) {
    if (const auto* text = std::get_if<absl::string_view>(&column.value)) {
      kept[column.name] = std::string(*text);
    } else if (const auto* number = std::get_if<int64_t>(&column.value)) {
      kept[column.name] = *number;
    } else {
      kept[column.name] = std::monostate();
    }
  }
  return kept;
}

class KeptRow : public StoredRow {
 public:
  KeptRow(const Kept& kept, const std::string& columns)
      : kept_(kept), names_(absl::StrSplit(columns, ", ")) {}
  int64_t Int(int column) const override { return std::get<int64_t>(At(column)); }
  std::string Text(int column) const override { return std::get<std::string>(At(column)); }
  bool IsNull(int column) const override {
    return std::holds_alternative<std::monostate>(At(column));
  }

 private:
  const Kept::mapped_type& At(int column) const {
    return kept_.at(names_.at(static_cast<size_t>(column)));
  }
  const Kept& kept_;
  const std::vector<std::string> names_;
};

template <typename Row>
absl::StatusOr<Row> Read(const Kept& kept) {
  Row row;
  const absl::Status status = FromRow(KeptRow(kept, ColumnsOf<Row>()), row);
  if (!status.ok()) return status;
  return row;
}

constexpr int64_t kBook = 3;

std::map<RowWrite, std::vector<Kept>> Rows(std::vector<Entry> entries,
                                           std::vector<Change> changes) {
  const Transaction transaction{.transaction_id = 7,
                                .time = absl::FromUnixMicros(1'234'567),
                                .kind = "a kind",
                                .entries = std::move(entries),
                                .changes = std::move(changes)};
  std::map<RowWrite, std::vector<Kept>> rows;
  const absl::Status status =
      ToRows(kBook, transaction, "a digest", [&rows](const RowChange& change) {
        rows[change.write].push_back(Keep(change));
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  return rows;
}

Round SomeRound() {
  Round round{.host_id = "h",
              .round_id = 5,
              .phase = RoundPhase::kEffective,
              .start_time = absl::FromUnixMicros(1),
              .close_time = absl::FromUnixMicros(2),
              .decided_time = absl::FromUnixMicros(3),
              .effective_time = absl::FromUnixMicros(4),
              .applied_time = absl::FromUnixMicros(5),
              .period = absl::Seconds(10),
              .objective = "welfare/1",
              .reason = "a reason"};
  round.prices = {{.kind = ResourceKind::kCpu,
                   .unit_price_microcredits = 1,
                   .reserve_unit_price_microcredits = 2,
                   .reserve_policy = "fixed/1",
                   .reserve_change_microcredits = -3,
                   .supply_units = 4,
                   .contracted_units = 3,
                   .demand_units = 5,
                   .sold_units = 6,
                   .highest_rejected_unit_price_microcredits = 7,
                   .bound_by = policies::BoundBy::kBids,
                   .rule = "mpsp/1",
                   .method = policies::Method::kBounded,
                   .measures = RoundMeasures{.welfare_microcredits = 11,
                                             .welfare_bound_microcredits = 12,
                                             .maximised_microcredits = -13,
                                             .revenue_microcredits = 15,
                                             .moved_units = 16,
                                             .jain_index_ppm = 17,
                                             .best_unit_price_microcredits = 0}}};
  round.outcomes = {{.guest_id = 11,
                     .kind = ResourceKind::kCpu,
                     .tenant_id = "ann",
                     .seed_units = 1,
                     .award_units = 2,
                     .contracted_units = 3,
                     .charge_microcredits = 4,
                     .settled = true,
                     .settled_microcredits = 5,
                     .rent_microcredits = 6,
                     .delivered_milliunits = 7,
                     .used_milliunits = 8,
                     .held = absl::Seconds(9),
                     .reason = AwardReason::kOutbid,
                     .asked_units = 10}};
  return round;
}

TEST(Rows, ATransactionAndItsEntriesComeBack) {
  const Entry paid{.from = {"ann", AccountKind::kEscrow},
                   .to = {kOperator, AccountKind::kRevenue},
                   .guest_id = 11,
                   .amount_microcredits = 60};
  const Entry inside{.from = {"ann", AccountKind::kAvailable},
                     .to = {"ann", AccountKind::kEscrow},
                     .guest_id = 11,
                     .amount_microcredits = 100};
  auto rows = Rows({inside, paid}, {});
  const auto begun = Read<TransactionRow>(rows[RowWrite::kInsertTransaction].at(0));
  ASSERT_TRUE(begun.ok()) << begun.status();
  EXPECT_EQ(begun->book, kBook);
  EXPECT_EQ(begun->transaction.transaction_id, 7u);
  EXPECT_EQ(begun->transaction.time, absl::FromUnixMicros(1'234'567));
  EXPECT_EQ(begun->transaction.kind, "a kind");
  EXPECT_EQ(begun->transaction.digest, "a digest");
  ASSERT_EQ(rows[RowWrite::kInsertEntry].size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    const auto entry = Read<EntryRow>(rows[RowWrite::kInsertEntry][i]);
    ASSERT_TRUE(entry.ok()) << entry.status();
    EXPECT_EQ(entry->transaction_id, 7u);
    EXPECT_EQ(entry->position, static_cast<int64_t>(i));
    EXPECT_EQ(entry->entry, i == 0 ? inside : paid);
  }
  // What is paid is the guest's; what stays within a purse is not.
  ASSERT_EQ(rows[RowWrite::kAddGuestSpent].size(), 1u);
  EXPECT_EQ(std::get<int64_t>(rows[RowWrite::kAddGuestSpent][0].at("spent_microcredits")), 60);
  // Each owner once, by what all entries together change.
  ASSERT_EQ(rows[RowWrite::kAddPurse].size(), 2u);
  const auto purse = Read<PurseRow>(rows[RowWrite::kAddPurse].at(1));
  ASSERT_TRUE(purse.ok()) << purse.status();
  EXPECT_EQ(purse->owner, "ann");
  EXPECT_EQ(purse->purse, (Purse{.available = -100, .escrow = 40, .spent = 60}));
}

TEST(Rows, AGuestComesBackWithItsSeedsAndMeters) {
  Guest guest{.guest_id = 11,
              .host_id = "h",
              .tenant_id = "ann",
              .name = "one",
              .image = "image",
              .arguments = "a=b",
              .seeds = {{.kind = ResourceKind::kMemory, .seed_units = 3}},
              .memory_max_units = 99,
              .state = GuestState::kEnded,
              .end_cause = EndCause::kCrashed,
              .exit_reason = "why",
              .spent_microcredits = 1'000,
              .has_run = true,
              .metered = {.guest_id = 11, .age_us = -1, .alive_us = 4},
              .arrears_rounds = 6};
  guest.metered.amounts = {{ResourceKind::kMemory, ~uint64_t{0}, 7}};
  auto rows = Rows({}, {PutGuest{guest}});
  auto back = Read<GuestRow>(rows[RowWrite::kPutGuest].at(0));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->guest.spent_microcredits, 0) << "entries move it";
  back->guest.spent_microcredits = guest.spent_microcredits;
  const auto seed = Read<SeedRow>(rows[RowWrite::kInsertSeed].at(0));
  const auto meter = Read<MeterRow>(rows[RowWrite::kInsertMeter].at(0));
  EXPECT_EQ(seed->guest_id, guest.guest_id);
  EXPECT_EQ(meter->guest_id, guest.guest_id);
  back->guest.seeds = {seed->seed};
  back->guest.metered.amounts = {meter->amount};
  EXPECT_EQ(back->guest, guest);
  EXPECT_TRUE(rows[RowWrite::kDeleteRequestsOfGuest].empty());
  guest.state = GuestState::kEvicted;
  EXPECT_EQ(Rows({}, {PutGuest{guest}})[RowWrite::kDeleteRequestsOfGuest].size(), 1u);
}

TEST(Rows, ATenantComesBackWithItsTokens) {
  const Tenant tenant{.tenant_id = "ann",
                      .display_name = "Ann",
                      .tokens = {{.token_id = 2,
                                  .hash = "a hash",
                                  .label = "a label",
                                  .scope = TokenScope::kReadOnly,
                                  .created_time = absl::FromUnixMicros(5),
                                  .expire_time = absl::FromUnixMicros(6)}},
                      .last_token_id = 3};
  auto rows = Rows({}, {PutTenant{tenant}});
  auto back = Read<TenantRow>(rows[RowWrite::kPutTenant].at(0));
  const auto token = Read<TokenRow>(rows[RowWrite::kInsertToken].at(0));
  ASSERT_TRUE(back.ok() && token.ok());
  EXPECT_EQ(token->tenant_id, "ann");
  back->tenant.tokens = {token->token};
  EXPECT_EQ(back->tenant, tenant);
  EXPECT_EQ(rows[RowWrite::kDeleteTokens].size(), 1u) << "those that were revoked go";
  Kept kept = rows[RowWrite::kInsertToken].at(0);
  kept["scope"] = int64_t{3};
  EXPECT_TRUE(absl::IsDataLoss(Read<TokenRow>(kept).status())) << "no scope that there is";
}

TEST(Rows, EventsComeBackInTheirOrder) {
  const AuditEvent event{.kind = "a kind",
                         .by = "ann",
                         .by_token_id = 1,
                         .tenant_id = "bob",
                         .host_id = "h",
                         .guest_id = 11,
                         .token_id = 4,
                         .amount_microcredits = -5,
                         .detail = "a detail"};
  auto rows = Rows({}, {LogEvent{event}, LogEvent{{.kind = "another"}}});
  ASSERT_EQ(rows[RowWrite::kInsertEvent].size(), 2u);
  const auto first = Read<EventRow>(rows[RowWrite::kInsertEvent][0]);
  const auto second = Read<EventRow>(rows[RowWrite::kInsertEvent][1]);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->event, event);
  EXPECT_EQ(first->position, 0);
  EXPECT_EQ(second->position, 1);
  EXPECT_EQ(second->transaction_id, 7u);
}

TEST(Rows, TiersComeBack) {
  const GuestTier tier{.guest_id = 11,
                       .tier = "gold",
                       .most = {{ResourceKind::kCpu, 4}, {ResourceKind::kDisk, 9}},
                       .ceiling_microcredits = 77,
                       .slot = 5};
  auto rows = Rows({}, {PutTier{tier}, DropTier{12}});
  GuestTier back = Read<TierRow>(rows[RowWrite::kInsertTier].at(0))->tier;
  for (const Kept& kept : rows[RowWrite::kInsertTierUnits]) {
    back.most.push_back(Read<TierUnitsRow>(kept)->most);
  }
  EXPECT_EQ(back, tier);
  EXPECT_EQ(rows[RowWrite::kDeleteTier].size(), 2u) << "of what stood before, and of what is gone";
}

TEST(Rows, BidsComeBack) {
  const StandingBid single{.guest_id = 11,
                           .kind = ResourceKind::kDisk,
                           .ranges = {{0, 4, 0, 9}, {6, 8, 40, 1}},
                           .budget_microcredits = 77,
                           .first_round_id = 1,
                           .last_round_id = 9,
                           .fence = {.fence = uint64_t{1} << 41, .sequence = 3},
                           .lease_rounds = 4};
  Valuation valuation;
  valuation.bundles = {{.units = {1, 2, 0, 0, 0, 0}, .value_microcredits = 10}};
  const StandingBid several{.guest_id = 12,
                            .kind = kSeveralKinds,
                            .valuation = std::make_shared<const Valuation>(valuation)};
  auto rows = Rows({}, {PutBid{single}, PutBid{several}});
  for (const StandingBid& bid : {single, several}) {
    const size_t i = bid.kind == kSeveralKinds ? 1 : 0;
    auto row = Read<BidRow>(rows[RowWrite::kInsertBid].at(i));
    ASSERT_TRUE(row.ok()) << row.status();
    StandingBid back;
    const absl::Status status = ToBid(*std::move(row), back);
    ASSERT_TRUE(status.ok()) << status;
    if (i == 0) {
      back.fence = Read<BidFenceRow>(rows[RowWrite::kPutBidFence].at(0))->fence;
      for (const Kept& kept : rows[RowWrite::kInsertBidRange]) {
        back.ranges.push_back(Read<BidRangeRow>(kept)->range);
      }
    }
    EXPECT_EQ(back, bid);
  }
  EXPECT_EQ(rows[RowWrite::kDeleteBid].size(), 2u) << "of what stood before";
  EXPECT_EQ(rows[RowWrite::kPutBidFence].size(), 1u) << "fence 0 is nobody's";
  StandingBid none;
  EXPECT_TRUE(absl::IsDataLoss(ToBid({.bid = several, .valuation = "nonsense"}, none)));
}

TEST(Rows, ARoundComesBack) {
  const Round round = SomeRound();
  const AuctionRecord record{.host_id = "h",
                             .round_id = 5,
                             .kind = ResourceKind::kCpu,
                             .rule = "mpsp/1",
                             .method = policies::Method::kBounded,
                             .auction = "a text",
                             .fault = "a fault",
                             .work_max = 12,
                             .chain = 13};
  auto rows = Rows({}, {PutRound{round, {record}}});
  auto line = Read<RoundRow>(rows[RowWrite::kInsertRound].at(0));
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->transaction_id, 7u);
  const Kept& auction = rows[RowWrite::kInsertAuction].at(0);
  line->round.prices = {Read<PriceRow>(auction)->price};
  const auto measures = Read<MeasuresRow>(rows[RowWrite::kInsertMeasures].at(0));
  ASSERT_TRUE(measures.ok()) << measures.status();
  EXPECT_EQ(measures->round_id, 5u);
  EXPECT_EQ(measures->kind, ResourceKind::kCpu);
  line->round.prices[0].measures = measures->measures;
  line->round.outcomes = {Read<OutcomeRow>(rows[RowWrite::kPutOutcome].at(0))->outcome};
  EXPECT_EQ(line->round, round);
  auto read = Read<RecordRow>(auction);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->record.auction, "a text");
  EXPECT_EQ(read->record.fault, "a fault");
  EXPECT_EQ(read->record.work_max, 12);
  EXPECT_EQ(read->record.chain, 13);
  EXPECT_EQ(rows[RowWrite::kInsertHost].size(), 1u);
  // The numbers that files have had since the schema was made.
  EXPECT_EQ(std::get<int64_t>(auction.at("method")), 5);
  EXPECT_EQ(std::get<int64_t>(auction.at("bound_by")), 2);
  EXPECT_EQ(std::get<int64_t>(rows[RowWrite::kInsertRound].at(0).at("phase")), 3);

  // Of all kinds together: its text once, with what it proves.
  Round joint = round;
  joint.certificate = Certificate{.method = policies::Method::kBounded,
                                  .welfare_microcredits = 5,
                                  .welfare_bound_microcredits = 6,
                                  .charges_are_exact = false};
  rows = Rows({}, {PutRound{joint, {record}}});
  EXPECT_EQ(Read<RecordRow>(rows[RowWrite::kInsertAuction].at(0))->record.auction, "");
  const Kept& all = rows[RowWrite::kInsertJointAuction].at(0);
  EXPECT_EQ(Read<RecordRow>(all)->record.auction, "a text");
  EXPECT_EQ(Read<CertificateRow>(all)->certificate, *joint.certificate);

  Transaction wrong{.transaction_id = 7};
  wrong.changes = {PutRound{round, {}}};
  const auto nowhere = [](const RowChange&) { return absl::OkStatus(); };
  EXPECT_TRUE(absl::IsInternal(ToRows(kBook, wrong, "", nowhere)));
}

TEST(Rows, ContractsRequestsHostsAndTransfersComeBack) {
  const Contract contract{.contract_id = 21,
                          .guest_id = 11,
                          .tenant_id = "ann",
                          .seller = "bob",
                          .part_of = 20,
                          .lots = {{ResourceKind::kMemory, 4, 30}},
                          .from_round_id = 5,
                          .until_round_id = 8,
                          .period = absl::Seconds(10),
                          .policy = "forward/1",
                          .end_fee_ppm = 100'000,
                          .left_from_round_id = 7,
                          .fees_microcredits = 3,
                          .left_because = kEndedLeft,
                          .renew_ceiling_microcredits = 40,
                          .escrow_microcredits = 30,
                          .settled_through = absl::FromUnixMicros(77)};
  const Request request{
      .key = {"ann", "id"},
      .bid_guest_id = 11,
      .fingerprint = ~uint64_t{0},
      .reply = {.status = absl::AbortedError("a message"),
                .guest_id = 11,
                .round_id = 4,
                .removed = true,
                .account = {.available = 1, .escrow = 2, .arrears = -3, .spent = 4},
                .offer_id = 5,
                .contract_id = 6},
      .transaction_id = 7};
  const Transfer transfer{
      .from_book = "a", .to_book = "b", .owner = "ann", .amount_microcredits = 9};
  auto rows =
      Rows({}, {OpenContract{contract}, UpdateContract{contract}, PutRequest{request},
                PutHost{"h", ~uint64_t{0}, 5}, SendTransfer{transfer}, AcceptTransfer{transfer}});
  auto back = Read<ContractRow>(rows[RowWrite::kInsertContract].at(0));
  ASSERT_TRUE(back.ok()) << back.status();
  back->contract.lots = {Read<LotRow>(rows[RowWrite::kInsertLot].at(0))->lot};
  EXPECT_EQ(back->contract, contract);
  EXPECT_EQ(rows[RowWrite::kUpdateContract].at(0).size(), 10u) << "its key, and how it stands";
  auto settles = Rows({}, {UpdateContract{contract, /*settles_only=*/true}});
  EXPECT_EQ(settles[RowWrite::kUpdateContract].size(), 0u);
  const auto& settled = settles[RowWrite::kSettleContract].at(0);
  EXPECT_EQ(settled.size(), 5u) << "its key, and what settling changes";
  EXPECT_EQ(std::get<int64_t>(settled.at("escrow_microcredits")), contract.escrow_microcredits);
  EXPECT_EQ(std::get<int64_t>(settled.at("paid_microcredits")), contract.paid_microcredits);
  EXPECT_EQ(Read<RequestRow>(rows[RowWrite::kPutRequest].at(0))->request, request);
  EXPECT_EQ(std::get<int64_t>(rows[RowWrite::kForgetRequests].at(0).at("kept")),
            static_cast<int64_t>(kBidRequestsKept));
  const auto host = Read<HostRow>(rows[RowWrite::kPutHost].at(0));
  EXPECT_EQ(host->host,
            (HostBook{.host_id = "h", .boot_id = ~uint64_t{0}, .in_force_round_id = 5}));
  EXPECT_EQ(std::get<int64_t>(rows[RowWrite::kInsertTransfer].at(0).at("transfer_id")), 7)
      << "the transaction's";
  EXPECT_EQ(std::get<std::string>(rows[RowWrite::kAcceptTransfer].at(0).at("from_book")), "a");
}

TEST(Rows, OffersComeBack) {
  const Offer offer{
      .offer_id = 9,
      .host_id = "h",
      .tenant_id = "ann",
      .guest_id = 12,
      .contract = {.seller = "ann",
                   .part_of = 20,
                   .lots = {{ResourceKind::kCpu, 2, 10}, {ResourceKind::kMemory, 4, 30}},
                   .from_round_id = 5,
                   .until_round_id = 8,
                   .period = absl::Seconds(10),
                   .policy = "forward/1",
                   .end_fee_ppm = 100'000},
      .valid_until = absl::FromUnixMicros(99),
      .taken_as = 21,
      .closed = kOfferTaken};
  auto rows = Rows({}, {OpenOffer{offer}, UpdateOffer{offer}});
  auto back = Read<OfferRow>(rows[RowWrite::kInsertOffer].at(0));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->transaction_id, 7u);
  for (const Kept& kept : rows[RowWrite::kInsertOfferLot]) {
    const auto lot = Read<OfferLotRow>(kept);
    ASSERT_TRUE(lot.ok()) << lot.status();
    EXPECT_EQ(lot->offer_id, 9u);
    back->offer.contract.lots.push_back(lot->lot);
  }
  EXPECT_EQ(back->offer, offer);
  EXPECT_EQ(rows[RowWrite::kUpdateOffer].at(0).size(), 4u) << "its key, and how it stands";
}

TEST(Rows, NumbersThatNoLedgerWritesAreRefusedByName) {
  auto rows = Rows({}, {PutRound{SomeRound(), {AuctionRecord{}}}});
  const auto expect = [](Kept kept, const std::string& column, int64_t value, auto read) {
    kept[column] = value;
    const absl::Status status = read(kept);
    EXPECT_TRUE(absl::IsDataLoss(status)) << column << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat(column, ": ", value)));
  };
  const auto round = [](const Kept& k) { return Read<RoundRow>(k).status(); };
  const auto price = [](const Kept& k) { return Read<PriceRow>(k).status(); };
  const auto outcome = [](const Kept& k) { return Read<OutcomeRow>(k).status(); };
  expect(rows[RowWrite::kInsertRound][0], "phase", 1, round);
  expect(rows[RowWrite::kInsertRound][0], "phase", 6, round);
  expect(rows[RowWrite::kInsertAuction][0], "method", 0, price);
  expect(rows[RowWrite::kInsertAuction][0], "bound_by", 3, price);
  expect(rows[RowWrite::kPutOutcome][0], "kind", 0, outcome);
  expect(rows[RowWrite::kPutOutcome][0], "settled", 2, outcome);
  StandingBid bid{.guest_id = 11, .kind = ResourceKind::kCpu, .ranges = {{0, 1, 0, 1}}};
  rows = Rows({}, {PutBid{bid}});
  const auto standing = [](const Kept& k) { return Read<BidRow>(k).status(); };
  expect(rows[RowWrite::kInsertBid][0], "kind", 7, standing);
  expect(rows[RowWrite::kInsertBid][0], "lease_rounds", int64_t{1} << 32, standing);
}

TEST(Rows, AnErrorOfTheSinkEndsIt) {
  Transaction transaction{.transaction_id = 7};
  transaction.changes = {PutHost{"h", 1, 1}, PutHost{"i", 1, 1}};
  int rows = 0;
  const absl::Status status = ToRows(kBook, transaction, "", [&rows](const RowChange&) {
    return ++rows == 2 ? absl::ResourceExhaustedError("full") : absl::OkStatus();
  });
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(rows, 2);
}

TEST(Rows, WhatIsPutSeveralTimesIsWrittenOnceAsItStandsInTheEnd) {
  Guest guest{.guest_id = 4, .host_id = "h", .tenant_id = "ann", .state = GuestState::kRunning};
  Guest later = guest;
  later.arrears_rounds = 2;
  Guest gone = later;
  gone.state = GuestState::kEvicted;
  Contract contract{
      .contract_id = 9, .guest_id = 4, .tenant_id = "ann", .period = absl::Seconds(1)};
  Contract ended = contract;
  ended.ended = "why";
  auto rows =
      Rows({}, {PutGuest{guest}, UpdateContract{contract}, PutGuest{later}, UpdateContract{ended}});
  ASSERT_EQ(rows[RowWrite::kPutGuest].size(), 1u);
  EXPECT_EQ(std::get<int64_t>(rows[RowWrite::kPutGuest][0].at("arrears_rounds")), 2);
  ASSERT_EQ(rows[RowWrite::kUpdateContract].size(), 1u);
  EXPECT_EQ(std::get<std::string>(rows[RowWrite::kUpdateContract][0].at("ended")), "why");
  // One that is settled later stands as it was put before.
  rows = Rows({}, {UpdateContract{contract}, UpdateContract{contract, /*settles_only=*/true}});
  EXPECT_EQ(rows[RowWrite::kUpdateContract].size(), 1u);
  EXPECT_EQ(rows[RowWrite::kSettleContract].size(), 0u);
  const UpdateContract settled{contract, /*settles_only=*/true};
  rows = Rows({}, {settled, settled});
  EXPECT_EQ(rows[RowWrite::kUpdateContract].size(), 0u);
  EXPECT_EQ(rows[RowWrite::kSettleContract].size(), 1u);
  // One that leaves is written when it does.
  rows = Rows({}, {PutGuest{guest}, PutGuest{gone}});
  EXPECT_EQ(rows[RowWrite::kPutGuest].size(), 2u);
  EXPECT_EQ(rows[RowWrite::kDeleteRequestsOfGuest].size(), 1u);
}

TEST(Rows, OfARoundThatGoesOnOnlyWhatChangedIsWritten) {
  UpdateRound update;
  update.round = {.host_id = "h", .round_id = 3, .phase = RoundPhase::kSettled};
  update.round.outcomes = {{.guest_id = 1, .tenant_id = "ann"},
                           {.guest_id = 2, .tenant_id = "bob"}};
  EXPECT_EQ(Rows({}, {update})[RowWrite::kPutOutcome].size(), 2u) << "all, if nobody says";
  update.changed = {{update.round.outcomes[1]}};
  auto rows = Rows({}, {update});
  ASSERT_EQ(rows[RowWrite::kPutOutcome].size(), 1u);
  EXPECT_EQ(std::get<int64_t>(rows[RowWrite::kPutOutcome][0].at("guest_id")), 2);
}

TEST(PackedText, ComesBackAndTakesLess) {
  std::string bids;
  for (int i = 0; i < 300; ++i) {
    absl::StrAppend(&bids, "  - guest_id: ", i,
                    "\n    ranges:\n      - {min_units: 0, max_units: 4}\n");
  }
  for (const std::string& text :
       {std::string(), std::string("short"), std::string("z1:5:not packed"), std::string(255, 'x'),
        std::string(256, 'x'), std::string("\0\xff", 2), bids}) {
    const std::string packed = PackText(text);
    const absl::StatusOr<std::string> back = UnpackText(packed);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, text);
  }
  EXPECT_EQ(PackText("short"), "short");
  EXPECT_LT(PackText(bids).size(), bids.size() / 8);
  EXPECT_EQ(*UnpackText("capacity_units: 5"), "capacity_units: 5") << "of before texts were packed";
}

TEST(PackedText, DamageIsSeen) {
  const std::string packed = PackText(std::string(1'000, 'x') + std::string(1'000, 'y'));
  for (size_t i = 3; i < packed.size(); ++i) {
    std::string damaged = packed;
    damaged[i] = damaged[i] == '0' ? '1' : '0';
    const absl::StatusOr<std::string> back = UnpackText(damaged);
    if (back.ok()) {  // Another spelling of the same, such as the padding's bits.
      EXPECT_EQ(*back, *UnpackText(packed)) << i;
    } else {
      EXPECT_TRUE(absl::IsDataLoss(back.status())) << back.status();
    }
  }
  for (const char* wrong :
       {"z1:", "z1:7", "z1:-1:eJw=", "z1:99999999999999999999:eJw=", "z1:5:#"}) {
    EXPECT_TRUE(absl::IsDataLoss(UnpackText(wrong).status())) << wrong;
  }
}

}  // namespace
}  // namespace nom::market
