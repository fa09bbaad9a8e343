#include "nom/testing/fake_market.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "nom/market/v1/market.grpc.pb.h"

namespace nom::testing {
namespace {

namespace pb = market::v1;

using Key = std::pair<uint64_t, pb::ResourceKind>;

google::protobuf::Timestamp ToProto(absl::Time time) {
  google::protobuf::Timestamp out;
  out.set_seconds(absl::ToUnixSeconds(time));
  out.set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(absl::ToUnixSeconds(time)))));
  return out;
}

pb::ResourceKind KindOf(Resource resource) { return static_cast<pb::ResourceKind>(resource); }

std::vector<BidRange> FromProto(const google::protobuf::RepeatedPtrField<pb::BidRange>& ranges) {
  std::vector<BidRange> out;
  for (const pb::BidRange& range : ranges) {
    out.push_back({range.min_units(), range.max_units(), range.value_at_min_microcredits(),
                   range.unit_price_microcredits()});
  }
  return out;
}

Valuation FromProto(const pb::Valuation& valuation) {
  Valuation out{.whole_value_microcredits = valuation.whole_value_microcredits()};
  if (valuation.curves_size() > 0) {
    out.combination = static_cast<Combination>(valuation.combination());
  }
  for (const pb::BidCurve& curve : valuation.curves()) {
    out.curves[static_cast<Resource>(curve.kind())] = FromProto(curve.ranges());
  }
  for (const pb::BidBundle& from : valuation.bundles()) {
    Bundle& bundle = out.bundles.emplace_back();
    bundle.value_microcredits = from.value_microcredits();
    for (int i = 0; i < from.units_size(); ++i) {
      if (from.units(i) == 0) continue;
      bundle.units[static_cast<Resource>(valuation.bundle_kinds(i))] = from.units(i);
    }
  }
  return out;
}

// The quantity that leaves the most at this price, and the least of those that leave as much.
int64_t BestUnits(const pb::Bid& bid, int64_t price, int64_t units_left) {
  int64_t best = 0;
  int64_t best_gain = 0;
  for (const pb::BidRange& range : bid.ranges()) {
    for (int64_t units : {range.min_units(), range.max_units()}) {
      units = std::min(units, units_left);
      if (price > 0 && bid.has_budget_microcredits()) {
        units = std::min(units, bid.budget_microcredits() / price);
      }
      if (units < range.min_units()) continue;
      const int64_t gain = range.value_at_min_microcredits() +
                           (units - range.min_units()) * range.unit_price_microcredits() -
                           units * price;
      if (gain <= best_gain) continue;
      best = units;
      best_gain = gain;
    }
  }
  return best;
}

using Units = std::map<pb::ResourceKind, int64_t>;

int64_t ValueAt(const google::protobuf::RepeatedPtrField<pb::BidRange>& ranges, int64_t units) {
  for (const pb::BidRange& range : ranges) {
    if (units < range.min_units() || units > range.max_units()) continue;
    return range.value_at_min_microcredits() +
           (units - range.min_units()) * range.unit_price_microcredits();
  }
  return 0;
}

int64_t Combine(const pb::Valuation& valuation, const Units& units) {
  int64_t sum = 0;
  int64_t least = INT64_MAX;
  int64_t most = 0;
  double product = static_cast<double>(valuation.whole_value_microcredits());
  for (const pb::BidCurve& curve : valuation.curves()) {
    const auto of = units.find(curve.kind());
    const int64_t value = ValueAt(curve.ranges(), of == units.end() ? 0 : of->second);
    sum += value;
    least = std::min(least, value);
    most = std::max(most, value);
    product *= static_cast<double>(value) / static_cast<double>(kLevelOne);
  }
  switch (valuation.combination()) {
    case pb::COMBINATION_MIN:
      return least;
    case pb::COMBINATION_MAX:
      return most;
    case pb::COMBINATION_PRODUCT:
      return static_cast<int64_t>(product);
    default:
      return sum;
  }
}

