// SPDX-License-Identifier: Apache-2.0
// Guest-physical addresses and pointers are the same numbers: memory is identity-mapped.

#ifndef CLIENT_GUEST_ADDRESS_H_
#define CLIENT_GUEST_ADDRESS_H_

#include <cstdint>

namespace nom::guest {

template <typename T>
T* PointerTo(uint64_t guest_physical) {
  return reinterpret_cast<T*>(guest_physical);  // NOLINT(performance-no-int-to-ptr): see above.
}

inline uint64_t AddressOf(const volatile void* pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

}  // namespace nom::guest

#endif  // CLIENT_GUEST_ADDRESS_H_
