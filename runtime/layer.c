#include "runtime/layer.h"
#include "runtime/options.h"
#include "runtime/plan_build_int.h"
#include "runtime/profile/runlog.h"
#include "sentry/base/alloc.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

char *layer_dir(const char *name)
{
    if (!*name) {
        fail("a layer's name is empty");
        return NULL;
    }
    if (strchr(name, '/')) return xstrdup(name);
    if (*name == '.') {
        fail("layer %s: a name does not begin with a dot; ./%s is a directory here", name, name);
        return NULL;
    }
    AUTO_FREE char *all = runlog_state_dir("layers");
    if (!all) {
        fail("HOME is not set: there is no place where layers are kept; give a directory");
        return NULL;
    }
    return xasprintf("%s/%s", all, name);
}

static int read_meta(struct layer *l)
{
    AUTO_FREE char *path = xasprintf("%s/meta", l->dir);
    FILE *f = fopen(path, "re");
    if (!f) return -errno;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, f)) > 0) {
        if (line[n - 1] == '\n') line[--n] = 0;
        char *tab = strchr(line, '\t');
        if (!strncmp(line, "created=", 8)) l->created = atoll(line + 8);
        else if (tab && tab[1] == '/') {
            l->places = xrealloc(l->places, (l->nplaces + 1) * sizeof(*l->places));
            l->places[l->nplaces++] = (struct layer_place){ (unsigned)atoi(line), xstrdup(tab + 1) };
        }
    }
    free(line);
    fclose(f);
    return 0;
}

int layer_load(struct layer *l, const char *name)
{
    *l = (struct layer){ .dir = layer_dir(name) };
    if (!l->dir) return EXIT_SANDBOX;
    int e = read_meta(l);
    if (!e) return 0;
    fail("layer %s: %s", l->dir, e == -ENOENT ? "there is none" : strerror(-e));
    layer_fini(l);
    return EXIT_SANDBOX;
}

void layer_fini(struct layer *l)
{
    for (unsigned i = 0; i < l->nplaces; i++) free(l->places[i].path);
    free(l->places);
    free(l->dir);
    *l = (struct layer){ 0 };
}

static bool keeps_attributes(const char *dir)
{
    bool ok = !setxattr(dir, "user.overlay.test", "y", 1, 0);
    if (ok) removexattr(dir, "user.overlay.test");
    return ok;
}

/* One run at a time: held by this process until it ends. */
static int lock_layer(const char *dir)
{
    static int held = -1;
    if (held >= 0) return 0;
    held = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return held < 0 || flock(held, LOCK_EX | LOCK_NB) ? -errno : 0;
}

int layer_upper(struct builder *b, const char *host, const char *at, u32 *upper)
{
    struct layer l = { .dir = layer_dir(b->o->layer) };
    AUTO_FREE char *up = NULL;
    if (!l.dir) return EXIT_SANDBOX;
    int e = runlog_mkdirs(l.dir);
    if (!e) e = lock_layer(l.dir);
    if (e) {
        e = fail("layer %s: %s", l.dir, e == -EWOULDBLOCK ? "another run uses it" : strerror(-e));
        goto out;
    }
    unsigned k = 0;
    if (read_meta(&l)) {
        if (!keeps_attributes(l.dir)) {
            e = fail("layer %s: the file system there keeps no user.* attributes, which layers need; give a directory on another", l.dir);
            goto out;
        }
        AUTO_FREE char *meta = xasprintf("%s/meta", l.dir);
        FILE *f = fopen(meta, "wex");
        if (!f) {
            e = fail("layer %s: %s", l.dir, strerror(errno));
            goto out;
        }
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        fprintf(f, "created=%lld\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
        fclose(f);
    }
    if (strchr(host, '\n')) {
        e = fail("a layer of %s: not with a line break in its name", at);
        goto out;
    }
    while (k < l.nplaces && strcmp(l.places[k].path, host)) k++;
    unsigned n = k < l.nplaces ? l.places[k].n : l.nplaces;
    up = xasprintf("%s/%u", l.dir, n);
    if (mkdir(up, 0700) && errno != EEXIST) e = fail("layer %s: %s", up, strerror(errno));
    if (!e && k == l.nplaces) {
        AUTO_FREE char *meta = xasprintf("%s/meta", l.dir);
        FILE *f = fopen(meta, "ae");
        if (!f || fprintf(f, "%u\t%s\n", n, host) < 0 || fclose(f)) e = fail("layer %s: %s", meta, strerror(errno));
    }
    int fd = e ? -1 : open(up, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (!e && fd < 0) e = fail("layer %s: %s", up, strerror(errno));
    if (!e) *upper = builder_layer_root(b, fd) + 1;
out:
    layer_fini(&l);
    return e;
}
