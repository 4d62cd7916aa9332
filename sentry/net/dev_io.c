/* Frames through devices: in, to packet sockets and protocols; out, with the link-layer header that they need. */
#include "sentry/net/dev.h"

#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/net/inet_ns.h"
#include "sentry/net/packet.h"
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <string.h>

u32 dev_header(const struct netdev *d) { return d->kind->type == ARPHRD_ETHER || d->kind->type == ARPHRD_LOOPBACK ? ETH_HLEN : 0; }

/* What one frame needs of its device, taken once. */
struct passage { struct net_ns *net; u32 index; u8 addr[6]; bool promisc; };

/* False: it does not pass. Else the namespace is counted. */
static bool enter(struct netdev *d, struct passage *p)
{
    read_lock(&net_lock);
    bool ok = !d->gone && d->flags & IFF_UP && (!d->net || ref_get_unless_zero(&d->net->ns.refs));
    if (ok) {
        p->net = d->net;
        p->index = d->index;
        memcpy(p->addr, d->addr, sizeof p->addr);
        p->promisc = d->flags & IFF_PROMISC;
    }
    rw_unlock(&net_lock);
    return ok;
}

static void leave(struct passage *p) { ns_put(p->net ? &p->net->ns : NULL); }

static u8 kind_of(const u8 *frame, const struct passage *p, u32 header)
{
    static const u8 all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

    if (!header || p->index == LO_INDEX) return PACKET_HOST;
    if (!memcmp(frame, all, 6)) return PACKET_BROADCAST;
    if (frame[0] & 1) return PACKET_MULTICAST;
    return memcmp(frame, p->addr, 6) ? PACKET_OTHERHOST : PACKET_HOST;
}

static void show(struct netdev *d, const struct passage *p, const u8 *frame, u32 len, u16 proto, u8 kind, const struct socket *from)
{
    u32 header = dev_header(d);
    struct packet_frame f = { .bytes = frame, .len = len, .net = header, .proto = proto, .hatype = d->kind->type, .kind = kind,
                              .halen = d->addr_len, .ifindex = (s32)p->index };

    if (!packet_watched()) return;
    if (header) memcpy(f.src, frame + ETH_ALEN, ETH_ALEN);
    clock_gettime(CLOCK_REALTIME, &f.now);
    packet_deliver(p->net, from, &f);
}

/* What is not from here, comes from elsewhere: 127/8 never does. fib_validate_source() */
static bool martian(struct net_ns *net, const struct ip_packet *p, bool lo)
{
    if (lo) return p->v4 && (!*lo_setting(net, LO_ACCEPT_LOCAL) || !*lo_setting(net, LO_ROUTE_LOCALNET));
    return ip_is_loopback(p->src) || ip_is_loopback(p->dst) || ip_is_multicast(p->src) || ip_is_broadcast(p->src) || net_is_local(net, p->src);
}

static bool parse(struct ip_packet *p, const u8 *data, u32 len, u16 proto)
{
    u32 total;

    if (proto == ETH_P_IP) {
        struct iphdr h;
        if (!ip4_parse(p, data, len)) return false;
        memcpy(&h, data, sizeof h);
        total = ntohs(h.tot_len);
        if (h.version != 4 || total < p->header || total > len || ip_checksum(data, p->header)) return false;
        if (ntohs(h.frag_off) & (IP_MF | IP_OFFMASK)) return false;      /* pieces are not put together */
    } else {
        struct ip6_hdr h;
        if (!ip6_parse(p, data, len)) return false;
        memcpy(&h, data, sizeof h);
        total = IP6_HEADER + ntohs(h.ip6_plen);
        if (data[0] >> 4 != 6 || total > len) return false;
    }
    p->len = total;
    return true;
}

