// Each processor's stacks, below each of which a page is left unmapped, and the descriptors that
// name those for faults that a broken stack must not stop (AMD64 APM volume 2, 8.9.4 and 12.2.5).

#ifndef NOMHV_X86_STACKS_H_
#define NOMHV_X86_STACKS_H_

#include <cstdint>

namespace nomhv {

// Gates name these (IST): the double fault's, and one for NMI and machine check.
inline constexpr uint8_t kStackDoubleFault = 1;
inline constexpr uint8_t kStackNmi = 2;

// Where the stack of processor `index` ends; that of the first is the boot stack.
[[nodiscard]] uint64_t StackEnd(uint32_t index);

// Whether the page at `address` is one of those that stay unmapped.
[[nodiscard]] bool IsStackGuard(uint64_t address);

// Loads a GDT and a task state of its own on the processor `index`, which runs this.
void LoadDescriptors(uint32_t index);

}  // namespace nomhv

#endif  // NOMHV_X86_STACKS_H_
