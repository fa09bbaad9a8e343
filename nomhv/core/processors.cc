// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/processors.h"

#include <algorithm>

namespace nomhv {
namespace {

constexpr uint32_t kFull = kMillicoresPerProcessor;

void Add(ProcessorPieces& processor, Piece piece) { processor.pieces[processor.count++] = piece; }

enum class Choice { kLeastLoaded, kFirstFit };

bool PlaceWhole(std::span<const uint32_t> slots, std::span<const uint32_t> millicores,
                Choice choice, std::span<ProcessorPieces> processors) {
  for (ProcessorPieces& processor : processors) processor = {};
  uint32_t used[kProcessorsMax] = {};
  for (const uint32_t slot : slots) {
    auto best = static_cast<uint32_t>(processors.size());
    for (uint32_t p = 0; p < processors.size(); ++p) {
      if (used[p] + millicores[slot] > kFull) continue;
      const bool better =
          best == processors.size() || (choice == Choice::kLeastLoaded && used[p] < used[best]);
      if (better) best = p;
    }
    if (best == processors.size()) return false;
    used[best] += millicores[slot];
    Add(processors[best], {slot, millicores[slot], /*split=*/false});
  }
  return true;
}

void WrapRound(std::span<const uint32_t> slots, std::span<const uint32_t> millicores,
               std::span<ProcessorPieces> processors) {
  uint32_t sum = 0;
  for (const uint32_t slot : slots) sum += millicores[slot];
  const auto count = static_cast<uint32_t>(processors.size());
  // The largest share comes first.
  const uint32_t length = std::max((sum + count - 1) / count, millicores[slots[0]]);
  uint32_t p = 0;
  uint32_t used = 0;
  for (const uint32_t slot : slots) {
    uint32_t left = millicores[slot];
    while (left > 0) {
      if (used == length) {
        ++p;
        used = 0;
      }
      const uint32_t here = std::min(left, length - used);
      Add(processors[p], {slot, here, /*split=*/here != millicores[slot]});
      used += here;
      left -= here;
    }
  }
}

}  // namespace

void PlanProcessors(std::span<const uint32_t, GuestTable::kSlots> millicores_by_slot,
                    std::span<ProcessorPieces> processors) {
  NOMHV_CHECK(processors.size() <= kProcessorsMax, "processors: too many");
  uint32_t slots[GuestTable::kSlots];
  uint32_t count = 0;
  uint64_t sum = 0;
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    const uint32_t share = millicores_by_slot[slot];
    NOMHV_CHECK(share <= kFull, "processors: a share above one processor");
    sum += share;
    if (share > 0) slots[count++] = slot;
  }
  NOMHV_CHECK(sum <= processors.size() * kFull, "processors: shares exceed the processors");
  // Largest first, by slot among equals: whole processors come first, so a full share is never cut.
  std::sort(slots, slots + count, [&](uint32_t a, uint32_t b) {
    return millicores_by_slot[a] != millicores_by_slot[b]
               ? millicores_by_slot[a] > millicores_by_slot[b]
               : a < b;
  });

  const std::span<const uint32_t> order(slots, count);
  // A processor that is full has no slack to make up for what its switches cost: spread, if that
  // places everybody. First fit places some sets that spreading does not.
  if (PlaceWhole(order, millicores_by_slot, Choice::kLeastLoaded, processors)) return;
  if (PlaceWhole(order, millicores_by_slot, Choice::kFirstFit, processors)) return;
  for (ProcessorPieces& processor : processors) processor = {};
  WrapRound(order, millicores_by_slot, processors);
}

}  // namespace nomhv
