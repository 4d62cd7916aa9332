/* futex(2) and its successors, robust lists. */
#include "abi/linux/linux.h"
#include "abi/linux/uapi_time.h"
#include "sentry/ipc/futex.h"
#include "sentry/kernel/timers.h"
#include <linux/futex.h>

struct linux_futex_waitv { u64 val, uaddr; u32 flags, reserved; };
_Static_assert(sizeof(struct linux_futex_waitv) == 24, "futex_waitv");
struct linux_robust_list_head { u64 list; s64 futex_offset; u64 list_op_pending; };
_Static_assert(sizeof(struct linux_robust_list_head) == 24, "robust_list_head");

/* restart_args: addr, val | shared << 32, bits | clock << 32, deadline. */
static sysret_t wait_restart(struct task *t);

static sysret_t do_wait(gaddr_t addr, bool shared, u32 val, u32 bits, const struct futex_time *t)
{
    sysret_t r = futex_wait(addr, shared, val, bits, t);

    if (r != -ERESTARTSYS || t->deadline == KTIME_NEVER) return r;
    struct task *c = current;
    c->restart_fn = wait_restart;
    c->restart_args[0] = addr;
    c->restart_args[1] = val | (u64)shared << 32;
    c->restart_args[2] = bits | (u64)(u32)t->clock << 32;
    c->restart_args[3] = (u64)t->deadline;
    return -ERESTART_RESTARTBLOCK;
}

static sysret_t wait_restart(struct task *t)
{
    const u64 *r = t->restart_args;
    struct futex_time ft = { (int)(r[2] >> 32), (ktime_t)r[3] };

    return do_wait(r[0], r[1] >> 32, (u32)r[1], (u32)r[2], &ft);
}

static sysret_t do_wait_parking(gaddr_t addr, bool shared, u32 val, u32 bits, const struct futex_time *t)
{
    linux_parking(true);
    sysret_t r = do_wait(addr, shared, val, bits, t);
    linux_parking(false);
    return r;
}

static sysret_t wake_lazily(gaddr_t addr, bool shared, s32 n, u32 bits)
{
    task_wakes_lazily(true);
    sysret_t r = futex_wake(addr, shared, n, bits);
    task_wakes_lazily(false);
    if (r == 0) task_woke_nobody();
    return r;
}

sysret_t linux_futex(const struct syscall_args *a)
{
    gaddr_t addr = a->a[0], addr2 = a->a[4];
    u32 op = ARG_U32(1), cmd = op & FUTEX_CMD_MASK, val = ARG_U32(2), val3 = ARG_U32(5);
    s32 val2 = (s32)a->a[3];
    bool shared = !(op & FUTEX_PRIVATE_FLAG);
    struct futex_time t = { CLOCK_MONOTONIC, KTIME_NEVER };

    if (op & FUTEX_CLOCK_REALTIME) {
        if (cmd != FUTEX_WAIT && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT_REQUEUE_PI && cmd != 13 /* FUTEX_LOCK_PI2 */)
            return -ENOSYS;
        t.clock = CLOCK_REALTIME;
    }
    switch (cmd) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_LOCK_PI:
    case 13:
        if (cmd == FUTEX_LOCK_PI) t.clock = CLOCK_REALTIME;
        if (a->a[3]) {
            int r = linux_copy_in_ktime(&t.deadline, a->a[3]);
            if (r) return r;
            /* Only FUTEX_WAIT takes a relative time; it is not moved by changes of the wall clock. */
            if (cmd == FUTEX_WAIT) {
                t.clock = CLOCK_MONOTONIC;
                t.deadline = ktime_add_sat(clock_mono(), t.deadline);
            }
        }
        break;
    default:
        break;
    }
    switch (cmd) {
    case FUTEX_WAIT:
        return do_wait_parking(addr, shared, val, FUTEX_BITS_ANY, &t);
    case FUTEX_WAIT_BITSET:
        return do_wait_parking(addr, shared, val, val3, &t);
    case FUTEX_WAKE:
        return wake_lazily(addr, shared, (s32)val, FUTEX_BITS_ANY);
    case FUTEX_WAKE_BITSET:
        return wake_lazily(addr, shared, (s32)val, val3);
    case FUTEX_REQUEUE:
        return futex_requeue(addr, addr2, shared, (s32)val, val2, NULL);
    case FUTEX_CMP_REQUEUE:
        return futex_requeue(addr, addr2, shared, (s32)val, val2, &val3);
    case FUTEX_WAKE_OP:
        return futex_wake_op(addr, addr2, shared, (s32)val, val2, val3);
    case FUTEX_LOCK_PI:
    case 13:
        return futex_lock_pi(addr, shared, false, &t);
    case FUTEX_TRYLOCK_PI:
        return futex_lock_pi(addr, shared, true, &t);
    case FUTEX_UNLOCK_PI:
        return futex_unlock_pi(addr, shared);
    case FUTEX_WAIT_REQUEUE_PI:
        return futex_wait_requeue_pi(addr, shared, val, FUTEX_BITS_ANY, &t, addr2);
    case FUTEX_CMP_REQUEUE_PI:
        return futex_cmp_requeue_pi(addr, addr2, shared, (s32)val, val2, val3);
    default:
        return -ENOSYS;
    }
}

