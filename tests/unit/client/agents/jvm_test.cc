// SPDX-License-Identifier: Apache-2.0
// The agent of Java virtual machines, against one that is played: what it says is what OpenJDK 17
// said, what its heap does is what its collectors were seen to do.

#include "client/agents/jvm.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace nom::agents {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kMiB = 1 << 20;

// --- What collectors say of their heaps. ---

TEST(HeapUsedTest, EveryCollectorOfOpenJdk17IsUnderstood) {
  EXPECT_EQ(HeapUsedBytes(" garbage-first heap   total 130048K, used 72372K [0xe0, 0x100)\n"
                          "  region size 1024K, 14 young (14336K), 2 survivors (2048K)\n"
                          " Metaspace       used 79K, committed 320K, reserved 1114112K\n"
                          "  class space    used 3K, committed 128K, reserved 1048576K\n"),
            72372 << 10);
  EXPECT_EQ(HeapUsedBytes(" def new generation   total 31104K, used 4324K [0xe0, 0xe2, 0xea)\n"
                          "  eden space 27648K,   3% used [0xe0, 0xe0, 0xe1)\n"
                          "  from space 3456K,  98% used [0xe1, 0xe2, 0xe2)\n"
                          "  to   space 3456K,   0% used [0xe1, 0xe1, 0xe1)\n"
                          " tenured generation   total 69040K, used 65044K [0xea, 0xee, 0x100)\n"
                          "   the space 69040K,  94% used [0xea, 0xee, 0xee, 0xee)\n"
                          " Metaspace       used 132K, committed 320K, reserved 1114112K\n"),
            (4324 + 65044) << 10);
  EXPECT_EQ(HeapUsedBytes(" PSYoungGen      total 33792K, used 26342K [0xf5, 0xf9, 0x100)\n"
                          "  eden space 512K, 12% used [0xf5,0xf5,0xf5)\n"
                          " ParOldGen       total 68096K, used 41482K [0xe0, 0xe4, 0xf5)\n"
                          "  object space 68096K, 60% used [0xe0,0xe2,0xe4)\n"
                          " Metaspace       used 132K, committed 320K, reserved 1114112K\n"),
            (26342 + 41482) << 10);
  EXPECT_EQ(HeapUsedBytes(" ZHeap           used 146M, capacity 146M, max capacity 512M\n"
                          " Metaspace       used 132K, committed 320K, reserved 1114112K\n"),
            146 * kMiB);
  EXPECT_EQ(HeapUsedBytes("Shenandoah Heap\n 512M max, 65536K soft max, 71424K committed, 49645K "
                          "used\n 2048 x 256K regions\nStatus: not cancelled\n\n"
                          " Metaspace       used 128K, committed 320K, reserved 1114112K\n"),
            49645 << 10);
  EXPECT_EQ(HeapUsedBytes(""), 0);
  EXPECT_EQ(HeapUsedBytes("used\nused -5K\nused 9999999999999999999K\n"), 0);
}

// --- The agent. ---

struct PlayedJvm {
  int64_t alive = 100 * kMiB;
  int64_t garbage = 120 * kMiB;
  int64_t committed = 300 * kMiB;
  int64_t overhead = 40 * kMiB;
  int64_t gives_back = 100;  // Of what a collection could give, in percent.
  bool has_soft_max = true;
  bool gone = false;
  std::map<std::string, int64_t> flags = {{"MaxHeapSize", 512 * kMiB},
                                          {"SoftMaxHeapSize", 512 * kMiB},
                                          {"MinHeapFreeRatio", 40},
                                          {"MaxHeapFreeRatio", 70}};
  std::vector<std::string> asked;
  int collections = 0;

  void Collect() {
    ++collections;
    garbage = 0;
    const int64_t target = alive * 100 / (100 - flags["MaxHeapFreeRatio"]);
    if (committed > target) committed -= (committed - target) * gives_back / 100;
  }
};

class PlayedProcess final : public JvmProcess {
 public:
  explicit PlayedProcess(PlayedJvm& jvm) : jvm_(jvm) {}

