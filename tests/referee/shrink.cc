// SPDX-License-Identifier: Apache-2.0
#include "tests/referee/shrink.h"

#include <algorithm>
#include <utility>

#include "policies/cases/case_file.h"
#include "policies/cases/joint_case_file.h"

namespace nom::policies {
namespace {

constexpr int kTriesMax = 5'000;

bool IsValid(const Auction& auction) { return ValidateAuction(auction).ok(); }
bool IsValid(const JointAuction& auction) { return ValidateJointAuction(auction).ok(); }

// The smallest auction so far, and how it is made smaller: one change at a time, kept if it still
// fails.
template <typename AuctionType>
class Shrinker {
 public:
  using Fails = std::function<bool(const AuctionType&)>;

  Shrinker(AuctionType auction, const Fails& fails)
      : auction_(std::move(auction)), fails_(fails), must_be_valid_(IsValid(auction_)) {}

  const AuctionType& auction() const { return auction_; }

  // True once since it was last asked, for each time that something became smaller in between.
  bool WasShrunk() { return std::exchange(is_shrunk_, false) && tries_ < kTriesMax; }

  bool Try(AuctionType smaller) {
    if (smaller == auction_ || ++tries_ > kTriesMax) return false;
    if (must_be_valid_ && !IsValid(smaller)) return false;
    if (!fails_(smaller)) return false;
    auction_ = std::move(smaller);
    is_shrunk_ = true;
    return true;
  }

  // One element after the other out of the list that `list` finds in an auction.
  template <typename List>
  void RemoveFrom(const List& list) {
    for (size_t i = list(auction_).size(); i-- > 0;) {
      AuctionType smaller = auction_;
      auto& elements = list(smaller);
      elements.erase(elements.begin() + static_cast<ptrdiff_t>(i));
      Try(std::move(smaller));
    }
  }

  // The number that `number` finds in an auction, towards 0: all the way, half of it, one less.
  // Where ranges touch, lowering one number alone is not valid and is not taken.
  template <typename Number>
  void Lower(const Number& number) {
    for (const int step : {0, 1, 2}) {
      AuctionType smaller = auction_;
      int64_t& value = number(smaller);
      value = step == 0 ? 0 : step == 1 ? value / 2 : value - (value > 0) + (value < 0);
      if (Try(std::move(smaller))) return;
    }
  }

  // All numbers of the ranges that `ranges` finds in an auction.
  template <typename Ranges>
  void LowerRanges(const Ranges& ranges) {
    for (size_t r = 0; r < ranges(auction_).size(); ++r) {
      for (int64_t Range::*const field :
           {&Range::min_units, &Range::max_units, &Range::value_at_min_microcredits,
            &Range::unit_price_microcredits}) {
        Lower([&, r](AuctionType& a) -> int64_t& { return ranges(a)[r].*field; });
      }
    }
  }

