/* /sys: what programs probe at start: CPUs, memory policy, loopback. Documentation/ABI/ */
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/sys/sysfs.h"

#include <dirent.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONST_FILE(fn, text) static int fn(struct synth_node *n UNUSED, struct strbuf *b) { strbuf_printf(b, "%s\n", text); return 0; }

static int show_cpu_list(struct synth_node *n UNUSED, struct strbuf *b)
{
    if (kernel_ncpus() > 1) strbuf_printf(b, "0-%u\n", kernel_ncpus() - 1);
    else strbuf_printf(b, "0\n");
    return 0;
}
static int show_core_id(struct synth_node *n, struct strbuf *b) { strbuf_printf(b, "%lld\n", (long long)n->id); return 0; }
/* CPUs first..last as the kernel prints a mask: 32-bit groups, highest first. */
static int cpu_mask(struct strbuf *b, unsigned first, unsigned last)
{
    unsigned words = (kernel_ncpus() + 31) / 32;
    for (unsigned w = words; w-- > 0;) {
        u32 v = 0;
        for (unsigned i = 0; i < 32; i++)
            if (w * 32 + i >= first && w * 32 + i <= last) v |= 1u << i;
        strbuf_printf(b, w + 1 == words ? "%x" : ",%08x", v);
    }
    strbuf_printf(b, "\n");
    return 0;
}
static int show_cpu_mask(struct synth_node *n, struct strbuf *b) { return cpu_mask(b, (unsigned)n->id, (unsigned)n->id); }
static int show_all_cpus_mask(struct synth_node *n UNUSED, struct strbuf *b) { return cpu_mask(b, 0, kernel_ncpus() - 1); }
CONST_FILE(show_0, "0")
CONST_FILE(show_1, "1")
CONST_FILE(show_empty_line, "")
CONST_FILE(show_never, "always madvise [never]")
CONST_FILE(show_pmd_size, "2097152")
CONST_FILE(show_64, "64")

static const struct synth_entry topology_dir[] = {
    SYNTH_FILE("core_id", show_core_id), SYNTH_FILE("physical_package_id", show_0), SYNTH_FILE("thread_siblings", show_cpu_mask),
    SYNTH_FILE("thread_siblings_list", show_core_id), SYNTH_FILE("core_cpus_list", show_core_id), SYNTH_FILE("core_siblings_list", show_cpu_list),
    SYNTH_FILE("core_siblings", show_all_cpus_mask), SYNTH_FILE("core_cpus", show_cpu_mask), SYNTH_FILE("package_cpus", show_all_cpus_mask),
    SYNTH_FILE("package_cpus_list", show_cpu_list), { 0 } };
static const struct synth_entry cpu_n_dir[] = { SYNTH_DIR("topology", topology_dir), SYNTH_FILE("online", show_1), { 0 } };
static const struct synth_entry cpu_n = { .name = "cpuN", .mode = S_IFDIR | 0555, .children = cpu_n_dir };

static int lookup_cpu(struct synth_node *dir UNUSED, const char *name, struct synth_node *child)
{
    char *end;
    if (strncmp(name, "cpu", 3) || name[3] < '0' || name[3] > '9' || (name[3] == '0' && name[4])) return -ENOENT;
    unsigned long i = strtoul(name + 3, &end, 10);
    if (*end || i >= kernel_ncpus()) return -ENOENT;
    *child = (struct synth_node){ .e = &cpu_n, .id = (s64)i };
    return 0;
}
static bool next_cpu(struct synth_node *dir UNUSED, s64 from, s64 *id, char name[32], u8 *dtype)
{
    if (from >= (s64)kernel_ncpus()) return false;
    *id = from;
    snprintf(name, 32, "cpu%lld", (long long)from);
    *dtype = DT_DIR;
    return true;
}

static const struct synth_entry cpu_dir[] = {
    SYNTH_FILE("online", show_cpu_list), SYNTH_FILE("possible", show_cpu_list), SYNTH_FILE("present", show_cpu_list), SYNTH_FILE("offline", show_empty_line), { 0 } };
