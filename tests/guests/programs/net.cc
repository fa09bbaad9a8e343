// SPDX-License-Identifier: Apache-2.0
// Claims: a guest drives a virtio network function that it holds by itself: who asks for an address
// is answered, and every byte that is sent for an echo comes back. Its peer is QEMU's own network,
// at 10.0.2.2. Arguments: interrupts = 1 (sleeps until frames come), rounds. Ends with 0.

#include <cstring>

#include "client/guest/arguments.h"
#include "client/guest/bid_page.h"
#include "client/guest/clock.h"
#include "client/guest/start.h"
#include "client/guest/virtio_net.h"
#include "tests/guests/programs/check.h"

namespace nom::guest::tests {
namespace {

constexpr uint8_t kVector = 91;
constexpr uint32_t kFrames = 1;  // The interrupt of frames that come.
constexpr uint64_t kPatienceUs = 20'000'000;
constexpr size_t kHeaders = 14 + 20 + 8;
constexpr size_t kEchoBytes = 1400;
constexpr uint8_t kOwn[4] = {10, 0, 2, 15};
constexpr uint8_t kPeer[4] = {10, 0, 2, 2};

VirtioNet::Rings rings;
volatile uint64_t interrupted = 0;
std::byte frame[kHeaders + kEchoBytes];

void Put(size_t at, std::initializer_list<int> bytes) {
  for (const int byte : bytes) frame[at++] = static_cast<std::byte>(byte);
}
template <size_t N>
void PutBytes(size_t at, const uint8_t (&bytes)[N]) {
  std::memcpy(frame + at, bytes, N);
}
// RFC 1071, of an even number of bytes.
void PutSum(size_t at, size_t from, size_t bytes) {
  uint32_t sum = 0;
  for (size_t i = from; i < from + bytes; i += 2) {
    sum += std::to_integer<uint32_t>(frame[i]) << 8 | std::to_integer<uint32_t>(frame[i + 1]);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  Put(at, {static_cast<int>(~sum >> 8 & 0xff), static_cast<int>(~sum & 0xff)});
}

}  // namespace
}  // namespace nom::guest::tests

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;         // NOLINT(google-build-using-namespace)
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  int64_t interrupts = 0;
  int64_t rounds = 50;
  const Argument known[] = {{"interrupts", &interrupts, 0, 1}, {"rounds", &rounds, 1, 1 << 20}};
  const auto error = ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());
  const Clock clock(&Hypervisor(), start.tsc_hz);
  static NomGuestBoard board;
  std::optional<Device> found;
  while (!found.has_value()) {
    (void)clock.SleepUs(1000);
    NOM_CHECK(CopyBoard(GuestBoardPage(), &board));
    found = FindDevice(*DeviceBoardPage(), board, VirtioNet::Fits);
  }
  VirtioNet net(*found, &rings);
  if (interrupts != 0) {
    SetInterruptHandler(kVector, [] { interrupted = interrupted + 1; });
    NOM_CHECK(Hypervisor().Route(found->number(), kFrames, kVector).ok());
  }
  NOM_CHECK(net.Open(interrupts != 0 ? kFrames : 0), "the function does not come up");
  NOM_CHECK(!net.Send({frame, VirtioNet::kFrameBytesMax + 1}), "too long a frame was sent");

  // Waits for a frame that `is` what was asked for; others are let go. With interrupts each look is
  // after one: an answer that is there already has raised its own, which is taken in the sleep.
  const auto expect = [&](const char* what, auto&& is) {
    const uint64_t give_up = clock.Tsc() + clock.ToTicks(kPatienceUs);
    for (;;) {
      if (interrupts != 0) {
        const auto before = interrupted;
        while (interrupted == before) {
          NOM_CHECK(clock.Tsc() < give_up, what);
          SleepUntilInterrupt(give_up);
        }
      }
      while (const auto came = net.Receive()) {
        if (is(*came)) return;
      }
      NOM_CHECK(clock.Tsc() < give_up, what);
    }
  };

  // Who has 10.0.2.2 (RFC 826)?
  uint8_t own[6];
  std::memcpy(own, net.address().data(), sizeof(own));
  Put(0, {255, 255, 255, 255, 255, 255});
  PutBytes(6, own);
  Put(12, {8, 6, 0, 1, 8, 0, 6, 4, 0, 1});
  PutBytes(22, own);
  PutBytes(28, kOwn);
  Put(32, {0, 0, 0, 0, 0, 0});
  PutBytes(38, kPeer);
  NOM_CHECK(net.Send({frame, 60}));
  uint8_t peer[6] = {};
  expect("nobody has 10.0.2.2", [&](std::span<const std::byte> came) {
    constexpr std::byte kReply[] = {std::byte{8}, std::byte{6}};
    if (came.size() < 42 || std::memcmp(came.data() + 12, kReply, 2) != 0 ||
        std::memcmp(came.data() + 28, kPeer, 4) != 0) {
      return false;
    }
    std::memcpy(peer, came.data() + 22, sizeof(peer));
    return true;
  });

  // Echoes (RFC 792), each with bytes of its own.
  BidPage page(BidPageOfGuest());
  for (int64_t round = 1; round <= rounds; ++round) {
    PutBytes(0, peer);
    PutBytes(6, own);
    constexpr int kLength = 20 + 8 + kEchoBytes;
    Put(12, {8, 0, 0x45, 0, kLength >> 8, kLength & 0xff, 0, 1, 0, 0, 64, 1, 0, 0});
    PutBytes(26, kOwn);
    PutBytes(30, kPeer);
    PutSum(24, 14, 20);
    Put(34, {8, 0, 0, 0, 0x4e, 0x4d, static_cast<int>(round >> 8 & 0xff),
             static_cast<int>(round & 0xff)});
    for (size_t i = 0; i < kEchoBytes; ++i) {
      frame[kHeaders + i] = static_cast<std::byte>(static_cast<uint64_t>(round) * 37 + i * 11);
    }
    PutSum(36, 34, 8 + kEchoBytes);
    NOM_CHECK(net.Send(frame), "round ", round);
    expect("no echo", [&](std::span<const std::byte> came) {
      if (came.size() != sizeof(frame) || came[23] != std::byte{1} || came[34] != std::byte{0} ||
          std::memcmp(came.data() + 38, frame + 38, 4) != 0) {
        return false;
      }
      NOM_CHECK(std::memcmp(came.data() + kHeaders, frame + kHeaders, kEchoBytes) == 0, round);
      return true;
    });
    page.Say({.work_done = static_cast<uint64_t>(round), .work_unit = "echoes"});
  }
  NOM_CHECK(interrupts == 0 || interrupted > static_cast<uint64_t>(rounds),
            "frames came without interrupts");
  net.Close();
  return 0;
}
