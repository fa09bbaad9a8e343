// SPDX-License-Identifier: Apache-2.0
// Prices over time as text: a plot for terminals and paper, lines for other programs. Pure.

#ifndef CLIENT_CLI_PRICE_PLOT_H_
#define CLIENT_CLI_PRICE_PLOT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "client/cli/table.h"
#include "nom/market/v1/prices.pb.h"

namespace nom::cli {

// One resource in one round.
struct PlotPoint {
  int64_t unit_price_microcredits = 0;
  int64_t reserve_unit_price_microcredits = 0;
};

// What `columns` and `rows` of characters show of points, oldest first: '*' wherever a price was in
// the rounds that a column stands for, '-' at the last reserve among them. In front of some rows
// stands which price they mean. No line is wider than look.width, or, where that is 0, than 80
// columns; fewer points than columns have a column each. Empty if there are none.
std::string PlotPrices(const std::vector<PlotPoint>& points, const Look& look);

// The history of each resource: a plot, from when to when, and what stood out. Rounds come newest
// first, as the market tells them.
std::string PricesText(const google::protobuf::RepeatedPtrField<market::v1::PricedRound>& rounds,
                       const Look& look);

// A line of names, then one for each round and resource, oldest first.
std::string PricesCsv(const google::protobuf::RepeatedPtrField<market::v1::PricedRound>& rounds);

}  // namespace nom::cli

#endif  // CLIENT_CLI_PRICE_PLOT_H_
