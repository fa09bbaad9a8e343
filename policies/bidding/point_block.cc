// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/point_block.h"

// Guests are compiled without vector registers, and then without this macro.
#if defined(__x86_64__) && defined(__SSE2__)
#define NOM_BIDDING_VECTORS 1
#include <immintrin.h>
#endif

namespace nom::policies {
namespace {

constexpr int kWords = kBlockPoints / 2;

}  // namespace

int BestPlaceByWords(const PointBlock* blocks, int block_count, const PricedResource* priced,
                     int priced_count) {
  int best = -1;
  int64_t best_surplus = 0;
  for (int b = 0; b < block_count; ++b) {
    const PointBlock& block = blocks[b];
    int64_t surplus[kBlockPoints];
    for (int i = 0; i < kBlockPoints; ++i) surplus[i] = block.values[i];
    for (int p = 0; p < priced_count; ++p) {
      const int64_t price = priced[p].unit_price_microcredits;
      const uint64_t* words = block.units[priced[p].resource];
      for (int i = 0; i < kWords; ++i) {
        surplus[i] -= static_cast<int64_t>(words[i] & 0xffffffff) * price;
        surplus[i + kWords] -= static_cast<int64_t>(words[i] >> 32) * price;
      }
    }
    for (int i = 0; i < kBlockPoints; ++i) {
      if (surplus[i] > best_surplus) {
        best_surplus = surplus[i];
        best = b * kBlockPoints + i;
      }
    }
  }
  return best;
}

#ifdef NOM_BIDDING_VECTORS
namespace {

// Four points at a time. Prices below 2^32 alone: what the processor multiplies at once. The number
// of prices is a constant so that all of them stay in registers.
template <int kPriced>
__attribute__((target("avx2"))) int BestPlaceByVectors(const PointBlock* blocks, int block_count,
                                                       const PricedResource* priced) {
  __m256i prices[kPointResourcesMax];
  int resources[kPointResourcesMax];
  for (int p = 0; p < kPriced; ++p) {
    prices[p] = _mm256_set1_epi64x(priced[p].unit_price_microcredits);
    resources[p] = priced[p].resource;
  }
  // In each lane the best so far and its block: the first one, as only a larger one replaces it.
  __m256i best_low = _mm256_setzero_si256();
  __m256i best_high = _mm256_setzero_si256();
  __m256i best_low_block = _mm256_set1_epi64x(-1);
  __m256i best_high_block = _mm256_set1_epi64x(-1);
  for (int b = 0; b < block_count; ++b) {
    const PointBlock& block = blocks[b];
    __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.values));
    __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.values + kWords));
#pragma GCC unroll 6
    for (int p = 0; p < kPriced; ++p) {
      const __m256i units =
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.units[resources[p]]));
      low = _mm256_sub_epi64(low, _mm256_mul_epu32(units, prices[p]));
      high = _mm256_sub_epi64(high, _mm256_mul_epu32(_mm256_srli_epi64(units, 32), prices[p]));
    }
    const __m256i low_better = _mm256_cmpgt_epi64(low, best_low);
    const __m256i high_better = _mm256_cmpgt_epi64(high, best_high);
    const __m256i number = _mm256_set1_epi64x(b);
    best_low = _mm256_blendv_epi8(best_low, low, low_better);
    best_high = _mm256_blendv_epi8(best_high, high, high_better);
    best_low_block = _mm256_blendv_epi8(best_low_block, number, low_better);
    best_high_block = _mm256_blendv_epi8(best_high_block, number, high_better);
  }
  int64_t surplus[kBlockPoints];
  int64_t block[kBlockPoints];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(surplus), best_low);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(surplus + kWords), best_high);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(block), best_low_block);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(block + kWords), best_high_block);
  int place = -1;
  int64_t place_surplus = 0;
  for (int i = 0; i < kBlockPoints; ++i) {
    if (block[i] < 0) continue;
    const int here = static_cast<int>(block[i]) * kBlockPoints + i;
    if (surplus[i] > place_surplus || (surplus[i] == place_surplus && here < place)) {
      place_surplus = surplus[i];
      place = here;
    }
  }
  return place;
}

using Search = int (*)(const PointBlock* blocks, int block_count, const PricedResource* priced);
constexpr Search kByVectors[kPointResourcesMax + 1] = {
    &BestPlaceByVectors<0>, &BestPlaceByVectors<1>, &BestPlaceByVectors<2>, &BestPlaceByVectors<3>,
    &BestPlaceByVectors<4>, &BestPlaceByVectors<5>, &BestPlaceByVectors<6>};

}  // namespace
#endif

int BestPlace(const PointBlock* blocks, int block_count, const PricedResource* priced,
              int priced_count) {
#ifdef NOM_BIDDING_VECTORS
  bool fits = __builtin_cpu_supports("avx2") != 0;
  for (int p = 0; p < priced_count; ++p) fits &= priced[p].unit_price_microcredits <= 0xffffffff;
  if (fits) return kByVectors[priced_count](blocks, block_count, priced);
#endif
  return BestPlaceByWords(blocks, block_count, priced, priced_count);
}

}  // namespace nom::policies
