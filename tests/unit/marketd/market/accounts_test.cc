// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/accounts.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "marketd/base/random.h"

namespace nom::market {
namespace {

constexpr auto kAvailable = AccountKind::kAvailable;
constexpr auto kEscrow = AccountKind::kEscrow;
constexpr auto kArrears = AccountKind::kArrears;
constexpr auto kTransit = AccountKind::kTransit;
const Account kRevenue{kOperator, AccountKind::kRevenue};
const Account kIssued{kOperator, AccountKind::kIssued};
constexpr Microcredits kMost = std::numeric_limits<Microcredits>::max();

TEST(AccountsTest, MoneyPassesBetweenTenants) {
  Purses purses;
  ASSERT_TRUE(Post({kIssued, {"ann", kAvailable}, 0, 100}, purses).ok());
  ASSERT_TRUE(Post({{"ann", kAvailable}, {"ann", kEscrow}, 7, 40}, purses).ok());
  ASSERT_TRUE(Post({{"ann", kEscrow}, {"bob", kAvailable}, 7, 30}, purses).ok());
  ASSERT_TRUE(Post({{"bob", kAvailable}, kRevenue, 9, 20}, purses).ok());
  EXPECT_EQ(purses["ann"], (Purse{.available = 60, .escrow = 10, .deposited = 100, .spent = 30}));
  EXPECT_EQ(purses["bob"], (Purse{.available = 10, .spent = 20, .earned = 30}));
  EXPECT_EQ(purses[kOperator], (Purse{.revenue = 20, .issued = -100, .earned = 20}));
  EXPECT_EQ(FirstBrokenPromise(purses), "");
}

TEST(AccountsTest, WhatIsOwedCountsAsSpentAndIsPaidLater) {
  Purses purses;
  ASSERT_TRUE(Post({{"ann", kArrears}, kRevenue, 7, 30}, purses).ok());
  ASSERT_TRUE(Post({kIssued, {"ann", kAvailable}, 0, 100}, purses).ok());
  ASSERT_TRUE(Post({{"ann", kAvailable}, {"ann", kArrears}, 0, 30}, purses).ok());
  EXPECT_EQ(purses["ann"], (Purse{.available = 70, .deposited = 100, .spent = 30}));
  EXPECT_EQ(FirstBrokenPromise(purses), "");
}

TEST(AccountsTest, MoneyGoesToAnotherBookAndComesFromOne) {
  Purses here;
  Purses there;
  ASSERT_TRUE(Post({kIssued, {"ann", kAvailable}, 0, 100}, here).ok());
  ASSERT_TRUE(Post({{"ann", kAvailable}, {"ann", kTransit}, 0, 60}, here).ok());
  ASSERT_TRUE(Post({{"ann", kTransit}, {"ann", kAvailable}, 0, 60}, there).ok());
  EXPECT_EQ(here["ann"].transit + there["ann"].transit, 0);
  EXPECT_EQ(FirstBrokenPromise(here), "");
  EXPECT_EQ(FirstBrokenPromise(there), "");
}

TEST(AccountsTest, ARefusedEntryChangesNothing) {
  Purses purses;
  ASSERT_TRUE(Post({kIssued, {"ann", kAvailable}, 0, 100}, purses).ok());
  ASSERT_TRUE(Post({{"bob", kArrears}, kRevenue, 0, kMost - 100}, purses).ok());
  const Purses before = purses;
  const auto code = [&purses](const Entry& entry) { return Post(entry, purses).code(); };
  const Account ann{"ann", kAvailable};
  EXPECT_EQ(code({ann, kRevenue, 0, 0}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({ann, kRevenue, 0, -1}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({ann, ann, 0, 1}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({ann, {"bob", AccountKind::kRevenue}, 0, 1}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({{"ann", AccountKind::kIssued}, ann, 0, 1}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({ann, kRevenue, 0, 101}), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code({{"ann", kEscrow}, ann, 0, 1}), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code({ann, {"ann", kArrears}, 0, 1}), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code({{"ann", kArrears}, kRevenue, 0, 101}), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(purses, before);
}

TEST(AccountsTest, WhateverIsPostedAddsUp) {
  const uint64_t seed = 20261130;
  Random random(seed);
  SCOPED_TRACE(seed);
  const std::vector<Owner> owners = {"ann", "bob", "cy", kOperator};
  const auto any = [&] {
    return Account{owners[static_cast<size_t>(random.Uniform(0, 3))],
                   static_cast<AccountKind>(random.Uniform(1, kAccountKindsCount))};
  };
  Purses purses;
  std::vector<Entry> posted;
  for (int i = 0; i < 20'000; ++i) {
    const Entry entry{any(), any(), 0, random.Uniform(-5, 1'000)};
    if (Post(entry, purses).ok()) posted.push_back(entry);
  }
  EXPECT_GT(posted.size(), 3'000u);
  EXPECT_EQ(FirstBrokenPromise(purses), "");
  EXPECT_EQ(PurseChanges(posted), purses);
}

TEST(AccountsTest, FindsWhatDoesNotAddUp) {
  const Purses good = {{"ann", {.available = 5, .deposited = 5}}, {kOperator, {.issued = -5}}};
  ASSERT_EQ(FirstBrokenPromise(good), "");
  Purses bad = good;
  bad["ann"] = {.available = 6, .deposited = 6};
  EXPECT_EQ(FirstBrokenPromise(bad), "the accounts of all owners do not sum to zero");
  bad = good;
  bad["ann"].escrow = 1;
  EXPECT_NE(FirstBrokenPromise(bad), "");
  EXPECT_NE(FirstBrokenPromise("ann", {.available = -1, .spent = 1}), "");
  EXPECT_NE(FirstBrokenPromise("ann", {.revenue = 1, .earned = 1}), "");
  // Sums beyond 64 bits are sums still.
  EXPECT_NE(FirstBrokenPromise({{"ann", {.available = kMost, .deposited = kMost}},
                                {"bob", {.available = kMost, .deposited = kMost}},
                                {kOperator, {.issued = -2}}}),
            "");
}

}  // namespace
}  // namespace nom::market
