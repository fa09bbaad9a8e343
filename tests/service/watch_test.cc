// SPDX-License-Identifier: Apache-2.0
// The Watch stream: a snapshot, then changes; nobody waits for a slow watcher; ends cleanly.

#include <csignal>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/net/http_get.h"
#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

using ::grpc::StatusCode;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kMemory = market_pb::RESOURCE_KIND_MEMORY;

// Of a metric without labels.
int64_t ValueOf(const std::string& metrics, const std::string& name) {
  const size_t at = metrics.find("\n" + name + " ");
  int64_t value = -1;
  if (at == std::string::npos) return value;
  const size_t from = at + name.size() + 2;
  EXPECT_TRUE(absl::SimpleAtoi(metrics.substr(from, metrics.find('\n', from) - from), &value));
  return value;
}

class WatchTest : public MarketTest {
 protected:
  std::string Config() override {
    return SampleConfig(dir_) + "limits: {bids_per_second: 100000, bids_burst: 100000}\n";
  }
  using Reader = std::unique_ptr<grpc::ClientReader<market_pb::WatchResponse>>;
};

TEST_F(WatchTest, SnapshotThenChanges) {
  const auto context = alice_->Context();
  const Reader reader = alice_->market->Watch(context.get(), market_pb::WatchRequest());
  market_pb::WatchResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_GT(response.sequence(), 0u);
  EXPECT_EQ(response.state().host_id(), "sim");
  EXPECT_EQ(response.state().period_ms(), 1000);
  EXPECT_THAT(response.state().resources(), SizeIs(2));
  EXPECT_GT(response.state().close_time().seconds(), 0);
  EXPECT_GT(response.state().valid_until().seconds(), 0);
  ASSERT_THAT(response.guests(), SizeIs(1)) << "hers, not bob's";
  EXPECT_EQ(response.guests(0).guest_id(), alices_guest_);
  ASSERT_THAT(response.accounts(), SizeIs(1));
  EXPECT_EQ(response.accounts(0).tenant_id(), "alice");
  EXPECT_EQ(response.accounts(0).available_microcredits(), 1'000'000'000);

  ASSERT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 20, 50, "b1")), Succeeds());
  // The award: a notice first, then the escrow, then the grant.
  uint64_t sequence = response.sequence();
  bool noticed = false;
  bool escrowed = false;
  bool in_order = true;
  uint64_t round_id = 0;
  const bool granted = ReadUntil(*reader, &response, [&](const market_pb::WatchResponse& r) {
    in_order = in_order && r.sequence() > sequence && r.has_state();
    sequence = r.sequence();
    for (const market_pb::Notice& notice : r.notices()) {
      EXPECT_EQ(notice.guest_id(), alices_guest_);
      if (notice.kind() != kMemory || notice.units_next() != 24) continue;
      EXPECT_FALSE(noticed) << "told twice";
      EXPECT_EQ(notice.units_now(), 4);
      EXPECT_EQ(notice.charge_microcredits(), 200);
      EXPECT_GT(notice.effective_time().seconds(), 0);
      round_id = notice.round_id();
      noticed = true;
    }
    for (const market_pb::Account& account : r.accounts()) {
      escrowed = escrowed || account.escrow_microcredits() >= 200;
    }
    for (const market_pb::GuestInfo& guest : r.guests()) {
      for (const market_pb::Grant& grant : guest.grants()) {
        if (grant.kind() == kMemory && grant.award_units() == 20) return true;
      }
    }
    return false;
  });
  EXPECT_TRUE(granted);
  EXPECT_TRUE(noticed);
  EXPECT_TRUE(escrowed);
  EXPECT_TRUE(in_order);
  EXPECT_GE(response.state().priced_round_id(), round_id);
  context->TryCancel();
}

