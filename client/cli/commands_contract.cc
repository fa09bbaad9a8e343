// SPDX-License-Identifier: Apache-2.0
// Contracts: quote, buy, contracts, offers, sublet, take, withdraw-offer, leave, renew.

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "client/cli/amounts.h"
#include "client/cli/bid_syntax.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/lookup.h"
#include "client/cli/names.h"
#include "client/cli/options.h"
#include "client/cli/table.h"
#include "nom/types.h"

namespace nom::cli {
namespace {

namespace pb = market::v1;
using MarketStub = pb::MarketService::Stub;

constexpr int kPageSize = 1000;
constexpr int kEndedMax = 10'000;  // More are for programs, page by page.

std::string LotsText(const google::protobuf::RepeatedPtrField<pb::Lot>& lots) {
  std::vector<std::string> texts;
  for (const pb::Lot& lot : lots) {
    texts.push_back(absl::StrCat(KindName(lot.kind()), "=", lot.units()));
  }
  return absl::StrJoin(texts, ",");
}

// For a round of all lots; stays at the largest number instead of passing it: it is only shown.
int64_t ChargeOf(const google::protobuf::RepeatedPtrField<pb::Lot>& lots) {
  int64_t sum = 0;
  for (const pb::Lot& lot : lots) {
    if (__builtin_add_overflow(sum, lot.charge_microcredits(), &sum)) return kWholeMax;
  }
  return sum;
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%SZ", absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

std::string FromText(uint64_t round_id) {
  return round_id == 0 ? "the next" : absl::StrCat(round_id);
}

std::string OfferText(uint64_t offer_id, const pb::Offer& offer) {
  if (offer.offer_id() == 0) return absl::StrCat("offer ", offer_id, " is no longer open\n");
  return absl::StrCat("offer ", offer_id, ": ", LotsText(offer.lots()), " for ", offer.rounds(),
                      " rounds from ", FromText(offer.from_round_id()), ", ",
                      ChargeOf(offer.lots()), " micro-credits a round, good until ",
                      TimeText(offer.valid_until()), "\n");
}

struct Arguments {
  std::string guest;
  std::string lots;                 // quote: memory=8,cpu=20.
  std::vector<std::string> priced;  // sublet: memory=3@30.
  std::string to;
  uint64_t id = 0;
  uint64_t from = 0;
  int64_t rounds = 0;
  int64_t valid_for_seconds = 0;
  int64_t ceiling_microcredits = 0;
  bool awards = false;
  bool ended = false;
  std::string request_id;
};

absl::StatusOr<int> Quote(Connection& connection, const Output& out, const Arguments& arguments) {
  std::optional<absl::StatusOr<uint64_t>> guest_id;
  pb::GetQuoteRequest request;
  absl::Status status = ReadQuantities(
      arguments.lots,
      [&] {
        guest_id = FindGuest(connection, arguments.guest);
        return guest_id->ok() ? UnitSizesOfGuest(connection, **guest_id)
                              : absl::StatusOr<UnitSizes>(guest_id->status());
      },
      request.mutable_lots());
  if (!status.ok()) return status;
  if (!guest_id) guest_id = FindGuest(connection, arguments.guest);
  if (!guest_id->ok()) return guest_id->status();
  request.set_guest_id(**guest_id);
  request.set_from_round_id(arguments.from);
  request.set_rounds(arguments.rounds);
  pb::GetQuoteResponse response;
  status = connection.Write(&MarketStub::GetQuote, request, &response, arguments.request_id);
  if (!status.ok()) return status;
  return out.Done(response, absl::StrCat(OfferText(response.offer_id(), response.offer()),
                                         "nomctl buy ", response.offer_id(), " --guest ",
                                         Printable(arguments.guest), " takes it\n"));
}

// "memory=3@30": three units at 30 micro-credits each a round.
absl::StatusOr<pb::Lot> ParsePriced(const std::string& text) {
  const std::vector<std::string> halves = absl::StrSplit(text, '@');
  if (halves.size() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\": expected RESOURCE=UNITS@PRICE"));
  }
  const absl::StatusOr<std::pair<Resource, int64_t>> count = ParseQuantity(halves[0]);
  if (!count.ok()) return count.status();
  const absl::StatusOr<int64_t> price = ParseMoney(halves[1], 0, kWholeMax);
  if (!price.ok()) return price.status();
  pb::Lot lot;
  lot.set_kind(client::ToProto(count->first));
  lot.set_units(count->second);
  int64_t charge = 0;
  if (__builtin_mul_overflow(count->second, *price, &charge)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\": costs more than there is"));
  }
  lot.set_charge_microcredits(charge);
  return lot;
}

