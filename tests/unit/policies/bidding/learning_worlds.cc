// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/policies/bidding/learning_worlds.h"

#include <algorithm>
#include <cstdlib>

#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

constexpr Utility kUtility{.kind = UtilityKind::kSimple};
constexpr int kChange = 4'000;  // The round in which worlds change that do.

// In thousandths, of mean 0 and deviation 1,000: the sum of twelve uniform numbers.
int64_t Normal(TestRandom& random) {
  int64_t sum = -6'000;
  for (int i = 0; i < 12; ++i) sum += random.Between(0, 1'000);
  return sum;
}

// A wave of so many rounds between -1,000 and 1,000, in straight lines.
int64_t Wave(int round, int period) {
  const int64_t place = int64_t{round % period} * 4'000 / period;
  return place < 1'000 ? place : place < 3'000 ? 2'000 - place : place - 4'000;
}

double Leaves(const Ability& ability, int64_t offered_kbps) {
  const Performance performance{.throughput_kbps = ability.capacity_kbps, .latency_ns = 100'000};
  return static_cast<double>(ValueOf(performance, kUtility, offered_kbps, kWorldRoundUs)) -
         static_cast<double>(ability.units) * static_cast<double>(kWorldUnitPrice[0]);
}

// What each setting can do as long as nothing changes.
std::vector<Ability> DrawSettings(uint64_t seed, int settings) {
  TestRandom random(seed);
  std::vector<Ability> drawn;
  for (int i = 0; i < settings; ++i) {
    drawn.push_back({random.Between(300'000, 1'000'000), random.Between(1, 8)});
  }
  return drawn;
}

int Place(const std::vector<Ability>& settings, bool best) {
  int place = 0;
  for (int i = 1; i < static_cast<int>(settings.size()); ++i) {
    const double here = Leaves(settings[static_cast<size_t>(i)], 1'000'000);
    const double there = Leaves(settings[static_cast<size_t>(place)], 1'000'000);
    if (best ? here > there : here < there) place = i;
  }
  return place;
}

// `change` makes of what a setting can do what it can do in a round.
World Changing(
    std::string name,
    std::function<Ability(const std::vector<Ability>& settings, int setting, int round)> change) {
  World world{.name = std::move(name)};
  world.make = [change = std::move(change)](uint64_t seed) {
    return [change, settings = DrawSettings(seed, 6)](int setting, int round) {
      return change(settings, setting, round);
    };
  };
  return world;
}

Ability Same(const std::vector<Ability>& settings, int setting, int) {
  return settings[static_cast<size_t>(setting)];
}

Ability Nothing(const Ability& ability) { return {0, ability.units}; }

// A small setting that serves the low load, and larger ones that are needed for the high one.
World WithLoads(std::string name, std::function<int64_t(int round)> offered_kbps) {
  World world{.name = std::move(name), .settings = 4};
  world.make = [](uint64_t seed) {
    TestRandom random(seed);
    const int64_t shift = random.Between(0, 3);
    return [shift](int setting, int) {
      constexpr Ability kLadder[] = {{220'000, 1}, {450'000, 3}, {700'000, 5}, {1'000'000, 7}};
      return kLadder[(setting + shift) % 4];
    };
  };
  world.offered_kbps = std::move(offered_kbps);
  return world;
}

}  // namespace

// What each setting truly leaves is counted, not what is measured.
Regret RegretIn(const World& world, uint64_t seed, const Learning& learning) {
  TestRandom random(seed * 7'919 + 17);
  const auto ability_of = world.make(seed);
  double best_sum = 0;
  double lost_sum = 0;
  double best_while_alive = 0;
  Regret regret;
  int without = 0;
  for (int round = 0; round < world.rounds; ++round) {
    const int64_t offered = world.offered_kbps(round);
    double best = 0;  // The seed alone leaves nothing and costs nothing.
    for (int i = 0; i < world.settings; ++i) {
      best = std::max(best, Leaves(ability_of(i, round), offered));
    }
    if (best > 0) best_while_alive = best;
    const int chosen = learning.choose(offered);
    double got = 0;
    if (chosen >= 0) {
      const Ability ability = ability_of(chosen, round);
      got = Leaves(ability, offered);
      const int64_t true_kbps = std::min(ability.capacity_kbps, offered);
      int64_t kbps = true_kbps + true_kbps * Normal(random) * world.noise_percent / 100'000;
      if (random.Between(0, 999) < world.lies_per_mille)
        kbps = random.OneIn(2) ? 0 : 10 * true_kbps;
      const Performance measured{.throughput_kbps = std::clamp<int64_t>(kbps, 0, offered),
                                 .latency_ns = 100'000,
                                 .jitter_ns = 10'000};
      const int64_t units[kPointResourcesMax] = {ability.units};
      learning.measured(chosen, offered, measured, units);
    }
    if (round < world.counted_from) continue;
    best_sum += best > 0 ? best : best_while_alive;
    lost_sum += best - got;
    without = best - got > 0.01 * best ? without + 1 : 0;
    regret.longest_without = std::max(regret.longest_without, without);
  }
  regret.percent = 100 * lost_sum / best_sum;
  return regret;
}

namespace {

Regret Mean(uint64_t first_seed, uint64_t seeds, const std::function<Regret(uint64_t)>& of) {
  Regret mean;
  for (uint64_t seed = first_seed; seed < first_seed + seeds; ++seed) {
    const Regret one = of(seed);
    mean.percent += one.percent / static_cast<double>(seeds);
    mean.longest_without = std::max(mean.longest_without, one.longest_without);
  }
  return mean;
}

}  // namespace

Regret RegretOfLearner(const World& world, uint64_t first_seed, uint64_t seeds) {
  return Mean(first_seed, seeds, [&](uint64_t seed) {
    std::vector<KnobEstimate> room(static_cast<size_t>(world.settings));
    KnobLearner learner(room.data(), world.settings, {});
    const int64_t units[kPointResourcesMax] = {1};
    for (int i = 0; i < world.settings; ++i) learner.Add(i, units);
    return RegretIn(
        world, seed,
        {[&](int64_t offered) {
           return learner.Choose(kUtility, kWorldUnitPrice, offered, kWorldRoundUs, nullptr);
         },
         [&](int setting, int64_t offered, const Performance& measured, const int64_t* took) {
           learner.Measured(setting, offered, measured, took);
         }});
  });
}

Regret RegretOfRoundRobin(const World& world, uint64_t first_seed, uint64_t seeds) {
  return Mean(first_seed, seeds, [&](uint64_t seed) {
    int next = 0;
    return RegretIn(world, seed,
                    {[&](int64_t) { return next++ % world.settings; },
                     [](int, int64_t, const Performance&, const int64_t*) {}});
  });
}

std::vector<World> LearningWorlds() {
  std::vector<World> worlds;
  worlds.push_back(Changing("nothing changes", &Same));
  worlds.push_back(Changing("nothing changes, no noise", &Same));
  worlds.back().noise_percent = 0;
  worlds.push_back(Changing("nothing changes, 30 % noise", &Same));
  worlds.back().noise_percent = 30;
  worlds.push_back(Changing("nothing works for the first 50 rounds",
                            [](const auto& settings, int setting, int round) {
                              const Ability& ability = settings[static_cast<size_t>(setting)];
                              return round < 50 ? Nothing(ability) : ability;
                            }));
  worlds.back().counted_from = 50;
  worlds.push_back(
      Changing("the best becomes the worst", [](const auto& settings, int setting, int round) {
        const Ability& ability = settings[static_cast<size_t>(setting)];
        return round >= kChange && setting == Place(settings, true) ? Nothing(ability) : ability;
      }));
  worlds.back().counted_from = kChange;
  worlds.push_back(
      Changing("the worst becomes the best", [](const auto& settings, int setting, int round) {
        const bool changes = round >= kChange && setting == Place(settings, false);
        return changes ? Ability{1'000'000, 1} : settings[static_cast<size_t>(setting)];
      }));
  worlds.back().counted_from = kChange;
  worlds.push_back(Changing(
      "each drifts up and down by a third", [](const auto& settings, int setting, int round) {
        // Each goes up and down by a third, at a pace of its own.
        Ability ability = settings[static_cast<size_t>(setting)];
        ability.capacity_kbps += ability.capacity_kbps * Wave(round, 2'000 + 500 * setting) / 3'000;
        return ability;
      }));
  worlds.push_back(Changing("one measurement in 20 is a lie", &Same));
  worlds.back().lies_per_mille = 50;
  worlds.push_back(Changing(
      "after 60 rounds in which nothing works", [](const auto& settings, int setting, int round) {
        const Ability& ability = settings[static_cast<size_t>(setting)];
        return round >= kChange && round < kChange + 60 ? Nothing(ability) : ability;
      }));
  worlds.back().counted_from = kChange + 60;
  worlds.push_back(
      Changing("nothing works any more", [](const auto& settings, int setting, int round) {
        const Ability& ability = settings[static_cast<size_t>(setting)];
        return round < kChange ? ability : Nothing(ability);
      }));
  worlds.back().counted_from = kChange;
  worlds.push_back(WithLoads("load high in 8 rounds of 16", [](int round) {
    return int64_t{round % 16 < 8 ? 200'000 : 1'000'000};
  }));
  worlds.push_back(WithLoads("load high in 1 round of 8", [](int round) {
    return int64_t{round % 8 == 0 ? 1'000'000 : 200'000};
  }));
  worlds.push_back(WithLoads("load high in 500 rounds of 1,000", [](int round) {
    return int64_t{round % 1'000 < 500 ? 200'000 : 1'000'000};
  }));
  worlds.push_back(WithLoads("load wanders between both",
                             [](int round) { return 600'000 + 400 * Wave(round, 700); }));
  return worlds;
}

const World& LearningWorld(const std::string& name) {
  static const std::vector<World>& worlds = *new std::vector<World>(LearningWorlds());
  const auto found = std::find_if(worlds.begin(), worlds.end(),
                                  [&](const World& world) { return world.name == name; });
  if (found == worlds.end()) std::abort();
  return *found;
}

}  // namespace nom::policies
