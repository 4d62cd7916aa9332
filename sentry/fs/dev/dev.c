/*
 * Devices and /dev. The tree is a tmpfs, filled at mount with the nodes that the OCI runtime specification
 * lists; opening a node goes by its device number, wherever the node lives. Documentation/admin-guide/devices.txt
 */
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/fs/dev/dev.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/net/tun.h"

#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/sysmacros.h>

HOSTCALL(getrandom, "/dev/urandom and getrandom of the guest");

static ssize_t null_read(struct file *f UNUSED, struct uio *u UNUSED, u64 *pos UNUSED, u32 flags UNUSED) { return 0; }

static ssize_t null_write(struct file *f UNUSED, struct uio *u, u64 *pos UNUSED, u32 flags UNUSED)
{
    size_t n = u->resid;
    uio_skip(u, n); /* like Linux, without looking at the memory */
    return (ssize_t)n;
}

static ssize_t zero_read(struct file *f UNUSED, struct uio *u, u64 *pos UNUSED, u32 flags UNUSED)
{
    return u->resid ? uio_zero_out(u, u->resid) : 0;
}

static ssize_t full_write(struct file *f UNUSED, struct uio *u UNUSED, u64 *pos UNUSED, u32 flags UNUSED) { return -ENOSPC; }

static ssize_t random_read(struct file *f UNUSED, struct uio *u, u64 *pos UNUSED, u32 flags UNUSED)
{
    ssize_t total = 0;
    while (u->resid) {
        u8 buf[4096];
        ssize_t n = getrandom(buf, MIN(u->resid, sizeof(buf)), 0);
        if (n < 0) return total ? total : -errno;
        n = uio_copy_out(u, buf, (size_t)n);
        if (n < 0) return total ? total : n;
        total += n;
        if (current && signal_pending(current)) break;
    }
    return total;
}

/* Writing adds to the pool; ours is the host's, which is not the guest's to stir. Reads of the memory still count. */
static ssize_t random_write(struct file *f UNUSED, struct uio *u, u64 *pos UNUSED, u32 flags UNUSED)
{
    ssize_t total = 0;
    while (u->resid) {
        u8 buf[4096];
        ssize_t n = uio_copy_in(u, buf, MIN(u->resid, sizeof(buf)));
        if (n <= 0) return total ? total : n;
        total += n;
    }
    return total;
}

static sysret_t random_ioctl(struct file *f UNUSED, u32 cmd, gaddr_t arg)
{
    s32 bits = 256; /* the pool's size: always full after boot */
    switch (cmd) {
    case RNDGETENTCNT: return copy_out(arg, &bits, sizeof(bits));
    case RNDADDTOENTCNT: case RNDADDENTROPY: case RNDZAPENTCNT: case RNDCLEARPOOL: case RNDRESEEDCRNG:
        return capable(21 /* CAP_SYS_ADMIN */) ? 0 : -EPERM;
    default: return -ENOTTY;
    }
}

static s64 null_llseek(struct file *f, s64 off UNUSED, int whence UNUSED)
{
    f->pos = 0; /* vfs_llseek holds the position's lock */
    return 0;
}

static u32 always_ready(struct file *f UNUSED, struct waiter *w UNUSED) { return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM; }

/* mmap of /dev/zero: private anonymous memory, or a shared memory object of its own. mmap(2) "MAP_ANONYMOUS" notes */
static int zero_mmap(struct file *f UNUSED, struct mm_map_req *req)
{
    if (!(req->flags & 0x01 /* MAP_SHARED */)) {
        req->obj = NULL;
        return 0;
    }
    struct file *shm;
    int err = shmem_create_anon(gpage_up(req->len), &shm);
    if (err) return err;
    req->file = shm;
    req->obj = &shm->inode->map;
    req->off = 0;
    return 0;
}

static const struct file_ops null_fops = {
    .read = null_read, .write = null_write, .llseek = null_llseek, .seekable = true };
static const struct file_ops zero_fops = {
    .read = zero_read, .write = null_write, .llseek = null_llseek, .seekable = true, .mmap = zero_mmap };
static const struct file_ops full_fops = {
    .read = zero_read, .write = full_write, .llseek = null_llseek, .seekable = true };
static const struct file_ops random_fops = {
    .read = random_read, .write = random_write, .llseek = null_llseek, .seekable = true, .poll = always_ready, .ioctl = random_ioctl };

static int open_dev_tty(struct file *f)
{
    struct tty *tty = tty_current_get();
    if (!tty) return -ENXIO;
    f->flags |= O_NOCTTY;
    int err = tty_slave_open(tty, f);
    tty_put(tty);
    return err;
}

static int open_pts(unsigned index, struct file *f)
{
    struct tty *tty = devpts_find_get(index);
    if (!tty) return -ENXIO;
    int err = tty_slave_open(tty, f);
    tty_put(tty);
    return err;
}

