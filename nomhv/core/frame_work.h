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
concept FrameHolder = requires(F frames, uint64_t frame) {
  { frames.Holds(frame) } -> std::same_as<bool>;
  // Whether one more stays within the grant.
  { frames.MayHoldMore() } -> std::same_as<bool>;
  {frames.Give(frame)};
  {frames.Take(frame)};
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
    for (uint64_t i = 0; i < most && next_ < end_; ++i) {
      const bool held = frames.Holds(next_);
      if (kind_ == kAcquire) {
        if (!held && !frames.MayHoldMore()) {
          *this = {kUndo, first_, next_};
          continue;
        }
        if (!held) frames.Give(next_);
      } else if (held) {
        frames.Take(next_);
      }
      ++next_;
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
