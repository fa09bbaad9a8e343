// SPDX-License-Identifier: Apache-2.0
// Which guest runs on which processor, and for how much of each period. McNaughton's wrap-around
// rule (Management Science 6(1), 1959): lay the shares end to end on a line and cut it into equal
// lengths, one a processor, none shorter than the largest share. So a guest is cut at most once,
// and its two pieces, the last of one processor's period and the first of the next one's, do not
// overlap in time. Equal lengths leave each processor an equal rest to make up for late timers.

#ifndef NOMHV_CORE_PROCESSORS_H_
#define NOMHV_CORE_PROCESSORS_H_

#include <cstdint>
#include <span>

#include "nomhv/core/acpi_tables.h"
#include "nomhv/core/guests.h"

namespace nomhv {

// A guest's part of one processor's period.
struct Piece {
  uint32_t slot = 0;
  uint32_t millicores = 0;  // 1..1000
  bool split = false;       // The guest has another piece on a neighbouring processor.
};

// In the order in which they run within the period; together at most 1000 millicores.
struct ProcessorPieces {
  uint32_t count = 0;
  Piece pieces[GuestTable::kSlots];
};

// Lays shares (by slot, in millicores, 0 = none) over processors.size() processors. Guests are kept
// whole, largest first, on the least loaded processor or by first fit, if that places them all;
// otherwise wrapped round. Same input, same
// plan. No share above 1000, and the sum within the processors: a broken promise otherwise.
void PlanProcessors(std::span<const uint32_t, GuestTable::kSlots> millicores_by_slot,
                    std::span<ProcessorPieces> processors);

}  // namespace nomhv

#endif  // NOMHV_CORE_PROCESSORS_H_
