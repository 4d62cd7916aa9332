/* linux.resources to the files of cgroup v1 and v2. Sources: Documentation/admin-guide/cgroup-v1, cgroup-v2.rst */
#include "runtime/oci/cgroup.h"
#include "runtime/oci/oci.h"
#include "sentry/base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct target { char *const *dirs; unsigned n; int r; };

static const char *dir_with(const struct target *t, const char *file)
{
    for (unsigned i = 0; i < t->n; i++)
        if (cgroup_has(t->dirs[i], file)) return t->dirs[i];
    return NULL;
}

/* The first failure is kept; later ones are not tried. */
static void put(struct target *t, const char *file, const char *value)
{
    const char *dir = dir_with(t, file);
    if (t->r) return;
    int r = dir ? cgroup_write(dir, file, value) : -ENOENT;
    if (r) t->r = oci_fail("cgroup: writing \"%s\" to %s: %s", value, file,
                           r == -ENOENT ? "no such file or directory: this host has no such limit" : strerror(-r));
}

static void put_s64(struct target *t, const char *file, s64 v)
{
    char s[32];
    snprintf(s, sizeof(s), "%" PRId64, v);
    put(t, file, s);
}

static void put_u64(struct target *t, const char *file, u64 v)
{
    char s[32];
    snprintf(s, sizeof(s), "%" PRIu64, v);
    put(t, file, s);
}

/*
 * The container's tasks are counted by the sentry. One of them takes up to three of the host's (a thread of the sentry, a
 * stub's process and its thread), which may outlive it for a moment; supervisor, gofer, broker, execs are some more.
 */
static void put_pids(struct target *t, s64 pids)
{
    if (pids > 0 && pids < (INT32_MAX - 64) / 4) put_s64(t, "pids.max", 4 * pids + 64);
    else put(t, "pids.max", "max");
}

/* --- v1 --- */

static void v1_memory(struct target *t, const struct oci_resources *r)
{
    __typeof__(r->memory) const *m = &r->memory;
    bool swap = m->has_swap && m->swap, memsw = dir_with(t, "memory.memsw.limit_in_bytes");
    if (swap && !memsw && m->swap > 0 && !(m->has_limit && m->swap >= m->limit)) put_s64(t, "memory.memsw.limit_in_bytes", m->swap); /* says why */
    if (m->has_limit && m->limit) {
        /* The two may never cross: raise the outer first, lower it last. */
        const char *dir = dir_with(t, "memory.limit_in_bytes");
        AUTO_FREE char *now = dir ? cgroup_read(dir, "memory.limit_in_bytes") : NULL;
        bool raise = now && m->limit > 0 ? strtoll(now, NULL, 10) < m->limit : m->limit < 0;
        if (raise && swap && memsw) put_s64(t, "memory.memsw.limit_in_bytes", m->swap), swap = false;
        if (raise && !swap && memsw && !m->has_swap) put_s64(t, "memory.memsw.limit_in_bytes", -1);
        put_s64(t, "memory.limit_in_bytes", m->limit);
    }
    if (swap && memsw) put_s64(t, "memory.memsw.limit_in_bytes", m->swap);
    if (m->has_reservation && m->reservation) put_s64(t, "memory.soft_limit_in_bytes", m->reservation);
    if (m->has_kernel_tcp && m->kernel_tcp && dir_with(t, "memory.kmem.tcp.limit_in_bytes")) put_s64(t, "memory.kmem.tcp.limit_in_bytes", m->kernel_tcp);
    if (m->has_swappiness && dir_with(t, "memory.swappiness")) put_u64(t, "memory.swappiness", m->swappiness);
    if (m->has_oom && m->disable_oom) put(t, "memory.oom_control", "1");
}

static void v1_cpu(struct target *t, const struct oci_resources *r)
{
    __typeof__(r->cpu) const *c = &r->cpu;
    if (c->has_shares && c->shares) put_u64(t, "cpu.shares", c->shares);
    /* The kernel checks a quota against the period it has; the pair may need the other order. */
    if (c->has_period && c->period) {
        const char *dir = dir_with(t, "cpu.cfs_period_us");
        char v[32];
        snprintf(v, sizeof(v), "%" PRIu64, c->period);
        if (dir && cgroup_write(dir, "cpu.cfs_period_us", v) && c->has_quota) {
            put_s64(t, "cpu.cfs_quota_us", c->quota);
            put(t, "cpu.cfs_period_us", v);
        } else if (!dir) put(t, "cpu.cfs_period_us", v);
    }
    if (c->has_quota && c->quota) put_s64(t, "cpu.cfs_quota_us", c->quota);
    if (c->has_burst) put_u64(t, "cpu.cfs_burst_us", c->burst);
    if (c->has_rt_period && c->rt_period) put_u64(t, "cpu.rt_period_us", c->rt_period);
    if (c->has_rt_runtime && c->rt_runtime) put_s64(t, "cpu.rt_runtime_us", c->rt_runtime);
    if (c->has_idle) put_s64(t, "cpu.idle", c->idle);
    if (c->cpus && c->cpus[0]) put(t, "cpuset.cpus", c->cpus);
    if (c->mems && c->mems[0]) put(t, "cpuset.mems", c->mems);
}

