// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/linux_host.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "marketd/base/status.h"
#include "marketd/host/linux/adopted_files.h"
#include "marketd/host/linux/check_grants.h"
#include "marketd/host/linux/disk.h"
#include "marketd/host/linux/find_guests.h"
#include "marketd/host/linux/guest_cgroup.h"
#include "marketd/host/linux/guest_ends.h"
#include "marketd/host/linux/limits.h"
#include "marketd/host/linux/machine.h"
#include "marketd/host/linux/put_in_force.h"
#include "marketd/host/linux/read_meters.h"
#include "marketd/host/linux/state_file.h"

namespace nom::market {
namespace {

constexpr int64_t kUnsoldMillicores = 50;  // Of each processor, if nothing else is said.
constexpr int64_t kUnsoldMemoryShare = 8;
constexpr int64_t kLookIntervalUs = 200'000;     // At whether guests live.
constexpr int64_t kMeterIntervalUs = 1'000'000;  // At what they use.

class LinuxHost final : public Host {
 public:
  // `owned` is what of the parts is its own, if anything is.
  struct Owned {
    std::unique_ptr<CgroupFiles> files;
    std::unique_ptr<CgroupFiles> all_files;
    std::unique_ptr<Launcher> launcher;
  };
  LinuxHost(LinuxHostOptions options, LinuxHostParts parts, Owned owned)
      : options_(std::move(options)),
        owned_(std::move(owned)),
        parts_(std::move(parts)),
        files_(*parts_.files, *parts_.all_files, *parts_.launcher, parts_.nap),
        directory_(options_.run_directory) {}

  absl::StatusOr<HostFacts> Attach() override;
  void SetResources(absl::Span<const Resource> resources) override { units_ = Units(resources); }
  absl::Status CreateGuest(const GuestSpec& spec) override;
  absl::StatusOr<GuestMeters> DestroyGuest(GuestId guest_id) override;
  absl::Status Prepare(const GrantSet& grants, absl::Duration until_effective) override;
  absl::StatusOr<RoundReport> Apply(const GrantSet& grants) override;
  absl::Status Publish(const BoardContents& board) override;
  std::vector<HostNews> Poll() override;

 private:
  CgroupFiles& files() { return files_; }
  absl::Status Save() { return SaveHostRecord(directory_.StatePath(), record_); }
  Amounts Capacity() const;
  EnforcedBy By() const { return {.units = units_, .capacity = capacity_, .disk = disk_}; }
  absl::Status LoadRecord();
  HostFacts Facts() const;

  void Meter();
  std::vector<HostSum> Sums() const {
    return units_.ToSums(GrantedBy(record_), granted_max_, capacity_);
  }
  void NoteMost() { granted_max_ = LargerOf(granted_max_, GrantedBy(record_)); }
  absl::Status WriteSeedSum();
  absl::Status StartNew(const GuestSpec& spec, const Recipe& recipe, GuestRecord& guest);
  absl::Status AdoptNew(GuestId guest_id, const Recipe& recipe, GuestRecord& guest);
  void NameUnit(GuestId guest_id, const GuestRecord& guest);
  // Ends a guest that was started, with all that it has; gives a unit back as it was found.
  absl::Status LetGo(GuestId guest_id, const GuestRecord& guest);

  std::function<absl::Status(GuestId, int64_t)> RateSetter();
  // The kernel's limits of networks are not read back: what the record says is put in force again.
  void SetAllRates();

  // Carries out record_.guests' targets, and says of each that ended by it why. On failure all hold
  // what they held.
  absl::Status FinishApplying(int64_t* forced_units);
  std::vector<GuestMeters> AppliedMeters() const;

  const LinuxHostOptions options_;
  const Owned owned_;
  const LinuxHostParts parts_;
  AdoptedFiles files_;
  RunDirectory directory_;
  bool attached_ = false;

