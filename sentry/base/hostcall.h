/*
 * Each host system call that a program of ours makes after it has locked itself in is declared beside the code that
 * needs it; hostjail (sentry, gofer) collects the declarations from the linker section and builds the seccomp filter.
 *
 *   HOSTCALL(futex, "tasks sleep and wake each other");
 *   HOSTCALL_ARG(ioctl, "bytes readable on a host descriptor", 1, FIONREAD);
 *
 * Calls of HOSTCALL_GROUP_NET are open only in a sandbox with the host's network (hostjail_opts.groups).
 *
 * The sentry may hold host sockets that others made and checked for it (docs/net-broker.md), so no send of its own may
 * carry an address: sendto is declared with a null address only (HOSTCALL_SENDTO), and sendmsg, whose address is out of
 * a filter's sight, only with MSG_PROBE, which AF_UNIX ignores and with which UDP and ping sockets send nothing; never
 * with MSG_FASTOPEN, which connects (HOSTCALL_SENDMSG).
 */
#ifndef SUNDOG_BASE_HOSTCALL_H
#define SUNDOG_BASE_HOSTCALL_H

#include "sentry/base/types.h"
#include <sys/syscall.h>

#define HOSTCALL_MSG_PROBE 0x10      /* MSG_PROBE of linux/socket.h; libc has it as MSG_PROXY */
#define HOSTCALL_GROUP_ALWAYS 0u
#define HOSTCALL_GROUP_NET 1u

struct hostcall {
    int nr;
    s8 arg;        /* index of the argument that is compared, -1: none */
    u64 value;     /* required value of that argument */
    u64 mask;      /* compared under this mask */
    s8 arg2;       /* a second argument that is compared as well, if arg >= 0; 0: none (the first comes first) */
    u64 value2;    /* its required value, as 32 bits */
    u32 group;     /* HOSTCALL_GROUP_* */
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

#define HOSTCALL_SENDTO(why_) HOSTCALL_ENTRY(.nr = SYS_sendto, .arg = 4, .value = 0, .mask = ~0ULL, .why = why_)
#define HOSTCALL_SENDMSG(why_)                                                                      \
    HOSTCALL_ENTRY(.nr = SYS_sendmsg, .arg = 2, .value = HOSTCALL_MSG_PROBE,                       \
                   .mask = HOSTCALL_MSG_PROBE | MSG_FASTOPEN | MSG_MORE, .why = why_)
/* With the host's network only. */
#define HOSTCALL_NET(name, why_) HOSTCALL_ENTRY(.nr = SYS_##name, .arg = -1, .group = HOSTCALL_GROUP_NET, .why = why_)
#define HOSTCALL_NET_ARG(name, why_, argno, val)                                                    \
    HOSTCALL_ENTRY(.nr = SYS_##name, .arg = (argno), .value = (u64)(val), .mask = 0xffffffffu, .group = HOSTCALL_GROUP_NET, .why = why_)
#define HOSTCALL_NET_ARG2(name, why_, argno, val, argno2, val2)                                     \
    HOSTCALL_ENTRY(.nr = SYS_##name, .arg = (argno), .value = (u64)(val), .mask = 0xffffffffu, .arg2 = (argno2), \
                   .value2 = (u64)(val2), .group = HOSTCALL_GROUP_NET, .why = why_)

extern const struct hostcall __start_hostcalls[], __stop_hostcalls[];

#endif
