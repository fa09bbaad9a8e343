// SPDX-License-Identifier: Apache-2.0
#include "tests/service/marketd_process.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace nom::testing {
namespace {

constexpr auto kStartTimeout = std::chrono::seconds(60);
constexpr auto kCallTimeout = std::chrono::seconds(60);

// Starts a program with its output in a file. -1 if it can't be.
pid_t Spawn(const std::vector<std::string>& arguments, const std::string& output) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  const int fd = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0 || ::dup2(fd, 1) < 0 || ::dup2(fd, 2) < 0) ::_exit(127);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

Exit ExitOf(int status) {
  Exit out;
  if (WIFEXITED(status)) out.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) out.signal = WTERMSIG(status);
  return out;
}

}  // namespace

TempDir::TempDir() {
  std::string pattern = ::testing::TempDir() + "nom-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::Write(const std::string& name, const std::string& text) const {
  const std::string path = File(name);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  ::chmod(path.c_str(), 0600);
  return path;
}

std::string ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Exit RunToEnd(const std::vector<std::string>& arguments) {
  const TempDir dir;
  const std::string output = dir.File("output");
  const pid_t pid = Spawn(arguments, output);
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid) return {.code = 127, .signal = 0, .out = ""};
  Exit out = ExitOf(status);
  out.out = ReadWholeFile(output);
  return out;
}

std::string SampleConfig(const TempDir& dir) {
  dir.Write("token", absl::StrCat(kOperatorToken, "\n"));
  return absl::StrCat(R"(listen: 127.0.0.1:0
plaintext: true
metrics_listen: 127.0.0.1:0
ledger: )",
                      dir.File("ledger.sqlite"), R"(
operator_token_file: )",
                      dir.File("token"), R"(
hosts:
  - id: sim
    kind: simulated
    guests_bid: false
    period_ms: 1000
    resources:
      - kind: memory
        unit_size: 1048576
        capacity_units: 64
        rule: uniform_price/1
        reserve_unit_price_microcredits: 10
      - kind: cpu
        unit_size: 10
        capacity_units: 100
        rule: uniform_price/1
        reserve_unit_price_microcredits: 20
)");
}

MarketdProcess::MarketdProcess(const TempDir& dir, const std::string& config)
    : dir_(dir), config_path_(dir.Write("marketd.yaml", config)) {}

MarketdProcess::~MarketdProcess() {
  if (running()) Kill();
}

absl::Status MarketdProcess::Start() {
  const std::string ready_file = dir_.File("ready");
  ::unlink(ready_file.c_str());
  pid_ = Spawn({NOM_MARKETD, "--config", config_path_, "--ready-file", ready_file},
               dir_.File("output"));
  if (pid_ < 0) return absl::InternalError("fork failed");
  const auto give_up = std::chrono::steady_clock::now() + kStartTimeout;
  while (::access(ready_file.c_str(), R_OK) != 0) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return absl::InternalError(
          absl::StrCat("marketd ended with code ", ExitOf(status).code, ": ", Output()));
    }
    if (std::chrono::steady_clock::now() > give_up) {
      Kill();
      return absl::DeadlineExceededError(absl::StrCat("marketd is not ready: ", Output()));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const std::vector<std::string> lines = absl::StrSplit(ReadWholeFile(ready_file), '\n');
  for (const std::string& line : lines) {
    const std::pair<std::string, std::string> field = absl::StrSplit(line, absl::MaxSplits('=', 1));
    if (field.first == "grpc") grpc_address_ = field.second;
    if (field.first == "metrics") metrics_address_ = field.second;
  }
  return absl::OkStatus();
}

void MarketdProcess::Signal(int signal) const {
  if (running()) ::kill(pid_, signal);
}

Exit MarketdProcess::Wait() {
  int status = 0;
  if (!running() || ::waitpid(pid_, &status, 0) != pid_) return {};
  pid_ = -1;
  Exit out = ExitOf(status);
  out.out = Output();
  return out;
}

Exit MarketdProcess::Terminate() {
  Signal(SIGTERM);
  return Wait();
}

void MarketdProcess::Kill() {
  Signal(SIGKILL);
  Wait();
}

std::string MarketdProcess::Output() const { return ReadWholeFile(dir_.File("output")); }

Client::Client(const std::string& address, std::string token_text,
               const std::shared_ptr<grpc::ChannelCredentials>& credentials,
               const std::string& server_name)
    : token(std::move(token_text)) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Tests restart servers: don't wait long to try again. GRPC_ARG_MIN_RECONNECT_BACKOFF_MS stays as
  // it is: it bounds one attempt, which takes long on a busy computer.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
  // A window that stays as it is: a test that reads nothing is to be a slow reader.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  if (!server_name.empty()) arguments.SetSslTargetNameOverride(server_name);
  channel = grpc::CreateCustomChannel(address, credentials, arguments);
  market = nom::market::v1::MarketService::NewStub(channel);
  operators = nom::operators::v1::OperatorService::NewStub(channel);
}

std::unique_ptr<grpc::ClientContext> Client::Context() const {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  if (!token.empty()) context->AddMetadata("authorization", "Bearer " + token);
  return context;
}

}  // namespace nom::testing
