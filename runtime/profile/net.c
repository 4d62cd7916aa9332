/*
 * [net] for a sandbox with the host's network. The broker gets the rules, and answers lookups inside by the names in them
 * (netbroker/resolver.c); what it answers is pinned there. Names that the host's /etc/hosts has are the administrator's
 * word: they are pinned from the start and go into the sandbox's own hosts file.
 */
#include "netbroker/protocol.h"
#include "runtime/options.h"
#include "runtime/plan_build_int.h"
#include "runtime/profile/apply.h"
#include "sentry/base/alloc.h"
#include "sentry/base/dnslog.h"
#include "sentry/base/strbuf.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOSTS_MAX 1024u          /* pins from the host's /etc/hosts; lists of blocked names have more */

static const u8 v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

/* --- names of the host's own --- */

struct pin { char *name; u8 ip[16]; };
struct pins { struct pin *p; unsigned n; };

static void pin_add(struct pins *t, const char *name, const u8 ip[16])
{
    for (unsigned i = 0; i < t->n; i++)
        if (!memcmp(t->p[i].ip, ip, 16) && !strcmp(t->p[i].name, name)) return;
    t->p = xrealloc(t->p, (t->n + 1) * sizeof(*t->p));
    t->p[t->n].name = xstrdup(name);
    memcpy(t->p[t->n++].ip, ip, 16);
}

static void read_hosts(struct pins *t, struct connrules *nets)
{
    char line[4096], *save;
    FILE *f = fopen("/etc/hosts", "re");
    while (f && t->n < HOSTS_MAX && fgets(line, sizeof(line), f)) {
        u8 ip[16], none[16] = { 0 };
        const char *why;
        line[strcspn(line, "#\n")] = 0;
        char *w = strtok_r(line, " \t", &save);
        if (!w || !profile_address(w, ip) || !memcmp(ip, none, 16) || !memcmp(ip + 12, none, 4)) continue;
        while ((w = strtok_r(NULL, " \t", &save)) && t->n < HOSTS_MAX) {
            for (char *c = w; *c; c++) *c = (char)tolower((unsigned char)*c);
            if (!profile_host_ok(w, strlen(w), &why) || *w == '*') continue;
            const struct connrule *r = connrules_decide_name(nets, w);
            if (r && r->allow) pin_add(t, w, ip);
        }
    }
    if (f) fclose(f);
}

/* --- name servers --- */

/* --dns, else the host's, as resolv.conf(5) has them. */
static unsigned find_servers(const struct run_options *o, struct plan_dns_server *out)
{
    unsigned n = 0;
    char line[1024], *save;
    for (; n < o->ndns; n++) profile_dns_server(o->dns[n], &out[n]);   /* was checked when read */
    FILE *f = n ? NULL : fopen("/etc/resolv.conf", "re");
    while (f && n < MAX_DNS && fgets(line, sizeof(line), f)) {
        char *w = strtok_r(line, " \t\n", &save);
        if (!w || strcmp(w, "nameserver") || !(w = strtok_r(NULL, " \t\n", &save))) continue;
        AUTO_FREE char *text = strchr(w, ':') ? xasprintf("[%s]", w) : xstrdup(w);
        if (!profile_dns_server(text, &out[n])) n++;
    }
    if (f) fclose(f);
    if (!n) profile_dns_server("127.0.0.1", &out[n++]);
    return n;
}

/* --- files inside --- */

/* A text that the sandbox sees as a file, over what the host has there. */
static int text_file(struct builder *b, const char *at, const struct strbuf *text)
{
    int fd = memfd_create("sundog-text", MFD_CLOEXEC);
    if (fd < 0 || (text->len && write(fd, text->s, text->len) != (ssize_t)text->len)) return fail("making %s: %s", at, strerror(errno));
    fchmod(fd, 0444);
    /* The sandbox's own text may be read, whatever the profile says of the host's; unless it says so by name. */
    bool named = false;
    for (unsigned i = 0; i < b->o->profile->nrules; i++) named |= b->o->profile->rules[i].section == PS_FILES && !strcmp(b->o->profile->rules[i].object, at);
    struct plan_path_rule pr = { b->o->profile->nrules + 1, PR_READ };
    if (!named) {
        plan_add2(&b->p->sentry, PLAN_PATH_RULE, &pr, sizeof(pr), &at, 1);
        if (!b->o->warn) plan_add2(&b->p->gofer, PLAN_PATH_RULE, &pr, sizeof(pr), &at, 1);
    }
    AUTO_FREE char *path = xasprintf("/proc/self/fd/%d", fd);
    int r = builder_host(b, path, at, false, MNT_RDONLY | MNT_NOEXEC | MNT_NODEV | MNT_NOSUID);
    close(fd);
    return r;
}

