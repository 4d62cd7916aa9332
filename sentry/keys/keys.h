/*
 * Key rings, ABI-neutral: keyrings(7), add_key(2), request_key(2), keyctl(2); security/keys of Linux. Types: keyring, user,
 * logon, big_key. Nobody is asked to make a key that is missing (no upcall): requests find what there is or fail with
 * ENOKEY. A big_key is kept in plain in the sentry's memory, which is all the memory there is.
 *
 * One lock (LC_PIPE) guards all keys and what tasks hold of them. Strings and payloads are the sentry's, copied before.
 */
#ifndef SUNDOG_KEYS_KEYS_H
#define SUNDOG_KEYS_KEYS_H

#include "sentry/base/strbuf.h"
#include "sentry/base/types.h"

struct task;
struct tgroup;

#define KEY_TYPE_MAX 32            /* with the NUL */
#define KEY_DESC_MAX 4096
#define KEY_PAYLOAD_MAX (1024 * 1024 - 1)

/* Special ids (KEY_SPEC_*) and permissions are the host Linux's <linux/keyctl.h>. Errors: ENOKEY EACCES EKEYEXPIRED
 * EKEYREVOKED EDQUOT ENOTDIR EINVAL EPERM ENODEV EOPNOTSUPP EDEADLK ELOOP ENOENT EEXIST ENOMEM, negative. desc may be NULL. */
sysret_t key_add(const char *type, const char *desc, const void *payload, size_t len, s32 ring);            /* serial */
sysret_t key_request(const char *type, const char *desc, bool make, s32 dest /* 0: none */);                /* serial */
sysret_t key_get_id(s32 id, bool create);
sysret_t key_join_session(const char *name);                     /* NULL: a new one without a name for others */
sysret_t key_update(s32 id, const void *payload, size_t len);
sysret_t key_revoke(s32 id);
sysret_t key_invalidate(s32 id);
sysret_t key_chown(s32 id, u32 uid, u32 gid);                    /* kernel ids, ~0u: as it is; 0 */
sysret_t key_setperm(s32 id, u32 perm);
/* type;uid;gid;perm;description, and a NUL: its length. *out is the caller's to free. */
sysret_t key_describe(s32 id, char **out);
sysret_t key_check_view(s32 id);                                 /* KEYCTL_GET_SECURITY: may its label be seen */
sysret_t key_clear(s32 ring);
sysret_t key_link(s32 id, s32 ring);
sysret_t key_unlink(s32 id, s32 ring);
sysret_t key_move(s32 id, s32 from, s32 to, bool exclusive);
sysret_t key_search(s32 ring, const char *type, const char *desc, s32 dest /* 0: none */);
/* All of it, a keyring as s32 serials: the length; *out is the caller's to free (key_free_copy), NULL if there is nothing. */
sysret_t key_read(s32 id, void **out);
void key_free_copy(void *p, size_t len);
sysret_t key_set_timeout(s32 id, u32 seconds);
sysret_t key_set_request_default(s32 which);                     /* the former one */
sysret_t key_session_to_parent(void);
sysret_t key_get_persistent(u32 uid, s32 dest);
sysret_t key_restrict(s32 ring, const char *type /* NULL: nothing more may be linked */);

/* --- hooks of the process tree --- */
void keys_clone(struct task *child);                             /* current's: the session keyring is inherited */
void keys_exec(void);                                            /* the keyrings of thread and process go */
void keys_fsid_changed(u32 uid, u32 gid);                        /* the thread keyring changes its owner too */
void keys_task_exit(struct task *t);
void keys_tgroup_exit(struct tgroup *tg);                        /* its last thread */
void keys_user_ns_exit(u32 inum);                                /* under any lock */
/* The session keyring of a container, for current: made by this name for its first process, joined (NULL) by those started later. */
void keys_container_session(const char *name);

/* --- /proc/keys, /proc/key-users, /proc/sys/kernel/keys --- */
void keys_show(struct strbuf *b);
void key_users_show(struct strbuf *b);
struct key_settings { u32 maxkeys, maxbytes, root_maxkeys, root_maxbytes, gc_delay, persistent_expiry; };   /* (a) each */
extern struct key_settings key_settings;

#endif
