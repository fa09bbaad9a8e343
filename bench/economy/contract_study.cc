// SPDX-License-Identifier: Apache-2.0
#include "bench/economy/contract_study.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bench/economy/random.h"
#include "policies/clearing/mpsp.h"

namespace nom::economy {
namespace {

using policies::Auction;
using policies::ForwardInput;
using policies::ForwardPrice;
using policies::GuestId;
using policies::Microcredits;

constexpr Microcredits kReserve = 10'000;
constexpr int64_t kColdPpm = 500'000;  // Of a unit's worth, in its first round.
constexpr int64_t kMillion = 1'000'000;
constexpr int64_t kWarmUpRounds = 2 * kRoundsADay;

enum class Need { kSteady, kDaily, kBursty };

struct Contract {
  size_t guest = 0;  // Who holds the units.
  int64_t units = 0;
  Microcredits charge_microcredits = 0;  // A round.
  int64_t until_round = 0;
  Microcredits unit_price_microcredits = 0;  // In the mean, for whoever thinks of ending it.
};

struct Guest {
  Need need = Need::kSteady;
  int64_t most_units = 0;
  Microcredits worth_microcredits = 0;  // A unit that it needs and has had before.
  int64_t dislike_ppm = 0;              // On top of the mean price, it pays for a price that holds.
  bool bursting = false;
  bool is_trader = false;
  int64_t needed_units = 0;   // This round.
  int64_t held_units = 0;     // In the round before.
  std::deque<int64_t> needs;  // Of the last day.
};

// 0 at midnight, a million at noon.
int64_t DaylightPpm(int64_t round) {
  const int64_t hour = round % kRoundsADay;
  return kMillion - std::abs(2 * hour - kRoundsADay) * kMillion / kRoundsADay;
}

bool NeedsUnits(Trader trader) { return trader == Trader::kSpotOnly || trader == Trader::kEnder; }

class Market {
 public:
  explicit Market(const ContractOptions& options)
      : options_(options),
        share_units_(options.capacity_units * options.share_ppm / kMillion),
        chance_(options.seed, 1) {
    for (int g = 0; g < options.guests; ++g) {
      Random draw(options.seed, static_cast<uint64_t>(g) + 100);
      Guest& guest = guests_.emplace_back();
      guest.need = static_cast<Need>(g % 3);
      guest.most_units = draw.Between(4, 12);
      guest.worth_microcredits = 30'000 + std::min<int64_t>(Lomax(draw, 60'000), 2'000'000);
      guest.dislike_ppm = draw.Between(0, 400'000);
    }
    // There in every run, so that the others' chances are the same with it and without.
    Guest& trader = guests_.emplace_back();
    trader.is_trader = true;
    trader.need = Need::kDaily;
    trader.most_units = NeedsUnits(options.trader) ? 16 : 0;
    trader.worth_microcredits = 150'000;
    trader_ = guests_.size() - 1;
  }

  absl::StatusOr<ContractResult> Run() {
    for (round_ = 0; round_ < options_.rounds; ++round_) {
      if (auto s = PlayRound(); !s.ok()) return s;
    }
    return Result();
  }

 private:
  bool Counts() const { return round_ >= kWarmUpRounds; }

