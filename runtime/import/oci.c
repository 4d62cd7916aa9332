/*
 * config.json of an OCI bundle, read by the parser that runs containers (runtime/oci/config.h). Its root file system
 * cannot be in a profile, which shows the host's files at their own places; its limits, calls, environment, network and
 * bind mounts can.
 */
#include "runtime/import/import.h"
#include "runtime/oci/config.h"
#include "runtime/oci/oci.h"
#include "runtime/options.h"
#include "sentry/base/alloc.h"
#include "sentry/vfs/mount_flags.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void process(struct import *im, const struct oci_process *p)
{
    struct strbuf b = { 0 };
    for (unsigned i = 0; i < p->nargs; i++) strbuf_printf(&b, "%s%s", i ? " " : "", p->args[i]);
    if (b.s) import_hint(im, "Its command: %s", b.s);
    strbuf_fini(&b);
    if (p->cwd && strcmp(p->cwd, "/")) import_hint(im, "Its directory: %s (--cwd)", p->cwd);
    for (unsigned i = 0; i < p->nenv; i++) {
        const char *eq = strchr(p->env[i], '=');
        if (!eq || eq == p->env[i]) continue;
        AUTO_FREE char *k = xstrndup(p->env[i], (size_t)(eq - p->env[i]));
        if (strstr(eq, "${")) import_drop(im, p->env[i], "its value would be taken for a variable of the profile");
        else import_rule(im, PS_ENV, PK_SET, k, eq + 1);
    }
    static const struct { u32 resource; enum pkey k; const char *name; } limits[] = { { RLIMIT_NOFILE, PK_OPEN_FILES, "open-files" },
        { RLIMIT_CPU, PK_CPU_TIME, "cpu-time" }, { RLIMIT_FSIZE, PK_FILE_SIZE, "file-size" } };
    for (unsigned i = 0; i < p->nrlimits; i++) {
        bool taken = false;
        for (size_t k = 0; k < ARRAY_LEN(limits); k++) {
            if (p->rlimits[i].which != limits[k].resource) continue;
            char v[32];
            taken = true;
            snprintf(v, sizeof(v), "%llu", (unsigned long long)p->rlimits[i].hard);
            if (p->rlimits[i].hard != UINT64_MAX) import_rule(im, PS_LIMIT, limits[k].k, limits[k].name, v);
        }
        if (!taken) import_drop(im, "process.rlimits", "this kind of limit is not in the language");
    }
    if (p->uid || p->gid || p->ngroups) import_drop(im, "process.user", "programs have the caller's identity (--uid, --gid)");
    if (p->caps[0]) import_drop(im, "process.capabilities", "capabilities inside are the sandbox's own");
    if (p->no_new_privs) im->held++;
    if (p->apparmor || p->selinux) import_drop(im, "process.apparmorProfile, selinuxLabel", "the host's security modules see the sandbox, not the programs inside");
    if (p->has_oom || p->has_ioprio || p->has_sched) import_drop(im, "process.oomScoreAdj, ioPriority, scheduler", "priorities are the caller's");
}

static void mounts(struct import *im, const struct oci_config *c)
{
    static const char *const own[] = { "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2" };
    for (unsigned i = 0; i < c->nmounts; i++) {
        const struct oci_mount *m = &c->mounts[i];
        bool bind = m->how & OM_BIND, known = false;
        AUTO_FREE char *what = xasprintf("mounts: %s%s%s", m->dest ? m->dest : "?", bind ? " from " : " of type ", bind ? (m->source ? m->source : "?") : m->type ? m->type : "none");
        for (size_t k = 0; m->type && k < ARRAY_LEN(own); k++) known |= !strcmp(m->type, own[k]);
        if (!bind) {
            if (known) im->held++;
            else import_drop(im, what, "this kind of file system cannot be in a profile");
        } else if (!m->dest || !m->source || *m->source != '/' || strcmp(m->source, m->dest)) {
            import_drop(im, what, "a profile shows things at their own place (say --rw or --ro SOURCE:PLACE)");
        } else {
            bool ro = m->flags & MNT_RDONLY, noexec = m->flags & MNT_NOEXEC;
            import_rule(im, PS_FILES, ro ? (noexec ? PK_RO : PK_ROX) : noexec ? PK_RW : PK_RWX, m->dest, NULL);
        }
    }
}

