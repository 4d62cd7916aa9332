/* Extended attributes of tmpfs. The VFS has checked who may; here they are only kept. */
#include "sentry/base/alloc.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/acl.h"
#include <linux/capability.h>
#include <string.h>
#include <sys/xattr.h>

#define XATTR_TOTAL_MAX (1u << 20)     /* a file's attributes together: they are the sentry's memory, not the guest's */

static bool known_space(const char *name)
{
    return !strncmp(name, "user.", 5) || !strncmp(name, "security.", 9) || !strncmp(name, "trusted.", 8);
}

static struct tmpfs_xattr *find(struct tmpfs_inode *t, const char *name)
{
    struct tmpfs_xattr *x;
    LIST_FOREACH(x, &t->xattrs, link)
        if (!strcmp(x->name, name)) return x;
    return NULL;
}

/* simple_xattr_space() */
static u64 space(const char *name, size_t size) { return sizeof(struct tmpfs_xattr) + strlen(name) + 1 + size; }

/* What comes, before what goes is given back. */
static bool charge(struct tmpfs_super *s, u64 n)
{
    (void)atomic_add(&s->xattr_bytes, n);
    if (tmpfs_inodes_taken(s) <= tmpfs_inode_limit(s)) return true;
    (void)atomic_add(&s->xattr_bytes, -n);
    return false;
}

static void xattr_free(struct tmpfs_super *s, struct tmpfs_xattr *x)
{
    (void)atomic_add(&s->xattr_bytes, -space(x->name, x->size));
    LIST_REMOVE(x, link);
    free(x->name);
    free(x->value);
    free(x);
}

ssize_t tmpfs_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
    if (!known_space(name)) return -EOPNOTSUPP;
    lock(&i->lock);
    struct tmpfs_xattr *x = find(tmpfs_i(i), name);
    ssize_t r = !x ? -ENODATA : size && size < x->size ? -ERANGE : (ssize_t)x->size;
    if (r > 0 && size) memcpy(buf, x->value, x->size);
    unlock(&i->lock);
    return r;
}

int tmpfs_setxattr(struct inode *i, const char *name, const void *val, size_t size, int flags)
{
    if (!known_space(name)) return -EOPNOTSUPP;
    struct tmpfs_inode *t = tmpfs_i(i);
    int r = 0;
    lock(&i->lock);
    struct tmpfs_xattr *x = find(t, name), *y;
    size_t total = size + strlen(name);
    LIST_FOREACH(y, &t->xattrs, link)
        if (y != x) total += y->size + strlen(y->name);
    if (x && (flags & XATTR_CREATE)) r = -EEXIST;
    else if (!x && (flags & XATTR_REPLACE)) r = -ENODATA;
    else if (total > XATTR_TOTAL_MAX || !charge(tmpfs_s(i->sb), space(name, size))) r = -ENOSPC;
    else {
        u8 *copy = xzalloc(size ? size : 1);
        if (size) memcpy(copy, val, size);
        if (!x) {
            x = xnew(struct tmpfs_xattr);
            x->name = xstrdup(name);
            LIST_INSERT_HEAD(&t->xattrs, x, link);
        } else {
            (void)atomic_add(&tmpfs_s(i->sb)->xattr_bytes, -space(name, x->size));
        }
        free(x->value);
        x->value = copy;
        x->size = size;
        clock_gettime(CLOCK_REALTIME_COARSE, &i->ctime);
    }
    unlock(&i->lock);
    return r;
}

ssize_t tmpfs_listxattr(struct inode *i, char *buf, size_t size)
{
    bool admin = capable(CAP_SYS_ADMIN);
    size_t need = acl_listxattr(i, buf, size);
    lock(&i->lock);
    struct tmpfs_xattr *x;
    LIST_FOREACH(x, &tmpfs_i(i)->xattrs, link) {
        if (!admin && !strncmp(x->name, "trusted.", 8)) continue;
        size_t n = strlen(x->name) + 1;
        if (size && need + n <= size) memcpy(buf + need, x->name, n);
        need += n;
    }
    unlock(&i->lock);
    return size && need > size ? -ERANGE : (ssize_t)need;
}

int tmpfs_removexattr(struct inode *i, const char *name)
{
    if (!known_space(name)) return -EOPNOTSUPP;
    lock(&i->lock);
    struct tmpfs_xattr *x = find(tmpfs_i(i), name);
    if (x) {
        xattr_free(tmpfs_s(i->sb), x);
        clock_gettime(CLOCK_REALTIME_COARSE, &i->ctime);
    }
    unlock(&i->lock);
    return x ? 0 : -ENODATA;
}

void tmpfs_xattrs_free(struct tmpfs_inode *t)
{
    while (!LIST_EMPTY(&t->xattrs)) xattr_free(tmpfs_s(t->vfs.sb), LIST_FIRST(&t->xattrs));
}
