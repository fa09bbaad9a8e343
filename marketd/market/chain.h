// SPDX-License-Identifier: Apache-2.0
// The chain that proves a ledger: each transaction's digest is over what it says and the digest of
// the one before, so that no line can be changed, taken out or put in without the head changing.
//
// It covers what is never changed once it is written: the entries, the terms of contracts, and of a
// round decided its auctions and what they awarded. Whoever has noted a head (guests' boards,
// metrics, backups and every audit show it) can tell whether a file that comes later goes on from
// it. It does not keep out who rewrites the whole file, digests too, and whose head nobody noted.

#ifndef MARKETD_MARKET_CHAIN_H_
#define MARKETD_MARKET_CHAIN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "marketd/market/transaction.h"

namespace nom::market {

// A transaction as far as the chain covers it, as a ledger keeps it.
struct ChainedTransaction {
  uint64_t transaction_id = 0;
  absl::Time time;
  std::string kind;
  std::vector<Entry> entries;
  std::vector<PutRound> decided;  // Rounds; their phases and settlements are as they stand now.
  std::vector<Contract> opened;   // Only their terms count.
  std::vector<AuditEvent> events;
  std::string digest;
};

// What the transaction says to the chain. `digest` is not read.
ChainedTransaction ToChain(const Transaction& transaction);

// SHA-256 over the digest before and the transaction, in hexadecimal.
std::string NextDigest(const std::string& before, const ChainedTransaction& transaction);

}  // namespace nom::market

#endif  // MARKETD_MARKET_CHAIN_H_
