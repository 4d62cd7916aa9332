/*
 * The timer service. Timers of each clock lie in a red-black tree; the earliest expiry of a tree arms that clock's host
 * timerfd. Cancelling does not disarm the host timer: at worst the thread wakes once for nothing.
 */
#include "sentry/kernel/timers.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include "sentry/base/service.h"
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

HOSTCALL(timerfd_create, "guest timers: one host timer per clock");
HOSTCALL(timerfd_settime, "guest timers: the next expiry");
HOSTCALL(poll, "timer thread sleeps until the next expiry");
HOSTCALL(read, "timer thread consumes expiries");
HOSTCALL_ARG(prctl, "names the timer thread", 0, 15 /* PR_SET_NAME */);

RB_HEAD(ktimer_tree, ktimer);

static int ktimer_cmp(struct ktimer *a, struct ktimer *b)
{
    if (a->expiry != b->expiry) return a->expiry < b->expiry ? -1 : 1;
    return a < b ? -1 : a > b;
}
RB_GENERATE_INTERNAL(ktimer_tree, ktimer, node, ktimer_cmp, static UNUSED)

static const clockid_t base_clock[KT_NBASES] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME };

/* Innermost: timers are set under the locks of their owners. */
static lock_t tm_lock = LOCK_INIT(LC_LEAF);
static pthread_cond_t tm_done = PTHREAD_COND_INITIALIZER;
/* under tm_lock */
static struct ktimer_tree trees[KT_NBASES];
static ktime_t armed[KT_NBASES] = { KTIME_NEVER, KTIME_NEVER, KTIME_NEVER };
static int host_fd[KT_NBASES] = { -1, -1, -1 };
static const void *running;            /* timer or watch whose callback runs now */
static unsigned sync_waiters;
static bool dispatching, started;
static __thread bool is_timer_thread;
static TAILQ_HEAD(, clock_set_watch) watches = TAILQ_HEAD_INITIALIZER(watches);

ktime_t ktimer_now(enum ktimer_base base) { return clock_now(base_clock[base]); }

/* Arms the host timer of b if its earliest expiry is before what is armed, or in any case when force. */
static void arm_locked(enum ktimer_base b, bool force)
{
    struct ktimer *first = RB_MIN(ktimer_tree, &trees[b]);
    ktime_t t = first ? first->expiry : KTIME_NEVER;
    bool watch = b == KT_REAL && !TAILQ_EMPTY(&watches);

    if (!force && t >= armed[b]) return;
    armed[b] = t;
    struct itimerspec its = { { 0, 0 }, { 0, 0 } };
    if (t != KTIME_NEVER || watch) {
        if (t < 1) t = 1;              /* zero would disarm */
        its.it_value.tv_sec = t / NSEC_PER_SEC;
        its.it_value.tv_nsec = t % NSEC_PER_SEC;
    }
    int flags = TFD_TIMER_ABSTIME | (b == KT_REAL ? TFD_TIMER_CANCEL_ON_SET : 0);
    if (timerfd_settime(host_fd[b], flags, &its, NULL) < 0 && errno != ECANCELED) panic("timerfd_settime: %d", errno);
}

static void run_locked(const void *what, void (*fn)(struct ktimer *), struct ktimer *t, struct clock_set_watch *w)
{
    running = what;
    unlock(&tm_lock);
    if (t)
        fn(t);
    else
        w->fn(w);
    lock(&tm_lock);
    running = NULL;
    if (sync_waiters) pthread_cond_broadcast(&tm_done);
}

static void clock_was_set_locked(void)
{
    /* Watches may come and go during a callback: each one called goes to the end. */
    unsigned n = 0;
    struct clock_set_watch *w;
    TAILQ_FOREACH(w, &watches, link) n++;
    while (n-- && (w = TAILQ_FIRST(&watches))) {
        TAILQ_REMOVE(&watches, w, link);
        TAILQ_INSERT_TAIL(&watches, w, link);
        run_locked(w, NULL, NULL, w);
    }
}

