// SPDX-License-Identifier: Apache-2.0
// The mailbox: one stretch of shared memory through which marketd commands nomhv.
//
// Under QEMU it is the memory BAR of an ivshmem device, which marketd maps as a file. Both sides
// treat every byte that the other can write as hostile: copied once, then checked, then used. A
// ring index is trusted only as a number to be reduced modulo the ring.
//
//   offset 0                   struct NomMailboxHeader
//   NOM_MAILBOX_COMMANDS_AT    ring of NomCommand, marketd writes, nomhv reads
//   NOM_MAILBOX_EVENTS_AT      ring of NomEvent, nomhv writes, marketd reads
//   NOM_MAILBOX_DEVICES_AT     struct NomDeviceBoard, nomhv writes at boot
//   NOM_MAILBOX_METERS_AT      NOM_GUESTS_MAX NomMeter, nomhv writes, seqlocked
//   NOM_MAILBOX_BIDS_AT        NOM_GUESTS_MAX pages: copies of bid pages, nomhv writes, seqlocked
//                              by the page's own `sequence` (odd while nomhv writes it)
//   NOM_MAILBOX_ROUND_AT       struct NomRoundMeters, nomhv writes, seqlocked
//   NOM_MAILBOX_PAYLOAD_AT     marketd's: what commands point into (grants, boards, images)
//
// Who writes what: nomhv initialises all of it but the payload at boot, then sets `magic` last.
// marketd attaches when it sees the magic and its own major version, and begins with
// NOM_COMMAND_ATTACH. Rings: `head` is the count of messages written, `tail` of messages taken,
// both free-running; empty when equal, full when head - tail == slots. nomhv answers every command
// with one event NOM_EVENT_DONE and takes no command while the event ring has no room for its
// answer. Guest states are also in the meters, so an event ring that marketd lets run full loses
// nothing but promptness.
//
// Who leads: a marketd that attaches takes an epoch above the header's, and sends it with each
// command. nomhv refuses every command of a lower one with NOM_STATUS_PAST_EPOCH, so that a past
// leader that has not noticed yet changes nothing.

#ifndef NOMHV_ABI_MAILBOX_H_
#define NOMHV_ABI_MAILBOX_H_

#include "nomhv/abi/board.h"
#include "nomhv/abi/guest.h"
#include "nomhv/abi/version.h"

#define NOM_MAILBOX_MAGIC 0x58424d4du  // "MMBX"
#define NOM_MAILBOX_BYTES (16u << 20)
#define NOM_COMMAND_SLOTS 64u
#define NOM_EVENT_SLOTS 256u

#define NOM_MAILBOX_COMMANDS_AT 0x1000u
#define NOM_MAILBOX_EVENTS_AT 0x3000u
#define NOM_MAILBOX_DEVICES_AT 0x7000u
#define NOM_MAILBOX_METERS_AT 0x10000u
#define NOM_MAILBOX_ROUND_AT 0x18000u
#define NOM_MAILBOX_BIDS_AT 0x20000u
#define NOM_MAILBOX_PAYLOAD_AT 0x100000u
#define NOM_MAILBOX_PAYLOAD_BYTES (NOM_MAILBOX_BYTES - NOM_MAILBOX_PAYLOAD_AT)

struct NomMailboxHeader {
  uint32_t magic;  // Set last.
  uint32_t abi_version;
  uint64_t boot_id;  // New at each boot of nomhv.
  uint64_t tsc_hz;
  uint64_t heartbeat_tsc;  // nomhv's, at least every 100 ms.
  // What the machine has for guests: seeds and awards together never exceed it.
  uint64_t capacity_frames;
  uint64_t capacity_millicores;
  uint32_t guest_processors;
  uint32_t guests_max;
  uint64_t frames_granted;  // Sums now, and the highest they ever were together.
  uint64_t frames_granted_max;
  uint64_t millicores_granted;
  uint64_t millicores_granted_max;
  uint64_t frames_free;
  uint64_t doorbells;  // Interrupts taken from marketd's rings since boot; close rings are one.
  uint64_t epoch;      // The highest that a command has carried since boot. Since 1.1.
  uint64_t heartbeat_gap_tsc;  // The longest between two heartbeats since boot. Since 1.1.
  // Written by nomhv:
  uint32_t command_tail __attribute__((aligned(64)));
  uint32_t event_head;
  // Written by marketd:
  uint32_t command_head __attribute__((aligned(64)));
  uint32_t event_tail;
  // ivshmem peer id that wants a doorbell on events. 0, or not below 65536: none, it polls.
  uint32_t doorbell_peer;
};

