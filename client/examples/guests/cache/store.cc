// SPDX-License-Identifier: Apache-2.0
#include "client/examples/guests/cache/store.h"

#include "client/examples/guests/common/integers.h"

namespace nom::examples {
namespace {

constexpr size_t kPayloadWords = kEntryWords - 1;
constexpr int kPasses = 8;

uint64_t Checksum(uint64_t key, const Entry& entry) {
  uint64_t sum = Mix(key);
  for (size_t i = 0; i < kPayloadWords; ++i) sum = (sum ^ entry[i]) * 0x100000001b3 + (sum >> 47);
  return sum;
}

}  // namespace

// Each pass needs the one before it, so that the work cannot be left out.
void ComputeEntry(uint64_t key, uint64_t seed, Entry& entry) {
  uint64_t state = Mix(key ^ seed);
  entry.fill(0);
  for (int pass = 0; pass < kPasses; ++pass) {
    for (size_t i = 0; i < kPayloadWords; ++i) {
      state = Mix(state + entry[i] + i);
      entry[i] = state;
    }
  }
  entry[kPayloadWords] = Checksum(key, entry);
}

bool EntryIsFor(uint64_t key, const Entry& entry) {
  return entry[kPayloadWords] == Checksum(key, entry);
}

Store::Store(guest::Nomhv* nomhv, const guest::FramePool::Options& options)
    : nomhv_(nomhv), pool_(nomhv, this, options, words_) {
  table_.fill(kNone);
  node_of_frame_.fill(kNone);
}

uint32_t Store::NodeOf(uint64_t key) {
  for (uint64_t slot = Mix(key) % kSlots;; slot = (slot + 1) % kSlots) {
    const uint16_t node = table_[slot];
    if (node == kNone) {
      if (nodes_count_ == kNodesMax) return kNodesMax;
      table_[slot] = static_cast<uint16_t>(nodes_count_);
      nodes_[nodes_count_].key = key;
      return nodes_count_++;
    }
    if (nodes_[node].key == key) return node;
  }
}

Store::Found Store::Get(uint32_t number, Entry& entry) {
  const auto node = static_cast<uint16_t>(number);
  const uint32_t frame = nodes_[node].frame;
  if (frame == kNoFrame) return Found::kMiss;
  if (!nomhv_->TryCopy(entry.data(), pool_.Address(frame), sizeof(entry))) {
    (void)pool_.Resync();  // Taken by force: this and others are told by Lost().
    return Found::kMiss;
  }
  if (!EntryIsFor(nodes_[node].key, entry)) {
    Drop(node);
    return Found::kDamaged;
  }
  Unlink(node);
  Link(node);
  return Found::kHit;
}

bool Store::Put(uint32_t number, const Entry& entry) {
  const auto node = static_cast<uint16_t>(number);
  // Twice: a first frame may turn out to be gone, and looking again then finds what is left.
  for (int tries = 0; tries < 2; ++tries) {
    if (nodes_[node].frame == kNoFrame) {
      if (pool_.free_frames() == 0 && oldest_ != kNone) Drop(oldest_);
      const uint64_t frame = pool_.Allocate();
      if (frame == guest::FramePool::kNone) return false;
      nodes_[node].frame = static_cast<uint32_t>(frame);
      node_of_frame_[frame] = node;
      Link(node);
    }
    if (nomhv_->TryCopy(pool_.Address(nodes_[node].frame), entry.data(), sizeof(entry))) {
      return true;
    }
    (void)pool_.Resync();
  }
  if (nodes_[node].frame != kNoFrame) Drop(node);
  return false;
}

void Store::GiveUp(uint64_t frames) {
  for (; frames > 0 && oldest_ != kNone; --frames) Drop(oldest_);
}

void Store::Moved(uint64_t from_frame, uint64_t to_frame) {
  const uint16_t node = node_of_frame_[from_frame];
  node_of_frame_[from_frame] = kNone;
  node_of_frame_[to_frame] = node;
  nodes_[node].frame = static_cast<uint32_t>(to_frame);
}

void Store::Lost(uint64_t frame) {
  const uint16_t node = node_of_frame_[frame];
  node_of_frame_[frame] = kNone;
  nodes_[node].frame = kNoFrame;
  Unlink(node);
}

void Store::Link(uint16_t node) {
  nodes_[node].newer = kNone;
  nodes_[node].older = newest_;
  if (newest_ != kNone) nodes_[newest_].newer = node;
  newest_ = node;
  if (oldest_ == kNone) oldest_ = node;
}

void Store::Unlink(uint16_t node) {
  const Node& n = nodes_[node];
  (n.newer == kNone ? newest_ : nodes_[n.newer].older) = n.older;
  (n.older == kNone ? oldest_ : nodes_[n.older].newer) = n.newer;
}

void Store::Drop(uint16_t node) {
  const uint32_t frame = nodes_[node].frame;
  Unlink(node);
  nodes_[node].frame = kNoFrame;
  node_of_frame_[frame] = kNone;
  pool_.Free(frame);
}

}  // namespace nom::examples
