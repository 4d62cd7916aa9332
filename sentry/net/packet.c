/*
 * Packet sockets on lo: frames of what packets there are (ip.h), and frames put in. packet(7)
 * A frame on lo is seen twice: on its way out by who asked for everything, then on its way in.
 */
#include "sentry/net/inet_ns.h"
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

static bool wants_locked(const struct socket *s, const struct net_ns *net, u16 proto, bool out)
{
    if (s->net != net || (s->pk.ifindex && s->pk.ifindex != (s32)LO_INDEX)) return false;
    if (s->pk.protocol == ETH_P_ALL) return !out || !s->pk.no_outgoing;
    return !out && s->pk.protocol && s->pk.protocol == proto;
}

static void show_one_way(struct net_ns *net, const struct socket *from, struct packet_frame *f, bool out)
{
    struct socket *s;
    size_t n = 0, room;

    f->kind = out ? PACKET_OUTGOING : PACKET_HOST;
    lock(&packet_lock);
    room = npacket;
    struct socket **to = try_zalloc(room + 1, sizeof(struct socket *));
    if (to)
        LIST_FOREACH(s, &packet_sockets, pk.link)
            if (n < room && !(out && s == from) && wants_locked(s, net, f->proto, out) && ref_get_unless_zero(&s->refs)) to[n++] = s;
    unlock(&packet_lock);
    for (size_t i = 0; i < n; i++) {
        receive(to[i], f);
        socket_put(to[i]);
    }
    free(to);
}

static void show(struct net_ns *net, const struct socket *from, const u8 *frame, u32 len, u16 proto)
{
    struct packet_frame f = { .bytes = frame, .len = len, .net = ETH_HLEN, .proto = proto, .hatype = ARPHRD_LOOPBACK, .halen = ETH_ALEN,
                              .ifindex = (s32)LO_INDEX };

    memcpy(f.src, frame + ETH_ALEN, ETH_ALEN);
    clock_gettime(CLOCK_REALTIME, &f.now);
    show_one_way(net, from, &f, true);
    show_one_way(net, from, &f, false);
}

void packet_show(struct net_ns *net, const struct ip_packet *p)
{
    struct ethhdr e = { .h_proto = htons(p->v4 ? ETH_P_IP : ETH_P_IPV6) };

    if (!packet_watched()) return;
    u8 *frame = try_zalloc(1, ETH_HLEN + p->len);
    if (!frame) return;
    memcpy(frame, &e, sizeof e);
    memcpy(frame + ETH_HLEN, p->bytes, p->len);
    show(net, NULL, frame, ETH_HLEN + p->len, ntohs(e.h_proto));
    free(frame);
}

/* --- sending --- */

/* What a frame holds, once it has come in. IPv4 from an address of our own is a martian unless lo is told otherwise. */
static void frame_arrive(struct net_ns *net, const u8 *data, u32 len, u16 proto)
{
    struct ip_packet p;

    if (proto == ETH_P_IP) {
        struct iphdr h;
        if (!ip4_parse(&p, data, len)) return;
        memcpy(&h, data, sizeof h);
        u32 total = ntohs(h.tot_len);
        if (h.version != 4 || total < p.header || total > len || ip_checksum(data, p.header)) return;
        p.len = total;
        if (!*lo_setting(net, LO_ACCEPT_LOCAL) || !*lo_setting(net, LO_ROUTE_LOCALNET)) return;
    } else if (proto == ETH_P_IPV6) {
        if (!ip6_parse(&p, data, len)) return;
        struct ip6_hdr h;
        memcpy(&h, data, sizeof h);
        u32 total = IP6_HEADER + ntohs(h.ip6_plen);
        if (data[0] >> 4 != 6 || total > len) return;
        p.len = total;
    } else {
        return;
    }
    mib_add(net, MIB_IP_IN_PACKETS + !p.v4, 1);
    mib_add(net, MIB_IP_IN_OCTETS + !p.v4, p.len);
    if (ip_is_loopback(p.dst)) ip_arrive(net, &p);
}

static ssize_t packet_sendmsg(struct socket *s, struct net_msg *m)
{
    u64 n = m->u->resid;
    u32 header = s->type == SOCK_RAW ? 0 : ETH_HLEN;
    s32 ifindex;
    u16 proto;
    int r;

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
    if (ifindex != (s32)LO_INDEX) return -ENXIO;
    if (!net_lo_up(s)) return -ENETDOWN;
    if (r) return r;
    if (n + header > LO_MTU + ETH_HLEN) return -EMSGSIZE;
    if (!header && n < ETH_HLEN) return -EINVAL;
    u8 *frame = try_zalloc(1, header + n + 1);
    if (!frame) return -ENOBUFS;
    if (n && uio_copy_in(m->u, frame + header, n) < (ssize_t)n) {
        free(frame);
        return -EFAULT;
    }
    struct ethhdr e = { .h_proto = htons(proto) };
    if (header) {
        if (m->name) memcpy(e.h_dest, m->name->ll.addr, ETH_ALEN);
        memcpy(frame, &e, sizeof e);
    }
    memcpy(&e, frame, sizeof e);
    u32 len = header + (u32)n;
    show(s->net, s, frame, len, ntohs(e.h_proto));
    frame_arrive(s->net, frame + ETH_HLEN, len - ETH_HLEN, ntohs(e.h_proto));
    free(frame);
    return (ssize_t)n;
}

/* --- names --- */

static int packet_bind(struct socket *s, const struct net_addr *a)
{
    if (a->truncated || a->family != AF_PACKET) return -EINVAL;
    if (a->ll.ifindex && a->ll.ifindex != (s32)LO_INDEX) return -ENODEV;
    lock(&packet_lock);
    s->pk.ifindex = a->ll.ifindex;
    if (a->ll.protocol) s->pk.protocol = a->ll.protocol;
    unlock(&packet_lock);
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
    if (out->ll.ifindex) {
        out->ll.hatype = ARPHRD_LOOPBACK;
        out->ll.halen = ETH_ALEN;
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
