// SPDX-License-Identifier: Apache-2.0
// memcached, resized while it runs by its text protocol (memcached's doc/protocol.txt).
//
// cache_memlimit alone gives nothing back: it only stops new pages. Then pages are taken from the
// class that has the most of them into the global pool (slabs reassign CLASS 0), from which
// memcached frees them, one at a time, until what it has allocated fits. Measured with 1.6.18: a
// mebibyte takes about 60 ms beside a load.

#ifndef CLIENT_AGENTS_MEMCACHED_H_
#define CLIENT_AGENTS_MEMCACHED_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/agents/program.h"

namespace nom::agents {

// Sends one command and returns the whole answer, lines without their ends. `is_last` says whether
// a line is the last one.
class MemcachedLine {
 public:
  virtual ~MemcachedLine() = default;
  virtual absl::StatusOr<std::vector<std::string>> Ask(
      const std::string& command, const std::function<bool(absl::string_view)>& is_last) = 0;
};

// Over TCP ("127.0.0.1:11211", numbers only) or a Unix socket ("/run/memcached.sock"). Connects
// when it is needed, and again when the line broke. An answer is waited for 2 s at most.
std::unique_ptr<MemcachedLine> ConnectMemcached(std::string address);

struct MemcachedOptions {
  // What the process uses beside its cache: hash table, connections, threads. Measured: 5 MiB and
  // more with many connections.
  int64_t overhead_bytes = 8 << 20;
  std::function<void(absl::Duration)> nap;  // Null: sleeps.
};

class Memcached final : public Program {
 public:
  // The least that memcached takes for a limit.
  static constexpr int64_t kLimitMiBMin = 8;

  Memcached(std::unique_ptr<MemcachedLine> line, MemcachedOptions options);
  absl::Status Resize(int64_t bytes, absl::Duration timeout) override;
  absl::StatusOr<Work> ReadWork() override;

 private:
  using Stats = std::map<std::string, std::string>;
  absl::StatusOr<Stats> ReadStats(const std::string& command);
  absl::Status TakePage(const Stats& slabs);

  const std::unique_ptr<MemcachedLine> line_;
  const MemcachedOptions options_;
};

}  // namespace nom::agents

#endif  // CLIENT_AGENTS_MEMCACHED_H_
