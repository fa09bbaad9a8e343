// SPDX-License-Identifier: Apache-2.0
// MarketService.ListPrices: what units cost in past rounds, read from the ledger beside the engine.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/services/call_log.h"
#include "marketd/services/convert.h"
#include "marketd/services/market_service.h"
#include "marketd/services/pages.h"

namespace nom::marketd {
namespace {

constexpr int kPricesPageMax = 1'000;
// The seconds that a protobuf timestamp may hold, of the years 1 to 9999, and beyond which times
// would not be told apart.
constexpr int64_t kSecondsMin = -62'135'596'800;
constexpr int64_t kSecondsMax = 253'402'300'799;
constexpr int32_t kNanosMax = 999'999'999;

absl::StatusOr<absl::Time> TimeFrom(const char* field, const google::protobuf::Timestamp& from) {
  if (from.seconds() < kSecondsMin || from.seconds() > kSecondsMax || from.nanos() < 0 ||
      from.nanos() > kNanosMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": is no time of the years 1 to 9999: ", from.seconds(),
                     " seconds and ", from.nanos(), " nanoseconds"));
  }
  return absl::FromUnixSeconds(from.seconds()) + absl::Nanoseconds(from.nanos());
}

// A token is the round below which the next page begins, and 'r' in front of it, so that nobody
// takes it for a number of a page.
std::string TokenOf(market::RoundId before) { return absl::StrCat("r", before); }

absl::StatusOr<market::RoundId> BeforeIn(const std::string& token) {
  uint64_t before = 0;
  const bool is_number = token.size() >= 2 && token.size() <= 21 && token[0] == 'r' &&
                         token.find_first_not_of("0123456789", 1) == std::string::npos &&
                         absl::SimpleAtoi(token.substr(1), &before) && before > 0;
  if (is_number) return before;
  return absl::InvalidArgumentError(
      "page_token: is none that a page said; ask for the first page with an empty one");
}

market_pb::PricedRound ToPriced(const market::Round& round,
                                const std::set<market::ResourceKind>& kinds) {
  market_pb::PricedRound out;
  out.set_round_id(round.round_id);
  *out.mutable_close_time() = ToProto(round.close_time);
  *out.mutable_effective_time() = ToProto(round.effective_time);
  out.set_released(round.phase == market::RoundPhase::kReleased);
  for (const market::ResourcePrice& price : round.prices) {
    if (!kinds.empty() && kinds.count(price.kind) == 0) continue;
    const market_pb::ResourcePrice from = ToProto(price, /*border=*/false);
    market_pb::PastPrice& to = *out.add_prices();
    to.set_kind(from.kind());
    to.set_unit_price_microcredits(from.unit_price_microcredits());
    to.set_reserve_unit_price_microcredits(from.reserve_unit_price_microcredits());
    to.set_bound_by(from.bound_by());
    to.set_supply_units(from.supply_units());
    to.set_demand_units(from.demand_units());
    to.set_sold_units(from.sold_units());
    to.set_policy(from.policy());
    to.set_reserve_policy(from.reserve_policy());
  }
  return out;
}

}  // namespace

absl::StatusOr<PricesAsked> FromProto(const market_pb::ListPricesRequest& request) {
  PricesAsked out;
  for (int i = 0; i < request.kinds_size(); ++i) {
    NOM_ASSIGN_OR_RETURN(const market::ResourceKind kind,
                         KindFromProto(request.kinds(i), absl::StrCat("kinds[", i, "]")));
    out.kinds.insert(kind);
  }
  market::PricesWanted& wanted = out.wanted;
  if (request.has_since_time()) {
    NOM_ASSIGN_OR_RETURN(wanted.since, TimeFrom("since_time", request.since_time()));
  }
  if (request.has_until_time()) {
    NOM_ASSIGN_OR_RETURN(wanted.until, TimeFrom("until_time", request.until_time()));
  }
  if (wanted.since >= wanted.until) {
    return absl::InvalidArgumentError("until_time: must be after since_time");
  }
  if (request.last_round_id() != 0 && request.last_round_id() < request.first_round_id()) {
    return absl::InvalidArgumentError(absl::StrCat("last_round_id: ", request.last_round_id(),
                                                   " is before first_round_id ",
                                                   request.first_round_id()));
  }
  wanted.first_round_id = request.first_round_id();
  if (request.last_round_id() != 0 && request.last_round_id() != UINT64_MAX) {
    wanted.before_round_id = request.last_round_id() + 1;
  }
  if (!request.page_token().empty()) {
    NOM_ASSIGN_OR_RETURN(const market::RoundId before, BeforeIn(request.page_token()));
    wanted.before_round_id =
        wanted.before_round_id == 0 ? before : std::min(before, wanted.before_round_id);
  }
  if (request.page_size() < 0 || request.page_size() > kPricesPageMax) {
    return absl::InvalidArgumentError(absl::StrCat("page_size: must be from 0 to ", kPricesPageMax,
                                                   ", is ", request.page_size()));
  }
  out.page_size = request.page_size() == 0 ? kPricesPageMax : request.page_size();
  return out;
}

absl::Status AddPrices(const ReadPrices& read, const PricesAsked& asked,
                       market_pb::ListPricesResponse* response) {
  market::PricesWanted wanted = asked.wanted;
  wanted.rounds_max = asked.page_size + 1;  // One more, to know whether there are more.
  NOM_ASSIGN_OR_RETURN(const std::vector<market::Round> rounds, read(wanted));
  size_t bytes = 0;
  for (const market::Round& round : rounds) {
    market_pb::PricedRound priced = ToPriced(round, asked.kinds);
    bytes += priced.ByteSizeLong();
    const int so_far = response->rounds_size();
    // The first goes whatever its size: who asks must get on.
    if (so_far > 0 && (so_far >= asked.page_size || bytes > kPageBytesMax)) {
      response->set_next_page_token(TokenOf(response->rounds(so_far - 1).round_id()));
      break;
    }
    *response->add_rounds() = std::move(priced);
  }
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* MarketService::ListPrices(grpc::CallbackServerContext* context,
                                                    const market_pb::ListPricesRequest* request,
                                                    market_pb::ListPricesResponse* response) {
  const UnaryCall call(services_, context);
  const std::shared_ptr<const market::View> view = services_->runtime.view();
  market::Caller caller;
  if (!call.BeginRead(*view, &caller)) return call.reactor();
  const absl::StatusOr<const market::HostView*> host = HostOrOnly(*view, request->host_id());
  absl::StatusOr<PricesAsked> asked = FromProto(*request);
  if (!host.ok() || !asked.ok()) {
    call.Finish(host.ok() ? asked.status() : host.status());
    return call.reactor();
  }
  asked->wanted.host_id = (*host)->host_id;
  auto job = [this, call, response, asked = *std::move(asked)] {
    call.Finish(call.cancelled() ? absl::CancelledError("the caller went away")
                                 : AddPrices(
                                       [this](const market::PricesWanted& wanted) {
                                         return services_->reader.ListPrices(wanted);
                                       },
                                       asked, response));
  };
  if (absl::Status status = services_->PostRead(caller, std::move(job)); !status.ok()) {
    call.Finish(status);
  }
  return call.reactor();
}

}  // namespace nom::marketd
