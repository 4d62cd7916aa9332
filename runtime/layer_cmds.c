/* `sundog diff`, `commit` and `discard` of layers. Everything in a layer was written by a sandbox: no link is followed. */
#include "runtime/commands.h"
#include "runtime/layer.h"
#include "runtime/options.h"
#include "runtime/profile/diff.h"
#include "runtime/profile/runlog.h"
#include "runtime/verbs.h"
#include "sentry/base/alloc.h"

#include <dirent.h>
#include <fcntl.h>
#include <json.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct words { const char *word[2]; unsigned n; const char *params[64]; unsigned np; bool json, force; };

static int parse(struct words *o, const char *verb, int argc, char **argv, unsigned most)
{
    struct verb_words w;
    int id;
    *o = (struct words){ 0 };
    verb_begin(&w, verb, argc, argv);
    while ((id = verb_next(&w)) != VERB_END) {
        if (id == O_JSON) o->json = true;
        else if (id == O_FORCE) o->force = true;
        else if (id == O_PARAM && o->np < ARRAY_LEN(o->params)) o->params[o->np++] = w.val;
        else if (id == VERB_WORD && o->n < most) o->word[o->n++] = w.val;
        else return id == VERB_HELPED ? -1 : id == VERB_BAD ? EXIT_SANDBOX : fail("%s: too many arguments", verb);
    }
    if (!o->n) return fail("%s: which layer? (`sundog run --overlay NAME` makes one)", verb);
    return 0;
}

static void print_changes(const struct layer_changes *c, bool json)
{
    struct json_object *list = json ? json_object_new_array() : NULL;
    for (unsigned i = 0; i < c->n; i++) {
        AUTO_FREE char *path = xstrdup(c->c[i].path);
        runlog_printable(path);
        if (!json) {
            printf("%c %s%s%s%s\n", c->c[i].kind, path, S_ISDIR(c->c[i].mode) ? "/" : "", c->c[i].conflict ? "   CONFLICT: " : "", c->c[i].why ? c->c[i].why : "");
            continue;
        }
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "change", json_object_new_string_len(&c->c[i].kind, 1));
        json_object_object_add(o, "path", json_object_new_string(path));
        json_object_object_add(o, "conflict", c->c[i].why ? json_object_new_string(c->c[i].why) : NULL);
        json_object_array_add(list, o);
    }
    if (json) puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(list);
}

int cmd_diff(int argc, char **argv)
{
    struct words w;
    int r = parse(&w, "diff", argc, argv, 2);
    if (r) return r < 0 ? 0 : r;
    if (w.n == 2) return profile_diff(w.word[0], w.word[1], w.params, w.np, w.json);
    struct layer l;
    struct layer_changes c;
    if ((r = layer_load(&l, w.word[0]))) return r;
    r = layer_diff(&l, &c);
    if (!r) print_changes(&c, w.json);
    if (!r) r = c.n != 0;
    layer_changes_fini(&c);
    layer_fini(&l);
    return r;
}

/* --- applying --- */

/* The directory of a change and its last name; no symbolic link on the way from the place. -1 with errno. */
static int open_parent(int place, const char *rel, const char **last)
{
    const char *slash = strrchr(rel, '/');
    *last = slash ? slash + 1 : rel;
    AUTO_FREE char *dir = slash ? xstrndup(rel, (size_t)(slash - rel)) : xstrdup(".");
    struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
    return (int)syscall(SYS_openat2, place, dir, &how, sizeof(how));
}

static int remove_tree(int dir, const char *name, unsigned depth)
{
    if (!unlinkat(dir, name, 0) || errno == ENOENT) return 0;
    if (errno != EISDIR && errno != EPERM) return -errno;
    if (depth > 256) return -ELOOP;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -errno;
    fchmod(fd, 0700);
    DIR *d = fdopendir(fd);
    struct dirent *e;
    int r = 0;
    while (!r && (e = readdir(d)))
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) r = remove_tree(fd, e->d_name, depth + 1);
    closedir(d);
    return r ? r : unlinkat(dir, name, AT_REMOVEDIR) ? -errno : 0;
}

