// SPDX-License-Identifier: Apache-2.0
// Claim: every call answers as the tables of ABI.md say, errors change nothing, and registers are
// kept. Needs a seed of 512 frames, a window of 1024, no more than the seed granted.

#include "client/guest/clock.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

namespace nom::guest::tests {
namespace {

constexpr uint64_t kSeed = 512;
constexpr uint64_t kWindow = 1024;
constexpr uint64_t kPattern = 0xfeedfacecafebeef;

#define EXPECT_CALL(call, wanted)                                                        \
  do {                                                                                   \
    const CallResult result = (call);                                                    \
    NOM_CHECK(result.status == (wanted), #call " answered ", StatusName(result.status)); \
  } while (false)

uint64_t Held() { return Hypervisor().Query(NOM_QUERY_FRAMES_HELD).value; }

volatile uint64_t* Frame(uint64_t frame) {
  return reinterpret_cast<volatile uint64_t*>(frame * NOM_FRAME_BYTES);
}

void Queries(Nomhv& nomhv) {
  NOM_CHECK(nomhv.Query(NOM_QUERY_ABI_VERSION).value == NOM_ABI_VERSION);
  for (uint64_t call = NOM_CALL_QUERY; call <= NOM_CALL_ROUTE; ++call) {
    NOM_CHECK(nomhv.Query(NOM_QUERY_CALL_EXISTS, call).value == 1, call);
  }
  for (const uint64_t call :
       {uint64_t{0}, uint64_t{NOM_CALL_ROUTE} + 1, uint64_t{1000}, uint64_t{1} << 32 | 1}) {
    EXPECT_CALL(nomhv.Query(NOM_QUERY_CALL_EXISTS, call), NOM_STATUS_OK);
    NOM_CHECK(nomhv.Query(NOM_QUERY_CALL_EXISTS, call).value == 0, call);
  }
  NOM_CHECK(Held() == kSeed, Held());
  NOM_CHECK(nomhv.Query(NOM_QUERY_FRAMES_GRANTED).value == kSeed);
  NOM_CHECK(nomhv.Query(NOM_QUERY_NEXT_HELD, 5).value == 5);
  EXPECT_CALL(nomhv.Query(NOM_QUERY_NEXT_HELD, kSeed), NOM_STATUS_NOT_HELD);
  EXPECT_CALL(nomhv.Query(NOM_QUERY_NEXT_HELD, ~uint64_t{0}), NOM_STATUS_NOT_HELD);
  NOM_CHECK(nomhv.Query(NOM_QUERY_NEXT_HOLE, 0).value == kSeed);
  EXPECT_CALL(nomhv.Query(NOM_QUERY_NEXT_HOLE, kWindow), NOM_STATUS_NOT_HELD);
  EXPECT_CALL(nomhv.Query(NOM_QUERY_NEXT_HOLE, ~uint64_t{0}), NOM_STATUS_NOT_HELD);
  for (const uint64_t what : {0, NOM_QUERY_PROCESSOR + 1, 4096}) {
    EXPECT_CALL(nomhv.Call(NOM_CALL_QUERY, what, 0, 0), NOM_STATUS_BAD_PARAMETER);
  }
  const uint64_t before = nomhv.Query(NOM_QUERY_CYCLES_USED).value;
  const uint64_t after = nomhv.Query(NOM_QUERY_CYCLES_USED).value;
  NOM_CHECK(before > 0 && after > before, before, " then ", after);
}

void NoSuchCalls(Nomhv& nomhv) {
  for (const uint32_t number : {0u, NOM_CALL_ROUTE + 1u, 0xffffffffu}) {
    EXPECT_CALL(nomhv.Call(number, 0, 0, 0), NOM_STATUS_NO_SUCH_CALL);
  }
}

// NOM_QUERY_ABI_VERSION is 1 and takes no index.
void RegistersAreKept() {
  static_assert(NOM_QUERY_ABI_VERSION == 1);
  uint64_t changed = 1;
  uint64_t status = NOM_CALL_QUERY;
  asm volatile(
      "mov $0x1111, %%rbx; mov $0x2222, %%rcx; mov $0x3333, %%r8; mov $0x4444, %%r9\n\t"
      "mov $0x5555, %%r10; mov $0x6666, %%r11; mov $0x7777, %%r12; mov $0x8888, %%r13\n\t"
      "mov $0x9999, %%r14; mov $0xaaaa, %%r15; mov $1, %%edi; xor %%esi, %%esi\n\t"
      "vmmcall\n\t"
      "cmp $0x1111, %%rbx; jne 1f; cmp $0x2222, %%rcx; jne 1f; cmp $0x3333, %%r8; jne 1f\n\t"
      "cmp $0x4444, %%r9; jne 1f; cmp $0x5555, %%r10; jne 1f; cmp $0x6666, %%r11; jne 1f\n\t"
      "cmp $0x7777, %%r12; jne 1f; cmp $0x8888, %%r13; jne 1f; cmp $0x9999, %%r14; jne 1f\n\t"
      "cmp $0xaaaa, %%r15; jne 1f; cmp $1, %%rdi; jne 1f; cmp $0, %%rsi; jne 1f\n\t"
      "movq $0, %[changed]\n1:"
      : [changed] "+m"(changed), "+a"(status)
      :
      : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
        "memory");
  NOM_CHECK(status == NOM_STATUS_OK);
  NOM_CHECK(changed == 0);
}

// What CPUID says that the system has turned on is what this guest has turned on.
void CpuidShowsWhatIsOn() {
  constexpr uint32_t kPku = 1u << 3;
  constexpr uint32_t kOspke = 1u << 4;
  constexpr uint64_t kCr4ProtectionKeys = uint64_t{1} << 22;
  const auto leaf7 = [] {
    uint32_t a = 7, b = 0, c = 0, d = 0;
    asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return c;
  };
  NOM_CHECK((leaf7() & kOspke) == 0);
  if ((leaf7() & kPku) == 0) return;
  uint64_t cr4 = 0;
  asm volatile("mov %%cr4, %0" : "=r"(cr4));
  asm volatile("mov %0, %%cr4" ::"r"(cr4 | kCr4ProtectionKeys) : "memory");
  const uint32_t on = leaf7();
  asm volatile("mov %0, %%cr4" ::"r"(cr4) : "memory");
  NOM_CHECK((on & kOspke) != 0, "protection keys are on, and CPUID denies it");
}

void Frames(Nomhv& nomhv) {
  EXPECT_CALL(nomhv.Acquire(kSeed, 0), NOM_STATUS_BAD_PARAMETER);
  EXPECT_CALL(nomhv.Acquire(kWindow, 1), NOM_STATUS_BAD_ADDRESS);
  EXPECT_CALL(nomhv.Acquire(kWindow - 1, 2), NOM_STATUS_BAD_ADDRESS);
  EXPECT_CALL(nomhv.Acquire(~uint64_t{0}, 2), NOM_STATUS_BAD_ADDRESS);
  EXPECT_CALL(nomhv.Acquire(1, ~uint64_t{0}), NOM_STATUS_BAD_ADDRESS);
  EXPECT_CALL(nomhv.Acquire(kSeed - 1, 1), NOM_STATUS_ALREADY_HELD);
  EXPECT_CALL(nomhv.Acquire(kSeed, 1), NOM_STATUS_OVER_GRANT);
  EXPECT_CALL(nomhv.Release(kSeed, 0), NOM_STATUS_BAD_PARAMETER);
  EXPECT_CALL(nomhv.Release(kWindow, 1), NOM_STATUS_BAD_ADDRESS);
  EXPECT_CALL(nomhv.Release(~uint64_t{0}, 2), NOM_STATUS_BAD_ADDRESS);
  EXPECT_CALL(nomhv.Release(kSeed - 1, 2), NOM_STATUS_NOT_HELD);
  NOM_CHECK(Held() == kSeed, "a refused call changed something");
  NOM_CHECK(TouchRead((kSeed - 1) * NOM_FRAME_BYTES) == 0, "half a refused release was done");

  for (uint64_t frame = 480; frame < 490; ++frame) Frame(frame)[7] = kPattern;
  CallResult released = nomhv.Release(480, 10);
  NOM_CHECK(released.ok() && released.value == kSeed - 10, released.value);
  NOM_CHECK(TouchRead(480 * NOM_FRAME_BYTES) == kVectorGeneralProtection, fault.vector);
  NOM_CHECK(fault.error_code == 0, fault.error_code);
  NOM_CHECK(TouchWrite(489 * NOM_FRAME_BYTES, 1) == kVectorGeneralProtection, fault.vector);
  NOM_CHECK(TouchRead(490 * NOM_FRAME_BYTES) == 0);
  NOM_CHECK(nomhv.Query(NOM_QUERY_NEXT_HOLE, 0).value == 480);
  NOM_CHECK(nomhv.Query(NOM_QUERY_NEXT_HELD, 480).value == 490);
  EXPECT_CALL(nomhv.Release(480, 1), NOM_STATUS_NOT_HELD);
  EXPECT_CALL(nomhv.Acquire(489, 2), NOM_STATUS_ALREADY_HELD);
  NOM_CHECK(Held() == kSeed - 10, "half a refused acquire was done");
  // Anywhere in the window will do.
  const CallResult acquired = nomhv.Acquire(900, 3);
  NOM_CHECK(acquired.ok() && acquired.value == kSeed - 7, acquired.value);
  EXPECT_CALL(nomhv.Acquire(480, 8), NOM_STATUS_OVER_GRANT);
  EXPECT_CALL(nomhv.Acquire(480, 7), NOM_STATUS_OK);
  for (const uint64_t frame : {480, 481, 486, 900, 902}) {
    for (uint64_t i = 0; i < 512; ++i) {
      NOM_CHECK(Frame(frame)[i] == 0, "frame ", frame, " is not scrubbed");
    }
  }
  EXPECT_CALL(nomhv.Release(900, 3), NOM_STATUS_OK);
  EXPECT_CALL(nomhv.Acquire(487, 3), NOM_STATUS_OK);
}

void Writes(Nomhv& nomhv) {
  const auto write = [&](uint64_t at, uint64_t bytes) {
    return nomhv.Call(NOM_CALL_WRITE, at, bytes, 0);
  };
  const uint64_t last = (kSeed - 1) * NOM_FRAME_BYTES;
  EXPECT_CALL(write(last, 257), NOM_STATUS_BAD_PARAMETER);
  EXPECT_CALL(write(last, ~uint64_t{0}), NOM_STATUS_BAD_PARAMETER);
  EXPECT_CALL(write(kWindow * NOM_FRAME_BYTES, 1), NOM_STATUS_BAD_ADDRESS);
  EXPECT_CALL(write(~uint64_t{0} - 3, 8), NOM_STATUS_BAD_ADDRESS);
  EXPECT_CALL(write(NOM_GPA_START_PAGE, 8), NOM_STATUS_BAD_ADDRESS);
  EXPECT_CALL(write(kSeed * NOM_FRAME_BYTES, 1), NOM_STATUS_NOT_HELD);
  EXPECT_CALL(write(kSeed * NOM_FRAME_BYTES - 1, 2), NOM_STATUS_NOT_HELD);
  EXPECT_CALL(nomhv.Write("the calls are being tested\n"), NOM_STATUS_OK);
}

void Waiting(Nomhv& nomhv, uint64_t tsc_hz) {
  for (const uint64_t vector : {1, 31, 256, 100000}) {
    EXPECT_CALL(nomhv.Notify(vector), NOM_STATUS_BAD_PARAMETER);
  }
  for (const uint64_t vector : {32, 255, 0}) EXPECT_CALL(nomhv.Notify(vector), NOM_STATUS_OK);
  const CallResult past = nomhv.Yield(1);
  NOM_CHECK(past.ok() && past.value == NOM_WAKE_DEADLINE, past.value);
  const uint64_t deadline = nomhv.Tsc() + tsc_hz / 500;
  const CallResult slept = nomhv.Yield(deadline);
  NOM_CHECK(slept.ok() && slept.value == NOM_WAKE_DEADLINE, slept.value);
  NOM_CHECK(nomhv.Tsc() >= deadline, "woken too early");
}

}  // namespace
}  // namespace nom::guest::tests

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  NOM_CHECK(start.seed_frames == kSeed && start.window_frames == kWindow);
  ExpectFaults();
  nom::guest::Nomhv& nomhv = nom::guest::Hypervisor();
  Queries(nomhv);
  NoSuchCalls(nomhv);
  RegistersAreKept();
  CpuidShowsWhatIsOn();
  Frames(nomhv);
  Writes(nomhv);
  Waiting(nomhv, start.tsc_hz);
  return 0;
}
