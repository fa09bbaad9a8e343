// SPDX-License-Identifier: Apache-2.0
// A disk that fails when it is told to: SQLite's own access to files, with faults.
//
// Once installed it is what SQLite opens files by, in this process. It counts what is done to any
// file, and from the n-th of it on answers with an error as a full or a broken disk would. Nothing
// is really synchronised: tests look at what the process sees, not at what a power cut leaves.

#ifndef TESTS_SIM_FAILING_VFS_H_
#define TESTS_SIM_FAILING_VFS_H_

#include <cstdint>
#include <string>

namespace nom::market {

enum class DiskOp : uint8_t { kWrite, kSync, kTruncate, kOpen, kDelete, kShm, kRead };
inline constexpr int kDiskOpsCount = static_cast<int>(DiskOp::kRead) + 1;
const char* DiskOpName(DiskOp op);

// What the disk answers.
struct DiskFault {
  // What is counted and may fail: a set of bits, 1 << op. Reads fail only where that is asked for.
  uint32_t ops = 0;
  int64_t nth = 0;        // From 1: the first that fails; 0: none does.
  bool is_full = false;   // "Disk full" (of what makes a file longer), not "I/O error".
  bool for_good = false;  // And all after it.
  std::string only;  // Of files whose names have this in them alone: as if on a disk of theirs.
};
inline constexpr uint32_t OpBit(DiskOp op) { return 1u << static_cast<int>(op); }
// All that changes something.
inline constexpr uint32_t kDiskWrites = OpBit(DiskOp::kWrite) | OpBit(DiskOp::kSync) |
                                        OpBit(DiskOp::kTruncate) | OpBit(DiskOp::kOpen) |
                                        OpBit(DiskOp::kDelete) | OpBit(DiskOp::kShm);

// The process's disk. Thread-safe.
class FailingDisk {
 public:
  // Made and put in place at the first call.
  static FailingDisk& Get();

  // Begins to count anew.
  void Break(const DiskFault& fault);
  void Mend() { Break({}); }

  // Since the last Break: of the operations it counts, and how many failed; and what failed first.
  int64_t counted() const;
  int64_t failed() const;
  std::string first_failed() const;
};

}  // namespace nom::market

#endif  // TESTS_SIM_FAILING_VFS_H_
