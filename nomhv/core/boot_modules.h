// What a machine can be given at boot: a cpio archive ("newc", as Linux takes for its initramfs)
// with guest images and, in `guests.cfg`, the guests to start before any marketd is there.

#ifndef NOMHV_CORE_BOOT_MODULES_H_
#define NOMHV_CORE_BOOT_MODULES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "nomhv/abi/mailbox.h"
#include "nomhv/core/guests.h"

namespace nomhv {

struct CpioFile {
  std::string_view name;  // Without a leading "./".
  std::span<const std::byte> data;
};

// Walks the files of an archive in place. Anything malformed ends the walk with bad(); so does an
// archive without its trailer.
class CpioReader {
 public:
  explicit CpioReader(std::span<const std::byte> archive) : archive_(archive) {}
  std::optional<CpioFile> Next();
  [[nodiscard]] bool bad() const { return bad_; }

 private:
  std::span<const std::byte> archive_;
  size_t at_ = 0;
  bool done_ = false;
  bool bad_ = false;
};

// The file of that name; nothing if there is none before the archive ends or breaks.
std::optional<CpioFile> FindFile(std::span<const std::byte> archive, std::string_view name);

// One guest to start at boot.
struct BootGuest {
  NomCreate create{};      // image_offset and image_bytes are 0: the image is a file.
  std::string_view image;  // Its name in the archive.
  Amounts granted;         // At the start; at least the seed.
};

// Walks the lines of guests.cfg. A line, with # for comments:
//   name=A image=a.elf id=1 seed_frames=256 window_frames=1024 seed_millicores=100
//     frames=512 millicores=500 devices=0x1 arguments="what the guest is told"
// `name`, `image` and `seed_frames` are needed. By default id is the line's place among guests,
// window_frames and frames are seed_frames (the window at least frames), seed_millicores is 100,
// millicores is seed_millicores, devices (a bit each) none. Unknown keys, keys given twice, bad
// numbers and texts that do not fit end the walk with bad_line().
class BootGuestReader {
 public:
  explicit BootGuestReader(std::string_view text) : rest_(text) {}
  // False at the end and at the first bad line.
  bool Next(BootGuest& guest);
  // The number, from 1, of the line that is wrong; 0 if none is.
  [[nodiscard]] uint32_t bad_line() const { return bad_line_; }

 private:
  std::string_view rest_;
  uint32_t line_ = 0;
  uint64_t guests_ = 0;
  uint32_t bad_line_ = 0;
};

}  // namespace nomhv

#endif  // NOMHV_CORE_BOOT_MODULES_H_
