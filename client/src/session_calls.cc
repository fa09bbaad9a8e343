// SPDX-License-Identifier: Apache-2.0
// Calls of the program: from a wish to its answer.

#include "absl/strings/str_cat.h"
#include "client/src/contracts.h"
#include "client/src/session_impl.h"
#include "client/src/statement.h"

namespace nom {
namespace {

constexpr int kStatementPageRounds = 1'000;

}  // namespace

Session::Impl::Call Session::Impl::Start(std::vector<nom::Bid> bids,
                                         std::function<void(const BidResults&)> done,
                                         const CallOptions& options) {
  const absl::Duration timeout = options.timeout.value_or(options_.call_timeout);
  auto call = std::make_shared<BidCall::State>(bids.size(), clock_.Steady() + timeout);
  call->on_done = std::move(done);
  call->link = link_;
  std::lock_guard lock(mutex_);
  for (nom::Bid& bid : bids) {
    const absl::StatusOr<uint64_t> guest_id = core_.ResolveGuestToBid(bid.guest_id);
    if (guest_id.ok()) bid.guest_id = *guest_id;
  }
  absl::Status wrong = client::CheckTogether(bids);
  if (closing_) wrong = Closed();
  calls_.push_back(call);
  const bool fresh = core_.IsFresh(Now());
  for (size_t i = 0; i < bids.size(); ++i) {
    const absl::StatusOr<uint64_t> wish_id = [&]() -> absl::StatusOr<uint64_t> {
      if (!wrong.ok()) return wrong;
      const absl::StatusOr<uint64_t> guest_id = core_.ResolveGuest(bids[i].guest_id);
      if (!guest_id.ok()) return guest_id.status();
      return core_.bids().Want(std::move(bids[i]), fresh);
    }();
    call->wish_ids.push_back(wish_id.ok() ? *wish_id : 0);
    if (!wish_id.ok()) call->Answer(i, wish_id.status(), false);
  }
  if (bids.empty() || call->done()) FinishIfDone(call);
  Collect();
  wake_.notify_all();
  return call;
}

absl::StatusOr<bool> Session::Impl::Withdraw(nom::Bid nothing, const CallOptions& options) {
  const Inside inside(*this);
  const Call call = Start({std::move(nothing)}, nullptr, options);
  const BidResults results = call->Wait();
  if (!results[0].ok()) return results[0].status();
  return call->removed();
}

void Session::Impl::TakeOver() {
  std::lock_guard lock(mutex_);
  core_.bids().TakeOver();
  wake_.notify_all();
}

absl::StatusOr<RoundsPage> Session::Impl::ListRounds(uint64_t before_round_id, int page_size,
                                                     absl::Duration timeout) {
  if (page_size < 1 || page_size > 1'000) {
    return absl::InvalidArgumentError("page_size: must be from 1 to 1000");
  }
  market::v1::ListRoundsRequest request;
  request.set_host_id(options_.host_id);
  request.set_before_round_id(before_round_id);
  request.set_page_size(page_size);
  market::v1::ListRoundsResponse response;
  const absl::Status status = Attempt(
      [&](client::Endpoints::Stub& stub, grpc::ClientContext& context) {
        return stub.ListRounds(&context, request, &response);
      },
      std::min(timeout, kAttemptMax));
  if (!status.ok()) return status;
  RoundsPage page{.rounds = {}, .next_before_round_id = response.next_before_round_id()};
  for (const market::v1::Round& round : response.rounds()) {
    page.rounds.push_back(client::FromProto(round));
  }
  return page;
}

absl::StatusOr<PricesPage> Session::Impl::ListPrices(const PriceQuery& query,
                                                     absl::Duration timeout) {
  market::v1::ListPricesRequest request = client::ToProto(query);
  request.set_host_id(options_.host_id);
  market::v1::ListPricesResponse response;
  const absl::Status status = Attempt(
      [&](client::Endpoints::Stub& stub, grpc::ClientContext& context) {
        return stub.ListPrices(&context, request, &response);
      },
      std::min(timeout, kAttemptMax));
  if (!status.ok()) return status;
  PricesPage page{.rounds = {}, .next_page_token = response.next_page_token()};
  for (const market::v1::PricedRound& round : response.rounds()) {
    page.rounds.push_back(client::FromProto(round));
  }
  return page;
}

absl::StatusOr<Statement> Session::Impl::GetStatement(uint64_t first_round_id,
                                                      uint64_t last_round_id,
                                                      absl::Duration timeout) {
  if (last_round_id != 0 && first_round_id > last_round_id) {
    return absl::InvalidArgumentError(absl::StrCat("first_round_id: ", first_round_id,
                                                   " is after last_round_id ", last_round_id));
  }
  const absl::Duration deadline = clock_.Steady() + timeout;
  client::StatementMaker statement;
  uint64_t before_round_id = last_round_id == 0 ? 0 : last_round_id + 1;
  do {
    const absl::Duration left = deadline - clock_.Steady();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          absl::StrCat("rounds before ", before_round_id, " are still to be asked for"));
    }
    const absl::StatusOr<RoundsPage> page = ListRounds(before_round_id, kStatementPageRounds, left);
    if (!page.ok()) return page.status();
    for (const Round& round : page->rounds) {
      if (round.round_id >= first_round_id) statement.Add(round);
    }
    if (before_round_id != 0 && page->next_before_round_id >= before_round_id) {
      return absl::InternalError(absl::StrCat("before round ", before_round_id,
                                              " the market's next page begins at round ",
                                              page->next_before_round_id));
    }
    before_round_id = page->next_before_round_id;
  } while (before_round_id > first_round_id);
  return statement.Make();
}

