// SPDX-License-Identifier: Apache-2.0
#include "tests/net/forwarder.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <list>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "tests/net/sockets.h"

namespace nom::testing {

class Forwarder::Impl {
 public:
  explicit Impl(std::string target) : target_(std::move(target)), wake_(::eventfd(0, EFD_CLOEXEC)) {
    listener_ = ListenOnLoopback(&address_);
    thread_ = std::thread([this] { Run(); });
  }
  ~Impl() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    Wake();
    thread_.join();
  }

  const std::string& address() const { return address_; }

  void Freeze() {
    std::lock_guard lock(mutex_);
    for (Pair& pair : pairs_) pair.frozen = true;
    Wake();
  }

  int connections() const {
    std::lock_guard lock(mutex_);
    return connections_;
  }

 private:
  struct Pair {
    Socket ends[2];
    bool frozen = false;
    bool over = false;
  };

  void Wake() const {
    const uint64_t one = 1;
    if (::write(wake_.fd(), &one, sizeof one) < 0) return;  // It is awake already.
  }

  // Blocks while the receiver does: good enough for what tests send.
  static bool Pass(const Socket& from, const Socket& to) {
    char buffer[65536];
    const ssize_t got = ::recv(from.fd(), buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    for (ssize_t sent = 0; sent < got;) {
      const ssize_t n =
          ::send(to.fd(), buffer + sent, static_cast<size_t>(got - sent), MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += n;
    }
    return true;
  }

  void Run() {
    for (;;) {
      std::vector<pollfd> polls = {{wake_.fd(), POLLIN, 0}, {listener_.fd(), POLLIN, 0}};
      std::vector<std::pair<Pair*, int>> of;
      {
        std::lock_guard lock(mutex_);
        if (stopping_) return;
        pairs_.remove_if([](const Pair& pair) { return pair.over; });
        for (Pair& pair : pairs_) {
          for (int end = 0; end < 2 && !pair.frozen; ++end) {
            polls.push_back({pair.ends[end].fd(), POLLIN, 0});
            of.emplace_back(&pair, end);
          }
        }
      }
      ::poll(polls.data(), polls.size(), -1);
      uint64_t count = 0;
      if (polls[0].revents != 0 && ::read(wake_.fd(), &count, sizeof count) < 0) return;
      std::lock_guard lock(mutex_);
      for (size_t i = 0; i < of.size(); ++i) {
        const auto [pair, end] = of[i];
        if (polls[i + 2].revents == 0 || pair->frozen || pair->over) continue;
        pair->over = !Pass(pair->ends[end], pair->ends[1 - end]);
      }
      if (polls[1].revents != 0) {
        Socket taken(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
        Socket onward = ConnectTo(target_);
        if (taken.fd() < 0 || onward.fd() < 0) continue;
        ++connections_;
        pairs_.emplace_back();
        pairs_.back().ends[0] = std::move(taken);
        pairs_.back().ends[1] = std::move(onward);
      }
    }
  }

  const std::string target_;
  const Socket wake_;
  std::string address_;
  Socket listener_;
  mutable std::mutex mutex_;
  std::list<Pair> pairs_;
  int connections_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

Forwarder::Forwarder(const std::string& target) : impl_(std::make_unique<Impl>(target)) {}
Forwarder::~Forwarder() = default;
const std::string& Forwarder::address() const { return impl_->address(); }
void Forwarder::Freeze() { impl_->Freeze(); }
int Forwarder::connections() const { return impl_->connections(); }

}  // namespace nom::testing
