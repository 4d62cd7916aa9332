/*
 * The SunOS 5.11 amd64 ABI (illumos): what its files share. Adapters are named solaris_<syscall> and take raw arguments.
 * Sources: docs/compat/solaris.md and the illumos headers named at each structure in uapi.h.
 */
#ifndef SUNDOG_ABI_SOLARIS_H
#define SUNDOG_ABI_SOLARIS_H

#include "abi/abi.h"
#include "abi/solaris/solaris_syscalls.gen.h"
#include "abi/solaris/uapi.h"
#include "sentry/base/clock.h"
#include "sentry/fs/proc/synth.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timers.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/usercopy.h"
#include "sentry/vfs/file.h"
#include <stdio.h>
#include <string.h>

/* A result that is a Solaris errno already, for the few that no host errno stands for. */
#define SOL_ERR(n) (-(sysret_t)(2000 + (n)))

struct exec_image;

/* --- LWPs (lwp.c) --- */
struct sol_lwp;
TAILQ_HEAD(sol_lwp_list, sol_lwp);

#define SOL_LWP_ENDED (-1)         /* in task.abi_tid: left its process, /proc does not show it any more */

struct sol_proc {
    refcount_t refs;
    lock_t lock;                   /* LC_FUTEX; guards: */
    s32 next_id;
    struct sol_lwp_list lwps;      /* live */
    struct sol_lwp_list zombies;   /* gone, to be waited for; owned */
    unsigned nlwps;
    struct waitq join_wait;        /* lwp_wait callers */
};

struct sol_lwp {
    TAILQ_ENTRY(sol_lwp) link;     /* proc->lock */
    struct sol_proc *proc;         /* (c) counted */
    struct task *task;             /* (c) borrowed, valid while linked as live */
    s32 id;                        /* (c) */
    bool gone;                     /* (t) its image ended; seen alive again only after exec */
    bool detached, daemon;         /* (c) */
    bool suspended;                /* (a) */
    bool unparked;                 /* proc->lock: a wake that no park has taken yet */
    /* the rest (t) */
    bool has_r2;                   /* t->ret2 is a result */
    bool full_restore;             /* the call replaced the registers: no result is encoded */
    bool restart_block;            /* the call that comes next is the replay of t->restart_fn's */
    gaddr_t oldcontext;            /* uc_link of the next frame */
    gaddr_t ustack;                /* setustack: where libc wants to see the stack */
    gaddr_t schedctl;              /* sc_shared, 0: none */
    const struct sol_ucontext *create;   /* set around task_clone by lwp_create */
    u32 create_flags;
};

/* The LWP of current. After an exec it is a new one with id 1. */
struct sol_lwp *sol_self(void);
struct sol_lwp *sol_lwp_new(struct task *t, struct sol_proc *proc /* NULL: a new one */);
int solaris_task_fork(struct task *parent, struct task *child, u64 clone_flags);
void solaris_task_exit(struct task *t);
void solaris_task_free(struct task *t);
void solaris_task_notify(struct task *t);
/* Task of an LWP id of this process, counted; NULL: none. */
struct task *sol_lwp_task_get(s32 id);

static inline sysret_t sol_ret2(u64 first, u64 second)
{
    current->ret2 = (s64)second;
    sol_self()->has_r2 = true;
    return (sysret_t)first;
}

/* --- dispatch (solaris.c), traps (trap.c) --- */
void solaris_dispatch(struct task *t, u32 nr);
bool solaris_exception(struct task *t, const struct platform_exit *e);
void solaris_encode(struct guest_regs *r, sysret_t ret);

/* --- errno.c, signo.c --- */
u32 sol_errno(int host);                         /* positive host errno, or 2000 + a Solaris one */
const char *solaris_errno_name(int host);
const char *solaris_signal_name(int sig);
bool solaris_decode(const char *decoder, u64 v, struct strbuf *out);   /* trace.c */
#define SOL_NSIG 74                              /* one more than the highest */
int sol_signo_in(int sol);                       /* kernel's number, 0: no such signal */
int sol_signo_out(int ksig);                     /* Solaris number; SIGTERM's for what Solaris does not have */
void sol_sigset_in(ksigset_t *out, const struct sol_sigset *in);
void sol_sigset_out(struct sol_sigset *out, const ksigset_t *in);
int sol_copy_in_sigset(ksigset_t *out, gaddr_t p) MUST_CHECK;
int sol_copy_out_sigset(gaddr_t p, const ksigset_t *s) MUST_CHECK;
u64 sol_sa_flags_in(u32 f);
u32 sol_sa_flags_out(u64 f);

