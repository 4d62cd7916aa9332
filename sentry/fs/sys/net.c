/* /sys/class/net: one directory an interface, made when it is looked at. Documentation/ABI/testing/sysfs-class-net */
#include "sentry/fs/sys/sysfs.h"
#include "sentry/net/links.h"

#include <dirent.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A node's id is the interface's index. */
static int with_link(struct synth_node *n, struct net_link *out)
{
    size_t count;
    int r = -ENODEV;
    struct net_link *v = net_links_get(&count);
    for (size_t i = 0; i < count; i++)
        if (v[i].index == (u32)n->id) {
            *out = v[i];
            r = 0;
        }
    free(v);
    return r;
}

static int put_hw(struct strbuf *b, const u8 *a, unsigned len)
{
    for (unsigned i = 0; i < len; i++) strbuf_printf(b, i ? ":%02x" : "%02x", a[i]);
    strbuf_printf(b, "\n");
    return 0;
}

#define LINK_FILE(field, ...)                                                                       \
    static int show_##field(struct synth_node *n, struct strbuf *b)                                 \
    {                                                                                               \
        struct net_link l;                                                                          \
        int r = with_link(n, &l);                                                                   \
        if (!r) strbuf_printf(b, __VA_ARGS__);                                                      \
        return r;                                                                                   \
    }
LINK_FILE(mtu, "%u\n", l.mtu)
LINK_FILE(flags, "0x%x\n", l.flags & 0xffff & ~(u32)(IFF_RUNNING))
LINK_FILE(type, "%u\n", l.type)
LINK_FILE(ifindex, "%u\n", l.index)
LINK_FILE(iflink, "%u\n", l.iflink)
LINK_FILE(addr_len, "%u\n", l.addr_len)
LINK_FILE(tx_queue_len, "%u\n", l.txqlen)
LINK_FILE(netdev_group, "%u\n", l.group)
LINK_FILE(link_mode, "%u\n", l.linkmode)
LINK_FILE(ifalias, "%s%s", l.alias, l.alias[0] ? "\n" : "")

static int show_address(struct synth_node *n, struct strbuf *b)
{
    struct net_link l;
    int r = with_link(n, &l);
    return r ? r : put_hw(b, l.addr, l.addr_len);
}
static int show_broadcast(struct synth_node *n, struct strbuf *b)
{
    struct net_link l;
    int r = with_link(n, &l);
    return r ? r : put_hw(b, l.broadcast, l.addr_len);
}
static int show_carrier(struct synth_node *n, struct strbuf *b)
{
    struct net_link l;
    int r = with_link(n, &l);
    if (!r && !(l.flags & IFF_UP)) return -EINVAL;
    if (!r) strbuf_printf(b, "%u\n", l.carrier);
    return r;
}
static int show_operstate(struct synth_node *n, struct strbuf *b)
{
    static const char *const names[] = { "unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up" };
    struct net_link l;
    int r = with_link(n, &l);
    if (!r) strbuf_printf(b, "%s\n", l.operstate < ARRAY_LEN(names) ? names[l.operstate] : "unknown");
    return r;
}

/* Statistics; the place in struct rtnl_link_stats64 is in the upper half of the id. */
static const char *const stat_names[NET_LINK_STATS] = {
    "rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_errors", "tx_errors", "rx_dropped", "tx_dropped", "multicast", "collisions",
    "rx_length_errors", "rx_over_errors", "rx_crc_errors", "rx_frame_errors", "rx_fifo_errors", "rx_missed_errors", "tx_aborted_errors",
    "tx_carrier_errors", "tx_fifo_errors", "tx_heartbeat_errors", "tx_window_errors", "rx_compressed", "tx_compressed", "rx_nohandler",
};
static int show_stat(struct synth_node *n, struct strbuf *b)
{
    struct synth_node of = { .id = n->id & UINT32_MAX };
    struct net_link l;
    int r = with_link(&of, &l);
    if (!r) strbuf_printf(b, "%llu\n", (unsigned long long)l.stats[n->id >> 32]);
    return r;
}
static const struct synth_entry stat_entry = SYNTH_FILE("stat", show_stat);

static int stat_lookup(struct synth_node *dir, const char *name, struct synth_node *child)
{
    for (size_t i = 0; i < ARRAY_LEN(stat_names); i++)
        if (!strcmp(name, stat_names[i])) {
            *child = (struct synth_node){ .e = &stat_entry, .id = (dir->id & UINT32_MAX) | (s64)i << 32 };
            return 0;
        }
    return -ENOENT;
}
static bool stat_next(struct synth_node *dir UNUSED, s64 from, s64 *id, char name[32], u8 *dtype)
{
    if (from >= (s64)ARRAY_LEN(stat_names)) return false;
    *id = from;
    snprintf(name, 32, "%s", stat_names[from]);
    *dtype = DT_REG;
    return true;
}

static const struct synth_entry none[] = { { 0 } };
static const struct synth_entry link_dir[] = {
    SYNTH_FILE("addr_len", show_addr_len), SYNTH_FILE("address", show_address), SYNTH_FILE("broadcast", show_broadcast),
    SYNTH_FILE("carrier", show_carrier), SYNTH_FILE("flags", show_flags), SYNTH_FILE("ifalias", show_ifalias), SYNTH_FILE("ifindex", show_ifindex),
    SYNTH_FILE("iflink", show_iflink), SYNTH_FILE("link_mode", show_link_mode), SYNTH_FILE("mtu", show_mtu), SYNTH_FILE("netdev_group", show_netdev_group),
    SYNTH_FILE("operstate", show_operstate), SYNTH_FILE("tx_queue_len", show_tx_queue_len), SYNTH_FILE("type", show_type),
    { .name = "statistics", .mode = S_IFDIR | 0555, .children = none, .lookup = stat_lookup, .next = stat_next }, { 0 } };
static const struct synth_entry link_entry = { .name = "link", .mode = S_IFDIR | 0555, .children = link_dir };

int sys_net_lookup(struct synth_node *dir UNUSED, const char *name, struct synth_node *child)
{
    size_t count;
    int r = -ENOENT;
    struct net_link *v = net_links_get(&count);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(v[i].name, name)) {
            *child = (struct synth_node){ .e = &link_entry, .id = v[i].index };
            r = 0;
        }
    free(v);
    return r;
}

bool sys_net_next(struct synth_node *dir UNUSED, s64 from, s64 *id, char name[32], u8 *dtype)
{
    size_t count, i = 0;
    struct net_link *v = net_links_get(&count);
    while (i < count && (s64)v[i].index < from) i++;
    bool found = i < count;
    if (found) {
        *id = v[i].index;
        snprintf(name, 32, "%s", v[i].name);
        *dtype = DT_DIR;
    }
    free(v);
    return found;
}
