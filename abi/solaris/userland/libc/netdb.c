/* libc.so.1: names and addresses: /etc/hosts, /etc/services, /etc/protocols, then DNS as /etc/resolv.conf says. */
#include "impl.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAXADDR 16
struct answer { int n; int family[MAXADDR]; unsigned char addr[MAXADDR][16]; char canon[256]; };

static void add(struct answer *a, int family, const void *p)
{
    if (a->n == MAXADDR)
        return;
    a->family[a->n] = family;
    memcpy(a->addr[a->n++], p, family == AF_INET ? 4 : 16);
}

/* one line of a blank-separated file: its words; NULL at the end */
static char **words(FILE *f, char *line, size_t n, char **w, int max)
{
    while (fgets(line, (int)n, f)) {
        char *save, *p;
        int k = 0;
        line[strcspn(line, "#\n")] = 0;
        for (p = strtok_r(line, " \t", &save); p && k < max - 1; p = strtok_r(NULL, " \t", &save))
            w[k++] = p;
        w[k] = NULL;
        if (k > 1)
            return w;
    }
    return NULL;
}

static void from_hosts(const char *name, int family, struct answer *a)
{
    FILE *f = fopen("/etc/inet/hosts", "re");
    char line[1024], *w[40];
    unsigned char b[16];

    if (!f)
        f = fopen("/etc/hosts", "re");
    if (!f)
        return;
    while (words(f, line, sizeof(line), w, 40)) {
        int fam = strchr(w[0], ':') ? AF_INET6 : AF_INET;
        if ((family && fam != family) || inet_pton(fam, w[0], b) != 1)
            continue;
        for (int i = 1; w[i]; i++)
            if (!strcasecmp(w[i], name)) {
                add(a, fam, b);
                if (!a->canon[0])
                    strlcpy(a->canon, w[1], sizeof(a->canon));
                break;
            }
    }
    fclose(f);
}

/* --- DNS --- */

static int name_put(unsigned char *q, const char *name)
{
    int n = 0;

    while (*name) {
        size_t k = strcspn(name, ".");
        if (!k || k > 63 || n + (int)k > 250)
            return -1;
        q[n++] = (unsigned char)k;
        memcpy(q + n, name, k);
        n += (int)k;
        name += k;
        if (*name == '.')
            name++;
    }
    q[n++] = 0;
    return n;
}
/* expands a possibly compressed name; gives the offset behind it, or -1 */
static int name_get(const unsigned char *m, int len, int at, char *out, size_t size)
{
    int end = -1, hops = 0;
    size_t n = 0;

    for (;;) {
        if (at >= len || ++hops > 128)
            return -1;
        int c = m[at++];
        if (!c)
            break;
        if ((c & 0xc0) == 0xc0) {
            if (at >= len)
                return -1;
            if (end < 0)
                end = at + 1;
            at = (c & 0x3f) << 8 | m[at];
            continue;
        }
        if (c > 63 || at + c > len || n + (size_t)c + 2 > size)
            return -1;
        if (n)
            out[n++] = '.';
        memcpy(out + n, m + at, (size_t)c);
        n += (size_t)c;
        at += c;
    }
    out[n] = 0;
    return end < 0 ? at : end;
}
/* reply length, or -1 for no answer */
static int ask(const char *name, int type, unsigned char *reply, int room)
{
    unsigned char q[300] = { 0 };
    uint16_t id = (uint16_t)arc4random();
    char line[512], *w[8], server[4][64];
    int servers = 0, n;
    FILE *f = fopen("/etc/resolv.conf", "re");

    while (f && servers < 4 && words(f, line, sizeof(line), w, 8))
        if (!strcmp(w[0], "nameserver"))
            strlcpy(server[servers++], w[1], 64);
    if (f)
        fclose(f);
    q[0] = (unsigned char)(id >> 8);
    q[1] = (unsigned char)id;
    q[2] = 1; /* recursion desired */
    q[5] = 1;
    if ((n = name_put(q + 12, name)) < 0)
        return -1;
    n += 12;
    q[n + 1] = (unsigned char)type;
    q[n + 3] = 1;
    n += 4;
    for (int round = 0; round < 2; round++)
        for (int s = 0; s < servers; s++) {
            struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(53) };
            struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(53) };
            int six = strchr(server[s], ':') != NULL;
            if (inet_pton(six ? AF_INET6 : AF_INET, server[s], six ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr) != 1)
                continue;
            int fd = socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
            if (fd < 0)
                continue;
            struct pollfd p = { .fd = fd, .events = POLLIN };
            int got = -1;
            if (!connect(fd, six ? (void *)&v6 : (void *)&v4, six ? sizeof(v6) : sizeof(v4)) && send(fd, q, (size_t)n, 0) == n)
                while (poll(&p, 1, 3000) == 1) {
                    got = (int)recv(fd, reply, (size_t)room, 0);
                    if (got >= n && reply[0] == q[0] && reply[1] == q[1] && reply[2] & 0x80 && !memcmp(reply + 12, q + 12, (size_t)n - 12))
                        break;
                    if (got < 0)
                        break;
                    got = -1;
                }
            close(fd);
            if (got > 0 && (reply[3] & 15) != 2)
                return got;
        }
    return -1;
}
/* 0 answered (maybe with nothing), EAI_AGAIN no server answered */
static int from_dns(const char *name, int type, struct answer *a)
{
    unsigned char m[1500];
    char host[256];
    int len = ask(name, type, m, sizeof(m)), at = 12;

    if (len < 12)
        return EAI_AGAIN;
    if ((m[3] & 15) == 3)
        return EAI_NONAME;
    int qd = m[4] << 8 | m[5], an = m[6] << 8 | m[7];
    while (qd-- > 0)
        if ((at = name_get(m, len, at, host, sizeof(host))) < 0 || (at += 4) > len)
            return EAI_FAIL;
    while (an-- > 0) {
        if ((at = name_get(m, len, at, host, sizeof(host))) < 0 || at + 10 > len)
            break;
        int t = m[at] << 8 | m[at + 1], n = m[at + 8] << 8 | m[at + 9];
        at += 10;
        if (at + n > len)
            break;
        if (t == type && ((t == 1 && n == 4) || (t == 28 && n == 16))) {
            add(a, t == 1 ? AF_INET : AF_INET6, m + at);
            if (!a->canon[0])
                strlcpy(a->canon, host, sizeof(a->canon));
        } else if (t == 12 && type == 12) {
            (void)name_get(m, len, at, a->canon, sizeof(a->canon));
            a->n = 1;
        }
        at += n;
    }
    return 0;
}
static int lookup(const char *name, int family, struct answer *a)
{
    int r = 0, s = 0;

    from_hosts(name, family, a);
    if (a->n)
        return 0;
    if (family != AF_INET6)
        r = from_dns(name, 1, a);
    if (family != AF_INET)
        s = from_dns(name, 28, a);
    if (a->n)
        return 0;
    return r ? r : s ? s : EAI_NODATA;
}

