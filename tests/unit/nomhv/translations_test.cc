// SPDX-License-Identifier: Apache-2.0
// A model of processors that remember translations, each as long as it may: until it is told to
// forget. What a guest reaches by them must be what its tables say now, and never a frame that is
// somebody else's by then, though others of its processors run while a frame is taken.

#include "nomhv/core/translations.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

namespace nomhv {
namespace {

constexpr uint32_t kGuests = 3;
constexpr uint32_t kVcpusOfEach = 2;
constexpr uint32_t kProcessors = 3;
constexpr uint64_t kPages = 8;
constexpr uint32_t kNobody = ~uint32_t{0};

struct Vcpu {
  VcpuTranslations translations;
  // Linear to guest-physical: its own tables, changed by itself.
  std::map<uint64_t, uint64_t> own;
};

struct Guest {
  Vcpu vcpus[kVcpusOfEach];
  std::map<uint64_t, uint64_t> nested;  // Changed by us, which is always followed by a Forget.
};

struct Processor {
  ProcessorTranslations translations;
  std::map<uint64_t, uint64_t> remembered;  // Linear to machine; one address space for all.
  uint32_t runs = kNobody;                  // Which virtual processor is inside the guest.
};

class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed) {
    for (uint32_t i = 0; i < kGuests * kVcpusOfEach; ++i) VcpuOf(i).translations.GoOnAfter(i, 0);
    for (Guest& guest : guests) {
      for (uint64_t page = 0; page < kPages; ++page) {
        guest.nested[page] = next_frame_++;
        for (Vcpu& vcpu : guest.vcpus) vcpu.own[page] = page;
      }
    }
  }

  // Lets a processor go on: into the guest, some steps inside it, or out of it again.
  void GoOn(uint32_t p) {
    Processor& processor = processors[p];
    if (processor.runs == kNobody) {
      const auto index = static_cast<uint32_t>(random_() % (kGuests * kVcpusOfEach));
      for (const Processor& other : processors) {
        if (other.runs == index) return;  // Its claim is another's.
      }
      VcpuTranslations& translations = VcpuOf(index).translations;
      translations.RunsOn(p);
      translations.Left();
      if (processor.translations.MustFlush(translations.generation())) processor.remembered.clear();
      processor.runs = index;
    }
    for (int i = 0; i < 6; ++i) Touch(processor);
    if (random_() % 3 == 0) processor.runs = kNobody;
  }
  // A frame of the guest is taken by its processor on `p`, or (kNobody) while none of them runs.
  void Take(uint32_t g, uint32_t self) {
    Guest& guest = guests[g];
    const uint64_t page = random_() % kPages;
    const auto found = guest.nested.find(page);
    if (found == guest.nested.end()) return;
    const uint64_t frame = found->second;
    guest.nested.erase(found);
    const auto runs_at = [&](uint32_t i) {
      const uint32_t index = g * kVcpusOfEach + i;
      for (uint32_t p = 0; p < kProcessors; ++p) {
        if (processors[p].runs == index && index != self) return p;
      }
      return kNobody;
    };
    ForgetEverywhere(
        kVcpusOfEach, [&](uint32_t i) -> VcpuTranslations& { return guest.vcpus[i].translations; },
        [&](uint32_t i) { return runs_at(i) != kNobody; },
        [&](uint32_t i) {
          // Whoever is inside goes on there for as long as it likes.
          const uint32_t p = runs_at(i);
          for (int steps = 0; steps < 4; ++steps) Touch(processors[p]);
          processors[p].runs = kNobody;
        });
    // The taker leaves, too, before it can touch anything.
    for (Processor& processor : processors) {
      if (processor.runs == self) processor.runs = kNobody;
    }
    free_.insert(frame);
  }
  void Give(uint32_t g) {
    if (guests[g].nested.emplace(random_() % kPages, next_frame_).second) ++next_frame_;
  }
  uint64_t Random(uint64_t below) { return random_() % below; }

  Guest guests[kGuests];
  Processor processors[kProcessors];

