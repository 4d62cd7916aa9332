/*
 * Loop devices, loop(4): a file of the guest's as a block device. All that goes through one is a read or write of the
 * file that was handed to it, with the access that file was opened for. There is no page cache: what one descriptor
 * writes the next one reads from the file.
 *
 * Sources: linux/loop.h, linux/fs.h (BLK*), drivers/block/loop.c for the errors.
 */
#include "sentry/base/alloc.h"
#include "sentry/fs/dev/loop.h"

#include <linux/capability.h>
#include <linux/falloc.h>
#include <sys/inotify.h>

lock_t loop_config = LOCK_INIT(LC_LOOP);
static struct loop *loops[LOOP_MAX];      /* (a); a device once added stays, LOOP_CTL_REMOVE makes it unfindable */
static bool absent[LOOP_MAX];             /* under loop_config */

static struct loop *find(unsigned n) { return n < LOOP_MAX ? atomic_load(&loops[n]) : NULL; }

static struct loop *add_locked(unsigned n)
{
    struct loop *l = loops[n];
    if (!l) {
        l = xnew(struct loop);
        lock_init(&l->lock, LC_LEAF);
        l->block = LOOP_SECTOR;
        l->read_ahead = 256;
        l->info.lo_number = n;
        atomic_store(&loops[n], l);
    }
    absent[n] = false;
    return l;
}

static void preset_locked(void)
{
    static bool done;
    for (unsigned i = 0; i < LOOP_PRESET && !done; i++) add_locked(i);
    done = true;
}

/* --- transfer --- */

bool loop_view_get(struct loop *l, struct loop_view *v)
{
    lock(&l->lock);
    *v = (struct loop_view){ l->backing, l->size, l->info.lo_offset, l->read_only, l->rundown };
    if (v->backing) file_get(v->backing);
    unlock(&l->lock);
    return v->backing != NULL;
}

static ssize_t loop_read(struct file *f, struct uio *u, u64 *pos, u32 flags)
{
    struct loop_view v;
    if (!loop_view_get(f->priv, &v)) return 0;
    ssize_t n = v.rundown ? -EIO : 0;
    if (!n && *pos < v.size) {
        u64 cut = u->resid > v.size - *pos ? u->resid - (v.size - *pos) : 0, at = *pos + v.offset;
        u->resid -= cut;
        n = v.backing->ops->read(v.backing, u, &at, flags);
        /* A file that has become shorter than the device reads as zeros from there on. */
        if (n == 0 && u->resid) n = uio_zero_out(u, u->resid);
        u->resid += cut;
        if (n > 0) *pos += (u64)n;
    }
    file_put(v.backing);
    return n;
}

static ssize_t loop_write(struct file *f, struct uio *u, u64 *pos, u32 flags)
{
    struct loop_view v;
    if (!loop_view_get(f->priv, &v)) return u->resid ? -ENOSPC : 0;
    ssize_t n = v.rundown ? -EIO : v.read_only ? -EPERM : *pos >= v.size ? -ENOSPC : 0;
    if (!n) {
        u64 cut = u->resid > v.size - *pos ? u->resid - (v.size - *pos) : 0, at = *pos + v.offset;
        u->resid -= cut;
        n = v.backing->ops->write(v.backing, u, &at, flags);
        u->resid += cut;
        if (n > 0) {
            *pos += (u64)n;
            if (v.backing->path.dentry) fsnotify(v.backing->path.dentry, IN_MODIFY, 0);
        }
    }
    file_put(v.backing);
    return n;
}

static s64 loop_llseek(struct file *f, s64 off, int whence)
{
    struct loop_view v;
    bool bound = loop_view_get(f->priv, &v);
    if (bound) file_put(v.backing);
    return generic_llseek(f, off, whence, bound ? v.size : 0, INT64_MAX);
}

int loop_fsync(struct file *f, bool data_only)
{
    struct loop_view v;
    if (!loop_view_get(f->priv, &v)) return 0;
    int r = vfs_fsync(v.backing, data_only);
    file_put(v.backing);
    return r;
}

int loop_zero(struct loop *l, int mode, u64 start, u64 len)
{
    struct loop_view v;
    if (!loop_view_get(l, &v)) return -EINVAL;
    int r = v.rundown ? -EIO : v.read_only ? -EPERM : (start | len) % l->block || start > v.size || len > v.size - start ? -EINVAL : 0;
    if (!r && len) r = vfs_fallocate(v.backing, mode, start + v.offset, len);
    file_put(v.backing);
    return r;
}

