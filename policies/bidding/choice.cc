// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/choice.h"

#include "policies/bidding/sort.h"

namespace nom::policies {
namespace {

__extension__ using Wide = __int128;
__extension__ using UnsignedWide = unsigned __int128;

constexpr int64_t kMillion = 1'000'000;
constexpr Microcredits kCostMax = INT64_MAX / 2;
constexpr int64_t kTailParts = 10;  // The tail is the worst tenth.

bool IsWithin(int64_t number, int64_t low, int64_t high) { return number >= low && number <= high; }

// Bit by bit, as the compiler's own division of 128 bits is a library's. Requires 0 < divisor
// <= 2^62.
UnsignedWide Divide(UnsignedWide dividend, uint64_t divisor) {
  UnsignedWide quotient = 0;
  uint64_t rest = 0;
  for (int bit = 127; bit >= 0; --bit) {
    rest = (rest << 1) | static_cast<uint64_t>((dividend >> bit) & 1);
    quotient <<= 1;
    if (rest >= divisor) {
      rest -= divisor;
      quotient |= 1;
    }
  }
  return quotient;
}

// Rounded down, also below 0. Requires a quotient of 64 bits.
int64_t FloorDivide(Wide dividend, int64_t divisor) {
  const auto by = static_cast<uint64_t>(divisor);
  if (dividend >= 0) return static_cast<int64_t>(Divide(static_cast<UnsignedWide>(dividend), by));
  const auto size = static_cast<UnsignedWide>(-dividend) + by - 1;
  return -static_cast<int64_t>(Divide(size, by));
}

// The futures that the history tells of, and what a pair of limits makes of them.
class Blocks {
 public:
  Blocks(const ChoiceInput& input, ChoiceCell* cells)
      : input_(input), cells_(cells), rounds_(input.rounds) {
    // Two blocks side by side at least: one alone would be its own whole past.
    const int64_t half = rounds_ / 2;
    block_ = input.need.within_rounds < half ? input.need.within_rounds : half;
    if (block_ < input.need.rounds) return;
    // Counted back from the next round, so that they begin where in the cycle that is.
    const int64_t back = (block_ + input.cycle_rounds - 1) / input.cycle_rounds;
    step_ = static_cast<int>(input.cycle_rounds);
    const int64_t latest = rounds_ - back * input.cycle_rounds;
    if (latest < 0) return;
    first_ = static_cast<int>(latest % input.cycle_rounds);
    const auto count = static_cast<int>((latest - first_) / input.cycle_rounds + 1);
    if (count >= kChoiceBlocksMin) count_ = count;
  }

  int count() const { return count_; }
  int64_t block_rounds() const { return block_; }

  // The charges at kWaitLimits evenly spread ranks of those that may be paid at all; how many there
  // are, without those that are the same or are no lower than what may be paid.
  int WaitLimits(Microcredits limit, Microcredits* out) const {
    int payable = 0;
    for (int i = 0; i < rounds_; ++i) {
      if (ChargeAt(i) <= limit) cells_[payable++].outcome = ChargeAt(i);
    }
    Sort(cells_, payable,
         [](const ChoiceCell& a, const ChoiceCell& b) { return a.outcome < b.outcome; });
    int count = 0;
    for (int i = 1; i <= kWaitLimits && payable > 0; ++i) {
      const int64_t rank = int64_t{payable} * i / (kWaitLimits + 1);
      const Microcredits charge = cells_[rank].outcome;
      if (charge >= limit || (count > 0 && out[count - 1] == charge)) continue;
      out[count++] = charge;
    }
    return count;
  }

