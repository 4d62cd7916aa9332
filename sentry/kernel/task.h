/*
 * Tasks (threads), thread groups (processes), process groups and sessions.
 *
 * One host thread runs each task; `current` is that task. Lock order: docs/locking.md.
 * Tags: (c) constant after creation, (a) atomic, (t) owner thread only, (T) kernel.tasklist lock, (S) tgroup->sighand->lock.
 */
#ifndef SUNDOG_KERNEL_TASK_H
#define SUNDOG_KERNEL_TASK_H

#include "platform/platform.h"
#include "sentry/base/list.h"
#include "sentry/base/lock.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/waitq.h"
#include "sentry/mm/policy.h"
#include <sys/resource.h>
#include <uthash.h>

struct abi;
struct mm;
struct fdtable;
struct fs_context;
struct nsproxy;
struct pid_ns;
struct tty;
struct tgroup;
struct ptimers;
struct seccomp_filter;
struct sem_undo_list;
struct key;
struct ptrace_link;
struct core_dump;
struct cpu_numbers;
struct cpu_slot;

#define TASK_COMM_LEN 16
#define CPUS_MAX 1024
#define KRLIM_NLIMITS 16

enum task_state { TASK_RUNNING, TASK_SLEEPING, TASK_STOPPED, TASK_TRACED, TASK_ZOMBIE, TASK_DEAD };

/* Reasons to look up from guest code or from an interruptible sleep. */
enum task_work {
    TW_SIGNAL = 1 << 0,      /* signal_pending may be true */
    TW_KILL = 1 << 1,        /* group exit: die now */
    TW_STOP = 1 << 2,        /* group stop or control pause */
    TW_PTRACE = 1 << 3,
    TW_EXIT_TASK = 1 << 4,   /* exec by a sibling: this thread goes */
    TW_NOTIFY = 1 << 5,      /* run abi->task_notify (timers of other ABIs), look at cpu_event */
    TW_FREEZE = 1 << 6,      /* sandbox paused */
};

struct task {
    refcount_t refs;
    s32 tid;                               /* (c) */
    s32 vtid;                              /* (c) but for exec by a non-leader: its number in its own pid namespace */
    struct tgroup *tg;                     /* (c) except exec by a non-leader */
    UT_hash_handle hh;                     /* (T) by tid */
    TAILQ_ENTRY(task) tg_link;             /* (T) tg->tasks */

    const struct abi *abi;                 /* (t) changes at exec only */
    s32 abi_tid;                           /* (a) the thread id an ABI with ids of its own shows; 0: none */
    void *abi_data;                        /* (t) owned by abi (see abi_ops.task_*) */
    struct guest_regs regs;                /* (t) */
    struct platform_ctx *ctx;              /* (c) */
    s64 ret2;                              /* (t) second result register */
    u64 syscall_nr;                        /* (t) in service, ~0 outside */
    bool in_fault_frame;                   /* (t) */

    lock_t lock;                           /* LC_FS-level: guards the pointers below against readers from other tasks */
    struct mm *mm;                         /* counted; NULL once exited */
    struct fdtable *files;                 /* counted */
    struct fs_context *fs;                 /* counted */
    struct cred *cred;                     /* counted; read by own thread without lock, by others with task_get_cred */
    struct nsproxy *ns;                    /* counted; NULL: initial namespaces */

