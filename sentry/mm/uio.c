/* Transfers of system calls: segments consumed from the front. */
#include "sentry/mm/internal.h"
#include "sentry/mm/usercopy.h"

#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/kernel/task.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

HOSTCALL(preadv, "file contents go straight to guest pages");
HOSTCALL(pwritev, "file contents come straight from guest pages");
HOSTCALL(readv, "streams of the host are read straight into guest pages");
HOSTCALL(writev, "streams of the host are written straight from guest pages");

#define RW_MAX ((u64)INT_MAX & GPAGE_MASK)      /* MAX_RW_COUNT */
#define UIO_MAX_SEGS 1024u
#define STEP (256u << 10)                       /* bytes per host call: pages are allocated for that much ahead */
#define STEP_IOV 64u
#define BOUNCE (16u << 10)

void uio_init_kernel(struct uio *u, void *buf, size_t len)
{
    *u = (struct uio){ .nsegs = len ? 1 : 0, .resid = len };
    u->inline_segs[0] = (struct uio_seg){ (u64)(uintptr_t)buf, len };
    u->segs = u->inline_segs;
}

static bool in_guest(const struct mm *mm, gaddr_t base, u64 len)
{
    return base <= mm->addr_limit && len <= mm->addr_limit - base;
}

int uio_init_guest(struct uio *u, gaddr_t buf, u64 len)
{
    *u = (struct uio){ .mm = current->mm };
    u->segs = u->inline_segs;
    if (!in_guest(u->mm, buf, len)) return -EFAULT;
    len = MIN(len, RW_MAX);
    u->inline_segs[0] = (struct uio_seg){ buf, len };
    u->nsegs = len ? 1 : 0;
    u->resid = len;
    return 0;
}

int uio_init_guest_iov(struct uio *u, gaddr_t iov, u64 count)
{
    *u = (struct uio){ .mm = current->mm };
    u->segs = u->inline_segs;
    if (count > UIO_MAX_SEGS) return -EINVAL;
    if (count > ARRAY_LEN(u->inline_segs)) {
        u->heap = try_zalloc(count, sizeof(*u->heap));
        if (!u->heap) return -ENOMEM;
        u->segs = u->heap;
    }
    if (copy_in(u->segs, iov, count * sizeof(*u->segs))) goto fault;
    unsigned n = 0;
    for (u64 i = 0; i < count; i++) {
        struct uio_seg s = u->segs[i];
        if ((s64)s.len < 0) {
            uio_fini(u);
            return -EINVAL;
        }
        if (!in_guest(u->mm, s.base, s.len)) goto fault;
        s.len = MIN(s.len, RW_MAX - u->resid);
        if (!s.len) continue;
        u->segs[n++] = s;
        u->resid += s.len;
    }
    u->nsegs = n;
    return 0;
fault:
    uio_fini(u);
    return -EFAULT;
}

void uio_fini(struct uio *u)
{
    free(u->heap);
    u->heap = NULL;
    u->segs = u->inline_segs;
    u->nsegs = 0;
    u->resid = u->seg_done = 0;
}

void uio_skip(struct uio *u, size_t n)
{
    n = MIN(n, u->resid);
    u->resid -= n;
    while (n) {
        u64 left = u->segs->len - u->seg_done;
        if (n < left) {
            u->seg_done += n;
            return;
        }
        n -= left;
        u->segs++;
        u->nsegs--;
        u->seg_done = 0;
    }
}

void uio_clone(struct uio *dst, const struct uio *src)
{
    *dst = (struct uio){ .mm = src->mm, .nsegs = src->nsegs, .seg_done = src->seg_done, .resid = src->resid };
    if (src->nsegs > ARRAY_LEN(dst->inline_segs)) dst->heap = xzalloc(src->nsegs * sizeof(*dst->heap));
    dst->segs = dst->heap ? dst->heap : dst->inline_segs;
    if (src->nsegs) memcpy(dst->segs, src->segs, src->nsegs * sizeof(*dst->segs));
}

enum move { MOVE_IN, MOVE_OUT, MOVE_ZERO };

static ssize_t uio_move(struct uio *u, u8 *buf, size_t n, enum move dir)
{
    size_t done = 0;
    n = MIN(n, u->resid);
    while (done < n) {
        u64 base = u->segs->base + u->seg_done;
        size_t want = MIN(n - done, u->segs->len - u->seg_done), got = want;
        if (!u->mm) {
            void *host = (void *)(uintptr_t)base;
            if (dir == MOVE_IN)
                memcpy(buf + done, host, want);
            else if (dir == MOVE_OUT)
                memcpy(host, buf + done, want);
            else
                memset(host, 0, want);
        } else if (dir == MOVE_IN) {
            got = mm_copy_in(u->mm, buf + done, base, want);
        } else if (dir == MOVE_OUT) {
            got = mm_copy_out(u->mm, base, buf + done, want);
        } else {
            got = mm_zero_out(u->mm, base, want);
        }
        uio_skip(u, got);
        done += got;
        if (got < want) return done ? (ssize_t)done : -EFAULT;
    }
    return (ssize_t)done;
}

