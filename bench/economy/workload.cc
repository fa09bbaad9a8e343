// SPDX-License-Identifier: Apache-2.0
#include "bench/economy/workload.h"

#include <algorithm>
#include <utility>

namespace nom::economy {
namespace {

// A corner of a performance curve: parts per million of the working set, and of full performance.
using Corner = std::pair<int64_t, int64_t>;

std::vector<Corner> DiminishingCorners(int64_t shape) {
  std::vector<Corner> corners;
  const int64_t k = 1 + shape % 8;
  for (int64_t eighth = 1; eighth <= 8; ++eighth) {
    corners.emplace_back(eighth * kPpm / 8, kPpm * eighth * (8 + k) / ((eighth + k) * 8));
  }
  return corners;
}

std::vector<Corner> HitCorners(int64_t shape) {
  const int64_t popular = kPpm * (20 + shape % 41) / 100;  // 20 to 60 % hit before the loop fits.
  return {{kPpm / 16, popular * 45 / 100}, {kPpm / 8, popular * 65 / 100},
          {kPpm / 4, popular * 85 / 100},  {kPpm / 2, popular},
          {kPpm * 9 / 10, popular + 1},    {kPpm, kPpm}};
}

std::vector<Corner> StepCorners(int64_t shape) {
  switch (shape % 3) {
    case 0:
      return {{kPpm, kPpm}};
    case 1:
      return {{kPpm / 2, kPpm * 55 / 100}, {kPpm, kPpm}};
    default:
      return {{kPpm / 4, kPpm * 30 / 100}, {kPpm / 2, kPpm * 65 / 100}, {kPpm, kPpm}};
  }
}

std::vector<Corner> Corners(Curve curve, int64_t shape) {
  switch (curve) {
    case Curve::kDiminishing:
      return DiminishingCorners(shape);
    case Curve::kHits:
      return HitCorners(shape);
    case Curve::kSteps:
      break;
  }
  return StepCorners(shape);
}

Microcredits Scale(Microcredits amount, int64_t ppm) {
  return static_cast<Microcredits>(Int128{amount} * ppm / kPpm);
}

}  // namespace

Workload::Workload(const WorkloadOptions& options)
    : options_(options),
      random_(options.seed),
      guests_(static_cast<size_t>(options.guests)),
      insides_(guests_.size()) {
  for (size_t place = 0; place < guests_.size(); ++place) Arrive(place);
}

void Workload::Arrive(size_t place) {
  Guest& guest = guests_[place];
  Inside& inside = insides_[place];
  guest.id = next_id_++;
  inside.random = Random(options_.seed, guest.id);
  Random& random = inside.random;
  const int64_t kind = random.Between(1, 100);
  guest.curve = kind <= options_.diminishing_percent                           ? Curve::kDiminishing
                : kind <= options_.diminishing_percent + options_.hits_percent ? Curve::kHits
                                                                               : Curve::kSteps;
  const Microcredits worth = Lomax(random, options_.worth_scale_microcredits);
  inside.worth = options_.equal_worth ? options_.worth_scale_microcredits * 62 / 10 : worth;
  inside.shape = random.Between(0, 1'000);
  // Half are between mean / spread and the mean, half between the mean and mean * spread; then as
  // much less as that makes the mean too large.
  const int64_t mean = options_.capacity_units * options_.pressure_ppm / options_.guests;
  const int64_t spread = options_.spread;
  const bool small = random.OneIn(2);
  const int64_t size =
      small ? random.Between(mean / spread, mean) : random.Between(mean, mean * spread);
  // Of the draw above: (mean / spread + mean) / 4 + (mean + mean * spread) / 4.
  const int64_t drawn_mean = (mean / spread + 2 * mean + mean * spread) / 4;
  inside.working_set_units = std::clamp<int64_t>(
      static_cast<int64_t>(Int128{size} * mean / drawn_mean / kPpm), 1, options_.capacity_units);
  inside.phase_units = inside.working_set_units;
  NewPhase(inside, /*also_size=*/false);
  Update(place, inside.load_ppm, /*arriving=*/true);
}

void Workload::NewPhase(Inside& inside, bool also_size) const {
  if (options_.phase_rounds == 0) {
    inside.load_ppm = kPpm;
    return;
  }
  // Half of the phases are busy ones.
  inside.load_ppm = inside.random.OneIn(2) ? inside.random.Between(kPpm * 8 / 10, kPpm)
                                           : inside.random.Between(kPpm / 20, kPpm * 8 / 10);
  if (!also_size) return;
  const int64_t size_percent = inside.random.Between(50, 150);
  inside.phase_units = std::clamp<int64_t>(inside.working_set_units * size_percent / 100, 1,
                                           options_.capacity_units);
}

void Workload::Update(size_t place, int64_t load_ppm, bool arriving) {
  Guest& guest = guests_[place];
  Inside& inside = insides_[place];
  std::vector<CurvePoint> worth;
  std::vector<CurvePoint> hits;
  for (const auto& [share_ppm, performance_ppm] : Corners(guest.curve, inside.shape)) {
    // Rounded up: a working set that does not quite fit has not reached its corner.
    const int64_t units = std::max<int64_t>(1, (inside.phase_units * share_ppm + kPpm - 1) / kPpm);
    const int64_t performance =
        options_.square ? performance_ppm * performance_ppm / kPpm : performance_ppm;
    worth.push_back({units, Scale(Scale(inside.worth, load_ppm), performance)});
    hits.push_back({units, Scale(load_ppm, performance_ppm)});
  }
  const bool steps = guest.curve == Curve::kSteps;
  Known known{MakeValuation(worth, steps), MakeValuation(hits, steps)};
  // A newcomer plans: it knows its first round as well as others know theirs.
  const Known& before = arriving || options_.foresight ? known : inside.last;
  guest.believed = before.worth;
  guest.hits = before.hits;
  guest.used_units = guest.believed.most_units();
  guest.now = known.worth;
  inside.last = std::move(known);
}

void Workload::Next() {
  for (size_t place = 0; place < guests_.size(); ++place) {
    if (options_.stay_rounds > 0 && random_.OneIn(options_.stay_rounds)) {
      Arrive(place);
      continue;
    }
    Inside& inside = insides_[place];
    int64_t load_ppm = inside.load_ppm;
    if (options_.phase_rounds > 0) {
      if (inside.random.OneIn(options_.phase_rounds)) NewPhase(inside, inside.random.OneIn(3));
      load_ppm = inside.load_ppm * inside.random.Between(950, 1'050) / 1'000;
    }
    Update(place, load_ppm, /*arriving=*/false);
  }
}

}  // namespace nom::economy
