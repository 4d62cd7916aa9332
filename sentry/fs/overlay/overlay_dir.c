/* overlay: names. The VFS holds the overlay directories' locks; those of the upper are taken here. */
#include "sentry/fs/overlay/overlay.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/walk.h"
#include <stdio.h>
#include <string.h>

int ovl_upper_child(struct dentry *updir, const char *name, struct dentry **out)
{
    return dentry_lookup(updir, name, strlen(name), out);
}

int ovl_lookup_layers(struct inode *dir, const char *name, struct dentry **upper, struct dentry **lower, bool *opaque)
{
    struct dentry *updir = ovl_upper(dir), *lowdir = ovl_i(dir)->opaque ? NULL : ovl_i(dir)->lower, *d = NULL;
    *upper = *lower = NULL;
    *opaque = false;
    int r;
    if (updir) {
        r = ovl_upper_child(updir, name, &d);
        if (r) return r;
        if (!d->inode) {
            dentry_put(d);
        } else if (ovl_is_whiteout(d->inode)) {
            dentry_put(d);
            return 0;
        } else {
            *upper = d;
            *opaque = !S_ISDIR(d->inode->mode) || ovl_upper_getxattr(d->inode, OVL_OPAQUE, NULL, 0) > 0;
            if (*opaque) return 0;
        }
    }
    if (!lowdir) return 0;
    r = dentry_lookup_valid(lowdir, name, strlen(name), false, &d);
    if (r) {
        dentry_put(*upper);
        *upper = NULL;
        return r;
    }
    if (!d->inode || (*upper && !S_ISDIR(d->inode->mode))) dentry_put(d);
    else *lower = d;
    return 0;
}

int ovl_dir_lookup(struct inode *dir, struct dentry *d)
{
    struct dentry *upper, *lower;
    bool opaque;
    int r = ovl_lookup_layers(dir, d->name, &upper, &lower, &opaque);
    if (r == 0 && (upper || lower)) dentry_instantiate(d, ovl_inode_get(dir->sb, upper, lower, opaque));
    dentry_put(upper);
    dentry_put(lower);
    return r;
}

/* Does the lower show something under this name, were there nothing above? */
static bool lower_has(struct inode *dir, const char *name)
{
    struct dentry *lowdir = ovl_i(dir)->opaque ? NULL : ovl_i(dir)->lower, *d;
    if (!lowdir || dentry_lookup_valid(lowdir, name, strlen(name), false, &d)) return false;
    bool has = d->inode != NULL;
    dentry_put(d);
    return has;
}

static int upper_remove(struct dentry *updir, const char *name)
{
    struct dentry *ud;
    int r = ovl_upper_child(updir, name, &ud);
    if (r) return r;
    struct inode *ui = updir->inode;
    lock(&ui->lock);
    if (!ud->inode) r = 0;
    else {
        r = S_ISDIR(ud->inode->mode) ? ui->ops->rmdir(ui, ud) : ui->ops->unlink(ui, ud);
        if (r == 0) dentry_delete(ud);
    }
    unlock(&ui->lock);
    dentry_put(ud);
    return r;
}

int ovl_make_whiteout(struct dentry *updir, const char *name)
{
    struct dentry *ud;
    int r = ovl_upper_child(updir, name, &ud);
    if (r) return r;
    lock(&updir->inode->lock);
    r = ud->inode ? -EEXIST : updir->inode->ops->mknod(updir->inode, ud, S_IFCHR, 0);
    unlock(&updir->inode->lock);
    dentry_put(ud);
    return r;
}

static int set_opaque(struct dentry *ud) { return ovl_upper_setxattr(ud->inode, OVL_OPAQUE, "y", 1); }

