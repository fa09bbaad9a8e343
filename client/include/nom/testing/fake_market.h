// SPDX-License-Identifier: Apache-2.0
// A market inside a test: for tests of programs that use nom::Session, without a daemon.
//
//   nom::testing::FakeMarket market;
//   const uint64_t guest = market.AddGuest("cache");
//   market.SetPrice(nom::Resource::kMemory, 30);
//   nom::SessionOptions options = market.Options();
//   auto session = *nom::Session::Connect(options);
//   ... the program under test bids ...
//   market.Decide();                                  // one round: awards, charges, prices
//   EXPECT_EQ(market.award_units(guest, nom::Resource::kMemory), 64);
//
// It speaks the market's own protocol over gRPC on the loopback: leases and their fences, lifetimes
// of bids, decided rounds, notices, another ledger. Prices are posted by the test: a bid wins the
// quantity that leaves it the most at the posted price, as far as its budget and what is for sale
// go (in order of guests). With ClearJointly() it takes bids for several resources as well: of a
// valuation it finds the best bundle, or the best ends of ranges. It keeps no accounts, and a
// round is settled as soon as it is decided. Contracts (quotes, sublets, renewals) are kept and
// held, at prices that the test posts, too; tiers are bid for, and guests that are asked for are
// there at once. Rounds pass when the test says so, never by themselves.
//
// Link nom::testing (find_package(nom COMPONENTS testing)).

#ifndef NOM_TESTING_FAKE_MARKET_H_
#define NOM_TESTING_FAKE_MARKET_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "nom/session.h"
#include "nom/types.h"

namespace nom::testing {

// Thread-safe.
class FakeMarket {
 public:
  // Listens on a free port of the loopback. Sells all resources, a thousand units each at a price
  // of 1, in rounds of `period` whose prices are good for two of them. Aborts if it cannot listen.
  explicit FakeMarket(absl::Duration period = absl::Seconds(60));
  ~FakeMarket();
  FakeMarket(const FakeMarket&) = delete;
  FakeMarket& operator=(const FakeMarket&) = delete;

  std::string target() const;
  // How a session reaches it.
  SessionOptions Options() const;

  // A running guest with this seed of each resource; its id. RemoveGuest() ends it and its bids.
  uint64_t AddGuest(const std::string& name, int64_t seed_units = 1);
  void RemoveGuest(uint64_t guest_id);

  // From the next round on.
  void SetPrice(Resource resource, int64_t unit_price_microcredits);
  void SetSupply(Resource resource, int64_t units);
  void StopSelling(Resource resource);
  // What a unit costs by contract; the posted price where none is set.
  void SetForwardPrice(Resource resource, int64_t unit_price_microcredits);
  // A row more of the table of tiers, above those before. A guest of a tier whose multiple is at
  // least 1 wins what it asked for at the posted price, within its ceiling; of a lower one its
  // floor alone, in rounds that floor_every_rounds divides.
  void AddTier(const Tier& tier);
  // What may be had by RequestGuest, and is had with the guests that AddGuest made; until then
  // nothing may.
  void SetQuota(int64_t guests_max, const std::map<Resource, int64_t>& seeds_max);
  // All resources are cleared together (ResourceState::rule "joint_vcg/1"): bids for several are
  // taken. Of curves that are not a sum, of at most three resources.
  void ClearJointly();

  // Decides the present round, puts it in force at once and begins the next, whose id it returns.
  // Told to all sessions; those that are slow to take it in see it later.
  uint64_t Decide();
  uint64_t round_id() const;
  // Tells the present again, with prices that are good for two periods from now.
  void Refresh();

  // What stands.
  std::vector<Bid> bids() const;
  // What a guest won in the last round decided.
  int64_t award_units(uint64_t guest_id, Resource resource) const;
  int64_t charge_microcredits(uint64_t guest_id, Resource resource) const;
  // Open contracts, by rising id.
  std::vector<Contract> contracts() const;
  // Calls that carried bids, withdrawals or anything about contracts, tiers and guests, and calls
  // that renewed.
  int64_t write_calls() const;
  int64_t renewals() const;

  // --- What can go wrong. ---

  // Like a person with nomctl: newer than all sessions.
  void WithdrawAsOwner(uint64_t guest_id, Resource resource);
  // The next so many calls that write, also about contracts, are carried out, but their answers are
  // lost; or they are not even that; or each of their bids is refused.
  void LoseAnswers(int calls);
  void LoseCalls(int calls);
  void RefuseBids(int calls, const absl::Status& status);
  // Calls are refused as too many (RESOURCE_EXHAUSTED) until told otherwise.
  void LimitRate(bool limited);
  // Prices told from now on are too old to be believed.
  void GoStale();
  // Stops listening; Start() listens on the same port again, with all it knew.
  void Stop();
  void Start();
  // Forgets all guests' bids and rounds, as another ledger with the same guest ids would.
  void BeginAnotherLedger();
  // Told first of each call that writes or renews; may block it. Called in gRPC's threads.
  void SetOnCall(std::function<void()> on_call);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nom::testing

#endif  // NOM_TESTING_FAKE_MARKET_H_
