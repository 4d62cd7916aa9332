/* Shared by the socket adapters. */
#ifndef SUNDOG_SOLARIS_NET_H
#define SUNDOG_SOLARIS_NET_H

#include "abi/solaris/solaris.h"
#include "sentry/net/socket.h"

#define SOL_SOCKADDR_MAX 256u
struct sol_sockaddr_in { u16 family; u8 port[2], addr[4], zero[8]; };                       /* netinet/in.h */
struct sol_sockaddr_in6 { u16 family; u8 port[2]; u32 flow; u8 addr[16]; u32 scope, src_id; };
SOL_SIZE(sol_sockaddr_in, 16);
SOL_SIZE(sol_sockaddr_in6, 32);
struct sol_msghdr { u64 name; u32 namelen, pad0; u64 iov; s32 iovlen, pad1; u64 control; u32 controllen; s32 flags; };   /* sys/socket.h */
SOL_SIZE(sol_msghdr, 48); SOL_AT(sol_msghdr, iov, 16); SOL_AT(sol_msghdr, control, 32);
struct sol_cmsghdr { u32 len; s32 level, type; };
SOL_SIZE(sol_cmsghdr, 12);

#define SOCK_ARG(f, s, fd)                                                                          \
    FILE_ARG(f, fd);                                                                                \
    struct socket *s = net_file_socket(f);                                                          \
    if (!s) return -ENOTSOCK

/* EOPNOTSUPP and ENOTSUP are one number on the host; sockets mean the first. */
static inline sysret_t so_ret(sysret_t r) { return r == -EOPNOTSUPP ? SOL_ERR(122) : r; }

int sol_family_in(u32 f);                                       /* host's, -1 none */
u32 sol_family_out(int f);
int sol_addr_in(struct net_addr *out, gaddr_t p, u32 len) MUST_CHECK;
u32 sol_addr_encode(const struct net_addr *a, u8 raw[SOL_SOCKADDR_MAX]);
int sol_addr_out(const struct net_addr *a, gaddr_t p, gaddr_t lenp) MUST_CHECK;

#endif
