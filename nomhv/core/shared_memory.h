// SPDX-License-Identifier: Apache-2.0
// Memory that somebody else may be writing. What a stranger wrote is read by CopyOnce: each byte is
// fetched once, into memory of ours, and only the copy is looked at.
//
// Boards, meters and bid pages are seqlocked: a structure has a `uint32_t sequence`, odd while its
// writer writes (H. Boehm, "Can seqlocks get along with programming language memory models?", MSPC
// 2012). Everything but the sequence moves in whole 64-bit words by relaxed atomics, so that a torn
// word or a data race is impossible.

#ifndef NOMHV_CORE_SHARED_MEMORY_H_
#define NOMHV_CORE_SHARED_MEMORY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace nomhv {

// The barriers keep the compiler from reading `from` again in place of the copy.
inline void CopyOnce(void* to, const void* from, size_t bytes) {
  asm volatile("" ::: "memory");
  std::memcpy(to, from, bytes);
  asm volatile("" ::: "memory");
}

template <typename T>
requires std::is_trivially_copyable_v<T> T CopyOnce(const void* from) {
  T value;
  CopyOnce(&value, from, sizeof(value));
  return value;
}

// Whether [offset, offset + bytes) lies in [0, limit), for any three numbers.
constexpr bool InBounds(uint64_t offset, uint64_t bytes, uint64_t limit) {
  return offset <= limit && bytes <= limit - offset;
}

constexpr uint64_t AlignUp4(uint64_t bytes) { return (bytes + 3) & ~uint64_t{3}; }

namespace seqlock_internal {

static_assert(sizeof(std::atomic<uint64_t>) == 8 && std::atomic<uint64_t>::is_always_lock_free);

// Moves one word. Freestanding code has no memcpy but the one that is called, and a call for each
// word would be most of what a seqlock costs.
inline void CopyWord(void* to, const void* from) { __builtin_memcpy(to, from, 8); }

inline std::atomic<uint64_t>* Words(void* shared) {
  return static_cast<std::atomic<uint64_t>*>(shared);
}
inline const std::atomic<uint64_t>* Words(const void* shared) {
  return static_cast<const std::atomic<uint64_t>*>(shared);
}

}  // namespace seqlock_internal

template <typename T>
concept Seqlocked = std::is_trivially_copyable_v<T> && sizeof(T) % 8 == 0 &&
                    std::is_same_v<decltype(T::sequence), uint32_t>;

// Rewrites `shared` with `value`, whose own `sequence` means nothing. One writer at a time. What a
// stranger wrote into the shared sequence before does not matter.
template <Seqlocked T>
void SeqlockWrite(T* shared, const T& value) {
  constexpr size_t kSequenceWord = offsetof(T, sequence) / 8;
  constexpr size_t kSequenceShift = offsetof(T, sequence) % 8 * 8;
  constexpr uint64_t kSequenceMask = uint64_t{0xffffffff} << kSequenceShift;

  auto* words = seqlock_internal::Words(shared);
  const auto word_of = [&](size_t i) {
    uint64_t word = 0;
    seqlock_internal::CopyWord(&word, reinterpret_cast<const char*>(&value) + i * 8);
    return word;
  };
  // The sequence shares its word with a neighbour, which is written together with the last of it.
  uint64_t word = words[kSequenceWord].load(std::memory_order_relaxed);
  const auto sequence = static_cast<uint32_t>(word >> kSequenceShift);
  const uint32_t odd = sequence | 1;
  word = (word & ~kSequenceMask) | uint64_t{odd} << kSequenceShift;
  words[kSequenceWord].store(word, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  for (size_t i = 0; i < sizeof(T) / 8; ++i) {
    if (i != kSequenceWord) words[i].store(word_of(i), std::memory_order_relaxed);
  }
  word = (word_of(kSequenceWord) & ~kSequenceMask) | uint64_t{odd + 1} << kSequenceShift;
  words[kSequenceWord].store(word, std::memory_order_release);
}

// Changes one field of `shared`, likewise.
template <Seqlocked T>
void SeqlockSet(T* shared, uint64_t T::*field, uint64_t value) {
  const std::atomic_ref<uint32_t> sequence(shared->sequence);
  const uint32_t odd = sequence.load(std::memory_order_relaxed) | 1;
  sequence.store(odd, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  std::atomic_ref<uint64_t>(shared->*field).store(value, std::memory_order_relaxed);
  sequence.store(odd + 1, std::memory_order_release);
}

// Copies `shared` to `value` if it can be had whole within `tries`; false if its writer was always
// in the way, which a hostile one can arrange. The time spent is bounded.
template <Seqlocked T>
[[nodiscard]] bool SeqlockRead(const T* shared, T& value, int tries) {
  constexpr size_t kSequenceWord = offsetof(T, sequence) / 8;
  constexpr size_t kSequenceShift = offsetof(T, sequence) % 8 * 8;

  const auto* words = seqlock_internal::Words(shared);
  for (int i = 0; i < tries; ++i) {
    const uint64_t before = words[kSequenceWord].load(std::memory_order_acquire);
    if ((before >> kSequenceShift & 1) != 0) continue;
    for (size_t w = 0; w < sizeof(T) / 8; ++w) {
      const uint64_t word = words[w].load(std::memory_order_relaxed);
      seqlock_internal::CopyWord(reinterpret_cast<char*>(&value) + w * 8, &word);
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    // The whole word: the sequence's neighbour is part of the structure.
    const uint64_t after = words[kSequenceWord].load(std::memory_order_relaxed);
    if (before != after) continue;
    seqlock_internal::CopyWord(reinterpret_cast<char*>(&value) + kSequenceWord * 8, &before);
    return true;
  }
  return false;
}

}  // namespace nomhv

#endif  // NOMHV_CORE_SHARED_MEMORY_H_
