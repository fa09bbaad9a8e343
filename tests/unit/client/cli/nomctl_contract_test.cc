// SPDX-License-Identifier: Apache-2.0
// What nomctl says and asks of contracts and offers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/client/cli/nomctl_fixture.h"

namespace nom::client_test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(NomctlTest, ContractsQuotedBoughtAndLeft) {
  market_.Configure([](FakeMarket& market) {
    market.quote.set_offer_id(9);
    pb::Offer* offer = market.quote.mutable_offer();
    offer->set_offer_id(9);
    offer->set_guest_id(3);
    pb::Lot* lot = offer->add_lots();
    lot->set_kind(pb::RESOURCE_KIND_CPU);
    lot->set_units(50);
    lot->set_charge_microcredits(700);
    offer->set_rounds(60);
    offer->mutable_valid_until()->set_seconds(1'795'946'400);
    offer->set_own(true);
    *market.offers.add_offers() = *offer;
    pb::Offer* sublet = market.offers.add_offers();
    *sublet = *offer;
    sublet->set_offer_id(10);
    sublet->set_part_of(4);
    sublet->set_guest_id(0);
    sublet->set_from_round_id(8);
    sublet->set_own(false);
    pb::Contract* contract = market.contracts.add_contracts();
    contract->set_contract_id(12);
    contract->set_guest_id(3);
    contract->set_kind(pb::CONTRACT_KIND_FORWARD);
    *contract->add_lots() = *lot;
    contract->set_from_round_id(7);
    contract->set_until_round_id(67);
    contract->set_escrow_microcredits(800);
    contract->set_paid_microcredits(450);
    contract->set_renew_ceiling_microcredits(750);
    contract = market.contracts.add_contracts();
    contract->set_contract_id(13);
    contract->set_guest_id(3);
    contract->set_kind(pb::CONTRACT_KIND_SUBLET);
    contract->set_part_of(4);
    *contract->add_lots() = *lot;
    contract->set_from_round_id(7);
    contract->set_until_round_id(67);
    contract->set_left_from_round_id(9);
    contract->set_end_reason("its holder\033 left it");
  });
  EXPECT_EQ(Run({"quote", "cache", "memory=10MiB,cpu=50", "--rounds", "60", "--from", "8"}).out,
            "offer 9: cpu=50 for 60 rounds from the next, 700 micro-credits a round, good until "
            "2026-11-29 10:00:00Z\nnomctl buy 9 --guest cache takes it\n");
  EXPECT_EQ(Run({"quote", "cache", "cpu=500m", "--rounds", "1"}).exit_code, 0);
  EXPECT_EQ(Run({"buy", "9", "--guest", "cache", "--renew-ceiling", "3cr"}).out,
            "contract 12 from round 7 on\n");
  EXPECT_EQ(Run({"take", "10", "--guest", "cache"}).exit_code, 0);
  EXPECT_EQ(Run({"sublet", "12", "cpu=2@30", "--rounds", "5", "--to", "id:7", "--valid-for", "30m"})
                .exit_code,
            0);
  EXPECT_EQ(Run({"withdraw-offer", "9"}).out, "offer 9 is withdrawn\n");
  EXPECT_EQ(Run({"leave", "12"}).out, "contract 12 ends before round 8\n");
  EXPECT_EQ(Run({"renew", "12", "--ceiling", "0"}).out, "contract 12 is not renewed\n");
  EXPECT_THAT(
      Writes(),
      ElementsAre("GetQuote guest_id: 3 lots { kind: RESOURCE_KIND_MEMORY units: 10 } lots { kind: "
                  "RESOURCE_KIND_CPU units: 50 } from_round_id: 8 rounds: 60",
                  "GetQuote guest_id: 3 lots { kind: RESOURCE_KIND_CPU units: 50 } rounds: 1",
                  "TakeOffer offer_id: 9 guest_id: 3 renew_ceiling_microcredits: 3000000",
                  "TakeOffer offer_id: 10 guest_id: 3",
                  "OfferSublet contract_id: 12 lots { kind: RESOURCE_KIND_CPU units: 2 "
                  "charge_microcredits: 60 } to_guest_id: 7 rounds: 5 valid_for_seconds: 1800",
                  "WithdrawOffer offer_id: 9", "LeaveContract contract_id: 12",
                  "SetRenewal contract_id: 12"));
  EXPECT_EQ(Run({"contracts"}).out,
            "id  guest  what         lots    from  before  a round  paid  escrow  renewed up to  "
            "ends\n"
            "12      3  forward      cpu=50     7      67      700   450     800            750\n"
            "13      3  sublet of 4  cpu=50     7       9      700     0       0              -  "
            "its holder? left it\n");
  EXPECT_EQ(Run({"offers"}).out,
            "id  what         for guest  lots        from  rounds  a round  good until            "
            "yours\n"
            " 9  quote        3          cpu=50  the next      60      700  2026-11-29 10:00:00Z  "
            "yes\n"
            "10  sublet of 4  any        cpu=50         8      60      700  2026-11-29 "
            "10:00:00Z\n");
  EXPECT_EQ(Json(Run({"contracts", "--guest", "cache", "--json"}))
                .fields()
                .at("contracts")
                .list_value()
                .values_size(),
            2);
  EXPECT_EQ(Json(Run({"offers", "--json"})).fields().at("offers").list_value().values_size(), 2);
  EXPECT_EQ(Json(Run({"quote", "cache", "cpu=5", "--rounds", "1", "--json"}))
                .fields()
                .at("offer_id")
                .number_value(),
            9);
}

TEST_F(NomctlTest, ContractsThatCannotBeMeant) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"quote", "cache", "memory=10"},
           {"quote", "cache", "memory", "--rounds", "1"},
           {"quote", "cache", "gold=1", "--rounds", "1"},
           {"quote", "cache", "memory=-1", "--rounds", "1"},
           {"quote", "cache", "memory=10x", "--rounds", "1"},
           {"quote", "cache", "memory=1500KiB", "--rounds", "1"},
           {"quote", "cache", "disk=5IOPS", "--rounds", "1"},
           {"quote", "cache", "device=1MiB", "--rounds", "1"},
           {"quote", "cache", "memory=1", "--rounds", "0"},
           {"quote", "cache", "memory=1", "--rounds", "1", "--from", "0"},
           {"buy", "9"},
           {"buy", "0", "--guest", "cache"},
           {"buy", "9", "--guest", "cache", "--renew-ceiling", "-1"},
           {"take", "9", "--guest", "cache", "--renew-ceiling", "1"},
           {"sublet", "12", "--rounds", "1"},
           {"sublet", "12", "memory=1", "--rounds", "1"},
           {"sublet", "12", "memory=1@-1", "--rounds", "1"},
           {"sublet", "12", "memory=2@9223372036854775807", "--rounds", "1"},
           {"sublet", "12", "memory=1@1", "--rounds", "1", "--to", "cache"},
           {"leave", "first"},
           {"renew", "12"}}) {
    EXPECT_EQ(Run(arguments).exit_code, 2) << testing::PrintToString(arguments);
  }
  EXPECT_THAT(Writes(), IsEmpty());
}

