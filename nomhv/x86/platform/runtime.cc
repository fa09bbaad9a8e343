// SPDX-License-Identifier: Apache-2.0
// What the compiler expects of a C++ environment, and is not in libgcc.

#include <cstddef>
#include <cstdint>

extern "C" {

void* memcpy(void* to, const void* from, size_t bytes) {
  void* const result = to;
  size_t words = bytes / 8;
  bytes %= 8;
  asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words)::"memory");
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes)::"memory");
  return result;
}

void* memset(void* to, int value, size_t bytes) {
  void* const result = to;
  const uint64_t pattern = uint64_t{0x0101010101010101} * static_cast<unsigned char>(value);
  size_t words = bytes / 8;
  bytes %= 8;
  asm volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
  asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(pattern) : "memory");
  return result;
}

void* memmove(void* to, const void* from, size_t bytes) {
  auto* t = static_cast<unsigned char*>(to);
  const auto* f = static_cast<const unsigned char*>(from);
  if (reinterpret_cast<uintptr_t>(t) - reinterpret_cast<uintptr_t>(f) >= bytes) {
    return memcpy(to, from, bytes);
  }
  for (size_t i = bytes; i > 0; --i) {
    // The barrier keeps the compiler from recognising memmove in memmove.
    asm volatile("" ::: "memory");
    t[i - 1] = f[i - 1];
  }
  return to;
}

int memcmp(const void* a, const void* b, size_t bytes) {
  const auto* x = static_cast<const unsigned char*>(a);
  const auto* y = static_cast<const unsigned char*>(b);
  for (size_t i = 0; i < bytes; ++i) {
    if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
  }
  return 0;
}

size_t strlen(const char* text) {
  size_t size = 0;
  while (text[size] != '\0') {
    asm volatile("" ::: "memory");
    ++size;
  }
  return size;
}

}  // extern "C"
