#include "runtime/top_source.h"
#include "runtime/oci/oci.h"
#include "runtime/oci/state.h"
#include "runtime/oci/wire.h"
#include "runtime/profile/runlog.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MS 1000

static void objects_free(struct top_object *o, unsigned *n)
{
    for (unsigned i = 0; i < *n; i++) free(o[i].text);
    *n = 0;
}

static void box_free(struct top_box *b)
{
    objects_free(b->recent, &b->nrecent);
    objects_free(b->denied, &b->ndenied);
    if (b->record) munmap((void *)(uintptr_t)b->record, EVLOG_SIZE);
    if (b->sock >= 0) close(b->sock);
    free(b->procs);
    free(b->id);
    free(b->command);
    free(b);
}

/* One request and its answer. Bytes behind the head, or -errno. */
static ssize_t ask(struct top_box *b, u32 op, void *more, size_t size, int *fd)
{
    struct wire_msg m;
    int fds[WIRE_FDS];
    unsigned nfds = 0;
    int r = wire_send(b->sock, op, 0, 0, NULL, 0);
    ssize_t n = r ? r : wire_recv(b->sock, &m, more, size, fds, &nfds, ANSWER_MS);
    for (unsigned i = 0; i < nfds; i++) {
        if (fd && !i && n >= 0) *fd = fds[0];
        else close(fds[i]);
    }
    if (n >= 0 && m.op != WIRE_REPLY) return -EPROTO;
    return n >= 0 && m.a[0] ? m.a[0] : n;
}

/* --- finding --- */

static struct top_box *known(struct top *t, bool container, s32 pid)
{
    for (unsigned i = 0; i < t->n; i++)
        if (t->box[i]->container == container && t->box[i]->pid == pid) return t->box[i];
    return NULL;
}

static char *command_of(s32 pid)
{
    char path[64], buf[512];
    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
    if (fd >= 0) close(fd);
    if (n <= 0) return xstrdup("?");
    buf[n] = 0;
    size_t at = 0;
    for (ssize_t i = 0; i < n; i++) {
        if (buf[i]) continue;
        if (!strcmp(buf + i + 1, "--")) at = (size_t)i + 4; /* what runs inside, without our own options */
        buf[i] = ' ';
        if (at) break;
    }
    for (ssize_t i = 0; i < n - 1; i++)
        if (!buf[i]) buf[i] = ' ';
    char *s = xstrdup(at && at < (size_t)n ? buf + at : buf);
    for (size_t k = strlen(s); k && s[k - 1] == ' ';) s[--k] = 0;
    runlog_printable(s);
    return s;
}

static void add(struct top *t, bool container, s32 pid, const char *id, int sock)
{
    struct top_box *b = xnew(struct top_box);
    int fd = -1;
    *b = (struct top_box){ .container = container, .pid = pid, .id = xstrdup(id), .command = command_of(pid), .sock = sock };
    ssize_t n = ask(b, WIRE_WATCH, NULL, 0, &fd);
    if (n == -EPIPE || n == -ECONNRESET) {
        box_free(b);
        return;
    }
    if (n >= 0 && fd >= 0) {
        /* The descriptor comes from our own sundog, but what it is gets checked: a shorter file would end us by SIGBUS. */
        void *p = lseek(fd, 0, SEEK_END) == (off_t)EVLOG_SIZE ? mmap(NULL, EVLOG_SIZE, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
        if (p != MAP_FAILED) b->record = p;
    }
    if (fd >= 0) close(fd);
    t->box = xrealloc(t->box, (t->n + 1) * sizeof(struct top_box *));
    t->box[t->n++] = b;
}

static int connect_run(unsigned uid, s32 pid)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct ucred c;
    socklen_t len = sizeof(c);
    int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "sundog/%u/%d", uid, pid);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    /* Anybody can take such a name: who owns the process behind it is what counts. */
    if (connect(fd, (struct sockaddr *)(void *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) || c.pid != pid || c.uid != uid) {
        close(fd);
        return -1;
    }
    return fd;
}

static void find_runs(struct top *t)
{
    FILE *f = fopen("/proc/net/unix", "re");
    char line[512];
    while (f && fgets(line, sizeof(line), f)) {
        char *at = strstr(line, " @sundog/");
        unsigned uid;
        int pid;
        if (!at || sscanf(at, " @sundog/%u/%d", &uid, &pid) != 2 || known(t, false, pid)) continue;
        if (uid != geteuid() && geteuid() != 0) continue;
        char id[32];
        int fd = connect_run(uid, pid);
        snprintf(id, sizeof(id), "run %d", pid);
        if (fd >= 0) add(t, false, pid, id, fd);
    }
    if (f) fclose(f);
}

static void find_containers(struct top *t)
{
    DIR *d = oci_defaults() ? NULL : opendir(oci.root);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        struct oci_state s;
        int dirfd, fd;
        if (!oci_id_valid(e->d_name) || state_load(e->d_name, &s)) continue;
        if (state_alive(&s) && !known(t, true, s.pid) && !state_dir_open(s.id, &dirfd)) {
            if ((fd = wire_connect(dirfd)) >= 0) add(t, true, s.pid, s.id, fd);
            close(dirfd);
        }
        state_free(&s);
    }
    if (d) closedir(d);
    oci_error_clear();
}

/* --- sampling --- */

