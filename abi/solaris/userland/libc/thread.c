/* libc.so.1: threads. One thread is one LWP; ids are the kernel's LWP ids. */
#include "impl.h"
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <thread.h>
#include <unistd.h>

#define PAGE 4096UL
#define UP(x, a) (((x) + (a) - 1) & ~((size_t)(a) - 1))
#define DEFAULT_STACK (2UL << 20)

int __threaded;
static struct ulwp *threads; /* under list_lock */
static ulock_t list_lock;
static int nthreads;
static volatile uint32_t exit_gen; /* grows as threads end: thr_join(0) sleeps on it */
static uintptr_t canary;

struct attr {
    void *addr;
    size_t size, guard;
    int detach, scope, inherit, policy, daemon;
    struct sched_param param;
};
static const struct attr attr_default = { .guard = PAGE, .inherit = PTHREAD_INHERIT_SCHED };

static void link_thread(struct ulwp *u)
{
    u->next = threads;
    u->prev = &threads;
    if (threads)
        threads->prev = &u->next;
    threads = u;
    nthreads++;
}

static void unlink_thread(struct ulwp *u)
{
    *u->prev = u->next;
    if (u->next)
        u->next->prev = u->prev;
    nthreads--;
}

static struct ulwp *find_locked(pthread_t t)
{
    for (struct ulwp *u = threads; u; u = u->next)
        if (u->tid == t)
            return u;
    return NULL;
}

/* [extra below][static TLS][struct ulwp]: tls is where the block begins, aligned */
static size_t head_size(void) { return UP(rtld->tls_size, rtld->tls_align) + UP(sizeof(struct ulwp), 64) + rtld->tls_align; }

static struct ulwp *head_place(char *block_end)
{
    return (struct ulwp *)(((uintptr_t)block_end - UP(sizeof(struct ulwp), 64)) & ~(rtld->tls_align - 1));
}

