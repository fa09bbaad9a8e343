// SPDX-License-Identifier: Apache-2.0
// A session's bid book against a model of a market, in which requests and answers are lost or come
// late, rounds go by unseen, the market restarts or gets another ledger, other sessions and people
// bid for the same guests, and guests go. Bids are for single resources and for several together,
// which replace each other. Steps are drawn from a seed, which is printed and can be
// given again: NOM_MODEL_SEED=... and NOM_MODEL_STEPS=... (a million steps take about three seconds
// and are what the seeds below come to; `ctest -C soak -L soak` runs a million from each of eight
// seeds).
//
// What must hold, always:
//   - what the market holds of the session is never worth more than the session's budget
//   - what a newer lease or a person wrote is never undone
//   - nothing of one ledger is written to another
//   - what the same session wrote later is never undone by what it wrote before, and what that
//     replaced does not come to stand when it is gone
//   - what is known to have replaced a bid has replaced it for good: that is not written again
//   - what is known to stand is not written again
//   - a wish that nobody takes away stands, or is told not to, once the market answers again
//
// The model keeps to what marketd does (marketd/market/bid_leases.cc, bid_desk.cc;
// tests/unit/marketd holds them to their promises).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <map>
#include <random>

#include "client/src/bid_book.h"

namespace nom::client {
namespace {

constexpr int64_t kBudget = 1'000;
constexpr uint64_t kLifetime = 3;
constexpr uint8_t kResourcesBid = 3;  // Of all: bids are for these, and for several.

// Each wish of the model is worth something else, by which it is known again.
uint64_t IdOf(const Bid& bid) {
  return static_cast<uint64_t>(bid.valuation ? bid.valuation->bundles[0].value_microcredits
                                             : bid.ranges[0].value_at_min_microcredits);
}

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// What marketd keeps of bids, for one tenant.
class ModelMarket {
 public:
  struct Fence {
    uint64_t fence = 0;
    uint64_t sequence = 0;
    friend auto operator<=>(const Fence&, const Fence&) = default;
  };
  struct Standing {
    Fence fence = {};
    int64_t budget = 0;
    uint64_t last_round_id = 0;
    uint64_t lease_rounds = 0;
    uint64_t id = 0;  // 0: of somebody else.
  };

  std::string ledger_id = "ledger-1";
  uint64_t round_id = 5;
  std::set<uint64_t> guest_ids = {3, 4};
  uint64_t last_guest_id = 4;
  std::map<BidKey, Standing> bids;
  std::map<BidKey, Fence> fences;
  std::map<BidKey, Fence> closed;
  uint64_t last_fence = 0;

  uint64_t OpenLease() { return ++last_fence; }

  absl::Status Place(const BidBook::Write& write, bool refuse, std::vector<BidBook::Placed>& out) {
    if (write.ledger_id != ledger_id) return absl::FailedPreconditionError("another ledger");
    if (write.fence > last_fence) return absl::InvalidArgumentError("fence");
    for (const BidBook::Item& item : write.items) {
      out.push_back(PlaceOne(item, {write.fence, write.sequence}, refuse));
    }
    return absl::OkStatus();
  }

  absl::Status Renew(const BidBook::Renewal& renewal, std::vector<BidBook::Leased>& out) {
    if (renewal.ledger_id != ledger_id) return absl::FailedPreconditionError("another ledger");
    if (renewal.fence > last_fence) return absl::InvalidArgumentError("fence");
    for (const BidKey& key : renewal.keys) {
      out.push_back(RenewOne(key, {renewal.fence, renewal.sequence}));
    }
    return absl::OkStatus();
  }

  // By another session, or a person: newer than all leases so far.
  void WriteElsewhere(BidKey key, bool withdraw) {
    if (!guest_ids.contains(key.first)) return;
    fences[key] = {++last_fence, 0};
    bids.erase(key);
    if (withdraw) return;
    DropReplaced(key, {last_fence, 0});
    bids[key] = {.fence = {last_fence, 0}, .budget = 5, .last_round_id = round_id + 9};
  }

