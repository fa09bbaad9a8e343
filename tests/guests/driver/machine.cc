// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/driver/machine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>

#include "nomhv/core/shared_memory.h"

namespace nom::tests {
namespace {

// Waiting ends a test that hangs. The machine's own clock says how long: an emulated one may need
// many times as long by the wall's, which counts only while the machine's stands still. The time
// limit of a whole run is run.py's.
constexpr uint64_t kPatienceSeconds = 60;
constexpr auto kStandstill = std::chrono::seconds(60);
constexpr int kSeqlockTries = 10000;

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "machine: %s\n", why.c_str());
  std::_Exit(1);
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) Die(std::string(name) + " is not set");
  return value;
}

template <typename T>
T Load(T& shared) {
  return std::atomic_ref<T>(shared).load(std::memory_order_acquire);
}

}  // namespace

Machine& Machine::Get() {
  static Machine machine;
  return machine;
}

Machine::Machine() {
  const std::string path = Environment("NOM_MAILBOX");
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct stat status {};
  if (file < 0 || fstat(file, &status) != 0 || status.st_size < off_t{NOM_MAILBOX_BYTES}) {
    Die("no mailbox at " + path);
  }
  void* memory = mmap(nullptr, NOM_MAILBOX_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) Die("cannot map the mailbox");
  base_ = static_cast<std::byte*>(memory);
  if (!Wait([&] { return Load(raw_header()->magic) == NOM_MAILBOX_MAGIC; })) {
    Die("nomhv did not open its mailbox");
  }
  NomCommand attach{};
  attach.kind = NOM_COMMAND_ATTACH;
  attach.argument[0] = NOM_ABI_VERSION;
  const NomEvent answer = Call(attach);
  if (answer.status != NOM_STATUS_OK || answer.value != NOM_ABI_VERSION) Die("cannot attach");
}

