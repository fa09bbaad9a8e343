// SPDX-License-Identifier: Apache-2.0
// Sorting without a C++ library, and without more memory.

#ifndef NOM_POLICIES_BIDDING_SORT_H_
#define NOM_POLICIES_BIDDING_SORT_H_

namespace nom::policies {

// Heapsort: O(n log n) whatever the order; equals may change places. `less` is a strict order.
template <typename Item, typename Less>
constexpr void Sort(Item* items, int count, const Less& less) {
  const auto sink = [&](int i, int end) {
    const Item item = items[i];
    for (int child = 2 * i + 1; child < end; child = 2 * i + 1) {
      if (child + 1 < end && less(items[child], items[child + 1])) ++child;
      if (!less(item, items[child])) break;
      items[i] = items[child];
      i = child;
    }
    items[i] = item;
  };
  for (int i = count / 2 - 1; i >= 0; --i) sink(i, count);
  for (int end = count - 1; end > 0; --end) {
    const Item largest = items[0];
    items[0] = items[end];
    items[end] = largest;
    sink(0, end);
  }
}

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_SORT_H_
