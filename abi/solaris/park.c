/*
 * Sleeping LWPs: park and unpark, and the process-shared mutexes, semaphores, conditions and reader-writer locks, which
 * live in guest memory in illumos' layouts (sys/synch.h, sys/synch32.h). Contention is a wait on a word of the object.
 * Source: uts/common/syscall/lwp_sobj.c, lwp_park().
 */
#include "abi/solaris/solaris.h"
#include "sentry/ipc/futex.h"

/* lwp_mutex_t: owner's pid at 8, lock word at 12 (lock byte highest, waiters byte lowest), owner at 16. */
#define MUTEX_TYPE 4
#define MUTEX_SHARED_ROBUST 0x41         /* USYNC_PROCESS | LOCK_ROBUST */
#define MUTEX_PID 8
#define MUTEX_WORD 12
#define MUTEX_OWNER 16
#define MUTEX_LOCKED 0xff000000u
#define MUTEX_LOCKBIT 0x01000000u
#define MUTEX_WAITERS 0x000000ffu
#define MUTEX_WAITER 0x00000001u
/* lwp_sema_t: count at 0, waiters byte at 15. lwp_cond_t: kernel's waiters byte at 3, 8 bytes of data at 8. */
#define SEMA_FLAGS 12
#define SEMA_WAITER 0x01000000u
#define COND_WAITER 0x01000000u
#define COND_SEQ 8
/* lwp_rwlock_t: state at 0 */
#define RW_WAITERS 0x80000000u
#define RW_WRITER 0x40000000u
#define RW_READERS 0x3fffffffu

/* --- park --- */

static sysret_t unpark(s32 id)
{
    struct sol_proc *p = sol_self()->proc;
    struct sol_lwp *lw;
    sysret_t r = -ESRCH;

    lock(&p->lock);
    TAILQ_FOREACH(lw, &p->lwps, link)
        if (lw->id == id) {
            lw->unparked = true;
            task_wake(lw->task);
            r = 0;
            break;
        }
    unlock(&p->lock);
    return r;
}

/* restart_args: deadline, where the time left goes. */
static sysret_t park_until(struct task *t)
{
    struct sol_lwp *lw = sol_self();
    ktime_t deadline = (ktime_t)t->restart_args[0];
    gaddr_t left_at = t->restart_args[1];
    sysret_t r = 0;

    for (bool done = false; !done;) {
        lock(&lw->proc->lock);
        done = lw->unparked;
        lw->unparked = false;
        unlock(&lw->proc->lock);
        if (done) r = 0;
        else if (r) break;
        else r = task_sleep(deadline);
    }
    if (left_at) {
        ktime_t left = MAX(deadline - clock_mono(), 0);
        if (sol_copy_out_ktime(left_at, r == -ETIMEDOUT ? 0 : left)) return -EFAULT;
    }
    if (r == -ETIMEDOUT) return -ETIME;
    if (r == -ERESTARTSYS) {
        t->restart_fn = park_until;
        return -ERESTART_RESTARTBLOCK;
    }
    return r;
}

static sysret_t park(gaddr_t ts, s32 wake)
{
    ktime_t rel = 0;
    int r;

    if (ts && (r = sol_copy_in_ktime(&rel, ts))) return r;
    if (wake) (void)unpark(wake);
    current->restart_args[0] = (u64)(ts ? ktime_add_sat(clock_mono(), rel) : KTIME_NEVER);
    current->restart_args[1] = ts;
    return park_until(current);
}

/* lwp_park(op, ...): 0 park(timespec, id), 1 unpark(id), 2 unpark_all(ids, n), 3 unpark_cancel(id), 4 set_park then park */
sysret_t solaris_lwp_park(const struct syscall_args *a)
{
    s32 id;

    switch (ARG_INT(0)) {
    case 0: case 4:
        return park(a->a[1], ARG_INT(2));
    case 1: case 3:
        return unpark(ARG_INT(1));
    case 2: {
        sysret_t r = 0, e;
        if (ARG_INT(2) < 0) return -EINVAL;
        for (u32 i = 0; i < ARG_U32(2); i++) {
            if (copy_in(&id, a->a[1] + i * 4ULL, sizeof(id))) return -EFAULT;
            if ((e = unpark(id))) r = e;
        }
        return r;
    }
    default:
        return -EINVAL;
    }
}

/* --- waiting on words --- */

static int deadline_in(gaddr_t ts, ktime_t *deadline)
{
    ktime_t rel;
    int r;

    *deadline = KTIME_NEVER;
    if (!ts) return 0;
    if ((r = sol_copy_in_ktime(&rel, ts))) return r;
    *deadline = ktime_add_sat(clock_mono(), rel);
    return 0;
}

