// SPDX-License-Identifier: Apache-2.0
// A file mapped into memory that may be cut short by others while it is mapped.
//
// Reading beyond a file's end is SIGBUS (mmap(2)), which would end marketd and every other host's
// market with it. Here the mapping is replaced by zeros at that moment and says so from then on:
// whoever reads it finds no mailbox there.

#ifndef MARKETD_HOST_NOMHV_GUARDED_MAPPING_H_
#define MARKETD_HOST_NOMHV_GUARDED_MAPPING_H_

#include <atomic>
#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"

namespace nom::market {

// At most so many in a process.
inline constexpr size_t kGuardedMappingsMax = 1'024;

// Thread-safe as memory is. The first one takes SIGBUS for the whole process; what it does not know
// ends the process as ever.
class GuardedMapping {
 public:
  // Maps `bytes` of the file, shared, to read and write. Errors: UNAVAILABLE with errno's words,
  // RESOURCE_EXHAUSTED.
  static absl::StatusOr<std::unique_ptr<GuardedMapping>> Map(int fd, size_t bytes);
  ~GuardedMapping();
  GuardedMapping(const GuardedMapping&) = delete;
  GuardedMapping& operator=(const GuardedMapping&) = delete;

  std::byte* base() const { return base_; }
  // The file is not what it was: there are only zeros here, which nobody else sees.
  bool lost() const;

 private:
  GuardedMapping(std::byte* base, size_t slot, size_t bytes)
      : base_(base), slot_(slot), bytes_(bytes) {}

  std::byte* const base_;
  const size_t slot_;
  const size_t bytes_;
};

}  // namespace nom::market

#endif  // MARKETD_HOST_NOMHV_GUARDED_MAPPING_H_
