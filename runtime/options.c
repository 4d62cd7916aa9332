#include "runtime/options.h"
#include "sentry/base/alloc.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int fail(const char *fmt, ...)
{
    char buf[2048];
    int n = snprintf(buf, sizeof(buf), "sundog: ");
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(buf + n, sizeof(buf) - (size_t)n - 1, fmt, ap);
    va_end(ap);
    if (m > 0) n = MIN(n + m, (int)sizeof(buf) - 2);
    buf[n++] = '\n';
    ssize_t r = write(2, buf, (size_t)n);
    (void)r;
    return EXIT_SANDBOX;
}

enum opt_id {
    O_HELP, O_ROOTFS, O_ROOTFS_RW, O_RO, O_ROX, O_RW, O_RWX, O_ENV, O_CWD, O_HOSTNAME, O_UID, O_GID, O_PLATFORM, O_ABI,
    O_STRACE, O_TIMING, O_BACKTRACE, O_DEBUG, O_MEMORY, O_VERSION,
};
enum opt_value { V_NONE, V_REQUIRED, V_OPTIONAL };
static const struct opt { const char *name; enum opt_value value; const char *meta, *help; } opts[] = {
    [O_ROOTFS] = { "--rootfs", V_REQUIRED, "DIR", "DIR is the root; changes go to memory and are dropped at the end" },
    [O_ROOTFS_RW] = { "--rootfs-rw", V_REQUIRED, "DIR", "DIR is the root and may be changed" },
    [O_RO] = { "--ro", V_REQUIRED, "PATH[:AT]", "show PATH (at AT) read-only, nothing in it can be executed" },
    [O_ROX] = { "--rox", V_REQUIRED, "PATH[:AT]", "show PATH read-only, executables allowed" },
    [O_RW] = { "--rw", V_REQUIRED, "PATH[:AT]", "PATH may be changed, nothing in it can be executed" },
    [O_RWX] = { "--rwx", V_REQUIRED, "PATH[:AT]", "PATH may be changed, executables allowed" },
    [O_ENV] = { "--env", V_REQUIRED, "K=V | K", "set an environment variable, or pass the caller's K" },
    [O_CWD] = { "--cwd", V_REQUIRED, "PATH", "working directory inside" },
    [O_HOSTNAME] = { "--hostname", V_REQUIRED, "NAME", "host name inside (sundog)" },
    [O_UID] = { "--uid", V_REQUIRED, "N", "user id inside (the caller's)" },
    [O_GID] = { "--gid", V_REQUIRED, "N", "group id inside (the caller's)" },
    [O_PLATFORM] = { "--platform", V_REQUIRED, "NAME", "auto, kvm, trap or ptrace: how guest code is run (auto)" },
    [O_ABI] = { "--abi", V_REQUIRED, "NAME", "auto, linux or solaris (auto: by the program's image)" },
    [O_MEMORY] = { "--memory", V_REQUIRED, "SIZE", "limit of guest memory: bytes, or with suffix K M G" },
    [O_STRACE] = { "--strace", V_OPTIONAL, "[=text|json]", "print each system call on stderr" },
    [O_TIMING] = { "--timing", V_NONE, "", "print what start-up cost, as a tree" },
    [O_BACKTRACE] = { "--backtrace", V_NONE, "", "print the program's stack when a signal kills it" },
    [O_DEBUG] = { "--debug", V_NONE, "", "diagnostics of the sandbox itself" },
    [O_HELP] = { "--help", V_NONE, "", "this text" },
    [O_VERSION] = { "--version", V_NONE, "", "version and build" },
};

