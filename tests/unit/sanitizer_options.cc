// What tests over gRPC tell the sanitizers; nothing without them.
//
// The system's gRPC is not instrumented: the thread sanitizer sees the memory that it copies and
// frees through the C library, but not the atomics by which its threads agree, and would take every
// message for a race. Races of code that is instrumented, ours, are reported as ever.
//
// Its c-ares keeps the name that it was asked for if the channel goes before the answer came.

extern "C" const char* __tsan_default_options();
extern "C" const char* __lsan_default_suppressions();

extern "C" const char* __tsan_default_options() { return "ignore_noninstrumented_modules=1"; }
extern "C" const char* __lsan_default_suppressions() { return "leak:libcares.so"; }
