/* AF_NETLINK: dumps for NETLINK_ROUTE, of the one interface or of the host's; a silent NETLINK_KOBJECT_UEVENT. netlink(7), rtnetlink(7) */
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/kernel/ns.h"
#include "sentry/kernel/task.h"
#include "sentry/net/filter.h"
#include "sentry/net/host.h"
#include "sentry/net/netlink.h"
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

/* priv holds the port id and what else is ours */
struct nl { u32 portid, groups, dest; bool strict; };
static lock_t port_lock = LOCK_INIT(LC_LEAF);      /* guards: */
static u32 *ports; static size_t nports;
#define NL_SEND_MAX 65536u
#define NL_REPLY_MAX 4096u

static u32 mode_of(const struct socket *s) { return s->net ? PLAN_NET_LOOPBACK : net_plan.head.mode; }

static struct nl *nl_of(struct socket *s) { return s->priv; }

static int take_port(struct nl *n, u32 id)
{
    int r = 0;
    lock(&port_lock);
    u32 want = id ? id : (u32)current->tg->tgid;
    for (u32 tries = 0;; tries++) {
        size_t i = 0;
        while (i < nports && ports[i] != want) i++;
        if (i == nports) break;
        if (id) {
            r = -EADDRINUSE;
            break;
        }
        want = (u32)-4096 - (u32)nports - tries;
    }
    if (!r) {
        ports = xrealloc(ports, (nports + 1) * sizeof *ports);
        ports[nports++] = want;
        n->portid = want;
    }
    unlock(&port_lock);
    return r;
}

static void drop_port(struct nl *n)
{
    lock(&port_lock);
    for (size_t i = 0; i < nports && n->portid; i++)
        if (ports[i] == n->portid) {
            ports[i] = ports[--nports];
            break;
        }
    n->portid = 0;
    unlock(&port_lock);
}

static int nl_bind(struct socket *s, const struct net_addr *a)
{
    struct nl *n = nl_of(s);
    if (a->truncated || a->family != AF_NETLINK) return -EINVAL;
    if (n->portid && a->nl.pid && a->nl.pid != n->portid) return -EINVAL;
    int r = n->portid ? 0 : take_port(n, a->nl.pid);
    if (!r) n->groups = a->nl.groups;
    return r;
}

static int nl_connect(struct socket *s, const struct net_addr *a, bool nonblock UNUSED)
{
    struct nl *n = nl_of(s);
    if (a->family == AF_UNSPEC) {
        n->dest = 0;
        return 0;
    }
    if (a->family != AF_NETLINK || a->truncated) return -EINVAL;
    if ((a->nl.pid || a->nl.groups) && !ns_capable(net_owner(s), CAP_NET_ADMIN)) return -EPERM;
    n->dest = a->nl.pid;
    return n->portid ? 0 : take_port(n, 0);
}

static int nl_getname(struct socket *s, struct net_addr *out, bool peer)
{
    *out = (struct net_addr){ .family = AF_NETLINK };
    out->nl.pid = peer ? nl_of(s)->dest : nl_of(s)->portid;
    out->nl.groups = peer ? 0 : nl_of(s)->groups;
    return 0;
}

/* A reply under construction. */
struct reply { struct socket *s; struct sockbuf *b; u32 seq; };

static void *put(struct reply *r, size_t n)
{
    size_t pad = NLMSG_ALIGN(n);
    if (!r->b || r->b->len + pad > r->b->cap) return NULL;
    void *p = r->b->data + r->b->len;
    memset(p, 0, pad);
    r->b->len += (u32)pad;
    return p;
}

static struct nlmsghdr *begin(struct reply *r, u16 type, u16 flags, const void *body, size_t n)
{
    struct nlmsghdr *h = put(r, sizeof *h);
    void *p = h ? put(r, n) : NULL;
    if (!p) return NULL;
    *h = (struct nlmsghdr){ .nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = r->seq, .nlmsg_pid = nl_of(r->s)->portid };
    memcpy(p, body, n);
    return h;
}

