// SPDX-License-Identifier: Apache-2.0
// The first instructions: two ways in (PVH and multiboot2), both in 32-bit protected mode without
// paging, one way on (64-bit mode, call NomhvMain). And the way in of the other processors.

        .set STACK_BYTES, 0x8000

        .section .note.pvh, "a", @note
        .balign 4
        .long 4                         // Name size.
        .long 8                         // QEMU reads the entry of an ELF64 as 8 bytes.
        .long 18                        // XEN_ELFNOTE_PHYS32_ENTRY
        .asciz "Xen"
        .quad PvhEntry

        .section .multiboot2, "a"
        .balign 8
Mb2Header:
        .long 0xe85250d6, 0, Mb2End - Mb2Header, -(0xe85250d6 + 0 + (Mb2End - Mb2Header))
        .word 3, 0                      // Entry address: the PVH entry is another one.
        .long 12
        .long Mb2Entry
        .balign 8
        .word 6, 1                      // Modules page-aligned.
        .long 8
        .word 0, 0
        .long 8
Mb2End:

        .section .text.boot, "ax"
        .code32
        .globl PvhEntry, Mb2Entry
PvhEntry:
        mov $0, %edi
        jmp Enter
Mb2Entry:
        mov $1, %edi
Enter:
        cli
        cld
        mov %ebx, %esi                  // Second argument: the loader's information.
        mov $(BootStackEnd), %esp
        // Without long mode or no-execute pages the switch would end in a silent reset.
        mov $0x80000000, %eax
        cpuid
        cmp $0x80000001, %eax
        mov $NoLongMode, %ebp
        jb Refuse
        mov $0x80000001, %eax
        cpuid
        bt $29, %edx                    // LM
        jnc Refuse
        mov $NoNoExecute, %ebp
        bt $20, %edx                    // NX
        jnc Refuse
        // Four GiB identity-mapped in 2 MiB pages: only until C++ has built the real tables.
        mov $BootPml4, %eax
        movl $(BootPdpt + 3), (%eax)
        mov $BootPdpt, %eax
        movl $(BootPd + 0x0003), 0(%eax)
        movl $(BootPd + 0x1003), 8(%eax)
        movl $(BootPd + 0x2003), 16(%eax)
        movl $(BootPd + 0x3003), 24(%eax)
        mov $BootPd, %eax
        mov $0x83, %edx                 // Present, writable, large.
        mov $2048, %ecx
1:      mov %edx, (%eax)
        movl $0, 4(%eax)
        add $0x200000, %edx
        add $8, %eax
        loop 1b
        mov $BootPml4, %eax
        call EnterLongMode
        lgdt BootGdtPointer
        ljmp $8, $Enter64

// Says the text at EBP on the first serial port, as far as it takes bytes in a bounded time, and ends.
Refuse:
        mov (%ebp), %al
        test %al, %al
        jz 3f
        mov %al, %bl
        mov $1000000, %ecx
1:      mov $0x3fd, %edx                // Line status: bit 5, the transmitter is empty.
        in (%dx), %al
        test $0x20, %al
        jnz 2f
        loop 1b
2:      mov %bl, %al
        mov $0x3f8, %edx
        out %al, (%dx)
        inc %ebp
        jmp Refuse
3:      mov $0x11, %eax                 // kExitFail, for an emulator.
        mov $0xf4, %edx
        out %eax, (%dx)
4:      cli
        hlt
        jmp 4b

// EAX = page tables. 64-bit mode is on afterwards, but CS is still the 32-bit one.
EnterLongMode:
        mov %eax, %cr3
        mov %cr4, %eax
        or $0x20, %eax                  // PAE
        mov %eax, %cr4
        mov $0xc0000080, %ecx
        rdmsr
        or $0x900, %eax                 // LME, NXE
        wrmsr
        mov %cr0, %eax
        and $0x9fffffff, %eax           // Caches on.
        or $0x80010001, %eax            // PG, WP, PE
        mov %eax, %cr0
        ret

        .code64
Enter64:
        mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        xor %eax, %eax
        mov %eax, %fs
        mov %eax, %gs
        mov %edi, %edi                  // The upper halves are undefined after the switch.
        mov %esi, %esi
        mov $BootStackEnd, %esp
        xor %ebp, %ebp
        call NomhvMain
1:      cli
        hlt
        jmp 1b

// Copied to a page below 1 MiB; a processor starts at its first byte in real mode (APM 2, 15.27.8 and
// 16.3: CS base = vector << 12).
        .code16
        .globl ApStart, ApStartEnd
ApStart:
        cli
        cld
        mov %cs, %ax
        mov %ax, %ds
        lgdtl ApGdtPointer - ApStart
        mov %cr0, %eax
        or $1, %eax
        mov %eax, %cr0
        ljmpl $24, $(ApStart32)
        .balign 4
ApGdtPointer:
        .word BootGdtEnd - BootGdt - 1
        .long BootGdt
ApStartEnd:
        .code32
ApStart32:
        mov $32, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov ApStack, %esp
        mov ApPageTables, %eax
        call EnterLongMode
        ljmp $8, $ApStart64
        .code64
ApStart64:
        mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        xor %eax, %eax
        mov %eax, %fs
        mov %eax, %gs
        mov ApStack, %rsp
        xor %ebp, %ebp
        call NomhvApMain
1:      cli
        hlt
        jmp 1b

        .section .rodata.boot, "a"
        .balign 8
        .globl BootGdtPointer
BootGdt:
        .quad 0
        .quad 0x00af9b000000ffff        // 8: 64-bit code
        .quad 0x00cf93000000ffff        // 16: data
        .quad 0x00cf9b000000ffff        // 24: 32-bit code
        .quad 0x00cf93000000ffff        // 32: data
BootGdtEnd:
BootGdtPointer:
        .word BootGdtEnd - BootGdt - 1
        .quad BootGdt

NoLongMode:
        .asciz "[0.000] nomhv: this processor has no 64-bit mode\r\n"
NoNoExecute:
        .asciz "[0.000] nomhv: this processor has no no-execute pages (NX), or the firmware hides them\r\n"

        .section .data.boot, "aw"
        .balign 8
        .globl ApStack, ApPageTables
ApStack:        .quad 0
ApPageTables:   .quad 0

        .section .bss.boot, "aw", @nobits
        .balign 4096
BootPml4:       .skip 4096
BootPdpt:       .skip 4096
BootPd:         .skip 4 * 4096
        .balign 4096
        .globl BootStack, BootStackEnd
BootStack:      .skip STACK_BYTES
BootStackEnd:

        .section .note.GNU-stack, "", @progbits
