// SPDX-License-Identifier: Apache-2.0
// The peer of marketd's Watch: gRPC's callback server with nothing behind it.

#ifndef BENCH_MARKETD_CALLBACK_SERVER_H_
#define BENCH_MARKETD_CALLBACK_SERVER_H_

#include <cstddef>
#include <string>

namespace nom::bench {

// Serves Watch and Deposit on a port that the system chooses, writes its address to `ready_file`,
// and never returns. A deposit is told to every watcher by one response of about `bytes` bytes,
// encoded once; each write is begun by the thread of the deposit.
[[noreturn]] void RunCallbackServer(const std::string& ready_file, size_t bytes);

}  // namespace nom::bench

#endif  // BENCH_MARKETD_CALLBACK_SERVER_H_
