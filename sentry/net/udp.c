/* UDP. Between sockets of the sandbox a datagram arrives at once or is lost; others go out by devices. udp(7) */
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/kernel/task.h"
#include "sentry/net/dev.h"
#include "sentry/net/filter.h"
#include "sentry/net/inet_ns.h"
#include "sentry/net/udp.h"
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <netinet/udp.h>
#include <string.h>

#define MULTI_MAX 64u

static int udp_connect(struct socket *s, const struct net_addr *a, bool nonblock UNUSED)
{
    struct net_addr to = *a;
    u8 src[16];
    int r;

    if (a->family == AF_UNSPEC && !a->truncated) {
        lock(&s->lock);
        bool given = s->in.port_given;
        s->in.connected = false;
        s->state = ST_CLOSE;
        s->err = 0;
        memset(&s->in.remote.in, 0, sizeof s->in.remote.in);
        unlock(&s->lock);
        if (!given) {
            inet_unbind(s);
            s->in.local.in.port = 0;
        }
        if (!s->in.addr_given) {
            if (s->domain == AF_INET) ip_set_v4(src, 0);
            else memset(src, 0, 16);
            inet_set_local(s, src);
        }
        return 0;
    }
    r = inet_check_dest(s, &to);
    if (r) return r;
    struct route_result way;
    if ((r = inet_route(s, NULL, &to, &way))) return r;
    memcpy(src, way.src, sizeof src);
    bool all = way.kind == ROUTE_BROADCAST;
    route_put(&way);
    if (all && !s->broadcast) return -EACCES;
    r = inet_autobind(s);
    if (r) return r;
    lock(&s->lock);
    if (ip_is_any(s->in.local.in.ip)) inet_set_local(s, src);
    s->in.remote = to;
    s->in.remote.family = (u16)s->domain;
    s->in.connected = true;
    s->state = ST_ESTABLISHED;
    unlock(&s->lock);
    return 0;
}

/* Of e: the datagram that it is about (NULL: no data of it), to where. */
static void queue_error(struct socket *s, const struct net_addr *to, const struct sockbuf *b, const struct net_err *err)
{
    u32 len = b ? b->len : 0;
    struct sockbuf *e = sockbuf_new(len);

    if (!e) return;
    if (b) memcpy(e->data, b->data, len);
    e->len = len;
    e->from = *to;
    inet_addr_show(s, &e->from);
    e->error = xnew(struct net_err);
    *e->error = *err;
    if (err->origin != SO_EE_ORIGIN_LOCAL) {
        e->error->offender = e->from;
        e->error->offender.in.port = 0;
    }
    dgram_queue_error(s, e);
}

/* Nobody listens there: what an ICMP "port unreachable" does. */
static void refused(struct socket *s, const struct net_addr *to, const struct sockbuf *b)
{
    bool v4 = ip_is_v4(to->in.ip), want = v4 ? s->in.recverr : s->in.recverr6;
    struct net_err e = { .err = ECONNREFUSED, .origin = v4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6, .type = v4 ? 3 : 1, .code = v4 ? 3 : 4 };

    if (want) queue_error(s, to, b, &e);
    if (want || s->in.connected) sock_set_error(s, ECONNREFUSED);
}

void udp_too_long(struct socket *s, const struct net_addr *to)
{
    bool v4 = ip_is_v4(to->in.ip);
    /* The MTU of lo, but no more than a packet of IPv4 can be. */
    struct net_err e = { .err = EMSGSIZE, .origin = SO_EE_ORIGIN_LOCAL, .info = v4 ? 65535 : 65536 };

    if (v4 ? s->in.recverr : s->in.recverr6) queue_error(s, to, NULL, &e);
}

/* A filter looks at the datagram from its UDP header on; what it cuts off is data. False: it wants none. */
static bool filter_datagram(struct socket *o, struct sockbuf *b)
{
    const u32 header = sizeof(struct udphdr);
    struct ip_packet p;
    AUTO_FREE u8 *buf = ip_make_udp(&p, o->protocol, &b->from, b->to_ip, o->in.local.in.port, b);

    if (!buf) return false;
    struct bpf_packet f;
    ip_filter_packet(&p, &f);
    u32 keep = filter_run(o, &(struct bpf_input){ .bytes = p.bytes + p.header, .len = header + b->len, .packet = &f });
    u32 data = keep > header ? keep - header : 0;
    b->len = MIN(b->len, data);
    return keep;
}

