/* libc.so.1: directories, glob, tree walks. */
#include "impl.h"
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

struct dir { /* laid into DIR: the visible head, then ours */
    DIR d;
    long pos;
    llock_t lock;
    char buf[8192] __attribute__((aligned(8)));
};

DIR *fdopendir(int fd)
{
    struct stat st;

    if (fstat(fd, &st))
        return NULL;
    if (!S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return NULL;
    }
    struct dir *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    d->d.dd_fd = fd;
    d->d.dd_buf = d->buf;
    return &d->d;
}
DIR *opendir(const char *p)
{
    int fd = open(p, O_RDONLY | O_NDELAY | O_CLOEXEC | O_DIRECTORY);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && !d)
        close(fd);
    return d;
}
int closedir(DIR *p)
{
    int r = close(p->dd_fd);

    free(p);
    return r;
}
struct dirent *readdir(DIR *p)
{
    struct dir *d = (struct dir *)p;
    struct dirent *e = NULL;

    llock(&d->lock);
    do {
        if (p->dd_loc >= p->dd_size) {
            int n = getdents(p->dd_fd, (struct dirent *)d->buf, sizeof(d->buf));
            if (n <= 0) {
                e = NULL;
                break;
            }
            p->dd_loc = 0;
            p->dd_size = n;
        }
        e = (struct dirent *)(d->buf + p->dd_loc);
        p->dd_loc += e->d_reclen;
        d->pos = e->d_off;
    } while (!e->d_ino);
    lunlock(&d->lock);
    return e;
}
int readdir_r(DIR *p, struct dirent *out, struct dirent **res)
{
    int old = errno;

    errno = 0;
    struct dirent *e = readdir(p);
    int err = errno;
    errno = old;
    *res = e ? memcpy(out, e, e->d_reclen) : NULL;
    return e ? 0 : err;
}
int __posix_readdir_r(DIR *, struct dirent *, struct dirent **) __attribute__((alias("readdir_r")));
long telldir(DIR *p) { return ((struct dir *)p)->pos; }
void seekdir(DIR *p, long o)
{
    (void)lseek(p->dd_fd, o, SEEK_SET);
    p->dd_loc = p->dd_size = 0;
    ((struct dir *)p)->pos = o;
}
void rewinddir(DIR *p) { seekdir(p, 0); }
int dirfd(DIR *p) { return p->dd_fd; }
int alphasort(const struct dirent **a, const struct dirent **b) { return strcoll((*a)->d_name, (*b)->d_name); }
int scandir(const char *path, struct dirent ***out, int (*sel)(const struct dirent *),
            int (*cmp)(const struct dirent **, const struct dirent **))
{
    DIR *d = opendir(path);
    struct dirent *e, **v = NULL;
    size_t n = 0, cap = 0;

    if (!d)
        return -1;
    while ((e = readdir(d))) {
        if (sel && !sel(e))
            continue;
        if (n == cap) {
            struct dirent **w = realloc(v, (cap = cap * 2 + 16) * sizeof(*v));
            if (!w)
                goto fail;
            v = w;
        }
        if (!(v[n] = malloc(e->d_reclen)))
            goto fail;
        memcpy(v[n++], e, e->d_reclen);
    }
    closedir(d);
    if (cmp && n)
        qsort(v, n, sizeof(*v), (int (*)(const void *, const void *))cmp);
    *out = v;
    return (int)n;
fail:
    while (n)
        free(v[--n]);
    free(v);
    closedir(d);
    errno = ENOMEM;
    return -1;
}

/* --- glob --- */

