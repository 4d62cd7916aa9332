/*
 * The resolver of a sandbox with a profile: a name server that only this sandbox's sockets reach. It looks up the names
 * that a rule allows to connect to, pins what it answers (base/connrules.h), and tells the sentry (base/dnslog.h).
 *
 * Sockets of the sandbox that are sent to NETB_DNS_ADDR:53 go to a UDP or TCP socket of ours on the loopback instead. Its
 * port is no secret to the host's other programs, so questions are taken from local ports of sockets that the broker
 * itself directed here. One thread, one poll; what is in flight is bounded, what is too much is dropped.
 */
#include "netbroker/broker.h"
#include "netbroker/dns_wire.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/base/dnslog.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

HOSTCALL(poll, "questions of the sandbox, answers of name servers");
HOSTCALL(getrandom, "numbers of questions to name servers");
HOSTCALL(recvfrom, "questions of the sandbox, answers of name servers");
HOSTCALL(sendto, "answers to the sandbox, questions to name servers");
HOSTCALL(accept4, "name server connections of the sandbox");

#define LOOKUPS 64u
#define CONNS 16u
#define SERVERS_MAX 3u
#define TRIES 4u
#define TRY_TIME (2500 * NSEC_PER_MSEC)
#define CONN_IDLE (30 * NSEC_PER_SEC)
#define PINS_STATIC_MAX 4096u

struct origin { bool tcp; unsigned conn; u32 gen; struct sockaddr_in from; };

struct lookup {
    bool used, tcp;
    struct origin origin;
    struct dns_query q;
    int fd;                        /* to the server; -1: none */
    u16 id;
    unsigned tries;
    ktime_t deadline;              /* of this try */
    u8 out[2 + DNS_QUERY_MAX]; size_t out_len, sent;   /* tcp */
    u8 *in; size_t have;           /* tcp; 2 + DNS_MESSAGE_MAX */
};

struct conn {
    int fd;                        /* -1: free */
    u32 gen;                       /* told apart from who had the place before */
    bool busy;                     /* a question is looked up */
    ktime_t idle;
    u8 in[2 + DNS_QUERY_MAX]; size_t have;
    u8 *out; size_t out_len, out_at;
};

static struct {
    bool on, answer_all, learn;
    int udp, tcp;
    u16 port;
    struct plan_dns_server server[SERVERS_MAX]; unsigned nservers;
    struct dnslog *log;
    struct { char *name; u8 ip[16]; } *fixed; unsigned nfixed;
} dns = { .udp = -1, .tcp = -1 };

static struct lookup lookups[LOOKUPS];   /* these two: the resolver's thread only */
static struct conn conns[CONNS];

static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;   /* guards: */
static u8 known[2][65536 / 8];           /* local ports of the sandbox's sockets that were directed here: UDP, TCP */

static const u8 dns_addr[16] = NETB_DNS_ADDR;
static const u8 v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

/* --- the sandbox's sockets --- */

bool netb_dns_direct(struct netb_addr *a, int protocol)
{
    if (!dns.on || a->port != NETB_DNS_PORT || memcmp(a->ip, dns_addr, 16) || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)) return false;
    pthread_mutex_lock(&known_lock);
    a->port = dns.port;
    memcpy(a->ip, v4_prefix, 12);
    memcpy(a->ip + 12, "\x7f\0\0\1", 4);
    return true;
}

void netb_dns_directed(int fd, int protocol)
{
    struct sockaddr_storage ss;
    struct netb_addr own;
    socklen_t len = sizeof ss;
    int saved = errno;
    if (!getsockname(fd, (struct sockaddr *)&ss, &len)) {
        netb_addr_from_host(&ss, &own);
        if (own.port) known[protocol == IPPROTO_TCP][own.port / 8] |= (u8)(1u << own.port % 8);
    }
    pthread_mutex_unlock(&known_lock);
    errno = saved;
}

static bool is_known(bool tcp, const struct sockaddr_in *from)
{
    u16 port = ntohs(from->sin_port);
    pthread_mutex_lock(&known_lock);
    bool yes = known[tcp][port / 8] & (1u << port % 8);
    pthread_mutex_unlock(&known_lock);
    return yes;
}

u16 netb_dns_port(void) { return dns.on ? dns.port : 0; }

