// marketd: flags, signals and the service manager; puts the parts together and takes them apart.

#include <signal.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <fstream>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "marketd/base/clock.h"
#include "marketd/base/status.h"
#include "marketd/config/config.h"
#include "marketd/host/linux/linux_host.h"
#include "marketd/host/nomhv/nomhv_host.h"
#include "marketd/host/simulated/simulated_host.h"
#include "marketd/ledger/sqlite/keep.h"
#include "marketd/ledger/sqlite/sqlite_ledger.h"
#include "marketd/market/clearing.h"
#include "marketd/market/runtime.h"
#include "marketd/metrics/metrics.h"
#include "marketd/server/server.h"
#include "marketd/services/services.h"

namespace nom::marketd {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;
constexpr int kExitDataLoss = 3;

constexpr absl::Duration kFirstTickTimeout = absl::Seconds(30);
constexpr absl::Duration kDrainTimeout = absl::Seconds(5);
constexpr absl::Duration kShutdownTimeout = absl::Milliseconds(500);

// Sent to ourselves when the market can't go on.
constexpr int kFatalSignal = SIGUSR1;

struct Flags {
  std::string config;
  std::string ready_file;
  std::string backup;
  std::string restore;
  bool check = false;
};

void Say(const std::string& what) {
  std::cerr << absl::StrCat("marketd: ", what, "\n") << std::flush;
}

// What the config names and only start-up would find missing.
struct Secrets {
  std::string operator_token;
  std::unique_ptr<TlsMaterial> tls;
};

absl::StatusOr<Secrets> LoadSecrets(const Config& config) {
  Secrets out;
  NOM_ASSIGN_OR_RETURN(out.operator_token, ReadTokenFile(config.operator_token_file));
  if (config.tls.has_value()) {
    NOM_ASSIGN_OR_RETURN(TlsMaterial tls,
                         LoadTls(config.tls->cert, config.tls->key, config.tls->client_ca));
    out.tls = std::make_unique<TlsMaterial>(std::move(tls));
  }
  return out;
}

std::unique_ptr<market::Host> NewHost(const HostConfig& config) {
  switch (config.kind) {
    case HostKind::kNomhv:
      return market::NewNomhvHost({.mailbox_path = config.mailbox,
                                   .image_directory = config.image_directory,
                                   .doorbell_socket = config.doorbell_socket});
    case HostKind::kLinux:
      return market::NewLinuxHost(config.linux_host);
    case HostKind::kSimulated:
      break;
  }
  market::SimulatedHostOptions options;
  options.guests_bid = config.guests_bid;
  for (const market::Resource& resource : config.market.resources) {
    options.capacities.emplace_back(resource.kind, resource.unit_size * resource.capacity_units);
  }
  return std::make_unique<market::SimulatedHost>(std::move(options));
}

// Whole or not at all: whoever waits for the file may read it at once.
absl::Status WriteReadyFile(const std::string& path, const std::string& grpc,
                            const std::string& metrics) {
  const std::string temporary = absl::StrCat(path, ".", ::getpid());
  {
    std::ofstream file(temporary, std::ios::trunc);
    file << "grpc=" << grpc << "\n";
    if (!metrics.empty()) file << "metrics=" << metrics << "\n";
    file << "pid=" << ::getpid() << "\n";
    file.close();
    if (!file) return absl::UnavailableError(absl::StrCat(temporary, ": cannot be written"));
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat(path, ": cannot be written"));
  }
  return absl::OkStatus();
}

// Everything that runs, in the order in which it is made; taken apart the other way round.
class Process {
 public:
  explicit Process(const Config& config) : config_(config), metrics_(NOM_VERSION) {}

