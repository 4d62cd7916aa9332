#include "sentry/net/tcp_ends.h"
#include "sentry/base/alloc.h"
#include <netinet/tcp.h>
#include <string.h>

#define BUCKETS 2048u
#define TW_SHORT (4 * NSEC_PER_SEC)   /* inet_twsk_schedule() counts those apart */

lock_t port_lock = LOCK_INIT(LC_PORT);
static LIST_HEAD(, socket) conns[BUCKETS];
static LIST_HEAD(, tcp_tw) tws[BUCKETS], tw_ports[BUCKETS];
static unsigned ntws;

struct tcp_ends tcp_ends_of_locked(const struct socket *s)
{
    const struct net_addr *l = &s->in.local, *r = &s->in.remote;
    struct tcp_ends e = { .net = s->net, .lport = l->in.port, .rport = r->in.port };

    memcpy(e.local, l->in.ip, 16);
    memcpy(e.remote, r->in.ip, 16);
    return e;
}

struct tcp_ends tcp_ends_turned(const struct tcp_ends *e)
{
    struct tcp_ends t = { .net = e->net, .lport = e->rport, .rport = e->lport };

    memcpy(t.local, e->remote, 16);
    memcpy(t.remote, e->local, 16);
    return t;
}

static unsigned hash(const struct tcp_ends *e)
{
    u32 h = (u32)e->lport << 16 | e->rport;

    for (int i = 12; i < 16; i++) h = h * 31 + e->local[i] + e->remote[i] * 257u;
    return (h * 2654435761u >> 16) % BUCKETS;
}

static bool same(const struct tcp_ends *a, const struct tcp_ends *b)
{
    return a->lport == b->lport && a->rport == b->rport && a->net == b->net && ip_equal(a->local, b->local) && ip_equal(a->remote, b->remote);
}

void tcp_conn_add_locked(struct socket *s)
{
    struct tcp_ends e = tcp_ends_of_locked(s);

    LIST_INSERT_HEAD(&conns[hash(&e)], s, in.conn_link);
    s->in.in_conns = true;
}

void tcp_conn_del_locked(struct socket *s)
{
    if (s->in.in_conns) LIST_REMOVE(s, in.conn_link);
    s->in.in_conns = false;
}

struct socket *tcp_conn_find_locked(const struct tcp_ends *e)
{
    struct socket *s;

    LIST_FOREACH(s, &conns[hash(e)], in.conn_link) {
        struct tcp_ends x = tcp_ends_of_locked(s);
        if (same(&x, e)) return s;
    }
    return NULL;
}

/* --- what is left --- */

static void unlink_locked(struct tcp_tw *t)
{
    LIST_REMOVE(t, by_port);
    LIST_REMOVE(t, by_ends);
    LIST_REMOVE(t, of_ns);
    inet_ns(t->ends.net)->ntw--;
    ntws--;
}

static void expired(struct ktimer *k)
{
    struct tcp_tw *t = container_of(k, struct tcp_tw, timer);

    lock(&port_lock);
    bool over = t->killed || t->expiry <= clock_mono();
    if (over && !t->killed) unlink_locked(t);
    else if (!over) ktimer_set(k, t->expiry);
    unlock(&port_lock);
    if (over) free(t);
}

bool tcp_tw_add_locked(const struct socket *s, u8 state, ktime_t timeout)
{
    struct inet_ns *i = inet_ns(s->net);
    s32 max = atomic_load(&i->set[IS_TCP_MAX_TW]);

    struct tcp_tw *t = max < 0 || i->ntw >= (unsigned)max || ntws >= TCP_TW_MAX ? NULL : try_zalloc(1, sizeof *t);
    if (!t) {
        mib_add(s->net, MIB_TCP_TW_OVERFLOW, 1);
        return false;
    }
    mib_add(s->net, timeout > TW_SHORT ? MIB_TCP_TW : MIB_TCP_TW_SHORT, 1);
    t->ends = tcp_ends_of_locked(s);
    t->domain = (u16)s->domain;
    t->v6only = s->in.v6only;
    t->reuse = s->in.reuse;
    t->reuseport = s->in.reuseport;
    t->by_connect = s->in.by_connect;
    t->state = state;
    t->expiry = clock_mono() + timeout;
    ktimer_init(&t->timer, KT_MONO, expired);
    LIST_INSERT_HEAD(&tws[hash(&t->ends)], t, by_ends);
    LIST_INSERT_HEAD(&tw_ports[t->ends.lport % BUCKETS], t, by_port);
    LIST_INSERT_HEAD(&i->tw, t, of_ns);
    i->ntw++;
    ntws++;
    ktimer_set(&t->timer, t->expiry);
    return true;
}

void tcp_tw_kill_locked(struct tcp_tw *t)
{
    unlink_locked(t);
    t->killed = true;
    /* Either the timer is set or its callback is on the way here. */
    if (ktimer_cancel(&t->timer)) free(t);
}

void tcp_tw_time_wait_locked(struct tcp_tw *t)
{
    t->state = TCP_TIME_WAIT;
    t->expiry = clock_mono() + TCP_TIMEWAIT_LEN;
    if (ktimer_cancel(&t->timer)) ktimer_set(&t->timer, t->expiry);
}

struct tcp_tw *tcp_tw_find_locked(const struct tcp_ends *e)
{
    struct tcp_tw *t;

    LIST_FOREACH(t, &tws[hash(e)], by_ends)
        if (same(&t->ends, e)) return t;
    return NULL;
}

struct tcp_tw *tcp_tw_first_locked(u16 port) { return LIST_FIRST(&tw_ports[port % BUCKETS]); }

void tcp_tw_purge(struct inet_ns *i)
{
    struct tcp_tw *t;

    lock(&port_lock);
    while ((t = LIST_FIRST(&i->tw))) tcp_tw_kill_locked(t);
    unlock(&port_lock);
}

struct tcp_tw_shown *tcp_tw_snapshot(struct net_ns *net, int domain, size_t *n)
{
    struct inet_ns *i = inet_ns(net);
    ktime_t now = clock_mono();
    struct tcp_tw *t;

    *n = 0;
    lock(&port_lock);
    struct tcp_tw_shown *v = try_zalloc(i->ntw + 1, sizeof *v);
    if (v)
        LIST_FOREACH(t, &i->tw, of_ns) {
            if (t->domain != domain) continue;
            struct tcp_tw_shown *x = &v[(*n)++];
            x->local.in.port = t->ends.lport;
            x->remote.in.port = t->ends.rport;
            memcpy(x->local.in.ip, t->ends.local, 16);
            memcpy(x->remote.in.ip, t->ends.remote, 16);
            x->state = t->state;
            x->left = t->expiry > now ? t->expiry - now : 0;
        }
    unlock(&port_lock);
    return v;
}
