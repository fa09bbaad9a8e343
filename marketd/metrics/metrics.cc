// SPDX-License-Identifier: Apache-2.0
#include "marketd/metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "marketd/base/money.h"
#include "marketd/base/status.h"
#include "marketd/http/server.h"
#include "marketd/metrics/table.h"
#include "marketd/metrics/timed.h"

namespace nom::marketd {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;

double Credits(market::Microcredits microcredits) {
  return static_cast<double>(microcredits) / 1e6;
}

double UnixSeconds(absl::Time time) { return absl::ToDoubleSeconds(time - absl::UnixEpoch()); }

std::string KindLabel(market::ResourceKind kind) { return std::string(market::KindName(kind)); }

const char* StateName(const market::Guest& guest) {
  switch (guest.state) {
    case market::GuestState::kAdmitted:
      return "admitted";
    case market::GuestState::kRunning:
      return "running";
    case market::GuestState::kEnded:
      return guest.end_cause == market::EndCause::kExited ||
                     guest.end_cause == market::EndCause::kStopped
                 ? "ended"
                 : "crashed";
    case market::GuestState::kEvicted:
      return "evicted";
    case market::GuestState::kEvicting:
      return "evicting";
  }
  return "unknown";
}

// Families of one scrape, by the table: a sample with other labels than its row's is our own bug.
class Scrape {
 public:
  void Add(Metric metric, const std::vector<std::string>& label_values, double value) {
    const MetricRow& row = RowOf(metric);
    const std::vector<std::string> names = absl::StrSplit(row.labels, ' ', absl::SkipEmpty());
    NOM_CHECK(names.size() == label_values.size(), row.name);
    MetricFamily& family = families_[metric];
    family.name = row.name;
    family.help = row.help;
    const bool is_counter = row.type == MetricType::kCounter;
    family.type = is_counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
    ClientMetric sample;
    for (size_t i = 0; i < names.size(); ++i) sample.label.push_back({names[i], label_values[i]});
    (is_counter ? sample.counter.value : sample.gauge.value) = value;
    family.metric.push_back(std::move(sample));
  }

  void Add(Metric metric, const std::vector<std::string>& label_values, uint64_t value) {
    Add(metric, label_values, static_cast<double>(value));
  }
  void Add(Metric metric, const std::vector<std::string>& label_values, int64_t value) {
    Add(metric, label_values, static_cast<double>(value));
  }

  std::vector<MetricFamily> Take() {
    std::vector<MetricFamily> out;
    for (auto& [metric, family] : families_) out.push_back(std::move(family));
    return out;
  }

