// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/calls.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/market/config.h"
#include "marketd/market/fingerprint.h"
#include "marketd/market/money.h"
#include "marketd/market/requests.h"
#include "marketd/market/shortage.h"

namespace nom::market {
namespace {

constexpr size_t kTextBytesMax = 128;
constexpr size_t kGuestNameBytesMax = 31;
constexpr size_t kArgumentsBytesMax = 255;

Reply Refused(absl::Status status) { return Reply{.status = std::move(status)}; }

bool IsFileName(const std::string& text) {
  return !text.empty() && text.size() <= kArgumentsBytesMax &&
         text.find('/') == std::string::npos && text.find('\0') == std::string::npos &&
         text != "." && text != "..";
}

absl::Status NoSuchGuest(GuestId guest_id) {
  return absl::NotFoundError(absl::StrCat("guest_id: no guest ", guest_id));
}

absl::Status NotConnected(const HostMarket& host) {
  return absl::UnavailableError(
      absl::StrCat("host ", host.id(), " is not connected: ", host.link.detail()));
}

std::string RequestIdOf(const Call& call) {
  return std::visit(
      [](const auto& c) -> std::string {
        if constexpr (requires { c.request_id; }) return c.request_id;
        return "";
      },
      call);
}

bool IsForTenants(const Call& call) {
  if (const auto* admit = std::get_if<AdmitGuest>(&call)) return admit->by_tenant;
  return std::holds_alternative<PlaceBid>(call) || std::holds_alternative<WithdrawBid>(call) ||
         std::holds_alternative<EndGuest>(call) || std::holds_alternative<StartGuest>(call) ||
         std::holds_alternative<SetTier>(call) || std::holds_alternative<ClearTier>(call) ||
         std::holds_alternative<CreateToken>(call) || std::holds_alternative<RevokeToken>(call) ||
         IsOfProducts(call);
}

void LogGuest(Scribe& scribe, const char* kind, const Caller& by, const Guest& guest) {
  scribe.Write(LogEvent{{.kind = kind,
                         .by = by.is_operator ? kOperator : by.tenant_id,
                         .by_token_id = by.token_id,
                         .tenant_id = guest.tenant_id,
                         .host_id = guest.host_id,
                         .guest_id = guest.guest_id,
                         .detail = guest.name}});
}
const Caller kByOperator{.is_operator = true, .tenant_id = ""};

// Whose bid the call is about; 0: none's.
GuestId BidGuestOf(const Call& call) {
  if (const auto* place = std::get_if<PlaceBid>(&call)) return place->guest_id;
  if (const auto* withdraw = std::get_if<WithdrawBid>(&call)) return withdraw->guest_id;
  if (const auto* set = std::get_if<SetTier>(&call)) return set->guest_id;
  if (const auto* clear = std::get_if<ClearTier>(&call)) return clear->guest_id;
  return 0;
}

}  // namespace

Calls::Calls(LiveBook& book, HostMarkets& hosts, BidLeases& leases, BidDesk& desk,
             ProductDesk& products, TierDesk& tiers, GuestLives& lives, Tokens& tokens,
             WaitingCalls& waiting)
    : book_(book),
      hosts_(hosts),
      leases_(leases),
      desk_(desk),
      products_(products),
      tiers_(tiers),
      lives_(lives),
      tokens_(tokens),
      waiting_(waiting) {}

void Calls::On(const CallEvent& event) {
  // Here, and not where it was shown: a token that is revoked does nothing from then on, whatever
  // of it is under way.
  if (absl::Status s = tokens_.Check(event.caller); !s.ok()) {
    book_.Answer(event.call_id, Refused(std::move(s)));
    return;
  }
  if (std::holds_alternative<OpenLease>(event.call)) {
    book_.Answer(event.call_id, Reply{.fence = leases_.Open()});
  } else if (const auto* place = std::get_if<PlaceBids>(&event.call)) {
    book_.Answer(event.call_id, desk_.PlaceLeased(*place, event.caller));
  } else if (const auto* renew = std::get_if<RenewLease>(&event.call)) {
    book_.Answer(event.call_id, desk_.Renew(*renew, event.caller));
  } else {
    OnRequest(event, RequestIdOf(event.call));
  }
}

void Calls::OnRequest(const CallEvent& event, const std::string& request_id) {
  if (request_id.empty() || request_id.size() > kRequestIdBytesMax) {
    book_.Answer(event.call_id,
                 Refused(absl::InvalidArgumentError(absl::StrCat(
                     "request_id: must have 1 to ", kRequestIdBytesMax, " characters"))));
    return;
  }
  if (!event.caller.is_operator && !IsForTenants(event.call)) {
    book_.Answer(event.call_id,
                 Refused(absl::PermissionDeniedError("this needs an operator's credential")));
    return;
  }
  // Tenants choose their request ids each for themselves: two with the same one mean two requests.
  const Request request{
      .key = {event.caller.is_operator ? kOperator : event.caller.tenant_id, request_id},
      .bid_guest_id = BidGuestOf(event.call),
      .fingerprint = FingerprintOf(event.call)};
  bool later = false;
  const auto known = book_.state().requests.find(request.key);
  Reply reply;
  if (known == book_.state().requests.end()) {
    reply = Do(event, request, &later);
  } else if (known->second.fingerprint == request.fingerprint) {
    reply = AnswerAgain(event, known->second, &later);
  } else {
    reply = Refused(absl::AlreadyExistsError(absl::StrCat(
        "request_id: '", request_id, "' was used for another write; choose a new one")));
  }
  if (!later) book_.Answer(event.call_id, std::move(reply));
}

Reply Calls::AnswerAgain(const CallEvent& event, const Request& known, bool* later) {
  Reply reply = known.reply;
  // A token is shown once. Whose answer was lost asks again with a new one, which takes its place.
  if (const auto* create = std::get_if<CreateTenant>(&event.call)) {
    return tokens_.Replace(create->tenant_id, kFirstTokenId, create->token_hash, event.caller,
                           reply);
  }
  if (const auto* create = std::get_if<CreateToken>(&event.call)) {
    return tokens_.Replace(create->tenant_id, reply.token_id, create->token_hash, event.caller,
                           reply);
  }
  // As it stands now: it may have been taken since, or be over and wait for the next round to be
  // swept away.
  const auto offer = book_.state().offers.find(reply.offer_id);
  if (offer != book_.state().offers.end() && offer->second.valid_until >= book_.now()) {
    reply.offer = std::make_shared<const Offer>(offer->second);
  }
  if (reply.status.ok() && IsUnderWay(event.call, reply.guest_id)) {
    waiting_.Wait(reply.guest_id, event.call_id);  // With whoever asked first.
    *later = true;
  }
  return reply;
}

Reply Calls::Do(const CallEvent& event, const Request& request, bool* later) {
  if (const auto* create = std::get_if<CreateTenant>(&event.call)) {
    return DoCreateTenant(*create, request);
  }
  if (const auto* create = std::get_if<CreateToken>(&event.call)) {
    return tokens_.Create(*create, event.caller, request);
  }
  if (const auto* revoke = std::get_if<RevokeToken>(&event.call)) {
    return tokens_.Revoke(*revoke, event.caller, request);
  }
  if (const auto* set = std::get_if<SetTier>(&event.call)) {
    return tiers_.Set(*set, event.caller, request);
  }
  if (const auto* clear = std::get_if<ClearTier>(&event.call)) {
    return tiers_.Clear(*clear, event.caller, request);
  }
  if (IsOfProducts(event.call)) return products_.Do(event, request);
  if (const auto* deposit = std::get_if<Deposit>(&event.call)) return DoDeposit(*deposit, request);
  if (const auto* admit = std::get_if<AdmitGuest>(&event.call)) {
    return DoAdmitGuest(*admit, event, request, later);
  }
  if (const auto* evict = std::get_if<EvictGuest>(&event.call)) {
    return DoEvictGuest(*evict, event, request, later);
  }
  if (const auto* end = std::get_if<EndGuest>(&event.call)) {
    return DoEndGuest(*end, event, request, later);
  }
  if (const auto* start = std::get_if<StartGuest>(&event.call)) {
    return DoStartGuest(*start, event, request, later);
  }
  if (const auto* place = std::get_if<PlaceBid>(&event.call)) {
    return desk_.Place(*place, event.caller, request);
  }
  return desk_.Withdraw(std::get<WithdrawBid>(event.call), event.caller, request);
}

bool Calls::IsUnderWay(const Call& call, GuestId guest_id) const {
  const auto guest = book_.state().guests.find(guest_id);
  if (guest == book_.state().guests.end()) return false;
  const GuestState state = guest->second.state;
  if (std::holds_alternative<AdmitGuest>(call) || std::holds_alternative<StartGuest>(call)) {
    return state == GuestState::kAdmitted;
  }
  const auto* const end = std::get_if<EndGuest>(&call);
  if (std::holds_alternative<EvictGuest>(call) || (end != nullptr && end->for_good)) {
    return state == GuestState::kEvicting;
  }
  const HostMarket* const host = hosts_.Find(guest->second.host_id);
  return end != nullptr && state == GuestState::kEnded && host != nullptr &&
         host->link.holdings().Has(guest_id);
}

Reply Calls::DoCreateTenant(const CreateTenant& call, const Request& request) {
  if (!IsName(call.tenant_id, 32)) {
    return Refused(
        absl::InvalidArgumentError("tenant_id: must be 1 to 32 characters of a-z, 0-9 and '-'"));
  }
  if (call.display_name.size() > kTextBytesMax) {
    return Refused(absl::InvalidArgumentError(
        absl::StrCat("display_name: longer than ", kTextBytesMax, " bytes")));
  }
  if (call.token_hash.size() > kTextBytesMax) {
    return Refused(absl::InvalidArgumentError(
        absl::StrCat("token_hash: longer than ", kTextBytesMax, " bytes")));
  }
  if (book_.state().tenants.contains(call.tenant_id)) {
    return Refused(absl::AlreadyExistsError(
        absl::StrCat("tenant_id: there already is a tenant ", call.tenant_id)));
  }
  Scribe scribe = book_.Begin("tenant created");
  scribe.Write(PutTenant{Tenant{.tenant_id = call.tenant_id,
                                .display_name = call.display_name,
                                .tokens = {{.token_id = kFirstTokenId,
                                            .hash = call.token_hash,
                                            .label = "first",
                                            .created_time = scribe.now()}},
                                .last_token_id = kFirstTokenId}});
  scribe.Write(LogEvent{{.kind = "tenant_created",
                         .by = request.key.owner,
                         .tenant_id = call.tenant_id,
                         .detail = call.display_name}});
  Remember(scribe, request, Reply{});
  book_.Commit(std::move(scribe));
  return Reply{};
}

Reply Calls::DoDeposit(const Deposit& call, const Request& request) {
  if (absl::Status s = CheckDeposit(book_.state(), call.tenant_id, call.amount_microcredits);
      !s.ok()) {
    return Refused(s);
  }
  Scribe scribe = book_.Begin("deposit");
  PostDeposit(scribe, call.tenant_id, call.amount_microcredits);
  scribe.Write(LogEvent{{.kind = "deposit",
                         .by = request.key.owner,
                         .tenant_id = call.tenant_id,
                         .amount_microcredits = call.amount_microcredits}});
  Reply reply{.account = Summarize(book_.state().PurseOf(call.tenant_id))};
  Remember(scribe, request, reply);
  book_.Commit(std::move(scribe));
  return reply;
}

absl::Status Calls::CheckAdmit(const AdmitGuest& call, std::vector<Holding>* seeds) const {
  const HostMarket* const host = hosts_.Find(call.host_id);
  if (host == nullptr) {
    return absl::NotFoundError(absl::StrCat("host_id: no host '", call.host_id, "'"));
  }
  if (!book_.state().tenants.contains(call.tenant_id)) {
    return absl::NotFoundError(absl::StrCat("tenant_id: no tenant '", call.tenant_id, "'"));
  }
  if (!IsName(call.name, kGuestNameBytesMax)) {
    return absl::InvalidArgumentError(
        absl::StrCat("name: must be 1 to ", kGuestNameBytesMax, " characters of a-z, 0-9 and '-'"));
  }
  // The host looks for it in a folder of its own.
  if (!IsFileName(call.image)) {
    return absl::InvalidArgumentError("image: must be a file name, not a path");
  }
  if (call.arguments.size() > kArgumentsBytesMax ||
      call.arguments.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("arguments: at most ", kArgumentsBytesMax, " bytes, none of them 0"));
  }
  if (!host->link.is_running()) {
    return NotConnected(*host);
  }
  const HostIndex& index = book_.state().Host(call.host_id);
  if (index.HasName(call.name)) {
    return absl::AlreadyExistsError(
        absl::StrCat("name: host ", call.host_id, " already has a guest ", call.name));
  }
  if (index.guests().size() + host->link.unmanaged().size() >=
      static_cast<size_t>(host->config.guests_max)) {
    return With(absl::ResourceExhaustedError(absl::StrCat("host ", call.host_id, " has room for ",
                                                          host->config.guests_max, " guests")),
                {ShortOf::kGuests, std::nullopt, 1, 0});
  }
  if (call.by_tenant) {
    if (absl::Status s = CheckQuota(call, *host); !s.ok()) return s;
  }
  return CheckSeeds(call, *host, seeds);
}

