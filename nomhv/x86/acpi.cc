#include "nomhv/x86/acpi.h"

#include <cstring>

#include "nomhv/core/assert.h"

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
  NOMHV_CHECK(SumIsZero(root, root->length), "acpi: the root table is damaged");
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

void ReadProcessors(const BootInfo& info, ProcessorList& list) {
  const Rsdp* rsdp = FindRsdp(info);
  NOMHV_CHECK(rsdp != nullptr && std::memcmp(rsdp->signature, "RSD PTR ", 8) == 0,
              "acpi: no root pointer");
  const TableHeader* madt = FindTable(rsdp, "APIC");
  NOMHV_CHECK(madt != nullptr, "acpi: no MADT");
  const auto base = reinterpret_cast<uint64_t>(madt);
  for (uint64_t at = base + sizeof(TableHeader) + 8; at + 2 <= base + madt->length;) {
    const auto* entry = reinterpret_cast<const uint8_t*>(at);
    NOMHV_CHECK(entry[1] >= 2, "acpi: bad MADT entry");
    // Type 0, processor local APIC: 3 = APIC id, 4 = flags, of which bit 0 is "enabled".
    if (entry[0] == 0 && (entry[4] & 1) != 0 && list.count < kProcessorsMax) {
      list.apic_ids[list.count++] = entry[3];
    }
    at += entry[1];
  }
}

}  // namespace nomhv
