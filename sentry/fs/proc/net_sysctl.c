/*
 * /proc/sys/net: the host namespace's values where its network is used, else those of the loopback inside. Only the
 * settings of lo that mean something, and the range of ephemeral ports, can be written.
 */
#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/ns.h"
#include "sentry/net/host.h"
#include "sentry/net/inet.h"
#include "sentry/net/inet_ns.h"
#include "sentry/net/socket.h"

#include <dirent.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int take_text(void *b, const u8 *p, size_t n)
{
    for (size_t i = 0; i < n; i++) strbuf_printf(b, "%c", p[i]);
    return 0;
}

static const struct { const char *dir, *name, *text; } table[] = {
#define ROW(dir, name, text) { dir, name, text },
    NETB_SYSCTLS(ROW)
};

static int show(struct synth_node *n, struct strbuf *b)
{
    u32 which = NETB_PROC_END + (u32)n->id;
    if (net_plan.head.mode == PLAN_NET_HOST) return netb_call_pieces(NETB_PROC, &which, sizeof which, NULL, 0, take_text, b);
    strbuf_printf(b, "%s\n", table[n->id].text);
    return 0;
}
static const struct synth_entry file = SYNTH_FILE("sysctl", show);

/* The range of the sandbox's own loopback may be changed; the host's may not. */
static int show_port_range(struct synth_node *n UNUSED, struct strbuf *b)
{
    u16 min, max;
    inet_port_range(&min, &max);
    strbuf_printf(b, "%u\t%u\n", min, max);
    return 0;
}
static int store_port_range(struct synth_node *n UNUSED, char *text, size_t len UNUSED)
{
    unsigned min, max;
    if (!capable(CAP_NET_ADMIN)) return -EPERM;
    return sscanf(text, "%u %u", &min, &max) == 2 ? inet_set_port_range(min, max) : -EINVAL;
}
static const struct synth_entry port_range = {
    .name = "sysctl", .mode = S_IFREG | 0644, .show = show_port_range, .store = store_port_range };

/* --- settings of the loopback's namespace --- */

static bool own_settings(void) { return current_net() || net_plan.head.mode != PLAN_NET_HOST; }

static const struct { const char *dir, *name; s32 min, max; } settings[INET_SETTINGS_N] = {
#define SETTING(id, dir, file, v, min, max) [IS_##id] = { dir, file, min, max },
    INET_SETTINGS(SETTING)
};
#define SETTING_ID 1000            /* ids from here on, in one directory with the table's */

static int show_setting(struct synth_node *n, struct strbuf *b)
{
    strbuf_printf(b, "%d\n", inet_setting(current_net(), (enum inet_setting)(n->id - SETTING_ID)));
    return 0;
}

static int store_setting(struct synth_node *n, char *text, size_t len UNUSED)
{
    struct net_ns *net = current_net();
    s64 i = n->id - SETTING_ID;
    char *end;
    long v = strtol(text, &end, 10);

    if (!ns_capable(net ? net->ns.owner : NULL, CAP_NET_ADMIN)) return -EPERM;
    if (end == text || v < settings[i].min || v > settings[i].max) return -EINVAL;
    atomic_store(&inet_ns(net)->set[i], (s32)v);
    return 0;
}
static const struct synth_entry setting = { .name = "sysctl", .mode = S_IFREG | 0644, .show = show_setting, .store = store_setting };

static s64 find_setting(const char *dir, const char *name)
{
    for (size_t i = 0; i < INET_SETTINGS_N && own_settings(); i++)
        if (!strcmp(dir, settings[i].dir) && !strcmp(name, settings[i].name)) return (s64)i;
    return -1;
}

static bool here(struct synth_node *dir, size_t i)
{
    if (find_setting(table[i].dir, table[i].name) >= 0) return false;
    return !strcmp(table[i].dir, dir->e->name) && (table[i].text || net_plan.head.mode == PLAN_NET_HOST);
}

int proc_sys_net_lookup(struct synth_node *dir, const char *name, struct synth_node *child)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (here(dir, i) && !strcmp(name, table[i].name)) {
            bool own = net_plan.head.mode != PLAN_NET_HOST && !strcmp(name, "ip_local_port_range");
            *child = (struct synth_node){ .e = own ? &port_range : &file, .id = (s64)i };
            return 0;
        }
    s64 k = find_setting(dir->e->name, name);
    if (k < 0) return -ENOENT;
    *child = (struct synth_node){ .e = &setting, .id = SETTING_ID + k };
    return 0;
}

bool proc_sys_net_next(struct synth_node *dir, s64 from, s64 *id, char name[32], u8 *dtype)
{
    for (size_t i = (size_t)from; i < ARRAY_LEN(table); i++)
        if (here(dir, i)) {
            *id = (s64)i;
            snprintf(name, 32, "%s", table[i].name);
            *dtype = DT_REG;
            return true;
        }
    for (s64 k = MAX(from - SETTING_ID, (s64)0); k < INET_SETTINGS_N && own_settings(); k++)
        if (!strcmp(dir->e->name, settings[k].dir)) {
            *id = SETTING_ID + k;
            snprintf(name, 32, "%s", settings[k].name);
            *dtype = DT_REG;
            return true;
        }
    return false;
}

static int show_lo(enum lo_setting which, struct strbuf *b)
{
    strbuf_printf(b, "%u\n", atomic_load(lo_setting(current_net(), which)));
    return 0;
}

static int store_lo(enum lo_setting which, const char *text)
{
    struct net_ns *n = current_net();
    char *end;
    long v = strtol(text, &end, 10);

    if (!ns_capable(n ? n->ns.owner : NULL, 12 /* CAP_NET_ADMIN */)) return -EPERM;
    if (end == text || v < INT32_MIN || v > INT32_MAX) return -EINVAL;
    atomic_store(lo_setting(n, which), (u32)v);
    return 0;
}

#define LO_FILE(which, fn)                                                                                                   \
    static int show_##fn(struct synth_node *n UNUSED, struct strbuf *b) { return show_lo(which, b); }                        \
    static int store_##fn(struct synth_node *n UNUSED, char *text, size_t len UNUSED) { return store_lo(which, text); }
LO_FILE(LO_ACCEPT_LOCAL, accept_local)
LO_FILE(LO_ROUTE_LOCALNET, route_localnet)

static const struct synth_entry lo_dir[] = {
    { .name = "accept_local", .mode = S_IFREG | 0644, .show = show_accept_local, .store = store_accept_local },
    { .name = "route_localnet", .mode = S_IFREG | 0644, .show = show_route_localnet, .store = store_route_localnet }, { 0 } };
static bool own_loopback(struct synth_node *n UNUSED) { return current_net() || net_plan.head.mode == PLAN_NET_LOOPBACK; }
static const struct synth_entry conf_dir[] = { SYNTH_DIR("lo", lo_dir), { 0 } };
const struct synth_entry proc_sys_net_ipv4[] = {
    { .name = "conf", .mode = S_IFDIR | 0555, .children = conf_dir, .exists = own_loopback }, { 0 } };