TEST_F(NomctlTest, TiersRequestsAndBundles) {
  market_.Configure([](FakeMarket& market) {
    market.quota.set_guests_max(2);
    market.quota.set_guests(1);
    pb::Quantity* seed = market.quota.add_seeds_max();
    seed->set_kind(pb::RESOURCE_KIND_CPU);
    seed->set_units(20);
    *market.quota.add_seeds() = *seed;
    market.quota.mutable_seeds(0)->set_units(5);
    pb::Contract* contract = market.contracts.add_contracts();
    contract->set_contract_id(12);
    contract->set_guest_id(3);
    contract->set_kind(pb::CONTRACT_KIND_FORWARD);
    contract->set_from_round_id(7);
    contract->set_until_round_id(67);
    contract->set_end(pb::CONTRACT_END_NOT_RENEWED);
    contract->set_end_reason("its rounds are over: not renewed: too dear");
    contract->set_fees_microcredits(9);
  });
  EXPECT_EQ(
      Run({"tier", "cache", "--tier", "gold", "--most", "memory=10MiB,cpu=50", "--ceiling", "2cr"})
          .out,
      "the market bids for it from round 7 on, for up to memory=10,cpu=50\n");
  EXPECT_EQ(Run({"tier", "cache", "--none"}).out, "it bids itself again\n");
  EXPECT_EQ(Run({"request", "--name", "own", "--image", "batch", "--seed", "memory=10MiB,cpu=5",
                 "--bundle", "cpu=500m", "--ceiling", "3cr"})
                .out,
            "guest 5 runs, by contract 12\n");
  EXPECT_EQ(Run({"request", "--name", "own", "--image", "batch"}).out, "guest 5 runs\n");
  EXPECT_EQ(Run({"admit", "--host", "host-a", "--tenant", "shop", "--name", "own", "--image",
                 "batch", "--bundle", "cpu=5", "--bundle-rounds", "9", "--ceiling", "7"})
                .exit_code,
            0);
  EXPECT_THAT(
      Writes(),
      ElementsAre(
          "SetTier guest_id: 3 tier: \"gold\" most { kind: RESOURCE_KIND_MEMORY units: 10 } most { "
          "kind: RESOURCE_KIND_CPU units: 50 } ceiling_microcredits: 2000000",
          "ClearTier guest_id: 3",
          "RequestGuest name: \"own\" image: \"batch\" seeds { kind: RESOURCE_KIND_MEMORY units: "
          "10 "
          "} seeds { kind: RESOURCE_KIND_CPU units: 5 } bundle { lots { kind: RESOURCE_KIND_CPU "
          "units: 50 } rounds: 60 ceiling_microcredits: 3000000 }",
          "RequestGuest name: \"own\" image: \"batch\"",
          "AdmitGuest host_id: \"host-a\" tenant_id: \"shop\" name: \"own\" image: \"batch\" "
          "bundle { lots { kind: "
          "RESOURCE_KIND_CPU units: 5 } rounds: 9 ceiling_microcredits: 7 }"));
  EXPECT_EQ(Run({"quota"}).out,
            "of        has  may have\nguests      1         2\nseed cpu    5        20\n");
  EXPECT_EQ(
      Run({"contracts", "--ended"}).out,
      "id  guest  what     lots  from  before  a round  paid  fee  renewed up to  ended\n"
      "12      3  forward           7      67        0     0    9              -  its rounds are "
      "over: not renewed: too dear\n");
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"tier", "cache"},
           {"tier", "cache", "--tier", "gold", "--most", "memory=1"},
           {"tier", "cache", "--tier", "gold", "--most", "memory=1", "--ceiling", "0"},
           {"tier", "cache", "--tier", "gold", "--most", "gold=1", "--ceiling", "1"},
           {"tier", "cache", "--none", "--tier", "gold"},
           {"request", "--image", "batch"},
           {"request", "--name", "own", "--image", "batch", "--bundle", "cpu=1"},
           {"request", "--name", "own", "--image", "batch", "--ceiling", "1"},
           {"request", "--name", "own", "--image", "batch", "--seed", "cpu"},
           {"contracts", "--ended", "--awards"}}) {
    EXPECT_EQ(Run(arguments).exit_code, 2) << testing::PrintToString(arguments);
  }
}

}  // namespace
}  // namespace nom::client_test
