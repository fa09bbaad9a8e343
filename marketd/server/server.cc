// SPDX-License-Identifier: Apache-2.0
#include "marketd/server/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/impl/server_builder_plugin.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_posix.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "marketd/base/clock.h"
#include "marketd/base/status.h"
#include "marketd/server/connections.h"
#include "marketd/server/gate.h"
#include "marketd/server/status.h"
#include "nom/market/v1/keepalive.h"

namespace nom::marketd {
namespace {

// A connection that has not finished its handshakes after this time is ended.
constexpr int kHandshakeTimeoutMs = 10'000;

// What anybody may ask.
bool IsOpenToAll(absl::string_view path) {
  return absl::StartsWith(path, "/grpc.health.v1.Health/") ||
         absl::StartsWith(path, "/grpc.reflection.");
}

// Calls that are refused before they begin are calls, too, for whoever counts them.
CheckCall Counting(CheckCall check, CallDone done) {
  if (!check) return check;
  return [check = std::move(check), done = std::move(done)](const CallHead& head) {
    if (IsOpenToAll(head.path)) return absl::OkStatus();
    absl::Status status = check(head);
    if (!status.ok() && done) {
      done(MethodName(head.path), CodeName(static_cast<grpc::StatusCode>(status.raw_code())),
           absl::ZeroDuration());
    }
    return status;
  };
}

// The reflection library adds itself to every server of a process that links it. This takes it off
// again: exposure is the operator's choice.
class WithoutReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments* /*args*/) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins, [](const std::unique_ptr<grpc::ServerBuilderPlugin>& plugin) {
      return absl::StrContains(plugin->name(), "reflection");
    });
  }
};

class ServerImpl final : public Server {
 public:
  ServerImpl(std::unique_ptr<Gate> in_hand, std::shared_ptr<grpc::ServerCredentials> credentials,
             std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor,
             std::unique_ptr<grpc::Server> server, const ServerOptions& options)
      : in_hand_(std::move(in_hand)),
        credentials_(std::move(credentials)),
        acceptor_(std::move(acceptor)),
        server_(std::move(server)),
        front_door_(*options.front_door),
        service_names_(options.service_names) {
    SetServing(false);
  }
  ~ServerImpl() override { Shutdown(absl::ZeroDuration()); }

  absl::Status Open(const ServerOptions& options) {
    return front_door_.Open(
        {.caller =
             [this](int listener_fd, int fd) {
               grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
               connection.listener_fd = listener_fd;
               connection.fd = fd;
               acceptor_->HandleNewConnection(&connection);
             },
         .visitor = [this](int fd) { grpc::AddInsecureChannelFromFd(server_.get(), fd); }},
        options.connections_max, options.descriptors_kept);
  }

  void SetServing(bool serving) override {
    grpc::HealthCheckServiceInterface* const health = server_->GetHealthCheckService();
    if (health == nullptr) return;
    health->SetServingStatus("", serving);
    for (const std::string& name : service_names_) health->SetServingStatus(name, serving);
  }

  void Shutdown(absl::Duration timeout) override {
    std::call_once(shut_down_, [&] {
      const absl::Time deadline = Clock::Real().Now() + timeout;  // Nobody sets this clock.
      SetServing(false);
      // A call that gRPC has read when it is told to stop, and that nobody of ours has seen, it
      // answers CANCELLED, as if the caller had gone away (grpc issue 41785), and clients do not
      // try that again. So the connections end first: then the caller finds the market UNAVAILABLE.
      in_hand_->WaitEmpty(timeout);
      front_door_.Close();
      EndConnections(front_door_.address());
      const absl::Duration left = std::max(absl::ZeroDuration(), deadline - Clock::Real().Now());
      server_->Shutdown(absl::ToChronoTime(absl::Now() + left));
      server_->Wait();
    });
  }

 private:
  const std::unique_ptr<Gate> in_hand_;
  const std::shared_ptr<grpc::ServerCredentials> credentials_;
  const std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  FrontDoor& front_door_;
  const std::vector<std::string> service_names_;
  std::once_flag shut_down_;
};

void SetLimits(const ServerOptions& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(options.message_max_bytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.streams_per_connection_max);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeTimeoutMs);
  grpc::ResourceQuota quota("marketd");
  quota.Resize(options.memory_max_bytes);
  builder.SetResourceQuota(quota);
}

void SetKeepalive(grpc::ServerBuilder& builder) {
  namespace wire = ::nom::market::v1;
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, wire::kKeepalive.ping_interval_ms);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, wire::kKeepalive.ping_timeout_ms);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // As many as it takes.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             wire::kPingIntervalMinMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, wire::kIdleMaxMs);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  NOM_CHECK(options.front_door != nullptr, "a server needs a front door");
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();

  grpc::ServerBuilder builder;
  if (!options.reflection) builder.SetOption(std::make_unique<WithoutReflection>());
  const std::shared_ptr<grpc::ServerCredentials> credentials =
      NewServerCredentials(options.tls, Counting(options.check_call, options.on_call_done));
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor =
      builder.experimental().AddExternalConnectionAcceptor(
          grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials);
  SetLimits(options, builder);
  SetKeepalive(builder);
  for (grpc::Service* service : options.services) builder.RegisterService(service);
  auto in_hand = std::make_unique<Gate>();
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> creators;
  creators.push_back(NewCallObserver(options.on_call_done, in_hand.get()));
  builder.experimental().SetInterceptorCreators(std::move(creators));
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return absl::UnavailableError("gRPC does not start");
  auto out = std::make_unique<ServerImpl>(std::move(in_hand), credentials, std::move(acceptor),
                                          std::move(server), options);
  NOM_RETURN_IF_ERROR(out->Open(options));
  return out;
}

}  // namespace nom::marketd
