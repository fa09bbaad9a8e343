// nomctl top: the live table, and the check of decided against measured that `./nom up` ends with.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/top_model.h"

namespace nom::cli {
namespace {

constexpr char kClearScreen[] = "\033[H\033[2J";
// How long the market may be away before top gives up.
constexpr int kAwayMsMax = 30'000;
constexpr int kAgainMsMin = 100;
constexpr int kAgainMsMax = 2'000;
constexpr int kRoundsPage = 20;

// Written to by the signal handler, which may do little else.
std::atomic<int> signal_pipe_write{-1};

void OnSignal(int) {
  const char byte = 1;
  // A full pipe has told already.
  [[maybe_unused]] const ssize_t written = write(signal_pipe_write.load(), &byte, 1);
}

// Turns the first SIGINT or SIGTERM into the end of whatever waits. A second one kills as usual.
class Stopper {
 public:
  Stopper() {
    if (pipe2(pipe_, O_CLOEXEC | O_NONBLOCK) != 0) {
      pipe_[0] = pipe_[1] = -1;  // No descriptors left: signals end the process at once.
      return;
    }
    signal_pipe_write = pipe_[1];
    struct sigaction action = {};
    action.sa_handler = OnSignal;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    watcher_ = std::thread([this] {
      pollfd entry{.fd = pipe_[0], .events = POLLIN, .revents = 0};
      while (poll(&entry, 1, -1) < 0) continue;  // Interrupted by a signal: it is in the pipe.
      std::lock_guard lock(mutex_);
      stopped_ = true;
      if (context_ != nullptr) context_->TryCancel();
    });
  }
  ~Stopper() {
    if (pipe_[0] < 0) return;
    OnSignal(0);
    watcher_.join();
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal_pipe_write = -1;
    close(pipe_[0]);
    close(pipe_[1]);
  }
  Stopper(const Stopper&) = delete;
  Stopper& operator=(const Stopper&) = delete;

  bool stopped() const {
    std::lock_guard lock(mutex_);
    return stopped_;
  }
  // What a signal is to cancel; null: nothing.
  void Guard(grpc::ClientContext* context) {
    std::lock_guard lock(mutex_);
    context_ = context;
    if (stopped_ && context_ != nullptr) context_->TryCancel();
  }
  // Waits so long, or until a signal.
  void Pause(int milliseconds) {
    pollfd entry{.fd = pipe_[0], .events = POLLIN, .revents = 0};
    poll(&entry, 1, milliseconds);
  }

 private:
  int pipe_[2] = {-1, -1};
  std::thread watcher_;
  mutable std::mutex mutex_;
  bool stopped_ = false;
  grpc::ClientContext* context_ = nullptr;
};

// What a market that restarts may say; anything else is an answer.
bool MayPass(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return true;
    default:
      return false;
  }
}

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
    int away_ms = 0;
    int again_ms = kAgainMsMin;
    while (!Finished()) {
      const uint64_t heard = heard_;
      const absl::Status status = FollowStream();
      if (Finished()) break;
      if (!MayPass(status)) return status;
      if (heard_ != heard) {
        away_ms = 0;
        again_ms = kAgainMsMin;
      }
      if (heard_ == 0 || away_ms >= kAwayMsMax) return status;  // It was never there, or is gone.
      out_.talk << "nomctl: the market is away (" << status.message() << "), trying again\n";
      stopper_.Pause(again_ms);
      away_ms += again_ms;
      again_ms = std::min(again_ms * 2, kAgainMsMax);
    }
    return Finish();
  }

 private:
  bool Finished() const {
    return stopper_.stopped() ||
           (arguments_.rounds > 0 && model_.rounds_settled() >= arguments_.rounds);
  }

  // Until the end of it all, or of the stream, which is the Status.
  absl::Status FollowStream() {
    grpc::ClientContext context;
    connection_.Prepare(context);
    stopper_.Guard(&context);
    market::v1::WatchRequest request;
    request.set_host_id(arguments_.host);
    request.set_after_sequence(sequence_);
    const auto stream = connection_.market().Watch(&context, request);
    market::v1::WatchResponse response;
    absl::Status rounds_status;
    while (!Finished() && stream->Read(&response)) {
      ++heard_;
      sequence_ = response.sequence();
      model_.OnWatch(response);
      rounds_status = TakeRounds();
      if (!rounds_status.ok()) break;
      Redraw();
    }
    context.TryCancel();
    const absl::Status status = client::ToAbsl(stream->Finish());
    stopper_.Guard(nullptr);
    if (!rounds_status.ok()) return rounds_status;
    return status.ok() ? absl::UnavailableError("the stream ended") : status;
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
    for (const market::v1::Round& round : model_.OnRounds(rounds)) {
      if (arguments_.rounds > 0 && shown_ >= arguments_.rounds) break;
      ++shown_;
      if (arguments_.check) model_.Check(round);
      if (out_.json) {
        if (absl::Status status = out_.Json(round, /*one_line=*/true); !status.ok()) return status;
        continue;
      }
      last_round_ = model_.FormatRound(round);
      if (!out_.terminal) {
        out_.data << last_round_ << '\n';
        out_.data.flush();
      }
    }
    return absl::OkStatus();
  }

  void Redraw() {
    if (!out_.terminal || out_.json) return;
    out_.data << kClearScreen << model_.FormatNow() << '\n'
              << (last_round_.empty() ? "no round has settled yet\n" : last_round_);
    out_.data.flush();
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
  Stopper stopper_;
  TopModel model_;
  uint64_t heard_ = 0;
  uint64_t sequence_ = 0;
  int64_t shown_ = 0;
  std::string last_round_;
};

}  // namespace

void AddTopCommand(CLI::App& app, Run& run) {
  auto arguments = std::make_shared<TopArguments>();
  CLI::App* top = app.add_subcommand(
      "top", "The live table: prices, and each guest's bid, grant decided and grant measured");
  top->add_option("--host", arguments->host, "The host; by default the only one");
  top->add_option("--rounds", arguments->rounds, "End after so many rounds have settled")
      ->check(CLI::PositiveNumber);
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
