/* Tasks and thread groups as objects: making, finding, counting, freeing. */
#include "abi/abi.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/base/log.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/ns.h"
#include "sentry/kernel/pid_ns.h"
#include "sentry/kernel/timers.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/file.h"
#include <malloc.h>
#include <string.h>

_Thread_local struct task *current;
struct kernel kernel = { .tasklist = LOCK_INIT(LC_TASKLIST), .uts_lock = LOCK_INIT(LC_LEAF) };

/* Filters are counted objects of policy/; a build without them has no filtered tasks. */
void seccomp_filter_get(struct seccomp_filter *f) __attribute__((weak));
void seccomp_filter_put(struct seccomp_filter *f) __attribute__((weak));

/*
 * The first time an arena other than the main one shrinks, malloc asks /proc/sys/vm/overcommit_memory how to, and keeps
 * the answer. It has to ask before the filter forbids paths; only a thread of its own gets another arena.
 */
static void *shrink_arena(void *arg)
{
    void *volatile piece[4]; /* else the compiler sees that nobody uses them */

    /* below the threshold of mmap, together above that of giving back; untouched, since each page costs a fault */
    for (size_t i = 0; i < ARRAY_LEN(piece); i++) piece[i] = malloc(100 << 10);
    for (size_t i = ARRAY_LEN(piece); i-- > 0;) free(piece[i]);
    return arg;
}

static void settle_malloc(void)
{
    pthread_t thread;

    /* Else malloc counts the host's CPUs by reading /sys when it makes its third arena: a path-taking host call. */
    mallopt(M_ARENA_MAX, (int)MIN(2 * kernel_ncpus(), 16u));
    if (!pthread_create(&thread, NULL, shrink_arena, NULL)) pthread_join(thread, NULL);
}

void kernel_init(const struct platform_ops *pops, struct platform *p, unsigned ncpus)
{
    kernel.pops = pops;
    kernel.platform = p;
    kernel.ncpus = ncpus ? MIN(ncpus, (u32)CPUS_MAX) : 1;
    kernel.pids_limit = UINT32_MAX;
    kernel.next_tid = 1;
    kernel.pid_max = 4194304;
    kernel.max_tasks = TASKS_DEFAULT_MAX;
    kernel.boot_mono = clock_mono();
    kernel.boot_real = clock_real();
    if (!kernel.domainname[0]) strcpy(kernel.domainname, "(none)");
    account_init();
    settle_malloc();
}

struct task *task_alloc(void)
{
    struct task *t = xnew(struct task);

    ref_init(&t->refs);
    lock_init(&t->lock, LC_FS);
    lock_init(&t->kick_lock, LC_KICK);
    waitq_init(&t->vfork_wait);
    sigpending_init(&t->pending);
    t->altstack_flags = SS_DISABLE;
    t->syscall_nr = ~0ULL;
    t->start_time = clock_mono() - kernel.boot_mono;
    t->timer_slack_ns = t->timer_slack_default = 50000;
    memset(t->cpus_allowed, 0xff, sizeof(t->cpus_allowed)); /* also those that may come later */
    return t;
}

void task_get(struct task *t) { ref_get(&t->refs); }

void task_put(struct task *t)
{
    if (!t || !ref_put(&t->refs)) return;
    if (t->abi && t->abi->task_free) t->abi->task_free(t);
    if (t->seccomp && seccomp_filter_put) seccomp_filter_put(t->seccomp);
    sigpending_flush(&t->pending, NULL);
    cred_put(t->cred);
    nsproxy_put(t->ns);
    if (t->tg) tgroup_put(t->tg);
    waitq_fini(&t->vfork_wait);
    lock_fini(&t->kick_lock);
    lock_fini(&t->lock);
    free(t->init_xstate);
    free(t->ptrace_mem);
    free(t->park.futex);
    free(t);
}

struct tgroup *tgroup_alloc(struct sighand *sh)
{
    struct tgroup *tg = xnew(struct tgroup);

    ref_init(&tg->refs);
    TAILQ_INIT(&tg->tasks);
    LIST_INIT(&tg->children);
    waitq_init(&tg->child_wait);
    waitq_init(&tg->exit_wait);
    waitq_init(&tg->stop_wait);
    waitq_init(&tg->core_wait);
    sigpending_init(&tg->shared_pending);
    lock_init(&tg->rlim_lock, LC_LEAF);
    lock_init(&tg->timers_lock, LC_TIMER);
    tg->sighand = sh;
    return tg;
}

void tgroup_get(struct tgroup *tg) { ref_get(&tg->refs); }