/* The one node has all the memory. */
static int show_node_meminfo(struct synth_node *n UNUSED, struct strbuf *b)
{
    u64 total, free_;
    proc_memory(&total, &free_);
    unsigned long long t = total / 1024, f = free_ / 1024;
    strbuf_printf(b, "Node 0 MemTotal:       %8llu kB\nNode 0 MemFree:        %8llu kB\nNode 0 MemUsed:        %8llu kB\n", t, f, t - f);
    strbuf_printf(b, "Node 0 FilePages:             0 kB\nNode 0 HugePages_Total:     0\nNode 0 HugePages_Free:      0\nNode 0 HugePages_Surp:      0\n");
    return 0;
}
static int show_numastat(struct synth_node *n UNUSED, struct strbuf *b)
{
    unsigned long long pages = memfile_allocated() >> GPAGE_SHIFT;
    strbuf_printf(b, "numa_hit %llu\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node %llu\nother_node 0\n", pages, pages);
    return 0;
}
CONST_FILE(show_10, "10")
static const struct synth_entry node0_dir[] = {
    SYNTH_FILE("cpulist", show_cpu_list), SYNTH_FILE("cpumap", show_all_cpus_mask), SYNTH_FILE("meminfo", show_node_meminfo),
    SYNTH_FILE("numastat", show_numastat), SYNTH_FILE("distance", show_10), { 0 } };
static const struct synth_entry node_dir[] = {
    SYNTH_FILE("online", show_0), SYNTH_FILE("possible", show_0), SYNTH_FILE("has_memory", show_0), SYNTH_FILE("has_normal_memory", show_0), SYNTH_FILE("has_cpu", show_0), SYNTH_DIR("node0", node0_dir), { 0 } };
static const struct synth_entry system_dir[] = {
    { .name = "cpu", .mode = S_IFDIR | 0555, .children = cpu_dir, .lookup = lookup_cpu, .next = next_cpu }, SYNTH_DIR("node", node_dir), { 0 } };
static const struct synth_entry none_dir[] = { { 0 } };
/* /sys/class/net in net.c, /sys/block in block.c */
#define SYS_NET_DIR { .name = "net", .mode = S_IFDIR | 0555, .children = none_dir, .lookup = sys_net_lookup, .next = sys_net_next }
#define SYS_BLOCK_DIR(fn) { .name = "block", .mode = S_IFDIR | 0555, .children = none_dir, .lookup = fn##_lookup, .next = fn##_next }
static const struct synth_entry virtual_dir[] = { SYS_NET_DIR, SYS_BLOCK_DIR(sys_disk), { 0 } };
static const struct synth_entry devices_dir[] = { SYNTH_DIR("system", system_dir), SYNTH_DIR("virtual", virtual_dir), { 0 } };
static const struct synth_entry class_dir[] = { SYS_NET_DIR, SYS_BLOCK_DIR(sys_block), SYNTH_DIR("tty", none_dir), { 0 } };
static const struct synth_entry thp_dir[] = { SYNTH_FILE("enabled", show_never), SYNTH_FILE("defrag", show_never), SYNTH_FILE("hpage_pmd_size", show_pmd_size), { 0 } };
static const struct synth_entry mm_dir[] = { SYNTH_DIR("transparent_hugepage", thp_dir), SYNTH_DIR("hugepages", none_dir), { 0 } };
static const struct synth_entry kernel_dir[] = { SYNTH_DIR("mm", mm_dir), SYNTH_DIR("debug", none_dir), SYNTH_FILE("address_bits", show_64), { 0 } };
static const struct synth_entry fs_dir[] = { SYNTH_DIR("cgroup", none_dir), { 0 } };
static const struct synth_entry dev_dir[] = { SYS_BLOCK_DIR(sys_dev_block), SYNTH_DIR("char", none_dir), { 0 } };
static const struct synth_entry root_dir[] = {
    SYS_BLOCK_DIR(sys_block), SYNTH_DIR("bus", none_dir), SYNTH_DIR("class", class_dir), SYNTH_DIR("dev", dev_dir), SYNTH_DIR("devices", devices_dir),
    SYNTH_DIR("firmware", none_dir), SYNTH_DIR("fs", fs_dir), SYNTH_DIR("kernel", kernel_dir), SYNTH_DIR("module", none_dir), SYNTH_DIR("power", none_dir), { 0 } };
static const struct synth_entry root_entry = { .name = "/", .mode = S_IFDIR | 0555, .children = root_dir };
static const struct super_ops sys_super_ops = { .name = "sysfs", .statfs = synth_statfs };

int sysfs_new(struct super **out) { return synth_new(&root_entry, &sys_super_ops, SYSFS_MAGIC, NULL, out); }
