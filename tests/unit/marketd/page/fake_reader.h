// SPDX-License-Identifier: Apache-2.0
// A ledger's reader that answers from memory.

#ifndef TESTS_UNIT_MARKETD_PAGE_FAKE_READER_H_
#define TESTS_UNIT_MARKETD_PAGE_FAKE_READER_H_

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "marketd/market/ledger.h"

namespace nom::marketd {

class FakeReader : public market::LedgerReader {
 public:
  absl::StatusOr<std::vector<market::Round>> ListRounds(const market::HostId& host_id,
                                                        market::RoundId before,
                                                        int limit) override {
    std::lock_guard lock(mutex_);
    ++lists;
    if (!error.ok()) return error;
    std::vector<market::Round> out;
    for (auto it = rounds.rbegin(); it != rounds.rend() && static_cast<int>(out.size()) < limit;
         ++it) {
      if (it->host_id == host_id && (before == 0 || it->round_id < before)) out.push_back(*it);
    }
    return out;
  }
  absl::StatusOr<std::vector<market::Round>> ListPrices(
      const market::PricesWanted& wanted) override {
    absl::StatusOr<std::vector<market::Round>> out =
        ListRounds(wanted.host_id, wanted.before_round_id, wanted.rounds_max);
    if (out.ok()) {
      for (market::Round& round : *out) round.outcomes.clear();
    }
    return out;
  }
  absl::StatusOr<market::AuctionRecord> GetAuction(const market::HostId&, market::RoundId,
                                                   market::ResourceKind kind) override {
    market::AuctionRecord out;
    out.kind = auction_kind.value_or(kind);
    out.auction = auction;
    return out;
  }
  absl::StatusOr<market::Guest> GetEvictedGuest(market::GuestId) override {
    return absl::NotFoundError("none was evicted");
  }
  absl::StatusOr<std::vector<market::BookId>> ListBooks() override {
    return std::vector<market::BookId>{};
  }
  absl::StatusOr<std::vector<market::Transfer>> OpenTransfers(const market::BookId&) override {
    return std::vector<market::Transfer>{};
  }
  absl::StatusOr<std::unique_ptr<market::LedgerSnapshot>> Look(const market::BookId&) override {
    return absl::UnimplementedError("not asked for");
  }

  std::vector<market::Round> rounds;  // By rising id. Set before it is read.
  std::string auction;
  std::optional<market::ResourceKind> auction_kind;
  absl::Status error;
  int lists = 0;

 private:
  std::mutex mutex_;
};

}  // namespace nom::marketd

#endif  // TESTS_UNIT_MARKETD_PAGE_FAKE_READER_H_
