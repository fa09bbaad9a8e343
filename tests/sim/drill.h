// SPDX-License-Identifier: Apache-2.0
// A drill: does to a market what its users might and what machines, disks and clocks may do to it,
// and checks after everything that happens all that can be checked.

#ifndef TESTS_SIM_DRILL_H_
#define TESTS_SIM_DRILL_H_

#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "marketd/market/audit.h"
#include "marketd/market/bids.h"
#include "policies/cases/case_file.h"
#include "tests/sim/world.h"

namespace nom::market {

inline constexpr int kTenants = 4;

// What goes wrong in a drill.
enum class Weather {
  kPeace,   // Nothing but restarts, stalls and blips: what was held is paid, to the micro-credit.
  kFaults,  // Everything that may go wrong with honest machines.
  kLies,    // And machines that say what is not so, which may cost money, but break nothing.
};

// What a death may come just before: one for each step that is told to a host or comes of one.
inline constexpr const char* kDeaths[] = {
    "round decided",  "round settled",    "round released", "guest running",  "guest admitted",
    "guest evicting", "guest evicted",    "guest ended",    "guest refused",  "host booted",
    "bid placed",     "contract bought",  "contract left",  "sublet offered", "contracts renewed",
    "tier set",       "tier floors given"};

// Does to a market what its users might, and checks all that can be checked.
class Drill {
 public:
  Drill(uint64_t seed, Weather weather)
      : random_(Mix64(seed ^ 0xd4111)),
        faults_(weather != Weather::kPeace),
        lies_(weather == Weather::kLies),
        world_(MakeOptions(seed, weather)) {
    world_.on_transaction = [this](const Transaction& t) { CheckTransaction(t); };
    world_.on_start = [this] { ForgetUnsaid(); };
  }

