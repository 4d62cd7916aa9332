/*
 * Signals, ABI-neutral. Numbers 1..64 are the host Linux's; 65..127 are for signals that only other ABIs have.
 * Source: signal(7), sigaction(2), sigqueue(3), POSIX.1-2017 2.4.
 */
#ifndef SUNDOG_KERNEL_SIGNAL_H
#define SUNDOG_KERNEL_SIGNAL_H

#include "sentry/base/list.h"
#include "sentry/base/lock.h"
#include "sentry/kernel/waitq.h"
#include <signal.h>

struct pgrp;
struct ptimer;
struct task;
struct tgroup;
struct platform_exit;

#define KSIG_MAX 127
/* Of those above 64 only these two do anything by default: SIGEMT ends the process, SIGLOST too. */
#define KSIG_EMT 65
#define KSIG_LOST 66
typedef struct { u64 w[2]; } ksigset_t;            /* bit signo-1 */
static inline void ksigset_empty(ksigset_t *s) { s->w[0] = s->w[1] = 0; }
static inline void ksigset_add(ksigset_t *s, int n) { s->w[(n - 1) >> 6] |= 1ULL << ((n - 1) & 63); }
static inline void ksigset_del(ksigset_t *s, int n) { s->w[(n - 1) >> 6] &= ~(1ULL << ((n - 1) & 63)); }
static inline bool ksigset_has(const ksigset_t *s, int n) { return s->w[(n - 1) >> 6] >> ((n - 1) & 63) & 1; }

/* Flat, host-layout-free siginfo. Which fields count follows from signo and code as in sigaction(2). */
struct ksiginfo {
    int signo, code, err;
    s32 pid; u32 uid;                /* SI_USER, SI_QUEUE, SIGCHLD: in the receiver's view */
    s32 status; s64 utime, stime;    /* SIGCHLD (clock ticks of 1/100 s) */
    gaddr_t addr; u16 addr_lsb; u64 addr_lower, addr_upper;   /* SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP */
    u64 value;                       /* SI_QUEUE, SI_TIMER, SI_MESGQ: sigval bits */
    s32 timer_id, overrun;           /* SI_TIMER */
    s64 band; s32 fd;                /* SIGIO */
    gaddr_t call_addr; s32 syscall; u32 arch;   /* SIGSYS */
    u32 trapno; u64 error_code;      /* for the machine context of a fault frame */
};

struct sigqueue_entry {
    TAILQ_ENTRY(sigqueue_entry) link;
    struct ksiginfo info;
    struct ptimer *timer;            /* preallocated entry of a POSIX timer, else NULL */
    bool queued;
    bool charged; u32 charged_uid;   /* counted against RLIMIT_SIGPENDING of that user */
};
TAILQ_HEAD(sigqueue_list, sigqueue_entry);
struct sigpending { ksigset_t set; struct sigqueue_list queue; };

struct ksigaction {
    gaddr_t handler;                 /* 0 SIG_DFL, 1 SIG_IGN */
    u64 flags;                       /* host SA_* */
    gaddr_t restorer;
    ksigset_t mask;
};

/* Dispositions, shared with CLONE_SIGHAND. */
struct sighand {
    refcount_t refs;
    lock_t lock;                     /* LC_SIGHAND; guards actions, and the pending sets and signal fields of its tasks and tgroup */
    struct ksigaction action[KSIG_MAX + 1];
    struct waitq signalfd_wait;      /* signalfd pollers */
};

/* Sending. All return 0, -EAGAIN (RLIMIT_SIGPENDING reached for a real-time one), -EINVAL. Permission: signal_may_send. */
int signal_send_task(struct task *t, const struct ksiginfo *info);         /* tgkill, faults */
int signal_send_group(struct tgroup *tg, const struct ksiginfo *info);     /* kill */
int signal_send_pgrp(s32 pgid, const struct ksiginfo *info, bool check);   /* every member; -ESRCH -EPERM */
void signal_force(struct task *t, struct ksiginfo *info);                  /* a fault: unblocks and resets to default if blocked or ignored */
int signal_send_all(const struct ksiginfo *info);                          /* kill(-1): all but init and the caller's group; -ESRCH -EPERM */
/* The same two with kernel.tasklist held. */
int signal_send_group_locked(struct tgroup *tg, const struct ksiginfo *info);
int signal_send_pgrp_locked(struct pgrp *p, const struct ksiginfo *info, bool check);
/*
 * A POSIX timer's own entry: q->info is filled by the timer code, q->timer set, never freed here. t NULL: to the group.
 * 0 queued or ignored; 1: still queued from an earlier expiry (q->info.overrun was increased).
 */
int signal_send_timer(struct sigqueue_entry *q, struct tgroup *tg, struct task *t);
/* Takes a timer's entry off whatever queue it is on (timer_delete). */
void signal_cancel_timer(struct sigqueue_entry *q, struct tgroup *tg);
/* Called when a timer's signal is taken, no lock held but LC_SIGHAND: fills info->overrun, rearms. Supplied by kernel/timers. */
void ptimer_signal_taken(struct ptimer *timer, struct ksiginfo *info);
int signal_may_send(struct task *target, int signo);                       /* -EPERM or 0, for current */
void ksiginfo_user(struct ksiginfo *i, int signo, int code);               /* from current, SI_USER/SI_TKILL */

bool signal_pending(struct task *t);             /* an unblocked signal, a stop or an exit waits for t */
void signal_recalc_locked(struct task *t);       /* after a change of masks or dispositions; sighand->lock held */
void signal_set_mask(const ksigset_t *mask);     /* of current; KILL and STOP are filtered */
/* Mask in force for the length of a call (sigsuspend, ppoll, pselect, epoll_pwait); restored after the handler's frame is built. */
void signal_set_temp_mask(const ksigset_t *mask);
/* ...and when the call ended without a handler: restore now. */
void signal_restore_temp_mask(void);

/*
 * Takes the next deliverable signal of current: default actions (ignore, stop, continue, terminate, core) are carried
 * out inside and may not return. True: *info and *act are for a handler to be run.
 */
bool signal_dequeue_for_delivery(struct ksiginfo *info, struct ksigaction *act);
/* After the ABI built the frame: blocks act->mask and, unless SA_NODEFER, the signal itself. */
void signal_delivered(int signo, const struct ksigaction *act);
/* sigtimedwait(2), signalfd: takes one of `set`. 0: none; else signo. */
int signal_take(const ksigset_t *set, struct ksiginfo *info);

int signal_action(int signo, const struct ksigaction *new_, struct ksigaction *old);   /* -EINVAL */
void signal_flush_handlers(struct task *t, bool all);   /* execve: caught ones to default */
struct sighand *sighand_new(void);
struct sighand *sighand_copy(struct sighand *s);
void sighand_get(struct sighand *s);
void sighand_put(struct sighand *s);
void sigpending_init(struct sigpending *p);
void sigpending_flush(struct sigpending *p, const ksigset_t *which /* NULL: all */);

/* Turns a platform fault or exception into the signal Linux would send to current. */
void signal_from_exception(const struct platform_exit *e);

/* Default action classes. */
enum sig_default { SIG_DFL_TERM, SIG_DFL_CORE, SIG_DFL_IGN, SIG_DFL_STOP, SIG_DFL_CONT };
enum sig_default signal_default(int signo);
/* Pending sets of t as /proc and sigpending(2) show them; each may be NULL. */
void signal_get_pending(struct task *t, ksigset_t *own, ksigset_t *shared);
/* Ignored and caught sets, for /proc/pid/status. */
void signal_get_actions(struct task *t, ksigset_t *ignored, ksigset_t *caught);

#endif
