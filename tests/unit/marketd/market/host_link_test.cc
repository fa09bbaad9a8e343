// SPDX-License-Identifier: Apache-2.0
// The tie to one host, alone: no market, no machine.

#include "marketd/market/host_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nom::market {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
constexpr auto kCpu = ResourceKind::kCpu;
constexpr auto kMemory = ResourceKind::kMemory;
using Kind = PendingCommand::Kind;

class HostLinkTest : public testing::Test {
 protected:
  HostLinkTest() {
    config_.host_id = "h";
    config_.resources = {{.kind = kMemory, .unit_size = 4, .capacity_units = 100},
                         {.kind = kCpu, .unit_size = 1, .capacity_units = 0}};
    link_.emplace(config_, [this](HostCommand command) { sent_.push_back(std::move(command)); });
  }

  static HostFacts Facts(int64_t memory_bytes = 4'000) {
    HostFacts facts;
    facts.detail = "machine";
    facts.capacities = {{kMemory, memory_bytes}, {kCpu, 50}};
    facts.guests = {{.guest_id = 1, .holdings = {{.kind = kMemory, .seed_units = 5}}},
                    {.guest_id = 2, .holdings = {{.kind = kMemory, .seed_units = 7}}},
                    {.guest_id = 3, .ended = true}};
    return facts;
  }
  void Run() {
    ASSERT_TRUE(link_->Advance(now_));
    const HostCommandDone done{.host_id = "h", .command_id = sent_.back().command_id};
    ASSERT_EQ(link_->Answered(done)->kind, Kind::kAttach);
    ASSERT_TRUE(link_->Attached(Facts(), [](GuestId id) { return id != 2; }).ok());
    sent_.clear();
  }
  HostCommandDone Done(size_t sent = 0) const {
    return {.host_id = "h", .command_id = sent_.at(sent).command_id};
  }

