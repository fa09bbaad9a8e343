// SPDX-License-Identifier: Apache-2.0
// Whose reads of the ledger are done when: over real gRPC, with a ledger that answers when it is
// told to.

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "marketd/market/runtime.h"
#include "marketd/server/front_door.h"
#include "marketd/server/server.h"
#include "marketd/services/services.h"
#include "marketd/services/watch_hub.h"
#include "nom/market/v1/market.grpc.pb.h"
#include "nom/operators/v1/operators.grpc.pb.h"
#include "tests/sim/world.h"
#include "tests/unit/marketd/page/fake_reader.h"

namespace nom::marketd {
namespace {

namespace market_pb = ::nom::market::v1;
namespace operators_pb = ::nom::operators::v1;

constexpr char kOperatorToken[] = "token-of-the-operator";
constexpr int kQueuedMax = 32;  // Of one owner: services.cc.

// Writes down who reads, by the size of the page that each asks for; waits at each read until it
// was opened.
class GatedReader final : public FakeReader {
 public:
  absl::StatusOr<std::vector<market::Round>> ListRounds(const market::HostId&, market::RoundId,
                                                        int limit) override {
    std::unique_lock lock(mutex_);
    order_.push_back(limit - 1);  // One more is read, to see whether there are more.
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    return std::vector<market::Round>();
  }
  void WaitForARead() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !order_.empty(); });
  }
  void Open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  std::vector<int> order() const {
    std::lock_guard lock(mutex_);
    return order_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int> order_;
  bool open_ = false;
};

// Somebody with a connection and calls under way on it.
class Client {
 public:
  Client(const std::string& address, std::string token)
      : token_(std::move(token)),
        channel_(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())),
        market_(market_pb::MarketService::NewStub(channel_)) {}
  ~Client() { WaitForAll(); }

  void Sign(grpc::ClientContext& context) const {
    context.AddMetadata("authorization", "Bearer " + token_);
  }
  std::shared_ptr<grpc::Channel> channel() const { return channel_; }

  void ListRounds(int page_size) {
    Call* call = nullptr;
    {
      std::lock_guard lock(mutex_);
      call = &calls_.emplace_back();
      ++open_;
    }
    Sign(call->context);
    call->request.set_page_size(page_size);
    market_->async()->ListRounds(&call->context, &call->request, &call->response,
                                 [this](const grpc::Status& status) {
                                   std::lock_guard lock(mutex_);
                                   --open_;
                                   ++answers_[status.error_code()];
                                   changed_.notify_all();
                                 });
  }
  void WaitForRefusal() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return answers_[grpc::StatusCode::RESOURCE_EXHAUSTED] > 0; });
  }
  std::map<grpc::StatusCode, int> WaitForAll() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_ == 0; });
    return answers_;
  }

 private:
  struct Call {
    grpc::ClientContext context;
    market_pb::ListRoundsRequest request;
    market_pb::ListRoundsResponse response;
  };
  const std::string token_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<market_pb::MarketService::Stub> market_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Call> calls_;
  int open_ = 0;
  std::map<grpc::StatusCode, int> answers_;
};

class ReadsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ledger_ = *market::OpenSqliteLedger({.path = directory_.File("ledger"), .sync_to_disk = false});
    market::SimulatedHostOptions host = market::TestHostOptions(1);
    host.clock = &clock_;
    host_ = std::make_unique<market::SimulatedHost>(host);
    market::Runtime::Options options;
    options.config.hosts = {market::TestHostConfig("h", absl::Seconds(1))};
    options.poll_interval = absl::Milliseconds(1);
    auto runtime =
        market::Runtime::Start(std::move(options), clock_, *ledger_, {{"h", host_.get()}});
    ASSERT_TRUE(runtime.ok()) << runtime.status();
    runtime_ = *std::move(runtime);
    hub_ = std::make_unique<WatchHub>(8, 8);
    services_ = std::make_unique<Services>(ServicesOptions{.operator_token = kOperatorToken},
                                           *runtime_, reader_, clock_, *hub_);
    auto door = FrontDoor::Make("127.0.0.1:0");
    ASSERT_TRUE(door.ok()) << door.status();
    door_ = *std::move(door);
    ServerOptions server;
    server.front_door = door_.get();
    server.services = services_->services();
    server.check_call = [this](const CallHead& head) { return services_->Check(head); };
    auto started = Server::Start(server);
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
    operator_ = std::make_unique<Client>(door_->address(), kOperatorToken);
  }
  void TearDown() override {
    reader_.Open();
    operator_ = nullptr;
    if (services_ != nullptr) services_->Drain(absl::Seconds(60));
    if (server_ != nullptr) server_->Shutdown(absl::Seconds(60));
    if (runtime_ != nullptr) runtime_->Stop();
  }

  std::unique_ptr<Client> NewTenant(const std::string& tenant_id) {
    operators_pb::CreateTenantRequest request;
    operators_pb::CreateTenantResponse response;
    request.mutable_tenant()->set_tenant_id(tenant_id);
    request.set_request_id(tenant_id);
    grpc::ClientContext context;
    operator_->Sign(context);
    const grpc::Status status = operators_pb::OperatorService::NewStub(operator_->channel())
                                    ->CreateTenant(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return std::make_unique<Client>(door_->address(), response.token());
  }

  market::TempDirectory directory_;
  SimulatedClock clock_;
  GatedReader reader_;
  std::unique_ptr<market::Ledger> ledger_;
  std::unique_ptr<market::SimulatedHost> host_;
  std::unique_ptr<market::Runtime> runtime_;
  std::unique_ptr<WatchHub> hub_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<FrontDoor> door_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> operator_;
};

// Each in turn, and the operator at every second place, however much one has heaped up before.
TEST_F(ReadsTest, NobodyWaitsForWhatAnotherHasHeapedUp) {
  const std::unique_ptr<Client> ann = NewTenant("ann");
  const std::unique_ptr<Client> ben = NewTenant("ben");
  constexpr int kFirst = 1;
  constexpr int kAnn = 2;
  constexpr int kBen = 3;
  constexpr int kOperator = 4;
  ann->ListRounds(kFirst);
  reader_.WaitForARead();
  for (const auto& [client, page_size] : {std::pair(ann.get(), kAnn), std::pair(ben.get(), kBen),
                                          std::pair(operator_.get(), kOperator)}) {
    // Refused is the one for which there is no room: so all others wait in the queue by then.
    for (int i = 0; i <= kQueuedMax; ++i) client->ListRounds(page_size);
    client->WaitForRefusal();
  }
  reader_.Open();
  for (Client* client : {ann.get(), ben.get(), operator_.get()}) {
    EXPECT_EQ(client->WaitForAll()[grpc::StatusCode::RESOURCE_EXHAUSTED], 1);
  }
  const std::vector<int> order = reader_.order();
  ASSERT_EQ(order.size(), 1u + 3 * kQueuedMax);
  const auto of = [&order](int page_size, int from, int to) {
    return std::count(order.begin() + from, order.begin() + to, page_size);
  };
  // Until the operator's are done they are every second one, and the tenants share the rest.
  EXPECT_EQ(of(kOperator, 1, 1 + 2 * kQueuedMax), kQueuedMax);
  EXPECT_EQ(of(kAnn, 1, 1 + 2 * kQueuedMax), kQueuedMax / 2);
  EXPECT_EQ(of(kBen, 1, 1 + 2 * kQueuedMax), kQueuedMax / 2);
  EXPECT_EQ(of(kOperator, 1, 5), 2) << "from the first on";
}

}  // namespace
}  // namespace nom::marketd
