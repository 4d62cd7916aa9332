/* Inodes and supers: lifetime, permission bits, plain attributes. */
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/kernel/ns.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/acl.h"
#include "sentry/vfs/file.h"
#include <linux/capability.h>
#include <linux/fs.h>

static u64 next_ino = 1;
static u32 next_dev = 0x20;

u64 inode_next_ino(void) { return atomic_add(&next_ino, 1); }

void super_init(struct super *sb, const struct super_ops *ops, u32 magic)
{
    *sb = (struct super){ .ops = ops, .magic = magic };
    ref_init(&sb->refs);
    rwlock_init(&sb->rename_lock, LC_RENAME);
    sb->dev = atomic_add(&next_dev, 1);     /* major 0, as Linux numbers file systems without a device */
}

static lock_t options_lock = LOCK_INIT(LC_LEAF);

char *super_options(struct super *sb)
{
    lock(&options_lock);
    char *copy = xstrdup(sb->options ? sb->options : "");
    unlock(&options_lock);
    return copy;
}

void super_set_options(struct super *sb, char *text)
{
    lock(&options_lock);
    char *old = sb->options;
    sb->options = text;
    unlock(&options_lock);
    free(old);
}

void super_get(struct super *sb) { ref_get(&sb->refs); }

/*
 * The root inode's own reference on its super is not counted (dentry_new_root drops it), or no super would ever go.
 * When the last outside reference goes, that one is lent back while the root is released.
 */
void super_put(struct super *sb)
{
    if (!sb || !ref_put(&sb->refs)) return;
    if (sb->root) {
        struct dentry *root = sb->root;
        ref_init(&sb->refs);
        dentry_drop_children(root);     /* negative ones hold no inode, yet the tree */
        sb->root = NULL;
        dentry_put(root);
        return;
    }
    rwlock_fini(&sb->rename_lock);
    free(sb->options);
    free(sb->shown_root);
    if (sb->ops && sb->ops->free) sb->ops->free(sb);
    else free(sb);
}

void inode_init(struct inode *i, struct super *sb, const struct inode_ops *ops, const struct file_ops *fops, u64 ino, u32 mode)
{
    *i = (struct inode){ .ops = ops, .fops = fops, .sb = sb, .ino = ino, .mode = mode, .nlink = 1 };
    ref_init(&i->refs);
    if (sb) super_get(sb);
    lock_init(&i->lock, LC_INODE);
    mappable_init(&i->map, NULL, i);
    LIST_INIT(&i->marks);
    clock_gettime(CLOCK_REALTIME_COARSE, &i->ctime);
    i->atime = i->mtime = i->btime = i->ctime;
}

struct inode *inode_new(struct super *sb, const struct inode_ops *ops, const struct file_ops *fops, u64 ino, u32 mode)
{
    struct inode *i = xnew(struct inode);
    inode_init(i, sb, ops, fops, ino, mode);
    return i;
}

void inode_fini(struct inode *i)
{
    vfs_locks_free(i);
    acl_free(i);
    mappable_fini(&i->map);
    lock_fini(&i->lock);
    struct super *sb = i->sb;
    i->sb = NULL;
    super_put(sb);
}

void inode_get(struct inode *i) { ref_get(&i->refs); }

void inode_put(struct inode *i)
{
    if (!i || !ref_put(&i->refs)) return;
    if (i->ops && i->ops->free) {
        i->ops->free(i);
    } else {
        inode_fini(i);
        free(i);
    }
}

bool cred_inode_capable(const struct cred *c, const struct inode *i, int cap)
{
    if (!c->user_ns) return cred_capable(c, cap);
    return cred_ns_capable(c, c->user_ns, cap) && id_to_ns(c->user_ns, ID_UID, i->uid) != NO_ID && id_to_ns(c->user_ns, ID_GID, i->gid) != NO_ID;
}

bool inode_capable(const struct inode *i, int cap) { return !current || cred_inode_capable(current->cred, i, cap); }

