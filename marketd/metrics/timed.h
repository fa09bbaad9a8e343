// SPDX-License-Identifier: Apache-2.0
// A ledger and a host that do what another does and observe how long it takes.

#ifndef MARKETD_METRICS_TIMED_H_
#define MARKETD_METRICS_TIMED_H_

#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include <chrono>
#include <vector>

#include "marketd/market/host.h"
#include "marketd/market/ledger.h"

namespace nom::marketd {

// From 100 us to 100 s, three a decade.
inline const prometheus::Histogram::BucketBoundaries& Buckets() {
  static const auto* const buckets = new prometheus::Histogram::BucketBoundaries{
      0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
      0.2,    0.5,    1,      2,     5,     10,    20,   50,   100};
  return *buckets;
}

class Stopwatch {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

template <typename Do>
auto Time(prometheus::Histogram& duration, const Do& work) {
  const Stopwatch watch;
  auto result = work();
  duration.Observe(watch.Seconds());
  return result;
}

class TimedLedger final : public market::Ledger {
 public:
  TimedLedger(market::Ledger& ledger, prometheus::Histogram& duration,
              prometheus::Counter& failures)
      : ledger_(ledger), duration_(duration), failures_(failures) {}

  absl::StatusOr<market::State> Load(const market::Lead& lead) override {
    return ledger_.Load(lead);
  }

  absl::Status Commit(const market::Lead& lead,
                      absl::Span<const market::Transaction> transactions) override {
    absl::Status status = Time(duration_, [&] { return ledger_.Commit(lead, transactions); });
    if (!status.ok()) failures_.Increment();
    return status;
  }

  market::LedgerReader& reader() override { return ledger_.reader(); }

 private:
  market::Ledger& ledger_;
  prometheus::Histogram& duration_;
  prometheus::Counter& failures_;
};

// Each of a host's commands has a histogram of its own; Poll returns at once and has none.
class TimedHost final : public market::Host {
 public:
  TimedHost(market::Host& host, const market::HostId& host_id,
            prometheus::Family<prometheus::Histogram>& family)
      : host_(host),
        attach_(Of(host_id, "attach", family)),
        create_(Of(host_id, "create", family)),
        destroy_(Of(host_id, "destroy", family)),
        prepare_(Of(host_id, "prepare", family)),
        apply_(Of(host_id, "apply", family)),
        publish_(Of(host_id, "publish", family)) {}

  absl::StatusOr<market::HostFacts> Attach() override {
    return Time(attach_, [this] { return host_.Attach(); });
  }
  void SetResources(absl::Span<const market::Resource> resources) override {
    host_.SetResources(resources);
  }
  absl::Status CreateGuest(const market::GuestSpec& spec) override {
    return Time(create_, [&] { return host_.CreateGuest(spec); });
  }
  absl::StatusOr<market::GuestMeters> DestroyGuest(market::GuestId guest_id) override {
    return Time(destroy_, [&] { return host_.DestroyGuest(guest_id); });
  }
  absl::Status Prepare(const market::GrantSet& grants, absl::Duration until_effective) override {
    return Time(prepare_, [&] { return host_.Prepare(grants, until_effective); });
  }
  absl::StatusOr<market::RoundReport> Apply(const market::GrantSet& grants) override {
    return Time(apply_, [&] { return host_.Apply(grants); });
  }
  absl::Status Publish(const market::BoardContents& board) override {
    return Time(publish_, [&] { return host_.Publish(board); });
  }
  std::vector<market::HostNews> Poll() override { return host_.Poll(); }

 private:
  static prometheus::Histogram& Of(const market::HostId& host_id, const char* command,
                                   prometheus::Family<prometheus::Histogram>& family) {
    return family.Add({{"host", host_id}, {"command", command}}, Buckets());
  }
  market::Host& host_;
  prometheus::Histogram& attach_;
  prometheus::Histogram& create_;
  prometheus::Histogram& destroy_;
  prometheus::Histogram& prepare_;
  prometheus::Histogram& apply_;
  prometheus::Histogram& publish_;
};

}  // namespace nom::marketd

#endif  // MARKETD_METRICS_TIMED_H_
