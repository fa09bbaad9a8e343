// SPDX-License-Identifier: Apache-2.0
// nomhv's own broken promises: they stop the machine loudly.

#ifndef NOMHV_CORE_ASSERT_H_
#define NOMHV_CORE_ASSERT_H_

namespace nomhv {

// Supplied by the environment: on the machine it logs, stops every processor and ends; in hosted
// tests it prints and aborts. Any processor, any context.
[[noreturn]] void Panic(const char* message, const char* file, int line);

}  // namespace nomhv

#define NOMHV_CHECK(condition, message) \
  ((condition) ? static_cast<void>(0) : ::nomhv::Panic((message), __FILE__, __LINE__))

#endif  // NOMHV_CORE_ASSERT_H_
