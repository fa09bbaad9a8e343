// SPDX-License-Identifier: Apache-2.0
// What operators do: host list, tenant create and list, deposit, admit, evict, audit.

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/bid_syntax.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/lookup.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/pages.h"
#include "client/cli/table.h"
#include "client/cli/token_output.h"

namespace nom::cli {
namespace {

namespace pb = operators::v1;
using OperatorStub = pb::OperatorService::Stub;

std::string HostsText(const pb::ListHostsResponse& response, const Look& look) {
  Table table({"host", "?kind", "connected", "?>period ms", "resource", "?>unit", ">granted",
               ">granted max", ">capacity", "?~rule", "~detail"});
  for (const pb::Host& host : response.hosts()) {
    std::vector<std::string> head = {Printable(host.host_id()), Printable(host.kind()),
                                     host.connected() ? "yes" : "no",
                                     absl::StrCat(host.period_ms())};
    std::string detail = Printable(host.detail());
    for (const auto& info : host.resources()) {
      std::vector<std::string> row = std::exchange(head, std::vector<std::string>(4));
      row.insert(row.end(), {KindName(info.kind()), absl::StrCat(info.unit_size()), "", "",
                             absl::StrCat(info.capacity_units()), Printable(info.policy()),
                             std::exchange(detail, "")});
      for (const pb::HostUse& use : host.uses()) {
        if (use.kind() != info.kind()) continue;
        row[6] = absl::StrCat(use.granted_units());
        row[7] = absl::StrCat(use.granted_max_units());
      }
      table.AddRow(std::move(row));
    }
    if (host.resources().empty()) {
      head.insert(head.end(), {"-", "", "", "", "", "", detail});
      table.AddRow(std::move(head));
    }
  }
  std::string text = table.Format(look);
  for (const pb::Host& host : response.hosts()) {
    for (uint64_t slot : host.unmanaged_guest_slots()) {
      absl::StrAppend(&text, "host ", Printable(host.host_id()), " runs a guest in slot ", slot,
                      " that the ledger does not know\n");
    }
  }
  return text;
}

std::string TenantsText(const pb::ListTenantsResponse& response, const Look& look) {
  Table table({"tenant", "?~name", ">available", ">escrow", ">arrears", ">spent"});
  for (int i = 0; i < response.tenants_size(); ++i) {
    std::vector<std::string> row = {Printable(response.tenants(i).tenant_id()),
                                    Printable(response.tenants(i).display_name())};
    if (i < response.accounts_size()) {
      const auto& account = response.accounts(i);
      row.insert(row.end(), {absl::StrCat(account.available_microcredits()),
                             absl::StrCat(account.escrow_microcredits()),
                             absl::StrCat(account.arrears_microcredits()),
                             absl::StrCat(account.spent_microcredits())});
    }
    table.AddRow(std::move(row));
  }
  return table.Format(look);
}

struct AdmitArguments {
  std::string host;
  std::string tenant;
  std::string name;
  std::string image;
  std::string arguments;
  std::vector<std::string> seeds;
  int64_t memory_max_units = 0;
  std::string request_id;
};

absl::StatusOr<int> Admit(Connection& connection, const Output& out,
                          const AdmitArguments& arguments) {
  pb::AdmitGuestRequest request;
  for (const std::string& text : arguments.seeds) {
    const absl::StatusOr<std::pair<Resource, int64_t>> seed = ParseQuantity(text);
    if (!seed.ok()) return UsageError(seed.status());
    pb::Seed* to = request.add_seeds();
    to->set_kind(client::ToProto(seed->first));
    to->set_units(seed->second);
  }
  const absl::StatusOr<std::string> host = FindHost(connection, arguments.host);
  if (!host.ok()) return host.status();
  request.set_host_id(*host);
  request.set_tenant_id(arguments.tenant);
  request.set_name(arguments.name);
  request.set_image(arguments.image);
  request.set_arguments(arguments.arguments);
  request.set_memory_max_units(arguments.memory_max_units);
  pb::AdmitGuestResponse response;
  if (absl::Status status =
          connection.Write(&OperatorStub::AdmitGuest, request, &response, arguments.request_id);
      !status.ok()) {
    return status;
  }
  return out.Done(response, absl::StrCat("guest ", response.guest_id(), " runs\n"));
}

struct TenantArguments {
  std::string tenant_id;
  std::string display_name;
  TokenOutput output;
  std::string request_id;
};

absl::StatusOr<int> CreateTenant(Connection& connection, const Output& out,
                                 const TenantArguments& arguments) {
  pb::CreateTenantRequest request;
  request.mutable_tenant()->set_tenant_id(arguments.tenant_id);
  request.mutable_tenant()->set_display_name(arguments.display_name);
  return WithNewToken<pb::CreateTenantResponse>(
      out, arguments.output, absl::StrCat("tenant ", arguments.tenant_id, "\n"),
      [&](pb::CreateTenantResponse& response) {
        return connection.Write(&OperatorStub::CreateTenant, request, &response,
                                arguments.request_id);
      });
}

absl::StatusOr<int> Audit(Connection& connection, const Output& out) {
  pb::AuditResponse response;
  if (absl::Status status = connection.Call(&OperatorStub::Audit, pb::AuditRequest(), &response);
      !status.ok()) {
    return status;
  }
  std::string text =
      absl::StrCat("transactions      ", response.transactions(), "\nentries           ",
                   response.entries(), "\nrounds replayed   ", response.rounds_replayed(),
                   "\ndeposits          ", response.deposits_microcredits(), "\noperator revenue  ",
                   response.operator_revenue_microcredits(), "\nhead              ",
                   response.head_transaction_id(), " ", Printable(response.head_digest()), "\n");
  for (const std::string& finding : response.findings()) {
    absl::StrAppend(&text, "finding: ", Printable(finding), "\n");
  }
  absl::StrAppend(&text,
                  response.balanced() ? "the books balance\n" : "the books DO NOT BALANCE\n");
  if (absl::StatusOr<int> done = out.Done(response, text); !done.ok()) return done;
  return response.balanced() ? kExitOk : kExitCheckFailed;
}

absl::StatusOr<int> ListHosts(Connection& connection, const Output& out) {
  pb::ListHostsResponse response;
  if (absl::Status status =
          connection.Call(&OperatorStub::ListHosts, pb::ListHostsRequest(), &response);
      !status.ok()) {
    return status;
  }
  return out.Done(response, HostsText(response, out.look));
}

absl::StatusOr<int> ListTenants(Connection& connection, const Output& out) {
  pb::ListTenantsResponse response;
  if (absl::Status status = ListAllTenants(connection, &response); !status.ok()) return status;
  return out.Done(response, TenantsText(response, out.look));
}

void AddTenantCommands(CLI::App& app, Run& run) {
  CLI::App* tenant = app.add_subcommand("tenant", "Operators: tenants")->require_subcommand(1);
  auto arguments = std::make_shared<TenantArguments>();
  CLI::App* create = tenant->add_subcommand(
      "create",
      "A new tenant; prints its first token, once and never again, or writes it to a file\n\n"
      "Example:\n"
      "  nomctl tenant create shop --write shop.token");
  create->add_option("tenant", arguments->tenant_id, "[a-z0-9-]{1,32}")->required();
  create->add_option("--display-name", arguments->display_name, "For people");
  AddTokenOutput(create, arguments->output);
  AddRequestId(create, arguments->request_id);
  create->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return CreateTenant(connection, out, *arguments);
    };
  });
  tenant->add_subcommand("list", "All tenants and their accounts")->callback([&run] {
    run = ListTenants;
  });
}