TEST_F(WatchTest, WhoSaysNothingOfBeforeGetsASnapshotEachTime) {
  market_pb::WatchRequest request;
  request.set_host_id("sim");
  uint64_t sequence = 0;
  for (int i = 0; i < 3; ++i) {
    const auto context = alice_->Context();
    const Reader reader = alice_->market->Watch(context.get(), request);
    market_pb::WatchResponse response;
    ASSERT_TRUE(reader->Read(&response));
    EXPECT_GE(response.sequence(), sequence);
    EXPECT_TRUE(response.has_state());
    EXPECT_THAT(response.guests(), SizeIs(1));
    EXPECT_THAT(response.accounts(), SizeIs(1));
    sequence = response.sequence();
    context->TryCancel();
    while (reader->Read(&response)) {
    }
    EXPECT_THAT(reader->Finish(), Fails(StatusCode::CANCELLED, ""));
  }
}

TEST_F(WatchTest, AnOperatorSeesAllAndAWatcherMayChoose) {
  auto context = operator_->Context();
  Reader reader = operator_->market->Watch(context.get(), market_pb::WatchRequest());
  market_pb::WatchResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_THAT(response.guests(), SizeIs(2));
  EXPECT_THAT(response.accounts(), SizeIs(2));
  context->TryCancel();

  context = operator_->Context();
  market_pb::WatchRequest request;
  request.add_guest_ids(bobs_guest_);
  reader = operator_->market->Watch(context.get(), request);
  ASSERT_TRUE(reader->Read(&response));
  ASSERT_THAT(response.guests(), SizeIs(1));
  EXPECT_EQ(response.guests(0).guest_id(), bobs_guest_);
  context->TryCancel();
}

TEST_F(WatchTest, ASlowWatcherSkipsToTheLatestAndHoldsNobodyUp) {
  const auto slow_context = alice_->Context();
  const Reader slow = alice_->market->Watch(slow_context.get(), market_pb::WatchRequest());
  market_pb::WatchResponse response;
  ASSERT_TRUE(slow->Read(&response));
  // Many more bytes of changes than a connection buffers, while the slow one reads nothing. Each
  // bid with sixteen ranges changes the guest that it watches.
  market_pb::PlaceBidRequest bid = BidRequest(alices_guest_, kMemory, 1, 60, "b");
  for (int range = 1; range < 16; ++range) {
    market_pb::BidRange* const to = bid.mutable_bid()->add_ranges();
    to->set_min_units(1 + range);
    to->set_max_units(1 + range);
    to->set_value_at_min_microcredits(60 + 50 * range);
  }
  constexpr int kBids = 3000;
  uint64_t changes = 0;
  for (int i = 0; i < kBids; ++i) {
    bid.mutable_bid()->set_budget_microcredits(5000 + i % 7);
    bid.set_request_id(absl::StrCat("b", i));
    ASSERT_THAT(PlaceBid(*operator_, bid), Succeeds()) << "nobody waits for a slow watcher";
    ++changes;
  }
  bid.mutable_bid()->set_budget_microcredits(4242);
  bid.set_request_id("last");
  ASSERT_THAT(PlaceBid(*operator_, bid), Succeeds());
  // It gets to the last state, having been told fewer times than there were changes.
  uint64_t told = 0;
  const bool arrived = ReadUntil(*slow, &response, [&](const market_pb::WatchResponse& r) {
    ++told;
    for (const market_pb::GuestInfo& guest : r.guests()) {
      for (const market_pb::Bid& standing : guest.bids()) {
        if (standing.budget_microcredits() == 4242) return true;
      }
    }
    return false;
  });
  EXPECT_TRUE(arrived);
  EXPECT_LT(told, changes);
  slow_context->TryCancel();
}

