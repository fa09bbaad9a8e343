// SPDX-License-Identifier: Apache-2.0
#include "marketd/config/nomhv_host_config.h"

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace nom::marketd {
namespace {

using market::PcImage;

PcImage ReadPc(const YAML::Node& node, const std::string& path, YamlErrors* errors) {
  MapReader reader(node, path, errors);
  PcImage pc;
  bool whole = reader.String("name", Need::kRequired, &pc.name);
  whole &= reader.String("kernel", Need::kRequired, &pc.kernel);
  reader.String("initramfs", Need::kOptional, &pc.initramfs);
  reader.String("command_line", Need::kOptional, &pc.command_line);
  // How many there may be CheckPcImage knows.
  reader.Int("processors", Need::kOptional, INT64_MIN, INT64_MAX, &pc.processors);
  if (const absl::Status status = market::CheckPcImage(pc); whole && !status.ok()) {
    const std::pair<std::string, std::string> halves =
        absl::StrSplit(status.message(), absl::MaxSplits(": ", 1));
    reader.Complain(halves.first, halves.second);
  }
  reader.Finish();
  return pc;
}

}  // namespace

void ReadNomhvHost(MapReader& reader, YamlErrors* errors, market::NomhvHostOptions* options) {
  reader.String("mailbox", Need::kRequired, &options->mailbox_path);
  reader.String("image_directory", Need::kRequired, &options->image_directory);
  reader.String("doorbell_socket", Need::kOptional, &options->doorbell_socket);
  std::vector<YAML::Node> pcs;
  if (!reader.List("pcs", Need::kOptional, 0, &pcs)) return;
  std::set<std::string> names;
  for (size_t i = 0; i < pcs.size(); ++i) {
    const std::string path = absl::StrCat(reader.PathOf("pcs"), "[", i, "]");
    options->pcs.push_back(ReadPc(pcs[i], path, errors));
    const std::string& name = options->pcs.back().name;
    if (!name.empty() && !names.insert(name).second) {
      errors->Add(pcs[i]["name"].Mark(), path + ".name",
                  absl::StrCat("there already is one named ", name));
    }
  }
}

void RefuseNomhvHost(MapReader& reader) {
  std::string text;
  for (const char* key : {"mailbox", "image_directory", "doorbell_socket"}) {
    if (reader.String(key, Need::kOptional, &text)) reader.Complain(key, "only for kind nomhv");
  }
  std::vector<YAML::Node> nodes;
  if (reader.List("pcs", Need::kOptional, 0, &nodes)) reader.Complain("pcs", "only for kind nomhv");
}

}  // namespace nom::marketd
