/*
 * Poll core. One waiter per descriptor hangs on the file's queue while the task sleeps; after a wake only those files
 * whose waiter fired are asked again, so that a wait over thousands of descriptors costs one pass plus what happens.
 */
#include "sentry/vfs/poll.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/kernel/task.h"
#include <string.h>

struct poll_slot {
    struct waiter w;
    struct file *file;             /* counted; NULL: nothing to ask */
    u32 fired;                     /* (a) set by the wake */
};

static bool poll_slot_wake(struct waiter *w, u32 events UNUSED)
{
    struct poll_slot *s = container_of(w, struct poll_slot, w);
    atomic_store(&s->fired, 1);
    task_wake(w->task);
    return true;
}

static u16 ask(struct poll_slot *s, struct kpollfd *p, bool hang)
{
    u32 want = p->events | POLLERR | POLLHUP;
    return (u16)(vfs_poll(s->file, hang ? &s->w : NULL) & want);
}

sysret_t poll_wait(struct kpollfd *fds, unsigned n, ktime_t deadline)
{
    struct poll_slot small[8], *slots = small;
    sysret_t ready = 0;
    int r = 0;

    if (n > ARRAY_LEN(small)) {
        slots = try_zalloc(n, sizeof *slots);
        if (!slots) return -ENOMEM;
    } else {
        memset(small, 0, sizeof small);
    }
    for (unsigned i = 0; i < n; i++) {
        struct poll_slot *s = &slots[i];
        fds[i].revents = 0;
        if (fds[i].fd < 0) continue;
        s->file = fd_get(fds[i].fd);
        if (!s->file) {
            fds[i].revents = POLLNVAL;
        } else {
            waiter_init_current(&s->w, fds[i].events | POLLERR | POLLHUP);
            s->w.wake = poll_slot_wake;
            /* Once something is ready there will be no sleep and no need to hang on queues. */
            fds[i].revents = ask(s, &fds[i], !ready && deadline != 0);
        }
        if (fds[i].revents) ready++;
    }
    while (!ready && deadline != 0 && r == 0) {
        r = task_sleep(deadline);
        for (unsigned i = 0; i < n; i++) {
            struct poll_slot *s = &slots[i];
            if (!s->file || !atomic_load(&s->fired)) continue;
            atomic_store(&s->fired, 0);
            fds[i].revents = ask(s, &fds[i], false);
            if (fds[i].revents) ready++;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        if (!slots[i].file) continue;
        waitq_del(&slots[i].w);
        file_put(slots[i].file);
    }
    if (slots != small) free(slots);
    return ready ? ready : r == -ETIMEDOUT ? 0 : r;
}

static bool bit(const u64 *set, unsigned i) { return set && (set[i / 64] >> (i % 64) & 1); }

sysret_t select_wait(unsigned n, u64 *in, u64 *out, u64 *ex, ktime_t deadline)
{
    unsigned used = 0, k = 0;
    sysret_t r;

    for (unsigned i = 0; i < n; i++) used += bit(in, i) || bit(out, i) || bit(ex, i);
    AUTO_FREE struct kpollfd *p = try_zalloc(used ? used : 1, sizeof *p);
    if (!p) return -ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        u16 ev = (u16)((bit(in, i) ? SELECT_IN : 0) | (bit(out, i) ? SELECT_OUT : 0) | (bit(ex, i) ? SELECT_EX : 0));
        if (!ev) continue;
        struct file *f = fd_get((int)i);
        if (!f) return -EBADF;
        file_put(f);
        p[k].fd = (int)i;
        p[k++].events = ev;
    }
    for (;;) {
        r = poll_wait(p, used, deadline);
        if (r < 0) return r;
        /* ERR and HUP count only for the sets that list them. */
        sysret_t bits = 0;
        for (unsigned i = 0; i < used; i++) {
            if (p[i].fd < 0) continue;             /* dropped below */
            unsigned fd = (unsigned)p[i].fd;
            u16 re = p[i].revents;
            if (re & POLLNVAL) return -EBADF;
            bits += (bit(in, fd) && (re & SELECT_IN)) + (bit(out, fd) && (re & SELECT_OUT)) + (bit(ex, fd) && (re & SELECT_EX));
        }
        if (bits || r == 0) break;
        /* Ready only in a way that no set asked for (HUP with an exception set): drop those and go on. */
        for (unsigned i = 0; i < used; i++)
            if (p[i].revents) p[i].fd = -1;
    }
    sysret_t bits = 0;
    const u64 *sets_in[3] = { in, out, ex };
    u64 *sets[3] = { in, out, ex };
    static const u16 mask[3] = { SELECT_IN, SELECT_OUT, SELECT_EX };
    for (int s = 0; s < 3; s++) {
        if (!sets[s]) continue;
        u64 *result = try_zalloc((n + 63) / 64 + 1, 8);
        if (!result) return -ENOMEM;
        for (unsigned i = 0; i < used; i++) {
            unsigned fd = p[i].fd < 0 ? n : (unsigned)p[i].fd;
            if (fd < n && bit(sets_in[s], fd) && (p[i].revents & mask[s])) {
                result[fd / 64] |= 1ULL << (fd % 64);
                bits++;
            }
        }
        memcpy(sets[s], result, (n + 63) / 64 * 8);
        free(result);
    }
    return bits;
}
