// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "nomhv/abi/version.h"
#include "nomhv/x86/guests/virtualization.h"
#include "nomhv/x86/platform/cpu.h"

namespace nomhv {
namespace {

uint64_t g_xcr0_all = 0;

}  // namespace

bool EnableExtendedState() {
  constexpr uint32_t kXsave = 1u << 26;                                // Fn1 ECX
  constexpr uint64_t kCr4Fpu = (1u << 9) | (1u << 10) | (1u << 18);    // OSFXSR OSXMMEXCPT OSXSAVE
  constexpr uint64_t kCr0MonitorTaskSwitched = (1u << 1) | (1u << 5);  // MP, NE
  constexpr uint64_t kCr0NoFpu = (1u << 2) | (1u << 3);                // EM, TS
  if ((Cpuid(1).ecx & kXsave) == 0) return false;
  WriteCr0((ReadCr0() | kCr0MonitorTaskSwitched) & ~kCr0NoFpu);
  WriteCr4(ReadCr4() | kCr4Fpu);
  const CpuidResult xsave = Cpuid(0xd);
  g_xcr0_all = uint64_t{xsave.edx} << 32 | xsave.eax;
  WriteXcr0(g_xcr0_all);
  return xsave.ecx <= NOM_FRAME_BYTES;
}

// The reset state of x87 and SSE (14.1.3): legacy area FCW and MXCSR; a header of zeroes would let
// XRSTOR ignore them, so it says that both are there.
void ResetExtendedState(VirtualProcessor& vcpu) {
  auto* state = static_cast<uint8_t*>(vcpu.extended_state);
  const uint16_t fcw = 0x37f;
  const uint32_t mxcsr = 0x1f80;
  const uint64_t present = 3;
  std::memcpy(state, &fcw, sizeof(fcw));
  std::memcpy(state + 24, &mxcsr, sizeof(mxcsr));
  std::memcpy(state + 512, &present, sizeof(present));
}

void LoadExtendedState(VirtualProcessor& vcpu) {
  WriteXcr0(g_xcr0_all);
  // AMD's XRSTOR leaves the last x87 instruction's addresses of whoever ran before, unless an
  // exception is pending (11.4.4.3): loading a constant puts ours there.
  static const int32_t kZero = 0;
  asm volatile("fnclex; emms; fildl %0" ::"m"(kZero));
  asm volatile("xrstor64 (%0)" ::"r"(vcpu.extended_state), "a"(~0u), "d"(~0u) : "memory");
  WriteXcr0(vcpu.xcr0);
}

void SaveExtendedState(VirtualProcessor& vcpu) {
  vcpu.xcr0 = ReadXcr0();
  WriteXcr0(g_xcr0_all);
  asm volatile("xsave64 (%0)" ::"r"(vcpu.extended_state), "a"(~0u), "d"(~0u) : "memory");
}

}  // namespace nomhv
