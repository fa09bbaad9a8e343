// SPDX-License-Identifier: Apache-2.0
// Claims: a guest drives an NVMe function that it holds by itself: what it writes is what it reads,
// several requests at a time, without an exit.
// Arguments: seed (of what is written), rounds (0: for ever). Tells its rounds on the bid page;
// ends with 0.

#include "client/guest/nvme.h"

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
}  // namespace

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;  // NOLINT(google-build-using-namespace)
  int64_t seed = 1;
  int64_t rounds = 0;
  const Argument known[] = {{"seed", &seed, 0, 1 << 30}, {"rounds", &rounds, 0, 1 << 30}};
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
  NOM_CHECK(nvme.Open(), "the controller does not come up");
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
        if (clock.Tsc() < patience) continue;
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
  }
  return 0;
}
