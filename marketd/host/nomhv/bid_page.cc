// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/nomhv/bid_page.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "marketd/base/status.h"

namespace nom::market {

namespace {

Valuation BundlesOf(const NomBidPage& page) {
  static_assert(NOM_KINDS_MAX == kKindsCount);
  Valuation valuation;
  for (uint32_t i = 0; i < page.bundle_count; ++i) {
    policies::Bundle& bundle = valuation.bundles.emplace_back();
    std::copy(std::begin(page.bundles[i].units), std::end(page.bundles[i].units),
              bundle.units.begin());
    bundle.value_microcredits = page.bundles[i].value_microcredits;
  }
  return valuation;
}

// One bid for several kinds; of an empty valuation one that withdraws.
void AddSeveral(const NomBidPage& page, Valuation valuation, GuestBids& bids) {
  GuestBids::Bid& bid = bids.bids.emplace_back();
  bid.kind = kSeveralKinds;
  bid.budget_microcredits = page.budget_microcredits;
  const bool has_curves =
      valuation.curves &&
      std::any_of(valuation.curves->curves.begin(), valuation.curves->curves.end(),
                  [](const std::vector<policies::Range>& curve) { return !curve.empty(); });
  if (valuation.bundles.empty() && !has_curves) return;
  bid.valuation = std::make_shared<const Valuation>(std::move(valuation));
}

// The bids of a page for single kinds, and the curves of one for several: each kind once at most.
absl::Status ReadBids(const NomBidPage& page, std::vector<GuestBids::Bid>& bids) {
  if (page.bid_count > NOM_BIDS_MAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("bid_count: ", page.bid_count, ", at most ", NOM_BIDS_MAX));
  }
  std::set<uint32_t> kinds;
  for (uint32_t i = 0; i < page.bid_count; ++i) {
    const NomBid& from = page.bids[i];
    if (from.kind == NOM_RESOURCE_NONE) continue;
    if (from.kind > NOM_KINDS_MAX) {
      return absl::InvalidArgumentError(
          absl::StrCat("bids[", i, "].kind: unknown resource ", from.kind));
    }
    if (!kinds.insert(from.kind).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("bids[", i, "].kind: a second bid for resource ", from.kind));
    }
    if (from.range_count > NOM_RANGES_MAX) {
      return absl::InvalidArgumentError(absl::StrCat(
          "bids[", i, "].range_count: ", from.range_count, ", at most ", NOM_RANGES_MAX));
    }
    GuestBids::Bid& bid = bids.emplace_back();
    bid.kind = static_cast<ResourceKind>(from.kind);
    bid.budget_microcredits = from.budget_microcredits;
    for (uint32_t r = 0; r < from.range_count; ++r) {
      bid.ranges.push_back({.min_units = from.ranges[r].min_units,
                            .max_units = from.ranges[r].max_units,
                            .value_at_min_microcredits = from.ranges[r].value_at_min_microcredits,
                            .unit_price_microcredits = from.ranges[r].unit_price_microcredits});
    }
  }
  return absl::OkStatus();
}

// The curves of a page whose form says how they make one value.
absl::StatusOr<Valuation> CurvesOf(const NomBidPage& page, std::vector<GuestBids::Bid> bids) {
  Valuation valuation;
  for (GuestBids::Bid& bid : bids) {
    if (bid.budget_microcredits != 0) {
      return absl::InvalidArgumentError("bids: have one budget together, that of the page");
    }
    if (!valuation.curves) valuation.curves.emplace();
    valuation.curves->curves[static_cast<size_t>(bid.kind) - 1] = std::move(bid.ranges);
  }
  if (valuation.curves) {
    valuation.curves->combination = static_cast<policies::Combination>(page.bid_form - 1);
    valuation.curves->whole_value_microcredits = page.whole_value_microcredits;
  }
  return valuation;
}

// What the page bids, by its form.
absl::Status ReadByForm(const NomBidPage& page, GuestBids& bids) {
  if (page.bid_form > NOM_BID_FORM_BUNDLES) {
    return absl::InvalidArgumentError(absl::StrCat("bid_form: ", page.bid_form, " is unknown"));
  }
  if (page.bid_form == NOM_BID_FORM_BUNDLES) {
    if (page.bid_count != 0) {
      return absl::InvalidArgumentError("bid_count: must be 0 beside bundles");
    }
    if (page.bundle_count > NOM_BUNDLES_MAX) {
      return absl::InvalidArgumentError(
          absl::StrCat("bundle_count: ", page.bundle_count, ", at most ", NOM_BUNDLES_MAX));
    }
    AddSeveral(page, BundlesOf(page), bids);
    return absl::OkStatus();
  }
  NOM_RETURN_IF_ERROR(ReadBids(page, bids.bids));
  if (page.bid_form == NOM_BID_FORM_SINGLE) return absl::OkStatus();
  NOM_ASSIGN_OR_RETURN(Valuation valuation, CurvesOf(page, std::exchange(bids.bids, {})));
  AddSeveral(page, std::move(valuation), bids);
  return absl::OkStatus();
}

}  // namespace

bool BidPageUnused(const NomBidPage& page) {
  return page.magic == 0 && page.abi_version == 0 && page.bid_count == 0;
}

BidPageContents ReadBidPage(GuestId guest_id, const NomBidPage& page) {
  BidPageContents out;
  out.bids.guest_id = guest_id;
  if (page.magic != NOM_BID_PAGE_MAGIC) {
    out.bids.error = absl::StrFormat("bid page: magic: 0x%08x", page.magic);
    return out;
  }
  if (page.abi_version >> 16 != NOM_ABI_MAJOR) {
    out.bids.error = absl::StrFormat("bid page: abi_version: major %d, this is %d",
                                     page.abi_version >> 16, NOM_ABI_MAJOR);
    return out;
  }
  // The report is shown and never believed: it stands also beside bids that cannot be read.
  out.report = GuestReport{.guest_id = guest_id,
                           .work_done = page.work_done,
                           .work_unit = PrintableText(page.work_unit, sizeof(page.work_unit)),
                           .value_microcredits = page.value_microcredits,
                           .activity = PrintableText(page.activity, sizeof(page.activity))};
  if (const absl::Status read = ReadByForm(page, out.bids); !read.ok()) {
    out.bids.bids.clear();
    out.bids.error = absl::StrCat("bid page: ", read.message());
  }
  return out;
}

std::string PrintableText(const char* text, size_t size) {
  std::string out;
  for (size_t i = 0; i < size && text[i] != '\0'; ++i) {
    out.push_back(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
  }
  return out;
}

}  // namespace nom::market
