// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/disk.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "marketd/base/money.h"

namespace nom::market {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> NamesIn(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

uint64_t Grown(uint64_t before, uint64_t after) { return after > before ? after - before : 0; }

}  // namespace

absl::StatusOr<DiskNumber> FindWholeDisk(const std::string& device, const std::string& sys) {
  const std::string what = absl::StrCat("disk ", device, ": ");
  std::error_code error;
  const fs::path node = fs::canonical(device, error);
  if (error) return absl::NotFoundError(absl::StrCat(what, error.message()));
  const fs::path facts = fs::path(sys) / "class" / "block" / node.filename();
  std::string text;
  if (!std::getline(std::ifstream(facts / "dev"), text)) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, "is no block device; say a whole disk, such as /dev/vda"));
  }
  const std::pair<absl::string_view, absl::string_view> halves =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  DiskNumber number;
  if (!absl::SimpleAtoi(halves.first, &number.major) ||
      !absl::SimpleAtoi(halves.second, &number.minor)) {
    return absl::DataLossError(absl::StrCat((facts / "dev").string(), ": \"", text, "\""));
  }
  if (fs::exists(facts / "partition", error)) {
    const std::string whole = fs::canonical(facts, error).parent_path().filename().string();
    return absl::FailedPreconditionError(absl::StrCat(
        what, "is a partition, and the kernel limits whole disks only; say /dev/", whole));
  }
  if (fs::exists(facts / "loop", error)) {
    return absl::FailedPreconditionError(absl::StrCat(
        what, "is a loop device: a limit would stay for the next image; say the disk under it"));
  }
  if (const std::vector<std::string> under = NamesIn(facts / "slaves"); !under.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, "lies on /dev/", absl::StrJoin(under, ", /dev/"),
                     ", where requests are counted; say ",
                     under.size() == 1 ? "that disk" : "one of those disks"));
  }
  return number;
}

IoMax IoMaxFor(const DiskOptions& options, int64_t iops) {
  const int64_t bytes = SaturatingMultiply(iops, options.request_bytes);
  return {.read_bytes = bytes, .write_bytes = bytes, .reads = iops, .writes = iops};
}

int64_t IopsOf(const IoMax& max, int64_t otherwise) {
  const int64_t iops = std::max(max.reads, max.writes);
  return iops == kCgroupMax ? otherwise : iops;
}

int64_t RequestsBetween(const DiskOptions& options, const IoStat& before, const IoStat& after) {
  const uint64_t size = static_cast<uint64_t>(std::max<int64_t>(1, options.request_bytes));
  const auto requests = [size](uint64_t count, uint64_t bytes) {
    return std::max(count, bytes / size + (bytes % size != 0));
  };
  const uint64_t most = std::max(
      requests(Grown(before.reads, after.reads), Grown(before.read_bytes, after.read_bytes)),
      requests(Grown(before.writes, after.writes),
               Grown(before.written_bytes, after.written_bytes)));
  return static_cast<int64_t>(std::min<uint64_t>(most, INT64_MAX));
}

}  // namespace nom::market
