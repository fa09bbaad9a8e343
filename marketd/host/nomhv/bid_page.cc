#include "marketd/host/nomhv/bid_page.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace nom::market {

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
