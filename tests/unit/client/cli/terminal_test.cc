// SPDX-License-Identifier: Apache-2.0
// nomctl on a terminal: a pseudo-terminal, and a picture of what stands on it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/unit/client/fake_market.h"

namespace nom::client_test {
namespace {

namespace pb = market::v1;
using ::testing::HasSubstr;
using ::testing::Not;

// As much of a terminal as nomctl uses. What it does not know is a failure: nothing else may be
// sent. Lines that leave at the top are counted, for top must never scroll.
class Picture {
 public:
  Picture(int columns, int rows)
      : columns_(static_cast<size_t>(columns)), lines_(static_cast<size_t>(rows)) {}

  void Take(const std::string& bytes) {
    pending_ += bytes;
    size_t at = 0;
    while (at < pending_.size()) {
      const size_t taken = TakeOne(at);
      if (taken == 0) break;  // The rest of a sequence is still to come.
      at += taken;
    }
    pending_.erase(0, at);
  }
  std::string text() const { return absl::StrJoin(lines_, "\n"); }
  bool alternate() const { return alternate_; }
  bool coloured() const { return coloured_; }
  int scrolled() const { return scrolled_; }
  int escapes() const { return escapes_; }

 private:
  size_t TakeOne(size_t at) {
    const char c = pending_[at];
    if (c == '\r') {
      column_ = 0;
    } else if (c == '\n') {
      if (row_ + 1 < lines_.size()) {
        ++row_;
      } else {
        lines_.erase(lines_.begin());
        lines_.emplace_back();
        ++scrolled_;
      }
    } else if (c == '\033') {
      std::smatch match;
      const std::string rest = pending_.substr(at);
      static const std::regex sequence("^\033\\[([?0-9;]*)([A-Za-z])");
      if (!std::regex_search(rest, match, sequence)) return 0;
      Obey(match[1], match[2].str()[0]);
      return static_cast<size_t>(match[0].length());
    } else {
      EXPECT_LT(column_, columns_) << "a line is wider than the terminal: " << lines_[row_];
      std::string& line = lines_[row_];
      if (line.size() <= column_) line.resize(column_ + 1, ' ');
      line[column_++] = c;
    }
    return 1;
  }
  void Obey(const std::string& parameters, char command) {
    ++escapes_;
    if (command == 'H' && parameters.empty()) {
      row_ = column_ = 0;
    } else if (command == 'K') {
      lines_[row_].resize(std::min(lines_[row_].size(), column_));
    } else if (command == 'J' && parameters.empty()) {
      for (size_t row = row_ + 1; row < lines_.size(); ++row) lines_[row].clear();
    } else if (parameters == "?1049") {
      alternate_ = command == 'h';
      for (std::string& line : lines_) line.clear();
      row_ = column_ = 0;
    } else if (command == 'm') {
      coloured_ = true;
    } else {
      EXPECT_EQ(parameters, "?25") << "an escape that is not expected, ending in " << command;
    }
  }

  const size_t columns_;
  std::vector<std::string> lines_;
  std::string pending_;
  size_t row_ = 0;
  size_t column_ = 0;
  bool alternate_ = false;
  bool coloured_ = false;
  int scrolled_ = 0;
  int escapes_ = 0;
};

class TerminalTest : public ::testing::Test {
 protected:
  TerminalTest() { Publish(6, {}); }
  ~TerminalTest() override {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    if (terminal_ >= 0) close(terminal_);
  }

