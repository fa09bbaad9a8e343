// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/guests/guest_machine.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "nomhv/core/assert.h"
#include "nomhv/core/shared_memory.h"
#include "nomhv/x86/guests/devices.h"
#include "nomhv/x86/guests/virtualization.h"
#include "nomhv/x86/iommu/iommu.h"
#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/cpu.h"

namespace nomhv {
namespace {

constexpr uint64_t kFrame = NOM_FRAME_BYTES;
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

// Writes [gpa, gpa + bytes) of the guest, which all lies in frames that it holds.
void CopyIn(GuestMachine& guest, uint64_t gpa, const std::byte* from, uint64_t bytes) {
  while (bytes > 0) {
    const std::optional<NestedMapping> mapping = guest.tables.Find(gpa & ~(kFrame - 1));
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
  then([&] { return AllocateOwn(guest.vcpu.control_block); });
  then([&] { return AllocateOwn(guest.vcpu.extended_state); });
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
  std::memcpy(start.name, create.name, sizeof(start.name));
  std::memcpy(start.arguments, create.arguments, sizeof(start.arguments));
}

// A new guest in the slot; nobody looks at it before it is alive.
void Reset(GuestMachine& guest, uint32_t slot, const NomCreate& create) {
  // What processors remember of the slot's last guest is told by generations: they go on.
  const GuestTranslations translations = guest.vcpu.translations;
  new (&guest) GuestMachine;
  guest.vcpu.translations = translations;
  guest.vcpu.translations.Invalidate();
  guest.vcpu.guest = &guest;
  guest.vcpu.index = slot;
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
  exit_reason = reason;
  exit_detail = detail;
  exit_rip = InstructionPointer(at);
  ended.store(true, std::memory_order_release);
}

Status BuildGuest(GuestMachine& guest, uint32_t slot, const NomCreate& create,
                  std::span<const std::byte> image, uint64_t machine_board_physical, LoadPlan& plan,
                  NomImageFault& fault) {
  fault = PlanImage(image, create.seed_frames, plan);
  if (fault != NOM_IMAGE_FAULT_NONE) return NOM_STATUS_BAD_IMAGE;
  Reset(guest, slot, create);
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
  ResetVirtualProcessor(guest.vcpu, plan.entry_gpa, NOM_GPA_START_PAGE);
  ResetExtendedState(guest.vcpu);
  guest.alive.store(true, std::memory_order_release);
}

void UnbuildGuest(GuestMachine& guest) {
  NOMHV_CHECK(guest.held_frames == 0, "guest: taken apart with its memory");
  guest.tables.Destroy();
  FreeOwn(guest.vcpu.control_block);
  FreeOwn(guest.vcpu.extended_state);
  FreeOwn(guest.board);
  FreeOwn(guest.bids);
  FreeOwn(guest.start);
}

void ForgetTranslations(GuestMachine& guest) {
  guest.vcpu.translations.Invalidate();
  guest.vcpu.code_page = {};
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
