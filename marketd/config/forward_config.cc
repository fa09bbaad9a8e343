// SPDX-License-Identifier: Apache-2.0
#include "marketd/config/forward_config.h"

#include "marketd/market/state.h"
#include "policies/forward/forward.h"

namespace nom::marketd {
namespace {

constexpr int64_t kAllPpm = 1'000'000;
constexpr int64_t kPercentPpm = kAllPpm / 100;

}  // namespace

void ReadForward(MapReader& resource, YamlErrors* errors,
                 std::optional<market::ForwardSale>* forward) {
  YAML::Node node;
  if (!resource.Map("forward", Need::kOptional, &node)) return;
  MapReader reader(node, resource.PathOf("forward"), errors);
  market::ForwardSale sale;
  int64_t percent = 0;
  const bool has_percent = reader.Int("share_percent", Need::kOptional, 0, 100, &percent);
  if (has_percent) sale.share_ppm = percent * kPercentPpm;
  const bool has_ppm = reader.Int("share_ppm", Need::kOptional, 0, kAllPpm, &sale.share_ppm);
  const bool is_there = node.IsMap() && (node["share_percent"] || node["share_ppm"]);
  if (node.IsMap() && !is_there) {
    reader.Complain("share_percent", "missing: say how much may be sold forward, or share_ppm");
  } else if (has_percent && has_ppm) {
    reader.Complain("share_ppm", "not beside share_percent, which says the same");
  }
  int64_t percentile = sale.policy.percentile_ppm / kPercentPpm;
  reader.Int("percentile", Need::kOptional, 1, 100, &percentile);
  sale.policy.percentile_ppm = percentile * kPercentPpm;
  reader.Int("look_back_rounds", Need::kOptional, 1, market::kPastPricesMax,
             &sale.look_back_rounds);
  reader.Int("rounds_max", Need::kOptional, 1, policies::kForwardRoundsMax,
             &sale.policy.rounds_max);
  reader.Int("term_premium_ppm", Need::kOptional, 0, policies::kForwardPremiumMaxPpm,
             &sale.policy.term_premium_ppm);
  reader.Int("scarcity_premium_ppm", Need::kOptional, 0, policies::kForwardPremiumMaxPpm,
             &sale.policy.scarcity_premium_ppm);
  reader.Int("end_fee_ppm", Need::kOptional, 0, kAllPpm, &sale.policy.end_fee_ppm);
  reader.Finish();
  *forward = sale;
}

}  // namespace nom::marketd
