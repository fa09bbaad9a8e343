// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/contracts.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "marketd/base/random.h"
#include "marketd/market/transaction.h"

namespace nom::market {
namespace {

constexpr auto kCpu = ResourceKind::kCpu;
constexpr auto kMemory = ResourceKind::kMemory;

// Of guest `guest_id`, memory alone, at 10 a unit.
Contract Of(ContractId id, GuestId guest_id, int64_t units, RoundId from, RoundId until) {
  return {.contract_id = id,
          .guest_id = guest_id,
          .tenant_id = "ann",
          .lots = {{kMemory, units, 10 * units}},
          .from_round_id = from,
          .until_round_id = until,
          .period = absl::Seconds(60),
          .escrow_microcredits = 10 * units};
}

TEST(ContractsTest, AnAwardIsTheContractOfOneRound) {
  OpenContracts open;
  open.Put(Of(1, 7, 5, 3, 4));
  for (RoundId round = 1; round < 6; ++round) {
    EXPECT_EQ(open.HeldUnits(7, kMemory, round), round == 3 ? 5 : 0);
    EXPECT_EQ(open.PromisedUnits(7, kMemory, round), round == 3 ? 5 : 0);
  }
  EXPECT_EQ(open.HeldUnits(7, kCpu, 3), 0);
  EXPECT_EQ(open.HeldUnits(8, kMemory, 3), 0);
  EXPECT_EQ(open.EscrowOf("ann"), 50);
}

TEST(ContractsTest, AFutureTakesUnitsFromItsFirstRoundOn) {
  OpenContracts open;
  open.Put(Of(1, 7, 5, 3, 4));
  open.Put(Of(2, 7, 4, 4, 7));
  std::vector<int64_t> promised;
  for (RoundId round = 2; round < 8; ++round) {
    promised.push_back(open.PromisedUnits(7, kMemory, round));
  }
  EXPECT_EQ(promised, (std::vector<int64_t>{0, 5, 4, 4, 4, 0}));
}

TEST(ContractsTest, ASubletIsPartOfAContractForAsLongAsItLives) {
  OpenContracts open;
  open.Put(Of(1, 7, 5, 3, 9));
  Contract sublet = Of(2, 8, 2, 4, 6);
  sublet.part_of = 1;
  sublet.seller = "ann";
  sublet.tenant_id = "bob";
  ASSERT_TRUE(open.CheckPart(sublet).ok());
  open.Put(sublet);
  for (RoundId round = 3; round < 9; ++round) {
    const bool lives = round == 4 || round == 5;
    EXPECT_EQ(open.HeldUnits(7, kMemory, round), lives ? 3 : 5) << round;
    EXPECT_EQ(open.HeldUnits(8, kMemory, round), lives ? 2 : 0) << round;
    EXPECT_EQ(open.PromisedUnits(7, kMemory, round) + open.PromisedUnits(8, kMemory, round), 5)
        << "the host's own units are promised once";
  }
  // When it ends, its units are the lessor's again.
  sublet.ended = "bob cannot pay";
  open.Put(sublet);
  EXPECT_EQ(open.HeldUnits(7, kMemory, 4), 5);
  EXPECT_EQ(open.EscrowOf("bob"), 0);
}

TEST(ContractsTest, ASubletOutlivesAContractThatEndsEarly) {
  OpenContracts open;
  Contract whole = Of(1, 7, 5, 3, 9);
  open.Put(whole);
  Contract sublet = Of(2, 8, 2, 4, 6);
  sublet.part_of = 1;
  open.Put(sublet);
  whole.ended = "the guest was evicted";
  whole.escrow_microcredits = 0;
  open.Put(whole);
  EXPECT_EQ(open.PromisedUnits(7, kMemory, 4), 0);
  EXPECT_EQ(open.PromisedUnits(8, kMemory, 4), 2) << "it is the host's own promise now";
}

TEST(ContractsTest, NoMoreIsSubletThanThereIs) {
  OpenContracts open;
  open.Put(Of(1, 7, 5, 3, 9));
  const auto code = [&open](ContractId whole, int64_t units, RoundId from, RoundId until) {
    Contract part = Of(9, 8, units, from, until);
    part.part_of = whole;
    return open.CheckPart(part).code();
  };
  EXPECT_EQ(code(4, 1, 4, 5), absl::StatusCode::kNotFound);
  EXPECT_EQ(code(1, 6, 4, 5), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code(1, 5, 3, 9), absl::StatusCode::kOk);
  EXPECT_EQ(code(1, 1, 2, 5), absl::StatusCode::kInvalidArgument) << "before it begins";
  EXPECT_EQ(code(1, 1, 8, 10), absl::StatusCode::kInvalidArgument) << "after it ends";
  EXPECT_EQ(code(1, 1, 5, 5), absl::StatusCode::kInvalidArgument);
  for (const ContractId id : {2u, 3u}) {  // 3 units in rounds 4 and 5, 2 in 6 and 7.
    Contract part = Of(id, 8, id == 2 ? 3 : 2, id == 2 ? 4 : 6, id == 2 ? 6 : 8);
    part.part_of = 1;
    open.Put(part);
  }
  EXPECT_EQ(code(1, 2, 3, 9), absl::StatusCode::kOk);
  EXPECT_EQ(code(1, 3, 3, 9), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code(1, 3, 6, 9), absl::StatusCode::kOk);
  EXPECT_EQ(code(1, 5, 8, 9), absl::StatusCode::kOk);
}

// The ids of what is `open`'s own.
std::vector<ContractId> IdsIn(const OpenContracts& open,
                              const std::vector<const Contract*>& contracts) {
  std::vector<ContractId> ids;
  for (const Contract* contract : contracts) {
    EXPECT_EQ(contract, open.Find(contract->contract_id));
    ids.push_back(contract->contract_id);
  }
  return ids;
}

// A ledger writes three columns of a contract that goes on as it was.
TEST(ContractsTest, AnUpdateSaysWhetherItOnlySettles) {
  State state;
  state.tenants["ann"] = {.tenant_id = "ann"};
  const auto settles_only = [&state](const Contract& contract) {
    Scribe scribe(state, absl::FromUnixSeconds(1), "test");
    scribe.Write(UpdateContract{contract});
    return std::get<UpdateContract>(std::move(scribe).Finish().changes.at(0)).settles_only;
  };
  const Contract first = Of(1, 7, 5, 3, 9);
  state.contracts.Put(first);
  Contract settled = first;
  settled.escrow_microcredits = 3;
  settled.paid_microcredits = 47;
  settled.settled_through = absl::FromUnixSeconds(9);
  EXPECT_TRUE(settles_only(settled));
  EXPECT_EQ(*state.contracts.Find(1), settled);
  Contract other = settled;
  other.left_from_round_id = 5;
  EXPECT_FALSE(settles_only(other));
  other.left_because = kEndedLeft;
  EXPECT_FALSE(settles_only(other));
  other.fees_microcredits = 2;
  EXPECT_FALSE(settles_only(other));
  other.renew_ceiling_microcredits = 60;
  EXPECT_FALSE(settles_only(other));
  other.paid_microcredits = 48;
  EXPECT_TRUE(settles_only(other)) << "as it was put last";
  other.ended = kEndedLeft;
  other.escrow_microcredits = 0;
  EXPECT_FALSE(settles_only(other));
}

// Whatever is opened, changed and ended, the indexes say what looking at every contract says.
TEST(ContractsTest, IndexesSayWhatTheContractsSay) {
  const uint64_t seed = 20261130;
  Random random(seed);
  OpenContracts open;
  std::map<ContractId, Contract> all;
  for (int i = 0; i < 3'000; ++i) {
    const auto id = static_cast<ContractId>(random.Uniform(1, 40));
    if (const auto it = all.find(id); it != all.end()) {
      it->second.escrow_microcredits = random.Uniform(0, 90);
      if (random.OneIn(3)) {
        it->second.ended = "x";
        open.Put(it->second);
        all.erase(it);
      } else {
        open.Put(it->second);
      }
    } else {
      const auto from = static_cast<RoundId>(random.Uniform(1, 9));
      Contract fresh = Of(id, static_cast<GuestId>(random.Uniform(1, 4)), random.Uniform(1, 9),
                          from, from + static_cast<RoundId>(random.Uniform(1, 5)));
      fresh.tenant_id = std::string(1, static_cast<char>('a' + random.Uniform(0, 2)));
      if (random.OneIn(3)) fresh.part_of = static_cast<ContractId>(random.Uniform(1, 40));
      all[id] = fresh;
      open.Put(fresh);
    }
    const auto round = static_cast<RoundId>(random.Uniform(1, 12));
    const auto guest = static_cast<GuestId>(random.Uniform(1, 4));
    int64_t promised = 0;
    std::map<TenantId, Microcredits> escrows;
    for (const auto& [contract_id, contract] : all) {
      if (contract.escrow_microcredits > 0) {
        escrows[contract.tenant_id] += contract.escrow_microcredits;
      }
      if (contract.guest_id == guest && AliveIn(contract, round) &&
          (contract.part_of == 0 || !all.contains(contract.part_of) ||
           EndOf(all.at(contract.part_of)) <= round)) {
        promised += UnitsOf(contract, kMemory);
      }
    }
    ASSERT_EQ(open.all(), all);
    std::vector<ContractId> of_guest;
    std::vector<ContractId> parts;
    for (const auto& [contract_id, contract] : all) {
      if (contract.guest_id == guest) of_guest.push_back(contract_id);
      if (contract.part_of == 7) parts.push_back(contract_id);
    }
    // What a copy says is of its own contracts, and stays when the other one's change.
    const OpenContracts copy = open;
    for (const OpenContracts* const one :
         std::initializer_list<const OpenContracts*>{&open, &copy}) {
      ASSERT_EQ(IdsIn(*one, one->Of(guest)), of_guest) << "seed " << seed << ", step " << i;
      ASSERT_EQ(IdsIn(*one, one->PartsOf(7)), parts) << "seed " << seed << ", step " << i;
    }
    ASSERT_EQ(copy, open);
    ASSERT_EQ(open.escrows(), escrows) << "seed " << seed << ", step " << i;
    ASSERT_EQ(open.PromisedUnits(guest, kMemory, round), promised);
  }
}

MeteredInterval Minute(int64_t memory_units, int64_t cpu_units) {
  constexpr int64_t kUs = 60'000'000;
  return {.age_us = kUs,
          .alive_us = kUs,
          .amounts = {{.kind = kCpu, .offered_unit_us = cpu_units * kUs},
                      {.kind = kMemory, .offered_unit_us = memory_units * kUs}}};
}

std::vector<Microcredits> Dues(const std::vector<LotBill>& bills) {
  std::vector<Microcredits> dues;
  for (const LotBill& bill : bills) dues.push_back(bill.due_microcredits);
  return dues;
}

TEST(BillContractsTest, TheOldestIsFilledFirst) {
  Contract both = Of(1, 7, 5, 3, 9);
  both.lots.insert(both.lots.begin(), {kCpu, 4, 400});
  const Contract award = Of(2, 7, 3, 4, 5);
  const std::vector<Holding> seeds = {{.kind = kMemory, .seed_units = 2}};
  const auto bill = [&](const MeteredInterval& interval) {
    return Dues(BillContracts({{&both}, {&award}}, seeds, interval));
  };
  EXPECT_EQ(bill(Minute(10, 4)), (std::vector<Microcredits>{400, 50, 30}));
  EXPECT_EQ(bill(Minute(8, 3)), (std::vector<Microcredits>{300, 50, 10}));
  EXPECT_EQ(bill(Minute(4, 0)), (std::vector<Microcredits>{0, 20, 0}));
  EXPECT_EQ(bill(Minute(1, 0)), (std::vector<Microcredits>{0, 0, 0})) << "not even the seed";
}

TEST(BillContractsTest, WhatIsPassedOnIsPaidByBoth) {
  const Contract whole = Of(1, 7, 5, 3, 9);
  Contract part = Of(2, 8, 2, 4, 6);
  // Guest 7 was offered the 3 units that it kept; guest 8 the 2 that it got.
  EXPECT_EQ(Dues(BillContracts({{&whole, {{kMemory, 2}}}}, {}, Minute(3, 0))),
            (std::vector<Microcredits>{50}));
  EXPECT_EQ(Dues(BillContracts({{&part}}, {}, Minute(2, 0))), (std::vector<Microcredits>{20}));
  EXPECT_EQ(Dues(BillContracts({{&whole, {{kMemory, 9}}}}, {}, Minute(0, 0))),
            (std::vector<Microcredits>{50}))
      << "no more than it has";
}

TEST(Contracts, WhyOneEndedIsAWordThatCanBeCounted) {
  EXPECT_EQ(EndWord(kEndedOver), "over");
  EXPECT_EQ(EndWord(absl::StrCat(kEndedNotRenewed, ": its ceiling is 5")), "not_renewed");
  EXPECT_EQ(EndWord(absl::StrCat(kEndedUnpaid, ": shop has 3")), "unpaid");
  EXPECT_EQ(EndWord("the moon was full"), "other");
}

}  // namespace
}  // namespace nom::market
