#include "nomhv/x86/boot_guests.h"

#include <cstring>

#include "nomhv/core/boot_modules.h"
#include "nomhv/core/key_values.h"
#include "nomhv/x86/log.h"
#include "nomhv/x86/memory.h"

namespace nomhv {
namespace {

// What a line of guests.cfg may say; on a command line it stands among other keys.
constexpr std::string_view kGuestKeys[] = {"name",          "id",       "seed_frames",
                                           "window_frames", "frames",   "seed_millicores",
                                           "millicores",    "arguments"};
constexpr std::string_view kModule = "module";

bool IsElf(std::span<const std::byte> data) {
  return data.size() >= 4 && std::memcmp(data.data(),
                                         "\x7f"
                                         "ELF",
                                         4) == 0;
}

// The line of guests.cfg for a guest that comes alone. Views into `line` and `text` stay.
void AddGuestLine(std::string_view text, Line<2048>& line) {
  line.Add("image=", kModule);
  for (const std::string_view key : kGuestKeys) {
    const std::optional<std::string_view> value = FindValue(text, key);
    if (value.has_value()) {
      line.Add(" ", key, "=\"", *value, "\"");
    } else if (key == "name") {
      line.Add(" name=guest");
    } else if (key == "seed_frames") {
      line.Add(" seed_frames=1024");
    }
  }
}

void StartFromText(std::string_view text, std::span<const std::byte> module, bool archive,
                   Control& control) {
  BootGuestReader reader(text);
  BootGuest guest;
  while (reader.Next(guest)) {
    std::span<const std::byte> image = module;
    if (archive) {
      const std::optional<CpioFile> file = FindFile(module, guest.image);
      if (!file.has_value()) {
        Log(LogLevel::kError, "boot: no image ", Quoted{guest.image}, " in the archive");
        control.CountBootFailure();
        continue;
      }
      image = file->data;
    }
    if (!control.CreateBootGuest(guest.create, image, guest.granted).ok()) continue;
  }
  if (reader.bad_line() != 0) {
    Log(LogLevel::kError, "boot: guests.cfg line ", reader.bad_line(),
        " is wrong; it and what follows start nothing");
    control.CountBootFailure();
  }
}

}  // namespace

void StartBootGuests(const BootInfo& info, Control& control) {
  for (uint32_t i = 0; i < info.module_count; ++i) {
    const BootModule& boot_module = info.modules[i];
    const std::span<const std::byte> data(Physical<std::byte>(boot_module.range.first),
                                          boot_module.range.bytes);
    if (IsElf(data)) {
      const bool own = boot_module.command_line[0] != '\0';
      Line<2048> line;
      AddGuestLine(own ? boot_module.command_line : info.command_line, line);
      StartFromText(line.text(), data, /*archive=*/false, control);
      continue;
    }
    const std::optional<CpioFile> config = FindFile(data, "guests.cfg");
    if (!config.has_value()) {
      Log(LogLevel::kError, "boot: module ", i, " is no guest image and has no guests.cfg");
      control.CountBootFailure();
      continue;
    }
    StartFromText({reinterpret_cast<const char*>(config->data.data()), config->data.size()}, data,
                  /*archive=*/true, control);
  }
}

}  // namespace nomhv