 private:
  std::map<Metric, MetricFamily> families_;
};

void AddMeasures(const market::RoundMeasures& measures, const std::vector<std::string>& labels,
                 Scrape& out) {
  if (const auto& welfare = measures.welfare_microcredits) {
    out.Add(Metric::kWelfare, labels, Credits(*welfare));
  }
  if (const auto& bound = measures.welfare_bound_microcredits) {
    out.Add(Metric::kWelfareBound, labels, Credits(*bound));
  }
  out.Add(Metric::kRoundRevenue, labels, Credits(measures.revenue_microcredits));
  out.Add(Metric::kMoved, labels, measures.moved_units);
  if (const auto& index = measures.jain_index_ppm) {
    out.Add(Metric::kJainIndex, labels, static_cast<double>(*index) / 1e6);
  }
}

void AddHost(const market::HostView& host, Scrape& out) {
  const std::string& id = host.host_id;
  for (const market::Resource& resource : host.resources) {
    out.Add(Metric::kCapacity, {id, KindLabel(resource.kind)}, resource.capacity_units);
  }
  for (const market::ResourcePrice& price : host.prices) {
    const std::vector<std::string> labels = {id, KindLabel(price.kind)};
    out.Add(Metric::kUnitPrice, labels, Credits(price.unit_price_microcredits));
    out.Add(Metric::kSupply, labels, price.supply_units);
    out.Add(Metric::kContracted, labels, price.contracted_units);
    out.Add(Metric::kDemand, labels, price.demand_units);
    out.Add(Metric::kSold, labels, price.sold_units);
    out.Add(Metric::kBoundByBids, labels, price.bound_by == policies::BoundBy::kBids ? 1.0 : 0.0);
    out.Add(Metric::kReserve, labels, Credits(price.reserve_unit_price_microcredits));
    if (price.measures) AddMeasures(*price.measures, labels, out);
  }
  for (const market::ForwardOnSale& forward : host.forward) {
    const std::vector<std::string> labels = {id, KindLabel(forward.kind)};
    out.Add(Metric::kForwardShare, labels, forward.share_units);
    out.Add(Metric::kForwardSold, labels, forward.sold_units);
    out.Add(Metric::kForecast, labels, Credits(forward.forecast_unit_price_microcredits));
    if (forward.unit_price_microcredits) {
      out.Add(Metric::kForwardPrice, labels, Credits(*forward.unit_price_microcredits));
    }
  }
  for (const market::HostSum& sum : host.sums) {
    out.Add(Metric::kGranted, {id, KindLabel(sum.kind)}, sum.granted_units);
    out.Add(Metric::kGrantedMax, {id, KindLabel(sum.kind)}, sum.granted_max_units);
  }
  const market::HostCounters& n = host.counters;
  out.Add(Metric::kRounds, {id, "decided"}, n.rounds_decided);
  out.Add(Metric::kRounds, {id, "settled"}, n.rounds_settled);
  out.Add(Metric::kRounds, {id, "released"}, n.rounds_released);
  out.Add(Metric::kRounds, {id, "skipped"}, n.rounds_skipped);
  out.Add(Metric::kClearings, {id, "exact"}, n.clearings_exact);
  out.Add(Metric::kClearings, {id, "bounded"}, n.clearings_bounded);
  out.Add(Metric::kClearings, {id, "coarser"}, n.clearings_coarser);
  out.Add(Metric::kClearings, {id, "greedy"}, n.clearings_greedy);
  out.Add(Metric::kClearings, {id, "repeat_last"}, n.clearings_repeat_last);
  out.Add(Metric::kDecidedAgain, {id}, n.clearings_again);
  out.Add(Metric::kBids, {id, "accepted"}, n.bids_accepted);
  out.Add(Metric::kBids, {id, "refused"}, n.bids_refused);
  out.Add(Metric::kBids, {id, "page_refused"}, n.bid_pages_refused);
  out.Add(Metric::kContractSteps, {id, "bought"}, n.contracts_bought);
  out.Add(Metric::kContractSteps, {id, "sublet"}, n.sublets_taken);
  out.Add(Metric::kContractSteps, {id, "renewed"}, n.contracts_renewed);
  out.Add(Metric::kContractSteps, {id, "not_renewed"}, n.contracts_not_renewed);
  out.Add(Metric::kContractSteps, {id, "left"}, n.contracts_left);
  out.Add(Metric::kTierFloors, {id}, n.tier_floors);
  out.Add(Metric::kGuestRequests, {id, "admitted"}, n.guests_requested);
  out.Add(Metric::kGuestRequests, {id, "refused"}, n.guest_requests_refused);
  out.Add(Metric::kHostLosses, {id}, n.losses);
  out.Add(Metric::kAppliesRefused, {id}, n.applies_refused);
  out.Add(Metric::kDifferences, {id}, n.differences);
  out.Add(Metric::kMetersLost, {id}, n.meters_lost);
  out.Add(Metric::kForgiven, {id}, Credits(n.forgiven_microcredits));
  out.Add(Metric::kForced, {id}, n.forced_units);
  out.Add(Metric::kGuestsEnded, {id}, n.guests_ended);
  out.Add(Metric::kArrearsEvictions, {id}, n.evictions_for_arrears);
  out.Add(Metric::kHostConnected, {id}, host.connected ? 1.0 : 0.0);
  out.Add(Metric::kRoundPeriod, {id}, absl::ToDoubleSeconds(host.period));
  const bool decided = host.priced_round_id != 0 && host.last_decided_time > absl::UnixEpoch();
  out.Add(Metric::kLastGoodRound, {id}, decided ? UnixSeconds(host.last_decided_time) : 0.0);
}

// Contracts but awards, which last for a round and are as many as guests.
void AddContracts(const market::View& view, Scrape& out) {
  struct OfHost {
    std::map<std::string, int64_t> by_kind = {{"forward", 0}, {"future", 0}, {"sublet", 0}};
    market::Microcredits escrow = 0;
  };
  std::map<market::HostId, OfHost> hosts;
  for (const std::shared_ptr<const market::HostView>& host : view.hosts) hosts[host->host_id] = {};
  for (const std::shared_ptr<const market::GuestView>& guest : view.guests) {
    for (const market::Contract& contract : guest->contracts) {
      const bool is_sublet = contract.part_of != 0;
      if (!is_sublet && !market::IsForward(contract)) continue;
      const market::HostView* const host = view.FindHost(guest->guest.host_id);
      const bool has_begun = host != nullptr && contract.from_round_id <= host->in_force_round_id;
      OfHost& of = hosts[guest->guest.host_id];
      ++of.by_kind[is_sublet ? "sublet" : has_begun ? "forward" : "future"];
      of.escrow = SaturatingAdd(of.escrow, contract.escrow_microcredits);
    }
  }
  for (const auto& [host_id, of] : hosts) {
    for (const auto& [kind, count] : of.by_kind)
      out.Add(Metric::kContracts, {host_id, kind}, count);
    out.Add(Metric::kContractEscrow, {host_id}, Credits(of.escrow));
  }
  for (const absl::string_view word : market::EndWords()) {
    const auto ended = view.contracts_ended.find(std::string(word));
    out.Add(Metric::kContractsEnded, {std::string(word)},
            ended == view.contracts_ended.end() ? uint64_t{0} : ended->second);
  }
}

void AddView(const market::View& view, Scrape& out) {
  AddContracts(view, out);
  std::map<std::pair<market::HostId, std::string>, int64_t> guests;
  std::map<std::pair<market::HostId, std::string>, int64_t> tiers;
  for (const std::shared_ptr<const market::HostView>& host : view.hosts) {
    AddHost(*host, out);
    // Always there, so that a sum over states is never of nothing.
    for (const char* state : {"admitted", "running", "ended", "crashed", "evicting"}) {
      guests[{host->host_id, state}] = 0;
    }
    for (const market::Tier& tier : host->tiers) tiers[{host->host_id, tier.name}] = 0;
  }
  for (const std::shared_ptr<const market::GuestView>& guest : view.guests) {
    ++guests[{guest->guest.host_id, StateName(guest->guest)}];
    // A tier that is no longer in the table counts for nothing, and its name is nobody's label.
    if (!guest->tier) continue;
    const auto tier = tiers.find({guest->guest.host_id, guest->tier->tier});
    if (tier != tiers.end()) ++tier->second;
  }
  for (const auto& [key, count] : guests) {
    out.Add(Metric::kGuests, {key.first, key.second}, count);
  }
  for (const auto& [key, count] : tiers) {
    out.Add(Metric::kTiers, {key.first, key.second}, count);
  }
  double escrow = 0;
  double arrears = 0;
  for (const market::TenantView& tenant : view.tenants) {
    escrow += Credits(tenant.purse.escrow);
    arrears -= Credits(tenant.purse.arrears);
  }
  out.Add(Metric::kTenants, {}, static_cast<uint64_t>(view.tenants.size()));
  out.Add(Metric::kRevenue, {}, Credits(view.operator_purse.revenue) - arrears);
  out.Add(Metric::kEscrow, {}, escrow);
  out.Add(Metric::kArrears, {}, arrears);
}

void AddCounters(const market::RuntimeCounters& counters, Scrape& out) {
  out.Add(Metric::kEvents, {}, counters.events);
  out.Add(Metric::kEventsRefused, {}, counters.events_refused);
  out.Add(Metric::kEventsQueued, {}, counters.events_queued);
  out.Add(Metric::kEngineBusy, {}, absl::ToDoubleSeconds(counters.handle_time));
  out.Add(Metric::kTransactions, {}, counters.transactions);
  out.Add(Metric::kCommitRetries, {}, counters.commit_retries);
}

// The digest as a number that a sample holds exactly: its first 13 hexadecimal digits, 52 bits.
void AddHead(const absl::StatusOr<market::ChainHead>& head, Scrape& out) {
  if (!head.ok()) return;
  uint64_t digest = 0;
  if (!absl::SimpleHexAtoi(absl::string_view(head->digest).substr(0, 13), &digest)) return;
  out.Add(Metric::kLedgerTransaction, {}, head->transaction_id);
  out.Add(Metric::kLedgerDigest, {}, static_cast<double>(digest));
}

// A file that is not there has no size: a log goes when the ledger is closed.
void AddLedgerFiles(const std::string& path, const std::string& archive, Scrape& out) {
  const std::pair<const char*, std::string> files[] = {
      {"ledger", path}, {"write_ahead_log", path + "-wal"}, {"archive", archive}};
  for (const auto& [name, file] : files) {
    std::error_code error;
    const std::uintmax_t bytes = std::filesystem::file_size(file, error);
    if (!error) out.Add(Metric::kLedgerBytes, {name}, static_cast<uint64_t>(bytes));
  }
}

void AddArchive(const market::ArchiveFigures& archive, Scrape& out) {
  out.Add(Metric::kArchivedRows, {}, archive.rows_moved);
  out.Add(Metric::kArchiveFailures, {}, archive.failures);
  out.Add(Metric::kArchivedTime, {}, UnixSeconds(archive.moved));
  out.Add(Metric::kLedgerPages, {"used"}, archive.pages - archive.pages_free);
  out.Add(Metric::kLedgerPages, {"free"}, archive.pages_free);
}

// This process as the system sees it, by the names that Prometheus' own clients use.
void AddProcess(Scrape& out) {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    out.Add(Metric::kProcessCpu, {},
            absl::ToDoubleSeconds(absl::DurationFromTimeval(usage.ru_utime) +
                                  absl::DurationFromTimeval(usage.ru_stime)));
  }
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    out.Add(Metric::kProcessMaxFds, {}, static_cast<uint64_t>(files.rlim_cur));
  }
  std::error_code error;
  uint64_t open_fds = 0;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end;
       !error && entry != end; entry.increment(error)) {
    ++open_fds;
  }
  if (!error) out.Add(Metric::kProcessOpenFds, {}, open_fds);
  // proc(5): the name of the program, in parentheses, may hold blanks; fields are counted after it.
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(text).substr(text.rfind(')') + 1), ' ', absl::SkipEmpty());
  uint64_t start_ticks = 0;
  uint64_t virtual_bytes = 0;
  uint64_t resident_pages = 0;
  if (fields.size() < 22 || !absl::SimpleAtoi(fields[19], &start_ticks) ||
      !absl::SimpleAtoi(fields[20], &virtual_bytes) ||
      !absl::SimpleAtoi(fields[21], &resident_pages)) {
    return;
  }
  out.Add(Metric::kProcessVirtualMemory, {}, virtual_bytes);
  out.Add(Metric::kProcessResidentMemory, {},
          resident_pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)));
  timespec booted{};
  if (::clock_gettime(CLOCK_BOOTTIME, &booted) != 0) return;
  const absl::Time started = absl::Now() - absl::DurationFromTimespec(booted) +
                             absl::Seconds(1) * static_cast<double>(start_ticks) /
                                 static_cast<double>(::sysconf(_SC_CLK_TCK));
  out.Add(Metric::kProcessStart, {}, UnixSeconds(started));
}

