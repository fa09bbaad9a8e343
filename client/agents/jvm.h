// SPDX-License-Identifier: Apache-2.0
// A Java virtual machine (HotSpot), resized while it runs by what jcmd uses: commands over a socket
// that the machine opens when it is asked to (jdk.attach; the sources of LinuxAttachListener).
//
// No collector of OpenJDK 17 takes another -Xmx while it runs. What is there: SoftMaxHeapSize,
// which ZGC and Shenandoah obey; the free parts of the heap that a full collection leaves
// (MinHeapFreeRatio, MaxHeapFreeRatio), which the others obey; and a full collection itself
// (GC.run), after which all but ZGC give back what is free at once. So a heap is made to fit by
// collections, and because it may grow again by itself up to -Xmx, it is looked at again and again
// (Keep).

#ifndef CLIENT_AGENTS_JVM_H_
#define CLIENT_AGENTS_JVM_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/agents/command.h"
#include "client/agents/program.h"

namespace nom::agents {

class JvmProcess {
 public:
  virtual ~JvmProcess() = default;
  // Sends a command with at most three arguments ("setflag", NAME, VALUE) and returns what it said.
  // Errors: FAILED_PRECONDITION with what the machine said against it; UNAVAILABLE if it cannot be
  // reached, or is none.
  virtual absl::StatusOr<std::string> Ask(const std::vector<std::string>& words) = 0;
  // Memory of the whole process, each page once and what is swapped out included. Not the resident
  // set: ZGC maps its heap three times.
  virtual absl::StatusOr<int64_t> ReadBytes() = 0;
};

struct JvmPlace {
  pid_t pid = 0;         // Or:
  std::string pid_file;  // Read again each time, so that the machine may be started again.
  std::string proc = "/proc";
  std::function<int(pid_t, int)> send_signal;  // Null: kill(2).
  std::function<void(absl::Duration)> nap;     // Null: sleeps.
};
// As the machine's own user, or as root. A process without libjvm.so is never sent a signal.
std::unique_ptr<JvmProcess> AttachJvm(JvmPlace place);

// Bytes of objects in the heap, garbage included, of what GC.heap_info says for any collector; 0 if
// it says nothing of the kind.
int64_t HeapUsedBytes(absl::string_view heap_info);

struct JvmOptions {
  // What the process uses beside its heap: code, classes, threads, the collector itself.
  int64_t overhead_bytes = 64 << 20;
  std::string work;                                            // As CommandOptions::work.
  std::function<void(absl::Duration)> nap;                     // Null: sleeps.
  std::function<std::chrono::steady_clock::time_point()> now;  // Null: the clock.
};

class Jvm final : public Program {
 public:
  Jvm(std::unique_ptr<JvmProcess> process, JvmOptions options);
  absl::Status Resize(int64_t bytes, absl::Duration timeout) override;
  absl::Status Keep(int64_t bytes) override;
  absl::StatusOr<Work> ReadWork() override { return work_.ReadWork(); }

 private:
  absl::Status SetFreeRatios(int64_t heap_bytes, int64_t used_bytes);
  absl::StatusOr<int64_t> Collect(int64_t bytes);

  const std::unique_ptr<JvmProcess> process_;
  const JvmOptions options_;
  Command work_;
  std::chrono::steady_clock::time_point looked_at_{};
};

}  // namespace nom::agents

#endif  // CLIENT_AGENTS_JVM_H_