Guest Calls::GuestOf(const AdmitGuest& call, const HostMarket& host,
                     std::vector<Holding> seeds) const {
  Guest guest;
  guest.seeds = std::move(seeds);
  guest.guest_id = lives_.NextGuestId();
  guest.metered.guest_id = guest.guest_id;
  guest.host_id = call.host_id;
  guest.tenant_id = call.tenant_id;
  guest.name = call.name;
  guest.image = call.image;
  guest.arguments = call.arguments;
  guest.memory_max_units = call.memory_max_units;
  if (const Resource* memory = FindResource(host.link.resources(), ResourceKind::kMemory);
      memory != nullptr && guest.memory_max_units == 0) {
    guest.memory_max_units = memory->capacity_units;
  }
  return guest;
}

absl::Status Calls::CheckQuota(const AdmitGuest& call, const HostMarket& host) const {
  const GuestQuota& quota = QuotaOf(host.config, call.tenant_id);
  if (quota.guests_max == 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("host ", host.id(), " has no quota for tenant ", call.tenant_id,
                     ": its operator admits guests, or gives one in the configuration"));
  }
  int64_t guests = 0;
  std::map<ResourceKind, int64_t> seeds;
  for (const GuestId guest_id : book_.state().GuestsOf(host.id())) {
    const Guest& guest = book_.state().guests.at(guest_id);
    if (guest.tenant_id != call.tenant_id) continue;
    ++guests;
    for (const Holding& seed : guest.seeds) seeds[seed.kind] += seed.seed_units;
  }
  if (guests >= quota.guests_max) {
    return With(absl::ResourceExhaustedError(absl::StrCat("tenant ", call.tenant_id, " has ",
                                                          guests, " guests on host ", host.id(),
                                                          " and may have ", quota.guests_max)),
                {ShortOf::kQuotaGuests, std::nullopt, 1, 0});
  }
  for (const auto& [kind, units] : call.seeds) {
    const auto most = quota.seed_units.find(kind);
    const int64_t left =
        std::max<int64_t>(0, (most == quota.seed_units.end() ? 0 : most->second) - seeds[kind]);
    if (units <= left) continue;
    return With(absl::ResourceExhaustedError(absl::StrCat(
                    "seeds: ", units, " units of ", KindName(kind), "; of its quota tenant ",
                    call.tenant_id, " has ", left, " left on host ", host.id())),
                {ShortOf::kQuotaSeeds, kind, units, left});
  }
  return absl::OkStatus();
}

