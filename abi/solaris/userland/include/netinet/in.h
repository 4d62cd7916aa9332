#ifndef _NETINET_IN_H
#define _NETINET_IN_H
#include <sys/socket.h>
#include <sys/byteorder.h>
typedef uint16_t in_port_t;
typedef uint32_t in_addr_t, ipaddr_t;
struct in_addr { in_addr_t s_addr; };
struct in6_addr {
    union {
        uint8_t _S6_u8[16];
        uint16_t _S6_u16[8];
        uint32_t _S6_u32[4];
    } _S6_un;
};
#define s6_addr _S6_un._S6_u8
#define s6_addr32 _S6_un._S6_u32
struct sockaddr_in { sa_family_t sin_family; in_port_t sin_port; struct in_addr sin_addr; char sin_zero[8]; };
struct sockaddr_in6 {
    sa_family_t sin6_family;
    in_port_t sin6_port;
    uint32_t sin6_flowinfo;
    struct in6_addr sin6_addr;
    uint32_t sin6_scope_id, __sin6_src_id;
};
struct ip_mreq { struct in_addr imr_multiaddr, imr_interface; };
struct ipv6_mreq { struct in6_addr ipv6mr_multiaddr; unsigned int ipv6mr_interface; };
extern const struct in6_addr in6addr_any, in6addr_loopback;
#define IN6ADDR_ANY_INIT { { { 0 } } }
#define IN6ADDR_LOOPBACK_INIT { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } } }
#define IPPROTO_IP 0
#define IPPROTO_ICMP 1
#define IPPROTO_IGMP 2
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_IPV6 41
#define IPPROTO_ICMPV6 58
#define IPPROTO_SCTP 132
#define IPPROTO_RAW 255
#define INADDR_ANY 0U
#define INADDR_LOOPBACK 0x7f000001U
#define INADDR_BROADCAST 0xffffffffU
#define INADDR_NONE 0xffffffffU
#define INET_ADDRSTRLEN 16
#define INET6_ADDRSTRLEN 46
#define IP_OPTIONS 1
#define IP_HDRINCL 2
#define IP_TOS 3
#define IP_TTL 4
#define IP_RECVDSTADDR 7
#define IP_MULTICAST_IF 16
#define IP_MULTICAST_TTL 17
#define IP_MULTICAST_LOOP 18
#define IP_ADD_MEMBERSHIP 19
#define IP_DROP_MEMBERSHIP 20
#define IP_PKTINFO 26
#define IP_DONTFRAG 27
#define IPV6_UNICAST_HOPS 5
#define IPV6_MULTICAST_IF 6
#define IPV6_MULTICAST_HOPS 7
#define IPV6_MULTICAST_LOOP 8
#define IPV6_JOIN_GROUP 9
#define IPV6_LEAVE_GROUP 10
#define IPV6_PKTINFO 11
#define IPV6_RECVPKTINFO 18
#define IPV6_V6ONLY 39
#define IN6_IS_ADDR_UNSPECIFIED(a) (!((a)->s6_addr32[0] | (a)->s6_addr32[1] | (a)->s6_addr32[2] | (a)->s6_addr32[3]))
#define IN6_IS_ADDR_LOOPBACK(a) \
    (!((a)->s6_addr32[0] | (a)->s6_addr32[1] | (a)->s6_addr32[2]) && (a)->s6_addr32[3] == 0x01000000)
#define IN6_IS_ADDR_LINKLOCAL(a) ((a)->s6_addr[0] == 0xfe && ((a)->s6_addr[1] & 0xc0) == 0x80)
#define IN6_IS_ADDR_MULTICAST(a) ((a)->s6_addr[0] == 0xff)
#define IN6_IS_ADDR_V4MAPPED(a) (!((a)->s6_addr32[0] | (a)->s6_addr32[1]) && (a)->s6_addr32[2] == 0xffff0000)
#define IN_MULTICAST(i) (((i) & 0xf0000000U) == 0xe0000000U)
#endif