static void *timer_main(void *arg UNUSED)
{
    is_timer_thread = true;
    struct pollfd p[KT_NBASES];
    pthread_setname_np(pthread_self(), "timers");
    for (int i = 0; i < KT_NBASES; i++) p[i] = (struct pollfd){ .fd = host_fd[i], .events = POLLIN };
    for (;;) {
        if (poll(p, KT_NBASES, -1) < 0 && errno != EINTR) panic("timer thread: poll: %d", errno);
        bool was_set = false, due[KT_NBASES];
        for (int i = 0; i < KT_NBASES; i++) {
            u64 n;
            due[i] = p[i].revents != 0;
            if (due[i] && read(p[i].fd, &n, sizeof n) < 0 && errno == ECANCELED) was_set = true;
        }
        lock(&tm_lock);
        dispatching = true;
        if (was_set) clock_was_set_locked();
        for (int i = 0; i < KT_NBASES; i++) {
            if (!due[i]) continue;
            ktime_t now = ktimer_now((enum ktimer_base)i);
            struct ktimer *t;
            while ((t = RB_MIN(ktimer_tree, &trees[i])) && t->expiry <= now) {
                RB_REMOVE(ktimer_tree, &trees[i], t);
                t->queued = false;
                run_locked(t, t->fn, t, NULL);
            }
        }
        dispatching = false;
        for (int i = 0; i < KT_NBASES; i++) arm_locked((enum ktimer_base)i, due[i]);
        unlock(&tm_lock);
    }
    return NULL;
}

static int start_locked(void)
{
    for (int i = 0; i < KT_NBASES; i++)
        if (host_fd[i] < 0 && (host_fd[i] = timerfd_create(base_clock[i], TFD_CLOEXEC | TFD_NONBLOCK)) < 0) return -errno;
    int r = service_start(timer_main, NULL, 256 << 10);
    if (r) return r;
    started = true;
    return 0;
}

int ktimer_service_start(void)
{
    if (likely(atomic_load(&started))) return 0;
    lock(&tm_lock);
    int r = started ? 0 : start_locked();
    unlock(&tm_lock);
    return r;
}

void ktimer_init(struct ktimer *t, enum ktimer_base base, void (*fn)(struct ktimer *))
{
    t->base = base;
    t->expiry = KTIME_NEVER;
    t->queued = false;
    t->fn = fn;
}

void ktimer_set(struct ktimer *t, ktime_t expiry)
{
    lock(&tm_lock);
    ASSERT(started);
    if (t->queued) RB_REMOVE(ktimer_tree, &trees[t->base], t);
    t->expiry = expiry;
    t->queued = true;
    RB_INSERT(ktimer_tree, &trees[t->base], t);
    if (!dispatching) arm_locked(t->base, false);
    unlock(&tm_lock);
}

bool ktimer_cancel(struct ktimer *t)
{
    lock(&tm_lock);
    bool was = t->queued;
    if (was) RB_REMOVE(ktimer_tree, &trees[t->base], t);
    t->queued = false;
    unlock(&tm_lock);
    return was;
}

static void wait_idle_locked(const void *what)
{
    if (is_timer_thread) return;
    sync_waiters++;
    while (running == what) pthread_cond_wait(&tm_done, &tm_lock.m);
    sync_waiters--;
}

void ktimer_cancel_sync(struct ktimer *t)
{
    lock(&tm_lock);
    do {
        if (t->queued) RB_REMOVE(ktimer_tree, &trees[t->base], t);
        t->queued = false;
        wait_idle_locked(t);
    } while (t->queued);
    unlock(&tm_lock);
}

void clock_set_watch_add(struct clock_set_watch *w)
{
    lock(&tm_lock);
    ASSERT(started);
    TAILQ_INSERT_TAIL(&watches, w, link);
    if (!dispatching) arm_locked(KT_REAL, true);
    unlock(&tm_lock);
}

void clock_set_watch_del(struct clock_set_watch *w)
{
    lock(&tm_lock);
    TAILQ_REMOVE(&watches, w, link);
    wait_idle_locked(w);
    unlock(&tm_lock);
}