struct DepositArguments {
  std::string tenant_id;
  int64_t microcredits = 0;
  std::string request_id;
};

absl::StatusOr<int> Deposit(Connection& connection, const Output& out,
                            const DepositArguments& arguments) {
  pb::DepositRequest request;
  request.set_tenant_id(arguments.tenant_id);
  request.set_amount_microcredits(arguments.microcredits);
  pb::DepositResponse response;
  if (absl::Status status =
          connection.Write(&OperatorStub::Deposit, request, &response, arguments.request_id);
      !status.ok()) {
    return status;
  }
  return out.Done(response,
                  absl::StrCat("tenant ", arguments.tenant_id, " has ",
                               response.account().available_microcredits(), " micro-credits\n"));
}

void AddDeposit(CLI::App& app, Run& run) {
  CLI::App* deposit = app.add_subcommand("deposit", "Operators: put money into an account");
  auto arguments = std::make_shared<DepositArguments>();
  deposit->add_option("tenant", arguments->tenant_id, "Whose")->required();
  AddMoney(deposit, "amount", arguments->microcredits,
           "Micro-credits, as 1500000, or credits, as 1.5cr; negative takes out",
           std::numeric_limits<int64_t>::min())
      ->required();
  AddRequestId(deposit, arguments->request_id);
  deposit->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return Deposit(connection, out, *arguments);
    };
  });
}

