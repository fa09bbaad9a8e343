// SPDX-License-Identifier: Apache-2.0
#include "marketd/config/config.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "marketd/base/files.h"
#include "marketd/base/status.h"
#include "marketd/config/forward_config.h"
#include "marketd/config/guests_config.h"
#include "marketd/config/linux_host_config.h"
#include "marketd/config/nomhv_host_config.h"
#include "marketd/config/objective_config.h"
#include "marketd/config/yaml_reader.h"
#include "policies/clearing/joint/joint_fallback.h"
#include "policies/clearing/rules.h"

namespace nom::marketd {
namespace {

using market::ResourceKind;

constexpr size_t kFileBytesMax = 1 << 20;
constexpr int64_t kGraceMsMin = 100;
constexpr int64_t kClearingMsMin = 10;
constexpr int64_t kQuotesValidMsMin = 1'000;
constexpr int64_t kQuotesValidMsMax = 3'600'000;
constexpr int64_t kClearingWorkMax = 1'000'000'000'000'000;
constexpr int64_t kNomhvGuestsMax = 32;  // NOM_GUESTS_MAX.
// Each has some files that are read twice a second, and a thread while it shrinks.
constexpr int64_t kLinuxGuestsMax = 256;
constexpr int64_t kArrearsGraceRoundsMax = 1'000'000;
constexpr int64_t kUnitSizeMax = int64_t{1} << 40;
// Times the most units that a host has, still a value that a bid may have.
constexpr int64_t kUnitPriceMax = policies::kValueMaxMicrocredits / policies::kUnitsMax;

// In the order of ResourceKind.
const std::vector<std::string>& KindNames() {
  static constexpr const char* kNames[] = {"cpu", "memory", "cache", "network", "disk", "device"};
  static_assert(std::size(kNames) == market::kKindsCount);
  static const auto* const names =
      new std::vector<std::string>(std::begin(kNames), std::end(kNames));
  return *names;
}

// In the order of HostKind.
const std::vector<std::string>& HostKindNames() {
  static const auto* const names = new std::vector<std::string>{"nomhv", "linux", "simulated"};
  return *names;
}

// In the order of policies::ReserveKind.
const std::vector<std::string>& ReserveNames() {
  static const auto* const names = new std::vector<std::string>([] {
    std::vector<std::string> all;
    for (const policies::ReserveKind kind :
         {policies::ReserveKind::kNone, policies::ReserveKind::kFixed,
          policies::ReserveKind::kUtilisation, policies::ReserveKind::kAr1Band,
          policies::ReserveKind::kLearnt}) {
      all.emplace_back(policies::ReserveName(kind));
    }
    return all;
  }());
  return *names;
}

bool IsHostId(absl::string_view text) {
  return !text.empty() && text.size() <= 32 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
         });
}

std::string RuleNames() {
  return absl::StrJoin(policies::Rules(), ", ",
                       [](std::string* out, const policies::RuleInfo& rule) { *out += rule.name; });
}

// Splits "host:port" or "[v6]:port"; false if it is neither.
bool SplitHostPort(absl::string_view address, absl::string_view* host, int* port) {
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos) return false;
  *host = address.substr(0, colon);
  const absl::string_view digits = address.substr(colon + 1);
  if (host->empty() || digits.empty() || digits.size() > 5 ||
      digits.find_first_not_of("0123456789") != absl::string_view::npos ||
      !absl::SimpleAtoi(digits, port) || *port > 65535) {
    return false;
  }
  const bool bracketed = host->front() == '[' && host->back() == ']' && host->size() > 2;
  return bracketed || host->find_first_of(":[]") == absl::string_view::npos;
}

bool IsAddress(absl::string_view address) {
  if (absl::StartsWith(address, "unix:")) return address.size() > 5;
  absl::string_view host;
  int port = 0;
  return SplitHostPort(address, &host, &port);
}

void ReadTls(const YAML::Node& node, YamlErrors* errors, Config* config) {
  MapReader reader(node, "tls", errors);
  TlsConfig tls;
  reader.String("cert", Need::kRequired, &tls.cert);
  reader.String("key", Need::kRequired, &tls.key);
  const bool has_ca = reader.String("client_ca", Need::kOptional, &tls.client_ca);
  if (reader.String("client_crl", Need::kOptional, &tls.client_crl) && !has_ca) {
    reader.Complain("client_crl", "only beside client_ca, which signs it");
  }
  reader.Finish();
  config->tls = tls;
}

