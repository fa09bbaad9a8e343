// SPDX-License-Identifier: Apache-2.0
#include "bench/economy/nom_study.h"

#include <optional>

#include "policies/bidding/working_points.h"

namespace nom::economy {
namespace {

using policies::Performance;
using policies::Utility;
using policies::UtilityKind;

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kRoundUs = 1'000'000;
constexpr int64_t kDollar = 1'000'000;
constexpr int64_t kLightPrice = 1 * kDollar;
constexpr int kSettingsMax = 16;
constexpr int64_t kHeavyPrice = 10 * kDollar;

// The setting, as an index into waits_ns, that leaves most at a price; -1 if none leaves anything.
// A working point needs the kbit/s that it sends, so its price is that of a kbit a round of 1 s.
int Adapt(const ServerModel& model, const Utility& utility, int64_t clients, int64_t gbit_price) {
  policies::PointBlock room[policies::PointBlocksFor(kSettingsMax)];
  policies::WorkingPointTable table(room, policies::PointBlocksFor(kSettingsMax));
  for (size_t i = 0; i < model.waits_ns.size(); ++i) {
    const Performance performance = Serve(model, clients, i);
    policies::WorkingPoint point;
    point.knob = static_cast<int64_t>(i);
    point.units[0] = performance.throughput_kbps;
    point.value_microcredits = ValuePerRound(utility, performance, kRoundUs);
    // Cannot fail: both are far within their limits, and no model has more than kSettingsMax
    // settings.
    (void)table.Add(point);
  }
  const int64_t prices[policies::kPointResourcesMax] = {gbit_price / 1'000'000};
  const int best = table.BestAt(prices);
  return best < 0 ? -1 : static_cast<int>(table.point(best).knob);
}

int64_t Earn(const ServerModel& model, const Utility& utility, int64_t clients, int64_t gbit_price,
             int setting) {
  if (setting < 0) return 0;
  return UtilityPerSecond(utility, Serve(model, clients, static_cast<size_t>(setting)), gbit_price);
}

// L of nom_study.h at a rate; nothing if the server can't keep up with it.
std::optional<int64_t> LatencyAt(const ServerModel& model, int64_t rate, int64_t wait_ns) {
  // A thousandth of a request is fine enough for batches.
  const int64_t batch_milli = 1'000 + rate * (wait_ns / 1'000) / 1'000;
  const int64_t batch_ns = model.overhead_ns + batch_milli * model.work_ns / 1'000;
  // Busy nanoseconds a second: every request costs its share of a batch.
  const int64_t busy_ns = rate * batch_ns * 1'000 / batch_milli;
  const int64_t idle_ns = kSecondNs - busy_ns;
  if (idle_ns <= 0) return std::nullopt;
  const auto waiting_ns =
      static_cast<int64_t>(static_cast<__int128>(batch_ns) * busy_ns / (2 * idle_ns));
  return model.network_ns + wait_ns / 2 + batch_ns + waiting_ns;
}

}  // namespace

