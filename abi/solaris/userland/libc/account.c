/* libc.so.1: users and groups from /etc/passwd and /etc/group. */
#include "impl.h"
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

static char *field(char **s, int sep)
{
    char *f = *s, *e = f ? strchr(f, sep) : NULL;

    if (e)
        *e = 0;
    *s = e ? e + 1 : NULL;
    return f ? f : (char *)"";
}
static int parse_pw(char *line, struct passwd *p)
{
    char *s = line;

    s[strcspn(s, "\n")] = 0;
    p->pw_name = field(&s, ':');
    p->pw_passwd = field(&s, ':');
    char *uid = field(&s, ':'), *gid = field(&s, ':');
    p->pw_gecos = p->pw_comment = field(&s, ':');
    p->pw_dir = field(&s, ':');
    p->pw_shell = field(&s, ':');
    p->pw_age = (char *)"";
    p->pw_uid = (uid_t)strtoul(uid, NULL, 10);
    p->pw_gid = (gid_t)strtoul(gid, NULL, 10);
    return *p->pw_name && *p->pw_name != '#' && *uid;
}
/* the member vector goes to the end of the buffer, after the line */
static int parse_gr(char *line, size_t n, struct group *g)
{
    char *s = line;

    s[strcspn(s, "\n")] = 0;
    size_t used = (strlen(line) + 1 + 7) & ~7UL;
    char **mem = (char **)(line + used);
    size_t room = n > used ? (n - used) / sizeof(char *) : 0, k = 0;
    g->gr_name = field(&s, ':');
    g->gr_passwd = field(&s, ':');
    char *gid = field(&s, ':');
    g->gr_gid = (gid_t)strtoul(gid, NULL, 10);
    while (s && *s) {
        if (k + 1 >= room)
            return -1;
        mem[k++] = field(&s, ',');
    }
    if (!room)
        return -1;
    mem[k] = NULL;
    g->gr_mem = mem;
    return *g->gr_name && *g->gr_name != '#' && *gid;
}

static int find_pw(const char *name, uid_t uid, struct passwd *p, char *b, size_t n, struct passwd **res)
{
    FILE *f = fopen("/etc/passwd", "re");
    int r = 0;

    *res = NULL;
    if (!f)
        return errno == ENOENT ? 0 : errno;
    while (fgets(b, (int)n, f)) {
        if (!strchr(b, '\n') && !feof(f)) {
            r = ERANGE;
            break;
        }
        if (parse_pw(b, p) && (name ? !strcmp(name, p->pw_name) : p->pw_uid == uid)) {
            *res = p;
            break;
        }
    }
    fclose(f);
    return r;
}
static int find_gr(const char *name, gid_t gid, struct group *g, char *b, size_t n, struct group **res)
{
    FILE *f = fopen("/etc/group", "re");
    int r = 0;

    *res = NULL;
    if (!f)
        return errno == ENOENT ? 0 : errno;
    while (fgets(b, (int)n, f)) {
        int k = !strchr(b, '\n') && !feof(f) ? -1 : parse_gr(b, n, g);
        if (k < 0) {
            r = ERANGE;
            break;
        }
        if (k && (name ? !strcmp(name, g->gr_name) : g->gr_gid == gid)) {
            *res = g;
            break;
        }
    }
    fclose(f);
    return r;
}
int __posix_getpwnam_r(const char *s, struct passwd *p, char *b, size_t n, struct passwd **r) { return find_pw(s, 0, p, b, n, r); }
int __posix_getpwuid_r(uid_t u, struct passwd *p, char *b, size_t n, struct passwd **r) { return find_pw(NULL, u, p, b, n, r); }
int __posix_getgrnam_r(const char *s, struct group *p, char *b, size_t n, struct group **r) { return find_gr(s, 0, p, b, n, r); }
int __posix_getgrgid_r(gid_t g, struct group *p, char *b, size_t n, struct group **r) { return find_gr(NULL, g, p, b, n, r); }
/* the older forms, without the last argument, return the entry */
#undef getpwnam_r
#undef getpwuid_r
#undef getgrnam_r
#undef getgrgid_r
#define OLD(type, name, key, finder, a, b2) \
    type *name(key k, type *p, char *b, int n); \
    type *name(key k, type *p, char *b, int n) \
    { \
        type *r; \
        int e = finder(a, b2, p, b, (size_t)n, &r); \
        if (e) \
            errno = e; \
        return r; \
    }
