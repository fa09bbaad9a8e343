// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/control/control.h"

#include <cstddef>
#include <cstring>

#include "nomhv/core/shared_memory.h"
#include "nomhv/core/status_text.h"
#include "nomhv/x86/guests/devices.h"
#include "nomhv/x86/guests/machine.h"
#include "nomhv/x86/guests/regions.h"
#include "nomhv/x86/pc/create.h"
#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/cpu.h"
#include "nomhv/x86/platform/log.h"

namespace nomhv {
namespace {

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

Control::Control(Amounts capacity, std::byte* mailbox_memory, const Doorbell& doorbell,
                 NomMachineBoard* machine_board)
    : table_(capacity),
      mailbox_(mailbox_memory != nullptr ? std::optional<Mailbox>(mailbox_memory) : std::nullopt),
      doorbell_(doorbell),
      machine_board_(machine_board),
      meters_(&table_, mailbox()),
      pulse_(&table_, mailbox(), &meters_),
      dispatch_(&table_, &pulse_),
      moves_(&table_, &dispatch_, &pulse_, &meters_),
      life_({&table_, mailbox(), &dispatch_, &moves_, &pulse_, &meters_, machine_board}) {
  NomMachineBoard board{};
  board.magic = NOM_MACHINE_BOARD_MAGIC;
  board.abi_version = NOM_ABI_VERSION;
  board.tsc_hz = clocks().tsc_hz;
  SeqlockWrite(machine_board_, board);
  if (!mailbox_.has_value()) return;
  mailbox_->Open(RandomId(), clocks().tsc_hz, capacity,
                 static_cast<uint32_t>(GuestProcessors().size()), device_board());
  meters_.WriteSums();
}

Status Control::CreateBootGuest(const BootGuest& boot, std::span<const std::byte> image) {
  const NomCreate& create = boot.create;
  NomImageFault fault = NOM_IMAGE_FAULT_NONE;
  const Result<uint32_t> created =
      life_.Create(create, boot.virtual_processors, image, fault, boot.pc);
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
    const Amounts amounts = slot == created.value() ? boot.granted : guest.granted;
    NomGrant& grant = grants_.grants[grants_.grant_count++];
    grant.guest_id = guest.id;
    grant.frames = amounts.frames;
    grant.millicores = amounts.millicores;
    grant.devices = amounts.devices;
  }
  const GrantVerdict verdict = PlanGrants(table_, grants_, grant_plan_);
  if (verdict.status != NOM_STATUS_OK) {
    Log(LogLevel::kError, "guest ", QuotedName{create.name},
        " keeps its seed, as of its grant: ", StatusText(verdict.status));
    ++boot_.failed;
    return verdict.status;
  }
  ForcedFrames forced;
  moves_.Apply(grant_plan_, nullptr, forced);
  return {};
}

void Control::BuryEnded() {
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    if (!life_.Ended(slot)) continue;
    const GuestMachine& guest = g_machine.guests[slot];
    life_.End(slot);
    if (guest.boot_guest) {
      ++boot_.ended;
      if (guest.exit_reason != NOM_EXIT_REASON_DONE || guest.exit_detail != 0) ++boot_.failed;
    }
    if (!mailbox_.has_value()) continue;
    NomEvent event{};
    event.kind = NOM_EVENT_GUEST_ENDED;
    event.status = guest.exit_reason;
    event.guest_id = guest.id;
    event.value = guest.exit_detail;
    event.tsc = ReadTsc();
    // If the ring is full, the meters tell it.
    static_cast<void>(Post(event));
  }
}

bool Control::Post(const NomEvent& event) {
  if (!mailbox_->Post(event)) return false;
  const std::optional<uint16_t> peer = mailbox_->doorbell_peer();
  if (peer.has_value()) doorbell_.Ring(*peer);
  return true;
}

CommandAnswer Control::ServeCreate(const NomCommand& command) {
  NomCreate create;
  if (const Status read = mailbox_->ReadPayload(command, create); !read.ok()) return {read.code()};
  PcBoot pc;
  const auto image = command.argument[1] != 0
                         ? ReadPcCreate(*mailbox_, command, pc)
                         : mailbox_->Payload(create.image_offset, create.image_bytes);
  if (!image.ok()) return {image.code()};
  NomImageFault fault = NOM_IMAGE_FAULT_NONE;
  const uint64_t processors = command.argument[0] != 0 ? command.argument[0] : 1;
  const Result<uint32_t> slot = life_.Create(create, processors, image.value(), fault, pc);
  if (slot.ok()) meters_.Write(slot.value());
  return {slot.code(), 0, fault};
}

