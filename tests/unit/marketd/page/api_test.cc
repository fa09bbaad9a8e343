// SPDX-License-Identifier: Apache-2.0
// The page's interface: who may have what, what a bad request is told, and what is in an answer.

#include "marketd/page/api.h"

#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "marketd/market/joint_bids.h"
#include "marketd/page/page.h"
#include "policies/cases/case_file.h"
#include "policies/cases/joint_case_file.h"
#include "tests/net/http_get.h"
#include "tests/unit/marketd/page/fake_reader.h"

namespace nom::marketd {
namespace {

using market::ResourceKind;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kOperator[] = "Bearer op";
constexpr char kAlice[] = "Bearer alice";

std::shared_ptr<const market::GuestView> Guest(market::GuestId id, const std::string& tenant) {
  auto out = std::make_shared<market::GuestView>();
  out->guest.guest_id = id;
  out->guest.host_id = "h";
  out->guest.tenant_id = tenant;
  out->guest.name = absl::StrCat("guest-of-", tenant);
  out->guest.state = market::GuestState::kRunning;
  out->now = {{.kind = ResourceKind::kMemory, .seed_units = 4, .award_units = 10}};
  out->contracts = {{.contract_id = id + 50,
                     .guest_id = id,
                     .tenant_id = tenant,
                     .lots = {{ResourceKind::kMemory, 5, 60}},
                     .until_round_id = 9,
                     .policy = "forward/1"},
                    {.contract_id = id + 900, .guest_id = id, .tenant_id = tenant}};
  return out;
}

std::shared_ptr<const market::View> SampleView() {
  auto host = std::make_shared<market::HostView>();
  host->host_id = "h";
  host->connected = true;
  host->detail = "machine details";
  host->resources = {{.kind = ResourceKind::kMemory, .capacity_units = 100}};
  host->priced_round_id = 5;
  host->prices = {{.kind = ResourceKind::kMemory,
                   .unit_price_microcredits = 42,
                   .highest_rejected_unit_price_microcredits = 41}};
  host->forward = {{.kind = ResourceKind::kMemory,
                    .share_units = 30,
                    .sold_units = 9,
                    .forecast_unit_price_microcredits = 37,
                    .unit_price_microcredits = 39,
                    .rounds_max = 8}};
  host->last_decided_time = absl::FromUnixSeconds(5);
  host->guest_ids = {1, 2};
  auto view = std::make_shared<market::View>();
  view->hosts = {host};
  view->guests = {Guest(1, "alice"), Guest(2, "bob")};
  for (const market::GuestId guest_id : {1u, 2u}) {
    market::Offer offer{.offer_id = guest_id + 60,
                        .host_id = "h",
                        .tenant_id = guest_id == 1 ? "alice" : "bob",
                        .guest_id = guest_id,
                        .valid_until = absl::FromUnixSeconds(4'000'000'000)};
    offer.contract.lots = {{ResourceKind::kMemory, 2, 70}};
    offer.contract.policy = "forward/1";
    offer.contract.until_round_id = 5;
    view->offers.push_back(offer);
  }
  view->tenants.push_back({{.tenant_id = "alice"}, {}});
  view->tenants.push_back({{.tenant_id = "bob"}, {}});
  return view;
}

market::Round SampleRound(market::RoundId id) {
  market::Round out;
  out.host_id = "h";
  out.round_id = id;
  out.phase = market::RoundPhase::kSettled;
  out.prices = {{.kind = ResourceKind::kMemory,
                 .unit_price_microcredits = 42,
                 .highest_rejected_unit_price_microcredits = 41}};
  out.outcomes = {{.guest_id = 1, .tenant_id = "alice", .settled_microcredits = 111},
                  {.guest_id = 2, .tenant_id = "bob", .settled_microcredits = 222}};
  for (market::Outcome& outcome : out.outcomes) outcome.kind = ResourceKind::kMemory;
  return out;
}

class PageApiTest : public ::testing::Test {
 protected:
  PageApiTest() : view_(SampleView()) {
    for (market::RoundId id = 1; id <= 5; ++id) reader_.rounds.push_back(SampleRound(id));
    policies::Auction auction;
    auction.capacity_units = 50;
    auction.bids = {{.guest_id = 1, .ranges = {{0, 10, 0, 60}}},
                    {.guest_id = 2, .ranges = {{0, 20, 0, 77}}}};
    reader_.auction = policies::ToText(auction);
    history_ = std::make_unique<History>(reader_);
    api_ = std::make_unique<PageApi>(Sources(), *history_, "1.2.3");
    history_->OnView(view_);
    while (!history_->RoundsOf("h", 0, 1).complete) std::this_thread::yield();
  }

  PageSources Sources() {
    return {.view = [this] { return view_; },
            .identify = [](const CallHead& head) -> absl::StatusOr<market::Caller> {
              if (head.authorization_twice) return absl::UnauthenticatedError("twice");
              if (head.authorization == kOperator) return market::Caller{.is_operator = true};
              if (head.authorization == kAlice) return market::Caller{.tenant_id = "alice"};
              return absl::UnauthenticatedError("not a token of this market");
            },
            .take_read = [this](const market::Caller&) { return read_; },
            .post_read =
                [this](const std::string& owner, std::function<void()> job) {
                  owners_.push_back(owner);
                  if (queue_is_full_) return false;
                  job();
                  return true;
                },
            .reader = &reader_,
            .clock = &clock_};
  }

  HttpAnswer Ask(const std::string& path, std::optional<std::string> token = std::nullopt,
                 std::map<std::string, std::string> query = {}) {
    HttpAnswer out;
    int answers = 0;
    api_->Answer({.path = "/api/v1/" + path, .query = std::move(query), .authorization = token},
                 [&](HttpAnswer answer) {
                   out = std::move(answer);
                   ++answers;
                 });
    EXPECT_EQ(answers, 1) << path;
    return out;
  }

  SimulatedClock clock_;  // A real one would put any digits into an answer, a secret's as well.
  FakeReader reader_;
  std::shared_ptr<const market::View> view_;
  absl::Status read_;
  bool queue_is_full_ = false;
  std::vector<std::string> owners_;
  std::unique_ptr<History> history_;
  std::unique_ptr<PageApi> api_;
};

TEST_F(PageApiTest, EverybodyMayKnowPricesAndNothingOfTenants) {
  const HttpAnswer market = Ask("market");
  EXPECT_EQ(market.code, 200);
  EXPECT_THAT(market.body,
              AllOf(HasSubstr("\"caller\": \"public\""), HasSubstr("\"version\": \"1.2.3\""),
                    HasSubstr("\"unit_price_microcredits\": 42"),
                    HasSubstr("\"seed_units\": 8, \"award_units\": 20")));
  // Neither names nor machines, and no price that the operator does not publish.
  for (const char* secret :
       {"alice", "bob", "machine details", "\"highest_rejected_unit_price_microcredits\""}) {
    EXPECT_THAT(market.body, Not(HasSubstr(secret)));
  }
  const HttpAnswer prices = Ask("prices");
  EXPECT_EQ(prices.code, 200);
  EXPECT_THAT(prices.body, AllOf(HasSubstr("\"round_ids\": [1, 2, 3, 4, 5]"),
                                 HasSubstr("[42, 42, 42, 42, 42]")));
  EXPECT_THAT(Ask("prices", {}, {{"before_round_id", "4"}, {"page_size", "2"}}).body,
              AllOf(HasSubstr("\"round_ids\": [2, 3]"), HasSubstr("\"next_before_round_id\": 2")));
  // As it was sold by contract in the round that was seen, and not in those that were read.
  EXPECT_THAT(prices.body,
              AllOf(HasSubstr("\"forecast_unit_price_microcredits\": [-1, -1, -1, -1, 37]"),
                    HasSubstr("\"forward_unit_price_microcredits\": [-1, -1, -1, -1, 39]")));
  EXPECT_THAT(market.body, HasSubstr("\"forecast_unit_price_microcredits\": 37"));
  for (const char* path : {"demand", "guests", "rounds", "life", "contracts", "offers"}) {
    const HttpAnswer refused = Ask(path);
    EXPECT_EQ(refused.code, 401) << path;
    EXPECT_THAT(refused.body, HasSubstr("UNAUTHENTICATED")) << path;
  }
  EXPECT_TRUE(owners_.empty());  // The ledger was asked for none of it.
}

TEST_F(PageApiTest, ATenantSeesItsOwnAndTheOperatorAll) {
  for (const std::string path : {"market", "guests", "rounds"}) {
    EXPECT_THAT(Ask(path, kOperator).body, AllOf(HasSubstr(path == "rounds" ? "111" : "alice"),
                                                 HasSubstr(path == "rounds" ? "222" : "bob")))
        << path;
    EXPECT_THAT(Ask(path, kAlice).body, AllOf(HasSubstr(path == "rounds" ? "111" : "alice"),
                                              Not(HasSubstr(path == "rounds" ? "222" : "bob"))))
        << path;
  }
  EXPECT_THAT(Ask("market", kOperator).body, HasSubstr("machine details"));
  EXPECT_THAT(Ask("market", kAlice).body, Not(HasSubstr("machine details")));
  EXPECT_THAT(Ask("rounds", kOperator).body,
              HasSubstr("\"highest_rejected_unit_price_microcredits\": 41"));
  EXPECT_THAT(Ask("rounds", kAlice).body,
              Not(HasSubstr("\"highest_rejected_unit_price_microcredits\": 41")));

  EXPECT_THAT(Ask("life", kAlice, {{"guest_id", "1"}}).body,
              AllOf(HasSubstr("111"), Not(HasSubstr("222"))));
  EXPECT_EQ(Ask("life", kAlice, {{"guest_id", "2"}}).code, 404);
  EXPECT_EQ(Ask("life", kAlice, {{"guest_id", "3"}}).code, 404);
  EXPECT_THAT(Ask("life", kOperator, {{"guest_id", "2"}}).body, HasSubstr("222"));
  // Turns in the ledger's queue are by owner, the operator's is "".
  EXPECT_THAT(owners_, ::testing::UnorderedElementsAre("", "alice", "", "alice", "alice", ""));
}

TEST_F(PageApiTest, ContractsAndOffersAreTheirHolders) {
  const auto has = [](const char* list, int id) {
    return HasSubstr(absl::StrCat("\"", list, "_id\": ", id, ","));
  };
  const std::string own = Ask("contracts", kAlice).body;
  EXPECT_THAT(own, AllOf(has("contract", 51), Not(has("contract", 52)), HasSubstr("\"forward\"")));
  EXPECT_THAT(own, Not(has("contract", 901))) << "an award";
  EXPECT_THAT(Ask("contracts", kOperator).body, AllOf(has("contract", 51), has("contract", 52)));
  EXPECT_THAT(Ask("contracts", kOperator, {{"page_size", "1"}}).body,
              AllOf(has("contract", 51), Not(has("contract", 52)),
                    HasSubstr("\"next_after_contract_id\": 51")));
  EXPECT_THAT(Ask("contracts", kOperator, {{"after_contract_id", "51"}}).body,
              AllOf(Not(has("contract", 51)), has("contract", 52)));
  EXPECT_EQ(Ask("contracts", kAlice, {{"guest_id", "2"}}).code, 404);
  EXPECT_THAT(Ask("offers", kAlice).body, AllOf(has("offer", 61), Not(has("offer", 62))));
  EXPECT_THAT(Ask("offers", kOperator).body, AllOf(has("offer", 61), has("offer", 62)));
  EXPECT_EQ(Ask("offers", kAlice, {{"guest_id", "2"}}).code, 404);
  for (const char* path : {"contracts", "offers"}) {
    EXPECT_EQ(Ask(path, kAlice, {{"page_size", "1001"}}).code, 400) << path;
    EXPECT_EQ(Ask(path, kAlice, {{"host_id", "h"}}).code, 400) << path;
  }
}

TEST_F(PageApiTest, WhatOthersBidIsTheirs) {
  const HttpAnswer all = Ask("demand", kOperator, {{"kind", "memory"}});
  EXPECT_EQ(all.code, 200) << all.body;
  EXPECT_THAT(all.body, AllOf(HasSubstr("\"of_all\": true"),
                              HasSubstr("{\"unit_price_microcredits\": 77, \"units\": 20}"),
                              HasSubstr("{\"unit_price_microcredits\": 60, \"units\": 30}")));
  const HttpAnswer own = Ask("demand", kAlice, {{"kind", "memory"}, {"round_id", "3"}});
  EXPECT_THAT(own.body, AllOf(HasSubstr("\"of_all\": false"), HasSubstr("\"bids\": 1"),
                              HasSubstr("{\"unit_price_microcredits\": 60, \"units\": 10}"),
                              Not(HasSubstr("\"unit_price_microcredits\": 77,"))));
  EXPECT_EQ(Ask("demand", kAlice, {{"kind", "memory"}, {"round_id", "99"}}).code, 404);
  EXPECT_THAT(Ask("demand", kAlice, {{"kind", "cheese"}}).body,
              HasSubstr("kind: must be one that the host sells: memory"));
}

TEST_F(PageApiTest, TheDemandOfAJointAuctionIsByGuestToo) {
  policies::JointAuction auction;
  auction.resource_count = 1;
  auction.capacity_units[0] = 50;
  auction.bids = {{.guest_id = market::ItemId(1, market::kSeveralKinds), .bundles = {{{10}, 500}}},
                  {.guest_id = market::ItemId(2, ResourceKind::kMemory), .bundles = {{{10}, 770}}}};
  reader_.auction = policies::ToText(auction);
  reader_.auction_kind = market::kSeveralKinds;
  EXPECT_THAT(Ask("demand", kOperator, {{"kind", "memory"}}).body,
              HasSubstr("{\"unit_price_microcredits\": 77, \"units\": 10}"));
  EXPECT_THAT(Ask("demand", kAlice, {{"kind", "memory"}}).body,
              AllOf(HasSubstr("{\"unit_price_microcredits\": 50, \"units\": 10}"),
                    Not(HasSubstr("\"unit_price_microcredits\": 77,"))));
}

TEST_F(PageApiTest, AnAuctionThatIsTooLargeIsNotRead) {
  reader_.auction = std::string((4 << 20) + 1, ' ');
  const HttpAnswer answer = Ask("demand", kOperator, {{"kind", "memory"}});
  EXPECT_EQ(answer.code, 409);
  EXPECT_THAT(answer.body, HasSubstr("too many bids to be drawn"));
}

TEST_F(PageApiTest, ABadRequestIsToldWhatIsWrong) {
  struct Case {
    const char* path;
    std::map<std::string, std::string> query;
    int code;
    const char* says;
  };
  for (const Case& c : std::vector<Case>{
           {"nothing", {}, 404, "there is no such path; there are /api/v1/market"},
           {"market", {{"x", "1"}}, 400, "the query has a key"},
           {"prices", {{"x", "1"}}, 400, "unknown key; known are host_id"},
           {"prices", {{"host_id", "nowhere"}}, 404, "host_id: there is no such host"},
           {"prices",
            {{"page_size", "0"}},
            400,
            "page_size: must be a whole number from 1 to 2880"},
           {"prices", {{"page_size", "+5"}}, 400, "page_size: "},
           {"prices", {{"page_size", " 5"}}, 400, "page_size: "},
           {"prices", {{"page_size", ""}}, 400, "page_size: "},
           {"prices", {{"page_size", "99999999999999999999"}}, 400, "page_size: "},
           {"prices", {{"before_round_id", "-1"}}, 400, "before_round_id: "},
           {"prices", {{"before_round_id", "18446744073709551616"}}, 400, "before_round_id: "},
           {"life", {}, 404, "guest_id: you have no guest 0"},
           {"life", {{"guest_id", "1e3"}}, 400, "guest_id: must be a whole number"},
           {"guests", {{"host_id", "<script>"}}, 404, "host_id: there is no such host"}}) {
    const HttpAnswer answer = Ask(c.path, kOperator, c.query);
    EXPECT_EQ(answer.code, c.code) << c.path << answer.body;
    EXPECT_THAT(answer.body, HasSubstr(c.says)) << c.path;
    EXPECT_EQ(answer.content_type, "application/json") << c.path;
    EXPECT_THAT(answer.body, Not(HasSubstr("<script>")));  // Nothing of a stranger's comes back.
  }
  HttpAnswer twice;
  api_->Answer(
      {.path = "/api/v1/prices", .query = {{"page_size", "1"}}, .repeated_key = "page_size"},
      [&](HttpAnswer answer) { twice = std::move(answer); });
  EXPECT_EQ(twice.code, 400);
  EXPECT_THAT(twice.body, HasSubstr("more than once"));
}

TEST_F(PageApiTest, AWrongTokenIsRefusedAlsoForWhatEverybodyMayKnow) {
  for (const char* token : {"", "Bearer ", "Bearer wrong", "Basic op", "op"}) {
    const HttpAnswer answer = Ask("market", token);
    EXPECT_EQ(answer.code, 401) << token;
  }
  HttpAnswer twice;
  api_->Answer({.path = "/api/v1/market", .authorization = kOperator, .authorization_twice = true},
               [&](HttpAnswer answer) { twice = std::move(answer); });
  EXPECT_EQ(twice.code, 401);
}

TEST_F(PageApiTest, ReadsHaveQuotas) {
  read_ = absl::ResourceExhaustedError("too many reads a second; try again later");
  EXPECT_EQ(Ask("market", kAlice).code, 429);
  read_ = absl::OkStatus();
  queue_is_full_ = true;
  EXPECT_EQ(Ask("rounds", kAlice).code, 429);
  EXPECT_EQ(Ask("market", kAlice).code, 200);  // Needs no turn.
  // Those without a token share one quota; others are served on.
  int refused = 0;
  for (int i = 0; i < 2'000; ++i) refused += Ask("market").code == 429 ? 1 : 0;
  EXPECT_GT(refused, 0);
  EXPECT_EQ(Ask("market", kOperator).code, 200);
}

TEST_F(PageApiTest, TheHandbookHasEachPath) {
  std::ifstream file(NOM_SOURCE_DIR "/deploy/handbook/page.md");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (const std::string& path : PageApi::Paths()) EXPECT_THAT(text, HasSubstr("`" + path + "`"));
}

TEST_F(PageApiTest, ThePageIsServedWithHeadersThatKeepStrangersOut) {
  auto page = Page::Start({.listen = "127.0.0.1:0", .directory = "/nowhere"}, Sources());
  ASSERT_TRUE(page.ok()) << page.status();
  const auto root = nom::testing::Http("GET", (*page)->address(), "/");
  EXPECT_EQ(root.code, 503);
  EXPECT_THAT(root.body, HasSubstr("its page is not installed"));
  for (const char* path : {"/", "/api/v1/market", "/api/v1/rounds", "/nothing"}) {
    const auto answer = nom::testing::Http("GET", (*page)->address(), path);
    EXPECT_THAT(answer.head,
                HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self'"))
        << path;
    EXPECT_THAT(answer.head, HasSubstr("X-Content-Type-Options: nosniff")) << path;
    EXPECT_THAT(answer.head, Not(HasSubstr("Set-Cookie"))) << path;
    EXPECT_THAT(answer.head, Not(HasSubstr("Access-Control-Allow"))) << path;
  }
  EXPECT_EQ(nom::testing::Http("GET", (*page)->address(), "/..%2f..%2fetc/passwd").code, 404);
}

}  // namespace
}  // namespace nom::marketd