static void attr(struct reply *r, u16 type, const void *v, size_t n)
{
    struct rtattr *a = put(r, RTA_LENGTH(n));
    if (!a) return;
    a->rta_type = type;
    a->rta_len = (u16)RTA_LENGTH(n);
    memcpy(RTA_DATA(a), v, n);
}
static void attr_u32(struct reply *r, u16 type, u32 v) { attr(r, type, &v, sizeof v); }
static void attr_u8(struct reply *r, u16 type, u8 v) { attr(r, type, &v, sizeof v); }
static void end(struct reply *r, struct nlmsghdr *h) { if (h) h->nlmsg_len = (u32)((u8 *)r->b->data + r->b->len - (u8 *)h); }

void netlink_queue(struct socket *s, struct sockbuf *b)
{
    u32 keep = filter_run_plain(s, b->data, b->len, 0);
    if (!keep) {
        sockbuf_free(b);
        return;
    }
    b->len = MIN(b->len, keep);
    b->from = (struct net_addr){ .family = AF_NETLINK };
    b->charge = sockbuf_truesize(b->len);
    lock(&s->lock);
    sockbuf_append_locked(s, b);
    unlock(&s->lock);
    waitq_wake(&s->wq, POLLIN | POLLRDNORM);
}

static void send_reply(struct reply *r)
{
    netlink_queue(r->s, r->b);
    r->b = NULL;
}

static void put_link(struct reply *r, u16 flags)
{
    struct ifinfomsg i = { .ifi_type = ARPHRD_LOOPBACK, .ifi_index = 1, .ifi_flags = IFF_LOOPBACK };
    if (net_lo_up(r->s)) i.ifi_flags |= IFF_UP | IFF_RUNNING | IFF_LOWER_UP;
    struct nlmsghdr *h = begin(r, RTM_NEWLINK, flags, &i, sizeof i);
    struct rtnl_link_stats64 st64 = { 0 };
    struct rtnl_link_stats st = { 0 };
    static const u8 zero[6];
    attr(r, IFLA_IFNAME, "lo", 3);
    attr_u32(r, IFLA_TXQLEN, 1000);
    attr_u8(r, IFLA_OPERSTATE, 0);
    attr_u8(r, IFLA_LINKMODE, 0);
    attr_u32(r, IFLA_MTU, 65536);
    attr_u32(r, IFLA_GROUP, 0);
    attr_u32(r, IFLA_PROMISCUITY, 0);
    attr_u32(r, IFLA_NUM_TX_QUEUES, 1);
    attr_u32(r, IFLA_NUM_RX_QUEUES, 1);
    attr_u8(r, IFLA_CARRIER, 1);
    attr(r, IFLA_QDISC, "noqueue", 8);
    attr(r, IFLA_ADDRESS, zero, 6);
    attr(r, IFLA_BROADCAST, zero, 6);
    attr(r, IFLA_STATS64, &st64, sizeof st64);
    attr(r, IFLA_STATS, &st, sizeof st);
    end(r, h);
}

static void put_addr(struct reply *r, bool v4, u16 flags)
{
    static const u8 a4[4] = { 127, 0, 0, 1 }, a6[16] = { [15] = 1 };
    struct ifaddrmsg m = { .ifa_family = v4 ? AF_INET : AF_INET6, .ifa_prefixlen = v4 ? 8 : 128, .ifa_flags = IFA_F_PERMANENT,
                           .ifa_scope = RT_SCOPE_HOST, .ifa_index = 1 };
    struct ifa_cacheinfo c = { .ifa_prefered = ~0u, .ifa_valid = ~0u };
    struct nlmsghdr *h = begin(r, RTM_NEWADDR, flags, &m, sizeof m);
    attr(r, IFA_ADDRESS, v4 ? a4 : a6, v4 ? 4 : 16);
    if (v4) {
        attr(r, IFA_LOCAL, a4, 4);
        attr(r, IFA_LABEL, "lo", 3);
    }
    attr_u32(r, IFA_FLAGS, IFA_F_PERMANENT);
    attr(r, IFA_CACHEINFO, &c, sizeof c);
    end(r, h);
}

