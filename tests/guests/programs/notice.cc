// SPDX-License-Identifier: Apache-2.0
// Claims: an interrupt that is due when the guest turns interrupts on is not slept through
// (`sti; vmmcall`); a notice comes as the interrupt that the guest chose, wakes it from a YIELD
// without a deadline, and finds the board telling what will be taken and when. Gives it back and
// ends with 0 once it is at `frames`. Arguments: frames (what it is to be shrunk to).
// Tells on the bid page: work_done = the notices that it is ready for.

#include "client/guest/notice.h"

#include "client/guest/arguments.h"
#include "client/guest/bid_page.h"
#include "client/guest/board.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

namespace {
volatile uint64_t interrupts = 0;
void OnNotice() { interrupts = interrupts + 1; }
}  // namespace

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;  // NOLINT(google-build-using-namespace)
  int64_t frames = 0;
  const Argument known[] = {{"frames", &frames, 1, 1 << 20}};
  const auto error = ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());
  NOM_CHECK(EnableNoticeInterrupt(77, OnNotice));
  static NomGuestBoard board;
  NoticeReader reader;
  // The first notice comes while interrupts are off: YIELD answers it, and its interrupt stays due.
  DisableInterrupts();
  BidPage page(BidPageOfGuest());
  page.Say({.work_done = 1});
  const CallResult first = Hypervisor().Yield(0);
  NOM_CHECK(first.ok() && first.value == NOM_WAKE_NOTICE, first.value);
  NOM_CHECK(interrupts == 0, "an interrupt while they were off");
  uint64_t status = NOM_CALL_YIELD;
  uint64_t wake = 0;
  // STI holds interrupts off until the instruction after it has ended.
  asm volatile("sti; vmmcall"
               : "+a"(status), "=d"(wake)
               : "D"(uint64_t{0}), "S"(uint64_t{0})
               : "memory");
  NOM_CHECK(status == NOM_STATUS_OK && wake == NOM_WAKE_INTERRUPT, status, " ", wake);
  NOM_CHECK(interrupts == 1, interrupts);
  uint64_t looked = interrupts;  // How many had come at the last look.
  page.Say({.work_done = 2});
  for (;;) {
    const CallResult woken = Hypervisor().Yield(0);
    NOM_CHECK(woken.ok());
    NOM_CHECK(woken.value == NOM_WAKE_NOTICE || woken.value == NOM_WAKE_INTERRUPT, woken.value);
    NOM_CHECK(CopyBoard(GuestBoardPage(), &board));
    const auto notice = reader.Look(board);
    if (!notice.has_value()) continue;
    NOM_CHECK(interrupts > looked, "a notice came without its interrupt");
    looked = interrupts;
    if (notice->frames_next >= notice->frames_now) continue;
    NOM_CHECK(notice->frames_next == static_cast<uint64_t>(frames), notice->frames_next);
    NOM_CHECK(notice->deadline_tsc > Hypervisor().Tsc(), "told after the deadline");
    const uint64_t excess = notice->frames_now - notice->frames_next;
    NOM_CHECK(Hypervisor().Release(start.seed_frames, excess).ok());
    // Outlives the deadline, to see that nothing more is taken.
    while (Hypervisor().Query(NOM_QUERY_FRAMES_GRANTED).value != static_cast<uint64_t>(frames)) {
      (void)Hypervisor().Yield(Hypervisor().Tsc() + start.tsc_hz / 1000);
    }
    NOM_CHECK(Hypervisor().Query(NOM_QUERY_FRAMES_HELD).value == static_cast<uint64_t>(frames));
    NOM_CHECK(Hypervisor().Query(NOM_QUERY_NEXT_HELD, start.seed_frames).value ==
              start.seed_frames + excess);
    return 0;
  }
}
