/*
 * Everything that runs in a stub process and is not the guest's. No stack, no writable variable that matters: guest
 * threads share this address space and can write whatever is writable in it, so all state lives in registers, and
 * orders come from a page that is read-only here. Answers go out as the *lengths* of messages on the stub's socket
 * (the bytes sent are this text): guest threads can make no system call, so they cannot forge one, as they could a
 * result written to memory.
 *
 * Position independent; copied to the stub region. rbx = base of the region throughout.
 */
#include "platform/stub/request.h"
#include "platform/stub/stub_layout.h"
#include <asm/unistd.h>

    .section stub_text, "a", @progbits
    .globl stub_text_start, stub_text_end, stub_text_template, stub_text_trace_ret, stub_text_pause_ret, stub_text_exit, stub_text_exit_ret

/* recvmsg(sock) with room for descriptors; falls through with rax > 0. */
.macro RECEIVE again
    lea     STUB_SCRATCH(%rbx), %rsi
    xor     %eax, %eax
    mov     %rax, 0(%rsi)                 /* msg_name */
    mov     %rax, 8(%rsi)                 /* msg_namelen */
    lea     STUB_SC_IOV(%rsi), %rdi
    mov     %rdi, 16(%rsi)                /* msg_iov */
    movq    $1, 24(%rsi)
    lea     STUB_SC_DATA(%rsi), %rdx
    mov     %rdx, 0(%rdi)
    movq    $8, 8(%rdi)
    lea     STUB_SC_CONTROL(%rsi), %rdx
    mov     %rdx, 32(%rsi)                /* msg_control */
    movq    $STUB_SC_CONTROL_LEN, 40(%rsi)
    mov     %rax, 48(%rsi)
    mov     $STUB_FD_SOCK, %edi
    xor     %edx, %edx
    mov     $__NR_recvmsg, %eax
    syscall
    cmp     $-4, %rax                     /* EINTR */
    je      \again
    test    %rax, %rax
    jle     die                           /* the sentry is gone */
.endm

/* A message whose length is `reg`, 1 to 4096. */
.macro ANSWER reg
    mov     \reg, %rdx
    mov     $STUB_FD_SOCK, %edi
    mov     %rbx, %rsi
    mov     $0x4000, %r10d                /* MSG_NOSIGNAL */
    xor     %r8d, %r8d
    xor     %r9d, %r9d
    mov     $__NR_sendto, %eax
    syscall
.endm

.macro CLOSE_FROM first
    mov     $\first, %edi
    mov     $0xffffffff, %esi
    xor     %edx, %edx
    mov     $__NR_close_range, %eax
    syscall
.endm

.macro FILTER which
    mov     $1, %edi                      /* SECCOMP_SET_MODE_FILTER */
    xor     %esi, %esi
    lea     STUB_RODATA + \which(%rbx), %rdx
    mov     $__NR_seccomp, %eax
    syscall
    test    %rax, %rax
    jnz     die
.endm

stub_text_start:

/* The template: forked from the sentry, everything of the sentry's is unmapped first. */
stub_text_template:
    lea     stub_text_start(%rip), %rbx
    xor     %esp, %esp
    xor     %ebp, %ebp
    xor     %edi, %edi
    mov     %rbx, %rsi
    mov     $__NR_munmap, %eax
    syscall
    test    %rax, %rax
    jnz     die
    lea     STUB_SIZE(%rbx), %rdi
    mov     $STUB_USER_END, %rsi
    sub     %rdi, %rsi
    mov     $__NR_munmap, %eax
    syscall
    test    %rax, %rax
    jnz     die
    FILTER  STUB_RO_FPROG_TEMPLATE
    mov     $1, %r12d
    ANSWER  %r12
template_loop:
    RECEIVE template_loop
    mov     STUB_OPS + STUB_OPS_SLOT(%rbx), %r15
    mov     $STUB_CLONE_PARENT, %edi
    xor     %esi, %esi
    xor     %edx, %edx
    xor     %r10d, %r10d
    xor     %r8d, %r8d
    mov     $__NR_clone, %eax
    syscall
    test    %rax, %rax
    jz      new_stub
    mov     %rax, %r12
    CLOSE_FROM STUB_FD_NEWSOCK
    /* The template's memory is its own: here the answer may go through it. */
    lea     STUB_SCRATCH + STUB_SC_DATA(%rbx), %rsi
    mov     %r12d, (%rsi)
    mov     $STUB_FD_SOCK, %edi
    mov     $4, %edx
    mov     $0x4000, %r10d
    xor     %r8d, %r8d
    xor     %r9d, %r9d
    mov     $__NR_sendto, %eax
    syscall
    jmp     template_loop

/* A fresh address space: take over the new socket and the own page of orders (file offset in r15). */
new_stub:
    mov     $STUB_FD_NEWSOCK, %edi
    mov     $STUB_FD_SOCK, %esi
    mov     $__NR_dup2, %eax
    syscall
    test    %eax, %eax
    js      die
    lea     STUB_OPS(%rbx), %rdi
    mov     $4096, %esi
    mov     $1, %edx                      /* PROT_READ */
    mov     $0x11, %r10d                  /* MAP_SHARED|MAP_FIXED */
    mov     $STUB_FD_ORDERS, %r8d
    mov     %r15, %r9
    mov     $__NR_mmap, %eax
    syscall
    lea     STUB_OPS(%rbx), %rdi
    cmp     %rdi, %rax
    jne     die
    CLOSE_FROM 2
    mov     $1, %edi                      /* PR_SET_PDEATHSIG, SIGKILL */
    mov     $9, %esi
    mov     $__NR_prctl, %eax
    syscall
    FILTER  STUB_RO_FPROG_MAPPER
    mov     $1, %r12d
    ANSWER  %r12

