// SPDX-License-Identifier: Apache-2.0
// Claims: a device reaches the memory of the guest that holds it, and nothing else: no hole, no
// frame that was given back, nothing outside, and no interrupt window. Drives QEMU's "edu" device,
// whose DMA goes wherever it is told to (docs/specs/edu.txt of QEMU 7.2). Arguments: then = end
// (with 0), lose (ends with 0 when the registers are gone), storm (starts DMA into its own memory
// for ever, for whoever destroys it).

#include "client/guest/arguments.h"
#include "client/guest/bid_page.h"
#include "client/guest/clock.h"
#include "client/guest/device.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

namespace nom::guest::tests {
namespace {

constexpr uint32_t kEduId = 0x11e81234;
constexpr uint64_t kIdentity = 0x00;
constexpr uint64_t kSource = 0x80;
constexpr uint64_t kDestination = 0x88;
constexpr uint64_t kCount = 0x90;
constexpr uint64_t kCommand = 0x98;
constexpr uint64_t kStart = 1;
constexpr uint64_t kToMemory = 2;
constexpr uint64_t kBuffer = 0x40000;  // The device's own memory, 4 KiB.
// Half of the buffer: QEMU 7.2 ends when asked for all of it.
constexpr uint64_t kBytes = 2048;
constexpr uint64_t kWords = kBytes / 8;

alignas(NOM_FRAME_BYTES) volatile uint64_t out[kWords];
alignas(NOM_FRAME_BYTES) volatile uint64_t in[kWords];

class Edu {
 public:
  Edu(const Device& device, const Clock* clock) : device_(device), clock_(clock) {}

  void Start(uint64_t from, uint64_t to, bool to_memory, uint64_t bytes = kBytes) const {
    device_.Write<uint64_t>(0, kSource, from);
    device_.Write<uint64_t>(0, kDestination, to);
    device_.Write<uint64_t>(0, kCount, bytes);
    device_.Write<uint64_t>(0, kCommand, kStart | (to_memory ? kToMemory : 0));
  }
  void Wait() const {
    while ((device_.Read<uint64_t>(0, kCommand) & kStart) != 0) (void)clock_->SleepUs(2000);
  }
  void Load(uint64_t from) const {
    Start(from, kBuffer, false);
    Wait();
  }
  void Store(uint64_t to, uint64_t bytes = kBytes) const {
    Start(kBuffer, to, true, bytes);
    Wait();
  }

 private:
  Device device_;
  const Clock* clock_;
};

void Fill(volatile uint64_t* page, uint64_t value) {
  for (uint64_t i = 0; i < kWords; ++i) page[i] = value + i;
}
bool IsFilled(const volatile uint64_t* page, uint64_t value) {
  for (uint64_t i = 0; i < kWords; ++i) {
    if (page[i] != value + i) return false;
  }
  return true;
}

}  // namespace
}  // namespace nom::guest::tests

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;         // NOLINT(google-build-using-namespace)
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  static constexpr std::string_view kThen[] = {"end", "lose", "storm"};
  int64_t then = 0;
  const Argument known[] = {{"then", &then, 0, 0, kThen}};
  const auto error = ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());
  ExpectFaults();
  Nomhv& nomhv = Hypervisor();
  const Clock clock(&nomhv, start.tsc_hz);
  BidPage page(BidPageOfGuest());

  static NomGuestBoard board;
  std::optional<Device> found;
  while (!found.has_value()) {
    (void)clock.SleepUs(1000);
    NOM_CHECK(CopyBoard(GuestBoardPage(), &board));
    found = FindDevice(*DeviceBoardPage(), board,
                       [](const NomDevice& facts) { return facts.id == kEduId; });
  }
  NOM_CHECK((found->Read<uint32_t>(0, kIdentity) & 0xffff) == 0x00ed);
  const Edu edu(*found, &clock);

  Fill(out, 0x1111);
  edu.Load(AddressOf(out));
  edu.Store(AddressOf(in));
  NOM_CHECK(IsFilled(in, 0x1111), "DMA did not arrive: ", Hex{in[1]});
  page.Say({.work_done = 1, .work_unit = "steps"});
  if (then == 2) {
    for (;;) edu.Store(AddressOf(in));
  }

  // A frame that it has just reached, and that is given back: it does not reach it any more,
  // whoever holds it then.
  const uint64_t frame = start.seed_frames - 1;
  volatile uint64_t* const lost = PointerTo<uint64_t>(frame * NOM_FRAME_BYTES);
  edu.Store(AddressOf(lost));
  NOM_CHECK(IsFilled(lost, 0x1111));
  NOM_CHECK(nomhv.Release(frame, 1).ok());
  edu.Store(AddressOf(lost));
  NOM_CHECK(nomhv.Acquire(frame, 1).ok());
  for (uint64_t i = 0; i < kWords; ++i) NOM_CHECK(lost[i] == 0, "word ", i, " is ", Hex{lost[i]});
  // And a frame that comes is reached at once.
  edu.Store(AddressOf(lost));
  NOM_CHECK(IsFilled(lost, 0x1111));

  // Holes, boards (which it may read and not write), beyond the window, above 4 GiB.
  const uint64_t forbidden[] = {start.seed_frames * NOM_FRAME_BYTES,
                                NOM_GPA_MACHINE_BOARD,
                                NOM_GPA_GUEST_BOARD,
                                NOM_GPA_START_PAGE,
                                start.window_frames * NOM_FRAME_BYTES,
                                NOM_GPA_REGIONS,
                                0xB0000000,
                                0xFED90000,
                                uint64_t{1} << 32,
                                uint64_t{1} << 38};
  const uint32_t magic = MachineBoardPage()->magic;
  for (const uint64_t address : forbidden) edu.Store(address);
  // Interrupts: a word each, in the form that is remapped. Nobody routed any to the device.
  for (uint64_t index = 0; index < 4; ++index) edu.Store(0xFEE00010 | index << 5, 4);
  NOM_CHECK(MachineBoardPage()->magic == magic, "a device wrote the machine board");
  NOM_CHECK(GuestBoardPage()->magic == NOM_GUEST_BOARD_MAGIC, "a device wrote the guest board");
  // What it cannot read it does not bring.
  Fill(in, 0x3333);
  edu.Load(AddressOf(in));
  for (const uint64_t address : {start.seed_frames * NOM_FRAME_BYTES, uint64_t{1} << 32}) {
    edu.Load(address);
  }
  edu.Store(AddressOf(in));
  for (uint64_t i = 0; i < kWords; ++i) {
    NOM_CHECK(in[i] == 0x3333 + i || in[i] == 0 || in[i] == ~uint64_t{0}, "word ", i, " is ",
              Hex{in[i]});
  }
  if (then == 0) return 0;

  page.Say({.work_done = 2, .work_unit = "steps"});
  const uint64_t registers =
      NOM_GPA_DEVICES + found->number() * NOM_DEVICE_PLACE_BYTES + found->facts().bar_offset[0];
  while (TouchRead(registers) == 0) (void)clock.SleepUs(1000);
  NOM_CHECK(fault.vector == kVectorGeneralProtection, fault.vector);
  NOM_CHECK(CopyBoard(GuestBoardPage(), &board) && board.devices == 0);
  return 0;
}
