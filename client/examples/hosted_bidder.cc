// SPDX-License-Identifier: Apache-2.0
// Bids for a guest from outside of it: a renderer's office.
//
// The guest only renders: it turns processor time into work and reports how much it has done. This
// program has the orders: jobs with a size, a price and a deadline. Once a round it looks at what
// the guest has really done with what it held, works out how much more processor would keep its
// orders on time, and what that is worth, and bids for it; if the guest's own seed will do, it
// withdraws. It never tells the market more than the truth, nor spends more than --budget.
//
//   hosted_bidder --target localhost:7070 --token-file render.token --guest-name render

#include <signal.h>

#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/examples/job_queue.h"
#include "nom/adviser.h"
#include "nom/session.h"

namespace nom::examples {
namespace {

struct Options {
  SessionOptions session;
  std::string guest_name;
  uint64_t rounds = 0;  // 0: until SIGTERM.
  uint64_t seed = 1;
  int64_t job_value_microcredits = 400'000;
  int64_t job_unit_rounds = 120;  // A job's size: this many units of processor for one round.
};

// Wakes the main thread: rounds were decided, or it is time to go. The work is done there and not
// in the callback, so that later callbacks need not wait for it.
class Wake {
 public:
  void Decided(const Round& round) {
    std::lock_guard lock(mutex_);
    rounds_.push_back(round);
    condition_.notify_all();
  }
  void Stop() {
    std::lock_guard lock(mutex_);
    stop_ = true;
    condition_.notify_all();
  }
  // Those decided since, at least one; none: stop.
  std::vector<Round> WaitForRounds() {
    std::unique_lock lock(mutex_);
    condition_.wait(lock, [this] { return stop_ || !rounds_.empty(); });
    if (stop_) return {};
    return std::exchange(rounds_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  std::vector<Round> rounds_;
  bool stop_ = false;
};

const GuestStatus* Find(const std::vector<GuestStatus>& guests, const std::string& name) {
  for (const GuestStatus& guest : guests) {
    if (guest.name == name) return &guest;
  }
  return nullptr;
}

class Office {
 public:
  Office(Session& session, const Options& options)
      : session_(session), options_(options), chance_(options.seed) {}

  void OnRounds(const std::vector<Round>& rounds) {
    const MarketStatus market = session_.market();
    const std::vector<GuestStatus> guests = session_.guests();
    const GuestStatus* guest = Find(guests, options_.guest_name);
    if (guest == nullptr || guest->state != GuestState::kRunning) {
      std::cout << "round " << market.round_id << ": no running guest " << options_.guest_name
                << std::endl;
      last_.reset();
      return;
    }
    Grant cpu;
    for (const Grant& grant : guest->grants) {
      if (grant.resource == Resource::kCpu) cpu = grant;
    }
    Learn(market.round_id, *guest, cpu);
    // Each round with what was won in it: what is held now was won a round earlier.
    for (const Round& round : rounds) history_.Note(round, Resource::kCpu, guest->guest_id);
    std::string action = "learning what a unit does";
    if (work_per_unit_round_ > 0) {
      TakeOrders(market.round_id);
      action = Bid(market, *guest, cpu);
    }
    std::cout << "round " << market.round_id << ": holds " << cpu.units() << " cpu, "
              << queue_.size() << " jobs open, " << queue_.done() << " done, " << queue_.missed()
              << " missed, earned " << queue_.earned_microcredits() << ", spent "
              << guest->spent_microcredits << "; " << action << std::endl;
  }

 private:
  // What the guest has done since the last look, and with how much.
  void Learn(uint64_t round_id, const GuestStatus& guest, const Grant& cpu) {
    if (last_ && round_id > last_->first && guest.work_done >= last_->second && cpu.units() > 0) {
      const auto work = static_cast<double>(guest.work_done - last_->second);
      const double now =
          work / (static_cast<double>(cpu.units()) * static_cast<double>(round_id - last_->first));
      // Half old, half new: one odd round must not turn everything over.
      work_per_unit_round_ = work_per_unit_round_ > 0 ? (work_per_unit_round_ + now) / 2 : now;
      queue_.Advance(static_cast<int64_t>(guest.work_done - last_->second), round_id);
    }
    last_ = {round_id, guest.work_done};
  }

  void TakeOrders(uint64_t round_id) {
    if (job_work_ == 0) {
      // The office learns the size of its jobs once; afterwards a slow guest is a slow guest.
      job_work_ = std::max<int64_t>(
          1, std::llround(work_per_unit_round_ * static_cast<double>(options_.job_unit_rounds)));
    }
    // About two orders in three rounds, of half to one and a half of the usual size.
    if (std::uniform_int_distribution<>(0, 2)(chance_) == 0) return;
    const double size = std::uniform_real_distribution<>(0.5, 1.5)(chance_);
    const auto rounds = std::uniform_int_distribution<uint64_t>(3, 8)(chance_);
    queue_.Add(
        {.work_left = std::max<int64_t>(1, std::llround(size * static_cast<double>(job_work_))),
         .value_microcredits =
             std::llround(size * static_cast<double>(options_.job_value_microcredits)),
         .deadline_round_id = round_id + rounds});
  }

  std::string Bid(const MarketStatus& market, const GuestStatus& guest, const Grant& cpu) {
    int64_t supply = 0;
    for (const ResourceState& resource : market.resources) {
      if (resource.resource == Resource::kCpu) supply = resource.supply_units;
    }
    const std::optional<int64_t> price = session_.UnitPrice(Resource::kCpu);
    if (!price) return "processor time is not on sale";
    const std::vector<ValuePoint> worth =
        queue_.Valuation(market.round_id, cpu.seed_units, supply, work_per_unit_round_);
    // The hull, as the worth is nothing before the first job is in time. A share of what it asks
    // for is not lost here: what was worked with it is so much less to do in the rounds that are
    // left.
    const absl::StatusOr<Advice> advice = Advise(worth, {.shape = BidShape::kHull,
                                                         .unit_price_microcredits = *price,
                                                         .history = &history_,
                                                         .charge_rule = ChargeRule::kOnePrice});
    if (!advice.ok()) return std::string(advice.status().message());
    // Without ranges, where the seed will do, this withdraws.
    const absl::StatusOr<uint64_t> round =
        session_.Bid({.guest_id = guest.guest_id,
                      .resource = Resource::kCpu,
                      .ranges = advice->ranges,
                      .budget_microcredits = options_.session.budget_per_round_microcredits});
    if (!round.ok()) return absl::StrCat("cannot bid: ", round.status().message());
    if (advice->ranges.empty()) return "the seed will do, withdrew";
    return absl::StrCat("bids for up to ", advice->ranges.back().max_units, " more, ",
                        advice->best_units, " at the prices expected, for ",
                        advice->expected_charge_microcredits);
  }

  Session& session_;
  const Options& options_;
  JobQueue queue_;
  PriceHistory history_;
  std::mt19937_64 chance_;
  std::optional<std::pair<uint64_t, uint64_t>> last_;  // Round and work done at the last look.
  double work_per_unit_round_ = 0;
  int64_t job_work_ = 0;
};

// Whole numbers from 0 on, in decimal. CLI11 by itself takes 010 for 8 and 0x10 for 16, which is
// not what anybody means by a budget.
template <typename Number>
void AddNumber(CLI::App& app, const std::string& name, Number& value, const std::string& help) {
  app.add_option_function<std::string>(
      name,
      [&value, name](const std::string& text) {
        Number number = 0;
        if (text.find_first_not_of("0123456789") != std::string::npos ||
            !absl::SimpleAtoi(text, &number)) {
          throw CLI::ValidationError(name,
                                     "\"" + text + "\" is not a number that fits: digits only");
        }
        value = number;
      },
      help);
}

int Main(int argc, char** argv) {
  Options options;
  int64_t budget = 200'000;
  CLI::App app("Bids for a guest's processor time from outside, by its orders.", "hosted_bidder");
  app.add_option("--target", options.session.target, "The market")->required();
  app.add_option("--token-file", options.session.token_file, "A file with the tenant's token");
  app.add_option("--tls-roots", options.session.tls_roots_file, "Certificates for the market's");
  app.add_option("--guest-name", options.guest_name, "For which guest")->required();
  AddNumber(app, "--rounds", options.rounds, "End after so many rounds");
  AddNumber(app, "--seed", options.seed, "Of the orders that come in");
  AddNumber(app, "--budget", budget, "The most to spend in a round, micro-credits");
  CLI11_PARSE(app, argc, argv);
  options.session.budget_per_round_microcredits = budget;
  options.session.plaintext =
      options.session.tls_roots_file.empty() && PlaintextAllowed(options.session.target);

  // Signals are waited for by a thread of their own; the session's threads take none.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGUSR1);  // The program's own: its rounds are over.
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  Wake wake;
  std::thread signal_thread([&] {
    int signal = 0;
    sigwait(&signals, &signal);
    wake.Stop();
  });

  int code = 0;
  absl::StatusOr<std::unique_ptr<Session>> session = Session::Connect(options.session);
  if (!session.ok()) {
    std::cerr << "hosted_bidder: " << session.status().message() << '\n';
    code = 1;
  } else {
    (*session)->OnRound([&](const Round& round) { wake.Decided(round); });
    (*session)->OnBidEvent([](const BidEvent& event) {
      std::cerr << "hosted_bidder: the bid for guest " << event.bid.guest_id << ": "
                << BidChangeName(event.change) << ": " << event.status.message() << '\n';
    });
    (*session)->OnStale([](const Staleness& staleness) {
      std::cerr << "hosted_bidder: " << (staleness.stale ? "safe mode: " : "fresh: ")
                << staleness.reason << '\n';
    });
    // A guest of a Linux host has them from its board, any other program over the line.
    std::cout << "prices come "
              << ((*session)->counters().prices_from_board != 0 ? "from the board"
                                                                : "over the line")
              << std::endl;
    Office office(**session, options);
    for (uint64_t round = 0; options.rounds == 0 || round < options.rounds; ++round) {
      const std::vector<Round> rounds = wake.WaitForRounds();
      if (rounds.empty()) break;
      office.OnRounds(rounds);
    }
    const absl::Status closed = (*session)->Close({.bids = CloseOptions::Bids::kWithdraw});
    if (!closed.ok()) std::cerr << "hosted_bidder: " << closed.message() << '\n';
    session->reset();  // Before `wake`, which its callbacks use.
  }
  pthread_kill(signal_thread.native_handle(), SIGUSR1);
  signal_thread.join();
  return code;
}

}  // namespace
}  // namespace nom::examples

int main(int argc, char** argv) {
  try {
    return nom::examples::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hosted_bidder: %s\n", error.what());
    return 1;
  }
}
