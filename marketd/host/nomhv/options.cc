// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/nomhv/options.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "nomhv/abi/pc.h"

namespace nom::market {

absl::Status CheckPcImage(const PcImage& pc) {
  for (const auto& [key, text] : {std::pair("name", &pc.name), std::pair("kernel", &pc.kernel)}) {
    if (text->empty()) return absl::InvalidArgumentError(absl::StrCat(key, ": is empty"));
  }
  for (const auto& [key, text] : {std::pair("name", &pc.name), std::pair("kernel", &pc.kernel),
                                  std::pair("initramfs", &pc.initramfs)}) {
    if (text->size() >= NOM_NAME_BYTES || text->find('/') != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(
          key, ": must have at most ", NOM_NAME_BYTES - 1, " bytes and no /, is \"", *text, "\""));
    }
  }
  // Beside what a guest may say for itself, and the blank between.
  constexpr size_t kLineMax = NOM_PC_COMMAND_LINE_BYTES - NOM_ARGUMENTS_BYTES - 1;
  if (pc.command_line.size() > kLineMax) {
    return absl::InvalidArgumentError(absl::StrCat("command_line: has ", pc.command_line.size(),
                                                   " bytes, of at most ", kLineMax));
  }
  if (pc.command_line.find_first_of(std::string("\0\n", 2)) != std::string::npos) {
    return absl::InvalidArgumentError("command_line: must be one line");
  }
  if (pc.processors < 1 || pc.processors > NOM_VIRTUAL_PROCESSORS_MAX) {
    return absl::InvalidArgumentError(absl::StrCat(
        "processors: must be 1 to ", NOM_VIRTUAL_PROCESSORS_MAX, ", is ", pc.processors));
  }
  return absl::OkStatus();
}

}  // namespace nom::market
