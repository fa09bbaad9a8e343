// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>

#include "nomhv/core/pc/clock.h"
#include "nomhv/core/pc/cpuid.h"
#include "nomhv/core/pc/doorbell.h"
#include "nomhv/core/pc/memory_move.h"
#include "nomhv/x86/guests/devices.h"
#include "nomhv/x86/guests/guest_frames.h"
#include "nomhv/x86/guests/machine.h"
#include "nomhv/x86/guests/virtualization.h"
#include "nomhv/x86/pc/guest_memory.h"
#include "nomhv/x86/pc/pc.h"
#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/cpu.h"
#include "nomhv/x86/platform/log.h"

namespace nomhv {
namespace {

constexpr uint32_t kMsrMicrocode = 0x8b;
constexpr uint32_t kMsrHwcr = 0xc0010015;
constexpr uint32_t kMsrInterruptPending = 0xc0010055;
constexpr uint32_t kMsrDecodeConfiguration = 0xc0011029;
constexpr uint64_t kLfenceSerializes = 2;
constexpr uint16_t kKeyboardCommandPort = 0x64;
constexpr uint16_t kResetPort = 0xcf9;

uint32_t Number(const VirtualProcessor& vcpu) { return vcpu.index % NOM_VIRTUAL_PROCESSORS_MAX; }

AfterExit Reset(VirtualProcessor& vcpu) {
  vcpu.guest->End(vcpu, NOM_EXIT_REASON_RESET, 0);
  return AfterExit::kEnded;
}

AfterExit TellCpuid(VirtualProcessor& vcpu) {
  GuestRegisters& r = vcpu.registers;
  const auto leaf = static_cast<uint32_t>(r.rax());
  const auto subleaf = static_cast<uint32_t>(r.rcx());
  const CpuidResult told =
      PcCpuid(leaf, subleaf, Cpuid(leaf, subleaf), ReadControlRegisters(vcpu).cr4, Number(vcpu),
              vcpu.guest->vcpu_count);
  r.rax() = told.eax;
  r.rbx() = told.ebx;
  r.rcx() = told.ecx;
  r.rdx() = told.edx;
  AdvancePastExit(vcpu);
  return AfterExit::kResume;
}

bool IsApicMsr(uint32_t msr) {
  return (msr >= kMsrX2ApicFirst && msr <= kMsrX2ApicLast) || msr == kMsrTscDeadline;
}

// On for good, as an x2APIC.
uint64_t ApicBase(const VirtualProcessor& vcpu) {
  constexpr uint64_t kOn = 0xfee00c00;
  constexpr uint64_t kBootProcessor = 1u << 8;
  return kOn | (Number(vcpu) == 0 ? kBootProcessor : 0);
}

// Nothing: as any guest's.
std::optional<uint64_t> ReadPcMsr(const VirtualProcessor& vcpu, uint32_t msr) {
  if (IsApicMsr(msr)) return vcpu.apic->Read(msr, vcpu);
  switch (msr) {
    case kMsrApicBase:
      return ApicBase(vcpu);
    case kMsrMicrocode:
    case kMsrHwcr:
    case kMsrInterruptPending:
    case kMsrKvmWallClock:
    case kMsrKvmSystemTime:
      return 0;
    case kMsrKvmStealTime:
      return vcpu.guest->pc->stolen[Number(vcpu)].gpa;
    case kMsrDecodeConfiguration:
      return kLfenceSerializes;
    default:
      return std::nullopt;
  }
}

void Interrupt(const VirtualProcessor& from, uint32_t targets, uint8_t vector) {
  for (; targets != 0; targets &= targets - 1) {
    VirtualProcessor& to = from.guest->vcpus[std::countr_zero(targets)];
    if (to.stopped.load(std::memory_order_acquire)) continue;
    if (to.Tell(0, vector, ReadTsc()) && &to != &from) WakeProcessorsOf(to);
  }
}

AfterExit Command(VirtualProcessor& vcpu, uint64_t value) {
  const InterruptCommand command =
      DecodeInterruptCommand(value, Number(vcpu), vcpu.guest->vcpu_count);
  if (command.kind == InterruptCommand::kFixed) {
    Interrupt(vcpu, command.targets, command.vector);
  } else if (command.kind == InterruptCommand::kStartup) {
    // INIT does nothing: only who is stopped is started, from new.
    for (uint32_t left = command.targets; left != 0; left &= left - 1) {
      const auto number = static_cast<uint32_t>(std::countr_zero(left));
      if (StartSibling(vcpu, number, command.vector, 0).then == AfterExit::kAgain) {
        return AfterExit::kAgain;
      }
    }
  }
  AdvancePastExit(vcpu);
  return AfterExit::kResume;
}

bool TellClock(const VirtualProcessor& vcpu, uint64_t value) {
  if ((value & 1) == 0) return true;
  const PcClock clock = MakePcClock(vcpu.guest->created_tsc, clocks().tsc_hz);
  return WriteGuestMemory(*vcpu.guest, value & ~uint64_t{1}, &clock, sizeof(clock));
}

bool TellStolenTimeAt(const VirtualProcessor& vcpu, uint64_t value) {
  constexpr uint64_t kEnable = 1;
  constexpr uint64_t kReserved = 0x3e;
  if ((value & kReserved) != 0) return false;
  Pc::StolenTime& stolen = vcpu.guest->pc->stolen[Number(vcpu)];
  stolen = {};
  if ((value & kEnable) == 0) return true;
  const PcStolenTime nothing;
  if (!WriteGuestMemory(*vcpu.guest, value - kEnable, &nothing, sizeof(nothing))) return false;
  stolen.gpa = value - kEnable;
  stolen.base_cycles = WaitedCycles(vcpu, ReadTsc());
  return true;
}

std::optional<AfterExit> WritePcMsr(VirtualProcessor& vcpu, ExitKind& kind) {
  GuestRegisters& r = vcpu.registers;
  const auto msr = static_cast<uint32_t>(r.rcx());
  const uint64_t value = r.rdx() << 32 | (r.rax() & 0xffffffff);
  bool good = true;
  if (IsApicMsr(msr)) {
    good = vcpu.apic->Write(msr, value);
    if (good && msr == kMsrX2ApicCommand) return Command(vcpu, value);
    if (good && msr == kMsrX2ApicSelf && value >= kApicVectorMin) {
      static_cast<void>(vcpu.Tell(0, static_cast<uint8_t>(value), ReadTsc()));
    }
  } else if (msr == kMsrApicBase) {
    good = value == ApicBase(vcpu);
  } else if (msr == kMsrKvmSystemTime) {
    good = TellClock(vcpu, value);
  } else if (msr == kMsrKvmStealTime) {
    good = TellStolenTimeAt(vcpu, value);
  } else if (msr != kMsrHwcr && msr != kMsrDecodeConfiguration && msr != kMsrMicrocode &&
             msr != kMsrKvmWallClock) {
    return std::nullopt;
  }
  if (!good) {
    kind = ExitKind::kRefused;
    return std::nullopt;
  }
  AdvancePastExit(vcpu);
  // The processor's own timer is armed anew on the way.
  return msr == kMsrTscDeadline ? AfterExit::kAgain : AfterExit::kResume;
}

// Under the lock: what the guest holds now is what it sees.
void LookAtDevices(const GuestMachine& guest) {
  Pc& pc = *guest.pc;
  for (uint32_t i = 0; i < device_board().device_count; ++i) {
    const bool held = (guest.devices >> i & 1) != 0;
    if (held == pc.devices[i].shown()) continue;
    pc.devices[i].Hide();
    for (auto& routed : pc.routed[i]) routed.reset();
    if (!held) continue;
    pc.devices[i].Show(device_board().devices[i],
                       NOM_GPA_DEVICES + uint64_t{i} * NOM_DEVICE_PLACE_BYTES,
                       device_board().interrupts[i]);
  }
}

// Makes true what the guest last said of a device's interrupts.
void RouteAnew(GuestMachine& guest, uint32_t device) {
  Pc& pc = *guest.pc;
  for (uint32_t i = 0; i < device_board().interrupts[device]; ++i) {
    const std::optional<PciMessage> message = pc.devices[device].Message(i, guest.vcpu_count);
    if (message == pc.routed[device][i]) continue;
    const PciMessage to = message.value_or(PciMessage{});
    if (RouteDevice(guest.vcpus[to.processor], device, i, to.vector).ok()) {
      pc.routed[device][i] = message;
    }
  }
}

// The function that the address names, or null; of a device that is held, its number, too.
PciView* Selected(const GuestMachine& guest, std::optional<uint32_t>& device) {
  constexpr uint32_t kEnable = 1u << 31;
  Pc& pc = *guest.pc;
  if ((pc.pci_address & kEnable) == 0 || (pc.pci_address & 0x00ffff00 & ~0xf800u) != 0) {
    return nullptr;  // Another bus, or another function than 0.
  }
  const uint32_t slot = pc.pci_address >> 11 & 31;
  if (slot == kPciBridgeSlot) return &pc.bridge;
  if (slot == kPciBoardSlot) return &pc.board;
  if (slot - kPciFirstDeviceSlot >= device_board().device_count) return nullptr;
  device = slot - kPciFirstDeviceSlot;
  return &pc.devices[*device];
}

// What a port is read as; `bytes` is 1, 2 or 4. Nothing there: all ones.
uint32_t ReadPort(VirtualProcessor& vcpu, uint32_t port, uint32_t bytes) {
  GuestMachine& guest = *vcpu.guest;
  Pc& pc = *guest.pc;
  const SpinLockGuard guard(pc.lock);
  if (port >= kUartPort && port < kUartPort + kUartPorts && bytes == 1) {
    return pc.uart.Read(port - kUartPort);
  }
  if (port == kPciAddressPort && bytes == 4) return pc.pci_address;
  if (port < kPciDataPort || port + bytes > kPciDataPort + 4u) return ~0u;
  LookAtDevices(guest);
  std::optional<uint32_t> device;
  const PciView* const view = Selected(guest, device);
  if (view == nullptr) return ~0u;
  return view->Read(pc.pci_address & 0xfc) >> 8 * (port - kPciDataPort);
}

void Say(GuestMachine& guest, std::string_view line) {
  bool room = false;
  {
    const SpinLockGuard guard(guest.meter_lock);
    room = guest.lines.Take(TscToUs(ReadTsc()));
  }
  if (!room) {
    guest.lines_lost.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  Line<Uart::kLineBytes + 4> said;
  said.Add(Quoted{line});
  WriteGuestLog(guest.id, guest.name_view(), said.text());
}

void WritePort(VirtualProcessor& vcpu, uint32_t port, uint32_t bytes, uint32_t value) {
  GuestMachine& guest = *vcpu.guest;
  Pc& pc = *guest.pc;
  const SpinLockGuard guard(pc.lock);
  if (port >= kUartPort && port < kUartPort + kUartPorts && bytes == 1) {
    const std::string_view line = pc.uart.Write(port - kUartPort, static_cast<uint8_t>(value));
    if (!line.empty()) Say(guest, line);
    return;
  }
  if (port == kPciAddressPort && bytes == 4) pc.pci_address = value;
  if (port < kPciDataPort || port + bytes > kPciDataPort + 4u) return;
  LookAtDevices(guest);
  std::optional<uint32_t> device;
  PciView* const view = Selected(guest, device);
  if (view == nullptr) return;
  const uint32_t shift = 8 * (port - kPciDataPort);
  const uint32_t mask = bytes == 4 ? ~0u : (1u << 8 * bytes) - 1;
  view->Write(pc.pci_address & 0xfc, (value & mask) << shift, mask << shift);
  if (device.has_value()) RouteAnew(guest, *device);
}

std::optional<AfterExit> Port(VirtualProcessor& vcpu, ExitKind& kind) {
  const Exit& exit = vcpu.exit;
  if (exit.bytes == 0) {  // Strings: nothing of ours is read or written so.
    kind = ExitKind::kRefused;
    return std::nullopt;
  }
  const auto port = static_cast<uint32_t>(exit.code);
  uint64_t& rax = vcpu.registers.rax();
  const uint64_t mask = exit.bytes == 4 ? ~uint64_t{0} : (uint64_t{1} << 8 * exit.bytes) - 1;
  if (exit.write) {
    const auto value = static_cast<uint32_t>(rax & mask);
    if (exit.bytes == 1 && ((port == kResetPort && (value & 4) != 0) ||
                            (port == kKeyboardCommandPort && value == 0xfe))) {
      return Reset(vcpu);
    }
    WritePort(vcpu, port, exit.bytes, value);
  } else {
    rax = (rax & ~mask) | (ReadPort(vcpu, port, exit.bytes) & mask);
  }
  AdvancePastMove(vcpu, exit.length);
  return AfterExit::kResume;
}

// The device whose page of messages lies at `gpa`, if the guest holds one. Under the lock.
std::optional<uint32_t> DeviceOfTable(const GuestMachine& guest, uint64_t gpa) {
  LookAtDevices(guest);
  const uint64_t device = (gpa - NOM_GPA_DEVICES) / NOM_DEVICE_PLACE_BYTES;
  if (gpa < NOM_GPA_DEVICES || device >= NOM_DEVICES_MAX) return std::nullopt;
  const std::optional<uint64_t> table = guest.pc->devices[device].table_offset();
  const uint64_t page =
      (gpa - NOM_GPA_DEVICES) % NOM_DEVICE_PLACE_BYTES & ~uint64_t{NOM_FRAME_BYTES - 1};
  if (!table.has_value() || *table != page) return std::nullopt;
  return static_cast<uint32_t>(device);
}

// It touched a frame of its window that it does not hold: it has not needed it so far, or gave it
// back. Zeroed frames come while its grant has room. Under the grant's end is nothing for it: what
// its kernel kept there is gone or never was, so that it ends, and not in its own good time.
AfterExit FillTouched(VirtualProcessor& vcpu, uint64_t gpa) {
  constexpr uint64_t kFrame = NOM_FRAME_BYTES;
  constexpr uint64_t kStretch = kFillFrames * kFrame;
  GuestMachine& guest = *vcpu.guest;
  const MemoryClaim claim(vcpu);
  if (!claim.ok()) return AfterExit::kAgain;
  const uint64_t page = gpa & ~(kFrame - 1);
  if (guest.tables.Find(page).has_value()) return AfterExit::kResume;
  const uint64_t room = RoomUnder(guest.granted_frames, guest.held_frames);
  if (room == 0) {
    guest.End(vcpu, NOM_EXIT_REASON_OVER_GRANT, gpa);
    return AfterExit::kEnded;
  }
  CountFrames(guest);
  static_cast<void>(FillHoles(guest, page, page + kFrame, 1));
  const uint64_t stretch = gpa & ~(kStretch - 1);
  const uint64_t end = std::min(stretch + kStretch, guest.window_frames * kFrame);
  static_cast<void>(FillHoles(guest, stretch, end, std::min(room, kFillFrames) - 1));
  WriteHeldFrames(guest);
  return AfterExit::kResume;
}

AfterExit WriteDoorbell(VirtualProcessor& vcpu, uint32_t offset, uint64_t value) {
  GuestMachine& guest = *vcpu.guest;
  const Result<DoorbellRequest> range = DecodeDoorbell(value, guest.window_frames);
  NomStatus status = range.code();
  if (offset == NOM_PC_DOORBELL_RELEASE && range.ok()) {
    vcpu.work.BeginRelease(range.value().first, range.value().count);
  } else if (offset == NOM_PC_DOORBELL_ACQUIRE && range.ok()) {
    if (range.value().count <= RoomUnder(guest.granted_frames, guest.held_frames)) {
      vcpu.work.BeginAcquire(range.value().first, range.value().count);
    } else {
      status = NOM_STATUS_OVER_GRANT;
    }
  } else if (range.ok()) {
    status = NOM_STATUS_NO_SUCH_CALL;
  }
  if (vcpu.work.busy()) return ContinueWork(vcpu);
  guest.pc->doorbell.store(status, std::memory_order_release);
  return AfterExit::kResume;
}

uint64_t ReadDoorbell(const GuestMachine& guest, uint32_t offset) {
  if (offset == NOM_PC_DOORBELL_STATUS) return guest.pc->doorbell.load(std::memory_order_acquire);
  return offset == NOM_PC_DOORBELL_WINDOW ? guest.window_frames : 0;
}

// A MOV to the page of messages of a device that it holds. False: to anything else.
bool MoveMessage(VirtualProcessor& vcpu, const MemoryMove& move, uint64_t& value) {
  GuestMachine& guest = *vcpu.guest;
  const SpinLockGuard guard(guest.pc->lock);
  const std::optional<uint32_t> device = DeviceOfTable(guest, vcpu.exit.address);
  if (!device.has_value()) return false;
  PciView& view = guest.pc->devices[*device];
  const auto offset = static_cast<uint32_t>(vcpu.exit.address % NOM_FRAME_BYTES);
  for (uint32_t i = 0; i < move.bytes; i += 4) {
    if (move.write) {
      view.WriteTable(offset + i, static_cast<uint32_t>(value >> 8 * i));
    } else {
      value |= uint64_t{view.ReadTable(offset + i)} << 8 * i;
    }
  }
  if (move.write) RouteAnew(guest, *device);
  return true;
}

std::optional<AfterExit> Memory(VirtualProcessor& vcpu, ExitKind& kind) {
  const GuestMachine& guest = *vcpu.guest;
  const Exit& exit = vcpu.exit;
  const uint64_t page = exit.address & ~uint64_t{NOM_FRAME_BYTES - 1};
  if (guest.tables.Find(page).has_value()) return std::nullopt;
  if (page / NOM_FRAME_BYTES < guest.window_frames) return FillTouched(vcpu, exit.address);
  // Whatever else it touches is its own mistake, and no end of it.
  kind = ExitKind::kRefused;
  const bool registers = page == NOM_GPA_PC_DOORBELL ||
                         (page >= NOM_GPA_DEVICES && page - NOM_GPA_DEVICES < NOM_DEVICES_BYTES);
  if (!registers || exit.fetch || !exit.code64 || exit.delivering.has_value()) return std::nullopt;
  uint8_t buffer[kInstructionBytesMax];
  const std::optional<MemoryMove> move = DecodeMemoryMove(FetchInstruction(vcpu, buffer));
  const auto offset = static_cast<uint32_t>(exit.address % NOM_FRAME_BYTES);
  if (!move.has_value() || offset % move->bytes != 0 || move->write != exit.write) {
    return std::nullopt;
  }
  uint64_t value = 0;
  if (move->write) {
    value = move->general_register.has_value() ? vcpu.registers.general[*move->general_register]
                                               : move->constant;
  }
  const bool doorbell = page == NOM_GPA_PC_DOORBELL;
  if (doorbell ? move->bytes != 8 : !MoveMessage(vcpu, *move, value)) return std::nullopt;
  if (doorbell && !move->write) value = ReadDoorbell(guest, offset);
  if (!move->write) vcpu.registers.general[*move->general_register] = value;
  AdvancePastMove(vcpu, move->length);
  return doorbell && move->write ? WriteDoorbell(vcpu, offset, value) : AfterExit::kResume;
}

}  // namespace

std::optional<AfterExit> AnswerPcExit(VirtualProcessor& vcpu, ExitKind& kind) {
  switch (kind) {
    case ExitKind::kCall:  // The calls of other guests are not its.
      RepeatCall(vcpu);
      kind = ExitKind::kAbsent;
      return std::nullopt;
    case ExitKind::kShutdown:  // How its kernel resets the machine.
      return Reset(vcpu);
    case ExitKind::kMemory:
      return Memory(vcpu, kind);
    case ExitKind::kCpuid:
      return TellCpuid(vcpu);
    case ExitKind::kReadMsr: {
      GuestRegisters& r = vcpu.registers;
      const std::optional<uint64_t> value = ReadPcMsr(vcpu, static_cast<uint32_t>(r.rcx()));
      if (!value.has_value()) return std::nullopt;
      r.rax() = *value & 0xffffffff;
      r.rdx() = *value >> 32;
      AdvancePastExit(vcpu);
      return AfterExit::kResume;
    }
    case ExitKind::kWriteMsr:
      return WritePcMsr(vcpu, kind);
    case ExitKind::kPort:
      return Port(vcpu, kind);
    default:
      return std::nullopt;
  }
}

}  // namespace nomhv