  MachineFacts machine_;
  std::optional<SoldDisk> disk_;  // If it is sold.
  Amounts capacity_;
  Units units_;
  HostRecord record_;
  Amounts granted_max_;
  GuestEnds ends_;
  int64_t looked_us_ = 0;
  int64_t metered_us_ = 0;
};

// --- Finding out what is there. ---

Amounts LinuxHost::Capacity() const {
  const int64_t cpu_unsold = options_.cpu_unsold_millicores >= 0
                                 ? options_.cpu_unsold_millicores
                                 : kUnsoldMillicores * machine_.processors;
  const int64_t memory_unsold = options_.memory_unsold_bytes >= 0
                                    ? options_.memory_unsold_bytes
                                    : machine_.memory_bytes / kUnsoldMemoryShare;
  return {.millicores = std::max<int64_t>(0, machine_.processors * 1000 - cpu_unsold),
          .memory_bytes = std::max<int64_t>(0, machine_.memory_bytes - memory_unsold),
          .network_mbits = options_.network.mbits,
          .disk_iops = options_.disk.iops};
}

absl::Status LinuxHost::LoadRecord() {
  absl::StatusOr<HostRecord> loaded = LoadHostRecord(directory_.StatePath());
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

HostFacts LinuxHost::Facts() const {
  HostFacts facts;
  facts.detail = absl::StrCat("Linux ", machine_.kernel, ", ", machine_.processors, " processors, ",
                              machine_.memory_bytes >> 20, " MiB, cgroup ", options_.cgroup_root);
  facts.boot_id = machine_.boot_id;
  for (const ResourceKind kind : kEnforcedKinds) {
    if (kind == ResourceKind::kDisk && !disk_) continue;
    if (kind == ResourceKind::kNetwork && options_.network.prefix == 0) continue;
    facts.capacities.emplace_back(kind, AmountOf(capacity_, kind));
  }
  for (const auto& [guest_id, guest] : record_.guests) {
    HostGuest& out = facts.guests.emplace_back();
    out.guest_id = guest_id;
    out.name = guest.name;
    out.ended = guest.phase == GuestRecord::Phase::kEnded;
    out.exit_reason = guest.exit_reason;
    out.exited = guest.exit_reason == kCleanExit;
    out.holdings = units_.ToHoldings(guest.seed, guest.held);
  }
  facts.applied_round_id = record_.applied_round_id;
  facts.applied_meters = AppliedMeters();
  facts.sums = Sums();
  return facts;
}

absl::StatusOr<HostFacts> LinuxHost::Attach() {
  attached_ = false;
  const bool sells_disk = units_.Sells(ResourceKind::kDisk);
  NOM_RETURN_IF_ERROR(PrepareCgroupRoot(files(), sells_disk));
  NOM_RETURN_IF_ERROR(directory_.Lock());
  disk_.reset();
  if (sells_disk) {
    NOM_ASSIGN_OR_RETURN(const DiskNumber number,
                         FindWholeDisk(options_.disk.device, options_.sys));
    disk_ = SoldDisk{.number = number, .options = options_.disk};
  }
  NOM_ASSIGN_OR_RETURN(machine_, ReadMachineFacts(options_.proc));
  capacity_ = Capacity();
  NOM_RETURN_IF_ERROR(LoadRecord());
  for (const auto& [guest_id, guest] : record_.guests) {
    if (!guest.adopted()) continue;
    NameUnit(guest_id, guest);
    // Was being adopted when the last marketd ended: nobody was told of it.
    if (guest.phase == GuestRecord::Phase::kCreating) NOM_RETURN_IF_ERROR(LetGo(guest_id, guest));
  }
  ends_.Hear(*parts_.launcher, record_);
  Meter();
  NOM_RETURN_IF_ERROR(FindGuests(files(), By(), parts_.nap, ends_, record_));
  directory_.RemoveAllBut(record_);
  if (record_.applying_round_id) {
    // All or nothing: what a marketd that died had begun is done to its end.
    int64_t forced_units = 0;
    NOM_RETURN_IF_ERROR(FinishApplying(&forced_units));
  }
  SetAllRates();
  NOM_RETURN_IF_ERROR(WriteSeedSum());
  NOM_RETURN_IF_ERROR(Save());
  for (const auto& [guest_id, guest] : record_.guests) {
    if (guest.phase == GuestRecord::Phase::kRunning) {
      NOM_RETURN_IF_ERROR(directory_.OpenGuest(guest_id));
    }
  }
  NoteMost();
  ends_.TakeNews();  // The facts say it.
  attached_ = true;
  return Facts();
}

// --- Counting. ---

void LinuxHost::Meter() {
  metered_us_ = parts_.now_us();
  ReadMeters({.files = files(),
              .proc = options_.proc,
              .disk = disk_,
              .sys = units_.Sells(ResourceKind::kNetwork) ? options_.sys : ""},
             machine_, metered_us_, record_);
}

// A guest's memory.min counts only within that of the folders above it.
absl::Status LinuxHost::WriteSeedSum() {
  Amounts sum;
  for (const auto& [guest_id, guest] : record_.guests) {
    if (guest.phase != GuestRecord::Phase::kEnded) sum = SumOf(sum, guest.seed);
  }
  const absl::Status status = files().WriteMemoryMin("", sum.memory_bytes);
  // The limits of a delegated folder itself belong to whoever delegated it (MemoryMin= there).
  return absl::IsPermissionDenied(status) ? absl::OkStatus() : status;
}

std::vector<GuestMeters> LinuxHost::AppliedMeters() const {
  std::vector<GuestMeters> out;
  for (const auto& [guest_id, guest] : record_.guests) {
    if (!guest.has_applied) continue;
    out.push_back(
        ToGuestMeters(guest_id, guest.applied, record_.applied_at_us, units_.resources()));
  }
  return out;
}

// --- Guests come and go. ---

void LinuxHost::NameUnit(GuestId guest_id, const GuestRecord& guest) {
  files_.Adopt(GuestFolder(guest_id),
               {.guest_id = guest_id, .recipe = guest.recipe, .cgroup = guest.unit_cgroup});
}

absl::Status LinuxHost::LetGo(GuestId guest_id, const GuestRecord& guest) {
  const std::string cgroup = GuestFolder(guest_id);
  if (!guest.adopted()) return EmptyAndRemove(files(), cgroup, parts_.nap);
  NOM_RETURN_IF_ERROR(
      files_.Release({.guest_id = guest_id, .recipe = guest.recipe, .limits = guest.unit_limits}));
  files_.Forget(cgroup);
  return absl::OkStatus();
}

// A unit that uses more than its seed would be killed by its first limit.
absl::Status LinuxHost::AdoptNew(GuestId guest_id, const Recipe& recipe, GuestRecord& guest) {
  NOM_ASSIGN_OR_RETURN(LaunchAdopted found,
                       files_.Find({.guest_id = guest_id, .recipe = guest.recipe}));
  for (const auto& [other_id, other] : record_.guests) {
    if (other.unit_cgroup != found.cgroup) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("unit ", recipe.unit, " is guest ", other_id, " already"));
  }
  guest.unit_cgroup = std::move(found.cgroup);
  guest.unit_limits = found.limits;
  NameUnit(guest_id, guest);
  const std::string cgroup = GuestFolder(guest_id);
  NOM_ASSIGN_OR_RETURN(const CpuStat stat, files().ReadCpuStat(cgroup));
  guest.usage_offset_us = -static_cast<int64_t>(stat.usage_us);
  if (!units_.Sells(ResourceKind::kMemory)) return absl::OkStatus();
  NOM_ASSIGN_OR_RETURN(int64_t bytes, files().ReadMemoryCurrent(cgroup));
  if (bytes > guest.seed.memory_bytes) {
    // Page cache goes; what does not is looked at again.
    files().ReclaimMemory(cgroup, bytes - guest.seed.memory_bytes).IgnoreError();
    NOM_ASSIGN_OR_RETURN(bytes, files().ReadMemoryCurrent(cgroup));
  }
  if (bytes > guest.seed.memory_bytes) {
    return absl::FailedPreconditionError(absl::StrCat(
        "unit ", recipe.unit, " keeps ", MiBText(bytes), " of memory, and its seed is ",
        MiBText(guest.seed.memory_bytes), ": give it a seed that holds what it uses"));
  }
  return absl::OkStatus();
}

absl::Status LinuxHost::StartNew(const GuestSpec& spec, const Recipe& recipe, GuestRecord& guest) {
  if (!recipe.unit.empty()) NOM_RETURN_IF_ERROR(AdoptNew(spec.guest_id, recipe, guest));
  NOM_RETURN_IF_ERROR(Save());
  NOM_RETURN_IF_ERROR(
      WriteFirstLimits(files(), GuestFolder(spec.guest_id), recipe, By(), guest.seed));
  if (units_.Sells(ResourceKind::kMemory)) NOM_RETURN_IF_ERROR(WriteSeedSum());
  NOM_RETURN_IF_ERROR(directory_.OpenGuest(spec.guest_id));
  directory_.Board(spec.guest_id)->WriteGuest({.guest_id = spec.guest_id, .now = spec.seeds}, 0, 0);
  ends_.Forget(spec.guest_id);
  if (!guest.adopted()) {
    NOM_RETURN_IF_ERROR(parts_.launcher->Start({.guest_id = spec.guest_id,
                                                .recipe = spec.image,
                                                .arguments = spec.arguments,
                                                .network_mbits = guest.seed.network_mbits}));
  }
  guest.phase = GuestRecord::Phase::kRunning;
  return Save();
}

absl::Status LinuxHost::CreateGuest(const GuestSpec& spec) {
  if (!attached_) return absl::UnavailableError("linux: not attached");
  NOM_ASSIGN_OR_RETURN(const Recipe* recipe,
                       CheckSpec(spec, options_.recipes, machine_, units_, capacity_, record_));
  const std::string what = absl::StrCat("guest ", spec.name, " from recipe ", spec.image, ": ");
  const std::string cgroup = GuestFolder(spec.guest_id);
  if (recipe->unit.empty()) {
    if (const absl::Status status = files().Make(cgroup); !status.ok()) {
      return absl::FailedPreconditionError(absl::StrCat(what, status.message()));
    }
  }
  Meter();
  GuestRecord& guest = record_.guests[spec.guest_id];
  guest.name = spec.name;
  guest.recipe = recipe->name;
  guest.seed = units_.ToAmounts(spec.seeds);
  guest.held = guest.seed;
  guest.memory_window_bytes =
      units_.ToAmounts({{.kind = ResourceKind::kMemory, .seed_units = spec.memory_max_units}})
          .memory_bytes;
  guest.sums.created_us = record_.at_us;
  const absl::Status started = StartNew(spec, *recipe, guest);
  if (started.ok()) {
    NoteMost();
    return absl::OkStatus();
  }
  // As if it had never been asked for.
  std::string message = absl::StrCat(what, started.message());
  const auto also = [&message](const absl::Status& status) {
    if (!status.ok()) absl::StrAppend(&message, "; and ", status.message());
  };
  // A unit that was not found has nothing to be given back.
  if (recipe->unit.empty() || guest.adopted()) also(LetGo(spec.guest_id, guest));
  files_.Forget(cgroup);
  record_.guests.erase(spec.guest_id);
  directory_.RemoveGuest(spec.guest_id);
  also(WriteSeedSum());
  also(Save());
  // A machine that cannot start this guest is there all the same: never UNAVAILABLE, which would
  // stop everybody's rounds.
  return absl::FailedPreconditionError(message);
}

absl::StatusOr<GuestMeters> LinuxHost::DestroyGuest(GuestId guest_id) {
  if (!attached_) return absl::UnavailableError("linux: not attached");
  const auto it = record_.guests.find(guest_id);
  if (it == record_.guests.end()) {
    return absl::NotFoundError(absl::StrCat("linux: no guest ", guest_id));
  }
  Meter();
  const GuestMeters last =
      ToGuestMeters(guest_id, it->second.sums, record_.at_us, units_.resources());
  NOM_RETURN_IF_ERROR(LetGo(guest_id, it->second));
  record_.guests.erase(it);
  ends_.Forget(guest_id);
  directory_.RemoveGuest(guest_id);
  NOM_RETURN_IF_ERROR(WriteSeedSum());
  NOM_RETURN_IF_ERROR(Save());
  return last;
}

// --- Rounds. ---

absl::Status LinuxHost::Prepare(const GrantSet& grants, absl::Duration until_effective) {
  if (!attached_) return absl::UnavailableError("linux: not attached");
  const int64_t now_us = parts_.now_us();
  for (const GuestGrant& grant : grants.grants) {
    BoardFile* const board = directory_.Board(grant.guest_id);
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
  NOM_ASSIGN_OR_RETURN(const auto targets, CheckGrants(grants, units_, capacity_, record_));

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
    if (BoardFile* const board = directory_.Board(grant.guest_id)) {
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

std::function<absl::Status(GuestId, int64_t)> LinuxHost::RateSetter() {
  if (!units_.Sells(ResourceKind::kNetwork)) return nullptr;
  return [this](GuestId guest_id, int64_t mbits) {
    return parts_.launcher->SetRate({.guest_id = guest_id, .network_mbits = mbits});
  };
}

void LinuxHost::SetAllRates() {
  const auto set_rate = RateSetter();
  if (!set_rate) return;
  for (const auto& [guest_id, guest] : record_.guests) {
    if (guest.phase != GuestRecord::Phase::kRunning || guest.held.network_mbits == 0) continue;
    // Without a launcher they are as the last marketd left them.
    if (!set_rate(guest_id, guest.held.network_mbits).ok()) return;
  }
}

absl::Status LinuxHost::FinishApplying(int64_t* forced_units) {
  std::vector<GuestChange> changes;
  for (const auto& [guest_id, guest] : record_.guests) {
    if (guest.phase != GuestRecord::Phase::kRunning || !guest.target) continue;
    const Recipe* recipe = FindRecipe(options_.recipes, guest.recipe);
    changes.push_back({.guest_id = guest_id,
                       .cgroup = GuestFolder(guest_id),
                       .from = guest.held,
                       .to = *guest.target,
                       .cpu_from = CpuLimitsFor(recipe, guest.seed, guest.held),
                       .cpu_to = CpuLimitsFor(recipe, guest.seed, *guest.target),
                       .force = recipe == nullptr ? Recipe::Force::kKill : recipe->force});
  }
  const absl::Status status = PutInForce(files(), absl::MakeSpan(changes),
                                         {.has_cpu = units_.Sells(ResourceKind::kCpu),
                                          .has_memory = units_.Sells(ResourceKind::kMemory),
                                          .disk = disk_,
                                          .set_rate = RateSetter(),
                                          .timeout = options_.shrink_timeout,
                                          .nap = parts_.nap});
  Meter();
  const int64_t memory_unit = std::max<int64_t>(1, units_.SizeOf(ResourceKind::kMemory));
  for (const GuestChange& change : changes) {
    GuestRecord& guest = record_.guests.at(change.guest_id);
    *forced_units += (change.forced_bytes + memory_unit - 1) / memory_unit;
    if (status.ok()) guest.held = change.to;
    guest.target.reset();
    if (change.killed) {
      ends_.Note(change.guest_id, guest, record_.at_us,
                 absl::StrCat("killed: it kept ", MiBText(change.forced_bytes),
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
  directory_.Publish(board, parts_.now_us());
  return absl::OkStatus();
}

std::vector<HostNews> LinuxHost::Poll() {
  if (!attached_) return {};
  const int64_t now_us = parts_.now_us();
  if (now_us - looked_us_ < kLookIntervalUs) return ends_.TakeNews();
  looked_us_ = now_us;
  ends_.Hear(*parts_.launcher, record_);
  if (now_us - metered_us_ >= kMeterIntervalUs) Meter();
  bool some_ended = false;
  for (auto& [guest_id, guest] : record_.guests) {
    if (guest.phase != GuestRecord::Phase::kRunning ||
        !ends_.HasEnded(files(), guest_id, guest, now_us)) {
      continue;
    }
    Meter();
    ends_.Note(guest_id, guest, record_.at_us, ends_.ReasonOf(files(), guest_id, guest));
    if (!guest.adopted()) DropCache(files(), GuestFolder(guest_id));
    some_ended = true;
  }
  if (some_ended) {
    // A failure shows at the next change; the kernel's files say the same.
    WriteSeedSum().IgnoreError();
    Save().IgnoreError();
  }
  return ends_.TakeNews();
}

}  // namespace

std::unique_ptr<Host> NewLinuxHost(LinuxHostOptions options) {
  LinuxHost::Owned owned{.files = std::make_unique<CgroupFiles>(options.cgroup_root),
                         .all_files = std::make_unique<CgroupFiles>(options.sys + "/fs/cgroup"),
                         .launcher = NewSocketLauncher(options.launcher_socket)};
  LinuxHostParts parts{.files = owned.files.get(),
                       .all_files = owned.all_files.get(),
                       .launcher = owned.launcher.get(),
                       .now_us = BootTimeUs,
                       .nap = [](absl::Duration d) { absl::SleepFor(d); }};
  return std::make_unique<LinuxHost>(std::move(options), std::move(parts), std::move(owned));
}

std::unique_ptr<Host> NewLinuxHost(LinuxHostOptions options, LinuxHostParts parts) {
  return std::make_unique<LinuxHost>(std::move(options), std::move(parts), LinuxHost::Owned());
}

}  // namespace nom::market
