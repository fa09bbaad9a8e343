#include "marketd/host/nomhv/nomhv_host.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "marketd/host/nomhv/bid_page.h"
#include "marketd/host/nomhv/guest_image.h"
#include "marketd/host/nomhv/mailbox.h"

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

class NomhvHost final : public Host {
 public:
  explicit NomhvHost(NomhvHostOptions options) : options_(std::move(options)) {
    listening_ = ListenForDoorbell();
  }

  absl::StatusOr<HostFacts> Attach() override;
  void SetResources(absl::Span<const Resource> resources) override;
  absl::Status CreateGuest(const GuestSpec& spec) override;
  absl::Status DestroyGuest(GuestId guest_id) override;
  absl::Status Prepare(const GrantSet& grants, absl::Duration until_effective) override;
  absl::StatusOr<RoundReport> Apply(const GrantSet& grants) override;
  absl::Status Publish(const BoardContents& board) override;
  std::vector<HostNews> Poll() override;

 private:
  struct Sample {
    uint64_t tsc = 0;
    std::map<GuestId, NomRoundMeter> guests;
  };

  absl::Status ListenForDoorbell();
  // The guests, by slot, as nomhv's meters say. UNAVAILABLE if one cannot be read: a guest must not
  // be taken for gone because its meter is being written.
  absl::StatusOr<std::vector<std::pair<uint32_t, NomMeter>>> Meters() const;
  absl::StatusOr<NomEvent> Call(NomCommandKind kind, GuestId guest_id,
                                absl::Span<const std::byte> payload);
  // nomhv wants the whole set: guests that the market does not know keep what they hold.
  absl::StatusOr<NomGrants> ToNomGrants(const GrantSet& set, bool next) const;
  int64_t frames_per_unit() const { return memory_unit_bytes_ / NOM_FRAME_BYTES; }
  RoundReport Report(const NomRoundMeters& meters) const;
  void PollBidPages(std::vector<HostNews>& news);

