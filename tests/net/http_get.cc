// SPDX-License-Identifier: Apache-2.0
#include "tests/net/http_get.h"

#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/net/sockets.h"

namespace nom::testing {

HttpAnswer Http(const std::string& method, const std::string& address, const std::string& path) {
  const Socket socket = ConnectTo(address);
  const std::string request =
      absl::StrCat(method, " ", path, " HTTP/1.0\r\nHost: ", address, "\r\n\r\n");
  if (::send(socket.fd(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return {};
  }
  std::string answer;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(socket.fd(), buffer, sizeof(buffer))) > 0;) {
    answer.append(buffer, static_cast<size_t>(n));
  }
  HttpAnswer out;
  const size_t end = answer.find("\r\n\r\n");
  const size_t blank = answer.find(' ');
  if (end == std::string::npos || !absl::SimpleAtoi(answer.substr(blank + 1, 3), &out.code)) {
    return {};
  }
  out.head = answer.substr(0, end);
  out.body = answer.substr(end + 4);
  return out;
}

std::string HttpGet(const std::string& address, const std::string& path) {
  HttpAnswer answer = Http("GET", address, path);
  return answer.code == 200 ? answer.body : "";
}

}  // namespace nom::testing
