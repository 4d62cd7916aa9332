/* What the files of the mount table share. Nobody else includes this. Functions that end in _locked want LC_MOUNT, written. */
#ifndef SUNDOG_VFS_MOUNT_INTERNAL_H
#define SUNDOG_VFS_MOUNT_INTERNAL_H

#include "sentry/vfs/vfs.h"

extern rwlock_t mount_lock;

RB_PROTOTYPE(mount_tree, mount, in_ns, mount_order)

/* Mounts that get each other's mounts, and those that get them without giving. Ends with its last member. */
TAILQ_HEAD(peer_group_queue, peer_group);
struct peer_group {
    u32 id;                                    /* shared:N of mountinfo */
    struct mount_queue members;                /* by ->peer */
    struct mount_queue slaves;                 /* mounts not shared themselves; by ->peer */
    struct peer_group *master;                 /* or NULL */
    struct peer_group_queue groups;            /* those that have this as master */
    TAILQ_ENTRY(peer_group) sibling;           /* among the master's */
    struct mount *rep;                         /* while a mount propagates: the copy that groups below copy */
};

/* --- mount.c --- */
struct mount *mount_alloc(struct super *sb, struct dentry *root, u32 flags, const char *source);
unsigned mount_budget(const struct mnt_ns *ns);                   /* how many more there may be */
struct mount *mount_child_locked(const struct mount *parent, const struct dentry *at);
void mount_hook_locked(struct mount *m, struct mount *parent, struct dentry *at);     /* at: referenced */
struct dentry *mount_unhook_locked(struct mount *m);              /* returns the place, whose reference is the caller's */
void mount_puts(struct mount_queue *dead);                        /* without the lock */
/* The next mount of top's tree, parents first; skip: not what is below m. */
struct mount *mount_next(struct mount *m, const struct mount *top, bool skip);
bool mount_is_under(const struct mount *m, const struct mount *top);
/* The place where something is mounted that is mounted at p: the top of what is there already. Borrowed. */
struct path mount_place_locked(const struct path *p);
bool mount_reachable_locked(const struct path *p, const struct path *top);     /* p is at or below top */
static inline struct mount *mount_over(const struct mount *m) { return mount_child_locked(m, m->root); }

/* --- mount_peer.c --- */
void peer_make_shared(struct mount *m);
void peer_change(struct mount *m, u64 kind);
void peer_leave(struct mount *m);                                 /* private, without master */
void peer_clone(struct mount *c, struct mount *old, unsigned how);
static inline struct peer_group *peer_master(const struct mount *m) { return m->group ? m->group->master : m->master; }
/*
 * Everything that gets mounts from what is mounted on a group, breadth last: first the members, then slaves and groups
 * below. peer_next_group(g, top) is NULL at the end; peer_skip_group leaves out what is below g.
 */
struct peer_group *peer_next_group(struct peer_group *g, const struct peer_group *top);
struct peer_group *peer_skip_group(struct peer_group *g, const struct peer_group *top);

/* --- mount_tree.c --- */
#define CP_SLAVE 1u                /* copies are slaves of what is copied, which is shared */
#define CP_SHARED_TO_SLAVE 2u      /* those of shared mounts are */
#define CP_MAKE_SHARED 4u          /* and have peers themselves */
#define CP_UNBINDABLE 8u           /* unbindable ones are copied too */
/* top's tree as far as root shows it. The copy is in no namespace; its size is added to *n, which must not exceed max. */
int mount_copy_locked(struct mount *top, struct dentry *root, unsigned how, unsigned *n, unsigned max, struct mount **out);
struct mount *mount_clone_locked(struct mount *m, struct dentry *root, unsigned how);
void mount_discard_locked(struct mount *copy, struct mount_queue *dead);      /* a copy that is in no namespace */
void mount_lock_tree_locked(struct mount *top);                   /* it goes to where rights are fewer */
void mount_into_ns_locked(struct mnt_ns *ns, struct mount *top);  /* all of the tree, which hangs on no namespace now */
void mount_from_ns_locked(struct mount *m);
void mnt_ns_touch(struct mnt_ns *ns);
/*
 * Hangs the tree on (parent, at) and copies of it where that propagates. beneath: below what is mounted there. A tree out of
 * a namespace is moved. -ENOSPC, then nothing has changed.
 */
int mount_attach_locked(struct mount *tree, struct mount *parent, struct dentry *at, bool beneath, struct mount_queue *dead, struct dentry **was);
/* The dentries of places that were left, to be put without the lock. */
#define UMOUNT_PROPAGATE 1u
#define UMOUNT_SYNC 2u             /* nothing stays attached to anything */
#define UMOUNT_CONNECTED 4u        /* the tree stays in one piece for those who stand in it */
void mount_umount_tree_locked(struct mount *top, unsigned how, struct mount_queue *dead);

/* --- mount_propagate.c --- */
/* Copies of source for whatever gets mounts of parent, each with its destination in ->dest, put into *copies. -ENOSPC */
int propagate_mount_locked(struct mount *parent, struct dentry *at, struct mount *source, struct mount_queue *copies);
void propagate_umount_locked(struct mount_queue *set);
bool propagate_busy_locked(struct mount *m, u32 refs);
void propagate_unlock_locked(struct mount *m);
/* Would what is mounted on `from` at `at` be put over `to` by propagation? */
bool propagate_would_cover(const struct mount *from, const struct mount *to, const struct dentry *at);

/* --- mount_ns.c --- */
struct mnt_ns *mnt_ns_alloc(struct user_ns *owner, u64 origin);
/* The mount namespace whose file d is; NULL: it is something else. */
struct mnt_ns *mnt_ns_of_file(const struct dentry *d);
bool mount_is_mine(const struct mount *m);                        /* in current's namespace */
bool mount_is_loose(const struct mount *m);                       /* in a tree mounted nowhere, made in current's namespace */

#endif
