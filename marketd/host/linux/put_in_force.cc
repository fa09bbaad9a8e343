// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/put_in_force.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/host/linux/guest_cgroup.h"
#include "marketd/host/linux/shrink.h"

namespace nom::market {
namespace {

// Not the wall clock, which may be set while guests shrink: by a day, and all would be late.
using Clock = std::chrono::steady_clock;

constexpr absl::Duration kWaitEmpty = absl::Milliseconds(10);
constexpr std::chrono::milliseconds kLateLook{50};

// One guest that gives memory up, and the thread that makes it.
struct Shrinking {
  explicit Shrinking(GuestChange& c) : change(c), shrink(c.to.memory_bytes, c.force) {}
  GuestChange& change;
  Shrink shrink;
  ShrinkAction outcome = ShrinkAction::kWaitEmpty;
  bool gone = false;    // Its cgroup was removed meanwhile.
  std::string failure;  // The last write that was refused.
  bool done = false;    // Guarded by the mutex in ShrinkAll.
  std::thread thread;
};

// Whether the kernel's files of a guest that was removed say so.
bool Gone(const absl::Status& status) { return absl::IsNotFound(status); }

void RunShrink(CgroupFiles& files, Clock::time_point deadline, const PutInForceOptions& options,
               Shrinking& task) {
  const std::string& cgroup = task.change.cgroup;
  absl::Status last = absl::OkStatus();
  for (;;) {
    ShrinkSight sight;
    const absl::StatusOr<int64_t> bytes = files.ReadMemoryCurrent(cgroup);
    const absl::StatusOr<bool> populated = files.Populated(cgroup);
    if (Gone(bytes.status()) || Gone(populated.status())) {
      task.gone = true;
      return;
    }
    // What cannot be read is taken for the worst: too much, and alive.
    sight.current_bytes = bytes.ok() ? *bytes : task.change.from.memory_bytes + 1;
    sight.populated = !populated.ok() || *populated;
    sight.action_failed = !last.ok();
    sight.late = Clock::now() >= deadline;
    task.outcome = task.shrink.Next(sight);
    switch (task.outcome) {
      case ShrinkAction::kReclaim:
        last = files.ReclaimMemory(cgroup, task.shrink.reclaim_bytes());
        break;
      case ShrinkAction::kSetMax:
        last = files.WriteMemoryMax(cgroup, task.shrink.target_bytes());
        break;
      case ShrinkAction::kKill:
        last = KillGuest(files, cgroup);
        break;
      case ShrinkAction::kWaitEmpty:
        options.nap(kWaitEmpty);
        last = absl::OkStatus();
        break;
      case ShrinkAction::kDone:
      case ShrinkAction::kGiveUp:
        return;
    }
    if (!last.ok()) task.failure = std::string(last.message());
  }
}

// The first guest that could not be shrunk is the error.
absl::Status ShrinkAll(CgroupFiles& files, absl::Span<GuestChange> changes,
                       const PutInForceOptions& options) {
  const Clock::time_point deadline = Clock::now() + absl::ToChronoNanoseconds(options.timeout);
  std::vector<std::unique_ptr<Shrinking>> tasks;
  for (GuestChange& change : changes) {
    if (change.to.memory_bytes < change.from.memory_bytes) {
      tasks.push_back(std::make_unique<Shrinking>(change));
    }
  }
  std::mutex mutex;
  std::condition_variable finished;
  for (const auto& task : tasks) {
    task->thread = std::thread([&, t = task.get()] {
      RunShrink(files, deadline, options, *t);
      std::lock_guard lock(mutex);
      t->done = true;
      finished.notify_all();
    });
  }
  {
    std::unique_lock lock(mutex);
    const auto all_done = [&] {
      return std::all_of(tasks.begin(), tasks.end(), [](const auto& t) { return t->done; });
    };
    Clock::time_point until = deadline;
    while (!finished.wait_until(lock, until, all_done)) {
      // Some are in the middle of a write to memory.max, which comes back when its group is empty.
      // One that fits is late because the machine is: it is let be.
      for (const auto& task : tasks) {
        if (task->done) continue;
        const absl::StatusOr<int64_t> bytes = files.ReadMemoryCurrent(task->change.cgroup);
        if (bytes.ok() && *bytes <= task->change.to.memory_bytes) continue;
        task->change.killed = true;
        KillGuest(files, task->change.cgroup).IgnoreError();
      }
      until = Clock::now() + kLateLook;
    }
  }
  absl::Status status = absl::OkStatus();
  for (const auto& task : tasks) {
    task->thread.join();
    task->change.forced_bytes = task->shrink.forced_bytes();
    task->change.killed |= task->shrink.killed();
    if (task->outcome == ShrinkAction::kGiveUp && !task->gone && status.ok()) {
      status = absl::FailedPreconditionError(
          absl::StrCat("guest ", task->change.guest_id,
                       ": its memory could not be taken back: ", task->failure));
    }
  }
  return status;
}

absl::Status Named(const GuestChange& change, const absl::Status& status) {
  if (status.ok() || Gone(status)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("guest ", change.guest_id, ": ", status.message()));
}

// The limits whose writes do not block: of each kind those that fall, or those that rise, from what
// `from` says to what `to` says.
class PlainLimits {
 public:
  struct Side {
    const Amounts& amounts;
    const CpuLimits& cpu;
  };

