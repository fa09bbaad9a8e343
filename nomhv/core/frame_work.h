// SPDX-License-Identifier: Apache-2.0
// ACQUIRE and RELEASE of many frames, a few at a time, so that slices end when they should. Between
// two steps a grant may change and frames may be taken by force: a RELEASE passes over what is gone
// already, and an ACQUIRE that finds its grant smaller undoes what it did and fails as a whole.

#ifndef NOMHV_CORE_FRAME_WORK_H_
#define NOMHV_CORE_FRAME_WORK_H_

#include <concepts>
#include <cstdint>

#include "nomhv/abi/version.h"

namespace nomhv {

template <typename F>
concept FrameHolder = requires(F frames, uint64_t first, uint64_t end) {
  // Gives what is missing of [first, end), while it stays within the grant; the first frame that is
  // still missing, or `end`.
  { frames.Fill(first, end) } -> std::same_as<uint64_t>;
  // Takes what is held of [first, end).
  {frames.Clear(first, end)};
};

class FrameWork {
 public:
  FrameWork() = default;

  void BeginAcquire(uint64_t first, uint64_t count) { *this = {kAcquire, first, first + count}; }
  void BeginRelease(uint64_t first, uint64_t count) { *this = {kRelease, first, first + count}; }

  [[nodiscard]] bool busy() const { return kind_ != kNone; }

  // Does up to `most` frames. True when all is done, and `status` is the call's.
  template <FrameHolder Frames>
  [[nodiscard]] bool Step(Frames&& frames, uint64_t most, NomStatus& status) {
    const uint64_t until = end_ - next_ < most ? end_ : next_ + most;
    if (kind_ == kAcquire) {
      next_ = frames.Fill(next_, until);
      if (next_ < until) *this = {kUndo, first_, next_};
    } else {
      frames.Clear(next_, until);
      next_ = until;
    }
    if (next_ < end_) return false;
    status = kind_ == kUndo ? NOM_STATUS_OVER_GRANT : NOM_STATUS_OK;
    *this = {};
    return true;
  }

 private:
  enum Kind : uint32_t { kNone, kAcquire, kRelease, kUndo };

  FrameWork(Kind kind, uint64_t first, uint64_t end)
      : kind_(kind), first_(first), next_(first), end_(end) {}

  Kind kind_ = kNone;
  uint64_t first_ = 0;
  uint64_t next_ = 0;
  uint64_t end_ = 0;
};

}  // namespace nomhv

#endif  // NOMHV_CORE_FRAME_WORK_H_
