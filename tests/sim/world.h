// SPDX-License-Identifier: Apache-2.0
// A whole market in one thread: engine, ledger, simulated hosts and a clock that stands still until
// it is told to move. Nothing waits, nothing races; the same calls give the same history.

#ifndef TESTS_SIM_WORLD_H_
#define TESTS_SIM_WORLD_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "marketd/base/clock.h"
#include "marketd/base/random.h"
#include "marketd/host/simulated/simulated_host.h"
#include "marketd/ledger/sqlite/sqlite_ledger.h"
#include "marketd/market/engine.h"

namespace nom::market {

// A directory that goes when it does.
class TempDirectory {
 public:
  TempDirectory();
  ~TempDirectory();
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

class World {
 public:
  struct Options {
    MarketConfig config;
    std::map<HostId, SimulatedHostOptions> hosts;  // Their clock is set to the world's.
    ClearFunctions clear;
    // The ledger at a path, made or opened; empty: in SQLite.
    std::function<std::unique_ptr<Ledger>(const std::string& path)> open_ledger;
    // Once in so many: a commit fails, and the process with it; the process dies when a host has
    // done what it was told, before anybody heard of it; a command is late by up to a period; the
    // engine is late by up to two seconds.
    uint64_t commit_fails = 0;
    // The disk is full or broken in the middle of a commit (failing_vfs.h): the process ends, and
    // finds a good disk when it starts again.
    uint64_t disk_fails = 0;
    uint64_t dies_after_command = 0;
    uint64_t command_late = 0;
    uint64_t engine_late = 0;
    // A host says of its meters and guests what is not so.
    uint64_t host_lies = 0;
    // Rounds are cleared beside the engine, and that takes up to this long, or, once in so many
    // rounds, longer than there is time for.
    bool clears_beside = false;
    absl::Duration clearing_takes;
    uint64_t clearing_late = 0;
    uint64_t seed = 1;
  };

  explicit World(Options options);

  // Moves the clocks, ticking and polling as the runtime would, in steps of at most `step`.
  void Run(absl::Duration by, absl::Duration step = absl::Milliseconds(500));
  // Runs until the host has decided, or settled, this many more rounds; false after `patience`.
  bool RunUntil(const std::function<bool()>& done, absl::Duration patience);
  // Time passes, and the process does nothing meanwhile: it was stopped, or the engine is late.
  void Stall(absl::Duration by) {
    clock.Advance(by);
    machine_clock_.Advance(by);
  }
  // The engine's clock is set, either way; the machines' own clocks go on as ever.
  void Step(absl::Duration by) { clock.Advance(by); }
  // Lets everything happen that can happen without time passing.
  void Settle();

  // Asks, and runs until it is answered.
  Reply Ask(const Caller& caller, Call call);
  Reply AskAsOperator(Call call) { return Ask(Caller{.is_operator = true}, std::move(call)); }
  CallId Post(const Caller& caller, Call call);
  std::optional<Reply> AnswerTo(CallId call_id) const;

  // Hands an event to the engine as a host would.
  void Tell(const HostId& host_id, HostNews news);

  // The process dies (answers not yet given are lost) and starts again from the ledger, after
  // `down`.
  void Restart(absl::Duration down = absl::ZeroDuration());
  // The process dies, somebody else writes one transaction into the ledger, and it starts again.
  void WriteWhileDown(const std::function<void(Scribe&)>& write);
  // The process dies at the next transaction of this kind, before it is committed.
  void DieBefore(const std::string& transaction_kind) { die_before_ = transaction_kind; }

  // The commit of the next transaction of this kind meets a disk that is full, or broken: the
  // process ends, and finds a good disk when it starts again.
  void FailDiskAt(const std::string& transaction_kind, bool is_full) {
    fail_disk_at_ = transaction_kind;
    disk_is_full_ = is_full;
  }

  SimulatedHost& host(const HostId& host_id) { return *hosts_.at(host_id); }
  // Another machine; the config has to name it, too.
  void AddHost(const HostId& host_id, SimulatedHostOptions options);
  MarketConfig& config() { return options_.config; }  // A change is seen after Restart().
  const State& state() const { return engine_->state(); }
  const View& view() const { return *view_; }
  Ledger& ledger() { return *ledger_; }
  std::string ledger_path() const { return directory_.File("market.ledger"); }

  SimulatedClock clock;
  // Called with each transaction as the engine makes it, before it is committed.
  std::function<void(const Transaction&)> on_transaction;
  // Called when a process has begun anew, with the state that it found.
  std::function<void()> on_start;
  // Refusals by hosts of what the engine commanded, but for injected ones.
  std::vector<std::string> refusals;
  int restarts = 0;
  int disk_failures = 0;  // Commits that the disk did not take.
  int lies = 0;
  uint64_t trace = 0;  // A hash of all transactions, replies and commands.

 private:
  struct Command {
    HostCommand command;
    absl::Time not_before;
  };

  struct Clearing {
    ClearRequest request;
    absl::Time not_before;
  };

  void Handle(const Event& event);
  bool RunClearings();
  bool CommitPending();
  bool RunCommands();
  void PollHosts();
  void Open();
  std::unique_ptr<Ledger> OpenLedger() const;
  bool DiesNow();
  // What is committed now meets a disk that fails, or does not; mends it afterwards.
  absl::Status CommitOnDisk(const std::vector<Transaction>& group);
  void Lie(HostCommandDone& done);

  Options options_;
  SimulatedClock machine_clock_;  // Of all machines: nobody sets it.
  std::string die_before_;
  std::string fail_disk_at_;
  bool disk_is_full_ = false;
  Random random_;
  TempDirectory directory_;
  std::unique_ptr<Ledger> ledger_;
  std::map<HostId, std::unique_ptr<SimulatedHost>> hosts_;
  std::unique_ptr<Engine> engine_;
  std::vector<Transaction> pending_;
  std::map<HostId, std::deque<Command>> commands_;
  std::deque<Clearing> clearings_;
  std::map<CallId, Reply> answers_;
  std::shared_ptr<const View> view_;
  CallId next_call_id_ = 1;
  uint64_t events_ = 0;
  absl::Time next_tick_ = absl::InfinitePast();
  absl::Time handled_at_ = absl::InfinitePast();
  bool died_ = false;
  uint64_t acknowledged_ = 0;  // All up to this transaction must be there whatever happens.
};

// Money and grants, after anything has happened: every promise that can be checked at any instant.
// Empty, or what is wrong.
std::string CheckBooks(const State& state);

// A host with cpu under uniform_price/1 and memory under mpsp/1.
HostConfig TestHostConfig(const HostId& host_id, absl::Duration period);
SimulatedHostOptions TestHostOptions(uint64_t seed);

}  // namespace nom::market

#endif  // TESTS_SIM_WORLD_H_
