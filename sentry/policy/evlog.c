/*
 * Writing the record. Objects repeat (a program opens the same files again and again): a table finds the record of an
 * operation on an object, whose count then moves. The table is private; only its results are in the shared file.
 */
#include "abi/abi.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/kernel/task.h"
#include "sentry/policy/policy.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS (1u << 16)

static struct evlog_hdr *hdr;            /* (a) NULL: no record; once set it stays */
static lock_t log_lock = LOCK_INIT(LC_LEAF);   /* guards: */
static u32 *slots;                       /* offset + 1 of the record */
static u32 nslots;

bool evlog_on(void) { return __atomic_load_n(&hdr, __ATOMIC_ACQUIRE) != NULL; }

int evlog_open(int fd, u32 flags)
{
    void *p = mmap(NULL, EVLOG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED) return -errno;
    slots = xzalloc(SLOTS * sizeof(*slots));
    struct evlog_hdr *h = p;
    *h = (struct evlog_hdr){ .magic = EVLOG_MAGIC, .version = EVLOG_VERSION, .size = EVLOG_SIZE, .start = clock_mono(), .flags = flags, .series_shift = 20 };
    __atomic_store_n(&hdr, h, __ATOMIC_RELEASE);
    return 0;
}

static u8 *records(void) { return (u8 *)(hdr + 1); }

void evlog_count_call(unsigned abi, u32 nr)
{
    if (hdr) __atomic_fetch_add(&hdr->calls[abi & 1][MIN(nr, EVLOG_CALLS - 1)], 1, __ATOMIC_RELAXED);
}

/* Twice the time a step, so that the whole run stays in the series. */
static void halve_series(u32 shift)
{
    lock(&log_lock);
    if (atomic_load(&hdr->series_shift) == shift) {
        u32 *both[] = { hdr->series_calls, hdr->series_denied };
        for (size_t k = 0; k < ARRAY_LEN(both); k++)
            for (unsigned i = 0; i < EVLOG_SERIES; i++)
                atomic_store(&both[k][i], i < EVLOG_SERIES / 2 ? atomic_load(&both[k][2 * i]) + atomic_load(&both[k][2 * i + 1]) : 0u);
        atomic_store(&hdr->series_shift, shift + 1);
    }
    unlock(&log_lock);
}

static u32 series_step(s64 since_start)
{
    for (;;) {
        u32 shift = atomic_load(&hdr->series_shift);
        u64 i = (u64)MAX(since_start, (s64)0) >> shift;
        if (i < EVLOG_SERIES) return (u32)i;
        halve_series(shift);
    }
}

void evlog_call_time(unsigned abi, u32 nr, s64 began, s64 ended)
{
    u32 k = MIN(nr, EVLOG_CALLS - 1);
    __atomic_fetch_add(&hdr->call_ns[abi & 1][k], (u64)MAX(ended - began, (s64)0), __ATOMIC_RELAXED);
    __atomic_fetch_add(&hdr->series_calls[series_step(began - hdr->start)], 1, __ATOMIC_RELAXED);
}

void evlog_count_tasks(unsigned now)
{
    if (!hdr) return;
    atomic_store(&hdr->tasks, now);
    if (now > hdr->tasks_max) hdr->tasks_max = now;
}

/* The new record's place, or ~0: there is no room. */
static u32 append_locked(enum evlog_op op, enum evlog_verdict v, u32 rule, u32 want, const char *object, size_t n, s64 now)
{
    struct evlog_rec *r;
    u32 len = (u32)(sizeof(*r) + n + 1 + 7) & ~7u, at = hdr->used;
    if (len > EVLOG_SIZE - sizeof(*hdr) - at || nslots > SLOTS * 3 / 4) {
        hdr->dropped++;
        return ~0u;
    }
    r = (struct evlog_rec *)(void *)(records() + at);
    *r = (struct evlog_rec){ .len = len, .rule = rule, .count = 1, .op = (u8)op, .verdict = (u8)v, .want = (u16)want, .first = now, .last = now };
    if (current) {
        r->tid = current->tid;
        r->nr = (u32)current->syscall_nr | (current->abi == &abi_solaris ? EVLOG_SOLARIS : 0);
    }
    memcpy(r->object, object, n);
    r->object[n] = 0;
    atomic_store(&hdr->used, at + len);
    return at;
}

void evlog_process(enum evlog_op op, s32 pid, u32 nr, const char *object)
{
    if (!hdr || !(hdr->flags & EVLOG_TIMES)) return;
    s64 now = clock_mono() - hdr->start;
    lock(&log_lock);
    u32 at = append_locked(op, EV_ALLOWED, 0, 0, object, strnlen(object, EVLOG_OBJECT_MAX - 1), now);
    if (at != ~0u) {
        struct evlog_rec *r = (struct evlog_rec *)(void *)(records() + at);
        r->tid = pid;
        r->nr = nr;
    }
    unlock(&log_lock);
}

void evlog_add(enum evlog_op op, enum evlog_verdict v, u32 rule, u32 want, const char *object)
{
    if (!hdr) return;
    size_t n = strnlen(object, EVLOG_OBJECT_MAX - 1);
    u32 h = (op * 7u + v) * 31u + rule * 2654435761u;
    for (size_t i = 0; i < n; i++) h = (h ^ (u8)object[i]) * 16777619u;
    s64 now = clock_mono() - hdr->start;
    if (v == EV_DENIED && op != EV_ABSENT && (hdr->flags & EVLOG_TIMES)) __atomic_fetch_add(&hdr->series_denied[series_step(now)], 1, __ATOMIC_RELAXED);
    lock(&log_lock);
    u32 i = (h ^ h >> 15) & (SLOTS - 1);
    struct evlog_rec *r = NULL;
    for (; slots[i]; i = (i + 1) & (SLOTS - 1)) {
        r = (struct evlog_rec *)(void *)(records() + slots[i] - 1);
        if (r->op == op && r->verdict == v && r->rule == rule && !strncmp(r->object, object, n) && !r->object[n]) break;
        r = NULL;
    }
    if (r) {
        atomic_add(&r->count, 1);
        r->want |= (u16)want;
        r->last = now;
    } else {
        u32 at = append_locked(op, v, rule, want, object, n, now);
        if (at != ~0u) {
            slots[i] = at + 1;
            nslots++;
        }
    }
    unlock(&log_lock);
}
