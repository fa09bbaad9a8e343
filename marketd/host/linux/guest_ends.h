// SPDX-License-Identifier: Apache-2.0
// How guests end: who is noticed to have ended, when, and the true reason.

#ifndef MARKETD_HOST_LINUX_GUEST_ENDS_H_
#define MARKETD_HOST_LINUX_GUEST_ENDS_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "marketd/host/linux/cgroup_files.h"
#include "marketd/host/linux/launch.h"
#include "marketd/host/linux/state_file.h"
#include "marketd/market/host.h"

namespace nom::market {

// What a guest ended by that did so of its own accord, with code 0: as launchers say it.
inline constexpr char kCleanExit[] = "exit 0";

// Not thread-safe.
class GuestEnds {
 public:
  // Takes in how first processes ended; the launcher remembers more guests than are in the record.
  void Hear(Launcher& launcher, const HostRecord& record);
  // Forgets a guest that was removed, or that has just been made.
  void Forget(GuestId guest_id);

  // Whether a guest that ran has ended: its cgroup has gone, or is empty and its launcher has said
  // how, or has had a second to say it. A unit that was adopted has ended if it has had no process
  // for five seconds: systemd may be starting it again.
  bool HasEnded(const CgroupFiles& files, GuestId guest_id, const GuestRecord& guest,
                int64_t now_us);

  // What is known of how it ended, from the launcher and the kernel.
  std::string ReasonOf(const CgroupFiles& files, GuestId guest_id, const GuestRecord& guest) const;

  // Marks it as ended at record time `at_us`, unless it is so, and adds to the news.
  void Note(GuestId guest_id, GuestRecord& guest, int64_t at_us, const std::string& reason);
  std::vector<HostNews> TakeNews() { return std::exchange(news_, {}); }

 private:
  std::map<GuestId, std::string> last_words_;
  std::map<GuestId, int64_t> empty_since_us_;
  std::vector<HostNews> news_;
};

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_GUEST_ENDS_H_