 private:
  AuctionType auction_;
  const Fails& fails_;
  const bool must_be_valid_;
  bool is_shrunk_ = true;
  int tries_ = 0;
};

// The others take its place, so that entries beyond resource_count stay empty.
JointAuction WithoutResource(JointAuction auction, size_t resource) {
  const auto remove = [&](auto& entries) {
    std::move(entries.begin() + resource + 1, entries.end(), entries.begin() + resource);
    entries.back() = {};
  };
  --auction.resource_count;
  remove(auction.capacity_units);
  remove(auction.reserve_unit_prices_microcredits);
  remove(auction.reclaim_penalties_microcredits);
  for (JointBid& bid : auction.bids) {
    remove(bid.held_units);
    for (Bundle& bundle : bid.bundles) remove(bundle.units);
    if (bid.curves.has_value()) remove(bid.curves->curves);
  }
  return auction;
}

template <typename AuctionType>
std::string Describe(const AuctionType& auction,
                     const std::function<bool(const AuctionType&)>& fails) {
  return "shrunk to:\n" + ToText(Shrink(auction, fails));
}

}  // namespace

Auction Shrink(Auction auction, const std::function<bool(const Auction&)>& fails) {
  Shrinker<Auction> shrinker(std::move(auction), fails);
  while (shrinker.WasShrunk()) {
    shrinker.RemoveFrom([](auto& a) -> auto& { return a.bids; });
    shrinker.Lower([](Auction& a) -> int64_t& { return a.capacity_units; });
    shrinker.Lower([](Auction& a) -> int64_t& { return a.reserve_unit_price_microcredits; });
    shrinker.Lower([](Auction& a) -> int64_t& { return a.reclaim_penalty_microcredits; });
    for (size_t i = 0; i < shrinker.auction().bids.size(); ++i) {
      const auto ranges = [i](auto& a) -> auto& { return a.bids[i].ranges; };
      shrinker.RemoveFrom(ranges);
      shrinker.LowerRanges(ranges);
      shrinker.Lower([i](Auction& a) -> int64_t& { return a.bids[i].held_units; });
      Auction without_owner = shrinker.auction();
      without_owner.bids[i].owner_id = 0;
      shrinker.Try(std::move(without_owner));
    }
  }
  return shrinker.auction();
}

JointAuction Shrink(JointAuction auction, const std::function<bool(const JointAuction&)>& fails) {
  Shrinker<JointAuction> shrinker(std::move(auction), fails);
  while (shrinker.WasShrunk()) {
    shrinker.RemoveFrom([](auto& a) -> auto& { return a.bids; });
    for (auto r = static_cast<size_t>(shrinker.auction().resource_count); r-- > 0;) {
      if (shrinker.auction().resource_count == 1) break;
      shrinker.Try(WithoutResource(shrinker.auction(), r));
    }
    for (size_t r = 0; r < static_cast<size_t>(shrinker.auction().resource_count); ++r) {
      for (auto JointAuction::*const field :
           {&JointAuction::capacity_units, &JointAuction::reserve_unit_prices_microcredits,
            &JointAuction::reclaim_penalties_microcredits}) {
        shrinker.Lower([=](JointAuction& a) -> int64_t& { return (a.*field)[r]; });
      }
    }
    for (size_t i = 0; i < shrinker.auction().bids.size(); ++i) {
      shrinker.RemoveFrom([i](auto& a) -> auto& { return a.bids[i].bundles; });
      for (size_t b = 0; b < shrinker.auction().bids[i].bundles.size(); ++b) {
        shrinker.Lower(
            [=](JointAuction& a) -> int64_t& { return a.bids[i].bundles[b].value_microcredits; });
      }
      JointAuction alone = shrinker.auction();
      if (std::exchange(alone.bids[i].owner_id, 0) != 0) shrinker.Try(std::move(alone));
      if (shrinker.auction().bids[i].curves.has_value()) {
        shrinker.Lower([i](JointAuction& a) -> int64_t& {
          return a.bids[i].curves->whole_value_microcredits;
        });
      }
      for (size_t r = 0; r < kJointResourcesMax; ++r) {
        shrinker.Lower([=](JointAuction& a) -> int64_t& { return a.bids[i].held_units[r]; });
        for (size_t b = 0; b < shrinker.auction().bids[i].bundles.size(); ++b) {
          shrinker.Lower(
              [=](JointAuction& a) -> int64_t& { return a.bids[i].bundles[b].units[r]; });
        }
        if (!shrinker.auction().bids[i].curves.has_value()) continue;
        const auto ranges = [=](auto& a) -> auto& { return a.bids[i].curves->curves[r]; };
        shrinker.RemoveFrom(ranges);
        shrinker.LowerRanges(ranges);
      }
    }
  }
  return shrinker.auction();
}

std::string DescribeShrunk(const Auction& auction,
                           const std::function<bool(const Auction&)>& fails) {
  return Describe(auction, fails);
}

std::string DescribeShrunk(const JointAuction& auction,
                           const std::function<bool(const JointAuction&)>& fails) {
  return Describe(auction, fails);
}

}  // namespace nom::policies
