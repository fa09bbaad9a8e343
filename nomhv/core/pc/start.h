// SPDX-License-Identifier: Apache-2.0
// How a PC's guest starts: a kernel by PVH (Xen, docs/misc/pvh.pandoc and
// public/arch-x86/hvm/start_info.h), an initramfs and a command line, and where all of it lies.

#ifndef NOMHV_CORE_PC_START_H_
#define NOMHV_CORE_PC_START_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "nomhv/abi/pc.h"
#include "nomhv/abi/version.h"
#include "nomhv/core/image.h"

namespace nomhv {

inline constexpr size_t kPcCommandLineBytes = NOM_PC_COMMAND_LINE_BYTES - 1;

// What the guest is given beside its kernel. Views, which outlive its creation.
struct PcBoot {
  bool wanted = false;                   // It is to be a PC.
  std::span<const std::byte> initramfs;  // May be empty.
  std::string_view command_line;         // At most kPcCommandLineBytes.
  std::string_view initramfs_name;       // Of a file, where one is named.

  // Takes one pair of a boot configuration: whether it is good; nothing if it is none of a PC's.
  std::optional<bool> Take(std::string_view key, std::string_view value) {
    if (key == "personality") {
      const bool good = !wanted && value == "pc";
      wanted = true;
      return good;
    }
    if (key == "initramfs") return Set(initramfs_name, value) && !value.empty();
    if (key != "command_line") return std::nullopt;
    return Set(command_line, value) && value.size() <= kPcCommandLineBytes;
  }
  // Fills `initramfs` from the archive, if one is named; false if it is not there.
  [[nodiscard]] bool FindInitramfs(std::span<const std::byte> archive);
  // Only a PC has what a PC has.
  [[nodiscard]] bool whole() const {
    return wanted || (initramfs_name.data() == nullptr && command_line.data() == nullptr);
  }

 private:
  // Once, and not by a word without a value.
  static bool Set(std::string_view& text, std::string_view value) {
    const bool good = text.data() == nullptr && value.data() != nullptr;
    text = value;
    return good;
  }
};

// Guest-physical memory is RAM but for this stretch below 1 MiB, where the guest finds what it is
// told: as in a PC, it is not the guest's to use.
inline constexpr uint64_t kPcReserved = 0x9f000;
inline constexpr uint64_t kPcReservedEnd = 0x100000;
inline constexpr uint64_t kPcStartInfo = kPcReserved;  // One frame: EBX at the entry.
inline constexpr uint64_t kPcAcpi = 0xe0000;

// Where the initramfs goes, in `gpa`: as high in the seed as it can. NONE, or what is wrong:
// OUTSIDE_SEED: it does not fit above the kernel; OVERLAP: the kernel lies in what is reserved.
[[nodiscard]] NomImageFault PlanPcBoot(const PcBoot& boot, const LoadPlan& kernel,
                                       uint64_t seed_frames, uint64_t& gpa);

// Fills the frame at kPcStartInfo. All of the window is RAM.
void BuildPcStartInfo(const PcBoot& boot, uint64_t initramfs_gpa, uint64_t window_frames,
                      std::span<std::byte, NOM_FRAME_BYTES> out);

}  // namespace nomhv

#endif  // NOMHV_CORE_PC_START_H_
