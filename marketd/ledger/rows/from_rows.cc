// SPDX-License-Identifier: Apache-2.0
#include "marketd/ledger/rows/from_rows.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/ledger/rows/nouns.h"
#include "marketd/ledger/rows/packed_text.h"
#include "marketd/market/joint_bids.h"

namespace nom::market {
namespace {

void Columns(auto& io, TransactionRow& r) {
  TransactionColumns(io, r.book, r.transaction, r.transaction.digest);
}
void Columns(auto& io, EntryRow& r) {
  EntryColumns(io, r.book, r.transaction_id, r.position, r.entry);
}
void Columns(auto& io, PurseRow& r) { PurseColumns(io, r.book, r.owner, r.purse); }
void Columns(auto& io, TenantRow& r) { TenantColumns(io, r.book, r.tenant); }
void Columns(auto& io, TokenRow& r) { TokenColumns(io, r.book, r.tenant_id, r.token); }
void Columns(auto& io, EventRow& r) {
  EventColumns(io, r.book, r.transaction_id, r.position, r.event);
}
void Columns(auto& io, GuestRow& r) { GuestColumns(io, r.guest, r.guest.spent_microcredits); }
void Columns(auto& io, SeedRow& r) { SeedColumns(io, r.guest_id, r.seed); }
void Columns(auto& io, MeterRow& r) { MeterColumns(io, r.guest_id, r.amount); }
void Columns(auto& io, BidRow& r) { BidColumns(io, r.bid, r.valuation); }
void Columns(auto& io, BidFenceRow& r) { BidFenceColumns(io, r.guest_id, r.kind, r.fence); }
void Columns(auto& io, BidRangeRow& r) {
  BidRangeColumns(io, r.guest_id, r.kind, r.position, r.range);
}
void Columns(auto& io, TierRow& r) { TierColumns(io, r.tier); }
void Columns(auto& io, TierUnitsRow& r) { TierUnitsColumns(io, r.guest_id, r.most); }
void Columns(auto& io, HostRow& r) {
  HostColumns(io, r.host.host_id, r.book, r.host.boot_id, r.host.in_force_round_id);
}
void Columns(auto& io, RoundRow& r) { RoundColumns(io, r.book, r.transaction_id, r.round); }
void Columns(auto& io, PriceRow& r) {
  RoundKeyColumns(io, r.host_id, r.round_id);
  PriceColumns(io, r.price);
  io("rule", r.price.rule);
  io("method", r.price.method);
}
void Columns(auto& io, MeasuresRow& r) {
  MeasuresColumns(io, r.host_id, r.round_id, r.kind, r.measures);
}
void Columns(auto& io, RecordRow& r) {
  AuctionRecord& record = r.record;
  RecordColumns(io, record.rule, record.method, record.fault, record.auction, record.work_max,
                record.chain);
}
void Columns(auto& io, CertificateRow& r) {
  io("method", r.certificate.method);
  CertificateColumns(io, r.certificate);
}
void Columns(auto& io, OutcomeRow& r) { OutcomeColumns(io, r.host_id, r.round_id, r.outcome); }
void Columns(auto& io, ContractRow& r) {
  ContractColumns(io, r.book, r.transaction_id, r.contract);
}
void Columns(auto& io, LotRow& r) { LotColumns(io, r.book, r.contract_id, r.lot); }
void Columns(auto& io, OfferRow& r) { OfferColumns(io, r.book, r.transaction_id, r.offer); }
void Columns(auto& io, OfferLotRow& r) { OfferLotColumns(io, r.book, r.offer_id, r.lot); }

}  // namespace

template <typename Row>
std::string ColumnsOf() {
  ColumnNames names;
  Row row;
  Columns(names, row);
  return names.names();
}

template <typename Row>
absl::Status FromRow(const StoredRow& from, Row& row) {
  ColumnReader reader(from);
  Columns(reader, row);
  return reader.status();
}

// A guest is in two places of its value, and a status in two columns.
template <>
absl::Status FromRow(const StoredRow& from, GuestRow& row) {
  ColumnReader reader(from);
  Columns(reader, row);
  row.guest.metered.guest_id = row.guest.guest_id;
  return reader.status();
}

// The auction of a record is packed.
template <>
absl::Status FromRow(const StoredRow& from, RecordRow& row) {
  ColumnReader reader(from);
  Columns(reader, row);
  NOM_RETURN_IF_ERROR(reader.status());
  NOM_ASSIGN_OR_RETURN(row.record.auction, UnpackText(row.record.auction));
  return absl::OkStatus();
}

template <>
std::string ColumnsOf<RequestRow>() {
  ColumnNames names;
  const RequestRow row;
  RequestColumns(names, row.book, row.request, row.book, row.book);
  return names.names();
}
template <>
absl::Status FromRow(const StoredRow& from, RequestRow& row) {
  ColumnReader reader(from);
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string message;
  RequestColumns(reader, row.book, row.request, code, message);
  row.request.reply.status = absl::Status(code, message);
  return reader.status();
}

#define NOM_ROW(Row)                     \
  template std::string ColumnsOf<Row>(); \
  template absl::Status FromRow<Row>(const StoredRow&, Row&);
NOM_ROW(TransactionRow)
NOM_ROW(EntryRow)
NOM_ROW(PurseRow)
NOM_ROW(TenantRow)
NOM_ROW(TokenRow)
NOM_ROW(EventRow)
template std::string ColumnsOf<GuestRow>();
NOM_ROW(SeedRow)
NOM_ROW(MeterRow)
NOM_ROW(BidRow)
NOM_ROW(BidFenceRow)
NOM_ROW(BidRangeRow)
NOM_ROW(TierRow)
NOM_ROW(TierUnitsRow)
NOM_ROW(HostRow)
NOM_ROW(RoundRow)
NOM_ROW(PriceRow)
NOM_ROW(MeasuresRow)
template std::string ColumnsOf<RecordRow>();
NOM_ROW(CertificateRow)
NOM_ROW(OutcomeRow)
NOM_ROW(ContractRow)
NOM_ROW(LotRow)
NOM_ROW(OfferRow)
NOM_ROW(OfferLotRow)
#undef NOM_ROW

absl::Status ToBid(BidRow&& row, StandingBid& bid) {
  bid = std::move(row.bid);
  if (bid.kind != kSeveralKinds) return absl::OkStatus();
  absl::StatusOr<Valuation> valuation = ParseValuation(row.valuation);
  if (!valuation.ok()) {
    return absl::DataLossError(
        absl::StrCat("the bid of guest ", bid.guest_id, ": ", valuation.status().message()));
  }
  bid.valuation = std::make_shared<const Valuation>(*std::move(valuation));
  return absl::OkStatus();
}

}  // namespace nom::market
