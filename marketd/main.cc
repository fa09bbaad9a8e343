// SPDX-License-Identifier: Apache-2.0
// marketd: flags, signals, the service manager and where the log goes; the rest is process.h.

#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cmake/build_info/build_info.h"
#include "cmake/standard_files/standard_files.h"
#include "marketd/base/clock.h"
#include "marketd/base/log.h"
#include "marketd/base/status.h"
#include "marketd/config/config.h"
#include "marketd/ledger/sqlite/keep.h"
#include "marketd/process.h"
#include "marketd/reload.h"

namespace nom::marketd {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;
constexpr int kExitDataLoss = 3;

// Sent to ourselves when the market can't go on.
constexpr int kFatalSignal = SIGUSR1;
std::atomic<int> fatal_exit{kExitFailure};  // What it is answered with.

// How often files are looked at, and callers' way in is tried, where no watchdog asks more often.
constexpr absl::Duration kLookInterval = absl::Seconds(2);
constexpr absl::Duration kAliveInterval = absl::Seconds(10);
constexpr absl::Duration kAliveTimeout = absl::Seconds(5);

struct Flags {
  std::string config;
  std::string ready_file;
  std::string backup;
  std::string restore;
  LogLevel log_level = LogLevel::kInfo;
  bool check = false;
};

// Whole or not at all: whoever waits for the file may read it at once.
absl::Status WriteReadyFile(const std::string& path, const std::string& grpc,
                            const std::string& metrics, const std::string& page) {
  const std::string temporary = absl::StrCat(path, ".", ::getpid());
  {
    std::ofstream file(temporary, std::ios::trunc);
    file << "grpc=" << grpc << "\n";
    if (!metrics.empty()) file << "metrics=" << metrics << "\n";
    if (!page.empty()) file << "page=" << page << "\n";
    file << "pid=" << ::getpid() << "\n";
    file.close();
    if (!file) return absl::UnavailableError(absl::StrCat(temporary, ": cannot be written"));
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat(path, ": cannot be written"));
  }
  return absl::OkStatus();
}

// True if standard error goes to the journal, which then can have the fields one by one.
bool StderrIsJournal() {
  const char* const stream = std::getenv("JOURNAL_STREAM");  // "device:inode"
  struct stat facts = {};
  return stream != nullptr && ::fstat(STDERR_FILENO, &facts) == 0 &&
         absl::StrCat(facts.st_dev, ":", facts.st_ino) == stream;
}

int JournalPriority(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return 7;
    case LogLevel::kInfo:
      return 6;
    case LogLevel::kWarning:
      return 4;
    case LogLevel::kError:
      break;
  }
  return 3;
}

void WriteToJournal(const LogLine& line) {
  std::vector<std::string> fields = {absl::StrCat("MESSAGE=", LogText(line)),
                                     absl::StrCat("PRIORITY=", JournalPriority(line.level)),
                                     absl::StrCat("NOM_EVENT=", line.event)};
  for (const LogField& field : line.fields) {
    fields.push_back(absl::StrCat("NOM_", absl::AsciiStrToUpper(field.key), "=", field.value));
  }
  std::vector<iovec> pieces;
  for (std::string& field : fields) pieces.push_back({field.data(), field.size()});
  ::sd_journal_sendv(pieces.data(), static_cast<int>(pieces.size()));
}

// Until a signal says stop; meanwhile reloads what is to be reloaded, and feeds the service
// manager's watchdog as long as the market lives and answers. The signal that ended it.
int WaitForEnd(const sigset_t& signals, Process& process, Reloader& reloader) {
  uint64_t watchdog_us = 0;
  const bool has_watchdog = ::sd_watchdog_enabled(0, &watchdog_us) > 0 && watchdog_us > 0;
  const absl::Duration watchdog = absl::Microseconds(static_cast<int64_t>(watchdog_us));
  const absl::Duration alive_interval =
      has_watchdog ? std::clamp(watchdog / 3, absl::Milliseconds(1), kAliveInterval)
                   : kAliveInterval;
  const absl::Duration alive_timeout =
      has_watchdog ? std::min(watchdog / 2, kAliveTimeout) : kAliveTimeout;
  const timespec pause = absl::ToTimespec(std::min(alive_interval, kLookInterval));
  absl::Time asked = absl::InfinitePast();
  bool answered = true;
  for (;;) {
    const absl::Time now = Clock::Real().Now();  // Nobody sets this clock.
    if (now - asked >= alive_interval) {
      asked = now;
      const absl::Status alive = process.CheckAlive(alive_timeout);
      if (alive.ok() && has_watchdog) ::sd_notify(0, "WATCHDOG=1");
      if (alive.ok() != answered) {
        answered = alive.ok();
        Log(answered ? LogLevel::kInfo : LogLevel::kError, answered ? "answers_again" : "no_answer",
            {{"msg", alive.message()}});
      }
    }
    const int signal = ::sigtimedwait(&signals, nullptr, &pause);
    if (signal == SIGHUP) {
      ::sd_notify(0, "RELOADING=1");
      reloader.Reload("SIGHUP");
      ::sd_notify(0, "READY=1");
      continue;
    }
    if (signal > 0) return signal;
    reloader.ReloadIfChanged();
  }
}

