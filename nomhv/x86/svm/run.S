// Runs a guest until it exits (APM 2, 15.5 and 15.6).

// void SvmRun(uint64_t vmcb_physical, GuestRegisters* registers, uint64_t host_physical)
// Interrupts are off before and after. Physical interrupts end the guest's run even when the guest
// has its own off: V_INTR_MASKING is set and IF is on here at VMRUN (15.21.1).
        .section .text
        .globl SvmRun
SvmRun:
        push %rbx
        push %rbp
        push %r12
        push %r13
        push %r14
        push %r15
        push %rdx
        push %rsi
        push %rdi
        clgi
        sti                             // GIF is off: nothing comes in before VMRUN.
        mov %rdi, %rax
        vmload
        mov 0x18(%rsi), %rbx
        mov 0x08(%rsi), %rcx
        mov 0x10(%rsi), %rdx
        mov 0x38(%rsi), %rdi
        mov 0x28(%rsi), %rbp
        mov 0x40(%rsi), %r8
        mov 0x48(%rsi), %r9
        mov 0x50(%rsi), %r10
        mov 0x58(%rsi), %r11
        mov 0x60(%rsi), %r12
        mov 0x68(%rsi), %r13
        mov 0x70(%rsi), %r14
        mov 0x78(%rsi), %r15
        mov 0x30(%rsi), %rsi
        vmrun
        // RAX and RSP are ours again, everything else is the guest's.
        vmsave
        xchg %rsi, 8(%rsp)
        mov %rbx, 0x18(%rsi)
        mov %rcx, 0x08(%rsi)
        mov %rdx, 0x10(%rsi)
        mov %rdi, 0x38(%rsi)
        mov %rbp, 0x28(%rsi)
        mov %r8, 0x40(%rsi)
        mov %r9, 0x48(%rsi)
        mov %r10, 0x50(%rsi)
        mov %r11, 0x58(%rsi)
        mov %r12, 0x60(%rsi)
        mov %r13, 0x68(%rsi)
        mov %r14, 0x70(%rsi)
        mov %r15, 0x78(%rsi)
        mov 8(%rsp), %rax
        mov %rax, 0x30(%rsi)
        mov 16(%rsp), %rax
        vmload
        cli
        stgi
        cld
        add $24, %rsp
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %rbp
        pop %rbx
        ret

        .section .note.GNU-stack, "", @progbits