static void resources(struct import *im, const struct oci_resources *r)
{
    char v[32];
    if (r->memory.has_limit && r->memory.limit > 0) {
        snprintf(v, sizeof(v), "%lld", (long long)r->memory.limit);
        import_rule(im, PS_LIMIT, PK_MEMORY, "memory", v);
    }
    if (r->has_pids && r->pids > 0) {
        snprintf(v, sizeof(v), "%lld", (long long)r->pids);
        import_rule(im, PS_LIMIT, PK_PROCESSES, "processes", v);
    }
    if (r->memory.has_reservation || r->memory.has_swap || r->memory.has_kernel || r->memory.has_swappiness)
        import_drop(im, "linux.resources.memory", "of these only `limit` has a counterpart");
    if (r->cpu.has_shares || r->cpu.has_quota || r->cpu.cpus) import_drop(im, "linux.resources.cpu", "shares of the processor are the host's to give (a cgroup)");
    if (r->blkio.has_weight || r->blkio.ndev || r->nhuge || r->nprios || r->nrdma || r->nunified)
        import_drop(im, "linux.resources: blockIO, hugepageLimits, network, rdma, unified", "there is no counterpart");
    if (r->ndevices) im->held++; /* no devices of the host at all */
}

/* linux.seccomp: which of the calls that our groups name are refused without a condition. */
static bool call_in(json_object *rules, const char *call, bool allowed, bool *conditional)
{
    bool found = false;
    for (size_t i = 0; i < json_object_array_length(rules); i++) {
        json_object *rule = json_object_array_get_idx(rules, i), *act, *names, *args;
        if (!json_object_object_get_ex(rule, "action", &act) || !json_object_object_get_ex(rule, "names", &names) || !json_object_is_type(names, json_type_array)) continue;
        const char *a = json_object_get_string(act);
        bool allows = a && (!strcmp(a, "SCMP_ACT_ALLOW") || !strcmp(a, "SCMP_ACT_LOG"));
        if (allows != allowed) continue;
        for (size_t k = 0; k < json_object_array_length(names); k++) {
            const char *n = json_object_get_string(json_object_array_get_idx(names, k));
            if (!n || strcmp(n, call)) continue;
            if (json_object_object_get_ex(rule, "args", &args) && json_object_is_type(args, json_type_array) && json_object_array_length(args)) *conditional = true;
            else found = true;
        }
    }
    return found;
}