absl::Status Calls::CheckSeeds(const AdmitGuest& call, const HostMarket& host,
                               std::vector<Holding>* seeds) const {
  std::map<ResourceKind, int64_t> asked;
  for (size_t i = 0; i < call.seeds.size(); ++i) {
    const auto& [kind, units] = call.seeds[i];
    const std::string at = absl::StrCat("seeds[", i, "].");
    if (FindResource(host.link.resources(), kind) == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(at, "kind: ", KindName(kind), " is not sold on host ", host.id()));
    }
    if (units < 0 || units > policies::kUnitsMax) {
      return absl::InvalidArgumentError(
          absl::StrCat(at, "units: ", units, " is outside [0, ", policies::kUnitsMax, "]"));
    }
    if (!asked.emplace(kind, units).second) {
      return absl::InvalidArgumentError(absl::StrCat(at, "kind: is there twice"));
    }
  }
  // From what nobody was promised in any round to come, not in the next alone: a seed is for ever.
  const Units supply = SupplyFrom(host.Shares(book_.state()), host.clock.round_id());
  for (const auto& [kind, units] : asked) {
    if (units > supply.at(kind)) {
      const RoundId fits =
          FirstSupply(host.Shares(book_.state()), kind, host.clock.round_id(), units);
      return With(
          absl::ResourceExhaustedError(absl::StrCat(
              "seeds: ", units, " units of ", KindName(kind), "; host ", call.host_id, " has ",
              supply.at(kind), " that nobody was promised",
              fits == 0 ? "" : absl::StrCat("; from round ", fits, " on there are, as it is now"))),
          {ShortOf::kMachine, kind, units, supply.at(kind), fits});
    }
    seeds->push_back(Holding{.kind = kind, .seed_units = units});
  }
  const auto memory = asked.find(ResourceKind::kMemory);
  const int64_t memory_seed = memory == asked.end() ? 0 : memory->second;
  if (call.memory_max_units < 0 || call.memory_max_units > policies::kUnitsMax ||
      (call.memory_max_units != 0 && call.memory_max_units < memory_seed)) {
    return absl::InvalidArgumentError(absl::StrCat("memory_max_units: ", call.memory_max_units,
                                                   " is negative, above ", policies::kUnitsMax,
                                                   " or below the seed of ", memory_seed));
  }
  return absl::OkStatus();
}

