/* Devices: registering, naming, changing, and how they end. See dev.h; net/core/dev.c for the order of checks. */
#include "sentry/net/dev.h"

#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/net/host.h"
#include <linux/if_addr.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define INDEX_MAX 0x7fffffffu
/* What SIOCSIFFLAGS and RTM_NEWLINK may change. */
#define FLAGS_SETTABLE (IFF_UP | IFF_NOARP | IFF_PROMISC | IFF_ALLMULTI | IFF_MULTICAST | IFF_DEBUG | IFF_NOTRAILERS)

rwlock_t net_lock = RWLOCK_INIT(LC_LEAF);
static struct net_devs initial;

const struct dev_kind dev_lo = { .type = ARPHRD_LOOPBACK, .flags = IFF_LOOPBACK, .mtu = 65536, .txqlen = 1000, .mtu_max = UINT32_MAX >> 1 };

bool net_devs_own(const struct net_ns *n) { return n || net_plan.head.mode == PLAN_NET_LOOPBACK; }

static void init_locked(struct net_devs *v, struct net_ns *n)
{
    struct netdev *lo = xnew(struct netdev);

    TAILQ_INIT(&v->devs);
    TAILQ_INIT(&v->addrs);
    TAILQ_INIT(&v->routes);
    TAILQ_INIT(&v->rules);
    ref_init(&lo->refs);
    lo->kind = &dev_lo;
    lo->net = n;
    strcpy(lo->name, "lo");
    lo->index = 1;
    lo->flags = IFF_LOOPBACK;
    lo->mtu = dev_lo.mtu;
    lo->txqlen = dev_lo.txqlen;
    lo->addr_len = 6;
    lo->carrier = true;
    TAILQ_INSERT_TAIL(&v->devs, lo, link);
    v->ndevs = 1;
    v->next_index = 2;
    rules_init_locked(v);
}

struct net_devs *net_devs(struct net_ns *n)
{
    struct net_devs *v = n ? atomic_load(&n->devs) : &initial, *mine = NULL;
    struct netdev *lo = NULL;

    if (v && atomic_load(&v->next_index)) return v;
    if (n) mine = xnew(struct net_devs);
    write_lock(&net_lock);
    v = n ? n->devs : &initial;
    if (!v || !v->next_index) {
        if (!v) v = mine;
        init_locked(v, n);
        if (n) atomic_store(&n->devs, v);
        if (!n) lo = TAILQ_FIRST(&v->devs);
        mine = NULL;
    }
    rw_unlock(&net_lock);
    free(mine);
    if (lo) dev_set_flags(lo, IFF_UP, IFF_UP);     /* the initial one starts with it */
    return v;
}

void dev_get(struct netdev *d) { ref_get(&d->refs); }

void dev_put(struct netdev *d)
{
    if (!d || !ref_put(&d->refs)) return;
    if (d->kind->free) d->kind->free(d);
    free(d);
}

struct netdev *dev_new(const struct dev_kind *k)
{
    struct netdev *d = xnew(struct netdev);

    ref_init(&d->refs);
    d->kind = k;
    d->gone = true;                /* not there yet */
    d->flags = k->flags;
    d->mtu = k->mtu;
    d->txqlen = k->txqlen;
    if (k->type == ARPHRD_ETHER) {
        d->addr_len = 6;
        if (getrandom(d->addr, sizeof d->addr, 0) < 0) memset(d->addr, 0x5a, sizeof d->addr);
        d->addr[0] = (u8)((d->addr[0] & 0xfe) | 2);      /* unicast, locally administered */
    }
    return d;
}

/* dev_valid_name() */
bool dev_name_ok(const char *name)
{
    if (!*name || strnlen(name, IFNAMSIZ) >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, "..")) return false;
    for (; *name; name++)
        if (*name == '/' || *name == ':' || strchr(" \t\n\v\f\r", *name)) return false;
    return true;
}

static struct netdev *find_name_locked(const struct net_devs *v, const char *name)
{
    struct netdev *d;
    TAILQ_FOREACH(d, &v->devs, link)
        if (!strcmp(d->name, name)) return d;
    return NULL;
}

static struct netdev *find_index_locked(const struct net_devs *v, u32 index)
{
    struct netdev *d;
    TAILQ_FOREACH(d, &v->devs, link)
        if (d->index == index) return d;
    return NULL;
}

