// SPDX-License-Identifier: Apache-2.0
#include "marketd/page/api.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "marketd/base/status.h"
#include "marketd/market/joint_bids.h"
#include "marketd/page/demand.h"
#include "marketd/services/contract_messages.h"
#include "marketd/services/convert.h"
#include "marketd/services/pages.h"
#include "nom/page/v1/page.pb.h"
#include "policies/cases/case_file.h"
#include "policies/cases/joint_case_file.h"
#include "proto/json/json.h"

namespace nom::marketd {
namespace {

namespace page_pb = ::nom::page::v1;

constexpr int64_t kPublicPerSecond = 100;  // Over all who ask without a token,
constexpr int64_t kPublicBurst = 400;      // and at once.
constexpr int kPricesMax = static_cast<int>(History::kRoundsKept);
constexpr int kPricesDefault = 360;
constexpr int kRoundsMax = 200;
constexpr int kRoundsDefault = 20;
constexpr int kGuestsMax = 1'000;
constexpr int kContractsMax = 1'000;
constexpr int kContractsDefault = 200;
constexpr int kAccountsMax = 1'000;
constexpr size_t kStepsMax = 512;
// A larger auction is not drawn: reading it takes longer than anybody should wait for.
constexpr size_t kAuctionBytesMax = size_t{4} << 20;

constexpr int kLifeRoundsAtOnce = 32;

int64_t UnixMs(absl::Time time) { return absl::ToUnixMillis(time); }

HttpAnswer JsonAnswer(int code, const google::protobuf::Message& message) {
  return {.code = code,
          .content_type = "application/json",
          .body = ToJson(message, /*one_line=*/true) + "\n",
          .headers = {{"Cache-Control", "no-store"}}};
}

HttpAnswer ErrorAnswer(const absl::Status& status) {
  page_pb::Error error;
  error.set_code(absl::StatusCodeToString(status.code()));
  error.set_message(std::string(status.message()));
  HttpAnswer out = JsonAnswer(HttpCodeOf(status), error);
  if (absl::IsUnauthenticated(status)) out.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (absl::IsResourceExhausted(status)) out.headers.emplace_back("Retry-After", "1");
  return out;
}

page_pb::Host ToPage(const market::HostView& host, const market::View& view, bool is_operator) {
  page_pb::Host out;
  *out.mutable_state() = StateToProto(host);
  out.set_kind(host.kind);
  out.set_connected(host.connected);
  if (is_operator) out.set_detail(host.detail);
  std::map<market::ResourceKind, page_pb::Use> uses;
  for (const market::Resource& resource : host.resources) {
    uses[resource.kind].set_kind(ToProto(resource.kind));
  }
  for (const market::GuestId guest_id : host.guest_ids) {
    const market::GuestView* const guest = view.FindGuest(guest_id);
    if (guest == nullptr) continue;
    for (const market::Holding& holding : guest->now) {
      const auto use = uses.find(holding.kind);
      if (use == uses.end()) continue;
      use->second.set_seed_units(use->second.seed_units() + holding.seed_units);
      use->second.set_award_units(use->second.award_units() + holding.award_units);
    }
  }
  for (auto& [kind, use] : uses) *out.add_uses() = std::move(use);
  out.set_guests(static_cast<int64_t>(host.guest_ids.size()));
  out.set_in_force_round_id(host.in_force_round_id);
  if (host.last_decided_time > absl::UnixEpoch()) {
    *out.mutable_last_decided_time() = ToProto(host.last_decided_time);
  }
  const market::HostCounters& counters = host.counters;
  page_pb::RoundCounts& rounds = *out.mutable_rounds();
  rounds.set_decided(counters.rounds_decided);
  rounds.set_settled(counters.rounds_settled);
  rounds.set_released(counters.rounds_released);
  rounds.set_skipped(counters.rounds_skipped);
  rounds.set_by_fallback(counters.clearings_bounded + counters.clearings_coarser +
                         counters.clearings_greedy + counters.clearings_repeat_last);
  rounds.set_host_losses(counters.losses);
  return out;
}

page_pb::PriceHistory ToPage(const market::HostId& host_id, const History::Rounds& history) {
  page_pb::PriceHistory out;
  out.set_host_id(host_id);
  out.set_complete(history.complete);
  std::set<market::ResourceKind> kinds;
  for (const PricedRound& round : history.rounds) {
    out.add_round_ids(round.round_id);
    out.add_close_time_unix_ms(UnixMs(round.close_time));
    for (const market::ResourcePrice& price : round.prices) kinds.insert(price.kind);
  }
  for (const market::ResourceKind kind : kinds) {
    page_pb::PriceSeries& series = *out.add_series();
    series.set_kind(ToProto(kind));
    for (const PricedRound& round : history.rounds) {
      const auto price = std::find_if(round.prices.begin(), round.prices.end(),
                                      [kind](const auto& p) { return p.kind == kind; });
      const bool sold = price != round.prices.end();
      series.add_unit_price_microcredits(sold ? price->unit_price_microcredits : -1);
      series.add_reserve_unit_price_microcredits(sold ? price->reserve_unit_price_microcredits
                                                      : -1);
      series.add_supply_units(sold ? price->supply_units : -1);
      series.add_demand_units(sold ? price->demand_units : -1);
      series.add_sold_units(sold ? price->sold_units : -1);
      const auto forward = std::find_if(round.forward.begin(), round.forward.end(),
                                        [kind](const auto& f) { return f.kind == kind; });
      const bool is_known = forward != round.forward.end();
      series.add_forecast_unit_price_microcredits(
          is_known ? forward->forecast_unit_price_microcredits : -1);
      series.add_forward_unit_price_microcredits(
          is_known ? forward->unit_price_microcredits.value_or(-1) : -1);
    }
  }
  if (history.more) out.set_next_before_round_id(history.rounds.front().round_id);
  return out;
}

// The bids of one auction as a ledger keeps them.
absl::StatusOr<DemandCurve> DemandIn(const market::AuctionRecord& record,
                                     const market::Round& round, market::ResourceKind kind,
                                     const std::function<bool(market::GuestId)>& is_drawn) {
  if (record.auction.size() > kAuctionBytesMax) {
    return absl::FailedPreconditionError(
        absl::StrCat("round ", round.round_id,
                     ": the auction has too many bids to be drawn; "
                     "nomctl clear shows it"));
  }
  if (record.kind != market::kSeveralKinds) {
    NOM_ASSIGN_OR_RETURN(const policies::Auction auction, policies::ParseAuction(record.auction));
    return DemandOf(auction, is_drawn);
  }
  NOM_ASSIGN_OR_RETURN(const policies::JointAuction auction,
                       policies::ParseJointAuction(record.auction));
  // Its resources are those of the round, by rising kind.
  size_t resource = 0;
  policies::PriceVector prices = {};
  for (size_t i = 0; i < std::min(round.prices.size(), prices.size()); ++i) {
    prices[i] = round.prices[i].unit_price_microcredits;
    if (round.prices[i].kind == kind) resource = i;
  }
  return DemandOf(auction, resource, prices,
                  [&](policies::GuestId bidder) { return is_drawn(market::OfItem(bidder).first); });
}

}  // namespace

// The keys of a request's query, each asked for once; Finish refuses those that nobody asked for.
class PageApi::Query {
 public:
  explicit Query(const HttpRequest& request) : request_(request) {}

