// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/pc/start.h"

#include <algorithm>
#include <cstring>

#include "nomhv/core/assert.h"
#include "nomhv/core/boot_configuration.h"

namespace nomhv {
namespace {

struct StartInfo {
  uint32_t magic = 0x336ec578;
  uint32_t version = 1;
  uint32_t flags = 0;
  uint32_t module_count = 0;
  uint64_t modules = 0;
  uint64_t command_line = 0;
  uint64_t rsdp = kPcAcpi;
  uint64_t memory_map = 0;
  uint32_t memory_map_entries = 0;
  uint32_t reserved = 0;
};
static_assert(sizeof(StartInfo) == 56);

struct Module {
  uint64_t gpa = 0;
  uint64_t bytes = 0;
  uint64_t command_line = 0;
  uint64_t reserved = 0;
};

struct MemoryRange {
  uint64_t gpa = 0;
  uint64_t bytes = 0;
  uint32_t type = 0;
  uint32_t reserved = 0;
};
constexpr uint32_t kRam = 1;
constexpr uint32_t kReserved = 2;

constexpr size_t kModulesAt = 0x100;
constexpr size_t kMemoryMapAt = 0x200;
constexpr size_t kCommandLineAt = 0x400;
static_assert(kCommandLineAt + kPcCommandLineBytes < NOM_FRAME_BYTES, "with its end");

}  // namespace

bool PcBoot::FindInitramfs(std::span<const std::byte> archive) {
  if (initramfs_name.empty()) return true;
  const std::optional<CpioFile> file = FindFile(archive, initramfs_name);
  if (file.has_value()) initramfs = file->data;
  return file.has_value();
}

NomImageFault PlanPcBoot(const PcBoot& boot, const LoadPlan& kernel, uint64_t seed_frames,
                         uint64_t& gpa) {
  uint64_t kernel_end = kPcReservedEnd;
  for (uint32_t i = 0; i < kernel.segment_count; ++i) {
    const ImageSegment& segment = kernel.segments[i];
    const uint64_t end = segment.gpa + segment.memory_bytes;
    if (segment.gpa < kPcReservedEnd && end > kPcReserved) return NOM_IMAGE_FAULT_OVERLAP;
    kernel_end = std::max(kernel_end, end);
  }
  const uint64_t seed_end = seed_frames * NOM_FRAME_BYTES;
  const uint64_t bytes = boot.initramfs.size();
  if (kernel_end > seed_end || bytes > seed_end - kernel_end) return NOM_IMAGE_FAULT_OUTSIDE_SEED;
  gpa = (seed_end - bytes) & ~uint64_t{NOM_FRAME_BYTES - 1};
  return gpa >= kernel_end ? NOM_IMAGE_FAULT_NONE : NOM_IMAGE_FAULT_OUTSIDE_SEED;
}

void BuildPcStartInfo(const PcBoot& boot, uint64_t initramfs_gpa, uint64_t window_frames,
                      std::span<std::byte, NOM_FRAME_BYTES> out) {
  NOMHV_CHECK(boot.command_line.size() <= kPcCommandLineBytes, "pc: the command line is too long");
  std::memset(out.data(), 0, out.size());
  const MemoryRange ranges[] = {
      {0, kPcReserved, kRam, 0},
      {kPcReserved, kPcReservedEnd - kPcReserved, kReserved, 0},
      {kPcReservedEnd, window_frames * NOM_FRAME_BYTES - kPcReservedEnd, kRam, 0}};
  const Module module = {initramfs_gpa, boot.initramfs.size(), 0, 0};
  StartInfo info;
  info.module_count = boot.initramfs.empty() ? 0 : 1;
  info.modules = kPcStartInfo + kModulesAt;
  info.command_line = kPcStartInfo + kCommandLineAt;
  info.memory_map = kPcStartInfo + kMemoryMapAt;
  info.memory_map_entries = std::size(ranges);
  std::memcpy(out.data(), &info, sizeof(info));
  std::memcpy(out.data() + kModulesAt, &module, sizeof(module));
  std::memcpy(out.data() + kMemoryMapAt, ranges, sizeof(ranges));
  std::copy_n(reinterpret_cast<const std::byte*>(boot.command_line.data()),
              boot.command_line.size(), out.data() + kCommandLineAt);
}

}  // namespace nomhv