Reply Calls::DoAdmitGuest(const AdmitGuest& call, const CallEvent& event, const Request& request,
                          bool* later) {
  if (call.by_tenant && (event.caller.is_operator || call.tenant_id != event.caller.tenant_id)) {
    return Refused(absl::PermissionDeniedError(
        "a tenant asks for a guest for itself alone; an operator admits it"));
  }
  HostMarket* const host = hosts_.Find(call.host_id);
  std::vector<Holding> seeds;
  absl::Status status = CheckAdmit(call, &seeds);
  std::optional<Guest> guest;
  std::optional<Contract> bundle;
  if (status.ok()) guest = GuestOf(call, *host, std::move(seeds));
  if (status.ok() && call.bundle) {
    absl::StatusOr<Contract> contract = products_.Bundled(*host, *guest, *call.bundle);
    status = contract.status();
    if (contract.ok()) bundle = *std::move(contract);
  }
  if (!status.ok()) {
    if (call.by_tenant && host != nullptr) ++host->counters.guest_requests_refused;
    return Refused(status);
  }
  const Reply reply{.guest_id = guest->guest_id,
                    .contract_id = bundle ? bundle->contract_id : ContractId{0}};
  Scribe scribe = book_.Begin("guest admitted");
  scribe.Write(PutGuest{*guest});
  LogGuest(scribe, call.by_tenant ? "guest_requested" : "guest_admitted", event.caller, *guest);
  if (bundle) products_.OpenBundle(scribe, *host, event.caller, *std::move(bundle));
  Remember(scribe, request, reply);
  book_.Commit(std::move(scribe));
  if (call.by_tenant) ++host->counters.guests_requested;
  // Answered when the machine has created it, which may need the room that losers give back.
  waiting_.Wait(guest->guest_id, event.call_id);
  *later = true;
  lives_.CreateWhatFits(*host);
  return reply;
}