// Reads the sources at each scrape.
class Collector final : public prometheus::Collectable {
 public:
  Collector(absl::string_view version, absl::string_view commit)
      : version_(version), commit_(commit) {}

  void SetSources(MetricSources sources) {
    std::lock_guard lock(mutex_);
    sources_ = std::move(sources);
  }

  void SetAnswering(bool answering) { answering_ = answering; }

  std::vector<MetricFamily> Collect() const override {
    Scrape out;
    out.Add(Metric::kBuildInfo, {version_, commit_}, 1.0);
    AddProcess(out);
    // Held over the calls: once SetSources returns, the old sources are used no more.
    std::lock_guard lock(mutex_);
    if (sources_.view) AddView(*sources_.view(), out);
    if (sources_.counters) AddCounters(sources_.counters(), out);
    if (sources_.head) AddHead(sources_.head(), out);
    if (!sources_.ledger_path.empty()) {
      AddLedgerFiles(sources_.ledger_path, sources_.archive_path, out);
    }
    if (sources_.archive) AddArchive(sources_.archive(), out);
    if (sources_.watches) {
      const WatchFigures watches = sources_.watches();
      out.Add(Metric::kWatchers, {}, watches.watchers);
      out.Add(Metric::kWatchResponses, {}, watches.responses);
      out.Add(Metric::kWatchConflated, {}, watches.conflated);
    }
    if (sources_.connections) {
      const ConnectionFigures connections = sources_.connections();
      out.Add(Metric::kConnections, {"known"}, connections.open - connections.strangers);
      out.Add(Metric::kConnections, {"stranger"}, connections.strangers);
      out.Add(Metric::kConnectionsTotal, {"accepted"}, connections.accepted);
      out.Add(Metric::kConnectionsTotal, {"refused"}, connections.refused);
      out.Add(Metric::kConnectionsTotal, {"dropped"}, connections.dropped);
    }
    out.Add(Metric::kAnswering, {}, answering_ ? 1.0 : 0.0);
    return out.Take();
  }