  HostConfig config_;
  std::vector<HostCommand> sent_;
  std::optional<HostLink> link_;
  absl::Time now_ = absl::FromUnixSeconds(1'000);
};

TEST_F(HostLinkTest, TriesToAttachLaterAndLater) {
  EXPECT_TRUE(link_->Advance(now_));
  EXPECT_FALSE(link_->Advance(now_)) << "it is out";
  EXPECT_EQ(link_->next(), absl::InfiniteFuture());
  std::vector<int64_t> waits;
  for (int i = 0; i < 8; ++i) {
    link_->Fail(now_, "not there");
    EXPECT_EQ(link_->detail(), "not there");
    waits.push_back(absl::ToInt64Milliseconds(link_->next() - now_));
    EXPECT_FALSE(link_->Advance(link_->next() - absl::Microseconds(1)));
    now_ = link_->next();
    EXPECT_TRUE(link_->Advance(now_));
  }
  EXPECT_THAT(waits, ElementsAre(200, 400, 800, 1600, 3200, 5000, 5000, 5000));
  EXPECT_THAT(sent_, SizeIs(9));
  ASSERT_TRUE(link_->Attached(Facts(), [](GuestId) { return true; }).ok());
  link_->Fail(now_, "gone");
  EXPECT_EQ(link_->next(), now_ + absl::Milliseconds(200)) << "from the beginning";
}

TEST_F(HostLinkTest, AClockThatIsSetMovesTheNextTry) {
  link_->Fail(now_, "not there");
  const absl::Time next = link_->next();
  link_->Shift(-absl::Hours(1));
  EXPECT_EQ(link_->next(), next - absl::Hours(1));
}

TEST_F(HostLinkTest, KnowsWhatTheMachineHolds) {
  Run();
  EXPECT_TRUE(link_->is_running());
  EXPECT_EQ(link_->detail(), "machine");
  EXPECT_EQ(link_->holdings().Units(1, kMemory), 5);
  EXPECT_FALSE(link_->holdings().Has(2)) << "nobody's that the ledger knows";
  EXPECT_FALSE(link_->holdings().Has(3)) << "ended: it holds nothing";
  ASSERT_THAT(link_->unmanaged(), SizeIs(1));
  EXPECT_EQ(link_->unmanaged()[0].guest_id, 2u);
  link_->UnmanagedEnded({.guest_id = 2, .reason = "exit 0"});
  EXPECT_TRUE(link_->unmanaged()[0].ended);
  // What it says the next time is all that counts.
  link_->holdings().Set(1, {{.kind = kMemory, .seed_units = 50}});
  ASSERT_TRUE(link_->Attached(Facts(), [](GuestId id) { return id == 2; }).ok());
  EXPECT_EQ(link_->holdings().Units(2, kMemory), 7);
  EXPECT_FALSE(link_->holdings().Has(1));
}

TEST_F(HostLinkTest, CapacitiesAreTheLessOfConfigAndMachine) {
  Run();
  ASSERT_THAT(link_->resources(), SizeIs(2));
  EXPECT_EQ(link_->resources()[0].kind, kCpu) << "by rising kind";
  EXPECT_EQ(link_->resources()[0].capacity_units, 50) << "all that there is";
  EXPECT_EQ(link_->resources()[1].capacity_units, 100) << "of 1,000";
  ASSERT_TRUE(link_->Attached(Facts(43), [](GuestId) { return true; }).ok());
  EXPECT_EQ(link_->resources()[1].capacity_units, 10) << "the machine has become smaller";
}

TEST_F(HostLinkTest, AMachineWithoutAKindIsRefusedAndChangesNothing) {
  Run();
  HostFacts facts = Facts();
  facts.capacities.pop_back();
  const absl::Status refused = link_->Attached(facts, [](GuestId) { return true; });
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(refused.message(), HasSubstr("has no resource 1"));
  EXPECT_EQ(link_->resources()[0].capacity_units, 50);
  EXPECT_FALSE(link_->holdings().Has(2));
}

TEST_F(HostLinkTest, AnswersOfATimeBeforeItWasLostArePassedOver) {
  Run();
  link_->Create({.guest_id = 9});
  link_->Apply({});
  EXPECT_TRUE(link_->IsCreating(9));
  link_->Fail(now_, "lost");
  EXPECT_FALSE(link_->is_running());
  EXPECT_FALSE(link_->IsCreating(9));
  EXPECT_EQ(link_->Answered(Done(0)), std::nullopt);
  EXPECT_EQ(link_->Answered(Done(1)), std::nullopt);
  EXPECT_EQ(link_->holdings().Units(1, kMemory), 5) << "it goes on holding what it holds";
}

TEST_F(HostLinkTest, EachCommandIsAnsweredOnceAndKnownByWhatItWasFor) {
  Run();
  link_->Create({.guest_id = 9});
  link_->Prepare({}, now_);
  link_->Publish({});
  ASSERT_THAT(sent_, SizeIs(3));
  const std::optional<PendingCommand> create = link_->Answered(Done(0));
  ASSERT_TRUE(create.has_value());
  EXPECT_EQ(create->kind, Kind::kCreate);
  EXPECT_EQ(create->guest_id, 9u);
  EXPECT_EQ(link_->Answered(Done(0)), std::nullopt);
  EXPECT_EQ(link_->Answered(Done(2))->kind, Kind::kPublish);
  EXPECT_EQ(link_->Answered(Done(1))->kind, Kind::kPrepare);
}

TEST_F(HostLinkTest, AGuestIsDestroyedOnceHoweverOftenItIsAskedFor) {
  Run();
  link_->Destroy(1);
  link_->Destroy(1);
  link_->Destroy(2);
  EXPECT_THAT(sent_, SizeIs(2));
  ASSERT_TRUE(link_->Answered(Done(0)).has_value());
  link_->Destroy(1);
  EXPECT_THAT(sent_, SizeIs(3)) << "the first was answered";
  EXPECT_THAT(sent_[2].host_id, "h");
}

}  // namespace
}  // namespace nom::market
