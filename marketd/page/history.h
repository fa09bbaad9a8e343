// SPDX-License-Identifier: Apache-2.0
// What the page draws over time, bounded in memory: the prices of each host's last rounds, and what
// guests said of their work in them.
//
// Views are sampled when they come; rounds from before the start are read from the ledger, newest
// first, a few at a time. Both are done by a thread of its own, so that neither the engine nor a
// browser waits for the other.

#ifndef MARKETD_PAGE_HISTORY_H_
#define MARKETD_PAGE_HISTORY_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "marketd/market/ledger.h"
#include "marketd/market/view.h"

namespace nom::marketd {

struct PricedRound {
  market::RoundId round_id = 0;
  absl::Time close_time;
  std::vector<market::ResourcePrice> prices;  // By rising kind.
  // As it was sold by contract when the round was decided; of rounds that were read: not known.
  std::vector<market::ForwardOnSale> forward;
};

struct WorkSample {
  market::RoundId round_id = 0;  // That had taken effect.
  absl::Time time;
  uint64_t work_done = 0;
  market::Microcredits value_microcredits = 0;
};

// Thread-safe.
class History {
 public:
  // Bounds of memory: some 250 bytes a round and kind, 32 bytes a sample.
  static constexpr size_t kRoundsKept = 2'880;  // Of a host: two days of rounds of a minute.
  static constexpr size_t kSamplesKept = 240;   // Of a guest.
  static constexpr size_t kGuestsKept = 1'024;  // Of the market; those with the lowest ids.

  // `reader` must outlive it.
  explicit History(market::LedgerReader& reader);
  ~History();

  // From any thread; returns at once.
  void OnView(std::shared_ptr<const market::View> view);

  struct Rounds {
    std::vector<PricedRound> rounds;  // By rising id.
    bool more = false;                // Older ones are kept, too.
    bool complete = false;            // Nothing older is still to be read.
  };
  // The newest `count` below `before_round_id` (0: all) of a host.
  Rounds RoundsOf(const market::HostId& host_id, market::RoundId before_round_id,
                  size_t count) const;

  std::vector<WorkSample> WorkOf(market::GuestId guest_id) const;  // Oldest first.

 private:
  struct OfHost {
    std::deque<PricedRound> rounds;  // By rising id.
    bool complete = false;
  };
  void Run();
  void Sample(const market::View& view);
  // Reads some older rounds of one host; false if there is nothing left to read.
  bool ReadOlder();

  market::LedgerReader& reader_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const market::View> view_;  // Not yet sampled; null: none.
  bool stopping_ = false;
  std::map<market::HostId, OfHost> hosts_;
  std::map<market::GuestId, std::deque<WorkSample>> work_;
  std::thread thread_;
};

}  // namespace nom::marketd

#endif  // MARKETD_PAGE_HISTORY_H_
