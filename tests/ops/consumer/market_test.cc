// SPDX-License-Identifier: Apache-2.0
// A stranger's own test of a program that bids: against nom::testing, with no daemon and no gRPC in
// sight.

#include <nom/session.h>
#include <nom/testing/fake_market.h>

#include <iostream>

#if defined(GOOGLE_PROTOBUF_VERSION) || defined(GRPCPP_CHANNEL_H) || defined(GRPCPP_GRPCPP_H)
#error "the SDK's headers show gRPC or protobuf"
#endif

int main() {
  nom::testing::FakeMarket market;
  const uint64_t guest = market.AddGuest("cache");
  market.SetPrice(nom::Resource::kMemory, 30);
  const auto session = nom::Session::Connect(market.Options());
  if (!session.ok()) {
    std::cerr << session.status() << '\n';
    return 1;
  }
  const auto round =
      (*session)->Bid({.resource = nom::Resource::kMemory, .ranges = {{1, 64, 900, 900}}});
  market.Decide();
  if (!round.ok() || market.award_units(guest, nom::Resource::kMemory) != 64) {
    std::cerr << "the bid won nothing: " << round.status() << '\n';
    return 1;
  }
  const absl::Status closed = (*session)->Close({.bids = nom::CloseOptions::Bids::kWithdraw});
  if (!closed.ok() || !market.bids().empty()) {
    std::cerr << "the bid stands after the end: " << closed << '\n';
    return 1;
  }
  std::cout << "a stranger tests its program\n";
  return 0;
}
