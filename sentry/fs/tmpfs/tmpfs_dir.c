/* Directories, symlinks and special files of tmpfs. Every operation runs with the directory's lock held by the VFS. */
#include "sentry/base/alloc.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/task.h"
#include <dirent.h>
#include <linux/fs.h>
#include <string.h>

#define DIRENT_SIZE 20u        /* what Linux's tmpfs counts for an entry */

static int by_id(const struct tmpfs_dirent *a, const struct tmpfs_dirent *b) { return a->id < b->id ? -1 : a->id > b->id; }
RB_GENERATE_INTERNAL(tmpfs_tree, tmpfs_dirent, node, by_id, UNUSED static)

static struct tmpfs_dirent *find(struct inode *dir, const char *name)
{
    struct tmpfs_dirent *e;
    struct tmpfs_dirent *table = tmpfs_i(dir)->by_name;
    HASH_FIND_STR(table, name, e);
    return e;
}

/* Consumes the inode reference. */
static void insert(struct inode *dir, const char *name, struct inode *i)
{
    struct tmpfs_inode *t = tmpfs_i(dir);
    struct tmpfs_dirent *e = xnew(struct tmpfs_dirent);
    e->name = xstrdup(name);
    e->inode = i;
    e->id = t->next_id++;
    HASH_ADD_KEYPTR(hh, t->by_name, e->name, strlen(e->name), e);
    RB_INSERT(tmpfs_tree, &t->by_id, e);
    dir->size += DIRENT_SIZE;
    if (S_ISDIR(i->mode)) {
        dir->nlink++;
        tmpfs_i(i)->parent = dir;
    }
}

/* Returns the entry's inode reference. */
static struct inode *take(struct inode *dir, struct tmpfs_dirent *e)
{
    struct tmpfs_inode *t = tmpfs_i(dir);
    struct inode *i = e->inode;
    HASH_DEL(t->by_name, e);
    RB_REMOVE(tmpfs_tree, &t->by_id, e);
    dir->size -= DIRENT_SIZE;
    if (S_ISDIR(i->mode)) dir->nlink--;
    free(e->name);
    free(e);
    return i;
}

/* Without recursion: subdirectories' entries move to a work list before their parent goes. */
void tmpfs_dir_drop_all(struct inode *top)
{
    size_t n = 0, cap = 16;
    struct inode **work = xzalloc(cap * sizeof(*work));
    struct inode *dir = top;
    for (;;) {
        struct tmpfs_dirent *e;
        while ((e = RB_MIN(tmpfs_tree, &tmpfs_i(dir)->by_id)) != NULL) {
            struct inode *i = take(dir, e);
            if (!S_ISDIR(i->mode)) {
                inode_put(i);
                continue;
            }
            if (n == cap) work = xrealloc(work, (cap *= 2) * sizeof(*work));
            tmpfs_i(i)->parent = NULL;
            work[n++] = i;
        }
        if (dir != top) inode_put(dir);
        if (!n) break;
        dir = work[--n];
    }
    free(work);
}

static int dir_lookup(struct inode *dir, struct dentry *d)
{
    struct tmpfs_dirent *e = find(dir, d->name);
    if (e) {
        inode_get(e->inode);
        dentry_instantiate(d, e->inode);
    }
    return 0;
}

/* Removed: nothing can be made in it any more, though somebody stands there. */
static bool is_dead(struct inode *dir) { return !tmpfs_i(dir)->parent; }

static int add_new(struct inode *dir, struct dentry *d, u32 mode, u64 rdev, const char *target)
{
    if (is_dead(dir)) return -ENOENT;
    if (find(dir, d->name)) return -EEXIST;
    struct inode *i = tmpfs_inode_new(dir->sb, dir, mode, rdev);
    if (!i) return -ENOSPC;
    if (target) {
        tmpfs_i(i)->target = xstrdup(target);
        i->size = strlen(target);
    }
    inode_get(i);
    insert(dir, d->name, i);
    dentry_instantiate(d, i);
    inode_touch(dir, ATTR_MTIME);
    return 0;
}

static int dir_create(struct inode *dir, struct dentry *d, u32 mode) { return add_new(dir, d, S_IFREG | (mode & 07777), 0, NULL); }
static int dir_mkdir(struct inode *dir, struct dentry *d, u32 mode) { return add_new(dir, d, S_IFDIR | (mode & 07777), 0, NULL); }
static int dir_mknod(struct inode *dir, struct dentry *d, u32 mode, u64 rdev) { return add_new(dir, d, mode, rdev, NULL); }
static int dir_symlink(struct inode *dir, struct dentry *d, const char *target) { return add_new(dir, d, S_IFLNK | 0777, 0, target); }

static int dir_link(struct inode *dir, struct dentry *d, struct inode *target, struct dentry *target_d UNUSED)
{
    if (is_dead(dir)) return -ENOENT;
    if (find(dir, d->name)) return -EEXIST;
    lock(&target->lock);
    bool full = target->nlink >= 0x7fffffff;
    if (!full) target->nlink++;
    unlock(&target->lock);
    if (full) return -EMLINK;
    inode_get(target);
    insert(dir, d->name, target);
    inode_get(target);
    dentry_instantiate(d, target);
    inode_touch(dir, ATTR_MTIME);
    inode_touch(target, 0);
    clock_gettime(CLOCK_REALTIME_COARSE, &target->ctime);
    return 0;
}

