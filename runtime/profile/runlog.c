#include "runtime/profile/runlog.h"
#include "runtime/options.h"
#include "sentry/base/alloc.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

char *runlog_state_dir(const char *below)
{
    const char *x = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (x && *x == '/') return xasprintf("%s/sundog/%s", x, below);
    return home && *home == '/' ? xasprintf("%s/.local/state/sundog/%s", home, below) : NULL;
}

int runlog_mkdirs(const char *path)
{
    AUTO_FREE char *p = xstrdup(path);
    for (char *s = p + 1;; s++) {
        if (*s && *s != '/') continue;
        char keep = *s;
        *s = 0;
        if (mkdir(p, 0700) && errno != EEXIST) return -errno;
        if (!keep) return 0;
        *s = keep;
    }
}

void runlog_printable(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 127) *s = '?';
}

static void remove_run(const char *runs, const char *id)
{
    static const char *const files[] = { "meta", "rules", "events" };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        AUTO_FREE char *f = xasprintf("%s/%s/%s", runs, id, files[i]);
        unlink(f);
    }
    AUTO_FREE char *d = xasprintf("%s/%s", runs, id);
    rmdir(d);
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int no_dots(const struct dirent *d) { return d->d_name[0] != '.'; }

/* Ids begin with the time, so that names are in order of age. */
static void prune(const char *runs)
{
    struct dirent **list;
    int n = scandir(runs, &list, no_dots, by_name);
    for (int i = 0; i < n; i++) {
        if (i < n - RUNS_KEPT) remove_run(runs, list[i]->d_name);
        free(list[i]);
    }
    if (n >= 0) free(list);
}

static FILE *create(const char *dir, const char *name)
{
    AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? NULL : fdopen(fd, "w");
}

/* One line each: what would break a line becomes a blank. */
static void put_line(FILE *f, const char *key, const char *value)
{
    fprintf(f, "%s=", key);
    for (; *value; value++) fputc((unsigned char)*value < ' ' ? ' ' : *value, f);
    fputc('\n', f);
}

static void write_start(struct runlog *l, const struct run_options *o)
{
    FILE *f = create(l->dir, "meta");
    char cwd[PATH_MAX];
    if (!f) return;
    put_line(f, "profile", o->profile && o->profile->name ? o->profile->name : o->profile_name ? o->profile_name : "");
    if (getcwd(cwd, sizeof(cwd))) put_line(f, "cwd", cwd);
    fprintf(f, "command=");
    for (char **a = o->argv; a && *a; a++) {
        fprintf(f, a == o->argv ? "" : " ");
        for (const char *c = *a; *c; c++) fputc((unsigned char)*c < ' ' ? ' ' : *c, f);
    }
    fprintf(f, "\nstart=%lld\npid=%d\nfd=%d\n", (long long)time(NULL), getpid(), l->fd);
    fclose(f);
    if (!o->profile || !(f = create(l->dir, "rules"))) return;
    for (unsigned i = 0; i < o->profile->nrules; i++) {
        const struct prule *r = &o->profile->rules[i];
        AUTO_FREE char *text = prule_text(r);
        AUTO_FREE char *where = xstrdup(r->file);
        runlog_printable(text);
        runlog_printable(where);
        fprintf(f, "%u\t%s:%u\t[%s] %s\n", i + 1, where, r->line, profile_sections[r->section], text);
    }
    fclose(f);
}