void thread_init_main(int argc, char **argv, char **envp)
{
    size_t n = UP(head_size(), PAGE);
    long m = RAW(SYS_mmap, 0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    struct rlimit rl;

    if (RAW_FAILED(m))
        (void)RAW(SYS_exit, 127);
    struct ulwp *u = head_place((char *)m + n);
    u->head.self = &u->head;
    (void)RAW(SYS_getrandom, &canary, sizeof(canary), 0);
    canary &= ~0xffUL; /* a zero byte stops string copies */
    u->canary = canary;
    (void)RAW(SYS_lwp_private, 0, 0, u);
    u->tid = (uint32_t)RAW(SYS_lwp_self);
    if (RAW(SYS_getrlimit, RLIMIT_STACK, &rl) < 0 || rl.rlim_cur > (1UL << 30))
        rl.rlim_cur = 8UL << 20;
    u->stk = (char *)UP((uintptr_t)envp, PAGE) - rl.rlim_cur;
    u->stksize = rl.rlim_cur;
    (void)rtld->tls_setup(&u->head);
    link_thread(u);
}

void thread_each(void (*fn)(struct thread_head *, void *), void *arg)
{
    ulock(&list_lock);
    for (struct ulwp *u = threads; u; u = u->next)
        fn(&u->head, arg);
    uunlock(&list_lock);
}

/* in the child of fork1(): only the caller lives on */
void threads_after_fork(void)
{
    struct ulwp *me = curself();

    list_lock = 0;
    threads = NULL;
    nthreads = 0;
    link_thread(me);
    me->tid = (uint32_t)RAW(SYS_lwp_self);
}

/* --- creation --- */

static __attribute__((noreturn, used)) void thread_main(struct ulwp *u)
{
    if (u->cancel_pending && !u->cancel_state)
        cancel_act();
    pthread_exit(u->start(u->arg));
}

static int spawn(pthread_t *out, const struct attr *a, int suspended, void *(*start)(void *), void *arg)
{
    size_t size = a->size ? UP(a->size, PAGE) : DEFAULT_STACK, guard = a->addr ? 0 : UP(a->guard, PAGE);
    size_t head = UP(head_size(), PAGE), map = head + (a->addr ? 0 : guard + size);
    long m = RAW(SYS_mmap, 0, map, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0);
    struct ulwp *me = curself();
    sigset_t all, old;
    ucontext_t uc;

    if (RAW_FAILED(m))
        return EAGAIN;
    char *base = (char *)m;
    if (guard)
        (void)RAW(SYS_mprotect, base, guard, PROT_NONE);
    struct ulwp *u = head_place(base + map);
    u->head.self = &u->head;
    u->canary = canary;
    u->locale = me->locale;
    u->stack_base = base;
    u->stack_map = map;
    u->stk = a->addr ? a->addr : base + guard;
    u->stksize = a->addr ? a->size : size;
    u->own_stack = !a->addr;
    u->guard = guard;
    u->start = start;
    u->arg = arg;
    u->detached = (a->detach & PTHREAD_CREATE_DETACHED) != 0;
    u->policy = a->inherit ? me->policy : a->policy;
    u->priority = a->inherit ? me->priority : a->param.sched_priority;
    if (rtld->tls_setup(&u->head)) {
        (void)RAW(SYS_munmap, base, map);
        return ENOMEM;
    }
    memset(&uc, 0, sizeof(uc));
    sigfillset(&all);
    raw_sigmask(SIG_SETMASK, &all, &old);
    uc.uc_flags = UC_SIGMASK | UC_CPU | UC_FPU;
    uc.uc_sigmask = old;
    greg_t *g = uc.uc_mcontext.gregs;
    uintptr_t top = ((uintptr_t)u->stk + u->stksize) & ~15UL;
    top -= 8; /* as after a call, with a zero return address */
    *(uintptr_t *)top = 0;
    g[REG_RIP] = (greg_t)thread_main;
    g[REG_RSP] = (greg_t)top;
    g[REG_RDI] = (greg_t)u;
    g[REG_FSBASE] = (greg_t)u;
    g[REG_CS] = 0x53;
    g[REG_SS] = 0x4b;
    g[REG_RFL] = 0x202;
    uc.uc_mcontext.fpregs.cw = 0x37f;
    uc.uc_mcontext.fpregs.mxcsr = 0x1f80;
    __threaded = 1;
    ulock(&list_lock);
    uint32_t id = 0;
    /* suspended, so that the id is in place before the thread can look at it */
    long r = RAW(SYS_lwp_create, &uc, 0x80 | (u->detached ? 0x40 : 0), &id);
    if (!RAW_FAILED(r)) {
        u->tid = id;
        link_thread(u);
    }
    uunlock(&list_lock);
    if (RAW_FAILED(r)) {
        raw_sigmask(SIG_SETMASK, &old, NULL);
        rtld->tls_free(&u->head);
        (void)RAW(SYS_munmap, base, map);
        return r == -ENOMEM ? ENOMEM : EAGAIN;
    }
    if (out)
        *out = id;
    if (!suspended)
        (void)RAW(SYS_lwp_continue, id);
    raw_sigmask(SIG_SETMASK, &old, NULL);
    return 0;
}

int pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    return spawn(t, attr && attr->__pthread_attrp ? attr->__pthread_attrp : &attr_default, 0, start, arg);
}

int thr_create(void *stk, size_t size, void *(*start)(void *), void *arg, long flags, thread_t *t)
{
    struct attr a = attr_default;

    if (stk && size < PAGE)
        return EINVAL;
    a.addr = stk;
    a.size = size;
    a.detach = flags & THR_DETACHED;
    return spawn(t, &a, (flags & THR_SUSPENDED) != 0, start, arg);
}

/* Gives back the stack under our feet and ends: after the first call nothing may touch memory. */
static __attribute__((noreturn)) void vanish(void *base, size_t size)
{
    __asm__ volatile("movl $117, %%eax\n\tsyscall\n\t1: movl $160, %%eax\n\tsyscall\n\tjmp 1b" ::"D"(base), "S"(size)
                     : "memory");
    __builtin_unreachable();
}

