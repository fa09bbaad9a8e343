// SPDX-License-Identifier: Apache-2.0
// The 256 ways into HandleInterrupt: each pushes its vector, and a zero where the processor pushes no
// error code (APM 2, table 8-1).

        .section .text
        .balign 16
        .globl InterruptStubs
InterruptStubs:
        .set vector, 0
        .rept 256
        .balign 16
        .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
        push $0
        .endif
        push $vector
        jmp CommonInterrupt
        .set vector, vector + 1
        .endr

CommonInterrupt:
        push %rax
        push %rbx
        push %rcx
        push %rdx
        push %rsi
        push %rdi
        push %rbp
        push %r8
        push %r9
        push %r10
        push %r11
        push %r12
        push %r13
        push %r14
        push %r15
        mov %rsp, %rdi
        cld
        // The processor aligned the stack before it pushed; 22 words later it is aligned again.
        call HandleInterrupt
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %r11
        pop %r10
        pop %r9
        pop %r8
        pop %rbp
        pop %rdi
        pop %rsi
        pop %rdx
        pop %rcx
        pop %rbx
        pop %rax
        add $16, %rsp
        iretq

        .section .note.GNU-stack, "", @progbits
