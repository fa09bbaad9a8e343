// The guests that the loader brought: one image, or an archive with guests.cfg.

#ifndef NOMHV_X86_BOOT_GUESTS_H_
#define NOMHV_X86_BOOT_GUESTS_H_

#include "nomhv/x86/boot_info.h"
#include "nomhv/x86/control/control.h"

namespace nomhv {

// Starts them all. What cannot be started is logged and counted as a failure.
void StartBootGuests(const BootInfo& info, Control& control);

}  // namespace nomhv

#endif  // NOMHV_X86_BOOT_GUESTS_H_