int chrdev_open(struct inode *ino, struct dentry *d UNUSED, struct file *f)
{
    unsigned maj = major(ino->rdev), min = minor(ino->rdev);
    const struct file_ops *ops = NULL;
    if (maj == 1) {
        switch (min) {
        case 3: ops = &null_fops; break;
        case 5: ops = &zero_fops; break;
        case 7: ops = &full_fops; break;
        case 8: case 9: ops = &random_fops; break;
        default: break;
        }
    } else if (maj == 5 && min == 0) {
        return open_dev_tty(f);
    } else if (maj == 5 && min == 2) {
        return pty_master_open(f);
    } else if (ino->rdev == LOOP_CTL_RDEV) {
        return loop_ctl_open(f);
    } else if (maj == 10 && min == 200) {
        return tun_open(f);
    } else if (maj >= 136 && maj <= 143) {
        return open_pts((maj - 136) * 256 + min, f);
    }
    if (!ops) return -ENXIO; /* no such device in the sandbox */
    f->ops = ops;
    return 0;
}

int blkdev_open(struct inode *ino, struct file *f) { return major(ino->rdev) == LOOP_MAJOR_NR ? loop_open(minor(ino->rdev), f) : -ENXIO; }

static int dev_create(struct super *sb, const char *name, int (*make)(struct inode *dir, struct dentry *d, const void *arg), const void *arg)
{
    struct dentry *d;
    int err = dentry_lookup(sb->root, name, strlen(name), &d);
    if (err) return err;
    lock(&sb->root->inode->lock);
    err = make(sb->root->inode, d, arg);
    unlock(&sb->root->inode->lock);
    dentry_put(d);
    return err;
}

struct node { const char *name; u32 mode; u64 rdev; };

static int make_node(struct inode *dir, struct dentry *d, const void *arg)
{
    const struct node *n = arg;
    return dir->ops->mknod(dir, d, n->mode, n->rdev);
}
static int make_link(struct inode *dir, struct dentry *d, const void *arg) { return dir->ops->symlink(dir, d, arg); }
static int make_dir(struct inode *dir, struct dentry *d, const void *arg) { return dir->ops->mkdir(dir, d, *(const u32 *)arg); }

static int dev_create_in(struct super *sb, const char *dir, const struct node *n)
{
    struct dentry *parent, *d = NULL;
    int err = dentry_lookup(sb->root, dir, strlen(dir), &parent);
    if (err) return err;
    err = dentry_lookup(parent, n->name, strlen(n->name), &d);
    if (!err) {
        lock(&parent->inode->lock);
        err = make_node(parent->inode, d, n);
        unlock(&parent->inode->lock);
        dentry_put(d);
    }
    dentry_put(parent);
    return err;
}

int devfs_new(struct super **out)
{
    static const struct node nodes[] = {
        { "null", S_IFCHR | 0666, 0x103 }, { "zero", S_IFCHR | 0666, 0x105 }, { "full", S_IFCHR | 0666, 0x107 },
        { "random", S_IFCHR | 0666, 0x108 }, { "urandom", S_IFCHR | 0666, 0x109 }, { "tty", S_IFCHR | 0666, 0x500 },
        { "loop-control", S_IFCHR | 0660, LOOP_CTL_RDEV },
    };
    static const struct node tun = { "tun", S_IFCHR | 0666, 0xac8 };
    static const struct { const char *name, *target; } links[] = {
        { "fd", "/proc/self/fd" }, { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" }, { "stderr", "/proc/self/fd/2" },
        { "ptmx", "pts/ptmx" }, { "core", "/proc/kcore" },
    };
    static const struct { const char *name; u32 mode; } dirs[] = { { "pts", 0755 }, { "net", 0755 }, { "shm", 01777 }, { "mqueue", 01777 } };
    struct super *sb;
    int err = tmpfs_new(0, 0755, 0, 0, &sb);
    if (err) return err;
    for (size_t i = 0; i < ARRAY_LEN(nodes) && !err; i++) err = dev_create(sb, nodes[i].name, make_node, &nodes[i]);
    for (unsigned i = 0; i < LOOP_PRESET && !err; i++) {
        char name[16];
        snprintf(name, sizeof name, "loop%u", i);
        err = dev_create(sb, name, make_node, &(struct node){ name, S_IFBLK | 0660, makedev(LOOP_MAJOR_NR, i) });
    }
    for (size_t i = 0; i < ARRAY_LEN(links) && !err; i++) err = dev_create(sb, links[i].name, make_link, links[i].target);
    for (size_t i = 0; i < ARRAY_LEN(dirs) && !err; i++) err = dev_create(sb, dirs[i].name, make_dir, &dirs[i].mode);
    if (!err) err = dev_create_in(sb, "net", &tun);
    if (err) {
        super_put(sb);
        return err;
    }
    *out = sb;
    return 0;
}