void TellWhatWasReplaced(const market::Restored& restored) {
  if (!restored.replaced.empty()) {
    std::cerr << "marketd: the ledger that was there is " << restored.replaced << " now\n";
  }
  if (!restored.archive_replaced.empty()) {
    std::cerr << "marketd: the archive that was there is " << restored.archive_replaced << " now\n";
  }
  if (!restored.archive.ok()) {
    std::cerr << "marketd: restored without its archive, and what is in that can't be read: "
              << restored.archive.message() << "\n";
  }
}

// Exits as Run() does.
int Keep(const Config& config, const Flags& flags) {
  absl::StatusOr<market::ChainHead> head = market::ChainHead();
  if (!flags.backup.empty()) {
    head = market::BackUpLedger(config.ledger, flags.backup, config.archive);
  } else {
    const auto restored =
        market::RestoreLedger(flags.restore, config.ledger, Clock::Real().Now(), config.archive);
    if (restored.ok()) TellWhatWasReplaced(*restored);
    head = restored.ok() ? absl::StatusOr<market::ChainHead>(restored->head) : restored.status();
  }
  if (!head.ok()) {
    std::cerr << "marketd: " << head.status().message() << "\n";
    return absl::IsDataLoss(head.status()) ? kExitDataLoss : kExitFailure;
  }
  std::cout << (flags.backup.empty() ? config.ledger : flags.backup)
            << ": proven, head is transaction " << head->transaction_id << " " << head->digest
            << "\n";
  return kExitOk;
}

int CheckOnly(const Config& config, const Flags& flags) {
  if (const absl::Status status = Check(config); !status.ok()) {
    std::cerr << status.message() << "\n";
    return kExitUsage;
  }
  std::cout << flags.config << ": good\n";
  return kExitOk;
}

// Before any thread is made, so that all of them inherit the mask and only WaitForEnd sees the
// signals that are answered.
sigset_t PrepareProcess(const Flags& flags) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, kFatalSignal}) sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::umask(0027);  // The ledger holds other people's business.
  SetLogLevel(flags.log_level);
  if (StderrIsJournal()) SetLogSink(&WriteToJournal);
  return signals;
}

// Tells everybody who waits for it that it serves: a file, people, the log, systemd.
absl::Status Announce(const Flags& flags, const Process& process) {
  if (!flags.ready_file.empty()) {
    NOM_RETURN_IF_ERROR(WriteReadyFile(flags.ready_file, process.grpc_address(),
                                       process.metrics_address(), process.page_address()));
  }
  std::cout << "marketd " << BuildVersion() << ": gRPC on " << process.grpc_address();
  if (!process.metrics_address().empty()) {
    std::cout << ", metrics on http://" << process.metrics_address() << "/metrics";
  }
  if (!process.page_address().empty()) {
    std::cout << ", a page to look at on http://" << process.page_address() << "/";
  }
  std::cout << std::endl;
  Log(LogLevel::kInfo, "started",
      {{"version", BuildText()},
       {"grpc", process.grpc_address()},
       {"metrics", process.metrics_address()},
       {"page", process.page_address()}});
  ::sd_notify(0, "READY=1\nSTATUS=rounds are running");
  return absl::OkStatus();
}

