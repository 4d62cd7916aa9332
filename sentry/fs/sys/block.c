/* /sys/block: one directory a loop device. Documentation/ABI/stable/sysfs-block, drivers/block/loop.c (loop_attribute_group) */
#include "sentry/base/alloc.h"
#include "sentry/fs/dev/dev.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/sys/sysfs.h"

#include <dirent.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>

/* A node's id is the device's number. */
#define LOOP_FILE(field, ...)                                                                       \
    static int show_##field(struct synth_node *n, struct strbuf *b)                                 \
    {                                                                                               \
        struct loop_state s;                                                                        \
        if (!loop_state_get((unsigned)n->id, &s)) return -ENODEV;                                   \
        strbuf_printf(b, __VA_ARGS__);                                                              \
        if (s.backing) file_put(s.backing);                                                         \
        return 0;                                                                                   \
    }
LOOP_FILE(dev, "%u:%u\n", LOOP_MAJOR_NR, (unsigned)n->id)
LOOP_FILE(size, "%llu\n", (unsigned long long)(s.size / 512))
LOOP_FILE(ro, "%d\n", s.read_only)
LOOP_FILE(block_size, "%u\n", s.block)
LOOP_FILE(offset, "%llu\n", (unsigned long long)s.offset)
LOOP_FILE(sizelimit, "%llu\n", (unsigned long long)s.sizelimit)
LOOP_FILE(autoclear, "%d\n", !!(s.flags & LO_FLAGS_AUTOCLEAR))
LOOP_FILE(partscan, "%d\n", !!(s.flags & LO_FLAGS_PARTSCAN))
LOOP_FILE(dio, "%d\n", !!(s.flags & LO_FLAGS_DIRECT_IO))

static int show_0(struct synth_node *n UNUSED, struct strbuf *b)
{
    strbuf_printf(b, "0\n");
    return 0;
}

static int show_backing_file(struct synth_node *n, struct strbuf *b)
{
    struct loop_state s;
    char text[KPATH_MAX];
    if (!loop_state_get((unsigned)n->id, &s)) return -ENODEV;
    if (!s.backing) return 0;
    struct path root, p;
    fs_get_root(current->fs, &root);
    file_get_path(s.backing, &p);
    int r = proc_path_text(&p, &root, text, sizeof text);
    path_put(&p);
    path_put(&root);
    file_put(s.backing);
    if (r < 0) return r;
    strbuf_printf(b, "%s\n", text);
    return 0;
}

static bool is_bound(struct synth_node *n)
{
    struct loop_state s;
    if (!loop_state_get((unsigned)n->id, &s) || !s.backing) return false;
    file_put(s.backing);
    return true;
}

static const struct synth_entry loop_dir[] = {
    SYNTH_FILE("autoclear", show_autoclear), SYNTH_FILE("backing_file", show_backing_file), SYNTH_FILE("dio", show_dio),
    SYNTH_FILE("offset", show_offset), SYNTH_FILE("partscan", show_partscan), SYNTH_FILE("sizelimit", show_sizelimit), { 0 } };
static const struct synth_entry queue_dir[] = {
    SYNTH_FILE("logical_block_size", show_block_size), SYNTH_FILE("physical_block_size", show_block_size),
    SYNTH_FILE("rotational", show_0), { 0 } };
static const struct synth_entry disk_dir[] = {
    SYNTH_FILE("dev", show_dev), SYNTH_FILE("removable", show_0), SYNTH_FILE("ro", show_ro), SYNTH_FILE("size", show_size),
    SYNTH_DIR("queue", queue_dir), { .name = "loop", .mode = S_IFDIR | 0555, .children = loop_dir, .exists = is_bound }, { 0 } };

/* Where the three trees name a device: /sys/devices/virtual/block/loop0, /sys/block/loop0, /sys/dev/block/7:0. */
enum view { DEVICES, BLOCK, DEV_BLOCK };

static void name_of(enum view v, unsigned i, char name[32])
{
    if (v == DEV_BLOCK) snprintf(name, 32, "%u:%u", LOOP_MAJOR_NR, i);
    else snprintf(name, 32, "loop%u", i);
}

static int readlink_block(struct synth_node *n, char **out)
{
    *out = xasprintf("../devices/virtual/block/loop%u", (unsigned)n->id);
    return 0;
}
static int readlink_dev_block(struct synth_node *n, char **out)
{
    *out = xasprintf("../../devices/virtual/block/loop%u", (unsigned)n->id);
    return 0;
}
static const struct synth_entry entries[] = {
    [DEVICES] = { .name = "disk", .mode = S_IFDIR | 0555, .children = disk_dir },
    [BLOCK] = { .name = "link", .mode = S_IFLNK | 0777, .readlink = readlink_block },
    [DEV_BLOCK] = { .name = "link", .mode = S_IFLNK | 0777, .readlink = readlink_dev_block },
};

static int lookup(enum view v, const char *name, struct synth_node *child)
{
    for (unsigned i = 0; i < LOOP_MAX; i++) {
        char have[32];
        name_of(v, i, have);
        if (strcmp(name, have)) continue;
        if (!loop_state_get(i, NULL)) break;
        *child = (struct synth_node){ .e = &entries[v], .id = i };
        return 0;
    }
    return -ENOENT;
}

static bool next(enum view v, s64 from, s64 *id, char name[32], u8 *dtype)
{
    for (s64 i = from; i < (s64)LOOP_MAX; i++) {
        if (!loop_state_get((unsigned)i, NULL)) continue;
        *id = i;
        name_of(v, (unsigned)i, name);
        *dtype = v == DEVICES ? DT_DIR : DT_LNK;
        return true;
    }
    return false;
}

#define TREE(fn, v)                                                                                 \
    int fn##_lookup(struct synth_node *dir UNUSED, const char *name, struct synth_node *child) { return lookup(v, name, child); } \
    bool fn##_next(struct synth_node *dir UNUSED, s64 from, s64 *id, char name[32], u8 *dtype) { return next(v, from, id, name, dtype); }
TREE(sys_disk, DEVICES)
TREE(sys_block, BLOCK)
TREE(sys_dev_block, DEV_BLOCK)
