// SPDX-License-Identifier: Apache-2.0
// nomctl as a process, against a market that says what it is told to.

#ifndef TESTS_UNIT_CLIENT_CLI_NOMCTL_FIXTURE_H_
#define TESTS_UNIT_CLIENT_CLI_NOMCTL_FIXTURE_H_

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "tests/unit/client/fake_market.h"
#include "tests/unit/client/process.h"

namespace nom::client_test {

namespace pb = market::v1;

class NomctlTest : public ::testing::Test {
 protected:
  NomctlTest() {
    market_.Configure([this](FakeMarket& market) {
      market.on_request = [this](const std::string& request) {
        std::lock_guard lock(mutex_);
        requests_.push_back(request);
      };
      *market.guests.add_guests() = Guest();
    });
    Publish(6);
  }

  static pb::GuestInfo Guest() {
    pb::GuestInfo guest = MakeGuest(3, "cache");
    guest.set_work_done(1234);
    guest.set_work_unit("hits");
    guest.set_activity("ser\033ving");  // A guest's word: must not reach a terminal as it is.
    guest.set_spent_microcredits(900);
    pb::Bid* bid = guest.add_bids();
    bid->set_kind(pb::RESOURCE_KIND_MEMORY);
    pb::BidRange* range = bid->add_ranges();
    range->set_min_units(1);
    range->set_max_units(32);
    range->set_value_at_min_microcredits(90);
    range->set_unit_price_microcredits(90);
    return guest;
  }
  void Publish(uint64_t round_id) {
    pb::WatchResponse response;
    response.set_sequence(round_id * 10);
    *response.mutable_state() = MakeState(round_id, 120, 20, absl::Now() + absl::Hours(1));
    *response.add_guests() = Guest();
    pb::Account* account = response.add_accounts();
    account->set_tenant_id("shop");
    account->set_available_microcredits(5000);
    market_.SetRound(round_id);
    market_.Publish(response);
  }
  // Settled, with guest 3 at 12 units of cpu, of which so much was measured.
  static pb::Round Settled(uint64_t round_id, int64_t cpu_milliunits) {
    pb::Round round;
    round.set_round_id(round_id);
    round.set_host_id("m1");
    round.set_phase(pb::ROUND_PHASE_SETTLED);
    // 2026-11-29 10:00:00Z, and a second for each round.
    round.mutable_effective_time()->set_seconds(1'795'946'400 + static_cast<int64_t>(round_id));
    pb::GuestOutcome* outcome = round.add_outcomes();
    outcome->set_guest_id(3);
    outcome->set_kind(pb::RESOURCE_KIND_CPU);
    outcome->set_seed_units(10);
    outcome->set_award_units(2);
    outcome->set_settled(true);
    outcome->set_settled_microcredits(240);
    outcome->set_delivered_milliunits(cpu_milliunits);
    outcome->set_reason(pb::AWARD_REASON_PARTLY_SERVED);
    *round.add_prices() = MakeState(round_id, 120, 20, absl::UnixEpoch()).prices(0);
    return round;
  }

  // What a command printed, as JSON.
  static google::protobuf::Struct Json(const Ended& ended) {
    google::protobuf::Struct value;
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(ended.out, &value).ok()) << ended.out;
    return value;
  }

  std::vector<std::string> Command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), NOM_NOMCTL);
    return arguments;
  }
  // With the market's address in the environment.
  Ended Run(std::vector<std::string> arguments) {
    return Process(Command(std::move(arguments)), environment_).Wait();
  }
  // Requests but for those that only look, without their random ids.
  std::vector<std::string> Writes() {
    std::lock_guard lock(mutex_);
    std::vector<std::string> writes;
    for (std::string request : requests_) {
      if (request.rfind("List", 0) == 0) continue;
      const size_t id = request.find(" request_id: \"");
      if (id != std::string::npos) request.erase(id, 14 + 32 + 1);
      writes.push_back(request);
    }
    return writes;
  }

  std::mutex mutex_;
  std::vector<std::string> requests_;
  FakeMarket market_;
  std::map<std::string, std::string> environment_ = {{"NOM_TARGET", market_.target()}};
};

}  // namespace nom::client_test

#endif  // TESTS_UNIT_CLIENT_CLI_NOMCTL_FIXTURE_H_
