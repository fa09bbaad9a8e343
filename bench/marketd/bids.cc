// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/marketd/bare_sqlite.h"
#include "bench/marketd/figures.h"
#include "marketd/base/status.h"
#include "marketd/market/runtime.h"

namespace nom::market {
namespace {

constexpr int kCallers = 64;
constexpr absl::Duration kMeasured = absl::Seconds(3);

using Stopwatch = std::chrono::steady_clock;

// Notes what it commits, to be written again by the peer.
class NotingLedger : public Ledger {
 public:
  explicit NotingLedger(Ledger& ledger) : ledger_(ledger) {}
  absl::StatusOr<State> Load(const Lead& lead) override { return ledger_.Load(lead); }
  absl::Status Commit(const Lead& lead, absl::Span<const Transaction> transactions) override {
    if (noting) groups.emplace_back(transactions.begin(), transactions.end());
    return ledger_.Commit(lead, transactions);
  }
  LedgerReader& reader() override { return ledger_.reader(); }

  std::atomic<bool> noting{false};
  std::vector<std::vector<Transaction>> groups;

 private:
  Ledger& ledger_;
};

Reply AskAndWait(Runtime& runtime, Call call) {
  std::mutex mutex;
  std::condition_variable answered;
  std::optional<Reply> reply;
  runtime.Submit(Caller{.is_operator = true}, std::move(call), [&](const Reply& r) {
    std::lock_guard lock(mutex);
    reply = r;
    answered.notify_one();
  });
  std::unique_lock lock(mutex);
  answered.wait(lock, [&] { return reply.has_value(); });
  NOM_CHECK(reply->status.ok(), reply->status.ToString());
  return *reply;
}

// Waits until the host is there.
std::unique_ptr<Runtime> StartRuntime(Ledger& ledger, SimulatedHost& host, bool forward = false) {
  Runtime::Options options;
  options.config.hosts = {BigHost(absl::Hours(1), forward)};
  auto runtime = *Runtime::Start(std::move(options), Clock::Real(), ledger, {{"h", &host}});
  while (!runtime->view()->FindHost("h")->connected) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return runtime;
}

// So many guests, each of a tenant of its own.
std::vector<GuestId> Prepare(const std::string& path, SimulatedHost& host, int guests) {
  const std::unique_ptr<Ledger> ledger = OpenBenchLedger(path, Sync::kNone);
  const std::unique_ptr<Runtime> runtime = StartRuntime(*ledger, host);
  std::vector<GuestId> ids;
  for (int i = 0; i < guests; ++i) {
    const TenantId tenant = absl::StrCat("t-", i);
    AskAndWait(*runtime, CreateTenant{absl::StrCat("c-", i), tenant, "", "hash"});
    AskAndWait(*runtime, Deposit{absl::StrCat("d-", i), tenant, 1'000'000'000});
    ids.push_back(AskAndWait(*runtime, AdmitGuest{.request_id = absl::StrCat("a-", i),
                                                  .host_id = "h",
                                                  .tenant_id = tenant,
                                                  .name = absl::StrCat("g-", i),
                                                  .image = "image"})
                      .guest_id);
  }
  runtime->Stop();
  return ids;
}

}  // namespace

void MeasureBids(int guests) {
  const BenchDirectory directory;
  SimulatedHost host(BigHostOptions(Clock::Real()));
  const std::vector<GuestId> ids = Prepare(directory.File("ledger"), host, guests);
  const std::unique_ptr<Ledger> sqlite = OpenBenchLedger(directory.File("ledger"));
  NotingLedger ledger(*sqlite);
  const std::unique_ptr<Runtime> runtime = StartRuntime(ledger, host);
  std::atomic<bool> stop{false};
  std::atomic<int> out{kCallers};
  std::mutex mutex;
  std::vector<absl::Duration> took;
  uint64_t next = 0;
  // On the engine's thread, each caller's next bid follows its last one's answer.
  std::function<void(int)> bid = [&](int caller) {
    uint64_t n = 0;
    {
      std::lock_guard lock(mutex);
      n = next++;
    }
    const size_t guest = (static_cast<size_t>(caller) + n * kCallers) % ids.size();
    PlaceBid call{.request_id = absl::StrCat("b-", n),
                  .guest_id = ids[guest],
                  .kind = ResourceKind::kMemory,
                  .ranges = {{0, 4, 0, 600 + static_cast<int64_t>(n % 100)}}};
    const auto begin = Stopwatch::now();
    runtime->Submit(Caller{.tenant_id = absl::StrCat("t-", guest)}, std::move(call),
                    [&, caller, begin](const Reply& reply) {
                      NOM_CHECK(reply.status.ok(), reply.status.ToString());
                      {
                        std::lock_guard lock(mutex);
                        took.push_back(absl::FromChrono(Stopwatch::now() - begin));
                      }
                      if (stop) {
                        --out;
                      } else {
                        bid(caller);
                      }
                    });
  };
  ledger.noting = true;
  const absl::Duration cpu_before = CpuTime();
  const auto begin = Stopwatch::now();
  for (int caller = 0; caller < kCallers; ++caller) bid(caller);
  std::this_thread::sleep_for(absl::ToChronoMilliseconds(kMeasured));
  stop = true;
  while (out != 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const double seconds = absl::ToDoubleSeconds(absl::FromChrono(Stopwatch::now() - begin));
  const absl::Duration cpu = CpuTime() - cpu_before;
  runtime->Stop();
  const auto count = static_cast<double>(took.size());

  // The same transactions in the same groups.
  BareSqlite bare(directory.File("bare"));
  const absl::Duration bare_cpu_before = CpuTime();
  const auto bare_begin = Stopwatch::now();
  for (const auto& group : ledger.groups) bare.Commit(group);
  const double bare_seconds =
      absl::ToDoubleSeconds(absl::FromChrono(Stopwatch::now() - bare_begin));
  const absl::Duration bare_cpu = CpuTime() - bare_cpu_before;
  Print(absl::StrCat("bids, 64 callers, ", guests, " guests"),
        absl::StrFormat("%.0f durable a second, p50 %.1f ms, p99 %.1f ms, %.0f us of CPU a bid, "
                        "%.0f in a group",
                        count / seconds, absl::ToDoubleMilliseconds(Median(took)),
                        absl::ToDoubleMilliseconds(Quantile(took, 990)),
                        absl::ToDoubleMicroseconds(cpu) / count,
                        count / static_cast<double>(ledger.groups.size())),
        absl::StrFormat("bare SQLite, the same groups: %.0f a second, %.0f us: CPU %.1f of it",
                        count / bare_seconds, absl::ToDoubleMicroseconds(bare_cpu) / count,
                        absl::FDivDuration(cpu, bare_cpu)),
        "20,000 a second, p99 10 ms, 50 us of CPU, for any number of guests");
}

void MeasureContracts() {
  const BenchDirectory directory;
  SimulatedHost host(BigHostOptions(Clock::Real()));
  const std::vector<GuestId> ids = Prepare(directory.File("ledger"), host, kCallers);
  const std::unique_ptr<Ledger> ledger = OpenBenchLedger(directory.File("ledger"));
  const std::unique_ptr<Runtime> runtime = StartRuntime(*ledger, host, /*forward=*/true);
  std::atomic<bool> stop{false};
  std::atomic<int> out{kCallers};
  std::mutex mutex;
  std::vector<absl::Duration> took;
  std::atomic<uint64_t> next{0};
  // On the engine's thread: a quote is taken when it is answered, and asked for anew once its
  // contract is.
  std::function<void(size_t)> buy = [&](size_t caller) {
    const uint64_t n = next++;
    const Caller who{.tenant_id = absl::StrCat("t-", caller)};
    const auto begin = Stopwatch::now();
    runtime->Submit(
        who, GetQuote{absl::StrCat("q-", n), ids[caller], {{ResourceKind::kMemory, 1}}, 0, 10},
        [&, caller, n, who, begin](const Reply& quote) {
          NOM_CHECK(quote.status.ok(), quote.status.ToString());
          runtime->Submit(who, TakeOffer{absl::StrCat("t-", n), quote.offer_id, ids[caller], 0},
                          [&, caller, begin](const Reply& reply) {
                            NOM_CHECK(reply.status.ok(), reply.status.ToString());
                            {
                              std::lock_guard lock(mutex);
                              took.push_back(absl::FromChrono(Stopwatch::now() - begin));
                            }
                            if (stop) {
                              --out;
                            } else {
                              buy(caller);
                            }
                          });
        });
  };
  const auto begin = Stopwatch::now();
  for (size_t caller = 0; caller < kCallers; ++caller) buy(caller);
  std::this_thread::sleep_for(absl::ToChronoMilliseconds(kMeasured));
  stop = true;
  while (out != 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const double seconds = absl::ToDoubleSeconds(absl::FromChrono(Stopwatch::now() - begin));
  runtime->Stop();
  Print(absl::StrCat("quote to durable contract, ", kCallers, " callers"),
        absl::StrFormat("%.0f a second, p50 %.1f ms, p99 %.1f ms",
                        static_cast<double>(took.size()) / seconds,
                        absl::ToDoubleMilliseconds(Median(took)),
                        absl::ToDoubleMilliseconds(Quantile(took, 990))),
        "", "p99 20 ms");
}

void MeasureAdmission(int guests) {
  const BenchDirectory directory;
  // The engine's own time is measured, whatever the disk takes.
  const std::unique_ptr<Ledger> ledger = OpenBenchLedger(directory.File("ledger"), Sync::kNone);
  SimulatedHost host(BigHostOptions(Clock::Real()));
  const std::unique_ptr<Runtime> runtime = StartRuntime(*ledger, host);
  std::vector<absl::Duration> took;
  for (int i = 0; i < guests; ++i) {
    const TenantId tenant = absl::StrCat("t-", i);
    AskAndWait(*runtime, CreateTenant{absl::StrCat("c-", i), tenant, "", "hash"});
    AskAndWait(*runtime, Deposit{absl::StrCat("d-", i), tenant, 1'000'000'000});
    const absl::Duration before = runtime->counters().handle_time;
    const GuestId guest = AskAndWait(*runtime, AdmitGuest{.request_id = absl::StrCat("a-", i),
                                                          .host_id = "h",
                                                          .tenant_id = tenant,
                                                          .name = absl::StrCat("g-", i),
                                                          .image = "image",
                                                          .seeds = {{ResourceKind::kMemory, 1}}})
                              .guest_id;
    took.push_back(runtime->counters().handle_time - before);
    AskAndWait(*runtime, PlaceBid{.request_id = absl::StrCat("b-", i),
                                  .guest_id = guest,
                                  .kind = ResourceKind::kMemory,
                                  .ranges = {{0, 4, 0, 600}}});
  }
  const std::vector<absl::Duration> first(took.begin(), took.begin() + 64);
  const std::vector<absl::Duration> last(took.end() - 64, took.end());
  Print(absl::StrCat("admission of guest ", guests, ", engine's time"),
        absl::StrFormat("%.3f ms", absl::ToDoubleMilliseconds(Median(last))),
        absl::StrFormat("of the first 64: %.3f ms", absl::ToDoubleMilliseconds(Median(first))),
        "0.2 ms");
}

}  // namespace nom::market
