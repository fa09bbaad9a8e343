// Transactions into tables.

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/ledger/sqlite/rows.h"
#include "marketd/market/joint_bids.h"

namespace nom::market {
namespace {

int64_t Number(ResourceKind kind) { return static_cast<int64_t>(kind); }
int64_t Number(uint64_t id) { return static_cast<int64_t>(id); }

absl::Status WriteEntries(Database& db, int64_t book, const Transaction& transaction) {
  int64_t position = 0;
  for (const Entry& entry : transaction.entries) {
    NOM_RETURN_IF_ERROR(db.Prepare("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
                            .Bind(book)
                            .Bind(Number(transaction.transaction_id))
                            .Bind(position++)
                            .Bind(entry.from.owner)
                            .Bind(static_cast<int64_t>(entry.from.kind))
                            .Bind(entry.to.owner)
                            .Bind(static_cast<int64_t>(entry.to.kind))
                            .Bind(Number(entry.guest_id))
                            .Bind(entry.amount_microcredits)
                            .Run());
    if (entry.guest_id == 0 || !IsPayment(entry)) continue;
    NOM_RETURN_IF_ERROR(db.Prepare("UPDATE guests SET spent_microcredits = spent_microcredits + ?"
                                   " WHERE guest_id = ?")
                            .Bind(entry.amount_microcredits)
                            .Bind(Number(entry.guest_id))
                            .Run());
  }
  return absl::OkStatus();
}

// Each owner's once, whatever number of entries moved them.
absl::Status MovePurses(Database& db, int64_t book, const Transaction& transaction) {
  for (const auto& [owner, change] : PurseChanges(transaction.entries)) {
    // An upsert would check the inserted row, a lone difference, against the table's CHECKs.
    NOM_RETURN_IF_ERROR(
        db.Prepare("INSERT OR IGNORE INTO purses VALUES (?, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0)")
            .Bind(book)
            .Bind(owner)
            .Run());
    NOM_RETURN_IF_ERROR(
        db.Prepare("UPDATE purses SET available = available + ?, escrow = escrow + ?,"
                   " arrears = arrears + ?, transit = transit + ?, revenue = revenue + ?,"
                   " issued = issued + ?, deposited = deposited + ?, spent = spent + ?,"
                   " earned = earned + ? WHERE book = ? AND owner = ?")
            .Bind(change.available)
            .Bind(change.escrow)
            .Bind(change.arrears)
            .Bind(change.transit)
            .Bind(change.revenue)
            .Bind(change.issued)
            .Bind(change.deposited)
            .Bind(change.spent)
            .Bind(change.earned)
            .Bind(book)
            .Bind(owner)
            .Run());
  }
  return absl::OkStatus();
}

struct ChangeWriter {
  Database& db;
  int64_t book;
  uint64_t transaction_id;

  absl::Status operator()(const PutTenant& put) const {
    return db
        .Prepare(
            "INSERT INTO tenants VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " display_name = excluded.display_name, token_hash = excluded.token_hash")
        .Bind(book)
        .Bind(put.tenant.tenant_id)
        .Bind(put.tenant.display_name)
        .Bind(put.tenant.token_hash)
        .Run();
  }

  absl::Status operator()(const PutGuest& put) const {
    const Guest& guest = put.guest;
    NOM_RETURN_IF_ERROR(
        db.Prepare("INSERT INTO guests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)"
                   " ON CONFLICT (guest_id) DO UPDATE SET state = excluded.state,"
                   " exit_reason = excluded.exit_reason,"
                   " has_run = excluded.has_run, age_us = excluded.age_us,"
                   " alive_us = excluded.alive_us, end_cause = excluded.end_cause,"
                   " arrears_rounds = excluded.arrears_rounds")
            .Bind(Number(guest.guest_id))
            .Bind(guest.host_id)
            .Bind(guest.tenant_id)
            .Bind(guest.name)
            .Bind(guest.image)
            .Bind(guest.arguments)
            .Bind(guest.memory_max_units)
            .Bind(static_cast<int64_t>(guest.state))
            .Bind(guest.exit_reason)
            .Bind(guest.has_run ? 1 : 0)
            .Bind(guest.metered.age_us)
            .Bind(guest.metered.alive_us)
            .Bind(static_cast<int64_t>(guest.end_cause))
            .Bind(int64_t{guest.arrears_rounds})
            .Run());
    NOM_RETURN_IF_ERROR(
        db.Prepare("DELETE FROM meters WHERE guest_id = ?").Bind(Number(guest.guest_id)).Run());
    for (const GuestMeters::Amount& amount : guest.metered.amounts) {
      NOM_RETURN_IF_ERROR(db.Prepare("INSERT INTO meters VALUES (?, ?, ?, ?)")
                              .Bind(Number(guest.guest_id))
                              .Bind(Number(amount.kind))
                              .BindBits(amount.offered_unit_us)
                              .BindBits(amount.used_unit_us)
                              .Run());
    }
    if (guest.state == GuestState::kEvicted) {
      NOM_RETURN_IF_ERROR(
          db.Prepare("DELETE FROM requests WHERE bid_guest_id = ? AND bid_guest_id <> 0")
              .Bind(Number(guest.guest_id))
              .Run());
      NOM_RETURN_IF_ERROR(db.Prepare("DELETE FROM bid_fences WHERE guest_id = ?")
                              .Bind(Number(guest.guest_id))
                              .Run());
    }
    for (const Holding& seed : guest.seeds) {
      NOM_RETURN_IF_ERROR(db.Prepare("INSERT OR IGNORE INTO seeds VALUES (?, ?, ?)")
                              .Bind(Number(guest.guest_id))
                              .Bind(Number(seed.kind))
                              .Bind(seed.seed_units)
                              .Run());
    }
    return absl::OkStatus();
  }

  absl::Status operator()(const PutBid& put) const {
    const StandingBid& bid = put.bid;
    NOM_RETURN_IF_ERROR((*this)(DropBid{{bid.guest_id, bid.kind}, bid.fence}));
    Statement insert = db.Prepare("INSERT INTO bids VALUES (?, ?, ?, ?, ?, ?, ?)");
    insert.Bind(Number(bid.guest_id)).Bind(Number(bid.kind));
    insert.Bind(bid.valuation == nullptr ? std::string() : ToText(*bid.valuation));
    if (bid.budget_microcredits) {
      insert.Bind(*bid.budget_microcredits);
    } else {
      insert.BindNull();
    }
    NOM_RETURN_IF_ERROR(insert.Bind(Number(bid.first_round_id))
                            .Bind(Number(bid.last_round_id))
                            .Bind(int64_t{bid.lease_rounds})
                            .Run());
    int64_t position = 0;
    for (const policies::Range& range : bid.ranges) {
      NOM_RETURN_IF_ERROR(db.Prepare("INSERT INTO bid_ranges VALUES (?, ?, ?, ?, ?, ?, ?)")
                              .Bind(Number(bid.guest_id))
                              .Bind(Number(bid.kind))
                              .Bind(position++)
                              .Bind(range.min_units)
                              .Bind(range.max_units)
                              .Bind(range.value_at_min_microcredits)
                              .Bind(range.unit_price_microcredits)
                              .Run());
    }
    return absl::OkStatus();
  }

  absl::Status operator()(const DropBid& drop) const {
    NOM_RETURN_IF_ERROR(db.Prepare("DELETE FROM bids WHERE guest_id = ? AND kind = ?")
                            .Bind(Number(drop.key.first))
                            .Bind(Number(drop.key.second))
                            .Run());
    if (drop.fence.fence == 0) return absl::OkStatus();
    return db.Prepare("INSERT OR REPLACE INTO bid_fences VALUES (?, ?, ?, ?)")
        .Bind(Number(drop.key.first))
        .Bind(Number(drop.key.second))
        .Bind(Number(drop.fence.fence))
        .Bind(Number(drop.fence.sequence))
        .Run();
  }

  absl::Status operator()(const PutRound& put) const {
    const Round& round = put.round;
    NOM_RETURN_IF_ERROR(db.Prepare("INSERT OR IGNORE INTO hosts VALUES (?, ?, 0, 0)")
                            .Bind(round.host_id)
                            .Bind(book)
                            .Run());
    NOM_RETURN_IF_ERROR(db.Prepare("INSERT INTO rounds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
                            .Bind(round.host_id)
                            .Bind(Number(round.round_id))
                            .Bind(static_cast<int64_t>(round.phase))
                            .Bind(ToMicros(round.start_time))
                            .Bind(ToMicros(round.close_time))
                            .Bind(ToMicros(round.decided_time))
                            .Bind(ToMicros(round.effective_time))
                            .Bind(ToMicros(round.applied_time))
                            .Bind(absl::ToInt64Microseconds(round.period))
                            .Bind(round.reason)
                            .Bind(book)
                            .Bind(Number(transaction_id))
                            .Run());
    const bool is_joint = round.certificate.has_value();
    if (put.auctions.size() != (is_joint ? 1 : round.prices.size())) {
      return absl::InternalError("a round needs one auction for each price, or one for all");
    }
    if (is_joint) NOM_RETURN_IF_ERROR(WriteJointAuction(put.auctions.front(), *round.certificate));
    for (size_t i = 0; i < round.prices.size(); ++i) {
      const ResourcePrice& price = round.prices[i];
      const AuctionRecord& record = put.auctions[is_joint ? 0 : i];
      NOM_RETURN_IF_ERROR(db.Prepare("INSERT INTO auctions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                                     "?, ?, ?, ?, ?, ?, ?, ?)")
                              .Bind(round.host_id)
                              .Bind(Number(round.round_id))
                              .Bind(Number(price.kind))
                              .Bind(price.rule)
                              .Bind(static_cast<int64_t>(price.method) + 1)
                              .Bind(record.fault)
                              .Bind(price.unit_price_microcredits)
                              .Bind(price.reserve_unit_price_microcredits)
                              .Bind(price.reserve_policy)
                              .Bind(price.reserve_change_microcredits)
                              .Bind(price.supply_units)
                              .Bind(price.demand_units)
                              .Bind(price.sold_units)
                              .Bind(price.highest_rejected_unit_price_microcredits)
                              .Bind(price.bound_by == policies::BoundBy::kBids ? 2 : 1)
                              .Bind(is_joint ? std::string() : record.auction)
                              .Bind(record.work_max)
                              .Bind(record.chain)
                              .Run());
    }
    return WriteOutcomes(round);
  }

  absl::Status WriteJointAuction(const AuctionRecord& record,
                                 const Certificate& certificate) const {
    return db.Prepare("INSERT INTO joint_auctions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .Bind(record.host_id)
        .Bind(Number(record.round_id))
        .Bind(record.rule)
        .Bind(static_cast<int64_t>(record.method) + 1)
        .Bind(record.fault)
        .Bind(record.auction)
        .Bind(record.work_max)
        .Bind(record.chain)
        .Bind(certificate.welfare_microcredits)
        .Bind(certificate.welfare_bound_microcredits)
        .Bind(certificate.charges_are_exact ? 1 : 0)
        .Run();
  }

  absl::Status operator()(const UpdateRound& update) const {
    const Round& round = update.round;
    // The outcomes first: those of a closed round can't be changed.
    NOM_RETURN_IF_ERROR(WriteOutcomes(round));
    return db
        .Prepare(
            "UPDATE rounds SET phase = ?, applied_us = ?, reason = ?"
            " WHERE host_id = ? AND round_id = ?")
        .Bind(static_cast<int64_t>(round.phase))
        .Bind(ToMicros(round.applied_time))
        .Bind(round.reason)
        .Bind(round.host_id)
        .Bind(Number(round.round_id))
        .Run();
  }

  absl::Status WriteOutcomes(const Round& round) const {
    for (const Outcome& outcome : round.outcomes) {
      NOM_RETURN_IF_ERROR(
          db.Prepare("INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                     " ON CONFLICT DO UPDATE SET settled = excluded.settled,"
                     " settled_microcredits = excluded.settled_microcredits,"
                     " rent_microcredits = excluded.rent_microcredits,"
                     " delivered_milliunits = excluded.delivered_milliunits,"
                     " used_milliunits = excluded.used_milliunits, held_us = excluded.held_us")
              .Bind(round.host_id)
              .Bind(Number(round.round_id))
              .Bind(Number(outcome.guest_id))
              .Bind(Number(outcome.kind))
              .Bind(outcome.tenant_id)
              .Bind(outcome.seed_units)
              .Bind(outcome.award_units)
              .Bind(outcome.contracted_units)
              .Bind(outcome.charge_microcredits)
              .Bind(outcome.settled ? 1 : 0)
              .Bind(outcome.settled_microcredits)
              .Bind(outcome.rent_microcredits)
              .Bind(outcome.delivered_milliunits)
              .Bind(outcome.used_milliunits)
              .Bind(absl::ToInt64Microseconds(outcome.held))
              .Bind(static_cast<int64_t>(outcome.reason))
              .Run());
    }
    return absl::OkStatus();
  }

  absl::Status operator()(const OpenContract& open) const {
    const Contract& contract = open.contract;
    NOM_RETURN_IF_ERROR(
        db.Prepare("INSERT INTO contracts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .Bind(book)
            .Bind(Number(contract.contract_id))
            .Bind(Number(transaction_id))
            .Bind(Number(contract.guest_id))
            .Bind(contract.tenant_id)
            .Bind(contract.seller)
            .Bind(Number(contract.part_of))
            .Bind(Number(contract.from_round_id))
            .Bind(Number(contract.until_round_id))
            .Bind(absl::ToInt64Microseconds(contract.period))
            .Bind(contract.escrow_microcredits)
            .Bind(ToMicros(contract.settled_through))
            .Bind(contract.ended)
            .Run());
    for (const Lot& lot : contract.lots) {
      NOM_RETURN_IF_ERROR(db.Prepare("INSERT INTO lots VALUES (?, ?, ?, ?, ?)")
                              .Bind(book)
                              .Bind(Number(contract.contract_id))
                              .Bind(Number(lot.kind))
                              .Bind(lot.units)
                              .Bind(lot.charge_microcredits)
                              .Run());
    }
    return absl::OkStatus();
  }

  absl::Status operator()(const UpdateContract& update) const {
    return db
        .Prepare(
            "UPDATE contracts SET escrow_microcredits = ?, settled_through_us = ?, ended = ?"
            " WHERE book = ? AND contract_id = ?")
        .Bind(update.contract.escrow_microcredits)
        .Bind(ToMicros(update.contract.settled_through))
        .Bind(update.contract.ended)
        .Bind(book)
        .Bind(Number(update.contract.contract_id))
        .Run();
  }

  absl::Status operator()(const SendTransfer& send) const {
    return db.Prepare("INSERT INTO transfers VALUES (?, ?, ?, ?, ?, NULL)")
        .Bind(book)
        .Bind(Number(transaction_id))
        .Bind(send.transfer.to_book)
        .Bind(send.transfer.owner)
        .Bind(send.transfer.amount_microcredits)
        .Run();
  }

  absl::Status operator()(const AcceptTransfer& accept) const {
    const Transfer& transfer = accept.transfer;
    NOM_RETURN_IF_ERROR(
        db.Prepare("UPDATE transfers SET accepted_transaction_id = ? WHERE transfer_id = ?"
                   " AND from_book = (SELECT ordinal FROM books WHERE book_id = ?)"
                   " AND to_book = (SELECT book_id FROM books WHERE ordinal = ?) AND owner = ?"
                   " AND amount_microcredits = ? AND accepted_transaction_id IS NULL")
            .Bind(Number(transaction_id))
            .Bind(Number(transfer.transfer_id))
            .Bind(transfer.from_book)
            .Bind(book)
            .Bind(transfer.owner)
            .Bind(transfer.amount_microcredits)
            .Run());
    if (db.changes() == 1) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("ledger ", db.path(), ": transfer ", transfer.transfer_id, " of book ",
                     transfer.from_book, " is not one to accept, or was accepted before"));
  }

  absl::Status operator()(const PutHost& put) const {
    return db
        .Prepare(
            "INSERT INTO hosts VALUES (?, ?, ?, ?) ON CONFLICT (host_id) DO UPDATE SET"
            " boot_id = excluded.boot_id, in_force_round_id = excluded.in_force_round_id")
        .Bind(put.host_id)
        .Bind(book)
        .BindBits(put.boot_id)
        .Bind(Number(put.in_force_round_id))
        .Run();
  }

  absl::Status operator()(const PutRequest& put) const {
    const Request& request = put.request;
    const Reply& reply = request.reply;
    NOM_RETURN_IF_ERROR(
        db.Prepare("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                   " ON CONFLICT DO UPDATE SET transaction_id = excluded.transaction_id,"
                   " fingerprint = excluded.fingerprint, status = excluded.status,"
                   " message = excluded.message, guest_id = excluded.guest_id")
            .Bind(book)
            .Bind(request.key.owner)
            .Bind(request.key.request_id)
            .Bind(Number(request.bid_guest_id))
            .Bind(Number(request.transaction_id))
            .BindBits(request.fingerprint)
            .Bind(static_cast<int64_t>(reply.status.code()))
            .Bind(reply.status.message())
            .Bind(Number(reply.guest_id))
            .Bind(Number(reply.round_id))
            .Bind(reply.removed ? 1 : 0)
            .Bind(reply.account.available)
            .Bind(reply.account.escrow)
            .Bind(reply.account.arrears)
            .Bind(reply.account.spent)
            .Run());
    if (request.bid_guest_id == 0) return absl::OkStatus();
    return db
        .Prepare(
            "DELETE FROM requests WHERE bid_guest_id = ?1 AND bid_guest_id <> 0 AND owner = ?2"
            " AND transaction_id <= (SELECT transaction_id FROM requests"
            "  WHERE bid_guest_id = ?1 AND bid_guest_id <> 0 AND owner = ?2"
            "  ORDER BY transaction_id DESC LIMIT 1 OFFSET ?3)")
        .Bind(Number(request.bid_guest_id))
        .Bind(request.key.owner)
        .Bind(int64_t{kBidRequestsKept})
        .Run();
  }
};

}  // namespace

absl::Status WriteTransaction(Database& db, int64_t book, const Transaction& transaction,
                              const std::string& digest) {
  NOM_RETURN_IF_ERROR(db.Prepare("INSERT INTO transactions VALUES (?, ?, ?, ?, ?)")
                          .Bind(book)
                          .Bind(Number(transaction.transaction_id))
                          .Bind(ToMicros(transaction.time))
                          .Bind(transaction.kind)
                          .Bind(digest)
                          .Run());
  NOM_RETURN_IF_ERROR(WriteEntries(db, book, transaction));
  NOM_RETURN_IF_ERROR(MovePurses(db, book, transaction));
  for (const Change& change : transaction.changes) {
    NOM_RETURN_IF_ERROR(std::visit(ChangeWriter{db, book, transaction.transaction_id}, change));
  }
  return absl::OkStatus();
}

}  // namespace nom::market
