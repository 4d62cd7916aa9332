/* Stub processes as the sentry sees them: made, ordered about, killed, waited for. */
#include "platform/stub/stub.h"
#include "platform/stub/proto.h"
#include "sentry/base/alloc.h"
#include "sentry/base/hostcall.h"
#include "sentry/base/log.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

HOSTCALL(socketpair, "a socket to each stub's mapper");
HOSTCALL(close, "that socket, when the stub is gone");
HOSTCALL(kill, "stub processes end by SIGKILL");
HOSTCALL(wait4, "stub processes are waited for");
HOSTCALL(waitid, "has a stub died?");
HOSTCALL(getcpu, "a stub is placed where its caller runs");

/* How many killed stubs may wait to be reaped; beyond it the caller waits. */
#define MAX_DYING 8

_Static_assert(PLATFORM_PROT_READ == PROT_READ && PLATFORM_PROT_WRITE == PROT_WRITE && PLATFORM_PROT_EXEC == PROT_EXEC,
               "prot is passed on as it is");

struct stub_ops *stub_orders(struct stub_template *t, u32 slot)
{
    return (struct stub_ops *)(void *)(t->orders + (size_t)slot * GPAGE_SIZE);
}

static void proc_free(struct stub_proc *p)
{
    stub_runners_free(p);
    lock_fini(&p->lock);
    free(p);
}

void stub_proc_put(struct stub_proc *p)
{
    if (ref_put(&p->refs)) proc_free(p);
}

/* Has this child ended? Waits if `block`. A tid that is no child of ours (never traced, or taken) counts as ended. */
static bool ended(pid_t pid, bool block)
{
    int st;

    for (;;) {
        pid_t r = wait4(pid, &st, __WALL | (block ? 0 : WNOHANG), NULL);
        if (r == 0) return false;
        if (r < 0 && errno == EINTR) continue;
        if (r < 0 || WIFEXITED(st) || WIFSIGNALED(st)) return true;
    }
}

static void thread_gone_locked(struct stub_thread *th)
{
    if (th->gone) return;
    th->gone = true;
    LIST_REMOVE(th, link);
}

/* Waits for the threads we trace, then for the process: the kernel holds back the leader until they are taken. */
static bool proc_reap(struct stub_proc *p, bool block)
{
    struct stub_thread *th, *next;
    unsigned freed = 0;
    bool done;

    lock(&p->lock);
    LIST_FOREACH_SAFE(th, &p->threads, link, next) {
        if (!ended(th->tid, block)) break;
        thread_gone_locked(th);
        if (th->released) {
            free(th);
            freed++;
        }
    }
    done = LIST_EMPTY(&p->threads) && ended(p->pid, block);
    unlock(&p->lock);
    while (freed--) stub_proc_put(p);
    return done;
}

/* Reaps what has died; blocks only for what exceeds the bound. */
static void reap_dying(struct stub_template *t, unsigned bound)
{
    for (;;) {
        struct stub_proc *p;
        bool block;

        lock(&t->lock);
        p = TAILQ_FIRST(&t->dying);
        block = t->ndying > bound;
        if (p) {
            TAILQ_REMOVE(&t->dying, p, dying_link);
            t->ndying--;
        }
        unlock(&t->lock);
        if (!p) return;

        bool done = proc_reap(p, block);
        lock(&t->lock);
        if (done) {
            t->free_slots[t->nfree++] = p->slot;
        } else {
            TAILQ_INSERT_HEAD(&t->dying, p, dying_link);
            t->ndying++;
        }
        unlock(&t->lock);
        if (!done) return;
        stub_proc_put(p);
    }
}