static void thread_end(struct ulwp *u, void *value)
{
    sigset_t all;

    u->result = value;
    u->cancel_state = PTHREAD_CANCEL_DISABLE;
    while (u->cleanup) {
        struct cleanup *c = u->cleanup;
        u->cleanup = c->next;
        c->func(c->arg);
    }
    tsd_run_destructors(u);
    if (__atomic_load_n(&nthreads, __ATOMIC_ACQUIRE) == 1)
        exit(0);
    sigfillset(&all);
    raw_sigmask(SIG_SETMASK, &all, NULL);
    rtld->tls_free(&u->head);
    ulock(&list_lock);
    u->exited = 1;
    int gone = u->detached;
    if (gone)
        unlink_thread(u);
    exit_gen++;
    uunlock(&list_lock);
    uwake(&exit_gen, 1 << 30);
    if (gone && u->stack_base && u->own_stack)
        vanish(u->stack_base, u->stack_map);
    /* joinable: whoever joins unmaps; on a user's stack only the small head block of a detached thread stays behind */
    for (;;)
        (void)RAW(SYS_lwp_exit);
}

void pthread_exit(void *value)
{
    thread_end(curself(), value);
    __builtin_unreachable();
}
void thr_exit(void *value) { pthread_exit(value); }

static void release(struct ulwp *u)
{
    if (u->stack_base)
        (void)RAW(SYS_munmap, u->stack_base, u->stack_map);
}

static int join(pthread_t t, pthread_t *departed, void **value)
{
    struct ulwp *u;
    int r = 0;

    cancel_enter();
    for (;;) {
        ulock(&list_lock);
        uint32_t gen = exit_gen;
        int others = 0;
        if (t) {
            u = find_locked(t);
            if (!u || u->detached || u->joining)
                r = u ? EINVAL : ESRCH;
            else if (u == curself())
                r = EDEADLK;
        } else {
            for (u = threads; u; u = u->next)
                if (!u->detached && !u->joining && u != curself()) {
                    others = 1;
                    if (u->exited)
                        break;
                }
            if (!u && !others)
                r = EDEADLK;
        }
        if (!r && u && u->exited) {
            u->joining = 1;
            unlink_thread(u);
            uunlock(&list_lock);
            break;
        }
        uunlock(&list_lock);
        if (r) {
            cancel_leave();
            return r;
        }
        (void)usleep_on(&exit_gen, gen, NULL, 0);
    }
    uint32_t id = 0;
    while (RAW(SYS_lwp_wait, u->tid, &id) == -EINTR)
        ;
    cancel_leave();
    if (departed)
        *departed = u->tid;
    if (value)
        *value = u->result;
    release(u);
    return 0;
}

int pthread_join(pthread_t t, void **value) { return t ? join(t, NULL, value) : ESRCH; }
int thr_join(thread_t t, thread_t *departed, void **value) { return join(t, departed, value); }

int pthread_detach(pthread_t t)
{
    int r = 0, dead = 0;

    ulock(&list_lock);
    struct ulwp *u = find_locked(t);
    if (!u) {
        r = ESRCH;
    } else if (u->detached || u->joining) {
        r = EINVAL;
    } else if ((dead = u->exited)) {
        u->joining = 1;
        unlink_thread(u);
    } else {
        u->detached = 1;
        (void)RAW(SYS_lwp_detach, t);
    }
    uunlock(&list_lock);
    if (dead) {
        uint32_t id;
        (void)RAW(SYS_lwp_wait, t, &id);
        release(u);
    }
    return r;
}

pthread_t pthread_self(void) { return curself()->tid; }
thread_t thr_self(void) { return curself()->tid; }
int thr_main(void) { return curself()->tid == 1; }
int pthread_equal(pthread_t a, pthread_t b) { return a == b; }
void thr_yield(void) { (void)RAW(SYS_yield); }
int sched_yield(void) { (void)RAW(SYS_yield); return 0; }
int thr_suspend(thread_t t) { return ret_value(RAW(SYS_lwp_suspend, t)); }
int thr_continue(thread_t t) { return ret_value(RAW(SYS_lwp_continue, t)); }
int pthread_getconcurrency(void) { return 0; }
int pthread_setconcurrency(int n) { return n < 0 ? EINVAL : 0; }
int thr_getconcurrency(void) { return 0; }
int thr_setconcurrency(int n) { return n < 0 ? EINVAL : 0; }
size_t thr_min_stack(void) { return PTHREAD_STACK_MIN; }

int thr_stksegment(stack_t *s)
{
    struct ulwp *u = curself();

    s->ss_sp = u->stk + u->stksize; /* the top: stacks grow down */
    s->ss_size = u->stksize;
    s->ss_flags = 0;
    return 0;
}

