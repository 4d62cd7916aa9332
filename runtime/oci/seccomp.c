/*
 * linux.seccomp to a BPF program, by libseccomp: names, architectures, arguments. The sentry runs it on the guest's calls
 * with its own interpreter; the host's filter around the sandbox is another matter.
 */
#include "runtime/oci/create.h"
#include "runtime/oci/oci.h"
#include "sentry/base/alloc.h"

#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BPF_MAX 4096
#define FILTER_FLAG_LOG 2u

static int action(const struct jn *n, bool has_errno, u32 err, u32 *out)
{
    const char *s;
    if (jn_str(n, &s)) return -1;
    if (!strcmp(s, "SCMP_ACT_ALLOW")) *out = SCMP_ACT_ALLOW;
    else if (!strcmp(s, "SCMP_ACT_ERRNO")) *out = SCMP_ACT_ERRNO(has_errno ? err & 0xffff : EPERM);
    else if (!strcmp(s, "SCMP_ACT_KILL") || !strcmp(s, "SCMP_ACT_KILL_THREAD")) *out = SCMP_ACT_KILL_THREAD;
    else if (!strcmp(s, "SCMP_ACT_KILL_PROCESS")) *out = SCMP_ACT_KILL_PROCESS;
    else if (!strcmp(s, "SCMP_ACT_TRAP")) *out = SCMP_ACT_TRAP;
    else if (!strcmp(s, "SCMP_ACT_TRACE")) *out = SCMP_ACT_TRACE(has_errno ? err & 0xffff : EPERM);
    else if (!strcmp(s, "SCMP_ACT_LOG")) *out = SCMP_ACT_LOG;
    else if (!strcmp(s, "SCMP_ACT_NOTIFY")) return jn_fail(n, "SCMP_ACT_NOTIFY is not supported: the sandbox has no notification descriptors");
    else return jn_fail(n, "`%s` is no action", s);
    return 0;
}

static int compare_op(const struct jn *n, enum scmp_compare *out)
{
    static const char *const names[] = { [SCMP_CMP_NE] = "SCMP_CMP_NE", [SCMP_CMP_LT] = "SCMP_CMP_LT", [SCMP_CMP_LE] = "SCMP_CMP_LE",
        [SCMP_CMP_EQ] = "SCMP_CMP_EQ", [SCMP_CMP_GE] = "SCMP_CMP_GE", [SCMP_CMP_GT] = "SCMP_CMP_GT", [SCMP_CMP_MASKED_EQ] = "SCMP_CMP_MASKED_EQ" };
    const char *s;
    if (jn_str(n, &s)) return -1;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i] && !strcmp(names[i], s)) {
            *out = (enum scmp_compare)i;
            return 0;
        }
    return jn_fail(n, "`%s` is no operator", s);
}

static int arguments(const struct jn *n, struct scmp_arg_cmp *out, unsigned *count, bool *repeated)
{
    unsigned len;
    struct jn e, t;
    if (jn_array(n, &len)) return -1;
    if (len > 6) return jn_fail(n, "more than 6 conditions");
    for (unsigned i = 0; i < len; i++) {
        u32 index = 0;
        u64 a = 0, b = 0;
        jn_at(n, i, &e);
        if (jn_object(&e) || jn_opt_u32(&e, "index", &index, NULL) || jn_opt_u64(&e, "value", &a, NULL) || jn_opt_u64(&e, "valueTwo", &b, NULL)) return -1;
        if (index > 5) return jn_fail(&e, "index is above 5");
        if (!jn_get(&e, "op", &t)) return jn_fail(&e, "op is missing");
        struct scmp_arg_cmp *c = &out[(*count)++];
        *c = (struct scmp_arg_cmp){ .arg = index, .datum_a = a, .datum_b = b };
        if (compare_op(&t, &c->op)) return -1;
        for (unsigned k = 0; k + 1 < *count; k++) *repeated |= out[k].arg == index;
    }
    return 0;
}

