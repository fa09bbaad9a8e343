// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/nomhv/guarded_mapping.h"

#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

// What the signal handler knows: only lock-free atomics are read in it.
struct Slot {
  std::atomic<uintptr_t> base{0};  // 0: free.
  std::atomic<size_t> bytes{0};
  std::atomic<bool> lost{false};
};
std::array<Slot, kGuardedMappingsMax> slots;
static_assert(std::atomic<uintptr_t>::is_always_lock_free &&
              std::atomic<bool>::is_always_lock_free);
std::mutex slots_mutex;  // For taking and freeing them.

void OnBusError(int signal, siginfo_t* info, void* /*context*/) {
  const int saved_errno = errno;
  const auto at = reinterpret_cast<uintptr_t>(info->si_addr);
  for (Slot& slot : slots) {
    const uintptr_t base = slot.base.load();
    const size_t bytes = slot.bytes.load();
    if (base == 0 || at < base || at - base >= bytes) continue;
    // A system call and nothing else, though not on POSIX's list of what a handler may call.
    void* const zeros = mmap(reinterpret_cast<void*>(base), bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (zeros == MAP_FAILED) break;
    slot.lost.store(true);
    errno = saved_errno;
    return;  // What was being read is read again.
  }
  // Not ours: it comes again at once, and ends the process.
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  sigaction(signal, &by_default, nullptr);
}

void InstallOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = OnBusError;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    NOM_CHECK(sigaction(SIGBUS, &action, nullptr) == 0, "SIGBUS can't be handled");
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<GuardedMapping>> GuardedMapping::Map(int fd, size_t bytes) {
  InstallOnce();
  const std::lock_guard lock(slots_mutex);
  for (size_t i = 0; i < slots.size(); ++i) {
    Slot& slot = slots[i];
    if (slot.base.load() != 0) continue;
    void* const base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) return absl::UnavailableError(std::strerror(errno));
    slot.lost.store(false);
    slot.bytes.store(bytes);
    slot.base.store(reinterpret_cast<uintptr_t>(base));
    return std::unique_ptr<GuardedMapping>(
        new GuardedMapping(static_cast<std::byte*>(base), i, bytes));
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("more than ", kGuardedMappingsMax, " files are mapped"));
}

GuardedMapping::~GuardedMapping() {
  const std::lock_guard lock(slots_mutex);
  slots[slot_].base.store(0);
  munmap(base_, bytes_);
}

bool GuardedMapping::lost() const { return slots[slot_].lost.load(); }

}  // namespace nom::market
