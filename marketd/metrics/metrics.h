// SPDX-License-Identifier: Apache-2.0
// What Prometheus scrapes. The only code that sees prometheus-cpp.
//
// Most figures are read from the market's latest view at the moment of a scrape, so nothing has to
// be kept up to date and no series outlives what it tells of. Durations are observed as they
// happen.

#ifndef MARKETD_METRICS_METRICS_H_
#define MARKETD_METRICS_METRICS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "marketd/market/clearing.h"
#include "marketd/market/host.h"
#include "marketd/market/ledger.h"
#include "marketd/market/runtime.h"
#include "marketd/market/view.h"

namespace nom::marketd {

struct WatchFigures {
  int64_t watchers = 0;
  uint64_t responses = 0;
  uint64_t conflated = 0;
};

struct ConnectionFigures {
  int64_t open = 0;
  int64_t strangers = 0;
  uint64_t accepted = 0;
  uint64_t refused = 0;
  uint64_t dropped = 0;
};

// Where the figures are read at a scrape. Called from the scraper's threads.
struct MetricSources {
  std::function<std::shared_ptr<const market::View>()> view;
  std::function<market::RuntimeCounters()> counters;
  std::function<absl::StatusOr<market::ChainHead>()> head;  // Of the ledger.
  std::string ledger_path;   // Of its file, to tell its size; empty: not told.
  std::string archive_path;  // The same.
  std::function<market::ArchiveFigures()> archive;
  std::function<WatchFigures()> watches;
  std::function<ConnectionFigures()> connections;
};

// Thread-safe.
class Metrics {
 public:
  // Of this build, for nom_market_build_info.
  Metrics(absl::string_view version, absl::string_view commit);
  ~Metrics();  // Stops serving.

  // From now on scrapes show these too. Ends with an empty one: `sources` may then be gone.
  void SetSources(MetricSources sources);

  // What to give a runtime in place of `clear`, `ledger` and a host, which must outlive them: the
  // same, but timed. An empty `clear` stays empty if nothing is known to time.
  market::ClearFunction Timed(market::ClearFunction clear);
  market::JointClearFunction Timed(market::JointClearFunction clear);
  std::unique_ptr<market::Ledger> Timed(market::Ledger& ledger);
  std::unique_ptr<market::Host> Timed(const market::HostId& host_id, market::Host& host);

  // A gRPC call has ended. `method` is "package.Service/Method".
  void CallDone(absl::string_view method, absl::string_view code, absl::Duration took);

  // What changed was on its way to every watcher so long after it had changed.
  void Published(absl::Duration took);

  // Whether marketd's own calls through its front door are answered.
  void SetAnswering(bool answering);

  // Serves http://listen/metrics to so many at once; the address with the port that was bound.
  // Once. Errors: UNAVAILABLE if the address can't be listened on.
  absl::StatusOr<std::string> Serve(const std::string& listen, int connections_max);

  void StopServing();  // Idempotent.

  // What a scrape would get, in Prometheus' text format.
  std::string Text() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nom::marketd

#endif  // MARKETD_METRICS_METRICS_H_
