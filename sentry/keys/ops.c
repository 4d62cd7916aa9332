/* The operations of add_key(2), request_key(2), keyctl(2): each takes the lock, looks up what it is given, lets go. */
#include "sentry/keys/internal.h"
#include <linux/capability.h>
#include <string.h>

/* The key that a call names, unless an earlier one failed; and the end of a call, with all it has named. */
#define WITH(var, id, flags, need) struct key_ref var = { 0 }; if (!err) err = key_lookup((id), (flags), (need), &var)
#define END(...) end((struct key *const[]){ __VA_ARGS__ }, sizeof((struct key *const[]){ __VA_ARGS__ }) / sizeof(struct key *))
static void end(struct key *const *held, size_t n)
{
    for (size_t i = 0; i < n; i++) key_put(held[i]);
    unlock(&keys_lock);
}

/* Where what is found goes, if anywhere. */
static int dest_get(s32 id, struct key_ref *out)
{
    *out = (struct key_ref){ 0 };
    return id ? key_lookup(id, LOOKUP_CREATE, NEED_WRITE, out) : 0;
}

static u32 default_perm(const struct key_type *t)
{
    u32 p = KEY_POS(NEED_VIEW | NEED_SEARCH | NEED_LINK | NEED_SETATTR) | KEY_USR(NEED_VIEW);
    if (t->readable) p |= KEY_POS(NEED_READ);
    if (t->updatable || t == &key_type_keyring) p |= KEY_POS(NEED_WRITE);
    return p;
}

static int update(struct key_ref k, const void *payload, size_t len)
{
    int r = key_permission(k, NEED_WRITE);
    if (!r && !k.key->type->updatable) r = -EOPNOTSUPP;
    if (!r) r = key_check_payload(k.key->type, payload, len);
    if (!r) r = key_set_payload(k.key, payload, len);
    if (!r) k.key->expiry = KEY_NO_EXPIRY;
    return r;
}

static int create(struct key *ring, const struct key_type *t, const char *desc, const void *payload, size_t len, s32 *serial)
{
    const struct cred *c = current->cred;
    struct key *k;
    int r = key_new(t, desc, c->fsuid, c->fsgid, default_perm(t), QUOTA_CHECKED, &k);
    if (r) return r;
    r = key_set_payload(k, payload, len);
    if (!r) r = keyring_add_new(ring, k);
    *serial = k->serial;
    key_put(k);
    return r;
}

sysret_t key_add(const char *type, const char *desc, const void *payload, size_t len, s32 ring_id)
{
    int err = 0;
    s32 serial = 0;
    lock(&keys_lock);
    WITH(ring, ring_id, LOOKUP_CREATE, NEED_WRITE);
    const struct key_type *t = key_type_find(type);
    if (!err && !t) err = -ENODEV;
    if (!err && !key_is_keyring(ring.key)) err = -ENOTDIR;
    if (!err) err = key_check_payload(t, payload, len);
    if (!err && !desc) err = -EINVAL;
    if (!err && ring.key->reject_links) err = -EPERM;
    if (!err) {
        struct key *old = t->updatable ? keyring_find(ring.key, t, desc) : NULL;
        if (old && !old->revoked && !old->invalidated) {
            serial = old->serial;
            err = update((struct key_ref){ old, ring.possessed }, payload, len);
        } else {
            err = create(ring.key, t, desc, payload, len, &serial);
        }
    }
    END(ring.key);
    return err ? err : serial;
}

/* What a search has found goes into the destination too. */
static int found(struct key_ref k, struct key_ref dest)
{
    int r = dest.key ? key_permission(k, NEED_LINK) : 0;
    return r || !dest.key ? r : keyring_add(dest.key, k.key);
}

/* A key is to be made: nobody does it, but whether the caller could keep it is said first. */
static int nobody_makes(struct key_ref dest)
{
    struct key *ring;
    int r = dest.key ? 0 : key_default_ring(&ring);
    if (!r && !dest.key) r = key_permission((struct key_ref){ ring, true }, NEED_WRITE);
    return r ? r : -ENOKEY;
}

