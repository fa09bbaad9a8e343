// SPDX-License-Identifier: Apache-2.0
// Which columns each noun has: said once, for those who write rows and those who read them. `io` is
// one of the visitors of columns.h; what it is given is const where it only writes.
//
// In the order of a table's columns: its key; what is written once; how it stands, which may be
// written again.

#ifndef MARKETD_LEDGER_ROWS_NOUNS_H_
#define MARKETD_LEDGER_ROWS_NOUNS_H_

#include "marketd/ledger/rows/columns.h"
#include "marketd/market/transaction.h"

namespace nom::market {

void TransactionColumns(auto& io, auto& book, auto& transaction, auto& digest) {
  io("book", book);
  io("transaction_id", transaction.transaction_id);
  io("time_us", transaction.time);
  io("kind", transaction.kind);
  io("digest", digest);
}

void EntryColumns(auto& io, auto& book, auto& transaction_id, auto& position, auto& entry) {
  io("book", book);
  io("transaction_id", transaction_id);
  io("position", position);
  io("from_owner", entry.from.owner);
  io("from_kind", entry.from.kind);
  io("to_owner", entry.to.owner);
  io("to_kind", entry.to.kind);
  io("guest_id", entry.guest_id);
  io("amount_microcredits", entry.amount_microcredits);
}

void PurseColumns(auto& io, auto& book, auto& owner, auto& purse) {
  io("book", book);
  io("owner", owner);
  io("available", purse.available);
  io("escrow", purse.escrow);
  io("arrears", purse.arrears);
  io("transit", purse.transit);
  io("revenue", purse.revenue);
  io("issued", purse.issued);
  io("deposited", purse.deposited);
  io("spent", purse.spent);
  io("earned", purse.earned);
}

void TenantColumns(auto& io, auto& book, auto& tenant) {
  io("book", book);
  io("tenant_id", tenant.tenant_id);
  io("display_name", tenant.display_name);
  io("last_token_id", tenant.last_token_id);
}

void TokenKeyColumns(auto& io, auto& book, auto& tenant_id) {
  io("book", book);
  io("tenant_id", tenant_id);
}
void TokenColumns(auto& io, auto& book, auto& tenant_id, auto& token) {
  TokenKeyColumns(io, book, tenant_id);
  io("token_id", token.token_id);
  io("hash", token.hash);
  io("label", token.label);
  io("scope", token.scope);
  io("created_us", token.created_time);
  io("expires_us", token.expire_time);
}

// `who` did it: "by" is a word of SQL's.
void EventColumns(auto& io, auto& book, auto& transaction_id, auto& position, auto& event) {
  io("book", book);
  io("transaction_id", transaction_id);
  io("position", position);
  io("kind", event.kind);
  io("who", event.by);
  io("who_token_id", event.by_token_id);
  io("tenant_id", event.tenant_id);
  io("host_id", event.host_id);
  io("guest_id", event.guest_id);
  io("token_id", event.token_id);
  io("amount_microcredits", event.amount_microcredits);
  io("detail", event.detail);
}

// `spent_microcredits` is moved by entries alone.
void GuestColumns(auto& io, auto& guest, auto& spent_microcredits) {
  io("guest_id", guest.guest_id);
  io("host_id", guest.host_id);
  io("tenant_id", guest.tenant_id);
  io("name", guest.name);
  io("image", guest.image);
  io("arguments", guest.arguments);
  io("memory_max_units", guest.memory_max_units);
  io("spent_microcredits", spent_microcredits);
  io("state", guest.state);
  io("exit_reason", guest.exit_reason);
  io("has_run", guest.has_run);
  io("age_us", guest.metered.age_us);
  io("alive_us", guest.metered.alive_us);
  io("end_cause", guest.end_cause);
  io("arrears_rounds", guest.arrears_rounds);
}

void SeedColumns(auto& io, auto& guest_id, auto& seed) {
  io("guest_id", guest_id);
  io("kind", seed.kind);
  io("units", seed.seed_units);
}

void MeterColumns(auto& io, auto& guest_id, auto& amount) {
  io("guest_id", guest_id);
  io("kind", amount.kind);
  io("offered_unit_us", amount.offered_unit_us);
  io("used_unit_us", amount.used_unit_us);
}

void BidKeyColumns(auto& io, auto& guest_id, auto& kind) {
  io("guest_id", guest_id);
  io("kind", AnyKind{kind});
}

// `valuation` is its text, empty for a bid for one kind.
void BidColumns(auto& io, auto& bid, auto& valuation) {
  BidKeyColumns(io, bid.guest_id, bid.kind);
  io("valuation", valuation);
  io("budget_microcredits", bid.budget_microcredits);
  io("first_round_id", bid.first_round_id);
  io("last_round_id", bid.last_round_id);
  io("lease_rounds", bid.lease_rounds);
}

void BidFenceColumns(auto& io, auto& guest_id, auto& kind, auto& fence) {
  BidKeyColumns(io, guest_id, kind);
  io("fence", fence.fence);
  io("sequence", fence.sequence);
}

void BidRangeColumns(auto& io, auto& guest_id, auto& kind, auto& position, auto& range) {
  io("guest_id", guest_id);
  io("kind", kind);
  io("position", position);
  io("min_units", range.min_units);
  io("max_units", range.max_units);
  io("value_at_min_microcredits", range.value_at_min_microcredits);
  io("unit_price_microcredits", range.unit_price_microcredits);
}

void TierColumns(auto& io, auto& tier) {
  io("guest_id", tier.guest_id);
  io("tier", tier.tier);
  io("ceiling_microcredits", tier.ceiling_microcredits);
  io("slot", tier.slot);
}

void TierUnitsColumns(auto& io, auto& guest_id, auto& most) {
  io("guest_id", guest_id);
  io("kind", most.kind);
  io("units", most.units);
}

void HostColumns(auto& io, auto& host_id, auto& book, auto& boot_id, auto& in_force_round_id) {
  io("host_id", host_id);
  io("book", book);
  io("boot_id", boot_id);
  io("in_force_round_id", in_force_round_id);
}

void RoundKeyColumns(auto& io, auto& host_id, auto& round_id) {
  io("host_id", host_id);
  io("round_id", round_id);
}
void RoundStandingColumns(auto& io, auto& round) {
  io("phase", round.phase);
  io("applied_us", round.applied_time);
  io("reason", round.reason);
}
void RoundColumns(auto& io, auto& book, auto& transaction_id, auto& round) {
  RoundKeyColumns(io, round.host_id, round.round_id);
  io("book", book);
  io("transaction_id", transaction_id);
  io("start_us", round.start_time);
  io("close_us", round.close_time);
  io("decided_us", round.decided_time);
  io("effective_us", round.effective_time);
  io("period_us", round.period);
  io("objective", round.objective);
  RoundStandingColumns(io, round);
}

// Of an AuctionRecord, in auctions and in joint_auctions.
void RecordColumns(auto& io, auto& rule, auto& method, auto& fault, auto& auction, auto& work_max,
                   auto& chain) {
  io("rule", rule);
  io("method", method);
  io("fault", fault);
  io("auction", auction);
  io("work_max", work_max);
  io("chain", chain);
}

// A kind's price, but for its rule and method.
void PriceColumns(auto& io, auto& price) {
  io("kind", price.kind);
  io("unit_price_microcredits", price.unit_price_microcredits);
  io("reserve_unit_price_microcredits", price.reserve_unit_price_microcredits);
  io("reserve_policy", price.reserve_policy);
  io("reserve_change_microcredits", price.reserve_change_microcredits);
  io("supply_units", price.supply_units);
  io("contracted_units", price.contracted_units);
  io("demand_units", price.demand_units);
  io("sold_units", price.sold_units);
  io("highest_rejected_unit_price_microcredits", price.highest_rejected_unit_price_microcredits);
  io("bound_by", price.bound_by);
}

void MeasuresColumns(auto& io, auto& host_id, auto& round_id, auto& kind, auto& measures) {
  RoundKeyColumns(io, host_id, round_id);
  io("kind", kind);
  io("welfare_microcredits", measures.welfare_microcredits);
  io("welfare_bound_microcredits", measures.welfare_bound_microcredits);
  io("maximised_microcredits", measures.maximised_microcredits);
  io("maximised_bound_microcredits", measures.maximised_bound_microcredits);
  io("revenue_microcredits", measures.revenue_microcredits);
  io("moved_units", measures.moved_units);
  io("jain_index_ppm", measures.jain_index_ppm);
  io("best_unit_price_microcredits", measures.best_unit_price_microcredits);
}

// But for its method.
void CertificateColumns(auto& io, auto& certificate) {
  io("welfare_microcredits", certificate.welfare_microcredits);
  io("welfare_bound_microcredits", certificate.welfare_bound_microcredits);
  io("charges_are_exact", certificate.charges_are_exact);
}

void OutcomeColumns(auto& io, auto& host_id, auto& round_id, auto& outcome) {
  RoundKeyColumns(io, host_id, round_id);
  io("guest_id", outcome.guest_id);
  io("kind", outcome.kind);
  io("tenant_id", outcome.tenant_id);
  io("seed_units", outcome.seed_units);
  io("award_units", outcome.award_units);
  io("contracted_units", outcome.contracted_units);
  io("charge_microcredits", outcome.charge_microcredits);
  io("reason", outcome.reason);
  io("asked_units", outcome.asked_units);
  io("settled", outcome.settled);
  io("settled_microcredits", outcome.settled_microcredits);
  io("rent_microcredits", outcome.rent_microcredits);
  io("delivered_milliunits", outcome.delivered_milliunits);
  io("used_milliunits", outcome.used_milliunits);
  io("held_us", outcome.held);
}

void ContractKeyColumns(auto& io, auto& book, auto& contract_id) {
  io("book", book);
  io("contract_id", contract_id);
}
void ContractSettledColumns(auto& io, auto& contract) {
  io("escrow_microcredits", contract.escrow_microcredits);
  io("settled_through_us", contract.settled_through);
  io("paid_microcredits", contract.paid_microcredits);
}
void ContractStandingColumns(auto& io, auto& contract) {
  ContractSettledColumns(io, contract);
  io("ended", contract.ended);
  io("left_from_round_id", contract.left_from_round_id);
  io("left_because", contract.left_because);
  io("renew_ceiling_microcredits", contract.renew_ceiling_microcredits);
  io("fees_microcredits", contract.fees_microcredits);
}
void ContractColumns(auto& io, auto& book, auto& transaction_id, auto& contract) {
  ContractKeyColumns(io, book, contract.contract_id);
  io("transaction_id", transaction_id);
  io("guest_id", contract.guest_id);
  io("tenant_id", contract.tenant_id);
  io("seller", contract.seller);
  io("part_of", contract.part_of);
  io("from_round_id", contract.from_round_id);
  io("until_round_id", contract.until_round_id);
  io("period_us", contract.period);
  io("policy", contract.policy);
  io("end_fee_ppm", contract.end_fee_ppm);
  ContractStandingColumns(io, contract);
}

void LotColumns(auto& io, auto& book, auto& contract_id, auto& lot) {
  ContractKeyColumns(io, book, contract_id);
  io("kind", lot.kind);
  io("units", lot.units);
  io("charge_microcredits", lot.charge_microcredits);
}

void OfferKeyColumns(auto& io, auto& book, auto& offer_id) {
  io("book", book);
  io("offer_id", offer_id);
}
void OfferStandingColumns(auto& io, auto& offer) {
  io("taken_as", offer.taken_as);
  io("closed", offer.closed);
}
void OfferColumns(auto& io, auto& book, auto& transaction_id, auto& offer) {
  OfferKeyColumns(io, book, offer.offer_id);
  io("transaction_id", transaction_id);
  io("host_id", offer.host_id);
  io("tenant_id", offer.tenant_id);
  io("guest_id", offer.guest_id);
  io("seller", offer.contract.seller);
  io("part_of", offer.contract.part_of);
  io("from_round_id", offer.contract.from_round_id);
  io("until_round_id", offer.contract.until_round_id);
  io("period_us", offer.contract.period);
  io("policy", offer.contract.policy);
  io("end_fee_ppm", offer.contract.end_fee_ppm);
  io("valid_until_us", offer.valid_until);
  OfferStandingColumns(io, offer);
}

void OfferLotColumns(auto& io, auto& book, auto& offer_id, auto& lot) {
  OfferKeyColumns(io, book, offer_id);
  io("kind", lot.kind);
  io("units", lot.units);
  io("charge_microcredits", lot.charge_microcredits);
}

// `from_book` and `to_book` as the ledger names them: by ordinal and by id.
void TransferColumns(auto& io, auto& from_book, auto& transfer_id, auto& transfer) {
  io("from_book", from_book);
  io("transfer_id", transfer_id);
  io("to_book", transfer.to_book);
  io("owner", transfer.owner);
  io("amount_microcredits", transfer.amount_microcredits);
}

// `code` and `message` are the reply's status.
void RequestColumns(auto& io, auto& book, auto& request, auto& code, auto& message) {
  io("book", book);
  io("owner", request.key.owner);
  io("request_id", request.key.request_id);
  io("bid_guest_id", request.bid_guest_id);
  io("transaction_id", request.transaction_id);
  io("fingerprint", request.fingerprint);
  io("status", code);
  io("message", message);
  io("guest_id", request.reply.guest_id);
  io("token_id", request.reply.token_id);
  io("round_id", request.reply.round_id);
  io("removed", request.reply.removed);
  io("available", request.reply.account.available);
  io("escrow", request.reply.account.escrow);
  io("arrears", request.reply.account.arrears);
  io("spent", request.reply.account.spent);
  io("offer_id", request.reply.offer_id);
  io("contract_id", request.reply.contract_id);
}

}  // namespace nom::market

#endif  // MARKETD_LEDGER_ROWS_NOUNS_H_