int pthread_setname_np(pthread_t t, const char *name)
{
    if (name && strlen(name) >= 32)
        return ERANGE;
    ulock(&list_lock);
    struct ulwp *u = find_locked(t);
    if (u)
        strcpy(u->name, name ? name : "");
    uunlock(&list_lock);
    return u ? 0 : ESRCH;
}
int pthread_getname_np(pthread_t t, char *buf, size_t n)
{
    char tmp[32];

    ulock(&list_lock);
    struct ulwp *u = find_locked(t);
    if (u)
        memcpy(tmp, u->name, sizeof(tmp));
    uunlock(&list_lock);
    if (!u)
        return ESRCH;
    return strlcpy(buf, tmp, n) >= n ? ERANGE : 0;
}
int thr_setname(thread_t t, const char *n) { return pthread_setname_np(t, n); }
int thr_getname(thread_t t, char *b, size_t n) { return pthread_getname_np(t, b, n); }

int pthread_getschedparam(pthread_t t, int *policy, struct sched_param *p)
{
    ulock(&list_lock);
    struct ulwp *u = find_locked(t);
    if (u) {
        memset(p, 0, sizeof(*p));
        *policy = u->policy;
        p->sched_priority = u->priority;
    }
    uunlock(&list_lock);
    return u ? 0 : ESRCH;
}
int pthread_setschedparam(pthread_t t, int policy, const struct sched_param *p)
{
    if (policy != SCHED_OTHER)
        return policy == SCHED_FIFO || policy == SCHED_RR ? EPERM : EINVAL; /* real-time classes need privilege */
    if (p->sched_priority < sched_get_priority_min(policy) || p->sched_priority > sched_get_priority_max(policy))
        return EINVAL;
    ulock(&list_lock);
    struct ulwp *u = find_locked(t);
    if (u)
        u->priority = p->sched_priority;
    uunlock(&list_lock);
    return u ? 0 : ESRCH;
}
int pthread_setschedprio(pthread_t t, int prio)
{
    struct sched_param p = { .sched_priority = prio };
    return pthread_setschedparam(t, SCHED_OTHER, &p);
}
int thr_setprio(thread_t t, int prio) { return pthread_setschedprio(t, prio); }
int thr_getprio(thread_t t, int *prio)
{
    struct sched_param p;
    int policy, r = pthread_getschedparam(t, &policy, &p);

    if (!r)
        *prio = p.sched_priority;
    return r;
}

/* --- attributes --- */

int pthread_attr_init(pthread_attr_t *a)
{
    struct attr *p = malloc(sizeof(*p));

    if (!p)
        return ENOMEM;
    *p = attr_default;
    a->__pthread_attrp = p;
    return 0;
}
int pthread_attr_destroy(pthread_attr_t *a)
{
    if (!a || !a->__pthread_attrp)
        return EINVAL;
    free(a->__pthread_attrp);
    a->__pthread_attrp = NULL;
    return 0;
}
#define ATTR(a) \
    struct attr *p = (a) ? (a)->__pthread_attrp : NULL; \
    if (!p) \
        return EINVAL
#define ATTR_INT(name, field, ok) \
    int pthread_attr_set##name(pthread_attr_t *a, int v) \
    { \
        ATTR(a); \
        if (!(ok)) \
            return EINVAL; \
        p->field = v; \
        return 0; \
    } \
    int pthread_attr_get##name(const pthread_attr_t *a, int *v) \
    { \
        ATTR(a); \
        *v = p->field; \
        return 0; \
    }
