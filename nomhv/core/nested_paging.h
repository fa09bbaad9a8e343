// SPDX-License-Identifier: Apache-2.0
// A guest's nested page tables: guest-physical to host-physical, four levels, 4 KiB pages (AMD64
// APM volume 2, 15.25). They are second-level tables of VT-d as well (Intel VT-d 3.4, 9.8: the
// lowest two bits allow reads and writes, 52 to 61 and 63 are ignored), so that what devices reach
// is what the guest reaches, and never a list to be kept in step. Nested walks are user accesses,
// so every entry carries U/S. Physical memory is a parameter: the same code builds real tables and
// tables in a test's vector.

#ifndef NOMHV_CORE_NESTED_PAGING_H_
#define NOMHV_CORE_NESTED_PAGING_H_

#include <atomic>
#include <concepts>
#include <cstdint>
#include <optional>

#include "nomhv/core/result.h"

namespace nomhv {

template <typename M>
concept TableMemory = requires(M memory, uint64_t physical) {
  // The 512 entries of the table at `physical`, writable, 8-aligned.
  { memory.Table(physical) } -> std::same_as<uint64_t*>;
  // A zeroed table; fails with TABLE_FULL.
  { memory.AllocateTable() } -> std::same_as<Result<uint64_t>>;
  {memory.FreeTable(physical)};
  // An entry was changed: an IOMMU that does not snoop caches must see its cache line, too.
  {memory.Changed(&physical)};
};

struct NestedFlags {
  bool writable = true;
  bool executable = true;
  bool device = false;  // Registers: never cached.
};

struct NestedMapping {
  uint64_t physical = 0;
  NestedFlags flags;
};

// One at a time changes them, and many read them meanwhile, the processors that walk them among
// these: entries are written whole. Each directory entry counts what its table maps, in bits that
// the processor leaves to software (5.4.1), so that no search looks at more than one entry for each
// table and the entries of two. Whoever unmaps or narrows flushes every processor that may run the
// guest before the frame is used again. Tables, once built, stay until Destroy.
template <TableMemory M>
class NestedTables {
 public:
  // `memory` outlives the tables.
  Status Init(M* memory) {
    NOMHV_CHECK(memory_ == nullptr, "nested tables: initialised twice");
    const Result<uint64_t> root = NewTable(memory);
    if (!root.ok()) return root.code();
    memory_ = memory;
    root_ = root.value();
    return {};
  }

  // The physical address for nCR3.
  [[nodiscard]] uint64_t root() const { return root_; }
  // The same tables for an IOMMU of three levels, up to 512 GiB; once one there is reserved.
  [[nodiscard]] uint64_t root_of_three_levels() const {
    return Slot(root_, 0, kLevels)->load(std::memory_order_relaxed) & kAddressMask;
  }

  // Builds every table for guest-physical [first, first + bytes), so that Map there cannot fail. On
  // failure what was built stays and is freed by Destroy.
  Status Reserve(uint64_t first, uint64_t bytes) {
    const uint64_t end = first + bytes;
    for (uint64_t gpa = first & ~(kTableSpan - 1); gpa < end; gpa += kTableSpan) {
      const Result<std::atomic<uint64_t>*> directory = BuildDirectory(gpa);
      if (!directory.ok()) return directory.code();
    }
    return {};
  }

  // Both addresses are multiples of a frame. ALREADY_HELD if something is mapped there, TABLE_FULL
  // if a table was missing and none could be had.
  Status Map(uint64_t gpa, uint64_t physical, NestedFlags flags) {
    NOMHV_CHECK(
        (gpa | physical) % NOM_FRAME_BYTES == 0 && gpa < kLimit && (physical & ~kAddressMask) == 0,
        "nested tables: bad address to map");
    const Result<std::atomic<uint64_t>*> directory = BuildDirectory(gpa);
    if (!directory.ok()) return directory.code();
    std::atomic<uint64_t>* const entry = EntryBelow(directory.value(), gpa);
    if ((entry->load(std::memory_order_relaxed) & kPresent) != 0) return NOM_STATUS_ALREADY_HELD;
    entry->store(physical | Bits(flags), std::memory_order_release);
    memory_->Changed(entry);
    // The processor may set its own bits there meanwhile.
    directory.value()->fetch_add(kOneMapped, std::memory_order_relaxed);
    return {};
  }

