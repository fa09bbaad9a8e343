// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/nomhv/nomhv_host.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "marketd/host/board_prices.h"
#include "marketd/host/nomhv/bid_page.h"
#include "marketd/host/nomhv/guest_image.h"
#include "marketd/host/nomhv/mailbox.h"
#include "nomhv/abi/pc.h"

namespace nom::market {
namespace {

// Guests may end between our look at the meters and nomhv's look at the command.
constexpr int kApplyTries = 4;

const Holding* Find(const std::vector<Holding>& holdings, ResourceKind kind) {
  const auto it = std::find_if(holdings.begin(), holdings.end(),
                               [kind](const Holding& h) { return h.kind == kind; });
  return it == holdings.end() ? nullptr : &*it;
}

template <typename T>
absl::Span<const std::byte> Bytes(const T& value) {
  return {reinterpret_cast<const std::byte*>(&value), sizeof(value)};
}

template <size_t N>
void CopyText(const std::string& text, char (&out)[N]) {
  std::memset(out, 0, N);
  std::memcpy(out, text.data(), std::min(text.size(), N - 1));
}

// a * b / c without overflow in between; c > 0, saturating at the largest int64.
int64_t MulDiv(uint64_t a, uint64_t b, uint64_t c) {
  const absl::uint128 wide = absl::uint128(a) * b / c;
  constexpr uint64_t kMax = INT64_MAX;
  return static_cast<int64_t>(wide > kMax ? kMax : absl::Uint128Low64(wide));
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  bool SameFileAs(const FileDescriptor& other) const {
    struct stat mine {};
    struct stat its {};
    return fd_ >= 0 && fstat(fd_, &mine) == 0 && fstat(other.fd_, &its) == 0 &&
           mine.st_dev == its.st_dev && mine.st_ino == its.st_ino;
  }

 private:
  int fd_;
};

class NomhvHost final : public Host {
 public:
  explicit NomhvHost(NomhvHostOptions options) : options_(std::move(options)) {
    listening_ = ListenForDoorbell();
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
  absl::Status ListenForDoorbell();
  // One marketd at a time drives a machine. The lock is on the file itself, under whatever name.
  absl::Status LockMailbox();
  // The guests, by slot, as nomhv's meters say. UNAVAILABLE if one cannot be read: a guest must not
  // be taken for gone because its meter is being written.
  absl::StatusOr<std::vector<std::pair<uint32_t, NomMeter>>> Meters() const;
  absl::StatusOr<NomEvent> Call(NomCommandKind kind, GuestId guest_id,
                                absl::Span<const std::byte> payload);
  absl::StatusOr<NomEvent> Call(const NomCommand& command, absl::Span<const std::byte> payload);
  // What guests from an image and PCs have in common.
  NomCreate ToNomCreate(const GuestSpec& spec) const;
  absl::StatusOr<NomEvent> CreateFromImage(const GuestSpec& spec);
  absl::StatusOr<NomEvent> CreatePc(const GuestSpec& spec, const PcImage& pc);
  // nomhv wants the whole set: guests that the market does not know keep what they hold.
  absl::StatusOr<NomGrants> ToNomGrants(const GrantSet& set, bool next) const;
  int64_t frames_per_unit() const { return memory_unit_bytes_ / NOM_FRAME_BYTES; }
  // In units and microseconds. The counts of one guest, read at `tsc`.
  GuestMeters ToGuestMeters(const NomMeter& guest, uint64_t tsc, uint64_t cycles_offered,
                            uint64_t cycles_used, uint64_t offered_frame_us,
                            uint64_t held_frame_us) const;
  GuestMeters ToGuestMeters(const NomMeter& guest) const;
  HostGuest ToHostGuest(const NomMeter& meter) const;
  // What the machine is and runs, once it is attached.
  absl::StatusOr<HostFacts> ReadFacts();
  // All guests at the instant of the last APPLY; those that had ended as they ended.
  absl::StatusOr<std::vector<GuestMeters>> MetersAt(const NomRoundMeters& round) const;
  std::vector<HostSum> Sums() const;
  void PollBidPages(std::vector<HostNews>& news);

  const NomhvHostOptions options_;
  int64_t memory_unit_bytes_ = NOM_FRAME_BYTES;
  int64_t cpu_unit_millicores_ = 1;
  std::unique_ptr<Doorbell> doorbell_;  // Outlives mailbox_, which uses it.
  absl::Status listening_;
  std::unique_ptr<Mailbox> mailbox_;
  FileDescriptor mailbox_lock_;
  // One above what the machine had seen when this host was first attached; 0 before that. A host
  // that was overtaken keeps it: taking a higher one would overtake the present leader in turn.
  uint64_t epoch_ = 0;
  std::string overtaken_;  // By whom; empty: not.
  bool overtaken_told_ = false;
  std::array<uint32_t, NOM_GUESTS_MAX> bid_sequences_{};
  std::map<GuestId, GuestReport> reports_;
  std::set<GuestId> ended_told_;
};

absl::StatusOr<std::vector<std::pair<uint32_t, NomMeter>>> NomhvHost::Meters() const {
  std::vector<std::pair<uint32_t, NomMeter>> out;
  for (uint32_t slot = 0; slot < NOM_GUESTS_MAX; ++slot) {
    const std::optional<NomMeter> meter = mailbox_->Meter(slot);
    if (!meter)
      return absl::UnavailableError(absl::StrCat("nomhv: meter ", slot, " is never whole"));
    if (meter->state != NOM_GUEST_FREE) out.emplace_back(slot, *meter);
  }
  return out;
}

absl::StatusOr<NomEvent> NomhvHost::Call(NomCommandKind kind, GuestId guest_id,
                                         absl::Span<const std::byte> payload) {
  NomCommand command{};
  command.kind = kind;
  command.guest_id = guest_id;
  if (kind == NOM_COMMAND_ATTACH) command.argument[0] = NOM_ABI_VERSION;
  return Call(command, payload);
}

absl::StatusOr<NomEvent> NomhvHost::Call(const NomCommand& command,
                                         absl::Span<const std::byte> payload) {
  if (mailbox_ == nullptr) return absl::UnavailableError("nomhv: not attached");
  absl::StatusOr<NomEvent> answer = mailbox_->Call(command, payload);
  if (answer.ok() && answer->status == NOM_STATUS_PAST_EPOCH) {
    mailbox_ = nullptr;
    overtaken_ = absl::StrCat("nomhv: a marketd of epoch ", answer->value,
                              " commands this machine; ours is ", epoch_);
    return absl::FailedPreconditionError(overtaken_);
  }
  return answer;
}

absl::Status NomhvHost::ListenForDoorbell() {
  if (options_.doorbell_socket.empty() || doorbell_ != nullptr) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<Doorbell>> doorbell =
      Doorbell::Listen(options_.doorbell_socket, options_.mailbox_path);
  if (!doorbell.ok()) return doorbell.status();
  doorbell_ = *std::move(doorbell);
  return absl::OkStatus();
}

absl::Status NomhvHost::LockMailbox() {
  // Anew each time: whoever runs the machine may have made another file of that name.
  FileDescriptor file(open(options_.mailbox_path.c_str(), O_RDWR | O_CLOEXEC));
  if (file.get() < 0) {
    return absl::UnavailableError(
        absl::StrCat("mailbox ", options_.mailbox_path, ": ", std::strerror(errno)));
  }
  if (mailbox_lock_.SameFileAs(file)) return absl::OkStatus();
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::UnavailableError(
        absl::StrCat("mailbox ", options_.mailbox_path, ": another marketd drives this machine"));
  }
  mailbox_lock_ = std::move(file);
  return absl::OkStatus();
}

absl::StatusOr<HostFacts> NomhvHost::Attach() {
  mailbox_ = nullptr;
  if (absl::Status locked = LockMailbox(); !locked.ok()) return locked;
  if (!overtaken_.empty()) return absl::FailedPreconditionError(overtaken_);
  if (!listening_.ok()) listening_ = ListenForDoorbell();
  if (!listening_.ok()) return listening_;
  absl::StatusOr<std::unique_ptr<Mailbox>> opened =
      Mailbox::Open(options_.mailbox_path, options_.command_timeout, doorbell_.get());
  if (!opened.ok()) return opened.status();
  mailbox_ = *std::move(opened);
  if (epoch_ == 0) epoch_ = mailbox_->Header().epoch + 1;
  mailbox_->set_epoch(epoch_);
  bid_sequences_.fill(0);
  reports_.clear();
  ended_told_.clear();
  absl::StatusOr<NomEvent> answer = Call(NOM_COMMAND_ATTACH, 0, {});
  if (!answer.ok()) return answer.status();
  if (answer->status != NOM_STATUS_OK) {
    mailbox_ = nullptr;
    return absl::FailedPreconditionError(
        absl::StrCat("nomhv refused to be attached: ", StatusText(answer->status)));
  }
  return ReadFacts();
}

absl::StatusOr<HostFacts> NomhvHost::ReadFacts() {
  const NomMailboxHeader header = mailbox_->Header();
  HostFacts facts;
  facts.detail = absl::StrCat("nomhv ABI ", header.abi_version >> 16, ".",
                              header.abi_version & 0xffff, ", ", header.guest_processors,
                              " guest processors, ", header.capacity_frames / 256, " MiB");
  facts.boot_id = header.boot_id;
  facts.capacities = {
      {ResourceKind::kCpu, static_cast<int64_t>(header.capacity_millicores)},
      {ResourceKind::kMemory, static_cast<int64_t>(header.capacity_frames) * NOM_FRAME_BYTES}};
  const auto meters = Meters();
  if (!meters.ok()) return meters.status();
  for (const auto& [slot, meter] : *meters) {
    facts.guests.push_back(ToHostGuest(meter));
    if (facts.guests.back().ended) ended_told_.insert(meter.guest_id);
  }
  // The mailbox keeps the meters of the last APPLY, whoever sent it and whether or not it was
  // heard.
  const std::optional<NomRoundMeters> applied = mailbox_->RoundMeters();
  if (!applied || applied->guest_count > NOM_GUESTS_MAX) {
    return absl::UnavailableError("nomhv: the round's meters cannot be read");
  }
  facts.applied_round_id = applied->round_id;
  absl::StatusOr<std::vector<GuestMeters>> applied_meters = MetersAt(*applied);
  if (!applied_meters.ok()) return applied_meters.status();
  facts.applied_meters = *std::move(applied_meters);
  facts.sums = Sums();
  return facts;
}

HostGuest NomhvHost::ToHostGuest(const NomMeter& meter) const {
  HostGuest guest;
  guest.guest_id = meter.guest_id;
  guest.name = PrintableText(meter.name, sizeof(meter.name));
  guest.ended = meter.state == NOM_GUEST_ENDED;
  if (guest.ended) {
    guest.exit_reason = ExitReasonText(meter.exit_reason, meter.exit_detail);
    guest.exited = IsCleanExit(meter.exit_reason, meter.exit_detail);
  }
  const auto holding = [](ResourceKind kind, uint64_t seed, uint64_t total, int64_t unit) {
    Holding h;
    h.kind = kind;
    h.seed_units = static_cast<int64_t>(seed) / unit;
    h.award_units = static_cast<int64_t>(total) / unit - h.seed_units;
    return h;
  };
  guest.holdings = {
      holding(ResourceKind::kCpu, meter.seed_millicores, meter.millicores_granted,
              cpu_unit_millicores_),
      holding(ResourceKind::kMemory, meter.seed_frames, meter.frames_granted, frames_per_unit())};
  return guest;
}

void NomhvHost::SetResources(absl::Span<const Resource> resources) {
  for (const Resource& r : resources) {
    if (r.kind == ResourceKind::kMemory) memory_unit_bytes_ = r.unit_size;
    if (r.kind == ResourceKind::kCpu) cpu_unit_millicores_ = r.unit_size;
  }
}

NomCreate NomhvHost::ToNomCreate(const GuestSpec& spec) const {
  NomCreate create{};
  create.guest_id = spec.guest_id;
  if (const Holding* memory = Find(spec.seeds, ResourceKind::kMemory)) {
    create.seed_frames = static_cast<uint64_t>(memory->seed_units * frames_per_unit());
  }
  if (const Holding* cpu = Find(spec.seeds, ResourceKind::kCpu)) {
    create.seed_millicores = static_cast<uint64_t>(cpu->seed_units * cpu_unit_millicores_);
  }
  create.window_frames = static_cast<uint64_t>(spec.memory_max_units * frames_per_unit());
  CopyText(spec.name, create.name);
  return create;
}

absl::StatusOr<NomEvent> NomhvHost::CreateFromImage(const GuestSpec& spec) {
  absl::StatusOr<std::string> image = ReadGuestImage(options_.image_directory, spec.image,
                                                     NOM_MAILBOX_PAYLOAD_BYTES - sizeof(NomCreate));
  if (!image.ok()) return image.status();
  NomCreate create = ToNomCreate(spec);
  create.image_offset = sizeof(NomCreate);
  create.image_bytes = static_cast<uint32_t>(image->size());
  CopyText(spec.arguments, create.arguments);
  std::vector<std::byte> payload(sizeof(create) + image->size());
  std::memcpy(payload.data(), &create, sizeof(create));
  std::memcpy(payload.data() + sizeof(create), image->data(), image->size());
  return Call(NOM_COMMAND_CREATE, spec.guest_id, payload);
}

absl::StatusOr<NomEvent> NomhvHost::CreatePc(const GuestSpec& spec, const PcImage& pc) {
  NomCreatePc create{.create = ToNomCreate(spec)};
  CopyText(pc.kernel, create.kernel);
  CopyText(pc.initramfs, create.initramfs);
  // It fits: CheckPcImage.
  CopyText(
      absl::StrCat(pc.command_line, pc.command_line.empty() || spec.arguments.empty() ? "" : " ",
                   spec.arguments),
      create.command_line);
  NomCommand command{};
  command.kind = NOM_COMMAND_CREATE;
  command.guest_id = spec.guest_id;
  command.argument[0] = static_cast<uint64_t>(pc.processors);
  command.argument[1] = NOM_PERSONALITY_PC;
  return Call(command, Bytes(create));
}

absl::Status NomhvHost::CreateGuest(const GuestSpec& spec) {
  if (spec.name.size() >= NOM_NAME_BYTES || spec.arguments.size() >= NOM_ARGUMENTS_BYTES) {
    return absl::InvalidArgumentError(
        absl::StrCat("guest ", spec.name, ": name or arguments too long"));
  }
  const auto pc = std::find_if(options_.pcs.begin(), options_.pcs.end(),
                               [&](const PcImage& one) { return one.name == spec.image; });
  const absl::StatusOr<NomEvent> answer =
      pc == options_.pcs.end() ? CreateFromImage(spec) : CreatePc(spec, *pc);
  if (!answer.ok()) return answer.status();
  const std::string what = absl::StrCat("guest ", spec.name, " from image ", spec.image, ": ");
  switch (answer->status) {
    case NOM_STATUS_OK:
      ended_told_.erase(spec.guest_id);
      return absl::OkStatus();
    case NOM_STATUS_BAD_PARAMETER:
      if (pc == options_.pcs.end()) break;
      return absl::FailedPreconditionError(
          absl::StrCat(what, "the machine has no file \"", pc->kernel, "\"",
                       pc->initramfs.empty() ? "" : absl::StrCat(" or \"", pc->initramfs, "\""),
                       ", or not so many processors"));
    case NOM_STATUS_BAD_IMAGE:
      return absl::FailedPreconditionError(
          absl::StrCat(what, "not a guest image: ", ImageFaultText(answer->detail)));
    case NOM_STATUS_EXISTS:
      return absl::AlreadyExistsError(absl::StrCat(what, StatusText(answer->status)));
    case NOM_STATUS_OVER_CAPACITY:
    case NOM_STATUS_TABLE_FULL:
      return absl::ResourceExhaustedError(absl::StrCat(what, StatusText(answer->status)));
    default:
      break;
  }
  return absl::FailedPreconditionError(absl::StrCat(what, StatusText(answer->status)));
}

absl::StatusOr<GuestMeters> NomhvHost::DestroyGuest(GuestId guest_id) {
  if (mailbox_ == nullptr) return absl::UnavailableError("nomhv: not attached");
  // Before it is gone: nomhv's answer does not carry them.
  GuestMeters last{.guest_id = guest_id};
  const auto meters = Meters();
  if (!meters.ok()) return meters.status();
  for (const auto& [slot, meter] : *meters) {
    if (meter.guest_id == guest_id) last = ToGuestMeters(meter);
  }
  const absl::StatusOr<NomEvent> answer = Call(NOM_COMMAND_DESTROY, guest_id, {});
  if (!answer.ok()) return answer.status();
  ended_told_.insert(guest_id);  // Its end is no news to the market.
  reports_.erase(guest_id);
  if (answer->status == NOM_STATUS_OK) return last;
  const std::string text = absl::StrCat("guest ", guest_id, ": ", StatusText(answer->status));
  return answer->status == NOM_STATUS_NO_SUCH_GUEST ? absl::NotFoundError(text)
                                                    : absl::FailedPreconditionError(text);
}

absl::StatusOr<NomGrants> NomhvHost::ToNomGrants(const GrantSet& set, bool next) const {
  NomGrants out{};
  out.round_id = set.round_id;
  std::map<GuestId, const GuestGrant*> wanted;
  for (const GuestGrant& grant : set.grants) wanted[grant.guest_id] = &grant;
  const auto meters = Meters();
  if (!meters.ok()) return meters.status();
  for (const auto& [slot, meter] : *meters) {
    if (meter.state != NOM_GUEST_RUNNING) continue;
    NomGrant& grant = out.grants[out.grant_count++];
    grant.guest_id = meter.guest_id;
    const auto it = wanted.find(meter.guest_id);
    if (it == wanted.end()) {
      grant.frames = meter.frames_granted;
      grant.millicores = meter.millicores_granted;
      continue;
    }
    const GuestGrant& from = *it->second;
    const std::vector<Holding>& total = next ? from.next : from.now;
    grant.balance_microcredits = from.balance_microcredits;
    grant.spent_microcredits = from.spent_microcredits;
    const Holding* memory = Find(total, ResourceKind::kMemory);
    const Holding* cpu = Find(total, ResourceKind::kCpu);
    grant.frames = memory == nullptr ? meter.seed_frames
                                     : static_cast<uint64_t>(memory->units() * frames_per_unit());
    grant.millicores = cpu == nullptr ? meter.seed_millicores
                                      : static_cast<uint64_t>(cpu->units() * cpu_unit_millicores_);
    for (const Holding& now : from.now) {
      if (grant.holding_count == NOM_RESOURCES_MAX) break;
      const Holding* then = Find(from.next, now.kind);
      NomHolding& holding = grant.holdings[grant.holding_count++];
      holding.kind = static_cast<uint32_t>(now.kind);
      holding.seed_units = now.seed_units;
      holding.units = now.units();
      holding.charge_microcredits = now.charge_microcredits;
      holding.next_units = then == nullptr ? now.units() : then->units();
      holding.next_charge_microcredits =
          then == nullptr ? now.charge_microcredits : then->charge_microcredits;
    }
  }
  return out;
}

absl::Status NomhvHost::Prepare(const GrantSet& grants, absl::Duration until_effective) {
  if (mailbox_ == nullptr) return absl::UnavailableError("nomhv: not attached");
  std::string refusal;
  for (int i = 0; i < kApplyTries; ++i) {
    absl::StatusOr<NomGrants> payload = ToNomGrants(grants, /*next=*/true);
    if (!payload.ok()) return payload.status();
    payload->deadline_us =
        static_cast<uint64_t>(std::max<int64_t>(0, absl::ToInt64Microseconds(until_effective)));
    const absl::StatusOr<NomEvent> answer = Call(NOM_COMMAND_PREPARE, 0, Bytes(*payload));
    if (!answer.ok()) return answer.status();
    if (answer->status == NOM_STATUS_OK) return absl::OkStatus();
    refusal = absl::StrCat("prepare round ", grants.round_id, ": guest ", answer->value, ": ",
                           StatusText(answer->status));
    if (answer->status != NOM_STATUS_CRASHED && answer->status != NOM_STATUS_NO_SUCH_GUEST) break;
  }
  return absl::FailedPreconditionError(refusal);
}

absl::StatusOr<RoundReport> NomhvHost::Apply(const GrantSet& grants) {
  if (mailbox_ == nullptr) return absl::UnavailableError("nomhv: not attached");
  std::string refusal;
  for (int i = 0; i < kApplyTries; ++i) {
    const absl::StatusOr<NomGrants> payload = ToNomGrants(grants, /*next=*/false);
    if (!payload.ok()) return payload.status();
    const absl::StatusOr<NomEvent> answer = Call(NOM_COMMAND_APPLY, 0, Bytes(*payload));
    if (!answer.ok()) return answer.status();
    if (answer->status == NOM_STATUS_OK) {
      const std::optional<NomRoundMeters> meters = mailbox_->RoundMeters();
      if (!meters || meters->guest_count > NOM_GUESTS_MAX || meters->round_id != grants.round_id) {
        return absl::UnavailableError("nomhv: the round's meters cannot be read");
      }
      absl::StatusOr<std::vector<GuestMeters>> guests = MetersAt(*meters);
      if (!guests.ok()) return guests.status();
      RoundReport report{
          .round_id = meters->round_id, .meters = *std::move(guests), .sums = Sums()};
      const auto frames_per = static_cast<uint64_t>(frames_per_unit());
      for (uint32_t g = 0; g < meters->guest_count; ++g) {
        report.forced_units +=
            static_cast<int64_t>((meters->guests[g].frames_forced + frames_per - 1) / frames_per);
      }
      return report;
    }
    refusal = absl::StrCat("apply round ", grants.round_id, ": guest ", answer->value, ": ",
                           StatusText(answer->status));
    if (answer->status != NOM_STATUS_CRASHED && answer->status != NOM_STATUS_NO_SUCH_GUEST) break;
  }
  return absl::FailedPreconditionError(refusal);
}

GuestMeters NomhvHost::ToGuestMeters(const NomMeter& guest, uint64_t tsc, uint64_t cycles_offered,
                                     uint64_t cycles_used, uint64_t offered_frame_us,
                                     uint64_t held_frame_us) const {
  const auto us_between = [this](uint64_t from, uint64_t to) {
    return to <= from ? int64_t{0} : MulDiv(to - from, 1'000'000, mailbox_->tsc_hz());
  };
  // Cycles to processor-microseconds to unit-microseconds: 1000 millicores a processor. In 128
  // bits, kept modulo 2^64.
  const auto cpu = [this](uint64_t cycles) {
    return absl::Uint128Low64(absl::uint128(cycles) * 1'000'000'000 / mailbox_->tsc_hz() /
                              static_cast<uint64_t>(cpu_unit_millicores_));
  };
  const auto frames = [this](uint64_t frame_us) {
    return frame_us / static_cast<uint64_t>(frames_per_unit());
  };
  GuestMeters out{.guest_id = guest.guest_id, .age_us = us_between(guest.created_tsc, tsc)};
  // nomhv reads the meters of a guest for the last time when it ends.
  out.alive_us = guest.state == NOM_GUEST_ENDED
                     ? std::min(out.age_us, us_between(guest.created_tsc, guest.tsc))
                     : out.age_us;
  out.amounts = {{ResourceKind::kCpu, cpu(cycles_offered), cpu(cycles_used)},
                 {ResourceKind::kMemory, frames(offered_frame_us), frames(held_frame_us)}};
  return out;
}

GuestMeters NomhvHost::ToGuestMeters(const NomMeter& guest) const {
  return ToGuestMeters(guest, guest.tsc, guest.cycles_offered, guest.cycles_used,
                       guest.offered_frame_us, guest.held_frame_us);
}

absl::StatusOr<std::vector<GuestMeters>> NomhvHost::MetersAt(const NomRoundMeters& round) const {
  std::map<GuestId, const NomRoundMeter*> counts;
  for (uint32_t g = 0; g < round.guest_count; ++g) {
    counts[round.guests[g].guest_id] = &round.guests[g];
  }
  const auto meters = Meters();
  if (!meters.ok()) return meters.status();
  std::vector<GuestMeters> out;
  for (const auto& [slot, meter] : *meters) {
    const auto at = counts.find(meter.guest_id);
    if (at != counts.end()) {
      out.push_back(ToGuestMeters(meter, round.tsc, at->second->cycles_offered,
                                  at->second->cycles_used, at->second->offered_frame_us,
                                  at->second->held_frame_us));
    } else if (meter.state == NOM_GUEST_ENDED && meter.tsc <= round.tsc) {
      out.push_back(ToGuestMeters(meter, round.tsc, meter.cycles_offered, meter.cycles_used,
                                  meter.offered_frame_us, meter.held_frame_us));
    }
  }
  return out;
}

std::vector<HostSum> NomhvHost::Sums() const {
  const NomMailboxHeader header = mailbox_->Header();
  const auto sum = [](ResourceKind kind, uint64_t granted, uint64_t most, uint64_t capacity,
                      uint64_t unit) {
    // A sum is rounded up and the capacity down: no rounding may hide an excess.
    HostSum s;
    s.kind = kind;
    s.granted_units = static_cast<int64_t>((granted + unit - 1) / unit);
    s.granted_max_units = static_cast<int64_t>((most + unit - 1) / unit);
    s.capacity_units = static_cast<int64_t>(capacity / unit);
    return s;
  };
  return {sum(ResourceKind::kCpu, header.millicores_granted, header.millicores_granted_max,
              header.capacity_millicores, static_cast<uint64_t>(cpu_unit_millicores_)),
          sum(ResourceKind::kMemory, header.frames_granted, header.frames_granted_max,
              header.capacity_frames, static_cast<uint64_t>(frames_per_unit()))};
}

absl::Status NomhvHost::Publish(const BoardContents& board) {
  NomPublish publish{};
  const auto us = [](absl::Duration d) {
    return static_cast<uint64_t>(std::max<int64_t>(0, absl::ToInt64Microseconds(d)));
  };
  publish.round_id = board.round_id;
  publish.priced_round_id = board.priced_round_id;
  publish.valid_for_us = us(board.valid_for);
  publish.close_in_us = us(board.close_in);
  publish.effective_in_us = us(board.effective_in);
  publish.period_us = us(board.period);
  publish.head = ToNomHead(board.head);
  PutPrices(board.prices, publish);
  const absl::StatusOr<NomEvent> answer = Call(NOM_COMMAND_PUBLISH, 0, Bytes(publish));
  if (!answer.ok()) return answer.status();
  if (answer->status == NOM_STATUS_OK) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("publish: ", StatusText(answer->status)));
}

std::vector<HostNews> NomhvHost::Poll() {
  std::vector<HostNews> news;
  if (!overtaken_.empty() && !overtaken_told_) {
    overtaken_told_ = true;
    news.push_back(HostLost{overtaken_});
  }
  if (mailbox_ == nullptr) return news;
  if (absl::Status alive = mailbox_->Alive(); !alive.ok()) {
    mailbox_ = nullptr;
    news.push_back(HostLost{std::string(alive.message())});
    return news;
  }
  while (std::optional<NomEvent> event = mailbox_->NextEvent()) {
    if (event->kind != NOM_EVENT_GUEST_ENDED) continue;
    if (ended_told_.insert(event->guest_id).second) {
      news.push_back(GuestEnded{event->guest_id, ExitReasonText(event->status, event->value),
                                IsCleanExit(event->status, event->value)});
    }
  }
  PollBidPages(news);
  return news;
}

void NomhvHost::PollBidPages(std::vector<HostNews>& news) {
  const auto meters = Meters();
  if (!meters.ok()) return;  // The next poll will see.
  for (const auto& [slot, meter] : *meters) {
    // An end whose event was lost to a full ring still shows here.
    if (meter.state == NOM_GUEST_ENDED) {
      if (ended_told_.insert(meter.guest_id).second) {
        news.push_back(GuestEnded{meter.guest_id,
                                  ExitReasonText(meter.exit_reason, meter.exit_detail),
                                  IsCleanExit(meter.exit_reason, meter.exit_detail)});
      }
      continue;
    }
    if (mailbox_->BidPageSequence(slot) == bid_sequences_[slot]) continue;
    const std::optional<NomBidPage> page = mailbox_->BidPage(slot);
    if (!page) continue;
    bid_sequences_[slot] = page->sequence;
    if (BidPageUnused(*page)) continue;
    BidPageContents contents = ReadBidPage(meter.guest_id, *page);
    news.push_back(std::move(contents.bids));
    if (contents.report) {
      GuestReport& last = reports_[meter.guest_id];
      if (last != *contents.report) {
        last = *contents.report;
        news.push_back(*std::move(contents.report));
      }
    }
  }
}

}  // namespace

std::unique_ptr<Host> NewNomhvHost(NomhvHostOptions options) {
  return std::make_unique<NomhvHost>(std::move(options));
}

}  // namespace nom::market