  // Requires slack_limit <= limit and count() > 0.
  Prospect Look(Microcredits slack_limit, Microcredits limit) {
    Count(slack_limit, limit);
    Wide charges = 0;
    Wide gains = 0;
    int met = 0;
    for (int i = 0; i < count_; ++i) {
      const Future future = Play(first_ + i * step_);
      const Microcredits gain =
          (future.is_met ? input_.need.worth_microcredits : 0) - future.paid_microcredits;
      charges += future.paid_microcredits;
      gains += gain;
      met += future.is_met ? 1 : 0;
      cells_[i].outcome = gain;
    }
    Sort(cells_, count_,
         [](const ChoiceCell& a, const ChoiceCell& b) { return a.outcome < b.outcome; });
    // In parts of an outcome, as the tail may end within one: count parts of count * kTailParts.
    Wide tail = 0;
    const int whole = count_ / kTailParts;
    for (int i = 0; i < whole; ++i) tail += Wide{kTailParts} * cells_[i].outcome;
    tail += Wide{count_ % kTailParts} * cells_[whole].outcome;
    const int64_t dislike = input_.dislike_ppm;
    return {.possible = true,
            .utility_microcredits = FloorDivide((kMillion - dislike) * gains + dislike * tail,
                                                int64_t{count_} * kMillion),
            .mean_gain_microcredits = FloorDivide(gains, count_),
            .tail_gain_microcredits = FloorDivide(tail, count_),
            .mean_charge_microcredits = FloorDivide(charges, count_),
            .met_ppm = int64_t{met} * kMillion / count_,
            .slack_limit_microcredits = slack_limit,
            .limit_microcredits = limit};
  }

 private:
  struct Future {
    bool is_met = false;
    Microcredits paid_microcredits = 0;
  };

  Microcredits ChargeAt(int64_t round) const {
    const Microcredits charge = input_.charges_microcredits[round];
    return charge < 0 ? 0 : charge;
  }

  // Sums, counts and places of all rounds, by which each block is played in a few steps.
  void Count(Microcredits slack_limit, Microcredits limit) {
    int cheap = 0;
    int other = 0;
    int dear = 0;
    uint64_t cheap_sum = 0;
    uint64_t paid_sum = 0;
    for (int i = 0;; ++i) {
      cells_[i].cheap_sum = cheap_sum;
      cells_[i].paid_sum = paid_sum;
      cells_[i].cheap_count = cheap;
      cells_[i].dear_count = dear;
      if (i == rounds_) break;
      const Microcredits charge = ChargeAt(i);
      if (charge <= slack_limit) {
        cells_[cheap++].cheap_at = i;
        cheap_sum += static_cast<uint64_t>(charge);
      } else {
        cells_[other++].other_at = i;
      }
      if (charge <= limit) {
        paid_sum += static_cast<uint64_t>(charge);
      } else {
        cells_[dear++].dear_at = i;
      }
    }
    cheap_ = cheap;
  }

  // What becomes of the need if it begins at `first`. As long as there is slack the cheap rounds
  // are taken; once as many others have passed as there was slack, every round is, or all is lost.
  Future Play(int64_t first) const {
    const int64_t needed = input_.need.rounds;
    const int64_t end = first + block_;
    const ChoiceCell& begin = cells_[first];
    const int64_t last_cheap = begin.cheap_count + needed - 1;
    if (last_cheap < cheap_ && cells_[last_cheap].cheap_at < end) {
      const int64_t met_at = int64_t{cells_[last_cheap].cheap_at} + 1;
      return {true, static_cast<Microcredits>(cells_[met_at].cheap_sum - begin.cheap_sum)};
    }
    const int64_t slack = block_ - needed;
    const int64_t others_before = first - begin.cheap_count;
    const int64_t pressed =
        slack == 0 ? first : int64_t{cells_[others_before + slack - 1].other_at} + 1;
    const auto taken = static_cast<Microcredits>(cells_[pressed].cheap_sum - begin.cheap_sum);
    const bool is_met = cells_[end].dear_count == cells_[pressed].dear_count;
    const int64_t stop = is_met ? end : cells_[cells_[pressed].dear_count].dear_at;
    return {is_met,
            taken + static_cast<Microcredits>(cells_[stop].paid_sum - cells_[pressed].paid_sum)};
  }

