// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/image.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "tests/unit/nomhv/image_builder.h"

namespace nomhv {
namespace {

constexpr uint64_t kSeedFrames = 1024;  // 4 MiB

NomImageFault Fault(ImageBuilder& builder, uint64_t seed_frames = kSeedFrames) {
  const auto image = builder.Build();
  LoadPlan plan;
  return PlanImage(image, seed_frames, plan);
}

TEST(Image, PlansAGoodOne) {
  ImageBuilder builder;
  const auto image = builder.Build();
  LoadPlan plan;
  ASSERT_EQ(PlanImage(image, kSeedFrames, plan), NOM_IMAGE_FAULT_NONE);
  EXPECT_EQ(plan.entry_gpa, 0x100000u);
  ASSERT_EQ(plan.segment_count, 2u);
  EXPECT_EQ(plan.segments[0].gpa, 0x100000u);
  EXPECT_EQ(plan.segments[0].file_offset, ImageBuilder::kCodeAt);
  EXPECT_EQ(plan.segments[0].file_bytes, 4096u);
  EXPECT_EQ(plan.segments[1].gpa, 0x200000u);
  EXPECT_EQ(plan.segments[1].file_bytes, 16u);
  EXPECT_EQ(plan.segments[1].memory_bytes, 8192u);
}

TEST(Image, AcceptsThe32BitNote) {
  ImageBuilder builder;
  builder.note.n_descsz = 4;
  EXPECT_EQ(Fault(builder), NOM_IMAGE_FAULT_NONE);
}

TEST(Image, TooShort) {
  ImageBuilder builder;
  auto image = builder.Build();
  LoadPlan plan;
  EXPECT_EQ(PlanImage({}, kSeedFrames, plan), NOM_IMAGE_FAULT_TOO_SHORT);
  EXPECT_EQ(PlanImage(std::span(image).first(63), kSeedFrames, plan), NOM_IMAGE_FAULT_TOO_SHORT);
  EXPECT_EQ(PlanImage(std::span(image).first(100), kSeedFrames, plan), NOM_IMAGE_FAULT_TOO_SHORT);
  builder.elf.e_phoff = ~uint64_t{0} - 8;
  EXPECT_EQ(Fault(builder), NOM_IMAGE_FAULT_TOO_SHORT);
}

TEST(Image, NotElf) {
  ImageBuilder builder;
  builder.elf.e_ident[1] = 'F';
  EXPECT_EQ(Fault(builder), NOM_IMAGE_FAULT_NOT_ELF);
}

TEST(Image, NotElf64X86) {
  const auto with = [](auto change) {
    ImageBuilder builder;
    change(builder.elf);
    return Fault(builder);
  };
  EXPECT_EQ(with([](auto& e) { e.e_ident[EI_CLASS] = ELFCLASS32; }), NOM_IMAGE_FAULT_NOT_ELF64_X86);
  EXPECT_EQ(with([](auto& e) { e.e_ident[EI_DATA] = ELFDATA2MSB; }), NOM_IMAGE_FAULT_NOT_ELF64_X86);
  EXPECT_EQ(with([](auto& e) { e.e_type = ET_DYN; }), NOM_IMAGE_FAULT_NOT_ELF64_X86);
  EXPECT_EQ(with([](auto& e) { e.e_machine = EM_AARCH64; }), NOM_IMAGE_FAULT_NOT_ELF64_X86);
  EXPECT_EQ(with([](auto& e) { e.e_phentsize = 32; }), NOM_IMAGE_FAULT_NOT_ELF64_X86);
}

TEST(Image, SegmentsOutsideTheFile) {
  const auto with = [](uint64_t offset, uint64_t bytes) {
    ImageBuilder builder;
    builder.segments[1].p_offset = offset;
    builder.segments[1].p_filesz = bytes;
    return Fault(builder);
  };
  EXPECT_EQ(with(0x2000, 16), NOM_IMAGE_FAULT_NONE);
  EXPECT_EQ(with(0x2000, 17), NOM_IMAGE_FAULT_BAD_SEGMENT);
  EXPECT_EQ(with(0x2011, 0), NOM_IMAGE_FAULT_BAD_SEGMENT);
  EXPECT_EQ(with(~uint64_t{0}, 2), NOM_IMAGE_FAULT_BAD_SEGMENT);
  EXPECT_EQ(with(8, ~uint64_t{0} - 4), NOM_IMAGE_FAULT_BAD_SEGMENT);
  EXPECT_EQ(with(0, 8193), NOM_IMAGE_FAULT_BAD_SEGMENT) << "more in the file than in memory";
  ImageBuilder note;
  note.segments[2].p_offset = 1 << 20;
  EXPECT_EQ(Fault(note), NOM_IMAGE_FAULT_BAD_SEGMENT);
}

TEST(Image, SegmentsOutsideTheSeed) {
  ImageBuilder builder;
  EXPECT_EQ(Fault(builder, 0x202), NOM_IMAGE_FAULT_NONE) << "ends with the last frame";
  EXPECT_EQ(Fault(builder, 0x201), NOM_IMAGE_FAULT_OUTSIDE_SEED);
  builder.segments[1].p_memsz = ~uint64_t{0};
  EXPECT_EQ(Fault(builder), NOM_IMAGE_FAULT_OUTSIDE_SEED);
  builder.segments[1].p_memsz = 8192;
  builder.segments[1].p_paddr = ~uint64_t{0} - 4095;
  EXPECT_EQ(Fault(builder), NOM_IMAGE_FAULT_OUTSIDE_SEED);
  builder.segments[1].p_paddr = uint64_t{1} << 32;
  EXPECT_EQ(Fault(builder, ~uint64_t{0}), NOM_IMAGE_FAULT_OUTSIDE_SEED)
      << "no seed reaches beyond the largest window";
}

TEST(Image, Overlap) {
  ImageBuilder builder;
  builder.segments[1].p_paddr = 0x100fff;
  EXPECT_EQ(Fault(builder), NOM_IMAGE_FAULT_OVERLAP);
  builder.segments[1].p_paddr = 0x100000 - 8191;
  EXPECT_EQ(Fault(builder), NOM_IMAGE_FAULT_OVERLAP);
  builder.segments[1].p_paddr = 0x101000;
  EXPECT_EQ(Fault(builder), NOM_IMAGE_FAULT_NONE);
}

TEST(Image, NoEntry) {
  const auto with = [](auto change) {
    ImageBuilder builder;
    change(builder);
    return Fault(builder);
  };
  EXPECT_EQ(with([](auto& b) { b.segments.pop_back(); }), NOM_IMAGE_FAULT_NO_ENTRY);
  EXPECT_EQ(with([](auto& b) { b.note.n_type = 17; }), NOM_IMAGE_FAULT_NO_ENTRY);
  EXPECT_EQ(with([](auto& b) { b.note_name[0] = 'Z'; }), NOM_IMAGE_FAULT_NO_ENTRY);
  EXPECT_EQ(with([](auto& b) { b.note.n_namesz = 0xffffffff; }), NOM_IMAGE_FAULT_NO_ENTRY);
  EXPECT_EQ(with([](auto& b) { b.note.n_descsz = 0xffffffff; }), NOM_IMAGE_FAULT_NO_ENTRY);
  EXPECT_EQ(with([](auto& b) { b.note_entry = 0x200000; }), NOM_IMAGE_FAULT_NO_ENTRY) << "data";
  EXPECT_EQ(with([](auto& b) { b.note_entry = 0x101000; }), NOM_IMAGE_FAULT_NO_ENTRY);
  EXPECT_EQ(with([](auto& b) { b.note_entry = 0x100000 + (uint64_t{1} << 32); }),
            NOM_IMAGE_FAULT_NO_ENTRY);
}

TEST(Image, TooManySegments) {
  ImageBuilder builder;
  for (uint32_t i = 0; i < kImageSegmentsMax; ++i) {
    builder.segments.push_back(
        {PT_LOAD, PF_R, 0x2000, 0, 0x300000 + i * uint64_t{4096}, 16, 16, 4096});
  }
  EXPECT_EQ(Fault(builder), NOM_IMAGE_FAULT_BAD_SEGMENT);
}

// Whatever is done to an image, a plan that is accepted can be loaded: sources lie in the file,
// targets in the seed and apart from each other, the entry in one of them. The image is copied to
// an exact heap block each time, so that AddressSanitizer sees a read past its end.
TEST(Image, MutatedImagesNeverGiveABadPlan) {
  std::mt19937_64 random(20261124);
  ImageBuilder builder;
  const auto good = builder.Build();
  const uint64_t kNasty[] = {0,
                             1,
                             4095,
                             4096,
                             0x7fffffff,
                             0xffffffff,
                             ~uint64_t{0} >> 1,
                             ~uint64_t{0},
                             ~uint64_t{0} - 4095,
                             0x100000,
                             0x3ff000};
  int accepted = 0;
  for (int round = 0; round < 200000; ++round) {
    SCOPED_TRACE(round);
    auto image = good;
    const int changes = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < changes; ++i) {
      // Mostly the headers and the note.
      const size_t at = random() % 4 == 0 ? ImageBuilder::kNoteAt + random() % 24 : random() % 232;
      if (random() % 2 == 0) {
        image[at] = static_cast<std::byte>(random());
      } else {
        const uint64_t value = kNasty[random() % std::size(kNasty)];
        std::memcpy(image.data() + (at & ~size_t{7}), &value, 8);
      }
    }
    const size_t bytes = random() % 3 == 0 ? random() % (image.size() + 1) : image.size();
    const auto exact = std::make_unique<std::byte[]>(bytes);
    std::memcpy(exact.get(), image.data(), bytes);
    LoadPlan plan;
    if (PlanImage({exact.get(), bytes}, kSeedFrames, plan) != NOM_IMAGE_FAULT_NONE) continue;
    ++accepted;
    bool entry_inside = false;
    ASSERT_LE(plan.segment_count, kImageSegmentsMax);
    for (uint32_t i = 0; i < plan.segment_count; ++i) {
      const ImageSegment& s = plan.segments[i];
      ASSERT_LE(s.file_offset, bytes);
      ASSERT_LE(s.file_bytes, bytes - s.file_offset);
      ASSERT_LE(s.file_bytes, s.memory_bytes);
      ASSERT_LE(s.gpa, kSeedFrames * NOM_FRAME_BYTES);
      ASSERT_LE(s.memory_bytes, kSeedFrames * NOM_FRAME_BYTES - s.gpa);
      for (uint32_t j = 0; j < i; ++j) {
        const ImageSegment& t = plan.segments[j];
        ASSERT_TRUE(s.gpa + s.memory_bytes <= t.gpa || t.gpa + t.memory_bytes <= s.gpa);
      }
      entry_inside |= plan.entry_gpa >= s.gpa && plan.entry_gpa < s.gpa + s.memory_bytes;
    }
    ASSERT_TRUE(entry_inside);
  }
  EXPECT_GT(accepted, 1000) << "the mutations are too wild to say anything";
}

}  // namespace
}  // namespace nomhv
