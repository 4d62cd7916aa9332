/* Exclusive CPU numbers: see cpu_number.h. The slots of an address space are a small scheduler's run queue. */
#include "sentry/kernel/cpu_number.h"
#include "abi/abi.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/timers.h"
#include "sentry/mm/mm.h"
#include <string.h>

/* How long a task keeps a number that others wait for. */
#define SLICE (3 * NSEC_PER_MSEC)
/* A task that runs guest code for two of these without a break is interrupted, as a kernel's scheduler would. */
#define TICK (20 * NSEC_PER_MSEC)

struct cpu_wait {
    TAILQ_ENTRY(cpu_wait) link;
    struct task *t;
    bool granted;
};

struct cpu_numbers {
    struct mm_attachment att;
    lock_t lock;                       /* LC_TIMER; guards: */
    TAILQ_HEAD(, cpu_wait) waiting;    /* first come, first served */
    unsigned nwaiting;                 /* (a) to read */
    u64 cids[16];                      /* concurrency ids in use */
    unsigned nslots;                   /* (c) CPUs there were at first: more that come are not used, fewer are */
    struct cpu_slot slot[];
};

u32 cpu_number_tick = 1;
bool cpu_number_ticking;

static void numbers_end(struct mm_attachment *a)
{
    struct cpu_numbers *n = container_of(a, struct cpu_numbers, att);

    lock_fini(&n->lock);
    free(n);
}

static struct cpu_numbers *numbers_of(struct mm *mm)
{
    struct mm_attachment *a = atomic_load(&mm->cpu_numbers);
    unsigned ncpus = kernel_ncpus();
    size_t size = sizeof(struct cpu_numbers) + ncpus * sizeof(struct cpu_slot);

