/*
 * Control socket between `sundog` and the sentry (SOCK_SEQPACKET, one message a packet, fixed header).
 * The sentry serves it on one thread of its own; sundog is trusted, the sentry is not (sundog checks what it gets).
 */
#ifndef SUNDOG_CONTROL_H
#define SUNDOG_CONTROL_H

#include "sentry/base/types.h"

enum control_kind {
    /* sentry -> sundog */
    CTL_STARTED = 1,      /* s32 tid; the program's image is loaded and about to run */
    CTL_FAILED,           /* s32 exit status (125 126 127), then text: what, where, what to do */
    CTL_EXITED,           /* u32 wait status of init */
    CTL_REPLY,            /* answer to a request with the same seq: s32 err, payload */
    CTL_EXEC_EXITED,      /* seq of the CTL_EXEC; u32 wait status */
    CTL_NOTIFY,           /* text for the service manager, from the guest as it is; at most CONTROL_NOTIFY_MAX bytes */
    /* sundog -> sentry */
    CTL_SIGNAL = 64,      /* s32 pid (0: init, -1: all), s32 signo (0: is it there?) */
    CTL_WINSIZE,          /* u16 rows, cols, xpixel, ypixel; then, if it is not the first process', s32 pid */
    /*
     * By SCM_RIGHTS a plan (PLAN_ARG ENV CWD CRED RLIMIT FD CONSOLE PROCESS SECCOMP) and the descriptors it speaks of:
     * their host_fd is an index, 0 the first after the plan. Reply: err, then s32 pid, or s32 exit status (126 127) and text.
     */
    CTL_EXEC,
    CTL_PAUSE, CTL_RESUME,
    CTL_PS,               /* reply: struct control_proc[], as many as fit */
    CTL_STATS,            /* reply: struct control_stats */
    CTL_STACKS,
    /*
     * u32: 1 somebody watches, 0 nobody any more. With the first by SCM_RIGHTS the record, a sealed memory file of EVLOG_SIZE, unless
     * the plan had one. While watched, calls are counted and what is opened is recorded (policy_watch).
     */
    CTL_WATCH,
    CTL_START,            /* of a sandbox started with PLAN_OPT_HOLD */
    CTL_LIMITS,           /* struct control_limits: from now on */
};
/* Payload of CTL_STARTED after the tid and a u32 of padding, with --timing: steps of the sentry's start, in order. */
struct control_timing { char name[24]; s64 when; /* CLOCK_MONOTONIC, end of the step */ };
struct control_proc { s32 pid, ppid; u32 uid; char state; char comm[16]; char args[75]; u64 utime_ns, stime_ns, start_ns; };
struct control_stats { u64 utime_ns, stime_ns, mem_used, mem_limit; u32 nr_tasks, nr_processes; };
struct control_limits { s64 memory, pids; /* 0: as it is, -1: none */ u32 ncpus; /* 0: as it is */ u32 pad; };
struct control_msg { u32 kind, seq; u32 len, pad; };
#define CONTROL_MAX (256 * 1024)
#define CONTROL_NOTIFY_MAX 4096

/* Sentry side. control_attach: reports go to the socket from now on; requests are served after control_start. */
void control_attach(int sock);
int control_start(int sock);                         /* starts the thread */
void control_timing_mark(const char *name);          /* before control_report_started: a step of the start ended now */
void control_report_started(s32 tid);
void control_report_failed(int status, const char *fmt, ...) PRINTF(2, 3);
void control_report_exited(u32 wait_status);
/* For PLAN_NOTIFY: any task's thread. -EMSGSIZE, -EAGAIN when too many come. */
int control_notify(const u8 *data, u32 len);
void control_wait_start(void);                       /* blocks until CTL_START */

/* For the files of sentry/control. */
#define CONTROL_FDS_MAX 200
void control_answer(u32 kind, u32 seq, const void *fixed, u32 fixed_len, const void *more, u32 more_len);
void control_exec(u32 seq, const int *fds, unsigned nfds);   /* consumes the descriptors; answers itself, later */
u32 control_ps(struct control_proc *out, u32 max);
void control_stats(struct control_stats *out);

#endif
