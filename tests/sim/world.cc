// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/world.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/market/billing.h"
#include "marketd/market/carry_out.h"
#include "tests/sim/failing_vfs.h"

namespace nom::market {
namespace {

// A look at all promises goes through all that there is.
constexpr uint64_t kEventsBetweenLooks = 50;

uint64_t Fold(uint64_t hash, absl::string_view text) {
  return Mix64(Hash64(std::string_view(text.data(), text.size()), hash));
}

}  // namespace

TempDirectory::TempDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "nom-test-XXXXXX").string();
  NOM_CHECK(mkdtemp(pattern.data()) != nullptr, "no temporary directory");
  path_ = pattern;
}

TempDirectory::~TempDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

World::World(Options options) : options_(std::move(options)), random_(Mix64(options_.seed)) {
  if (options_.disk_fails != 0) FailingDisk::Get();  // Before the ledger's files are opened.
  for (const auto& [host_id, host] : options_.hosts) AddHost(host_id, host);
  Open();
}

void World::AddHost(const HostId& host_id, SimulatedHostOptions options) {
  options.clock = &machine_clock_;
  hosts_[host_id] = std::make_unique<SimulatedHost>(std::move(options));
}

std::unique_ptr<Ledger> World::OpenLedger() const {
  if (options_.open_ledger) return options_.open_ledger(ledger_path());
  auto ledger = OpenSqliteLedger(
      {.path = ledger_path(), .sync_to_disk = false, .check_bytes_max = int64_t{1} << 18});
  NOM_CHECK(ledger.ok(), ledger.status().ToString());
  return *std::move(ledger);
}

void World::Open() {
  ledger_ = OpenLedger();
  absl::StatusOr<State> state = ledger_->Load({});
  NOM_CHECK(state.ok(), state.status().ToString());
  NOM_CHECK(state->last_transaction_id >= acknowledged_,
            absl::StrCat("transaction ", acknowledged_,
                         " was acknowledged, and the ledger ends at ", state->last_transaction_id));
  engine_ = std::make_unique<Engine>(
      options_.config, *std::move(state), options_.clear,
      options_.clears_beside ? Engine::Clearing::kBeside : Engine::Clearing::kInHandle);
  if (on_start) on_start();
  Handle(Tick{});
}

void World::Restart(absl::Duration down) {
  ++restarts;
  Stall(down);
  die_before_.clear();
  died_ = false;
  pending_.clear();
  commands_.clear();
  clearings_.clear();
  answers_.clear();
  engine_.reset();
  ledger_.reset();
  Open();
  Settle();
}

void World::WriteWhileDown(const std::function<void(Scribe&)>& write) {
  Settle();
  engine_.reset();
  ledger_.reset();
  {
    const std::unique_ptr<Ledger> ledger = OpenLedger();
    absl::StatusOr<State> state = ledger->Load({});
    NOM_CHECK(state.ok(), state.status().ToString());
    Scribe scribe(*state, clock.Now(), "written by a test");
    write(scribe);
    const absl::Status status = ledger->Commit({}, {std::move(scribe).Finish()});
    NOM_CHECK(status.ok(), status.ToString());
  }
  Restart();
}

void World::Handle(const Event& event) {
  handled_at_ = clock.Now();
  Effects effects = engine_->Handle(event, handled_at_);
  next_tick_ = effects.next_tick;
  if (++events_ % kEventsBetweenLooks == 0) {
    const std::string wrong = engine_->FirstBrokenPromise();
    NOM_CHECK(wrong.empty(), wrong);
  }
  for (Transaction& transaction : effects.transactions) {
    trace = Fold(trace, absl::StrCat(transaction.transaction_id, transaction.kind,
                                     absl::ToUnixMicros(transaction.time)));
    for (const Entry& entry : transaction.entries) {
      trace = Fold(trace, absl::StrCat(entry.from.owner, static_cast<int>(entry.from.kind),
                                       entry.to.owner, static_cast<int>(entry.to.kind),
                                       entry.guest_id, entry.amount_microcredits));
    }
    if (on_transaction) on_transaction(transaction);
    pending_.push_back(std::move(transaction));
  }
  for (ReplyEffect& reply : effects.replies) {
    trace = Fold(trace, absl::StrCat(reply.call_id, reply.reply.status.ToString()));
    answers_[reply.call_id] = std::move(reply.reply);
  }
  for (HostCommand& command : effects.commands) {
    trace = Fold(trace, absl::StrCat(command.command_id, command.command.index()));
    Command late{std::move(command), clock.Now()};
    if (random_.OneIn(options_.command_late)) {
      const HostId& host_id = late.command.host_id;
      for (const HostConfig& host : options_.config.hosts) {
        if (host.host_id == host_id) {
          late.not_before +=
              absl::Milliseconds(random_.Uniform(0, absl::ToInt64Milliseconds(host.period)));
        }
      }
    }
    commands_[late.command.host_id].push_back(std::move(late));
  }
  for (ClearRequest& request : effects.clearings) {
    absl::Duration takes =
        absl::Microseconds(random_.Uniform(0, absl::ToInt64Microseconds(options_.clearing_takes)));
    if (random_.OneIn(options_.clearing_late)) takes += absl::Seconds(2);
    clearings_.push_back({std::move(request), clock.Now() + takes});
  }
  if (effects.view != nullptr) view_ = std::move(effects.view);
}

