#include "marketd/host/linux/linux_host.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "marketd/base/money.h"
#include "marketd/base/status.h"
#include "marketd/host/linux/board_file.h"
#include "marketd/host/linux/limits.h"
#include "marketd/host/linux/machine.h"
#include "marketd/host/linux/put_in_force.h"
#include "marketd/host/linux/state_file.h"

namespace nom::market {
namespace {

constexpr absl::string_view kFolderPrefix = "guest-";
constexpr int64_t kUnsoldMillicores = 50;  // Of each processor, if nothing else is said.
constexpr int64_t kUnsoldMemoryShare = 8;
constexpr int64_t kLookIntervalUs = 200'000;     // At whether guests live.
constexpr int64_t kMeterIntervalUs = 1'000'000;  // At what they use.
constexpr char kCleanExit[] = "exit 0";          // As launchers say it.
constexpr int64_t kLastWordUs = 1'000'000;       // For the launcher to say how a guest ended.
constexpr absl::Duration kNap = absl::Milliseconds(10);
constexpr int kDestroyNapsMax = 500;  // Processes inside a system call die at its end.

int64_t UnitsOf(const std::vector<Holding>& holdings, ResourceKind kind) {
  for (const Holding& holding : holdings) {
    if (holding.kind == kind) return holding.units();
  }
  return 0;
}

absl::Status MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
}

std::string MiB(int64_t bytes) { return absl::StrCat((bytes + (1 << 20) - 1) >> 20, " MiB"); }

class LinuxHost final : public Host {
 public:
  LinuxHost(LinuxHostOptions options, LinuxHostParts parts, std::unique_ptr<CgroupFiles> own_files,
            std::unique_ptr<Launcher> own_launcher)
      : options_(std::move(options)),
        own_files_(std::move(own_files)),
        own_launcher_(std::move(own_launcher)),
        parts_(std::move(parts)) {}
  ~LinuxHost() override {
    if (lock_ >= 0) close(lock_);
  }

  absl::StatusOr<HostFacts> Attach() override;
  void SetResources(absl::Span<const Resource> resources) override;
  absl::Status CreateGuest(const GuestSpec& spec) override;
  absl::StatusOr<GuestMeters> DestroyGuest(GuestId guest_id) override;
  absl::Status Prepare(const GrantSet& grants, absl::Duration until_effective) override;
  absl::StatusOr<RoundReport> Apply(const GrantSet& grants) override;
  absl::Status Publish(const BoardContents& board) override;
  std::vector<HostNews> Poll() override;

 private:
  CgroupFiles& files() { return *parts_.files; }
  const Recipe* RecipeOf(const GuestRecord& guest) const {
    return FindRecipe(options_.recipes, guest.recipe);
  }
  std::string PathOf(absl::string_view name) const {
    return absl::StrCat(options_.run_directory, "/", name);
  }
  absl::Status Save() { return SaveHostRecord(PathOf("state"), record_); }

  // Attach, step by step.
  absl::Status Lock();
  absl::Status LoadRecord();
  absl::Status FindGuests();
  absl::Status AdoptFound(GuestId guest_id);
  void ForgetFolders();

  // Brings all sums through to now. Reads the kernel's counts of guests that live.
  void Meter();
  Amounts ToAmounts(const std::vector<Holding>& holdings) const;
  std::vector<Holding> ToHoldings(const GuestRecord& guest) const;
  std::vector<HostSum> Sums() const;
  Amounts Granted() const;
  void NoteMost();
  absl::Status WriteSeedSum();

  // Carries out record_.guests' targets, and says of each that ended by it why. On failure all hold
  // what they held.
  absl::Status FinishApplying(int64_t* forced_units);
  std::vector<GuestMeters> AppliedMeters() const;

  void HearLauncher();
  void NoteEnd(GuestId guest_id, GuestRecord& guest, const std::string& reason);
  std::string EndReason(GuestId guest_id, const GuestRecord& guest);
  absl::Status EmptyAndRemove(GuestId guest_id);
  void DropCache(const std::string& cgroup);
  void RemoveGuestFolder(GuestId guest_id);
  BoardFile* Board(GuestId guest_id);

  const LinuxHostOptions options_;
  const std::unique_ptr<CgroupFiles> own_files_;
  const std::unique_ptr<Launcher> own_launcher_;
  const LinuxHostParts parts_;
  int lock_ = -1;
  bool attached_ = false;

