// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <deque>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/marketd/bare_sqlite.h"
#include "bench/marketd/figures.h"
#include "marketd/base/status.h"
#include "marketd/market/carry_out.h"
#include "marketd/market/engine.h"

namespace nom::market {
namespace {

using Stopwatch = std::chrono::steady_clock;

struct Spent {
  absl::Duration engine;
  absl::Duration ledger;
  absl::Duration bare;  // The same rows, appended to a bare database.
};

// A market in one thread, whose time moves from one thing that is due to the next.
class OneThread {
 public:
  explicit OneThread(bool forward = false)
      : ledger_(OpenBenchLedger(directory_.File("ledger"), Sync::kNone)),
        bare_(directory_.File("bare")),
        host_(BigHostOptions(clock_)) {
    MarketConfig config;
    config.hosts = {BigHost(absl::Seconds(10), forward)};
    engine_ = std::make_unique<Engine>(std::move(config), *ledger_->Load(Lead{}));
    Handle(Tick{});
  }

  Reply Ask(Call call) {
    const CallId id = ++calls_;
    Handle(CallEvent{id, Caller{.is_operator = true}, std::move(call)});
    NOM_CHECK(replies_.contains(id), "no answer");
    const Reply reply = replies_.at(id);
    NOM_CHECK(reply.status.ok(), reply.status.ToString());
    return reply;
  }

  // To the next thing that is due.
  void Step() {
    clock_.Set(std::max(clock_.Now(), next_tick_));
    Handle(Tick{});
  }

  const State& state() const { return engine_->state(); }
  uint64_t Bytes() const { return std::filesystem::file_size(directory_.File("ledger")); }
  // What the file would be if all of the log were in it.
  void Checkpoint() {
    ledger_.reset();
    ledger_ = OpenBenchLedger(directory_.File("ledger"));
    NOM_CHECK(ledger_->Load(Lead{}).ok(), "the ledger does not load");
  }
  // From now on commits are durable, and the peer writes the same.
  void BeginMeasuring() {
    Checkpoint();
    measuring_ = true;
  }

  Spent spent;
  uint64_t rows() const { return bare_.rows(); }

 private:
  void Handle(Event event) {
    std::deque<Event> events = {std::move(event)};
    while (!events.empty()) {
      const auto begin = Stopwatch::now();
      Effects effects = engine_->Handle(events.front(), clock_.Now());
      spent.engine += absl::FromChrono(Stopwatch::now() - begin);
      events.pop_front();
      next_tick_ = effects.next_tick;
      for (ReplyEffect& reply : effects.replies) {
        replies_[reply.call_id] = std::move(reply.reply);
      }
      for (const HostCommand& command : effects.commands) {
        events.push_back(CarryOut(host_, command, clock_.Now(), /*head=*/nullptr));
      }
      if (effects.transactions.empty()) continue;
      const auto commit = Stopwatch::now();
      const absl::Status status = ledger_->Commit(Lead{}, effects.transactions);
      NOM_CHECK(status.ok(), status.ToString());
      const auto committed = Stopwatch::now();
      if (measuring_) bare_.Commit(effects.transactions);
      spent.ledger += absl::FromChrono(committed - commit);
      spent.bare += absl::FromChrono(Stopwatch::now() - committed);
      events.push_back(CommitDone{effects.transactions.back().transaction_id});
    }
  }

