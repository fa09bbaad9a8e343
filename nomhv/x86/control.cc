#include "nomhv/x86/control.h"

#include <algorithm>
#include <cstring>

#include "nomhv/core/assert.h"
#include "nomhv/core/seqlock.h"
#include "nomhv/core/status_text.h"
#include "nomhv/x86/cpu.h"
#include "nomhv/x86/interrupts.h"
#include "nomhv/x86/log.h"

namespace nomhv {
namespace {

constexpr uint64_t kMetersMs = 50;
constexpr uint64_t kBidsMs = 5;
constexpr uint64_t kLostLinesMs = 1000;
// What one turn writes of the log at most; less where guests wait for the processor.
constexpr uint32_t kLogBytes = 4096;
constexpr uint32_t kLogBytesBesideGuests = 256;
constexpr uint64_t kPatienceSeconds = 20;  // With another processor; an emulator may be slow.

uint64_t MsToCycles(uint64_t ms) { return g_machine.clocks.tsc_hz / 1000 * ms; }

uint64_t UsToCycles(uint64_t us) {
  // A day at most: then the product stays far from overflow, and no deadline is further off.
  constexpr uint64_t kDayUs = uint64_t{24} * 3600 * 1000000;
  const uint64_t bounded = std::min(us, kDayUs);
  const uint64_t hz = g_machine.clocks.tsc_hz;
  return bounded / 1000000 * hz + bounded % 1000000 * (hz / 1000) / 1000;
}

void CountUp(uint64_t& value, uint64_t last) { value = std::max(value, last); }

std::span<Processor> GuestProcessors() {
  const uint32_t first = g_machine.first_guest_processor;
  return {g_machine.processors + first, g_machine.processor_count - first};
}

uint64_t RandomId() {
  constexpr uint32_t kRdrand = 1u << 30;
  uint64_t value = ReadTsc();
  if ((Cpuid(1).ecx & kRdrand) != 0) {
    uint64_t random = 0;
    asm volatile("rdrand %0" : "=r"(random)::"cc");
    value ^= random;
  }
  return value != 0 ? value : 1;
}

}  // namespace

uint64_t TscToUs(uint64_t tsc) {
  const uint64_t hz = g_machine.clocks.tsc_hz;
  return tsc / hz * 1000000 + tsc % hz * 1000 / (hz / 1000);
}

Control::Control(Amounts capacity, std::byte* mailbox_memory, const Doorbell& doorbell,
                 NomMachineBoard* machine_board)
    : table_(capacity), doorbell_(doorbell), machine_board_(machine_board) {
  NomMachineBoard board{};
  board.magic = NOM_MACHINE_BOARD_MAGIC;
  board.abi_version = NOM_ABI_VERSION;
  board.tsc_hz = g_machine.clocks.tsc_hz;
  SeqlockWrite(machine_board_, board);
  if (mailbox_memory != nullptr) {
    mailbox_.emplace(mailbox_memory);
    mailbox_->Open(RandomId(), g_machine.clocks.tsc_hz, capacity,
                   static_cast<uint32_t>(GuestProcessors().size()));
    WriteSums();
  }
}

void Control::Hold(uint32_t slot) {
  GuestMachine& guest = g_machine.guests[slot];
  guest.hold.store(true, std::memory_order_release);
  const uint64_t give_up = ReadTsc() + g_machine.clocks.tsc_hz * kPatienceSeconds;
  while (!g_machine.accounts[slot].TryClaim(0)) {
    for (const Processor& p : GuestProcessors()) {
      if (p.running_slot.load(std::memory_order_acquire) == slot) Poke(p);
    }
    // One poke is enough; the wait is for an emulator that does not run that processor just now.
    const uint64_t again = ReadTsc() + MsToCycles(1);
    while (ReadTsc() < again && g_machine.accounts[slot].claimed()) Pause();
    NOMHV_CHECK(ReadTsc() < give_up, "control: a guest cannot be stopped");
  }
}

void Control::Release(uint32_t slot) {
  g_machine.guests[slot].hold.store(false, std::memory_order_release);
  g_machine.accounts[slot].Unclaim(0);
  for (size_t i = 0; i < GuestProcessors().size(); ++i) {
    const ProcessorPieces& pieces = plan_[i];
    for (uint32_t k = 0; k < pieces.count; ++k) {
      if (pieces.pieces[k].slot == slot && GuestProcessors()[i].index != 0)
        Poke(GuestProcessors()[i]);
    }
  }
}

void Control::Replan() {
  uint32_t millicores[GuestTable::kSlots] = {};
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    const Guest& guest = table_.at(slot);
    if (guest.running()) millicores[slot] = static_cast<uint32_t>(guest.granted.millicores);
  }
  const std::span<Processor> processors = GuestProcessors();
  PlanProcessors(millicores, {plan_, processors.size()});
  for (size_t i = 0; i < processors.size(); ++i) {
    processors[i].next_pieces = plan_[i];
    processors[i].replan.store(true, std::memory_order_release);
    if (processors[i].index == 0) {
      // We are the only one, and nothing runs here now.
      TakePlan(processors[i]);
      return;
    }
    Poke(processors[i]);
  }
  const uint64_t give_up = ReadTsc() + g_machine.clocks.tsc_hz * kPatienceSeconds;
  for (const Processor& p : processors) {
    while (p.replan.load(std::memory_order_acquire)) {
      Pause();
      NOMHV_CHECK(ReadTsc() < give_up, "control: a processor does not take its plan");
    }
  }
}