void Session::Impl::Cancel(const Call& call) {
  std::lock_guard lock(mutex_);
  GiveUp(call, absl::CancelledError("the call was cancelled"));
  Collect();
  wake_.notify_all();
}

void Session::Impl::GiveUp(const Call& call, const absl::Status& why) {
  for (size_t i = 0; i < call->wish_ids.size(); ++i) {
    if (call->IsAnswered(i)) continue;
    core_.bids().GiveUp(call->wish_ids[i], why);
  }
  // One that another has replaced while it is on its way has no wish of its own any more.
  Collect();
  for (size_t i = 0; i < call->size(); ++i) call->Answer(i, why, false);
  FinishIfDone(call);
}

void Session::Impl::AnswerAll(const Call& call, const absl::Status& status) {
  for (size_t i = 0; i < call->size(); ++i) call->Answer(i, status, false);
}

void Session::Impl::FinishIfDone(const Call& call) {
  if (!call->done()) return;
  const auto it = std::find(calls_.begin(), calls_.end(), call);
  if (it == calls_.end()) return;
  if (call->on_done) {
    outbox_.push_back([this, call] {
      dispatcher_.Run([done = std::move(call->on_done), results = call->Wait()] { done(results); });
    });
  }
  calls_.erase(it);
  progress_.notify_all();
}

void Session::Impl::Collect() {
  for (BidBook::Answer& answer : core_.bids().TakeAnswers()) {
    for (const Call& call : calls_) {
      const auto it = std::find(call->wish_ids.begin(), call->wish_ids.end(), answer.wish_id);
      if (answer.wish_id == 0 || it == call->wish_ids.end()) continue;
      const auto i = static_cast<size_t>(it - call->wish_ids.begin());
      call->Answer(i, std::move(answer.round_id), answer.removed);
      FinishIfDone(Call(call));
      break;
    }
  }
  for (BidEvent& event : core_.bids().TakeEvents()) {
    outbox_.push_back([this, of = std::move(event)]() mutable { dispatcher_.Tell(std::move(of)); });
  }
}

}  // namespace nom
