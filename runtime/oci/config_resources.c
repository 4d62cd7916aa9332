/* linux.resources, also what `update --resources` is given. */
#include "runtime/oci/config.h"
#include "runtime/oci/oci.h"
#include "sentry/base/alloc.h"

#include <string.h>

static int memory_parse(struct oci_resources *r, const struct jn *n)
{
    __typeof__(r->memory) *m = &r->memory;
    struct jn t;
    if (jn_object(n) || jn_opt_s64(n, "limit", &m->limit, &m->has_limit) || jn_opt_s64(n, "reservation", &m->reservation, &m->has_reservation) ||
        jn_opt_s64(n, "swap", &m->swap, &m->has_swap) || jn_opt_s64(n, "kernel", &m->kernel, &m->has_kernel) ||
        jn_opt_s64(n, "kernelTCP", &m->kernel_tcp, &m->has_kernel_tcp) || jn_opt_u64(n, "swappiness", &m->swappiness, &m->has_swappiness) ||
        jn_opt_bool(n, "disableOOMKiller", &m->disable_oom) || jn_opt_bool(n, "useHierarchy", &m->use_hierarchy) ||
        jn_opt_bool(n, "checkBeforeUpdate", &m->check))
        return -1;
    m->has_oom = jn_get(n, "disableOOMKiller", &t);
    m->has_hier = jn_get(n, "useHierarchy", &t);
    if (m->has_swappiness && m->swappiness > 100) {
        jn_get(n, "swappiness", &t);
        return jn_fail(&t, "0 to 100 is wanted");
    }
    return 0;
}

static int cpu_parse(struct oci_resources *r, const struct jn *n)
{
    __typeof__(r->cpu) *c = &r->cpu;
    return jn_object(n) || jn_opt_u64(n, "shares", &c->shares, &c->has_shares) || jn_opt_s64(n, "quota", &c->quota, &c->has_quota) ||
           jn_opt_u64(n, "burst", &c->burst, &c->has_burst) || jn_opt_u64(n, "period", &c->period, &c->has_period) ||
           jn_opt_s64(n, "realtimeRuntime", &c->rt_runtime, &c->has_rt_runtime) || jn_opt_u64(n, "realtimePeriod", &c->rt_period, &c->has_rt_period) ||
           jn_opt_s64(n, "idle", &c->idle, &c->has_idle) || jn_opt_str(n, "cpus", &c->cpus) || jn_opt_str(n, "mems", &c->mems) ? -1 : 0;
}

static int majmin(const struct jn *e, s64 *major, s64 *minor)
{
    bool a = false, b = false;
    if (jn_object(e) || jn_opt_s64(e, "major", major, &a) || jn_opt_s64(e, "minor", minor, &b)) return -1;
    return a && b ? 0 : jn_fail(e, "major and minor are wanted");
}

static int blkio_parse(struct oci_resources *r, const struct jn *n)
{
    static const char *const keys[4] = { "throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice", "throttleWriteIOPSDevice" };
    __typeof__(r->blkio) *b = &r->blkio;
    struct jn list, e;
    unsigned len;
    if (jn_object(n) || jn_opt_u32(n, "weight", &b->weight, &b->has_weight) || jn_opt_u32(n, "leafWeight", &b->leaf, &b->has_leaf)) return -1;
    if (jn_get(n, "weightDevice", &list)) {
        if (jn_array(&list, &len)) return -1;
        b->dev = xzalloc((len + 1) * sizeof(*b->dev));
        for (unsigned i = 0; i < len; i++) {
            struct oci_weight *w = &b->dev[b->ndev++];
            jn_at(&list, i, &e);
            if (majmin(&e, &w->major, &w->minor) || jn_opt_u32(&e, "weight", &w->weight, &w->has_weight) ||
                jn_opt_u32(&e, "leafWeight", &w->leaf, &w->has_leaf))
                return -1;
        }
    }
    for (int k = 0; k < 4; k++) {
        if (!jn_get(n, keys[k], &list)) continue;
        if (jn_array(&list, &len)) return -1;
        b->t[k] = xzalloc((len + 1) * sizeof(*b->t[k]));
        for (unsigned i = 0; i < len; i++) {
            struct oci_throttle *t = &b->t[k][b->nt[k]++];
            jn_at(&list, i, &e);
            if (majmin(&e, &t->major, &t->minor) || jn_opt_u64(&e, "rate", &t->rate, NULL)) return -1;
        }
    }
    return 0;
}

