/* Files of Solaris' /proc (LP64). Source: sys/procfs.h of illumos. */
#ifndef SUNDOG_SOLARIS_UAPI_PROC_H
#define SUNDOG_SOLARIS_UAPI_PROC_H

#include "abi/solaris/uapi.h"

struct sol_lwpsinfo {
    s32 flag, lwpid; u64 addr, wchan; char stype, state, sname, nice; s16 syscall; char oldpri, cpu; s32 pri; u16 pctcpu, pad;
    struct sol_timespec start, time; char clname[8], name[16]; s32 onpro, bindpro, bindpset, lgrp; s64 last_onproc; u64 filler;
};
SOL_SIZE(sol_lwpsinfo, 128); SOL_AT(sol_lwpsinfo, start, 40); SOL_AT(sol_lwpsinfo, onpro, 96);

struct sol_psinfo {
    s32 flag, nlwp, pid, ppid, pgid, sid; u32 uid, euid, gid, egid; u64 addr, size, rssize, pad1, ttydev; u16 pctcpu, pctmem;
    struct sol_timespec start, time, ctime; char fname[16], psargs[80]; s32 wstat, argc; u64 argv, envp; char dmodel, pad2[3];
    s32 taskid, projid, nzomb, poolid, zoneid, contract, filler; struct sol_lwpsinfo lwp;
};
SOL_SIZE(sol_psinfo, 416); SOL_AT(sol_psinfo, fname, 136); SOL_AT(sol_psinfo, argc, 236); SOL_AT(sol_psinfo, dmodel, 256); SOL_AT(sol_psinfo, lwp, 288);

struct sol_lwpstatus {
    s32 flags, lwpid; s16 why, what, cursig, pad1; struct sol_siginfo info; struct sol_sigset lwppend, lwphold; struct sol_sigaction action;
    struct sol_stack altstack; u64 oldcontext; s16 syscall, nsysarg; s32 err; u64 sysarg[8]; s64 rval1, rval2; char clname[8];
    struct sol_timespec tstamp, utime, stime; s32 filler[3], errpriv; u64 ustack, instr; u64 reg[SOL_NGREG]; u8 fpreg[528];
};
SOL_SIZE(sol_lwpstatus, 1296); SOL_AT(sol_lwpstatus, altstack, 336); SOL_AT(sol_lwpstatus, sysarg, 376); SOL_AT(sol_lwpstatus, reg, 544);

struct sol_pstatus {
    s32 flags, nlwp, pid, ppid, pgid, sid, aslwpid, agentid; struct sol_sigset sigpend; u64 brkbase, brksize, stkbase, stksize;
    struct sol_timespec utime, stime, cutime, cstime; struct sol_sigset sigtrace; u32 flttrace[4], sysentry[16], sysexit[16]; char dmodel, pad[3];
    s32 taskid, projid, nzomb, zoneid, filler[15]; struct sol_lwpstatus lwp;
};
SOL_SIZE(sol_pstatus, 1680); SOL_AT(sol_pstatus, sigtrace, 144); SOL_AT(sol_pstatus, dmodel, 304); SOL_AT(sol_pstatus, lwp, 384);

struct sol_prmap { u64 vaddr, size; char mapname[64]; u64 offset; s32 mflags, pagesize, shmid, filler; };
SOL_SIZE(sol_prmap, 104); SOL_AT(sol_prmap, offset, 80);

struct sol_prcred { u32 euid, ruid, suid, egid, rgid, sgid; s32 ngroups; u32 groups[1]; };
SOL_SIZE(sol_prcred, 32);

struct sol_prusage {
    s32 lwpid, count; struct sol_timespec tstamp, create, term, rtime, utime, stime, ttime, tftime, dftime, kftime, ltime, slptime, wtime, stoptime;
    struct sol_timespec filltime[6]; u64 minf, majf, nswap, inblk, oublk, msnd, mrcv, sigs, vctx, ictx, sysc, ioch, filler[10];
};
SOL_SIZE(sol_prusage, 504); SOL_AT(sol_prusage, utime, 72); SOL_AT(sol_prusage, minf, 328);

struct sol_prheader { s64 nent, entsize; };

#endif
