/*
 * Copy-up: parents first, then the object with its data, attributes and extended attributes. A regular file is filled
 * in an unnamed upper file and only linked in when whole, so nobody sees a half copy.
 */
#include "sentry/fs/overlay/overlay.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include <string.h>

#define COPY_CHUNK (256u * 1024)

static int copy_data(struct ovl_super *s, struct dentry *lower, struct dentry *upper, u64 size)
{
    struct file *in = NULL, *out = NULL;
    int r = vfs_open_nocheck(&(struct path){ s->lower_mnt, lower }, O_RDONLY, &in);
    if (r) return r;
    r = vfs_open_nocheck(&(struct path){ s->upper_mnt, upper }, O_WRONLY, &out);
    if (r) {
        file_put(in);
        return r;
    }
    u8 *buf = xzalloc(COPY_CHUNK);
    u64 pos = 0;
    while (r == 0 && pos < size) {
        ssize_t n = vfs_kernel_read(in, buf, MIN(size - pos, (u64)COPY_CHUNK), pos);
        if (n <= 0) {
            r = (int)n;
            break;
        }
        struct uio u;
        uio_init_kernel(&u, buf, (size_t)n);
        /* Below RLIMIT_FSIZE and suid rules: this is the file system's doing, not the task's. */
        while (r == 0 && u.resid) {
            ssize_t w = out->ops->write(out, &u, &pos, 0);
            if (w <= 0) r = w ? (int)w : -EIO;
        }
        uio_fini(&u);
    }
    free(buf);
    file_put(in);
    file_put(out);
    return r;
}

static void copy_xattrs(struct inode *from, struct inode *to)
{
    if (!from->ops->listxattr || !from->ops->getxattr) return;
    ssize_t n = from->ops->listxattr(from, NULL, 0);
    if (n <= 0 || n > KXATTR_SIZE_MAX) return;
    AUTO_FREE char *names = xzalloc((size_t)n + 1);
    AUTO_FREE char *val = xzalloc(KXATTR_SIZE_MAX);
    n = from->ops->listxattr(from, names, (size_t)n);
    for (ssize_t at = 0; at < n; at += (ssize_t)strlen(names + at) + 1) {
        ssize_t len = from->ops->getxattr(from, names + at, val, KXATTR_SIZE_MAX);
        /* What tmpfs does not keep (POSIX ACLs) is left behind. */
        if (len >= 0) (void)to->ops->setxattr(to, names + at, val, (size_t)len, 0);
    }
}

static void copy_attrs(const struct kstat *st, struct inode *to)
{
    struct kattr a = { .valid = ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME | (S_ISLNK(st->mode) ? 0 : ATTR_MODE), .mode = st->mode,
        .uid = st->uid, .gid = st->gid, .atime = st->atime, .mtime = st->mtime };
    (void)to->ops->setattr(to, NULL, &a);
}

