// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/guests/exits.h"

#include "nomhv/core/assert.h"
#include "nomhv/core/cpuid.h"
#include "nomhv/core/exceptions.h"
#include "nomhv/x86/guests/guest_machine.h"
#include "nomhv/x86/guests/virtualization.h"
#include "nomhv/x86/pc/pc.h"
#include "nomhv/x86/platform/cpu.h"

namespace nomhv {
namespace {

AfterExit End(VirtualProcessor& vcpu, NomExitReason reason, uint64_t detail) {
  vcpu.guest->End(vcpu, reason, detail);
  return AfterExit::kEnded;
}

// #GP in answer to an exit.
AfterExit Refuse(VirtualProcessor& vcpu) {
  const Escalation comes = Escalate(vcpu.exit.delivering, kVectorGeneralProtection);
  if (comes == Escalation::kShutdown) return End(vcpu, NOM_EXIT_REASON_TRIPLE_FAULT, 0);
  const bool twice = comes == Escalation::kDoubleFault;
  InjectException(vcpu, twice ? kVectorDoubleFault : kVectorGeneralProtection, 0);
  return AfterExit::kResume;
}

// An instruction that a guest does not have. A guest with no table to take it ends with a reason
// better than a triple fault.
AfterExit Absent(VirtualProcessor& vcpu) {
  const ControlRegisters control = ReadControlRegisters(vcpu);
  const uint64_t gate_bytes = (control.efer & kEferLma) != 0 ? 16 : 8;
  if (control.idt_limit < (kVectorInvalidOpcode + 1) * gate_bytes - 1) {
    return End(vcpu, NOM_EXIT_REASON_BAD_INSTRUCTION, vcpu.exit.code);
  }
  InjectException(vcpu, kVectorInvalidOpcode, 0);
  return AfterExit::kResume;
}

AfterExit Advance(VirtualProcessor& vcpu) {
  AdvancePastExit(vcpu);
  return AfterExit::kResume;
}

AfterExit TellCpuid(VirtualProcessor& vcpu) {
  GuestRegisters& r = vcpu.registers;
  const auto leaf = static_cast<uint32_t>(r.rax());
  const auto subleaf = static_cast<uint32_t>(r.rcx());
  const CpuidResult told =
      GuestCpuid(leaf, subleaf, Cpuid(leaf, subleaf), ReadControlRegisters(vcpu).cr4);
  r.rax() = told.eax;
  r.rbx() = told.ebx;
  r.rcx() = told.ecx;
  r.rdx() = told.edx;
  return Advance(vcpu);
}

AfterExit ReadGuestMsr(VirtualProcessor& vcpu) {
  GuestRegisters& r = vcpu.registers;
  const std::optional<uint64_t> value =
      ReadControlRegisters(vcpu).ReadMsr(static_cast<uint32_t>(r.rcx()));
  if (!value.has_value()) return Refuse(vcpu);
  r.rax() = *value & 0xffffffff;
  r.rdx() = *value >> 32;
  return Advance(vcpu);
}

AfterExit WriteGuestMsr(VirtualProcessor& vcpu) {
  GuestRegisters& r = vcpu.registers;
  ControlRegisters control = ReadControlRegisters(vcpu);
  const uint64_t value = r.rdx() << 32 | (r.rax() & 0xffffffff);
  if (!control.WriteMsr(static_cast<uint32_t>(r.rcx()), value)) return Refuse(vcpu);
  WriteControlRegisters(vcpu, control);
  return Advance(vcpu);
}

AfterExit Memory(VirtualProcessor& vcpu) {
  const GuestMachine& guest = *vcpu.guest;
  const Exit& exit = vcpu.exit;
  const uint64_t gpa = exit.address;
  const std::optional<NestedMapping> mapping =
      guest.tables.Find(gpa & ~uint64_t{NOM_FRAME_BYTES - 1});
  if (mapping.has_value()) {
    const bool refused =
        (exit.write && !mapping->flags.writable) || (exit.fetch && !mapping->flags.executable);
    // Else it was mapped since the processor looked.
    return refused ? Refuse(vcpu) : AfterExit::kResume;
  }
  if (gpa / NOM_FRAME_BYTES < guest.window_frames ||
      (gpa >= NOM_GPA_REGIONS && gpa - NOM_GPA_REGIONS < NOM_REGIONS_BYTES) ||
      (gpa >= NOM_GPA_DEVICES && gpa - NOM_GPA_DEVICES < NOM_DEVICES_BYTES)) {
    return Refuse(vcpu);
  }
  return End(vcpu, NOM_EXIT_REASON_WILD_ACCESS, gpa);
}

AfterExit Halt(VirtualProcessor& vcpu) {
  AdvancePastExit(vcpu);
  if (!InterruptsEnabled(vcpu)) {
    // Nothing wakes it but START, and nobody is left to say that after the last.
    if (vcpu.guest->not_stopped.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      return End(vcpu, NOM_EXIT_REASON_DONE, 0);
    }
    vcpu.sleep = {SleepState::kStopped, 0};
    vcpu.stopped.store(true, std::memory_order_release);
    return AfterExit::kSleep;
  }
  if (vcpu.interrupt_due()) return AfterExit::kResume;
  vcpu.sleep = {SleepState::kHalted, vcpu.apic == nullptr ? 0 : vcpu.apic->deadline_tsc()};
  return AfterExit::kSleep;
}

AfterExit Call(VirtualProcessor& vcpu) {
  vcpu.guest->CountExit(NOM_EXIT_CALL);
  GuestRegisters& r = vcpu.registers;
  const CallAnswer answer = DoCall(vcpu, r.rax(), r.rdi(), r.rsi(), r.rdx());
  if (answer.then == AfterExit::kResume) [[likely]] {
    vcpu.Answer(answer.status, answer.value);
    return AfterExit::kResume;
  }
  if (answer.then == AfterExit::kWork) return ContinueWork(vcpu);
  if (answer.then == AfterExit::kAgain) {
    RepeatCall(vcpu);
    return AfterExit::kAgain;
  }
  vcpu.Answer(answer.status, answer.value);
  return answer.then;
}

AfterExit MoveDebugRegister(VirtualProcessor& vcpu) {
  const Exit& exit = vcpu.exit;
  // Whoever changes its code under itself gets what an unreadable one gets.
  if (!exit.move.has_value()) return Refuse(vcpu);
  const bool write = exit.kind == ExitKind::kWriteDebug;
  ControlRegisters control = ReadControlRegisters(vcpu);
  const bool extensions = (control.cr4 & kCr4DebugExtensions) != 0;
  uint64_t& general = vcpu.registers.general[exit.move->general_register];
  uint64_t value = general;
  const uint32_t number = exit.move->debug_register;
  const DebugAccess access =
      write ? vcpu.debug_registers.Write(number, extensions, value, control.dr6)
            : vcpu.debug_registers.Read(number, extensions, control.dr6, value);
  if (access == DebugAccess::kInvalidOpcode) return Absent(vcpu);
  if (access == DebugAccess::kGeneralProtection) return Refuse(vcpu);
  if (write) {
    WriteControlRegisters(vcpu, control);
  } else {
    general = exit.code64 ? value : value & 0xffffffff;
  }
  AdvancePastMove(vcpu, exit.move->length);
  return AfterExit::kResume;
}

}  // namespace

AfterExit HandleExit(VirtualProcessor& vcpu, ExitKind kind) {
  if (kind == ExitKind::kCall && vcpu.apic == nullptr) [[likely]]
    return Call(vcpu);
  if (kind == ExitKind::kInterrupt) return AfterExit::kInterrupt;
  vcpu.guest->CountExit(kExitHeadings[static_cast<uint32_t>(kind)]);
  if (vcpu.apic != nullptr) {
    if (const auto then = AnswerPcExit(vcpu, kind); then.has_value()) return *then;
  }
  const Exit& exit = vcpu.exit;
  switch (kind) {
    case ExitKind::kHalt:
      return Halt(vcpu);
    case ExitKind::kMemory:
      return Memory(vcpu);
    case ExitKind::kCpuid:
      return TellCpuid(vcpu);
    case ExitKind::kReadMsr:
      return ReadGuestMsr(vcpu);
    case ExitKind::kWriteMsr:
      return WriteGuestMsr(vcpu);
    case ExitKind::kPort:
      return End(vcpu, NOM_EXIT_REASON_BAD_PORT, exit.code);
    case ExitKind::kException:
      NOMHV_CHECK(exit.code != kVectorMachineCheck, "machine check while a guest ran");
      InjectException(vcpu, static_cast<uint8_t>(exit.code), exit.error);
      return AfterExit::kResume;
    case ExitKind::kReadDebug:
    case ExitKind::kWriteDebug:
      return MoveDebugRegister(vcpu);
    case ExitKind::kFlushCaches:
      return Advance(vcpu);
    case ExitKind::kRefused:
      return Refuse(vcpu);
    case ExitKind::kAbsent:
      return Absent(vcpu);
    case ExitKind::kShutdown:
      return End(vcpu, NOM_EXIT_REASON_TRIPLE_FAULT, 0);
    case ExitKind::kBadState:
      return End(vcpu, NOM_EXIT_REASON_BAD_STATE, 0);
    case ExitKind::kCall:
    case ExitKind::kInterrupt:
      break;
  }
  return AfterExit::kInterrupt;
}

}  // namespace nomhv
