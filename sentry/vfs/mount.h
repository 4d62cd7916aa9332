/*
 * Mounts, mount namespaces, and what travels between mounts that are peers.
 * One lock, LC_MOUNT, guards all trees, namespaces and peer groups; fields marked (t) are under it.
 * Source: mount_namespaces(7), mount(2), Documentation/filesystems/sharedsubtree.rst in the Linux tree.
 */
#ifndef SUNDOG_VFS_MOUNT_H
#define SUNDOG_VFS_MOUNT_H

#include "sentry/base/list.h"
#include "sentry/base/lock.h"
#include "sentry/kernel/ns.h"
#include "sentry/kernel/waitq.h"
#include "sentry/vfs/mount_flags.h"
#include <uthash.h>

struct dentry;
struct path;
struct peer_group;
struct super;

TAILQ_HEAD(mount_queue, mount);

struct mount {
    refcount_t refs;               /* one is that of the namespace (or of the umounted parent it hangs on), the others are paths' */
    u32 flags;                     /* (a) MNT_* */
    u64 unique;                    /* (c) number that no other mount ever has; rises */
    u32 id;                        /* (c) the number in mountinfo */
    u32 writers;                   /* (a) files open for writing */
    u32 pins;                      /* (a) references that are no use of the mount: of whoever lists them */
    u32 expiring;                  /* (a) MNT_EXPIRE marked it and nobody came since */
    struct super *sb;              /* (c) counted */
    struct dentry *root;           /* (c) counted: what of sb is shown */
    char *source;                  /* (c) device column of mountinfo */
    struct mount *parent;          /* (t) */
    struct dentry *mountpoint;     /* (t) counted, in parent. With parent the key of the table of places */
    UT_hash_handle hh;             /* (t) table of places: at most one mount at each */
    struct mount_queue children;   /* (t) */
    TAILQ_ENTRY(mount) child;      /* (t) among the parent's */
    LIST_ENTRY(mount) same_point;  /* (t) mounts on the same dentry, of whatever parent */
    struct mnt_ns *ns;             /* (t) NULL: in none (internal, or umounted) */
    RB_ENTRY(mount) in_ns;         /* (t) by unique */
    struct peer_group *group;      /* (t) peers it shares mounts with; NULL: not shared */
    struct peer_group *master;     /* (t) of a mount that is not shared: where it receives from. A shared one's is its group's */
    TAILQ_ENTRY(mount) peer;       /* (t) among the group's members or the master's slaves */
    u32 locked_flags;              /* (t) MNT_LOCKABLE that may not be taken away (from whoever has fewer rights), MNT_LOCKED_ATIME */
    bool locked;                   /* (t) came with a namespace of more rights: hides what it covers, cannot go alone */
    bool unbindable;               /* (t) */
    bool umounted;                 /* (t) */
    bool candidate, marked;        /* (t) while an umount propagates */
    struct mount *copy;            /* (t) while trees are copied */
    struct mount *dest;            /* (t) of the root of a copy: where it will hang */
    TAILQ_ENTRY(mount) work;       /* (t) in a list of whoever holds the lock, or owns the last reference */
};

#define MNT_LOCKABLE (MNT_RDONLY | MNT_NOSUID | MNT_NODEV | MNT_NOEXEC)
#define MNT_ATIME (MNT_NOATIME | MNT_RELATIME | MNT_NODIRATIME)
#define MOUNT_TOTAL_MAX 400000u    /* mounts of all namespaces: bounds what copies of namespaces hold */
#define MNT_LOCKED_ATIME (1u << 31)
extern u32 mount_max;              /* (a) mounts in a namespace: fs.mount-max of Linux */

RB_HEAD(mount_tree, mount);
struct mnt_ns {
    struct ns ns;
    u64 seq;                       /* (c) order of making: a namespace's file is only mounted in older ones */
    u64 origin;                    /* (c) of an anonymous one, with a tree that is mounted nowhere: seq of where that was made */
    struct mount_tree mounts;      /* (t) */
    unsigned nr, pending;          /* (t) mounts in it; about to come */
    struct mount *root;            /* (t) */
    u64 event;                     /* (a) changes of the mounts */
    struct waitq changed;
};
struct mnt_ns *mnt_ns_new(struct super *root_sb, u32 flags, const char *source);
void mnt_ns_get(struct mnt_ns *ns);
void mnt_ns_put(struct mnt_ns *ns);
/*
 * CLONE_NEWNS for owner; moves the two paths over. Copies of shared mounts are their peers, for another owner than ns has
 * their slaves; then mounts and flags are locked too. -ENOSPC
 */
