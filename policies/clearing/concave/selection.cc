// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/concave/selection.h"

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "policies/clearing/int128.h"
#include "policies/mix.h"

namespace nom::policies {
namespace {

constexpr Microcredits kGainMax = std::numeric_limits<Microcredits>::max();
// So few are sorted at once.
constexpr size_t kFewOffers = 128;
constexpr size_t kSampleMin = 64;
constexpr size_t kSampleMax = 2'048;
// Offers that are looked at before those to be kept are copied.
constexpr size_t kBlock = 512;
// From here on counting digits is faster than comparing.
constexpr size_t kManyOffers = 2'048;

// Steps of counted work (work.h), as measured by bench/policies/concave_goals.cc.
constexpr int64_t kLooksAStep = 2;
constexpr int64_t kStepsASample = 20;  // Cache misses, and sorting.
constexpr int64_t kStepsASorted = 10;

bool IsDearer(const Offer& a, const Offer& b) { return a.gain > b.gain; }

// Sorting puts equals in any order; runs are told apart by their numbers.
bool IsDearerOrEarlier(const Offer& a, const Offer& b) {
  return a.gain != b.gain ? a.gain > b.gain : a.run < b.run;
}

size_t RootOf(size_t n) { return static_cast<size_t>(std::sqrt(static_cast<double>(n))); }

struct FromColumns {
  Microcredits GainOf(size_t i) const { return columns.gain[i]; }
  int64_t UnitsOf(size_t i) const { return columns.units[i]; }
  Offer At(size_t i) const { return {columns.gain[i], static_cast<uint32_t>(i), columns.units[i]}; }
  const OfferColumns& columns;
};

struct FromWindow {
  Microcredits GainOf(size_t i) const { return offers[i].gain; }
  int64_t UnitsOf(size_t i) const { return offers[i].units; }
  Offer At(size_t i) const { return offers[i]; }
  const Offer* offers;
};

class WindowFinder {
 public:
  WindowFinder(const OfferColumns& columns, int64_t first_unit, int64_t last_unit,
               int64_t all_units, Work& work)
      : columns_(columns),
        first_unit_(first_unit),
        last_unit_(last_unit),
        all_units_(all_units),
        work_(work) {}

  std::optional<Window> Find() {
    Window window;
    Window next;
    size_t count = columns_.gain.size();
    if (!Narrow(FromColumns{columns_}, count, 0, all_units_, window)) return std::nullopt;
    // Where a pass no longer leaves out half, the rest are equals or are wanted.
    while (window.offers.size() > kFewOffers && window.offers.size() <= count / 2) {
      count = window.offers.size();
      if (!Narrow(FromWindow{window.offers.data()}, count, window.units_above, inside_units_,
                  next)) {
        return std::nullopt;
      }
      std::swap(window, next);
    }
    if (!SortDearestFirst(window.offers, work_)) return std::nullopt;
    return window;
  }

 private:
  struct Gains {
    Microcredits low;
    Microcredits high;
  };

  // Gains that the wanted units probably lie between.
  template <typename Source>
  Gains Guess(const Source& source, size_t count, int64_t units_above, int64_t units) {
    const size_t size = std::min(count, std::clamp(RootOf(count), kSampleMin, kSampleMax));
    sample_.clear();
    Int128 sampled_units = 0;
    for (size_t i = 0; i < size; ++i) {
      // One at random out of each of `size` equal parts. One at a fixed place of each would see
      // only every bid's first piece where all bids have as many pieces as divide the stride.
      const size_t begin = i * count / size;
      const size_t end = (i + 1) * count / size;
      const uint64_t random = Mix(columns_.seed + (i + 1) * 0x9e3779b97f4a7c15);
      const size_t skip = ((random >> 32) * (end - begin)) >> 32;
      sample_.push_back(source.At(begin + skip));
      sampled_units += sample_.back().units;
    }
    std::sort(sample_.begin(), sample_.end(), IsDearer);
    const Int128 first = (first_unit_ - units_above) * sampled_units / units;
    const Int128 last = (last_unit_ - units_above) * sampled_units / units;
    // More than two standard deviations of a rank in the sample. Now and then it is too little, and
    // the offers have to be looked at once more.
    const size_t slack = 1 + RootOf(size);
    Gains gains{0, kGainMax};
    Int128 before = 0;
    size_t past = 0;
    for (size_t i = 0; i < size; ++i) {
      before += sample_[i].units;
      if (before < first && i + 1 > slack) gains.high = sample_[i + 1 - slack].gain;
      if (before > last && ++past == slack) {
        gains.low = sample_[i].gain;
        break;
      }
    }
    return gains;
  }

