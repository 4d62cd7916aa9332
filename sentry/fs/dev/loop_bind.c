/* Which file is behind a loop device, and how much of it: LOOP_SET_FD and the like. */
#include "sentry/fs/dev/loop.h"

#include <string.h>

#define NESTING_MAX 4u         /* a loop device on a loop device ... */

/* May l stand on f? Its own device at the end of the chain would be a cycle. Under loop_config. */
static int check_backing_locked(const struct loop *l, struct file *f)
{
    if (!S_ISREG(f->inode->mode) && !S_ISBLK(f->inode->mode)) return -EINVAL;
    if (!f->ops->read || !f->ops->write || !f->ops->seekable) return -EINVAL;
    for (unsigned depth = 0; f && f->ops == &loop_fops; depth++) {
        const struct loop *below = f->priv;
        if (below == l || depth == NESTING_MAX) return -EBADF;
        f = below->backing;
        if (!f) return -EINVAL;
    }
    return 0;
}

/* Bytes in what is, or is to be, the backing file. */
static int backing_size(struct file *f, u64 *out)
{
    if (f->ops == &loop_fops) {
        struct loop *below = f->priv;
        lock(&below->lock);
        *out = below->size;
        unlock(&below->lock);
        return 0;
    }
    struct kstat st;
    int r = vfs_stat_file(f, &st);
    if (!r) *out = st.size;
    return r;
}

static u64 device_size(const struct loop_info64 *in, u64 file_size)
{
    u64 n = file_size > in->lo_offset ? file_size - in->lo_offset : 0;
    if (in->lo_sizelimit && in->lo_sizelimit < n) n = in->lo_sizelimit;
    return n / LOOP_SECTOR * LOOP_SECTOR;
}

static bool block_ok(u32 n) { return n >= LOOP_SECTOR && n <= 4096 && !(n & (n - 1)); }

#define SETTABLE (LO_FLAGS_AUTOCLEAR | LO_FLAGS_PARTSCAN)
/* What a caller may ask for; keep: flags that stay as they are. */
static int take_info(struct loop_info64 *to, const struct loop_info64 *from, u32 settable)
{
    if (from->lo_encrypt_type || from->lo_encrypt_key_size) return -EINVAL;
    if (from->lo_offset > INT64_MAX || from->lo_sizelimit > INT64_MAX) return -EOVERFLOW;
    to->lo_offset = from->lo_offset;
    to->lo_sizelimit = from->lo_sizelimit;
    memcpy(to->lo_file_name, from->lo_file_name, LO_NAME_SIZE);
    to->lo_file_name[LO_NAME_SIZE - 1] = 0;
    to->lo_flags = (to->lo_flags & ~settable) | (from->lo_flags & settable);
    return 0;
}

sysret_t loop_bind(struct loop *l, struct file *dev, const struct loop_config *c)
{
    const u32 known = SETTABLE | LO_FLAGS_READ_ONLY | LO_FLAGS_DIRECT_IO;
    AUTO_FILE f = fd_get((int)c->fd);
    if (!f) return -EBADF;
    if (c->info.lo_flags & ~known || (c->block_size && !block_ok(c->block_size))) return -EINVAL;
    struct loop_info64 info = { .lo_number = l->info.lo_number };
    struct kstat st;
    u64 size;
    int r = take_info(&info, &c->info, SETTABLE | LO_FLAGS_DIRECT_IO);
    if (!r) r = vfs_stat_file(f, &st);
    if (!r) r = backing_size(f, &size);
    if (r) return r;
    info.lo_device = st.dev;
    info.lo_inode = st.ino;
    if (c->info.lo_flags & LO_FLAGS_READ_ONLY || !(f->mode & FMODE_WRITE) || !(dev->mode & FMODE_WRITE)) info.lo_flags |= LO_FLAGS_READ_ONLY;
    lock(&loop_config);
    r = l->backing ? -EBUSY : check_backing_locked(l, f);
    if (!r && !(f->mode & FMODE_READ)) r = -EBADF;
    if (!r) {
        file_get(f);
        lock(&l->lock);
        l->backing = f;
        l->info = info;
        l->size = device_size(&info, size);
        l->block = c->block_size ? c->block_size : LOOP_SECTOR;
        l->read_only = info.lo_flags & LO_FLAGS_READ_ONLY;
        unlock(&l->lock);
    }
    unlock(&loop_config);
    return r;
}

