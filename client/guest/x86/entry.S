// SPDX-License-Identifier: Apache-2.0
// Where a guest starts and where its interrupts arrive.
//
// PVH entry (nomhv/abi/guest.h): 32-bit flat protected mode, paging off, EBX = the start page. Goes
// to long mode on a first map of the low 4 GiB, which x86/paging.cc replaces with one that keeps
// code and data apart.

#define CR0_PE 0x1
#define CR0_MP 0x2
#define CR0_ET 0x10
#define CR0_NE 0x20
#define CR0_WP 0x10000
#define CR0_PG 0x80000000
#define CR4_PAE 0x20
#define MSR_EFER 0xC0000080
#define EFER_LME 0x100
#define EFER_NXE 0x800
#define PAGE_PRESENT_WRITABLE 0x3
#define PAGE_2M_PRESENT_WRITABLE 0x83

    .section .note.pvh, "a", @note
    .p2align 2
    .long 4                       // Name bytes, with the zero.
    .long 8                       // Descriptor bytes.
    .long 18                      // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad NomGuestEntry

    .section .text.entry, "ax"
    .code32
    .globl NomGuestEntry
NomGuestEntry:
    cld
    movl %ebx, %ebp               // The start page; EBP is left alone until 64-bit code.
    movl $nom_bss_begin, %edi
    movl $nom_bss_end, %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    xorl %eax, %eax
    rep stosl

    movl $nom_pml4, %edi
    movl $nom_pdpt + PAGE_PRESENT_WRITABLE, (%edi)
    movl $nom_pdpt, %edi
    movl $nom_pd + PAGE_PRESENT_WRITABLE, %eax
    movl $4, %ecx
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $4096, %eax
    loop 1b
    movl $nom_pd, %edi
    movl $PAGE_2M_PRESENT_WRITABLE, %eax
    movl $2048, %ecx
2:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    loop 2b

    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $nom_pml4, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $(EFER_LME | EFER_NXE), %eax
    wrmsr
    movl $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
    movl %eax, %cr0
    lgdt nom_gdt_pointer
    ljmp $0x08, $3f

    .code64
3:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $nom_stack_end, %esp
    movl %ebp, %edi               // Zero-extends: the upper half is undefined after the switch.
    xorl %ebp, %ebp
    call NomGuestStart
    ud2

    // Where another processor of the guest begins (x86/processors.h): its body and its argument lie
    // on its stack.
    .section .text, "ax"
    .p2align 4
    .globl NomProcessorEntry
NomProcessorEntry:
    popq %rax
    popq %rdi
    xorl %ebp, %ebp
    callq *%rax
3:  cli                           // Stopped; it is started anew at the top.
    hlt
    jmp 3b

    // Every vector comes by its stub to one place with the same frame (x86/interrupts.h).
    .section .text, "ax"
    .macro STUB vector, has_error
    .p2align 4
    .if \has_error == 0
    pushq $0
    .endif
    pushq $\vector
    jmp interrupt_common
    .endm

    .p2align 4
    .globl nom_interrupt_stubs
nom_interrupt_stubs:
    .set vector, 0
    .rept 256
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
    STUB vector, 1
    .else
    STUB vector, 0
    .endif
    .set vector, vector + 1
    .endr

    .p2align 4
interrupt_common:
    cld
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, %rdi
    movq %rsp, %rbp               // Pushed registers may leave the stack 8 bytes off.
    andq $-16, %rsp
    call NomGuestInterrupt
    movq %rbp, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp                // Vector and error code.
    iretq

    // bool NomTryCopy(void* to, const void* from, size_t bytes): a copy that may touch frames that
    // nomhv has taken. A fault between the first two labels goes on at the third (x86/fixup.h).
    .p2align 4
    .globl NomTryCopy
NomTryCopy:
    movq %rdx, %rcx
    shrq $3, %rcx
    andl $7, %edx
4:  rep movsq
    movl %edx, %ecx
    rep movsb
5:  movl $1, %eax
    ret
6:  xorl %eax, %eax
    ret

    .section .nom_fixups, "a"
    .quad 4b, 5b, 6b

    .section .rodata, "a"
    .p2align 3
nom_gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF      // 0x08: code, 64-bit.
    .quad 0x00CF93000000FFFF      // 0x10: data.
nom_gdt_pointer:
    .word nom_gdt_pointer - nom_gdt - 1
    .quad nom_gdt

    .section .bss.page_tables, "aw", @nobits
    .p2align 12
    .globl nom_pml4
    .globl nom_pd
nom_pml4:
    .skip 4096
nom_pdpt:
    .skip 4096
nom_pd:                           // Four tables: 2048 entries of 2 MiB are 4 GiB.
    .skip 4 * 4096

    .section .bss.stack, "aw", @nobits
    .p2align 12
    .globl nom_stack_guard
nom_stack_guard:                  // Left unmapped, so that an overflow ends the guest.
    .skip 4096
    .skip 32768
    .globl nom_stack_end
nom_stack_end:

    .section .note.GNU-stack, "", @progbits