// Serves until somebody asks for an end, or until it cannot go on.
int Serve(const Flags& flags, const std::string& text, const Config& config,
          const Secrets& secrets) {
  const sigset_t signals = PrepareProcess(flags);
  Process process(config, [](const absl::Status& status) {
    Log(LogLevel::kError, "fatal",
        {{"msg", absl::StrCat("the market cannot go on: ", status.ToString())}});
    if (absl::IsDataLoss(status)) fatal_exit = kExitDataLoss;
    ::kill(::getpid(), kFatalSignal);
  });
  if (const absl::Status status = process.Start(secrets); !status.ok()) {
    Log(LogLevel::kError, "start_failed",
        {{"msg", absl::StrCat("cannot start: ", status.ToString())}});
    // To start again would find the same: somebody has to look, and restore a backup.
    return absl::IsDataLoss(status) ? kExitDataLoss : kExitFailure;
  }
  Reloader reloader(flags.config, text, config, process);
  if (const absl::Status status = Announce(flags, process); !status.ok()) {
    Log(LogLevel::kError, "start_failed", {{"msg", status.message()}});
    return kExitFailure;
  }
  const int signal = WaitForEnd(signals, process, reloader);
  ::sd_notify(0, "STOPPING=1");
  if (!flags.ready_file.empty()) ::unlink(flags.ready_file.c_str());
  if (signal == kFatalSignal) {
    // Nothing that was not durable has been told to anybody: to stop here loses nothing.
    ::_exit(fatal_exit);
  }
  // Whoever asks twice does not want to wait. A reload is no reason to end.
  ::signal(SIGHUP, SIG_IGN);
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  process.Stop();
  Log(LogLevel::kInfo, "stopped", {{"msg", "stopped"}});
  return kExitOk;
}

int Run(const Flags& flags) {
  const absl::StatusOr<std::string> text = ReadConfigFile(flags.config);
  const absl::StatusOr<Config> config =
      text.ok() ? ParseConfig(*text, flags.config) : absl::StatusOr<Config>(text.status());
  if (!config.ok()) {
    std::cerr << config.status().message() << "\n";
    return kExitUsage;
  }
  if (!flags.backup.empty() || !flags.restore.empty()) return Keep(*config, flags);
  if (flags.check) return CheckOnly(*config, flags);
  const absl::StatusOr<Secrets> secrets = LoadSecrets(*config);
  if (!secrets.ok()) {
    std::cerr << secrets.status().message() << "\n";
    return kExitUsage;
  }
  return Serve(flags, *text, *config, *secrets);
}

int Main(int argc, char** argv) {
  CLI::App app(
      "The clearing house of nom: collects bids, runs an auction every round, keeps the books.\n\n"
      "Examples:\n"
      "  marketd --check --config /etc/nom/marketd.yaml\n"
      "  marketd --config /etc/nom/marketd.yaml\n"
      "  marketd --config /etc/nom/marketd.yaml --backup market-$(date +%F).sqlite");
  app.name("marketd");
  app.set_version_flag("--version", absl::StrCat("marketd ", BuildText()));
  app.footer(
      "Exit codes: 0 clean end, 1 failure while starting or running, 2 bad usage or "
      "configuration,\n3 a ledger that is damaged or does not add up.\n"
      "SIGTERM or SIGINT: finishes the commit in hand and ends. A second one ends at once.\n"
      "SIGHUP: reads the configuration and the files that it names again, as it does by itself "
      "when\n"
      "one of them changes. What cannot change before the next start is named in the log.");
  Flags flags;
  app.add_option("--config", flags.config, "The configuration, a YAML file")
      ->required()
      ->type_name("FILE");
  app.add_flag("--check", flags.check,
               "Only say what is wrong with the configuration, the files and the addresses in it");
  CLI::Validator level =
      CLI::CheckedTransformer(std::map<std::string, LogLevel>{{"debug", LogLevel::kDebug},
                                                              {"info", LogLevel::kInfo},
                                                              {"warning", LogLevel::kWarning},
                                                              {"error", LogLevel::kError}});
  app.add_option("--log-level", flags.log_level, "debug, info (the default), warning or error")
      ->transform(level.description(""))
      ->type_name("LEVEL");
  CLI::Option* backup =
      app.add_option("--backup", flags.backup,
                     "Only copy the ledger to this new file, and its archive, if it has one, to "
                     "FILE.archive, proven; a running marketd goes on")
          ->type_name("FILE");
  app.add_option(
         "--restore", flags.restore,
         "Only put this backup, proven, in place of the ledger, which is kept under another "
         "name; marketd must not run")
      ->type_name("FILE")
      ->excludes(backup);
  app.add_option("--ready-file", flags.ready_file,
                 "Written once all is up: grpc=ADDRESS, metrics=ADDRESS, page=ADDRESS, pid=NUMBER")
      ->type_name("FILE");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kExitOk : kExitUsage;
  }
  return Run(flags);
}

}  // namespace
}  // namespace nom::marketd

int main(int argc, char** argv) {
  nom::TakeStandardFiles();
  try {
    return nom::marketd::Main(argc, argv);
  } catch (const std::exception& error) {  // Out of memory, or a promise of a library broken.
    std::fprintf(stderr, "marketd: %s\n", error.what());
    return nom::marketd::kExitFailure;
  }
}