// The ways to be served that are looked at, each with its value.
std::vector<std::pair<Units, int64_t>> ChoicesOf(const pb::Valuation& valuation) {
  std::vector<std::pair<Units, int64_t>> choices;
  for (const pb::BidBundle& bundle : valuation.bundles()) {
    Units units;
    for (int i = 0; i < bundle.units_size(); ++i) {
      units[static_cast<pb::ResourceKind>(valuation.bundle_kinds(i))] = bundle.units(i);
    }
    choices.emplace_back(std::move(units), bundle.value_microcredits());
  }
  if (valuation.curves().empty()) return choices;
  std::vector<Units> ends = {{}};
  for (const pb::BidCurve& curve : valuation.curves()) {
    std::set<int64_t> of_curve = {0};
    for (const pb::BidRange& range : curve.ranges()) {
      of_curve.insert({range.min_units(), range.max_units()});
    }
    std::vector<Units> longer;
    for (const Units& units : ends) {
      for (const int64_t end : of_curve) {
        longer.push_back(units);
        longer.back()[curve.kind()] = end;
      }
    }
    ends = std::move(longer);
  }
  for (Units& units : ends) {
    const int64_t value = Combine(valuation, units);
    choices.emplace_back(std::move(units), value);
  }
  return choices;
}

// As bids for single resources, so that a sum of many curves is cheap.
std::vector<pb::Bid> PartsOf(const pb::Bid& bid) {
  std::vector<pb::Bid> parts;
  for (const pb::BidCurve& curve : bid.valuation().curves()) {
    pb::Bid& part = parts.emplace_back();
    part.set_kind(curve.kind());
    *part.mutable_ranges() = curve.ranges();
  }
  return parts;
}

}  // namespace

class FakeMarket::Impl final : public pb::MarketService::Service {
 public:
  explicit Impl(absl::Duration length) : period(length) {
    for (Resource resource : kAllResources) sold[KindOf(resource)] = {};
    Start();
  }
  ~Impl() override { Stop(); }

  struct Sold {
    int64_t price = 1;
    int64_t supply = 1'000;
    int64_t demand = 0;
    int64_t sold = 0;
  };
  struct Standing {
    pb::Bid bid;
    uint64_t last_round_id = 0;  // 0: until replaced.
  };
  struct Fence {
    uint64_t fence = 0;
    uint64_t sequence = 0;
    friend auto operator<=>(const Fence&, const Fence&) = default;
  };
  struct Guest {
    std::string name;
    int64_t seed = 0;
    std::map<pb::ResourceKind, pb::GuestOutcome> won;  // In the last round decided.
  };

