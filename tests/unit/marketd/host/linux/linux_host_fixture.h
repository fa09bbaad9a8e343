// SPDX-License-Identifier: Apache-2.0
// A Linux host on a folder that behaves as cgroup v2.

#ifndef TESTS_UNIT_MARKETD_HOST_LINUX_LINUX_HOST_FIXTURE_H_
#define TESTS_UNIT_MARKETD_HOST_LINUX_LINUX_HOST_FIXTURE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "marketd/host/linux/linux_host.h"
#include "tests/unit/marketd/host/linux/fake_cgroups.h"

namespace nom::market {

inline constexpr int64_t kMiB = 1 << 20;

inline std::vector<Resource> Sold() {
  return {{.kind = ResourceKind::kCpu, .unit_size = 10},
          {.kind = ResourceKind::kMemory, .unit_size = kMiB}};
}

inline std::vector<Holding> CpuAndMemory(int64_t cpu_seed, int64_t cpu_award, int64_t memory_seed,
                                         int64_t memory_award) {
  return {{.kind = ResourceKind::kCpu, .seed_units = cpu_seed, .award_units = cpu_award},
          {.kind = ResourceKind::kMemory, .seed_units = memory_seed, .award_units = memory_award}};
}

// Each guest has a seed of 100 millicores and 16 MiB.
inline GuestGrant Award(GuestId guest_id, int64_t cpu, int64_t memory) {
  const std::vector<Holding> now = CpuAndMemory(10, cpu, 16, memory);
  return {.guest_id = guest_id, .now = now, .next = now};
}

class LinuxHostTest : public ::testing::Test {
 protected:
  LinuxHostTest() {
    const std::string proc = folder_.path() + "/proc";
    PutFile(proc + "/sys/kernel/random/boot_id", "0123abcd-4567-89ef-0000-000000000000\n");
    PutFile(proc + "/sys/kernel/osrelease", "6.1.0-test\n");
    PutFile(proc + "/stat", "cpu  1 2 3 4 5 6 7 0 9 10\ncpu0 1 2\ncpu1 1 2\n");
    PutFile(proc + "/meminfo", "MemTotal: 1048576 kB\nSwapTotal: 8 kB\n");
    options_.cgroup_root = folder_.path() + "/tree";
    options_.run_directory = folder_.path() + "/run";
    options_.proc = proc;
    options_.cpu_unsold_millicores = 100;
    options_.memory_unsold_bytes = 512 * kMiB;
    options_.recipes = {
        {.name = "web", .argv = {"/usr/bin/web"}, .arguments = true, .user = "www-data"},
        {.name = "stiff", .argv = {"/usr/bin/stiff"}, .user = "www-data"},
        {.name = "burst", .argv = {"/bin/b"}, .user = "www-data", .cpu_burst_us = 20'000},
        {.name = "idle", .argv = {"/bin/i"}, .user = "www-data", .cpu = Recipe::Cpu::kIdle}};
    Restart();
  }

  // Another marketd, over the same tree and folder.
  void Restart() {
    host_ = nullptr;
    host_ = NewLinuxHost(options_, {.files = &files_,
                                    .all_files = &machine_,
                                    .launcher = &launcher_,
                                    .now_us = [this] { return now_us_.load(); },
                                    .nap = [](absl::Duration) {}});
    host_->SetResources(Sold());
  }

  HostFacts Attach() {
    absl::StatusOr<HostFacts> facts = host_->Attach();
    EXPECT_TRUE(facts.ok()) << facts.status();
    return facts.ok() ? *facts : HostFacts{};
  }

  absl::Status Create(GuestId guest_id, const std::string& recipe = "web",
                      const std::string& arguments = "") {
    return host_->CreateGuest({.guest_id = guest_id,
                               .name = "g" + std::to_string(guest_id),
                               .image = recipe,
                               .arguments = arguments,
                               .seeds = CpuAndMemory(10, 0, 16, 0)});
  }

  absl::StatusOr<RoundReport> Apply(RoundId round_id, std::vector<GuestGrant> grants) {
    return host_->Apply({.round_id = round_id, .grants = std::move(grants)});
  }

  // Time passes until the host looks at everything again.
  std::vector<HostNews> PollLater(int64_t us = 2'000'000) {
    now_us_ += us;
    return host_->Poll();
  }

  TemporaryFolder folder_;
  FakeCgroups files_{folder_.path() + "/tree"};
  FakeCgroups machine_{folder_.path() + "/machine"};
  FakeLauncher launcher_{files_};
  std::atomic<int64_t> now_us_{1'000'000};
  LinuxHostOptions options_;
  std::unique_ptr<Host> host_;
};

}  // namespace nom::market

#endif  // TESTS_UNIT_MARKETD_HOST_LINUX_LINUX_HOST_FIXTURE_H_
