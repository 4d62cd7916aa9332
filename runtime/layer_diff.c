/* What a layer changes: the upper against the host as it is now, and whether the host changed meanwhile. */
#include "runtime/layer.h"
#include "runtime/options.h"
#include "sentry/base/alloc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH_MAX 200

/* As struct ovl_base of sentry/fs/overlay/overlay.h. */
struct base { u64 ino, size; s64 mtime_sec, mtime_nsec; };

struct scan { const struct layer *l; struct layer_changes *out; };

static void add(struct scan *s, char kind, const char *path, const char *upper, u32 mode, const char *why)
{
    struct layer_changes *o = s->out;
    if (!(o->n & (o->n - 1))) o->c = xrealloc(o->c, (o->n ? o->n * 2 : 1) * sizeof(*o->c));
    o->c[o->n++] = (struct layer_change){ .kind = kind, .path = xstrdup(path), .upper = xstrdup(upper), .mode = mode, .conflict = why, .why = why };
    o->conflicts += why != NULL;
}

/* NULL: as it was. lower NULL: it is not there. */
static const char *changed_underneath(struct scan *s, const char *upper, const struct stat *up, const struct stat *lower)
{
    struct base b;
    bool known = !S_ISCHR(up->st_mode) && !S_ISLNK(up->st_mode) && lgetxattr(upper, "user.overlay.base", &b, sizeof(b)) == sizeof(b);
    if (!lower) return known ? "it was removed underneath" : NULL;
    if (known && S_ISREG(lower->st_mode)) {
        if (b.ino != lower->st_ino || b.size != (u64)lower->st_size || b.mtime_sec != lower->st_mtim.tv_sec || b.mtime_nsec != lower->st_mtim.tv_nsec)
            return "it changed underneath";
        return NULL;
    }
    if (S_ISDIR(lower->st_mode)) return NULL; /* its entries are judged one by one */
    return lower->st_ctim.tv_sec * 1000000000LL + lower->st_ctim.tv_nsec > s->l->created ? "it changed underneath" : NULL;
}

static bool same_data(const char *a, const char *b)
{
    int x = open(a, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), y = open(b, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    bool same = x >= 0 && y >= 0;
    static char p[65536], q[65536];
    while (same) {
        ssize_t n = read(x, p, sizeof(p)), m = 0, k;
        if (n < 0) same = false;
        while (m < n && (k = read(y, q + m, (size_t)(n - m))) > 0) m += k;
        if (n == 0) {
            same = read(y, q, 1) == 0;
            break;
        }
        if (n > 0) same = m == n && !memcmp(p, q, (size_t)n);
    }
    if (x >= 0) close(x);
    if (y >= 0) close(y);
    return same;
}

static bool same_object(const char *upper, const struct stat *u, const char *lower, const struct stat *l)
{
    if ((u->st_mode & S_IFMT) != (l->st_mode & S_IFMT)) return false;
    if (S_ISLNK(u->st_mode)) {
        char a[4096], b[4096];
        ssize_t n = readlink(upper, a, sizeof(a)), m = readlink(lower, b, sizeof(b));
        return n >= 0 && n == m && !memcmp(a, b, (size_t)n);
    }
    if ((u->st_mode & 07777) != (l->st_mode & 07777)) return false;
    return !S_ISREG(u->st_mode) || (u->st_size == l->st_size && same_data(upper, lower));
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int scan_dir(struct scan *s, const char *upper, const char *lower, bool lower_counts, unsigned depth)
{
    struct dirent **e;
    if (depth > DEPTH_MAX) return fail("layer: %s is nested deeper than %u directories", lower, DEPTH_MAX);
    int n = scandir(upper, &e, NULL, by_name), r = 0;
    if (n < 0) return fail("layer: %s: %s", upper, strerror(errno));
    for (int i = 0; i < n; i++) {
        AUTO_FREE char *up = xasprintf("%s/%s", upper, e[i]->d_name), *low = xasprintf("%s/%s", strcmp(lower, "/") ? lower : "", e[i]->d_name);
        bool dot = !strcmp(e[i]->d_name, ".") || !strcmp(e[i]->d_name, "..");
        free(e[i]);
        struct stat u, l;
        if (dot || r || lstat(up, &u)) continue;
        bool has = lower_counts && !lstat(low, &l);
        const char *why = changed_underneath(s, up, &u, has ? &l : NULL);
        if (S_ISCHR(u.st_mode)) {
            if (u.st_rdev == 0 && has) add(s, 'D', low, up, l.st_mode, why);
            continue;
        }
        if (!S_ISDIR(u.st_mode)) {
            if (!has) add(s, 'A', low, up, u.st_mode, why);
            else if (S_ISDIR(l.st_mode) || (u.st_mode & S_IFMT) != (l.st_mode & S_IFMT)) add(s, 'R', low, up, u.st_mode, why);
            else if (!same_object(up, &u, low, &l)) add(s, 'M', low, up, u.st_mode, why);
            continue;
        }
        char opaque[8];
        bool hides = lgetxattr(up, "user.overlay.opaque", opaque, sizeof(opaque)) == 1 && *opaque == 'y';
        if (!has) add(s, 'A', low, up, u.st_mode, why);
        else if (!S_ISDIR(l.st_mode) || hides) add(s, 'R', low, up, u.st_mode, why);
        else if ((u.st_mode & 07777) != (l.st_mode & 07777)) add(s, 'M', low, up, u.st_mode, NULL);
        r = scan_dir(s, up, low, has && S_ISDIR(l.st_mode) && !hides, depth + 1);
    }
    free(e);
    return r;
}

int layer_diff(const struct layer *l, struct layer_changes *out)
{
    struct scan s = { l, out };
    *out = (struct layer_changes){ 0 };
    for (unsigned i = 0; i < l->nplaces; i++) {
        AUTO_FREE char *up = xasprintf("%s/%u", l->dir, l->places[i].n);
        int r = scan_dir(&s, up, l->places[i].path, true, 0);
        if (r) return r;
    }
    return 0;
}

void layer_changes_fini(struct layer_changes *c)
{
    for (unsigned i = 0; i < c->n; i++) free(c->c[i].path), free(c->c[i].upper);
    free(c->c);
    *c = (struct layer_changes){ 0 };
}