/*
 * The mapper: takes a batch, carries it out up to the first failure. Answers: a message of length 1 + operations
 * done; after it, when an operation failed, one of length errno, or, when a thread was made, three of length
 * 1 + byte with its tid, low byte first.
 */
mapper_loop:
    RECEIVE mapper_loop
    xor     %r12d, %r12d                  /* operations done */
    xor     %r15d, %r15d                  /* -errno or tid */
    mov     STUB_OPS + STUB_OPS_N(%rbx), %r13d
    lea     STUB_OPS + STUB_OPS_OP(%rbx), %r14
next_op:
    cmp     %r13d, %r12d
    jae     batch_done
    mov     STUB_OP_ADDR(%r14), %rdi
    mov     STUB_OP_LEN(%r14), %rsi
    mov     STUB_OP_PROT(%r14), %edx
    mov     STUB_OP_KIND(%r14), %eax
    cmp     $STUB_OP_MAP, %eax
    je      op_map
    cmp     $STUB_OP_UNMAP, %eax
    je      op_unmap
    cmp     $STUB_OP_PROTECT, %eax
    je      op_protect
    cmp     $STUB_OP_RUNNER, %eax
    je      op_thread
    cmp     $STUB_OP_THREAD, %eax
    jne     die
op_thread:
    mov     %eax, %r9d                    /* for the child */
    mov     %rdi, %rbp
    mov     $STUB_CLONE_GUEST, %edi
    xor     %esi, %esi
    xor     %edx, %edx
    xor     %r10d, %r10d
    xor     %r8d, %r8d
    mov     $__NR_clone, %eax
    syscall
    test    %rax, %rax
    jz      guest_thread
    mov     %rax, %r15
    js      batch_done
    jmp     op_done
op_map:
    mov     STUB_OP_FLAGS(%r14), %r10d
    mov     STUB_OP_FD(%r14), %r8d
    mov     STUB_OP_OFF(%r14), %r9
    mov     $__NR_mmap, %eax
    syscall
    cmp     $-4095, %rax
    jb      op_done
    mov     %rax, %r15
    jmp     batch_done
op_unmap:
    mov     $__NR_munmap, %eax
    jmp     op_call
op_protect:
    mov     $__NR_mprotect, %eax
op_call:
    syscall
    test    %rax, %rax
    jz      op_done
    mov     %rax, %r15
    jmp     batch_done
op_done:
    inc     %r12d
    add     $STUB_OP_SIZE, %r14
    jmp     next_op
batch_done:
    cmpl    $0, STUB_OPS + STUB_OPS_NFDS(%rbx)
    je      1f
    CLOSE_FROM STUB_FD_RECEIVED
1:  inc     %r12d
    ANSWER  %r12
    test    %r15, %r15
    jz      mapper_loop
    js      2f
    mov     $3, %r12d
3:  movzbl  %r15b, %eax
    inc     %eax
    ANSWER  %rax
    shr     $8, %r15
    dec     %r12d
    jnz     3b
    jmp     mapper_loop
2:  neg     %r15
    ANSWER  %r15
    jmp     mapper_loop

/*
 * A guest thread before it is seized: signals open (the tracer must see them), then the filter that lets nothing
 * through but three calls below. The first goes to the tracer if it has seized us already (it fails if not), the second
 * sleeps until it does; to spin here would keep the tracer, on the same CPU, from running.
 */
guest_thread:
    cmp     $STUB_OP_RUNNER, %r9d
    je      runner
    mov     $2, %edi                      /* SIG_SETMASK */
    lea     STUB_RODATA + STUB_RO_EMPTY_SIGSET(%rbx), %rsi
    xor     %edx, %edx
    mov     $8, %r10d
    mov     $__NR_rt_sigprocmask, %eax
    syscall
    FILTER  STUB_RO_FPROG_GUEST
    mov     $__NR_pause, %eax
    syscall
stub_text_trace_ret:
    mov     $__NR_pause, %eax
    syscall
stub_text_pause_ret:
    jmp     stub_text_trace_ret

/*
 * A guest thread of the trap platform: its handlers' stack, word that the page of orders may change, the filter. Signals
 * stay blocked until that is installed: a handler's frame lies where other guest threads can write, and what it returns
 * to must never run with more system calls than they have. Then a signal finds the stack pointer already below the
 * state to be loaded first.
 */
runner:
    lea     STUB_OPS + STUB_OPS_STACK(%rbx), %rdi
    xor     %esi, %esi
    mov     $__NR_sigaltstack, %eax
    syscall
    test    %rax, %rax
    jnz     die
    mov     REQ_FRAME(%rbp), %rsp
    mov     REQ_SELECTOR(%rbp), %eax
    mov     %eax, %es
    mov     $STUB_RUNNER_READY, %r12d
    ANSWER  %r12
    FILTER  STUB_RO_FPROG_TRAP
    lea     STUB_TRAP(%rbx), %rax
    jmp     *%rax

/* The tracer sends a guest thread here when its context is done. */
stub_text_exit:
    xor     %edi, %edi
    mov     $__NR_exit, %eax
    syscall
stub_text_exit_ret:
    ud2

die:
    mov     $1, %edi
    mov     $__NR_exit_group, %eax
    syscall
    ud2
stub_text_end:
    .section .note.GNU-stack, "", @progbits
