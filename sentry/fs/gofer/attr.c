/* Attributes, extended attributes, statfs. */
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include <string.h>
#include <unistd.h>

HOSTCALL(ftruncate, "size of files that are open for writing");

int gofer_getattr(struct inode *ino, struct kstat *st)
{
    struct ginode *gi = GI(ino);
    bool has_fd = gi_read_fd(gi) >= 0 || gi_write_fd(gi) >= 0;
    if (has_fd || !gi_attrs_fresh(gi)) {
        int err = gi_refresh(gi);
        if (err) return err;
    }
    lock(&gi->lock);
    inode_fill_stat(ino, st);
    unlock(&gi->lock);
    st->dev = gi_dev(gi);
    return 0;
}

static int set_size(struct ginode *gi, u64 size)
{
    gi_pin(gi);
    int fd = gi_write_fd(gi), err;
    if (fd >= 0) {
        err = size > INT64_MAX ? -EFBIG : ftruncate(fd, (off_t)size) ? -errno : 0;
    } else {
        struct gofer_setattr_req q = { .h = gi->h, .valid = GOFER_SET_SIZE, .size = size };
        struct gofer_node n;
        size_t len = sizeof n;
        err = size > INT64_MAX ? -EFBIG : gofer_call_simple(gi_client(gi), GOFER_SETATTR, &q, sizeof q, NULL, NULL, &n, &len, NULL);
    }
    gi_unpin(gi);
    return err;
}

int gofer_setattr(struct inode *ino, struct dentry *d UNUSED, const struct kattr *a)
{
    struct ginode *gi = GI(ino);
    u32 valid = a->valid;
    struct gofer_setattr_req q = { .h = gi->h, .mode = a->mode & 07777, .uid = a->uid, .gid = a->gid,
                                   .atime = { a->atime.tv_sec, (u32)a->atime.tv_nsec, 0 },
                                   .mtime = { a->mtime.tv_sec, (u32)a->mtime.tv_nsec, 0 } };
    if (valid & ATTR_SIZE) {
        if (S_ISDIR(ino->mode)) return -EISDIR;
        if (!S_ISREG(ino->mode)) return -EINVAL;
        u64 first = gpage_up(a->size) >> GPAGE_SHIFT;
        /* before, so that nobody sees pages about to vanish; after, for what was mapped in between */
        mappable_unmap(&ino->map, first, (UINT64_MAX >> GPAGE_SHIFT) - first, true);
        int err = set_size(gi, a->size);
        if (err) return err;
        mappable_unmap(&ino->map, first, (UINT64_MAX >> GPAGE_SHIFT) - first, true);
        lock(&gi->lock);
        ino->size = a->size;
        gi->stale = true;
        unlock(&gi->lock);
        if (valid & ATTR_MTIME_NOW) valid &= ~(ATTR_MTIME | ATTR_MTIME_NOW); /* the host's truncate did that */
    }
    if (valid & ATTR_KILL_SUID && !(valid & ATTR_MODE)) {
        u32 kill = ino->mode & (S_ISUID | ((ino->mode & S_IXGRP) ? S_ISGID : 0));
        if (kill && S_ISREG(ino->mode)) {
            q.mode = ino->mode & 07777 & ~kill;
            valid |= ATTR_MODE;
        }
    }
    q.valid = valid & (GOFER_SET_ALL & ~GOFER_SET_SIZE);
    _Static_assert(ATTR_MODE == GOFER_SET_MODE && ATTR_UID == GOFER_SET_UID && ATTR_GID == GOFER_SET_GID &&
                   ATTR_ATIME == GOFER_SET_ATIME && ATTR_MTIME == GOFER_SET_MTIME &&
                   ATTR_ATIME_NOW == GOFER_SET_ATIME_NOW && ATTR_MTIME_NOW == GOFER_SET_MTIME_NOW, "passed on as they are");
    if (!q.valid) return 0;
    if (q.valid & GOFER_SET_ATIME_NOW) q.valid &= ~GOFER_SET_ATIME;
    if (q.valid & GOFER_SET_MTIME_NOW) q.valid &= ~GOFER_SET_MTIME;
    struct { struct gofer_node n; char target[GOFER_LINK_MAX + 8]; } rep;
    size_t len = sizeof rep;
    int err = gofer_call_simple(gi_client(gi), GOFER_SETATTR, &q, sizeof q, NULL, NULL, &rep, &len, NULL);
    if (!err && len < sizeof rep.n) err = -EIO;
    if (!err) gi_apply(gi, &rep.n.attr);
    return err;
}

