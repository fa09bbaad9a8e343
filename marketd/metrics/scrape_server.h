// One page over HTTP for scrapers. One thread serves all of them and waits for none: who reads or
// asks slowly holds nobody up but itself, and is ended after a few seconds.

#ifndef MARKETD_METRICS_SCRAPE_SERVER_H_
#define MARKETD_METRICS_SCRAPE_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace nom::marketd {

class ScrapeServer {
 public:
  // Answers GET and HEAD of /metrics with what `text` returns, which is called from a thread of the
  // server's. `listen` is "host:port" or "[v6]:port". Errors: those of marketd/base/listener.h.
  static absl::StatusOr<std::unique_ptr<ScrapeServer>> Start(const std::string& listen,
                                                             int connections_max,
                                                             std::function<std::string()> text);
  virtual ~ScrapeServer() = default;  // Ends all connections.

  // With the port that was bound.
  virtual const std::string& address() const = 0;
};

}  // namespace nom::marketd

#endif  // MARKETD_METRICS_SCRAPE_SERVER_H_
