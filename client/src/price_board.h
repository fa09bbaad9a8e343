// SPDX-License-Identifier: Apache-2.0
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
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>

#include "absl/time/time.h"
#include "nom/types.h"

namespace nom::client {

class PriceBoard {
 public:
  PriceBoard() { Write(Prices{}); }

  // From one thread at a time. `fresh_until` is by a steady clock: from then on they are stale,
  // whether or not anybody writes that.
  void Write(const Prices& prices, absl::Duration fresh_until = absl::InfiniteDuration()) {
    const Words words = ToWords(prices);
    const uint64_t sequence = sequence_.load(std::memory_order_relaxed);
    sequence_.store(sequence + 1, std::memory_order_relaxed);
    for (size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
    sequence_.store(sequence + 2, std::memory_order_release);
    for (size_t i = 0; i < kResourceCount; ++i) {
      const Price& price = prices.by_resource[i];
      asks_[i].store(price.offered ? price.unit_price_microcredits : kNotOnSale,
                     std::memory_order_release);
    }
    fresh_until_nanos_.store(
        prices.stale ? std::numeric_limits<int64_t>::min() : absl::ToInt64Nanoseconds(fresh_until),
        std::memory_order_release);
  }

  // Waits only while a write is in the middle of its stores.
  Prices Read() const {
    // Not a Prices from the start: to fill that in first would take longer than the read.
    std::array<uint64_t, kPricesWords> words;
    int64_t valid_until = 0;
    for (;;) {
      const uint64_t before = sequence_.load(std::memory_order_acquire);
      for (size_t i = 0; i < kPricesWords; ++i) {
        words[i] = words_[i].load(std::memory_order_acquire);
      }
      valid_until = static_cast<int64_t>(words_[kValidUntil].load(std::memory_order_acquire));
      if ((before & 1) == 0 && sequence_.load(std::memory_order_relaxed) == before) break;
    }
    Prices prices = std::bit_cast<Prices>(words);
    prices.valid_until = ToTime(valid_until);
    return prices;
  }

  bool IsStaleAt(absl::Duration steady) const {
    return absl::ToInt64Nanoseconds(steady) >= fresh_until_nanos_.load(std::memory_order_acquire);
  }

  // nullopt: not on sale, or no such resource.
  std::optional<int64_t> UnitPrice(Resource resource) const {
    const size_t place = static_cast<size_t>(resource) - 1;
    if (place >= kResourceCount) return std::nullopt;
    const int64_t ask = asks_[place].load(std::memory_order_acquire);
    return ask == kNotOnSale ? std::nullopt : std::optional<int64_t>(ask);
  }

 private:
  // A snapshot is a Prices byte for byte, so that reading it is copying words. What lies between
  // its members has no value and must not be read: it is zero here, the members are put in one by
  // one. Its time is told in a word of its own, as it has such a place inside.
  static constexpr size_t kPricesWords = sizeof(Prices) / sizeof(uint64_t);
  static constexpr size_t kValidUntil = kPricesWords;
  static constexpr size_t kWords = kPricesWords + 1;
  using Words = std::array<uint64_t, kWords>;
  using Bytes = std::array<unsigned char, kWords * sizeof(uint64_t)>;
  static_assert(std::is_trivially_copyable_v<Prices>);
  static_assert(sizeof(Prices) % sizeof(uint64_t) == 0);

  // No price: prices are never negative.
  static constexpr int64_t kNotOnSale = std::numeric_limits<int64_t>::min();

  template <typename Member>
  static void Put(const Member& member, size_t offset, Bytes& bytes) {
    static_assert(std::has_unique_object_representations_v<Member>);
    std::memcpy(bytes.data() + offset, &member, sizeof(member));
  }

  static Words ToWords(const Prices& prices) {
    Bytes bytes = {};
    Put(prices.round_id, offsetof(Prices, round_id), bytes);
    Put(prices.stale, offsetof(Prices, stale), bytes);
    for (size_t i = 0; i < kResourceCount; ++i) {
      const Price& price = prices.by_resource[i];
      const size_t begin = offsetof(Prices, by_resource) + i * sizeof(Price);
      Put(price.offered, begin + offsetof(Price, offered), bytes);
      Put(price.bound_by, begin + offsetof(Price, bound_by), bytes);
      Put(price.unit_price_microcredits, begin + offsetof(Price, unit_price_microcredits), bytes);
      Put(price.reserve_unit_price_microcredits,
          begin + offsetof(Price, reserve_unit_price_microcredits), bytes);
    }
    // Times without end saturate, and come back as such.
    Put(absl::ToUnixNanos(prices.valid_until), kValidUntil * sizeof(uint64_t), bytes);
    return std::bit_cast<Words>(bytes);
  }

  static absl::Time ToTime(int64_t nanos) {
    if (nanos == std::numeric_limits<int64_t>::max()) return absl::InfiniteFuture();
    if (nanos == std::numeric_limits<int64_t>::min()) return absl::InfinitePast();
    return absl::FromUnixNanos(nanos);
  }

  // A line of its own, so that readers do not pay for their neighbours' writes.
  alignas(64) std::atomic<uint64_t> sequence_{0};
  std::array<std::atomic<uint64_t>, kWords> words_{};
  // For those who want one thing only.
  std::array<std::atomic<int64_t>, kResourceCount> asks_{};
  std::atomic<int64_t> fresh_until_nanos_{std::numeric_limits<int64_t>::min()};
};

}  // namespace nom::client

#endif  // CLIENT_SRC_PRICE_BOARD_H_
