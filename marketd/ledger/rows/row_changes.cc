// SPDX-License-Identifier: Apache-2.0
#include "marketd/ledger/rows/row_changes.h"

#include <array>
#include <map>
#include <utility>
#include <variant>
#include <vector>

#include "marketd/base/status.h"
#include "marketd/ledger/rows/nouns.h"
#include "marketd/ledger/rows/packed_text.h"
#include "marketd/market/joint_bids.h"

namespace nom::market {
namespace {

constexpr std::array<RowShape, kRowWritesCount> kShapes = [] {
  std::array<RowShape, kRowWritesCount> shapes{};
  const auto set = [&shapes](RowWrite write, const char* table, RowOp op, int key, int fixed = 0) {
    shapes[static_cast<size_t>(write)] = {table, op, key, fixed == 0 ? key : fixed};
  };
  set(RowWrite::kInsertTransaction, "transactions", RowOp::kInsert, 2);
  set(RowWrite::kInsertEntry, "entries", RowOp::kInsert, 3);
  set(RowWrite::kAddGuestSpent, "guests", RowOp::kAdd, 1);
  set(RowWrite::kInsertPurse, "purses", RowOp::kInsertIfNew, 2);
  set(RowWrite::kAddPurse, "purses", RowOp::kAdd, 2);
  set(RowWrite::kPutTenant, "tenants", RowOp::kPut, 2);
  set(RowWrite::kDeleteTokens, "tokens", RowOp::kDelete, 2);
  set(RowWrite::kInsertToken, "tokens", RowOp::kInsert, 3);
  set(RowWrite::kPutGuest, "guests", RowOp::kPut, 1, 8);
  set(RowWrite::kDeleteMeters, "meters", RowOp::kDelete, 1);
  set(RowWrite::kInsertMeter, "meters", RowOp::kInsert, 2);
  set(RowWrite::kInsertSeed, "seeds", RowOp::kInsertIfNew, 2);
  set(RowWrite::kDeleteBid, "bids", RowOp::kDelete, 2);
  set(RowWrite::kInsertBid, "bids", RowOp::kInsert, 2);
  set(RowWrite::kInsertBidRange, "bid_ranges", RowOp::kInsert, 3);
  set(RowWrite::kPutBidFence, "bid_fences", RowOp::kPut, 2);
  set(RowWrite::kDeleteBidFences, "bid_fences", RowOp::kDelete, 1);
  set(RowWrite::kDeleteTier, "tiers", RowOp::kDelete, 1);
  set(RowWrite::kInsertTier, "tiers", RowOp::kInsert, 1);
  set(RowWrite::kInsertTierUnits, "tier_units", RowOp::kInsert, 2);
  set(RowWrite::kInsertHost, "hosts", RowOp::kInsertIfNew, 1);
  set(RowWrite::kPutHost, "hosts", RowOp::kPut, 1, 2);
  set(RowWrite::kInsertRound, "rounds", RowOp::kInsert, 2);
  set(RowWrite::kUpdateRound, "rounds", RowOp::kUpdate, 2);
  set(RowWrite::kInsertAuction, "auctions", RowOp::kInsert, 3);
  set(RowWrite::kInsertMeasures, "measures", RowOp::kInsert, 3);
  set(RowWrite::kInsertJointAuction, "joint_auctions", RowOp::kInsert, 2);
  set(RowWrite::kPutOutcome, "outcomes", RowOp::kPut, 4, 11);
  set(RowWrite::kInsertContract, "contracts", RowOp::kInsert, 2);
  set(RowWrite::kUpdateContract, "contracts", RowOp::kUpdate, 2);
  set(RowWrite::kSettleContract, "contracts", RowOp::kUpdate, 2);
  set(RowWrite::kInsertLot, "lots", RowOp::kInsert, 3);
  set(RowWrite::kInsertOffer, "offers", RowOp::kInsert, 2);
  set(RowWrite::kUpdateOffer, "offers", RowOp::kUpdate, 2);
  set(RowWrite::kInsertOfferLot, "offer_lots", RowOp::kInsert, 3);
  set(RowWrite::kInsertTransfer, "transfers", RowOp::kInsert, 2);
  set(RowWrite::kAcceptTransfer, "transfers", RowOp::kAccept, 3);
  set(RowWrite::kInsertEvent, "events", RowOp::kInsert, 3);
  set(RowWrite::kPutRequest, "requests", RowOp::kPut, 3, 4);
  set(RowWrite::kForgetRequests, "requests", RowOp::kForget, 2);
  set(RowWrite::kDeleteRequestsOfGuest, "requests", RowOp::kDelete, 1);
  return shapes;
}();

// One overload for each kind of change.
class Rows {
 public:
  Rows(int64_t book, const Transaction& transaction, const RowSink& sink)
      : book_(book), transaction_(transaction), id_(transaction.transaction_id), sink_(sink) {}

