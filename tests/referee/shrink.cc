#include "tests/referee/shrink.h"

#include <utility>

#include "policies/cases/case_file.h"

namespace nom::policies {
namespace {

constexpr int kTriesMax = 5'000;

class Shrinker {
 public:
  Shrinker(Auction auction, const std::function<bool(const Auction&)>& fails)
      : auction_(std::move(auction)),
        fails_(fails),
        must_be_valid_(ValidateAuction(auction_).ok()) {}

  Auction Run() {
    for (bool is_smaller = true; is_smaller && tries_ < kTriesMax;) {
      is_smaller = RemoveBids();
      is_smaller |= RemoveRanges();
      is_smaller |= LowerNumbers();
    }
    return std::move(auction_);
  }

 private:
  // Takes `smaller` if it still fails.
  bool Try(Auction smaller) {
    if (smaller == auction_ || ++tries_ > kTriesMax) return false;
    if (must_be_valid_ && !ValidateAuction(smaller).ok()) return false;
    if (!fails_(smaller)) return false;
    auction_ = std::move(smaller);
    return true;
  }

  bool RemoveBids() {
    bool is_smaller = false;
    for (size_t i = auction_.bids.size(); i-- > 0;) {
      Auction smaller = auction_;
      smaller.bids.erase(smaller.bids.begin() + static_cast<ptrdiff_t>(i));
      is_smaller |= Try(std::move(smaller));
    }
    return is_smaller;
  }

  bool RemoveRanges() {
    bool is_smaller = false;
    for (size_t i = 0; i < auction_.bids.size(); ++i) {
      for (size_t r = auction_.bids[i].ranges.size(); r-- > 0;) {
        Auction smaller = auction_;
        auto& ranges = smaller.bids[i].ranges;
        ranges.erase(ranges.begin() + static_cast<ptrdiff_t>(r));
        is_smaller |= Try(std::move(smaller));
      }
    }
    return is_smaller;
  }

  // Each number towards 0: all the way, half of it, one less. Where ranges touch, lowering one
  // number alone is not valid and is not taken.
  bool LowerNumbers() {
    bool is_smaller = false;
    const auto lower = [&](const std::function<int64_t&(Auction&)>& number) {
      for (const int step : {0, 1, 2}) {
        Auction smaller = auction_;
        int64_t& value = number(smaller);
        value = step == 0 ? 0 : step == 1 ? value / 2 : value - (value > 0) + (value < 0);
        if (Try(std::move(smaller))) {
          is_smaller = true;
          break;
        }
      }
    };
    lower([](Auction& a) -> int64_t& { return a.capacity_units; });
    lower([](Auction& a) -> int64_t& { return a.reserve_unit_price_microcredits; });
    lower([](Auction& a) -> int64_t& { return a.reclaim_penalty_microcredits; });
    for (size_t i = 0; i < auction_.bids.size(); ++i) {
      lower([i](Auction& a) -> int64_t& { return a.bids[i].held_units; });
      for (size_t r = 0; r < auction_.bids[i].ranges.size(); ++r) {
        lower([=](Auction& a) -> int64_t& { return a.bids[i].ranges[r].min_units; });
        lower([=](Auction& a) -> int64_t& { return a.bids[i].ranges[r].max_units; });
        lower(
            [=](Auction& a) -> int64_t& { return a.bids[i].ranges[r].value_at_min_microcredits; });
        lower([=](Auction& a) -> int64_t& { return a.bids[i].ranges[r].unit_price_microcredits; });
      }
    }
    return is_smaller;
  }

  Auction auction_;
  const std::function<bool(const Auction&)>& fails_;
  const bool must_be_valid_;
  int tries_ = 0;
};

}  // namespace

Auction Shrink(Auction auction, const std::function<bool(const Auction&)>& fails) {
  return Shrinker(std::move(auction), fails).Run();
}

std::string DescribeShrunk(const Auction& auction,
                           const std::function<bool(const Auction&)>& fails) {
  return "shrunk to:\n" + ToText(Shrink(auction, fails));
}

}  // namespace nom::policies
