/*
 * User namespaces: maps of ids, and who has which capability where. user_namespaces(7); kernel/user_namespace.c and
 * security/commoncap.c of Linux.
 */
#include "sentry/base/alloc.h"
#include "sentry/base/strbuf.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/ns.h"
#include "sentry/vfs/vfs.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>

#define ALL_CAPS ((1ULL << (CAP_LAST_CAP + 1)) - 1)

static lock_t map_lock = LOCK_INIT(LC_LEAF);       /* writers of maps and setgroups_denied */
static u32 live;                                   /* (a) user namespaces there are */
u32 user_ns_max = 31000;

bool cred_ns_capable(const struct cred *c, const struct user_ns *ns, int cap)
{
    unsigned own = c->user_ns ? c->user_ns->level : 0;

    if (cap < 0 || cap >= 64) return false;
    for (;;) {
        if (ns == c->user_ns) return c->cap_effective >> cap & 1;
        /* Not below ours, or no longer above the place where it could meet ours. */
        if (!ns || ns->level <= own) return false;
        /* Whoever made a namespace has every capability in it, seen from its parent. */
        if (user_ns_parent(ns) == c->user_ns && ns->owner_uid == c->euid) return true;
        ns = user_ns_parent(ns);
    }
}

bool cred_capable(const struct cred *c, int cap) { return cred_ns_capable(c, NULL, cap); }
bool ns_capable(const struct user_ns *ns, int cap) { return !current || cred_ns_capable(current->cred, ns, cap); }
bool own_ns_capable(int cap) { return !current || cred_ns_capable(current->cred, current->cred->user_ns, cap); }

bool cred_may_trace(const struct cred *me, const struct cred *them)
{
    if (me->user_ns == them->user_ns && !(them->cap_permitted & ~me->cap_permitted)) return true;
    return cred_ns_capable(me, them->user_ns, CAP_SYS_PTRACE);
}

static const struct id_map *map_of(const struct user_ns *ns, enum id_kind k) { return k == ID_UID ? &ns->uid : &ns->gid; }

u32 id_from_ns(const struct user_ns *ns, enum id_kind k, u32 id)
{
    if (!ns) return id;
    const struct id_map *m = map_of(ns, k);
    unsigned n = atomic_load(&m->n);
    for (unsigned i = 0; i < n; i++)
        if (id - m->e[i].first < m->e[i].count) return m->e[i].kernel + (id - m->e[i].first);
    return NO_ID;
}

u32 id_to_ns(const struct user_ns *ns, enum id_kind k, u32 id)
{
    if (!ns) return id;
    const struct id_map *m = map_of(ns, k);
    unsigned n = atomic_load(&m->n);
    for (unsigned i = 0; i < n; i++)
        if (id - m->e[i].kernel < m->e[i].count) return m->e[i].first + (id - m->e[i].kernel);
    return NO_ID;
}

u32 id_in(enum id_kind k, u32 id) { return current ? id_from_ns(current->cred->user_ns, k, id) : id; }

u32 id_out(enum id_kind k, u32 id)
{
    u32 v = current ? id_to_ns(current->cred->user_ns, k, id) : id;
    return v == NO_ID ? OVERFLOW_ID : v;
}

void keys_user_ns_exit(u32 inum) __attribute__((weak));

static void free_user_ns(struct ns *ns)
{
    struct user_ns *u = container_of(ns, struct user_ns, ns);
    if (keys_user_ns_exit) keys_user_ns_exit(ns->inum);
    free(u->uid.e);
    free(u->gid.e);
    free(u);
    (void)atomic_add(&live, -1u);
}

void user_ns_enter(struct cred *c, struct user_ns *ns)
{
    struct user_ns *old = c->user_ns;
    if (ns) ns_get(&ns->ns);
    c->user_ns = ns;
    if (old) ns_put(&old->ns);
    c->securebits = SECUREBITS_DEFAULT;
    c->cap_inheritable = c->cap_ambient = 0;
    c->cap_permitted = c->cap_effective = c->cap_bset = ALL_CAPS;
}

int user_ns_new(struct cred *c)
{
    struct user_ns *parent = c->user_ns;

    if ((parent ? parent->level : 0) >= USER_NS_LEVELS) return -ENOSPC;
    if (fs_is_chrooted(current->fs)) return -EPERM;   /* could leave it with the new capabilities */
    if (id_to_ns(parent, ID_UID, c->euid) == NO_ID || id_to_ns(parent, ID_GID, c->egid) == NO_ID) return -EPERM;
    if (atomic_add(&live, 1) > atomic_load(&user_ns_max)) {
        (void)atomic_add(&live, -1u);
        return -ENOSPC;
    }
    struct user_ns *u = xnew(struct user_ns);
    ns_init(&u->ns, NS_USER, parent, free_user_ns);
    u->level = parent ? parent->level + 1 : 1;
    u->owner_uid = c->euid;
    u->owner_gid = c->egid;
    u->parent_setfcap = c->cap_effective >> CAP_SETFCAP & 1;
    u->setgroups_denied = parent && parent->setgroups_denied;
    user_ns_enter(c, u);
    ns_put(&u->ns);
    return 0;
}

/* --- the files of /proc --- */

