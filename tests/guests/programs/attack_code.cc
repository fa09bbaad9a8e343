// SPDX-License-Identifier: Apache-2.0
// Claim: whatever a guest executes, it harms nobody, and what is forbidden is never done. Executes
// the forbidden instruction of that number, behind random prefixes and with random registers, and
// then random bytes; takes the faults that they raise and goes on, until something in them ends it,
// or never. What comes of it depends on `seed` alone. Left out are encodings with SSE or VEX: they
// break QEMU 7.2's translator, and not nomhv.
// Ends with 1 if the forbidden instruction was done.
// Arguments: seed, tries, forbidden (of tests/guests/forbidden_code.h; by default none).

#include "client/guest/arguments.h"
#include "client/guest/start.h"
#include "tests/guests/forbidden_code.h"
#include "tests/guests/programs/check.h"
#include "tests/guests/programs/random.h"

// Executes what lies at NomRandomCode. Wherever that leads, who comes back comes by NomRandomDone,
// with the stack and the registers that the caller had.
asm(R"(
    .section .text.random, "ax"
    .balign 64
    .globl NomRandomCode, NomExecuteRandom, NomRandomDone
NomRandomCode:
    .skip 64, 0x90
    jmp NomRandomDone
NomExecuteRandom:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    movq %rsp, NomRandomStack
    jmp NomRandomCode
NomRandomDone:
    movq NomRandomStack, %rsp
    cld
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .section .bss
    .balign 8
NomRandomStack: .skip 8
    .text
)");
extern "C" {
extern uint8_t NomRandomCode[];
extern const char NomRandomDone[];
void NomExecuteRandom();
}

namespace nom::guest::tests {
namespace {

constexpr uint64_t kCodeBytes = 24;

// Where two-byte opcodes are not SSE's: system instructions, MOV with control and debug registers,
// MSRs, conditional moves and jumps, bits.
bool IsKnownTwoByte(uint8_t opcode) {
  return opcode < 0x0c || (opcode >= 0x20 && opcode < 0x24) || (opcode >= 0x30 && opcode < 0x36) ||
         (opcode >= 0x40 && opcode < 0x50) || (opcode >= 0x80 && opcode < 0xae) ||
         (opcode > 0xae && opcode < 0xc2) || (opcode > 0xc7 && opcode < 0xd0);
}

void FillCode(Random& random) {
  // Those that exit, or must not be the guest's, are rare among random bytes.
  static constexpr uint8_t kStarts[][3] = {
      {0x0f, 0x01, 0xd8}, {0x0f, 0x01, 0xd9}, {0x0f, 0x01, 0xda}, {0x0f, 0x01, 0xdb},
      {0x0f, 0x01, 0xdc}, {0x0f, 0x01, 0xdd}, {0x0f, 0x01, 0xde}, {0x0f, 0x01, 0xdf},
      {0x0f, 0xa2, 0x90}, {0x0f, 0x32, 0x90}, {0x0f, 0x30, 0x90}, {0x0f, 0x22, 0xc0},
      {0x0f, 0x22, 0xe0}, {0x0f, 0x23, 0xf8}, {0x0f, 0x21, 0xf0}, {0x0f, 0x09, 0x90},
      {0x0f, 0x01, 0x10}, {0x0f, 0x01, 0x18}, {0xee, 0x90, 0x90}, {0xfb, 0xf4, 0x90}};
  uint64_t at = 0;
  if (random.Below(2) == 0) {
    for (const uint8_t byte : kStarts[random.Below(sizeof(kStarts) / sizeof(kStarts[0]))]) {
      NomRandomCode[at++] = byte;
    }
  }
  while (at < kCodeBytes) {
    const auto byte = static_cast<uint8_t>(random.Next() >> 32);
    if (byte == 0xc4 || byte == 0xc5 || byte == 0x62) continue;  // VEX, EVEX.
    if (at > 0 && NomRandomCode[at - 1] == 0x0f && !IsKnownTwoByte(byte)) continue;
    NomRandomCode[at++] = byte;
  }
}

volatile uint64_t fault_rip = 0;

bool GoOn(InterruptFrame& frame) {
  fault_rip = frame.rip;
  frame.rip = reinterpret_cast<uint64_t>(NomRandomDone);
  frame.rflags &= ~uint64_t{0x100};  // No single steps from here on.
  return true;
}

// Behind it stands UD2: the fault that comes is at the one or at the other.
void TryForbidden(const nom::tests::ForbiddenCode& code, Random& random) {
  static constexpr uint8_t kPrefixes[] = {0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65};
  static constexpr uint64_t kNothing[2] = {};  // LIDT's.
  static char bytes[16];                       // OUTS's and INS's.
  uint64_t at = 0;
  for (uint64_t left = random.Below(4); left > 0; --left) {
    NomRandomCode[at++] = kPrefixes[random.Below(sizeof(kPrefixes))];
  }
  // Of 64 bits: with 16, an interrupt table may be there.
  if (random.Below(2) == 0) NomRandomCode[at++] = 0x48;
  for (uint8_t i = 0; i < code.count; ++i) NomRandomCode[at++] = code.bytes[i];
  const uint64_t end = reinterpret_cast<uint64_t>(NomRandomCode) + at;
  NomRandomCode[at++] = 0x0f;
  NomRandomCode[at++] = 0x0b;
  uint64_t a = reinterpret_cast<uint64_t>(kNothing);
  uint64_t c = random.Next();
  uint64_t d = random.Next();
  uint64_t from = reinterpret_cast<uint64_t>(bytes);
  uint64_t to = from;
  asm volatile("call NomExecuteRandom"
               : "+a"(a), "+c"(c), "+d"(d), "+S"(from), "+D"(to)
               :
               : "r8", "r9", "r10", "r11", "cc", "memory");
  NOM_CHECK(fault_rip < end, "a forbidden instruction was done: ", code.name, ", fault at +",
            fault_rip - reinterpret_cast<uint64_t>(NomRandomCode));
}

}  // namespace
}  // namespace nom::guest::tests

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  int64_t seed = 1;
  int64_t tries = 1;
  int64_t forbidden = nom::tests::kForbiddenCodes;
  const nom::guest::Argument known[] = {
      {"seed", &seed, 0, INT64_MAX, {}},
      {"tries", &tries, 0, INT64_MAX, {}},
      {"forbidden", &forbidden, 0, nom::tests::kForbiddenCodes, {}}};
  const auto error = nom::guest::ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());
  nom::guest::SetFaultHook(GoOn);
  // Its own code may be written: CR0.WP.
  uint64_t cr0 = 0;
  asm volatile("mov %%cr0, %0" : "=r"(cr0));
  asm volatile("mov %0, %%cr0" ::"r"(cr0 & ~(uint64_t{1} << 16)));
  Random random(static_cast<uint64_t>(seed));
  for (int i = 0; i < 100 && forbidden < nom::tests::kForbiddenCodes; ++i) {
    TryForbidden(nom::tests::kForbiddenCode[forbidden], random);
  }
  for (int64_t i = 0; i < tries; ++i) {
    FillCode(random);
    NomExecuteRandom();
  }
  return 0;
}
