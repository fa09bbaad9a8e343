// SPDX-License-Identifier: Apache-2.0
// What the page asks marketd, over HTTP: paths below /api/v1/ that answer messages of
// proto/nom/page/v1/page.proto (and some of nom/market/v1) as JSON, and say who may have them.
//
// A request without a token gets what everybody may know; with one, what its owner may see over
// gRPC, by the same credentials and quotas. Nothing can be changed here.

#ifndef MARKETD_PAGE_API_H_
#define MARKETD_PAGE_API_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "marketd/base/clock.h"
#include "marketd/http/server.h"
#include "marketd/market/event.h"
#include "marketd/market/ledger.h"
#include "marketd/market/view.h"
#include "marketd/page/history.h"
#include "marketd/server/credentials.h"
#include "marketd/services/rate_limiter.h"

namespace nom::marketd {

// Where the page looks. All are called from any thread, and must not block but for the reader,
// which is asked in jobs of `post_read` alone.
struct PageSources {
  std::function<std::shared_ptr<const market::View>()> view;  // Never null.
  std::function<absl::StatusOr<market::Caller>(const CallHead& head)> identify;
  std::function<absl::Status(const market::Caller& caller)> take_read;
  // False, and the job is dropped, if the owner ("": the operator) has too much in the queue.
  std::function<bool(const std::string& owner, std::function<void()> job)> post_read;
  market::LedgerReader* reader = nullptr;
  const Clock* clock = nullptr;
};

class PageApi {
 public:
  // `history` and what the sources point to must outlive it, and all answers that are owed.
  PageApi(PageSources sources, const History& history, std::string version);

  // Any thread; returns at once.
  void Answer(const HttpRequest& request, const HttpDone& done);

  // All paths, for tests of the documentation.
  static std::vector<std::string> Paths();

 private:
  class Query;
  struct Call;
  struct Route;
  using Message = std::unique_ptr<google::protobuf::Message>;
  // An answer now, or one that is still to be read from the ledger.
  using Later = std::function<absl::StatusOr<Message>()>;
  struct Found {
    Message message;
    Later later;
  };
  static const std::vector<Route>& Routes();

  absl::StatusOr<Found> Market(const Call& call, Query& query);
  absl::StatusOr<Found> Prices(const Call& call, Query& query);
  absl::StatusOr<Found> Demand(const Call& call, Query& query);
  absl::StatusOr<Found> Guests(const Call& call, Query& query);
  absl::StatusOr<Found> Rounds(const Call& call, Query& query);
  absl::StatusOr<Found> Life(const Call& call, Query& query);
  absl::StatusOr<Found> Contracts(const Call& call, Query& query);
  absl::StatusOr<Found> Offers(const Call& call, Query& query);

  absl::StatusOr<Found> Find(const Route& route, const HttpRequest& request, Call* call);

  const PageSources sources_;
  const History& history_;
  const std::string version_;
  RateLimiter public_rate_;
};

}  // namespace nom::marketd

#endif  // MARKETD_PAGE_API_H_
