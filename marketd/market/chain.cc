// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/chain.h"

#include <openssl/evp.h>

#include <array>
#include <optional>
#include <variant>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

// Texts go in with their length: no two different lists of fields give the same bytes.
class Bytes {
 public:
  void Text(absl::string_view text) {
    Number(static_cast<int64_t>(text.size()));
    absl::StrAppend(&bytes_, text);
  }
  void Number(int64_t number) { absl::StrAppend(&bytes_, number, ";"); }
  void Number(uint64_t number) { Number(static_cast<int64_t>(number)); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

void Append(const std::optional<Microcredits>& amount, Bytes& out) {
  out.Number(int64_t{amount ? 1 : 0});
  if (amount) out.Number(*amount);
}

void Append(const PutRound& put, Bytes& out) {
  out.Text(put.round.host_id);
  out.Number(put.round.round_id);
  for (const AuctionRecord& record : put.auctions) {
    out.Number(static_cast<int64_t>(record.kind));
    out.Text(record.rule);
    out.Number(static_cast<int64_t>(record.method));
    out.Text(record.fault);
    out.Number(record.work_max);
    out.Number(record.chain);
    out.Text(record.auction);
  }
  if (put.round.certificate) {
    const Certificate& certificate = *put.round.certificate;
    out.Number(static_cast<int64_t>(certificate.method));
    out.Number(certificate.welfare_microcredits);
    out.Number(certificate.welfare_bound_microcredits);
    out.Number(int64_t{certificate.charges_are_exact ? 1 : 0});
  }
  // Rounds of before this was noted have the digest that they always had.
  if (!put.round.objective.empty()) out.Text(put.round.objective);
  for (const ResourcePrice& price : put.round.prices) {
    if (!price.measures) continue;
    const RoundMeasures& measures = *price.measures;
    out.Number(static_cast<int64_t>(price.kind));
    for (const auto& amount :
         {measures.welfare_microcredits, measures.welfare_bound_microcredits,
          measures.maximised_microcredits, measures.maximised_bound_microcredits,
          measures.jain_index_ppm, measures.best_unit_price_microcredits}) {
      Append(amount, out);
    }
    out.Number(measures.revenue_microcredits);
    out.Number(measures.moved_units);
  }
  for (const Outcome& outcome : put.round.outcomes) {
    if (outcome.asked_units == 0) continue;
    out.Number(outcome.guest_id);
    out.Number(static_cast<int64_t>(outcome.kind));
    out.Number(outcome.asked_units);
  }
  // Those without an award may be added to later, for the rent.
  for (const Outcome& outcome : put.round.outcomes) {
    if (outcome.award_units == 0) continue;
    out.Number(outcome.guest_id);
    out.Number(static_cast<int64_t>(outcome.kind));
    out.Text(outcome.tenant_id);
    out.Number(outcome.seed_units);
    out.Number(outcome.award_units);
    out.Number(outcome.contracted_units);
    out.Number(outcome.charge_microcredits);
  }
}

void Append(const Contract& contract, Bytes& out) {
  out.Number(contract.contract_id);
  out.Number(contract.guest_id);
  out.Text(contract.tenant_id);
  out.Text(contract.seller);
  out.Number(contract.part_of);
  out.Number(contract.from_round_id);
  out.Number(contract.until_round_id);
  if (!contract.policy.empty()) {  // Others have none of it, and the digest that they always had.
    out.Text(contract.policy);
    out.Number(contract.end_fee_ppm);
  }
  out.Number(absl::ToInt64Microseconds(contract.period));
  out.Number(static_cast<int64_t>(contract.lots.size()));
  for (const Lot& lot : contract.lots) {
    out.Number(static_cast<int64_t>(lot.kind));
    out.Number(lot.units);
    out.Number(lot.charge_microcredits);
  }
}

void Append(const AuditEvent& event, Bytes& out) {
  out.Text(event.kind);
  out.Text(event.by);
  out.Number(event.by_token_id);
  out.Text(event.tenant_id);
  out.Text(event.host_id);
  out.Number(event.guest_id);
  out.Number(event.token_id);
  out.Number(event.amount_microcredits);
  out.Text(event.detail);
}

}  // namespace

ChainedTransaction ToChain(const Transaction& transaction) {
  ChainedTransaction out{.transaction_id = transaction.transaction_id,
                         .time = transaction.time,
                         .kind = transaction.kind,
                         .entries = transaction.entries};
  for (const Change& change : transaction.changes) {
    if (const auto* put = std::get_if<PutRound>(&change)) out.decided.push_back(*put);
    if (const auto* open = std::get_if<OpenContract>(&change)) out.opened.push_back(open->contract);
    if (const auto* log = std::get_if<LogEvent>(&change)) out.events.push_back(log->event);
  }
  return out;
}

std::string NextDigest(const std::string& before, const ChainedTransaction& transaction) {
  Bytes bytes;
  bytes.Text(before);
  bytes.Number(transaction.transaction_id);
  bytes.Number(absl::ToUnixMicros(transaction.time));
  bytes.Text(transaction.kind);
  bytes.Number(static_cast<int64_t>(transaction.entries.size()));
  for (const Entry& entry : transaction.entries) {
    for (const Account& account : {entry.from, entry.to}) {
      bytes.Text(account.owner);
      bytes.Number(static_cast<int64_t>(account.kind));
    }
    bytes.Number(entry.guest_id);
    bytes.Number(entry.amount_microcredits);
  }
  for (const PutRound& put : transaction.decided) Append(put, bytes);
  bytes.Number(static_cast<int64_t>(transaction.opened.size()));
  for (const Contract& contract : transaction.opened) Append(contract, bytes);
  // Transactions of before there were events have their digests all the same.
  for (const AuditEvent& event : transaction.events) Append(event, bytes);
  std::array<unsigned char, 32> digest{};
  unsigned int size = 0;
  NOM_CHECK(EVP_Digest(bytes.bytes().data(), bytes.bytes().size(), digest.data(), &size,
                       EVP_sha256(), nullptr) == 1 &&
                size == digest.size(),
            "SHA-256 can't be had");
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

}  // namespace nom::market
