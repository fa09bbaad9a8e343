// SPDX-License-Identifier: Apache-2.0
// The personality "pc": a guest that finds the least PC that an unmodified Linux boots on. What it
// is told and what it asks needs no privilege and lies in core/pc; here it meets the machine. Other
// guests see nothing of it.

#ifndef NOMHV_X86_PC_PC_H_
#define NOMHV_X86_PC_PC_H_

#include <atomic>
#include <cstdint>
#include <optional>

#include "nomhv/core/budget.h"
#include "nomhv/core/pc/local_apic.h"
#include "nomhv/core/pc/pci.h"
#include "nomhv/core/pc/start.h"
#include "nomhv/core/pc/uart.h"
#include "nomhv/x86/guests/exits.h"
#include "nomhv/x86/guests/guest_machine.h"

namespace nomhv {

// What a PC has beside what every guest has.
struct Pc {
  // The virtual processors' own: under their claims.
  LocalApic apics[NOM_VIRTUAL_PROCESSORS_MAX];
  struct StolenTime {
    uint64_t gpa = 0;  // Where it is told; 0: nowhere.
    uint64_t base_cycles = 0;
    uint64_t told_ns = 0;
    uint32_t version = 0;
  } stolen[NOM_VIRTUAL_PROCESSORS_MAX];

  // Shared by them: under the lock.
  SpinLock lock;
  Uart uart;
  uint32_t pci_address = 0;
  PciView bridge, board, devices[NOM_DEVICES_MAX];
  std::optional<PciMessage> routed[NOM_DEVICES_MAX][NOM_DEVICE_INTERRUPTS_MAX];

  uint64_t initramfs_gpa = 0;
  std::atomic<NomStatus> doorbell{NOM_STATUS_OK};  // What its last request came to.
};

// Whether it is a PC whose memory follows its grant: it holds what its kernel has touched.
inline bool FollowsGrant(const GuestMachine& guest) {
  return guest.pc != nullptr && guest.window_frames > guest.seed_frames;
}

// Makes a guest that has just been built a PC, if that is wanted. BAD_IMAGE with `fault`: nothing
// is left of it. Then LoadPc, once it holds its seed, says what it finds there; `rest` is called
// after each MiB.
Status BuildPc(GuestMachine& guest, const PcBoot& boot, const LoadPlan& plan, NomImageFault& fault);
template <typename Rest>
void LoadPc(GuestMachine& guest, const PcBoot& boot, Rest&& rest);

// Answers an exit of a PC's that means something else than another guest's. Nothing: it is answered
// as any guest's, as `kind` says then.
[[nodiscard]] std::optional<AfterExit> AnswerPcExit(VirtualProcessor& vcpu, ExitKind& kind);

// Its timer, if it is a PC's: when it is to fire, and what it raises when it is due.
inline uint64_t TimerDeadline(const VirtualProcessor& vcpu) {
  const uint64_t at = vcpu.apic == nullptr ? 0 : vcpu.apic->deadline_tsc();
  return at != 0 ? at : kNoDeadline;
}
inline void FireTimer(VirtualProcessor& vcpu, uint64_t now_tsc) {
  if (vcpu.apic == nullptr) return;
  const uint64_t at = vcpu.apic->deadline_tsc();
  const uint8_t vector = vcpu.apic->TakeTimer(now_tsc);
  if (vector != 0) static_cast<void>(vcpu.Tell(0, vector, at));
}

// It is about to run: tells a PC's kernel, where it asked for that, how long it waited for its
// turn.
void TellStolenTime(VirtualProcessor& vcpu, uint64_t now_tsc);

// Cycles since the guest began in which the processor neither ran nor slept.
[[nodiscard]] uint64_t WaitedCycles(const VirtualProcessor& vcpu, uint64_t now_tsc);

void LoadPcTables(GuestMachine& guest, const PcBoot& boot);

// Copies a segment in, as LoadSegment does; a kernel is large, and control has other things to do:
// `rest` is called after each MiB.
template <typename Rest>
void LoadInSteps(GuestMachine& guest, std::span<const std::byte> image, ImageSegment segment,
                 Rest&& rest) {
  constexpr uint64_t kStep = 1u << 20;
  for (uint64_t left = segment.file_bytes; left > 0; left -= segment.file_bytes) {
    segment.file_bytes = left < kStep ? left : kStep;
    LoadSegment(guest, image, segment);
    segment.gpa += segment.file_bytes;
    segment.file_offset += segment.file_bytes;
    rest();
  }
}

template <typename Rest>
void LoadPc(GuestMachine& guest, const PcBoot& boot, Rest&& rest) {
  if (guest.pc == nullptr) return;
  const uint64_t bytes = boot.initramfs.size();
  LoadInSteps(guest, boot.initramfs, {guest.pc->initramfs_gpa, bytes, 0, bytes}, rest);
  LoadPcTables(guest, boot);
}

}  // namespace nomhv

#endif  // NOMHV_X86_PC_PC_H_