int inode_permission(struct inode *i, int mask, const struct cred *c)
{
    u32 mode = i->mode;
    int by_list = 1;
    if (c->fsuid == i->uid) mode >>= 6;
    else if ((by_list = acl_permission(i, mask, c)) == 0) return 0;
    else if (cred_in_group(c, i->gid)) mode >>= 3;
    if (by_list > 0 && (mask & ~mode & (MAY_READ | MAY_WRITE | MAY_EXEC)) == 0) return 0;

    if (S_ISDIR(i->mode)) {
        if (!(mask & MAY_WRITE) && cred_inode_capable(c, i, CAP_DAC_READ_SEARCH)) return 0;
        return cred_inode_capable(c, i, CAP_DAC_OVERRIDE) ? 0 : -EACCES;
    }
    if (mask == MAY_READ && cred_inode_capable(c, i, CAP_DAC_READ_SEARCH)) return 0;
    /* Even CAP_DAC_OVERRIDE executes only what somebody may execute. */
    if ((!(mask & MAY_EXEC) || (i->mode & 0111)) && cred_inode_capable(c, i, CAP_DAC_OVERRIDE)) return 0;
    return -EACCES;
}

int inode_may(struct inode *i, int mask)
{
    if ((mask & MAY_WRITE) && (inode_flags(i) & FS_IMMUTABLE_FL)) return -EPERM;
    if (i->ops && i->ops->permission) return i->ops->permission(i, mask);
    return inode_permission(i, mask, current_cred());
}

bool inode_owner_or_capable(const struct inode *i)
{
    return current_cred()->fsuid == i->uid || inode_capable(i, CAP_FOWNER);
}

u32 inode_create_mode(const struct inode *dir, u32 mode)
{
    bool runs = (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
    if ((dir->mode & S_ISGID) && runs && !cred_in_group(current_cred(), dir->gid) && !inode_capable(dir, CAP_FSETID)) mode &= ~(u32)S_ISGID;
    return mode & 07777 & (acl_has_default(dir) ? ~0u : ~current->fs->umask);
}

void inode_init_owner(struct inode *i, const struct inode *dir, u32 mode)
{
    const struct cred *c = current_cred();
    i->uid = c->fsuid;
    i->gid = c->fsgid;
    if (dir && (dir->mode & S_ISGID)) {
        i->gid = dir->gid;
        if (S_ISDIR(mode)) mode |= S_ISGID;
    }
    i->mode = mode;
}

void inode_fill_stat(struct inode *i, struct kstat *st)
{
    *st = (struct kstat){ .dev = i->sb ? i->sb->dev : 0, .rdev = i->rdev, .ino = i->ino, .nlink = i->nlink,
        .size = i->size, .blocks = i->blocks, .mode = i->mode, .uid = i->uid, .gid = i->gid, .blksize = GPAGE_SIZE,
        .atime = i->atime, .mtime = i->mtime, .ctime = i->ctime, .btime = i->btime };
    st->has_btime = i->btime.tv_sec != 0;
    inode_fill_flags(i, st);
}

/* Without the lock: a torn time stamp is the worst that two writers at once can give. */
void inode_touch(struct inode *i, u32 which)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (which & ATTR_ATIME) i->atime = now;
    if (which & ATTR_MTIME) i->mtime = i->ctime = now;
}

int inode_get_write(struct inode *i)
{
    s32 v = atomic_load(&i->writers);
    do {
        if (v < 0) return -ETXTBSY;
    } while (!__atomic_compare_exchange_n(&i->writers, &v, v + 1, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    return 0;
}

void inode_put_write(struct inode *i) { (void)atomic_add(&i->writers, -1); }

int inode_deny_write(struct inode *i)
{
    s32 v = atomic_load(&i->writers);
    do {
        if (v > 0) return -ETXTBSY;
    } while (!__atomic_compare_exchange_n(&i->writers, &v, v - 1, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    return 0;
}

void inode_allow_write(struct inode *i) { (void)atomic_add(&i->writers, 1); }
