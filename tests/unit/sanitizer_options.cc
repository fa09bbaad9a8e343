// SPDX-License-Identifier: Apache-2.0
// What tests over gRPC tell the leak sanitizer; nothing without it.
//
// gRPC's c-ares keeps the name that it was asked for if the channel goes before the answer came.

extern "C" const char* __lsan_default_suppressions();

extern "C" const char* __lsan_default_suppressions() { return "leak:libcares.so"; }