absl::StatusOr<int> Sublet(Connection& connection, const Output& out, const Arguments& arguments) {
  pb::OfferSubletRequest request;
  for (const std::string& text : arguments.priced) {
    absl::StatusOr<pb::Lot> lot = ParsePriced(text);
    if (!lot.ok()) return UsageError(lot.status());
    *request.add_lots() = *std::move(lot);
  }
  request.set_contract_id(arguments.id);
  if (!arguments.to.empty()) {
    // Others' guests are known by their ids only.
    const absl::StatusOr<int64_t> id =
        ParseWhole(absl::StripPrefix(arguments.to, "id:"), 1, kWholeMax);
    if (!id.ok()) return UsageError(id.status());
    request.set_to_guest_id(static_cast<uint64_t>(*id));
  }
  request.set_from_round_id(arguments.from);
  request.set_rounds(arguments.rounds);
  request.set_valid_for_seconds(arguments.valid_for_seconds);
  pb::OfferSubletResponse response;
  const absl::Status status =
      connection.Write(&MarketStub::OfferSublet, request, &response, arguments.request_id);
  if (!status.ok()) return status;
  return out.Done(response, OfferText(response.offer_id(), response.offer()));
}

absl::StatusOr<int> Take(Connection& connection, const Output& out, const Arguments& arguments) {
  const absl::StatusOr<uint64_t> guest_id = FindGuest(connection, arguments.guest);
  if (!guest_id.ok()) return guest_id.status();
  pb::TakeOfferRequest request;
  request.set_offer_id(arguments.id);
  request.set_guest_id(*guest_id);
  request.set_renew_ceiling_microcredits(arguments.ceiling_microcredits);
  pb::TakeOfferResponse response;
  const absl::Status status =
      connection.Write(&MarketStub::TakeOffer, request, &response, arguments.request_id);
  if (!status.ok()) return status;
  return out.Done(response, absl::StrCat("contract ", response.contract_id(), " from round ",
                                         response.from_round_id(), " on\n"));
}

absl::StatusOr<int> Withdraw(Connection& connection, const Output& out,
                             const Arguments& arguments) {
  pb::WithdrawOfferRequest request;
  request.set_offer_id(arguments.id);
  pb::WithdrawOfferResponse response;
  const absl::Status status =
      connection.Write(&MarketStub::WithdrawOffer, request, &response, arguments.request_id);
  if (!status.ok()) return status;
  return out.Done(response, absl::StrCat("offer ", arguments.id, " is withdrawn\n"));
}

absl::StatusOr<int> Leave(Connection& connection, const Output& out, const Arguments& arguments) {
  pb::LeaveContractRequest request;
  request.set_contract_id(arguments.id);
  pb::LeaveContractResponse response;
  const absl::Status status =
      connection.Write(&MarketStub::LeaveContract, request, &response, arguments.request_id);
  if (!status.ok()) return status;
  return out.Done(response, absl::StrCat("contract ", arguments.id, " ends before round ",
                                         response.round_id(), "\n"));
}

absl::StatusOr<int> Renew(Connection& connection, const Output& out, const Arguments& arguments) {
  pb::SetRenewalRequest request;
  request.set_contract_id(arguments.id);
  request.set_renew_ceiling_microcredits(arguments.ceiling_microcredits);
  pb::SetRenewalResponse response;
  const absl::Status status =
      connection.Write(&MarketStub::SetRenewal, request, &response, arguments.request_id);
  if (!status.ok()) return status;
  return out.Done(response, arguments.ceiling_microcredits == 0
                                ? absl::StrCat("contract ", arguments.id, " is not renewed\n")
                                : absl::StrCat("contract ", arguments.id,
                                               " is renewed if a round costs no more than ",
                                               arguments.ceiling_microcredits, "\n"));
}

// 0 for no guest, which stands for all.
absl::StatusOr<uint64_t> GuestOrAll(Connection& connection, const std::string& guest) {
  if (guest.empty()) return uint64_t{0};
  return FindGuest(connection, guest);
}

