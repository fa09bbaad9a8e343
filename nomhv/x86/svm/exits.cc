// What each exit of a guest means: a call, a sleep, an exception of its own, or its end.

#include "nomhv/core/assert.h"
#include "nomhv/x86/calls.h"
#include "nomhv/x86/cpu.h"
#include "nomhv/x86/svm/instruction.h"
#include "nomhv/x86/svm/svm.h"

namespace nomhv {
namespace {

constexpr uint8_t kInvalidOpcode = 6;
constexpr uint8_t kDoubleFault = 8;
constexpr uint8_t kAlignmentCheck = 17;
constexpr uint8_t kGeneralProtection = 13;

AfterExit End(GuestMachine& guest, NomExitReason reason, uint64_t detail) {
  guest.End(reason, detail);
  return AfterExit::kEnded;
}

// #GP in answer to an exit. If the exit came while another exception was being delivered, the two
// make a double fault, and a third ends the guest (APM 2, 8.2.9): a guest whose tables lie in a
// hole would fault without end otherwise.
AfterExit GeneralProtection(GuestMachine& guest) {
  constexpr uint64_t kType = 7u << 8;
  constexpr uint32_t kContributory =
      (1u << 0) | (1u << 10) | (1u << 11) | (1u << 12) | (1u << kGeneralProtection) | (1u << 14);
  const uint64_t delivering = guest.vmcb->exit_interrupt_info;
  if ((delivering & kEventValid) != 0 && (delivering & kType) == kEventException) {
    const uint64_t vector = delivering & 0xff;
    if (vector == kDoubleFault) return End(guest, NOM_EXIT_REASON_TRIPLE_FAULT, 0);
    if (vector < 32 && (kContributory >> vector & 1) != 0) {
      InjectException(guest, kDoubleFault, /*has_error=*/true, 0);
      return AfterExit::kResume;
    }
  }
  InjectException(guest, kGeneralProtection, /*has_error=*/true, 0);
  return AfterExit::kResume;
}

// An instruction that a guest does not have. A guest with no table to take it ends with a reason
// better than a triple fault.
AfterExit InvalidOpcode(GuestMachine& guest) {
  const Vmcb& v = *guest.vmcb;
  const uint64_t gate_bytes = (v.efer & kEferLma) != 0 ? 16 : 8;
  if (v.idtr.limit < (kInvalidOpcode + 1) * gate_bytes - 1) {
    return End(guest, NOM_EXIT_REASON_BAD_INSTRUCTION, v.exit_code);
  }
  InjectException(guest, kInvalidOpcode, /*has_error=*/false, 0);
  return AfterExit::kResume;
}

void EmulateCpuid(GuestMachine& guest) {
  Vmcb& v = *guest.vmcb;
  const auto leaf = static_cast<uint32_t>(v.rax);
  const auto subleaf = static_cast<uint32_t>(guest.registers.rcx);
  CpuidResult r = Cpuid(leaf, subleaf);
  constexpr uint32_t kCr4Osxsave = 1u << 18;
  constexpr uint32_t kCr4ProtectionKeys = 1u << 22;
  switch (leaf) {
    case 1:
      // Not theirs: MONITOR, DTES64, x2APIC, TSC deadline; APIC, MCE, MTRR, MCA, ACPI, DS, HTT.
      r.ecx &= ~((1u << 3) | (1u << 2) | (1u << 21) | (1u << 24) | (1u << 27));
      if ((v.cr4 & kCr4Osxsave) != 0) r.ecx |= 1u << 27;
      r.ecx |= 1u << 31;  // A hypervisor is here.
      r.edx &=
          ~((1u << 9) | (1u << 7) | (1u << 12) | (1u << 14) | (1u << 22) | (1u << 21) | (1u << 28));
      r.ebx &= 0x0000ffff;
      r.ebx |= 1u << 16;
      break;
    case 5:
    case 6:
    case 0xa:
    case 0xb:
    case 0x8000000a:
      r = {};
      break;
    case 7:
      if (subleaf != 0) break;
      // Not theirs: RDPID. Their own: whether they turned protection keys on.
      r.ecx &= ~((1u << 22) | (1u << 4));
      if ((v.cr4 & kCr4ProtectionKeys) != 0) r.ecx |= 1u << 4;
      break;
    case 0x40000000:
      r = {0x40000000, 0x76686d6e, 0x76686d6e, 0x76686d6e};  // "nmhv" three times.
      break;
    case 0x80000001:
      r.ecx &= ~((1u << 2) | (1u << 3) | (1u << 10) | (1u << 12) | (1u << 13) | (1u << 23));
      r.edx &= ~((1u << 9) | (1u << 7) | (1u << 12) | (1u << 14) | (1u << 27));
      break;
    default:
      if (leaf > 0x40000000 && leaf < 0x40010000) r = {};
      break;
  }
  v.rax = r.eax;
  guest.registers.rbx = r.ebx;
  guest.registers.rcx = r.ecx;
  guest.registers.rdx = r.edx;
  AdvancePast(guest, kOpcodeCpuid, InCode64(v));
}

constexpr uint64_t kCr0Protection = 1u << 0;
constexpr uint64_t kCr0Paging = 1u << 31;

// Paging without protection: MOV CR0 refuses it with #GP (APM 2, 3.1.1). QEMU does not, nor does
// its VMRUN, and a guest would run on in a mode that no processor has.
bool ImpossibleMode(const Vmcb& v) { return (v.cr0 & (kCr0Paging | kCr0Protection)) == kCr0Paging; }

// 3.1.7 of volume 2; SVME is ours.
bool WriteEfer(Vmcb& v, uint64_t value) {
  constexpr uint64_t kTheirs = kEferSce | kEferLme | kEferNxe;
  if ((value & ~(kTheirs | kEferLma)) != 0) return false;
  if ((v.cr0 & kCr0Paging) != 0 && ((value ^ v.efer) & kEferLme) != 0) return false;
  v.efer = (value & kTheirs) | (v.efer & kEferLma) | kEferSvme;
  return true;
}

bool ValidPat(uint64_t value) {
  for (int i = 0; i < 8; ++i) {
    const uint64_t type = value >> (8 * i) & 0xff;
    if (type > 7 || type == 2 || type == 3) return false;
  }
  return true;
}

AfterExit EmulateMsr(GuestMachine& guest) {
  Vmcb& v = *guest.vmcb;
  const bool write = (v.exit_info1 & 1) != 0;
  const auto msr = static_cast<uint32_t>(guest.registers.rcx);
  uint64_t value = (guest.registers.rdx & 0xffffffff) << 32 | (v.rax & 0xffffffff);
  bool known = true;
  if (write) {
    if (msr == kMsrEfer) {
      known = WriteEfer(v, value);
    } else if (msr == kMsrPat && ValidPat(value)) {
      v.pat = value;
    } else {
      known = false;
    }
  } else if (msr == kMsrEfer) {
    value = v.efer & ~kEferSvme;
  } else if (msr == kMsrPat) {
    value = v.pat;
  } else {
    known = false;
  }
  if (!known) return GeneralProtection(guest);
  if (!write) {
    v.rax = value & 0xffffffff;
    guest.registers.rdx = value >> 32;
  }
  AdvancePast(guest, write ? kOpcodeWrmsr : kOpcodeRdmsr, InCode64(v));
  return AfterExit::kResume;
}

AfterExit NestedPageFault(GuestMachine& guest) {
  constexpr uint64_t kWrite = 1u << 1;
  constexpr uint64_t kFetch = 1u << 4;
  const Vmcb& v = *guest.vmcb;
  const uint64_t gpa = v.exit_info2;
  const uint64_t page = gpa & ~uint64_t{NOM_FRAME_BYTES - 1};
  const std::optional<NestedMapping> mapping = guest.tables.Find(page);
  if (mapping.has_value()) {
    const bool refused = ((v.exit_info1 & kWrite) != 0 && !mapping->flags.writable) ||
                         ((v.exit_info1 & kFetch) != 0 && !mapping->flags.executable);
    // Else it was mapped since the processor looked.
    return refused ? GeneralProtection(guest) : AfterExit::kResume;
  }
  if (gpa / NOM_FRAME_BYTES < guest.window_frames ||
      (gpa >= NOM_GPA_REGIONS && gpa - NOM_GPA_REGIONS < NOM_REGIONS_BYTES) ||
      (gpa >= NOM_GPA_DEVICES && gpa - NOM_GPA_DEVICES < NOM_DEVICES_BYTES)) {
    return GeneralProtection(guest);
  }
  return End(guest, NOM_EXIT_REASON_WILD_ACCESS, gpa);
}

AfterExit Halt(GuestMachine& guest) {
  AdvancePast(guest, kOpcodeHlt, InCode64(*guest.vmcb));
  if ((guest.vmcb->rflags & kFlagsInterrupt) == 0) return End(guest, NOM_EXIT_REASON_DONE, 0);
  if (guest.interrupt_due()) return AfterExit::kResume;
  guest.sleep = {SleepState::kHalted, 0};
  return AfterExit::kSleep;
}

AfterExit Call(GuestMachine& guest) {
  Vmcb& v = *guest.vmcb;
  if (v.cpl != 0) return InvalidOpcode(guest);
  const bool code64 = InCode64(v);
  const uint64_t mask = code64 ? ~uint64_t{0} : 0xffffffff;
  AdvancePast(guest, kOpcodeVmmcall, code64);
  const CallAnswer answer = DoCall(guest, v.rax & mask, guest.registers.rdi & mask,
                                   guest.registers.rsi & mask, guest.registers.rdx & mask);
  if (guest.work.busy()) return AfterExit::kResume;  // Its answer comes later.
  v.rax = answer.status;
  guest.registers.rdx = answer.value;
  switch (answer.then) {
    case AfterCall::kSleep:
      return AfterExit::kSleep;
    case AfterCall::kEnded:
      return AfterExit::kEnded;
    case AfterCall::kResume:
      break;
  }
  return AfterExit::kResume;
}

// The registers by number (volume 3, table 1-9).
uint64_t& GeneralRegister(GuestMachine& guest, uint32_t number) {
  if (number == 0) return guest.vmcb->rax;
  if (number == 4) return guest.vmcb->rsp;
  return (&guest.registers.unused_rax)[number];
}

AfterExit DebugRegister(GuestMachine& guest, bool write) {
  constexpr uint64_t kCr4DebugExtensions = 1u << 3;
  Vmcb& v = *guest.vmcb;
  uint8_t buffer[kInstructionBytesMax];
  const bool code64 = InCode64(v);
  const std::optional<DebugMove> move =
      DecodeDebugMove(FetchInstruction(guest, buffer), write, code64);
  // Whoever changes its code under itself gets what an unreadable one gets.
  if (!move.has_value()) return GeneralProtection(guest);
  uint64_t& general = GeneralRegister(guest, move->general_register);
  const bool extensions = (v.cr4 & kCr4DebugExtensions) != 0;
  uint64_t value = code64 ? general : general & 0xffffffff;
  const DebugAccess access =
      write ? guest.debug_registers.Write(move->debug_register, extensions, value, v.dr6)
            : guest.debug_registers.Read(move->debug_register, extensions, v.dr6, value);
  switch (access) {
    case DebugAccess::kInvalidOpcode:
      return InvalidOpcode(guest);
    case DebugAccess::kGeneralProtection:
      return GeneralProtection(guest);
    case DebugAccess::kDone:
      break;
  }
  if (!write) general = code64 ? value : value & 0xffffffff;
  AdvanceRip(v, move->length, code64);
  return AfterExit::kResume;
}

AfterExit Exception(GuestMachine& guest, uint8_t vector) {
  constexpr uint8_t kMachineCheck = 18;
  NOMHV_CHECK(vector != kMachineCheck, "machine check while a guest ran");
  const bool has_error = vector == kAlignmentCheck;
  InjectException(guest, vector, has_error, static_cast<uint32_t>(guest.vmcb->exit_info1));
  return AfterExit::kResume;
}

}  // namespace

AfterExit HandleExit(GuestMachine& guest) {
  const Vmcb& v = *guest.vmcb;
  const uint64_t code = v.exit_code;
  // A shutdown leaves the saved state undefined.
  if (code != kSvmExitShutdown && ImpossibleMode(v)) {
    guest.CountExit(NOM_EXIT_OTHER);
    return End(guest, NOM_EXIT_REASON_BAD_STATE, 0);
  }
  switch (code) {
    case kSvmExitIntr:
    case kSvmExitNmi:
    case kSvmExitSmi:
    case kSvmExitInit:
      return AfterExit::kInterrupt;
    case kSvmExitVmmcall:
      guest.CountExit(NOM_EXIT_CALL);
      return Call(guest);
    case kSvmExitHlt:
      guest.CountExit(NOM_EXIT_HALT);
      return Halt(guest);
    case kSvmExitNestedPageFault:
      guest.CountExit(NOM_EXIT_NESTED_PAGE_FAULT);
      return NestedPageFault(guest);
    case kSvmExitCpuid:
      guest.CountExit(NOM_EXIT_CPUID);
      EmulateCpuid(guest);
      return AfterExit::kResume;
    case kSvmExitMsr:
      guest.CountExit(NOM_EXIT_MSR);
      return EmulateMsr(guest);
    case kSvmExitIo:
      guest.CountExit(NOM_EXIT_PORT);
      return End(guest, NOM_EXIT_REASON_BAD_PORT, v.exit_info1 >> 16 & 0xffff);
    default:
      break;
  }
  if (code >= kSvmExitReadDebug && code < kSvmExitException) {
    guest.CountExit(NOM_EXIT_OTHER);
    return DebugRegister(guest, /*write=*/code >= kSvmExitWriteDebug);
  }
  if (code >= kSvmExitException && code < kSvmExitException + 32) {
    guest.CountExit(NOM_EXIT_EXCEPTION);
    return Exception(guest, static_cast<uint8_t>(code - kSvmExitException));
  }
  guest.CountExit(NOM_EXIT_OTHER);
  switch (code) {
    case kSvmExitShutdown:
      return End(guest, NOM_EXIT_REASON_TRIPLE_FAULT, 0);
    case kSvmExitInvalid:
      return End(guest, NOM_EXIT_REASON_BAD_STATE, 0);
    case kSvmExitInvd:
    case kSvmExitWbinvd:
      // Caches are coherent and not theirs to empty.
      AdvancePast(guest, kOpcodeInvalidate, InCode64(v));
      return AfterExit::kResume;
    case kSvmExitRdpmc:
    case kSvmExitTaskSwitch:
      return GeneralProtection(guest);
    default:
      return InvalidOpcode(guest);
  }
}

}  // namespace nomhv