  PlainLimits(CgroupFiles& files, const PutInForceOptions& options)
      : files_(files), options_(options) {}

  absl::Status Write(const GuestChange& change, const Side& from, const Side& to, bool raise) {
    if (options_.has_cpu && from.cpu != to.cpu &&
        raise == (to.cpu.max.quota_us > from.cpu.max.quota_us)) {
      NOM_RETURN_IF_ERROR(Named(change, WriteCpuLimits(files_, change.cgroup, to.cpu)));
    }
    if (options_.disk && from.amounts.disk_iops != to.amounts.disk_iops &&
        raise == (to.amounts.disk_iops > from.amounts.disk_iops)) {
      const IoMax max = IoMaxFor(options_.disk->options, to.amounts.disk_iops);
      NOM_RETURN_IF_ERROR(
          Named(change, files_.WriteIoMax(change.cgroup, options_.disk->number, max)));
    }
    if (options_.set_rate && from.amounts.network_mbits != to.amounts.network_mbits &&
        raise == (to.amounts.network_mbits > from.amounts.network_mbits)) {
      NOM_RETURN_IF_ERROR(
          Named(change, options_.set_rate(change.guest_id, to.amounts.network_mbits)));
    }
    return absl::OkStatus();
  }

 private:
  CgroupFiles& files_;
  const PutInForceOptions& options_;
};

PlainLimits::Side Before(const GuestChange& change) { return {change.from, change.cpu_from}; }
PlainLimits::Side After(const GuestChange& change) { return {change.to, change.cpu_to}; }

// Gives everybody back what it had: first down again what was raised, then up what was lowered.
void PutBack(CgroupFiles& files, absl::Span<GuestChange> changes,
             const PutInForceOptions& options) {
  PlainLimits plain(files, options);
  for (const bool raise : {false, true}) {
    for (const GuestChange& change : changes) {
      if (options.has_memory && change.to != change.from &&
          raise == (change.from.memory_bytes >= change.to.memory_bytes)) {
        files.WriteMemoryMax(change.cgroup, change.from.memory_bytes).IgnoreError();
      }
      plain.Write(change, After(change), Before(change), raise).IgnoreError();
    }
  }
}

absl::Status WriteAll(CgroupFiles& files, absl::Span<GuestChange> changes,
                      const PutInForceOptions& options) {
  PlainLimits plain(files, options);
  for (const GuestChange& change : changes) {
    NOM_RETURN_IF_ERROR(plain.Write(change, Before(change), After(change), /*raise=*/false));
  }
  if (options.has_memory) {
    NOM_RETURN_IF_ERROR(ShrinkAll(files, changes, options));
    for (const GuestChange& change : changes) {
      if (change.to.memory_bytes <= change.from.memory_bytes) continue;
      // Raising never blocks.
      NOM_RETURN_IF_ERROR(
          Named(change, files.WriteMemoryMax(change.cgroup, change.to.memory_bytes)));
    }
  }
  for (const GuestChange& change : changes) {
    if (change.killed) continue;
    NOM_RETURN_IF_ERROR(plain.Write(change, Before(change), After(change), /*raise=*/true));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteCpuLimits(CgroupFiles& files, const std::string& cgroup,
                            const CpuLimits& limits) {
  NOM_RETURN_IF_ERROR(files.WriteCpuIdle(cgroup, limits.idle));
  if (limits.burst_us > 0) NOM_RETURN_IF_ERROR(files.WriteCpuBurst(cgroup, 0));
  NOM_RETURN_IF_ERROR(files.WriteCpuMax(cgroup, limits.max));
  if (limits.burst_us > 0) NOM_RETURN_IF_ERROR(files.WriteCpuBurst(cgroup, limits.burst_us));
  return absl::OkStatus();
}

absl::Status PutInForce(CgroupFiles& files, absl::Span<GuestChange> changes,
                        const PutInForceOptions& options) {
  absl::Status status = WriteAll(files, changes, options);
  if (!status.ok()) PutBack(files, changes, options);
  return status;
}

}  // namespace nom::market
