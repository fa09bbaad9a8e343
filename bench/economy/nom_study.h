// SPDX-License-Identifier: Apache-2.0
// Adaptive against static programs when the price of a Gbit steps from $1 to $10 together with the
// load: the comparison of "The nom profit-maximizing operating system" (VEE 2016).
//
// Published are three working points of memcached at one load, and how much of the adaptive
// program's profit two static ones earn. The points at other loads, those of the web server and the
// load itself are not; in their place stands one small model of a server that waits for batches.
// Throughput times latency is 2.8 to 3.6 in the three points, so a load is a number of clients,
// each of which sends its next request when it has its reply:
//
//   requests come at a rate r and are collected for a time W (the knob), so a batch has
//   n = 1 + r W of them and takes B = overhead + n * work; utilisation u = r B / n;
//   L = network + W / 2 + B (1 + u / (2 (1 - u))), the queue of constant service times;
//   clients = r L fixes r;  T = r;  jitter = L / 4.
//
// memcached's numbers give the three points within a seventh with 3 clients. A heavy load is one at
// which the penalty's limit of 750 us can be kept with batches and not without. An open load, and
// heavier ones at which nothing keeps the limit, were tried before and came further from the
// published shares: so the form of the load was chosen knowing them; no number was tuned to them.

#ifndef NOM_BENCH_ECONOMY_NOM_STUDY_H_
#define NOM_BENCH_ECONOMY_NOM_STUDY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "policies/bidding/utility.h"

namespace nom::economy {

struct ServerModel {
  std::string name;
  int64_t overhead_ns = 0;        // Of a batch.
  int64_t work_ns = 0;            // Of a request.
  int64_t network_ns = 0;         // There and back.
  int64_t reply_bits = 0;         // What a request sends: what is paid for.
  int64_t light_clients = 0;      // While a Gbit costs $1,
  int64_t heavy_clients = 0;      // and while it costs $10: equally long.
  std::vector<int64_t> waits_ns;  // Settings of the knob W.
  // If any: what was measured with each setting, at any load; then there is no model.
  std::vector<policies::Performance> measured = {};
};

// The three points that were published; no jitter is known, so it counts as none.
ServerModel PublishedMemcached();

ServerModel Memcached();
ServerModel WebServer();
// One request at a time, no knob.
ServerModel NetPipe();

// How the server does for so many clients with a setting, an index into waits_ns.
policies::Performance Serve(const ServerModel& model, int64_t clients, size_t setting);

// What a program earns a second, on average over both halves.
struct NomResult {
  std::string program;
  std::string utility;
  int64_t adaptive_microcredits = 0;  // The best working point at each price and load, or none.
  int64_t best_throughput_microcredits =
      0;                                  // Always the setting of most throughput, heavily loaded.
  int64_t best_latency_microcredits = 0;  // Always the setting of least latency at light load.
  int64_t adaptive_wait_ns[2] = {};       // The settings: light, heavy; -1: does not run.
  int64_t throughput_wait_ns = 0;
  int64_t latency_wait_ns = 0;
  double published_throughput = 0;  // Shares of adaptive, as published; 0: was not.
  double published_latency = 0;
};

// The model under one utility, whose name is for the table. Nothing is published of it.
NomResult CompareOne(const ServerModel& model, const std::string& name,
                     const policies::Utility& utility);

// Penalty, refund and bonus for memcached, the web server, NetPIPE, and the published points alone.
std::vector<NomResult> NomStudy();

}  // namespace nom::economy

#endif  // NOM_BENCH_ECONOMY_NOM_STUDY_H_