static void put_route(struct reply *r, bool v4, bool net, u16 flags)
{
    static const u8 a4[4] = { 127, 0, 0, 1 }, n4[4] = { 127 }, a6[16] = { [15] = 1 };
    struct rtmsg m = { .rtm_family = v4 ? AF_INET : AF_INET6, .rtm_dst_len = v4 ? (net ? 8 : 32) : 128, .rtm_table = v4 ? RT_TABLE_LOCAL : RT_TABLE_MAIN,
                       .rtm_protocol = RTPROT_KERNEL, .rtm_scope = v4 ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE, .rtm_type = v4 ? RTN_LOCAL : RTN_UNICAST };
    struct nlmsghdr *h = begin(r, RTM_NEWROUTE, flags, &m, sizeof m);
    attr_u32(r, RTA_TABLE, v4 ? RT_TABLE_LOCAL : RT_TABLE_MAIN);
    attr(r, RTA_DST, v4 ? (net ? n4 : a4) : a6, v4 ? 4 : 16);
    if (v4) attr(r, RTA_PREFSRC, a4, 4);
    else attr_u32(r, RTA_PRIORITY, 256);
    attr_u32(r, RTA_OIF, 1);
    end(r, h);
}

static int answer_error(struct socket *s, const struct nlmsghdr *q, int err)
{
    struct reply r = { .s = s, .b = sockbuf_new(NL_REPLY_MAX), .seq = q->nlmsg_seq };
    struct nlmsgerr e = { .error = err, .msg = *q };
    if (!r.b) return -ENOBUFS;
    end(&r, begin(&r, NLMSG_ERROR, NLM_F_CAPPED, &e, sizeof e));
    send_reply(&r);
    return 0;
}

static int dump(struct socket *s, const struct nlmsghdr *q, u8 family)
{
    struct reply r = { .s = s, .b = sockbuf_new(NL_REPLY_MAX), .seq = q->nlmsg_seq };
    bool none = mode_of(s) == PLAN_NET_NONE, up = net_lo_up(s) && !none, four = family != AF_INET6 && up, six = family != AF_INET && up;
    const u16 f = NLM_F_MULTI;
    int done = 0;

    if (!r.b) return -ENOBUFS;
    switch (q->nlmsg_type) {
    case RTM_GETLINK: if (!none) put_link(&r, f); break;
    case RTM_GETADDR:
        if (four) put_addr(&r, true, f);
        if (six) put_addr(&r, false, f);
        break;
    case RTM_GETROUTE:
        if (four) {
            put_route(&r, true, true, f);
            put_route(&r, true, false, f);
        }
        if (six) put_route(&r, false, false, f);
        break;
    default: break;          /* neighbours, rules, queueing disciplines: none */
    }
    if (r.b->len) send_reply(&r);
    else sockbuf_free(r.b);
    r.b = sockbuf_new(256);
    if (!r.b) return -ENOBUFS;
    end(&r, begin(&r, NLMSG_DONE, f, &done, sizeof done));
    send_reply(&r);
    return 0;
}

/* The index or name a single RTM_GETLINK asks for. */
static bool is_lo(const struct socket *s, const struct nlmsghdr *q, const u8 *body, size_t n)
{
    struct ifinfomsg i;
    if (n < sizeof i || mode_of(s) == PLAN_NET_NONE) return false;
    memcpy(&i, body, sizeof i);
    if (i.ifi_index) return i.ifi_index == 1;
    for (size_t off = NLMSG_ALIGN(sizeof i); off + sizeof(struct rtattr) <= n;) {
        struct rtattr a;
        memcpy(&a, body + off, sizeof a);
        if (a.rta_len < sizeof a || a.rta_len > n - off) break;
        if (a.rta_type == IFLA_IFNAME && a.rta_len >= sizeof a + 2 && !strncmp((const char *)body + off + sizeof a, "lo", a.rta_len - sizeof a)) return true;
        off += RTA_ALIGN(a.rta_len);
    }
    (void)q;
    return false;
}

static int route_to(struct socket *s, const struct nlmsghdr *q, const u8 *body, size_t n)
{
    struct rtmsg m;
    if (n < sizeof m) return -EINVAL;
    memcpy(&m, body, sizeof m);
    for (size_t off = NLMSG_ALIGN(sizeof m); off + sizeof(struct rtattr) <= n && mode_of(s) != PLAN_NET_NONE;) {
        struct rtattr a;
        memcpy(&a, body + off, sizeof a);
        if (a.rta_len < sizeof a || a.rta_len > n - off) break;
        const u8 *ip = body + off + sizeof a;
        if (a.rta_type == RTA_DST && m.rtm_family == AF_INET && a.rta_len >= sizeof a + 4 && ip[0] == 127) {
            struct reply r = { .s = s, .b = sockbuf_new(NL_REPLY_MAX), .seq = q->nlmsg_seq };
            if (!r.b) return -ENOBUFS;
            put_route(&r, true, false, 0);
            send_reply(&r);
            return 1;
        }
        off += RTA_ALIGN(a.rta_len);
    }
    return -ENETUNREACH;
}