int runlog_memory(void)
{
    int fd = memfd_create("sundog-record", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && (ftruncate(fd, EVLOG_SIZE) || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

int runlog_begin(struct runlog *l, const struct run_options *o)
{
    *l = (struct runlog){ .fd = -1 };
    l->fd = runlog_memory();
    if (l->fd < 0) return -errno;
    AUTO_FREE char *runs = runlog_state_dir("runs");
    if (!runs || runlog_mkdirs(runs)) return 0;
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    char stamp[32];
    strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm);
    l->id = xasprintf("%s.%03ld-%d", stamp, now.tv_nsec / 1000000, getpid());
    l->dir = xasprintf("%s/%s", runs, l->id);
    if (mkdir(l->dir, 0700)) {
        free(l->dir);
        l->dir = NULL;
        return 0;
    }
    prune(runs);
    write_start(l, o);
    return 0;
}

u8 *runlog_copy(const struct runlog *l, size_t *len)
{
    u8 *copy = xzalloc(EVLOG_SIZE);
    ssize_t n = pread(l->fd, copy, EVLOG_SIZE, 0);
    *len = n < 0 ? 0 : (size_t)n;
    return copy;
}

void runlog_end(struct runlog *l, int status, unsigned *denied, unsigned *warned)
{
    *denied = *warned = 0;
    if (l->fd < 0) return;
    u8 *p = mmap(NULL, EVLOG_SIZE, PROT_READ, MAP_SHARED, l->fd, 0);
    if (p != MAP_FAILED) {
        /* A copy: the sentry is dead by now, but what it wrote is only data. */
        const struct evlog_hdr *h = (const void *)p;
        size_t len = sizeof(*h) + MIN((size_t)h->used, EVLOG_SIZE - sizeof(*h)), pos = 0;
        const struct evlog_rec *r;
        while ((r = evlog_next(p, len, &pos))) {
            if (r->op == EV_ABSENT) continue;
            *denied += r->verdict == EV_DENIED;
            *warned += r->verdict == EV_WARNED;
        }
        FILE *f = l->dir ? create(l->dir, "events") : NULL;
        if (f) {
            fwrite(p, 1, len, f);
            fclose(f);
        }
        munmap(p, EVLOG_SIZE);
    }
    close(l->fd);
    if (l->dir) {
        AUTO_FREE char *path = xasprintf("%s/meta", l->dir);
        int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
        FILE *f = fd < 0 ? NULL : fdopen(fd, "a");
        if (f) {
            fprintf(f, "end=%lld\nstatus=%d\n", (long long)time(NULL), status);
            fclose(f);
        }
    }
    free(l->dir);
    free(l->id);
    l->dir = l->id = NULL;
    l->fd = -1;
}

/* --- reading --- */

static char *whole(const char *dir, const char *name, size_t *len)
{
    AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (fd < 0) return NULL;
    char *buf = NULL;
    if (!fstat(fd, &st) && st.st_size <= (off_t)(16u << 20)) {
        buf = xzalloc((size_t)st.st_size + 1);
        ssize_t n = read(fd, buf, (size_t)st.st_size);
        *len = n < 0 ? 0 : (size_t)n;
    }
    close(fd);
    return buf;
}

static void parse_meta(struct runrec *r, char *text)
{
    for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *v = strchr(line, '=');
        if (!v) continue;
        *v++ = 0;
        if (!strcmp(line, "profile")) r->profile = xstrdup(v);
        else if (!strcmp(line, "command")) r->command = xstrdup(v);
        else if (!strcmp(line, "cwd")) r->cwd = xstrdup(v);
        else if (!strcmp(line, "start")) r->start = atoll(v);
        else if (!strcmp(line, "end")) r->end = atoll(v);
        else if (!strcmp(line, "status")) r->status = atoi(v);
        else if (!strcmp(line, "pid")) r->pid = atoi(v);
        else if (!strcmp(line, "fd")) r->fd = atoi(v);
    }
}

static void parse_rules(struct runrec *r, char *text)
{
    for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *where = strchr(line, '\t'), *rule = where ? strchr(where + 1, '\t') : NULL;
        if (!rule) continue;
        *where++ = *rule++ = 0;
        r->rules = xrealloc(r->rules, (r->nrules + 1) * sizeof(*r->rules));
        r->rules[r->nrules++] = (struct runrule){ (u32)atoi(line), xstrdup(where), xstrdup(rule) };
    }
}

static char *latest(const char *runs)
{
    struct dirent **list;
    int n = scandir(runs, &list, no_dots, by_name);
    char *id = n > 0 ? xstrdup(list[n - 1]->d_name) : NULL;
    for (int i = 0; i < n; i++) free(list[i]);
    if (n >= 0) free(list);
    return id;
}

struct runrec *runrec_load(const char *id)
{
    AUTO_FREE char *runs = runlog_state_dir("runs");
    if (!runs) {
        fail("HOME is not set: there is no place where runs are recorded");
        return NULL;
    }
    if (id && strchr(id, '/')) {
        fail("%s: an ID of a run has no slash", id);
        return NULL;
    }
    struct runrec *r = xnew(struct runrec);
    size_t n;
    r->status = -1;
    r->id = id ? xstrdup(id) : latest(runs);
    if (!r->id) {
        fail("no run was recorded yet: a run with --profile is (in %s)", runs);
        goto bad;
    }
    r->dir = xasprintf("%s/%s", runs, r->id);
    char *text = whole(r->dir, "meta", &n);
    if (!text) {
        fail("there is no run %s in %s", r->id, runs);
        goto bad;
    }
    parse_meta(r, text);
    free(text);
    if ((text = whole(r->dir, "rules", &n))) {
        parse_rules(r, text);
        free(text);
    }
    r->events = (u8 *)whole(r->dir, "events", &r->len);
    if (!r->events) runrec_refresh(r);
    return r;
bad:
    runrec_free(r);
    return NULL;
}

bool runrec_refresh(struct runrec *r)
{
    char path[64], name[64];
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", r->pid, r->fd);
    ssize_t n = readlink(path, name, sizeof(name) - 1);
    if (n <= 0) return false;
    name[n] = 0;
    if (!strstr(name, "memfd:sundog-record")) return false; /* another process with that number */
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    u8 *copy = xzalloc(EVLOG_SIZE);
    n = pread(fd, copy, EVLOG_SIZE, 0);
    close(fd);
    free(r->events);
    r->events = copy;
    r->len = n < 0 ? 0 : (size_t)n;
    return true;
}

void runrec_free(struct runrec *r)
{
    if (!r) return;
    for (unsigned i = 0; i < r->nrules; i++) free(r->rules[i].where), free(r->rules[i].text);
    free(r->rules);
    free(r->events);
    free(r->id);
    free(r->dir);
    free(r->profile);
    free(r->command);
    free(r->cwd);
    free(r);
}

const struct runrule *runrec_rule(const struct runrec *r, u32 id)
{
    for (unsigned i = 0; i < r->nrules; i++)
        if (r->rules[i].id == id) return &r->rules[i];
    return NULL;
}