void AddAdmit(CLI::App& app, Run& run) {
  CLI::App* admit = app.add_subcommand("admit", "Operators: start a guest for a tenant");
  auto arguments = std::make_shared<AdmitArguments>();
  admit->add_option("--host", arguments->host, "The host; by default the only one");
  admit->add_option("--tenant", arguments->tenant, "Whose")->required();
  admit->add_option("--name", arguments->name, "[a-z0-9-]{1,31}, unique on the host")->required();
  admit->add_option("--image", arguments->image, "A file in the operator's image directory")
      ->required();
  admit->add_option("--arguments", arguments->arguments, "The guest's command line");
  AddRepeated(admit, "--seed", arguments->seeds,
              "RESOURCE=UNITS that it owns from now to its end; once for each resource");
  AddWhole(admit, "--memory-max", arguments->memory_max_units,
           "The most memory it may ever hold, in units; by default the host's", 0, kWholeMax);
  AddRequestId(admit, arguments->request_id);
  admit->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return Admit(connection, out, *arguments);
    };
  });
}

struct EvictArguments {
  std::string guest;
  std::string request_id;
};

absl::StatusOr<int> Evict(Connection& connection, const Output& out,
                          const EvictArguments& arguments) {
  const absl::StatusOr<uint64_t> guest_id = FindGuest(connection, arguments.guest);
  if (!guest_id.ok()) return guest_id.status();
  pb::EvictGuestRequest request;
  request.set_guest_id(*guest_id);
  pb::EvictGuestResponse response;
  if (absl::Status status =
          connection.Write(&OperatorStub::EvictGuest, request, &response, arguments.request_id);
      !status.ok()) {
    return status;
  }
  return out.Done(response, absl::StrCat("guest ", *guest_id, " is gone\n"));
}

void AddEvict(CLI::App& app, Run& run) {
  CLI::App* evict = app.add_subcommand("evict", "Operators: stop a guest and scrub what it held");
  auto arguments = std::make_shared<EvictArguments>();
  evict->add_option("guest", arguments->guest, kGuestHelp)->required();
  AddRequestId(evict, arguments->request_id);
  evict->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return Evict(connection, out, *arguments);
    };
  });
}

}  // namespace

void AddOperatorCommands(CLI::App& app, Run& run) {
  CLI::App* host = app.add_subcommand("host", "Operators: machines")->require_subcommand(1);
  host->add_subcommand("list", "All hosts, what they sell and have granted")->callback([&run] {
    run = ListHosts;
  });
  AddTenantCommands(app, run);
  AddDeposit(app, run);
  AddAdmit(app, run);
  AddEvict(app, run);
  app.add_subcommand("audit",
                     "Operators: hold the books against their entries; ends with 3 if "
                     "they do not balance")
      ->callback([&run] { run = Audit; });
}

}  // namespace nom::cli
