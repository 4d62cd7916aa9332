/* What the files of TCP over the loopback share. No lock held in any of these but where the name says so. */
#ifndef SUNDOG_NET_TCP_H
#define SUNDOG_NET_TCP_H

#include "sentry/net/inet.h"
#include "sentry/net/unix.h"

#define TCP_ALL_EVENTS (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLRDHUP | POLLHUP | POLLERR)

/* tcp_connect.c */
int tcp_connect(struct socket *s, const struct net_addr *a, bool nonblock);
int tcp_listen(struct socket *s, int backlog);
int tcp_accept(struct socket *s, struct socket **out, bool nonblock);
void tcp_cancel_pending(struct socket *c);       /* takes c off the queue of the listener it waits for */
void tcp_stop_listening(struct socket *s);       /* s listens no more: refuses everybody who waits there */

/* tcp_cork.c: TCP_CORK, MSG_MORE */
bool tcp_corks(struct socket *s, const struct net_msg *m);      /* a send has to go by tcp_cork_send */
/* Takes a piece of m: bytes, -EFAULT, -ENOBUFS. *gone: it went out, and nobody will read it. Does not wait. */
ssize_t tcp_cork_send(struct socket *s, struct socket *peer, struct net_msg *m, bool *gone);
void tcp_push(struct socket *s);                 /* what is held back goes */
u32 tcp_held(struct socket *s);                  /* bytes held back */
void tcp_cork_end(struct socket *s);             /* nothing is sent any more: drops what is held back */
void tcp_cork_free(struct socket *s);            /* last reference */

/* tcp_close.c */
void tcp_reset(struct socket *s, int err);       /* a reset reaches s */
/* What s sent was answered by a reset: the other end is closed. */
void tcp_refused(struct socket *s);
/* s leaves its connection, as if it had never been: the other end learns of it when it sends. */
void tcp_vanish(struct socket *s);
/* s->lock held: no connection any more. A port that bind(2) named stays. */
void tcp_done_locked(struct socket *s);
/* s->lock held: the address that connect(2) took from the route; one from bind(2) stays. */
void tcp_forget_route_locked(struct socket *s);
int tcp_disconnect(struct socket *s);
int tcp_shutdown(struct socket *s, u32 which);
void tcp_release(struct socket *s);

#endif