/* The directory above and a free name in it for d; *white says that a whiteout had to go. */
static int begin_new(struct inode *dir, struct dentry *d, struct dentry **updir, struct dentry **ud, bool *white)
{
    *white = false;
    int r = ovl_copy_up(d->parent, true);
    if (r) return r;
    *updir = ovl_upper(dir);
    r = ovl_upper_child(*updir, d->name, ud);
    if (r || !(*ud)->inode) return r;
    *white = ovl_is_whiteout((*ud)->inode);
    dentry_put(*ud);
    if (!*white) return -EEXIST;
    r = upper_remove(*updir, d->name);
    return r ? r : ovl_upper_child(*updir, d->name, ud);
}

static int end_new(struct inode *dir, struct dentry *d, struct dentry *updir, struct dentry *ud, bool white, int r)
{
    if (r == 0) {
        bool opaque = S_ISDIR(ud->inode->mode) && white;
        if (opaque) (void)set_opaque(ud);
        dentry_instantiate(d, ovl_inode_get(dir->sb, ud, NULL, opaque));
        ovl_refresh(dir);
    } else if (white) {
        (void)ovl_make_whiteout(updir, d->name);
    }
    dentry_put(ud);
    return r;
}

static int add(struct inode *dir, struct dentry *d, u32 mode, u64 rdev, const char *target)
{
    struct dentry *updir, *ud;
    bool white;
    int r = begin_new(dir, d, &updir, &ud, &white);
    if (r) return r;
    struct inode *ui = updir->inode;
    lock(&ui->lock);
    switch (mode & S_IFMT) {
    case S_IFREG: r = ui->ops->create(ui, ud, mode); break;
    case S_IFDIR: r = ui->ops->mkdir(ui, ud, mode); break;
    case S_IFLNK: r = ui->ops->symlink(ui, ud, target); break;
    default: r = ui->ops->mknod(ui, ud, mode, rdev); break;
    }
    unlock(&ui->lock);
    return end_new(dir, d, updir, ud, white, r);
}

int ovl_dir_create(struct inode *dir, struct dentry *d, u32 mode) { return add(dir, d, S_IFREG | (mode & 07777), 0, NULL); }
int ovl_dir_mkdir(struct inode *dir, struct dentry *d, u32 mode) { return add(dir, d, S_IFDIR | (mode & 07777), 0, NULL); }
int ovl_dir_symlink(struct inode *dir, struct dentry *d, const char *target) { return add(dir, d, S_IFLNK | 0777, 0, target); }

int ovl_dir_mknod(struct inode *dir, struct dentry *d, u32 mode, u64 rdev)
{
    /* A guest's own 0/0 device would be taken for a whiteout. */
    if (S_ISCHR(mode) && rdev == 0) return -EPERM;
    return add(dir, d, mode, rdev, NULL);
}

int ovl_dir_link(struct inode *dir, struct dentry *d, struct inode *target, struct dentry *target_d)
{
    int r = ovl_copy_up(target_d, true);
    if (r) return r;
    struct dentry *updir, *ud, *src = ovl_upper(target);
    bool white;
    r = begin_new(dir, d, &updir, &ud, &white);
    if (r) return r;
    lock(&updir->inode->lock);
    r = updir->inode->ops->link(updir->inode, ud, src->inode, src);
    unlock(&updir->inode->lock);
    if (r == 0) {
        inode_get(target);
        dentry_instantiate(d, target);
        ovl_refresh(target);
        ovl_refresh(dir);
    } else if (white) {
        (void)ovl_make_whiteout(updir, d->name);
    }
    dentry_put(ud);
    return r;
}

/* Removes the name from the upper and hides what the lower has under it. */
static int remove_name(struct inode *dir, struct dentry *d, bool is_dir)
{
    bool hide = lower_has(dir, d->name);
    int r = hide || ovl_upper(dir) ? ovl_copy_up(d->parent, true) : -EIO;
    if (r) return r;
    struct dentry *updir = ovl_upper(dir), *ud;
    r = ovl_upper_child(updir, d->name, &ud);
    if (r) return r;
    if (ud->inode) {
        if (is_dir) r = ovl_clear_whiteouts(ud);
        if (r == 0) r = upper_remove(updir, d->name);
    }
    dentry_put(ud);
    if (r == 0 && hide) r = ovl_make_whiteout(updir, d->name);
    if (r == 0) {
        struct inode *i = d->inode;
        ovl_refresh(dir);
        /* A lower-only object lost its (or one of its) names; the lower does not know. */
        if (ovl_upper(i)) ovl_refresh(i);
        else i->nlink = is_dir || i->nlink == 0 ? 0 : i->nlink - 1;
    }
    return r;
}

