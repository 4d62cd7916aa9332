/* Private to sentry/keys. Everything here needs keys_lock held. */
#ifndef SUNDOG_KEYS_INTERNAL_H
#define SUNDOG_KEYS_INTERNAL_H

#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/kernel/ns.h"
#include "sentry/kernel/task.h"
#include "sentry/keys/keys.h"
#include <linux/keyctl.h>
#include <uthash.h>

#define KEY_MAX_DEPTH 6            /* keyrings inside of keyrings that a search follows */
#define KEY_LINK_QUOTA 4u          /* bytes of quota that a link costs */
#define KEY_BIG_QUOTA 16u          /* and a big_key */
/* Of all users together, whatever the quotas are set to: -ENOMEM beyond. */
#define KEY_BYTES_CEILING (64ULL << 20)
#define KEY_CEILING (1u << 20)
#define KEY_NO_EXPIRY INT64_MAX

enum key_need { NEED_NONE = 0, NEED_VIEW = 1, NEED_READ = 2, NEED_WRITE = 4, NEED_SEARCH = 8, NEED_LINK = 16, NEED_SETATTR = 32,
    NEED_UNLINK = 64 /* the key itself is not touched */, NEED_LATER = 128 /* the caller asks */ };
/* Permission words: possessor, owner, group, others, eight bits each from above. */
#define KEY_POS(n) ((u32)(n) << 24)
#define KEY_USR(n) ((u32)(n) << 16)
#define KEY_GRP(n) ((u32)(n) << 8)
#define KEY_ALL_NEEDS 0x3fu
#define KEY_PERM_MASK 0x3f3f3f3fu

struct key_type {
    const char *name;
    bool readable, updatable, named_prefix;    /* named_prefix: descriptions are service:rest */
    size_t max;                                /* bytes of payload; 0: none may be given */
};
extern const struct key_type key_type_keyring, key_type_user, key_type_logon, key_type_big;
const struct key_type *key_type_find(const char *name);

struct key_user { u32 uid; unsigned nkeys, qnkeys; u64 qnbytes; UT_hash_handle hh; };

struct key {
    refcount_t refs;
    s32 serial;
    UT_hash_handle hh;             /* by serial, while the key lives */
    const struct key_type *type;
    char *desc;
    u32 hash;                      /* of type and desc */
    u32 uid, gid, perm;
    s64 expiry;                    /* seconds of CLOCK_REALTIME */
    bool revoked, invalidated, in_quota, reject_links, is_user_keyring;
    u32 user_ns;                   /* keyrings: number of the user namespace whose names it is among, 0: the initial one */
    struct key_user *user;
    u64 quotalen;
    void *data; size_t len;        /* payload */
    struct key **links; unsigned nlinks, cap;      /* keyring; counted */
    u64 seen; unsigned seen_depth; /* by the walk of this number */
    u64 owned;                     /* key_mark_possessed */
    struct key *dying;             /* key_put: the next one to be freed */
};
struct key_ref { struct key *key; bool possessed; };

extern lock_t keys_lock;
extern struct key *keys_all;       /* by serial */
extern struct key_user *key_users;

/* --- key.c --- */
enum key_quota { QUOTA_CHECKED, QUOTA_OVERRUN /* counted, never refused */ };
/* -EINVAL -EDQUOT -ENOMEM; *out counted. desc is copied. */
int key_new(const struct key_type *type, const char *desc, u32 uid, u32 gid, u32 perm, enum key_quota q, struct key **out);
void key_get(struct key *k);
void key_put(struct key *k);       /* NULL allowed */
int key_check_payload(const struct key_type *t, const void *p, size_t len);
int key_set_payload(struct key *k, const void *p, size_t len);     /* -EDQUOT -ENOMEM */
int key_reserve(struct key *k, s64 more);                          /* bytes of quota */
void key_drop_payload(struct key *k);
int key_validate(const struct key *k);                             /* -ENOKEY -EKEYREVOKED -EKEYEXPIRED */
int key_permission(struct key_ref r, u32 need);                    /* of current; -EACCES */
bool key_is_keyring(const struct key *k);
bool key_same(const struct key *a, const struct key_type *t, const char *desc, u32 hash);
u32 key_hash(const struct key_type *t, const char *desc);
s64 key_now(void);
int key_change_owner(struct key *k, u32 uid);                      /* -EDQUOT */

/* --- keyring.c --- */
struct key *keyring_find(struct key *ring, const struct key_type *t, const char *desc);   /* borrowed; direct links only */
int keyring_add(struct key *ring, struct key *k);                  /* -ENOTDIR -EPERM -EDEADLK -ELOOP -EDQUOT */
int keyring_add_new(struct key *ring, struct key *k);              /* one that nobody else knows yet: no cycle is possible */
int keyring_remove(struct key *ring, const struct key *k);         /* -ENOTDIR -ENOENT */
void keyring_clear(struct key *ring);
void keyring_prune(struct key *ring);                              /* links to keys that are gone */
int keyring_move(struct key *k, struct key *from, struct key *to, bool exclusive);
/* What a search looks for: this key, or a type and description. */
struct key_search {
    const struct key *target;      /* NULL: */
    const struct key_type *type; const char *desc; u32 hash;
    bool any_state;                /* also expired and revoked ones */
    bool skip_expired;             /* those do not even count as a reason */
    u64 walk;
};
void key_search_begin(struct key_search *s);
u64 keyring_mark(struct key *const *start, size_t n);               /* the same for what these lead to; NULL among them allowed */
/* ring and what is below it. -EAGAIN: not there; -EACCES -EKEYREVOKED -EKEYEXPIRED: one that does not count */
int keyring_search(struct key_search *s, struct key_ref ring, struct key_ref *out /* borrowed */);

/* --- process.c --- */
#define LOOKUP_CREATE 1u
int key_lookup(s32 id, u32 flags, enum key_need need, struct key_ref *out);     /* counted; NULL with an error */
int key_default_ring(struct key **out);                           /* borrowed: where what request_key makes would go */
int key_search_process(struct key_search *s, struct key_ref *out);               /* borrowed; keyrings of current */
bool key_possessed(const struct key *k);
u64 key_mark_possessed(void);      /* all that current possesses have this in owned, until the next walk */
int key_join_session_locked(const char *name, s32 *serial);
int key_persistent(u32 uid, struct key **out);                                   /* counted */

#endif
