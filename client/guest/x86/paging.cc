// SPDX-License-Identifier: Apache-2.0
#include "client/guest/address.h"
#include "client/guest/x86/boot.h"
#include "nomhv/abi/guest.h"

namespace nom::guest {
namespace {

// AMD64 APM volume 2, 5.4.
constexpr uint64_t kPresent = 1;
constexpr uint64_t kWritable = 2;
constexpr uint64_t kUncached = 1 << 4;  // PCD
constexpr uint64_t kLarge = 1 << 7;
constexpr uint64_t kNoExecute = uint64_t{1} << 63;

constexpr uint64_t kLargeBytes = 2 << 20;
constexpr uint64_t kEntries = 512;
constexpr uint64_t kMappedBytes = uint64_t{4} << 30;
constexpr uint64_t kImageBytesMax = 8 << 20;  // guest.ld holds the image to it.
constexpr uint64_t kImageTables = kImageBytesMax / kLargeBytes;

extern "C" {
extern uint64_t nom_pml4[];
extern uint64_t nom_pd[];  // 2048 entries: entry.S lays four tables side by side.
extern const char nom_image_begin[];
extern const char nom_code_begin[];
extern const char nom_code_end[];
extern const char nom_stack_guard[];
}

alignas(NOM_FRAME_BYTES) uint64_t image_tables[kImageTables][kEntries];
alignas(NOM_FRAME_BYTES) uint64_t nomhv_table[kEntries];

void FlushTlb() { asm volatile("mov %0, %%cr3" ::"r"(nom_pml4) : "memory"); }

uint64_t ImagePage(uint64_t address, uint64_t window_bytes) {
  if (address == 0 || address == AddressOf(nom_stack_guard) || address >= window_bytes) return 0;
  if (address >= AddressOf(nom_code_begin) && address < AddressOf(nom_code_end)) {
    return address | kPresent;
  }
  if (address >= AddressOf(nom_image_begin) && address < AddressOf(nom_code_begin)) {
    return address | kPresent | kNoExecute;
  }
  return address | kPresent | kWritable | kNoExecute;
}

}  // namespace

void SetUpPaging(uint64_t window_frames) {
  const uint64_t window_bytes = window_frames * NOM_FRAME_BYTES;
  for (uint64_t i = 0; i < kImageTables * kEntries; ++i) {
    image_tables[i / kEntries][i % kEntries] = ImagePage(i * NOM_FRAME_BYTES, window_bytes);
  }
  nomhv_table[(NOM_GPA_MACHINE_BOARD % kLargeBytes) / NOM_FRAME_BYTES] =
      NOM_GPA_MACHINE_BOARD | kPresent | kNoExecute;
  nomhv_table[(NOM_GPA_GUEST_BOARD % kLargeBytes) / NOM_FRAME_BYTES] =
      NOM_GPA_GUEST_BOARD | kPresent | kNoExecute;
  nomhv_table[(NOM_GPA_BID_PAGE % kLargeBytes) / NOM_FRAME_BYTES] =
      NOM_GPA_BID_PAGE | kPresent | kWritable | kNoExecute;
  nomhv_table[(NOM_GPA_START_PAGE % kLargeBytes) / NOM_FRAME_BYTES] =
      NOM_GPA_START_PAGE | kPresent | kNoExecute;
  nomhv_table[(NOM_GPA_DEVICE_BOARD % kLargeBytes) / NOM_FRAME_BYTES] =
      NOM_GPA_DEVICE_BOARD | kPresent | kNoExecute;
  for (uint64_t i = 0; i < kMappedBytes / kLargeBytes; ++i) {
    const uint64_t address = i * kLargeBytes;
    uint64_t entry = 0;
    if (i < kImageTables) {
      entry = AddressOf(image_tables[i]) | kPresent | kWritable;
    } else if (address < window_bytes || address == NOM_GPA_REGIONS) {
      entry = address | kPresent | kWritable | kLarge | kNoExecute;
    } else if (address >= NOM_GPA_DEVICES && address - NOM_GPA_DEVICES < NOM_DEVICES_BYTES) {
      entry = address | kPresent | kWritable | kUncached | kLarge | kNoExecute;
    } else if (address == NOM_GPA_MACHINE_BOARD / kLargeBytes * kLargeBytes) {
      entry = AddressOf(nomhv_table) | kPresent | kWritable;
    }
    nom_pd[i] = entry;
  }
  FlushTlb();
}

}  // namespace nom::guest
