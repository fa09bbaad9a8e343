#include "nomhv/core/image.h"

#include "nomhv/abi/guest.h"
#include "nomhv/core/copy_once.h"

namespace nomhv {
namespace {

// Elf64_Ehdr, Elf64_Phdr and Elf64_Nhdr of the gABI.
struct ElfHeader {
  uint8_t ident[16];
  uint16_t type;
  uint16_t machine;
  uint32_t version;
  uint64_t entry;
  uint64_t program_headers_at;
  uint64_t section_headers_at;
  uint32_t flags;
  uint16_t header_bytes;
  uint16_t program_header_bytes;
  uint16_t program_header_count;
  uint16_t section_header_bytes;
  uint16_t section_header_count;
  uint16_t section_names_index;
};
static_assert(sizeof(ElfHeader) == 64);

struct ProgramHeader {
  uint32_t type;
  uint32_t flags;
  uint64_t file_offset;
  uint64_t virtual_address;
  uint64_t physical_address;
  uint64_t file_bytes;
  uint64_t memory_bytes;
  uint64_t alignment;
};
static_assert(sizeof(ProgramHeader) == 56);

struct NoteHeader {
  uint32_t name_bytes;
  uint32_t description_bytes;
  uint32_t type;
};

constexpr uint8_t kIdent[6] = {0x7f, 'E', 'L', 'F', 2, 1};  // 64 bits, little-endian.
constexpr uint16_t kTypeExecutable = 2;
constexpr uint16_t kMachineX86_64 = 62;
constexpr uint32_t kSegmentLoad = 1;
constexpr uint32_t kSegmentNote = 4;
constexpr uint32_t kFlagExecute = 1;
constexpr uint32_t kNotePvhEntry = 18;
constexpr uint16_t kProgramHeadersMax = 64;
// A note segment longer than this is not searched to its end: time spent on a stranger's file is
// bounded.
constexpr uint64_t kNotesMaxBytes = 4096;

constexpr uint64_t AlignUp4(uint64_t bytes) { return (bytes + 3) & ~uint64_t{3}; }

// Looks for the PVH entry in one note segment, which lies in the image.
bool FindEntry(std::span<const std::byte> notes, uint64_t& entry) {
  uint64_t at = 0;
  while (InBounds(at, sizeof(NoteHeader), notes.size())) {
    const auto header = CopyOnce<NoteHeader>(notes.data() + at);
    const uint64_t name_at = at + sizeof(NoteHeader);
    const uint64_t description_at = name_at + AlignUp4(header.name_bytes);
    if (!InBounds(description_at, header.description_bytes, notes.size())) return false;
    if (header.type == kNotePvhEntry && header.name_bytes == 4 &&
        CopyOnce<uint32_t>(notes.data() + name_at) == 0x006e6558) {  // "Xen\0"
      if (header.description_bytes == 8) {
        entry = CopyOnce<uint64_t>(notes.data() + description_at);
        return true;
      }
      if (header.description_bytes == 4) {
        entry = CopyOnce<uint32_t>(notes.data() + description_at);
        return true;
      }
    }
    at = description_at + AlignUp4(header.description_bytes);
  }
  return false;
}

bool Overlap(const ImageSegment& a, const ImageSegment& b) {
  return a.gpa < b.gpa + b.memory_bytes && b.gpa < a.gpa + a.memory_bytes;
}

NomImageFault AddSegment(const ProgramHeader& header, uint64_t image_bytes, uint64_t seed_bytes,
                         LoadPlan& plan) {
  if (!InBounds(header.file_offset, header.file_bytes, image_bytes) ||
      header.file_bytes > header.memory_bytes || plan.segment_count == kImageSegmentsMax) {
    return NOM_IMAGE_FAULT_BAD_SEGMENT;
  }
  if (!InBounds(header.physical_address, header.memory_bytes, seed_bytes)) {
    return NOM_IMAGE_FAULT_OUTSIDE_SEED;
  }
  const ImageSegment segment{header.physical_address, header.memory_bytes, header.file_offset,
                             header.file_bytes};
  for (uint32_t i = 0; i < plan.segment_count; ++i) {
    if (Overlap(segment, plan.segments[i])) return NOM_IMAGE_FAULT_OVERLAP;
  }
  plan.segments[plan.segment_count++] = segment;
  return NOM_IMAGE_FAULT_NONE;
}

}  // namespace

NomImageFault PlanImage(std::span<const std::byte> image, uint64_t seed_frames, LoadPlan& plan) {
  plan = {};
  if (seed_frames > NOM_WINDOW_FRAMES_MAX) seed_frames = NOM_WINDOW_FRAMES_MAX;
  const uint64_t seed_bytes = seed_frames * NOM_FRAME_BYTES;

  if (image.size() < sizeof(ElfHeader)) return NOM_IMAGE_FAULT_TOO_SHORT;
  const auto elf = CopyOnce<ElfHeader>(image.data());
  for (int i = 0; i < 4; ++i) {
    if (elf.ident[i] != kIdent[i]) return NOM_IMAGE_FAULT_NOT_ELF;
  }
  if (elf.ident[4] != kIdent[4] || elf.ident[5] != kIdent[5] || elf.type != kTypeExecutable ||
      elf.machine != kMachineX86_64 || elf.program_header_bytes != sizeof(ProgramHeader) ||
      elf.program_header_count > kProgramHeadersMax) {
    return NOM_IMAGE_FAULT_NOT_ELF64_X86;
  }
  if (!InBounds(elf.program_headers_at, elf.program_header_count * sizeof(ProgramHeader),
                image.size())) {
    return NOM_IMAGE_FAULT_TOO_SHORT;
  }

  bool executable[kImageSegmentsMax] = {};
  bool has_entry = false;
  uint64_t entry = 0;
  for (uint16_t i = 0; i < elf.program_header_count; ++i) {
    const auto header =
        CopyOnce<ProgramHeader>(image.data() + elf.program_headers_at + i * sizeof(ProgramHeader));
    if (header.type == kSegmentLoad && header.memory_bytes != 0) {
      const NomImageFault fault = AddSegment(header, image.size(), seed_bytes, plan);
      if (fault != NOM_IMAGE_FAULT_NONE) return fault;
      executable[plan.segment_count - 1] = (header.flags & kFlagExecute) != 0;
    } else if (header.type == kSegmentNote && !has_entry) {
      if (!InBounds(header.file_offset, header.file_bytes, image.size())) {
        return NOM_IMAGE_FAULT_BAD_SEGMENT;
      }
      const uint64_t bytes =
          header.file_bytes < kNotesMaxBytes ? header.file_bytes : kNotesMaxBytes;
      has_entry = FindEntry(image.subspan(header.file_offset, bytes), entry);
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
