/* Shared by the socket adapters (abi/linux/net*.c). */
#ifndef SUNDOG_LINUX_NET_H
#define SUNDOG_LINUX_NET_H

#include "abi/linux/fs.h"
#include "abi/linux/uapi_net.h"
#include "sentry/net/socket.h"

/* Declares `struct file *f` and `struct socket *s`, or returns EBADF, ENOTSOCK. */
#define SOCK_ARG(f, s, fd)                                                                          \
    FILE_ARG(f, fd);                                                                                \
    struct socket *s = net_file_socket(f);                                                          \
    if (!s) return -ENOTSOCK

/* net_addr.c */
int linux_addr_in(struct net_addr *out, gaddr_t p, s32 len) MUST_CHECK;            /* -EINVAL -EFAULT */
void linux_addr_decode(struct net_addr *out, const u8 *raw, u32 len);
u32 linux_addr_encode(const struct net_addr *a, u8 raw[LINUX_SOCKADDR_MAX]);        /* length; 0 for AF_UNSPEC */
int linux_addr_out(const struct net_addr *a, gaddr_t p, gaddr_t lenp) MUST_CHECK;   /* value-result length */

/* net_cmsg.c */
int linux_cmsg_in(struct net_msg *m, struct socket *s, gaddr_t control, u64 len) MUST_CHECK;
/* Fills the guest's control buffer; *used: bytes of it. Sets MSG_CTRUNC in m->out_flags. Takes m->files. */
int linux_cmsg_out(struct net_msg *m, struct socket *s, gaddr_t control, u64 len, bool cloexec, u64 *used) MUST_CHECK;

#endif
