// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/guests/guest_machine.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "nomhv/core/assert.h"
#include "nomhv/core/pc/start.h"
#include "nomhv/core/shared_memory.h"
#include "nomhv/x86/guests/devices.h"
#include "nomhv/x86/guests/guest_frames.h"
#include "nomhv/x86/guests/machine.h"
#include "nomhv/x86/guests/virtualization.h"
#include "nomhv/x86/iommu/iommu.h"
#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/cpu.h"

namespace nomhv {
namespace {

constexpr uint64_t kFrame = NOM_FRAME_BYTES;
// For another processor to leave a guest: no longer than a call, but an emulator may not run it.
constexpr uint64_t kPatienceSeconds = 60;
constexpr NestedFlags kReadOnly = {/*writable=*/false, /*executable=*/false};
constexpr NestedFlags kReadWrite = {/*writable=*/true, /*executable=*/false};

template <typename T>
Status AllocateOwn(T*& to) {
  const Result<uint64_t> frame = AllocateOwnFrame();
  if (!frame.ok()) return frame.code();
  to = Physical<T>(frame.value());
  return {};
}

template <typename T>
void FreeOwn(T*& from) {
  if (from != nullptr) FreeOwnFrame(reinterpret_cast<uint64_t>(from));
  from = nullptr;
}

// Writes [gpa, gpa + bytes) of the guest, all of it in its seed.
void CopyIn(GuestMachine& guest, uint64_t gpa, const std::byte* from, uint64_t bytes) {
  while (bytes > 0) {
    const uint64_t page = gpa & ~(kFrame - 1);
    static_cast<void>(FillHoles(guest, page, page + kFrame, 1));  // A PC's.
    const std::optional<NestedMapping> mapping = guest.tables.Find(page);
    NOMHV_CHECK(mapping.has_value(), "guest: a seed frame is missing");
    const uint64_t part = std::min(bytes, kFrame - gpa % kFrame);
    CopyOnce(Physical<std::byte>(mapping->physical + gpa % kFrame), from, part);
    gpa += part;
    from += part;
    bytes -= part;
  }
}

Status BuildPages(GuestMachine& guest, uint64_t machine_board_physical) {
  Status status = guest.tables.Init(&guest.table_memory);
  const auto then = [&](auto&& step) {
    if (status.ok()) status = step();
  };
  then([&] { return guest.tables.Reserve(0, guest.window_frames * kFrame); });
  then([&] { return guest.tables.Reserve(NOM_GPA_REGIONS, NOM_REGIONS_BYTES); });
  const uint64_t devices_bytes = uint64_t{device_board().device_count} * NOM_DEVICE_PLACE_BYTES;
  then([&] { return guest.tables.Reserve(NOM_GPA_DEVICES, devices_bytes); });
  for (VirtualProcessor& vcpu : guest.all_vcpus()) {
    then([&] { return AllocateOwn(vcpu.control_block); });
    then([&] { return AllocateOwn(vcpu.extended_state); });
  }
  then([&] { return AllocateOwn(guest.board); });
  then([&] { return AllocateOwn(guest.bids); });
  then([&] { return AllocateOwn(guest.start); });
  const auto map = [&](uint64_t gpa, const void* page, NestedFlags flags) {
    then([&] { return guest.tables.Map(gpa, reinterpret_cast<uint64_t>(page), flags); });
  };
  map(NOM_GPA_MACHINE_BOARD, Physical<void>(machine_board_physical), kReadOnly);
  map(NOM_GPA_GUEST_BOARD, guest.board, kReadOnly);
  map(NOM_GPA_BID_PAGE, guest.bids, kReadWrite);
  map(NOM_GPA_START_PAGE, guest.start, kReadOnly);
  map(NOM_GPA_DEVICE_BOARD, &device_board(), kReadOnly);
  return status;
}

void FillStartPage(GuestMachine& guest, const NomCreate& create) {
  NomStart& start = *guest.start;
  start.magic = NOM_START_MAGIC;
  start.abi_version = NOM_ABI_VERSION;
  start.guest_id = guest.id;
  start.tsc_hz = clocks().tsc_hz;
  start.seed_frames = guest.seed_frames;
  start.window_frames = guest.window_frames;
  start.virtual_processors = guest.vcpu_count;
  std::memcpy(start.name, create.name, sizeof(start.name));
  std::memcpy(start.arguments, create.arguments, sizeof(start.arguments));
}

// A new guest in the slot; nobody looks at it before it is alive.
void Reset(GuestMachine& guest, uint32_t slot, const NomCreate& create,
           uint32_t virtual_processors) {
  // What processors remember of the slot's last guest is told by generations: they go on.
  uint64_t generations[NOM_VIRTUAL_PROCESSORS_MAX];
  for (uint32_t i = 0; i < NOM_VIRTUAL_PROCESSORS_MAX; ++i) {
    generations[i] = guest.vcpus[i].translations.generation();
  }
  new (&guest) GuestMachine;
  for (uint32_t i = 0; i < NOM_VIRTUAL_PROCESSORS_MAX; ++i) {
    guest.vcpus[i].translations.GoOnAfter(VcpuIndex(slot, i), generations[i]);
    guest.vcpus[i].guest = &guest;
    guest.vcpus[i].index = VcpuIndex(slot, i);
  }
  guest.vcpu_count = virtual_processors;
  guest.slot = slot;
  guest.id = create.guest_id;
  std::memcpy(guest.name, create.name, sizeof(guest.name));
  guest.seed_frames = create.seed_frames;
  guest.window_frames = create.window_frames;
  guest.granted_frames = create.seed_frames;
  guest.created_tsc = ReadTsc();
  guest.frame_meter.Start(TscToUs(guest.created_tsc));
  guest.lines = LineBudget(TscToUs(guest.created_tsc));
}

}  // namespace

void GuestMachine::End(const VirtualProcessor& at, NomExitReason reason, uint64_t detail) {
  if (ending.exchange(true, std::memory_order_acq_rel)) return;
  exit_reason = reason;
  exit_detail = detail;
  exit_rip = InstructionPointer(at);
  ended.store(true, std::memory_order_release);
}

Status BuildGuest(GuestMachine& guest, uint32_t slot, const NomCreate& create,
                  uint32_t virtual_processors, std::span<const std::byte> image,
                  uint64_t machine_board_physical, LoadPlan& plan, NomImageFault& fault) {
  fault = PlanImage(image, create.seed_frames, plan);
  if (fault != NOM_IMAGE_FAULT_NONE) return NOM_STATUS_BAD_IMAGE;
  Reset(guest, slot, create, virtual_processors);
  const Status status = BuildPages(guest, machine_board_physical);
  if (!status.ok()) UnbuildGuest(guest);
  return status;
}

void LoadSegment(GuestMachine& guest, std::span<const std::byte> image,
                 const ImageSegment& segment) {
  CopyIn(guest, segment.gpa, image.data() + segment.file_offset, segment.file_bytes);
}

void StartGuest(GuestMachine& guest, const NomCreate& create, const LoadPlan& plan) {
  FillStartPage(guest, create);
  guest.board_value.guest_id = guest.id;
  WriteGuestBoard(guest);
  VirtualProcessor& first = guest.vcpus[0];
  ResetVirtualProcessor(first, plan.entry_gpa,
                        guest.pc == nullptr ? NOM_GPA_START_PAGE : kPcStartInfo);
  ResetExtendedState(first);
  first.stopped.store(false, std::memory_order_release);
  guest.alive.store(true, std::memory_order_release);
}

void UnbuildGuest(GuestMachine& guest) {
  NOMHV_CHECK(guest.held_frames == 0, "guest: taken apart with its memory");
  guest.tables.Destroy();
  for (VirtualProcessor& vcpu : guest.all_vcpus()) {
    FreeOwn(vcpu.control_block);
    FreeOwn(vcpu.extended_state);
  }
  FreeOwn(guest.board);
  FreeOwn(guest.bids);
  FreeOwn(guest.start);
}

void ForgetTranslations(GuestMachine& guest) {
  const VirtualProcessor* const self = guest.memory_owner.load(std::memory_order_relaxed);
  constexpr uint32_t kLooksAPoke = 10'000;
  uint32_t looks = 0;
  uint64_t give_up = 0;
  const auto claimed_by = [&](uint32_t i) {
    return g_machine.accounts[guest.vcpus[i].index].claimed_by();
  };
  ForgetEverywhere(
      guest.vcpu_count,
      [&](uint32_t i) -> VcpuTranslations& { return guest.vcpus[i].translations; },
      [&](uint32_t i) {
        // What the first processor claims is held, or there is no other processor.
        const uint32_t by = claimed_by(i);
        return &guest.vcpus[i] != self && by != ProcessorAccount::kUnclaimed && by != 0 &&
               guest.alive.load(std::memory_order_acquire);
      },
      [&](uint32_t i) {
        // One poke is enough, of a processor that the emulator runs.
        if (looks++ % kLooksAPoke == 0) {
          const uint32_t by = claimed_by(i);
          if (by != ProcessorAccount::kUnclaimed) Poke(g_machine.processors[by]);
          if (give_up == 0) give_up = ReadTsc() + clocks().tsc_hz * kPatienceSeconds;
          NOMHV_CHECK(ReadTsc() < give_up, "guest: a processor does not leave it");
        }
        Pause();
      });
  if (guest.devices != 0) ForgetDeviceTranslations(guest.slot);
}

void WriteGuestBoard(GuestMachine& guest) {
  NomGuestBoard& value = guest.board_value;
  value.magic = NOM_GUEST_BOARD_MAGIC;
  value.abi_version = NOM_ABI_VERSION;
  value.frames_granted = guest.granted_frames;
  value.frames_held = guest.held_frames;
  value.devices = guest.devices;
  SeqlockWrite(guest.board, value);
}

void WriteHeldFrames(GuestMachine& guest) {
  SeqlockSet(guest.board, &NomGuestBoard::frames_held, guest.held_frames);
}

}  // namespace nomhv