Result<uint32_t> Control::CreateGuest(const NomCreate& create, std::span<const std::byte> image,
                                      NomImageFault& fault) {
  fault = NOM_IMAGE_FAULT_NONE;
  const Result<uint32_t> slot = table_.Admit(create);
  if (!slot.ok()) return slot;
  GuestMachine& guest = g_machine.guests[slot.value()];
  g_machine.accounts[slot.value()].Reset();
  last_meters_[slot.value()] = {};
  lost_told_[slot.value()] = 0;
  const Status status =
      BuildGuest(guest, slot.value(), create, image, reinterpret_cast<uint64_t>(machine_board_),
                 g_machine.clocks.tsc_hz, fault);
  if (!status.ok()) {
    table_.Remove(slot.value());
    return status.code();
  }
  if (mailbox_.has_value()) mailbox_->ClearBids(slot.value());
  WriteBoard(slot.value(), nullptr);
  Replan();
  Log(LogLevel::kInfo, "guest ", create.guest_id, " ", QuotedName{guest.name_view()},
      " started: ", create.seed_frames, " of ", create.window_frames, " frames, ",
      create.seed_millicores, " millicores");
  WriteSums();
  return slot;
}

Status Control::CreateBootGuest(const NomCreate& create, std::span<const std::byte> image,
                                Amounts granted) {
  NomImageFault fault = NOM_IMAGE_FAULT_NONE;
  const Result<uint32_t> created = CreateGuest(create, image, fault);
  if (!created.ok()) {
    Log(LogLevel::kError, "guest ", QuotedName{create.name}, " refused: ",
        fault == NOM_IMAGE_FAULT_NONE ? StatusText(created.code()) : ImageFaultText(fault));
    ++boot_.failed;
    return created.code();
  }
  g_machine.guests[created.value()].boot_guest = true;
  ++boot_.started;
  // What stands, and this guest's grant.
  grants_ = {};
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    const Guest& guest = table_.at(slot);
    if (!guest.running()) continue;
    const Amounts amounts = slot == created.value() ? granted : guest.granted;
    NomGrant& grant = grants_.grants[grants_.grant_count++];
    grant.guest_id = guest.id;
    grant.frames = amounts.frames;
    grant.millicores = amounts.millicores;
  }
  const GrantVerdict verdict = PlanGrants(table_, grants_, grant_plan_);
  if (verdict.status != NOM_STATUS_OK) {
    Log(LogLevel::kError, "guest ", QuotedName{create.name},
        " keeps its seed: its grant has status ", static_cast<uint32_t>(verdict.status));
    ++boot_.failed;
    return verdict.status;
  }
  uint64_t forced[GuestTable::kSlots];
  ApplyPlan(grant_plan_, nullptr, forced);
  return {};
}