 private:
  const std::string version_;
  const std::string commit_;
  std::atomic<bool> answering_{true};
  mutable std::mutex mutex_;
  MetricSources sources_;
};

prometheus::Family<prometheus::Histogram>& HistogramFamily(Metric metric,
                                                           prometheus::Registry& registry) {
  const MetricRow& row = RowOf(metric);
  return prometheus::BuildHistogram().Name(row.name).Help(row.help).Register(registry);
}

}  // namespace

class Metrics::Impl {
 public:
  Impl(absl::string_view version, absl::string_view commit)
      : registry(std::make_shared<prometheus::Registry>()),
        collector(std::make_shared<Collector>(version, commit)),
        clearings(HistogramFamily(Metric::kClearingDuration, *registry)),
        calls(HistogramFamily(Metric::kCallDuration, *registry)),
        host_commands(HistogramFamily(Metric::kHostCommandDuration, *registry)),
        commits(HistogramFamily(Metric::kCommitDuration, *registry).Add({}, Buckets())),
        published(HistogramFamily(Metric::kPublishDuration, *registry).Add({}, Buckets())),
        commit_failures(prometheus::BuildCounter()
                            .Name(RowOf(Metric::kCommitFailures).name)
                            .Help(RowOf(Metric::kCommitFailures).help)
                            .Register(*registry)
                            .Add({})) {}

