// SPDX-License-Identifier: Apache-2.0
// A tenant's tokens: create, list, revoke.

#include <memory>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/options.h"
#include "client/cli/table.h"
#include "client/cli/token_output.h"

namespace nom::cli {
namespace {

namespace pb = market::v1;
using MarketStub = pb::MarketService::Stub;

constexpr char kTenantHelp[] = "For operators: whose; a tenant's are its own";

struct CreateArguments {
  std::string tenant;
  std::string label;
  bool read_only = false;
  int64_t lifetime_seconds = 0;
  TokenOutput output;
  std::string request_id;
};

absl::StatusOr<int> Create(Connection& connection, const Output& out,
                           const CreateArguments& arguments) {
  pb::CreateTokenRequest request;
  request.set_tenant_id(arguments.tenant);
  request.set_label(arguments.label);
  request.set_scope(arguments.read_only ? pb::TOKEN_SCOPE_READ_ONLY : pb::TOKEN_SCOPE_FULL);
  request.set_lifetime_seconds(arguments.lifetime_seconds);
  return WithNewToken<pb::CreateTokenResponse>(
      out, arguments.output, "", [&](pb::CreateTokenResponse& response) {
        return connection.Write(&MarketStub::CreateToken, request, &response, arguments.request_id);
      });
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%SZ", absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

absl::StatusOr<int> List(Connection& connection, const Output& out, const std::string& tenant) {
  pb::ListTokensRequest request;
  request.set_tenant_id(tenant);
  pb::ListTokensResponse response;
  if (absl::Status status = connection.Call(&MarketStub::ListTokens, request, &response);
      !status.ok()) {
    return status;
  }
  Table table({">id", "~label", "may", "?created", "good until", "?shown"});
  for (const pb::TokenInfo& token : response.tokens()) {
    table.AddRow(
        {absl::StrCat(token.token_id()), Printable(token.label()),
         token.scope() == pb::TOKEN_SCOPE_READ_ONLY ? "look" : "all",
         token.has_created_time() ? TimeText(token.created_time()) : "-",
         absl::StrCat(token.has_expire_time() ? TimeText(token.expire_time()) : "it is revoked",
                      token.expired() ? " (expired)" : ""),
         token.shown() ? "now" : ""});
  }
  return out.Done(response, table.Format(out.look));
}

struct RevokeArguments {
  std::string tenant;
  uint64_t token_id = 0;
  std::string request_id;
};

absl::StatusOr<int> Revoke(Connection& connection, const Output& out,
                           const RevokeArguments& arguments) {
  pb::RevokeTokenRequest request;
  request.set_tenant_id(arguments.tenant);
  request.set_token_id(arguments.token_id);
  pb::RevokeTokenResponse response;
  if (absl::Status status =
          connection.Write(&MarketStub::RevokeToken, request, &response, arguments.request_id);
      !status.ok()) {
    return status;
  }
  return out.Done(response, absl::StrCat("token ", arguments.token_id, " is good no longer\n"));
}

void AddCreate(CLI::App* token, Run& run) {
  CLI::App* create = token->add_subcommand(
      "create",
      "One token more; prints it, once and never again, or writes it to a file\n\n"
      "Examples:\n"
      "  nomctl token create --label laptop --write laptop.token\n"
      "  nomctl token create --tenant shop --read-only --expires 90d --write dashboard.token");
  auto arguments = std::make_shared<CreateArguments>();
  create->add_option("--tenant", arguments->tenant, kTenantHelp);
  create->add_option("--label", arguments->label, "For people: where it is used, say");
  create->add_flag("--read-only", arguments->read_only, "It may look and change nothing");
  create
      ->add_option_function<std::string>(
          "--expires",
          [arguments](const std::string& text) {
            arguments->lifetime_seconds = OrUsage("--expires", ParseLifetime(text));
          },
          "When it ends by itself, from now: 12h, 90d; by default never")
      ->type_name("TIME");
  AddTokenOutput(create, arguments->output);
  AddRequestId(create, arguments->request_id);
  create->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return Create(connection, out, *arguments);
    };
  });
}

}  // namespace

void AddTokenCommands(CLI::App& app, Run& run) {
  CLI::App* token = app.add_subcommand("token", "A tenant's tokens: several, until when, for what")
                        ->require_subcommand(1);
  AddCreate(token, run);

  CLI::App* list =
      token->add_subcommand("list", "Those that were not revoked; never the token itself");
  auto tenant = std::make_shared<std::string>();
  list->add_option("--tenant", *tenant, kTenantHelp);
  list->callback([&run, tenant] {
    run = [tenant](Connection& connection, const Output& out) {
      return List(connection, out, *tenant);
    };
  });

  CLI::App* revoke =
      token->add_subcommand("revoke",
                            "Ends a token, and with it all that was begun with it\n\n"
                            "Example:\n"
                            "  nomctl token revoke 3");
  auto arguments = std::make_shared<RevokeArguments>();
  AddWhole(revoke, "id", arguments->token_id, "As nomctl token list shows it", 1, kWholeMax)
      ->required();
  revoke->add_option("--tenant", arguments->tenant, kTenantHelp);
  AddRequestId(revoke, arguments->request_id);
  revoke->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return Revoke(connection, out, *arguments);
    };
  });
}

}  // namespace nom::cli
