// SPDX-License-Identifier: Apache-2.0
// Being told that a grant will change: by looking, or by an interrupt (x86/interrupts.h).

#ifndef CLIENT_GUEST_NOTICE_H_
#define CLIENT_GUEST_NOTICE_H_

#include <cstdint>
#include <optional>

#include "nomhv/abi/board.h"

namespace nom::guest {

struct Notice {
  uint64_t sequence = 0;
  uint64_t round_id = 0;
  uint64_t deadline_tsc = 0;  // What is not given back by then is taken.
  uint64_t frames_now = 0;
  uint64_t frames_next = 0;
  uint64_t millicores_now = 0;
  uint64_t millicores_next = 0;
};

// Turns board copies into notices, each told once. Of several that came between two looks only the
// last is told: it says all that still holds.
class NoticeReader {
 public:
  std::optional<Notice> Look(const NomGuestBoard& board) {
    if (board.magic != NOM_GUEST_BOARD_MAGIC || board.notice_sequence == last_sequence_ ||
        board.deadline_tsc == 0) {
      return std::nullopt;
    }
    last_sequence_ = board.notice_sequence;
    return Notice{.sequence = board.notice_sequence,
                  .round_id = board.notice_round_id,
                  .deadline_tsc = board.deadline_tsc,
                  .frames_now = board.frames_granted,
                  .frames_next = board.frames_next,
                  .millicores_now = board.millicores_granted,
                  .millicores_next = board.millicores_next};
  }

 private:
  uint64_t last_sequence_ = 0;
};

}  // namespace nom::guest

#endif  // CLIENT_GUEST_NOTICE_H_
