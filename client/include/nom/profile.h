// SPDX-License-Identifier: Apache-2.0
// How a program performs at each setting of its knobs: measured beforehand and kept as text, or
// learned while it runs. From a profile, a utility and today's load come working points for
// PlanWork (adviser.h).
//
//   auto profile = nom::ParseProfile(text);
//   auto points = nom::WorkingPointsAt(*profile, utility, offered_mbps, absl::Seconds(60));
//   auto plan = nom::PlanWork(*points, session->prices());
//
// Numbers that are not numbers, or out of range, are INVALID_ARGUMENT that names the field.

#ifndef NOM_PROFILE_H_
#define NOM_PROFILE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "nom/adviser.h"
#include "nom/types.h"
#include "nom/utility.h"

namespace nom {

struct ProfilePoint {
  int64_t knob = 0;  // The program's own name for the setting.
  // What was offered when this was measured: the same few loads for all knobs; 0 everywhere if the
  // load makes no difference but to how much is asked for.
  double load_mbps = 0;
  Performance performance;
  std::map<Resource, int64_t> units = {};  // Beyond the seed.
};

// What each setting is worth for one round with so much offered; settings that another one beats in
// all respects are left out. The measurements at the smallest load not below `offered_mbps` count,
// or if there is none, those at the largest. Pure.
absl::StatusOr<std::vector<WorkingPoint>> WorkingPointsAt(const std::vector<ProfilePoint>& profile,
                                                          const Utility& utility,
                                                          double offered_mbps,
                                                          absl::Duration round);

// One point a line: knob, load, throughput (Mbit/s), latency, jitter (us), and what it needs:
//   14 0 320 77 9 cpu=40 memory=12
// Blank lines, and what follows a '#', are ignored. FormatProfile writes the same, after a line
// that names the columns; what it writes is read back as it was. Errors name the line.
absl::StatusOr<std::vector<ProfilePoint>> ParseProfile(absl::string_view text);
std::string FormatProfile(const std::vector<ProfilePoint>& profile);

// One way to set the knobs, of which nothing is known but that so much is enough for it.
struct KnobSetting {
  int64_t knob = 0;
  std::map<Resource, int64_t> units = {};  // Beyond the seed.
};

struct LearningOptions {
  int explore_one_in = 8;       // At most one choice in so many tries something. At least 2.
  int load_moved_percent = 25;  // What was measured at a load that is further off does not count.
  int samples_max = 16;         // The last so many of a setting at one load count. 1 to 16.
  int half_life_rounds = 0;     // Then a measurement counts half; 0: 32 for each setting.
  int noise_percent = 10;       // How far apart measurements of one setting lie. 1 to 100.
};

// Learns while running, in a world that changes: nothing is given up for good, and no outlier
// believed. See policies/bidding/learning.h for how. 2 KB for each setting. Moves, but is not
// copied. One thread.
class KnobLearner {
 public:
  // Errors: INVALID_ARGUMENT; at most 4,096 settings.
  static absl::StatusOr<KnobLearner> Create(const std::vector<KnobSetting>& settings,
                                            const LearningOptions& options = {});
  KnobLearner(KnobLearner&&) noexcept;
  KnobLearner& operator=(KnobLearner&&) noexcept;
  ~KnobLearner();

  // The setting to run next, by its index in `settings`: most often the one that leaves the most at
  // these prices by what is known. Settings that need more than `held` (beyond the seed; a resource
  // that is not named: none), or what is not on sale, are left out; nullopt: none is. No setting:
  // run on the seed.
  absl::StatusOr<std::optional<size_t>> Choose(
      const Utility& utility, const Prices& prices, double offered_mbps, absl::Duration round,
      const std::optional<std::map<Resource, int64_t>>& held = std::nullopt);

  // What came of a round at this setting.
  absl::Status Measured(size_t index, double offered_mbps, const Performance& performance,
                        const std::map<Resource, int64_t>& units);

  // What is believed of all settings that were ever measured, each at its last load.
  std::vector<ProfilePoint> Estimates() const;
  // What they are worth for today's load.
  absl::StatusOr<std::vector<WorkingPoint>> WorkingPointsAt(const Utility& utility,
                                                            double offered_mbps,
                                                            absl::Duration round) const;

 private:
  class Impl;
  explicit KnobLearner(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace nom

#endif  // NOM_PROFILE_H_
