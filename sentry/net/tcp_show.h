/* The packets of TCP connections, counted, and made where somebody looks at packets (ip_watched): see tcp_show.c. No socket lock is held unless said. */
#ifndef SUNDOG_NET_TCP_SHOW_H
#define SUNDOG_NET_TCP_SHOW_H

#include "sentry/net/ip.h"

struct tcp_segment;

/* n segments between the ends of s, with data bytes of payload and options in all; a reset. Those that follow count theirs. */
void tcp_count_segments(const struct socket *s, unsigned n, u32 data);
void tcp_count_reset(const struct socket *s);
/* The handshake of c, which has both addresses; not accepted: the answer is a reset. */
void tcp_show_connect(struct socket *c, bool accepted);
/* After len bytes at data were put behind peer's queue, peer->lock held: their segment, or NULL if nobody looks. */
struct tcp_segment *tcp_data_segment_locked(const struct socket *peer, const u8 *data, u32 len);
/* Sends it, from s to peer, and what acknowledges it. Frees g; NULL is fine. */
void tcp_show_data(struct socket *s, struct socket *peer, struct tcp_segment *g);
/* The other end, peer (NULL: it is gone), has ended its stream, and s knows (got_fin); or it has reset the connection. */
void tcp_show_end(struct socket *s, struct socket *peer, bool reset);

#endif
