/* rename(2), renameat2(2). Source: the man pages and vfs_rename, do_renameat2 in the Linux tree. */
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/task.h"
#include "sentry/landlock/landlock.h"
#include "sentry/policy/policy.h"
#include "sentry/vfs/walk.h"
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

static u32 next_cookie;

/* Directories are locked ancestor first, else by address; needs the rename lock when they differ. */
void dirs_lock_two(struct dentry *a, struct dentry *b)
{
    if (a->inode == b->inode) {
        lock(&a->inode->lock);
        return;
    }
    bool a_first = dentry_is_ancestor(a, b) || (!dentry_is_ancestor(b, a) && a->inode < b->inode);
    lock(&(a_first ? a : b)->inode->lock);
    lock(&(a_first ? b : a)->inode->lock);
}

void dirs_unlock_two(struct dentry *a, struct dentry *b)
{
    unlock(&a->inode->lock);
    if (a->inode != b->inode) unlock(&b->inode->lock);
}

static int last_is_name(const struct walk *w) { return w->last_type == WALK_LAST_NORM ? 0 : -EBUSY; }

static int check_locked(struct walk *ow, struct walk *nw, struct dentry *od, struct dentry *nd, u32 flags)
{
    struct inode *odir = ow->cur.dentry->inode, *ndir = nw->cur.dentry->inode, *i = od->inode, *t = nd->inode;
    bool exchange = flags & RENAME_EXCHANGE;
    if (!i || !od->hashed) return -ENOENT;
    if ((flags & RENAME_NOREPLACE) && t) return -EEXIST;
    if (exchange && !t) return -ENOENT;
    bool is_dir = S_ISDIR(i->mode), t_dir = t && S_ISDIR(t->mode);
    if (ow->trailing && !is_dir) return -ENOTDIR;
    if (exchange ? nw->trailing && !t_dir : nw->trailing && !is_dir) return -ENOTDIR;
    /* Into itself, and (for the target) onto one of its own ancestors. */
    if (od == nw->cur.dentry || (is_dir && dentry_is_ancestor(od, nw->cur.dentry))) return -EINVAL;
    if (nd == ow->cur.dentry || (t_dir && dentry_is_ancestor(nd, ow->cur.dentry))) return exchange ? -EINVAL : -ENOTEMPTY;
    if (i == t) return 1;        /* two names of one file: nothing happens (POSIX) */
    if (ow->cur.dentry->deleted || nw->cur.dentry->deleted) return -ENOENT;

    int r = may_delete(odir, od, is_dir);
    if (r) return r;
    if (!t) r = may_create(ndir, nw->cur.dentry);
    else r = may_delete(ndir, nd, exchange ? t_dir : is_dir);
    if (r) return r;
    /* A directory that moves changes its "..": it must be writable itself. */
    if (odir != ndir) {
        if (is_dir) r = inode_may(i, MAY_WRITE);
        if (r == 0 && exchange && t_dir) r = inode_may(t, MAY_WRITE);
        if (r) return r;
    }
    if (dentry_is_mounted_here(od) || dentry_is_mounted_here(nd)) return -EBUSY;
    return odir->ops->rename ? 0 : -EPERM;
}

static void notify(struct walk *ow, struct walk *nw, struct dentry *moved, struct dentry *other, struct inode *replaced, u32 flags)
{
    u32 cookie = atomic_add(&next_cookie, 1);
    struct inode *odir = ow->cur.dentry->inode, *ndir = nw->cur.dentry->inode;
    bool is_dir = S_ISDIR(moved->inode->mode);
    fsnotify_name(odir, ow->last, IN_MOVED_FROM | (odir == ndir ? FSNOTIFY_SAME_DIR : 0), cookie, is_dir);
    fsnotify_name(ndir, nw->last, IN_MOVED_TO, cookie, is_dir);
    fsnotify(moved, IN_MOVE_SELF, 0);
    if (flags & RENAME_EXCHANGE) {
        bool o_dir = S_ISDIR(other->inode->mode);
        cookie = atomic_add(&next_cookie, 1);
        fsnotify_name(ndir, nw->last, IN_MOVED_FROM, cookie, o_dir);
        fsnotify_name(odir, ow->last, IN_MOVED_TO, cookie, o_dir);
    } else if (replaced) {
        if (!S_ISDIR(replaced->mode)) fsnotify_links(replaced);
        if (replaced->nlink == 0 || S_ISDIR(replaced->mode)) fsnotify(other, IN_DELETE_SELF, 0);
    }
}