  std::string Text(const std::string& key) {
    known_.push_back(key);
    const auto found = request_.query.find(key);
    return found == request_.query.end() ? "" : found->second;
  }

  absl::StatusOr<uint64_t> Number(const std::string& key, uint64_t otherwise, uint64_t min,
                                  uint64_t max) {
    known_.push_back(key);
    const auto found = request_.query.find(key);
    if (found == request_.query.end()) return otherwise;
    uint64_t out = 0;
    // SimpleAtoi would take signs and blanks.
    const bool digits = !found->second.empty() && found->second.size() <= 20 &&
                        found->second.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || !absl::SimpleAtoi(found->second, &out) || out < min || out > max) {
      return absl::InvalidArgumentError(
          absl::StrCat(key, ": must be a whole number from ", min, " to ", max));
    }
    return out;
  }

  absl::Status Finish() const {
    if (!request_.repeated_key.empty()) {
      return absl::InvalidArgumentError("a key is in the query more than once");
    }
    for (const auto& [key, value] : request_.query) {
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      return absl::InvalidArgumentError(
          known_.empty() ? "the query has a key, and there is none for this path"
                         : absl::StrCat("the query has an unknown key; known are ",
                                        absl::StrJoin(known_, ", ")));
    }
    return absl::OkStatus();
  }