/* Has the template clone itself; `sock` is the new stub's end. Template's lock held. */
static int template_clone_locked(struct stub_template *t, u32 slot, int sock, int cpu, pid_t *pid)
{
    s32 answer = 0;
    int rc;

    if (t->dead) return -EAGAIN;
    stub_pin(t->pid, cpu); /* inherited by the stub */
    stub_orders(t, 0)->slot = (u64)slot * GPAGE_SIZE;
    rc = stub_send(t->sock, &sock, 1);
    if (!rc) rc = stub_recv(t->sock, &answer, sizeof(answer));
    if (rc == -EFAULT || (rc > 0 && rc != (int)sizeof(answer))) {
        t->dead = true;
        log_error("the stub template is gone: no new address space can be made");
    }
    if (rc < 0) return rc == -EFAULT ? -EAGAIN : rc;
    if (rc != (int)sizeof(answer)) return -EAGAIN;
    if (answer < 0) return answer == -ENOMEM ? -ENOMEM : -EAGAIN;
    *pid = answer;
    return 0;
}

int stub_proc_new(struct stub_template *t, struct stub_proc **out)
{
    int sv[2], rc, cpu = sched_getcpu();
    char buf[8];
    u32 slot;
    pid_t pid = 0;

    reap_dying(t, MAX_DYING);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv)) return -errno;
    lock(&t->lock);
    if (t->nfree) slot = t->free_slots[--t->nfree];
    else slot = t->slot_high < STUB_MAX_SLOTS ? t->slot_high++ : 0;
    rc = slot ? template_clone_locked(t, slot, sv[1], cpu, &pid) : -EAGAIN;
    if (rc && slot) t->free_slots[t->nfree++] = slot;
    else if (!rc) memset(stub_orders(t, slot)->areas, 0, sizeof(stub_orders(t, slot)->areas));
    unlock(&t->lock);
    close(sv[1]);
    if (rc) {
        close(sv[0]);
        return rc;
    }

    struct stub_proc *p = xnew(struct stub_proc);
    p->tmpl = t;
    ref_init(&p->refs);
    lock_init(&p->lock, LC_PLATFORM);
    LIST_INIT(&p->threads);
    TAILQ_INIT(&p->runners);
    TAILQ_INIT(&p->parked);
    p->pid = pid;
    p->sock = sv[0];
    p->slot = slot;
    p->mapper_cpu = cpu;
    rc = stub_recv(p->sock, buf, sizeof(buf));
    if (rc != 1) {
        stub_proc_kill(p);
        stub_proc_put(p);
        return rc < 0 && rc != -EFAULT ? rc : -EAGAIN;
    }
    *out = p;
    return 0;
}

void stub_proc_mark_dead(struct stub_proc *p)
{
    lock(&p->lock);
    if (!p->dead) {
        atomic_store(&p->dead, true);
        kill(p->pid, SIGKILL);
    }
    unlock(&p->lock);
}