/* What can be changed: the loopback of a namespace of the guest's own comes up, with the addresses Linux gives it then. */
static int change(struct socket *s, const struct nlmsghdr *q, const u8 *body, size_t n)
{
    static const u8 a4[4] = { 127, 0, 0, 1 }, a6[16] = { [15] = 1 };

    if (mode_of(s) != PLAN_NET_LOOPBACK) return -EOPNOTSUPP;
    if ((q->nlmsg_type == RTM_NEWLINK || q->nlmsg_type == RTM_SETLINK) && n >= sizeof(struct ifinfomsg)) {
        struct ifinfomsg i;
        memcpy(&i, body, sizeof i);
        if (!is_lo(s, q, body, n)) return -EOPNOTSUPP;
        bool up = i.ifi_flags & IFF_UP;
        if (!s->net) return up || !(i.ifi_change & IFF_UP) ? 0 : -EOPNOTSUPP;
        if ((i.ifi_change & IFF_UP) || up) __atomic_store_n(&s->net->lo_up, up, __ATOMIC_RELEASE);
        return 0;
    }
    if (q->nlmsg_type == RTM_NEWADDR && n >= sizeof(struct ifaddrmsg)) {
        struct ifaddrmsg m;
        memcpy(&m, body, sizeof m);
        for (size_t off = NLMSG_ALIGN(sizeof m); off + sizeof(struct rtattr) <= n && m.ifa_index == 1;) {
            struct rtattr a;
            memcpy(&a, body + off, sizeof a);
            if (a.rta_len < sizeof a || a.rta_len > n - off) break;
            const u8 *ip = body + off + sizeof a;
            size_t len = a.rta_len - sizeof a;
            bool own = (len == 4 && !memcmp(ip, a4, 4)) || (len == 16 && !memcmp(ip, a6, 16));
            if ((a.rta_type == IFA_LOCAL || a.rta_type == IFA_ADDRESS) && own)
                return net_lo_up(s) && (q->nlmsg_flags & NLM_F_EXCL) ? -EEXIST : 0;
            off += RTA_ALIGN(a.rta_len);
        }
    }
    return -EOPNOTSUPP;
}

