/* libc.so.1: what its parts share. Names here are hidden from programs. */
#ifndef SUNDOG_SOLARIS_LIBC_IMPL_H
#define SUNDOG_SOLARIS_LIBC_IMPL_H
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>
#include "../handshake.h"
#include "../sysentry.h"

struct cleanup { /* laid over _cleanup_t */
    struct cleanup *next;
    void (*func)(void *);
    void *arg;
    char *frame;
};

/*
 * The thread structure, at %fs. Two offsets are not ours to choose: compilers keep the stack protector's canary at 40,
 * and the functions linked in from musl read a locale pointer at 168 (its struct pthread).
 */
struct ulwp {
    struct thread_head head;
    uint32_t tid;
    int err;
    void *stack_base; /* what to unmap, with guard and this structure; NULL for the main thread */
    size_t stack_map;
    uintptr_t canary; /* 40 */
    char *stk;        /* the user's part of the stack */
    size_t stksize;
    void *(*start)(void *);
    void *arg, *result;
    struct ulwp *next, **prev;
    uint8_t detached, exited, own_stack, joining;
    uint8_t cancel_state, cancel_type, cancel_point;
    volatile uint8_t cancel_pending;
    int h_err;
    volatile int critical; /* > 0: signals wait in deferred_* */
    volatile int deferred;
    struct cleanup *cleanup;
    void **tsd;
    volatile int park_woken;
    const volatile void *park_addr;
    struct ulwp *park_next;
    const void *const *locale; /* 168 */
    size_t guard;
    int policy, priority;
    char name[32];
    sigset_t deferred_mask;
    siginfo_t deferred_info;
    void *dlerr;
    char strerr[64];
};
_Static_assert(offsetof(struct ulwp, canary) == 40, "stack protector");
_Static_assert(offsetof(struct ulwp, locale) == 168, "musl's locale pointer");

static inline __attribute__((always_inline)) struct ulwp *curself(void)
{
    struct ulwp *u;

    __asm__("movq %%fs:0, %0" : "=r"(u));
    return u;
}

#pragma GCC visibility push(hidden)
extern struct rtld_ops *rtld;
extern int __threaded; /* more than one thread has ever existed */

long ret_errno(long r);   /* r, or -1 with errno set; ERESTART becomes EINTR */
int ret_value(long r);    /* 0 or a positive errno, the way of pthread_* */

/* spin locks held for a few instructions, signals deferred meanwhile */
typedef volatile int ulock_t;
void ulock(ulock_t *);
void uunlock(ulock_t *);
void critical_leave_slow(struct ulwp *);
static inline void critical_enter(struct ulwp *u) { u->critical++; __asm__ volatile("" ::: "memory"); }
static inline void critical_leave(struct ulwp *u)
{
    __asm__ volatile("" ::: "memory");
    if (--u->critical == 0 && u->deferred)
        critical_leave_slow(u);
}

/* park.c: sleep while *addr == val; 0 woken (or value changed), ETIMEDOUT, EINTR */
int usleep_on(const volatile uint32_t *addr, uint32_t val, const struct timespec *reltime, int interruptible);
void uwake(const volatile uint32_t *addr, int count);
int abs_to_rel(clockid_t, const struct timespec *abs, struct timespec *rel); /* 0, EINVAL or ETIMEDOUT */

/* a plain mutex for libc's own data */
typedef struct { volatile uint32_t word; } llock_t;
void llock(llock_t *);
void lunlock(llock_t *);

/* cancellation points: between these two a cancel request ends the thread at once */
void cancel_act(void);
static inline void cancel_enter(void)
{
    struct ulwp *u = curself();

    u->cancel_point++;
    __asm__ volatile("" ::: "memory");
    if (u->cancel_pending && !u->cancel_state)
        cancel_act();
}
static inline void cancel_leave(void) { curself()->cancel_point--; }
#define CANCELABLE(expr) ({ cancel_enter(); long r_ = (expr); cancel_leave(); r_; })
/* calls that ask to be repeated after a handler that was set with SA_RESTART */
#define RESTART(expr) ({ long q_; do q_ = (expr); while (q_ == -ERESTART); q_; })

void thread_init_main(int argc, char **argv, char **envp);
void threads_after_fork(void);
void thread_each(void (*)(struct thread_head *, void *), void *);
void signal_init(void);
void raw_sigmask(int how, const sigset_t *, sigset_t *);
void malloc_fork_lock(void), malloc_fork_unlock(int child);
void stdio_fork_lock(void), stdio_fork_unlock(int child);
void stdio_flush_all(void);
void atfork_run(int which);
void tsd_run_destructors(struct ulwp *);
extern const char *progname;
#pragma GCC visibility pop
#endif
