// SPDX-License-Identifier: Apache-2.0
#include "client/cli/price_plot.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "client/cli/names.h"
#include "client/src/convert.h"

namespace nom::cli {
namespace {

namespace pb = market::v1;

constexpr int kWidthElsewhere = 80;
constexpr int kRows = 10;
constexpr int kColumnsMin = 1;

__extension__ using Wide = __int128;

// Which of `rows` lines, counted from below, shows a price.
int RowOf(int64_t price, int64_t low, int64_t high, int rows) {
  if (high == low) return 0;
  return static_cast<int>((Wide{price} - low) * (rows - 1) / (Wide{high} - low));
}

// The price that a line stands for: the least that is shown on it.
int64_t PriceOf(int row, int64_t low, int64_t high, int rows) {
  return static_cast<int64_t>(low + ((Wide{high} - low) * row + rows - 2) / (rows - 1));
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%SZ", client::FromProto(time), absl::UTCTimeZone());
}

// As RFC 4180 has it, where a text needs it.
std::string CsvField(const std::string& text) {
  const std::string harmless = Printable(text);
  if (harmless.find_first_of(",\"") == std::string::npos) return harmless;
  return absl::StrCat("\"", absl::StrReplaceAll(harmless, {{"\"", "\"\""}}), "\"");
}

struct Series {
  std::vector<PlotPoint> points;  // Oldest first, as all else here.
  const pb::PricedRound* first = nullptr;
  const pb::PricedRound* last = nullptr;
  const pb::PastPrice* newest = nullptr;
  int64_t bound_by_bids = 0;
};

std::map<pb::ResourceKind, Series> SeriesOf(
    const google::protobuf::RepeatedPtrField<pb::PricedRound>& rounds) {
  std::map<pb::ResourceKind, Series> all;
  for (auto round = rounds.rbegin(); round != rounds.rend(); ++round) {
    for (const pb::PastPrice& price : round->prices()) {
      Series& series = all[price.kind()];
      series.points.push_back(
          {price.unit_price_microcredits(), price.reserve_unit_price_microcredits()});
      if (series.first == nullptr) series.first = &*round;
      series.last = &*round;
      series.newest = &price;
      if (price.bound_by() == pb::BOUND_BY_BIDS) ++series.bound_by_bids;
    }
  }
  return all;
}

std::string SpanText(const Series& series) {
  return absl::StrCat("rounds ", series.first->round_id(), " to ", series.last->round_id(), ", ",
                      TimeText(series.first->close_time()), " to ",
                      TimeText(series.last->close_time()));
}

}  // namespace

std::string PlotPrices(const std::vector<PlotPoint>& points, const Look& look) {
  if (points.empty()) return "";
  int64_t low = points[0].unit_price_microcredits;
  int64_t high = low;
  for (const PlotPoint& point : points) {
    low = std::min({low, point.unit_price_microcredits, point.reserve_unit_price_microcredits});
    high = std::max({high, point.unit_price_microcredits, point.reserve_unit_price_microcredits});
  }
  const int label = static_cast<int>(std::max(absl::StrCat(low).size(), absl::StrCat(high).size()));
  const int width = look.width > 0 ? look.width : kWidthElsewhere;
  // A label, " |", the columns. A terminal too narrow for that has none of its labels.
  const bool labelled = width >= label + 2 + kColumnsMin;
  const int room = labelled ? width - label - 2 : width;
  const int columns =
      static_cast<int>(std::min<size_t>(points.size(), static_cast<size_t>(std::max(room, 1))));
  std::vector<std::string> lines(kRows, std::string(static_cast<size_t>(columns), ' '));
  for (int column = 0; column < columns; ++column) {
    const auto place = [&](int at) {
      return points.size() * static_cast<size_t>(at) / static_cast<size_t>(columns);
    };
    int from = kRows;
    int to = -1;
    for (size_t i = place(column); i < place(column + 1); ++i) {
      const int row = RowOf(points[i].unit_price_microcredits, low, high, kRows);
      from = std::min(from, row);
      to = std::max(to, row);
    }
    const PlotPoint& last = points[place(column + 1) - 1];
    const auto at = static_cast<size_t>(column);
    lines[static_cast<size_t>(RowOf(last.reserve_unit_price_microcredits, low, high, kRows))][at] =
        '-';
    for (int row = from; row <= to; ++row) lines[static_cast<size_t>(row)][at] = '*';
  }
  std::string out;
  for (int row = kRows - 1; row >= 0; --row) {
    std::string& line = lines[static_cast<size_t>(row)];
    line.erase(line.find_last_not_of(' ') + 1);
    if (labelled) {
      const bool shows = high > low ? row % 3 == 0 : row == 0;
      const std::string price = shows ? absl::StrCat(PriceOf(row, low, high, kRows)) : "";
      absl::StrAppend(&out, std::string(static_cast<size_t>(label) - price.size(), ' '), price,
                      " |");
    }
    absl::StrAppend(&out, Bold(line, look.colour && !line.empty()), "\n");
  }
  return out;
}

std::string PricesText(const google::protobuf::RepeatedPtrField<pb::PricedRound>& rounds,
                       const Look& look) {
  std::string out;
  Table table({"resource", ">now", ">least", ">median", ">most", ">reserve", ">set by bids",
               "?~rule", "?~reserve's policy"});
  for (const auto& [kind, series] : SeriesOf(rounds)) {
    absl::StrAppend(&out, Bold(KindName(kind), look.colour), "\n", PlotPrices(series.points, look));
    const std::string span = SpanText(series);
    const size_t width = look.width > 0 ? static_cast<size_t>(look.width) : span.size();
    absl::StrAppend(&out, span.substr(0, width), "\n\n");
    std::vector<int64_t> prices;
    for (const PlotPoint& point : series.points) prices.push_back(point.unit_price_microcredits);
    std::sort(prices.begin(), prices.end());
    table.AddRow({KindName(kind), absl::StrCat(series.newest->unit_price_microcredits()),
                  absl::StrCat(prices.front()), absl::StrCat(prices[(prices.size() - 1) / 2]),
                  absl::StrCat(prices.back()),
                  absl::StrCat(series.newest->reserve_unit_price_microcredits()),
                  absl::StrCat(series.bound_by_bids, " of ", prices.size()),
                  Printable(series.newest->policy()), Printable(series.newest->reserve_policy())});
  }
  if (table.empty()) return "no round has been decided in that time\n";
  return absl::StrCat(out, table.Format(look));
}

std::string PricesCsv(const google::protobuf::RepeatedPtrField<pb::PricedRound>& rounds) {
  std::string out =
      "round_id,close_time,effective_time,kind,unit_price_microcredits,"
      "reserve_unit_price_microcredits,bound_by,supply_units,demand_units,sold_units,policy,"
      "reserve_policy,released\n";
  const auto exact = [](const google::protobuf::Timestamp& time) {
    return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", client::FromProto(time), absl::UTCTimeZone());
  };
  for (auto round = rounds.rbegin(); round != rounds.rend(); ++round) {
    for (const pb::PastPrice& price : round->prices()) {
      absl::StrAppend(&out, round->round_id(), ",", exact(round->close_time()), ",",
                      exact(round->effective_time()), ",", KindName(price.kind()), ",");
      absl::StrAppend(&out, price.unit_price_microcredits(), ",",
                      price.reserve_unit_price_microcredits(), ",", BoundByName(price.bound_by()),
                      ",", price.supply_units(), ",", price.demand_units(), ",");
      absl::StrAppend(&out, price.sold_units(), ",", CsvField(price.policy()), ",",
                      CsvField(price.reserve_policy()), ",", round->released() ? "true" : "false",
                      "\n");
    }
  }
  return out;
}

}  // namespace nom::cli
