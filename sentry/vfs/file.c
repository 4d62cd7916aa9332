/* Open files: lifetime, and the internal mount on which anonymous ones live. */
#include "sentry/landlock/landlock.h"
#include "sentry/vfs/fasync.h"
#include "sentry/vfs/lease.h"
#include "sentry/base/alloc.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/task.h"
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct super anon_sb;
static struct inode *anon_inode;
static struct mount *anon_mnt;
static pthread_once_t anon_once = PTHREAD_ONCE_INIT;

static const struct inode_ops anon_inode_ops = { 0 };
static const struct super_ops anon_super_ops = { .name = "anon_inodefs" };

static void anon_setup(void)
{
    super_init(&anon_sb, &anon_super_ops, ANON_INODE_FS_MAGIC);
    struct inode *root = inode_new(&anon_sb, &anon_inode_ops, NULL, inode_next_ino(), S_IFDIR | 0500);
    anon_sb.root = dentry_new_root(&anon_sb, root);
    anon_mnt = mount_new_internal(&anon_sb);
    anon_inode = inode_new(&anon_sb, &anon_inode_ops, NULL, inode_next_ino(), 0600);
}

static u64 nfiles;                 /* (a) */
u64 files_open(void) { return __atomic_load_n(&nfiles, __ATOMIC_RELAXED); }

struct file *file_new(const struct file_ops *ops, const struct path *p, struct inode *ino, u32 flags)
{
    struct file *f = xnew(struct file);
    __atomic_fetch_add(&nfiles, 1, __ATOMIC_RELAXED);
    ref_init(&f->refs);
    f->ops = ops;
    if (p) {
        f->path = *p;
        path_get(&f->path);
    }
    if (ino) inode_get(ino);
    f->inode = ino;
    f->flags = flags;
    if (flags & O_PATH) {
        f->mode = FMODE_PATH;
    } else {
        u32 acc = flags & O_ACCMODE;
        f->mode = acc == O_RDONLY ? FMODE_READ : acc == O_WRONLY ? FMODE_WRITE : acc == O_RDWR ? FMODE_READ | FMODE_WRITE : 0;
    }
    lock_init(&f->pos_lock, LC_FILE_POS);
    LIST_INIT(&f->epitems);
    if (current && current->cred) {
        f->cred = current->cred;
        cred_get(f->cred);
    }
    return f;
}

struct file *file_new_anon(const struct file_ops *ops, u32 flags, void *priv)
{
    pthread_once(&anon_once, anon_setup);
    struct file *f = file_new(ops, NULL, anon_inode, flags);
    f->priv = priv;
    return f;
}

void file_get(struct file *f) { ref_get(&f->refs); }

void file_put(struct file *f)
{
    if (!f || !ref_put(&f->refs)) return;
    if (f->mode & FMODE_DISSOLVE) mount_dissolve(f->path.mnt);
    if (!(f->mode & FMODE_PATH)) {
        if (!LIST_EMPTY(&f->epitems)) epoll_file_release(f);
        if (f->inode) vfs_locks_release(f);
        file_async_release(f);
        file_lease_release(f);
        if (S_ISDIR(f->inode ? f->inode->mode : 0)) dnotify_release(f);
        if (f->path.dentry && f->inode && f->ops)
            fsnotify(f->path.dentry, f->mode & FMODE_WRITE ? 0x8 /* IN_CLOSE_WRITE */ : 0x10 /* IN_CLOSE_NOWRITE */, 0);
        if (f->ops && f->ops->release) f->ops->release(f);
        if (f->inode && S_ISREG(f->inode->mode)) {
            if (f->mode & FMODE_EXEC) inode_allow_write(f->inode);
            else if (f->mode & FMODE_WRITER) {
                inode_put_write(f->inode);
                if (f->path.mnt) {
                    (void)atomic_add(&f->path.mnt->writers, -1);
                    (void)atomic_add(&f->path.mnt->sb->writers, -1);
                }
            }
            if (f->mode & FMODE_READER) atomic_add(&f->inode->open_readers, -1);
        }
    }
    path_put(&f->path);
    inode_put(f->inode);
    cred_put(f->cred);
    ll_layer_put(f->owner_landlock);
    lock_fini(&f->pos_lock);
    free(f);
    __atomic_fetch_sub(&nfiles, 1, __ATOMIC_RELAXED);
}

void file_get_path(struct file *f, struct path *out)
{
    if (f->path.dentry) {
        *out = f->path;
        path_get(out);
        return;
    }
    pthread_once(&anon_once, anon_setup);
    char name[64];
    struct inode *i = f->inode ? f->inode : anon_inode;
    if (f->ops && f->ops->name) snprintf(name, sizeof(name), "%s", f->ops->name);
    else if (S_ISFIFO(i->mode)) snprintf(name, sizeof(name), "pipe:[%lu]", i->ino);
    else if (S_ISSOCK(i->mode)) snprintf(name, sizeof(name), "socket:[%lu]", i->ino);
    else snprintf(name, sizeof(name), "anon_inode:inode");
    inode_get(i);
    mount_get(anon_mnt);
    *out = (struct path){ anon_mnt, dentry_new_disconnected(i->sb ? i->sb : &anon_sb, name, i, false) };
}
