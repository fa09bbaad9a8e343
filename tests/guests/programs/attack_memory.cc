// SPDX-License-Identifier: Apache-2.0
// Touches a guest-physical address that is none of its business, through page tables of its own
// that allow everything. Ends with 0 if nothing stopped it, 100 + vector if a fault did.
// Arguments: address, write = 0 or 1.

#include "client/guest/arguments.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  int64_t address = 0;
  int64_t write = 0;
  const nom::guest::Argument known[] = {{"address", &address, 0, int64_t{1} << 46},
                                        {"write", &write, 0, 1}};
  const auto error = nom::guest::ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());
  ExpectFaults();
  const auto at = reinterpret_cast<uint64_t>(ReachPhysical(static_cast<uint64_t>(address)));
  const uint64_t vector = write != 0 ? TouchWrite(at, 0x4141414141414141) : TouchRead(at);
  return vector == 0 ? 0 : 100 + static_cast<int>(vector);
}