/* Closing a file may take a while: the caller does it. */
struct file *loop_unbind_locked(struct loop *l)
{
    lock(&l->lock);
    struct file *f = l->backing;
    l->backing = NULL;
    l->size = 0;
    l->block = LOOP_SECTOR;
    l->read_only = l->rundown = false;
    l->info = (struct loop_info64){ .lo_number = l->info.lo_number };
    unlock(&l->lock);
    return f;
}

/* The last one to close unbinds; if that is the caller, nobody gets in between. */
sysret_t loop_clear_fd(struct loop *l)
{
    lock(&loop_config);
    bool bound = loop_bound_locked(l);
    if (bound) {
        lock(&l->lock);
        l->info.lo_flags |= LO_FLAGS_AUTOCLEAR;
        l->rundown = l->openers == 1;
        unlock(&l->lock);
    }
    unlock(&loop_config);
    return bound ? 0 : -ENXIO;
}

/* Another file of the same size under a read-only device. */
sysret_t loop_change_fd(struct loop *l, int fd)
{
    AUTO_FILE f = fd_get(fd);
    if (!f) return -EBADF;
    struct file *old = NULL;
    u64 size = 0;
    int known = backing_size(f, &size);
    lock(&loop_config);
    int r = !loop_bound_locked(l) ? -ENXIO : !(l->info.lo_flags & LO_FLAGS_READ_ONLY) ? -EINVAL : check_backing_locked(l, f);
    if (!r && !(f->mode & FMODE_READ)) r = -EBADF;
    if (!r) r = known;
    if (!r && device_size(&l->info, size) != l->size) r = -EINVAL;
    if (!r) {
        file_get(f);
        lock(&l->lock);
        old = l->backing;
        l->backing = f;
        unlock(&l->lock);
    }
    unlock(&loop_config);
    if (old) file_put(old);
    return r;
}

sysret_t loop_set_status(struct loop *l, const struct loop_info64 *info)
{
    struct loop_view v;
    u64 size;
    if (!loop_view_get(l, &v)) return -ENXIO;
    int r = backing_size(v.backing, &size);
    lock(&loop_config);
    struct loop_info64 next = l->info;
    if (!r && (!loop_bound_locked(l) || l->backing != v.backing)) r = -ENXIO; /* unbound meanwhile */
    if (!r && info) r = take_info(&next, info, SETTABLE);
    if (!r) {
        lock(&l->lock);
        l->info = next;
        l->size = device_size(&next, size);
        unlock(&l->lock);
    }
    unlock(&loop_config);
    file_put(v.backing);
    return r;
}

sysret_t loop_set_block(struct loop *l, u64 n)
{
    lock(&loop_config);
    int r = !loop_bound_locked(l) ? -ENXIO : n > UINT32_MAX || !block_ok((u32)n) ? -EINVAL : 0;
    if (!r) {
        lock(&l->lock);
        l->block = (u32)n;
        unlock(&l->lock);
    }
    unlock(&loop_config);
    return r;
}

sysret_t loop_set_direct(struct loop *l, bool on)
{
    lock(&loop_config);
    int r = loop_bound_locked(l) ? 0 : -ENXIO;
    if (!r) {
        lock(&l->lock);
        l->info.lo_flags = on ? l->info.lo_flags | LO_FLAGS_DIRECT_IO : l->info.lo_flags & ~(u32)LO_FLAGS_DIRECT_IO;
        unlock(&l->lock);
    }
    unlock(&loop_config);
    return r;
}

