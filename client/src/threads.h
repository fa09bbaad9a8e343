// SPDX-License-Identifier: Apache-2.0
// Threads that take no signals: a program's handlers run in its own threads only, and a signal that
// it waits for (sigwait, signalfd) never goes astray. gRPC's threads are started by ours, or while
// SignalsBlocked lives, and inherit the same.

#ifndef CLIENT_SRC_THREADS_H_
#define CLIENT_SRC_THREADS_H_

#include <pthread.h>
#include <signal.h>

#include <thread>
#include <utility>

namespace nom::client {

// Blocks all signals in the calling thread while it lives. Those that the thread itself causes (a
// fault) still end the process.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) {
      sigdelset(&all, fault);
    }
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

template <typename Body>
std::thread StartThread(Body body) {
  const SignalsBlocked blocked;
  return std::thread(std::move(body));
}

}  // namespace nom::client

#endif  // CLIENT_SRC_THREADS_H_
