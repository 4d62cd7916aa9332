/* The process section; also what `exec --process` is given. */
#include "runtime/oci/config.h"
#include "runtime/oci/oci.h"
#include "sentry/base/alloc.h"

#include <linux/capability.h>
#include <sched.h>
#include <strings.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>

int cap_number(const char *name)
{
    cap_value_t v;
    return strncmp(name, "CAP_", 4) || cap_from_name(name, &v) ? -1 : v;
}

int rlimit_number(const char *name)
{
    static const struct { const char *name; int nr; } list[] = {
        { "AS", RLIMIT_AS }, { "CORE", RLIMIT_CORE }, { "CPU", RLIMIT_CPU }, { "DATA", RLIMIT_DATA }, { "FSIZE", RLIMIT_FSIZE },
        { "LOCKS", RLIMIT_LOCKS }, { "MEMLOCK", RLIMIT_MEMLOCK }, { "MSGQUEUE", RLIMIT_MSGQUEUE }, { "NICE", RLIMIT_NICE },
        { "NOFILE", RLIMIT_NOFILE }, { "NPROC", RLIMIT_NPROC }, { "RSS", RLIMIT_RSS }, { "RTPRIO", RLIMIT_RTPRIO },
        { "RTTIME", RLIMIT_RTTIME }, { "SIGPENDING", RLIMIT_SIGPENDING }, { "STACK", RLIMIT_STACK } };
    if (strncmp(name, "RLIMIT_", 7)) return -1;
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        if (!strcmp(name + 7, list[i].name)) return list[i].nr;
    return -1;
}

static int user_parse(struct oci_process *p, const struct jn *n)
{
    struct jn g, e;
    if (jn_object(n) || jn_opt_u32(n, "uid", &p->uid, NULL) || jn_opt_u32(n, "gid", &p->gid, NULL) ||
        jn_opt_u32(n, "umask", &p->umask, &p->has_umask))
        return -1;
    if (p->uid == UINT32_MAX || p->gid == UINT32_MAX) return jn_fail(n, "4294967295 is no id");
    if (!jn_get(n, "additionalGids", &g)) return 0;
    unsigned len;
    if (jn_array(&g, &len)) return -1;
    p->groups = xzalloc((len + 1) * sizeof(*p->groups));
    for (unsigned i = 0; i < len; i++) {
        s64 v;
        jn_at(&g, i, &e);
        if (jn_int(&e, 0, UINT32_MAX - 1, &v)) return -1;
        p->groups[p->ngroups++] = (u32)v;
    }
    return 0;
}

static int caps_parse(struct oci_process *p, const struct jn *n)
{
    static const char *const sets[5] = { "inheritable", "permitted", "effective", "bounding", "ambient" };
    struct jn list, e;
    if (jn_object(n)) return -1;
    for (int k = 0; k < 5; k++) {
        unsigned len;
        if (!jn_get(n, sets[k], &list)) continue;
        if (jn_array(&list, &len)) return -1;
        for (unsigned i = 0; i < len; i++) {
            const char *name;
            jn_at(&list, i, &e);
            if (jn_str(&e, &name)) return -1;
            int c = cap_number(name);
            if (c < 0) oci_log("warning", "process.capabilities.%s: %s is not known and is left out", sets[k], name);
            else if (c < 64) p->caps[k] |= 1ULL << c;
        }
    }
    /* capabilities(7): no set holds what the kernel would refuse */
    p->caps[2] &= p->caps[1];
    p->caps[4] &= p->caps[0] & p->caps[1];
    return 0;
}

static int rlimits_parse(struct oci_process *p, const struct jn *n)
{
    unsigned len;
    struct jn e, t;
    if (jn_array(n, &len)) return -1;
    for (unsigned i = 0; i < len; i++) {
        struct plan_rlimit l = { 0 };
        const char *name;
        bool soft = false, hard = false;
        jn_at(n, i, &e);
        if (jn_object(&e)) return -1;
        if (!jn_get(&e, "type", &t)) return jn_fail(&e, "type is missing");
        if (jn_str(&t, &name)) return -1;
        int nr = rlimit_number(name);
        if (nr < 0) return jn_fail(&t, "wrong rlimit value: `%s` is not known", name);
        if (jn_opt_u64(&e, "soft", &l.soft, &soft) || jn_opt_u64(&e, "hard", &l.hard, &hard)) return -1;
        if (!soft || !hard) return jn_fail(&e, "%s is missing", soft ? "hard" : "soft");
        if (l.soft > l.hard) return jn_fail(&e, "the soft limit is above the hard one");
        l.which = (u32)nr;
        for (unsigned k = 0; k < p->nrlimits; k++)
            if (p->rlimits[k].which == l.which) return jn_fail(&t, "%s is there twice", name);
        p->rlimits[p->nrlimits++] = l;
    }
    return 0;
}

