// SPDX-License-Identifier: Apache-2.0
// Tables into values.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/ledger/rows/from_rows.h"
#include "marketd/ledger/sqlite/archive.h"
#include "marketd/ledger/sqlite/select.h"
#include "marketd/ledger/sqlite/tables.h"
#include "marketd/market/measures.h"

namespace nom::market {
namespace {

absl::Status ReadTenants(Database& db, int64_t book, State& state) {
  NOM_RETURN_IF_ERROR(ForEach<TenantRow>(
      db, "tenants WHERE book = ?",
      [&](TenantRow&& row) { state.tenants[row.tenant.tenant_id] = std::move(row.tenant); }, book));
  NOM_RETURN_IF_ERROR(ForEach<TokenRow>(
      db, "tokens WHERE book = ? ORDER BY tenant_id, token_id",
      [&](TokenRow&& row) { state.tenants[row.tenant_id].tokens.push_back(std::move(row.token)); },
      book));
  NOM_ASSIGN_OR_RETURN(state.purses, ReadPurses(db, book));
  for (const auto& [owner, purse] : state.purses) {
    if (owner != kOperator && !state.tenants.contains(owner)) {
      return absl::DataLossError(
          absl::StrCat("ledger ", db.path(), ": a purse of no tenant: ", owner));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadGuests(Database& db, int64_t book, State& state) {
  // A book's guests are those whose ids are in its range.
  const GuestId low = FirstGuestIdOf(static_cast<uint64_t>(book));
  const GuestId high = FirstGuestIdOf(static_cast<uint64_t>(book) + 1);
  NOM_RETURN_IF_ERROR(ForEach<GuestRow>(
      db, "guests WHERE guest_id > ? AND guest_id <= ? AND state <> 4",
      [&](GuestRow&& row) { state.guests[row.guest.guest_id] = std::move(row.guest); }, low, high));
  NOM_RETURN_IF_ERROR(ForEach<SeedRow>(
      db,
      "seeds WHERE guest_id IN (SELECT guest_id FROM guests WHERE guest_id > ? AND guest_id <= ?"
      " AND state <> 4) ORDER BY guest_id, kind",
      [&](const SeedRow& row) { state.guests[row.guest_id].seeds.push_back(row.seed); }, low,
      high));
  return ForEach<MeterRow>(
      db,
      "meters WHERE guest_id IN (SELECT guest_id FROM guests WHERE guest_id > ? AND guest_id <= ?"
      " AND state <> 4) ORDER BY guest_id, kind",
      [&](const MeterRow& row) {
        state.guests[row.guest_id].metered.amounts.push_back(row.amount);
      },
      low, high);
}

absl::Status ReadBids(Database& db, int64_t book, State& state) {
  const GuestId low = FirstGuestIdOf(static_cast<uint64_t>(book));
  const GuestId high = FirstGuestIdOf(static_cast<uint64_t>(book) + 1);
  NOM_RETURN_IF_ERROR(ForEach<BidFenceRow>(
      db, "bid_fences WHERE guest_id > ? AND guest_id <= ?",
      [&](const BidFenceRow& row) {
        state.bid_fences[{row.guest_id, row.kind}] = row.fence;
      },
      low, high));
  NOM_RETURN_IF_ERROR(ForEach<BidRow>(
      db, "bids WHERE guest_id > ? AND guest_id <= ?",
      [&](BidRow&& row) {
        StandingBid bid;
        if (const absl::Status s = ToBid(std::move(row), bid); !s.ok()) {
          return absl::Status(s.code(), absl::StrCat("ledger ", db.path(), ": ", s.message()));
        }
        const BidKey key{bid.guest_id, bid.kind};
        const auto fence = state.bid_fences.find(key);
        if (fence != state.bid_fences.end()) bid.fence = fence->second;
        state.bids[key] = std::move(bid);
        return absl::OkStatus();
      },
      low, high));
  return ForEach<BidRangeRow>(
      db, "bid_ranges WHERE guest_id > ? AND guest_id <= ? ORDER BY guest_id, kind, position",
      [&](const BidRangeRow& row) {
        state.bids[{row.guest_id, row.kind}].ranges.push_back(row.range);
      },
      low, high);
}

absl::Status ReadTiers(Database& db, int64_t book, State& state) {
  const GuestId low = FirstGuestIdOf(static_cast<uint64_t>(book));
  const GuestId high = FirstGuestIdOf(static_cast<uint64_t>(book) + 1);
  NOM_RETURN_IF_ERROR(ForEach<TierRow>(
      db, "tiers WHERE guest_id > ? AND guest_id <= ?",
      [&](TierRow&& row) { state.tiers[row.tier.guest_id] = std::move(row.tier); }, low, high));
  return ForEach<TierUnitsRow>(
      db, "tier_units WHERE guest_id > ? AND guest_id <= ? ORDER BY guest_id, kind",
      [&](const TierUnitsRow& row) { state.tiers[row.guest_id].most.push_back(row.most); }, low,
      high);
}

absl::Status ReadPrices(Database& db, const HostId& host_id, RoundId round_id,
                        std::vector<ResourcePrice>& prices) {
  NOM_RETURN_IF_ERROR(ForEach<PriceRow>(
      db, "auctions WHERE host_id = ? AND round_id = ? ORDER BY kind",
      [&](PriceRow&& row) { prices.push_back(std::move(row.price)); }, host_id, round_id));
  return ForEach<MeasuresRow>(
      db, "measures WHERE host_id = ? AND round_id = ?",
      [&](MeasuresRow&& row) {
        for (ResourcePrice& price : prices) {
          if (price.kind == row.kind) price.measures = row.measures;
        }
      },
      host_id, round_id);
}

// Of the last kPastPricesMax rounds. Those in an archive left theirs behind.
absl::Status ReadPastPrices(Database& db, HostBook& host) {
  const RoundId last = host.last_decided_round_id;
  RoundId before = last > kPastPricesMax ? last - kPastPricesMax : 0;
  Statement archived = db.Prepare(
      "SELECT kind, round_id, unit_price_microcredits, best_unit_price_microcredits"
      " FROM archived_prices WHERE host_id = ? AND round_id > ? ORDER BY round_id, kind");
  archived.Bind(host.host_id).BindBits(before);
  NOM_RETURN_IF_ERROR(ForEachRow(archived, [&host](Statement& row) {
    PastPrice& price = host.past_prices[static_cast<ResourceKind>(row.Int(0))].emplace_back();
    price = {row.Bits(1), row.Int(2)};
    if (!row.IsNull(3)) price.best_unit_price_microcredits = row.Int(3);
    return absl::OkStatus();
  }));
  NOM_ASSIGN_OR_RETURN(const RoundId gone, ReadArchivedRound(db, host.host_id));
  before = std::max(before, gone);
  NOM_RETURN_IF_ERROR(ForEach<PriceRow>(
      db, "auctions WHERE host_id = ? AND round_id > ? ORDER BY round_id, kind",
      [&host](const PriceRow& row) {
        host.past_prices[row.price.kind].push_back(
            {row.round_id, row.price.unit_price_microcredits});
      },
      host.host_id, before));
  return ForEach<MeasuresRow>(
      db,
      "measures WHERE host_id = ? AND round_id > ? AND best_unit_price_microcredits IS NOT NULL",
      [&host](const MeasuresRow& row) {
        std::vector<PastPrice>& prices = host.past_prices[row.kind];
        const auto price = std::lower_bound(
            prices.begin(), prices.end(), row.round_id,
            [](const PastPrice& past, RoundId round_id) { return past.round_id < round_id; });
        if (price == prices.end() || price->round_id != row.round_id) return;
        price->best_unit_price_microcredits = row.measures.best_unit_price_microcredits;
      },
      host.host_id, before);
}

// Of the last kPastAsksMax rounds, those that were for the least satisfied.
absl::Status ReadPastAsks(Database& db, HostBook& host) {
  const RoundId last = host.last_decided_round_id;
  const RoundId before = last > kPastAsksMax ? last - kPastAsksMax : 0;
  std::map<RoundId, PastAsks> past;
  Statement archived = db.Prepare(
      "SELECT round_id, kind, tenant_id, asked_units, awarded_units FROM archived_asks"
      " WHERE host_id = ? AND round_id > ? ORDER BY round_id, kind, tenant_id");
  archived.Bind(host.host_id).BindBits(before);
  NOM_RETURN_IF_ERROR(ForEachRow(archived, [&past](Statement& row) {
    past[row.Bits(0)].asks.push_back({.tenant_id = row.Text(2),
                                      .kind = static_cast<ResourceKind>(row.Int(1)),
                                      .asked_units = row.Int(3),
                                      .awarded_units = row.Int(4)});
    return absl::OkStatus();
  }));
  NOM_ASSIGN_OR_RETURN(const RoundId gone, ReadArchivedRound(db, host.host_id));
  std::vector<RoundId> here;
  NOM_RETURN_IF_ERROR(ForEach<RoundRow>(
      db, "rounds WHERE host_id = ? AND round_id > ? ORDER BY round_id",
      [&here](const RoundRow& row) {
        if (row.round.objective == policies::kLeastSatisfied) here.push_back(row.round.round_id);
      },
      host.host_id, std::max(before, gone)));
  for (const RoundId round_id : here) {
    Round round{.host_id = host.host_id, .round_id = round_id};
    NOM_RETURN_IF_ERROR(ReadRound(db, round));
    std::vector<TenantAsk> asks = AsksOf(round);
    if (!asks.empty()) past[round_id].asks = std::move(asks);
  }
  for (auto& [round_id, of_round] : past) {
    of_round.round_id = round_id;
    host.past_asks.push_back(std::move(of_round));
  }
  return absl::OkStatus();
}

absl::Status ReadHosts(Database& db, int64_t book, State& state) {
  NOM_RETURN_IF_ERROR(ForEach<HostRow>(
      db, "hosts WHERE book = ?",
      [&](HostRow&& row) { state.hosts[row.host.host_id] = std::move(row.host); }, book));
  for (auto& [host_id, host] : state.hosts) {
    NOM_ASSIGN_OR_RETURN(host.last_decided_round_id, ReadLastDecided(db, host_id));
    NOM_RETURN_IF_ERROR(ReadPrices(db, host_id, host.last_decided_round_id, host.prices));
    NOM_RETURN_IF_ERROR(ReadPastPrices(db, host));
    NOM_RETURN_IF_ERROR(ReadPastAsks(db, host));
    // Open rounds are among the newest: the one in force, which rounds that were released may have
    // followed, and the last decided.
    for (const RoundId round_id : {host.in_force_round_id, host.last_decided_round_id}) {
      if (round_id == 0) continue;
      Round round{.host_id = host_id, .round_id = round_id};
      NOM_RETURN_IF_ERROR(ReadRound(db, round));
      if (round.phase == RoundPhase::kGrace || round.phase == RoundPhase::kEffective) {
        host.open_rounds[round_id] = std::move(round);
      }
    }
  }
  return absl::OkStatus();
}

absl::Status ReadLots(Database& db, int64_t book, Contract& contract) {
  return ForEach<LotRow>(
      db, "lots WHERE book = ? AND contract_id = ? ORDER BY kind",
      [&](const LotRow& row) { contract.lots.push_back(row.lot); }, book, contract.contract_id);
}

absl::Status ReadContracts(Database& db, int64_t book, State& state) {
  return ForEach<ContractRow>(
      db, "contracts INDEXED BY contracts_open WHERE book = ? AND ended = '' ORDER BY contract_id",
      [&](ContractRow&& row) {
        NOM_RETURN_IF_ERROR(ReadLots(db, book, row.contract));
        state.contracts.Put(row.contract);
        return absl::OkStatus();
      },
      book);
}

absl::Status ReadOffers(Database& db, int64_t book, State& state) {
  return ForEach<OfferRow>(
      db, "offers WHERE book = ? AND closed = ''",
      [&](OfferRow&& row) {
        Offer& offer = row.offer;
        NOM_RETURN_IF_ERROR(ForEach<OfferLotRow>(
            db, "offer_lots WHERE book = ? AND offer_id = ? ORDER BY kind",
            [&](const OfferLotRow& lot) { offer.contract.lots.push_back(lot.lot); }, book,
            offer.offer_id));
        state.offers[offer.offer_id] = std::move(offer);
        return absl::OkStatus();
      },
      book);
}

absl::Status ReadRequests(Database& db, int64_t book, State& state) {
  return ForEach<RequestRow>(
      db, "requests WHERE book = ? ORDER BY transaction_id",
      [&](RequestRow&& row) {
        Request& request = row.request;
        if (request.bid_guest_id != 0) {
          state.bid_requests[{request.bid_guest_id, request.key.owner}].push_back(
              request.key.request_id);
        }
        RequestKey key = request.key;
        state.requests[std::move(key)] = std::move(request);
      },
      book);
}

absl::Status ReadAuctions(Database& db, PutRound& put) {
  const Round& round = put.round;
  if (round.certificate) {
    NOM_ASSIGN_OR_RETURN(put.auctions.emplace_back(),
                         ReadAuction(db, round.host_id, round.round_id, round.prices.front().kind));
    return absl::OkStatus();
  }
  for (const ResourcePrice& price : round.prices) {
    NOM_ASSIGN_OR_RETURN(put.auctions.emplace_back(),
                         ReadAuction(db, round.host_id, round.round_id, price.kind));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ForEachRow(Statement& statement,
                        const std::function<absl::Status(Statement&)>& visit) {
  for (;;) {
    const absl::StatusOr<bool> row = statement.Step();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    NOM_RETURN_IF_ERROR(visit(statement));
  }
}

absl::StatusOr<AuctionRecord> ReadAuction(Database& db, const HostId& host_id, RoundId round_id,
                                          ResourceKind kind) {
  RecordRow row;
  NOM_ASSIGN_OR_RETURN(const bool is_sold,
                       ReadOne(db, "auctions WHERE host_id = ? AND round_id = ? AND kind = ?", row,
                               host_id, round_id, static_cast<int64_t>(kind)));
  if (!is_sold) {
    return absl::NotFoundError(absl::StrCat("host ", host_id, " sold no resource ",
                                            static_cast<int>(kind), " in round ", round_id));
  }
  if (row.record.auction.empty()) {
    NOM_ASSIGN_OR_RETURN(
        const bool is_there,
        ReadOne(db, "joint_auctions WHERE host_id = ? AND round_id = ?", row, host_id, round_id));
    if (!is_there) {
      return absl::DataLossError(absl::StrCat("ledger ", db.path(), ": host ", host_id, ", round ",
                                              round_id, ": its auction is not there"));
    }
    kind = kSeveralKinds;
  }
  row.record.host_id = host_id;
  row.record.round_id = round_id;
  row.record.kind = kind;
  return std::move(row.record);
}

absl::Status ReadRound(Database& db, Round& round) {
  RoundRow row;
  NOM_ASSIGN_OR_RETURN(const bool is_there, ReadOne(db, "rounds WHERE host_id = ? AND round_id = ?",
                                                    row, round.host_id, round.round_id));
  if (!is_there) {
    return absl::DataLossError(absl::StrCat("ledger ", db.path(), ": host ", round.host_id,
                                            " has no round ", round.round_id));
  }
  round = std::move(row.round);
  NOM_RETURN_IF_ERROR(ReadPrices(db, round.host_id, round.round_id, round.prices));
  NOM_RETURN_IF_ERROR(ForEach<CertificateRow>(
      db, "joint_auctions WHERE host_id = ? AND round_id = ?",
      [&](const CertificateRow& read) { round.certificate = read.certificate; }, round.host_id,
      round.round_id));
  return ForEach<OutcomeRow>(
      db, "outcomes WHERE host_id = ? AND round_id = ? ORDER BY guest_id, kind",
      [&](OutcomeRow&& read) { round.outcomes.push_back(std::move(read.outcome)); }, round.host_id,
      round.round_id);
}

absl::StatusOr<Guest> ReadEvictedGuest(Database& db, GuestId guest_id) {
  GuestRow row;
  NOM_ASSIGN_OR_RETURN(const bool is_there,
                       ReadOne(db, "guests WHERE guest_id = ? AND state = 4", row, guest_id));
  if (!is_there) return absl::NotFoundError(absl::StrCat("guest_id: no guest ", guest_id));
  return std::move(row.guest);
}

absl::StatusOr<ChainHead> ReadHead(Database& db, int64_t book) {
  TransactionRow row;
  NOM_RETURN_IF_ERROR(
      ReadOne(db, "transactions WHERE book = ? ORDER BY transaction_id DESC LIMIT 1", row, book)
          .status());
  return ChainHead{row.transaction.transaction_id, row.transaction.digest};
}

absl::StatusOr<Purses> ReadPurses(Database& db, int64_t book) {
  Purses out;
  NOM_RETURN_IF_ERROR(ForEach<PurseRow>(
      db, "purses WHERE book = ?", [&](const PurseRow& row) { out[row.owner] = row.purse; }, book));
  return out;
}

absl::StatusOr<std::map<TenantId, Microcredits>> ReadFees(Database& db, int64_t book) {
  std::map<TenantId, Microcredits> fees;
  Statement select = db.Prepare(
      "SELECT tenant_id, SUM(fees_microcredits) FROM contracts"
      " WHERE book = ? AND fees_microcredits <> 0 GROUP BY tenant_id");
  select.Bind(book);
  NOM_RETURN_IF_ERROR(ForEachRow(select, [&fees](Statement& row) {
    fees[row.Text(0)] = row.Int(1);
    return absl::OkStatus();
  }));
  return fees;
}

absl::StatusOr<RoundId> ReadLastDecided(Database& db, const HostId& host_id) {
  Statement select = db.Prepare("SELECT MAX(round_id) FROM rounds WHERE host_id = ?");
  NOM_RETURN_IF_ERROR(select.Bind(host_id).Step().status());
  return select.Bits(0);
}

absl::Status ReadTransactionLines(Database& db, int64_t book, uint64_t after, uint64_t limit,
                                  uint64_t through,
                                  const std::function<absl::Status(ChainedTransaction&&)>& visit) {
  return ForEach<TransactionRow>(
      db,
      "transactions WHERE book = ? AND transaction_id > ? AND transaction_id <= ?"
      " ORDER BY transaction_id LIMIT ?",
      [&](TransactionRow&& row) { return visit(std::move(row.transaction)); }, book, after,
      std::min(through, uint64_t{INT64_MAX}), std::min(limit, uint64_t{INT64_MAX}));
}

absl::Status AddEntries(Database& db, int64_t book, ChainedTransaction& out) {
  return ForEach<EntryRow>(
      db, "entries WHERE book = ? AND transaction_id = ? ORDER BY position",
      [&](EntryRow&& row) { out.entries.push_back(std::move(row.entry)); }, book,
      out.transaction_id);
}

absl::Status AddEvents(Database& db, int64_t book, ChainedTransaction& out) {
  return ForEach<EventRow>(
      db, "events WHERE book = ? AND transaction_id = ? ORDER BY position",
      [&](EventRow&& row) { out.events.push_back(std::move(row.event)); }, book,
      out.transaction_id);
}

// SQLite knows nothing of how many rows there are: left to itself it goes through all rounds and
// contracts of a book for each transaction rather than by an index. So the indexes are named.
absl::Status AddRounds(Database& db, int64_t book,
                       const std::function<absl::StatusOr<bool>(const Round&)>& counts,
                       ChainedTransaction& out) {
  return ForEach<RoundRow>(
      db,
      "rounds INDEXED BY rounds_by_transaction WHERE book = ? AND transaction_id = ?"
      " ORDER BY host_id",
      [&](RoundRow&& row) -> absl::Status {
        NOM_ASSIGN_OR_RETURN(const bool is_here, counts(row.round));
        if (!is_here) return absl::OkStatus();
        PutRound& put = out.decided.emplace_back();
        put.round = std::move(row.round);
        NOM_RETURN_IF_ERROR(ReadRound(db, put.round));
        return ReadAuctions(db, put);
      },
      book, out.transaction_id);
}

absl::Status AddContracts(Database& db, int64_t book, ChainedTransaction& out) {
  return ForEach<ContractRow>(
      db,
      "contracts INDEXED BY contracts_by_transaction WHERE book = ? AND transaction_id = ?"
      " ORDER BY contract_id",
      [&](ContractRow&& row) {
        NOM_RETURN_IF_ERROR(ReadLots(db, book, row.contract));
        out.opened.push_back(std::move(row.contract));
        return absl::OkStatus();
      },
      book, out.transaction_id);
}

absl::StatusOr<State> ReadState(Database& db, int64_t book) {
  State state;
  const auto ordinal = static_cast<uint64_t>(book);
  NOM_RETURN_IF_ERROR(ForEachRow(
      db.Prepare(
            "SELECT (SELECT COALESCE(MAX(transaction_id), 0) FROM transactions WHERE book = ?1),"
            " (SELECT COALESCE(MAX(contract_id), 0) FROM contracts WHERE book = ?1),"
            " (SELECT COALESCE(MAX(offer_id), 0) FROM offers WHERE book = ?1),"
            " (SELECT COALESCE(MAX(guest_id), ?2) FROM guests WHERE guest_id > ?2"
            "   AND guest_id <= ?3)")
          .Bind(book)
          .Bind(static_cast<int64_t>(FirstGuestIdOf(ordinal)))
          .Bind(static_cast<int64_t>(FirstGuestIdOf(ordinal + 1))),
      [&](Statement& row) {
        state.last_transaction_id = row.Bits(0);
        state.last_contract_id = row.Bits(1);
        state.last_offer_id = row.Bits(2);
        state.last_guest_id = row.Bits(3);
        return absl::OkStatus();
      }));
  NOM_ASSIGN_OR_RETURN(const ArchivedBook archived, ReadArchivedBook(db, book));
  state.last_contract_id = std::max(state.last_contract_id, archived.last_contract_id);
  state.last_offer_id = std::max(state.last_offer_id, archived.last_offer_id);
  NOM_RETURN_IF_ERROR(ForEachRow(db.Prepare("SELECT ledger_id, count FROM identity, openings"),
                                 [&state](Statement& row) {
                                   state.ledger = {.id = row.Text(0), .openings = row.Bits(1)};
                                   return absl::OkStatus();
                                 }));
  NOM_RETURN_IF_ERROR(ReadTenants(db, book, state));
  NOM_RETURN_IF_ERROR(ReadGuests(db, book, state));
  NOM_RETURN_IF_ERROR(ReadBids(db, book, state));
  NOM_RETURN_IF_ERROR(ReadTiers(db, book, state));
  NOM_RETURN_IF_ERROR(ReadContracts(db, book, state));
  NOM_RETURN_IF_ERROR(ReadOffers(db, book, state));
  NOM_RETURN_IF_ERROR(ReadHosts(db, book, state));
  NOM_RETURN_IF_ERROR(ReadRequests(db, book, state));
  state.RebuildIndexes();
  return state;
}

}  // namespace nom::market
