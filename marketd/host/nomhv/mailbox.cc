// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/nomhv/mailbox.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "marketd/base/clock.h"

namespace nom::market {
namespace {

constexpr size_t kEventsHeld = 1024;
// Together a quarter of a second: far longer than an emulated processor is kept waiting.
constexpr int kSeqlockTriesAtOnce = 64;
constexpr int kSeqlockTriesMax = kSeqlockTriesAtOnce + 1250;
constexpr absl::Duration kSeqlockPause = absl::Microseconds(200);
// Between looks at the ring: nomhv answers within about a millisecond, its own tick.
constexpr absl::Duration kPollEvery = absl::Microseconds(100);
// With a doorbell the answer is rung for; this is for a ring that was lost.
constexpr absl::Duration kDoorbellWait = absl::Milliseconds(2);
// nomhv promises a beat each 100 ms; an emulator on a busy machine may stand still for seconds.
constexpr absl::Duration kHeartbeatLost = absl::Seconds(10);

uint32_t LoadAcquire(const uint32_t& word) {
  return std::atomic_ref<uint32_t>(const_cast<uint32_t&>(word)).load(std::memory_order_acquire);
}
uint64_t LoadAcquire(const uint64_t& word) {
  return std::atomic_ref<uint64_t>(const_cast<uint64_t&>(word)).load(std::memory_order_acquire);
}
void StoreRelease(uint32_t& word, uint32_t value) {
  std::atomic_ref<uint32_t>(word).store(value, std::memory_order_release);
}

// Copies what the other side may be writing, in whole words: nothing is torn within a word.
template <typename T>
void CopyShared(T& to, const std::byte* from) {
  static_assert(sizeof(T) % sizeof(uint64_t) == 0);
  for (size_t at = 0; at < sizeof(T); at += sizeof(uint64_t)) {
    auto& word = *reinterpret_cast<uint64_t*>(const_cast<std::byte*>(from + at));
    const uint64_t copy = std::atomic_ref<uint64_t>(word).load(std::memory_order_relaxed);
    std::memcpy(reinterpret_cast<std::byte*>(&to) + at, &copy, sizeof(copy));
  }
}

// Copies a seqlocked structure; `sequence_offset` is where its sequence lies. Its writer is an
// emulated processor, which may have been stopped in the middle: it is waited for.
template <typename T>
std::optional<T> ReadSeqlocked(const std::byte* at, size_t sequence_offset) {
  const auto& sequence = *reinterpret_cast<const uint32_t*>(at + sequence_offset);
  for (int i = 0; i < kSeqlockTriesMax; ++i) {
    if (i >= kSeqlockTriesAtOnce) absl::SleepFor(kSeqlockPause);
    const uint32_t before = LoadAcquire(sequence);
    if (before % 2 != 0) continue;
    T copy;
    CopyShared(copy, at);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (LoadAcquire(sequence) != before) continue;
    std::memcpy(reinterpret_cast<std::byte*>(&copy) + sequence_offset, &before, sizeof(before));
    return copy;
  }
  return std::nullopt;
}

struct FileCloser {
  int fd;
  ~FileCloser() {
    if (fd >= 0) close(fd);
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<Mailbox>> Mailbox::Open(const std::string& path,
                                                       absl::Duration timeout, Doorbell* doorbell) {
  const FileCloser file{open(path.c_str(), O_RDWR | O_CLOEXEC)};
  if (file.fd < 0) {
    return absl::UnavailableError(absl::StrCat("mailbox ", path, ": ", std::strerror(errno)));
  }
  struct stat info {};
  if (fstat(file.fd, &info) != 0) {
    return absl::UnavailableError(absl::StrCat("mailbox ", path, ": ", std::strerror(errno)));
  }
  if (!S_ISREG(info.st_mode) || info.st_size != NOM_MAILBOX_BYTES) {
    return absl::FailedPreconditionError(absl::StrCat("mailbox ", path, ": is not a file of ",
                                                      NOM_MAILBOX_BYTES, " bytes (it has ",
                                                      info.st_size, "), so not nomhv's mailbox"));
  }
  absl::StatusOr<std::unique_ptr<GuardedMapping>> mapping =
      GuardedMapping::Map(file.fd, NOM_MAILBOX_BYTES);
  if (!mapping.ok()) {
    return absl::Status(mapping.status().code(),
                        absl::StrCat("mailbox ", path, ": ", mapping.status().message()));
  }
  std::unique_ptr<Mailbox> mailbox(new Mailbox(path, *std::move(mapping), timeout, doorbell));

  const uint32_t magic = LoadAcquire(mailbox->header()->magic);
  if (magic == 0) {
    return absl::UnavailableError(
        absl::StrCat("mailbox ", path, ": nomhv has not initialised it yet"));
  }
  if (magic != NOM_MAILBOX_MAGIC) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "mailbox %s: begins with 0x%08x, not 0x%08x: not nomhv's", path, magic, NOM_MAILBOX_MAGIC));
  }
  const NomMailboxHeader header = mailbox->Header();
  if (header.abi_version >> 16 != NOM_ABI_MAJOR) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "mailbox %s: nomhv speaks ABI %d.%d, marketd speaks %d.%d", path, header.abi_version >> 16,
        header.abi_version & 0xffff, NOM_ABI_MAJOR, NOM_ABI_MINOR));
  }
  if (header.tsc_hz == 0 || header.boot_id == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("mailbox ", path, ": header without a clock rate or a boot id"));
  }
  mailbox->boot_id_ = header.boot_id;
  mailbox->tsc_hz_ = header.tsc_hz;
  // Ids of an earlier marketd's commands must not be taken for ours, whatever its clock said.
  std::random_device random;
  mailbox->next_id_ = (uint64_t{random()} << 32 | uint64_t{random()} << 16) + 1;

  // The file of a machine that is gone looks like a mailbox: only a beating heart tells.
  mailbox->last_heartbeat_tsc_ = header.heartbeat_tsc;
  const absl::Time deadline = Clock::Real().Now() + timeout;
  while (LoadAcquire(mailbox->header()->heartbeat_tsc) == header.heartbeat_tsc) {
    if (Clock::Real().Now() > deadline) {
      return absl::UnavailableError(
          absl::StrCat("mailbox ", path, ": nomhv's heart does not beat; is the machine running?"));
    }
    absl::SleepFor(absl::Milliseconds(1));
  }
  mailbox->last_beat_seen_ = Clock::Real().Now();
  return mailbox;
}

