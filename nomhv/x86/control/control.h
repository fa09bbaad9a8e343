// SPDX-License-Identifier: Apache-2.0
// The control processor: it alone writes the books, serves the mailbox, starts and buries guests.
// Its parts: Pulse (what is done all the time), Meters, Dispatch (stopping and planning),
// GrantMoves, GuestLife; here are marketd's commands.

#ifndef NOMHV_X86_CONTROL_CONTROL_H_
#define NOMHV_X86_CONTROL_CONTROL_H_

#include <cstdint>
#include <optional>
#include <span>

#include "nomhv/core/boot_configuration.h"
#include "nomhv/core/guests.h"
#include "nomhv/core/mailbox.h"
#include "nomhv/x86/control/dispatch.h"
#include "nomhv/x86/control/grant_moves.h"
#include "nomhv/x86/control/guest_life.h"
#include "nomhv/x86/control/meters.h"
#include "nomhv/x86/control/pulse.h"
#include "nomhv/x86/platform/doorbell.h"

namespace nomhv {

// What a machine can really deliver of each guest processor, in millicores; the rest is nomhv's:
// control's turns and interrupts, and the reserve that makes good what timers are late.
inline constexpr uint64_t kDeliveredMillicores = 970;

struct BootGuests {
  uint32_t started = 0;
  uint32_t ended = 0;
  uint32_t failed = 0;  // Refused, or ended otherwise than by EXIT with code 0.
};

// What a command is answered with; NOM_EVENT_DONE carries it.
struct CommandAnswer {
  NomStatus status = NOM_STATUS_OK;
  uint64_t value = 0;
  uint32_t detail = 0;
};

class Control {
 public:
  // `mailbox_memory` may be null: then nobody commands, and the guests given at boot are all.
  // `doorbell` is the mailbox's, or none. `machine_board` is a page of nomhv's.
  Control(Amounts capacity, std::byte* mailbox_memory, const Doorbell& doorbell,
          NomMachineBoard* machine_board);
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  // Starts a guest at boot, with the grant that nobody else would give it.
  Status CreateBootGuest(const BootGuest& boot, std::span<const std::byte> image);
  void CountBootFailure() { ++boot_.failed; }

  // One turn: buries the dead, serves commands, refreshes what is shown.
  void Turn();

  [[nodiscard]] const BootGuests& boot_guests() const { return boot_; }

 private:
  Mailbox* mailbox() { return mailbox_.has_value() ? &*mailbox_ : nullptr; }
  // Writes an event and rings for it. False: the ring is full.
  [[nodiscard]] bool Post(const NomEvent& event);
  void ServeAndAnswer(const NomCommand& command);
  CommandAnswer Serve(const NomCommand& command);
  CommandAnswer ServeCreate(const NomCommand& command);
  CommandAnswer ServeDestroy(const NomCommand& command);
  CommandAnswer ServeGrants(const NomCommand& command);
  CommandAnswer ServePublish(const NomCommand& command);
  void BuryEnded();

  GuestTable table_;
  std::optional<Mailbox> mailbox_;
  Doorbell doorbell_;
  NomMachineBoard* machine_board_;
  Meters meters_;
  Pulse pulse_;
  Dispatch dispatch_;
  GrantMoves moves_;
  GuestLife life_;
  BootGuests boot_;
  // Copies of what marketd sent: too big for the stack.
  NomGrants grants_{};
  GrantPlan grant_plan_{};
};

}  // namespace nomhv

#endif  // NOMHV_X86_CONTROL_CONTROL_H_
