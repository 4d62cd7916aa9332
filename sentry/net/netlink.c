/* AF_NETLINK: NETLINK_ROUTE, asked of the sandbox's own devices (rtnl.c) or the host's; a silent NETLINK_KOBJECT_UEVENT. netlink(7), rtnetlink(7) */
#include "sentry/base/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/net/filter.h"
#include "sentry/net/host.h"
#include "sentry/net/rtnl.h"
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

#define GROUPS 64u
#define GROUPS_SHOWN 8             /* bytes of NETLINK_LIST_MEMBERSHIPS */
enum nl_flag { NL_PKTINFO, NL_BROADCAST_ERROR, NL_NO_ENOBUFS, NL_CAP_ACK, NL_EXT_ACK, NL_STRICT, NL_FLAGS };
/* priv holds the port id and what else is ours */
struct nl { u32 portid, dest, dest_group; u64 groups; bool had_groups, flag[NL_FLAGS]; struct socket *s; LIST_ENTRY(nl) link; };
static lock_t port_lock = LOCK_INIT(LC_LEAF);      /* guards: */
static u32 *ports; static size_t nports;
static lock_t sockets_lock = LOCK_INIT(LC_LEAF);   /* guards, with the groups: */
static LIST_HEAD(, nl) sockets = LIST_HEAD_INITIALIZER(sockets);
static size_t nsockets;
#define NL_SEND_MAX 65536u
#define NL_DATAGRAM 3776u             /* NLMSG_GOODSIZE of a kernel with pages of 4 KiB */

static const struct sock_ops netlink_ops;

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
    if (r) return r;
    lock(&sockets_lock);
    n->groups = (n->groups & ~(u64)UINT32_MAX) | a->nl.groups;
    n->had_groups |= n->groups != 0;
    unlock(&sockets_lock);
    return 0;
}

static int nl_connect(struct socket *s, const struct net_addr *a, bool nonblock UNUSED)
{
    struct nl *n = nl_of(s);
    if (a->family == AF_UNSPEC) {
        n->dest = n->dest_group = 0;
        return 0;
    }
    if (a->family != AF_NETLINK || a->truncated) return -EINVAL;
    if ((a->nl.pid || a->nl.groups) && !ns_capable(net_owner(s), CAP_NET_ADMIN)) return -EPERM;
    n->dest = a->nl.pid;
    n->dest_group = a->nl.groups;
    return n->portid ? 0 : take_port(n, 0);
}

static int nl_getname(struct socket *s, struct net_addr *out, bool peer)
{
    *out = (struct net_addr){ .family = AF_NETLINK };
    out->nl.pid = peer ? nl_of(s)->dest : nl_of(s)->portid;
    out->nl.groups = peer ? nl_of(s)->dest_group : (u32)nl_of(s)->groups;
    return 0;
}

/* --- messages --- */

/* Takes over b. */
static void enqueue(struct socket *s, struct sockbuf *b)
{
    u32 keep = filter_run_plain(s, b->data, b->len, 0);
    if (!keep) {
        sockbuf_free(b);
        return;
    }
    b->len = MIN(b->len, keep);
    b->charge = sockbuf_truesize(b->len);
    lock(&s->lock);
    sockbuf_append_locked(s, b);
    unlock(&s->lock);
    waitq_wake(&s->wq, POLLIN | POLLRDNORM);
}

void netlink_queue(struct socket *s, struct sockbuf *b)
{
    b->from = (struct net_addr){ .family = AF_NETLINK };
    enqueue(s, b);
}

bool file_is_netlink(const struct file *f)
{
    struct socket *s = net_file_socket((struct file *)f);
    return s && s->ops == &netlink_ops;
}

void netlink_deliver(struct file *f, const void *data, size_t n)
{
    struct socket *s = net_file_socket(f);
    struct sockbuf *b = (u64)atomic_load(&s->rmem) > s->rcvbuf ? NULL : sockbuf_new(n);
    if (!b) return;
    memcpy(b->data, data, n);
    b->len = (u32)n;
    netlink_queue(s, b);
}

void netlink_queue_all(struct socket *s, const u8 *p, u32 len)
{
    struct sockbuf *b = NULL;

    for (u32 off = 0; off < len;) {
        struct nlmsghdr h;
        memcpy(&h, p + off, sizeof h);
        u32 n = MIN(NLMSG_ALIGN(h.nlmsg_len), len - off);
        if (!n) break;
        /* The end of a dump comes by itself, as Linux has it. */
        if (b && (b->len + n > b->cap || h.nlmsg_type == NLMSG_DONE)) {
            netlink_queue(s, b);
            b = NULL;
        }
        if (!b && !(b = sockbuf_new(MAX(n, NL_DATAGRAM)))) return;
        memcpy(b->data + b->len, p + off, n);
        b->len += n;
        off += n;
    }
    if (b) netlink_queue(s, b);
}