 private:
  const HttpRequest& request_;
  std::vector<std::string> known_;
};

// Who asks, and the market as it was just then.
struct PageApi::Call {
  std::optional<market::Caller> caller;  // None: without a token.
  std::shared_ptr<const market::View> view;

  bool is_operator() const { return caller.has_value() && caller->is_operator; }
};

struct PageApi::Route {
  absl::string_view path;
  bool needs_token;
  absl::StatusOr<Found> (PageApi::*find)(const Call& call, Query& query);
};

const std::vector<PageApi::Route>& PageApi::Routes() {
  static const auto* const routes = new std::vector<Route>{
      {"/api/v1/market", false, &PageApi::Market},      {"/api/v1/prices", false, &PageApi::Prices},
      {"/api/v1/demand", true, &PageApi::Demand},       {"/api/v1/guests", true, &PageApi::Guests},
      {"/api/v1/rounds", true, &PageApi::Rounds},       {"/api/v1/life", true, &PageApi::Life},
      {"/api/v1/contracts", true, &PageApi::Contracts}, {"/api/v1/offers", true, &PageApi::Offers}};
  return *routes;
}

std::vector<std::string> PageApi::Paths() {
  std::vector<std::string> out;
  for (const Route& route : Routes()) out.emplace_back(route.path);
  return out;
}

PageApi::PageApi(PageSources sources, const History& history, std::string version)
    : sources_(std::move(sources)),
      history_(history),
      version_(std::move(version)),
      public_rate_(kPublicPerSecond, kPublicBurst) {}

void PageApi::Answer(const HttpRequest& request, const HttpDone& done) {
  const auto route = std::find_if(Routes().begin(), Routes().end(),
                                  [&](const Route& r) { return r.path == request.path; });
  if (route == Routes().end()) {
    done(ErrorAnswer(absl::NotFoundError(
        absl::StrCat("there is no such path; there are ", absl::StrJoin(Paths(), ", ")))));
    return;
  }
  Call call;
  absl::StatusOr<Found> found = Find(*route, request, &call);
  if (!found.ok()) {
    done(ErrorAnswer(found.status()));
    return;
  }
  if (found->message != nullptr) {
    done(JsonAnswer(200, *found->message));
    return;
  }
  const std::string owner = call.caller->is_operator ? "" : call.caller->tenant_id;
  const bool posted = sources_.post_read(owner, [done, later = std::move(found->later)] {
    const absl::StatusOr<Message> message = later();
    done(message.ok() ? JsonAnswer(200, **message) : ErrorAnswer(message.status()));
  });
  if (!posted) {
    done(ErrorAnswer(absl::ResourceExhaustedError("too many reads at once; try again later")));
  }
}

absl::StatusOr<PageApi::Found> PageApi::Find(const Route& route, const HttpRequest& request,
                                             Call* call) {
  call->view = sources_.view();
  if (request.authorization.has_value()) {
    CallHead head{.path = request.path, .authorization = *request.authorization};
    head.authorization_twice = request.authorization_twice;
    NOM_ASSIGN_OR_RETURN(call->caller, sources_.identify(head));
    NOM_RETURN_IF_ERROR(sources_.take_read(*call->caller));
  } else if (route.needs_token) {
    return absl::UnauthenticatedError("this takes a token: send \"authorization: Bearer TOKEN\"");
  } else if (!public_rate_.Take("", sources_.clock->Now())) {
    return absl::ResourceExhaustedError("too many requests a second; try again later");
  }
  Query query(request);
  absl::StatusOr<Found> found = (this->*route.find)(*call, query);
  // What is wrong with the query as a whole is said only where its parts were good.
  if (found.ok()) NOM_RETURN_IF_ERROR(query.Finish());
  return found;
}

