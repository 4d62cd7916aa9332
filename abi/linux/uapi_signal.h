/* Guest structures of signals. Source: arch/x86/include/uapi/asm/{sigcontext,ucontext}.h, asm-generic/siginfo.h. */
#ifndef SUNDOG_LINUX_UAPI_SIGNAL_H
#define SUNDOG_LINUX_UAPI_SIGNAL_H

#include "sentry/base/types.h"

struct linux_sigaction { u64 handler, flags, restorer, mask; };
_Static_assert(sizeof(struct linux_sigaction) == 32, "struct kernel_sigaction");

#define LINUX_SA_KEPT 0xdc000807ULL   /* UAPI_SA_FLAGS and SA_RESTORER; the kernel forgets all others */
#define LINUX_SA_RESTORER 0x04000000ULL

struct linux_stack { u64 sp; s32 flags; u32 pad; u64 size; };
_Static_assert(sizeof(struct linux_stack) == 24, "stack_t");
#define LINUX_SS_ONSTACK 1
#define LINUX_SS_DISABLE 2
#define LINUX_SS_AUTODISARM 0x80000000u
#define LINUX_MINSIGSTKSZ 2048

struct linux_siginfo {
    s32 signo, err, code, pad;
    union {
        struct { s32 pid; u32 uid; u64 value; } rt;                 /* kill(2) too */
        struct { s32 tid, overrun; u64 value; } timer;
        struct { s32 pid; u32 uid; s32 status, pad; s64 utime, stime; } child;
        struct { u64 addr; u16 addr_lsb; u16 pad[3]; u64 lower, upper; } fault;
        struct { s64 band; s32 fd; } poll;
        struct { u64 call_addr; s32 syscall; u32 arch; } sys;
        u8 bytes[112];
    };
};
_Static_assert(sizeof(struct linux_siginfo) == 128, "siginfo_t");
_Static_assert(offsetof(struct linux_siginfo, rt.value) == 24, "si_value");
_Static_assert(offsetof(struct linux_siginfo, child.utime) == 32, "si_utime");

struct linux_sigcontext {
    u64 r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
    u16 cs, gs, fs, ss;
    u64 err, trapno, oldmask, cr2, fpstate, reserved[8];
};
_Static_assert(sizeof(struct linux_sigcontext) == 256, "struct sigcontext_64");

struct linux_ucontext {
    u64 flags, link;
    struct linux_stack stack;
    struct linux_sigcontext mc;
    u64 sigmask;
};
_Static_assert(sizeof(struct linux_ucontext) == 304, "struct ucontext");
#define LINUX_UC_FP_XSTATE 1u
#define LINUX_UC_SIGCONTEXT_SS 2u
#define LINUX_UC_STRICT_RESTORE_SS 4u

struct linux_rt_sigframe {
    u64 pretcode;
    struct linux_ucontext uc;
    struct linux_siginfo info;
};
_Static_assert(sizeof(struct linux_rt_sigframe) == 440, "struct rt_sigframe");

/* struct _fpx_sw_bytes, at byte 464 of the FXSAVE image. */
struct linux_fpx_sw { u32 magic1, extended_size; u64 xfeatures; u32 xstate_size, padding[7]; };
_Static_assert(sizeof(struct linux_fpx_sw) == 48, "struct _fpx_sw_bytes");
#define LINUX_FPX_SW_OFFSET 464
#define LINUX_FP_XSTATE_MAGIC1 0x46505853u
#define LINUX_FP_XSTATE_MAGIC2 0x46505845u
#define LINUX_FXSAVE_SIZE 512u
#define LINUX_XSAVE_HDR_OFFSET 512u
#define LINUX_XSAVE_MIN 576u

#endif
