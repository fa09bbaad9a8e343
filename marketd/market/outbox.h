// SPDX-License-Identifier: Apache-2.0
// What may not be told yet: it rests on transactions that are not durable.
//
// Whatever is put in names the last transaction that it rests on, and comes out, in the order in
// which it was put in, once that one is durable. So nobody is ever told what a crash could take
// back, and nobody hears of things in another order than they happened.

#ifndef MARKETD_MARKET_OUTBOX_H_
#define MARKETD_MARKET_OUTBOX_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <variant>

#include "marketd/market/effect.h"

namespace nom::market {

// Not thread-safe: the engine's thread owns it.
class Outbox {
 public:
  using Content = std::variant<ReplyEffect, HostCommand, std::shared_ptr<const View>>;

  // `after` never falls from one call to the next.
  void Hold(uint64_t after, Content content);

  // Moves to `effects` all that rests on transactions up to `durable`, and not what waits behind
  // something that does not.
  void Release(uint64_t durable, Effects& effects);

  // A view is in it. A second one would only be older when it came out than it needs to be.
  bool holds_view() const { return holds_view_; }

 private:
  struct Held {
    uint64_t after = 0;
    Content content;
  };
  std::deque<Held> held_;
  bool holds_view_ = false;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_OUTBOX_H_