/* Until the word is no longer val. 0 look again, -ETIME, -EINTR, -EFAULT. */
static sysret_t wait_word(gaddr_t addr, u32 val, ktime_t deadline)
{
    struct futex_time ft = { CLOCK_MONOTONIC, deadline };
    sysret_t r = futex_wait(addr, true, val, FUTEX_BITS_ANY, &ft);

    switch (r) {
    case 0: case -EAGAIN: return 0;
    case -ETIMEDOUT: return -ETIME;
    case -ERESTARTSYS: return -EINTR;
    default: return r;
    }
}

static sysret_t mutex_try(gaddr_t mp, u32 *word)
{
    u32 seen;
    int r;

    for (;;) {
        if ((r = user_load32(mp + MUTEX_WORD, word))) return r;
        if (*word & MUTEX_LOCKED) return -EBUSY;
        if ((r = user_cmpxchg32(mp + MUTEX_WORD, *word, *word | MUTEX_LOCKBIT, &seen))) return r;
        if (seen == *word) return 0;
    }
}

static sysret_t mutex_own(gaddr_t mp, u64 owner)
{
    u32 pid = (u32)current->tg->tgid;

    if (copy_out(mp + MUTEX_PID, &pid, sizeof(pid)) || copy_out(mp + MUTEX_OWNER, &owner, sizeof(owner))) return -EFAULT;
    return 0;
}

sysret_t solaris_lwp_mutex_timedlock(const struct syscall_args *a)
{
    gaddr_t mp = a->a[0];
    ktime_t deadline;
    u32 word, seen;
    sysret_t r;
    int e;

    if ((e = deadline_in(a->a[1], &deadline))) return e;
    while ((r = mutex_try(mp, &word)) == -EBUSY) {
        if (!(word & MUTEX_WAITER)) {
            if ((e = user_cmpxchg32(mp + MUTEX_WORD, word, word | MUTEX_WAITER, &seen))) return e;
            if (seen != word) continue;
            word |= MUTEX_WAITER;
        }
        if ((r = wait_word(mp + MUTEX_WORD, word, deadline))) return r;
    }
    return r ? r : mutex_own(mp, a->a[2]);
}

sysret_t solaris_lwp_mutex_trylock(const struct syscall_args *a)
{
    u32 word;
    sysret_t r = mutex_try(a->a[0], &word);

    return r ? r : mutex_own(a->a[0], a->a[1]);
}

/* All waiters look again; those who still find it locked mark it so. */
static sysret_t mutex_wake(gaddr_t mp)
{
    u32 old;
    int r = user_rmw32(mp + MUTEX_WORD, USER_RMW_ANDN, MUTEX_WAITERS, &old);
    sysret_t n;

    if (r) return r;
    n = futex_wake(mp + MUTEX_WORD, true, INT32_MAX, FUTEX_BITS_ANY);
    return n < 0 ? n : 0;
}

static sysret_t mutex_release(gaddr_t mp)
{
    u32 old;
    int r = (int)mutex_own(mp, 0);

    if (r || (r = user_rmw32(mp + MUTEX_WORD, USER_RMW_ANDN, MUTEX_LOCKED, &old))) return r;
    return old & MUTEX_WAITERS ? mutex_wake(mp) : 0;
}

sysret_t solaris_lwp_mutex_wakeup(const struct syscall_args *a) { return mutex_wake(a->a[0]); }
sysret_t solaris_lwp_mutex_unlock(const struct syscall_args *a) { return mutex_release(a->a[0]); }

sysret_t solaris_lwp_mutex_register(const struct syscall_args *a)
{
    u8 type;

    if (copy_in(&type, a->a[0] + MUTEX_TYPE, sizeof(type))) return -EFAULT;
    return (type & MUTEX_SHARED_ROBUST) == MUTEX_SHARED_ROBUST ? 0 : -EINVAL;
}

/* --- semaphores --- */

static sysret_t sema_try(gaddr_t sp)
{
    u32 n, seen;
    int r;

    for (;;) {
        if ((r = user_load32(sp, &n))) return r;
        if (!n) return -EBUSY;
        if ((r = user_cmpxchg32(sp, n, n - 1, &seen))) return r;
        if (seen == n) return 0;
    }
}

sysret_t solaris_lwp_sema_trywait(const struct syscall_args *a) { return sema_try(a->a[0]); }

sysret_t solaris_lwp_sema_timedwait(const struct syscall_args *a)
{
    gaddr_t sp = a->a[0];
    ktime_t deadline;
    sysret_t r;
    u32 old;
    int e;

    if ((e = deadline_in(a->a[1], &deadline))) return e;
    while ((r = sema_try(sp)) == -EBUSY) {
        if ((e = user_rmw32(sp + SEMA_FLAGS, USER_RMW_OR, SEMA_WAITER, &old))) return e;
        if ((r = wait_word(sp, 0, deadline))) break;
    }
    if (a->a[1] && r != -EFAULT && sol_copy_out_ktime(a->a[1], r == -ETIME ? 0 : MAX(deadline - clock_mono(), 0))) return -EFAULT;
    return r;
}

