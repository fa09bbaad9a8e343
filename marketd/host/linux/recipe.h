// SPDX-License-Identifier: Apache-2.0
// What an operator lets run as a guest: checked by the config, obeyed by the launcher.
//
// A recipe starts a program, or it names a unit of systemd that runs already and is adopted: its
// processes stay where they are, and its limits become what it holds.

#ifndef MARKETD_HOST_LINUX_RECIPE_H_
#define MARKETD_HOST_LINUX_RECIPE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace nom::market {

// A guest's image names its recipe. No part of it comes from a tenant but what `arguments` allows.
struct Recipe {
  // What becomes of a guest that keeps more memory than it holds past the deadline, when the kernel
  // finds nothing more to reclaim.
  enum class Force : uint8_t {
    kKill,  // The whole guest ends, and only it.
    kSwap,  // The rest is swapped out; the machine must have swap, such as zram.
  };
  // What of the processor a guest may use beyond its seed while it has won none.
  enum class Cpu : uint8_t {
    kGranted,  // Nothing: seed and award are a limit, also on an idle machine.
    kIdle,     // What all others leave.
  };
  enum class Network : uint8_t {
    kHost,  // The machine's own interfaces.
    kNone,  // A network namespace of its own with nothing in it.
    kOwn,   // The same with an interface, at the rate that it holds; where network is sold.
  };

  std::string name;  // [a-z0-9-]{1,63}
  // Of a unit to adopt, such as postgresql.service; then nothing else but `name` and `force` is
  // said. Empty: a program to start.
  std::string unit;
  std::vector<std::string> argv;  // argv[0] is an absolute path below `root`.
  // Whether the guest's own arguments are put behind argv, split at blanks. Otherwise it has none.
  bool arguments = false;
  std::string user;       // By name or number; never root.
  std::string root;       // Where its / is; empty: the machine's.
  std::string directory;  // Where it starts, below `root`; empty: /.
  std::string output;     // A file for its output, appended to; empty: thrown away.
  Network network = Network::kHost;
  Force force = Force::kKill;
  Cpu cpu = Cpu::kGranted;
  // How far above its share of one period of 100 ms a guest may go with what it has saved up, in
  // microseconds of processor time; cut down to one period's grant. 0: not at all.
  int64_t cpu_burst_us = 0;
  int64_t processes_max = 512;  // Threads included.
};

inline constexpr size_t kRecipesMax = 256;
inline constexpr size_t kRecipeArgvMax = 64;
inline constexpr int64_t kCpuBurstUsMax = 100'000 * int64_t{64};
inline constexpr int64_t kProcessesMax = 32'768;

// INVALID_ARGUMENT with the key that is wrong in front: "argv: ...".
absl::Status CheckRecipe(const Recipe& recipe);

// By its name, or by the unit that it adopts. Null if there is none.
const Recipe* FindRecipe(const std::vector<Recipe>& recipes, const std::string& name);

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_RECIPE_H_
