/*
 * Which CPU. A round trip between two host threads costs 4 to 9 us when they share a CPU and 40 to 60 across two, and the
 * host's scheduler, left alone, likes to wake the one on the other's idle neighbour. So each pair is pinned to one
 * *home* CPU. The pairs spread themselves: whoever enters the guest looks, at most once per tick of the coarse clock,
 * whether another CPU has fewer contexts in guest code, and moves when it does twice running.
 *
 * Two tasks that wake each other and never run at the same time (one writes, then reads the answer) belong on one CPU, for
 * the same reason: the one that finds that the other sleeps again, time after time, moves to it.
 *
 * A guest that computes for long never comes by to look. For those a balancer thread gives their stub thread back
 * to the host's scheduler (a round trip each 20 ms may well cross CPUs). It sleeps while no CPU has two of them.
 */
#include "platform/stub/place.h"
#include "platform/stub/proto.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/base/hostcall.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

HOSTCALL(futex, "the balancer sleeps while there is nothing to balance");
HOSTCALL(clock_nanosleep, "the balancer's tick");

#define PULLS 8          /* such wake-ups before a task moves to its waker */
#define PULLED_CROWDED 8 /* looks before it moves away again */
#define BALANCE_NS (20 * NSEC_PER_MSEC)

int place_init(struct placement *pl, unsigned ncpus)
{
    cpu_set_t set;

    CPU_ZERO(&pl->all);
    pl->ncpu = 0;
    if (sched_getaffinity(0, sizeof(set), &set)) return -errno;
    for (int i = 0; i < CPU_SETSIZE && (!ncpus || pl->ncpu < (int)ncpus); i++) {
        if (!CPU_ISSET(i, &set)) continue;
        pl->cpu[pl->ncpu++] = i;
        CPU_SET(i, &pl->all);
    }
    pl->load = aligned_alloc(64, sizeof(struct cpu_load) * (size_t)pl->ncpu);
    if (!pl->load) return -ENOMEM;
    for (int i = 0; i < pl->ncpu; i++) pl->load[i].running = 0;
    lock_init(&pl->lock, LC_PLATFORM);
    LIST_INIT(&pl->ctxs);
    return 0;
}

static _Thread_local int self_cpu = -1; /* where this thread was pinned to last */

void place_pin_self(int cpu)
{
    self_cpu = cpu;
    stub_pin(0, cpu);
}

static int load_of(struct placement *pl, int i)
{
    return __atomic_load_n(&pl->load[i].running, __ATOMIC_RELAXED);
}

static void pin_self(struct placement *pl, struct place_ctx *ctx, int home)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(pl->cpu[home], &set);
    /* Fails when the host took that CPU from us after start: then leave all to the host's scheduler. */
    ctx->home = sched_setaffinity(0, sizeof(set), &set) ? -2 : home;
    self_cpu = pl->cpu[home];
    ctx->crowded = 0;
}

static void choose_home(struct placement *pl, struct place_ctx *ctx)
{
    int here = sched_getcpu(), best = -1;

    for (int i = 0; i < pl->ncpu; i++) {
        if (best < 0 || load_of(pl, i) < load_of(pl, best) ||
            (load_of(pl, i) == load_of(pl, best) && pl->cpu[i] == here))
            best = i;
    }
    if (ctx->home < 0) {
        if (best >= 0) pin_self(pl, ctx, best);
    } else if (load_of(pl, best) < load_of(pl, ctx->home)) {
        if (++ctx->crowded >= (ctx->pulled ? PULLED_CROWDED : 2u)) {
            ctx->pulled = false;
            pin_self(pl, ctx, best);
        }
    } else {
        ctx->crowded = 0;
    }
}