void ReadLimits(const YAML::Node& node, YamlErrors* errors, LimitsConfig* limits) {
  MapReader reader(node, "limits", errors);
  reader.Int("message_max_bytes", Need::kOptional, 4 << 10, 64 << 20, &limits->message_max_bytes);
  reader.Int("connections_max", Need::kOptional, 4, 1 << 20, &limits->connections_max);
  reader.Int("streams_per_connection_max", Need::kOptional, 4, 1 << 16,
             &limits->streams_per_connection_max);
  reader.Int("memory_max_bytes", Need::kOptional, 16 << 20, int64_t{1} << 40,
             &limits->memory_max_bytes);
  reader.Int("watches_max", Need::kOptional, 1, 1 << 20, &limits->watches_max);
  reader.Int("watches_per_tenant_max", Need::kOptional, 1, 1 << 20,
             &limits->watches_per_tenant_max);
  reader.Int("bids_per_second", Need::kOptional, 1, 1'000'000, &limits->bids_per_second);
  reader.Int("bids_burst", Need::kOptional, 1, 1'000'000, &limits->bids_burst);
  reader.Int("reads_per_second", Need::kOptional, 1, 1'000'000, &limits->reads_per_second);
  reader.Int("reads_burst", Need::kOptional, 1, 1'000'000, &limits->reads_burst);
  reader.Finish();
}