sysret_t key_request(const char *type, const char *desc, bool make, s32 dest_id)
{
    struct key_search s = { .type = key_type_find(type), .desc = desc, .skip_expired = true };
    struct key_ref dest, k = { 0 };
    s32 serial = 0;
    lock(&keys_lock);
    int err = dest_get(dest_id, &dest);
    if (!err && (!s.type || !desc)) err = !s.type ? -ENOKEY : -EINVAL;
    if (!err) err = key_search_process(&s, &k);
    if (err == -EAGAIN) err = make ? nobody_makes(dest) : -ENOKEY;
    if (!err) {
        serial = k.key->serial;
        err = found(k, dest);
    }
    END(dest.key);
    return err ? err : serial;
}

sysret_t key_search(s32 ring_id, const char *type, const char *desc, s32 dest_id)
{
    struct key_search s = { .type = key_type_find(type), .desc = desc };
    struct key_ref dest = { 0 }, k = { 0 };
    s32 serial = 0;
    int err = 0;
    lock(&keys_lock);
    WITH(ring, ring_id, 0, NEED_SEARCH);
    if (!err) err = dest_get(dest_id, &dest);
    if (!err && (!s.type || !desc)) err = !s.type ? -ENOKEY : -EINVAL;
    if (!err) {
        key_search_begin(&s);
        err = keyring_search(&s, ring, &k);
        if (err == -EAGAIN) err = -ENOKEY;
    }
    if (!err) {
        serial = k.key->serial;
        err = found(k, dest);
    }
    END(ring.key, dest.key);
    return err ? err : serial;
}

sysret_t key_get_id(s32 id, bool create_it)
{
    int err = 0;
    s32 serial = 0;
    lock(&keys_lock);
    WITH(k, id, create_it ? LOOKUP_CREATE : 0, NEED_SEARCH);
    if (!err) serial = k.key->serial;
    END(k.key);
    return err ? err : serial;
}

sysret_t key_join_session(const char *name)
{
    s32 serial = 0;
    lock(&keys_lock);
    int err = key_join_session_locked(name, &serial);
    unlock(&keys_lock);
    return err ? err : serial;
}

sysret_t key_update(s32 id, const void *payload, size_t len)
{
    int err = 0;
    lock(&keys_lock);
    WITH(k, id, 0, NEED_WRITE);
    if (!err) err = update(k, payload, len);
    END(k.key);
    return err;
}

sysret_t key_revoke(s32 id)
{
    int err = 0;
    lock(&keys_lock);
    WITH(k, id, 0, NEED_WRITE);
    if (err == -EACCES) {
        err = key_lookup(id, 0, NEED_SETATTR, &k);
    }
    if (!err) {
        k.key->revoked = true;
        key_drop_payload(k.key);
        keyring_clear(k.key);
    }
    END(k.key);
    return err;
}

/* Gone for whoever looks; links to it go when their keyring is used next. */
sysret_t key_invalidate(s32 id)
{
    int err = 0;
    lock(&keys_lock);
    WITH(k, id, 0, NEED_SEARCH);
    if (!err) k.key->invalidated = true;
    END(k.key);
    return err;
}

sysret_t key_chown(s32 id, u32 uid, u32 gid)
{
    int err = 0;
    lock(&keys_lock);
    WITH(k, id, LOOKUP_CREATE, NEED_SETATTR);
    if (!err) {
        bool other_group = gid != NO_ID && gid != k.key->gid && !cred_in_group(current->cred, gid);
        if (((uid != NO_ID && uid != k.key->uid) || other_group) && !capable(CAP_SYS_ADMIN)) err = -EACCES;
    }
    if (!err && uid != NO_ID && uid != k.key->uid) err = key_change_owner(k.key, uid);
    if (!err && gid != NO_ID) k.key->gid = gid;
    END(k.key);
    return err;
}

