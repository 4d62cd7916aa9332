/*
 * [net] for a sandbox with the host's network. Names are resolved here, once, before the sandbox starts, and pinned: the
 * broker gets addresses, the sandbox a hosts file that answers those names alone and no name server. So there is no
 * lookup inside that could be answered with another address later, and none by which data could leave.
 */
#include "runtime/options.h"
#include "runtime/plan_build_int.h"
#include "runtime/profile/apply.h"
#include "sentry/base/alloc.h"
#include "sentry/base/netrules.h"
#include "sentry/base/strbuf.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct pin { const char *name; u8 ip[16]; };
struct pins { struct pin *p; unsigned n; };

static void pin_add(struct pins *t, const char *name, const u8 ip[16])
{
    for (unsigned i = 0; i < t->n; i++)
        if (!memcmp(t->p[i].ip, ip, 16) && !strcmp(t->p[i].name, name)) return;
    t->p = xrealloc(t->p, (t->n + 1) * sizeof(*t->p));
    t->p[t->n].name = name;
    memcpy(t->p[t->n++].ip, ip, 16);
}

static void resolve(struct pins *t, const struct prule *r, const char *name)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *a;
    int e = getaddrinfo(name, NULL, &hints, &list);
    if (e) {
        fail("warning: %s:%u: %s cannot be resolved now (%s); the sandbox will not reach it", r->file, r->line, name, gai_strerror(e));
        return;
    }
    for (a = list; a; a = a->ai_next) {
        u8 ip[16] = { [10] = 0xff, 0xff };
        if (a->ai_family == AF_INET) memcpy(ip + 12, &((struct sockaddr_in *)(void *)a->ai_addr)->sin_addr, 4);
        else if (a->ai_family == AF_INET6) memcpy(ip, &((struct sockaddr_in6 *)(void *)a->ai_addr)->sin6_addr, 16);
        else continue;
        pin_add(t, name, ip);
    }
    freeaddrinfo(list);
}

/* More specific first; of equal ones the denial. The broker takes the first that matches. */
static unsigned weight(const struct plan_net_rule *r)
{
    return (unsigned)r->prefix << 20 | (unsigned)(0xffff - (r->port_hi - r->port_lo)) << 2 | (r->proto != 0) << 1 | !r->allow;
}

struct rules { struct plan_net_rule *r; unsigned n; };

static void rule_add(struct rules *t, const struct prule *p, const struct phost *h, const u8 ip[16], u8 prefix)
{
    static const u8 v4[12] = { [10] = 0xff, 0xff };
    struct plan_net_rule r = { .allow = p->key != PK_DENY, .dirs = p->key == PK_LISTEN ? PLAN_NET_BIND : PLAN_NET_OUT, .prefix = prefix,
                               .port_lo = h->lo, .port_hi = h->hi, .line = p->line,
                               .proto = !p->value ? 0 : !strcmp(p->value, "udp") ? IPPROTO_UDP : IPPROTO_TCP };
    if (prefix >= 96 && !memcmp(ip, v4, 12)) r.family = 4;
    memcpy(r.addr, ip, 16);
    t->r = xrealloc(t->r, (t->n + 1) * sizeof(*t->r));
    unsigned i = t->n++;
    for (; i > 0 && weight(&t->r[i - 1]) < weight(&r); i--) t->r[i] = t->r[i - 1];
    t->r[i] = r;
}

/* A text that the sandbox sees as a file, over what the host has there. */
static int text_file(struct builder *b, const char *at, const struct strbuf *text)
{
    int fd = memfd_create("sundog-text", MFD_CLOEXEC);
    if (fd < 0 || (text->len && write(fd, text->s, text->len) != (ssize_t)text->len)) return fail("making %s: %s", at, strerror(errno));
    fchmod(fd, 0444);
    AUTO_FREE char *path = xasprintf("/proc/self/fd/%d", fd);
    int r = builder_host(b, path, at, false, MNT_RDONLY | MNT_NOEXEC | MNT_NODEV | MNT_NOSUID);
    close(fd);
    return r;
}

