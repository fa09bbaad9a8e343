// SPDX-License-Identifier: Apache-2.0
#include "client/cli/host_init.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "policies/units/quantity.h"

namespace nom::cli {
namespace {

using policies::FormatQuantity;
using policies::Measure;

std::string ReadWhole(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

bool IsThere(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

constexpr char kBootV2[] =
    "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line";

std::string Missing(const MachineSight& machine, const std::string& controller) {
  switch (machine.cgroups) {
    case MachineSight::Cgroups::kNone:
      return "no cgroups at /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup";
    case MachineSight::Cgroups::kV1:
      return absl::StrCat("cgroup v1 cannot take memory back; ", kBootV2);
    case MachineSight::Cgroups::kHybrid:
      return absl::StrCat("a hybrid of cgroup v1 and v2 gives its controllers to v1; ", kBootV2);
    case MachineSight::Cgroups::kV2:
      break;
  }
  if (machine.controllers.contains(controller)) return "";
  return controller == "memory"
             ? "the kernel has no memory controller; boot with cgroup_enable=memory"
             : absl::StrCat("the kernel has no ", controller,
                            " controller; it needs another kernel");
}

}  // namespace

MachineSight LookAtMachine(const std::string& root) {
  MachineSight machine;
  const std::string cgroups = root + "/sys/fs/cgroup";
  if (IsThere(cgroups + "/cgroup.controllers")) {
    machine.cgroups = MachineSight::Cgroups::kV2;
    const std::string text = ReadWhole(cgroups + "/cgroup.controllers");
    machine.controllers = absl::StrSplit(absl::StripAsciiWhitespace(text), ' ', absl::SkipEmpty());
  } else if (IsThere(cgroups + "/unified")) {
    machine.cgroups = MachineSight::Cgroups::kHybrid;
  } else if (IsThere(cgroups + "/memory")) {
    machine.cgroups = MachineSight::Cgroups::kV1;
  }
  machine.systemd = IsThere(root + "/run/systemd/system");
  machine.resctrl = IsThere(root + "/sys/fs/resctrl/schemata");
  const std::string stat = ReadWhole(root + "/proc/stat");
  for (const absl::string_view line : absl::StrSplit(stat, '\n')) {
    machine.processors += absl::StartsWith(line, "cpu") && line.size() > 3 &&
                          absl::ascii_isdigit(static_cast<unsigned char>(line[3]));
  }
  const std::string memory = ReadWhole(root + "/proc/meminfo");
  for (const absl::string_view line : absl::StrSplit(memory, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    int64_t kib = 0;
    if (words.size() < 2 || !absl::SimpleAtoi(words[1], &kib)) continue;
    if (words[0] == "MemTotal:") machine.memory_bytes = kib * 1024;
    if (words[0] == "SwapTotal:") machine.swap_bytes = kib * 1024;
  }
  return machine;
}

bool CanSell(const MachineSight& machine) {
  return machine.cgroups == MachineSight::Cgroups::kV2 && machine.controllers.contains("cpu") &&
         machine.controllers.contains("memory") && machine.controllers.contains("pids");
}

std::vector<SaleRow> SaleRows(const MachineSight& machine) {
  const auto controlled = [&machine](const std::string& what, const std::string& controller,
                                     const std::string& amount, const std::string& how) {
    const std::string missing = Missing(machine, controller);
    return SaleRow{what, missing.empty(), amount, missing.empty() ? how : missing};
  };
  std::vector<SaleRow> rows;
  rows.push_back(controlled("cpu", "cpu",
                            FormatQuantity(machine.processors * 1000, Measure::kMillicores),
                            "cpu.max; 50m of each processor are the kernel's"));
  rows.push_back(controlled("memory", "memory",
                            FormatQuantity(machine.memory_bytes >> 20 << 20, Measure::kBytes),
                            "memory.min for seeds, memory.max for grants; an eighth is the "
                            "kernel's"));
  rows.push_back(controlled("processes", "pids", "", "pids.max of each recipe; not sold"));
  rows.push_back({"swap", machine.swap_bytes > 0,
                  FormatQuantity(machine.swap_bytes >> 20 << 20, Measure::kBytes),
                  machine.swap_bytes > 0
                      ? "recipes may say force: swap"
                      : "none: what keeps memory that it no longer holds is ended; "
                        "zram would do"});
  rows.push_back(controlled("disk", "io", "",
                            "io.max; the config says which disk and how much of it (disk:)"));
  rows.push_back({"network", CanSell(machine), "",
                  "htb both ways, by nom-launcher; the config says addresses and how much "
                  "(network:)"});
  for (const char* resource : {"cache", "device"}) {
    rows.push_back({resource, false, "", "not sold on Linux hosts yet"});
  }
  rows.push_back({"systemd", machine.systemd, "",
                  machine.systemd
                      ? "nom-holder.service owns the tree of cgroups"
                      : "not running: start nom-hold, nom-launcher and marketd yourself"});
  return rows;
}

std::string HostConfigText(const MachineSight& machine, const std::string& host_id) {
  // Units small enough for a seed, and not more of them than an auction is quick with.
  int64_t memory_unit = 1 << 20;
  while (machine.memory_bytes / memory_unit > 4096) memory_unit *= 2;
  return absl::StrCat(
      "# Written by nomctl host init. Every key is explained in marketd.yaml of the "
      "documentation;\n"
      "# try a change with: marketd --check --config /etc/nom/marketd.yaml\n"
      "listen: 127.0.0.1:7070\n"
      "plaintext: true\n"
      "metrics_listen: 127.0.0.1:9464\n"
      "ledger: /var/lib/nom/market.sqlite\n"
      "operator_token_file: /etc/nom/operator.token\n"
      "hosts:\n"
      "  - id: ",
      host_id,
      "\n"
      "    kind: linux\n"
      "    cgroup_root: /sys/fs/cgroup/nom.slice/nom-holder.service/guests\n"
      "    run_directory: /run/nom/linux\n"
      "    launcher_socket: /run/nom-launcher/socket\n"
      "    period_ms: 60000\n"
      "    recipes:\n"
      "      # All that can be run here. A tenant names a recipe and nothing else.\n"
      "      - name: command\n"
      "        argv: [/usr/bin/env]\n"
      "        arguments: true\n"
      "        user: nobody\n"
      "        directory: /tmp\n"
      "    resources:\n"
      "      - kind: cpu\n"
      "        unit_size: 10\n"
      "        rule: uniform_price/1\n"
      "        reserve_unit_price_microcredits: 200\n"
      "      - kind: memory\n"
      "        unit_size: ",
      memory_unit,
      "\n"
      "        rule: uniform_price/1\n"
      "        reserve_unit_price_microcredits: 100\n");
}

}  // namespace nom::cli
