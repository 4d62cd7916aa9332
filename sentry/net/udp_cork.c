/*
 * Corked datagrams: what MSG_MORE or UDP_CORK holds back waits, without a limit in time, until a send without them or
 * the end of UDP_CORK makes one datagram of it. The first piece says where to, with which address and options. udp(7)
 */
#include "sentry/net/udp.h"
#include <netinet/udp.h>
#include <string.h>

bool udp_held(struct socket *s) { return atomic_load(&s->in.held); }

int udp_hold(struct socket *s, const struct net_addr *to, struct sockbuf *b)
{
    struct udp_held *h = xnew(struct udp_held);
    int r = 0;

    h->b = b;
    h->to = *to;
    lock(&s->lock);
    if (s->in.held) r = -EINVAL;   /* somebody was faster */
    else atomic_store(&s->in.held, h);
    unlock(&s->lock);
    if (r) free(h);
    return r;
}

static struct udp_held *take(struct socket *s)
{
    lock(&s->lock);
    struct udp_held *h = s->in.held;
    atomic_store(&s->in.held, NULL);
    unlock(&s->lock);
    return h;
}

void udp_drop_held(struct socket *s)
{
    struct udp_held *h = take(s);
    if (h) sockbuf_free(h->b);
    free(h);
}

static void push(struct socket *s)
{
    struct udp_held *h = take(s);
    if (!h) return;
    udp_transmit(s, &h->to, h->b);
    free(h);
}

/* Puts n bytes of src behind what h holds. */
static int extend(struct udp_held *h, const u8 *src, u32 n)
{
    struct sockbuf *b = h->b;

    if (b->cap - b->len < n) {
        u32 room = MAX(b->len + n, b->cap * 2);
        struct sockbuf *big = sockbuf_new(MIN(room, UDP_LEN_MAX));
        if (!big) return -ENOBUFS;
        u32 cap = big->cap;
        *big = *b;                 /* the header only; nothing is linked or owned yet */
        big->cap = cap;
        memcpy(big->data, b->data, b->len);
        free(b);
        h->b = b = big;
    }
    memcpy(b->data + b->len, src, n);
    b->len += n;
    return 0;
}

ssize_t udp_append(struct socket *s, struct net_msg *m, bool more)
{
    u32 n = (u32)m->u->resid;
    AUTO_FREE u8 *piece = try_zalloc(1, n + 1);
    int r = 0;

    if (!piece) return -ENOBUFS;
    if (n && uio_copy_in(m->u, piece, n) < (ssize_t)n) r = -EFAULT;
    lock(&s->lock);
    struct udp_held *h = s->in.held;
    bool too_long = h && h->b->len + n > udp_max(&h->to);
    struct net_addr to = { 0 };
    if (h) to = h->to;
    if (too_long) r = -EMSGSIZE;
    if (!h) r = -EDESTADDRREQ;     /* pushed meanwhile */
    else if (!r) r = extend(h, piece, n);
    unlock(&s->lock);
    if (too_long) udp_too_long(s, &to);
    if (r) {
        udp_drop_held(s);
        return r;
    }
    if (!more) push(s);
    return n;
}

int udp_setopt(struct socket *s, int opt, const void *val, size_t len)
{
    int v;

    if (len < sizeof v) return -EINVAL;
    memcpy(&v, val, sizeof v);
    if (opt != UDP_CORK) return -ENOPROTOOPT;
    atomic_store(&s->in.udp_cork, !!v);
    if (!v) push(s);
    return 0;
}

ssize_t udp_getopt(struct socket *s, int opt, void *val, size_t size)
{
    return opt == UDP_CORK ? opt_put_int(val, size, atomic_load(&s->in.udp_cork)) : -ENOPROTOOPT;
}
