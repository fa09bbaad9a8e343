// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/transaction.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/money.h"
#include "marketd/base/status.h"
#include "marketd/market/measures.h"

namespace nom::market {
namespace {

// Changes, one overload a kind.
struct Applier {
  State& state;

  void operator()(const PutTenant& put) const { state.tenants[put.tenant.tenant_id] = put.tenant; }

  void operator()(const PutGuest& put) const {
    const GuestId id = put.guest.guest_id;
    state.last_guest_id = std::max(state.last_guest_id, id);
    const auto before = state.guests.find(id);
    if (put.guest.state == GuestState::kEvicted) {
      if (before != state.guests.end()) Unlist(before->second);
      state.guests.erase(id);
      state.admissions.erase(id);
      state.tiers.erase(id);
      ForgetBidRequests(id);
      const auto first = state.bid_fences.lower_bound({id, ResourceKind{0}});
      state.bid_fences.erase(first, state.bid_fences.lower_bound({id + 1, ResourceKind{0}}));
      return;
    }
    HostIndex& index = state.host_index[put.guest.host_id];
    if (before == state.guests.end()) {
      index.Add(put.guest);
      state.guests[id] = put.guest;
      state.guests[id].spent_microcredits = 0;
      return;
    }
    index.Change(before->second, put.guest);
    const Microcredits spent = before->second.spent_microcredits;
    before->second = put.guest;
    before->second.spent_microcredits = spent;
  }

  void Unlist(const Guest& guest) const {
    const auto host = state.host_index.find(guest.host_id);
    host->second.Remove(guest);
    if (host->second.empty()) state.host_index.erase(host);
  }

  void operator()(const PutBid& put) const {
    const BidKey key{put.bid.guest_id, put.bid.kind};
    state.bids[key] = put.bid;
    if (put.bid.fence.fence != 0) state.bid_fences[key] = put.bid.fence;
  }

  void operator()(const DropBid& drop) const {
    state.bids.erase(drop.key);
    if (drop.fence.fence != 0) state.bid_fences[drop.key] = drop.fence;
  }

  void operator()(const PutTier& put) const { state.tiers[put.tier.guest_id] = put.tier; }
  void operator()(const DropTier& drop) const { state.tiers.erase(drop.guest_id); }

  void operator()(const PutRound& put) const {
    HostBook& book = Book(put.round.host_id);
    book.last_decided_round_id = put.round.round_id;
    book.prices = put.round.prices;
    NotePrices(put.round, book);
    NoteAsks(put.round, book);
    book.open_rounds[put.round.round_id] = put.round;
  }

  void operator()(const UpdateRound& update) const {
    HostBook& book = Book(update.round.host_id);
    if (update.round.phase == RoundPhase::kSettled || update.round.phase == RoundPhase::kReleased) {
      book.open_rounds.erase(update.round.round_id);
    } else {
      book.open_rounds[update.round.round_id] = update.round;
    }
  }

  void operator()(const OpenContract& open) const {
    state.last_contract_id = std::max(state.last_contract_id, open.contract.contract_id);
    state.PutContract(open.contract);
  }

  void operator()(const UpdateContract& update) const { state.PutContract(update.contract); }

  void operator()(const OpenOffer& open) const {
    state.last_offer_id = std::max(state.last_offer_id, open.offer.offer_id);
    state.offers[open.offer.offer_id] = open.offer;
  }

  void operator()(const UpdateOffer& update) const {
    if (update.offer.closed.empty()) {
      state.offers[update.offer.offer_id] = update.offer;
    } else {
      state.offers.erase(update.offer.offer_id);
    }
  }

  // Their money is in the entries; what is on its way is the ledger's to know.
  void operator()(const SendTransfer&) const {}
  void operator()(const AcceptTransfer&) const {}

  void operator()(const PutHost& put) const {
    HostBook& book = Book(put.host_id);
    book.boot_id = put.boot_id;
    book.in_force_round_id = put.in_force_round_id;
  }

  void operator()(const LogEvent&) const {}

  void operator()(const PutRequest& put) const {
    const Request& request = put.request;
    const bool fresh = state.requests.insert_or_assign(request.key, request).second;
    if (Admits(request) && state.guests.contains(request.reply.guest_id)) {
      state.admissions.try_emplace(request.reply.guest_id, request.key);
    }
    if (!fresh || request.bid_guest_id == 0) return;
    auto& ids = state.bid_requests[{request.bid_guest_id, request.key.owner}];
    ids.push_back(request.key.request_id);
    if (ids.size() <= kBidRequestsKept) return;
    state.requests.erase({request.key.owner, ids.front()});
    ids.erase(ids.begin());
  }

  void ForgetBidRequests(GuestId guest_id) const {
    auto& index = state.bid_requests;
    for (auto it = index.lower_bound({guest_id, ""}); it != index.end();) {
      if (it->first.first != guest_id) break;
      for (const std::string& id : it->second) state.requests.erase({it->first.second, id});
      it = index.erase(it);
    }
  }