/* Into o's queue if there is room; takes over b. */
static void deliver(struct socket *o, struct sockbuf *b)
{
    if (atomic_load(&o->filter) && !filter_datagram(o, b)) {
        sockbuf_free(b);
        return;
    }
    b->charge = sockbuf_truesize(b->len);
    lock(&o->lock);
    bool room = !o->dead && !(o->shut & SHUT_RCV) && (u64)atomic_load(&o->rmem) + b->charge <= (u64)o->rcvbuf + 768;
    if (o->domain == AF_INET6) b->from.family = AF_INET6;
    else b->from.family = AF_INET;
    if (room) sockbuf_append_locked(o, b);
    unlock(&o->lock);
    if (room) {
        waitq_wake(&o->wq, POLLIN | POLLRDNORM | POLLRDBAND);
    } else {
        mib_udp(o->net, o->protocol == IPPROTO_UDPLITE, ip_is_v4(b->to_ip), UDP_MIB_RCVBUF);
        sockbuf_free(b);
    }
}

static struct inet_flow flow_of(const struct net_ns *net, int protocol, const u8 to[16], u16 port, const struct sockbuf *b)
{
    struct inet_flow f = { .net = net, .protocol = protocol, .dport = port, .sport = b->from.in.port, .ifindex = b->ifindex ? b->ifindex : LO_INDEX };
    memcpy(f.dst, to, 16);
    memcpy(f.src, b->from.in.ip, 16);
    return f;
}

/* For a group, or for everybody: a copy to each that wants it. */
static void deliver_to_all(const struct inet_flow *f, const struct sockbuf *b)
{
    struct socket *o[MULTI_MAX];
    unsigned n = udp_find_multicast(f, o, MULTI_MAX);

    for (unsigned i = 0; i < n; i++) {
        struct sockbuf *c = sockbuf_new(b->len);
        if (c) {
            c->len = b->len;
            c->from = b->from;
            c->stamp = b->stamp;
            c->tos = b->tos;
            c->ttl = b->ttl;
            c->ifindex = b->ifindex;
            memcpy(c->to_ip, b->to_ip, 16);
            memcpy(c->data, b->data + b->off, b->len);
            deliver(o[i], c);
        }
        socket_put(o[i]);
    }
}

/* Out by a device. */
static void send_by_device(struct socket *s, const struct route_result *way, const struct net_addr *to, const struct sockbuf *b)
{
    struct ip_packet p;
    u8 *buf = ip_make_udp(&p, s->protocol, &b->from, to->in.ip, to->in.port, b);

    if (buf && (way->kind != ROUTE_MULTICAST || b->ttl)) dev_send_ip(way->dev, &p, way->next, way->kind);
    free(buf);
}

/* To a group or to everybody. On lo whoever sends receives, whatever IP_MULTICAST_LOOP says. */
static void send_to_many(struct socket *s, const struct route_result *way, const struct net_addr *to, const struct sockbuf *b)
{
    bool v4 = ip_is_v4(to->in.ip), all = way->kind == ROUTE_BROADCAST, lo = way->ifindex == LO_INDEX;
    struct inet_flow f = flow_of(s->net, s->protocol, to->in.ip, to->in.port, b);

    mib_add(s->net, (all ? MIB_IP_BCAST : MIB_IP_MCAST) + !v4, 1);
    if (lo || all || s->in.mc_loop) {
        if (!all) mib_add(s->net, MIB_IP_IN_MCAST + !v4, 1);
        deliver_to_all(&f, b);
    }
    if (!lo) send_by_device(s, way, to, b);
}

/* To an address of this host. Takes over b. */
static void send_here(struct socket *s, const struct net_addr *to, struct sockbuf *b)
{
    struct inet_flow f = flow_of(s->net, s->protocol, to->in.ip, to->in.port, b);
    bool v4 = ip_is_v4(to->in.ip);
    struct socket *o = udp_find(&f);

    if (ip_watched()) ip_show_udp(s->net, s->protocol, &b->from, to, b, o);
    if (o) {
        deliver(o, b);
        socket_put(o);
        return;
    }
    mib_udp(s->net, s->protocol == IPPROTO_UDPLITE, v4, UDP_MIB_NO_PORTS);
    if (!ip_watched()) icmp_count_unreachable(s->net, v4, b->len + (u32)sizeof(struct udphdr));
    refused(s, to, b);
    sockbuf_free(b);
}

