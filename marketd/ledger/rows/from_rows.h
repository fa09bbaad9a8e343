// SPDX-License-Identifier: Apache-2.0
// Rows back to values: pure, for any database.
//
// A reader asks for the columns of a row type by ColumnsOf, in that order, from the table that it
// names, and hands on what it gets. DATA_LOSS names the column with a number that no ledger would
// have written.

#ifndef MARKETD_LEDGER_ROWS_FROM_ROWS_H_
#define MARKETD_LEDGER_ROWS_FROM_ROWS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "marketd/ledger/rows/columns.h"
#include "marketd/market/chain.h"
#include "marketd/market/state.h"
#include "marketd/market/transaction.h"

namespace nom::market {

// Rows with what tells whose they are.
struct TransactionRow {  // transactions
  int64_t book = 0;
  ChainedTransaction transaction;  // Without entries, rounds, contracts and events.
};
struct EntryRow {  // entries
  int64_t book = 0;
  uint64_t transaction_id = 0;
  int64_t position = 0;
  Entry entry;
};
struct PurseRow {  // purses
  int64_t book = 0;
  Owner owner;
  Purse purse;
};
struct TenantRow {  // tenants
  int64_t book = 0;
  Tenant tenant;  // Without its tokens.
};
struct TokenRow {  // tokens
  int64_t book = 0;
  TenantId tenant_id;
  Token token;
};
struct EventRow {  // events
  int64_t book = 0;
  uint64_t transaction_id = 0;
  int64_t position = 0;
  AuditEvent event;
};
struct GuestRow {  // guests
  Guest guest;
};
struct SeedRow {  // seeds
  GuestId guest_id = 0;
  Holding seed;
};
struct MeterRow {  // meters
  GuestId guest_id = 0;
  GuestMeters::Amount amount;
};
struct BidRow {           // bids
  StandingBid bid;        // Without its ranges and fence.
  std::string valuation;  // Its text, see ToBid.
};
struct BidFenceRow {  // bid_fences
  GuestId guest_id = 0;
  ResourceKind kind = kSeveralKinds;
  BidFence fence;
};
struct BidRangeRow {  // bid_ranges
  GuestId guest_id = 0;
  ResourceKind kind = ResourceKind::kMemory;
  int64_t position = 0;
  policies::Range range;
};
struct TierRow {   // tiers
  GuestTier tier;  // Without its units.
};
struct TierUnitsRow {  // tier_units
  GuestId guest_id = 0;
  UnitsOfKind most;
};
struct HostRow {  // hosts
  int64_t book = 0;
  HostBook host;  // Its boot and the round in force.
};
struct RoundRow {  // rounds
  int64_t book = 0;
  uint64_t transaction_id = 0;
  Round round;  // Its line alone.
};
struct PriceRow {  // auctions
  HostId host_id;
  RoundId round_id = 0;
  ResourcePrice price;
};
struct MeasuresRow {  // measures
  HostId host_id;
  RoundId round_id = 0;
  ResourceKind kind = ResourceKind::kMemory;
  RoundMeasures measures;
};
struct RecordRow {       // auctions and joint_auctions
  AuctionRecord record;  // But whose it is.
};
struct CertificateRow {  // joint_auctions
  Certificate certificate;
};
struct OutcomeRow {  // outcomes
  HostId host_id;
  RoundId round_id = 0;
  Outcome outcome;
};
struct ContractRow {  // contracts
  int64_t book = 0;
  uint64_t transaction_id = 0;
  Contract contract;  // Without its lots.
};
struct LotRow {  // lots
  int64_t book = 0;
  ContractId contract_id = 0;
  Lot lot;
};
struct OfferRow {  // offers
  int64_t book = 0;
  uint64_t transaction_id = 0;
  Offer offer;  // Without its lots.
};
struct OfferLotRow {  // offer_lots
  int64_t book = 0;
  OfferId offer_id = 0;
  Lot lot;
};
struct RequestRow {  // requests
  int64_t book = 0;
  Request request;
};

// "book, tenant_id, ..."
template <typename Row>
std::string ColumnsOf();

template <typename Row>
absl::Status FromRow(const StoredRow& from, Row& row);

// A bid with the valuation that its row has as text. DATA_LOSS if it is not one.
absl::Status ToBid(BidRow&& row, StandingBid& bid);

}  // namespace nom::market

#endif  // MARKETD_LEDGER_ROWS_FROM_ROWS_H_
