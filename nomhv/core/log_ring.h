// SPDX-License-Identifier: Apache-2.0
// The machine's log before it reaches a port: a ring of lines, put in by anybody and taken out by
// who has time to write them. Nobody ever waits for the port; what finds no room is lost, counted,
// and told in its place. Not thread-safe: the caller holds its lock.

#ifndef NOMHV_CORE_LOG_RING_H_
#define NOMHV_CORE_LOG_RING_H_

#include <cstdint>
#include <string_view>

#include "nomhv/core/line.h"

namespace nomhv {

class LogRing {
 public:
  static constexpr uint32_t kLines = 256;
  static constexpr uint32_t kLineBytes = 384;
  // Guests leave so many places to nomhv itself.
  static constexpr uint32_t kOwnLines = 64;

  enum class From { kNomhv, kGuest };

  // Adds a line of `ms` since boot; `tag` says who speaks. False: there was no room; it is counted.
  bool Put(From from, uint64_t ms, std::string_view tag, std::string_view text);

  // The next of what is to be written, up to the end of a line, or nothing. Stays valid until Put.
  [[nodiscard]] std::string_view Next() const;
  // The first `bytes` of Next() have been written.
  void Took(size_t bytes);

  [[nodiscard]] bool empty() const { return put_ == taken_ && lost_ == 0; }

 private:
  [[nodiscard]] uint32_t used() const { return put_ - taken_; }
  void Store(uint64_t ms, std::string_view tag, std::string_view text);

  Line<kLineBytes> lines_[kLines];
  uint32_t put_ = 0;
  uint32_t taken_ = 0;
  size_t taken_bytes_ = 0;  // Of the line that is being taken.
  uint64_t lost_ = 0;       // Since the last line that was put.
};

// How many lines a guest may write: so many at once, and so many a second in the long run.
class LineBudget {
 public:
  static constexpr uint64_t kBurst = 64;
  static constexpr uint64_t kPerSecond = 16;

  explicit LineBudget(uint64_t now_us = 0) : full_at_us_(now_us) {}

  // Takes one line from the budget; false if there is none left.
  [[nodiscard]] bool Take(uint64_t now_us);

 private:
  // When the budget will be, or was, whole again: each line moves it on.
  uint64_t full_at_us_ = 0;
};

}  // namespace nomhv

#endif  // NOMHV_CORE_LOG_RING_H_
