#include "netbroker/dns_wire.h"

#include <string.h>
#include <strings.h>

#define HEADER 12u
#define F_QR 0x8000u
#define F_TC 0x0200u
#define F_RD 0x0100u
#define F_RA 0x0080u
#define RECORDS_MAX 512u         /* of one answer that are looked at */
#define TTL_MAX 86400u

static const u8 v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

/* --- reading --- */

struct msg { const u8 *p; size_t n, at; };

static bool get16(struct msg *m, u16 *v)
{
    if (m->n - m->at < 2) return false;
    *v = (u16)(m->p[m->at] << 8 | m->p[m->at + 1]);
    m->at += 2;
    return true;
}

static bool get32(struct msg *m, u32 *v)
{
    u16 hi, lo;
    if (!get16(m, &hi) || !get16(m, &lo)) return false;
    *v = (u32)hi << 16 | lo;
    return true;
}

static bool plain_byte(u8 c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }

/*
 * A name to lower-case text. Pointers (RFC 1035, 4.1.4) must each lead further back than the one before, so that there is
 * no loop. strict: letters, digits, dash and underscore only; else any printable byte but `.` and `\`.
 */
static bool get_name(struct msg *m, char text[DNS_TEXT_MAX], bool pointers, bool strict)
{
    size_t at = m->at, len = 0, floor = m->at;
    bool jumped = false;
    for (;;) {
        if (at >= m->n) return false;
        u8 c = m->p[at++];
        if (c >= 0xc0) {
            if (!pointers || at >= m->n) return false;
            size_t to = (size_t)(c & 0x3f) << 8 | m->p[at++];
            if (!jumped) m->at = at;
            if (to >= floor || to < HEADER) return false;
            jumped = true;
            at = floor = to;
            continue;
        }
        if (c > 63) return false;
        if (!c) break;
        if (m->n - at < c || len + c + (len != 0) > DNS_TEXT_MAX - 1) return false;
        if (len) text[len++] = '.';
        for (u8 i = 0; i < c; i++) {
            u8 b = m->p[at++];
            if (strict ? !plain_byte(b) : b <= ' ' || b >= 0x7f || b == '.' || b == '\\') return false;
            text[len++] = (char)(b >= 'A' && b <= 'Z' ? b + 32 : b);
        }
    }
    text[len] = 0;
    if (!jumped) m->at = at;
    return true;
}

struct record { char name[DNS_TEXT_MAX]; u16 type, class; u32 ttl; size_t data; u16 len; };

static bool get_record(struct msg *m, struct record *r)
{
    if (!get_name(m, r->name, true, false) || !get16(m, &r->type) || !get16(m, &r->class) || !get32(m, &r->ttl) || !get16(m, &r->len)) return false;
    if (m->n - m->at < r->len) return false;
    r->data = m->at;
    m->at += r->len;
    if (r->ttl >> 31) r->ttl = 0;      /* RFC 2181, 8 */
    r->ttl = MIN(r->ttl, TTL_MAX);
    return true;
}

struct header { u16 id, flags, counts[4]; };

static bool get_header(struct msg *m, struct header *h)
{
    if (!get16(m, &h->id) || !get16(m, &h->flags)) return false;
    for (unsigned i = 0; i < 4; i++)
        if (!get16(m, &h->counts[i])) return false;
    return true;
}

int dns_query_parse(const u8 *p, size_t n, struct dns_query *q)
{
    struct msg m = { p, n, 0 };
    struct header h;
    u16 class;
    *q = (struct dns_query){ .udp_size = 512 };
    if (!get_header(&m, &h) || (h.flags & F_QR)) return -EBADMSG;
    q->id = h.id;
    q->rd = h.flags & F_RD;
    if (h.flags & 0x7800) return DNS_NOTIMP;
    if (h.counts[0] != 1 || h.counts[1] || h.counts[2] || h.counts[3] > 1 || n > DNS_QUERY_MAX) return DNS_FORMERR;
    if (!get_name(&m, q->name, false, true)) return DNS_FORMERR;
    q->wire_len = (u8)(m.at - HEADER);
    memcpy(q->wire, p + HEADER, q->wire_len);
    if (!get16(&m, &q->type) || !get16(&m, &class)) {
        q->wire_len = 0;
        return DNS_FORMERR;
    }
    if (h.counts[3]) {
        struct record r;
        if (!get_record(&m, &r) || r.type != DNS_OPT || *r.name) return DNS_FORMERR;
        q->edns = true;
        q->udp_size = r.class < 512 ? 512 : MIN(r.class, (u16)DNS_UDP_MAX);
        if (p[r.data - 5]) return DNS_BADVERS;     /* the second byte of what else is the TTL: the version */
    }
    if (class != 1) return DNS_REFUSED;
    return m.at == n ? DNS_NOERROR : DNS_FORMERR;
}

bool dns_name_equal(const char *a, const char *b) { return !strcasecmp(a, b); }

