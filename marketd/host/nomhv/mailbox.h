// SPDX-License-Identifier: Apache-2.0
// marketd's end of the mailbox: commands out, answers and events in.
//
// The other end is nomhv, in another memory: every byte it can write is copied once, then checked,
// then used. One command is in flight at a time, so the payload region always belongs to it.
//
// Thread-compatible: one thread (the host thread) uses a Mailbox.

#ifndef MARKETD_HOST_NOMHV_MAILBOX_H_
#define MARKETD_HOST_NOMHV_MAILBOX_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "marketd/host/nomhv/doorbell.h"
#include "marketd/host/nomhv/guarded_mapping.h"
#include "nomhv/abi/mailbox.h"

namespace nom::market {

class Mailbox {
 public:
  // Maps the file at `path`, which QEMU shows to nomhv as an ivshmem device.
  //
  // Errors: UNAVAILABLE if it does not exist, is not yet initialised by nomhv, or nomhv's heart
  // does not beat within `timeout`; FAILED_PRECONDITION if it is not a mailbox or speaks another
  // major version.
  // `doorbell`, not owned and possibly null, is rung after each command and waited on for answers.
  static absl::StatusOr<std::unique_ptr<Mailbox>> Open(const std::string& path,
                                                       absl::Duration timeout,
                                                       Doorbell* doorbell = nullptr);

  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Sends `command` with `payload` and waits for its answer. `id`, `epoch`, `payload_offset` and
  // `payload_bytes` are filled in here. The answer's `status` is nomhv's and may be a refusal.
  // Errors: UNAVAILABLE when nomhv does not answer in time or has rebooted, or the file was cut.
  absl::StatusOr<NomEvent> Call(NomCommand command, absl::Span<const std::byte> payload);

  // The next event that is no answer, if any. Returns at once.
  std::optional<NomEvent> NextEvent();

  // OK while nomhv's heart beats and it is still the boot that was opened.
  absl::Status Alive();

  // A copy of the header's constants and sums; of meter slot `slot`; of the round's meters; of the
  // bid page in `slot`. nullopt: it kept changing while it was read, try later.
  NomMailboxHeader Header() const;
  std::optional<NomMeter> Meter(uint32_t slot) const;
  std::optional<NomRoundMeters> RoundMeters() const;
  std::optional<NomBidPage> BidPage(uint32_t slot) const;
  // The bid page's sequence alone: whether there is something new.
  uint32_t BidPageSequence(uint32_t slot) const;

  // Sent with each command from now on.
  void set_epoch(uint64_t epoch) { epoch_ = epoch; }

  uint64_t boot_id() const { return boot_id_; }
  uint64_t tsc_hz() const { return tsc_hz_; }

 private:
  Mailbox(std::string path, std::unique_ptr<GuardedMapping> mapping, absl::Duration timeout,
          Doorbell* doorbell);

  void DrainEvents();
  NomMailboxHeader* header() const;

  const std::string path_;
  const std::unique_ptr<GuardedMapping> mapping_;
  std::byte* const base_;  // Its NOM_MAILBOX_BYTES.
  const absl::Duration timeout_;
  Doorbell* const doorbell_;
  uint64_t boot_id_ = 0;
  uint64_t tsc_hz_ = 0;
  uint64_t next_id_ = 0;
  uint64_t epoch_ = 0;
  uint64_t last_heartbeat_tsc_ = 0;
  absl::Time last_beat_seen_;    // By Clock::Real, which nobody sets.
  std::deque<NomEvent> events_;  // Not answers; at most kEventsHeld, the oldest go first.
  std::deque<NomEvent> answers_;
};

// "OVER_CAPACITY: the sum of grants would exceed what the machine has".
std::string StatusText(uint32_t nom_status);
std::string ImageFaultText(uint32_t fault);
// "wild access at 0x...", "exit 0".
std::string ExitReasonText(uint32_t reason, uint64_t detail);
// Whether a guest ended by itself, with code 0.
bool IsCleanExit(uint32_t reason, uint64_t detail);

}  // namespace nom::market

#endif  // MARKETD_HOST_NOMHV_MAILBOX_H_
