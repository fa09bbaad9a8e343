// SPDX-License-Identifier: Apache-2.0
#include "marketd/reload.h"

#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "marketd/base/log.h"

namespace nom::marketd {
namespace {

// Keys whose change Process::Renew puts in force.
constexpr absl::string_view kRenewable[] = {
    "operator_token_file",
    "tls.cert",
    "tls.key",
    "tls.client_ca",
    "tls.client_crl",
    "limits.bids_per_second",
    "limits.bids_burst",
    "limits.reads_per_second",
    "limits.reads_burst",
    "limits.watches_max",
    "limits.watches_per_tenant_max",
};

std::vector<std::string> FilesOf(const std::string& config_path, const Config& config) {
  std::vector<std::string> out = {config_path, config.operator_token_file};
  if (config.tls.has_value()) {
    for (const std::string& file :
         {config.tls->cert, config.tls->key, config.tls->client_ca, config.tls->client_crl}) {
      if (!file.empty()) out.push_back(file);
    }
  }
  return out;
}

void LogFailure(const char* why, const absl::Status& status) {
  Log(LogLevel::kError, "reload_failed",
      {{"cause", why}, {"msg", absl::StrCat("nothing changed: ", status.message())}});
}

}  // namespace

Reloader::Reloader(std::string config_path, std::string config_text, const Config& config,
                   Process& process)
    : config_path_(std::move(config_path)),
      started_text_(std::move(config_text)),
      started_asking_(config.tls.has_value() && !config.tls->client_ca.empty()),
      files_(FilesOf(config_path_, config)),
      marks_(Marks()),
      process_(process) {}

std::vector<std::string> Reloader::Marks() const {
  std::vector<std::string> out;
  for (const std::string& file : files_) {
    struct stat facts = {};
    if (::stat(file.c_str(), &facts) != 0) {
      out.emplace_back("none");
    } else {
      out.push_back(absl::StrCat(facts.st_dev, " ", facts.st_ino, " ", facts.st_size, " ",
                                 facts.st_mtim.tv_sec, ".", facts.st_mtim.tv_nsec));
    }
  }
  return out;
}

void Reloader::Reload(const char* why) {
  const absl::StatusOr<std::string> text = ReadConfigFile(config_path_);
  if (!text.ok()) return LogFailure(why, text.status());
  const absl::StatusOr<Config> config = ParseConfig(*text, config_path_);
  if (!config.ok()) return LogFailure(why, config.status());
  const absl::StatusOr<Secrets> secrets = LoadSecrets(*config);
  if (!secrets.ok()) return LogFailure(why, secrets.status());

  // Whether connections are encrypted, and whether they must show a certificate, is decided when
  // the server starts.
  const bool asks = secrets->tls.has_value() && !secrets->tls->client_ca.empty();
  std::vector<std::string> waiting;
  for (const std::string& key : ChangedKeys(started_text_, *text)) {
    const bool renewable =
        std::find(std::begin(kRenewable), std::end(kRenewable), key) != std::end(kRenewable);
    if (!renewable || (key == "tls.client_ca" && asks != started_asking_)) waiting.push_back(key);
  }
  process_.Renew(*config, *secrets);
  files_ = FilesOf(config_path_, *config);
  marks_ = Marks();
  if (waiting.empty()) {
    Log(LogLevel::kInfo, "reloaded", {{"cause", why}});
  } else {
    Log(LogLevel::kWarning, "reloaded",
        {{"cause", why},
         {"restart_needed_for", absl::StrJoin(waiting, ",")},
         {"msg", "these keys stay as they were until marketd is started again"}});
  }
}

void Reloader::ReloadIfChanged() {
  std::vector<std::string> now = Marks();
  if (now == marks_) return;
  marks_ = std::move(now);
  Reload("file changed");
}

}  // namespace nom::marketd