bool World::RunClearings() {
  for (auto it = clearings_.begin(); it != clearings_.end(); ++it) {
    if (it->not_before > clock.Now()) continue;
    const ClearRequest request = std::move(it->request);
    clearings_.erase(it);
    Handle(ClearDone{request.host_id, request.clear_id, Decide(*request.snapshot, options_.clear)});
    return true;
  }
  return false;
}

bool World::CommitPending() {
  if (pending_.empty()) return false;
  if (DiesNow()) {
    died_ = true;
    return false;
  }
  if (random_.OneIn(options_.commit_fails)) {
    died_ = true;
    // Half of the failures come after the ledger has taken a part of it, or all.
    const auto kept =
        static_cast<size_t>(random_.Uniform(0, static_cast<int64_t>(pending_.size())));
    if (kept > 0) {
      const absl::Status status = ledger_->Commit({}, absl::MakeSpan(pending_).subspan(0, kept));
      NOM_CHECK(status.ok(), status.ToString());
    }
    return false;
  }
  const std::vector<Transaction> group = std::exchange(pending_, {});
  if (!CommitOnDisk(group).ok()) {
    died_ = true;
    return false;
  }
  acknowledged_ = group.back().transaction_id;
  Handle(CommitDone{group.back().transaction_id});
  return true;
}

absl::Status World::CommitOnDisk(const std::vector<Transaction>& group) {
  const bool is_meant = !fail_disk_at_.empty() &&
                        std::any_of(group.begin(), group.end(), [this](const Transaction& t) {
                          return t.kind == fail_disk_at_;
                        });
  const bool may_fail = is_meant || random_.OneIn(options_.disk_fails);
  if (is_meant) {
    fail_disk_at_.clear();
    FailingDisk::Get().Break(
        {.ops = kDiskWrites, .nth = 1, .is_full = disk_is_full_, .for_good = true});
  } else if (may_fail) {
    FailingDisk::Get().Break({.ops = kDiskWrites,
                              .nth = random_.Uniform(1, 12),
                              .is_full = random_.OneIn(2),
                              .for_good = random_.OneIn(2)});
  }
  const absl::Status status = ledger_->Commit({}, group);
  if (may_fail) {
    FailingDisk::Get().Mend();
    if (!status.ok()) ++disk_failures;
  }
  NOM_CHECK(status.ok() || may_fail, status.ToString());
  return status;
}

namespace {

// As no meter counts: back, far ahead, of nobody, or not at all.
void LieAbout(std::vector<GuestMeters>& meters, Random& random) {
  if (meters.empty() || random.OneIn(4)) {
    meters.push_back(
        GuestMeters{.guest_id = ~uint64_t{0}, .age_us = random.Uniform(-9, 9'000'000)});
    return;
  }
  const auto at = random.Uniform(0, static_cast<int64_t>(meters.size()) - 1);
  GuestMeters& one = meters[static_cast<size_t>(at)];
  switch (random.Uniform(0, 4)) {
    case 0:
      meters.erase(meters.begin() + at);
      return;
    case 1:
      one.age_us = random.Uniform(-5, one.age_us);
      return;
    case 2:
      one.alive_us = static_cast<int64_t>(random.Next());
      return;
    case 3:
      one.age_us = static_cast<int64_t>(random.Next() >> 1);
      return;
    default:
      for (GuestMeters::Amount& amount : one.amounts) {
        amount.offered_unit_us = random.Next() >> random.Uniform(0, 63);
        amount.used_unit_us = random.Next() >> random.Uniform(0, 63);
      }
  }
}

}  // namespace

