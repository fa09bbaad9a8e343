// SPDX-License-Identifier: Apache-2.0
// Claim: vector registers are a guest's own. Finds them clear at the start, fills them with its
// pattern, and finds them unchanged however often it is switched out. Ends with 0 after `rounds`,
// or with 3 if nomhv does not let guests use them at all. Arguments: rounds.

#include "client/guest/arguments.h"
#include "client/guest/clock.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

namespace {

struct alignas(16) Registers {
  uint64_t words[32];
};

void Load(const Registers& r) {
#define LOAD(n) asm volatile("movdqa %0, %%xmm" #n ::"m"(r.words[2 * (n)]), "m"(r))
  LOAD(0);
  LOAD(1);
  LOAD(2);
  LOAD(3);
  LOAD(4);
  LOAD(5);
  LOAD(6);
  LOAD(7);
  LOAD(8);
  LOAD(9);
  LOAD(10);
  LOAD(11);
  LOAD(12);
  LOAD(13);
  LOAD(14);
  LOAD(15);
#undef LOAD
}

void Save(Registers& r) {
#define SAVE(n) asm volatile("movdqa %%xmm" #n ", %0" : "=m"(r.words[2 * (n)]), "+m"(r))
  SAVE(0);
  SAVE(1);
  SAVE(2);
  SAVE(3);
  SAVE(4);
  SAVE(5);
  SAVE(6);
  SAVE(7);
  SAVE(8);
  SAVE(9);
  SAVE(10);
  SAVE(11);
  SAVE(12);
  SAVE(13);
  SAVE(14);
  SAVE(15);
#undef SAVE
}

}  // namespace

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;         // NOLINT(google-build-using-namespace)
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  int64_t rounds = 100;
  const Argument known[] = {{"rounds", &rounds, 1, 1'000'000'000}};
  const auto error = ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());
  ExpectFaults();
  // CR0: EM and TS clear, MP set; CR4: OSFXSR and OSXMMEXCPT.
  if (NOM_TRY("movq %%cr0, %%rax; andq $~0xc, %%rax; orq $2, %%rax; movq %%rax, %%cr0;"
              "movq %%cr4, %%rax; orq $0x600, %%rax; movq %%rax, %%cr4; pxor %%xmm15, %%xmm15",
              "i"(0)) != 0) {
    return 3;
  }
  static Registers mine;
  static Registers found;
  Save(found);
  for (const uint64_t word : found.words) NOM_CHECK(word == 0, "at the start: ", Hex{word});
  for (uint64_t i = 0; i < 32; ++i) mine.words[i] = 0x7665630000000000 + (start.guest_id << 32) + i;
  Clock clock(&Hypervisor(), start.tsc_hz);
  for (int64_t round = 0; round < rounds; ++round) {
    Load(mine);
    // Long enough for others to run: half of the rounds by sleeping, half by being preempted.
    if (round % 2 == 0) {
      (void)clock.SleepUs(500);
    } else {
      const uint64_t end = clock.Tsc() + clock.ToTicks(2000);
      while (clock.Tsc() < end) asm volatile("pause");
    }
    Save(found);
    for (uint64_t i = 0; i < 32; ++i) {
      NOM_CHECK(found.words[i] == mine.words[i], "round ", round, " word ", i, ": ",
                Hex{found.words[i]});
    }
  }
  return 0;
}
