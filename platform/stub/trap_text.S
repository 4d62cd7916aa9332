/*
 * Signal handlers of guest threads on the trap platform: publish what happened on the request page (request.h), wait for
 * the sentry's answer, load the guest's registers and go back. They return by xrstor and iretq, not rt_sigreturn, so the
 * only system call a guest thread needs is futex, and that from one instruction (and once, rt_sigprocmask with one argument).
 * Where the host does not enable the FSGSBASE instructions, arch_prctl sets the bases of fs and gs, from one instruction too.
 *
 * rbp = request page throughout, found from the handler's stack pointer. Nothing here is secret or trusted: whatever a
 * guest makes this code do by jumping into it, or by writing to the page, it could do itself.
 *
 * A signal may hit this code (kicks, or a fault while loading registers). Its frame lies below the stack pointer, so all
 * memory still needed lies above it.
 */
#include "platform/stub/request.h"
#include "platform/stub/stub_layout.h"
#include <asm/unistd.h>

/* ucontext_t and siginfo_t of the kernel */
#define UC_R8 40
#define UC_R9 48
#define UC_R10 56
#define UC_R11 64
#define UC_R12 72
#define UC_R13 80
#define UC_R14 88
#define UC_R15 96
#define UC_RDI 104
#define UC_RSI 112
#define UC_RBP 120
#define UC_RBX 128
#define UC_RDX 136
#define UC_RAX 144
#define UC_RCX 152
#define UC_RSP 160
#define UC_RIP 168
#define UC_EFLAGS 176
#define UC_CS 184
#define UC_ERR 192
#define UC_TRAPNO 200
#define UC_FPSTATE 224
#define SI_CODE 8
#define SI_ADDR 16
#define SI_CALL 24

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define SIGSEGV 11
#define USER_CS 0x33
#define USER_SS 0x2b

    .section stub_text, "a", @progbits
    .globl trap_text_start, trap_text_end, trap_text_handler, trap_text_unmask_ret, trap_text_futex_ret, trap_text_restorer
    .globl trap_text_base_ret, trap_text_patched

/* ZF set: the FSGSBASE instructions cannot be used. */
#define TEST_FSGSBASE testb $1, trap_text_start - STUB_TRAP + STUB_RODATA + STUB_RO_FSGSBASE(%rip)
#define SAVE(reg) mov UC_##reg(%rdx), %rax; mov %rax, REQ_##reg(%rbp)

    .balign 64
/* A new guest thread, rbx = base of the region: opens its signals and waits for its first registers. */
trap_text_start:
    mov     $2, %edi                      /* SIG_SETMASK */
    lea     STUB_RODATA + STUB_RO_EMPTY_SIGSET(%rbx), %rsi
    xor     %edx, %edx
    mov     $8, %r10d
    mov     $__NR_rt_sigprocmask, %eax
    syscall
trap_text_unmask_ret:
    mov     REQ_SEQ(%rbp), %r12d
    jmp     wait

    .balign 64
trap_text_handler:
    mov     %rsp, %rbp
    and     $-REQ_AREA_SIZE, %rbp
    pushq   $2
    popfq                                 /* NT would make iretq fail, AC our accesses */
    mov     UC_RIP(%rdx), %rax
    lea     trap_text_start(%rip), %rcx
    sub     %rcx, %rax
    cmp     $(trap_text_end - trap_text_start), %rax
    jb      in_stub
    cmp     $REQ_KICK_SIGNAL, %edi
    je      from_guest
by_cpu:
    cmpl    $0, SI_CODE(%rsi)
    jle     resume_frame                  /* sent by somebody outside the sandbox */
from_guest:
    SAVE(R15)
    SAVE(R14)
    SAVE(R13)
    SAVE(R12)
    SAVE(RBP)
    SAVE(RBX)
    SAVE(R11)
    SAVE(R10)
    SAVE(R9)
    SAVE(R8)
    SAVE(RAX)
    SAVE(RCX)
    SAVE(RDX)
    SAVE(RSI)
    SAVE(RDI)
    SAVE(RIP)
    SAVE(EFLAGS)
    SAVE(RSP)
    movzwl  UC_CS(%rdx), %eax
    mov     %rax, REQ_CS(%rbp)
    TEST_FSGSBASE
    jz      1f                            /* then the sentry knows them: only it can set them */
    rdfsbase %rax
    mov     %rax, REQ_FS_BASE(%rbp)
    rdgsbase %rax
    mov     %rax, REQ_GS_BASE(%rbp)
