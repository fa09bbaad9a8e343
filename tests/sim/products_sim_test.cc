// SPDX-License-Identifier: Apache-2.0
// Each step of each product, met by a death, a full disk, a broken disk, a blip and a stall: what
// was asked for is done once, whatever came between, and all that is promised holds all the while.
//
// One history is played in peace, and then once for each step and fault. Steps are transactions by
// their kind: those that a call makes, and those that the market makes by itself.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "marketd/market/audit.h"
#include "marketd/market/tiers.h"
#include "tests/sanitized.h"
#include "tests/sim/world.h"

namespace nom::market {
namespace {

constexpr auto kMemory = ResourceKind::kMemory;
constexpr auto kCpu = ResourceKind::kCpu;
constexpr int64_t kCapacity = 256;
constexpr Microcredits kPlenty = 10'000'000;
constexpr int64_t kFloorEvery = 3;
constexpr int64_t kFloor = 6;

// What may come just before a step is durable, or with it, or right after it.
enum class Fault { kNone, kDeath, kFullDisk, kBrokenDisk, kBlip, kStall };
constexpr Fault kFaults[] = {Fault::kDeath, Fault::kFullDisk, Fault::kBrokenDisk, Fault::kBlip,
                             Fault::kStall};
constexpr const char* kSteps[] = {
    "guest admitted", "guest running",   "quote given",       "contract bought",
    "sublet offered", "offer withdrawn", "renewal set",       "contracts renewed",
    "contract left",  "tier set",        "tier floors given", "tier cleared",
    "round decided",  "round settled",   "guest ended",       "guest evicting"};

class History {
 public:
  History(std::string step, Fault fault)
      : step_(std::move(step)), fault_(fault), world_(MakeOptions()) {
    world_.on_transaction = [this](const Transaction& t) { Look(t); };
  }

  // What became of all that was asked for.
  struct Result {
    std::multiset<std::string> contracts;  // Those that were bought, passed on or given.
    int floors = 0;
    bool was_met = false;  // The fault came.
    int restarts = 0;
  };

