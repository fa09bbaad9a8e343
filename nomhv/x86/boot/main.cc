// SPDX-License-Identifier: Apache-2.0
// The life of the machine, from the loader to control's endless turn. INSIDE.md tells it in words.

#include <algorithm>
#include <cstring>
#include <optional>

#include "nomhv/core/assert.h"
#include "nomhv/core/boot_configuration.h"
#include "nomhv/x86/control/control.h"
#include "nomhv/x86/guests/devices.h"
#include "nomhv/x86/guests/machine.h"
#include "nomhv/x86/guests/virtualization.h"
#include "nomhv/x86/iommu/iommu.h"
#include "nomhv/x86/pc/create.h"
#include "nomhv/x86/platform/acpi.h"
#include "nomhv/x86/platform/apic.h"
#include "nomhv/x86/platform/boot_info.h"
#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/cpu.h"
#include "nomhv/x86/platform/doorbell.h"
#include "nomhv/x86/platform/interrupts.h"
#include "nomhv/x86/platform/log.h"
#include "nomhv/x86/platform/memory.h"
#include "nomhv/x86/platform/paging.h"
#include "nomhv/x86/platform/pci.h"

extern "C" {
using InitFunction = void (*)();
extern const InitFunction InitArrayStart[], InitArrayEnd[];
extern const char ApStart[], ApStartEnd[];
extern uint64_t ApStack, ApPageTables;
[[noreturn]] void NomhvMain(uint32_t protocol, uint64_t information);
[[noreturn]] void NomhvApMain();
}