ssize_t uio_copy_in(struct uio *u, void *dst, size_t n) { return uio_move(u, dst, n, MOVE_IN); }
ssize_t uio_copy_out(struct uio *u, const void *src, size_t n) { return uio_move(u, (u8 *)(uintptr_t)src, n, MOVE_OUT); }
ssize_t uio_zero_out(struct uio *u, size_t n) { return uio_move(u, NULL, n, MOVE_ZERO); }

struct host_io { int fd; s64 off; bool read; };      /* read: from the host into the guest */

static ssize_t host_call(const struct host_io *io, const struct iovec *iov, int n)
{
    ssize_t r;
    if (io->off < 0)
        r = io->read ? readv(io->fd, iov, n) : writev(io->fd, iov, n);
    else
        r = io->read ? preadv(io->fd, iov, n, io->off) : pwritev(io->fd, iov, n, io->off);
    return r < 0 ? -errno : r;
}

struct batch { struct iovec iov[STEP_IOV]; int n; size_t bytes; bool host_page, missing; gaddr_t from, to; };

/*
 * Memory behind the front of u, up to `max` bytes; with mm->lock held when there is one. Stops at a page of a host
 * file (host_page, if it is the first) and at one that must be faulted in (missing: the range, which may begin at 0).
 */
static void gather(const struct uio *u, size_t max, bool write, struct batch *b)
{
    struct vma *hint = NULL;
    u64 skip = u->seg_done;
    *b = (struct batch){ .n = 0 };
    for (unsigned i = 0; i < u->nsegs && b->bytes < max; i++, skip = 0) {
        u64 base = u->segs[i].base + skip, left = MIN(u->segs[i].len - skip, max - b->bytes);
        while (left) {
            struct user_span s = { .ptr = (void *)(uintptr_t)base, .len = left };
            if (b->n == (int)STEP_IOV) return;
            if (u->mm && !user_span_locked(u->mm, &hint, base, left, write, false, &s)) {
                b->missing = true;
                b->from = base;
                b->to = base + left;
                return;
            }
            if (!s.ptr) {
                b->host_page = !b->n;
                return;
            }
            b->iov[b->n++] = (struct iovec){ s.ptr, s.len };
            b->bytes += s.len;
            base += s.len;
            left -= s.len;
        }
    }
}

/* The front page belongs to a host file: through a buffer. What was read but cannot be stored is lost, as the fault says. */
static ssize_t host_bounce(struct uio *u, const struct host_io *io, size_t n)
{
    u8 buf[BOUNCE];
    struct iovec iov = { buf, MIN(n, sizeof(buf)) };
    if (io->read) {
        ssize_t r = host_call(io, &iov, 1);
        return r > 0 ? uio_copy_out(u, buf, (size_t)r) : r;
    }
    struct uio peek;
    uio_clone(&peek, u);
    ssize_t r = uio_copy_in(&peek, buf, iov.iov_len);
    uio_fini(&peek);
    if (r <= 0) return r;
    iov.iov_len = (size_t)r;
    r = host_call(io, &iov, 1);
    if (r > 0) uio_skip(u, (size_t)r);
    return r;
}

/* One host call. *wanted: what it asked for. */
static ssize_t host_step(struct uio *u, const struct host_io *io, size_t max, size_t *wanted)
{
    struct batch b;
    for (;;) {
        if (u->mm) read_lock(&u->mm->lock);
        gather(u, max, io->read, &b);
        if (!b.missing) break;
        rw_unlock(&u->mm->lock);
        if (mm_fault_in(u->mm, b.from, b.to, io->read, false)) {
            if (!b.n) return -EFAULT;
            max = b.bytes;                /* what comes before the bad page still goes */
        }
    }
    if (b.host_page) {
        rw_unlock(&u->mm->lock);
        *wanted = MIN(max, (size_t)BOUNCE);
        return host_bounce(u, io, max);
    }
    ssize_t r = host_call(io, b.iov, b.n);
    if (u->mm) rw_unlock(&u->mm->lock);
    *wanted = b.bytes;
    if (r > 0) uio_skip(u, (size_t)r);
    return r;
}

static ssize_t host_transfer(struct uio *u, struct host_io *io, size_t n)
{
    size_t done = 0;
    n = MIN(n, u->resid);
    do {
        size_t wanted = 0;
        ssize_t r = host_step(u, io, MIN(n - done, (size_t)STEP), &wanted);
        if (r == -EINTR) continue;
        if (r < 0) return done ? (ssize_t)done : r;
        done += (size_t)r;
        if (io->off >= 0) io->off += r;
        if ((size_t)r < wanted) break;
    } while (done < n);
    return (ssize_t)done;
}

ssize_t uio_host_read(struct uio *u, int fd, s64 off, size_t n)
{
    struct host_io io = { fd, off, true };
    return host_transfer(u, &io, n);
}

ssize_t uio_host_write(struct uio *u, int fd, s64 off, size_t n)
{
    struct host_io io = { fd, off, false };
    return host_transfer(u, &io, n);
}
