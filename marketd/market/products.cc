// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/products.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "marketd/base/money.h"
#include "marketd/market/shortage.h"
#include "policies/forward/forward.h"

namespace nom::market {
namespace {

absl::Status NotMore(absl::string_view field, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", value, " is outside [", least, ", ", most, "]"));
}

const Resource* FindResource(const HostSales& sales, ResourceKind kind) {
  for (const Resource& resource : sales.shares.resources) {
    if (resource.kind == kind) return &resource;
  }
  return nullptr;
}

// Each kind once, sold on the host, in amounts that can be; by rising kind.
absl::StatusOr<std::vector<Lot>> CheckedLots(const HostSales& sales, std::vector<Lot> lots) {
  if (lots.empty()) return absl::InvalidArgumentError("lots: are none");
  std::set<ResourceKind> seen;
  for (size_t i = 0; i < lots.size(); ++i) {
    const Lot& lot = lots[i];
    const std::string at = absl::StrCat("lots[", i, "].");
    if (FindResource(sales, lot.kind) == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          at, "kind: ", KindName(lot.kind), " is not sold on host ", sales.shares.host_id));
    }
    if (!seen.insert(lot.kind).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(at, "kind: ", KindName(lot.kind), " is there twice"));
    }
    if (absl::Status s = NotMore(at + "units", lot.units, 1, policies::kUnitsMax); !s.ok())
      return s;
    if (absl::Status s = NotMore(at + "charge_microcredits", lot.charge_microcredits, 0,
                                 policies::kValueMaxMicrocredits);
        !s.ok()) {
      return s;
    }
  }
  std::sort(lots.begin(), lots.end(), [](const Lot& a, const Lot& b) { return a.kind < b.kind; });
  return lots;
}

// "rounds 7 to 16"
std::string Rounds(RoundId from, RoundId until) {
  return absl::StrCat("rounds ", from, " to ", until - 1);
}

// `forecast` stands for all past prices: the percentile of one price is that price. `own_units` as
// in PriceLot.
policies::ForwardInput InputOf(const HostSales& sales, const Resource& resource,
                               const Microcredits& forecast, int64_t units, RoundId from,
                               RoundId until, int64_t own_units) {
  policies::ForwardInput input;
  input.past_unit_prices_microcredits = absl::MakeConstSpan(&forecast, 1);
  for (const ResourcePrice& price : sales.prices) {
    if (price.kind == resource.kind) {
      input.reserve_unit_price_microcredits = price.reserve_unit_price_microcredits;
    }
  }
  const HostIndex& index = sales.shares.state.Host(sales.shares.host_id);
  input.share_units =
      ShareRoundedDown(resource.capacity_units, resource.forward->share_ppm, 1'000'000);
  // A share that was made smaller may be sold out several times over.
  input.sold_units = std::clamp<int64_t>(
      index.SoldForwardUnits(resource.kind, from, until) - own_units, 0, input.share_units);
  input.units = units;
  input.rounds = static_cast<int64_t>(until - from);
  return input;
}

// What there is of a kind for whoever asks for a contract.
struct OwnUnits {
  // Of the share and of the machine, the asker's already in all its rounds.
  int64_t held = 0;
  // Of the machine: of a guest that is to be admitted, and that nobody else counts yet.
  int64_t seed = 0;
};

// "; from round 20 on there will be"; nothing if nobody knows.
std::string FromRound(RoundId round_id) {
  return round_id == 0 ? ""
                       : absl::StrCat("; from round ", round_id, " on there are, as it is now");
}

// More is asked for than may be sold forward.
absl::Status ShareIsShort(const HostSales& sales, const Resource& resource, int64_t units,
                          const policies::ForwardInput& input, RoundId from, int64_t held) {
  const HostIndex& index = sales.shares.state.Host(sales.shares.host_id);
  const int64_t left = input.share_units - input.sold_units;
  const RoundId until = index.FirstSoldForward(
      resource.kind, from, static_cast<RoundId>(input.rounds), input.share_units - units + held);
  return With(absl::ResourceExhaustedError(
                  absl::StrCat(KindName(resource.kind), ": ", units, " units are more than the ",
                               left, " that may still be sold forward in these rounds, of ",
                               input.share_units, FromRound(until))),
              {ShortOf::kShare, resource.kind, units, left, until});
}