    /* sleeping and waking */
    u32 wake_word;                         /* (a) futex word, enum wake_word of kernel/internal.h */
    int woken_on;                          /* (a) host CPU its last waker ran on, plus 1 */
    u32 work;                              /* (a) enum task_work bits */
    u32 in_guest;                          /* (a) 1 while inside ctx_run */
    enum task_state state;                 /* (a) for /proc and ps */
    bool uninterruptible;                  /* (t) */
    struct carrier *carrier;               /* kernel/park.c: the host thread that carries it; NULL before it runs */
    struct task_park {
        bool allowed;                      /* (t) the call in service may answer -EPARKED */
        bool lazy;                         /* (t) who is woken now will wake us, and we shall wait for that */
        u8 woke;                           /* (t) calls left in which to wait after such a wake */
        u8 score;                          /* (t) how often that has come true lately */
        u8 missed;                         /* (t) wakes in a row that found nobody */
        sysret_t (*resume)(struct task *t, int r);   /* (t) set with -EPARKED; r 0: woken, else -ERESTARTSYS */
        struct waiter w;                   /* what a parked read has on the queue of its file */
        struct file *file;                 /* counted; that read's */
        gaddr_t buf; size_t len;
        int slept;                         /* what resume was told, for the read that is called again */
        struct futex_q *futex;             /* owned; of a parked wait for a futex */
    } park;
    u64 map_gen_seen;                      /* (t) mm->map_gen at the last entry */

    /* signals (S) */
    ksigset_t blocked;
    ksigset_t saved_mask; bool has_saved_mask;     /* (t) temporary mask */
    struct sigpending pending;
    gaddr_t altstack_sp; u64 altstack_size; u32 altstack_flags;   /* (t) */

    /* restart of an interrupted relative wait (t) */
    sysret_t (*restart_fn)(struct task *t);
    u64 restart_args[6];

    /* exit and wait (T) */
    int exit_signal;                       /* to the parent at exit; -1 for a thread that is not leader */
    u32 exit_code;                         /* wait(2) status word */
    gaddr_t clear_child_tid;               /* (t) */
    gaddr_t robust_list; u64 robust_len;   /* (t); read by get_robust_list */
    gaddr_t rseq_addr; u32 rseq_len, rseq_sig;   /* (t) */
    struct cpu_numbers *cpus;              /* (a) kernel/cpu_number.h; of mm; NULL: its CPU number excludes nobody */
    struct cpu_slot *cpu_slot;             /* (t) the one held, or held last */
    u32 cpu_event;                         /* (a) may have moved: abi->cpu_moved before it runs on */
    u32 cpu_tick;                          /* (a) cpu_number_tick when it last entered guest code */
    struct waiter *vfork_done;             /* parent waits until this task execs or exits; see task_vfork_release */
    struct waitq vfork_wait; bool vfork_pending;   /* (a) in the child */
    struct sem_undo_list *sysvsem;         /* (t) counted; SEM_UNDO, owned by ipc/sem */
    struct key *thread_keyring, *session_keyring;    /* counted, under the lock of sentry/keys; NULL: none yet */
    int reqkey_default;                    /* (t) KEY_REQKEY_DEFL_* */
    void *pi_held;                         /* futex PI state list, owned by ipc/futex */

    char comm[TASK_COMM_LEN];              /* under lock */
    int pdeath_signal;                     /* (t) prctl */
    bool no_new_privs;                     /* (a) */
    u64 timer_slack_ns, timer_slack_default;
    struct seccomp_filter *seccomp;        /* counted; (t) */
    int seccomp_mode;
    struct ptrace_link *ptrace;            /* (T, a) tracer's link, NULL: not traced */
    struct ptrace_link *ptrace_mem;        /* (T) its memory, owned; kept for the next one */
    u32 personality;                       /* (t) */
    struct mem_policy mempolicy;           /* (t) set_mempolicy(2) */
    int nice, sched_policy, sched_prio;    /* (a) */
    struct { u64 runtime, deadline, period; u32 flags; } dl;   /* (T) of SCHED_DEADLINE, ns */
    int sched_reset;                       /* (a) SCHED_RESET_ON_FORK */
    u8 cpus_allowed[CPUS_MAX / 8];         /* (a, byte-wise) affinity as it was asked for; task_cpus says what it comes to */
    unsigned cpu_shown;                    /* (t) what getcpu says */
    int oom_score_adj;                     /* (a) */
    u32 ioprio;

