// SPDX-License-Identifier: Apache-2.0
#include "tests/referee/random_auction.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "tests/sanitized.h"

namespace nom::policies {
namespace {

Bid ConcaveBid(TestRandom& random, int64_t units_max, Microcredits price_max) {
  Bid bid;
  Microcredits price = random.Between(0, price_max);
  int64_t at_units = 0;
  Microcredits value = 0;
  // The first unit may stand alone: a bid that begins at 1 has no gap.
  if (random.OneIn(3)) {
    at_units = 1;
    value = price;
    bid.ranges.push_back({1, 1, value, random.Between(-5, 5)});
    price -= random.Between(0, price / 2);
  }
  const int64_t pieces = random.Between(0, 3);
  for (int64_t i = 0; i < pieces && at_units < units_max; ++i) {
    const int64_t end_units = random.Between(at_units + 1, units_max);
    if (value + price * (end_units - at_units) < 0) break;
    bid.ranges.push_back({at_units, end_units, value, price});
    value += price * (end_units - at_units);
    at_units = end_units;
    price -= random.Between(0, std::max<int64_t>(1, price_max / 3));
    // Now and then continue on the next unit instead of touching.
    if (random.OneIn(3) && at_units < units_max && value + price >= 0) {
      value += price;
      ++at_units;
      bid.ranges.push_back({at_units, at_units, value, 0});
      price -= random.Between(0, std::max<int64_t>(1, price_max / 4));
    }
  }
  return bid;
}

Bid GeneralBid(TestRandom& random, int64_t units_max, Microcredits price_max) {
  Bid bid;
  int64_t at_units = random.OneIn(4) ? 0 : random.Between(1, std::max<int64_t>(1, units_max / 2));
  Microcredits value = at_units == 0 ? 0 : random.Between(0, price_max * at_units);
  const int64_t ranges = random.Between(0, 4);
  for (int64_t i = 0; i < ranges && at_units <= units_max; ++i) {
    Range range{at_units, at_units, value, 0};
    if (!random.OneIn(3)) {
      range.max_units = random.Between(at_units, units_max);
      const int64_t width = range.max_units - range.min_units;
      const Microcredits fall = width == 0 ? price_max : value / width;
      range.unit_price_microcredits = std::max(
          -fall, random.OneIn(4) ? -random.Between(0, price_max) : random.Between(0, price_max));
    }
    bid.ranges.push_back(range);
    at_units = range.max_units;
    value += (range.max_units - range.min_units) * range.unit_price_microcredits;
    if (!random.OneIn(3)) {  // A gap, or the next unit; else the next range touches.
      at_units += random.Between(1, std::max<int64_t>(1, units_max / 4));
      value = random.Between(0, price_max * at_units);
    }
  }
  return bid;
}

}  // namespace

TestRandom::TestRandom(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 0x2545f4914f6cdd1d) {
  if (state_ == 0) state_ = 1;
  for (int i = 0; i < 4; ++i) Next();
}

uint64_t TestRandom::Next() {
  state_ ^= state_ >> 12;
  state_ ^= state_ << 25;
  state_ ^= state_ >> 27;
  return state_ * 0x2545f4914f6cdd1d;
}

int64_t TestRandom::Between(int64_t low, int64_t high) {
  const auto span = static_cast<uint64_t>(high - low) + 1;
  return low + static_cast<int64_t>((Next() >> 11) % span);
}

Auction RandomAuction(Shape shape, uint64_t seed, int64_t bids_max, int64_t units_max) {
  TestRandom random(seed);
  Auction auction;
  Microcredits price_max = random.Between(1, 12);
  if (random.OneIn(4)) price_max *= random.Between(1, 1'000'000'000);
  auction.capacity_units = random.Between(0, units_max);
  auction.reserve_unit_price_microcredits = random.OneIn(3) ? 0 : random.Between(0, price_max);
  auction.reclaim_penalty_microcredits = random.OneIn(2) ? 0 : random.Between(0, price_max);
  auction.seed = random.Next();
  const int64_t bids = random.Between(0, bids_max);
  const int64_t bid_units_max = std::max<int64_t>(1, random.Between(1, units_max));
  for (int64_t i = 0; i < bids; ++i) {
    Bid bid = shape == Shape::kConcave ? ConcaveBid(random, bid_units_max, price_max)
                                       : GeneralBid(random, bid_units_max, price_max);
    bid.guest_id = static_cast<GuestId>(i * 7 + random.Between(1, 7));
    if (!random.OneIn(3)) bid.held_units = random.Between(0, bid_units_max);
    auction.bids.push_back(std::move(bid));
  }
  // Guests must not come in the order of their names.
  for (size_t i = auction.bids.size(); i > 1; --i) {
    std::swap(auction.bids[i - 1],
              auction.bids[static_cast<size_t>(random.Between(0, static_cast<int64_t>(i) - 1))]);
  }
  return auction;
}

Auction SmallRandomAuction(Shape shape, uint64_t seed) { return RandomAuction(shape, seed, 4, 7); }

uint64_t FirstSeed() {
  const char* text = std::getenv("NOM_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

uint64_t CountOr(uint64_t count) {
  const char* text = std::getenv("NOM_COUNT");
  if (text != nullptr) return std::strtoull(text, nullptr, 10);
  return kIsSanitized ? std::max<uint64_t>(count / 10, 1) : count;
}

std::string Describe(uint64_t seed, const Auction& auction) {
  std::ostringstream out;
  out << "replay: NOM_SEED=" << seed << " NOM_COUNT=1\ncapacity " << auction.capacity_units
      << " reserve " << auction.reserve_unit_price_microcredits << " penalty "
      << auction.reclaim_penalty_microcredits << " seed " << auction.seed << "\n";
  for (const Bid& bid : auction.bids) {
    out << "  guest " << bid.guest_id;
    if (bid.owner_id != 0) out << " of owner " << bid.owner_id;
    out << " holds " << bid.held_units << ":";
    for (const Range& r : bid.ranges) {
      out << " [" << r.min_units << ".." << r.max_units << " at " << r.value_at_min_microcredits
          << " + " << r.unit_price_microcredits << "]";
    }
    out << "\n";
  }
  return out.str();
}

}  // namespace nom::policies
