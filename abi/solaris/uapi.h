/* Solaris structures (LP64), fixed width. Source: illumos headers, the one beside each; sizes from a compiled probe. */
#ifndef SUNDOG_SOLARIS_UAPI_H
#define SUNDOG_SOLARIS_UAPI_H

#include "sentry/base/types.h"

#define SOL_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)
#define SOL_AT(type, field, off) _Static_assert(offsetof(struct type, field) == (off), #type "." #field)

struct sol_timespec { s64 sec, nsec; };
struct sol_timeval { s64 sec, usec; };
struct sol_sigset { u32 w[4]; };                                            /* sys/signal.h */

struct sol_stat {                                                           /* sys/stat.h */
    u64 dev, ino; u32 mode, nlink, uid, gid; u64 rdev; s64 size;
    struct sol_timespec atim, mtim, ctim; s32 blksize, pad; s64 blocks; char fstype[16];
};
SOL_SIZE(sol_stat, 128); SOL_AT(sol_stat, rdev, 32); SOL_AT(sol_stat, atim, 48); SOL_AT(sol_stat, blocks, 104);

struct sol_statvfs {                                                        /* sys/statvfs.h */
    u64 bsize, frsize, blocks, bfree, bavail, files, ffree, favail, fsid; char basetype[16]; u64 flag, namemax; char fstr[32];
};
SOL_SIZE(sol_statvfs, 136); SOL_AT(sol_statvfs, flag, 88);

struct sol_sigaction { s32 flags, pad; u64 handler; struct sol_sigset mask; };   /* sys/signal.h */
SOL_SIZE(sol_sigaction, 32);
struct sol_stack { u64 sp, size; s32 flags, pad; };
SOL_SIZE(sol_stack, 24);

struct sol_siginfo {                                                        /* sys/siginfo.h */
    s32 signo, code, err, pad;
    union {
        u8 bytes[240];
        struct { s32 pid, pad1; u32 uid, pad2; u64 value; s64 ctid_pad; } proc;
        struct { s32 pid, pad1; s64 utime; s32 status, pad2; s64 stime; } child;
        struct { u64 addr; s32 trapno, pad1; u64 pc; } fault;
        struct { s32 fd, pad1; s64 band; } poll;
    };
};
SOL_SIZE(sol_siginfo, 256); SOL_AT(sol_siginfo, proc.uid, 24); SOL_AT(sol_siginfo, proc.value, 32);
SOL_AT(sol_siginfo, child.status, 32); SOL_AT(sol_siginfo, child.stime, 40); SOL_AT(sol_siginfo, fault.pc, 32);

enum {                                                                      /* sys/regset.h */
    SOL_R15, SOL_R14, SOL_R13, SOL_R12, SOL_R11, SOL_R10, SOL_R9, SOL_R8, SOL_RDI, SOL_RSI, SOL_RBP, SOL_RBX, SOL_RDX, SOL_RCX, SOL_RAX,
    SOL_TRAPNO, SOL_ERRC, SOL_RIP, SOL_CS, SOL_RFL, SOL_RSP, SOL_SS, SOL_FS, SOL_GS, SOL_ES, SOL_DS, SOL_FSBASE, SOL_GSBASE, SOL_NGREG
};
#define SOL_UCS_SEL 0x53
#define SOL_UDS_SEL 0x4b
struct sol_ucontext {                                                       /* sys/ucontext.h */
    u64 flags, link; struct sol_sigset sigmask; struct sol_stack stack; u64 pad;
    u64 gregs[SOL_NGREG];
    u8 fxsave[512]; u32 fpstatus, fpxstatus; u64 fppad;
    u64 brand[3]; u64 xsave; u64 filler[2];
};
SOL_SIZE(sol_ucontext, 864); SOL_AT(sol_ucontext, gregs, 64); SOL_AT(sol_ucontext, fxsave, 288); SOL_AT(sol_ucontext, xsave, 840);
#define SOL_UC_SIGMASK 1u
#define SOL_UC_STACK 2u
#define SOL_UC_CPU 4u
#define SOL_UC_FPU 8u
#define SOL_UC_ALL 15u
#define SOL_UC_XSAVE 16u

struct sol_flock { s16 type, whence; s32 pad0; s64 start, len; s32 sysid, pid; s64 pad[4]; };   /* sys/fcntl.h */
SOL_SIZE(sol_flock, 64);
struct sol_rlimit { u64 cur, max; };
struct sol_rusage { struct sol_timeval utime, stime; s64 maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd, msgrcv, nsignals, nvcsw, nivcsw; };
SOL_SIZE(sol_rusage, 144);
struct sol_tms { s64 utime, stime, cutime, cstime; };
struct sol_utsname { char sysname[257], nodename[257], release[257], version[257], machine[257]; };   /* sys/utsname.h */
SOL_SIZE(sol_utsname, 1285);
struct sol_pollfd { s32 fd; s16 events, revents; };
struct sol_port_event { s32 events; u16 source, pad; u64 object, user; };   /* sys/port.h */
SOL_SIZE(sol_port_event, 24);
struct sol_port_notify { s32 port, pad; u64 user; };
struct sol_file_obj { struct sol_timespec atime, mtime, ctime; u64 pad[3]; u64 name; };
SOL_SIZE(sol_file_obj, 80);
struct sol_sigevent { s32 notify, signo; u64 value, function, attributes; s32 pad[2]; };   /* sys/siginfo.h */
SOL_SIZE(sol_sigevent, 40);
struct sol_itimerval { struct sol_timeval interval, value; };
struct sol_itimerspec { struct sol_timespec interval, value; };
struct sol_rctlblk { u64 value, enforced; u32 privilege, global_flags, global_level, local_action, local_signal; s32 recipient; u64 firing; };   /* sys/rctl_impl.h */
SOL_SIZE(sol_rctlblk, 48);
struct sol_mmapobj_result { u64 addr, msize, fsize, offset; u32 prot, flags; };   /* sys/mman.h */
SOL_SIZE(sol_mmapobj_result, 40);
struct sol_termios { u32 iflag, oflag, cflag, lflag; u8 cc[19]; };          /* sys/termios.h */
struct sol_termio { u16 iflag, oflag, cflag, lflag; u8 line; u8 cc[8]; u8 pad; };
struct sol_sendfilevec { s32 fd; u32 flag; s64 off; u64 len; };             /* sys/sendfile.h */
SOL_SIZE(sol_sendfilevec, 24);
struct sol_lwpinfo { struct sol_timespec utime, stime; u64 fill[64]; };     /* sys/lwp.h */
SOL_SIZE(sol_lwpinfo, 544);

/* sys/synch.h: what programs share between processes. Offsets in the objects. */
#define SOL_MUTEX_LOCKWORD 12      /* mutex_lockw is the byte at 15, waiters the byte at 12 */

#endif
