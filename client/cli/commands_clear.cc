// SPDX-License-Identifier: Apache-2.0
// clear: auctions cleared here, from a file or out of the ledger.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/bid_syntax.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/lookup.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/table.h"
#include "client/cli/what_if.h"
#include "client/cli/what_if_joint.h"
#include "policies/bidding/range.h"
#include "policies/cases/joint_case_file.h"
#include "policies/clearing/joint/joint_fallback.h"

namespace nom::cli {
namespace {

constexpr char kDescription[] = "Clear an auction here, to try an idea or to ask \"what if\"";

constexpr char kFooter[] = R"(
Examples:
  nomctl clear policies/cases/worked_example.yaml   each rule that the file expects something of
  nomctl clear auction.yaml --rule all --json
  nomctl clear auction.yaml --rule mpsp/1 --work-max 100000
  nomctl clear - <auction.yaml
  nomctl clear --round 12                           a past round again, as operator
  nomctl clear --round 12 --reserve 500             what a higher reserve would have done

The file is an auction or a case, of one resource or a joint one, in the format of policies/cases;
--json uses its names. Joint auctions are cleared by joint_vcg/1; where --work-max ends it early,
each charge is told with the interval in which VCG's lies.
A round is cleared by the rule and within the work that the ledger has for it.
Ends with 1 if a rule refuses the auction (with --rule all: if all do), 2 if the file is none, 3 if an answer is not what the
file expects. With --capacity, --reserve or --work-max nothing is expected.)";

struct ClearArguments {
  std::string file;
  uint64_t round_id = 0;
  std::string host;
  std::string resource;
  WhatIf what_if;
};

absl::StatusOr<std::string> ReadText(const std::string& file) {
  std::ifstream stream;
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": is a directory"));
  }
  if (file != "-") {
    stream.open(file, std::ios::binary);
    if (!stream) return absl::NotFoundError(absl::StrCat(file, ": cannot be read"));
  }
  std::istream& from = file == "-" ? std::cin : stream;
  std::string text(std::istreambuf_iterator<char>(from), {});
  if (from.bad()) return absl::DataLossError(absl::StrCat(file, ": cannot be read to its end"));
  return text;
}

absl::StatusOr<std::vector<Report>> FromFile(const std::string& file, const WhatIf& what_if) {
  const absl::StatusOr<std::string> text = ReadText(file);
  if (!text.ok()) return UsageError(text.status());
  const std::string name = file == "-" ? "standard input" : file;
  if (policies::IsJointText(*text)) {
    const absl::StatusOr<JointAnswer> answer = AskJoint(name, *text, what_if);
    if (!answer.ok()) return UsageError(answer.status());
    return std::vector<Report>{ReportOf(*answer)};
  }
  absl::StatusOr<AuctionSource> source = ParseSource(name, *text);
  if (!source.ok()) return UsageError(source.status());
  const absl::StatusOr<Answers> answers = Ask(*std::move(source), what_if);
  if (!answers.ok()) return UsageError(answers.status());
  return std::vector<Report>{ReportOf(*answers)};
}

