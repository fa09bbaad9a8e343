// The calls of nomhv/abi/guest.h.

#ifndef NOMHV_X86_CALLS_H_
#define NOMHV_X86_CALLS_H_

#include <cstdint>

#include "nomhv/x86/guest_machine.h"

namespace nomhv {

enum class AfterCall : uint32_t { kResume, kSleep, kEnded };

struct CallAnswer {
  AfterCall then = AfterCall::kResume;
  NomStatus status = NOM_STATUS_OK;
  uint64_t value = 0;
};

// Does call `number` for the guest, on its processor. ACQUIRE and RELEASE only begin: guest.work
// says what is left, and their answer comes from ContinueWork.
CallAnswer DoCall(GuestMachine& guest, uint64_t number, uint64_t a, uint64_t b, uint64_t c);

// Does the next few frames of guest.work. True when it is done, with the answer.
bool ContinueWork(GuestMachine& guest, CallAnswer& answer);

}  // namespace nomhv

#endif  // NOMHV_X86_CALLS_H_