    /* accounting (a), ns */
    ktime_t start_time;                    /* (c) CLOCK_BOOTTIME-like since sandbox start */
    u64 utime_ns, stime_ns;                /* updated by the run loop */
    u64 min_flt, maj_flt, nvcsw, nivcsw;
    u64 io_rchar, io_wchar, io_syscr, io_syscw;

    s32 host_tid;                          /* (c) */
    struct host_worker *worker;            /* under start_gate 0: an idle host thread that is to carry it; NULL: one of its own */
    struct task_trace *trace;              /* (t) strace state */
    bool signal_in_restart;                /* (t) */

    /* kernel/ only */
    lock_t kick_lock;                      /* LC_KICK; guards ctx against going while it is kicked */
    void *init_xstate; size_t init_xstate_len;   /* (t) owned: extended state to load when the host thread starts */
    u64 acct_stamp;                        /* (a) tick of the last accounting change; 0: not running */
    u32 start_gate;                        /* (a) futex word: 0 closed, 1 open, 2 closed and waited for */
    u32 nproc_uid; bool nproc_charged;     /* counted against RLIMIT_NPROC of this user; under lock */
    bool exiting;                          /* (S) takes no more signals */
    bool in_core;                          /* (S) seen by the thread that dumps the process */
    bool stopped;                          /* (S) in a group stop */
    bool frozen;                           /* (a) parked by kernel_freeze */
};

struct session { refcount_t refs; s32 sid; UT_hash_handle hh; /* (T) */ struct tty *tty; /* (T) controlling terminal, counted by tty */ };
struct pgrp { refcount_t refs; s32 pgid; struct session *session; TAILQ_HEAD(, tgroup) members; /* (T) */ UT_hash_handle hh; bool orphaned; };

struct tgroup {
    refcount_t refs;
    s32 tgid;                              /* (c) */
    s32 vtgid;                             /* (c) the same in its own pid namespace */
    struct pid_ns *pid_ns;                 /* (c) counted; NULL: the initial one. kernel/pid_ns.h */
    struct task *leader;                   /* (T) */
    TAILQ_HEAD(, task) tasks;              /* (T) */
    unsigned nr_tasks;                     /* (T) live threads */
    struct sighand *sighand;               /* (c) except exec */

    struct tgroup *parent;                 /* (T) NULL for init */
    LIST_HEAD(, tgroup) children;          /* (T) live and zombie */
    LIST_ENTRY(tgroup) sibling;            /* (T) */
    s32 parent_tid;                        /* (T) thread that made us (PDEATHSIG, __WNOTHREAD) */
    struct waitq child_wait;               /* wait(2) callers of this group */
    struct waitq exit_wait;                /* pidfd pollers: woken when this group becomes a zombie */
    struct pgrp *pgrp;                     /* (T) counted */
    TAILQ_ENTRY(tgroup) pgrp_link;         /* (T) */
    bool did_exec;                         /* (T) setpgid EACCES */
    bool is_subreaper;                     /* (T) */
    bool zombie, reaped;                   /* (T) */
    bool held;                             /* (T) zombie of which its tracer, not the parent, has yet to hear: the parent does so after that */
    bool wait_stopped, wait_continued;     /* (T) not yet reported to wait */
    bool exec_in_progress;                 /* (S) */

    struct sigpending shared_pending;      /* (S) */
    bool group_exit; u32 group_exit_code;  /* (S) */
    int group_stop_sig; unsigned group_stop_count; bool group_stopped;   /* (S) */
    struct waitq stop_wait;                /* stopped threads sleep here */
    struct core_dump *core;                /* (S, a) being dumped; of the thread that does it. kernel/coredump.h */
    struct waitq core_wait;                /* the others wait here meanwhile */

    lock_t rlim_lock;                      /* LC_LEAF; guards: */
    struct rlimit rlim[KRLIM_NLIMITS];     /* indices RLIMIT_* */
    lock_t timers_lock;                    /* LC_TIMER; guards: */
    struct ptimers *ptimers;               /* POSIX timers and itimers, owned (kernel/timers) */