void tgroup_put(struct tgroup *tg)
{
    if (!tg || !ref_put(&tg->refs)) return;
    ptimers_exit(tg);
    sigpending_flush(&tg->shared_pending, NULL);
    for (unsigned i = 0; i < tg->nr_old_sighands; i++) sighand_put(tg->old_sighands[i]);
    free(tg->old_sighands);
    sighand_put(tg->sighand);
    waitq_fini(&tg->child_wait);
    waitq_fini(&tg->exit_wait);
    waitq_fini(&tg->stop_wait);
    waitq_fini(&tg->core_wait);
    lock_fini(&tg->rlim_lock);
    lock_fini(&tg->timers_lock);
    if (tg->pid_ns) ns_put(&tg->pid_ns->ns);
    free(tg);
}

void task_link_locked(struct task *t)
{
    struct tgroup *tg = t->tg;

    task_get(t);
    HASH_ADD(hh, kernel.tasks_by_tid, tid, sizeof t->tid, t);
    if (!tg->leader) {
        tg->leader = t;
        kernel.nr_tgroups++;
    }
    TAILQ_INSERT_TAIL(&tg->tasks, t, tg_link);
    tg->nr_tasks++;
    tg->nr_live++;
    kernel.nr_tasks++;
    if (kernel_frozen) atomic_or(&t->work, TW_FREEZE);
}

void task_unlink_locked(struct task *t)
{
    HASH_DEL(kernel.tasks_by_tid, t);
    TAILQ_REMOVE(&t->tg->tasks, t, tg_link);
    if (t->tg->leader == t) {
        t->tg->leader = NULL;
        kernel.nr_tgroups--;
    }
    kernel.nr_tasks--;
    if (kernel.zapper) task_wake(kernel.zapper);
    for (struct pid_ns *p = t->tg->pid_ns; p; p = p->parent)
        if (p->zapper) task_wake(p->zapper);
    pid_ns_release_locked(t->tid);
    lock(&t->lock);
    bool charged = t->nproc_charged;
    t->nproc_charged = false;
    unlock(&t->lock);
    if (charged) user_uncharge(t->nproc_uid, USER_NPROC);
}

struct task *task_lookup_get(s32 tid)
{
    struct task *t;

    lock(&kernel.tasklist);
    HASH_FIND(hh, kernel.tasks_by_tid, &tid, sizeof tid, t);
    if (t) task_get(t);
    unlock(&kernel.tasklist);
    return t;
}

struct tgroup *tgroup_lookup_get(s32 tgid)
{
    struct task *t;
    struct tgroup *tg = NULL;

    lock(&kernel.tasklist);
    HASH_FIND(hh, kernel.tasks_by_tid, &tgid, sizeof tgid, t);
    if (t && t->tg->tgid == tgid) {
        tg = t->tg;
        tgroup_get(tg);
    }
    unlock(&kernel.tasklist);
    return tg;
}

struct tgroup *tgroup_next_get(s32 tgid)
{
    struct task *t, *next;
    struct tgroup *best = NULL;

    lock(&kernel.tasklist);
    HASH_ITER(hh, kernel.tasks_by_tid, t, next)
        if (t->tg->leader == t && t->tid >= tgid && (!best || t->tid < best->tgid)) best = t->tg;
    if (best) tgroup_get(best);
    unlock(&kernel.tasklist);
    return best;
}

struct task *tgroup_next_task_get(struct tgroup *tg, s32 tid)
{
    struct task *t, *best = NULL;

    lock(&kernel.tasklist);
    TAILQ_FOREACH(t, &tg->tasks, tg_link)
        if (t->tid >= tid && (!best || t->tid < best->tid)) best = t;
    if (best) task_get(best);
    unlock(&kernel.tasklist);
    return best;
}

struct task *tgroup_leader_get(struct tgroup *tg)
{
    lock(&kernel.tasklist);
    struct task *t = tg->leader;
    if (t) task_get(t);
    unlock(&kernel.tasklist);
    return t;
}

s32 tgroup_ppid(struct tgroup *tg)
{
    lock(&kernel.tasklist);
    s32 r = tg->parent ? tg->parent->tgid : 0;
    unlock(&kernel.tasklist);
    return r;
}

s32 tgroup_pgid(struct tgroup *tg)
{
    lock(&kernel.tasklist);
    s32 r = tg->pgrp ? tg->pgrp->pgid : 0;
    unlock(&kernel.tasklist);
    return r;
}

s32 tgroup_sid(struct tgroup *tg) { return atomic_load(&tg->sid); }

#define TASK_GETTER(type, name, field, get)                                                        \
    type *name(struct task *t)                                                                     \
    {                                                                                              \
        lock(&t->lock);                                                                            \
        type *p = t->field;                                                                        \
        if (p) get(p);                                                                             \
        unlock(&t->lock);                                                                          \
        return p;                                                                                  \
    }
TASK_GETTER(struct mm, task_get_mm, mm, mm_get)
TASK_GETTER(struct fdtable, task_get_files, files, fdtable_get)
TASK_GETTER(struct fs_context, task_get_fs, fs, fs_context_get)

void task_set_comm(struct task *t, const char *name)
{
    lock(&t->lock);
    memset(t->comm, 0, sizeof t->comm);
    strncpy(t->comm, name, sizeof t->comm - 1);
    unlock(&t->lock);
}

