// SPDX-License-Identifier: Apache-2.0
// The MOVs by which a PC's guest reaches registers that nomhv keeps for it: between a general
// register, or a constant, and memory, of 32 or 64 bits, in 64-bit code (AMD64 APM volume 3, MOV
// and 1.4). Where the memory lies is the exit's to say; what is read here is how long the
// instruction is, and its other operand. Everything else is not emulated.

#ifndef NOMHV_CORE_PC_MEMORY_MOVE_H_
#define NOMHV_CORE_PC_MEMORY_MOVE_H_

#include <cstdint>
#include <optional>
#include <span>

#include "nomhv/core/instruction.h"

namespace nomhv {

struct MemoryMove {
  uint32_t length = 0;
  uint32_t bytes = 0;  // 4 or 8.
  bool write = false;
  std::optional<uint8_t> general_register;  // Nothing: `constant` is what is written.
  uint64_t constant = 0;
};

// Nothing if `code`, 64-bit code, is no such MOV, or ends before it does.
inline std::optional<MemoryMove> DecodeMemoryMove(std::span<const uint8_t> code) {
  constexpr Opcode kStore{1, {0x89}};
  constexpr Opcode kLoad{1, {0x8b}};
  constexpr Opcode kStoreConstant{1, {0xc7}};
  MemoryMove move;
  std::optional<Prefixes> prefixes = FindOpcode(code, kStore, /*code64=*/true);
  move.write = prefixes.has_value();
  if (!prefixes.has_value()) prefixes = FindOpcode(code, kLoad, /*code64=*/true);
  const bool constant = !prefixes.has_value();
  if (constant) prefixes = FindOpcode(code, kStoreConstant, /*code64=*/true);
  if (!prefixes.has_value()) return std::nullopt;
  move.write = move.write || constant;
  for (const uint8_t prefix : code.first(prefixes->count)) {
    // Of 16 bits, or repeated, or locked: none of ours.
    if (prefix == 0x66 || prefix >= 0xf0) return std::nullopt;
  }
  move.bytes = (prefixes->rex & 8) != 0 ? 8 : 4;

  uint32_t at = prefixes->count + 1;
  if (at >= code.size()) return std::nullopt;
  const uint8_t modrm = code[at++];
  const uint32_t mode = modrm >> 6;
  const uint32_t base = modrm & 7;
  const auto number = static_cast<uint8_t>(modrm >> 3 & 7);
  if (mode == 3 || (constant && number != 0)) return std::nullopt;
  uint32_t displacement = mode == 1 ? 1 : mode == 2 || (mode == 0 && base == 5) ? 4 : 0;
  if (base == 4) {
    if (at >= code.size()) return std::nullopt;
    if (mode == 0 && (code[at] & 7) == 5) displacement = 4;
    ++at;
  }
  at += displacement;
  if (!constant) {
    if (at > code.size()) return std::nullopt;
    move.general_register = static_cast<uint8_t>(number | ((prefixes->rex & 4) != 0 ? 8 : 0));
  } else {
    // Of 32 bits, also where 64 are written: then its sign goes on.
    if (at + 4 > code.size()) return std::nullopt;
    uint32_t low = 0;
    for (uint32_t i = 0; i < 4; ++i) low |= uint32_t{code[at + i]} << 8 * i;
    move.constant =
        move.bytes == 8 ? static_cast<uint64_t>(int64_t{static_cast<int32_t>(low)}) : uint64_t{low};
    at += 4;
  }
  move.length = at;
  return move;
}

}  // namespace nomhv

#endif  // NOMHV_CORE_PC_MEMORY_MOVE_H_
