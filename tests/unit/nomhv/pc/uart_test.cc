// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/pc/uart.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace nomhv {
namespace {

std::vector<std::string> Say(Uart& uart, std::string_view text) {
  std::vector<std::string> lines;
  for (const char c : text) {
    const std::string_view line = uart.Write(0, static_cast<uint8_t>(c));
    if (!line.empty()) lines.emplace_back(line);
  }
  return lines;
}

TEST(Uart, LinesComeOutWhole) {
  Uart uart;
  EXPECT_EQ(Say(uart, "hello\r\nwor"), std::vector<std::string>{"hello"});
  EXPECT_EQ(Say(uart, "ld\n\n\r\n"), std::vector<std::string>{"world"}) << "empty ones do not";
  EXPECT_EQ(Say(uart, "x\n"), std::vector<std::string>{"x"});
}

TEST(Uart, ALongLineIsCutInPieces) {
  Uart uart;
  const std::string text(2 * Uart::kLineBytes + 5, 'y');
  const auto lines = Say(uart, text + "\n");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0] + lines[1] + lines[2], text);
  EXPECT_EQ(lines[0].size(), Uart::kLineBytes);
}

TEST(Uart, IsReadyAndSaysSo) {
  Uart uart;
  EXPECT_EQ(uart.Read(5), 0x60);
  EXPECT_EQ(uart.Read(2), 0x01) << "no interrupt, no FIFO";
  static_cast<void>(uart.Write(1, 2));
  EXPECT_EQ(uart.Read(2), 0x02) << "the transmitter is empty: its driver writes on";
  static_cast<void>(uart.Write(2, 1));
  EXPECT_EQ(uart.Read(2), 0xc2);
  EXPECT_EQ(uart.Read(0), 0) << "nothing is ever received";
}

TEST(Uart, RegistersKeepWhatADriverProbes) {
  Uart uart;
  static_cast<void>(uart.Write(7, 0xa5));
  EXPECT_EQ(uart.Read(7), 0xa5);
  static_cast<void>(uart.Write(1, 0xff));
  EXPECT_EQ(uart.Read(1), 0x0f);
  static_cast<void>(uart.Write(3, 0x83));
  EXPECT_TRUE(Say(uart, "\x0c\n").empty()) << "that is the divisor";
  EXPECT_EQ(uart.Read(0), '\n');
  static_cast<void>(uart.Write(1, 1));
  EXPECT_EQ(uart.Read(1), 1);
  static_cast<void>(uart.Write(3, 3));
  EXPECT_EQ(uart.Read(1), 0x0f);
  static_cast<void>(uart.Write(4, 0xff));
  EXPECT_EQ(uart.Read(4), 0x1f);
}

TEST(Uart, AnythingMayBeWritten) {
  std::mt19937 random(5);
  Uart uart;
  for (int i = 0; i < 300'000; ++i) {
    ASSERT_LE(uart.Write(random() % 8, static_cast<uint8_t>(random())).size(), Uart::kLineBytes);
    static_cast<void>(uart.Read(random() % 8));
  }
}

}  // namespace
}  // namespace nomhv