static int rename_in(struct walk *ow, struct walk *nw, u32 flags)
{
    struct dentry *op = ow->cur.dentry, *np = nw->cur.dentry, *od = NULL, *nd = NULL;
    int r = last_is_name(ow);
    if (r == 0) r = nw->last_type == WALK_LAST_NORM ? 0 : flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    if (r == 0 && (ow->cur.mnt != nw->cur.mnt || op->sb != np->sb)) r = -EXDEV;
    if (r == 0) r = mnt_want_write_to(ow->cur.mnt, op);
    if (r == 0) r = walk_lookup_last(ow, &od);
    if (r) return r;
    r = od->inode ? walk_lookup_last(nw, &nd) : -ENOENT;
    if (r) {
        dentry_put(od);
        return r;
    }
    r = flags & RENAME_NOREPLACE && nd->inode ? -EEXIST : ll_refer(&ow->cur, od, &nw->cur, nd, true, flags & RENAME_EXCHANGE);
    if (r == 0) r = policy_dentry(od, PR_WRITE);
    if (r == 0) r = policy_dentry(nd, PR_WRITE);
    if (r == 0) r = policy_move(od, nd, S_ISDIR(od->inode->mode));
    if (r == 0 && (flags & RENAME_EXCHANGE) && nd->inode) r = policy_move(nd, od, S_ISDIR(nd->inode->mode));
    if (r) {
        dentry_put(od);
        dentry_put(nd);
        return r;
    }
    bool cross = op != np;
    struct super *sb = op->sb;
    if (cross) write_lock(&sb->rename_lock);
    dirs_lock_two(op, np);
    struct inode *replaced = NULL;
    r = check_locked(ow, nw, od, nd, flags);
    if (r == 0) {
        replaced = nd->inode;
        if (replaced) inode_get(replaced);
        r = op->inode->ops->rename(op->inode, od, np->inode, nd, flags);
        if (r == 0) dentry_move(od, nd, flags & RENAME_EXCHANGE);
        else r = r > 0 ? -EIO : r;
    } else if (r == 1) {
        r = 0;
        dirs_unlock_two(op, np);
        if (cross) rw_unlock(&sb->rename_lock);
        goto out;
    }
    dirs_unlock_two(op, np);
    if (cross) rw_unlock(&sb->rename_lock);
    if (r == 0 && replaced && !(flags & RENAME_EXCHANGE)) dentry_detach_mounts(nd);
    if (r == 0) notify(ow, nw, od, nd, replaced, flags);
out:
    inode_put(replaced);
    dentry_put(od);
    dentry_put(nd);
    return r;
}

int vfs_rename(int odfd, const char *old, int ndfd, const char *new_, u32 flags)
{
    if (flags & ~(u32)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) return -EINVAL;
    if ((flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) && (flags & RENAME_EXCHANGE)) return -EINVAL;
    struct walk ow, nw;
    int r = walk_begin(&ow, odfd, old, 0);
    if (r) return r;
    r = walk_to_last(&ow);
    if (r == 0) {
        r = walk_begin(&nw, ndfd, new_, 0);
        if (r == 0) {
            r = walk_to_last(&nw);
            if (r == 0) r = rename_in(&ow, &nw, flags);
            walk_end(&nw);
        }
    }
    walk_end(&ow);
    return r;
}
