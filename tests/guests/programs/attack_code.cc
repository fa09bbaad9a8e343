// Claim: whatever a guest executes, it harms nobody. Executes random bytes, takes the faults that
// they raise and goes on, until something in them ends it, or never. What comes of it depends on
// `seed` alone. Left out are encodings with SSE or VEX: they break QEMU 7.2's translator, and not
// nomhv.
// Arguments: seed, tries.

#include "client/guest/arguments.h"
#include "client/guest/start.h"
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

bool GoOn(InterruptFrame& frame) {
  frame.rip = reinterpret_cast<uint64_t>(NomRandomDone);
  frame.rflags &= ~uint64_t{0x100};  // No single steps from here on.
  return true;
}

}  // namespace
}  // namespace nom::guest::tests

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  int64_t seed = 1;
  int64_t tries = 1;
  const nom::guest::Argument known[] = {{"seed", &seed, 0, INT64_MAX, {}},
                                        {"tries", &tries, 1, INT64_MAX, {}}};
  const auto error = nom::guest::ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());
  nom::guest::SetFaultHook(GoOn);
  // Its own code may be written: CR0.WP.
  uint64_t cr0 = 0;
  asm volatile("mov %%cr0, %0" : "=r"(cr0));
  asm volatile("mov %0, %%cr0" ::"r"(cr0 & ~(uint64_t{1} << 16)));
  Random random(static_cast<uint64_t>(seed));
  for (int64_t i = 0; i < tries; ++i) {
    FillCode(random);
    NomExecuteRandom();
  }
  return 0;
}