  MachineFacts machine_;
  Amounts capacity_;
  std::vector<Resource> resources_;
  std::map<ResourceKind, int64_t> unit_sizes_;
  HostRecord record_;
  Amounts granted_max_;
  std::map<GuestId, std::unique_ptr<BoardFile>> boards_;
  std::optional<BoardContents> board_;
  int64_t board_at_us_ = 0;

  std::vector<HostNews> news_;
  int64_t looked_us_ = 0;
  int64_t metered_us_ = 0;
  std::map<GuestId, int64_t> empty_since_us_;
  std::map<GuestId, std::string> last_words_;  // Of launchers: how a first process ended.
};

// --- Finding out what is there. ---

absl::Status LinuxHost::Lock() {
  if (lock_ >= 0) return absl::OkStatus();
  NOM_RETURN_IF_ERROR(MakeFolder(options_.run_directory));
  const std::string path = PathOf("lock");
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    close(fd);
    return absl::UnavailableError(
        absl::StrCat(options_.run_directory, ": another marketd drives this machine"));
  }
  lock_ = fd;
  return absl::OkStatus();
}

void LinuxHost::ForgetFolders() {
  DIR* const directory = opendir(options_.run_directory.c_str());
  if (directory == nullptr) return;
  std::vector<GuestId> guest_ids;
  while (const dirent* entry = readdir(directory)) {
    absl::string_view name = entry->d_name;
    GuestId guest_id = 0;
    if (absl::ConsumePrefix(&name, kFolderPrefix) && absl::SimpleAtoi(name, &guest_id)) {
      guest_ids.push_back(guest_id);
    }
  }
  closedir(directory);
  for (const GuestId guest_id : guest_ids) {
    if (!record_.guests.contains(guest_id)) RemoveGuestFolder(guest_id);
  }
}

absl::Status LinuxHost::LoadRecord() {
  absl::StatusOr<HostRecord> loaded = LoadHostRecord(PathOf("state"));
  if (loaded.ok() && loaded->boot_id == machine_.boot_id) {
    record_ = *std::move(loaded);
    return absl::OkStatus();
  }
  // Nothing of it counts after a boot. Without the file, guests that are found keep what they hold.
  if (!loaded.ok() && !absl::IsNotFound(loaded.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat(loaded.status().message(),
                     "; what guests were offered so far stood in it: look at it, then remove it"));
  }
  NOM_ASSIGN_OR_RETURN(const int64_t stolen_us, ReadStolenUs(options_.proc));
  record_ =
      HostRecord{.boot_id = machine_.boot_id, .at_us = parts_.now_us(), .stolen_us = stolen_us};
  return absl::OkStatus();
}

absl::Status LinuxHost::AdoptFound(GuestId guest_id) {
  const std::string cgroup = GuestFolder(guest_id);
  GuestRecord& guest = record_.guests[guest_id];
  guest.name = cgroup;
  guest.phase = GuestRecord::Phase::kRunning;
  guest.sums.created_us = record_.at_us;
  NOM_ASSIGN_OR_RETURN(const CpuMax cpu, files().ReadCpuMax(cgroup));
  NOM_ASSIGN_OR_RETURN(const int64_t most, files().ReadMemoryMax(cgroup));
  NOM_ASSIGN_OR_RETURN(const int64_t least, files().ReadMemoryMin(cgroup));
  NOM_ASSIGN_OR_RETURN(const CpuStat stat, files().ReadCpuStat(cgroup));
  guest.held = {.millicores = MillicoresOf(cpu, 0),
                .memory_bytes = std::min(most, capacity_.memory_bytes)};
  guest.seed = SmallerOf({.millicores = 0, .memory_bytes = least}, guest.held);
  // What it used before is nobody's business here.
  guest.sums.cpu_usage_us = stat.usage_us;
  return absl::OkStatus();
}