static void v1_blkio(struct target *t, const struct oci_resources *r)
{
    static const char *const files[4] = { "blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device", "blkio.throttle.read_iops_device",
                                          "blkio.throttle.write_iops_device" };
    const char *weight = dir_with(t, "blkio.weight") ? "blkio.weight" : dir_with(t, "blkio.bfq.weight") ? "blkio.bfq.weight" : "blkio.weight";
    if (r->blkio.has_weight && r->blkio.weight) put_u64(t, weight, r->blkio.weight);
    if (r->blkio.has_leaf && r->blkio.leaf) put_u64(t, "blkio.leaf_weight", r->blkio.leaf);
    char v[96];
    for (unsigned i = 0; i < r->blkio.ndev; i++) {
        const struct oci_weight *w = &r->blkio.dev[i];
        snprintf(v, sizeof(v), "%" PRId64 ":%" PRId64 " %u", w->major, w->minor, w->weight);
        if (w->has_weight) put(t, dir_with(t, "blkio.weight_device") ? "blkio.weight_device" : "blkio.bfq.weight_device", v);
        snprintf(v, sizeof(v), "%" PRId64 ":%" PRId64 " %u", w->major, w->minor, w->leaf);
        if (w->has_leaf) put(t, "blkio.leaf_weight_device", v);
    }
    for (int k = 0; k < 4; k++)
        for (unsigned i = 0; i < r->blkio.nt[k]; i++) {
            const struct oci_throttle *x = &r->blkio.t[k][i];
            snprintf(v, sizeof(v), "%" PRId64 ":%" PRId64 " %" PRIu64, x->major, x->minor, x->rate);
            put(t, files[k], v);
        }
}

static void device_rule(struct target *t, bool allow, char type, s64 major, s64 minor, const char *access)
{
    char v[96], a[24] = "*", b[24] = "*";
    if (major >= 0) snprintf(a, sizeof(a), "%" PRId64, major);
    if (minor >= 0) snprintf(b, sizeof(b), "%" PRId64, minor);
    if (type == 'a' && major < 0 && minor < 0) snprintf(v, sizeof(v), "a");
    else snprintf(v, sizeof(v), "%c %s:%s %s", type, a, b, access);
    if (!access[0]) return;
    put(t, allow ? "devices.allow" : "devices.deny", v);
}

/* The guest reaches no device of the host's; these bind the sandbox's own processes, which need a few. */
static void v1_devices(struct target *t, const struct oci_resources *r)
{
    static const struct { s64 major, minor; } needed[] = { { 1, 3 }, { 1, 5 }, { 1, 7 }, { 1, 8 }, { 1, 9 }, { 5, 0 }, { 5, 1 }, { 5, 2 }, { 136, -1 }, { 10, 232 } };
    if (!r->ndevices || !dir_with(t, "devices.allow")) return;
    for (unsigned i = 0; i < r->ndevices; i++) {
        const struct oci_device_rule *d = &r->devices[i];
        device_rule(t, d->allow, d->type, d->major, d->minor, d->access);
    }
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) device_rule(t, true, 'c', needed[i].major, needed[i].minor, "rwm");
}

static void v1_rest(struct target *t, const struct oci_resources *r)
{
    char file[96], v[96];
    if (r->has_pids && r->pids) put_pids(t, r->pids);
    for (unsigned i = 0; i < r->nhuge; i++) {
        snprintf(file, sizeof(file), "hugetlb.%.40s.limit_in_bytes", r->huge[i].size);
        put_u64(t, file, r->huge[i].limit);
    }
    if (r->has_classid && r->classid) put_u64(t, "net_cls.classid", r->classid);
    for (unsigned i = 0; i < r->nprios; i++) {
        snprintf(v, sizeof(v), "%.60s %u", r->prios[i].name, r->prios[i].prio);
        put(t, "net_prio.ifpriomap", v);
    }
    for (unsigned i = 0; i < r->nrdma; i++) {
        char h[32] = "", o[32] = "";
        if (r->rdma[i].has_handles) snprintf(h, sizeof(h), " hca_handle=%u", r->rdma[i].handles);
        if (r->rdma[i].has_objects) snprintf(o, sizeof(o), " hca_object=%u", r->rdma[i].objects);
        snprintf(v, sizeof(v), "%.30s%s%s", r->rdma[i].dev, h, o);
        put(t, "rdma.max", v);
    }
}

