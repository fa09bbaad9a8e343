// SPDX-License-Identifier: Apache-2.0
#include "client/cli/top_model.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/names.h"
#include "client/cli/table.h"

namespace nom::cli {
namespace {

// How many decided rounds to remember the bids of until they settle.
constexpr size_t kBidRoundsMax = 16;

// Of one of several resources that are bid for together; 0: it is not.
int64_t MostUnits(const market::v1::Valuation& valuation, market::v1::ResourceKind kind) {
  int64_t most = 0;
  for (const market::v1::BidCurve& curve : valuation.curves()) {
    if (curve.kind() != kind || curve.ranges().empty()) continue;
    most = curve.ranges(curve.ranges_size() - 1).max_units();
  }
  for (const market::v1::BidBundle& bundle : valuation.bundles()) {
    const int kinds = std::min(bundle.units_size(), valuation.bundle_kinds_size());
    for (int r = 0; r < kinds; ++r) {
      if (valuation.bundle_kinds(r) == kind) most = std::max(most, bundle.units(r));
    }
  }
  return most;
}

// The most that a bid asks for, and the most that it says one unit is worth.
std::string BidText(const std::vector<market::v1::Bid>& bids, market::v1::ResourceKind kind) {
  for (const market::v1::Bid& bid : bids) {
    if (const int64_t most = MostUnits(bid.valuation(), kind); most > 0) {
      return absl::StrCat(most, " together");
    }
    if (bid.kind() != kind || bid.ranges_size() == 0) continue;
    const market::v1::BidRange& first = bid.ranges(0);
    // By the unit; a first range of several units at once says what they are worth together.
    int64_t top = first.min_units() > 0 ? first.value_at_min_microcredits() / first.min_units() : 0;
    for (const market::v1::BidRange& range : bid.ranges()) {
      if (range.max_units() > range.min_units()) {
        top = std::max(top, range.unit_price_microcredits());
      }
    }
    return absl::StrCat(bid.ranges(bid.ranges_size() - 1).max_units(), " @ ", top);
  }
  return "-";
}

}  // namespace

void TopModel::OnWatch(const market::v1::WatchResponse& response) {
  if (response.has_state()) state_ = response.state();
  if (response.guests_size() > 0) {
    std::map<uint64_t, bool> told;
    for (const market::v1::GuestInfo& guest : response.guests()) {
      told[guest.guest_id()] = true;
      guests_[guest.guest_id()] = guest;
      const bool running = guest.state() == market::v1::GUEST_STATE_RUNNING;
      auto life = lives_.find(guest.guest_id());
      if (life == lives_.end()) {
        if (!running) continue;
        life = lives_.emplace(guest.guest_id(), GuestLife{.name = guest.name()}).first;
        life->second.first_round_id = state_.round_id();
      }
      if (!running && !life->second.ended) {
        life->second.ended = true;
        life->second.end_reason =
            guest.exit_reason().empty() ? GuestStateName(guest.state()) : guest.exit_reason();
      }
    }
    for (auto& [guest_id, life] : lives_) {
      if (told[guest_id] || life.ended) continue;
      life.ended = true;
      life.end_reason = "evicted";
    }
  }
  for (const market::v1::Account& account : response.accounts()) {
    accounts_[account.tenant_id()] = account;
  }
  const uint64_t priced = state_.priced_round_id();
  if (priced != 0 && bids_.find(priced) == bids_.end()) {
    auto& of_round = bids_[priced];
    for (const auto& [guest_id, guest] : guests_) {
      of_round[guest_id] = {guest.bids().begin(), guest.bids().end()};
    }
    while (bids_.size() > kBidRoundsMax) bids_.erase(bids_.begin());
  }
}

bool TopModel::NeedsOlder(const market::v1::ListRoundsResponse& rounds) const {
  return reported_round_id_ && rounds.rounds_size() > 0 && rounds.next_before_round_id() != 0 &&
         rounds.rounds(rounds.rounds_size() - 1).round_id() > *reported_round_id_ + 1;
}

std::vector<market::v1::Round> TopModel::OnRounds(const market::v1::ListRoundsResponse& rounds) {
  std::vector<market::v1::Round> settled;
  uint64_t newest = reported_round_id_.value_or(0);
  for (const market::v1::Round& round : rounds.rounds()) {
    if (round.phase() != market::v1::ROUND_PHASE_SETTLED) continue;
    newest = std::max(newest, round.round_id());
    if (reported_round_id_ && round.round_id() > *reported_round_id_) settled.push_back(round);
  }
  reported_round_id_ = newest;
  std::sort(settled.begin(), settled.end(),
            [](const auto& a, const auto& b) { return a.round_id() < b.round_id(); });
  rounds_settled_ += static_cast<int64_t>(settled.size());
  return settled;
}

void TopModel::Check(const market::v1::Round& round) {
  const RoundReport report =
      CheckRound(round, lives_, {state_.resources().begin(), state_.resources().end()});
  totals_.compared += report.compared;
  totals_.memory_worst_milliunits =
      std::max(totals_.memory_worst_milliunits, report.memory_worst_milliunits);
  totals_.cpu_worst_microcores =
      std::max(totals_.cpu_worst_microcores, report.cpu_worst_microcores);
  totals_.violations.insert(totals_.violations.end(), report.violations.begin(),
                            report.violations.end());
  totals_.not_compared.insert(totals_.not_compared.end(), report.not_compared.begin(),
                              report.not_compared.end());
}

void TopModel::Check(const operators::v1::ListHostsResponse& hosts) {
  for (const operators::v1::Host& host : hosts.hosts()) {
    if (host.host_id() != state_.host_id()) continue;
    for (std::string& violation : CheckHost(host)) {
      totals_.violations.push_back(std::move(violation));
    }
  }
}

void TopModel::Check(const operators::v1::AuditResponse& audit) {
  audit_ = audit;
  for (std::string& violation : CheckAudit(audit)) {
    totals_.violations.push_back(std::move(violation));
  }
}

std::string TopModel::FormatRound(const market::v1::Round& round, const Look& look) const {
  Look inside = look;
  inside.indent = 2;
  Table prices({"resource", ">price", "bound by", ">reserve", ">supply", ">demand", ">sold"});
  for (const market::v1::ResourcePrice& price : round.prices()) {
    prices.AddRow({KindName(price.kind()), absl::StrCat(price.unit_price_microcredits()),
                   BoundByName(price.bound_by()),
                   absl::StrCat(price.reserve_unit_price_microcredits()),
                   absl::StrCat(price.supply_units()), absl::StrCat(price.demand_units()),
                   absl::StrCat(price.sold_units())});
  }
  Table guests({"guest", "~state", "resource", ">bid", ">decided", ">measured", ">charge", "?~why",
                "?>work done", "?unit", ">spent", "?>balance", "?~activity"});
  uint64_t last_guest_id = 0;
  const auto bids = bids_.find(round.round_id());
  for (const market::v1::GuestOutcome& outcome : round.outcomes()) {
    const auto guest = guests_.find(outcome.guest_id());
    std::string bid = "-";
    if (bids != bids_.end()) {
      const auto of_guest = bids->second.find(outcome.guest_id());
      if (of_guest != bids->second.end()) bid = BidText(of_guest->second, outcome.kind());
    }
    std::vector<std::string> row = {
        absl::StrCat(outcome.guest_id()),
        "",
        KindName(outcome.kind()),
        std::move(bid),
        absl::StrCat(outcome.seed_units() + outcome.award_units() + outcome.contracted_units()),
        outcome.settled() ? FormatMilliunits(outcome.delivered_milliunits()) : "not settled",
        absl::StrCat(outcome.settled() ? outcome.settled_microcredits()
                                       : outcome.charge_microcredits()),
        AwardReasonText(outcome.reason(), FindPrice(round.prices(), outcome.kind()))};
    if (guest != guests_.end()) {
      const market::v1::GuestInfo& info = guest->second;
      row[0] = Printable(info.name());
      if (outcome.guest_id() != last_guest_id) {
        const auto account = accounts_.find(info.tenant_id());
        row[1] = GuestStateText(info);
        row.insert(row.end(), {absl::StrCat(info.work_done()), Printable(info.work_unit()),
                               absl::StrCat(info.spent_microcredits()),
                               account == accounts_.end()
                                   ? "-"
                                   : absl::StrCat(account->second.available_microcredits()),
                               Printable(info.activity())});
      }
    }
    if (outcome.guest_id() == last_guest_id) row[0].clear();
    last_guest_id = outcome.guest_id();
    guests.AddRow(std::move(row));
  }
  return absl::StrCat("round ", round.round_id(), " of ", Printable(round.host_id()), "\n",
                      prices.Format(inside), guests.empty() ? "" : guests.Format(inside));
}

std::string TopModel::FormatNow(const Look& look) const {
  std::vector<std::string> prices;
  for (const market::v1::ResourcePrice& price : state_.prices()) {
    prices.push_back(absl::StrCat(KindName(price.kind()), " ", price.unit_price_microcredits(),
                                  " (", BoundByName(price.bound_by()), ")"));
  }
  std::string line =
      absl::StrCat("host ", Printable(state_.host_id()), ", round ", state_.round_id(), " ",
                   PhaseName(state_.phase()), ", period ", state_.period_ms(), " ms",
                   prices.empty() ? "" : "; ", absl::StrJoin(prices, ", "));
  if (look.width > 0) line = line.substr(0, static_cast<size_t>(look.width));
  return Bold(line, look.colour) + "\n";
}

std::string TopModel::FormatSummary(bool checked) const {
  std::string text = absl::StrCat("summary: ", rounds_settled_, " rounds settled");
  if (!checked) return text + "\n";
  absl::StrAppend(&text, ", ", totals_.compared, " grants compared with the meters\n");
  absl::StrAppend(&text, "  largest difference: memory ",
                  FormatMilliunits(totals_.memory_worst_milliunits), " units (",
                  FormatMilliunits(kMemoryToleranceMilliunits), " allowed), cpu ",
                  FormatMilliunits(totals_.cpu_worst_microcores), " millicores (",
                  kCpuToleranceMillicores, " allowed)\n");
  if (audit_) {
    absl::StrAppend(&text, "  books: ", audit_->balanced() ? "balance" : "DO NOT BALANCE", "; ",
                    audit_->transactions(), " transactions, ", audit_->entries(), " entries, ",
                    audit_->rounds_replayed(), " rounds replayed, operator earned ",
                    audit_->operator_revenue_microcredits(), " of ",
                    audit_->deposits_microcredits(), " deposited\n");
  }
  for (const std::string& line : totals_.not_compared) absl::StrAppend(&text, "  ", line, "\n");
  for (const std::string& line : totals_.violations) {
    absl::StrAppend(&text, "  VIOLATION: ", line, "\n");
  }
  if (totals_.compared == 0) absl::StrAppend(&text, "  VIOLATION: nothing could be compared\n");
  absl::StrAppend(&text, good() ? "check passed\n" : "check FAILED\n");
  return text;
}

}  // namespace nom::cli