    if (!a) {
        struct cpu_numbers *n = aligned_alloc(_Alignof(struct cpu_slot), (size + 63) & ~(size_t)63);
        if (!n) return NULL;
        memset(n, 0, size);
        n->att.end = numbers_end;
        n->nslots = ncpus;
        lock_init(&n->lock, LC_TIMER);
        TAILQ_INIT(&n->waiting);
        if (__atomic_compare_exchange_n(&mm->cpu_numbers, &a, &n->att, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) a = &n->att;
        else numbers_end(&n->att);
    }
    return container_of(a, struct cpu_numbers, att);
}

static unsigned slots(const struct cpu_numbers *n) { return MIN(kernel_ncpus(), n->nslots); }

static bool asked_for(const struct task *t, unsigned cpu)
{
    return __atomic_load_n(&t->cpus_allowed[cpu / 8], __ATOMIC_RELAXED) >> (cpu % 8) & 1;
}

/* As task_cpus: when none of those asked for is there any more, all are allowed. */
static bool allowed(const struct cpu_numbers *n, const struct task *t, unsigned cpu)
{
    unsigned count = slots(n);
    if (cpu >= count) return false;
    if (asked_for(t, cpu)) return true;
    for (unsigned i = 0; i < count; i++)
        if (asked_for(t, i)) return false;
    return true;
}

static bool word_change(struct cpu_slot *s, u32 from, u32 to)
{
    return __atomic_compare_exchange_n(&s->word, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static s32 cid_take_locked(struct cpu_numbers *n)
{
    for (unsigned i = 0; i < ARRAY_LEN(n->cids); i++) {
        if (!~n->cids[i]) continue;
        unsigned b = (unsigned)__builtin_ctzll(~n->cids[i]);
        n->cids[i] |= 1ULL << b;
        return (s32)(i * 64 + b);
    }
    return 0;   /* not reached: there are as many as slots */
}

/* s is t's now, in guest code as far as others are concerned. */
static void hold_locked(struct cpu_numbers *n, struct cpu_slot *s, struct task *t)
{
    if (!s->holder) s->concurrency_id = cid_take_locked(n);
    s->holder = t;
    s->since = clock_mono();
    t->cpu_slot = s;
}

/* Its holder has left guest code for good; the first that waits and may run there has it next. */
static void release_locked(struct cpu_numbers *n, struct cpu_slot *s)
{
    struct cpu_wait *w;
    unsigned cpu = (unsigned)(s - n->slot);

    TAILQ_FOREACH(w, &n->waiting, link)
        if (allowed(n, w->t, cpu)) break;
    if (!w) {
        n->cids[(u32)s->concurrency_id / 64] &= ~(1ULL << (u32)s->concurrency_id % 64);
        s->holder = NULL;
        atomic_store(&s->word, 0u);
        return;
    }
    TAILQ_REMOVE(&n->waiting, w, link);
    atomic_store(&n->nwaiting, n->nwaiting - 1);
    atomic_store(&s->word, (u32)w->t->tid << 2 | CPU_SLOT_IN);
    hold_locked(n, s, w->t);
    w->granted = true;
    task_wake(w->t);
}

/* A free number, the lowest; else one of a task outside of guest code: that sleeps, or that has had its time. */
static bool take_locked(struct cpu_numbers *n, struct task *t)
{
    u32 mine = (u32)t->tid << 2 | CPU_SLOT_IN;
    ktime_t now = clock_mono();

    for (unsigned i = 0; i < slots(n); i++) {
        struct cpu_slot *s = &n->slot[i];
        if (s->holder || !allowed(n, t, i)) continue;
        atomic_store(&s->word, mine);
        hold_locked(n, s, t);
        return true;
    }
    for (unsigned i = 0; i < slots(n); i++) {
        struct cpu_slot *s = &n->slot[i];
        u32 w = atomic_load(&s->word);
        if (!allowed(n, t, i) || (w & CPU_SLOT_IN)) continue;
        if (atomic_load(&s->holder->state) == TASK_RUNNING && now - s->since < SLICE) continue;
        if (!word_change(s, w, mine)) continue;
        hold_locked(n, s, t);
        return true;
    }
    return false;
}

/* Asks for the number that has been held longest. */
static void relieve_locked(struct cpu_numbers *n, struct task *t)
{
    struct cpu_slot *old = NULL;

    for (unsigned i = 0; i < slots(n); i++)
        if (allowed(n, t, i) && !(atomic_load(&n->slot[i].word) & CPU_SLOT_WANTED) && (!old || n->slot[i].since < old->since)) old = &n->slot[i];
    if (!old || clock_mono() - old->since < SLICE) return;
    u32 w = atomic_load(&old->word);
    if ((w & CPU_SLOT_IN) && word_change(old, w, w | CPU_SLOT_WANTED)) task_set_work(old->holder, TW_NOTIFY);
}

static bool claim(struct task *t)
{
    struct cpu_numbers *n = t->cpus;
    struct cpu_wait w = { .t = t };
    ktime_t turns = 1;
    int r = 0;

    lock(&n->lock);
    if (!take_locked(n, t)) {
        turns += (ktime_t)(n->nwaiting / slots(n));   /* so far back in the queue nothing comes of looking sooner */
        TAILQ_INSERT_TAIL(&n->waiting, &w, link);
        atomic_store(&n->nwaiting, n->nwaiting + 1);
        while (!w.granted) {
            if (r == -ETIMEDOUT && take_locked(n, t)) break;
            relieve_locked(n, t);
            unlock(&n->lock);
            r = task_sleep(clock_mono() + turns * SLICE);
            turns = 1;
            lock(&n->lock);
            if (r == -ERESTARTSYS) break;
        }
        if (!w.granted) {
            TAILQ_REMOVE(&n->waiting, &w, link);
            atomic_store(&n->nwaiting, n->nwaiting - 1);
        }
    }
    bool have = t->cpu_slot;
    unlock(&n->lock);
    return have;
}

/* Under the lock, because the number may be taken from us at this moment. */
static bool still_mine(struct task *t)
{
    struct cpu_numbers *n = t->cpus;
    struct cpu_slot *s = t->cpu_slot;
    u32 mine = (u32)t->tid << 2;
    bool ok = false;

    if (!s) return false;
    lock(&n->lock);
    if (s->holder == t) {
        /* A number that is no longer allowed is given up here. */
        if (allowed(n, t, (unsigned)(s - n->slot))) ok = (atomic_load(&s->word) & CPU_SLOT_IN) || word_change(s, mine, mine | CPU_SLOT_IN);
        else release_locked(n, s);
    }
    if (!ok) t->cpu_slot = NULL;
    unlock(&n->lock);
    return ok;
}

static void tick(struct ktimer *kt)
{
    u32 now = atomic_add(&cpu_number_tick, 1u);   /* the new value */
    bool more = false;
    struct task *t, *next;

    atomic_store(&cpu_number_ticking, false);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    lock(&kernel.tasklist);
    HASH_ITER(hh, kernel.tasks_by_tid, t, next) {
        if (!atomic_load(&t->cpus)) continue;
        u32 age = now - __atomic_load_n(&t->cpu_tick, __ATOMIC_RELAXED);
        bool in = __atomic_load_n(&t->in_guest, __ATOMIC_SEQ_CST);
        more |= in || age <= 1;
        if (in && age >= 2) cpu_number_disturb(t);
    }
    unlock(&kernel.tasklist);
    if (more && !atomic_xchg(&cpu_number_ticking, true)) ktimer_set(kt, clock_mono() + TICK);
}

static void tick_start(void)
{
    static struct ktimer timer = { .base = KT_MONO, .expiry = KTIME_NEVER, .fn = tick };

    /* Without the timer's thread only whoever waits for a number interrupts its holder. */
    if (atomic_xchg(&cpu_number_ticking, true) || ktimer_service_start() < 0) return;
    ktimer_set(&timer, clock_mono() + TICK);
}

bool cpu_number_enter_slow(struct task *t)
{
    bool moved = atomic_xchg(&t->cpu_event, 0u);

    if (!atomic_load(&cpu_number_ticking)) tick_start();
    if (!still_mine(t)) {
        moved = true;
        if (!claim(t)) {
            atomic_store(&t->cpu_event, 1u);
            return false;
        }
    }
    if (!moved) return true;
    t->cpu_shown = cpu_number_id(t);
    if (t->abi->cpu_moved(t)) return true;
    cpu_number_leave(t);
    return false;
}

/* Somebody waits. */
void cpu_number_leave_slow(struct task *t)
{
    struct cpu_numbers *n = t->cpus;

    lock(&n->lock);
    if (t->cpu_slot && t->cpu_slot->holder == t) release_locked(n, t->cpu_slot);
    t->cpu_slot = NULL;
    unlock(&n->lock);
}

void cpu_number_sleep_slow(struct task *t)
{
    if (t->cpu_slot && atomic_load(&t->cpus->nwaiting)) cpu_number_leave_slow(t);
}

int cpu_number_want(struct task *t)
{
    struct cpu_numbers *n = numbers_of(t->mm);

    if (!n) return -ENOMEM;
    t->cpu_slot = NULL;
    atomic_store(&t->cpu_event, 1u);
    atomic_store(&t->cpus, n);
    return 0;
}

void cpu_number_drop(struct task *t)
{
    if (!t->cpus) return;
    cpu_number_leave_slow(t);
    atomic_store(&t->cpus, (struct cpu_numbers *)NULL);
}

void cpu_number_disturb(struct task *t)
{
    atomic_store(&t->cpu_event, 1u);
    task_set_work(t, TW_NOTIFY);
}

static bool unsettled(struct task *t) { return atomic_load(&t->cpu_event) && __atomic_load_n(&t->in_guest, __ATOMIC_SEQ_CST); }

void cpu_number_disturb_all(struct mm *mm)
{
    struct task *t, *next;
    bool wait = true;

    lock(&kernel.tasklist);
    HASH_ITER(hh, kernel.tasks_by_tid, t, next)
        if (t->mm == mm && atomic_load(&t->cpus)) cpu_number_disturb(t);
    while (wait) {
        wait = false;
        HASH_ITER(hh, kernel.tasks_by_tid, t, next)
            if (t != current && t->mm == mm && atomic_load(&t->cpus)) wait |= unsettled(t);
        unlock(&kernel.tasklist);
        if (wait && task_sleep_uninterruptible(clock_mono() + 100 * NSEC_PER_USEC) == -EINTR) return;
        lock(&kernel.tasklist);
    }
    unlock(&kernel.tasklist);
}

u32 cpu_number_id(const struct task *t) { return t->cpu_slot ? (u32)(t->cpu_slot - t->cpus->slot) : t->cpu_shown; }
u32 cpu_number_concurrency_id(const struct task *t) { return t->cpu_slot ? (u32)t->cpu_slot->concurrency_id : 0; }