// X(NAME, number, what the arguments and payload are)
#define NOM_COMMAND_LIST(X)                                                                     \
  X(ATTACH, 1, "argument 0 = marketd's NOM_ABI_VERSION; nomhv answers with its own in `value`") \
  X(CREATE, 2,                                                                                  \
    "payload: NomCreate, then the image (or pc.h); argument 0 = virtual processors, 0 for one") \
  X(DESTROY, 3, "guest_id; its frames are scrubbed before the answer")                          \
  X(PREPARE, 4, "payload: NomGrants; tells guests what they will hold, and the deadline")       \
  X(APPLY, 5,                                                                                   \
    "payload: NomGrants; all or nothing: shrinks by force, scrubs, grows, reads the meters")    \
  X(PUBLISH, 6, "payload: NomPublish; updates the machine board")                               \
  X(PING, 7, "nothing; answered")

enum NomCommandKind {
#define NOM_X(name, number, meaning) NOM_COMMAND_##name = number,
  NOM_COMMAND_LIST(NOM_X)
#undef NOM_X
};

struct NomCommand {
  uint32_t kind;
  uint32_t reserved;
  uint64_t id;  // marketd's; echoed by NOM_EVENT_DONE.
  uint64_t guest_id;
  uint64_t argument[2];
  uint32_t payload_offset;  // From NOM_MAILBOX_PAYLOAD_AT; must not change until the answer.
  uint32_t payload_bytes;
  uint64_t epoch;  // The sender's; below the highest ever seen it is refused. Since 1.1.
  uint64_t reserved1;
};

struct NomCreate {
  uint64_t guest_id;  // Not 0.
  uint64_t seed_frames;
  uint64_t window_frames;
  uint64_t seed_millicores;
  uint32_t image_offset;  // From the start of the payload region.
  uint32_t image_bytes;
  char name[NOM_NAME_BYTES];
  char arguments[NOM_ARGUMENTS_BYTES];
};

// One guest's grant: totals, seed included.
struct NomGrant {
  uint64_t guest_id;
  uint64_t frames;
  uint64_t millicores;
  int64_t balance_microcredits;
  int64_t spent_microcredits;
  uint32_t holding_count;
  uint32_t devices;  // A bit for each of the device board's; one guest a device. Since 1.2.
  struct NomHolding holdings[NOM_RESOURCES_MAX];  // For the guest board, copied as they are.
};

// A set of grants: exactly the guests that exist, each once. APPLY checks the whole set against
// seeds, windows and capacity before it changes anything; the answer's `value` names who offended.
struct NomGrants {
  uint64_t round_id;
  uint64_t deadline_us;  // PREPARE: from now until APPLY is expected.
  uint32_t grant_count;
  uint32_t reserved;
  struct NomGrant grants[NOM_GUESTS_MAX];
};

struct NomPublish {
  uint64_t round_id;
  uint64_t priced_round_id;
  uint64_t valid_for_us;
  uint64_t close_in_us;
  uint64_t effective_in_us;
  uint64_t period_us;
  uint32_t resource_count;
  uint32_t reserved;
  struct NomPrice prices[NOM_RESOURCES_MAX];
  struct NomChainHead head;  // Since 1.4; a payload may end before it.
};

enum NomEventKind {
  NOM_EVENT_DONE = 1,  // A command was answered: id, status, detail, value.
  NOM_EVENT_GUEST_ENDED =
      2,  // guest_id; status = NomExitReason, value = detail (address, code, port).
};

struct NomEvent {
  uint32_t kind;
  uint32_t status;
  uint64_t id;
  uint64_t guest_id;
  uint64_t value;
  uint64_t tsc;
  uint32_t detail;  // NomImageFault beside NOM_STATUS_BAD_IMAGE.
  uint32_t reserved;
  uint64_t reserved1[2];
};

enum NomGuestState { NOM_GUEST_FREE = 0, NOM_GUEST_RUNNING = 1, NOM_GUEST_ENDED = 2 };