  // Maps supply() at each hole of [gpa, end), where tables are reserved, at `most` of them; where
  // the next hole is, or `end`.
  template <typename Supply>
  uint64_t Fill(uint64_t gpa, uint64_t end, uint64_t most, NestedFlags flags, Supply&& supply) {
    while ((gpa = NextHole(gpa, end).value_or(end)) < end && most > 0) {
      std::atomic<uint64_t>* const directory = Directory(gpa).value();
      std::atomic<uint64_t>* entry = EntryBelow(directory, gpa);
      const uint64_t before = most;
      for (const uint64_t stop = TableEnd(gpa, end); gpa < stop && most > 0;
           gpa += NOM_FRAME_BYTES, ++entry) {
        if ((entry->load(std::memory_order_relaxed) & kPresent) != 0) continue;
        entry->store(supply() | Bits(flags), std::memory_order_release);
        memory_->Changed(entry);
        --most;
      }
      directory->fetch_add((before - most) * kOneMapped, std::memory_order_relaxed);
    }
    return gpa;
  }

  // Takes all mappings of [gpa, end) away, and gives each frame to sink(physical).
  template <typename Sink>
  void Clear(uint64_t gpa, uint64_t end, Sink&& sink) {
    while ((gpa = NextMapped(gpa, end).value_or(end)) < end) {
      std::atomic<uint64_t>* const directory = Directory(gpa).value();
      std::atomic<uint64_t>* entry = EntryBelow(directory, gpa);
      uint64_t taken = 0;
      for (const uint64_t stop = TableEnd(gpa, end); gpa < stop; gpa += NOM_FRAME_BYTES, ++entry) {
        const uint64_t old = entry->exchange(0, std::memory_order_acq_rel);
        if ((old & kPresent) == 0) continue;
        memory_->Changed(entry);
        sink(old & kAddressMask);
        ++taken;
      }
      directory->fetch_sub(taken * kOneMapped, std::memory_order_relaxed);
    }
  }

  [[nodiscard]] std::optional<NestedMapping> Find(uint64_t gpa) const {
    const Result<std::atomic<uint64_t>*> directory = Directory(gpa);
    if (!directory.ok()) return std::nullopt;
    const uint64_t bits = EntryBelow(directory.value(), gpa)->load(std::memory_order_acquire);
    if ((bits & kPresent) == 0) return std::nullopt;
    return Decode(bits);
  }

  // The first mapped (or unmapped) page in [gpa, end), if there is one. Multiples of a frame.
  [[nodiscard]] std::optional<uint64_t> NextMapped(uint64_t gpa, uint64_t end) const {
    return Next(gpa, end, /*mapped=*/true);
  }
  [[nodiscard]] std::optional<uint64_t> NextHole(uint64_t gpa, uint64_t end) const {
    return Next(gpa, end, /*mapped=*/false);
  }
  // The last mapped page in [begin, end).
  [[nodiscard]] std::optional<uint64_t> LastMapped(uint64_t begin, uint64_t end) const {
    while (end > begin) {
      const uint64_t span = (end - NOM_FRAME_BYTES) & ~(kTableSpan - 1);
      const uint64_t from = span > begin ? span : begin;
      const Result<std::atomic<uint64_t>*> directory = Directory(span);
      if (directory.ok() && Mapped(directory.value()) > 0) {
        for (uint64_t gpa = end; gpa > from; gpa -= NOM_FRAME_BYTES) {
          const auto* const entry = EntryBelow(directory.value(), gpa - NOM_FRAME_BYTES);
          if ((entry->load(std::memory_order_acquire) & kPresent) != 0)
            return gpa - NOM_FRAME_BYTES;
        }
      }
      end = from;
    }
    return std::nullopt;
  }