namespace {

absl::StatusOr<const market::HostView*> HostNamed(const market::View& view,
                                                  const market::HostId& host_id) {
  if (host_id.empty() && view.hosts.size() == 1) return view.hosts[0].get();
  if (host_id.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("host_id: must be given, as there are ", view.hosts.size(), " hosts"));
  }
  const market::HostView* const host = view.FindHost(host_id);
  if (host == nullptr) return absl::NotFoundError("host_id: there is no such host");
  return host;
}

}  // namespace

absl::StatusOr<PageApi::Found> PageApi::Market(const Call& call, Query& /*query*/) {
  auto out = std::make_unique<page_pb::Market>();
  out->set_version(version_);
  out->set_caller(!call.caller         ? page_pb::CALLER_PUBLIC
                  : call.is_operator() ? page_pb::CALLER_OPERATOR
                                       : page_pb::CALLER_TENANT);
  if (call.caller) out->set_tenant_id(call.caller->tenant_id);
  *out->mutable_market_time() = ToShown(sources_.clock->Now());
  for (const auto& host : call.view->hosts) {
    *out->add_hosts() = ToPage(*host, *call.view, call.is_operator());
  }
  for (const market::TenantView& tenant : call.view->tenants) {
    if (!call.caller || out->accounts_size() >= kAccountsMax) break;
    if (!call.is_operator() && tenant.tenant_id != call.caller->tenant_id) continue;
    *out->add_accounts() = ToProto(tenant.tenant_id, market::Summarize(tenant.purse));
  }
  return Found{.message = std::move(out)};
}

absl::StatusOr<PageApi::Found> PageApi::Prices(const Call& call, Query& query) {
  NOM_ASSIGN_OR_RETURN(const market::HostView* const host,
                       HostNamed(*call.view, query.Text("host_id")));
  NOM_ASSIGN_OR_RETURN(const uint64_t before, query.Number("before_round_id", 0, 0, UINT64_MAX));
  NOM_ASSIGN_OR_RETURN(const uint64_t count,
                       query.Number("page_size", kPricesDefault, 1, kPricesMax));
  return Found{.message = std::make_unique<page_pb::PriceHistory>(
                   ToPage(host->host_id, history_.RoundsOf(host->host_id, before, count)))};
}

