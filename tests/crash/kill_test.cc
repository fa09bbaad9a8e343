// SPDX-License-Identifier: Apache-2.0
// marketd killed with SIGKILL at random moments under load, and started again on the same ledger,
// of which all that is older than a second is on its way to an archive.
//
// Afterwards: all that was acknowledged is there, nothing was counted twice although every caller
// retries what it was not answered, the books balance, and every round cleared again from its
// record gives the same awards.

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <random>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

constexpr auto kMemory = market_pb::RESOURCE_KIND_MEMORY;
constexpr int64_t kKills = 50;  // About a minute and a half; NOM_KILLS says otherwise.
constexpr int kDepositors = 3;
constexpr int64_t kFirstDeposit = 1'000'000'000;

// The seed of this run: NOM_SEED, or a new one, printed either way.
uint64_t Seed() {
  uint64_t seed = 0;
  const char* const given = std::getenv("NOM_SEED");
  if (given == nullptr || !absl::SimpleAtoi(given, &seed)) seed = std::random_device()();
  std::cout << "NOM_SEED=" << seed << std::endl;
  return seed;
}

int64_t Kills() {
  int64_t kills = 0;
  const char* const given = std::getenv("NOM_KILLS");
  return given != nullptr && absl::SimpleAtoi(given, &kills) && kills > 0 ? kills : kKills;
}

// Where marketd listens now: it changes with every start.
class Address {
 public:
  void Set(const std::string& address) {
    std::lock_guard lock(mutex_);
    address_ = address;
  }
  std::string Get() const {
    std::lock_guard lock(mutex_);
    return address_;
  }

 private:
  mutable std::mutex mutex_;
  std::string address_;
};

// Calls `call` with a client of the marketd of the moment until it is answered with OK, or until
// `stop`; false then. An answer that is neither OK nor "nobody there" fails the test.
template <typename Call>
bool UntilAnswered(const Address& address, const std::string& token,
                   std::unique_ptr<Client>& client, std::string& connected_to,
                   const std::atomic<bool>& stop, const Call& call) {
  while (!stop) {
    const std::string now = address.Get();
    if (client == nullptr || connected_to != now) {
      client = std::make_unique<Client>(now, token);
      connected_to = now;
    }
    const grpc::Status status = call(*client);
    if (status.ok()) return true;
    const bool gone = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                      status.error_code() == grpc::StatusCode::CANCELLED;
    EXPECT_TRUE(gone) << status.error_code() << ": " << status.error_message();
    if (!gone) return false;
  }
  return false;
}

