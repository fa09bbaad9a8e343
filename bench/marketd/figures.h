// SPDX-License-Identifier: Apache-2.0
// The market's speed without its edge: engine, writer and ledger, each figure beside its peer in
// the same run.

#ifndef BENCH_MARKETD_FIGURES_H_
#define BENCH_MARKETD_FIGURES_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "marketd/host/simulated/simulated_host.h"
#include "marketd/market/config.h"
#include "marketd/market/ledger.h"

namespace nom::market {

// A directory on the disk of the working directory, where commits cost what they cost; it goes when
// this does.
class BenchDirectory {
 public:
  BenchDirectory();
  ~BenchDirectory();
  std::string File(const std::string& name) const { return absl::StrCat(path_, "/", name); }

 private:
  std::string path_;
};

// Of cpu and memory, with room for all, and rounds of `period`. `forward`: nearly all of it may be
// sold by contract.
HostConfig BigHost(absl::Duration period, bool forward = false);
SimulatedHostOptions BigHostOptions(const Clock& clock);
// Durable as marketd's, or, for what is only prepared, not synchronised to the disk.
enum class Sync { kFull, kNone };
std::unique_ptr<Ledger> OpenBenchLedger(const std::string& path, Sync sync = Sync::kFull);

// This process's, all threads.
absl::Duration CpuTime();
absl::Duration Median(std::vector<absl::Duration> samples);
// `permille` of all samples are at most this.
absl::Duration Quantile(std::vector<absl::Duration> samples, int permille);

// One line: a figure, what it is beside its peer in the same run, and the goal.
void Print(const std::string& what, const std::string& figure, const std::string& peer,
           const std::string& goal);

// 64 callers, each of whom bids anew when its bid is durable, among so many guests.
void MeasureBids(int guests);
// 64 callers, each of whom asks for a quote, takes it, and begins anew when it is a contract that
// is durable.
void MeasureContracts();
// A round in which each of so many guests wins both kinds, without and with so many contracts alive
// beside it.
void MeasureRoundBeside(int guests, int contracts, int rounds);
// So many guests are admitted, one after the other, each with a tenant and a bid of its own.
void MeasureAdmission(int guests);
// A round in which each of so many guests wins both kinds.
void MeasureRound(int guests, int rounds);
// The same of a hundred guests of ten tenants: what a ledger keeps of a round is by tenant, too.
void MeasureRoundOf(int guests, int tenants, int rounds);
// Pages of the prices of so many rounds, while their auctions' texts lie between them.
void MeasurePrices(int rounds);
// A ledger of so many rounds, opened and loaded when nothing of it is in memory.
void MeasureRestart(int rounds);

}  // namespace nom::market

#endif  // BENCH_MARKETD_FIGURES_H_
