/*
 * The virtual file system: inodes, dentries, mounts, path walk, and the operations of the *at() family on them.
 * Constants are the host Linux's (O_*, S_*, AT_*, RENAME_*). Errors: negative errno.
 * Source: path_resolution(7), open(2), Documentation/filesystems/{vfs,path-lookup}.rst in the Linux tree.
 */
#ifndef SUNDOG_VFS_VFS_H
#define SUNDOG_VFS_VFS_H

#include "sentry/base/list.h"
#include "sentry/base/lock.h"
#include "sentry/kernel/ns.h"
#include "sentry/kernel/waitq.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/usercopy.h"
#include "sentry/vfs/mount.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <uthash.h>

struct cred;
struct dentry;
struct file;
struct file_ops;
struct inode;
struct mount;
struct path;
struct super;
struct file_locks;
struct inotify_mark;
struct task;
struct vma;

#define KNAME_MAX 255
#define KPATH_MAX 4096
#define KSYMLOOP_MAX 40

struct kstat {
    u64 dev, rdev, ino, nlink, size, blocks, mnt_id, mnt_unique;
    u32 mode, uid, gid, blksize;
    struct timespec atime, mtime, ctime, btime;
    u64 attributes, attributes_mask;      /* STATX_ATTR_* */
    bool has_btime;
};

/* setattr: which fields count */
#define ATTR_MODE 1u
#define ATTR_UID 2u
#define ATTR_GID 4u
#define ATTR_SIZE 8u
#define ATTR_ATIME 16u
#define ATTR_MTIME 32u
#define ATTR_ATIME_NOW 64u
#define ATTR_MTIME_NOW 128u
#define ATTR_KILL_SUID 256u
struct kattr { u32 valid; u32 mode, uid, gid; u64 size; struct timespec atime, mtime; };

/* One mounted file system instance. */
struct super_ops {
    const char *name;                                        /* as in /proc/filesystems */
    int (*statfs)(struct super *sb, struct dentry *d, struct statfs *out);
    void (*free)(struct super *sb);                          /* last reference */
    int (*sync)(struct super *sb);
    void (*kill)(struct super *sb);                          /* last mount went: break reference cycles. May be NULL */
};
struct super {
    refcount_t refs;
    const struct super_ops *ops;
    u64 dev;                       /* st_dev */
    u32 magic;                     /* statfs f_type */
    struct dentry *root;           /* counted */
    rwlock_t rename_lock;          /* LC_RENAME: write for cross-directory renames */
    bool case_cache_forever;       /* dentries never need d_revalidate */
    void *priv;
    char *shown_root;              /* (c) owned; what its root is of the host's file system, for listings; NULL: "/" */
    const char *policy_at;         /* (c) where it is shown, when path rules cover it; "" for the root of all */
    char *options;                 /* shown in mountinfo; owned; once mounted by super_options and super_set_options */
    u32 active;                    /* (a) struct mount on this super */
    u32 writers;                   /* (a) files of it open for writing */
    bool acls;                     /* (c) its inodes may have POSIX ACLs */
    bool file_flags;               /* (c) its files and directories have flags of chattr(1) */
    u32 rdonly;                    /* (a) nobody writes, whatever the mounts say */
    u32 owner_inum;                /* (c) number of the user namespace it was made in; 0: the initial one */
};
void super_init(struct super *sb, const struct super_ops *ops, u32 magic);   /* assigns a dev number */
void super_get(struct super *sb);
void super_put(struct super *sb);
char *super_options(struct super *sb);                                    /* a copy, "" for none */
void super_set_options(struct super *sb, char *text);                     /* consumed; NULL: none */

