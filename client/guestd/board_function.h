// SPDX-License-Identifier: Apache-2.0
// The board function that nomhv shows a PC on its PCI bus: boards in BAR 0, the doorbell in BAR 1.

#ifndef CLIENT_GUESTD_BOARD_FUNCTION_H_
#define CLIENT_GUESTD_BOARD_FUNCTION_H_

#include <memory>
#include <string>

#include "client/guestd/balloon.h"

namespace nom::guestd {

// One thread: a request and its answer are two accesses.
class BoardFunction final : public Doorbell {
 public:
  // The function 4e4d:0001 of those below `devices`, as in /sys/bus/pci/devices; a folder each.
  // NOT_FOUND: this is no guest of nomhv. FAILED_PRECONDITION: no doorbell, or another ABI.
  static absl::StatusOr<std::unique_ptr<BoardFunction>> Open(const std::string& devices);
  ~BoardFunction() override;

  // False if nomhv was writing all the time.
  bool Read(NomGuestBoard* board) const;

  NomStatus Release(uint64_t address) override;
  NomStatus Acquire(uint64_t address) override;
  uint64_t window_frames() override;

 private:
  BoardFunction(const void* boards, volatile uint64_t* registers)
      : boards_(boards), registers_(registers) {}
  NomStatus Ask(uint32_t what, uint64_t address);

  const void* const boards_;
  volatile uint64_t* const registers_;
};

}  // namespace nom::guestd

#endif  // CLIENT_GUESTD_BOARD_FUNCTION_H_
