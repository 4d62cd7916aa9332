#include "sentry/base/connrules.h"
#include "sentry/base/alloc.h"
#include "sentry/base/lock.h"

#include <string.h>
#include <strings.h>

#define PINS_MAX 4096u
#define CACHE 256u

struct pin { u8 ip[16]; char *name; };
struct cached { u8 ip[16]; u16 port; u8 op, proto; bool valid; const struct connrule *rule; };

struct connrules {
    struct connrule *rules; unsigned n;   /* most specific first; (c) after the last add */
    lock_t lock;                         /* LC_LEAF; guards: */
    struct pin *pins; unsigned npins, oldest;   /* oldest: the next to be replaced, once there are PINS_MAX */
    struct cached cache[CACHE];
};

struct connrules *connrules_new(void)
{
    struct connrules *n = xnew(struct connrules);
    lock_init(&n->lock, LC_LEAF);
    return n;
}

void connrules_free(struct connrules *n)
{
    if (!n) return;
    for (unsigned i = 0; i < n->n; i++) free(n->rules[i].name);
    for (unsigned i = 0; i < n->npins; i++) free(n->pins[i].name);
    free(n->rules);
    free(n->pins);
    lock_fini(&n->lock);
    free(n);
}

bool connrules_any(const struct connrules *n) { return n->n != 0; }

/* Larger: more specific. */
static u64 weight(const struct connrule *r)
{
    u64 host = r->name ? (r->name[0] == '*' ? 129 + MIN(strlen(r->name), (size_t)255) : 400) : r->prefix == 128 ? 401 : r->prefix;
    return host << 20 | (u64)(0xffff - (r->hi - r->lo)) << 2 | (r->protos != (CR_TCP | CR_UDP)) << 1 | !r->allow;
}

void connrules_add(struct connrules *n, const struct connrule *r)
{
    n->rules = xrealloc(n->rules, (n->n + 1) * sizeof(*n->rules));
    unsigned i = n->n++;
    for (; i > 0 && weight(&n->rules[i - 1]) < weight(r); i--) n->rules[i] = n->rules[i - 1];
    n->rules[i] = *r;
    if (r->name) n->rules[i].name = xstrdup(r->name);
}

bool connrule_name_matches(const char *pattern, const char *name)
{
    size_t n = strlen(name), m = strlen(pattern);
    if (n && name[n - 1] == '.') n--;
    if (m > 2 && pattern[0] == '*' && pattern[1] == '.') return n > m - 1 && !strncasecmp(name + n - (m - 1), pattern + 1, m - 1);
    return n == m && !strncasecmp(name, pattern, m);
}

bool connrule_ip_is_loopback(const u8 ip[16])
{
    static const u8 mapped[13] = { [10] = 0xff, 0xff, 127 }, one[16] = { [15] = 1 };
    return !memcmp(ip, mapped, sizeof(mapped)) || !memcmp(ip, one, sizeof(one));
}

static bool in_block(const u8 ip[16], const u8 block[16], unsigned prefix)
{
    if (memcmp(ip, block, prefix / 8)) return false;
    unsigned rest = prefix % 8;
    return !rest || !((ip[prefix / 8] ^ block[prefix / 8]) >> (8 - rest));
}

static bool common(const struct connrule *r, enum connrule_op op, unsigned proto, u16 port)
{
    return r->op == op && (r->protos & proto) && port >= r->lo && port <= r->hi;
}

static const struct connrule *decide_locked(struct connrules *n, enum connrule_op op, unsigned proto, const u8 ip[16], u16 port)
{
    for (unsigned i = 0; i < n->n; i++) {
        const struct connrule *r = &n->rules[i];
        if (!common(r, op, proto, port)) continue;
        if (!r->name) {
            if (in_block(ip, r->ip, r->prefix)) return r;
            continue;
        }
        for (unsigned k = 0; k < n->npins; k++)
            if (!memcmp(n->pins[k].ip, ip, 16) && connrule_name_matches(r->name, n->pins[k].name)) return r;
    }
    return NULL;
}

