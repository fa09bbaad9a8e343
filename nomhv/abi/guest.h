// SPDX-License-Identifier: Apache-2.0
// What a guest finds when it starts: registers, its address space, the start page.
//
// A guest image is a 64-bit ELF file with a PVH entry note (type 18, owner "Xen"). It starts as PVH
// guests do: 32-bit protected mode, paging off, flat segments, interrupts off, EBX = the
// guest-physical address of the start page. Every loadable segment lies in the seed: frames [0,
// seed_frames).
//
// Guest-physical space:
//   [0, window_frames)        frames that the guest holds or may come to hold. What it holds at the
//                             start is [0, seed_frames) and what its grant adds, lowest first.
//   NOM_GPA_REGIONS           NOM_REGIONS_MAX places of NOM_REGION_FRAMES_MAX frames each: memory
//                             shared with other guests. Since 1.2.
//   NOM_GPA_DEVICES           NOM_DEVICES_MAX places of NOM_DEVICE_PLACE_BYTES each: registers of
//                             devices that the guest holds. Since 1.2.
//   other NOM_GPA_*           pages of nomhv's, below 4 GiB and above every window.
// Touching a frame of the window that is not held, or a place where nothing lies, raises #GP(0)
// in the guest; anything else outside the window ends the guest (NOM_EXIT_REASON_WILD_ACCESS).
// Writing a read-only page raises #GP(0).

#ifndef NOMHV_ABI_GUEST_H_
#define NOMHV_ABI_GUEST_H_

#include "nomhv/abi/version.h"

#define NOM_WINDOW_FRAMES_MAX (0xC0000000u / NOM_FRAME_BYTES)

#define NOM_REGIONS_MAX 8u         // That a guest takes part in at a time.
#define NOM_REGION_FRAMES_MAX 16u  // In one region.
#define NOM_GPA_REGIONS 0xC0000000u
#define NOM_REGIONS_BYTES (NOM_REGIONS_MAX * NOM_REGION_FRAMES_MAX * NOM_FRAME_BYTES)

// The registers of PCI functions that the guest holds: a place of its own for each, by its number.
#define NOM_DEVICES_MAX 12u
#define NOM_GPA_DEVICES 0xC8000000u
#define NOM_DEVICE_PLACE_BYTES 0x200000u
#define NOM_DEVICE_INTERRUPTS_MAX 8u  // Of one device.
#define NOM_DEVICES_BYTES (NOM_DEVICES_MAX * NOM_DEVICE_PLACE_BYTES)

#define NOM_GPA_MACHINE_BOARD 0xFD000000u  // Read-only, one for all guests. struct NomMachineBoard
#define NOM_GPA_GUEST_BOARD 0xFD001000u    // Read-only. struct NomGuestBoard
#define NOM_GPA_BID_PAGE 0xFD002000u       // Read and write. struct NomBidPage
#define NOM_GPA_START_PAGE 0xFD003000u     // Read-only. struct NomStart

#define NOM_GPA_DEVICE_BOARD 0xFD004000u  // Read-only, one for all. struct NomDeviceBoard

// A PCI function that the market sells. It reads and writes the memory of the guest that holds it,
// at guest-physical addresses, and nothing else; it is reset when it changes hands. Its interrupts
// (MSI-X) reach nobody until the guest ROUTEs them; the page with their table is a hole.
struct NomDevice {
  uint32_t place;          // bus << 8 | device << 3 | function
  uint32_t id;             // device << 16 | vendor
  uint32_t bar_offset[6];  // Of its memory BARs in the device's place; ~0: none.
  uint32_t bar_bytes[6];
  uint8_t config[256];  // Its configuration space as found at boot, without the BARs' addresses.
};
struct NomDeviceBoard {
  uint32_t device_count;
  uint32_t reserved;
  struct NomDevice devices[NOM_DEVICES_MAX];
  uint8_t interrupts[NOM_DEVICES_MAX];  // How many of a device may be routed. Since 1.5.
};

#define NOM_START_MAGIC 0x54534d4eu  // "NMST"

struct NomStart {
  uint32_t magic;
  uint32_t abi_version;
  uint64_t guest_id;
  uint64_t tsc_hz;
  uint64_t seed_frames;
  uint64_t window_frames;
  uint64_t virtual_processors;  // That the guest may run; 0 before 1.5: one.
  uint64_t reserved[2];
  char name[NOM_NAME_BYTES];            // Zero-terminated.
  char arguments[NOM_ARGUMENTS_BYTES];  // Zero-terminated.
};

