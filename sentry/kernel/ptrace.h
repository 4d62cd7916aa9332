/*
 * One guest process traced by another. Requests and option bits are the host's (<sys/ptrace.h>). What a tracee is made
 * to stop for is decided here; registers and siginfo take their guest form in the ABI. Source: ptrace(2).
 *
 * A tracee stops on its own thread (ptrace_stop) and stays there until its tracer lets it go; while it is stopped, the
 * tracer may look at and change its registers. Everything is under kernel.tasklist.
 */
#ifndef SUNDOG_KERNEL_PTRACE_H
#define SUNDOG_KERNEL_PTRACE_H

#include "sentry/kernel/task.h"

enum ptrace_resume { PTRACE_RESUME_CONT, PTRACE_RESUME_SYSCALL, PTRACE_RESUME_STEP, PTRACE_RESUME_SYSEMU, PTRACE_RESUME_SYSEMU_STEP };
enum ptrace_stop_kind { PTRACE_AT_NONE, PTRACE_AT_SYSCALL_ENTRY, PTRACE_AT_SYSCALL_EXIT, PTRACE_AT_SECCOMP };

struct ptrace_link {
    LIST_ENTRY(ptrace_link) all;
    struct task *tracee, *tracer;      /* borrowed; both leave the list when they exit */
    u32 options;                       /* PTRACE_O_* */
    bool seized;
    bool stopped;                      /* in a ptrace-stop, until resumed */
    bool listening;                    /* PTRACE_LISTEN: stopped, but not for requests */
    bool unreported;                   /* the stop waits for wait(2) */
    bool group_stop;                   /* ... and is one */
    bool trap_wanted;                  /* PTRACE_INTERRUPT, or the first stop of an automatically seized child */
    bool stop_wanted;                  /* attached while in a group stop */
    u32 code;                          /* signal, | event << 8 */
    u64 message;                       /* PTRACE_GETEVENTMSG */
    struct ksiginfo info; bool has_info;
    int resume_signal;
    enum ptrace_resume mode;           /* how the tracee runs now */
    enum ptrace_stop_kind kind;        /* of the stop, for PTRACE_GET_SYSCALL_INFO */
    /* extended registers: only the tracee's own thread can reach them */
    u8 xrequest;                       /* 1: get, 2: set */
    int xresult; void *xbuf; size_t xlen;
};

/* --- the tracee's side; current, no lock held. Callers look at current->ptrace first. --- */
/* The signal to be delivered instead of info (which it changes), 0: none. */
int ptrace_signal_stop(struct ksiginfo *info);
bool ptrace_syscall_stop(bool entry);                /* true: the tracer emulates this call, it is not to be made */
bool ptrace_event_enabled(struct task *t, int event);
void ptrace_event_stop(int event, u64 message);
bool ptrace_group_stop(int signo);                   /* true: was traced; returns when resumed */
void ptrace_work(void);                              /* TW_PTRACE */
void ptrace_exec(s32 old_tid);
/* A handler's frame is to be built: the step flag must not get into it. True: the tracee was being stepped. */
bool ptrace_step_pause(void);
void ptrace_step_done(void);                         /* ... SIGTRAP at the handler's first instruction, or after a call */
/* clone(2): attaches child if asked for; the event to be reported once it runs, or 0. */
int ptrace_clone(struct task *child, u64 flags, int exit_signal);

/* --- life cycle --- */
void ptrace_exit(struct task *t, bool last);         /* as a tracer */
void ptrace_reaped_locked(struct task *t);            /* a tracee that goes without notice: the leader whose thread execs */
/* As a tracee, tasklist held. True: a process, and its tracer is another than its parent and is to hear of it first. */
bool ptrace_died_locked(struct task *t, u32 status, struct tgroup *parent);
void ptrace_continued_locked(struct task *t);        /* SIGCONT; tasklist and sighand held */
struct wait_req;
struct reap_list;
/* As a tracer. reaped: who was waited for last, and whose parent does not wait. */
sysret_t ptrace_wait_locked(const struct wait_req *r, struct wait_result *out, struct reap_list *reaped);
bool ptrace_by_parent_locked(struct tgroup *tg);     /* traced by its own parent's group */
s32 ptrace_tracer_tid(struct task *t);

/* --- the tracer's side --- */
int ptrace_traceme(void);
int ptrace_attach(struct task *t, bool seize, u32 options);    /* access was checked */
/* The stopped tracee of current (tasklist stays locked for use of its registers), or NULL with nothing locked. */
struct ptrace_link *ptrace_lock_tracee(struct task *t, bool must_be_stopped);
void ptrace_unlock_tracee(void);
int ptrace_resume(struct task *t, enum ptrace_resume mode, u64 signo);
int ptrace_detach(struct task *t, u64 signo);
int ptrace_interrupt(struct task *t);
int ptrace_listen(struct task *t);
int ptrace_xstate(struct task *t, bool set, void *buf, size_t len);

#endif
