// SPDX-License-Identifier: Apache-2.0
// Prices and its own grant at the cost of a memory read, for a program that runs as a guest of a
// Linux host: without a connection, a token or a thread. A nom::Session in such a program reads its
// prices from the board by itself (SessionOptions::board).
//
//   auto board = nom::Board::FromEnvironment();
//   if (!board.ok()) ...                      // Not started by a launcher.
//   nom::Prices prices = (*board)->prices();  // 150 ns: two looks at clocks.
//
// marketd keeps the board; the program has it open for reading only. Bids go over nom::Session.

#ifndef NOM_BOARD_H_
#define NOM_BOARD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nom/types.h"

namespace nom {

// Thread-safe: nothing is written.
class Board {
 public:
  // `where` is "fd:N", a descriptor that stays the caller's and may be closed afterwards, or a
  // path. Errors: INVALID_ARGUMENT (neither), NOT_FOUND, FAILED_PRECONDITION (no board, and why).
  static absl::StatusOr<std::unique_ptr<Board>> Open(const std::string& where);
  // The one named by NOM_BOARD. NOT_FOUND if that is not set.
  static absl::StatusOr<std::unique_ptr<Board>> FromEnvironment();
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  // The last transaction of the market's books, as their chain of digests has it. Whoever notes it
  // down can tell whether the books that are shown later go on from it.
  struct LedgerHead {
    uint64_t transaction_id = 0;  // 0: marketd does not tell.
    std::string digest;           // 64 hexadecimal digits; empty if it does not tell.
  };
  LedgerHead ledger_head() const;

  // Stale before the first round is published, and when nobody renews them.
  Prices prices() const;

  // Which market a ledger and a host make (MarketStatus), as a board says it; never 0.
  static uint64_t MarketIdOf(const std::string& ledger_id, const std::string& host_id);
  // As prices(), but nullopt if they are stale or of another market.
  std::optional<Prices> FreshPrices(uint64_t market_id) const;

  uint64_t guest_id() const;
  // What this guest holds now. Empty if the board cannot be read.
  std::vector<Grant> grants() const;
  // What it will hold otherwise, and when: one for each resource that changes. Empty if no notice
  // is open.
  std::vector<Notice> notices() const;

 private:
  explicit Board(const void* pages) : pages_(pages) {}

  const void* const pages_;  // Of this object, until its end.
};

}  // namespace nom

#endif  // NOM_BOARD_H_