static int resolv_conf(struct builder *b)
{
    struct strbuf conf = { 0 };
    strbuf_printf(&conf, "# The sandbox's own name server: it knows the names that the profile allows.\nnameserver %s\noptions edns0\n", NETB_DNS_TEXT);
    int r = text_file(b, "/etc/resolv.conf", &conf);
    strbuf_fini(&conf);
    return r;
}

static int hosts_file(struct builder *b, const struct pins *t)
{
    struct strbuf hosts = { 0 };
    strbuf_printf(&hosts, "# Of the host's file, the names that the profile allows.\n127.0.0.1\tlocalhost %s\n::1\tlocalhost\n", b->o->hostname);
    for (unsigned i = 0; i < t->n; i++) {
        char text[INET6_ADDRSTRLEN];
        if (!memcmp(t->p[i].ip, v4_prefix, 12)) inet_ntop(AF_INET, t->p[i].ip + 12, text, sizeof(text));
        else inet_ntop(AF_INET6, t->p[i].ip, text, sizeof(text));
        strbuf_printf(&hosts, "%s\t%s\n", text, t->p[i].name);
    }
    int r = text_file(b, "/etc/hosts", &hosts);
    strbuf_fini(&hosts);
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

/* The broker's own copies of the rules, and the ring through which it tells the sentry what it answered. */
static int add_resolver(struct builder *b)
{
    const struct run_options *o = b->o;
    struct { struct plan_dns head; struct plan_dns_server server[MAX_DNS]; } d = { .head = { .flags = (o->warn || o->learn ? PLAN_DNS_ALL : 0) | (o->learn ? PLAN_DNS_LEARN : 0) } };
    int ring = memfd_create("sundog-dns", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ring < 0 || ftruncate(ring, sizeof(struct dnslog)) || fcntl(ring, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
        return fail("making the resolver's ring: %s", strerror(errno));
    int copy = fcntl(ring, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) return fail("making the resolver's ring: %s", strerror(errno));
    builder_sentry_fd(b, ring);
    builder_broker_fd(b, copy);
    d.head.log_fd = ring;
    plan_add(&b->p->sentry, PLAN_DNS, &d.head, sizeof(d.head));
    d.head.log_fd = copy;
    d.head.nservers = find_servers(o, d.server);
    plan_add(&b->p->broker, PLAN_DNS, &d, sizeof(d.head) + d.head.nservers * sizeof(d.server[0]));
    return 0;
}

int profile_apply_net(struct builder *b)
{
    const struct run_options *o = b->o;
    const struct profile *p = o->profile;
    struct pins pins = { 0 };
    struct connrules *nets = connrules_new();
    int err = add_resolver(b);
    for (unsigned i = 0; i < p->nrules; i++) {
        struct connrule r;
        if (p->rules[i].section != PS_NET || !prule_connrule(&p->rules[i], i + 1, &r)) continue;
        struct plan_conn_rule nr = { .id = r.id, .op = r.op, .allow = r.allow, .prefix = r.prefix, .lo = r.lo, .hi = r.hi, .protos = r.protos };
        const char *name = r.name ? r.name : "";
        memcpy(nr.ip, r.ip, 16);
        plan_add2(&b->p->broker, PLAN_CONN_RULE, &nr, sizeof(nr), &name, 1);
        connrules_add(nets, &r);
        free(r.name);
    }
    if (!o->learn) read_hosts(&pins, nets);
    for (unsigned i = 0; i < pins.n && !err; i++) {
        const char *name = pins.p[i].name;
        plan_add2(&b->p->sentry, PLAN_NET_PIN, pins.p[i].ip, 16, &name, 1);
        plan_add2(&b->p->broker, PLAN_NET_PIN, pins.p[i].ip, 16, &name, 1);
    }
    if (!err && !o->learn) err = hosts_file(b, &pins);
    if (!err) err = resolv_conf(b);
    struct plan_net head = { .mode = PLAN_NET_HOST, .allow = PLAN_NET_IN | (o->warn ? PLAN_NET_OUT | PLAN_NET_BIND : 0) };
    if (!err) plan_add(&b->p->broker, PLAN_NET, &head, sizeof(head));
    head.allow = PLAN_NET_IN | PLAN_NET_OUT | PLAN_NET_BIND;   /* the sentry has the rules already (emit_rules) */
    if (!err) plan_add(&b->p->sentry, PLAN_NET, &head, sizeof(head));
    for (unsigned i = 0; i < pins.n; i++) free(pins.p[i].name);
    free(pins.p);
    connrules_free(nets);
    return err;
}