void Control::Bury(uint32_t slot) {
  Hold(slot);
  GuestMachine& guest = g_machine.guests[slot];
  FillMeter(slot, last_meters_[slot]);
  UnbuildGuest(guest);
  Release(slot);
}

void Control::BuryEnded() {
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    GuestMachine& guest = g_machine.guests[slot];
    if (!table_.at(slot).running() || !guest.ended.load(std::memory_order_acquire)) continue;
    Log(LogLevel::kInfo, "guest ", guest.id, " ", QuotedName{guest.name_view()},
        " ended: ", ExitReasonName(guest.exit_reason), " detail ", Hex{guest.exit_detail}, " rip ",
        Hex{guest.exit_rip});
    Bury(slot);
    table_.End(slot);
    Replan();
    if (guest.boot_guest) {
      ++boot_.ended;
      if (guest.exit_reason != NOM_EXIT_REASON_DONE || guest.exit_detail != 0) ++boot_.failed;
    }
    NomMeter& meter = last_meters_[slot];
    meter.state = NOM_GUEST_ENDED;
    meter.frames_held = 0;
    meter.frames_granted = 0;
    meter.millicores_granted = 0;
    if (!mailbox_.has_value()) continue;
    mailbox_->WriteMeter(slot, meter);
    WriteSums();
    NomEvent event{};
    event.kind = NOM_EVENT_GUEST_ENDED;
    event.status = guest.exit_reason;
    event.guest_id = guest.id;
    event.value = guest.exit_detail;
    event.tsc = ReadTsc();
    if (!Post(event)) {
      Log(LogLevel::kDebug, "the event ring is full: the meters tell the end of ", guest.id);
    }
  }
}

uint64_t Control::Shrink(const FrameChange& change) {
  Hold(change.slot);
  GuestMachine& guest = g_machine.guests[change.slot];
  SetGrantedFrames(guest, change.to_frames);
  const uint64_t taken = ShrinkGuest(guest, change.to_frames);
  WriteGuestBoard(guest);
  Release(change.slot);
  return taken;
}

void Control::Grow(const FrameChange& change) {
  Hold(change.slot);
  GuestMachine& guest = g_machine.guests[change.slot];
  SetGrantedFrames(guest, change.to_frames);
  GrowGuest(guest, change.to_frames - change.from_frames);
  WriteGuestBoard(guest);
  Release(change.slot);
}

// `grant` carries marketd's words for the board; without it only the books' numbers change.
void Control::WriteBoard(uint32_t slot, const NomGrant* grant) {
  Hold(slot);
  GuestMachine& guest = g_machine.guests[slot];
  const Guest& books = table_.at(slot);
  NomGuestBoard& board = guest.board_value;
  board.millicores_granted = books.granted.millicores;
  board.frames_next = books.next.frames;
  board.millicores_next = books.next.millicores;
  if (grant != nullptr) {
    board.balance_microcredits = grant->balance_microcredits;
    board.spent_microcredits = grant->spent_microcredits;
    board.resource_count = grant->holding_count;
    std::memcpy(board.holdings, grant->holdings, sizeof(board.holdings));
  }
  WriteGuestBoard(guest);
  Release(slot);
}

void Control::ApplyPlan(const GrantPlan& plan, const NomGrants* grants, uint64_t (&forced)[32]) {
  for (uint64_t& count : forced) count = 0;
  for (uint32_t i = 0; i < plan.shrink_count; ++i) {
    forced[plan.changes[i].slot] = Shrink(plan.changes[i]);
  }
  CommitGrants(plan, table_);
  for (uint32_t i = plan.shrink_count; i < plan.change_count; ++i) Grow(plan.changes[i]);
  Replan();
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    if (!table_.at(slot).running()) continue;
    g_machine.guests[slot].board_value.deadline_tsc = 0;
    WriteBoard(slot, grants == nullptr ? nullptr : &grants->grants[plan.grant_of_slot[slot]]);
  }
  WriteSums();
}

