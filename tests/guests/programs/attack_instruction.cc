// SPDX-License-Identifier: Apache-2.0
// Executes one thing that no guest may. Ends with 0 if nothing stopped it, 100 + vector if a fault
// in the guest did; else nomhv ends it.
// Arguments: what = one of kWhat.

#include "client/guest/arguments.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  static constexpr std::string_view kWhat[] = {
      "triple_fault", "port_out",  "port_in",   "port_string", "vmrun",
      "vmload",       "vmsave",    "stgi",      "clgi",        "skinit",
      "invlpga",      "hsave_msr", "vm_cr_msr", "svm_off",     "apic_base",
      "unknown_msr",  "bad_cr0",   "bad_cr4",   "halt",        "hole_pt",
      "wild_tables",  "monitor",   "wbinvd",    "tsc_msr",     "bad_cr0_spin"};
  int64_t what = -1;
  const nom::guest::Argument known[] = {{"what", &what, 0, 0, kWhat}};
  const auto error = nom::guest::ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty() && what >= 0, error.view());
  ExpectFaults();
  const std::string_view name = kWhat[what];
  const auto write_msr = [](uint64_t msr, uint64_t value) {
    return NOM_TRY(
        "movq %[msr], %%rcx; movq %[value], %%rax; movq %[value], %%rdx; shrq $32, %%rdx; wrmsr",
        [msr] "r"(msr), [value] "r"(value));
  };
  uint64_t vector = 0;
  if (name == "triple_fault") {
    struct [[gnu::packed]] {
      uint16_t limit = 0;
      uint64_t base = 0;
    } none;
    asm volatile("lidt %0; ud2" ::"m"(none));
  } else if (name == "port_out") {
    // The port at which an emulated machine is told to end.
    vector = NOM_TRY("movl $0x10, %%eax; movw $0xf4, %%dx; outl %%eax, %%dx", "i"(0));
  } else if (name == "port_in") {
    vector = NOM_TRY("movw $0x60, %%dx; inb %%dx, %%al", "i"(0));
  } else if (name == "port_string") {
    static char bytes[16];
    vector = NOM_TRY(
        "movq %[from], %%rsi; movl $4, %%ecx; movw $0x3f8, %%dx; rep outsb", [from] "r"(bytes));
  } else if (name == "vmrun") {
    vector = NOM_TRY("movl $0x200000, %%eax; vmrun %%rax", "i"(0));
  } else if (name == "vmload") {
    vector = NOM_TRY("movl $0x200000, %%eax; vmload %%rax", "i"(0));
  } else if (name == "vmsave") {
    vector = NOM_TRY("movl $0x200000, %%eax; vmsave %%rax", "i"(0));
  } else if (name == "stgi") {
    vector = NOM_TRY("stgi", "i"(0));
  } else if (name == "clgi") {
    vector = NOM_TRY("clgi", "i"(0));
  } else if (name == "skinit") {
    vector = NOM_TRY("movl $0x200000, %%eax; skinit %%eax", "i"(0));
  } else if (name == "invlpga") {
    vector = NOM_TRY("xorl %%eax, %%eax; xorl %%ecx, %%ecx; invlpga %%rax, %%ecx", "i"(0));
  } else if (name == "hsave_msr") {
    vector = write_msr(0xC0010117, 0x1000);
  } else if (name == "vm_cr_msr") {
    vector = write_msr(0xC0010114, 0x10);
  } else if (name == "svm_off") {
    // EFER with LME, LMA and NXE but without SVME.
    vector = write_msr(0xC0000080, 0xd00);
    if (vector == 0) return 0;
  } else if (name == "apic_base") {
    vector = write_msr(0x1B, 0xFEE00800);
  } else if (name == "unknown_msr") {
    vector = NOM_TRY("movl $0x12345, %%ecx; rdmsr", "i"(0));
  } else if (name == "bad_cr0") {
    vector = NOM_TRY("movq $0x80000000, %%rax; movq %%rax, %%cr0", "i"(0));
  } else if (name == "bad_cr0_spin") {
    // Where nothing refuses the mode, it stays there until something interrupts it.
    vector = NOM_TRY("movq $0x80000000, %%rax; movq %%rax, %%cr0; 2: jmp 2b", "i"(0));
  } else if (name == "bad_cr4") {
    vector = NOM_TRY("movq %%cr4, %%rax; btsq $31, %%rax; movq %%rax, %%cr4", "i"(0));
  } else if (name == "halt") {
    asm volatile("cli; hlt");
  } else if (name == "hole_pt") {
    // Page tables in a hole of its window.
    asm volatile("mov %0, %%cr3" ::"r"((start.window_frames - 1) * 4096) : "memory");
  } else if (name == "wild_tables") {
    // Page tables far outside its window.
    asm volatile("mov %0, %%cr3" ::"r"(uint64_t{0xE0000000}) : "memory");
  } else if (name == "monitor") {
    vector = NOM_TRY("xorl %%eax, %%eax; xorl %%ecx, %%ecx; xorl %%edx, %%edx; monitor", "i"(0));
  } else if (name == "wbinvd") {
    vector = NOM_TRY("wbinvd", "i"(0));
  } else if (name == "tsc_msr") {
    vector = write_msr(0x10, 0);
  }
  return vector == 0 ? 0 : 100 + static_cast<int>(vector);
}
