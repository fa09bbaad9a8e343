#include "nomhv/x86/svm/svm.h"

#include <cstring>

#include "nomhv/core/assert.h"
#include "nomhv/x86/cpu.h"

extern "C" void SvmRun(uint64_t vmcb_physical, nomhv::GuestRegisters* registers,
                       uint64_t host_physical);

namespace nomhv {
namespace {

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
uint64_t g_xcr0_all = 0;
// Whether there is an indirect branch prediction barrier (volume 2, 3.2.9).
bool g_branch_barrier = false;
constexpr uint32_t kMsrPredictionCommand = 0x49;
constexpr uint64_t kBranchBarrier = 1;

void PassMsr(uint32_t msr, bool write) {
  uint32_t base = 0;
  if (msr >= 0xc0000000) base = 0x800;
  const uint32_t bit = (msr & 0x1fff) * 2;
  uint8_t& byte = g_msr_permissions.bytes[base + bit / 8];
  byte = static_cast<uint8_t>(byte & ~(1u << (bit % 8)));
  if (write) byte = static_cast<uint8_t>(byte & ~(2u << (bit % 8)));
}

VmcbSegment FlatSegment(uint16_t selector, uint16_t attributes) {
  return {selector, attributes, 0xffffffff, 0};
}

}  // namespace

void InitSvm() {
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
}

bool EnableSvm(SvmProcessor& processor) {
  constexpr uint32_t kSvmFeature = 1u << 2;                            // Fn8000_0001 ECX
  constexpr uint32_t kNestedPaging = 1u << 0;                          // Fn8000_000A EDX
  constexpr uint64_t kSvmDisabled = 1u << 4;                           // VM_CR
  constexpr uint32_t kXsave = 1u << 26;                                // Fn1 ECX
  constexpr uint64_t kCr4Fpu = (1u << 9) | (1u << 10) | (1u << 18);    // OSFXSR OSXMMEXCPT OSXSAVE
  constexpr uint64_t kCr0MonitorTaskSwitched = (1u << 1) | (1u << 5);  // MP, NE
  constexpr uint64_t kCr0NoFpu = (1u << 2) | (1u << 3);                // EM, TS
  if (Cpuid(0x80000000).eax < 0x8000000a || (Cpuid(0x80000001).ecx & kSvmFeature) == 0 ||
      (Cpuid(0x8000000a).edx & kNestedPaging) == 0 || (Cpuid(1).ecx & kXsave) == 0 ||
      (ReadMsr(kMsrVmCr) & kSvmDisabled) != 0) {
    return false;
  }
  WriteCr0((ReadCr0() | kCr0MonitorTaskSwitched) & ~kCr0NoFpu);
  WriteCr4(ReadCr4() | kCr4Fpu);
  const CpuidResult xsave = Cpuid(0xd);
  g_xcr0_all = uint64_t{xsave.edx} << 32 | xsave.eax;
  NOMHV_CHECK(xsave.ecx <= NOM_FRAME_BYTES, "svm: an FPU state does not fit in a frame");
  WriteXcr0(g_xcr0_all);

  const Result<uint64_t> save_area = AllocateOwnFrame();
  const Result<uint64_t> host_state = AllocateOwnFrame();
  processor.host_save_area = save_area.value();
  processor.host_state = host_state.value();
  WriteMsr(kMsrEfer, ReadMsr(kMsrEfer) | kEferSvme);
  WriteMsr(kMsrVmHsavePa, processor.host_save_area);
  asm volatile("vmsave" ::"a"(processor.host_state) : "memory");
  return true;
}

void SvmInitGuest(GuestMachine& guest, uint32_t entry) {
  Vmcb& v = *guest.vmcb;
  // Breakpoints are never armed (core/debug_registers.h); under QEMU 7.2 a write to DR7 by a guest
  // corrupts the emulator.
  v.dr_read_intercepts = 0xffff;
  v.dr_write_intercepts = 0xffff;
  // #DB and #AC can be made to follow each other without end inside one instruction; only an
  // intercept breaks that (AMD's answer to CVE-2015-8104 and CVE-2015-5307).
  v.exception_intercepts = (1u << 1) | (1u << 17) | (1u << 18);
  v.intercepts1 = kInterceptIntr | kInterceptNmi | kInterceptSmi | kInterceptInit |
                  kInterceptRdpmc | kInterceptCpuid | kInterceptInvd | kInterceptHlt |
                  kInterceptInvlpga | kInterceptIo | kInterceptMsr | kInterceptTaskSwitch |
                  kInterceptShutdown;
  v.intercepts2 = kInterceptSvmInstructions | kInterceptWbinvd | kInterceptMonitorMwait;
  v.iopm_physical = reinterpret_cast<uint64_t>(&g_io_permissions);
  v.msrpm_physical = reinterpret_cast<uint64_t>(&g_msr_permissions);
  v.asid = 1;
  v.virtual_interrupt = kVirtualIntrMasking;
  v.nested_control = 1;
  v.nested_cr3 = guest.tables.root();

  // guest.h: 32-bit protected mode, paging off, flat segments, interrupts off.
  v.cs = FlatSegment(8, 0xc9b);
  v.ds = v.es = v.ss = v.fs = v.gs = FlatSegment(16, 0xc93);
  v.tr = {0, 0x8b, 0x67, 0};
  v.ldtr = {0, 0x82, 0, 0};
  v.efer = kEferSvme;  // VMRUN refuses a guest without; RDMSR hides it.
  v.cr0 = 0x11;        // PE, ET
  v.dr6 = DebugRegisters::kDr6Reset;
  v.dr7 = DebugRegisters::kDr7Reset;
  v.rflags = 2;
  v.rip = entry;
  v.pat = 0x0007040600070406;
  guest.registers = {};
  guest.registers.rbx = NOM_GPA_START_PAGE;

  // The reset state of x87 and SSE (APM 2, 14.1.3): legacy area FCW and MXCSR; a header of zeroes
  // would let XRSTOR ignore them, so it says that both are there.
  auto* fpu = static_cast<uint8_t*>(guest.fpu);
  const uint16_t fcw = 0x37f;
  const uint32_t mxcsr = 0x1f80;
  const uint64_t present = 3;
  std::memcpy(fpu, &fcw, sizeof(fcw));
  std::memcpy(fpu + 24, &mxcsr, sizeof(mxcsr));
  std::memcpy(fpu + 512, &present, sizeof(present));
}

void LoadGuestState(GuestMachine& guest) {
  WriteXcr0(g_xcr0_all);
  // AMD's XRSTOR leaves the last x87 instruction's addresses of whoever ran before, unless an
  // exception is pending (volume 2, 11.4.4.3): loading a constant puts ours there.
  static const int32_t kZero = 0;
  asm volatile("fnclex; emms; fildl %0" ::"m"(kZero));
  asm volatile("xrstor64 (%0)" ::"r"(guest.fpu), "a"(~0u), "d"(~0u) : "memory");
  WriteXcr0(guest.xcr0);
}

void SaveGuestState(GuestMachine& guest) {
  guest.xcr0 = ReadXcr0();
  WriteXcr0(g_xcr0_all);
  asm volatile("xsave64 (%0)" ::"r"(guest.fpu), "a"(~0u), "d"(~0u) : "memory");
}

void RunGuest(SvmProcessor& processor, GuestMachine& guest) {
  constexpr uint32_t kFlushAll = 1;
  Vmcb& v = *guest.vmcb;
  // Branches that another guest has trained are forgotten with its translations.
  if (g_branch_barrier && processor.translations.slot() != guest.slot) {
    WriteMsr(kMsrPredictionCommand, kBranchBarrier);
  }
  v.tlb_control = processor.translations.MustFlush(guest.slot, guest.translations) ? kFlushAll : 0;
  v.clean_bits = 0;

  // What an exit interrupted the delivery of is delivered again (15.7.2), unless the exit was
  // answered with an event of its own.
  uint64_t event = guest.pending_event;
  if (event == 0 && (v.exit_interrupt_info & kEventValid) != 0) event = v.exit_interrupt_info;
  v.event_injection = event;
  v.exit_interrupt_info = 0;
  guest.pending_event = 0;

  const bool virtual_irq = guest.interrupt_due();
  v.virtual_interrupt = kVirtualIntrMasking | (v.virtual_interrupt & 0xff);
  if (virtual_irq) {
    v.virtual_interrupt |= kVirtualIrq | kVirtualIrqIgnoreTpr |
                           uint64_t{guest.notice_vector} << kVirtualIrqVectorShift;
  }
  SvmRun(reinterpret_cast<uint64_t>(&v), &guest.registers, processor.host_state);
  if (virtual_irq && (v.virtual_interrupt & kVirtualIrq) == 0) {
    static_cast<void>(guest.TakeNews(kNewsInterrupt));
    guest.interrupts.fetch_add(1, std::memory_order_relaxed);
  }
}

void InjectException(GuestMachine& guest, uint8_t vector, bool has_error, uint32_t error) {
  guest.pending_event = kEventValid | kEventException | vector |
                        (has_error ? kEventErrorCode | uint64_t{error} << 32 : 0);
}

}  // namespace nomhv