static void seccomp(struct import *im, json_object *s)
{
    json_object *deflt, *rules;
    const char *d = json_object_object_get_ex(s, "defaultAction", &deflt) ? json_object_get_string(deflt) : NULL;
    bool allow = d && (!strcmp(d, "SCMP_ACT_ALLOW") || !strcmp(d, "SCMP_ACT_LOG")), conditional = false;
    json_object *none = NULL;
    if (!json_object_object_get_ex(s, "syscalls", &rules) || !json_object_is_type(rules, json_type_array)) rules = none = json_object_new_array();
    for (unsigned g = 0; profile_groups[g]; g++) {
        const char *const *calls = profile_call_group(profile_groups[g]);
        unsigned n = 0, refused = 0;
        for (; calls[n]; n++) refused += allow ? call_in(rules, calls[n], false, &conditional) : !call_in(rules, calls[n], true, &conditional);
        if (refused == n) import_rule(im, PS_SYS, PK_DENY, profile_groups[g], NULL);
        else
            for (unsigned k = 0; calls[k]; k++) {
                bool gone = allow ? call_in(rules, calls[k], false, &conditional) : !call_in(rules, calls[k], true, &conditional);
                if (gone) import_rule(im, PS_SYS, PK_DENY, calls[k], NULL);
            }
    }
    if (!allow) import_drop(im, "linux.seccomp", "calls outside of the groups that the language knows stay allowed: a list of what is left cannot be said");
    else {
        /* The names themselves: few, and each of them meant. */
        for (size_t i = 0; i < json_object_array_length(rules); i++) {
            json_object *rule = json_object_array_get_idx(rules, i), *act, *names, *args;
            if (!json_object_object_get_ex(rule, "action", &act) || !json_object_object_get_ex(rule, "names", &names) || !json_object_is_type(names, json_type_array)) continue;
            const char *a = json_object_get_string(act);
            if (!a || !strcmp(a, "SCMP_ACT_ALLOW") || !strcmp(a, "SCMP_ACT_LOG")) continue;
            if (json_object_object_get_ex(rule, "args", &args) && json_object_is_type(args, json_type_array) && json_object_array_length(args)) {
                conditional = true;
                continue;
            }
            for (size_t k = 0; k < json_object_array_length(names); k++) {
                const char *n = json_object_get_string(json_object_array_get_idx(names, k));
                if (n && *n != '@') import_rule(im, PS_SYS, PK_DENY, n, NULL);
            }
        }
    }
    if (conditional) import_drop(im, "linux.seccomp: rules with `args`", "a call is denied or allowed whatever its arguments are");
    json_object_put(none);
}

int import_oci(struct import *im, const char *text, size_t len)
{
    struct oci_config c;
    im->file = im->source;
    json_object *doc = json_parse_text(im->source, text, len);
    int r = doc ? config_parse(&c, doc) : -1;
    if (!doc) {
        fail("%s", oci_error());
        oci_error_clear();
        return EXIT_SANDBOX;
    }
    if (r) {
        fail("%s: %s", im->source, oci_error());
        oci_error_clear();
        r = EXIT_SANDBOX;
    } else {
        im->name = xstrdup(c.hostname && *c.hostname ? c.hostname : "container");
        import_hint(im, "The root file system of the container is not in it: programs see the host's /usr.");
        import_hint(im, "To run the container as it is: sundog run --bundle DIR ID.");
        if (c.has_process) process(im, &c.process);
        mounts(im, &c);
        if (c.has_resources) resources(im, &c.res);
        if (c.seccomp) seccomp(im, c.seccomp);
        if (!c.ns[NS_NETWORK].present) {
            import_rule(im, PS_NET, PK_CONNECT, "*:*", NULL);
            import_rule(im, PS_NET, PK_LISTEN, "*:*", NULL);
            im->network = true;
            import_hint(im, "The container has the host's network: name the hosts that it needs in [net] instead.");
            import_drop(im, "connections to the host's own loopback", "a rule has to name it: `connect loopback:PORT`");
        } else if (c.ns[NS_NETWORK].path || c.hooks[HOOK_PRESTART].n || c.hooks[HOOK_CREATE_RUNTIME].n) {
            import_drop(im, "linux.namespaces: network", "what its namespace is connected to is not known here: add `connect` rules to [net]");
        }
        for (int k = 0; k < HOOK_KINDS; k++)
            if (c.hooks[k].n) import_drop(im, oci_hook_names[k], "hooks are not run");
        if (c.ndevices) import_drop(im, "linux.devices", "devices of the host are not shown");
        if (c.nsysctl) import_drop(im, "linux.sysctl", "there is no counterpart");
        if (c.uids.n || c.gids.n) import_drop(im, "linux.uidMappings, gidMappings", "programs have the caller's identity");
        if (c.annotations) im->held++;
        im->held += c.nmasked + c.nreadonly;
        import_rule(im, PS_FILES, PK_OVERLAY, "${CWD}", NULL);
    }
    config_free(&c);
    oci_error_clear();
    im->file = NULL;
    return r;
}
