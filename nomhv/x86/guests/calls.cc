// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "nomhv/core/shared_memory.h"
#include "nomhv/x86/guests/devices.h"
#include "nomhv/x86/guests/exits.h"
#include "nomhv/x86/guests/guest_frames.h"
#include "nomhv/x86/guests/machine.h"
#include "nomhv/x86/guests/regions.h"
#include "nomhv/x86/guests/virtualization.h"
#include "nomhv/x86/pc/pc.h"
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
      return Value(UsedCyclesNow(guest));
    case NOM_QUERY_REGION:
      return Answer(RegionState(guest, index));
    case NOM_QUERY_PROCESSOR:
      return Value(vcpu.index % NOM_VIRTUAL_PROCESSORS_MAX);
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

bool IsVector(uint64_t vector) { return vector == 0 || (vector >= 32 && vector <= 255); }

CallAnswer Notify(VirtualProcessor& vcpu, uint64_t vector, uint64_t, uint64_t) {
  if (!IsVector(vector)) return Failed(NOM_STATUS_BAD_PARAMETER);
  const auto to = static_cast<uint8_t>(vector);
  const uint8_t from = vcpu.notice_vector.exchange(to, std::memory_order_acq_rel);
  // What has not come yet comes as the new one.
  if (from != 0 && vcpu.TakeVector(from)) static_cast<void>(vcpu.Tell(0, to, ReadTsc()));
  return {};
}

CallAnswer Signal(VirtualProcessor& vcpu, uint64_t number, uint64_t vector, uint64_t) {
  GuestMachine& guest = *vcpu.guest;
  if (number >= guest.vcpu_count || !IsVector(vector)) return Failed(NOM_STATUS_BAD_PARAMETER);
  VirtualProcessor& other = guest.vcpus[number];
  if (other.stopped.load(std::memory_order_acquire)) return Failed(NOM_STATUS_BAD_STATE);
  if (other.Tell(kNewsSignal, static_cast<uint8_t>(vector), ReadTsc())) WakeProcessorsOf(other);
  return {};
}

CallAnswer Route(VirtualProcessor& vcpu, uint64_t device, uint64_t interrupt, uint64_t vector) {
  if (!IsVector(vector)) return Failed(NOM_STATUS_BAD_PARAMETER);
  return Failed(RouteDevice(vcpu, device, interrupt, vector).code());
}

CallAnswer Yield(VirtualProcessor& vcpu, uint64_t deadline, uint64_t, uint64_t) {
  if (vcpu.TakeNews(kNewsNotice)) return Value(NOM_WAKE_NOTICE);
  if (vcpu.TakeNews(kNewsRing)) return Value(NOM_WAKE_RING);
  if (vcpu.TakeNews(kNewsSignal)) return Value(NOM_WAKE_SIGNAL);
  // An interrupt that only waits for this instruction's end (STI before it) would be slept through.
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
  bool room = false;
  {
    const SpinLockGuard guard(guest.meter_lock);
    room = guest.lines.Take(TscToUs(ReadTsc()));
  }
  if (!room) {
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

// A call that changes the guest's memory: `change(guest)`.
template <typename Change>
CallAnswer ChangeMemory(VirtualProcessor& vcpu, Change&& change) {
  const MemoryClaim claim(vcpu);
  if (!claim.ok()) return {AfterExit::kAgain};
  const Result<uint64_t> result = change(*vcpu.guest);
  if (result.ok()) WriteHeldFrames(*vcpu.guest);
  return Answer(result);
}

// By number. Each for itself, so that none pays for what another needs.
using CallHandler = CallAnswer (*)(VirtualProcessor&, uint64_t, uint64_t, uint64_t);
constexpr auto kCalls = [] {
  std::array<CallHandler, NOM_CALL_ROUTE + 1> calls{};
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
    return ChangeMemory(vcpu, [&](auto& guest) { return OfferRegion(guest, id, frames, tag); });
  };
  calls[NOM_CALL_ACCEPT] = [](VirtualProcessor& vcpu, uint64_t id, uint64_t frames, uint64_t tag) {
    return ChangeMemory(vcpu, [&](auto& guest) { return AcceptRegion(guest, id, frames, tag); });
  };
  calls[NOM_CALL_LEAVE] = [](VirtualProcessor& vcpu, uint64_t region, uint64_t, uint64_t) {
    return ChangeMemory(vcpu, [&](auto& guest) { return LeaveRegion(guest, region); });
  };
  calls[NOM_CALL_RING] = [](VirtualProcessor& vcpu, uint64_t region, uint64_t, uint64_t) {
    return Failed(RingRegion(*vcpu.guest, region).code());
  };
  calls[NOM_CALL_START] = StartSibling;
  calls[NOM_CALL_SIGNAL] = Signal;
  calls[NOM_CALL_ROUTE] = Route;
  return calls;
}();

bool CallExists(uint64_t number) { return number < kCalls.size() && kCalls[number] != NoSuchCall; }

}  // namespace

CallAnswer StartSibling(VirtualProcessor& vcpu, uint64_t number, uint64_t entry, uint64_t stack) {
  GuestMachine& guest = *vcpu.guest;
  if (number >= guest.vcpu_count) return Failed(NOM_STATUS_BAD_PARAMETER);
  VirtualProcessor& other = guest.vcpus[number];
  ProcessorAccount& account = g_machine.accounts[other.index];
  if (!other.stopped.load(std::memory_order_acquire)) return Failed(NOM_STATUS_BAD_STATE);
  // A processor is just about to leave it, or looks whether it runs.
  if (!account.TryClaim(vcpu.last_processor)) return {AfterExit::kAgain};
  const bool ours = other.stopped.load(std::memory_order_acquire);
  if (ours) {
    if (other.apic == nullptr) {
      StartInStateOf(other, vcpu, entry, stack);
    } else {
      *other.apic = LocalApic(static_cast<uint32_t>(number));
      StartInRealMode(other, entry);
    }
    ResetExtendedState(other);
    other.notice_vector.store(0, std::memory_order_relaxed);
    other.ForgetNews();
    other.sleep = {};
    if (account.asleep()) account.Wake(ReadTsc());
    guest.not_stopped.fetch_add(1, std::memory_order_acq_rel);
    other.stopped.store(false, std::memory_order_release);
  }
  account.Unclaim(vcpu.last_processor);
  if (!ours) return Failed(NOM_STATUS_BAD_STATE);
  const uint32_t bit = 1u << number;
  if ((guest.started.fetch_or(bit, std::memory_order_acq_rel) & bit) == 0) {
    // Once in its life: so that nobody has plans made without end.
    g_machine.replan_wanted.store(true, std::memory_order_release);
    Poke(g_machine.processors[0]);
  } else {
    WakeProcessorsOf(other);
  }
  return {};
}

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
  const MemoryClaim claim(vcpu);
  if (!claim.ok()) return AfterExit::kWork;
  NomStatus status = NOM_STATUS_OK;
  CountFrames(guest);
  if (!vcpu.work.Step(Frames{guest}, kFramesPerStep, status)) return AfterExit::kWork;
  WriteHeldFrames(guest);
  if (guest.pc != nullptr) {
    guest.pc->doorbell.store(status, std::memory_order_release);
  } else {
    vcpu.Answer(status, guest.held_frames);
  }
  return AfterExit::kResume;
}

}  // namespace nomhv
