/* libc.so.1: contexts and jumps. */
        .text
#define FN(n) .globl n; .type n,@function; n:
#define END(n) .size n,.-n

/* struct ucontext offsets */
#define G(n) (64 + 8 * (n))

/* int getcontext(ucontext_t *): the kernel fills it; then make it return 0 to our caller. It returns twice, the second
   time through a stack slot that the caller has reused: %rip and %rsp must be those after our return. */
FN(getcontext)
        movl    $15, %eax
        movq    %rax, (%rdi)
        movq    %rdi, %rsi
        pushq   %rsi
        xorl    %edi, %edi
        movl    $100, %eax
        syscall
        popq    %rsi
        jc      1f
        movq    (%rsp), %rdx
        movq    %rdx, G(17)(%rsi)
        leaq    8(%rsp), %rdx
        movq    %rdx, G(20)(%rsi)
        movq    $0, G(14)(%rsi)
        movq    %rbx, G(11)(%rsi)
        movq    %rbp, G(10)(%rsi)
        movq    %r12, G(3)(%rsi)
        movq    %r13, G(2)(%rsi)
        movq    %r14, G(1)(%rsi)
        movq    %r15, G(0)(%rsi)
        xorl    %eax, %eax
        ret
1:      movl    %eax, %edi
        negq    %rdi
        jmp     ret_errno
END(getcontext)

FN(setcontext)
        movq    %rdi, %rsi
        movl    $1, %edi
        movl    $100, %eax
        syscall
        movl    %eax, %edi
        negq    %rdi
        jmp     ret_errno
END(setcontext)

/* jmp_buf: 8 words: rbx rbp r12 r13 r14 r15 rsp rip */
FN(setjmp)
        .globl _setjmp
_setjmp:
        movq    %rbx, (%rdi)
        movq    %rbp, 8(%rdi)
        movq    %r12, 16(%rdi)
        movq    %r13, 24(%rdi)
        movq    %r14, 32(%rdi)
        movq    %r15, 40(%rdi)
        leaq    8(%rsp), %rdx
        movq    %rdx, 48(%rdi)
        movq    (%rsp), %rdx
        movq    %rdx, 56(%rdi)
        xorl    %eax, %eax
        ret
END(setjmp)

/* sigjmp_buf: the same 8 words, then "mask saved", then the mask */
FN(sigsetjmp)
        .globl __sigsetjmp
__sigsetjmp:
        movslq  %esi, %rsi
        movq    %rsi, 64(%rdi)
        testq   %rsi, %rsi
        jz      setjmp
        pushq   %rdi
        movl    $95, %eax
        leaq    72(%rdi), %rdx
        xorl    %esi, %esi
        movl    $1, %edi
        syscall
        popq    %rdi
        jmp     setjmp
END(sigsetjmp)

FN(siglongjmp)
        cmpq    $0, 64(%rdi)
        jz      longjmp
        pushq   %rdi
        pushq   %rsi
        movl    $95, %eax
        leaq    72(%rdi), %rsi
        xorl    %edx, %edx
        movl    $3, %edi
        syscall
        popq    %rsi
        popq    %rdi
        jmp     longjmp
END(siglongjmp)

FN(longjmp)
        .globl _longjmp
_longjmp:
        movl    %esi, %eax
        testl   %eax, %eax
        jnz     1f
        incl    %eax
1:      movq    (%rdi), %rbx
        movq    8(%rdi), %rbp
        movq    16(%rdi), %r12
        movq    24(%rdi), %r13
        movq    32(%rdi), %r14
        movq    40(%rdi), %r15
        movq    48(%rdi), %rsp
        jmp     *56(%rdi)
END(longjmp)

/* vforkx(flags), vfork(): the child runs on our stack, so the return address is kept in %r9 over the trap */
FN(vfork)
        xorl    %edi, %edi
END(vfork)
FN(vforkx)
        popq    %r9
        movl    %edi, %esi
        movl    $2, %edi
        movl    $142, %eax
        syscall
        pushq   %r9
        jc      1f
        testl   %edx, %edx
        jz      2f
        xorl    %eax, %eax
2:      ret
1:      movl    %eax, %edi
        negq    %rdi
        jmp     ret_errno
END(vforkx)

/* makecontext's end: the function returned into here; %rbx is the ucontext */
FN(__context_done)
        .hidden __context_done
        movq    8(%rbx), %rdi
        testq   %rdi, %rdi
        jz      1f
        call    setcontext
1:      xorl    %edi, %edi
        call    exit
        hlt
END(__context_done)
/* int swapcontext(ucontext_t *old, const ucontext_t *new) */
FN(swapcontext)
        pushq   %rsi
        pushq   %rdi
        subq    $8, %rsp
        call    getcontext
        addq    $8, %rsp
        popq    %rdi
        popq    %rsi
        testl   %eax, %eax
        jnz     1f
        movq    (%rsp), %rdx
        movq    %rdx, G(17)(%rdi)
        leaq    8(%rsp), %rdx
        movq    %rdx, G(20)(%rdi)
        movq    $0, G(14)(%rdi)
        movq    %rsi, %rdi
        jmp     setcontext
1:      ret
END(swapcontext)

/* Where the function of makecontext returns to: %rbx is its context; on to uc_link, or the thread ends. */
        .globl context_return
        .hidden context_return
FN(context_return)
        movq    8(%rbx), %rdi
        testq   %rdi, %rdi
        jz      1f
        call    setcontext
1:      xorl    %edi, %edi
        call    pthread_exit
        hlt
END(context_return)

        .section .note.GNU-stack,"",@progbits
