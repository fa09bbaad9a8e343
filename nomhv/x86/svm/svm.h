// AMD's virtualization: what it needs of a processor and of a guest, and one run of it (AMD64 APM
// volume 2, chapter 15).

#ifndef NOMHV_X86_SVM_SVM_H_
#define NOMHV_X86_SVM_SVM_H_

#include <cstdint>

#include "nomhv/x86/guest_machine.h"

namespace nomhv {

// What one processor needs to run guests.
struct SvmProcessor {
  uint64_t host_save_area = 0;  // The processor's own (VM_HSAVE_PA).
  uint64_t host_state = 0;      // A VMCB for VMSAVE and VMLOAD of ours.
  ProcessorTranslations translations;
};

// Once, on the first processor, after InitMemory: the permission maps, the size of FPU states.
void InitSvm();

// Turns it on. False if this processor has no SVM with nested paging, or the firmware forbids it.
[[nodiscard]] bool EnableSvm(SvmProcessor& processor);

// The control block and registers of a guest about to start at `entry`, as guest.h says.
void SvmInitGuest(GuestMachine& guest, uint32_t entry);

// Between these the guest's FPU registers are in the processor. nomhv uses none of them.
void LoadGuestState(GuestMachine& guest);
void SaveGuestState(GuestMachine& guest);

// Runs the guest until it exits. Interrupts are off before and after; one that came is pending.
void RunGuest(SvmProcessor& processor, GuestMachine& guest);

enum class AfterExit : uint32_t { kResume, kInterrupt, kSleep, kEnded };

// Does what the exit asks for. kSleep: guest.sleep says how.
AfterExit HandleExit(GuestMachine& guest);

// Injects an exception at the next entry.
void InjectException(GuestMachine& guest, uint8_t vector, bool has_error, uint32_t error);

}  // namespace nomhv

#endif  // NOMHV_X86_SVM_SVM_H_