ATTR_INT(detachstate, detach, v == 0 || v == PTHREAD_CREATE_DETACHED)
ATTR_INT(scope, scope, v == 0 || v == 1)
ATTR_INT(inheritsched, inherit, v == 0 || v == 1)
ATTR_INT(schedpolicy, policy, v >= SCHED_OTHER && v <= SCHED_FX && v != SCHED_SYS)
int pthread_attr_setstacksize(pthread_attr_t *a, size_t n)
{
    ATTR(a);
    if (n < PTHREAD_STACK_MIN)
        return EINVAL;
    p->size = n;
    return 0;
}
int pthread_attr_getstacksize(const pthread_attr_t *a, size_t *n) { ATTR(a); *n = p->size; return 0; }
int pthread_attr_setstackaddr(pthread_attr_t *a, void *s) { ATTR(a); p->addr = s; return 0; }
int pthread_attr_getstackaddr(const pthread_attr_t *a, void **s) { ATTR(a); *s = p->addr; return 0; }
int pthread_attr_setstack(pthread_attr_t *a, void *s, size_t n)
{
    ATTR(a);
    if (n < PTHREAD_STACK_MIN)
        return EINVAL;
    p->addr = s;
    p->size = n;
    return 0;
}
int pthread_attr_getstack(const pthread_attr_t *a, void **s, size_t *n)
{
    ATTR(a);
    *s = p->addr;
    *n = p->size;
    return 0;
}
int pthread_attr_setguardsize(pthread_attr_t *a, size_t n) { ATTR(a); p->guard = n; return 0; }
int pthread_attr_getguardsize(const pthread_attr_t *a, size_t *n) { ATTR(a); *n = p->guard; return 0; }
int pthread_attr_setschedparam(pthread_attr_t *a, const struct sched_param *s) { ATTR(a); p->param = *s; return 0; }
int pthread_attr_getschedparam(const pthread_attr_t *a, struct sched_param *s) { ATTR(a); *s = p->param; return 0; }

int pthread_attr_get_np(pthread_t t, pthread_attr_t *a)
{
    ATTR(a);
    ulock(&list_lock);
    struct ulwp *u = find_locked(t);
    if (u) {
        p->addr = u->stk;
        p->size = u->stksize;
        p->guard = u->guard;
        p->detach = u->detached ? PTHREAD_CREATE_DETACHED : 0;
        p->policy = u->policy;
        p->param.sched_priority = u->priority;
    }
    uunlock(&list_lock);
    return u ? 0 : ESRCH;
}
int pthread_getattr_np(pthread_t t, pthread_attr_t *a)
{
    int r = pthread_attr_init(a);
    return r ? r : pthread_attr_get_np(t, a);
}

/* --- cancellation --- */

void cancel_act(void) { pthread_exit(PTHREAD_CANCELED); }

void pthread_testcancel(void)
{
    struct ulwp *u = curself();

    if (u->cancel_pending && !u->cancel_state)
        cancel_act();
}

int pthread_cancel(pthread_t t)
{
    ulock(&list_lock);
    struct ulwp *u = find_locked(t);
    if (u && u->exited)
        u = NULL;
    if (u)
        u->cancel_pending = 1;
    uunlock(&list_lock);
    if (!u)
        return ESRCH;
    if (u == curself()) {
        if (u->cancel_type == PTHREAD_CANCEL_ASYNCHRONOUS)
            pthread_testcancel();
        return 0;
    }
    return ret_value(RAW(SYS_lwp_kill, t, SIGCANCEL));
}

int pthread_setcancelstate(int s, int *old)
{
    struct ulwp *u = curself();

    if (s != PTHREAD_CANCEL_ENABLE && s != PTHREAD_CANCEL_DISABLE)
        return EINVAL;
    if (old)
        *old = u->cancel_state;
    u->cancel_state = (uint8_t)s;
    if (u->cancel_type == PTHREAD_CANCEL_ASYNCHRONOUS)
        pthread_testcancel();
    return 0;
}

int pthread_setcanceltype(int t, int *old)
{
    struct ulwp *u = curself();

    if (t != PTHREAD_CANCEL_DEFERRED && t != PTHREAD_CANCEL_ASYNCHRONOUS)
        return EINVAL;
    if (old)
        *old = u->cancel_type;
    u->cancel_type = (uint8_t)t;
    if (t == PTHREAD_CANCEL_ASYNCHRONOUS)
        pthread_testcancel();
    return 0;
}

void __pthread_cleanup_push(void (*fn)(void *), void *arg, caddr_t frame, _cleanup_t *c)
{
    struct cleanup *p = (struct cleanup *)c;
    struct ulwp *u = curself();

    p->func = fn;
    p->arg = arg;
    p->frame = frame;
    p->next = u->cleanup;
    u->cleanup = p;
}

void __pthread_cleanup_pop(int run, _cleanup_t *c)
{
    struct cleanup *p = (struct cleanup *)c;

    curself()->cleanup = p->next;
    if (run)
        p->func(p->arg);
}
