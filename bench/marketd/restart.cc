// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/marketd/bare_sqlite.h"
#include "bench/marketd/figures.h"
#include "marketd/base/status.h"
#include "marketd/market/money.h"
#include "marketd/market/transaction.h"
#include "policies/cases/case_file.h"

namespace nom::market {
namespace {

using Stopwatch = std::chrono::steady_clock;

// A round of one guest with one award, decided and settled, as the engine writes it.
class Rounds {
 public:
  explicit Rounds(State& state) : state_(state) {
    policies::Auction auction;
    auction.capacity_units = 100;
    auction.bids = {{.guest_id = 1, .ranges = {{0, 4, 0, 600}}}};
    auction_ = policies::ToText(auction);
  }

  Transaction Begin() {
    Scribe scribe(state_, now_, "guest running");
    scribe.Write(PutTenant{{.tenant_id = "t"}});
    PostDeposit(scribe, "t", 1'000'000'000'000);
    scribe.Write(PutHost{"h", 1, 0});
    scribe.Write(PutGuest{{.guest_id = 1,
                           .host_id = "h",
                           .tenant_id = "t",
                           .name = "g",
                           .image = "image",
                           .state = GuestState::kRunning,
                           .has_run = true}});
    return std::move(scribe).Finish();
  }

  Transaction Decide(RoundId round_id) {
    now_ += absl::Seconds(30);
    Scribe scribe(state_, now_, "round decided");
    Contract contract{.contract_id = state_.last_contract_id + 1,
                      .guest_id = 1,
                      .tenant_id = "t",
                      .lots = {{ResourceKind::kMemory, 4, 2'400}},
                      .from_round_id = round_id,
                      .until_round_id = round_id + 1,
                      .period = absl::Seconds(60)};
    PostEscrow(scribe, contract, 2'400);
    scribe.Write(OpenContract{contract});
    PutRound put;
    put.round = {.host_id = "h", .round_id = round_id, .phase = RoundPhase::kGrace};
    put.round.start_time = put.round.close_time = put.round.decided_time = now_;
    put.round.effective_time = now_ + absl::Seconds(30);
    put.round.applied_time = absl::UnixEpoch();
    put.round.period = absl::Seconds(60);
    put.round.prices = {
        {.kind = ResourceKind::kMemory, .supply_units = 100, .sold_units = 4, .rule = "mpsp/1"}};
    put.round.outcomes = {{.guest_id = 1,
                           .kind = ResourceKind::kMemory,
                           .tenant_id = "t",
                           .award_units = 4,
                           .charge_microcredits = 2'400}};
    put.auctions = {{.host_id = "h",
                     .round_id = round_id,
                     .rule = "mpsp/1",
                     .auction = auction_,
                     .work_max = 1'000}};
    scribe.Write(std::move(put));
    return std::move(scribe).Finish();
  }

  Transaction Settle(RoundId round_id) {
    now_ += absl::Seconds(30);
    Scribe scribe(state_, now_, "round settled");
    Contract contract = state_.contracts.all().begin()->second;
    PostDue(scribe, contract, 2'400, 0);
    contract.settled_through = now_;
    contract.ended = "its rounds are over";
    scribe.Write(UpdateContract{contract});
    Round round = state_.hosts.at("h").open_rounds.at(round_id);
    round.outcomes[0].settled = true;
    round.outcomes[0].settled_microcredits = 2'400;
    round.phase = RoundPhase::kSettled;
    scribe.Write(UpdateRound{round});
    scribe.Write(PutHost{"h", 1, 0});
    return std::move(scribe).Finish();
  }

 private:
  State& state_;
  std::string auction_;
  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
};

// Nothing of it in memory any more: every page comes from the disk.
void Forget(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  NOM_CHECK(file >= 0 && fdatasync(file) == 0, path);
  NOM_CHECK(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0, path);
  close(file);
}

}  // namespace

void MeasureRestart(int rounds) {
  const BenchDirectory directory;
  const std::string path = directory.File("ledger");
  {
    const std::unique_ptr<Ledger> ledger = OpenBenchLedger(path, Sync::kNone);
    State state = *ledger->Load(Lead{});
    Rounds market(state);
    std::vector<Transaction> group = {market.Begin()};
    for (int i = 1; i <= rounds; ++i) {
      group.push_back(market.Decide(static_cast<RoundId>(i)));
      group.push_back(market.Settle(static_cast<RoundId>(i)));
      if (group.size() < 500 && i != rounds) continue;
      const absl::Status status = ledger->Commit(Lead{}, group);
      NOM_CHECK(status.ok(), status.ToString());
      group.clear();
    }
  }
  const uint64_t bytes = std::filesystem::file_size(path);
  // The peer: the same pages, read once in their order.
  std::vector<absl::Duration> ready;
  std::vector<absl::Duration> read;
  for (int i = 0; i < 3; ++i) {
    Forget(path);
    const auto begin = Stopwatch::now();
    std::unique_ptr<Ledger> ledger = OpenBenchLedger(path);
    const absl::StatusOr<State> state = ledger->Load(Lead{});
    ready.push_back(absl::FromChrono(Stopwatch::now() - begin));
    NOM_CHECK(state.ok(), state.status().ToString());
    ledger.reset();
    Forget(path);
    const auto then = Stopwatch::now();
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    std::vector<char> buffer(size_t{1} << 20);
    while (::read(file, buffer.data(), buffer.size()) > 0) {
    }
    close(file);
    read.push_back(absl::FromChrono(Stopwatch::now() - then));
  }
  Print(absl::StrCat("restart with ", rounds, " rounds, cold"),
        absl::StrFormat("ready after %.2f s, %.0f MB", absl::ToDoubleSeconds(Median(ready)),
                        static_cast<double>(bytes) / 1e6),
        absl::StrFormat("reading the file: %.2f s", absl::ToDoubleSeconds(Median(read))),
        "ready in 1 s, the whole check goes on behind");
}

}  // namespace nom::market
