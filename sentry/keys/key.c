/* Keys as such: their life, quota, payload and permissions. */
#include "sentry/keys/internal.h"
#include <string.h>
#include <sys/random.h>

lock_t keys_lock = LOCK_INIT(LC_PIPE);
struct key *keys_all;
struct key_user *key_users;
struct key_settings key_settings = { .maxkeys = 200, .maxbytes = 20000, .root_maxkeys = 1000000, .root_maxbytes = 25000000, .gc_delay = 300,
    .persistent_expiry = 3 * 24 * 3600 };
static u64 all_bytes;              /* of all payloads */

const struct key_type key_type_keyring = { .name = "keyring", .readable = true };
const struct key_type key_type_user = { .name = "user", .readable = true, .updatable = true, .max = 32767 };
const struct key_type key_type_logon = { .name = "logon", .updatable = true, .named_prefix = true, .max = 32767 };
const struct key_type key_type_big = { .name = "big_key", .readable = true, .updatable = true, .max = KEY_PAYLOAD_MAX };

const struct key_type *key_type_find(const char *name)
{
    static const struct key_type *const types[] = { &key_type_keyring, &key_type_user, &key_type_logon, &key_type_big };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (!strcmp(types[i]->name, name)) return types[i];
    return NULL;
}

bool key_is_keyring(const struct key *k) { return k->type == &key_type_keyring; }
s64 key_now(void) { return clock_real() / NSEC_PER_SEC; }

u32 key_hash(const struct key_type *t, const char *desc)
{
    u32 h = 2166136261u ^ (u32)(uintptr_t)t;
    for (; *desc; desc++) h = (h ^ (u8)*desc) * 16777619u;
    return h;
}

bool key_same(const struct key *a, const struct key_type *t, const char *desc, u32 hash)
{
    return a->hash == hash && a->type == t && !strcmp(a->desc, desc);
}

/* --- users and quota --- */

static struct key_user *user_get(u32 uid)
{
    struct key_user *u;
    HASH_FIND(hh, key_users, &uid, sizeof uid, u);
    if (!u) {
        u = xnew(struct key_user);
        u->uid = uid;
        HASH_ADD(hh, key_users, uid, sizeof u->uid, u);
    }
    u->nkeys++;
    return u;
}
static void user_put(struct key_user *u)
{
    if (--u->nkeys) return;
    HASH_DEL(key_users, u);
    free(u);
}

static u32 max_keys(u32 uid) { return atomic_load(uid ? &key_settings.maxkeys : &key_settings.root_maxkeys); }
static u32 max_bytes(u32 uid) { return atomic_load(uid ? &key_settings.maxbytes : &key_settings.root_maxbytes); }
static bool fits(const struct key_user *u, u64 bytes)
{
    return u->qnkeys + 1 <= max_keys(u->uid) && u->qnbytes + bytes <= max_bytes(u->uid);
}

int key_reserve(struct key *k, s64 more)
{
    if (more > 0 && k->in_quota && k->user->qnbytes + (u64)more > max_bytes(k->user->uid)) return -EDQUOT;
    if (k->in_quota) k->user->qnbytes += (u64)more;
    k->quotalen += (u64)more;
    return 0;
}

int key_change_owner(struct key *k, u32 uid)
{
    struct key_user *to = user_get(uid);
    if (k->in_quota) {
        if (!fits(to, k->quotalen)) {
            user_put(to);
            return -EDQUOT;
        }
        to->qnkeys++;
        to->qnbytes += k->quotalen;
        k->user->qnkeys--;
        k->user->qnbytes -= k->quotalen;
    }
    user_put(k->user);
    k->user = to;
    k->uid = uid;
    return 0;
}

/* --- life --- */

static s32 fresh_serial(void)
{
    for (;;) {
        s32 n = 0;
        struct key *k;
        ssize_t r = getrandom(&n, sizeof n, 0);
        (void)r;
        n &= INT32_MAX;
        if (n < 3) continue;       /* as in Linux; never one of the special ones */
        HASH_FIND(hh, keys_all, &n, sizeof n, k);
        if (!k) return n;
    }
}

static int check_desc(const struct key_type *t, const char *desc)
{
    if (!desc || !*desc) return -EINVAL;
    const char *colon = t->named_prefix ? strchr(desc, ':') : desc + 1;
    return !colon || colon == desc ? -EINVAL : 0;
}

