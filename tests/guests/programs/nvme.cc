// SPDX-License-Identifier: Apache-2.0
// Claims: a guest drives an NVMe function that it holds by itself: what it writes is what it reads,
// several requests at a time, without an exit.
// Arguments: seed (of what is written), rounds (0: for ever), interrupts = 1 (sleeps until the
// function interrupts it, instead of polling), then = end, or lose (after its rounds it lets the
// function be, and ends with 0 if it has lost it and not one interrupt comes for a while). Tells
// its rounds on the bid page; ends with 0.

#include "client/guest/nvme.h"

#include <cstring>

#include "client/guest/arguments.h"
#include "client/guest/bid_page.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

namespace {
constexpr uint64_t kPages = 8;
constexpr uint64_t kPatienceUs = 1'000'000;  // Far more than an answer takes.
constexpr uint64_t kWords = NOM_FRAME_BYTES / 8;
alignas(NOM_FRAME_BYTES) uint64_t pages[kPages][kWords];
nom::guest::Nvme::Queues queues;
constexpr uint32_t kAnswers = 1;  // The interrupt of reads and writes; 0 is the admin queue's.
constexpr uint8_t kVector = 90;
volatile uint64_t interrupted = 0;

// Whoever writes there says what the function interrupts, and with what (PCI Local Bus 3.0, 6.8.2).
uint64_t TableOfInterrupts(const nom::guest::Device& device) {
  const uint8_t* const config = device.facts().config;
  uint8_t at = config[0x34] & 0xfc;
  while (at >= 0x40 && config[at] != 0x11) at = config[at + 1] & 0xfc;
  NOM_CHECK(at >= 0x40, "no MSI-X");
  uint32_t place = 0;
  std::memcpy(&place, config + at + 4, sizeof(place));
  return NOM_GPA_DEVICES + device.number() * NOM_DEVICE_PLACE_BYTES +
         device.facts().bar_offset[place & 7] + (place & ~7u);
}
}  // namespace

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;  // NOLINT(google-build-using-namespace)
  int64_t seed = 1;
  int64_t rounds = 0;
  int64_t interrupts = 0;
  int64_t then = 0;
  static constexpr std::string_view kThen[] = {"end", "lose"};
  const Argument known[] = {{"seed", &seed, 0, 1 << 30},
                            {"rounds", &rounds, 0, 1 << 30},
                            {"interrupts", &interrupts, 0, 1},
                            {"then", &then, 0, 0, kThen}};
  const auto error = ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());
  const Clock clock(&Hypervisor(), start.tsc_hz);
  BidPage page(BidPageOfGuest());
  static NomGuestBoard board;
  std::optional<Device> found;
  while (!found.has_value()) {
    (void)clock.SleepUs(1000);
    NOM_CHECK(CopyBoard(GuestBoardPage(), &board));
    found = FindDevice(*DeviceBoardPage(), board, Nvme::Fits);
  }
  Nvme nvme(*found, clock, &queues);
  Nomhv& nomhv = Hypervisor();
  if (interrupts != 0) {
    const uint32_t device = found->number();
    const uint64_t count = DeviceBoardPage()->interrupts[device];
    NOM_CHECK(count > kAnswers, count);
    NOM_CHECK(nomhv.Route(device, count, kVector).status == NOM_STATUS_BAD_PARAMETER);
    NOM_CHECK(nomhv.Route(device, 0, 31).status == NOM_STATUS_BAD_PARAMETER);
    NOM_CHECK(nomhv.Route(NOM_DEVICES_MAX, 0, kVector).status == NOM_STATUS_NOT_HELD);
    NOM_CHECK(nomhv.Route(~uint64_t{0}, 0, kVector).status == NOM_STATUS_NOT_HELD);
    NOM_CHECK(nomhv.Route(device + 1, 0, kVector).status == NOM_STATUS_NOT_HELD);
    tests::ExpectFaults();
    for (const uint64_t at : {uint64_t{0}, uint64_t{16}, uint64_t{NOM_FRAME_BYTES} - 8}) {
      const uint64_t entry = TableOfInterrupts(*found) + at;
      NOM_CHECK(tests::TouchRead(entry) == kVectorGeneralProtection, "its table can be read");
      NOM_CHECK(tests::TouchWrite(entry, 0) == kVectorGeneralProtection,
                "its table can be written");
    }
    SetInterruptHandler(kVector, [] { interrupted = interrupted + 1; });
    NOM_CHECK(nomhv.Route(device, 0, kVector).ok() && nomhv.Route(device, kAnswers, kVector).ok());
  }
  NOM_CHECK(nvme.Open(interrupts != 0 ? kAnswers : 0), "the controller does not come up");
  const uint64_t step = NOM_FRAME_BYTES / nvme.block_bytes();
  NOM_CHECK(nvme.blocks() >= 64 * step, nvme.blocks());

  const auto word = [&](uint64_t round, uint64_t number, uint64_t i) {
    return static_cast<uint64_t>(seed) << 48 ^ round << 24 ^ number << 12 ^ i;
  };
  const auto all = [&](auto&& submit) {
    for (uint64_t i = 0; i < kPages; ++i) NOM_CHECK(submit(i), "request ", i, " is refused");
    uint64_t patience = clock.Tsc() + clock.ToTicks(kPatienceUs);
    for (uint64_t done = 0; done < kPages;) {
      const std::optional<Nvme::Answer> answer = nvme.Poll();
      if (!answer.has_value()) {
        if (clock.Tsc() < patience) {
          // Until the interrupt: were there none, it would look again only when patience ends.
          if (interrupts != 0) SleepUntilInterrupt(patience);
          continue;
        }
        NOM_CHECK(interrupts == 0, "no interrupt came");
        NOM_CHECK(nvme.IsReady(), "the controller has stopped");
        patience = clock.Tsc() + clock.ToTicks(kPatienceUs);
        continue;
      }
      NOM_CHECK(answer->ok && answer->id < kPages, answer->id);
      ++done;
    }
  };
  for (uint64_t round = 1; rounds == 0 || round <= static_cast<uint64_t>(rounds); ++round) {
    const uint64_t first = round * kPages % 56;
    for (uint64_t p = 0; p < kPages; ++p) {
      for (uint64_t i = 0; i < kWords; ++i) pages[p][i] = word(round, p, i);
    }
    all([&](uint64_t i) {
      return nvme.Write((first + i) * step, pages[i], static_cast<uint16_t>(i));
    });
    for (auto& p : pages) {
      for (uint64_t& w : p) w = 0;
    }
    all([&](uint64_t i) {
      return nvme.Read((first + i) * step, pages[i], static_cast<uint16_t>(i));
    });
    for (uint64_t p = 0; p < kPages; ++p) {
      for (uint64_t i = 0; i < kWords; ++i) {
        NOM_CHECK(pages[p][i] == word(round, p, i), "page ", p, " word ", i, " is ",
                  Hex{pages[p][i]});
      }
    }
    page.Say({.work_done = round, .work_unit = "rounds"});
    // What was found before it was waited for has interrupted, too.
    if (interrupts != 0) asm volatile("sti; nop; cli" ::: "memory");
    NOM_CHECK(interrupts == 0 || interrupted >= round, "answers came without interrupts");
  }
  if (then == 0) return 0;
  while (CopyBoard(GuestBoardPage(), &board) && board.devices != 0) (void)clock.SleepUs(1000);
  const uint64_t before = interrupted;
  EnableInterrupts();
  NOM_CHECK(nomhv.Route(found->number(), kAnswers, kVector).status == NOM_STATUS_NOT_HELD);
  for (int i = 0; i < 500; ++i) (void)clock.SleepUs(1000);
  NOM_CHECK(interrupted == before, interrupted - before, " interrupts of a function that is gone");
  return 0;
}