/* --- services, protocols --- */

static struct servent *service(const char *name, int port, const char *proto)
{
    static char line[1024], *w[40];
    static struct servent s;
    FILE *f = fopen("/etc/inet/services", "re");

    if (!f)
        f = fopen("/etc/services", "re");
    while (f && words(f, line, sizeof(line), w, 40)) {
        char *slash = strchr(w[1], '/');
        if (!slash || (proto && strcmp(slash + 1, proto)))
            continue;
        int hit = name ? !strcmp(w[0], name) : htons((uint16_t)atoi(w[1])) == port;
        for (int i = 2; name && w[i]; i++)
            hit |= !strcmp(w[i], name);
        if (!hit)
            continue;
        s = (struct servent){ w[0], w + 2, htons((uint16_t)atoi(w[1])), slash + 1 };
        fclose(f);
        return &s;
    }
    if (f)
        fclose(f);
    return NULL;
}
struct servent *getservbyname(const char *n, const char *p) { return service(n, 0, p); }
struct servent *getservbyport(int port, const char *p) { return service(NULL, port, p); }
static struct protoent *protocol(const char *name, int number)
{
    static const struct { const char *n; int p; } known[] = { { "ip", 0 }, { "icmp", 1 }, { "igmp", 2 }, { "tcp", 6 },
        { "udp", 17 }, { "ipv6", 41 }, { "ipv6-icmp", 58 }, { "sctp", 132 } };
    static char *none[1];
    static struct protoent e;

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (name ? !strcasecmp(name, known[i].n) : number == known[i].p) {
            e = (struct protoent){ (char *)known[i].n, none, known[i].p };
            return &e;
        }
    return NULL;
}
struct protoent *getprotobyname(const char *n) { return protocol(n, 0); }
struct protoent *getprotobynumber(int n) { return protocol(NULL, n); }

/* --- getaddrinfo --- */

