// SPDX-License-Identifier: Apache-2.0
// Exits by AMD's numbers, made neutral (core/exit.h), and the instruction at which a guest exited:
// its bytes and its end. Where the processor saves the next RIP (nRIP, AMD64 APM volume 2, 15.7.1)
// that is the end; elsewhere prefixes are counted.

#ifndef NOMHV_X86_SVM_EXITS_H_
#define NOMHV_X86_SVM_EXITS_H_

#include "nomhv/x86/guests/virtual_processor.h"
#include "nomhv/x86/svm/vmcb.h"

namespace nomhv {

// Turns on all that is intercepted.
void SetIntercepts(Vmcb& v);

// An interrupt that is offered could be delivered now.
inline constexpr uint16_t kExitVirtualInterrupt = 0x64;

// Says in vcpu.exit what the exit was that its control block `v` tells of.
ExitKind Translate(VirtualProcessor& vcpu, Vmcb& v);

}  // namespace nomhv

#endif  // NOMHV_X86_SVM_EXITS_H_
