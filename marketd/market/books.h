// SPDX-License-Identifier: Apache-2.0
// Books: what one leader writes.
//
// A book has transactions of its own, numbered from 1 without a gap, a chain of digests over them,
// purses that sum to zero, and ids of its own. So no row has two writers, whoever leads the other
// books. Its fence is a number that rises each time that another process comes to lead it: whoever
// commits names the fence that it leads by, and one that is no longer current is refused.

#ifndef MARKETD_MARKET_BOOKS_H_
#define MARKETD_MARKET_BOOKS_H_

#include <cstdint>
#include <string>

#include "marketd/market/accounts.h"
#include "marketd/market/types.h"

namespace nom::market {

using BookId = std::string;

// The one book of a process that has all its hosts and tenants to itself.
inline constexpr char kMarketBook[] = "market";

struct Lead {
  BookId book_id = kMarketBook;
  uint64_t fence = 1;
};

// Guests are known by one number over all books: the book's ordinal, then one of the book's own.
// They stay below 2^53: JSON and doubles carry them exactly.
inline constexpr int kGuestIdLocalBits = 32;
inline constexpr uint64_t kBookOrdinalMax = (uint64_t{1} << 20) - 1;

constexpr uint64_t BookOrdinalOf(GuestId guest_id) { return guest_id >> kGuestIdLocalBits; }
// The book's guests have ids above this one and up to the next book's.
constexpr GuestId FirstGuestIdOf(uint64_t ordinal) { return ordinal << kGuestIdLocalBits; }

// The last transaction of a book, as its chain of digests (chain.h) has it; id 0 and "" of an empty
// one.
struct ChainHead {
  uint64_t transaction_id = 0;
  std::string digest;  // 64 hexadecimal digits.
  friend bool operator==(const ChainHead&, const ChainHead&) = default;
};

// Money of one owner on its way from one book to another: out of the one in a transaction of its
// own, and into the other, once, in one of that.
struct Transfer {
  BookId from_book;
  uint64_t transfer_id = 0;  // Of the transaction that sent it: one transaction sends one at most.
  BookId to_book;
  Owner owner;
  Microcredits amount_microcredits = 0;  // Above zero.
  friend bool operator==(const Transfer&, const Transfer&) = default;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_BOOKS_H_