absl::Status LinuxHost::FindGuests() {
  NOM_ASSIGN_OR_RETURN(const std::vector<std::string> names, files().Children(""));
  std::map<GuestId, bool> populated;
  for (const std::string& name : names) {
    absl::string_view digits = name;
    GuestId guest_id = 0;
    if (!absl::ConsumePrefix(&digits, kFolderPrefix) || !absl::SimpleAtoi(digits, &guest_id) ||
        GuestFolder(guest_id) != name) {
      continue;  // Not ours.
    }
    NOM_ASSIGN_OR_RETURN(populated[guest_id], files().Populated(name));
  }
  for (const auto& [guest_id, lives] : populated) {
    const auto known = record_.guests.find(guest_id);
    if (known != record_.guests.end() && known->second.phase != GuestRecord::Phase::kCreating) {
      continue;
    }
    if (known == record_.guests.end() && lives) {
      NOM_RETURN_IF_ERROR(AdoptFound(guest_id));
      continue;
    }
    // It was being created when marketd ended, and nobody was told that it runs.
    NOM_RETURN_IF_ERROR(EmptyAndRemove(guest_id));
    record_.guests.erase(guest_id);
  }
  for (auto it = record_.guests.begin(); it != record_.guests.end();) {
    auto& [guest_id, guest] = *it;
    const auto found = populated.find(guest_id);
    if (guest.phase == GuestRecord::Phase::kCreating) {
      it = record_.guests.erase(it);
      continue;
    }
    if (guest.phase == GuestRecord::Phase::kRunning) {
      if (found == populated.end()) {
        NoteEnd(guest_id, guest, "its cgroup was removed");
      } else if (!found->second) {
        NoteEnd(guest_id, guest, EndReason(guest_id, guest));
      } else if (!guest.target) {
        // What is in force is what the kernel says, whoever wrote it.
        NOM_ASSIGN_OR_RETURN(const CpuMax cpu, files().ReadCpuMax(GuestFolder(guest_id)));
        NOM_ASSIGN_OR_RETURN(const int64_t most, files().ReadMemoryMax(GuestFolder(guest_id)));
        guest.held = {.millicores = MillicoresOf(cpu, guest.held.millicores),
                      .memory_bytes = std::min(most, capacity_.memory_bytes)};
      }
    }
    ++it;
  }
  return absl::OkStatus();
}

absl::StatusOr<HostFacts> LinuxHost::Attach() {
  attached_ = false;
  NOM_RETURN_IF_ERROR(PrepareCgroupRoot(files()));
  NOM_RETURN_IF_ERROR(Lock());
  NOM_ASSIGN_OR_RETURN(machine_, ReadMachineFacts(options_.proc));
  const int64_t cpu_unsold = options_.cpu_unsold_millicores >= 0
                                 ? options_.cpu_unsold_millicores
                                 : kUnsoldMillicores * machine_.processors;
  const int64_t memory_unsold = options_.memory_unsold_bytes >= 0
                                    ? options_.memory_unsold_bytes
                                    : machine_.memory_bytes / kUnsoldMemoryShare;
  capacity_ = {.millicores = std::max<int64_t>(0, machine_.processors * 1000 - cpu_unsold),
               .memory_bytes = std::max<int64_t>(0, machine_.memory_bytes - memory_unsold)};
  news_.clear();
  empty_since_us_.clear();
  NOM_RETURN_IF_ERROR(LoadRecord());
  HearLauncher();
  Meter();
  NOM_RETURN_IF_ERROR(FindGuests());
  ForgetFolders();
  if (record_.applying_round_id) {
    // All or nothing: what a marketd that died had begun is done to its end.
    int64_t forced_units = 0;
    NOM_RETURN_IF_ERROR(FinishApplying(&forced_units));
  }
  NOM_RETURN_IF_ERROR(WriteSeedSum());
  NOM_RETURN_IF_ERROR(Save());
  for (const auto& [guest_id, guest] : record_.guests) {
    if (guest.phase != GuestRecord::Phase::kRunning) continue;
    NOM_RETURN_IF_ERROR(MakeFolder(PathOf(GuestFolder(guest_id))));
    NOM_ASSIGN_OR_RETURN(boards_[guest_id],
                         BoardFile::Open(PathOf(GuestFolder(guest_id) + "/board"), guest_id));
  }
  NoteMost();

  HostFacts facts;
  facts.detail = absl::StrCat("Linux ", machine_.kernel, ", ", machine_.processors, " processors, ",
                              machine_.memory_bytes >> 20, " MiB, cgroup ", options_.cgroup_root);
  facts.boot_id = machine_.boot_id;
  facts.capacities = {{ResourceKind::kCpu, capacity_.millicores},
                      {ResourceKind::kMemory, capacity_.memory_bytes}};
  for (const auto& [guest_id, guest] : record_.guests) {
    HostGuest& out = facts.guests.emplace_back();
    out.guest_id = guest_id;
    out.name = guest.name;
    out.ended = guest.phase == GuestRecord::Phase::kEnded;
    out.exit_reason = guest.exit_reason;
    out.exited = guest.exit_reason == kCleanExit;
    out.holdings = ToHoldings(guest);
  }
  facts.applied_round_id = record_.applied_round_id;
  facts.applied_meters = AppliedMeters();
  facts.sums = Sums();
  news_.clear();  // The facts say it.
  attached_ = true;
  return facts;
}

