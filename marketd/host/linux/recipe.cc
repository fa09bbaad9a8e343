// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/recipe.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace nom::market {
namespace {

bool IsRecipeName(const std::string& text) {
  return !text.empty() && text.size() <= 63 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
         });
}

// As systemd names its units, of the kinds that have processes. Those of the market itself hold up
// what would limit them.
absl::Status CheckUnit(const Recipe& recipe) {
  const std::string& unit = recipe.unit;
  const bool named =
      unit.size() <= 255 && std::all_of(unit.begin(), unit.end(), [](unsigned char c) {
        return absl::ascii_isalnum(c) || absl::StrContains(":_.\\@-", static_cast<char>(c));
      });
  if (!named || !(absl::EndsWith(unit, ".service") || absl::EndsWith(unit, ".scope")) ||
      unit[0] == '.') {
    return absl::InvalidArgumentError(
        absl::StrCat("unit: must be the name of a service or a scope, as postgresql.service, is \"",
                     unit, "\""));
  }
  if (absl::StartsWith(unit, "nom-") || unit == "init.scope") {
    return absl::InvalidArgumentError(
        absl::StrCat("unit: ", unit, " is what the market itself stands on"));
  }
  const Recipe nothing;
  if (!recipe.argv.empty() || recipe.arguments || !recipe.user.empty() || !recipe.root.empty() ||
      !recipe.directory.empty() || !recipe.output.empty() || recipe.network != nothing.network ||
      recipe.cpu != nothing.cpu || recipe.cpu_burst_us != 0 ||
      recipe.processes_max != nothing.processes_max) {
    return absl::InvalidArgumentError(
        "unit: runs already, as systemd was told; of the other keys only name and force are for "
        "it");
  }
  return absl::OkStatus();
}

// Absolute, without a step up: what it names lies where it says.
absl::Status CheckPath(absl::string_view key, const std::string& path) {
  if (path.empty() || path[0] != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat(key, ": must be an absolute path, is \"", path, "\""));
  }
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part == "..") {
      return absl::InvalidArgumentError(
          absl::StrCat(key, ": \"", path, "\" steps up with \"..\" and could lead elsewhere"));
    }
  }
  if (path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(key, ": has a zero byte in it"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRecipe(const Recipe& recipe) {
  if (!IsRecipeName(recipe.name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("name: must be 1 to 63 of a-z, 0-9 and -, is \"", recipe.name, "\""));
  }
  if (!recipe.unit.empty()) return CheckUnit(recipe);
  if (recipe.argv.empty()) return absl::InvalidArgumentError("argv: names no program");
  if (recipe.argv.size() > kRecipeArgvMax) {
    return absl::InvalidArgumentError(absl::StrCat("argv: has more than ", kRecipeArgvMax));
  }
  if (absl::Status status = CheckPath("argv[0]", recipe.argv[0]); !status.ok()) return status;
  for (const std::string& argument : recipe.argv) {
    if (argument.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError("argv: has a zero byte in it");
    }
  }
  if (recipe.user.empty()) return absl::InvalidArgumentError("user: is missing");
  if (recipe.user == "root" || recipe.user.find_first_not_of('0') == std::string::npos) {
    return absl::InvalidArgumentError("user: no guest runs as root");
  }
  for (const auto& [key, path] :
       {std::pair("root", &recipe.root), std::pair("directory", &recipe.directory),
        std::pair("output", &recipe.output)}) {
    if (path->empty()) continue;
    if (absl::Status status = CheckPath(key, *path); !status.ok()) return status;
  }
  if (recipe.cpu_burst_us < 0 || recipe.cpu_burst_us > kCpuBurstUsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("cpu_burst_us: must be from 0 to ", kCpuBurstUsMax));
  }
  if (recipe.processes_max < 1 || recipe.processes_max > kProcessesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("processes_max: must be from 1 to ", kProcessesMax));
  }
  return absl::OkStatus();
}

const Recipe* FindRecipe(const std::vector<Recipe>& recipes, const std::string& name) {
  auto it = std::find_if(recipes.begin(), recipes.end(),
                         [&name](const Recipe& recipe) { return recipe.name == name; });
  // No name of a recipe has a dot in it, and every name of a unit has.
  if (it == recipes.end() && !name.empty()) {
    it = std::find_if(recipes.begin(), recipes.end(),
                      [&name](const Recipe& recipe) { return recipe.unit == name; });
  }
  return it == recipes.end() ? nullptr : &*it;
}

}  // namespace nom::market
