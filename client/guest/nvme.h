// SPDX-License-Identifier: Apache-2.0
// An NVMe function that the guest holds: blocks read and written without an exit (NVM Express Base
// Specification 1.4; sections are named). One queue pair, polled or by interrupt; up to kDepth
// requests at a time. What the controller answers is checked: it is a stranger's device.

#ifndef CLIENT_GUEST_NVME_H_
#define CLIENT_GUEST_NVME_H_

#include <cstdint>
#include <optional>

#include "client/guest/clock.h"
#include "client/guest/device.h"

namespace nom::guest {

// One thread.
class Nvme {
 public:
  static constexpr uint32_t kDepth = 16;

  // Queues and the room for what is asked at the start, as the controller sees them.
  struct Queues {
    struct Command {
      uint32_t opcode_and_id;
      uint32_t name_space;
      uint64_t reserved[2];
      uint64_t data[2];  // Pages.
      uint32_t words[6];
    };
    struct Completion {
      uint32_t result;
      uint32_t reserved;
      uint16_t head;
      uint16_t queue;
      uint16_t id;
      uint16_t status;  // Bit 0 changes with each round.
    };
    alignas(NOM_FRAME_BYTES) Command admin_commands[kDepth];
    alignas(NOM_FRAME_BYTES) Completion admin_completions[kDepth];
    alignas(NOM_FRAME_BYTES) Command commands[kDepth];
    alignas(NOM_FRAME_BYTES) Completion completions[kDepth];
    alignas(NOM_FRAME_BYTES) uint8_t identity[NOM_FRAME_BYTES];
  };

  // Whether the function is one (class 01.08.02).
  static bool Fits(const NomDevice& facts) {
    return facts.config[11] == 1 && facts.config[10] == 8 && facts.config[9] == 2;
  }

  // `queues` are zero, held for as long as this lives, and nobody else's.
  Nvme(const Device& device, const Clock& clock, Queues* queues)
      : device_(device), clock_(clock), queues_(queues) {}

  // Brings the controller up. False if it does not answer in time, or is not what is expected here:
  // a first name space with blocks of 512 or 4096 bytes.
  // With `interrupt` above 0 answers to reads and writes raise that interrupt of the function.
  [[nodiscard]] bool Open(uint32_t interrupt = 0);

  uint64_t blocks() const { return blocks_; }
  uint32_t block_bytes() const { return block_bytes_; }

  // Asks for the blocks of one page, from `block` on, to be read to `page` or written from it; it
  // is page-aligned and held until the answer. False: kDepth - 1 are under way. `id` comes back.
  [[nodiscard]] bool Read(uint64_t block, void* page, uint16_t id) {
    return Submit(kRead, block, page, id);
  }
  [[nodiscard]] bool Write(uint64_t block, const void* page, uint16_t id) {
    return Submit(kWrite, block, page, id);
  }

  struct Answer {
    uint16_t id = 0;
    bool ok = false;
  };
  // What has been done since the last look, one at a time.
  std::optional<Answer> Poll();
  // Whether the controller works. For whoever polls in vain: memory does not tell of a function
  // that was taken away with requests under way, but this looks at its registers, which is a fault
  // then.
  bool IsReady() const { return (device_.Read<uint32_t>(0, kStatusRegister) & 1) != 0; }

 private:
  static constexpr uint64_t kStatusRegister = 0x1C;
  static constexpr uint32_t kWrite = 1;
  static constexpr uint32_t kRead = 2;

  // One end of a queue pair: 0 is the admin's, 1 the blocks'.
  struct Pair {
    Queues::Command* commands;
    Queues::Completion* completions;
    uint32_t number;
    uint32_t tail = 0;
    uint32_t head = 0;
    uint16_t phase = 1;
    uint32_t under_way = 0;
  };

  bool Submit(uint32_t opcode, uint64_t block, const void* page, uint16_t id);
  void Push(Pair* pair, const Queues::Command& command);
  std::optional<Answer> Pop(Pair* pair);
  [[nodiscard]] bool Admin(Queues::Command command);
  [[nodiscard]] bool WaitReady(uint32_t ready);
  uint64_t Doorbell(const Pair& pair, bool completion) const {
    return 0x1000 + (2 * pair.number + (completion ? 1 : 0)) * uint64_t{stride_};
  }

  Device device_;
  Clock clock_;
  Queues* queues_;
  Pair admin_{queues_->admin_commands, queues_->admin_completions, 0};
  Pair io_{queues_->commands, queues_->completions, 1};
  uint32_t stride_ = 4;
  uint64_t blocks_ = 0;
  uint32_t block_bytes_ = 0;
};

}  // namespace nom::guest

#endif  // CLIENT_GUEST_NVME_H_
