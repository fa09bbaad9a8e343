// The Watch stream: a snapshot, then changes; nobody waits for a slow watcher; ends cleanly.

#include <csignal>

#include "absl/strings/str_cat.h"
#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

using ::grpc::StatusCode;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kMemory = market_pb::RESOURCE_KIND_MEMORY;

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

TEST_F(WatchTest, ReconnectGetsASnapshotAgain) {
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
    request.set_after_sequence(sequence);
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
