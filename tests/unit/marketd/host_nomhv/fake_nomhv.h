// SPDX-License-Identifier: Apache-2.0
// The other end of the mailbox, for tests: a thread that answers commands as nomhv would, with
// meters and refusals that the test sets.

#ifndef TESTS_UNIT_MARKETD_HOST_NOMHV_FAKE_NOMHV_H_
#define TESTS_UNIT_MARKETD_HOST_NOMHV_FAKE_NOMHV_H_

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "nomhv/abi/mailbox.h"

namespace nom::market {

class FakeNomhv {
 public:
  // Answers a command; the payload is a copy.
  using Handler = std::function<NomEvent(const NomCommand&, const std::vector<std::byte>&)>;

  explicit FakeNomhv(std::string path) : path_(std::move(path)) {
    const int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || ftruncate(fd, NOM_MAILBOX_BYTES) != 0) std::abort();
    void* at = mmap(nullptr, NOM_MAILBOX_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) std::abort();
    base_ = static_cast<std::byte*>(at);
    close(fd);
  }
  ~FakeNomhv() {
    Stop();
    munmap(base_, NOM_MAILBOX_BYTES);
    unlink(path_.c_str());
  }

  void Boot(uint64_t boot_id, uint32_t version = NOM_ABI_VERSION) {
    header()->abi_version = version;
    header()->boot_id = boot_id;
    header()->tsc_hz = kTscHz;
    header()->heartbeat_tsc = 1;
    header()->capacity_frames = 65536;
    header()->capacity_millicores = 2900;
    header()->guest_processors = 3;
    header()->guests_max = NOM_GUESTS_MAX;
    std::atomic_ref(header()->magic).store(NOM_MAILBOX_MAGIC, std::memory_order_release);
    if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  }
  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  void Handle(Handler handler) {
    const std::lock_guard lock(mutex_);
    handler_ = std::move(handler);
  }
  // Freezes the heart and the command ring.
  void Freeze(bool frozen) { frozen_ = frozen; }

  void SetMeter(uint32_t slot, NomMeter meter) {
    auto* at = reinterpret_cast<NomMeter*>(base_ + NOM_MAILBOX_METERS_AT) + slot;
    WriteSeqlocked(at, meter, at->sequence);
  }
  // As if nomhv had been stopped in the middle of writing it.
  void HoldMeterOpen(uint32_t slot) {
    auto* at = reinterpret_cast<NomMeter*>(base_ + NOM_MAILBOX_METERS_AT) + slot;
    std::atomic_ref(at->sequence).fetch_or(1);
  }
  void SetRoundMeters(NomRoundMeters meters) {
    auto* at = reinterpret_cast<NomRoundMeters*>(base_ + NOM_MAILBOX_ROUND_AT);
    WriteSeqlocked(at, meters, at->sequence);
  }
  void SetBidPage(uint32_t slot, NomBidPage page) {
    auto* at =
        reinterpret_cast<NomBidPage*>(base_ + NOM_MAILBOX_BIDS_AT + size_t{slot} * NOM_FRAME_BYTES);
    WriteSeqlocked(at, page, at->sequence);
  }
  void PostEvent(NomEvent event) {
    auto* ring = reinterpret_cast<NomEvent*>(base_ + NOM_MAILBOX_EVENTS_AT);
    const std::lock_guard lock(mutex_);
    std::atomic_ref head(header()->event_head);
    ring[head.load() % NOM_EVENT_SLOTS] = event;
    head.store(head.load() + 1, std::memory_order_release);
  }
  NomMailboxHeader* header() { return reinterpret_cast<NomMailboxHeader*>(base_); }

  static constexpr uint64_t kTscHz = 1'000'000'000;

 private:
  template <typename T>
  void WriteSeqlocked(T* at, T value, uint32_t& sequence) {
    std::atomic_ref word(sequence);
    const uint32_t next = (word.load() | 1) + 2;
    word.store(next, std::memory_order_release);  // Odd: being written.
    value.sequence = next;
    for (size_t i = 0; i < sizeof(value); i += sizeof(uint64_t)) {
      uint64_t part;
      std::memcpy(&part, reinterpret_cast<const std::byte*>(&value) + i, sizeof(part));
      std::atomic_ref(*reinterpret_cast<uint64_t*>(reinterpret_cast<std::byte*>(at) + i))
          .store(part, std::memory_order_relaxed);
    }
    word.store(next + 1, std::memory_order_release);
  }
  void Run() {
    const auto* ring = reinterpret_cast<const NomCommand*>(base_ + NOM_MAILBOX_COMMANDS_AT);
    while (!stop_) {
      std::this_thread::yield();
      if (frozen_) continue;
      std::atomic_ref(header()->heartbeat_tsc).fetch_add(1);
      std::atomic_ref tail(header()->command_tail);
      if (tail.load() == std::atomic_ref(header()->command_head).load(std::memory_order_acquire)) {
        continue;
      }
      const NomCommand command = ring[tail.load() % NOM_COMMAND_SLOTS];
      const std::byte* const sent = base_ + NOM_MAILBOX_PAYLOAD_AT + command.payload_offset;
      const std::vector<std::byte> payload(sent, sent + command.payload_bytes);
      NomEvent answer{};
      {
        const std::lock_guard lock(mutex_);
        if (handler_) answer = handler_(command, payload);
      }
      answer.kind = NOM_EVENT_DONE;
      answer.id = command.id;
      PostEvent(answer);
      tail.store(tail.load() + 1, std::memory_order_release);
    }
  }

  const std::string path_;
  std::byte* base_ = nullptr;
  std::mutex mutex_;
  Handler handler_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> frozen_ = false;
  std::thread thread_;
};

}  // namespace nom::market

#endif  // TESTS_UNIT_MARKETD_HOST_NOMHV_FAKE_NOMHV_H_
