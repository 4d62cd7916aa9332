/* Requests on attributes: setattr, statfs, extended attributes. */
#include "gofer/gofer.h"
#include "sentry/base/hostcall.h"
#include <string.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

HOSTCALL(truncate, "size of a file the sentry has no descriptor of");
HOSTCALL(utimensat, "file times");
HOSTCALL(getxattr, "user.* attributes");
HOSTCALL(setxattr, "user.* attributes");
HOSTCALL(listxattr, "user.* attributes");
HOSTCALL(removexattr, "user.* attributes");

static bool time_ok(const struct gofer_time *t) { return t->nsec < NSEC_PER_SEC; }

int op_setattr(struct gofer_req *r)
{
    struct cursor c = { r->in, r->len };
    struct gofer_setattr_req q;
    if (!cur_fixed(&c, &q, sizeof q) || c.left || (q.valid & ~GOFER_SET_ALL)) return -EBADMSG;
    if ((q.valid & GOFER_SET_MODE && q.mode & ~07777u) || (q.valid & GOFER_SET_SIZE && q.size > INT64_MAX) ||
        (q.valid & GOFER_SET_ATIME && !time_ok(&q.atime)) || (q.valid & GOFER_SET_MTIME && !time_ok(&q.mtime)))
        return -EBADMSG;
    AUTO_NODE struct gofer_node_entry *n = node_get(q.h);
    if (!n) return -EBADF;
    if (node_is_ro(n)) return -EROFS;
    int may = node_may(n, PR_WRITE);
    if (may) return may;
    struct fd_name name = gofer_fd_name(n->fd);

    if (q.valid & GOFER_SET_MODE && q.mode & (S_ISUID | S_ISGID) && !(gofer_root_get(n->root)->flags & PLAN_ROOT_ALLOW_SUID)) {
        /* bits that are there may stay; new ones on files are a way to host users */
        struct gofer_attr a;
        int err = node_attr(n->fd, &a);
        if (err) return err;
        u32 added = q.mode & ~a.mode;
        if (added & S_ISUID || (added & S_ISGID && n->mode != S_IFDIR)) return -EPERM;
    }
    if (q.valid & GOFER_SET_SIZE) {
        if (n->mode == S_IFDIR) return -EISDIR;
        if (n->mode != S_IFREG) return -EINVAL;
        if (truncate(name.s, (off_t)q.size)) return -errno;
    }
    if (q.valid & (GOFER_SET_UID | GOFER_SET_GID)) {
        u32 uid = q.valid & GOFER_SET_UID ? q.uid : (u32)-1, gid = q.valid & GOFER_SET_GID ? q.gid : (u32)-1;
        if (fchownat(n->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) return errno == EINVAL ? -EOVERFLOW : -errno;
    }
    if (q.valid & GOFER_SET_MODE) {
        if (n->mode == S_IFLNK) return -EOPNOTSUPP;
        if (fchmodat(gofer_proc_fd(), name.s, q.mode, 0)) return -errno;
    }
    if (q.valid & (GOFER_SET_ATIME | GOFER_SET_MTIME | GOFER_SET_ATIME_NOW | GOFER_SET_MTIME_NOW)) {
        struct timespec ts[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } };
        if (q.valid & GOFER_SET_ATIME) ts[0] = (struct timespec){ q.atime.sec, q.atime.nsec };
        if (q.valid & GOFER_SET_MTIME) ts[1] = (struct timespec){ q.mtime.sec, q.mtime.nsec };
        if (q.valid & GOFER_SET_ATIME_NOW) ts[0].tv_nsec = UTIME_NOW;
        if (q.valid & GOFER_SET_MTIME_NOW) ts[1].tv_nsec = UTIME_NOW;
        if (utimensat(gofer_proc_fd(), name.s, ts, 0)) return -errno;
    }
    return reply_node(r, n, 0, NULL);
}