  static void NotePrices(const Round& round, HostBook& book) {
    for (const ResourcePrice& price : round.prices) {
      book.past_prices[price.kind].push_back(
          {round.round_id, price.unit_price_microcredits,
           price.measures ? price.measures->best_unit_price_microcredits : std::nullopt});
    }
    for (auto of_kind = book.past_prices.begin(); of_kind != book.past_prices.end();) {
      std::vector<PastPrice>& past = of_kind->second;
      const auto kept = std::find_if(past.begin(), past.end(), [&round](const PastPrice& price) {
        return price.round_id + kPastPricesMax > round.round_id;
      });
      past.erase(past.begin(), kept);
      of_kind = past.empty() ? book.past_prices.erase(of_kind) : std::next(of_kind);
    }
  }

  static void NoteAsks(const Round& round, HostBook& book) {
    if (round.objective == policies::kLeastSatisfied) {
      PastAsks past{round.round_id, AsksOf(round)};
      if (!past.asks.empty()) book.past_asks.push_back(std::move(past));
    }
    std::erase_if(book.past_asks, [&round](const PastAsks& past) {
      return past.round_id + kPastAsksMax <= round.round_id;
    });
  }

  HostBook& Book(const HostId& host_id) const {
    HostBook& book = state.hosts[host_id];
    book.host_id = host_id;
    return book;
  }
};

// The entries of one guest stand together.
constexpr size_t kEntriesLookedAt = 8;

// What of a round's outcomes is not as the state has it.
std::vector<Outcome> ChangedOutcomes(const Round& round, const State& state) {
  const auto host = state.hosts.find(round.host_id);
  if (host == state.hosts.end()) return round.outcomes;
  const auto before = host->second.open_rounds.find(round.round_id);
  if (before == host->second.open_rounds.end()) return round.outcomes;
  const std::vector<Outcome>& known = before->second.outcomes;
  std::vector<Outcome> changed;
  auto at = known.begin();
  for (const Outcome& outcome : round.outcomes) {
    const auto key = [](const Outcome& o) { return std::pair(o.guest_id, o.kind); };
    while (at != known.end() && key(*at) < key(outcome)) ++at;
    if (at == known.end() || *at != outcome) changed.push_back(outcome);
  }
  return changed;
}

bool SettlesOnly(const Contract& contract, const State& state) {
  const Contract* const before = state.contracts.Find(contract.contract_id);
  if (before == nullptr) return false;
  Contract settled = *before;
  settled.escrow_microcredits = contract.escrow_microcredits;
  settled.paid_microcredits = contract.paid_microcredits;
  settled.settled_through = contract.settled_through;
  return settled == contract;
}

}  // namespace

absl::Status ApplyEntry(const Entry& entry, State& state) {
  for (const Owner& owner : {entry.from.owner, entry.to.owner}) {
    if (owner != kOperator && !state.tenants.contains(owner)) {
      return absl::NotFoundError(absl::StrCat("tenant ", owner, ": unknown"));
    }
  }
  if (absl::Status s = Post(entry, state.purses); !s.ok()) return s;
  if (entry.guest_id == 0 || !IsPayment(entry)) return absl::OkStatus();
  const auto guest = state.guests.find(entry.guest_id);
  if (guest != state.guests.end()) {
    guest->second.spent_microcredits =
        SaturatingAdd(guest->second.spent_microcredits, entry.amount_microcredits);
  }
  return absl::OkStatus();
}

void ApplyChange(const Change& change, State& state) { std::visit(Applier{state}, change); }

Scribe::Scribe(State& state, absl::Time now, std::string kind) : state_(state) {
  transaction_.transaction_id = state.last_transaction_id + 1;
  // Ledgers keep microseconds; what is in memory must not know more than what comes back.
  transaction_.time = absl::FromUnixMicros(absl::ToUnixMicros(now));
  transaction_.kind = std::move(kind);
}

void Scribe::Move(Account from, Account to, GuestId guest_id, Microcredits amount) {
  NOM_CHECK(amount >= 0, "money moves forward");
  if (amount == 0) return;
  Entry entry{std::move(from), std::move(to), guest_id, amount};
  const absl::Status status = ApplyEntry(entry, state_);
  NOM_CHECK(status.ok(), status.ToString());
  Record(std::move(entry));
}

void Scribe::Record(Entry entry) {
  // Joined to an earlier one it is posted earlier when the entries are gone through again: nothing
  // between the two may have given what it takes, or taken from where it goes.
  std::vector<Entry>& entries = transaction_.entries;
  const size_t oldest = entries.size() - std::min(entries.size(), kEntriesLookedAt);
  for (size_t i = entries.size(); i > oldest; --i) {
    Entry& before = entries[i - 1];
    if (before.from == entry.from && before.to == entry.to && before.guest_id == entry.guest_id) {
      before.amount_microcredits += entry.amount_microcredits;
      return;
    }
    if (before.to == entry.from || before.from == entry.to) break;
  }
  entries.push_back(std::move(entry));
}

void Scribe::Write(Change change) {
  if (auto* update = std::get_if<UpdateRound>(&change)) {
    update->changed = ChangedOutcomes(update->round, state_);
  } else if (auto* standing = std::get_if<UpdateContract>(&change)) {
    standing->settles_only = SettlesOnly(standing->contract, state_);
  }
  ApplyChange(change, state_);
  transaction_.changes.push_back(std::move(change));
}

Transaction Scribe::Finish() && {
  if (!empty()) state_.last_transaction_id = transaction_.transaction_id;
  return std::move(transaction_);
}

}  // namespace nom::market
