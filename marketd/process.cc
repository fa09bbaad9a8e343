// SPDX-License-Identifier: Apache-2.0
#include "marketd/process.h"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cmake/build_info/build_info.h"
#include "marketd/base/clock.h"
#include "marketd/base/listener.h"
#include "marketd/base/log.h"
#include "marketd/base/status.h"
#include "marketd/host/linux/linux_host.h"
#include "marketd/host/nomhv/nomhv_host.h"
#include "marketd/host/simulated/simulated_host.h"
#include "marketd/journal/journal.h"
#include "marketd/ledger/sqlite/archive.h"
#include "marketd/ledger/sqlite/keep.h"
#include "marketd/market/clearing.h"
#include "marketd/page/static_files.h"
#include "marketd/server/self_call.h"

namespace nom::marketd {
namespace {

constexpr absl::Duration kFirstTickTimeout = absl::Seconds(30);
constexpr absl::Duration kDrainTimeout = absl::Seconds(5);
constexpr absl::Duration kShutdownTimeout = absl::Milliseconds(500);

std::unique_ptr<market::Host> NewHost(const HostConfig& config) {
  switch (config.kind) {
    case HostKind::kNomhv:
      return market::NewNomhvHost(config.nomhv_host);
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

// Connections to the metrics port, and to the page: an eighth of the descriptors each, as callers
// come first.
int ScrapersMax() {
  rlimit limit{};
  NOM_CHECK(::getrlimit(RLIMIT_NOFILE, &limit) == 0, "no descriptor limit");
  return static_cast<int>(std::clamp<rlim_t>(limit.rlim_cur / 8, 4, 512));
}

// The C library keeps what was freed for the next time; after a flood there should be none. What
// lies free between other things stays, so only what is new is looked for.
void GiveBackMemory() {
  constexpr size_t kFreedMin = size_t{16} << 20;
  static size_t kept = 0;  // The least that was free since the last time. Called by one thread.
  const size_t free = ::mallinfo2().fordblks;
  kept = std::min(kept, free);
  if (free < kept + kFreedMin) return;
  ::malloc_trim(kFreedMin / 4);
  kept = free;
}

TlsFiles FilesOf(const TlsConfig& tls) {
  return {
      .cert = tls.cert, .key = tls.key, .client_ca = tls.client_ca, .client_crl = tls.client_crl};
}

absl::Status CheckCertificates(const Config& config, const Secrets& secrets) {
  if (!config.tls.has_value() || !secrets.tls.has_value()) return absl::OkStatus();
  return CheckInDate(FilesOf(*config.tls), *secrets.tls, absl::Now());
}

// Whoever starts a market with them, or keeps one, will wonder where its callers are.
void TellOfBadCertificates(const Config& config, const Secrets& secrets) {
  const absl::Status status = CheckCertificates(config, secrets);
  if (status.ok()) return;
  Log(LogLevel::kError, "certificate_out_of_date", {{"msg", status.message()}});
}

// What is old can't be read without its archive; the market goes on all the same.
void TellOfMissingArchive(market::Ledger& ledger) {
  const auto look = ledger.reader().Look(market::kMarketBook);
  if (!look.ok()) return;
  const absl::StatusOr<market::Carried> carried = (*look)->ReadCarried();
  if (!carried.ok() || carried->archive.ok()) return;
  Log(LogLevel::kError, "archive_missing", {{"msg", carried->archive.message()}});
}

}  // namespace

absl::StatusOr<Secrets> LoadSecrets(const Config& config) {
  Secrets out;
  NOM_ASSIGN_OR_RETURN(out.operator_token, ReadTokenFile(config.operator_token_file));
  if (config.tls.has_value()) {
    NOM_ASSIGN_OR_RETURN(out.tls, LoadTls(FilesOf(*config.tls), absl::Now()));
  }
  return out;
}

absl::Status Check(const Config& config) {
  NOM_ASSIGN_OR_RETURN(const Secrets secrets, LoadSecrets(config));
  NOM_RETURN_IF_ERROR(CheckCertificates(config, secrets));
  std::vector<std::string> addresses = {config.listen};
  for (const std::string& address : {config.metrics_listen, config.page_listen}) {
    if (!address.empty()) addresses.push_back(address);
  }
  NOM_RETURN_IF_ERROR(TryListenOnAll(addresses));
  if (!config.page_listen.empty()) {
    const absl::Status files = StaticFiles::Load(config.page_directory).status();
    // A marketd that was built without npm has no page, and says so to whoever looks.
    const bool is_not_installed =
        absl::IsNotFound(files) && config.page_directory == Config().page_directory;
    if (!files.ok() && !is_not_installed) {
      return absl::FailedPreconditionError(absl::StrCat("page_directory: ", files.message()));
    }
  }
  NOM_RETURN_IF_ERROR(market::CheckLedgerPath(config.ledger));
  if (config.retention == absl::InfiniteDuration()) return absl::OkStatus();
  return market::CheckArchivePath(config.archive);
}

Process::Process(Config config, std::function<void(const absl::Status&)> on_fatal)
    : config_(std::move(config)),
      on_fatal_(std::move(on_fatal)),
      metrics_(BuildVersion(), BuildCommit()) {}

Process::~Process() { Stop(); }

absl::Status Process::Start(const Secrets& secrets) {
  NOM_ASSIGN_OR_RETURN(front_door_, FrontDoor::Make(config_.listen));
  NOM_RETURN_IF_ERROR(StartMarket());
  return StartServer(secrets);
}

absl::Status Process::StartMarket() {
  NOM_ASSIGN_OR_RETURN(
      ledger_, market::OpenSqliteLedger(
                   {.path = config_.ledger,
                    .on_checked = [this](const absl::Status& status) { LedgerChecked(status); },
                    .archive_path = config_.archive,
                    .retention = config_.retention}));
  struct stat facts = {};
  if (::stat(config_.ledger.c_str(), &facts) == 0) {
    ledger_device_ = facts.st_dev;
    ledger_inode_ = facts.st_ino;
  }
  TellOfMissingArchive(*ledger_);
  timed_ledger_ = metrics_.Timed(*ledger_);
  std::map<market::HostId, market::Host*> hosts;
  for (const HostConfig& host : config_.hosts) {
    hosts_.push_back(NewHost(host));
    timed_hosts_.push_back(metrics_.Timed(host.market.host_id, *hosts_.back()));
    hosts[host.market.host_id] = timed_hosts_.back().get();
  }
  hub_ =
      std::make_unique<WatchHub>(config_.limits.watches_max, config_.limits.watches_per_tenant_max,
                                 [this](absl::Duration took) { metrics_.Published(took); });
  market::Runtime::Options options;
  options.config = ToMarketConfig(config_);
  options.clear.of_kind = metrics_.Timed(market::ClearFunction(market::ClearByRule));
  options.clear.joint = metrics_.Timed(market::JointClearFunction(policies::ClearJointWithin));
  // The first view comes of the first tick: the ledger is open and the engine runs.
  auto ticked = std::make_shared<std::promise<void>>();
  auto ticked_once = std::make_shared<std::once_flag>();
  options.on_view = [this, hub = hub_.get(), journal = std::make_shared<Journal>(), ticked,
                     ticked_once](std::shared_ptr<const market::View> view) {
    journal->OnView(view);
    {
      std::lock_guard lock(page_mutex_);
      if (page_ != nullptr) page_->OnView(view);
    }
    hub->OnView(std::move(view));
    std::call_once(*ticked_once, [&] { ticked->set_value(); });
  };
  options.on_fatal = on_fatal_;
  NOM_ASSIGN_OR_RETURN(runtime_, market::Runtime::Start(std::move(options), Clock::Real(),
                                                        *timed_ledger_, std::move(hosts)));
  if (ticked->get_future().wait_for(absl::ToChronoNanoseconds(kFirstTickTimeout)) !=
      std::future_status::ready) {
    return absl::UnavailableError("the engine did not tick");
  }
  return absl::OkStatus();
}

void Process::LedgerChecked(const absl::Status& status) {
  if (status.ok()) {
    Log(LogLevel::kInfo, "ledger_checked", {{"msg", "all pages and all transactions are good"}});
  } else if (absl::IsDataLoss(status)) {
    on_fatal_(status);
  } else {
    Log(LogLevel::kWarning, "ledger_not_checked", {{"msg", status.message()}});
  }
}

void Process::SetMetricSources() {
  metrics_.SetSources({.view = [this] { return runtime_->view(); },
                       .counters = [this] { return runtime_->counters(); },
                       .head = [this]() -> absl::StatusOr<market::ChainHead> {
                         NOM_ASSIGN_OR_RETURN(const auto look,
                                              ledger_->reader().Look(market::kMarketBook));
                         return look->Head();
                       },
                       .ledger_path = config_.ledger,
                       .archive_path = config_.archive,
                       .archive = [this] { return ledger_->archive_figures(); },
                       .watches =
                           [this] {
                             const WatchCounters counters = hub_->counters();
                             return WatchFigures{.watchers = counters.watchers,
                                                 .responses = counters.responses,
                                                 .conflated = counters.frames_conflated};
                           },
                       .connections =
                           [this] {
                             const ConnectionCounters counters = front_door_->counters();
                             return ConnectionFigures{.open = counters.open,
                                                      .strangers = counters.strangers,
                                                      .accepted = counters.accepted,
                                                      .refused = counters.refused,
                                                      .dropped = counters.dropped};
                           }});
}

absl::StatusOr<BackupFiles> Process::MakeBackup(bool with_archive) const {
  BackupFiles out = {.path = config_.ledger + ".sending"};
  // Each beside what it is a copy of: the archive may be where it is because there is room.
  const std::string archive_path = config_.archive + ".sending";
  // Left by a process that was killed between making and sending them.
  for (const std::string& path : {out.path, archive_path}) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      return absl::FailedPreconditionError(absl::StrCat(path, ": ", std::strerror(errno)));
    }
  }
  NOM_ASSIGN_OR_RETURN(
      out.head, market::BackUpLedger(config_.ledger, out.path, with_archive ? config_.archive : "",
                                     archive_path));
  if (access(archive_path.c_str(), F_OK) == 0) out.archive_path = archive_path;
  return out;
}

absl::Status Process::StartServer(const Secrets& secrets) {
  SetMetricSources();
  services_ = std::make_unique<Services>(
      ServicesOptions{.operator_token = secrets.operator_token,
                      .bids_per_second = config_.limits.bids_per_second,
                      .bids_burst = config_.limits.bids_burst,
                      .reads_per_second = config_.limits.reads_per_second,
                      .reads_burst = config_.limits.reads_burst,
                      .clear = market::ClearByRule,
                      .back_up = [this](bool with_archive) { return MakeBackup(with_archive); },
                      .on_identified =
                          [this](const std::string& peer, const market::Caller& caller) {
                            return front_door_->Identify(peer, caller.tenant_id,
                                                         caller.is_operator);
                          }},
      *runtime_, timed_ledger_->reader(), Clock::Real(), *hub_);
  if (secrets.tls.has_value()) {
    TellOfBadCertificates(config_, secrets);
    tls_ = std::make_shared<TlsSource>(*secrets.tls);
    services_->SetTls(*secrets.tls);
  }
  if (!config_.metrics_listen.empty()) {
    NOM_ASSIGN_OR_RETURN(metrics_address_, metrics_.Serve(config_.metrics_listen, ScrapersMax()));
  }
  NOM_RETURN_IF_ERROR(StartPage());
  ServerOptions server;
  server.front_door = front_door_.get();
  server.tls = tls_;
  server.services = services_->services();
  server.service_names = Services::names();
  server.message_max_bytes = static_cast<int>(config_.limits.message_max_bytes);
  server.descriptors_kept =
      static_cast<size_t>(ScrapersMax()) * (config_.page_listen.empty() ? 1 : 2);
  server.connections_max = static_cast<size_t>(config_.limits.connections_max);
  server.streams_per_connection_max = static_cast<int>(config_.limits.streams_per_connection_max);
  server.memory_max_bytes = static_cast<size_t>(config_.limits.memory_max_bytes);
  server.reflection = config_.reflection;
  server.check_call = [services = services_.get()](const CallHead& head) {
    return services->Check(head);
  };
  server.on_call_done = [this](absl::string_view method, absl::string_view code,
                               absl::Duration took) { metrics_.CallDone(method, code, took); };
  NOM_ASSIGN_OR_RETURN(server_, Server::Start(server));
  server_->SetServing(true);
  return absl::OkStatus();
}

absl::Status Process::StartPage() {
  if (config_.page_listen.empty()) return absl::OkStatus();
  PageSources sources;
  sources.view = [this] { return runtime_->view(); };
  sources.identify = [this](const CallHead& head) { return services_->Identify(head); };
  sources.take_read = [this](const market::Caller& caller) { return services_->TakeRead(caller); };
  sources.post_read = [this](const std::string& owner, std::function<void()> job) {
    return services_->PostRead(owner, std::move(job));
  };
  sources.reader = &timed_ledger_->reader();
  sources.clock = &Clock::Real();
  NOM_ASSIGN_OR_RETURN(std::unique_ptr<Page> page, Page::Start({.listen = config_.page_listen,
                                                                .directory = config_.page_directory,
                                                                .connections_max = ScrapersMax(),
                                                                .version = BuildVersion()},
                                                               std::move(sources)));
  page_address_ = page->address();
  std::lock_guard lock(page_mutex_);
  page_ = std::move(page);
  return absl::OkStatus();
}

void Process::Renew(const Config& config, const Secrets& secrets) {
  services_->SetOperatorToken(secrets.operator_token);
  services_->SetBidLimits(config.limits.bids_per_second, config.limits.bids_burst);
  services_->SetReadLimits(config.limits.reads_per_second, config.limits.reads_burst);
  hub_->SetLimits(config.limits.watches_max, config.limits.watches_per_tenant_max);
  if (tls_ == nullptr || !secrets.tls.has_value()) return;
  TellOfBadCertificates(config, secrets);
  services_->SetTls(*secrets.tls);
  tls_->Set(*secrets.tls);
}

// A file that has lost its name is written as before, and nobody finds it again when marketd has
// ended: whoever moved or removed it must hear of it before that.
void Process::LookForLedger() {
  struct stat facts = {};
  const bool is_there = ::stat(config_.ledger.c_str(), &facts) == 0 &&
                        facts.st_dev == ledger_device_ && facts.st_ino == ledger_inode_;
  if (is_there == ledger_is_there_) return;
  ledger_is_there_ = is_there;
  if (is_there) {
    Log(LogLevel::kInfo, "ledger_back",
        {{"msg", absl::StrCat(config_.ledger, ": is there again")}});
    return;
  }
  Log(LogLevel::kError, "ledger_gone",
      {{"msg", absl::StrCat(config_.ledger,
                            ": was moved, removed or replaced while marketd writes to it, and what "
                            "it writes is lost when it ends: move it back now; if it is nowhere, "
                            "note what was decided (nomctl events, rounds), stop marketd and "
                            "restore a backup")}});
}

absl::Status Process::CheckAlive(absl::Duration timeout) {
  GiveBackMemory();
  LookForLedger();
  absl::Status status;
  if (!liveness_.Alive(runtime_->counters())) {
    status = absl::UnavailableError("the engine stands still");
    server_->SetServing(false);
  } else {
    server_->SetServing(true);
    status = CallSelf(*front_door_, timeout);
  }
  metrics_.SetAnswering(status.ok());
  return status;
}

void Process::Stop() {
  metrics_.StopServing();
  std::unique_ptr<Page> page;  // Ends outside of the lock, as it waits for those that it answers.
  {
    std::lock_guard lock(page_mutex_);
    page = std::move(page_);
  }
  page = nullptr;
  if (server_ != nullptr) server_->SetServing(false);
  if (services_ != nullptr && !services_->Drain(kDrainTimeout)) {
    Log(LogLevel::kWarning, "drain_timeout",
        {{"msg", "calls are still in hand; they are answered UNAVAILABLE"}});
  }
  if (runtime_ != nullptr) runtime_->Stop();
  if (server_ != nullptr) server_->Shutdown(kShutdownTimeout);
  metrics_.SetSources({});
}

}  // namespace nom::marketd
