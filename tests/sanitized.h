// SPDX-License-Identifier: Apache-2.0
// Sanitizers take ten times as long and look for other things: fewer cases will do there.

#ifndef TESTS_SANITIZED_H_
#define TESTS_SANITIZED_H_

namespace nom {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kIsSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kIsSanitized = true;
#else
inline constexpr bool kIsSanitized = false;
#endif
#else
inline constexpr bool kIsSanitized = false;
#endif

}  // namespace nom

#endif  // TESTS_SANITIZED_H_
