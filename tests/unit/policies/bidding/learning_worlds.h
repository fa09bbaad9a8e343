// SPDX-License-Identifier: Apache-2.0
// Worlds to learn in, and what a learner loses in them: the figures of policies/README.md.
//
// A world says what each setting would deliver in each round. Every round a setting is chosen, what
// it truly leaves after paying is counted, and what is measured (with noise, or lies) is handed
// back. Regret is what the best setting of each round would have left besides, as a share of that.

#ifndef NOM_TESTS_UNIT_POLICIES_BIDDING_LEARNING_WORLDS_H_
#define NOM_TESTS_UNIT_POLICIES_BIDDING_LEARNING_WORLDS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "policies/bidding/learning.h"

namespace nom::policies {

// What a setting can do in one round.
struct Ability {
  int64_t capacity_kbps = 0;
  int64_t units = 0;  // Of resource 0.
};

struct World {
  std::string name;
  int settings = 6;
  int rounds = 8'000;
  int counted_from = 0;    // Regret is that of the rounds from here on.
  int noise_percent = 10;  // The standard deviation of what is measured.
  // So many in 1,000 measurements are lies: nothing, or ten times what was delivered.
  int lies_per_mille = 0;
  // By seed: worlds of one kind differ in which setting is how good.
  std::function<std::function<Ability(int setting, int round)>(uint64_t seed)> make;
  std::function<int64_t(int round)> offered_kbps = [](int) { return int64_t{1'000'000}; };
};

// Chooses a setting (-1: the seed alone), then is told what came of it.
struct Learning {
  std::function<int(int64_t offered_kbps)> choose;
  std::function<void(int setting, int64_t offered_kbps, const Performance& measured,
                     const int64_t* units)>
      measured;
};

struct Regret {
  double percent = 0;       // Of what the best leaves; of what it last left if the best is nothing.
  int longest_without = 0;  // The most rounds in a row that the best setting was not chosen.
};

inline constexpr Microcredits kWorldUnitPrice[kPointResourcesMax] = {500'000};
inline constexpr int64_t kWorldRoundUs = 1'000'000;

Regret RegretIn(const World& world, uint64_t seed, const Learning& learning);
// Means over seeds from `first_seed` on.
Regret RegretOfLearner(const World& world, uint64_t first_seed, uint64_t seeds);
Regret RegretOfRoundRobin(const World& world, uint64_t first_seed, uint64_t seeds);

// All that the README's table shows, and the tests hold to limits.
std::vector<World> LearningWorlds();
const World& LearningWorld(const std::string& name);

}  // namespace nom::policies

#endif  // NOM_TESTS_UNIT_POLICIES_BIDDING_LEARNING_WORLDS_H_