static int copy_file(int dir, const char *tmp, const char *upper, const struct stat *st)
{
    int in = open(upper, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), out = -1, r = in < 0 ? -errno : 0;
    if (!r && (out = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0) r = -errno;
    static char buf[1 << 16];
    ssize_t n = 0;
    while (!r && (n = read(in, buf, sizeof(buf))) > 0)
        for (ssize_t done = 0, m; done < n && !r; done += m)
            if ((m = write(out, buf + done, (size_t)(n - done))) < 0) r = -errno, m = 0;
    if (!r && n < 0) r = -errno;
    /* never a set-id file out of a sandbox */
    if (!r && geteuid() == 0 && fchown(out, st->st_uid, st->st_gid)) r = -errno;
    if (!r && fchmod(out, st->st_mode & 01777)) r = -errno;
    struct timespec ts[2] = { st->st_atim, st->st_mtim };
    if (!r) futimens(out, ts);
    if (!r && fsync(out)) r = -errno;
    if (in >= 0) close(in);
    if (out >= 0) close(out);
    return r;
}

static int apply_one(int place, const char *rel, const struct layer_change *c)
{
    const char *last;
    char tmp[64];
    struct stat st;
    int dir = open_parent(place, rel, &last), r = 0;
    if (dir < 0) return -errno;
    snprintf(tmp, sizeof(tmp), ".sundog-commit-%d", getpid());
    if (c->kind == 'D') {
        r = remove_tree(dir, last, 0);
    } else if (lstat(c->upper, &st)) {
        r = -errno;
    } else if (S_ISDIR(st.st_mode)) {
        if (c->kind == 'R') r = remove_tree(dir, last, 0);
        if (!r && c->kind != 'M' && mkdirat(dir, last, 0700)) r = -errno;
        int fd = r ? -1 : openat(dir, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0) {
            if (geteuid() == 0) r = fchown(fd, st.st_uid, st.st_gid) ? -errno : 0;
            if (!r) r = fchmod(fd, st.st_mode & 01777) ? -errno : 0;
            close(fd);
        } else if (!r) {
            r = -errno;
        }
    } else {
        unlinkat(dir, tmp, 0);
        if (S_ISREG(st.st_mode)) r = copy_file(dir, tmp, c->upper, &st);
        else if (S_ISLNK(st.st_mode)) {
            char target[PATH_MAX];
            ssize_t n = readlink(c->upper, target, sizeof(target) - 1);
            if (n < 0) r = -errno;
            else {
                target[n] = 0;
                r = symlinkat(target, dir, tmp) ? -errno : 0;
            }
        } else if (S_ISFIFO(st.st_mode)) {
            r = mkfifoat(dir, tmp, st.st_mode & 0777) ? -errno : 0;
        } else {
            close(dir);
            return -EOPNOTSUPP; /* a socket: nothing to keep */
        }
        struct stat old;
        if (!r && !fstatat(dir, last, &old, AT_SYMLINK_NOFOLLOW) && S_ISDIR(old.st_mode)) r = remove_tree(dir, last, 0);
        if (!r && renameat(dir, tmp, dir, last)) r = -errno;
        if (r) unlinkat(dir, tmp, 0);
    }
    close(dir);
    return r;
}

int layer_remove(const struct layer *l)
{
    int r = 0;
    for (unsigned i = 0; i < l->nplaces && !r; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%u", l->places[i].n);
        int fd = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return -errno;
        r = remove_tree(fd, name, 0);
        close(fd);
    }
    AUTO_FREE char *meta = xasprintf("%s/meta", l->dir);
    if (!r && unlink(meta)) r = -errno;
    if (!r) rmdir(l->dir); /* a directory of the user's may hold other things */
    return r;
}

static int in_use(const struct layer *l)
{
    int fd = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || !flock(fd, LOCK_EX | LOCK_NB)) return 0; /* held until we end */
    close(fd);
    return fail("layer %s: a run uses it", l->dir);
}

static int apply_all(const struct layer *l, const struct layer_changes *c, bool json)
{
    unsigned done = 0, failed = 0;
    for (unsigned i = 0; i < c->n; i++) {
        const struct layer_place *p = NULL;
        for (unsigned k = 0; k < l->nplaces; k++) {
            size_t n = strlen(l->places[k].path);
            if (!strncmp(c->c[i].path, l->places[k].path, n) && (n == 1 || c->c[i].path[n] == '/') && (!p || n > strlen(p->path))) p = &l->places[k];
        }
        int place = p ? open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1, r = place < 0 ? -ENOENT : 0;
        const char *rel = p ? c->c[i].path + strlen(p->path) : "";
        while (*rel == '/') rel++;
        if (!r) r = apply_one(place, rel, &c->c[i]);
        if (place >= 0) close(place);
        if (r == -EOPNOTSUPP) fail("commit: %s: a socket is left out", c->c[i].path);
        else if (r) failed++, fail("commit: %s: %s", c->c[i].path, strerror(-r));
        else done++;
    }
    if (!json) printf("%u of %u changes applied\n", done, c->n);
    return failed ? 1 : 0;
}

int cmd_commit(int argc, char **argv)
{
    struct words w;
    int r = parse(&w, "commit", argc, argv, 1);
    if (r) return r < 0 ? 0 : r;
    struct layer l;
    struct layer_changes c = { 0 };
    if ((r = layer_load(&l, w.word[0]))) return r;
    if (!(r = in_use(&l))) r = layer_diff(&l, &c);
    if (!r && c.conflicts && !w.force) {
        print_changes(&c, w.json);
        fail("commit: %u conflict%s; nothing was applied (--force applies all the same, discard drops the layer)", c.conflicts, c.conflicts == 1 ? "" : "s");
        r = 1;
    } else if (!r) {
        r = apply_all(&l, &c, w.json);
        if (w.json) print_changes(&c, true);
        if (!r) {
            int e = layer_remove(&l);
            if (e) r = fail("commit: the changes are applied, but removing %s: %s", l.dir, strerror(-e));
        }
    }
    layer_changes_fini(&c);
    layer_fini(&l);
    return r;
}

int cmd_discard(int argc, char **argv)
{
    struct words w;
    int r = parse(&w, "discard", argc, argv, 1);
    if (r) return r < 0 ? 0 : r;
    struct layer l;
    if ((r = layer_load(&l, w.word[0]))) return r;
    if (!(r = in_use(&l))) {
        int e = layer_remove(&l);
        if (e) r = fail("discard: %s: %s", l.dir, strerror(-e));
        else if (w.json) puts("{ \"discarded\": true }");
    }
    layer_fini(&l);
    return r;
}