static void ip_input(struct netdev *d, const struct passage *via, const u8 *data, u32 len, u16 proto)
{
    struct ip_packet p;

    if (!parse(&p, data, len, proto)) return;
    p.ifindex = via->index;
    mib_add(via->net, MIB_IP_IN_PACKETS + !p.v4, 1);
    mib_add(via->net, MIB_IP_IN_OCTETS + !p.v4, p.len);
    if (martian(via->net, &p, d->kind == &dev_lo)) return;
    if (!p.v4 && p.proto == IPPROTO_ICMPV6 && d->kind->type == ARPHRD_ETHER) neigh_icmp6(d, &p);
    p.multi = ip_is_multicast(p.dst) || net_is_broadcast(via->net, p.dst);
    if (p.multi || net_is_local(via->net, p.dst)) ip_arrive(via->net, &p);
}

void dev_receive(struct netdev *d, const u8 *frame, u32 len, u16 proto)
{
    u32 header = dev_header(d);
    struct passage p;

    if (len < header || !enter(d, &p)) {
        atomic_add(&d->rx_dropped, 1u);
        return;
    }
    atomic_add(&d->rx_packets, 1u);
    atomic_add(&d->rx_bytes, len);
    u8 kind = kind_of(frame, &p, header);
    show(d, &p, frame, len, proto, kind, NULL);
    if (kind != PACKET_OTHERHOST) {
        if (proto == ETH_P_ARP) neigh_arp(d, frame + header, len - header);
        else if (proto == ETH_P_IP || proto == ETH_P_IPV6) ip_input(d, &p, frame + header, len - header, proto);
    }
    leave(&p);
}

void dev_send(struct netdev *d, const u8 *frame, u32 len, u16 proto, const struct socket *from)
{
    struct passage p;

    if (!enter(d, &p)) {
        atomic_add(&d->tx_dropped, 1u);
        return;
    }
    atomic_add(&d->tx_packets, 1u);
    atomic_add(&d->tx_bytes, len);
    show(d, &p, frame, len, proto, PACKET_OUTGOING, from);
    if (d->kind->xmit) d->kind->xmit(d, frame, len, proto);
    else dev_receive(d, frame, len, proto);
    leave(&p);
}

void dev_send_to(struct netdev *d, const struct ip_packet *p, const u8 to[6])
{
    struct ethhdr e = { .h_proto = htons(p->v4 ? ETH_P_IP : ETH_P_IPV6) };
    u8 *frame = try_zalloc(1, ETH_HLEN + p->len);

    if (!frame) return;
    memcpy(e.h_dest, to, ETH_ALEN);
    if (d->kind != &dev_lo) memcpy(e.h_source, d->addr, ETH_ALEN);
    memcpy(frame, &e, sizeof e);
    memcpy(frame + ETH_HLEN, p->bytes, p->len);
    dev_send(d, frame, ETH_HLEN + p->len, ntohs(e.h_proto), NULL);
    free(frame);
}

void dev_send_ip(struct netdev *d, const struct ip_packet *p, const u8 next[16], enum route_kind kind)
{
    u8 to[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

    if (p->len > d->mtu) {
        atomic_add(&d->tx_dropped, 1u);
        return;
    }
    if (!dev_header(d)) {
        dev_send(d, p->bytes, p->len, p->v4 ? ETH_P_IP : ETH_P_IPV6, NULL);
        return;
    }
    if (d->kind == &dev_lo || d->flags & IFF_NOARP) {
        if (kind != ROUTE_BROADCAST) memset(to, 0, 6);
    } else if (ip_is_multicast(p->dst)) {
        /* RFC 1112, 6.4; RFC 2464, 7 */
        if (p->v4) memcpy(to, (const u8[]){ 1, 0, 0x5e, p->dst[13] & 0x7f, p->dst[14], p->dst[15] }, 6);
        else memcpy(to, (const u8[]){ 0x33, 0x33, p->dst[12], p->dst[13], p->dst[14], p->dst[15] }, 6);
    } else if (kind != ROUTE_BROADCAST) {
        neigh_send(d, p, next);
        return;
    }
    dev_send_to(d, p, to);
}
