/*
 * Packets of the loopback. The sandbox's TCP and UDP hand data over without any; packets are made where somebody looks
 * at them or sends them whole: raw and packet sockets, filters, and the answers of ICMP. ip(7), raw(7), icmp(7), RFC 791, 792, 4443.
 */
#ifndef SUNDOG_NET_IP_H
#define SUNDOG_NET_IP_H

#include "sentry/net/inet.h"
#include <netinet/ip.h>
#include <netinet/ip6.h>

#define LO_INDEX 1u
#define IP_PACKET_MAX 65535u
#define IP6_HEADER 40u
#define IP4_HEADER 20u

/* One packet on its way; everything borrowed. Addresses as everywhere: IPv6 or IPv4-mapped. */
struct ip_packet {
    const u8 *bytes;               /* the whole, from the IP header on */
    u32 len, header;               /* of the whole; of the IP header (IPv6: the fixed one) */
    bool v4, multi;                /* multi: it came for a group or for everybody */
    u32 ifindex;                   /* of what it came by; 0: lo */
    u8 proto, tos, ttl;
    u8 src[16], dst[16];
};

/* Writes the header (IP4_HEADER or IP6_HEADER bytes) at buf for a payload of len bytes that follows, and fills in *p. */
void ip_build(struct ip_packet *p, u8 *buf, u32 len, const u8 src[16], const u8 dst[16], u8 proto, u8 tos, u8 ttl);
/* *p for a header somebody else wrote, of at least IP4_HEADER bytes; false: it is none that could be sent. */
bool ip4_parse(struct ip_packet *p, const u8 *buf, u32 len);
bool ip6_parse(struct ip_packet *p, const u8 *buf, u32 len);
static inline u32 ip_header_size(bool v4) { return v4 ? IP4_HEADER : IP6_HEADER; }

/* The Internet checksum (RFC 1071) as it stands in a packet, over data with its sum field zero, or 0 over data with it. */
u16 ip_checksum(const u8 *data, u32 len);
/* The same with the pseudo-header of p's addresses before the payload. */
u16 ip_payload_checksum(const struct ip_packet *p, u8 proto);

/* Somebody looks at packets (a hint for who would have to make one). */
bool raw_watched(void);
bool packet_watched(void);
static inline bool ip_watched(void) { return raw_watched() || packet_watched(); }
/* A packet crosses lo: packet sockets see it, raw sockets get it; true: one of the latter did. No lock held. */
bool ip_cross(struct net_ns *net, const struct ip_packet *p);
bool raw_deliver(struct net_ns *net, const struct ip_packet *p);
void packet_show(struct net_ns *net, const struct ip_packet *p);
/* A packet that somebody made arrives: raw sockets, then what the kernel itself does with it. No lock held. */
void ip_arrive(struct net_ns *net, const struct ip_packet *p);
/* The packet of a datagram, for who looks at it; NULL: no memory, or it is too long for one. free() it. */
u8 *ip_make_udp(struct ip_packet *p, int protocol, const struct net_addr *from, const u8 to[16], u16 port, const struct sockbuf *b);
/* p as filters see it. */
struct bpf_packet;
void ip_filter_packet(const struct ip_packet *p, struct bpf_packet *out);
/* A packet of our own goes where `way` leads. ip_send() finds that out by its addresses; what has no way is lost. No lock held. */
struct route_result;
void ip_send_routed(struct net_ns *net, struct ip_packet *p, const struct route_result *way);
void ip_send(struct net_ns *net, struct ip_packet *p, u32 oif);
/* UDP hands a datagram over by itself: shows it, with headers, to who looks; if nobody has the port, the ICMP error too. */
void ip_show_udp(struct net_ns *net, int protocol, const struct net_addr *from, const struct net_addr *to, const struct sockbuf *b,
                 bool has_port);
/* UDP gets a datagram out of a packet; false: nobody has the port. */
bool udp_arrive(struct net_ns *net, const struct ip_packet *p);
/* ICMP: answers an echo request; reports that the port (or protocol) of a packet is not there. */
void icmp_arrive(struct net_ns *net, const struct ip_packet *p);
/* Counts the report about a datagram of len bytes that nobody sees. */
void icmp_count_unreachable(struct net_ns *net, bool v4, u32 len);
void icmp_unreachable(struct net_ns *net, const struct ip_packet *p, bool port);

int raw_create(struct socket *s);                /* -EPERM without CAP_NET_RAW */

#endif
