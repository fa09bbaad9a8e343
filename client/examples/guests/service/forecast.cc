// SPDX-License-Identifier: Apache-2.0
#include "client/examples/guests/service/forecast.h"

#include <algorithm>

namespace nom::examples {
namespace {

uint64_t Gap(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

}  // namespace

void Forecast::Note(uint64_t arrivals) { history_[count_++ % kRounds] = arrivals; }

size_t Forecast::Rhythm() const {
  const size_t rounds = known();
  uint64_t mean = 0;
  for (size_t i = 0; i < rounds; ++i) mean += Ago(i);
  if (rounds > 0) mean /= rounds;
  size_t best_lag = 0;
  uint64_t best_error = 0;
  // Errors are means over the rounds compared, in sixteenths, so that lags can be compared.
  for (size_t lag = kLagMin; lag <= kLagMax && 2 * lag <= rounds; ++lag) {
    uint64_t error = 0;
    uint64_t error_of_mean = 0;
    for (size_t i = 0; i + lag < rounds; ++i) {
      error += Gap(Ago(i), Ago(i + lag));
      error_of_mean += Gap(Ago(i), mean);
    }
    error = error * 16 / (rounds - lag);
    error_of_mean = error_of_mean * 16 / (rounds - lag);
    // A rhythm worth the name is twice as good as no rhythm.
    if (2 * error < error_of_mean && (best_lag == 0 || error < best_error)) {
      best_lag = lag;
      best_error = error;
    }
  }
  return best_lag;
}

uint64_t Forecast::ExpectedServed(uint64_t capacity, size_t rounds_ahead) const {
  const size_t recent = std::min(known(), kRecent);
  if (recent == 0) return 0;
  const size_t lag = Rhythm();
  const uint64_t rhythm_weight = lag == 0 ? 0 : kRhythmWeight;
  uint64_t sum = 0;
  for (size_t i = 0; i < recent; ++i) sum += std::min(Ago(i), capacity);
  uint64_t served = sum * (kScale - rhythm_weight) / recent;
  if (lag != 0) served += std::min(Ago(lag - rounds_ahead), capacity) * rhythm_weight;
  return served;
}

uint64_t Forecast::Highest(size_t rounds_ahead) const {
  uint64_t highest = 0;
  for (size_t i = 0; i < std::min(known(), kRecent); ++i) highest = std::max(highest, Ago(i));
  const size_t lag = Rhythm();
  if (lag != 0) highest = std::max(highest, Ago(lag - rounds_ahead));
  return highest;
}

}  // namespace nom::examples
