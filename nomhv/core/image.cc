// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/image.h"

#include <elf.h>

#include <algorithm>
#include <cstring>

#include "nomhv/abi/guest.h"
#include "nomhv/core/shared_memory.h"

namespace nomhv {
namespace {

constexpr uint32_t kNotePvhEntry = 18;
constexpr uint16_t kProgramHeadersMax = 64;
// A longer note segment is not searched to its end: time spent on a stranger's file is bounded.
constexpr uint64_t kNotesMaxBytes = 4096;

// Looks for the PVH entry in one note segment, which lies in the image.
bool FindEntry(std::span<const std::byte> notes, uint64_t& entry) {
  uint64_t at = 0;
  while (InBounds(at, sizeof(Elf64_Nhdr), notes.size())) {
    const auto header = CopyOnce<Elf64_Nhdr>(notes.data() + at);
    const uint64_t name_at = at + sizeof(Elf64_Nhdr);
    const uint64_t description_at = name_at + AlignUp4(header.n_namesz);
    if (!InBounds(description_at, header.n_descsz, notes.size())) return false;
    if (header.n_type == kNotePvhEntry && header.n_namesz == 4 &&
        (header.n_descsz == 4 || header.n_descsz == 8) &&
        CopyOnce<uint32_t>(notes.data() + name_at) == 0x006e6558) {  // "Xen\0"
      const std::byte* const description = notes.data() + description_at;
      const bool wide = header.n_descsz == 8;
      entry = wide ? CopyOnce<uint64_t>(description) : CopyOnce<uint32_t>(description);
      return true;
    }
    at = description_at + AlignUp4(header.n_descsz);
  }
  return false;
}

bool Overlap(const ImageSegment& a, const ImageSegment& b) {
  return a.gpa < b.gpa + b.memory_bytes && b.gpa < a.gpa + a.memory_bytes;
}

NomImageFault AddSegment(const Elf64_Phdr& header, uint64_t image_bytes, uint64_t seed_bytes,
                         LoadPlan& plan) {
  if (!InBounds(header.p_offset, header.p_filesz, image_bytes) ||
      header.p_filesz > header.p_memsz || plan.segment_count == kImageSegmentsMax) {
    return NOM_IMAGE_FAULT_BAD_SEGMENT;
  }
  if (!InBounds(header.p_paddr, header.p_memsz, seed_bytes)) {
    return NOM_IMAGE_FAULT_OUTSIDE_SEED;
  }
  const ImageSegment segment{header.p_paddr, header.p_memsz, header.p_offset, header.p_filesz};
  for (uint32_t i = 0; i < plan.segment_count; ++i) {
    if (Overlap(segment, plan.segments[i])) return NOM_IMAGE_FAULT_OVERLAP;
  }
  plan.segments[plan.segment_count++] = segment;
  return NOM_IMAGE_FAULT_NONE;
}

}  // namespace

NomImageFault PlanImage(std::span<const std::byte> image, uint64_t seed_frames, LoadPlan& plan) {
  plan = {};
  const uint64_t seed_bytes =
      std::min<uint64_t>(seed_frames, NOM_WINDOW_FRAMES_MAX) * NOM_FRAME_BYTES;

  if (image.size() < sizeof(Elf64_Ehdr)) return NOM_IMAGE_FAULT_TOO_SHORT;
  const auto elf = CopyOnce<Elf64_Ehdr>(image.data());
  if (std::memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0) return NOM_IMAGE_FAULT_NOT_ELF;
  if (elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_ident[EI_DATA] != ELFDATA2LSB ||
      elf.e_type != ET_EXEC || elf.e_machine != EM_X86_64 ||
      elf.e_phentsize != sizeof(Elf64_Phdr) || elf.e_phnum > kProgramHeadersMax) {
    return NOM_IMAGE_FAULT_NOT_ELF64_X86;
  }
  if (!InBounds(elf.e_phoff, elf.e_phnum * sizeof(Elf64_Phdr), image.size())) {
    return NOM_IMAGE_FAULT_TOO_SHORT;
  }

  bool executable[kImageSegmentsMax] = {};
  bool has_entry = false;
  uint64_t entry = 0;
  for (uint16_t i = 0; i < elf.e_phnum; ++i) {
    const auto header = CopyOnce<Elf64_Phdr>(image.data() + elf.e_phoff + i * sizeof(Elf64_Phdr));
    if (header.p_type == PT_LOAD && header.p_memsz != 0) {
      const NomImageFault fault = AddSegment(header, image.size(), seed_bytes, plan);
      if (fault != NOM_IMAGE_FAULT_NONE) return fault;
      executable[plan.segment_count - 1] = (header.p_flags & PF_X) != 0;
    } else if (header.p_type == PT_NOTE && !has_entry) {
      if (!InBounds(header.p_offset, header.p_filesz, image.size())) {
        return NOM_IMAGE_FAULT_BAD_SEGMENT;
      }
      const uint64_t bytes = std::min(header.p_filesz, kNotesMaxBytes);
      has_entry = FindEntry(image.subspan(header.p_offset, bytes), entry);
    }
  }
  if (!has_entry) return NOM_IMAGE_FAULT_NO_ENTRY;
  for (uint32_t i = 0; i < plan.segment_count; ++i) {
    const ImageSegment& segment = plan.segments[i];
    if (executable[i] && entry >= segment.gpa && entry - segment.gpa < segment.memory_bytes) {
      plan.entry_gpa = static_cast<uint32_t>(entry);  // The window ends below 4 GiB.
      return NOM_IMAGE_FAULT_NONE;
    }
  }
  return NOM_IMAGE_FAULT_NO_ENTRY;
}

}  // namespace nomhv