static void drop_link(struct inode *i)
{
    lock(&i->lock);
    i->nlink = S_ISDIR(i->mode) || i->nlink == 0 ? 0 : i->nlink - 1;
    clock_gettime(CLOCK_REALTIME_COARSE, &i->ctime);
    unlock(&i->lock);
    inode_put(i);
}

static int dir_unlink(struct inode *dir, struct dentry *d)
{
    struct tmpfs_dirent *e = find(dir, d->name);
    if (!e) return -ENOENT;
    drop_link(take(dir, e));
    inode_touch(dir, ATTR_MTIME);
    return 0;
}

/* Empty, and from now on staying so. */
static bool kill_if_empty(struct inode *dir)
{
    lock(&dir->lock);
    bool empty = RB_EMPTY(&tmpfs_i(dir)->by_id);
    if (empty) tmpfs_i(dir)->parent = NULL;
    unlock(&dir->lock);
    return empty;
}

static int dir_rmdir(struct inode *dir, struct dentry *d)
{
    struct tmpfs_dirent *e = find(dir, d->name);
    if (!e) return -ENOENT;
    if (!kill_if_empty(e->inode)) return -ENOTEMPTY;
    return dir_unlink(dir, d);
}

static void set_parent(struct inode *i, struct inode *dir)
{
    if (S_ISDIR(i->mode)) tmpfs_i(i)->parent = dir;
}

static int dir_rename(struct inode *odir, struct dentry *od, struct inode *ndir, struct dentry *nd, u32 flags)
{
    struct tmpfs_dirent *oe = find(odir, od->name), *ne = find(ndir, nd->name);
    if (!oe) return -ENOENT;
    if (flags & RENAME_EXCHANGE) {
        if (!ne) return -ENOENT;
        struct inode *a = oe->inode, *b = ne->inode;
        oe->inode = b;
        ne->inode = a;
        if (odir != ndir) {
            if (S_ISDIR(a->mode)) odir->nlink--, ndir->nlink++;
            if (S_ISDIR(b->mode)) ndir->nlink--, odir->nlink++;
            set_parent(a, ndir);
            set_parent(b, odir);
        }
    } else {
        struct inode *white = NULL;
        if (is_dead(ndir)) return -ENOENT;
        if (flags & RENAME_WHITEOUT) {
            white = tmpfs_inode_new(odir->sb, odir, S_IFCHR | 0600, 0);
            if (!white) return -ENOSPC;
        }
        if (ne && S_ISDIR(ne->inode->mode) && !kill_if_empty(ne->inode)) {
            inode_put(white);
            return -ENOTEMPTY;
        }
        if (ne) drop_link(take(ndir, ne));
        insert(ndir, nd->name, take(odir, oe));
        if (white) insert(odir, od->name, white);
    }
    inode_touch(odir, ATTR_MTIME);
    inode_touch(ndir, ATTR_MTIME);
    clock_gettime(CLOCK_REALTIME_COARSE, &od->inode->ctime);
    return 0;
}

static int dir_tmpfile(struct inode *dir, u32 mode, struct inode **out)
{
    *out = tmpfs_inode_new(dir->sb, dir, mode, 0);
    if (!*out) return -ENOSPC;
    (*out)->nlink = 0;
    return 0;
}

static int dir_readdir(struct file *f, struct dir_sink *s)
{
    struct inode *dir = f->inode;
    struct tmpfs_inode *t = tmpfs_i(dir);
    lock(&dir->lock);
    bool room = true;
    if (f->pos == 0 && (room = s->emit(s, ".", 1, dir->ino, DT_DIR, 1))) f->pos = 1;
    if (room && f->pos == 1 && (room = s->emit(s, "..", 2, t->parent ? t->parent->ino : dir->ino, DT_DIR, 2))) f->pos = 2;
    if (room) {
        struct tmpfs_dirent key = { .id = f->pos };
        for (struct tmpfs_dirent *e = RB_NFIND(tmpfs_tree, &t->by_id, &key); e; e = RB_NEXT(tmpfs_tree, &t->by_id, e)) {
            if (!s->emit(s, e->name, strlen(e->name), e->inode->ino, (u8)IFTODT(e->inode->mode), e->id + 1)) break;
            f->pos = e->id + 1;
        }
    }
    unlock(&dir->lock);
    return 0;
}

static int dir_fsync(struct file *f UNUSED, bool data_only UNUSED) { return 0; }

static int symlink_readlink(struct inode *i, char **out)
{
    *out = xstrdup(tmpfs_i(i)->target);
    return 0;
}

const struct file_ops tmpfs_dir_ops = { .seekable = true, .readdir = dir_readdir, .llseek = dir_llseek, .fsync = dir_fsync };

const struct inode_ops tmpfs_dir_inode_ops = {
    .lookup = dir_lookup, .create = dir_create, .mkdir = dir_mkdir, .mknod = dir_mknod, .symlink = dir_symlink,
    .link = dir_link, .unlink = dir_unlink, .rmdir = dir_rmdir, .rename = dir_rename, .tmpfile = dir_tmpfile,
    .setattr = tmpfs_setattr, .free = tmpfs_inode_free, TMPFS_XATTR_OPS,
};
const struct inode_ops tmpfs_symlink_inode_ops = {
    .readlink = symlink_readlink, .setattr = tmpfs_setattr, .free = tmpfs_inode_free, TMPFS_XATTR_OPS,
};
const struct inode_ops tmpfs_special_inode_ops = { .setattr = tmpfs_setattr, .free = tmpfs_inode_free, TMPFS_XATTR_OPS };