// `joint_rule`: what clears all resources of the host together; empty if each has a rule.
market::Resource ReadResource(const YAML::Node& node, const std::string& path, HostKind host_kind,
                              const std::string& joint_rule, YamlErrors* errors) {
  MapReader reader(node, path, errors);
  market::Resource resource;
  size_t kind = 0;
  if (reader.OneOf("kind", Need::kRequired, KindNames(), &kind)) {
    resource.kind = static_cast<ResourceKind>(kind + 1);  // KindNames() begins with kind 1.
    const bool cpu_or_memory =
        resource.kind == ResourceKind::kCpu || resource.kind == ResourceKind::kMemory;
    if (host_kind == HostKind::kNomhv && !cpu_or_memory) {
      reader.Complain("kind", "a nomhv host sells cpu and memory only");
    }
    if (host_kind == HostKind::kLinux && !cpu_or_memory && resource.kind != ResourceKind::kDisk &&
        resource.kind != ResourceKind::kNetwork) {
      reader.Complain("kind", "a linux host sells cpu, memory, network and disk only");
    }
  }
  if (reader.Int("unit_size", Need::kRequired, 1, kUnitSizeMax, &resource.unit_size) &&
      host_kind != HostKind::kSimulated && resource.kind == ResourceKind::kMemory &&
      resource.unit_size % 4096 != 0) {
    reader.Complain("unit_size", "must be whole pages of 4096 bytes on a real machine");
  }
  // Left at 0 for all that the machine has: only a real machine can say how much that is.
  const Need capacity_need = host_kind == HostKind::kSimulated ? Need::kRequired : Need::kOptional;
  reader.Int("capacity_units", capacity_need, 1, policies::kUnitsMax, &resource.capacity_units);
  if (!joint_rule.empty()) {
    if (reader.String("rule", Need::kOptional, &resource.rule)) {
      reader.Complain("rule", "this host's clearing rule is for all of its resources");
    }
    resource.rule = joint_rule;
  } else if (reader.String("rule", Need::kRequired, &resource.rule) &&
             policies::FindRule(resource.rule) == nullptr) {
    reader.Complain("rule", absl::StrCat("must be a clearing rule and its version (", RuleNames(),
                                         "), is \"", resource.rule, "\""));
  }
  reader.Int("reserve_unit_price_microcredits", Need::kRequired, 0, kUnitPriceMax,
             &resource.reserve_unit_price_microcredits);
  size_t reserve_kind = static_cast<size_t>(resource.reserve_kind);
  if (reader.OneOf("reserve_policy", Need::kOptional, ReserveNames(), &reserve_kind)) {
    resource.reserve_kind = static_cast<policies::ReserveKind>(reserve_kind);
  }
  reader.Int("reserve_ceiling_unit_price_microcredits", Need::kOptional, 0, kUnitPriceMax,
             &resource.reserve_ceiling_unit_price_microcredits);
  reader.Int("reserve_knee_ppm", Need::kOptional, 0, 999'999, &resource.reserve_knee_ppm);
  if (reader.Int("reserve_look_back_rounds", Need::kOptional, policies::kLearntRoundsMin,
                 policies::kLearntRoundsMax, &resource.reserve_look_back_rounds) &&
      resource.reserve_kind != policies::ReserveKind::kLearnt) {
    reader.Complain("reserve_look_back_rounds", "only for reserve_policy learnt/1");
  }
  reader.Int("reclaim_penalty_microcredits", Need::kOptional, 0, kUnitPriceMax,
             &resource.reclaim_penalty_microcredits);
  reader.Int("seed_rent_unit_price_microcredits", Need::kOptional, 0, kUnitPriceMax,
             &resource.seed_rent_unit_price_microcredits);
  ReadForward(reader, errors, &resource.forward);
  reader.Finish();
  return resource;
}

void ReadRounds(MapReader& reader, market::HostConfig* market) {
  int64_t period_ms = 0;
  if (!reader.Int("period_ms", Need::kRequired, absl::ToInt64Milliseconds(market::kPeriodMin),
                  absl::ToInt64Milliseconds(market::kPeriodMax), &period_ms)) {
    // What depends on it is read all the same, against the widest limits: all faults are told at
    // once.
    period_ms = absl::ToInt64Milliseconds(market::kPeriodMax);
  }
  market->SetPeriod(absl::Milliseconds(period_ms));
  int64_t grace_ms = absl::ToInt64Milliseconds(market->grace);
  int64_t clearing_ms = absl::ToInt64Milliseconds(market->clearing);
  reader.Int("grace_ms", Need::kOptional, kGraceMsMin, period_ms / 2, &grace_ms);
  reader.Int("clearing_ms", Need::kOptional, kClearingMsMin, period_ms / 4, &clearing_ms);
  market->grace = absl::Milliseconds(grace_ms);
  market->clearing = absl::Milliseconds(clearing_ms);
  int64_t quotes_valid_ms = absl::ToInt64Milliseconds(market->quotes_valid);
  reader.Int("quotes_valid_ms", Need::kOptional, kQuotesValidMsMin, kQuotesValidMsMax,
             &quotes_valid_ms);
  market->quotes_valid = absl::Milliseconds(quotes_valid_ms);
  reader.Int("clearing_work_max", Need::kOptional, 1, kClearingWorkMax, &market->clearing_work_max);
}

// What says how the host is reached, each key for its kind alone.
void ReadHostKind(MapReader& reader, YamlErrors* errors, HostConfig* host) {
  size_t kind = 0;
  if (reader.OneOf("kind", Need::kRequired, HostKindNames(), &kind)) {
    host->kind = static_cast<HostKind>(kind);
    host->market.kind = HostKindNames()[kind];
  }
  if (host->kind == HostKind::kNomhv) {
    ReadNomhvHost(reader, errors, &host->nomhv_host);
  } else {
    RefuseNomhvHost(reader);
  }
  if (reader.Bool("guests_bid", Need::kOptional, &host->guests_bid) &&
      host->kind != HostKind::kSimulated) {
    reader.Complain("guests_bid", "only for kind simulated");
  }
  if (host->kind == HostKind::kLinux) {
    ReadLinuxHost(reader, errors, &host->linux_host);
  } else {
    RefuseLinuxHost(reader);
  }
}

// How many guests, and how long one stays that owes rent.
void ReadGuestLimits(MapReader& reader, HostConfig* host) {
  market::HostConfig& market = host->market;
  int64_t guests_max = market.guests_max;
  const int64_t guests_limit = host->kind == HostKind::kNomhv   ? kNomhvGuestsMax
                               : host->kind == HostKind::kLinux ? kLinuxGuestsMax
                                                                : market::kHostGuestsMax;
  reader.Int("guests_max", Need::kOptional, 1, guests_limit, &guests_max);
  market.guests_max = static_cast<int>(guests_max);
  int64_t arrears_grace_rounds = market.arrears_grace_rounds;
  reader.Int("arrears_grace_rounds", Need::kOptional, 0, kArrearsGraceRoundsMax,
             &arrears_grace_rounds);
  market.arrears_grace_rounds = static_cast<uint32_t>(arrears_grace_rounds);
}

// What is sold: each kind once.
void ReadResources(MapReader& reader, YamlErrors* errors, HostConfig* host) {
  market::HostConfig& market = host->market;
  if (reader.String("clearing", Need::kOptional, &market.joint_rule) &&
      market.joint_rule != policies::kJointVcg) {
    reader.Complain("clearing", absl::StrCat("must be ", std::string(policies::kJointVcg),
                                             ", is \"", market.joint_rule, "\""));
  }
  std::vector<YAML::Node> resources;
  reader.List("resources", Need::kRequired, 1, &resources);
  std::set<ResourceKind> seen;
  for (size_t i = 0; i < resources.size(); ++i) {
    const std::string resource_path = absl::StrCat(reader.PathOf("resources"), "[", i, "]");
    market.resources.push_back(
        ReadResource(resources[i], resource_path, host->kind, market.joint_rule, errors));
    // A kind that could not be read was complained of there, and is not "the same" as another.
    const bool has_kind = resources[i].IsMap() && resources[i]["kind"];
    if (has_kind && !seen.insert(market.resources.back().kind).second) {
      errors->Add(resources[i]["kind"].Mark(), absl::StrCat(resource_path, ".kind"),
                  "this host already has a resource of this kind");
    }
  }
  if (host->kind == HostKind::kLinux) {
    CheckLinuxResources(reader, host->linux_host, market.resources);
  }
}

HostConfig ReadHost(const YAML::Node& node, const std::string& path, YamlErrors* errors) {
  MapReader reader(node, path, errors);
  HostConfig host;
  if (reader.String("id", Need::kRequired, &host.market.host_id) &&
      !IsHostId(host.market.host_id)) {
    reader.Complain("id", "must be 1 to 32 of a-z, 0-9 and -");
  }
  ReadHostKind(reader, errors, &host);
  ReadRounds(reader, &host.market);
  reader.Bool("publish_border_prices", Need::kOptional, &host.market.publish_border_prices);
  ReadGuestLimits(reader, &host);
  ReadResources(reader, errors, &host);
  ReadObjective(reader, &host.market);
  ReadTiers(reader, errors, &host.market);
  ReadGuestRequests(reader, errors, &host.market);
  reader.Finish();
  return host;
}

void ReadPage(MapReader& reader, Config* config) {
  if (reader.String("page_listen", Need::kOptional, &config->page_listen)) {
    absl::string_view host;
    int port = 0;
    if (!SplitHostPort(config->page_listen, &host, &port)) {
      reader.Complain("page_listen", absl::StrCat("must be host:port or [v6]:port, is \"",
                                                  config->page_listen, "\""));
    } else if (!IsLocalAddress(config->page_listen)) {
      reader.Complain(
          "page_listen",
          absl::StrCat("only a loopback address; anybody on the way to \"", config->page_listen,
                       "\" could read tokens: put a proxy with TLS in front"));
    }
  }
  reader.String("page_directory", Need::kOptional, &config->page_directory);
}

// "30d": a whole number of seconds, minutes, hours or days.
bool ParseRetention(absl::string_view text, absl::Duration* out) {
  static constexpr std::pair<char, int64_t> kUnits[] = {
      {'s', 1}, {'m', 60}, {'h', 3'600}, {'d', 86'400}};
  constexpr int64_t kSecondsMax = int64_t{36'500} * 86'400;
  for (const auto& [unit, seconds] : kUnits) {
    if (text.empty() || text.back() != unit) continue;
    const absl::string_view digits = text.substr(0, text.size() - 1);
    int64_t count = 0;
    if (digits.empty() || !std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) ||
        !absl::SimpleAtoi(digits, &count) || count < 1 || count > kSecondsMax / seconds) {
      return false;
    }
    *out = absl::Seconds(count * seconds);
    return true;
  }
  return false;
}

void ReadLedger(MapReader& reader, Config* config) {
  reader.String("ledger", Need::kRequired, &config->ledger);
  std::string retention;
  if (reader.String("retention", Need::kOptional, &retention) &&
      !ParseRetention(retention, &config->retention)) {
    reader.Complain("retention", absl::StrCat("must be a number with s, m, h or d, from 1s to "
                                              "36500d, as in 30d; is \"",
                                              retention, "\""));
  }
  config->archive = config->ledger + ".archive";
  if (!reader.String("archive", Need::kOptional, &config->archive)) return;
  for (const char* end : {"", "-wal", "-shm", "-journal", ".lock", ".sending"}) {
    if (config->archive != config->ledger + end) continue;
    reader.Complain("archive", absl::StrCat("\"", config->archive, "\" belongs to the ledger"));
  }
}

Config ReadConfig(const YAML::Node& root, YamlErrors* errors) {
  MapReader reader(root, "", errors);
  Config config;
  if (reader.String("listen", Need::kRequired, &config.listen) && !IsAddress(config.listen)) {
    reader.Complain("listen", absl::StrCat("must be host:port, [v6]:port or unix:path, is \"",
                                           config.listen, "\""));
  }
  const bool has_plaintext = reader.Bool("plaintext", Need::kOptional, &config.plaintext);
  YAML::Node tls;
  if (reader.Map("tls", Need::kOptional, &tls)) ReadTls(tls, errors, &config);
  // Plain text has to be asked for, and where others could listen it is refused: a token that was
  // sent once in the clear is lost.
  if (config.plaintext && config.tls.has_value()) {
    reader.Complain("plaintext", "cannot be true beside tls");
  } else if (config.plaintext && IsAddress(config.listen) && !IsLocalAddress(config.listen)) {
    reader.Complain("plaintext",
                    absl::StrCat("only for a loopback or Unix address; anybody on the way to \"",
                                 config.listen, "\" could read tokens: give tls"));
  } else if (!config.plaintext && !config.tls.has_value()) {
    reader.Complain(has_plaintext ? "plaintext" : "tls",
                    "give tls, or plaintext: true on a loopback or Unix address");
  }
  if (reader.String("metrics_listen", Need::kOptional, &config.metrics_listen)) {
    absl::string_view host;
    int port = 0;
    if (!SplitHostPort(config.metrics_listen, &host, &port)) {
      reader.Complain("metrics_listen", absl::StrCat("must be host:port or [v6]:port, is \"",
                                                     config.metrics_listen, "\""));
    }
  }
  ReadPage(reader, &config);
  ReadLedger(reader, &config);
  reader.String("operator_token_file", Need::kRequired, &config.operator_token_file);
  reader.Bool("reflection", Need::kOptional, &config.reflection);
  YAML::Node limits;
  if (reader.Map("limits", Need::kOptional, &limits)) ReadLimits(limits, errors, &config.limits);

  int64_t tie_seed = 0;
  reader.Int("tie_seed", Need::kOptional, 0, std::numeric_limits<int64_t>::max(), &tie_seed);
  config.tie_seed = static_cast<uint64_t>(tie_seed);

  std::vector<YAML::Node> hosts;
  reader.List("hosts", Need::kRequired, 1, &hosts);
  std::set<std::string> ids;
  for (size_t i = 0; i < hosts.size(); ++i) {
    const std::string path = absl::StrCat("hosts[", i, "]");
    config.hosts.push_back(ReadHost(hosts[i], path, errors));
    const std::string& id = config.hosts.back().market.host_id;
    if (!id.empty() && !ids.insert(id).second) {
      errors->Add(hosts[i]["id"].Mark(), path + ".id",
                  absl::StrCat("another host is already called \"", id, "\""));
    }
  }
  reader.Finish();
  return config;
}

// Every scalar of a document with its path.
void AddLeaves(const YAML::Node& node, const std::string& path,
               std::vector<std::pair<std::string, std::string>>* out) {
  if (node.IsMap()) {
    for (const auto& entry : node) {
      const std::string key = entry.first.as<std::string>();
      AddLeaves(entry.second, path.empty() ? key : absl::StrCat(path, ".", key), out);
    }
  } else if (node.IsSequence()) {
    for (size_t i = 0; i < node.size(); ++i) {
      AddLeaves(node[i], absl::StrCat(path, "[", i, "]"), out);
    }
  } else {
    out->emplace_back(path, node.IsScalar() ? node.Scalar() : "");
  }
}

}  // namespace