ssize_t gofer_getxattr(struct inode *ino, const char *name, void *buf, size_t size)
{
    struct ginode *gi = GI(ino);
    struct gofer_xattr_req q = { .h = gi->h, .size = (u32)MIN(size, (size_t)GOFER_PAYLOAD_MAX) };
    if (strlen(name) > GOFER_XATTR_NAME_MAX) return -ERANGE;
    AUTO_FREE u8 *rep = xzalloc(GOFER_PAYLOAD_MAX);
    size_t len = GOFER_PAYLOAD_MAX;
    int err = gofer_call_simple(gi_client(gi), GOFER_GETXATTR, &q, sizeof q, name, NULL, rep, &len, NULL);
    if (err) return err;
    if (!size) return (ssize_t)len;
    if (len > size) return -ERANGE;
    memcpy(buf, rep, len);
    return (ssize_t)len;
}

int gofer_setxattr(struct inode *ino, const char *name, const void *val, size_t size, int flags)
{
    struct ginode *gi = GI(ino);
    if (strlen(name) > GOFER_XATTR_NAME_MAX) return -ERANGE;
    if (size > GOFER_XATTR_VALUE_MAX) return -E2BIG;
    struct gofer_xattr_req q = { .h = gi->h, .flags = (u32)flags, .size = (u32)size };
    struct iovec parts[3] = { { &q, sizeof q }, { (void *)(uintptr_t)name, strlen(name) + 1 }, { (void *)(uintptr_t)val, size } };
    int err = gofer_call(gi_client(gi), GOFER_SETXATTR, parts, 3, NULL, NULL, NULL);
    if (!err) gi_mark_stale(gi);
    return err;
}

ssize_t gofer_listxattr(struct inode *ino, char *buf, size_t size)
{
    struct ginode *gi = GI(ino);
    struct gofer_xattr_req q = { .h = gi->h };
    AUTO_FREE u8 *rep = xzalloc(GOFER_PAYLOAD_MAX);
    size_t len = GOFER_PAYLOAD_MAX;
    int err = gofer_call_simple(gi_client(gi), GOFER_LISTXATTR, &q, sizeof q, NULL, NULL, rep, &len, NULL);
    if (err) return err;
    if (!size) return (ssize_t)len;
    if (len > size) return -ERANGE;
    memcpy(buf, rep, len);
    return (ssize_t)len;
}

int gofer_removexattr(struct inode *ino, const char *name)
{
    struct ginode *gi = GI(ino);
    struct gofer_xattr_req q = { .h = gi->h };
    if (strlen(name) > GOFER_XATTR_NAME_MAX) return -ERANGE;
    int err = gofer_call_simple(gi_client(gi), GOFER_REMOVEXATTR, &q, sizeof q, name, NULL, NULL, NULL, NULL);
    if (!err) gi_mark_stale(gi);
    return err;
}

int gofer_statfs(struct super *sb, struct dentry *d, struct statfs *out)
{
    struct dentry *at = d && d->inode ? d : sb->root;
    struct ginode *gi = GI(at->inode);
    struct gofer_statfs_rep r;
    size_t len = sizeof r;
    int err = gofer_call_simple(gi_client(gi), GOFER_STATFS, &gi->h, sizeof gi->h, NULL, NULL, &r, &len, NULL);
    if (!err && len != sizeof r) err = -EIO;
    if (err) return err;
    memset(out, 0, sizeof *out);
    out->f_type = (__fsword_t)r.type;
    out->f_bsize = (__fsword_t)r.bsize;
    out->f_blocks = r.blocks;
    out->f_bfree = r.bfree;
    out->f_bavail = r.bavail;
    out->f_files = r.files;
    out->f_ffree = r.ffree;
    out->f_namelen = (__fsword_t)r.namelen;
    out->f_frsize = (__fsword_t)r.frsize;
    return 0;
}

int gofer_readlink(struct inode *ino, char **out)
{
    struct ginode *gi = GI(ino);
    if (!gi->target) return -EINVAL;
    *out = xstrdup(gi->target); /* the text of a symlink never changes */
    return 0;
}

const struct inode_ops gofer_link_iops = {
    .readlink = gofer_readlink, .getattr = gofer_getattr, .setattr = gofer_setattr, .getxattr = gofer_getxattr,
    .setxattr = gofer_setxattr, .listxattr = gofer_listxattr, .removexattr = gofer_removexattr,
    .d_revalidate = gofer_d_revalidate, .free = gi_free,
};
