#include "marketd/server/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/impl/server_builder_plugin.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/clock.h"
#include "marketd/server/connections.h"
#include "marketd/server/gate.h"

namespace nom::marketd {
namespace {

std::shared_ptr<grpc::ServerCredentials> Credentials(const TlsMaterial* tls) {
  if (tls == nullptr) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(
      tls->client_ca.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                             : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = tls->client_ca;
  options.pem_key_cert_pairs.push_back({tls->key, tls->cert});
  return grpc::SslServerCredentials(options);
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

std::string WithPort(const std::string& listen, int port) {
  if (absl::StartsWith(listen, "unix:")) return listen;
  return absl::StrCat(listen.substr(0, listen.rfind(':')), ":", port);
}

class ServerImpl final : public Server {
 public:
  ServerImpl(std::unique_ptr<Gate> in_hand, std::unique_ptr<grpc::Server> server,
             std::string address, std::vector<std::string> service_names)
      : in_hand_(std::move(in_hand)),
        server_(std::move(server)),
        address_(std::move(address)),
        service_names_(std::move(service_names)) {
    SetServing(false);
  }
  ~ServerImpl() override { Shutdown(absl::ZeroDuration()); }

  const std::string& address() const override { return address_; }

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
      EndConnections(address_);
      const absl::Duration left = std::max(absl::ZeroDuration(), deadline - Clock::Real().Now());
      server_->Shutdown(absl::ToChronoTime(absl::Now() + left));
      server_->Wait();
    });
  }

 private:
  const std::unique_ptr<Gate> in_hand_;
  std::unique_ptr<grpc::Server> server_;
  const std::string address_;
  const std::vector<std::string> service_names_;
  std::once_flag shut_down_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();

  grpc::ServerBuilder builder;
  if (!options.reflection) builder.SetOption(std::make_unique<WithoutReflection>());
  int port = 0;
  builder.AddListeningPort(options.listen, Credentials(options.tls), &port);
  // Two servers on one port would share its connections between them, silently.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(options.message_max_bytes);
  for (grpc::Service* service : options.services) builder.RegisterService(service);
  auto in_hand = std::make_unique<Gate>();
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> creators;
  creators.push_back(NewCallObserver(options.on_call_done, in_hand.get()));
  builder.experimental().SetInterceptorCreators(std::move(creators));
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || (port == 0 && !absl::StartsWith(options.listen, "unix:"))) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.listen,
                                               ": the address is in use or not this machine's"));
  }
  return std::make_unique<ServerImpl>(std::move(in_hand), std::move(server),
                                      WithPort(options.listen, port), options.service_names);
}

}  // namespace nom::marketd