// What a kind's units cost a round, from `from` on, before `until`.
absl::StatusOr<Lot> PriceLot(const HostSales& sales, ResourceKind kind, int64_t units, RoundId from,
                             RoundId until, OwnUnits own) {
  const Resource& resource = *FindResource(sales, kind);
  const std::string name(KindName(kind));
  if (!resource.forward) {
    return absl::FailedPreconditionError(
        absl::StrCat("host ", sales.shares.host_id, " sells no ", name, " forward"));
  }
  const int64_t free =
      std::max<int64_t>(0, FreeWithin(sales.shares, from, until).at(kind) + own.held - own.seed);
  if (units > free) {
    const RoundId fits =
        FirstFree(sales.shares, kind, from, until - from, units - own.held + own.seed);
    return With(
        absl::ResourceExhaustedError(absl::StrCat(
            name, ": ", units, " units; in ", Rounds(from, until), " host ", sales.shares.host_id,
            " has at times no more than ", free, " that nobody was promised", FromRound(fits))),
        {ShortOf::kMachine, kind, units, free, fits});
  }
  const ForwardSale& sale = *resource.forward;
  const Microcredits forecast = ForecastOf(sales.shares.state, sales.shares.host_id, resource);
  const policies::ForwardInput input =
      InputOf(sales, resource, forecast, units, from, until, own.held);
  if (units > input.share_units - input.sold_units && input.rounds <= sale.policy.rounds_max) {
    return ShareIsShort(sales, resource, units, input, from, own.held);
  }
  const absl::StatusOr<policies::ForwardPrice> price = policies::PriceForward(sale.policy, input);
  if (!price.ok()) {
    return absl::Status(price.status().code(), absl::StrCat(name, ": ", price.status().message()));
  }
  return Lot{kind, units, price->charge_microcredits};
}

// Requires kinds that the host sells. `own` says what of each is the asker's.
template <typename Own>
absl::StatusOr<std::vector<Lot>> PriceLots(const HostSales& sales, const std::vector<Lot>& lots,
                                           RoundId from, RoundId until, const Own& own) {
  std::vector<Lot> priced;
  Microcredits sum = 0;
  for (const Lot& lot : lots) {
    absl::StatusOr<Lot> one = PriceLot(sales, lot.kind, lot.units, from, until, own(lot));
    if (!one.ok()) return one.status();
    sum = SaturatingAdd(sum, one->charge_microcredits);
    if (sum > policies::kValueMaxMicrocredits) {
      return absl::InvalidArgumentError(
          absl::StrCat("lots: a round of them costs more than ", policies::kValueMaxMicrocredits));
    }
    priced.push_back(*one);
  }
  return priced;
}

OwnUnits NothingOwn(const Lot& /*lot*/) { return {}; }

// The largest fee of the kinds': a contract is left as a whole.
int64_t EndFeeOf(const HostSales& sales, const std::vector<Lot>& lots) {
  int64_t most = 0;
  for (const Lot& lot : lots) {
    const Resource* const resource = FindResource(sales, lot.kind);
    if (resource->forward) most = std::max(most, resource->forward->policy.end_fee_ppm);
  }
  return most;
}

absl::Status CheckRuns(const Guest& guest) {
  if (guest.state == GuestState::kRunning || guest.state == GuestState::kAdmitted) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("guest ", guest.guest_id, " has ended: ", guest.exit_reason));
}

absl::Status CheckMeans(const State& state, const Contract& contract) {
  const Microcredits needed = ToCover(contract, /*round_id=*/0);
  const Microcredits has = state.PurseOf(contract.tenant_id).available;
  if (needed <= has) return absl::OkStatus();
  return With(
      absl::FailedPreconditionError(absl::StrCat(
          "tenant ", contract.tenant_id, " has ", has, " microcredits available; a round costs ",
          ChargeOf(contract), ", and the fee for leaving is ", needed - ChargeOf(contract))),
      {ShortOf::kMeans, std::nullopt, needed, has});
}

// Not above the ceiling that it is renewed within.
absl::Status CheckCeiling(const Contract& contract) {
  const Microcredits charge = ChargeOf(contract);
  const Microcredits ceiling = contract.renew_ceiling_microcredits;
  if (charge <= ceiling) return absl::OkStatus();
  return With(absl::FailedPreconditionError(
                  absl::StrCat("a round would cost ", charge, ", above the ceiling of ", ceiling)),
              {ShortOf::kCeiling, std::nullopt, charge, ceiling});
}