Reply Calls::DoEvictGuest(const EvictGuest& call, const CallEvent& event, const Request& request,
                          bool* later) {
  const auto found = book_.state().guests.find(call.guest_id);
  if (found == book_.state().guests.end()) return Refused(NoSuchGuest(call.guest_id));
  return Evict(found->second, event, request, later);
}

Reply Calls::Evict(const Guest& guest, const CallEvent& event, const Request& request,
                   bool* later) {
  const GuestId guest_id = guest.guest_id;
  const Reply reply{.guest_id = guest_id};
  const bool by_operator = event.caller.is_operator;
  const char* const kind = by_operator ? "guest_evicted" : "guest_given_back";
  const char* const reason = by_operator ? "evicted by the operator" : "given back by its owner";
  const EndCause cause = by_operator ? EndCause::kEvicted : EndCause::kStopped;
  HostMarket* const host = hosts_.Find(guest.host_id);
  if (host == nullptr) {  // Its money was settled when the host was closed; nothing else is left.
    Scribe scribe = book_.Begin("guest evicted");
    LogGuest(scribe, kind, event.caller, guest);
    lives_.EndLife(scribe, guest_id, GuestState::kEvicted, cause, reason);
    Remember(scribe, request, reply);
    book_.Commit(std::move(scribe));
    lives_.Forget(nullptr, guest_id);
    return reply;
  }
  // Who waits for its beginning waits for nothing any more. Who asked for its end before is told
  // that it is under way, and this call waits for it.
  const bool evicting = guest.state == GuestState::kEvicting;
  waiting_.Answer(
      guest_id,
      evicting ? reply : Refused(absl::AbortedError(absl::StrCat("the guest was ", reason))));
  Scribe scribe = book_.Begin("guest evicting");
  LogGuest(scribe, kind, event.caller, guest);
  Remember(scribe, request, reply);
  if (evicting) {
    book_.Commit(std::move(scribe));
  } else {
    lives_.BeginEviction(*host, std::move(scribe), guest_id, cause, reason);
  }
  waiting_.Wait(guest_id, event.call_id);
  *later = true;
  return reply;
}

