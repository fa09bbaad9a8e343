// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/processors.h"

#include <algorithm>

namespace nomhv {
namespace {

constexpr uint32_t kFull = kMillicoresPerProcessor;

void Add(ProcessorPieces& processor, Piece piece) { processor.pieces[processor.count++] = piece; }

enum class Choice { kLeastLoaded, kFirstFit };

bool PlaceWhole(std::span<const uint32_t> vcpus, std::span<const uint32_t> millicores,
                Choice choice, std::span<ProcessorPieces> processors) {
  for (ProcessorPieces& processor : processors) processor = {};
  uint32_t used[kProcessorsMax] = {};
  for (const uint32_t vcpu : vcpus) {
    auto best = static_cast<uint32_t>(processors.size());
    for (uint32_t p = 0; p < processors.size(); ++p) {
      if (used[p] + millicores[vcpu] > kFull) continue;
      const bool better =
          best == processors.size() || (choice == Choice::kLeastLoaded && used[p] < used[best]);
      if (better) best = p;
    }
    if (best == processors.size()) return false;
    used[best] += millicores[vcpu];
    Add(processors[best], {vcpu, millicores[vcpu], /*split=*/false});
  }
  return true;
}

void WrapRound(std::span<const uint32_t> vcpus, std::span<const uint32_t> millicores,
               std::span<ProcessorPieces> processors) {
  uint32_t sum = 0;
  for (const uint32_t vcpu : vcpus) sum += millicores[vcpu];
  const auto count = static_cast<uint32_t>(processors.size());
  // The largest share comes first.
  const uint32_t length = std::max((sum + count - 1) / count, millicores[vcpus[0]]);
  uint32_t p = 0;
  uint32_t used = 0;
  for (const uint32_t vcpu : vcpus) {
    uint32_t left = millicores[vcpu];
    while (left > 0) {
      if (used == length) {
        ++p;
        used = 0;
      }
      const uint32_t here = std::min(left, length - used);
      Add(processors[p], {vcpu, here, /*split=*/here != millicores[vcpu]});
      used += here;
      left -= here;
    }
  }
}

}  // namespace

void PlanProcessors(std::span<const uint32_t> millicores_by_vcpu,
                    std::span<ProcessorPieces> processors) {
  NOMHV_CHECK(processors.size() <= kProcessorsMax && millicores_by_vcpu.size() <= kVcpus,
              "processors: too many");
  uint32_t vcpus[kVcpus];
  uint32_t count = 0;
  uint64_t sum = 0;
  for (uint32_t vcpu = 0; vcpu < millicores_by_vcpu.size(); ++vcpu) {
    const uint32_t share = millicores_by_vcpu[vcpu];
    NOMHV_CHECK(share <= kFull, "processors: a share above one processor");
    sum += share;
    if (share > 0) vcpus[count++] = vcpu;
  }
  NOMHV_CHECK(sum <= processors.size() * kFull, "processors: shares exceed the processors");
  // Largest first, by vcpu among equals: whole processors come first, so a full share is never cut.
  std::sort(vcpus, vcpus + count, [&](uint32_t a, uint32_t b) {
    return millicores_by_vcpu[a] != millicores_by_vcpu[b]
               ? millicores_by_vcpu[a] > millicores_by_vcpu[b]
               : a < b;
  });

  const std::span<const uint32_t> order(vcpus, count);
  // A processor that is full has no slack to make up for what its switches cost: spread, if that
  // places everybody. First fit places some sets that spreading does not.
  if (PlaceWhole(order, millicores_by_vcpu, Choice::kLeastLoaded, processors)) return;
  if (PlaceWhole(order, millicores_by_vcpu, Choice::kFirstFit, processors)) return;
  for (ProcessorPieces& processor : processors) processor = {};
  WrapRound(order, millicores_by_vcpu, processors);
}

}  // namespace nomhv