  const ChoiceInput& input_;
  ChoiceCell* const cells_;
  const int rounds_;
  int64_t block_ = 0;
  int first_ = 0;
  int step_ = 1;
  int count_ = 0;
  int cheap_ = 0;
};

Prospect OfContract(const ChoiceInput& input) {
  const ContractTerms* const terms = input.contract;
  const Need& need = input.need;
  if (terms == nullptr || terms->rounds < need.rounds ||
      terms->begins_in_rounds + need.rounds > need.within_rounds) {
    return {};
  }
  const Microcredits cost = ContractCost(*terms, need.rounds);
  const Microcredits gain = need.worth_microcredits - cost;
  return {.possible = true,
          .utility_microcredits = gain,
          .mean_gain_microcredits = gain,
          .tail_gain_microcredits = gain,
          .mean_charge_microcredits = cost,
          .met_ppm = kMillion};
}

}  // namespace

const char* WrongField(const ChoiceInput& input) {
  if (!IsWithin(input.rounds, 0, kChoiceRoundsMax)) return "rounds";
  if (input.rounds > 0 && input.charges_microcredits == nullptr) return "charges_microcredits";
  const Need& need = input.need;
  if (!IsWithin(need.rounds, 1, kChoiceRoundsMax)) return "need.rounds";
  if (!IsWithin(need.within_rounds, need.rounds, kChoiceRoundsMax)) return "need.within_rounds";
  if (!IsWithin(need.worth_microcredits, 0, kValueMaxMicrocredits)) {
    return "need.worth_microcredits";
  }
  if (const ContractTerms* const terms = input.contract; terms != nullptr) {
    if (!IsWithin(terms->charge_microcredits, 0, kValueMaxMicrocredits)) {
      return "contract.charge_microcredits";
    }
    if (!IsWithin(terms->rounds, 1, kChoiceRoundsMax)) return "contract.rounds";
    if (!IsWithin(terms->begins_in_rounds, 0, kChoiceRoundsMax)) return "contract.begins_in_rounds";
    if (!IsWithin(terms->end_fee_ppm, 0, kMillion)) return "contract.end_fee_ppm";
  }
  if (!IsWithin(input.dislike_ppm, 0, kDislikeMaxPpm)) return "dislike_ppm";
  if (!IsWithin(input.cycle_rounds, 1, kChoiceRoundsMax)) return "cycle_rounds";
  return nullptr;
}

Choice Choose(const ChoiceInput& input, ChoiceCell* cells) {
  Choice choice;
  choice.contract = OfContract(input);
  Blocks blocks(input, cells);
  if (blocks.count() == 0) return choice;
  choice.blocks = blocks.count();
  choice.block_rounds = blocks.block_rounds();

  const Microcredits limit = input.need.worth_microcredits / input.need.rounds;
  Microcredits limits[kWaitLimits];
  const bool has_slack = choice.block_rounds > input.need.rounds;
  const int limits_count = has_slack ? blocks.WaitLimits(limit, limits) : 0;
  choice.spot = blocks.Look(limit, limit);
  for (int i = 0; i < limits_count; ++i) {
    const Prospect prospect = blocks.Look(limits[i], limit);
    if (!choice.wait.possible || prospect.utility_microcredits > choice.wait.utility_microcredits) {
      choice.wait = prospect;
    }
  }

  // Only what is better than what came before it: so of equals the first is taken.
  choice.way = Way::kNothing;
  Microcredits best = 0;
  const auto consider = [&](Way way, const Prospect& prospect) {
    if (!prospect.possible || prospect.utility_microcredits <= best) return;
    best = prospect.utility_microcredits;
    choice.way = way;
  };
  consider(Way::kContract, choice.contract);
  consider(Way::kSpot, choice.spot);
  consider(Way::kWait, choice.wait);
  return choice;
}

Microcredits LimitNow(const Prospect& prospect, const Need& need, int64_t held_rounds,
                      int64_t left_rounds) {
  const int64_t missing = need.rounds - held_rounds;
  if (missing <= 0 || left_rounds < missing) return 0;
  return left_rounds > missing ? prospect.slack_limit_microcredits : prospect.limit_microcredits;
}

Microcredits ContractCost(const ContractTerms& terms, int64_t used_rounds) {
  const Wide used = Wide{terms.charge_microcredits} * used_rounds;
  const Wide given_up = Wide{terms.charge_microcredits} * (terms.rounds - used_rounds);
  const auto scaled = static_cast<UnsignedWide>(given_up * terms.end_fee_ppm + kMillion - 1);
  const Wide cost = used + static_cast<Wide>(Divide(scaled, kMillion));
  return cost > kCostMax ? kCostMax : static_cast<Microcredits>(cost);
}

}  // namespace nom::policies