void LinuxHost::SetResources(absl::Span<const Resource> resources) {
  resources_.assign(resources.begin(), resources.end());
  unit_sizes_.clear();
  for (const Resource& resource : resources) unit_sizes_[resource.kind] = resource.unit_size;
}

// --- Counting. ---

void LinuxHost::Meter() {
  const int64_t now_us = parts_.now_us();
  const absl::StatusOr<int64_t> stolen_us = ReadStolenUs(options_.proc);
  MachineInterval interval{.length_us = now_us - record_.at_us, .processors = machine_.processors};
  if (stolen_us.ok()) {
    interval.stolen_us = *stolen_us - record_.stolen_us;
    record_.stolen_us = *stolen_us;
  }
  record_.at_us = now_us;
  metered_us_ = now_us;
  for (auto& [guest_id, guest] : record_.guests) {
    if (guest.phase != GuestRecord::Phase::kRunning) continue;
    MeterReading reading{.cpu_usage_us = guest.sums.cpu_usage_us};
    const std::string cgroup = GuestFolder(guest_id);
    if (const auto stat = files().ReadCpuStat(cgroup); stat.ok()) {
      reading.cpu_usage_us = stat->usage_us;
    }
    if (const auto bytes = files().ReadMemoryCurrent(cgroup); bytes.ok()) {
      reading.memory_bytes = *bytes;
    }
    // While a change is being put in force a guest is billed for what it holds for certain.
    const Amounts held = guest.target ? SmallerOf(guest.held, *guest.target) : guest.held;
    AddInterval(interval, held, reading, guest.sums);
  }
}

Amounts LinuxHost::ToAmounts(const std::vector<Holding>& holdings) const {
  const auto amount = [&](ResourceKind kind) {
    const auto size = unit_sizes_.find(kind);
    return size == unit_sizes_.end() ? int64_t{0}
                                     : SaturatingMultiply(UnitsOf(holdings, kind), size->second);
  };
  return {.millicores = amount(ResourceKind::kCpu), .memory_bytes = amount(ResourceKind::kMemory)};
}

std::vector<Holding> LinuxHost::ToHoldings(const GuestRecord& guest) const {
  std::vector<Holding> out;
  for (const Resource& resource : resources_) {
    const bool cpu = resource.kind == ResourceKind::kCpu;
    if (!cpu && resource.kind != ResourceKind::kMemory) continue;
    const int64_t seed = cpu ? guest.seed.millicores : guest.seed.memory_bytes;
    const int64_t held = guest.phase == GuestRecord::Phase::kEnded ? 0
                         : cpu                                     ? guest.held.millicores
                                                                   : guest.held.memory_bytes;
    Holding& holding =
        out.emplace_back(Holding{.kind = resource.kind, .seed_units = seed / resource.unit_size});
    holding.award_units = held / resource.unit_size - holding.seed_units;
  }
  return out;
}

Amounts LinuxHost::Granted() const {
  Amounts sum;
  for (const auto& [guest_id, guest] : record_.guests) {
    if (guest.phase == GuestRecord::Phase::kEnded) continue;
    sum.millicores = SaturatingAdd(sum.millicores, guest.held.millicores);
    sum.memory_bytes = SaturatingAdd(sum.memory_bytes, guest.held.memory_bytes);
  }
  return sum;
}

void LinuxHost::NoteMost() {
  const Amounts now = Granted();
  granted_max_.millicores = std::max(granted_max_.millicores, now.millicores);
  granted_max_.memory_bytes = std::max(granted_max_.memory_bytes, now.memory_bytes);
}

std::vector<HostSum> LinuxHost::Sums() const {
  std::vector<HostSum> sums;
  const Amounts granted = Granted();
  for (const Resource& resource : resources_) {
    const int64_t unit = resource.unit_size;
    // A sum is rounded up and the capacity down: no rounding may hide an excess.
    const auto add = [&](int64_t now, int64_t most, int64_t capacity) {
      sums.push_back({.kind = resource.kind,
                      .granted_units = (now + unit - 1) / unit,
                      .granted_max_units = (most + unit - 1) / unit,
                      .capacity_units = capacity / unit});
    };
    if (resource.kind == ResourceKind::kCpu) {
      add(granted.millicores, granted_max_.millicores, capacity_.millicores);
    } else if (resource.kind == ResourceKind::kMemory) {
      add(granted.memory_bytes, granted_max_.memory_bytes, capacity_.memory_bytes);
    }
  }
  return sums;
}

