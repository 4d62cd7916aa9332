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

static struct evlog_hdr *hdr;            /* (c) NULL: no record */
static lock_t log_lock = LOCK_INIT(LC_LEAF);   /* guards: */
static u32 *slots;                       /* offset + 1 of the record */
static u32 nslots;

bool evlog_on(void) { return hdr != NULL; }

int evlog_open(int fd)
{
    void *p = mmap(NULL, EVLOG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED) return -errno;
    slots = xzalloc(SLOTS * sizeof(*slots));
    hdr = p;
    *hdr = (struct evlog_hdr){ .magic = EVLOG_MAGIC, .version = EVLOG_VERSION, .size = EVLOG_SIZE, .start = clock_mono() };
    return 0;
}

static u8 *records(void) { return (u8 *)(hdr + 1); }

void evlog_count_call(unsigned abi, u32 nr)
{
    if (hdr) __atomic_fetch_add(&hdr->calls[abi & 1][MIN(nr, EVLOG_CALLS - 1)], 1, __ATOMIC_RELAXED);
}

void evlog_count_tasks(unsigned now)
{
    if (!hdr) return;
    atomic_store(&hdr->tasks, now);
    if (now > hdr->tasks_max) hdr->tasks_max = now;
}

void evlog_add(enum evlog_op op, enum evlog_verdict v, u32 rule, u32 want, const char *object)
{
    if (!hdr) return;
    size_t n = strnlen(object, EVLOG_OBJECT_MAX - 1);
    u32 h = (op * 7u + v) * 31u + rule * 2654435761u;
    for (size_t i = 0; i < n; i++) h = (h ^ (u8)object[i]) * 16777619u;
    s64 now = clock_mono() - hdr->start;
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
        u32 len = (u32)(sizeof(*r) + n + 1 + 7) & ~7u, at = hdr->used;
        if (len > EVLOG_SIZE - sizeof(*hdr) - at || nslots > SLOTS * 3 / 4) {
            hdr->dropped++;
        } else {
            r = (struct evlog_rec *)(void *)(records() + at);
            *r = (struct evlog_rec){ .len = len, .rule = rule, .count = 1, .op = (u8)op, .verdict = (u8)v, .want = (u16)want,
                                     .first = now, .last = now };
            if (current) {
                r->tid = current->tid;
                r->nr = (u32)current->syscall_nr | (current->abi == &abi_solaris ? EVLOG_SOLARIS : 0);
            }
            memcpy(r->object, object, n);
            r->object[n] = 0;
            slots[i] = at + 1;
            nslots++;
            atomic_store(&hdr->used, at + len);
        }
    }
    unlock(&log_lock);
}
