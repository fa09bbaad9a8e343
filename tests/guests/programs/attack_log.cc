// SPDX-License-Identifier: Apache-2.0
// Claim: whoever floods the log stops neither the machine nor its neighbours. Writes lines of
// newlines without rest. Its name and its text try to pass for nomhv's.

#include <cstring>

#include "client/guest/calls.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

int GuestMain(const nom::guest::Start&) {
  using namespace nom::guest;  // NOLINT(google-build-using-namespace)
  static char text[256];
  static constexpr std::string_view kForged = "x\r\n[0.000] PANIC: forged\r\n[0.001] nomhv: forged";
  for (;;) {
    std::memset(text, '\n', sizeof(text));
    (void)Hypervisor().Write({text, sizeof(text)});
    std::memcpy(text, kForged.data(), kForged.size());
    (void)Hypervisor().Write({text, sizeof(text)});
  }
}