absl::StatusOr<PageApi::Found> PageApi::Demand(const Call& call, Query& query) {
  NOM_ASSIGN_OR_RETURN(const market::HostView* const host,
                       HostNamed(*call.view, query.Text("host_id")));
  const std::string name = query.Text("kind");
  const auto resource =
      std::find_if(host->resources.begin(), host->resources.end(),
                   [&](const auto& r) { return market::KindName(r.kind) == name; });
  if (resource == host->resources.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "kind: must be one that the host sells: ",
        absl::StrJoin(host->resources, ", ", [](std::string* out, const market::Resource& r) {
          absl::StrAppend(out, market::KindName(r.kind));
        })));
  }
  NOM_ASSIGN_OR_RETURN(uint64_t round_id, query.Number("round_id", 0, 0, UINT64_MAX - 1));
  if (round_id == 0) round_id = host->priced_round_id;
  if (round_id == 0) return absl::NotFoundError("round_id: no round has been decided yet");
  auto later = [this, call, host_id = host->host_id, kind = resource->kind, round_id,
                border = call.is_operator() ||
                         host->publish_border_prices]() -> absl::StatusOr<Message> {
    NOM_ASSIGN_OR_RETURN(const std::vector<market::Round> rounds,
                         sources_.reader->ListRounds(host_id, round_id + 1, 1));
    if (rounds.empty() || rounds[0].round_id != round_id) {
      return absl::NotFoundError("round_id: there is no such round");
    }
    NOM_ASSIGN_OR_RETURN(const market::AuctionRecord record,
                         sources_.reader->GetAuction(host_id, round_id, kind));
    // What others bid is theirs. A guest that has gone was its tenant's, too, and is not drawn for
    // it: the record names guests alone.
    NOM_ASSIGN_OR_RETURN(const DemandCurve curve,
                         DemandIn(record, rounds[0], kind, [&](market::GuestId guest_id) {
                           if (call.is_operator()) return true;
                           const market::GuestView* const guest = call.view->FindGuest(guest_id);
                           return guest != nullptr && Owns(*call.caller, guest->guest);
                         }));
    auto out = std::make_unique<page_pb::Demand>();
    out->set_host_id(host_id);
    out->set_round_id(round_id);
    out->set_kind(ToProto(kind));
    out->set_of_all(call.is_operator());
    for (const market::ResourcePrice& price : rounds[0].prices) {
      if (price.kind == kind) *out->mutable_price() = ToProto(price, border);
    }
    for (const DemandStep& step : Thinned(curve.steps, kStepsMax)) {
      page_pb::DemandStep& to = *out->add_steps();
      to.set_unit_price_microcredits(step.unit_price_microcredits);
      to.set_units(step.units);
    }
    out->set_bids(curve.bids);
    out->set_joint_bids(curve.joint_bids);
    return out;
  };
  return Found{.later = std::move(later)};
}

absl::StatusOr<PageApi::Found> PageApi::Guests(const Call& call, Query& query) {
  const std::string host_id = query.Text("host_id");
  NOM_ASSIGN_OR_RETURN(const uint64_t after, query.Number("after_guest_id", 0, 0, UINT64_MAX));
  NOM_ASSIGN_OR_RETURN(const uint64_t count, query.Number("page_size", kGuestsMax, 1, kGuestsMax));
  auto out = std::make_unique<market_pb::ListGuestsResponse>();
  NOM_RETURN_IF_ERROR(
      AddGuests(*call.view, *call.caller, host_id, after, static_cast<int>(count), out.get()));
  return Found{.message = std::move(out)};
}

absl::StatusOr<PageApi::Found> PageApi::Rounds(const Call& call, Query& query) {
  NOM_ASSIGN_OR_RETURN(const market::HostView* const host,
                       HostNamed(*call.view, query.Text("host_id")));
  NOM_ASSIGN_OR_RETURN(const uint64_t before, query.Number("before_round_id", 0, 0, UINT64_MAX));
  NOM_ASSIGN_OR_RETURN(const uint64_t count,
                       query.Number("page_size", kRoundsDefault, 1, kRoundsMax));
  return Found{.later = [this, caller = *call.caller, host_id = host->host_id, before, count,
                         border = call.is_operator() ||
                                  host->publish_border_prices]() -> absl::StatusOr<Message> {
    auto out = std::make_unique<market_pb::ListRoundsResponse>();
    NOM_RETURN_IF_ERROR(
        AddRounds([&](market::RoundId below,
                      int some) { return sources_.reader->ListRounds(host_id, below, some); },
                  before, static_cast<int>(count), caller, border, out.get()));
    return out;
  }};
}

absl::StatusOr<PageApi::Found> PageApi::Contracts(const Call& call, Query& query) {
  market_pb::ListContractsRequest request;
  NOM_ASSIGN_OR_RETURN(const uint64_t guest_id,
                       query.Number("guest_id", 0, 1, market::kGuestIdMax));
  NOM_ASSIGN_OR_RETURN(const uint64_t after, query.Number("after_contract_id", 0, 0, UINT64_MAX));
  NOM_ASSIGN_OR_RETURN(const uint64_t count,
                       query.Number("page_size", kContractsDefault, 1, kContractsMax));
  request.set_guest_id(guest_id);
  request.set_after_contract_id(after);
  request.set_page_size(static_cast<int32_t>(count));
  auto out = std::make_unique<market_pb::ListContractsResponse>();
  NOM_RETURN_IF_ERROR(AddContracts(*call.view, *call.caller, request, out.get()));
  return Found{.message = std::move(out)};
}