static int devices_parse(struct oci_resources *r, const struct jn *n)
{
    unsigned len;
    struct jn e, t;
    if (jn_array(n, &len)) return -1;
    r->devices = xzalloc((len + 1) * sizeof(*r->devices));
    for (unsigned i = 0; i < len; i++) {
        struct oci_device_rule *d = &r->devices[r->ndevices++];
        const char *type = "a";
        *d = (struct oci_device_rule){ .major = -1, .minor = -1, .access = "rwm" };
        jn_at(n, i, &e);
        if (jn_object(&e) || jn_opt_bool(&e, "allow", &d->allow) || jn_opt_str(&e, "type", &type) || jn_opt_s64(&e, "major", &d->major, NULL) ||
            jn_opt_s64(&e, "minor", &d->minor, NULL) || jn_opt_str(&e, "access", &d->access))
            return -1;
        if (!type[0]) type = "a";
        if (strlen(type) != 1 || !strchr("abc", type[0])) {
            jn_get(&e, "type", &t);
            return jn_fail(&t, "`%s` is no type of device: a, b or c is wanted", type);
        }
        d->type = type[0];
        if (strspn(d->access, "rwm") != strlen(d->access)) {
            jn_get(&e, "access", &t);
            return jn_fail(&t, "`%s` has other letters than r, w, m", d->access);
        }
    }
    return 0;
}

static int huge_parse(struct oci_resources *r, const struct jn *n)
{
    unsigned len;
    struct jn e, t;
    if (jn_array(n, &len)) return -1;
    r->huge = xzalloc((len + 1) * sizeof(*r->huge));
    for (unsigned i = 0; i < len; i++) {
        jn_at(n, i, &e);
        if (jn_object(&e)) return -1;
        if (!jn_get(&e, "pageSize", &t)) return jn_fail(&e, "pageSize is missing");
        r->nhuge = i + 1;
        if (jn_str(&t, &r->huge[i].size) || jn_opt_u64(&e, "limit", &r->huge[i].limit, NULL)) return -1;
        if (!r->huge[i].size[0] || strchr(r->huge[i].size, '/')) return jn_fail(&t, "`%s` is no page size", r->huge[i].size);
    }
    return 0;
}

static int network_parse(struct oci_resources *r, const struct jn *n)
{
    struct jn list, e, t;
    unsigned len;
    if (jn_object(n) || jn_opt_u32(n, "classID", &r->classid, &r->has_classid)) return -1;
    if (!jn_get(n, "priorities", &list)) return 0;
    if (jn_array(&list, &len)) return -1;
    r->prios = xzalloc((len + 1) * sizeof(*r->prios));
    for (unsigned i = 0; i < len; i++) {
        jn_at(&list, i, &e);
        if (jn_object(&e)) return -1;
        if (!jn_get(&e, "name", &t)) return jn_fail(&e, "name is missing");
        r->nprios = i + 1;
        if (jn_str(&t, &r->prios[i].name) || jn_opt_u32(&e, "priority", &r->prios[i].prio, NULL)) return -1;
    }
    return 0;
}

static int unified_parse(struct oci_resources *r, const struct jn *n)
{
    if (jn_object(n)) return -1;
    r->unified = xzalloc(((size_t)json_object_object_length(n->o) + 1) * sizeof(*r->unified));
    json_object_object_foreach(n->o, key, val)
    {
        struct jn v = { .o = val, .key = key, .up = n };
        struct oci_pair *p = &r->unified[r->nunified++];
        p->key = key;
        if (jn_str(&v, &p->value)) return -1;
        if (strchr(key, '/') || !strchr(key, '.')) return jn_fail(&v, "no file of a cgroup");
    }
    return 0;
}

static int rdma_parse(struct oci_resources *r, const struct jn *n)
{
    if (jn_object(n)) return -1;
    r->rdma = xzalloc(((size_t)json_object_object_length(n->o) + 1) * sizeof(*r->rdma));
    json_object_object_foreach(n->o, key, val)
    {
        struct jn v = { .o = val, .key = key, .up = n };
        __typeof__(r->rdma) d = &r->rdma[r->nrdma++];
        d->dev = key;
        if (jn_object(&v) || jn_opt_u32(&v, "hcaHandles", &d->handles, &d->has_handles) ||
            jn_opt_u32(&v, "hcaObjects", &d->objects, &d->has_objects))
            return -1;
    }
    return 0;
}

int resources_parse(struct oci_resources *r, const struct jn *n)
{
    struct jn t;
    if (jn_object(n)) return -1;
    if (jn_get(n, "memory", &t) && memory_parse(r, &t)) return -1;
    if (jn_get(n, "cpu", &t) && cpu_parse(r, &t)) return -1;
    if (jn_get(n, "pids", &t)) {
        if (jn_object(&t) || jn_opt_s64(&t, "limit", &r->pids, &r->has_pids)) return -1;
    }
    if (jn_get(n, "blockIO", &t) && blkio_parse(r, &t)) return -1;
    if (jn_get(n, "hugepageLimits", &t) && huge_parse(r, &t)) return -1;
    if (jn_get(n, "network", &t) && network_parse(r, &t)) return -1;
    if (jn_get(n, "devices", &t) && devices_parse(r, &t)) return -1;
    if (jn_get(n, "rdma", &t) && rdma_parse(r, &t)) return -1;
    if (jn_get(n, "unified", &t) && unified_parse(r, &t)) return -1;
    return 0;
}

void resources_free(struct oci_resources *r)
{
    free(r->blkio.dev);
    for (int k = 0; k < 4; k++) free(r->blkio.t[k]);
    free(r->huge);
    free(r->prios);
    free(r->devices);
    free(r->rdma);
    free(r->unified);
    *r = (struct oci_resources){ 0 };
}
