// Tables into values. A number that no marketd would have written is DATA_LOSS, not trusted.

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/ledger/sqlite/rows.h"
#include "marketd/market/joint_bids.h"

namespace nom::market {
namespace {

absl::Status Strange(const Database& db, absl::string_view what, int64_t value) {
  return absl::DataLossError(
      absl::StrCat("ledger ", db.path(), ": ", what, ": ", value, " is not one"));
}

template <typename Enum>
absl::Status ToEnum(const Database& db, absl::string_view what, int64_t value, int64_t low,
                    int64_t high, Enum& out) {
  if (value < low || value > high) return Strange(db, what, value);
  out = static_cast<Enum>(value);
  return absl::OkStatus();
}

absl::Status ToKind(const Database& db, int64_t value, ResourceKind& out) {
  return ToEnum(db, "kind", value, 1, 6, out);
}

constexpr auto kMethodLast = static_cast<int64_t>(policies::Method::kBounded);

absl::Time FromMicros(int64_t us) { return absl::FromUnixMicros(us); }
uint64_t Id(const Statement& row, int column) { return static_cast<uint64_t>(row.Int(column)); }

absl::Status ReadTenants(Database& db, int64_t book, State& state) {
  NOM_RETURN_IF_ERROR(ForEachRow(
      db.Prepare("SELECT tenant_id, display_name, token_hash FROM tenants WHERE book = ?")
          .Bind(book),
      [&](Statement& row) {
        const TenantId id = row.Text(0);
        state.tenants[id] =
            Tenant{.tenant_id = id, .display_name = row.Text(1), .token_hash = row.Text(2)};
        return absl::OkStatus();
      }));
  NOM_ASSIGN_OR_RETURN(state.purses, ReadPurses(db, book));
  for (const auto& [owner, purse] : state.purses) {
    if (owner != kOperator && !state.tenants.contains(owner)) {
      return absl::DataLossError(
          absl::StrCat("ledger ", db.path(), ": a purse of no tenant: ", owner));
    }
  }
  return absl::OkStatus();
}

// The columns of a guest's own line, and what they say.
#define NOM_SELECT_GUESTS                                                                  \
  "SELECT guest_id, host_id, tenant_id, name, image, arguments, memory_max_units, state,"  \
  " exit_reason, spent_microcredits, has_run, age_us, alive_us, end_cause, arrears_rounds" \
  " FROM guests"

absl::StatusOr<Guest> ToGuest(const Database& db, const Statement& row) {
  Guest guest{.guest_id = Id(row, 0),
              .host_id = row.Text(1),
              .tenant_id = row.Text(2),
              .name = row.Text(3),
              .image = row.Text(4),
              .arguments = row.Text(5),
              .memory_max_units = row.Int(6),
              .exit_reason = row.Text(8),
              .spent_microcredits = row.Int(9),
              .has_run = row.Int(10) != 0,
              .metered = {.guest_id = Id(row, 0), .age_us = row.Int(11), .alive_us = row.Int(12)},
              .arrears_rounds = static_cast<uint32_t>(row.Int(14))};
  NOM_RETURN_IF_ERROR(ToEnum(db, "guest state", row.Int(7), 1, 5, guest.state));
  NOM_RETURN_IF_ERROR(ToEnum(db, "end cause", row.Int(13), 0, 5, guest.end_cause));
  return guest;
}

absl::Status ReadGuests(Database& db, int64_t book, State& state) {
  // A book's guests are those whose ids are in its range.
  const auto low = static_cast<int64_t>(FirstGuestIdOf(static_cast<uint64_t>(book)));
  const auto high = static_cast<int64_t>(FirstGuestIdOf(static_cast<uint64_t>(book) + 1));
  NOM_RETURN_IF_ERROR(ForEachRow(
      db.Prepare(NOM_SELECT_GUESTS " WHERE guest_id > ? AND guest_id <= ? AND state <> 4")
          .Bind(low)
          .Bind(high),
      [&](Statement& row) {
        NOM_ASSIGN_OR_RETURN(Guest guest, ToGuest(db, row));
        state.guests[guest.guest_id] = std::move(guest);
        return absl::OkStatus();
      }));
  NOM_RETURN_IF_ERROR(ForEachRow(
      db.Prepare(
            "SELECT guest_id, kind, units FROM seeds"
            " WHERE guest_id IN (SELECT guest_id FROM guests WHERE guest_id > ? AND guest_id <= ?"
            " AND state <> 4) ORDER BY guest_id, kind")
          .Bind(low)
          .Bind(high),
      [&](Statement& row) {
        Holding seed{.seed_units = row.Int(2)};
        NOM_RETURN_IF_ERROR(ToKind(db, row.Int(1), seed.kind));
        state.guests[Id(row, 0)].seeds.push_back(seed);
        return absl::OkStatus();
      }));
  NOM_RETURN_IF_ERROR(ForEachRow(
      db.Prepare(
            "SELECT guest_id, kind, offered_unit_us, used_unit_us FROM meters"
            " WHERE guest_id IN (SELECT guest_id FROM guests WHERE guest_id > ? AND guest_id <= ?"
            " AND state <> 4) ORDER BY guest_id, kind")
          .Bind(low)
          .Bind(high),
      [&](Statement& row) {
        GuestMeters::Amount amount{.offered_unit_us = row.Bits(2), .used_unit_us = row.Bits(3)};
        NOM_RETURN_IF_ERROR(ToKind(db, row.Int(1), amount.kind));
        state.guests[Id(row, 0)].metered.amounts.push_back(amount);
        return absl::OkStatus();
      }));
  NOM_RETURN_IF_ERROR(ForEachRow(
      db.Prepare("SELECT guest_id, kind, fence, sequence FROM bid_fences"
                 " WHERE guest_id > ? AND guest_id <= ?")
          .Bind(low)
          .Bind(high),
      [&](Statement& row) {
        ResourceKind kind = kSeveralKinds;
        if (row.Int(1) != static_cast<int64_t>(kSeveralKinds)) {
          NOM_RETURN_IF_ERROR(ToKind(db, row.Int(1), kind));
        }
        state.bid_fences[{Id(row, 0), kind}] = {.fence = Id(row, 2), .sequence = Id(row, 3)};
        return absl::OkStatus();
      }));
  NOM_RETURN_IF_ERROR(
      ForEachRow(db.Prepare("SELECT guest_id, kind, budget_microcredits, first_round_id,"
                            " last_round_id, valuation, lease_rounds FROM bids WHERE guest_id > ? "
                            "AND guest_id <= ?")
                     .Bind(low)
                     .Bind(high),
                 [&](Statement& row) {
                   StandingBid bid{.guest_id = Id(row, 0),
                                   .first_round_id = Id(row, 3),
                                   .last_round_id = Id(row, 4),
                                   .lease_rounds = static_cast<uint32_t>(row.Int(6))};
                   if (row.Int(1) == static_cast<int64_t>(kSeveralKinds)) {
                     absl::StatusOr<Valuation> valuation = ParseValuation(row.Text(5));
                     if (!valuation.ok()) {
                       return absl::DataLossError(absl::StrCat("ledger ", db.path(),
                                                               ": the bid of guest ", bid.guest_id,
                                                               ": ", valuation.status().message()));
                     }
                     bid.kind = kSeveralKinds;
                     bid.valuation = std::make_shared<const Valuation>(*std::move(valuation));
                   } else {
                     NOM_RETURN_IF_ERROR(ToKind(db, row.Int(1), bid.kind));
                   }
                   if (!row.IsNull(2)) bid.budget_microcredits = row.Int(2);
                   const BidKey key{bid.guest_id, bid.kind};
                   const auto fence = state.bid_fences.find(key);
                   if (fence != state.bid_fences.end()) bid.fence = fence->second;
                   state.bids[key] = bid;
                   return absl::OkStatus();
                 }));
  return ForEachRow(
      db.Prepare("SELECT guest_id, kind, min_units, max_units, value_at_min_microcredits,"
                 " unit_price_microcredits FROM bid_ranges WHERE guest_id > ? AND guest_id <= ?"
                 " ORDER BY guest_id, kind, position")
          .Bind(low)
          .Bind(high),
      [&](Statement& row) {
        ResourceKind kind = ResourceKind::kMemory;
        NOM_RETURN_IF_ERROR(ToKind(db, row.Int(1), kind));
        const policies::Range range{row.Int(2), row.Int(3), row.Int(4), row.Int(5)};
        state.bids[{Id(row, 0), kind}].ranges.push_back(range);
        return absl::OkStatus();
      });
}

absl::Status ReadPrices(Database& db, const HostId& host_id, RoundId round_id,
                        std::vector<ResourcePrice>& prices) {
  Statement select = db.Prepare(
      "SELECT kind, unit_price_microcredits, reserve_unit_price_microcredits, supply_units,"
      " demand_units, sold_units, highest_rejected_unit_price_microcredits, bound_by, rule, method,"
      " reserve_policy, reserve_change_microcredits"
      " FROM auctions WHERE host_id = ? AND round_id = ? ORDER BY kind");
  select.Bind(host_id).Bind(static_cast<int64_t>(round_id));
  return ForEachRow(std::move(select), [&](Statement& row) {
    ResourcePrice price{
        .unit_price_microcredits = row.Int(1),
        .reserve_unit_price_microcredits = row.Int(2),
        .reserve_policy = row.Text(10),
        .reserve_change_microcredits = row.Int(11),
        .supply_units = row.Int(3),
        .demand_units = row.Int(4),
        .sold_units = row.Int(5),
        .highest_rejected_unit_price_microcredits = row.Int(6),
        .bound_by = row.Int(7) == 2 ? policies::BoundBy::kBids : policies::BoundBy::kReserve,
        .rule = row.Text(8)};
    NOM_RETURN_IF_ERROR(ToKind(db, row.Int(0), price.kind));
    NOM_RETURN_IF_ERROR(ToEnum(db, "method", row.Int(9) - 1, 0, kMethodLast, price.method));
    prices.push_back(std::move(price));
    return absl::OkStatus();
  });
}

absl::Status ReadHosts(Database& db, int64_t book, State& state) {
  NOM_RETURN_IF_ERROR(ForEachRow(
      db.Prepare("SELECT host_id, boot_id, in_force_round_id,"
                 " (SELECT MAX(round_id) FROM rounds WHERE rounds.host_id = hosts.host_id)"
                 " FROM hosts WHERE book = ?")
          .Bind(book),
      [&](Statement& row) {
        const HostId id = row.Text(0);
        state.hosts[id] = HostBook{.host_id = id,
                                   .boot_id = row.Bits(1),
                                   .last_decided_round_id = Id(row, 3),
                                   .in_force_round_id = Id(row, 2)};
        return absl::OkStatus();
      }));
  for (auto& [host_id, host] : state.hosts) {
    NOM_RETURN_IF_ERROR(ReadPrices(db, host_id, host.last_decided_round_id, host.prices));
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

constexpr char kSelectContracts[] =
    "SELECT contract_id, guest_id, tenant_id, seller, part_of, from_round_id, until_round_id,"
    " period_us, escrow_microcredits, settled_through_us, ended FROM contracts WHERE ";

absl::StatusOr<Contract> ReadContract(Database& db, int64_t book, const Statement& row) {
  Contract contract{.contract_id = Id(row, 0),
                    .guest_id = Id(row, 1),
                    .tenant_id = row.Text(2),
                    .seller = row.Text(3),
                    .part_of = Id(row, 4),
                    .from_round_id = Id(row, 5),
                    .until_round_id = Id(row, 6),
                    .period = absl::Microseconds(row.Int(7)),
                    .escrow_microcredits = row.Int(8),
                    .settled_through = FromMicros(row.Int(9)),
                    .ended = row.Text(10)};
  Statement select = db.Prepare(
      "SELECT kind, units, charge_microcredits FROM lots WHERE book = ? AND contract_id = ?"
      " ORDER BY kind");
  select.Bind(book).Bind(row.Int(0));
  NOM_RETURN_IF_ERROR(ForEachRow(std::move(select), [&](Statement& l) {
    Lot lot{.units = l.Int(1), .charge_microcredits = l.Int(2)};
    NOM_RETURN_IF_ERROR(ToKind(db, l.Int(0), lot.kind));
    contract.lots.push_back(lot);
    return absl::OkStatus();
  }));
  return contract;
}

absl::Status ReadContracts(Database& db, int64_t book, State& state) {
  static const std::string kSelect = absl::StrCat(kSelectContracts, "book = ? AND ended = ''");
  return ForEachRow(db.Prepare(kSelect.c_str()).Bind(book), [&](Statement& row) {
    NOM_ASSIGN_OR_RETURN(const Contract contract, ReadContract(db, book, row));
    state.contracts.Put(contract);
    return absl::OkStatus();
  });
}

absl::Status ReadRequests(Database& db, int64_t book, State& state) {
  return ForEachRow(
      db.Prepare("SELECT owner, request_id, transaction_id, fingerprint, status, message, guest_id,"
                 " round_id, removed, available, escrow, arrears, spent, bid_guest_id"
                 " FROM requests WHERE book = ? ORDER BY transaction_id")
          .Bind(book),
      [&](Statement& row) {
        Request request{.key = {row.Text(0), row.Text(1)},
                        .bid_guest_id = Id(row, 13),
                        .fingerprint = row.Bits(3),
                        .transaction_id = Id(row, 2)};
        absl::StatusCode code = absl::StatusCode::kOk;
        NOM_RETURN_IF_ERROR(ToEnum(db, "status", row.Int(4), 0, 16, code));
        request.reply = Reply{.status = absl::Status(code, row.Text(5)),
                              .guest_id = Id(row, 6),
                              .round_id = Id(row, 7),
                              .removed = row.Int(8) != 0,
                              .account = {.available = row.Int(9),
                                          .escrow = row.Int(10),
                                          .arrears = row.Int(11),
                                          .spent = row.Int(12)}};
        if (request.bid_guest_id != 0) {
          state.bid_requests[{request.bid_guest_id, request.key.owner}].push_back(
              request.key.request_id);
        }
        state.requests[request.key] = std::move(request);
        return absl::OkStatus();
      });
}

// Of columns rule, method, auction, fault, work_max, chain, from `column` on.
absl::Status ToRecord(const Database& db, const Statement& row, int column, AuctionRecord& record) {
  record.rule = row.Text(column);
  NOM_RETURN_IF_ERROR(ToEnum(db, "method", row.Int(column + 1) - 1, 0, kMethodLast, record.method));
  record.auction = row.Text(column + 2);
  record.fault = row.Text(column + 3);
  record.work_max = row.Int(column + 4);
  record.chain = row.Int(column + 5);
  return absl::OkStatus();
}

absl::Status ReadCertificate(Database& db, Round& round) {
  Statement select = db.Prepare(
      "SELECT method, welfare_microcredits, welfare_bound_microcredits, charges_are_exact"
      " FROM joint_auctions WHERE host_id = ? AND round_id = ?");
  select.Bind(round.host_id).Bind(static_cast<int64_t>(round.round_id));
  return ForEachRow(std::move(select), [&](Statement& row) {
    Certificate& certificate = round.certificate.emplace();
    certificate.welfare_microcredits = row.Int(1);
    certificate.welfare_bound_microcredits = row.Int(2);
    certificate.charges_are_exact = row.Int(3) != 0;
    return ToEnum(db, "method", row.Int(0) - 1, 0, kMethodLast, certificate.method);
  });
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
  AuctionRecord record{.host_id = host_id, .round_id = round_id, .kind = kind};
  const auto read = [&](Statement select) -> absl::StatusOr<bool> {
    const absl::StatusOr<bool> row = select.Step();
    if (!row.ok() || !*row) return row;
    NOM_RETURN_IF_ERROR(ToRecord(db, select, 0, record));
    return true;
  };
  Statement of_kind = db.Prepare(
      "SELECT rule, method, auction, fault, work_max, chain FROM auctions"
      " WHERE host_id = ? AND round_id = ? AND kind = ?");
  of_kind.Bind(host_id).Bind(static_cast<int64_t>(round_id)).Bind(static_cast<int64_t>(kind));
  NOM_ASSIGN_OR_RETURN(const bool is_sold, read(std::move(of_kind)));
  if (!is_sold) {
    return absl::NotFoundError(absl::StrCat("host ", host_id, " sold no resource ",
                                            static_cast<int>(kind), " in round ", round_id));
  }
  if (!record.auction.empty()) return record;
  Statement of_all = db.Prepare(
      "SELECT rule, method, auction, fault, work_max, chain FROM joint_auctions"
      " WHERE host_id = ? AND round_id = ?");
  of_all.Bind(host_id).Bind(static_cast<int64_t>(round_id));
  NOM_ASSIGN_OR_RETURN(const bool is_there, read(std::move(of_all)));
  if (!is_there) {
    return absl::DataLossError(absl::StrCat("ledger ", db.path(), ": host ", host_id, ", round ",
                                            round_id, ": its auction is not there"));
  }
  record.kind = kSeveralKinds;
  return record;
}

absl::Status ReadRound(Database& db, Round& round) {
  {
    Statement select = db.Prepare(
        "SELECT phase, start_us, close_us, decided_us, effective_us, applied_us, period_us, reason"
        " FROM rounds WHERE host_id = ? AND round_id = ?");
    const absl::StatusOr<bool> row =
        select.Bind(round.host_id).Bind(static_cast<int64_t>(round.round_id)).Step();
    if (!row.ok()) return row.status();
    if (!*row) {
      return absl::DataLossError(absl::StrCat("ledger ", db.path(), ": host ", round.host_id,
                                              " has no round ", round.round_id));
    }
    NOM_RETURN_IF_ERROR(ToEnum(db, "phase", select.Int(0), 2, 5, round.phase));
    round.start_time = FromMicros(select.Int(1));
    round.close_time = FromMicros(select.Int(2));
    round.decided_time = FromMicros(select.Int(3));
    round.effective_time = FromMicros(select.Int(4));
    round.applied_time = FromMicros(select.Int(5));
    round.period = absl::Microseconds(select.Int(6));
    round.reason = select.Text(7);
  }
  NOM_RETURN_IF_ERROR(ReadPrices(db, round.host_id, round.round_id, round.prices));
  NOM_RETURN_IF_ERROR(ReadCertificate(db, round));
  Statement select = db.Prepare(
      "SELECT guest_id, kind, tenant_id, seed_units, award_units, charge_microcredits, settled,"
      " settled_microcredits, rent_microcredits, delivered_milliunits, used_milliunits,"
      " held_us, contracted_units, reason"
      " FROM outcomes WHERE host_id = ? AND round_id = ? ORDER BY guest_id, kind");
  select.Bind(round.host_id).Bind(static_cast<int64_t>(round.round_id));
  return ForEachRow(std::move(select), [&](Statement& row) {
    Outcome outcome{.guest_id = Id(row, 0),
                    .tenant_id = row.Text(2),
                    .seed_units = row.Int(3),
                    .award_units = row.Int(4),
                    .contracted_units = row.Int(12),
                    .charge_microcredits = row.Int(5),
                    .settled = row.Int(6) != 0,
                    .settled_microcredits = row.Int(7),
                    .rent_microcredits = row.Int(8),
                    .delivered_milliunits = row.Int(9),
                    .used_milliunits = row.Int(10),
                    .held = absl::Microseconds(row.Int(11))};
    NOM_RETURN_IF_ERROR(ToKind(db, row.Int(1), outcome.kind));
    NOM_RETURN_IF_ERROR(ToEnum(db, "reason", row.Int(13), 0, 8, outcome.reason));
    round.outcomes.push_back(std::move(outcome));
    return absl::OkStatus();
  });
}

absl::StatusOr<Guest> ReadEvictedGuest(Database& db, GuestId guest_id) {
  Statement select = db.Prepare(NOM_SELECT_GUESTS " WHERE guest_id = ? AND state = 4");
  select.Bind(static_cast<int64_t>(guest_id));
  NOM_ASSIGN_OR_RETURN(const bool is_there, select.Step());
  if (!is_there) return absl::NotFoundError(absl::StrCat("guest_id: no guest ", guest_id));
  return ToGuest(db, select);
}

absl::StatusOr<ChainHead> ReadHead(Database& db, int64_t book) {
  ChainHead head;
  NOM_RETURN_IF_ERROR(ForEachRow(db.Prepare("SELECT transaction_id, digest FROM transactions"
                                            " WHERE book = ? ORDER BY transaction_id DESC LIMIT 1")
                                     .Bind(book),
                                 [&head](Statement& row) {
                                   head = {Id(row, 0), row.Text(1)};
                                   return absl::OkStatus();
                                 }));
  return head;
}

absl::StatusOr<Purses> ReadPurses(Database& db, int64_t book) {
  Purses out;
  NOM_RETURN_IF_ERROR(
      ForEachRow(db.Prepare("SELECT owner, available, escrow, arrears, transit, revenue, issued,"
                            " deposited, spent, earned FROM purses WHERE book = ?")
                     .Bind(book),
                 [&](Statement& row) {
                   out[row.Text(0)] = Purse{.available = row.Int(1),
                                            .escrow = row.Int(2),
                                            .arrears = row.Int(3),
                                            .transit = row.Int(4),
                                            .revenue = row.Int(5),
                                            .issued = row.Int(6),
                                            .deposited = row.Int(7),
                                            .spent = row.Int(8),
                                            .earned = row.Int(9)};
                   return absl::OkStatus();
                 }));
  return out;
}

absl::Status ReadChain(Database& db, int64_t book, uint64_t after, uint64_t limit,
                       const std::function<absl::Status(const ChainedTransaction&)>& visit) {
  Statement select = db.Prepare(
      "SELECT transaction_id, time_us, kind, digest FROM transactions WHERE book = ?"
      " AND transaction_id > ?"
      " ORDER BY transaction_id LIMIT ?");
  select.Bind(book).Bind(static_cast<int64_t>(after)).Bind(static_cast<int64_t>(limit));
  return ForEachRow(std::move(select), [&](Statement& row) {
    ChainedTransaction out{.transaction_id = Id(row, 0),
                           .time = FromMicros(row.Int(1)),
                           .kind = row.Text(2),
                           .digest = row.Text(3)};
    Statement entries = db.Prepare(
        "SELECT from_owner, from_kind, to_owner, to_kind, guest_id, amount_microcredits FROM "
        "entries"
        " WHERE book = ? AND transaction_id = ? ORDER BY position");
    entries.Bind(book).Bind(row.Int(0));
    NOM_RETURN_IF_ERROR(ForEachRow(std::move(entries), [&](Statement& e) {
      Entry entry{.from = {.owner = e.Text(0)},
                  .to = {.owner = e.Text(2)},
                  .guest_id = Id(e, 4),
                  .amount_microcredits = e.Int(5)};
      NOM_RETURN_IF_ERROR(ToEnum(db, "account", e.Int(1), 1, kAccountKindsCount, entry.from.kind));
      NOM_RETURN_IF_ERROR(ToEnum(db, "account", e.Int(3), 1, kAccountKindsCount, entry.to.kind));
      out.entries.push_back(std::move(entry));
      return absl::OkStatus();
    }));
    Statement rounds = db.Prepare(
        "SELECT host_id, round_id FROM rounds WHERE book = ? AND transaction_id = ?"
        " ORDER BY host_id");
    rounds.Bind(book).Bind(row.Int(0));
    NOM_RETURN_IF_ERROR(ForEachRow(std::move(rounds), [&](Statement& r) {
      PutRound put{.round = {.host_id = r.Text(0), .round_id = Id(r, 1)}};
      NOM_RETURN_IF_ERROR(ReadRound(db, put.round));
      NOM_RETURN_IF_ERROR(ReadAuctions(db, put));
      out.decided.push_back(std::move(put));
      return absl::OkStatus();
    }));
    // By its unary plus the order is no reason to go through all contracts of the book.
    static const std::string kOpened =
        absl::StrCat(kSelectContracts, "book = ? AND transaction_id = ? ORDER BY +contract_id");
    Statement contracts = db.Prepare(kOpened.c_str());
    contracts.Bind(book).Bind(row.Int(0));
    NOM_RETURN_IF_ERROR(ForEachRow(std::move(contracts), [&](Statement& c) {
      NOM_ASSIGN_OR_RETURN(Contract contract, ReadContract(db, book, c));
      out.opened.push_back(std::move(contract));
      return absl::OkStatus();
    }));
    return visit(out);
  });
}

absl::StatusOr<State> ReadState(Database& db, int64_t book) {
  State state;
  const auto ordinal = static_cast<uint64_t>(book);
  NOM_RETURN_IF_ERROR(ForEachRow(
      db.Prepare(
            "SELECT (SELECT COALESCE(MAX(transaction_id), 0) FROM transactions WHERE book = ?1),"
            " (SELECT COALESCE(MAX(contract_id), 0) FROM contracts WHERE book = ?1),"
            " (SELECT COALESCE(MAX(guest_id), ?2) FROM guests WHERE guest_id > ?2"
            "   AND guest_id <= ?3)")
          .Bind(book)
          .Bind(static_cast<int64_t>(FirstGuestIdOf(ordinal)))
          .Bind(static_cast<int64_t>(FirstGuestIdOf(ordinal + 1))),
      [&](Statement& row) {
        state.last_transaction_id = Id(row, 0);
        state.last_contract_id = Id(row, 1);
        state.last_guest_id = Id(row, 2);
        return absl::OkStatus();
      }));
  NOM_RETURN_IF_ERROR(ForEachRow(db.Prepare("SELECT ledger_id, count FROM identity, openings"),
                                 [&state](Statement& row) {
                                   state.ledger = {.id = row.Text(0), .openings = Id(row, 1)};
                                   return absl::OkStatus();
                                 }));
  NOM_RETURN_IF_ERROR(ReadTenants(db, book, state));
  NOM_RETURN_IF_ERROR(ReadGuests(db, book, state));
  NOM_RETURN_IF_ERROR(ReadContracts(db, book, state));
  NOM_RETURN_IF_ERROR(ReadHosts(db, book, state));
  NOM_RETURN_IF_ERROR(ReadRequests(db, book, state));
  state.RebuildIndexes();
  return state;
}

}  // namespace nom::market