TEST_F(WatchTest, StreamsThatGoAwayLeaveNothingBehind) {
  // Cancelled before, while and after the first response.
  for (int i = 0; i < 200; ++i) {
    const auto context = alice_->Context();
    const Reader reader = alice_->market->Watch(context.get(), market_pb::WatchRequest());
    market_pb::WatchResponse response;
    if (i % 3 == 0) {
      ASSERT_TRUE(reader->Read(&response));
    }
    context->TryCancel();
    if (i % 3 == 1) {
      while (reader->Read(&response)) {
      }
    }
  }
  const auto context = alice_->Context();
  const Reader reader = alice_->market->Watch(context.get(), market_pb::WatchRequest());
  market_pb::WatchResponse response;
  EXPECT_TRUE(reader->Read(&response));
  context->TryCancel();
}

TEST_F(WatchTest, ShutdownEndsOpenStreamsAndTheProcessCleanly) {
  const auto context = alice_->Context();
  const Reader reader = alice_->market->Watch(context.get(), market_pb::WatchRequest());
  const auto idle_context = bob_->Context();
  const Reader idle = bob_->market->Watch(idle_context.get(), market_pb::WatchRequest());
  market_pb::WatchResponse response;
  ASSERT_TRUE(reader->Read(&response));
  ASSERT_TRUE(idle->Read(&response));
  marketd_->Signal(SIGTERM);
  while (reader->Read(&response)) {
  }
  EXPECT_THAT(reader->Finish(), Fails(StatusCode::UNAVAILABLE, "shutting down"));
  const Exit exit = marketd_->Wait();  // With `idle` still unread.
  EXPECT_EQ(exit.code, 0) << exit.out;
  EXPECT_EQ(exit.signal, 0) << exit.out;
}

// Rounds so long that nothing happens but what a test does.
class WatchResumeTest : public WatchTest {
 protected:
  std::string Config() override {
    return absl::StrReplaceAll(SampleConfig(dir_), {{"period_ms: 1000", "period_ms: 3600000"}}) +
           "limits: {watches_per_tenant_max: 200, streams_per_connection_max: 200}\n";
  }

  // The first response of a watch that goes on from `after`.
  market_pb::WatchResponse First(const Client& client, uint64_t after, uint64_t guest_id = 0) {
    market_pb::WatchRequest request;
    request.set_after_sequence(after);
    if (guest_id != 0) request.add_guest_ids(guest_id);
    const auto context = client.Context();
    const Reader reader = client.market->Watch(context.get(), request);
    market_pb::WatchResponse response;
    EXPECT_TRUE(reader->Read(&response));
    EXPECT_TRUE(response.has_state()) << "how things stand is told in any case";
    context->TryCancel();
    return response;
  }

  // All that there is of alice's.
  void ExpectWhole(const market_pb::WatchResponse& response) {
    EXPECT_TRUE(response.guests_told());
    EXPECT_THAT(response.guests(), SizeIs(1));
    EXPECT_TRUE(response.accounts_told());
    EXPECT_THAT(response.accounts(), SizeIs(1));
  }
};

TEST_F(WatchResumeTest, IsToldWhatChangedSince) {
  const market_pb::WatchResponse whole = First(*alice_, 0);
  ExpectWhole(whole);

  market_pb::WatchResponse again = First(*alice_, whole.sequence());
  EXPECT_GE(again.sequence(), whole.sequence());
  EXPECT_FALSE(again.guests_told());
  EXPECT_THAT(again.guests(), IsEmpty());
  EXPECT_FALSE(again.accounts_told());
  EXPECT_THAT(again.accounts(), IsEmpty());

  ASSERT_THAT(Deposit(*operator_, "bob", 5, "b1"), Succeeds());
  again = First(*alice_, again.sequence());
  EXPECT_GT(again.sequence(), whole.sequence());
  EXPECT_FALSE(again.guests_told());
  EXPECT_FALSE(again.accounts_told()) << "what changed was bob's";

  ASSERT_THAT(Deposit(*operator_, "alice", 5, "a1"), Succeeds());
  again = First(*alice_, again.sequence());
  EXPECT_FALSE(again.guests_told());
  ASSERT_THAT(again.accounts(), SizeIs(1));
  EXPECT_EQ(again.accounts(0).available_microcredits(), 1'000'000'005);

  ASSERT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 20, 50, "bid")), Succeeds());
  again = First(*alice_, again.sequence(), alices_guest_);
  ASSERT_THAT(again.guests(), SizeIs(1)) << "of one guest by its id, too";
  EXPECT_THAT(again.guests(0).bids(), SizeIs(1));
  EXPECT_FALSE(again.accounts_told());

  // The same from long before: everything since then.
  again = First(*alice_, whole.sequence());
  ExpectWhole(again);
}