int getaddrinfo(const char *node, const char *serv, const struct addrinfo *hint, struct addrinfo **out)
{
    struct addrinfo h = { 0 }, **tail = out;
    struct answer a = { 0 };
    unsigned char b[16];
    int port = 0;

    *out = NULL;
    if (hint)
        h = *hint;
    if (!node && !serv)
        return EAI_NONAME;
    if (h.ai_family != AF_UNSPEC && h.ai_family != AF_INET && h.ai_family != AF_INET6)
        return EAI_FAMILY;
    if (h.ai_flags & AI_CANONNAME && !node)
        return EAI_BADFLAGS;
    if (serv) {
        char *end;
        long v = strtol(serv, &end, 10);
        if (*serv && !*end) {
            if (v < 0 || v > 65535)
                return EAI_SERVICE;
            port = htons((uint16_t)v);
        } else {
            struct servent *s = h.ai_flags & AI_NUMERICSERV ? NULL
                                : getservbyname(serv, h.ai_socktype == SOCK_STREAM ? "tcp" : h.ai_socktype == SOCK_DGRAM ? "udp" : NULL);
            if (!s)
                return h.ai_flags & AI_NUMERICSERV ? EAI_NONAME : EAI_SERVICE;
            port = s->s_port;
        }
    }
    if (!node) {
        uint32_t lo4 = h.ai_flags & AI_PASSIVE ? 0 : htonl(INADDR_LOOPBACK);
        if (h.ai_family != AF_INET)
            add(&a, AF_INET6, h.ai_flags & AI_PASSIVE ? &in6addr_any : &in6addr_loopback);
        if (h.ai_family != AF_INET6)
            add(&a, AF_INET, &lo4);
    } else if (inet_pton(AF_INET, node, b) == 1) {
        if (h.ai_family == AF_INET6)
            return EAI_ADDRFAMILY;
        add(&a, AF_INET, b);
    } else if (inet_pton(AF_INET6, node, b) == 1) {
        if (h.ai_family == AF_INET)
            return EAI_ADDRFAMILY;
        add(&a, AF_INET6, b);
    } else if (h.ai_flags & AI_NUMERICHOST) {
        return EAI_NONAME;
    } else {
        int r = lookup(node, h.ai_family, &a);
        if (r)
            return r;
    }
    static const struct { int type, proto; } kinds[] = { { SOCK_STREAM, IPPROTO_TCP }, { SOCK_DGRAM, IPPROTO_UDP }, { SOCK_RAW, 0 } };
    for (int i = 0; i < a.n; i++)
        for (int k = 0; k < 3; k++) {
            if ((h.ai_socktype && h.ai_socktype != kinds[k].type) || (!h.ai_socktype && k == 2) ||
                (h.ai_protocol && kinds[k].proto && h.ai_protocol != kinds[k].proto))
                continue;
            struct { struct addrinfo ai; union { struct sockaddr_in v4; struct sockaddr_in6 v6; } u; } *e = calloc(1, sizeof(*e));
            if (!e) {
                freeaddrinfo(*out);
                return EAI_MEMORY;
            }
            e->ai.ai_family = a.family[i];
            e->ai.ai_socktype = kinds[k].type;
            e->ai.ai_protocol = kinds[k].proto ? kinds[k].proto : h.ai_protocol;
            e->ai.ai_addr = (struct sockaddr *)&e->u;
            if (a.family[i] == AF_INET) {
                e->u.v4.sin_family = AF_INET;
                e->u.v4.sin_port = (in_port_t)port;
                memcpy(&e->u.v4.sin_addr, a.addr[i], 4);
                e->ai.ai_addrlen = sizeof(e->u.v4);
            } else {
                e->u.v6.sin6_family = AF_INET6;
                e->u.v6.sin6_port = (in_port_t)port;
                memcpy(&e->u.v6.sin6_addr, a.addr[i], 16);
                e->ai.ai_addrlen = sizeof(e->u.v6);
            }
            if (h.ai_flags & AI_CANONNAME && tail == out)
                e->ai.ai_canonname = strdup(a.canon[0] ? a.canon : node);
            *tail = &e->ai;
            tail = &e->ai.ai_next;
        }
    return *out ? 0 : EAI_SOCKTYPE;
}
void freeaddrinfo(struct addrinfo *a)
{
    while (a) {
        struct addrinfo *n = a->ai_next;
        free(a->ai_canonname);
        free(a);
        a = n;
    }
}
const char *gai_strerror(int e)
{
    static const char *const t[] = { "success", "address family for nodename not supported", "temporary name resolution failure",
        "invalid flags", "non-recoverable failure in name resolution", "specified address family not supported",
        "memory allocation failure", "no address for the specified node name", "node name or service name not known",
        "service name not available for the specified socket type", "specified socket type not supported", "system error",
        "argument buffer overflow", "protocol not supported" };
    return e >= 0 && e < 14 ? t[e] : "unknown error";
}

