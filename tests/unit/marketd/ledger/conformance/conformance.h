// SPDX-License-Identifier: Apache-2.0
// What every ledger promises, tried on whatever a factory opens: it speaks only market::Ledger.
//
// An implementation's test instantiates it:
//   INSTANTIATE_TEST_SUITE_P(Sqlite, LedgerConformance, testing::Values(&NewSqliteFactory));

#ifndef TESTS_UNIT_MARKETD_LEDGER_CONFORMANCE_CONFORMANCE_H_
#define TESTS_UNIT_MARKETD_LEDGER_CONFORMANCE_CONFORMANCE_H_

#include <gtest/gtest.h>

#include <memory>

#include "marketd/market/ledger.h"

namespace nom::market {

// One ledger, which is kept between two openings.
class LedgerFactory {
 public:
  virtual ~LedgerFactory() = default;
  // Only one is open at a time.
  virtual std::unique_ptr<Ledger> Open() = 0;
  // As if another process had come to lead the book since: a fence that was current is no more.
  // Called while the ledger is open.
  virtual void RaiseFence(const BookId& book_id) = 0;
};

class LedgerConformance : public testing::TestWithParam<std::unique_ptr<LedgerFactory> (*)()> {
 protected:
  LedgerConformance() : factory_(GetParam()()), ledger_(factory_->Open()) {}
  void Reopen() {
    ledger_.reset();
    ledger_ = factory_->Open();
  }

  std::unique_ptr<LedgerFactory> factory_;
  std::unique_ptr<Ledger> ledger_;
};

}  // namespace nom::market

#endif  // TESTS_UNIT_MARKETD_LEDGER_CONFORMANCE_CONFORMANCE_H_
