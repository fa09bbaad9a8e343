// SPDX-License-Identifier: Apache-2.0
#include "client/examples/guests/batch/batch.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "client/examples/guests/common/integers.h"
#include "client/examples/guests/common/run.h"
#include "client/guest/arguments.h"

namespace nom::examples {
namespace {

constexpr int64_t kBidsNone = 1;
constexpr std::array<std::string_view, 2> kBidsWords = {"auto", "none"};
constexpr int64_t kMoneyMax = 1'000'000'000'000;

}  // namespace

guest::Text<160> Batch::Settings::Parse(std::string_view arguments) {
  const std::array<guest::Argument, 6> known = {{
      {.key = "block_value", .value = &block_value, .min = 0, .max = 1'000'000'000},
      {.key = "blocks", .value = &blocks, .min = 0, .max = 1'000'000'000},
      {.key = "budget", .value = &budget, .min = 0, .max = kMoneyMax},
      {.key = "rounds", .value = &rounds, .min = 0, .max = 1'000'000'000},
      {.key = "seed", .value = &seed, .min = 0, .max = 1'000'000'000'000'000},
      {.key = "bids", .value = &bids, .words = kBidsWords},
  }};
  return guest::ParseArguments(arguments, known);
}

Batch::Batch(guest::Nomhv* nomhv, const guest::Pages& pages, const guest::Start& start,
             const Settings& settings)
    : clock_(nomhv, start.tsc_hz),
      console_(nomhv),
      market_(&clock_, pages),
      settings_(settings),
      meter_(nomhv) {
  market_.Say({.work_unit = "blocks", .activity = "starting"});
}

bool Batch::finished() const {
  return settings_.blocks != 0 && blocks_done_ >= static_cast<uint64_t>(settings_.blocks);
}

int64_t Batch::value_microcredits() const {
  return MoneyMulDiv(blocks_done_, static_cast<uint64_t>(settings_.block_value), 1,
                     std::numeric_limits<int64_t>::max());
}

uint64_t Batch::Turn() {
  market_.Look();
  if (market_.round_began()) OnRound();
  if (finished()) return clock_.Tsc() + clock_.ToTicks(kSleepUsMax);
  const uint64_t began = clock_.Tsc();
  const uint64_t slice_end = began + clock_.ToTicks(kSliceUs);
  uint64_t hashed = 0;
  meter_.Begin();
  do {
    HashBlock();
    ++hashed;
  } while (!finished() && clock_.Tsc() < slice_end);
  const uint64_t used = meter_.End(hashed);
  // What was bought is used up, slice after slice; nomhv ends it when the budget does. On the seed
  // alone the job keeps to the seed's pace by itself and sleeps in between.
  const int64_t seed = market_.SeedMillicores();
  if (seed <= 0 || seed >= 1000 || market_.Millicores() > seed) return 0;
  return began + MulDiv(used, 1000, static_cast<uint64_t>(seed));
}

void Batch::HashBlock() {
  Random contents(Mix(static_cast<uint64_t>(settings_.seed)) + blocks_done_);
  for (size_t i = 0; i < kBlockBytes; i += 8) {
    const uint64_t word = contents.Next();
    std::memcpy(block_.data() + i, &word, sizeof(word));
  }
  Sha256 hash;
  hash.Add(result_);
  hash.Add(block_);
  result_ = hash.Finish();
  ++blocks_done_;
}

int64_t Batch::UnitValue() const {
  if (meter_.cycles() == 0) return 0;
  return MoneyMulDiv(static_cast<uint64_t>(settings_.block_value), market_.CyclesPerCpuUnit(),
                     meter_.cycles(), policies::kValueMaxMicrocredits / 1000);
}

// Every unit hashes as many blocks as every other: one price, up to a whole processor or the end of
// the list.
policies::RangeList Batch::Offer() const {
  const int64_t unit = market_.UnitSize(NOM_RESOURCE_CPU);
  int64_t units = (1000 - std::min<int64_t>(market_.SeedMillicores(), 1000)) / unit;
  if (settings_.blocks != 0 && meter_.cycles() != 0) {
    const uint64_t left = static_cast<uint64_t>(settings_.blocks) - blocks_done_;
    const uint64_t cycles = std::max<uint64_t>(market_.CyclesPerCpuUnit(), 1);
    const uint64_t needed = MulDiv(left, meter_.cycles(), cycles) + 1;
    units = static_cast<int64_t>(std::min<uint64_t>(static_cast<uint64_t>(units), needed));
  }
  return policies::FlatOffer(1, units, UnitValue());
}

void Batch::OnRound() {
  meter_.EndRound();
  const uint64_t hashed = blocks_done_ - blocks_at_round_;
  blocks_at_round_ = blocks_done_;
  const int64_t unit_value = UnitValue();
  const std::optional<int64_t> price = market_.Price(NOM_RESOURCE_CPU);
  const uint64_t per_second = MulDiv(hashed, 1'000'000, market_.round_us());
  guest::Text<31> activity;
  if (finished()) {
    activity.Append("list done");
  } else if (settings_.bids != kBidsNone && price.has_value() && *price > unit_value) {
    activity.Append("cpu too dear, ").Append(per_second).Append("/s");
  } else {
    activity.Append("hashing ").Append(per_second).Append("/s");
  }
  policies::RangeList offer;
  if (settings_.bids != kBidsNone) {
    if (!finished()) offer = Offer();
    if (settings_.budget > 0) {
      offer = policies::Cap(offer, {.budget_microcredits = settings_.budget});
    }
    (void)market_.Bid(NOM_RESOURCE_CPU, offer, settings_.budget);  // Safe mode bids nothing.
  }
  market_.Say({.work_done = blocks_done_,
               .work_unit = "blocks",
               .value_microcredits = value_microcredits(),
               .activity = activity.view()});
  console_.Line("round ", market_.rounds_seen(), ": ", hashed, " blocks, ", blocks_done_,
                " in all, ", meter_.cycles(), " cycles each, cpu unit worth ", unit_value,
                ", price ", price.value_or(-1), ", ", market_.Millicores(), " millicores",
                market_.safe_mode() ? ", safe mode" : "");
}

}  // namespace nom::examples
