#include "policies/clearing/mpsp.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "policies/clearing/concave.h"
#include "policies/clearing/eliminate.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/normal_form.h"
#include "policies/clearing/outcome.h"

namespace nom::policies {
namespace {

// best[q]: the largest sum of keys that a set of bids can reach with at most q units. Never falls.
template <typename Key>
using Table = std::vector<Key>;

template <typename Key>
struct KeyPiece {
  int64_t min_units;
  int64_t max_units;
  Key key_at_min;
  Key key_slope;
};

template <typename Key>
std::vector<KeyPiece<Key>> Narrow(const std::vector<Piece>& pieces) {
  std::vector<KeyPiece<Key>> narrow;
  narrow.reserve(pieces.size());
  for (const Piece& p : pieces) {
    narrow.push_back(
        {p.min_units, p.max_units, static_cast<Key>(p.key_at_min), static_cast<Key>(p.key_slope)});
  }
  return narrow;
}

// Adds one bid to a table. Not reentrant; one for each clearing.
template <typename Key>
class Extender {
 public:
  // out[q] = max(in[q], max over pieces and a in them of key(a) + in[q - a]). `out` is not `in`.
  void Extend(const Table<Key>& in, const std::vector<KeyPiece<Key>>& pieces, Table<Key>& out) {
    out = in;
    for (const KeyPiece<Key>& piece : pieces) {
      if (piece.key_slope <= 0) {
        // `in` never falls, so the fewest units are the best.
        for (size_t q = static_cast<size_t>(piece.min_units), j = 0; q < out.size(); ++q, ++j) {
          out[q] = std::max(out[q], piece.key_at_min + in[j]);
        }
      } else {
        ExtendRising(in, piece, out);
      }
    }
  }

 private:
  // With j units left to the others, a = q - j: the best j in [q - max, q - min] is the largest
  // in[j] - j * slope, a sliding-window maximum. Candidates wait in rising j and falling value.
  void ExtendRising(const Table<Key>& in, const KeyPiece<Key>& piece, Table<Key>& out) {
    waiting_.resize(in.size());
    size_t head = 0;
    size_t tail = 0;
    const auto min_units = static_cast<size_t>(piece.min_units);
    const auto width = static_cast<size_t>(piece.max_units - piece.min_units);
    for (size_t q = min_units; q < out.size(); ++q) {
      const size_t newest = q - min_units;
      const Key value = in[newest] - static_cast<Key>(newest) * piece.key_slope;
      while (tail > head && waiting_[tail - 1].second <= value) --tail;
      waiting_[tail++] = {newest, value};
      if (newest > width && waiting_[head].first < newest - width) ++head;
      out[q] = std::max(out[q], piece.key_at_min + static_cast<Key>(newest) * piece.key_slope +
                                    waiting_[head].second);
    }
  }

  std::vector<std::pair<size_t, Key>> waiting_;
};

// The tables best_k of the bids from k on, for falling k kept (all, or every `stride`-th) and for
// rising k given out again.
template <typename Key>
class SuffixTables {
 public:
  SuffixTables(const std::vector<std::vector<KeyPiece<Key>>>& bids, size_t table_size,
               int64_t bytes_max, Extender<Key>& extender)
      : bids_(bids), extender_(extender) {
    const size_t count = bids.size() + 1;
    const size_t fit = static_cast<size_t>(bytes_max) / (table_size * sizeof(Key));
    if (count > fit) {
      // Kept: count / stride tables, and stride of them made again at a time.
      for (stride_ = 2; count / stride_ + stride_ > fit && stride_ * stride_ < count;) ++stride_;
    }
    kept_.resize(count / stride_ + 1);
    Table<Key> current(table_size, 0);
    Table<Key> next(table_size);
    for (size_t k = bids.size();; --k) {
      if (k % stride_ == 0) kept_[k / stride_] = current;
      if (k == bids.size()) last_ = current;
      if (k == 0) break;
      extender_.Extend(current, bids_[k - 1], next);
      std::swap(current, next);
    }
  }

  // For rising k only.
  const Table<Key>& From(size_t k) {
    if (k == bids_.size()) return last_;
    if (stride_ == 1) return kept_[k];
    const size_t block = k / stride_;
    if (block != block_) {
      block_ = block;
      const size_t begin = block * stride_;
      const size_t end = std::min(begin + stride_, bids_.size());
      remade_.resize(stride_ + 1);
      remade_[end - begin] = end == bids_.size() ? last_ : kept_[end / stride_];
      for (size_t i = end; i-- > begin;) {
        extender_.Extend(remade_[i - begin + 1], bids_[i], remade_[i - begin]);
      }
    }
    return remade_[k - block_ * stride_];
  }

