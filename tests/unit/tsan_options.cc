// What tests over gRPC tell the thread sanitizer; nothing without it.
//
// The system's gRPC is not instrumented: the sanitizer sees the memory that it copies and frees
// through the C library, but not the atomics by which its threads agree, and would take every
// message for a race. Races of code that is instrumented, ours, are reported as ever.

extern "C" const char* __tsan_default_options();

extern "C" const char* __tsan_default_options() { return "ignore_noninstrumented_modules=1"; }
