// SPDX-License-Identifier: Apache-2.0
// What a machine is told at boot: a command line of `key=value`s, and a cpio archive ("newc", as
// Linux takes for its initramfs) with guest images and, in `guests.cfg`, the guests to start before
// any marketd is there. Text is `key=value key="value with spaces"`. Views into the caller's text
// and archive; nothing is copied.

#ifndef NOMHV_CORE_BOOT_CONFIGURATION_H_
#define NOMHV_CORE_BOOT_CONFIGURATION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "nomhv/abi/mailbox.h"
#include "nomhv/core/guests.h"
#include "nomhv/core/pc/start.h"

namespace nomhv {

struct KeyValue {
  std::string_view key;
  std::string_view value;  // Without its quotes. Empty for a bare word.
};

// Walks the pairs of one line. A quote that never closes, or text right after one, is bad().
class KeyValueReader {
 public:
  explicit KeyValueReader(std::string_view text) : rest_(text) {}
  std::optional<KeyValue> Next();
  [[nodiscard]] bool bad() const { return bad_; }

 private:
  std::string_view rest_;
  bool bad_ = false;
};

// The value of the first `key` in `text`; nothing if it is not there.
std::optional<std::string_view> FindValue(std::string_view text, std::string_view key);

// Of a hexadecimal digit; 16 for anything else.
constexpr uint32_t DigitOf(char c) {
  if (c >= '0' && c <= '9') return static_cast<uint32_t>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? static_cast<uint32_t>(lower - 'a') + 10 : 16;
}

// A whole decimal number, or hexadecimal after 0x; nothing else, and no overflow.
std::optional<uint64_t> ParseNumber(std::string_view text);

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
  uint64_t virtual_processors = 1;
  PcBoot pc;
};

// Walks the lines of guests.cfg. A line, with # for comments:
//   name=A image=a.elf id=1 seed_frames=256 window_frames=1024 seed_millicores=100
//     processors=2 frames=512 millicores=500 devices=0x1 arguments="what the guest is told"
//     personality=pc initramfs=i.cpio command_line="what its kernel is told"
// `name`, `image` and `seed_frames` are needed. By default id is the line's place among guests,
// window_frames and frames are seed_frames (the window at least frames), seed_millicores is 100,
// millicores is seed_millicores, processors (virtual ones) 1, devices (a bit each) none. Unknown
// keys, keys given twice, bad numbers and texts that do not fit end the walk with bad_line().
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

#endif  // NOMHV_CORE_BOOT_CONFIGURATION_H_
