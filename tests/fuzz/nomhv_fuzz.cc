// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/nomhv_fuzz.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "nomhv/core/acpi_tables.h"
#include "nomhv/core/boot_configuration.h"
#include "nomhv/core/guest_walk.h"
#include "nomhv/core/image.h"
#include "nomhv/core/instruction.h"

namespace nomhv {
namespace {

#define NOM_PROMISE(condition)                                             \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                        \
    }                                                                      \
  } while (false)

// Copied to memory of exactly its size, so that a sanitizer sees one byte too many.
class Exact {
 public:
  explicit Exact(std::span<const uint8_t> bytes)
      : memory_(new std::byte[bytes.size()]), size_(bytes.size()) {
    if (size_ > 0) std::memcpy(memory_.get(), bytes.data(), size_);
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {memory_.get(), size_}; }
  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(memory_.get()), size_};
  }
  [[nodiscard]] std::span<const uint8_t> code() const {
    return {reinterpret_cast<const uint8_t*>(memory_.get()), size_};
  }

 private:
  std::unique_ptr<std::byte[]> memory_;
  size_t size_;
};

bool LiesIn(const void* at, size_t bytes, std::span<const std::byte> whole) {
  const auto* const first = static_cast<const std::byte*>(at);
  return bytes == 0 || (first >= whole.data() && bytes <= whole.size() &&
                        first <= whole.data() + (whole.size() - bytes));
}

uint64_t FuzzImage(std::span<const uint8_t> input) {
  const Exact image(input);
  constexpr uint64_t kSeedFrames = 512;
  constexpr uint64_t kSeedBytes = kSeedFrames * NOM_FRAME_BYTES;
  LoadPlan plan;
  if (PlanImage(image.bytes(), kSeedFrames, plan) != NOM_IMAGE_FAULT_NONE) return 0;
  NOM_PROMISE(plan.segment_count > 0 && plan.segment_count <= kImageSegmentsMax);
  bool entered = false;
  for (uint32_t i = 0; i < plan.segment_count; ++i) {
    const ImageSegment& s = plan.segments[i];
    NOM_PROMISE(s.memory_bytes > 0 && s.file_bytes <= s.memory_bytes);
    NOM_PROMISE(s.gpa <= kSeedBytes && s.memory_bytes <= kSeedBytes - s.gpa);
    NOM_PROMISE(s.file_offset <= input.size() && s.file_bytes <= input.size() - s.file_offset);
    entered |= plan.entry_gpa >= s.gpa && plan.entry_gpa - s.gpa < s.memory_bytes;
    for (uint32_t k = 0; k < i; ++k) {
      const ImageSegment& other = plan.segments[k];
      NOM_PROMISE(s.gpa >= other.gpa + other.memory_bytes || other.gpa >= s.gpa + s.memory_bytes);
    }
  }
  NOM_PROMISE(entered);
  return 1;
}

uint64_t FuzzArchive(std::span<const uint8_t> input) {
  const Exact archive(input);
  uint64_t understood = 0;
  CpioReader files(archive.bytes());
  while (const auto file = files.Next()) {
    NOM_PROMISE(LiesIn(file->name.data(), file->name.size(), archive.bytes()));
    NOM_PROMISE(LiesIn(file->data.data(), file->data.size(), archive.bytes()));
    NOM_PROMISE(++understood <= input.size());
  }
  // As guests.cfg, too: text of whatever kind.
  BootGuestReader guests(archive.text());
  BootGuest guest;
  while (guests.Next(guest)) {
    NOM_PROMISE(LiesIn(guest.image.data(), guest.image.size(), archive.bytes()));
    NOM_PROMISE(!guest.image.empty());
    NOM_PROMISE(guest.create.name[sizeof(guest.create.name) - 1] == '\0');
    NOM_PROMISE(guest.create.arguments[sizeof(guest.create.arguments) - 1] == '\0');
    NOM_PROMISE(++understood <= 2 * input.size());
  }
  return understood;
}