static bool find_alias(struct msg m, unsigned count, const char *name, struct dns_answer *a)
{
    struct record r;
    while (count-- && get_record(&m, &r)) {
        if (r.type != DNS_CNAME || r.class != 1 || !dns_name_equal(r.name, name)) continue;
        struct msg d = { m.p, r.data + r.len, r.data };
        if (!get_name(&d, a->alias[a->naliases].target, true, false) || d.at != d.n) continue;
        a->alias[a->naliases++].ttl = r.ttl;
        return true;
    }
    return false;
}

int dns_answer_parse(const u8 *p, size_t n, const struct dns_query *q, u16 id, struct dns_answer *a)
{
    struct msg m = { p, n, 0 };
    struct header h;
    struct record r;
    char name[DNS_TEXT_MAX];
    u16 type, class;
    memset(a, 0, offsetof(struct dns_answer, alias));
    if (!get_header(&m, &h) || !(h.flags & F_QR) || (h.flags & 0x7800) || h.id != id) return -EAGAIN;
    a->rcode = h.flags & 15;
    a->truncated = h.flags & F_TC;
    if (h.counts[0] != 1) return a->rcode && !h.counts[0] ? 0 : -EBADMSG;     /* some servers refuse without repeating the question */
    if (!get_name(&m, name, false, true) || !get16(&m, &type) || !get16(&m, &class)) return -EBADMSG;
    if (!dns_name_equal(name, q->name) || type != q->type || class != 1) return -EAGAIN;
    struct msg start = m;
    unsigned count = MIN(h.counts[1], (u16)RECORDS_MAX);
    for (unsigned i = 0; i < count; i++)
        if (!get_record(&m, &r)) {
            if (!a->truncated) return -EBADMSG;
            count = i;
        }
    const char *last = q->name;
    while (a->naliases < DNS_ALIASES_MAX && find_alias(start, count, last, a)) last = a->alias[a->naliases - 1].target;
    if (a->naliases == DNS_ALIASES_MAX) return -EBADMSG;      /* a loop, or as good as one */
    for (m = start; count-- && get_record(&m, &r) && a->naddrs < DNS_ADDRS_MAX;) {
        if (r.class != 1 || r.type != q->type || !dns_name_equal(r.name, last)) continue;
        u8 *ip = a->addr[a->naddrs].ip;
        if (r.type == DNS_A && r.len == 4) {
            memcpy(ip, v4_prefix, 12);
            memcpy(ip + 12, p + r.data, 4);
        } else if (r.type == DNS_AAAA && r.len == 16) {
            memcpy(ip, p + r.data, 16);
        } else {
            continue;
        }
        a->addr[a->naddrs++].ttl = r.ttl;
    }
    return 0;
}

/* --- writing --- */

struct outm { u8 *p; size_t n, cap; bool full; };

static void put(struct outm *o, const void *p, size_t n)
{
    if (o->cap - o->n < n) {
        o->full = true;
        return;
    }
    memcpy(o->p + o->n, p, n);
    o->n += n;
}
static void put16(struct outm *o, u32 v) { put(o, (u8[]){ (u8)(v >> 8), (u8)v }, 2); }
static void put32(struct outm *o, u32 v) { put16(o, v >> 16), put16(o, v & 0xffff); }

static void put_name(struct outm *o, const char *s)
{
    while (*s) {
        size_t n = strcspn(s, ".");
        u8 len = (u8)n;
        put(o, &len, 1);
        put(o, s, n);
        s += n + (s[n] == '.');
    }
    put(o, "", 1);
}

static void put_header(struct outm *o, u16 id, u32 flags, u32 questions, u32 answers, u32 more)
{
    put16(o, id);
    put16(o, flags);
    put16(o, questions);
    put16(o, answers);
    put16(o, 0);
    put16(o, more);
}

size_t dns_query_build(u8 *out, const struct dns_query *q, u16 id)
{
    struct outm o = { out, 0, DNS_QUERY_MAX, false };
    put_header(&o, id, F_RD, 1, 0, 1);
    put(&o, q->wire, q->wire_len);
    put16(&o, q->type);
    put16(&o, 1);
    put(&o, "", 1);
    put16(&o, DNS_OPT);
    put16(&o, DNS_UPSTREAM_UDP);
    put32(&o, 0);
    put16(&o, 0);
    return o.n;
}

static void put_owner(struct outm *o, const struct dns_answer *a, unsigned alias)
{
    if (!alias) put16(o, 0xc000 | HEADER);     /* the name of the question */
    else put_name(o, a->alias[alias - 1].target);
}