int op_statfs(struct gofer_req *r)
{
    struct cursor c = { r->in, r->len };
    gofer_handle h;
    if (!cur_fixed(&c, &h, sizeof h) || c.left) return -EBADMSG;
    AUTO_NODE struct gofer_node_entry *n = node_get(h);
    if (!n) return -EBADF;
    struct statfs sf;
    if (fstatfs(n->fd, &sf)) return -errno;
    struct gofer_statfs_rep *o = reply_add(r, sizeof *o);
    *o = (struct gofer_statfs_rep){ .type = (u64)sf.f_type, .bsize = (u64)sf.f_bsize, .blocks = sf.f_blocks,
                                    .bfree = sf.f_bfree, .bavail = sf.f_bavail, .files = sf.f_files, .ffree = sf.f_ffree,
                                    .namelen = (u64)sf.f_namelen, .frsize = (u64)sf.f_frsize, .flags = (u64)sf.f_flags };
    return 0;
}

/*
 * Only user.* passes: security.* and trusted.* act on the host, and the sentry does not interpret ACLs (system.*).
 * Symlinks and special files have no user.* attributes (xattr(7)).
 */
static int xattr_begin(struct gofer_req *r, struct cursor *c, struct gofer_xattr_req *q, const char **name, bool write,
                       struct gofer_node_entry **n)
{
    *c = (struct cursor){ r->in, r->len };
    if (!cur_fixed(c, q, sizeof *q) || q->size > GOFER_PAYLOAD_MAX) return -EBADMSG;
    if (name) {
        *name = cur_str(c, GOFER_XATTR_NAME_MAX);
        if (!*name) return -EBADMSG;
    }
    *n = node_get(q->h);
    if (!*n) return -EBADF;
    if (write && node_is_ro(*n)) return -EROFS;
    int may = node_may(*n, write ? PR_WRITE : PR_READ);
    if (may) return may;
    if (name && strncmp(*name, "user.", 5)) return -EOPNOTSUPP;
    if (name && (*n)->mode != S_IFREG && (*n)->mode != S_IFDIR) return write ? -EPERM : -ENODATA;
    return 0;
}

int op_getxattr(struct gofer_req *r)
{
    struct cursor c;
    struct gofer_xattr_req q;
    const char *name;
    AUTO_NODE struct gofer_node_entry *n = NULL;
    int err = xattr_begin(r, &c, &q, &name, false, &n);
    if (err) return err;
    if (c.left) return -EBADMSG;
    ssize_t len = getxattr(gofer_fd_name(n->fd).s, name, r->out, GOFER_PAYLOAD_MAX);
    if (len < 0) return -errno;
    r->out_len = (u32)len;
    return 0;
}

int op_setxattr(struct gofer_req *r)
{
    struct cursor c;
    struct gofer_xattr_req q;
    const char *name;
    AUTO_NODE struct gofer_node_entry *n = NULL;
    int err = xattr_begin(r, &c, &q, &name, true, &n);
    if (err) return err;
    if (c.left != q.size || (q.flags & ~(u32)(XATTR_CREATE | XATTR_REPLACE))) return -EBADMSG;
    return setxattr(gofer_fd_name(n->fd).s, name, c.p, q.size, (int)q.flags) ? -errno : 0;
}

int op_listxattr(struct gofer_req *r)
{
    struct cursor c;
    struct gofer_xattr_req q;
    AUTO_NODE struct gofer_node_entry *n = NULL;
    int err = xattr_begin(r, &c, &q, NULL, false, &n);
    if (err) return err;
    if (c.left) return -EBADMSG;
    if (n->mode != S_IFREG && n->mode != S_IFDIR) return 0;
    char *names = (char *)r->out;
    ssize_t len = listxattr(gofer_fd_name(n->fd).s, names, GOFER_PAYLOAD_MAX);
    if (len < 0) return errno == EOPNOTSUPP ? 0 : -errno;
    u32 kept = 0;
    for (ssize_t at = 0; at < len;) {
        size_t l = strlen(names + at) + 1;
        if (!strncmp(names + at, "user.", 5)) {
            memmove(names + kept, names + at, l);
            kept += (u32)l;
        }
        at += (ssize_t)l;
    }
    r->out_len = kept;
    return 0;
}

int op_removexattr(struct gofer_req *r)
{
    struct cursor c;
    struct gofer_xattr_req q;
    const char *name;
    AUTO_NODE struct gofer_node_entry *n = NULL;
    int err = xattr_begin(r, &c, &q, &name, true, &n);
    if (err) return err;
    if (c.left) return -EBADMSG;
    return removexattr(gofer_fd_name(n->fd).s, name) ? -errno : 0;
}
