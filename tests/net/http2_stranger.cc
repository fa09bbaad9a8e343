// SPDX-License-Identifier: Apache-2.0
#include "tests/net/http2_stranger.h"

#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "absl/strings/string_view.h"
#include "tests/net/sockets.h"

namespace nom::testing {
namespace {

nghttp2_nv Header(const char* name, const std::string& value) {
  return {.name = reinterpret_cast<uint8_t*>(const_cast<char*>(name)),
          .value = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())),
          .namelen = std::strlen(name),
          .valuelen = value.size(),
          .flags = NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

class Http2Stranger::Impl {
 public:
  explicit Impl(const std::string& address) : socket_(ConnectTo(address)) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks,
        [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
           const uint8_t* value, size_t value_size, uint8_t, void* self) {
          if (absl::string_view(reinterpret_cast<const char*>(name), name_size) == "grpc-status") {
            static_cast<Impl*>(self)->status_of_[frame->hd.stream_id].assign(
                reinterpret_cast<const char*>(value), value_size);
          }
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session*, int32_t stream_id, uint32_t, void* self) {
          auto* const me = static_cast<Impl*>(self);
          const auto status = me->status_of_.find(stream_id);
          ++me->endings_[status == me->status_of_.end() ? "reset" : status->second];
          me->bodies_.erase(stream_id);
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
          auto* const me = static_cast<Impl*>(self);
          if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
            ++me->pings_answered_;
          }
          if (frame->hd.type == NGHTTP2_GOAWAY) {
            me->goaway_.assign(reinterpret_cast<const char*>(frame->goaway.opaque_data),
                               frame->goaway.opaque_data_len);
          }
          return 0;
        });
    nghttp2_session_client_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
    if (socket_.fd() >= 0) ::fcntl(socket_.fd(), F_SETFL, O_NONBLOCK);
  }
  ~Impl() { nghttp2_session_del(session_); }

  void BeginCall(const std::string& path, const std::string& authorization, size_t declared,
                 size_t sent) {
    const std::string post = "POST";
    const std::string http = "http";
    const std::string here = "localhost";
    const std::string grpc = "application/grpc";
    const std::string trailers = "trailers";
    std::vector<nghttp2_nv> headers = {Header(":method", post), Header(":scheme", http),
                                       Header(":path", path),   Header(":authority", here),
                                       Header("te", trailers),  Header("content-type", grpc)};
    if (!authorization.empty()) headers.push_back(Header("authorization", authorization));
    nghttp2_data_provider body{};
    body.read_callback = [](nghttp2_session*, int32_t stream_id, uint8_t* to, size_t room,
                            uint32_t*, nghttp2_data_source*, void* self) -> ssize_t {
      return static_cast<Impl*>(self)->ReadBody(stream_id, to, room);
    };
    const int32_t stream_id =
        nghttp2_submit_request(session_, nullptr, headers.data(), headers.size(), &body, nullptr);
    if (stream_id < 0) std::abort();
    std::string& bytes = bodies_[stream_id].prefix;
    bytes.push_back('\0');  // Not compressed; then the length, big-endian.
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<char>((declared >> shift) & 0xff));
    }
    bodies_[stream_id].left = sent;
  }

  void Ping() { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }

  bool Pump(int ms) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
    while (!over_ && std::chrono::steady_clock::now() < end) {
      Send();
      pollfd poll{.fd = socket_.fd(), .events = POLLIN, .revents = 0};
      if (!out_.empty()) poll.events |= POLLOUT;
      ::poll(&poll, 1, 10);
      if ((poll.revents & (POLLIN | POLLHUP | POLLERR)) != 0) Receive();
    }
    return !over_;
  }

  size_t streams_open() const { return bodies_.size(); }
  size_t body_bytes_sent() const { return body_bytes_sent_; }
  int pings_answered() const { return pings_answered_; }
  const std::map<std::string, int>& endings() const { return endings_; }
  const std::string& goaway() const { return goaway_; }

 private:
  struct Body {
    std::string prefix;
    size_t left = 0;  // After the prefix.
  };

  ssize_t ReadBody(int32_t stream_id, uint8_t* to, size_t room) {
    const auto found = bodies_.find(stream_id);
    if (found == bodies_.end()) return NGHTTP2_ERR_DEFERRED;
    Body& body = found->second;
    const size_t from_prefix = std::min(room, body.prefix.size());
    std::memcpy(to, body.prefix.data(), from_prefix);
    body.prefix.erase(0, from_prefix);
    const size_t filler = std::min(room - from_prefix, body.left);
    std::memset(to + from_prefix, 'x', filler);
    body.left -= filler;
    body_bytes_sent_ += from_prefix + filler;
    if (from_prefix + filler == 0) return NGHTTP2_ERR_DEFERRED;  // The rest never comes.
    return static_cast<ssize_t>(from_prefix + filler);
  }

  void Send() {
    while (out_.size() < size_t{1} << 20) {
      const uint8_t* bytes = nullptr;
      const ssize_t n = nghttp2_session_mem_send(session_, &bytes);
      if (n <= 0) break;
      out_.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(n));
    }
    if (out_.empty()) return;
    const ssize_t n = ::send(socket_.fd(), out_.data(), out_.size(), MSG_NOSIGNAL);
    if (n > 0) out_.erase(0, static_cast<size_t>(n));
    if (n < 0 && errno != EAGAIN) over_ = true;
  }

  void Receive() {
    uint8_t buffer[65536];
    const ssize_t n = ::recv(socket_.fd(), buffer, sizeof buffer, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) over_ = true;
    if (n > 0 && nghttp2_session_mem_recv(session_, buffer, static_cast<size_t>(n)) < 0) {
      over_ = true;
    }
  }

  const Socket socket_;
  nghttp2_session* session_ = nullptr;
  std::string out_;
  std::map<int32_t, Body> bodies_;
  std::map<int32_t, std::string> status_of_;
  std::map<std::string, int> endings_;
  std::string goaway_;
  size_t body_bytes_sent_ = 0;
  int pings_answered_ = 0;
  bool over_ = false;
};

Http2Stranger::Http2Stranger(const std::string& address) : impl_(std::make_unique<Impl>(address)) {}
Http2Stranger::~Http2Stranger() = default;
void Http2Stranger::BeginCall(const std::string& path, const std::string& authorization,
                              size_t declared_bytes, size_t sent_bytes) {
  impl_->BeginCall(path, authorization, declared_bytes, sent_bytes);
}
void Http2Stranger::Ping() { impl_->Ping(); }
bool Http2Stranger::Pump(int ms) { return impl_->Pump(ms); }
size_t Http2Stranger::streams_open() const { return impl_->streams_open(); }
size_t Http2Stranger::body_bytes_sent() const { return impl_->body_bytes_sent(); }
int Http2Stranger::pings_answered() const { return impl_->pings_answered(); }
const std::map<std::string, int>& Http2Stranger::endings() const { return impl_->endings(); }
const std::string& Http2Stranger::goaway() const { return impl_->goaway(); }

}  // namespace nom::testing
