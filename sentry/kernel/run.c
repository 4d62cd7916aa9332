/* The run loop: one host thread carries one task between guest code and the sentry. */
#include "abi/abi.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include "sentry/kernel/account.h"
#include "sentry/kernel/cpu_number.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/text.h"
#include "sentry/trace/event.h"
#include <limits.h>
#include <setjmp.h>
#include <string.h>

/* glibc's threads */
HOSTCALL(mmap, "stacks of task threads, the sentry's heap");
HOSTCALL(munmap, "stacks of task threads, the sentry's heap");
HOSTCALL(mprotect, "guard pages of task stacks, the sentry's heap");
HOSTCALL(madvise, "unused parts of cached stacks and of the heap go back to the host");
HOSTCALL(mremap, "the sentry's heap");
HOSTCALL(brk, "the sentry's heap");
HOSTCALL(set_robust_list, "start of a task thread");
HOSTCALL(rseq, "start and end of a task thread");
HOSTCALL(rt_sigprocmask, "task threads start with host signals blocked");
HOSTCALL(gettid, "a task thread learns its host number");
HOSTCALL(exit, "end of a task thread");
HOSTCALL(sched_getaffinity, "start of a task thread");

#define TASK_STACK_SIZE (256 * 1024)

static _Thread_local jmp_buf *thread_bottom;

static NORETURN void handle_fatal(struct task *t, u32 work)
{
    if (work & TW_KILL) task_group_exit(t->tg->group_exit_code);
    task_exit(0);   /* another thread of the group execs; nobody sees this status */
}

/* Everything a task may have to do before it can enter guest code. */
static void do_work(struct task *t, u32 work)
{
    park_release();
    if (work & TW_FATAL) handle_fatal(t, work);
    if (work & TW_FREEZE) freeze_park();
    if (work & TW_PTRACE) ptrace_work();
    if (work & TW_STOP) group_stop_participate();
    if (work & TW_NOTIFY) {
        atomic_and(&t->work, ~(u32)TW_NOTIFY);
        if (t->abi->task_notify) t->abi->task_notify(t);
    }
}

static void guest_fault(struct task *t, const struct platform_exit *e)
{
    struct mm_fault_result res = { 0, 0 };

    mm_fault(t->mm, e->fault_addr, e->access, t->regs.rsp, t->map_gen_seen, &res);
    if (!res.signo) return;
    /* Nothing is mapped at the vsyscall page; jumping there is a call nevertheless. */
    if (t->abi->exception && t->abi->exception(t, e)) return;
    struct ksiginfo info = { .signo = res.signo, .code = res.code, .addr = e->fault_addr, .trapno = 14,
        .error_code = e->error_code };
    if (!info.error_code) {
        /* user mode, protection fault or not, write, instruction fetch */
        info.error_code = 4 | (res.signo == SIGSEGV && res.code == SEGV_ACCERR ? 1 : 0) |
            (e->access & PLATFORM_PROT_WRITE ? 2 : 0) | (e->access & PLATFORM_PROT_EXEC ? 0x10 : 0);
    }
    signal_force(t, &info);
}

/* The context could be lost at any time but no other thread frees it: only this one does, in task_exit. */
static void enter_guest(struct task *t, struct platform_exit *e)
{
    __atomic_store_n(&t->in_guest, 1, __ATOMIC_SEQ_CST);
    if (unlikely(__atomic_load_n(&t->work, __ATOMIC_SEQ_CST))) {
        /* Came in since the last look: task_set_work saw in_guest 0 or kicked; either way look again. */
        __atomic_store_n(&t->in_guest, 0, __ATOMIC_SEQ_CST);
        e->event = PLATFORM_KICKED;
        return;
    }
    account_enter_guest(t);
    t->map_gen_seen = atomic_load(&t->mm->map_gen);
    kernel.pops->ctx_run(t->ctx, t->mm->as, &t->regs, e);
    account_leave_guest(t);
    __atomic_store_n(&t->in_guest, 0, __ATOMIC_RELEASE);
}

void task_main(struct task *t)
{
    struct platform_exit e;

    for (;;) {
        u32 work = atomic_load(&t->work);
        if (unlikely(work)) do_work(t, work);
        /* Also without work: a call may have left a restart to be resolved. */
        t->abi->deliver_signals(t);

        if (unlikely(t->ptrace)) mm_text_off(t->mm);
        if (likely(t->cpus) && unlikely(!cpu_number_enter(t))) continue;
        memset(&e, 0, sizeof e);
        enter_guest(t, &e);
        if (likely(t->cpus)) cpu_number_leave(t);
        /* A tracer sees by it that no call is in service. */
        if (unlikely(t->ptrace) && e.event != PLATFORM_SYSCALL) t->regs.orig_rax = ~0ULL;
        if (e.event != PLATFORM_SYSCALL && t->mm->text) mm_text_settle(t->mm, &t->regs, &e, t->map_gen_seen);
        if (unlikely(t->park.woke) && (e.event != PLATFORM_SYSCALL || !--t->park.woke)) park_lapse(t);
        switch (e.event) {
        case PLATFORM_SYSCALL:
            if (!e.patched && kernel.patch && !t->ptrace) mm_text_hit(t->mm, t->regs.rip, t->regs.orig_rax);
            t->abi->syscall(t);
            t = current; /* it may have parked, and this thread have taken over another task */
            t->syscall_nr = ~0ULL;
            break;
        case PLATFORM_FAULT:
            guest_fault(t, &e);
            break;
        case PLATFORM_EXCEPTION:
            if (!t->abi->exception || !t->abi->exception(t, &e)) signal_from_exception(&e);
            break;
        case PLATFORM_KICKED:
            break;
        case PLATFORM_DEAD:
            log_warn("task %d: its guest context was lost on the host; the process is killed", t->tid);
            task_group_exit(SIGKILL);
        }
    }
}