void Control::FillMeter(uint32_t slot, NomMeter& meter) {
  GuestMachine& guest = g_machine.guests[slot];
  const Guest& books = table_.at(slot);
  const ProcessorAccount& account = g_machine.accounts[slot];
  const NomMeter last = meter;
  meter = {};
  meter.state = NOM_GUEST_RUNNING;
  meter.guest_id = guest.id;
  meter.tsc = ReadTsc();
  const uint64_t offered_beyond = account.offered_cycles() - account.used_cycles();
  meter.cycles_used = UsedCyclesNow(slot);
  CountUp(meter.cycles_used, last.cycles_used);
  meter.cycles_offered = meter.cycles_used + offered_beyond;
  CountUp(meter.cycles_offered, last.cycles_offered);
  {
    const SpinLockGuard guard(guest.meter_lock);
    guest.frame_meter.Advance(TscToUs(meter.tsc), guest.held_frames, guest.granted_frames);
    meter.held_frame_us = guest.frame_meter.held_frame_us();
    meter.offered_frame_us = guest.frame_meter.offered_frame_us();
    meter.frames_held = guest.held_frames;
  }
  meter.frames_granted = books.granted.frames;
  meter.millicores_granted = books.granted.millicores;
  meter.seed_frames = books.seed.frames;
  meter.window_frames = books.window_frames;
  meter.seed_millicores = books.seed.millicores;
  meter.interrupts = guest.interrupts.load(std::memory_order_relaxed);
  meter.forced_frames = guest.forced_frames;
  meter.exit_reason =
      guest.ended.load(std::memory_order_acquire) ? guest.exit_reason : NOM_EXIT_REASON_NONE;
  meter.exit_detail = guest.exit_detail;
  meter.processor = guest.last_processor;
  meter.created_tsc = guest.created_tsc;
  std::memcpy(meter.name, guest.name, sizeof(meter.name));
  meter.lines_lost = guest.lines_lost.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < NOM_EXITS_COUNT; ++i) {
    meter.exits[i] = guest.exits[i].load(std::memory_order_relaxed);
  }
}

void Control::WriteMeters() {
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    if (!table_.at(slot).running()) continue;
    FillMeter(slot, last_meters_[slot]);
    mailbox_->WriteMeter(slot, last_meters_[slot]);
  }
}

void Control::TellLostLines() {
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    if (!table_.at(slot).exists) continue;
    const GuestMachine& guest = g_machine.guests[slot];
    const uint64_t lost = guest.lines_lost.load(std::memory_order_relaxed);
    if (lost == lost_told_[slot]) continue;
    Log(LogLevel::kInfo, "guest ", guest.id, " ", QuotedName{guest.name_view()}, ": ",
        lost - lost_told_[slot], " lines were lost, it writes too many");
    lost_told_[slot] = lost;
  }
}

void Control::WriteRound(uint64_t round_id, const uint64_t (&forced)[32]) {
  round_ = {};
  round_.round_id = round_id;
  round_.tsc = ReadTsc();
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    if (!table_.at(slot).running()) continue;
    NomMeter& meter = last_meters_[slot];
    FillMeter(slot, meter);
    round_.guests[round_.guest_count++] = {meter.guest_id,         meter.cycles_used,
                                           meter.cycles_offered,   meter.held_frame_us,
                                           meter.offered_frame_us, forced[slot]};
  }
  mailbox_->WriteRound(round_);
  WriteMeters();
}

void Control::WriteSums() {
  if (mailbox_.has_value()) mailbox_->WriteSums(table_.granted(), GuestFramesFree());
}

bool Control::Post(const NomEvent& event) {
  if (!mailbox_->Post(event)) return false;
  const std::optional<uint16_t> peer = mailbox_->doorbell_peer();
  if (peer.has_value()) doorbell_.Ring(*peer);
  return true;
}