// Calls: VMMCALL from ring 0. In: RAX = number, RDI, RSI, RDX = arguments (32-bit guests: EAX, EDI,
// ESI, EDX). Out: RAX = NomStatus, RDX = value. Other registers are kept. From another ring: #UD.
//
// X(NAME, number, arguments, value, meaning)
#define NOM_CALL_LIST(X)                                                                        \
  X(QUERY, 1, "what (NomQuery), index", "see NomQuery", "asks about nomhv or the guest itself") \
  X(ACQUIRE, 2, "first frame, count", "frames held",                                            \
    "takes back frames of the window, zeroed, up to the grant")                                 \
  X(RELEASE, 3, "first frame, count", "frames held",                                            \
    "gives frames back; they are scrubbed at once")                                             \
  X(NOTIFY, 4, "vector 32..255, or 0 for none", "",                                             \
    "chooses the interrupt that tells of a notice")                                             \
  X(YIELD, 5, "TSC deadline, or 0 for none", "NomWake",                                         \
    "gives the processor away until the deadline, a notice or an interrupt")                    \
  X(WRITE, 6, "guest-physical address, bytes up to 256", "",                                    \
    "writes one line to the machine's log, under the guest's id and name")                      \
  X(EXIT, 7, "code", "does not return", "ends the guest")                                       \
  X(OFFER, 8, "guest id, frames, tag", "address",                                               \
    "lays zeroed frames of the grant where that guest may share them")                          \
  X(ACCEPT, 9, "guest id, frames, tag", "address",                                              \
    "shares the region that this guest offers under the tag")                                   \
  X(LEAVE, 10, "address of a region", "NomLeave", "gives a region up")                          \
  X(RING, 11, "address of a region", "", "wakes the other guest of a region")                   \
  X(START, 12, "processor, address, stack", "",                                                 \
    "lets another processor of the guest begin at the address, in the caller's state")          \
  X(SIGNAL, 13, "processor, vector 32..255 or 0", "",                                           \
    "wakes a processor of the guest, and interrupts it by the vector")                          \
  X(ROUTE, 14, "device, its interrupt, vector 32..255 or 0", "",                                \
    "lets an interrupt of a device that the guest holds interrupt the caller by the vector")

enum NomCall {
#define NOM_X(name, number, arguments, value, meaning) NOM_CALL_##name = number,
  NOM_CALL_LIST(NOM_X)
#undef NOM_X
};

enum NomQuery {
  NOM_QUERY_ABI_VERSION = 1,  // NOM_ABI_VERSION of nomhv.
  NOM_QUERY_CALL_EXISTS = 2,  // index = number: 1 exists, 0 never existed, 2 removed.
  NOM_QUERY_FRAMES_HELD = 3,
  NOM_QUERY_FRAMES_GRANTED = 4,
  NOM_QUERY_NEXT_HELD = 5,  // index = frame: the first held frame at or above it; NOT_HELD if none.
  NOM_QUERY_NEXT_HOLE = 6,  // index = frame: the first frame of the window at or above it not held.
  NOM_QUERY_CYCLES_USED = 7,  // The meter: TSC cycles that the guest has run.
  NOM_QUERY_REGION = 8,       // index = address of a region: NomRegionState. Since 1.2.
  NOM_QUERY_PROCESSOR = 9,    // Which of the guest's processors asks, from 0. Since 1.5.
};

enum NomWake {
  NOM_WAKE_DEADLINE = 1,
  NOM_WAKE_NOTICE = 2,
  NOM_WAKE_INTERRUPT = 3,
  NOM_WAKE_RING = 4,    // Since 1.2.
  NOM_WAKE_SIGNAL = 5,  // Since 1.5.
};

enum NomRegionState {
  NOM_REGION_OFFERED = 1,  // Nobody has accepted it yet.
  NOM_REGION_SHARED = 2,
  NOM_REGION_LEFT = 3,  // The other guest has left it, or has ended: it is the offerer's alone.
};

// Whether a region is given up: whoever accepted it is out at once; whoever offered it and shares
// it asks for the other to be cut off, and calls again.
enum NomLeave { NOM_LEAVE_DONE = 0, NOM_LEAVE_CUTTING_OFF = 1 };

#if defined(__cplusplus)
static_assert(sizeof(NomDeviceBoard) <= NOM_FRAME_BYTES, "a board is one page");
#endif

#endif  // NOMHV_ABI_GUEST_H_
