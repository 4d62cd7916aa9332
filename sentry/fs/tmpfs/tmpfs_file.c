/* Regular files of tmpfs: data move straight between the memory file and the user's pages. */
#include "sentry/base/clock.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/acl.h"
#include <limits.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/mman.h>

/* How many pages from pgoff on follow p in the memory file, at most max. */
static u64 contiguous(struct tmpfs_inode *t, u64 pgoff, mpage_t p, u64 max)
{
    u64 n = 1;
    while (n < max && tmpfs_pages_find(t, pgoff + n) == p + n) n++;
    return n;
}

static ssize_t file_read(struct file *f, struct uio *u, u64 *pos, u32 flags UNUSED)
{
    struct inode *i = f->inode;
    struct tmpfs_inode *t = tmpfs_i(i);
    ssize_t total = 0, r = 0;
    lock(&i->lock);
    while (u->resid && *pos < i->size) {
        u64 off = *pos & ~GPAGE_MASK, pgoff = *pos >> GPAGE_SHIFT, left = MIN(u->resid, i->size - *pos);
        u64 pages = (off + left + GPAGE_SIZE - 1) >> GPAGE_SHIFT;
        mpage_t p = tmpfs_pages_find(t, pgoff);
        u64 n;
        if (p) {
            n = MIN((contiguous(t, pgoff, p, pages) << GPAGE_SHIFT) - off, left);
            r = uio_copy_out(u, (u8 *)memfile_ptr(p) + off, n);
        } else {
            u64 hole_end = tmpfs_pages_next(t, pgoff, pgoff + pages, true);
            n = MIN((hole_end << GPAGE_SHIFT) - *pos, left);
            r = uio_zero_out(u, n);
        }
        if (r <= 0) break;
        *pos += (u64)r;
        total += r;
        if ((u64)r < n) break;
    }
    unlock(&i->lock);
    if (total || r == 0) file_accessed(f);
    return total ? total : r;
}

static ssize_t file_write(struct file *f, struct uio *u, u64 *pos, u32 flags)
{
    struct inode *i = f->inode;
    struct tmpfs_inode *t = tmpfs_i(i);
    ssize_t total = 0, r = 0;
    lock(&i->lock);
    if ((f->flags & O_APPEND) || (flags & RWF_APPEND)) *pos = i->size;
    u32 seals = t->seals;
    if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) r = -EPERM;
    else if ((seals & F_SEAL_GROW) && *pos + u->resid > i->size && *pos >= i->size && u->resid) r = -EPERM;
    u64 limit = seals & F_SEAL_GROW ? i->size : (u64)LLONG_MAX;
    /* shmem_write_begin() refuses whole pages' pieces: none that would end behind the end is written even in part. */
    if ((seals & F_SEAL_GROW) && r == 0 && *pos < limit && u->resid > limit - *pos && (limit & ~GPAGE_MASK)) {
        limit &= GPAGE_MASK;
        if (*pos >= limit) r = -EPERM;
    }
    while (r >= 0 && u->resid && *pos < limit) {
        u64 off = *pos & ~GPAGE_MASK, pgoff = *pos >> GPAGE_SHIFT, left = MIN(u->resid, limit - *pos);
        u64 pages = (off + left + GPAGE_SIZE - 1) >> GPAGE_SHIFT;
        mpage_t p;
        r = tmpfs_pages_make(t, pgoff, pages, &p);
        if (r) break;
        u64 n = MIN((contiguous(t, pgoff, p, pages) << GPAGE_SHIFT) - off, left);
        r = uio_copy_in(u, (u8 *)memfile_ptr(p) + off, n);
        if (r <= 0) break;
        *pos += (u64)r;
        total += r;
        if (*pos > i->size) {
            lock(&t->pg_lock);
            i->size = t->size = *pos;
            unlock(&t->pg_lock);
        }
        if ((u64)r < n) break;
    }
    if (total) inode_touch(i, ATTR_MTIME);
    unlock(&i->lock);
    return total ? total : r;
}

static s64 file_llseek(struct file *f, s64 off, int whence)
{
    struct inode *i = f->inode;
    struct tmpfs_inode *t = tmpfs_i(i);
    lock(&i->lock);
    s64 r;
    if (whence == SEEK_DATA || whence == SEEK_HOLE) {
        if (off < 0 || (u64)off >= i->size) {
            r = -ENXIO;
        } else {
            u64 end = gpage_up(i->size) >> GPAGE_SHIFT, pg = (u64)off >> GPAGE_SHIFT;
            u64 found = tmpfs_pages_next(t, pg, end, whence == SEEK_DATA);
            if (found >= end) r = whence == SEEK_DATA ? -ENXIO : (s64)i->size;
            else r = found == pg ? off : (s64)(found << GPAGE_SHIFT);
            if (r >= 0) f->pos = (u64)r;
        }
    } else {
        r = generic_llseek(f, off, whence, i->size, (u64)LLONG_MAX);
    }
    unlock(&i->lock);
    return r;
}

static void zero_part(struct tmpfs_inode *t, u64 from, u64 to)
{
    mpage_t p = from < to ? tmpfs_pages_find(t, from >> GPAGE_SHIFT) : MPAGE_NONE;
    if (p) memset((u8 *)memfile_ptr(p) + (from & ~GPAGE_MASK), 0, to - from);
}

