#include "runtime/options.h"
#include "runtime/profile/profile.h"
#include "runtime/verbs.h"
#include "sentry/base/alloc.h"
#include "sentry/base/plan.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void (*fail_sink)(const char *text);

int fail(const char *fmt, ...)
{
    char buf[2048];
    int n = snprintf(buf, sizeof(buf), "sundog: ");
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(buf + n, sizeof(buf) - (size_t)n - 1, fmt, ap);
    va_end(ap);
    if (m > 0) n = MIN(n + m, (int)sizeof(buf) - 2);
    if (fail_sink) {
        fail_sink(buf + strlen("sundog: "));
        return EXIT_SANDBOX;
    }
    buf[n++] = '\n';
    ssize_t r = write(2, buf, (size_t)n);
    (void)r;
    return EXIT_SANDBOX;
}

static unsigned edit_distance(const char *a, const char *b)
{
    unsigned row[64];
    size_t n = MIN(strlen(b), (size_t)63);
    for (unsigned j = 0; j <= n; j++) row[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        unsigned diag = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= n; j++) {
            unsigned up = row[j], sub = diag + (a[i - 1] != b[j - 1]);
            unsigned step = MIN(up + 1, row[j - 1] + 1);
            row[j] = MIN(step, sub);
            diag = up;
        }
    }
    return row[n];
}

const char *options_nearest(const char *word, const char *const *list)
{
    const char *best = NULL;
    unsigned best_d = (unsigned)MIN(strlen(word) / 2 + 2, (size_t)4);
    for (; *list; list++) {
        if ((**list == '-') != (*word == '-')) continue;
        unsigned d = edit_distance(word, *list);
        if (d < best_d) best = *list, best_d = d;
    }
    return best;
}

/* PATH or PATH:AT. The host path must exist, since it is opened; symlinks in it are resolved now. */
static int parse_mount(struct run_options *o, const char *name, const char *val, bool rw, bool exec)
{
    if (o->nmounts == MAX_USER_MOUNTS) return fail("%s %s: more than %d mounts", name, val, MAX_USER_MOUNTS);
    const char *colon = strrchr(val, ':');
    AUTO_FREE char *whole = xstrdup(val);
    char *host = realpath(whole, NULL), *at;
    if (host || !colon) {
        /* A path that exists as written is meant as written, even with a colon in it. Shown under its given name. */
        if (!host) return fail("%s %s: the host has no such path (%s)", name, val, strerror(errno));
        if (val[0] == '/') at = xstrdup(val);
        else {
            char cwd[PATH_MAX];
            if (!getcwd(cwd, sizeof(cwd))) return fail("%s %s: the current directory is gone (%s)", name, val, strerror(errno));
            at = xasprintf("%s/%s", cwd, val);
        }
    } else {
        whole[colon - val] = 0;
        host = realpath(whole, NULL);
        if (!host) return fail("%s %s: the host has no path %s (%s)", name, val, whole, strerror(errno));
        if (colon[1] != '/') {
            free(host);
            return fail("%s %s: the place inside, `%s`, must be an absolute path", name, val, colon + 1);
        }
        at = xstrdup(colon + 1);
    }
    o->mounts[o->nmounts++] = (struct user_mount){ .host = host, .at = at, .writable = rw, .exec = exec };
    return 0;
}

static int parse_id(const char *name, const char *val, u32 *out)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(val, &end, 10);
    if (!isdigit((unsigned char)*val) || *end || errno || n >= 0xffffffffUL)
        return fail("%s %s: a number from 0 to 4294967294 is wanted", name, val);
    *out = (u32)n;
    return 0;
}

static int parse_size(const char *name, const char *val, u64 *out)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(val, &end, 10);
    unsigned shift = 0;
    switch (toupper((unsigned char)*end)) {
    case 'K': shift = 10, end++; break;
    case 'M': shift = 20, end++; break;
    case 'G': shift = 30, end++; break;
    case 'T': shift = 40, end++; break;
    }
    if (!isdigit((unsigned char)*val) || *end || errno || n > (UINT64_MAX >> 1) >> shift)
        return fail("%s %s: a size such as 512M or 2G is wanted", name, val);
    *out = (u64)n << shift;
    if (*out < 1u << 20) return fail("%s %s: less than 1M is too little for any program", name, val);
    return 0;
}

static int parse_choice(const char *name, const char *val, const char *const *list, const char **out)
{
    for (unsigned i = 0; list[i]; i++)
        if (!strcmp(list[i], val)) {
            *out = val;
            return 0;
        }
    const char *near = options_nearest(val, list);
    char all[128] = "";
    for (unsigned i = 0; list[i]; i++) {
        strncat(all, i ? ", " : "", sizeof(all) - strlen(all) - 1);
        strncat(all, list[i], sizeof(all) - strlen(all) - 1);
    }
    return fail("%s %s: not one of %s%s%s%s", name, val, all, near ? ": did you mean " : "", near ? near : "", near ? "?" : "");
}

static int parse_root(struct run_options *o, const char *name, const char *val, bool rw)
{
    if (o->rootfs) return fail("%s %s: the root was given before as %s", name, val, o->rootfs);
    o->rootfs = realpath(val, NULL);
    if (!o->rootfs) return fail("%s %s: the host has no such directory (%s)", name, val, strerror(errno));
    o->rootfs_writable = rw;
    return 0;
}

