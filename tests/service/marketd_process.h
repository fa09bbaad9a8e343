// SPDX-License-Identifier: Apache-2.0
// A real marketd in a directory of its own, on ports that the system chooses.

#ifndef TESTS_SERVICE_MARKETD_PROCESS_H_
#define TESTS_SERVICE_MARKETD_PROCESS_H_

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "nom/market/v1/market.grpc.pb.h"
#include "nom/operators/v1/operators.grpc.pb.h"

namespace nom::testing {

inline constexpr char kOperatorToken[] = "operator-token-of-the-tests";

// A directory under the test's temporary one; removed with its contents.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  // Writes a file with mode 0600; its path.
  std::string Write(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

std::string ReadWholeFile(const std::string& path);

// What a program did.
struct Exit {
  int code = -1;    // Unless a signal ended it.
  int signal = 0;   // 0: it ended itself.
  std::string out;  // stdout and stderr.
};

// Runs a program to its end. Errors in starting it are exit code 127.
Exit RunToEnd(const std::vector<std::string>& arguments);

// The configuration that tests start from: one simulated host "sim" with 64 units of memory at a
// reserve of 10 micro-credits and 100 units of cpu at 20, rounds of 1 s. Pieces are replaced by
// tests that want something else.
std::string SampleConfig(const TempDir& dir);

class MarketdProcess {
 public:
  // The files that SampleConfig names are made in `dir`, which must outlive this.
  explicit MarketdProcess(const TempDir& dir) : MarketdProcess(dir, SampleConfig(dir)) {}
  MarketdProcess(const TempDir& dir, const std::string& config);
  ~MarketdProcess();  // SIGKILL if it still runs.
  MarketdProcess(const MarketdProcess&) = delete;
  MarketdProcess& operator=(const MarketdProcess&) = delete;

  // Starts it and waits until it is ready. Errors: INTERNAL with its output if it ended first.
  // May be called again after it has ended.
  absl::Status Start();

  void Signal(int signal) const;
  // Waits for its end.
  Exit Wait();
  Exit Terminate();
  void Kill();  // SIGKILL, and waits.

  bool running() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }
  const std::string& grpc_address() const { return grpc_address_; }
  const std::string& metrics_address() const { return metrics_address_; }
  std::string Output() const;

 private:
  const TempDir& dir_;
  const std::string config_path_;
  pid_t pid_ = -1;
  std::string grpc_address_;
  std::string metrics_address_;
};

// A connection of its own (not one shared behind the caller's back), and both services on it.
struct Client {
  explicit Client(const std::string& address, std::string token = kOperatorToken,
                  const std::shared_ptr<grpc::ChannelCredentials>& credentials =
                      grpc::InsecureChannelCredentials(),
                  const std::string& server_name = "");

  // A context with the token and a deadline that only a hang would reach.
  std::unique_ptr<grpc::ClientContext> Context() const;

  std::string token;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<nom::market::v1::MarketService::Stub> market;
  std::unique_ptr<nom::operators::v1::OperatorService::Stub> operators;
};

}  // namespace nom::testing

#endif  // TESTS_SERVICE_MARKETD_PROCESS_H_
