/* update: other limits for a running container. */
#include "runtime/oci/create.h"
#include "runtime/oci/oci.h"
#include "runtime/oci/wire.h"
#include "sentry/base/alloc.h"
#include "sentry/control/control.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Bytes, with a suffix as in 512M; -1: no limit. */
static int parse_bytes(const char *flag, const char *s, s64 *out)
{
    char *end;
    long long v = strtoll(s, &end, 10);
    unsigned shift = 0;
    if (end == s) return oci_fail("invalid value for %s: %s", flag, s);
    switch (tolower((unsigned char)*end)) {
    case 'k': shift = 10; break;
    case 'm': shift = 20; break;
    case 'g': shift = 30; break;
    case 'b': break;
    case 0: end--; break;
    default: return oci_fail("invalid value for %s: %s", flag, s);
    }
    if (end[1] && strcasecmp(end + 1, "b") && strcasecmp(end + 1, "ib")) return oci_fail("invalid value for %s: %s", flag, s);
    if (v > INT64_MAX >> shift) return oci_fail("invalid value for %s: %s", flag, s);
    *out = v < 0 ? -1 : v << shift;
    return 0;
}

static int parse_number(const char *flag, const char *s, s64 *out)
{
    char *end;
    *out = strtoll(s, &end, 10);
    return end == s || *end ? oci_fail("invalid value for %s: %s", flag, s) : 0;
}

static json_object *read_resources(const char *path)
{
    if (strcmp(path, "-")) return json_load(AT_FDCWD, path, "resources");
    static char buf[1 << 20];
    size_t n = fread(buf, 1, sizeof(buf), stdin);
    if (n == sizeof(buf)) {
        oci_fail("the resources on standard input are too large");
        return NULL;
    }
    return json_parse_text("resources", buf, n);
}

/* What the host's cgroup says now is to be seen inside, too, and tasks are counted there. */
static int tell_sandbox(const char *id, const struct oci_resources *res)
{
    struct control_limits l = { 0 };
    struct wire_msg answer;
    if (res->memory.has_limit && res->memory.limit) l.memory = MAX(res->memory.limit, (s64)-1);
    if (res->has_pids && res->pids) l.pids = res->pids > 0 ? MIN(res->pids, (s64)UINT32_MAX - 1) : -1;
    int r = wire_request_with(id, WIRE_LIMITS, &l, sizeof(l), &answer);
    return r ? oci_fail("the host's limits are changed, but not those inside: %s", strerror(-r)) : 0;
}

int oci_cmd_update(int argc, char **argv)
{
    struct oci_resources res = { 0 };
    const char *file = NULL, *id, *v[14] = { 0 };
    static const char *const names[14] = { "memory", "memory-reservation", "memory-swap", "cpu-share", "cpu-quota", "cpu-period", "cpuset-cpus", "cpuset-mems",
                                           "pids-limit", "blkio-weight", "cpu-burst", "cpu-idle", "cpu-rt-period", "cpu-rt-runtime" };
    struct oci_opt opts[32] = { { "resources", 'r', OPT_STR, &file }, { "kernel-memory", 0, OPT_STR, NULL }, { "kernel-memory-tcp", 0, OPT_STR, NULL },
                                { "l3-cache-schema", 0, OPT_STR, NULL }, { "mem-bw-schema", 0, OPT_STR, NULL } };
    unsigned nopts = 5;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) opts[nopts++] = (struct oci_opt){ names[i], 0, OPT_STR, &v[i] };
    int n, r = oci_options(opts, nopts, argc, argv, false, &n);
    if (r > 0) return 0;
    if (!r) r = oci_one_id(n, argv, &id);
    json_object *doc = NULL;
    if (!r && file) {
        doc = read_resources(file);
        struct jn root = { .o = doc, .key = "resources" };
        r = doc ? resources_parse(&res, &root) : -1;
    }
    s64 x;
    if (!r && v[0] && !(r = parse_bytes("memory", v[0], &x))) res.memory.has_limit = true, res.memory.limit = x;
    if (!r && v[1] && !(r = parse_bytes("memory-reservation", v[1], &x))) res.memory.has_reservation = true, res.memory.reservation = x;
    if (!r && v[2] && !(r = parse_bytes("memory-swap", v[2], &x))) res.memory.has_swap = true, res.memory.swap = x;
    if (!r && v[3] && !(r = parse_number("cpu-share", v[3], &x))) res.cpu.has_shares = true, res.cpu.shares = (u64)x;
    if (!r && v[4] && !(r = parse_number("cpu-quota", v[4], &x))) res.cpu.has_quota = true, res.cpu.quota = x;
    if (!r && v[5] && !(r = parse_number("cpu-period", v[5], &x))) res.cpu.has_period = true, res.cpu.period = (u64)x;
    if (!r && v[8] && !(r = parse_number("pids-limit", v[8], &x))) res.has_pids = true, res.pids = x;
    if (!r && v[9] && !(r = parse_number("blkio-weight", v[9], &x))) res.blkio.has_weight = true, res.blkio.weight = (u32)x;
    if (!r && v[10] && !(r = parse_number("cpu-burst", v[10], &x))) res.cpu.has_burst = true, res.cpu.burst = (u64)x;
    if (!r && v[11] && !(r = parse_number("cpu-idle", v[11], &x))) res.cpu.has_idle = true, res.cpu.idle = x;
    if (!r && v[12] && !(r = parse_number("cpu-rt-period", v[12], &x))) res.cpu.has_rt_period = true, res.cpu.rt_period = (u64)x;
    if (!r && v[13] && !(r = parse_number("cpu-rt-runtime", v[13], &x))) res.cpu.has_rt_runtime = true, res.cpu.rt_runtime = x;
    if (v[6]) res.cpu.cpus = v[6];
    if (v[7]) res.cpu.mems = v[7];
    struct oci_state s = { 0 };
    if (!r) r = state_load(id, &s);
    if (!r && !state_alive(&s)) r = oci_fail("container not running");
    if (!r) r = oci_cgroup_update(&s, &res);
    if (!r) r = tell_sandbox(id, &res);
    state_free(&s);
    resources_free(&res);
    json_object_put(doc);
    return r ? oci_report(OCI_EXIT_FAILED) : 0;
}
