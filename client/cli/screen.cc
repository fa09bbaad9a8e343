// SPDX-License-Identifier: Apache-2.0
#include "client/cli/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace nom::cli {
namespace {

constexpr char kEnter[] = "\033[?1049h\033[?25l";  // Alternate screen; cursor off.
constexpr char kLeave[] = "\033[?25h\033[?1049l";
constexpr char kHome[] = "\033[H";
constexpr char kClearLine[] = "\033[K";
constexpr char kClearBelow[] = "\033[J";

int FromEnvironment(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  int number = 0;
  return value != nullptr && absl::SimpleAtoi(value, &number) && number > 0 && number < 10'000
             ? number
             : otherwise;
}

}  // namespace

ScreenSize SizeOf(int fd) {
  ScreenSize size;
  winsize window = {};
  const bool told = ioctl(fd, TIOCGWINSZ, &window) == 0;
  size.columns = told && window.ws_col > 0 ? window.ws_col : FromEnvironment("COLUMNS", 80);
  size.rows = told && window.ws_row > 0 ? window.ws_row : FromEnvironment("LINES", 24);
  return size;
}

bool CanDraw() {
  const char* term = std::getenv("TERM");
  return term != nullptr && *term != '\0' && absl::string_view(term) != "dumb";
}

bool MayColour(int fd) {
  if (isatty(fd) == 0 || !CanDraw()) return false;
  const char* no_colour = std::getenv("NO_COLOR");
  return no_colour == nullptr || *no_colour == '\0';
}

std::string Picture(absl::string_view text, int& top, const ScreenSize& size,
                    absl::string_view footer) {
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  const int shown = std::max(1, size.rows - 1);
  top = std::clamp(top, 0, std::max(0, static_cast<int>(lines.size()) - shown));
  std::string picture = kHome;
  for (int row = 0; row < shown; ++row) {
    const auto line = static_cast<size_t>(top + row);
    if (line < lines.size()) picture.append(lines[line].data(), lines[line].size());
    absl::StrAppend(&picture, kClearLine, "\r\n");
  }
  // No line break after the last line: the terminal would scroll.
  absl::StrAppend(&picture, footer.substr(0, static_cast<size_t>(std::max(0, size.columns - 1))),
                  kClearLine, kClearBelow);
  return picture;
}

Screen::Screen(std::ostream& out) : out_(out) {
  if (tcgetattr(STDIN_FILENO, &before_) == 0) {
    termios keys = before_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    has_keys_ = tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
  }
  out_ << kEnter << std::flush;
}

Screen::~Screen() {
  out_ << kLeave << std::flush;
  if (has_keys_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

void Screen::Show(absl::string_view picture) {
  out_.write(picture.data(), static_cast<std::streamsize>(picture.size()));
  out_.flush();
}

}  // namespace nom::cli