// A guest's memory.min counts only within that of the folders above it.
absl::Status LinuxHost::WriteSeedSum() {
  int64_t sum = 0;
  for (const auto& [guest_id, guest] : record_.guests) {
    if (guest.phase == GuestRecord::Phase::kEnded) continue;
    sum = SaturatingAdd(sum, guest.seed.memory_bytes);
  }
  const absl::Status status = files().WriteMemoryMin("", sum);
  // The limits of a delegated folder itself belong to whoever delegated it (MemoryMin= there).
  return absl::IsPermissionDenied(status) ? absl::OkStatus() : status;
}

std::vector<GuestMeters> LinuxHost::AppliedMeters() const {
  std::vector<GuestMeters> out;
  for (const auto& [guest_id, guest] : record_.guests) {
    if (!guest.has_applied) continue;
    out.push_back(ToGuestMeters(guest_id, guest.applied, record_.applied_at_us, resources_));
  }
  return out;
}

// --- Guests come and go. ---

absl::Status LinuxHost::CreateGuest(const GuestSpec& spec) {
  if (!attached_) return absl::UnavailableError("linux: not attached");
  const std::string what = absl::StrCat("guest ", spec.name, " from recipe ", spec.image, ": ");
  const Recipe* recipe = FindRecipe(options_.recipes, spec.image);
  if (recipe == nullptr) {
    return absl::NotFoundError(absl::StrCat(
        what, "there is none of that name; recipes: ",
        absl::StrJoin(options_.recipes, ", ",
                      [](std::string* out, const Recipe& r) { out->append(r.name); })));
  }
  if (!recipe->arguments && !spec.arguments.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, "takes no arguments; the operator allows them by arguments: true"));
  }
  if (record_.guests.contains(spec.guest_id)) {
    return absl::AlreadyExistsError(absl::StrCat(what, "is there already"));
  }
  const Amounts seed = ToAmounts(spec.seeds);
  if (unit_sizes_.contains(ResourceKind::kCpu) && seed.millicores < kCpuMillicoresMin) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, "its seed of cpu is ", seed.millicores,
                     " millicores; the kernel enforces no less than ", kCpuMillicoresMin));
  }
  if (unit_sizes_.contains(ResourceKind::kMemory) && seed.memory_bytes < kMemoryBytesMin) {
    return absl::FailedPreconditionError(absl::StrCat(
        what, "its seed of memory is ", seed.memory_bytes, " bytes; no program starts in that"));
  }
  if (recipe->force == Recipe::Force::kSwap && machine_.swap_bytes == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, "has force: swap, but this machine has no swap"));
  }
  const Amounts granted = Granted();
  if (seed.millicores > capacity_.millicores - granted.millicores ||
      seed.memory_bytes > capacity_.memory_bytes - granted.memory_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(what, "no room for its seed"));
  }

  const std::string cgroup = GuestFolder(spec.guest_id);
  if (const absl::Status status = files().Make(cgroup); !status.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(what, status.message()));
  }
  const auto made = [&]() -> absl::Status {
    Meter();
    GuestRecord& guest = record_.guests[spec.guest_id];
    guest.name = spec.name;
    guest.recipe = spec.image;
    guest.seed = seed;
    guest.held = seed;
    guest.memory_window_bytes =
        ToAmounts({{.kind = ResourceKind::kMemory, .seed_units = spec.memory_max_units}})
            .memory_bytes;
    guest.sums.created_us = record_.at_us;
    NOM_RETURN_IF_ERROR(Save());
    NOM_RETURN_IF_ERROR(files().WriteProcessesMax(cgroup, recipe->processes_max));
    if (unit_sizes_.contains(ResourceKind::kMemory)) {
      NOM_RETURN_IF_ERROR(files().WriteMemorySwapMax(
          cgroup, recipe->force == Recipe::Force::kSwap ? kCgroupMax : 0));
      NOM_RETURN_IF_ERROR(files().WriteOomGroup(cgroup, true));
      NOM_RETURN_IF_ERROR(files().WriteMemoryMax(cgroup, seed.memory_bytes));
      NOM_RETURN_IF_ERROR(files().WriteMemoryMin(cgroup, seed.memory_bytes));
      NOM_RETURN_IF_ERROR(WriteSeedSum());
    }
    if (unit_sizes_.contains(ResourceKind::kCpu)) {
      NOM_RETURN_IF_ERROR(WriteCpuLimits(files(), cgroup, CpuLimitsFor(recipe, seed, seed)));
    }
    NOM_RETURN_IF_ERROR(MakeFolder(PathOf(cgroup)));
    NOM_ASSIGN_OR_RETURN(boards_[spec.guest_id],
                         BoardFile::Open(PathOf(cgroup + "/board"), spec.guest_id));
    boards_[spec.guest_id]->WriteGuest({.guest_id = spec.guest_id, .now = spec.seeds}, 0, 0);
    if (board_) boards_[spec.guest_id]->WriteMachine(*board_, board_at_us_);
    last_words_.erase(spec.guest_id);
    NOM_RETURN_IF_ERROR(parts_.launcher->Start(
        {.guest_id = spec.guest_id, .recipe = spec.image, .arguments = spec.arguments}));
    guest.phase = GuestRecord::Phase::kRunning;
    return Save();
  }();
  if (made.ok()) {
    NoteMost();
    return absl::OkStatus();
  }
  // As if it had never been asked for.
  std::string message = absl::StrCat(what, made.message());
  const auto also = [&message](const absl::Status& status) {
    if (!status.ok()) absl::StrAppend(&message, "; and ", status.message());
  };
  also(EmptyAndRemove(spec.guest_id));
  record_.guests.erase(spec.guest_id);
  boards_.erase(spec.guest_id);
  RemoveGuestFolder(spec.guest_id);
  also(WriteSeedSum());
  also(Save());
  // A machine that cannot start this guest is there all the same: never UNAVAILABLE, which would
  // stop everybody's rounds.
  return absl::FailedPreconditionError(message);
}

