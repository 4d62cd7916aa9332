/* libc.so.1: environment, temporary names, small utilities of stdlib and unistd. */
#include "impl.h"
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static llock_t env_lock;
static char **env_own; /* our copy of the vector, if environ points at it */

char *getenv(const char *name)
{
    size_t n = strlen(name);

    for (char **e = environ; e && *e; e++)
        if (!strncmp(*e, name, n) && (*e)[n] == '=')
            return *e + n + 1;
    return NULL;
}
static int put(char *entry, size_t namelen, int overwrite)
{
    size_t n = 0;

    llock(&env_lock);
    for (char **e = environ; e && *e; e++, n++)
        if (!strncmp(*e, entry, namelen) && (*e)[namelen] == '=') {
            if (overwrite)
                *e = entry;
            lunlock(&env_lock);
            return overwrite ? 0 : 1;
        }
    char **v = realloc(environ == env_own ? env_own : NULL, (n + 2) * sizeof(*v));
    if (v) {
        if (environ != env_own && n)
            memcpy(v, environ, n * sizeof(*v));
        v[n] = entry;
        v[n + 1] = NULL;
        environ = env_own = v;
    }
    lunlock(&env_lock);
    return v ? 0 : -1;
}
int putenv(char *s)
{
    char *eq = strchr(s, '=');
    return eq ? put(s, (size_t)(eq - s), 1) : unsetenv(s);
}
int setenv(const char *name, const char *value, int overwrite)
{
    if (!name || !*name || strchr(name, '=')) {
        errno = EINVAL;
        return -1;
    }
    size_t n = strlen(name), m = strlen(value);
    char *s = malloc(n + m + 2);
    if (!s)
        return -1;
    memcpy(s, name, n);
    s[n] = '=';
    memcpy(s + n + 1, value, m + 1);
    int r = put(s, n, overwrite);
    if (r)
        free(s);
    return r < 0 ? -1 : 0;
}
int unsetenv(const char *name)
{
    if (!name || !*name || strchr(name, '=')) {
        errno = EINVAL;
        return -1;
    }
    size_t n = strlen(name);
    llock(&env_lock);
    char **w = environ;
    for (char **e = environ; e && *e; e++)
        if (strncmp(*e, name, n) || (*e)[n] != '=')
            *w++ = *e;
    if (w)
        *w = NULL;
    lunlock(&env_lock);
    return 0;
}
int clearenv(void)
{
    environ = NULL;
    return 0;
}

/* --- temporary files --- */

static int temp(char *t, int suffix, int kind, int flags)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t n = strlen(t);
    char *x = t + n - suffix - 6;

    if (n < (size_t)suffix + 6 || memcmp(x, "XXXXXX", 6)) {
        errno = EINVAL;
        return -1;
    }
    for (int tries = 0; tries < 200; tries++) {
        uint64_t r;
        struct stat st;
        arc4random_buf(&r, sizeof(r));
        for (int i = 0; i < 6; i++, r /= 62)
            x[i] = set[r % 62];
        int fd = kind == 0 ? open(t, O_RDWR | O_CREAT | O_EXCL | flags, 0600) : kind == 1 ? mkdir(t, 0700)
                 : lstat(t, &st) && errno == ENOENT ? 0 : (errno = EEXIST, -1);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}
int mkstemp(char *t) { return temp(t, 0, 0, 0); }
int mkostemp(char *t, int fl) { return temp(t, 0, 0, fl); }
int mkstemps(char *t, int n) { return temp(t, n, 0, 0); }
char *mkdtemp(char *t) { return temp(t, 0, 1, 0) < 0 ? NULL : t; }
char *mktemp(char *t)
{
    if (temp(t, 0, 2, 0) < 0)
        *t = 0;
    return t;
}
char *tmpnam_r(char *s)
{
    if (!s)
        return NULL;
    strcpy(s, "/var/tmp/aXXXXXX");
    return temp(s, 0, 2, 0) < 0 ? NULL : s;
}
char *tmpnam(char *s)
{
    static char own[L_tmpnam];
    return tmpnam_r(s ? s : own);
}
char *tempnam(const char *dir, const char *pfx)
{
    const char *d = getenv("TMPDIR");
    char b[1100];

    if (!d || access(d, W_OK | X_OK))
        d = dir && !access(dir, W_OK | X_OK) ? dir : !access("/var/tmp", W_OK) ? "/var/tmp" : "/tmp";
    if (snprintf(b, sizeof(b), "%s/%.5sXXXXXX", d, pfx ? pfx : "") >= (int)sizeof(b) || temp(b, 0, 2, 0) < 0)
        return NULL;
    return strdup(b);
}
FILE *tmpfile(void)
{
    char t[] = "/var/tmp/tmp.XXXXXX", u[] = "/tmp/tmp.XXXXXX", *used = t;
    int fd = mkstemp(t);

    if (fd < 0)
        fd = mkstemp(used = u);
    if (fd < 0)
        return NULL;
    unlink(used);
    return fdopen(fd, "w+");
}
int remove(const char *p)
{
    struct stat st;
    return lstat(p, &st) ? -1 : S_ISDIR(st.st_mode) ? rmdir(p) : unlink(p);
}

