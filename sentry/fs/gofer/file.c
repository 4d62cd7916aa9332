/* Regular files: data go between guest pages and the donated descriptor, mappings are of that descriptor. */
#include "sentry/base/hostcall.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include <linux/falloc.h>
#include <unistd.h>

HOSTCALL(fallocate, "fallocate(2) of files open for writing");
HOSTCALL(fsync, "fsync(2)");
HOSTCALL(fdatasync, "fdatasync(2) and O_DSYNC");
HOSTCALL(lseek, "SEEK_DATA and SEEK_HOLE");

static int open_op(struct inode *ino, struct dentry *d UNUSED, struct file *f)
{
    struct ginode *gi = GI(ino);
    if (!S_ISREG(ino->mode)) return -ENXIO;
    gi_pin(gi); /* until release: neither I/O nor a mapping ever finds the descriptor gone */
    int err = gi_ensure_fd(gi, f->flags & O_ACCMODE);
    if (err) gi_unpin(gi);
    return err;
}

static void release_op(struct file *f) { gi_unpin(GI(f->inode)); }

static ssize_t read_op(struct file *f, struct uio *u, u64 *pos, u32 flags UNUSED)
{
    int fd = gi_read_fd(GI(f->inode));
    ssize_t n = uio_host_read(u, fd, (s64)*pos, u->resid);
    if (n > 0) *pos += (u64)n;
    return n;
}

static ssize_t write_some(struct ginode *gi, struct uio *u, int fd, u64 *pos)
{
    ssize_t done = uio_host_write(u, fd, (s64)*pos, u->resid);
    if (done > 0) {
        *pos += (u64)done;
        lock(&gi->lock);
        if (*pos > gi->vfs.size) gi->vfs.size = *pos;
        gi->stale = true; /* times, blocks and set-id bits: asked when wanted */
        unlock(&gi->lock);
    }
    return done;
}

#ifndef RWF_APPEND
#define RWF_APPEND 0x10
#endif

static ssize_t write_op(struct file *f, struct uio *u, u64 *pos, u32 flags)
{
    struct ginode *gi = GI(f->inode);
    int fd = gi_write_fd(gi);
    u32 fl = atomic_load(&f->flags);
    ssize_t n;
    if ((fl & O_APPEND) || (flags & RWF_APPEND)) {
        struct stat st;
        lock(&gi->append_lock);
        n = host_fstat(fd, &st);
        if (n == 0) {
            *pos = (u64)st.st_size;
            n = write_some(gi, u, fd, pos);
        }
        unlock(&gi->append_lock);
    } else {
        n = write_some(gi, u, fd, pos);
    }
    if (n > 0 && ((fl & O_DSYNC) || (flags & (RWF_DSYNC | RWF_SYNC)))) {
        int err = ((fl & O_SYNC) == O_SYNC || (flags & RWF_SYNC) ? fsync(fd) : fdatasync(fd)) ? -errno : 0;
        if (err) return err;
    }
    return n;
}

static s64 llseek_op(struct file *f, s64 off, int whence)
{
    struct ginode *gi = GI(f->inode);
    int fd = gi_read_fd(gi) >= 0 ? gi_read_fd(gi) : gi_write_fd(gi);
    if (whence == SEEK_DATA || whence == SEEK_HOLE) {
        /* the host's position is nobody's: all I/O names its offset */
        off_t r = lseek(fd, off, whence);
        if (r < 0) return -errno;
        f->pos = (u64)r;
        return r;
    }
    u64 size = 0;
    if (whence == SEEK_END) {
        struct stat st;
        int err = host_fstat(fd, &st);
        if (err) return err;
        size = (u64)st.st_size;
    }
    return generic_llseek(f, off, whence, size, INT64_MAX);
}

static int fsync_op(struct file *f, bool data_only)
{
    struct ginode *gi = GI(f->inode);
    int fd = gi_write_fd(gi) >= 0 ? gi_write_fd(gi) : gi_read_fd(gi);
    return (data_only ? fdatasync(fd) : fsync(fd)) ? -errno : 0;
}

static int fallocate_op(struct file *f, int mode, u64 off, u64 len)
{
    struct ginode *gi = GI(f->inode);
    if (fallocate(gi_write_fd(gi), mode, (off_t)off, (off_t)len)) return -errno;
    if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) /* contents moved: private copies go as well */
        mappable_unmap(&f->inode->map, off >> GPAGE_SHIFT, (UINT64_MAX >> GPAGE_SHIFT) - (off >> GPAGE_SHIFT), true);
    gi_mark_stale(gi);
    return 0;
}

const struct file_ops gofer_file_fops = {
    .read = read_op, .write = write_op, .seekable = true, .llseek = llseek_op, .fsync = fsync_op, .fallocate = fallocate_op,
    .release = release_op,
};

const struct inode_ops gofer_file_iops = {
    .getattr = gofer_getattr, .setattr = gofer_setattr, .getxattr = gofer_getxattr, .setxattr = gofer_setxattr,
    .listxattr = gofer_listxattr, .removexattr = gofer_removexattr, .open = open_op, .d_revalidate = gofer_d_revalidate,
    .free = gi_free,
};

/* --- mappings: an open file is behind each, so the descriptors are there and stay --- */

static int page_op(struct mappable *m, u64 pgoff, bool write, struct backing *out)
{
    struct ginode *gi = GI(m->inode);
    int fd = write ? atomic_load(&gi->fds[GFD_RW]) : gi_read_fd(gi);
    struct stat st;
    if (fd < 0) return -ENXIO;
    int err = host_fstat(fd, &st);
    if (err) return err;
    if (pgoff >= gpage_up(st.st_size) >> GPAGE_SHIFT) return -ENXIO;
    *out = (struct backing){ .kind = BACKING_HOSTFD, .fd = fd, .fd_off = pgoff << GPAGE_SHIFT };
    return 0;
}

static u64 run_op(struct mappable *m, u64 pgoff, u64 max)
{
    struct ginode *gi = GI(m->inode);
    struct stat st;
    if (host_fstat(gi_read_fd(gi), &st)) return 1;
    u64 pages = gpage_up(st.st_size) >> GPAGE_SHIFT;
    return pgoff >= pages ? 1 : MIN(pages - pgoff, max);
}

const struct mappable_ops gofer_map_ops = { .page = page_op, .run = run_op };