  // Frees the tables (not what they map). No processor may run on them any more.
  void Destroy() {
    if (memory_ == nullptr) return;
    FreeLevel(root_, kLevels);
    memory_ = nullptr;
    root_ = 0;
    for (auto& directory : directories_) directory = nullptr;
  }

 private:
  static constexpr int kLevels = 4;
  static constexpr uint64_t kEntries = 512;
  static constexpr uint64_t kLineEntries = 8;
  static constexpr uint64_t kTableSpan = uint64_t{NOM_FRAME_BYTES} * kEntries;
  static constexpr uint64_t kDirectorySpan = kTableSpan * kEntries;
  static constexpr uint64_t kRemembered = 4;  // Up to 4 GiB.
  static constexpr uint64_t kLimit = uint64_t{1} << 48;
  static constexpr uint64_t kPresent = 1;
  static constexpr uint64_t kWritable = 2;
  static constexpr uint64_t kUser = 4;
  static constexpr uint64_t kUncached = 0x18;  // PCD, PWT.
  static constexpr uint64_t kNoExecute = uint64_t{1} << 63;
  static constexpr uint64_t kAddressMask = 0x000ffffffffff000;
  // In a directory entry: how many entries of its table are present.
  static constexpr int kMappedShift = 52;
  static constexpr uint64_t kOneMapped = uint64_t{1} << kMappedShift;
  static constexpr uint64_t kMappedMask = uint64_t{0x3ff} << kMappedShift;

  static uint64_t Bits(NestedFlags flags) {
    return kPresent | kUser | (flags.writable ? kWritable : 0) |
           (flags.executable ? 0 : kNoExecute) | (flags.device ? kUncached : 0);
  }
  static NestedMapping Decode(uint64_t bits) {
    return {bits & kAddressMask,
            {(bits & kWritable) != 0, (bits & kNoExecute) == 0, (bits & kUncached) != 0}};
  }
  static_assert(sizeof(std::atomic<uint64_t>) == sizeof(uint64_t));
  static uint64_t TableEnd(uint64_t gpa, uint64_t end) {
    const uint64_t table_end = (gpa | (kTableSpan - 1)) + 1;
    return table_end < end ? table_end : end;
  }

  // Seen to be empty before anything leads to it.
  static Result<uint64_t> NewTable(M* memory) {
    const Result<uint64_t> fresh = memory->AllocateTable();
    for (uint64_t i = 0; fresh.ok() && i < kEntries; i += kLineEntries) {
      memory->Changed(memory->Table(fresh.value()) + i);
    }
    return fresh;
  }

  std::atomic<uint64_t>* Slot(uint64_t table, uint64_t gpa, int level) const {
    const uint64_t index = (gpa >> (12 + 9 * (level - 1))) % kEntries;
    return reinterpret_cast<std::atomic<uint64_t>*>(memory_->Table(table) + index);
  }

  // The entry that names the last-level table for `gpa`; NOT_HELD if there is no such table. As
  // tables stay, those of all that a guest has of its own are remembered.
  Result<std::atomic<uint64_t>*> Directory(uint64_t gpa) const {
    if (gpa < kRemembered * kDirectorySpan) [[likely]] {
      auto* const known = directories_[gpa / kDirectorySpan].load(std::memory_order_acquire);
      if (known != nullptr) {
        std::atomic<uint64_t>* const slot = known + gpa / kTableSpan % kEntries;
        if ((slot->load(std::memory_order_acquire) & kPresent) != 0) return slot;
        return NOM_STATUS_NOT_HELD;
      }
    }
    if (memory_ == nullptr || gpa >= kLimit) return NOM_STATUS_NOT_HELD;
    uint64_t table = root_;
    for (int level = kLevels; level > 2; --level) {
      const uint64_t bits = Slot(table, gpa, level)->load(std::memory_order_acquire);
      if ((bits & kPresent) == 0) return NOM_STATUS_NOT_HELD;
      table = bits & kAddressMask;
    }
    std::atomic<uint64_t>* const slot = Slot(table, gpa, 2);
    if ((slot->load(std::memory_order_acquire) & kPresent) == 0) return NOM_STATUS_NOT_HELD;
    if (gpa < kRemembered * kDirectorySpan) {
      directories_[gpa / kDirectorySpan].store(slot - gpa / kTableSpan % kEntries,
                                               std::memory_order_release);
    }
    return slot;
  }