sysret_t solaris_lwp_sema_post(const struct syscall_args *a)
{
    gaddr_t sp = a->a[0];
    u32 n, seen;
    sysret_t r;
    int e;

    do {
        if ((e = user_load32(sp, &n))) return e;
        if (n == 0x7fffffff) return -EOVERFLOW;
        if ((e = user_cmpxchg32(sp, n, n + 1, &seen))) return e;
    } while (seen != n);
    r = futex_wake(sp, true, 1, FUTEX_BITS_ANY);
    return r < 0 ? r : 0;
}

/* --- conditions --- */

/* lwp_cond_wait(cv, mp, timespec, check_park): the mutex is released here and taken again by the caller. */
sysret_t solaris_lwp_cond_wait(const struct syscall_args *a)
{
    gaddr_t cv = a->a[0];
    ktime_t deadline;
    u32 seq, old;
    sysret_t r;
    int e;

    if ((e = deadline_in(a->a[2], &deadline))) return e;
    if ((e = user_rmw32(cv, USER_RMW_OR, COND_WAITER, &old)) || (e = user_load32(cv + COND_SEQ, &seq))) return e;
    if ((r = mutex_release(a->a[1]))) return r;
    r = wait_word(cv + COND_SEQ, seq, deadline);
    if (a->a[2] && sol_copy_out_ktime(a->a[2], r == -ETIME ? 0 : MAX(deadline - clock_mono(), 0))) return -EFAULT;
    return r;
}

static sysret_t cond_wake(gaddr_t cv, s32 n)
{
    u32 old;
    int e = user_rmw32(cv + COND_SEQ, USER_RMW_ADD, 1, &old);
    sysret_t r;

    if (e) return e;
    if (n != 1 && (e = user_rmw32(cv, USER_RMW_ANDN, COND_WAITER, &old))) return e;
    r = futex_wake(cv + COND_SEQ, true, n, FUTEX_BITS_ANY);
    return r < 0 ? r : 0;
}

sysret_t solaris_lwp_cond_signal(const struct syscall_args *a) { return cond_wake(a->a[0], 1); }
sysret_t solaris_lwp_cond_broadcast(const struct syscall_args *a) { return cond_wake(a->a[0], INT32_MAX); }

/* --- reader-writer locks --- */

static sysret_t rw_lock(gaddr_t rw, bool write, bool try_only, ktime_t deadline)
{
    u32 v, want, seen;
    sysret_t r;
    int e;

    for (;;) {
        if ((e = user_load32(rw, &v))) return e;
        bool busy = write ? v & (RW_WRITER | RW_READERS) : v & RW_WRITER;
        if (!busy) {
            want = write ? v | RW_WRITER : v + 1;
            if (!write && (v & RW_READERS) == RW_READERS) return -EAGAIN;
            if ((e = user_cmpxchg32(rw, v, want, &seen))) return e;
            if (seen == v) return 0;
            continue;
        }
        if (try_only) return -EBUSY;
        if (!(v & RW_WAITERS)) {
            if ((e = user_cmpxchg32(rw, v, v | RW_WAITERS, &seen))) return e;
            if (seen != v) continue;
            v |= RW_WAITERS;
        }
        if ((r = wait_word(rw, v, deadline))) return r;
    }
}

static sysret_t rw_unlock_word(gaddr_t rw)
{
    u32 v, want, seen;
    sysret_t r;
    int e;

    do {
        if ((e = user_load32(rw, &v))) return e;
        if (!(v & (RW_WRITER | RW_READERS))) return -EPERM;
        want = v & RW_WRITER ? v & ~RW_WRITER : v - 1;
        if (!(want & RW_READERS)) want &= ~RW_WAITERS;
        if ((e = user_cmpxchg32(rw, v, want, &seen))) return e;
    } while (seen != v);
    if (!(v & RW_WAITERS) || (want & RW_WAITERS)) return 0;
    r = futex_wake(rw, true, INT32_MAX, FUTEX_BITS_ANY);
    return r < 0 ? r : 0;
}

/* lwp_rwlock_sys(op, rwlock, timespec): 0 read, 1 write, 2 try read, 3 try write, 4 unlock */
sysret_t solaris_lwp_rwlock_sys(const struct syscall_args *a)
{
    int op = ARG_INT(0), e;
    ktime_t deadline = KTIME_NEVER;

    if (op < 0 || op > 4) return -EINVAL;
    if (op == 4) return rw_unlock_word(a->a[1]);
    if (op < 2 && (e = deadline_in(a->a[2], &deadline))) return e;
    return rw_lock(a->a[1], op & 1, op >= 2, deadline);
}