 private:
  const std::vector<std::vector<KeyPiece<Key>>>& bids_;
  Extender<Key>& extender_;
  size_t stride_ = 1;
  std::vector<Table<Key>> kept_;
  Table<Key> last_;
  std::vector<Table<Key>> remade_;
  size_t block_ = std::numeric_limits<size_t>::max();
};

// The most units that the bid can have while all after it still reach `target` together with it.
template <typename Key>
int64_t MostUnits(const std::vector<KeyPiece<Key>>& pieces, const Table<Key>& after,
                  int64_t left_units, Key target, Key& key) {
  for (size_t p = pieces.size(); p-- > 0;) {
    for (int64_t a = std::min(pieces[p].max_units, left_units); a >= pieces[p].min_units; --a) {
      key = pieces[p].key_at_min + (a - pieces[p].min_units) * pieces[p].key_slope;
      if (key + after[static_cast<size_t>(left_units - a)] == target) return a;
    }
  }
  key = 0;
  return 0;
}

template <typename Key>
Key BestSplit(const Table<Key>& a, const Table<Key>& b) {
  Key best = 0;
  const size_t last = a.size() - 1;
  for (size_t q = 0; q <= last; ++q) best = std::max(best, a[q] + b[last - q]);
  return best;
}

// The bids of an auction, or what elimination left of them, in the order of ties.
template <typename Key>
struct Problem {
  explicit Problem(const std::vector<std::vector<Piece>>& pieces) {
    for (size_t place = 0; place < pieces.size(); ++place) {
      if (pieces[place].empty()) continue;
      places.push_back(place);
      bids.push_back(Narrow<Key>(pieces[place]));
    }
  }

  std::vector<size_t> places;  // Into NormalAuction::bids.
  std::vector<std::vector<KeyPiece<Key>>> bids;
};

// What a winner counts for in "W without it": it keeps its quantities and its penalty. Ties don't
// matter there, but the scale must match the other keys'.
std::vector<Piece> ScaledPiecesWithoutValue(const Auction& auction, const NormalAuction& normal,
                                            size_t place) {
  const NormalBid& bid = normal.bids[place];
  if (auction.reclaim_penalty_microcredits == 0 || auction.bids[bid.index].held_units == 0) {
    return {};
  }
  std::vector<Piece> pieces = PiecesWithoutValue(auction, bid);
  for (Piece& piece : pieces) {
    piece.key_at_min *= normal.key_scale;
    piece.key_slope *= normal.key_scale;
  }
  return pieces;
}

template <typename Key>
class Rule {
 public:
  Rule(const Auction& auction, const NormalAuction& normal, const MpspOptions& options)
      : auction_(auction),
        normal_(normal),
        options_(options),
        table_size_(static_cast<size_t>(normal.capacity_units) + 1),
        units_(normal.bids.size(), 0),
        charges_(normal.bids.size(), 0) {}

  absl::StatusOr<Clearing> Clear() {
    if (!ClearReduced()) {
      std::vector<std::vector<Piece>> all;
      all.reserve(normal_.bids.size());
      for (const NormalBid& bid : normal_.bids) all.push_back(bid.pieces);
      const Problem<Key> problem(all);
      SuffixTables<Key> suffix(problem.bids, table_size_, options_.table_bytes_max, extender_);
      FindAwards(problem, suffix);
      FindCharges(problem, suffix);
    }
    std::vector<int64_t> units(auction_.bids.size(), 0);
    std::vector<Microcredits> charges(auction_.bids.size(), 0);
    for (size_t place = 0; place < units_.size(); ++place) {
      units[normal_.bids[place].index] = units_[place];
      charges[normal_.bids[place].index] = charges_[place];
    }
    if (auction_.capacity_units == 0) {
      price_ = std::max<Int128>(price_, HighestRejectedUnitPrice(auction_, units));
    }
    return MakeClearing(auction_, units, charges, static_cast<Microcredits>(price_));
  }

 private:
  Int128 Gain(Key key) const { return FloorDivide(key, normal_.key_scale); }

