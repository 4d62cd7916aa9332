/*
 * All code of ring 0. It touches no memory of the guest and keeps nothing: an event leaves the machine at once by a port
 * write whose number says what happened; the sentry answers by setting registers, rip among them.
 *
 * On one page that ring 3 can neither read nor execute. Exceptions use a stack of the vCPU's own (IST), also those that
 * happen in here, so no rsp that a guest chose is ever written through.
 */
#include "platform/kvm/text_ports.h"

    .section .rodata, "a"
    .globl  kvm_text_start, kvm_text_end, kvm_text_syscall, kvm_text_cstar, kvm_text_sysret
    .globl  kvm_text_iret, kvm_text_flush, kvm_text_return_end
    .balign 4096
kvm_text_start:
    vector = 0
    .rept 32
    .balign 16, 0xf4
    outb    %al, $(PORT_VECTOR + vector)
1:  hlt                         /* never answered here */
    jmp     1b
    vector = vector + 1
    .endr
    .balign 16, 0xf4
kvm_text_syscall:
    outb    %al, $PORT_SYSCALL
1:  hlt
    jmp     1b
    .balign 16, 0xf4
kvm_text_cstar:                 /* `syscall` of 32-bit code: there is no descriptor for such code, so none comes */
    outb    %al, $PORT_CSTAR
1:  hlt
    jmp     1b
    .balign 16, 0xf4

/* The ways back. */
kvm_text_sysret:                /* rcx = rip, r11 = rflags, all others as the guest's */
    sysretq
    .balign 16, 0xf4
kvm_text_flush:                 /* rax = root, rsp at the frame's rax: new mappings first */
    movq    %rax, %cr3
    popq    %rax
kvm_text_iret:                  /* rsp at the frame's rip */
    iretq
kvm_text_return_end:
    .balign 4096, 0xf4
kvm_text_end:

/*
 * Where `syscall` stays at ring 3 (internal.h, user_stub). On a page that ring 3 can execute: a guest that jumps here makes
 * a system call, with what it has in rcx as the address to return to.
 */
    .section .rodata, "a"
    .globl  kvm_user_start, kvm_user_syscall, kvm_user_syscall_out, kvm_user_cstar, kvm_user_cstar_out
    .balign 4096
kvm_user_start:
kvm_user_syscall:
    outb    %al, $PORT_USER
kvm_user_syscall_out:
    ud2                         /* never answered here */
    .balign 16, 0xf4
kvm_user_cstar:                 /* of 32-bit code, which the host's own descriptors may admit */
    outb    %al, $PORT_USER
kvm_user_cstar_out:
    ud2
    .balign 4096, 0xf4

    .section .note.GNU-stack, "", @progbits
