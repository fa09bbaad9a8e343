// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "nomhv/core/shared_memory.h"
#include "nomhv/x86/guests/exits.h"
#include "nomhv/x86/guests/guest_frames.h"
#include "nomhv/x86/guests/machine.h"
#include "nomhv/x86/guests/regions.h"
#include "nomhv/x86/guests/virtualization.h"
#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/cpu.h"
#include "nomhv/x86/platform/log.h"

namespace nomhv {
namespace {

constexpr uint64_t kFrame = NOM_FRAME_BYTES;
constexpr uint64_t kWriteBytesMax = 256;
// A frame that is scrubbed takes over 500 instructions; a slice can end between two steps.
constexpr uint64_t kFramesPerStep = 16;

CallAnswer Failed(NomStatus status) { return {AfterExit::kResume, status, 0}; }
CallAnswer Value(uint64_t value) { return {AfterExit::kResume, NOM_STATUS_OK, value}; }
CallAnswer Answer(const Result<uint64_t>& result) {
  return result.ok() ? Value(result.value()) : Failed(result.code());
}

bool CallExists(uint64_t number);  // By the table below.

CallAnswer NextFrame(const GuestMachine& guest, uint64_t from, bool held) {
  if (from >= guest.window_frames) return Failed(NOM_STATUS_NOT_HELD);
  const uint64_t end = guest.window_frames * kFrame;
  const std::optional<uint64_t> found = held ? guest.tables.NextMapped(from * kFrame, end)
                                             : guest.tables.NextHole(from * kFrame, end);
  return found.has_value() ? Value(*found / kFrame) : Failed(NOM_STATUS_NOT_HELD);
}

CallAnswer Query(VirtualProcessor& vcpu, uint64_t what, uint64_t index, uint64_t) {
  const GuestMachine& guest = *vcpu.guest;
  switch (what) {
    case NOM_QUERY_ABI_VERSION:
      return Value(NOM_ABI_VERSION);
    case NOM_QUERY_CALL_EXISTS:
      return Value(CallExists(index));
    case NOM_QUERY_FRAMES_HELD:
      return Value(guest.held_frames);
    case NOM_QUERY_FRAMES_GRANTED:
      return Value(guest.granted_frames);
    case NOM_QUERY_NEXT_HELD:
      return NextFrame(guest, index, /*held=*/true);
    case NOM_QUERY_NEXT_HOLE:
      return NextFrame(guest, index, /*held=*/false);
    case NOM_QUERY_CYCLES_USED:
      return Value(UsedCyclesNow(guest.slot));
    case NOM_QUERY_REGION:
      return Answer(RegionState(guest, index));
    default:
      return Failed(NOM_STATUS_BAD_PARAMETER);
  }
}

CallAnswer Acquire(VirtualProcessor& vcpu, uint64_t first, uint64_t count, uint64_t) {
  GuestMachine& guest = *vcpu.guest;
  if (count == 0) return Failed(NOM_STATUS_BAD_PARAMETER);
  if (!InBounds(first, count, guest.window_frames)) return Failed(NOM_STATUS_BAD_ADDRESS);
  if (guest.tables.NextMapped(first * kFrame, (first + count) * kFrame).has_value()) {
    return Failed(NOM_STATUS_ALREADY_HELD);
  }
  if (guest.held_frames + count > guest.granted_frames) return Failed(NOM_STATUS_OVER_GRANT);
  vcpu.work.BeginAcquire(first, count);
  return {AfterExit::kWork};
}

CallAnswer Release(VirtualProcessor& vcpu, uint64_t first, uint64_t count, uint64_t) {
  GuestMachine& guest = *vcpu.guest;
  if (count == 0) return Failed(NOM_STATUS_BAD_PARAMETER);
  if (!InBounds(first, count, guest.window_frames)) return Failed(NOM_STATUS_BAD_ADDRESS);
  if (guest.tables.NextHole(first * kFrame, (first + count) * kFrame).has_value()) {
    return Failed(NOM_STATUS_NOT_HELD);
  }
  vcpu.work.BeginRelease(first, count);
  return {AfterExit::kWork};
}

CallAnswer Notify(VirtualProcessor& vcpu, uint64_t vector, uint64_t, uint64_t) {
  if (vector != 0 && (vector < 32 || vector > 255)) return Failed(NOM_STATUS_BAD_PARAMETER);
  // What was told while there was no vector interrupts nobody later.
  if (vector == 0 || vcpu.notice_vector == 0) static_cast<void>(vcpu.TakeNews(kNewsInterrupt));
  vcpu.notice_vector = static_cast<uint8_t>(vector);
  return {};
}

CallAnswer Yield(VirtualProcessor& vcpu, uint64_t deadline, uint64_t, uint64_t) {
  if (vcpu.TakeNews(kNewsNotice)) return Value(NOM_WAKE_NOTICE);
  if (vcpu.TakeNews(kNewsRing)) return Value(NOM_WAKE_RING);
  // An interrupt that only waits for this instruction to end (STI before it) would be slept
  // through.
  if (vcpu.interrupt_due() && InterruptsEnabled(vcpu)) return Value(NOM_WAKE_INTERRUPT);
  if (deadline != 0 && deadline <= ReadTsc()) return Value(NOM_WAKE_DEADLINE);
  vcpu.sleep = {SleepState::kYielded, deadline};
  return {AfterExit::kSleep, NOM_STATUS_OK, 0};
}

CallAnswer Write(VirtualProcessor& vcpu, uint64_t gpa, uint64_t bytes, uint64_t) {
  GuestMachine& guest = *vcpu.guest;
  if (bytes > kWriteBytesMax) return Failed(NOM_STATUS_BAD_PARAMETER);
  if (!InBounds(gpa, bytes, guest.window_frames * kFrame)) return Failed(NOM_STATUS_BAD_ADDRESS);
  char text[kWriteBytesMax];
  for (uint64_t done = 0; done < bytes;) {
    const uint64_t at = gpa + done;
    const std::optional<NestedMapping> mapping = guest.tables.Find(at & ~(kFrame - 1));
    if (!mapping.has_value()) return Failed(NOM_STATUS_NOT_HELD);
    const uint64_t part = std::min(bytes - done, kFrame - at % kFrame);
    CopyOnce(text + done, Physical<char>(mapping->physical + at % kFrame), part);
    done += part;
  }
  if (!guest.lines.Take(TscToUs(ReadTsc()))) {
    guest.lines_lost.fetch_add(1, std::memory_order_relaxed);
    return Failed(NOM_STATUS_OVER_BUDGET);
  }
  std::string_view said(text, bytes);
  if (said.ends_with('\n')) said.remove_suffix(1);
  Line<kWriteBytesMax + 4> line;
  line.Add(Quoted{said});
  WriteGuestLog(guest.id, guest.name_view(), line.text());
  return {};
}

CallAnswer NoSuchCall(VirtualProcessor&, uint64_t, uint64_t, uint64_t) {
  return Failed(NOM_STATUS_NO_SUCH_CALL);
}

// The answer of a call that may have changed how many frames are held.
CallAnswer Changed(GuestMachine& guest, const Result<uint64_t>& result) {
  if (result.ok()) WriteHeldFrames(guest);
  return Answer(result);
}

// By number. Each for itself, so that none pays for what another needs.
using CallHandler = CallAnswer (*)(VirtualProcessor&, uint64_t, uint64_t, uint64_t);
constexpr auto kCalls = [] {
  std::array<CallHandler, NOM_CALL_RING + 1> calls{};
  calls.fill(NoSuchCall);
  calls[NOM_CALL_QUERY] = Query;
  calls[NOM_CALL_ACQUIRE] = Acquire;
  calls[NOM_CALL_RELEASE] = Release;
  calls[NOM_CALL_NOTIFY] = Notify;
  calls[NOM_CALL_YIELD] = Yield;
  calls[NOM_CALL_WRITE] = Write;
  calls[NOM_CALL_EXIT] = [](VirtualProcessor& vcpu, uint64_t code, uint64_t, uint64_t) {
    vcpu.guest->End(vcpu, NOM_EXIT_REASON_DONE, code);
    return CallAnswer{AfterExit::kEnded};
  };
  calls[NOM_CALL_OFFER] = [](VirtualProcessor& vcpu, uint64_t id, uint64_t frames, uint64_t tag) {
    return Changed(*vcpu.guest, OfferRegion(*vcpu.guest, id, frames, tag));
  };
  calls[NOM_CALL_ACCEPT] = [](VirtualProcessor& vcpu, uint64_t id, uint64_t frames, uint64_t tag) {
    return Answer(AcceptRegion(*vcpu.guest, id, frames, tag));
  };
  calls[NOM_CALL_LEAVE] = [](VirtualProcessor& vcpu, uint64_t region, uint64_t, uint64_t) {
    return Changed(*vcpu.guest, LeaveRegion(*vcpu.guest, region));
  };
  calls[NOM_CALL_RING] = [](VirtualProcessor& vcpu, uint64_t region, uint64_t, uint64_t) {
    return Failed(RingRegion(*vcpu.guest, region).code());
  };
  return calls;
}();

bool CallExists(uint64_t number) { return number < kCalls.size() && kCalls[number] != NoSuchCall; }

}  // namespace

CallAnswer DoCall(VirtualProcessor& vcpu, uint64_t number, uint64_t a, uint64_t b, uint64_t c) {
  if (number >= kCalls.size()) [[unlikely]]
    return Failed(NOM_STATUS_NO_SUCH_CALL);
  return kCalls[number](vcpu, a, b, c);
}

AfterExit ContinueWork(VirtualProcessor& vcpu) {
  GuestMachine& guest = *vcpu.guest;
  struct Frames {
    GuestMachine& guest;
    FrameTaker taker{guest};
    [[nodiscard]] uint64_t Fill(uint64_t frame, uint64_t end) const {
      const uint64_t held = guest.held_frames;
      const uint64_t more = guest.granted_frames > held ? guest.granted_frames - held : 0;
      return FillHoles(guest, frame * kFrame, end * kFrame, more) / kFrame;
    }
    void Clear(uint64_t frame, uint64_t end) { taker.Take(frame * kFrame, end * kFrame); }
  };
  NomStatus status = NOM_STATUS_OK;
  CountFrames(guest);
  if (!vcpu.work.Step(Frames{guest}, kFramesPerStep, status)) return AfterExit::kWork;
  WriteHeldFrames(guest);
  vcpu.Answer(status, guest.held_frames);
  return AfterExit::kResume;
}

}  // namespace nomhv
