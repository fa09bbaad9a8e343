// SPDX-License-Identifier: Apache-2.0
// Builds guest images for tests.

#ifndef TESTS_UNIT_NOMHV_IMAGE_BUILDER_H_
#define TESTS_UNIT_NOMHV_IMAGE_BUILDER_H_

#include <elf.h>

#include <cstddef>
#include <cstring>
#include <vector>

namespace nomhv {

// A good image: a code segment at 1 MiB (one page, with the entry at its start), a data segment at
// 2 MiB (16 bytes in the file, 8 KiB in memory), and a PVH note.
struct ImageBuilder {
  Elf64_Ehdr elf{};
  std::vector<Elf64_Phdr> segments;
  Elf64_Nhdr note{4, 8, 18};
  char note_name[4] = {'X', 'e', 'n', 0};
  uint64_t note_entry = 0x100000;
  std::vector<std::byte> code = std::vector<std::byte>(4096, std::byte{0x90});
  std::vector<std::byte> data = std::vector<std::byte>(16, std::byte{0x42});

  static constexpr uint64_t kNoteAt = 0x400;
  static constexpr uint64_t kCodeAt = 0x1000;
  static constexpr uint64_t kDataAt = 0x2000;

  ImageBuilder() {
    std::memcpy(elf.e_ident, ELFMAG, SELFMAG);
    elf.e_ident[EI_CLASS] = ELFCLASS64;
    elf.e_ident[EI_DATA] = ELFDATA2LSB;
    elf.e_ident[EI_VERSION] = EV_CURRENT;
    elf.e_type = ET_EXEC;
    elf.e_machine = EM_X86_64;
    elf.e_version = EV_CURRENT;
    elf.e_ehsize = sizeof(Elf64_Ehdr);
    elf.e_phoff = sizeof(Elf64_Ehdr);
    elf.e_phentsize = sizeof(Elf64_Phdr);
    segments.push_back({PT_LOAD, PF_R | PF_X, kCodeAt, 0x100000, 0x100000, 4096, 4096, 4096});
    segments.push_back({PT_LOAD, PF_R | PF_W, kDataAt, 0x200000, 0x200000, 16, 8192, 4096});
    segments.push_back({PT_NOTE, PF_R, kNoteAt, 0, 0, sizeof(note) + 12, sizeof(note) + 12, 4});
  }

  std::vector<std::byte> Build() {
    elf.e_phnum = static_cast<Elf64_Half>(segments.size());
    std::vector<std::byte> image(kDataAt + data.size());
    std::memcpy(image.data(), &elf, sizeof(elf));
    std::memcpy(image.data() + sizeof(elf), segments.data(), segments.size() * sizeof(Elf64_Phdr));
    std::memcpy(image.data() + kNoteAt, &note, sizeof(note));
    std::memcpy(image.data() + kNoteAt + 12, note_name, 4);
    std::memcpy(image.data() + kNoteAt + 16, &note_entry, 8);
    std::memcpy(image.data() + kCodeAt, code.data(), code.size());
    std::memcpy(image.data() + kDataAt, data.data(), data.size());
    return image;
  }
};

}  // namespace nomhv

#endif  // TESTS_UNIT_NOMHV_IMAGE_BUILDER_H_