static void open_gate_wait(struct task *t)
{
    u32 closed = 0;

    if (atomic_load(&t->start_gate) == 1) return;
    if (__atomic_compare_exchange_n(&t->start_gate, &closed, 2, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) || closed == 2)
        while (atomic_load(&t->start_gate) == 2) host_futex_wait(&t->start_gate, 2, KTIME_NEVER);
}

/*
 * A host thread whose task has ended waits a moment for another: a new thread costs 30 us to make, and its stack, which the C
 * library gave back to the host, several faults. It is woken once, by the gate of the task it was given.
 */
struct host_worker {
    u32 word;                        /* (a) futex: 1: go */
    struct task *t;                  /* pool.lock */
    TAILQ_ENTRY(host_worker) link;   /* pool.lock: while t is NULL */
};
#define WORKERS_MAX 4u
#define WORKER_IDLE (100 * NSEC_PER_MSEC)

static struct {
    lock_t lock;                     /* guards: */
    TAILQ_HEAD(, host_worker) idle;  /* the one that came last first: its stack is warm */
    unsigned n;
} pool = { .lock = LOCK_INIT(LC_LEAF), .idle = TAILQ_HEAD_INITIALIZER(pool.idle) };

/* The next task of this thread; NULL: none came. */
static struct task *worker_wait(void)
{
    struct host_worker w = { 0 };

    lock(&pool.lock);
    bool full = pool.n >= WORKERS_MAX;
    if (!full) {
        TAILQ_INSERT_HEAD(&pool.idle, &w, link);
        pool.n++;
    }
    unlock(&pool.lock);
    if (full) return NULL;
    ktime_t deadline = clock_mono() + WORKER_IDLE;
    while (!atomic_load(&w.word)) {
        if (host_futex_wait(&w.word, 0, deadline) != -ETIMEDOUT) continue;
        lock(&pool.lock);
        bool given = w.t;
        if (!given) {
            TAILQ_REMOVE(&pool.idle, &w, link);
            pool.n--;
        }
        unlock(&pool.lock);
        if (!given) return NULL;
        deadline = KTIME_NEVER; /* its gate will be opened */
    }
    return w.t;
}

static struct host_worker *worker_take(struct task *t)
{
    lock(&pool.lock);
    struct host_worker *w = TAILQ_FIRST(&pool.idle);
    if (w) {
        TAILQ_REMOVE(&pool.idle, w, link);
        pool.n--;
        w->t = t;
    }
    unlock(&pool.lock);
    return w;
}

void task_open_gate(struct task *t)
{
    struct host_worker *w = t->worker;

    if (w) {
        t->worker = NULL;
        atomic_store(&t->start_gate, 1);
        /* From here on w is that thread's stack: it may be gone, and a wake-up too many harms nobody. */
        atomic_store(&w->word, 1);
        host_futex_wake(&w->word);
        return;
    }
    if (atomic_xchg(&t->start_gate, 1) == 2) host_futex_wake(&t->start_gate);
}

void thread_finish(void) { _longjmp(*thread_bottom, 1); }

static NORETURN void first_steps(void)
{
    struct task *t = current;

    account_thread_start(t);
    if (t->init_xstate) {
        if (kernel.pops->ctx_set_xstate(t->ctx, t->init_xstate, t->init_xstate_len) < 0)
            log_warn("task %d: extended registers were not taken over", t->tid);
        free(t->init_xstate);
        t->init_xstate = NULL;
    }
    task_main(t);
}

/* Returns when thread_finish jumps here. */
static void run_current(void)
{
    jmp_buf bottom;

    thread_bottom = &bottom;
    if (_setjmp(bottom) == 0) first_steps();
}

static void carry(struct task *t)
{
    open_gate_wait(t);
    if (atomic_load(&t->state) == TASK_DEAD) {   /* clone failed after all */
        task_put(t);
        return;
    }
    struct carrier c = { .t = t };
    t->host_tid = (s32)gettid();
    t->carrier = &c;
    current = t;
    run_current();
    t = current;
    current = NULL;
    task_put(t);   /* the thread's own reference */
}

/* The whole life of a host thread. It returns normally: pthread_exit would load an unwinder from the (empty) root. */
static void *thread_start(void *arg)
{
    struct task *t = arg;

    do carry(t);
    while ((t = worker_wait()));
    return NULL;
}

/* Host signals are the business of the sentry's own threads; faults of ours stay deliverable (crash handler). */
static void block_host_signals(sigset_t *old)
{
    static const int open_[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS };
    sigset_t set;

    sigfillset(&set);
    for (size_t i = 0; i < ARRAY_LEN(open_); i++) sigdelset(&set, open_[i]);
    /* Real-time ones stay as they are: a platform may kick a thread out of a host call with one. */
    for (int s = SIGRTMIN; s <= SIGRTMAX; s++) sigdelset(&set, s);
    pthread_sigmask(SIG_BLOCK, &set, old);
}

/* Takes over the caller's reference when it succeeds. The thread waits for task_open_gate. */
int task_create_thread(struct task *t)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t old;

    t->worker = worker_take(t);
    if (t->worker) return 0;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, MAX((size_t)TASK_STACK_SIZE, (size_t)PTHREAD_STACK_MIN));
    /* Task threads have the mask already and hand it down. */
    if (!current) block_host_signals(&old);
    int e = pthread_create(&thread, &attr, thread_start, t);
    if (!current) pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return e ? -EAGAIN : 0;
}

int task_start(struct task *t)
{
    int r = task_create_thread(t);

    if (!r) task_open_gate(t);
    return r;
}
