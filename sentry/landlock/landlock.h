/*
 * Landlock for guests: rulesets that processes put on themselves, landlock(7), as of ABI 6 (Linux 6.12).
 *
 * A ruleset is built through its descriptor; restricting oneself freezes its rules as one more layer of the domain in one's
 * credentials, which fork and exec keep. A domain is its innermost layer; each layer must grant what is asked for.
 * Rules are tied to inodes (they hold a dentry each, so that the inode stays the one in use) and end with the last
 * domain and ruleset that has them. This comes on top of the sandbox's own policy and can only take away.
 *
 * Errors: -EACCES of file and port rights, -EXDEV of a rename or link that would widen rights, -EPERM of scopes, mounts, traces.
 * Locks: the checks take those of dentries and mounts; domains are immutable. Source: security/landlock/ in the Linux tree.
 */
#ifndef SUNDOG_LANDLOCK_LANDLOCK_H
#define SUNDOG_LANDLOCK_LANDLOCK_H

#include "sentry/base/types.h"

struct cred;
struct dentry;
struct file;
struct net_addr;
struct path;
struct socket;
struct task;

#define LANDLOCK_ABI 6
#define LANDLOCK_LAYERS_MAX 16

/* Rights over files: bits of <linux/landlock.h>, of which the build host's may know fewer. */
#define LL_EXECUTE (1u << 0)
#define LL_WRITE_FILE (1u << 1)
#define LL_READ_FILE (1u << 2)
#define LL_READ_DIR (1u << 3)
#define LL_REMOVE_DIR (1u << 4)
#define LL_REMOVE_FILE (1u << 5)
#define LL_MAKE_CHAR (1u << 6)
#define LL_MAKE_DIR (1u << 7)
#define LL_MAKE_REG (1u << 8)
#define LL_MAKE_SOCK (1u << 9)
#define LL_MAKE_FIFO (1u << 10)
#define LL_MAKE_BLOCK (1u << 11)
#define LL_MAKE_SYM (1u << 12)
#define LL_REFER (1u << 13)
#define LL_TRUNCATE (1u << 14)
#define LL_IOCTL_DEV (1u << 15)
#define LL_FS_ALL 0xffffu
#define LL_FS_FILE (LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE | LL_IOCTL_DEV)
#define LL_FS_BITS 16
/* Over TCP ports. */
#define LL_BIND_TCP 1u
#define LL_CONNECT_TCP 2u
#define LL_NET_ALL 3u
/* Scopes. */
#define LL_SCOPE_ABSTRACT 1u
#define LL_SCOPE_SIGNAL 2u
#define LL_SCOPE_ALL 3u

struct ll_handled { u32 fs, net, scope; };

/* One layer of a domain, and all below it. */
struct ll_layer;
void ll_layer_get(struct ll_layer *l);
/* Under any lock: what the last one leaves is freed by ll_reap. */
void ll_layer_put(struct ll_layer *l);
void ll_reap(void);                                          /* no lock held */

/* --- rulesets (ruleset.c). handled: checked by the caller, not empty. --- */
int ll_ruleset_new(const struct ll_handled *handled, struct file **out);
bool ll_file_is_ruleset(const struct file *f);
const struct ll_handled *ll_ruleset_handled(struct file *f);
/* -EINVAL: a right that a file cannot have. -E2BIG, -ENOMEM: too many rules. Rights of a second rule for the same add up. */
int ll_ruleset_add_path(struct file *f, struct dentry *d, u32 access);
int ll_ruleset_add_port(struct file *f, u16 port, u32 access);
/* One more layer for current. -E2BIG: it has LANDLOCK_LAYERS_MAX. */
int ll_restrict(struct file *f);

/* --- questions, for current; 0 without a domain (path.c, refer.c, scope.c) --- */
/* Are these rights granted at p? -EACCES */
int ll_path(const struct path *p, u32 access);
/*
 * f is being opened at p (the directory, for a file without a name). Remembers which rights over truncation and device
 * requests it does not have. -EACCES
 */
int ll_open(struct file *f, const struct path *p, bool exec);
int ll_truncate_file(const struct file *f);
int ll_ioctl(const struct file *f, u32 cmd);
/* od, in the directory of opath, gets (rename: moves to) the name nd in that of npath; exchange: and the reverse. -EACCES, -EXDEV, -ENOENT */
int ll_refer(const struct path *odir, struct dentry *od, const struct path *ndir, struct dentry *nd, bool remove, bool exchange);
int ll_mount(void);                                          /* -EPERM */
int ll_bind(const struct socket *s, const struct net_addr *a);
int ll_connect(const struct socket *s, const struct net_addr *a);
/* other, bound to an abstract name, is about to get a connection or a message. -EPERM */
int ll_unix(const struct socket *other);
/* A signal by who (its credentials) to t; a trace. t->lock is taken. -EPERM */
int ll_signal(const struct ll_layer *who, struct task *t);
int ll_trace(const struct ll_layer *who, const struct cred *target);
/* mode: S_IF*; the right to make one. */
u32 ll_make_right(u32 mode);

#endif
