// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/guest_ends.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/host/linux/run_directory.h"

namespace nom::market {
namespace {

constexpr int64_t kLastWordUs = 1'000'000;  // For the launcher to say how a guest ended.
constexpr int64_t kUnitBackUs = 5'000'000;  // For systemd to start a unit again.

}  // namespace

void GuestEnds::Hear(Launcher& launcher, const HostRecord& record) {
  for (LaunchEnded& ended : launcher.TakeEnded()) {
    if (record.guests.contains(ended.guest_id)) {
      last_words_[ended.guest_id] = std::move(ended.how);
    }
  }
}

void GuestEnds::Forget(GuestId guest_id) {
  last_words_.erase(guest_id);
  empty_since_us_.erase(guest_id);
}

bool GuestEnds::HasEnded(const CgroupFiles& files, GuestId guest_id, const GuestRecord& guest,
                         int64_t now_us) {
  const absl::StatusOr<bool> populated = files.Populated(GuestFolder(guest_id));
  const bool gone = absl::IsNotFound(populated.status());
  if (gone && !guest.adopted()) return true;
  if (!gone && (!populated.ok() || *populated)) {
    empty_since_us_.erase(guest_id);
    return false;
  }
  const int64_t since_us = empty_since_us_.emplace(guest_id, now_us).first->second;
  if (guest.adopted()) return now_us - since_us >= kUnitBackUs;
  return last_words_.contains(guest_id) || now_us - since_us >= kLastWordUs;
}

std::string GuestEnds::ReasonOf(const CgroupFiles& files, GuestId guest_id,
                                const GuestRecord& guest) const {
  if (!guest.exit_reason.empty()) return guest.exit_reason;
  if (guest.adopted()) return "its unit has stopped";
  const std::string cgroup = GuestFolder(guest_id);
  if (absl::IsNotFound(files.Populated(cgroup).status())) return "its cgroup was removed";
  const auto said = last_words_.find(guest_id);
  std::string how =
      said == last_words_.end() ? "ended; how is not known, no launcher saw it" : said->second;
  const absl::StatusOr<uint64_t> kills = files.ReadOomKills(cgroup);
  if (kills.ok() && *kills > 0) {
    absl::StrAppend(&how, ": the kernel ended it, it needed more memory than the ",
                    MiBText(guest.held.memory_bytes), " that it held");
  }
  return how;
}

void GuestEnds::Note(GuestId guest_id, GuestRecord& guest, int64_t at_us,
                     const std::string& reason) {
  if (guest.phase == GuestRecord::Phase::kEnded) return;
  guest.phase = GuestRecord::Phase::kEnded;
  guest.exit_reason = reason;
  guest.sums.ended_us = at_us;
  guest.target.reset();
  guest.held = {};
  empty_since_us_.erase(guest_id);
  news_.push_back(GuestEnded{guest_id, reason, reason == kCleanExit});
}

}  // namespace nom::market