/* The flags of the newer calls: size in bits 0-1 (only 32 bits is offered, as in Linux), private bit. */
#define FUTEX2_SIZE_MASK 3u
#define FUTEX2_U32 2u
static int futex2_flags(u32 flags, bool *shared)
{
    if (flags & ~(FUTEX2_SIZE_MASK | FUTEX_PRIVATE_FLAG)) return -EINVAL;
    if ((flags & FUTEX2_SIZE_MASK) != FUTEX2_U32) return -EINVAL;
    *shared = !(flags & FUTEX_PRIVATE_FLAG);
    return 0;
}

static int timeout_abs(struct futex_time *t, gaddr_t p, u32 clock)
{
    *t = (struct futex_time){ CLOCK_MONOTONIC, KTIME_NEVER };
    if (!p) return 0;
    if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME) return -EINVAL;
    t->clock = (int)clock;
    return linux_copy_in_ktime(&t->deadline, p);
}

sysret_t linux_futex_waitv(const struct syscall_args *a)
{
    struct linux_futex_waitv v[FUTEX_MAX_WAITV];
    struct futex_waitv_k k[FUTEX_MAX_WAITV];
    struct futex_time t;
    u32 n = ARG_U32(1);
    int r;

    if (ARG_U32(2)) return -EINVAL;
    if (!n || n > FUTEX_MAX_WAITV || !a->a[0]) return -EINVAL;
    r = timeout_abs(&t, a->a[3], ARG_U32(4));
    if (r) return r;
    if (copy_in(v, a->a[0], n * sizeof v[0])) return -EFAULT;
    for (u32 i = 0; i < n; i++) {
        if (v[i].reserved || v[i].val >> 32) return -EINVAL;
        r = futex2_flags(v[i].flags, &k[i].shared);
        if (r) return r;
        k[i].addr = v[i].uaddr;
        k[i].val = (u32)v[i].val;
    }
    return futex_waitv(k, n, &t);
}

sysret_t linux_futex_wake(const struct syscall_args *a)
{
    bool shared;
    int r = futex2_flags(ARG_U32(3), &shared);

    if (r) return r;
    if (a->a[1] >> 32 || !(u32)a->a[1]) return -EINVAL;
    if (ARG_INT(2) <= 0) return ARG_INT(2) < 0 ? -EINVAL : 0;
    return futex_wake(a->a[0], shared, ARG_INT(2), (u32)a->a[1]);
}

sysret_t linux_futex_wait(const struct syscall_args *a)
{
    struct futex_time t;
    bool shared;
    int r = futex2_flags(ARG_U32(3), &shared);

    if (r) return r;
    if (a->a[1] >> 32 || a->a[2] >> 32 || !(u32)a->a[2]) return -EINVAL;
    r = timeout_abs(&t, a->a[4], ARG_U32(5));
    return r ? r : do_wait(a->a[0], shared, (u32)a->a[1], (u32)a->a[2], &t);
}

