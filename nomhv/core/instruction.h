// SPDX-License-Identifier: Apache-2.0
// The few instructions that nomhv does for a guest: how long one is with its prefixes, and what a
// MOV with a debug register names. What is read from a guest's memory may be anything by the time
// it is read: what is not the instruction that exited is said so, and nothing is made of it.

#ifndef NOMHV_CORE_INSTRUCTION_H_
#define NOMHV_CORE_INSTRUCTION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace nomhv {

// No instruction is longer (AMD64 APM volume 3, 1.1).
inline constexpr size_t kInstructionBytesMax = 15;

struct Opcode {
  uint8_t count = 0;
  std::array<uint8_t, 3> bytes{};
  uint8_t last_mask = 0xff;  // Which bits of the last byte are looked at.
};
inline constexpr Opcode kOpcodeHlt{1, {0xf4}};
inline constexpr Opcode kOpcodeCpuid{2, {0x0f, 0xa2}};
inline constexpr Opcode kOpcodeRdmsr{2, {0x0f, 0x32}};
inline constexpr Opcode kOpcodeWrmsr{2, {0x0f, 0x30}};
// INVD, WBINVD and, with F3, WBNOINVD: QEMU 7.2 reports the first as the second.
inline constexpr Opcode kOpcodeInvalidate{2, {0x0f, 0x08}, 0xfe};
inline constexpr Opcode kOpcodeVmmcall{3, {0x0f, 0x01, 0xd9}};
inline constexpr Opcode kOpcodeReadDebug{2, {0x0f, 0x21}};
inline constexpr Opcode kOpcodeWriteDebug{2, {0x0f, 0x23}};

struct Prefixes {
  uint32_t count = 0;  // Bytes, REX included.
  uint8_t rex = 0;     // 0: none, or one that another prefix made void.
};

// The prefixes in front of `opcode`, or nothing if `code` is not that instruction. REX prefixes are
// there in 64-bit code only; volume 3, 1.2.
inline std::optional<Prefixes> FindOpcode(std::span<const uint8_t> code, const Opcode& opcode,
                                          bool code64) {
  Prefixes prefixes;
  for (; prefixes.count < code.size(); ++prefixes.count) {
    const uint8_t byte = code[prefixes.count];
    switch (byte) {
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:
      case 0x64:
      case 0x65:
      case 0x66:
      case 0x67:
      case 0xf0:
      case 0xf2:
      case 0xf3:
        prefixes.rex = 0;
        continue;
      default:
        break;
    }
    if (!code64 || (byte & 0xf0) != 0x40) break;
    prefixes.rex = byte;
  }
  if (code.size() - prefixes.count < opcode.count) return std::nullopt;
  for (size_t i = 0; i < opcode.count; ++i) {
    const uint8_t mask = i + 1 == opcode.count ? opcode.last_mask : 0xff;
    if (((code[prefixes.count + i] ^ opcode.bytes[i]) & mask) != 0) return std::nullopt;
  }
  return prefixes;
}

// MOV to or from a debug register: which, and the number of the general register (0 = RAX).
struct DebugMove {
  uint32_t length = 0;
  uint8_t debug_register = 0;  // 0 to 15; above 7 there is none.
  uint8_t general_register = 0;
};
inline std::optional<DebugMove> DecodeDebugMove(std::span<const uint8_t> code, bool write,
                                                bool code64) {
  const Opcode& opcode = write ? kOpcodeWriteDebug : kOpcodeReadDebug;
  const std::optional<Prefixes> prefixes = FindOpcode(code, opcode, code64);
  if (!prefixes.has_value() || code.size() - prefixes->count < 3) return std::nullopt;
  // The mode field means nothing here: the operand is always a register.
  const uint8_t modrm = code[prefixes->count + 2];
  const bool rex_r = (prefixes->rex & 4) != 0;
  const bool rex_b = (prefixes->rex & 1) != 0;
  return DebugMove{prefixes->count + 3, static_cast<uint8_t>((modrm >> 3 & 7) | (rex_r ? 8 : 0)),
                   static_cast<uint8_t>((modrm & 7) | (rex_b ? 8 : 0))};
}

}  // namespace nomhv

#endif  // NOMHV_CORE_INSTRUCTION_H_