Reply Calls::DoEndGuest(const EndGuest& call, const CallEvent& event, const Request& request,
                        bool* later) {
  const Guest* const guest = hosts_.FindGuest(book_.state(), call.guest_id, event.caller);
  if (guest == nullptr) return Refused(NoSuchGuest(call.guest_id));
  if (call.for_good) return Evict(*guest, event, request, later);
  if (guest->state != GuestState::kRunning) {
    return Refused(absl::FailedPreconditionError(
        absl::StrCat("guest ", call.guest_id, " does not run",
                     guest->exit_reason.empty() ? "" : ": ", guest->exit_reason)));
  }
  HostMarket& host = *hosts_.Find(guest->host_id);
  Reply reply{.guest_id = call.guest_id};
  Scribe scribe = book_.Begin("guest ended");
  LogGuest(scribe, "guest_ended_by_call", event.caller, *guest);
  lives_.EndLife(scribe, call.guest_id, GuestState::kEnded, EndCause::kStopped,
                 event.caller.is_operator ? "ended by the operator" : "ended by its owner");
  Remember(scribe, request, reply);
  book_.Commit(std::move(scribe));
  ++host.counters.guests_ended;
  waiting_.Wait(call.guest_id, event.call_id);
  *later = true;
  // Where it is not, the machine is told when it is heard again (reconciler.h).
  if (host.link.is_running()) host.link.Destroy(call.guest_id);
  return reply;
}

absl::Status Calls::CheckStart(const Guest& guest, const HostMarket& host) const {
  const std::string who = absl::StrCat("guest ", guest.guest_id);
  if (guest.state != GuestState::kEnded) {
    return absl::FailedPreconditionError(absl::StrCat(
        who, guest.state == GuestState::kEvicting ? " is being evicted" : " has not ended"));
  }
  if (!host.link.is_running()) {
    return NotConnected(host);
  }
  if (host.link.holdings().Has(guest.guest_id)) {
    return absl::FailedPreconditionError(
        absl::StrCat(who, " is still being ended; wait for the answer to that"));
  }
  const Units supply = SupplyFrom(host.Shares(book_.state()), host.clock.round_id());
  for (const Holding& seed : guest.seeds) {
    const auto free = supply.find(seed.kind);
    if (free != supply.end() && seed.seed_units <= free->second) continue;
    return absl::ResourceExhaustedError(absl::StrCat(
        "its seed: ", seed.seed_units, " units of ", KindName(seed.kind), "; host ", guest.host_id,
        " has ", free == supply.end() ? 0 : free->second, " that nobody was promised"));
  }
  return absl::OkStatus();
}

Reply Calls::DoStartGuest(const StartGuest& call, const CallEvent& event, const Request& request,
                          bool* later) {
  const Guest* const found = hosts_.FindGuest(book_.state(), call.guest_id, event.caller);
  if (found == nullptr) return Refused(NoSuchGuest(call.guest_id));
  HostMarket& host = *hosts_.Find(found->host_id);
  if (absl::Status s = CheckStart(*found, host); !s.ok()) return Refused(s);
  Guest guest = *found;
  guest.state = GuestState::kAdmitted;
  guest.end_cause = EndCause::kNone;
  guest.exit_reason.clear();
  Reply reply{.guest_id = call.guest_id};
  Scribe scribe = book_.Begin("guest starting");
  scribe.Write(PutGuest{guest});
  LogGuest(scribe, "guest_started", event.caller, guest);
  Remember(scribe, request, reply);
  book_.Commit(std::move(scribe));
  waiting_.Starts(call.guest_id, request.key);
  waiting_.Wait(call.guest_id, event.call_id);
  *later = true;
  lives_.ClearAwayForStart(host, call.guest_id);
  return reply;
}

}  // namespace nom::market