uint64_t FuzzAcpi(std::span<const uint8_t> input) {
  const Exact table(input);
  ProcessorList list;
  ReadMadt(table.bytes(), 7, list);
  NOM_PROMISE(list.count >= 1 && list.count <= kProcessorsMax && list.apic_ids[0] == 7);
  for (uint32_t i = 1; i < list.count; ++i) {
    NOM_PROMISE(list.apic_ids[i] != 7 && list.apic_ids[i] <= 254);
  }
  const RemappingUnit unit = ReadDmar(table.bytes());
  NOM_PROMISE(unit.scope_count <= RemappingUnit::kScopesMax);
  const Ecam ecam = ReadMcfg(table.bytes());
  NOM_PROMISE(ecam.last_bus <= 255);
  const bool timer = ReadFadtTimer(table.bytes()).port != 0;
  const bool hpet = ReadHpetAddress(table.bytes()) != 0;
  return (list.count > 1 ? 1u : 0u) + unit.scope_count + (ecam.base != 0 ? 1u : 0u) +
         (timer ? 1u : 0u) + (hpet ? 1u : 0u);
}

uint64_t FuzzInstruction(std::span<const uint8_t> input) {
  const Exact exact(
      input.first(input.size() < kInstructionBytesMax ? input.size() : kInstructionBytesMax));
  const std::span<const uint8_t> code = exact.code();
  uint64_t understood = 0;
  for (const bool code64 : {false, true}) {
    for (const Opcode& opcode :
         {kOpcodeHlt, kOpcodeCpuid, kOpcodeRdmsr, kOpcodeWrmsr, kOpcodeInvalidate, kOpcodeVmmcall,
          kOpcodeReadDebug, kOpcodeWriteDebug}) {
      const auto prefixes = FindOpcode(code, opcode, code64);
      if (!prefixes.has_value()) continue;
      ++understood;
      NOM_PROMISE(prefixes->count + opcode.count <= code.size());
      NOM_PROMISE(code[prefixes->count] == opcode.bytes[0] || opcode.count == 1);
      NOM_PROMISE(code64 || prefixes->rex == 0);
    }
    for (const bool write : {false, true}) {
      const auto move = DecodeDebugMove(code, write, code64);
      if (!move.has_value()) continue;
      ++understood;
      NOM_PROMISE(move->length >= 3 && move->length <= code.size());
      NOM_PROMISE(move->debug_register < 16 && move->general_register < 16);
      NOM_PROMISE(code64 || (move->debug_register < 8 && move->general_register < 8));
    }
  }
  return understood;
}

// The input is the guest's memory, over and over: tables that lead anywhere, themselves included.
uint64_t FuzzWalk(std::span<const uint8_t> input) {
  if (input.size() < 16) return 0;
  struct Memory {
    std::span<const uint8_t> bytes;
    mutable int reads = 0;
    [[nodiscard]] std::optional<uint64_t> Read64(uint64_t gpa) const {
      NOM_PROMISE(gpa % 8 == 0);
      ++reads;
      if (gpa >> 44 != 0) return std::nullopt;
      uint64_t word = 0;
      std::memcpy(&word, bytes.data() + gpa % (bytes.size() - 7), sizeof(word));
      return word;
    }
  };
  const Memory memory{input};
  uint64_t linear = 0;
  uint64_t cr3 = 0;
  std::memcpy(&linear, input.data(), sizeof(linear));
  std::memcpy(&cr3, input.data() + 8, sizeof(cr3));
  uint64_t understood = 0;
  for (const uint64_t efer : {uint64_t{0}, kEferLma}) {
    for (const uint64_t cr4 : {uint64_t{0}, uint64_t{0x10}, uint64_t{0x20}, uint64_t{0x1020}}) {
      memory.reads = 0;
      ControlRegisters control{};
      control.cr0 = kCr0Paging | kCr0Protection;
      control.cr3 = cr3;
      control.cr4 = cr4;
      control.efer = efer;
      const std::optional<uint64_t> gpa = GuestPhysical(memory, control, linear);
      NOM_PROMISE(memory.reads <= 5);
      if (!gpa.has_value()) continue;
      ++understood;
      NOM_PROMISE(*gpa >> 52 == 0 && (*gpa & 0xfff) == (linear & 0xfff));
    }
  }
  return understood;
}

}  // namespace

uint64_t FuzzNomhv(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const uint8_t> rest(data + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      return FuzzImage(rest);
    case 1:
      return FuzzArchive(rest);
    case 2:
      return FuzzAcpi(rest);
    case 3:
      return FuzzInstruction(rest);
    default:
      return FuzzWalk(rest);
  }
}

}  // namespace nomhv
