// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/boot_configuration.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "nomhv/core/shared_memory.h"

namespace nomhv {
namespace {

constexpr bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Views are cut with remove_prefix and data(): substr() may throw.
std::string_view Head(std::string_view text, size_t count) { return {text.data(), count}; }

// cpio(5), "New ASCII Format": magic, then 13 fields of 8 hexadecimal digits.
constexpr size_t kHeaderBytes = 110;
constexpr size_t kSizeField = 6;
constexpr size_t kNameSizeField = 11;
constexpr std::string_view kMagic = "070701";
constexpr std::string_view kTrailer = "TRAILER!!!";

std::optional<uint32_t> Field(const char* header, size_t index) {
  uint32_t number = 0;
  for (size_t i = 0; i < 8; ++i) {
    const uint32_t digit = DigitOf(header[6 + index * 8 + i]);
    if (digit >= 16) return std::nullopt;
    number = number << 4 | digit;
  }
  return number;
}

// Fits `value` with its terminating zero into `text`, which is zero.
template <size_t N>
bool Fit(std::string_view value, char (&text)[N]) {
  if (value.size() >= N) return false;
  if (!value.empty()) std::memcpy(text, value.data(), value.size());
  return true;
}

}  // namespace

std::optional<KeyValue> KeyValueReader::Next() {
  while (!rest_.empty() && IsSpace(rest_.front())) rest_.remove_prefix(1);
  if (rest_.empty() || bad_) return std::nullopt;
  KeyValue pair;
  size_t end = 0;
  while (end < rest_.size() && !IsSpace(rest_[end]) && rest_[end] != '=') ++end;
  pair.key = Head(rest_, end);
  rest_.remove_prefix(end);
  if (rest_.empty() || rest_.front() != '=') return pair;
  rest_.remove_prefix(1);
  if (!rest_.empty() && rest_.front() == '"') {
    rest_.remove_prefix(1);
    end = 0;
    while (end < rest_.size() && rest_[end] != '"') ++end;
    if (end == rest_.size() || (end + 1 < rest_.size() && !IsSpace(rest_[end + 1]))) {
      bad_ = true;
      return std::nullopt;
    }
    pair.value = Head(rest_, end);
    rest_.remove_prefix(end + 1);
    return pair;
  }
  end = 0;
  while (end < rest_.size() && !IsSpace(rest_[end])) ++end;
  pair.value = Head(rest_, end);
  rest_.remove_prefix(end);
  return pair;
}

std::optional<std::string_view> FindValue(std::string_view text, std::string_view key) {
  KeyValueReader reader(text);
  while (const auto pair = reader.Next()) {
    if (pair->key == key) return pair->value;
  }
  return std::nullopt;
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t base = 10;
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    base = 16;
    text.remove_prefix(2);
  }
  if (text.empty()) return std::nullopt;
  uint64_t number = 0;
  for (const char c : text) {
    const uint64_t digit = DigitOf(c);
    if (digit >= base || __builtin_mul_overflow(number, base, &number) ||
        __builtin_add_overflow(number, digit, &number)) {
      return std::nullopt;
    }
  }
  return number;
}

std::optional<CpioFile> CpioReader::Next() {
  if (done_ || bad_) return std::nullopt;
  bad_ = true;  // Until this file has proved good.
  if (!InBounds(at_, kHeaderBytes, archive_.size())) return std::nullopt;
  const char* header = reinterpret_cast<const char*>(archive_.data()) + at_;
  const auto bytes = Field(header, kSizeField);
  const auto name_bytes = Field(header, kNameSizeField);
  if (std::string_view(header, kMagic.size()) != kMagic || !bytes || !name_bytes) {
    return std::nullopt;
  }
  const size_t name_at = at_ + kHeaderBytes;
  if (*name_bytes == 0 || !InBounds(name_at, *name_bytes, archive_.size()) ||
      header[kHeaderBytes + *name_bytes - 1] != '\0') {
    return std::nullopt;
  }
  CpioFile file;
  file.name = {header + kHeaderBytes, *name_bytes - 1};
  if (file.name == kTrailer) {
    bad_ = false;
    done_ = true;
    return std::nullopt;
  }
  const size_t data_at = AlignUp4(name_at + *name_bytes);
  if (!InBounds(data_at, *bytes, archive_.size())) return std::nullopt;
  file.data = archive_.subspan(data_at, *bytes);
  at_ = AlignUp4(data_at + *bytes);
  if (file.name.size() > 2 && file.name[0] == '.' && file.name[1] == '/') {
    file.name.remove_prefix(2);
  }
  bad_ = false;
  return file;
}

std::optional<CpioFile> FindFile(std::span<const std::byte> archive, std::string_view name) {
  CpioReader reader(archive);
  while (const auto file = reader.Next()) {
    if (file->name == name) return file;
  }
  return std::nullopt;
}

namespace {

// Reads one line's pairs into `guest`; false if anything about it is wrong.
bool ParseGuest(std::string_view line, uint64_t place, BootGuest& guest) {
  constexpr std::string_view kNumbers[] = {
      "id",     "seed_frames", "window_frames", "seed_millicores",
      "frames", "millicores",  "devices",       "processors"};
  std::optional<uint64_t> numbers[std::size(kNumbers)];
  const auto& [id, seed_frames, window_frames, seed_millicores, frames, millicores, devices,
               processors] = numbers;
  bool has_name = false;
  bool has_arguments = false;

  KeyValueReader reader(line);
  while (const auto pair = reader.Next()) {
    if (pair->key == "name") {
      if (has_name || pair->value.empty() || !Fit(pair->value, guest.create.name)) return false;
      has_name = true;
    } else if (pair->key == "image") {
      if (!guest.image.empty() || pair->value.empty()) return false;
      guest.image = pair->value;
    } else if (pair->key == "arguments") {
      if (has_arguments || !Fit(pair->value, guest.create.arguments)) return false;
      has_arguments = true;
    } else if (const auto good = guest.pc.Take(pair->key, pair->value); good.has_value()) {
      if (!*good) return false;
    } else {
      const size_t number = static_cast<size_t>(
          std::find(std::begin(kNumbers), std::end(kNumbers), pair->key) - std::begin(kNumbers));
      if (number == std::size(kNumbers) || numbers[number].has_value()) return false;
      numbers[number] = ParseNumber(pair->value);
      if (!numbers[number].has_value()) return false;
    }
  }
  if (reader.bad() || !has_name || guest.image.empty() || !seed_frames) return false;
  if (!guest.pc.whole()) return false;

  guest.granted.frames = frames.value_or(*seed_frames);
  guest.create.guest_id = id.value_or(place);
  guest.create.seed_frames = *seed_frames;
  guest.create.window_frames = window_frames.value_or(guest.granted.frames);
  guest.create.seed_millicores = seed_millicores.value_or(100);
  guest.granted.millicores = millicores.value_or(guest.create.seed_millicores);
  guest.virtual_processors = processors.value_or(1);
  guest.granted.devices = static_cast<uint32_t>(devices.value_or(0));
  return true;
}

}  // namespace

bool BootGuestReader::Next(BootGuest& guest) {
  while (!rest_.empty() && bad_line_ == 0) {
    size_t end = 0;
    while (end < rest_.size() && rest_[end] != '\n') ++end;
    std::string_view line(rest_.data(), end);
    rest_.remove_prefix(end == rest_.size() ? end : end + 1);
    ++line_;
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    if (line.empty() || line.front() == '#' || line == "\r") continue;
    guest = {};
    if (ParseGuest(line, ++guests_, guest)) return true;
    bad_line_ = line_;
  }
  return false;
}

}  // namespace nomhv
