// A lock between processors. Interrupts stay off in all of nomhv but where it waits for them, so a
// holder is never interrupted.

#ifndef NOMHV_X86_SPINLOCK_H_
#define NOMHV_X86_SPINLOCK_H_

#include <atomic>

#include "nomhv/x86/cpu.h"

namespace nomhv {

class SpinLock {
 public:
  void Lock() {
    while (locked_.exchange(true, std::memory_order_acquire)) {
      while (locked_.load(std::memory_order_relaxed)) Pause();
    }
  }
  void Unlock() { locked_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> locked_{false};
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

#endif  // NOMHV_X86_SPINLOCK_H_
