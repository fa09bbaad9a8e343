// SPDX-License-Identifier: Apache-2.0
// What it takes to tell many watchers, by marketd itself, beside gRPC's callback server in the same
// run and with the same client.
//
// usage: marketd_watch_bench [NAME...]: news, crowd, storm, ten_thousand (by its name alone)

#include <grpcpp/grpcpp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "bench/marketd/callback_server.h"
#include "tests/net/http_get.h"
#include "tests/service/market_fixture.h"

namespace nom::bench {
namespace {

namespace market_pb = nom::market::v1;
using testing::Client;
using Stopwatch = std::chrono::steady_clock;

constexpr int kStreamsPerConnection = 100;
constexpr int kNews = 11;

void Must(bool good, const std::string& what) {
  if (good) return;
  std::fprintf(stderr, "bench: %s\n", what.c_str());
  std::abort();
}

double Seconds(Stopwatch::duration d) { return std::chrono::duration<double>(d).count(); }
double Median(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return samples[samples.size() / 2];
}

// User and system time of a process so far, in seconds; and its resident memory in bytes.
double CpuOf(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::stringstream text;
  text << file.rdbuf();
  const std::string all = text.str();
  const std::vector<std::string> fields = absl::StrSplit(all.substr(all.rfind(')') + 2), ' ');
  return static_cast<double>(std::atol(fields[11].c_str()) + std::atol(fields[12].c_str())) /
         static_cast<double>(sysconf(_SC_CLK_TCK));
}
double MemoryOf(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/statm"));
  int64_t size = 0;
  int64_t resident = 0;
  file >> size >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// Streams to one server, and when all of them knew what.
class Watchers {
 public:
  Watchers(const std::string& address, const std::string& token, int count) : count_(count) {
    for (int i = 0; i < count; ++i) {
      if (i % kStreamsPerConnection == 0) {
        connections_.push_back(std::make_unique<Client>(address, token));
      }
      streams_.push_back(std::make_unique<Stream>(*this, *connections_.back()));
    }
  }
  ~Watchers() {
    for (auto& stream : streams_) stream->Cancel();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return done_ == count_; });
  }

  // Waits until each was told that `available` is there.
  void WaitForAll(int64_t available) {
    std::unique_lock lock(mutex_);
    wanted_ = available;
    Recount();
    changed_.wait(lock, [this] { return have_ == count_; });
  }
  int64_t responses() const { return responses_; }
  size_t bytes() const { return bytes_; }

 private:
  class Stream final : public grpc::ClientReadReactor<market_pb::WatchResponse> {
   public:
    Stream(Watchers& all, const Client& client) : all_(all) {
      context_.AddMetadata("authorization", "Bearer " + client.token);
      client.market->async()->Watch(&context_, &request_, this);
      StartRead(&response_);
      StartCall();
    }
    void OnReadDone(bool ok) override {
      if (!ok) return;
      all_.OnResponse(*this, response_);
      response_.Clear();
      StartRead(&response_);
    }
    void OnDone(const grpc::Status&) override {
      std::lock_guard lock(all_.mutex_);
      ++all_.done_;
      all_.changed_.notify_all();
    }
    void Cancel() { context_.TryCancel(); }

    int64_t available = -1;  // Guarded by the mutex of all.

   private:
    Watchers& all_;
    grpc::ClientContext context_;
    market_pb::WatchRequest request_;
    market_pb::WatchResponse response_;
  };

  void OnResponse(Stream& stream, const market_pb::WatchResponse& response) {
    ++responses_;
    bytes_ = response.ByteSizeLong();
    if (response.accounts_size() == 0) return;
    std::lock_guard lock(mutex_);
    stream.available = response.accounts(0).available_microcredits();
    if (stream.available != wanted_) return;
    if (++have_ == count_) changed_.notify_all();
  }
  void Recount() {
    have_ = static_cast<int>(std::count_if(streams_.begin(), streams_.end(), [this](const auto& s) {
      return s->available == wanted_;
    }));
  }