struct found { char **v; size_t n, cap; };
static int keep(struct found *f, const char *s)
{
    if (f->n == f->cap) {
        char **w = realloc(f->v, (f->cap = f->cap * 2 + 16) * sizeof(*w));
        if (!w)
            return GLOB_NOSPACE;
        f->v = w;
    }
    if (!(f->v[f->n] = strdup(s)))
        return GLOB_NOSPACE;
    f->n++;
    return 0;
}
static int magic(const char *s, size_t n, int fl)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '*' || s[i] == '?' || s[i] == '[')
            return 1;
        if (s[i] == '\\' && !(fl & GLOB_NOESCAPE))
            return 1;
    }
    return 0;
}
static int walk(struct found *f, char *path, size_t at, const char *pat, int fl, int (*err)(const char *, int))
{
    struct stat st;

    while (*pat == '/') {
        path[at++] = *pat++;
        path[at] = 0;
    }
    if (!*pat) {
        if (lstat(path, &st))
            return 0;
        if (fl & GLOB_MARK && at && path[at - 1] != '/' && !stat(path, &st) && S_ISDIR(st.st_mode))
            strcpy(path + at, "/");
        return keep(f, path);
    }
    size_t n = strcspn(pat, "/");
    if (at + n >= 1020)
        return 0;
    if (!magic(pat, n, fl)) {
        memcpy(path + at, pat, n);
        path[at + n] = 0;
        return walk(f, path, at + n, pat + n, fl, err);
    }
    char comp[1024];
    memcpy(comp, pat, n);
    comp[n] = 0;
    DIR *d = opendir(at ? path : ".");
    if (!d)
        return errno != ENOENT && errno != ENOTDIR && ((err && err(at ? path : ".", errno)) || fl & GLOB_ERR) ? GLOB_ABORTED : 0;
    struct dirent *e;
    int r = 0;
    while (!r && (e = readdir(d))) {
        size_t k = strlen(e->d_name);
        if (at + k >= 1020 || fnmatch(comp, e->d_name, FNM_PERIOD | (fl & GLOB_NOESCAPE ? FNM_NOESCAPE : 0)))
            continue;
        strcpy(path + at, e->d_name);
        if (pat[n] && (stat(path, &st) || !S_ISDIR(st.st_mode)))
            continue;
        r = walk(f, path, at + k, pat + n, fl, err);
    }
    closedir(d);
    return r;
}
static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
int glob(const char *pat, int fl, int (*err)(const char *, int), glob_t *g)
{
    struct found f = { NULL, 0, 0 };
    char path[1100] = "";
    size_t offs = fl & GLOB_DOOFFS ? g->gl_offs : 0, old = fl & GLOB_APPEND ? g->gl_pathc : 0;
    int r = walk(&f, path, 0, pat, fl, err);

    if (!r && !f.n) {
        if (!(fl & GLOB_NOCHECK))
            r = GLOB_NOMATCH;
        else
            r = keep(&f, pat);
    }
    if (!(fl & GLOB_NOSORT) && f.n)
        qsort(f.v, f.n, sizeof(*f.v), by_name);
    char **v = NULL;
    if (!r) {
        v = realloc(fl & GLOB_APPEND ? g->gl_pathv : NULL, (offs + old + f.n + 1) * sizeof(*v));
        r = v ? 0 : GLOB_NOSPACE;
    }
    if (!r) {
        if (!(fl & GLOB_APPEND))
            for (size_t i = 0; i < offs; i++)
                v[i] = NULL;
        memcpy(v + offs + old, f.v, f.n * sizeof(*v));
        v[offs + old + f.n] = NULL;
        g->gl_pathv = v;
        g->gl_pathc = old + f.n;
        g->gl_offs = offs;
    } else {
        for (size_t i = 0; i < f.n; i++)
            free(f.v[i]);
        if (!(fl & GLOB_APPEND)) {
            g->gl_pathc = 0;
            g->gl_pathv = NULL;
        }
    }
    free(f.v);
    return r;
}
void globfree(glob_t *g)
{
    for (size_t i = 0; i < g->gl_pathc; i++)
        free(g->gl_pathv[g->gl_offs + i]);
    free(g->gl_pathv);
    g->gl_pathv = NULL;
    g->gl_pathc = 0;
}

/* --- ftw --- */

struct tree { int (*fn)(const char *, const struct stat *, int, struct FTW *); int (*old)(const char *, const struct stat *, int); int fl; dev_t dev; };
static int visit(struct tree *t, char *path, size_t n, int level)
{
    struct stat st;
    struct FTW w = { .level = level };
    int type, r = 0;

    for (size_t i = 0; i < n; i++)
        if (path[i] == '/' && path[i + 1])
            w.base = (int)i + 1;
    if (t->fl & FTW_PHYS ? lstat(path, &st) : stat(path, &st)) {
        if (t->fl & FTW_PHYS || lstat(path, &st)) {
            if (errno != EACCES)
                return -1;
            memset(&st, 0, sizeof(st));
            type = FTW_NS;
        } else {
            type = t->old ? FTW_NS : FTW_SLN;
        }
    } else {
        type = S_ISDIR(st.st_mode) ? FTW_D : S_ISLNK(st.st_mode) ? FTW_SL : FTW_F;
    }
    if (!level)
        t->dev = st.st_dev;
    else if (t->fl & FTW_MOUNT && st.st_dev != t->dev)
        return 0;
    DIR *d = NULL;
    if (type == FTW_D && !(d = opendir(path)))
        type = FTW_DNR;
    if (!(type == FTW_D && t->fl & FTW_DEPTH))
        r = t->old ? t->old(path, &st, type) : t->fn(path, &st, type, &w);
    struct dirent *e;
    while (!r && d && (e = readdir(d))) {
        size_t k = strlen(e->d_name);
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        if (n + k + 2 > 1024) {
            errno = ENAMETOOLONG;
            r = -1;
            break;
        }
        size_t at = n;
        if (path[n - 1] != '/')
            path[at++] = '/';
        strcpy(path + at, e->d_name);
        r = visit(t, path, at + k, level + 1);
        path[n] = 0;
    }
    if (d)
        closedir(d);
    if (!r && type == FTW_D && t->fl & FTW_DEPTH)
        r = t->fn(path, &st, FTW_DP, &w);
    return r;
}
static int tree(const char *p, struct tree *t)
{
    char path[1100];

    if (!*p || strlen(p) > 1000 || t->fl & FTW_CHDIR) { /* paths passed are relative to the start: no directory changes */
        errno = !*p ? ENOENT : t->fl & FTW_CHDIR ? ENOTSUP : ENAMETOOLONG;
        return -1;
    }
    strcpy(path, p);
    return visit(t, path, strlen(path), 0);
}
int nftw(const char *p, int (*fn)(const char *, const struct stat *, int, struct FTW *), int fds, int fl)
{
    struct tree t = { .fn = fn, .fl = fl };
    return tree(p, &t);
}
int ftw(const char *p, int (*fn)(const char *, const struct stat *, int), int fds)
{
    struct tree t = { .old = fn };
    return tree(p, &t);
}
