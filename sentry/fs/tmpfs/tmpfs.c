/* tmpfs: the super and the life of its inodes. */
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include <linux/magic.h>
#include <string.h>

static int tmpfs_statfs(struct super *sb, struct dentry *d UNUSED, struct statfs *out)
{
    struct tmpfs_super *s = tmpfs_s(sb);
    u64 max = s->max_pages, used = atomic_load(&s->used_pages);
    out->f_type = TMPFS_MAGIC;
    out->f_bsize = out->f_frsize = GPAGE_SIZE;
    out->f_namelen = KNAME_MAX;
    out->f_blocks = max;
    out->f_bfree = out->f_bavail = max > used ? max - used : 0;
    /* Linux's default: an inode for each page of half the memory. */
    u64 inodes = max ? max : memfile_size() >> (GPAGE_SHIFT + 1);
    out->f_files = inodes;
    out->f_ffree = inodes > s->inodes ? inodes - s->inodes : 0;
    return 0;
}

static void tmpfs_free(struct super *sb) { free(tmpfs_s(sb)); }

static void tmpfs_kill(struct super *sb)
{
    if (sb->root) tmpfs_dir_drop_all(sb->root->inode);
}

static const struct super_ops tmpfs_super_ops = { .name = "tmpfs", .statfs = tmpfs_statfs, .free = tmpfs_free, .kill = tmpfs_kill };

struct inode *tmpfs_inode_new(struct super *sb, struct inode *dir, u32 mode, u64 rdev)
{
    struct tmpfs_super *s = tmpfs_s(sb);
    u64 limit = memfile_size() >> (GPAGE_SHIFT + 1);
    if (atomic_add(&s->inodes, 1) > MAX(limit, 1024UL)) {
        atomic_add(&s->inodes, -1);
        return NULL;
    }
    const struct inode_ops *ops = &tmpfs_special_inode_ops;
    const struct file_ops *fops = NULL;
    switch (mode & S_IFMT) {
    case S_IFDIR: ops = &tmpfs_dir_inode_ops; fops = &tmpfs_dir_ops; break;
    case S_IFREG: ops = &tmpfs_file_inode_ops; fops = &tmpfs_file_ops; break;
    case S_IFLNK: ops = &tmpfs_symlink_inode_ops; break;
    default: break;
    }
    struct tmpfs_inode *t = xnew(struct tmpfs_inode);
    struct inode *i = &t->vfs;
    inode_init(i, sb, ops, fops, inode_next_ino(), mode);
    LIST_INIT(&t->xattrs);
    lock_init(&t->pg_lock, LC_PAGETABLE);
    if (current && current->cred) inode_init_owner(i, dir, mode);
    i->rdev = rdev;
    if (S_ISDIR(mode)) {
        RB_INIT(&t->by_id);
        t->next_id = 2;        /* cookies 0 and 1 stand before "." and ".." */
        t->parent = dir ? dir : i;
        i->nlink = 2;
        i->size = 40;
    } else if (S_ISREG(mode)) {
        i->map.ops = &tmpfs_map_ops;
    }
    return i;
}

void tmpfs_inode_free(struct inode *i)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    if (S_ISREG(i->mode)) tmpfs_pages_free_all(t);
    if (S_ISDIR(i->mode)) tmpfs_dir_drop_all(i);
    tmpfs_xattrs_free(t);
    free(t->target);
    (void)atomic_add(&tmpfs_s(i->sb)->inodes, -1);
    lock_fini(&t->pg_lock);
    inode_fini(i);
    free(t);
}

int tmpfs_new(u64 size_limit, u32 root_mode, u32 uid, u32 gid, struct super **out)
{
    struct tmpfs_super *s = xnew(struct tmpfs_super);
    super_init(&s->sb, &tmpfs_super_ops, TMPFS_MAGIC);
    s->sb.case_cache_forever = true;
    /* Half of the memory, as tmpfs(5) says. */
    u64 max = size_limit ? size_limit : (kernel.mem_limit ? kernel.mem_limit : memfile_size()) / 2;
    s->max_pages = gpage_up(max) >> GPAGE_SHIFT;
    s->sb.options = xasprintf("size=%luk,mode=%o", (unsigned long)(s->max_pages * (GPAGE_SIZE / 1024)), root_mode & 07777);
    struct inode *root = tmpfs_inode_new(&s->sb, NULL, S_IFDIR | (root_mode & 07777), 0);
    root->uid = uid;
    root->gid = gid;
    root->mode = S_IFDIR | (root_mode & 07777);
    s->sb.root = dentry_new_root(&s->sb, root);
    *out = &s->sb;
    return 0;
}
