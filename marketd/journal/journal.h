// SPDX-License-Identifier: Apache-2.0
// Lines of the log for what the market did by itself: rounds that came late or by a fallback, hosts
// lost and found, guests that ended or had to leave, tenants that owe, contracts that were renewed
// or could not be, floors of tiers.
//
// What callers did is logged where they are answered (marketd/services/call_log.h). All of it, and
// what it came to, is in the ledger as well (nomctl events).

#ifndef MARKETD_JOURNAL_JOURNAL_H_
#define MARKETD_JOURNAL_JOURNAL_H_

#include <memory>
#include <vector>

#include "marketd/base/log.h"
#include "marketd/market/view.h"

namespace nom::marketd {

// What is to be told of the change from one view to the next; `before` may be null. Views may have
// been skipped in between: what counters counted is told all the same, and once.
std::vector<LogLine> LinesOf(const market::View* before, const market::View& now);

// Logs what changes. Of one thread.
class Journal {
 public:
  void OnView(std::shared_ptr<const market::View> view);

 private:
  std::shared_ptr<const market::View> last_;
};

}  // namespace nom::marketd

#endif  // MARKETD_JOURNAL_JOURNAL_H_