static int hosts_files(struct builder *b, const struct pins *t)
{
    struct strbuf hosts = { 0 }, conf = { 0 };
    strbuf_printf(&hosts, "# The names that the profile allows, as they were resolved when the sandbox started.\n127.0.0.1\tlocalhost %s\n::1\tlocalhost\n",
                  b->o->hostname);
    for (unsigned i = 0; i < t->n; i++) {
        static const u8 v4[12] = { [10] = 0xff, 0xff };
        char text[INET6_ADDRSTRLEN];
        if (!memcmp(t->p[i].ip, v4, 12)) inet_ntop(AF_INET, t->p[i].ip + 12, text, sizeof(text));
        else inet_ntop(AF_INET6, t->p[i].ip, text, sizeof(text));
        strbuf_printf(&hosts, "%s\t%s\n", text, t->p[i].name);
    }
    strbuf_printf(&conf, "# No name server: /etc/hosts has the names that the profile allows.\noptions timeout:1 attempts:1\n");
    int r = text_file(b, "/etc/hosts", &hosts);
    if (!r) r = text_file(b, "/etc/resolv.conf", &conf);
    strbuf_fini(&hosts);
    strbuf_fini(&conf);
    return r;
}

bool profile_wants_host_net(const struct profile *p)
{
    for (unsigned i = 0; p && i < p->nrules; i++) {
        const struct prule *r = &p->rules[i];
        struct phost h;
        const char *why;
        if (r->section != PS_NET || r->key == PK_DENY || profile_host_parse(r->object, &h, &why)) continue;
        bool inside = !h.name && !h.any && connrule_ip_is_loopback(h.ip);
        free(h.name);
        if (!inside && r->key == PK_CONNECT) return true;
    }
    return false;
}

int profile_apply_net(struct builder *b)
{
    const struct run_options *o = b->o;
    const struct profile *p = o->profile;
    struct pins pins = { 0 };
    struct rules rules = { 0 };
    int err = 0;
    for (unsigned i = 0; i < p->nrules; i++) {
        const struct prule *r = &p->rules[i];
        struct phost h;
        const char *why;
        if (r->section != PS_NET || profile_host_parse(r->object, &h, &why)) continue;
        if (!h.name) {
            rule_add(&rules, r, &h, h.ip, h.any ? 0 : h.prefix);
        } else if (*h.name != '*') {
            unsigned from = pins.n;
            char *name = h.name;
            h.name = NULL; /* lives as long as the pins: the whole run */
            resolve(&pins, r, name);
            for (unsigned k = 0; k < pins.n; k++)
                if (k >= from || !strcmp(pins.p[k].name, name)) rule_add(&rules, r, &h, pins.p[k].ip, 128);
        }
        free(h.name);
    }
    if (rules.n > NET_RULES_MAX) err = fail("the profile comes to %u network rules with the addresses of its names; %u are the most", rules.n, NET_RULES_MAX);
    for (unsigned i = 0; i < pins.n && !err; i++) plan_add2(&b->p->sentry, PLAN_NET_PIN, pins.p[i].ip, 16, &pins.p[i].name, 1);
    if (!err && !o->learn) err = hosts_files(b, &pins);
    struct plan_net head = { .mode = PLAN_NET_HOST, .nrules = rules.n, .allow = PLAN_NET_IN | (o->warn ? PLAN_NET_OUT | PLAN_NET_BIND : 0) };
    if (o->warn) head.nrules = 0;
    size_t bytes = head.nrules * sizeof(*rules.r), len = sizeof(head) + bytes + 1;
    AUTO_FREE u8 *rec = xzalloc(len);
    memcpy(rec, &head, sizeof(head));
    if (bytes) memcpy(rec + sizeof(head), rules.r, bytes);
    if (!err) {
        plan_add(&b->p->broker, PLAN_NET, rec, len);
        plan_add(&b->p->sentry, PLAN_NET, rec, len);
    }
    free(rules.r);
    free(pins.p);
    return err;
}
