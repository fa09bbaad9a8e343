// The table of guests: who exists, what each was promised, what each is granted. Admission and
// grants are decided here, before anything is done to the machine. Not thread-safe: only the
// processor that serves the mailbox writes it.

#ifndef NOMHV_CORE_GUESTS_H_
#define NOMHV_CORE_GUESTS_H_

#include <cstdint>

#include "nomhv/abi/guest.h"
#include "nomhv/abi/mailbox.h"
#include "nomhv/core/result.h"

namespace nomhv {

// A guest has one processor of its own at most.
inline constexpr uint64_t kMillicoresPerProcessor = 1000;

// Frames, processor time and devices: what a machine has, or what guests hold of it.
struct Amounts {
  uint64_t frames = 0;
  uint64_t millicores = 0;
  uint32_t devices = 0;  // A bit each.

  friend constexpr bool operator==(const Amounts&, const Amounts&) = default;
};

struct Guest {
  bool exists = false;  // From CREATE to DESTROY, ended or not.
  bool ended = false;   // Then seed and grants are 0.

  [[nodiscard]] bool running() const { return exists && !ended; }

  uint64_t id = 0;
  uint64_t window_frames = 0;
  Amounts seed;
  Amounts granted;  // seed <= granted; frames <= window_frames.
  Amounts next;     // As the last PREPARE said; equal to granted when none is open.
};

class GuestTable {
 public:
  static constexpr uint32_t kSlots = NOM_GUESTS_MAX;

  explicit GuestTable(Amounts capacity) : capacity_(capacity) {}

  // Checks `create`, a copy of marketd's, and takes a slot for it with the seed as its grant.
  // BAD_PARAMETER: id 0, no seed frames, seed above the window, window above NOM_WINDOW_FRAMES_MAX,
  // more millicores than one processor, or a name or arguments without a terminating zero. EXISTS.
  // TABLE_FULL. OVER_CAPACITY: the seed does not fit beside the present grants.
  Result<uint32_t> Admit(const NomCreate& create);

  // The guest runs no more: its grant, seed included, is free again; its id stays taken until
  // Remove. A slot without a running guest is a broken promise.
  void End(uint32_t slot);

  // Forgets the guest of a slot and frees its grant. A slot without a guest is a broken promise.
  void Remove(uint32_t slot);

  // NO_SUCH_GUEST.
  [[nodiscard]] Result<uint32_t> Find(uint64_t id) const;

  [[nodiscard]] const Guest& at(uint32_t slot) const;
  [[nodiscard]] Guest& at(uint32_t slot);
  [[nodiscard]] uint32_t count() const { return count_; }
  [[nodiscard]] const Amounts& capacity() const { return capacity_; }
  // The sum of all grants: never above capacity.
  [[nodiscard]] Amounts granted() const;

 private:
  Amounts capacity_;
  uint32_t count_ = 0;
  Guest guests_[kSlots];
};

}  // namespace nomhv

#endif  // NOMHV_CORE_GUESTS_H_
