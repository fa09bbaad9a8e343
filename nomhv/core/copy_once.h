// Reading memory that somebody else may be writing: each byte is fetched once, into memory of ours,
// and only the copy is looked at.

#ifndef NOMHV_CORE_COPY_ONCE_H_
#define NOMHV_CORE_COPY_ONCE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace nomhv {

// The barriers keep the compiler from reading `from` again in place of the copy.
inline void CopyOnce(void* to, const void* from, size_t bytes) {
  asm volatile("" ::: "memory");
  std::memcpy(to, from, bytes);
  asm volatile("" ::: "memory");
}

template <typename T>
requires std::is_trivially_copyable_v<T> T CopyOnce(const void* from) {
  T value;
  CopyOnce(&value, from, sizeof(value));
  return value;
}

// Whether [offset, offset + bytes) lies in [0, limit), for any three numbers.
constexpr bool InBounds(uint64_t offset, uint64_t bytes, uint64_t limit) {
  return offset <= limit && bytes <= limit - offset;
}

}  // namespace nomhv

#endif  // NOMHV_CORE_COPY_ONCE_H_
