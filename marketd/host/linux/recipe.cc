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
  const auto it = std::find_if(recipes.begin(), recipes.end(),
                               [&name](const Recipe& recipe) { return recipe.name == name; });
  return it == recipes.end() ? nullptr : &*it;
}

}  // namespace nom::market