int ovl_dir_unlink(struct inode *dir, struct dentry *d) { return remove_name(dir, d, false); }

int ovl_dir_rmdir(struct inode *dir, struct dentry *d)
{
    lock(&d->inode->lock);
    int r = ovl_check_empty(d->inode);
    unlock(&d->inode->lock);
    return r ? r : remove_name(dir, d, true);
}

/* May this object be moved in the upper alone? */
static int check_movable(struct dentry *d)
{
    return S_ISDIR(d->inode->mode) && ovl_i(d->inode)->lower ? -EXDEV : 0;
}

int ovl_dir_rename(struct inode *odir, struct dentry *od, struct inode *ndir, struct dentry *nd, u32 flags)
{
    bool exchange = flags & RENAME_EXCHANGE;
    if (flags & RENAME_WHITEOUT) return -EINVAL;
    int r = check_movable(od);
    if (r == 0 && exchange) r = check_movable(nd);
    if (r == 0) r = ovl_copy_up_name(od);
    if (r == 0) r = exchange ? ovl_copy_up_name(nd) : ovl_copy_up(nd->parent, true);
    if (r) return r;
    if (!exchange && nd->inode && S_ISDIR(nd->inode->mode)) {
        lock(&nd->inode->lock);
        r = ovl_check_empty(nd->inode);
        unlock(&nd->inode->lock);
        if (r) return r;
        if (ovl_upper(nd->inode)) r = ovl_clear_whiteouts(ovl_upper(nd->inode));
        if (r) return r;
    }
    struct dentry *oup = ovl_upper(odir), *nup = ovl_upper(ndir), *uo = NULL, *un = NULL;
    r = ovl_upper_child(oup, od->name, &uo);
    if (r == 0) r = ovl_upper_child(nup, nd->name, &un);
    if (r == 0) {
        u32 up_flags = exchange ? RENAME_EXCHANGE : lower_has(odir, od->name) ? RENAME_WHITEOUT : 0;
        /* Directories that come to stand over a lower name must not merge with it. */
        if (S_ISDIR(od->inode->mode)) r = set_opaque(uo);
        if (r == 0 && exchange && S_ISDIR(nd->inode->mode)) r = set_opaque(un);
        dirs_lock_two(oup, nup);
        if (r == 0) r = oup->inode->ops->rename(oup->inode, uo, nup->inode, un, up_flags);
        if (r == 0) dentry_move(uo, un, exchange);
        dirs_unlock_two(oup, nup);
    }
    if (r == 0) {
        struct inode *gone = exchange ? NULL : nd->inode;
        if (gone) {
            if (ovl_upper(gone)) ovl_refresh(gone);
            else gone->nlink = S_ISDIR(gone->mode) || gone->nlink == 0 ? 0 : gone->nlink - 1;
        }
        ovl_refresh(odir);
        ovl_refresh(ndir);
        ovl_refresh(od->inode);
    }
    dentry_put(uo);
    dentry_put(un);
    return r;
}

int ovl_dir_tmpfile(struct inode *dir, u32 mode, struct inode **out)
{
    struct dentry *updir = ovl_upper(dir);
    struct inode *ui = (updir ? updir : ovl_s(dir->sb)->upper_sb->root)->inode, *tmp;
    lock(&ui->lock);
    int r = ui->ops->tmpfile(ui, mode, &tmp);
    unlock(&ui->lock);
    if (r) return r;
    struct dentry *td = dentry_new_disconnected(ui->sb, "tmpfile", tmp, true);
    *out = ovl_inode_get(dir->sb, td, NULL, false);
    dentry_put(td);
    return 0;
}