  absl::Status Begin(const std::string& digest) {
    return Write(RowWrite::kInsertTransaction,
                 [&](auto& io) { TransactionColumns(io, book_, transaction_, digest); });
  }

  absl::Status Entries() {
    int64_t position = 0;
    std::map<GuestId, Microcredits> spent;
    for (const Entry& entry : transaction_.entries) {
      NOM_RETURN_IF_ERROR(Write(RowWrite::kInsertEntry,
                                [&](auto& io) { EntryColumns(io, book_, id_, position, entry); }));
      ++position;
      if (entry.guest_id != 0 && IsPayment(entry)) {
        spent[entry.guest_id] += entry.amount_microcredits;
      }
    }
    for (const auto& [guest_id, amount] : spent) {
      NOM_RETURN_IF_ERROR(
          Write(RowWrite::kAddGuestSpent, [&, &guest_id = guest_id, &amount = amount](auto& io) {
            io("guest_id", guest_id);
            io("spent_microcredits", amount);
          }));
    }
    // Each owner's purse once, whatever number of entries moved it. It begins with zeros: a lone
    // difference might be on the wrong side of zero.
    static const Purse kZeros;
    for (const auto& [owner, change] : PurseChanges(transaction_.entries)) {
      NOM_RETURN_IF_ERROR(Write(RowWrite::kInsertPurse, [&, &owner = owner](auto& io) {
        PurseColumns(io, book_, owner, kZeros);
      }));
      NOM_RETURN_IF_ERROR(
          Write(RowWrite::kAddPurse, [&, &owner = owner, &change = change](auto& io) {
            PurseColumns(io, book_, owner, change);
          }));
    }
    return absl::OkStatus();
  }

  absl::Status operator()(const PutTenant& put) {
    const Tenant& tenant = put.tenant;
    NOM_RETURN_IF_ERROR(
        Write(RowWrite::kPutTenant, [&](auto& io) { TenantColumns(io, book_, tenant); }));
    NOM_RETURN_IF_ERROR(Write(RowWrite::kDeleteTokens,
                              [&](auto& io) { TokenKeyColumns(io, book_, tenant.tenant_id); }));
    for (const Token& token : tenant.tokens) {
      NOM_RETURN_IF_ERROR(Write(RowWrite::kInsertToken, [&](auto& io) {
        TokenColumns(io, book_, tenant.tenant_id, token);
      }));
    }
    return absl::OkStatus();
  }

  absl::Status operator()(const LogEvent& log) {
    const int64_t position = events_++;
    return Write(RowWrite::kInsertEvent,
                 [&](auto& io) { EventColumns(io, book_, id_, position, log.event); });
  }

