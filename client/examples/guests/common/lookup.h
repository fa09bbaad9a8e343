// SPDX-License-Identifier: Apache-2.0
// How one guest reads from another's cache: over a ring in memory that they share, while both run.
// The cache offers a region to its reader and answers what is asked, in order; the reader checks
// every answer, as the cache is a stranger.

#ifndef CLIENT_EXAMPLES_GUESTS_COMMON_LOOKUP_H_
#define CLIENT_EXAMPLES_GUESTS_COMMON_LOOKUP_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "client/examples/guests/common/integers.h"
#include "client/guest/address.h"
#include "client/guest/calls.h"
#include "client/guest/ring.h"

namespace nom::examples {

inline constexpr uint64_t kLookupFrames = 4;
inline constexpr uint64_t kLookupTag = 0x6c6f6f6b7570;  // "lookup"

// A question has number and key; the answer these two again, five words of the entry, and a check.
struct Lookup {
  static constexpr size_t kNumber = 0;
  static constexpr size_t kKey = 1;
  static constexpr size_t kData = 2;
  static constexpr size_t kDataWords = 5;
  static constexpr size_t kCheck = 7;

  static uint64_t Check(const guest::Message& message) {
    uint64_t check = 0;
    for (size_t i = 0; i < kCheck; ++i) check = Mix(check + message.words[i] + i);
    return check;
  }
};

// Either end. Enters again by itself when the other has gone.
class LookupEnd {
 public:
  // `peer_id` 0: there is no other end, and nothing ever happens.
  LookupEnd(guest::Nomhv* nomhv, uint64_t peer_id, guest::Channel::Side side)
      : nomhv_(nomhv), peer_id_(peer_id), side_(side) {}

  [[nodiscard]] bool wanted() const { return peer_id_ != 0; }
  [[nodiscard]] bool open() const { return channel_.has_value(); }

  // Tries to enter. An offerer must have room in its grant.
  bool Enter() {
    if (!wanted() || open()) return open();
    const guest::CallResult region = side_ == guest::Channel::Side::kOfferer
                                         ? nomhv_->Offer(peer_id_, kLookupFrames, kLookupTag)
                                         : nomhv_->Accept(peer_id_, kLookupFrames, kLookupTag);
    if (!region.ok()) return false;
    region_ = region.value;
    channel_.emplace(guest::PointerTo<void>(region_), kLookupFrames, side_);
    return true;
  }

  // After it has left or was left: Enter begins anew.
  void Leave() {
    channel_.reset();
    // An offerer's peer may have to be cut off first; until then there is no new offer.
    (void)nomhv_->Leave(region_);
  }
  // Once in a while: whether the other end has gone for good.
  [[nodiscard]] bool Left() const {
    return nomhv_->Query(NOM_QUERY_REGION, region_).value == NOM_REGION_LEFT;
  }

  // False: not now, or there is no other end any more.
  bool Send(const guest::Message& message) { return open() && Keep(channel_->Send(message)); }
  bool Receive(guest::Message* message) { return open() && Keep(channel_->Receive(message)); }

 private:
  bool Keep(guest::RingStatus status) {
    if (status == guest::RingStatus::kGone || status == guest::RingStatus::kBroken) Leave();
    return status == guest::RingStatus::kOk;
  }

  guest::Nomhv* nomhv_;
  uint64_t peer_id_;
  guest::Channel::Side side_;
  uint64_t region_ = 0;
  std::optional<guest::Channel> channel_;
};

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_COMMON_LOOKUP_H_
