// SPDX-License-Identifier: Apache-2.0
// marketd's one configuration file: YAML, checked as a whole before anything is started.
//
// The parser is strict: unknown keys, keys given twice, missing keys, wrong types and values out of
// their range are errors, and all of them are reported at once, each as
//
//   file:line:column: key.path: what
//
// Secrets are never in the file: it names the files that hold them. The format is documented by
// deploy/marketd.yaml, which a test parses.

#ifndef MARKETD_CONFIG_CONFIG_H_
#define MARKETD_CONFIG_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "marketd/host/linux/options.h"
#include "marketd/host/nomhv/options.h"
#include "marketd/market/config.h"

namespace nom::marketd {

// PEM files. With a client_ca, clients must show a certificate that it signed.
struct TlsConfig {
  std::string cert;
  std::string key;
  std::string client_ca;   // Empty: clients show a token only.
  std::string client_crl;  // Certificates that client_ca has revoked; empty: none.
};

enum class HostKind { kNomhv, kLinux, kSimulated };

struct HostConfig {
  market::HostConfig market;
  HostKind kind = HostKind::kSimulated;
  market::NomhvHostOptions nomhv_host;  // nomhv
  market::LinuxHostOptions linux_host;  // linux
  bool guests_bid = false;  // simulated: guests bid by themselves each round, over their tenants.
};

struct LimitsConfig {
  int64_t message_max_bytes = 1 << 18;
  int64_t connections_max = 4096;                 // Never more than descriptors allow.
  int64_t streams_per_connection_max = 128;       // Calls under way on one connection.
  int64_t memory_max_bytes = int64_t{512} << 20;  // For what all callers send, until it is read.
  int64_t watches_max = 1024;                     // Over all callers.
  int64_t watches_per_tenant_max = 256;           // Of one tenant.
  int64_t bids_per_second = 50;    // Calls that write or renew bids, of one tenant, sustained.
  int64_t bids_burst = 200;        // And at once.
  int64_t reads_per_second = 500;  // Everything else that one tenant asks, sustained.
  int64_t reads_burst = 2'000;     // And at once.
};

struct Config {
  std::string listen;            // "host:port" or "unix:path"; port 0 lets the system choose.
  bool plaintext = false;        // Only if `listen` is loopback or a Unix socket.
  std::optional<TlsConfig> tls;  // Exactly one of plaintext and tls.
  std::string metrics_listen;    // "host:port"; empty: no metrics endpoint.
  std::string page_listen;       // The same on a loopback address; empty: no page for people.
  std::string page_directory = NOM_PAGE_DIRECTORY;      // Its files; absolute.
  std::string ledger;                                   // SQLite file, created if absent.
  absl::Duration retention = absl::InfiniteDuration();  // What is older goes to the archive.
  std::string archive;  // SQLite file; never empty: beside the ledger if it is not said.
  std::string operator_token_file;  // One line, 16 to 256 printable characters, for owner only.
  bool reflection = false;
  LimitsConfig limits;
  uint64_t tie_seed = 0;          // Orders ties in auctions.
  std::vector<HostConfig> hosts;  // At least one.
};

// What the market itself is to know of it.
market::MarketConfig ToMarketConfig(const Config& config);

// Parses and checks `text`; `file_name` is only for messages.
// Errors: INVALID_ARGUMENT with one line for each thing that is wrong.
absl::StatusOr<Config> ParseConfig(absl::string_view text, absl::string_view file_name);

// The text of a config file, of at most 1 MiB. Errors: NOT_FOUND, INVALID_ARGUMENT, naming the
// file.
absl::StatusOr<std::string> ReadConfigFile(const std::string& file_name);

// The paths of the keys ("limits.watches_max", "hosts[0].period_ms") whose values differ between
// two texts that ParseConfig takes, or that only one of them has; in the order of the second.
std::vector<std::string> ChangedKeys(absl::string_view before, absl::string_view after);

// Reads the file first. Errors: NOT_FOUND and others from reading, naming the file.
absl::StatusOr<Config> LoadConfig(const std::string& file_name);

// True if only programs on this machine can reach the address: "unix:...", 127.0.0.0/8, [::1] or
// "localhost", with a port where there is one.
bool IsLocalAddress(absl::string_view address);

// Reads a token: the file's first line without its line end. The file must not be readable by
// group or others unless it lies in systemd's credentials directory.
// Errors: NOT_FOUND, FAILED_PRECONDITION (permissions), INVALID_ARGUMENT (not a token); each names
// the file and never shows its content.
absl::StatusOr<std::string> ReadTokenFile(const std::string& file_name);

}  // namespace nom::marketd

#endif  // MARKETD_CONFIG_CONFIG_H_
