// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/shared_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "marketd/base/random.h"

namespace nom::market {
namespace {

struct Shown {
  int key = 0;
  std::string text;
};

// Whatever comes, changes and goes: the list is what there is, and what was not touched is the very
// value of before.
TEST(KeptList, OnlyWhatWasTouchedIsMadeAnew) {
  const uint64_t seed = 20261130;
  Random random(seed);
  SCOPED_TRACE(seed);
  std::map<int, std::string> all;
  KeptList<int, Shown> kept;
  for (int round = 0; round < 500; ++round) {
    std::map<int, const Shown*> before;
    for (const auto& value :
         kept.Refresh([](int) { return nullptr; }, [](const Shown& s) { return s.key; })) {
      before[value->key] = value.get();
    }
    std::set<int> touched;
    for (int64_t i = random.Uniform(0, random.OneIn(4) ? 25 : 5); i > 0; --i) {
      const int key = static_cast<int>(random.Uniform(0, 30));
      if (random.OneIn(3)) {
        all.erase(key);
      } else {
        all[key] += "x";
      }
      touched.insert(key);
      kept.Touch(key);
    }
    const auto& values = kept.Refresh(
        [&](int key) -> std::shared_ptr<const Shown> {
          const auto it = all.find(key);
          if (it == all.end()) return nullptr;
          return std::make_shared<const Shown>(Shown{key, it->second});
        },
        [](const Shown& s) { return s.key; });
    ASSERT_EQ(values.size(), all.size());
    auto expected = all.begin();
    for (const auto& value : values) {
      ASSERT_EQ(value->key, expected->first);
      ASSERT_EQ(value->text, expected->second);
      if (!touched.contains(value->key)) {
        ASSERT_EQ(value.get(), before.at(value->key)) << "shared";
      }
      ++expected;
    }
  }
}

TEST(SharedList, IsReadLikeAVector) {
  SharedList<std::string> list;
  EXPECT_TRUE(list.empty());
  for (const std::string& text : list) ADD_FAILURE() << text;
  list.push_back("a");
  list.push_back("b");
  EXPECT_EQ(list.size(), 2u);
  EXPECT_EQ(list.back(), "b");
  EXPECT_THAT(std::vector<std::string>(list.begin(), list.end()), testing::ElementsAre("a", "b"));
  const SharedList<std::string> copy = list;
  EXPECT_EQ(&copy[0], &list[0]);
}

TEST(KeptList, AListOfWhichNothingWasTouchedIsTheSame) {
  KeptList<int, Shown> kept;
  const auto make = [](int key) { return std::make_shared<const Shown>(Shown{key, "x"}); };
  const auto key_of = [](const Shown& s) { return s.key; };
  EXPECT_TRUE(kept.RefreshList(make, key_of).empty());
  kept.Touch(3);
  const SharedList<Shown> first = kept.RefreshList(make, key_of);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(kept.RefreshList(make, key_of).pointers().data(), first.pointers().data());
  kept.Touch(1);
  EXPECT_EQ(kept.RefreshList(make, key_of).size(), 2u);
  EXPECT_EQ(first.size(), 1u) << "what was given out stays as it was";
}

}  // namespace
}  // namespace nom::market
