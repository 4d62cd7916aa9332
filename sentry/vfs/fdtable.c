/*
 * Descriptor tables. The bitmap is searched from next_fd, below which no descriptor is free, so the lowest free one is
 * found without walking the table. fd_get takes no lock while only this task uses the table: others (readers of /proc)
 * may look at it under the lock but only the owner changes it.
 */
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/limits.h"
#include "sentry/vfs/file.h"
#include <linux/capability.h>
#include <linux/close_range.h>
#include <string.h>

#define FDT_MIN 64u

struct fdtable *fdtable_new(void)
{
    struct fdtable *t = xnew(struct fdtable);
    ref_init(&t->refs);
    lock_init(&t->lock, LC_FDTABLE);
    t->size = FDT_MIN;
    t->fds = xzalloc(t->size * sizeof(*t->fds));
    t->used = xzalloc(t->size / 8);
    return t;
}

void fdtable_get(struct fdtable *t) { ref_get(&t->refs); }

static void grow_locked(struct fdtable *t, unsigned need)
{
    unsigned size = t->size;
    while (size < need) size *= 2;
    if (size == t->size) return;
    t->fds = xrealloc(t->fds, size * sizeof(*t->fds));
    memset(t->fds + t->size, 0, (size - t->size) * sizeof(*t->fds));
    t->used = xrealloc(t->used, size / 8);
    memset((u8 *)t->used + t->size / 8, 0, (size - t->size) / 8);
    t->size = size;
}

struct fdtable *fdtable_copy(struct fdtable *old)
{
    struct fdtable *t = fdtable_new();
    lock(&old->lock);
    unsigned last = 0;
    for (unsigned w = old->size / 64; w-- > 0;)
        if (old->used[w]) {
            last = w * 64 + 64;
            break;
        }
    /* Whoever opened that many before the limit fell cannot share them out. */
    if (last > ((kernel_limit(nr_open) + 63ULL) & ~63ULL)) {
        unlock(&old->lock);
        fdtable_put(t);
        return NULL;
    }
    grow_locked(t, last);
    for (unsigned w = 0; w < last / 64; w++) {
        t->used[w] = old->used[w];
        for (u64 bits = old->used[w]; bits; bits &= bits - 1) {
            unsigned fd = w * 64 + (unsigned)__builtin_ctzll(bits);
            t->fds[fd] = old->fds[fd];
            file_get(t->fds[fd].file);
        }
    }
    t->next_fd = old->next_fd;
    unlock(&old->lock);
    return t;
}

static void close_file(struct fdtable *t, struct file *f)
{
    if (!(f->mode & FMODE_PATH)) {
        vfs_locks_close(f, t);
        if (f->ops && f->ops->flush) (void)f->ops->flush(f);
    }
    file_put(f);
}

void fdtable_put(struct fdtable *t)
{
    if (!t || !ref_put(&t->refs)) return;
    for (unsigned w = 0; w < t->size / 64; w++)
        for (u64 bits = t->used[w]; bits; bits &= bits - 1) close_file(t, t->fds[w * 64 + (unsigned)__builtin_ctzll(bits)].file);
    lock_fini(&t->lock);
    free(t->fds);
    free(t->used);
    free(t);
}

static struct file *take_locked(struct fdtable *t, unsigned fd)
{
    struct file *f = t->fds[fd].file;
    t->fds[fd] = (struct fd_entry){ 0 };
    t->used[fd / 64] &= ~(1ULL << (fd % 64));
    if (fd < t->next_fd) t->next_fd = fd;
    return f;
}

/* Closes every descriptor of [first,last] that `want` selects, dropping the lock around each close. */
static void close_some(struct fdtable *t, unsigned first, unsigned last, bool only_cloexec)
{
    lock(&t->lock);
    for (unsigned w = first / 64; w < t->size / 64 && w <= last / 64; w++) {
        for (u64 bits = t->used[w]; bits; bits &= bits - 1) {
            unsigned fd = w * 64 + (unsigned)__builtin_ctzll(bits);
            if (fd < first || fd > last || !t->fds[fd].file || (only_cloexec && !t->fds[fd].cloexec)) continue;
            struct file *f = take_locked(t, fd);
            unlock(&t->lock);
            close_file(t, f);
            lock(&t->lock);
        }
    }
    unlock(&t->lock);
}

void fdtable_close_on_exec(struct fdtable *t) { close_some(t, 0, ~0u, true); }

int fdtable_unshare_current(void)
{
    struct fdtable *old = current->files;
    if (ref_read(&old->refs) == 1) return 0;
    struct fdtable *t = fdtable_copy(old);
    if (!t) return -EMFILE;
    lock(&current->lock);
    current->files = t;
    unlock(&current->lock);
    fdtable_put(old);
    return 0;
}

struct file *fd_get_path(int fd)
{
    struct fdtable *t = current->files;
    struct file *f = NULL;
    if (fd < 0) return NULL;
    bool shared = ref_read(&t->refs) != 1;
    if (shared) lock(&t->lock);
    if ((unsigned)fd < t->size && (f = t->fds[fd].file) != NULL) file_get(f);
    if (shared) unlock(&t->lock);
    return f;
}

struct file *fd_get(int fd)
{
    struct file *f = fd_get_path(fd);
    if (f && (f->mode & FMODE_PATH)) {
        file_put(f);
        return NULL;
    }
    return f;
}