void World::Lie(HostCommandDone& done) {
  ++lies;
  LieAbout(done.report.meters, random_);
  LieAbout(done.facts.applied_meters, random_);
  if (random_.OneIn(2)) {
    done.meters.age_us = static_cast<int64_t>(random_.Next());
    done.meters.alive_us = static_cast<int64_t>(random_.Next());
  }
  done.report.forced_units = static_cast<int64_t>(random_.Next());
  for (std::vector<HostSum>* sums : {&done.report.sums, &done.facts.sums}) {
    for (HostSum& sum : *sums) sum.granted_units = static_cast<int64_t>(random_.Next());
  }
  if (random_.OneIn(3)) {
    done.facts.guests.push_back(HostGuest{.guest_id = ~uint64_t{0} - random_.Next() % 3});
  }
}

bool World::DiesNow() {
  return !die_before_.empty() &&
         std::any_of(pending_.begin(), pending_.end(),
                     [this](const Transaction& t) { return t.kind == die_before_; });
}

bool World::RunCommands() {
  bool any = false;
  for (auto& [host_id, queue] : commands_) {
    while (!queue.empty() && queue.front().not_before <= clock.Now()) {
      const HostCommand command = std::move(queue.front().command);
      queue.pop_front();
      HostCommandDone done = CarryOut(*hosts_.at(host_id), command, clock.Now(), /*head=*/nullptr);
      const std::string said = done.status.ToString();
      if (!done.status.ok() && !absl::IsUnavailable(done.status) &&
          !absl::StrContains(said, "is not one") && !absl::StrContains(said, "apply refused") &&
          !absl::StrContains(said, "no guest")) {
        refusals.push_back(said);
      }
      any = true;
      if (random_.OneIn(options_.dies_after_command)) {
        died_ = true;
        return true;
      }
      if (random_.OneIn(options_.host_lies)) Lie(done);
      Handle(std::move(done));
      break;  // A commit may come between any two.
    }
  }
  return any;
}

void World::PollHosts() {
  for (auto& [host_id, host] : hosts_) {
    for (HostNews& news : host->Poll()) Handle(HostNewsEvent{host_id, std::move(news)});
  }
}

void World::Settle() {
  for (int i = 0;; ++i) {
    NOM_CHECK(i < 1'000'000, "the market never comes to rest");
    const bool committed = CommitPending();
    if (died_) {
      Restart();
      return;
    }
    const bool ran = RunClearings() || RunCommands();
    if (died_) {
      Restart();
      return;
    }
    if (!committed && !ran && pending_.empty()) return;
  }
}