  const NomhvHostOptions options_;
  int64_t memory_unit_bytes_ = NOM_FRAME_BYTES;
  int64_t cpu_unit_millicores_ = 1;
  std::unique_ptr<Doorbell> doorbell_;  // Outlives mailbox_, which uses it.
  absl::Status listening_;
  std::unique_ptr<Mailbox> mailbox_;
  // One above what the machine had seen when this host was first attached; 0 before that. A host
  // that was overtaken keeps it: taking a higher one would overtake the present leader in turn.
  uint64_t epoch_ = 0;
  std::string overtaken_;  // By whom; empty: not.
  bool overtaken_told_ = false;
  Sample last_;
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
  if (mailbox_ == nullptr) return absl::UnavailableError("nomhv: not attached");
  NomCommand command{};
  command.kind = kind;
  command.guest_id = guest_id;
  if (kind == NOM_COMMAND_ATTACH) command.argument[0] = NOM_ABI_VERSION;
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

absl::StatusOr<HostFacts> NomhvHost::Attach() {
  mailbox_ = nullptr;
  if (!overtaken_.empty()) return absl::FailedPreconditionError(overtaken_);
  if (!listening_.ok()) listening_ = ListenForDoorbell();
  if (!listening_.ok()) return listening_;
  absl::StatusOr<std::unique_ptr<Mailbox>> opened =
      Mailbox::Open(options_.mailbox_path, options_.command_timeout, doorbell_.get());
  if (!opened.ok()) return opened.status();
  mailbox_ = *std::move(opened);
  if (epoch_ == 0) epoch_ = mailbox_->Header().epoch + 1;
  mailbox_->set_epoch(epoch_);
  last_ = Sample{};
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
    HostGuest guest;
    guest.guest_id = meter.guest_id;
    guest.name = PrintableText(meter.name, sizeof(meter.name));
    guest.ended = meter.state == NOM_GUEST_ENDED;
    if (guest.ended) {
      guest.exit_reason = ExitReasonText(meter.exit_reason, meter.exit_detail);
      ended_told_.insert(meter.guest_id);
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
    facts.guests.push_back(std::move(guest));
  }
  return facts;
}

void NomhvHost::SetResources(absl::Span<const Resource> resources) {
  for (const Resource& r : resources) {
    if (r.kind == ResourceKind::kMemory) memory_unit_bytes_ = r.unit_size;
    if (r.kind == ResourceKind::kCpu) cpu_unit_millicores_ = r.unit_size;
  }
}

absl::Status NomhvHost::CreateGuest(const GuestSpec& spec) {
  if (spec.name.size() >= NOM_NAME_BYTES || spec.arguments.size() >= NOM_ARGUMENTS_BYTES) {
    return absl::InvalidArgumentError(
        absl::StrCat("guest ", spec.name, ": name or arguments too long"));
  }
  absl::StatusOr<std::string> image = ReadGuestImage(options_.image_directory, spec.image,
                                                     NOM_MAILBOX_PAYLOAD_BYTES - sizeof(NomCreate));
  if (!image.ok()) return image.status();

  NomCreate create{};
  create.guest_id = spec.guest_id;
  if (const Holding* memory = Find(spec.seeds, ResourceKind::kMemory)) {
    create.seed_frames = static_cast<uint64_t>(memory->seed_units * frames_per_unit());
  }
  if (const Holding* cpu = Find(spec.seeds, ResourceKind::kCpu)) {
    create.seed_millicores = static_cast<uint64_t>(cpu->seed_units * cpu_unit_millicores_);
  }
  create.window_frames = static_cast<uint64_t>(spec.memory_max_units * frames_per_unit());
  create.image_offset = sizeof(NomCreate);
  create.image_bytes = static_cast<uint32_t>(image->size());
  CopyText(spec.name, create.name);
  CopyText(spec.arguments, create.arguments);

  std::vector<std::byte> payload(sizeof(create) + image->size());
  std::memcpy(payload.data(), &create, sizeof(create));
  std::memcpy(payload.data() + sizeof(create), image->data(), image->size());
  const absl::StatusOr<NomEvent> answer = Call(NOM_COMMAND_CREATE, spec.guest_id, payload);
  if (!answer.ok()) return answer.status();
  const std::string what = absl::StrCat("guest ", spec.name, " from image ", spec.image, ": ");
  switch (answer->status) {
    case NOM_STATUS_OK:
      ended_told_.erase(spec.guest_id);
      return absl::OkStatus();
    case NOM_STATUS_BAD_IMAGE:
      return absl::FailedPreconditionError(
          absl::StrCat(what, "not a guest image: ", ImageFaultText(answer->detail)));
    case NOM_STATUS_EXISTS:
      return absl::AlreadyExistsError(absl::StrCat(what, StatusText(answer->status)));
    case NOM_STATUS_OVER_CAPACITY:
    case NOM_STATUS_TABLE_FULL:
      return absl::ResourceExhaustedError(absl::StrCat(what, StatusText(answer->status)));
    default:
      return absl::FailedPreconditionError(absl::StrCat(what, StatusText(answer->status)));
  }
}

absl::Status NomhvHost::DestroyGuest(GuestId guest_id) {
  const absl::StatusOr<NomEvent> answer = Call(NOM_COMMAND_DESTROY, guest_id, {});
  if (!answer.ok()) return answer.status();
  ended_told_.insert(guest_id);  // Its end is no news to the market.
  reports_.erase(guest_id);
  last_.guests.erase(guest_id);
  if (answer->status == NOM_STATUS_OK) return absl::OkStatus();
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
      RoundReport report = Report(*meters);
      last_.tsc = meters->tsc;
      last_.guests.clear();
      for (uint32_t g = 0; g < meters->guest_count; ++g) {
        last_.guests[meters->guests[g].guest_id] = meters->guests[g];
      }
      return report;
    }
    refusal = absl::StrCat("apply round ", grants.round_id, ": guest ", answer->value, ": ",
                           StatusText(answer->status));
    if (answer->status != NOM_STATUS_CRASHED && answer->status != NOM_STATUS_NO_SUCH_GUEST) break;
  }
  return absl::FailedPreconditionError(refusal);
}

