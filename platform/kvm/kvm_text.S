/*
 * All code of ring 0. It touches no memory of the guest and keeps nothing: an event leaves the machine at once by a port
 * write whose number says what happened; the sentry answers by setting registers, rip among them.
 *
 * On one page that ring 3 can neither read nor execute. Exceptions use a stack of the vCPU's own (IST), also those that
 * happen in here, so no rsp that a guest chose is ever written through.
 */
#include "platform/kvm/text_ports.h"
#include "platform/stub/request.h"

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
 * Where `syscall` stays at ring 3 (internal.h, user_stub). On a page that ring 3 can execute, with the request page
 * (platform/stub/request.h) behind it: whatever a guest makes this code do by jumping into it, or by writing to that page, it
 * could do itself. No word of the page is believed here, and nothing that may be ring 0 returns by it.
 */
    .section .rodata, "a"
    .globl  kvm_user_start, kvm_user_syscall, kvm_user_syscall_out, kvm_user_flags_kept, kvm_user_ring0_out, kvm_user_published
    .globl  kvm_user_patched, kvm_user_patched_stack, kvm_user_patched_flags, kvm_user_patched_out, kvm_user_common
    .globl  kvm_user_left, kvm_user_load, kvm_user_resume, kvm_user_resume_end, kvm_user_cstar, kvm_user_cstar_out
#define R(off) kvm_user_start + 4096 + (off)(%rip)
#define SAVE(reg, off) movq %reg, R(off)
#define LOAD(reg, off) movq R(off), %reg
    .balign 4096
kvm_user_start:
kvm_user_syscall:
    cmpl    $0, R(REQ_SPIN)
    jne     1f
    outb    %al, $PORT_USER
kvm_user_syscall_out:
    ud2                         /* never answered here */
1:  SAVE(r11, REQ_EFLAGS)
kvm_user_flags_kept:
    movl    %cs, %r11d
    testb   $3, %r11b
    jz      4f
    SAVE(rsp, REQ_RSP)
    movl    $0, R(REQ_SIGNO)
    jmp     kvm_user_common
4:  outb    %al, $PORT_USER     /* the host has emulated `syscall`, which enters ring 0 */
kvm_user_ring0_out:
    ud2
/* By a jump from the trampoline of a patched site: rcx = address behind the call, all others and the flags as before it. */
kvm_user_patched:
    SAVE(rsp, REQ_RSP)
    leaq    R(4096), %rsp       /* not the guest's stack, which has a red zone */
kvm_user_patched_stack:
    pushfq
    popq    R(REQ_EFLAGS)
kvm_user_patched_flags:
    cmpl    $0, R(REQ_SPIN)
    jne     5f
    outb    %al, $PORT_USER
kvm_user_patched_out:
    ud2
5:  movl    $REQ_PATCHED_CALL, R(REQ_SIGNO)
kvm_user_common:
    SAVE(rcx, REQ_RIP)
    SAVE(r15, REQ_R15)
    SAVE(r14, REQ_R14)
    SAVE(r13, REQ_R13)
    SAVE(r12, REQ_R12)
    SAVE(rbp, REQ_RBP)
    SAVE(rbx, REQ_RBX)
    SAVE(r10, REQ_R10)
    SAVE(r9, REQ_R9)
    SAVE(r8, REQ_R8)
    SAVE(rax, REQ_RAX)
    SAVE(rdx, REQ_RDX)
    SAVE(rsi, REQ_RSI)
    SAVE(rdi, REQ_RDI)
    rdfsbase %r11
    SAVE(r11, REQ_FS_BASE)
    rdgsbase %r11
    SAVE(r11, REQ_GS_BASE)
    lock incl R(REQ_SEQ)        /* before the sentry's word is read */
kvm_user_published:
    cmpl    $0, R(REQ_SENTRY_SLEEPS)
    jne     3f
    movl    R(REQ_SPIN), %r11d
2:  movl    R(REQ_ACK), %ecx
    cmpl    R(REQ_SEQ), %ecx
    je      8f
    pause
    subl    $1, %r11d
    ja      2b
3:  outb    %al, $PORT_USER
kvm_user_left:
    ud2
/* Orders. Extended registers are the guest's still; a save is told like a call, and waits for the next answer. */
6:  testb   $REQ_LEAVE, %r11b
    jnz     3b
    movl    $0, R(REQ_ORDERS)
    testb   $REQ_SET_FS, %r11b
    jz      1f
    LOAD(rax, REQ_FS_BASE)
    wrfsbase %rax
1:  testb   $REQ_SET_GS, %r11b
    jz      1f
    LOAD(rax, REQ_GS_BASE)
    wrgsbase %rax
1:  movl    $-1, %eax
    movl    $-1, %edx
    testb   $REQ_SAVE_STATE, %r11b
    jz      7f
    xsave64 R(REQ_KVM_STATE)
    movl    $REQ_SAVED, R(REQ_SIGNO)
    lock incl R(REQ_SEQ)
    jmp     kvm_user_published
7:  testb   $REQ_LOAD_STATE, %r11b
    jz      kvm_user_resume
kvm_user_load:
    xrstor64 R(REQ_KVM_STATE)
    jmp     kvm_user_resume
8:  movl    R(REQ_ORDERS), %r11d
    testl   %r11d, %r11d
    jnz     6b
kvm_user_resume:
    leaq    R(4096), %rsp
    pushq   R(REQ_EFLAGS)
    popfq
    LOAD(r15, REQ_R15)
    LOAD(r14, REQ_R14)
    LOAD(r13, REQ_R13)
    LOAD(r12, REQ_R12)
    LOAD(rbp, REQ_RBP)
    LOAD(rbx, REQ_RBX)
    LOAD(r11, REQ_R11)
    LOAD(r10, REQ_R10)
    LOAD(r9, REQ_R9)
    LOAD(r8, REQ_R8)
    LOAD(rax, REQ_RAX)
    LOAD(rcx, REQ_RCX)
    LOAD(rdx, REQ_RDX)
    LOAD(rsi, REQ_RSI)
    LOAD(rdi, REQ_RDI)
    LOAD(rsp, REQ_RSP)
    jmp     *R(REQ_RIP)
kvm_user_resume_end:
    .balign 16, 0xf4
kvm_user_cstar:                 /* of 32-bit code, which the host's own descriptors may admit */
    outb    %al, $PORT_USER
kvm_user_cstar_out:
    ud2
    .balign 4096, 0xf4
    .section .note.GNU-stack, "", @progbits