  void NextRounds(uint64_t count) {
    for (; count > 0; --count) {
      ++round_id;
      std::erase_if(bids, [&](const auto& bid) { return bid.second.last_round_id < round_id; });
    }
  }
  void Restart() {
    closed.clear();
    for (auto& [key, bid] : bids) {
      if (bid.lease_rounds == 0) continue;
      bid.last_round_id = std::max(bid.last_round_id, round_id + bid.lease_rounds - 1);
    }
  }
  void AnotherLedger() {
    ledger_id += "x";
    bids.clear();
    fences.clear();
    closed.clear();
    round_id = 1 + round_id / 2;
  }
  void EndGuest(uint64_t guest_id) {
    guest_ids.erase(guest_id);
    std::erase_if(bids, [&](const auto& bid) { return bid.first.first == guest_id; });
    std::erase_if(fences, [&](const auto& fence) { return fence.first.first == guest_id; });
  }

 private:
  // A bid for several resources and those for single ones replace each other, those that are still
  // on their way as well.
  void DropReplaced(BidKey key, Fence fence) {
    for (uint8_t number = 0; number <= kResourcesBid; ++number) {
      const BidKey other = {key.first, static_cast<Resource>(number)};
      if (!ExcludeEachOther(other, key)) continue;
      if (bids.erase(other) == 0 && fences[other] >= fence) continue;
      fences[other] = fence;
    }
  }

  BidBook::Placed PlaceOne(const BidBook::Item& item, Fence fence, bool refuse) {
    if (!guest_ids.contains(item.key.first)) return {.status = absl::NotFoundError("no guest")};
    Fence excluding;
    for (const auto& [key, bid] : bids) {
      if (ExcludeEachOther(key, item.key)) excluding = std::max(excluding, bid.fence);
    }
    if (excluding.fence > fence.fence) {
      return {.status = absl::AbortedError("excluded"),
              .lost_to = BidBook::LeasedState::kTakenOver};
    }
    if (excluding > fence) return {.status = absl::AbortedError("late")};
    const auto last = fences.find(item.key);
    if (last != fences.end() && last->second.fence > fence.fence) {
      return {.status = absl::AbortedError("not yours"),
              .lost_to = bids.contains(item.key) ? BidBook::LeasedState::kTakenOver
                                                 : BidBook::LeasedState::kWithdrawn};
    }
    if (last != fences.end() && last->second >= fence)
      return {.status = absl::AbortedError("late")};
    if (closed.contains(item.key) && fence <= closed[item.key]) {
      return {.status = absl::AbortedError("given up")};
    }
    if (item.bid && refuse) return {.status = absl::FailedPreconditionError("no money")};
    fences[item.key] = fence;
    const bool stood = bids.erase(item.key) != 0;
    if (item.bid) {
      DropReplaced(item.key, fence);
      const uint64_t rounds = item.bid->rounds != 0 ? item.bid->rounds : kLifetime;
      bids[item.key] = {.fence = fence,
                        .budget = item.bid->budget_microcredits.value_or(0),
                        .last_round_id = round_id + rounds - 1,
                        .lease_rounds = item.bid->rounds != 0 ? 0 : rounds,
                        .id = IdOf(*item.bid)};
    }
    return {.status = {}, .round_id = round_id, .removed = stood};
  }

  BidBook::Leased RenewOne(BidKey key, Fence lease) {
    if (!guest_ids.contains(key.first)) return {.state = BidBook::LeasedState::kGuestGone};
    closed[key] = std::max(closed[key], lease);
    const auto bid = bids.find(key);
    const auto last = fences.find(key);
    if (last == fences.end() || last->second.fence < lease.fence) return {};
    if (last->second.fence > lease.fence) {
      return {.state = bid == bids.end() ? BidBook::LeasedState::kWithdrawn
                                         : BidBook::LeasedState::kTakenOver};
    }
    if (bid == bids.end()) return {.sequence = last->second.sequence};
    if (bid->second.lease_rounds != 0) {
      bid->second.last_round_id =
          std::max(bid->second.last_round_id, round_id + bid->second.lease_rounds - 1);
    }
    return {.state = BidBook::LeasedState::kHeld,
            .last_round_id = bid->second.last_round_id,
            .sequence = last->second.sequence};
  }
};

class BidModelTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }
  bool OneIn(int64_t n) { return Between(1, n) == 1; }
  BidKey AKey() {
    // One of the last three that there were: some are gone.
    const uint64_t newest = market_.last_guest_id;
    // 0: several.
    return {newest - static_cast<uint64_t>(Between(0, 2)),
            static_cast<Resource>(Between(0, kResourcesBid))};
  }

