// SPDX-License-Identifier: Apache-2.0
// One HTTP request over the loopback, in plain text.

#ifndef TESTS_NET_HTTP_GET_H_
#define TESTS_NET_HTTP_GET_H_

#include <string>

namespace nom::testing {

struct HttpAnswer {
  int code = 0;  // 0: no answer.
  std::string head;
  std::string body;
};

// `address` is "127.0.0.1:port" or "[::1]:port". Waits for the end of the answer.
HttpAnswer Http(const std::string& method, const std::string& address, const std::string& path);

// The body of a GET; empty if it was not answered 200.
std::string HttpGet(const std::string& address, const std::string& path);

}  // namespace nom::testing

#endif  // TESTS_NET_HTTP_GET_H_
