#include "marketd/metrics/scrape_server.h"

#include <microhttpd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "marketd/base/listener.h"
#include "marketd/base/status.h"

namespace nom::marketd {
namespace {

constexpr unsigned kSilenceMaxSeconds = 5;  // Within a request or an answer, and between two.
constexpr size_t kRequestBytesMax = 8 << 10;

using Response = std::unique_ptr<MHD_Response, decltype(&::MHD_destroy_response)>;

Response NewResponse(const std::string& body, const char* type) {
  // Copied: the connection may outlive what was rendered for it.
  Response out(::MHD_create_response_from_buffer(body.size(), const_cast<char*>(body.data()),
                                                 MHD_RESPMEM_MUST_COPY),
               &::MHD_destroy_response);
  if (out != nullptr) ::MHD_add_response_header(out.get(), MHD_HTTP_HEADER_CONTENT_TYPE, type);
  return out;
}

class ScrapeServerImpl final : public ScrapeServer {
 public:
  explicit ScrapeServerImpl(std::function<std::string()> text) : text_(std::move(text)) {}
  ~ScrapeServerImpl() override {
    for (MHD_Daemon* const daemon : daemons_) ::MHD_stop_daemon(daemon);
  }

  absl::Status Listen(const std::string& listen, int connections_max) {
    NOM_ASSIGN_OR_RETURN(Listener listener, marketd::Listen(listen));
    address_ = listener.address;
    for (OwnedFd& socket : listener.sockets) {
      MHD_Daemon* const daemon = ::MHD_start_daemon(
          MHD_USE_EPOLL_INTERNAL_THREAD, 0, nullptr, nullptr, &Answer, this,
          MHD_OPTION_LISTEN_SOCKET, socket.get(), MHD_OPTION_CONNECTION_LIMIT,
          static_cast<unsigned>(connections_max), MHD_OPTION_CONNECTION_TIMEOUT, kSilenceMaxSeconds,
          MHD_OPTION_CONNECTION_MEMORY_LIMIT, kRequestBytesMax, MHD_OPTION_END);
      if (daemon == nullptr) {
        return absl::UnavailableError(absl::StrCat("cannot serve metrics on ", address_));
      }
      socket.release();  // MHD_stop_daemon closes it.
      daemons_.push_back(daemon);
    }
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }

 private:
  static MHD_Result Answer(void* self, MHD_Connection* connection, const char* url,
                           const char* method, const char* /*version*/, const char* /*data*/,
                           size_t* data_size, void** seen) {
    if (*seen == nullptr) {  // Headers have come; a body may follow.
      *seen = self;
      return MHD_YES;
    }
    if (*data_size != 0) return MHD_NO;  // Nobody has anything to tell us.
    const absl::string_view verb = method;
    unsigned code = MHD_HTTP_OK;
    std::string body;
    if (absl::string_view(url) != "/metrics") {
      code = MHD_HTTP_NOT_FOUND;
      body = "there is /metrics and nothing else\n";
    } else if (verb != MHD_HTTP_METHOD_GET && verb != MHD_HTTP_METHOD_HEAD) {
      code = MHD_HTTP_METHOD_NOT_ALLOWED;
      body = "GET or HEAD\n";
    } else {
      body = static_cast<ScrapeServerImpl*>(self)->text_();
    }
    const Response response =
        NewResponse(body, code == MHD_HTTP_OK ? "text/plain; version=0.0.4; charset=utf-8"
                                              : "text/plain; charset=utf-8");
    if (response == nullptr) return MHD_NO;
    return ::MHD_queue_response(connection, code, response.get());  // No body for HEAD.
  }

  const std::function<std::string()> text_;
  std::string address_;
  std::vector<MHD_Daemon*> daemons_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ScrapeServer>> ScrapeServer::Start(
    const std::string& listen, int connections_max, std::function<std::string()> text) {
  auto out = std::make_unique<ScrapeServerImpl>(std::move(text));
  NOM_RETURN_IF_ERROR(out->Listen(listen, connections_max));
  return out;
}

}  // namespace nom::marketd