absl::StatusOr<PageApi::Found> PageApi::Offers(const Call& call, Query& query) {
  market_pb::ListOffersRequest request;
  NOM_ASSIGN_OR_RETURN(const uint64_t guest_id,
                       query.Number("guest_id", 0, 1, market::kGuestIdMax));
  NOM_ASSIGN_OR_RETURN(const uint64_t after, query.Number("after_offer_id", 0, 0, UINT64_MAX));
  NOM_ASSIGN_OR_RETURN(const uint64_t count,
                       query.Number("page_size", kContractsDefault, 1, kContractsMax));
  request.set_guest_id(guest_id);
  request.set_after_offer_id(after);
  request.set_page_size(static_cast<int32_t>(count));
  auto out = std::make_unique<market_pb::ListOffersResponse>();
  NOM_RETURN_IF_ERROR(
      AddOffers(*call.view, *call.caller, sources_.clock->Now(), request, out.get()));
  return Found{.message = std::move(out)};
}

absl::StatusOr<PageApi::Found> PageApi::Life(const Call& call, Query& query) {
  NOM_ASSIGN_OR_RETURN(const uint64_t guest_id,
                       query.Number("guest_id", 0, 1, market::kGuestIdMax));
  NOM_ASSIGN_OR_RETURN(const uint64_t before, query.Number("before_round_id", 0, 0, UINT64_MAX));
  NOM_ASSIGN_OR_RETURN(const uint64_t count,
                       query.Number("page_size", kRoundsDefault, 1, kRoundsMax));
  const market::GuestView* const guest = call.view->FindGuest(guest_id);
  if (guest == nullptr || !Owns(*call.caller, guest->guest)) {
    return absl::NotFoundError(absl::StrCat("guest_id: you have no guest ", guest_id));
  }
  return Found{.later = [this, call, guest, before, count]() -> absl::StatusOr<Message> {
    auto out = std::make_unique<page_pb::GuestLife>();
    const market::HostView* const host = call.view->FindHost(guest->guest.host_id);
    *out->mutable_guest() = ToProto(*guest, host == nullptr ? 0 : host->round_id);
    for (const WorkSample& sample : history_.WorkOf(guest->guest.guest_id)) {
      page_pb::WorkSample& to = *out->add_work();
      to.set_round_id(sample.round_id);
      to.set_time_unix_ms(UnixMs(sample.time));
      to.set_work_done(sample.work_done);
      to.set_value_earned_microcredits(sample.value_microcredits);
    }
    // Read in pieces, as a round holds the outcomes of all guests; `count` is of rounds read, also
    // of those in which an ended guest held nothing any more.
    market::RoundId below = before;
    bool more = true;
    for (int left = static_cast<int>(count); more && left > 0;) {
      const int wanted = std::min(kLifeRoundsAtOnce, left);
      NOM_ASSIGN_OR_RETURN(const std::vector<market::Round> rounds,
                           sources_.reader->ListRounds(guest->guest.host_id, below, wanted));
      more = rounds.size() == static_cast<size_t>(wanted);
      left -= wanted;
      for (const market::Round& round : rounds) {
        below = round.round_id;
        market::Round own = round;
        std::erase_if(own.outcomes, [&](const market::Outcome& outcome) {
          return outcome.guest_id != guest->guest.guest_id;
        });
        if (own.outcomes.empty()) {
          if (out->rounds_size() == 0) continue;
          more = false;  // It was not there yet: nothing older is of it.
          break;
        }
        const market_pb::Round told = ToProto(own, *call.caller, /*border=*/false);
        page_pb::GuestRound& to = *out->add_rounds();
        to.set_round_id(round.round_id);
        to.set_phase(told.phase());
        *to.mutable_close_time() = told.close_time();
        *to.mutable_outcomes() = told.outcomes();
      }
    }
    if (more) out->set_next_before_round_id(below);
    return out;
  }};
}

}  // namespace nom::marketd