void place_enter(struct placement *pl, struct place_ctx *ctx, pid_t tid)
{
    if (pl->ncpu < 2 || ctx->home == -2) return;
    ktime_t now = clock_now(CLOCK_MONOTONIC_COARSE);
    if (unlikely(now != ctx->tick && !ctx->apart)) {
        ctx->tick = now;
        choose_home(pl, ctx);
        if (ctx->home < 0) return;
    }
    if (unlikely(self_cpu != pl->cpu[ctx->home] && !ctx->apart)) place_pin_self(pl->cpu[ctx->home]); /* it had another context */
    if (unlikely(__atomic_load_n(&ctx->th_cpu, __ATOMIC_RELAXED) != pl->cpu[ctx->home])) {
        __atomic_store_n(&ctx->th_cpu, pl->cpu[ctx->home], __ATOMIC_RELAXED);
        stub_pin(tid, pl->cpu[ctx->home]);
    }
    __atomic_store_n(&ctx->runs, ctx->runs + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&ctx->counted, ctx->home, __ATOMIC_RELAXED);
    int n = __atomic_add_fetch(&pl->load[ctx->home].running, 1, __ATOMIC_SEQ_CST);
    if (n > 1 && unlikely(atomic_load(&pl->balancer_asleep) == 1)) {
        int one = 1;
        if (__atomic_compare_exchange_n(&pl->balancer_asleep, &one, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            syscall(SYS_futex, &pl->balancer_asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

void place_leave(struct placement *pl, struct place_ctx *ctx)
{
    int c;

    if (pl->ncpu < 2) return;
    c = __atomic_exchange_n(&ctx->counted, -1, __ATOMIC_SEQ_CST);
    if (c >= 0) __atomic_sub_fetch(&pl->load[c].running, 1, __ATOMIC_SEQ_CST);
}

void place_woken(struct placement *pl, struct place_ctx *ctx, int cpu)
{
    int to = -1;

    if (pl->ncpu < 2 || ctx->home < 0 || ctx->apart) return;
    if (pl->cpu[ctx->home] == cpu) {
        ctx->pulls = 0;
        return;
    }
    /* Somebody computes: two that can run at the same time are better apart. */
    for (int i = 0; i < pl->ncpu; i++) {
        if (pl->cpu[i] == cpu) to = i;
        if (load_of(pl, i)) to = -1, i = pl->ncpu;
    }
    if (to < 0) {
        ctx->pulls = 0;
        return;
    }
    /* In one direction only, or the two would change places. */
    if (to < ctx->home && ++ctx->pulls >= PULLS) {
        pin_self(pl, ctx, to);
        ctx->pulls = 0;
        ctx->pulled = true;
    }
}

/* Frees the stub threads that have been computing since the last look. True: there was something to look at. */
static bool balance(struct placement *pl)
{
    struct place_ctx *ctx;
    bool busy = false;

    lock(&pl->lock);
    LIST_FOREACH(ctx, &pl->ctxs, link) {
        int c = __atomic_load_n(&ctx->counted, __ATOMIC_SEQ_CST);
        u32 runs = __atomic_load_n(&ctx->runs, __ATOMIC_RELAXED);
        u64 running = atomic_load(&ctx->running);
        bool same = runs == ctx->runs_seen;

        ctx->runs_seen = runs;
        if (c < 0 || !running || load_of(pl, c) < 2) continue;
        busy = true;
        if (!same) continue;
        /*
         * It may come back this very moment: then the pin is lost once, and renewed when it next enters, since
         * what it remembers is cleared afterwards.
         */
        if (!__atomic_compare_exchange_n(&ctx->counted, &c, -1, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) continue;
        __atomic_sub_fetch(&pl->load[c].running, 1, __ATOMIC_SEQ_CST);
        sched_setaffinity((pid_t)(u32)running, sizeof(pl->all), &pl->all);
        __atomic_store_n(&ctx->th_cpu, -1, __ATOMIC_RELAXED);
    }
    unlock(&pl->lock);
    return busy;
}

static bool crowded_anywhere(struct placement *pl)
{
    for (int i = 0; i < pl->ncpu; i++)
        if (__atomic_load_n(&pl->load[i].running, __ATOMIC_SEQ_CST) > 1) return true;
    return false;
}

static void *balancer(void *arg)
{
    struct placement *pl = arg;
    struct timespec tick = { 0, BALANCE_NS };

    sched_setaffinity(0, sizeof(pl->all), &pl->all); /* not where its pinned creator lives */
    for (;;) {
        if (!balance(pl)) {
            int zero = 0;
            if (__atomic_compare_exchange_n(&pl->balancer_asleep, &zero, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
                !crowded_anywhere(pl)) {
                while (atomic_load(&pl->balancer_asleep) == 1)
                    syscall(SYS_futex, &pl->balancer_asleep, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
            }
            int one = 1;
            __atomic_compare_exchange_n(&pl->balancer_asleep, &one, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        }
        if (atomic_load(&pl->balancer_asleep) == 2) return NULL;
        clock_nanosleep(CLOCK_MONOTONIC, 0, &tick, NULL);
    }
}

static void start_balancer_locked(struct placement *pl)
{
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* the process's signals are for other threads */
    pl->balancer_started = pthread_create(&pl->balancer, NULL, balancer, pl) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void place_add(struct placement *pl, struct place_ctx *ctx)
{
    ctx->home = ctx->th_cpu = ctx->counted = -1;
    lock(&pl->lock);
    LIST_INSERT_HEAD(&pl->ctxs, ctx, link);
    if (++pl->nctx > 1 && pl->ncpu > 1 && !pl->balancer_started) start_balancer_locked(pl);
    unlock(&pl->lock);
}

void place_remove(struct placement *pl, struct place_ctx *ctx)
{
    lock(&pl->lock);
    LIST_REMOVE(ctx, link);
    pl->nctx--;
    unlock(&pl->lock);
}

void place_fini(struct placement *pl)
{
    if (pl->balancer_started) {
        atomic_store(&pl->balancer_asleep, 2);
        syscall(SYS_futex, &pl->balancer_asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        pthread_join(pl->balancer, NULL);
    }
    lock_fini(&pl->lock);
    free(pl->load);
}