RoundReport NomhvHost::Report(const NomRoundMeters& meters) const {
  RoundReport report;
  report.round_id = meters.round_id;
  const auto frames_per = static_cast<uint64_t>(frames_per_unit());
  const auto cpu_unit = static_cast<uint64_t>(cpu_unit_millicores_);
  if (last_.tsc != 0 && meters.tsc > last_.tsc) {
    const uint64_t cycles = meters.tsc - last_.tsc;
    const auto interval_us = static_cast<uint64_t>(MulDiv(cycles, 1'000'000, mailbox_->tsc_hz()));
    report.interval = absl::Microseconds(static_cast<int64_t>(interval_us));
    for (uint32_t g = 0; g < meters.guest_count && interval_us > 0; ++g) {
      const NomRoundMeter& now = meters.guests[g];
      const auto before = last_.guests.find(now.guest_id);
      if (before == last_.guests.end()) continue;  // Came in mid-round: no whole interval yet.
      const NomRoundMeter& then = before->second;
      const auto delta = [](uint64_t a, uint64_t b) { return a > b ? a - b : 0; };
      Delivered cpu;
      cpu.guest_id = now.guest_id;
      cpu.kind = ResourceKind::kCpu;
      // cycles / interval is processors; x 1000 millicores, x 1000 thousandths, / unit size.
      cpu.offered_milliunits =
          MulDiv(delta(now.cycles_offered, then.cycles_offered), 1'000'000, cycles * cpu_unit);
      cpu.used_milliunits =
          MulDiv(delta(now.cycles_used, then.cycles_used), 1'000'000, cycles * cpu_unit);
      report.delivered.push_back(cpu);
      Delivered memory;
      memory.guest_id = now.guest_id;
      memory.kind = ResourceKind::kMemory;
      memory.offered_milliunits = MulDiv(delta(now.offered_frame_us, then.offered_frame_us), 1000,
                                         interval_us * frames_per);
      memory.used_milliunits =
          MulDiv(delta(now.held_frame_us, then.held_frame_us), 1000, interval_us * frames_per);
      memory.forced_units = static_cast<int64_t>((now.frames_forced + frames_per - 1) / frames_per);
      report.delivered.push_back(memory);
    }
  }
  const NomMailboxHeader header = mailbox_->Header();
  const auto sum = [](ResourceKind kind, uint64_t granted, uint64_t most, uint64_t capacity,
                      uint64_t unit) {
    // A sum is rounded up and the capacity down: no rounding may hide an excess.
    RoundReport::Sum s;
    s.kind = kind;
    s.granted_units = static_cast<int64_t>((granted + unit - 1) / unit);
    s.granted_max_units = static_cast<int64_t>((most + unit - 1) / unit);
    s.capacity_units = static_cast<int64_t>(capacity / unit);
    return s;
  };
  report.sums = {sum(ResourceKind::kCpu, header.millicores_granted, header.millicores_granted_max,
                     header.capacity_millicores, cpu_unit),
                 sum(ResourceKind::kMemory, header.frames_granted, header.frames_granted_max,
                     header.capacity_frames, frames_per)};
  return report;
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
  for (const BoardPrice& from : board.prices) {
    if (publish.resource_count == NOM_RESOURCES_MAX) break;
    NomPrice& price = publish.prices[publish.resource_count++];
    price.kind = static_cast<uint32_t>(from.kind);
    price.bound_by =
        from.bound_by == policies::BoundBy::kBids ? NOM_BOUND_BY_BIDS : NOM_BOUND_BY_RESERVE;
    price.unit_size = from.unit_size;
    price.unit_price_microcredits = from.unit_price_microcredits;
    price.reserve_unit_price_microcredits = from.reserve_unit_price_microcredits;
    price.highest_rejected_unit_price_microcredits = from.highest_rejected_unit_price_microcredits;
    price.supply_units = from.supply_units;
    price.demand_units = from.demand_units;
    price.sold_units = from.sold_units;
  }
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
      news.push_back(GuestEnded{event->guest_id, ExitReasonText(event->status, event->value)});
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
        news.push_back(
            GuestEnded{meter.guest_id, ExitReasonText(meter.exit_reason, meter.exit_detail)});
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