absl::Status LinuxHost::EmptyAndRemove(GuestId guest_id) {
  const std::string cgroup = GuestFolder(guest_id);
  absl::Status status = KillGuest(files(), cgroup);
  if (absl::IsNotFound(status)) return absl::OkStatus();
  if (!status.ok()) return status;
  bool reclaimed = false;
  for (int i = 0; i < kDestroyNapsMax; ++i) {
    const absl::StatusOr<bool> populated = files().Populated(cgroup);
    if (absl::IsNotFound(populated.status())) return absl::OkStatus();
    if (populated.ok() && !*populated) {
      if (!std::exchange(reclaimed, true)) DropCache(cgroup);
      status = files().Remove(cgroup);
      // EBUSY until the last process that was killed has been waited for.
      if (status.ok() || absl::IsNotFound(status)) return absl::OkStatus();
      if (!absl::IsFailedPrecondition(status)) return status;
    }
    parts_.nap(kNap);
  }
  return absl::UnavailableError(
      absl::StrCat(cgroup, ": its processes do not die; ", status.message()));
}

// Page cache outlives the processes that read it: charged to their cgroup, and to the one above
// when that is removed. What lies in tmpfs cannot be taken so.
void LinuxHost::DropCache(const std::string& cgroup) {
  const absl::StatusOr<int64_t> bytes = files().ReadMemoryCurrent(cgroup);
  if (bytes.ok() && *bytes > 0) files().ReclaimMemory(cgroup, *bytes).IgnoreError();
}

void LinuxHost::RemoveGuestFolder(GuestId guest_id) {
  const std::string folder = PathOf(GuestFolder(guest_id));
  unlink(absl::StrCat(folder, "/board").c_str());
  rmdir(folder.c_str());
}

absl::StatusOr<GuestMeters> LinuxHost::DestroyGuest(GuestId guest_id) {
  if (!attached_) return absl::UnavailableError("linux: not attached");
  const auto it = record_.guests.find(guest_id);
  if (it == record_.guests.end()) {
    return absl::NotFoundError(absl::StrCat("linux: no guest ", guest_id));
  }
  Meter();
  const GuestMeters last = ToGuestMeters(guest_id, it->second.sums, record_.at_us, resources_);
  NOM_RETURN_IF_ERROR(EmptyAndRemove(guest_id));
  record_.guests.erase(it);
  boards_.erase(guest_id);
  last_words_.erase(guest_id);
  empty_since_us_.erase(guest_id);
  RemoveGuestFolder(guest_id);
  NOM_RETURN_IF_ERROR(WriteSeedSum());
  NOM_RETURN_IF_ERROR(Save());
  return last;
}

// How first processes ended; the launcher remembers more guests than are here.
void LinuxHost::HearLauncher() {
  for (LaunchEnded& ended : parts_.launcher->TakeEnded()) {
    if (!record_.guests.contains(ended.guest_id)) continue;
    last_words_[ended.guest_id] = std::move(ended.how);
  }
}