void udp_transmit(struct socket *s, const struct net_addr *to, struct sockbuf *b)
{
    struct route_query q = { .has_src = true, .mark = (u32)s->mark, .oif = b->ifindex == LO_INDEX && !ip_is_multicast(to->in.ip) ? 0 : b->ifindex };
    bool v4 = ip_is_v4(to->in.ip);
    struct route_result way;

    memcpy(q.dst, to->in.ip, 16);
    memcpy(q.src, b->from.in.ip, 16);
    clock_gettime(CLOCK_REALTIME, &b->stamp);
    mib_udp(s->net, s->protocol == IPPROTO_UDPLITE, v4, UDP_MIB_OUT);
    mib_packets(s->net, v4, 1, ip_header_size(v4) + sizeof(struct udphdr) + b->len);
    if (route_find(s->net, &q, &way)) {        /* it was there just before */
        sockbuf_free(b);
        return;
    }
    if (way.kind == ROUTE_LOCAL) {
        send_here(s, to, b);
    } else {
        if (way.ifindex == LO_INDEX && ip_watched()) ip_show_udp(s->net, s->protocol, &b->from, to, b, true);
        if (way.kind == ROUTE_UNICAST) send_by_device(s, &way, to, b);
        else send_to_many(s, &way, to, b);
        sockbuf_free(b);
    }
    route_put(&way);
}

/* A datagram of what m holds; NULL and *err. */
static struct sockbuf *take_data(struct socket *s, struct net_msg *m, const struct net_addr *to, const struct route_result *way, int *err)
{
    u64 n = m->u->resid;
    bool v4 = ip_is_v4(to->in.ip), multi = way->kind == ROUTE_MULTICAST;
    struct sockbuf *b = sockbuf_new(n);

    *err = -ENOBUFS;
    if (!b) return NULL;
    if (n && uio_copy_in(m->u, b->data, n) < (ssize_t)n) {
        sockbuf_free(b);
        *err = -EFAULT;
        return NULL;
    }
    b->len = (u32)n;
    lock(&s->lock);
    b->from = s->in.local;
    unlock(&s->lock);
    memcpy(b->from.in.ip, way->src, 16);
    memcpy(b->to_ip, to->in.ip, 16);
    b->ifindex = way->ifindex;
    b->tos = (u8)(m->tos >= 0 ? m->tos : v4 ? s->in.tos : MAX(s->in.tclass, 0));
    b->ttl = (u8)(m->ttl >= 0 ? m->ttl : multi ? (v4 ? s->in.mc_ttl : s->in.mc_hops) : v4 ? s->in.ttl : s->in.hops);
    *err = 0;
    return b;
}

/* Where m goes, and by which way: the checks of ip_route_output_key() and before. */
static int destination(struct socket *s, const struct net_msg *m, struct net_addr *to, struct route_result *way)
{
    int r = 0;

    lock(&s->lock);
    if (m->name && (m->name->family != AF_UNSPEC || m->name->truncated || s->domain == AF_INET)) {
        *to = *m->name;
        if (s->domain == AF_INET && to->family == AF_UNSPEC && !to->truncated) to->family = AF_INET;
    } else if (s->in.connected) {
        *to = s->in.remote;
    } else {
        r = -EDESTADDRREQ;
    }
    unlock(&s->lock);
    if (!r && m->name && !to->truncated && !to->in.port && to->family != AF_UNSPEC) r = -EINVAL;
    if (!r) r = inet_check_dest(s, to);
    if (!r && m->name) r = net_policy(s, CR_CONNECT, to);
    if (r || (r = inet_route(s, m, to, way))) return r;
    if (way->kind == ROUTE_BROADCAST && !s->broadcast) r = -EACCES;
    if (r) route_put(way);
    return r;
}