  void Start() {
    std::lock_guard starting(start_mutex);
    grpc::ServerBuilder builder;
    int bound = 0;
    // No SO_REUSEPORT: another test's market must not share the port by accident.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(),
                             &bound);
    builder.RegisterService(this);
    {
      std::lock_guard lock(mutex);
      stopping = false;
      closed.clear();
    }
    server = builder.BuildAndStart();
    if (server == nullptr || bound == 0) {
      std::fprintf(stderr, "nom::testing::FakeMarket: cannot listen on port %d\n", port);
      std::abort();
    }
    port = bound;
  }

  void Stop() {
    std::lock_guard starting(start_mutex);
    if (server == nullptr) return;
    {
      std::lock_guard lock(mutex);
      stopping = true;
      changed.notify_all();
    }
    server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
    server->Wait();
    server.reset();
  }

  // The caller holds the mutex, in what follows.
  void Changed() {
    ++version;
    changed.notify_all();
  }

  pb::WatchResponse Snapshot() const {
    pb::WatchResponse response;
    response.set_sequence(version);
    response.set_guests_told(true);
    response.set_accounts_told(true);
    *response.mutable_market_time() = ToProto(absl::Now());
    pb::MarketState& state = *response.mutable_state();
    state.set_host_id("fake");
    state.set_ledger_id(ledger_id);
    state.set_round_id(round);
    state.set_phase(pb::ROUND_PHASE_COLLECT);
    state.set_period_ms(absl::ToInt64Milliseconds(period));
    *state.mutable_close_time() = ToProto(begun + period);
    *state.mutable_effective_time() = ToProto(begun + period);
    *state.mutable_valid_until() = ToProto(valid_until);
    state.set_priced_round_id(round - 1);
    for (const auto& [kind, of] : sold) {
      pb::ResourceInfo& info = *state.add_resources();
      info.set_kind(kind);
      info.set_unit_size(1);
      info.set_capacity_units(of.supply);
      info.set_policy(joint ? "joint_vcg/1" : "posted_price/1");
      *state.add_prices() = PriceOf(kind, of);
    }
    for (const auto& [guest_id, guest] : guests) {
      pb::GuestInfo& info = *response.add_guests();
      info.set_guest_id(guest_id);
      info.set_name(guest.name);
      info.set_host_id("fake");
      info.set_state(pb::GUEST_STATE_RUNNING);
      info.set_decided_round_id(round - 1);
      for (const auto& [kind, of] : sold) {
        pb::Grant& grant = *info.add_grants();
        grant.set_kind(kind);
        grant.set_seed_units(guest.seed);
        const auto won = guest.won.find(kind);
        if (won == guest.won.end()) continue;
        grant.set_award_units(won->second.award_units());
        grant.set_charge_microcredits(won->second.charge_microcredits());
        *info.add_decided() = won->second;
      }
      for (const auto& [key, standing] : standing_bids) {
        if (key.first == guest_id) *info.add_bids() = standing.bid;
      }
    }
    return response;
  }

  static pb::ResourcePrice PriceOf(pb::ResourceKind kind, const Sold& of) {
    pb::ResourcePrice price;
    price.set_kind(kind);
    price.set_unit_price_microcredits(of.price);
    price.set_reserve_unit_price_microcredits(of.price);
    price.set_supply_units(of.supply);
    price.set_demand_units(of.demand);
    price.set_sold_units(of.sold);
    price.set_bound_by(pb::BOUND_BY_RESERVE);
    return price;
  }

  void Award(uint64_t guest_id, Guest& guest, pb::ResourceKind kind, Sold& of, int64_t units,
             pb::AwardReason reason) {
    pb::GuestOutcome& won = guest.won[kind];
    won.Clear();
    won.set_guest_id(guest_id);
    won.set_kind(kind);
    won.set_seed_units(guest.seed);
    won.set_award_units(units);
    won.set_charge_microcredits(units * of.price);
    won.set_reason(reason);
    of.sold += units;
  }

  void DecideSingle(uint64_t guest_id, Guest& guest, pb::ResourceKind kind, Sold& of) {
    const auto bid = standing_bids.find({guest_id, kind});
    if (bid == standing_bids.end()) {
      Award(guest_id, guest, kind, of, 0, pb::AWARD_REASON_NO_BID);
      return;
    }
    const pb::Bid& asked = bid->second.bid;
    const int64_t most = asked.ranges(asked.ranges_size() - 1).max_units();
    of.demand += most;
    const int64_t units = BestUnits(asked, of.price, of.supply - of.sold);
    Award(guest_id, guest, kind, of, units,
          units == most ? pb::AWARD_REASON_SERVED
          : units > 0   ? pb::AWARD_REASON_PARTLY_SERVED
                        : pb::AWARD_REASON_BELOW_RESERVE);
  }

  // What a bid for several resources wins: at most one bundle, whole.
  void DecideSeveral(uint64_t guest_id, Guest& guest) {
    const auto standing = standing_bids.find({guest_id, pb::RESOURCE_KIND_UNSPECIFIED});
    if (standing == standing_bids.end()) return;
    const pb::Bid& bid = standing->second.bid;
    int64_t left = bid.has_budget_microcredits() ? bid.budget_microcredits() : INT64_MAX;
    Units best;
    if (bid.valuation().combination() == pb::COMBINATION_SUM) {
      for (pb::Bid& part : PartsOf(bid)) {
        const auto of = sold.find(part.kind());
        if (of == sold.end()) continue;
        part.set_budget_microcredits(left);
        const int64_t units =
            BestUnits(part, of->second.price, of->second.supply - of->second.sold);
        best[part.kind()] = units;
        left -= units * of->second.price;
      }
    } else {
      int64_t best_gain = 0;
      for (auto& [units, value] : ChoicesOf(bid.valuation())) {
        int64_t cost = 0;
        bool fits = true;
        for (const auto& [kind, count] : units) {
          if (count == 0) continue;
          const auto of = sold.find(kind);
          fits = fits && of != sold.end() && count <= of->second.supply - of->second.sold;
          if (fits) cost += count * of->second.price;
        }
        if (!fits || cost > left || value - cost <= best_gain) continue;
        best_gain = value - cost;
        best = std::move(units);
      }
    }
    const bool wins =
        std::any_of(best.begin(), best.end(), [](const auto& of) { return of.second > 0; });
    for (auto& [kind, of] : sold) {
      of.demand += best[kind];
      Award(guest_id, guest, kind, of, best[kind],
            wins ? pb::AWARD_REASON_SERVED : pb::AWARD_REASON_BELOW_RESERVE);
    }
  }

  void DecideLocked() {
    pb::Round record;
    record.set_round_id(round);
    record.set_host_id("fake");
    record.set_phase(pb::ROUND_PHASE_SETTLED);
    for (auto& [kind, of] : sold) of.demand = of.sold = 0;
    for (auto& [guest_id, guest] : guests) DecideSeveral(guest_id, guest);
    for (auto& [kind, of] : sold) {
      for (auto& [guest_id, guest] : guests) {
        if (!standing_bids.contains({guest_id, pb::RESOURCE_KIND_UNSPECIFIED})) {
          DecideSingle(guest_id, guest, kind, of);
        }
        *record.add_outcomes() = guest.won[kind];
      }
      *record.add_prices() = PriceOf(kind, of);
    }
    records[round] = std::move(record);
    if (records.size() > 1'000) records.erase(records.begin());
    ++round;
    begun = absl::Now();
    valid_until = begun + 2 * period;
    std::erase_if(standing_bids, [&](const auto& bid) {
      return bid.second.last_round_id != 0 && bid.second.last_round_id < round;
    });
    Changed();
  }

  // --- The service. ---

  grpc::Status Watch(grpc::ServerContext* context, const pb::WatchRequest* request,
                     grpc::ServerWriter<pb::WatchResponse>* writer) override {
    std::unique_lock lock(mutex);
    for (const uint64_t guest_id : request->guest_ids()) {
      if (!guests.contains(guest_id)) {
        return grpc::Status(grpc::StatusCode::NOT_FOUND, "guest_ids: you have no such guest");
      }
    }
    uint64_t told = 0;
    while (!stopping && !context->IsCancelled()) {
      if (told == version) {
        // Wakes up now and then, as a cancelled call is not announced to the synchronous API.
        changed.wait_for(lock, std::chrono::milliseconds(5));
        continue;
      }
      told = version;
      pb::WatchResponse response = Snapshot();
      if (request->guest_ids_size() > 0) {
        const std::set<uint64_t> wanted(request->guest_ids().begin(), request->guest_ids().end());
        auto& all = *response.mutable_guests();
        all.erase(
            std::remove_if(all.begin(), all.end(),
                           [&](const auto& guest) { return !wanted.contains(guest.guest_id()); }),
            all.end());
      }
      lock.unlock();
      const bool written = writer->Write(response);
      lock.lock();
      if (!written) break;
    }
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the market is shutting down");
  }

  grpc::Status OpenLease(grpc::ServerContext* /*context*/, const pb::OpenLeaseRequest* /*request*/,
                         pb::OpenLeaseResponse* response) override {
    std::lock_guard lock(mutex);
    if (limited) return TooMany();
    response->set_fence(++last_fence);
    response->set_ledger_id(ledger_id);
    response->set_calls_per_second(100'000);
    response->set_calls_burst(100'000);
    response->set_bids_per_call(256);
    return grpc::Status::OK;
  }

  grpc::Status PlaceBids(grpc::ServerContext* /*context*/, const pb::PlaceBidsRequest* request,
                         pb::PlaceBidsResponse* response) override {
    Announce();
    std::lock_guard lock(mutex);
    ++writes;
    if (limited) return TooMany();
    if (request->ledger_id() != ledger_id) return OtherLedger();
    const grpc::Status lost(grpc::StatusCode::UNAVAILABLE, "the line broke");
    if (lose_calls > 0) {
      --lose_calls;
      return lost;
    }
    const bool refuse = refuse_bids > 0;
    if (refuse) --refuse_bids;
    for (const pb::Bid& bid : request->bids()) {
      Place(bid, {request->fence(), request->sequence()}, refuse, *response->add_bids());
    }
    Changed();
    if (lose_answers > 0) {
      --lose_answers;
      return lost;
    }
    return grpc::Status::OK;
  }

  // A guest's bid for several resources and those for single ones replace each other.
  static bool Exclude(const Key& a, const Key& b) {
    return a.first == b.first && (a.second == pb::RESOURCE_KIND_UNSPECIFIED) !=
                                     (b.second == pb::RESOURCE_KIND_UNSPECIFIED);
  }

  void Place(const pb::Bid& bid, Fence fence, bool refuse, pb::PlacedBid& placed) {
    const Key key(bid.guest_id(), bid.kind());
    const auto say = [&](absl::StatusCode code, const std::string& message) {
      placed.set_code(static_cast<int32_t>(code));
      placed.set_message(message);
    };
    placed.set_round_id(round);
    if (!guests.contains(key.first)) {
      return say(absl::StatusCode::kNotFound, "guest_id: no such guest");
    }
    const bool stood = standing_bids.contains(key);
    Fence excluding;
    for (const auto& [other, standing] : standing_bids) {
      if (Exclude(other, key)) excluding = std::max(excluding, fences[other]);
    }
    if (excluding.fence > fence.fence) placed.set_lost_to(pb::LEASED_BID_STATE_TAKEN_OVER);
    if (excluding > fence) {
      return say(absl::StatusCode::kAborted, "one that goes without it was placed since");
    }
    Fence& last = fences[key];
    if (last.fence > fence.fence) {
      placed.set_lost_to(stood ? pb::LEASED_BID_STATE_TAKEN_OVER : pb::LEASED_BID_STATE_WITHDRAWN);
      return say(absl::StatusCode::kAborted,
                 stood ? "the bid has been taken over" : "the bid was withdrawn by somebody else");
    }
    if (last >= fence || fence <= closed[key]) {
      return say(absl::StatusCode::kAborted, "a later write has overtaken it");
    }
    const bool withdraws = bid.ranges_size() == 0 && !bid.has_valuation();
    if (refuse && !withdraws) return say(refusal.code(), std::string(refusal.message()));
    if (bid.has_valuation() && !joint) {
      return say(absl::StatusCode::kInvalidArgument,
                 "valuation: host fake clears each resource by itself; bid for one kind at a time");
    }
    if (bid.valuation().curves_size() > 3 && bid.valuation().combination() != pb::COMBINATION_SUM) {
      return say(absl::StatusCode::kUnimplemented, "valuation.curves: more than three");
    }
    last = fence;
    standing_bids.erase(key);
    placed.set_removed(stood);
    if (withdraws) return;
    std::erase_if(standing_bids, [&](const auto& other) {
      if (!Exclude(other.first, key)) return false;
      fences[other.first] = fence;
      return true;
    });
    Standing& standing = standing_bids[key];
    standing.bid = bid;
    standing.bid.set_lease_fence(fence.fence);
    if (bid.expires_after_rounds() != 0) {
      standing.last_round_id = round + bid.expires_after_rounds() - 1;
    }
  }

  grpc::Status RenewLease(grpc::ServerContext* /*context*/, const pb::RenewLeaseRequest* request,
                          pb::RenewLeaseResponse* response) override {
    Announce();
    std::lock_guard lock(mutex);
    if (limited) return TooMany();
    if (request->ledger_id() != ledger_id) return OtherLedger();
    ++renewals;
    for (const pb::BidKey& asked : request->bids()) {
      const Key key(asked.guest_id(), asked.kind());
      pb::LeasedBid& leased = *response->add_bids();
      if (!guests.contains(key.first)) {
        leased.set_state(pb::LEASED_BID_STATE_GUEST_GONE);
        continue;
      }
      closed[key] = std::max(closed[key], Fence{request->fence(), request->sequence()});
      const Fence last = fences[key];
      const auto bid = standing_bids.find(key);
      if (last.fence > request->fence()) {
        leased.set_state(bid == standing_bids.end() ? pb::LEASED_BID_STATE_WITHDRAWN
                                                    : pb::LEASED_BID_STATE_TAKEN_OVER);
        continue;
      }
      leased.set_state(pb::LEASED_BID_STATE_NONE);
      if (last.fence < request->fence()) continue;
      leased.set_sequence(last.sequence);
      if (bid == standing_bids.end()) continue;
      leased.set_state(pb::LEASED_BID_STATE_HELD);
      Standing& standing = bid->second;
      if (standing.bid.renewed()) {
        standing.last_round_id =
            std::max(standing.last_round_id, round + standing.bid.expires_after_rounds() - 1);
      }
      leased.set_last_round_id(standing.last_round_id);
    }
    return grpc::Status::OK;
  }

  grpc::Status ListRounds(grpc::ServerContext* /*context*/, const pb::ListRoundsRequest* request,
                          pb::ListRoundsResponse* response) override {
    std::lock_guard lock(mutex);
    const uint64_t before = request->before_round_id() == 0 ? round : request->before_round_id();
    const int most = request->page_size() == 0 ? 20 : request->page_size();
    for (auto it = records.lower_bound(before); it != records.begin();) {
      --it;
      if (response->rounds_size() == most) {
        response->set_next_before_round_id(it->first + 1);
        break;
      }
      *response->add_rounds() = it->second;
    }
    return grpc::Status::OK;
  }

  void Announce() {
    std::function<void()> call;
    {
      std::lock_guard lock(mutex);
      call = on_call;
    }
    if (call) call();
  }
  static grpc::Status TooMany() {
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many bids a second");
  }
  static grpc::Status OtherLedger() {
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "the market has another ledger now");
  }

  const absl::Duration period;
  std::mutex start_mutex;  // Taken before `mutex`.
  int port = 0;
  std::unique_ptr<grpc::Server> server;

  mutable std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;
  uint64_t version = 1;
  std::string ledger_id = "ledger-1";
  uint64_t round = 1;
  absl::Time begun = absl::Now();
  absl::Time valid_until = absl::Now() + 2 * period;
  bool joint = false;
  std::map<pb::ResourceKind, Sold> sold;
  std::map<uint64_t, Guest> guests;
  uint64_t last_guest_id = 0;
  std::map<Key, Standing> standing_bids;
  std::map<Key, Fence> fences;
  std::map<Key, Fence> closed;
  std::map<uint64_t, pb::Round> records;
  uint64_t last_fence = 0;
  int64_t writes = 0;
  int64_t renewals = 0;
  int lose_answers = 0;
  int lose_calls = 0;
  int refuse_bids = 0;
  absl::Status refusal;
  bool limited = false;
  std::function<void()> on_call;
};

FakeMarket::FakeMarket(absl::Duration period) : impl_(std::make_unique<Impl>(period)) {}
FakeMarket::~FakeMarket() = default;

std::string FakeMarket::target() const {
  std::lock_guard lock(impl_->start_mutex);
  return absl::StrCat("127.0.0.1:", impl_->port);
}
SessionOptions FakeMarket::Options() const {
  SessionOptions options;
  options.target = target();
  options.plaintext = true;
  return options;
}

uint64_t FakeMarket::AddGuest(const std::string& name, int64_t seed_units) {
  std::lock_guard lock(impl_->mutex);
  const uint64_t guest_id = ++impl_->last_guest_id;
  impl_->guests[guest_id] = {.name = name, .seed = seed_units, .won = {}};
  impl_->Changed();
  return guest_id;
}
void FakeMarket::RemoveGuest(uint64_t guest_id) {
  std::lock_guard lock(impl_->mutex);
  impl_->guests.erase(guest_id);
  std::erase_if(impl_->standing_bids, [&](const auto& bid) { return bid.first.first == guest_id; });
  impl_->Changed();
}

void FakeMarket::SetPrice(Resource resource, int64_t unit_price_microcredits) {
  std::lock_guard lock(impl_->mutex);
  impl_->sold[KindOf(resource)].price = unit_price_microcredits;
}
void FakeMarket::SetSupply(Resource resource, int64_t units) {
  std::lock_guard lock(impl_->mutex);
  impl_->sold[KindOf(resource)].supply = units;
}
void FakeMarket::StopSelling(Resource resource) {
  std::lock_guard lock(impl_->mutex);
  impl_->sold.erase(KindOf(resource));
}
void FakeMarket::ClearJointly() {
  std::lock_guard lock(impl_->mutex);
  impl_->joint = true;
  impl_->Changed();
}

uint64_t FakeMarket::Decide() {
  std::lock_guard lock(impl_->mutex);
  impl_->DecideLocked();
  return impl_->round;
}
uint64_t FakeMarket::round_id() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->round;
}
void FakeMarket::Refresh() {
  std::lock_guard lock(impl_->mutex);
  impl_->valid_until = absl::Now() + 2 * impl_->period;
  impl_->Changed();
}

