/* Options of TCP. Those that shape segments or timers are kept and shown; there are no segments here. tcp(7) */
#include "sentry/net/tcp.h"
#include "sentry/net/inet_ns.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

int tcp_state(const struct socket *s)
{
    switch (s->state) {
    case ST_LISTEN: return TCP_LISTEN;
    case ST_CONNECTING: return TCP_SYN_SENT;
    case ST_ESTABLISHED:
        if (!s->in.in_conns) return TCP_CLOSE;
        if (s->in.got_fin) return TCP_CLOSE_WAIT;
        return s->shut & SHUT_SND ? TCP_FIN_WAIT2 : TCP_ESTABLISHED;
    default: return TCP_CLOSE;
    }
}

#define FIN_TIMEOUT_MAX 120   /* TCP_FIN_TIMEOUT_MAX, in seconds */
#define RCVBUF_MIN 2304       /* SOCK_MIN_RCVBUF, as in sockopt.c */

int tcp_setopt(struct socket *s, int opt, const void *val, size_t len)
{
    struct inet_sock *i = &s->in;
    struct { int opt, *v, min, max; } plain[] = {
        { TCP_NODELAY, &i->nodelay, -1, 1 }, { TCP_CORK, &i->cork, -1, 1 }, { TCP_QUICKACK, &i->quickack, -1, 1 },
        { TCP_KEEPIDLE, &i->keepidle, 1, 32767 }, { TCP_KEEPINTVL, &i->keepintvl, 1, 32767 }, { TCP_KEEPCNT, &i->keepcnt, 1, 127 },
        { TCP_SYNCNT, &i->syncnt, 1, 127 },
        { TCP_USER_TIMEOUT, &i->user_timeout, 0, INT32_MAX },
        { TCP_NOTSENT_LOWAT, &i->notsent_lowat, INT32_MIN, INT32_MAX },
    };
    int v = 0;

    if (opt == TCP_CONGESTION) {
        char name[16] = { 0 };
        if (len < 1) return -EINVAL;
        memcpy(name, val, MIN(len, sizeof name - 1));
        if (strcmp(name, "cubic") && strcmp(name, "reno")) return -ENOENT;
        memcpy(i->congestion, name, sizeof name);
        return 0;
    }
    if (len < sizeof v) return -EINVAL;
    memcpy(&v, val, sizeof v);
    for (size_t k = 0; k < ARRAY_LEN(plain); k++) {
        if (plain[k].opt != opt) continue;
        if (plain[k].min == -1) v = !!v;
        if (v < plain[k].min || v > plain[k].max) return -EINVAL;
        *plain[k].v = v;
        if (opt == TCP_CORK ? !v : opt == TCP_NODELAY && v) tcp_push(s);
        return 0;
    }
    switch (opt) {
    case TCP_DEFER_ACCEPT: return tcp_defer_set(s, v);
    case TCP_INQ:
        if (v < 0 || v > 1) return -EINVAL;
        i->inq = v;
        return 0;
    case TCP_MAXSEG:
        if (v && (v < 88 || v > 32767)) return -EINVAL;
        i->maxseg = v;
        return 0;
    case TCP_LINGER2:
        i->linger2 = v < 0 ? -1 : MIN(v, FIN_TIMEOUT_MAX);
        return 0;
    case TCP_WINDOW_CLAMP:   /* kept and shown: nothing here advertises a window */
        if (!v && s->state != ST_CLOSE) return -EINVAL;
        i->window_clamp = v && v < RCVBUF_MIN / 2 ? RCVBUF_MIN / 2 : v;
        return 0;
    case TCP_FASTOPEN: return s->state == ST_CLOSE || s->state == ST_LISTEN ? (v >= 0 ? 0 : -EINVAL) : -EINVAL;
    default: return -ENOPROTOOPT;
    }
}

ssize_t tcp_getopt(struct socket *s, int opt, void *val, size_t size)
{
    struct inet_sock *i = &s->in;
    switch (opt) {
    case TCP_NODELAY: return opt_put_int(val, size, i->nodelay);
    case TCP_CORK: return opt_put_int(val, size, i->cork);
    case TCP_QUICKACK: return opt_put_int(val, size, i->quickack);
    case TCP_KEEPIDLE: return opt_put_int(val, size, i->keepidle);
    case TCP_KEEPINTVL: return opt_put_int(val, size, i->keepintvl);
    case TCP_KEEPCNT: return opt_put_int(val, size, i->keepcnt);
    case TCP_SYNCNT: return opt_put_int(val, size, i->syncnt);
    case TCP_LINGER2: return opt_put_int(val, size, i->linger2 ? i->linger2 : inet_setting(s->net, IS_TCP_FIN_TIMEOUT));
    case TCP_INQ: return opt_put_int(val, size, i->inq);
    case TCP_DEFER_ACCEPT: return opt_put_int(val, size, i->defer_accept);
    case TCP_USER_TIMEOUT: return opt_put_int(val, size, i->user_timeout);
    case TCP_NOTSENT_LOWAT: return opt_put_int(val, size, i->notsent_lowat);
    case TCP_MAXSEG: return opt_put_int(val, size, s->state == ST_ESTABLISHED ? 32768 : i->maxseg ? i->maxseg : 536);
    case TCP_WINDOW_CLAMP: return opt_put_int(val, size, i->window_clamp);
    case TCP_FASTOPEN: return opt_put_int(val, size, 0);
    case TCP_CONGESTION:
        size = MIN(size, sizeof i->congestion);
        memcpy(val, i->congestion, size);
        return (ssize_t)size;
    case TCP_INFO: {
        struct tcp_info t = { .tcpi_state = (u8)tcp_state(s), .tcpi_options = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE,
            .tcpi_snd_wscale = 7, .tcpi_rcv_wscale = 7, .tcpi_rto = 201000, .tcpi_ato = 40000, .tcpi_snd_mss = 32768, .tcpi_rcv_mss = 536,
            .tcpi_pmtu = 65535, .tcpi_rtt = 25, .tcpi_rttvar = 10, .tcpi_snd_ssthresh = INT32_MAX, .tcpi_snd_cwnd = 10, .tcpi_advmss = 65483,
            .tcpi_reordering = 3, .tcpi_rcv_space = 65483 };
        if (s->state == ST_LISTEN) {
            t.tcpi_unacked = s->naccept;
            t.tcpi_sacked = s->backlog;
        }
        size = MIN(size, sizeof t);
        memcpy(val, &t, size);
        return (ssize_t)size;
    }
    default: return -ENOPROTOOPT;
    }
}
