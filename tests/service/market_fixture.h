// SPDX-License-Identifier: Apache-2.0
// A running marketd with two tenants and a guest each: what most service tests start from.

#ifndef TESTS_SERVICE_MARKET_FIXTURE_H_
#define TESTS_SERVICE_MARKET_FIXTURE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/service/marketd_process.h"

namespace nom::testing {

namespace market_pb = ::nom::market::v1;
namespace operators_pb = ::nom::operators::v1;

// Matches a grpc::Status by its code and a piece of its message.
MATCHER_P2(Fails, code, piece, "") {
  *result_listener << "which is " << arg.error_code() << ": " << arg.error_message();
  return arg.error_code() == code && arg.error_message().find(piece) != std::string::npos;
}
MATCHER(Succeeds, "") {
  *result_listener << "which is " << arg.error_code() << ": " << arg.error_message();
  return arg.ok();
}

// Calls made short: each returns the status and fills the response.
grpc::Status CreateTenant(const Client& client, const std::string& tenant_id,
                          const std::string& request_id, std::string* token);
grpc::Status Deposit(const Client& client, const std::string& tenant_id, int64_t microcredits,
                     const std::string& request_id, market_pb::Account* account = nullptr);
// With a seed of 4 units of memory and 5 of cpu.
operators_pb::AdmitGuestRequest AdmitRequest(const std::string& tenant_id, const std::string& name);
grpc::Status Admit(const Client& client, const operators_pb::AdmitGuestRequest& request,
                   uint64_t* guest_id);
// One range: up to `max_units` at `unit_price` each.
market_pb::PlaceBidRequest BidRequest(uint64_t guest_id, market_pb::ResourceKind kind,
                                      int64_t max_units, int64_t unit_price,
                                      const std::string& request_id);
grpc::Status PlaceBid(const Client& client, const market_pb::PlaceBidRequest& request,
                      uint64_t* round_id = nullptr);
grpc::Status Audit(const Client& client, operators_pb::AuditResponse* response);

// Reads the stream until `wanted` is true of a response; false if the stream ends first. What it
// waits for must come: a test that hangs here is ended by its time limit.
template <typename Reader, typename Wanted>
bool ReadUntil(Reader& reader, market_pb::WatchResponse* response, const Wanted& wanted) {
  while (reader.Read(response)) {
    if (wanted(*response)) return true;
    response->Clear();
  }
  return false;
}

class MarketTest : public ::testing::Test {
 protected:
  MarketTest();
  void SetUp() override;
  // Waits until a round in which `client`'s guest won has been settled; it and its outcome.
  static market_pb::Round WaitForSettled(const Client& client, uint64_t guest_id,
                                         uint64_t from_round_id);
  // The whole configuration, before marketd starts.
  virtual std::string Config() { return SampleConfig(dir_); }

  TempDir dir_;
  std::unique_ptr<MarketdProcess> marketd_;
  std::unique_ptr<Client> operator_;  // Speaks as the operator,
  std::unique_ptr<Client> alice_;     // as a tenant with 10^9 micro-credits
  std::unique_ptr<Client> bob_;       // and as another with as many.
  uint64_t alices_guest_ = 0;
  uint64_t bobs_guest_ = 0;
};

}  // namespace nom::testing

#endif  // TESTS_SERVICE_MARKET_FIXTURE_H_
