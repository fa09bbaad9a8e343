// SPDX-License-Identifier: Apache-2.0
// Claims: a guest starts its other processors, each runs for itself, sleeps, is woken and
// interrupted for itself, stops and starts again; START and SIGNAL refuse what they should; what
// one gives back no other reaches once the call has returned. Arguments: then = end (with 0 when
// all that holds), release (with 0), spin (all spin, for ever), storm (all but the first make calls
// as fast as they can, for ever, the first tells on the bid page that it goes on), sleep (all
// signal each other and sleep, likewise).

#include "client/guest/x86/processors.h"

#include <atomic>

#include "client/guest/arguments.h"
#include "client/guest/bid_page.h"
#include "client/guest/clock.h"
#include "client/guest/start.h"
#include "client/guest/x86/fixup.h"
#include "tests/guests/programs/check.h"

namespace nom::guest::tests {
namespace {

constexpr uint32_t kMost = NOM_VIRTUAL_PROCESSORS_MAX;
constexpr uint8_t kVector = 55;
constexpr uint8_t kHighVector = 200;

struct Shared {
  std::atomic<uint64_t> steps[kMost] = {};
  std::atomic<uint64_t> told[kMost] = {};
  std::atomic<uint64_t> stop{0};
  std::atomic<uint64_t> all_run{0};
  std::atomic<uint64_t> writes{0};
  std::atomic<uint64_t> faults{0};
  std::atomic<uint64_t> low{0}, high{0}, low_after_high{0};
};
Shared shared;
uint64_t processors = 1;
uint64_t seed_frames = 0;
alignas(16) std::byte stacks[kMost][8192];

uint64_t Self() { return Hypervisor().Query(NOM_QUERY_PROCESSOR).value; }

void Run(uint32_t number, void (*body)(void*)) {
  const CallResult started = StartProcessor(number, body, nullptr, stacks[number]);
  NOM_CHECK(started.ok(), number, " ", StatusName(started.status));
}

template <typename Done>
void WaitFor(const char* what, Done&& done) {
  // Far more than anything here takes; a share may be small, and an emulator slow.
  for (uint64_t tries = 0; !done(); ++tries) {
    NOM_CHECK(tries < 100'000, what);
    (void)Hypervisor().Yield(Hypervisor().Tsc() + 100'000);
  }
}

// Sleeps, and counts what it is woken for; stops when it is told to.
void Sleeper(void*) {
  const uint64_t self = Self();
  while (shared.stop.load() == 0) {
    const CallResult woken = Hypervisor().Yield(0);
    NOM_CHECK(woken.ok() && woken.value == NOM_WAKE_SIGNAL, woken.value);
    shared.told[self].fetch_add(1);
  }
}

// Has its own registers: whatever another one has in them, it finds what it put there.
void Counter(void*) {
  const uint64_t self = Self();
  uint64_t mine = self << 32;
  while (shared.stop.load() == 0) {
    asm volatile("movq %0, %%r12; pause; incq %%r12; movq %%r12, %0" : "+r"(mine) : : "r12");
    shared.steps[self].store(mine - (self << 32));
  }
  NOM_CHECK(mine >> 32 == self);
}

void Halter(void*) {
  // What comes before it halts is not slept through.
  while (shared.stop.load() == 0) {
    asm volatile("sti; hlt; cli" ::: "memory");
    shared.steps[Self()].fetch_add(1);
  }
}

// Writes to one frame as fast as it can, until that is gone.
void Writer(void*) {
  volatile uint64_t* const frame = PointerTo<uint64_t>((seed_frames - 1) * NOM_FRAME_BYTES);
  for (;;) {
    asm goto("1: incq (%0)\n2:" NOM_FIXUP(gone) : : "r"(frame) : "memory", "cc" : gone);
    shared.writes.store(shared.writes.load(std::memory_order_relaxed) + 1);
  }
gone:
  shared.faults.fetch_add(1);
}

void StopAll() {
  shared.stop.store(1);
  for (uint32_t i = 1; i < processors; ++i) (void)Hypervisor().Signal(i, kVector);
  // One that has stopped is not told any more.
  for (uint32_t i = 1; i < processors; ++i) {
    WaitFor("a processor stops",
            [&] { return Hypervisor().Signal(i, kVector).status == NOM_STATUS_BAD_STATE; });
  }
  shared.stop.store(0);
}

void CheckAll() {
  Nomhv& nomhv = Hypervisor();
  NOM_CHECK(Self() == 0);
  const auto status = [](const CallResult& result) { return result.status; };
  const uint64_t none = processors;
  NOM_CHECK(status(nomhv.StartProcessor(none, 0, 0)) == NOM_STATUS_BAD_PARAMETER);
  NOM_CHECK(status(nomhv.StartProcessor(~uint64_t{0}, 0, 0)) == NOM_STATUS_BAD_PARAMETER);
  NOM_CHECK(status(nomhv.StartProcessor(uint64_t{1} << 32, 0, 0)) == NOM_STATUS_BAD_PARAMETER);
  NOM_CHECK(status(nomhv.StartProcessor(0, 0, 0)) == NOM_STATUS_BAD_STATE, "itself");
  NOM_CHECK(status(nomhv.Signal(none, 0)) == NOM_STATUS_BAD_PARAMETER);
  NOM_CHECK(status(nomhv.Signal(1, 31)) == NOM_STATUS_BAD_PARAMETER);
  NOM_CHECK(status(nomhv.Signal(1, 256)) == NOM_STATUS_BAD_PARAMETER);
  NOM_CHECK(status(nomhv.Signal(1, 0)) == NOM_STATUS_BAD_STATE, "it does not run");

  for (uint32_t i = 1; i < processors; ++i) Run(i, Counter);
  for (uint32_t i = 1; i < processors; ++i) {
    WaitFor("each counts", [&] { return shared.steps[i].load() > 1000; });
    NOM_CHECK(status(nomhv.StartProcessor(i, 0, 0)) == NOM_STATUS_BAD_STATE, "started twice");
  }
  StopAll();

  // Each is told for itself, and once for each time that it looks.
  for (uint32_t i = 1; i < processors; ++i) Run(i, Sleeper);
  for (uint32_t i = 1; i < processors; ++i) {
    for (uint64_t n = 1; n <= 20; ++n) {
      NOM_CHECK(nomhv.Signal(i).ok());
      WaitFor("a signal wakes", [&] { return shared.told[i].load() >= n; });
    }
    for (uint32_t k = i + 1; k < processors; ++k) NOM_CHECK(shared.told[k].load() == 0, "not told");
  }
  StopAll();

  // And interrupted: a halted one wakes only for that, and the higher vector comes first.
  SetInterruptHandler(kVector, [] {
    if (shared.high.load() > shared.low.load()) shared.low_after_high.fetch_add(1);
    shared.low.fetch_add(1);
  });
  SetInterruptHandler(kHighVector, [] { shared.high.fetch_add(1); });
  for (uint32_t i = 1; i < processors; ++i) {
    shared.steps[i].store(0);
    Run(i, Halter);
    for (uint64_t n = 1; n <= 20; ++n) {
      NOM_CHECK(nomhv.Signal(i, kVector).ok());
      WaitFor("an interrupt wakes", [&] { return shared.steps[i].load() >= n; });
    }
  }
  NOM_CHECK(shared.low.load() == 20 * (processors - 1), shared.low.load());
  StopAll();
  // To itself: both are due when interrupts go on.
  shared.low.store(0);
  NOM_CHECK(nomhv.Signal(0, kVector).ok() && nomhv.Signal(0, kHighVector).ok());
  NOM_CHECK(nomhv.Signal(0, kVector).ok(), "still one");
  asm volatile("sti; nop; nop; cli" ::: "memory");
  NOM_CHECK(shared.low.load() == 1 && shared.high.load() == 1 && shared.low_after_high.load() == 1,
            shared.low.load(), " ", shared.high.load(), " ", shared.low_after_high.load());
  const CallResult woken = nomhv.Yield(0);
  NOM_CHECK(woken.ok() && woken.value == NOM_WAKE_SIGNAL, woken.value);
}

// What a writer on another processor still reaches after the frame was given back would be written
// into whoever has it next.
void CheckRelease() {
  Nomhv& nomhv = Hypervisor();
  const uint64_t frame = seed_frames - 1;
  for (uint64_t round = 1; round <= 50; ++round) {
    shared.faults.store(0);
    for (uint32_t i = 1; i < processors; ++i) Run(i, Writer);
    const uint64_t before = shared.writes.load();
    WaitFor("they write", [&] { return shared.writes.load() > before + 10'000; });
    NOM_CHECK(nomhv.Release(frame, 1).ok());
    const uint64_t after = shared.writes.load();
    // Each may have written before, and not have counted it yet.
    const uint64_t until = nomhv.Tsc() + 200'000;
    while (nomhv.Tsc() < until) asm volatile("pause");
    NOM_CHECK(shared.writes.load() <= after + processors, "written ", shared.writes.load() - after,
              " times after it was gone, round ", round);
    for (uint32_t i = 1; i < processors; ++i) {
      WaitFor("they fault", [&] { return nomhv.Signal(i).status == NOM_STATUS_BAD_STATE; });
    }
    NOM_CHECK(shared.faults.load() == processors - 1, shared.faults.load());
    NOM_CHECK(nomhv.Acquire(frame, 1).ok());
    NOM_CHECK(TouchRead(frame * NOM_FRAME_BYTES) == 0);
    NOM_CHECK(*PointerTo<volatile uint64_t>(frame * NOM_FRAME_BYTES) == 0, "not zero");
  }
}

// Each as fast as it can, each another mixture of what others of the same guest must wait for.
void Stormer(void*) {
  Nomhv& nomhv = Hypervisor();
  const uint64_t self = Self();
  const uint64_t mine = seed_frames - 8 * (self + 1);
  while (shared.all_run.load() == 0) asm volatile("pause");
  for (uint64_t n = 0;; ++n) {
    switch ((n + self) % 5) {
      case 0:
        (void)nomhv.Release(mine, 1 + n % 8);
        break;
      case 1:
        for (uint64_t k = 0; k < 8; ++k) (void)nomhv.Acquire(mine + k, 1);
        break;
      case 2:
        (void)nomhv.Signal((self + n) % processors, n % 3 == 0 ? kVector : 0);
        break;
      case 3:
        (void)nomhv.StartProcessor(n % (processors + 1), 0, 0);
        break;
      default:
        // An offer that nobody accepts, and its end.
        if (const CallResult region = nomhv.Offer(1 << 20, 1, self); region.ok()) {
          (void)nomhv.Leave(region.value);
        }
        (void)nomhv.Yield(nomhv.Tsc() + n % 50 * 1000);
    }
  }
}

void Passer(void*) {
  const uint64_t self = Self();
  for (uint64_t n = 0;; ++n) {
    // Interrupts are off: as many as there are stay pending.
    (void)Hypervisor().Signal((self + 1) % processors, 32 + n % 224);
    if (n % 8 != 0) continue;
    (void)Hypervisor().Yield(Hypervisor().Tsc() + 20'000);
  }
}

void Spinner(void*) {
  for (;;) asm volatile("pause");
}

}  // namespace
}  // namespace nom::guest::tests

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;         // NOLINT(google-build-using-namespace)
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  static constexpr std::string_view kThen[] = {"end", "release", "spin", "storm", "sleep"};
  int64_t then = 0;
  const Argument known[] = {{"then", &then, 0, 0, kThen}};
  const auto error = ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());
  processors = start.virtual_processors;
  seed_frames = start.seed_frames;
  NOM_CHECK(processors > 1 && processors <= kMost, processors);
  if (then == 0) {
    CheckAll();
    return 0;
  }
  if (then == 1) {
    CheckRelease();
    return 0;
  }
  void (*const bodies[])(void*) = {nullptr, nullptr, Spinner, Stormer, Passer};
  for (uint32_t i = 1; i < processors; ++i) Run(i, bodies[then]);
  shared.all_run.store(1);
  if (then == 2) Spinner(nullptr);
  if (then == 4) Passer(nullptr);
  BidPage page(BidPageOfGuest());
  const Clock clock(&Hypervisor(), start.tsc_hz);
  for (uint64_t n = 1;; ++n) {
    page.Say({.work_done = n, .work_unit = "rounds"});
    (void)clock.SleepUs(1000);
  }
}
