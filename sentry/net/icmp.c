/* What the sandbox answers by itself: echo requests, and packets for a port or protocol that is not there. RFC 792, 4443 */
#include "sentry/net/dev.h"
#include "sentry/net/inet_ns.h"

#include "sentry/base/alloc.h"
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#define ICMP_HEADER 8u
#define ICMP4_QUOTE_MAX 576u       /* of the whole answer; RFC 1812 4.3.2.3 */
#define ICMP6_QUOTE_MAX 1280u      /* RFC 4443 2.4 */

/* One that goes out and comes in. */
static void count(struct net_ns *net, bool v4, u8 type, u32 octets)
{
    mib_icmp(net, v4, ICMP_OUT, type);
    mib_icmp(net, v4, ICMP_IN, type);
    mib_packets(net, v4, 1, octets);
}

/* Takes the payload at buf + header on, and sums it up. */
static void send_icmp(struct net_ns *net, u8 *buf, u32 len, const u8 src[16], const u8 dst[16], u8 tos)
{
    struct ip_packet p;
    bool v4 = ip_is_v4(dst);
    u8 proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;

    ip_build(&p, buf, len, src, dst, proto, tos, 64);
    u8 *icmp = buf + p.header;
    icmp[2] = icmp[3] = 0;
    u16 sum = v4 ? ip_checksum(icmp, len) : ip_payload_checksum(&p, proto);
    memcpy(icmp + 2, &sum, sizeof sum);
    count(net, v4, icmp[0], p.len);
    if (net_is_local(net, dst)) ip_cross(net, &p);
    else ip_send(net, &p, 0);
}

void icmp_count_unreachable(struct net_ns *net, bool v4, u32 len)
{
    u32 header = ip_header_size(v4), max = v4 ? ICMP4_QUOTE_MAX : ICMP6_QUOTE_MAX, all = header + ICMP_HEADER + header + len;

    count(net, v4, v4 ? ICMP_DEST_UNREACH : ICMP6_DST_UNREACH, MIN(all, max));
}

void icmp_arrive(struct net_ns *net, const struct ip_packet *p)
{
    const u8 *icmp = p->bytes + p->header;
    u32 len = p->len - p->header;

    if (len) mib_icmp(net, p->v4, ICMP_IN, icmp[0]);
    if (len < ICMP_HEADER || icmp[0] != (p->v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST) || icmp[1]) return;
    if (p->v4 ? ip_checksum(icmp, len) : ip_payload_checksum(p, IPPROTO_ICMPV6)) return;
    if (!net_is_local(net, p->dst)) return;
    u32 header = ip_header_size(p->v4);
    u8 *buf = try_zalloc(1, header + len);
    if (!buf) return;
    memcpy(buf + header, icmp, len);
    buf[header] = p->v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    send_icmp(net, buf, len, p->dst, p->src, p->v4 ? p->tos : 0);
    free(buf);
}

void icmp_unreachable(struct net_ns *net, const struct ip_packet *p, bool port)
{
    /* Nobody is told about a packet to many. On lo the answer is made for who looks. */
    if (p->multi || !net_is_local(net, p->dst) || (!ip_watched() && net_is_local(net, p->src))) return;
    u32 header = ip_header_size(p->v4), max = p->v4 ? ICMP4_QUOTE_MAX : ICMP6_QUOTE_MAX;
    u32 quote = MIN(p->len, max - header - ICMP_HEADER);
    u8 *buf = try_zalloc(1, header + ICMP_HEADER + quote);
    if (!buf) return;
    u8 *icmp = buf + header;
    if (p->v4) {
        icmp[0] = ICMP_DEST_UNREACH;
        icmp[1] = port ? ICMP_PORT_UNREACH : ICMP_PROT_UNREACH;
    } else {
        icmp[0] = port ? ICMP6_DST_UNREACH : ICMP6_PARAM_PROB;
        icmp[1] = port ? ICMP6_DST_UNREACH_NOPORT : ICMP6_PARAMPROB_NEXTHEADER;
        if (!port) icmp[7] = offsetof(struct ip6_hdr, ip6_nxt);
    }
    memcpy(icmp + ICMP_HEADER, p->bytes, quote);
    send_icmp(net, buf, ICMP_HEADER + quote, p->dst, p->src, p->v4 ? (u8)((p->tos & 0x1e) | 0xc0) : 0);
    free(buf);
}