  // The same with fewer bids, in two steps, as what each winner's absence brings back in is only
  // known once there are winners. False if that would not pay.
  bool ClearReduced() {
    if constexpr (sizeof(Key) > sizeof(int64_t)) {
      return false;
    } else {
      size_t piece_count = 0;
      for (const NormalBid& bid : normal_.bids) piece_count += bid.pieces.size();
      if (options_.always_tables || table_size_ < 2 || piece_count < 8) return false;
      Elimination elimination(normal_);
      elimination.Keep(normal_.capacity_units);
      elimination.Keep(normal_.capacity_units - 1);  // For the price.
      if (elimination.piece_count() > piece_count / 2) return false;
      {
        const Problem<Key> problem(elimination.Kept());
        SuffixTables<Key> suffix(problem.bids, table_size_, options_.table_bytes_max, extender_);
        FindAwards(problem, suffix);
      }
      for (size_t place = 0; place < units_.size(); ++place) {
        if (units_[place] == 0) continue;
        elimination.Keep(normal_.capacity_units, place,
                         ScaledPiecesWithoutValue(auction_, normal_, place));
      }
      const Problem<Key> problem(elimination.Kept());
      SuffixTables<Key> suffix(problem.bids, table_size_, options_.table_bytes_max, extender_);
      FindCharges(problem, suffix);
      return true;
    }
  }

  void FindAwards(const Problem<Key>& problem, SuffixTables<Key>& suffix) {
    Key target = suffix.From(0).back();
    best_gain_ = Gain(target);
    price_ = auction_.reserve_unit_price_microcredits;
    if (normal_.capacity_units == auction_.capacity_units && table_size_ > 1) {
      price_ += best_gain_ - Gain(suffix.From(0)[table_size_ - 2]);
    }
    int64_t left_units = normal_.capacity_units;
    for (size_t k = 0; k < problem.bids.size(); ++k) {
      Key key = 0;
      const int64_t units = MostUnits(problem.bids[k], suffix.From(k + 1), left_units, target, key);
      units_[problem.places[k]] = units;
      left_units -= units;
      target -= key;
    }
  }

  // Every winner must be in the problem.
  void FindCharges(const Problem<Key>& problem, SuffixTables<Key>& suffix) {
    Table<Key> prefix(table_size_, 0);
    Table<Key> scratch(table_size_);
    for (size_t k = 0; k < problem.bids.size(); ++k) {
      const size_t place = problem.places[k];
      if (units_[place] > 0) {
        const Table<Key>& after = suffix.From(k + 1);
        const std::vector<Piece> kept = ScaledPiecesWithoutValue(auction_, normal_, place);
        Key without = 0;
        if (kept.empty()) {
          without = BestSplit(prefix, after);
        } else {
          extender_.Extend(after, Narrow<Key>(kept), scratch);
          without = BestSplit(prefix, scratch);
        }
        const Int128 at_reserve = Int128{units_[place]} * auction_.reserve_unit_price_microcredits;
        const Int128 net_value =
            ValueOf(auction_.bids[normal_.bids[place].index], units_[place]) - at_reserve;
        charges_[place] =
            static_cast<Microcredits>(at_reserve + Gain(without) - (best_gain_ - net_value));
      }
      extender_.Extend(prefix, problem.bids[k], scratch);
      std::swap(prefix, scratch);
    }
  }

  const Auction& auction_;
  const NormalAuction& normal_;
  const MpspOptions& options_;
  const size_t table_size_;
  Extender<Key> extender_;
  std::vector<int64_t> units_;  // These two parallel to normal_.bids.
  std::vector<Microcredits> charges_;
  Int128 best_gain_ = 0;
  Int128 price_ = 0;
};

// True if no number that Rule<int64_t> forms can leave 64 bits: all keys together, and every
// j * slope with j up to the capacity.
bool FitsIn64Bits(const NormalAuction& normal) {
  const Int128 limit = std::numeric_limits<int64_t>::max() / 4;
  Int128 sum = 0;
  for (const NormalBid& bid : normal.bids) {
    Int128 largest = 0;
    for (const Piece& piece : bid.pieces) {
      const Int128 at_max =
          piece.key_at_min + (piece.max_units - piece.min_units) * piece.key_slope;
      largest = std::max({largest, piece.key_at_min, at_max});
      if (piece.key_slope * normal.capacity_units > limit) return false;
    }
    sum += largest;
  }
  return sum <= limit;
}

}  // namespace

absl::StatusOr<Clearing> ClearMpsp(const Auction& auction, const MpspOptions& options) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  if (!options.always_tables) {
    if (const auto awards = ClearConcave(auction, /*with_charges=*/true); awards.has_value()) {
      Microcredits price = awards->next_unit_price_microcredits;
      if (auction.capacity_units == 0) {
        price = std::max(price, HighestRejectedUnitPrice(auction, awards->units));
      }
      return MakeClearing(auction, awards->units, awards->charges, price);
    }
  }
  const NormalAuction normal = Normalise(auction);
  return FitsIn64Bits(normal) ? Rule<int64_t>(auction, normal, options).Clear()
                              : Rule<Int128>(auction, normal, options).Clear();
}

}  // namespace nom::policies
