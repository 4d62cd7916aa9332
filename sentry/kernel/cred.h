/* Credentials: immutable once published; a change makes a copy. Source: credentials(7), capabilities(7). */
#ifndef SUNDOG_KERNEL_CRED_H
#define SUNDOG_KERNEL_CRED_H

#include "sentry/base/lock.h"

struct user_ns;

struct cred {
    refcount_t refs;
    u32 uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
    u32 *groups; unsigned ngroups;
    u64 cap_inheritable, cap_permitted, cap_effective, cap_bset, cap_ambient;  /* bit n = CAP_n of <linux/capability.h> */
    u32 securebits;
    struct user_ns *user_ns;           /* NULL: the initial one */
};

struct cred *cred_new(u32 uid, u32 gid, u64 caps);
void cred_get(struct cred *c);
void cred_put(struct cred *c);
struct cred *cred_copy(const struct cred *c);   /* private, to be changed and then installed with task_set_cred */
bool cred_capable(const struct cred *c, int cap);
bool cred_in_group(const struct cred *c, u32 gid);   /* fsgid or supplementary */
bool capable(int cap);                                /* of current */
/* Recomputes capabilities after uid changes the way capabilities(7) "Effect of user ID changes" says. */
void cred_fix_caps_after_setuid(const struct cred *old, struct cred *new_);

#endif
