// SPDX-License-Identifier: Apache-2.0
// The life of an example guest: arguments, then turns of work and sleep.

#ifndef CLIENT_EXAMPLES_GUESTS_COMMON_RUN_H_
#define CLIENT_EXAMPLES_GUESTS_COMMON_RUN_H_

#include <cstddef>
#include <new>
#include <string_view>

#include "client/guest/arguments.h"
#include "client/guest/calls.h"
#include "client/guest/clock.h"
#include "client/guest/console.h"
#include "client/guest/market.h"
#include "client/guest/start.h"

namespace nom::examples {

inline constexpr int kExitBadArguments = 2;

// Work is done in slices of this length between looks at the boards: short against any notice.
inline constexpr uint64_t kSliceUs = 5'000;
// The longest sleep, so that a guest which missed a wake-up still meets its notices.
inline constexpr uint64_t kSleepUsMax = 20'000;

// `App` has
//   struct Settings { Text<160> Parse(std::string_view arguments); int64_t rounds; }
//   App(Nomhv*, const Pages&, const Start&, const Settings&)
//   uint64_t rounds_seen() const;
//   uint64_t Turn();  the TSC until which there is nothing to do; 0: call again at once
// The app lives in .bss: there is no heap, and it may be larger than the stack.
template <typename App>
int Run(const guest::Start& start) {
  guest::Nomhv& nomhv = guest::Hypervisor();
  typename App::Settings settings;
  const guest::Text<160> wrong = settings.Parse(start.arguments);
  if (!wrong.view().empty()) {
    guest::Console(&nomhv).Line("arguments: ", wrong.view());
    return kExitBadArguments;
  }
  alignas(App) static std::byte room[sizeof(App)];
  auto* app = new (room) App(&nomhv, guest::PagesOfGuest(), start, settings);
  const guest::Clock clock(&nomhv, start.tsc_hz);
  for (;;) {
    const uint64_t idle_until_tsc = app->Turn();
    if (settings.rounds != 0 && app->rounds_seen() >= static_cast<uint64_t>(settings.rounds)) {
      return 0;
    }
    if (idle_until_tsc == 0) continue;
    const uint64_t latest = clock.Tsc() + clock.ToTicks(kSleepUsMax);
    (void)clock.SleepUntil(idle_until_tsc < latest ? idle_until_tsc : latest);
  }
}

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_COMMON_RUN_H_
