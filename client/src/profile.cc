// SPDX-License-Identifier: Apache-2.0
#include "nom/profile.h"

#include <charconv>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/src/measured.h"
#include "client/src/resource_units.h"
#include "policies/bidding/learning.h"
#include "policies/bidding/profile.h"

namespace nom {
namespace {

// Knob, load and performance; then what it needs.
constexpr size_t kNumbersInLine = 5;

absl::StatusOr<policies::ProfilePoint> ToWhole(const ProfilePoint& point, absl::string_view where) {
  const absl::StatusOr<int64_t> load =
      client::ToKbps(point.load_mbps, absl::StrCat(where, "load_mbps"));
  if (!load.ok()) return load.status();
  const absl::StatusOr<policies::Performance> performance =
      client::ToWhole(point.performance, absl::StrCat(where, "performance."));
  if (!performance.ok()) return performance.status();
  const absl::StatusOr<client::ResourceRow> units =
      client::ToRow(point.units, absl::StrCat(where, "units"));
  if (!units.ok()) return units.status();
  policies::ProfilePoint whole{.knob = point.knob, .load_kbps = *load, .performance = *performance};
  std::copy(units->begin(), units->end(), std::begin(whole.units));
  return whole;
}

ProfilePoint FromWhole(const policies::ProfilePoint& whole) {
  return {.knob = whole.knob,
          .load_mbps = client::FromWhole({.throughput_kbps = whole.load_kbps}).throughput_mbps,
          .performance = client::FromWhole(whole.performance),
          .units = client::FromRow(whole.units)};
}

// A load and a round as policies/bidding takes them, and a table to fill.
struct Today {
  policies::Utility utility;
  int64_t offered_kbps = 0;
  int64_t round_us = 0;
};

absl::StatusOr<Today> ToWhole(const Utility& utility, double offered_mbps, absl::Duration round) {
  const absl::StatusOr<policies::Utility> whole = client::ToWhole(utility);
  if (!whole.ok()) return whole.status();
  const absl::StatusOr<int64_t> offered = client::ToKbps(offered_mbps, "offered_mbps");
  if (!offered.ok()) return offered.status();
  const absl::StatusOr<int64_t> round_us = client::ToRoundUs(round);
  if (!round_us.ok()) return round_us.status();
  return Today{*whole, *offered, *round_us};
}

// What `fill` puts into a table with room for so many points. Its errors cannot be: everything has
// been checked but the number of points.
template <typename Fill>
absl::StatusOr<std::vector<WorkingPoint>> Filled(size_t points, const Fill& fill) {
  if (points > static_cast<size_t>(policies::kWorkingPointsMax)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "profile: ", points, " points are too many, at most ", policies::kWorkingPointsMax));
  }
  std::vector<policies::PointBlock> blocks(
      static_cast<size_t>(policies::PointBlocksFor(static_cast<int>(points))));
  policies::WorkingPointTable table(blocks.data(), static_cast<int>(blocks.size()));
  if (fill(table) != policies::PointError::kOk) {
    return absl::InternalError("profile: a checked point was refused");
  }
  std::vector<WorkingPoint> worth;
  for (int i = 0; i < table.count(); ++i) {
    const policies::WorkingPoint point = table.point(i);
    worth.push_back({.knob = point.knob,
                     .units = client::FromRow(point.units),
                     .value_microcredits = point.value_microcredits});
  }
  return worth;
}

std::string Shortest(double number) {
  char text[32];
  return {text, std::to_chars(std::begin(text), std::end(text), number).ptr};
}

absl::StatusOr<ProfilePoint> ParseLine(absl::string_view line) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
  ProfilePoint point;
  double* const numbers[kNumbersInLine] = {
      nullptr, &point.load_mbps, &point.performance.throughput_mbps, &point.performance.latency_us,
      &point.performance.jitter_us};
  if (words.size() < kNumbersInLine) {
    return absl::InvalidArgumentError("wants knob, load, throughput, latency and jitter");
  }
  if (!absl::SimpleAtoi(words[0], &point.knob)) {
    return absl::InvalidArgumentError(absl::StrCat("knob: ", words[0], " is no whole number"));
  }
  for (size_t i = 1; i < kNumbersInLine; ++i) {
    if (!absl::SimpleAtod(words[i], numbers[i])) {
      return absl::InvalidArgumentError(absl::StrCat(words[i], " is no number"));
    }
  }
  for (size_t i = kNumbersInLine; i < words.size(); ++i) {
    const std::pair<absl::string_view, absl::string_view> need =
        absl::StrSplit(words[i], absl::MaxSplits('=', 1));
    const std::optional<Resource> resource = ParseResource(need.first);
    int64_t units = 0;
    if (!resource || !absl::SimpleAtoi(need.second, &units)) {
      return absl::InvalidArgumentError(absl::StrCat(words[i], " is not as cpu=40"));
    }
    if (!point.units.emplace(*resource, units).second) {
      return absl::InvalidArgumentError(absl::StrCat(need.first, ": given twice"));
    }
  }
  if (const auto whole = ToWhole(point, ""); !whole.ok()) return whole.status();
  return point;
}

}  // namespace

absl::StatusOr<std::vector<WorkingPoint>> WorkingPointsAt(const std::vector<ProfilePoint>& profile,
                                                          const Utility& utility,
                                                          double offered_mbps,
                                                          absl::Duration round) {
  const absl::StatusOr<Today> today = ToWhole(utility, offered_mbps, round);
  if (!today.ok()) return today.status();
  std::vector<policies::ProfilePoint> whole;
  for (size_t i = 0; i < profile.size(); ++i) {
    const absl::StatusOr<policies::ProfilePoint> point =
        ToWhole(profile[i], absl::StrCat("profile[", i, "]."));
    if (!point.ok()) return point.status();
    whole.push_back(*point);
  }
  return Filled(whole.size(), [&](policies::WorkingPointTable& table) {
    return policies::FillTable(whole.data(), static_cast<int>(whole.size()), today->utility,
                               today->offered_kbps, today->round_us, table);
  });
}

