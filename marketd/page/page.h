// SPDX-License-Identifier: Apache-2.0
// The page for people: marketd's market in a browser, to look at. Its own port, its own threads;
// neither the engine nor gRPC's callers wait for anybody who looks.

#ifndef MARKETD_PAGE_PAGE_H_
#define MARKETD_PAGE_PAGE_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "marketd/http/server.h"
#include "marketd/market/view.h"
#include "marketd/page/api.h"
#include "marketd/page/history.h"
#include "marketd/page/static_files.h"

namespace nom::marketd {

struct PageOptions {
  std::string listen;     // "host:port" or "[v6]:port", of this machine alone: it is plain HTTP.
  std::string directory;  // Of the page's files. Without them only /api/v1 is answered.
  int connections_max = 64;
  std::string version;
};

class Page {
 public:
  // What the sources point to must outlive it. Errors: UNAVAILABLE if the address can't be listened
  // on. Files that are missing are logged.
  static absl::StatusOr<std::unique_ptr<Page>> Start(const PageOptions& options,
                                                     PageSources sources);

  // Tells each new view; from any thread, returns at once.
  void OnView(std::shared_ptr<const market::View> view) { history_.OnView(std::move(view)); }

  const std::string& address() const { return server_->address(); }

 private:
  Page(const PageOptions& options, PageSources sources);
  void Answer(const HttpRequest& request, const HttpDone& done);

  std::optional<StaticFiles> files_;
  History history_;
  PageApi api_;
  std::unique_ptr<HttpServer> server_;  // Last: its requests use all of the above.
};

}  // namespace nom::marketd

#endif  // MARKETD_PAGE_PAGE_H_