  const int count_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t wanted_ = -2;
  int have_ = 0;
  int done_ = 0;
  std::atomic<int64_t> responses_{0};
  std::atomic<size_t> bytes_{0};
  std::vector<std::unique_ptr<Client>> connections_;
  std::vector<std::unique_ptr<Stream>> streams_;
};

// What a server took to tell all.
struct Told {
  double until_the_last = 0;    // Median of news, seconds.
  double cpu_of_a_million = 0;  // Deliveries, by the server, seconds.
  double memory_of_one = 0;     // Idle watcher, bytes.
  double storm = 0;             // Until all had their first response, seconds.
  size_t bytes = 0;             // Of the last response.
};

// `start` is what the account has; each news adds one.
Told Measure(const std::string& address, const std::string& token, pid_t server, int watchers,
             int64_t start) {
  const Client op(address);
  Told told;
  const double memory = MemoryOf(server);
  const auto begin = Stopwatch::now();
  Watchers all(address, token, watchers);
  all.WaitForAll(start);
  told.storm = Seconds(Stopwatch::now() - begin);
  told.memory_of_one = (MemoryOf(server) - memory) / watchers;
  std::vector<double> took;
  const double cpu = CpuOf(server);
  const int64_t responses = all.responses();
  for (int i = 1; i <= kNews; ++i) {
    const auto then = Stopwatch::now();
    const grpc::Status status =
        testing::Deposit(op, "alice", 1, absl::StrCat("news-", watchers, "-", i));
    Must(status.ok(), status.error_message());
    all.WaitForAll(start + i);
    took.push_back(Seconds(Stopwatch::now() - then));
  }
  told.cpu_of_a_million =
      (CpuOf(server) - cpu) * 1e6 / static_cast<double>(all.responses() - responses);
  told.until_the_last = Median(took);
  told.bytes = all.bytes();
  return told;
}

// marketd with rounds so long that nothing is news but what is asked for.
class Marketd {
 public:
  Marketd()
      : process_(dir_, absl::StrReplaceAll(
                           testing::SampleConfig(dir_),
                           {{"period_ms: 1000", "period_ms: 3600000\n    guests_max: 8000"},
                            {"capacity_units: 64", "capacity_units: 1000000"},
                            {"capacity_units: 100\n", "capacity_units: 1000000\n"}}) +
                           "limits: {watches_max: 20000, watches_per_tenant_max: 20000,"
                           " connections_max: 20000}\n") {
    Must(process_.Start().ok(), process_.Output());
    const Client op(address());
    Must(testing::CreateTenant(op, "alice", "t", &token_).ok(), "no tenant");
    Must(testing::Deposit(op, "alice", 1'000, "d").ok(), "no deposit");
  }
  const std::string& address() const { return process_.grpc_address(); }
  const std::string& token() const { return token_; }
  pid_t pid() const { return process_.pid(); }
  int64_t Conflated() const {
    const std::string all = testing::HttpGet(process_.metrics_address(), "/metrics");
    const std::string name = "\nnom_market_watch_conflated_total ";
    const size_t at = all.find(name);
    return at == std::string::npos ? -1 : std::atol(all.c_str() + at + name.size());
  }
  // Guests of another tenant.
  void AdmitOthers(int guests) {
    const Client op(address());
    std::string token;
    Must(testing::CreateTenant(op, "bob", "t2", &token).ok(), "no tenant");
    Must(testing::Deposit(op, "bob", 1'000'000'000'000, "d2").ok(), "no deposit");
    std::vector<std::thread> threads;
    std::atomic<int> next{0};
    for (int t = 0; t < 32; ++t) {
      threads.emplace_back([&] {
        for (int i = next++; i < guests; i = next++) {
          uint64_t guest_id = 0;
          const grpc::Status status =
              testing::Admit(op, testing::AdmitRequest("bob", absl::StrCat("g", i)), &guest_id);
          Must(status.ok(), status.error_message());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

 private:
  testing::TempDir dir_;
  testing::MarketdProcess process_;
  std::string token_;
};

Told MeasurePeer(const std::string& self, int watchers, size_t bytes) {
  const testing::TempDir dir;
  const std::string ready = dir.File("ready");
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::execl(self.c_str(), self.c_str(), "--callback-server", ready.c_str(),
            absl::StrCat(bytes).c_str(), nullptr);
    std::abort();
  }
  while (::access(ready.c_str(), R_OK) != 0) ::usleep(1'000);
  const Told told = Measure(testing::ReadWholeFile(ready), "token", pid, watchers, 0);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return told;
}

void Print(const std::string& what, double figure, double peer, const char* unit,
           const std::string& goal) {
  std::printf("%-48s %.1f %s; callback server %.1f: %.2f of it  [goal: %s]\n", what.c_str(), figure,
              unit, peer, figure / peer, goal.c_str());
}

void MeasureNews(const std::string& self, int watchers) {
  const Marketd marketd;
  const Told told = Measure(marketd.address(), marketd.token(), marketd.pid(), watchers, 1'000);
  const Told peer = MeasurePeer(self, watchers, told.bytes);
  const std::string to = absl::StrCat(watchers, " watchers");
  Print(absl::StrCat("news to the last of ", to), told.until_the_last * 1e3,
        peer.until_the_last * 1e3, "ms", "0.6 of it");
  Print(absl::StrCat("server's CPU a million deliveries, ", to), told.cpu_of_a_million,
        peer.cpu_of_a_million, "s", "0.65 of it");
  Print(absl::StrCat("memory of an idle watcher of ", to), told.memory_of_one / 1024,
        peer.memory_of_one / 1024, "KiB", "18 KiB multiplexed");
}

void MeasureCrowd() {
  Marketd marketd;
  const Told alone = Measure(marketd.address(), marketd.token(), marketd.pid(), 500, 1'000);
  marketd.AdmitOthers(5'000);
  const Client op(marketd.address());
  Must(testing::Deposit(op, "alice", 1'000 - kNews, "level").ok(), "no deposit");
  const int64_t has = 2'000;
  Watchers all(marketd.address(), marketd.token(), 500);
  all.WaitForAll(has);
  std::vector<double> took;
  const double cpu = CpuOf(marketd.pid());
  const int64_t responses = all.responses();
  for (int i = 1; i <= kNews; ++i) {
    const auto then = Stopwatch::now();
    Must(testing::Deposit(op, "alice", 1, absl::StrCat("crowd-", i)).ok(), "no deposit");
    all.WaitForAll(has + i);
    took.push_back(Seconds(Stopwatch::now() - then));
  }
  const double million =
      (CpuOf(marketd.pid()) - cpu) * 1e6 / static_cast<double>(all.responses() - responses);
  std::printf(
      "%-48s %.1f ms, %.1f s of CPU a million; without them %.1f ms, %.1f s: %.2f of it"
      "  [goal: 25 ms, 1.3 of it]\n",
      "500 watchers beside 5,000 guests of others", Median(took) * 1e3, million,
      alone.until_the_last * 1e3, alone.cpu_of_a_million, Median(took) / alone.until_the_last);
}

void MeasureStorm(const std::string& self) {
  double times[2] = {};
  double peers[2] = {};
  int64_t conflated = 0;
  for (int i = 0; i < 2; ++i) {
    const Marketd marketd;
    const int watchers = 500 << i;
    const Told told = Measure(marketd.address(), marketd.token(), marketd.pid(), watchers, 1'000);
    times[i] = told.storm;
    conflated += marketd.Conflated();
    peers[i] = MeasurePeer(self, watchers, told.bytes).storm;
  }
  Print("storm: 1,000 watchers until each was told", times[1] * 1e3, peers[1] * 1e3, "ms",
        "linear");
  std::printf("%-48s %.2f times 500's (callback server %.2f); conflated %lld  [goal: 2, 0]\n",
              "storm: 1,000 watchers", times[1] / times[0], peers[1] / peers[0],
              static_cast<long long>(conflated));
}

int Run(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (argc == 4 && std::string(argv[1]) == "--callback-server") {
    RunCallbackServer(argv[2], static_cast<size_t>(std::atol(argv[3])));
  }
  const std::string self = "/proc/self/exe";
  const auto wanted = [&](const std::string& name) {
    return argc == 1 || std::find(argv + 1, argv + argc, name) != argv + argc;
  };
  if (wanted("news")) MeasureNews(self, 1'000);
  if (wanted("crowd")) MeasureCrowd();
  if (wanted("storm")) MeasureStorm(self);
  if (argc > 1 && wanted("ten_thousand")) MeasureNews(self, 10'000);
  return 0;
}

}  // namespace
}  // namespace nom::bench

int main(int argc, char** argv) { return nom::bench::Run(argc, argv); }
