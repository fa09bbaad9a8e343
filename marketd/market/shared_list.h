// SPDX-License-Identifier: Apache-2.0
// Lists of a view that share their values with the view before: a new view costs what changed, and
// a reader can tell by a value's address that it did not.

#ifndef MARKETD_MARKET_SHARED_LIST_H_
#define MARKETD_MARKET_SHARED_LIST_H_

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"

namespace nom::market {

// Values that never change, each shared. Read like a vector of them.
template <typename T>
class SharedList {
 public:
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = const T*;
    using reference = const T&;
    explicit Iterator(const std::shared_ptr<const T>* at = nullptr) : at_(at) {}
    const T& operator*() const { return **at_; }
    const T* operator->() const { return at_->get(); }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    Iterator operator++(int) {
      const Iterator before = *this;
      ++at_;
      return before;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    const std::shared_ptr<const T>* at_;
  };

  SharedList() = default;
  explicit SharedList(std::vector<std::shared_ptr<const T>> values)
      : values_(std::make_shared<const Values>(std::move(values))) {}

  Iterator begin() const { return Iterator(pointers().data()); }
  Iterator end() const { return Iterator(pointers().data() + size()); }
  size_t size() const { return pointers().size(); }
  bool empty() const { return pointers().empty(); }
  const T& operator[](size_t i) const { return *pointers()[i]; }
  const T& back() const { return *pointers().back(); }
  // Of this list alone: copies keep what they had.
  void push_back(T value) {
    Values values = pointers();
    values.push_back(std::make_shared<const T>(std::move(value)));
    values_ = std::make_shared<const Values>(std::move(values));
  }
  const std::vector<std::shared_ptr<const T>>& pointers() const {
    static const Values kNone;
    return values_ == nullptr ? kNone : *values_;
  }

 private:
  using Values = std::vector<std::shared_ptr<const T>>;
  std::shared_ptr<const Values> values_;  // A copy of a list costs nothing, whatever is in it.
};

// The values of the view before, by rising key, and which of them are to be made anew.
template <typename Key, typename T>
class KeptList {
 public:
  void Touch(const Key& key) { touched_.insert(key); }

  // `make(key)` is the value of a touched key, or null if it is gone; `key_of(value)` its key.
  template <typename Make, typename KeyOf>
  const std::vector<std::shared_ptr<const T>>& Refresh(const Make& make, const KeyOf& key_of) {
    std::vector<std::shared_ptr<const T>> fresh;  // Of keys that were not there.
    // What touched values become, by their places; they are put there when all are looked up.
    std::vector<std::pair<size_t, std::shared_ptr<const T>>> changed;
    std::vector<Key> touched(touched_.begin(), touched_.end());
    std::sort(touched.begin(), touched.end());
    auto place = values_.begin();
    for (const Key& key : touched) {
      std::shared_ptr<const T> value = make(key);
      // Where most are touched the next one is the next one; it is searched for where few are.
      if (place != values_.end() && key_of(**place) < key) ++place;
      if (place != values_.end() && key_of(**place) < key) {
        place = std::lower_bound(place, values_.end(), key,
                                 [&](const auto& v, const Key& k) { return key_of(*v) < k; });
      }
      if (place != values_.end() && key_of(**place) == key) {
        changed.emplace_back(static_cast<size_t>(place - values_.begin()), std::move(value));
      } else if (value != nullptr) {
        fresh.push_back(std::move(value));
      }
    }
    touched_.clear();
    bool gone = false;
    for (auto& [at, value] : changed) {
      gone = gone || value == nullptr;
      values_[at] = std::move(value);
    }
    if (gone) std::erase(values_, nullptr);
    // One that comes goes to its place; for many all are gone through once.
    if (fresh.size() <= kFewFresh) {
      for (std::shared_ptr<const T>& value : fresh) {
        const auto at =
            std::lower_bound(values_.begin(), values_.end(), key_of(*value),
                             [&](const auto& v, const Key& k) { return key_of(*v) < k; });
        values_.insert(at, std::move(value));
      }
    } else {
      const auto middle = static_cast<std::ptrdiff_t>(values_.size());
      std::move(fresh.begin(), fresh.end(), std::back_inserter(values_));
      std::inplace_merge(values_.begin(), values_.begin() + middle, values_.end(),
                         [&](const auto& a, const auto& b) { return key_of(*a) < key_of(*b); });
    }
    return values_;
  }

  // The same as a list, which is that of before where nothing was touched.
  template <typename Make, typename KeyOf>
  const SharedList<T>& RefreshList(const Make& make, const KeyOf& key_of) {
    if (!touched_.empty()) list_ = SharedList<T>(Refresh(make, key_of));
    return list_;
  }

 private:
  static constexpr size_t kFewFresh = 8;
  std::vector<std::shared_ptr<const T>> values_;
  absl::flat_hash_set<Key> touched_;
  SharedList<T> list_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_SHARED_LIST_H_
