// SPDX-License-Identifier: Apache-2.0
// Lines for the machine's log, where nomhv tags them with the guest's name.

#ifndef CLIENT_GUEST_CONSOLE_H_
#define CLIENT_GUEST_CONSOLE_H_

#include "client/guest/calls.h"
#include "client/guest/text.h"

namespace nom::guest {

class Console {
 public:
  // `nomhv` outlives the console.
  explicit Console(Nomhv* nomhv) : nomhv_(nomhv) {}

  // One line of joined pieces (text, integers, Hex), cut at 255 characters. One exit a line.
  template <typename... Pieces>
  void Line(const Pieces&... pieces) {
    Text<256> line;
    Text<255> body(pieces...);
    line.Append(body.view()).Append("\n");
    (void)nomhv_->Write(line.view());  // A log that cannot be written has nowhere to complain.
  }

 private:
  Nomhv* nomhv_;
};

}  // namespace nom::guest

#endif  // CLIENT_GUEST_CONSOLE_H_
