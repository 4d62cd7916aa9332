/* Structures of the socket calls as the Linux x86-64 ABI lays them out. Source: socket.h, un.h, in.h, in6.h, netlink.h of the uapi. */
#ifndef SUNDOG_LINUX_UAPI_NET_H
#define SUNDOG_LINUX_UAPI_NET_H

#include "sentry/base/types.h"

#define LINUX_SOCKADDR_MAX 128u
struct linux_sockaddr_in { u16 family; u8 port[2]; u8 addr[4]; u8 zero[8]; };
struct linux_sockaddr_in6 { u16 family; u8 port[2]; u8 flowinfo[4]; u8 addr[16]; u32 scope_id; };
struct linux_sockaddr_un { u16 family; char path[108]; };
struct linux_sockaddr_ll { u16 family; u8 protocol[2]; s32 ifindex; u16 hatype; u8 pkttype, halen, addr[8]; };
_Static_assert(sizeof(struct linux_sockaddr_ll) == 20, "sockaddr_ll");
struct linux_sockaddr_nl { u16 family; u16 pad; u32 pid, groups; };
_Static_assert(sizeof(struct linux_sockaddr_in) == 16 && sizeof(struct linux_sockaddr_in6) == 28, "sockaddr_in");
_Static_assert(sizeof(struct linux_sockaddr_un) == 110 && sizeof(struct linux_sockaddr_nl) == 12, "sockaddr_un");
#define LINUX_SIN6_LEN_RFC2133 24u

struct linux_msghdr { u64 name; s32 namelen; u32 pad0; u64 iov, iovlen, control, controllen; s32 flags; u32 pad1; };
_Static_assert(sizeof(struct linux_msghdr) == 56 && offsetof(struct linux_msghdr, controllen) == 40, "msghdr");
struct linux_mmsghdr { struct linux_msghdr hdr; u32 len, pad; };
_Static_assert(sizeof(struct linux_mmsghdr) == 64, "mmsghdr");
struct linux_cmsghdr { u64 len; s32 level, type; };
_Static_assert(sizeof(struct linux_cmsghdr) == 16, "cmsghdr");
#define LINUX_CMSG_ALIGN(n) (((u64)(n) + 7) & ~7ULL)

struct linux_ucred { s32 pid; u32 uid, gid; };
struct linux_in_pktinfo { s32 ifindex; u8 spec_dst[4], addr[4]; };
struct linux_in6_pktinfo { u8 addr[16]; s32 ifindex; };
struct linux_sock_extended_err { u32 err; u8 origin, type, code, pad; u32 info, data; };
_Static_assert(sizeof(struct linux_ucred) == 12 && sizeof(struct linux_in_pktinfo) == 12, "ucred, in_pktinfo");
_Static_assert(sizeof(struct linux_in6_pktinfo) == 20 && sizeof(struct linux_sock_extended_err) == 16, "in6_pktinfo");
struct linux_sock_fprog { u16 len, pad[3]; u64 filter; };
_Static_assert(sizeof(struct linux_sock_fprog) == 16, "struct sock_fprog");
struct linux_tpacket_auxdata { u32 status, len, snaplen; u16 mac, net, vlan_tci, vlan_tpid; };
_Static_assert(sizeof(struct linux_tpacket_auxdata) == 20, "tpacket_auxdata");
#define LINUX_SCM_MAX_FD 253u
#define LINUX_OPTMEM_MAX 131072u

#endif