/* Zeros [off,end): whole pages leave the file, parts are cleared. Private copies of guests stay. */
static void punch_locked(struct inode *i, u64 off, u64 end)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    u64 first = gpage_up(off), last = gpage_down(end);
    if (first > last) {
        zero_part(t, off, end);
        return;
    }
    zero_part(t, off, first);
    zero_part(t, last, end);
    if (first < last) {
        mappable_unmap(&i->map, first >> GPAGE_SHIFT, (last - first) >> GPAGE_SHIFT, false);
        tmpfs_pages_drop(t, first >> GPAGE_SHIFT, last >> GPAGE_SHIFT);
    }
}

static int file_fallocate(struct file *f, int mode, u64 off, u64 len)
{
    struct inode *i = f->inode;
    struct tmpfs_inode *t = tmpfs_i(i);
    u64 end = off + len;
    int r = 0;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) return -EOPNOTSUPP;
    lock(&i->lock);
    bool grows = !(mode & FALLOC_FL_KEEP_SIZE) && end > i->size;
    if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) && (t->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))) r = -EPERM;
    else if (grows && (t->seals & F_SEAL_GROW)) r = -EPERM;
    if (r == 0 && (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))) punch_locked(i, off, end);
    if (r == 0 && !(mode & FALLOC_FL_PUNCH_HOLE)) {
        struct tmpfs_super *s = tmpfs_s(i->sb);
        u64 first = off >> GPAGE_SHIFT, last = gpage_up(end) >> GPAGE_SHIFT;
        if (s->max_pages && last - first > s->max_pages) r = -ENOSPC;
        u64 made_from = ~0ULL;
        for (u64 pg = first; r == 0 && pg < last;) {
            mpage_t p;
            u64 next = tmpfs_pages_next(t, pg, last, false);
            if (next >= last) break;
            pg = next;
            r = tmpfs_pages_make(t, pg, last - pg, &p);
            if (r) break;
            if (made_from == ~0ULL) made_from = pg;
            pg++;
            if (signal_pending(current)) r = -EINTR;
        }
        /* Failed: what lies behind the end of the file is given back; inside it an extra page of zeros is harmless. */
        if (r) {
            u64 keep = gpage_up(i->size) >> GPAGE_SHIFT;
            if (made_from != ~0ULL) tmpfs_pages_drop(t, MAX(keep, made_from), last);
        } else if (grows) {
            r = tmpfs_resize(i, end);
        }
    }
    if (r == 0) inode_touch(i, ATTR_MTIME);
    unlock(&i->lock);
    return r;
}

static int file_mmap(struct file *f, struct mm_map_req *req)
{
    struct tmpfs_inode *t = tmpfs_i(f->inode);
    u32 seals = atomic_load(&t->seals);
    bool shared = (req->flags & MAP_TYPE) != MAP_PRIVATE;
    if (shared && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))) {
        if (req->prot & PROT_WRITE) return -EPERM;
        if (!req->max_prot) req->max_prot = PROT_READ | PROT_WRITE | PROT_EXEC;
        req->max_prot &= ~(u32)PROT_WRITE;
    }
    req->obj = &f->inode->map;
    return 0;
}

static int file_fsync(struct file *f UNUSED, bool data_only UNUSED) { return 0; }

const struct file_ops tmpfs_file_ops = {
    .read = file_read, .write = file_write, .seekable = true, .llseek = file_llseek, .mmap = file_mmap,
    .fallocate = file_fallocate, .fsync = file_fsync,
};

int tmpfs_setattr(struct inode *i, struct dentry *d UNUSED, const struct kattr *a)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    int r = 0;
    lock(&i->lock);
    if (a->valid & ATTR_SIZE) {
        if (!S_ISREG(i->mode)) r = -EINVAL;
        else if (a->size < i->size && (t->seals & F_SEAL_SHRINK)) r = -EPERM;
        else if (a->size > i->size && (t->seals & F_SEAL_GROW)) r = -EPERM;
        else r = tmpfs_resize(i, a->size);
    }
    if (r == 0) {
        if (a->valid & ATTR_UID) i->uid = a->uid;
        if (a->valid & ATTR_GID) i->gid = a->gid;
        if (a->valid & ATTR_MODE) i->mode = (i->mode & S_IFMT) | (a->mode & 07777);
        if (a->valid & ATTR_KILL_SUID) i->mode &= ~(u32)(S_ISUID | (i->mode & S_IXGRP ? S_ISGID : 0));
        if (a->valid & ATTR_MODE) acl_chmod(i);
        if (a->valid & ATTR_ATIME) i->atime = a->valid & ATTR_ATIME_NOW ? now : a->atime;
        if (a->valid & ATTR_MTIME) i->mtime = a->valid & ATTR_MTIME_NOW ? now : a->mtime;
        i->ctime = now;
    }
    unlock(&i->lock);
    return r;
}

const struct inode_ops tmpfs_file_inode_ops = { .setattr = tmpfs_setattr, .free = tmpfs_inode_free, TMPFS_XATTR_OPS };