  absl::StatusOr<std::string> Ask(const std::vector<std::string>& words) override {
    if (jvm_.gone) return absl::UnavailableError("jvm 7: does not run");
    jvm_.asked.push_back(absl::StrJoin(words, " "));
    if (words[0] == "printflag") {
      return absl::StrCat("-XX:", words[1], "=", jvm_.flags.at(words[1]), "\n");
    }
    if (words[0] == "setflag") return SetFlag(words[1], words[2]);
    if (words[1] == "GC.run") {
      jvm_.Collect();
      return "";
    }
    EXPECT_EQ(words[1], "GC.heap_info");
    return absl::StrCat(" garbage-first heap   total ", jvm_.committed >> 10, "K, used ",
                        (jvm_.alive + jvm_.garbage) >> 10, "K [0xe0, 0x100)\n");
  }
  absl::StatusOr<int64_t> ReadBytes() override {
    if (jvm_.gone) return absl::UnavailableError("jvm 7: does not run");
    return jvm_.committed + jvm_.overhead;
  }

 private:
  absl::StatusOr<std::string> SetFlag(const std::string& name, const std::string& value) {
    int64_t number = 0;
    EXPECT_TRUE(absl::SimpleAtoi(value, &number));
    if (name == "SoftMaxHeapSize") {
      if (!jvm_.has_soft_max) return absl::FailedPreconditionError("only 'writeable' flags");
      EXPECT_LE(number, jvm_.flags["MaxHeapSize"]) << "HotSpot refuses it";
    }
    jvm_.flags[name] = number;
    EXPECT_LE(jvm_.flags["MinHeapFreeRatio"], jvm_.flags["MaxHeapFreeRatio"])
        << "HotSpot refuses it";
    return "";
  }
  PlayedJvm& jvm_;
};

class JvmTest : public ::testing::Test {
 protected:
  PlayedJvm played_;
  std::chrono::steady_clock::time_point now_{std::chrono::hours(1)};
  Jvm jvm_{std::make_unique<PlayedProcess>(played_),
           {.overhead_bytes = 48 * kMiB,
            .work = "echo 3 4",
            .nap = [this](absl::Duration d) { now_ += absl::ToChronoNanoseconds(d); },
            .now = [this] { return now_; }}};
};

TEST_F(JvmTest, AHeapThatIsTooLargeIsCollectedUntilTheProcessFits) {
  ASSERT_TRUE(jvm_.Resize(200 * kMiB, absl::Seconds(60)).ok());
  EXPECT_LE(played_.committed + played_.overhead, 200 * kMiB);
  EXPECT_EQ(played_.flags["SoftMaxHeapSize"], 152 * kMiB);
  // 100 of 152 MiB are alive: a third may be free.
  EXPECT_EQ(played_.flags["MaxHeapFreeRatio"], 34);
  EXPECT_EQ(played_.flags["MinHeapFreeRatio"], 17);
  EXPECT_LE(played_.collections, 2);
}

