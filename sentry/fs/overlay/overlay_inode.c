/* overlay: attributes, links' text and extended attributes of any inode. */
#include "sentry/fs/overlay/overlay.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include <string.h>

static int ovl_setattr(struct inode *i, struct dentry *d, const struct kattr *a)
{
    if (!ovl_upper(i) && !d) return -EROFS;
    int r = d ? ovl_copy_up(d, !((a->valid & ATTR_SIZE) && a->size == 0)) : 0;
    if (r) return r;
    struct dentry *u = ovl_upper(i);
    r = u->inode->ops->setattr(u->inode, u, a);
    if (r == 0) ovl_refresh(i);
    return r;
}

static int ovl_readlink(struct inode *i, char **out)
{
    struct inode *real = ovl_real(i)->inode;
    if (!real->ops->readlink) return -EINVAL;
    inode_accessed(real, NULL);   /* times are the real link's */
    return real->ops->readlink(real, out);
}

static ssize_t ovl_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
    struct inode *real = ovl_real(i)->inode;
    if (ovl_private_xattr(name)) return -ENODATA;
    return real->ops->getxattr ? real->ops->getxattr(real, name, buf, size) : -EOPNOTSUPP;
}

static ssize_t ovl_listxattr(struct inode *i, char *buf, size_t size)
{
    struct inode *real = ovl_real(i)->inode;
    if (!real->ops->listxattr) return 0;
    AUTO_FREE char *all = xzalloc(KXATTR_SIZE_MAX);
    ssize_t n = real->ops->listxattr(real, all, KXATTR_SIZE_MAX);
    if (n <= 0) return n;
    size_t need = 0;
    for (ssize_t at = 0; at < n; at += (ssize_t)strlen(all + at) + 1) {
        size_t len = strlen(all + at) + 1;
        if (ovl_private_xattr(all + at)) continue;
        if (size && need + len <= size) memcpy(buf + need, all + at, len);
        need += len;
    }
    return size && need > size ? -ERANGE : (ssize_t)need;
}

static int ovl_prepare_change(struct inode *i UNUSED, struct dentry *d) { return ovl_copy_up(d, true); }

static int ovl_setxattr(struct inode *i, const char *name, const void *val, size_t size, int flags)
{
    struct dentry *u = ovl_upper(i);
    if (!u) return -EROFS;
    if (ovl_private_xattr(name)) return -EPERM;
    return u->inode->ops->setxattr(u->inode, name, val, size, flags);
}

static int ovl_removexattr(struct inode *i, const char *name)
{
    struct dentry *u = ovl_upper(i);
    if (!u) return -EROFS;
    if (ovl_private_xattr(name)) return -EPERM;
    return u->inode->ops->removexattr(u->inode, name);
}

/* A name of a lower that others may change is as true as the lower's. What is above is ours alone. */
int ovl_revalidate(struct dentry *d)
{
    if (!d->inode) return 0;
    struct dentry *lower = ovl_i(d->inode)->lower;
    if (!lower || lower->parent == lower) return 1;
    struct dentry *parent = dentry_parent_get(lower);
    int (*reval)(struct dentry *) = parent->inode->ops->d_revalidate;
    int r = reval ? reval(lower) : 1;
    dentry_put(parent);
    if (r > 0 && !ovl_upper(d->inode)) ovl_refresh(d->inode);
    return r;
}

#define OVL_COMMON \
    .getattr = ovl_getattr, .setattr = ovl_setattr, .getxattr = ovl_getxattr, .setxattr = ovl_setxattr, \
    .listxattr = ovl_listxattr, .removexattr = ovl_removexattr, .prepare_change = ovl_prepare_change, \
    .d_revalidate = ovl_revalidate, .free = ovl_inode_free

int ovl_file_open(struct inode *i, struct dentry *d, struct file *f);
const struct inode_ops ovl_inode_ops = { OVL_COMMON, .readlink = ovl_readlink, .open = ovl_file_open };

int ovl_dir_lookup(struct inode *dir, struct dentry *d);
int ovl_dir_create(struct inode *dir, struct dentry *d, u32 mode);
int ovl_dir_mkdir(struct inode *dir, struct dentry *d, u32 mode);
int ovl_dir_mknod(struct inode *dir, struct dentry *d, u32 mode, u64 rdev);
int ovl_dir_symlink(struct inode *dir, struct dentry *d, const char *target);
int ovl_dir_link(struct inode *dir, struct dentry *d, struct inode *target, struct dentry *target_d);
int ovl_dir_unlink(struct inode *dir, struct dentry *d);
int ovl_dir_rmdir(struct inode *dir, struct dentry *d);
int ovl_dir_rename(struct inode *odir, struct dentry *od, struct inode *ndir, struct dentry *nd, u32 flags);
int ovl_dir_tmpfile(struct inode *dir, u32 mode, struct inode **out);
const struct inode_ops ovl_dir_inode_ops = {
    OVL_COMMON, .lookup = ovl_dir_lookup, .create = ovl_dir_create, .mkdir = ovl_dir_mkdir, .mknod = ovl_dir_mknod,
    .symlink = ovl_dir_symlink, .link = ovl_dir_link, .unlink = ovl_dir_unlink, .rmdir = ovl_dir_rmdir,
    .rename = ovl_dir_rename, .tmpfile = ovl_dir_tmpfile,
};