sysret_t linux_futex_requeue(const struct syscall_args *a)
{
    struct linux_futex_waitv v[2];
    bool shared[2];

    if (ARG_U32(1) || !a->a[0]) return -EINVAL;
    if (copy_in(v, a->a[0], sizeof v)) return -EFAULT;
    for (int i = 0; i < 2; i++) {
        if (v[i].reserved || v[i].val >> 32) return -EINVAL;
        int r = futex2_flags(v[i].flags, &shared[i]);
        if (r) return r;
    }
    /* Both words of one kind: a mixed pair is as good as shared. */
    u32 cmp = (u32)v[0].val;
    return futex_requeue(v[0].uaddr, v[1].uaddr, shared[0] || shared[1], ARG_INT(2), ARG_INT(3), &cmp);
}

sysret_t linux_set_robust_list(const struct syscall_args *a)
{
    if (a->a[1] != sizeof(struct linux_robust_list_head)) return -EINVAL;
    current->robust_list = a->a[0];
    current->robust_len = a->a[1];
    return 0;
}

sysret_t linux_get_robust_list(const struct syscall_args *a)
{
    struct task *t = current;
    u64 head, len = sizeof(struct linux_robust_list_head);

    if (ARG_INT(0)) {
        t = task_lookup_get(pid_in(ARG_INT(0)));
        if (!t) return -ESRCH;
        /* ptrace(2)'s read check in short: the same user, or the capability. */
        struct cred *c = task_get_cred(t);
        bool ok = t->tg == current->tg || cred_ns_capable(current->cred, c->user_ns, 19 /* CAP_SYS_PTRACE */) ||
                  (current->cred->fsuid == c->uid && c->uid == c->euid && c->uid == c->suid);
        cred_put(c);
        if (!ok) {
            task_put(t);
            return -EPERM;
        }
    }
    head = atomic_load(&t->robust_list);
    if (t != current) task_put(t);
    if (copy_out(a->a[2], &len, sizeof len) || copy_out(a->a[1], &head, sizeof head)) return -EFAULT;
    return 0;
}

/* One entry of the list of a dying task. False: the list is not worth following any further. */
static bool robust_death(struct task *t, gaddr_t addr, bool pi, bool pending)
{
    u32 val, seen;

    if (addr & 3 || user_load32(addr, &val)) return false;
    /*
     * A pending entry whose word is 0: the task died between unlocking and the wake it owed.
     */
    if (pending && !pi && !val) {
        futex_wake_addr(t->mm, addr, 1);
        return true;
    }
    for (;;) {
        if ((val & FUTEX_TID_MASK) != (u32)t->vtid) return true;
        if (user_cmpxchg32(addr, val, (val & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen)) return false;
        if (seen == val) break;
        val = seen;
    }
    /* Waiters of a PI futex are served by futex_pi_exit. */
    if (!pi && (val & FUTEX_WAITERS)) futex_wake_addr(t->mm, addr, 1);
    return true;
}

#define ROBUST_LIST_LIMIT 2048

void linux_robust_list_exit(struct task *t);
void linux_robust_list_exit(struct task *t)
{
    struct linux_robust_list_head h;
    gaddr_t head = t->robust_list;
    u64 entry, next;

    if (head && t->mm && !copy_in(&h, head, sizeof h)) {
        unsigned limit = ROBUST_LIST_LIMIT;
        u64 pending = h.list_op_pending & ~1ULL;
        for (entry = h.list; (entry & ~1ULL) != head && limit--; entry = next) {
            /* The next link first: after the hand-over the entry is no longer ours. */
            bool more = !copy_in(&next, entry & ~1ULL, sizeof next);
            if ((entry & ~1ULL) != pending && !robust_death(t, (entry & ~1ULL) + (u64)h.futex_offset, entry & 1, false)) break;
            if (!more) break;
        }
        if (pending) (void)robust_death(t, pending + (u64)h.futex_offset, h.list_op_pending & 1, true);
    }
    t->robust_list = 0;
    futex_pi_exit(t);
}
