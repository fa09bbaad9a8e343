// A guest's nested page tables: guest-physical to host-physical, four levels, 4 KiB pages (AMD64
// APM volume 2, 15.25). Nested walks are user accesses, so every entry carries U/S. Physical memory
// is a parameter: the same code builds real tables and tables in a test's vector.

#ifndef NOMHV_CORE_NESTED_PAGING_H_
#define NOMHV_CORE_NESTED_PAGING_H_

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "nomhv/core/result.h"

namespace nomhv {

template <typename M>
concept TableMemory = requires(M memory, uint64_t physical) {
  // The 512 entries of the table at `physical`, writable, 8-aligned.
  { memory.Table(physical) } -> std::same_as<uint64_t*>;
  // A zeroed table; fails with TABLE_FULL.
  { memory.AllocateTable() } -> std::same_as<Result<uint64_t>>;
  {memory.FreeTable(physical)};
};

struct NestedFlags {
  bool writable = true;
  bool executable = true;
};

struct NestedMapping {
  uint64_t physical = 0;
  NestedFlags flags;
};

// Not thread-safe for writers: the guest's lock. The processor walks the tables at any time, so
// entries are written whole. Whoever unmaps or narrows flushes every processor that may run the
// guest before the frame is used again. Tables, once built, stay until Destroy.
template <TableMemory M>
class NestedTables {
 public:
  // `memory` outlives the tables.
  Status Init(M* memory) {
    NOMHV_CHECK(memory_ == nullptr, "nested tables: initialised twice");
    const Result<uint64_t> root = memory->AllocateTable();
    if (!root.ok()) return root.code();
    memory_ = memory;
    root_ = root.value();
    return {};
  }

  // The physical address for nCR3.
  [[nodiscard]] uint64_t root() const { return root_; }

  // Builds every table for guest-physical [first, first + bytes), so that Map there cannot fail. On
  // failure what was built stays and is freed by Destroy.
  Status Reserve(uint64_t first, uint64_t bytes) {
    constexpr uint64_t kTableSpan = uint64_t{NOM_FRAME_BYTES} * kEntries;
    const uint64_t end = first + bytes;
    for (uint64_t gpa = first & ~(kTableSpan - 1); gpa < end; gpa += kTableSpan) {
      const Result<std::atomic<uint64_t>*> entry = Entry(gpa, /*build=*/true);
      if (!entry.ok()) return entry.code();
    }
    return {};
  }

  // Both addresses are multiples of a frame. ALREADY_HELD if something is mapped there, TABLE_FULL
  // if a table was missing and none could be had.
  Status Map(uint64_t gpa, uint64_t physical, NestedFlags flags) {
    NOMHV_CHECK(
        (gpa | physical) % NOM_FRAME_BYTES == 0 && gpa < kLimit && (physical & ~kAddressMask) == 0,
        "nested tables: bad address to map");
    const Result<std::atomic<uint64_t>*> entry = Entry(gpa, /*build=*/true);
    if (!entry.ok()) return entry.code();
    if ((entry.value()->load(std::memory_order_relaxed) & kPresent) != 0) {
      return NOM_STATUS_ALREADY_HELD;
    }
    entry.value()->store(physical | Bits(flags), std::memory_order_release);
    return {};
  }

  // Takes the mapping away and says what it was; NOT_HELD if there was none.
  Result<NestedMapping> Unmap(uint64_t gpa) {
    const Result<std::atomic<uint64_t>*> entry = Entry(gpa, /*build=*/false);
    if (!entry.ok()) return entry.code();
    const uint64_t old = entry.value()->exchange(0, std::memory_order_acq_rel);
    if ((old & kPresent) == 0) return NOM_STATUS_NOT_HELD;
    return Decode(old);
  }

  [[nodiscard]] std::optional<NestedMapping> Find(uint64_t gpa) const {
    const Result<std::atomic<uint64_t>*> entry = Entry(gpa);
    if (!entry.ok()) return std::nullopt;
    const uint64_t bits = entry.value()->load(std::memory_order_acquire);
    if ((bits & kPresent) == 0) return std::nullopt;
    return Decode(bits);
  }