ServerModel Memcached() {
  return {.name = "memcached",
          .overhead_ns = 12'000,
          .work_ns = 10'000,
          .network_ns = 12'000,
          .reply_bits = 8'192,
          .light_clients = 3,
          .heavy_clients = 30,
          .waits_ns = {0, 10'000, 14'000, 32'000, 64'000, 128'000, 256'000, 512'000}};
}

ServerModel WebServer() {
  return {.name = "web server",
          .overhead_ns = 60'000,
          .work_ns = 20'000,
          .network_ns = 50'000,
          .reply_bits = 80'000,
          .light_clients = 2,
          .heavy_clients = 8,
          .waits_ns = {0, 20'000, 50'000, 100'000, 200'000, 400'000, 800'000}};
}

ServerModel NetPipe() {
  return {.name = "NetPIPE",
          .overhead_ns = 5'000,
          .work_ns = 10'000,
          .network_ns = 12'000,
          .reply_bits = 8'192,
          .light_clients = 1,
          .heavy_clients = 1,
          .waits_ns = {0}};
}

ServerModel PublishedMemcached() {
  ServerModel model;
  model.name = "memcached, 3 points";
  model.reply_bits = 8'192;
  model.waits_ns = {10'000, 14'000, 32'000};
  const int64_t points[][2] = {{38'000, 74'000}, {40'000, 77'000}, {38'000, 96'000}};
  for (const auto& [rate, latency_ns] : points) {
    model.measured.push_back({rate * model.reply_bits / 1'000, latency_ns, 0});
  }
  return model;
}

Performance Serve(const ServerModel& model, int64_t clients, size_t setting) {
  if (!model.measured.empty()) return model.measured[setting];
  // More requests in flight at a higher rate, so the rate is found by halving.
  int64_t low = 1;
  int64_t high = kSecondNs / model.work_ns;
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    const std::optional<int64_t> latency_ns = LatencyAt(model, middle, model.waits_ns[setting]);
    if (latency_ns.has_value() && middle * *latency_ns <= clients * kSecondNs) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  Performance out;
  out.throughput_kbps = low * model.reply_bits / 1'000;
  out.latency_ns = clients * kSecondNs / low;
  out.jitter_ns = out.latency_ns / 4;
  return out;
}

NomResult CompareOne(const ServerModel& model, const std::string& name, const Utility& utility) {
  int most = 0;
  int least = 0;
  auto performance = [&](int64_t clients, int setting) {
    return Serve(model, clients, static_cast<size_t>(setting));
  };
  for (int i = 1; i < static_cast<int>(model.waits_ns.size()); ++i) {
    const Performance one = performance(model.heavy_clients, i);
    const Performance best = performance(model.heavy_clients, most);
    if (one.throughput_kbps > best.throughput_kbps) most = i;
    if (performance(model.light_clients, i).latency_ns <
        performance(model.light_clients, least).latency_ns) {
      least = i;
    }
  }
  auto both = [&](int light, int heavy) {
    return (Earn(model, utility, model.light_clients, kLightPrice, light) +
            Earn(model, utility, model.heavy_clients, kHeavyPrice, heavy)) /
           2;
  };
  const int light = Adapt(model, utility, model.light_clients, kLightPrice);
  const int heavy = Adapt(model, utility, model.heavy_clients, kHeavyPrice);
  auto wait = [&](int setting) {
    return setting < 0 ? -1 : model.waits_ns[static_cast<size_t>(setting)];
  };
  NomResult result;
  result.program = model.name;
  result.utility = name;
  result.adaptive_microcredits = both(light, heavy);
  result.best_throughput_microcredits = both(most, most);
  result.best_latency_microcredits = both(least, least);
  result.adaptive_wait_ns[0] = wait(light);
  result.adaptive_wait_ns[1] = wait(heavy);
  result.throughput_wait_ns = wait(most);
  result.latency_wait_ns = wait(least);
  return result;
}

std::vector<NomResult> NomStudy() {
  auto compare = [](const ServerModel& model, const char* name, const Utility& utility,
                    double throughput, double latency) {
    NomResult result = CompareOne(model, name, utility);
    result.published_throughput = throughput;
    result.published_latency = latency;
    return result;
  };
  const Utility penalty{.kind = UtilityKind::kPenalty};
  const Utility refund{.kind = UtilityKind::kRefund};
  const Utility bonus{.kind = UtilityKind::kBonus};
  return {
      compare(Memcached(), "penalty", penalty, .82, .14),
      compare(Memcached(), "refund", refund, .97, .69),
      compare(Memcached(), "bonus", bonus, .92, .73),
      compare(WebServer(), "penalty", penalty, .73, .94),
      compare(WebServer(), "refund", refund, .87, .78),
      compare(WebServer(), "bonus", bonus, .90, .80),
      compare(NetPipe(), "penalty", penalty, 1, 1),
      compare(NetPipe(), "refund", refund, 1, 1),
      compare(NetPipe(), "bonus", bonus, 1, 1),
      compare(PublishedMemcached(), "penalty", penalty, 0, 0),
      compare(PublishedMemcached(), "refund", refund, 0, 0),
      compare(PublishedMemcached(), "bonus", bonus, 0, 0),
  };
}

}  // namespace nom::economy