  absl::Status operator()(const PutGuest& put) {
    const Guest& guest = put.guest;
    const auto key = [&](auto& io) { io("guest_id", guest.guest_id); };
    const Microcredits nothing_spent = 0;
    NOM_RETURN_IF_ERROR(
        Write(RowWrite::kPutGuest, [&](auto& io) { GuestColumns(io, guest, nothing_spent); }));
    NOM_RETURN_IF_ERROR(Write(RowWrite::kDeleteMeters, key));
    for (const GuestMeters::Amount& amount : guest.metered.amounts) {
      NOM_RETURN_IF_ERROR(Write(RowWrite::kInsertMeter,
                                [&](auto& io) { MeterColumns(io, guest.guest_id, amount); }));
    }
    for (const Holding& seed : guest.seeds) {
      NOM_RETURN_IF_ERROR(
          Write(RowWrite::kInsertSeed, [&](auto& io) { SeedColumns(io, guest.guest_id, seed); }));
    }
    if (guest.state != GuestState::kEvicted) return absl::OkStatus();
    NOM_RETURN_IF_ERROR(Write(RowWrite::kDeleteRequestsOfGuest,
                              [&](auto& io) { io("bid_guest_id", guest.guest_id); }));
    NOM_RETURN_IF_ERROR(Write(RowWrite::kDeleteTier, key));
    return Write(RowWrite::kDeleteBidFences, key);
  }

  absl::Status operator()(const PutBid& put) {
    const StandingBid& bid = put.bid;
    NOM_RETURN_IF_ERROR((*this)(DropBid{{bid.guest_id, bid.kind}, bid.fence}));
    const std::string valuation = bid.valuation == nullptr ? "" : ToText(*bid.valuation);
    NOM_RETURN_IF_ERROR(
        Write(RowWrite::kInsertBid, [&](auto& io) { BidColumns(io, bid, valuation); }));
    int64_t position = 0;
    for (const policies::Range& range : bid.ranges) {
      NOM_RETURN_IF_ERROR(Write(RowWrite::kInsertBidRange, [&](auto& io) {
        BidRangeColumns(io, bid.guest_id, bid.kind, position, range);
      }));
      ++position;
    }
    return absl::OkStatus();
  }

  absl::Status operator()(const DropBid& drop) {
    const auto& [guest_id, kind] = drop.key;
    NOM_RETURN_IF_ERROR(Write(
        RowWrite::kDeleteBid,
        [&, &guest_id = guest_id, &kind = kind](auto& io) { BidKeyColumns(io, guest_id, kind); }));
    if (drop.fence.fence == 0) return absl::OkStatus();
    return Write(RowWrite::kPutBidFence, [&, &guest_id = guest_id, &kind = kind](auto& io) {
      BidFenceColumns(io, guest_id, kind, drop.fence);
    });
  }

  absl::Status operator()(const PutTier& put) {
    const GuestTier& tier = put.tier;
    NOM_RETURN_IF_ERROR((*this)(DropTier{tier.guest_id}));
    NOM_RETURN_IF_ERROR(Write(RowWrite::kInsertTier, [&](auto& io) { TierColumns(io, tier); }));
    for (const UnitsOfKind& most : tier.most) {
      NOM_RETURN_IF_ERROR(Write(RowWrite::kInsertTierUnits,
                                [&](auto& io) { TierUnitsColumns(io, tier.guest_id, most); }));
    }
    return absl::OkStatus();
  }

  absl::Status operator()(const DropTier& drop) {
    return Write(RowWrite::kDeleteTier, [&](auto& io) { io("guest_id", drop.guest_id); });
  }

  absl::Status operator()(const PutRound& put) {
    const Round& round = put.round;
    const uint64_t none = 0;
    NOM_RETURN_IF_ERROR(Write(RowWrite::kInsertHost, [&](auto& io) {
      HostColumns(io, round.host_id, book_, none, none);
    }));
    NOM_RETURN_IF_ERROR(
        Write(RowWrite::kInsertRound, [&](auto& io) { RoundColumns(io, book_, id_, round); }));
    NOM_RETURN_IF_ERROR(Auctions(put));
    return Outcomes(round, round.outcomes);
  }

  absl::Status operator()(const UpdateRound& update) {
    // The outcomes first: those of a closed round can't be changed.
    NOM_RETURN_IF_ERROR(
        Outcomes(update.round, update.changed ? *update.changed : update.round.outcomes));
    return Write(RowWrite::kUpdateRound, [&](auto& io) {
      RoundKeyColumns(io, update.round.host_id, update.round.round_id);
      RoundStandingColumns(io, update.round);
    });
  }

