// SPDX-License-Identifier: Apache-2.0
#include "nom/pacing.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "policies/bidding/pacing.h"

namespace nom {

class BudgetPacer::Impl {
 public:
  explicit Impl(const policies::PacingLimits& limits) : pacer(limits) {}
  policies::BudgetPacer pacer;
};

absl::StatusOr<BudgetPacer> BudgetPacer::Create(const PacingOptions& options) {
  const policies::PacingLimits limits{
      .period_budget_microcredits = options.period_budget_microcredits,
      .period_rounds = options.period_rounds,
      .bid_lifetime_rounds = options.bid_lifetime_rounds};
  if (const char* field = policies::WrongField(limits); field != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": out of range"));
  }
  return BudgetPacer(std::make_unique<Impl>(limits));
}

BudgetPacer::BudgetPacer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BudgetPacer::BudgetPacer(BudgetPacer&&) noexcept = default;
BudgetPacer& BudgetPacer::operator=(BudgetPacer&&) noexcept = default;
BudgetPacer::~BudgetPacer() = default;

int64_t BudgetPacer::Cap(uint64_t round_id, int stands_rounds) {
  return impl_->pacer.Cap(round_id, stands_rounds);
}
void BudgetPacer::Placed(uint64_t round_id, int64_t cap_microcredits, int stands_rounds) {
  impl_->pacer.Placed(round_id, cap_microcredits, stands_rounds);
}
void BudgetPacer::Unsure(uint64_t round_id, int64_t cap_microcredits, int stands_rounds) {
  impl_->pacer.Unsure(round_id, cap_microcredits, stands_rounds);
}
void BudgetPacer::Told(uint64_t round_id, int64_t charge_microcredits) {
  impl_->pacer.Told(round_id, charge_microcredits);
}
int64_t BudgetPacer::spent_microcredits() const { return impl_->pacer.spent_microcredits(); }
int64_t BudgetPacer::outstanding_microcredits() const {
  return impl_->pacer.outstanding_microcredits();
}

}  // namespace nom