static u64 fd_limit(void)
{
    return MIN(current_rlimit(RLIMIT_NOFILE), (u64)kernel_limit(nr_open));
}

static unsigned find_free_locked(const struct fdtable *t, unsigned from)
{
    for (unsigned w = from / 64; w < t->size / 64; w++) {
        u64 free_bits = ~t->used[w];
        if (w == from / 64) free_bits &= ~0ULL << (from % 64);
        if (free_bits) return w * 64 + (unsigned)__builtin_ctzll(free_bits);
    }
    return t->size > from ? t->size : from;
}

static int install(struct file *f, unsigned min, bool cloexec)
{
    struct fdtable *t = current->files;
    u64 lim = fd_limit();
    lock(&t->lock);
    unsigned fd = find_free_locked(t, MAX(min, t->next_fd));
    if (fd >= lim) {
        unlock(&t->lock);
        return -EMFILE;
    }
    grow_locked(t, fd + 1);
    t->fds[fd] = (struct fd_entry){ f, cloexec };
    t->used[fd / 64] |= 1ULL << (fd % 64);
    if (min <= t->next_fd) t->next_fd = fd + 1;
    unlock(&t->lock);
    return (int)fd;
}

/* A file that nobody has yet, beyond fs.file-max: dup(2) brings in none. */
static bool one_too_many(const struct file *f)
{
    return unlikely(files_open() > kernel_limit(file_max)) && ref_read(&f->refs) == 1 && !capable(CAP_SYS_ADMIN);
}

int fd_install(struct file *f, bool cloexec) { return one_too_many(f) ? -ENFILE : install(f, 0, cloexec); }

int fd_install_min(struct file *f, int min, bool cloexec)
{
    if (min < 0 || (u64)min >= fd_limit()) return -EINVAL;
    return install(f, (unsigned)min, cloexec);
}

int fd_install_at(struct file *f, int fd, bool cloexec)
{
    if (fd < 0 || (u64)fd >= fd_limit()) return -EBADF;
    struct fdtable *t = current->files;
    lock(&t->lock);
    grow_locked(t, (unsigned)fd + 1);
    struct file *old = t->fds[fd].file;
    t->fds[fd] = (struct fd_entry){ f, cloexec };
    t->used[fd / 64] |= 1ULL << (fd % 64);
    unlock(&t->lock);
    if (old) close_file(t, old);
    return fd;
}

int fd_close(int fd)
{
    struct fdtable *t = current->files;
    lock(&t->lock);
    if (fd < 0 || (unsigned)fd >= t->size || !t->fds[fd].file) {
        unlock(&t->lock);
        return -EBADF;
    }
    struct file *f = take_locked(t, (unsigned)fd);
    unlock(&t->lock);
    int r = 0;
    if (!(f->mode & FMODE_PATH)) {
        vfs_locks_close(f, t);
        if (f->ops && f->ops->flush) r = f->ops->flush(f);
    }
    file_put(f);
    /* The descriptor is gone whatever flush says: close(2) is never restarted. */
    return r == -ERESTARTSYS || r == -ERESTARTNOINTR || r == -ERESTARTNOHAND ? -EINTR : r;
}

int fd_close_range(unsigned first, unsigned last, unsigned flags)
{
    if (first > last || (flags & ~(unsigned)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))) return -EINVAL;
    int r = flags & CLOSE_RANGE_UNSHARE ? fdtable_unshare_current() : 0;
    if (r) return r;
    struct fdtable *t = current->files;
    if (!(flags & CLOSE_RANGE_CLOEXEC)) {
        close_some(t, first, last, false);
        return 0;
    }
    lock(&t->lock);
    for (unsigned w = first / 64; w < t->size / 64 && w <= last / 64; w++)
        for (u64 bits = t->used[w]; bits; bits &= bits - 1) {
            unsigned fd = w * 64 + (unsigned)__builtin_ctzll(bits);
            if (fd >= first && fd <= last) t->fds[fd].cloexec = true;
        }
    unlock(&t->lock);
    return 0;
}

static struct fd_entry *entry_locked(struct fdtable *t, int fd)
{
    return fd >= 0 && (unsigned)fd < t->size && t->fds[fd].file ? &t->fds[fd] : NULL;
}

int fd_get_cloexec(int fd)
{
    struct fdtable *t = current->files;
    lock(&t->lock);
    struct fd_entry *e = entry_locked(t, fd);
    int r = e ? e->cloexec : -EBADF;
    unlock(&t->lock);
    return r;
}

int fd_set_cloexec(int fd, bool on)
{
    struct fdtable *t = current->files;
    lock(&t->lock);
    struct fd_entry *e = entry_locked(t, fd);
    if (e) e->cloexec = on;
    unlock(&t->lock);
    return e ? 0 : -EBADF;
}

int fdtable_next(struct fdtable *t, int from, struct file **out)
{
    int found = -1;
    lock(&t->lock);
    for (unsigned w = (unsigned)from / 64; from >= 0 && w < t->size / 64 && found < 0; w++) {
        u64 bits = t->used[w];
        if (w == (unsigned)from / 64) bits &= ~0ULL << (from % 64);
        if (!bits) continue;
        found = (int)(w * 64 + (unsigned)__builtin_ctzll(bits));
        *out = t->fds[found].file;
        file_get(*out);
    }
    unlock(&t->lock);
    return found;
}
