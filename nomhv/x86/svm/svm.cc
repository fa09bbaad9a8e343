// SPDX-License-Identifier: Apache-2.0
// AMD's virtualization (AMD64 APM volume 2, chapter 15) behind x86/guests/virtualization.h.

#include <cstring>

#include "nomhv/core/cpuid.h"
#include "nomhv/core/exceptions.h"
#include "nomhv/x86/guests/devices.h"
#include "nomhv/x86/guests/machine.h"
#include "nomhv/x86/guests/virtualization.h"
#include "nomhv/x86/platform/cpu.h"
#include "nomhv/x86/svm/exits.h"

namespace nomhv {
namespace {

constexpr uint32_t kMsrPredictionCommand = 0x49;
constexpr uint32_t kMsrVmCr = 0xc0010114;
constexpr uint32_t kMsrVmHsavePa = 0xc0010117;
constexpr uint64_t kEferSvme = 1u << 12;
constexpr uint32_t kFlushAll = 1;       // tlb_control (15.16.2)
constexpr uint64_t kBranchBarrier = 1;  // kMsrPredictionCommand

// 15.10.1: a bit a port, and one more page for accesses that wrap. All ones: every port exits.
struct alignas(4096) IoPermissions {
  uint8_t bytes[3 * 4096];
};
// 15.11: two bits an MSR (read, write); 2 KiB for each of three ranges.
struct alignas(4096) MsrPermissions {
  uint8_t bytes[2 * 4096];
};
IoPermissions g_io_permissions;
MsrPermissions g_msr_permissions;
// Whether there is an indirect branch prediction barrier (3.2.9).
bool g_branch_barrier = false;
// QEMU 7.2 without KVM keeps the vector of an interrupt that VMRUN injects, and injects it once
// more where its loop ends for another reason before the next exit, though interrupts may be off by
// then.
bool g_repeats_injections = false;

void PassMsr(uint32_t msr, bool write) {
  const uint32_t base = msr >= 0xc0000000 ? 0x800 : 0;
  const uint32_t bit = (msr & 0x1fff) * 2;
  uint8_t& byte = g_msr_permissions.bytes[base + bit / 8];
  byte = static_cast<uint8_t>(byte & ~((write ? 3u : 1u) << (bit % 8)));
}

// Until TakeBackInterrupt: the processor exits as soon as the guest allows an interrupt (15.21.4).
// Only then which it is is decided, as another may have come meanwhile.
[[gnu::noinline]] void OfferInterrupt(VirtualProcessor& vcpu) {
  if (InInterruptShadow(vcpu)) return;
  ControlBlock(vcpu).virtual_interrupt |= kVirtualIrq | kVirtualIrqIgnoreTpr;
}
[[gnu::noinline]] void TakeBackInterrupt(VirtualProcessor& vcpu) {
  constexpr uint64_t kGuestsTpr = 0xff;
  Vmcb& v = ControlBlock(vcpu);
  v.virtual_interrupt = kVirtualIntrMasking | (v.virtual_interrupt & kGuestsTpr);
  if (v.exit_code != kExitVirtualInterrupt) return;
  const uint8_t vector = vcpu.NextVector();
  static_cast<void>(vcpu.TakeVector(vector));
  if (vector == 0) return;  // Taken before who raised it had told all.
  if (vcpu.apic != nullptr) vcpu.apic->Begin(vector);
  // As if it had been under way: it is delivered at the next entry.
  v.exit_interrupt_info = kEventValid | vector;
  DeviceInterruptTaken(vcpu, vector);
  vcpu.guest->interrupts.fetch_add(1, std::memory_order_relaxed);
}

// Calls SvmRun (run.S), which keeps no registers but RBP and RSP.
inline void RunGuest(Vmcb& v, GuestRegisters& registers, uint64_t host_physical) {
  uint64_t a, d, s;  // Not kept.
  asm volatile("call SvmRun"
               : "=a"(a), "=D"(d), "=S"(s)
               : "0"(&v), "1"(&registers), "2"(host_physical)
               : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc",
                 "memory");
}

}  // namespace

void InitVirtualization() {
  std::memset(&g_io_permissions, 0xff, sizeof(g_io_permissions));
  std::memset(&g_msr_permissions, 0xff, sizeof(g_msr_permissions));
  // What VMLOAD and VMSAVE switch is the guest's own (15.5.2). The TSC may be read.
  for (const uint32_t msr : {0x174u, 0x175u, 0x176u, 0xc0000081u, 0xc0000082u, 0xc0000083u,
                             0xc0000084u, 0xc0000100u, 0xc0000101u, 0xc0000102u}) {
    PassMsr(msr, /*write=*/true);
  }
  PassMsr(0x10, /*write=*/false);
  constexpr uint32_t kIbpb = 1u << 12;  // Fn8000_0008 EBX
  g_branch_barrier = Cpuid(0x80000000).eax >= 0x80000008 && (Cpuid(0x80000008).ebx & kIbpb) != 0;
  g_repeats_injections = Cpuid(kCpuidHypervisor).ebx == 0x54474354;  // "TCGT"
}

bool EnableVirtualization(Processor& processor) {
  constexpr uint32_t kSvmFeature = 1u << 2;    // Fn8000_0001 ECX
  constexpr uint32_t kNestedPaging = 1u << 0;  // Fn8000_000A EDX
  constexpr uint64_t kSvmDisabled = 1u << 4;   // VM_CR
  if (Cpuid(0x80000000).eax < 0x8000000a || (Cpuid(0x80000001).ecx & kSvmFeature) == 0 ||
      (Cpuid(0x8000000a).edx & kNestedPaging) == 0 || (ReadMsr(kMsrVmCr) & kSvmDisabled) != 0) {
    return false;
  }
  WriteMsr(kMsrEfer, ReadMsr(kMsrEfer) | kEferSvme);
  WriteMsr(kMsrVmHsavePa, AllocateOwnFrame().value());
  processor.own_state = AllocateOwnFrame().value();
  asm volatile("vmsave" ::"a"(processor.own_state) : "memory");
  return true;
}

void ResetVirtualProcessor(VirtualProcessor& vcpu, uint32_t entry, uint64_t argument) {
  Vmcb& v = ControlBlock(vcpu);
  std::memset(&v, 0, sizeof(v));
  SetIntercepts(v);
  v.iopm_physical = reinterpret_cast<uint64_t>(&g_io_permissions);
  v.msrpm_physical = reinterpret_cast<uint64_t>(&g_msr_permissions);
  v.asid = 1;
  v.virtual_interrupt = kVirtualIntrMasking;
  v.nested_control = 1;
  v.nested_cr3 = vcpu.guest->tables.root();

  // guest.h: 32-bit protected mode, paging off, flat segments, interrupts off.
  v.cs = {8, 0xc9b, 0xffffffff, 0};
  v.ds = v.es = v.ss = v.fs = v.gs = VmcbSegment{16, 0xc93, 0xffffffff, 0};
  v.tr = {0, 0x8b, 0x67, 0};
  v.ldtr = {0, 0x82, 0, 0};
  v.efer = kEferSvme;  // VMRUN refuses a guest without; RDMSR hides it.
  v.cr0 = 0x11;        // PE, ET
  v.dr6 = DebugRegisters::kDr6Reset;
  v.dr7 = DebugRegisters::kDr7Reset;
  v.rflags = 2;
  v.rip = entry;
  v.pat = kPatReset;
  vcpu.registers = {};
  vcpu.registers.rbx() = argument;
}

void StartInStateOf(VirtualProcessor& vcpu, const VirtualProcessor& other, uint64_t entry,
                    uint64_t stack) {
  Vmcb& v = ControlBlock(vcpu);
  v = ControlBlock(other);
  v.virtual_interrupt = kVirtualIntrMasking;
  v.interrupt_shadow = 0;
  v.exit_interrupt_info = 0;
  v.event_injection = 0;
  v.dr6 = DebugRegisters::kDr6Reset;
  v.rflags = 2;
  v.rip = entry;
  v.rsp = stack;
  vcpu.registers = {};
  vcpu.registers.rdi() = vcpu.index % NOM_VIRTUAL_PROCESSORS_MAX;
  vcpu.debug_registers = {};
}

void StartInRealMode(VirtualProcessor& vcpu, uint64_t page) {
  ResetVirtualProcessor(vcpu, 0, 0);
  Vmcb& v = ControlBlock(vcpu);
  v.cs = {static_cast<uint16_t>(page << 8), 0x9b, 0xffff, page << 12};
  v.ds = v.es = v.ss = v.fs = v.gs = VmcbSegment{0, 0x93, 0xffff, 0};
  v.cr0 = 0x10;  // ET
  vcpu.debug_registers = {};
}

ExitKind RunVirtualProcessor(Processor& processor, VirtualProcessor& vcpu) {
  Vmcb& v = ControlBlock(vcpu);
  GuestRegisters& r = vcpu.registers;
  if (processor.translations.MustFlush(vcpu.translations.generation())) [[unlikely]] {
    v.tlb_control = kFlushAll;
    if (vcpu.code_page.generation != vcpu.translations.generation()) {
      vcpu.code_page = {.generation = vcpu.translations.generation()};
    }
    // Branches that another guest has trained are forgotten with its translations.
    if (g_branch_barrier && processor.translations.changed_hands()) {
      WriteMsr(kMsrPredictionCommand, kBranchBarrier);
    }
  }
  if (vcpu.interrupt_due() && (vcpu.apic == nullptr || vcpu.apic->Admits(vcpu.NextVector())))
      [[unlikely]]
    OfferInterrupt(vcpu);
  // So the next exit comes at once.
  if (g_repeats_injections && (v.event_injection & (kEventValid | kEventType)) == kEventValid)
    Poke(processor);
  v.rax = r.rax();
  RunGuest(v, r, processor.own_state);
  r.rax() = v.rax;
  v.tlb_control = 0;
  if ((v.virtual_interrupt & kVirtualIrqIgnoreTpr) != 0) [[unlikely]]
    TakeBackInterrupt(vcpu);
  // What the exit interrupted the delivery of, if it is valid, is delivered again (15.7.2), unless
  // the exit is answered with an event of its own.
  v.event_injection = v.exit_interrupt_info;
  return Translate(vcpu, v);
}

void InjectException(VirtualProcessor& vcpu, uint8_t vector, uint32_t error) {
  ControlBlock(vcpu).event_injection =
      kEventValid | kEventException | vector |
      (HasErrorCode(vector) ? kEventErrorCode | uint64_t{error} << 32 : 0);
}

uint64_t InstructionPointer(const VirtualProcessor& vcpu) { return ControlBlock(vcpu).rip; }

bool InInterruptShadow(const VirtualProcessor& vcpu) {
  return (ControlBlock(vcpu).interrupt_shadow & 1) != 0;
}

void KeepInterruptShadow(VirtualProcessor& vcpu) {
  Vmcb& v = ControlBlock(vcpu);
  if (v.rip == vcpu.shadow_rip) v.interrupt_shadow |= 1;
  vcpu.shadow_rip = InInterruptShadow(vcpu) ? v.rip : ~uint64_t{0};
}

bool InterruptsEnabled(const VirtualProcessor& vcpu) {
  return (ControlBlock(vcpu).rflags & kFlagsInterrupt) != 0;
}

ControlRegisters ReadControlRegisters(const VirtualProcessor& vcpu) {
  const Vmcb& v = ControlBlock(vcpu);
  return {v.cr0, v.cr3, v.cr4, v.efer & ~kEferSvme, v.pat, v.dr6, v.idtr.limit};
}

void WriteControlRegisters(VirtualProcessor& vcpu, const ControlRegisters& control) {
  Vmcb& v = ControlBlock(vcpu);
  v.efer = control.efer | kEferSvme;
  v.pat = control.pat;
  v.dr6 = control.dr6;
}

}  // namespace nomhv
