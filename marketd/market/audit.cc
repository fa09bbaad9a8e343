#include "marketd/market/audit.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/money.h"
#include "policies/cases/case_file.h"

namespace nom::market {
namespace {

class Findings {
 public:
  explicit Findings(std::vector<std::string>& out) : out_(out) {}
  void Add(std::string what) {
    if (out_.size() < kFindingsMax) out_.push_back(std::move(what));
  }

 private:
  std::vector<std::string>& out_;
};

constexpr const char* kAccountNames[] = {"",        "available", "escrow",
                                         "arrears", "revenue",   "deposits"};

void CompareBooks(const std::map<TenantId, Balances>& stored,
                  const std::map<TenantId, Balances>& rebuilt, Findings& findings) {
  std::map<TenantId, std::pair<Balances, Balances>> both;
  for (const auto& [tenant_id, balances] : stored) both[tenant_id].first = balances;
  for (const auto& [tenant_id, balances] : rebuilt) both[tenant_id].second = balances;
  for (const auto& [tenant_id, pair] : both) {
    Microcredits sum = 0;
    for (int a = 1; a <= kAccountsCount; ++a) {
      const auto account = static_cast<Account>(a);
      const Microcredits is = pair.first[account];
      const Microcredits should = pair.second[account];
      sum = SaturatingAdd(sum, is);
      if (is != should) {
        findings.Add(absl::StrCat("tenant ", tenant_id, ", ", kAccountNames[a], ": the balance is ",
                                  is, ", its entries add up to ", should));
      }
    }
    if (sum != 0) {
      findings.Add(absl::StrCat("tenant ", tenant_id, ": the accounts sum to ", sum, ", not 0"));
    }
    if (pair.first.available < 0 || pair.first.escrow < 0 || pair.first.arrears > 0) {
      findings.Add(absl::StrCat("tenant ", tenant_id,
                                ": available or escrow is below zero, or arrears above it"));
    }
  }
}

void Replay(const AuctionRecord& record, const Round& round, const ClearFunction& clear,
            Findings& findings) {
  const std::string at = absl::StrCat("host ", record.host_id, ", round ", record.round_id,
                                      ", resource ", static_cast<int>(record.kind), ": ");
  const absl::StatusOr<policies::Auction> auction = policies::ParseAuction(record.auction);
  if (!auction.ok()) {
    findings.Add(absl::StrCat(at, "its auction can't be read: ", auction.status().message()));
    return;
  }
  const absl::StatusOr<policies::Clearing> clearing = clear(record.rule, *auction, record.work_max);
  if (!clearing.ok()) {
    findings.Add(absl::StrCat(at, "can't be cleared again: ", clearing.status().message()));
    return;
  }
  std::map<GuestId, std::pair<int64_t, Microcredits>> again;
  for (const policies::Award& award : clearing->awards) {
    again[award.guest_id] = {award.units, award.charge_microcredits};
  }
  for (const Outcome& outcome : round.outcomes) {
    if (outcome.kind != record.kind) continue;
    const auto it = again.find(outcome.guest_id);
    const std::pair<int64_t, Microcredits> should =
        it == again.end() ? std::pair<int64_t, Microcredits>{0, 0} : it->second;
    if (should != std::pair(outcome.award_units, outcome.charge_microcredits)) {
      findings.Add(absl::StrCat(at, "guest ", outcome.guest_id, " was awarded ",
                                outcome.award_units, " for ", outcome.charge_microcredits,
                                "; cleared again: ", should.first, " for ", should.second));
    }
    if (it != again.end()) again.erase(it);
  }
  for (const auto& [guest_id, award] : again) {
    findings.Add(absl::StrCat(at, "guest ", guest_id, " wins ", award.first,
                              " when cleared again, and has no outcome"));
  }
  for (const ResourcePrice& price : round.prices) {
    if (price.kind == record.kind &&
        price.unit_price_microcredits != clearing->clearing_unit_price_microcredits) {
      findings.Add(absl::StrCat(at, "the price was ", price.unit_price_microcredits,
                                "; cleared again: ", clearing->clearing_unit_price_microcredits));
    }
  }
}

}  // namespace

absl::StatusOr<AuditResult> Audit(LedgerReader& reader, uint64_t rounds_max,
                                  const ClearFunction& clear) {
  AuditResult result;
  Findings findings(result.findings);

  std::map<TenantId, Balances> rebuilt;
  uint64_t current = 0;
  std::map<TenantId, Microcredits> sums;
  const auto close_transaction = [&] {
    for (const auto& [tenant_id, sum] : sums) {
      if (sum != 0) {
        findings.Add(absl::StrCat("transaction ", current, ": its entries of tenant ", tenant_id,
                                  " sum to ", sum, ", not 0"));
      }
    }
    sums.clear();
  };
  LedgerReader::Counts counts;
  absl::StatusOr<std::map<TenantId, Balances>> stored = reader.ReadBooks(
      [&](uint64_t transaction_id, const Entry& entry) {
        if (transaction_id != current) close_transaction();
        current = transaction_id;
        Microcredits& sum = sums[entry.tenant_id];
        sum = SaturatingAdd(sum, entry.amount_microcredits);
        Microcredits& balance = rebuilt[entry.tenant_id][entry.account];
        balance = SaturatingAdd(balance, entry.amount_microcredits);
        return absl::OkStatus();
      },
      &counts);
  if (!stored.ok()) return stored.status();
  close_transaction();
  CompareBooks(*stored, rebuilt, findings);
  result.transactions = counts.transactions;
  result.entries = counts.entries;
  for (const auto& [tenant_id, balances] : rebuilt) {
    result.revenue_microcredits = SaturatingAdd(result.revenue_microcredits, balances.revenue);
    result.deposits_microcredits = SaturatingAdd(result.deposits_microcredits, -balances.deposits);
  }

  std::pair<HostId, RoundId> last;
  const absl::Status read =
      reader.ReadAuctions(rounds_max, [&](const AuctionRecord& record, const Round& round) {
        if (std::pair(record.host_id, record.round_id) != last) ++result.rounds_replayed;
        last = {record.host_id, record.round_id};
        if (!record.fault.empty()) {
          ++result.auctions_repeated;
        } else {
          ++result.auctions_replayed;
          Replay(record, round, clear, findings);
        }
        return absl::OkStatus();
      });
  if (!read.ok()) return read;
  return result;
}

}  // namespace nom::market