/* --- signals (signal.c, frame.c) --- */
void sol_siginfo_fill(struct sol_siginfo *out, const struct ksiginfo *info);
int sol_copy_out_siginfo(gaddr_t p, const struct ksiginfo *info) MUST_CHECK;
int sol_copy_in_siginfo(struct ksiginfo *out, gaddr_t p) MUST_CHECK;
u32 sol_wait_status(u32 host_status);            /* wait(2) word with the signal numbers translated */
void solaris_deliver(struct task *t, sysret_t restart);
void solaris_deliver_signals(struct task *t);
void sol_context_save(struct task *t, struct sol_ucontext *uc, const ksigset_t *mask);
void sol_gregs_out(u64 *gregs /* SOL_NGREG */, const struct guest_regs *r);
/* Registers of uc into *r, harmless values only. -EINVAL: an address the processor would refuse. */
int sol_regs_in(struct guest_regs *r, const struct sol_ucontext *uc) MUST_CHECK;

/* --- load.c, pieces.c --- */
int solaris_recognise(const u8 *head, size_t len);
int solaris_load(struct exec_image *img);
bool sol_pieces_lookup(const char *path, struct path *out);   /* counted path of a library of ours */
/* The VFS calls of these names, with the pieces directory behind the root. */
int sol_open(int dirfd, const char *path, const struct open_how_k *how, struct file **out);
int sol_stat(int dirfd, const char *path, int at_flags, struct kstat *st);
int sol_walk(int dirfd, const char *path, u32 flags, struct path *out);
int sol_access(int dirfd, const char *path, int mode, int at_flags);

/* --- proc.c --- */
extern const struct synth_entry solaris_proc_process[];   /* children of /proc/PID */

/* --- privileges (ucred.c): sets of 96 bits --- */
#define SOL_PRIV_WORDS 3
#define SOL_PRIV_SETS 4                           /* effective, inheritable, permitted, limit */
#define SOL_PRIV_LIMIT 3
void sol_privs_of(const struct cred *c, int set, u32 out[SOL_PRIV_WORDS]);
sysret_t sol_priv_info(gaddr_t buf, u64 room) MUST_CHECK;

/* --- time --- */
int sol_copy_in_ktime(ktime_t *out, gaddr_t p) MUST_CHECK;    /* struct timespec: -EFAULT, -EINVAL */
int sol_copy_out_ktime(gaddr_t p, ktime_t t) MUST_CHECK;
int sol_clock_in(u32 id, int *host);                          /* -EINVAL */

/* --- descriptors and paths --- */
#define SOL_PATH_MAX 1024
#define SOL_AT_FDCWD ((int)0xffd19553)
static inline int sol_dirfd(u64 v) { return (int)v == SOL_AT_FDCWD ? AT_FDCWD : (int)v == AT_FDCWD ? -1 : (int)v; }
u64 sol_dev(u64 host_dev);                       /* dev_t: major << 32 | minor */

#define PATH_ARG(var, gaddr)                                                                        \
    char var[SOL_PATH_MAX];                                                                         \
    do {                                                                                            \
        ssize_t len_ = copy_in_str(var, (gaddr), sizeof(var));                                      \
        if (len_ < 0) return len_;                                                                  \
    } while (0)

#define FILE_ARG(var, fd)                                                                           \
    AUTO_FILE var = fd_get((int)(fd));                                                              \
    if (!var) return -EBADF
static inline void sol_path_cleanup(struct path *p) { if (p->dentry) path_put(p); }
#define AUTO_PATH __attribute__((cleanup(sol_path_cleanup))) struct path
static inline void sol_uio_cleanup(struct uio *u) { uio_fini(u); }
#define AUTO_UIO __attribute__((cleanup(sol_uio_cleanup))) struct uio

#define ARG_INT(n) ((int)a->a[n])
#define ARG_U32(n) ((u32)a->a[n])

/* Flag words by closed tables of pairs. */
struct sol_flag { u32 sol, host; };
u32 sol_flags_in(const struct sol_flag *t, size_t n, u32 v, u32 *unknown);
u32 sol_flags_out(const struct sol_flag *t, size_t n, u32 v);

/* Fills in call, release and arg of a timer whose expirations go to an event port, with a cookie (port.c). -EBADF, -EBADFD */
struct ptimer_spec;
int sol_port_timer(struct ptimer_spec *s, int port, u64 user) MUST_CHECK;

/* Poll bits (poll.c); what the host does not know is dropped. */
u32 sol_poll_in(u32 ev);
u32 sol_poll_out(u32 ev);
/* SIOCGLIF* (net_if.c); -ENOTTY: not one of these. */
sysret_t sol_if_ioctl(struct file *f, u32 cmd, gaddr_t arg);

struct kevent_port;
#define SOL_RELEASE "5.11"
#define SOL_VERSION "sundog-0.1.0"

#endif
