// SPDX-License-Identifier: Apache-2.0
// The ABI's number, errors and fixed places. Plain C, shared by nomhv, guests and marketd; it
// includes nothing but <stdint.h>. The contract in tables: ../ABI.md.

#ifndef NOMHV_ABI_VERSION_H_
#define NOMHV_ABI_VERSION_H_

#include <stdint.h>

// A reader accepts the same major; a higher minor only adds.
#define NOM_ABI_MAJOR 1u
#define NOM_ABI_MINOR 7u
#define NOM_ABI_VERSION ((NOM_ABI_MAJOR << 16) | NOM_ABI_MINOR)

#define NOM_FRAME_BYTES 4096u
#define NOM_GUESTS_MAX 32u             // Guests on one machine at a time.
#define NOM_VIRTUAL_PROCESSORS_MAX 8u  // Of one guest.
#define NOM_RESOURCES_MAX 8u
#define NOM_RANGES_MAX 16u  // Ranges in one bid.
#define NOM_NAME_BYTES 32u  // With the terminating zero.
#define NOM_ARGUMENTS_BYTES 256u

// Kinds of resource; the numbers are those of nom.market.v1.ResourceKind.
enum NomResource {
  NOM_RESOURCE_NONE = 0,
  NOM_RESOURCE_CPU = 1,
  NOM_RESOURCE_MEMORY = 2,
  NOM_RESOURCE_CACHE = 3,
  NOM_RESOURCE_NETWORK = 4,
  NOM_RESOURCE_DISK = 5,
  NOM_RESOURCE_DEVICE = 6,
};

enum NomBoundBy { NOM_BOUND_BY_RESERVE = 1, NOM_BOUND_BY_BIDS = 2 };

// X(NAME, number, meaning). What calls and commands answer; never renumbered.
#define NOM_STATUS_LIST(X)                                                    \
  X(OK, 0, "done")                                                            \
  X(NO_SUCH_CALL, 1, "this number was never a call or command")               \
  X(REMOVED, 2, "this call or command existed and was removed")               \
  X(BAD_PARAMETER, 3, "an argument is out of its range")                      \
  X(BAD_ADDRESS, 4, "a guest-physical address is outside the guest's window") \
  X(OVER_GRANT, 5, "the guest would hold more than its grant")                \
  X(NOT_HELD, 6, "a named frame is not held by the guest")                    \
  X(ALREADY_HELD, 7, "a named frame is already held by the guest")            \
  X(BELOW_SEED, 8, "a grant would fall below the guest's seed")               \
  X(OVER_CAPACITY, 9, "the sum of grants would exceed what the machine has")  \
  X(NO_SUCH_GUEST, 10, "no guest has this id")                                \
  X(EXISTS, 11, "a guest already has this id, or an offer this tag")          \
  X(TABLE_FULL, 12, "no free guest slot, or place for a region")              \
  X(BAD_IMAGE, 13, "the image is not a guest image; `detail` says why")       \
  X(BAD_VERSION, 14, "the other side speaks another major version")           \
  X(BAD_STATE, 15, "not possible in the guest's present state")               \
  X(CRASHED, 16, "the guest has crashed")                                     \
  X(OVER_BUDGET, 17, "the guest has used up what it may do of this for now")  \
  X(PAST_EPOCH, 18, "a marketd of a higher epoch commands this machine")      \
  X(NO_SUCH_REGION, 19, "no region is offered under this tag, or lies there")

enum NomStatus {
#define NOM_X(name, number, meaning) NOM_STATUS_##name = number,
  NOM_STATUS_LIST(NOM_X)
#undef NOM_X
};

// Why an image was refused: `detail` beside NOM_STATUS_BAD_IMAGE.
#define NOM_IMAGE_FAULT_LIST(X)                                                    \
  X(NONE, 0, "none")                                                               \
  X(TOO_SHORT, 1, "shorter than its headers say")                                  \
  X(NOT_ELF, 2, "no ELF magic")                                                    \
  X(NOT_ELF64_X86, 3, "not a little-endian 64-bit x86 executable")                 \
  X(BAD_SEGMENT, 4, "a loadable segment lies outside the file")                    \
  X(OUTSIDE_SEED, 5, "a loadable segment does not fit in the guest's seed memory") \
  X(OVERLAP, 6, "loadable segments overlap each other or the start page")          \
  X(NO_ENTRY, 7, "no PVH note (type 18, owner Xen), or its entry is in no executable segment")

enum NomImageFault {
#define NOM_X(name, number, meaning) NOM_IMAGE_FAULT_##name = number,
  NOM_IMAGE_FAULT_LIST(NOM_X)
#undef NOM_X
};

// Why a guest is no longer running.
#define NOM_EXIT_REASON_LIST(X)                                                                \
  X(NONE, 0, "running")                                                                        \
  X(DESTROYED, 1, "destroyed by command")                                                      \
  X(DONE, 2, "ended itself; detail is its code")                                               \
  X(TRIPLE_FAULT, 3, "triple fault (shutdown)")                                                \
  X(WILD_ACCESS, 4, "touched guest-physical memory outside its window; detail is the address") \
  X(BAD_INSTRUCTION, 5, "executed an instruction that it may not; detail is the exit code")    \
  X(BAD_PORT, 6, "touched an I/O port; detail is the port")                                    \
  X(BAD_STATE, 7, "the processor refused its state")                                           \
  X(RESET, 8, "a PC: its kernel asked for a reset, as after a panic; since 1.6")               \
  X(KEPT_MEMORY, 9, "a PC: kept frames that are granted no more; detail: how many; since 1.7") \
  X(OVER_GRANT, 10, "a PC: touched memory beyond its grant; detail is the address; since 1.7")

enum NomExitReason {
#define NOM_X(name, number, meaning) NOM_EXIT_REASON_##name = number,
  NOM_EXIT_REASON_LIST(NOM_X)
#undef NOM_X
};

#endif  // NOMHV_ABI_VERSION_H_
