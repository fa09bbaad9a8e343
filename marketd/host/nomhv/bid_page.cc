#include "marketd/host/nomhv/bid_page.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

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

}  // namespace

bool BidPageUnused(const NomBidPage& page) {
  return page.magic == 0 && page.abi_version == 0 && page.bid_count == 0;
}

BidPageContents ReadBidPage(GuestId guest_id, const NomBidPage& page) {
  BidPageContents out;
  out.bids.guest_id = guest_id;
  const auto fail = [&out](const std::string& what) {
    out.bids.bids.clear();
    out.bids.error = absl::StrCat("bid page: ", what);
    return out;
  };
  if (page.magic != NOM_BID_PAGE_MAGIC) return fail(absl::StrFormat("magic: 0x%08x", page.magic));
  if (page.abi_version >> 16 != NOM_ABI_MAJOR) {
    return fail(absl::StrFormat("abi_version: major %d, this is %d", page.abi_version >> 16,
                                NOM_ABI_MAJOR));
  }
  out.report = GuestReport{.guest_id = guest_id,
                           .work_done = page.work_done,
                           .work_unit = PrintableText(page.work_unit, sizeof(page.work_unit)),
                           .value_microcredits = page.value_microcredits,
                           .activity = PrintableText(page.activity, sizeof(page.activity))};
  if (page.bid_form > NOM_BID_FORM_BUNDLES) {
    return fail(absl::StrCat("bid_form: ", page.bid_form, " is unknown"));
  }
  if (page.bid_form == NOM_BID_FORM_BUNDLES) {
    if (page.bid_count != 0) return fail("bid_count: must be 0 beside bundles");
    if (page.bundle_count > NOM_BUNDLES_MAX) {
      return fail(absl::StrCat("bundle_count: ", page.bundle_count, ", at most ", NOM_BUNDLES_MAX));
    }
    AddSeveral(page, BundlesOf(page), out.bids);
    return out;
  }
  if (page.bid_count > NOM_BIDS_MAX) {
    return fail(absl::StrCat("bid_count: ", page.bid_count, ", at most ", NOM_BIDS_MAX));
  }
  std::set<uint32_t> kinds;
  for (uint32_t i = 0; i < page.bid_count; ++i) {
    const NomBid& from = page.bids[i];
    if (from.kind == NOM_RESOURCE_NONE) continue;
    if (from.kind > NOM_RESOURCE_DEVICE) {
      return fail(absl::StrCat("bids[", i, "].kind: unknown resource ", from.kind));
    }
    if (!kinds.insert(from.kind).second) {
      return fail(absl::StrCat("bids[", i, "].kind: a second bid for resource ", from.kind));
    }
    if (from.range_count > NOM_RANGES_MAX) {
      return fail(absl::StrCat("bids[", i, "].range_count: ", from.range_count, ", at most ",
                               NOM_RANGES_MAX));
    }
    GuestBids::Bid& bid = out.bids.bids.emplace_back();
    bid.kind = static_cast<ResourceKind>(from.kind);
    bid.budget_microcredits = from.budget_microcredits;
    for (uint32_t r = 0; r < from.range_count; ++r) {
      bid.ranges.push_back({.min_units = from.ranges[r].min_units,
                            .max_units = from.ranges[r].max_units,
                            .value_at_min_microcredits = from.ranges[r].value_at_min_microcredits,
                            .unit_price_microcredits = from.ranges[r].unit_price_microcredits});
    }
  }
  if (page.bid_form == NOM_BID_FORM_SINGLE) return out;
  Valuation valuation;
  for (GuestBids::Bid& bid : out.bids.bids) {
    if (bid.budget_microcredits != 0) {
      return fail("bids: have one budget together, that of the page");
    }
    if (!valuation.curves) valuation.curves.emplace();
    valuation.curves->curves[static_cast<size_t>(bid.kind) - 1] = std::move(bid.ranges);
  }
  if (valuation.curves) {
    valuation.curves->combination = static_cast<policies::Combination>(page.bid_form - 1);
    valuation.curves->whole_value_microcredits = page.whole_value_microcredits;
  }
  out.bids.bids.clear();
  AddSeveral(page, std::move(valuation), out.bids);
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
