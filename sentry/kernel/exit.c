/* The end of a thread and of a process. Source: _exit(2), do_exit() of Linux; what wait(2) sees is made in exit_notify.c. */
#include "abi/abi.h"
#include "sentry/base/log.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/ipc/futex.h"
#include "sentry/kernel/coredump.h"
#include "sentry/kernel/cpu_number.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/pid_ns.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/timers.h"
#include "sentry/landlock/landlock.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/usercopy.h"
#include "sentry/trace/event.h"
#include "sentry/vfs/file.h"

/* ipc: SEM_UNDO adjustments of the thread. */
void sem_undo_exit(struct task *t) __attribute__((weak));
void keys_task_exit(struct task *t) __attribute__((weak));
void keys_tgroup_exit(struct tgroup *tg) __attribute__((weak));
/* ipc: segments that it made. */
void shm_task_exit(struct task *t) __attribute__((weak));

void task_vfork_release(struct task *t)
{
    if (atomic_xchg(&t->vfork_pending, false)) waitq_wake_all(&t->vfork_wait, 0);
}

/* mm_release(): robust futexes, then the word a joiner waits for, which matters only while somebody else has the memory. */
void exit_mm_release(struct task *t)
{
    gaddr_t tid_addr = t->clear_child_tid;
    static const u32 zero;

    t->clear_child_tid = 0;
    if (!t->mm) return;
    cpu_number_drop(t);
    if (t->abi && t->abi->task_exit) t->abi->task_exit(t);
    if (tid_addr && ref_read(&t->mm->refs) > 1 && copy_out(tid_addr, &zero, sizeof zero) == 0)
        futex_wake_addr(t->mm, tid_addr, 1);
}

static void free_ctx(struct task *t)
{
    lock(&t->kick_lock);
    struct platform_ctx *ctx = t->ctx;
    t->ctx = NULL;
    unlock(&t->kick_lock);
    if (ctx) kernel.pops->ctx_free(ctx);
}

static void drop_resources(struct task *t)
{
    lock(&t->lock);
    struct mm *mm = t->mm;
    struct fdtable *files = t->files;
    struct fs_context *fs = t->fs;
    unlock(&t->lock);

    exit_mm_release(t);
    if (mm) {
        lock(&kernel.tasklist);
        struct rusage_acc *d = &t->tg->dead;
        d->maxrss_kb = MAX(d->maxrss_kb, atomic_load(&mm->rss_hwm) * (GPAGE_SIZE / 1024));
        unlock(&kernel.tasklist);
    }
    free_ctx(t);
    task_vfork_release(t);
    /* The table is closed while the memory is there: closing may wait for requests that work on guest buffers. */
    lock(&t->lock);
    t->files = NULL;
    unlock(&t->lock);
    if (files) fdtable_put(files);
    lock(&t->lock);
    t->fs = NULL;
    t->mm = NULL;
    unlock(&t->lock);
    if (fs) fs_context_put(fs);
    if (mm) mm_put(mm);
    ll_reap();
}

/* pid 1 of the sandbox is going: everything else goes first, as when the init of a pid namespace ends. */
static void zap_all_others(struct task *t)
{
    struct task *i, *next;
    struct tgroup *c, *cnext;
    struct reap_list reaped = TAILQ_HEAD_INITIALIZER(reaped);

    lock(&kernel.tasklist);
    struct sighand *own = tgroup_lock_sighand(t->tg);
    t->tg->group_exit = true;   /* no more forks (link_child), children are reaped at once (notify_parent) */
    unlock(&own->lock);
    kernel.zapper = t;
    HASH_ITER(hh, kernel.tasks_by_tid, i, next)
        if (i->tg != t->tg && i->tg->leader == i) tgroup_kill(i->tg, SIGKILL);
    for (;;) {
        LIST_FOREACH_SAFE(c, &t->tg->children, sibling, cnext)
            if (c->zombie) tgroup_reap_locked(c, &reaped);
        bool done = kernel.nr_tgroups == 1;
        unlock(&kernel.tasklist);
        reap_list_put(&reaped);
        if (done) break;
        task_sleep_uninterruptible(KTIME_NEVER);
        lock(&kernel.tasklist);
    }
    lock(&kernel.tasklist);
    kernel.zapper = NULL;
    unlock(&kernel.tasklist);
}

