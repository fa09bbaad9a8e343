// SPDX-License-Identifier: Apache-2.0
// What each exit of a guest means: a call, a sleep, an exception of its own, or its end.

#ifndef NOMHV_X86_GUESTS_EXITS_H_
#define NOMHV_X86_GUESTS_EXITS_H_

#include <cstdint>

#include "nomhv/abi/version.h"
#include "nomhv/x86/guests/virtual_processor.h"

namespace nomhv {

// After a look at what else there is: kWork: vcpu.work is to go on; kAgain: the guest makes its
// call once more, as another of its processors was in the way.
enum class AfterExit : uint32_t { kResume, kInterrupt, kSleep, kEnded, kWork, kAgain };

// The calls of nomhv/abi/guest.h (calls.cc).
struct CallAnswer {
  AfterExit then = AfterExit::kResume;
  NomStatus status = NOM_STATUS_OK;
  uint64_t value = 0;
};

// Does call `number` for a guest's processor. ACQUIRE and RELEASE only begin: kWork, and the answer
// comes from ContinueWork.
CallAnswer DoCall(VirtualProcessor& vcpu, uint64_t number, uint64_t a, uint64_t b, uint64_t c);

// The call START; a PC's begins in real mode at the page `entry`.
CallAnswer StartSibling(VirtualProcessor& vcpu, uint64_t number, uint64_t entry, uint64_t stack);

// Does the next few frames of vcpu.work. kResume when it is done, and answered.
AfterExit ContinueWork(VirtualProcessor& vcpu);

// Does what vcpu.exit, which is of `kind`, asks for. kSleep: vcpu.sleep says how.
AfterExit HandleExit(VirtualProcessor& vcpu, ExitKind kind);

}  // namespace nomhv

#endif  // NOMHV_X86_GUESTS_EXITS_H_
