// SPDX-License-Identifier: Apache-2.0
// The HTTP server as strangers use it: forms, methods, answers that come later, an end amid them.

#include "marketd/http/server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/net/http_get.h"
#include "tests/net/sockets.h"

namespace nom::marketd {
namespace {

using ::nom::testing::ConnectTo;
using ::nom::testing::Http;
using ::nom::testing::Socket;
using ::testing::HasSubstr;
using ::testing::Not;

std::unique_ptr<HttpServer> Start(HttpHandler handler) {
  auto server = HttpServer::Start({.listen = "127.0.0.1:0"}, std::move(handler));
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

TEST(HttpServerTest, ARequestComesWithItsPartsAndTheAnswerGoesWithItsHeaders) {
  HttpRequest seen;
  const auto server = Start([&](const HttpRequest& request, const HttpDone& done) {
    seen = request;
    done({.code = 200, .content_type = "text/x", .body = "hello", .headers = {{"X-Own", "1"}}});
  });
  const auto answer = Http("GET", server->address(), "/a%20b?x=1&y=%26&x=2");
  EXPECT_EQ(answer.code, 200);
  EXPECT_EQ(answer.body, "hello");
  EXPECT_THAT(answer.head, HasSubstr("Content-Type: text/x"));
  EXPECT_THAT(answer.head, HasSubstr("X-Own: 1"));
  EXPECT_EQ(seen.path, "/a b");
  EXPECT_EQ(seen.query["x"], "1");
  EXPECT_EQ(seen.query["y"], "&");
  EXPECT_EQ(seen.repeated_key, "x");
  EXPECT_FALSE(seen.authorization.has_value());
  EXPECT_EQ(Http("HEAD", server->address(), "/").body, "");
  EXPECT_EQ(Http("HEAD", server->address(), "/").code, 200);
}

TEST(HttpServerTest, WhatDoesNotReadIsRefusedBeforeTheHandler) {
  int calls = 0;
  const auto server = Start([&](const HttpRequest&, const HttpDone& done) {
    ++calls;
    done({});
  });
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "BREW"}) {
    const auto answer = Http(method, server->address(), "/");
    EXPECT_EQ(answer.code, 405) << method;
    EXPECT_THAT(answer.head, HasSubstr("Allow: GET, HEAD")) << method;
  }
  std::string many = "/?k0=";
  for (int i = 1; i < 100; ++i) many += "&k" + std::to_string(i) + "=";
  EXPECT_EQ(Http("GET", server->address(), many).code, 400);
  // A request that never fits into what is read of one.
  EXPECT_NE(Http("GET", server->address(), "/" + std::string(20'000, 'a')).code, 200);
  EXPECT_EQ(calls, 0);
}

std::string Ask(const std::string& address, const std::string& text) {
  const Socket socket = ConnectTo(address);
  EXPECT_EQ(::send(socket.fd(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
  std::string out;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(socket.fd(), buffer, sizeof(buffer))) > 0;) {
    out.append(buffer, static_cast<size_t>(n));
  }
  return out;
}

TEST(HttpServerTest, ACredentialIsOneHeaderAndTwoAreSeen) {
  HttpRequest seen;
  const auto server = Start([&](const HttpRequest& request, const HttpDone& done) {
    seen = request;
    done({});
  });
  Ask(server->address(), "GET / HTTP/1.0\r\naUTHORIZATION: Bearer x\r\n\r\n");
  EXPECT_EQ(seen.authorization, "Bearer x");
  EXPECT_FALSE(seen.authorization_twice);
  Ask(server->address(), "GET / HTTP/1.0\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n");
  EXPECT_TRUE(seen.authorization_twice);
}

TEST(HttpServerTest, AnAnswerMayComeLaterWhileOthersAreServed) {
  std::promise<HttpDone> asked;
  const auto server = Start([&](const HttpRequest& request, const HttpDone& done) {
    if (request.path == "/later") {
      asked.set_value(done);
    } else {
      done({.body = "now"});
    }
  });
  auto later =
      std::async(std::launch::async, [&] { return Http("GET", server->address(), "/later").body; });
  const HttpDone done = asked.get_future().get();
  EXPECT_EQ(Http("GET", server->address(), "/now").body, "now");
  done({.body = "later"});
  EXPECT_EQ(later.get(), "later");
}

TEST(HttpServerTest, OneWhoLeavesBeforeTheAnswerHarmsNobody) {
  std::promise<HttpDone> asked;
  const auto server = Start([&](const HttpRequest& request, const HttpDone& done) {
    if (request.path == "/later") {
      asked.set_value(done);
    } else {
      done({.body = "now"});
    }
  });
  {
    const Socket socket = ConnectTo(server->address());
    const std::string text = "GET /later HTTP/1.0\r\n\r\n";
    ASSERT_EQ(::send(socket.fd(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
    asked.get_future().get()({.body = std::string(1 << 20, 'x')});
  }
  EXPECT_EQ(Http("GET", server->address(), "/now").body, "now");
}

TEST(HttpServerTest, TheEndWaitsForAnswersThatAreOwed) {
  std::mutex mutex;
  std::vector<HttpDone> owed;
  std::promise<void> all_asked;
  auto server = Start([&](const HttpRequest&, const HttpDone& done) {
    std::lock_guard lock(mutex);
    owed.push_back(done);
    if (owed.size() == 8) all_asked.set_value();
  });
  const std::string address = server->address();
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) callers.emplace_back([&] { Http("GET", address, "/"); });
  all_asked.get_future().wait();
  std::promise<void> ended;
  std::thread end([&] {
    server = nullptr;
    ended.set_value();
  });
  std::future<void> is_ended = ended.get_future();
  for (const HttpDone& done : owed) {
    // Not before the last is given: the answers' connections are put aside.
    EXPECT_EQ(is_ended.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
    done({.body = "late"});
  }
  is_ended.wait();
  end.join();
  for (std::thread& caller : callers) caller.join();
}

TEST(HttpServerTest, CodesStandForErrors) {
  EXPECT_EQ(HttpCodeOf(absl::OkStatus()), 200);
  EXPECT_EQ(HttpCodeOf(absl::InvalidArgumentError("")), 400);
  EXPECT_EQ(HttpCodeOf(absl::UnauthenticatedError("")), 401);
  EXPECT_EQ(HttpCodeOf(absl::PermissionDeniedError("")), 403);
  EXPECT_EQ(HttpCodeOf(absl::NotFoundError("")), 404);
  EXPECT_EQ(HttpCodeOf(absl::ResourceExhaustedError("")), 429);
  EXPECT_EQ(HttpCodeOf(absl::InternalError("")), 500);
}

TEST(HttpServerTest, AnAddressThatIsTakenIsAnError) {
  const auto first = Start([](const HttpRequest&, const HttpDone& done) { done({}); });
  const auto second = HttpServer::Start({.listen = first->address()},
                                        [](const HttpRequest&, const HttpDone& done) { done({}); });
  EXPECT_TRUE(absl::IsUnavailable(second.status())) << second.status();
}

}  // namespace
}  // namespace nom::marketd