// What a guest's address space has no room for the machine could never give it: with all that it
// holds or will hold in any of the contract's rounds.
absl::Status CheckAddressable(const HostSales& sales, const Guest& guest,
                              const Contract& contract) {
  constexpr auto kMemory = ResourceKind::kMemory;
  const int64_t asked = UnitsOf(contract, kMemory);
  if (asked == 0 || guest.memory_max_units == 0) return absl::OkStatus();
  // What its contracts of memory change, at the rounds that they begin and end in.
  std::map<RoundId, int64_t> changes = {{contract.from_round_id, 0}};
  for (const Contract* other : sales.shares.state.contracts.Of(guest.guest_id)) {
    const int64_t units = UnitsOf(*other, kMemory);
    if (units == 0 || other->from_round_id >= EndOf(*other)) continue;
    changes[other->from_round_id] += units;
    changes[EndOf(*other)] -= units;
  }
  int64_t held = guest.seed_units(kMemory);
  for (const auto& [round_id, change] : changes) {
    if (round_id >= contract.until_round_id) break;
    held += change;
    if (round_id < contract.from_round_id || held + asked <= guest.memory_max_units) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "lots: ", asked, " units of memory; guest ", guest.name, " has room for ",
        guest.memory_max_units, " in all and has ", held, " of them in round ", round_id));
  }
  return absl::OkStatus();
}

// `from` 0 stands for the first round that is possible when the offer is taken: its rounds are
// counted from 0 then.
absl::Status SetRounds(const HostSales& sales, RoundId from, int64_t rounds, RoundId first,
                       Contract& contract) {
  if (absl::Status s = NotMore("rounds", rounds, 1, policies::kForwardRoundsMax); !s.ok()) return s;
  // A future is near enough that it is known what a round will be.
  const RoundId latest = sales.next_round_id + policies::kForwardRoundsMax;
  if (from != 0 && (from < first || from > latest)) {
    return absl::InvalidArgumentError(
        absl::StrCat("from_round_id: ", from, " is outside [", first, ", ", latest, "]"));
  }
  contract.from_round_id = from;
  contract.until_round_id = from + static_cast<RoundId>(rounds);
  return absl::OkStatus();
}

Contract AsOf(const Contract& offered, RoundId first) {
  Contract contract = offered;
  if (contract.from_round_id != 0) return contract;
  contract.from_round_id = first;
  contract.until_round_id += first;
  return contract;
}

absl::Status NoSuchOffer(OfferId offer_id) {
  return absl::NotFoundError(absl::StrCat("offer_id: no open offer ", offer_id));
}

}  // namespace

Microcredits ForecastOf(const State& state, const HostId& host_id, const Resource& resource) {
  const HostBook& book = BookOf(state, host_id);
  const auto of_kind = book.past_prices.find(resource.kind);
  if (of_kind == book.past_prices.end()) return 0;
  const ForwardSale& sale = *resource.forward;
  std::vector<Microcredits> past;
  for (const PastPrice& price : of_kind->second) {
    if (price.round_id + static_cast<RoundId>(sale.look_back_rounds) <= book.last_decided_round_id)
      continue;
    past.push_back(price.unit_price_microcredits);
  }
  return policies::PricePercentile(past, sale.policy.percentile_ppm);
}

ForwardOnSale OnSale(const HostSales& sales, const Resource& resource, Microcredits forecast) {
  const RoundId from = sales.next_round_id;
  const policies::ForwardInput input =
      InputOf(sales, resource, forecast, /*units=*/1, from, from + 1, /*own_units=*/0);
  ForwardOnSale out{.kind = resource.kind,
                    .round_id = from,
                    .share_units = input.share_units,
                    .sold_units = input.sold_units,
                    .forecast_unit_price_microcredits = forecast,
                    .rounds_max = resource.forward->policy.rounds_max};
  if (FreeWithin(sales.shares, from, from + 1).at(resource.kind) < 1) return out;
  const absl::StatusOr<policies::ForwardPrice> price =
      policies::PriceForward(resource.forward->policy, input);
  if (price.ok()) out.unit_price_microcredits = price->charge_microcredits;
  return out;
}

bool IsQuote(const Offer& offer) { return offer.contract.part_of == 0; }

