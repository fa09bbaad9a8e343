// SPDX-License-Identifier: Apache-2.0
// How a board says of which market it is, in eight bytes: for hosted programs, which know the ids
// themselves and want to tell whether the prices before them are those of their own market.

#ifndef NOMHV_ABI_MARKET_ID_H_
#define NOMHV_ABI_MARKET_ID_H_

#include <cstdint>
#include <string_view>

namespace nom {

// Of the ledger's id, which is drawn when a ledger is made, and a host's: FNV-1a of both with a
// zero byte between them. Never 0, which on a board means that nobody said.
constexpr uint64_t MarketId(std::string_view ledger_id, std::string_view host_id) {
  uint64_t hash = 0xcbf29ce484222325u;
  const auto add = [&hash](std::string_view bytes) {
    for (const char byte : bytes) {
      hash ^= static_cast<unsigned char>(byte);
      hash *= 0x100000001b3u;
    }
  };
  add(ledger_id);
  add(std::string_view("\0", 1));
  add(host_id);
  return hash == 0 ? 1 : hash;
}

}  // namespace nom

#endif  // NOMHV_ABI_MARKET_ID_H_
