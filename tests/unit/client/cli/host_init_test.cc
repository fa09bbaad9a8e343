// SPDX-License-Identifier: Apache-2.0
#include "client/cli/host_init.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "client/cli/run_exit.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace nom::cli {
namespace {

using ::testing::HasSubstr;

class HostInitTest : public ::testing::Test {
 protected:
  HostInitTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "nom-init-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    Put("proc/stat", "cpu  1 2\ncpu0 1\ncpu1 1\nctxt 1\n");
    Put("proc/meminfo", "MemTotal: 8388608 kB\nSwapTotal: 0 kB\n");
  }
  ~HostInitTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  void Put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(
        (root_ + "/" + path).substr(0, (root_ + "/" + path).rfind('/')));
    std::ofstream(root_ + "/" + path) << text;
  }
  SaleRow Row(const std::string& what) {
    for (const SaleRow& row : SaleRows(LookAtMachine(root_))) {
      if (row.what == what) return row;
    }
    return {};
  }
  std::string root_;
};

TEST_F(HostInitTest, SaysWhatCanBeSold) {
  Put("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
  Put("run/systemd/system/x", "");
  EXPECT_TRUE(CanSell(LookAtMachine(root_)));
  EXPECT_TRUE(Row("cpu").good);
  EXPECT_EQ(Row("cpu").amount, "2 cores");
  EXPECT_EQ(Row("memory").amount, "8GiB");
  EXPECT_THAT(Row("swap").remark, HasSubstr("zram would do"));
  EXPECT_TRUE(Row("systemd").good);
  const std::string config = HostConfigText(LookAtMachine(root_), "lab");
  EXPECT_THAT(config, HasSubstr("- id: lab\n    kind: linux\n"));
  EXPECT_THAT(config, HasSubstr("unit_size: 2097152\n"));  // 4096 units.
}

TEST_F(HostInitTest, EachThingThatIsMissingIsSaidWithTheWayToGetIt) {
  EXPECT_THAT(Row("cpu").remark, HasSubstr("no cgroups at /sys/fs/cgroup"));
  Put("sys/fs/cgroup/memory/x", "");
  EXPECT_THAT(Row("memory").remark, HasSubstr("cgroup v1 cannot take memory back"));
  Put("sys/fs/cgroup/unified/x", "");
  EXPECT_THAT(Row("memory").remark,
              HasSubstr("a hybrid of cgroup v1 and v2 gives its controllers to v1; boot with "
                        "systemd.unified_cgroup_hierarchy=1"));
  EXPECT_FALSE(CanSell(LookAtMachine(root_)));
  Put("sys/fs/cgroup/cgroup.controllers", "cpu pids\n");
  EXPECT_TRUE(Row("cpu").good);
  EXPECT_THAT(Row("memory").remark, HasSubstr("cgroup_enable=memory"));
  EXPECT_FALSE(CanSell(LookAtMachine(root_)));
}

TEST(RunExitTest, SeedsAreQuantitiesOrUnits) {
  const std::map<Resource, int64_t> units = {{Resource::kCpu, 10}, {Resource::kMemory, 1 << 20}};
  EXPECT_EQ(ParseSeed("cpu=200m", units).value(), std::pair(Resource::kCpu, int64_t{20}));
  EXPECT_EQ(ParseSeed("memory=256MiB", units).value(), std::pair(Resource::kMemory, int64_t{256}));
  EXPECT_EQ(ParseSeed("memory=8", units).value(), std::pair(Resource::kMemory, int64_t{8}));
  const auto error = [&units](const std::string& text) {
    return std::string(ParseSeed(text, units).status().message());
  };
  EXPECT_THAT(error("cpu=205m"), HasSubstr("this host sells cpu in units of 10m"));
  EXPECT_THAT(error("cpu=3 bushels"), HasSubstr("unknown unit \"bushels\""));
  EXPECT_THAT(error("gold=3m"), HasSubstr("unknown resource"));
  EXPECT_THAT(error("disk=10 IOPS"), HasSubstr("does not sell disk"));
  EXPECT_THAT(error("device=2x"), HasSubstr("is counted in units"));
}

TEST(RunExitTest, EndsAsAShellWould) {
  EXPECT_EQ(ExitCodeOf("exit 0"), 0);
  EXPECT_EQ(ExitCodeOf("exit 3"), 3);
  EXPECT_EQ(ExitCodeOf("signal 9 (Killed): the kernel ended it"), 137);
  EXPECT_EQ(ExitCodeOf("killed: it kept 3 MiB"), 1);
  EXPECT_EQ(ExitCodeOf(""), 1);
}

}  // namespace
}  // namespace nom::cli