/* The same for process 1 of a pid namespace of the guest's own; those of namespaces below go too. pid_namespaces(7) */
static void zap_pid_ns(struct task *t, struct pid_ns *ns)
{
    struct task *i, *next;
    struct tgroup *c, *cnext;
    struct reap_list reaped = TAILQ_HEAD_INITIALIZER(reaped);

    lock(&kernel.tasklist);
    struct sighand *own = tgroup_lock_sighand(t->tg);
    t->tg->group_exit = true;
    unlock(&own->lock);
    ns->dead = true;
    ns->zapper = t;
    for (bool first = true, more = true; more; first = false) {
        more = false;
        LIST_FOREACH_SAFE(c, &t->tg->children, sibling, cnext)
            if (c->zombie) tgroup_reap_locked(c, &reaped);
        HASH_ITER(hh, kernel.tasks_by_tid, i, next) {
            if (i->tg == t->tg || i->tg->leader != i || i->tg->zombie || !pid_ns_contains(ns, i->tg->pid_ns)) continue;
            if (first) tgroup_kill(i->tg, SIGKILL);
            more = true;
        }
        unlock(&kernel.tasklist);
        reap_list_put(&reaped);
        if (more) task_sleep_uninterruptible(KTIME_NEVER);
        lock(&kernel.tasklist);
    }
    ns->zapper = NULL;
    unlock(&kernel.tasklist);
}

static void last_thread(struct task *t)
{
    struct tgroup *tg = t->tg;
    struct session *s = NULL;

    if (tg == kernel.init) zap_all_others(t);
    else if (tg->pid_ns && tg->pid_ns->init == tg) zap_pid_ns(t, tg->pid_ns);
    ptimers_exit(tg);
    lock(&kernel.tasklist);
    if (tg->pgrp && tg->pgrp->session->sid == tg->tgid) s = tg->pgrp->session;   /* stays while this group is in it */
    unlock(&kernel.tasklist);
    if (s) tty_session_exit(s);
}

void task_exit(u32 wait_status)
{
    struct task *t = current;
    struct tgroup *tg = t->tg;
    struct ksiginfo fatal;

    park_release();
    core_participate(t);
    if (unlikely(t->ptrace) && ptrace_event_enabled(t, 6 /* PTRACE_EVENT_EXIT */)) {
        /* It stops once more, though it may be dying of a signal; another SIGKILL ends that. */
        atomic_and(&t->work, ~(u32)TW_FATAL);
        ptrace_event_stop(6, tg->group_exit ? tg->group_exit_code : wait_status);
    }
    lock(&kernel.tasklist);
    struct sighand *s = tgroup_lock_sighand(tg);
    core_gone_shlocked(t);
    t->exiting = true;
    if (tg->group_exit) wait_status = tg->group_exit_code;
    bool last = --tg->nr_live == 0;
    bool stop_complete = group_stop_leave_shlocked(t);
    bool report = tg->fatal_info_set && tg->fatal_info.signo;
    if (report) {
        fatal = tg->fatal_info;
        tg->fatal_info.signo = 0;
    }
    ksigset_t unblocked = { { ~t->blocked.w[0], ~t->blocked.w[1] } };
    signal_retarget_shared_shlocked(t, &unblocked);
    unlock(&s->lock);
    if (stop_complete && !tg->group_exit) group_stop_completed_locked(tg);
    t->exit_code = wait_status;
    unlock(&kernel.tasklist);
    /* From here on nothing interrupts: what is left must be done. */
    atomic_and(&t->work, (u32)TW_FREEZE);

    if (report) event_fatal_signal(t, &fatal);
    trace_task_exit(t, wait_status);
    drop_resources(t);
    if (t->sysvsem && sem_undo_exit) sem_undo_exit(t);
    if (keys_task_exit && (t->thread_keyring || t->session_keyring)) keys_task_exit(t);
    if (shm_task_exit) shm_task_exit(t);
    if (last && tg->process_keyring && keys_tgroup_exit) keys_tgroup_exit(tg);
    if (last) last_thread(t);
    ptrace_exit(t, last);
    if (exit_notify(t) && tg == kernel.init) kernel_report_exit(tg->exit_status);
    thread_finish();
}

void task_group_exit(u32 wait_status)
{
    struct tgroup *tg = current->tg;
    struct sighand *s = tgroup_lock_sighand(tg);

    /* Once only: a kill that comes later means a core file that is being written (core_participate). */
    if (!tg->group_exit) tgroup_kill_shlocked(tg, wait_status);
    wait_status = tg->group_exit_code;
    unlock(&s->lock);
    task_exit(wait_status);
}

static pthread_mutex_t exit_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t exit_cond = PTHREAD_COND_INITIALIZER;
static bool exit_reported;
static u32 exit_reported_status;

void kernel_report_exit(u32 status)
{
    pthread_mutex_lock(&exit_mutex);
    exit_reported = true;
    exit_reported_status = status;
    pthread_cond_broadcast(&exit_cond);
    pthread_mutex_unlock(&exit_mutex);
}

void kernel_wait_exit(u32 *status)
{
    pthread_mutex_lock(&exit_mutex);
    while (!exit_reported) pthread_cond_wait(&exit_cond, &exit_mutex);
    *status = exit_reported_status;
    pthread_mutex_unlock(&exit_mutex);
}
