// SPDX-License-Identifier: Apache-2.0
#include "client/guest/x86/boot.h"

#include <cstring>

#include "client/guest/address.h"
#include "client/guest/calls.h"
#include "client/guest/console.h"
#include "client/guest/start.h"
#include "client/guest/x86/processors.h"

namespace nom::guest {
namespace {

extern "C" bool NomTryCopy(void* to, const void* from, size_t bytes);

class Machine final : public Nomhv {
 public:
  CallResult Call(uint32_t number, uint64_t first, uint64_t second, uint64_t third) override {
    uint64_t status = number;
    uint64_t value = third;
    asm volatile("vmmcall" : "+a"(status), "+d"(value) : "D"(first), "S"(second) : "memory");
    return {static_cast<NomStatus>(status), value};
  }
  uint64_t Tsc() override {
    uint32_t low = 0;
    uint32_t high = 0;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return uint64_t{high} << 32 | low;
  }
  bool TryCopy(void* to, const void* from, size_t bytes) override {
    return NomTryCopy(to, from, bytes);
  }
};

constinit Machine machine;

using Constructor = void (*)();
extern "C" {
extern const Constructor nom_init_array_begin[];
extern const Constructor nom_init_array_end[];
extern const char nom_image_begin[];
extern const char nom_image_end[];
}

constexpr uint64_t kExitNotStartedByNomhv = 127;

extern "C" const char NomProcessorEntry[];

std::string_view TextOf(const char* text, size_t size) { return {text, strnlen(text, size)}; }

}  // namespace

Nomhv& Hypervisor() { return machine; }

CallResult StartProcessor(uint32_t number, void (*body)(void*), void* argument,
                          std::span<std::byte> stack) {
  // What entry.S takes from there.
  uint64_t top = (AddressOf(stack.data()) + stack.size()) & ~uint64_t{15};
  top -= 2 * sizeof(uint64_t);
  PointerTo<uint64_t>(top)[0] = reinterpret_cast<uint64_t>(body);
  PointerTo<uint64_t>(top)[1] = reinterpret_cast<uint64_t>(argument);
  return machine.StartProcessor(number, AddressOf(NomProcessorEntry), top);
}

// From x86/entry.S, on the guest's stack, in long mode.
extern "C" [[noreturn]] void NomGuestStart(uint32_t start_gpa) {
  SetUpInterrupts();
  const auto* page = PointerTo<const NomStart>(start_gpa);
  if (start_gpa != NOM_GPA_START_PAGE || page->magic != NOM_START_MAGIC ||
      page->abi_version >> 16 != NOM_ABI_MAJOR || page->tsc_hz == 0) {
    Console(&machine).Line("not started by a nomhv of ABI ", NOM_ABI_MAJOR, ": no start page at ",
                           Hex{start_gpa});
    machine.Exit(kExitNotStartedByNomhv);
  }
  SetUpPaging(page->window_frames);
  for (const Constructor* at = nom_init_array_begin; at != nom_init_array_end; ++at) (*at)();
  const Start start = {
      .guest_id = page->guest_id,
      .tsc_hz = page->tsc_hz,
      .seed_frames = page->seed_frames,
      .window_frames = page->window_frames,
      .image_first_frame = AddressOf(nom_image_begin) / NOM_FRAME_BYTES,
      .image_end_frame = AddressOf(nom_image_end) / NOM_FRAME_BYTES,
      .virtual_processors = page->virtual_processors != 0 ? page->virtual_processors : 1,
      .name = TextOf(page->name, sizeof(page->name)),
      .arguments = TextOf(page->arguments, sizeof(page->arguments)),
  };
  machine.Exit(static_cast<uint64_t>(GuestMain(start)));
  // EXIT does not return.
  for (;;) asm volatile("hlt");
}

}  // namespace nom::guest
