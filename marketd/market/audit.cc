#include "marketd/market/audit.h"

#include <iterator>
#include <map>
#include <memory>
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

// Adds what a round's outcomes charged.
void AddCharged(const Round& round, std::map<TenantId, Microcredits>& sums) {
  for (const Outcome& outcome : round.outcomes) {
    Microcredits& sum = sums[outcome.tenant_id];
    sum = SaturatingAdd(sum, outcome.settled_microcredits);
    sum = SaturatingAdd(sum, outcome.rent_microcredits);
  }
}

bool Closed(const Round& round) {
  return round.phase == RoundPhase::kSettled || round.phase == RoundPhase::kReleased;
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

// In one look; then the look is let go.
constexpr uint64_t kTransactionsALook = 10'000;

// Goes through transactions and keeps what they add up to.
class Auditor {
 public:
  // `clear` null: rounds are not cleared again.
  Auditor(AuditMark mark, const ClearFunction* clear, std::vector<std::string>& findings)
      : mark_(std::move(mark)), clear_(clear), findings_(findings) {}

  void Visit(const ChainedTransaction& t) {
    const std::string at = absl::StrCat("transaction ", t.transaction_id, ": ");
    if (t.transaction_id != mark_.head.transaction_id + 1) {
      findings_.Add(absl::StrCat(at, "does not follow ", mark_.head.transaction_id));
    }
    const std::string digest = NextDigest(mark_.head.digest, t);
    if (digest != t.digest) {
      findings_.Add(
          absl::StrCat(at, "its digest is not that of what it says after the one before"));
    }
    mark_.head = {t.transaction_id, t.digest};
    ++mark_.counts.transactions;
    mark_.counts.entries += t.entries.size();
    std::map<TenantId, Microcredits> sums;
    for (const Entry& entry : t.entries) {
      Microcredits& sum = sums[entry.tenant_id];
      sum = SaturatingAdd(sum, entry.amount_microcredits);
      Microcredits& balance = mark_.rebuilt[entry.tenant_id][entry.account];
      balance = SaturatingAdd(balance, entry.amount_microcredits);
    }
    for (const auto& [tenant_id, sum] : sums) {
      if (sum != 0) {
        findings_.Add(
            absl::StrCat(at, "its entries of tenant ", tenant_id, " sum to ", sum, ", not 0"));
      }
    }
    for (const PutRound& put : t.decided) {
      if (Closed(put.round)) {
        AddCharged(put.round, mark_.closed_rounds);
      } else {
        mark_.open_rounds.emplace(put.round.host_id, put.round.round_id);
      }
      if (clear_ == nullptr) continue;
      ++mark_.counts.rounds_replayed;
      for (const AuctionRecord& record : put.auctions) {
        if (!record.fault.empty()) {
          ++mark_.counts.auctions_repeated;
        } else {
          ++mark_.counts.auctions_replayed;
          Replay(record, put.round, *clear_, findings_);
        }
      }
    }
  }

  // When everything up to the head of `snapshot` was visited.
  absl::Status CompareBalances(LedgerSnapshot& snapshot) {
    const absl::StatusOr<std::map<TenantId, Balances>> stored = snapshot.ReadBalances();
    if (!stored.ok()) return stored.status();
    CompareBooks(*stored, mark_.rebuilt, findings_);
    std::map<TenantId, Microcredits> open;
    for (auto it = mark_.open_rounds.begin(); it != mark_.open_rounds.end();) {
      const absl::StatusOr<Round> round = snapshot.ReadRound(it->first, it->second);
      if (!round.ok()) return round.status();
      AddCharged(*round, Closed(*round) ? mark_.closed_rounds : open);
      it = Closed(*round) ? mark_.open_rounds.erase(it) : std::next(it);
    }
    for (const auto& [tenant_id, balances] : mark_.rebuilt) {
      const auto sum = [&id = tenant_id](const std::map<TenantId, Microcredits>& sums) {
        const auto it = sums.find(id);
        return it == sums.end() ? 0 : it->second;
      };
      const Microcredits charged = SaturatingAdd(sum(mark_.closed_rounds), sum(open));
      if (charged != balances.revenue) {
        findings_.Add(absl::StrCat("tenant ", tenant_id, ": its outcomes charged ", charged,
                                   ", its account says ", balances.revenue));
      }
    }
    return absl::OkStatus();
  }

  AuditMark& mark() { return mark_; }

 private:
  AuditMark mark_;
  const ClearFunction* const clear_;
  Findings findings_;
};

}  // namespace