absl::StatusOr<Offer> MakeQuote(const HostSales& sales, const Guest& guest, const GetQuote& call) {
  if (absl::Status s = CheckRuns(guest); !s.ok()) return s;
  std::vector<Lot> asked;
  for (const auto& [kind, units] : call.lots) asked.push_back({kind, units, 0});
  absl::StatusOr<std::vector<Lot>> lots = CheckedLots(sales, std::move(asked));
  if (!lots.ok()) return lots.status();
  Offer offer{.host_id = sales.shares.host_id,
              .tenant_id = guest.tenant_id,
              .guest_id = guest.guest_id,
              .valid_until = sales.now + sales.config.quotes_valid};
  Contract& contract = offer.contract;
  contract.period = sales.config.period;
  contract.policy = std::string(policies::kForward);
  if (absl::Status s =
          SetRounds(sales, call.from_round_id, call.rounds, sales.next_round_id, contract);
      !s.ok()) {
    return s;
  }
  const Contract now = AsOf(contract, sales.next_round_id);
  absl::StatusOr<std::vector<Lot>> priced =
      PriceLots(sales, *lots, now.from_round_id, now.until_round_id, NothingOwn);
  if (!priced.ok()) return priced.status();
  contract.lots = *std::move(priced);
  contract.end_fee_ppm = EndFeeOf(sales, contract.lots);
  if (absl::Status s = CheckAddressable(sales, guest, AsOf(contract, sales.next_round_id));
      !s.ok()) {
    return s;
  }
  return offer;
}

absl::StatusOr<Offer> MakeSublet(const HostSales& sales, const Contract& whole,
                                 const OfferSublet& call) {
  absl::StatusOr<std::vector<Lot>> lots = CheckedLots(sales, call.lots);
  if (!lots.ok()) return lots.status();
  if (call.valid_for < absl::ZeroDuration() || call.valid_for > absl::Hours(24)) {
    return absl::InvalidArgumentError(
        absl::StrCat("valid_for: ", absl::FormatDuration(call.valid_for), " is outside [0, 24h]"));
  }
  const State& state = sales.shares.state;
  if (call.to_guest_id != 0) {
    const auto to = state.guests.find(call.to_guest_id);
    if (to == state.guests.end() || to->second.host_id != sales.shares.host_id) {
      return absl::NotFoundError(absl::StrCat("to_guest_id: host ", sales.shares.host_id,
                                              " has no guest ", call.to_guest_id));
    }
    if (call.to_guest_id == whole.guest_id) {
      return absl::InvalidArgumentError("to_guest_id: it is the guest that holds the contract");
    }
  }
  Offer offer{
      .host_id = sales.shares.host_id,
      .tenant_id = whole.tenant_id,
      .guest_id = call.to_guest_id,
      .valid_until = sales.now + (call.valid_for == absl::ZeroDuration() ? sales.config.quotes_valid
                                                                         : call.valid_for)};
  Contract& contract = offer.contract;
  contract.seller = whole.tenant_id;
  contract.part_of = whole.contract_id;
  contract.lots = *std::move(lots);
  contract.period = whole.period;
  if (absl::Status s =
          SetRounds(sales, call.from_round_id, call.rounds, sales.next_change_round_id, contract);
      !s.ok()) {
    return s;
  }
  const Contract now = AsOf(contract, std::max(sales.next_change_round_id, whole.from_round_id));
  if (absl::Status s = state.contracts.CheckPart(now); !s.ok()) return s;
  return offer;
}

absl::StatusOr<Contract> TakeAs(const HostSales& sales, const Offer& offer, const Guest& guest,
                                Microcredits renew_ceiling_microcredits) {
  const bool is_for_it = offer.guest_id == 0 || offer.guest_id == guest.guest_id;
  if (offer.host_id != guest.host_id || !is_for_it || offer.valid_until < sales.now) {
    return NoSuchOffer(offer.offer_id);
  }
  if (absl::Status s = CheckRuns(guest); !s.ok()) return s;
  if (absl::Status s = NotMore("renew_ceiling_microcredits", renew_ceiling_microcredits, 0,
                               IsQuote(offer) ? policies::kValueMaxMicrocredits : 0);
      !s.ok()) {
    return s;
  }
  const State& state = sales.shares.state;
  const Contract* const whole = state.contracts.Find(offer.contract.part_of);
  RoundId first = IsQuote(offer) ? sales.next_round_id : sales.next_change_round_id;
  if (whole != nullptr) first = std::max(first, whole->from_round_id);
  Contract contract = AsOf(offer.contract, first);
  if (contract.from_round_id < first) {
    return absl::FailedPreconditionError(absl::StrCat("offer ", offer.offer_id, ": its round ",
                                                      contract.from_round_id,
                                                      " can no longer be changed"));
  }
  contract.guest_id = guest.guest_id;
  contract.tenant_id = guest.tenant_id;
  contract.renew_ceiling_microcredits = renew_ceiling_microcredits;
  if (IsQuote(offer)) {
    // The price is bound; whether the units are still there is not. What they would cost now says.
    absl::StatusOr<std::vector<Lot>> now = PriceLots(sales, contract.lots, contract.from_round_id,
                                                     contract.until_round_id, NothingOwn);
    if (absl::IsResourceExhausted(now.status())) return now.status();
  } else {
    if (whole != nullptr && whole->guest_id == guest.guest_id) {
      return absl::InvalidArgumentError("guest_id: it is the guest that holds the contract");
    }
    if (absl::Status s = state.contracts.CheckPart(contract); !s.ok()) return s;
  }
  if (absl::Status s = CheckAddressable(sales, guest, contract); !s.ok()) return s;
  if (absl::Status s = CheckMeans(state, contract); !s.ok()) return s;
  return contract;
}