struct inode_ops {
    /*
     * Directory operations: called with dir->lock held (parent before child), permission already checked by the VFS,
     * name is one valid component. The new child is instantiated into d (dentry_instantiate). lookup: 0 and either
     * instantiated or left negative.
     */
    int (*lookup)(struct inode *dir, struct dentry *d);
    int (*create)(struct inode *dir, struct dentry *d, u32 mode);
    int (*mkdir)(struct inode *dir, struct dentry *d, u32 mode);
    int (*mknod)(struct inode *dir, struct dentry *d, u32 mode, u64 rdev);
    int (*symlink)(struct inode *dir, struct dentry *d, const char *target);
    int (*link)(struct inode *dir, struct dentry *d, struct inode *target, struct dentry *target_d);
    int (*unlink)(struct inode *dir, struct dentry *d);
    int (*rmdir)(struct inode *dir, struct dentry *d);
    /* flags: RENAME_NOREPLACE RENAME_EXCHANGE RENAME_WHITEOUT. The VFS moves the dentries after success. */
    int (*rename)(struct inode *odir, struct dentry *od, struct inode *ndir, struct dentry *nd, u32 flags);
    int (*tmpfile)(struct inode *dir, u32 mode, struct inode **out);      /* O_TMPFILE; NULL: EOPNOTSUPP */

    /*
     * Any inode. Called WITHOUT ino->lock (getattr, setattr, xattr, readlink, open take it themselves where needed);
     * unlink, rmdir, rename and link hold the directories' locks but not that of the child. readlink: a malloc'ed target in *out. get_link: magic links of /proc: a counted path instead of text.
     */
    int (*readlink)(struct inode *ino, char **out);
    int (*get_link)(struct inode *ino, struct dentry *d, struct path *out);
    int (*getattr)(struct inode *ino, struct kstat *st);                  /* NULL: from the inode's fields */
    int (*setattr)(struct inode *ino, struct dentry *d, const struct kattr *a);   /* NULL: inode fields only, size EINVAL */
    int (*permission)(struct inode *ino, int mask);                       /* instead of the mode-bit check; mask MAY_* */
    ssize_t (*getxattr)(struct inode *ino, const char *name, void *buf, size_t size);   /* size 0: length only */
    int (*setxattr)(struct inode *ino, const char *name, const void *val, size_t size, int flags);
    ssize_t (*listxattr)(struct inode *ino, char *buf, size_t size);
    int (*removexattr)(struct inode *ino, const char *name);
    /* Before d's inode is changed by a call that knows no dentry (xattrs): overlay copies it up. NULL: nothing to do. */
    int (*prepare_change)(struct inode *ino, struct dentry *d);
    /* Fills f->ops (default ino->fops) and f->priv. d is the dentry opened. */
    int (*open)(struct inode *ino, struct dentry *d, struct file *f);
    /*
     * Is this cached child still what the file system has? Called without locks when the walk meets a cached dentry and
     * the super is not case_cache_forever. 1 valid, 0 drop it and look up again, -errno.
     */
    int (*d_revalidate)(struct dentry *d);
    void (*free)(struct inode *ino);                                       /* last reference: release priv and the inode */
};

struct inode {
    refcount_t refs;
    const struct inode_ops *ops;
    const struct file_ops *fops;
    struct super *sb;              /* (c) counted */
    u64 ino;                       /* (c) */
    lock_t lock;                   /* LC_INODE; guards: */
    u32 mode, uid, gid, nlink;
    u32 flags;                     /* (a) to see: FS_*_FL of linux/fs.h; vfs/fileattr.c */
    u64 rdev, size, blocks;
    struct timespec atime, mtime, ctime, btime;
    struct mappable map;           /* what mmap maps; ops NULL: cannot be mapped */
    struct file_locks *flocks;     /* owned by vfs/locks.c; under its own lock */
    LIST_HEAD(, inotify_mark) marks;   /* under the inotify lock */
    s32 writers;                   /* (a) opens for write; <0: execs deny writing (ETXTBSY) */
    s32 open_readers;              /* (a) opens for reading alone, of regular files: a write lease asks */
    void *priv;                    /* file system's */
    struct posix_acl *acl, *acl_default;   /* (a) to see whether there is one; vfs/acl.c */
    void *sock;                    /* bound AF_UNIX socket, pipe of a FIFO: owned by those */
};
struct inode *inode_new(struct super *sb, const struct inode_ops *ops, const struct file_ops *fops, u64 ino, u32 mode);
void inode_init(struct inode *i, struct super *sb, const struct inode_ops *ops, const struct file_ops *fops, u64 ino, u32 mode); /* embedded */
void inode_fini(struct inode *i);          /* in ops->free of embedded ones, before free() */
void inode_get(struct inode *i);
void inode_put(struct inode *i);
u64 inode_next_ino(void);
static inline u32 inode_flags(const struct inode *i) { return atomic_load(&i->flags); }
void inode_fill_flags(const struct inode *i, struct kstat *st);          /* those that statx(2) shows */
#define MAY_EXEC 1
#define MAY_WRITE 2
#define MAY_READ 4
/* Linux's check of mode bits, or of the ACL, with fsuid, groups, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH of c. -EACCES or 0 */
int inode_permission(struct inode *i, int mask, const struct cred *c);
/* A capability of c (of current) over i: held in its user namespace, which knows owner and group. user_namespaces(7) */
bool cred_inode_capable(const struct cred *c, const struct inode *i, int cap);
bool inode_capable(const struct inode *i, int cap);
void inode_fill_stat(struct inode *i, struct kstat *st);
void inode_touch(struct inode *i, u32 which /* ATTR_ATIME|ATTR_MTIME; ctime goes with mtime */);