bool Machine::Wait(const std::function<bool()>& done) {
  const uint64_t begin = Load(raw_header()->heartbeat_tsc);
  uint64_t last = begin;
  auto stands_since = std::chrono::steady_clock::now();
  while (!done()) {
    const auto now = std::chrono::steady_clock::now();
    if (const uint64_t heartbeat = Load(raw_header()->heartbeat_tsc); heartbeat != last) {
      last = heartbeat;
      stands_since = now;
    }
    if (now - stands_since > kStandstill) return false;
    // There is no clock yet before nomhv has opened its mailbox.
    if (begin != 0 && (last - begin) / Load(raw_header()->tsc_hz) >= kPatienceSeconds) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

void Machine::DrainEvents() {
  NomMailboxHeader* header = raw_header();
  uint32_t tail = header->event_tail;
  while (tail != Load(header->event_head)) {
    NomEvent event;
    std::memcpy(&event,
                reinterpret_cast<NomEvent*>(base_ + NOM_MAILBOX_EVENTS_AT) + tail % NOM_EVENT_SLOTS,
                sizeof(event));
    std::atomic_ref<uint32_t>(header->event_tail).store(++tail, std::memory_order_release);
    if (event.kind == NOM_EVENT_DONE) {
      answers_[event.id] = event;
    } else if (event.kind == NOM_EVENT_GUEST_ENDED) {
      ended_[event.guest_id] = {event.status, event.value};
    } else {
      ADD_FAILURE() << "event of unknown kind " << event.kind;
    }
  }
}

NomEvent Machine::Call(NomCommand command) {
  NomMailboxHeader* header = raw_header();
  command.id = next_command_++;
  if (command.epoch == 0) command.epoch = epoch_;
  *raw_command(header->command_head) = command;
  std::atomic_ref<uint32_t>(header->command_head)
      .store(header->command_head + 1, std::memory_order_release);
  if (!Wait([&] {
        DrainEvents();
        return answers_.count(command.id) > 0;
      })) {
    Die("no answer to command " + std::to_string(command.kind));
  }
  const NomEvent answer = answers_[command.id];
  answers_.erase(command.id);
  return answer;
}

NomEvent Machine::Call(uint32_t kind, const void* bytes, size_t size, uint64_t argument) {
  std::memcpy(payload(), bytes, size);
  NomCommand command{};
  command.kind = kind;
  command.argument[0] = argument;
  command.payload_bytes = static_cast<uint32_t>(size);
  return Call(command);
}

std::vector<std::byte> Machine::Image(const std::string& program) const {
  std::ifstream file(Environment("NOM_GUESTS") + "/test_" + program + ".elf", std::ios::binary);
  if (!file) file.open(Environment("NOM_GUESTS") + "/" + program + ".elf", std::ios::binary);
  if (!file) Die("no guest image test_" + program + ".elf or " + program + ".elf");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  return {bytes, bytes + text.size()};
}

NomEvent Machine::TryCreate(const NomCreate& create, const std::vector<std::byte>& image,
                            uint64_t virtual_processors) {
  NomCreate placed = create;
  placed.image_offset = 4096;
  placed.image_bytes = static_cast<uint32_t>(image.size());
  std::memcpy(payload() + placed.image_offset, image.data(), image.size());
  return Call(NOM_COMMAND_CREATE, &placed, sizeof(placed), virtual_processors);
}

NomEvent Machine::TryCreate(uint64_t guest_id, const GuestSpec& spec) {
  NomCreate create{};
  create.guest_id = guest_id;
  create.seed_frames = spec.frames;
  create.window_frames = spec.window_frames;
  create.seed_millicores = spec.millicores;
  std::strncpy(create.name, (spec.program + "-" + std::to_string(guest_id)).c_str(),
               sizeof(create.name) - 1);
  std::strncpy(create.arguments, spec.arguments.c_str(), sizeof(create.arguments) - 1);
  return TryCreate(create, Image(spec.program), spec.virtual_processors);
}

uint64_t Machine::Create(const GuestSpec& spec) {
  const uint64_t id = next_guest_++;
  const NomEvent answer = TryCreate(id, spec);
  EXPECT_EQ(answer.status, NOM_STATUS_OK) << "creating " << spec.program;
  return answer.status == NOM_STATUS_OK ? id : 0;
}

NomEvent Machine::Destroy(uint64_t guest_id) {
  NomCommand command{};
  command.kind = NOM_COMMAND_DESTROY;
  command.guest_id = guest_id;
  return Call(command);
}

NomEvent Machine::Grants(uint32_t kind, const std::vector<Grant>& grants, uint64_t deadline_us) {
  auto set = std::make_unique<NomGrants>();
  set->round_id = round_;
  set->deadline_us = deadline_us;
  set->grant_count = static_cast<uint32_t>(grants.size());
  for (size_t i = 0; i < grants.size() && i < NOM_GUESTS_MAX; ++i) {
    set->grants[i].guest_id = grants[i].guest_id;
    set->grants[i].frames = grants[i].frames;
    set->grants[i].millicores = grants[i].millicores;
    set->grants[i].devices = grants[i].devices;
  }
  return Call(kind, set.get(), sizeof(*set));
}

NomEvent Machine::Prepare(const std::vector<Grant>& grants, uint64_t deadline_us) {
  ++round_;
  return Grants(NOM_COMMAND_PREPARE, grants, deadline_us);
}

NomEvent Machine::Apply(const std::vector<Grant>& grants) {
  return Grants(NOM_COMMAND_APPLY, grants, 0);
}

NomMailboxHeader Machine::Header() const {
  NomMailboxHeader header;
  std::memcpy(&header, base_, sizeof(header));
  return header;
}

std::optional<uint32_t> Machine::Slot(uint64_t guest_id) const {
  for (uint32_t slot = 0; slot < NOM_GUESTS_MAX; ++slot) {
    NomMeter meter;
    if (nomhv::SeqlockRead(reinterpret_cast<NomMeter*>(base_ + NOM_MAILBOX_METERS_AT) + slot, meter,
                           kSeqlockTries) &&
        meter.state != NOM_GUEST_FREE && meter.guest_id == guest_id) {
      return slot;
    }
  }
  return std::nullopt;
}

std::optional<NomMeter> Machine::Meter(uint64_t guest_id) const {
  const auto slot = Slot(guest_id);
  NomMeter meter;
  if (!slot.has_value() ||
      !nomhv::SeqlockRead(reinterpret_cast<NomMeter*>(base_ + NOM_MAILBOX_METERS_AT) + *slot, meter,
                          kSeqlockTries)) {
    return std::nullopt;
  }
  return meter;
}

bool Machine::BidPage(uint64_t guest_id, NomBidPage& page) const {
  const auto slot = Slot(guest_id);
  if (!slot.has_value()) return false;
  const std::byte* at = base_ + NOM_MAILBOX_BIDS_AT + size_t{*slot} * NOM_FRAME_BYTES;
  return nomhv::SeqlockRead(reinterpret_cast<const NomBidPage*>(at), page, kSeqlockTries);
}

NomDeviceBoard Machine::Devices() const {
  NomDeviceBoard board;
  std::memcpy(&board, base_ + NOM_MAILBOX_DEVICES_AT, sizeof(board));
  return board;
}

bool Machine::Round(NomRoundMeters& round) const {
  return nomhv::SeqlockRead(reinterpret_cast<NomRoundMeters*>(base_ + NOM_MAILBOX_ROUND_AT), round,
                            kSeqlockTries);
}

uint64_t Machine::WorkDone(uint64_t guest_id) const {
  NomBidPage page;
  return BidPage(guest_id, page) ? page.work_done : 0;
}

int64_t Machine::Value(uint64_t guest_id) const {
  NomBidPage page;
  return BidPage(guest_id, page) ? page.value_microcredits : 0;
}

std::optional<Ended> Machine::End(uint64_t guest_id) {
  DrainEvents();
  const auto it = ended_.find(guest_id);
  return it == ended_.end() ? std::nullopt : std::optional(it->second);
}

std::optional<Ended> Machine::WaitEnd(uint64_t guest_id) {
  if (!WaitFor("a guest's end", [&] { return End(guest_id).has_value(); })) return std::nullopt;
  return ended_[guest_id];
}

bool Machine::WaitFor(const char* what, const std::function<bool()>& done) {
  const bool came = Wait([&] {
    DrainEvents();
    return done();
  });
  EXPECT_TRUE(came) << "waited in vain for " << what;
  return came;
}

void Machine::PassUs(uint64_t us) {
  const NomMailboxHeader header = Header();
  const uint64_t end = header.heartbeat_tsc + us * (header.tsc_hz / 1'000'000);
  WaitFor("time to pass", [&] { return Load(raw_header()->heartbeat_tsc) >= end; });
}

}  // namespace nom::tests