// All open ones by rising id, or the newest of those that have ended.
absl::Status ReadContracts(Connection& connection, pb::ListContractsRequest request,
                           pb::ListContractsResponse* all) {
  const bool ended = request.state() == pb::CONTRACT_STATE_ENDED;
  request.set_page_size(kPageSize);
  for (;;) {
    pb::ListContractsResponse page;
    const absl::Status status = connection.Call(&MarketStub::ListContracts, request, &page);
    if (!status.ok()) return status;
    all->mutable_contracts()->MergeFrom(page.contracts());
    const uint64_t next = ended ? page.next_before_contract_id() : page.next_after_contract_id();
    const bool goes_on = ended ? next != 0 && (request.before_contract_id() == 0 ||
                                               next < request.before_contract_id())
                               : next > request.after_contract_id();
    if (!goes_on || (ended && all->contracts_size() >= kEndedMax)) return absl::OkStatus();
    if (ended) {
      request.set_before_contract_id(next);
    } else {
      request.set_after_contract_id(next);
    }
  }
}

absl::StatusOr<int> Contracts(Connection& connection, const Output& out,
                              const Arguments& arguments) {
  const absl::StatusOr<uint64_t> guest_id = GuestOrAll(connection, arguments.guest);
  if (!guest_id.ok()) return guest_id.status();
  pb::ListContractsRequest request;
  request.set_guest_id(*guest_id);
  request.set_awards(arguments.awards);
  if (arguments.ended) request.set_state(pb::CONTRACT_STATE_ENDED);
  pb::ListContractsResponse all;
  const absl::Status status = ReadContracts(connection, request, &all);
  if (!status.ok()) return status;
  Table table({">id", ">guest", "what", "~lots", ">from", ">before", ">a round", ">paid",
               arguments.ended ? ">fee" : ">escrow", "?>renewed up to",
               arguments.ended ? "~ended" : "?~ends"});
  for (const pb::Contract& contract : all.contracts()) {
    std::string what = ContractKindName(contract.kind());
    if (contract.part_of() != 0) absl::StrAppend(&what, " of ", contract.part_of());
    const bool is_left = contract.left_from_round_id() != 0;
    const uint64_t until = is_left ? contract.left_from_round_id() : contract.until_round_id();
    table.AddRow({absl::StrCat(contract.contract_id()), absl::StrCat(contract.guest_id()), what,
                  LotsText(contract.lots()), absl::StrCat(contract.from_round_id()),
                  absl::StrCat(until), absl::StrCat(ChargeOf(contract.lots())),
                  absl::StrCat(contract.paid_microcredits()),
                  absl::StrCat(arguments.ended ? contract.fees_microcredits()
                                               : contract.escrow_microcredits()),
                  contract.renew_ceiling_microcredits() == 0
                      ? "-"
                      : absl::StrCat(contract.renew_ceiling_microcredits()),
                  Printable(contract.end_reason())});
  }
  return out.Done(all, table.Format(out.look));
}

absl::StatusOr<int> Offers(Connection& connection, const Output& out, const Arguments& arguments) {
  const absl::StatusOr<uint64_t> guest_id = GuestOrAll(connection, arguments.guest);
  if (!guest_id.ok()) return guest_id.status();
  pb::ListOffersRequest request;
  request.set_guest_id(*guest_id);
  request.set_page_size(kPageSize);
  pb::ListOffersResponse all;
  for (;;) {
    pb::ListOffersResponse page;
    const absl::Status status = connection.Call(&MarketStub::ListOffers, request, &page);
    if (!status.ok()) return status;
    all.mutable_offers()->MergeFrom(page.offers());
    if (page.next_after_offer_id() <= request.after_offer_id()) break;
    request.set_after_offer_id(page.next_after_offer_id());
  }
  Table table({">id", "what", "for guest", "~lots", ">from", ">rounds", ">a round", "good until",
               "?yours"});
  for (const pb::Offer& offer : all.offers()) {
    table.AddRow({absl::StrCat(offer.offer_id()),
                  offer.part_of() == 0 ? "quote" : absl::StrCat("sublet of ", offer.part_of()),
                  offer.guest_id() == 0 ? "any" : absl::StrCat(offer.guest_id()),
                  LotsText(offer.lots()), FromText(offer.from_round_id()),
                  absl::StrCat(offer.rounds()), absl::StrCat(ChargeOf(offer.lots())),
                  TimeText(offer.valid_until()), offer.own() ? "yes" : ""});
  }
  return out.Done(all, table.Format(out.look));
}

using Does = absl::StatusOr<int> (*)(Connection&, const Output&, const Arguments&);

CLI::App* Add(CLI::App& app, Run& run, const std::string& name, const std::string& help,
              const std::shared_ptr<Arguments>& arguments, Does does) {
  CLI::App* const command = app.add_subcommand(name, help);
  command->callback([&run, arguments, does] {
    run = [arguments, does](Connection& connection, const Output& out) {
      return does(connection, out, *arguments);
    };
  });
  return command;
}

