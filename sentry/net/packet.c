/*
 * Packet sockets: the frames of devices, on lo those of what packets there are (ip.h), and frames put in. packet(7)
 * A frame on lo is seen twice: on its way out by who asked for everything, then on its way in.
 */
#include "sentry/net/dev.h"
#include "sentry/net/filter.h"
#include "sentry/net/ip.h"
#include "sentry/net/packet.h"

#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/kernel/ns.h"
#include "sentry/kernel/task.h"
#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <string.h>

#define LO_MTU 65536u

static lock_t packet_lock = LOCK_INIT(LC_LEAF);    /* guards: */
static LIST_HEAD(, socket) packet_sockets = LIST_HEAD_INITIALIZER(packet_sockets);
static unsigned npacket;                           /* (a) */

bool packet_watched(void) { return atomic_load(&npacket); }

/* --- receiving --- */

/* A copy for recv(2). False: no room. */
static bool queue(struct socket *s, const struct packet_frame *f, u32 skip, u32 snap)
{
    struct sockbuf *b = sockbuf_new(snap);

    if (!b) return false;
    memcpy(b->data, f->bytes + skip, snap);
    b->len = snap;
    b->full_len = f->len - skip;
    b->net_off = f->net - skip;
    b->charge = sockbuf_truesize(f->len);
    b->from.family = AF_PACKET;
    b->from.ll.protocol = f->proto;
    b->from.ll.ifindex = f->ifindex;
    b->from.ll.hatype = f->hatype;
    b->from.ll.kind = f->kind;
    b->from.ll.halen = f->halen;
    b->from.ll.padded = true;
    memcpy(b->from.ll.addr, f->src, sizeof f->src);
    b->stamp = f->now;
    return dgram_queue(s, b);
}

u32 packet_transport(const struct packet_frame *f)
{
    u32 left = f->len - f->net;
    const u8 *n = f->bytes + f->net;

    if (f->proto == ETH_P_IP && left >= IP4_HEADER) return f->net + MIN((n[0] & 15) * 4u, left);
    return f->proto == ETH_P_IPV6 && left >= IP6_HEADER ? f->net + IP6_HEADER : f->net;
}

static u32 filtered(struct socket *s, const struct packet_frame *f, u32 skip)
{
    const struct bpf_packet p = { .frame = f->bytes, .frame_len = f->len, .net = f->net, .transport = packet_transport(f), .proto = f->proto,
                                  .kind = f->kind, .hatype = f->hatype, .ifindex = (u32)f->ifindex };
    const struct bpf_input in = { .bytes = f->bytes + skip, .len = f->len - skip, .packet = &p };

    return MIN(filter_run(s, &in), in.len);
}

static void receive(struct socket *s, const struct packet_frame *f)
{
    bool raw = s->type == SOCK_RAW, taken;
    u32 skip = raw ? 0 : f->net, snap = f->len - skip;

    if (atomic_load(&s->filter) && !(snap = filtered(s, f, skip))) return;
    if (packet_ring_active(s->pk.ring)) {
        bool copied = s->pk.copy_thresh && packet_ring_would_cut(s->pk.ring, f, raw, snap) && queue(s, f, skip, snap);
        taken = packet_ring_put(s, f, raw, snap, atomic_load(&s->pk.drops), copied) == PACKET_PUT_DONE;
    } else {
        taken = queue(s, f, skip, snap);
    }
    lock(&s->lock);
    s->pk.packets++;
    if (!taken) s->pk.drops++;
    unlock(&s->lock);
}

static bool wants_locked(const struct socket *s, const struct net_ns *net, const struct packet_frame *f)
{
    bool out = f->kind == PACKET_OUTGOING;

    if (s->net != net || (s->pk.ifindex && s->pk.ifindex != f->ifindex)) return false;
    if (s->pk.protocol == ETH_P_ALL) return !out || !s->pk.no_outgoing;
    return !out && s->pk.protocol && s->pk.protocol == f->proto;
}

void packet_deliver(struct net_ns *net, const struct socket *from, const struct packet_frame *f)
{
    struct socket *s;
    size_t n = 0, room;

    lock(&packet_lock);
    room = npacket;
    struct socket **to = try_zalloc(room + 1, sizeof(struct socket *));
    if (to)
        LIST_FOREACH(s, &packet_sockets, pk.link)
            if (n < room && !(f->kind == PACKET_OUTGOING && s == from) && wants_locked(s, net, f) && ref_get_unless_zero(&s->refs)) to[n++] = s;
    unlock(&packet_lock);
    for (size_t i = 0; i < n; i++) {
        receive(to[i], f);
        socket_put(to[i]);
    }
    free(to);
}

/* What crosses lo without being a frame: seen on its way out, then on its way in. */
void packet_show(struct net_ns *net, const struct ip_packet *p)
{
    struct ethhdr e = { .h_proto = htons(p->v4 ? ETH_P_IP : ETH_P_IPV6) };

    if (!packet_watched()) return;
    u8 *frame = try_zalloc(1, ETH_HLEN + p->len);
    if (!frame) return;
    memcpy(frame, &e, sizeof e);
    memcpy(frame + ETH_HLEN, p->bytes, p->len);
    struct packet_frame f = { .bytes = frame, .len = ETH_HLEN + p->len, .net = ETH_HLEN, .proto = ntohs(e.h_proto), .hatype = ARPHRD_LOOPBACK,
                              .halen = ETH_ALEN, .ifindex = (s32)LO_INDEX, .kind = PACKET_OUTGOING };
    clock_gettime(CLOCK_REALTIME, &f.now);
    packet_deliver(net, NULL, &f);
    f.kind = PACKET_HOST;
    packet_deliver(net, NULL, &f);
    free(frame);
}