std::vector<Bid> FakeMarket::bids() const {
  std::lock_guard lock(impl_->mutex);
  std::vector<Bid> bids;
  for (const auto& [key, standing] : impl_->standing_bids) {
    Bid& bid = bids.emplace_back();
    bid.guest_id = key.first;
    if (standing.bid.has_valuation()) {
      bid.valuation = FromProto(standing.bid.valuation());
    } else {
      bid.resource = static_cast<Resource>(key.second);
      bid.ranges = FromProto(standing.bid.ranges());
    }
    if (standing.bid.has_budget_microcredits()) {
      bid.budget_microcredits = standing.bid.budget_microcredits();
    }
    if (!standing.bid.renewed()) bid.rounds = standing.bid.expires_after_rounds();
  }
  return bids;
}
int64_t FakeMarket::award_units(uint64_t guest_id, Resource resource) const {
  std::lock_guard lock(impl_->mutex);
  const auto guest = impl_->guests.find(guest_id);
  if (guest == impl_->guests.end()) return 0;
  const auto won = guest->second.won.find(KindOf(resource));
  return won == guest->second.won.end() ? 0 : won->second.award_units();
}
int64_t FakeMarket::charge_microcredits(uint64_t guest_id, Resource resource) const {
  std::lock_guard lock(impl_->mutex);
  const auto guest = impl_->guests.find(guest_id);
  if (guest == impl_->guests.end()) return 0;
  const auto won = guest->second.won.find(KindOf(resource));
  return won == guest->second.won.end() ? 0 : won->second.charge_microcredits();
}
int64_t FakeMarket::write_calls() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->writes;
}
int64_t FakeMarket::renewals() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->renewals;
}