  // The session hears what the market says.
  void Hear() {
    book_.OnLedger(market_.ledger_id);
    std::map<BidKey, uint64_t> fences;
    for (const auto& [key, bid] : market_.bids) fences[key] = bid.fence.fence;
    for (const auto& [key, bid] : market_.bids) {
      if (!own_fences_.contains(bid.fence.fence)) Lost(key);
    }
    book_.OnGuests(market_.guest_ids, fences);
    book_.OnRound(market_.round_id);
  }

  void Write() {
    if (book_.NeedsLease(fresh_)) {
      const uint64_t fence = market_.OpenLease();
      // Opened at another ledger than was heard of: the session notices by the id.
      if (market_.ledger_id == heard_ledger_id_ && !OneIn(4)) {
        own_fences_.insert(fence);
        fence_ = fence;
        book_.OnLease(fence, static_cast<int>(Between(1, 3)));
      }
      return;
    }
    if (!writing_) {
      writing_ = book_.NextWrite(fresh_);
      written_ = std::nullopt;
      if (writing_) Sent(*writing_);
      if (!writing_ || (!quiet_ && OneIn(3))) return;  // On its way for some steps.
    }
    if (!quiet_ && !written_ && OneIn(6)) {  // It is late: it may come at any time, or never.
      late_.push_back(*writing_);
      AnswerWrite(absl::DeadlineExceededError("no answer"), {});
      return;
    }
    if (!written_) {
      const bool put_off = !quiet_ && OneIn(10);
      written_.emplace();
      written_->status = put_off ? absl::ResourceExhaustedError("too many calls")
                                 : Apply(*writing_, !quiet_ && OneIn(6), written_->placed);
      if (!quiet_ && OneIn(3)) return;  // Its answer is.
    }
    if (!quiet_ && OneIn(6)) {
      AnswerWrite(absl::UnavailableError("the answer is lost"), {});
    } else {
      AnswerWrite(written_->status, written_->placed);
    }
  }
  void AnswerWrite(const absl::Status& status, const std::vector<BidBook::Placed>& placed) {
    const BidBook::Write write = *std::exchange(writing_, std::nullopt);
    for (size_t i = 0; status.ok() && i < placed.size(); ++i) {
      const BidBook::Item& item = write.items[i];
      if (placed[i].lost_to) Lost(item.key);
      if (!placed[i].status.ok()) continue;
      if (!item.bid) continue;
      Taken(item.key, write.sequence, IdOf(*item.bid));
      told_[item.key] = IdOf(*item.bid);
    }
    book_.OnWritten(write, status, placed);
  }

  void Sent(const BidBook::Write& write) {
    last_sequence_ = write.sequence;
    for (const BidBook::Item& item : write.items) {
      if (item.bid) {
        const uint64_t id = IdOf(*item.bid);
        sent_[{item.key, write.sequence}] = id;
        for (const auto& [key, taken] : taken_) {
          if (!ExcludeEachOther(key, item.key)) continue;
          EXPECT_GT(id, taken) << "what was replaced for good is back";
        }
        const auto stands = market_.bids.find(item.key);
        const auto told = told_.find(item.key);
        EXPECT_FALSE(told != told_.end() && told->second == id && stands != market_.bids.end() &&
                     stands->second.id == id && stands->second.fence.fence == write.fence)
            << "what stands is written again";
      }
      std::erase_if(told_, [&](const auto& told) {
        return told.first == item.key || ExcludeEachOther(told.first, item.key);
      });
    }
  }
  // The session is about to hear that it was taken. (Not if it has heard since that it lost bids of
  // the guest: it then goes back to what those had replaced, as far as it knows.)
  void Taken(BidKey key, uint64_t sequence, uint64_t id) {
    if (sequence > lost_through_[key.first]) taken_[key] = std::max(taken_[key], id);
  }
  void Lost(BidKey key) { lost_through_[key.first] = last_sequence_; }