static ssize_t send_routed(struct socket *s, struct net_msg *m, const struct net_addr *to, const struct route_result *way, bool more)
{
    u64 n = m->u->resid;
    int r = 0;

    if (n > udp_max(to)) {
        if (n <= 65535 || !ip_is_v4(to->in.ip)) udp_too_long(s, to);
        return -EMSGSIZE;
    }
    /* Nothing is sent in pieces. */
    if (way->ifindex != LO_INDEX && n + sizeof(struct udphdr) + ip_header_size(ip_is_v4(to->in.ip)) > way->mtu) return -EMSGSIZE;
    lock(&s->lock);
    if (s->err) r = sock_take_error_locked(s);
    else if (s->shut & SHUT_SND) r = -EPIPE;
    unlock(&s->lock);
    if (r || (r = inet_autobind(s))) return r;
    struct sockbuf *b = take_data(s, m, to, way, &r);
    if (!b) return r;
    if (!more) {
        udp_transmit(s, to, b);
    } else if (!n || (r = udp_hold(s, to, b))) {
        sockbuf_free(b);
        return r;
    }
    return (ssize_t)n;
}

static ssize_t udp_sendmsg(struct socket *s, struct net_msg *m)
{
    u64 n = m->u->resid;
    bool more = (m->flags & MSG_MORE) || atomic_load(&s->in.udp_cork);
    struct route_result way;
    struct net_addr to;
    int r;

    if (n > 65535 && s->domain == AF_INET) return -EMSGSIZE;
    if (m->flags & MSG_OOB) return -EOPNOTSUPP;
    if (udp_held(s)) return n > 65535 ? -EMSGSIZE : udp_append(s, m, more);
    if ((r = destination(s, m, &to, &way))) return r;
    ssize_t done = send_routed(s, m, &to, &way, more);
    route_put(&way);
    return done;
}

bool udp_arrive(struct net_ns *net, const struct ip_packet *p)
{
    struct udphdr h;
    u32 len = p->len - p->header;

    /* What is malformed is dropped without a word. */
    if (len < sizeof h) return true;
    memcpy(&h, p->bytes + p->header, sizeof h);
    u32 want = ntohs(h.len);
    if (want < sizeof h || want > len || (!h.check && !p->v4)) return true;
    struct ip_packet trimmed = *p;
    trimmed.len = p->header + want;
    if (h.check && ip_payload_checksum(&trimmed, IPPROTO_UDP)) return true;
    struct sockbuf *b = sockbuf_new(want - sizeof h);
    if (!b) return true;
    b->len = want - (u32)sizeof h;
    memcpy(b->data, p->bytes + p->header + sizeof h, b->len);
    memcpy(b->from.in.ip, p->src, 16);
    b->from.in.port = ntohs(h.source);
    memcpy(b->to_ip, p->dst, 16);
    b->tos = p->tos;
    b->ttl = p->ttl;
    b->ifindex = p->ifindex;
    clock_gettime(CLOCK_REALTIME, &b->stamp);
    struct inet_flow f = flow_of(net, IPPROTO_UDP, p->dst, ntohs(h.dest), b);
    struct socket *o = NULL;
    bool found = p->multi || (o = udp_find(&f));
    if (p->multi) deliver_to_all(&f, b);
    if (o) deliver(o, b);
    else sockbuf_free(b);
    if (o) socket_put(o);
    return found;
}

static ssize_t udp_recvmsg(struct socket *s, struct net_msg *m)
{
    static const u8 none[16];
    ssize_t r = dgram_recvmsg(s, m);
    if (r >= 0 && !(m->flags & (MSG_PEEK | MSG_ERRQUEUE)) && memcmp(m->to_ip, none, 16))
        mib_udp(s->net, s->protocol == IPPROTO_UDPLITE, ip_is_v4(m->to_ip), UDP_MIB_IN);
    if (r >= 0 && m->got & WANT_PKTINFO) inet_spec_dst(s, m);
    lock(&s->lock);
    m->to_port = s->in.local.in.port;
    unlock(&s->lock);
    return r;
}

static u32 udp_poll(struct socket *s) { return dgram_poll_common(s) | POLLOUT | POLLWRNORM | POLLWRBAND; }

static void udp_release(struct socket *s)
{
    udp_drop_held(s);
    inet_unbind(s);
    dgram_release(s);
}

static void udp_free(struct socket *s)
{
    udp_drop_held(s);
    inet_unbind(s);
    inet_members_free(s);
}

const struct sock_ops udp_ops = {
    .bind = inet_bind, .connect = udp_connect, .getname = inet_getname, .sendmsg = udp_sendmsg, .recvmsg = udp_recvmsg,
    .shutdown = inet_dgram_shutdown, .poll = udp_poll, .setopt = inet_setopt, .getopt = inet_getopt, .release = udp_release, .free = udp_free,
};