static int make_upper(struct ovl_super *s, struct dentry *updir, const char *name, struct dentry *lower, const struct kstat *st,
    bool with_data, bool linked, struct dentry **out)
{
    struct inode *dir = updir->inode;
    struct dentry *d;
    if (!linked && !S_ISREG(st->mode)) return -ENOENT;
    int r = ovl_upper_child(updir, name, &d);
    if (r) return r;
    if (d->inode && linked) {
        dentry_put(d);
        return -EEXIST;
    }
    char *target = NULL;
    struct inode *tmp = NULL;
    switch (st->mode & S_IFMT) {
    case S_IFREG: {
        r = dir->ops->tmpfile(dir, S_IFREG | (st->mode & 07777), &tmp);
        if (r) break;
        inode_get(tmp);
        struct dentry *td = dentry_new_disconnected(dir->sb, name, tmp, true);
        if (with_data) r = copy_data(s, lower, td, st->size);
        if (r == 0 && linked) {
            lock(&dir->lock);
            r = dir->ops->link(dir, d, tmp, td);
            unlock(&dir->lock);
        } else if (r == 0) {
            /* The name is gone already: the copy lives as long as who has it open. */
            dentry_put(d);
            d = td;
            dentry_get(d);
        }
        dentry_put(td);
        break;
    }
    case S_IFDIR:
        lock(&dir->lock);
        r = dir->ops->mkdir(dir, d, st->mode);
        unlock(&dir->lock);
        break;
    case S_IFLNK:
        r = lower->inode->ops->readlink ? lower->inode->ops->readlink(lower->inode, &target) : -EINVAL;
        if (r < 0) break;
        lock(&dir->lock);
        r = dir->ops->symlink(dir, d, target);
        unlock(&dir->lock);
        break;
    default:
        lock(&dir->lock);
        r = dir->ops->mknod(dir, d, st->mode, st->rdev);
        unlock(&dir->lock);
        break;
    }
    free(target);
    inode_put(tmp);
    if (r < 0) {
        dentry_put(d);
        return r;
    }
    copy_xattrs(lower->inode, d->inode);
    copy_attrs(st, d->inode);
    u64 ino = lower->inode->ino;
    (void)ovl_upper_setxattr(d->inode, OVL_ORIGIN, &ino, sizeof(ino));
    struct ovl_base base = { .ino = ino, .size = st->size, .mtime_sec = st->mtime.tv_sec, .mtime_nsec = st->mtime.tv_nsec };
    (void)ovl_upper_setxattr(d->inode, OVL_BASE, &base, sizeof(base));
    *out = d;
    return 0;
}

static int copy_up_one(struct ovl_super *s, struct dentry *d, struct dentry *parent, bool with_data)
{
    struct inode *i = d->inode;
    struct ovl_inode *o = ovl_i(i);
    struct dentry *updir = ovl_upper(parent->inode), *up = NULL;
    if (!updir || !o->lower) return -EIO;
    struct kstat st;
    struct inode *li = o->lower->inode;
    int r = 0;
    if (li->ops->getattr) r = li->ops->getattr(li, &st);
    else inode_fill_stat(li, &st);
    if (r) return r;
    struct timespec at = updir->inode->mtime;
    AUTO_FREE char *name = dentry_name_dup(d);
    r = make_upper(s, updir, name, o->lower, &st, with_data, !d->deleted, &up);
    if (r) return r;
    /* The directory's own times do not change by this. */
    updir->inode->mtime = at;
    atomic_store(&o->upper, up);
    if (!S_ISDIR(st.mode) && st.nlink > 1) {
        /* Other names below must lead to this copy too: keep the inode findable for as long as the mount lives. */
        lock(&s->table_lock);
        if (!o->pin) {
            inode_get(i);
            o->pin = i;
        }
        unlock(&s->table_lock);
    }
    ovl_refresh(i);
    return 0;
}

int ovl_copy_up(struct dentry *d, bool with_data)
{
    struct ovl_super *s = ovl_s(d->sb);
    if (ovl_upper(d->inode)) return 0;
    int r = 0;
    lock(&s->copy_lock);
    while (r == 0 && !ovl_upper(d->inode)) {
        /* The highest ancestor that is not above yet. */
        struct dentry *c = d, *p;
        dentry_get(c);
        for (;;) {
            p = dentry_parent_get(c);
            if (p == c || ovl_upper(p->inode)) break;
            dentry_put(c);
            c = p;
        }
        r = p == c ? -EIO : copy_up_one(s, c, p, with_data || c != d);
        dentry_put(c);
        dentry_put(p);
    }
    unlock(&s->copy_lock);
    return r;
}

int ovl_copy_up_name(struct dentry *d)
{
    int r = ovl_copy_up(d, true);
    if (r) return r;
    struct dentry *parent = dentry_parent_get(d), *ud = NULL;
    if (parent != d) {
        r = ovl_copy_up(parent, true);
        struct dentry *updir = ovl_upper(parent->inode), *src = ovl_upper(d->inode);
        if (r == 0) r = ovl_upper_child(updir, d->name, &ud);
        if (r == 0 && !ud->inode) {
            lock(&updir->inode->lock);
            r = updir->inode->ops->link(updir->inode, ud, src->inode, src);
            unlock(&updir->inode->lock);
        }
        dentry_put(ud);
    }
    dentry_put(parent);
    return r;
}