Mailbox::Mailbox(std::string path, std::unique_ptr<GuardedMapping> mapping, absl::Duration timeout,
                 Doorbell* doorbell)
    : path_(std::move(path)),
      mapping_(std::move(mapping)),
      base_(mapping_->base()),
      timeout_(timeout),
      doorbell_(doorbell) {}

NomMailboxHeader* Mailbox::header() const { return reinterpret_cast<NomMailboxHeader*>(base_); }

NomMailboxHeader Mailbox::Header() const {
  NomMailboxHeader copy;
  CopyShared(copy, base_);
  return copy;
}

absl::Status Mailbox::Alive() {
  const absl::Time now = Clock::Real().Now();
  const uint32_t magic = LoadAcquire(header()->magic);
  if (mapping_->lost()) {
    return absl::UnavailableError(absl::StrCat("mailbox ", path_,
                                               ": the file was cut short; it has to have ",
                                               NOM_MAILBOX_BYTES, " bytes"));
  }
  if (magic != NOM_MAILBOX_MAGIC || LoadAcquire(header()->boot_id) != boot_id_) {
    return absl::UnavailableError(absl::StrCat("mailbox ", path_, ": nomhv has rebooted"));
  }
  const uint64_t beat = LoadAcquire(header()->heartbeat_tsc);
  if (beat != last_heartbeat_tsc_) {
    last_heartbeat_tsc_ = beat;
    last_beat_seen_ = now;
  } else if (now - last_beat_seen_ > kHeartbeatLost) {
    return absl::UnavailableError(absl::StrCat("mailbox ", path_,
                                               ": nomhv's heart stood still for ",
                                               absl::FormatDuration(kHeartbeatLost)));
  }
  return absl::OkStatus();
}

void Mailbox::DrainEvents() {
  const auto* ring = reinterpret_cast<const NomEvent*>(base_ + NOM_MAILBOX_EVENTS_AT);
  const uint32_t head = LoadAcquire(header()->event_head);
  uint32_t tail = LoadAcquire(header()->event_tail);
  // A head that is more than a ring ahead was written by a broken peer: take what a ring can hold.
  if (head - tail > NOM_EVENT_SLOTS) tail = head - NOM_EVENT_SLOTS;
  for (; tail != head; ++tail) {
    NomEvent event;
    std::memcpy(&event, &ring[tail % NOM_EVENT_SLOTS], sizeof(event));
    auto& queue = event.kind == NOM_EVENT_DONE ? answers_ : events_;
    queue.push_back(event);
    if (queue.size() > kEventsHeld) queue.pop_front();
  }
  StoreRelease(header()->event_tail, tail);
}

