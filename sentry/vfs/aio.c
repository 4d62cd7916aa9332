/* Kernel AIO contexts: see aio.h. */
#include "sentry/vfs/aio.h"

#include "sentry/base/alloc.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usercopy.h"
#include <sys/mman.h>

/*
 * Locks: table->lock, then ctx->lock, both leaves. A poll ends in a wake function, below any lock of the file's owner:
 * there the request only moves to ctx->spent and its file is let go by the next call that comes with no lock held.
 */
struct aio_req {
    TAILQ_ENTRY(aio_req) link;     /* ctx->pending or ctx->spent, under ctx->lock */
    refcount_t refs;               /* the lists, and aio_poll while it runs */
    bool ended;                    /* ctx->lock */
    struct aio_ctx *ctx;           /* counted */
    u64 obj, data;
    struct eventfd *notify;        /* counted; NULL once it is on its way to be signalled */
    struct note *note;             /* for notify from a wake function */
    struct file *file;             /* polls; counted */
    u32 events;
    struct waiter w;
};
TAILQ_HEAD(aio_reqs, aio_req);

struct aio_ctx {
    refcount_t refs;               /* the table, requests, calls in progress */
    struct aio_table *table;       /* (c) outlives the context's use: callers run in its address space */
    u32 index, nr;                 /* (c) */
    u64 cookie;                    /* (c) what makes the name ours */
    lock_t taking;                 /* LC_PIPE: one taker of events at a time, for it copies them out */
    lock_t lock;                   /* LC_LEAF; guards: */
    bool dead;
    u32 used;                      /* requests in flight and events not taken, <= nr */
    u32 head, count;               /* events[head ... head + count) modulo nr */
    struct aio_event *events;
    struct aio_reqs pending, spent;
    struct waitq wq;
};

struct aio_table {
    struct mm_attachment att;
    lock_t lock;                   /* LC_LEAF; guards: */
    u32 size;
    struct aio_ctx **ctx;          /* by index; NULL: free */
};

/* The page that names a context. Where Linux keeps its ring; a ring without its magic makes libaio call the kernel. */
struct name_page { u32 id, nr; u64 reserved[3], cookie; };

static u32 total;                  /* (a) */
static u64 cookies = (u64)0xa10 << 52;       /* (a) last one given; never again, for a child has its parent's pages */
u32 aio_nr(void) { return atomic_load(&total); }

/* --- an eventfd's share of an event, when it comes below locks --- */

struct note { STAILQ_ENTRY(note) link; struct eventfd *e; };
static _Thread_local STAILQ_HEAD(, note) notes;

static void flush_notes(void)
{
    struct note *n;

    while ((n = STAILQ_FIRST(&notes))) {
        STAILQ_REMOVE_HEAD(&notes, link);
        eventfd_signal(n->e);
        eventfd_put(n->e);
        free(n);
    }
}

/* --- contexts --- */

void aio_ctx_put(struct aio_ctx *c)
{
    if (!ref_put(&c->refs)) return;
    waitq_fini(&c->wq);
    lock_fini(&c->taking);
    lock_fini(&c->lock);
    free(c->events);
    free(c);
}

static void req_put(struct aio_req *r)
{
    if (!ref_put(&r->refs)) return;
    if (r->file) file_put(r->file);
    if (r->notify) eventfd_put(r->notify);
    free(r->note);
    aio_ctx_put(r->ctx);
    free(r);
}

static void reap_spent(struct aio_ctx *c)
{
    struct aio_reqs dead = TAILQ_HEAD_INITIALIZER(dead);
    struct aio_req *r;

    lock(&c->lock);
    TAILQ_CONCAT(&dead, &c->spent, link);
    unlock(&c->lock);
    while ((r = TAILQ_FIRST(&dead))) {
        TAILQ_REMOVE(&dead, r, link);
        req_put(r);
    }
}

/* The context is off the table: its requests end, its memory goes with the last who looks. */
static void ctx_end(struct aio_ctx *c)
{
    struct aio_req *r;

    lock(&c->lock);
    c->dead = true;
    while ((r = TAILQ_FIRST(&c->pending))) {
        r->ended = true;                   /* a wake from now on does nothing */
        TAILQ_REMOVE(&c->pending, r, link);
        unlock(&c->lock);
        waitq_del(&r->w);                  /* waits for one that runs now */
        req_put(r);
        lock(&c->lock);
    }
    unlock(&c->lock);
    reap_spent(c);
    waitq_wake_all(&c->wq, 0);
    atomic_add(&total, -c->nr);
    aio_ctx_put(c);
}

static void table_end(struct mm_attachment *a)
{
    struct aio_table *t = container_of(a, struct aio_table, att);

    for (u32 i = 0; i < t->size; i++)
        if (t->ctx[i]) ctx_end(t->ctx[i]);
    lock_fini(&t->lock);
    free(t->ctx);
    free(t);
}

static struct aio_table *current_table(bool make)
{
    struct mm *mm = current->mm;
    struct mm_attachment *a = atomic_load(&mm->aio);

