// SPDX-License-Identifier: Apache-2.0
// What the compiler and the headers of the C++ library expect to be there.

#include <cstddef>
#include <cstdint>

#include "client/guest/calls.h"
#include "client/guest/console.h"

extern "C" {

void* memcpy(void* __restrict to, const void* __restrict from, size_t bytes) {
  void* result = to;
  size_t words = bytes / 8;
  size_t rest = bytes % 8;
  asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words)::"memory");
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(rest)::"memory");
  return result;
}

void* memmove(void* to, const void* from, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(to) - reinterpret_cast<uintptr_t>(from) >= bytes) {
    return memcpy(to, from, bytes);
  }
  void* last_to = static_cast<char*>(to) + bytes - 1;
  const void* last_from = static_cast<const char*>(from) + bytes - 1;
  asm volatile("std; rep movsb; cld" : "+D"(last_to), "+S"(last_from), "+c"(bytes)::"memory");
  return to;
}

void* memset(void* to, int value, size_t bytes) {
  void* result = to;
  asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
  return result;
}

int memcmp(const void* left, const void* right, size_t bytes) {
  const auto* a = static_cast<const unsigned char*>(left);
  const auto* b = static_cast<const unsigned char*>(right);
  for (size_t i = 0; i < bytes; ++i) {
    if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
  }
  return 0;
}

size_t strlen(const char* text) {
  size_t length = 0;
  while (text[length] != '\0') ++length;
  return length;
}

size_t strnlen(const char* text, size_t size) {
  size_t length = 0;
  while (length < size && text[length] != '\0') ++length;
  return length;
}

const void* memchr(const void* memory, int value, size_t bytes) {
  const auto* at = static_cast<const unsigned char*>(memory);
  for (size_t i = 0; i < bytes; ++i) {
    if (at[i] == static_cast<unsigned char>(value)) return at + i;
  }
  return nullptr;
}

[[noreturn]] void abort() {
  nom::guest::Console(&nom::guest::Hypervisor()).Line("abort: a promise of the guest's is broken");
  nom::guest::Hypervisor().Exit(134);
  for (;;) asm volatile("hlt");
}

// NOLINTBEGIN(bugprone-reserved-identifier): these names are what compiler and library call.
[[noreturn]] void __cxa_pure_virtual() { abort(); }

// Objects with static storage are never destroyed: a guest ends as a whole.
int __cxa_atexit(void (*)(void*), void*, void*) { return 0; }
void* __dso_handle = nullptr;

}  // extern "C"

namespace std {
// Bounds checks in library headers end here.
void __throw_out_of_range_fmt(const char*, ...) { abort(); }
void __throw_out_of_range(const char*) { abort(); }
void __throw_length_error(const char*) { abort(); }
void __throw_logic_error(const char*) { abort(); }
[[noreturn]] void __throw_bad_optional_access() { abort(); }
[[noreturn]] void __glibcxx_assert_fail(const char*, int, const char*, const char*) noexcept {
  abort();
}
// NOLINTEND(bugprone-reserved-identifier)
}  // namespace std
