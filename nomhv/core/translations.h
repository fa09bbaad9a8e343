// SPDX-License-Identifier: Apache-2.0
// When a processor must forget translations before it runs a guest. All guests share one address
// space number (a processor may have as few as 16), so what it remembers may be another's; the
// guest's own mappings may have been taken away; and what the guest itself invalidated while this
// virtual processor ran elsewhere was never invalidated here (AMD64 APM volume 2, 15.16).
//
// A guest may run on several processors. Whoever takes a mapping from it makes each of them leave
// the guest before what was mapped is anybody else's: ForgetEverywhere.

#ifndef NOMHV_CORE_TRANSLATIONS_H_
#define NOMHV_CORE_TRANSLATIONS_H_

#include <atomic>
#include <cstdint>

namespace nomhv {

// A virtual processor's. Its generations are nobody else's: the upper bits say whose they are.
class VcpuTranslations {
 public:
  static constexpr int kOwnerShift = 48;

  // A mapping of its guest was taken away or narrowed, or another guest takes its place. Any
  // processor; the new generation.
  uint64_t Invalidate() { return generation_.fetch_add(1, std::memory_order_seq_cst) + 1; }

  // For a new guest in the place of number `vcpu`, whose last generation is given; 0 at first.
  void GoOnAfter(uint32_t vcpu, uint64_t generation) {
    const uint64_t count = generation % (uint64_t{1} << kOwnerShift) + 1;
    generation_.store(uint64_t{vcpu} << kOwnerShift | count, std::memory_order_release);
  }

  // It is about to run on `processor`. What it did to its own tables elsewhere counts as an
  // invalidation here. Under its claim, as what follows.
  void RunsOn(uint32_t processor) {
    if (processor_ != processor) static_cast<void>(Invalidate());
    processor_ = processor;
  }
  // It is out of the guest with nothing under way: it enters with a generation no older than now.
  void Left() { left_.store(generation(), std::memory_order_release); }

  [[nodiscard]] bool HasLeftSince(uint64_t generation) const {
    return left_.load(std::memory_order_acquire) >= generation;
  }
  [[nodiscard]] uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

 private:
  std::atomic<uint64_t> generation_{0};
  std::atomic<uint64_t> left_{0};
  uint32_t processor_ = ~uint32_t{0};
};

// Returns when no processor reaches what was mapped for the guest of these `count` virtual
// processors and is no more; `translations(i)` is that of number i. `running(i)` says whether
// another processor than the caller's runs it now; `hurry(i)`, called until then, makes it leave.
template <typename Translations, typename Running, typename Hurry>
void ForgetEverywhere(uint32_t count, Translations&& translations, Running&& running,
                      Hurry&& hurry) {
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t generation = translations(i).Invalidate();
    while (running(i) && !translations(i).HasLeftSince(generation)) hurry(i);
  }
}

// A processor's. That processor only.
class ProcessorTranslations {
 public:
  // Whether it must flush before it enters a virtual processor of this generation; remembers it.
  [[nodiscard]] bool MustFlush(uint64_t generation) {
    if (generation_ == generation) [[likely]]
      return false;
    changed_hands_ = (generation_ ^ generation) >> VcpuTranslations::kOwnerShift != 0;
    generation_ = generation;
    return true;
  }
  // Whether what the last flush threw away was another's than who flushed.
  [[nodiscard]] bool changed_hands() const { return changed_hands_; }

 private:
  bool changed_hands_ = false;
  uint64_t generation_ = ~uint64_t{0};  // Nobody's.
};

}  // namespace nomhv

#endif  // NOMHV_CORE_TRANSLATIONS_H_
