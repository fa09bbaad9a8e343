// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/live_book.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"

namespace nom::market {

LiveBook::LiveBook(State state)
    : state_(std::move(state)),
      money_promises_(state_),
      durable_transaction_id_(state_.last_transaction_id) {}

void LiveBook::Commit(Scribe&& scribe) {
  if (scribe.empty()) return;
  const Transaction& transaction = effects_.transactions.emplace_back(std::move(scribe).Finish());
  changes_.Touch(transaction, state_);
  for (const Change& change : transaction.changes) {
    const auto* const update = std::get_if<UpdateContract>(&change);
    if (update == nullptr || update->contract.ended.empty()) continue;
    if (update->contract.part_of == 0 && !IsForward(update->contract)) continue;
    ++contracts_ended_[std::string(EndWord(update->contract.ended))];
  }
  // Before anybody is told: the transaction is in memory only, and dies with the process.
  std::string wrong = money_promises_.FirstBroken(transaction, state_);
  if (wrong.empty() && check_) wrong = check_(transaction);
  NOM_CHECK(wrong.empty(), absl::StrCat("transaction ", transaction.transaction_id, " (",
                                        transaction.kind, "): ", wrong));
}

void LiveBook::Answer(CallId call_id, Reply reply) {
  outbox_.Hold(state_.last_transaction_id, ReplyEffect{call_id, std::move(reply)});
}

void LiveBook::Send(HostCommand command) {
  outbox_.Hold(state_.last_transaction_id, std::move(command));
}

void LiveBook::Show(std::shared_ptr<const View> view) {
  outbox_.Hold(state_.last_transaction_id, std::move(view));
}

void LiveBook::BecameDurable(uint64_t through_transaction_id) {
  durable_transaction_id_ = std::max(durable_transaction_id_,
                                     std::min(through_transaction_id, state_.last_transaction_id));
}

}  // namespace nom::market