static int add_rules(scmp_filter_ctx ctx, const struct jn *rule, u32 deflt)
{
    struct jn t, e;
    u32 act, err = 0;
    bool has_errno = false, repeated = false;
    unsigned names = 0, nargs = 0;
    struct scmp_arg_cmp args[6];
    if (jn_object(rule) || jn_opt_u32(rule, "errnoRet", &err, &has_errno)) return -1;
    if (!jn_get(rule, "action", &t)) return jn_fail(rule, "action is missing");
    if (action(&t, has_errno, err, &act)) return -1;
    if (jn_get(rule, "args", &t) && arguments(&t, args, &nargs, &repeated)) return -1;
    if (!jn_get(rule, "names", &t)) return jn_fail(rule, "names is missing");
    if (jn_array(&t, &names)) return -1;
    if (!names) return jn_fail(&t, "at least one name is wanted");
    for (unsigned i = 0; i < names; i++) {
        const char *name;
        jn_at(&t, i, &e);
        if (jn_str(&e, &name)) return -1;
        if (act == deflt) continue;
        int nr = seccomp_syscall_resolve_name(name);
        if (nr == __NR_SCMP_ERROR || nr < 0) continue; /* of another architecture, or newer than libseccomp */
        int r = 0;
        /* Conditions on the same argument are alternatives, as the specification's users know from other runtimes. */
        if (repeated)
            for (unsigned k = 0; k < nargs && !r; k++) r = seccomp_rule_add_array(ctx, act, nr, 1, &args[k]);
        else r = seccomp_rule_add_array(ctx, act, nr, nargs, args);
        if (r && r != -EEXIST) return jn_fail(&e, "the rule for %s cannot be added: %s", name, strerror(-r));
    }
    return 0;
}

static int flags_parse(const struct jn *n, u32 *flags)
{
    unsigned len;
    struct jn e;
    const char *s;
    if (jn_array(n, &len)) return -1;
    for (unsigned i = 0; i < len; i++) {
        jn_at(n, i, &e);
        if (jn_str(&e, &s)) return -1;
        if (!strcmp(s, "SECCOMP_FILTER_FLAG_LOG")) *flags |= FILTER_FLAG_LOG;
        else if (strcmp(s, "SECCOMP_FILTER_FLAG_TSYNC") && strcmp(s, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"))
            return jn_fail(&e, "seccomp flag %s is not supported", s);
    }
    return 0;
}

static int export(scmp_filter_ctx ctx, const struct jn *n, u32 flags, struct plan_writer *w)
{
    static u8 buf[sizeof(flags) + BPF_MAX * 8 + 8];
    int fd = memfd_create("seccomp", MFD_CLOEXEC);
    int r = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);
    memcpy(buf, &flags, sizeof(flags));
    ssize_t len = r ? 0 : pread(fd, buf + sizeof(flags), sizeof(buf) - sizeof(flags), 0);
    if (fd >= 0) close(fd);
    if (r || len < 0) return jn_fail(n, "the filter cannot be built: %s", strerror(r ? -r : errno));
    if (len > BPF_MAX * 8) return jn_fail(n, "the filter has more than %d instructions", BPF_MAX);
    plan_add(w, PLAN_SECCOMP, buf, sizeof(flags) + (size_t)len);
    return 0;
}

static int architectures(const struct jn *n)
{
    unsigned len;
    struct jn e;
    const char *s;
    if (jn_array(n, &len)) return -1;
    for (unsigned i = 0; i < len; i++) {
        jn_at(n, i, &e);
        if (jn_str(&e, &s)) return -1;
        if (strncmp(s, "SCMP_ARCH_", 10)) return jn_fail(&e, "`%s` is no architecture", s);
    }
    return 0; /* guests make x86-64 calls only; every other kind is refused before any filter */
}

int oci_seccomp_compile(json_object *seccomp, struct plan_writer *w)
{
    struct jn root = { .key = "config.json" }, lin = { .key = "linux", .up = &root }, n = { .o = seccomp, .key = "seccomp", .up = &lin }, t, e;
    u32 deflt, err = 0, flags = 0;
    bool has_errno = false;
    unsigned len = 0;
    if (jn_opt_u32(&n, "defaultErrnoRet", &err, &has_errno)) return -1;
    if (!jn_get(&n, "defaultAction", &t)) return jn_fail(&n, "defaultAction is missing");
    if (action(&t, has_errno, err, &deflt)) return -1;
    if (jn_get(&n, "architectures", &t) && architectures(&t)) return -1;
    if (jn_get(&n, "flags", &t) && flags_parse(&t, &flags)) return -1;
    if (jn_get(&n, "listenerPath", &t)) return jn_fail(&t, "seccomp notification is not supported");
    scmp_filter_ctx ctx = seccomp_init(deflt);
    if (!ctx) return jn_fail(&n, "libseccomp does not take this default action");
    seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    int r = 0;
    if (jn_get(&n, "syscalls", &t) && !(r = jn_array(&t, &len)))
        for (unsigned i = 0; i < len && !r; i++) {
            jn_at(&t, i, &e);
            r = add_rules(ctx, &e, deflt);
        }
    if (!r) r = export(ctx, &n, flags, w);
    seccomp_release(ctx);
    return r;
}