    struct rusage_acc { u64 utime_ns, stime_ns, min_flt, maj_flt, nvcsw, nivcsw, inblock, oublock, maxrss_kb; } dead, children_acc; /* (T) */
    struct key *process_keyring;           /* counted, under the lock of sentry/keys; NULL: none yet */
    u64 alarm_placeholder;

    s32 sid;                               /* (a) session id, for readers without the tasklist */
    int cont_notify;                       /* (S) CLD_CONTINUED or CLD_STOPPED still to be told to the parent */
    unsigned nr_live;                      /* (S) threads that have not begun to exit */
    bool unkillable;                       /* (S) init: signals with default action are dropped */
    u32 cont_gen;                          /* (S) grows with each SIGCONT: a stop decided before it is void */
    struct task *exec_task;                /* (T) waits in de_thread for the others to go; borrowed */
    struct ksiginfo fatal_info; bool fatal_info_set;   /* (S) the signal that ended the group, to be reported once */
    struct sighand **old_sighands; unsigned nr_old_sighands;   /* kept until the group goes: senders may look at them */
    u32 exit_status;                       /* (T) wait status word once zombie */
    int exit_signal;                       /* (T) what the parent gets; 0: nothing */
};

extern _Thread_local struct task *current;

/* Against programs that fork without end. */
#define TASKS_DEFAULT_MAX 8192u

struct kernel {
    lock_t tasklist;                       /* LC_TASKLIST; guards: */
    struct task *tasks_by_tid;
    struct pgrp *pgrps;
    struct session *sessions;
    s32 next_tid; s32 pid_max;
    unsigned nr_tasks, nr_tgroups;
    struct tgroup *init;                   /* pid 1: reaper of orphans */
    u64 forks;                             /* since start, /proc/stat */
    /* (c) */
    const struct platform_ops *pops;
    bool patch;                        /* (c) call sites may be patched: the platform can, and the user has not forbidden it */
    struct platform *platform;
    ktime_t boot_mono, boot_real;
    char nodename[65], domainname[65];     /* under uts_lock */
    lock_t uts_lock;
    /* (a) what the sandbox may use; read by the functions below, set by resources.c */
    u64 mem_limit;                         /* bytes shown in meminfo */
    u32 ncpus;                             /* at least 1, at most CPUS_MAX */
    u32 pids_limit;                        /* of a container's resources: tasks, UINT32_MAX: none */
    u32 max_tasks;                         /* of the whole sandbox, TASKS_DEFAULT_MAX unless its policy says otherwise */
    bool kill_on_init_exit;
    struct task *zapper;                   /* (T) last thread of init, waiting for all others to go; borrowed */
};
extern struct kernel kernel;

static inline u32 kernel_ncpus(void) { return __atomic_load_n(&kernel.ncpus, __ATOMIC_RELAXED); }
static inline u64 kernel_mem_limit(void) { return __atomic_load_n(&kernel.mem_limit, __ATOMIC_RELAXED); }
static inline u32 kernel_pids_limit(void) { return __atomic_load_n(&kernel.pids_limit, __ATOMIC_RELAXED); }

/* --- CPUs (kernel/resources.c): those a task may run on now, as a mask; returns how many the sandbox has. sched_setaffinity(2) --- */
u32 task_cpus(struct task *t, u8 mask[CPUS_MAX / 8]);

/* --- life cycle (kernel/task.c, clone.c, exec.c, exit.c) --- */
void kernel_init(const struct platform_ops *pops, struct platform *p, unsigned ncpus);
struct task *task_lookup_get(s32 tid);               /* counted or NULL */
struct tgroup *tgroup_lookup_get(s32 tgid);
void task_get(struct task *t);
void task_put(struct task *t);
void tgroup_get(struct tgroup *tg);
void tgroup_put(struct tgroup *tg);
struct cred *task_get_cred(struct task *t);          /* counted, any thread */
struct mm *task_get_mm(struct task *t);              /* counted or NULL */
struct fdtable *task_get_files(struct task *t);
bool cred_over_task(const struct cred *c, struct task *t, int cap);   /* a capability over t's user namespace */
void task_set_cred(struct cred *new_);               /* of current; consumes the reference */
static inline const struct cred *current_cred(void) { return current->cred; }
u64 task_rlimit(struct task *t, int which);          /* soft limit */
#define current_rlimit(which) task_rlimit(current, which)

