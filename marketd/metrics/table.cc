// SPDX-License-Identifier: Apache-2.0
#include "marketd/metrics/table.h"

namespace nom::marketd {
namespace {

constexpr MetricRow kRows[] = {
#define NOM_X(id, name, type, labels, help) {name, MetricType::type, labels, help},
    NOM_METRICS(NOM_X)
#undef NOM_X
};

}  // namespace

absl::Span<const MetricRow> MetricTable() { return kRows; }

const MetricRow& RowOf(Metric metric) { return kRows[static_cast<size_t>(metric)]; }

}  // namespace nom::marketd
