// Where one thread writes prices and any thread reads them without a lock: a seqlock.
//
// Every word is an atomic, so a torn read is no undefined behaviour, only a read to do again. The
// words are stored with release and loaded with acquire order instead of the usual two fences: it
// costs nothing on x86, and race detectors follow it (H.-J. Boehm, "Can seqlocks get along with
// programming language memory models?", MSPC 2012).

#ifndef CLIENT_SRC_PRICE_BOARD_H_
#define CLIENT_SRC_PRICE_BOARD_H_

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "nom/types.h"

namespace nom::client {

class PriceBoard {
 public:
  PriceBoard() { Write(Prices{}); }

  // From one thread at a time.
  void Write(const Prices& prices) {
    const auto words = std::bit_cast<Words>(prices);
    const uint64_t sequence = sequence_.load(std::memory_order_relaxed);
    sequence_.store(sequence + 1, std::memory_order_relaxed);
    for (size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
    sequence_.store(sequence + 2, std::memory_order_release);
  }

  // Waits only while a write is in the middle of its stores.
  Prices Read() const {
    Words words;
    for (;;) {
      const uint64_t before = sequence_.load(std::memory_order_acquire);
      for (size_t i = 0; i < kWords; ++i) words[i] = words_[i].load(std::memory_order_acquire);
      if ((before & 1) == 0 && sequence_.load(std::memory_order_relaxed) == before) break;
    }
    return std::bit_cast<Prices>(words);
  }

  bool stale() const {
    constexpr size_t kOffset = offsetof(Prices, stale);
    const auto bytes = std::bit_cast<std::array<uint8_t, sizeof(uint64_t)>>(
        words_[kOffset / sizeof(uint64_t)].load(std::memory_order_acquire));
    return bytes[kOffset % sizeof(uint64_t)] != 0;
  }

  int64_t UnitPrice(Resource resource) const {
    const size_t offset = offsetof(Prices, by_resource) +
                          (static_cast<size_t>(resource) - 1) * sizeof(Price) +
                          offsetof(Price, unit_price_microcredits);
    return static_cast<int64_t>(words_[offset / sizeof(uint64_t)].load(std::memory_order_acquire));
  }

 private:
  // A snapshot is copied as the words that it is made of: turning it into anything else would cost
  // more than the rest of the read.
  static constexpr size_t kWords = sizeof(Prices) / sizeof(uint64_t);
  using Words = std::array<uint64_t, kWords>;
  static_assert(std::is_trivially_copyable_v<Prices> && sizeof(Words) == sizeof(Prices));
  static_assert(offsetof(Prices, by_resource) % sizeof(uint64_t) == 0 &&
                sizeof(Price) % sizeof(uint64_t) == 0 &&
                offsetof(Price, unit_price_microcredits) % sizeof(uint64_t) == 0);

  // A line of its own, so that readers do not pay for their neighbours' writes.
  alignas(64) std::atomic<uint64_t> sequence_{0};
  std::array<std::atomic<uint64_t>, kWords> words_{};
};

}  // namespace nom::client

#endif  // CLIENT_SRC_PRICE_BOARD_H_
