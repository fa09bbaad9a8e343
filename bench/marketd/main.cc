// SPDX-License-Identifier: Apache-2.0
// All figures, or those named: bids, contracts, round_beside, admission, round, prices, restart,
// restart_million.

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "bench/marketd/figures.h"
#include "marketd/base/status.h"
#include "marketd/ledger/sqlite/sqlite_ledger.h"

namespace nom::market {

BenchDirectory::BenchDirectory() : path_("bench-marketd-XXXXXX") {
  NOM_CHECK(mkdtemp(path_.data()) != nullptr, "cannot make a directory here");
}
BenchDirectory::~BenchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

HostConfig BigHost(absl::Duration period, bool forward) {
  HostConfig host{.host_id = "h", .kind = "simulated"};
  host.SetPeriod(period);
  host.guests_max = kHostGuestsMax;
  host.resources = {{.kind = ResourceKind::kCpu,
                     .unit_size = 1,
                     .rule = "uniform_price/1",
                     .reserve_unit_price_microcredits = 1'000,
                     .seed_rent_unit_price_microcredits = 1'000},
                    {.kind = ResourceKind::kMemory,
                     .unit_size = 1,
                     .rule = "uniform_price/1",
                     .reserve_unit_price_microcredits = 500,
                     .seed_rent_unit_price_microcredits = 40}};
  if (!forward) return host;
  for (Resource& resource : host.resources) resource.forward = ForwardSale{.share_ppm = 900'000};
  return host;
}

SimulatedHostOptions BigHostOptions(const Clock& clock) {
  SimulatedHostOptions options;
  options.capacities = {{ResourceKind::kCpu, 100'000}, {ResourceKind::kMemory, 100'000}};
  options.guests_bid = false;
  options.clock = &clock;
  return options;
}

std::unique_ptr<Ledger> OpenBenchLedger(const std::string& path, Sync sync) {
  absl::StatusOr<std::unique_ptr<Ledger>> ledger =
      OpenSqliteLedger({.path = path, .sync_to_disk = sync == Sync::kFull});
  NOM_CHECK(ledger.ok(), ledger.status().ToString());
  return *std::move(ledger);
}

void Print(const std::string& what, const std::string& figure, const std::string& peer,
           const std::string& goal) {
  std::printf("%-52s %s%s%s  [goal: %s]\n", what.c_str(), figure.c_str(), peer.empty() ? "" : "; ",
              peer.c_str(), goal.c_str());
}

absl::Duration CpuTime() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
}

absl::Duration Quantile(std::vector<absl::Duration> samples, int permille) {
  if (samples.empty()) return absl::ZeroDuration();
  std::sort(samples.begin(), samples.end());
  return samples[(samples.size() - 1) * static_cast<size_t>(permille) / 1000];
}
absl::Duration Median(std::vector<absl::Duration> samples) {
  return Quantile(std::move(samples), 500);
}

namespace {

int Run(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const auto wanted = [&](const std::string& name) {
    return argc == 1 || std::find(argv + 1, argv + argc, name) != argv + argc;
  };
  if (wanted("bids")) {
    for (const int guests : {64, 1'000, 5'000}) MeasureBids(guests);
  }
  if (wanted("contracts")) MeasureContracts();
  if (wanted("round_beside")) MeasureRoundBeside(5'000, 10'000, 9);
  if (wanted("admission")) MeasureAdmission(5'000);
  if (wanted("round")) {
    MeasureRound(100, 20);
    MeasureRoundOf(100, 10, 20);
    MeasureRound(5'000, 5);
  }
  if (wanted("prices")) MeasurePrices(100'000);
  if (wanted("restart")) MeasureRestart(100'000);
  // Takes ten minutes to prepare: by its name alone.
  if (argc > 1 && wanted("restart_million")) MeasureRestart(1'000'000);
  return 0;
}

}  // namespace
}  // namespace nom::market

int main(int argc, char** argv) { return nom::market::Run(argc, argv); }
