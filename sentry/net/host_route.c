/*
 * rtnetlink questions about the host's namespace: asked of the broker, answered to the guest's socket. Answers come as
 * long as the broker's buffer; they are cut anew at message boundaries, since programs read with buffers of a page.
 */
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/net/dev.h"
#include "sentry/net/host.h"
#include "sentry/net/links.h"
#include "sentry/net/netlink.h"
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>

#define DATAGRAM 3776u             /* NLMSG_GOODSIZE of a kernel with pages of 4 KiB */
#define QUEUE_MAX (4u << 20)       /* an answer that the guest does not read is not kept without bound */

struct answer {
    struct socket *s;
    const struct nlmsghdr *q;
    u32 portid;
    struct sockbuf *b;             /* owned: messages collected for the next datagram */
    size_t queued;
    bool dump;
};

static void flush(struct answer *a)
{
    if (a->b) netlink_queue(a->s, a->b);
    a->b = NULL;
}

static int add_message(struct answer *a, const u8 *p, const struct nlmsghdr *h)
{
    size_t n = NLMSG_ALIGN(h->nlmsg_len);
    if (a->queued + n > QUEUE_MAX) return -ENOBUFS;
    if (a->b && a->b->len + n > a->b->cap) flush(a);
    if (!a->b && !(a->b = sockbuf_new(MAX(n, (size_t)DATAGRAM)))) return -ENOBUFS;
    struct nlmsghdr mine = *h;
    mine.nlmsg_seq = a->q->nlmsg_seq;
    mine.nlmsg_pid = a->portid;
    u8 *to = a->b->data + a->b->len;
    memset(to, 0, n);
    memcpy(to, p, h->nlmsg_len);
    memcpy(to, &mine, sizeof mine);
    a->b->len += (u32)n;
    a->queued += n;
    return 0;
}

/* The error inside an NLMSG_ERROR, 0 if it makes no sense. */
static int error_of(const u8 *p, const struct nlmsghdr *h)
{
    s32 e;
    if (h->nlmsg_len < sizeof *h + sizeof e) return 0;
    memcpy(&e, p + sizeof *h, sizeof e);
    return e < 0 && e >= -SYSRET_MAX_ERRNO ? e : 0;
}

static int piece(void *arg, const u8 *p, size_t n)
{
    struct answer *a = arg;
    struct nlmsghdr h;
    int r = 0;
    for (size_t off = 0; !r && n - off >= sizeof h;) {
        memcpy(&h, p + off, sizeof h);
        if (h.nlmsg_len < sizeof h || h.nlmsg_len > n - off) return -EIO;
        /* The sentry words errors itself: they repeat the guest's request. */
        r = h.nlmsg_type == NLMSG_ERROR ? error_of(p + off, &h) : add_message(a, p + off, &h);
        off += MIN((size_t)NLMSG_ALIGN(h.nlmsg_len), n - off);
    }
    return r;
}

int host_route(struct socket *s, const struct nlmsghdr *q, const u8 *body, size_t n, u32 portid, bool strict)
{
    struct { u32 strict; struct nlmsghdr h; } req = { strict, *q };
    struct answer a = { .s = s, .q = q, .portid = portid, .dump = q->nlmsg_flags & NLM_F_DUMP };
    _Static_assert(sizeof req == 20, "no padding");
    if (n > 2048) return -EINVAL;
    int r = netb_call_pieces(NETB_ROUTE, &req, sizeof req, body, n, piece, &a);
    flush(&a);
    return r ? r : 1;
}

/* --- interfaces, for /sys --- */

struct links { struct net_link *v; size_t n; };