market::MarketConfig ToMarketConfig(const Config& config) {
  market::MarketConfig out;
  out.seed = config.tie_seed;
  for (const HostConfig& host : config.hosts) out.hosts.push_back(host.market);
  return out;
}

bool IsLocalAddress(absl::string_view address) {
  if (absl::StartsWith(address, "unix:")) return true;
  absl::string_view host;
  int port = 0;
  if (!SplitHostPort(address, &host, &port)) return false;
  // By its spelling alone: what another name resolves to may change after this was asked.
  if (host == "localhost" || host == "[::1]") return true;
  const std::vector<absl::string_view> parts = absl::StrSplit(host, '.');
  return parts.size() == 4 && parts[0] == "127" &&
         std::all_of(parts.begin(), parts.end(), [](absl::string_view part) {
           int number = 0;
           return !part.empty() && part.size() <= 3 &&
                  part.find_first_not_of("0123456789") == absl::string_view::npos &&
                  absl::SimpleAtoi(part, &number) && number <= 255;
         });
}

absl::StatusOr<Config> ParseConfig(absl::string_view text, absl::string_view file_name) {
  YamlErrors errors(file_name);
  Config config;
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(text));
    if (documents.size() > 1) errors.Add(documents[1].Mark(), "", "only one document is allowed");
    // An empty file is a map without keys, so that those that are missing are named.
    config = ReadConfig(documents.empty() ? YAML::Node() : documents[0], &errors);
  } catch (const YAML::Exception& e) {
    errors.Add(e.mark, "", e.msg);
  }
  if (!errors.empty()) return absl::InvalidArgumentError(errors.Text());
  return config;
}

