// SPDX-License-Identifier: Apache-2.0
// Which virtual processor runs on which processor, and for how much of each period. McNaughton's
// wrap-around rule (Management Science 6(1), 1959): lay the shares end to end on a line and cut it
// into equal lengths, one a processor, none shorter than the largest share. So one is cut at most
// once, and its two pieces, the last of one processor's period and the first of the next one's, do
// not overlap in time. Equal lengths leave each processor an equal rest to make up for late timers.

#ifndef NOMHV_CORE_PROCESSORS_H_
#define NOMHV_CORE_PROCESSORS_H_

#include <cstdint>
#include <span>

#include "nomhv/core/acpi_tables.h"
#include "nomhv/core/guests.h"

namespace nomhv {

// A virtual processor's part of one processor's period.
struct Piece {
  uint32_t vcpu = 0;        // VcpuIndex.
  uint32_t millicores = 0;  // 1..1000
  bool split = false;       // It has another piece on a neighbouring processor.
};

// In the order in which they run within the period; together at most 1000 millicores.
struct ProcessorPieces {
  uint32_t count = 0;
  Piece pieces[kVcpus];
};

// What a guest's virtual processor gets of its millicores: those that it has ever started share
// them equally, what cannot be divided to the first `place`s; none gets more than a processor.
constexpr uint32_t VcpuShare(uint64_t millicores, uint32_t started, uint32_t place) {
  const uint64_t share = millicores / started + (place < millicores % started ? 1 : 0);
  return static_cast<uint32_t>(share < kMillicoresPerProcessor ? share : kMillicoresPerProcessor);
}

// Lays shares (by VcpuIndex, in millicores, 0 = none; at most kVcpus) over processors.size()
// processors. Each is kept whole, largest first, on the least loaded processor or by first fit, if
// that places them all; otherwise wrapped round. Same input, same plan. No share above 1000, and
// the sum within the processors: a broken promise otherwise.
void PlanProcessors(std::span<const uint32_t> millicores_by_vcpu,
                    std::span<ProcessorPieces> processors);

}  // namespace nomhv

#endif  // NOMHV_CORE_PROCESSORS_H_