int cgroup_v1_apply(char *const *dirs, unsigned n, const struct oci_resources *r, bool devices)
{
    struct target t = { .dirs = dirs, .n = n };
    if (r->nunified) return oci_fail("config.json: linux.resources.unified: this host has cgroup v1");
    v1_memory(&t, r);
    v1_cpu(&t, r);
    v1_blkio(&t, r);
    v1_rest(&t, r);
    if (devices) v1_devices(&t, r);
    return t.r;
}

/* --- v2 --- */

static void put_max(struct target *t, const char *file, s64 v)
{
    if (v < 0) put(t, file, "max");
    else put_s64(t, file, v);
}

static void v2_memory(struct target *t, const struct oci_resources *r)
{
    __typeof__(r->memory) const *m = &r->memory;
    if (m->has_swap && m->swap) {
        /* v1's figure is of both together */
        if (m->swap < 0) put(t, "memory.swap.max", "max");
        else if (!m->has_limit || m->limit < 0) t->r = t->r ? t->r : oci_fail("config.json: linux.resources.memory.swap: a swap limit needs a memory limit");
        else if (m->swap < m->limit) t->r = t->r ? t->r : oci_fail("config.json: linux.resources.memory.swap: below the memory limit");
        else put_s64(t, "memory.swap.max", m->swap - m->limit);
    }
    if (m->has_limit && m->limit) put_max(t, "memory.max", m->limit);
    if (m->has_reservation && m->reservation) put_max(t, "memory.low", m->reservation);
}

static void v2_cpu(struct target *t, const struct oci_resources *r)
{
    __typeof__(r->cpu) const *c = &r->cpu;
    char v[64];
    u64 shares = MAX(c->shares, (u64)2);
    shares = MIN(shares, (u64)262144);
    if (c->has_shares && c->shares) put_u64(t, "cpu.weight", 1 + ((shares - 2) * 9999) / 262142);
    if (c->has_quota || c->has_period) {
        u64 period = c->has_period && c->period ? c->period : 100000;
        if (c->has_quota && c->quota > 0) snprintf(v, sizeof(v), "%" PRId64 " %" PRIu64, c->quota, period);
        else snprintf(v, sizeof(v), "max %" PRIu64, period);
        put(t, "cpu.max", v);
    }
    if (c->has_burst) put_u64(t, "cpu.max.burst", c->burst);
    if (c->has_idle) put_s64(t, "cpu.idle", c->idle);
    if (c->cpus && c->cpus[0]) put(t, "cpuset.cpus", c->cpus);
    if (c->mems && c->mems[0]) put(t, "cpuset.mems", c->mems);
}

static void v2_io(struct target *t, const struct oci_resources *r)
{
    static const char *const keys[4] = { "rbps", "wbps", "riops", "wiops" };
    char v[96];
    if (r->blkio.has_weight && r->blkio.weight) {
        if (dir_with(t, "io.bfq.weight")) put_u64(t, "io.bfq.weight", r->blkio.weight);
        else {
            snprintf(v, sizeof(v), "default %u", 1 + (MAX(r->blkio.weight, 10u) - 10) * 9999 / 990);
            put(t, "io.weight", v);
        }
    }
    for (int k = 0; k < 4; k++)
        for (unsigned i = 0; i < r->blkio.nt[k]; i++) {
            const struct oci_throttle *x = &r->blkio.t[k][i];
            snprintf(v, sizeof(v), "%" PRId64 ":%" PRId64 " %s=%" PRIu64, x->major, x->minor, keys[k], x->rate);
            put(t, "io.max", v);
        }
}

int cgroup_v2_apply(const char *dir, const struct oci_resources *r)
{
    char *dirs[1] = { (char *)(uintptr_t)dir };
    struct target t = { .dirs = dirs, .n = 1 };
    char file[96];
    v2_memory(&t, r);
    v2_cpu(&t, r);
    v2_io(&t, r);
    if (r->has_pids && r->pids) put_pids(&t, r->pids);
    for (unsigned i = 0; i < r->nhuge; i++) {
        snprintf(file, sizeof(file), "hugetlb.%.40s.max", r->huge[i].size);
        put_u64(&t, file, r->huge[i].limit);
    }
    for (unsigned i = 0; i < r->nunified; i++) put(&t, r->unified[i].key, r->unified[i].value);
    return t.r;
}