namespace nomhv {

Machine g_machine;

namespace {

constexpr uint64_t kTickMs = 1;

BootInfo g_boot_info;
std::optional<Control> g_control;

uint64_t EndOfMemory(const BootInfo& info) {
  uint64_t end = 0;
  for (uint32_t i = 0; i < info.range_count; ++i) {
    end = std::max(end, info.usable[i].first + info.usable[i].bytes);
  }
  return end;
}

// Nothing beyond `end` is used.
void CutMemory(BootInfo& info, uint64_t end) {
  for (uint32_t i = 0; i < info.range_count; ++i) {
    PhysicalRange& range = info.usable[i];
    range.bytes = range.first < end ? std::min(range.bytes, end - range.first) : 0;
  }
}

[[noreturn]] void Refuse(const char* why) {
  Log(LogLevel::kError, why);
  LeaveMachine(kExitFail);
}

void StartProcessors(const ProcessorList& list) {
  g_machine.processors[0].apic_id = static_cast<uint8_t>(list.apic_ids[0]);
  g_machine.processors[0].up = true;
  g_machine.processor_count = 1;
  ApPageTables = page_table_root();
  if (list.left_out > 0 || list.too_high > 0) {
    Log(LogLevel::kError, list.left_out, " processors are more than nomhv uses, and ",
        list.too_high, " have APIC ids above 254: they stay off");
  }
  for (uint32_t i = 1; i < list.count; ++i) {
    const uint32_t index = g_machine.processor_count;
    Processor& processor = g_machine.processors[index];
    processor.index = index;
    processor.apic_id = static_cast<uint8_t>(list.apic_ids[i]);
    ApStack = StackEnd(index);
    SendInit(processor.apic_id);
    SpinFor(1000);
    // A second start-up interrupt only if the first was lost (Intel SDM 3A, 9.4.4.1).
    for (int attempt = 0; attempt < 2 && !processor.up; ++attempt) {
      SendStartup(processor.apic_id, static_cast<uint8_t>(kApStartPage >> 12));
      const uint64_t give_up = ReadTsc() + clocks().tsc_hz * (attempt + 1);
      while (!processor.up && ReadTsc() < give_up) Pause();
    }
    if (!processor.up) {
      Log(LogLevel::kError, "processor with apic ", uint32_t{processor.apic_id}, " does not start");
      continue;
    }
    ++g_machine.processor_count;
  }
}

void TurnControl(bool exit_when_idle) {
  g_control->Turn();
  const BootGuests& boot = g_control->boot_guests();
  if (!exit_when_idle || boot.ended != boot.started) return;
  Log(LogLevel::kInfo, boot.started, " guests ended, ", boot.failed, " failures");
  LeaveMachine(boot.failed == 0 && boot.started > 0 ? kExitPass : kExitFail);
}

uint64_t NextTick() { return ReadTsc() + MsToCycles(kTickMs); }

[[noreturn]] void RunControlAlone(bool exit_when_idle) {
  for (;;) {
    TurnControl(exit_when_idle);
    // Interrupts have been off since before the turn: a ring after it looked wakes us at once.
    ArmTimer(NextTick());
    EnableInterruptsAndHalt();
  }
}

// Control looks when its tick has come, marketd has rung or a guest has ended, and not whenever a
// guest gives the processor away: how often it works is no guest's choice.
[[noreturn]] void RunControlBesideGuests(bool exit_when_idle) {
  Processor& self = g_machine.processors[0];
  for (;;) {
    ControlBegins(self);
    const uint64_t doorbells = DoorbellInterrupts();
    TurnControl(exit_when_idle);
    const uint64_t next_tsc = NextTick();
    bool look = false;
    while (!look && ReadTsc() < next_tsc && DoorbellInterrupts() == doorbells) {
      look = TakeTurn(self, next_tsc);
    }
  }
}

std::byte* FindMailbox(Doorbell& doorbell) {
  const std::optional<SharedMemory> shared = FindSharedMemory(NOM_MAILBOX_BYTES);
  if (!shared.has_value()) return nullptr;
  MapAlso(shared->memory.first, shared->memory.bytes);
  Log(LogLevel::kInfo, "mailbox at ", Hex{shared->memory.first}, ", ", shared->memory.bytes,
      " bytes");
  doorbell = Doorbell::Open(shared->function, LocalApicId());
  return Physical<std::byte>(shared->memory.first);
}

void StartFromArchive(std::string_view text, std::span<const std::byte> archive, Control& control) {
  BootGuestReader reader(text);
  BootGuest guest;
  while (reader.Next(guest)) {
    const std::optional<CpioFile> image = FindFile(archive, guest.image);
    if (!image.has_value() || !guest.pc.FindInitramfs(archive)) {
      Log(LogLevel::kError, "boot: no ", Quoted{image ? guest.pc.initramfs_name : guest.image},
          " in the archive");
      control.CountBootFailure();
      continue;
    }
    static_cast<void>(control.CreateBootGuest(guest, image->data));
  }
  if (reader.bad_line() != 0) {
    Log(LogLevel::kError, "boot: guests.cfg line ", reader.bad_line(),
        " is wrong; it and what follows start nothing");
    control.CountBootFailure();
  }
}

// The guests that the loader brought: archives with images and guests.cfg. What cannot be started
// is logged and counted as a failure.
void StartBootGuests(const BootInfo& info, Control& control) {
  for (uint32_t i = 0; i < info.module_count; ++i) {
    const PhysicalRange& range = info.modules[i];
    const std::span<const std::byte> data(Physical<std::byte>(range.first), range.bytes);
    const std::optional<CpioFile> config = FindFile(data, "guests.cfg");
    if (!config.has_value()) {
      Log(LogLevel::kError, "boot: module ", i, " is no archive with a guests.cfg");
      control.CountBootFailure();
      continue;
    }
    UsePcFiles(data);
    StartFromArchive({reinterpret_cast<const char*>(config->data.data()), config->data.size()},
                     data, control);
  }
}

}  // namespace
}  // namespace nomhv

