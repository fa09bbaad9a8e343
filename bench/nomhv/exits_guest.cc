// SPDX-License-Identifier: Apache-2.0
// What leaving a guest costs: run under -icount, where one TSC tick is one instruction, this counts
// the instructions of nomhv's paths. Each figure is the median of kSeries series, less the loop's
// own cost.

#include <algorithm>
#include <array>

#include "client/guest/calls.h"
#include "client/guest/console.h"
#include "client/guest/ring.h"
#include "client/guest/start.h"

namespace {

using nom::guest::Console;
using nom::guest::Hypervisor;
using nom::guest::Nomhv;

constexpr int kSeries = 5;
constexpr uint64_t kRounds = 2000;

template <typename Work>
uint64_t TicksPerRound(Work work) {
  std::array<uint64_t, kSeries> series{};
  for (uint64_t& ticks : series) {
    const uint64_t start = Hypervisor().Tsc();
    for (uint64_t i = 0; i < kRounds; ++i) work();
    ticks = (Hypervisor().Tsc() - start) / kRounds;
  }
  std::sort(series.begin(), series.end());
  return series[kSeries / 2];
}

void Cpuid() {
  uint32_t a = 0, b = 0, c = 0, d = 0;
  asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
}

// A message over a ring, each side for itself: both ends are here, in memory that nobody shares, as
// the instructions are the same.
void Ring(Console& console) {
  alignas(NOM_FRAME_BYTES) static std::byte memory[2 * NOM_FRAME_BYTES];
  constexpr uint64_t kMessages = 32;
  auto* const ring = reinterpret_cast<nom::guest::RingMemory*>(memory);
  nom::guest::RingSender sender(ring, sizeof(memory));
  nom::guest::RingReceiver receiver(ring, sizeof(memory));
  nom::guest::Message message;
  uint64_t send = ~uint64_t{0};
  uint64_t receive = ~uint64_t{0};
  for (int batch = 0; batch < 100; ++batch) {
    const uint64_t start = Hypervisor().Tsc();
    for (uint64_t i = 0; i < kMessages; ++i) (void)sender.Send(message);
    const uint64_t sent = Hypervisor().Tsc();
    for (uint64_t i = 0; i < kMessages; ++i) (void)receiver.Receive(&message);
    send = std::min(send, (sent - start) / kMessages);
    receive = std::min(receive, (Hypervisor().Tsc() - sent) / kMessages);
  }
  console.Line("bench ring-send ", send);
  console.Line("bench ring-receive ", receive);
}

// Two guests that share a processor and give it to each other all the time: of each round, a half.
int Switch(Nomhv& nomhv) {
  constexpr int kBatches = 400;
  constexpr int kYields = 20;
  // Far enough that the call does not answer at once, and past before the other one is back.
  constexpr uint64_t kNap = 180;
  uint64_t least = ~uint64_t{0};
  for (int batch = 0; batch < kBatches; ++batch) {
    const uint64_t start = nomhv.Tsc();
    for (int i = 0; i < kYields; ++i) (void)nomhv.Yield(nomhv.Tsc() + kNap);
    least = std::min(least, (nomhv.Tsc() - start) / kYields / 2);
  }
  Console(&nomhv).Line("bench switch ", least);
  return 0;
}

}  // namespace

int GuestMain(const nom::guest::Start& start) {
  Nomhv& nomhv = Hypervisor();
  if (start.arguments == "switch") return Switch(nomhv);
  Console console(&nomhv);
  const uint64_t frame = start.seed_frames - 1;
  const uint64_t loop = TicksPerRound([] { asm volatile(""); });
  const auto line = [&](const char* what, uint64_t ticks) {
    console.Line("bench ", what, " ", ticks - std::min(ticks, loop));
  };
  line("call", TicksPerRound([&] { (void)nomhv.Query(NOM_QUERY_ABI_VERSION); }));
  line("cpuid", TicksPerRound([] { Cpuid(); }));
  line("release-acquire", TicksPerRound([&] {
         (void)nomhv.Release(frame, 1);
         (void)nomhv.Acquire(frame, 1);
       }));
  // A frame that is given back and taken again, of 64 at a time, less its zeroing.
  constexpr uint64_t kMany = 64;
  constexpr uint64_t kZeroing = NOM_FRAME_BYTES / 8;  // rep stosq, a word an instruction.
  const uint64_t many = frame + 1 - kMany;
  const uint64_t moved = TicksPerRound([&] {
    (void)nomhv.Release(many, kMany);
    (void)nomhv.Acquire(many, kMany);
  });
  line("hand-over", moved / kMany - kZeroing);
  Ring(console);
  // A hole: nested page fault, #GP into the guest, the guest's handler.
  (void)nomhv.Release(frame, 1);
  uint64_t word = 0;
  line("hole-fault", TicksPerRound([&] {
         (void)nomhv.TryCopy(&word, reinterpret_cast<const void*>(frame * NOM_FRAME_BYTES),
                             sizeof(word));
       }));
  const auto held = nomhv.Acquire(frame, 1);
  return held.ok() ? 0 : 1;
}
