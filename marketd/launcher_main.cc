// SPDX-License-Identifier: Apache-2.0
// nom-launcher: starts guests on a Linux host for a marketd that has no privilege of its own.

#include <grp.h>
#include <pwd.h>
#include <systemd/sd-daemon.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "cmake/standard_files/standard_files.h"
#include "marketd/config/config.h"
#include "marketd/host/linux/launcher_server.h"

namespace nom::marketd {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

void Say(const std::string& what) {
  std::cerr << absl::StrCat("nom-launcher: ", what, "\n") << std::flush;
}

// The host of kind linux in the config: the one named, or the only one.
const HostConfig* FindLinuxHost(const Config& config, const std::string& id) {
  const HostConfig* found = nullptr;
  for (const HostConfig& host : config.hosts) {
    if (host.kind != HostKind::kLinux || (!id.empty() && host.market.host_id != id)) continue;
    if (found != nullptr) return nullptr;
    found = &host;
  }
  return found;
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Starts guests on a Linux host by the recipes in marketd's configuration, for marketd "
      "alone.\n\n"
      "Example:\n"
      "  nom-launcher --config /etc/nom/marketd.yaml --user nom");
  app.name("nom-launcher");
  app.footer(
      "It needs root, or CAP_SETUID, CAP_SETGID, CAP_DAC_OVERRIDE, CAP_SYS_CHROOT and, for "
      "network: "
      "none\nor own, CAP_SYS_ADMIN and CAP_NET_ADMIN. Exit codes: 0 clean end, 1 failure, 2 bad "
      "usage or configuration.\n"
      "SIGTERM or SIGINT ends it; guests go on.");
  std::string config_file;
  std::string host_id;
  std::string user = "nom";
  app.add_option("--config", config_file, "marketd's configuration, which only root may change")
      ->required()
      ->type_name("FILE");
  app.add_option("--host", host_id, "The host of kind linux; by default the only one");
  app.add_option("--user", user, "marketd's user: nobody else is answered");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kExitOk : kExitUsage;
  }
  const absl::StatusOr<Config> config = LoadConfig(config_file);
  if (!config.ok()) {
    std::cerr << config.status().message() << "\n";
    return kExitUsage;
  }
  const HostConfig* host = FindLinuxHost(*config, host_id);
  if (host == nullptr) {
    Say(host_id.empty() ? absl::StrCat(config_file,
                                       ": has no host of kind linux, or several: say "
                                       "which by --host")
                        : absl::StrCat(config_file, ": no host \"", host_id, "\" of kind linux"));
    return kExitUsage;
  }
  const passwd* entry = ::getpwnam(user.c_str());
  if (entry == nullptr) {
    Say(absl::StrCat("user \"", user, "\" does not exist"));
    return kExitUsage;
  }
  auto server = market::LauncherServer::Listen(host->linux_host, entry->pw_uid, entry->pw_gid, Say);
  if (!server.ok()) {
    Say(std::string(server.status().message()));
    return kExitFailure;
  }
  ::sd_notify(0, "READY=1");
  (*server)->Run();
  ::sd_notify(0, "STOPPING=1");
  return kExitOk;
}

}  // namespace
}  // namespace nom::marketd

int main(int argc, char** argv) {
  nom::TakeStandardFiles();
  try {
    return nom::marketd::Main(argc, argv);
  } catch (const std::exception& error) {  // Out of memory, or a promise of a library broken.
    std::fprintf(stderr, "nom-launcher: %s\n", error.what());
    return nom::marketd::kExitFailure;
  }
}