const struct connrule *connrules_decide(struct connrules *n, enum connrule_op op, unsigned proto, const u8 ip[16], u16 port)
{
    u32 h = port * 31u + (u32)op * 7 + proto;
    for (unsigned i = 0; i < 16; i++) h = h * 33 + ip[i];
    struct cached *c = &n->cache[h % CACHE];
    lock(&n->lock);
    if (!(c->valid && c->port == port && c->op == op && c->proto == proto && !memcmp(c->ip, ip, 16))) {
        *c = (struct cached){ .port = port, .op = (u8)op, .proto = (u8)proto, .valid = true, .rule = decide_locked(n, op, proto, ip, port) };
        memcpy(c->ip, ip, 16);
    }
    const struct connrule *r = c->rule;
    unlock(&n->lock);
    return r;
}

static bool about_name(const struct connrule *r, const char *name)
{
    return r->op == CR_CONNECT && (r->name ? connrule_name_matches(r->name, name) : r->prefix == 0);
}

/* Is all that `r` allows denied by a more specific rule? */
static bool covered(const struct connrules *n, const struct connrule *r, const char *name, const struct connrule **by)
{
    for (const struct connrule *d = n->rules; d < r; d++) {
        if (d->allow || !about_name(d, name) || d->lo > r->lo || d->hi < r->hi || (r->protos & ~d->protos)) continue;
        *by = d;
        return true;
    }
    return false;
}

const struct connrule *connrules_decide_name(struct connrules *n, const char *name)
{
    const struct connrule *denial = NULL;
    for (unsigned i = 0; i < n->n; i++) {
        const struct connrule *r = &n->rules[i];
        if (!about_name(r, name)) continue;
        if (!r->allow) denial = denial ? denial : r;
        else if (!covered(n, r, name, &denial)) return r;
    }
    return denial;
}

bool connrules_address_allowed(struct connrules *n, const u8 ip[16])
{
    for (unsigned i = 0; i < n->n; i++) {
        const struct connrule *r = &n->rules[i];
        if (r->op == CR_CONNECT && r->allow && !r->name && in_block(ip, r->ip, r->prefix)) return true;
    }
    return false;
}

const struct connrule *connrules_decide_host(struct connrules *n, enum connrule_op op, unsigned proto, const char *name, u16 port)
{
    for (unsigned i = 0; i < n->n; i++) {
        const struct connrule *r = &n->rules[i];
        if (common(r, op, proto, port) && (r->name ? connrule_name_matches(r->name, name) : r->prefix == 0)) return r;
    }
    return NULL;
}

bool connrules_pin(struct connrules *n, const char *name, const u8 ip[16])
{
    bool wanted = false;
    for (unsigned i = 0; i < n->n && !wanted; i++) wanted = n->rules[i].name && connrule_name_matches(n->rules[i].name, name);
    if (!wanted) return false;
    lock(&n->lock);
    bool there = false;
    for (unsigned i = 0; i < n->npins && !there; i++) there = !memcmp(n->pins[i].ip, ip, 16) && !strcasecmp(n->pins[i].name, name);
    if (!there) {
        struct pin *p;
        if (n->npins < PINS_MAX) {
            if (!(n->npins & (n->npins - 1))) n->pins = xrealloc(n->pins, (n->npins ? n->npins * 2 : 1) * sizeof(*n->pins));
            p = &n->pins[n->npins++];
        } else {
            p = &n->pins[n->oldest];
            n->oldest = (n->oldest + 1) % PINS_MAX;
            free(p->name);
        }
        p->name = xstrdup(name);
        memcpy(p->ip, ip, 16);
        for (unsigned i = 0; i < CACHE; i++) n->cache[i].valid = false;
    }
    unlock(&n->lock);
    return true;
}
