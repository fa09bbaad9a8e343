// SPDX-License-Identifier: Apache-2.0
// host init: makes the machine that it runs on a market.

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/commands.h"
#include "client/cli/host_init.h"
#include "client/cli/table.h"

namespace nom::cli {
namespace {

// Where the package keeps what it also puts, or what init puts, below /etc.
constexpr char kExamples[] = "/usr/share/nom/examples";
constexpr char kDropIn[] = "nom-marketd.service.d/linux-host.conf";

struct InitArguments {
  std::string host_id = "linux";
  std::string directory = "/etc/nom";
  std::string units = "/etc/systemd/system";
  std::string machine;  // A folder in place of /, for tests.
  bool dry_run = false;
};

std::string Failure(const std::string& path) {
  return absl::StrCat(path, ": ", std::strerror(errno));
}

// Empty if it cannot be read.
std::string WholeFile(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// ALREADY_EXISTS if it was there before, and is not what `replaces` says: what an operator wrote is
// kept. A file that is replaced keeps its owner and its mode.
absl::Status WriteFile(const std::string& path, const std::string& text, mode_t mode,
                       const std::string& owner, const std::string& replaces = "") {
  const bool replace = !replaces.empty() && WholeFile(path) == replaces;
  const int fd =
      open(path.c_str(), O_WRONLY | O_CLOEXEC | (replace ? O_TRUNC : O_CREAT | O_EXCL), mode);
  if (fd < 0) {
    return errno == EEXIST ? absl::AlreadyExistsError(Failure(path))
                           : absl::PermissionDeniedError(Failure(path));
  }
  bool good = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!owner.empty()) {
    const passwd* entry = getpwnam(owner.c_str());
    if (entry != nullptr) good &= fchown(fd, entry->pw_uid, entry->pw_gid) == 0;
  }
  close(fd);
  return good ? absl::OkStatus() : absl::UnavailableError(absl::StrCat(path, ": not written"));
}

absl::Status MakeDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(path, ": ", error.message(), "; run it as root"));
}

std::string NewToken() {
  std::random_device device;  // getrandom(2).
  std::string token;
  for (int i = 0; i < 8; ++i) absl::StrAppendFormat(&token, "%08x", device());
  return token;
}

// Says what became of a file. True if it is as it has to be.
absl::StatusOr<bool> Tell(const Output& out, const std::string& path, const absl::Status& written,
                          const std::string& if_kept) {
  if (absl::IsAlreadyExists(written)) {
    out.talk << path << " is there already, and is kept" << if_kept << "\n";
    return if_kept.empty();
  }
  if (!written.ok()) return written;
  out.data << "wrote " << path << "\n";
  return true;
}

absl::StatusOr<int> HostInit(const Output& out, const InitArguments& arguments) {
  const MachineSight machine = LookAtMachine(arguments.machine);
  Table table({"what", "sold", ">there is", "how, or what is missing"});
  for (const SaleRow& row : SaleRows(machine)) {
    table.AddRow({row.what, row.good ? "yes" : "no", row.amount, row.remark});
  }
  out.data << table.Format(out.look);
  if (!CanSell(machine)) {
    out.talk
        << "nomctl: no market can be run on this machine as it is; the table says what to do\n";
    return kExitCheckFailed;
  }
  const std::string config = absl::StrCat(arguments.directory, "/marketd.yaml");
  const std::string text = HostConfigText(machine, arguments.host_id);
  if (arguments.dry_run) {
    out.data << "\n" << config << " would be:\n" << text;
    return kExitOk;
  }
  if (absl::Status status = MakeDirectory(arguments.directory); !status.ok()) return status;
  const std::string examples = absl::StrCat(arguments.machine, kExamples);
  // What the package has put there is nobody's work.
  const std::string packaged = WholeFile(absl::StrCat(examples, "/marketd.yaml"));
  absl::StatusOr<bool> good = Tell(out, config, WriteFile(config, text, 0644, "", packaged),
                                   "; what this machine wants in it: nomctl host init --dry-run");
  if (!good.ok()) return good.status();
  bool all = *good;
  const std::string token = absl::StrCat(arguments.directory, "/operator.token");
  good = Tell(out, token, WriteFile(token, NewToken() + "\n", 0600, "nom"), "");
  if (!good.ok()) return good.status();
  if (machine.systemd) {
    // By it marketd waits for the two others, and may write its guests' limits.
    const std::string from = absl::StrCat(examples, "/", kDropIn);
    const std::string to = absl::StrCat(arguments.units, "/", kDropIn);
    const std::string drop_in = WholeFile(from);
    if (drop_in.empty()) {
      out.talk << from << " is not there: put deploy/systemd/" << kDropIn << " to " << to << "\n";
      all = false;
    } else {
      if (absl::Status status = MakeDirectory(to.substr(0, to.rfind('/'))); !status.ok()) {
        return status;
      }
      good = Tell(out, to, WriteFile(to, drop_in, 0644, ""), "");
      if (!good.ok()) return good.status();
    }
  }
  out.data << (machine.systemd
                   ? "next: systemctl daemon-reload; systemctl enable nom-holder "
                     "nom-launcher nom-marketd; systemctl restart nom-marketd\n"
                   : "next: start nom-hold as user nom, then nom-launcher as root, then "
                     "marketd\n");
  return all ? kExitOk : kExitCheckFailed;
}

}  // namespace

void AddHostInitCommand(CLI::App& app, LocalRun& local_run) {
  CLI::App* init = app.get_subcommand("host")->add_subcommand(
      "init",
      "Make this Linux machine a market: says what can be sold here, writes a configuration\n\n"
      "Examples:\n"
      "  nomctl host init --dry-run\n"
      "  sudo nomctl host init");
  auto arguments = std::make_shared<InitArguments>();
  init->add_option("--id", arguments->host_id, "The name of this host");
  init->add_option("--directory", arguments->directory, "Where the configuration goes");
  init->add_option("--units", arguments->units, "Where systemd is told of marketd's part in it");
  init->add_option("--machine", arguments->machine,
                   "A folder that is looked at in place of /, for trying");
  init->add_flag("--dry-run", arguments->dry_run, "Only show what would be written");
  init->footer(
      "A configuration that somebody wrote is kept, and so is a token. Exit code 3: the machine "
      "cannot be a market, or not by what is there.");
  init->callback([&local_run, arguments] {
    local_run = [arguments](const Output& out) { return HostInit(out, *arguments); };
  });
}

}  // namespace nom::cli