  void DrawNeeds() {
    for (Guest& guest : guests_) {
      switch (guest.need) {
        case Need::kSteady:
          guest.needed_units = guest.most_units;
          break;
        case Need::kDaily:
          guest.needed_units =
              (guest.most_units * (100'000 + DaylightPpm(round_) * 9 / 10) + kMillion / 2) /
              kMillion;
          break;
        case Need::kBursty:
          guest.bursting = guest.bursting ? !chance_.OneIn(8) : chance_.OneIn(24);
          guest.needed_units = guest.bursting ? 2 * guest.most_units : 0;
          break;
      }
      guest.needs.push_back(guest.needed_units);
      if (std::ssize(guest.needs) > kRoundsADay) guest.needs.pop_front();
    }
  }

  int64_t ContractedUnits(size_t guest) const {
    int64_t units = 0;
    for (const Contract& contract : contracts_) {
      if (contract.guest == guest) units += contract.units;
    }
    return units;
  }
  int64_t ContractedUnits() const {
    int64_t units = 0;
    for (const Contract& contract : contracts_) units += contract.units;
    return units;
  }

  Microcredits MeanPrice(int64_t rounds) const {
    const auto n = std::min<int64_t>(rounds, std::ssize(prices_));
    if (n == 0) return kReserve;
    return std::accumulate(prices_.end() - n, prices_.end(), Microcredits{0}) / n;
  }
  Microcredits LastPrice() const { return prices_.empty() ? kReserve : prices_.back(); }

  absl::StatusOr<ForwardPrice> Quote(int64_t units) const {
    const auto n = std::min<int64_t>(options_.history_rounds, std::ssize(prices_));
    const std::vector<Microcredits> past(prices_.end() - n, prices_.end());
    return policies::PriceForward(options_.policy, {.past_unit_prices_microcredits = past,
                                                    .reserve_unit_price_microcredits = kReserve,
                                                    .share_units = share_units_,
                                                    .sold_units = ContractedUnits(),
                                                    .units = units,
                                                    .rounds = options_.contract_rounds});
  }

  void Open(size_t guest, int64_t units, Microcredits charge) {
    contracts_.push_back({.guest = guest,
                          .units = units,
                          .charge_microcredits = charge,
                          .until_round = round_ + 1 + options_.contract_rounds,
                          .unit_price_microcredits = charge / units});
  }

  // --- One round. ---

  absl::Status PlayRound() {
    std::erase_if(contracts_, [this](const Contract& c) { return c.until_round <= round_; });
    DrawNeeds();
    std::vector<int64_t> units(guests_.size());
    std::vector<Microcredits> paid(guests_.size());
    for (const Contract& contract : contracts_) {
      units[contract.guest] += contract.units;
      paid[contract.guest] += contract.charge_microcredits;
      if (Counts()) revenue_ += static_cast<double>(contract.charge_microcredits);
    }
    const int64_t supply = options_.capacity_units - ContractedUnits();
    PassOn(units, paid);
    if (auto s = Clear(supply, units, paid); !s.ok()) return s;
    if (std::accumulate(units.begin(), units.end(), int64_t{0}) > options_.capacity_units) {
      return absl::InternalError("more units are held than there are");
    }
    Note(units, paid);
    return BuyAndEnd();
  }

  // What the trader holds goes to who needs it, at what the auction last cost less a twentieth;
  // whoever makes more of it takes it: it would expect to pay more. What nobody takes is left idle.
  void PassOn(std::vector<int64_t>& units, std::vector<Microcredits>& paid) {
    if (NeedsUnits(options_.trader)) return;
    const Microcredits ask = LastPrice() * 19 / 20;
    for (size_t g = 0; g < trader_; ++g) {
      const Guest& guest = guests_[g];
      const int64_t wanted = std::max<int64_t>(0, guest.needed_units - units[g]);
      const int64_t warm = std::clamp<int64_t>(guest.held_units - units[g], 0, wanted);
      int64_t would_take = 0;
      if (guest.worth_microcredits >= ask) would_take += warm;
      if (guest.worth_microcredits * kColdPpm / kMillion >= ask) would_take += wanted - warm;
      const int64_t taken = std::min(units[trader_], would_take);
      units[trader_] -= taken;
      units[g] += taken;
      paid[g] += taken * ask;
      paid[trader_] -= taken * ask;
    }
  }

  // A guest that needs more than it has bids the truth of this round: what it held is worth all,
  // what is new to it half.
  absl::Status Clear(int64_t supply, std::vector<int64_t>& units, std::vector<Microcredits>& paid) {
    Auction auction{.capacity_units = supply,
                    .reserve_unit_price_microcredits = kReserve,
                    .seed = static_cast<uint64_t>(round_)};
    for (size_t g = 0; g < guests_.size(); ++g) {
      const Guest& guest = guests_[g];
      const int64_t wanted = guest.needed_units - units[g];
      if (wanted <= 0) continue;
      const int64_t warm = std::clamp<int64_t>(guest.held_units - units[g], 0, wanted);
      const Microcredits worth = guest.worth_microcredits;
      const Microcredits cold = worth * kColdPpm / kMillion;
      policies::Bid& bid = auction.bids.emplace_back();
      bid.guest_id = static_cast<GuestId>(g) + 1;
      bid.held_units = warm;
      if (warm > 0) bid.ranges.push_back({1, warm, worth, worth});
      if (wanted > warm) {
        if (warm > 0) {
          bid.ranges.push_back({warm, wanted, warm * worth, cold});
        } else {
          bid.ranges.push_back({1, wanted, cold, cold});
        }
      }
    }
    const auto clearing = policies::ClearMpsp(auction);
    if (!clearing.ok()) return clearing.status();
    for (const policies::Award& award : clearing->awards) {
      units[award.guest_id - 1] += award.units;
      paid[award.guest_id - 1] += award.charge_microcredits;
      if (Counts()) revenue_ += static_cast<double>(award.charge_microcredits);
    }
    prices_.push_back(clearing->clearing_unit_price_microcredits);
    return absl::OkStatus();
  }

  void Note(const std::vector<int64_t>& units, const std::vector<Microcredits>& paid) {
    for (size_t g = 0; g < guests_.size(); ++g) {
      Guest& guest = guests_[g];
      const int64_t used = std::min(units[g], guest.needed_units);
      const int64_t warm = std::min(used, guest.held_units);
      const Microcredits value = warm * guest.worth_microcredits +
                                 (used - warm) * (guest.worth_microcredits * kColdPpm / kMillion);
      if (Counts()) {
        welfare_ += static_cast<double>(value);
        const auto surplus = static_cast<double>(value - paid[g]);
        if (guest.is_trader) {
          trader_gain_ += surplus;
        } else if (guest.need == Need::kSteady) {
          steady_surplus_ += surplus;
        } else {
          other_surplus_ += surplus;
        }
        const int64_t lost = std::min(guest.held_units, guest.needed_units) - units[g];
        if (lost > 0) {
          lost_units_ += static_cast<double>(lost);
          ++evicted_;
        }
      }
      guest.held_units = used;
    }
    if (Counts()) contracted_units_ += static_cast<double>(ContractedUnits());
  }

  // --- Contracts, from the next round on. ---

  absl::Status BuyAndEnd() {
    // Who comes first is drawn, also where nothing is to be had: the world stays the same.
    const auto first = static_cast<size_t>(chance_.Between(0, options_.guests - 1));
    if (share_units_ == 0) return absl::OkStatus();
    const Microcredits mean = MeanPrice(kRoundsADay);
    for (size_t i = 0; i < trader_; ++i) {
      const size_t g = (first + i) % trader_;
      if (auto s = BuyWhatIsAlwaysNeeded(g, mean); !s.ok()) return s;
    }
    switch (options_.trader) {
      case Trader::kNone:
      case Trader::kSpotOnly:
        return absl::OkStatus();
      case Trader::kCorner:
        return BuyToPassOn(share_units_);
      case Trader::kSniper:
        return Snipe();
      case Trader::kValley:
        return LastPrice() * 10 < mean * 8 ? BuyToPassOn(share_units_) : absl::OkStatus();
      case Trader::kEnder:
        return EndOrBuy();
    }
    return absl::OkStatus();
  }

  int64_t LeftUnits() const { return share_units_ - ContractedUnits(); }

  absl::Status BuyWhatIsAlwaysNeeded(size_t g, Microcredits mean) {
    const Guest& guest = guests_[g];
    const int64_t always = *std::min_element(guest.needs.begin(), guest.needs.end());
    const int64_t wanted = std::min(always - ContractedUnits(g), LeftUnits());
    if (wanted <= 0) return absl::OkStatus();
    const auto quote = Quote(wanted);
    if (!quote.ok()) return quote.status();
    const Microcredits most =
        std::min(guest.worth_microcredits, mean * (kMillion + guest.dislike_ppm) / kMillion);
    if (quote->charge_microcredits <= wanted * most) {
      Open(g, wanted, quote->charge_microcredits);
    }
    return absl::OkStatus();
  }

  // A quote binds no units: of names that are quoted side by side each is told the price of the
  // units that are the next to be sold, as if the others bought none.
  absl::Status BuyToPassOn(int64_t units) {
    std::vector<HeldQuote> quotes;
    const int64_t left = LeftUnits();
    int64_t quoted = 0;
    for (int name = options_.trader_names; name > 0; --name) {
      const int64_t some = (std::min(units, left) - quoted) / name;
      if (some <= 0) continue;
      const auto quote = Quote(some);
      if (!quote.ok()) return quote.status();
      quoted += some;
      if (options_.quoted_side_by_side) {
        quotes.push_back({some, quote->charge_microcredits, round_});
      } else {
        Open(trader_, some, quote->charge_microcredits);
      }
    }
    for (const HeldQuote& quote : quotes) Open(trader_, quote.units, quote.charge_microcredits);
    return absl::OkStatus();
  }

  // A quote binds for quote_rounds: on its last round the trader knows what came after it.
  absl::Status Snipe() {
    // Side by side: none of the other quotes is sold yet.
    const int64_t units = LeftUnits() / 2 / options_.trader_names;
    for (int name = 0; units > 0 && name < options_.trader_names; ++name) {
      const auto quote = Quote(units);
      if (!quote.ok()) return quote.status();
      quotes_.push_back({units, quote->charge_microcredits, round_ + options_.quote_rounds - 1});
    }
    while (!quotes_.empty() && quotes_.front().last_round <= round_) {
      const HeldQuote quote = quotes_.front();
      quotes_.pop_front();
      // What it can hope to take for them, if prices stay as they are.
      const Microcredits takings = quote.units * (LastPrice() * 19 / 20);
      if (quote.units <= LeftUnits() && takings > quote.charge_microcredits) {
        Open(trader_, quote.units, quote.charge_microcredits);
      }
    }
    return absl::OkStatus();
  }

  absl::Status EndOrBuy() {
    for (Contract& contract : contracts_) {
      if (contract.guest != trader_ || LastPrice() >= contract.unit_price_microcredits) continue;
      const int64_t left = contract.until_round - (round_ + 1);
      // What going on costs more than the auction will, if it stays as it is.
      const Microcredits saved =
          left * (contract.charge_microcredits - contract.units * LastPrice());
      const Microcredits fee =
          policies::EndFee(options_.policy, contract.charge_microcredits, left);
      if (saved <= fee) continue;
      if (Counts()) {
        revenue_ += static_cast<double>(fee);
        trader_gain_ -= static_cast<double>(fee);
      }
      contract.until_round = round_ + 1;
    }
    std::erase_if(contracts_, [this](const Contract& c) { return c.until_round <= round_ + 1; });
    const Guest& trader = guests_[trader_];
    const int64_t wanted = std::min(trader.needed_units - ContractedUnits(trader_), LeftUnits());
    if (wanted <= 0) return absl::OkStatus();
    const auto quote = Quote(wanted);
    if (!quote.ok()) return quote.status();
    if (quote->charge_microcredits <= wanted * std::min(LastPrice(), trader.worth_microcredits)) {
      Open(trader_, wanted, quote->charge_microcredits);
    }
    return absl::OkStatus();
  }

  ContractResult Result() const {
    const auto n = static_cast<double>(std::max<int64_t>(1, options_.rounds - kWarmUpRounds));
    double sum = 0;
    double squares = 0;
    for (size_t r = kWarmUpRounds; r < prices_.size(); ++r) {
      const auto price = static_cast<double>(prices_[r]);
      sum += price;
      squares += price * price;
    }
    const double mean = sum / n;
    return {
        .welfare = welfare_ / n,
        .revenue = revenue_ / n,
        .spot_price = mean,
        .spot_deviation = mean == 0 ? 0 : std::sqrt(std::fmax(0, squares / n - mean * mean)) / mean,
        .contracted_share = contracted_units_ / n / static_cast<double>(options_.capacity_units),
        .lost_units = lost_units_ / n,
        .evicted = static_cast<double>(evicted_) / n / static_cast<double>(options_.guests),
        .steady_surplus = steady_surplus_ / n,
        .other_surplus = other_surplus_ / n,
        .trader_gain = trader_gain_ / n};
  }

  struct HeldQuote {
    int64_t units = 0;
    Microcredits charge_microcredits = 0;
    int64_t last_round = 0;
  };

  const ContractOptions options_;
  const int64_t share_units_;
  Random chance_;
  std::vector<Guest> guests_;
  size_t trader_ = 0;
  std::vector<Contract> contracts_;
  std::vector<Microcredits> prices_;  // Of all rounds.
  std::deque<HeldQuote> quotes_;
  int64_t round_ = 0;

  double welfare_ = 0;
  double revenue_ = 0;
  double contracted_units_ = 0;
  double lost_units_ = 0;
  int64_t evicted_ = 0;
  double steady_surplus_ = 0;
  double other_surplus_ = 0;
  double trader_gain_ = 0;
};

}  // namespace

absl::StatusOr<ContractResult> RunContracts(const ContractOptions& options) {
  return Market(options).Run();
}

}  // namespace nom::economy