void NomhvMain(uint32_t protocol, uint64_t information) {
  using namespace nomhv;  // NOLINT(google-build-using-namespace): C linkage puts us outside.
  InitSerial();
  for (const InitFunction* f = InitArrayStart; f != InitArrayEnd; ++f) (*f)();
  LoadDescriptors(0);
  BuildInterruptTable();
  LoadInterruptTable();
  ReadBootInfo(static_cast<BootProtocol>(protocol), information, g_boot_info);
  const std::string_view options = g_boot_info.command_line;
  if (FindValue(options, "log") == "error") SetLogLevel(LogLevel::kError);
  const bool exit_when_idle = FindValue(options, "exit") == "when-idle";
  // While the loader's tables still let us write there.
  std::memcpy(Physical<void>(kApStartPage), ApStart, static_cast<size_t>(ApStartEnd - ApStart));
  const uint64_t mapped = BuildPageTables(EndOfMemory(g_boot_info));
  const uint64_t pages = CheckPageTables();

  DisablePic();
  InitApic();
  AcpiFacts acpi;
  ReadAcpi(g_boot_info, LocalApicId(), acpi);
  if (!acpi.found) Refuse("the firmware names no processors: there is no MADT");
  if (!MeasureClocks(acpi.pm_timer, acpi.hpet_address, FindValue(options, "clock").value_or(""))) {
    Refuse("no clock: neither CPUID, an ACPI timer, an HPET nor a PIT tells how fast the TSC is");
  }
  Log(LogLevel::kInfo, "ABI ", NOM_ABI_MAJOR, ".", NOM_ABI_MINOR, ", TSC ", clocks().tsc_hz / 1000,
      " kHz by ", clocks().measured_by, ", APIC timer ", clocks().timer_hz / 1000, " kHz, ", pages,
      " pages, none writable and executable");
  if (g_boot_info.left_out_modules > 0 || g_boot_info.left_out_ranges > 0) {
    Log(LogLevel::kError, g_boot_info.left_out_modules, " boot modules and ",
        g_boot_info.left_out_ranges, " ranges of memory are more than nomhv takes: not used");
  }
  if (EndOfMemory(g_boot_info) > mapped) {
    Log(LogLevel::kError, "memory from ", mapped >> 30,
        " GiB on is not used: this processor's page tables do not reach it");
    CutMemory(g_boot_info, mapped);
  }
  InitMemory(g_boot_info);
  InitVirtualization();
  if (!EnableExtendedState() || !EnableVirtualization(g_machine.processors[0])) {
    Refuse("this processor has no SVM with nested paging, or the firmware forbids it");
  }
  // Before there are other processors: this changes the machine's memory map, which QEMU 7.2 does
  // not survive if another processor uses its APIC at that moment.
  UseEcam(acpi.ecam);
  if (const uint32_t stopped = StopBusMasters(); stopped > 0) {
    Log(LogLevel::kInfo, "bus mastering turned off at ", stopped,
        " devices that the firmware had left it on at");
  }
  if (acpi.remapping.registers == 0 || !OpenIommu(acpi.remapping.registers)) {
    Log(LogLevel::kInfo, "no IOMMU that nomhv can use: no device is handed out");
  }
  FindDevices(acpi.remapping, FindValue(options, "devices") == "trusted");
  Doorbell doorbell;
  std::byte* mailbox = FindMailbox(doorbell);
  StartProcessors(acpi.processors);
  if (g_machine.processor_count == 1) {
    Log(LogLevel::kInfo, "only one processor: guests share it with control");
    g_machine.first_guest_processor = 0;
    g_machine.processors[0].schedule.Init(0, SchedulePeriodCycles(), g_machine.accounts, ReadTsc());
  }
  const uint32_t guest_processors = g_machine.processor_count - g_machine.first_guest_processor;

  const Result<uint64_t> board = AllocateOwnFrame();
  const Amounts capacity = {GuestFramesTotal(), kDeliveredMillicores * guest_processors,
                            AllDevices()};
  Log(LogLevel::kInfo, guest_processors, " guest processors, ", capacity.millicores,
      " millicores and ", capacity.frames, " frames for guests",
      mailbox == nullptr ? ", no mailbox" : "");
  g_control.emplace(capacity, mailbox, doorbell, Physical<NomMachineBoard>(board.value()));
  StartBootGuests(g_boot_info, *g_control);
  LogIsDrainedByControl();
  if (g_machine.first_guest_processor == 0) RunControlBesideGuests(exit_when_idle);
  RunControlAlone(exit_when_idle);
}

void NomhvApMain() {
  using namespace nomhv;  // NOLINT(google-build-using-namespace): C linkage puts us outside.
  LoadDescriptors(g_machine.processor_count);
  LoadInterruptTable();
  InitApic();
  Processor& self = g_machine.processors[g_machine.processor_count];
  NOMHV_CHECK(self.apic_id == LocalApicId(), "a processor started that was not called");
  NOMHV_CHECK(EnableExtendedState() && EnableVirtualization(self),
              "one processor has no SVM, though another has");
  self.schedule.Init(self.index, SchedulePeriodCycles(), g_machine.accounts, ReadTsc());
  self.up.store(true, std::memory_order_release);
  GuestProcessorMain(self);
}