sysret_t key_setperm(s32 id, u32 perm)
{
    int err = perm & ~KEY_PERM_MASK ? -EINVAL : 0;
    lock(&keys_lock);
    WITH(k, id, LOOKUP_CREATE, NEED_SETATTR);
    if (!err && k.key->uid != current->cred->fsuid && !capable(CAP_SYS_ADMIN)) err = -EACCES;
    if (!err) k.key->perm = perm;
    END(k.key);
    return err;
}

sysret_t key_describe(s32 id, char **out)
{
    int err = 0;
    *out = NULL;
    lock(&keys_lock);
    WITH(k, id, 0, NEED_VIEW);
    if (!err) *out = xasprintf("%s;%d;%d;%08x;%s", k.key->type->name, (s32)uid_out(k.key->uid), (s32)gid_out(k.key->gid), k.key->perm, k.key->desc);
    END(k.key);
    return err ? err : (sysret_t)strlen(*out) + 1;
}

sysret_t key_check_view(s32 id)
{
    int err = 0;
    lock(&keys_lock);
    WITH(k, id, 0, NEED_VIEW);
    END(k.key);
    return err;
}

sysret_t key_clear(s32 ring_id)
{
    int err = 0;
    lock(&keys_lock);
    WITH(ring, ring_id, LOOKUP_CREATE, NEED_WRITE);
    if (!err && !key_is_keyring(ring.key)) err = -ENOTDIR;
    if (!err) keyring_clear(ring.key);
    END(ring.key);
    return err;
}

sysret_t key_link(s32 id, s32 ring_id)
{
    int err = 0;
    lock(&keys_lock);
    WITH(ring, ring_id, LOOKUP_CREATE, NEED_WRITE);
    WITH(k, id, LOOKUP_CREATE, NEED_LINK);
    if (!err) err = keyring_add(ring.key, k.key);
    END(ring.key, k.key);
    return err;
}

sysret_t key_unlink(s32 id, s32 ring_id)
{
    int err = 0;
    lock(&keys_lock);
    WITH(ring, ring_id, 0, NEED_WRITE);
    WITH(k, id, 0, NEED_UNLINK);
    if (!err) err = keyring_remove(ring.key, k.key);
    END(ring.key, k.key);
    return err;
}

sysret_t key_move(s32 id, s32 from_id, s32 to_id, bool exclusive)
{
    int err = 0;
    lock(&keys_lock);
    WITH(k, id, LOOKUP_CREATE, NEED_LINK);
    WITH(from, from_id, 0, NEED_WRITE);
    WITH(to, to_id, LOOKUP_CREATE, NEED_WRITE);
    if (!err) err = keyring_move(k.key, from.key, to.key, exclusive);
    END(k.key, from.key, to.key);
    return err;
}

static int copy_of(struct key *k, void **out, size_t *len)
{
    if (key_is_keyring(k)) {
        keyring_prune(k);
        *len = k->nlinks * sizeof(s32);
    } else {
        *len = k->len;
    }
    if (!*len) return 0;
    s32 *ids = *out = try_zalloc(1, *len);
    if (!ids) return -ENOMEM;
    if (key_is_keyring(k))
        for (unsigned i = 0; i < k->nlinks; i++) ids[i] = k->links[i]->serial;
    else memcpy(*out, k->data, *len);
    return 0;
}

sysret_t key_read(s32 id, void **out)
{
    int err = 0;
    size_t len = 0;
    *out = NULL;
    lock(&keys_lock);
    WITH(k, id, 0, NEED_LATER);
    if (err) err = -ENOKEY;
    /* Who may find a key may read it too, as far as possession goes. */
    if (!err && key_permission(k, NEED_READ) && !key_possessed(k.key)) err = -EACCES;
    if (!err && !k.key->type->readable) err = -EOPNOTSUPP;
    if (!err) err = key_validate(k.key);
    if (!err) err = copy_of(k.key, out, &len);
    END(k.key);
    return err ? err : (sysret_t)len;
}

sysret_t key_set_timeout(s32 id, u32 seconds)
{
    int err = 0;
    lock(&keys_lock);
    WITH(k, id, LOOKUP_CREATE, NEED_SETATTR);
    if (!err) k.key->expiry = seconds ? key_now() + seconds : KEY_NO_EXPIRY;
    END(k.key);
    return err;
}