 private:
  Vcpu& VcpuOf(uint32_t index) { return guests[index / kVcpusOfEach].vcpus[index % kVcpusOfEach]; }
  void Touch(Processor& processor) {
    Vcpu& vcpu = VcpuOf(processor.runs);
    const Guest& guest = guests[processor.runs / kVcpusOfEach];
    const uint64_t linear = random_() % kPages;
    if (random_() % 3 == 0) {
      // It maps the page anew and invalidates it, on this processor alone.
      vcpu.own[linear] = random_() % kPages;
      processor.remembered.erase(linear);
      return;
    }
    const auto walked = guest.nested.find(vcpu.own.at(linear));
    const auto found = processor.remembered.find(linear);
    if (found != processor.remembered.end()) {
      ASSERT_FALSE(free_.contains(found->second)) << "reached what is free, or another's";
      // What is being taken may still be reached, by who is inside, until it is free.
      if (walked != guest.nested.end()) {
        ASSERT_EQ(found->second, walked->second) << "reached what is another's";
      }
    } else if (walked != guest.nested.end()) {
      processor.remembered[linear] = walked->second;
    }
  }

  std::mt19937_64 random_;
  uint64_t next_frame_ = 1000;
  std::set<uint64_t> free_;  // Never used again, so that any touch is seen.
};

TEST(Translations, NoGuestEverReachesWhatItsTablesDoNotSay) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Model model(seed);
    for (int i = 0; i < 500; ++i) {
      const auto guest = static_cast<uint32_t>(model.Random(kGuests));
      const auto p = static_cast<uint32_t>(model.Random(kProcessors));
      switch (model.Random(8)) {
        case 0:
          // By one of its processors that runs, or by the control processor.
          if (const uint32_t self = model.processors[p].runs;
              self != kNobody && self / kVcpusOfEach == guest) {
            model.Take(guest, self);
          } else {
            model.Take(guest, kNobody);
          }
          break;
        case 1:
          model.Give(guest);
          break;
        default:
          model.GoOn(p);
      }
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Translations, EachDutyToFlush) {
  VcpuTranslations a;
  VcpuTranslations b;
  a.GoOnAfter(0, 0);
  b.GoOnAfter(1, 0);
  ProcessorTranslations one;
  ProcessorTranslations two;
  const auto run = [](ProcessorTranslations& processor, uint32_t number, VcpuTranslations& guest) {
    guest.RunsOn(number);
    return processor.MustFlush(guest.generation());
  };
  EXPECT_TRUE(run(one, 1, a)) << "the first time";
  EXPECT_FALSE(run(one, 1, a)) << "nothing has happened";
  EXPECT_TRUE(run(one, 1, b)) << "another one";
  EXPECT_TRUE(one.changed_hands());
  EXPECT_TRUE(run(one, 1, a)) << "back again";
  static_cast<void>(a.Invalidate());
  EXPECT_TRUE(run(one, 1, a)) << "a mapping was taken away";
  EXPECT_FALSE(one.changed_hands()) << "it was its own";
  EXPECT_TRUE(run(two, 2, a)) << "another processor";
  EXPECT_TRUE(run(one, 1, a)) << "it ran elsewhere, and invalidated there";
  EXPECT_FALSE(run(one, 1, a));
  a.GoOnAfter(0, a.generation());
  EXPECT_TRUE(run(one, 1, a)) << "a new guest in its place";
}

// Nobody is waited for who does not run, and who runs until it has left with what was taken gone.
TEST(Translations, WhoRunsIsWaitedFor) {
  VcpuTranslations vcpus[3];
  vcpus[1].Left();
  int hurried = 0;
  ForgetEverywhere(
      3, [&](uint32_t i) -> VcpuTranslations& { return vcpus[i]; },
      [](uint32_t i) { return i == 1; },
      [&](uint32_t i) {
        ASSERT_EQ(i, 1u);
        if (++hurried == 5) vcpus[i].Left();
      });
  EXPECT_EQ(hurried, 5);
  EXPECT_FALSE(vcpus[0].HasLeftSince(vcpus[0].generation()));
}

}  // namespace
}  // namespace nomhv
