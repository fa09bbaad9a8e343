// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/pc/pc.h"

#include <algorithm>
#include <new>

#include "nomhv/core/pc/acpi.h"
#include "nomhv/core/pc/clock.h"
#include "nomhv/x86/guests/machine.h"
#include "nomhv/x86/pc/guest_memory.h"
#include "nomhv/x86/platform/clocks.h"

namespace nomhv {
namespace {

Pc g_pcs[NOM_GUESTS_MAX];

// Where it is built before it is the guest's. The control processor.
alignas(8) std::byte g_frame[NOM_FRAME_BYTES];

}  // namespace

Status BuildPc(GuestMachine& guest, const PcBoot& boot, const LoadPlan& plan,
               NomImageFault& fault) {
  if (!boot.wanted) return {};
  uint64_t initramfs_gpa = 0;
  fault = PlanPcBoot(boot, plan, guest.seed_frames, initramfs_gpa);
  if (fault != NOM_IMAGE_FAULT_NONE) {
    UnbuildGuest(guest);
    return NOM_STATUS_BAD_IMAGE;
  }
  Pc& pc = g_pcs[guest.slot];
  new (&pc) Pc;
  pc.initramfs_gpa = initramfs_gpa;
  pc.bridge.ShowBridge();
  pc.board.ShowBoard();
  for (uint32_t i = 0; i < guest.vcpu_count; ++i) {
    pc.apics[i] = LocalApic(i);
    guest.vcpus[i].apic = &pc.apics[i];
  }
  guest.pc = &pc;
  return {};
}

void LoadPcTables(GuestMachine& guest, const PcBoot& boot) {
  BuildPcStartInfo(boot, guest.pc->initramfs_gpa, guest.window_frames, std::span(g_frame));
  LoadSegment(guest, g_frame, {kPcStartInfo, sizeof(g_frame), 0, sizeof(g_frame)});
  BuildPcAcpi(guest.vcpu_count, kPcAcpi, std::span(g_frame).first<kPcAcpiBytes>());
  LoadSegment(guest, g_frame, {kPcAcpi, kPcAcpiBytes, 0, kPcAcpiBytes});
}

void TellStolenTime(VirtualProcessor& vcpu, uint64_t now_tsc) {
  if (vcpu.apic == nullptr) return;
  Pc::StolenTime& stolen = vcpu.guest->pc->stolen[vcpu.index % NOM_VIRTUAL_PROCESSORS_MAX];
  if (stolen.gpa == 0) return;
  const uint64_t waited = WaitedCycles(vcpu, now_tsc);
  if (waited <= stolen.base_cycles) return;
  // Microseconds are fine enough, and a day's worth does not overflow.
  const uint64_t ns = TscToUs(waited - stolen.base_cycles) * 1000;
  if (ns <= stolen.told_ns) return;
  stolen.told_ns = ns;
  stolen.version += 2;
  const PcStolenTime told{.ns = ns, .version = stolen.version};
  // Its kernel may have given the frame back meanwhile: then nobody is told.
  static_cast<void>(WriteGuestMemory(*vcpu.guest, stolen.gpa, &told, sizeof(told)));
}

uint64_t WaitedCycles(const VirtualProcessor& vcpu, uint64_t now_tsc) {
  const ProcessorAccount& account = g_machine.accounts[vcpu.index];
  const uint64_t not_waited = account.used_cycles() + account.asleep_cycles(now_tsc);
  const uint64_t since = now_tsc - vcpu.guest->created_tsc;
  return since > not_waited ? since - not_waited : 0;
}

}  // namespace nomhv