sysret_t key_set_request_default(s32 which)
{
    static const s32 ring[] = { [KEY_REQKEY_DEFL_THREAD_KEYRING] = KEY_SPEC_THREAD_KEYRING, [KEY_REQKEY_DEFL_PROCESS_KEYRING] = KEY_SPEC_PROCESS_KEYRING };
    int err = 0, old = current->reqkey_default;
    if (which == KEY_REQKEY_DEFL_NO_CHANGE) return old;
    if (which < 0 || which > KEY_REQKEY_DEFL_REQUESTOR_KEYRING || which == KEY_REQKEY_DEFL_GROUP_KEYRING) return -EINVAL;
    if (which == KEY_REQKEY_DEFL_THREAD_KEYRING || which == KEY_REQKEY_DEFL_PROCESS_KEYRING) {
        lock(&keys_lock);
        WITH(k, ring[which], LOOKUP_CREATE, NEED_NONE);
        END(k.key);
    }
    if (err) return err;
    current->reqkey_default = which;
    return old;
}

/* Only a parent that is the same user, has one thread, and could have had our keyring anyway: keyctl_session_to_parent(3). */
static bool parent_fits(struct task *p, const struct cred *c, struct key *session)
{
    struct cred *theirs = task_get_cred(p);
    const struct key *have = p->session_keyring;
    bool same = theirs->uid == c->euid && theirs->euid == c->euid && theirs->suid == c->euid && theirs->gid == c->egid &&
        theirs->egid == c->egid && theirs->sgid == c->egid;
    cred_put(theirs);
    return same && (!have || have->uid == c->euid) && session->uid == c->euid;
}

sysret_t key_session_to_parent(void)
{
    struct task *p = NULL;
    int err = 0;

    lock(&kernel.tasklist);
    struct tgroup *pg = current->tg->parent;
    if (pg && pg != kernel.init && pg->nr_tasks == 1 && pg->leader) task_get(p = pg->leader);
    unlock(&kernel.tasklist);
    lock(&keys_lock);
    WITH(k, KEY_SPEC_SESSION_KEYRING, 0, NEED_LINK);
    if (!err && (!p || !parent_fits(p, current->cred, k.key))) err = -EPERM;
    if (!err && p->session_keyring != k.key) {
        struct key *old = p->session_keyring;
        key_get(p->session_keyring = k.key);
        key_put(old);
    }
    END(k.key);
    if (p) task_put(p);
    return err;
}

sysret_t key_get_persistent(u32 uid, s32 dest_id)
{
    const struct cred *c = current->cred;
    struct key *k = NULL;
    s32 serial = 0;
    int err = uid != c->uid && uid != c->euid && !ns_capable(c->user_ns, CAP_SETUID) ? -EPERM : 0;
    lock(&keys_lock);
    WITH(dest, dest_id, LOOKUP_CREATE, NEED_WRITE);
    if (!err && !key_is_keyring(dest.key)) err = -ENOTDIR;
    if (!err) err = key_persistent(uid, &k);
    if (!err) err = key_permission((struct key_ref){ k, true }, NEED_LINK);
    if (!err) err = keyring_add(dest.key, k);
    if (!err) {
        u32 s = atomic_load(&key_settings.persistent_expiry);
        k->expiry = s ? key_now() + s : KEY_NO_EXPIRY;
        serial = k->serial;
    }
    END(dest.key, k);
    return err ? err : serial;
}

sysret_t key_restrict(s32 ring_id, const char *type)
{
    int err = 0;
    lock(&keys_lock);
    WITH(ring, ring_id, 0, NEED_SETATTR);
    if (!err && !key_is_keyring(ring.key)) err = -ENOTDIR;
    if (!err && type) err = key_type_find(type) ? -ENOENT : -ENOKEY;   /* no type here knows a restriction */
    if (!err && ring.key->reject_links) err = -EEXIST;
    if (!err) ring.key->reject_links = true;
    END(ring.key);
    return err;
}
