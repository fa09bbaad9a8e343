// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/rules.h"

#include <array>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "policies/clearing/concave/concave_bids.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/posted_price.h"
#include "policies/clearing/proportional_share.h"
#include "policies/clearing/uniform_price.h"
#include "policies/clearing/weights.h"

namespace nom::policies {
namespace {

constexpr RuleInfo kInfos[] = {
    {"uniform_price/1", "everybody pays the highest rejected price; concave bids only",
     /*takes_gaps=*/false, /*efficient=*/true, /*truthful=*/false,
     /*truthful_for_owners=*/false},
    {"mpsp/1", "exact for any bid, gaps and steps included; each pays what its presence costs",
     /*takes_gaps=*/true, /*efficient=*/true, /*truthful=*/true,
     /*truthful_for_owners=*/true},
    {"proportional_share/1", "shares in proportion to budgets, at one price",
     /*takes_gaps=*/true, /*efficient=*/false, /*truthful=*/false,
     /*truthful_for_owners=*/false},
    {"posted_price/1", "the reserve is the price; holders first, then in the order of ties",
     /*takes_gaps=*/true, /*efficient=*/false, /*truthful=*/true,
     /*truthful_for_owners=*/false},
};

using Within = absl::StatusOr<std::optional<Clearing>>;

// A rule whose work grows with the bids alone, hardly more than reading them takes.
constexpr int64_t kWorkARange = 25;

template <absl::StatusOr<Clearing> (*kClear)(const Auction&)>
Within ClearCounted(const Auction& auction, Work& work) {
  int64_t ranges = 0;
  for (const Bid& bid : auction.bids) ranges += 1 + static_cast<int64_t>(bid.ranges.size());
  if (!work.Take(kWorkARange * ranges)) return std::optional<Clearing>();
  absl::StatusOr<Clearing> clearing = kClear(auction);
  if (!clearing.ok()) return clearing.status();
  return *std::move(clearing);
}

constexpr std::array<Within (*)(const Auction&, Work&), std::size(kInfos)> kClears = {
    &ClearCounted<ClearUniformPrice>,
    [](const Auction& auction, Work& work) { return ClearMpspWithin(auction, {}, work); },
    &ClearCounted<ClearProportionalShare>,
    &ClearCounted<ClearPostedPrice>,
};

absl::Status Unknown(std::string_view rule) {
  std::string known;
  for (const RuleInfo& info : kInfos) {
    if (!known.empty()) known += ", ";
    known += info.name;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("rule: '", std::string(rule), "' is not one of ", known));
}

}  // namespace

std::span<const RuleInfo> Rules() { return kInfos; }

const RuleInfo* FindRule(std::string_view name) {
  for (const RuleInfo& info : kInfos) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

absl::Status CheckBidForRule(std::string_view rule, const Bid& bid) {
  const RuleInfo* info = FindRule(rule);
  if (info == nullptr) return Unknown(rule);
  if (auto s = ValidateBid(bid); !s.ok()) return s;
  return info->takes_gaps ? absl::OkStatus() : CheckConcave(bid);
}

absl::StatusOr<Clearing> Clear(std::string_view rule, const Auction& auction) {
  if (HasWeights(auction)) {
    const absl::StatusOr<Auction> weighted = Weighted(auction);
    if (!weighted.ok()) return weighted.status();
    absl::StatusOr<Clearing> cleared = Clear(rule, *weighted);
    if (!cleared.ok()) return cleared;
    return Unweighted(auction, *std::move(cleared));
  }
  Work work = Work::Unlimited();
  Within clearing = ClearByRuleWithin(rule, auction, work);
  if (!clearing.ok()) return clearing.status();
  return **std::move(clearing);
}

absl::StatusOr<std::optional<Clearing>> ClearByRuleWithin(std::string_view rule,
                                                          const Auction& auction, Work& work) {
  const RuleInfo* info = FindRule(rule);
  if (info == nullptr) return Unknown(rule);
  return kClears[static_cast<size_t>(info - kInfos)](auction, work);
}

}  // namespace nom::policies
