/* Rules of the host's network, as the plan gives them (plan.h, PLAN_NET). Asked by the sentry and, again, by the broker. */
#ifndef SUNDOG_BASE_NETRULES_H
#define SUNDOG_BASE_NETRULES_H

#include "sentry/base/plan.h"

struct net_rules {
    struct plan_net head;
    struct plan_net_rule *rules;   /* owned; head.nrules */
    char *sources; size_t sources_len; /* owned */
};

#define NET_RULES_MAX 65536u

/* From the data of a PLAN_NET record. -EINVAL: lengths or values that make no sense; then *out is empty and denies all. */
int net_rules_parse(struct net_rules *out, const u8 *data, size_t len);
void net_rules_fini(struct net_rules *r);
/*
 * dir: one PLAN_NET_*; proto: IPPROTO_*; ip: IPv6 or mapped IPv4; port in host order. *rule: the one that decided, NULL:
 * the default.
 */
bool net_rules_allow(const struct net_rules *r, u32 dir, int proto, const u8 ip[16], u16 port, const struct plan_net_rule **rule);
/* Nothing of this direction is ever denied: it need not be asked again. */
bool net_rules_open(const struct net_rules *r, u32 dir);
const char *net_rules_source(const struct net_rules *r, const struct plan_net_rule *rule);   /* "" if it names none */

#endif