  const BenchDirectory directory_;
  SimulatedClock clock_;
  std::unique_ptr<Ledger> ledger_;
  BareSqlite bare_;
  SimulatedHost host_;
  std::unique_ptr<Engine> engine_;
  std::map<CallId, Reply> replies_;
  absl::Time next_tick_ = absl::InfinitePast();
  CallId calls_ = 0;
  bool measuring_ = false;
};

// So many guests, each of a tenant of its own, with a bid for both kinds.
std::vector<GuestId> AddBidders(OneThread& market, int guests) {
  std::vector<GuestId> ids;
  for (int i = 0; i < guests; ++i) {
    const TenantId tenant = absl::StrCat("t-", i);
    market.Ask(CreateTenant{absl::StrCat("c-", i), tenant, "", "hash"});
    market.Ask(Deposit{absl::StrCat("d-", i), tenant, 1'000'000'000'000});
    ids.push_back(market
                      .Ask(AdmitGuest{.request_id = absl::StrCat("a-", i),
                                      .host_id = "h",
                                      .tenant_id = tenant,
                                      .name = absl::StrCat("g-", i),
                                      .image = "image",
                                      .seeds = {{ResourceKind::kMemory, 1}}})
                      .guest_id);
    for (const ResourceKind kind : {ResourceKind::kCpu, ResourceKind::kMemory}) {
      market.Ask(PlaceBid{.request_id = absl::StrCat("b-", i, KindName(kind)),
                          .guest_id = ids.back(),
                          .kind = kind,
                          .ranges = {{0, 4, 0, 2'000 + i % 100}}});
    }
  }
  return ids;
}

void RunUntil(OneThread& market, RoundId in_force) {
  while (market.state().hosts.at("h").in_force_round_id < in_force) market.Step();
}

struct RoundTook {
  absl::Duration wall;  // Engine and commits.
  absl::Duration cpu;
};

RoundTook NextRound(OneThread& market) {
  const Spent before = market.spent;
  const absl::Duration cpu_before = CpuTime();
  RunUntil(market, market.state().hosts.at("h").in_force_round_id + 1);
  return {market.spent.engine - before.engine + market.spent.ledger - before.ledger,
          CpuTime() - cpu_before};
}

void BuyContracts(OneThread& market, const std::vector<GuestId>& guests, int contracts) {
  for (int i = 0; i < contracts; ++i) {
    const GuestId guest = guests[static_cast<size_t>(i) % guests.size()];
    const OfferId offer =
        market.Ask(GetQuote{absl::StrCat("q-", i), guest, {{ResourceKind::kCpu, 1}}, 0, 1'000})
            .offer_id;
    market.Ask(TakeOffer{absl::StrCat("k-", i), offer, guest, 0});
  }
}

}  // namespace

void MeasureRoundBeside(int guests, int contracts, int rounds) {
  OneThread plain(/*forward=*/true);
  AddBidders(plain, guests);
  OneThread beside(/*forward=*/true);
  BuyContracts(beside, AddBidders(beside, guests), contracts);
  // The first rounds have no past ones to settle.
  for (OneThread* market : {&plain, &beside}) {
    RunUntil(*market, market->state().hosts.at("h").in_force_round_id + 3);
  }
  // In turns, so that a machine that becomes slower does so for both.
  std::vector<RoundTook> without;
  std::vector<RoundTook> with;
  for (int i = 0; i < rounds; ++i) {
    without.push_back(NextRound(plain));
    with.push_back(NextRound(beside));
  }
  const auto median = [](const std::vector<RoundTook>& all, absl::Duration RoundTook::*which) {
    std::vector<absl::Duration> some;
    for (const RoundTook& one : all) some.push_back(one.*which);
    return Median(std::move(some));
  };
  const absl::Duration plainly = median(without, &RoundTook::wall);
  const absl::Duration along = median(with, &RoundTook::wall);
  Print(absl::StrCat("round of ", 2 * guests, " awards beside ", contracts, " contracts"),
        absl::StrFormat("%.1f ms", absl::ToDoubleMilliseconds(along)),
        absl::StrFormat(
            "without them %.1f ms: %.2f of it; by CPU time %.2f",
            absl::ToDoubleMilliseconds(plainly), absl::FDivDuration(along, plainly),
            absl::FDivDuration(median(with, &RoundTook::cpu), median(without, &RoundTook::cpu))),
        "1.1 of it");
}

void MeasureRound(int guests, int rounds) { MeasureRoundOf(guests, guests, rounds); }

void MeasureRoundOf(int guests, int tenants, int rounds) {
  OneThread market;
  for (int i = 0; i < tenants; ++i) {
    const TenantId tenant = absl::StrCat("t-", i);
    market.Ask(CreateTenant{absl::StrCat("c-", i), tenant, "", "hash"});
    market.Ask(Deposit{absl::StrCat("d-", i), tenant, 1'000'000'000'000});
  }
  for (int i = 0; i < guests; ++i) {
    const TenantId tenant = absl::StrCat("t-", i % tenants);
    const GuestId guest = market
                              .Ask(AdmitGuest{.request_id = absl::StrCat("a-", i),
                                              .host_id = "h",
                                              .tenant_id = tenant,
                                              .name = absl::StrCat("g-", i),
                                              .image = "image",
                                              .seeds = {{ResourceKind::kMemory, 1}}})
                              .guest_id;
    for (const ResourceKind kind : {ResourceKind::kCpu, ResourceKind::kMemory}) {
      market.Ask(PlaceBid{.request_id = absl::StrCat("b-", i, KindName(kind)),
                          .guest_id = guest,
                          .kind = kind,
                          .ranges = {{0, 4, 0, 2'000 + i % 100}}});
    }
  }
  RunUntil(market, 3);
  market.BeginMeasuring();
  RunUntil(market, 4);  // Statements are prepared, and the peer's tables made.
  market.Checkpoint();
  const uint64_t bytes_before = market.Bytes();
  std::vector<absl::Duration> whole;
  std::vector<absl::Duration> commits;
  std::vector<absl::Duration> bare;
  std::vector<absl::Duration> cpu;
  uint64_t rows_before = market.rows();
  for (int i = 0; i < rounds; ++i) {
    const Spent before = market.spent;
    const absl::Duration cpu_before = CpuTime();
    NextRound(market);
    commits.push_back(market.spent.ledger - before.ledger);
    bare.push_back(market.spent.bare - before.bare);
    whole.push_back(market.spent.engine - before.engine + commits.back());
    cpu.push_back(CpuTime() - cpu_before);
  }
  const uint64_t rows = (market.rows() - rows_before) / static_cast<uint64_t>(rounds);
  market.Checkpoint();
  const double bytes =
      static_cast<double>(market.Bytes() - bytes_before) / static_cast<double>(rounds);
  Print(absl::StrCat("round of ", 2 * guests, " awards, ", tenants, " tenants"),
        absl::StrFormat("%.1f ms (engine %.1f, commits %.1f), CPU with the peer %.1f ms, %d rows",
                        absl::ToDoubleMilliseconds(Median(whole)),
                        absl::ToDoubleMilliseconds(Median(whole) - Median(commits)),
                        absl::ToDoubleMilliseconds(Median(commits)),
                        absl::ToDoubleMilliseconds(Median(cpu)), rows),
        absl::StrFormat("the same rows bare: %.1f ms: commits %.2f of it",
                        absl::ToDoubleMilliseconds(Median(bare)),
                        absl::FDivDuration(Median(commits), Median(bare))),
        "commits 1.2 of it; 150 ms for 10,000 awards");
  Print(absl::StrCat("ledger a round, ", guests, " guests, ", 2 * guests, " awards"),
        absl::StrFormat("%.1f KB", bytes / 1'000), "", "15 KB for 100 guests");
}

}  // namespace nom::market