bool stub_proc_check(struct stub_proc *p)
{
    siginfo_t si;

    if (atomic_load(&p->dead)) return false;
    si.si_pid = 0;
    if (waitid(P_PID, (id_t)p->pid, &si, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 && si.si_pid == 0) return true;
    stub_proc_mark_dead(p);
    return false;
}

void stub_proc_kill(struct stub_proc *p)
{
    struct stub_template *t = p->tmpl;

    stub_proc_mark_dead(p);
    lock(&p->lock);
    close(p->sock);
    p->sock = -1;
    unlock(&p->lock);

    ref_get(&p->refs);
    lock(&t->lock);
    TAILQ_INSERT_TAIL(&t->dying, p, dying_link);
    t->ndying++;
    unlock(&t->lock);
    reap_dying(t, MAX_DYING);
}

int stub_converse_locked(struct stub_proc *p, const int *fds, unsigned nfds, int *err)
{
    struct stub_ops *ops = stub_orders(p->tmpl, p->slot);
    char buf[8];
    int rc, cpu = sched_getcpu();

    if (p->dead) return -EFAULT;
    if (cpu != p->mapper_cpu) { /* a hand-off to another CPU costs ten times one on the same */
        stub_pin(p->pid, cpu);
        p->mapper_cpu = cpu;
    }
    ops->nfds = nfds;
    rc = stub_send(p->sock, fds, nfds);
    if (rc) return rc;
    p->runner_ready = false;
    rc = stub_recv(p->sock, buf, sizeof(buf));
    if (rc == STUB_RUNNER_READY) { /* the new thread may speak before the mapper does */
        p->runner_ready = true;
        rc = stub_recv(p->sock, buf, sizeof(buf));
    }
    if (rc < 0) return rc;
    int done = rc - 1;
    if (done < (int)ops->n) {
        rc = stub_recv(p->sock, buf, sizeof(buf));
        if (rc < 0) return rc;
        *err = -rc;
    }
    return done;
}

/* Index of the descriptor among those to be sent, added if new; -1: no room left in this batch. */
static int batch_fd(int *fds, unsigned *n, int fd)
{
    for (unsigned i = 0; i < *n; i++)
        if (fds[i] == fd) return (int)i;
    if (*n == STUB_MAX_FDS) return -1;
    fds[*n] = fd;
    return (int)(*n)++;
}

static bool op_valid(const struct platform_mapop *op)
{
    u64 end;

    if (!op->len || add_overflow(op->addr, op->len, &end) || end > GUEST_ADDR_MAX || (op->prot & ~7)) return false;
    return !((op->addr | op->len | (op->kind == PLATFORM_MAP ? op->off : 0)) & (GPAGE_SIZE - 1));
}

/* Fills the page of orders from ops; returns how many fitted. */
static size_t fill_batch(struct stub_proc *p, const struct platform_mapop *ops, size_t n, int *fds, unsigned *nfds)
{
    struct stub_ops *o = stub_orders(p->tmpl, p->slot);
    size_t i;

    for (i = 0; i < n && i < STUB_MAX_OPS; i++) {
        struct stub_op *d = &o->op[i];
        u32 fd = STUB_FD_MEMFILE;

        if (ops[i].kind == PLATFORM_MAP && ops[i].fd != p->tmpl->memfile_fd) {
            /*
             * The stub's table holds nothing above the socket between batches, so what arrives gets the lowest
             * numbers in order. Those numbers are ours; the ones recvmsg stored are in memory a guest can write.
             */
            int k = batch_fd(fds, nfds, ops[i].fd);
            if (k < 0) break;
            fd = STUB_FD_RECEIVED + (u32)k;
        }
        *d = (struct stub_op){
            .kind = ops[i].kind == PLATFORM_MAP ? STUB_OP_MAP :
                    ops[i].kind == PLATFORM_UNMAP ? STUB_OP_UNMAP : STUB_OP_PROTECT,
            .prot = ops[i].prot,
            .flags = MAP_SHARED | MAP_FIXED | (ops[i].populate ? MAP_POPULATE : 0),
            .fd = fd,
            .addr = ops[i].addr,
            .len = ops[i].len,
            .off = ops[i].off,
        };
    }
    o->n = (u32)i;
    return i;
}

/* The stub's mappings are a cache: where a change is impossible, dropping what it concerns is always right. */
static int drop_locked(struct stub_proc *p, gaddr_t addr, u64 len)
{
    struct stub_ops *o = stub_orders(p->tmpl, p->slot);
    int err = 0, done;

    o->n = 1;
    o->op[0] = (struct stub_op){ .kind = STUB_OP_UNMAP, .addr = addr, .len = len };
    done = stub_converse_locked(p, NULL, 0, &err);
    return done == 1 ? 0 : done < 0 ? done : err;
}

static int update_locked(struct stub_proc *p, const struct platform_mapop *ops, size_t n)
{
    bool flushed = false;
    size_t i = 0;

    while (i < n) {
        int fds[STUB_MAX_FDS], err = 0, done;
        unsigned nfds = 0;
        size_t count = fill_batch(p, ops + i, n - i, fds, &nfds);

        done = stub_converse_locked(p, fds, nfds, &err);
        if (done < 0) return done;
        i += (size_t)done;
        if ((size_t)done == count) continue;

        /*
         * mprotect stops at the first hole with ENOMEM, the rest unprotected; any of the three fails when the
         * host's limit on mappings per process is reached.
         */
        if (ops[i].kind == PLATFORM_PROTECT && drop_locked(p, ops[i].addr, ops[i].len) == 0) {
            i++;
        } else if ((err == -ENOMEM || ops[i].kind != PLATFORM_MAP) && !flushed) {
            int rc = drop_locked(p, 0, GUEST_ADDR_MAX);
            if (rc) return -EFAULT;
            flushed = true;
        } else {
            return ops[i].kind == PLATFORM_MAP ? err : -EFAULT;
        }
    }
    return 0;
}

int stub_proc_update(struct stub_proc *p, const struct platform_mapop *ops, size_t n)
{
    int rc;

    for (size_t i = 0; i < n; i++)
        if (!op_valid(&ops[i])) return -EINVAL;
    lock(&p->lock);
    rc = update_locked(p, ops, n);
    unlock(&p->lock);
    /* An answer that makes no sense, or an unmapping that did not happen: the space cannot be trusted any more. */
    if (rc == -EFAULT) stub_proc_mark_dead(p);
    return rc;
}

int stub_thread_tid_locked(struct stub_proc *p, bool ready, pid_t *tid)
{
    u32 bytes = 0;
    char buf[8];

    if (p->runner_ready) ready = false;
    for (unsigned shift = 0; shift < 24 || ready;) {
        int len = stub_recv(p->sock, buf, sizeof(buf));
        if (len < 0) return len;
        if (ready && len == STUB_RUNNER_READY) {
            ready = false;
        } else if (shift < 24) {
            bytes |= (u32)(u8)(len - 1) << shift;
            shift += 8;
        } else {
            return -EFAULT;
        }
    }
    *tid = (pid_t)bytes;
    return 0;
}

int stub_thread_new(struct stub_proc *p, struct stub_thread **out)
{
    struct stub_ops *o = stub_orders(p->tmpl, p->slot);
    struct stub_thread *th = NULL;
    int err = 0, rc;
    pid_t tid = 0;

    lock(&p->lock);
    o->n = 1;
    o->op[0] = (struct stub_op){ .kind = STUB_OP_THREAD };
    rc = stub_converse_locked(p, NULL, 0, &err);
    if (rc == 0) rc = err;
    if (rc > 0) rc = stub_thread_tid_locked(p, false, &tid);
    if (rc == 0 && tid) {
        th = xnew(struct stub_thread);
        th->proc = p;
        th->tid = tid;
        th->cpu = p->mapper_cpu;
        ref_get(&p->refs);
        LIST_INSERT_HEAD(&p->threads, th, link);
    }
    unlock(&p->lock);
    *out = th;
    return rc == 0 && !th ? -EFAULT : rc;
}

void stub_thread_set_gone(struct stub_thread *th)
{
    lock(&th->proc->lock);
    thread_gone_locked(th);
    unlock(&th->proc->lock);
}

void stub_thread_release(struct stub_thread *th)
{
    struct stub_proc *p = th->proc;
    bool gone;

    lock(&p->lock);
    gone = th->gone;
    th->released = true;
    unlock(&p->lock);
    if (!gone) return; /* whoever reaps the process frees it */
    free(th);
    stub_proc_put(p);
}

void stub_template_stop(struct stub_template *t)
{
    reap_dying(t, 0);
    kill(t->pid, SIGKILL);
    while (!ended(t->pid, true)) {}
    close(t->sock);
    munmap(t->orders, (size_t)STUB_MAX_SLOTS * GPAGE_SIZE);
    free(t->free_slots);
    if (t->trap) stub_areas_stop(t);
    lock_fini(&t->lock);
}
