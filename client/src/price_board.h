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
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "nom/types.h"

namespace nom::client {

class PriceBoard {
 public:
  PriceBoard() { Write(Prices{}); }

  // From one thread at a time.
  void Write(const Prices& prices) {
    Words words;
    words[0] = prices.round_id;
    words[1] = static_cast<uint64_t>(absl::ToUnixNanos(prices.valid_until));
    uint64_t flags = prices.stale ? 1 : 0;
    for (size_t i = 0; i < kResourceCount; ++i) {
      const Price& price = prices.by_resource[i];
      const uint64_t bits =
          static_cast<uint64_t>(price.bound_by) << 1 | static_cast<uint64_t>(price.offered);
      flags |= bits << (8 * (i + 1));
      words[3 + i] = static_cast<uint64_t>(price.unit_price_microcredits);
      words[3 + kResourceCount + i] = static_cast<uint64_t>(price.reserve_unit_price_microcredits);
    }
    words[kFlags] = flags;
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
    Prices prices;
    prices.round_id = words[0];
    prices.valid_until = absl::FromUnixNanos(static_cast<int64_t>(words[1]));
    prices.stale = (words[kFlags] & 1) != 0;
    for (size_t i = 0; i < kResourceCount; ++i) {
      Price& price = prices.by_resource[i];
      const uint64_t bits = words[kFlags] >> (8 * (i + 1)) & 0xff;
      price.offered = (bits & 1) != 0;
      price.bound_by = static_cast<BoundBy>(bits >> 1);
      price.unit_price_microcredits = static_cast<int64_t>(words[3 + i]);
      price.reserve_unit_price_microcredits = static_cast<int64_t>(words[3 + kResourceCount + i]);
    }
    return prices;
  }

  bool stale() const { return (words_[kFlags].load(std::memory_order_acquire) & 1) != 0; }
  int64_t UnitPrice(Resource resource) const {
    return static_cast<int64_t>(
        words_[2 + static_cast<size_t>(resource)].load(std::memory_order_acquire));
  }

 private:
  // Round, validity, flags; then unit prices and reserves by resource.
  static constexpr size_t kFlags = 2;
  static constexpr size_t kWords = 3 + 2 * kResourceCount;
  static_assert(kResourceCount < 8, "a byte of flags for each resource, and one for all");
  using Words = std::array<uint64_t, kWords>;

  // A line of its own, so that readers do not pay for their neighbours' writes.
  alignas(64) std::atomic<uint64_t> sequence_{0};
  std::array<std::atomic<uint64_t>, kWords> words_{};
};

}  // namespace nom::client

#endif  // CLIENT_SRC_PRICE_BOARD_H_