std::string LinuxHost::EndReason(GuestId guest_id, const GuestRecord& guest) {
  if (!guest.exit_reason.empty()) return guest.exit_reason;
  const auto said = last_words_.find(guest_id);
  std::string how =
      said == last_words_.end() ? "ended; how is not known, no launcher saw it" : said->second;
  const absl::StatusOr<uint64_t> kills = files().ReadOomKills(GuestFolder(guest_id));
  if (kills.ok() && *kills > 0) {
    how = absl::StrCat(how, ": the kernel ended it, it needed more memory than the ",
                       MiB(guest.held.memory_bytes), " that it held");
  }
  return how;
}

void LinuxHost::NoteEnd(GuestId guest_id, GuestRecord& guest, const std::string& reason) {
  if (guest.phase == GuestRecord::Phase::kEnded) return;
  guest.phase = GuestRecord::Phase::kEnded;
  guest.exit_reason = reason;
  guest.sums.ended_us = record_.at_us;
  guest.target.reset();
  guest.held = {};
  empty_since_us_.erase(guest_id);
  news_.push_back(GuestEnded{guest_id, reason, reason == kCleanExit});
}

// --- Rounds. ---

BoardFile* LinuxHost::Board(GuestId guest_id) {
  const auto it = boards_.find(guest_id);
  return it == boards_.end() ? nullptr : it->second.get();
}

absl::Status LinuxHost::Prepare(const GrantSet& grants, absl::Duration until_effective) {
  if (!attached_) return absl::UnavailableError("linux: not attached");
  const int64_t now_us = parts_.now_us();
  for (const GuestGrant& grant : grants.grants) {
    BoardFile* const board = Board(grant.guest_id);
    if (board == nullptr) continue;
    const bool changes = grant.now != grant.next;
    board->WriteGuest(
        grant, grants.round_id,
        changes ? now_us + std::max<int64_t>(1, absl::ToInt64Microseconds(until_effective)) : 0);
  }
  return absl::OkStatus();
}

absl::StatusOr<RoundReport> LinuxHost::Apply(const GrantSet& grants) {
  if (!attached_) return absl::UnavailableError("linux: not attached");
  std::map<GuestId, const GuestGrant*> wanted;
  for (const GuestGrant& grant : grants.grants) wanted[grant.guest_id] = &grant;

  // The whole set is checked before anything changes.
  std::map<GuestId, Amounts> targets;
  Amounts sum;
  for (const auto& [guest_id, guest] : record_.guests) {
    if (guest.phase != GuestRecord::Phase::kRunning) continue;
    const auto grant = wanted.find(guest_id);
    const Amounts target = grant == wanted.end() ? guest.held : ToAmounts(grant->second->now);
    const auto refuse = [&grants, id = guest_id](absl::string_view why) {
      return absl::FailedPreconditionError(
          absl::StrCat("apply round ", grants.round_id, ": guest ", id, ": ", why));
    };
    if (SmallerOf(target, guest.seed) != guest.seed) return refuse("would fall below its seed");
    if (guest.memory_window_bytes > 0 && target.memory_bytes > guest.memory_window_bytes &&
        target.memory_bytes > guest.held.memory_bytes) {
      return refuse("would hold more than the most that it may ever hold");
    }
    sum.millicores = SaturatingAdd(sum.millicores, target.millicores);
    sum.memory_bytes = SaturatingAdd(sum.memory_bytes, target.memory_bytes);
    if (SmallerOf(sum, capacity_) != sum) return refuse("would bring the sum above the capacity");
    targets[guest_id] = target;
  }

  Meter();
  record_.applied_at_us = record_.at_us;
  for (auto& [guest_id, guest] : record_.guests) {
    guest.applied = guest.sums;
    guest.has_applied = true;
    guest.target.reset();
    const auto target = targets.find(guest_id);
    if (target != targets.end()) guest.target = target->second;
  }
  record_.applying_round_id = grants.round_id;
  NOM_RETURN_IF_ERROR(Save());

  RoundReport report{.round_id = grants.round_id};
  report.meters = AppliedMeters();
  NOM_RETURN_IF_ERROR(FinishApplying(&report.forced_units));
  NoteMost();
  report.sums = Sums();
  for (const GuestGrant& grant : grants.grants) {
    if (BoardFile* const board = Board(grant.guest_id)) {
      board->WriteGuest({.guest_id = grant.guest_id,
                         .now = grant.now,
                         .next = grant.now,
                         .balance_microcredits = grant.balance_microcredits,
                         .spent_microcredits = grant.spent_microcredits},
                        grants.round_id, 0);
    }
  }
  return report;
}