  void Play(int steps) {
    for (int t = 0; t < kTenants; ++t) {
      const Reply made = world_.AskAsOperator(
          CreateTenant{.request_id = absl::StrCat("tenant-", t), .tenant_id = Name(t)});
      ASSERT_TRUE(made.status.ok() || absl::IsUnavailable(made.status)) << made.status;
    }
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      for (int64_t n = random_.Uniform(0, 3); n > 0; --n) Act();
      if (faults_ && random_.OneIn(3)) ActOnProducts();
      world_.Run(absl::Milliseconds(random_.Uniform(1, 900)));
      if (random_.OneIn(150)) {
        world_.Stall(absl::Milliseconds(random_.Uniform(0, 20'000)));
      }
      if (random_.OneIn(50)) {
        world_.Tell(random_.OneIn(2) ? "alpha" : "beta", HostLost{"a blip"});
      }
      if (faults_ && random_.OneIn(60)) {
        world_.DieBefore(kDeaths[random_.Uniform(0, std::size(kDeaths) - 1)]);
      }
      if (random_.OneIn(60)) RestartAndCompare();
      if (random_.OneIn(100)) SellContract();
      Check();
    }
  }

  // All guests leave; then nothing may be left in escrow and the audit must find nothing.
  void End() {
    SCOPED_TRACE("at the end");
    if (!faults_) CheckWhatWasHeldIsPaid();
    for (const char* host_id : {"alpha", "beta"}) world_.host(host_id).faults() = {};
    std::vector<GuestId> guests;
    for (const auto& [guest_id, guest] : world_.state().guests) guests.push_back(guest_id);
    for (const GuestId guest_id : guests) {
      Reply reply;
      for (int i = 0; i < 20; ++i) {  // A restart may come between.
        reply = world_.AskAsOperator(
            EvictGuest{.request_id = absl::StrCat("end-", guest_id), .guest_id = guest_id});
        if (!absl::IsUnavailable(reply.status)) break;
      }
      EXPECT_TRUE(reply.status.ok() || absl::IsNotFound(reply.status)) << reply.status;
    }
    world_.Run(absl::Seconds(10));
    EXPECT_TRUE(world_.state().guests.empty());
    for (const auto& [owner, purse] : world_.state().purses) EXPECT_EQ(purse.escrow, 0) << owner;
    const auto audit = Audit(world_.ledger().reader(), ClearByRule);
    ASSERT_TRUE(audit.ok()) << audit.status();
    EXPECT_TRUE(audit->balanced()) << audit->findings[0];
    CheckStatements();
    RoundId rounds = 0;
    for (const auto& [host_id, book] : world_.state().hosts) rounds += book.last_decided_round_id;
    EXPECT_EQ(audit->rounds_replayed, rounds);
    const auto look = world_.ledger().reader().Look(kMarketBook);
    ASSERT_TRUE(look.ok()) << look.status();
    const absl::Status read =
        (*look)->ReadTransactions(0, UINT64_MAX, [this](const ChainedTransaction& t) {
          ++kinds_[t.kind];
          for (const PutRound& put : t.decided) {
            for (const AuctionRecord& record : put.auctions) {
              if (record.fault.empty()) ++methods_[record.method];
            }
          }
          return absl::OkStatus();
        });
    ASSERT_TRUE(read.ok()) << read;
  }

  World& world() { return world_; }
  uint64_t decided() const { return decided_; }
  uint64_t sold() const { return sold_; }
  uint64_t contracts() const { return contracts_; }
  uint64_t sublets() const { return sublets_; }
  uint64_t floors() const { return floors_; }
  std::map<policies::Method, int>& methods() { return methods_; }
  std::map<std::string, int>& kinds() { return kinds_; }

 private:
  static World::Options MakeOptions(uint64_t seed, Weather weather) {
    const bool faults = weather != Weather::kPeace;
    World::Options options;
    options.seed = seed;
    options.config.seed = seed;
    options.config.hosts = {TestHostConfig("alpha", absl::Seconds(1)),
                            TestHostConfig("beta", absl::Milliseconds(2'500))};
    options.config.hosts[0].guests_max = 8;
    for (HostConfig& host : options.config.hosts) {
      for (Resource& resource : host.resources) {
        resource.forward = ForwardSale{.share_ppm = 300'000, .look_back_rounds = 20};
        resource.forward->policy.rounds_max = 10;
      }
      host.quotes_valid = absl::Seconds(5);
      host.tiers = {{.name = "economy",
                     .price_multiple_ppm = 1'000'000,
                     .floor_units = {{ResourceKind::kCpu, 3}, {ResourceKind::kMemory, 5}},
                     .floor_every_rounds = 4},
                    {.name = "gold", .price_multiple_ppm = 2'500'000}};
      host.quota = {.guests_max = 3,
                    .seed_units = {{ResourceKind::kCpu, 60}, {ResourceKind::kMemory, 60}}};
    }
    options.config.hosts[1].clearing_work_max = 2'400;  // Too little for its memory, now and then.
    for (const char* name : {"alpha", "beta"}) {
      SimulatedHostOptions host = TestHostOptions(seed + Hash64(name));
      if (faults) {
        host.faults = {.attach_fails = 3,
                       .create_refused = 10,
                       .apply_refused = 40,
                       .lost = 300,
                       .answer_lost = 60,
                       .reboots = 900,
                       .crashes = 200,
                       .short_delivery = 5,
                       .garbage_bids = 8};
      }
      options.hosts[name] = host;
    }
    if (faults) {
      options.commit_fails = 400;
      options.dies_after_command = 400;
      options.command_late = 30;
      options.engine_late = 50;
      options.disk_fails = 250;
    }
    if (weather == Weather::kLies) options.host_lies = 10;
    // Now and then a rule fails: the market repeats the last awards.
    options.clear = [](const std::string& rule, const policies::Auction& auction,
                       int64_t work_max) -> absl::StatusOr<policies::Clearing> {
      if (auction.seed % 37 == 0) return absl::InternalError("injected");
      return ClearByRule(rule, auction, work_max);
    };
    return options;
  }

  static TenantId Name(int64_t t) { return absl::StrCat("tenant-", t); }
  std::string NewId() { return absl::StrCat("r", ++request_); }
  TenantId AnyTenant() { return Name(random_.Uniform(0, kTenants)); }  // One that is none, too.
  GuestId AnyGuest() {
    return static_cast<GuestId>(
        random_.Uniform(0, static_cast<int64_t>(world_.state().last_guest_id) + 1));
  }
  ResourceKind AnyKind() {
    return random_.OneIn(10)  ? ResourceKind::kCache
           : random_.OneIn(2) ? ResourceKind::kCpu
                              : ResourceKind::kMemory;
  }
  int64_t Nonsense() { return static_cast<int64_t>(random_.Next() >> random_.Uniform(0, 63)); }

  void Act() {
    Caller caller{.is_operator = random_.OneIn(2), .tenant_id = AnyTenant()};
    Call call;
    switch (random_.Uniform(0, 6)) {
      case 0:
        call = Deposit{NewId(), AnyTenant(),
                       random_.OneIn(8) ? Nonsense() : random_.Uniform(-200'000, 3'000'000)};
        break;
      case 1: {
        AdmitGuest admit{.request_id = NewId(),
                         .host_id = random_.OneIn(20)  ? "nowhere"
                                    : random_.OneIn(2) ? "alpha"
                                                       : "beta",
                         .tenant_id = AnyTenant(),
                         .name = absl::StrCat("g", random_.Uniform(0, 12)),
                         .image = random_.OneIn(20) ? "../etc" : "image"};
        admit.seeds = {{ResourceKind::kCpu, random_.Uniform(0, 30)},
                       {ResourceKind::kMemory, random_.Uniform(1, 40)}};
        if (random_.OneIn(15)) admit.seeds[1].second = Nonsense();
        admit.memory_max_units = random_.OneIn(2) ? 0 : random_.Uniform(1, 200);
        call = admit;
        break;
      }
      case 2:
        if (!random_.OneIn(3)) return;
        call = EvictGuest{NewId(), AnyGuest()};
        break;
      case 3:
      case 4: {
        PlaceBid bid{.request_id = NewId(), .guest_id = AnyGuest(), .kind = AnyKind()};
        const int64_t price = random_.Uniform(100, 4'000);
        const int64_t units = random_.Uniform(1, 120);
        bid.ranges = {{0, units, 0, price}};
        if (random_.OneIn(4))
          bid.ranges.push_back({units + 5, units + 9, units * price, price / 3});
        if (random_.OneIn(10)) bid.ranges[0].max_units = Nonsense();
        if (random_.OneIn(10)) bid.ranges[0].unit_price_microcredits = Nonsense();
        if (random_.OneIn(3)) bid.budget_microcredits = random_.Uniform(-10, 200'000);
        bid.expires_after_rounds = static_cast<uint32_t>(random_.Uniform(0, 4));
        call = bid;
        break;
      }
      case 5:
        call = WithdrawBid{NewId(), AnyGuest(), AnyKind()};
        break;
      default:
        call = CreateTenant{.request_id = NewId(),
                            .tenant_id = Name(random_.Uniform(0, kTenants - 1))};
        break;
    }
    if (last_call_ && random_.OneIn(5)) {  // A retry.
      world_.Post(last_caller_, *last_call_);
    }
    world_.Post(caller, call);
    last_caller_ = caller;
    last_call_ = call;
  }

  // The key of one of them, or, now and then, of none.
  uint64_t AnyKeyOf(const auto& items) {
    if (items.empty() || random_.OneIn(10)) return random_.Next() % 50;
    auto it = items.begin();
    std::advance(it, random_.Uniform(0, static_cast<int64_t>(items.size()) - 1));
    return it->first;
  }
  ContractId AnyContract() { return AnyKeyOf(world_.state().contracts.all()); }
  OfferId AnyOffer() { return AnyKeyOf(world_.state().offers); }

  // What is sold beside the auction, and to those who do not bid: by whoever it is, with sense or
  // none.
  void ActOnProducts() {
    const State& state = world_.state();
    const Caller caller{.is_operator = random_.OneIn(2), .tenant_id = AnyTenant()};
    const auto units = [&] { return random_.OneIn(12) ? Nonsense() : random_.Uniform(1, 12); };
    const Microcredits money = random_.OneIn(10) ? Nonsense() : random_.Uniform(0, 60'000);
    Call call;
    switch (random_.Uniform(0, 9)) {
      case 0:
      case 1:
        call = GetQuote{NewId(),
                        AnyGuest(),
                        {{AnyKind(), units()}},
                        random_.OneIn(2) ? 0 : random_.Next() % 40,
                        random_.Uniform(0, 12)};
        break;
      case 2:
      case 3: {
        // Mostly by whom it is for: others are refused.
        const OfferId offer_id = AnyOffer();
        const auto offer = state.offers.find(offer_id);
        const bool is_for_it = offer != state.offers.end() && !random_.OneIn(4);
        call = TakeOffer{NewId(), offer_id, is_for_it ? offer->second.guest_id : AnyGuest(),
                         random_.OneIn(2) ? 0 : money};
      } break;
      case 4:
        call = OfferSublet{.request_id = NewId(),
                           .contract_id = AnyContract(),
                           .lots = {{AnyKind(), units(), money}},
                           .to_guest_id = random_.OneIn(2) ? 0 : AnyGuest(),
                           .rounds = random_.Uniform(0, 4)};
        break;
      case 5:
        call = SetRenewal{NewId(), AnyContract(), money};
        break;
      case 6:
        if (random_.OneIn(2)) {
          call = LeaveContract{NewId(), AnyContract()};
        } else {
          call = WithdrawOffer{NewId(), AnyOffer()};
        }
        break;
      case 7:
        call = SetTier{NewId(),
                       AnyGuest(),
                       random_.OneIn(2) ? "economy" : "gold",
                       {{AnyKind(), units()}},
                       money};
        break;
      case 8:
        call = ClearTier{NewId(), AnyGuest()};
        break;
      default: {
        AdmitGuest admit{.request_id = NewId(),
                         .host_id = random_.OneIn(2) ? "alpha" : "beta",
                         .tenant_id = caller.is_operator ? AnyTenant() : caller.tenant_id,
                         .name = absl::StrCat("g", random_.Uniform(0, 12)),
                         .image = "image",
                         .by_tenant = !caller.is_operator};
        admit.seeds = {{ResourceKind::kCpu, random_.Uniform(0, 20)},
                       {ResourceKind::kMemory, random_.Uniform(1, 30)}};
        admit.bundle = Bundle{.lots = {{AnyKind(), units()}},
                              .rounds = random_.Uniform(1, 6),
                              .ceiling_microcredits = money};
        call = admit;
        break;
      }
    }
    if (random_.OneIn(5)) world_.Post(caller, call);  // Twice under one id.
    world_.Post(caller, call);
  }

  // Those that were not durable when the process died were never said.
  void ForgetUnsaid() {
    tiers_ = world_.state().tiers;
    said_.clear();
    for (const auto& [key, bid] : world_.state().bids) said_[key] = {.bid = bid};
  }

  void RestartAndCompare() {
    world_.Settle();
    const State before = world_.state();
    // The machine's clock is set while marketd is away: only what is shown may notice.
    if (faults_ && random_.OneIn(4)) {
      world_.Step(absl::Milliseconds(random_.Uniform(-5'000, 20'000)));
    }
    world_.Restart(absl::Milliseconds(random_.Uniform(0, 1'500)));
    // Starting changes nothing that is durable but by transactions of its own.
    if (world_.state().last_transaction_id == before.last_transaction_id) {
      EXPECT_EQ(world_.state(), before) << "the ledger does not say what the engine knew";
      ++compared_;
    }
  }

  // Somebody buys units for some rounds, now or later, from the host or out of another's contract.
  void SellContract() {
    world_.Settle();
    const State& state = world_.state();
    std::vector<const Guest*> guests;
    for (const auto& [guest_id, guest] : state.guests) {
      if (guest.state == GuestState::kRunning) guests.push_back(&guest);
    }
    if (guests.empty()) return;
    const auto any = [&](size_t count) {
      return static_cast<size_t>(random_.Uniform(0, static_cast<int64_t>(count) - 1));
    };
    const Guest& guest = *guests[any(guests.size())];
    const int64_t units = random_.Uniform(1, 30);
    const ResourceKind kind = random_.OneIn(2) ? ResourceKind::kCpu : ResourceKind::kMemory;
    if (kind == ResourceKind::kMemory) {
      int64_t most = guest.seed_units(kind) + units;
      for (const Contract* other : state.contracts.Of(guest.guest_id)) {
        most += UnitsOf(*other, kind);
      }
      if (most > guest.memory_max_units) return;
    }
    Contract contract{
        .contract_id = state.last_contract_id + 1,
        .guest_id = guest.guest_id,
        .tenant_id = guest.tenant_id,
        .lots = {{kind, units, units * random_.Uniform(0, 2'000)}},
        .period = guest.host_id == "alpha" ? absl::Seconds(1) : absl::Milliseconds(2'500)};
    contract.from_round_id = state.hosts.at(guest.host_id).last_decided_round_id +
                             static_cast<RoundId>(random_.Uniform(1, 4));
    contract.until_round_id = contract.from_round_id + static_cast<RoundId>(random_.Uniform(1, 5));
    if (Promised(state, guest.host_id, kind, contract.from_round_id) + units > CapacityOf(kind)) {
      return;
    }
    std::optional<Contract> part;
    const Guest& lessee = *guests[any(guests.size())];
    if (lessee.host_id == guest.host_id && lessee.guest_id != guest.guest_id &&
        kind == ResourceKind::kCpu) {
      part = contract;
      ++part->contract_id;
      part->guest_id = lessee.guest_id;
      part->tenant_id = lessee.tenant_id;
      part->seller = guest.tenant_id;
      part->part_of = contract.contract_id;
      part->lots = {{kind, random_.Uniform(1, units), random_.Uniform(0, 30'000)}};
      if (random_.OneIn(2)) ++part->from_round_id;
      if (part->from_round_id == part->until_round_id) part.reset();
    }
    world_.WriteWhileDown([&](Scribe& scribe) {
      scribe.Write(OpenContract{contract});
      if (!part) return;
      EXPECT_TRUE(scribe.state().contracts.CheckPart(*part).ok());
      scribe.Write(OpenContract{*part});
    });
    ++contracts_;
    buyers_.insert(contract.guest_id);
    if (!part) return;
    ++sublets_;
    buyers_.insert(part->guest_id);
  }

  static int64_t CapacityOf(ResourceKind kind) { return kind == ResourceKind::kCpu ? 300 : 256; }

  // Seeds and contracts, the most in any round from `round_id` on.
  static int64_t Promised(const State& state, const HostId& host_id, ResourceKind kind,
                          RoundId round_id) {
    int64_t most = 0;
    for (RoundId round = round_id; round < round_id + 12; ++round) {
      int64_t sum = 0;
      for (const GuestId guest_id : state.GuestsOf(host_id)) {
        const Guest& guest = state.guests.at(guest_id);
        // Others may have the seed of one that has ended.
        sum += (guest.state == GuestState::kEnded ? 0 : guest.seed_units(kind)) +
               state.contracts.PromisedUnits(guest_id, kind, round);
      }
      most = std::max(most, sum);
    }
    return most;
  }

  void CheckTransaction(const Transaction& transaction) {
    for (const Entry& entry : transaction.entries) {
      EXPECT_GT(entry.amount_microcredits, 0) << transaction.kind;
    }
    for (const Change& change : transaction.changes) {
      if (const auto* put = std::get_if<PutRound>(&change)) CheckRound(*put);
      if (const auto* put = std::get_if<PutBid>(&change)) {
        Said& said = said_[{put->bid.guest_id, put->bid.kind}];
        if (said.bid.ranges != put->bid.ranges) said.time = transaction.time;
        said.bid = put->bid;
        said.by_call = transaction.kind == "bid placed";
      }
      if (const auto* drop = std::get_if<DropBid>(&change)) said_.erase(drop->key);
      if (const auto* put = std::get_if<PutTier>(&change)) tiers_[put->tier.guest_id] = put->tier;
      if (const auto* drop = std::get_if<DropTier>(&change)) tiers_.erase(drop->guest_id);
      if (const auto* put = std::get_if<PutGuest>(&change);
          put != nullptr && put->guest.state == GuestState::kEvicted) {
        tiers_.erase(put->guest.guest_id);
      }
      if (const auto* open = std::get_if<OpenContract>(&change)) {
        if (!IsAward(open->contract)) buyers_.insert(open->contract.guest_id);
        if (IsFloor(open->contract)) ++floors_;
      }
    }
  }

  void CheckRound(const PutRound& put) {
    ++decided_;
    for (const AuctionRecord& record : put.auctions) {
      const auto auction = policies::ParseAuction(record.auction);
      ASSERT_TRUE(auction.ok()) << auction.status();
      int64_t awarded = 0;
      int64_t seeds = 0;
      for (const Outcome& outcome : put.round.outcomes) {
        if (outcome.kind != record.kind) continue;
        awarded += outcome.award_units + outcome.contracted_units;
        seeds += outcome.seed_units;
        if (outcome.award_units == 0) {
          EXPECT_EQ(outcome.charge_microcredits, 0) << "a loser pays";
          continue;
        }
        ++sold_;
        for (const policies::Bid& bid : auction->bids) {
          if (bid.guest_id != outcome.guest_id) continue;
          EXPECT_LE(outcome.charge_microcredits, policies::ValueOf(bid, outcome.award_units));
          if (const auto tier = tiers_.find(outcome.guest_id); tier != tiers_.end()) {
            // The market said it for the guest: no more than it asked for, at no more than that.
            int64_t most = 0;
            for (const UnitsOfKind& wish : tier->second.most) {
              if (wish.kind == outcome.kind) most = wish.units;
            }
            EXPECT_LE(outcome.award_units, most);
            EXPECT_LE(outcome.charge_microcredits, tier->second.ceiling_microcredits);
            continue;
          }
          // What was cleared is what the guest said, before the close, and never worth more to it.
          const auto standing = said_.find({outcome.guest_id, outcome.kind});
          ASSERT_NE(standing, said_.end()) << "it said nothing";
          if (standing->second.by_call) {
            EXPECT_LT(standing->second.time, put.round.close_time) << "close is close";
          }
          const policies::Bid said{.guest_id = 1, .ranges = standing->second.bid.ranges};
          ASSERT_TRUE(policies::Allowed(said, outcome.award_units));
          EXPECT_LE(outcome.charge_microcredits, policies::ValueOf(said, outcome.award_units));
          if (standing->second.bid.budget_microcredits) {
            EXPECT_LE(outcome.charge_microcredits, *standing->second.bid.budget_microcredits);
          }
        }
      }
      EXPECT_LE(awarded + seeds, CapacityOf(record.kind)) << "more than the machine has";
    }
  }

  // What every tenant was charged, by its outcomes and by its account.
  void CheckStatements() {
    std::map<TenantId, Microcredits> sums;
    for (const auto& [host_id, book] : world_.state().hosts) {
      const auto rounds = world_.ledger().reader().ListRounds(host_id, 0, 1'000'000);
      ASSERT_TRUE(rounds.ok()) << rounds.status();
      for (const Round& round : *rounds) {
        for (const Outcome& outcome : round.outcomes) {
          sums[outcome.tenant_id] += outcome.settled_microcredits + outcome.rent_microcredits;
        }
      }
    }
    const auto look = world_.ledger().reader().Look(kMarketBook);
    ASSERT_TRUE(look.ok()) << look.status();
    const auto fees = (*look)->ReadFees();
    ASSERT_TRUE(fees.ok()) << fees.status();
    for (const auto& [tenant_id, fee] : *fees) sums[tenant_id] += fee;
    for (const auto& [tenant_id, tenant] : world_.state().tenants) {
      EXPECT_EQ(world_.state().PurseOf(tenant_id).spent, sums[tenant_id]) << tenant_id;
    }
  }

  // Where no meter was ever lost and no machine fell short: rent for all of each guest's life up to
  // the last reading, and for each award its charge for as long as it was held, over restarts and
  // all. Each bill may have been rounded down.
  void CheckWhatWasHeldIsPaid() {
    std::map<BidKey, std::pair<Microcredits, int64_t>> rents;  // And the bills.
    int awards = 0;
    for (const HostConfig& host : world_.config().hosts) {
      const auto rounds = world_.ledger().reader().ListRounds(host.host_id, 0, 1'000'000);
      ASSERT_TRUE(rounds.ok()) << rounds.status();
      EXPECT_EQ(world_.view().FindHost(host.host_id)->counters.meters_lost, 0u);
      for (const Round& round : *rounds) {
        for (const Outcome& outcome : round.outcomes) {
          auto& [rent, bills] = rents[{outcome.guest_id, outcome.kind}];
          rent += outcome.rent_microcredits;
          bills += 2;  // The first round has also the time before it.
          if (round.phase != RoundPhase::kSettled || outcome.award_units == 0) continue;
          if (buyers_.contains(outcome.guest_id)) continue;  // What each cost is not told apart.
          ++awards;
          const double due = static_cast<double>(outcome.charge_microcredits) *
                             absl::FDivDuration(outcome.held, round.period);
          // Beyond its period an award costs on only as far as the money goes.
          const double least = outcome.held <= round.period ? due : 0;
          EXPECT_LE(static_cast<double>(outcome.settled_microcredits), due + 2 + due / 1e6);
          EXPECT_GE(static_cast<double>(outcome.settled_microcredits), least - 2 - due / 1e6)
              << "guest " << outcome.guest_id << ", round " << round.round_id << " of "
              << host.host_id << ", held for " << outcome.held;
        }
      }
    }
    EXPECT_GT(awards, 100);
    for (const auto& [guest_id, guest] : world_.state().guests) {
      for (const HostConfig& host : world_.config().hosts) {
        if (host.host_id != guest.host_id) continue;
        for (const Resource& resource : host.resources) {
          const auto& [rent, bills] = rents[{guest_id, resource.kind}];
          const double due =
              static_cast<double>(guest.seed_units(resource.kind) *
                                  resource.seed_rent_unit_price_microcredits) *
              absl::FDivDuration(absl::Microseconds(guest.metered.age_us), host.period);
          EXPECT_NEAR(static_cast<double>(rent), due, static_cast<double>(bills) + 1)
              << "guest " << guest_id;
        }
      }
    }
  }

  void Check() {
    EXPECT_EQ(CheckBooks(world_.state()), "");
    if (lies_) return;  // What the market was told is not what the machine does.
    EXPECT_TRUE(world_.refusals.empty()) << world_.refusals.front();
    for (const char* host_id : {"alpha", "beta"}) {
      const SimulatedHost& host = world_.host(host_id);
      EXPECT_EQ(host.unannounced_units(), 0) << host_id << ": taken without a notice";
      for (const ResourceKind kind : {ResourceKind::kCpu, ResourceKind::kMemory}) {
        const auto book = world_.state().hosts.find(host_id);
        if (book != world_.state().hosts.end()) {
          EXPECT_LE(Promised(world_.state(), host_id, kind, book->second.last_decided_round_id + 1),
                    CapacityOf(kind))
              << "promised twice";
        }
        EXPECT_LE(host.granted_units(kind), host.capacity_units(kind));
      }
      for (const auto& [guest_id, guest] : host.guests()) {
        for (const Holding& seed : guest.spec.seeds) {
          if (guest.ended) continue;
          EXPECT_GE(guest.units.at(seed.kind), seed.seed_units) << guest_id;
        }
      }
    }
  }

  Random random_;
  const bool faults_;
  const bool lies_;
  World world_;
  int request_ = 0;
  // Standing bids, as transactions said so.
  struct Said {
    StandingBid bid;
    absl::Time time = absl::InfinitePast();
    bool by_call = false;
  };
  std::map<BidKey, Said> said_;
  Caller last_caller_;
  std::optional<Call> last_call_;
  uint64_t decided_ = 0;
  uint64_t sold_ = 0;
  uint64_t contracts_ = 0;  // Of them, sublets.
  uint64_t sublets_ = 0;
  std::set<GuestId> buyers_;
  std::map<GuestId, GuestTier> tiers_;  // As transactions said so.
  uint64_t floors_ = 0;
  std::map<policies::Method, int> methods_;  // Of all auctions but those whose rule failed.
  std::map<std::string, int> kinds_;         // Of transactions.

 public:
  int compared_ = 0;
};

}  // namespace nom::market

#endif  // TESTS_SIM_DRILL_H_