void options_print_help(void)
{
    printf("usage: sundog run [options] [--] COMMAND [ARG...]\n"
           "       sundog syscalls [--abi linux|solaris] [--json]\n"
           "       sundog version | help\n\n"
           "Runs COMMAND in a sandbox whose own kernel answers its system calls. Without options it sees the host's\n"
           "/usr /bin /sbin /lib* /etc /opt read-only, the current directory copy-on-write, a private /tmp, /proc, /sys\n"
           "and /dev, and no network but loopback.\n\noptions:\n");
    for (size_t i = 0; i < ARRAY_LEN(opts); i++) {
        char left[64];
        snprintf(left, sizeof(left), "%s%s%s", opts[i].name, opts[i].value == V_REQUIRED ? " " : "", opts[i].meta);
        printf("  %-24s %s\n", left, opts[i].help);
    }
    printf("\nexit status: the program's; 128+n if signal n ended it; 125 the sandbox failed; 126 COMMAND is not\n"
           "executable; 127 COMMAND was not found.\n");
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

static int unknown_option(const char *word, size_t len)
{
    const char *names[ARRAY_LEN(opts) + 1];
    for (size_t i = 0; i < ARRAY_LEN(opts); i++) names[i] = opts[i].name;
    names[ARRAY_LEN(opts)] = NULL;
    AUTO_FREE char *w = xstrndup(word, len);
    const char *near = options_nearest(w, names);
    if (near) return fail("unknown option %s: did you mean %s? (`sundog help` lists all)", w, near);
    return fail("unknown option %s (`sundog help` lists all)", w);
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

static int apply(struct run_options *o, enum opt_id id, const char *val)
{
    static const char *const platforms[] = { "auto", "kvm", "trap", "ptrace", NULL };
    static const char *const abis[] = { "auto", "linux", "solaris", NULL };
    static const char *const forms[] = { "text", "json", NULL };
    const char *name = opts[id].name, *form = "text";
    int r;
    switch (id) {
    case O_HELP:
    case O_VERSION: return 0; /* served by the caller */
    case O_ROOTFS: return parse_root(o, name, val, false);
    case O_ROOTFS_RW: return parse_root(o, name, val, true);
    case O_RO: return parse_mount(o, name, val, false, false);
    case O_ROX: return parse_mount(o, name, val, false, true);
    case O_RW: return parse_mount(o, name, val, true, false);
    case O_RWX: return parse_mount(o, name, val, true, true);
    case O_ENV:
        if (!*val || *val == '=') return fail("--env %s: K=V or K is wanted", val);
        o->env = xrealloc(o->env, (o->nenv + 1) * sizeof(*o->env));
        o->env[o->nenv++] = val;
        return 0;
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
    case O_MEMORY: return parse_size(name, val, &o->memory);
    case O_STRACE:
        if (val && (r = parse_choice(name, val, forms, &form))) return r;
        o->strace = true;
        o->strace_json = !strcmp(form, "json");
        return 0;
    case O_TIMING: o->timing = true; return 0;
    case O_BACKTRACE: o->backtrace = true; return 0;
    case O_DEBUG: o->debug = true; return 0;
    }
    return 0;
}

int options_parse_run(struct run_options *o, int argc, char **argv, bool *done)
{
    *o = (struct run_options){ .platform = "auto", .abi = "auto", .hostname = "sundog" };
    *done = false;
    int i = 0;
    for (; i < argc; i++) {
        const char *w = argv[i];
        if (!strcmp(w, "--")) {
            i++;
            break;
        }
        if (w[0] != '-' || !w[1]) break;
        if (!strcmp(w, "-h")) w = "--help";
        const char *eq = strchr(w, '=');
        size_t len = eq ? (size_t)(eq - w) : strlen(w), id = 0;
        while (id < ARRAY_LEN(opts) && (strlen(opts[id].name) != len || strncmp(opts[id].name, w, len))) id++;
        if (id == ARRAY_LEN(opts)) return unknown_option(w, len);
        const char *val = eq ? eq + 1 : NULL;
        if (opts[id].value == V_NONE && val) return fail("%s takes no value (`%s` was given)", opts[id].name, w);
        if (opts[id].value == V_REQUIRED && !val) {
            if (++i == argc) return fail("%s needs a value: %s %s", opts[id].name, opts[id].name, opts[id].meta);
            val = argv[i];
        }
        if (id == O_HELP) {
            options_print_help();
            *done = true;
            return 0;
        }
        if (id == O_VERSION) {
            printf("sundog %s\n", SUNDOG_VERSION);
            *done = true;
            return 0;
        }
        int r = apply(o, (enum opt_id)id, val);
        if (r) return r;
    }
    if (i == argc) return fail("no command given: sundog run [options] -- COMMAND [ARG...]");
    if (!argv[i][0]) return fail("the command is an empty string");
    o->argv = argv + i;
    return 0;
}

void options_fini(struct run_options *o)
{
    for (unsigned i = 0; i < o->nmounts; i++) {
        free(o->mounts[i].host);
        free(o->mounts[i].at);
    }
    free(o->rootfs);
    free(o->env);
}
