// SPDX-License-Identifier: Apache-2.0
// A market under each objective in turn, under everything that goes wrong at once: commits that
// fail, a process that dies, hosts that refuse, reboot and are lost. With some starts the objective
// is another. Each round holds what its objective promises, and the audit clears all of them again.

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>

#include "absl/strings/str_cat.h"
#include "marketd/market/audit.h"
#include "policies/cases/case_file.h"
#include "tests/sim/world.h"

namespace nom::market {
namespace {

constexpr int kTenants = 4;
constexpr Microcredits kCeiling = 3'000;
constexpr ResourceKind kKinds[] = {ResourceKind::kCpu, ResourceKind::kMemory};

uint64_t SeedFromEnvironment(uint64_t otherwise) {
  const char* seed = std::getenv("NOM_SEED");
  return seed == nullptr ? otherwise : std::strtoull(seed, nullptr, 10);
}

void SetObjective(HostConfig& host, ObjectiveKind kind, Random& random) {
  host.objective = {.kind = kind,
                    .look_back_rounds = random.Uniform(1, static_cast<int64_t>(kPastAsksMax)),
                    .steepness = random.Uniform(1, policies::kSteepnessMax)};
  for (Resource& resource : host.resources) {
    const bool learns = kind == ObjectiveKind::kRevenue;
    resource.reserve_kind = learns ? policies::ReserveKind::kLearnt : policies::ReserveKind::kFixed;
    resource.reserve_ceiling_unit_price_microcredits = learns ? kCeiling : 0;
    resource.reserve_look_back_rounds = random.Uniform(8, 40);
  }
}

class ObjectiveDrill {
 public:
  explicit ObjectiveDrill(uint64_t seed)
      : random_(Mix64(seed ^ 0x0b1ec)), world_(MakeOptions(seed, random_)) {
    world_.on_transaction = [this](const Transaction& t) {
      for (const Change& change : t.changes) {
        if (const auto* put = std::get_if<PutRound>(&change)) CheckRound(*put);
      }
    };
  }

  void Play(int steps) {
    for (int t = 0; t < kTenants; ++t) {
      Send(CreateTenant{.request_id = NewId(), .tenant_id = Name(t)});
      Send(Deposit{NewId(), Name(t), random_.Uniform(10'000'000, 400'000'000)});
    }
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      Act();
      world_.Run(absl::Milliseconds(random_.Uniform(1, 900)));
      if (random_.OneIn(60)) Restart();
      EXPECT_EQ(CheckBooks(world_.state()), "");
    }
    world_.Settle();
    const auto audit = Audit(world_.ledger().reader(), {});
    ASSERT_TRUE(audit.ok()) << audit.status();
    EXPECT_TRUE(audit->balanced()) << audit->findings[0];
  }

  std::map<std::string, int> rounds;  // By objective.
  int weighed = 0;                    // Bids with a weight.
  int learnt = 0;                     // Reserves above the floor.

 private:
  static World::Options MakeOptions(uint64_t seed, Random& random) {
    World::Options options;
    options.seed = seed;
    options.config.seed = seed;
    options.config.hosts = {TestHostConfig("h", absl::Seconds(1))};
    options.config.hosts[0].guests_max = 8;
    SetObjective(options.config.hosts[0], ObjectiveKind::kLeastSatisfied, random);
    SimulatedHostOptions host = TestHostOptions(seed);
    host.guests_bid = false;
    host.faults = {.attach_fails = 3,
                   .apply_refused = 40,
                   .lost = 300,
                   .answer_lost = 60,
                   .reboots = 900,
                   .crashes = 200};
    options.hosts["h"] = host;
    options.commit_fails = 400;
    options.dies_after_command = 400;
    options.engine_late = 50;
    return options;
  }

  static TenantId Name(int t) { return absl::StrCat("t", t); }
  std::string NewId() { return absl::StrCat("id-", ++ids_); }
  void Send(Call call) { world_.Post(Caller{.is_operator = true}, std::move(call)); }