  std::shared_ptr<prometheus::Registry> registry;
  std::shared_ptr<Collector> collector;
  prometheus::Family<prometheus::Histogram>& clearings;
  prometheus::Family<prometheus::Histogram>& calls;
  prometheus::Family<prometheus::Histogram>& host_commands;
  prometheus::Histogram& commits;
  prometheus::Histogram& published;
  prometheus::Counter& commit_failures;
  std::unique_ptr<HttpServer> server;  // Last: it reads all of the above.
};

Metrics::Metrics(absl::string_view version, absl::string_view commit)
    : impl_(std::make_unique<Impl>(version, commit)) {}

Metrics::~Metrics() = default;

void Metrics::SetSources(MetricSources sources) {
  impl_->collector->SetSources(std::move(sources));
}

void Metrics::SetAnswering(bool answering) { impl_->collector->SetAnswering(answering); }

market::ClearFunction Metrics::Timed(market::ClearFunction clear) {
  if (!clear) return clear;
  return [impl = impl_.get(), clear = std::move(clear)](
             const std::string& rule, const policies::Auction& auction, int64_t work_max) {
    return Time(impl->clearings.Add({{"rule", rule}}, Buckets()),
                [&] { return clear(rule, auction, work_max); });
  };
}

market::JointClearFunction Metrics::Timed(market::JointClearFunction clear) {
  if (!clear) return clear;
  return [impl = impl_.get(), clear = std::move(clear)](const policies::JointAuction& auction,
                                                        int64_t work_max) {
    return Time(impl->clearings.Add({{"rule", std::string(policies::kJointVcg)}}, Buckets()),
                [&] { return clear(auction, work_max); });
  };
}

std::unique_ptr<market::Ledger> Metrics::Timed(market::Ledger& ledger) {
  return std::make_unique<TimedLedger>(ledger, impl_->commits, impl_->commit_failures);
}

std::unique_ptr<market::Host> Metrics::Timed(const market::HostId& host_id, market::Host& host) {
  return std::make_unique<TimedHost>(host, host_id, impl_->host_commands);
}

void Metrics::Published(absl::Duration took) {
  impl_->published.Observe(absl::ToDoubleSeconds(took));
}

void Metrics::CallDone(absl::string_view method, absl::string_view code, absl::Duration took) {
  impl_->calls
      .Add({{"grpc_method", std::string(method)}, {"grpc_status", std::string(code)}}, Buckets())
      .Observe(absl::ToDoubleSeconds(took));
}

absl::StatusOr<std::string> Metrics::Serve(const std::string& listen, int connections_max) {
  NOM_CHECK(impl_->server == nullptr, "metrics are served already");
  const auto answer = [this](const HttpRequest& request, const HttpDone& done) {
    if (request.path != "/metrics") {
      done({.code = 404, .body = "there is /metrics and nothing else\n"});
      return;
    }
    done({.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = Text()});
  };
  NOM_ASSIGN_OR_RETURN(
      impl_->server,
      HttpServer::Start({.listen = listen, .connections_max = connections_max}, answer));
  return impl_->server->address();
}

void Metrics::StopServing() { impl_->server = nullptr; }

std::string Metrics::Text() const {
  std::vector<MetricFamily> families = impl_->collector->Collect();
  for (MetricFamily& family : impl_->registry->Collect()) families.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace nom::marketd
