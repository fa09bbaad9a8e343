// SPDX-License-Identifier: Apache-2.0
// When a processor must forget translations before it runs a guest. All guests share one address
// space number (a processor may have as few as 16), so what it remembers may be another guest's;
// the guest's own mappings may have been taken away; and what the guest itself invalidated while it
// ran elsewhere was never invalidated here (AMD64 APM volume 2, 15.16).

#ifndef NOMHV_CORE_TRANSLATIONS_H_
#define NOMHV_CORE_TRANSLATIONS_H_

#include <cstdint>

namespace nomhv {

// A guest's. Under its claim.
class GuestTranslations {
 public:
  // A mapping was taken away or narrowed, or one guest makes room for another in its slot.
  void Invalidate() { ++generation_; }

  // The guest is about to run on `processor`. What it did to its own tables elsewhere counts as an
  // invalidation here.
  void RunsOn(uint32_t processor) {
    if (processor_ != processor) Invalidate();
    processor_ = processor;
  }

  [[nodiscard]] uint64_t generation() const { return generation_; }

 private:
  uint64_t generation_ = 1;
  uint32_t processor_ = ~uint32_t{0};
};

// A processor's. That processor only.
class ProcessorTranslations {
 public:
  // Whether it must flush before it enters the virtual processor `vcpu`; remembers that it has.
  [[nodiscard]] bool MustFlush(uint32_t vcpu, const GuestTranslations& guest) {
    if (owner_ == vcpu && generation_ == guest.generation()) [[likely]]
      return false;
    changed_hands_ = owner_ != vcpu;
    owner_ = vcpu;
    generation_ = guest.generation();
    return true;
  }
  // Whether what the last flush threw away was another's than who flushed.
  [[nodiscard]] bool changed_hands() const { return changed_hands_; }

 private:
  bool changed_hands_ = false;
  uint32_t owner_ = ~uint32_t{0};
  uint64_t generation_ = 0;
};

}  // namespace nomhv

#endif  // NOMHV_CORE_TRANSLATIONS_H_