/* 1: answered; 0: acknowledge if asked; -errno. */
static int rtnetlink(struct socket *s, const struct nlmsghdr *q, const u8 *body, size_t n)
{
    u8 family = n ? body[0] : 0;

    if (q->nlmsg_type > RTM_MAX) return -EOPNOTSUPP;
    /* GET is the third of each group of four */
    if ((q->nlmsg_type & 3) != 2) return ns_capable(net_owner(s), CAP_NET_ADMIN) ? change(s, q, body, n) : -EPERM;
    if (mode_of(s) == PLAN_NET_HOST) return n ? host_route(s, q, body, n, nl_of(s)->portid, nl_of(s)->strict) : -EINVAL;
    if ((q->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP || (q->nlmsg_flags & NLM_F_ROOT)) {
        if (n < 1) return -EINVAL;
        int r = dump(s, q, family);
        return r ? r : 1;
    }
    if (q->nlmsg_type == RTM_GETROUTE) return route_to(s, q, body, n);
    if (q->nlmsg_type != RTM_GETLINK) return -EOPNOTSUPP;
    if (!is_lo(s, q, body, n)) return -ENODEV;
    struct reply r = { .s = s, .b = sockbuf_new(NL_REPLY_MAX), .seq = q->nlmsg_seq };
    if (!r.b) return -ENOBUFS;
    put_link(&r, 0);
    send_reply(&r);
    return 1;
}

static ssize_t nl_sendmsg(struct socket *s, struct net_msg *m)
{
    struct nl *nl = nl_of(s);
    u64 n = m->u->resid;
    u32 dest = nl->dest;

    if (m->flags & MSG_OOB) return -EOPNOTSUPP;
    if (m->name && (m->name->family != AF_UNSPEC || m->name->truncated)) {
        if (m->name->family != AF_NETLINK || m->name->truncated) return -EINVAL;
        if ((m->name->nl.groups || m->name->nl.pid) && !ns_capable(net_owner(s), CAP_NET_ADMIN)) return -EPERM;
        dest = m->name->nl.pid;
    }
    if (!nl->portid) {
        int r = take_port(nl, 0);
        if (r) return r;
    }
    if (n > NL_SEND_MAX) return -EMSGSIZE;
    if (dest || s->protocol != NETLINK_ROUTE) return -ECONNREFUSED;     /* nobody there */
    if ((u64)atomic_load(&s->rmem) > s->rcvbuf) return -ENOBUFS;
    AUTO_FREE u8 *buf = try_zalloc(n + 1, 1);
    if (!buf) return -ENOBUFS;
    if (n && uio_copy_in(m->u, buf, n) < (ssize_t)n) return -EFAULT;
    for (size_t off = 0; n - off >= sizeof(struct nlmsghdr);) {
        struct nlmsghdr q;
        memcpy(&q, buf + off, sizeof q);
        if (q.nlmsg_len < sizeof q || q.nlmsg_len > n - off) break;
        int r = 0;
        if ((q.nlmsg_flags & NLM_F_REQUEST) && q.nlmsg_type >= NLMSG_MIN_TYPE) r = rtnetlink(s, &q, buf + off + sizeof q, q.nlmsg_len - sizeof q);
        if (r < 0 || (!r && (q.nlmsg_flags & NLM_F_ACK))) r = answer_error(s, &q, r < 0 ? r : 0);
        if (r < 0) return r;
        off += MIN((u64)NLMSG_ALIGN(q.nlmsg_len), n - off);
    }
    return (ssize_t)n;
}

static int nl_setopt(struct socket *s, int level, int opt, const void *val, size_t len)
{
    int v;
    if (level != SOL_NETLINK) return -ENOPROTOOPT;
    if (len < sizeof v) return -EINVAL;
    memcpy(&v, val, sizeof v);
    switch (opt) {
    case NETLINK_ADD_MEMBERSHIP:
    case NETLINK_DROP_MEMBERSHIP:
        if (v < 1 || v > 64) return -EINVAL;
        if (v <= 32) nl_of(s)->groups = opt == NETLINK_ADD_MEMBERSHIP ? nl_of(s)->groups | 1u << (v - 1) : nl_of(s)->groups & ~(1u << (v - 1));
        return 0;
    case NETLINK_PKTINFO:
    case NETLINK_BROADCAST_ERROR:
    case NETLINK_NO_ENOBUFS:
    case NETLINK_EXT_ACK:
    case NETLINK_CAP_ACK: return 0;
    case NETLINK_GET_STRICT_CHK: nl_of(s)->strict = v; return 0;
    default: return -ENOPROTOOPT;
    }
}

static u32 nl_poll(struct socket *s) { return dgram_poll_common(s) | POLLOUT | POLLWRNORM | POLLWRBAND; }
static int nl_shutdown(struct socket *s UNUSED, u32 which UNUSED) { return -EOPNOTSUPP; }
static void nl_release(struct socket *s) { drop_port(nl_of(s)); }
static void nl_free(struct socket *s) { drop_port(nl_of(s)); free(s->priv); }

static const struct sock_ops netlink_ops = {
    .bind = nl_bind, .connect = nl_connect, .getname = nl_getname, .sendmsg = nl_sendmsg, .recvmsg = dgram_recvmsg,
    .shutdown = nl_shutdown, .poll = nl_poll, .setopt = nl_setopt, .release = nl_release, .free = nl_free,
};

int netlink_create(struct socket *s)
{
    if (s->type != SOCK_RAW && s->type != SOCK_DGRAM) return -ESOCKTNOSUPPORT;
    if (s->protocol < 0 || s->protocol >= MAX_LINKS) return -EPROTONOSUPPORT;
    if (s->protocol != NETLINK_ROUTE && s->protocol != NETLINK_KOBJECT_UEVENT) return -EPROTONOSUPPORT;
    s->ops = &netlink_ops;
    s->priv = xnew(struct nl);
    return 0;
}
