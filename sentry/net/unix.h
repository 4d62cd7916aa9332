/* What the files of AF_UNIX share. unix(7) */
#ifndef SUNDOG_NET_UNIX_H
#define SUNDOG_NET_UNIX_H

#include "sentry/net/socket.h"

extern const struct sock_ops unix_stream_ops, unix_dgram_ops, unix_seqpacket_ops;
#define UNIX_DGRAM_QLEN 512u       /* /proc/sys/net/unix/max_dgram_qlen */
#define NET_SOMAXCONN 4096

/* unix_name.c */
int unix_bind(struct socket *s, const struct net_addr *a);
int unix_autobind(struct socket *s);
void unix_unbind(struct socket *s);
/* The socket bound to a name, counted: -ECONNREFUSED, -EPROTOTYPE, and what the path walk says. Abstract names are those of from's
 * network namespace, wherever the caller is by now (Linux net/unix/af_unix.c, unix_find_other). */
int unix_find(const struct socket *from, const struct net_addr *a, struct socket **out);

/* unix.c */
void unix_fill_cred(struct socket *s, struct socket *peer, struct net_msg *m);
struct net_cred unix_current_cred(void);
struct socket *unix_peer_get(struct socket *s);
int unix_getname(struct socket *s, struct net_addr *out, bool peer);
int unix_shutdown(struct socket *s, u32 which);
void unix_release(struct socket *s);
void unix_free(struct socket *s);
/* unix_dgram.c */
int unix_dgram_connect(struct socket *s, const struct net_addr *a, bool nonblock);
void unix_dgram_unlink(struct socket *s);
/* A datagram socket of the sentry's own, there for good; sink is called by senders' threads, without locks. -errno */
int unix_sink_bind(const char *path, int (*sink)(const u8 *data, u32 len));
#endif
