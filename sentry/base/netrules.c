#include "sentry/base/netrules.h"
#include "sentry/base/alloc.h"

#include <netinet/in.h>
#include <string.h>

static const u8 v4_prefix[12] = { [10] = 0xff, [11] = 0xff };
#define ALL_DIRS (PLAN_NET_OUT | PLAN_NET_BIND | PLAN_NET_IN)

static bool rule_valid(const struct plan_net_rule *r)
{
    return r->dirs && !(r->dirs & ~ALL_DIRS) && (r->family == 0 || r->family == 4 || r->family == 6) && r->prefix <= 128 &&
           r->port_lo <= r->port_hi && r->allow <= 1;
}

int net_rules_parse(struct net_rules *out, const u8 *data, size_t len)
{
    *out = (struct net_rules){ .head = { .mode = PLAN_NET_NONE } };
    struct plan_net h;
    if (len < sizeof(h)) return -EINVAL;
    memcpy(&h, data, sizeof(h));
    if (h.mode > PLAN_NET_HOST || h.nrules > NET_RULES_MAX || (h.allow & ~ALL_DIRS)) return -EINVAL;
    size_t bytes = h.nrules * sizeof(struct plan_net_rule);
    if (len - sizeof(h) < bytes) return -EINVAL;
    struct plan_net_rule *rules = xzalloc(bytes + 1);
    memcpy(rules, data + sizeof(h), bytes);
    for (u32 i = 0; i < h.nrules; i++)
        if (!rule_valid(&rules[i])) {
            free(rules);
            return -EINVAL;
        }
    size_t rest = len - sizeof(h) - bytes;
    *out = (struct net_rules){ .head = h, .rules = rules, .sources = xzalloc(rest + 1), .sources_len = rest };
    memcpy(out->sources, data + sizeof(h) + bytes, rest);
    return 0;
}

void net_rules_fini(struct net_rules *r)
{
    free(r->rules);
    free(r->sources);
    *r = (struct net_rules){ .head = { .mode = PLAN_NET_NONE } };
}

static bool prefix_equal(const u8 a[16], const u8 b[16], unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole)) return false;
    return !rest || !((a[whole] ^ b[whole]) >> (8 - rest));
}

bool net_rules_allow(const struct net_rules *r, u32 dir, int proto, const u8 ip[16], u16 port, const struct plan_net_rule **rule)
{
    u8 family = memcmp(ip, v4_prefix, sizeof v4_prefix) ? 6 : 4;
    if (proto == IPPROTO_ICMPV6) proto = IPPROTO_ICMP;
    if (rule) *rule = NULL;
    for (u32 i = 0; i < r->head.nrules; i++) {
        const struct plan_net_rule *x = &r->rules[i];
        if (!(x->dirs & dir) || (x->family && x->family != family) || (x->proto && x->proto != proto)) continue;
        if (port < x->port_lo || port > x->port_hi || !prefix_equal(ip, x->addr, x->prefix)) continue;
        if (rule) *rule = x;
        return x->allow;
    }
    return r->head.allow & dir;
}

bool net_rules_open(const struct net_rules *r, u32 dir)
{
    if (!(r->head.allow & dir)) return false;
    for (u32 i = 0; i < r->head.nrules; i++)
        if ((r->rules[i].dirs & dir) && !r->rules[i].allow) return false;
    return true;
}

const char *net_rules_source(const struct net_rules *r, const struct plan_net_rule *rule)
{
    const char *s = plan_string((const u8 *)r->sources, r->sources_len, 0, rule->source);
    return s ? s : "";
}