static size_t reply_build(u8 *out, size_t limit, const struct dns_query *q, unsigned rcode, const struct dns_answer *a, unsigned ede, u32 flags)
{
    struct outm o = { out, 0, limit, false };
    unsigned answers = a ? a->naliases + a->naddrs : 0;
    put_header(&o, q->id, F_QR | F_RA | (q->rd ? F_RD : 0) | flags | (rcode & 15), q->wire_len != 0, answers, q->edns);
    if (q->wire_len) {
        put(&o, q->wire, q->wire_len);
        put16(&o, q->type);
        put16(&o, 1);
    }
    for (unsigned i = 0; a && i < a->naliases; i++) {
        put_owner(&o, a, i);
        put16(&o, DNS_CNAME);
        put16(&o, 1);
        put32(&o, a->alias[i].ttl);
        size_t at = o.n;
        put16(&o, 0);
        put_name(&o, a->alias[i].target);
        if (!o.full) out[at] = (u8)((o.n - at - 2) >> 8), out[at + 1] = (u8)(o.n - at - 2);
    }
    for (unsigned i = 0; a && i < a->naddrs; i++) {
        put_owner(&o, a, a->naliases);
        put16(&o, q->type);
        put16(&o, 1);
        put32(&o, a->addr[i].ttl);
        bool v4 = q->type == DNS_A;
        put16(&o, v4 ? 4 : 16);
        put(&o, a->addr[i].ip + (v4 ? 12 : 0), v4 ? 4 : 16);
    }
    if (q->edns) {
        put(&o, "", 1);
        put16(&o, DNS_OPT);
        put16(&o, DNS_UDP_MAX);
        put32(&o, (u32)(rcode >> 4) << 24);
        put16(&o, ede ? 6 : 0);
        if (ede) put16(&o, 15), put16(&o, 2), put16(&o, ede);
    }
    return o.full ? 0 : o.n;
}

size_t dns_reply_build(u8 *out, size_t limit, const struct dns_query *q, unsigned rcode, const struct dns_answer *a, unsigned ede)
{
    size_t n = reply_build(out, limit, q, rcode, a, ede, 0);
    return n ? n : reply_build(out, limit, q, rcode, NULL, 0, F_TC);
}

/* --- what names and addresses are --- */

static bool within(const u8 *ip, u32 net, unsigned bits)
{
    u32 a = (u32)ip[0] << 24 | (u32)ip[1] << 16 | (u32)ip[2] << 8 | ip[3];
    return !((a ^ net) >> (32 - bits));
}

/*
 * The IANA special-purpose registries (RFC 6890 and its additions): what is not globally reachable. Not the networks for
 * documentation: they are nobody's, so they lead nowhere; laboratories use them as stand-ins for public ones.
 */
static bool v4_is_public(const u8 *ip)
{
    static const struct { u32 net; u8 bits; } special[] = {
        { 0x00000000, 8 }, { 0x0a000000, 8 }, { 0x64400000, 10 }, { 0x7f000000, 8 }, { 0xa9fe0000, 16 }, { 0xac100000, 12 }, { 0xc0000000, 24 },
        { 0xc0586300, 24 }, { 0xc0a80000, 16 }, { 0xc6120000, 15 }, { 0xe0000000, 3 },
    };
    for (size_t i = 0; i < ARRAY_LEN(special); i++)
        if (within(ip, special[i].net, special[i].bits)) return false;
    return true;
}

bool dns_ip_is_public(const u8 ip[16])
{
    static const u8 zero[16], nat64[12] = { 0, 0x64, 0xff, 0x9b };
    if (!memcmp(ip, v4_prefix, 12)) return v4_is_public(ip + 12);
    if (!memcmp(ip, zero, 12)) return false;                                /* unspecified, ::1, IPv4-compatible */
    if (!memcmp(ip, nat64, 12)) return v4_is_public(ip + 12);               /* 64:ff9b::/96 */
    if (!memcmp(ip, "\0\x64\xff\x9b\0\1", 6)) return false;                 /* 64:ff9b:1::/48 */
    if (ip[0] == 0x20 && ip[1] == 0x02) return v4_is_public(ip + 2);        /* 6to4 */
    if (ip[0] == 0x20 && ip[1] == 0x01 && ip[2] < 2) return false;          /* 2001::/23: Teredo and other protocol assignments */
    return (ip[0] & 0xe0) == 0x20;                                          /* 2000::/3 is all that is given out */
}

bool dns_ip_is_site(const u8 ip[16])
{
    if (memcmp(ip, v4_prefix, 12)) return (ip[0] & 0xfe) == 0xfc;
    return within(ip + 12, 0x0a000000, 8) || within(ip + 12, 0xac100000, 12) || within(ip + 12, 0xc0a80000, 16) || within(ip + 12, 0x64400000, 10);
}

bool dns_name_is_private(const char *name)
{
    static const char *const set_aside[] = { "localhost", "local", "internal", "home.arpa", "test", "lan", "home", "corp" };
    size_t n = strlen(name);
    if (!strchr(name, '.')) return true;
    for (size_t i = 0; i < ARRAY_LEN(set_aside); i++) {
        size_t k = strlen(set_aside[i]);
        if (n > k && name[n - k - 1] == '.' && !strcasecmp(name + n - k, set_aside[i])) return true;
    }
    return false;
}