TEST_F(JvmTest, OneThatFitsIsNotCollectedAndMoreRoomIsToldAtOnce) {
  ASSERT_TRUE(jvm_.Resize(400 * kMiB, absl::Seconds(60)).ok());
  EXPECT_EQ(played_.collections, 0);
  EXPECT_THAT(played_.asked, Not(Contains("jcmd GC.run")));
  EXPECT_EQ(played_.flags["SoftMaxHeapSize"], 352 * kMiB);
  // Never above -Xmx, and never more than OpenJDK itself would leave free.
  ASSERT_TRUE(jvm_.Resize(8'000 * kMiB, absl::Seconds(60)).ok());
  EXPECT_EQ(played_.flags["SoftMaxHeapSize"], 512 * kMiB);
  played_.alive = kMiB;
  played_.garbage = 0;
  ASSERT_TRUE(jvm_.Resize(8'000 * kMiB, absl::Seconds(60)).ok());
  EXPECT_EQ(played_.flags["MaxHeapFreeRatio"], 70);
  EXPECT_EQ(played_.flags["MinHeapFreeRatio"], 35);
}

TEST_F(JvmTest, ACollectorThatGivesBackInStepsIsAskedAgain) {
  played_.gives_back = 60;
  ASSERT_TRUE(jvm_.Resize(220 * kMiB, absl::Seconds(60)).ok());
  EXPECT_GT(played_.collections, 1);
  EXPECT_LE(played_.committed + played_.overhead, 220 * kMiB);
}

TEST_F(JvmTest, MoreAliveThanThereIsRoomForIsSaidAfterAFewCollections) {
  played_.alive = 180 * kMiB;
  const absl::Status status = jvm_.Resize(150 * kMiB, absl::Seconds(60));
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("of which 180 MiB are objects"));
  EXPECT_EQ(played_.collections, 5);
  // In less time fewer: one of them takes half a second to be waited for.
  played_.collections = 0;
  EXPECT_TRUE(absl::IsDeadlineExceeded(jvm_.Resize(150 * kMiB, absl::Seconds(1))));
  EXPECT_EQ(played_.collections, 2);
  EXPECT_TRUE(absl::IsDeadlineExceeded(jvm_.Resize(150 * kMiB, absl::ZeroDuration())));
  EXPECT_EQ(played_.collections, 2);
}

TEST_F(JvmTest, OneThatGrowsByItselfIsBroughtBackAndNotLookedAtTenTimesASecond) {
  ASSERT_TRUE(jvm_.Resize(200 * kMiB, absl::Seconds(60)).ok());
  const int before = played_.collections;
  ASSERT_TRUE(jvm_.Keep(200 * kMiB).ok());
  EXPECT_EQ(played_.collections, before);
  played_.committed = 300 * kMiB;
  ASSERT_TRUE(jvm_.Keep(200 * kMiB).ok());
  EXPECT_EQ(played_.collections, before) << "within the same second";
  now_ += std::chrono::seconds(1);
  ASSERT_TRUE(jvm_.Keep(200 * kMiB).ok());
  EXPECT_EQ(played_.collections, before + 1);
  EXPECT_LE(played_.committed + played_.overhead, 200 * kMiB);
}

TEST_F(JvmTest, AnOldOneHasNoSoftMaximumAndOneThatIsGoneIsSaid) {
  played_.has_soft_max = false;
  EXPECT_TRUE(jvm_.Resize(200 * kMiB, absl::Seconds(60)).ok());
  EXPECT_EQ(jvm_.ReadWork()->done, 3u);
  played_.gone = true;
  EXPECT_TRUE(absl::IsUnavailable(jvm_.Resize(200 * kMiB, absl::Seconds(60))));
  now_ += std::chrono::seconds(1);
  EXPECT_TRUE(absl::IsUnavailable(jvm_.Keep(200 * kMiB)));
}

// --- The line to it. ---

// A process in a folder that is like /proc, and what listens in its /tmp.
class AttachTest : public ::testing::Test {
 protected:
  AttachTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "nom-jvm-XXXXXX").string();
    proc_ = mkdtemp(pattern.data());
    std::filesystem::create_directories(proc_ + "/77/root/tmp");
    Write("status", "Name:\tjava\nNSpid:\t77\t5\nSigCgt:\t4\n");
    Write("maps", "7f00-7f01 r-xp 00000000 fe:00 1 /usr/lib/jvm/lib/server/libjvm.so\n");
    Write("smaps_rollup",
          "5-7 ---p 0 00:00 0 [rollup]\nRss:  900 kB\nPss:  300 kB\n"
          "SwapPss:  24 kB\n");
  }
  ~AttachTest() override {
    if (server_.joinable()) server_.join();
    std::error_code ignored;
    std::filesystem::remove_all(proc_, ignored);
  }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(proc_ + "/77/" + name) << text;
  }
  std::string InTmp(const std::string& name) { return proc_ + "/77/root/tmp/" + name; }
  // Answers one call with these bytes, and keeps what was asked.
  void Listen(std::string answer) {
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    const std::string path = InTmp(".java_pid5");
    ASSERT_LT(path.size(), sizeof(at.sun_path));
    std::memcpy(at.sun_path, path.data(), path.size());
    ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&at), sizeof(at)), 0);
    ASSERT_EQ(listen(listener, 4), 0);
    server_ = std::thread([this, listener, answer = std::move(answer)] {
      const int fd = accept(listener, nullptr, nullptr);
      // A version and four words, each with its end.
      while (std::count(asked_.begin(), asked_.end(), '\0') < 5) {
        char byte = 0;
        if (read(fd, &byte, 1) != 1) break;
        asked_ += byte;
      }
      EXPECT_EQ(write(fd, answer.data(), answer.size()), static_cast<ssize_t>(answer.size()));
      close(fd);
      close(listener);
    });
  }
  std::unique_ptr<JvmProcess> Attach() {
    return AttachJvm({.pid = 77,
                      .proc = proc_,
                      .send_signal =
                          [this](pid_t pid, int number) {
                            signals_.emplace_back(pid, number);
                            if (on_signal_) on_signal_();
                            return 0;
                          },
                      .nap = [](absl::Duration) {}});
  }

  std::string proc_;
  std::thread server_;
  std::string asked_;
  std::vector<std::pair<pid_t, int>> signals_;
  std::function<void()> on_signal_;
};