void user_ns_show_map(const struct user_ns *ns, enum id_kind k, const struct user_ns *reader, struct strbuf *b)
{
    if (!ns) {
        strbuf_printf(b, "%10u %10u %10u\n", 0u, 0u, NO_ID);
        return;
    }
    /* Lower ids are told in the reader's terms; a reader inside sees them as the parent does. */
    const struct user_ns *lower = reader == ns ? user_ns_parent(ns) : reader;
    const struct id_map *m = map_of(ns, k);
    unsigned n = atomic_load(&m->n);
    for (unsigned i = 0; i < n; i++)
        strbuf_printf(b, "%10u %10u %10u\n", m->e[i].first, id_to_ns(lower, k, m->e[i].kernel), m->e[i].count);
}

static int parse_map(char *text, struct id_extent e[ID_MAP_EXTENTS], unsigned *out)
{
    unsigned n = 0;
    for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        unsigned long v[3];
        char *s = line;
        for (int i = 0; i < 3; i++) {
            while (*s == ' ' || *s == '\t') s++;
            if (*s < '0' || *s > '9') return -EINVAL;
            v[i] = strtoul(s, &s, 10);
            if (v[i] > UINT32_MAX) return -EINVAL;
        }
        while (*s == ' ' || *s == '\t') s++;
        if (*s || n == ID_MAP_EXTENTS) return -EINVAL;
        struct id_extent x = { (u32)v[0], (u32)v[1], (u32)v[2] };
        if (x.first == NO_ID || x.kernel == NO_ID || !x.count) return -EINVAL;
        if (x.first + x.count <= x.first || x.kernel + x.count <= x.kernel) return -EINVAL;
        for (unsigned i = 0; i < n; i++) {
            if (x.first < e[i].first + e[i].count && e[i].first < x.first + x.count) return -EINVAL;
            if (x.kernel < e[i].kernel + e[i].count && e[i].kernel < x.kernel + x.count) return -EINVAL;
        }
        e[n++] = x;
    }
    *out = n;
    return n ? 0 : -EINVAL;
}

/* new_idmap_permitted(): the ids are still the parent's. */
static bool may_map(const struct user_ns *ns, enum id_kind k, const struct cred *opener, const struct id_extent *e, unsigned n)
{
    const struct user_ns *parent = user_ns_parent(ns);
    int cap = k == ID_UID ? CAP_SETUID : CAP_SETGID;

    /* With root of the parent mapped, file capabilities could be made that the parent's root had not given. */
    for (unsigned i = 0; i < n && k == ID_UID; i++)
        if (e[i].kernel == 0 && !ns->parent_setfcap && !(parent == opener->user_ns && cred_ns_capable(opener, parent, CAP_SETFCAP))) return false;
    if (n == 1 && e[0].count == 1 && ns->owner_uid == opener->euid) {
        u32 id = id_from_ns(parent, k, e[0].kernel);
        if (k == ID_UID ? id == opener->euid : ns->setgroups_denied && id == opener->egid) return true;
    }
    return ns_capable(parent, cap) && cred_ns_capable(opener, parent, cap);
}

/* Each range must lie in one extent of the parent. */
static bool map_down(const struct user_ns *parent, enum id_kind k, struct id_extent *e, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        u32 low = id_from_ns(parent, k, e[i].kernel), high = id_from_ns(parent, k, e[i].kernel + e[i].count - 1);
        if (low == NO_ID || high == NO_ID || high - low != e[i].count - 1) return false;
        e[i].kernel = low;
    }
    return true;
}

int user_ns_write_map(struct user_ns *ns, enum id_kind k, const struct cred *opener, char *text)
{
    if (!ns) return -EPERM;
    struct id_map *m = k == ID_UID ? &ns->uid : &ns->gid;
    AUTO_FREE struct id_extent *e = xzalloc(ID_MAP_EXTENTS * sizeof(*e));
    unsigned n;

    if (opener->user_ns != ns && opener->user_ns != user_ns_parent(ns)) return -EPERM;
    if (atomic_load(&m->n) || !cred_ns_capable(opener, ns, CAP_SYS_ADMIN)) return -EPERM;
    int r = parse_map(text, e, &n);
    if (r) return r;
    lock(&map_lock);
    if (m->n || !may_map(ns, k, opener, e, n) || !map_down(user_ns_parent(ns), k, e, n)) {
        r = -EPERM;
    } else {
        m->e = e;
        e = NULL;
        __atomic_store_n(&m->n, n, __ATOMIC_RELEASE);
    }
    unlock(&map_lock);
    return r;
}

bool user_ns_setgroups_allowed(const struct user_ns *ns) { return !ns || !__atomic_load_n(&ns->setgroups_denied, __ATOMIC_RELAXED); }

bool user_ns_may_setgroups(const struct user_ns *ns) { return user_ns_setgroups_allowed(ns) && (!ns || atomic_load(&ns->gid.n)); }

int user_ns_deny_setgroups(struct user_ns *ns, bool deny)
{
    int r = 0;
    if (!ns) return deny ? -EPERM : 0;
    lock(&map_lock);
    if (deny) {
        if (!ns->setgroups_denied && ns->gid.n) r = -EPERM;   /* could have been used to drop groups that deny access */
        else ns->setgroups_denied = true;
    } else if (ns->setgroups_denied) {
        r = -EPERM;
    }
    unlock(&map_lock);
    return r;
}