// Exits are counted under these headings.
#define NOM_EXIT_LIST(X)  \
  X(TIMER, 0)             \
  X(INTERRUPT, 1)         \
  X(CALL, 2)              \
  X(HALT, 3)              \
  X(NESTED_PAGE_FAULT, 4) \
  X(CPUID, 5)             \
  X(MSR, 6)               \
  X(PORT, 7)              \
  X(EXCEPTION, 8)         \
  X(OTHER, 9)

enum NomExit {
#define NOM_X(name, number) NOM_EXIT_##name = number,
  NOM_EXIT_LIST(NOM_X)
#undef NOM_X
};
#define NOM_EXITS_COUNT 16u

// All counters run from the guest's creation and never go back. `offered` is what was the guest's
// to use: cycles run, plus cycles that it slept through with budget left; frames held, plus frames
// of its grant that it gave back by choice.
struct NomMeter {
  uint32_t sequence;
  uint32_t state;  // NomGuestState
  uint64_t guest_id;
  uint64_t tsc;  // When these were read.
  uint64_t cycles_used;
  uint64_t cycles_offered;
  uint64_t held_frame_us;  // Integral of frames held, frame-microseconds.
  uint64_t offered_frame_us;
  uint64_t frames_held;
  uint64_t frames_granted;
  uint64_t millicores_granted;
  uint64_t seed_frames;
  uint64_t window_frames;
  uint64_t seed_millicores;
  uint64_t interrupts;     // Injected.
  uint64_t forced_frames;  // Taken by force.
  uint32_t exit_reason;    // NomExitReason
  uint32_t processor;      // Where it last ran.
  uint64_t exit_detail;
  uint64_t created_tsc;
  char name[NOM_NAME_BYTES];
  uint64_t exits[NOM_EXITS_COUNT];
  uint64_t lines_lost;          // Of its log: over its budget of lines. Since 1.1.
  uint64_t devices;             // That it holds. Since 1.2.
  uint64_t virtual_processors;  // That it may run; a grant is at most so many. Since 1.5.
  uint64_t reserved[5];
};

// All meters read at the one instant at which a round's grants took effect.
struct NomRoundMeter {
  uint64_t guest_id;
  uint64_t cycles_used;
  uint64_t cycles_offered;
  uint64_t held_frame_us;
  uint64_t offered_frame_us;
  uint64_t frames_forced;  // By this APPLY.
};

struct NomRoundMeters {
  uint32_t sequence;
  uint32_t guest_count;
  uint64_t round_id;  // Of the APPLY.
  uint64_t tsc;
  struct NomRoundMeter guests[NOM_GUESTS_MAX];
};

#if defined(__cplusplus)
static_assert(sizeof(NomMailboxHeader) <= NOM_MAILBOX_COMMANDS_AT, "header");
static_assert(sizeof(NomCommand) == 64, "one cache line");
static_assert(sizeof(NomEvent) == 64, "one cache line");
static_assert(NOM_MAILBOX_COMMANDS_AT + NOM_COMMAND_SLOTS * sizeof(NomCommand) <=
                  NOM_MAILBOX_EVENTS_AT,
              "");
static_assert(NOM_MAILBOX_EVENTS_AT + NOM_EVENT_SLOTS * sizeof(NomEvent) <= NOM_MAILBOX_DEVICES_AT,
              "");
static_assert(NOM_MAILBOX_DEVICES_AT + sizeof(NomDeviceBoard) <= NOM_MAILBOX_METERS_AT, "");
static_assert(NOM_MAILBOX_METERS_AT + NOM_GUESTS_MAX * sizeof(NomMeter) <= NOM_MAILBOX_ROUND_AT,
              "");
static_assert(NOM_MAILBOX_ROUND_AT + sizeof(NomRoundMeters) <= NOM_MAILBOX_BIDS_AT, "");
static_assert(NOM_MAILBOX_BIDS_AT + NOM_GUESTS_MAX * NOM_FRAME_BYTES <= NOM_MAILBOX_PAYLOAD_AT, "");
static_assert(sizeof(NomGrants) <= NOM_MAILBOX_PAYLOAD_BYTES, "");
#endif

#endif  // NOMHV_ABI_MAILBOX_H_
