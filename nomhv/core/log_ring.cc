// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/log_ring.h"

#include <algorithm>

namespace nomhv {
namespace {

constexpr std::string_view kEnd = "\r\n";

}  // namespace

void LogRing::Store(uint64_t ms, std::string_view tag, std::string_view text) {
  Line<kLineBytes>& line = lines_[put_++ % kLines];
  line.Clear();
  line.Add("[", ms / 1000, ".", ms / 100 % 10, ms / 10 % 10, ms % 10, "] ", tag, ": ", text);
}

bool LogRing::Put(From from, uint64_t ms, std::string_view tag, std::string_view text) {
  const uint32_t places = from == From::kNomhv ? kLines : kLines - kOwnLines;
  // One more for the line that tells of those lost.
  if (used() + (lost_ > 0 ? 2 : 1) > places) {
    ++lost_;
    return false;
  }
  if (lost_ > 0) {
    Line<64> told;
    told.Add(lost_, " lines were lost here: nobody reads the log fast enough");
    Store(ms, "nomhv", told.text());
    lost_ = 0;
  }
  Store(ms, tag, text);
  return true;
}

std::string_view LogRing::Next() const {
  if (put_ == taken_) return {};
  std::string_view next = lines_[taken_ % kLines].text();
  if (taken_bytes_ < next.size()) {
    next.remove_prefix(taken_bytes_);
    return next;
  }
  const size_t of_end = taken_bytes_ - next.size();
  next = kEnd;
  next.remove_prefix(of_end);
  return next;
}

void LogRing::Took(size_t bytes) {
  taken_bytes_ += bytes;
  if (taken_bytes_ < lines_[taken_ % kLines].text().size() + kEnd.size()) return;
  taken_bytes_ = 0;
  ++taken_;
}

bool LineBudget::Take(uint64_t now_us) {
  constexpr uint64_t kLineUs = 1'000'000 / kPerSecond;
  const uint64_t full_at_us = std::max(full_at_us_, now_us);
  if (full_at_us - now_us > (kBurst - 1) * kLineUs) return false;
  full_at_us_ = full_at_us + kLineUs;
  return true;
}

}  // namespace nomhv