  template <typename Source>
  bool Narrow(const Source& source, size_t count, int64_t units_above, int64_t units,
              Window& window) {
    const auto looks = static_cast<int64_t>(count);
    const auto samples = static_cast<int64_t>(std::min(count, kSampleMin + RootOf(count)));
    if (!work_.Take(samples * kStepsASample)) return false;
    Gains gains = Guess(source, count, units_above, units);
    while (true) {
      if (!work_.Take(looks / kLooksAStep + 1)) return false;
      Collect(source, count, gains, window);
      window.units_above += units_above;
      const bool is_too_low = gains.high < kGainMax && window.units_above > first_unit_;
      const bool is_too_high = gains.low > 0 && window.units_above + inside_units_ < last_unit_;
      if (!is_too_low && !is_too_high) return true;
      if (is_too_low) gains.high = kGainMax;
      if (is_too_high) gains.low = 0;
    }
  }

  template <typename Source>
  void Collect(const Source& source, size_t count, Gains gains, Window& window) {
    window.offers.clear();
    int64_t above = 0;
    const auto width = static_cast<uint64_t>(gains.high - gains.low);
    std::array<uint32_t, kBlock> inside;
    for (size_t begin = 0; begin < count; begin += kBlock) {
      const size_t end = std::min(count, begin + kBlock);
      size_t kept = 0;
      for (size_t i = begin; i < end; ++i) {
        // Without branches: they would be taken at random.
        const Microcredits gain = source.GainOf(i);
        above += source.UnitsOf(i) & -static_cast<int64_t>(gain > gains.high);
        inside[kept] = static_cast<uint32_t>(i);
        kept += static_cast<size_t>(static_cast<uint64_t>(gain - gains.low) <= width);
      }
      for (size_t k = 0; k < kept; ++k) window.offers.push_back(source.At(inside[k]));
    }
    window.units_above = above;
    inside_units_ = 0;
    for (const Offer& offer : window.offers) inside_units_ += offer.units;
  }

  const OfferColumns& columns_;
  const int64_t first_unit_;
  const int64_t last_unit_;
  const int64_t all_units_;
  Work& work_;
  std::vector<Offer> sample_;
  int64_t inside_units_ = 0;
};

// By counting digits from the last to the first: each pass keeps the order of equals, and its time
// is that of moving the offers once, whatever their gains are.
void SortByDigits(std::vector<Offer>& offers) {
  constexpr int kDigitBits = 8;
  constexpr size_t kDigits = size_t{1} << kDigitBits;
  const auto [cheapest, dearest] = std::minmax_element(
      offers.begin(), offers.end(), [](const Offer& a, const Offer& b) { return a.gain < b.gain; });
  const Microcredits high = dearest->gain;
  const auto bits = static_cast<int>(std::bit_width(static_cast<uint64_t>(high - cheapest->gain)));
  std::vector<Offer> sorted(offers.size());
  for (int shift = 0; shift < bits; shift += kDigitBits) {
    const auto digit = [&](const Offer& offer) {
      return static_cast<size_t>(static_cast<uint64_t>(high - offer.gain) >> shift) & (kDigits - 1);
    };
    std::array<size_t, kDigits> next{};
    for (const Offer& offer : offers) ++next[digit(offer)];
    size_t begin = 0;
    for (size_t& count : next) begin += std::exchange(count, begin);
    for (const Offer& offer : offers) sorted[next[digit(offer)]++] = offer;
    std::swap(offers, sorted);
  }
}

}  // namespace

std::optional<Window> FindWindow(const OfferColumns& columns, int64_t first_unit, int64_t last_unit,
                                 int64_t all_units, Work& work) {
  return WindowFinder(columns, first_unit, last_unit, all_units, work).Find();
}

bool SortDearestFirst(std::vector<Offer>& offers, Work& work) {
  if (!work.Take(static_cast<int64_t>(offers.size()) * kStepsASorted)) return false;
  if (offers.size() < kManyOffers) {
    std::sort(offers.begin(), offers.end(), IsDearerOrEarlier);
  } else {
    SortByDigits(offers);
  }
  return true;
}

}  // namespace nom::policies
