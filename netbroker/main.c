/* sundog-netbroker --plan-fd N --sock-fd M [--sock-fd ...] [--debug]: makes host sockets by the plan's rules until the sentry is gone. */
#include "netbroker/broker.h"
#include "sentry/base/log.h"
#include "sentry/base/plan.h"
#include "sentry/hostjail/hostjail.h"
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int take_rule(const u8 *data, u32 len)
{
    struct plan_conn_rule p;
    const char *name;
    if (len < sizeof p || !(name = plan_string(data, len, sizeof p, 0))) return -EINVAL;
    memcpy(&p, data, sizeof p);
    if (p.prefix > 128) return -EINVAL;
    struct connrule r = { .id = p.id, .op = p.op, .allow = p.allow, .protos = p.protos, .prefix = p.prefix, .lo = p.lo, .hi = p.hi,
                         .name = *name ? (char *)(uintptr_t)name : NULL };
    memcpy(r.ip, p.ip, 16);
    connrules_add(netb_names, &r);
    return 0;
}

static int take_pin(const u8 *data, u32 len)
{
    const char *name = len > 16 ? plan_string(data, len, 16, 0) : NULL;
    if (!name) return -EINVAL;
    connrules_pin(netb_names, name, data);
    return netb_dns_fixed(name, data);
}

/* Names: PLAN_DNS comes first, then the rules and what is pinned from the start. */
static int take_names(const struct plan_record *rec, const u8 *data)
{
    if (rec->kind == PLAN_DNS) {
        if (netb_names) return -EINVAL;
        netb_names = connrules_new();
        return netb_dns_init(data, rec->len);
    }
    if (rec->kind != PLAN_CONN_RULE && rec->kind != PLAN_NET_PIN) return 0;
    if (!netb_names) return -EINVAL;
    return rec->kind == PLAN_CONN_RULE ? take_rule(data, rec->len) : take_pin(data, rec->len);
}

static int read_plan(int fd)
{
    u8 *buf;
    size_t len;
    int err = plan_read_fd(fd, &buf, &len);
    if (err) return err;
    struct plan_reader rd = { .buf = buf, .len = len };
    struct plan_record rec;
    const u8 *data;
    bool seen = false;
    while ((err = plan_next(&rd, &rec, &data)) == 1) {
        if (rec.kind != PLAN_NET) {
            if ((err = take_names(&rec, data))) break;
            continue;
        }
        if (seen || (err = net_rules_parse(&netb_rules, data, rec.len))) {
            err = -EINVAL;
            break;
        }
        seen = true;
    }
    free(buf);
    return err ? err : seen && netb_rules.head.mode == PLAN_NET_HOST ? 0 : -EINVAL;
}

static void NORETURN fail(const char *what, int err)
{
    log_error("%s: %s", what, strerror(-err));
    exit(1);
}

int main(int argc, char **argv)
{
    struct rpc_server_args args;
    int err = rpc_server_args("sundog-netbroker", argc, argv, &args);
    if (err) return err;
    signal(SIGPIPE, SIG_IGN);
    err = read_plan(args.plan_fd);
    if (err) fail("plan", err);
    close(args.plan_fd);
    if ((err = netb_info_init())) fail("looking at the network", err);
    /* Ports below 1024, if the caller could have them and the rules let them. */
    struct hostjail_opts jail = { .name = "sundog-netbroker", .keep_caps = 1ULL << CAP_NET_BIND_SERVICE, .empty_root = true, .trap = args.debug };
    if ((err = hostjail_enter(&jail))) fail("cannot isolate itself", err);
    if ((err = hostjail_load_filter(&jail))) fail("seccomp filter", err);
    if ((err = netb_serve(args.socks, args.nsocks))) fail("serve", err);
    return 0;
}
