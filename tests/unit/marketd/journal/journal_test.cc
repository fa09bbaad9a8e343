// SPDX-License-Identifier: Apache-2.0
#include "marketd/journal/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace nom::marketd {
namespace {

using market::EndCause;
using market::GuestState;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() {
    host_.host_id = "h";
    host_.connected = true;
    host_.detail = "a machine";
    guest_.guest.guest_id = 7;
    guest_.guest.name = "web";
    guest_.guest.host_id = "h";
    guest_.guest.tenant_id = "shop";
    guest_.guest.state = GuestState::kRunning;
    tenant_.tenant_id = "shop";
    before_ = View();
  }
  std::shared_ptr<const market::View> View() const {
    auto view = std::make_shared<market::View>();
    view->hosts.push_back(std::make_shared<market::HostView>(host_));
    view->guests.push_back(std::make_shared<market::GuestView>(guest_));
    view->tenants.push_back(tenant_);
    return view;
  }
  // What is told of the change since the last call.
  std::vector<std::string> Told() {
    const auto now = View();
    std::vector<std::string> out;
    for (const LogLine& line : LinesOf(before_.get(), *now)) out.push_back(LogText(line));
    before_ = now;
    return out;
  }

  market::HostView host_;
  market::GuestView guest_;
  market::TenantView tenant_;
  std::shared_ptr<const market::View> before_;
};

TEST_F(JournalTest, NothingHappenedNothingIsSaid) { EXPECT_THAT(Told(), IsEmpty()); }

TEST_F(JournalTest, WhatBecomesOfContractsAndTiersIsTold) {
  host_.counters.contracts_renewed = 2;
  host_.counters.contracts_not_renewed = 1;
  host_.counters.tier_floors = 3;
  EXPECT_THAT(Told(), ElementsAre(AllOf(HasSubstr("contracts_renewed"), HasSubstr("count=2")),
                                  AllOf(HasSubstr("contracts_not_renewed"), HasSubstr("count=1")),
                                  AllOf(HasSubstr("tier_floors_given"), HasSubstr("count=3"))));
  EXPECT_THAT(Told(), IsEmpty()) << "once";
  guest_.contracts = {
      {.contract_id = 4, .guest_id = 7, .tenant_id = "shop", .policy = "forward/1"}};
  EXPECT_THAT(Told(), IsEmpty());
  guest_.contracts[0].left_from_round_id = 9;
  guest_.contracts[0].left_because = market::kEndedUnpaid;
  EXPECT_THAT(Told(), ElementsAre(AllOf(HasSubstr("contract_unpaid"), HasSubstr("contract=4"),
                                        HasSubstr("until_round=9"))));
  EXPECT_THAT(Told(), IsEmpty()) << "once";
}

TEST_F(JournalTest, HostsAreLostAndFound) {
  host_.connected = false;
  host_.detail = "no answer";
  EXPECT_THAT(Told(), ElementsAre("level=warning event=host_lost host=h msg=\"no answer\""));
  EXPECT_THAT(Told(), IsEmpty()) << "once";
  host_.connected = true;
  host_.detail = "back";
  EXPECT_THAT(Told(), ElementsAre("level=info event=host_found host=h msg=back"));
}

TEST_F(JournalTest, ALossThatNoViewShowsIsToldByItsCounter) {
  ++host_.counters.losses;
  EXPECT_THAT(Told(), ElementsAre(HasSubstr("event=host_lost"), HasSubstr("event=host_found")));
}

TEST_F(JournalTest, RoundsLateReleasedAndByAFallback) {
  host_.counters.rounds_skipped += 3;
  EXPECT_THAT(Told(), ElementsAre(HasSubstr("event=round_late host=h periods=3")));
  ++host_.counters.rounds_released;
  host_.detail = "round 4 was released: refused";
  EXPECT_THAT(Told(), ElementsAre(HasSubstr("event=round_released host=h rounds=1 msg=\"round 4")));
  host_.priced_round_id = 5;
  ++host_.counters.rounds_decided;
  host_.prices = {{.kind = market::ResourceKind::kCpu},
                  {.kind = market::ResourceKind::kMemory, .method = policies::Method::kGreedy}};
  EXPECT_THAT(Told(), ElementsAre("level=warning event=round_fallback host=h round=5 "
                                  "resource=memory method=greedy"));
  EXPECT_THAT(Told(), IsEmpty()) << "of a round, not of a view";
  ++host_.counters.clearings_again;
  EXPECT_THAT(Told(), ElementsAre(HasSubstr("event=round_decided_again host=h round=5")));
  host_.counters.meters_lost += 2;
  EXPECT_THAT(Told(), ElementsAre(HasSubstr("event=meters_lost host=h guests=2")));
}

TEST_F(JournalTest, GuestsThatEndAndThatHaveToLeave) {
  guest_.guest.state = GuestState::kEnded;
  guest_.guest.end_cause = EndCause::kExited;
  guest_.guest.exit_reason = "exit 0";
  EXPECT_THAT(Told(),
              ElementsAre("level=info event=guest_ended guest=7 name=web host=h tenant=shop "
                          "cause=exited msg=\"exit 0\""));
  guest_.guest.state = GuestState::kRunning;
  EXPECT_THAT(Told(), IsEmpty());
  guest_.guest.state = GuestState::kEnded;
  guest_.guest.end_cause = EndCause::kCrashed;
  EXPECT_THAT(Told(), ElementsAre(HasSubstr("level=warning event=guest_ended")));
  guest_.guest.state = GuestState::kEvicting;
  guest_.guest.end_cause = EndCause::kEvicted;
  EXPECT_THAT(Told(), IsEmpty()) << "whoever asked for it was logged";
  guest_.guest.state = GuestState::kRunning;
  (void)Told();
  guest_.guest.state = GuestState::kEvicting;
  guest_.guest.end_cause = EndCause::kArrears;
  EXPECT_THAT(Told(), ElementsAre(HasSubstr("event=guest_evicted_for_arrears guest=7")));
}

TEST_F(JournalTest, TenantsThatOwe) {
  tenant_.purse.arrears = -5;
  EXPECT_THAT(Told(),
              ElementsAre("level=warning event=tenant_in_arrears tenant=shop microcredits=5"));
  tenant_.purse.arrears = -9;
  EXPECT_THAT(Told(), IsEmpty());
  tenant_.purse.arrears = 0;
  EXPECT_THAT(Told(), ElementsAre("level=info event=tenant_out_of_arrears tenant=shop"));
}

TEST_F(JournalTest, AStartTellsOfHostsAndNotOfWhatWasBefore) {
  guest_.guest.state = GuestState::kEnded;
  tenant_.purse.arrears = -5;
  before_ = nullptr;
  EXPECT_THAT(Told(), ElementsAre(HasSubstr("event=host_found")));
}

}  // namespace
}  // namespace nom::marketd
