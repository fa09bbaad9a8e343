// SPDX-License-Identifier: Apache-2.0
#include "marketd/http/server.h"

#include <microhttpd.h>

#include <condition_variable>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "marketd/base/listener.h"
#include "marketd/base/status.h"

namespace nom::marketd {
namespace {

constexpr unsigned kSilenceMaxSeconds = 5;  // Within a request or an answer, and between two.
constexpr size_t kRequestBytesMax = 8 << 10;
constexpr size_t kQueryKeysMax = 16;

// How many answers are still to be given. They may outlive neither the daemons nor the handler.
class Owed {
 public:
  void Add() {
    std::lock_guard lock(mutex_);
    ++count_;
  }
  void Remove() {
    std::lock_guard lock(mutex_);
    if (--count_ == 0) none_.notify_all();
  }
  void WaitForNone() {
    std::unique_lock lock(mutex_);
    none_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  int64_t count_ = 0;
};

// One request in hand: the connection's thread on one side, whoever answers on the other.
class Exchange {
 public:
  Exchange(MHD_Connection* connection, Owed* owed) : connection_(connection), owed_(owed) {}

  // From any thread.
  void Answer(HttpAnswer answer) {
    {
      std::lock_guard lock(mutex_);
      NOM_CHECK(!answer_.has_value(), "a request was answered twice");
      answer_ = std::move(answer);
      if (suspended_) ::MHD_resume_connection(connection_);
    }
    // Last: as long as it is owed, the daemon lives.
    owed_->Remove();
  }

  // By the connection's thread: the answer, or the connection is put aside until there is one.
  std::optional<HttpAnswer> TakeOrSuspend() {
    std::lock_guard lock(mutex_);
    if (answer_.has_value()) return std::exchange(answer_, HttpAnswer());
    ::MHD_suspend_connection(connection_);
    suspended_ = true;
    return std::nullopt;
  }

  bool asked = false;  // The handler has it. Of the connection's thread alone.

 private:
  MHD_Connection* const connection_;
  Owed* const owed_;
  std::mutex mutex_;
  std::optional<HttpAnswer> answer_;
  bool suspended_ = false;
};

MHD_Result AddArgument(void* to, MHD_ValueKind /*kind*/, const char* key, const char* value) {
  auto& request = *static_cast<HttpRequest*>(to);
  if (request.query.size() >= kQueryKeysMax) return MHD_NO;
  const bool is_new = request.query.emplace(key, value == nullptr ? "" : value).second;
  if (!is_new && request.repeated_key.empty()) request.repeated_key = key;
  return MHD_YES;
}

MHD_Result AddHeader(void* to, MHD_ValueKind /*kind*/, const char* key, const char* value) {
  auto& request = *static_cast<HttpRequest*>(to);
  if (::strcasecmp(key, MHD_HTTP_HEADER_AUTHORIZATION) != 0 || value == nullptr) return MHD_YES;
  request.authorization_twice = request.authorization.has_value();
  request.authorization = value;
  return MHD_YES;
}

MHD_Result Send(MHD_Connection* connection, const HttpAnswer& answer) {
  // Copied: the connection may outlive what was made for it.
  const std::unique_ptr<MHD_Response, decltype(&::MHD_destroy_response)> response(
      ::MHD_create_response_from_buffer(answer.body.size(), const_cast<char*>(answer.body.data()),
                                        MHD_RESPMEM_MUST_COPY),
      &::MHD_destroy_response);
  if (response == nullptr) return MHD_NO;
  ::MHD_add_response_header(response.get(), MHD_HTTP_HEADER_CONTENT_TYPE,
                            answer.content_type.c_str());
  for (const auto& [name, value] : answer.headers) {
    ::MHD_add_response_header(response.get(), name.c_str(), value.c_str());
  }
  // libmicrohttpd sends no body in answer to HEAD.
  return ::MHD_queue_response(connection, static_cast<unsigned>(answer.code), response.get());
}

class HttpServerImpl final : public HttpServer {
 public:
  explicit HttpServerImpl(HttpHandler handler) : handler_(std::move(handler)) {}

  ~HttpServerImpl() override {
    // No new connections first, then no answer that is owed: a daemon must not be stopped while one
    // of its connections is put aside.
    std::vector<OwnedFd> sockets;  // Closed when no thread of a daemon's can use them any more.
    for (MHD_Daemon* const daemon : daemons_) sockets.emplace_back(::MHD_quiesce_daemon(daemon));
    {
      std::lock_guard lock(stopping_mutex_);
      stopping_ = true;
    }
    owed_.WaitForNone();
    for (MHD_Daemon* const daemon : daemons_) ::MHD_stop_daemon(daemon);
  }

