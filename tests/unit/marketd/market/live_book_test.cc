// SPDX-License-Identifier: Apache-2.0
// The book at work and what waits in it, alone.

#include "marketd/market/live_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "marketd/market/money.h"

namespace nom::market {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

HostCommand Command(uint64_t id) { return {"h", id, DestroyCommand{1}}; }

TEST(Outbox, NothingOvertakesAndNothingComesEarly) {
  Outbox outbox;
  outbox.Hold(1, ReplyEffect{.call_id = 10});
  outbox.Hold(2, Command(20));
  outbox.Hold(2, std::make_shared<const View>());
  outbox.Hold(3, ReplyEffect{.call_id = 30});
  Effects effects;
  outbox.Release(0, effects);
  EXPECT_THAT(effects.replies, IsEmpty());
  outbox.Release(1, effects);
  ASSERT_THAT(effects.replies, SizeIs(1));
  EXPECT_EQ(effects.replies[0].call_id, 10u);
  EXPECT_THAT(effects.commands, IsEmpty());
  EXPECT_TRUE(outbox.holds_view());
  outbox.Release(2, effects);
  EXPECT_THAT(effects.commands, SizeIs(1));
  EXPECT_NE(effects.view, nullptr);
  EXPECT_FALSE(outbox.holds_view());
  EXPECT_THAT(effects.replies, SizeIs(1)) << "the last rests on what is not durable";
  outbox.Release(7, effects);
  EXPECT_THAT(effects.replies, SizeIs(2));
}

TEST(OutboxDeathTest, WhatRestsOnLessIsNotPutBehindWhatRestsOnMore) {
  Outbox outbox;
  outbox.Hold(2, Command(1));
  EXPECT_DEATH(outbox.Hold(1, Command(2)), "rests on less");
}

class LiveBookTest : public testing::Test {
 protected:
  void Deposit(const TenantId& tenant_id, Microcredits amount) {
    Scribe scribe = book_.Begin("deposit");
    if (!book_.state().tenants.contains(tenant_id)) {
      scribe.Write(PutTenant{{.tenant_id = tenant_id}});
    }
    PostDeposit(scribe, tenant_id, amount);
    book_.Commit(std::move(scribe));
  }
  static State StateWithBook() {
    State state;
    state.last_transaction_id = 5;
    return state;
  }

  LiveBook book_{StateWithBook()};
};

TEST_F(LiveBookTest, WhatIsToldWaitsForAllThatWasCommittedBefore) {
  book_.Answer(1, {});
  Deposit("ann", 100);
  book_.Answer(2, {});
  book_.Send(Command(3));
  book_.Release();
  Effects first = book_.TakeEffects();
  EXPECT_THAT(first.transactions, SizeIs(1));
  EXPECT_EQ(first.transactions[0].transaction_id, 6u);
  ASSERT_THAT(first.replies, SizeIs(1)) << "what rests on the ledger as it was found";
  EXPECT_EQ(first.replies[0].call_id, 1u);
  EXPECT_THAT(first.commands, IsEmpty());
  book_.BecameDurable(6);
  book_.Release();
  Effects second = book_.TakeEffects();
  EXPECT_THAT(second.transactions, IsEmpty());
  EXPECT_THAT(second.replies, SizeIs(1));
  EXPECT_THAT(second.commands, SizeIs(1));
}

TEST_F(LiveBookTest, NobodySaysThatMoreIsDurableThanThereIs) {
  book_.BecameDurable(1'000);
  Deposit("ann", 100);
  book_.Answer(1, {});
  book_.Release();
  EXPECT_THAT(book_.TakeEffects().replies, IsEmpty());
}

TEST_F(LiveBookTest, AnEmptyTransactionIsNone) {
  book_.Commit(book_.Begin("nothing"));
  EXPECT_THAT(book_.TakeEffects().transactions, IsEmpty());
  EXPECT_EQ(book_.state().last_transaction_id, 5u);
  Deposit("ann", 1);
  EXPECT_EQ(book_.state().last_transaction_id, 6u) << "its id was given back";
}

TEST_F(LiveBookTest, TransactionsCarryTheTimeOfTheEvent) {
  book_.SetNow(absl::FromUnixSeconds(77));
  Deposit("ann", 1);
  EXPECT_EQ(book_.TakeEffects().transactions.at(0).time, absl::FromUnixSeconds(77));
}

TEST_F(LiveBookTest, WhatATransactionChangesIsShownAnew) {
  const auto touched = [&] {
    std::vector<TenantId> tenants;
    View view;
    book_.changes().Refresh([](GuestId) -> std::shared_ptr<const GuestView> { return nullptr; },
                            [&](const TenantId& tenant_id) -> std::shared_ptr<const TenantView> {
                              tenants.push_back(tenant_id);
                              return nullptr;
                            },
                            [](OfferId) -> std::shared_ptr<const Offer> { return nullptr; }, view);
    return tenants;
  };
  Deposit("ann", 100);
  Deposit("bob", 100);
  EXPECT_TRUE(book_.changes().any());
  EXPECT_THAT(touched(), ElementsAre("ann", "bob"));
  EXPECT_FALSE(book_.changes().any());
  Deposit("bob", 1);
  EXPECT_THAT(touched(), ElementsAre("bob"));
}

TEST_F(LiveBookTest, WhatTheCheckFindsAborts) {
  book_.SetCheck([](const Transaction& t) {
    return t.kind == "deposit" ? "more is given than there is" : "";
  });
  EXPECT_DEATH(Deposit("ann", 100), "transaction 6 \\(deposit\\): more is given than there is");
}

TEST_F(LiveBookTest, AContractThatTheEscrowDoesNotCoverAborts) {
  Deposit("ann", 100);
  EXPECT_DEATH(
      {
        Scribe scribe = book_.Begin("forged");
        scribe.Write(OpenContract{{.contract_id = 1,
                                   .guest_id = 1,
                                   .tenant_id = "ann",
                                   .from_round_id = 1,
                                   .until_round_id = 2,
                                   .escrow_microcredits = 50}});
        book_.Commit(std::move(scribe));
      },
      "escrow");
}

}  // namespace
}  // namespace nom::market
