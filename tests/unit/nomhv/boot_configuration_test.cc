// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/boot_configuration.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>

namespace nomhv {
namespace {

std::string Entry(const std::string& name, const std::string& data) {
  char header[111];
  std::snprintf(header, sizeof(header),
                "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 1u, 0100644u, 0u, 0u,
                1u, 0u, static_cast<unsigned>(data.size()), 0u, 0u, 0u, 0u,
                static_cast<unsigned>(name.size() + 1), 0u);
  std::string entry = header + name + '\0';
  entry.resize((entry.size() + 3) & ~size_t{3});
  entry += data;
  entry.resize((entry.size() + 3) & ~size_t{3});
  return entry;
}

std::span<const std::byte> Bytes(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

const std::string kArchive = Entry("./guests.cfg", "name=a\n") + Entry("a.elf", "12345") +
                             Entry("empty", "") + Entry("TRAILER!!!", "") + std::string(512, '\0');

TEST(Cpio, WalksFiles) {
  CpioReader reader(Bytes(kArchive));
  const auto config = reader.Next();
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->name, "guests.cfg");
  EXPECT_EQ(config->data.size(), 7u);
  const auto image = reader.Next();
  ASSERT_TRUE(image.has_value());
  EXPECT_EQ(image->name, "a.elf");
  EXPECT_EQ(std::memcmp(image->data.data(), "12345", 5), 0);
  EXPECT_EQ(reader.Next()->data.size(), 0u);
  EXPECT_FALSE(reader.Next().has_value());
  EXPECT_FALSE(reader.bad());
  EXPECT_EQ(FindFile(Bytes(kArchive), "a.elf")->data.size(), 5u);
  EXPECT_FALSE(FindFile(Bytes(kArchive), "b.elf").has_value());
}

TEST(Cpio, NoTrailerIsBad) {
  const std::string cut = kArchive.substr(0, kArchive.find("07070100000001", 200));
  CpioReader reader(Bytes(cut));
  while (reader.Next()) {
  }
  EXPECT_TRUE(reader.bad());
  CpioReader nothing({});
  EXPECT_FALSE(nothing.Next().has_value());
  EXPECT_TRUE(nothing.bad());
}

TEST(Cpio, MutatedArchivesAreWalkedInBounds) {
  std::mt19937_64 random(6);
  int whole = 0;
  for (int round = 0; round < 100000; ++round) {
    std::string archive = kArchive;
    for (int i = 0; i < 3; ++i) {
      archive[random() % archive.size()] =
          random() % 2 == 0 ? "0fF78"[random() % 5] : static_cast<char>(random());
    }
    const size_t size = random() % 2 == 0 ? archive.size() : random() % archive.size();
    const auto exact = std::make_unique<std::byte[]>(size);
    std::memcpy(exact.get(), archive.data(), size);
    CpioReader reader({exact.get(), size});
    int files = 0;
    while (const auto file = reader.Next()) {
      ASSERT_LT(++files, 100);
      uint8_t sum = 0;  // Touches all of it: AddressSanitizer watches.
      for (const std::byte b : file->data)
        sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(b));
      for (const char c : file->name) sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(c));
      asm volatile("" ::"r"(sum));
    }
    whole += reader.bad() ? 0 : 1;
  }
  EXPECT_GT(whole, 1000);
}

TEST(KeyValues, Reads) {
  const std::string_view text = "  exit=when-idle quiet a=\"b c\" empty= x=\"\"";
  KeyValueReader reader(text);
  auto pair = reader.Next();
  EXPECT_EQ(pair->key, "exit");
  EXPECT_EQ(pair->value, "when-idle");
  pair = reader.Next();
  EXPECT_EQ(pair->key, "quiet");
  EXPECT_EQ(pair->value, "");
  EXPECT_EQ(reader.Next()->value, "b c");
  EXPECT_EQ(reader.Next()->key, "empty");
  EXPECT_EQ(reader.Next()->value, "");
  EXPECT_FALSE(reader.Next().has_value());
  EXPECT_FALSE(reader.bad());
  EXPECT_EQ(FindValue(text, "a"), "b c");
  EXPECT_EQ(FindValue(text, "b"), std::nullopt);
}

TEST(KeyValues, OpenQuotesAreBad) {
  for (const char* text : {"a=\"b", "a=\"b\"c", "a=\""}) {
    KeyValueReader reader(text);
    EXPECT_FALSE(reader.Next().has_value()) << text;
    EXPECT_TRUE(reader.bad()) << text;
  }
}

TEST(KeyValues, Numbers) {
  EXPECT_EQ(ParseNumber("0"), 0u);
  EXPECT_EQ(ParseNumber("18446744073709551615"), ~uint64_t{0});
  EXPECT_EQ(ParseNumber("18446744073709551616"), std::nullopt);
  EXPECT_EQ(ParseNumber("0xFFffFFffFFffFFff"), ~uint64_t{0});
  EXPECT_EQ(ParseNumber("0x10000000000000000"), std::nullopt);
  for (const char* text : {"", "-1", "+1", "1k", " 1", "0x", "0xg", "1 "}) {
    EXPECT_EQ(ParseNumber(text), std::nullopt) << text;
  }
}