absl::StatusOr<NomEvent> Mailbox::Call(NomCommand command, absl::Span<const std::byte> payload) {
  if (payload.size() > NOM_MAILBOX_PAYLOAD_BYTES) {
    return absl::ResourceExhaustedError(absl::StrCat("mailbox ", path_, ": a payload of ",
                                                     payload.size(), " bytes; it holds ",
                                                     NOM_MAILBOX_PAYLOAD_BYTES));
  }
  const absl::Time deadline = Clock::Real().Now() + timeout_;
  const auto wait = [&]() -> absl::Status {
    if (absl::Status alive = Alive(); !alive.ok()) return alive;
    if (Clock::Real().Now() > deadline) {
      return absl::UnavailableError(absl::StrCat("mailbox ", path_, ": no answer to command ",
                                                 command.kind, " within ",
                                                 absl::FormatDuration(timeout_)));
    }
    if (doorbell_ != nullptr && doorbell_->connected()) {
      doorbell_->Wait(kDoorbellWait);
    } else {
      absl::SleepFor(kPollEvery);
    }
    return absl::OkStatus();
  };

  // Whatever is still in the ring came from an earlier marketd, or from a call that timed out: its
  // payload may still be in use until nomhv has taken it.
  const uint32_t head = LoadAcquire(header()->command_head);
  while (LoadAcquire(header()->command_tail) != head) {
    DrainEvents();
    if (absl::Status s = wait(); !s.ok()) return s;
  }
  DrainEvents();
  answers_.clear();

  command.id = next_id_++;
  command.epoch = epoch_;
  command.payload_offset = 0;
  command.payload_bytes = static_cast<uint32_t>(payload.size());
  if (!payload.empty()) {
    std::memcpy(base_ + NOM_MAILBOX_PAYLOAD_AT, payload.data(), payload.size());
  }
  auto* ring = reinterpret_cast<NomCommand*>(base_ + NOM_MAILBOX_COMMANDS_AT);
  std::memcpy(&ring[head % NOM_COMMAND_SLOTS], &command, sizeof(command));
  const bool rings = doorbell_ != nullptr && doorbell_->connected();
  StoreRelease(header()->doorbell_peer, rings ? uint32_t{Doorbell::kOwnPeer} : 0);
  StoreRelease(header()->command_head, head + 1);
  if (rings) doorbell_->Ring();

  for (;;) {
    DrainEvents();
    for (const NomEvent& answer : answers_) {
      if (answer.id == command.id) return answer;
    }
    answers_.clear();
    if (absl::Status s = wait(); !s.ok()) return s;
  }
}

std::optional<NomEvent> Mailbox::NextEvent() {
  DrainEvents();
  if (events_.empty()) return std::nullopt;
  NomEvent event = events_.front();
  events_.pop_front();
  return event;
}

std::optional<NomMeter> Mailbox::Meter(uint32_t slot) const {
  return ReadSeqlocked<NomMeter>(base_ + NOM_MAILBOX_METERS_AT + slot * sizeof(NomMeter),
                                 offsetof(NomMeter, sequence));
}

std::optional<NomRoundMeters> Mailbox::RoundMeters() const {
  return ReadSeqlocked<NomRoundMeters>(base_ + NOM_MAILBOX_ROUND_AT,
                                       offsetof(NomRoundMeters, sequence));
}

std::optional<NomBidPage> Mailbox::BidPage(uint32_t slot) const {
  return ReadSeqlocked<NomBidPage>(base_ + NOM_MAILBOX_BIDS_AT + size_t{slot} * NOM_FRAME_BYTES,
                                   offsetof(NomBidPage, sequence));
}

uint32_t Mailbox::BidPageSequence(uint32_t slot) const {
  return LoadAcquire(reinterpret_cast<const NomBidPage*>(base_ + NOM_MAILBOX_BIDS_AT +
                                                         size_t{slot} * NOM_FRAME_BYTES)
                         ->sequence);
}

std::string StatusText(uint32_t nom_status) {
  switch (nom_status) {
#define NOM_X(name, number, meaning) \
  case number:                       \
    return #name ": " meaning;
    NOM_STATUS_LIST(NOM_X)
#undef NOM_X
  }
  return absl::StrCat("unknown status ", nom_status);
}

std::string ImageFaultText(uint32_t fault) {
  switch (fault) {
#define NOM_X(name, number, meaning) \
  case number:                       \
    return meaning;
    NOM_IMAGE_FAULT_LIST(NOM_X)
#undef NOM_X
  }
  return absl::StrCat("unknown image fault ", fault);
}

bool IsCleanExit(uint32_t reason, uint64_t detail) {
  return reason == NOM_EXIT_REASON_DONE && detail == 0;
}

std::string ExitReasonText(uint32_t reason, uint64_t detail) {
  switch (reason) {
    case NOM_EXIT_REASON_NONE:
      return "running";
    case NOM_EXIT_REASON_DESTROYED:
      return "destroyed";
    case NOM_EXIT_REASON_DONE:
      return absl::StrCat("exit ", detail);
    case NOM_EXIT_REASON_TRIPLE_FAULT:
      return "triple fault";
    case NOM_EXIT_REASON_WILD_ACCESS:
      return absl::StrFormat("wild access at 0x%x", detail);
    case NOM_EXIT_REASON_BAD_INSTRUCTION:
      return absl::StrFormat("bad instruction (exit code 0x%x)", detail);
    case NOM_EXIT_REASON_BAD_PORT:
      return absl::StrFormat("I/O port 0x%x", detail);
    case NOM_EXIT_REASON_BAD_STATE:
      return "bad processor state";
    case NOM_EXIT_REASON_RESET:
      return "reset by its kernel";
    case NOM_EXIT_REASON_KEPT_MEMORY:
      return absl::StrCat("kept ", detail, " frames that are granted no more");
    case NOM_EXIT_REASON_OVER_GRANT:
      return absl::StrFormat("memory beyond its grant at 0x%x", detail);
    default:
      return absl::StrCat("unknown reason ", reason);
  }
}

}  // namespace nom::market