static int answer_error(struct socket *s, const struct nlmsghdr *q, int err)
{
    struct sockbuf *b = sockbuf_new(NLMSG_LENGTH(sizeof(struct nlmsgerr)));
    struct nlmsgerr e = { .error = err, .msg = *q };
    struct nlmsghdr h = { .nlmsg_len = NLMSG_LENGTH(sizeof e), .nlmsg_type = NLMSG_ERROR, .nlmsg_flags = NLM_F_CAPPED, .nlmsg_seq = q->nlmsg_seq,
                          .nlmsg_pid = nl_of(s)->portid };

    if (!b) return -ENOBUFS;
    memcpy(b->data, &h, sizeof h);
    memcpy(b->data + sizeof h, &e, sizeof e);
    b->len = h.nlmsg_len;
    netlink_queue(s, b);
    return 0;
}

/* One that is behind loses the message, and is told so once. netlink_overrun() */
static void offer(struct socket *s, const u8 *p, u32 len, const struct net_addr *from, const struct net_cred *cred, u32 group)
{
    struct sockbuf *b = (u64)atomic_load(&s->rmem) > s->rcvbuf ? NULL : sockbuf_new(len);

    if (!b) {
        if (!nl_of(s)->flag[NL_NO_ENOBUFS]) sock_set_error(s, ENOBUFS);
        return;
    }
    memcpy(b->data, p, len);
    b->len = len;
    b->from = *from;
    if (cred) b->cred = *cred;
    b->nl_groups = group;
    enqueue(s, b);
}

void netlink_broadcast(struct net_ns *net, int protocol, u32 group, const u8 *p, u32 len, u32 portid, const struct net_cred *cred)
{
    const struct net_addr from = { .family = AF_NETLINK, .nl = { portid, group <= 32 ? 1u << (group - 1) : 0 } };
    struct nl *o;
    size_t n = 0;

    lock(&sockets_lock);
    size_t room = nsockets;
    struct socket **to = try_zalloc(room + 1, sizeof(struct socket *));
    if (to)
        LIST_FOREACH(o, &sockets, link)
            if (n < room && o->s->net == net && o->s->protocol == protocol && o->groups >> (group - 1) & 1 && (!portid || o->portid != portid)
                && ref_get_unless_zero(&o->s->refs)) to[n++] = o->s;
    unlock(&sockets_lock);
    for (size_t i = 0; i < n; i++) {
        offer(to[i], p, len, &from, cred, group);
        socket_put(to[i]);
    }
    free(to);
}

/* To one other socket. -ECONNREFUSED: there is none. */
static int unicast(struct socket *s, u32 portid, const u8 *p, u32 len, const struct net_cred *cred)
{
    const struct net_addr from = { .family = AF_NETLINK, .nl = { nl_of(s)->portid, 0 } };
    struct socket *to = NULL;
    struct nl *o;

    lock(&sockets_lock);
    LIST_FOREACH(o, &sockets, link)
        if (!to && o->portid == portid && o->s->net == s->net && o->s->protocol == s->protocol && ref_get_unless_zero(&o->s->refs)) to = o->s;
    unlock(&sockets_lock);
    if (!to) return -ECONNREFUSED;
    offer(to, p, len, &from, cred, 0);
    socket_put(to);
    return 0;
}

/* 1: answered; 0: acknowledge if asked; -errno. */
static int rtnetlink(struct socket *s, const struct nlmsghdr *q, const u8 *body, size_t n)
{
    const int done = 0;

    if (q->nlmsg_type > RTM_MAX) return -EOPNOTSUPP;
    if (mode_of(s) == PLAN_NET_LOOPBACK) return rtnl_request(s, q, body, n, nl_of(s)->portid);
    if ((q->nlmsg_type & 3) != 2) return ns_capable(net_owner(s), CAP_NET_ADMIN) ? -EOPNOTSUPP : -EPERM;
    if (mode_of(s) == PLAN_NET_HOST) return n ? host_route(s, q, body, n, nl_of(s)->portid, nl_of(s)->flag[NL_STRICT]) : -EINVAL;
    if (!(q->nlmsg_flags & NLM_F_DUMP)) return q->nlmsg_type == RTM_GETLINK ? -ENODEV : -ENETUNREACH;
    struct nl_out o = { .seq = q->nlmsg_seq, .portid = nl_of(s)->portid };
    nl_end(&o, nl_begin(&o, NLMSG_DONE, NLM_F_MULTI, &done, sizeof done));
    netlink_queue_all(s, o.buf, o.len);
    free(o.buf);
    return 1;
}

