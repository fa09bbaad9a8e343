// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/svm/exits.h"

#include <array>
#include <atomic>
#include <cstring>
#include <span>

#include "nomhv/core/control_registers.h"
#include "nomhv/core/exceptions.h"
#include "nomhv/core/guest_walk.h"
#include "nomhv/x86/guests/guest_machine.h"
#include "nomhv/x86/guests/virtualization.h"

namespace nomhv {
namespace {

constexpr uint16_t kExceptions = 0x40;
constexpr uint16_t kVmmcall = 0x81;
constexpr uint64_t kNestedPageFault = 0x400;

// All that is intercepted, by exit code (appendix C), and what each is. None may be left out: each
// names what would reach the machine, or another guest, without it.
struct Intercept {
  uint16_t first;
  uint16_t count;
  ExitKind kind;
};
constexpr Intercept kIntercepts[] = {
    // Breakpoints are never armed (core/debug_registers.h); under QEMU 7.2 a write to DR7 by a
    // guest corrupts the emulator.
    {0x20, 16, ExitKind::kReadDebug},
    {0x30, 16, ExitKind::kWriteDebug},
    // #DB and #AC can be made to follow each other without end inside one instruction; only an
    // intercept breaks that (AMD's answer to CVE-2015-8104 and CVE-2015-5307).
    {kExceptions + kVectorDebug, 1, ExitKind::kException},
    {kExceptions + kVectorAlignmentCheck, 1, ExitKind::kException},
    {kExceptions + kVectorMachineCheck, 1, ExitKind::kException},
    {0x60, 4, ExitKind::kInterrupt},                   // INTR, NMI, SMI, INIT: the machine's.
    {kExitVirtualInterrupt, 1, ExitKind::kInterrupt},  // There nomhv delivers what is pending.
    {0x6f, 1, ExitKind::kRefused},                     // RDPMC: counters of what others do.
    {0x72, 1, ExitKind::kCpuid},
    {0x76, 1, ExitKind::kFlushCaches},  // INVD would throw away what others wrote.
    {0x78, 1, ExitKind::kHalt},
    {0x7a, 1, ExitKind::kAbsent},  // INVLPGA: translations of others.
    {0x7b, 1, ExitKind::kPort},
    {0x7c, 1, ExitKind::kReadMsr},
    {0x7d, 1, ExitKind::kRefused},   // A task switch: nomhv does none for a guest.
    {0x7f, 1, ExitKind::kShutdown},  // It would reset the machine.
    {0x80, 1, ExitKind::kAbsent},    // VMRUN: VMRUN itself refuses a guest that may.
    {kVmmcall, 1, ExitKind::kCall},
    {0x82, 5, ExitKind::kAbsent},       // VMLOAD, VMSAVE, STGI, CLGI, SKINIT.
    {0x89, 1, ExitKind::kFlushCaches},  // WBINVD: everybody's cache.
    {0x8a, 3, ExitKind::kAbsent},       // MONITOR, MWAIT: no processor of its own to put to sleep.
};

constexpr uint16_t kCodes = 6 * 32;
constexpr auto kKinds = [] {
  std::array<ExitKind, kCodes> kinds{};
  for (ExitKind& kind : kinds) kind = ExitKind::kAbsent;
  for (const Intercept& intercept : kIntercepts) {
    for (uint16_t i = 0; i < intercept.count; ++i) kinds[intercept.first + i] = intercept.kind;
  }
  return kinds;
}();

bool InCode64(const Vmcb& v) {
  constexpr uint16_t kLong = 1u << 9;  // CS.L
  return (v.efer & kEferLma) != 0 && (v.cs.attributes & kLong) != 0;
}

// Paging without protection: MOV CR0 refuses it with #GP (3.1.1). QEMU does not, nor does its
// VMRUN, and a guest would run on in a mode that no processor has.
bool ImpossibleMode(const Vmcb& v) { return (v.cr0 & (kCr0Paging | kCr0Protection)) == kCr0Paging; }

constexpr uint32_t kRsp = 4;  // Its number.
constexpr uint64_t kPageMask = NOM_FRAME_BYTES - 1;

struct Memory {
  const GuestMachine& guest;
  [[nodiscard]] std::optional<uint64_t> Read64(uint64_t gpa) const {
    const std::optional<NestedMapping> mapping = guest.tables.Find(gpa & ~kPageMask);
    if (!mapping.has_value()) return std::nullopt;
    auto* const word = Physical<uint64_t>(mapping->physical + (gpa & kPageMask));
    return std::atomic_ref<uint64_t>(*word).load(std::memory_order_relaxed);
  }
};

// Where the page of the guest-linear address lies in the machine's memory, or null. The last answer
// is kept until the guest has other tables or has lost a frame (svm.cc): guests call
// from the same place over and over. If the guest has changed an entry since, the bytes are those
// of a page of the guest's all the same, and whoever reads them checks that they are what exited.
const uint8_t* CodePage(VirtualProcessor& vcpu, uint64_t linear) {
  CodePageCache& cache = vcpu.code_page;
  const uint64_t page = linear & ~kPageMask;
  if (cache.linear == page && cache.cr3 == ControlBlock(vcpu).cr3) return cache.host;
  const Memory memory{*vcpu.guest};
  const ControlRegisters control = ReadControlRegisters(vcpu);
  const std::optional<uint64_t> gpa = GuestPhysical(memory, control, page);
  if (!gpa.has_value()) return nullptr;
  const std::optional<NestedMapping> mapping = memory.guest.tables.Find(*gpa & ~kPageMask);
  if (!mapping.has_value()) return nullptr;
  cache.linear = page;
  cache.cr3 = control.cr3;
  cache.host = Physical<uint8_t>(mapping->physical);
  return cache.host;
}

// Of the instructions that nomhv does; the others are never advanced past.
constexpr auto kOpcodes = [] {
  std::array<Opcode, static_cast<size_t>(ExitKind::kBadState) + 1> opcodes{};
  const auto set = [&](ExitKind kind, const Opcode& opcode) {
    opcodes[static_cast<size_t>(kind)] = opcode;
  };
  set(ExitKind::kHalt, kOpcodeHlt);
  set(ExitKind::kCpuid, kOpcodeCpuid);
  set(ExitKind::kReadMsr, kOpcodeRdmsr);
  set(ExitKind::kWriteMsr, kOpcodeWrmsr);
  set(ExitKind::kFlushCaches, kOpcodeInvalidate);
  return opcodes;
}();

// Apart from who calls it because it is rare, and needs room on the stack.
[[gnu::noinline]] std::optional<DebugMove> ReadDebugMove(VirtualProcessor& vcpu, bool write) {
  uint8_t buffer[kInstructionBytesMax];
  vcpu.registers.general[kRsp] = ControlBlock(vcpu).rsp;
  return DecodeDebugMove(FetchInstruction(vcpu, buffer), write, vcpu.exit.code64);
}

// The general case of Translate.
[[gnu::noinline]] ExitKind Describe(VirtualProcessor& vcpu) {
  const Vmcb& v = ControlBlock(vcpu);
  Exit& exit = vcpu.exit;
  exit = {.code64 = InCode64(v), .code = v.exit_code};
  if (!exit.code64) {
    // There it sees no more of its registers, and the rest means nothing (APM 1, 3.1.2).
    for (uint64_t& general : vcpu.registers.general) general &= 0xffffffff;
  }
  exit.kind = v.exit_code < kCodes              ? kKinds[v.exit_code]
              : v.exit_code == kNestedPageFault ? ExitKind::kMemory
                                                : ExitKind::kBadState;
  // A shutdown leaves the saved state undefined.
  if (exit.kind != ExitKind::kShutdown && ImpossibleMode(v)) exit.kind = ExitKind::kBadState;
  switch (exit.kind) {
    case ExitKind::kCall:
      if (v.cpl != 0) exit.kind = ExitKind::kAbsent;
      break;
    case ExitKind::kReadMsr:
      if ((v.exit_info1 & 1) != 0) exit.kind = ExitKind::kWriteMsr;
      break;
    case ExitKind::kPort:
      exit.code = v.exit_info1 >> 16 & 0xffff;
      exit.write = (v.exit_info1 & 1) == 0;
      exit.bytes = (v.exit_info1 & 4) != 0 ? 0 : v.exit_info1 >> 4 & 7;
      exit.length = static_cast<uint32_t>(v.exit_info2 - v.rip);
      vcpu.registers.general[kRsp] = v.rsp;
      break;
    case ExitKind::kException:
      exit.code = v.exit_code - kExceptions;
      exit.error = static_cast<uint32_t>(v.exit_info1);
      break;
    case ExitKind::kReadDebug:
    case ExitKind::kWriteDebug:
      exit.move = ReadDebugMove(vcpu, exit.kind == ExitKind::kWriteDebug);
      break;
    case ExitKind::kMemory:
      exit.write = (v.exit_info1 >> 1 & 1) != 0;
      exit.fetch = (v.exit_info1 >> 4 & 1) != 0;
      exit.address = v.exit_info2;
      vcpu.registers.general[kRsp] = v.rsp;
      if ((v.exit_interrupt_info & (kEventValid | kEventType)) == (kEventValid | kEventException)) {
        exit.delivering = static_cast<uint8_t>(v.exit_interrupt_info);
      }
      break;
    default:
      break;
  }
  return exit.kind;
}

// Sets RIP, of as many bits as its code has.
void GoOnAt(VirtualProcessor& vcpu, uint64_t rip) {
  Vmcb& v = ControlBlock(vcpu);
  v.interrupt_shadow &= ~uint64_t{1};
  v.rip = vcpu.exit.code64 ? rip : rip & 0xffffffff;
}

// Likewise apart.
[[gnu::noinline]] void GoPastSlowly(VirtualProcessor& vcpu, const Opcode& opcode) {
  const Vmcb& v = ControlBlock(vcpu);
  if (v.next_rip != 0) return GoOnAt(vcpu, v.next_rip);
  uint8_t buffer[kInstructionBytesMax];
  const std::optional<Prefixes> prefixes =
      FindOpcode(FetchInstruction(vcpu, buffer), opcode, vcpu.exit.code64);
  // Bytes that are not what exited were changed by the guest itself: it goes on where it says.
  GoOnAt(vcpu, v.rip + opcode.count + (prefixes.has_value() ? prefixes->count : 0));
}

[[gnu::always_inline]] inline void GoPast(VirtualProcessor& vcpu, Vmcb& v, const Opcode& opcode) {
  const CodePageCache& cache = vcpu.code_page;
  // Nearly always it has no prefix, and lies in the page of the last one.
  if (cache.linear == (v.rip & ~kPageMask) && cache.cr3 == v.cr3 &&
      cache.host[v.rip & kPageMask] == opcode.bytes[0] && vcpu.exit.code64) [[likely]] {
    v.interrupt_shadow &= ~uint64_t{1};
    v.rip += opcode.count;
  } else {
    GoPastSlowly(vcpu, opcode);
  }
}

}  // namespace

std::span<const uint8_t> FetchInstruction(VirtualProcessor& vcpu,
                                          uint8_t (&buffer)[kInstructionBytesMax]) {
  const Vmcb& v = ControlBlock(vcpu);
  vcpu.code_page.linear = ~uint64_t{0};  // Its tables may say something else by now.
  const uint64_t linear = vcpu.exit.code64 ? v.rip : (v.cs.base + v.rip) & 0xffffffff;
  size_t count = 0;
  while (count < kInstructionBytesMax) {
    const uint8_t* const page = CodePage(vcpu, linear + count);
    if (page == nullptr) break;
    const uint64_t offset = (linear + count) & kPageMask;
    const size_t part = std::min<size_t>(kInstructionBytesMax - count, NOM_FRAME_BYTES - offset);
    std::memcpy(buffer + count, page + offset, part);
    count += part;
  }
  return {buffer, count};
}

void SetIntercepts(Vmcb& v) {
  for (const Intercept& intercept : kIntercepts) {
    for (uint32_t code = intercept.first; code < intercept.first + intercept.count; ++code) {
      v.intercepts[code / 32] |= 1u << code % 32;
    }
  }
}

ExitKind Translate(VirtualProcessor& vcpu, Vmcb& v) {
  // Calls of 64-bit code are nearly all there is, and nothing else is to be said of them.
  if (v.exit_code == kVmmcall && v.cpl == 0 && (v.cr0 & kCr0Protection) != 0 && InCode64(v))
      [[likely]] {
    vcpu.exit.kind = ExitKind::kCall;
    vcpu.exit.code64 = true;
  } else if (const ExitKind kind = Describe(vcpu); kind != ExitKind::kCall) {
    return kind;
  }
  GoPast(vcpu, v, kOpcodeVmmcall);
  return ExitKind::kCall;
}

void AdvancePastExit(VirtualProcessor& vcpu) {
  GoPast(vcpu, ControlBlock(vcpu), kOpcodes[static_cast<uint32_t>(vcpu.exit.kind)]);
}

void RepeatCall(VirtualProcessor& vcpu) {
  GoOnAt(vcpu, ControlBlock(vcpu).rip - kOpcodeVmmcall.count);
}

void AdvancePastMove(VirtualProcessor& vcpu, uint32_t length) {
  ControlBlock(vcpu).rsp = vcpu.registers.general[kRsp];
  GoOnAt(vcpu, ControlBlock(vcpu).rip + length);
}

}  // namespace nomhv
