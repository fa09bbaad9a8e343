// SPDX-License-Identifier: Apache-2.0
#include "client/guest/memory.h"

#include <algorithm>

namespace nom::guest {

FramePool::FramePool(Nomhv* nomhv, FrameOwner* owner, const Options& options,
                     std::span<uint64_t> words)
    : nomhv_(nomhv),
      owner_(owner),
      options_(options),
      limit_(std::min<uint64_t>(options.window_frames, words.size() / 2 * 64)),
      held_(words.first(words.size() / 2)),
      used_(words.last(words.size() / 2)) {
  std::fill(words.begin(), words.end(), 0);
  (void)Resync();
}

void FramePool::Set(std::span<uint64_t> words, uint64_t frame, bool value) {
  const uint64_t mask = uint64_t{1} << (frame % 64);
  if (value) {
    words[frame / 64] |= mask;
  } else {
    words[frame / 64] &= ~mask;
  }
}

uint64_t FramePool::LowestFree(uint64_t end) {
  for (uint64_t frame = hint_; frame < end;) {
    const uint64_t candidates = (held_[frame / 64] & ~used_[frame / 64]) >> (frame % 64);
    if (candidates == 0) {
      frame = (frame / 64 + 1) * 64;
      continue;
    }
    frame += static_cast<uint64_t>(__builtin_ctzll(candidates));
    if (frame >= end) break;
    hint_ = frame;
    if (Ours(frame)) return frame;
    hint_ = ++frame;
  }
  return kNone;
}

uint64_t FramePool::Allocate() {
  const uint64_t frame = LowestFree(limit_);
  if (frame == kNone) return kNone;
  Set(used_, frame, true);
  ++used_count_;
  --free_count_;
  return frame;
}

void FramePool::Free(uint64_t frame) {
  if (frame >= limit_ || !Bit(used_, frame)) return;  // Lost before it was freed.
  Set(used_, frame, false);
  --used_count_;
  ++free_count_;
  hint_ = std::min(hint_, frame);
}

void FramePool::NoteHeld(uint64_t frame, Changes& changes) {
  if (Bit(held_, frame)) return;
  Set(held_, frame, true);
  ++held_count_;
  ++changes.gained_frames;
  if (Ours(frame)) {
    ++free_count_;
    hint_ = std::min(hint_, frame);
  }
}

void FramePool::NoteGone(uint64_t frame, Changes& changes) {
  if (!Bit(held_, frame)) return;
  Set(held_, frame, false);
  --held_count_;
  ++changes.lost_frames;
  if (!Ours(frame)) return;
  if (!Bit(used_, frame)) {
    --free_count_;
    return;
  }
  Set(used_, frame, false);
  --used_count_;
  owner_->Lost(frame);
}

FramePool::Changes FramePool::Resync() {
  Changes changes;
  uint64_t frame = 0;
  while (frame < limit_) {
    const CallResult held = nomhv_->Query(NOM_QUERY_NEXT_HELD, frame);
    const uint64_t first = held.ok() ? std::min(held.value, limit_) : limit_;
    for (; frame < first; ++frame) NoteGone(frame, changes);
    if (frame == limit_) break;
    const CallResult hole = nomhv_->Query(NOM_QUERY_NEXT_HOLE, frame);
    // At least one frame on, so that an answer that moves backwards cannot hold us here.
    const uint64_t end = hole.ok() ? std::clamp(hole.value, frame + 1, limit_) : limit_;
    for (; frame < end; ++frame) NoteHeld(frame, changes);
  }
  return changes;
}

FramePool::Changes FramePool::Update(const NomGuestBoard& board) {
  Changes changes;
  if (board.magic != NOM_GUEST_BOARD_MAGIC) return changes;
  if (board.frames_held != held_count_ && board.frames_held != held_count_ + set_aside_) {
    changes = Resync();
  }
  const uint64_t target = TargetOf(board);
  if (held_count_ < target) Grow(target, changes);
  if (held_count_ > target) Shrink(target, changes);
  return changes;
}

uint64_t FramePool::TargetOf(const NomGuestBoard& board) const {
  const uint64_t granted = std::min(board.frames_granted, board.frames_next);
  return std::max(options_.seed_frames, granted) - set_aside_;
}

bool FramePool::SetAside(uint64_t frames) {
  if (held_count_ < frames) return false;
  Changes changes;
  Shrink(held_count_ - frames, changes);
  if (changes.released_frames == frames) {
    set_aside_ += frames;
    return true;
  }
  Grow(held_count_ + changes.released_frames, changes);
  return false;
}

void FramePool::Grow(uint64_t target_frames, Changes& changes) {
  uint64_t frame = 0;
  while (held_count_ < target_frames && frame < limit_) {
    if (Bit(held_, frame)) {
      ++frame;
      continue;
    }
    uint64_t end = frame;
    const uint64_t wanted = target_frames - held_count_;
    while (end < limit_ && end - frame < wanted && !Bit(held_, end)) ++end;
    // Refused: the board was older than we thought. The next Update sees it anew.
    if (!nomhv_->Acquire(frame, end - frame).ok()) return;
    for (; frame < end; ++frame) NoteHeld(frame, changes);
  }
}

void FramePool::Shrink(uint64_t target_frames, Changes& changes) {
  uint64_t excess = held_count_ - target_frames;
  if (free_count_ < excess) owner_->GiveUp(excess - free_count_);
  // From the top down, in runs: one call for each, and the frames that stay are those that nomhv
  // would take last.
  uint64_t frame = limit_;
  uint64_t run_end = 0;
  uint64_t run_begin = 0;
  while (excess > 0 && frame > 0) {
    --frame;
    if (!Bit(held_, frame)) continue;
    if (!Ours(frame)) break;  // Nothing but the image and the seed below it.
    if (Bit(used_, frame)) {
      const uint64_t room = LowestFree(frame);
      if (room == kNone || !nomhv_->TryCopy(Address(room), Address(frame), NOM_FRAME_BYTES)) break;
      Set(used_, room, true);
      Set(used_, frame, false);
      owner_->Moved(frame, room);
    }
    if (frame + 1 != run_begin) {
      if (run_begin != run_end && !Release(run_begin, run_end - run_begin, changes)) return;
      run_end = frame + 1;
    }
    run_begin = frame;
    --excess;
  }
  if (run_begin != run_end) (void)Release(run_begin, run_end - run_begin, changes);
}

bool FramePool::Release(uint64_t first, uint64_t count, Changes& changes) {
  if (!nomhv_->Release(first, count).ok()) {
    // Some of them were taken meanwhile.
    const Changes seen = Resync();
    changes.gained_frames += seen.gained_frames;
    changes.lost_frames += seen.lost_frames;
    return false;
  }
  for (uint64_t frame = first; frame < first + count; ++frame) Set(held_, frame, false);
  held_count_ -= count;
  free_count_ -= count;
  changes.released_frames += count;
  return true;
}

}  // namespace nom::guest