  absl::Status Start(const Secrets& secrets) {
    NOM_ASSIGN_OR_RETURN(ledger_, market::OpenSqliteLedger({.path = config_.ledger}));
    timed_ledger_ = metrics_.Timed(*ledger_);
    std::map<market::HostId, market::Host*> hosts;
    for (const HostConfig& host : config_.hosts) {
      hosts_.push_back(NewHost(host));
      hosts[host.market.host_id] = hosts_.back().get();
    }
    hub_ = std::make_unique<WatchHub>(config_.limits.watches_max,
                                      config_.limits.watches_per_tenant_max);
    market::Runtime::Options options;
    options.config = ToMarketConfig(config_);
    options.clear.of_kind = metrics_.Timed(market::ClearFunction(market::ClearByRule));
    options.clear.joint =
        metrics_.Timed(market::JointClearFunction(policies::ClearJointWithin));
    // The first view comes of the first tick: the ledger is open and the engine runs.
    auto ticked = std::make_shared<std::promise<void>>();
    auto ticked_once = std::make_shared<std::once_flag>();
    options.on_view = [hub = hub_.get(), ticked,
                       ticked_once](std::shared_ptr<const market::View> view) {
      hub->OnView(std::move(view));
      std::call_once(*ticked_once, [&] { ticked->set_value(); });
    };
    options.on_fatal = [](const absl::Status& status) {
      Say(absl::StrCat("the market cannot go on: ", status.ToString()));
      ::kill(::getpid(), kFatalSignal);
    };
    NOM_ASSIGN_OR_RETURN(runtime_, market::Runtime::Start(std::move(options), Clock::Real(),
                                                          *timed_ledger_, std::move(hosts)));
    if (ticked->get_future().wait_for(absl::ToChronoNanoseconds(kFirstTickTimeout)) !=
        std::future_status::ready) {
      return absl::UnavailableError("the engine did not tick");
    }
    metrics_.SetSources({.view = [this] { return runtime_->view(); },
                         .counters = [this] { return runtime_->counters(); },
                         .head = [this]() -> absl::StatusOr<market::ChainHead> {
                           NOM_ASSIGN_OR_RETURN(const auto look, ledger_->reader().Look());
                           return look->Head();
                         },
                         .watches =
                             [this] {
                               const WatchCounters counters = hub_->counters();
                               return WatchFigures{.watchers = counters.watchers,
                                                   .responses = counters.responses,
                                                   .conflated = counters.frames_conflated};
                             }});
    services_ = std::make_unique<Services>(
        ServicesOptions{.operator_token = secrets.operator_token,
                        .bids_per_second = config_.limits.bids_per_second,
                        .bids_burst = config_.limits.bids_burst,
                        .clear = market::ClearByRule},
        *runtime_, timed_ledger_->reader(), Clock::Real(), *hub_);
    if (!config_.metrics_listen.empty()) {
      NOM_ASSIGN_OR_RETURN(metrics_address_, metrics_.Serve(config_.metrics_listen));
    }
    ServerOptions server;
    server.listen = config_.listen;
    server.tls = secrets.tls.get();
    server.services = services_->services();
    server.service_names = Services::names();
    server.message_max_bytes = static_cast<int>(config_.limits.message_max_bytes);
    server.reflection = config_.reflection;
    server.on_call_done = [this](absl::string_view method, absl::string_view code,
                                 absl::Duration took) { metrics_.CallDone(method, code, took); };
    NOM_ASSIGN_OR_RETURN(server_, Server::Start(server));
    server_->SetServing(true);
    return absl::OkStatus();
  }

  ~Process() { Stop(); }

  // Tells balancers first, then lets what is in hand finish, then stops the market behind it: the
  // last commit is whole, and who asked for it hears of it.
  void Stop() {
    // Takes its web server up to two seconds to notice, which the rest need not wait for.
    std::thread metrics([this] { metrics_.StopServing(); });
    if (server_ != nullptr) server_->SetServing(false);
    if (services_ != nullptr && !services_->Drain(kDrainTimeout)) {
      Say("calls are still in hand after the time to drain; they are answered UNAVAILABLE");
    }
    if (runtime_ != nullptr) runtime_->Stop();
    if (server_ != nullptr) server_->Shutdown(kShutdownTimeout);
    metrics.join();
    metrics_.SetSources({});
  }

  market::Runtime& runtime() { return *runtime_; }
  const std::string& grpc_address() const { return server_->address(); }
  const std::string& metrics_address() const { return metrics_address_; }

 private:
  const Config& config_;
  Metrics metrics_;
  std::unique_ptr<market::Ledger> ledger_;
  std::unique_ptr<market::Ledger> timed_ledger_;
  std::vector<std::unique_ptr<market::Host>> hosts_;
  std::unique_ptr<WatchHub> hub_;
  std::unique_ptr<market::Runtime> runtime_;
  std::unique_ptr<Services> services_;
  std::string metrics_address_;
  std::unique_ptr<Server> server_;
};

