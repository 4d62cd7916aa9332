/*
 * Change notices for shared roots. Directories the sentry has looked into are watched with inotify; one thread turns
 * events into counters in a page the sentry maps read-only, so that a cached name costs it a load instead of a message.
 *
 * The first questions are answered without a watch. A short run asks few, and the end of a process with watches waits for
 * the host to flush its list of dropped marks: 5 to 15 ms were measured, more than all the rest of a run of /bin/true.
 *
 * Limits: a change is seen a thread wake-up later than it happened; writes through a mapping make no event (the sentry
 * asks with fstat for files it has open); attributes of a hard link changed under another name in an unwatched
 * directory are missed. After a queue overflow every counter moves.
 */
#include "gofer/gofer.h"
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <unistd.h>

HOSTCALL(inotify_add_watch, "watch a directory the sentry cached");
HOSTCALL(inotify_rm_watch, "stop watching it");
HOSTCALL(read, "inotify events");

#define WATCH_MASK_NAMES (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MOVE_SELF | IN_DELETE_SELF)
#define WATCH_MASK (WATCH_MASK_NAMES | IN_ATTRIB | IN_MODIFY | IN_ONLYDIR)
#define WATCHES_MAX 8192

static struct {
    struct gofer_gen *page;    /* (c) GOFER_GEN_SLOTS */
    int page_fd, ifd;          /* (c) */
    bool wanted;               /* (c) */
    u32 unwatched;             /* (a) questions still answered without a watch */
    lock_t lock;               /* LC_LEAF; guards: */
    bool running, failed;      /* the thread */
    struct { u32 slot; u32 users; } *by_wd;   /* indexed by wd */
    u32 by_wd_size, count;
} w = { .lock = LOCK_INIT(LC_LEAF), .page_fd = -1, .ifd = -1 };

int watch_init(void)
{
    size_t size = sizeof *w.page * GOFER_GEN_SLOTS;
    if (w.page_fd < 0) {
        w.page_fd = memfd_create("gofer-generations", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (w.page_fd < 0 || ftruncate(w.page_fd, (off_t)size)) return -errno;
        w.page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, w.page_fd, 0);
        if (w.page == MAP_FAILED) return -errno;
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
        /* The sentry gets this descriptor and may neither write nor resize what we read and write. */
        if (fcntl(w.page_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)) return -errno;
        w.ifd = inotify_init1(IN_CLOEXEC);
        if (w.ifd < 0) log_debug("inotify: %s; shared roots are asked each time", strerror(errno));
    }
    return 0;
}

int watch_page_fd(void) { return w.page_fd; }

static void bump(u32 slot, u32 mask)
{
    struct gofer_gen *s = &w.page[slot];
    if (mask & (WATCH_MASK_NAMES | IN_IGNORED | IN_UNMOUNT)) atomic_add(&s->names, 1);
    /* link counts change with names; ctime too */
    if (mask & (IN_ATTRIB | WATCH_MASK_NAMES | IN_IGNORED | IN_UNMOUNT)) atomic_add(&s->attrs, 1);
    if (mask & IN_MODIFY) atomic_add(&s->data, 1);
}

static void *watch_thread(void *arg UNUSED)
{
    static u8 buf[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    for (;;) {
        ssize_t n = read(w.ifd, buf, sizeof buf);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            log_error("inotify stopped: %s", n ? strerror(errno) : "end");
            _exit(1); /* names would go stale silently: better a clear end */
        }
        lock(&w.lock);
        for (u8 *p = buf; p < buf + n;) {
            struct inotify_event *e = (struct inotify_event *)(void *)p;
            p += sizeof *e + e->len;
            if (e->mask & IN_Q_OVERFLOW)
                for (u32 s = 0; s < GOFER_GEN_SLOTS; s++) bump(s, IN_IGNORED | IN_MODIFY);
            else if (e->wd >= 0 && (u32)e->wd < w.by_wd_size && w.by_wd[e->wd].users)
                bump(w.by_wd[e->wd].slot, e->mask);
        }
        unlock(&w.lock);
    }
    return NULL;
}

void watch_start(u32 unwatched)
{
    w.wanted = w.ifd >= 0;
    atomic_store(&w.unwatched, unwatched);
}

/* Is the thread there? Made with the first watch. */
static bool thread_runs_locked(void)
{
    if (w.running || w.failed) return w.running;
    pthread_t t;
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&a, 128 * 1024);
    int err = pthread_create(&t, &a, watch_thread, NULL);
    pthread_attr_destroy(&a);
    if (err) log_warn("no thread for change notices (%s); shared roots are asked each time", strerror(err));
    w.running = !err;
    w.failed = err;
    return w.running;
}

/* Several channels ask at once: the count may end a few questions late, never wrap. */
static bool too_early(void)
{
    u32 left = atomic_load(&w.unwatched);
    if (!left) return false;
    atomic_store(&w.unwatched, left - 1);
    return true;
}

gofer_handle watch_dir(struct gofer_node_entry *dir, struct gofer_gen *out)
{
    *out = (struct gofer_gen){ 0 };
    if (dir->exclusive || dir->sealed || !w.wanted || dir->mode != S_IFDIR || too_early()) return 0;
    u32 slot = GOFER_HANDLE_INDEX(dir->h) % GOFER_GEN_SLOTS;
    bool ok = true;
    lock(&w.lock);
    if (dir->wd < 0) {
        int wd = w.count < WATCHES_MAX && thread_runs_locked() ? inotify_add_watch(w.ifd, gofer_fd_name(dir->fd).s, WATCH_MASK) : -1;
        if (wd >= 0 && (u32)wd >= w.by_wd_size) {
            u32 size = MAX(256u, (u32)wd * 2);
            w.by_wd = xrealloc(w.by_wd, size * sizeof *w.by_wd);
            memset(w.by_wd + w.by_wd_size, 0, (size - w.by_wd_size) * sizeof *w.by_wd);
            w.by_wd_size = size;
        }
        /* The same directory under a second handle gets the same watch: only the first handle's slot hears of it. */
        if (wd >= 0 && w.by_wd[wd].users && w.by_wd[wd].slot != slot) wd = -1;
        if (wd >= 0) {
            w.by_wd[wd].users++;
            w.by_wd[wd].slot = slot;
            w.count++;
            dir->wd = wd;
        }
        ok = wd >= 0;
    }
    unlock(&w.lock);
    if (!ok) return 0;
    out->names = atomic_load(&w.page[slot].names);
    out->attrs = atomic_load(&w.page[slot].attrs);
    out->data = atomic_load(&w.page[slot].data);
    return dir->h;
}

void watch_forget(struct gofer_node_entry *n)
{
    if (n->wd < 0) return;
    lock(&w.lock);
    if (--w.by_wd[n->wd].users == 0) inotify_rm_watch(w.ifd, n->wd);
    w.count--;
    bump(w.by_wd[n->wd].slot, IN_IGNORED);
    unlock(&w.lock);
    n->wd = -1;
}
