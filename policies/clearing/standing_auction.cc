#include "policies/clearing/standing_auction.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "policies/clearing/concave.h"
#include "policies/clearing/in_money.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/normal_form.h"
#include "policies/clearing/outcome.h"
#include "policies/clearing/price_window.h"
#include "policies/clearing/vcg_tables.h"

namespace nom::policies {
namespace {

// A window that has come to hold more is made anew.
constexpr size_t kOpenBidsMax = 192;

}  // namespace

// Two lists run side by side: bids by rising guest in auction_, and by ties in keys_, where each
// has its place even if it can win nothing.
class StandingAuction::State {
 public:
  explicit State(Auction auction) : auction_(std::move(auction)) {
    std::sort(auction_.bids.begin(), auction_.bids.end(),
              [](const Bid& a, const Bid& b) { return a.guest_id < b.guest_id; });
    PrepareAll();
  }

  const Auction& auction() const { return auction_; }

  absl::Status PlaceBid(Bid bid) {
    if (auto s = ValidateBid(bid); !s.ok()) return s;
    const auto at = Find(bid.guest_id);
    if (at != auction_.bids.end() && at->guest_id == bid.guest_id) {
      const auto index = static_cast<size_t>(at - auction_.bids.begin());
      if (!is_all_stale_) Count(index, -1);
      *at = std::move(bid);
      if (!is_all_stale_) Count(index, 1);
      stale_.push_back(index);
      return absl::OkStatus();
    }
    if (auction_.bids.size() == static_cast<size_t>(kBidsMax)) {
      return absl::InvalidArgumentError(
          absl::StrCat("bids: guest ", bid.guest_id, " would be one more than ", kBidsMax));
    }
    auction_.bids.insert(at, std::move(bid));
    is_all_stale_ = true;
    return absl::OkStatus();
  }

  bool WithdrawBid(GuestId guest_id) {
    const auto at = Find(guest_id);
    if (at == auction_.bids.end() || at->guest_id != guest_id) return false;
    auction_.bids.erase(at);
    is_all_stale_ = true;
    return true;
  }

  absl::StatusOr<Clearing> Clear() {
    if (is_all_stale_ || key_scale_ != KeyScale()) {
      PrepareAll();
    } else {
      PrepareStale();
    }
    const bool counts_penalty = auction_.reclaim_penalty_microcredits > 0 && held_units_ > 0;
    if (auction_.capacity_units == 0 || not_fitting_ > 0 || largest_keys_ > kKeySumMax ||
        (not_concave_ == 0 && !counts_penalty)) {
      return ClearMpsp(auction_);
    }
    const auto capacity_units =
        static_cast<int64_t>(std::min<Int128>(wanted_units_, auction_.capacity_units));
    const auto pieces_without = [this](size_t place) {
      return PiecesWithoutValue(auction_, auction_.bids[keys_.origin[place]], keys_.PiecesOf(place),
                                key_scale_);
    };
    const TableResult<int64_t> result =
        SolveByTables(keys_, capacity_units, {}, pieces_without, &window_);
    const InMoney money = ToMoney(auction_, keys_.origin, key_scale_, capacity_units, result);
    const Microcredits reserve = auction_.reserve_unit_price_microcredits;
    const Int128 base = Int128{auction_.capacity_units} * reserve -
                        held_units_ * auction_.reclaim_penalty_microcredits;
    const auto welfare = ToMicrocredits(base + FloorDivide(result.best, key_scale_), "welfare");
    if (!welfare.ok()) return welfare.status();
    return MakeClearing(auction_, money.units, money.charges, money.next_unit_price_microcredits,
                        *welfare, HighestRejected(money.units));
  }

 private:
  // What is known of a bid by itself.
  struct Facts {
    size_t place = 0;
    Int128 largest_key = 0;
    bool fits = true;  // Its keys in 64 bits.
  };
  // A bid's best offer above `units`; see HighestRejectedUnitPrice.
  struct Offer {
    int64_t units = -1;
    Microcredits unit_price = 0;
  };

  std::vector<Bid>::iterator Find(GuestId guest_id) {
    return std::lower_bound(auction_.bids.begin(), auction_.bids.end(), guest_id,
                            [](const Bid& bid, GuestId id) { return bid.guest_id < id; });
  }

  // Adds a bid to the sums over all, or takes it out.
  void Count(size_t index, int sign) {
    const Bid& bid = auction_.bids[index];
    held_units_ += sign * Int128{bid.held_units};
    if (!bid.ranges.empty()) {
      wanted_units_ +=
          sign * Int128{std::min(bid.ranges.back().max_units, auction_.capacity_units)};
    }
    not_concave_ += sign * (IsConcave(bid) ? 0 : 1);
  }

  // More than the held units that can be kept, as normal_form.h wants it; a power of two, so that
  // it does not change with every bid.
  Int128 KeyScale() const {
    const auto kept_units =
        static_cast<uint64_t>(std::min<Int128>(held_units_, auction_.capacity_units));
    return kept_units == 0 ? 1 : Int128{std::bit_ceil(kept_units + 1)};
  }