static ssize_t nl_sendmsg(struct socket *s, struct net_msg *m)
{
    struct nl *nl = nl_of(s);
    u64 n = m->u->resid;
    u32 dest = nl->dest, groups = nl->dest_group;

    if (m->flags & MSG_OOB) return -EOPNOTSUPP;
    if (m->name && (m->name->family != AF_UNSPEC || m->name->truncated)) {
        if (m->name->family != AF_NETLINK || m->name->truncated) return -EINVAL;
        if ((m->name->nl.groups || m->name->nl.pid) && !ns_capable(net_owner(s), CAP_NET_ADMIN)) return -EPERM;
        dest = m->name->nl.pid;
        groups = m->name->nl.groups;
    }
    if (!nl->portid) {
        int r = take_port(nl, 0);
        if (r) return r;
    }
    if (n > NL_SEND_MAX) return -EMSGSIZE;
    if (!dest && s->protocol != NETLINK_ROUTE) return -ECONNREFUSED;     /* nobody there */
    if ((u64)atomic_load(&s->rmem) > s->rcvbuf) return -ENOBUFS;
    AUTO_FREE u8 *buf = try_zalloc(n + 1, 1);
    if (!buf) return -ENOBUFS;
    if (n && uio_copy_in(m->u, buf, n) < (ssize_t)n) return -EFAULT;
    const struct net_cred cred = m->has_cred ? m->cred : (struct net_cred){ current->tg->tgid, current_cred()->euid, current_cred()->egid };
    if (groups) netlink_broadcast(s->net, s->protocol, (u32)__builtin_ctz(groups) + 1, buf, (u32)n, nl->portid, &cred);
    if (dest) {
        int r = unicast(s, dest, buf, (u32)n, &cred);
        return r ? r : (ssize_t)n;
    }
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

static const struct { int opt; enum nl_flag flag; } flags[] = {
    { NETLINK_PKTINFO, NL_PKTINFO }, { NETLINK_BROADCAST_ERROR, NL_BROADCAST_ERROR }, { NETLINK_NO_ENOBUFS, NL_NO_ENOBUFS },
    { NETLINK_CAP_ACK, NL_CAP_ACK }, { NETLINK_EXT_ACK, NL_EXT_ACK }, { NETLINK_GET_STRICT_CHK, NL_STRICT } };

static int nl_setopt(struct socket *s, int level, int opt, const void *val, size_t len)
{
    struct nl *n = nl_of(s);
    int v;

    if (level != SOL_NETLINK) return -ENOPROTOOPT;
    if (len < sizeof v) return -EINVAL;
    memcpy(&v, val, sizeof v);
    if (opt == NETLINK_ADD_MEMBERSHIP || opt == NETLINK_DROP_MEMBERSHIP) {
        if (v < 1 || v > (int)GROUPS) return -EINVAL;
        u64 bit = 1ull << (v - 1);
        lock(&sockets_lock);
        n->groups = opt == NETLINK_ADD_MEMBERSHIP ? n->groups | bit : n->groups & ~bit;
        n->had_groups = true;
        unlock(&sockets_lock);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (flags[i].opt == opt) {
            n->flag[flags[i].flag] = v;
            return 0;
        }
    return -ENOPROTOOPT;
}

static ssize_t nl_getopt(struct socket *s, int level, int opt, void *val, size_t size)
{
    if (level != SOL_NETLINK) return -ENOPROTOOPT;
    if (opt == NETLINK_LIST_MEMBERSHIPS) {
        /* The whole length is told, whatever there is room for. */
        memcpy(val, &nl_of(s)->groups, MIN(size, (size_t)GROUPS_SHOWN) & ~(size_t)3);
        return nl_of(s)->had_groups ? GROUPS_SHOWN : 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (flags[i].opt == opt) return size < sizeof(int) ? -EINVAL : opt_put_int(val, size, nl_of(s)->flag[flags[i].flag]);
    return -ENOPROTOOPT;
}

static u32 nl_poll(struct socket *s) { return dgram_poll_common(s) | POLLOUT | POLLWRNORM | POLLWRBAND; }
static int nl_shutdown(struct socket *s UNUSED, u32 which UNUSED) { return -EOPNOTSUPP; }

static void leave(struct nl *n)
{
    lock(&sockets_lock);
    if (n->s) {
        LIST_REMOVE(n, link);
        nsockets--;
        n->s = NULL;
    }
    unlock(&sockets_lock);
    drop_port(n);
}

static void nl_release(struct socket *s)
{
    leave(nl_of(s));
    dgram_release(s);
}

static void nl_free(struct socket *s)
{
    leave(nl_of(s));
    free(s->priv);
}

static const struct sock_ops netlink_ops = {
    .bind = nl_bind, .connect = nl_connect, .getname = nl_getname, .sendmsg = nl_sendmsg, .recvmsg = dgram_recvmsg, .shutdown = nl_shutdown,
    .poll = nl_poll, .setopt = nl_setopt, .getopt = nl_getopt, .release = nl_release, .free = nl_free,
};

int netlink_create(struct socket *s)
{
    if (s->type != SOCK_RAW && s->type != SOCK_DGRAM) return -ESOCKTNOSUPPORT;
    if (s->protocol < 0 || s->protocol >= MAX_LINKS) return -EPROTONOSUPPORT;
    if (s->protocol != NETLINK_ROUTE && s->protocol != NETLINK_KOBJECT_UEVENT) return -EPROTONOSUPPORT;
    s->ops = &netlink_ops;
    struct nl *n = s->priv = xnew(struct nl);
    n->s = s;
    lock(&sockets_lock);
    LIST_INSERT_HEAD(&sockets, n, link);
    nsockets++;
    unlock(&sockets_lock);
    return 0;
}
