// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/pc/create.h"

#include <algorithm>
#include <optional>

#include "nomhv/abi/pc.h"
#include "nomhv/core/boot_configuration.h"

namespace nomhv {
namespace {

constexpr uint32_t kArchivesMax = 8;
std::span<const std::byte> g_archives[kArchivesMax];
uint32_t g_archive_count = 0;
NomCreatePc g_create;  // Copied once; views of it are looked at.

// The text up to its end; nothing if it has none.
template <size_t N>
std::optional<std::string_view> Text(const char (&text)[N]) {
  const char* const end = std::find(text, text + N, '\0');
  if (end == text + N) return std::nullopt;
  return std::string_view(text, static_cast<size_t>(end - text));
}

std::optional<std::span<const std::byte>> Find(std::string_view name) {
  for (uint32_t i = 0; i < g_archive_count; ++i) {
    const std::optional<CpioFile> file = FindFile(g_archives[i], name);
    if (file.has_value()) return file->data;
  }
  return std::nullopt;
}

}  // namespace

void UsePcFiles(std::span<const std::byte> archive) {
  if (g_archive_count < kArchivesMax) g_archives[g_archive_count++] = archive;
}

Result<std::span<const std::byte>> ReadPcCreate(const Mailbox& mailbox, const NomCommand& command,
                                                PcBoot& boot) {
  if (command.argument[1] != NOM_PERSONALITY_PC) return NOM_STATUS_BAD_PARAMETER;
  if (const Status read = mailbox.ReadPayload(command, g_create); !read.ok()) return read.code();
  const std::optional<std::string_view> kernel = Text(g_create.kernel);
  const std::optional<std::string_view> initramfs = Text(g_create.initramfs);
  const std::optional<std::string_view> command_line = Text(g_create.command_line);
  if (!kernel || !initramfs || !command_line) return NOM_STATUS_BAD_PARAMETER;
  boot.wanted = true;
  boot.command_line = *command_line;
  if (!initramfs->empty()) {
    const auto file = Find(*initramfs);
    if (!file.has_value()) return NOM_STATUS_BAD_PARAMETER;
    boot.initramfs = *file;
  }
  const auto file = Find(*kernel);
  if (!file.has_value()) return NOM_STATUS_BAD_PARAMETER;
  return *file;
}

}  // namespace nomhv
