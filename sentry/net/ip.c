/* Packets of the loopback: headers, checksums, where a packet goes. See ip.h. */
#include "sentry/net/dev.h"

#include "sentry/base/alloc.h"
#include "sentry/kernel/bpf.h"
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netinet/udp.h>
#include <string.h>

static u32 add(u32 sum, const u8 *data, u32 len)
{
    for (; len > 1; data += 2, len -= 2) sum += (u32)(data[0] << 8 | data[1]);
    return len ? sum + (u32)(data[0] << 8) : sum;
}

static u16 fold(u32 sum)
{
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return htons((u16)~sum);
}

u16 ip_checksum(const u8 *data, u32 len) { return fold(add(0, data, len)); }

u16 ip_payload_checksum(const struct ip_packet *p, u8 proto)
{
    u32 len = p->len - p->header, sum = len + proto;

    sum = p->v4 ? add(add(sum, p->src + 12, 4), p->dst + 12, 4) : add(add(sum, p->src, 16), p->dst, 16);
    return fold(add(sum, p->bytes + p->header, len));
}

void ip_build(struct ip_packet *p, u8 *buf, u32 len, const u8 src[16], const u8 dst[16], u8 proto, u8 tos, u8 ttl)
{
    static u32 ident;
    bool v4 = ip_is_v4(dst);
    u32 header = ip_header_size(v4);

    if (v4) {
        struct iphdr h = { .version = 4, .ihl = 5, .tos = tos, .tot_len = htons((u16)(header + len)),
                           .id = htons((u16)atomic_add(&ident, 1u)), .frag_off = htons(IP_DF), .ttl = ttl, .protocol = proto };
        memcpy(&h.saddr, src + 12, 4);
        memcpy(&h.daddr, dst + 12, 4);
        h.check = ip_checksum((const u8 *)&h, sizeof h);
        memcpy(buf, &h, sizeof h);
    } else {
        struct ip6_hdr h = { .ip6_flow = htonl(6u << 28 | (u32)tos << 20), .ip6_plen = htons((u16)len), .ip6_nxt = proto, .ip6_hlim = ttl };
        memcpy(&h.ip6_src, src, 16);
        memcpy(&h.ip6_dst, dst, 16);
        memcpy(buf, &h, sizeof h);
    }
    *p = (struct ip_packet){ .bytes = buf, .len = header + len, .header = header, .v4 = v4, .proto = proto, .tos = tos, .ttl = ttl };
    memcpy(p->src, src, 16);
    memcpy(p->dst, dst, 16);
}

bool ip4_parse(struct ip_packet *p, const u8 *buf, u32 len)
{
    struct iphdr h;

    if (len < sizeof h) return false;
    memcpy(&h, buf, sizeof h);
    if (h.ihl < 5 || h.ihl * 4u > len) return false;
    *p = (struct ip_packet){ .bytes = buf, .len = len, .header = h.ihl * 4u, .v4 = true, .proto = h.protocol, .tos = h.tos, .ttl = h.ttl };
    ip_set_v4(p->src, ntohl(h.saddr));
    ip_set_v4(p->dst, ntohl(h.daddr));
    return true;
}

bool ip6_parse(struct ip_packet *p, const u8 *buf, u32 len)
{
    struct ip6_hdr h;

    if (len < sizeof h) return false;
    memcpy(&h, buf, sizeof h);
    *p = (struct ip_packet){ .bytes = buf, .len = len, .header = IP6_HEADER, .proto = h.ip6_nxt, .tos = (u8)(ntohl(h.ip6_flow) >> 20),
                             .ttl = h.ip6_hlim };
    memcpy(p->src, &h.ip6_src, 16);
    memcpy(p->dst, &h.ip6_dst, 16);
    return true;
}

bool ip_cross(struct net_ns *net, const struct ip_packet *p)
{
    packet_show(net, p);
    return raw_deliver(net, p);
}

void ip_send_routed(struct net_ns *net, struct ip_packet *p, const struct route_result *way)
{
    bool lo = way->ifindex == LO_INDEX;

    p->ifindex = way->ifindex;
    p->multi = way->kind == ROUTE_MULTICAST || way->kind == ROUTE_BROADCAST;
    if (lo) packet_show(net, p);
    if (lo || p->multi) ip_arrive(net, p);
    if (!lo) dev_send_ip(way->dev, p, way->next, way->kind);
}

void ip_send(struct net_ns *net, struct ip_packet *p, u32 oif)
{
    struct route_query q = { .has_src = true, .oif = oif };
    struct route_result way;

    memcpy(q.dst, p->dst, 16);
    memcpy(q.src, p->src, 16);
    if (route_find(net, &q, &way)) return;
    ip_send_routed(net, p, &way);
    route_put(&way);
}

void ip_arrive(struct net_ns *net, const struct ip_packet *p)
{
    bool taken = raw_deliver(net, p);

    switch (p->proto) {
    case IPPROTO_UDP:
        if (!udp_arrive(net, p)) icmp_unreachable(net, p, true);
        break;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        if (p->v4 == (p->proto == IPPROTO_ICMP)) icmp_arrive(net, p);
        break;
    case IPPROTO_TCP:
        break;                     /* connections exchange no segments: what somebody makes up belongs to none */
    default:
        if (!taken) icmp_unreachable(net, p, false);
    }
}

u8 *ip_make_udp(struct ip_packet *p, int protocol, const struct net_addr *from, const u8 to[16], u16 port, const struct sockbuf *b)
{
    bool v4 = ip_is_v4(to);
    u32 header = ip_header_size(v4), len = sizeof(struct udphdr) + b->len;

    if (header + len > IP_PACKET_MAX + (v4 ? 0 : IP6_HEADER)) return NULL;
    u8 *buf = try_zalloc(1, header + len);
    if (!buf) return NULL;
    struct udphdr u = { .source = htons(from->in.port), .dest = htons(port), .len = htons((u16)len) };
    memcpy(buf + header, &u, sizeof u);
    memcpy(buf + header + sizeof u, b->data + b->off, b->len);
    ip_build(p, buf, len, from->in.ip, to, (u8)protocol, b->tos, b->ttl);
    u.check = ip_payload_checksum(p, (u8)protocol);
    if (!u.check) u.check = 0xffff;
    memcpy(buf + header, &u, sizeof u);
    return buf;
}

void ip_filter_packet(const struct ip_packet *p, struct bpf_packet *out)
{
    *out = (struct bpf_packet){ .frame = p->bytes, .frame_len = p->len, .transport = p->header, .no_link = true,
                                .proto = p->v4 ? ETH_P_IP : ETH_P_IPV6, .kind = PACKET_HOST, .hatype = ARPHRD_LOOPBACK, .ifindex = p->ifindex ? p->ifindex : LO_INDEX };
}

void ip_show_udp(struct net_ns *net, int protocol, const struct net_addr *from, const struct net_addr *to, const struct sockbuf *b,
                 bool has_port)
{
    struct ip_packet p;
    u8 *buf = ip_make_udp(&p, protocol, from, to->in.ip, to->in.port, b);

    if (!buf) return;
    ip_cross(net, &p);
    if (!has_port) icmp_unreachable(net, &p, true);
    free(buf);
}