void AddId(CLI::App* command, Arguments& arguments, const std::string& what) {
  AddWhole(command, what, arguments.id, absl::StrCat("As nomctl ", what, "s shows it"), 1,
           kWholeMax)
      ->required();
}

void AddSpan(CLI::App* command, Arguments& arguments) {
  AddWhole(command, "--rounds", arguments.rounds, "For how many rounds", 1, kWholeMax)->required();
  AddWhole(command, "--from", arguments.from,
           "The first of them; by default the first that is possible when it is taken", 1,
           kWholeMax);
}

}  // namespace

void AddContractCommands(CLI::App& app, Run& run) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* quote = Add(app, run, "quote",
                        "What units cost for several rounds; the price holds for a while\n\n"
                        "Examples:\n"
                        "  nomctl quote cache memory=10,cpu=50 --rounds 60\n"
                        "  nomctl quote cache memory=10MiB,cpu=500m --rounds 60 --from 1200",
                        arguments, Quote);
  quote->add_option("guest", arguments->guest, kGuestHelp)->required();
  quote
      ->add_option("lots", arguments->lots,
                   "RESOURCE=UNITS,...: counts of units, or amounts as 10MiB and 500m")
      ->required();
  AddSpan(quote, *arguments);
  AddRequestId(quote, arguments->request_id);

  for (const auto& [name, help] : {std::pair{"buy", "Take a quote: it becomes a contract"},
                                   std::pair{"take", "Take a sublet that another guest offers"}}) {
    CLI::App* take = Add(app, run, name, help, arguments, Take);
    AddId(take, *arguments, "offer");
    take->add_option("--guest", arguments->guest, kGuestHelp)->required();
    if (std::string(name) == "buy") {
      AddMoney(take, "--renew-ceiling", arguments->ceiling_microcredits,
               "Renew it at its end if a round costs no more; by default it is not", 0);
    }
    AddRequestId(take, arguments->request_id);
  }

  CLI::App* contracts = Add(app, run, "contracts", "Contracts: what guests hold for several rounds",
                            arguments, Contracts);
  contracts->add_option("--guest", arguments->guest, kGuestHelp);
  CLI::Option* awards =
      contracts->add_flag("--awards", arguments->awards, "Also what was won in auctions");
  contracts
      ->add_flag("--ended", arguments->ended,
                 "Those that have ended, newest first, and why; without awards")
      ->excludes(awards);

  CLI::App* offers = Add(app, run, "offers", "Open quotes and sublets: yours, and those for you",
                         arguments, Offers);
  offers->add_option("--guest", arguments->guest, "Only those that this guest may take");

  CLI::App* sublet = Add(app, run, "sublet",
                         "Offer units of a contract to another guest of its host\n\n"
                         "Example:\n"
                         "  nomctl sublet 12 memory=3@30 --rounds 20 --to id:7",
                         arguments, Sublet);
  AddId(sublet, *arguments, "contract");
  sublet
      ->add_option("lots", arguments->priced,
                   "RESOURCE=UNITS@PRICE: so many units, at so many micro-credits each a round")
      ->required();
  sublet->add_option("--to", arguments->to, "Which guest, as id:NUMBER; by default any");
  AddSpan(sublet, *arguments);
  sublet
      ->add_option_function<std::string>(
          "--valid-for",
          [arguments](const std::string& text) {
            arguments->valid_for_seconds = OrUsage("--valid-for", ParseLifetime(text));
          },
          "How long the offer holds, up to a day: 30m; by default as long as a quote")
      ->type_name("TIME");
  AddRequestId(sublet, arguments->request_id);

  CLI::App* withdraw =
      Add(app, run, "withdraw-offer", "Withdraw a quote or a sublet of yours", arguments, Withdraw);
  AddId(withdraw, *arguments, "offer");
  AddRequestId(withdraw, arguments->request_id);

  CLI::App* leave =
      Add(app, run, "leave", "Give a contract up: costs its fee, and ends with the round",
          arguments, Leave);
  AddId(leave, *arguments, "contract");
  AddRequestId(leave, arguments->request_id);

  CLI::App* renew =
      Add(app, run, "renew", "Whether a contract is renewed, and at what", arguments, Renew);
  AddId(renew, *arguments, "contract");
  AddMoney(renew, "--ceiling", arguments->ceiling_microcredits,
           "If a round costs no more than that; 0: it is not renewed", 0)
      ->required();
  AddRequestId(renew, arguments->request_id);
}

}  // namespace nom::cli