1:  mov     UC_FPSTATE(%rdx), %rax
    mov     %rax, REQ_XSTATE(%rbp)
    mov     %rsp, REQ_FRAME(%rbp)
    xor     %eax, %eax
    mov     %eax, REQ_LIVE(%rbp)
fill_in:
    mov     %eax, REQ_RESTORE(%rbp)
    mov     %edi, REQ_SIGNO(%rbp)
    mov     SI_CODE(%rsi), %eax
    mov     %eax, REQ_CODE(%rbp)
    mov     SI_ADDR(%rsi), %rax
    mov     %rax, REQ_ADDR(%rbp)
    mov     SI_CALL(%rsi), %rax
    mov     %rax, REQ_CALL(%rbp)
    mov     UC_TRAPNO(%rdx), %rax
    mov     %rax, REQ_TRAPNO(%rbp)
    mov     UC_ERR(%rdx), %rax
    mov     %rax, REQ_ERROR(%rbp)

    jmp     publish

    .balign 64
/*
 * From the trampoline of a patched site, by a jump: rcx = request page, r11 = address after the call, rax = its number, all
 * else the guest's, the stack pointer too. Signals that come before the stack is changed have their frame at the top of the
 * handlers' stack, which holds nothing now.
 */
trap_text_patched:
    mov     %rsp, REQ_RSP(%rcx)
    mov     %rbp, REQ_RBP(%rcx)
    mov     %rcx, %rbp
    mov     REQ_STATE(%rbp), %rsp
    lea     -REQ_FRAME_GAP(%rsp), %rsp
    pushfq
    popq    REQ_EFLAGS(%rbp)
    mov     %r11, REQ_RIP(%rbp)
    mov     %rax, REQ_RAX(%rbp)
    mov     %rbx, REQ_RBX(%rbp)
    mov     %rdx, REQ_RDX(%rbp)
    mov     %rsi, REQ_RSI(%rbp)
    mov     %rdi, REQ_RDI(%rbp)
    mov     %r8, REQ_R8(%rbp)
    mov     %r9, REQ_R9(%rbp)
    mov     %r10, REQ_R10(%rbp)
    mov     %r12, REQ_R12(%rbp)
    mov     %r13, REQ_R13(%rbp)
    mov     %r14, REQ_R14(%rbp)
    mov     %r15, REQ_R15(%rbp)
    TEST_FSGSBASE
    jz      1f
    rdfsbase %rax
    mov     %rax, REQ_FS_BASE(%rbp)
    rdgsbase %rax
    mov     %rax, REQ_GS_BASE(%rbp)
1:  movl    $REQ_PATCHED_CALL, REQ_SIGNO(%rbp)
    movl    $REQ_LIVE_ONLY, REQ_LIVE(%rbp)
    movl    $0, REQ_RESTORE(%rbp)
    cmpl    $0, REQ_EAGER(%rbp)
    je      publish
    mov     REQ_SAVE_TO(%rbp), %rdi
    mov     $-1, %eax
    mov     $-1, %edx
    xsave64 (%rdi)
    mov     %rdi, REQ_XSTATE(%rbp)
    movl    $REQ_LIVE_SAVED, REQ_LIVE(%rbp)

publish:
    mov     REQ_SEQ(%rbp), %r12d
    inc     %r12d
    mov     %r12d, %eax
    xchg    %eax, REQ_SEQ(%rbp)           /* before the sentry's word is read */
    cmpl    $0, REQ_SENTRY_SLEEPS(%rbp)
    je      wait
    lea     REQ_SEQ(%rbp), %rdi
    mov     $1, %esi                      /* FUTEX_WAKE */
    mov     $1, %edx
    lea     wait(%rip), %r13
    jmp     do_futex

/* Until the sentry has answered event r12d. */
wait:
    mov     REQ_ACK(%rbp), %edx
    cmp     %r12d, %edx
    je      resume
    mov     REQ_SPIN(%rbp), %ecx
    test    %ecx, %ecx
    jz      sleep
1:  pause
    mov     REQ_ACK(%rbp), %edx
    cmp     %r12d, %edx
    je      resume
    cmpl    $0, REQ_SPIN(%rbp)            /* told to make room */
    je      sleep
    dec     %ecx
    jnz     1b
