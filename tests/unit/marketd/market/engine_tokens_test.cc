// SPDX-License-Identifier: Apache-2.0
// Tokens of a tenant: several, until when, for what, and who did what with them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/marketd/market/market_fixture.h"

namespace nom::market {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class TokensTest : public MarketTest {
 protected:
  TokensTest() { Open(); }

  static Caller Ann(uint64_t token_id) { return {.tenant_id = "ann", .token_id = token_id}; }
  CreateToken Creation(const std::string& hash) {
    return {.request_id = NewId(), .tenant_id = "ann", .label = "a label", .token_hash = hash};
  }
  Reply Revoke(const Caller& caller, uint64_t token_id) {
    return world_->Ask(caller, RevokeToken{NewId(), "ann", token_id});
  }
  const Tenant& ann() { return world_->state().tenants.at("ann"); }
  std::vector<uint64_t> Ids() {
    std::vector<uint64_t> ids;
    for (const Token& token : ann().tokens) ids.push_back(token.token_id);
    return ids;
  }
  // All that the ledger says of who did what, "kind by/token tenant token guest: detail".
  std::vector<std::string> Events() {
    std::vector<std::string> out;
    const auto look = world_->ledger().reader().Look(kMarketBook);
    EXPECT_TRUE(look.ok()) << look.status();
    const absl::Status status =
        (*look)->ReadTransactions(0, UINT64_MAX, [&out](const ChainedTransaction& transaction) {
          for (const AuditEvent& event : transaction.events) {
            out.push_back(absl::StrCat(event.kind, " ", event.by, "/", event.by_token_id, " ",
                                       event.tenant_id, " ", event.token_id, " ", event.guest_id,
                                       ": ", event.detail));
          }
          return absl::OkStatus();
        });
    EXPECT_TRUE(status.ok()) << status;
    return out;
  }
};

TEST_F(TokensTest, ATenantHasSeveralEachByItself) {
  CreateToken second = Creation("second");
  second.scope = TokenScope::kReadOnly;
  second.lifetime = absl::Hours(1);
  EXPECT_EQ(world_->AskAsOperator(second).token_id, 2u);
  EXPECT_EQ(world_->Ask(Ann(1), Creation("third")).token_id, 3u) << "a tenant makes its own, too";
  ASSERT_THAT(Ids(), ElementsAre(1, 2, 3));
  const Token& token = ann().tokens[1];
  EXPECT_EQ(token.hash, "second");
  EXPECT_EQ(token.label, "a label");
  EXPECT_EQ(token.scope, TokenScope::kReadOnly);
  EXPECT_EQ(token.expire_time, token.created_time + absl::Hours(1));
  EXPECT_TRUE(IsGood(token, token.expire_time - absl::Microseconds(1)));
  EXPECT_FALSE(IsGood(token, token.expire_time));
  EXPECT_TRUE(IsGood(ann().tokens[2], absl::InfiniteFuture()));

  EXPECT_TRUE(Revoke(Ann(1), 1).status.ok()) << "also the one that asks";
  EXPECT_TRUE(absl::IsNotFound(Revoke(Ann(3), 1).status));
  const std::vector<Token> before = ann().tokens;
  world_->Restart();
  EXPECT_EQ(ann().tokens, before);
  EXPECT_EQ(world_->AskAsOperator(Creation("fourth")).token_id, 4u) << "no id comes again";
}

TEST_F(TokensTest, OnlyTheirOwner) {
  const Caller bob{.tenant_id = "bob", .token_id = 1};
  EXPECT_TRUE(absl::IsNotFound(world_->Ask(bob, Creation("x")).status));
  EXPECT_TRUE(absl::IsNotFound(Revoke(bob, 1).status));
  CreateToken of_nobody = Creation("x");
  of_nobody.tenant_id = "nobody";
  EXPECT_TRUE(absl::IsNotFound(world_->AskAsOperator(of_nobody).status));
  EXPECT_THAT(Ids(), ElementsAre(1));
}

TEST_F(TokensTest, WhoMayOnlyLookChangesNothing) {
  const GuestId guest = Admit("ann", "one");
  const Caller reader{.tenant_id = "ann", .token_id = 1, .read_only = true};
  const uint64_t transactions = world_->state().last_transaction_id;
  const std::vector<Call> calls = {MemoryBid(guest, 4, 5'000),
                                   WithdrawBid{NewId(), guest, ResourceKind::kMemory},
                                   OpenLease{},
                                   PlaceBids{},
                                   RenewLease{},
                                   EndGuest{NewId(), guest},
                                   StartGuest{NewId(), guest},
                                   Creation("x"),
                                   RevokeToken{NewId(), "ann", 1}};
  for (const Call& call : calls) {
    const Reply reply = world_->Ask(reader, call);
    EXPECT_TRUE(absl::IsPermissionDenied(reply.status)) << call.index() << ": " << reply.status;
  }
  EXPECT_EQ(world_->state().last_transaction_id, transactions);
}

TEST_F(TokensTest, WhatIsUnderWayWithARevokedTokenIsNotDone) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_EQ(world_->AskAsOperator(Creation("second")).token_id, 2u);
  ASSERT_TRUE(world_->Ask(Ann(2), MemoryBid(guest, 4, 5'000)).status.ok());
  ASSERT_TRUE(Revoke(Caller{.is_operator = true}, 2).status.ok());
  EXPECT_TRUE(absl::IsUnauthenticated(world_->Ask(Ann(2), MemoryBid(guest, 5, 5'000)).status));
  EXPECT_TRUE(absl::IsUnauthenticated(world_->Ask(Ann(2), Creation("x")).status))
      << "it makes no other one either";
  EXPECT_TRUE(absl::IsUnauthenticated(world_->Ask(Ann(2), OpenLease{}).status));
  EXPECT_TRUE(world_->Ask(Ann(1), MemoryBid(guest, 5, 5'000)).status.ok());
}

TEST_F(TokensTest, ARetryGetsANewOneInItsPlaceUnlessItWasRevoked) {
  CreateToken create = Creation("lost");
  ASSERT_EQ(world_->AskAsOperator(create).token_id, 2u);
  create.token_hash = "found";
  EXPECT_EQ(world_->AskAsOperator(create).token_id, 2u);
  ASSERT_THAT(Ids(), ElementsAre(1, 2));
  EXPECT_EQ(ann().tokens[1].hash, "found");
  CreateToken other = create;
  other.scope = TokenScope::kReadOnly;
  EXPECT_TRUE(absl::IsAlreadyExists(world_->AskAsOperator(other).status));
  other = create;
  other.lifetime = absl::Hours(1);
  EXPECT_TRUE(absl::IsAlreadyExists(world_->AskAsOperator(other).status));
  ASSERT_TRUE(Revoke(Ann(1), 2).status.ok());
  create.token_hash = "again";
  EXPECT_TRUE(absl::IsFailedPrecondition(world_->AskAsOperator(create).status))
      << "a retry brings nothing back that was revoked";
  EXPECT_THAT(Ids(), ElementsAre(1));
}

TEST_F(TokensTest, NoneOutlivesTheOneThatAskedForIt) {
  CreateToken create = Creation("short");
  create.lifetime = absl::Hours(1);
  ASSERT_EQ(world_->AskAsOperator(create).token_id, 2u);
  CreateToken next = Creation("next");
  EXPECT_TRUE(absl::IsPermissionDenied(world_->Ask(Ann(2), next).status)) << "for ever";
  next.lifetime = absl::Hours(2);
  EXPECT_TRUE(absl::IsPermissionDenied(world_->Ask(Ann(2), next).status));
  next.lifetime = absl::Minutes(30);
  EXPECT_TRUE(world_->Ask(Ann(2), next).status.ok());
  for (const absl::Duration bad : {absl::ZeroDuration(), absl::Seconds(-5), absl::Hours(1e7)}) {
    next.request_id = NewId();
    next.lifetime = bad;
    EXPECT_TRUE(absl::IsInvalidArgument(world_->AskAsOperator(next).status)) << bad;
  }
}

TEST_F(TokensTest, AsManyAsThereMayBeAndThoseThatExpiredMakeRoom) {
  CreateToken brief = Creation("brief");
  brief.lifetime = absl::Seconds(30);
  ASSERT_TRUE(world_->AskAsOperator(brief).status.ok());
  while (ann().tokens.size() < kTokensPerTenantMax) {
    ASSERT_TRUE(world_->AskAsOperator(Creation("x")).status.ok());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(world_->AskAsOperator(Creation("x")).status));
  world_->Run(absl::Seconds(30));
  const Reply reply = world_->AskAsOperator(Creation("x"));
  EXPECT_EQ(reply.token_id, kTokensPerTenantMax + 1) << reply.status;
  EXPECT_EQ(ann().FindToken(2), nullptr) << "expired";
  EXPECT_TRUE(absl::IsResourceExhausted(world_->AskAsOperator(Creation("x")).status));
}

TEST_F(TokensTest, WhoDidWhatIsInTheLedger) {
  const size_t before = Events().size();
  CreateToken create = Creation("lost");
  create.scope = TokenScope::kReadOnly;
  ASSERT_TRUE(world_->AskAsOperator(create).status.ok());
  create.token_hash = "found";
  ASSERT_TRUE(world_->AskAsOperator(create).status.ok());
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(Revoke(Ann(1), 2).status.ok());
  ASSERT_TRUE(world_->Ask(Ann(1), EndGuest{NewId(), guest}).status.ok());
  ASSERT_TRUE(world_->AskAsOperator(StartGuest{NewId(), guest}).status.ok());
  ASSERT_TRUE(world_->AskAsOperator(EvictGuest{NewId(), guest}).status.ok());
  EXPECT_TRUE(absl::IsNotFound(Revoke(Ann(1), 2).status)) << "what is refused leaves no trace";
  world_->Restart();
  std::vector<std::string> events = Events();
  events.erase(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(before));
  const std::string g = absl::StrCat(guest);
  EXPECT_THAT(events, ElementsAre("token_created @operator/0 ann 2 0: a label, read only",
                                  "token_replaced @operator/0 ann 2 0: a label",
                                  "guest_admitted @operator/0 ann 0 " + g + ": one",
                                  "token_revoked ann/1 ann 2 0: a label",
                                  "guest_ended_by_call ann/1 ann 0 " + g + ": one",
                                  "guest_started @operator/0 ann 0 " + g + ": one",
                                  "guest_evicted @operator/0 ann 0 " + g + ": one"));
}

}  // namespace
}  // namespace nom::market
