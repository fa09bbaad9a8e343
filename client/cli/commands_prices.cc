// SPDX-License-Identifier: Apache-2.0
// prices: what units cost in past rounds.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/cli/bid_syntax.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/options.h"
#include "client/cli/price_plot.h"

namespace nom::cli {
namespace {

namespace pb = market::v1;
using MarketStub = pb::MarketService::Stub;

constexpr int64_t kPageRoundsMax = 1'000;
constexpr int64_t kRoundsDefault = 360;         // If no time is named,
constexpr int64_t kRoundsSinceMax = 1'000'000;  // and if one is: some hundred MB.

struct PricesArguments {
  std::string host;
  std::vector<std::string> kinds;
  int64_t since_seconds = 0;
  int64_t limit = 0;
  bool csv = false;
};

absl::StatusOr<pb::ListPricesRequest> RequestOf(const PricesArguments& arguments) {
  pb::ListPricesRequest request;
  request.set_host_id(arguments.host);
  for (const std::string& kind : arguments.kinds) {
    const absl::StatusOr<Resource> resource = ParseResourceArgument(kind);
    if (!resource.ok()) return UsageError(resource.status());
    request.add_kinds(client::ToProto(*resource));
  }
  if (arguments.since_seconds > 0) {
    const int64_t since = absl::ToUnixSeconds(absl::Now()) - arguments.since_seconds;
    request.mutable_since_time()->set_seconds(std::max<int64_t>(since, 0));
  }
  return request;
}

absl::StatusOr<int> Prices(Connection& connection, const Output& out,
                           const PricesArguments& arguments) {
  if (arguments.csv && out.json) {
    return UsageError(absl::InvalidArgumentError("--csv and --json: only one of them"));
  }
  absl::StatusOr<pb::ListPricesRequest> request = RequestOf(arguments);
  if (!request.ok()) return request.status();
  const int64_t limit = arguments.limit > 0           ? arguments.limit
                        : arguments.since_seconds > 0 ? kRoundsSinceMax
                                                      : kRoundsDefault;
  pb::ListPricesResponse all;
  for (int64_t left = limit; left > 0; left = limit - all.rounds_size()) {
    request->set_page_size(static_cast<int32_t>(std::min(left, kPageRoundsMax)));
    pb::ListPricesResponse page;
    if (absl::Status status = connection.Call(&MarketStub::ListPrices, *request, &page);
        !status.ok()) {
      return status;
    }
    all.mutable_rounds()->MergeFrom(page.rounds());
    all.set_next_page_token(page.next_page_token());
    if (page.next_page_token().empty()) break;
    request->set_page_token(page.next_page_token());
  }
  if (arguments.csv) {
    out.data << PricesCsv(all.rounds());
  } else if (absl::StatusOr<int> done = out.Done(all, PricesText(all.rounds(), out.look));
             !done.ok()) {
    return done;
  }
  // Where a time was named, who reads on would take the history for shorter than it is.
  if (arguments.since_seconds > 0 && !all.next_page_token().empty()) {
    out.talk << "nomctl: these are the newest " << all.rounds_size()
             << " rounds; --limit says how many are shown\n";
  }
  return kExitOk;
}

}  // namespace

void AddPricesCommand(CLI::App& app, Run& run) {
  CLI::App* prices = app.add_subcommand(
      "prices",
      "What units cost in past rounds: plots, or lines for other programs\n\n"
      "'*' is the price, '-' the operator's reserve; below, the newest price, and over all rounds\n"
      "the least, the median and the most.\n\n"
      "Examples:\n"
      "  nomctl prices --kind cpu --since 1h\n"
      "  nomctl prices --since 30d --csv > prices.csv");
  auto arguments = std::make_shared<PricesArguments>();
  AddHost(prices, arguments->host);
  prices->add_option("--kind", arguments->kinds, "Only these resources: cpu, memory, ...");
  prices
      ->add_option_function<std::string>(
          "--since",
          [arguments](const std::string& text) {
            arguments->since_seconds = OrUsage("--since", ParseLifetime(text));
          },
          "Rounds that closed within this time: 45s, 30m, 12h, 90d")
      ->type_name("TIME");
  AddWhole(prices, "--limit", arguments->limit,
           "The newest so many rounds; by default 360, or all of --since", 1, kRoundsSinceMax);
  prices->add_flag("--csv", arguments->csv, "A line for each round and resource, oldest first");
  prices->callback([&run, arguments] {
    run = [arguments](Connection& connection, const Output& out) {
      return Prices(connection, out, *arguments);
    };
  });
}

}  // namespace nom::cli