struct clone_args_k {
    u64 flags;                 /* host CLONE_* */
    gaddr_t stack;             /* new stack pointer, 0: the parent's */
    gaddr_t tls; bool set_tls;
    gaddr_t parent_tid, child_tid;
    gaddr_t pidfd;             /* where CLONE_PIDFD stores the descriptor */
    int exit_signal;
    const s32 *set_tid; unsigned set_tid_n;
};
/* clone(2) for current: new tid, or -EINVAL -EAGAIN -ENOMEM -EPERM. Blocks until exec/exit for CLONE_VFORK. */
sysret_t task_clone(const struct clone_args_k *a);
/* The first process of the sandbox and the processes of `exec`: makes a task that has mm, files, fs but runs nothing yet. */
/*
 * Consumes the references. mm is NULL until an image is loaded: with `current` set to the new task, call task_exec, then
 * unset it and task_start. parent NULL: the first one becomes init (pid 1); later ones have parent pid 0, a session of
 * their own, and are reaped at once: whoever holds the tgroup waits on exit_wait until zombie, and reads exit_status.
 */
struct task *task_new_process(struct tgroup *parent /* NULL: init */, struct fs_context *fs, struct fdtable *files, struct cred *cred);
void task_discard(struct task *t);                   /* one that was never started */
int task_start(struct task *t);                      /* starts its host thread in task_main */
void task_main(struct task *t) NORETURN;             /* the run loop */

/* current's extended registers as a fresh FPU has them: control words at their defaults, all else zero. 0 or negative errno. */
int task_reset_xstate(struct task *t);

struct exec_req {
    struct file *file;         /* opened image, consumed */
    char *filename;            /* as given (AT_EXECFN), borrowed */
    char **argv, **envp;       /* sentry memory, NULL-terminated, owned by caller; total size already checked */
    int argc, envc;
    char *interp_path;         /* for #! of fexecve'd scripts: /dev/fd/N; NULL otherwise */
    bool fd_cloexec_script;    /* script opened by a close-on-exec fd: ENOENT */
};
/* Replaces current's image. On success does not return the old image's result: registers are set for the new one; 0. */
sysret_t task_exec(struct exec_req *r);

void task_exit(u32 wait_status) NORETURN;            /* this thread: _exit(2) */
void task_group_exit(u32 wait_status) NORETURN;      /* exit_group(2) or fatal signal; status word as in wait(2) */
void tgroup_kill(struct tgroup *tg, u32 wait_status);/* from outside: ask all its threads to die */

struct wait_req {
    int which; s32 id;         /* P_ALL P_PID P_PGID P_PIDFD(resolved to P_PID) */
    u32 options;               /* WEXITED WSTOPPED WCONTINUED WNOHANG WNOWAIT __WALL __WCLONE __WNOTHREAD */
};
struct wait_result { s32 pid; u32 uid; int code; /* CLD_* */ int status; /* siginfo style */ u32 wstatus; /* wait(2) word */ struct rusage_acc ru; };
/* pid > 0 found, 0 with WNOHANG and none ready, -ECHILD, -ERESTARTSYS. */
sysret_t task_wait(const struct wait_req *r, struct wait_result *out);

/*
 * Numbers of processes, groups and sessions as current's pid namespace has them; only the ABI's edge converts. In: one
 * that nobody has if there is none. Out: 0. What is <= 0 stays.
 */
s32 pid_in(s32 nr);
s32 pid_out(s32 id);

