// SPDX-License-Identifier: Apache-2.0
// nomctl top: the live table, and the check of decided against measured that `./nom up` ends with.

#include <unistd.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/follow.h"
#include "client/cli/options.h"
#include "client/cli/screen.h"
#include "client/cli/top_model.h"

namespace nom::cli {
namespace {

// How long the market may be away before top gives up.
constexpr absl::Duration kAwayMax = absl::Seconds(30);
constexpr int kRoundsPage = 20;
// Settled rounds that can be looked back at.
constexpr size_t kRoundsKept = 200;
constexpr char kFooter[] = "q quit   left/right older/newer round   up/down scroll";

struct TopArguments {
  std::string host;
  int64_t rounds = 0;  // 0: until told to stop.
  bool check = false;
};

class Top {
 public:
  Top(Connection& connection, const Output& out, TopArguments arguments)
      : connection_(connection), out_(out), arguments_(std::move(arguments)) {}

  absl::StatusOr<int> Run() {
    const bool drawn = out_.terminal && !out_.json;
    absl::Status status;
    {
      std::optional<Screen> screen;
      if (drawn) screen_ = &screen.emplace(out_.data);
      Stopper stopper(drawn && out_.keys ? Stopper::Terminal{.on_key = [this](Key k) { OnKey(k); },
                                                             .on_resize = [this] { Redraw(); }}
                                         : Stopper::Terminal());
      Following following;
      following.request.set_host_id(arguments_.host);
      following.on_response = [this](const market::v1::WatchResponse& response) {
        return OnResponse(response);
      };
      following.finished = [this] {
        return (arguments_.rounds > 0 && model_.rounds_settled() >= arguments_.rounds) ||
               !out_.data.good();
      };
      following.away_max = kAwayMax;
      std::ostringstream talk;  // What would be written over is told when the screen is left.
      const Output told{.data = out_.data, .talk = drawn ? talk : out_.talk};
      status = Follow(connection_, told, stopper, following);
      screen_ = nullptr;
      screen.reset();
      out_.talk << talk.str();
    }
    if (!status.ok()) return status;
    return Finish();
  }

 private:
  absl::Status OnResponse(const market::v1::WatchResponse& response) {
    {
      std::lock_guard lock(mutex_);
      model_.OnWatch(response);
    }
    if (absl::Status status = TakeRounds(); !status.ok()) return status;
    Redraw();
    return absl::OkStatus();
  }

  absl::Status TakeRounds() {
    market::v1::ListRoundsRequest request;
    request.set_host_id(model_.state().host_id());
    request.set_page_size(kRoundsPage);
    market::v1::ListRoundsResponse rounds;
    for (;;) {
      market::v1::ListRoundsResponse page;
      if (absl::Status status =
              connection_.Call(&market::v1::MarketService::Stub::ListRounds, request, &page);
          !status.ok()) {
        return status;
      }
      const bool more = model_.NeedsOlder(page);
      request.set_before_round_id(page.next_before_round_id());
      rounds.MergeFrom(page);
      if (!more) break;
    }
    std::lock_guard lock(mutex_);
    for (const market::v1::Round& round : model_.OnRounds(rounds)) {
      if (arguments_.rounds > 0 && shown_ >= arguments_.rounds) break;
      ++shown_;
      if (arguments_.check) model_.Check(round);
      if (out_.json) {
        if (absl::Status status = out_.Json(round, /*one_line=*/true); !status.ok()) return status;
        continue;
      }
      if (screen_ == nullptr) {
        out_.data << model_.FormatRound(round, out_.look) << '\n';
        out_.data.flush();
        continue;
      }
      kept_.push_back(round);
      if (back_ > 0) ++back_;  // Whoever looks at an old round goes on looking at it.
      if (kept_.size() > kRoundsKept) kept_.pop_front();
      back_ = std::min(back_, kept_.size() - 1);
    }
    return absl::OkStatus();
  }

  // By the stopper's thread.
  void OnKey(Key key) {
    {
      std::lock_guard lock(mutex_);
      const int page = std::max(1, SizeOf(STDOUT_FILENO).rows - 2);
      switch (key) {
        case Key::kUp:
          --top_;
          break;
        case Key::kDown:
          ++top_;
          break;
        case Key::kPageUp:
          top_ -= page;
          break;
        case Key::kPageDown:
          top_ += page;
          break;
        case Key::kLeft:
          if (back_ + 1 < kept_.size()) ++back_;
          break;
        case Key::kRight:
          if (back_ > 0) --back_;
          break;
        case Key::kHome:
          top_ = 0;
          break;
        case Key::kEnd:
          back_ = 0;
          break;
        case Key::kQuit:
          break;  // The stopper's.
      }
    }
    Redraw();
  }

  // By any thread.
  void Redraw() {
    std::lock_guard lock(mutex_);
    if (screen_ == nullptr) return;
    const ScreenSize size = SizeOf(STDOUT_FILENO);
    const Look look{.width = size.columns, .colour = out_.look.colour};
    std::string text = model_.FormatNow(look) + "\n";
    if (kept_.empty()) {
      text += "no round has settled yet\n";
    } else {
      text += model_.FormatRound(kept_[kept_.size() - 1 - back_], look);
    }
    screen_->Show(Picture(text, top_, size, kFooter));
  }

  absl::StatusOr<int> Finish() {
    if (arguments_.check) {
      operators::v1::ListHostsResponse hosts;
      operators::v1::AuditResponse audit;
      using OperatorStub = operators::v1::OperatorService::Stub;
      if (absl::Status status =
              connection_.Call(&OperatorStub::ListHosts, operators::v1::ListHostsRequest(), &hosts);
          !status.ok()) {
        return status;
      }
      if (absl::Status status =
              connection_.Call(&OperatorStub::Audit, operators::v1::AuditRequest(), &audit);
          !status.ok()) {
        return status;
      }
      model_.Check(hosts);
      model_.Check(audit);
    }
    (out_.json ? out_.talk : out_.data) << model_.FormatSummary(arguments_.check);
    return arguments_.check && !model_.good() ? kExitCheckFailed : kExitOk;
  }

  Connection& connection_;
  const Output& out_;
  const TopArguments arguments_;
  std::mutex mutex_;  // For what follows: keys come by another thread.
  TopModel model_;
  Screen* screen_ = nullptr;            // Null off a terminal.
  std::deque<market::v1::Round> kept_;  // Settled, oldest first.
  size_t back_ = 0;                     // Which of them is shown: so many before the newest.
  int top_ = 0;                         // The first line shown.
  int64_t shown_ = 0;
};

}  // namespace

void AddTopCommand(CLI::App& app, Run& run) {
  auto arguments = std::make_shared<TopArguments>();
  CLI::App* top = app.add_subcommand(
      "top", "The live table: prices, and each guest's bid, grant decided and grant measured");
  top->footer(
      "\nOn a terminal: q quits, left and right show older and newer rounds, up and down scroll.");
  top->add_option("--host", arguments->host, "The host; by default the only one");
  AddWhole(top, "--rounds", arguments->rounds, "End after so many rounds have settled", 1,
           kWholeMax);
  top->add_flag("--check", arguments->check,
                "Operators: at the end, fail (3) if a grant measured was not the grant decided, if "
                "more was ever granted than there is, or if the books do not balance");
  top->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return Top(connection, out, *arguments).Run();
    };
  });
}

}  // namespace nom::cli