// The round's auctions, by rising kind; only that of `resource` unless it is empty.
absl::StatusOr<std::vector<Report>> FromLedger(Connection& connection,
                                               const ClearArguments& arguments) {
  std::optional<market::v1::ResourceKind> wanted;
  if (!arguments.resource.empty()) {
    const absl::StatusOr<Resource> resource = ParseResourceArgument(arguments.resource);
    if (!resource.ok()) return UsageError(resource.status());
    wanted = client::ToProto(*resource);
  }
  const absl::StatusOr<std::string> host = FindHost(connection, arguments.host);
  if (!host.ok()) return host.status();
  market::v1::ListRoundsRequest list;
  list.set_host_id(*host);
  list.set_page_size(1);
  list.set_before_round_id(arguments.round_id + 1);
  market::v1::ListRoundsResponse rounds;
  if (absl::Status status =
          connection.Call(&market::v1::MarketService::Stub::ListRounds, list, &rounds);
      !status.ok()) {
    return status;
  }
  if (rounds.rounds().empty() || rounds.rounds(0).round_id() != arguments.round_id) {
    return absl::NotFoundError(absl::StrCat("host ", Printable(*host), " has no round ",
                                            arguments.round_id, " on record"));
  }
  std::vector<Report> reports;
  for (const market::v1::ResourcePrice& price : rounds.rounds(0).prices()) {
    if (wanted && price.kind() != *wanted) continue;
    operators::v1::GetRoundRecordRequest request;
    request.set_host_id(*host);
    request.set_round_id(arguments.round_id);
    request.set_kind(price.kind());
    operators::v1::GetRoundRecordResponse record;
    if (absl::Status status = connection.Call(&operators::v1::OperatorService::Stub::GetRoundRecord,
                                              request, &record);
        !status.ok()) {
      return status;
    }
    const std::string name =
        absl::StrCat("round ", arguments.round_id, " of ", Printable(*host), ", ");
    if (record.policy() == kJointRule) {  // One record for all resources.
      WhatIf what_if = arguments.what_if;
      if (!what_if.work_max && record.work_max() > 0) {
        what_if.work_max = record.work_max() * policies::kJointStepsAStep;
      }
      const absl::StatusOr<JointAnswer> answer = AskJoint(
          name + "all resources (bidders are guest * 8 + resource, + 0 for several together)",
          record.auction(), what_if);
      if (!answer.ok()) return UsageError(answer.status());
      reports.push_back(ReportOf(*answer));
      break;
    }
    absl::StatusOr<AuctionSource> source =
        ParseSource(name + KindName(price.kind()), record.auction());
    if (!source.ok()) return source.status();
    source->rule = record.policy();
    if (record.work_max() > 0) source->work_max = record.work_max();
    const absl::StatusOr<Answers> answers = Ask(*std::move(source), arguments.what_if);
    if (!answers.ok()) return UsageError(answers.status());
    reports.push_back(ReportOf(*answers));
  }
  if (reports.empty()) {
    return absl::NotFoundError(absl::StrCat("round ", arguments.round_id, " of host ",
                                            Printable(*host), " sold no ", arguments.resource));
  }
  return reports;
}

absl::StatusOr<int> Clear(Connection& connection, const Output& out,
                          const ClearArguments& arguments) {
  const absl::StatusOr<std::vector<Report>> reports =
      arguments.file.empty() ? FromLedger(connection, arguments)
                             : FromFile(arguments.file, arguments.what_if);
  if (!reports.ok()) return reports.status();
  int code = kExitOk;
  std::vector<std::string> parts;
  for (const Report& report : *reports) {
    parts.push_back(out.json ? report.json : report.text);
    if (report.refused) code = std::max(code, kExitCallFailed);
    if (report.unexpected) code = kExitCheckFailed;
  }
  if (out.json) {
    out.data << "[" << absl::StrJoin(parts, ",\n") << "]\n";
  } else {
    out.data << absl::StrJoin(parts, "\n");
  }
  return code;
}

}  // namespace

void AddClearCommand(CLI::App& app, Run& run) {
  CLI::App* clear = app.add_subcommand("clear", kDescription);
  clear->footer(kFooter);
  auto arguments = std::make_shared<ClearArguments>();
  WhatIf& what_if = arguments->what_if;
  CLI::Option* file =
      clear->add_option("file", arguments->file, "The auction; - reads standard input");
  CLI::Option* round = AddWhole(clear, "--round", arguments->round_id,
                                "Operators: a round out of the ledger instead", 1, kWholeMax - 1)
                           ->excludes(file);
  clear->add_option("--host", arguments->host, "The round's host; by default the only one")
      ->needs(round);
  clear->add_option("--resource", arguments->resource, "Only this of the round's auctions")
      ->needs(round);
  clear->add_option("--rule", what_if.rules,
                    "By this rule, or all; by default those of which the file expects something, "
                    "else mpsp/1");
  AddWhole(clear, "--work-max", what_if.work_max,
           "Steps of work after which the fallbacks begin: coarser, greedy, repeat last", 0,
           kWholeMax);
  AddWhole(clear, "--capacity", what_if.capacity_units, "Units for sale, instead of the auction's",
           0, policies::kUnitsMax);
  AddMoney(clear, "--reserve", what_if.reserve_unit_price_microcredits,
           "Reserve price a unit, instead of the auction's", 0, policies::kValueMaxMicrocredits);
  clear->callback([&run, arguments] {
    if (arguments->file.empty() && arguments->round_id == 0) {
      throw CLI::RequiredError("file or --round");
    }
    run = [arguments](Connection& connection, const Output& out) {
      return Clear(connection, out, *arguments);
    };
  });
}

}  // namespace nom::cli
