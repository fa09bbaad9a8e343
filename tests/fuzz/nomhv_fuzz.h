// SPDX-License-Identifier: Apache-2.0
// What a fuzzer calls of nomhv. Aborts if a promise is broken and otherwise takes any bytes.

#ifndef NOM_TESTS_FUZZ_NOMHV_FUZZ_H_
#define NOM_TESTS_FUZZ_NOMHV_FUZZ_H_

#include <cstddef>
#include <cstdint>

namespace nomhv {

// The first byte chooses what the rest is read as: a guest's image, an archive with guests.cfg,
// tables of ACPI, an instruction, a guest's page tables. How much was understood of it: 0, nothing.
uint64_t FuzzNomhv(const uint8_t* data, size_t size);

}  // namespace nomhv

#endif  // NOM_TESTS_FUZZ_NOMHV_FUZZ_H_
