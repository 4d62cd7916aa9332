/* Credentials: immutable once published; a change makes a copy. Source: credentials(7), capabilities(7). */
#ifndef SUNDOG_KERNEL_CRED_H
#define SUNDOG_KERNEL_CRED_H

#include "sentry/base/lock.h"

struct user_ns;
struct ll_layer;

struct cred {
    refcount_t refs;
    u32 uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
    u32 *groups; unsigned ngroups;
    u64 cap_inheritable, cap_permitted, cap_effective, cap_bset, cap_ambient;  /* bit n = CAP_n of <linux/capability.h> */
    u32 securebits;
    struct ll_layer *landlock;         /* counted; its Landlock domain, NULL: none */
    struct user_ns *user_ns;           /* counted; NULL: the initial one. The capabilities are held there (kernel/ns.h) */
};

struct cred *cred_new(u32 uid, u32 gid, u64 caps);
void cred_get(struct cred *c);
void cred_put(struct cred *c);
struct cred *cred_copy(const struct cred *c);   /* private, to be changed and then installed with task_set_cred */
bool cred_capable(const struct cred *c, int cap);    /* over the sandbox: in the initial user namespace */
bool cred_ns_capable(const struct cred *c, const struct user_ns *ns, int cap);   /* over what belongs to ns */
bool cred_in_group(const struct cred *c, u32 gid);   /* fsgid or supplementary */
/* Of current: over the sandbox, over what belongs to ns, over what belongs to its own user namespace. */
bool capable(int cap);
bool ns_capable(const struct user_ns *ns, int cap);
bool own_ns_capable(int cap);
/* The capability part of ptrace(2)'s access check, them by me. */
bool cred_may_trace(const struct cred *me, const struct cred *them);
/* Recomputes capabilities after uid changes the way capabilities(7) "Effect of user ID changes" says. */
void cred_fix_caps_after_setuid(const struct cred *old, struct cred *new_);
/*
 * Ids of the kernel and ids as current's user namespace numbers them; only the ABI's edge and files of /proc convert.
 * In: ~0u when the id is not mapped. Out: the overflow id then.
 */
enum id_kind { ID_UID, ID_GID };
u32 id_in(enum id_kind k, u32 id);
u32 id_out(enum id_kind k, u32 id);
static inline u32 uid_in(u32 id) { return id_in(ID_UID, id); }
static inline u32 gid_in(u32 id) { return id_in(ID_GID, id); }
static inline u32 uid_out(u32 id) { return id_out(ID_UID, id); }
static inline u32 gid_out(u32 id) { return id_out(ID_GID, id); }

#endif
