// SPDX-License-Identifier: Apache-2.0
// Claims: an instruction that nomhv does for the guest goes on right after itself, whatever
// prefixes it carries; debug registers keep what is written, and no breakpoint triggers.

#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

namespace nom::guest::tests {
namespace {

uint64_t marker = 0;

// Whoever resumes inside the instruction executes its rest and not, or not first, the marker.
#define GOES_ON(setup, bytes)                                                                     \
  do {                                                                                            \
    marker = 0;                                                                                   \
    const uint64_t vector = NOM_TRY("push %%rbx; push %%rdx; push %%rdi; " setup "; .byte " bytes \
                                    "; movq $77, %[marker]; pop %%rdi; pop %%rdx; pop %%rbx",     \
                                    [marker] "m"(marker));                                        \
    NOM_CHECK(vector == 0, bytes, " raised ", vector);                                            \
    NOM_CHECK(marker == 77, bytes, " went on elsewhere");                                         \
  } while (false)

#define WITH_PREFIXES(setup, bytes)                         \
  do {                                                      \
    GOES_ON(setup, bytes);                                  \
    GOES_ON(setup, "0xf3, " bytes);                         \
    GOES_ON(setup, "0xf2, " bytes);                         \
    GOES_ON(setup, "0x2e, 0x48, " bytes);                   \
    GOES_ON(setup, "0x64, 0x65, 0x67, 0xf3, 0x41, " bytes); \
  } while (false)

void Instructions() {
  WITH_PREFIXES("xor %%eax, %%eax", "0x0f, 0xa2");                                      // CPUID
  WITH_PREFIXES("mov $0xc0000080, %%ecx", "0x0f, 0x32");                                // RDMSR
  WITH_PREFIXES("mov $0x277, %%ecx; rdmsr", "0x0f, 0x30");                              // WRMSR
  WITH_PREFIXES("mov $1, %%eax; mov $1, %%edi; xor %%esi, %%esi", "0x0f, 0x01, 0xd9");  // VMMCALL
  WITH_PREFIXES("nop", "0x0f, 0x08");                                                   // INVD
  WITH_PREFIXES("nop", "0x0f, 0x09");                      // WBINVD, WBNOINVD
  WITH_PREFIXES("nop", "0x0f, 0x21, 0xf8");                // MOV RAX, DR7
  WITH_PREFIXES("mov $0x400, %%eax", "0x0f, 0x23, 0xf8");  // MOV DR7, RAX
}

void DebugRegistersAreKept() {
  static volatile uint64_t watched = 0;
  uint64_t random = 88172645463325252;
  for (int i = 0; i < 2000; ++i) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    const uint64_t address = i % 2 == 0 ? random : reinterpret_cast<uint64_t>(&watched);
    const uint64_t control = random >> 13 & 0xffffffff;
    uint64_t address_read = 0;
    uint64_t control_read = 0;
    asm volatile(
        "mov %[address], %%dr0; mov %[address], %%dr3; mov %[control], %%dr7\n\t"
        "mov %%dr3, %[address_read]; mov %%dr7, %[control_read]"
        : [address_read] "=&r"(address_read), [control_read] "=&r"(control_read)
        : [address] "r"(address), [control] "r"(control));
    watched = watched + 1;  // A breakpoint would end this program.
    NOM_CHECK(address_read == address, Hex{address_read});
    NOM_CHECK(control_read == ((control & 0xffff2bff) | 0x400), Hex{control}, " ",
              Hex{control_read});
  }
  const uint64_t high = NOM_TRY("mov $1, %%rax; shl $32, %%rax; mov %%rax, %%dr7", "i"(0));
  NOM_CHECK(high == kVectorGeneralProtection, high);
}

}  // namespace
}  // namespace nom::guest::tests

int GuestMain(const nom::guest::Start&) {
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  ExpectFaults();
  Instructions();
  DebugRegistersAreKept();
  return 0;
}
