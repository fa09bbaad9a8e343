// SPDX-License-Identifier: Apache-2.0
// PCs that marketd creates, of files that the machine's loader brought. The control processor.

#ifndef NOMHV_X86_PC_CREATE_H_
#define NOMHV_X86_PC_CREATE_H_

#include <cstddef>
#include <span>

#include "nomhv/core/mailbox.h"
#include "nomhv/core/pc/start.h"

namespace nomhv {

// From here on CREATE may name files of this archive. It stays; at boot, a few times.
void UsePcFiles(std::span<const std::byte> archive);

// What a CREATE with a personality says: the kernel, and in `boot` the rest, good until the next
// call. BAD_PARAMETER: another personality, payload bounds, a text without its end, or a file that
// is in no archive.
Result<std::span<const std::byte>> ReadPcCreate(const Mailbox& mailbox, const NomCommand& command,
                                                PcBoot& boot);

}  // namespace nomhv

#endif  // NOMHV_X86_PC_CREATE_H_