// Until a signal says stop; feeds the service manager's watchdog as long as the engine lives. The
// signal that ended it.
int WaitForEnd(const sigset_t& signals, market::Runtime& runtime) {
  uint64_t watchdog_us = 0;
  const bool has_watchdog = ::sd_watchdog_enabled(0, &watchdog_us) > 0 && watchdog_us > 0;
  const uint64_t pause_us =
      has_watchdog ? std::clamp<uint64_t>(watchdog_us / 3, 1'000, 10'000'000) : 10'000'000;
  const timespec pause = {.tv_sec = static_cast<time_t>(pause_us / 1'000'000),
                          .tv_nsec = static_cast<long>(pause_us % 1'000'000 * 1'000)};
  market::LivenessCheck liveness;
  for (;;) {
    if (has_watchdog && liveness.Alive(runtime.counters())) ::sd_notify(0, "WATCHDOG=1");
    const int signal = ::sigtimedwait(&signals, nullptr, &pause);
    if (signal > 0) return signal;
  }
}

// Exits as Run() does.
int Keep(const Config& config, const Flags& flags) {
  absl::StatusOr<market::ChainHead> head = market::ChainHead();
  if (!flags.backup.empty()) {
    head = market::BackUpLedger(config.ledger, flags.backup);
  } else {
    const auto restored = market::RestoreLedger(flags.restore, config.ledger, Clock::Real().Now());
    if (restored.ok() && !restored->replaced.empty()) {
      Say(absl::StrCat("the ledger that was there is ", restored->replaced, " now"));
    }
    head = restored.ok() ? absl::StatusOr<market::ChainHead>(restored->head) : restored.status();
  }
  if (!head.ok()) {
    Say(std::string(head.status().message()));
    return absl::IsDataLoss(head.status()) ? kExitDataLoss : kExitFailure;
  }
  std::cout << (flags.backup.empty() ? config.ledger : flags.backup)
            << ": proven, head is transaction " << head->transaction_id << " " << head->digest
            << "\n";
  return kExitOk;
}

int Run(const Flags& flags) {
  const absl::StatusOr<Config> config = LoadConfig(flags.config);
  if (!config.ok()) {
    std::cerr << config.status().message() << "\n";
    return kExitUsage;
  }
  if (!flags.backup.empty() || !flags.restore.empty()) return Keep(*config, flags);
  const absl::StatusOr<Secrets> secrets = LoadSecrets(*config);
  if (!secrets.ok()) {
    std::cerr << secrets.status().message() << "\n";
    return kExitUsage;
  }
  if (flags.check) {
    std::cout << flags.config << ": good\n";
    return kExitOk;
  }

  // Before any thread is made, so that all of them inherit the mask and only WaitForEnd sees them.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, kFatalSignal}) sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::umask(0027);  // The ledger holds other people's business.

  Process process(*config);
  if (const absl::Status status = process.Start(*secrets); !status.ok()) {
    Say(absl::StrCat("cannot start: ", status.ToString()));
    // To start again would find the same: somebody has to look, and restore a backup.
    return absl::IsDataLoss(status) ? kExitDataLoss : kExitFailure;
  }
  if (!flags.ready_file.empty()) {
    const absl::Status status =
        WriteReadyFile(flags.ready_file, process.grpc_address(), process.metrics_address());
    if (!status.ok()) {
      Say(std::string(status.message()));
      return kExitFailure;
    }
  }
  std::cout << "marketd " << NOM_VERSION << ": gRPC on " << process.grpc_address();
  if (!process.metrics_address().empty()) {
    std::cout << ", metrics on http://" << process.metrics_address() << "/metrics";
  }
  std::cout << std::endl;
  ::sd_notify(0, "READY=1\nSTATUS=rounds are running");

  const int signal = WaitForEnd(signals, process.runtime());
  ::sd_notify(0, "STOPPING=1");
  if (!flags.ready_file.empty()) ::unlink(flags.ready_file.c_str());
  if (signal == kFatalSignal) {
    // Nothing that was not durable has been told to anybody: to stop here loses nothing.
    ::_exit(kExitFailure);
  }
  // Whoever asks twice does not want to wait.
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  process.Stop();
  Say("stopped");
  return kExitOk;
}

int Main(int argc, char** argv) {
  CLI::App app(
      "The clearing house of nom: collects bids, runs an auction every round, keeps the books.\n\n"
      "Examples:\n"
      "  marketd --check --config /etc/nom/marketd.yaml\n"
      "  marketd --config /etc/nom/marketd.yaml\n"
      "  marketd --config /etc/nom/marketd.yaml --backup market-$(date +%F).sqlite");
  app.name("marketd");
  app.set_version_flag("--version", absl::StrCat("marketd ", NOM_VERSION));
  app.footer(
      "Exit codes: 0 clean end, 1 failure while starting or running, 2 bad usage or "
      "configuration,\n3 a ledger that is damaged or does not add up.\n"
      "SIGTERM or SIGINT: finishes the commit in hand and ends. A second one ends at once.");
  Flags flags;
  app.add_option("--config", flags.config, "The configuration, a YAML file")
      ->required()
      ->type_name("FILE");
  app.add_flag("--check", flags.check, "Only say what is wrong with the configuration");
  CLI::Option* backup =
      app.add_option("--backup", flags.backup,
                     "Only copy the ledger to this new file, proven; a running marketd goes on")
          ->type_name("FILE");
  app.add_option(
         "--restore", flags.restore,
         "Only put this backup, proven, in place of the ledger, which is kept under another "
         "name; marketd must not run")
      ->type_name("FILE")
      ->excludes(backup);
  app.add_option("--ready-file", flags.ready_file,
                 "Written once all is up: grpc=ADDRESS, metrics=ADDRESS, pid=NUMBER")
      ->type_name("FILE");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kExitOk : kExitUsage;
  }
  return Run(flags);
}

}  // namespace
}  // namespace nom::marketd

int main(int argc, char** argv) {
  try {
    return nom::marketd::Main(argc, argv);
  } catch (const std::exception& error) {  // Out of memory, or a promise of a library broken.
    std::fprintf(stderr, "marketd: %s\n", error.what());
    return nom::marketd::kExitFailure;
  }
}
