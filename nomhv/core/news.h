// SPDX-License-Identifier: Apache-2.0
// What a virtual processor is told while it runs or sleeps: that there is something to look at, and
// interrupts that are pending. Any processor tells; whoever has its claim takes.

#ifndef NOMHV_CORE_NEWS_H_
#define NOMHV_CORE_NEWS_H_

#include <atomic>
#include <bit>
#include <cstdint>

namespace nomhv {

// What it is woken for, or interrupted by.
enum NewsBit : uint32_t {
  kNewsNotice = 1,     // For YIELD, until it has told so.
  kNewsRing = 2,       // Likewise.
  kNewsInterrupt = 4,  // Some vector is pending.
  kNewsSignal = 8,     // As a notice.
};

class News {
 public:
  // It has something to do, if it slept, and is to be interrupted by `vector`, unless that is 0.
  // Whoever tells it pokes its processors: false if it has not looked since it was told the like,
  // so that it costs others no more than it looks.
  [[nodiscard]] bool Tell(uint32_t bits, uint8_t vector, uint64_t now_tsc) {
    news_tsc_.store(now_tsc, std::memory_order_relaxed);
    if (vector != 0) {
      pending_[vector / 64].fetch_or(uint64_t{1} << vector % 64, std::memory_order_acq_rel);
      bits |= kNewsInterrupt;
    }
    return (news_.fetch_or(bits, std::memory_order_acq_rel) & bits) != bits;
  }
  // The highest vector that is pending; 0 if none is.
  [[nodiscard]] uint8_t NextVector() const {
    for (uint32_t i = 256 / 64; i-- > 0;) {
      const uint64_t bits = pending_[i].load(std::memory_order_acquire);
      if (bits == 0) continue;
      return static_cast<uint8_t>(i * 64 + 63 - static_cast<uint32_t>(std::countl_zero(bits)));
    }
    return 0;
  }
  // Bit i: whether vector 32 * `word` + i is pending.
  [[nodiscard]] uint32_t PendingWord(uint32_t word) const {
    return static_cast<uint32_t>(pending_[word / 2].load() >> word % 2 * 32);
  }
  // It is pending no more; whether it was. An interrupt may be due with no vector pending, where
  // one was taken while it was told: then 0 makes that good.
  bool TakeVector(uint8_t vector) {
    const uint64_t bit = uint64_t{1} << vector % 64;
    const bool was = (pending_[vector / 64].fetch_and(~bit, std::memory_order_acq_rel) & bit) != 0;
    static_cast<void>(TakeNews(kNewsInterrupt));
    if (NextVector() != 0) news_.fetch_or(kNewsInterrupt, std::memory_order_acq_rel);
    return was;
  }
  // True once for each time that it was told.
  bool TakeNews(NewsBit bit) {
    return (news_.load(std::memory_order_acquire) & bit) != 0 &&
           (news_.fetch_and(~uint32_t{bit}, std::memory_order_acq_rel) & bit) != 0;
  }
  [[nodiscard]] bool interrupt_due() const {
    return (news_.load(std::memory_order_acquire) & kNewsInterrupt) != 0;
  }

  // When the last came.
  [[nodiscard]] uint64_t news_tsc() const { return news_tsc_.load(std::memory_order_relaxed); }
  // As if nothing had ever been told.
  void ForgetNews() {
    for (auto& bits : pending_) bits.store(0, std::memory_order_relaxed);
    news_.store(0, std::memory_order_release);
  }

 private:
  std::atomic<uint32_t> news_{0};  // Bits of NewsBit.
  std::atomic<uint64_t> news_tsc_{0};
  std::atomic<uint64_t> pending_[256 / 64]{};  // Vectors, a bit each.
};

}  // namespace nomhv

#endif  // NOMHV_CORE_NEWS_H_
