// SPDX-License-Identifier: Apache-2.0
// How much work the next round will bring: not one number, but a few that may come true, each with
// its weight.

#ifndef CLIENT_EXAMPLES_GUESTS_SERVICE_FORECAST_H_
#define CLIENT_EXAMPLES_GUESTS_SERVICE_FORECAST_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace nom::examples {

class Forecast {
 public:
  // The arrivals of the round that has just ended.
  void Note(uint64_t arrivals);

  // The mean of min(arrivals, capacity) over what may come `rounds_ahead` rounds after the last one
  // noted (1 to kLagMin), in kScale-ths. Rising and concave in `capacity`.
  static constexpr uint64_t kScale = 256;
  uint64_t ExpectedServed(uint64_t capacity, size_t rounds_ahead) const;

  // The highest number that it reckons with.
  uint64_t Highest(size_t rounds_ahead) const;

  // How many rounds after a round the same happens again; 0 if no rhythm has been found.
  size_t Rhythm() const;

 private:
  static constexpr size_t kRounds = 24;  // Remembered.
  static constexpr size_t kRecent = 8;   // Reckoned with.
  static constexpr size_t kLagMin = 2;
  static constexpr size_t kLagMax = 10;
  static constexpr uint64_t kRhythmWeight = kScale * 3 / 4;

  uint64_t Ago(size_t rounds) const { return history_[(count_ - 1 - rounds) % kRounds]; }
  size_t known() const { return count_ < kRounds ? count_ : kRounds; }

  std::array<uint64_t, kRounds> history_ = {};
  size_t count_ = 0;
};

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_SERVICE_FORECAST_H_
