// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/pc/acpi.h"

#include <cstring>

#include "nomhv/abi/version.h"
#include "nomhv/core/assert.h"

namespace nomhv {
namespace {

constexpr size_t kHeaderBytes = 36;

// PCI0 {_HID PNP0A03, _CRS: bus 0, memory 0xC0000000 to 0xFEBFFFFF}, COM1 {_HID PNP0501, _CRS: 8
// ports from 0x3f8, no interrupt}, in AML (ACPI 6.4, 20).
constexpr uint8_t kAml[] = {
    0x10, 0x42, 0x07, 0x5c, 0x5f, 0x53, 0x42, 0x5f, 0x5b, 0x82, 0x45, 0x04, 0x50, 0x43, 0x49,
    0x30, 0x08, 0x5f, 0x48, 0x49, 0x44, 0x0c, 0x41, 0xd0, 0x0a, 0x03, 0x08, 0x5f, 0x43, 0x52,
    0x53, 0x11, 0x2f, 0x0a, 0x2c, 0x88, 0x0d, 0x00, 0x02, 0x0c, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x87, 0x17, 0x00, 0x00, 0x0c, 0x01, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0xc0, 0xff, 0xff, 0xbf, 0xfe, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xc0, 0x3e, 0x79, 0x00, 0x5b, 0x82, 0x22, 0x43, 0x4f, 0x4d, 0x31, 0x08, 0x5f, 0x48, 0x49,
    0x44, 0x0c, 0x41, 0xd0, 0x05, 0x01, 0x08, 0x5f, 0x43, 0x52, 0x53, 0x11, 0x0d, 0x0a, 0x0a,
    0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 0x01, 0x08, 0x79, 0x00};

class Writer {
 public:
  Writer(uint64_t gpa, std::span<std::byte> out) : gpa_(gpa), out_(out) {}

  // Room for `bytes` of zeroes; where it begins.
  std::byte* Take(size_t bytes) {
    at_ = (used_ + 15) & ~size_t{15};
    NOMHV_CHECK(at_ + bytes <= out_.size(), "pc: the ACPI tables need more room");
    used_ = at_ + bytes;
    std::memset(out_.data() + at_, 0, bytes);
    return out_.data() + at_;
  }
  // Of what was taken last.
  [[nodiscard]] uint64_t gpa() const { return gpa_ + at_; }

 private:
  uint64_t gpa_;
  std::span<std::byte> out_;
  size_t at_ = 0;
  size_t used_ = 0;
};

template <typename T>
void Put(std::byte* table, size_t offset, T value) {
  std::memcpy(table + offset, &value, sizeof(value));
}

// The byte at `offset` makes the sum of all zero.
void Checksum(std::byte* table, size_t bytes, size_t offset) {
  uint8_t sum = 0;
  for (size_t i = 0; i < bytes; ++i)
    sum = static_cast<uint8_t>(sum + std::to_integer<int>(table[i]));
  table[offset] = static_cast<std::byte>(-sum);
}

void PutNames(std::byte* table, size_t offset) { std::memcpy(table + offset, "NOMHV ", 6); }

void Header(std::byte* table, const char* signature, uint8_t revision, size_t bytes) {
  std::memcpy(table, signature, 4);
  Put(table, 4, static_cast<uint32_t>(bytes));
  Put(table, 8, revision);
  PutNames(table, 10);
  std::memcpy(table + 16, "NOMHVPC ", 8);
  Put(table, 24, uint32_t{1});
  std::memcpy(table + 28, "NOM ", 4);
  Put(table, 32, uint32_t{1});
  Checksum(table, bytes, 9);
}

uint64_t AddFadt(Writer& writer, uint64_t dsdt) {
  constexpr size_t kBytes = 276;
  // WBINVD works, there is no power or sleep button, APICs by their ids, reduced hardware.
  constexpr uint32_t kFlags = 1u << 0 | 1u << 4 | 1u << 5 | 1u << 19 | 1u << 20;
  constexpr uint16_t kNoVgaNoRtc = 1u << 2 | 1u << 5;
  std::byte* const table = writer.Take(kBytes);
  Put(table, 40, static_cast<uint32_t>(dsdt));
  Put(table, 109, kNoVgaNoRtc);
  Put(table, 112, kFlags);
  Put(table, 140, dsdt);
  Header(table, "FACP", 6, kBytes);
  return writer.gpa();
}

uint64_t AddMadt(Writer& writer, uint32_t count) {
  constexpr size_t kEntryBytes = 8;
  constexpr size_t kFixedBytes = kHeaderBytes + 8;
  const size_t bytes = kFixedBytes + count * kEntryBytes;
  std::byte* const table = writer.Take(bytes);
  Put(table, kHeaderBytes, uint32_t{0xfee00000});
  for (uint32_t i = 0; i < count; ++i) {
    const size_t at = kFixedBytes + i * kEntryBytes;
    Put(table, at + 1, static_cast<uint8_t>(kEntryBytes));
    Put(table, at + 2, static_cast<uint8_t>(i));
    Put(table, at + 3, static_cast<uint8_t>(i));
    Put(table, at + 4, uint32_t{1});  // Enabled.
  }
  Header(table, "APIC", 4, bytes);
  return writer.gpa();
}

}  // namespace

void BuildPcAcpi(uint32_t count, uint64_t gpa, std::span<std::byte, kPcAcpiBytes> out) {
  NOMHV_CHECK(count > 0 && count <= NOM_VIRTUAL_PROCESSORS_MAX, "pc: so many processors");
  Writer writer(gpa, out);
  constexpr size_t kRsdpBytes = 36;
  std::byte* const rsdp = writer.Take(kRsdpBytes);
  std::byte* const dsdt = writer.Take(kHeaderBytes + sizeof(kAml));
  const uint64_t dsdt_gpa = writer.gpa();
  std::memcpy(dsdt + kHeaderBytes, kAml, sizeof(kAml));
  Header(dsdt, "DSDT", 2, kHeaderBytes + sizeof(kAml));
  const uint64_t fadt = AddFadt(writer, dsdt_gpa);
  const uint64_t madt = AddMadt(writer, count);
  constexpr size_t kXsdtBytes = kHeaderBytes + 16;
  std::byte* const xsdt = writer.Take(kXsdtBytes);
  Put(xsdt, kHeaderBytes, fadt);
  Put(xsdt, kHeaderBytes + 8, madt);
  Header(xsdt, "XSDT", 1, kXsdtBytes);
  std::memcpy(rsdp, "RSD PTR ", 8);
  PutNames(rsdp, 9);
  Put(rsdp, 15, uint8_t{2});
  Put(rsdp, 20, static_cast<uint32_t>(kRsdpBytes));
  Put(rsdp, 24, writer.gpa());
  Checksum(rsdp, 20, 8);
  Checksum(rsdp, kRsdpBytes, 32);
}

}  // namespace nomhv