  absl::Status Listen(const HttpServerOptions& options) {
    NOM_ASSIGN_OR_RETURN(Listener listener, marketd::Listen(options.listen));
    address_ = listener.address;
    for (OwnedFd& socket : listener.sockets) {
      MHD_Daemon* const daemon = ::MHD_start_daemon(
          MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, nullptr, nullptr, &OnAccess,
          this, MHD_OPTION_LISTEN_SOCKET, socket.get(), MHD_OPTION_CONNECTION_LIMIT,
          static_cast<unsigned>(options.connections_max), MHD_OPTION_CONNECTION_TIMEOUT,
          kSilenceMaxSeconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, kRequestBytesMax,
          MHD_OPTION_NOTIFY_COMPLETED, &OnCompleted, nullptr, MHD_OPTION_END);
      if (daemon == nullptr) {
        return absl::UnavailableError(absl::StrCat("cannot serve HTTP on ", address_));
      }
      socket.release();  // The daemon closes it.
      daemons_.push_back(daemon);
    }
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }

 private:
  static MHD_Result OnAccess(void* self, MHD_Connection* connection, const char* url,
                             const char* method, const char* /*version*/, const char* /*data*/,
                             size_t* data_size, void** state) {
    auto& server = *static_cast<HttpServerImpl*>(self);
    if (*state == nullptr) {  // Headers have come; a body may follow.
      *state = new std::shared_ptr<Exchange>(std::make_shared<Exchange>(connection, &server.owed_));
      return MHD_YES;
    }
    if (*data_size != 0) return MHD_NO;  // Nobody has anything to tell us.
    const std::shared_ptr<Exchange> exchange = *static_cast<std::shared_ptr<Exchange>*>(*state);
    if (!exchange->asked) {
      exchange->asked = true;
      const absl::string_view verb = method;
      if (verb != MHD_HTTP_METHOD_GET && verb != MHD_HTTP_METHOD_HEAD) {
        return Send(connection, {.code = MHD_HTTP_METHOD_NOT_ALLOWED,
                                 .body = "GET or HEAD\n",
                                 .headers = {{"Allow", "GET, HEAD"}}});
      }
      HttpRequest request{.path = url};
      const int arguments =
          ::MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, &AddArgument, &request);
      if (arguments > static_cast<int>(kQueryKeysMax)) {
        return Send(connection,
                    {.code = MHD_HTTP_BAD_REQUEST, .body = "too many keys in the query\n"});
      }
      ::MHD_get_connection_values(connection, MHD_HEADER_KIND, &AddHeader, &request);
      if (!server.Owe()) {
        return Send(connection, {.code = MHD_HTTP_SERVICE_UNAVAILABLE, .body = "shutting down\n"});
      }
      server.handler_(std::move(request),
                      [exchange](HttpAnswer answer) { exchange->Answer(std::move(answer)); });
    }
    const std::optional<HttpAnswer> answer = exchange->TakeOrSuspend();
    return answer.has_value() ? Send(connection, *answer) : MHD_YES;
  }

  static void OnCompleted(void* /*unused*/, MHD_Connection* /*connection*/, void** state,
                          MHD_RequestTerminationCode /*why*/) {
    delete static_cast<std::shared_ptr<Exchange>*>(*state);
    *state = nullptr;
  }

  // False once the server is stopping.
  bool Owe() {
    std::lock_guard lock(stopping_mutex_);
    if (stopping_) return false;
    owed_.Add();
    return true;
  }

  const HttpHandler handler_;
  std::string address_;
  std::vector<MHD_Daemon*> daemons_;
  Owed owed_;
  std::mutex stopping_mutex_;
  bool stopping_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                              HttpHandler handler) {
  auto out = std::make_unique<HttpServerImpl>(std::move(handler));
  NOM_RETURN_IF_ERROR(out->Listen(options));
  return out;
}

int HttpCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return MHD_HTTP_OK;
    case absl::StatusCode::kInvalidArgument:
      return MHD_HTTP_BAD_REQUEST;
    case absl::StatusCode::kUnauthenticated:
      return MHD_HTTP_UNAUTHORIZED;
    case absl::StatusCode::kPermissionDenied:
      return MHD_HTTP_FORBIDDEN;
    case absl::StatusCode::kNotFound:
      return MHD_HTTP_NOT_FOUND;
    case absl::StatusCode::kFailedPrecondition:
      return MHD_HTTP_CONFLICT;
    case absl::StatusCode::kResourceExhausted:
      return MHD_HTTP_TOO_MANY_REQUESTS;
    case absl::StatusCode::kUnavailable:
      return MHD_HTTP_SERVICE_UNAVAILABLE;
    default:
      return MHD_HTTP_INTERNAL_SERVER_ERROR;
  }
}

}  // namespace nom::marketd
