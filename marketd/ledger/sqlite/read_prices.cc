// SPDX-License-Identifier: Apache-2.0
// Prices of past rounds, newest first, without what rounds hold for each guest.
//
// Two scans along primary keys, whatever is asked for: the lines of the rounds, and their rows of
// `auctions`, whose prices stand before the text of the auction. So a page costs what it holds,
// however long the history is.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "marketd/ledger/sqlite/archive.h"
#include "marketd/ledger/sqlite/select.h"

namespace nom::market {
namespace {

int64_t Bound(RoundId round_id) {
  return round_id > INT64_MAX ? INT64_MAX : static_cast<int64_t>(round_id);
}

// A closing time before which, or after all of which, no ledger has any.
int64_t MicrosOf(absl::Time time) {
  if (time == absl::InfinitePast()) return std::numeric_limits<int64_t>::min();
  if (time == absl::InfiniteFuture()) return std::numeric_limits<int64_t>::max();
  return absl::ToUnixMicros(time);
}

// The first round in [low, high) that closed at `time` or later; `high` if none did. Some twenty
// look-ups for a million rounds.
absl::StatusOr<int64_t> FirstClosedFrom(Database& db, const HostId& host_id, int64_t low,
                                        int64_t high, int64_t close_us) {
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    // Ids may have gaps: the first round from the middle on stands for all ids up to its own.
    int64_t found = high;
    bool is_late = true;
    Statement select = db.Prepare(
        "SELECT round_id, close_us FROM rounds WHERE host_id = ? AND round_id >= ? AND round_id < ?"
        " ORDER BY round_id LIMIT 1");
    select.Bind(host_id).Bind(middle).Bind(high);
    NOM_RETURN_IF_ERROR(ForEachRow(std::move(select), [&](Statement& row) {
      found = row.Int(0);
      is_late = row.Int(1) >= close_us;
      return absl::OkStatus();
    }));
    if (is_late) {
      high = middle;
    } else {
      low = found + 1;
    }
  }
  // Where there are gaps `low` may be an id before the round: the rounds from it on are the same.
  return low;
}

// The ids of the oldest and of the newest round of a host; both 0 if there is none.
absl::StatusOr<std::pair<int64_t, int64_t>> Ends(Database& db, const HostId& host_id) {
  std::pair<int64_t, int64_t> ends;
  // Two statements: SQLite looks up one end at a time.
  for (const auto& [sql, end] :
       {std::pair{"SELECT MIN(round_id) FROM rounds WHERE host_id = ?", &ends.first},
        std::pair{"SELECT MAX(round_id) FROM rounds WHERE host_id = ?", &ends.second}}) {
    Statement select = db.Prepare(sql);
    NOM_RETURN_IF_ERROR(select.Bind(host_id).Step().status());
    *end = select.Int(0);
  }
  return ends;
}

}  // namespace

absl::StatusOr<std::vector<Round>> ReadPricesWanted(Database& db, const PricesWanted& wanted) {
  NOM_ASSIGN_OR_RETURN(const auto ends, Ends(db, wanted.host_id));
  int64_t low = std::max(Bound(wanted.first_round_id), ends.first);
  int64_t high = std::min(wanted.before_round_id == 0 ? INT64_MAX : Bound(wanted.before_round_id),
                          ends.second + 1);
  if (wanted.since != absl::InfinitePast() && low < high) {
    NOM_ASSIGN_OR_RETURN(low,
                         FirstClosedFrom(db, wanted.host_id, low, high, MicrosOf(wanted.since)));
  }
  if (wanted.until != absl::InfiniteFuture() && low < high) {
    NOM_ASSIGN_OR_RETURN(high,
                         FirstClosedFrom(db, wanted.host_id, low, high, MicrosOf(wanted.until)));
  }
  std::vector<Round> rounds;
  if (low >= high || wanted.rounds_max < 1) return rounds;
  NOM_RETURN_IF_ERROR(ForEach<RoundRow>(
      db,
      "rounds WHERE host_id = ? AND round_id >= ? AND round_id < ?"
      " ORDER BY round_id DESC LIMIT ?",
      [&rounds](RoundRow&& row) { rounds.push_back(std::move(row.round)); }, wanted.host_id, low,
      high, wanted.rounds_max));
  if (rounds.empty()) return rounds;
  // Both come by falling round: each price belongs to the round at hand or to a later one.
  size_t at = 0;
  NOM_RETURN_IF_ERROR(ForEach<PriceRow>(
      db,
      "auctions WHERE host_id = ? AND round_id >= ? AND round_id <= ?"
      " ORDER BY round_id DESC, kind DESC",
      [&](PriceRow&& row) {
        while (at < rounds.size() && rounds[at].round_id > row.round_id) ++at;
        if (at < rounds.size() && rounds[at].round_id == row.round_id) {
          rounds[at].prices.push_back(std::move(row.price));
        }
      },
      wanted.host_id, rounds.back().round_id, rounds.front().round_id));
  // A scan down the key meets the kinds of a round from the last to the first.
  for (Round& round : rounds) std::reverse(round.prices.begin(), round.prices.end());
  return rounds;
}

absl::StatusOr<std::vector<Round>> ListPrices(LedgerFiles& files, const PricesWanted& wanted) {
  NOM_ASSIGN_OR_RETURN(const RoundId archived, ReadArchivedRound(files.ledger(), wanted.host_id));
  PricesWanted newer = wanted;
  newer.first_round_id = std::max(wanted.first_round_id, archived + 1);
  NOM_ASSIGN_OR_RETURN(std::vector<Round> rounds, ReadPricesWanted(files.ledger(), newer));
  if (wanted.first_round_id > archived || archived == 0 ||
      rounds.size() >= static_cast<size_t>(wanted.rounds_max)) {
    return rounds;
  }
  PricesWanted older = wanted;
  older.before_round_id =
      wanted.before_round_id == 0 ? archived + 1 : std::min(wanted.before_round_id, archived + 1);
  older.rounds_max -= static_cast<int>(rounds.size());
  NOM_ASSIGN_OR_RETURN(Database* const archive, files.Archive());
  NOM_ASSIGN_OR_RETURN(std::vector<Round> there, ReadPricesWanted(*archive, older));
  for (Round& round : there) rounds.push_back(std::move(round));
  return rounds;
}

}  // namespace nom::market