void FakeMarket::WithdrawAsOwner(uint64_t guest_id, Resource resource) {
  std::lock_guard lock(impl_->mutex);
  const Key key(guest_id, KindOf(resource));
  impl_->standing_bids.erase(key);
  impl_->fences[key] = {++impl_->last_fence, 0};
  impl_->Changed();
}
void FakeMarket::LoseAnswers(int calls) {
  std::lock_guard lock(impl_->mutex);
  impl_->lose_answers = calls;
}
void FakeMarket::LoseCalls(int calls) {
  std::lock_guard lock(impl_->mutex);
  impl_->lose_calls = calls;
}
void FakeMarket::RefuseBids(int calls, const absl::Status& status) {
  std::lock_guard lock(impl_->mutex);
  impl_->refuse_bids = calls;
  impl_->refusal = status;
}
void FakeMarket::LimitRate(bool limited) {
  std::lock_guard lock(impl_->mutex);
  impl_->limited = limited;
}
void FakeMarket::GoStale() {
  std::lock_guard lock(impl_->mutex);
  impl_->valid_until = absl::Now() - absl::Seconds(1);
  impl_->Changed();
}
void FakeMarket::Stop() { impl_->Stop(); }
void FakeMarket::Start() { impl_->Start(); }
void FakeMarket::BeginAnotherLedger() {
  std::lock_guard lock(impl_->mutex);
  impl_->ledger_id += "x";
  impl_->standing_bids.clear();
  impl_->fences.clear();
  impl_->closed.clear();
  impl_->records.clear();
  for (auto& [guest_id, guest] : impl_->guests) guest.won.clear();
  impl_->round = 1;
  impl_->Changed();
}
void FakeMarket::SetOnCall(std::function<void()> on_call) {
  std::lock_guard lock(impl_->mutex);
  impl_->on_call = std::move(on_call);
}

}  // namespace nom::testing
