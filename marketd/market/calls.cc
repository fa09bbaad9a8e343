// What tenants and operators ask for: checked here, whoever asked.

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/random.h"
#include "marketd/base/status.h"
#include "marketd/market/bids.h"
#include "marketd/market/engine_impl.h"
#include "marketd/market/joint_bids.h"
#include "marketd/market/money.h"

namespace nom::market {
namespace {

constexpr char kByTheOperator[] = "evicted by the operator";
constexpr size_t kTextBytesMax = 128;
constexpr size_t kGuestNameBytesMax = 31;
constexpr size_t kArgumentsBytesMax = 255;

Reply Refused(absl::Status status) { return Reply{.status = std::move(status)}; }

// A hash of what a call says, for telling a retry from another call under its id.
class Fingerprint {
 public:
  void Add(std::string_view text) { hash_ = Mix64(Hash64(text, hash_) + text.size()); }
  template <typename T>
  requires std::is_integral_v<T>
  void Add(T number) { hash_ = Mix64(hash_ ^ Mix64(static_cast<uint64_t>(number))); }

  void operator()(const CreateTenant& call) {  // The token's hash is no part of it: see event.h.
    Add(call.tenant_id);
    Add(call.display_name);
  }
  void operator()(const CreateToken& call) {
    Add(call.tenant_id);
    Add(call.label);
    Add(static_cast<int>(call.scope));
    Add(absl::ToInt64Seconds(call.lifetime));
  }
  void operator()(const RevokeToken& call) {
    Add(call.tenant_id);
    Add(call.token_id);
  }
  void operator()(const Deposit& call) {
    Add(call.tenant_id);
    Add(call.amount_microcredits);
  }
  void operator()(const AdmitGuest& call) {
    for (const std::string& text :
         {call.host_id, call.tenant_id, call.name, call.image, call.arguments}) {
      Add(text);
    }
    for (const auto& [kind, units] : call.seeds) {
      Add(static_cast<int>(kind));
      Add(units);
    }
    Add(call.memory_max_units);
  }
  void operator()(const EvictGuest& call) { Add(call.guest_id); }
  void operator()(const EndGuest& call) { Add(call.guest_id); }
  void operator()(const StartGuest& call) { Add(call.guest_id); }
  void operator()(const PlaceBid& call) {
    Add(call.guest_id);
    Add(static_cast<int>(call.kind));
    Add(call.ranges);
    if (call.valuation != nullptr) Add(*call.valuation);
    Add(call.budget_microcredits.has_value() ? 1 : 0);
    Add(call.budget_microcredits.value_or(0));
    Add(call.expires_after_rounds);
  }
  void Add(const std::vector<policies::Range>& ranges) {
    for (const policies::Range& range : ranges) {
      Add(range.min_units);
      Add(range.max_units);
      Add(range.value_at_min_microcredits);
      Add(range.unit_price_microcredits);
    }
  }
  void Add(const Valuation& valuation) {
    for (const policies::Bundle& bundle : valuation.bundles) {
      for (const int64_t units : bundle.units) Add(units);
      Add(bundle.value_microcredits);
    }
    Add(valuation.bundles.size());
    if (!valuation.curves) return;
    Add(static_cast<int>(valuation.curves->combination));
    Add(valuation.curves->whole_value_microcredits);
    for (const std::vector<policies::Range>& curve : valuation.curves->curves) {
      Add(curve.size());
      Add(curve);
    }
  }
  void operator()(const WithdrawBid& call) {
    Add(call.guest_id);
    Add(static_cast<int>(call.kind));
  }

  // Leases' calls are told apart by fence and sequence.
  void operator()(const OpenLease&) {}
  void operator()(const PlaceBids&) {}
  void operator()(const RenewLease&) {}

  uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = 0;
};

const Resource* FindResource(const std::vector<Resource>& resources, ResourceKind kind) {
  const auto it = std::find_if(resources.begin(), resources.end(),
                               [kind](const Resource& r) { return r.kind == kind; });
  return it == resources.end() ? nullptr : &*it;
}

bool IsFileName(const std::string& text) {
  return !text.empty() && text.size() <= kArgumentsBytesMax &&
         text.find('/') == std::string::npos && text.find('\0') == std::string::npos &&
         text != "." && text != "..";
}

absl::Status NoSuchGuest(GuestId guest_id) {
  return absl::NotFoundError(absl::StrCat("guest_id: no guest ", guest_id));
}

absl::Status NotSold(ResourceKind kind, const HostId& host_id) {
  return absl::InvalidArgumentError(
      absl::StrCat("kind: ", KindName(kind), " is not sold on host ", host_id));
}

}  // namespace

void Engine::Impl::On(const CallEvent& event) {
  // Here, and not where it was shown: a token that is revoked does nothing from then on, whatever
  // of it is under way.
  if (absl::Status s = CheckToken(event.caller); !s.ok()) {
    Answer(event.call_id, Refused(std::move(s)));
    return;
  }
  if (std::holds_alternative<OpenLease>(event.call)) {
    Answer(event.call_id, DoOpenLease());
    return;
  }
  if (const auto* place = std::get_if<PlaceBids>(&event.call)) {
    Answer(event.call_id, DoPlaceBids(*place, event.caller));
    return;
  }
  if (const auto* renew = std::get_if<RenewLease>(&event.call)) {
    Answer(event.call_id, DoRenewLease(*renew, event.caller));
    return;
  }
  const std::string id = std::visit(
      [](const auto& call) -> std::string {
        if constexpr (requires { call.request_id; }) return call.request_id;
        return "";
      },
      event.call);
  if (id.empty() || id.size() > kRequestIdBytesMax) {
    Answer(event.call_id, Refused(absl::InvalidArgumentError(absl::StrCat(
                              "request_id: must have 1 to ", kRequestIdBytesMax, " characters"))));
    return;
  }
  const bool for_tenants = std::holds_alternative<PlaceBid>(event.call) ||
                           std::holds_alternative<WithdrawBid>(event.call) ||
                           std::holds_alternative<EndGuest>(event.call) ||
                           std::holds_alternative<StartGuest>(event.call) ||
                           std::holds_alternative<CreateToken>(event.call) ||
                           std::holds_alternative<RevokeToken>(event.call);
  if (!event.caller.is_operator && !for_tenants) {
    Answer(event.call_id,
           Refused(absl::PermissionDeniedError("this needs an operator's credential")));
    return;
  }
  Fingerprint fingerprint;
  fingerprint.Add(event.call.index());
  std::visit(fingerprint, event.call);
  const RequestKey key{event.caller.is_operator ? kOperator : event.caller.tenant_id, id};
  bool later = false;
  Reply reply = Do(event, key, fingerprint.hash(), &later);
  if (!later) Answer(event.call_id, std::move(reply));
}

Reply Engine::Impl::Do(const CallEvent& event, const RequestKey& key, uint64_t fingerprint,
                       bool* later) {
  const auto known = state_.requests.find(key);
  if (known != state_.requests.end()) {
    if (known->second.fingerprint != fingerprint) {
      return Refused(absl::AlreadyExistsError(absl::StrCat(
          "request_id: '", key.request_id, "' was used for another write; choose a new one")));
    }
    const Reply& reply = known->second.reply;
    if (const auto* create = std::get_if<CreateTenant>(&event.call)) {
      return ReplaceToken(create->tenant_id, kFirstTokenId, create->token_hash, event.caller,
                          reply);
    }
    if (const auto* create = std::get_if<CreateToken>(&event.call)) {
      return ReplaceToken(create->tenant_id, reply.token_id, create->token_hash, event.caller,
                          reply);
    }
    if (reply.status.ok() && IsUnderWay(event.call, reply.guest_id)) {
      guest_runs_[reply.guest_id].waiting.push_back(event.call_id);  // With whoever asked first.
      *later = true;
    }
    return reply;
  }
  Request request{.key = key, .fingerprint = fingerprint};
  if (const auto* place = std::get_if<PlaceBid>(&event.call))
    request.bid_guest_id = place->guest_id;
  if (const auto* withdraw = std::get_if<WithdrawBid>(&event.call)) {
    request.bid_guest_id = withdraw->guest_id;
  }
  if (const auto* create = std::get_if<CreateTenant>(&event.call)) {
    return DoCreateTenant(*create, request);
  }
  if (const auto* create = std::get_if<CreateToken>(&event.call)) {
    return DoCreateToken(*create, event.caller, request);
  }
  if (const auto* revoke = std::get_if<RevokeToken>(&event.call)) {
    return DoRevokeToken(*revoke, event.caller, request);
  }
  if (const auto* deposit = std::get_if<Deposit>(&event.call)) return DoDeposit(*deposit, request);
  if (const auto* admit = std::get_if<AdmitGuest>(&event.call)) {
    return DoAdmitGuest(*admit, request, event.call_id, later);
  }
  if (const auto* evict = std::get_if<EvictGuest>(&event.call)) {
    return DoEvictGuest(*evict, request, event.call_id, later);
  }
  if (const auto* end = std::get_if<EndGuest>(&event.call)) {
    return DoEndGuest(*end, event, request, later);
  }
  if (const auto* start = std::get_if<StartGuest>(&event.call)) {
    return DoStartGuest(*start, event, request, later);
  }
  if (const auto* place = std::get_if<PlaceBid>(&event.call)) {
    return DoPlaceBid(*place, event.caller, request);
  }
  return DoWithdrawBid(std::get<WithdrawBid>(event.call), event.caller, request);
}

bool Engine::Impl::IsUnderWay(const Call& call, GuestId guest_id) {
  const auto guest = state_.guests.find(guest_id);
  if (guest == state_.guests.end()) return false;
  const GuestState state = guest->second.state;
  if (std::holds_alternative<AdmitGuest>(call) || std::holds_alternative<StartGuest>(call)) {
    return state == GuestState::kAdmitted;
  }
  if (std::holds_alternative<EvictGuest>(call)) return state == GuestState::kEvicting;
  const HostRun* const host = FindHost(guest->second.host_id);
  return std::holds_alternative<EndGuest>(call) && state == GuestState::kEnded && host != nullptr &&
         host->holdings.Has(guest_id);
}

void Engine::Impl::Remember(Scribe& scribe, Request request, const Reply& reply) {
  request.reply = reply;
  request.transaction_id = scribe.transaction_id();
  scribe.Write(PutRequest{std::move(request)});
}

void Engine::Impl::LogGuest(Scribe& scribe, const char* kind, const Caller& by,
                            const Guest& guest) {
  scribe.Write(LogEvent{{.kind = kind,
                         .by = by.is_operator ? kOperator : by.tenant_id,
                         .by_token_id = by.token_id,
                         .tenant_id = guest.tenant_id,
                         .host_id = guest.host_id,
                         .guest_id = guest.guest_id,
                         .detail = guest.name}});
}

Reply Engine::Impl::DoCreateTenant(const CreateTenant& call, const Request& request) {
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
  if (state_.tenants.contains(call.tenant_id)) {
    return Refused(absl::AlreadyExistsError(
        absl::StrCat("tenant_id: there already is a tenant ", call.tenant_id)));
  }
  Scribe scribe(state_, now_, "tenant created");
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
  Commit(std::move(scribe));
  return Reply{};
}

Reply Engine::Impl::DoDeposit(const Deposit& call, const Request& request) {
  if (absl::Status s = CheckDeposit(state_, call.tenant_id, call.amount_microcredits); !s.ok()) {
    return Refused(s);
  }
  Scribe scribe(state_, now_, "deposit");
  PostDeposit(scribe, call.tenant_id, call.amount_microcredits);
  scribe.Write(LogEvent{{.kind = "deposit",
                         .by = request.key.owner,
                         .tenant_id = call.tenant_id,
                         .amount_microcredits = call.amount_microcredits}});
  Reply reply{.account = Summarize(state_.PurseOf(call.tenant_id))};
  Remember(scribe, request, reply);
  Commit(std::move(scribe));
  return reply;
}

absl::Status Engine::Impl::CheckAdmit(const AdmitGuest& call, std::vector<Holding>* seeds) {
  HostRun* host = FindHost(call.host_id);
  if (host == nullptr) {
    return absl::NotFoundError(absl::StrCat("host_id: no host '", call.host_id, "'"));
  }
  if (!state_.tenants.contains(call.tenant_id)) {
    return absl::NotFoundError(absl::StrCat("tenant_id: no tenant '", call.tenant_id, "'"));
  }
  if (!IsName(call.name, kGuestNameBytesMax)) {
    return absl::InvalidArgumentError(
        absl::StrCat("name: must be 1 to ", kGuestNameBytesMax, " characters of a-z, 0-9 and '-'"));
  }
  if (!IsFileName(call.image)) {
    return absl::InvalidArgumentError("image: must be a file name, not a path");
  }
  if (call.arguments.size() > kArgumentsBytesMax ||
      call.arguments.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("arguments: at most ", kArgumentsBytesMax, " bytes, none of them 0"));
  }
  if (host->link != Link::kRunning) {
    return absl::UnavailableError(
        absl::StrCat("host ", call.host_id, " is not connected: ", host->detail));
  }
  const HostIndex& index = state_.Host(call.host_id);
  if (index.HasName(call.name)) {
    return absl::AlreadyExistsError(
        absl::StrCat("name: host ", call.host_id, " already has a guest ", call.name));
  }
  if (index.guests().size() + host->unmanaged.size() >=
      static_cast<size_t>(host->config->guests_max)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("host ", call.host_id, " has room for ", host->config->guests_max, " guests"));
  }
  std::map<ResourceKind, int64_t> asked;
  for (size_t i = 0; i < call.seeds.size(); ++i) {
    const auto& [kind, units] = call.seeds[i];
    const std::string at = absl::StrCat("seeds[", i, "].");
    if (FindResource(host->resources, kind) == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(at, NotSold(kind, call.host_id).message()));
    }
    if (units < 0 || units > policies::kUnitsMax) {
      return absl::InvalidArgumentError(
          absl::StrCat(at, "units: ", units, " is outside [0, ", policies::kUnitsMax, "]"));
    }
    if (!asked.emplace(kind, units).second) {
      return absl::InvalidArgumentError(absl::StrCat(at, "kind: is there twice"));
    }
  }
  const std::map<ResourceKind, int64_t> supply = SupplyFrom(Shares(*host), host->round_id);
  for (const auto& [kind, units] : asked) {
    if (units > supply.at(kind)) {
      return absl::ResourceExhaustedError(
          absl::StrCat("seeds: ", units, " units of resource ", static_cast<int>(kind), "; host ",
                       call.host_id, " has ", supply.at(kind), " that nobody was promised"));
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

Reply Engine::Impl::DoAdmitGuest(const AdmitGuest& call, const Request& request, CallId call_id,
                                 bool* later) {
  Guest guest;
  if (absl::Status s = CheckAdmit(call, &guest.seeds); !s.ok()) return Refused(s);
  HostRun& host = *FindHost(call.host_id);
  guest.guest_id = std::max(state_.last_guest_id, guest_id_seen_max_) + 1;
  guest.metered.guest_id = guest.guest_id;
  guest.host_id = call.host_id;
  guest.tenant_id = call.tenant_id;
  guest.name = call.name;
  guest.image = call.image;
  guest.arguments = call.arguments;
  guest.memory_max_units = call.memory_max_units;
  if (const Resource* memory = FindResource(host.resources, ResourceKind::kMemory);
      memory != nullptr && guest.memory_max_units == 0) {
    guest.memory_max_units = memory->capacity_units;
  }
  Reply reply{.guest_id = guest.guest_id};
  Scribe scribe(state_, now_, "guest admitted");
  scribe.Write(PutGuest{guest});
  LogGuest(scribe, "guest_admitted", Caller{.is_operator = true, .tenant_id = ""}, guest);
  Remember(scribe, request, reply);
  Commit(std::move(scribe));
  guest_runs_[guest.guest_id].waiting.push_back(call_id);
  *later = true;
  TryCreate(host);
  return reply;
}

Reply Engine::Impl::DoEvictGuest(const EvictGuest& call, const Request& request, CallId call_id,
                                 bool* later) {
  const auto found = state_.guests.find(call.guest_id);
  if (found == state_.guests.end()) return Refused(NoSuchGuest(call.guest_id));
  const Guest* const guest = &found->second;
  HostRun* const host = FindHost(guest->host_id);
  if (host == nullptr) {  // Its money was settled when the host was closed; nothing else is left.
    const Reply gone{.guest_id = call.guest_id};
    Scribe scribe(state_, now_, "guest evicted");
    LogGuest(scribe, "guest_evicted", Caller{.is_operator = true, .tenant_id = ""}, *guest);
    EndLife(scribe, call.guest_id, GuestState::kEvicted, EndCause::kEvicted, kByTheOperator);
    Remember(scribe, request, gone);
    Commit(std::move(scribe));
    guest_runs_.erase(call.guest_id);
    return gone;
  }
  const bool evicting = guest->state == GuestState::kEvicting;
  AnswerWaiting(call.guest_id, evicting ? Reply{.guest_id = call.guest_id}
                                        : Refused(absl::AbortedError("the guest was evicted")));
  Reply reply{.guest_id = call.guest_id};
  Scribe scribe(state_, now_, "guest evicting");
  LogGuest(scribe, "guest_evicted", Caller{.is_operator = true, .tenant_id = ""}, *guest);
  Remember(scribe, request, reply);
  if (evicting) {
    Commit(std::move(scribe));
  } else {
    BeginEviction(*host, std::move(scribe), call.guest_id, EndCause::kEvicted, kByTheOperator);
  }
  guest_runs_[call.guest_id].waiting.push_back(call_id);
  *later = true;
  return reply;
}

Reply Engine::Impl::DoEndGuest(const EndGuest& call, const CallEvent& event, const Request& request,
                               bool* later) {
  const Guest* const guest = FindGuest(call.guest_id, event.caller);
  if (guest == nullptr) return Refused(NoSuchGuest(call.guest_id));
  if (guest->state != GuestState::kRunning) {
    return Refused(absl::FailedPreconditionError(
        absl::StrCat("guest ", call.guest_id, " does not run",
                     guest->exit_reason.empty() ? "" : ": ", guest->exit_reason)));
  }
  HostRun& host = *FindHost(guest->host_id);
  Reply reply{.guest_id = call.guest_id};
  Scribe scribe(state_, now_, "guest ended");
  LogGuest(scribe, "guest_ended_by_call", event.caller, *guest);
  EndLife(scribe, call.guest_id, GuestState::kEnded, EndCause::kStopped,
          event.caller.is_operator ? "ended by the operator" : "ended by its owner");
  Remember(scribe, request, reply);
  Commit(std::move(scribe));
  ++host.counters.guests_ended;
  guest_runs_[call.guest_id].waiting.push_back(event.call_id);
  *later = true;
  if (host.link == Link::kRunning) SendDestroy(host, call.guest_id);
  return reply;
}

absl::Status Engine::Impl::CheckStart(const Guest& guest, const HostRun& host) const {
  const std::string who = absl::StrCat("guest ", guest.guest_id);
  if (guest.state != GuestState::kEnded) {
    return absl::FailedPreconditionError(absl::StrCat(
        who, guest.state == GuestState::kEvicting ? " is being evicted" : " has not ended"));
  }
  if (host.link != Link::kRunning) {
    return absl::UnavailableError(
        absl::StrCat("host ", guest.host_id, " is not connected: ", host.detail));
  }
  if (host.holdings.Has(guest.guest_id)) {
    return absl::FailedPreconditionError(
        absl::StrCat(who, " is still being ended; wait for the answer to that"));
  }
  const std::map<ResourceKind, int64_t> supply = SupplyFrom(Shares(host), host.round_id);
  for (const Holding& seed : guest.seeds) {
    const auto free = supply.find(seed.kind);
    if (free != supply.end() && seed.seed_units <= free->second) continue;
    return absl::ResourceExhaustedError(absl::StrCat(
        "its seed: ", seed.seed_units, " units of ", KindName(seed.kind), "; host ", guest.host_id,
        " has ", free == supply.end() ? 0 : free->second, " that nobody was promised"));
  }
  return absl::OkStatus();
}

Reply Engine::Impl::DoStartGuest(const StartGuest& call, const CallEvent& event,
                                 const Request& request, bool* later) {
  const Guest* const found = FindGuest(call.guest_id, event.caller);
  if (found == nullptr) return Refused(NoSuchGuest(call.guest_id));
  HostRun& host = *FindHost(found->host_id);
  if (absl::Status s = CheckStart(*found, host); !s.ok()) return Refused(s);
  Guest guest = *found;
  guest.state = GuestState::kAdmitted;
  guest.end_cause = EndCause::kNone;
  guest.exit_reason.clear();
  Reply reply{.guest_id = call.guest_id};
  Scribe scribe(state_, now_, "guest starting");
  scribe.Write(PutGuest{guest});
  LogGuest(scribe, "guest_started", event.caller, guest);
  Remember(scribe, request, reply);
  Commit(std::move(scribe));
  GuestRun& run = guest_runs_[call.guest_id];
  run.started_by = request.key;
  run.waiting.push_back(event.call_id);
  *later = true;
  ClearAwayForStart(host, call.guest_id);
  return reply;
}

const Guest* Engine::Impl::FindGuest(GuestId guest_id, const Caller& caller) {
  const auto it = state_.guests.find(guest_id);
  if (it == state_.guests.end() || FindHost(it->second.host_id) == nullptr) return nullptr;
  if (!caller.is_operator && it->second.tenant_id != caller.tenant_id) return nullptr;
  return &it->second;
}

absl::Status Engine::Impl::CheckForm(const HostRun& host, GuestId guest_id, ResourceKind kind,
                                     const std::vector<policies::Range>& ranges,
                                     const Valuation* valuation,
                                     std::optional<Microcredits> budget) const {
  const bool is_joint = !host.config->joint_rule.empty();
  const int64_t steps_max =
      GuestReadingSteps(ClearingWorkMax(*host.config, hosts_.size()), host.config->guests_max);
  if ((kind == kSeveralKinds) != (valuation != nullptr) ||
      (valuation != nullptr && !ranges.empty())) {
    return absl::InvalidArgumentError(
        "valuation: a bid has either a kind and ranges, or a valuation of several kinds");
  }
  if (valuation != nullptr) {
    if (!is_joint) {
      return absl::InvalidArgumentError(
          absl::StrCat("valuation: host ", host.config->host_id,
                       " clears each resource by itself; bid for one kind at a time"));
    }
    return CheckValuation(host.resources, *valuation, budget, steps_max);
  }
  const Resource* const resource = FindResource(host.resources, kind);
  if (resource == nullptr) return NotSold(kind, host.config->host_id);
  if (absl::Status s = CheckBidForm(*resource, guest_id, ranges, budget); !s.ok()) return s;
  return is_joint ? CheckSingleBid(*resource, guest_id, ranges, steps_max) : absl::OkStatus();
}

void Engine::Impl::DropReplaced(Scribe& scribe, GuestId guest_id, ResourceKind kind,
                                BidFence fence) {
  for (const BidKey& key : state_.BidsOf(guest_id)) {
    if ((key.second == kSeveralKinds) != (kind == kSeveralKinds)) {
      scribe.Write(DropBid{key, fence});
    }
  }
}

absl::StatusOr<StandingBid> Engine::Impl::CheckBid(const PlaceBid& call, const Caller& caller) {
  const Guest* guest = FindGuest(call.guest_id, caller);
  if (guest == nullptr) return NoSuchGuest(call.guest_id);
  HostRun& host = *FindHost(guest->host_id);
  absl::Status status = CheckForm(host, call.guest_id, call.kind, call.ranges, call.valuation.get(),
                                  call.budget_microcredits);
  if (status.ok() && guest->state != GuestState::kRunning &&
      guest->state != GuestState::kAdmitted) {
    status = absl::FailedPreconditionError(
        absl::StrCat("guest ", call.guest_id, " has ended: ", guest->exit_reason));
  }
  if (status.ok()) {
    const Purse& purse = state_.PurseOf(guest->tenant_id);
    status =
        call.valuation != nullptr
            ? CheckValuationMeans(host.resources, *call.valuation, call.budget_microcredits, purse)
            : CheckBidMeans(*FindResource(host.resources, call.kind), call.ranges,
                            call.budget_microcredits, purse);
  }
  if (!status.ok()) {
    ++host.counters.bids_refused;
    return status;
  }
  const RoundId first = RoundOfNewBids(host);
  ++host.counters.bids_accepted;
  return StandingBid{
      .guest_id = call.guest_id,
      .kind = call.kind,
      .ranges = call.ranges,
      .valuation = call.valuation,
      .budget_microcredits = call.budget_microcredits,
      .first_round_id = first,
      .last_round_id = call.expires_after_rounds == 0 ? 0 : first + call.expires_after_rounds - 1,
      .lease_rounds = call.renewed ? call.expires_after_rounds : 0};
}

Reply Engine::Impl::DoPlaceBid(const PlaceBid& call, const Caller& caller, const Request& request) {
  absl::StatusOr<StandingBid> bid = CheckBid(call, caller);
  if (!bid.ok()) return Refused(bid.status());
  bid->fence = NextFence();
  Reply reply{.round_id = bid->first_round_id};
  Scribe scribe(state_, now_, "bid placed");
  DropReplaced(scribe, call.guest_id, call.kind, bid->fence);
  scribe.Write(PutBid{*std::move(bid)});
  Remember(scribe, request, reply);
  Commit(std::move(scribe));
  return reply;
}

Reply Engine::Impl::DoWithdrawBid(const WithdrawBid& call, const Caller& caller,
                                  const Request& request) {
  const Guest* guest = FindGuest(call.guest_id, caller);
  if (guest == nullptr) return Refused(NoSuchGuest(call.guest_id));
  const HostRun& host = *FindHost(guest->host_id);
  if (call.kind != kSeveralKinds && FindResource(host.resources, call.kind) == nullptr) {
    return Refused(NotSold(call.kind, guest->host_id));
  }
  const BidKey key{call.guest_id, call.kind};
  Reply reply{.removed = state_.bids.contains(key)};
  Scribe scribe(state_, now_, "bid withdrawn");
  // Also if none stands: what a lease is about to write again is withdrawn as well.
  scribe.Write(DropBid{key, NextFence()});
  Remember(scribe, request, reply);
  Commit(std::move(scribe));
  return reply;
}

}  // namespace nom::market
