// SPDX-License-Identifier: Apache-2.0
// What a guest of a Linux host holds, in base measure, and its way to and from the market's units:
// pure.

#ifndef MARKETD_HOST_LINUX_AMOUNTS_H_
#define MARKETD_HOST_LINUX_AMOUNTS_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "marketd/market/host.h"
#include "marketd/market/types.h"

namespace nom::market {

// Seed plus award, of each kind that a Linux host can enforce.
struct Amounts {
  int64_t millicores = 0;
  int64_t memory_bytes = 0;
  int64_t network_mbits = 0;  // Mbit/s: to the guest, and from it.
  int64_t disk_iops = 0;      // Requests a second: of reading, and of writing (disk.h).
  friend bool operator==(const Amounts&, const Amounts&) = default;
};

// In the order of Amounts' fields.
inline constexpr std::array kEnforcedKinds = {ResourceKind::kCpu, ResourceKind::kMemory,
                                              ResourceKind::kNetwork, ResourceKind::kDisk};

// The field of a kind. Requires one of kEnforcedKinds.
int64_t& AmountOf(Amounts& amounts, ResourceKind kind);
int64_t AmountOf(const Amounts& amounts, ResourceKind kind);

// Of each the smaller: what a guest holds for certain while one is being changed into the other.
Amounts SmallerOf(const Amounts& a, const Amounts& b);
Amounts LargerOf(const Amounts& a, const Amounts& b);
Amounts SumOf(const Amounts& a, const Amounts& b);  // Each at most INT64_MAX.
// Whether `a` is nowhere above `b`.
inline bool Fits(const Amounts& a, const Amounts& b) { return SmallerOf(a, b) == a; }

// Rounded up, for people.
std::string MiBText(int64_t bytes);

// What is sold, and in which lots. Amounts of kinds that are not sold are 0.
class Units {
 public:
  Units() = default;
  explicit Units(absl::Span<const Resource> resources)
      : resources_(resources.begin(), resources.end()) {}

  const std::vector<Resource>& resources() const { return resources_; }
  bool Sells(ResourceKind kind) const { return SizeOf(kind) > 0; }
  // 0 if it is not sold.
  int64_t SizeOf(ResourceKind kind) const;

  Amounts ToAmounts(const std::vector<Holding>& holdings) const;
  // A remainder of a unit is not held.
  std::vector<Holding> ToHoldings(const Amounts& seed, const Amounts& held) const;
  // A sum is rounded up and the capacity down: no rounding may hide an excess.
  std::vector<HostSum> ToSums(const Amounts& granted, const Amounts& granted_max,
                              const Amounts& capacity) const;

 private:
  std::vector<Resource> resources_;
};

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_AMOUNTS_H_
