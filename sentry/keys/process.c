/* Keyrings of threads, processes, sessions and users; ids as a caller means them. Follows process_keys.c of Linux. */
#include "sentry/keys/internal.h"
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

/* Keyrings of a user as one user namespace has them; they live as long as that. */
struct user_rings { struct { u32 ns, uid; } id; struct key *user, *session, *persistent; UT_hash_handle hh; };
static struct user_rings *all_rings;       /* keys_lock */

#define PERM_OWN (KEY_POS(KEY_ALL_NEEDS) | KEY_USR(NEED_VIEW))
#define PERM_SESSION (PERM_OWN | KEY_USR(NEED_READ))
#define PERM_USER (KEY_POS(KEY_ALL_NEEDS & ~(u32)NEED_SETATTR) | KEY_USR(KEY_ALL_NEEDS))
#define PERM_PERSISTENT (KEY_POS(KEY_ALL_NEEDS & ~(u32)NEED_SETATTR) | KEY_USR(NEED_VIEW | NEED_READ))

static int ring_new(const char *name, u32 uid, u32 gid, u32 perm, enum key_quota q, struct key **out)
{
    return key_new(&key_type_keyring, name, uid, gid, perm, q, out);
}

static int own_ring(struct key **at, const char *name)
{
    const struct cred *c = current->cred;
    return *at ? 0 : ring_new(name, c->uid, c->gid, PERM_OWN, QUOTA_OVERRUN, at);
}
static int thread_ring(void) { return own_ring(&current->thread_keyring, "_tid"); }
static int process_ring(void) { return own_ring(&current->tg->process_keyring, "_pid"); }

static u32 own_ns(void) { return current->cred->user_ns ? current->cred->user_ns->ns.inum : 0; }

static struct user_rings *rings_of(u32 uid)
{
    struct user_rings *u, key = { .id = { own_ns(), uid } };
    HASH_FIND(hh, all_rings, &key.id, sizeof key.id, u);
    if (u) return u;
    u = xnew(struct user_rings);
    u->id = key.id;
    HASH_ADD(hh, all_rings, id, sizeof u->id, u);
    return u;
}

/* Both, the user's linked into that of its sessions. Named by the id as the namespace has it. */
static int user_rings(struct user_rings **out)
{
    u32 uid = current->cred->uid;
    struct user_rings *u = rings_of(uid);
    char name[32];
    int r;

    *out = u;
    if (u->user && u->session) return 0;
    if (!u->user) {
        snprintf(name, sizeof name, "_uid.%u", uid_out(uid));
        if ((r = ring_new(name, uid, NO_ID, PERM_USER, QUOTA_CHECKED, &u->user))) return r;
        u->user->is_user_keyring = true;
    }
    snprintf(name, sizeof name, "_uid_ses.%u", uid_out(uid));
    if ((r = ring_new(name, uid, NO_ID, PERM_USER, QUOTA_CHECKED, &u->session))) return r;
    u->session->is_user_keyring = true;
    return keyring_add_new(u->session, u->user);
}

int key_persistent(u32 uid, struct key **out)
{
    struct user_rings *u = rings_of(uid);
    char name[32];
    if (u->persistent && key_validate(u->persistent)) {
        key_put(u->persistent);
        u->persistent = NULL;
    }
    snprintf(name, sizeof name, "_persistent.%u", uid_out(uid));
    int r = u->persistent ? 0 : ring_new(name, uid, NO_ID, PERM_PERSISTENT, QUOTA_CHECKED, &u->persistent);
    if (r) return r;
    key_get(*out = u->persistent);
    return 0;
}

static void end_ns(u32 inum)
{
    struct user_rings *u, *next;
    HASH_ITER(hh, all_rings, u, next) {
        if (u->id.ns != inum) continue;
        HASH_DEL(all_rings, u);
        key_put(u->user);
        key_put(u->session);
        key_put(u->persistent);
        free(u);
    }
}

/* Namespaces that ended while the lock was taken. */
struct ended_ns { struct ended_ns *next; u32 inum; };
static struct ended_ns *ended;     /* (a) */

static void end_left(void)
{
    for (struct ended_ns *e = atomic_load(&ended) ? atomic_xchg(&ended, NULL) : NULL, *next; e; e = next) {
        next = e->next;
        end_ns(e->inum);
        free(e);
    }
}