absl::StatusOr<AuditResult> Audit(LedgerReader& reader, const ClearFunction& clear, AuditMark& mark,
                                  const std::function<bool()>& cancelled) {
  AuditResult result;
  Auditor auditor(mark, &clear, result.findings);
  for (;;) {
    const absl::StatusOr<std::unique_ptr<LedgerSnapshot>> snapshot = reader.Look();
    if (!snapshot.ok()) return snapshot.status();
    const absl::StatusOr<ChainHead> head = (*snapshot)->Head();
    if (!head.ok()) return head.status();
    absl::Status read =
        (*snapshot)->ReadTransactions(auditor.mark().head.transaction_id, kTransactionsALook,
                                      [&](const ChainedTransaction& transaction) {
                                        if (cancelled && cancelled())
                                          return absl::CancelledError("the audit was cancelled");
                                        auditor.Visit(transaction);
                                        return absl::OkStatus();
                                      });
    if (!read.ok()) return read;
    if (auditor.mark().head.transaction_id < head->transaction_id) continue;
    if (absl::Status s = auditor.CompareBalances(**snapshot); !s.ok()) return s;
    break;
  }
  std::vector<std::string> findings = std::move(result.findings);
  result = auditor.mark().counts;
  result.findings = std::move(findings);
  result.head = auditor.mark().head;
  for (const auto& [tenant_id, balances] : auditor.mark().rebuilt) {
    result.revenue_microcredits = SaturatingAdd(result.revenue_microcredits, balances.revenue);
    result.deposits_microcredits = SaturatingAdd(result.deposits_microcredits, -balances.deposits);
  }
  mark = result.balanced() ? std::move(auditor.mark()) : AuditMark{};
  return result;
}

absl::StatusOr<AuditResult> Audit(LedgerReader& reader, const ClearFunction& clear) {
  AuditMark mark;
  return Audit(reader, clear, mark);
}

absl::Status ProveLedger(LedgerSnapshot& snapshot, uint64_t transactions_max) {
  const absl::StatusOr<ChainHead> head = snapshot.Head();
  if (!head.ok()) return head.status();
  const bool all = head->transaction_id <= transactions_max;
  AuditMark mark;
  if (!all) {
    // The chain's link before the first that is proven is taken as it is.
    const uint64_t before = head->transaction_id - transactions_max;
    absl::Status read =
        snapshot.ReadTransactions(before - 1, 1, [&mark](const ChainedTransaction& transaction) {
          mark.head = {transaction.transaction_id, transaction.digest};
          return absl::OkStatus();
        });
    if (!read.ok()) return read;
  }
  std::vector<std::string> findings;
  Auditor auditor(std::move(mark), nullptr, findings);
  absl::Status read =
      snapshot.ReadTransactions(auditor.mark().head.transaction_id, transactions_max,
                                [&auditor](const ChainedTransaction& transaction) {
                                  auditor.Visit(transaction);
                                  return absl::OkStatus();
                                });
  if (read.ok() && all) read = auditor.CompareBalances(snapshot);
  if (!read.ok()) return read;
  if (findings.empty() && auditor.mark().head != *head) {
    findings.push_back(absl::StrCat("transaction ", head->transaction_id, ": is not reached"));
  }
  return findings.empty() ? absl::OkStatus() : absl::DataLossError(findings.front());
}

}  // namespace nom::market
