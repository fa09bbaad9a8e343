// SPDX-License-Identifier: Apache-2.0
// A nomhv in memory: the calls' rules as nomhv/abi/guest.h states them, frames that are a vector, a
// clock that moves only when told. With it the SDK's and the guests' logic run hosted.

#ifndef TESTS_UNIT_CLIENT_GUEST_FAKE_NOMHV_H_
#define TESTS_UNIT_CLIENT_GUEST_FAKE_NOMHV_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "client/guest/address.h"
#include "client/guest/calls.h"
#include "client/guest/market.h"
#include "client/guest/shared_memory.h"
#include "nomhv/abi/board.h"

namespace nom::guest {

// What guests on one machine offer each other.
class FakeRegions {
 public:
  CallResult Offer(uint64_t from, uint64_t to, uint64_t frames, uint64_t tag) {
    auto& memory = regions_[{from, to, tag}];
    if (!memory.empty()) return {NOM_STATUS_EXISTS, 0};
    memory.resize(frames * NOM_FRAME_BYTES / sizeof(Message));
    return {NOM_STATUS_OK, AddressOf(memory.data())};
  }
  CallResult Accept(uint64_t from, uint64_t to, uint64_t frames, uint64_t tag) {
    auto& memory = regions_[{from, to, tag}];
    if (memory.empty()) return {NOM_STATUS_NO_SUCH_REGION, 0};
    if (memory.size() * sizeof(Message) != frames * NOM_FRAME_BYTES) {
      return {NOM_STATUS_BAD_PARAMETER, 0};
    }
    return {NOM_STATUS_OK, AddressOf(memory.data())};
  }

 private:
  std::map<std::tuple<uint64_t, uint64_t, uint64_t>, std::vector<Message>> regions_;
};

class FakeNomhv final : public Nomhv {
 public:
  static constexpr uint64_t kTscHz = 1'000'000'000;

  FakeNomhv(uint64_t seed_frames, uint64_t window_frames)
      : memory_(window_frames * NOM_FRAME_BYTES), held_(window_frames, false) {
    std::fill_n(held_.begin(), seed_frames, true);
    granted_ = seed_frames;
    guest_board_.magic = NOM_GUEST_BOARD_MAGIC;
    guest_board_.abi_version = NOM_ABI_VERSION;
    machine_board_.magic = NOM_MACHINE_BOARD_MAGIC;
    machine_board_.abi_version = NOM_ABI_VERSION;
    machine_board_.tsc_hz = kTscHz;
    UpdateBoard();
  }

  CallResult Call(uint32_t number, uint64_t first, uint64_t second, uint64_t third) override {
    ++calls;
    switch (number) {
      case NOM_CALL_QUERY:
        return Answer(static_cast<NomQuery>(first), second);
      case NOM_CALL_ACQUIRE:
        return Change(first, second, /*held=*/true);
      case NOM_CALL_RELEASE:
        ++release_calls;
        return Change(first, second, /*held=*/false);
      case NOM_CALL_NOTIFY:
        return {
            first == 0 || (first >= 32 && first <= 255) ? NOM_STATUS_OK : NOM_STATUS_BAD_PARAMETER,
            0};
      case NOM_CALL_YIELD:
        ++yields;
        tsc = std::max(tsc, first);
        return {NOM_STATUS_OK, NOM_WAKE_DEADLINE};
      case NOM_CALL_WRITE:
        log.append(PointerTo<const char>(first), second);
        return {};
      case NOM_CALL_OFFER:
        return regions == nullptr ? CallResult{NOM_STATUS_OVER_GRANT, 0}
                                  : regions->Offer(id, first, second, third);
      case NOM_CALL_ACCEPT:
        return regions == nullptr ? CallResult{NOM_STATUS_NO_SUCH_REGION, 0}
                                  : regions->Accept(first, id, second, third);
      case NOM_CALL_LEAVE:
        return {NOM_STATUS_OK, NOM_LEAVE_DONE};
      case NOM_CALL_EXIT:
        exit_code = static_cast<int64_t>(first);
        return {};
      default:
        return {NOM_STATUS_NO_SUCH_CALL, 0};
    }
  }

  uint64_t Tsc() override {
    cycles_used += tsc_per_read;
    return tsc += tsc_per_read;
  }

  bool TryCopy(void* to, const void* from, size_t bytes) override {
    if (!Touchable(to, bytes) || !Touchable(from, bytes)) return false;
    std::memcpy(to, from, bytes);
    return true;
  }

  // What marketd and time do to a guest.
  void Grow(uint64_t frames) {
    granted_ = frames;
    deadline_ = 0;
    for (uint64_t i = 0; i < held_.size() && Count() < granted_; ++i) {
      if (!held_[i]) SetHeld(i, true);
    }
    UpdateBoard();
  }
  void Announce(uint64_t next_frames, uint64_t deadline_tsc) {
    deadline_ = deadline_tsc;
    next_ = next_frames;
    ++guest_board_.notice_sequence;
    UpdateBoard();
  }
  // The deadline has passed: what is too much goes, highest frames first.
  void TakeByForce() {
    granted_ = next_;
    deadline_ = 0;
    for (uint64_t i = held_.size(); i-- > 0 && Count() > granted_;) {
      if (held_[i]) SetHeld(i, false);
    }
    UpdateBoard();
  }