/* Whoever lets the last reference go may hold locks that come after ours, so there is no waiting for it. */
void keys_user_ns_exit(u32 inum)
{
    if (lock_try(&keys_lock)) {
        end_left();
        end_ns(inum);
        unlock(&keys_lock);
        return;
    }
    struct ended_ns *e = xnew(struct ended_ns);
    e->inum = inum;
    e->next = atomic_load(&ended);
    while (!__atomic_compare_exchange_n(&ended, &e->next, e, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) { }
}

/* --- sessions --- */

static void set_session(struct task *t, struct key *k /* consumed */)
{
    struct key *old = t->session_keyring;
    t->session_keyring = k;
    key_put(old);
}

static int new_session(void)
{
    const struct cred *c = current->cred;
    struct key *k;
    int r = ring_new("_ses", c->uid, c->gid, PERM_SESSION, current->session_keyring ? QUOTA_CHECKED : QUOTA_OVERRUN, &k);
    if (!r) set_session(current, k);
    return r;
}

/* One by this name that the caller may search without possessing it. */
static struct key *named(const char *name)
{
    struct key *k;
    u32 hash = key_hash(&key_type_keyring, name);
    for (k = keys_all; k; k = k->hh.next) {
        if (!key_same(k, &key_type_keyring, name, hash) || k->user_ns != own_ns() || k->revoked || k->is_user_keyring) continue;
        if (!key_permission((struct key_ref){ k, false }, NEED_SEARCH)) return k;
    }
    return NULL;
}

int key_join_session_locked(const char *name, s32 *serial)
{
    const struct cred *c = current->cred;
    int r = 0;
    if (name) {
        struct key *k = named(name);
        if (k && k == current->session_keyring) {
            *serial = 0;
            return 0;
        }
        if (k) key_get(k);
        else r = ring_new(name, c->uid, c->gid, PERM_SESSION | KEY_USR(NEED_LINK), QUOTA_CHECKED, &k);
        if (!r) set_session(current, k);
    } else {
        r = new_session();
    }
    if (!r) *serial = current->session_keyring->serial;
    return r;
}

/* --- possession --- */

/* Where searches start, in this order; NULL: there is none. */
#define NSTART 3
static void searched(struct key *start[NSTART])
{
    start[0] = current->thread_keyring;
    start[1] = current->tg->process_keyring;
    start[2] = current->session_keyring ? current->session_keyring : rings_of(current->cred->uid)->session;
}

u64 key_mark_possessed(void)
{
    struct key *start[NSTART];
    searched(start);
    return keyring_mark(start, NSTART);
}

int key_search_process(struct key_search *s, struct key_ref *out)
{
    struct key *start[NSTART];
    int why = -EAGAIN;

    searched(start);
    key_search_begin(s);
    for (size_t i = 0; i < NSTART; i++) {
        if (!start[i]) continue;
        int r = keyring_search(s, (struct key_ref){ start[i], true }, out);
        if (!r) return 0;
        if (r != -EAGAIN) why = r;
    }
    return why;
}

bool key_possessed(const struct key *k)
{
    struct key_search s = { .target = k, .any_state = true };
    struct key_ref r;
    return !key_search_process(&s, &r);
}

/* --- ids --- */

static int session_ring(u32 flags)
{
    struct user_rings *u;
    int r = 0;
    if (current->session_keyring) {
        u = rings_of(current->cred->uid);
        if (!(flags & LOOKUP_CREATE) || current->session_keyring != u->session) return 0;
        return new_session();      /* what is made for a session is not to end up with all sessions of the user */
    }
    if ((r = user_rings(&u))) return r;
    if (flags & LOOKUP_CREATE) return new_session();
    key_get(u->session);
    set_session(current, u->session);
    return 0;
}

static int special(s32 id, u32 flags, struct key_ref *out)
{
    struct user_rings *u;
    int r = 0;

    out->possessed = true;
    switch (id) {
    case KEY_SPEC_THREAD_KEYRING:
        if (!current->thread_keyring) r = flags & LOOKUP_CREATE ? thread_ring() : -ENOKEY;
        out->key = current->thread_keyring;
        return r;
    case KEY_SPEC_PROCESS_KEYRING:
        if (!current->tg->process_keyring) r = flags & LOOKUP_CREATE ? process_ring() : -ENOKEY;
        out->key = current->tg->process_keyring;
        return r;
    case KEY_SPEC_SESSION_KEYRING:
        r = session_ring(flags);
        out->key = current->session_keyring;
        return r;
    case KEY_SPEC_USER_KEYRING:
    case KEY_SPEC_USER_SESSION_KEYRING:
        if ((r = user_rings(&u))) return r;
        out->key = id == KEY_SPEC_USER_KEYRING ? u->user : u->session;
        return 0;
    case KEY_SPEC_REQKEY_AUTH_KEY:
    case KEY_SPEC_REQUESTOR_KEYRING:
        return -ENOKEY;            /* nobody is asked to make keys, so nobody has the right to */
    }
    if (id < 1) return -EINVAL;
    HASH_FIND(hh, keys_all, &id, sizeof id, out->key);
    if (!out->key) return -ENOKEY;
    out->possessed = key_possessed(out->key);
    return 0;
}

int key_lookup(s32 id, u32 flags, enum key_need need, struct key_ref *out)
{
    end_left();
    int r = special(id, flags, out);
    if (!r && need != NEED_UNLINK && need != NEED_LATER) {
        r = key_validate(out->key);
        if (!r) r = key_permission(*out, need);
    }
    if (r) out->key = NULL;
    else key_get(out->key);
    return r;
}

/* By KEYCTL_SET_REQKEY_KEYRING; by default the innermost that there is. construct_get_dest_keyring() */
int key_default_ring(struct key **out)
{
    struct key *start[NSTART];
    struct user_rings *u;
    int which = current->reqkey_default, r = user_rings(&u);

    if (r) return r;
    searched(start);
    switch (which) {
    case KEY_REQKEY_DEFL_USER_KEYRING: *out = u->user; return 0;
    case KEY_REQKEY_DEFL_USER_SESSION_KEYRING: *out = u->session; return 0;
    case KEY_REQKEY_DEFL_PROCESS_KEYRING: which = 1; break;
    case KEY_REQKEY_DEFL_SESSION_KEYRING: which = 2; break;
    default: which = 0; break;
    }
    while (!start[which]) which++;     /* the last one is there: at least that of the user's sessions */
    *out = start[which];
    return 0;
}

/* --- the process tree --- */

void keys_clone(struct task *child)
{
    lock(&keys_lock);
    if ((child->session_keyring = current->session_keyring)) key_get(child->session_keyring);
    child->reqkey_default = current->reqkey_default;
    /* A thread of somebody who has a thread keyring gets its own at once: copy_creds() */
    if (child->tg == current->tg && current->thread_keyring) {
        const struct cred *c = child->cred;
        (void)ring_new("_tid", c->uid, c->gid, PERM_OWN, QUOTA_OVERRUN, &child->thread_keyring);
    }
    unlock(&keys_lock);
}

void keys_exec(void)
{
    lock(&keys_lock);
    key_put(current->thread_keyring);
    key_put(current->tg->process_keyring);
    current->thread_keyring = current->tg->process_keyring = NULL;
    unlock(&keys_lock);
}

void keys_task_exit(struct task *t)
{
    lock(&keys_lock);
    key_put(t->thread_keyring);
    key_put(t->session_keyring);
    t->thread_keyring = t->session_keyring = NULL;
    unlock(&keys_lock);
}

void keys_tgroup_exit(struct tgroup *tg)
{
    lock(&keys_lock);
    key_put(tg->process_keyring);
    tg->process_keyring = NULL;
    unlock(&keys_lock);
}

void keys_fsid_changed(u32 uid, u32 gid)
{
    lock(&keys_lock);
    if (current->thread_keyring) {
        current->thread_keyring->uid = uid;
        current->thread_keyring->gid = gid;
    }
    unlock(&keys_lock);
}

void keys_container_session(const char *name)
{
    static struct key *session;    /* keys_lock; held for those that are started later */
    const struct cred *c = current->cred;

    lock(&keys_lock);
    if (name && !session) (void)ring_new(name, c->uid, c->gid, PERM_SESSION | KEY_USR(NEED_LINK | NEED_SEARCH), QUOTA_OVERRUN, &session);
    if (session) {
        key_get(session);
        set_session(current, session);
    }
    unlock(&keys_lock);
}
