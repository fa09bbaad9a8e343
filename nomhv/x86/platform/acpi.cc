// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/platform/acpi.h"

#include <cstring>
#include <span>

namespace nomhv {
namespace {

struct __attribute__((packed)) Rsdp {
  char signature[8];
  uint8_t checksum;
  char oem[6];
  uint8_t revision;
  uint32_t rsdt;
  uint32_t length;
  uint64_t xsdt;
  uint8_t extended_checksum;
  uint8_t reserved[3];
};
static_assert(sizeof(Rsdp) == 36);

struct __attribute__((packed)) TableHeader {
  char signature[4];
  uint32_t length;
  uint8_t revision, checksum;
  char oem[6], oem_table[8];
  uint32_t oem_revision, creator, creator_revision;
};
static_assert(sizeof(TableHeader) == 36);

bool SumIsZero(const void* from, uint64_t bytes) {
  uint8_t sum = 0;
  for (uint64_t i = 0; i < bytes; ++i) sum += static_cast<const uint8_t*>(from)[i];
  return sum == 0;
}

const Rsdp* FindRsdp(const BootInfo& info) {
  if (info.has_rsdp_copy) return reinterpret_cast<const Rsdp*>(info.rsdp_copy);
  if (info.rsdp != 0) return reinterpret_cast<const Rsdp*>(info.rsdp);
  for (uint64_t at = 0xe0000; at < 0x100000; at += 16) {  // 5.2.5.1
    const auto* rsdp = reinterpret_cast<const Rsdp*>(at);
    if (std::memcmp(rsdp->signature, "RSD PTR ", 8) == 0 && SumIsZero(rsdp, 20)) return rsdp;
  }
  return nullptr;
}

const TableHeader* FindTable(const Rsdp* rsdp, const char* signature) {
  const bool wide = rsdp->revision >= 2 && rsdp->xsdt != 0;
  const uint64_t root_at = wide ? rsdp->xsdt : rsdp->rsdt;
  const auto* root = reinterpret_cast<const TableHeader*>(root_at);
  if (!SumIsZero(root, root->length)) return nullptr;
  const uint64_t entry_bytes = wide ? 8 : 4;
  for (uint64_t at = root_at + sizeof(TableHeader); at + entry_bytes <= root_at + root->length;
       at += entry_bytes) {
    uint64_t address = 0;
    std::memcpy(&address, reinterpret_cast<const void*>(at), entry_bytes);
    const auto* table = reinterpret_cast<const TableHeader*>(address);
    if (std::memcmp(table->signature, signature, 4) == 0 && SumIsZero(table, table->length)) {
      return table;
    }
  }
  return nullptr;
}

}  // namespace

void ReadAcpi(const BootInfo& info, uint32_t own_id, AcpiFacts& facts) {
  const Rsdp* rsdp = FindRsdp(info);
  if (rsdp == nullptr || std::memcmp(rsdp->signature, "RSD PTR ", 8) != 0) return;
  const auto read = [rsdp](const char* signature, auto&& reader) {
    const TableHeader* table = FindTable(rsdp, signature);
    if (table == nullptr) return;
    reader(std::span<const std::byte>(reinterpret_cast<const std::byte*>(table), table->length));
  };
  read("APIC", [&](auto table) {
    facts.found = true;
    ReadMadt(table, own_id, facts.processors);
  });
  read("FACP", [&](auto table) { facts.pm_timer = ReadFadtTimer(table); });
  read("HPET", [&](auto table) { facts.hpet_address = ReadHpetAddress(table); });
  read("MCFG", [&](auto table) { facts.ecam = ReadMcfg(table); });
  read("DMAR", [&](auto table) { facts.remapping = ReadDmar(table); });
}

}  // namespace nomhv