/* Fills in the %d of a pattern with the least free number. */
static int choose_name_locked(const struct net_devs *v, const char *pattern, char out[IFNAMSIZ])
{
    const char *p = strchr(pattern, '%');

    if (!dev_name_ok(pattern)) return -EINVAL;
    if (!p) {
        if (find_name_locked(v, pattern)) return -EEXIST;
        memcpy(out, pattern, strlen(pattern) + 1);
        return 0;
    }
    if (p[1] != 'd' || strchr(p + 2, '%')) return -EINVAL;
    for (unsigned i = 0; i <= DEVS_MAX; i++) {
        char name[IFNAMSIZ + 16];
        snprintf(name, sizeof name, "%.*s%u%s", (int)(p - pattern), pattern, i, p + 2);
        if (strlen(name) >= IFNAMSIZ) break;
        if (find_name_locked(v, name)) continue;
        memcpy(out, name, strlen(name) + 1);
        return 0;
    }
    return -ENFILE;
}

static int insert_locked(struct net_devs *v, struct netdev *d, const char *name, u32 index)
{
    char chosen[IFNAMSIZ] = { 0 };
    struct netdev *o;

    if (v->ndevs >= DEVS_MAX) return -ENOSPC;
    int r = choose_name_locked(v, name, chosen);
    if (r) return r;
    if (index && find_index_locked(v, index)) return -EBUSY;
    if (!index) {
        while (find_index_locked(v, v->next_index)) v->next_index = v->next_index == INDEX_MAX ? 2 : v->next_index + 1;
        index = v->next_index++;
        if (v->next_index > INDEX_MAX) v->next_index = 2;
    }
    memcpy(d->name, chosen, sizeof d->name);
    d->index = index;
    d->gone = false;
    TAILQ_FOREACH(o, &v->devs, link)
        if (o->index > index) break;
    if (o) TAILQ_INSERT_BEFORE(o, d, link);
    else TAILQ_INSERT_TAIL(&v->devs, d, link);
    v->ndevs++;
    atomic_store(&v->more, 1u);
    dev_get(d);
    return 0;
}

int dev_register(struct netdev *d, struct net_ns *n, const char *name, u32 index)
{
    struct net_devs *v = net_devs(n);

    write_lock(&net_lock);
    int r = insert_locked(v, d, name, index);
    if (!r) d->net = n;
    rw_unlock(&net_lock);
    if (!r) rtnl_link_changed(d, ~0u);
    return r;
}

/* Out of its namespace. False: it is out already. */
static bool remove_locked(struct netdev *d)
{
    struct net_devs *v;

    if (d->gone) return false;
    v = d->net ? d->net->devs : &initial;
    dev_addrs_drop_locked(d);
    routes_drop_locked(v, d, true);
    TAILQ_REMOVE(&v->devs, d, link);
    v->ndevs--;
    d->gone = true;
    d->flags &= ~(u32)IFF_UP;
    return true;
}

void dev_unregister(struct netdev *d)
{
    write_lock(&net_lock);
    struct net_ns *n = d->net;
    bool was = remove_locked(d);
    rw_unlock(&net_lock);
    if (!was) return;
    neigh_drop(d);
    rtnl_link_gone(d, n);
    if (d->kind->unregister) d->kind->unregister(d);
    dev_put(d);
}

int dev_move(struct netdev *d, struct net_ns *to, const char *name)
{
    struct net_devs *v = net_devs(to);
    char own[IFNAMSIZ];
    int r = -ENODEV;

    write_lock(&net_lock);
    struct net_ns *from = d->net;
    if (d->kind == &dev_lo) r = -EINVAL;
    else if (from == to && !d->gone) r = 0;
    else if (!d->gone) {
        char chosen[IFNAMSIZ] = { 0 };
        memcpy(own, d->name, sizeof own);
        r = v->ndevs >= DEVS_MAX ? -ENOSPC : choose_name_locked(v, name ? name : own, chosen);
        if (!r) {
            u32 index = find_index_locked(v, d->index) ? 0 : d->index;
            remove_locked(d);
            d->net = to;
            r = insert_locked(v, d, chosen, index);
        }
    }
    rw_unlock(&net_lock);
    if (r || from == to) return r;
    neigh_drop(d);
    rtnl_link_gone(d, from);
    rtnl_link_changed(d, ~0u);
    dev_put(d);                    /* the table's of before */
    return 0;
}

bool dev_gone(const struct netdev *d)
{
    read_lock(&net_lock);
    bool gone = d->gone;
    rw_unlock(&net_lock);
    return gone;
}

struct netdev *dev_by_name(struct net_ns *n, const char *name)
{
    struct net_devs *v = net_devs(n);

    read_lock(&net_lock);
    struct netdev *d = find_name_locked(v, name);
    if (d) dev_get(d);
    rw_unlock(&net_lock);
    return d;
}

struct netdev *dev_by_index(struct net_ns *n, u32 index)
{
    struct net_devs *v = net_devs(n);

    read_lock(&net_lock);
    struct netdev *d = find_index_locked(v, index);
    if (d) dev_get(d);
    rw_unlock(&net_lock);
    return d;
}