TEST_F(AttachTest, SaysFourWordsAndReadsACodeAndAnAnswer) {
  Listen("0\n-XX:MaxHeapSize=536870912\n");
  const auto said = Attach()->Ask({"printflag", "MaxHeapSize"});
  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_EQ(*said, "-XX:MaxHeapSize=536870912\n");
  server_.join();
  EXPECT_EQ(asked_, std::string("1\0printflag\0MaxHeapSize\0\0\0", 26));
  EXPECT_THAT(signals_, testing::IsEmpty()) << "it listened already";
}

TEST_F(AttachTest, WhatItRefusesIsSaidInItsWords) {
  Listen("-1\nflag 'MaxHeapSize' cannot be changed\n");
  const absl::Status status = Attach()->Ask({"setflag", "MaxHeapSize", "1"}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_EQ(status.message(), "jvm: setflag: flag 'MaxHeapSize' cannot be changed");
}

TEST_F(AttachTest, IsAskedToListenByAFileAndASignal) {
  on_signal_ = [this] {
    EXPECT_TRUE(std::filesystem::exists(InTmp(".attach_pid5")));
    Listen("0\n");
  };
  EXPECT_TRUE(Attach()->Ask({"jcmd", "GC.run"}).ok());
  EXPECT_THAT(signals_, ElementsAre(std::pair(pid_t{77}, SIGQUIT)));
  EXPECT_FALSE(std::filesystem::exists(InTmp(".attach_pid5")));
}

TEST_F(AttachTest, WhatIsNoJavaVirtualMachineIsNeverSentASignal) {
  Write("maps", "7f00-7f01 r-xp 00000000 fe:00 1 /usr/bin/timeout\n");
  EXPECT_THAT(std::string(Attach()->Ask({"jcmd", "GC.run"}).status().message()),
              HasSubstr("has no libjvm.so"));
  std::filesystem::remove(proc_ + "/77/maps");
  EXPECT_TRUE(absl::IsUnavailable(Attach()->Ask({"jcmd", "GC.run"}).status()));
  EXPECT_THAT(signals_, testing::IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(InTmp(".attach_pid5")));
}

TEST_F(AttachTest, OneThatDoesNotListenIsSaidAndNothingIsLeftBehind) {
  EXPECT_THAT(std::string(Attach()->Ask({"jcmd", "GC.run"}).status().message()),
              HasSubstr("does not listen"));
  EXPECT_FALSE(std::filesystem::exists(InTmp(".attach_pid5")));
  std::filesystem::remove(proc_ + "/77/status");
  EXPECT_THAT(std::string(Attach()->Ask({"jcmd", "GC.run"}).status().message()),
              HasSubstr("does not run"));
}

TEST_F(AttachTest, MemoryIsEachPageOnceAndWhatIsSwappedOut) {
  EXPECT_EQ(Attach()->ReadBytes().value(), 324 << 10);
  Write("smaps_rollup", "");
  EXPECT_THAT(std::string(Attach()->ReadBytes().status().message()), HasSubstr("smaps_rollup"));
}

TEST_F(AttachTest, AFileSaysWhichProcessAndIsReadEachTime) {
  const std::string file = proc_ + "/app.pid";
  const auto attached = AttachJvm({.pid_file = file, .proc = proc_});
  EXPECT_THAT(std::string(attached->ReadBytes().status().message()), HasSubstr("names no process"));
  std::ofstream(file) << "77\n";
  EXPECT_EQ(attached->ReadBytes().value(), 324 << 10);
}

}  // namespace
}  // namespace nom::agents