TEST_F(WatchResumeTest, AGuestThatLeftMeanwhileIsMissed) {
  const market_pb::WatchResponse whole = First(*operator_, 0);
  ASSERT_THAT(whole.guests(), SizeIs(2));
  operators_pb::EvictGuestRequest evict;
  operators_pb::EvictGuestResponse evicted;
  evict.set_guest_id(bobs_guest_);
  evict.set_request_id("evict");
  ASSERT_THAT(operator_->operators->EvictGuest(operator_->Context().get(), evict, &evicted),
              Succeeds());
  const market_pb::WatchResponse again = First(*operator_, whole.sequence());
  EXPECT_TRUE(again.guests_told());
  ASSERT_THAT(again.guests(), SizeIs(1));
  EXPECT_EQ(again.guests(0).guest_id(), alices_guest_);
  EXPECT_TRUE(First(*bob_, whole.sequence()).guests_told()) << "that there are none any more";
}

TEST_F(WatchResumeTest, ANumberThatTheMarketNeverGaveIsNoReasonToKeepQuiet) {
  const market_pb::WatchResponse whole = First(*alice_, 0);
  for (const uint64_t never : {whole.sequence() + 1'000'000'000, uint64_t{1}, UINT64_MAX}) {
    ExpectWhole(First(*alice_, never));
  }
}

TEST_F(WatchResumeTest, ARestartedMarketTellsAllAndItsNumbersGoOn) {
  uint64_t sequence = First(*alice_, 0).sequence();
  for (int restart = 0; restart < 2; ++restart) {
    if (restart == 0) {
      marketd_->Kill();
    } else {
      marketd_->Terminate();
    }
    ASSERT_TRUE(marketd_->Start().ok()) << marketd_->Output();
    const Client alice(marketd_->grpc_address(), alice_->token);
    const market_pb::WatchResponse after = First(alice, sequence);
    ExpectWhole(after);
    EXPECT_GT(after.sequence(), sequence) << "numbers never go back";
    sequence = after.sequence();
  }
}

TEST_F(WatchResumeTest, AStormOfWatchersDisturbsNobody) {
  // One after the other they join while others' first responses are on their way. Nothing happens
  // in the market, so nobody may be told twice, and no view is skipped.
  struct Stream {
    std::unique_ptr<grpc::ClientContext> context;
    Reader reader;
  };
  const std::string before = HttpGet(marketd_->metrics_address(), "/metrics");
  std::vector<Stream> streams;
  for (int i = 0; i < 150; ++i) {
    Stream& stream = streams.emplace_back(Stream{alice_->Context(), nullptr});
    stream.reader = alice_->market->Watch(stream.context.get(), market_pb::WatchRequest());
  }
  market_pb::WatchResponse response;
  for (const Stream& stream : streams) ASSERT_TRUE(stream.reader->Read(&response));
  const std::string after = HttpGet(marketd_->metrics_address(), "/metrics");
  EXPECT_EQ(ValueOf(after, "nom_market_watch_conflated_total"), 0);
  EXPECT_EQ(ValueOf(after, "nom_market_watch_responses_total") -
                ValueOf(before, "nom_market_watch_responses_total"),
            150);
  for (const Stream& stream : streams) stream.context->TryCancel();
}

class WatchLimitTest : public WatchTest {
 protected:
  std::string Config() override {
    return SampleConfig(dir_) + "limits: {watches_max: 3, watches_per_tenant_max: 2}\n";
  }
};

TEST_F(WatchLimitTest, WatchesAreBounded) {
  struct Stream {
    std::unique_ptr<grpc::ClientContext> context;
    Reader reader;
  };
  const auto open = [](const Client& client, grpc::Status* status) {
    Stream out{client.Context(), nullptr};
    out.reader = client.market->Watch(out.context.get(), market_pb::WatchRequest());
    market_pb::WatchResponse response;
    *status = out.reader->Read(&response) ? grpc::Status::OK : out.reader->Finish();
    return out;
  };
  grpc::Status status;
  Stream first = open(*alice_, &status);
  ASSERT_THAT(status, Succeeds());
  Stream second = open(*alice_, &status);
  ASSERT_THAT(status, Succeeds());
  const Stream third = open(*alice_, &status);
  EXPECT_THAT(status, Fails(StatusCode::RESOURCE_EXHAUSTED, "of this caller"));
  Stream bobs = open(*bob_, &status);
  ASSERT_THAT(status, Succeeds());
  const Stream fifth = open(*bob_, &status);
  EXPECT_THAT(status, Fails(StatusCode::RESOURCE_EXHAUSTED, "on this market"));
  // One that ends makes room; the server hears of it a moment later.
  first.context->TryCancel();
  market_pb::WatchResponse response;
  while (first.reader->Read(&response)) {
  }
  for (int i = 0; i < 10'000; ++i) {
    Stream sixth = open(*alice_, &status);
    if (status.ok()) sixth.context->TryCancel();
    if (status.ok()) break;
  }
  EXPECT_THAT(status, Succeeds());
  for (Stream* stream : {&second, &bobs}) stream->context->TryCancel();
}

class WatchShareTest : public WatchTest {
 protected:
  std::string Config() override {
    return SampleConfig(dir_) + "limits: {watches_max: 8, watches_per_tenant_max: 8}\n";
  }
  struct Stream {
    std::unique_ptr<grpc::ClientContext> context;
    Reader reader;
  };
  static Stream Open(const Client& client, grpc::Status* status) {
    Stream out{client.Context(), nullptr};
    market_pb::WatchRequest request;
    out.reader = client.market->Watch(out.context.get(), request);
    market_pb::WatchResponse response;
    *status = out.reader->Read(&response) ? grpc::Status::OK : out.reader->Finish();
    return out;
  }
};

TEST_F(WatchShareTest, OneWhoHasTakenAllMakesRoomForOthersAndTheOperatorHasItsOwn) {
  grpc::Status status;
  std::vector<Stream> alices;
  for (int i = 0; i < 7; ++i) {
    alices.push_back(Open(*alice_, &status));
    ASSERT_THAT(status, Succeeds());
  }
  Stream one_more = Open(*alice_, &status);
  EXPECT_THAT(status, Fails(StatusCode::RESOURCE_EXHAUSTED, "on this market"));
  const Stream operators = Open(*operator_, &status);
  EXPECT_THAT(status, Succeeds()) << "a place is kept for the operator";
  const Stream bobs = Open(*bob_, &status);
  EXPECT_THAT(status, Succeeds()) << "who has none gets one of hers";
  market_pb::WatchResponse response;
  while (alices.back().reader->Read(&response)) {
  }
  EXPECT_THAT(alices.back().reader->Finish(),
              Fails(StatusCode::RESOURCE_EXHAUSTED, "you have more than others"));
  EXPECT_TRUE(alices.front().reader->Read(&response)) << "the newest had to go, the others stay";
  for (Stream& stream : alices) stream.context->TryCancel();
  for (const Stream* stream : {&operators, &bobs}) stream->context->TryCancel();
}

}  // namespace
}  // namespace nom::testing
