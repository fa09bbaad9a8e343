// SPDX-License-Identifier: Apache-2.0
// A model of processors that remember translations, each as long as it may: until it is told to
// forget. What a guest reaches by them must be what its tables say now.

#include "nomhv/core/translations.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace nomhv {
namespace {

constexpr uint32_t kGuests = 3;
constexpr uint32_t kProcessors = 3;
constexpr uint64_t kPages = 8;

struct Guest {
  GuestTranslations translations;
  // Two stages as one: the guest's own tables, and ours below them.
  std::map<uint64_t, uint64_t> own;     // Linear to guest-physical; changed by the guest,
  std::map<uint64_t, uint64_t> nested;  // and by us, which is always followed by Invalidate.
};

struct Processor {
  ProcessorTranslations translations;
  std::map<uint64_t, uint64_t> remembered;  // Linear to machine; one address space for all.
};

class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed) {
    for (Guest& guest : guests) {
      for (uint64_t page = 0; page < kPages; ++page) {
        guest.own[page] = page;
        guest.nested[page] = next_frame_++;
      }
    }
  }

  // One guest enters one processor, and touches pages and changes its own tables there.
  void Run(uint32_t g, uint32_t p) {
    Guest& guest = guests[g];
    Processor& processor = processors[p];
    guest.translations.RunsOn(p);
    if (processor.translations.MustFlush(g, guest.translations)) processor.remembered.clear();
    for (int i = 0; i < 6; ++i) {
      const uint64_t linear = random_() % kPages;
      if (random_() % 3 == 0) {
        // The guest maps the page anew and invalidates it, on this processor alone.
        guest.own[linear] = random_() % kPages;
        processor.remembered.erase(linear);
        continue;
      }
      const auto walked = guest.nested.find(guest.own.at(linear));
      const auto found = processor.remembered.find(linear);
      if (found != processor.remembered.end()) {
        ASSERT_TRUE(walked != guest.nested.end()) << "reached what was taken away";
        ASSERT_EQ(found->second, walked->second) << "reached what is another's, or no longer there";
      } else if (walked != guest.nested.end()) {
        processor.remembered[linear] = walked->second;
      }
    }
  }
  void Take(uint32_t g) {
    Guest& guest = guests[g];
    guest.nested.erase(random_() % kPages);
    guest.translations.Invalidate();
  }
  void Give(uint32_t g) { guests[g].nested.emplace(random_() % kPages, next_frame_++); }
  uint64_t Random(uint64_t below) { return random_() % below; }

  Guest guests[kGuests];
  Processor processors[kProcessors];

 private:
  std::mt19937_64 random_;
  uint64_t next_frame_ = 1000;
};

TEST(Translations, NoGuestEverReachesWhatItsTablesDoNotSay) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Model model(seed);
    for (int i = 0; i < 500; ++i) {
      const auto guest = static_cast<uint32_t>(model.Random(kGuests));
      switch (model.Random(8)) {
        case 0:
          model.Take(guest);
          break;
        case 1:
          model.Give(guest);
          break;
        default:
          model.Run(guest, static_cast<uint32_t>(model.Random(kProcessors)));
      }
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Translations, EachDutyToFlush) {
  GuestTranslations a;
  GuestTranslations b;
  ProcessorTranslations one;
  ProcessorTranslations two;
  const auto run = [](ProcessorTranslations& processor, uint32_t number, uint32_t slot,
                      GuestTranslations& guest) {
    guest.RunsOn(number);
    return processor.MustFlush(slot, guest);
  };
  EXPECT_TRUE(run(one, 1, 0, a)) << "the first time";
  EXPECT_FALSE(run(one, 1, 0, a)) << "nothing has happened";
  EXPECT_TRUE(run(one, 1, 1, b)) << "another guest";
  EXPECT_TRUE(one.changed_hands());
  EXPECT_TRUE(run(one, 1, 0, a)) << "back again";
  a.Invalidate();
  EXPECT_TRUE(run(one, 1, 0, a)) << "a mapping was taken away";
  EXPECT_FALSE(one.changed_hands()) << "it was its own";
  EXPECT_TRUE(run(two, 2, 0, a)) << "another processor";
  EXPECT_TRUE(run(one, 1, 0, a)) << "it ran elsewhere, and invalidated there";
  EXPECT_FALSE(run(one, 1, 0, a));
}

}  // namespace
}  // namespace nomhv
