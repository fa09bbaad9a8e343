// SPDX-License-Identifier: Apache-2.0
// Commands that marketd should never send: each refused with its status, and nothing changed.

#include <cstring>
#include <memory>
#include <random>

#include "tests/guests/driver/scenario.h"

namespace nom::tests {
namespace {

class Commands : public Scenario {
 protected:
  uint32_t Send(uint32_t kind, uint32_t offset, uint32_t bytes, uint64_t argument = 0) {
    NomCommand command{};
    command.kind = kind;
    command.payload_offset = offset;
    command.payload_bytes = bytes;
    command.argument[0] = argument;
    return machine.Call(command).status;
  }
  NomCreate GoodCreate(uint64_t id) {
    NomCreate create{};
    create.guest_id = id;
    create.seed_frames = 512;
    create.window_frames = 1024;
    create.seed_millicores = 100;
    std::strcpy(create.name, "good");
    return create;
  }
};

TEST_F(Commands, UnknownOnesAndVersions) {
  for (const uint32_t kind : {0u, 8u, 1000u, 0xffffffffu}) {
    EXPECT_EQ(Send(kind, 0, 0), NOM_STATUS_NO_SUCH_CALL) << kind;
  }
  EXPECT_EQ(Send(NOM_COMMAND_ATTACH, 0, 0, (NOM_ABI_MAJOR + 1) << 16), NOM_STATUS_BAD_VERSION);
  EXPECT_EQ(Send(NOM_COMMAND_ATTACH, 0, 0, 0), NOM_STATUS_BAD_VERSION);
  EXPECT_EQ(Send(NOM_COMMAND_ATTACH, 0, 0, NOM_ABI_VERSION + 1), NOM_STATUS_OK) << "minor";
}

TEST_F(Commands, APastLeaderIsNotObeyed) {
  const uint64_t id = Create({.program = "worker"});
  const uint64_t past = machine.epoch();
  machine.set_epoch(past + 5);
  NomCommand command{};
  command.kind = NOM_COMMAND_ATTACH;
  command.argument[0] = NOM_ABI_VERSION;
  EXPECT_EQ(machine.Call(command).status, NOM_STATUS_OK);
  EXPECT_EQ(machine.Header().epoch, past + 5);
  for (const uint32_t kind :
       {NOM_COMMAND_ATTACH, NOM_COMMAND_CREATE, NOM_COMMAND_DESTROY, NOM_COMMAND_PREPARE,
        NOM_COMMAND_APPLY, NOM_COMMAND_PUBLISH, NOM_COMMAND_PING}) {
    for (const uint64_t epoch : {past, past + 4}) {
      command.kind = kind;
      command.epoch = epoch;
      command.guest_id = id;
      const NomEvent answer = machine.Call(command);
      EXPECT_EQ(answer.status, NOM_STATUS_PAST_EPOCH) << kind;
      EXPECT_EQ(answer.value, past + 5);
    }
  }
  ExpectProgress(id);
}

TEST_F(Commands, PayloadsOutOfBounds) {
  constexpr uint32_t kEnd = NOM_MAILBOX_PAYLOAD_BYTES;
  for (const uint32_t kind :
       {NOM_COMMAND_CREATE, NOM_COMMAND_PREPARE, NOM_COMMAND_APPLY, NOM_COMMAND_PUBLISH}) {
    SCOPED_TRACE(kind);
    EXPECT_EQ(Send(kind, 0, 0), NOM_STATUS_BAD_PARAMETER);
    EXPECT_EQ(Send(kind, 0, 8), NOM_STATUS_BAD_PARAMETER);
    EXPECT_EQ(Send(kind, kEnd, 0x10000), NOM_STATUS_BAD_PARAMETER);
    EXPECT_EQ(Send(kind, kEnd - 8, 0x10000), NOM_STATUS_BAD_PARAMETER);
    EXPECT_EQ(Send(kind, 0xffffffff, 0xffffffff), NOM_STATUS_BAD_PARAMETER);
    EXPECT_EQ(Send(kind, 0xfffff000, 0x10000), NOM_STATUS_BAD_PARAMETER) << "wraps round";
  }
  NomPublish publish{};
  publish.resource_count = NOM_RESOURCES_MAX + 1;
  EXPECT_EQ(machine.Call(NOM_COMMAND_PUBLISH, &publish, sizeof(publish)).status,
            NOM_STATUS_BAD_PARAMETER);
}

TEST_F(Commands, BadCreates) {
  const auto image = machine.Image("hello");
  const auto refused = [&](auto change) {
    NomCreate create = GoodCreate(70);
    change(create);
    return machine.TryCreate(create, image).status;
  };
  EXPECT_EQ(refused([](auto& c) { c.guest_id = 0; }), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(refused([](auto& c) { c.seed_frames = 0; }), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(refused([](auto& c) { c.seed_frames = c.window_frames + 1; }),
            NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(refused([](auto& c) { c.window_frames = ~uint64_t{0}; }), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(refused([](auto& c) { c.seed_millicores = 1001; }), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(refused([](auto& c) { std::memset(c.name, 'x', sizeof(c.name)); }),
            NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(refused([](auto& c) { c.seed_frames = c.window_frames = 700'000; }),
            NOM_STATUS_OVER_CAPACITY);

  // Where the image is said to lie.
  for (const auto& [offset, bytes] : std::initializer_list<std::pair<uint32_t, uint32_t>>{
           {0xffffffff, 16}, {NOM_MAILBOX_PAYLOAD_BYTES, 16}, {16, 0xffffffff}}) {
    NomCreate create = GoodCreate(70);
    create.image_offset = offset;
    create.image_bytes = bytes;
    EXPECT_EQ(machine.Call(NOM_COMMAND_CREATE, &create, sizeof(create)).status,
              NOM_STATUS_BAD_PARAMETER);
  }

  const uint64_t id = Create({.program = "worker"});
  EXPECT_EQ(machine.TryCreate(id, {.program = "worker"}).status, NOM_STATUS_EXISTS);
  ExpectProgress(id);
}

TEST_F(Commands, BadImages) {
  auto image = machine.Image("hello");
  const auto fault = [&](const std::vector<std::byte>& bytes, uint64_t frames = 512) {
    NomCreate create = GoodCreate(71);
    create.seed_frames = frames;
    const NomEvent answer = machine.TryCreate(create, bytes);
    EXPECT_EQ(answer.status, NOM_STATUS_BAD_IMAGE);
    return answer.detail;
  };
  EXPECT_EQ(fault({}), NOM_IMAGE_FAULT_TOO_SHORT);
  EXPECT_EQ(fault({image.begin(), image.begin() + 80}), NOM_IMAGE_FAULT_TOO_SHORT);
  EXPECT_EQ(fault({image.begin(), image.begin() + 4096}), NOM_IMAGE_FAULT_BAD_SEGMENT);
  EXPECT_EQ(fault(image, 64), NOM_IMAGE_FAULT_OUTSIDE_SEED);
  image[0] = std::byte{0};
  EXPECT_EQ(fault(image), NOM_IMAGE_FAULT_NOT_ELF);
}

TEST_F(Commands, MutatedImagesNeverHarmAnybody) {
  const uint64_t neighbour = Create({.program = "worker"});
  const auto good = machine.Image("hello");
  std::mt19937_64 random(99);
  for (uint64_t i = 0; i < 150; ++i) {
    SCOPED_TRACE(i);
    auto image = good;
    for (int change = 0; change < 3; ++change) {
      image[random() % 4 == 0 ? random() % image.size() : random() % 400] =
          static_cast<std::byte>(random());
    }
    const NomEvent answer = machine.TryCreate(GoodCreate(5000 + i), image);
    if (answer.status == NOM_STATUS_OK) {
      machine.PassUs(2000);
      EXPECT_EQ(machine.Destroy(5000 + i).status, NOM_STATUS_OK);
    } else {
      EXPECT_EQ(answer.status, NOM_STATUS_BAD_IMAGE);
    }
  }
  ExpectProgress(neighbour);
}

TEST_F(Commands, BadGrantsNameTheOffenderAndChangeNothing) {
  const uint64_t a = Create({.program = "worker"});
  const uint64_t b = Create({.program = "worker"});
  const auto refused = [&](const std::vector<Grant>& grants, NomStatus status, uint64_t offender) {
    for (const bool prepare : {true, false}) {
      const NomEvent answer = prepare ? machine.Prepare(grants, 1000) : machine.Apply(grants);
      EXPECT_EQ(answer.status, static_cast<uint32_t>(status));
      EXPECT_EQ(answer.value, offender);
    }
  };
  const uint64_t capacity = machine.Header().capacity_millicores;
  refused({{a, 600, 100}, {b, 511, 100}}, NOM_STATUS_BELOW_SEED, b);
  refused({{a, 600, 99}, {b, 512, 100}}, NOM_STATUS_BELOW_SEED, a);
  refused({{a, 600, 100}, {b, 1025, 100}}, NOM_STATUS_BAD_PARAMETER, b);
  refused({{a, 600, 100}, {b, 600, 1001}}, NOM_STATUS_BAD_PARAMETER, b);
  refused({{a, 600, 100}, {a, 600, 100}}, NOM_STATUS_BAD_PARAMETER, a);
  refused({{a, 600, 100}}, NOM_STATUS_BAD_PARAMETER, b);
  refused({{a, 600, 100}, {b, 600, 100}, {4242, 1, 1}}, NOM_STATUS_NO_SUCH_GUEST, 4242);
  if (capacity < 1200) {
    refused({{a, 600, 600}, {b, 600, 600}}, NOM_STATUS_OVER_CAPACITY, b);
  }
  refused(std::vector<Grant>(NOM_GUESTS_MAX + 1, Grant{a, 600, 100}), NOM_STATUS_BAD_PARAMETER, 0);
  EXPECT_EQ(machine.Meter(a)->frames_granted, 512u);
  EXPECT_EQ(machine.Meter(b)->frames_granted, 512u);
  EXPECT_EQ(machine.Header().frames_granted, 1024u);

  const uint64_t c = Create({.program = "hello"});
  ExpectEnd(c, NOM_EXIT_REASON_DONE, 0);
  EXPECT_EQ(machine.Apply({{a, 512, 100}, {b, 512, 100}, {c, 512, 100}}).status,
            NOM_STATUS_CRASHED);
  EXPECT_EQ(machine.Apply({{a, 512, 100}, {b, 512, 100}}).status, NOM_STATUS_OK);
  ExpectProgress(a);
  ExpectProgress(b);
}

TEST_F(Commands, DestroyingNobody) {
  EXPECT_EQ(machine.Destroy(0).status, NOM_STATUS_NO_SUCH_GUEST);
  EXPECT_EQ(machine.Destroy(424242).status, NOM_STATUS_NO_SUCH_GUEST);
  const uint64_t id = Create({.program = "spin"});
  Destroy(id);
  EXPECT_EQ(machine.Destroy(id).status, NOM_STATUS_NO_SUCH_GUEST);
}

TEST_F(Commands, TheTableFillsAndEmpties) {
  std::vector<uint64_t> ids;
  NomEvent answer{};
  for (uint64_t id = 9000; id < 9000 + NOM_GUESTS_MAX + 1; ++id) {
    answer = machine.TryCreate(
        id, {.program = "hello", .frames = 384, .window_frames = 384, .millicores = 10});
    if (answer.status != NOM_STATUS_OK) break;
    ids.push_back(id);
  }
  // Ended guests keep their slots; a small machine is full before the table is.
  EXPECT_TRUE(answer.status == NOM_STATUS_TABLE_FULL || answer.status == NOM_STATUS_OVER_CAPACITY)
      << answer.status;
  if (answer.status == NOM_STATUS_TABLE_FULL) {
    EXPECT_EQ(ids.size(), NOM_GUESTS_MAX);
  }
  for (const uint64_t id : ids) EXPECT_EQ(machine.Destroy(id).status, NOM_STATUS_OK);
  const uint64_t id = Create({.program = "hello"});
  ExpectEnd(id, NOM_EXIT_REASON_DONE, 0);
}

TEST_F(Commands, NonsenseIndicesAreWaitedOut) {
  const uint64_t neighbour = Create({.program = "worker"});
  NomMailboxHeader* header = machine.raw_header();
  const uint32_t head = header->command_head;
  for (const uint32_t nonsense : {head + 65, head + 0x80000000u, head - 1}) {
    header->command_head = nonsense;
    machine.PassUs(150'000);
    EXPECT_EQ(header->command_tail, head) << "took commands that were never sent";
  }
  header->command_head = head;
  ExpectProgress(neighbour);
}

TEST_F(Commands, RandomOnesHarmNobody) {
  const uint64_t neighbour = Create({.program = "worker"});
  std::mt19937_64 random(7);
  for (int i = 0; i < 400; ++i) {
    NomCommand command{};
    for (auto* word = reinterpret_cast<uint64_t*>(&command);
         word != reinterpret_cast<uint64_t*>(&command + 1); ++word) {
      *word = random() >> (random() % 60);
    }
    command.kind = static_cast<uint32_t>(random() % 9);
    command.epoch = 0;  // The machine's present one: a higher would lock this test out.
    if (command.guest_id == neighbour) command.guest_id = 0;
    for (int word = 0; word < 64; ++word) {
      const uint64_t value = random() >> (random() % 60);
      std::memcpy(machine.payload() +
                      (command.payload_offset / 8 * 8 + word * 8) % (NOM_MAILBOX_PAYLOAD_BYTES - 8),
                  &value, 8);
    }
    const NomEvent answer = machine.Call(command);
    if (command.kind == NOM_COMMAND_CREATE || command.kind == NOM_COMMAND_APPLY ||
        command.kind == NOM_COMMAND_PREPARE) {
      EXPECT_NE(answer.status, NOM_STATUS_OK) << "garbage was accepted";
    }
  }
  ExpectProgress(neighbour);
}

}  // namespace
}  // namespace nom::tests