sleep:
    mov     $1, %eax
    xchg    %eax, REQ_SLEEPS(%rbp)
    mov     REQ_ACK(%rbp), %edx
    cmp     %r12d, %edx
    je      awake
    lea     REQ_ACK(%rbp), %rdi
    xor     %esi, %esi                    /* FUTEX_WAIT while it is edx */
    lea     sleep(%rip), %r13
do_futex:
    xor     %r10d, %r10d
    mov     $__NR_futex, %eax
    syscall
trap_text_futex_ret:
    jmp     *%r13

awake:
    movl    $0, REQ_SLEEPS(%rbp)
resume:
    prefetchw REQ_REGS(%rbp)
    prefetchw REQ_REGS+64(%rbp)
    prefetchw REQ_REGS+128(%rbp)
    mov     REQ_ORDERS(%rbp), %r14d
    test    %r14d, %r14d
    jnz     do_orders
/*
 * From here to the end of iretq a kick, or a fault, leads to a new event with the registers of the page, which are not
 * touched: as if the guest had been interrupted before its first instruction.
 */
restore_start:
    cmpl    $0, REQ_KICKED(%rbp)
    jne     kicked_before
    cmpl    $0, REQ_LIVE(%rbp)
    jne     restore_live
    mov     REQ_FRAME(%rbp), %rsp
    mov     REQ_XSTATE(%rbp), %rdi
    mov     $-1, %eax
    mov     $-1, %edx
    xrstor64 (%rdi)
    TEST_FSGSBASE
    jz      1f
    mov     REQ_FS_BASE(%rbp), %rax
    wrfsbase %rax
    mov     REQ_GS_BASE(%rbp), %rax
    wrgsbase %rax
restore_frame:
1:  pushq   $USER_SS
    pushq   REQ_RSP(%rbp)
    pushq   REQ_EFLAGS(%rbp)
    pushq   $USER_CS
    pushq   REQ_RIP(%rbp)
    mov     REQ_R15(%rbp), %r15
    mov     REQ_R14(%rbp), %r14
    mov     REQ_R13(%rbp), %r13
    mov     REQ_R12(%rbp), %r12
    mov     REQ_RBX(%rbp), %rbx
    mov     REQ_R11(%rbp), %r11
    mov     REQ_R10(%rbp), %r10
    mov     REQ_R9(%rbp), %r9
    mov     REQ_R8(%rbp), %r8
    mov     REQ_RAX(%rbp), %rax
    mov     REQ_RCX(%rbp), %rcx
    mov     REQ_RDX(%rbp), %rdx
    mov     REQ_RSI(%rbp), %rsi
    mov     REQ_RDI(%rbp), %rdi
    mov     REQ_RBP(%rbp), %rbp
    iretq

/* Extended registers were not changed. */
restore_live:
    mov     REQ_STATE(%rbp), %rsp
    sub     $REQ_FRAME_GAP, %rsp
    TEST_FSGSBASE
    jz      2f
    mov     REQ_FS_BASE(%rbp), %rax
    wrfsbase %rax
    mov     REQ_GS_BASE(%rbp), %rax
    wrgsbase %rax
2:  cmpl    $0, REQ_QUICK(%rbp)
    jne     1f
    pushq   $2
    popfq                                 /* NT would make iretq fail */
    jmp     restore_frame
1:  mov     REQ_R15(%rbp), %r15
    mov     REQ_R14(%rbp), %r14
    mov     REQ_R13(%rbp), %r13
    mov     REQ_R12(%rbp), %r12
    mov     REQ_RBX(%rbp), %rbx
    mov     REQ_R11(%rbp), %r11
    mov     REQ_R10(%rbp), %r10
    mov     REQ_R9(%rbp), %r9
    mov     REQ_R8(%rbp), %r8
    mov     REQ_RAX(%rbp), %rax
    mov     REQ_RCX(%rbp), %rcx
    mov     REQ_RDX(%rbp), %rdx
    mov     REQ_RSI(%rbp), %rsi
    mov     REQ_RDI(%rbp), %rdi
    pushq   REQ_EFLAGS(%rbp)
    popfq
    mov     REQ_RSP(%rbp), %rsp
    mov     REQ_RBP(%rbp), %rbp
    jmp     *%rcx
restore_end:

