// SPDX-License-Identifier: Apache-2.0
// The numbers of policies/clearing/joint/README.md, step by step.

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "policies/cases/joint_case_file.h"
#include "policies/clearing/joint/cell_scan.h"
#include "policies/clearing/joint/charges.h"
#include "policies/clearing/joint/joint_vcg.h"
#include "policies/clearing/joint/repair.h"

namespace nom::policies::joint {
namespace {

constexpr double kShown = 0.005;  // The page has two decimals.

JointAuction WorkedExample() {
  std::ostringstream text;
  text << std::ifstream(NOM_JOINT_WORKED_EXAMPLE).rdbuf();
  return ParseJointCase(text.str()).value().auction;
}

TEST(Walkthrough, EveryStepIsAsThePageSays) {
  const JointAuction auction = WorkedExample();
  // 1. Cells.
  Problem problem;
  problem.capacity_units = auction.capacity_units;
  std::vector<std::vector<std::pair<Units, double>>> cells;
  for (const JointBid& bid : auction.bids) {
    auto list = std::make_shared<CellList>(MakeCells(auction, bid, Values::kAsBid).value());
    cells.emplace_back();
    for (size_t cell = 0; cell < list->size(); ++cell) {
      cells.back().emplace_back(list->UnitsOf(cell), list->gain[cell]);
    }
    problem.lists.push_back(std::move(list));
  }
  EXPECT_EQ(cells[0], (std::vector<std::pair<Units, double>>{{{2, 1}, 16}, {{3, 1}, 17}}));
  EXPECT_EQ(cells[1], (std::vector<std::pair<Units, double>>{{{1, 2}, 14}}));
  EXPECT_EQ(cells[2], (std::vector<std::pair<Units, double>>{{{2, 1}, 13}}));
  EXPECT_EQ(cells[3], (std::vector<std::pair<Units, double>>{{{1, 0}, 3}, {{4, 3}, 30}}));

  // 2. Prices.
  Context context = Context::Make(auction, 17 + 14 + 13 + 30, kJointWorkMaxDefault);
  const JointVcgOptions options;
  context.shortlist_cells = options.shortlist_cells;
  context.box_work = options.box_work;
  const ProblemPrices prices(context, problem, 75);
  EXPECT_NEAR(prices.prices()[0], 4.09, kShown);
  EXPECT_NEAR(prices.prices()[1], 4.77, kShown);
  EXPECT_NEAR(prices.best()[0], 3.05, kShown);
  EXPECT_NEAR(prices.best()[1], 0.37, kShown);
  EXPECT_NEAR(prices.best()[2], 0.05, kShown);
  EXPECT_EQ(prices.best()[3], 0);
  EXPECT_NEAR(static_cast<double>(prices.bound_steps()) * context.step, 34.14, kShown);
  EXPECT_EQ(context.FromSteps(prices.bound_steps()), 34);

  // 3. Repair.
  std::vector<std::pair<uint32_t, uint32_t>> choices;
  EXPECT_EQ(Repair(context, problem, prices, choices), 31);
  EXPECT_EQ(choices,
            (std::vector<std::pair<uint32_t, uint32_t>>{{0, 1}, {1, 0}, {2, kLost}, {3, kLost}}));

  // 4. Search.
  Shortlist shortlist;
  shortlist.capacity_units = problem.capacity_units;
  CellScan scan(context, prices.prices());
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(scan.AddAtLeast(*problem.lists[i], prices.best()[i] - 2.14, i, 100, shortlist));
  }
  EXPECT_EQ(shortlist.option_count(), 8U);
  EXPECT_EQ(shortlist.cells, (std::vector<uint32_t>{0, kLost, 0, kLost, 0, kLost, 0, 1}));
  const Maximum best = Maximise(context, problem, prices, 0, /*with_choices=*/true);
  EXPECT_EQ(best.gain, 33);
  EXPECT_EQ(best.gain_bound, 33);
  EXPECT_EQ(best.awards, (std::vector<Units>{{2, 1}, {1, 2}, {}, {1, 0}}));

  // 5. Charges, and those without any work left to prove them.
  const std::vector<size_t> bids = {0, 1, 2, 3};
  const Cleared cleared{auction, bids, problem, prices, best};
  const std::vector<JointAward> awards = ChargeWinners(context, cleared);
  EXPECT_EQ(awards, (std::vector<JointAward>{
                        {1, {2, 1}, 17, 17, 17}, {2, {1, 2}, 16, 16, 16}, {4, {1, 0}, 2, 2, 2}}));
  context.work_left = 0;
  EXPECT_EQ(ChargeWinners(context, cleared)[0], (JointAward{1, {2, 1}, 4 + 12, 4 + 14, 4}));
}

}  // namespace
}  // namespace nom::policies::joint
