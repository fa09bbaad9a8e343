// SPDX-License-Identifier: Apache-2.0
// The cache proper: a hash table from keys to entries of one frame each, least recently used first
// out. Entries live in the frames that the guest holds, whichever those are today.

#ifndef CLIENT_EXAMPLES_GUESTS_CACHE_STORE_H_
#define CLIENT_EXAMPLES_GUESTS_CACHE_STORE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "client/guest/calls.h"
#include "client/guest/memory.h"

namespace nom::examples {

// One entry: 511 words and a checksum over them and the key.
inline constexpr size_t kEntryWords = NOM_FRAME_BYTES / 8;
using Entry = std::array<uint64_t, kEntryWords>;

// The true contents for a key: what a miss has to compute. Some fifty thousand operations.
void ComputeEntry(uint64_t key, uint64_t seed, Entry& entry);
// Whether `entry` is undamaged and was computed for this key.
bool EntryIsFor(uint64_t key, const Entry& entry);

class Store final : public guest::FrameOwner {
 public:
  static constexpr uint32_t kNodesMax = 16384;     // Distinct keys ever.
  static constexpr uint64_t kFramesMax = 1 << 15;  // Frames above it are not used: 128 MiB.

  // `nomhv` outlives the store.
  Store(guest::Nomhv* nomhv, const guest::FramePool::Options& options);

  enum class Found { kHit, kMiss, kDamaged };

  // A number below kNodesMax for the key, the same each time; kNodesMax if there are too many keys.
  uint32_t NodeOf(uint64_t key);
  // Copies the entry of a node out, checks it, and makes it the most recently used. A damaged entry
  // is dropped.
  Found Get(uint32_t node, Entry& entry);
  // Keeps a copy, in place of the least recently used if no frame is free. False if there is no
  // frame at all.
  bool Put(uint32_t node, const Entry& entry);

  // Grows and shrinks with the grant.
  guest::FramePool::Changes Update(const NomGuestBoard& board) { return pool_.Update(board); }
  // Makes room in the grant for something else (FramePool::SetAside).
  [[nodiscard]] bool SetAside(uint64_t frames) { return pool_.SetAside(frames); }

  uint64_t entries() const { return pool_.used_frames(); }
  const guest::FramePool& pool() const { return pool_; }

  // FrameOwner:
  void GiveUp(uint64_t frames) override;
  void Moved(uint64_t from_frame, uint64_t to_frame) override;
  void Lost(uint64_t frame) override;

 private:
  static constexpr uint32_t kSlots = 2 * kNodesMax;
  static constexpr uint16_t kNone = 0xffff;
  static constexpr uint32_t kNoFrame = ~uint32_t{0};

  struct Node {
    uint64_t key = 0;
    uint32_t frame = kNoFrame;
    uint16_t newer = kNone;  // Neighbours by recency, while it has a frame.
    uint16_t older = kNone;
  };

  void Link(uint16_t node);  // As the most recently used.
  void Unlink(uint16_t node);
  void Drop(uint16_t node);  // Unlinks it and frees its frame.

  guest::Nomhv* nomhv_;
  uint32_t nodes_count_ = 0;
  uint16_t newest_ = kNone;
  uint16_t oldest_ = kNone;
  std::array<Node, kNodesMax> nodes_ = {};
  std::array<uint16_t, kSlots> table_;  // Linear probing from the key's hash.
  std::array<uint16_t, kFramesMax> node_of_frame_;
  std::array<uint64_t, guest::FramePool::WordsNeeded(kFramesMax)> words_ = {};
  guest::FramePool pool_;  // Last: it may call back while it is made.
};

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_CACHE_STORE_H_