/* Owner, group and mode of a new inode in dir: fsuid, fsgid of current, setgid inheritance of directories. */
/* Permission bits of what current makes in dir: without the set-group-ID it may not give, then without its umask (vfs_prepare_mode). */
u32 inode_create_mode(const struct inode *dir, u32 mode);
void inode_init_owner(struct inode *i, const struct inode *dir, u32 mode);
/* May current access i this way? ops->permission or the mode bits. */
int inode_may(struct inode *i, int mask);
bool inode_owner_or_capable(const struct inode *i);      /* fsuid owns it, or CAP_FOWNER */
/* Opens that write against images that run: 0 or -ETXTBSY; each undone by its put. */
int inode_get_write(struct inode *i);
void inode_put_write(struct inode *i);
int inode_deny_write(struct inode *i);
void inode_allow_write(struct inode *i);

/* A name in a directory. Negative: inode NULL. The tree is guarded by dentry.c's own locks; d->inode of a positive dentry is stable while counted. */
struct dentry {
    refcount_t refs;
    struct dentry *parent;         /* counted; root: itself. Changes under rename_lock + dentry lock */
    char *name;                    /* owned */
    struct inode *inode;           /* counted or NULL */
    struct super *sb;              /* borrowed from root */
    struct dentry *children;       /* uthash of cached children by name */
    UT_hash_handle hh;             /* in parent->children */
    bool hashed;                   /* still reachable by name; false: deleted or dropped */
    bool deleted;
    u32 nmounts;                   /* (a) mounts on top of this dentry */
    TAILQ_ENTRY(dentry) lru;
    bool on_lru;
    u32 policy;                    /* (c) state of the path rules here; 0: none (policy/policy.h) */
    u8 policy_seen;                /* (a) PR_*: granted and recorded before */
    u64 cookie;                    /* file system's (validation generation) */
    void *priv;                    /* file system's */
};
struct dentry *dentry_new_root(struct super *sb, struct inode *root);     /* consumes the inode reference */
void dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
void dentry_instantiate(struct dentry *d, struct inode *i);               /* consumes the reference */
/* Cached child (counted; positive or negative) or NULL. */
struct dentry *dentry_lookup_cached(struct dentry *parent, const char *name, size_t len);
/*
 * The path text behind the component being looked up ("lib/x.so"), set by the walk around dentry_lookup, NULL otherwise:
 * a file system that looks names up by message (gofer) walks ahead with it. The lookup clears it.
 */