void Control::Answer(const NomCommand& command, NomStatus status, uint64_t value, uint32_t detail) {
  NomEvent event{};
  event.kind = NOM_EVENT_DONE;
  event.status = status;
  event.id = command.id;
  event.guest_id = command.guest_id;
  event.value = value;
  event.tsc = ReadTsc();
  event.detail = detail;
  // TakeCommand saw room for it, and marketd can only make more.
  if (!Post(event)) Log(LogLevel::kError, "the answer to command ", command.id, " is lost");
}

void Control::ServeCreate(const NomCommand& command) {
  NomCreate create;
  Status status = mailbox_->ReadPayload(command, create);
  if (!status.ok()) return Answer(command, status.code(), 0, 0);
  const auto image = mailbox_->Payload(create.image_offset, create.image_bytes);
  if (!image.ok()) return Answer(command, image.code(), 0, 0);
  NomImageFault fault = NOM_IMAGE_FAULT_NONE;
  const Result<uint32_t> slot = CreateGuest(create, image.value(), fault);
  if (slot.ok()) {
    FillMeter(slot.value(), last_meters_[slot.value()]);
    mailbox_->WriteMeter(slot.value(), last_meters_[slot.value()]);
  }
  Answer(command, slot.code(), 0, fault);
}

void Control::ServeDestroy(const NomCommand& command) {
  const Result<uint32_t> found = table_.Find(command.guest_id);
  if (!found.ok()) return Answer(command, found.code(), 0, 0);
  const uint32_t slot = found.value();
  if (table_.at(slot).running()) {
    Bury(slot);
    Log(LogLevel::kInfo, "guest ", command.guest_id, " destroyed");
  }
  table_.Remove(slot);
  Replan();
  last_meters_[slot] = {};
  mailbox_->WriteMeter(slot, last_meters_[slot]);
  mailbox_->ClearBids(slot);
  WriteSums();
  Answer(command, NOM_STATUS_OK, 0, 0);
}

void Control::ServePrepare(const NomCommand& command) {
  const Status status = mailbox_->ReadPayload(command, grants_);
  if (!status.ok()) return Answer(command, status.code(), 0, 0);
  const GrantVerdict verdict = PlanGrants(table_, grants_, grant_plan_);
  if (verdict.status != NOM_STATUS_OK) {
    return Answer(command, verdict.status, verdict.offender_id, 0);
  }
  PrepareGrants(grant_plan_, table_);
  const uint64_t deadline = ReadTsc() + UsToCycles(grants_.deadline_us);
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    const Guest& books = table_.at(slot);
    if (!books.running()) continue;
    // Told is who gains or loses something; the board says the rest to whoever looks.
    const bool told = !(books.next == books.granted);
    GuestMachine& guest = g_machine.guests[slot];
    Hold(slot);
    NomGuestBoard& board = guest.board_value;
    board.deadline_tsc = told ? deadline : 0;
    if (told) {
      ++board.notice_sequence;
      board.notice_round_id = grants_.round_id;
    }
    Release(slot);
    WriteBoard(slot, &grants_.grants[grant_plan_.grant_of_slot[slot]]);
    if (!told) continue;
    // Only now: who is woken must find the notice on its board.
    Hold(slot);
    guest.notice_unseen = true;
    guest.notice_tsc = ReadTsc();
    guest.interrupt_due = guest.notice_vector != 0;
    Release(slot);
  }
  Answer(command, NOM_STATUS_OK, 0, 0);
}

void Control::ServeApply(const NomCommand& command) {
  const Status status = mailbox_->ReadPayload(command, grants_);
  if (!status.ok()) return Answer(command, status.code(), 0, 0);
  const GrantVerdict verdict = PlanGrants(table_, grants_, grant_plan_);
  if (verdict.status != NOM_STATUS_OK) {
    return Answer(command, verdict.status, verdict.offender_id, 0);
  }
  uint64_t forced[GuestTable::kSlots];
  ApplyPlan(grant_plan_, &grants_, forced);
  WriteRound(grants_.round_id, forced);
  Answer(command, NOM_STATUS_OK, 0, 0);
}

