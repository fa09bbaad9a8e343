// SPDX-License-Identifier: Apache-2.0
// The terminal as a picture that is drawn anew, not as a roll of paper.

#ifndef CLIENT_CLI_SCREEN_H_
#define CLIENT_CLI_SCREEN_H_

#include <termios.h>

#include <ostream>
#include <string>

#include "absl/strings/string_view.h"

namespace nom::cli {

struct ScreenSize {
  int columns = 80;
  int rows = 24;
};

// Of the terminal on `fd`, or of $COLUMNS and $LINES where it does not say.
ScreenSize SizeOf(int fd);

// True if the terminal understands how a picture is drawn on it: TERM is set, and not "dumb".
bool CanDraw();

// True if text on the terminal `fd` may be coloured: it is one, NO_COLOR (https://no-color.org) is
// not set and TERM is not "dumb".
bool MayColour(int fd);

// What fills the screen: lines [top, top + rows - 1) of `text`, and `footer` on the last line.
// `top` is brought into range.
std::string Picture(absl::string_view text, int& top, const ScreenSize& size,
                    absl::string_view footer);

// While it lives, the alternate screen is shown, the cursor is hidden, and keys come one by one and
// unseen. The destructor puts everything back. Standard input and output must be terminals.
class Screen {
 public:
  explicit Screen(std::ostream& out);
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // Draws over what is there, without clearing first: nothing flickers and nothing scrolls.
  void Show(absl::string_view picture);

 private:
  std::ostream& out_;
  termios before_ = {};
  bool has_keys_ = false;
};

}  // namespace nom::cli

#endif  // CLIENT_CLI_SCREEN_H_
