#include "marketd/market/billing.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "marketd/market/money.h"

namespace nom::market {
namespace {

constexpr int64_t kLostAge = -1;

std::vector<Outcome>::const_iterator Position(const Round& round, GuestId guest_id,
                                              ResourceKind kind) {
  return std::lower_bound(
      round.outcomes.begin(), round.outcomes.end(), std::pair(guest_id, kind),
      [](const Outcome& o, const auto& k) { return std::pair(o.guest_id, o.kind) < k; });
}

Outcome& FindOrAddOutcome(Round& round, const Guest& guest, ResourceKind kind) {
  const auto at = Position(round, guest.guest_id, kind);
  const auto index = at - round.outcomes.cbegin();
  if (at == round.outcomes.cend() || at->guest_id != guest.guest_id || at->kind != kind) {
    round.outcomes.insert(at, Outcome{.guest_id = guest.guest_id,
                                      .kind = kind,
                                      .tenant_id = guest.tenant_id,
                                      .seed_units = guest.seed_units(kind),
                                      .settled = true});
  }
  return round.outcomes[static_cast<size_t>(index)];
}

}  // namespace

GuestMeters LostMeters(GuestId guest_id) {
  return GuestMeters{.guest_id = guest_id, .age_us = kLostAge};
}

const Outcome* FindOutcome(const Round& round, GuestId guest_id, ResourceKind kind) {
  const auto it = Position(round, guest_id, kind);
  if (it == round.outcomes.end() || it->guest_id != guest_id || it->kind != kind) return nullptr;
  return &*it;
}

Billed BillGuest(Scribe& scribe, GuestId guest_id, const GuestMeters* reading,
                 absl::Span<const Resource> resources, Round* round) {
  Billed billed;
  Guest guest = scribe.state().guests.at(guest_id);
  if (round == nullptr) return billed;
  std::optional<MeteredInterval> interval;
  if (reading != nullptr && guest.has_run && guest.metered.age_us != kLostAge) {
    interval = Between(guest.metered, *reading);
  }
  billed.meters_lost = guest.has_run && guest.metered.age_us != kLostAge && !interval &&
                       guest.state != GuestState::kCrashed;
  const MeteredInterval* const known = interval ? &*interval : nullptr;
  for (const Resource& resource : resources) {
    if (known == nullptr && FindOutcome(*round, guest_id, resource.kind) == nullptr) continue;
    Outcome& outcome = FindOrAddOutcome(*round, guest, resource.kind);
    if (round->phase == RoundPhase::kEffective) {
      billed.forgiven += PostSettlement(scribe, known, round->period, outcome);
    }
    if (known != nullptr) {
      PostRent(scribe, *known, resource.seed_rent_unit_price_microcredits, round->period, outcome);
    }
  }
  const GuestMeters next = reading != nullptr ? *reading : LostMeters(guest_id);
  if (guest.metered != next) {
    guest.metered = next;
    scribe.Write(PutGuest{guest});
  }
  return billed;
}

}  // namespace nom::market