static int reverse(int family, const unsigned char *b, char *host, size_t n)
{
    FILE *f = fopen("/etc/inet/hosts", "re");
    char line[1024], *w[40], q[80];
    unsigned char c[16];
    size_t size = family == AF_INET ? 4 : 16;
    struct answer a = { 0 };

    if (!f)
        f = fopen("/etc/hosts", "re");
    while (f && words(f, line, sizeof(line), w, 40))
        if (inet_pton(family, w[0], c) == 1 && !memcmp(b, c, size)) {
            strlcpy(host, w[1], n);
            fclose(f);
            return 0;
        }
    if (f)
        fclose(f);
    if (family == AF_INET) {
        snprintf(q, sizeof(q), "%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0]);
    } else {
        char *p = q;
        for (int i = 15; i >= 0; i--)
            p += sprintf(p, "%x.%x.", b[i] & 15, b[i] >> 4);
        strcpy(p, "ip6.arpa");
    }
    if (from_dns(q, 12, &a) || !a.n)
        return EAI_NONAME;
    strlcpy(host, a.canon, n);
    return 0;
}
int getnameinfo(const struct sockaddr *sa, socklen_t len, char *host, socklen_t hn, char *serv, socklen_t sn, int fl)
{
    const void *addr;
    int port, family = sa->sa_family;

    if (family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        addr = &((const struct sockaddr_in *)sa)->sin_addr;
        port = ((const struct sockaddr_in *)sa)->sin_port;
    } else if (family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
        addr = &((const struct sockaddr_in6 *)sa)->sin6_addr;
        port = ((const struct sockaddr_in6 *)sa)->sin6_port;
    } else {
        return EAI_FAMILY;
    }
    if (host && hn) {
        if (fl & NI_NUMERICHOST || reverse(family, addr, host, hn)) {
            if (fl & NI_NAMEREQD)
                return EAI_NONAME;
            if (!inet_ntop(family, addr, host, hn))
                return EAI_OVERFLOW;
        }
    }
    if (serv && sn) {
        struct servent *s = fl & NI_NUMERICSERV ? NULL : getservbyport(port, fl & NI_DGRAM ? "udp" : "tcp");
        if (s ? strlcpy(serv, s->s_name, sn) >= sn : snprintf(serv, sn, "%d", ntohs((uint16_t)port)) >= (int)sn)
            return EAI_OVERFLOW;
    }
    return 0;
}

static struct hostent *host_of(struct answer *a, int family, const char *name)
{
    static struct hostent h;
    static char *list[MAXADDR + 1], *none[1], canon[256];
    static unsigned char addr[MAXADDR][16];
    int n = 0;

    for (int i = 0; i < a->n; i++)
        if (a->family[i] == family) {
            memcpy(addr[n], a->addr[i], 16);
            list[n] = (char *)addr[n];
            n++;
        }
    list[n] = NULL;
    strlcpy(canon, a->canon[0] ? a->canon : name, sizeof(canon));
    h = (struct hostent){ canon, none, family, family == AF_INET ? 4 : 16, list };
    if (!n)
        h_errno = NO_DATA;
    return n ? &h : NULL;
}
struct hostent *gethostbyname(const char *name)
{
    struct answer a = { 0 };
    unsigned char b[4];

    if (inet_pton(AF_INET, name, b) == 1) {
        add(&a, AF_INET, b);
    } else {
        int r = lookup(name, AF_INET, &a);
        if (r) {
            h_errno = r == EAI_AGAIN ? TRY_AGAIN : r == EAI_NODATA ? NO_DATA : HOST_NOT_FOUND;
            return NULL;
        }
    }
    return host_of(&a, AF_INET, name);
}
struct hostent *gethostbyaddr(const void *p, socklen_t n, int family)
{
    struct answer a = { 0 };

    add(&a, family, p);
    if ((family != AF_INET && family != AF_INET6) || reverse(family, p, a.canon, sizeof(a.canon))) {
        h_errno = HOST_NOT_FOUND;
        return NULL;
    }
    return host_of(&a, family, a.canon);
}
const char *hstrerror(int e)
{
    static const char *const t[] = { "Resolver Error 0 (no error)", "Unknown host", "Host name lookup failure", "Unknown server error", "No address associated with name" };
    return e >= 0 && e < 5 ? t[e] : "Unknown resolver error";
}
void herror(const char *s) { fprintf(stderr, "%s%s%s\n", s ? s : "", s && *s ? ": " : "", hstrerror(h_errno)); }
char *inet_ntoa(struct in_addr a)
{
    static char b[16];
    const unsigned char *p = (const unsigned char *)&a;

    snprintf(b, sizeof(b), "%d.%d.%d.%d", p[0], p[1], p[2], p[3]);
    return b;
}
