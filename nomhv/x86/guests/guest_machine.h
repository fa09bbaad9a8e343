// SPDX-License-Identifier: Apache-2.0
// One guest as the machine runs it. core/guests.h has the books; this is the flesh.
//
// Whoever holds the claim of a virtual processor's ProcessorAccount owns that virtual processor,
// but its atomics. The rest is the control processor's while it holds the claims of all
// (Dispatch::Hold), and else a virtual processor's that runs and is memory_owner.

#ifndef NOMHV_X86_GUESTS_GUEST_MACHINE_H_
#define NOMHV_X86_GUESTS_GUEST_MACHINE_H_

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

#include "nomhv/abi/board.h"
#include "nomhv/abi/guest.h"
#include "nomhv/abi/mailbox.h"
#include "nomhv/core/budget.h"
#include "nomhv/core/guests.h"
#include "nomhv/core/image.h"
#include "nomhv/core/log_ring.h"
#include "nomhv/core/nested_paging.h"
#include "nomhv/core/result.h"
#include "nomhv/x86/guests/virtual_processor.h"
#include "nomhv/x86/platform/memory.h"
#include "nomhv/x86/platform/spinlock.h"

namespace nomhv {

// Frames times time, in frame-microseconds.
class FrameMeter {
 public:
  void Start(uint64_t now_us) {
    *this = {};
    last_us_ = now_us;
  }
  // What was true since the last call.
  void Advance(uint64_t now_us, uint64_t held, uint64_t granted) {
    const uint64_t us = now_us > last_us_ ? now_us - last_us_ : 0;
    last_us_ += us;
    held_ += us * held;
    offered_ += us * (granted > held ? granted : held);
  }
  [[nodiscard]] uint64_t held_frame_us() const { return held_; }
  [[nodiscard]] uint64_t offered_frame_us() const { return offered_; }

 private:
  uint64_t last_us_ = 0;
  uint64_t held_ = 0;
  uint64_t offered_ = 0;
};

struct Pc;  // x86/pc

struct GuestMachine {
  uint32_t slot = 0;
  uint64_t id = 0;
  char name[NOM_NAME_BYTES] = {};
  uint64_t seed_frames = 0;
  uint64_t window_frames = 0;
  uint64_t created_tsc = 0;
  bool boot_guest = false;

  uint32_t vcpu_count = 1;
  VirtualProcessor vcpus[NOM_VIRTUAL_PROCESSORS_MAX];
  // What has been started once has its part of the guest's time for good; a bit each.
  std::atomic<uint32_t> started{1};
  std::atomic<uint32_t> not_stopped{1};
  // Which of them changes the guest's memory; null: none.
  std::atomic<VirtualProcessor*> memory_owner{nullptr};

  // Memory.
  MachineTables table_memory;
  NestedTables<MachineTables> tables;
  NomGuestBoard* board = nullptr;
  NomBidPage* bids = nullptr;
  NomStart* start = nullptr;
  NomGuestBoard board_value{};           // What the board is rewritten from.
  std::atomic<uint64_t> held_frames{0};  // Those of the regions that it offers, too.
  uint64_t granted_frames = 0;
  FrameMeter frame_meter;  // With granted_frames: meter_lock.
  SpinLock meter_lock;
  uint32_t devices = 0;  // A bit for each that it holds.

  LineBudget lines;  // Of the log: meter_lock.
  Pc* pc = nullptr;  // If it is one.

  // Anybody's.
  std::atomic<bool> alive{false};      // Exists and may run.
  std::atomic<bool> hold{false};       // The control processor wants the claim.
  std::atomic<bool> ending{false};     // Somebody writes the three below.
  std::atomic<bool> ended{false};      // Set once, after them.
  std::atomic<bool> condemned{false};  // Did not leave its processor in time: to be ended there.
  NomExitReason exit_reason = NOM_EXIT_REASON_NONE;
  uint64_t exit_detail = 0;
  uint64_t exit_rip = 0;
  std::atomic<uint64_t> exits[NOM_EXITS_COUNT] = {};
  std::atomic<uint64_t> interrupts{0};
  std::atomic<uint64_t> lines_lost{0};  // Of its log, over its budget.
  uint64_t forced_frames = 0;

  [[nodiscard]] std::string_view name_view() const { return name; }
  [[nodiscard]] std::span<VirtualProcessor> all_vcpus() { return {vcpus, vcpu_count}; }
  void CountExit(NomExit kind) { exits[kind].fetch_add(1, std::memory_order_relaxed); }
  // `at` is the processor whose doing it was. The first end counts.
  void End(const VirtualProcessor& at, NomExitReason reason, uint64_t detail);
};

// One of a guest's virtual processors at a time changes its memory. Who finds it taken does not
// wait, as who has it may be waiting for this one to leave the guest (ForgetTranslations): it looks
// at what else is asked of it, and tries again.
class MemoryClaim {
 public:
  explicit MemoryClaim(VirtualProcessor& vcpu) : owner_(vcpu.guest->memory_owner) {
    VirtualProcessor* nobody = nullptr;
    ok_ = owner_.compare_exchange_strong(nobody, &vcpu, std::memory_order_acq_rel);
  }
  ~MemoryClaim() {
    if (ok_) owner_.store(nullptr, std::memory_order_release);
  }
  MemoryClaim(const MemoryClaim&) = delete;
  MemoryClaim& operator=(const MemoryClaim&) = delete;
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::atomic<VirtualProcessor*>& owner_;
  bool ok_;
};

// The first step of a guest's life: its tables, boards and processor, with no memory yet.
// BAD_IMAGE with `fault` if `image` cannot be loaded, else `plan` says how; or TABLE_FULL when
// nomhv's own memory is used up; then nothing is left of it. `machine_board` is everybody's page.
Status BuildGuest(GuestMachine& guest, uint32_t slot, const NomCreate& create,
                  uint32_t virtual_processors, std::span<const std::byte> image,
                  uint64_t machine_board_physical, LoadPlan& plan, NomImageFault& fault);
// The last step, once it holds its seed: copies a segment of the image in.
void LoadSegment(GuestMachine& guest, std::span<const std::byte> image,
                 const ImageSegment& segment);
// Fills in the start page and sets the processor to `plan`'s entry; it may run from here on.
void StartGuest(GuestMachine& guest, const NomCreate& create, const LoadPlan& plan);

// The guest runs nowhere, never will, and holds nothing any more: takes what BuildGuest gave.
void UnbuildGuest(GuestMachine& guest);

// Mappings were taken from it: when this returns no other processor and no device reaches what they
// led to, nor does anybody after its next entry. As memory_owner, or all claims are held.
void ForgetTranslations(GuestMachine& guest);

// Rewrites the guest board from board_value and the books; or only how many frames are held.
void WriteGuestBoard(GuestMachine& guest);
void WriteHeldFrames(GuestMachine& guest);

}  // namespace nomhv

#endif  // NOMHV_X86_GUESTS_GUEST_MACHINE_H_
