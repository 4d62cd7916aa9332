/* ioctl(2) of loop devices: their own requests, and what every block device answers (linux/fs.h BLK*). */
#include "sentry/fs/dev/loop.h"

#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>

static void old_from_new(struct loop_info *to, const struct loop_info64 *from)
{
    *to = (struct loop_info){ .lo_number = (int)from->lo_number, .lo_device = from->lo_device, .lo_inode = from->lo_inode,
                              .lo_rdevice = from->lo_rdevice, .lo_offset = (int)from->lo_offset, .lo_flags = (int)from->lo_flags };
    memcpy(to->lo_name, from->lo_file_name, LO_NAME_SIZE);
}

static sysret_t get_status(struct loop *l, u32 cmd, gaddr_t arg)
{
    struct loop_info old;
    lock(&l->lock);
    bool bound = loop_bound_locked(l);
    struct loop_info64 info = l->info;
    unlock(&l->lock);
    if (!bound) return -ENXIO;
    if (cmd == LOOP_GET_STATUS64) return copy_out(arg, &info, sizeof info);
    old_from_new(&old, &info);
    if (old.lo_device != info.lo_device || old.lo_inode != info.lo_inode || (u64)old.lo_offset != info.lo_offset) return -EOVERFLOW;
    return copy_out(arg, &old, sizeof old);
}

static sysret_t take_status(struct loop *l, u32 cmd, gaddr_t arg)
{
    struct loop_info64 info = { 0 };
    struct loop_info old;
    int r = cmd == LOOP_SET_STATUS64 ? copy_in(&info, arg, sizeof info) : copy_in(&old, arg, sizeof old);
    if (r) return r;
    if (cmd == LOOP_SET_STATUS) {
        if (old.lo_offset < 0) return -EOVERFLOW;
        info.lo_offset = (u64)old.lo_offset;
        info.lo_encrypt_type = (u32)old.lo_encrypt_type;
        info.lo_encrypt_key_size = (u32)old.lo_encrypt_key_size;
        info.lo_flags = (u32)old.lo_flags;
        memcpy(info.lo_file_name, old.lo_name, LO_NAME_SIZE);
    }
    return loop_set_status(l, &info);
}

static sysret_t loop_ioctl_bind(struct file *f, u32 cmd, gaddr_t arg)
{
    struct loop *l = f->priv;
    struct loop_config c = { .fd = (u32)arg };
    switch (cmd) {
    case LOOP_SET_FD: return loop_bind(l, f, &c);
    case LOOP_CONFIGURE: {
        int r = copy_in(&c, arg, sizeof c);
        return r ? r : loop_bind(l, f, &c);
    }
    case LOOP_GET_STATUS: case LOOP_GET_STATUS64: return get_status(l, cmd, arg);
    case LOOP_CLR_FD: return loop_clear_fd(l);
    default: break;
    }
    if (!(f->mode & FMODE_WRITE) && !capable(CAP_SYS_ADMIN)) return -EPERM;
    switch (cmd) {
    case LOOP_CHANGE_FD: return loop_change_fd(l, (int)arg);
    case LOOP_SET_STATUS: case LOOP_SET_STATUS64: return take_status(l, cmd, arg);
    case LOOP_SET_CAPACITY: return loop_set_status(l, NULL);
    case LOOP_SET_BLOCK_SIZE: return loop_set_block(l, arg);
    case LOOP_SET_DIRECT_IO: return loop_set_direct(l, arg != 0);
    default: return -ENOTTY;
    }
}

/* --- what every block device answers --- */

static sysret_t put_int(gaddr_t arg, s32 v) { return copy_out(arg, &v, sizeof v); }
static sysret_t put_long(gaddr_t arg, u64 v) { return copy_out(arg, &v, sizeof v); }

static sysret_t ioctl_range(struct file *f, u32 cmd, gaddr_t arg)
{
    u64 range[2];
    if (!(f->mode & FMODE_WRITE)) return -EBADF;
    int r = copy_in(range, arg, sizeof range);
    if (r) return r;
    if (cmd == BLKSECDISCARD) return -EOPNOTSUPP;
    return loop_zero(f->priv, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, range[0], range[1]);
}

static sysret_t set_read_only(struct loop *l, gaddr_t arg)
{
    s32 on;
    if (!capable(CAP_SYS_ADMIN)) return -EACCES;
    int r = copy_in(&on, arg, sizeof on);
    if (r) return r;
    lock(&l->lock);
    l->read_only = on || (l->info.lo_flags & LO_FLAGS_READ_ONLY); /* never more than the file allows */
    unlock(&l->lock);
    return 0;
}

sysret_t loop_ioctl(struct file *f, u32 cmd, gaddr_t arg)
{
    struct loop *l = f->priv;
    if (cmd >> 8 == LOOP_SET_FD >> 8) return loop_ioctl_bind(f, cmd, arg);
    lock(&l->lock);
    u64 size = l->size, ra = l->read_ahead;
    s32 block = (s32)l->block, ro = l->read_only;
    unlock(&l->lock);
    switch (cmd) {
    case BLKGETSIZE64: return put_long(arg, size);
    case BLKGETSIZE: return put_long(arg, size / LOOP_SECTOR);
    case BLKSSZGET: case BLKPBSZGET: case BLKIOMIN: return put_int(arg, block);
    case BLKBSZGET: return put_int(arg, 4096);
    case BLKIOOPT: case BLKALIGNOFF: case BLKDISCARDZEROES: return put_int(arg, 0);
    case BLKROGET: return put_int(arg, ro);
    case BLKROTATIONAL: case BLKSECTGET: {
        u16 v = cmd == BLKSECTGET ? 2560 : 0;
        return copy_out(arg, &v, sizeof v);
    }
    case BLKRAGET: case BLKFRAGET: return put_long(arg, ra);
    case BLKRASET: case BLKFRASET:
        if (!capable(CAP_SYS_ADMIN)) return -EACCES;
        lock(&l->lock);
        l->read_ahead = arg;
        unlock(&l->lock);
        return 0;
    case BLKBSZSET: case BLKFLSBUF:
        return !capable(CAP_SYS_ADMIN) ? -EACCES : cmd == BLKFLSBUF ? loop_fsync(f, false) : 0;
    case BLKRRPART: return capable(CAP_SYS_ADMIN) ? -EINVAL : -EACCES; /* no partitions on it */
    case BLKROSET: return set_read_only(l, arg);
    case BLKDISCARD: case BLKSECDISCARD: case BLKZEROOUT: return ioctl_range(f, cmd, arg);
    default: return -EINVAL; /* not ENOTTY: lo_simple_ioctl */
    }
}

