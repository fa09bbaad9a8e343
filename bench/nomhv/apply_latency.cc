// SPDX-License-Identifier: Apache-2.0
// Time from decision to measured change: marketd's side says Apply, nomhv shrinks one guest by
// force, scrubs, grows another, reads its meters, and marketd's side has the reading in hand.
//
// usage: bench_nomhv_apply MAILBOX IMAGE_DIRECTORY IMAGE [DOORBELL_SOCKET]
// The machine must be running (see run.py beside this file). Prints medians of wall time, and
// beside each the time that a PING takes in the same run: the share that is the mailbox's alone.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "marketd/host/nomhv/nomhv_host.h"

namespace nom::market {
namespace {

constexpr int kRepetitions = 200;
constexpr GuestId kFirst = 900;
constexpr GuestId kSecond = 901;

double MicrosecondsOf(const std::function<absl::Status()>& work) {
  const auto start = std::chrono::steady_clock::now();
  const absl::Status status = work();
  const auto end = std::chrono::steady_clock::now();
  if (!status.ok()) {
    std::fprintf(stderr, "bench_nomhv_apply: %s\n", status.ToString().c_str());
    std::exit(1);
  }
  return std::chrono::duration<double, std::micro>(end - start).count();
}

double Median(std::vector<double> samples) {
  std::nth_element(samples.begin(), samples.begin() + samples.size() / 2, samples.end());
  return samples[samples.size() / 2];
}

GrantSet Split(RoundId round, int64_t first_units, int64_t second_units) {
  GrantSet set{.round_id = round, .grants = {}};
  for (const auto& [id, units] :
       {std::pair(kFirst, first_units), std::pair(kSecond, second_units)}) {
    GuestGrant grant{.guest_id = id};
    grant.now = {{.kind = ResourceKind::kMemory, .seed_units = 4, .award_units = units},
                 {.kind = ResourceKind::kCpu, .seed_units = 5, .award_units = 0}};
    grant.next = grant.now;
    set.grants.push_back(grant);
  }
  return set;
}

int Run(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: bench_nomhv_apply MAILBOX IMAGE_DIRECTORY IMAGE [DOORBELL]\n");
    return 2;
  }
  auto host = NewNomhvHost({.mailbox_path = argv[1],
                            .image_directory = argv[2],
                            .doorbell_socket = argc > 4 ? argv[4] : ""});
  const std::vector<Resource> resources = {
      {.kind = ResourceKind::kMemory, .unit_size = 1 << 20, .rule = "mpsp/1"},
      {.kind = ResourceKind::kCpu, .unit_size = 10, .rule = "uniform_price/1"}};
  host->SetResources(resources);
  absl::StatusOr<HostFacts> facts = absl::UnavailableError("not tried");
  for (int i = 0; i < 300 && absl::IsUnavailable(facts.status()); ++i) {
    facts = host->Attach();
    if (!facts.ok()) absl::SleepFor(absl::Milliseconds(100));
  }
  if (!facts.ok()) {
    std::fprintf(stderr, "bench_nomhv_apply: %s\n", facts.status().ToString().c_str());
    return 1;
  }
  for (const GuestId id : {kFirst, kSecond}) {
    GuestSpec spec{.guest_id = id, .name = "bench-" + std::to_string(id), .image = argv[3]};
    spec.seeds = {{.kind = ResourceKind::kMemory, .seed_units = 4},
                  {.kind = ResourceKind::kCpu, .seed_units = 5}};
    spec.memory_max_units = 256;
    MicrosecondsOf([&] { return host->CreateGuest(spec); });
  }

  const char* const how = argc > 4 ? "doorbell" : "polled";
  RoundId round = 1;
  BoardContents board;
  std::vector<double> publish;
  for (int i = 0; i < kRepetitions; ++i) {
    publish.push_back(MicrosecondsOf([&] { return host->Publish(board); }));
  }
  std::printf("%-9s %-28s %10.0f us median of %d\n", how, "board published", Median(publish),
              kRepetitions);
  for (const int64_t units : {int64_t{1}, int64_t{16}, int64_t{64}}) {
    std::vector<double> samples;
    for (int i = 0; i < kRepetitions; ++i) {
      const bool even = i % 2 == 0;
      const GrantSet set = Split(++round, even ? units : 0, even ? 0 : units);
      samples.push_back(MicrosecondsOf([&] { return host->Apply(set).status(); }));
    }
    const double median = Median(samples);
    std::printf("%-9s %3lld MiB moved by force      %10.0f us median of %d, %.1f x publishing\n",
                how, static_cast<long long>(units), median, kRepetitions, median / Median(publish));
  }
  for (const GuestId id : {kFirst, kSecond}) {
    MicrosecondsOf([&] { return host->DestroyGuest(id).status(); });
  }
  return 0;
}

}  // namespace
}  // namespace nom::market

int main(int argc, char** argv) { return nom::market::Run(argc, argv); }
