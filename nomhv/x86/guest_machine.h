// One guest as the machine runs it. core/guests.h has the books; this is the flesh.
//
// Whoever holds the claim of the slot's ProcessorAccount owns all of a GuestMachine but its
// atomics: a guest processor while it runs the guest, the control processor while it changes it
// (Control::Hold).

#ifndef NOMHV_X86_GUEST_MACHINE_H_
#define NOMHV_X86_GUEST_MACHINE_H_

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

#include "nomhv/abi/board.h"
#include "nomhv/abi/guest.h"
#include "nomhv/abi/mailbox.h"
#include "nomhv/core/budget.h"
#include "nomhv/core/debug_registers.h"
#include "nomhv/core/frame_work.h"
#include "nomhv/core/guests.h"
#include "nomhv/core/image.h"
#include "nomhv/core/log_ring.h"
#include "nomhv/core/nested_paging.h"
#include "nomhv/core/result.h"
#include "nomhv/core/translations.h"
#include "nomhv/x86/memory.h"
#include "nomhv/x86/spinlock.h"
#include "nomhv/x86/svm/vmcb.h"

namespace nomhv {

// What a guest is woken for, or interrupted by.
enum News : uint32_t {
  kNewsNotice = 1,     // For YIELD, until it has told so.
  kNewsRing = 2,       // Likewise.
  kNewsInterrupt = 4,  // Not delivered yet.
};

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

struct SleepState {
  enum Kind : uint32_t { kAwake, kHalted, kYielded };
  Kind kind = kAwake;
  uint64_t wake_tsc = 0;  // When it asked to be woken; 0: at no time.
};

// Where code that a guest executed last lies in the machine's memory (svm/instruction.cc).
struct CodePageCache {
  uint64_t linear = ~uint64_t{0};  // No page's address: nothing is kept.
  uint64_t cr3 = 0;
  const uint8_t* host = nullptr;
};

struct GuestMachine {
  uint32_t slot = 0;
  uint64_t id = 0;
  char name[NOM_NAME_BYTES] = {};
  uint64_t seed_frames = 0;
  uint64_t window_frames = 0;
  uint64_t created_tsc = 0;
  bool boot_guest = false;

  // The processor's side.
  Vmcb* vmcb = nullptr;
  GuestRegisters registers{};
  void* fpu = nullptr;  // An XSAVE area.
  uint64_t xcr0 = 1;
  DebugRegisters debug_registers;
  CodePageCache code_page;
  uint64_t pending_event = 0;  // For EVENTINJ at the next entry.
  uint32_t last_processor = 0;

  // Memory.
  MachineTables table_memory;
  NestedTables<MachineTables> tables;
  GuestTranslations translations;
  NomGuestBoard* board = nullptr;
  NomBidPage* bids = nullptr;
  NomStart* start = nullptr;
  NomGuestBoard board_value{};           // What the board is rewritten from.
  std::atomic<uint64_t> held_frames{0};  // Those of the regions that it offers, too.
  uint64_t granted_frames = 0;
  FrameMeter frame_meter;  // With granted_frames: meter_lock.
  SpinLock meter_lock;
  FrameWork work;
  uint32_t devices = 0;  // A bit for each that it holds.

  // Sleep and news.
  SleepState sleep;
  uint8_t notice_vector = 0;  // Of notices and rings.

  LineBudget lines;  // Of the log.

  // Anybody's.
  std::atomic<uint32_t> news{0};        // News bits.
  std::atomic<uint64_t> news_tsc{0};    // When the last came.
  std::atomic<uint64_t> processors{0};  // A bit for each that has a piece of it.
  std::atomic<bool> alive{false};       // Exists and may run.
  std::atomic<bool> hold{false};        // The control processor wants the claim.
  std::atomic<bool> ended{false};       // Set once, with the three below.
  std::atomic<bool> condemned{false};   // Did not leave its processor in time: to be ended there.
  NomExitReason exit_reason = NOM_EXIT_REASON_NONE;
  uint64_t exit_detail = 0;
  uint64_t exit_rip = 0;
  std::atomic<uint64_t> exits[NOM_EXITS_COUNT] = {};
  std::atomic<uint64_t> interrupts{0};
  std::atomic<uint64_t> lines_lost{0};  // Of its log, over its budget.
  uint64_t forced_frames = 0;

  [[nodiscard]] std::string_view name_view() const { return name; }
  // It has something to do, if it slept; who tells it pokes its processors.
  uint32_t Tell(uint32_t bits, uint64_t now_tsc) {
    news_tsc.store(now_tsc, std::memory_order_relaxed);
    return news.fetch_or(bits, std::memory_order_acq_rel);
  }
  // True once for each time that it was told.
  bool TakeNews(News bit) {
    return (news.load(std::memory_order_acquire) & bit) != 0 &&
           (news.fetch_and(~uint32_t{bit}, std::memory_order_acq_rel) & bit) != 0;
  }
  [[nodiscard]] bool interrupt_due() const {
    return notice_vector != 0 && (news.load(std::memory_order_acquire) & kNewsInterrupt) != 0;
  }
  void CountExit(NomExit kind) { exits[kind].fetch_add(1, std::memory_order_relaxed); }
  void End(NomExitReason reason, uint64_t detail) {
    exit_reason = reason;
    exit_detail = detail;
    exit_rip = vmcb->rip;
    ended.store(true, std::memory_order_release);
  }
};

// Microseconds of the machine, from any TSC reading.
[[nodiscard]] uint64_t TscToUs(uint64_t tsc);

// The first step of a guest's life: its tables, boards and control block, with no memory yet.
// BAD_IMAGE with `fault` if `image` cannot be loaded, else `plan` says how; or TABLE_FULL when
// nomhv's own memory is used up. Then nothing is left behind. `machine_board` is the page that all
// guests share.
Status BuildGuest(GuestMachine& guest, uint32_t slot, const NomCreate& create,
                  std::span<const std::byte> image, uint64_t machine_board_physical, LoadPlan& plan,
                  NomImageFault& fault);
// The last step, once it holds its seed: copies a segment of the image in.
void LoadSegment(GuestMachine& guest, std::span<const std::byte> image,
                 const ImageSegment& segment);
// Fills in the start page and sets the processor to `plan`'s entry; it may run from here on.
void StartGuest(GuestMachine& guest, const NomCreate& create, uint64_t tsc_hz,
                const LoadPlan& plan);

// The guest runs nowhere, never will, and holds nothing any more: takes its tables, boards and
// control block.
void UnbuildGuest(GuestMachine& guest);

// Mappings were taken from it: no processor and no device reaches what they led to after its next
// entry. Under its claim.
void ForgetTranslations(GuestMachine& guest);

// Rewrites the guest board from board_value and the books.
void WriteGuestBoard(GuestMachine& guest);

}  // namespace nomhv

#endif  // NOMHV_X86_GUEST_MACHINE_H_
