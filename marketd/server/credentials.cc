// SPDX-License-Identifier: Apache-2.0
#include "marketd/server/credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/grpc_security_constants.h>

#include <utility>

#include "marketd/base/status.h"
#include "marketd/server/status.h"

namespace nom::marketd {
namespace {

absl::string_view View(const grpc_slice& slice) {
  return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)), GRPC_SLICE_LENGTH(slice)};
}

CallHead HeadOf(const grpc_auth_context* context, const grpc_metadata* metadata, size_t count) {
  CallHead out;
  for (size_t i = 0; i < count; ++i) {
    const absl::string_view key = View(metadata[i].key);
    if (key == ":path") out.path = View(metadata[i].value);
    if (key != "authorization") continue;
    out.authorization_twice = out.authorization.has_value();
    out.authorization = View(metadata[i].value);
  }
  if (context == nullptr || grpc_auth_context_peer_is_authenticated(context) == 0) return out;
  grpc_auth_property_iterator found =
      grpc_auth_context_find_properties_by_name(context, GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (const grpc_auth_property* const pem = grpc_auth_property_iterator_next(&found)) {
    out.certificate = absl::string_view(pem->value, pem->value_length);
  }
  return out;
}

// gRPC's own pluggable check of metadata: it is asked when the headers of a call have come, and
// only then is anything more read of it.
void Check(void* state, grpc_auth_context* context, const grpc_metadata* metadata, size_t count,
           grpc_process_auth_metadata_done_cb done, void* user_data) {
  const auto& check = *static_cast<const CheckCall*>(state);
  const grpc::Status status = ToGrpcStatus(check(HeadOf(context, metadata, count)));
  done(user_data, nullptr, 0, nullptr, 0, static_cast<grpc_status_code>(status.error_code()),
       status.ok() ? nullptr : status.error_message().c_str());
}

struct Fetcher {
  std::shared_ptr<const TlsSource> source;
  std::mutex mutex;
  uint64_t version = 0;
};

// Asked at each handshake.
grpc_ssl_certificate_config_reload_status Fetch(void* user_data,
                                                grpc_ssl_server_certificate_config** config) {
  auto* const fetcher = static_cast<Fetcher*>(user_data);
  std::lock_guard lock(fetcher->mutex);
  const std::optional<TlsMaterial> material = fetcher->source->NewerThan(&fetcher->version);
  if (!material.has_value()) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
  const grpc_ssl_pem_key_cert_pair pair = {.private_key = material->key.c_str(),
                                           .cert_chain = material->cert.c_str()};
  // gRPC wants authorities also where clients are asked for nothing, and then does not use them.
  const std::string& authorities =
      material->client_ca.empty() ? material->cert : material->client_ca;
  *config = grpc_ssl_server_certificate_config_create(authorities.c_str(), &pair, 1);
  return *config == nullptr ? GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL
                            : GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

// gRPC's C++ offers neither a check of calls in plain text nor certificates that change. Its C
// interface does, and this puts it where the C++ server looks.
class Credentials final : public grpc::ServerCredentials {
 public:
  Credentials(const std::shared_ptr<const TlsSource>& tls, CheckCall check) {
    if (tls == nullptr) {
      credentials_ = grpc_insecure_server_credentials_create();
    } else {
      fetcher_.source = tls;
      uint64_t version = 0;
      const bool asks = !tls->NewerThan(&version)->client_ca.empty();
      credentials_ = grpc_ssl_server_credentials_create_with_options(
          grpc_ssl_server_credentials_create_options_using_config_fetcher(
              asks ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                   : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
              &Fetch, &fetcher_));
    }
    NOM_CHECK(credentials_ != nullptr, "gRPC has no credentials");
    if (!check) return;
    grpc_server_credentials_set_auth_metadata_processor(
        credentials_, {.process = &Check,
                       .destroy = [](void* state) { delete static_cast<CheckCall*>(state); },
                       .state = new CheckCall(std::move(check))});
  }
  ~Credentials() override { grpc_server_credentials_release(credentials_); }

  void SetAuthMetadataProcessor(
      const std::shared_ptr<grpc::AuthMetadataProcessor>& /*processor*/) override {
    NOM_CHECK(false, "the check of calls is given when credentials are made");
  }

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  Fetcher fetcher_;  // The server holds its credentials, so this outlives every handshake.
  grpc_server_credentials* credentials_ = nullptr;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> NewServerCredentials(
    const std::shared_ptr<const TlsSource>& tls, CheckCall check) {
  return std::make_shared<Credentials>(tls, std::move(check));
}

}  // namespace nom::marketd