  absl::Status Apply(const BidBook::Write& write, bool refuse,
                     std::vector<BidBook::Placed>& placed) {
    const std::map<BidKey, ModelMarket::Fence> before = market_.fences;
    const std::map<BidKey, ModelMarket::Standing> stood = market_.bids;
    const absl::Status status = market_.Place(write, refuse, placed);
    for (const auto& [key, fence] : before) {
      EXPECT_GE(market_.fences[key], fence) << "what is newer is undone";
    }
    const ModelMarket::Fence by = {write.fence, write.sequence};
    for (const auto& [key, bid] : stood) {
      if (market_.bids.contains(key)) continue;
      EXPECT_LT(bid.fence, by) << "what is newer is gone";
    }
    // Of each guest's two sides, the last write that has come to stand.
    for (const auto& [key, bid] : market_.bids) {
      if (bid.fence != by) continue;
      const bool several = key.second == kSeveralResources;
      const ModelMarket::Fence other = stood_last_[std::pair(key.first, !several)];
      EXPECT_GT(by, other) << "what was replaced has come to stand";
      ModelMarket::Fence& last = stood_last_[std::pair(key.first, several)];
      last = std::max(last, by);
    }
    return status;
  }

  void Renew() {
    if (!renewing_) {
      renewing_ = book_.NextRenewal();
      if (!renewing_) return;
      renewed_.clear();
      if (!market_.Renew(*renewing_, renewed_).ok()) {
        renewing_.reset();
        return;
      }
      if (!quiet_ && OneIn(3)) return;  // Its answer is on its way for some steps.
    }
    const BidBook::Renewal renewal = *std::exchange(renewing_, std::nullopt);
    if (!quiet_ && OneIn(4)) return;  // It is lost.
    for (size_t i = 0; i < renewed_.size(); ++i) {
      if (renewed_[i].state != BidBook::LeasedState::kHeld &&
          renewed_[i].state != BidBook::LeasedState::kNone) {
        Lost(renewal.keys[i]);
      }
      const auto sent = sent_.find({renewal.keys[i], renewed_[i].sequence});
      if (renewal.fence == fence_ && renewed_[i].state == BidBook::LeasedState::kHeld &&
          sent != sent_.end()) {
        Taken(renewal.keys[i], renewed_[i].sequence, sent->second);
      }
    }
    book_.OnRenewed(renewal, renewed_);
  }