extern _Thread_local const char *vfs_lookup_ahead;
/* The same for a walk: a cached child is asked whether it still holds (d_revalidate) first. */
int dentry_lookup_valid(struct dentry *parent, const char *name, size_t len, bool cached_only, struct dentry **out);
/* Child looked up through dir->ops->lookup if not cached; takes dir->lock. *out may be negative. */
int dentry_lookup(struct dentry *parent, const char *name, size_t len, struct dentry **out);
void dentry_drop(struct dentry *d);                                       /* unhash: next walk looks up again */
void dentry_drop_children(struct dentry *d);                              /* cached, unused descendants */
void dentry_delete(struct dentry *d);                                     /* after unlink, rmdir */
struct dentry *dentry_parent_get(struct dentry *d);                       /* counted; the root's is itself */
/* A name outside every tree, for anonymous files; deleted: shown with " (deleted)". Consumes the inode reference. */
struct dentry *dentry_new_disconnected(struct super *sb, const char *name, struct inode *i, bool deleted);
bool dentry_is_ancestor(const struct dentry *a, struct dentry *d);        /* a == d counts */
/* After a rename: od gets nd's place; exchange: they swap. The file system's rename_lock is held if parents differ. */
void dentry_move(struct dentry *od, struct dentry *nd, bool exchange);
char *dentry_name_dup(struct dentry *d);                                  /* malloc'ed copy: the name may change */
/* For synthetic trees (proc, dev): creates a hashed positive child. */
struct dentry *dentry_add(struct dentry *parent, const char *name, struct inode *i /* consumed */);

struct path { struct mount *mnt; struct dentry *dentry; };                /* both counted */
void path_get(const struct path *p);
void path_put(struct path *p);                                            /* clears it */

/* --- context of a process (vfs/fs_context.c) --- */
struct fs_context { refcount_t refs; lock_t lock; /* LC_FS */ struct path root, cwd; u32 umask; struct mnt_ns *ns; };
struct fs_context *fs_context_new(struct mnt_ns *ns);    /* at its root */
struct fs_context *fs_context_copy(struct fs_context *fs);
void fs_context_get(struct fs_context *fs);
void fs_context_put(struct fs_context *fs);
void fs_get_root(struct fs_context *fs, struct path *out);   /* counted */
void fs_get_cwd(struct fs_context *fs, struct path *out);
int fs_set_cwd(const struct path *p);                    /* of current; checks nothing */
int fs_set_root(const struct path *p);
/* CLONE_NEWNS: fs, not shared yet, moves to a copy of its mounts. */
struct mnt_ns *fs_get_ns(struct fs_context *fs);         /* counted */
bool fs_is_shared(struct fs_context *fs);                /* by more than one task */
bool fs_is_chrooted(struct fs_context *fs);              /* its root is not that of its mounts */
int fs_new_mounts(struct fs_context *fs, struct user_ns *owner);                /* -ENOSPC */
void fs_enter_mounts(struct fs_context *fs, struct mnt_ns *ns);           /* setns(2): root and cwd are its root */
void fs_replace_root(const struct path *from, const struct path *to);     /* of every process: pivot_root(2) */

/* --- walking (vfs/namei.c) --- */
#define WALK_FOLLOW 1u          /* follow a final symlink */
#define WALK_DIRECTORY 2u       /* ENOTDIR otherwise */
#define WALK_EMPTY 4u           /* AT_EMPTY_PATH */
#define WALK_NO_XDEV 8u         /* openat2 RESOLVE_* */
#define WALK_NO_MAGICLINKS 16u
#define WALK_NO_SYMLINKS 32u
#define WALK_BENEATH 64u
#define WALK_IN_ROOT 128u
#define WALK_CACHED 256u
/* dirfd: AT_FDCWD or a descriptor of current. */
int vfs_walk(int dirfd, const char *path, u32 flags, struct path *out);
/* All but the last component: the parent (directory) and the last name; the last may not exist. *trailing_slash as found. */
int vfs_walk_parent(int dirfd, const char *path, u32 flags, struct path *parent, char last[KNAME_MAX + 1], bool *trailing_slash);
int vfs_walk_from(const struct path *start, const char *path, u32 flags, struct path *out);
/* Absolute path text as seen from root; "(unreachable)" prefix and " (deleted)" suffix as Linux. Length or -ENAMETOOLONG. */
int vfs_path_text(const struct path *p, const struct path *root, char *buf, size_t size);

