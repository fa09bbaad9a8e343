// SPDX-License-Identifier: Apache-2.0
#include "client/guest/bid_page.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>

namespace nom::guest {
namespace {

void CopyText(std::string_view text, char* to, size_t size) {
  const size_t count = std::min(text.size(), size - 1);
  std::memset(to, 0, size);
  std::memcpy(to, text.data(), count);
}

bool SameBid(const NomBid& bid, std::span<const NomRange> ranges, int64_t budget_microcredits) {
  return bid.range_count == ranges.size() && bid.budget_microcredits == budget_microcredits &&
         std::memcmp(bid.ranges, ranges.data(), ranges.size_bytes()) == 0;
}

}  // namespace

BidPage::BidPage(NomBidPage* page) : page_(page) {
  copy_.magic = NOM_BID_PAGE_MAGIC;
  copy_.abi_version = NOM_ABI_VERSION;
  Publish();
}

bool BidPage::Bid(NomResource kind, std::span<const NomRange> ranges, int64_t budget_microcredits) {
  if (kind == NOM_RESOURCE_NONE || ranges.size() > NOM_RANGES_MAX) return false;
  if (copy_.bid_form != NOM_BID_FORM_SINGLE) ForgetBids(NOM_BID_FORM_SINGLE);
  NomBid* place = nullptr;
  for (uint32_t i = 0; i < copy_.bid_count && place == nullptr; ++i) {
    if (copy_.bids[i].kind == static_cast<uint32_t>(kind)) place = &copy_.bids[i];
  }
  if (place == nullptr) {
    if (copy_.bid_count == NOM_BIDS_MAX) return false;
    place = &copy_.bids[copy_.bid_count++];
  } else if (SameBid(*place, ranges, budget_microcredits)) {
    return true;
  }
  *place = NomBid{};
  place->kind = static_cast<uint32_t>(kind);
  place->range_count = static_cast<uint32_t>(ranges.size());
  place->budget_microcredits = budget_microcredits;
  std::copy(ranges.begin(), ranges.end(), place->ranges);
  Publish();
  return true;
}

bool BidPage::BidTogether(std::span<const NomBundle> bundles, int64_t budget_microcredits) {
  if (bundles.empty() || bundles.size() > NOM_BUNDLES_MAX) return false;
  if (copy_.bid_form == NOM_BID_FORM_BUNDLES && copy_.bundle_count == bundles.size() &&
      copy_.budget_microcredits == budget_microcredits &&
      std::memcmp(copy_.bundles, bundles.data(), bundles.size_bytes()) == 0) {
    return true;
  }
  ForgetBids(NOM_BID_FORM_BUNDLES);
  copy_.bundle_count = static_cast<uint32_t>(bundles.size());
  copy_.budget_microcredits = budget_microcredits;
  std::copy(bundles.begin(), bundles.end(), copy_.bundles);
  Publish();
  return true;
}

void BidPage::ForgetBids(NomBidForm form) {
  copy_.bid_form = form;
  copy_.bid_count = 0;
  copy_.bundle_count = 0;
  copy_.budget_microcredits = 0;
  copy_.whole_value_microcredits = 0;
  std::memset(copy_.bids, 0, sizeof(copy_.bids));
}

void BidPage::Withdraw(NomResource kind) {
  if (copy_.bid_form != NOM_BID_FORM_SINGLE) return;
  for (uint32_t i = 0; i < copy_.bid_count; ++i) {
    if (copy_.bids[i].kind != static_cast<uint32_t>(kind) || copy_.bids[i].range_count == 0) {
      continue;
    }
    // The place stays, empty: "no ranges" says that the bid is withdrawn, a missing place might be
    // taken for silence.
    copy_.bids[i] = NomBid{};
    copy_.bids[i].kind = static_cast<uint32_t>(kind);
    Publish();
  }
}

void BidPage::WithdrawAll() {
  if (copy_.bid_form != NOM_BID_FORM_SINGLE) {
    // The form stays: one without bundles says that the bid is withdrawn.
    if (copy_.bundle_count == 0) return;
    ForgetBids(NOM_BID_FORM_BUNDLES);
    Publish();
    return;
  }
  for (uint32_t i = 0; i < copy_.bid_count; ++i)
    Withdraw(static_cast<NomResource>(copy_.bids[i].kind));
}

void BidPage::Say(const Report& report) {
  NomBidPage next = copy_;
  next.work_done = report.work_done;
  next.value_microcredits = report.value_microcredits;
  CopyText(report.work_unit, next.work_unit, sizeof(next.work_unit));
  CopyText(report.activity, next.activity, sizeof(next.activity));
  if (std::memcmp(&next, &copy_, sizeof(next)) == 0) return;
  copy_ = next;
  Publish();
}

void BidPage::Publish() {
  const std::atomic_ref<uint32_t> sequence(page_->sequence);
  // Whatever stood there: odd while writing, then the next even number.
  const uint32_t odd = sequence.load(std::memory_order_relaxed) | 1;
  sequence.store(odd, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  copy_.sequence = odd;
  std::memcpy(page_, &copy_, sizeof(copy_));
  std::atomic_thread_fence(std::memory_order_release);
  copy_.sequence = odd + 1;
  sequence.store(copy_.sequence, std::memory_order_release);
}

}  // namespace nom::guest