  Result Play() {
    Begin();
    const GuestId legacy = Done(WithBundle("legacy", /*by_tenant=*/false)).guest_id;
    const GuestId own = Done(WithBundle("own", /*by_tenant=*/true)).guest_id;
    const GuestId lowest = Done(Admission("ann", "lowest")).guest_id;
    const GuestId bidder = Done(Admission("bob", "bidder")).guest_id;
    Done(PlaceBid{.request_id = NewId(),
                  .guest_id = bidder,
                  .kind = kMemory,
                  .ranges = {{0, kCapacity, 0, 5'000}}});
    Done(SetTier{NewId(), lowest, "economy", {{kMemory, 20}, {kCpu, 10}}, kPlenty});
    Rounds(2);

    // A contract that is renewed once, of which a part is passed on.
    const ContractId whole = Buy(legacy, 20, 4, /*later=*/0, kPlenty);
    const Reply offer = Done(OfferSublet{.request_id = NewId(),
                                         .contract_id = whole,
                                         .lots = {{kMemory, 5, 900}},
                                         .to_guest_id = bidder,
                                         .rounds = 2,
                                         .valid_for = absl::Hours(1)});
    Done(TakeOffer{NewId(), offer.offer_id, bidder, 0});
    const Reply other = Done(OfferSublet{.request_id = NewId(),
                                         .contract_id = whole,
                                         .lots = {{kMemory, 3, 900}},
                                         .rounds = 1,
                                         .valid_for = absl::Hours(1)});
    Done(WithdrawOffer{NewId(), other.offer_id});
    // A future, and one that is left.
    Buy(own, 10, 3, /*later=*/4, 0);
    const ContractId left = Buy(bidder, 8, 30, /*later=*/0, kPlenty);
    Rounds(1);
    Done(SetRenewal{NewId(), left, 1});
    Done(LeaveContract{NewId(), left});
    Rounds(6);
    Done(ClearTier{NewId(), lowest});
    Rounds(2);
    Done(EndGuest{NewId(), own});
    Done(EvictGuest{NewId(), legacy});
    Rounds(2);
    End();
    result_.restarts = world_.restarts;
    return result_;
  }

 private:
  static World::Options MakeOptions() {
    World::Options options;
    options.config.hosts = {TestHostConfig("h", absl::Seconds(10))};
    HostConfig& host = options.config.hosts[0];
    for (Resource& resource : host.resources) {
      resource.forward = ForwardSale{.share_ppm = 500'000, .look_back_rounds = 20};
      resource.forward->policy.rounds_max = 100;
    }
    host.quotes_valid = absl::Hours(1);
    host.tiers = {{.name = "economy",
                   .price_multiple_ppm = 1'000'000,
                   .floor_units = {{kCpu, kFloor}, {kMemory, kFloor}},
                   .floor_every_rounds = kFloorEvery}};
    host.quota = {.guests_max = 9, .seed_units = {{kCpu, 100}, {kMemory, 100}}};
    options.hosts["h"] = TestHostOptions(1);
    options.hosts["h"].guests_bid = false;
    return options;
  }

  std::string NewId() { return absl::StrCat("id-", ++ids_); }

  AdmitGuest Admission(const TenantId& tenant_id, const std::string& name) {
    return {.request_id = NewId(),
            .host_id = "h",
            .tenant_id = tenant_id,
            .name = name,
            .image = "image",
            .seeds = {{kCpu, 10}, {kMemory, 16}}};
  }
  AdmitGuest WithBundle(const std::string& name, bool by_tenant) {
    AdmitGuest call = Admission("ann", name);
    call.bundle = Bundle{.lots = {{kMemory, 12}}, .rounds = 3, .ceiling_microcredits = kPlenty};
    call.by_tenant = by_tenant;
    return call;
  }

  // Asks until it is answered: who retries under one id gets what it asked for, once.
  Reply Done(const Call& call) {
    const auto* admit = std::get_if<AdmitGuest>(&call);
    const bool by_operator =
        (admit != nullptr && !admit->by_tenant) || std::holds_alternative<EvictGuest>(call) ||
        std::holds_alternative<CreateTenant>(call) || std::holds_alternative<Deposit>(call);
    Caller caller{.is_operator = by_operator, .tenant_id = by_operator ? "" : TenantOf(call)};
    Reply reply;
    for (int i = 0; i < 50; ++i) {
      reply = world_.Ask(caller, call);
      Check();
      if (!absl::IsUnavailable(reply.status) && !absl::IsAborted(reply.status)) break;
      world_.Run(absl::Seconds(1));  // Until its host is there again.
    }
    EXPECT_TRUE(reply.status.ok()) << reply.status << " for call " << call.index();
    return reply;
  }
  TenantId TenantOf(const Call& call) {
    const auto of_guest = [&](GuestId guest_id) {
      const auto guest = world_.state().guests.find(guest_id);
      return guest == world_.state().guests.end() ? TenantId("ann") : guest->second.tenant_id;
    };
    if (const auto* bid = std::get_if<PlaceBid>(&call)) return of_guest(bid->guest_id);
    if (const auto* quote = std::get_if<GetQuote>(&call)) return of_guest(quote->guest_id);
    if (const auto* take = std::get_if<TakeOffer>(&call)) return of_guest(take->guest_id);
    if (const auto* set = std::get_if<SetRenewal>(&call)) return OwnerOf(set->contract_id);
    if (const auto* leave = std::get_if<LeaveContract>(&call)) return OwnerOf(leave->contract_id);
    return "ann";
  }
  TenantId OwnerOf(ContractId contract_id) { return owners_.at(contract_id); }

  void Begin() {
    world_.Settle();
    for (const char* tenant : {"ann", "bob"}) {
      Done(CreateTenant{NewId(), tenant, tenant, "hash"});
      Done(Deposit{NewId(), tenant, 1'000'000'000});
    }
  }

  ContractId Buy(GuestId guest_id, int64_t units, int64_t rounds, RoundId later,
                 Microcredits ceiling) {
    const RoundId from =
        later == 0 ? 0 : world_.state().hosts.at("h").last_decided_round_id + later;
    const Reply quote = Done(GetQuote{NewId(), guest_id, {{kMemory, units}}, from, rounds});
    const Reply taken = Done(TakeOffer{NewId(), quote.offer_id, guest_id, ceiling});
    return taken.contract_id;
  }

  // So many rounds take effect, whatever comes between.
  void Rounds(int count) {
    const auto in_force = [this] {
      const auto book = world_.state().hosts.find("h");
      return book == world_.state().hosts.end() ? 0 : book->second.in_force_round_id;
    };
    const RoundId until = in_force() + static_cast<RoundId>(count);
    for (int i = 0; in_force() < until; ++i) {
      ASSERT_LT(i, 1'000) << "no round comes any more";
      world_.Run(absl::Seconds(1));
      if (std::exchange(blip_, false)) world_.Tell("h", HostLost{"a blip"});
      if (std::exchange(stall_, false)) world_.Stall(absl::Seconds(25));
      Check();
    }
  }

  // As the engine makes a transaction, before it is durable.
  void Look(const Transaction& transaction) {
    for (const Change& change : transaction.changes) {
      if (const auto* open = std::get_if<OpenContract>(&change)) {
        owners_[open->contract.contract_id] = open->contract.tenant_id;
      }
      if (const auto* put = std::get_if<PutRound>(&change)) CheckRound(*put);
    }
    if (transaction.kind != step_ || was_set_ || fault_ == Fault::kNone) return;
    was_set_ = true;
    switch (fault_) {
      case Fault::kNone:
        break;
      case Fault::kDeath:
        world_.DieBefore(step_);
        break;
      case Fault::kFullDisk:
        world_.FailDiskAt(step_, /*is_full=*/true);
        break;
      case Fault::kBrokenDisk:
        world_.FailDiskAt(step_, /*is_full=*/false);
        break;
      case Fault::kBlip:
        blip_ = true;
        break;
      case Fault::kStall:
        stall_ = true;
        break;
    }
  }

  // What is auctioned is what seeds and contracts leave, and the lowest tier has its turn.
  void CheckRound(const PutRound& put) {
    const State& state = world_.state();
    const RoundId round_id = put.round.round_id;
    for (const ResourcePrice& price : put.round.prices) {
      const int64_t capacity = price.kind == kCpu ? 300 : kCapacity;
      EXPECT_LE(price.sold_units, price.supply_units);
      EXPECT_EQ(price.supply_units + price.contracted_units + state.Host("h").SeedUnits(price.kind),
                capacity)
          << "of " << KindName(price.kind) << " in round " << round_id;
    }
    for (const auto& [guest_id, tier] : state.tiers) {
      if (state.guests.at(guest_id).state != GuestState::kRunning) continue;
      int64_t floor = 0;
      for (const Contract* contract : state.contracts.AliveIn(guest_id, round_id)) {
        if (IsFloor(*contract)) floor += UnitsOf(*contract, kMemory);
      }
      const bool is_turn =
          static_cast<int64_t>(round_id % static_cast<RoundId>(kFloorEvery)) == tier.slot;
      EXPECT_EQ(floor, is_turn ? kFloor : 0) << "round " << round_id;
    }
  }

  // At any instant.
  void Check() {
    const State& state = world_.state();
    EXPECT_EQ(CheckBooks(state), "");
    EXPECT_TRUE(world_.refusals.empty()) << world_.refusals.front();
    const auto book = state.hosts.find("h");
    const RoundId next = book == state.hosts.end() ? 1 : book->second.last_decided_round_id + 1;
    // Capacity, in every round to come: seeds and all that is promised.
    for (const ResourceKind kind : {kCpu, kMemory}) {
      for (RoundId round_id = next; round_id < next + 40; ++round_id) {
        int64_t sum = 0;
        for (const auto& [guest_id, guest] : state.guests) {
          if (guest.state != GuestState::kEnded) sum += guest.seed_units(kind);
          sum += state.contracts.PromisedUnits(guest_id, kind, round_id);
        }
        EXPECT_LE(sum, kind == kCpu ? 300 : kCapacity) << "promised twice, in round " << round_id;
      }
    }
    // What is set aside for a contract covers leaving it, at all times.
    for (const auto& [contract_id, contract] : state.contracts.all()) {
      if (!IsForward(contract) || contract.left_from_round_id != 0) continue;
      const GuestState guest = state.guests.at(contract.guest_id).state;
      if (guest != GuestState::kRunning) continue;
      EXPECT_GE(contract.escrow_microcredits, FeeFrom(contract, next)) << contract_id;
      if (next <= contract.from_round_id) {
        EXPECT_GE(contract.escrow_microcredits, ToCover(contract, 0)) << contract_id;
      }
    }
    const SimulatedHost& host = world_.host("h");
    EXPECT_EQ(host.unannounced_units(), 0) << "taken without a notice";
    for (const auto& [guest_id, guest] : host.guests()) {
      for (const Holding& seed : guest.spec.seeds) {
        if (guest.ended) continue;
        EXPECT_GE(guest.units.at(seed.kind), seed.seed_units) << guest_id;
      }
    }
  }

  // All guests leave; nothing is left, and the ledger tells what was asked for, each once.
  void End() {
    result_.was_met = was_set_;
    std::vector<GuestId> guests;
    for (const auto& [guest_id, guest] : world_.state().guests) guests.push_back(guest_id);
    for (const GuestId guest_id : guests) Done(EvictGuest{NewId(), guest_id});
    world_.Run(absl::Seconds(25));
    EXPECT_TRUE(world_.state().contracts.all().empty());
    EXPECT_TRUE(world_.state().tiers.empty());
    for (const auto& [owner, purse] : world_.state().purses) EXPECT_EQ(purse.escrow, 0) << owner;
    const auto audit = Audit(world_.ledger().reader(), ClearByRule);
    ASSERT_TRUE(audit.ok()) << audit.status();
    EXPECT_TRUE(audit->balanced()) << audit->findings[0];
    const auto look = world_.ledger().reader().Look(kMarketBook);
    ASSERT_TRUE(look.ok()) << look.status();
    const absl::Status read =
        (*look)->ReadTransactions(0, UINT64_MAX, [this](const ChainedTransaction& t) {
          for (const Contract& contract : t.opened) {
            if (IsFloor(contract)) ++result_.floors;
            if (IsAward(contract) || IsFloor(contract)) continue;
            result_.contracts.insert(
                absl::StrCat(t.kind, ": ", contract.lots.front().units, " for ",
                             contract.until_round_id - contract.from_round_id, " rounds",
                             contract.part_of == 0 ? "" : ", sublet"));
          }
          return absl::OkStatus();
        });
    ASSERT_TRUE(read.ok()) << read;
  }

  const std::string step_;
  const Fault fault_;
  World world_;
  Result result_;
  std::map<ContractId, TenantId> owners_;
  int ids_ = 0;
  bool was_set_ = false;
  bool blip_ = false;
  bool stall_ = false;
};

TEST(ProductsSim, EachStepIsDoneOnceWhateverComesBetween) {
  const History::Result peace = History("", Fault::kNone).Play();
  ASSERT_FALSE(testing::Test::HasFailure());
  EXPECT_EQ(peace.contracts.count("guest admitted: 12 for 3 rounds"), 2u);
  EXPECT_EQ(peace.contracts.count("contract bought: 5 for 2 rounds, sublet"), 1u);
  EXPECT_GE(peace.contracts.count("contracts renewed: 20 for 4 rounds"), 1u);
  EXPECT_GE(peace.contracts.count("contracts renewed: 12 for 3 rounds"), 3u);
  EXPECT_GE(peace.floors, 3);
  const auto bought = [](const History::Result& result) {
    std::multiset<std::string> out;
    for (const std::string& contract : result.contracts) {
      // How often a contract is renewed is a matter of how many rounds a fault cost.
      if (contract.rfind("contracts renewed", 0) != 0) out.insert(contract);
    }
    return out;
  };
  std::map<Fault, int> restarts;
  for (size_t i = 0; i < std::size(kSteps); ++i) {
    const char* const step = kSteps[i];
    for (size_t j = 0; j < std::size(kFaults); ++j) {
      const Fault fault = kFaults[j];
      // Under sanitizers one of the faults at each step.
      if (kIsSanitized && i % std::size(kFaults) != j) continue;
      SCOPED_TRACE(absl::StrCat("fault ", static_cast<int>(fault), " at: ", step));
      const History::Result result = History(step, fault).Play();
      EXPECT_TRUE(result.was_met) << "the history has no such step";
      EXPECT_EQ(bought(result), bought(peace));
      restarts[fault] += result.restarts;
      if (testing::Test::HasFailure()) return;
    }
  }
  if (kIsSanitized) return;
  const int steps = static_cast<int>(std::size(kSteps));
  EXPECT_EQ(restarts[Fault::kDeath], steps);
  EXPECT_EQ(restarts[Fault::kBrokenDisk], steps);
  EXPECT_GT(restarts[Fault::kFullDisk], 0) << "where the log had to grow";
  EXPECT_EQ(restarts[Fault::kBlip] + restarts[Fault::kStall], 0);
}

}  // namespace
}  // namespace nom::market
