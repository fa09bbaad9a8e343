// SPDX-License-Identifier: Apache-2.0
// What nomhv asks of the processor's virtualization. One back end does it, AMD's: x86/svm.

#ifndef NOMHV_X86_GUESTS_VIRTUALIZATION_H_
#define NOMHV_X86_GUESTS_VIRTUALIZATION_H_

#include <cstdint>
#include <span>

#include "nomhv/core/control_registers.h"
#include "nomhv/x86/guests/virtual_processor.h"

namespace nomhv {

struct Processor;

// Once, on the first processor, after InitMemory.
void InitVirtualization();
// Turns it on on this processor. False if it has none that nomhv can use, or firmware forbids it.
[[nodiscard]] bool EnableVirtualization(Processor& processor);

// Sets a new virtual processor to the state that guest.h describes, about to start at `entry` with
// `argument` in EBX. It has its control block, and its guest its tables.
void ResetVirtualProcessor(VirtualProcessor& vcpu, uint32_t entry, uint64_t argument);

// Sets a virtual processor to the state that another one of its guest exited in, but about to
// execute at `entry` with `stack` and its number in RDI, interrupts off.
void StartInStateOf(VirtualProcessor& vcpu, const VirtualProcessor& other, uint64_t entry,
                    uint64_t stack);
// The same at the start of a page below 1 MiB, in real mode (APM 2, 14.1.3).
void StartInRealMode(VirtualProcessor& vcpu, uint64_t page);

// Runs it until it exits, and says in vcpu.exit why. Interrupts are off before and after; one that
// came is pending. On the way in translations are forgotten that must be, and an interrupt that is
// due is offered to it. After a call it goes on by itself.
ExitKind RunVirtualProcessor(Processor& processor, VirtualProcessor& vcpu);

// Goes on after the instruction at which it exited; or which is so long and may name any register.
void AdvancePastExit(VirtualProcessor& vcpu);
void AdvancePastMove(VirtualProcessor& vcpu, uint32_t length);
// The bytes from there on, as many as there are in the guest's memory and an instruction may have.
std::span<const uint8_t> FetchInstruction(VirtualProcessor& vcpu,
                                          uint8_t (&buffer)[kInstructionBytesMax]);
// It exited by a call, and makes it once more.
void RepeatCall(VirtualProcessor& vcpu);

// Where it goes on, and whether it lets interrupts in.
[[nodiscard]] uint64_t InstructionPointer(const VirtualProcessor& vcpu);
[[nodiscard]] bool InterruptsEnabled(const VirtualProcessor& vcpu);

// It has executed STI, or a load of SS, and the next instruction comes before any interrupt.
// QEMU 7.2 forgets that at the next entry, so none is offered there: `sti; hlt` would miss it.
[[nodiscard]] bool InInterruptShadow(const VirtualProcessor& vcpu);
// After an exit for an interrupt of nomhv's, before which the guest may have executed nothing: then
// it is where it was, and so is the shadow, whatever the emulator says after its second entry.
void KeepInterruptShadow(VirtualProcessor& vcpu);

// Raises an exception at the next entry, in place of what was being delivered.
void InjectException(VirtualProcessor& vcpu, uint8_t vector, uint32_t error);

// Writing changes EFER, PAT and DR6.
ControlRegisters ReadControlRegisters(const VirtualProcessor& vcpu);
void WriteControlRegisters(VirtualProcessor& vcpu, const ControlRegisters& control);

// The FPU and vector registers of guests, all that the processor has (AMD64 APM volume 2, 11.5),
// whatever the back end. nomhv uses none of them, so they stay in the processor between Load and
// Save. Turns it on on this processor. False if it has no XSAVE, or more state than a frame.
[[nodiscard]] bool EnableExtendedState();

void ResetExtendedState(VirtualProcessor& vcpu);
void LoadExtendedState(VirtualProcessor& vcpu);
void SaveExtendedState(VirtualProcessor& vcpu);

}  // namespace nomhv

#endif  // NOMHV_X86_GUESTS_VIRTUALIZATION_H_
