// SPDX-License-Identifier: Apache-2.0
// Runs a guest until it exits (APM 2, 15.5 and 15.6).

// SvmRun: RAX is the VMCB's physical address, RDI the GuestRegisters, RSI the physical address of
// the processor's own state. Not called from C++ but by RunGuest (svm.cc): it keeps RBP and RSP and
// nothing else, so that its caller saves what it still needs and no more.
// Interrupts are off before and after. Physical interrupts end the guest's run even when the guest
// has its own off: V_INTR_MASKING is set and IF is on here at VMRUN (15.21.1).
        .section .text
        .globl SvmRun
SvmRun:
        push %rbp
        push %rsi
        push %rdi
        clgi
        sti                             // GIF is off: nothing comes in before VMRUN.
        vmload
        mov 0x18(%rdi), %rbx
        mov 0x08(%rdi), %rcx
        mov 0x10(%rdi), %rdx
        mov 0x30(%rdi), %rsi
        mov 0x28(%rdi), %rbp
        mov 0x40(%rdi), %r8
        mov 0x48(%rdi), %r9
        mov 0x50(%rdi), %r10
        mov 0x58(%rdi), %r11
        mov 0x60(%rdi), %r12
        mov 0x68(%rdi), %r13
        mov 0x70(%rdi), %r14
        mov 0x78(%rdi), %r15
        mov 0x38(%rdi), %rdi
        vmrun
        // RAX, RSP and RFLAGS are ours again, every other general register is the guest's.
        vmsave
        pop %rax
        mov %rbx, 0x18(%rax)
        mov %rcx, 0x08(%rax)
        mov %rdx, 0x10(%rax)
        mov %rsi, 0x30(%rax)
        mov %rdi, 0x38(%rax)
        mov %rbp, 0x28(%rax)
        mov %r8, 0x40(%rax)
        mov %r9, 0x48(%rax)
        mov %r10, 0x50(%rax)
        mov %r11, 0x58(%rax)
        mov %r12, 0x60(%rax)
        mov %r13, 0x68(%rax)
        mov %r14, 0x70(%rax)
        mov %r15, 0x78(%rax)
        pop %rax
        pop %rbp
        vmload
        cli
        stgi
        ret

        .section .note.GNU-stack, "", @progbits