int mnt_ns_copy(struct mnt_ns *ns, struct user_ns *owner, struct path *root, struct path *cwd, struct mnt_ns **out);
void mnt_ns_top(struct mnt_ns *ns, struct path *out);                     /* its root as new members see it; counted */
void mnt_ns_lock_flags(struct mnt_ns *ns);                                /* what the sandbox was started with stays */
/* Iteration in the order of `unique`, from that after `after` on, over mounts pinned for it; fn runs without the lock. */
void mnt_ns_for_each(struct mnt_ns *ns, u64 after, bool (*fn)(struct mount *m, void *arg), void *arg);
struct mount *mnt_ns_find(struct mnt_ns *ns, u64 unique);                 /* counted or NULL */

int vfs_mount(struct mnt_ns *ns, const struct path *at, struct super *sb, struct dentry *root /* NULL: sb's */, u32 flags, const char *source);
/* A view of src (with recursive: of what is mounted there too) at `at`. -EINVAL across namespaces */
int vfs_bind(const struct path *src, const struct path *at, bool recursive);
int vfs_move_mount(const struct path *src, const struct path *at, bool beneath);
int vfs_umount(const struct path *at, int flags);       /* MNT_DETACH MNT_EXPIRE */
extern _Thread_local bool mount_keep_expiring;         /* set while MNT_EXPIRE looks for the mount: that is no use of it */
int vfs_remount(const struct path *at, u32 flags);      /* per-mount flags only; -EINVAL: no mount root, -EPERM: locked */
int vfs_pivot_root(const struct path *new_root, const struct path *put_old);   /* for every process that stands there */
/* kind: MS_SHARED MS_SLAVE MS_PRIVATE MS_UNBINDABLE */
int vfs_change_propagation(const struct path *at, u64 kind, bool recursive);
/* mount_setattr(2): clear, then set MNT_*; kind as above or 0. */
struct mount_change { u32 set, clear; u64 kind; bool recursive; };
int vfs_mount_setattr(const struct path *at, const struct mount_change *c);
/* MOVE_MOUNT_SET_GROUP: `to`, a private mount of the same thing, gets the peers and master of `from`. */
int vfs_mount_set_group(const struct path *from, const struct path *to);

/* Trees that are mounted nowhere: the root of a fresh anonymous namespace, counted; mount_dissolve when its file goes. */
int vfs_open_tree(const struct path *src, bool recursive, struct path *out);
int vfs_mount_detached(struct super *sb, struct dentry *root, u32 flags, const char *source, struct path *out);
void mount_dissolve(struct mount *m);

/* The topmost mount on p, if any: replaces *p. */
void path_follow_mount(struct path *p);
/* Steps from the root of a mount to where it is mounted; false: at the top. *p is replaced. */
bool path_up_mount(struct path *p);
void mount_get(struct mount *m);
void mount_put(struct mount *m);
/* A mount outside every namespace (pipes, memfds, layers of an overlay). */
struct mount *mount_new_internal(struct super *sb);
/* Is d the place of a mount in current's namespace? */
bool dentry_is_mounted_here(struct dentry *d);
/* d is deleted: whatever other namespaces have mounted there goes. */
void dentry_detach_mounts(struct dentry *d);

/* What listings tell beside the fields; peers and masters as seen from root. Numbers of groups are 0 where there is none. */
struct mount_info { u32 parent_id; u64 parent_unique; u32 group, master, from; bool unbindable, has_parent; u64 ns_seq; };
void mount_get_info(struct mount *m, const struct path *root, struct mount_info *out);
/* Texts of listings (mount_text.c). What sb of m is shown, from sb's root on: a length or -ENAMETOOLONG. */
struct strbuf;
int mount_root_text(struct mount *m, char *buf, size_t size);
int mount_place_text(struct mount *m, const struct path *root, char *buf, size_t size);   /* -ENOENT: not below root */
void mount_options_text(struct strbuf *b, u32 flags);                      /* ",nosuid,..."; without ro and rw */
bool mount_is_below(struct mount *m, const struct path *root);            /* reachable from root */

#endif