int key_new(const struct key_type *type, const char *desc, u32 uid, u32 gid, u32 perm, enum key_quota q, struct key **out)
{
    int r = check_desc(type, desc);
    if (r) return r;
    if (HASH_COUNT(keys_all) >= KEY_CEILING) return -ENOMEM;
    u64 bytes = strlen(desc) + 1;
    struct key_user *u = user_get(uid);
    if (q == QUOTA_CHECKED && !fits(u, bytes)) {
        user_put(u);
        return -EDQUOT;
    }
    struct key *k = xnew(struct key);
    ref_init(&k->refs);
    k->type = type;
    k->desc = xstrdup(desc);
    k->hash = key_hash(type, desc);
    k->uid = uid;
    k->gid = gid;
    k->perm = perm;
    k->expiry = KEY_NO_EXPIRY;
    k->user = u;
    k->quotalen = bytes;
    k->in_quota = true;
    u->qnkeys++;
    u->qnbytes += bytes;
    k->user_ns = current->cred->user_ns ? current->cred->user_ns->ns.inum : 0;
    k->serial = fresh_serial();
    HASH_ADD(hh, keys_all, serial, sizeof k->serial, k);
    *out = k;
    return 0;
}

void key_get(struct key *k) { ref_get(&k->refs); }

static void destroy(struct key *k)
{
    keyring_clear(k);
    key_drop_payload(k);
    HASH_DEL(keys_all, k);
    if (k->in_quota) {
        k->user->qnkeys--;
        k->user->qnbytes -= k->quotalen;
    }
    user_put(k->user);
    free(k->desc);
    free(k);
}

/* Keyrings may hang below each other in a long row: what one lets go of queues up rather than nests. */
void key_put(struct key *k)
{
    static struct key *dying;      /* keys_lock */
    static bool busy;

    if (!k || !ref_put(&k->refs)) return;
    k->dying = dying;
    dying = k;
    if (busy) return;
    busy = true;
    while ((k = dying)) {
        dying = k->dying;
        destroy(k);
    }
    busy = false;
}

/* --- payload --- */

int key_check_payload(const struct key_type *t, const void *p, size_t len)
{
    if (!t->max) return len ? -EINVAL : 0;
    return !len || len > t->max || !p ? -EINVAL : 0;
}

static u64 quota_of(const struct key_type *t, size_t len) { return t == &key_type_big && len ? KEY_BIG_QUOTA : len; }

int key_set_payload(struct key *k, const void *p, size_t len)
{
    if (!k->type->max) return 0;
    if (all_bytes - k->len + len > KEY_BYTES_CEILING) return -ENOMEM;
    void *copy = try_zalloc(1, len);
    if (!copy) return -ENOMEM;
    int r = key_reserve(k, (s64)quota_of(k->type, len) - (s64)quota_of(k->type, k->len));
    if (r) {
        free(copy);
        return r;
    }
    memcpy(copy, p, len);
    if (k->data) key_free_copy(k->data, k->len);
    all_bytes += len - k->len;
    k->data = copy;
    k->len = len;
    return 0;
}

void key_drop_payload(struct key *k)
{
    if (!k->data) return;
    (void)key_reserve(k, -(s64)quota_of(k->type, k->len));
    all_bytes -= k->len;
    key_free_copy(k->data, k->len);
    k->data = NULL;
    k->len = 0;
}

void key_free_copy(void *p, size_t len)
{
    if (p) explicit_bzero(p, len);
    free(p);
}

/* --- what may be done --- */

int key_validate(const struct key *k)
{
    if (k->invalidated) return -ENOKEY;
    if (k->revoked) return -EKEYREVOKED;
    return key_now() >= k->expiry ? -EKEYEXPIRED : 0;
}

int key_permission(struct key_ref r, u32 need)
{
    const struct cred *c = current->cred;
    const struct key *k = r.key;
    u32 have = k->perm;

    if (k->uid == c->fsuid) have >>= 16;
    else if ((k->perm & KEY_GRP(KEY_ALL_NEEDS)) && k->gid != NO_ID && cred_in_group(c, k->gid)) have >>= 8;
    if (r.possessed) have |= k->perm >> 24;
    return need & ~have & KEY_ALL_NEEDS ? -EACCES : 0;
}