/* Modes of fallocate(2) on a block device: blkdev_fallocate of block/fops.c. */
static int loop_fallocate(struct file *f, int mode, u64 off, u64 len)
{
    int keep = mode & ~(FALLOC_FL_KEEP_SIZE);
    if (keep != FALLOC_FL_PUNCH_HOLE && keep != FALLOC_FL_ZERO_RANGE) return -EOPNOTSUPP;
    return loop_zero(f->priv, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
}

static void loop_release(struct file *dev)
{
    struct loop *l = dev->priv;
    struct file *f = NULL;
    lock(&loop_config);
    if (--l->openers == 0 && (l->info.lo_flags & LO_FLAGS_AUTOCLEAR)) f = loop_unbind_locked(l);
    unlock(&loop_config);
    if (f) file_put(f);
}

const struct file_ops loop_fops = {
    .read = loop_read, .write = loop_write, .llseek = loop_llseek, .seekable = true, .fsync = loop_fsync,
    .fallocate = loop_fallocate, .ioctl = loop_ioctl, .release = loop_release,
};

int loop_open(unsigned minor, struct file *f)
{
    lock(&loop_config);
    preset_locked();
    struct loop *l = find(minor);
    if (l && (absent[minor] || l->rundown)) l = NULL;
    if (l) l->openers++;
    unlock(&loop_config);
    if (!l) return -ENXIO;
    f->ops = &loop_fops;
    f->priv = l;
    return 0;
}

bool loop_state_get(unsigned n, struct loop_state *out)
{
    lock(&loop_config);
    preset_locked();
    struct loop *l = find(n);
    if (l && absent[n]) l = NULL;
    unlock(&loop_config);
    if (!l || !out) return l;
    lock(&l->lock);
    *out = (struct loop_state){ loop_bound_locked(l) ? l->backing : NULL, l->size, l->info.lo_offset, l->info.lo_sizelimit,
                                l->info.lo_flags, l->block, l->read_only };
    if (out->backing) file_get(out->backing);
    unlock(&l->lock);
    return true;
}

/* --- /dev/loop-control --- */

static sysret_t get_free(void)
{
    sysret_t r = -ENODEV;
    if (!capable(CAP_SYS_ADMIN)) return -EPERM;
    lock(&loop_config);
    preset_locked();
    for (unsigned i = 0; i < LOOP_MAX && r < 0; i++) {
        struct loop *l = find(i);
        if (l && !absent[i] && l->backing) continue;
        add_locked(i);
        r = i;
    }
    unlock(&loop_config);
    return r;
}

static sysret_t ctl_add(s32 n)
{
    if (!capable(CAP_SYS_ADMIN)) return -EPERM;
    if (n < 0) return get_free();
    if ((u32)n >= LOOP_MAX) return -EINVAL;
    lock(&loop_config);
    preset_locked();
    bool there = find((unsigned)n) && !absent[n];
    if (!there) add_locked((unsigned)n);
    unlock(&loop_config);
    return there ? -EEXIST : n;
}

static sysret_t ctl_remove(s32 n)
{
    if (!capable(CAP_SYS_ADMIN)) return -EPERM;
    if (n < 0) return -EINVAL;
    lock(&loop_config);
    preset_locked();
    struct loop *l = find((unsigned)n);
    int r = !l || absent[n] ? -ENODEV : l->backing || l->openers ? -EBUSY : 0;
    if (!r) absent[n] = true;
    unlock(&loop_config);
    return r ? r : n;
}

static sysret_t ctl_ioctl(struct file *f UNUSED, u32 cmd, gaddr_t arg)
{
    switch (cmd) {
    case LOOP_CTL_GET_FREE: return get_free();
    case LOOP_CTL_ADD: return ctl_add((s32)arg);
    case LOOP_CTL_REMOVE: return ctl_remove((s32)arg);
    default: return -ENOTTY;
    }
}

int loop_ctl_open(struct file *f)
{
    static const struct file_ops ctl_fops = { .ioctl = ctl_ioctl };
    f->ops = &ctl_fops;
    return 0;
}
