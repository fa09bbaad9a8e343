// SPDX-License-Identifier: Apache-2.0
// Prices and the guest's own grant, read from the boards without an exit.

#ifndef CLIENT_GUEST_BOARD_H_
#define CLIENT_GUEST_BOARD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "client/guest/address.h"
#include "nomhv/abi/board.h"
#include "nomhv/abi/guest.h"

namespace nom::guest {

inline const NomMachineBoard* MachineBoardPage() {
  return PointerTo<const NomMachineBoard>(NOM_GPA_MACHINE_BOARD);
}
inline const NomGuestBoard* GuestBoardPage() {
  return PointerTo<const NomGuestBoard>(NOM_GPA_GUEST_BOARD);
}

// Copies a board whole under its seqlock. False if nomhv kept writing through `tries` tries; *copy
// is then of no use. Any thread, any context.
template <typename Board>
[[nodiscard]] bool CopyBoard(const Board* page, Board* copy, int tries = 1000) {
  auto* sequence = const_cast<uint32_t*>(&page->sequence);  // atomic_ref<const T> is C++26.
  for (int i = 0; i < tries; ++i) {
    const uint32_t before = std::atomic_ref<uint32_t>(*sequence).load(std::memory_order_acquire);
    if (before % 2 == 0) {
      std::memcpy(copy, page, sizeof(Board));
      std::atomic_thread_fence(std::memory_order_acquire);
      if (std::atomic_ref<uint32_t>(*sequence).load(std::memory_order_relaxed) == before) {
        return true;
      }
    }
    asm volatile("pause");
  }
  return false;
}

// True of a copy that is a board, and of an ABI that is known here.
inline bool Readable(const NomMachineBoard& board) {
  return board.magic == NOM_MACHINE_BOARD_MAGIC && board.abi_version >> 16 == NOM_ABI_MAJOR &&
         board.resource_count <= NOM_RESOURCES_MAX;
}

// True of a copy of which nothing may be believed any more: no board yet, another ABI, or nobody
// has renewed it. A guest with a stale board keeps what it has and bids nothing new.
inline bool Stale(const NomMachineBoard& board, uint64_t now_tsc) {
  return !Readable(board) || now_tsc > board.valid_until_tsc;
}

// The row of a resource, or null if it is not sold here.
inline const NomPrice* FindPrice(const NomMachineBoard& board, NomResource kind) {
  for (uint32_t i = 0; i < board.resource_count && i < NOM_RESOURCES_MAX; ++i) {
    if (board.prices[i].kind == static_cast<uint32_t>(kind)) return &board.prices[i];
  }
  return nullptr;
}
inline const NomHolding* FindHolding(const NomGuestBoard& board, NomResource kind) {
  for (uint32_t i = 0; i < board.resource_count && i < NOM_RESOURCES_MAX; ++i) {
    if (board.holdings[i].kind == static_cast<uint32_t>(kind)) return &board.holdings[i];
  }
  return nullptr;
}

}  // namespace nom::guest

#endif  // CLIENT_GUEST_BOARD_H_