/* --- operations (vfs/ops_*.c). Each checks permission, read-only mounts, sends inotify events. --- */
struct open_how_k { u32 flags; u32 mode; u32 walk; };
int vfs_open(int dirfd, const char *path, const struct open_how_k *how, struct file **out);
int vfs_open_path(const struct path *p, u32 flags, struct file **out);     /* checks permission for flags' access mode */
/* No permission checks: for layers and magic links of the sentry's own. */
int vfs_open_nocheck(const struct path *p, u32 flags, struct file **out);
/* Device nodes by number (sentry/fs/dev): fills f->ops and f->priv. -ENXIO */
int chrdev_open(struct inode *ino, struct dentry *d, struct file *f);
int blkdev_open(struct inode *ino, struct file *f);
int vfs_open_exec(int dirfd, const char *path, u32 walk, struct file **out);   /* regular, MAY_EXEC, not noexec: EACCES; denies writing */
int vfs_mkdir(int dirfd, const char *path, u32 mode);
int vfs_mknod(int dirfd, const char *path, u32 mode, u64 rdev);
int vfs_symlink(const char *target, int dirfd, const char *path);
int vfs_link(int odfd, const char *old, int ndfd, const char *new_, int flags);
int vfs_unlink(int dirfd, const char *path, int flags);                    /* AT_REMOVEDIR */
int vfs_rename(int odfd, const char *old, int ndfd, const char *new_, u32 flags);
int vfs_readlink(int dirfd, const char *path, char **out);                 /* malloc'ed */
int vfs_stat(int dirfd, const char *path, int at_flags, struct kstat *st); /* AT_SYMLINK_NOFOLLOW AT_EMPTY_PATH AT_NO_AUTOMOUNT */
int vfs_stat_path(const struct path *p, struct kstat *st);
struct file;
int vfs_stat_file(struct file *f, struct kstat *st);      /* of any open file: those without a name (sockets, eventfds) have an inode too */
int vfs_access(int dirfd, const char *path, int mode, int at_flags);       /* AT_EACCESS */
int vfs_setattr(const struct path *p, const struct kattr *a);              /* ownership and capability rules of chmod(2), chown(2), utimensat(2) */
int vfs_chmod(int dirfd, const char *path, u32 mode, int at_flags);
int vfs_chown(int dirfd, const char *path, u32 uid, u32 gid, int at_flags);/* ~0: leave */
int vfs_utimens(int dirfd, const char *path /* NULL: dirfd itself */, const struct timespec ts[2] /* NULL: now; UTIME_NOW, UTIME_OMIT */, int at_flags);
int vfs_truncate_path(const char *path, u64 size);
int vfs_ftruncate(struct file *f, u64 size);
int vfs_statfs(const struct path *p, struct statfs *out);
int vfs_chdir(const char *path);
int vfs_chroot(const char *path);
/* bounds of names and values: xattr(7) */
#define KXATTR_NAME_MAX 255
#define KXATTR_SIZE_MAX 65536
ssize_t vfs_getxattr(const struct path *p, const char *name, void *buf, size_t size);
int vfs_setxattr(const struct path *p, const char *name, const void *val, size_t size, int flags);
ssize_t vfs_listxattr(const struct path *p, char *buf, size_t size);
/* Flags of chattr(1), FS_*_FL. -EOPNOTSUPP: of this file there are none, or (set) not this one; -EPERM. */
int vfs_fileattr_get(const struct path *p, u32 *flags);
int vfs_fileattr_set(const struct path *p, u32 flags);
int vfs_removexattr(const struct path *p, const char *name);

/* inotify hooks; mask IN_*. Cheap when nobody watches. */
void fsnotify(struct dentry *d, u32 mask, u32 cookie);
void fsnotify_links(struct inode *ino);    /* its count of links changed: IN_ATTRIB, not told to directories */
void fsnotify_inode_delete(struct inode *ino);   /* IN_DELETE_SELF, and its marks go. Any lock outside of LC_PIPE may be held */
void fsnotify_name(struct inode *dir, const char *name, u32 mask, u32 cookie, bool is_dir);

#endif
