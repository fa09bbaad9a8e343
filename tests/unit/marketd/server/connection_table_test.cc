// SPDX-License-Identifier: Apache-2.0
// Who keeps a place and who has to go.

#include "marketd/server/connection_table.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"

namespace nom::marketd {
namespace {

std::string Peer(uint64_t id) { return absl::StrCat("10.0.0.1:", id); }

TEST(ConnectionTableTest, TheStrangerThatWaitedLongestMakesRoom) {
  ConnectionTable table(8);
  for (uint64_t id = 1; id <= 8; ++id) {
    const auto admission = table.Admit(id, Peer(id));
    EXPECT_TRUE(admission.admitted);
    EXPECT_FALSE(admission.victim.has_value());
  }
  const auto admission = table.Admit(9, Peer(9));
  EXPECT_TRUE(admission.admitted);
  EXPECT_EQ(admission.victim, 1u);
  EXPECT_EQ(table.size(), 8u);
}

TEST(ConnectionTableTest, WhoIsKnownKeepsItsPlace) {
  ConnectionTable table(8);
  for (uint64_t id = 1; id <= 8; ++id) table.Admit(id, Peer(id));
  ASSERT_TRUE(table.Identify(Peer(1), "alice", false).ok());
  ASSERT_TRUE(table.Identify(Peer(2), "", true).ok());
  std::set<uint64_t> gone;
  for (uint64_t id = 9; id <= 40; ++id) {
    const auto admission = table.Admit(id, Peer(id));
    ASSERT_TRUE(admission.admitted);
    ASSERT_TRUE(admission.victim.has_value());
    gone.insert(*admission.victim);
  }
  EXPECT_EQ(gone.count(1) + gone.count(2), 0u);
}

TEST(ConnectionTableTest, NoTenantHoldsMoreThanAQuarterAndAllTogetherLeaveAQuarter) {
  ConnectionTable table(16);
  uint64_t id = 0;
  const auto known = [&](const std::string& who, bool is_operator) {
    ++id;
    return table.Admit(id, Peer(id)).admitted && table.Identify(Peer(id), who, is_operator).ok();
  };
  for (const char* tenant : {"a", "b", "c"}) {
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(known(tenant, false)) << tenant << i;
    EXPECT_FALSE(known(tenant, false));
  }
  EXPECT_FALSE(known("d", false)) << "twelve of sixteen are taken";
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(known("", true)) << "there is room for operators";
  table.Remove(1);
  EXPECT_TRUE(known("d", false));
}

TEST(ConnectionTableTest, APortThatIsUsedAgainIsAnother) {
  ConnectionTable table(4);
  table.Admit(1, "10.0.0.1:5");
  ASSERT_TRUE(table.Identify("10.0.0.1:5", "alice", false).ok());
  table.Admit(2, "10.0.0.1:5");
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.strangers(), 1u) << "what the one before showed is not for the next";
}

TEST(ConnectionTableTest, CountsAreWhatIsThereWhateverComesAndGoes) {
  std::mt19937 random(7);
  ConnectionTable table(32);
  for (uint64_t step = 1; step <= 20'000; ++step) {
    const uint64_t id = random() % 64 + 1;
    switch (random() % 4) {
      case 0:
        table.Remove(id);
        break;
      case 1:
        (void)table.Identify(Peer(id), absl::StrCat("t", random() % 5), random() % 8 == 0);
        break;
      default:
        table.Admit(id, Peer(id));
    }
    ASSERT_LE(table.size(), 32u);
    ASSERT_LE(table.strangers(), table.size());
    ASSERT_EQ(table.ids().size(), table.size());
  }
  for (const uint64_t id : table.ids()) table.Remove(id);
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.strangers(), 0u);
  for (uint64_t id = 1; id <= 8; ++id) {
    table.Admit(id, Peer(id));
    EXPECT_TRUE(table.Identify(Peer(id), "t1", false).ok()) << "nothing was left behind";
  }
}

}  // namespace
}  // namespace nom::marketd