/* sessions */
sysret_t task_setsid(void);
sysret_t task_setpgid(s32 pid, s32 pgid);
sysret_t task_getpgid(s32 pid);
sysret_t task_getsid(s32 pid);
struct pgrp *pgrp_lookup_locked(s32 pgid);           /* (T) held */
bool pgrp_is_orphaned_locked(struct pgrp *p);

/* --- sleeping (kernel/sleep.c) --- */
/*
 * Sleeps until a waiter of this task is woken or the CLOCK_MONOTONIC deadline passes. 0: woken (maybe spuriously),
 * -ERESTARTSYS: a signal or other work is pending, -ETIMEDOUT. No lock may be held.
 */
int task_sleep(ktime_t deadline);
int task_sleep_uninterruptible(ktime_t deadline);     /* only TW_KILL ends it early: -EINTR */
void task_wake(struct task *t);                       /* sets wake_word */
/*
 * Parking (kernel/park.c), for calls that wait as often as they run. In such a call, called by a dispatch that knows (park.allowed):
 *
 *   if (task_may_park()) { park.resume = go_on; return -EPARKED; }   // in place of task_sleep, queued as for that
 *
 * The dispatch then calls task_park, on a stack that holds nothing of the call; some thread, in the end, calls resume, which
 * may answer -EPARKED once more.
 */
bool task_may_park(void);
/* The task this thread has woken and kept back for itself, if any, is started now, by its own thread. */
void park_release(void);
/* Waits. Returns the task to go on with, which is current now and maybe another one, and the result of its call. */
struct task *task_park(sysret_t *result);
/* Around the last wake of a call: its task will probably make another call that waits for the one that is woken. */
void task_wakes_lazily(bool on);
/* In such a wake: there was nobody. Who finds that all the time has a partner who is always just coming. */
void task_woke_nobody(void);
void task_set_work(struct task *t, u32 bits);         /* sets bits and makes t notice: wakes it or kicks its context */
/* task_set_work is callable with any lock up to LC_WAITQ held. */

void task_account(struct task *t, u64 *utime, u64 *stime);   /* ns, live */
void tgroup_rusage(struct tgroup *tg, struct rusage_acc *out);    /* RUSAGE_SELF */
void tgroup_rusage_children(struct tgroup *tg, struct rusage_acc *out);

/* --- resource limits (kernel/rlimit.c) --- */
/* prlimit(2) on tg's limits; permission towards another process is checked here too. -EINVAL -EPERM */
sysret_t task_prlimit(struct task *t, int which, const struct rlimit *new_, struct rlimit *old);
void tgroup_get_rlimits(struct tgroup *tg, struct rlimit out[KRLIM_NLIMITS]);

/* --- iteration, for /proc and control --- */
struct tgroup *tgroup_next_get(s32 tgid);            /* counted, smallest tgid >= the given one; NULL: none */
struct task *tgroup_next_task_get(struct tgroup *tg, s32 tid);   /* thread with the smallest tid >= the given one */
struct task *tgroup_leader_get(struct tgroup *tg);
s32 tgroup_ppid(struct tgroup *tg);                  /* 0: none */
s32 tgroup_pgid(struct tgroup *tg);
s32 tgroup_sid(struct tgroup *tg);
struct fs_context *task_get_fs(struct task *t);      /* counted or NULL */
void task_set_comm(struct task *t, const char *name);
void task_get_comm(struct task *t, char out[TASK_COMM_LEN]);
char task_state_letter(struct task *t);              /* R S D T t Z X, as /proc/pid/stat */
unsigned user_nproc(u32 uid);                        /* tasks of a real user id */
unsigned user_nsigpending(u32 uid);                  /* queued signals of it */

/* --- the sandbox as a whole --- */
void kernel_freeze(void);                            /* returns when no guest code runs */
void kernel_thaw(void);
void kernel_wait_exit(u32 *status);                  /* blocks until init is gone; wait status word */

#endif