/* --- what is told to the sentry --- */

static void note(enum dnslog_kind kind, u32 rule, const char *name, const u8 *ip)
{
    u64 head = dns.log->head;
    struct dnslog_entry *e = &dns.log->slot[head % DNSLOG_SLOTS];
    *e = (struct dnslog_entry){ .kind = kind, .rule = rule };
    if (ip) memcpy(e->ip, ip, 16);
    strncpy(e->name, name, sizeof(e->name) - 1);
    __atomic_store_n(&dns.log->head, head + 1, __ATOMIC_RELEASE);
}

/* --- answers --- */

static void conn_close(struct conn *c)
{
    close(c->fd);
    free(c->out);
    *c = (struct conn){ .fd = -1, .gen = c->gen + 1 };
}

static void conn_flush(struct conn *c)
{
    while (c->out_at < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) {
            conn_close(c);
            return;
        }
        c->out_at += (size_t)n;
    }
    free(c->out);
    c->out = NULL;
    c->out_len = c->out_at = 0;
    c->busy = false;
    c->idle = clock_mono() + CONN_IDLE;
}

static void reply(const struct origin *o, const struct dns_query *q, unsigned rcode, const struct dns_answer *a, unsigned ede)
{
    static u8 buf[2 + DNS_MESSAGE_MAX];
    size_t n = dns_reply_build(buf + 2, o->tcp ? DNS_MESSAGE_MAX : q->udp_size, q, rcode, a, ede);
    if (!o->tcp) {
        if (sendto(dns.udp, buf + 2, n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&o->from, sizeof o->from) < 0)
            log_debug("answering a question: %s", strerror(errno));
        return;
    }
    struct conn *c = &conns[o->conn];
    if (c->fd < 0 || c->gen != o->gen) return;       /* it hung up */
    buf[0] = (u8)(n >> 8), buf[1] = (u8)n;
    c->out = xzalloc(n + 2);
    memcpy(c->out, buf, n + 2);
    c->out_len = n + 2;
    c->out_at = 0;
    conn_flush(c);
}

static void lookup_end(struct lookup *l)
{
    if (l->fd >= 0) close(l->fd);
    free(l->in);
    *l = (struct lookup){ .fd = -1 };
}

static void fail_lookup(struct lookup *l)
{
    reply(&l->origin, &l->q, DNS_SERVFAIL, NULL, 0);
    lookup_end(l);
}

bool netb_dns_address_ok(const char *name, const u8 ip[16])
{
    return dns_ip_is_public(ip) || (!dns.learn && connrules_address_allowed(netb_names, ip)) || (dns_name_is_private(name) && dns_ip_is_site(ip));
}

static void answer(struct lookup *l, struct dns_answer *a)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < a->naddrs; i++) {
        const u8 *ip = a->addr[i].ip;
        if (!netb_dns_address_ok(l->q.name, ip)) {
            note(dns.answer_all ? DNSLOG_REBIND_WARNED : DNSLOG_REBIND, 0, l->q.name, ip);
            if (!dns.answer_all) continue;
        }
        connrules_pin(netb_names, l->q.name, ip);
        note(DNSLOG_PIN, 0, l->q.name, ip);
        if (kept != i) a->addr[kept] = a->addr[i];
        kept++;
    }
    unsigned blocked = a->naddrs != kept ? DNS_EDE_BLOCKED : 0;
    a->naddrs = kept;
    reply(&l->origin, &l->q, a->rcode, a, blocked);
    lookup_end(l);
}

/* --- name servers --- */

static void next_try(struct lookup *l);

static int open_server(struct lookup *l, int type)
{
    const struct plan_dns_server *s = &dns.server[(l->tries - 1) % dns.nservers];
    struct netb_addr a = { .family = memcmp(s->ip, v4_prefix, 12) ? AF_INET6 : AF_INET, .port = s->port, .scope = s->scope };
    struct sockaddr_storage ss;
    memcpy(a.ip, s->ip, 16);
    int len = netb_addr_to_host(&a, &ss);
    if (l->fd >= 0) close(l->fd);
    l->fd = socket(a.family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0) return -errno;
    return connect(l->fd, (struct sockaddr *)&ss, (socklen_t)len) && errno != EINPROGRESS ? -errno : 0;
}