  Result<std::atomic<uint64_t>*> BuildDirectory(uint64_t gpa) {
    const Result<std::atomic<uint64_t>*> there = Directory(gpa);
    if (there.ok()) return there;
    NOMHV_CHECK(memory_ != nullptr && gpa < kLimit, "nested tables: not initialised");
    uint64_t table = root_;
    for (int level = kLevels;; --level) {
      std::atomic<uint64_t>* slot = Slot(table, gpa, level);
      uint64_t bits = slot->load(std::memory_order_relaxed);
      if ((bits & kPresent) == 0) {
        const Result<uint64_t> fresh = NewTable(memory_);
        if (!fresh.ok()) return fresh.code();
        bits = fresh.value() | kPresent | kWritable | kUser;
        slot->store(bits, std::memory_order_release);
        memory_->Changed(slot);
      }
      if (level == 2) return slot;
      table = bits & kAddressMask;
    }
  }

  std::atomic<uint64_t>* EntryBelow(const std::atomic<uint64_t>* directory, uint64_t gpa) const {
    return Slot(directory->load(std::memory_order_relaxed) & kAddressMask, gpa, 1);
  }
  static uint64_t Mapped(const std::atomic<uint64_t>* directory) {
    return (directory->load(std::memory_order_relaxed) & kMappedMask) >> kMappedShift;
  }

  std::optional<uint64_t> Next(uint64_t gpa, uint64_t end, bool mapped) const {
    while (gpa < end) {
      const uint64_t span_end = gpa / kDirectorySpan * kDirectorySpan + kDirectorySpan;
      // Entries of one directory lie side by side.
      const Result<std::atomic<uint64_t>*> first = Directory(gpa);
      if (!first.ok()) {
        if (!mapped) return gpa;
        gpa = gpa / kTableSpan * kTableSpan + kTableSpan;
        continue;
      }
      const uint64_t stop = span_end < end ? span_end : end;
      // A table of a directory that has nothing to find, as a whole.
      constexpr uint64_t kLooked = kMappedMask | kPresent;
      const uint64_t nothing = (mapped ? 0 : kEntries) << kMappedShift | kPresent;
      const std::atomic<uint64_t>* directory = first.value();
      const std::atomic<uint64_t>* const directory_end =
          directory + ((stop - 1) / kTableSpan - gpa / kTableSpan) + 1;
      while (gpa < stop) {
        const std::atomic<uint64_t>* const begin = directory;
        uint64_t bits = 0;
        for (; directory != directory_end; ++directory) {
          bits = directory->load(std::memory_order_acquire);
          if ((bits & kLooked) != nothing) break;
        }
        if (directory != begin) {
          gpa = (gpa & ~(kTableSpan - 1)) + static_cast<uint64_t>(directory - begin) * kTableSpan;
        }
        if (directory == directory_end || (bits & kPresent) == 0) break;
        const uint64_t table_end = (gpa | (kTableSpan - 1)) + 1;
        const std::atomic<uint64_t>* entry = Slot(bits & kAddressMask, gpa, 1);
        for (; gpa < table_end && gpa < stop; gpa += NOM_FRAME_BYTES, ++entry) {
          if (((entry->load(std::memory_order_acquire) & kPresent) != 0) == mapped) return gpa;
        }
        ++directory;
      }
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
  mutable std::atomic<std::atomic<uint64_t>*> directories_[kRemembered] = {};
};

}  // namespace nomhv

#endif  // NOMHV_CORE_NESTED_PAGING_H_