  void Act() {
    const TenantId tenant = Name(static_cast<int>(random_.Uniform(0, kTenants - 1)));
    std::vector<GuestId> guests;
    for (const auto& [guest_id, guest] : world_.state().guests) {
      if (guest.state == GuestState::kRunning) guests.push_back(guest_id);
    }
    if (guests.size() < 6 || random_.OneIn(40)) {
      Send(AdmitGuest{.request_id = NewId(),
                      .host_id = "h",
                      .tenant_id = tenant,
                      .name = NewId(),
                      .image = "image",
                      .seeds = {{ResourceKind::kCpu, 5}, {ResourceKind::kMemory, 5}}});
      return;
    }
    const GuestId guest_id =
        guests[static_cast<size_t>(random_.Uniform(0, static_cast<int64_t>(guests.size()) - 1))];
    if (random_.OneIn(50)) return Send(EvictGuest{NewId(), guest_id});
    if (random_.OneIn(20)) return Send(Deposit{NewId(), tenant, 50'000'000});
    const ResourceKind kind = kKinds[random_.Uniform(0, 1)];
    // Strong and weak tenants: the last bids a hundred times what the first does.
    const TenantId owner = world_.state().guests.at(guest_id).tenant_id;
    const Microcredits price = random_.Uniform(300, 3'000) * (owner == Name(0)   ? 1
                                                              : owner == Name(1) ? 10
                                                                                 : 100);
    const int64_t units = random_.Uniform(1, 200);
    std::vector<policies::Range> ranges = {{0, units, 0, price}};
    if (kind == ResourceKind::kMemory && random_.OneIn(3)) {
      ranges = {{units, units, units * price, 0},
                {units + 9, units + 30, units * price, price / 2}};
    }
    world_.Post(Caller{.tenant_id = owner}, PlaceBid{.request_id = NewId(),
                                                     .guest_id = guest_id,
                                                     .kind = kind,
                                                     .ranges = std::move(ranges)});
  }

  void Restart() {
    world_.Settle();
    if (random_.OneIn(2)) {
      SetObjective(world_.config().hosts[0], static_cast<ObjectiveKind>(random_.Uniform(0, 2)),
                   random_);
    }
    const State before = world_.state();
    world_.Restart(absl::Milliseconds(random_.Uniform(0, 1'500)));
    if (world_.state().last_transaction_id == before.last_transaction_id) {
      EXPECT_EQ(world_.state(), before) << "the ledger does not say what the engine knew";
    }
  }

  void CheckRound(const PutRound& put) {
    ++rounds[put.round.objective];
    std::map<ResourceKind, Microcredits> charged;
    for (const Outcome& outcome : put.round.outcomes) {
      charged[outcome.kind] += outcome.charge_microcredits;
    }
    for (size_t k = 0; k < put.round.prices.size(); ++k) {
      const ResourcePrice& price = put.round.prices[k];
      ASSERT_TRUE(price.measures);
      const RoundMeasures& measures = *price.measures;
      EXPECT_EQ(measures.revenue_microcredits, charged[price.kind]);
      ASSERT_TRUE(measures.welfare_microcredits && measures.welfare_bound_microcredits);
      EXPECT_LE(*measures.welfare_microcredits, *measures.welfare_bound_microcredits);
      EXPECT_LE(*measures.maximised_microcredits, *measures.maximised_bound_microcredits);
      EXPECT_LE(measures.moved_units, 3'000);
      const bool learns = put.round.objective == "revenue/1";
      EXPECT_EQ(measures.best_unit_price_microcredits.has_value(), learns);
      if (learns) {
        EXPECT_LE(price.reserve_unit_price_microcredits, kCeiling);
        if (price.reserve_unit_price_microcredits > 1'000) ++learnt;
      }
      const auto auction = policies::ParseAuction(put.auctions[k].auction);
      ASSERT_TRUE(auction.ok()) << auction.status();
      for (const policies::Bid& bid : auction->bids) {
        const bool is_weighed = bid.weight_ppm != policies::kWholeWeightPpm;
        if (is_weighed) ++weighed;
        EXPECT_TRUE(!is_weighed || put.round.objective == "least_satisfied/1");
      }
    }
  }

  Random random_;
  World world_;
  int ids_ = 0;
};

TEST(ObjectiveSim, EachKeepsItsPromisesWhateverFails) {
  const uint64_t first = SeedFromEnvironment(1);
  std::map<std::string, int> rounds;
  int weighed = 0;
  int learnt = 0;
  for (uint64_t seed = first; seed < first + 6 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("NOM_SEED=", seed));
    ObjectiveDrill drill(seed);
    drill.Play(500);
    for (const auto& [objective, count] : drill.rounds) rounds[objective] += count;
    weighed += drill.weighed;
    learnt += drill.learnt;
  }
  for (const auto& [objective, count] : rounds) {
    std::printf("%s: %d rounds\n", objective.c_str(), count);
  }
  std::printf("bids with a weight: %d, reserves above the floor: %d\n", weighed, learnt);
  EXPECT_EQ(rounds.size(), 3u);
  EXPECT_GT(weighed, 50);
  EXPECT_GT(learnt, 50);
}

}  // namespace
}  // namespace nom::market
