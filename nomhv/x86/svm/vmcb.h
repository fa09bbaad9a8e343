// SPDX-License-Identifier: Apache-2.0
// The virtual machine control block (AMD64 APM volume 2, appendix B) and its numbers.

#ifndef NOMHV_X86_SVM_VMCB_H_
#define NOMHV_X86_SVM_VMCB_H_

#include <cstddef>
#include <cstdint>

#include "nomhv/x86/guests/virtual_processor.h"

namespace nomhv {

struct VmcbSegment {
  uint16_t selector;
  uint16_t attributes;
  uint32_t limit;
  uint64_t base;
};

struct Vmcb {
  // Control area, table B-1.
  uint32_t intercepts[6];  // A bit for each exit code (appendix C), in their order.
  uint8_t reserved0[0x40 - 0x18];
  uint64_t iopm_physical;
  uint64_t msrpm_physical;
  uint64_t tsc_offset;
  uint32_t asid;
  uint32_t tlb_control;  // Low byte.
  uint64_t virtual_interrupt;
  uint64_t interrupt_shadow;
  uint64_t exit_code;
  uint64_t exit_info1;
  uint64_t exit_info2;
  uint64_t exit_interrupt_info;
  uint64_t nested_control;
  uint64_t avic_apic_bar;
  uint64_t ghcb;
  uint64_t event_injection;
  uint64_t nested_cr3;
  uint64_t lbr_control;
  uint64_t clean_bits;
  uint64_t next_rip;
  uint8_t reserved1[0x400 - 0xd0];
  // State save area, table B-2.
  VmcbSegment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
  uint8_t reserved2[0x4cb - 0x4a0];
  uint8_t cpl;
  uint32_t reserved3;
  uint64_t efer;
  uint8_t reserved4[0x548 - 0x4d8];
  uint64_t cr4;
  uint64_t cr3;
  uint64_t cr0;
  uint64_t dr7;
  uint64_t dr6;
  uint64_t rflags;
  uint64_t rip;
  uint8_t reserved5[0x5d8 - 0x580];
  uint64_t rsp;
  uint8_t reserved6[0x5f8 - 0x5e0];
  uint64_t rax;
  uint64_t star, lstar, cstar, sfmask;
  uint64_t kernel_gs_base;
  uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
  uint64_t cr2;
  uint8_t reserved7[0x668 - 0x648];
  uint64_t pat;
  uint8_t reserved8[0x1000 - 0x670];
};
static_assert(offsetof(Vmcb, iopm_physical) == 0x40);
static_assert(offsetof(Vmcb, exit_code) == 0x70);
static_assert(offsetof(Vmcb, event_injection) == 0xa8);
static_assert(offsetof(Vmcb, next_rip) == 0xc8);
static_assert(offsetof(Vmcb, es) == 0x400);
static_assert(offsetof(Vmcb, cpl) == 0x4cb);
static_assert(offsetof(Vmcb, cr4) == 0x548);
static_assert(offsetof(Vmcb, rsp) == 0x5d8);
static_assert(offsetof(Vmcb, rax) == 0x5f8);
static_assert(offsetof(Vmcb, pat) == 0x668);
static_assert(sizeof(Vmcb) == 4096);

// virtual_interrupt (offset 0x60)
inline constexpr uint64_t kVirtualIrq = 1u << 8;
inline constexpr uint64_t kVirtualIrqIgnoreTpr = 1u << 20;
inline constexpr uint64_t kVirtualIntrMasking = 1u << 24;

// event_injection, exit_interrupt_info (15.20)
inline constexpr uint64_t kEventValid = 1u << 31;
inline constexpr uint64_t kEventErrorCode = 1u << 11;
inline constexpr uint64_t kEventType = 7u << 8;
inline constexpr uint64_t kEventException = 3u << 8;

// The state of a virtual processor's that VMRUN loads and saves.
inline Vmcb& ControlBlock(const VirtualProcessor& vcpu) {
  return *static_cast<Vmcb*>(vcpu.control_block);
}

}  // namespace nomhv

#endif  // NOMHV_X86_SVM_VMCB_H_