absl::StatusOr<std::string> ReadConfigFile(const std::string& file_name) {
  NOM_ASSIGN_OR_RETURN(SmallFile file, ReadSmallFile(file_name, kFileBytesMax));
  return std::move(file.text);
}

absl::StatusOr<Config> LoadConfig(const std::string& file_name) {
  absl::StatusOr<std::string> text = ReadConfigFile(file_name);
  if (!text.ok()) return text.status();
  return ParseConfig(*text, file_name);
}

std::vector<std::string> ChangedKeys(absl::string_view before, absl::string_view after) {
  std::vector<std::pair<std::string, std::string>> leaves_before;
  std::vector<std::pair<std::string, std::string>> leaves_after;
  AddLeaves(YAML::Load(std::string(before)), "", &leaves_before);
  AddLeaves(YAML::Load(std::string(after)), "", &leaves_after);
  std::vector<std::string> out;
  const auto has = [](const auto& leaves, const auto& leaf) {
    return std::find(leaves.begin(), leaves.end(), leaf) != leaves.end();
  };
  for (const auto& leaf : leaves_after) {
    if (!has(leaves_before, leaf)) out.push_back(leaf.first);
  }
  for (const auto& leaf : leaves_before) {
    const bool is_told = std::find(out.begin(), out.end(), leaf.first) != out.end();
    if (!is_told && !has(leaves_after, leaf)) out.push_back(leaf.first);
  }
  return out;
}