absl::Status LinuxHost::FinishApplying(int64_t* forced_units) {
  std::vector<GuestChange> changes;
  for (const auto& [guest_id, guest] : record_.guests) {
    if (guest.phase != GuestRecord::Phase::kRunning || !guest.target) continue;
    const Recipe* recipe = RecipeOf(guest);
    changes.push_back({.guest_id = guest_id,
                       .cgroup = GuestFolder(guest_id),
                       .from = guest.held,
                       .to = *guest.target,
                       .cpu_from = CpuLimitsFor(recipe, guest.seed, guest.held),
                       .cpu_to = CpuLimitsFor(recipe, guest.seed, *guest.target),
                       .force = recipe == nullptr ? Recipe::Force::kKill : recipe->force});
  }
  const absl::Status status = PutInForce(files(), absl::MakeSpan(changes),
                                         {.has_cpu = unit_sizes_.contains(ResourceKind::kCpu),
                                          .has_memory = unit_sizes_.contains(ResourceKind::kMemory),
                                          .timeout = options_.shrink_timeout,
                                          .nap = parts_.nap});
  Meter();
  const int64_t memory_unit = unit_sizes_.contains(ResourceKind::kMemory)
                                  ? unit_sizes_.at(ResourceKind::kMemory)
                                  : int64_t{1};
  for (const GuestChange& change : changes) {
    GuestRecord& guest = record_.guests.at(change.guest_id);
    *forced_units += (change.forced_bytes + memory_unit - 1) / memory_unit;
    if (status.ok()) guest.held = change.to;
    guest.target.reset();
    if (change.killed) {
      NoteEnd(change.guest_id, guest,
              absl::StrCat("killed: it kept ", MiB(change.forced_bytes),
                           " more memory than it held past the deadline"));
    }
  }
  if (status.ok()) record_.applied_round_id = *record_.applying_round_id;
  record_.applying_round_id.reset();
  const absl::Status saved = Save();
  if (!status.ok()) return status;
  // What is in force but not written down is found again from the kernel's files.
  return saved;
}

absl::Status LinuxHost::Publish(const BoardContents& board) {
  if (!attached_) return absl::UnavailableError("linux: not attached");
  board_ = board;
  board_at_us_ = parts_.now_us();
  for (const auto& [guest_id, file] : boards_) file->WriteMachine(board, board_at_us_);
  return absl::OkStatus();
}

std::vector<HostNews> LinuxHost::Poll() {
  if (!attached_) return {};
  const int64_t now_us = parts_.now_us();
  if (now_us - looked_us_ >= kLookIntervalUs) {
    looked_us_ = now_us;
    HearLauncher();
    if (now_us - metered_us_ >= kMeterIntervalUs) Meter();
    bool some_ended = false;
    for (auto& [guest_id, guest] : record_.guests) {
      if (guest.phase != GuestRecord::Phase::kRunning) continue;
      const absl::StatusOr<bool> populated = files().Populated(GuestFolder(guest_id));
      if (absl::IsNotFound(populated.status())) {
        Meter();
        NoteEnd(guest_id, guest, "its cgroup was removed");
        some_ended = true;
        continue;
      }
      if (!populated.ok() || *populated) {
        empty_since_us_.erase(guest_id);
        continue;
      }
      const int64_t since_us = empty_since_us_.emplace(guest_id, now_us).first->second;
      if (last_words_.contains(guest_id) || now_us - since_us >= kLastWordUs) {
        Meter();
        NoteEnd(guest_id, guest, EndReason(guest_id, guest));
        DropCache(GuestFolder(guest_id));
        some_ended = true;
      }
    }
    if (some_ended) {
      // A failure shows at the next change; the kernel's files say the same.
      WriteSeedSum().IgnoreError();
      Save().IgnoreError();
    }
  }
  return std::exchange(news_, {});
}

}  // namespace

std::string GuestFolder(GuestId guest_id) { return absl::StrCat(kFolderPrefix, guest_id); }

std::unique_ptr<Host> NewLinuxHost(LinuxHostOptions options) {
  auto files = std::make_unique<CgroupFiles>(options.cgroup_root);
  std::unique_ptr<Launcher> launcher = NewSocketLauncher(options.launcher_socket);
  LinuxHostParts parts{.files = files.get(),
                       .launcher = launcher.get(),
                       .now_us = BootTimeUs,
                       .nap = [](absl::Duration d) { absl::SleepFor(d); }};
  return std::make_unique<LinuxHost>(std::move(options), std::move(parts), std::move(files),
                                     std::move(launcher));
}

std::unique_ptr<Host> NewLinuxHost(LinuxHostOptions options, LinuxHostParts parts) {
  return std::make_unique<LinuxHost>(std::move(options), std::move(parts), nullptr, nullptr);
}

}  // namespace nom::market