/* --- sending --- */

static ssize_t send_by(struct socket *s, struct net_msg *m, struct netdev *d, u16 proto)
{
    u64 n = m->u->resid;
    u32 link = dev_header(d), header = s->type == SOCK_RAW ? 0 : link;

    if (!(d->flags & IFF_UP)) return -ENETDOWN;
    if (n + header > (u64)d->mtu + link) return -EMSGSIZE;
    if (n + header < link) return -EINVAL;
    u8 *frame = try_zalloc(1, header + n + 1);
    if (!frame) return -ENOBUFS;
    if (n && uio_copy_in(m->u, frame + header, n) < (ssize_t)n) {
        free(frame);
        return -EFAULT;
    }
    struct ethhdr e = { .h_proto = htons(proto) };
    if (header) {
        if (m->name) memcpy(e.h_dest, m->name->ll.addr, ETH_ALEN);
        if (d->kind != &dev_lo) memcpy(e.h_source, d->addr, ETH_ALEN);
        memcpy(frame, &e, sizeof e);
    }
    if (link) memcpy(&e, frame, sizeof e);
    dev_send(d, frame, header + (u32)n, ntohs(e.h_proto), s);
    free(frame);
    return (ssize_t)n;
}

static ssize_t packet_sendmsg(struct socket *s, struct net_msg *m)
{
    s32 ifindex;
    u16 proto;
    ssize_t r;

    lock(&s->lock);
    ifindex = s->pk.ifindex;
    proto = s->pk.protocol;
    r = s->err ? sock_take_error_locked(s) : 0;
    unlock(&s->lock);
    if (m->name) {
        if (m->name->truncated || m->name->family != AF_PACKET) return -EINVAL;
        ifindex = m->name->ll.ifindex;
        proto = m->name->ll.protocol;
    }
    struct netdev *d = ifindex > 0 ? dev_by_index(s->net, (u32)ifindex) : NULL;
    if (!d) return -ENXIO;
    if (!r) r = send_by(s, m, d, proto);
    dev_put(d);
    return r;
}

/* --- names --- */

static int packet_bind(struct socket *s, const struct net_addr *a)
{
    struct netdev *d = NULL;

    if (a->truncated || a->family != AF_PACKET) return -EINVAL;
    if (a->ll.ifindex && !(a->ll.ifindex > 0 && (d = dev_by_index(s->net, (u32)a->ll.ifindex)))) return -ENODEV;
    lock(&packet_lock);
    s->pk.ifindex = a->ll.ifindex;
    if (a->ll.protocol) s->pk.protocol = a->ll.protocol;
    unlock(&packet_lock);
    if (d && !(d->flags & IFF_UP)) sock_set_error(s, ENETDOWN);
    dev_put(d);
    return 0;
}

static int packet_getname(struct socket *s, struct net_addr *out, bool peer)
{
    if (peer) return -EOPNOTSUPP;
    *out = (struct net_addr){ .family = AF_PACKET };
    lock(&packet_lock);
    out->ll.ifindex = s->pk.ifindex;
    out->ll.protocol = s->pk.protocol;
    unlock(&packet_lock);
    struct netdev *d = out->ll.ifindex ? dev_by_index(s->net, (u32)out->ll.ifindex) : NULL;
    if (d) {
        out->ll.hatype = d->kind->type;
        out->ll.halen = d->addr_len;
        memcpy(out->ll.addr, d->addr, d->addr_len);
        dev_put(d);
    }
    return 0;
}

static int packet_shutdown(struct socket *s UNUSED, u32 which UNUSED) { return -EOPNOTSUPP; }
static u32 packet_poll(struct socket *s) { return dgram_poll_common(s) | POLLOUT | POLLWRNORM | POLLWRBAND | (packet_ring_readable(s->pk.ring) ? POLLIN | POLLRDNORM : 0); }

/* --- life --- */

static void leave(struct socket *s)
{
    lock(&packet_lock);
    if (s->pk.listed) {
        LIST_REMOVE(s, pk.link);
        s->pk.listed = false;
        atomic_add(&npacket, -1u);
    }
    unlock(&packet_lock);
}

static void packet_release(struct socket *s)
{
    leave(s);
    dgram_release(s);
}

static void packet_free(struct socket *s)
{
    leave(s);
    packet_ring_free(s->pk.ring);
}

static const struct sock_ops packet_ops = {
    .bind = packet_bind, .getname = packet_getname, .sendmsg = packet_sendmsg, .recvmsg = dgram_recvmsg,
    .shutdown = packet_shutdown, .poll = packet_poll, .setopt = packet_setopt, .getopt = packet_getopt, .mmap = packet_ring_mmap, .release = packet_release, .free = packet_free,
};

int packet_create(struct socket *s)
{
    if (!ns_capable(net_owner(s), CAP_NET_RAW)) return -EPERM;
    /* The host's interfaces are not for the sandbox to look at. */
    if (!s->net && net_stack != &net_loopback) return -EAFNOSUPPORT;
    if (s->type != SOCK_RAW && s->type != SOCK_DGRAM) return -ESOCKTNOSUPPORT;
    s->ops = &packet_ops;
    s->pk.protocol = ntohs((u16)s->protocol);
    s->pk.ring = packet_ring_new(&s->wq);
    lock(&packet_lock);
    LIST_INSERT_HEAD(&packet_sockets, s, pk.link);
    s->pk.listed = true;
    atomic_add(&npacket, 1u);
    unlock(&packet_lock);
    return 0;
}
