// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/acpi_tables.h"

#include <cstring>

namespace nomhv {
namespace {

constexpr size_t kHeaderBytes = 36;
constexpr uint8_t kSpaceMemory = 0;
constexpr uint8_t kSpaceIo = 1;

// The number at `at`, or 0 where the table is too short.
template <typename T>
T At(std::span<const std::byte> table, size_t at) {
  T value{};
  if (at + sizeof(T) <= table.size()) std::memcpy(&value, table.data() + at, sizeof(T));
  return value;
}

void Add(uint32_t id, uint32_t own_id, ProcessorList& list) {
  if (id == own_id) return;
  if (id > 254) {
    ++list.too_high;
  } else if (list.count == kProcessorsMax) {
    ++list.left_out;
  } else {
    list.apic_ids[list.count++] = id;
  }
}

}  // namespace

void ReadMadt(std::span<const std::byte> table, uint32_t own_id, ProcessorList& list) {
  constexpr uint8_t kLocalApic = 0;
  constexpr uint8_t kLocalX2Apic = 9;
  constexpr uint32_t kEnabled = 1;
  list = {};
  list.apic_ids[list.count++] = own_id;
  for (size_t at = kHeaderBytes + 8; at + 2 <= table.size();) {
    const auto type = At<uint8_t>(table, at);
    const auto bytes = At<uint8_t>(table, at + 1);
    if (bytes < 2 || at + bytes > table.size()) return;  // Damaged from here on.
    if (type == kLocalApic && bytes >= 8 && (At<uint32_t>(table, at + 4) & kEnabled) != 0) {
      Add(At<uint8_t>(table, at + 3), own_id, list);
    }
    if (type == kLocalX2Apic && bytes >= 16 && (At<uint32_t>(table, at + 8) & kEnabled) != 0) {
      Add(At<uint32_t>(table, at + 4), own_id, list);
    }
    at += bytes;
  }
}

PmTimer ReadFadtTimer(std::span<const std::byte> table) {
  constexpr uint32_t kTimerIs32Bits = 1u << 8;
  PmTimer timer;
  timer.wide = (At<uint32_t>(table, 112) & kTimerIs32Bits) != 0;
  const auto extended = At<uint64_t>(table, 212);
  if (At<uint8_t>(table, 208) == kSpaceIo && extended != 0 && extended <= 0xffff) {
    timer.port = static_cast<uint16_t>(extended);
  } else if (At<uint8_t>(table, 91) == 4 && At<uint32_t>(table, 76) <= 0xffff) {
    timer.port = static_cast<uint16_t>(At<uint32_t>(table, 76));
  }
  return timer;
}

Ecam ReadMcfg(std::span<const std::byte> table) {
  for (size_t at = kHeaderBytes + 8; at + 16 <= table.size(); at += 16) {
    if (At<uint16_t>(table, at + 8) != 0 || At<uint8_t>(table, at + 10) != 0) continue;
    return {At<uint64_t>(table, at), At<uint8_t>(table, at + 11)};
  }
  return {};
}

RemappingUnit ReadDmar(std::span<const std::byte> table) {
  constexpr uint16_t kUnit = 0;
  constexpr uint8_t kEndpoint = 1;
  constexpr uint8_t kBridge = 2;
  RemappingUnit unit;
  for (size_t at = kHeaderBytes + 12; at + 4 <= table.size();) {
    const auto bytes = At<uint16_t>(table, at + 2);
    if (bytes < 4 || at + bytes > table.size()) return {};
    const size_t end = at + bytes;
    if (At<uint16_t>(table, at) == kUnit) {
      if (unit.registers != 0 || bytes < 16 || At<uint16_t>(table, at + 6) != 0) return {};
      unit.registers = At<uint64_t>(table, at + 8);
      unit.all = (At<uint8_t>(table, at + 4) & 1) != 0;
      for (at += 16; at + 8 <= end;) {
        const auto type = At<uint8_t>(table, at);
        const auto scope_bytes = At<uint8_t>(table, at + 1);
        if (scope_bytes < 8 || at + scope_bytes > end) return {};
        // A longer path leads over buses that only configuration space knows.
        if ((type == kEndpoint || type == kBridge) && scope_bytes == 8 &&
            unit.scope_count < RemappingUnit::kScopesMax) {
          const uint32_t place = uint32_t{At<uint8_t>(table, at + 5)} << 8 |
                                 uint32_t{At<uint8_t>(table, at + 6)} << 3 |
                                 At<uint8_t>(table, at + 7);
          unit.scopes[unit.scope_count++] = {static_cast<uint16_t>(place), type == kBridge};
        }
        at += scope_bytes;
      }
    }
    at = end;
  }
  return unit;
}

uint64_t ReadHpetAddress(std::span<const std::byte> table) {
  return At<uint8_t>(table, 40) == kSpaceMemory ? At<uint64_t>(table, 44) : 0;
}

}  // namespace nomhv