  void PrepareAll() {
    facts_.assign(auction_.bids.size(), {});
    offers_.assign(auction_.bids.size(), {});
    stale_.clear();
    held_units_ = 0;
    wanted_units_ = 0;
    not_concave_ = 0;
    not_fitting_ = 0;
    largest_keys_ = 0;
    for (size_t index = 0; index < auction_.bids.size(); ++index) Count(index, 1);
    key_scale_ = KeyScale();
    window_.reset();
    keys_ = {};
    for (size_t index : InTieOrder(auction_)) {
      facts_[index].place = keys_.size();
      AppendKeys(index, keys_.pieces);
      keys_.EndBid(index);
    }
    is_all_stale_ = false;
  }

  // Finds the keys of a bid and all that follows from them.
  void AppendKeys(size_t index, std::vector<KeyPiece<int64_t>>& pieces) {
    Facts& facts = facts_[index];
    KeyBids<Int128> wide;
    wide.pieces = NormalPieces(auction_, auction_.bids[index], auction_.capacity_units, key_scale_);
    wide.EndBid(index);
    facts.fits = FitsIn64Bits(wide, auction_.capacity_units);
    facts.largest_key = LargestKey(wide.PiecesOf(0));
    offers_[index] = {};
    not_fitting_ += facts.fits ? 0 : 1;
    largest_keys_ += facts.largest_key;
    if (!facts.fits) return;
    const KeyBids<int64_t> narrow = Narrow(wide);
    pieces.insert(pieces.end(), narrow.pieces.begin(), narrow.pieces.end());
  }

  void PrepareStale() {
    if (stale_.empty()) return;
    // Each once, in the order of places.
    std::sort(stale_.begin(), stale_.end(),
              [this](size_t a, size_t b) { return facts_[a].place < facts_[b].place; });
    stale_.erase(std::unique(stale_.begin(), stale_.end()), stale_.end());
    for (size_t index : stale_) {
      Facts& facts = facts_[index];
      not_fitting_ -= facts.fits ? 0 : 1;
      largest_keys_ -= facts.largest_key;
      std::vector<KeyPiece<int64_t>> pieces;
      AppendKeys(index, pieces);
      Replace(facts.place, pieces);
      if (window_.has_value()) window_->Update(facts.place);
    }
    stale_.clear();
    if (window_.has_value() && window_->open_count() > kOpenBidsMax) window_.reset();
  }

  void Replace(size_t place, const std::vector<KeyPiece<int64_t>>& pieces) {
    const size_t first = keys_.first[place];
    const size_t old_size = keys_.first[place + 1] - first;
    const auto begin = keys_.pieces.begin() + static_cast<std::ptrdiff_t>(first);
    const size_t common = std::min(old_size, pieces.size());
    std::copy_n(pieces.begin(), common, begin);
    if (old_size == pieces.size()) return;
    const auto rest = begin + static_cast<std::ptrdiff_t>(common);
    if (old_size > pieces.size()) {
      keys_.pieces.erase(rest, begin + static_cast<std::ptrdiff_t>(old_size));
    } else {
      keys_.pieces.insert(rest, pieces.begin() + static_cast<std::ptrdiff_t>(common), pieces.end());
    }
    for (size_t p = place + 1; p < keys_.first.size(); ++p) {
      keys_.first[p] += pieces.size() - old_size;
    }
  }

  // The largest of all bids' best offers above what they were awarded.
  Microcredits HighestRejected(const std::vector<int64_t>& units) {
    Microcredits highest = 0;
    for (size_t index = 0; index < units.size(); ++index) {
      Offer& offer = offers_[index];
      if (offer.units != units[index]) {
        offer = {units[index], HighestRejectedUnitPrice(auction_.bids[index], units[index])};
      }
      highest = std::max(highest, offer.unit_price);
    }
    return highest;
  }

  Auction auction_;
  bool is_all_stale_ = false;
  // Parallel to auction_.bids.
  std::vector<Facts> facts_;
  std::vector<Offer> offers_;
  std::vector<size_t> stale_;  // Indices of bids that were replaced, some more than once.
  Int128 key_scale_ = 1;
  KeyBids<int64_t> keys_;
  std::optional<PriceWindow> window_;  // Where the last solution was.
  // Over all bids.
  Int128 held_units_ = 0;
  Int128 wanted_units_ = 0;
  Int128 largest_keys_ = 0;
  int64_t not_concave_ = 0;
  int64_t not_fitting_ = 0;
};

StandingAuction::StandingAuction(std::unique_ptr<State> state) : state_(std::move(state)) {}
StandingAuction::StandingAuction(StandingAuction&&) noexcept = default;
StandingAuction& StandingAuction::operator=(StandingAuction&&) noexcept = default;
StandingAuction::~StandingAuction() = default;

absl::StatusOr<StandingAuction> StandingAuction::Create(Auction auction) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  return StandingAuction(std::make_unique<State>(std::move(auction)));
}

const Auction& StandingAuction::auction() const { return state_->auction(); }
absl::Status StandingAuction::PlaceBid(Bid bid) { return state_->PlaceBid(std::move(bid)); }
bool StandingAuction::WithdrawBid(GuestId guest_id) { return state_->WithdrawBid(guest_id); }
absl::StatusOr<Clearing> StandingAuction::Clear() { return state_->Clear(); }

}  // namespace nom::policies