void task_get_comm(struct task *t, char out[TASK_COMM_LEN])
{
    lock(&t->lock);
    memcpy(out, t->comm, TASK_COMM_LEN);
    unlock(&t->lock);
}

char task_state_letter(struct task *t)
{
    switch (atomic_load(&t->state)) {
    case TASK_RUNNING: return atomic_load(&t->frozen) ? 'D' : 'R';
    case TASK_SLEEPING: return __atomic_load_n(&t->uninterruptible, __ATOMIC_RELAXED) ? 'D' : 'S';
    case TASK_STOPPED: return 'T';
    case TASK_TRACED: return 't';
    case TASK_ZOMBIE: return 'Z';
    case TASK_DEAD: break;
    }
    return 'X';
}

/* What a first process gets; values of a Linux 6.1 machine. */
static void default_rlimits(struct tgroup *tg)
{
    for (int i = 0; i < KRLIM_NLIMITS; i++) tg->rlim[i] = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
    tg->rlim[RLIMIT_STACK].rlim_cur = 8 << 20;
    tg->rlim[RLIMIT_CORE].rlim_cur = 0;
    tg->rlim[RLIMIT_NOFILE] = (struct rlimit){ 1024, 1048576 };
    tg->rlim[RLIMIT_MEMLOCK] = (struct rlimit){ 8 << 20, 8 << 20 };
    tg->rlim[RLIMIT_SIGPENDING] = (struct rlimit){ 31000, 31000 };
    tg->rlim[RLIMIT_NPROC] = (struct rlimit){ 31000, 31000 };
    tg->rlim[RLIMIT_MSGQUEUE] = (struct rlimit){ 819200, 819200 };
    tg->rlim[RLIMIT_NICE] = (struct rlimit){ 0, 0 };
    tg->rlim[RLIMIT_RTPRIO] = (struct rlimit){ 0, 0 };
}

struct task *task_new_process(struct tgroup *parent, struct fs_context *fs, struct fdtable *files, struct cred *cred)
{
    struct task *t = task_alloc();
    struct tgroup *tg = tgroup_alloc(sighand_new());

    t->tg = tg;
    t->fs = fs;
    t->files = files;
    t->cred = cred;
    tg->exit_signal = SIGCHLD;
    if (kernel.pops->ctx_new(kernel.platform, &t->ctx) < 0) {
        t->ctx = NULL;
        task_discard(t);
        return NULL;
    }
    if (kernel.init) tgroup_get_rlimits(parent ? parent : kernel.init, tg->rlim);
    else default_rlimits(tg);

    lock(&kernel.tasklist);
    s32 pid = kernel.init && kernel.init->group_exit ? -ENOMEM : pid_alloc_locked();
    if (pid < 0) {
        unlock(&kernel.tasklist);
        task_discard(t);
        return NULL;
    }
    t->tid = tg->tgid = t->vtid = tg->vtgid = pid;
    t->exit_signal = SIGCHLD;
    user_charge(cred->uid, USER_NPROC, RLIM_INFINITY);
    t->nproc_uid = cred->uid;
    t->nproc_charged = true;
    if (!kernel.init) {
        kernel.init = tg;
        tgroup_get(tg);
        tg->unkillable = true;
    }
    if (parent) {
        tg->parent = parent;
        LIST_INSERT_HEAD(&parent->children, tg, sibling);
        tgroup_join_pgrp_locked(tg, parent->pgrp);
    } else {
        tgroup_join_pgrp_locked(tg, pgrp_new_locked(pid, session_new_locked(pid)));
    }
    struct sighand *s = tgroup_lock_sighand(tg);
    task_link_locked(t);
    unlock(&s->lock);
    kernel.forks++;
    unlock(&kernel.tasklist);
    return t;
}

/* Undoes task_alloc and task_new_process: t has no host thread. */
void task_discard(struct task *t)
{
    struct tgroup *tg = t->tg;

    if (t->tid && tg->leader == t) {
        lock(&kernel.tasklist);
        struct sighand *s = tgroup_lock_sighand(tg);
        t->exiting = true;
        task_unlink_locked(t);
        tg->nr_tasks--;
        tg->nr_live--;
        unlock(&s->lock);
        tgroup_leave_pgrp_locked(tg);
        if (tg->parent) LIST_REMOVE(tg, sibling);
        tg->parent = NULL;
        unlock(&kernel.tasklist);
        task_put(t);   /* the table's */
    }
    lock(&t->kick_lock);
    struct platform_ctx *ctx = t->ctx;
    t->ctx = NULL;
    unlock(&t->kick_lock);
    if (ctx) kernel.pops->ctx_free(ctx);
    if (t->files) fdtable_put(t->files);
    if (t->fs) fs_context_put(t->fs);
    if (t->mm) mm_put(t->mm);
    t->files = NULL;
    t->fs = NULL;
    t->mm = NULL;
    task_put(t);
}
