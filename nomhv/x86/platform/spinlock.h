// SPDX-License-Identifier: Apache-2.0
// A lock between processors. Interrupts stay off in all of nomhv but where it waits for them, so a
// holder is never interrupted.

#ifndef NOMHV_X86_PLATFORM_SPINLOCK_H_
#define NOMHV_X86_PLATFORM_SPINLOCK_H_

#include <atomic>
#include <cstdint>

#include "nomhv/x86/platform/cpu.h"

namespace nomhv {

// Whoever comes first is served first, so nobody waits for more than one turn of each other.
class SpinLock {
 public:
  void Lock() {
    const uint32_t ticket = next_.fetch_add(1, std::memory_order_relaxed);
    while (serving_.load(std::memory_order_acquire) != ticket) Pause();
  }
  // Gives up after `tries` looks.
  [[nodiscard]] bool TryLock(int tries) {
    for (; tries > 0; --tries) {
      uint32_t free = serving_.load(std::memory_order_relaxed);
      if (next_.compare_exchange_strong(free, free + 1, std::memory_order_acquire)) return true;
      Pause();
    }
    return false;
  }
  void Unlock() {
    serving_.store(serving_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

 private:
  std::atomic<uint32_t> next_{0};
  std::atomic<uint32_t> serving_{0};
};

class SpinLockGuard {
 public:
  explicit SpinLockGuard(SpinLock& lock) : lock_(lock) { lock_.Lock(); }
  ~SpinLockGuard() { lock_.Unlock(); }
  SpinLockGuard(const SpinLockGuard&) = delete;
  SpinLockGuard& operator=(const SpinLockGuard&) = delete;

 private:
  SpinLock& lock_;
};

}  // namespace nomhv

#endif  // NOMHV_X86_PLATFORM_SPINLOCK_H_