  void Want() {
    const BidKey key = AKey();
    Bid bid{.guest_id = key.first};
    if (key.second == kSeveralResources) {
      bid.valuation.emplace();
    } else {
      bid.resource = key.second;
    }
    if (!OneIn(4)) {
      const int64_t id = 1'000 + ++wishes_;
      if (bid.valuation) {
        bid.valuation->bundles = {{.units = {{Resource::kCpu, 2}}, .value_microcredits = id}};
      } else {
        bid.ranges = {{1, 4, id, 1'000}};
      }
      bid.budget_microcredits = Between(0, kBudget);
      if (OneIn(3)) bid.rounds = static_cast<uint32_t>(Between(1, 6));
    }
    const absl::StatusOr<uint64_t> wish_id = book_.Want(bid, fresh_);
    if (wish_id.ok()) waiting_.push_back(*wish_id);
  }

  void Step() {
    switch (Between(1, 12)) {
      case 1:
      case 2:
      case 3:
        Want();
        break;
      case 4:
      case 5:
      case 6:
        Write();
        break;
      case 7:
      case 8:
        Renew();
        break;
      case 9:
        market_.NextRounds(OneIn(10) ? static_cast<uint64_t>(Between(1, 30)) : 1);
        break;
      case 10:
        Hear();
        heard_ledger_id_ = market_.ledger_id;
        fresh_ = !OneIn(5);
        if (!fresh_) book_.GiveUpUnsent(absl::FailedPreconditionError("stale"));
        break;
      case 11:
        // One of the requests that were given up comes after all, some of them very late.
        if (!late_.empty() && OneIn(5)) {
          const size_t i = static_cast<size_t>(Between(0, static_cast<int64_t>(late_.size()) - 1));
          std::vector<BidBook::Placed> nobody;
          if (!OneIn(3)) (void)Apply(late_[i], false, nobody);
          late_.erase(late_.begin() + static_cast<std::ptrdiff_t>(i));
        }
        break;
      default:
        Disturb();
    }
    for (const BidBook::Answer& answer : book_.TakeAnswers()) std::erase(waiting_, answer.wish_id);
    if (!waiting_.empty() && OneIn(20)) {
      book_.GiveUp(waiting_.front(), absl::DeadlineExceededError("time is over"));
    }
    (void)book_.TakeEvents();
  }

  void Disturb() {
    if (OneIn(3)) {
      market_.WriteElsewhere(AKey(), OneIn(2));
    } else if (OneIn(4)) {
      market_.Restart();
      late_.clear();  // What was on its way to the process before is gone with it.
      if (writing_ && !written_) AnswerWrite(absl::UnavailableError("it is gone"), {});
    } else if (OneIn(5)) {
      book_.TakeOver();
      fence_ = 0;
      told_.clear();
    } else if (OneIn(10)) {
      market_.EndGuest(AKey().first);
    } else if (OneIn(4) && market_.guest_ids.size() < 2) {
      market_.guest_ids.insert(++market_.last_guest_id);  // An id is never given again.
    } else if (OneIn(40)) {
      market_.AnotherLedger();
      told_.clear();
      taken_.clear();
      stood_last_.clear();
    }
  }

  // What the market holds of this session's.
  int64_t Held() const {
    int64_t sum = 0;
    for (const auto& [key, bid] : market_.bids) {
      if (own_fences_.contains(bid.fence.fence)) sum += bid.budget;
    }
    return sum;
  }

  std::mt19937_64 random_;
  ModelMarket market_;
  BidBook book_{{.lifetime_rounds = kLifetime, .budget_per_round_microcredits = kBudget}};
  std::string heard_ledger_id_;
  std::set<uint64_t> own_fences_;
  struct Written {
    absl::Status status;
    std::vector<BidBook::Placed> placed;
  };
  std::optional<BidBook::Write> writing_;  // On its way there,
  std::optional<Written> written_;         // or back.
  std::optional<BidBook::Renewal> renewing_;
  std::vector<BidBook::Leased> renewed_;
  std::deque<BidBook::Write> late_;
  int64_t wishes_ = 0;
  uint64_t fence_ = 0;                                    // Of the session's present lease.
  std::map<std::pair<BidKey, uint64_t>, uint64_t> sent_;  // By sequence.
  std::map<BidKey, uint64_t> taken_;  // The latest that the session has heard to be taken.
  uint64_t last_sequence_ = 0;
  std::map<uint64_t, uint64_t> lost_through_;                           // By guest.
  std::map<std::pair<uint64_t, bool>, ModelMarket::Fence> stood_last_;  // By guest and side.
  std::map<BidKey, uint64_t> told_;  // What it has heard to stand, if nothing was sent since.
  std::vector<uint64_t> waiting_;
  bool fresh_ = false;
  bool quiet_ = false;  // Nothing is lost.
};

// Of each of four seeds: a million in all. A sanitizer, which makes each ten times as long, looks
// at a part of them.
constexpr uint64_t kSteps = NOM_SANITIZED ? 25'000 : 250'000;

TEST_P(BidModelTest, HoldsWhateverIsLostLateOrTaken) {
  const uint64_t seed = FromEnvironment("NOM_MODEL_SEED", GetParam());
  const uint64_t steps = FromEnvironment("NOM_MODEL_STEPS", kSteps);
  SCOPED_TRACE(testing::Message() << "NOM_MODEL_SEED=" << seed);
  RecordProperty("seed", std::to_string(seed));
  random_.seed(seed);
  Hear();
  for (uint64_t step = 0; step < steps; ++step) {
    Step();
    ASSERT_LE(Held(), kBudget) << "step " << step << " of seed " << seed;
    if (HasFailure()) return;
    if (step % 5'000 != 4'999) continue;
    // The market answers again, and nobody disturbs: all that is wished for comes to stand.
    quiet_ = true;
    late_.clear();
    for (int i = 0; i < 40; ++i) {
      Hear();
      heard_ledger_id_ = market_.ledger_id;
      fresh_ = true;
      Write();
      Renew();
      if (i % 4 == 0) market_.NextRounds(1);
      (void)book_.TakeAnswers();
      (void)book_.TakeEvents();
      waiting_.clear();
    }
    for (const StandingBid& standing : book_.standing_bids()) {
      const BidKey key = KeyOf(standing.bid);
      EXPECT_TRUE(standing.confirmed) << standing.problem;
      ASSERT_TRUE(market_.bids.contains(key));
      EXPECT_EQ(market_.bids[key].budget, standing.bid.budget_microcredits.value_or(0));
    }
    EXPECT_TRUE(book_.Settled());
    EXPECT_EQ(book_.ReservedMicrocredits(), Held()) << "nothing is held back for nothing";
    if (HasFailure()) return;
    quiet_ = false;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, BidModelTest, ::testing::Values(1, 2, 3, 4),
                         [](const auto& param) { return "seed" + std::to_string(param.param); });

}  // namespace
}  // namespace nom::client
