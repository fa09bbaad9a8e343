// SPDX-License-Identifier: Apache-2.0
// A small HTTP/1.1 server for what only reads: GET and HEAD, answered at once or later.
//
// One thread serves all connections and waits for none: who asks or reads slowly holds nobody up
// but itself, and is ended after a few seconds. An answer that takes work is given later, from any
// thread, while the connection is put aside.

#ifndef MARKETD_HTTP_SERVER_H_
#define MARKETD_HTTP_SERVER_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace nom::marketd {

// A request whose form is good; everything in it is still a stranger's word.
struct HttpRequest {
  std::string path;  // Without the query, percent signs decoded: "/metrics".
  std::map<std::string, std::string> query;
  std::string repeated_key;  // Of the query, given more than once; empty: none.
  std::optional<std::string> authorization;
  bool authorization_twice = false;
};

struct HttpAnswer {
  int code = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // Beside the length and the type.
};

// Called once, by any thread.
using HttpDone = std::function<void(HttpAnswer answer)>;
// Called by a thread of the server's; must not block. `done` may be called within it, or later.
using HttpHandler = std::function<void(HttpRequest request, HttpDone done)>;

struct HttpServerOptions {
  std::string listen;  // "host:port", "[v6]:port"; port 0 lets the system choose.
  int connections_max = 64;
};

class HttpServer {
 public:
  // Errors: those of marketd/base/listener.h.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                           HttpHandler handler);
  // Refuses what is new, waits for every answer that is still to be given, ends all connections.
  virtual ~HttpServer() = default;

  // With the port that was bound.
  virtual const std::string& address() const = 0;
};

// The HTTP code that stands for an error of ours: 404 for NOT_FOUND, 401 for UNAUTHENTICATED, ...
int HttpCodeOf(const absl::Status& status);

}  // namespace nom::marketd

#endif  // MARKETD_HTTP_SERVER_H_
