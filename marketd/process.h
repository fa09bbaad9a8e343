// SPDX-License-Identifier: Apache-2.0
// marketd as a whole: makes all its parts from a configuration, renews those that can change while
// it runs, and takes them apart.

#ifndef MARKETD_PROCESS_H_
#define MARKETD_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "marketd/config/config.h"
#include "marketd/ledger/sqlite/sqlite_ledger.h"
#include "marketd/market/host.h"
#include "marketd/market/runtime.h"
#include "marketd/metrics/metrics.h"
#include "marketd/page/page.h"
#include "marketd/server/front_door.h"
#include "marketd/server/server.h"
#include "marketd/server/tls.h"
#include "marketd/services/services.h"

namespace nom::marketd {

// What the config names and only start-up would find missing.
struct Secrets {
  std::string operator_token;
  std::optional<TlsMaterial> tls;
};
absl::StatusOr<Secrets> LoadSecrets(const Config& config);

// What Start would stumble on beside the config itself: files, keys, addresses. Does not disturb a
// marketd that runs by the same config.
absl::Status Check(const Config& config);

// Not thread-safe.
class Process {
 public:
  // `on_fatal` is called once, from any thread, when the market cannot go on.
  Process(Config config, std::function<void(const absl::Status&)> on_fatal);
  ~Process();  // Stops.

  absl::Status Start(const Secrets& secrets);

  // Puts in force what can change while it runs: secrets, and some limits.
  void Renew(const Config& config, const Secrets& secrets);

  // Tells balancers first, then lets what is in hand finish, then stops the market behind it: the
  // last commit is whole, and who asked for it hears of it. Idempotent.
  void Stop();

  // Whether the engine does what it is given and callers are answered; says so to the health
  // service and the metrics. Takes up to `timeout`.
  absl::Status CheckAlive(absl::Duration timeout);

  const std::string& grpc_address() const { return front_door_->address(); }
  const std::string& metrics_address() const { return metrics_address_; }
  const std::string& page_address() const { return page_address_; }

 private:
  absl::Status StartMarket();
  // Of a large ledger, while the market runs.
  void LedgerChecked(const absl::Status& status);
  void LookForLedger();
  absl::Status StartServer(const Secrets& secrets);
  absl::Status StartPage();
  void SetMetricSources();
  // A backup beside the ledger, for a caller to be sent.
  absl::StatusOr<BackupFiles> MakeBackup(bool with_archive) const;

  const Config config_;
  const std::function<void(const absl::Status&)> on_fatal_;
  Metrics metrics_;
  std::unique_ptr<FrontDoor> front_door_;
  std::unique_ptr<market::Ledger> ledger_;
  dev_t ledger_device_ = 0;  // Of the file that was opened,
  ino_t ledger_inode_ = 0;
  bool ledger_is_there_ = true;  // and whether it has its name still.
  std::unique_ptr<market::Ledger> timed_ledger_;
  std::vector<std::unique_ptr<market::Host>> hosts_;
  std::vector<std::unique_ptr<market::Host>> timed_hosts_;
  std::unique_ptr<WatchHub> hub_;
  // Told of views by the engine's thread while it is made and ended by another.
  std::mutex page_mutex_;
  std::unique_ptr<Page> page_;
  std::unique_ptr<market::Runtime> runtime_;
  market::LivenessCheck liveness_;
  std::shared_ptr<TlsSource> tls_;  // Null: plain text.
  std::unique_ptr<Services> services_;
  std::string metrics_address_;
  std::string page_address_;
  std::unique_ptr<Server> server_;
};

}  // namespace nom::marketd

#endif  // MARKETD_PROCESS_H_