  static pb::Round Settled(uint64_t round_id) {
    pb::Round round;
    round.set_round_id(round_id);
    round.set_host_id("m1");
    round.set_phase(pb::ROUND_PHASE_SETTLED);
    pb::GuestOutcome* outcome = round.add_outcomes();
    outcome->set_guest_id(3);
    outcome->set_kind(pb::RESOURCE_KIND_CPU);
    outcome->set_seed_units(10);
    outcome->set_settled(true);
    outcome->set_delivered_milliunits(10'000);
    return round;
  }
  void Publish(uint64_t round_id, const std::vector<uint64_t>& settled_newest_first) {
    pb::ListRoundsResponse rounds;
    for (const uint64_t id : settled_newest_first) *rounds.add_rounds() = Settled(id);
    market_.Configure([&](FakeMarket& market) { market.rounds = rounds; });
    pb::WatchResponse response;
    response.set_sequence(round_id);
    *response.mutable_state() = MakeState(round_id, 120, 20, absl::Now() + absl::Hours(1));
    pb::GuestInfo* guest = response.add_guests();
    *guest = MakeGuest(3, "cache");
    guest->set_activity("does something that takes very many words to say what it is");
    market_.SetRound(round_id);
    market_.Publish(response);
  }

  // Starts nomctl on a terminal of that size.
  void Start(std::vector<std::string> arguments, int columns, int rows,
             std::vector<std::string> environment = {}) {
    picture_ = std::make_unique<Picture>(columns, rows);
    arguments.insert(arguments.begin(), NOM_NOMCTL);
    environment.push_back("NOM_TARGET=" + market_.target());
    environment.emplace_back("TERM=xterm");
    environment.emplace_back("TSAN_OPTIONS=ignore_noninstrumented_modules=1");
    const auto pointers = [](std::vector<std::string>& texts) {
      std::vector<char*> out;
      for (std::string& text : texts) out.push_back(text.data());
      out.push_back(nullptr);
      return out;
    };
    const std::vector<char*> argv = pointers(arguments);
    const std::vector<char*> envp = pointers(environment);
    winsize size = {};
    size.ws_col = static_cast<unsigned short>(columns);
    size.ws_row = static_cast<unsigned short>(rows);
    pid_ = forkpty(&terminal_, nullptr, nullptr, &size);
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      execve(argv[0], argv.data(), envp.data());
      _exit(127);
    }
    tcgetattr(terminal_, &before_);
  }
  void Type(const std::string& keys) {
    ASSERT_EQ(write(terminal_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  // Reads what is drawn until `text` stands there; a picture that never comes ends by the test's
  // time limit.
  void WaitFor(const std::string& text) {
    while (picture_->text().find(text) == std::string::npos) {
      if (!ReadSome()) FAIL() << "ended without \"" << text << "\":\n" << picture_->text();
    }
  }
  int WaitForEnd() {
    while (ReadSome()) continue;
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  bool ReadSome() {
    char buffer[4096];
    const ssize_t count = read(terminal_, buffer, sizeof buffer);
    if (count <= 0) return false;  // EIO: the program has ended.
    picture_->Take(std::string(buffer, static_cast<size_t>(count)));
    return true;
  }

  FakeMarket market_;
  std::unique_ptr<Picture> picture_;
  termios before_ = {};
  pid_t pid_ = -1;
  int terminal_ = -1;
};

TEST_F(TerminalTest, TopRedrawsObeysKeysAndLeavesTheTerminalAsItWas) {
  Publish(6, {5});
  Start({"top"}, 80, 12);
  WaitFor("no round has settled yet");
  WaitFor("q quit");
  EXPECT_TRUE(picture_->alternate());
  EXPECT_TRUE(picture_->coloured());
  Publish(7, {6, 5});
  WaitFor("round 6 of m1");
  Publish(8, {7, 6, 5});
  WaitFor("round 7 of m1");
  EXPECT_THAT(picture_->text(), Not(HasSubstr("round 6 of m1"))) << "drawn over, not below";
  Type("\033[D");  // Left: the round before.
  WaitFor("round 6 of m1");
  Publish(9, {8, 7, 6, 5});
  WaitFor("round 9 collect");
  WaitFor("q quit");  // To the end of the picture.
  EXPECT_THAT(picture_->text(), HasSubstr("round 6 of m1")) << "who looks back goes on looking";
  Type("\033[C");
  WaitFor("round 7 of m1");
  Type("\033[F");  // End: the newest.
  WaitFor("round 8 of m1");
  EXPECT_EQ(picture_->scrolled(), 0);
  Type("q");
  EXPECT_EQ(WaitForEnd(), 0);
  EXPECT_FALSE(picture_->alternate());
  EXPECT_THAT(picture_->text(), HasSubstr("summary: 3 rounds settled"));
  termios after = {};
  ASSERT_EQ(tcgetattr(terminal_, &after), 0);
  EXPECT_EQ(after.c_lflag, before_.c_lflag) << "echo and line editing are back";
}

TEST_F(TerminalTest, TopScrollsWhatDoesNotFit) {
  Publish(6, {5});
  Start({"top"}, 80, 6);
  WaitFor("no round has settled yet");
  Publish(7, {6, 5});
  WaitFor("round 6 of m1");
  EXPECT_THAT(picture_->text(), HasSubstr("host m1, round 7"));
  EXPECT_THAT(picture_->text(), Not(HasSubstr("cache  running")));
  Type("\033[6~");  // A page down.
  WaitFor("cache  running");
  EXPECT_THAT(picture_->text(), Not(HasSubstr("host m1, round 7")));
  EXPECT_EQ(picture_->scrolled(), 0) << "the picture moves, not the terminal";
  Type("q");
  EXPECT_EQ(WaitForEnd(), 0);
}

TEST_F(TerminalTest, ASizeThatChangesIsDrawnAnew) {
  Start({"top"}, 80, 24);
  WaitFor("no round has settled yet");
  winsize size = {};
  size.ws_col = 30;
  size.ws_row = 10;
  ASSERT_EQ(ioctl(terminal_, TIOCSWINSZ, &size), 0);
  WaitFor("\nq quit   left/right older/new\n");  // Cut, and nothing below it.
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(picture_->text(), '\n'))) {
    EXPECT_LE(line.size(), 30u) << line;
  }
  Type("q");
  EXPECT_EQ(WaitForEnd(), 0);
}

// One that can't be drawn on gets lines, one round after the other, as a file would.
TEST_F(TerminalTest, ATerminalThatUnderstandsNothingIsSentLines) {
  // A market that goes on by itself: which of its rounds is the first that top sees does not
  // matter.
  std::atomic<bool> over = false;
  std::thread market([&] {
    for (uint64_t round_id = 7; !over; ++round_id) {
      Publish(round_id, {round_id - 1, round_id - 2});
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  for (const std::string& term : {std::string("TERM=dumb"), std::string("TERM=")}) {
    Start({"top", "--rounds", "1"}, 120, 60, {term});
    WaitFor(" of m1");
    EXPECT_EQ(WaitForEnd(), 0);
    EXPECT_EQ(picture_->escapes(), 0) << term;
    close(terminal_);
  }
  over = true;
  market.join();
  Start({"status"}, 80, 60, {"TERM="});
  EXPECT_EQ(WaitForEnd(), 0);
  EXPECT_EQ(picture_->escapes(), 0);
}

TEST_F(TerminalTest, TablesAreFittedAndNoColorIsObeyed) {
  Start({"status"}, 80, 60);
  EXPECT_EQ(WaitForEnd(), 0);
  EXPECT_TRUE(picture_->coloured());
  EXPECT_FALSE(picture_->alternate());
  EXPECT_THAT(picture_->text(), HasSubstr("not shown: "));
  EXPECT_THAT(picture_->text(), HasSubstr("cache"));
  close(terminal_);
  Start({"status"}, 200, 60, {"NO_COLOR=1"});
  EXPECT_EQ(WaitForEnd(), 0);
  EXPECT_FALSE(picture_->coloured());
  EXPECT_THAT(picture_->text(), HasSubstr("very many words to say what it is"));
  EXPECT_THAT(picture_->text(), Not(HasSubstr("not shown")));
}

}  // namespace
}  // namespace nom::client_test