  // The first mapped (or unmapped) page in [gpa, end); nothing if there is none. Multiples of a
  // frame.
  [[nodiscard]] std::optional<uint64_t> NextMapped(uint64_t gpa, uint64_t end) const {
    return Next(gpa, end, /*mapped=*/true);
  }
  [[nodiscard]] std::optional<uint64_t> NextHole(uint64_t gpa, uint64_t end) const {
    return Next(gpa, end, /*mapped=*/false);
  }
  // The last mapped page in [begin, end).
  [[nodiscard]] std::optional<uint64_t> LastMapped(uint64_t begin, uint64_t end) const {
    while (end > begin) {
      end -= NOM_FRAME_BYTES;
      if (Find(end).has_value()) return end;
    }
    return std::nullopt;
  }

  // Frees the tables (not what they map). No processor may run on them any more.
  void Destroy() {
    if (memory_ == nullptr) return;
    FreeLevel(root_, kLevels);
    memory_ = nullptr;
    root_ = 0;
  }

 private:
  static constexpr int kLevels = 4;
  static constexpr uint64_t kEntries = 512;
  static constexpr uint64_t kLimit = uint64_t{1} << 48;
  static constexpr uint64_t kPresent = 1;
  static constexpr uint64_t kWritable = 2;
  static constexpr uint64_t kUser = 4;
  static constexpr uint64_t kNoExecute = uint64_t{1} << 63;
  static constexpr uint64_t kAddressMask = 0x000ffffffffff000;

  static uint64_t Bits(NestedFlags flags) {
    return kPresent | kUser | (flags.writable ? kWritable : 0) |
           (flags.executable ? 0 : kNoExecute);
  }
  static NestedMapping Decode(uint64_t bits) {
    return {bits & kAddressMask, {(bits & kWritable) != 0, (bits & kNoExecute) == 0}};
  }
  static_assert(sizeof(std::atomic<uint64_t>) == sizeof(uint64_t));

  std::atomic<uint64_t>* Slot(uint64_t table, uint64_t gpa, int level) const {
    const uint64_t index = (gpa >> (12 + 9 * (level - 1))) % kEntries;
    return reinterpret_cast<std::atomic<uint64_t>*>(memory_->Table(table) + index);
  }

  // The last-level entry for `gpa`; NOT_HELD if its table is missing.
  Result<std::atomic<uint64_t>*> Entry(uint64_t gpa) const {
    if (memory_ == nullptr || gpa >= kLimit) return NOM_STATUS_NOT_HELD;
    uint64_t table = root_;
    for (int level = kLevels; level > 1; --level) {
      const uint64_t bits = Slot(table, gpa, level)->load(std::memory_order_acquire);
      if ((bits & kPresent) == 0) return NOM_STATUS_NOT_HELD;
      table = bits & kAddressMask;
    }
    return Slot(table, gpa, 1);
  }

  Result<std::atomic<uint64_t>*> Entry(uint64_t gpa, bool build) {
    if (!build) return std::as_const(*this).Entry(gpa);
    NOMHV_CHECK(memory_ != nullptr && gpa < kLimit, "nested tables: not initialised");
    uint64_t table = root_;
    for (int level = kLevels; level > 1; --level) {
      std::atomic<uint64_t>* slot = Slot(table, gpa, level);
      uint64_t bits = slot->load(std::memory_order_relaxed);
      if ((bits & kPresent) == 0) {
        const Result<uint64_t> fresh = memory_->AllocateTable();
        if (!fresh.ok()) return fresh.code();
        bits = fresh.value() | kPresent | kWritable | kUser;
        slot->store(bits, std::memory_order_release);
      }
      table = bits & kAddressMask;
    }
    return Slot(table, gpa, 1);
  }

  std::optional<uint64_t> Next(uint64_t gpa, uint64_t end, bool mapped) const {
    for (; gpa < end; gpa += NOM_FRAME_BYTES) {
      if (Find(gpa).has_value() == mapped) return gpa;
    }
    return std::nullopt;
  }

  void FreeLevel(uint64_t table, int level) {
    if (level > 1) {
      for (uint64_t i = 0; i < kEntries; ++i) {
        const uint64_t bits = memory_->Table(table)[i];
        if ((bits & kPresent) != 0) FreeLevel(bits & kAddressMask, level - 1);
      }
    }
    memory_->FreeTable(table);
  }

  M* memory_ = nullptr;
  uint64_t root_ = 0;
};

}  // namespace nomhv

#endif  // NOMHV_CORE_NESTED_PAGING_H_