/* Into a list of the newest, which is kept sorted. */
static void keep(struct top_object *list, unsigned *n, const struct evlog_rec *r)
{
    unsigned at = 0;
    while (at < *n && list[at].last >= r->last) at++;
    if (at == TOP_FILES) return;
    if (*n == TOP_FILES) free(list[--*n].text);
    memmove(list + at + 1, list + at, (*n - at) * sizeof(*list));
    ++*n;
    list[at] = (struct top_object){ xstrndup(r->object, EVLOG_OBJECT_MAX), r->op, r->verdict, r->count, r->last };
    runlog_printable(list[at].text);
}

static void read_record(struct top_box *b)
{
    /* A copy: its writer goes on, and is not trusted. Only as much as it says it used. */
    const struct evlog_hdr *live = (const void *)b->record;
    size_t len = sizeof(*live) + MIN((size_t)__atomic_load_n(&live->used, __ATOMIC_ACQUIRE), EVLOG_SIZE - sizeof(*live)), pos = 0;
    u8 *copy = xzalloc(len);
    memcpy(copy, b->record, len);
    const struct evlog_hdr *h = (const void *)copy;
    u64 calls = 0;
    b->nbusiest = 0;
    for (unsigned a = 0; a < 2; a++)
        for (u32 i = 0; i < EVLOG_CALLS; i++) {
            u64 now = h->calls[a][i], more = now - b->last_calls[a][i];
            calls += now;
            b->last_calls[a][i] = now;
            double rate = b->seconds > 0 ? (double)more / b->seconds : 0;
            if (!more || rate <= 0) continue;
            unsigned at = 0;
            while (at < b->nbusiest && b->busiest[at].per_s >= rate) at++;
            if (at == ARRAY_LEN(b->busiest)) continue;
            if (b->nbusiest < ARRAY_LEN(b->busiest)) b->nbusiest++;
            memmove(b->busiest + at + 1, b->busiest + at, (b->nbusiest - at - 1) * sizeof(b->busiest[0]));
            b->busiest[at].nr = i, b->busiest[at].solaris = a, b->busiest[at].per_s = rate;
        }
    b->calls_per_s = b->seconds > 0 ? (double)(calls - b->calls) / b->seconds : 0;
    b->calls = calls;
    b->dropped = h->dropped;
    b->files = b->hosts = b->denials = b->warnings = 0;
    objects_free(b->recent, &b->nrecent);
    objects_free(b->denied, &b->ndenied);
    const struct evlog_rec *r;
    while ((r = evlog_next(copy, len, &pos))) {
        bool file = r->op <= EV_EXEC, host = r->op == EV_CONNECT || r->op == EV_LISTEN || r->op == EV_RESOLVE;
        if (r->op == EV_ABSENT || r->op >= EV_FORK) continue;
        if (r->verdict == EV_DENIED || r->verdict == EV_WARNED) {
            if (r->verdict == EV_DENIED) b->denials++;
            else b->warnings++;
            keep(b->denied, &b->ndenied, r);
        } else if (file || host) {
            b->files += file;
            b->hosts += host;
            keep(b->recent, &b->nrecent, r);
        }
    }
    free(copy);
}

static void sample(struct top_box *b)
{
    static u8 buf[WIRE_MAX];
    ssize_t n = ask(b, WIRE_STATS, buf, sizeof(buf), NULL);
    if (n < 0) {
        b->lost = n != -ETIMEDOUT;
        return;
    }
    s64 now = clock_mono();
    b->seconds = b->sampled ? (double)(now - b->sampled) / 1e9 : 0;
    b->sampled = now;
    if ((size_t)n >= sizeof(b->stats)) memcpy(&b->stats, buf, sizeof(b->stats));
    u64 cpu = b->stats.utime_ns + b->stats.stime_ns;
    b->cpu = b->seconds > 0 && cpu > b->cpu_ns ? (double)(cpu - b->cpu_ns) / 1e9 / b->seconds : 0;
    b->cpu_ns = cpu;
    n = ask(b, WIRE_PS, buf, sizeof(buf), NULL);
    if (n >= 0) {
        free(b->procs);
        b->nprocs = (unsigned)((size_t)n / sizeof(struct control_proc));
        b->procs = xzalloc((b->nprocs + 1) * sizeof(struct control_proc));
        memcpy(b->procs, buf, b->nprocs * sizeof(struct control_proc));
        for (unsigned i = 0; i < b->nprocs; i++) {
            struct control_proc *p = &b->procs[i];
            p->args[sizeof(p->args) - 1] = p->comm[sizeof(p->comm) - 1] = 0;
            runlog_printable(p->args);
            runlog_printable(p->comm);
            if (p->state < '!' || p->state > '~') p->state = '?';
        }
    }
    if (b->record) read_record(b);
}

void top_refresh(struct top *t)
{
    find_runs(t);
    find_containers(t);
    unsigned n = 0;
    for (unsigned i = 0; i < t->n; i++) {
        sample(t->box[i]);
        if (t->box[i]->lost) box_free(t->box[i]);
        else t->box[n++] = t->box[i];
    }
    t->n = n;
}

void top_fini(struct top *t)
{
    for (unsigned i = 0; i < t->n; i++) box_free(t->box[i]);
    free(t->box);
    *t = (struct top){ 0 };
}
