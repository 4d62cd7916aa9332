/* What the files of sentry/kernel share among themselves. Nobody else includes this. */
#ifndef SUNDOG_KERNEL_INTERNAL_H
#define SUNDOG_KERNEL_INTERNAL_H

#include "sentry/kernel/task.h"

#define TW_ANY_INTERRUPT (TW_SIGNAL | TW_KILL | TW_STOP | TW_PTRACE | TW_EXIT_TASK)
#define TW_FATAL (TW_KILL | TW_EXIT_TASK)

#define KSIGRTMIN 32
#define KSIGRTMAX 64
static inline bool sig_is_rt(int signo) { return signo >= KSIGRTMIN && signo <= KSIGRTMAX; }
static inline bool sig_kernel_only(int signo) { return signo == SIGKILL || signo == SIGSTOP; }

/* --- user.c: counts per real user id --- */
#include "sentry/kernel/user.h"

/* --- pid.c; kernel.tasklist held --- */
s32 pid_alloc_locked(void);               /* -EAGAIN: none free */
bool pid_in_use_locked(s32 pid);
struct pgrp *pgrp_new_locked(s32 pgid, struct session *s);
struct session *session_new_locked(s32 sid);
void session_put_locked(struct session *s);
void tgroup_join_pgrp_locked(struct tgroup *tg, struct pgrp *p);
void tgroup_leave_pgrp_locked(struct tgroup *tg);
/* True when p would be orphaned were `ignored` not there. */
bool pgrp_will_be_orphaned_locked(struct pgrp *p, struct tgroup *ignored);

/* --- task.c --- */
struct task *task_alloc(void);            /* no ctx, no tgroup; one reference */
struct tgroup *tgroup_alloc(struct sighand *sh);     /* consumes sh */
void task_link_locked(struct task *t);    /* tasklist and sighand held: into tid table and tg->tasks */
void task_unlink_locked(struct task *t);  /* the reverse; drops the table's reference (never the last one) */
static inline bool task_alive(const struct task *t) { return !t->exiting; }

/* --- run.c --- */
int task_create_thread(struct task *t);   /* consumes the caller's reference on success; -EAGAIN */
void task_open_gate(struct task *t);      /* lets it run */

/* --- park.c --- */
/* A host thread, as what can be woken to go on with the task it carries. Lives as long as the thread. */
struct carrier {
    u32 word;                             /* (a) futex: 1: look again */
    struct task *t;                       /* park.c's lock, and the thread's own while it does not sleep */
};
/* ASLEEP: in sleep.c, on the word itself. PARKED: its carrier sleeps. KEPT: and somebody who woke it means to take it over. */
enum wake_word { WAKE_IDLE, WAKE_WOKEN, WAKE_ASLEEP, WAKE_PARKED, WAKE_KEPT };
/* The same, and t has not waited for it as expected. */
void park_lapse(struct task *t);

/* --- signals --- */
struct sighand *tgroup_lock_sighand(struct tgroup *tg);   /* locks tg's present sighand */
/* sighand held (tasklist too for SIGCONT). */
int signal_send_shlocked(struct task *t, const struct ksiginfo *info, bool group, bool force, struct sigqueue_entry *timer);
void signal_retarget_shared_shlocked(struct task *t, const ksigset_t *which);
struct sigqueue_entry *sigqueue_take(struct sigpending *p, int signo, struct ksiginfo *info);
void sigqueue_entry_free(struct sigqueue_entry *q);
int sigpending_next(const struct sigpending *p, const ksigset_t *blocked);
int signal_dequeue_shlocked(struct task *t, const ksigset_t *blocked, struct ksiginfo *info);
void tgroup_kill_shlocked(struct tgroup *tg, u32 wait_status);
bool signal_is_ignored_action(const struct ksigaction *a, int signo);

/* --- stop.c --- */
void group_stop_begin(int signo, u32 cont_gen);      /* current took a stop signal; takes tasklist and sighand */
void group_stop_participate(void);                   /* current saw TW_STOP: sleeps until continued */
bool group_stop_leave_shlocked(struct task *t);      /* t exits: true when that completed the stop */
void group_stop_notify_locked(struct tgroup *tg, int why, int signo);   /* tasklist held: CLD_STOPPED, CLD_CONTINUED */
void group_stop_completed_locked(struct tgroup *tg); /* tasklist held, sighand not */
void group_continue_locked(struct tgroup *tg);       /* tasklist and sighand held: SIGCONT was sent */
void group_continue_notify_locked(struct tgroup *tg);/* then, with sighand released: tells the parent */

/* --- exit.c, reap.c --- */
void exit_mm_release(struct task *t);                /* before current's mm goes: robust list, clear_child_tid */
void task_vfork_release(struct task *t);
bool exit_notify(struct task *t);                    /* true: it was the group's last thread */
TAILQ_HEAD(reap_list, task);                         /* leaders taken out of the table, to be put without locks */
void tgroup_reap_locked(struct tgroup *tg, struct reap_list *reaped);
/* Of a zombie that its tracer has waited for (tgroup.held). */
void tgroup_let_parent_know_locked(struct tgroup *tg, struct reap_list *reaped);
void reap_list_put(struct reap_list *reaped);
void kernel_report_exit(u32 status);
void ksiginfo_exit(struct ksiginfo *info, int signo, u32 wait_status);   /* CLD_* code and status */
void thread_finish(void) NORETURN;                   /* back to the bottom of the host thread's stack */

/* --- exec --- */
struct exec_image;
int exec_dethread(void);                             /* -EAGAIN, -EINTR */
struct exec_creds { struct cred *cred; bool secure, clear_personality, dumpable; };
int exec_compute_creds(struct file *f, struct exec_creds *out);

/* --- account.c --- */
void account_init(void);
void account_thread_start(struct task *t);
void account_sleep_begin(struct task *t);
void account_sleep_end(struct task *t);
void account_fold_locked(struct task *t);            /* tasklist held: a thread that ends adds to tg->dead */

/* --- freeze.c --- */
void freeze_park(void);                              /* current saw TW_FREEZE */
extern bool kernel_frozen;                           /* (T) */

/* Blocks the host thread on a futex word. */
int host_futex_wait(u32 *word, u32 val, ktime_t deadline);
void host_futex_wake(u32 *word);

#endif