absl::StatusOr<std::vector<ProfilePoint>> ParseProfile(absl::string_view text) {
  std::vector<ProfilePoint> profile;
  size_t number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    absl::StatusOr<ProfilePoint> point = ParseLine(line);
    if (!point.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, ": ", point.status().message()));
    }
    profile.push_back(*std::move(point));
  }
  return profile;
}

std::string FormatProfile(const std::vector<ProfilePoint>& profile) {
  std::string text = "# knob load_mbps throughput_mbps latency_us jitter_us, resource=units\n";
  for (const ProfilePoint& point : profile) {
    absl::StrAppend(&text, point.knob, " ", Shortest(point.load_mbps), " ",
                    Shortest(point.performance.throughput_mbps), " ",
                    Shortest(point.performance.latency_us), " ",
                    Shortest(point.performance.jitter_us));
    for (const auto& [resource, units] : point.units) {
      absl::StrAppend(&text, " ", ResourceName(resource), "=", units);
    }
    text += '\n';
  }
  return text;
}

class KnobLearner::Impl {
 public:
  Impl(size_t settings, const policies::LearningOptions& options)
      : room(settings), learner(room.data(), static_cast<int>(settings), options) {}

  std::vector<policies::KnobEstimate> room;
  policies::KnobLearner learner;
};

absl::StatusOr<KnobLearner> KnobLearner::Create(const std::vector<KnobSetting>& settings,
                                                const LearningOptions& options) {
  if (settings.size() > static_cast<size_t>(policies::kWorkingPointsMax)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "settings: ", settings.size(), " are too many, at most ", policies::kWorkingPointsMax));
  }
  const policies::LearningOptions whole{.explore_one_in = options.explore_one_in,
                                        .load_moved_percent = options.load_moved_percent,
                                        .samples_max = options.samples_max,
                                        .half_life_rounds = options.half_life_rounds,
                                        .noise_percent = options.noise_percent};
  if (const char* field = policies::WrongField(whole); field != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": out of range"));
  }
  auto impl = std::make_unique<Impl>(settings.size(), whole);
  for (size_t i = 0; i < settings.size(); ++i) {
    const absl::StatusOr<client::ResourceRow> units =
        client::ToRow(settings[i].units, absl::StrCat("settings[", i, "].units"));
    if (!units.ok()) return units.status();
    impl->learner.Add(settings[i].knob, units->data());
  }
  return KnobLearner(std::move(impl));
}

KnobLearner::KnobLearner(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KnobLearner::KnobLearner(KnobLearner&&) noexcept = default;
KnobLearner& KnobLearner::operator=(KnobLearner&&) noexcept = default;
KnobLearner::~KnobLearner() = default;

absl::StatusOr<std::optional<size_t>> KnobLearner::Choose(
    const Utility& utility, const Prices& prices, double offered_mbps, absl::Duration round,
    const std::optional<std::map<Resource, int64_t>>& held) {
  const absl::StatusOr<Today> today = ToWhole(utility, offered_mbps, round);
  if (!today.ok()) return today.status();
  client::ResourceRow held_row = {};
  if (held) {
    const absl::StatusOr<client::ResourceRow> row = client::ToRow(*held, "held");
    if (!row.ok()) return row.status();
    held_row = *row;
  }
  const int chosen =
      impl_->learner.Choose(today->utility, client::PriceRow(prices).data(), today->offered_kbps,
                            today->round_us, held ? held_row.data() : nullptr);
  if (chosen < 0) return std::optional<size_t>();
  return std::optional<size_t>(static_cast<size_t>(chosen));
}

absl::Status KnobLearner::Measured(size_t index, double offered_mbps,
                                   const Performance& performance,
                                   const std::map<Resource, int64_t>& units) {
  if (index >= static_cast<size_t>(impl_->learner.count())) {
    return absl::InvalidArgumentError(absl::StrCat("index: there is no setting ", index));
  }
  const absl::StatusOr<policies::ProfilePoint> measured =
      ToWhole({.load_mbps = offered_mbps, .performance = performance, .units = units}, "");
  if (!measured.ok()) return measured.status();
  impl_->learner.Measured(static_cast<int>(index), measured->load_kbps, measured->performance,
                          measured->units);
  return absl::OkStatus();
}

std::vector<ProfilePoint> KnobLearner::Estimates() const {
  std::vector<ProfilePoint> known;
  for (int i = 0; i < impl_->learner.count(); ++i) {
    if (!impl_->learner.Known(i)) continue;
    known.push_back(FromWhole(impl_->learner.Estimate(i, impl_->learner.LastLoadKbps(i))));
  }
  return known;
}

absl::StatusOr<std::vector<WorkingPoint>> KnobLearner::WorkingPointsAt(const Utility& utility,
                                                                       double offered_mbps,
                                                                       absl::Duration round) const {
  const absl::StatusOr<Today> today = ToWhole(utility, offered_mbps, round);
  if (!today.ok()) return today.status();
  return Filled(impl_->room.size(), [&](policies::WorkingPointTable& table) {
    return policies::FillTable(impl_->learner, today->utility, today->offered_kbps, today->round_us,
                               table);
  });
}

}  // namespace nom
