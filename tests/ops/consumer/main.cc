// SPDX-License-Identifier: Apache-2.0
// Uses a little of everything that the installed headers promise, against a market that is not
// there.

#include <nom/adviser.h>
#include <nom/clock.h>
#include <nom/events.h>
#include <nom/pacing.h>
#include <nom/profile.h>
#include <nom/session.h>
#include <nom/types.h>
#include <nom/utility.h>

#include <iostream>

// No gRPC or protobuf type may come with the SDK's headers.
#if defined(GOOGLE_PROTOBUF_VERSION) || defined(GRPCPP_CHANNEL_H) || defined(GRPCPP_GRPCPP_H)
#error "the SDK's headers show gRPC or protobuf"
#endif

int main() {
  const absl::StatusOr<nom::Advice> advice =
      nom::Advise({{10, 1000}, {20, 1500}}, {.unit_price_microcredits = 60});
  if (!advice.ok() || advice->best_units != 10) {
    std::cerr << "wrong advice\n";
    return 1;
  }
  const auto worth = nom::WorkingPointsAt({{.knob = 7, .performance = {.throughput_mbps = 500}}},
                                          {}, 1'000, absl::Seconds(1));
  const auto pacer = nom::BudgetPacer::Create({.period_budget_microcredits = 10});
  if (!worth.ok() || worth->at(0).value_microcredits != 10'000'000 || !pacer.ok()) {
    std::cerr << "wrong value\n";
    return 1;
  }
  nom::SessionOptions options;
  options.target = "unix:/nowhere/nom.sock";
  options.plaintext = nom::PlaintextAllowed(options.target);
  options.connect_timeout = absl::Milliseconds(300);
  const auto session = nom::Session::Connect(options);
  if (session.status().code() != absl::StatusCode::kDeadlineExceeded) {
    std::cerr << "expected no market: " << session.status() << '\n';
    return 1;
  }
  std::cout << "a stranger builds, and " << nom::ResourceName(nom::Resource::kMemory)
            << " has a name\n";
  return 0;
}
