// SPDX-License-Identifier: Apache-2.0
#include "marketd/config/linux_host_config.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "policies/units/quantity.h"

namespace nom::marketd {
namespace {

using market::Recipe;

constexpr int64_t kShrinkMsMax = 600'000;
constexpr int64_t kMbitsMax = 1'000'000;
constexpr int64_t kRequestBytesMin = 512;
constexpr int64_t kRequestBytesMax = 16 << 20;

void ReadPath(MapReader& reader, const std::string& key, std::string* out) {
  if (!reader.String(key, Need::kRequired, out)) return;
  if ((*out)[0] != '/') {
    reader.Complain(key, absl::StrCat("must be an absolute path, is \"", *out, "\""));
  } else if (out->size() > 1 && out->back() == '/') {
    reader.Complain(key, "must not end with /");
  }
}

void ReadQuantity(MapReader& reader, const std::string& key, policies::Measure measure,
                  int64_t* out, Need need = Need::kOptional) {
  std::string text;
  if (!reader.String(key, need, &text)) return;
  const absl::StatusOr<int64_t> amount = policies::ParseQuantity(text, measure);
  if (amount.ok()) {
    *out = *amount;
  } else {
    reader.Complain(key, amount.status().message());
  }
}

template <typename Enum>
void ReadChoice(MapReader& reader, const std::string& key, const std::vector<std::string>& names,
                Enum* out) {
  size_t choice = 0;
  if (reader.OneOf(key, Need::kOptional, names, &choice)) *out = static_cast<Enum>(choice);
}

Recipe ReadRecipe(const YAML::Node& node, const std::string& path, YamlErrors* errors) {
  MapReader reader(node, path, errors);
  Recipe recipe;
  bool whole = reader.String("name", Need::kRequired, &recipe.name);
  reader.String("unit", Need::kOptional, &recipe.unit);
  const Need for_programs = recipe.unit.empty() ? Need::kRequired : Need::kOptional;
  std::vector<YAML::Node> argv;
  whole &= reader.List("argv", for_programs, 1, &argv) || !recipe.unit.empty();
  for (size_t i = 0; i < argv.size(); ++i) {
    if (argv[i].IsScalar()) {
      recipe.argv.push_back(argv[i].Scalar());
    } else {
      errors->Add(argv[i].Mark(), absl::StrCat(reader.PathOf("argv"), "[", i, "]"),
                  "must be a text");
      whole = false;
    }
  }
  whole &= reader.String("user", for_programs, &recipe.user) || !recipe.unit.empty();
  reader.Bool("arguments", Need::kOptional, &recipe.arguments);
  reader.String("root", Need::kOptional, &recipe.root);
  reader.String("directory", Need::kOptional, &recipe.directory);
  reader.String("output", Need::kOptional, &recipe.output);
  // In the order of the enums.
  ReadChoice(reader, "force", {"kill", "swap"}, &recipe.force);
  ReadChoice(reader, "cpu", {"granted", "idle"}, &recipe.cpu);
  ReadChoice(reader, "network", {"host", "none", "own"}, &recipe.network);
  reader.Int("cpu_burst_us", Need::kOptional, 0, market::kCpuBurstUsMax, &recipe.cpu_burst_us);
  reader.Int("processes_max", Need::kOptional, 1, market::kProcessesMax, &recipe.processes_max);
  if (const absl::Status status = market::CheckRecipe(recipe); whole && !status.ok()) {
    // "key: what", the key being one of ours or an element of argv.
    const std::pair<std::string, std::string> halves =
        absl::StrSplit(status.message(), absl::MaxSplits(": ", 1));
    const std::pair<std::string, std::string> key =
        absl::StrSplit(halves.first, absl::MaxSplits('[', 1));
    reader.Complain(key.first, halves.second);
  }
  reader.Finish();
  return recipe;
}

void ReadDisk(MapReader& host, YamlErrors* errors, market::DiskOptions* disk) {
  YAML::Node node;
  if (!host.Map("disk", Need::kOptional, &node)) return;
  MapReader reader(node, host.PathOf("disk"), errors);
  ReadPath(reader, "device", &disk->device);
  ReadQuantity(reader, "rate", policies::Measure::kRequestsPerSecond, &disk->iops, Need::kRequired);
  ReadQuantity(reader, "request", policies::Measure::kBytes, &disk->request_bytes);
  if (disk->request_bytes < kRequestBytesMin || disk->request_bytes > kRequestBytesMax) {
    reader.Complain("request", "must be from 512 B to 16 MiB");
  }
  reader.Finish();
}

void ReadNetwork(MapReader& host, YamlErrors* errors, market::NetworkOptions* network) {
  YAML::Node node;
  if (!host.Map("network", Need::kOptional, &node)) return;
  MapReader reader(node, host.PathOf("network"), errors);
  std::string addresses;
  if (reader.String("addresses", Need::kRequired, &addresses)) {
    const absl::Status status = market::ParseAddresses(addresses, network);
    if (!status.ok()) reader.Complain("addresses", status.message());
  }
  ReadQuantity(reader, "rate", policies::Measure::kMegabitsPerSecond, &network->mbits,
               Need::kRequired);
  if (network->mbits > kMbitsMax) reader.Complain("rate", "must be at most 1 Tbit/s");
  reader.Finish();
}

}  // namespace

void CheckLinuxResources(MapReader& reader, const market::LinuxHostOptions& options,
                         absl::Span<const market::Resource> resources) {
  for (const market::Resource& resource : resources) {
    if (resource.kind == market::ResourceKind::kDisk && options.disk.device.empty()) {
      reader.Complain("disk", "missing: resources sell disk; say which, and how much of it");
    }
    if (resource.kind == market::ResourceKind::kNetwork && options.network.prefix == 0) {
      reader.Complain("network", "missing: resources sell network; say addresses and rate");
    }
  }
}

void ReadLinuxHost(MapReader& reader, YamlErrors* errors, market::LinuxHostOptions* options) {
  ReadPath(reader, "cgroup_root", &options->cgroup_root);
  ReadPath(reader, "run_directory", &options->run_directory);
  ReadPath(reader, "launcher_socket", &options->launcher_socket);
  ReadQuantity(reader, "cpu_unsold", policies::Measure::kMillicores,
               &options->cpu_unsold_millicores);
  ReadQuantity(reader, "memory_unsold", policies::Measure::kBytes, &options->memory_unsold_bytes);
  ReadDisk(reader, errors, &options->disk);
  ReadNetwork(reader, errors, &options->network);
  int64_t shrink_ms = absl::ToInt64Milliseconds(options->shrink_timeout);
  reader.Int("shrink_ms", Need::kOptional, 1, kShrinkMsMax, &shrink_ms);
  options->shrink_timeout = absl::Milliseconds(shrink_ms);

  std::vector<YAML::Node> recipes;
  reader.List("recipes", Need::kRequired, 1, &recipes);
  if (recipes.size() > market::kRecipesMax) {
    reader.Complain("recipes", absl::StrCat("are more than ", market::kRecipesMax));
  }
  std::set<std::string> names;
  for (size_t i = 0; i < recipes.size(); ++i) {
    const std::string path = absl::StrCat(reader.PathOf("recipes"), "[", i, "]");
    options->recipes.push_back(ReadRecipe(recipes[i], path, errors));
    const std::string& name = options->recipes.back().name;
    if (!name.empty() && !names.insert(name).second) {
      errors->Add(recipes[i].Mark(), path + ".name",
                  absl::StrCat("another recipe is already called \"", name, "\""));
    }
  }
}

void RefuseLinuxHost(MapReader& reader) {
  std::string text;
  for (const char* key :
       {"cgroup_root", "run_directory", "launcher_socket", "cpu_unsold", "memory_unsold"}) {
    if (reader.String(key, Need::kOptional, &text)) reader.Complain(key, "only for kind linux");
  }
  YAML::Node map;
  for (const char* key : {"disk", "network"}) {
    if (reader.Map(key, Need::kOptional, &map)) reader.Complain(key, "only for kind linux");
  }
  int64_t number = 0;
  if (reader.Int("shrink_ms", Need::kOptional, 1, kShrinkMsMax, &number)) {
    reader.Complain("shrink_ms", "only for kind linux");
  }
  std::vector<YAML::Node> nodes;
  if (reader.List("recipes", Need::kOptional, 0, &nodes)) {
    reader.Complain("recipes", "only for kind linux");
  }
}

}  // namespace nom::marketd
