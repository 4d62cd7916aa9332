/*
 * Start of a program: ld.so.1 jumps here with the kernel's stack and the address of its fini runner in %rdx. For a
 * static program %rdx is 0 and no libc has been started.
 */
        .text
        .globl  _start
        .type   _start,@function
_start:
        xorl    %ebp, %ebp
        movq    (%rsp), %r12
        leaq    8(%rsp), %r13
        leaq    16(%rsp,%r12,8), %r14
        andq    $-16, %rsp
        movq    %rdx, %rdi
        testq   %rdi, %rdi
        jz      1f
        call    atexit@PLT
1:      movl    %r12d, %edi
        movq    %r13, %rsi
        movq    %r14, %rdx
        call    main@PLT
        movl    %eax, %edi
        call    exit@PLT
        hlt
        .size   _start,.-_start
        .section .note.GNU-stack,"",@progbits
