// SPDX-License-Identifier: Apache-2.0
#include "client/examples/guests/cache/cache.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "client/examples/guests/common/run.h"
#include "client/guest/arguments.h"

namespace nom::examples {
namespace {

constexpr int64_t kMoneyMax = 1'000'000'000'000;
// Requests wait no longer than this; older ones are dropped.
constexpr uint64_t kPatienceUs = 500'000;

}  // namespace

guest::Text<160> Cache::Settings::Parse(std::string_view arguments) {
  const std::array<guest::Argument, 9> known = {{
      {.key = "hit_value", .value = &hit_value, .min = 0, .max = 1'000'000'000},
      {.key = "keys", .value = &keys, .min = 16, .max = Load::kKeysMax},
      {.key = "rate", .value = &rate, .min = 1, .max = 1'000'000},
      {.key = "phase_rounds", .value = &phase_rounds, .min = 1, .max = 1'000'000},
      {.key = "budget", .value = &budget, .min = 0, .max = kMoneyMax},
      {.key = "together", .value = &together, .min = 0, .max = 1},
      {.key = "reader", .value = &reader, .min = 0, .max = std::numeric_limits<int64_t>::max()},
      {.key = "rounds", .value = &rounds, .min = 0, .max = 1'000'000'000},
      {.key = "seed", .value = &seed, .min = 0, .max = 1'000'000'000'000'000},
  }};
  return guest::ParseArguments(arguments, known);
}

Cache::Cache(guest::Nomhv* nomhv, const guest::Pages& pages, const guest::Start& start,
             const Settings& settings, uintptr_t base_address)
    : clock_(nomhv, start.tsc_hz),
      console_(nomhv),
      market_(&clock_, pages),
      settings_(settings),
      start_(start),
      load_(static_cast<uint32_t>(settings.keys), static_cast<uint64_t>(settings.rate),
            static_cast<uint64_t>(settings.seed)),
      arrivals_(start.tsc_hz, nomhv->Tsc()),
      meter_(nomhv),
      store_(nomhv, {.seed_frames = start.seed_frames,
                     .window_frames = start.window_frames,
                     .image_first_frame = start.image_first_frame,
                     .image_end_frame = start.image_end_frame,
                     .base_address = base_address}),
      reader_(nomhv, static_cast<uint64_t>(settings.reader), guest::Channel::Side::kOfferer) {
  arrivals_.SetRate(load_.rate());
  market_.Say({.work_unit = "hits", .activity = "filling"});
}

int64_t Cache::value_microcredits() const {
  return MoneyMulDiv(hits_, static_cast<uint64_t>(settings_.hit_value), 1,
                     std::numeric_limits<int64_t>::max());
}

uint64_t Cache::Turn() {
  market_.Look();
  // Notices first: what is not given back in time is taken, and not by what it is worth.
  (void)store_.Update(market_.guest());
  if (market_.round_began()) OnRound();
  const uint64_t now = clock_.Tsc();
  const uint64_t slice_end = now + clock_.ToTicks(kSliceUs);
  dropped_ += arrivals_.DropOlderThan(now, clock_.ToTicks(kPatienceUs));
  uint64_t served = 0;
  uint64_t arrival_tsc = 0;
  meter_.Begin();
  while (arrivals_.Take(now, &arrival_tsc)) {
    Serve(load_.Next());
    ++served;
    if (clock_.Tsc() >= slice_end) break;
  }
  (void)meter_.End(served);
  ServeReader(slice_end);
  // Requests that came meanwhile are served after the next look; with none, there is time to sleep
  // until a handful has come.
  if (clock_.Tsc() >= slice_end) return 0;
  return now + clock_.ToTicks(2 * kSliceUs);
}

void Cache::ServeReader(uint64_t slice_end_tsc) {
  if (!reader_.wanted()) return;
  if (!set_aside_) set_aside_ = store_.SetAside(kLookupFrames);
  if (!set_aside_ || !reader_.Enter()) return;
  if (market_.round_began() && reader_.Left()) return reader_.Leave();
  while (clock_.Tsc() < slice_end_tsc) {
    if (reply_.has_value()) {
      if (!reader_.Send(*reply_)) break;
      reply_.reset();
      ++lookups_;
    }
    guest::Message message;
    if (!reader_.Receive(&message)) break;
    Serve(message.words[Lookup::kKey] % static_cast<uint64_t>(settings_.keys));
    for (size_t i = 0; i < Lookup::kDataWords; ++i) message.words[Lookup::kData + i] = entry_[i];
    message.words[Lookup::kCheck] = Lookup::Check(message);
    reply_ = message;
  }
  if (!reader_.open()) reply_.reset();
}

void Cache::Serve(uint64_t index) {
  const uint64_t key = Mix(index + (static_cast<uint64_t>(settings_.seed) << 32));
  const uint32_t node = store_.NodeOf(key);
  if (node < HitCurve::kKeysMax) (void)curve_.Note(node);
  const Store::Found found = store_.Get(node, entry_);
  if (found == Store::Found::kHit) {
    ++hits_;
    return;
  }
  if (found == Store::Found::kDamaged) {
    ++damaged_;
    console_.Line("an entry was not what was stored: key ", guest::Hex{key});
  }
  ++misses_;
  ComputeEntry(key, static_cast<uint64_t>(settings_.seed), entry_);
  (void)store_.Put(node, entry_);  // Without a frame to keep it in, it was still answered.
}

uint64_t Cache::EntriesOfSeed() const {
  const uint64_t image = start_.image_end_frame - start_.image_first_frame;
  return start_.seed_frames - std::min(start_.seed_frames, image + 1);
}

uint64_t Cache::MemoryUnitFrames() const {
  return std::max<uint64_t>(
      1, static_cast<uint64_t>(market_.UnitSize(NOM_RESOURCE_MEMORY)) / NOM_FRAME_BYTES);
}

uint64_t Cache::MemoryUnitsMax() const {
  const uint64_t unit_frames = MemoryUnitFrames();
  const uint64_t window = std::min<uint64_t>(start_.window_frames, Store::kFramesMax);
  return std::min<uint64_t>((window - std::min(window, start_.seed_frames)) / unit_frames,
                            (HitCurve::kKeysMax + unit_frames - 1) / unit_frames);
}

uint64_t Cache::ExpectedRequests() const {
  return std::max(MulDiv(load_.rate(), market_.round_us(), 1'000'000) * 5 / 4, round_requests_);
}

int64_t Cache::CpuUnitsMax() const {
  const uint64_t unit_cycles = std::max<uint64_t>(market_.CyclesPerCpuUnit(), 1);
  const auto needed = static_cast<int64_t>(
      std::min<uint64_t>(1000, MulDiv(ExpectedRequests(), meter_.cycles(), unit_cycles) + 1));
  const int64_t unit = market_.UnitSize(NOM_RESOURCE_CPU);
  return std::min(needed, 1000 / unit) - market_.SeedMillicores() / unit;
}

int64_t Cache::RoundValue(uint64_t memory_units, uint64_t cpu_units) const {
  const uint64_t requests = std::max<uint64_t>(1, ExpectedRequests());
  const auto seed_units =
      static_cast<uint64_t>(market_.SeedMillicores() / market_.UnitSize(NOM_RESOURCE_CPU));
  const uint64_t served =
      std::min(requests, MulDiv(seed_units + cpu_units, market_.CyclesPerCpuUnit(),
                                std::max<uint64_t>(1, meter_.cycles())));
  const uint64_t hits = curve_.HitsWith(EntriesOfSeed() + memory_units * MemoryUnitFrames());
  return MoneyMulDiv(MulDiv(hits, served, requests), static_cast<uint64_t>(settings_.hit_value), 1,
                     policies::kValueMaxMicrocredits);
}

size_t Cache::BundlesOffer(Bundles& bundles) const {
  // A grid of at most 10 by 9 besides nothing at all.
  constexpr uint64_t kMemorySteps = 9;
  constexpr uint64_t kCpuSteps = 8;
  static_assert((kMemorySteps + 1) * (kCpuSteps + 1) - 1 <= NOM_BUNDLES_MAX);
  if (meter_.cycles() == 0 || round_served_ == 0) return 0;
  const uint64_t memory_max = MemoryUnitsMax();
  const auto cpu_max = static_cast<uint64_t>(std::max<int64_t>(0, CpuUnitsMax()));
  const uint64_t memory_steps = std::min(kMemorySteps, memory_max);
  const uint64_t cpu_steps = std::min(kCpuSteps, cpu_max);
  const int64_t base = RoundValue(0, 0);
  size_t count = 0;
  for (uint64_t m = 0; m <= memory_steps; ++m) {
    for (uint64_t c = 0; c <= cpu_steps; ++c) {
      // No two alike: there are no more steps than units.
      const uint64_t memory = m == 0 ? 0 : m * memory_max / memory_steps;
      const uint64_t cpu = c == 0 ? 0 : c * cpu_max / cpu_steps;
      const int64_t value = RoundValue(memory, cpu) - base;
      if (value <= 0) continue;
      NomBundle& bundle = bundles[count++];
      bundle = {};
      bundle.units[NOM_RESOURCE_MEMORY - 1] = static_cast<int32_t>(memory);
      bundle.units[NOM_RESOURCE_CPU - 1] = static_cast<int32_t>(cpu);
      bundle.value_microcredits = value;
    }
  }
  return count;
}

policies::RangeList Cache::MemoryOffer(const policies::BidCaps& caps) const {
  const uint64_t unit_frames = MemoryUnitFrames();
  const uint64_t units = std::min<uint64_t>(MemoryUnitsMax(), policies::kCurvePointsMax);
  const uint64_t seed_entries = EntriesOfSeed();
  const uint64_t seed_hits = curve_.HitsWith(seed_entries);
  std::array<policies::CurvePoint, policies::kCurvePointsMax> points;
  for (uint64_t q = 1; q <= units; ++q) {
    const uint64_t more = curve_.HitsWith(seed_entries + q * unit_frames) - seed_hits;
    points[q - 1] = {static_cast<int64_t>(q),
                     MoneyMulDiv(more, static_cast<uint64_t>(settings_.hit_value), 1,
                                 policies::kValueMaxMicrocredits)};
  }
  policies::RangeList ranges;
  if (policies::ConcaveRangesWithin(points.data(), static_cast<int>(units), caps, ranges) !=
      policies::CurveError::kOk) {
    ranges.count = 0;
  }
  return ranges;
}

// As much as serves the load that comes, and a quarter more; worth the hits that would be missed
// without it.
policies::RangeList Cache::CpuOffer() const {
  const uint64_t unit_cycles = std::max<uint64_t>(market_.CyclesPerCpuUnit(), 1);
  if (meter_.cycles() == 0 || round_served_ == 0) return {};
  const uint64_t unit_hits = MulDiv(unit_cycles / meter_.cycles(), round_hits_, round_served_);
  const int64_t unit_value = MoneyMulDiv(unit_hits, static_cast<uint64_t>(settings_.hit_value), 1,
                                         policies::kValueMaxMicrocredits / 1000);
  return policies::FlatOffer(1, CpuUnitsMax(), unit_value);
}

void Cache::OnRound() {
  meter_.EndRound();
  curve_.EndRound();
  round_hits_ = hits_ - hits_at_round_;
  round_served_ = round_hits_ + misses_ - misses_at_round_;
  round_requests_ = round_served_ + dropped_ - dropped_at_round_;
  hits_at_round_ = hits_;
  misses_at_round_ = misses_;
  dropped_at_round_ = dropped_;
  if (market_.rounds_seen() % static_cast<uint64_t>(settings_.phase_rounds) == 0) {
    load_.NextPhase();
    arrivals_.SetRate(load_.rate());
  }
  policies::BidCaps memory_caps;
  policies::BidCaps cpu_caps;
  if (settings_.budget > 0) {
    // Memory is what the cache is about; processor time gets what a quarter buys.
    memory_caps.budget_microcredits = settings_.budget - settings_.budget / 4;
    cpu_caps.budget_microcredits = settings_.budget / 4;
  }
  const policies::RangeList memory = MemoryOffer(memory_caps);
  const policies::RangeList cpu = policies::Cap(CpuOffer(), cpu_caps);
  if (settings_.together != 0) {
    Bundles bundles;
    const size_t count = BundlesOffer(bundles);
    (void)market_.BidTogether(std::span(bundles).first(count), settings_.budget);
  } else {
    (void)market_.Bid(NOM_RESOURCE_MEMORY, memory, settings_.budget - settings_.budget / 4);
    (void)market_.Bid(NOM_RESOURCE_CPU, cpu, settings_.budget / 4);
  }
  const uint64_t percent = round_served_ == 0 ? 0 : round_hits_ * 100 / round_served_;
  guest::Text<31> activity("serving ", percent, "% hits");
  if (round_requests_ > round_served_) {
    activity.Append(", ").Append(round_requests_ - round_served_).Append(" late");
  }
  market_.Say({.work_done = hits_,
               .work_unit = "hits",
               .value_microcredits = value_microcredits(),
               .activity = activity.view()});
  const std::optional<int64_t> price = market_.Price(NOM_RESOURCE_MEMORY);
  console_.Line("round ", market_.rounds_seen(), ": ", round_hits_, " hits of ", round_served_,
                " (", percent, "%), ", round_requests_ - round_served_, " late, ",
                store_.pool().held_frames(), " frames, would take ",
                policies::BestUnitsAt(memory, price.value_or(0)), " units at ", price.value_or(-1),
                ", rate ", load_.rate(), ", ", lookups_, " lookups, ", meter_.cycles(),
                " cycles each", market_.safe_mode() ? ", safe mode" : "");
}

}  // namespace nom::examples