static int append(const char ***list, unsigned *n, const char *val)
{
    *list = xrealloc(*list, (*n + 1) * sizeof(**list));
    (*list)[(*n)++] = val;
    return 0;
}

static int apply(struct run_options *o, enum opt_id id, const char *name, const char *val)
{
    static const char *const platforms[] = { "auto", "kvm", "trap", "ptrace", NULL };
    static const char *const abis[] = { "auto", "linux", "solaris", NULL };
    static const char *const nets[] = { "none", "loopback", "host", NULL };
    static const char *const forms[] = { "text", "json", NULL };
    static const char *const modes[] = { "enforce", "warn", NULL };
    const char *form = "text";
    int r;
    switch (id) {
    case O_ROOTFS: return parse_root(o, name, val, false);
    case O_ROOTFS_RW: return parse_root(o, name, val, true);
    case O_RO: return parse_mount(o, name, val, false, false);
    case O_ROX: return parse_mount(o, name, val, false, true);
    case O_RW: return parse_mount(o, name, val, true, false);
    case O_RWX: return parse_mount(o, name, val, true, true);
    case O_ENV:
        if (!*val || *val == '=') return fail("--env %s: K=V or K is wanted", val);
        return append(&o->env, &o->nenv, val);
    case O_CWD:
        if (*val != '/') return fail("--cwd %s: an absolute path inside the sandbox is wanted", val);
        o->cwd = val;
        return 0;
    case O_HOSTNAME:
        if (!*val || strlen(val) > 64) return fail("--hostname %s: 1 to 64 characters are wanted", val);
        o->hostname = val;
        return 0;
    case O_UID: o->has_uid = true; return parse_id(name, val, &o->uid);
    case O_GID: o->has_gid = true; return parse_id(name, val, &o->gid);
    case O_PLATFORM: return parse_choice(name, val, platforms, &o->platform);
    case O_ABI: return parse_choice(name, val, abis, &o->abi);
    case O_NET: return parse_choice(name, val, nets, &o->net);
    case O_DNS: {
        struct plan_dns_server s;
        if (profile_dns_server(val, &s)) return fail("--dns %s: an address is wanted: ADDRESS, ADDRESS:PORT or [IPv6]:PORT", val);
        if (o->ndns == MAX_DNS) return fail("--dns: %u name servers are the most", MAX_DNS);
        o->dns[o->ndns++] = val;
        return 0;
    }
    case O_MEMORY: return parse_size(name, val, &o->memory);
    case O_STRACE:
        if (val && (r = parse_choice(name, val, forms, &form))) return r;
        o->strace = true;
        o->strace_json = !strcmp(form, "json");
        return 0;
    case O_OVERLAY: o->layer = val; return 0;
    case O_RECORD: o->record = true; return 0;
    case O_JSON: o->json = true; return 0;
    case O_PROFILE: o->profile_name = val; return 0;
    case O_OUTPUT: o->output = val; return 0;
    case O_PARAM: return append(&o->params, &o->nparams, val);
    case O_RULE: return append(&o->rules, &o->nrules, val);
    case O_MODE:
        if ((r = parse_choice(name, val, modes, &form))) return r;
        o->warn = !strcmp(form, "warn");
        return 0;
    case O_TIMING: o->timing = true; return 0;
    case O_BACKTRACE: o->backtrace = true; return 0;
    case O_DEBUG: o->debug = true; return 0;
    case O_NO_PATCH: o->no_patch = true; return 0;
    default: break; /* not an option of run: not in its table */
    }
    return 0;
}

int options_parse_run(struct run_options *o, const char *verb, int argc, char **argv, bool *done)
{
    *o = (struct run_options){ .platform = "auto", .abi = "auto", .hostname = "sundog", .event_fd = -1 };
    *done = false;
    struct verb_words w;
    int id;
    verb_begin(&w, verb, argc, argv);
    while ((id = verb_next(&w)) >= 0) {
        if (id == O_VERSION) {
            printf("sundog %s\n", SUNDOG_VERSION);
            id = VERB_HELPED;
            break;
        }
        int r = apply(o, (enum opt_id)id, w.opt->name, w.val);
        if (r) return r;
    }
    if (id == VERB_HELPED) {
        *done = true;
        return 0;
    }
    if (id == VERB_BAD) return EXIT_SANDBOX;
    if (w.i >= argc) return fail("no command given: sundog %s [options] -- COMMAND [ARG...]", verb);
    if (!argv[w.i][0]) return fail("the command is an empty string");
    o->argv = argv + w.i;
    if (!o->profile_name && (o->nparams || o->nrules || o->warn)) return fail("--param, --rule and --mode need a --profile");
    if (o->profile_name && o->rootfs) return fail("--profile and --rootfs exclude each other: a profile decides what is shown");
    return 0;
}

void options_fini(struct run_options *o)
{
    for (unsigned i = 0; i < o->nmounts; i++) {
        free(o->mounts[i].host);
        free(o->mounts[i].at);
    }
    free(o->rootfs);
    free(o->params);
    free(o->rules);
    profile_free(o->profile);
    free(o->env);
}