TEST(BootGuests, ReadsLinesAndDefaults) {
  BootGuestReader reader(
      "# two guests\n"
      "name=a image=a.elf seed_frames=64\n"
      "\n"
      "  name=b image=b.elf id=70 seed_frames=0x40 window_frames=256 frames=128 "
      "seed_millicores=50 millicores=500 processors=3 arguments=\"say hello\"");
  BootGuest guest;
  ASSERT_TRUE(reader.Next(guest));
  EXPECT_STREQ(guest.create.name, "a");
  EXPECT_EQ(guest.image, "a.elf");
  EXPECT_EQ(guest.create.guest_id, 1u);
  EXPECT_EQ(guest.create.window_frames, 64u);
  EXPECT_EQ(guest.create.seed_millicores, 100u);
  EXPECT_EQ(guest.granted, (Amounts{64, 100}));
  EXPECT_EQ(guest.virtual_processors, 1u);
  ASSERT_TRUE(reader.Next(guest));
  EXPECT_EQ(guest.create.guest_id, 70u);
  EXPECT_EQ(guest.create.seed_frames, 64u);
  EXPECT_EQ(guest.create.window_frames, 256u);
  EXPECT_EQ(guest.granted, (Amounts{128, 500}));
  EXPECT_EQ(guest.virtual_processors, 3u);
  EXPECT_STREQ(guest.create.arguments, "say hello");
  EXPECT_FALSE(reader.Next(guest));
  EXPECT_EQ(reader.bad_line(), 0u);
}

TEST(BootGuests, APcHasAKernelAnInitramfsAndACommandLine) {
  BootGuestReader reader(
      "name=a image=vmlinux seed_frames=64 personality=pc initramfs=i.cpio "
      "command_line=\"console=ttyS0 quiet\"\n"
      "name=b image=vmlinux seed_frames=64 personality=pc\n"
      "name=c image=c.elf seed_frames=64\n");
  BootGuest guest;
  ASSERT_TRUE(reader.Next(guest));
  EXPECT_TRUE(guest.pc.wanted);
  EXPECT_EQ(guest.image, "vmlinux");
  EXPECT_EQ(guest.pc.initramfs_name, "i.cpio");
  EXPECT_EQ(guest.pc.command_line, "console=ttyS0 quiet");
  ASSERT_TRUE(reader.Next(guest));
  EXPECT_TRUE(guest.pc.wanted);
  EXPECT_TRUE(guest.pc.initramfs_name.empty());
  ASSERT_TRUE(reader.Next(guest));
  EXPECT_FALSE(guest.pc.wanted);
}

TEST(BootGuests, OnlyAPcHasWhatAPcHas) {
  const std::string good = "name=a image=v seed_frames=1 personality=pc ";
  const std::string most(kPcCommandLineBytes, 'c');
  BootGuest guest;
  EXPECT_TRUE(BootGuestReader(good + "command_line=" + most).Next(guest));
  for (const std::string& line :
       {good + "command_line=" + most + "c", good + "personality=pc",
        good + "initramfs=a initramfs=b", good + "command_line",
        std::string("name=a image=v seed_frames=1 personality=mac"),
        std::string("name=a image=v seed_frames=1 personality="),
        std::string("name=a image=v seed_frames=1 initramfs=i"),
        std::string("name=a image=v seed_frames=1 command_line=quiet"),
        std::string("name=a image=v seed_frames=1 arguments=x arguments=y")}) {
    EXPECT_FALSE(BootGuestReader(line).Next(guest)) << line;
  }
}

TEST(BootGuests, BadLinesAreNamed) {
  const std::string long_name(NOM_NAME_BYTES, 'n');
  for (const std::string& line :
       {std::string("name=a image=a.elf"), std::string("image=a.elf seed_frames=1"),
        std::string("name=a seed_frames=1"), std::string("name=a image=a seed_frames=1 colour=red"),
        std::string("name=a image=a seed_frames=x"),
        std::string("name=a name=b image=a seed_frames=1"),
        std::string("name=a image=a seed_frames=1 seed_frames=2"),
        std::string("name=a image=a seed_frames=1 arguments=\"x"),
        "name=" + long_name + " image=a seed_frames=1"}) {
    const std::string text = "# comment\n" + line + "\nname=c image=c seed_frames=1\n";
    BootGuestReader reader(text);
    BootGuest guest;
    EXPECT_FALSE(reader.Next(guest)) << line;
    EXPECT_EQ(reader.bad_line(), 2u) << line;
  }
}

}  // namespace
}  // namespace nomhv