    if (!a && make) {
        struct aio_table *t = xnew(struct aio_table);
        lock_init(&t->lock, LC_LEAF);
        t->att.end = table_end;
        if (__atomic_compare_exchange_n(&mm->aio, &a, &t->att, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            a = &t->att;
        else
            table_end(&t->att);
    }
    return a ? container_of(a, struct aio_table, att) : NULL;
}

/* A free place of the table for c, which is counted there. */
static int table_add(struct aio_table *t, struct aio_ctx *c)
{
    u32 i = 0;

    lock(&t->lock);
    while (i < t->size && t->ctx[i]) i++;
    if (i == t->size) {
        u32 size = t->size ? 2 * t->size : 8;
        struct aio_ctx **bigger = realloc(t->ctx, size * sizeof *bigger);
        if (!bigger) {
            unlock(&t->lock);
            return -ENOMEM;
        }
        for (u32 k = t->size; k < size; k++) bigger[k] = NULL;
        t->ctx = bigger;
        t->size = size;
    }
    t->ctx[i] = c;
    c->table = t;
    c->index = i;
    c->cookie = atomic_add(&cookies, 1);
    unlock(&t->lock);
    return 0;
}

static bool table_remove(struct aio_ctx *c)
{
    struct aio_table *t = c->table;

    lock(&t->lock);
    bool was = t->ctx[c->index] == c;
    if (was) t->ctx[c->index] = NULL;
    unlock(&t->lock);
    return was;
}

int aio_setup(u32 nr, gaddr_t *name)
{
    u32 now = atomic_load(&total);
    do {
        if (nr > AIO_MAX_NR - now) return -EAGAIN;
    } while (!__atomic_compare_exchange_n(&total, &now, now + nr, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));

    struct aio_ctx *c = xnew(struct aio_ctx);
    ref_init(&c->refs);
    lock_init(&c->taking, LC_PIPE);
    lock_init(&c->lock, LC_LEAF);
    waitq_init(&c->wq);
    TAILQ_INIT(&c->pending);
    TAILQ_INIT(&c->spent);
    c->nr = nr;
    c->events = try_zalloc(nr, sizeof *c->events);
    int r = c->events ? table_add(current_table(true), c) : -ENOMEM;
    if (r) {
        atomic_add(&total, -nr);
        aio_ctx_put(c);
        return r;
    }
    sysret_t at = mm_map(current->mm, &(struct mm_map_req){
        .len = GPAGE_SIZE, .prot = PROT_READ | PROT_WRITE, .flags = MAP_PRIVATE | MAP_ANONYMOUS, .vma_flags = VMA_FIXED_SIZE,
        .name = "/[aio] (deleted)" });
    struct name_page page = { .id = c->index, .nr = nr, .cookie = c->cookie };
    if (at >= 0 && copy_out((gaddr_t)at, &page, sizeof page)) {
        mm_unmap(current->mm, (gaddr_t)at, GPAGE_SIZE);
        at = -EFAULT;
    }
    if (at < 0) {
        if (table_remove(c)) ctx_end(c);
        return (int)at;
    }
    *name = (gaddr_t)at;
    return 0;
}

struct aio_ctx *aio_ctx_get(gaddr_t name)
{
    struct aio_table *t = current_table(false);
    struct name_page page;
    struct aio_ctx *c = NULL;

    if (!t || copy_in(&page, name, sizeof page)) return NULL;
    lock(&t->lock);
    if (page.id < t->size && (c = t->ctx[page.id]) && c->cookie == page.cookie)
        ref_get(&c->refs);
    else
        c = NULL;
    unlock(&t->lock);
    return c;
}

int aio_destroy(struct aio_ctx *c)
{
    if (!table_remove(c)) return -EINVAL;
    ctx_end(c);
    return 0;
}

/* --- requests --- */

struct aio_req *aio_begin(struct aio_ctx *c, u64 obj, u64 data, struct eventfd *notify)
{
    reap_spent(c);
    lock(&c->lock);
    bool room = !c->dead && c->used < c->nr;
    if (room) c->used++;
    unlock(&c->lock);
    if (!room) {
        if (notify) eventfd_put(notify);
        return NULL;
    }
    struct aio_req *r = xnew(struct aio_req);
    ref_init(&r->refs);
    ref_get(&c->refs);
    r->ctx = c;
    r->obj = obj;
    r->data = data;
    r->notify = notify;
    return r;
}

void aio_abandon(struct aio_req *r)
{
    lock(&r->ctx->lock);
    r->ctx->used--;
    unlock(&r->ctx->lock);
    req_put(r);
}

static void push_event_locked(struct aio_ctx *c, const struct aio_req *r, s64 res)
{
    c->events[(c->head + c->count++) % c->nr] = (struct aio_event){ r->data, r->obj, res, 0 };
}

static void announce(struct aio_ctx *c) { waitq_wake(&c->wq, POLLIN); }

void aio_complete(struct aio_req *r, s64 res)
{
    struct aio_ctx *c = r->ctx;

    lock(&c->lock);
    push_event_locked(c, r, res);
    unlock(&c->lock);
    if (r->notify) eventfd_signal(r->notify);
    announce(c);
    req_put(r);
}

/* Under the lock of the file's queue and whatever its waker holds. */
static bool poll_wake(struct waiter *w, u32 events)
{
    struct aio_req *r = container_of(w, struct aio_req, w);
    struct aio_ctx *c = r->ctx;

    if (!events) events = POLLHUP;         /* a wake of everybody, whatever for */
    if (!(events & r->events)) return false;
    lock(&c->lock);
    if (r->ended) {
        unlock(&c->lock);
        return false;
    }
    r->ended = true;
    ref_get(&c->refs);
    TAILQ_REMOVE(&w->q->waiters, w, link);
    atomic_store(&w->q, (struct waitq *)NULL);
    push_event_locked(c, r, events);
    struct note *n = r->note;
    if (n) {
        n->e = r->notify;
        r->notify = NULL;
        r->note = NULL;
        if (!notes.stqh_last) STAILQ_INIT(&notes);
        STAILQ_INSERT_TAIL(&notes, n, link);
        waitq_defer(flush_notes);
    }
    TAILQ_REMOVE(&c->pending, r, link);
    TAILQ_INSERT_TAIL(&c->spent, r, link);
    unlock(&c->lock);
    announce(c);
    aio_ctx_put(c);
    return true;
}

/* Ends a poll from outside its wake function, with no lock held. False: it has ended. */
static bool poll_end(struct aio_req *r, s64 res)
{
    struct aio_ctx *c = r->ctx;

    lock(&c->lock);
    bool mine = !r->ended;
    if (mine) {
        r->ended = true;
        push_event_locked(c, r, res);
        TAILQ_REMOVE(&c->pending, r, link);
    }
    unlock(&c->lock);
    if (!mine) return false;
    waitq_del(&r->w);
    if (r->notify) eventfd_signal(r->notify);
    announce(c);
    req_put(r);
    return true;
}

void aio_poll(struct aio_req *r, struct file *f, u32 events)
{
    struct aio_ctx *c = r->ctx;

    file_get(f);
    r->file = f;
    r->events = events | POLLERR | POLLHUP;
    r->w = (struct waiter){ .events = r->events, .wake = poll_wake };
    if (r->notify) r->note = xnew(struct note);
    ref_get(&r->refs);
    lock(&c->lock);
    bool dead = c->dead;
    if (!dead) TAILQ_INSERT_TAIL(&c->pending, r, link);
    unlock(&c->lock);
    if (dead) {
        req_put(r);
    } else {
        u32 now = vfs_poll(f, &r->w) & r->events;
        if (now) poll_end(r, now);
        lock(&c->lock);
        bool ended = r->ended;
        unlock(&c->lock);
        if (ended) waitq_del(&r->w);       /* cancelled before the file's queue had the request */
    }
    req_put(r);
}

int aio_cancel(struct aio_ctx *c, u64 obj)
{
    struct aio_req *r;

    lock(&c->lock);
    TAILQ_FOREACH(r, &c->pending, link)
        if (r->obj == obj) break;
    if (r) ref_get(&r->refs);
    unlock(&c->lock);
    if (!r) return -EINVAL;
    bool did = poll_end(r, 0);
    req_put(r);
    return did ? -EINPROGRESS : -EINVAL;
}

/* --- events --- */

/* Gives what there is, at most max, to emit. Adds to *n; what emit said last. */
static int take_events(struct aio_ctx *c, u64 max, u64 *n, int (*emit)(void *arg, u64 n, const struct aio_event *e), void *arg)
{
    int err = 0;

    lock(&c->taking);
    while (*n < max && !err) {
        lock(&c->lock);
        bool any = c->count > 0;
        struct aio_event e = c->events[c->head];
        unlock(&c->lock);
        if (!any) break;
        err = emit(arg, *n, &e);
        if (err) break;
        lock(&c->lock);
        c->head = (c->head + 1) % c->nr;
        c->count--;
        c->used--;
        unlock(&c->lock);
        ++*n;
    }
    unlock(&c->taking);
    return err;
}

sysret_t aio_wait(struct aio_ctx *c, u64 min, u64 max, ktime_t deadline, int (*emit)(void *arg, u64 n, const struct aio_event *e),
                  void *arg)
{
    struct waiter w;
    u64 n = 0;
    int r = 0;

    reap_spent(c);
    waiter_init_current(&w, POLLIN);
    for (bool hung = false;; hung = true) {
        lock(&c->lock);
        bool dead = c->dead;
        unlock(&c->lock);
        int err = dead ? -EINVAL : take_events(c, max, &n, emit, arg);
        if (err) r = err;
        if (r || n >= min || n == max || deadline == 0) break;
        if (!hung)
            waitq_add(&c->wq, &w);
        else
            r = task_sleep(deadline);
    }
    waitq_del(&w);
    if (n) return (sysret_t)n;
    return r == -ETIMEDOUT ? 0 : r;
}
