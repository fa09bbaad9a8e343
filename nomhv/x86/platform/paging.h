// SPDX-License-Identifier: Apache-2.0
// nomhv's own page tables: all of memory at its physical address, nothing both writable and
// executable, nothing at address 0 (AMD64 APM volume 2, 5.3 and 5.6).

#ifndef NOMHV_X86_PLATFORM_PAGING_H_
#define NOMHV_X86_PLATFORM_PAGING_H_

#include <cstdint>

namespace nomhv {

// The page below 1 MiB from which the other processors start.
inline constexpr uint64_t kApStartPage = 0x8000;

// Builds tables for [0, end) and at least 4 GiB, and switches this processor to them. What lies in
// the image gets the rights of its section; the start page may be executed and not written; device
// memory is never cached. Up to where it mapped: 1 TiB, or 64 GiB where there are no 1 GiB pages.
[[nodiscard]] uint64_t BuildPageTables(uint64_t end);

// Maps [first, first + bytes) beyond what BuildPageTables mapped, where nothing is mapped yet.
void MapAlso(uint64_t first, uint64_t bytes);

[[nodiscard]] uint64_t page_table_root();

// Walks every entry and panics if a page is writable and executable. Its count of pages.
uint64_t CheckPageTables();

}  // namespace nomhv

#endif  // NOMHV_X86_PLATFORM_PAGING_H_