  absl::Status operator()(const OpenContract& open) {
    const Contract& contract = open.contract;
    NOM_RETURN_IF_ERROR(Write(RowWrite::kInsertContract,
                              [&](auto& io) { ContractColumns(io, book_, id_, contract); }));
    for (const Lot& lot : contract.lots) {
      NOM_RETURN_IF_ERROR(Write(RowWrite::kInsertLot, [&](auto& io) {
        LotColumns(io, book_, contract.contract_id, lot);
      }));
    }
    return absl::OkStatus();
  }

  absl::Status operator()(const UpdateContract& update) {
    return Update(update.contract, update.settles_only);
  }

  absl::Status Update(const Contract& contract, bool settles_only) {
    // A database has indexes over what else stands in the row: these columns alone are cheap.
    if (settles_only) {
      return Write(RowWrite::kSettleContract, [&](auto& io) {
        ContractKeyColumns(io, book_, contract.contract_id);
        ContractSettledColumns(io, contract);
      });
    }
    return Write(RowWrite::kUpdateContract, [&](auto& io) {
      ContractKeyColumns(io, book_, contract.contract_id);
      ContractStandingColumns(io, contract);
    });
  }

  absl::Status operator()(const OpenOffer& open) {
    const Offer& offer = open.offer;
    NOM_RETURN_IF_ERROR(
        Write(RowWrite::kInsertOffer, [&](auto& io) { OfferColumns(io, book_, id_, offer); }));
    for (const Lot& lot : offer.contract.lots) {
      NOM_RETURN_IF_ERROR(Write(RowWrite::kInsertOfferLot, [&](auto& io) {
        OfferLotColumns(io, book_, offer.offer_id, lot);
      }));
    }
    return absl::OkStatus();
  }

  absl::Status operator()(const UpdateOffer& update) {
    return Write(RowWrite::kUpdateOffer, [&](auto& io) {
      OfferKeyColumns(io, book_, update.offer.offer_id);
      OfferStandingColumns(io, update.offer);
    });
  }

  absl::Status operator()(const SendTransfer& send) {
    return Write(RowWrite::kInsertTransfer,
                 [&](auto& io) { TransferColumns(io, book_, id_, send.transfer); });
  }

  absl::Status operator()(const AcceptTransfer& accept) {
    const Transfer& transfer = accept.transfer;
    return Write(RowWrite::kAcceptTransfer, [&](auto& io) {
      io("accepted_transaction_id", id_);
      io("transfer_id", transfer.transfer_id);
      io("from_book", transfer.from_book);
      io("to_book", book_);
      io("owner", transfer.owner);
      io("amount_microcredits", transfer.amount_microcredits);
    });
  }

  absl::Status operator()(const PutHost& put) {
    return Write(RowWrite::kPutHost, [&](auto& io) {
      HostColumns(io, put.host_id, book_, put.boot_id, put.in_force_round_id);
    });
  }

  absl::Status operator()(const PutRequest& put) {
    const Request& request = put.request;
    const absl::StatusCode code = request.reply.status.code();
    const absl::string_view message = request.reply.status.message();
    NOM_RETURN_IF_ERROR(Write(RowWrite::kPutRequest, [&](auto& io) {
      RequestColumns(io, book_, request, code, message);
    }));
    if (request.bid_guest_id == 0) return absl::OkStatus();
    return Write(RowWrite::kForgetRequests, [&](auto& io) {
      io("bid_guest_id", request.bid_guest_id);
      io("owner", request.key.owner);
      io("kept", kBidRequestsKept);
    });
  }