static void ask_tcp(struct lookup *l)
{
    l->tcp = true;
    l->have = l->sent = 0;
    l->deadline = clock_mono() + TRY_TIME;
    size_t n = dns_query_build(l->out + 2, &l->q, l->id);
    l->out[0] = (u8)(n >> 8), l->out[1] = (u8)n;
    l->out_len = n + 2;
    if (!l->in) l->in = xzalloc(2 + DNS_MESSAGE_MAX);
    if (open_server(l, SOCK_STREAM)) next_try(l);
}

/* The next server, with a number and a port of its own: who cannot see the question cannot answer it. */
static void next_try(struct lookup *l)
{
    while (l->tries < TRIES && dns.nservers) {
        u8 q[DNS_QUERY_MAX];
        l->tries++;
        l->tcp = false;
        if (getrandom(&l->id, sizeof l->id, 0) != sizeof l->id || open_server(l, SOCK_DGRAM)) continue;
        size_t n = dns_query_build(q, &l->q, l->id);
        if (send(l->fd, q, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n) continue;
        l->deadline = clock_mono() + TRY_TIME;
        return;
    }
    fail_lookup(l);
}

/* Did these bytes settle it? False: they are nobody's answer. */
static void take_answer(struct lookup *l, const u8 *p, size_t n)
{
    static struct dns_answer a;
    int r = dns_answer_parse(p, n, &l->q, l->id, &a);
    if (r == -EAGAIN && !l->tcp) return;                  /* wait on: the deadline counts */
    if (r) next_try(l);
    else if (a.truncated && !l->tcp) ask_tcp(l);
    else if (a.rcode == DNS_NOERROR || a.rcode == DNS_NXDOMAIN) answer(l, &a);
    else next_try(l);
}

static void server_udp(struct lookup *l)
{
    static u8 buf[DNS_UDP_MAX];
    ssize_t n = recv(l->fd, buf, sizeof buf, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) next_try(l);                               /* nobody serves there */
    else take_answer(l, buf, (size_t)n);
}

static void server_tcp(struct lookup *l, short revents)
{
    if (l->sent < l->out_len) {
        if (!(revents & (POLLOUT | POLLERR | POLLHUP))) return;
        ssize_t n = send(l->fd, l->out + l->sent, l->out_len - l->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) next_try(l);
        else l->sent += (size_t)n;
        return;
    }
    size_t want = l->have < 2 ? 2 : 2 + ((size_t)l->in[0] << 8 | l->in[1]);
    ssize_t n = recv(l->fd, l->in + l->have, want - l->have, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        next_try(l);
        return;
    }
    l->have += (size_t)n;
    if (l->have >= 2 && l->have == 2 + ((size_t)l->in[0] << 8 | l->in[1])) take_answer(l, l->in + 2, l->have - 2);
}

/* --- questions --- */

static bool answer_fixed(const struct origin *o, const struct dns_query *q)
{
    struct dns_answer a = { .naddrs = 0 };
    bool there = false;
    for (unsigned i = 0; i < dns.nfixed; i++) {
        if (!dns_name_equal(dns.fixed[i].name, q->name)) continue;
        there = true;
        bool v4 = !memcmp(dns.fixed[i].ip, v4_prefix, 12);
        if ((q->type != DNS_A || !v4) && (q->type != DNS_AAAA || v4)) continue;
        if (a.naddrs == DNS_ADDRS_MAX) break;
        a.addr[a.naddrs].ttl = 60;
        memcpy(a.addr[a.naddrs++].ip, dns.fixed[i].ip, 16);
    }
    if (there) reply(o, q, DNS_NOERROR, &a, 0);
    return there;
}

static void look_up(const struct origin *o, const struct dns_query *q)
{
    struct lookup *l = NULL;
    for (unsigned i = 0; i < LOOKUPS; i++) {
        struct lookup *x = &lookups[i];
        if (!x->used) l = l ? l : x;
        else if (!o->tcp && !x->origin.tcp && x->q.id == q->id && x->q.type == q->type && !memcmp(&x->origin.from, &o->from, sizeof o->from) &&
                 dns_name_equal(x->q.name, q->name))
            return;                                       /* asked again out of impatience */
    }
    if (!l) {
        reply(o, q, DNS_SERVFAIL, NULL, 0);
        return;
    }
    *l = (struct lookup){ .used = true, .origin = *o, .q = *q, .fd = -1 };
    next_try(l);
}

/* Names of addresses: programs ask for them on their own; no rule can name them. */
static bool is_reverse(const struct dns_query *q)
{
    size_t n = strlen(q->name);
    return q->type == DNS_PTR && n > 5 && !strcmp(q->name + n - 5, ".arpa") && strspn(q->name, "0123456789abcdefinrp-.") == n;
}

static void question(const struct origin *o, const u8 *p, size_t n)
{
    static struct dns_query q;
    int r = dns_query_parse(p, n, &q);
    if (r < 0) {
        if (o->tcp) conn_close(&conns[o->conn]);
        return;
    }
    if (r) {
        if (r == DNS_FORMERR) note(DNSLOG_DENIED, 0, "(a malformed question)", NULL);
        reply(o, &q, (unsigned)r, NULL, 0);
        return;
    }
    const struct connrule *rule = connrules_decide_name(netb_names, q.name);
    bool ok = rule && rule->allow;
    if (!is_reverse(&q)) note(ok ? DNSLOG_ALLOWED : dns.answer_all ? DNSLOG_WARNED : DNSLOG_DENIED, rule ? rule->id : 0, *q.name ? q.name : ".", NULL);
    if (!ok && !dns.answer_all) reply(o, &q, DNS_NXDOMAIN, NULL, DNS_EDE_BLOCKED);
    else if (answer_fixed(o, &q)) return;
    else if (q.type != DNS_A && q.type != DNS_AAAA) reply(o, &q, DNS_NOERROR, NULL, 0);
    else look_up(o, &q);
}

static void guest_udp(void)
{
    static u8 buf[DNS_QUERY_MAX + 1];
    struct origin o = { .tcp = false };
    socklen_t len = sizeof o.from;
    ssize_t n = recvfrom(dns.udp, buf, sizeof buf, MSG_DONTWAIT, (struct sockaddr *)&o.from, &len);
    if (n > 0 && len == sizeof o.from && o.from.sin_family == AF_INET && is_known(false, &o.from)) question(&o, buf, (size_t)n);
}

static void guest_accept(void)
{
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    struct conn *c = NULL;
    int fd = accept4(dns.tcp, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    if (len != sizeof from || from.sin_family != AF_INET || !is_known(true, &from)) {
        close(fd);
        return;
    }
    for (unsigned i = 0; i < CONNS; i++)
        if (!c || conns[i].fd < 0 || (c->fd >= 0 && conns[i].idle < c->idle)) c = &conns[i];
    if (c->fd >= 0) conn_close(c);                        /* the longest idle one makes room */
    c->fd = fd;
    c->idle = clock_mono() + CONN_IDLE;
}

static void guest_tcp(unsigned i)
{
    struct conn *c = &conns[i];
    if (c->out) {
        conn_flush(c);
        return;
    }
    size_t want = c->have < 2 ? 2 : 2 + ((size_t)c->in[0] << 8 | c->in[1]);
    if (want > sizeof c->in) {
        note(DNSLOG_DENIED, 0, "(a malformed question)", NULL);
        conn_close(c);
        return;
    }
    ssize_t n = recv(c->fd, c->in + c->have, want - c->have, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        conn_close(c);
        return;
    }
    c->have += (size_t)n;
    c->idle = clock_mono() + CONN_IDLE;
    if (c->have < 2 || c->have != 2 + ((size_t)c->in[0] << 8 | c->in[1])) return;
    struct origin o = { .tcp = true, .conn = i, .gen = c->gen };
    n = (ssize_t)c->have - 2;
    c->have = 0;
    c->busy = true;
    question(&o, c->in + 2, (size_t)n);
}

/* --- the thread --- */

static void *resolver_thread(void *arg UNUSED)
{
    for (;;) {
        struct pollfd p[2 + CONNS + LOOKUPS];
        ktime_t now = clock_mono(), first = KTIME_NEVER;
        p[0] = (struct pollfd){ dns.udp, POLLIN, 0 };
        p[1] = (struct pollfd){ dns.tcp, POLLIN, 0 };
        for (unsigned i = 0; i < CONNS; i++) {
            struct conn *c = &conns[i];
            p[2 + i] = (struct pollfd){ c->busy && !c->out ? -1 : c->fd, c->out ? POLLOUT : POLLIN, 0 };
            if (c->fd >= 0 && !c->busy) first = MIN(first, c->idle);
        }
        for (unsigned i = 0; i < LOOKUPS; i++) {
            struct lookup *l = &lookups[i];
            p[2 + CONNS + i] = (struct pollfd){ l->used ? l->fd : -1, l->tcp && l->sent < l->out_len ? POLLOUT : POLLIN, 0 };
            if (l->used) first = MIN(first, l->deadline);
        }
        int wait = first == KTIME_NEVER ? -1 : first <= now ? 0 : (int)((first - now) / NSEC_PER_MSEC + 1);
        if (poll(p, ARRAY_LEN(p), wait) < 0 && errno != EINTR) {
            log_error("the resolver ends: poll: %s", strerror(errno));
            return NULL;
        }
        now = clock_mono();
        for (unsigned i = 0; i < LOOKUPS; i++) {          /* first: what was made below has no events yet */
            struct lookup *l = &lookups[i];
            short ev = p[2 + CONNS + i].revents;
            if (!l->used) continue;
            if (ev) l->tcp ? server_tcp(l, ev) : server_udp(l);
            else if (l->deadline <= now) next_try(l);
        }
        for (unsigned i = 0; i < CONNS; i++) {
            if (conns[i].fd < 0 || conns[i].fd != p[2 + i].fd) continue;
            if (p[2 + i].revents) guest_tcp(i);
            else if (!conns[i].busy && conns[i].idle <= now) conn_close(&conns[i]);
        }
        if (p[0].revents) guest_udp();
        if (p[1].revents) guest_accept();
    }
}

static int listen_on(int type, u16 port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || (type == SOCK_STREAM && listen(fd, CONNS))) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

int netb_dns_init(const u8 *data, size_t len)
{
    struct plan_dns p;
    if (dns.on || len < sizeof p) return -EINVAL;
    memcpy(&p, data, sizeof p);
    if (p.nservers > SERVERS_MAX || len - sizeof p < p.nservers * sizeof(struct plan_dns_server)) return -EINVAL;
    memcpy(dns.server, data + sizeof p, p.nservers * sizeof(struct plan_dns_server));
    dns.nservers = p.nservers;
    dns.answer_all = p.flags & PLAN_DNS_ALL;
    dns.learn = p.flags & PLAN_DNS_LEARN;
    dns.log = mmap(NULL, sizeof *dns.log, PROT_READ | PROT_WRITE, MAP_SHARED, p.log_fd, 0);
    close(p.log_fd);
    if (dns.log == MAP_FAILED) return -errno;
    for (unsigned i = 0; i < CONNS; i++) conns[i].fd = -1;
    for (unsigned i = 0; i < LOOKUPS; i++) lookups[i].fd = -1;
    /* One number for both: whatever TCP gets, UDP must find free. */
    for (unsigned tries = 0; tries < 64 && dns.udp < 0; tries++) {
        struct sockaddr_in a;
        socklen_t n = sizeof a;
        dns.tcp = listen_on(SOCK_STREAM, 0);
        if (dns.tcp < 0) return dns.tcp;
        if (getsockname(dns.tcp, (struct sockaddr *)&a, &n)) return -errno;
        dns.port = ntohs(a.sin_port);
        dns.udp = listen_on(SOCK_DGRAM, dns.port);
        if (dns.udp < 0) close(dns.tcp);
    }
    if (dns.udp < 0) return dns.udp;
    dns.on = true;
    return 0;
}

int netb_dns_fixed(const char *name, const u8 ip[16])
{
    if (dns.nfixed == PINS_STATIC_MAX) return -ENOSPC;
    dns.fixed = xrealloc(dns.fixed, (dns.nfixed + 1) * sizeof(*dns.fixed));
    dns.fixed[dns.nfixed].name = xstrdup(name);
    memcpy(dns.fixed[dns.nfixed++].ip, ip, 16);
    return 0;
}

int netb_dns_start(void)
{
    pthread_t t;
    if (!dns.on) return 0;
    int err = -pthread_create(&t, NULL, resolver_thread, NULL);
    if (!err) pthread_detach(t);
    return err;
}