void Control::ServePublish(const NomCommand& command) {
  NomPublish publish;
  const Status status = mailbox_->ReadPayload(command, publish);
  if (!status.ok()) return Answer(command, status.code(), 0, 0);
  if (publish.resource_count > NOM_RESOURCES_MAX) {
    return Answer(command, NOM_STATUS_BAD_PARAMETER, 0, 0);
  }
  const uint64_t now = ReadTsc();
  NomMachineBoard board{};
  board.magic = NOM_MACHINE_BOARD_MAGIC;
  board.abi_version = NOM_ABI_VERSION;
  board.resource_count = publish.resource_count;
  board.round_id = publish.round_id;
  board.priced_round_id = publish.priced_round_id;
  board.tsc_hz = g_machine.clocks.tsc_hz;
  board.updated_tsc = now;
  board.valid_until_tsc = now + UsToCycles(publish.valid_for_us);
  board.close_tsc = now + UsToCycles(publish.close_in_us);
  board.effective_tsc = now + UsToCycles(publish.effective_in_us);
  board.period_us = publish.period_us;
  std::memcpy(board.prices, publish.prices, sizeof(board.prices));
  SeqlockWrite(machine_board_, board);
  Answer(command, NOM_STATUS_OK, 0, 0);
}

void Control::Serve(const NomCommand& command) {
  if (!mailbox_->AdmitEpoch(command.epoch)) {
    return Answer(command, NOM_STATUS_PAST_EPOCH, mailbox_->epoch(), 0);
  }
  switch (command.kind) {
    case NOM_COMMAND_ATTACH: {
      const bool same = command.argument[0] >> 16 == NOM_ABI_MAJOR;
      return Answer(command, same ? NOM_STATUS_OK : NOM_STATUS_BAD_VERSION, NOM_ABI_VERSION, 0);
    }
    case NOM_COMMAND_CREATE:
      return ServeCreate(command);
    case NOM_COMMAND_DESTROY:
      return ServeDestroy(command);
    case NOM_COMMAND_PREPARE:
      return ServePrepare(command);
    case NOM_COMMAND_APPLY:
      return ServeApply(command);
    case NOM_COMMAND_PUBLISH:
      return ServePublish(command);
    case NOM_COMMAND_PING:
      return Answer(command, NOM_STATUS_OK, 0, 0);
    default:
      return Answer(command, NOM_STATUS_NO_SUCH_CALL, 0, 0);
  }
}

void Control::Turn() {
  BuryEnded();
  DrainLog(g_machine.first_guest_processor == 0 ? kLogBytesBesideGuests : kLogBytes);
  if (ReadTsc() >= next_lost_tsc_) {
    next_lost_tsc_ = ReadTsc() + MsToCycles(kLostLinesMs);
    TellLostLines();
  }
  if (!mailbox_.has_value()) return;
  mailbox_->WriteHeartbeat(ReadTsc());
  mailbox_->WriteDoorbells(DoorbellInterrupts());
  NomCommand command;
  // A bounded number, so that a flood of commands does not starve the rest of the turn.
  for (uint32_t i = 0; i < NOM_COMMAND_SLOTS && mailbox_->TakeCommand(command); ++i) {
    Serve(command);
    BuryEnded();
  }
  const uint64_t now = ReadTsc();
  if (now >= next_bids_tsc_) {
    next_bids_tsc_ = now + MsToCycles(kBidsMs);
    for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
      if (table_.at(slot).running()) mailbox_->CopyBids(slot, g_machine.guests[slot].bids);
    }
  }
  if (now >= next_meters_tsc_) {
    next_meters_tsc_ = now + MsToCycles(kMetersMs);
    WriteMeters();
    WriteSums();
  }
}

}  // namespace nomhv
