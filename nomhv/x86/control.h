// The control processor: it alone writes the books, serves the mailbox, starts and buries guests.

#ifndef NOMHV_X86_CONTROL_H_
#define NOMHV_X86_CONTROL_H_

#include <cstdint>
#include <optional>
#include <span>

#include "nomhv/core/grants.h"
#include "nomhv/core/guests.h"
#include "nomhv/core/mailbox.h"
#include "nomhv/core/processors.h"
#include "nomhv/x86/doorbell.h"
#include "nomhv/x86/machine.h"

namespace nomhv {

// What a machine can really deliver of each guest processor, in millicores; the rest is nomhv's:
// control's turns and interrupts, and the reserve that makes good what timers are late.
inline constexpr uint64_t kDeliveredMillicores = 970;

struct BootGuests {
  uint32_t started = 0;
  uint32_t ended = 0;
  uint32_t failed = 0;  // Refused, or ended otherwise than by EXIT with code 0.
};

class Control {
 public:
  // `mailbox_memory` may be null: then nobody commands, and the guests given at boot are all.
  // `doorbell` is the mailbox's, or none. `machine_board` is a page of nomhv's.
  Control(Amounts capacity, std::byte* mailbox_memory, const Doorbell& doorbell,
          NomMachineBoard* machine_board);

  // Starts a guest with its seed; see GuestTable::Admit and BuildGuest for what can go wrong.
  Result<uint32_t> CreateGuest(const NomCreate& create, std::span<const std::byte> image,
                               NomImageFault& fault);
  // The same at boot, with the grant that nobody else would give it.
  Status CreateBootGuest(const NomCreate& create, std::span<const std::byte> image,
                         Amounts granted);
  void CountBootFailure() { ++boot_.failed; }

  // One turn: buries the dead, serves commands, refreshes what is shown.
  void Turn();

  [[nodiscard]] const BootGuests& boot_guests() const { return boot_; }

 private:
  // Writes an event and rings for it. False: the ring is full.
  [[nodiscard]] bool Post(const NomEvent& event);
  void Answer(const NomCommand& command, NomStatus status, uint64_t value, uint32_t detail);
  void Serve(const NomCommand& command);
  void ServeCreate(const NomCommand& command);
  void ServeDestroy(const NomCommand& command);
  void ServePrepare(const NomCommand& command);
  void ServeApply(const NomCommand& command);
  void ServePublish(const NomCommand& command);

  // The claim of a running guest, wherever it was: until Release no processor runs it.
  void Hold(uint32_t slot);
  void Release(uint32_t slot);

  // Gives every guest processor the plan for the grants in force, and waits until all have it.
  void Replan();
  void Bury(uint32_t slot);
  void BuryEnded();
  uint64_t Shrink(const FrameChange& change);
  void Grow(const FrameChange& change);
  void WriteBoard(uint32_t slot, const NomGrant* grant);
  void ApplyPlan(const GrantPlan& plan, const NomGrants* grants, uint64_t (&forced)[32]);
  void FillMeter(uint32_t slot, NomMeter& meter);
  void WriteMeters();
  // Says once a second which guests lost lines of the log.
  void TellLostLines();
  void WriteRound(uint64_t round_id, const uint64_t (&forced)[32]);
  void WriteSums();

  GuestTable table_;
  std::optional<Mailbox> mailbox_;
  Doorbell doorbell_;
  NomMachineBoard* machine_board_;
  uint64_t next_meters_tsc_ = 0;
  uint64_t next_bids_tsc_ = 0;
  uint64_t next_lost_tsc_ = 0;
  uint64_t lost_told_[GuestTable::kSlots] = {};
  BootGuests boot_;
  ProcessorPieces plan_[kProcessorsMax];
  NomMeter last_meters_[GuestTable::kSlots] = {};  // So that no counter goes back.
  // Copies of what marketd sent: too big for the stack.
  NomGrants grants_{};
  GrantPlan grant_plan_{};
  NomRoundMeters round_{};
};

}  // namespace nomhv

#endif  // NOMHV_X86_CONTROL_H_