absl::StatusOr<std::string> ReadTokenFile(const std::string& file_name) {
  NOM_ASSIGN_OR_RETURN(const SmallFile file, ReadSmallFile(file_name, kFileBytesMax));
  // systemd gives credentials mode 0440 in a directory that only the service can enter.
  const char* const credentials = std::getenv("CREDENTIALS_DIRECTORY");
  const bool is_credential =
      credentials != nullptr && absl::StartsWith(file_name, absl::StrCat(credentials, "/"));
  if (!is_credential && (file.mode & (S_IRWXG | S_IRWXO)) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(file_name, ": others than its owner may use it; chmod 600 it"));
  }
  absl::string_view token = file.text;
  absl::ConsumePrefix(&token, "\xef\xbb\xbf");  // A byte order mark, as some editors write it.
  token = token.substr(0, token.find('\n'));
  absl::ConsumeSuffix(&token, "\r");
  const bool printable = std::all_of(token.begin(), token.end(),
                                     [](unsigned char c) { return absl::ascii_isgraph(c); });
  if (token.size() < 16 || token.size() > 256 || !printable) {
    return absl::InvalidArgumentError(absl::StrCat(
        file_name, ": its first line must be a token of 16 to 256 printable characters"));
  }
  return std::string(token);
}

}  // namespace nom::marketd
