// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/audit.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/money.h"
#include "marketd/market/measures.h"
#include "policies/cases/case_file.h"
#include "policies/cases/joint_case_file.h"
#include "policies/clearing/fallback.h"

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

void ComparePurse(const Owner& owner, const Purse& is, const Purse& should, Findings& findings) {
  for (int k = 1; k <= kAccountKindsCount; ++k) {
    const auto kind = static_cast<AccountKind>(k);
    if (is[kind] == should[kind]) continue;
    findings.Add(absl::StrCat(owner, ", ", AccountName(kind), ": the balance is ", is[kind],
                              ", its entries add up to ", should[kind]));
  }
  const struct {
    const char* name;
    Microcredits Purse::*total;
  } kTotals[] = {
      {"deposited", &Purse::deposited}, {"spent", &Purse::spent}, {"earned", &Purse::earned}};
  for (const auto& [name, total] : kTotals) {
    if (is.*total == should.*total) continue;
    findings.Add(absl::StrCat(owner, ": ", name, " is ", is.*total, ", its entries add up to ",
                              should.*total));
  }
}

void ComparePurses(const Purses& stored, const Purses& rebuilt, Findings& findings) {
  std::map<Owner, std::pair<Purse, Purse>> both;
  for (const auto& [owner, purse] : stored) both[owner].first = purse;
  for (const auto& [owner, purse] : rebuilt) both[owner].second = purse;
  for (const auto& [owner, pair] : both) ComparePurse(owner, pair.first, pair.second, findings);
  if (std::string wrong = FirstBrokenPromise(stored); !wrong.empty()) findings.Add(wrong);
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

// Awards by guest and kind.
using Awards = std::map<BidKey, KindAward>;

// What a record says when it is cleared again.
struct Again {
  std::vector<KindAward> awards;
  std::map<ResourceKind, Microcredits> unit_prices;
  std::map<ResourceKind, RoundMeasures> measures;  // Without what moved.
  std::map<BidKey, int64_t> asked;
  std::optional<Certificate> certificate;
};

void NoteAsked(ResourceKind kind, const GuestUnits& asked, Again& again) {
  for (const auto& [guest_id, units] : asked) again.asked[{guest_id, kind}] = units;
}

absl::StatusOr<Again> ClearKindAgain(const AuctionRecord& record, const Round& round,
                                     const ClearFunction& clear) {
  const absl::StatusOr<policies::Auction> auction = policies::ParseAuction(record.auction);
  if (!auction.ok()) {
    return absl::DataLossError(
        absl::StrCat("its auction can't be read: ", auction.status().message()));
  }
  const absl::StatusOr<policies::Clearing> clearing = clear(record.rule, *auction, record.work_max);
  if (!clearing.ok()) return clearing.status();
  Again again;
  for (const policies::Award& award : clearing->awards) {
    again.awards.push_back({award.guest_id, record.kind, award.units, award.charge_microcredits});
  }
  again.unit_prices[record.kind] = clearing->clearing_unit_price_microcredits;
  for (const ResourcePrice& price : round.prices) {
    if (price.kind != record.kind || !price.measures) continue;
    const bool learns = price.measures->best_unit_price_microcredits.has_value();
    again.measures[price.kind] = MeasuresOf(*auction, *clearing, learns);
    NoteAsked(price.kind, AskedUnits(*auction), again);
  }
  return again;
}

absl::StatusOr<Again> ClearAllAgain(const AuctionRecord& record, const Round& round,
                                    const JointClearFunction& clear) {
  if (record.rule != policies::kJointVcg) {
    return absl::DataLossError(absl::StrCat("no rule for several kinds is called ", record.rule));
  }
  const absl::StatusOr<policies::JointAuction> auction =
      policies::ParseJointAuction(record.auction);
  if (!auction.ok()) {
    return absl::DataLossError(
        absl::StrCat("its auction can't be read: ", auction.status().message()));
  }
  std::vector<ResourceKind> kinds;
  for (const ResourcePrice& price : round.prices) kinds.push_back(price.kind);
  if (auction->resource_count != static_cast<int>(kinds.size())) {
    return absl::DataLossError(absl::StrCat("its auction is for ", auction->resource_count,
                                            " kinds, and there are ", kinds.size(), " prices"));
  }
  const absl::StatusOr<policies::JointCleared> cleared = clear(*auction, record.work_max);
  if (!cleared.ok()) return cleared.status();
  const policies::JointClearing& clearing = cleared->clearing;
  Again again;
  again.awards = AwardsByKind(*auction, clearing, kinds);
  for (size_t r = 0; r < kinds.size(); ++r) {
    again.unit_prices[kinds[r]] = clearing.clearing_unit_prices_microcredits[r];
    if (!round.prices[r].measures) continue;
    std::vector<KindAward> awards;
    for (const KindAward& award : again.awards) {
      if (award.kind == kinds[r]) awards.push_back(award);
    }
    again.measures[kinds[r]] = MeasuresOf(*auction, r, awards);
    NoteAsked(kinds[r], AskedUnits(*auction, r), again);
  }
  again.certificate = CertificateOf(*cleared);
  return again;
}

void CompareAwards(const std::string& at, const AuctionRecord& record, const Round& round,
                   const Again& again, Findings& findings) {
  Awards awards;
  for (const KindAward& award : again.awards) awards[{award.guest_id, award.kind}] = award;
  for (const Outcome& outcome : round.outcomes) {
    if (record.kind != kSeveralKinds && outcome.kind != record.kind) continue;
    const auto it = awards.find({outcome.guest_id, outcome.kind});
    const KindAward should = it == awards.end() ? KindAward{} : it->second;
    if (should.units != outcome.award_units ||
        should.charge_microcredits != outcome.charge_microcredits) {
      findings.Add(absl::StrCat(
          at, "guest ", outcome.guest_id, " was awarded ", outcome.award_units, " for ",
          outcome.charge_microcredits,
          record.kind == kSeveralKinds ? absl::StrCat(" of ", KindName(outcome.kind)) : "",
          "; cleared again: ", should.units, " for ", should.charge_microcredits));
    }
    if (it != awards.end()) awards.erase(it);
  }
  for (const auto& [key, award] : awards) {
    findings.Add(absl::StrCat(at, "guest ", key.first, " wins ", award.units,
                              " when cleared again, and has no outcome"));
  }
}

// What was published of the round besides, and what the next ones learn from it.
void CompareMeasures(const std::string& at, const Round& round, const Again& again,
                     Findings& findings) {
  for (const ResourcePrice& price : round.prices) {
    const auto it = again.measures.find(price.kind);
    if (it == again.measures.end()) continue;
    RoundMeasures should = it->second;
    should.moved_units = price.measures->moved_units;  // The record does not say who held what.
    if (should != *price.measures) {
      findings.Add(absl::StrCat(at, "what it came to of ", KindName(price.kind),
                                " is not what it comes to when cleared again"));
    }
  }
  for (const Outcome& outcome : round.outcomes) {
    if (!again.measures.contains(outcome.kind)) continue;
    const auto it = again.asked.find({outcome.guest_id, outcome.kind});
    const int64_t should = it == again.asked.end() ? 0 : it->second;
    if (should == outcome.asked_units) continue;
    findings.Add(absl::StrCat(at, "guest ", outcome.guest_id, " asked for ", outcome.asked_units,
                              " of ", KindName(outcome.kind), ", by its bid for ", should));
  }
}

std::string ToString(const std::optional<Certificate>& certificate) {
  if (!certificate) return "none";
  return absl::StrCat("welfare ", certificate->welfare_microcredits, " of at most ",
                      certificate->welfare_bound_microcredits, ", charges ",
                      certificate->charges_are_exact ? "exact" : "not exact");
}

void Replay(const AuctionRecord& record, const Round& round, const ClearFunctions& clear,
            Findings& findings) {
  const bool is_joint = record.kind == kSeveralKinds;
  const std::string at = absl::StrCat(
      "host ", record.host_id, ", round ", record.round_id, ", ",
      is_joint ? "all resources" : absl::StrCat("resource ", static_cast<int>(record.kind)), ": ");
  if (record.chain != policies::kFallbackChain) {
    findings.Add(absl::StrCat(at, "was cleared by version ", record.chain,
                              " of the fallbacks; this marketd has ", policies::kFallbackChain));
    return;
  }
  const absl::StatusOr<Again> again = is_joint ? ClearAllAgain(record, round, clear.joint)
                                               : ClearKindAgain(record, round, clear.of_kind);
  if (!again.ok()) {
    const bool is_lost = absl::IsDataLoss(again.status());
    findings.Add(
        absl::StrCat(at, is_lost ? "" : "can't be cleared again: ", again.status().message()));
    return;
  }
  CompareAwards(at, record, round, *again, findings);
  CompareMeasures(at, round, *again, findings);
  for (const ResourcePrice& price : round.prices) {
    const auto it = again->unit_prices.find(price.kind);
    if (it != again->unit_prices.end() && price.unit_price_microcredits != it->second) {
      findings.Add(absl::StrCat(at, "the price was ", price.unit_price_microcredits,
                                "; cleared again: ", it->second));
    }
  }
  if (is_joint && round.certificate != again->certificate) {
    findings.Add(absl::StrCat(at, "its certificate was ", ToString(round.certificate),
                              "; cleared again: ", ToString(again->certificate)));
  }
}

// In one look; then the look is let go.
constexpr uint64_t kTransactionsALook = 10'000;

// Goes through transactions and keeps what they add up to.
class Auditor {
 public:
  // `clear` null: rounds are not cleared again. Unless it goes on from the first transaction, or
  // from what an archive carried, nobody knows what was in the purses: only the chain is held
  // against itself then.
  Auditor(BookMark mark, bool knows_purses, const ClearFunctions* clear,
          std::vector<std::string>& findings)
      : mark_(std::move(mark)), knows_purses_(knows_purses), clear_(clear), findings_(findings) {}

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
    if (knows_purses_) {
      for (const Entry& entry : t.entries) {
        if (absl::Status s = Post(entry, mark_.rebuilt); !s.ok()) {
          findings_.Add(absl::StrCat(at, s.message()));
        }
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
    const absl::StatusOr<Purses> stored = snapshot.ReadPurses();
    if (!stored.ok()) return stored.status();
    ComparePurses(*stored, mark_.rebuilt, findings_);
    std::map<TenantId, Microcredits> open;
    for (auto it = mark_.open_rounds.begin(); it != mark_.open_rounds.end();) {
      const absl::StatusOr<Round> round = snapshot.ReadRound(it->first, it->second);
      if (!round.ok()) return round.status();
      AddCharged(*round, Closed(*round) ? mark_.closed_rounds : open);
      it = Closed(*round) ? mark_.open_rounds.erase(it) : std::next(it);
    }
    const absl::StatusOr<std::map<TenantId, Microcredits>> fees = snapshot.ReadFees();
    if (!fees.ok()) return fees.status();
    for (const auto& [tenant_id, purse] : mark_.rebuilt) {
      if (tenant_id == kOperator) continue;
      const auto sum = [&id = tenant_id](const std::map<TenantId, Microcredits>& sums) {
        const auto it = sums.find(id);
        return it == sums.end() ? 0 : it->second;
      };
      const Microcredits charged =
          SaturatingAdd(SaturatingAdd(sum(mark_.closed_rounds), sum(open)), sum(*fees));
      if (charged != purse.spent) {
        findings_.Add(absl::StrCat("tenant ", tenant_id, ": its outcomes charged ", charged,
                                   ", its purse says that it spent ", purse.spent));
      }
    }
    return absl::OkStatus();
  }

  // When everything up to where the archive ends was visited.
  void CompareCarried(const Carried& carried) {
    if (mark_.head != carried.through) {
      findings_.Add(absl::StrCat("transaction ", carried.through.transaction_id,
                                 ": the archive's digest of it is not the ledger's"));
    }
    for (const auto& [owner, purse] : carried.purses) {
      ComparePurse(absl::StrCat(owner, ", as the archive was taken over"), purse,
                   mark_.rebuilt[owner], findings_);
    }
    for (const auto& [owner, purse] : mark_.rebuilt) {
      if (carried.purses.contains(owner) || purse == Purse()) continue;
      findings_.Add(absl::StrCat(owner, ": has entries in the archive, and no purse from there"));
    }
  }

  BookMark& mark() { return mark_; }

 private:
  BookMark mark_;
  const bool knows_purses_;
  const ClearFunctions* const clear_;
  Findings findings_;
};

// Where to go on from without the archive.
BookMark MarkOf(const Carried& carried) {
  BookMark mark;
  mark.head = carried.through;
  mark.rebuilt = carried.purses;
  mark.closed_rounds = carried.charged;
  mark.open_rounds = carried.rounds_left;
  return mark;
}

// Goes on to the book's head.
absl::Status AuditBook(LedgerReader& reader, const BookId& book_id, const ClearFunctions* clear,
                       const std::function<bool()>& cancelled, BookMark& mark,
                       std::vector<std::string>& findings) {
  Auditor auditor(std::move(mark), /*knows_purses=*/true, clear, findings);
  for (;;) {
    const absl::StatusOr<std::unique_ptr<LedgerSnapshot>> snapshot = reader.Look(book_id);
    if (!snapshot.ok()) return snapshot.status();
    const absl::StatusOr<ChainHead> head = (*snapshot)->Head();
    if (!head.ok()) return head.status();
    const absl::StatusOr<Carried> carried = (*snapshot)->ReadCarried();
    if (!carried.ok()) return carried.status();
    const uint64_t archived = carried->through.transaction_id;
    uint64_t limit = kTransactionsALook;
    if (auditor.mark().head.transaction_id < archived) {
      if (!carried->archive.ok()) {
        Findings(findings).Add(absl::StrCat("transactions up to ", archived,
                                            " can't be looked at: ", carried->archive.message()));
        auditor.mark() = MarkOf(*carried);
      } else {  // No further than that in this look: the sums are compared there.
        limit = std::min(limit, archived - auditor.mark().head.transaction_id);
      }
    }
    const uint64_t before = auditor.mark().head.transaction_id;
    absl::Status read =
        (*snapshot)->ReadTransactions(before, limit, [&](const ChainedTransaction& transaction) {
          if (cancelled && cancelled()) return absl::CancelledError("the audit was cancelled");
          auditor.Visit(transaction);
          return absl::OkStatus();
        });
    if (!read.ok()) return read;
    if (before < archived && auditor.mark().head.transaction_id >= archived) {
      auditor.CompareCarried(*carried);
    }
    if (auditor.mark().head.transaction_id < head->transaction_id) {
      if (auditor.mark().head.transaction_id > before) continue;
      Findings(findings).Add(absl::StrCat("transaction ", before + 1, ": is not there"));
      return absl::OkStatus();
    }
    if (absl::Status s = auditor.CompareBalances(**snapshot); !s.ok()) return s;
    mark = std::move(auditor.mark());
    return absl::OkStatus();
  }
}

// Books are looked at one after another, and money may move meanwhile: what does not agree at the
// first look is looked at again when nothing has been written in between.
absl::Status CompareTransit(LedgerReader& reader, const std::map<BookId, BookMark>& books,
                            Findings& findings) {
  const absl::StatusOr<std::vector<Transfer>> open = reader.OpenTransfers("");
  if (!open.ok()) return open.status();
  std::map<Owner, Microcredits> transit;
  for (const auto& [book_id, mark] : books) {
    const absl::StatusOr<std::unique_ptr<LedgerSnapshot>> now = reader.Look(book_id);
    if (!now.ok()) return now.status();
    const absl::StatusOr<ChainHead> head = (*now)->Head();
    if (!head.ok()) return head.status();
    if (*head != mark.head) return absl::OkStatus();  // The next audit will tell.
    for (const auto& [owner, purse] : mark.rebuilt) {
      transit[owner] = SaturatingAdd(transit[owner], purse.transit);
    }
  }
  for (const Transfer& transfer : *open) {
    transit[transfer.owner] = SaturatingAdd(transit[transfer.owner], -transfer.amount_microcredits);
  }
  for (const auto& [owner, difference] : transit) {
    if (difference == 0) continue;
    findings.Add(absl::StrCat(owner, ": over all books there is ", difference,
                              " more in transit than was sent and is not accepted"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AuditResult> Audit(LedgerReader& reader, const ClearFunctions& clear,
                                  AuditMark& mark, const std::function<bool()>& cancelled) {
  const absl::StatusOr<std::vector<BookId>> books = reader.ListBooks();
  if (!books.ok()) return books.status();
  AuditResult result;
  AuditMark next = mark;
  for (const BookId& book_id : *books) {
    BookMark& book = next.books[book_id];
    if (absl::Status s = AuditBook(reader, book_id, &clear, cancelled, book, result.findings);
        !s.ok()) {
      return s;
    }
    result.heads[book_id] = book.head;
    result.transactions += book.counts.transactions;
    result.entries += book.counts.entries;
    result.rounds_replayed += book.counts.rounds_replayed;
    result.auctions_replayed += book.counts.auctions_replayed;
    result.auctions_repeated += book.counts.auctions_repeated;
    const auto money = book.rebuilt.find(kOperator);
    if (money == book.rebuilt.end()) continue;
    result.revenue_microcredits =
        SaturatingAdd(result.revenue_microcredits, RevenuePaid(book.rebuilt));
    result.deposits_microcredits =
        SaturatingAdd(result.deposits_microcredits, -money->second.issued);
  }
  Findings findings(result.findings);
  if (absl::Status s = CompareTransit(reader, next.books, findings); !s.ok()) return s;
  mark = result.balanced() ? std::move(next) : AuditMark{};
  return result;
}

absl::StatusOr<AuditResult> Audit(LedgerReader& reader, const ClearFunctions& clear) {
  AuditMark mark;
  return Audit(reader, clear, mark);
}

absl::Status ProveAll(LedgerReader& reader, const std::function<bool()>& cancelled) {
  const absl::StatusOr<std::vector<BookId>> books = reader.ListBooks();
  if (!books.ok()) return books.status();
  std::vector<std::string> found;
  std::map<BookId, BookMark> marks;
  for (const BookId& book_id : *books) {
    // What is in an archive is proven by itself (ProveArchive): here, the rest from there on.
    const absl::StatusOr<std::unique_ptr<LedgerSnapshot>> snapshot = reader.Look(book_id);
    if (!snapshot.ok()) return snapshot.status();
    const absl::StatusOr<Carried> carried = (*snapshot)->ReadCarried();
    if (!carried.ok()) return carried.status();
    marks[book_id] = MarkOf(*carried);
    absl::Status s = AuditBook(reader, book_id, nullptr, cancelled, marks[book_id], found);
    if (!s.ok()) return s;
  }
  Findings findings(found);
  if (absl::Status s = CompareTransit(reader, marks, findings); !s.ok()) return s;
  return found.empty() ? absl::OkStatus() : absl::DataLossError(found.front());
}

absl::Status ProveArchive(LedgerReader& reader, const std::function<bool()>& cancelled) {
  const absl::StatusOr<std::vector<BookId>> books = reader.ListBooks();
  if (!books.ok()) return books.status();
  std::vector<std::string> found;
  for (const BookId& book_id : *books) {
    Auditor auditor(BookMark(), /*knows_purses=*/true, nullptr, found);
    for (;;) {
      const absl::StatusOr<std::unique_ptr<LedgerSnapshot>> snapshot = reader.Look(book_id);
      if (!snapshot.ok()) return snapshot.status();
      const absl::StatusOr<Carried> carried = (*snapshot)->ReadCarried();
      if (!carried.ok()) return carried.status();
      if (carried->through.transaction_id == 0) break;
      if (!carried->archive.ok()) return carried->archive;
      const uint64_t before = auditor.mark().head.transaction_id;
      const uint64_t left = carried->through.transaction_id - before;
      absl::Status read = (*snapshot)->ReadTransactions(
          before, std::min(kTransactionsALook, left), [&](const ChainedTransaction& transaction) {
            if (cancelled && cancelled()) return absl::CancelledError("the proof was cancelled");
            auditor.Visit(transaction);
            return absl::OkStatus();
          });
      if (!read.ok()) return read;
      if (auditor.mark().head.transaction_id < carried->through.transaction_id &&
          auditor.mark().head.transaction_id > before) {
        continue;
      }
      // Damage to an archive is none to the ledger, which goes on from what it carried over; but
      // that must be what a good archive says.
      const bool is_chain = found.empty() && auditor.mark().head == carried->through;
      auditor.CompareCarried(*carried);
      if (!found.empty()) {
        const std::string what = absl::StrCat("book ", book_id, ": ", found.front());
        return is_chain ? absl::DataLossError(what)
                        : absl::FailedPreconditionError(
                              absl::StrCat("the archive does not add up: ", what));
      }
      break;
    }
  }
  return absl::OkStatus();
}

absl::Status ProveLedger(LedgerSnapshot& snapshot, uint64_t transactions_max) {
  const absl::StatusOr<ChainHead> head = snapshot.Head();
  if (!head.ok()) return head.status();
  const absl::StatusOr<Carried> carried = snapshot.ReadCarried();
  if (!carried.ok()) return carried.status();
  if (head->transaction_id < carried->through.transaction_id) {
    return absl::DataLossError(absl::StrCat("transaction ", carried->through.transaction_id,
                                            " is in the archive, and the ledger's last is ",
                                            head->transaction_id));
  }
  const bool all = head->transaction_id - carried->through.transaction_id <= transactions_max;
  BookMark mark = MarkOf(*carried);
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
  Auditor auditor(std::move(mark), all, nullptr, findings);
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