/* --- getopt --- */

char *optarg;
int optind = 1, opterr = 1, optopt;
static int optpos;

static int complain(char *const *argv, const char *text, const char *what, int n)
{
    if (opterr)
        fprintf(stderr, "%s: %s -- %.*s\n", argv[0], text, n, what);
    return '?';
}
int getopt(int argc, char *const *argv, const char *opts)
{
    const char *a, *o;

    optarg = NULL;
    if (!optpos) {
        if (optind >= argc || !(a = argv[optind]) || a[0] != '-' || !a[1])
            return -1;
        if (a[1] == '-' && !a[2]) {
            optind++;
            return -1;
        }
        optpos = 1;
    }
    a = argv[optind];
    int c = optopt = (unsigned char)a[optpos++];
    const char *cp = a + optpos - 1;
    int quiet = *opts == ':';
    o = c == ':' ? NULL : strchr(opts, c);
    int last = !a[optpos];
    if (!o) {
        if (last)
            optind++, optpos = 0;
        return quiet ? '?' : complain(argv, "illegal option", cp, 1);
    }
    if (o[1] == ':') {
        if (!last) {
            optarg = (char *)a + optpos;
        } else if (o[2] == ':') {
            optarg = NULL;
        } else if (++optind >= argc) {
            optpos = 0;
            return quiet ? ':' : complain(argv, "option requires an argument", cp, 1);
        } else {
            optarg = argv[optind];
        }
        optind++;
        optpos = 0;
    } else if (last) {
        optind++;
        optpos = 0;
    }
    return c;
}
static int long_opt(int argc, char *const *argv, const char *opts, const struct option *l, int *index, int only)
{
    if (optind < 1)
        optind = 1, optpos = 0;
    const char *a = optind < argc ? argv[optind] : NULL;
    if (optpos || !a || a[0] != '-' || !a[1] || (a[1] != '-' && !only) || !strcmp(a, "--"))
        return getopt(argc, argv, opts);
    const char *name = a + (a[1] == '-' ? 2 : 1), *eq = strchr(name, '=');
    size_t n = eq ? (size_t)(eq - name) : strlen(name);
    int match = -1, count = 0;
    for (int i = 0; l[i].name; i++) {
        if (strncmp(l[i].name, name, n))
            continue;
        if (strlen(l[i].name) == n) {
            match = i;
            count = 1;
            break;
        }
        match = i;
        count++;
    }
    if (!count && only && a[1] != '-')
        return getopt(argc, argv, opts);
    optind++;
    optarg = NULL;
    optopt = 0;
    if (count != 1) {
        if (opterr && *opts != ':')
            fprintf(stderr, "%s: %s option -- %.*s\n", argv[0], count ? "ambiguous" : "unknown", (int)n, name);
        return '?';
    }
    optopt = l[match].val;
    if (eq && l[match].has_arg == no_argument)
        return *opts == ':' ? '?' : complain(argv, "option doesn't take an argument", name, (int)n);
    if (eq)
        optarg = (char *)eq + 1;
    else if (l[match].has_arg == required_argument) {
        if (optind >= argc)
            return *opts == ':' ? ':' : complain(argv, "option requires an argument", name, (int)n);
        optarg = argv[optind++];
    }
    if (index)
        *index = match;
    if (l[match].flag) {
        *l[match].flag = l[match].val;
        return 0;
    }
    return l[match].val;
}
int getopt_long(int c, char *const *v, const char *o, const struct option *l, int *i) { return long_opt(c, v, o, l, i, 0); }
int getopt_long_only(int c, char *const *v, const char *o, const struct option *l, int *i) { return long_opt(c, v, o, l, i, 1); }

/* --- err.h --- */

void vwarnx(const char *f, va_list ap)
{
    fprintf(stderr, "%s: ", progname);
    if (f)
        vfprintf(stderr, f, ap);
    fputc('\n', stderr);
}
void vwarn(const char *f, va_list ap)
{
    int e = errno;

    fprintf(stderr, "%s: ", progname);
    if (f) {
        vfprintf(stderr, f, ap);
        fputs(": ", stderr);
    }
    fprintf(stderr, "%s\n", strerror(e));
}
void verr(int s, const char *f, va_list ap)
{
    vwarn(f, ap);
    exit(s);
}
void verrx(int s, const char *f, va_list ap)
{
    vwarnx(f, ap);
    exit(s);
}
#define V(stmt) \
    va_list ap; \
    va_start(ap, f); \
    stmt; \
    va_end(ap)
void warn(const char *f, ...) { V(vwarn(f, ap)); }
void warnx(const char *f, ...) { V(vwarnx(f, ap)); }
void err(int s, const char *f, ...) { V(verr(s, f, ap)); }
void errx(int s, const char *f, ...) { V(verrx(s, f, ap)); }
