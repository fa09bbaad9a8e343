// SPDX-License-Identifier: Apache-2.0
// Single accesses to memory that another guest shares, and that may be gone at any time: false
// where a plain access would fault. Each word is read once, and in the order of the program.

#ifndef CLIENT_GUEST_SHARED_MEMORY_H_
#define CLIENT_GUEST_SHARED_MEMORY_H_

#include <atomic>
#include <cstdint>

#include "client/guest/x86/fixup.h"

namespace nom::guest {

// A cache line: what a ring carries.
struct alignas(64) Message {
  uint64_t words[8] = {};
  friend bool operator==(const Message&, const Message&) = default;
};

#if __STDC_HOSTED__

// For tests: nothing is ever gone.
inline bool TryLoad(const uint32_t* at, uint32_t* value) {
  *value = std::atomic_ref<uint32_t>(*const_cast<uint32_t*>(at)).load(std::memory_order_acquire);
  return true;
}
inline bool TryStore(uint32_t* at, uint32_t value) {
  std::atomic_ref<uint32_t>(*at).store(value, std::memory_order_release);
  return true;
}
inline bool TryCopyLine(Message* to, const Message* from) {
  *to = *from;
  return true;
}

#else

// x86 keeps the order of loads and of stores (AMD64 APM volume 2, 7.2); the clobber keeps the
// compiler's.
inline bool TryLoad(const uint32_t* at, uint32_t* value) {
  uint32_t got;
  asm goto("1: movl %[at], %[got]\n2:" NOM_FIXUP(gone)
           : [got] "=r"(got)
           : [at] "m"(*at)
           : "memory"
           : gone);
  *value = got;
  return true;
gone:
  return false;
}
inline bool TryStore(uint32_t* at, uint32_t value) {
  asm goto("1: movl %[value], (%[at])\n2:" NOM_FIXUP(gone)
           :
           : [at] "r"(at), [value] "r"(value)
           : "memory"
           : gone);
  return true;
gone:
  return false;
}
inline bool TryCopyLine(Message* to, const Message* from) {
#define NOM_MOVE(offset) "movq " #offset "(%[from]), %%rax; movq %%rax, " #offset "(%[to])\n\t"
  asm goto("1: " NOM_MOVE(0) NOM_MOVE(8) NOM_MOVE(16) NOM_MOVE(24) NOM_MOVE(32) NOM_MOVE(40)
               NOM_MOVE(48) NOM_MOVE(56) "2:" NOM_FIXUP(gone)
           :
           : [to] "r"(to), [from] "r"(from)
           : "rax", "memory"
           : gone);
#undef NOM_MOVE
  return true;
gone:
  return false;
}

#endif

}  // namespace nom::guest

#endif  // CLIENT_GUEST_SHARED_MEMORY_H_