static void link_attr(struct net_link *l, u16 type, const u8 *v, size_t n)
{
    u32 w = 0;
    if (n >= sizeof w) memcpy(&w, v, sizeof w);
    switch (type & NLA_TYPE_MASK) {
    case IFLA_IFNAME: memcpy(l->name, v, MIN(n, sizeof l->name - 1)); break;
    case IFLA_IFALIAS: memcpy(l->alias, v, MIN(n, sizeof l->alias - 1)); break;
    case IFLA_ADDRESS:
        l->addr_len = (u8)MIN(n, sizeof l->addr);
        memcpy(l->addr, v, l->addr_len);
        break;
    case IFLA_BROADCAST: memcpy(l->broadcast, v, MIN(n, sizeof l->broadcast)); break;
    case IFLA_MTU: l->mtu = w; break;
    case IFLA_LINK: l->iflink = w; break;
    case IFLA_TXQLEN: l->txqlen = w; break;
    case IFLA_GROUP: l->group = w; break;
    case IFLA_OPERSTATE: l->operstate = n ? *v : 0; break;
    case IFLA_CARRIER: l->carrier = n ? *v : 0; break;
    case IFLA_LINKMODE: l->linkmode = n ? *v : 0; break;
    case IFLA_STATS64: memcpy(l->stats, v, MIN(n, sizeof l->stats)); break;
    default: break;
    }
}

static int link_piece(void *arg, const u8 *p, size_t n)
{
    struct links *k = arg;
    struct nlmsghdr h;
    for (size_t off = 0; n - off >= sizeof h; off += MIN((size_t)NLMSG_ALIGN(h.nlmsg_len), n - off)) {
        memcpy(&h, p + off, sizeof h);
        if (h.nlmsg_len < sizeof h || h.nlmsg_len > n - off) return -EIO;
        struct ifinfomsg i;
        if (h.nlmsg_type != RTM_NEWLINK || h.nlmsg_len < NLMSG_LENGTH(sizeof i)) continue;
        memcpy(&i, p + off + NLMSG_HDRLEN, sizeof i);
        k->v = xrealloc(k->v, (k->n + 1) * sizeof *k->v);
        struct net_link *l = &k->v[k->n++];
        *l = (struct net_link){ .index = (u32)i.ifi_index, .iflink = (u32)i.ifi_index, .flags = i.ifi_flags, .type = i.ifi_type };
        for (size_t at = off + NLMSG_SPACE(sizeof i), end = off + h.nlmsg_len; end - at >= sizeof(struct rtattr) && at < end;) {
            struct rtattr a;
            memcpy(&a, p + at, sizeof a);
            if (a.rta_len < sizeof a || a.rta_len > end - at) break;
            link_attr(l, a.rta_type, p + at + RTA_LENGTH(0), a.rta_len - RTA_LENGTH(0));
            at += MIN((size_t)RTA_ALIGN(a.rta_len), end - at);
        }
    }
    return 0;
}

static int by_index(const void *a, const void *b)
{
    const struct net_link *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void own_links(struct links *k)
{
    struct net_devs *v = net_devs(current_net());
    const struct netdev *d;

    k->v = xzalloc(DEVS_MAX * sizeof *k->v);
    read_lock(&net_lock);
    TAILQ_FOREACH(d, &v->devs, link) {
        struct net_link *l = &k->v[k->n++];
        *l = (struct net_link){ .index = d->index, .iflink = d->index, .flags = dev_flags(d) & 0xffff, .mtu = d->mtu, .type = d->kind->type, .txqlen = d->txqlen,
                                .group = d->group, .addr_len = d->addr_len, .carrier = d->carrier, .operstate = dev_oper_state(d),
                                .stats = { d->rx_packets, d->tx_packets, d->rx_bytes, d->tx_bytes, [6] = d->rx_dropped, d->tx_dropped } };
        memcpy(l->name, d->name, sizeof l->name);
        memcpy(l->alias, d->alias, sizeof l->alias);
        memcpy(l->addr, d->addr, d->addr_len);
        if (d->kind != &dev_lo) memset(l->broadcast, 0xff, d->addr_len);
    }
    rw_unlock(&net_lock);
}

struct net_link *net_links_get(size_t *n)
{
    struct links k = { 0 };
    if (!net_devs_own(current_net()) && net_plan.head.mode == PLAN_NET_HOST) {
        struct { u32 strict; struct nlmsghdr h; struct ifinfomsg i; } q = { .h = { .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_DUMP } };
        netb_call_pieces(NETB_ROUTE, &q, sizeof q, NULL, 0, link_piece, &k);
        if (k.n) qsort(k.v, k.n, sizeof *k.v, by_index);
    } else if (net_devs_own(current_net())) {
        own_links(&k);
    }
    *n = k.n;
    return k.v;
}