CommandAnswer Control::ServeDestroy(const NomCommand& command) {
  const Result<uint32_t> slot = table_.Find(command.guest_id);
  if (slot.ok()) life_.Remove(slot.value());
  return {slot.code()};
}

CommandAnswer Control::ServeGrants(const NomCommand& command) {
  if (const Status read = mailbox_->ReadPayload(command, grants_); !read.ok()) return {read.code()};
  const GrantVerdict verdict = PlanGrants(table_, grants_, grant_plan_);
  if (verdict.status != NOM_STATUS_OK) return {verdict.status, verdict.offender_id};
  if (command.kind == NOM_COMMAND_PREPARE) {
    moves_.Prepare(grant_plan_, grants_, ReadTsc() + UsToCycles(grants_.deadline_us));
  } else {
    ForcedFrames forced;
    moves_.Apply(grant_plan_, &grants_, forced);
    meters_.WriteRound(grants_.round_id, forced);
  }
  return {};
}

CommandAnswer Control::ServePublish(const NomCommand& command) {
  NomPublish publish{};
  const Status read = mailbox_->ReadPayload(command, publish, offsetof(NomPublish, head));
  if (!read.ok()) return {read.code()};
  if (publish.resource_count > NOM_RESOURCES_MAX) return {NOM_STATUS_BAD_PARAMETER};
  const uint64_t now = ReadTsc();
  NomMachineBoard board{};
  board.magic = NOM_MACHINE_BOARD_MAGIC;
  board.abi_version = NOM_ABI_VERSION;
  board.resource_count = publish.resource_count;
  board.round_id = publish.round_id;
  board.priced_round_id = publish.priced_round_id;
  board.tsc_hz = clocks().tsc_hz;
  board.updated_tsc = now;
  board.valid_until_tsc = now + UsToCycles(publish.valid_for_us);
  board.close_tsc = now + UsToCycles(publish.close_in_us);
  board.effective_tsc = now + UsToCycles(publish.effective_in_us);
  board.period_us = publish.period_us;
  board.head = publish.head;
  std::memcpy(board.prices, publish.prices, sizeof(board.prices));
  SeqlockWrite(machine_board_, board);
  return {};
}

CommandAnswer Control::Serve(const NomCommand& command) {
  if (!mailbox_->AdmitEpoch(command.epoch)) return {NOM_STATUS_PAST_EPOCH, mailbox_->epoch()};
  switch (command.kind) {
    case NOM_COMMAND_ATTACH: {
      const bool same = command.argument[0] >> 16 == NOM_ABI_MAJOR;
      return {same ? NOM_STATUS_OK : NOM_STATUS_BAD_VERSION, NOM_ABI_VERSION};
    }
    case NOM_COMMAND_CREATE:
      return ServeCreate(command);
    case NOM_COMMAND_DESTROY:
      return ServeDestroy(command);
    case NOM_COMMAND_PREPARE:
    case NOM_COMMAND_APPLY:
      return ServeGrants(command);
    case NOM_COMMAND_PUBLISH:
      return ServePublish(command);
    case NOM_COMMAND_PING:
      return {};
    default:
      return {NOM_STATUS_NO_SUCH_CALL};
  }
}

void Control::ServeAndAnswer(const NomCommand& command) {
  const CommandAnswer answer = Serve(command);
  NomEvent event{};
  event.kind = NOM_EVENT_DONE;
  event.status = answer.status;
  event.id = command.id;
  event.guest_id = command.guest_id;
  event.value = answer.value;
  event.tsc = ReadTsc();
  event.detail = answer.detail;
  // TakeCommand saw room for it, and marketd can only make more.
  if (!Post(event)) Log(LogLevel::kError, "the answer to command ", command.id, " is lost");
}

void Control::Turn() {
  BuryEnded();
  CutOffNext(dispatch_);
  if (g_machine.replan_wanted.exchange(false, std::memory_order_acq_rel)) dispatch_.Replan();
  pulse_.Beat();
  if (!mailbox_.has_value()) return;
  NomCommand command;
  // A bounded number, so that a flood of commands does not starve the rest of the turn.
  for (uint32_t i = 0; i < NOM_COMMAND_SLOTS && mailbox_->TakeCommand(command); ++i) {
    ServeAndAnswer(command);
    BuryEnded();
    pulse_.Beat();
  }
}

}  // namespace nomhv