OLD(struct passwd, getpwnam_r, const char *, find_pw, k, 0)
OLD(struct passwd, getpwuid_r, uid_t, find_pw, NULL, k)
OLD(struct group, getgrnam_r, const char *, find_gr, k, 0)
OLD(struct group, getgrgid_r, gid_t, find_gr, NULL, k)

static struct passwd pw;
static struct group gr;
static char pw_buf[1024], gr_buf[8192] __attribute__((aligned(8)));
static FILE *pw_file, *gr_file;
#define STATIC(type, name, key, finder, a, b2, obj, buf) \
    type *name(key k) \
    { \
        type *r; \
        int e = finder(a, b2, &obj, buf, sizeof(buf), &r); \
        if (e) \
            errno = e; \
        return r; \
    }
STATIC(struct passwd, getpwnam, const char *, find_pw, k, 0, pw, pw_buf)
STATIC(struct passwd, getpwuid, uid_t, find_pw, NULL, k, pw, pw_buf)
STATIC(struct group, getgrnam, const char *, find_gr, k, 0, gr, gr_buf)
STATIC(struct group, getgrgid, gid_t, find_gr, NULL, k, gr, gr_buf)
struct passwd *fgetpwent(FILE *f)
{
    while (fgets(pw_buf, sizeof(pw_buf), f))
        if (parse_pw(pw_buf, &pw))
            return &pw;
    return NULL;
}
struct group *fgetgrent(FILE *f)
{
    while (fgets(gr_buf, sizeof(gr_buf), f))
        if (parse_gr(gr_buf, sizeof(gr_buf), &gr) > 0)
            return &gr;
    return NULL;
}
#define ENT(kind, path, type) \
    void set##kind##ent(void) { end##kind##ent(); } \
    void end##kind##ent(void) \
    { \
        if (kind##_file) \
            fclose(kind##_file); \
        kind##_file = NULL; \
    } \
    type *get##kind##ent(void) \
    { \
        if (!kind##_file && !(kind##_file = fopen(path, "re"))) \
            return NULL; \
        return fget##kind##ent(kind##_file); \
    }
ENT(pw, "/etc/passwd", struct passwd)
ENT(gr, "/etc/group", struct group)

int initgroups(const char *user, gid_t gid)
{
    gid_t list[16] = { gid };
    int n = 1;
    FILE *f = fopen("/etc/group", "re");
    static char b[8192] __attribute__((aligned(8)));
    struct group g;

    while (f && n < 16 && fgets(b, sizeof(b), f)) {
        if (parse_gr(b, sizeof(b), &g) <= 0 || g.gr_gid == gid)
            continue;
        for (char **m = g.gr_mem; *m; m++)
            if (!strcmp(*m, user)) {
                list[n++] = g.gr_gid;
                break;
            }
    }
    if (f)
        fclose(f);
    return setgroups(n, list);
}
char *getlogin(void)
{
    struct passwd *p;
    char *v = getenv("LOGNAME");

    if (!isatty(0) && !isatty(1) && !isatty(2)) {
        errno = ENXIO;
        return NULL;
    }
    return v ? v : (p = getpwuid(getuid())) ? p->pw_name : NULL;
}
char *cuserid(char *b)
{
    static char own[16];
    struct passwd *p = getpwuid(geteuid());

    if (!b)
        b = own;
    strlcpy(b, p ? p->pw_name : "", 9);
    return b;
}