 private:
  absl::Status Auctions(const PutRound& put) {
    const Round& round = put.round;
    const bool is_joint = round.certificate.has_value();
    if (put.auctions.size() != (is_joint ? 1 : round.prices.size())) {
      return absl::InternalError("a round needs one auction for each price, or one for all");
    }
    if (is_joint) {
      const AuctionRecord& all = put.auctions.front();
      const std::string packed = PackText(all.auction);
      NOM_RETURN_IF_ERROR(Write(RowWrite::kInsertJointAuction, [&](auto& io) {
        RoundKeyColumns(io, round.host_id, round.round_id);
        RecordColumns(io, all.rule, all.method, all.fault, packed, all.work_max, all.chain);
        CertificateColumns(io, *round.certificate);
      }));
    }
    for (size_t i = 0; i < round.prices.size(); ++i) {
      const ResourcePrice& price = round.prices[i];
      const AuctionRecord& record = put.auctions[is_joint ? 0 : i];
      const std::string packed = is_joint ? "" : PackText(record.auction);  // With all kinds.
      NOM_RETURN_IF_ERROR(Write(RowWrite::kInsertAuction, [&](auto& io) {
        RoundKeyColumns(io, round.host_id, round.round_id);
        PriceColumns(io, price);
        RecordColumns(io, price.rule, price.method, record.fault, packed, record.work_max,
                      record.chain);
      }));
      if (!price.measures) continue;
      NOM_RETURN_IF_ERROR(Write(RowWrite::kInsertMeasures, [&](auto& io) {
        MeasuresColumns(io, round.host_id, round.round_id, price.kind, *price.measures);
      }));
    }
    return absl::OkStatus();
  }

  absl::Status Outcomes(const Round& round, const std::vector<Outcome>& outcomes) {
    for (const Outcome& outcome : outcomes) {
      NOM_RETURN_IF_ERROR(Write(RowWrite::kPutOutcome, [&](auto& io) {
        OutcomeColumns(io, round.host_id, round.round_id, outcome);
      }));
    }
    return absl::OkStatus();
  }

  absl::Status Write(RowWrite write, const auto& columns) {
    writer_.Clear();
    columns(writer_);
    return sink_(RowChange{write, writer_.columns()});
  }

  const int64_t book_;
  const Transaction& transaction_;
  const uint64_t id_;
  const RowSink& sink_;
  int64_t events_ = 0;  // Written so far.
  ColumnWriter writer_;
};

struct ChangeOnce {
  const Change* change = nullptr;
  bool settles_only = true;  // Of a contract: so were all that were made of it.
};

// A guest that is put several times, or a contract that is, is written once: as it stands in the
// end, where it first was, so that what refers to it finds it. One that leaves is written when it
// does: then what was written for it before goes.
std::vector<ChangeOnce> EachOnce(const std::vector<Change>& changes) {
  std::map<GuestId, size_t> guests;
  std::map<ContractId, size_t> contracts;
  std::vector<ChangeOnce> out;
  const auto add = [&out](auto& places, auto id, const Change& change) -> ChangeOnce& {
    const auto [place, is_new] = places.try_emplace(id, out.size());
    if (is_new) out.push_back({&change});
    out[place->second].change = &change;
    return out[place->second];
  };
  for (const Change& change : changes) {
    const auto* put = std::get_if<PutGuest>(&change);
    const auto* update = std::get_if<UpdateContract>(&change);
    if (put != nullptr && put->guest.state != GuestState::kEvicted) {
      add(guests, put->guest.guest_id, change);
    } else if (update != nullptr) {
      ChangeOnce& once = add(contracts, update->contract.contract_id, change);
      once.settles_only = once.settles_only && update->settles_only;
    } else {
      out.push_back({&change});
    }
  }
  return out;
}

}  // namespace

const RowShape& ShapeOf(RowWrite write) { return kShapes.at(static_cast<size_t>(write)); }

absl::Status ToRows(int64_t book, const Transaction& transaction, const std::string& digest,
                    const RowSink& sink) {
  Rows rows(book, transaction, sink);
  NOM_RETURN_IF_ERROR(rows.Begin(digest));
  NOM_RETURN_IF_ERROR(rows.Entries());
  for (const auto& [change, settles_only] : EachOnce(transaction.changes)) {
    const auto* update = std::get_if<UpdateContract>(change);
    NOM_RETURN_IF_ERROR(update != nullptr ? rows.Update(update->contract, settles_only)
                                          : std::visit(rows, *change));
  }
  return absl::OkStatus();
}

}  // namespace nom::market