/* r14 = which. */
do_orders:
    test    $REQ_SAVE_STATE, %r14d
    jz      set_bases
    andl    $~REQ_SAVE_STATE, REQ_ORDERS(%rbp)
    mov     REQ_SAVE_TO(%rbp), %rdi       /* above the stack in use, of this thread or another */
    mov     $-1, %eax
    mov     $-1, %edx
    xsave64 (%rdi)
    mov     %rdi, REQ_XSTATE(%rbp)
    mov     %rsp, REQ_FRAME(%rbp)
    movl    $0, REQ_LIVE(%rbp)
    movl    $REQ_SAVED, REQ_SIGNO(%rbp)
    movl    $0, REQ_RESTORE(%rbp)
    jmp     publish
/* By the host, which takes no address outside of user space. */
set_bases:
    movl    $0, REQ_ORDERS(%rbp)
    test    $REQ_SET_FS, %r14d
    jz      set_gs
    mov     $ARCH_SET_FS, %edi
    mov     REQ_FS_BASE(%rbp), %rsi
    lea     set_gs(%rip), %r13
    jmp     set_base
set_gs:
    test    $REQ_SET_GS, %r14d
    jz      restore_start
    mov     $ARCH_SET_GS, %edi
    mov     REQ_GS_BASE(%rbp), %rsi
    lea     restore_start(%rip), %r13
set_base:
    mov     $__NR_arch_prctl, %eax
    syscall
trap_text_base_ret:
    test    %rax, %rax
    jnz     base_refused
    jmp     *%r13
base_refused:
    movl    $SIGSEGV, REQ_SIGNO(%rbp)
    movl    $1, REQ_RESTORE(%rbp)
    jmp     publish

kicked_before:
    movl    $0, REQ_KICKED(%rbp)
    movl    $REQ_KICK_SIGNAL, REQ_SIGNO(%rbp)
    movl    $1, REQ_RESTORE(%rbp)
    jmp     publish

/* rax = offset of the interrupted instruction in this text. */
in_stub:
    sub     $(restore_start - trap_text_start), %rax
    cmp     $(restore_end - restore_start), %rax
    jb      in_restore
    cmp     $REQ_KICK_SIGNAL, %edi
    jne     by_cpu
    movl    $1, REQ_KICKED(%rbp)
    jmp     resume_frame
in_restore:
    cmp     $REQ_KICK_SIGNAL, %edi
    je      1f
    cmpl    $0, SI_CODE(%rsi)
    jle     resume_frame
1:  movl    $0, REQ_KICKED(%rbp)
    cmpl    $0, REQ_LIVE(%rbp)
    jne     2f
    mov     REQ_FRAME(%rbp), %rsp
    mov     $1, %eax
    jmp     fill_in
2:  movl    $0, REQ_LIVE(%rbp)            /* what was in the processor is in this frame now */
    mov     UC_FPSTATE(%rdx), %rax
    mov     %rax, REQ_XSTATE(%rbp)
    mov     %rsp, REQ_FRAME(%rbp)
    mov     $1, %eax
    jmp     fill_in

/* Back to where the signal hit, from its frame: ucontext in rdx. */
resume_frame:
    mov     %rdx, %rbx
    mov     UC_FPSTATE(%rbx), %rdi
    mov     $-1, %eax
    mov     $-1, %edx
    xrstor64 (%rdi)
    pushq   $USER_SS
    pushq   UC_RSP(%rbx)
    pushq   UC_EFLAGS(%rbx)
    pushq   $USER_CS
    pushq   UC_RIP(%rbx)
    mov     UC_R15(%rbx), %r15
    mov     UC_R14(%rbx), %r14
    mov     UC_R13(%rbx), %r13
    mov     UC_R12(%rbx), %r12
    mov     UC_RBP(%rbx), %rbp
    mov     UC_R11(%rbx), %r11
    mov     UC_R10(%rbx), %r10
    mov     UC_R9(%rbx), %r9
    mov     UC_R8(%rbx), %r8
    mov     UC_RAX(%rbx), %rax
    mov     UC_RCX(%rbx), %rcx
    mov     UC_RDX(%rbx), %rdx
    mov     UC_RSI(%rbx), %rsi
    mov     UC_RDI(%rbx), %rdi
    mov     UC_RBX(%rbx), %rbx
    iretq

trap_text_restorer:
    ud2
trap_text_end:
    .section .note.GNU-stack, "", @progbits