absl::StatusOr<Contract> BundleFor(const HostSales& sales, const Guest& guest,
                                   const Bundle& bundle) {
  std::vector<Lot> asked;
  for (const auto& [kind, units] : bundle.lots) asked.push_back({kind, units, 0});
  absl::StatusOr<std::vector<Lot>> lots = CheckedLots(sales, std::move(asked));
  if (!lots.ok()) {
    return absl::Status(lots.status().code(), absl::StrCat("bundle.", lots.status().message()));
  }
  Contract contract{.guest_id = guest.guest_id,
                    .tenant_id = guest.tenant_id,
                    .period = sales.config.period,
                    .policy = std::string(policies::kForward),
                    .renew_ceiling_microcredits = bundle.ceiling_microcredits};
  if (absl::Status s = NotMore("bundle.ceiling_microcredits", bundle.ceiling_microcredits, 1,
                               policies::kValueMaxMicrocredits);
      !s.ok()) {
    return s;
  }
  if (absl::Status s = NotMore("bundle.rounds", bundle.rounds, 1, policies::kForwardRoundsMax);
      !s.ok()) {
    return s;
  }
  contract.from_round_id = sales.next_round_id;
  contract.until_round_id = contract.from_round_id + static_cast<RoundId>(bundle.rounds);
  absl::StatusOr<std::vector<Lot>> priced =
      PriceLots(sales, *lots, contract.from_round_id, contract.until_round_id,
                [&guest](const Lot& lot) { return OwnUnits{.seed = guest.seed_units(lot.kind)}; });
  if (!priced.ok()) return priced.status();
  contract.lots = *std::move(priced);
  contract.end_fee_ppm = EndFeeOf(sales, contract.lots);
  if (absl::Status s = CheckCeiling(contract); !s.ok()) return s;
  if (absl::Status s = CheckAddressable(sales, guest, contract); !s.ok()) return s;
  if (absl::Status s = CheckMeans(sales.shares.state, contract); !s.ok()) return s;
  return contract;
}

bool IsDueForRenewal(const Contract& contract, RoundId round_id) {
  return IsForward(contract) && contract.renew_ceiling_microcredits > 0 &&
         contract.left_from_round_id == 0 && contract.until_round_id == round_id;
}

absl::StatusOr<Contract> RenewalOf(const HostSales& sales, const Contract& contract) {
  const State& state = sales.shares.state;
  if (absl::Status s = CheckRuns(state.guests.at(contract.guest_id)); !s.ok()) return s;
  Contract next = contract;
  next.contract_id = 0;
  next.from_round_id = contract.until_round_id;
  next.until_round_id = next.from_round_id + (contract.until_round_id - contract.from_round_id);
  next.period = sales.config.period;
  next.policy = std::string(policies::kForward);
  next.escrow_microcredits = 0;
  next.settled_through = absl::UnixEpoch();
  for (const Lot& lot : contract.lots) {
    if (FindResource(sales, lot.kind) != nullptr) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(KindName(lot.kind), " is no longer sold on host ", sales.shares.host_id));
  }
  absl::StatusOr<std::vector<Lot>> priced =
      PriceLots(sales, contract.lots, next.from_round_id, next.until_round_id,
                [](const Lot& lot) { return OwnUnits{.held = lot.units}; });
  if (!priced.ok()) return priced.status();
  next.lots = *std::move(priced);
  next.end_fee_ppm = EndFeeOf(sales, next.lots);
  if (absl::Status s = CheckCeiling(next); !s.ok()) return s;
  if (absl::Status s = CheckMeans(state, next); !s.ok()) return s;
  return next;
}

bool IsOfProducts(const Call& call) {
  return std::holds_alternative<GetQuote>(call) || std::holds_alternative<OfferSublet>(call) ||
         std::holds_alternative<TakeOffer>(call) || std::holds_alternative<WithdrawOffer>(call) ||
         std::holds_alternative<LeaveContract>(call) || std::holds_alternative<SetRenewal>(call);
}

}  // namespace nom::market
