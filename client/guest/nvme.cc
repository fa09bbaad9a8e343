// SPDX-License-Identifier: Apache-2.0
#include "client/guest/nvme.h"

#include <cstring>

namespace nom::guest {
namespace {

// Registers of BAR 0 (3.1).
constexpr uint64_t kCapabilities = 0x00;
constexpr uint64_t kConfiguration = 0x14;
constexpr uint64_t kAdminQueueAttributes = 0x24;
constexpr uint64_t kAdminSubmissions = 0x28;
constexpr uint64_t kAdminCompletions = 0x30;

constexpr uint32_t kEnable = 1;
constexpr uint32_t kEntrySizes = 6u << 16 | 4u << 20;  // 64 and 16 bytes.
constexpr uint32_t kReady = 1;
constexpr uint32_t kFatal = 2;

// Admin commands (5).
constexpr uint32_t kCreateSubmissions = 0x01;
constexpr uint32_t kCreateCompletions = 0x05;
constexpr uint32_t kIdentify = 0x06;
constexpr uint32_t kContiguous = 1;
constexpr uint32_t kInterrupts = 2;  // Of a completion queue; which, above.

constexpr uint64_t kPatienceUs = 10'000'000;

static_assert(sizeof(Nvme::Queues::Command) == 64);
static_assert(sizeof(Nvme::Queues::Completion) == 16);

}  // namespace

bool Nvme::WaitReady(uint32_t ready) {
  const uint64_t give_up = clock_.Tsc() + clock_.ToTicks(kPatienceUs);
  for (;;) {
    const auto status = device_.Read<uint32_t>(0, kStatusRegister);
    if ((status & kReady) == ready) return true;
    if ((status & kFatal) != 0 || clock_.Tsc() > give_up) return false;
    (void)clock_.SleepUs(100);
  }
}

void Nvme::Push(Pair* pair, const Queues::Command& command) {
  pair->commands[pair->tail] = command;
  pair->tail = (pair->tail + 1) % kDepth;
  ++pair->under_way;
  device_.Write<uint32_t>(0, Doorbell(*pair, false), pair->tail);
}

std::optional<Nvme::Answer> Nvme::Pop(Pair* pair) {
  const volatile Queues::Completion& entry = pair->completions[pair->head];
  const uint16_t status = entry.status;
  // One more than was asked for is the controller's lie: it is not looked at.
  if ((status & 1) != pair->phase || pair->under_way == 0) return std::nullopt;
  asm volatile("" ::: "memory");
  const Answer answer = {entry.id, status >> 1 == 0};
  pair->head = (pair->head + 1) % kDepth;
  if (pair->head == 0) pair->phase ^= 1;
  --pair->under_way;
  device_.Write<uint32_t>(0, Doorbell(*pair, true), pair->head);
  return answer;
}

bool Nvme::Admin(Queues::Command command) {
  Push(&admin_, command);
  const uint64_t give_up = clock_.Tsc() + clock_.ToTicks(kPatienceUs);
  while (clock_.Tsc() <= give_up) {
    const std::optional<Answer> answer = Pop(&admin_);
    if (answer.has_value()) return answer->ok;
    (void)clock_.SleepUs(50);
  }
  return false;
}

bool Nvme::Open(uint32_t interrupt) {
  device_.Write<uint32_t>(0, kConfiguration, 0);
  if (!WaitReady(0)) return false;
  const auto capabilities = device_.Read<uint64_t>(0, kCapabilities);
  stride_ = 4u << (capabilities >> 32 & 0xf);
  if ((capabilities & 0xffff) + 1 < kDepth || (capabilities >> 48 & 0xf) != 0) return false;
  device_.Write<uint32_t>(0, kAdminQueueAttributes, (kDepth - 1) << 16 | (kDepth - 1));
  device_.Write<uint64_t>(0, kAdminSubmissions, AddressOf(queues_->admin_commands));
  device_.Write<uint64_t>(0, kAdminCompletions, AddressOf(queues_->admin_completions));
  device_.Write<uint32_t>(0, kConfiguration, kEnable | kEntrySizes);
  if (!WaitReady(kReady)) return false;

  Queues::Command identify = {};
  identify.opcode_and_id = kIdentify;
  identify.name_space = 1;
  identify.data[0] = AddressOf(queues_->identity);
  if (!Admin(identify)) return false;
  // 5.15.2.1: size, the format in use, and that format's block size as a power of two.
  std::memcpy(&blocks_, queues_->identity, sizeof(blocks_));
  const uint32_t format = queues_->identity[26] & 0xf;
  const uint32_t power = queues_->identity[128 + 4 * format + 2];
  if (power != 9 && power != 12) return false;
  block_bytes_ = 1u << power;

  Queues::Command create = {};
  create.opcode_and_id = kCreateCompletions;
  create.data[0] = AddressOf(queues_->completions);
  create.words[0] = (kDepth - 1) << 16 | io_.number;
  create.words[1] = kContiguous | (interrupt != 0 ? kInterrupts | interrupt << 16 : 0);
  if (!Admin(create)) return false;
  create.opcode_and_id = kCreateSubmissions;
  create.data[0] = AddressOf(queues_->commands);
  create.words[1] = io_.number << 16 | kContiguous;
  return Admin(create);
}

bool Nvme::Submit(uint32_t opcode, uint64_t block, const void* page, uint16_t id) {
  if (io_.under_way == kDepth - 1) return false;
  Queues::Command command = {};
  command.opcode_and_id = opcode | uint32_t{id} << 16;
  command.name_space = 1;
  command.data[0] = AddressOf(page);
  command.words[0] = static_cast<uint32_t>(block);
  command.words[1] = static_cast<uint32_t>(block >> 32);
  command.words[2] = NOM_FRAME_BYTES / block_bytes_ - 1;
  Push(&io_, command);
  return true;
}

std::optional<Nvme::Answer> Nvme::Poll() { return Pop(&io_); }

}  // namespace nom::guest
