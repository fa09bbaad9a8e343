// The virtual machine control block (AMD64 APM volume 2, appendix B) and its numbers.

#ifndef NOMHV_X86_SVM_VMCB_H_
#define NOMHV_X86_SVM_VMCB_H_

#include <cstddef>
#include <cstdint>

namespace nomhv {

struct VmcbSegment {
  uint16_t selector;
  uint16_t attributes;
  uint32_t limit;
  uint64_t base;
};

struct Vmcb {
  // Control area, table B-1.
  uint16_t cr_read_intercepts;
  uint16_t cr_write_intercepts;
  uint16_t dr_read_intercepts;
  uint16_t dr_write_intercepts;
  uint32_t exception_intercepts;
  uint32_t intercepts1;  // kIntercept...
  uint32_t intercepts2;
  uint32_t intercepts3;
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
static_assert(offsetof(Vmcb, asid) == 0x58);
static_assert(offsetof(Vmcb, exit_code) == 0x70);
static_assert(offsetof(Vmcb, nested_control) == 0x90);
static_assert(offsetof(Vmcb, event_injection) == 0xa8);
static_assert(offsetof(Vmcb, next_rip) == 0xc8);
static_assert(offsetof(Vmcb, es) == 0x400);
static_assert(offsetof(Vmcb, cpl) == 0x4cb);
static_assert(offsetof(Vmcb, efer) == 0x4d0);
static_assert(offsetof(Vmcb, cr4) == 0x548);
static_assert(offsetof(Vmcb, rip) == 0x578);
static_assert(offsetof(Vmcb, rsp) == 0x5d8);
static_assert(offsetof(Vmcb, rax) == 0x5f8);
static_assert(offsetof(Vmcb, cr2) == 0x640);
static_assert(offsetof(Vmcb, pat) == 0x668);
static_assert(sizeof(Vmcb) == 4096);

// intercepts1 (offset 0x0c)
inline constexpr uint32_t kInterceptIntr = 1u << 0;
inline constexpr uint32_t kInterceptNmi = 1u << 1;
inline constexpr uint32_t kInterceptSmi = 1u << 2;
inline constexpr uint32_t kInterceptInit = 1u << 3;
inline constexpr uint32_t kInterceptRdpmc = 1u << 15;
inline constexpr uint32_t kInterceptCpuid = 1u << 18;
inline constexpr uint32_t kInterceptInvd = 1u << 22;
inline constexpr uint32_t kInterceptHlt = 1u << 24;
inline constexpr uint32_t kInterceptInvlpga = 1u << 26;
inline constexpr uint32_t kInterceptIo = 1u << 27;
inline constexpr uint32_t kInterceptMsr = 1u << 28;
inline constexpr uint32_t kInterceptTaskSwitch = 1u << 29;
inline constexpr uint32_t kInterceptShutdown = 1u << 31;
// intercepts2 (offset 0x10)
inline constexpr uint32_t kInterceptSvmInstructions = 0x7f;  // VMRUN .. SKINIT
inline constexpr uint32_t kInterceptWbinvd = 1u << 9;
inline constexpr uint32_t kInterceptMonitorMwait = 7u << 10;

// virtual_interrupt (offset 0x60)
inline constexpr uint64_t kVirtualIrq = 1u << 8;
inline constexpr uint64_t kVirtualIrqIgnoreTpr = 1u << 20;
inline constexpr uint64_t kVirtualIntrMasking = 1u << 24;
inline constexpr int kVirtualIrqVectorShift = 32;

// event_injection, exit_interrupt_info (15.20)
inline constexpr uint64_t kEventValid = 1u << 31;
inline constexpr uint64_t kEventErrorCode = 1u << 11;
inline constexpr uint64_t kEventException = 3u << 8;

// Exit codes (appendix C).
enum SvmExit : uint64_t {
  kSvmExitReadDebug = 0x20,   // + register
  kSvmExitWriteDebug = 0x30,  // + register
  kSvmExitException = 0x40,   // + vector
  kSvmExitIntr = 0x60,
  kSvmExitNmi = 0x61,
  kSvmExitSmi = 0x62,
  kSvmExitInit = 0x63,
  kSvmExitRdpmc = 0x6f,
  kSvmExitCpuid = 0x72,
  kSvmExitInvd = 0x76,
  kSvmExitHlt = 0x78,
  kSvmExitInvlpga = 0x7a,
  kSvmExitIo = 0x7b,
  kSvmExitMsr = 0x7c,
  kSvmExitTaskSwitch = 0x7d,
  kSvmExitShutdown = 0x7f,
  kSvmExitVmrun = 0x80,
  kSvmExitVmmcall = 0x81,
  kSvmExitVmload = 0x82,
  kSvmExitSkinit = 0x86,
  kSvmExitWbinvd = 0x89,
  kSvmExitMonitor = 0x8a,
  kSvmExitMwait = 0x8b,
  kSvmExitMwaitConditional = 0x8c,
  kSvmExitNestedPageFault = 0x400,
  kSvmExitInvalid = ~uint64_t{0},
};

// What VMRUN does not keep, by the processor's numbers. RAX and RSP are the control block's.
struct GuestRegisters {
  uint64_t unused_rax, rcx, rdx, rbx, unused_rsp, rbp, rsi, rdi;
  uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
};
static_assert(sizeof(GuestRegisters) == 0x80);

}  // namespace nomhv

#endif  // NOMHV_X86_SVM_VMCB_H_
