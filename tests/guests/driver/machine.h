// SPDX-License-Identifier: Apache-2.0
// A running nomhv, seen from marketd's side of the mailbox. Written apart from marketd's own host
// code on purpose: it can say what marketd never would, and two readings of the ABI must agree.

#ifndef TESTS_GUESTS_DRIVER_MACHINE_H_
#define TESTS_GUESTS_DRIVER_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nomhv/abi/mailbox.h"

namespace nom::tests {

// A guest as a test wants it. Frames and millicores are the seed.
struct GuestSpec {
  std::string program;  // Of tests/guests/programs, or of client/examples/guests.
  std::string arguments;
  uint64_t frames = 512;
  uint64_t window_frames = 1024;
  uint64_t millicores = 100;
  uint64_t virtual_processors = 1;
};

struct Grant {
  uint64_t guest_id = 0;
  uint64_t frames = 0;
  uint64_t millicores = 0;
  uint32_t devices = 0;
};

struct Ended {
  uint32_t reason = 0;  // NomExitReason
  uint64_t detail = 0;
};

// One machine for one process; aborts with a message when it is not there or stops answering: no
// test goes on without it. One thread.
class Machine {
 public:
  // The machine of this run: its mailbox is the file $NOM_MAILBOX, guest images lie in $NOM_GUESTS.
  static Machine& Get();

  // Sends a command and waits for its answer.
  NomEvent Call(NomCommand command);
  // The same, with `bytes` put at the start of the payload region.
  NomEvent Call(uint32_t kind, const void* payload, size_t bytes, uint64_t argument = 0);

  // Creates with the next free id. Fails the test, and returns 0, if nomhv refuses.
  uint64_t Create(const GuestSpec& spec);
  // Only tries; `guest_id` 0 is sent as it is.
  NomEvent TryCreate(uint64_t guest_id, const GuestSpec& spec);
  NomEvent TryCreate(const NomCreate& create, const std::vector<std::byte>& image,
                     uint64_t virtual_processors = 0);
  NomEvent Destroy(uint64_t guest_id);

  // PREPARE or APPLY with exactly these grants.
  NomEvent Prepare(const std::vector<Grant>& grants, uint64_t deadline_us);
  NomEvent Apply(const std::vector<Grant>& grants);

  // The last consistent copies.
  NomMailboxHeader Header() const;
  std::optional<NomMeter> Meter(uint64_t guest_id) const;
  std::optional<uint32_t> Slot(uint64_t guest_id) const;
  // False if the copy could not be had whole.
  bool BidPage(uint64_t guest_id, NomBidPage& page) const;
  bool Round(NomRoundMeters& round) const;
  // As nomhv found them at boot.
  NomDeviceBoard Devices() const;

  // Of a guest's bid page; 0 if there is none yet.
  uint64_t WorkDone(uint64_t guest_id) const;
  int64_t Value(uint64_t guest_id) const;

  // How a guest ended, if it has.
  std::optional<Ended> End(uint64_t guest_id);
  // Waits for it; fails the test and returns nothing when it takes too long.
  std::optional<Ended> WaitEnd(uint64_t guest_id);
  // Waits until `done()`; fails the test, naming `what`, when it takes too long.
  bool WaitFor(const char* what, const std::function<bool()>& done);
  // Waits until so much machine time (by the meters' clock) has passed.
  void PassUs(uint64_t us);

  std::vector<std::byte> Image(const std::string& program) const;
  // Sent with each command that names none.
  void set_epoch(uint64_t epoch) { epoch_ = epoch; }
  uint64_t epoch() const { return epoch_; }
  // The id that the next Create gives.
  uint64_t next_guest() const { return next_guest_; }
  std::byte* payload() { return base_ + NOM_MAILBOX_PAYLOAD_AT; }
  NomMailboxHeader* raw_header() { return reinterpret_cast<NomMailboxHeader*>(base_); }
  NomCommand* raw_command(uint32_t index) {
    return reinterpret_cast<NomCommand*>(base_ + NOM_MAILBOX_COMMANDS_AT) +
           index % NOM_COMMAND_SLOTS;
  }
  void DrainEvents();

 private:
  Machine();
  // Whether `done` comes true before the machine's time for it is over.
  bool Wait(const std::function<bool()>& done);
  NomEvent Grants(uint32_t kind, const std::vector<Grant>& grants, uint64_t deadline_us);

  std::byte* base_ = nullptr;
  uint64_t next_command_ = 1;
  uint64_t next_guest_ = 1000;
  uint64_t round_ = 1;
  uint64_t epoch_ = 1;
  std::map<uint64_t, Ended> ended_;
  std::map<uint64_t, NomEvent> answers_;
};

}  // namespace nom::tests

#endif  // TESTS_GUESTS_DRIVER_MACHINE_H_
