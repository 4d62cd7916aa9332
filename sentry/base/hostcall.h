/*
 * Each host system call that a program of ours makes after it has locked itself in is declared beside the code that
 * needs it; hostjail (sentry, gofer) collects the declarations from the linker section and builds the seccomp filter.
 *
 *   HOSTCALL(futex, "tasks sleep and wake each other");
 *   HOSTCALL_ARG(ioctl, "bytes readable on a host descriptor", 1, FIONREAD);
 */
#ifndef SUNDOG_BASE_HOSTCALL_H
#define SUNDOG_BASE_HOSTCALL_H

#include "sentry/base/types.h"
#include <sys/syscall.h>

struct hostcall {
    int nr;
    s8 arg;        /* index of the argument that is compared, -1: none */
    u64 value;     /* required value of that argument */
    u64 mask;      /* compared under this mask */
    const char *why;
};

#define HOSTCALL_CAT_(a, b) a##b
#define HOSTCALL_CAT(a, b) HOSTCALL_CAT_(a, b)
#define HOSTCALL_ENTRY(...)                                                                         \
    static const struct hostcall HOSTCALL_CAT(hostcall_, __COUNTER__)                              \
        __attribute__((section("hostcalls"), used, aligned(8))) = { __VA_ARGS__ }
#define HOSTCALL(name, why_) HOSTCALL_ENTRY(.nr = SYS_##name, .arg = -1, .value = 0, .mask = 0, .why = why_)
#define HOSTCALL_ARG(name, why_, argno, val)                                                        \
    HOSTCALL_ENTRY(.nr = SYS_##name, .arg = (argno), .value = (u64)(val), .mask = 0xffffffffu, .why = why_)

extern const struct hostcall __start_hostcalls[], __stop_hostcalls[];

#endif