static int sched_parse(struct oci_process *p, const struct jn *n)
{
    static const struct { const char *name; int policy; } list[] = {
        { "SCHED_OTHER", SCHED_OTHER }, { "SCHED_FIFO", SCHED_FIFO }, { "SCHED_RR", SCHED_RR }, { "SCHED_BATCH", SCHED_BATCH },
        { "SCHED_ISO", 4 }, { "SCHED_IDLE", SCHED_IDLE }, { "SCHED_DEADLINE", 6 } };
    struct jn t;
    const char *name;
    s64 v = 0;
    if (jn_object(n)) return -1;
    if (!jn_get(n, "policy", &t)) return jn_fail(n, "policy is missing");
    if (jn_str(&t, &name)) return -1;
    size_t i = 0;
    while (i < ARRAY_LEN(list) && strcmp(list[i].name, name)) i++;
    if (i == ARRAY_LEN(list)) return jn_fail(&t, "`%s` is no policy", name);
    if (list[i].policy == 4 || list[i].policy == 6) return jn_fail(&t, "%s does not exist in this sandbox", name);
    p->sched_policy = list[i].policy;
    if (jn_get(n, "nice", &t)) {
        if (jn_int(&t, -20, 19, &v)) return -1;
        p->nice = (s32)v;
    }
    v = 0;
    if (jn_get(n, "priority", &t) && jn_int(&t, 0, 99, &v)) return -1;
    bool rt = p->sched_policy == SCHED_FIFO || p->sched_policy == SCHED_RR;
    if (rt != (v > 0)) return jn_fail(n, rt ? "a real-time policy needs a priority of 1 to 99" : "a priority goes with real-time policies only");
    p->sched_prio = (s32)v;
    p->has_sched = true;
    return 0;
}

static int ioprio_parse(struct oci_process *p, const struct jn *n)
{
    static const char *const classes[] = { "", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE" };
    struct jn t;
    const char *name;
    s64 prio = 0;
    if (jn_object(n)) return -1;
    if (!jn_get(n, "class", &t)) return jn_fail(n, "class is missing");
    if (jn_str(&t, &name)) return -1;
    u32 k = 1;
    while (k < 4 && strcmp(classes[k], name)) k++;
    if (k == 4) return jn_fail(&t, "`%s` is no class", name);
    if (jn_get(n, "priority", &t) && jn_int(&t, 0, 7, &prio)) return -1;
    p->ioprio = k << 13 | (u32)prio;
    p->has_ioprio = true;
    return 0;
}

int process_parse(struct oci_process *p, const struct jn *n, bool need_args)
{
    struct jn t;
    s64 v;
    bool oom = false;
    *p = (struct oci_process){ 0 };
    if (jn_object(n) || jn_opt_bool(n, "terminal", &p->terminal) || jn_opt_bool(n, "noNewPrivileges", &p->no_new_privs) ||
        jn_opt_strs(n, "args", &p->args, &p->nargs) || jn_opt_strs(n, "env", &p->env, &p->nenv))
        return -1;
    if (jn_get(n, "consoleSize", &t)) {
        u32 rows = 0, cols = 0;
        if (jn_object(&t) || jn_opt_u32(&t, "height", &rows, NULL) || jn_opt_u32(&t, "width", &cols, NULL)) return -1;
        p->rows = (u16)MIN(rows, 65535u), p->cols = (u16)MIN(cols, 65535u);
    }
    if (jn_get(n, "user", &t) && user_parse(p, &t)) return -1;
    if (need_args && (!p->nargs || !p->args[0][0])) {
        jn_get(n, "args", &t);
        return jn_fail(&t, p->nargs ? "the program's name is empty" : "args must not be empty");
    }
    if (!jn_get(n, "cwd", &t)) return jn_fail(n, "cwd is missing: Cwd property must not be empty");
    if (jn_str(&t, &p->cwd)) return -1;
    if (p->cwd[0] != '/') return jn_fail(&t, "Cwd must be an absolute path, not `%s`", p->cwd);
    for (unsigned i = 0; i < p->nenv; i++)
        if (!strchr(p->env[i], '=') || p->env[i][0] == '=') {
            jn_get(n, "env", &t);
            return jn_fail(&t, "`%s` has not the form NAME=value", p->env[i]);
        }
    if (jn_get(n, "capabilities", &t) && caps_parse(p, &t)) return -1;
    if (jn_get(n, "rlimits", &t) && rlimits_parse(p, &t)) return -1;
    if (jn_get(n, "oomScoreAdj", &t)) {
        if (jn_int(&t, -1000, 1000, &v)) return -1;
        p->oom_score_adj = (s32)v;
        oom = true;
    }
    p->has_oom = oom;
    if (jn_get(n, "scheduler", &t) && sched_parse(p, &t)) return -1;
    if (jn_get(n, "ioPriority", &t) && ioprio_parse(p, &t)) return -1;
    if (jn_opt_str(n, "apparmorProfile", &p->apparmor) || jn_opt_str(n, "selinuxLabel", &p->selinux)) return -1;
    /* There is no security module inside; a profile that is not enforced must not look enforced. */
    if (p->apparmor && p->apparmor[0] && strcmp(p->apparmor, "unconfined")) {
        jn_get(n, "apparmorProfile", &t);
        return jn_fail(&t, "apparmor is not supported inside the sandbox: profile %s cannot be applied", p->apparmor);
    }
    if (p->selinux && p->selinux[0]) {
        jn_get(n, "selinuxLabel", &t);
        return jn_fail(&t, "selinux is not supported inside the sandbox: label %s cannot be applied", p->selinux);
    }
    return 0;
}

void process_free(struct oci_process *p)
{
    free(p->groups);
    free(p->args);
    free(p->env);
    *p = (struct oci_process){ 0 };
}