TEST(KillTest, NothingAcknowledgedIsLostAndNothingCountsTwice) {
  std::mt19937_64 random(Seed());
  const int64_t kills = Kills();
  const TempDir dir;
  const std::string config =
      SampleConfig(dir) + "limits: {bids_per_second: 100000, bids_burst: 100000}\nretention: 1s\n";
  MarketdProcess marketd(dir, config);
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  Address address;
  address.Set(marketd.grpc_address());
  std::string token;
  {
    const Client op(marketd.grpc_address());
    ASSERT_THAT(CreateTenant(op, "alice", "t1", &token), Succeeds());
    ASSERT_THAT(Deposit(op, "alice", kFirstDeposit, "d"), Succeeds());
  }

  std::atomic<bool> stop{false};
  std::vector<int64_t> acknowledged(kDepositors, 0);
  std::vector<int64_t> attempted(kDepositors, 0);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kDepositors; ++i) {
    threads.emplace_back([&, i] {
      std::unique_ptr<Client> client;
      std::string connected_to;
      while (!stop) {
        // Each deposit of another amount, so that a lost one can't hide behind one counted twice.
        const int64_t n = ++attempted[i];
        const std::string id = absl::StrCat("d-", i, "-", n);
        if (!UntilAnswered(address, kOperatorToken, client, connected_to, stop,
                           [&](const Client& c) { return Deposit(c, "alice", n, id); })) {
          return;
        }
        acknowledged[i] = n;
      }
    });
  }
  std::atomic<int64_t> bids_acknowledged{0};
  std::atomic<int64_t> guests_admitted{0};
  threads.emplace_back([&] {
    // Guests die with their simulated machine: admits, bids until it is told that the guest has
    // ended, evicts, begins anew.
    std::unique_ptr<Client> client;
    std::string connected_to;
    for (int64_t n = 1; !stop; ++n) {
      const std::string now = address.Get();
      if (client == nullptr || connected_to != now) {
        client = std::make_unique<Client>(now);
        connected_to = now;
      }
      uint64_t guest_id = 0;
      operators_pb::AdmitGuestRequest admit = AdmitRequest("alice", absl::StrCat("g", n));
      if (!Admit(*client, admit, &guest_id).ok()) continue;
      ++guests_admitted;
      for (int64_t bid = 1; !stop; ++bid) {
        const grpc::Status status =
            PlaceBid(*client, BidRequest(guest_id, kMemory, 1 + bid % 40, 30 + bid % 50,
                                         absl::StrCat("b", n, "-", bid)));
        if (!status.ok()) break;
        ++bids_acknowledged;
      }
      operators_pb::EvictGuestRequest evict;
      operators_pb::EvictGuestResponse evicted;
      evict.set_guest_id(guest_id);
      evict.set_request_id(absl::StrCat("e", n));
      for (bool gone = false; !gone && !stop;) {
        client = std::make_unique<Client>(address.Get());
        const grpc::Status status =
            client->operators->EvictGuest(client->Context().get(), evict, &evicted);
        gone = status.ok() || status.error_code() == grpc::StatusCode::NOT_FOUND;
      }
      connected_to.clear();
    }
  });

  for (int64_t kill = 0; kill < kills; ++kill) {
    // Anywhere from start-up to some rounds later.
    const auto life = std::chrono::microseconds(random() % (kill % 8 == 0 ? 3'000'000 : 900'000));
    std::this_thread::sleep_for(life);
    marketd.Kill();
    const absl::Status started = marketd.Start();
    ASSERT_TRUE(started.ok()) << started;
    address.Set(marketd.grpc_address());
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();

  const Client op(marketd.grpc_address());
  operators_pb::AuditResponse audit;
  ASSERT_THAT(Audit(op, &audit), Succeeds());
  for (const std::string& finding : audit.findings()) ADD_FAILURE() << finding;
  EXPECT_TRUE(audit.balanced());
  EXPECT_GT(audit.rounds_replayed(), 0u);

  // An archive that nothing went to would hold no more than its tables.
  EXPECT_GT(std::filesystem::file_size(dir.File("ledger.sqlite.archive")), size_t{512} << 10);

  // Each caller's last attempt may have been cut off, so it is settled now by a retry: from then on
  // the sum is known to the micro-credit.
  int64_t sum = kFirstDeposit;
  for (size_t i = 0; i < kDepositors; ++i) {
    ASSERT_GT(acknowledged[i], 0);
    ASSERT_LE(attempted[i] - acknowledged[i], 1);
    for (int64_t n = acknowledged[i]; n <= attempted[i]; ++n) {
      ASSERT_THAT(Deposit(op, "alice", n, absl::StrCat("d-", i, "-", n)), Succeeds());
    }
    sum += attempted[i] * (attempted[i] + 1) / 2;
  }
  ASSERT_THAT(Audit(op, &audit), Succeeds());
  EXPECT_EQ(audit.deposits_microcredits(), sum);
  EXPECT_TRUE(audit.balanced());

  market_pb::GetAccountRequest request;
  request.set_tenant_id("alice");
  market_pb::GetAccountResponse account;
  ASSERT_THAT(op.market->GetAccount(op.Context().get(), request, &account), Succeeds());
  EXPECT_EQ(account.account().available_microcredits() + account.account().escrow_microcredits() +
                account.account().spent_microcredits() - account.account().arrears_microcredits(),
            sum);
  EXPECT_EQ(audit.operator_revenue_microcredits(),
            account.account().spent_microcredits() - account.account().arrears_microcredits());
  EXPECT_GT(bids_acknowledged, 0);
  EXPECT_GT(guests_admitted, 0);
  std::cout << kills << " kills; deposits acknowledged "
            << acknowledged[0] + acknowledged[1] + acknowledged[2] << ", bids " << bids_acknowledged
            << ", guests " << guests_admitted << ", rounds replayed " << audit.rounds_replayed()
            << ", transactions " << audit.transactions() << std::endl;
  // One that ended by itself still ends cleanly.
  EXPECT_EQ(marketd.Terminate().code, 0);
}

}  // namespace
}  // namespace nom::testing