void World::Run(absl::Duration by, absl::Duration step) {
  const absl::Time end = clock.Now() + by;
  if (clock.Now() < handled_at_) Handle(Tick{});
  Settle();
  while (clock.Now() < end) {
    absl::Time next = std::min(end, clock.Now() + step);
    if (next_tick_ > clock.Now()) next = std::min(next, next_tick_);
    absl::Duration late;
    if (random_.OneIn(options_.engine_late)) {
      late = absl::Milliseconds(random_.Uniform(0, 2'000));
    }
    Stall(next + late - clock.Now());
    PollHosts();
    if (clock.Now() >= next_tick_ || clock.Now() < handled_at_) Handle(Tick{});
    Settle();
  }
}

bool World::RunUntil(const std::function<bool()>& done, absl::Duration patience) {
  const absl::Time end = clock.Now() + patience;
  while (!done()) {
    if (clock.Now() >= end) return false;
    Run(absl::Milliseconds(100));
  }
  return true;
}

CallId World::Post(const Caller& caller, Call call) {
  const CallId id = next_call_id_++;
  Handle(CallEvent{.call_id = id, .caller = caller, .call = std::move(call)});
  return id;
}

std::optional<Reply> World::AnswerTo(CallId call_id) const {
  const auto it = answers_.find(call_id);
  if (it == answers_.end()) return std::nullopt;
  return it->second;
}

Reply World::Ask(const Caller& caller, Call call) {
  const int before = restarts;
  const CallId id = Post(caller, std::move(call));
  Settle();
  for (int i = 0; !answers_.contains(id); ++i) {
    if (restarts != before) return Reply{.status = absl::UnavailableError("the market restarted")};
    if (i > 10'000) return Reply{.status = absl::DeadlineExceededError("no answer")};
    Run(absl::Milliseconds(100));
  }
  return answers_.at(id);
}

void World::Tell(const HostId& host_id, HostNews news) {
  Handle(HostNewsEvent{host_id, std::move(news)});
  Settle();
}

std::string CheckBooks(const State& state) {
  std::map<Owner, Microcredits> escrow;
  for (const auto& [host_id, book] : state.hosts) {
    if (book.open_rounds.size() > 2) return absl::StrCat(host_id, ": more than two open rounds");
  }
  for (const auto& [contract_id, contract] : state.contracts.all()) {
    escrow[contract.tenant_id] += contract.escrow_microcredits;
    const auto guest = state.guests.find(contract.guest_id);
    if (guest == state.guests.end() || guest->second.tenant_id != contract.tenant_id) {
      return absl::StrCat("contract ", contract_id, " is nobody's");
    }
    const auto& rounds = state.hosts.at(guest->second.host_id).open_rounds;
    const auto covered = std::count_if(
        rounds.begin(), rounds.end(),
        [&open = contract](const auto& round) { return IsToBeBilled(round.second, open); });
    if (guest->second.state == GuestState::kEnded || guest->second.state == GuestState::kEvicting) {
      continue;  // Not covered for another round.
    }
    // One that was sold forward keeps the fee for leaving it, and before it begins its first round.
    const Microcredits needed = covered * ChargeOf(contract);
    const bool is_enough = IsForward(contract) ? contract.escrow_microcredits >= needed
                                               : contract.escrow_microcredits == needed;
    const bool is_to_come = covered == 0 && contract.escrow_microcredits == ChargeOf(contract);
    if (!is_enough && !is_to_come) {
      return absl::StrCat("contract ", contract_id, ": ", contract.escrow_microcredits,
                          " is set aside, for ", covered, " rounds at ", ChargeOf(contract));
    }
  }
  Microcredits sum = 0;
  for (const auto& [owner, purse] : state.purses) {
    if (purse.available < 0 || purse.escrow < 0 || purse.arrears > 0) {
      return absl::StrCat(owner, ": a balance is on the wrong side of zero");
    }
    for (int k = 1; k <= kAccountKindsCount; ++k) sum += purse[static_cast<AccountKind>(k)];
    if (purse.available + purse.escrow + purse.arrears + purse.transit + purse.revenue !=
        purse.deposited - purse.spent + purse.earned) {
      return absl::StrCat(owner, ": holds what nobody gave it");
    }
    if (purse.escrow != escrow[owner]) {
      return absl::StrCat(owner, ": ", purse.escrow, " in escrow, ", escrow[owner],
                          " in open contracts");
    }
  }
  return sum == 0 ? "" : "the accounts of all owners do not sum to zero";
}

HostConfig TestHostConfig(const HostId& host_id, absl::Duration period) {
  HostConfig host;
  host.host_id = host_id;
  host.kind = "simulated";
  host.SetPeriod(period);
  host.resources = {{.kind = ResourceKind::kCpu,
                     .unit_size = 10,
                     .rule = "uniform_price/1",
                     .reserve_unit_price_microcredits = 1'000,
                     .seed_rent_unit_price_microcredits = 100},
                    {.kind = ResourceKind::kMemory,
                     .unit_size = 1 << 20,
                     .rule = "mpsp/1",
                     .reserve_unit_price_microcredits = 500,
                     .reclaim_penalty_microcredits = 50,
                     .seed_rent_unit_price_microcredits = 40}};
  return host;
}

SimulatedHostOptions TestHostOptions(uint64_t seed) {
  SimulatedHostOptions options;
  options.capacities = {{ResourceKind::kCpu, 3'000}, {ResourceKind::kMemory, int64_t{256} << 20}};
  options.seed = seed;
  return options;
}

}  // namespace nom::market
