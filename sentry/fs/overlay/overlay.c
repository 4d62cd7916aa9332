/* overlay: the super, and the table that gives every file one inode however often it is looked up. */
#include "sentry/fs/overlay/overlay.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>

#define UPPER_KEY (1ULL << 63)

static int ovl_statfs(struct super *sb, struct dentry *d UNUSED, struct statfs *out)
{
    struct ovl_super *s = ovl_s(sb);
    int r = s->upper_sb->ops->statfs(s->upper_sb, s->upper_sb->root, out);
    out->f_type = OVERLAYFS_SUPER_MAGIC;
    return r;
}

static void unpin_all(struct ovl_super *s)
{
    for (;;) {
        struct inode *pinned = NULL;
        lock(&s->table_lock);
        for (struct ovl_inode *o = s->table; o && !pinned; o = o->hh.next) {
            pinned = o->pin;
            o->pin = NULL;
        }
        unlock(&s->table_lock);
        if (!pinned) return;
        inode_put(pinned);
    }
}

static void ovl_kill(struct super *sb) { unpin_all(ovl_s(sb)); }

static void ovl_free(struct super *sb)
{
    struct ovl_super *s = ovl_s(sb);
    mount_put(s->upper_mnt);
    mount_put(s->lower_mnt);
    super_put(s->upper_sb);
    super_put(s->lower_sb);
    lock_fini(&s->copy_lock);
    lock_fini(&s->table_lock);
    free(s);
}

static const struct super_ops ovl_super_ops = { .name = "overlay", .statfs = ovl_statfs, .free = ovl_free, .kill = ovl_kill };

/* trusted.* or, where the upper is the host's, user.*: see overlay.h */
static const char *upper_name(const struct inode *upper, const char *name, char buf[64])
{
    snprintf(buf, 64, "%s.%s", strcmp(upper->sb->ops->name, "gofer") ? "trusted" : "user", name);
    return buf;
}

ssize_t ovl_upper_getxattr(struct inode *upper, const char *name, void *buf, size_t size)
{
    char full[64];
    return upper->ops->getxattr ? upper->ops->getxattr(upper, upper_name(upper, name, full), buf, size) : -EOPNOTSUPP;
}

int ovl_upper_setxattr(struct inode *upper, const char *name, const void *val, size_t size)
{
    char full[64];
    return upper->ops->setxattr ? upper->ops->setxattr(upper, upper_name(upper, name, full), val, size, 0) : -EOPNOTSUPP;
}

u64 ovl_origin(struct inode *upper)
{
    u64 ino = 0;
    if (ovl_upper_getxattr(upper, OVL_ORIGIN, &ino, sizeof(ino)) != sizeof(ino)) return 0;
    return ino;
}

void ovl_refresh(struct inode *i)
{
    struct kstat st;
    struct inode *real = ovl_real(i)->inode;
    if (real->ops->getattr) {
        if (real->ops->getattr(real, &st)) return;
    } else {
        inode_fill_stat(real, &st);
    }
    i->mode = st.mode;
    i->uid = st.uid;
    i->gid = st.gid;
    i->nlink = (u32)st.nlink;
    i->rdev = st.rdev;
    i->size = st.size;
    i->blocks = st.blocks;
    i->atime = st.atime;
    i->mtime = st.mtime;
    i->ctime = st.ctime;
    i->btime = st.btime;
}

int ovl_getattr(struct inode *i, struct kstat *st)
{
    ovl_refresh(i);
    inode_fill_stat(i, st);
    return 0;
}

struct inode *ovl_inode_get(struct super *sb, struct dentry *upper, struct dentry *lower, bool opaque)
{
    struct ovl_super *s = ovl_s(sb);
    struct inode *real = (upper ? upper : lower)->inode;
    /* What is above has an origin if it was copied up; a new file that took a lower name is another file. */
    u64 origin = !upper || (lower && S_ISDIR(real->mode)) ? lower->inode->ino : ovl_origin(upper->inode);
    u64 key = origin ? origin : upper->inode->ino | UPPER_KEY;

    lock(&s->table_lock);
    struct ovl_inode *o;
    HASH_FIND(hh, s->table, &key, sizeof(key), o);
    if (o && ref_get_unless_zero(&o->vfs.refs)) {
        unlock(&s->table_lock);
        /* Directories carry their lower per name; files are the same whatever name led here. */
        ovl_refresh(&o->vfs);
        return &o->vfs;
    }
    if (o) {
        HASH_DEL(s->table, o);      /* dying: it leaves the place to its successor */
        o->hashed = false;
    }
    unlock(&s->table_lock);

    o = xnew(struct ovl_inode);
    bool dir = S_ISDIR(real->mode);
    inode_init(&o->vfs, sb, dir ? &ovl_dir_inode_ops : &ovl_inode_ops, dir ? &ovl_dir_ops : S_ISREG(real->mode) ? &ovl_file_ops : NULL,
        origin ? origin : upper->inode->ino + UPPER_INO, real->mode);
    o->key = key;
    o->upper = upper;
    o->lower = lower;
    o->opaque = opaque;
    if (upper) dentry_get(upper);
    if (lower) dentry_get(lower);
    ovl_refresh(&o->vfs);

    struct ovl_inode *other;
    lock(&s->table_lock);
    HASH_FIND(hh, s->table, &key, sizeof(key), other);
    if (other && ref_get_unless_zero(&other->vfs.refs)) {
        unlock(&s->table_lock);
        inode_put(&o->vfs);
        return &other->vfs;
    }
    if (other) {
        HASH_DEL(s->table, other);
        other->hashed = false;
    }
    HASH_ADD(hh, s->table, key, sizeof(o->key), o);
    o->hashed = true;
    unlock(&s->table_lock);
    return &o->vfs;
}

void ovl_inode_free(struct inode *i)
{
    struct ovl_inode *o = ovl_i(i);
    struct ovl_super *s = ovl_s(i->sb);
    lock(&s->table_lock);
    if (o->hashed) HASH_DEL(s->table, o);
    o->hashed = false;
    unlock(&s->table_lock);
    dentry_put(o->upper);
    dentry_put(o->lower);
    inode_fini(i);
    free(o);
}

int overlay_new(struct super *lower, struct dentry *lower_root, struct super *upper, struct super **out)
{
    struct ovl_super *s = xnew(struct ovl_super);
    super_init(&s->sb, &ovl_super_ops, OVERLAYFS_SUPER_MAGIC);
    s->sb.case_cache_forever = lower->case_cache_forever;
    super_get(lower);
    super_get(upper);
    s->lower_sb = lower;
    s->upper_sb = upper;
    s->lower_mnt = mount_new_internal(lower);
    s->upper_mnt = mount_new_internal(upper);
    lock_init(&s->copy_lock, LC_INODE);
    lock_init(&s->table_lock, LC_LEAF);
    /* The merged root has the lower root's owner and mode. */
    struct inode *ur = upper->root->inode, *lr = lower_root->inode;
    struct kstat st;
    if (lr->ops->getattr) {
        if (lr->ops->getattr(lr, &st) == 0) ur->mode = st.mode, ur->uid = st.uid, ur->gid = st.gid;
    } else {
        ur->mode = lr->mode;
        ur->uid = lr->uid;
        ur->gid = lr->gid;
    }
    s->sb.root = dentry_new_root(&s->sb, ovl_inode_get(&s->sb, upper->root, lower_root, false));
    *out = &s->sb;
    return 0;
}
