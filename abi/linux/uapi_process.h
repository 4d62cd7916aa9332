/* Guest structures of processes. Source: include/uapi/linux/{sched,resource,capability,times,utsname,sysinfo}.h */
#ifndef SUNDOG_LINUX_UAPI_PROCESS_H
#define SUNDOG_LINUX_UAPI_PROCESS_H

#include "sentry/base/types.h"

struct linux_clone_args {
    u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
#define LINUX_CLONE_ARGS_SIZE_VER0 64
_Static_assert(sizeof(struct linux_clone_args) == 88, "struct clone_args");
#define LINUX_CSIGNAL 0xffULL
#define LINUX_CLONE_DETACHED 0x00400000ULL
#define LINUX_CLONE_NEWTIME 0x00000080ULL
#define LINUX_CLONE_CLEAR_SIGHAND 0x100000000ULL
#define LINUX_CLONE_INTO_CGROUP 0x200000000ULL

struct linux_timeval { s64 sec, usec; };
struct linux_rusage {
    struct linux_timeval utime, stime;
    s64 maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd, msgrcv, nsignals, nvcsw, nivcsw;
};
_Static_assert(sizeof(struct linux_rusage) == 144, "struct rusage");

struct linux_rlimit { u64 cur, max; };
struct linux_tms { s64 utime, stime, cutime, cstime; };

struct linux_utsname { char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65]; };
_Static_assert(sizeof(struct linux_utsname) == 390, "struct new_utsname");

struct linux_sysinfo {
    s64 uptime;
    u64 loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
    u16 procs, pad;
    u32 pad2;
    u64 totalhigh, freehigh;
    u32 mem_unit, pad3;
};
_Static_assert(sizeof(struct linux_sysinfo) == 112, "struct sysinfo");

struct linux_cap_header { u32 version; s32 pid; };
struct linux_cap_data { u32 effective, permitted, inheritable; };
#define LINUX_CAPABILITY_VERSION_1 0x19980330u
#define LINUX_CAPABILITY_VERSION_2 0x20071026u
#define LINUX_CAPABILITY_VERSION_3 0x20080522u

struct linux_sched_attr {
    u32 size, policy;
    u64 flags;
    s32 nice;
    u32 priority;
    u64 runtime, deadline, period;
    u32 util_min, util_max;
};
_Static_assert(sizeof(struct linux_sched_attr) == 56, "struct sched_attr");
#define LINUX_SCHED_ATTR_SIZE_VER0 48

struct linux_iovec { u64 base, len; };

#endif