  // A machine board as marketd publishes it at the beginning of a round, valid for three.
  void BeginRound(uint64_t round_id, uint64_t period_us, int64_t cpu_price, int64_t memory_price) {
    machine_board_.sequence += 2;
    machine_board_.round_id = round_id;
    machine_board_.period_us = period_us;
    machine_board_.updated_tsc = tsc;
    machine_board_.valid_until_tsc = tsc + 3 * period_us * (kTscHz / 1'000'000);
    machine_board_.resource_count = 2;
    machine_board_.prices[0] = {.kind = NOM_RESOURCE_CPU,
                                .bound_by = NOM_BOUND_BY_BIDS,
                                .unit_size = 10,
                                .unit_price_microcredits = cpu_price};
    machine_board_.prices[1] = {.kind = NOM_RESOURCE_MEMORY,
                                .bound_by = NOM_BOUND_BY_BIDS,
                                .unit_size = 1 << 20,
                                .unit_price_microcredits = memory_price};
  }
  void HoldMillicores(int64_t seed, int64_t now) {
    guest_board_.sequence += 2;
    guest_board_.resource_count = 1;
    guest_board_.holdings[0] = {
        .kind = NOM_RESOURCE_CPU, .seed_units = seed / 10, .units = now / 10};
    guest_board_.millicores_granted = static_cast<uint64_t>(now);
    guest_board_.millicores_next = static_cast<uint64_t>(now);
  }
  Pages pages() { return {&machine_board_, &guest_board_, &bid_page_}; }

  bool Held(uint64_t frame) const { return held_[frame]; }
  uint64_t Count() const {
    return static_cast<uint64_t>(std::count(held_.begin(), held_.end(), true));
  }
  uintptr_t base() const { return reinterpret_cast<uintptr_t>(memory_.data()); }
  NomGuestBoard& guest_board() { return guest_board_; }
  NomMachineBoard& machine_board() { return machine_board_; }
  NomBidPage& bid_page() { return bid_page_; }

  uint64_t tsc = 1;
  uint64_t tsc_per_read = 0;  // How much time passes between two looks at the clock.
  uint64_t id = 1;
  FakeRegions* regions = nullptr;  // Null: nobody shares anything.
  uint64_t calls = 0;
  uint64_t release_calls = 0;
  uint64_t yields = 0;
  uint64_t cycles_used = 0;
  bool lying = false;  // Answers NEXT_HELD and NEXT_HOLE with nonsense.
  std::string log;
  int64_t exit_code = -1;

 private:
  CallResult Answer(NomQuery what, uint64_t index) {
    switch (what) {
      case NOM_QUERY_ABI_VERSION:
        return {NOM_STATUS_OK, NOM_ABI_VERSION};
      case NOM_QUERY_FRAMES_HELD:
        return {NOM_STATUS_OK, Count()};
      case NOM_QUERY_FRAMES_GRANTED:
        return {NOM_STATUS_OK, granted_};
      case NOM_QUERY_CYCLES_USED:
        return {NOM_STATUS_OK, cycles_used};
      case NOM_QUERY_NEXT_HELD:
      case NOM_QUERY_NEXT_HOLE:
        if (lying) return {NOM_STATUS_OK, index / 2};
        for (uint64_t i = index; i < held_.size(); ++i) {
          if (held_[i] == (what == NOM_QUERY_NEXT_HELD)) return {NOM_STATUS_OK, i};
        }
        return {NOM_STATUS_NOT_HELD, 0};
      default:
        return {NOM_STATUS_BAD_PARAMETER, 0};
    }
  }

  CallResult Change(uint64_t first, uint64_t count, bool held) {
    if (count == 0 || first >= held_.size() || count > held_.size() - first) {
      return {NOM_STATUS_BAD_ADDRESS, Count()};
    }
    for (uint64_t i = first; i < first + count; ++i) {
      if (held_[i] == held) return {held ? NOM_STATUS_ALREADY_HELD : NOM_STATUS_NOT_HELD, Count()};
    }
    if (held && Count() + count > granted_) return {NOM_STATUS_OVER_GRANT, Count()};
    for (uint64_t i = first; i < first + count; ++i) SetHeld(i, held);
    UpdateBoard();
    return {NOM_STATUS_OK, Count()};
  }

  void SetHeld(uint64_t frame, bool held) {
    held_[frame] = held;
    // Scrubbed on the way out; zero on the way in.
    std::memset(memory_.data() + frame * NOM_FRAME_BYTES, held ? 0 : 0xEE, NOM_FRAME_BYTES);
  }

  bool Touchable(const void* at, size_t bytes) const {
    const auto address = reinterpret_cast<uintptr_t>(at);
    if (address < base() || address >= base() + memory_.size()) return true;
    const uint64_t last = (address + bytes - 1 - base()) / NOM_FRAME_BYTES;
    for (uint64_t i = (address - base()) / NOM_FRAME_BYTES; i <= last; ++i) {
      if (!held_[i]) return false;
    }
    return true;
  }

  void UpdateBoard() {
    guest_board_.sequence += 2;
    guest_board_.frames_granted = granted_;
    guest_board_.frames_next = deadline_ == 0 ? granted_ : next_;
    guest_board_.frames_held = Count();
    guest_board_.deadline_tsc = deadline_;
  }

  std::vector<std::byte> memory_;
  std::vector<bool> held_;
  uint64_t granted_ = 0;
  uint64_t next_ = 0;
  uint64_t deadline_ = 0;
  NomGuestBoard guest_board_{};
  NomMachineBoard machine_board_{};
  NomBidPage bid_page_{};
};

}  // namespace nom::guest

#endif  // TESTS_UNIT_CLIENT_GUEST_FAKE_NOMHV_H_