/* --- changes --- */

int dev_rename(struct netdev *d, const char *name)
{
    char chosen[IFNAMSIZ] = { 0 };
    int r = 0;
    bool same;

    write_lock(&net_lock);
    same = !strcmp(d->name, name);
    if (!same && d->gone) r = -ENODEV;
    else if (!same && !(r = choose_name_locked(d->net ? d->net->devs : &initial, name, chosen))) memcpy(d->name, chosen, sizeof d->name);
    rw_unlock(&net_lock);
    if (!r && !same) rtnl_link_changed(d, 0);
    return r;
}

int dev_set_flags(struct netdev *d, u32 flags, u32 mask)
{
    mask &= FLAGS_SETTABLE;
    write_lock(&net_lock);
    u32 old = d->flags, now = (old & ~mask) | (flags & mask);
    bool gone = d->gone;
    if (!gone) {
        d->flags = now;
        if (d->kind == &dev_lo) atomic_store(&(d->net ? d->net->devs : &initial)->lo_up, !!(now & IFF_UP));
    }
    rw_unlock(&net_lock);
    if (gone) return -ENODEV;
    if ((old ^ now) & IFF_UP) {
        if (now & IFF_UP) dev_addrs_up(d);
        else dev_addrs_down(d);
        if (d->kind == &dev_veth) dev_set_carrier(d, true);
    }
    if (old != now) rtnl_link_changed(d, old ^ now);
    return 0;
}

int dev_set_mtu(struct netdev *d, u32 mtu)
{
    if (mtu < (d->kind == &dev_lo ? 0 : DEV_MTU_MIN) || mtu > d->kind->mtu_max) return -EINVAL;
    write_lock(&net_lock);
    bool same = d->mtu == mtu;
    d->mtu = mtu;
    rw_unlock(&net_lock);
    if (!same) rtnl_link_changed(d, 0);
    return 0;
}

int dev_set_addr(struct netdev *d, const u8 *addr, u32 len)
{
    static const u8 zero[6];

    if (!d->addr_len) return -EOPNOTSUPP;
    if (len < d->addr_len) return -EINVAL;
    if (d->kind != &dev_lo && (addr[0] & 1 || !memcmp(addr, zero, 6))) return -EADDRNOTAVAIL;
    write_lock(&net_lock);
    memcpy(d->addr, addr, d->addr_len);
    rw_unlock(&net_lock);
    rtnl_link_changed(d, 0);
    return 0;
}

void dev_set_carrier(struct netdev *d, bool on)
{
    struct netdev *peer = NULL;

    write_lock(&net_lock);
    bool changed = false;
    if (d->kind == &dev_veth) {
        /* Both ends have it while both are up. */
        peer = d->priv;
        on = peer && !peer->gone && !d->gone && (peer->flags & d->flags & IFF_UP);
        if (peer) {
            dev_get(peer);
            peer->carrier = on;
        }
    }
    changed = d->carrier != on;
    d->carrier = on;
    rw_unlock(&net_lock);
    if (changed) {
        rtnl_link_changed(d, 0);
        if (peer) rtnl_link_changed(peer, 0);
    }
    dev_put(peer);
}

u32 dev_flags(const struct netdev *d)
{
    u32 f = d->flags;
    return f & IFF_UP && d->carrier ? f | IFF_RUNNING | 0x10000 /* IFF_LOWER_UP */ : f;
}

/* RFC 2863 */
enum { OPER_UNKNOWN, OPER_DOWN = 2, OPER_LOWERLAYERDOWN, OPER_UP = 6 };

u8 dev_oper_state(const struct netdev *d)
{
    if (!(d->flags & IFF_UP)) return OPER_DOWN;
    if (!d->carrier) return d->kind == &dev_veth ? OPER_LOWERLAYERDOWN : OPER_DOWN;
    return d->kind == &dev_veth ? OPER_UP : OPER_UNKNOWN;
}

void net_devs_exit(struct net_ns *n)
{
    struct net_devs *v = n->devs;
    struct netdev *d;

    if (!v) return;
    for (;;) {
        write_lock(&net_lock);
        d = TAILQ_FIRST(&v->devs);
        if (d) dev_get(d);
        rw_unlock(&net_lock);
        if (!d) break;
        dev_unregister(d);
        dev_put(d);
    }
    struct net_route *r;
    struct net_rule *u;
    while ((r = TAILQ_FIRST(&v->routes))) {
        TAILQ_REMOVE(&v->routes, r, link);
        free(r);
    }
    while ((u = TAILQ_FIRST(&v->rules))) {
        TAILQ_REMOVE(&v->rules, u, link);
        free(u);
    }
    n->devs = NULL;
    free(v);
}
