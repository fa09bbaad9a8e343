// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/line.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace nomhv {
namespace {

TEST(Line, FormatsEverything) {
  Line<> line;
  line.Add("a ", 1u, ' ', -5, " ", Hex{0xdeadbeef}, " ", Hex{}, true, std::string_view("!"));
  EXPECT_EQ(line.text(), "a 1 -5 0xdeadbeef 0x0true!");
}

TEST(Line, Extremes) {
  Line<> line;
  line.Add(std::numeric_limits<int64_t>::min(), ' ', std::numeric_limits<uint64_t>::max(), ' ',
           uint8_t{200}, ' ', int8_t{-128});
  EXPECT_EQ(line.text(), "-9223372036854775808 18446744073709551615 200 -128");
}

TEST(Line, IsCutVisibly) {
  Line<10> line;
  line.Add("0123456789");
  EXPECT_EQ(line.text(), "0123456789");
  line.Add("x", 12345);
  EXPECT_EQ(line.text(), "0123456...");
  line.Clear();
  EXPECT_EQ(line.Add(7).text(), "7");
}

TEST(Line, StrangersForgeNothing) {
  Line<> line;
  line.Add(Quoted{std::string_view("ok\n\x1b[2J\x80~", 9)});
  EXPECT_EQ(line.text(), "ok??[2J?~");
  line.Clear();
  line.Add("guest ", 7u, " ", QuotedName{"x\" PANIC: \"\n"}, ": ");
  EXPECT_EQ(line.text(), "guest 7 \"x? PANIC: ??\": ");
}

}  // namespace
}  // namespace nomhv
